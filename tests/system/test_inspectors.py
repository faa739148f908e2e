#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Inspectors are killed at random moments under load, alone and behind a real weftd: nothing passes uninspected, each message gets
one verdict, weftd never stops, and afterwards all is as before. WEFT_KILLS says how often (default: 60); `make dpi-kills` does it
1,000 times. Prints TAP."""
import json
import os
import random
import signal
import subprocess
import sys
import time

import fabric
from fabric import Fabric, expect, note, stat_fields, wait_for

KILLS = int(os.environ.get("WEFT_KILLS", "60"))
SEED = int(os.environ.get("WEFT_KILLS_SEED", "1"))
SENDERS = [f"s{i}" for i in range(1, 9)] # whose message an inspector died of is held back for a while: the others go on
FORBIDDEN = 3 # each third message must be refused
RATE = 2000   # of one sender, a second
SIGNALS = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT]
LANES = 2


class Inspected(Fabric):
    """A fabric with LANES inspectors."""

    def up(self):
        path = self.folder / "fabric.yaml"
        text = path.read_text()
        if "\ninspectors:" not in text:
            path.write_text(text + f"inspectors: {LANES}\n")
        return super().up()

    def inspectors(self):
        s = wait_for("weftd's numbers", self.stats, 10)
        return s["inspectors"]


def nursery_of(pid):
    """The process that started a worker; 0 when that is gone."""
    f = stat_fields(pid)
    return int(f[1]) if f is not None and f[0] != "Z" else 0


def kill_at_random(f, kills):
    """Kills workers, and the nursery now and then, each process once. Returns what was done."""
    rng, last, done, stopped = random.Random(SEED), {}, {"kills": 0, "nursery": 0, "stops": 0}, set()
    nursery = False
    until = time.monotonic() + 60 + kills
    while done["kills"] < kills:
        expect(time.monotonic() < until, f"only {done} of {kills} kills in time")
        time.sleep(rng.random() * 0.02)
        sig = signal.SIGSTOP if rng.randrange(25) == 0 else rng.choice(SIGNALS)
        at = rng.randrange(LANES)
        pid = f.inspectors()[at]["pid"]
        if pid and nursery:
            at, pid = "nursery", nursery_of(pid)
        if pid <= 1 or last.get(at) == pid:
            continue
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            continue
        last[at] = pid
        nursery = rng.randrange(30) == 0
        done["kills"] += 1
        done["nursery"] += at == "nursery"
        if sig == signal.SIGSTOP:
            done["stops"] += 1
            stopped.add(pid)
    # One that was stopped while it had nothing to do is found out when it has; that is not for later.
    for x in f.inspectors():
        if x["pid"] in stopped:
            os.kill(x["pid"], signal.SIGKILL)
            wait_for("the next inspector", lambda was=x["pid"]: was not in [y["pid"] for y in f.inspectors()], 10)
    return done


def check_evidence(f):
    """Each is a pair of files that fit. Returns how many there are."""
    folder = f.run / "evidence"
    found = sorted(folder.glob("*.json")) if folder.exists() else []
    for path in found:
        e = json.loads(path.read_text())
        data = (folder / e["bytes"]).read_bytes()
        expect(len(data) == e["len"] == sum(x["len"] for x in e["fields"]), f"{path}: {e}, {len(data)} bytes")
        expect(e["from"] in SENDERS and e["to"] == "b" and e["why"] in ("died", "hung") and e["kind"] == "message", f"{path}: {e}")
        expect(path.stat().st_mode & 0o777 == 0o600, f"{path}: mode {path.stat().st_mode:o}")
    expect(len(found) <= 64 and len(list(folder.iterdir() if folder.exists() else [])) == 2 * len(found), f"{folder}: {len(found)}")
    return len(found)


def run_load(f, receiver_args, sender_args, meanwhile=None):
    """Endpoints of one round; `meanwhile` runs under their load. Returns the summaries: senders', receiver's."""
    b = f.soak("b", "--receive", "--senders", len(SENDERS), *receiver_args)
    b.wait_up()
    senders = [f.soak(n, "--to", "b", *sender_args) for n in SENDERS]
    for s in senders:  # one may be through with all that it sends already
        wait_for(f"{s.name}'s session", lambda s=s: s.events("up"), 10)
    if meanwhile:
        meanwhile()
        for s in senders:
            s.stop()
    done = [s.summary(60) for s in senders]
    if meanwhile:
        b.stop()
    return done, b.summary(60)


def test_kills_without_a_fabric():
    """dpi_kills: the same without a fabric around it, so as fast as answers come."""
    for lanes in (1, 3):
        p = subprocess.run([fabric.BUILD / "tests" / "dpi_kills", "--program", fabric.BUILD / "bin" / "weft-dpi", "--kills", str(KILLS),
                            "--lanes", str(lanes), "--seed", str(SEED)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=120 + 2 * KILLS, check=False)
        note(p.stdout)
        expect(p.returncode == 0, f"status {p.returncode}", p.stdout)


def test_kills_under_load():
    unikernels = {**{n: {"send": ["b"]} for n in SENDERS}, "b": {"receive": SENDERS}}
    with Inspected("inspectors", unikernels) as f:
        weftd, descriptors = f.pid(), fabric.descriptors(f.pid())
        what = {}
        done, b = run_load(f, ["--forbidden", FORBIDDEN, "--allow-gap", "--idle", 60],
                           ["--forbidden", FORBIDDEN, "--allow-gap", "--rate", RATE, "--sizes", "mixed"],
                           lambda: what.update(kill_at_random(f, KILLS)))
        sent, refused = sum(s["sent"] for s in done), sum(s["refused"] for s in done)
        by_verdict = {}
        for s in done:
            for k, v in s["refusals"].items():
                by_verdict[k] = by_verdict.get(k, 0) + v
        lanes = f.inspectors()
        blamed = sum(x["blamed"] for x in lanes)
        note(f"{what}; {sent} messages sent, {b['received']} delivered, refused: {by_verdict}; {blamed} blamed, "
             f"{sum(x['died'] for x in lanes)} died, {sum(x['hung'] for x in lanes)} ended, back after "
             f"{max(x['back_ns_max'] for x in lanes) / 1e6:.1f} ms at most")
        # Nothing passes that must not; nothing is lost, and nothing has two verdicts.
        expect(b["escaped"] == 0 and not any(b[k] for k in ("doubled", "reordered", "changed", "downs")), f"receiver: {b}")
        for s in done:
            expect(s["lost"] == s["in_flight"] == s["downs"] == s["timeouts"] == 0 and s["sent"] > 0, f"sender: {s}")
        expect(sent == b["received"] + refused, f"{sent} sent, {b['received']} delivered, {refused} refused")
        expect(set(by_verdict) <= {"content_forbidden", "content_uninspected"}, f"refused: {by_verdict}")
        forbidden = sum(s["sent"] // FORBIDDEN for s in done)
        expect(forbidden - by_verdict.get("content_uninspected", 0) <= by_verdict["content_forbidden"] <= forbidden,
               f"{forbidden} had to be refused: {by_verdict}")
        for name, s in zip(SENDERS, done):
            verdicts = f.port(name)["verdicts"]
            expect(sum(verdicts.values()) == s["sent"] and verdicts.get("passed", 0) == s["sent"] - s["refused"],
                   f"weftd's numbers of {name}: {verdicts}, sent {s['sent']}, refused {s['refused']}")
        expect(f.pid() == weftd and fabric.alive(weftd), "weftd is another")
        kept = check_evidence(f)
        expect(kept == min(blamed, 64) or what["nursery"], f"{kept} kept as evidence, {blamed} blamed")
        # As before: all workers are there, and what is clean passes, and what is not does not.
        wait_for("all inspectors", lambda: all(x["pid"] for x in f.inspectors()), 10)
        time.sleep(2.5)  # a port that was held back is let go
        before = f.inspectors()
        done, b = run_load(f, ["--first", 50_000_001, "--count", 1000, "--idle", 20],  # bodies that no inspector died on
                           ["--first", 50_000_001, "--count", 1000])
        for s in done:
            expect(s["status"] == 0 and s["ok"] and s["sent"] == 1000 and s["refused"] == s["lost"] == 0, f"afterwards, sender: {s}")
        expect(b["status"] == 0 and b["ok"] and b["received"] == 1000 * len(SENDERS), f"afterwards, receiver: {b}")
        done, b = run_load(f, ["--forbidden", 1, "--idle", 60, "--allow-gap"],
                           ["--first", 60_000_001, "--forbidden", 1, "--count", 1000, "--allow-gap"], lambda: time.sleep(3))
        for s in done:
            expect(s["refusals"] == {"content_forbidden": s["sent"]}, f"afterwards, forbidden: {s}")
        expect(b["received"] == 0, f"afterwards, receiver of what is forbidden: {b}")
        after = f.inspectors()
        expect([x["pid"] for x in after] == [x["pid"] for x in before] and
               sum(x["items"] for x in after) - sum(x["items"] for x in before) >= 4000, f"afterwards: {before}, {after}")
        wait_for("as many descriptors as before", lambda: fabric.descriptors(weftd) <= descriptors, 10)
        log = f.log()
        expect("ssert" not in log, "weftd's log", log)


def test_the_modest_have_their_share():
    """One that sends as fast as it can, up to 60 KiB a message, beside 30 that ask 10 times a second, all on one lane."""
    names = [f"m{i}" for i in range(1, 31)]
    unikernels = {**{n: {"send": ["b"], "receive": ["b"]} for n in names}, "b": {"receive": names, "send": names},
                  "greedy": {"send": ["c"]}, "c": {"receive": ["greedy"]}}
    with Fabric("inspectors-share", unikernels) as f:
        b, c = f.soak("b", "--receive", "--senders", len(names), "--idle", 60), f.soak("c", "--receive", "--idle", 60)
        b.wait_up()
        c.wait_up()
        greedy = f.soak("greedy", "--to", "c", "--sizes", "mixed")
        modest = [f.soak(n, "--to", "b", "--reply", "--rate", 10, "--sizes", 200) for n in names]
        for s in modest:
            s.wait_up()
        time.sleep(5)
        for s in [greedy, *modest]:
            s.stop()
        much, few = greedy.summary(60), [s.summary(60) for s in modest]
        p50 = sorted(s["latency_us"]["p50"] for s in few)
        note(f"{much['sent']} messages of the greedy one; the others {min(s['replies'] for s in few)} to "
             f"{max(s['replies'] for s in few)} answers each, half of them within {p50[len(p50) // 2] / 1e3:.1f} ms "
             f"(the worst: {p50[-1] / 1e3:.1f} ms)")
        expect(much["sent"] > 30 * 50 and min(s["replies"] for s in few) >= 30, f"{much['sent']}; {[s['replies'] for s in few]}")
        expect(not any(s["refused"] or s["timeouts"] or s["lost"] for s in [much, *few]), "some were refused or lost")


def processes_of(weftd):
    """All that are weft-dpi and descend from this weftd; what it inherited, by descriptor."""
    parents = {}
    for d in os.listdir("/proc"):
        f = stat_fields(d) if d.isdigit() else None
        if f is not None:
            parents[int(d)] = int(f[1])
    nurseries = [p for p, parent in parents.items() if parent == weftd]
    return nurseries, [p for p, parent in parents.items() if parent in nurseries]


def test_nothing_is_left_of_it():
    """However weftd ends, its inspectors end too, a stopped one and a stopped nursery as well. They have none of its
    descriptors, and it keeps none of theirs: no zombie either."""
    with Inspected("inspectors-end", {"s1": {"send": ["b"]}, "b": {"receive": ["s1"]}}) as f:
        for stopped in ("none", "worker", "nursery", "down"):
            wait_for("inspectors", lambda: all(x["pid"] for x in f.inspectors()), 10)
            weftd = f.pid()
            nurseries, workers = processes_of(weftd)
            expect(len(nurseries) == 1 and len(workers) == LANES, f"{nurseries}, {workers}")
            for p in workers:
                got = sorted(os.readlink(f"/proc/{p}/fd/{fd}") for fd in os.listdir(f"/proc/{p}/fd"))
                expect(len(got) == 2 and "anon_inode:[eventfd]" in got, f"a worker's descriptors: {got}")
            got = [os.readlink(f"/proc/{nurseries[0]}/fd/{fd}") for fd in os.listdir(f"/proc/{nurseries[0]}/fd")]
            expect(not any(str(f.run) in x and ".log" not in x for x in got) and sum("socket:" in x for x in got) == 1,
                   f"the nursery's descriptors: {got}")
            if stopped == "worker":
                os.kill(workers[0], signal.SIGSTOP)
            elif stopped == "nursery":
                os.kill(nurseries[0], signal.SIGSTOP)
            began = time.monotonic()
            if stopped == "down":
                f.weft("down")
            else:
                os.kill(weftd, signal.SIGKILL)
            wait_for(f"the end of weftd's processes ({stopped} stopped)",
                     lambda all_of=nurseries + workers: not any(fabric.alive(p) for p in all_of), 10)
            note(f"{stopped}: all gone after {1e3 * (time.monotonic() - began):.0f} ms")
            f.up()


def test_restarts_leak_nothing():
    """Idle workers that are killed one after another, weftd's and the nursery's descriptors as before, and no zombie."""
    with Inspected("inspectors-leak", {"s1": {"send": ["b"]}, "b": {"receive": ["s1"]}}) as f:
        weftd = f.pid()
        nurseries, workers = processes_of(weftd)
        before = fabric.descriptors(weftd), fabric.descriptors(nurseries[0])
        for _ in range(KILLS):
            pid = wait_for("a worker", lambda: f.inspectors()[0]["pid"], 10)
            time.sleep(0.025) # many in a row that live shorter than this are put off
            os.kill(pid, signal.SIGKILL)
            wait_for("the next", lambda was=pid: f.inspectors()[0]["pid"] not in (0, was), 10, step=0.001)
        wait_for("descriptors as before", lambda: (fabric.descriptors(weftd), fabric.descriptors(nurseries[0])) == before, 5)
        after = processes_of(weftd)
        expect(after[0] == nurseries and len(after[1]) == len(workers), f"{nurseries}, {workers}: {after}")
        note(f"{KILLS} workers killed: {before} descriptors of weftd and of the nursery, before and after")


if __name__ == "__main__":
    sys.exit(fabric.main([test_the_modest_have_their_share, test_nothing_is_left_of_it, test_restarts_leak_nothing,
                          test_kills_without_a_fabric, test_kills_under_load]))
