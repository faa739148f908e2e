#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`make bench-peers`: the fabric beside switches and brokers that people know, in one run on one machine. All are started once and
stopped (SIGSTOP) while others are measured; rounds of short measurements, whose order turns, so that a slow moment of the machine
meets all alike; ratios are of one round. What a peer is and does is bench/peers'. A peer that breaks is reported and left out."""
import argparse
import contextlib
import importlib
import os
import pathlib
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
import harness  # noqa: E402
from bench.peers.base import Broken, Unavailable  # noqa: E402
from bench.peers.on_vhost import FLOWS  # noqa: E402

PROGRAM = "run_peers"
NAMES = ["testpmd", "ovs", "ovs_acl", "ovs_acl_nocache", "unix", "nats_tls", "zmq_curve", "grpc_tls_stream",
         "grpc_tls_stream_hinted", "grpc_tls_unary", "mosquitto_tls", "ndpi_reader"]
SIZES = [64, 256, 1400]
ROUNDS = 7
SECONDS = 0.5
KIND, SIZE = "typed", 256  # what ratios and round trips are of
TRIPS = {True: 20000, False: 2000}  # by whether it carries frames: others' take a hundred times as long
WARM_MESSAGES = 20000
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
SKIPPED = 77


def say(text=""):
    print(text, flush=True)


# --- packages ----------------------------------------------------------------------------------------------------------------

# One peer's packages, without what they would start: neither now (policy-rc.d) nor when the machine starts next.
INSTALL = r"""set -eu
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
	trap 'rm -f "$guard"' EXIT
	trap 'exit 1' INT TERM
	printf '#!/bin/sh\nexit 101\n' > "$guard"
	chmod 755 "$guard"
fi
services=$1
shift
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
if command -v systemctl >/dev/null 2>&1; then
	for s in $services; do
		systemctl disable --quiet "$s" || :
	done
fi
"""


def missing(packages):
    """Those that are not installed; None where this is not a Debian system."""
    if not shutil.which("dpkg-query"):
        return None

    def installed(package):
        p = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ", package], check=False, text=True, capture_output=True)
        return "installed" in p.stdout.split()

    return [p for p in packages if not installed(p)]


def install(classes, log_path):
    """What the peers lack. That it cannot be installed is no error: the run says who is left out."""
    wanted = {cls: missing(cls.packages) for cls in classes}
    if any(m is None for m in wanted.values()):
        say("bench-peers: this is not a Debian system; install by hand what bench/peers names, or be without")
        return
    wanted = {cls: m for cls, m in wanted.items() if m}
    if not wanted:
        return
    every = sorted({p for m in wanted.values() for p in m})
    by_hand = "apt-get install --no-install-recommends " + " ".join(every)
    root = [] if os.geteuid() == 0 else ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
    if root and (not shutil.which("sudo") or subprocess.run(root + ["-v"], check=False, stderr=subprocess.DEVNULL).returncode):
        say("bench-peers: peers need packages that are missing, and installing them needs root. Run as root:\n  %s\n"
            "Until then they are left out: %s" % (by_hand, ", ".join(cls.name for cls in wanted)))
        return
    say("bench-peers: installing from Debian, %s: %s" % ("with sudo for this step alone" if root else "as root", " ".join(every)))
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("w") as log:
        subprocess.run(root + ["apt-get", "update", "-q"], check=False, stdout=log, stderr=log)
        for cls in wanted:
            p = subprocess.run(root + ["sh", "-c", INSTALL, "install", " ".join(cls.services)] + list(cls.packages), check=False,
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            if p.returncode != 0:
                say("bench-peers: %s cannot be installed; %s says why" % (", ".join(cls.packages), log_path))


# --- who takes part ----------------------------------------------------------------------------------------------------------


class Weft:
    """The fabric, in the shape of a peer: typed messages through the whole road, held against its counters in each run."""
    name = "weft"
    title = "Weft, the whole road"
    work = "opens, policy, ten rules on fields, nDPI, seals, records"
    frames = True

    def __init__(self, road):
        self.road = road
        self.rate = {}

    def throughput(self, size, seconds):
        if size not in self.rate:  # to warm up, and to learn how many make a run
            self.rate[size] = self.road.measure(KIND, size, WARM_MESSAGES)["rate"]
        self.rate[size] = self.road.measure(KIND, size, max(WARM_MESSAGES, int(self.rate[size] * seconds)))["rate"]
        return self.rate[size]

    def percentiles(self, size, count):
        ns = harness.measure(self.road.fabric, self.road.load, ("trips", KIND, size, count))["ns"]
        return {p: ns[p] / 1000 for p in PERCENTILES}

    def pause(self):
        self.road.pause()

    def resume(self):
        self.road.resume()


def percentiles(peer, size, count):
    """Of round trips, µs, or None."""
    if isinstance(peer, Weft):
        return peer.percentiles(size, count)
    ns = peer.round_trips(size, count)
    if ns is None:
        return None
    if len(ns) != count or min(ns) <= 0:
        raise Broken("%s: %d of %d round trips came back" % (peer.name, len(ns), count))
    ns = sorted(ns)
    return {p: ns[min(int(at * count), count - 1)] / 1000 for p, at in PERCENTILES.items()}


class Field:
    """All that take part, with what they have reached in each round; out: those that are not (any more), with the reason."""

    def __init__(self, build, folder, cores, weft):
        self.build, self.folder, self.cores = build, folder, cores
        self.weft = weft
        self.peers = []
        self.skipped, self.broken = {}, {}
        self.rates, self.trips = {}, {}  # by name: by size, or by percentile, a list by round
        self.about = {}
        self.busy = {}  # by name and size: how much of its core the server had, where it can tell

    def start(self, name):
        """Brings up a peer and leaves it stopped."""
        peer = None
        try:
            cls = peer_class(name)
            lacking = missing(cls.packages)
            if lacking:
                raise Unavailable("not installed: " + " ".join(lacking))
            folder = self.folder / name
            folder.mkdir(mode=0o700)
            peer = cls(self.build, folder, *self.cores)
            self.peers.append(peer)
            peer.start()
            texts = self.build / "bench" / "peers" / (name + ".txt")
            texts.parent.mkdir(parents=True, exist_ok=True)
            version, configuration = peer.version(), peer.configuration()
            texts.write_text("%s: %s\n%s\n\n%s" % (name, peer.title, version, configuration))
            self.about[name] = {"title": peer.title, "work": peer.work, "version": version, "configuration": "see %s" % texts}
            if peer.frames:
                self.about[name]["flows"] = FLOWS
            peer.pause()
            say("  %-16s up: %s" % (name, version))
        except Unavailable as e:
            self.end(peer)
            self.skipped[name] = str(e)
            say("  %-16s left out: %s" % (name, e))
        except Exception as e:  # whatever it was, the others run
            self.end(peer)
            self.fell(name, e)

    def fell(self, name, error):
        self.broken[name] = "%s" % error if isinstance(error, Broken) else "%s: %s" % (type(error).__name__, error)
        say("  %-16s BROKEN: %s" % (name, self.broken[name]))

    def end(self, peer):
        if peer not in self.peers:
            return
        self.peers.remove(peer)
        try:
            peer.stop()
        except Exception as e:  # it is being ended because something is wrong with it
            say("  %-16s did not end: %s" % (peer.name, e))

    def turn(self, who, act):
        """Runs act(who) with only who awake. A peer that fails is out; the fabric that fails ends the run."""
        try:
            who.resume()
            act(who)
            who.pause()
        except Exception as e:
            if who is self.weft:
                raise
            self.end(who)
            self.fell(who.name, e)

    def round(self, number, sizes, seconds):
        for size in sizes:
            self.each(number, lambda who, s=size: self.carry(who, s, seconds))
        self.each(number, self.trip)

    def carry(self, who, size, seconds):
        self.rates.setdefault(who.name, {}).setdefault(size, []).append(who.throughput(size, seconds) / 1e6)
        busy = getattr(who, "server_busy", None)
        if busy is not None:  # well below 1: its clients were the limit
            self.busy.setdefault(who.name, {}).setdefault(size, []).append(busy)

    def each(self, number, act):
        field = [self.weft] + self.peers
        first = number % len(field)
        for who in field[first:] + field[:first]:
            self.turn(who, act)

    def trip(self, who):
        us = percentiles(who, SIZE, TRIPS[who.frames])
        if us is not None:
            for p, v in us.items():
                self.trips.setdefault(who.name, {}).setdefault(p, []).append(v)

    def stop(self):
        for number in (signal.SIGINT, signal.SIGTERM):  # who asks twice would only leave something behind
            signal.signal(number, signal.SIG_IGN)
        for peer in list(self.peers):
            self.end(peer)


def peer_class(name):
    return importlib.import_module("bench.peers." + name).Peer


# --- results -----------------------------------------------------------------------------------------------------------------


def results(field):
    rows = []
    whole = [field.weft.name] + [p.name for p in field.peers]
    for name in whole:
        about = field.about.get(name, {"title": field.weft.title, "work": field.weft.work})
        for size, rates in field.rates[name].items():
            busy = field.busy.get(name, {}).get(size)
            more = {"server_busy": round(statistics.median(busy), 3)} if busy else {}
            rows.append(harness.summary("peer.%s.%d.mmsgs" % (name, size), "M/s", rates, bytes=size, **about, **more))
        for p, us in field.trips.get(name, {}).items():
            rows.append(harness.summary("peer.%s.%d.rtt.%s_us" % (name, SIZE, p), "us", us, bytes=SIZE, **about))
    ours = field.rates[field.weft.name]
    for name in whole[1:]:
        if SIZE in ours:
            rows.append(harness.summary("road.%s.%d.ratio_%s" % (KIND, SIZE, name), "ratio",
                                        [a / b for a, b in zip(ours[SIZE], field.rates[name][SIZE])], kind=KIND, bytes=SIZE))
    if "p99" in field.trips.get("testpmd", {}) and "testpmd" in whole:
        pairs = zip(field.trips[field.weft.name]["p99"], field.trips["testpmd"]["p99"])
        rows.append(harness.summary("latency.roundtrip.ratio_testpmd", "ratio", [a / b for a, b in pairs], bytes=SIZE,
                                    percentile="p99"))
    return rows


def spread(values):
    return "%.3g (%.3g-%.3g)" % (statistics.median(values), min(values), max(values)) if values else "-"


def table(field, rows, sizes):
    by = {r["name"]: r for r in rows}
    say("\nOne way, million messages/s; round trips of %d bytes, us; Weft over it, %d bytes: median (min-max) of the rounds\n"
        % (SIZE, SIZE))
    def line(name, *cells):
        say("%-16s" % name + "".join(" %21s" % c for c in cells))

    line("", *["%d bytes" % s for s in sizes], "trip p50", "trip p99", "Weft over it")
    for name in [field.weft.name] + [p.name for p in field.peers]:
        ratio = by.get("road.%s.%d.ratio_%s" % (KIND, SIZE, name))
        line(name, *[spread(field.rates[name][s]) for s in sizes], *[spread(field.trips.get(name, {}).get(p)) for p in ("p50", "p99")],
             spread(ratio["samples"]) if ratio else "")
    say()
    for name, about in field.about.items():
        if name not in field.broken:
            say("%-16s %s: %s; %s" % (name, about["version"], about["work"], about["configuration"]))
    for name, why in field.skipped.items():
        say("%-16s left out: %s" % (name, why))
    for name, why in field.broken.items():
        say("%-16s BROKEN: %s" % (name, why))


# --- the run -----------------------------------------------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--core", type=int, help="the fabric's and the servers' core; default: the first that may be used")
    parser.add_argument("--load-core", type=int, help="the load's core; default: the last")
    parser.add_argument("--only", metavar="NAME,...", help="of: " + ", ".join(NAMES))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of one measurement; default: %(default)s")
    parser.add_argument("--sizes", metavar="BYTES,...", default=",".join(str(s) for s in SIZES), help="default: %(default)s")
    parser.add_argument("--out", type=pathlib.Path, help="default: BUILD/bench/results.json")
    parser.add_argument("--install", action="store_true", help="only install the packages that peers lack")
    a = parser.parse_args()
    a.names = a.only.split(",") if a.only else NAMES
    for name in a.names:
        if name not in NAMES:
            parser.error("no peer is called \"%s\"; there are %s" % (name, ", ".join(NAMES)))
    try:
        a.sizes = [int(s) for s in a.sizes.split(",")]
    except ValueError:
        parser.error("--sizes takes numbers with commas between them, not \"%s\"" % a.sizes)
    if not all(64 <= s <= 1400 for s in a.sizes):
        parser.error("sizes are 64 to 1400 bytes")
    if a.rounds < 1 or a.seconds <= 0:
        parser.error("at least one round of some time")
    return a


def measure(a, build, cores):
    """The field after its rounds; everything that was started is ended."""
    with contextlib.ExitStack() as ends:
        folder = pathlib.Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="weft-peers-")))
        road = ends.enter_context(harness.Road(build, *cores))
        field = Field(build, folder, cores, Weft(road))
        ends.callback(field.stop)
        settings = road.fabric.ask("stats")["settings"]
        road.pause()
        for name in a.names:
            field.start(name)
        for number in range(a.rounds):
            say("  round %d of %d" % (number + 1, a.rounds))
            field.round(number, a.sizes, a.seconds)
        road.resume()
        rows = results(field)
        table(field, rows, a.sizes)
    return field, rows, settings


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    a = arguments()
    build = a.build.resolve()
    if a.install:
        install([peer_class(name) for name in a.names if (ROOT / "bench" / "peers" / (name + ".py")).exists()], build / "bench" / "peers" / "install.log")
        return 0
    cores = harness.cores(a.core, a.load_core)
    if cores is None:
        print("SKIP: the benchmark needs two cores, one for the fabric or a server and one for the load")
        return SKIPPED
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    start = time.monotonic()
    try:
        field, rows, settings = measure(a, build, cores)
    except KeyboardInterrupt:
        print("bench-peers: interrupted; all that was started has ended", file=sys.stderr)
        return 130
    except (harness.Failed, OSError, subprocess.SubprocessError) as e:
        print("bench-peers: %s" % e, file=sys.stderr)
        return 1
    facts = harness.machine_facts(*cores)
    for r in rows:
        r["params"].update({"machine": facts["machine"], "cores": facts["cores"], "settings": settings})
    out = a.out or build / "bench" / "results.json"
    harness.results_merge(out, rows, PROGRAM)
    facts.update({"fabric": settings, "took": "%.0f s, %d rounds of %g s" % (time.monotonic() - start, a.rounds, a.seconds),
                  "again": shlex.join(sys.argv), "results": str(out)})
    for key, value in facts.items():
        say("%-10s %s" % (key, value))
    return 1 if field.broken else 0


if __name__ == "__main__":
    sys.exit(main())
