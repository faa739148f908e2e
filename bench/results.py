# SPDX-License-Identifier: BSD-2-Clause
"""What is in results.json, for those who read it: report.py, plots.py, compare.py. Says of each name which way is better, whose code
it measures, and what it is held to. Measures nothing; leaves layout to the readers."""
import dataclasses
import json
import math
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
STAGES = ["take", "session", "route", "admit", "validate", "judge", "inspect", "decide", "deliver"]
PERCENTILE_NAMES = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "max": "max"}
PERCENTILES = list(PERCENTILE_NAMES)
# What tells two results of one name apart, where the name does not.
IDENTITY = ("kind", "bytes")

# Which way is better, by name; the first that matches.
DIRECTIONS = [(re.compile(pattern), direction) for pattern, direction in (
    (r"^road\..*\.(busy|core|burst)$|^overload\.offered", 0),
    (r"^(validate\.order|policy\.decide|policy\.swap)\.ratio_", -1),
    (r"^inspect\.inline\.ratio$", -1),
    (r"^latency\..*ratio", -1),
    (r"^road\..*\.ratio_|^scale\..*ratio$|^overload\.goodput_ratio$|^inspect\.isolated\.(cpu_)?ratio$", 1),
    (r"^overload\.lost$", -1))]
UNITS = {"ns": -1, "us": -1, "µs": -1, "ms": -1, "s": -1, "MiB": -1, "KiB": -1, "percent": -1, "M/s": 1}
# Programs of others, measured beside ours in the same run: where they change, the machine did, or their version.
OTHERS = re.compile(r"^peer\.(?!weft\.)|^validate\.order\.(protobuf_c|cpp)|^inspect\.bare")

# Short enough for legends. What a peer calls itself is among its results' parameters.
PEERS = {"weft": "Weft, the whole road", "testpmd": "DPDK testpmd, io", "ovs": "Open vSwitch, DPDK", "ovs_acl": "Open vSwitch, ACL, cached",
         "ovs_acl_nocache": "Open vSwitch, ACL, no cache", "nats_tls": "NATS, TLS, permissions", "zmq_curve": "ZeroMQ, CURVE, relay",
         "grpc_tls_stream": "gRPC, TLS, streamed", "grpc_tls_stream_hinted": "gRPC, TLS, streamed, hints",
         "grpc_tls_unary": "gRPC, TLS, unary", "mosquitto_tls": "Mosquitto, TLS, ACL", "unix": "AF_UNIX relay, spinning",
         "ndpi_reader": "ndpiReader, carries nothing"}


@dataclasses.dataclass
class Bound:
    """One line of what the speed is held to; `worst` names of several results of that name the one that counts."""
    name: str
    what: str
    least: bool
    bound: float
    orientation: bool = False

    def holds(self, value):
        return value >= self.bound if self.least else value <= self.bound


BOUNDS = [
    Bound("road.typed.256.ratio_testpmd", "the whole road over testpmd's packets/s", True, 0.5),
    Bound("road.typed.256.ratio_ovs_acl", "… over Open vSwitch with 100 ACL rules, cached", True, 0.7),
    Bound("road.typed.256.ratio_ovs_acl_nocache", "… the same, cache missed by every packet", True, 1.0),
    Bound("road.typed.256.ratio_nats_tls", "… over NATS with TLS", True, 4),
    Bound("road.typed.256.ratio_zmq_curve", "… over a ZeroMQ relay with CURVE", True, 10),
    Bound("road.typed.256.ratio_grpc_tls_stream", "… over gRPC with TLS, streamed", True, 35),
    Bound("road.typed.256.ratio_mosquitto_tls", "… over Mosquitto with TLS and ACL", True, 45),
    Bound("road.typed.256.ratio_grpc_tls_unary", "… over gRPC with TLS, unary", True, 80),
    Bound("road.typed.256.mmsgs", "million messages/s on one core, for orientation", True, 4, True),
    Bound("road.opaque.256.ratio_ndpi_raw", "nDPI on each message, over bare nDPI calls/s", True, 0.85),
    Bound("latency.roundtrip.p99_us", "request and reply at low load, µs", False, 6),
    Bound("latency.roundtrip.ratio_testpmd", "… over bare forwarding", False, 3),
    Bound("latency.half_load.p99_us", "one way at half the best throughput, µs", False, 20),
    Bound("scale.ports.1000.ratio", "10 busy ports among 1,000, over 10 alone", True, 0.9),
    Bound("scale.cores.2.ratio", "two workers over one", True, 1.8),
    Bound("idle.cpu", "four quiet ports, percent of a core", False, 1),
    Bound("overload.lost", "messages lost without a verdict or back-pressure", False, 0),
    Bound("overload.goodput_ratio", "twice what the fabric carries: goodput over its best", True, 0.95),
    Bound("inspect.inline.ratio", "inspection in process over bare nDPI, worst case", False, 1.1),
    Bound("inspect.isolated.ratio", "a worker apart over in process, worst case", True, 0.9),
]


class BadResults(Exception):
    """The file is not what it should be; the text says where and what would be right."""


@dataclasses.dataclass
class Result:
    name: str
    unit: str
    value: float
    min: float
    max: float
    n: int
    params: dict
    samples: list

    @property
    def key(self):
        """What this is, whichever run it is from."""
        return (self.name,) + tuple(self.params.get(p) for p in IDENTITY if not self.in_name(p))

    @property
    def label(self):
        return " ".join([self.name] + [str(k) for k in self.key[1:] if k is not None])

    def in_name(self, param):
        return str(self.params.get(param)) in self.name.split(".")

    @property
    def better(self):
        """1: more is better; -1: less is; 0: neither."""
        for pattern, direction in DIRECTIONS:
            if pattern.search(self.name):
                return direction
        return 1 if self.unit.endswith("/s") else UNITS.get(self.unit, 0)

    @property
    def ours(self):
        return not OTHERS.search(self.name)


def default_path():
    """Where `make bench` puts the results."""
    return ROOT / os.environ.get("BUILD", "build") / "bench" / "results.json"


def short(v):
    """Three digits that mean something, never a power of ten."""
    if v == 0 or abs(v) >= 1000:
        return "%.0f" % v
    rounded = float("%.3g" % v)
    return "%.*f" % (min(6, max(0, 2 - math.floor(math.log10(abs(rounded))))), rounded)


def number(x):
    return isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x)


def result_of(raw, where):
    """One entry, checked."""
    def expect(condition, what):
        if not condition:
            raise BadResults("%s: %s" % (where, what))

    expect(isinstance(raw, dict), "this is no object; right would be {\"name\",\"unit\",\"value\",\"min\",\"max\",\"n\",\"params\"}")
    name = raw.get("name")
    expect(isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_.]+", name), "\"name\" must be a dotted name, not %r" % (name,))
    where = "%s (%s)" % (where, name)
    expect(isinstance(raw.get("unit"), str), "\"unit\" must be a string")
    for field in ("value", "min", "max"):
        expect(number(raw.get(field)), "\"%s\" must be a number, not %r" % (field, raw.get(field)))
    expect(raw["min"] <= raw["value"] <= raw["max"], "\"value\" must be from \"min\" to \"max\"")
    expect(isinstance(raw.get("n"), int) and raw["n"] >= 1, "\"n\" must be a count, not %r" % (raw.get("n"),))
    expect(isinstance(raw.get("params"), dict), "\"params\" must be an object")
    samples = raw.get("samples", [])
    expect(isinstance(samples, list) and all(number(s) for s in samples), "\"samples\" must be a list of numbers")
    return Result(name, raw["unit"], raw["value"], raw["min"], raw["max"], raw["n"], raw["params"], samples)


class Results:
    """One run's results, by key and by name."""

    def __init__(self, path, results):
        self.path, self.all, self.by_key, self.names = path, results, {}, {}
        for r in results:
            if r.key in self.by_key:
                raise BadResults("%s: \"%s\" stands there twice; each result has one place" % (path, r.label))
            self.by_key[r.key] = r
            self.names.setdefault(r.name, []).append(r)

    def get(self, name):
        """The one result of that name, or None."""
        found = self.names.get(name, [])
        return found[0] if len(found) == 1 else None

    def matching(self, pattern):
        """(match, result) for every name that the pattern matches whole, in the file's order."""
        p = re.compile(pattern)
        return [(m, r) for r in self.all for m in [p.fullmatch(r.name)] if m]

    def worst(self, bound):
        """Of all results of that name the one that is furthest from what is wanted, or None."""
        found = self.names.get(bound.name, [])
        return (min if bound.least else max)(found, key=lambda r: r.value) if found else None

    def params_of(self, key):
        """All values of one parameter, each once, in the file's order."""
        return list(dict.fromkeys(str(r.params[key]) for r in self.all if key in r.params))


def read(path):
    """Raises BadResults."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadResults("%s: no such file; `make bench` makes build/bench/results.json" % path) from None
    except (OSError, UnicodeDecodeError) as e:
        raise BadResults("%s: cannot be read: %s" % (path, e)) from None
    try:
        raw = json.loads(text)
    except ValueError as e:
        raise BadResults("%s: this is not JSON: %s" % (path, e)) from None
    if not isinstance(raw, list):
        raise BadResults("%s: the whole must be a list of results" % path)
    if not raw:
        raise BadResults("%s: the list of results is empty; a benchmark that was interrupted leaves the file before it" % path)
    return Results(path, [result_of(r, "%s: result %d" % (path, i)) for i, r in enumerate(raw, 1)])
