#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""An idle fabric with four ports uses less than two percent of a core, its inspectors included: with process endpoints, with guests,
and after traffic has ended. Prints TAP."""
import sys
import time

import fabric
from fabric import Fabric, Skipped, cpu_seconds, expect, note

SETTLE_S = 2
MEASURE_S = 10
SHARE_MAX = 0.02
NAMES = ["p1", "p2", "p3", "p4"]


def shares(pids):
    """CPU of each process over MEASURE_S, as a share of one core."""
    time.sleep(SETTLE_S)
    before, start = {n: cpu_seconds(p) for n, p in pids.items()}, time.monotonic()
    time.sleep(MEASURE_S)
    took = time.monotonic() - start
    return {n: (cpu_seconds(p) - before[n]) / took for n, p in pids.items()}


def idle(f, others):
    """weftd's share and its inspectors' are small; the others' shares are told."""
    for n in NAMES:
        expect(f.port(n)["state"] == "up", f"{n} is not up: {f.port(n)}")
    frames = sum(f.port(n)["frames_taken"] for n in NAMES)
    workers = [x["pid"] for x in fabric.wait_for("weftd's numbers", f.stats, 10)["inspectors"]]
    expect(workers and all(workers), f"inspectors: {workers}")
    ours = {"weftd": f.pid(), "weft-dpi": int(fabric.stat_fields(workers[0])[1]),
            **{f"weft-dpi-{k}": pid for k, pid in enumerate(workers)}}
    got = shares({**ours, **others})
    note(", ".join(f"{n} {100 * s:.2f}%" for n, s in got.items()))
    used = sum(got[n] for n in ours)
    expect(used < SHARE_MAX, f"weftd and its inspectors used {100 * used:.1f}% of a core: {got}")
    for n in NAMES:
        expect(f.port(n)["state"] == "up", f"{n} is no longer up: {f.port(n)}")
    note(f"{sum(f.port(n)['frames_taken'] for n in NAMES) - frames} frames came meanwhile")


def test_process_endpoints():
    """Four endpoints that are up and say nothing; then the same after traffic between two of them."""
    with Fabric("idle", {n: {"send": [NAMES[0]] if n != NAMES[0] else [], "receive": [] if n != NAMES[0] else NAMES[1:]}
                         for n in NAMES}) as f:
        ends = {n: f.soak(n, "--receive", "--progress", 60000, "--idle", 3600) for n in NAMES[:3]}
        ends[NAMES[3]] = f.soak(NAMES[3], "--receive", "--to", NAMES[0], "--count", 5000, "--hold", "--progress", 60000,
                                "--idle", 3600)
        for e in ends.values():
            e.wait_up()
        pids = {n: e.process.pid for n, e in ends.items()}
        idle(f, pids)
        ends[NAMES[3]].process.send_signal(fabric.signal.SIGUSR1)
        fabric.wait_for("traffic", lambda: f.port(NAMES[0])["messages_delivered"] == 5000, 20)
        idle(f, pids)
        for e in ends.values():
            expect(e.process.poll() is None, f"{e.name} ended")


def test_guests():
    """Four guests under QEMU that are up and say nothing."""
    why = fabric.have_guests("service_soak")
    if why:
        raise Skipped(why)
    with Fabric("idle-guests", {n: {"image": "service_soak", "set": {"role": "receive"}, "receive": [o for o in NAMES if o != n],
                                    "send": [o for o in NAMES if o != n]} for n in NAMES}) as f:
        idle(f, {n: f.pid(n) for n in NAMES})


if __name__ == "__main__":
    sys.exit(fabric.main([test_process_endpoints, test_guests]))
