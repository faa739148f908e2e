#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""As many ports as a fabric may have, all attached at once: some of them talk, half of them leave and come back, all of them leave.
No descriptor stays behind, and a fabric of so many quiet ports sleeps. Prints TAP."""
import contextlib
import resource
import sys
import time

import fabric
from fabric import Fabric, Skipped, alive, cpu_seconds, descriptors, expect, note, wait_for
from test_frontend import FrontEnd, served

PORTS = 1000  # FAB_UNIKERNELS_MAX
PAIRS = 4  # of process endpoints that talk; the other ports have front-ends that shake hands and are quiet
NEEDED = 512 + 16 * PORTS  # descriptors: fabric/vhost.c
ATTACH_S = 20
SETTLE_S = 2
MEASURE_S = 5
SHARE_MAX = 0.05


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def attach(f, names, stack):
    """Attaches a front-end to each; returns them, and says how long it took."""
    began = time.monotonic()
    fronts = {n: stack.enter_context(FrontEnd(f, n)).attach() for n in names}
    took = time.monotonic() - began
    note(f"{len(names)} ports attached in {took:.1f} s, {1000 * took / len(names):.2f} ms each")
    expect(took < ATTACH_S, f"{len(names)} ports took {took:.1f} s")
    return fronts


def talk(f):
    """Each pair says 500 messages, all at the same time."""
    receivers = [f.soak(f"r{i}", "--receive", "--count", 500, "--idle", 20) for i in range(PAIRS)]
    for r in receivers:
        r.wait_up()
    senders = [f.soak(f"s{i}", "--to", f"r{i}", "--count", 500) for i in range(PAIRS)]
    for s in senders + receivers:
        got = s.summary(20)
        expect(got["ok"] and got.get("received", 500) in (0, 500), f"{s.name}: {got}")


def test_a_thousand_ports():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < NEEDED:
        raise Skipped(f"only {hard} descriptors are allowed, {NEEDED} are needed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names = [f"m{i}" for i in range(PORTS - 2 * PAIRS)]
    pairs = {f"s{i}": {"send": [f"r{i}"]} for i in range(PAIRS)} | {f"r{i}": {"receive": [f"s{i}"]} for i in range(PAIRS)}
    began = time.monotonic()
    try:
        with Fabric("many", {**pairs, **{n: {} for n in names}}) as f, contextlib.ExitStack() as all_of_them:
            note(f"weft up: {time.monotonic() - began:.1f} s")
            pid, none, small = f.pid(), descriptors(f.pid()), rss_kib(f.pid())
            half = all_of_them.enter_context(contextlib.ExitStack())
            rest = attach(f, names[::2], all_of_them)
            more = attach(f, names[1::2], half)
            for front in (*rest.values(), *more.values()):
                served(f, front)
            full = descriptors(pid)
            note(f"weftd: {none} descriptors and {small} KiB before, {full} and {rss_kib(pid)} KiB now")
            talk(f)

            time.sleep(SETTLE_S)
            before, start = cpu_seconds(pid), time.monotonic()
            time.sleep(MEASURE_S)
            share = (cpu_seconds(pid) - before) / (time.monotonic() - start)
            note(f"quiet: {100 * share:.2f}% of a core")
            expect(share < SHARE_MAX, f"weftd used {100 * share:.1f}% of a core")

            half.close()
            wait_for("half of them to be gone", lambda: descriptors(pid) <= (none + full) // 2 + PAIRS, 10)
            more = attach(f, names[1::2], half)
            for front in (*rest.values(), *more.values()):
                at = front.taken()
                front.frame()
                wait_for("a frame to be taken", lambda x=front, n=at: x.taken() != n, 5, 0.001)
            talk(f)
            wait_for("as many descriptors as before", lambda: descriptors(pid) == full, 5)
            all_of_them.close()
            wait_for("no descriptor to be left", lambda: descriptors(pid) <= none, 10)
            expect(alive(pid) and f.pid() == pid, "weftd ended", f.log()[-2000:])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


if __name__ == "__main__":
    sys.exit(fabric.main([test_a_thousand_ports]))
