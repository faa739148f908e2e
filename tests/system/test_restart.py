#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a killed weftd, guest or process endpoint does to the traffic: it resumes by itself within two seconds, nothing is
delivered twice, what has no known outcome is reported as lost, and nobody else notices. Each is done several times and
the times are printed. Prints TAP."""
import contextlib
import re
import subprocess
import sys
import threading
import time

import fabric
from fabric import Fabric, Skipped, expect, note, started_at, wait_for

RESUME_S = 2.0
TIMES = 5
REPORT = re.compile(r"^soak: received=(\d+) newest=(\d+) bytes=\d+ doubled=(\d+) missing=(\d+) reordered=(\d+) changed=(\d+)$",
                    re.M)
NO_WRONGS = ("doubled", "reordered", "changed")


def need_guests():
    why = fabric.have_guests("service_soak")
    if why:
        raise Skipped(why)


def first_delivery(f, to):
    """Waits until weftd has delivered something to a port; the time until then since weftd's process began."""
    s = wait_for("weftd's answer", f.stats, 15, 0.005)
    began = started_at(s["pid"])
    wait_for("the first delivery", lambda: f.port(to).get("messages_delivered"), 15, 0.005)
    return time.monotonic() - began


@contextlib.contextmanager
def coming_up(f):
    """`weft up` in the background: it waits for guests, and we want to look on."""
    result = []
    t = threading.Thread(target=lambda: result.append(f.weft("up")))
    t.start()
    try:
        yield
    finally:
        t.join()
    # Status 1: somebody had come back only half when it looked; the test itself looks on.
    expect(result and result[0][0] in (0, 1) and "weftd started" in result[0][1], f"weft up: {result}")


def kill_weftd_often(f, to, pause):
    """Kills weftd TIMES times; returns how long each new one took to deliver."""
    took = []
    for _ in range(TIMES):
        wait_for("traffic", lambda: f.port(to).get("messages_delivered", 0) > 20, 10)
        time.sleep(pause)
        f.kill()
        with coming_up(f):
            took.append(first_delivery(f, to))
    note("first delivery after the new weftd's start, ms: " + ", ".join(f"{1000 * t:.0f}" for t in took))
    expect(max(took) < RESUME_S, f"resumed after {max(took):.2f} s")
    wait_for("traffic", lambda: f.port(to).get("messages_delivered", 0) > 20, 10)
    return took


def gone(f, name):
    """Waits until weftd has let go of a port; returns how much it had delivered there."""
    return wait_for(f"the end of {name} at weftd", lambda: (lambda p: p.get("state") == "detached" and
                    (p["messages_delivered"], ))(f.port(name)), 5, 0.002)[0]


def account(sa, sb):
    """Every message has one outcome, and what is known to be delivered has come."""
    note(f"sent {sa['sent']}, received {sb['received']}, refused {sa['refused']} {sa['refusals']}, lost {sa['lost']}")
    expect(not any(sb[k] for k in NO_WRONGS), f"receiver: {sb}")
    expect(sa["in_flight"] == 0, f"outcomes missing: {sa}")
    expect(sb["received"] <= sa["sent"] - sa["refused"], f"more came than was not refused: {sa} {sb}")
    expect(sb["received"] >= sa["sent"] - sa["refused"] - sa["lost"], f"lost without a word: {sa} {sb}")


def processes(name, rate, pause):
    with Fabric(name, {"a": {"send": ["b"]}, "b": {"receive": ["a"]}}) as f:
        b = f.soak("b", "--receive", "--allow-gap", "--idle", 60)
        b.wait_up()
        a = f.soak("a", "--to", "b", "--allow-gap", *rate)
        kill_weftd_often(f, "b", pause)
        a.stop()
        sa = a.summary(20)
        b.stop()
        sb = b.summary(20)
        expect(sa["ups"] == sb["ups"] == TIMES + 1, f"sessions: {sa['ups']} and {sb['ups']}")
        account(sa, sb)


def test_weftd_under_processes():
    """weftd is killed under process endpoints with some traffic."""
    processes("restart-processes", ["--rate", 300], 0.2)


def test_weftd_under_processes_with_heavy_traffic():
    """The same while the sender sends all that goes."""
    processes("restart-processes-heavy", [], 0.5)


def test_process_killed_with_heavy_traffic():
    """The receiving process is killed and started again. Its number file outlives it, so a message that came to both
    instances would be seen. Two others talk on and notice nothing."""
    with Fabric("restart-process", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}, "c": {"send": ["d"]},
                                    "d": {"receive": ["c"]}}) as f:
        keep = ["--receive", "--allow-gap", "--idle", 60, "--last", f.folder / "last"]
        b = f.soak("b", *keep)
        d = f.soak("d", "--receive", "--idle", 60)
        b.wait_up()
        d.wait_up()
        c = f.soak("c", "--to", "d", "--rate", 2000)
        a = f.soak("a", "--to", "b", "--allow-gap")
        took = []
        for _ in range(TIMES):
            time.sleep(0.4)
            b.process.kill()
            b.process.wait(5)
            before = gone(f, "b")
            b = f.soak("b", *keep)
            wait_for("the first delivery", lambda n=before: f.port("b").get("messages_delivered", 0) > n, 10, 0.002)
            took.append(time.monotonic() - started_at(b.process.pid))
        note("first delivery after the new process's start, ms: " + ", ".join(f"{1000 * t:.0f}" for t in took))
        expect(max(took) < RESUME_S, f"resumed after {max(took):.2f} s")
        a.stop()
        sa = a.summary(20)
        b.stop()
        sb = b.summary(20)
        note(f"sent {sa['sent']}, refused {sa['refusals']}, lost {sa['lost']}")
        expect(not any(sb[k] for k in NO_WRONGS) and sb["received"], f"receiver: {sb}")
        expect(sa["downs"] == 0 and sa["in_flight"] == 0 and sa["lost"] == 0 and
               not set(sa["refusals"]) - {"peer_down", "receiver_gone"}, f"the sender noticed more: {sa}")
        bystanders(c, d)


def bystanders(c, d):
    """Two endpoints that had nothing to do with it lost nothing."""
    c.stop()
    sc = c.summary(20)
    wait_for("the rest", lambda: d.events()[-1]["received"] >= sc["sent"], 10)
    d.stop()
    sd = d.summary(20)
    expect(sc["downs"] == sd["downs"] == 0 and sc["refused"] == sc["lost"] == 0 and sd["received"] == sc["sent"] and
           not sd["missing"] and not any(sd[k] for k in NO_WRONGS), f"bystanders: {sc} {sd}")


def report(f, name):
    """The last report of a guest that receives, as numbers."""
    found = REPORT.findall(f.console(name))
    return dict(zip(("received", "newest", "doubled", "missing", "reordered", "changed"), map(int, found[-1]))) \
        if found else {}


def guest_right(f, name):
    r = report(f, name)
    expect(r and not any(r[k] for k in NO_WRONGS) and "died" not in f.console(name), f"{name}: {r}",
           f.console(name)[-500:])
    return r


def test_weftd_under_guests():
    """weftd is killed under a guest that receives from a process; some traffic."""
    need_guests()
    with Fabric("restart-guest", {"sink": {"image": "service_soak", "set": {"role": "receive"}, "receive": ["a"]},
                                  "a": {"send": ["sink"]}}) as f:
        a = f.soak("a", "--to", "sink", "--allow-gap", "--rate", 300)
        kill_weftd_often(f, "sink", 0.2)
        wait_for("a report", lambda: report(f, "sink").get("received", 0) >= 1000, 20)
        a.stop()
        sa = a.summary(20)
        note(f"sent {sa['sent']}, refused {sa['refusals']}, lost {sa['lost']}")
        expect(sa["in_flight"] == 0 and sa["ups"] == TIMES + 1, str(sa))
        guest_right(f, "sink")


def test_weftd_under_guests_with_heavy_traffic():
    """weftd is killed under two guests, one of which sends all that goes to the other."""
    need_guests()
    with Fabric("restart-guests", {"sink": {"image": "service_soak", "set": {"role": "receive", "to": "source"},
                                            "send": ["source"], "receive": ["source"]},
                                   "source": {"image": "service_soak", "send": ["sink"], "receive": ["sink"],
                                              "set": {"role": "send", "to": "sink", "count": 100000000}}}) as f:
        kill_weftd_often(f, "sink", 0.5)
        n = report(f, "sink").get("received", 0)
        wait_for("more", lambda: report(f, "sink").get("received", 0) > n + 2000, 20)
        note(str(guest_right(f, "sink")))
        expect(f.console("source").count("soak: session up") == TIMES + 1 and "died" not in f.console("source"),
               "sessions of the source", f.console("source")[-500:])


def test_guest_killed():
    """The receiving guest is killed; `weft up` and `weft restart` start it again in turn, while a process sends to it.
    Two others talk on and notice nothing."""
    need_guests()
    with Fabric("restart-sink", {"sink": {"image": "service_soak", "set": {"role": "receive"}, "receive": ["a"]},
                                 "a": {"send": ["sink"]}, "c": {"send": ["d"]}, "d": {"receive": ["c"]}}) as f:
        d = f.soak("d", "--receive", "--idle", 60)
        d.wait_up()
        c = f.soak("c", "--to", "d", "--rate", 500)
        a = f.soak("a", "--to", "sink", "--allow-gap", "--rate", 2000)
        took, newest = [], 0
        for i in range(TIMES):
            wait_for("a report", lambda: report(f, "sink").get("newest", 0) > newest, 20)
            newest = report(f, "sink")["newest"]
            guest_right(f, "sink")
            f.kill("sink")
            before = gone(f, "sink")
            ended = []
            t = threading.Thread(target=lambda: ended.append(
                f.up() if i % 2 else restart(f, "sink")))
            old = f.pid("sink")
            t.start()
            wait_for("the new guest", lambda n=old: f.pid("sink") != n, 20, 0.005)
            wait_for("the first delivery", lambda n=before: f.port("sink").get("messages_delivered", 0) > n, 20, 0.005)
            took.append(time.monotonic() - started_at(f.pid("sink")))
            t.join()
            expect(ended, "the command failed")
            first = wait_for("a first message", lambda n=i: re.findall(r"^soak: first=(\d+)$", f.console("sink"), re.M), 20)
            expect(int(first[-1]) > newest, f"the new instance got {first[-1]}, the old one had {newest}")
        note("first delivery after the new guest's start, ms: " + ", ".join(f"{1000 * t:.0f}" for t in took))
        expect(max(took) < RESUME_S, f"resumed after {max(took):.2f} s")
        a.stop()
        sa = a.summary(20)
        note(f"sent {sa['sent']}, refused {sa['refusals']}, lost {sa['lost']}")
        expect(sa["downs"] == 0 and sa["in_flight"] == 0 and sa["lost"] == 0 and
               not set(sa["refusals"]) - {"peer_down", "receiver_gone"}, f"the sender noticed more: {sa}")
        bystanders(c, d)


def restart(f, name):
    p = subprocess.run([fabric.BUILD / "bin" / "weft", "restart", name, f.folder / "fabric.yaml"], text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    expect(p.returncode == 0, f"weft restart: status {p.returncode}", p.stdout)
    return p.stdout


if __name__ == "__main__":
    sys.exit(fabric.main([test_weftd_under_processes, test_weftd_under_processes_with_heavy_traffic,
                          test_process_killed_with_heavy_traffic, test_weftd_under_guests,
                          test_weftd_under_guests_with_heavy_traffic, test_guest_killed]))
