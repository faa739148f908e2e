#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`make bench-peers` in little: the fabric beside testpmd where Debian's package is there, what becomes of peers that are missing or
break, that a switch which loses or changes frames is found out, and that nothing is left running. Prints TAP."""
import contextlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import tap
from fabric import Family
from tap import Skipped, expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
import harness  # noqa: E402
import run_peers  # noqa: E402
from bench.peers import testpmd  # noqa: E402
from bench.peers.base import Broken, Unavailable  # noqa: E402

TIMEOUT_S = 120
NEEDED = ["bench/frames", "bench/blast", "bench/bench.binpb", "bin/weftd", "bin/weft"]


def need_testpmd():
    if not shutil.which("dpdk-testpmd"):
        raise Skipped("dpdk-testpmd is not installed (Debian's dpdk-dev; `make bench-peers` installs it)")
    if harness.cores() is None:
        raise Skipped("needs two cores, one for the switch and one for the load")
    for name in NEEDED:
        expect((BUILD / name).exists(), "%s is not built" % (BUILD / name))


def run_args(out, *more):
    return [str(ROOT / "bench" / "run_peers.py"), "--build", str(BUILD), "--only", "testpmd", "--sizes", "64,256", "--seconds", "0.05",
            "--out", str(out), *more]


def test_testpmd_beside_the_fabric():
    """A run of two short rounds has each figure, and ratios that follow from them."""
    need_testpmd()
    family = Family("run")
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "results.json"
        p = subprocess.run(run_args(out, "--rounds", "2"), check=False, text=True, capture_output=True, timeout=TIMEOUT_S, env=family.env)
        expect(p.returncode == 0, "run_peers.py ended with %d" % p.returncode, p.stdout + p.stderr)
        family.gone(10)
        by = {r["name"]: r for r in json.loads(out.read_text())}
    for name in ("weft", "testpmd"):
        for size in (64, 256):
            expect(by["peer.%s.%d.mmsgs" % (name, size)]["min"] > 0, "%s carried nothing at %d bytes" % (name, size))
        expect(0 < by["peer.%s.256.rtt.p50_us" % name]["value"] <= by["peer.%s.256.rtt.p99_us" % name]["value"],
               "%s: percentiles are not in order" % name)
    ours, theirs, ratio = (by[n]["samples"] for n in ("peer.weft.256.mmsgs", "peer.testpmd.256.mmsgs",
                                                      "road.typed.256.ratio_testpmd"))
    expect(len(ratio) == 2, "two rounds have %d ratios" % len(ratio))
    for a, b, q in zip(ours, theirs, ratio):
        expect(abs(q - a / b) <= 0.01 * q, "%g over %g is not %g" % (a, b, q))
    expect("latency.roundtrip.ratio_testpmd" in by, "no ratio of round trips")
    text = (BUILD / "bench" / "peers" / "testpmd.txt").read_text()
    expect("--forward-mode=io" in text, "the peer's configuration is not shown", text)


def test_interrupted():
    """Who presses Ctrl-C in the middle leaves nothing running."""
    need_testpmd()
    family = Family("stop")
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "results.json"
        p = subprocess.Popen(run_args(out, "--rounds", "1000"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=family.env,
                             start_new_session=True)
        said = ""
        for line in p.stdout:
            said += line
            if "round 2" in line:
                break
        expect(len(family.commands()) >= 4, "a run has fewer processes than it must: %s" % family.commands(), said)
        p.send_signal(signal.SIGINT)
        said += p.communicate(timeout=60)[0]
        expect(p.returncode == 130, "an interrupted run ended with %d" % p.returncode, said)
        expect(not out.exists(), "an interrupted run wrote results")
    family.gone(10)


def switch(mode):
    """testpmd that forwards in another way."""

    class Peer(testpmd.Peer):
        name = "testpmd-" + mode

        def command(self):
            return [w.replace("=io", "=" + mode) if isinstance(w, str) else w for w in super().command()]

    return Peer


def complaint(cls, meanwhile):
    """What is said of a switch when meanwhile(peer) has been done to it; its runs that do not count are printed elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        peer = cls(BUILD, pathlib.Path(folder), *harness.cores())
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                peer.start()
                meanwhile(peer)
                peer.throughput(256, 0.05)
        except Broken as e:
            return str(e)
        finally:
            peer.stop()
    return "nothing"


def test_changed_frames_are_noticed():
    """A switch that rewrites addresses."""
    need_testpmd()
    said = complaint(switch("mac"), lambda peer: None)
    expect("arrived wrong" in said, said)


def test_lost_frames_are_noticed():
    """A switch that takes frames no more."""
    need_testpmd()
    said = complaint(testpmd.Peer, lambda peer: os.killpg(peer.servers[0].pid, signal.SIGSTOP))
    expect("loses frames" in said, said)


def test_bad_orders():
    """What cannot be is told, with what could; exit status 2."""
    for args, text in ((["--only", "tespmd"], 'no peer is called "tespmd"'), (["--sizes", "9"], "64 to 1400"),
                       (["--sizes", "x"], "numbers with commas"), (["--rounds", "0"], "at least one round")):
        p = subprocess.run([ROOT / "bench" / "run_peers.py", *args], check=False, text=True, capture_output=True, timeout=60)
        expect(p.returncode == 2 and text in p.stderr, "%s: ended with %d" % (" ".join(args), p.returncode), p.stderr)


# --- the orchestrator, with peers that are made up ---------------------------------------------------------------------------


class MadeUp:
    """A peer without processes, which fails as it is told."""
    title = work = "made up"
    packages = ()
    frames = False

    def __init__(self, *_):
        self.awake = True
        self.stopped = False
        MadeUp.all.append(self)

    all = []
    fails = None

    def start(self):
        if self.fails == "start":
            raise Unavailable("no such thing here")

    def throughput(self, size, seconds):
        expect([p for p in MadeUp.all if p.awake] == [self], "others are awake while one is measured")
        if self.fails == "throughput":
            raise Broken("carried nothing")
        return 2e6

    def round_trips(self, size, count):
        return [5000] * (count - (self.fails == "trips"))

    def version(self):
        return "1"

    def configuration(self):
        return "none"

    def pause(self):
        self.awake = False

    def resume(self):
        self.awake = True

    def stop(self):
        self.awake, self.stopped = False, True


def made_up_field(folder, **fails):
    """A field after two rounds, with a peer for each name, which fails as its value says."""
    MadeUp.all = []
    weft = type("Weft", (MadeUp,), {"name": "weft", "throughput": lambda *_: 4e6})()
    weft.awake = False
    classes = {n: type(n, (MadeUp,), {"name": n, "fails": how}) for n, how in fails.items()}
    before, run_peers.peer_class = run_peers.peer_class, classes.__getitem__
    try:
        field = run_peers.Field(pathlib.Path(folder), pathlib.Path(folder), (0, 1), weft)
        with contextlib.redirect_stdout(io.StringIO()):
            for name in fails:
                field.start(name)
            for number in range(2):
                field.round(number, [64, 256], 0.1)
    finally:
        run_peers.peer_class = before
    return field


def test_broken_peers_do_not_spoil_the_run():
    """One is missing, one breaks, one loses a round trip: the reasons are told, all are ended, the others have their figures."""
    with tempfile.TemporaryDirectory() as folder:
        field = made_up_field(folder, good=None, absent="start", breaks="throughput", loses="trips")
        rows = {r["name"]: r for r in run_peers.results(field)}
    expect(field.skipped == {"absent": "no such thing here"}, field.skipped)
    expect(set(field.broken) == {"breaks", "loses"} and field.broken["breaks"] == "carried nothing", field.broken)
    expect(all(p.stopped for p in MadeUp.all if p.name in ("absent", "breaks", "loses")), "one that is out has not been ended")
    expect(rows["road.typed.256.ratio_good"]["samples"] == [2, 2], rows["road.typed.256.ratio_good"])
    expect(not any("breaks" in n or "loses" in n or "absent" in n for n in rows), "there are results of peers that are out: %s" % list(rows))


def test_nobody_wakes_after_it_broke():
    """A peer whose pause fails is out as well, or it would take the core of all that follow."""
    with tempfile.TemporaryDirectory() as folder:
        before = MadeUp.pause
        calls = []

        def pause(self):
            calls.append(self)
            if self.name == "restless" and len([c for c in calls if c is self]) > 1:
                raise OSError("it does not stop")
            before(self)

        MadeUp.pause = pause
        try:
            field = made_up_field(folder, restless=None, good=None)
        finally:
            MadeUp.pause = before
    expect(list(field.broken) == ["restless"] and [p.name for p in field.peers] == ["good"], field.broken)


if __name__ == "__main__":
    sys.exit(tap.run(tap.named_tests(globals())))
