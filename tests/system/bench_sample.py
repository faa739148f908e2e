# SPDX-License-Identifier: BSD-2-Clause
"""A made-up results.json as `make bench` and `make bench-peers` write it, with noise from a seed. Nothing in it was measured."""
import json
import random
import statistics

STAGES = ["take", "session", "route", "admit", "validate", "judge", "inspect", "decide", "deliver"]
COSTS = {"take": 35, "session": 48, "route": 16, "admit": 9, "validate": 55, "judge": 4, "inspect": 3, "decide": 11, "deliver": 62}
MACHINE = "A made-up processor, 2 CPUs, 4096 MiB"
PEERS = {"weft": (4.2, 5.1), "testpmd": (9.1, 1.9), "ovs": (7.4, 2.1), "ovs_acl": (6.5, 2.2), "ovs_acl_nocache": (4.6, 2.6), "nats_tls": (0.9, 429),
         "zmq_curve": (0.34, 377), "grpc_tls_stream": (0.098, 308), "grpc_tls_unary": (0.044, None), "mosquitto_tls": (0.078, 940),
         "unix": (0.45, 13)}


class Sample:
    """Results with `runs` samples each around what is asked for; factors: how much larger results become whose name starts so."""

    def __init__(self, seed, noise=0.02, runs=7, factors=None, machine=MACHINE):
        self.random, self.noise, self.runs, self.factors, self.machine = random.Random(seed), noise, runs, factors or {}, machine
        self.results = []

    def add(self, name, unit, middle, **params):
        for start, factor in self.factors.items():
            if name.startswith(start):
                middle *= factor
        worse = -1 if unit == "M/s" else 1  # what disturbs a run makes it slower
        values = [round(middle * (1 + worse * abs(self.random.gauss(0, self.noise))), 6) for _ in range(self.runs)]
        params = dict(params, machine=self.machine, settings="made up, core 0", program="bench")
        self.results.append({"name": name, "unit": unit, "value": round(statistics.median(values), 6), "min": min(values),
                             "max": max(values), "n": self.runs, "params": params, "samples": values})

    def fill(self):
        for kind, slower in (("numeric", 0.9), ("typed", 1.0), ("opaque", 1.9), ("order", 1.6)):
            for size in (64, 256, 1400) if kind != "order" else ("natural",):
                name, p = "road.%s.%s." % (kind, size), {"kind": kind, "bytes": size, "messages_per_run": 1000000}
                weight = {64: 0.85, 256: 1.0, 1400: 1.8}.get(size, 1.0)
                look = 230 if kind == "opaque" else 0
                for stage in STAGES:
                    self.add(name + "stage.%s.ns" % stage, "ns", COSTS[stage] * weight + (look if stage == "inspect" else 0), **p)
                self.add(name + "stages.ns", "ns", sum(COSTS.values()) * weight + look, **p)
                self.add(name + "mmsgs", "M/s", 4.2 / weight / slower, **p)
                self.add(name + "busy", "ratio", 0.93, **p)
                self.add(name + "core", "ratio", 0.97, **p)
                self.add(name + "burst", "messages", 31, **p)
        for what, p50 in (("roundtrip", 3.2), ("half_load", 7.5)):
            for percentile, times in (("p50", 1), ("p99", 1.6), ("p999", 3.1), ("max", 11)):
                self.add("latency.%s.%s_us" % (what, percentile), "us", p50 * times, bytes=256)
        self.add("latency.roundtrip.ratio_testpmd", "ratio", 2.6)
        for ports, rate in ((10, 4.1), (100, 4.05), (1000, 3.9)):
            self.add("scale.ports.%d.mmsgs" % ports, "M/s", rate)
        self.add("scale.ports.1000.ratio", "ratio", 0.96)
        for rules, rate in ((10, 4.1), (100, 4.1), (1000, 4.0), (10000, 3.9)):
            self.add("scale.rules.%d.mmsgs" % rules, "M/s", rate)
        self.add("scale.cores.1.mmsgs", "M/s", 4.1)
        self.add("scale.cores.2.mmsgs", "M/s", 7.7)
        self.add("scale.cores.2.ratio", "ratio", 1.87)
        self.add("idle.cpu", "percent", 0.4)
        self.add("overload.goodput_ratio", "ratio", 0.98)
        self.add("overload.lost", "messages", 0)
        for peer, (rate, p99) in PEERS.items():
            for size in (64, 256, 1400):
                self.add("peer.%s.%d.mmsgs" % (peer, size), "M/s", rate * {64: 1.1, 256: 1, 1400: 0.6}[size], bytes=size,
                         version=peer + " 1.0", configuration="%s --port 1\n" % peer)
            if p99:
                self.add("peer.%s.256.rtt.p50_us" % peer, "us", p99 * 0.6, bytes=256)
                self.add("peer.%s.256.rtt.p99_us" % peer, "us", p99, bytes=256)
                self.add("peer.%s.256.rtt.p999_us" % peer, "us", p99 * 1.9, bytes=256)
            if peer != "weft":
                self.add("road.typed.256.ratio_" + peer, "ratio", 4.2 / rate, kind="typed", bytes=256)
        self.add("road.opaque.256.ratio_ndpi_raw", "ratio", 0.8)
        self.add("micro.validate.typed.256.ns", "ns", 50, kind="typed", bytes=256)
        self.add("something.new", "widgets", 12)
        return self

    def write(self, path):
        path.write_text(json.dumps(self.results))
        return path
