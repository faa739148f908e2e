#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`make bench` in little: each order that the load takes, many pairs, what a figure has to pass before it counts, that results of
several programs share a file, and that nothing is left running. The figures themselves are no matter here. Prints TAP."""
import contextlib
import copy
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import tap
from fabric import Family
from tap import Skipped, expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
import harness  # noqa: E402
import road  # noqa: E402
import ruled  # noqa: E402
import several  # noqa: E402

MESSAGES = 3000
NEEDED = ["bench/blast", "bench/backlog", "bench/pauses", "bench/bench.binpb", "bin/weftd", "bin/weft"]


@contextlib.contextmanager
def a_road(**how):
    cores = harness.cores()
    if cores is None:
        raise Skipped("needs two cores, one for the fabric and one for the load")
    for name in NEEDED:
        expect((BUILD / name).exists(), "%s is not built" % (BUILD / name))
    with harness.Road(BUILD, *cores, **how) as r:
        yield r


def fails(word, call):
    try:
        call()
    except harness.Failed as e:
        expect(word in str(e), "it says %r, not %r" % (str(e)[:300], word))
        return
    raise tap.Failed("nothing was wrong, but should have been: " + word)


def test_every_kind_and_size_goes_the_whole_road():
    with a_road() as r:
        for kind, size in road.CASES:
            m = r.measure(kind, road.bytes_of(size), MESSAGES)
            expect(m["sent"] == m["received"] == MESSAGES, m)
            expect(m["rate"] > 0 and all(m["stages"][s] > 0 for s in harness.STAGES), m)
        expect("ipsec-mb" in r.settings or "libsodium" in r.settings, r.settings)


def test_round_trips_pace_and_overload():
    with a_road() as r:
        m = r.trips("typed", 256, MESSAGES)
        expect(m["samples"] == MESSAGES and 0 < m["ns"]["p50"] <= m["ns"]["p99"] <= m["ns"]["max"], m)
        m = r.pace("typed", 256, MESSAGES, 10000)
        expect(m["samples"] == m["sent"] == MESSAGES and m["ns"]["p50"] > 0, m)
        expect(m["elapsed_ns"] >= 0.95e9 * MESSAGES / 10000, "faster than it was to be: %s" % m)
        m = r.overload("typed", 256, 0.3, 50e6)
        expect(m["held"] > 0 and m["offered"] > m["sent"] == m["received"] > 0, "nothing was held back: %s" % m)
        expect(m["elapsed_ns"] >= 0.3e9, m)


def pauses(*words):
    p = subprocess.run([BUILD / "bench" / "pauses", *map(str, words)], check=False, capture_output=True, text=True)
    return p.returncode, json.loads(p.stdout) if p.returncode == 0 else p.stderr


def test_half_load_beside_the_cores_own_pauses():
    with a_road() as r:
        way, paused = road.half_load(road.Setting(BUILD, r.core, r.load_core, 5), r, MESSAGES)
        expect(way["samples"] == MESSAGES and 0 < way["ns"]["p50"] <= way["ns"]["p99"], way)
        expect(paused["samples"] >= 0.99 * way["asked"] * road.PAUSES_SECONDS and paused["ns"]["p50"] > 0, paused)
        r.measure("typed", 64, MESSAGES)  # it goes on
        # Two that look at the clock on one core keep each other from it, and messages wait for turns of milliseconds.
        rc, one = pauses(r.core, r.core, 200, 1e6, 2e6)
        expect(rc == 0 and sum(one["paused"]) > 0.8 and one["ns"]["p50"] > 1e5, (rc, one))
    for words in ((), (0, 0, 0, 1e6, 2e6), (0, 0, 10, 2e6, 1e6), (0, 0, 10, 0, 1e6), (0, 0, 10 ** 9, 1e6, 2e6),
                  (10 ** 6, 0, 10, 1e6, 2e6)):
        rc, said = pauses(*words)
        expect(rc == 2 and said.startswith("pauses: "), (words, rc, said))


def test_sessions_are_renewed_within_a_run():
    with a_road() as r:
        shaken = r.fabric.ask("stats")
        m = r.measure("numeric", 64, 1300000)  # more than a session's 2^20 records
        after = r.fabric.ask("stats")
        n = harness.ports_of(after)["sender"]["handshakes"] - harness.ports_of(shaken)["sender"]["handshakes"]
        expect(m["received"] == 1300000 and n >= 1, "%d handshakes" % n)


def test_busy_pairs_among_quiet_ones():
    with a_road(pairs=20, busy=5) as r:
        m = r.measure("typed", 256, MESSAGES, 5)
        expect(m["sent"] == m["received"] == MESSAGES, m)
        up = [p for p in r.fabric.ask("stats")["ports"] if p["state"] == "up"]
        expect(len(up) == 40, "%d ports have a session" % len(up))
        r.pause()
        r.resume()
        r.measure("typed", 256, MESSAGES, 1)


def test_some_of_many_attached():
    with a_road(pairs=10, attached=1) as r:
        r.measure("typed", 64, MESSAGES)
        expect(len([p for p in r.fabric.ask("stats")["ports"] if p["state"] == "up"]) == 2, "more than two ports are up")


def test_what_policy_refuses_is_no_figure():
    with a_road() as r:
        for name in harness.pair_names(1):
            harness.Fabric.policy_write(r.fabric.policies, name, lambda text: text.replace("weft.bench.Numeric, ", ""))
        subprocess.run([BUILD / "bin" / "weft", "policy", "apply", r.fabric.policies, r.fabric.config], check=True,
                       stdout=subprocess.DEVNULL)
        r.measure("typed", 64, MESSAGES)
        fails("refused", lambda: r.load.order("run", "numeric", 64, MESSAGES, 1))


def test_counters_that_contradict_are_no_figure():
    with a_road() as r:
        before = r.fabric.ask("stats")
        r.load.run("typed", 256, MESSAGES)
        after = r.fabric.ask("stats")
        harness.accounts(before, after, MESSAGES, "")
        fails("passed", lambda: harness.accounts(before, after, MESSAGES + 1, ""))

        def changed(change):
            other = copy.deepcopy(after)
            change(other)
            return lambda: harness.accounts(before, other, MESSAGES, "")

        def port(stats, name):
            return harness.ports_of(stats)[name]

        fails("delivered", changed(lambda s: port(s, "receiver").update(messages_delivered=0)))
        fails("over_credit", changed(lambda s: port(s, "sender")["verdicts"].update(over_credit=1)))
        for stage in harness.STAGES:
            fails("stage " + stage, changed(lambda s: harness.stages_of(s)[stage].update(
                messages=harness.stages_of(before)[stage]["messages"] + MESSAGES - 1)))


def test_a_fabric_that_goes_away():
    def run():
        with a_road() as r:
            r.load.run("typed", 256, MESSAGES)
            r.fabric.process.send_signal(signal.SIGKILL)
            r.fabric.process.wait()
            start = time.monotonic()
            fails("the load ended early", lambda: r.load.run("typed", 256, MESSAGES))
            expect(time.monotonic() - start < 5, "it took %.0f s to see that" % (time.monotonic() - start))
            raise harness.Failed("seen")
    fails("seen", run)


def test_orders_that_cannot_be_read():
    for order in ("run typed 256 0 1", "run typed 256 10 2", "run typed 10 10 1", "run nonsense 256 10 1", "walk typed 256 10 1",
                  "trips typed 256", "pace typed 256 10 0"):
        with contextlib.suppress(harness.Failed), a_road() as r:
            fails("ended early", lambda: r.load.order(*order.split()))
            expect(r.load.process.wait(10) == 2, "exit status %s for %r" % (r.load.process.returncode, order))


def test_a_backlog_for_two_workers():
    both = harness.cores()
    if both is None:
        raise Skipped("needs two cores")
    with several.Several(BUILD, both, both[1]) as r:
        r.halt()
        for lanes in (several.LOCAL, several.ACROSS, several.HALF):
            f = several.Figure(r, lanes)
            r.begin()
            f.add()
            r.end()
            expect(0 < f.of("inside") < several.ENTRIES * several.BUSY and f.rate() > 0 and f.of("looks") >= 1, f.rows)
            expect(r.sent >= several.ENTRIES * several.BUSY, "%d messages were sent" % r.sent)
        r.begin()
        r.sent += 1
        fails("passed", r.end)
        r.resume()
        owner = {name: i for i, w in enumerate(r.fabric.ask("stats")["workers"]) for name in w["ports"]}
        for number in range(1, several.LANES + 1):
            a, b = (owner[n] for n in harness.pair_names(number)[-2:])
            expect((a == b) == (number <= several.BUSY), "lane %d: workers %d and %d" % (number, a, b))


def test_what_is_no_order_for_a_backlog():
    both = harness.cores()
    if both is None:
        raise Skipped("needs two cores")
    for order in ("backlog typed 256 4096 0-1", "backlog typed 256 4096 1-17", "backlog typed 256 5000 1-2",
                  "backlog typed 1400 64 1-1", "run typed 256 64 1-1"):
        with contextlib.suppress(harness.Failed), several.Several(BUILD, both[:1], both[1]) as r:
            fails("ended early", lambda: r.load.order(*order.split()))
            expect(r.load.process.wait(10) == 2, "exit status %s for %r" % (r.load.process.returncode, order))


def test_a_crowd_has_the_rules_that_it_says():
    both = harness.cores()
    if both is None:
        raise Skipped("needs two cores")
    crowd = ruled.Crowd(3, 12)
    with ruled.Ruled(road.Setting(BUILD, *both, 1), crowd) as r:
        r.measure("typed", 64, MESSAGES)
        expect(crowd.n == 72 and len(r.fabric.ask("stats")["ports"]) == 6, r.fabric.ask("stats")["policies"])


def test_results_share_a_file():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "deep" / "results.json"
        harness.results_merge(path, [harness.summary("a", "ns", [1, 2, 3], kind="x"), harness.summary("b", "ns", [1.0])], "one")
        harness.results_merge(path, [harness.summary("c", "ns", [5])], "two")
        harness.results_merge(path, [harness.summary("a", "ns", [7, 9], kind="x")], "one")
        got = {r["name"]: r for r in json.loads(path.read_text())}
        expect(set(got) == {"a", "c"} and got["a"]["value"] == 8 and got["a"]["n"] == 2, got)
        harness.results_merge(path, [harness.summary("b", "ns", [4])], "one", whole=False)
        expect({r["name"] for r in json.loads(path.read_text())} == {"a", "b", "c"}, path.read_text())


def test_interrupted_nothing_is_left():
    with tempfile.TemporaryDirectory() as folder:
        family = Family("bench")
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            p = subprocess.Popen([ROOT / "bench" / "run.py", "--build", BUILD, "--only", "road", "--out",
                                  pathlib.Path(folder) / "r.json"],
                                 env=family.env, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, start_new_session=True)
            end = time.monotonic() + 60
            while not any("/bench/blast" in c for c in family.commands()) and p.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
            if p.poll() == 77:
                raise Skipped("needs two cores")
            p.send_signal(sig)
            said = p.communicate(timeout=60)[1]
            expect(p.returncode == (130 if sig != signal.SIGKILL else -9), "%s: exit status %s: %s" % (sig, p.returncode, said))
            family.gone(15)
            expect(not (pathlib.Path(folder) / "r.json").exists(), "half a benchmark left results")


if __name__ == "__main__":
    sys.exit(tap.run(tap.named_tests(globals())))
