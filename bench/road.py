# SPDX-License-Identifier: BSD-2-Clause
"""What a whole fabric is measured for: the road of a message by kind and size, latency, scale by ports, what an idle one takes,
overload. Each measurement is a function from a Setting to results; bench/run.py says which, and in what order. The load and what
makes a run count are bench/harness.py's."""
import contextlib
import dataclasses
import functools
import json
import pathlib
import subprocess
import sys
import time

from harness import STAGES, Road, expect, pinned, summary

CASES = [(kind, size) for kind in ("typed", "numeric", "opaque") for size in (64, 256, 1400)] + [("order", "natural")]
WARM_UP = 20000         # messages; for kinds that are slow, as many as go in a run
RUN_SECONDS = 0.2
RUN_LEAST = 5000        # messages
TRIPS = 200000          # in all rounds together
HALF_LOAD_EVERY = 3     # so many kinds and sizes of a round: what disturbs it for a second is in one of several runs
PAUSES_SECONDS = 0.2
KIND, SIZE = "typed", 256  # of everything but the road itself
PORTS = [2, 10, 100, 1000]
BUSY_PORTS = 10
IDLE_SECONDS, IDLE_SLICE = 6, 1.0
SETTLE_SECONDS = 1.0
INSPECTED = ("opaque", 256)  # held against bare nDPI on the same bodies
BARE_SECONDS = 0.3
PERCENTILES = ["p50", "p90", "p99", "p999", "max"]
OVER = 2.0              # times what the fabric carries


@dataclasses.dataclass
class Setting:
    build: pathlib.Path
    core: int
    load_core: int
    rounds: int

    def road(self, **how):
        return Road(self.build, self.core, self.load_core, **how)


def say(text):
    print("  " + text, file=sys.stderr, flush=True)


def bytes_of(size):
    """What the load is told; orders come as long as they are."""
    return 64 if size == "natural" else size


def run_of(road, kind, size, pairs=1):
    """How many messages make a run; warms up. The second look is after the first one's faults and misses."""
    count = RUN_LEAST
    for _ in range(2):
        count = max(RUN_LEAST, int(road.measure(kind, bytes_of(size), min(count, WARM_UP), pairs)["rate"] * RUN_SECONDS))
    return count


def percentiles(name, rows, **params):
    """Results of runs that each have percentiles in ns."""
    return [summary("latency.%s.%s_us" % (name, p), "us", [r["ns"][p] / 1000 for r in rows], **params) for p in PERCENTILES]


def bare_ndpi(s, road):
    """Messages a second of bare nDPI on the fabric's core, which stands meanwhile, and on the bodies of the same messages."""
    kind, size = INSPECTED
    road.pause()
    try:
        p = subprocess.run([s.build / "bench" / "inspect", "--bare", kind, str(size), str(BARE_SECONDS)], check=False, text=True,
                           stdout=subprocess.PIPE, preexec_fn=pinned(s.core))
    finally:
        road.resume()
    expect(p.returncode == 0, "inspect --bare ended with %d" % p.returncode)
    return json.loads(p.stdout)["messages_per_s"]


def half_load(s, road, count):
    """One way at half of what it carries just now: a rate of a better moment could be all that it can do in this one. And what the
    pauses of both cores, while the fabric stands, would do to messages at this rate."""
    best = road.measure(KIND, SIZE, count)["rate"]
    row = {**road.pace(KIND, SIZE, count, best / 2), "asked": best / 2}
    road.pause()
    try:
        p = subprocess.run([s.build / "bench" / "pauses", str(s.core), str(s.load_core), str(int(PAUSES_SECONDS * 1000)),
                            str(int(best / 2)), str(int(best))], check=False, text=True, stdout=subprocess.PIPE,
                           preexec_fn=pinned())
    finally:
        road.resume()
    expect(p.returncode == 0, "pauses ended with %d" % p.returncode)
    return row, json.loads(p.stdout)


def whole_road(s):
    """Every kind and size in turn, half of the best load between them, then round trips, the whole round several times: a slow
    moment of the machine meets all."""
    runs, trips, half, bare = {c: [] for c in CASES}, [], [], []
    with s.road() as road:
        counts = {case: run_of(road, *case) for case in CASES}
        for number in range(s.rounds):
            say("the road, round %d of %d" % (number + 1, s.rounds))
            for i, (kind, size) in enumerate(CASES):
                if (kind, size) == INSPECTED:
                    bare.append(bare_ndpi(s, road))
                runs[kind, size].append(road.measure(kind, bytes_of(size), counts[kind, size]))
                if i % HALF_LOAD_EVERY == HALF_LOAD_EVERY - 1:
                    half.append(half_load(s, road, counts[KIND, SIZE]))
            trips.append(road.trips(KIND, SIZE, TRIPS // s.rounds + 1))
    results = []
    for (kind, size), rows in runs.items():
        p = {"kind": kind, "bytes": size, "messages_per_run": counts[kind, size], "settings": road.settings}
        name = "road.%s.%s." % (kind, size)
        results += [summary(name + "mmsgs", "M/s", [r["rate"] / 1e6 for r in rows], **p),
                    summary(name + "stages.ns", "ns", [r["sum"] for r in rows], **p),
                    summary(name + "busy", "ratio", [r["busy"] for r in rows], **p),
                    summary(name + "core", "ratio", [r["core"] for r in rows], **p),
                    summary(name + "burst", "messages", [r["burst"] for r in rows], **p)]
        results += [summary(name + "stage.%s.ns" % stage, "ns", [r["stages"][stage] for r in rows], **p) for stage in STAGES]
    p = {"kind": INSPECTED[0], "bytes": INSPECTED[1], "settings": road.settings}
    results += [summary("road.%s.%d.ndpi_raw.mmsgs" % INSPECTED, "M/s", [b / 1e6 for b in bare], **p),
                summary("road.%s.%d.ratio_ndpi_raw" % INSPECTED, "ratio", [r["rate"] / b for r, b in zip(runs[INSPECTED], bare)],
                        **p)]
    p = {"kind": KIND, "bytes": SIZE, "settings": road.settings}
    results += percentiles("roundtrip", trips, trips_per_run=trips[0]["sent"], **p)
    rates = [round(r["asked"] / 1e6, 3) for r, _ in half]
    results += percentiles("half_load", [r for r, _ in half], messages_per_run=half[0][0]["sent"], rates_mmsgs=rates, **p)
    results += percentiles("half_load.pauses", [r for _, r in half], rates_mmsgs=rates, paused=[r["paused"] for _, r in half], **p)
    return results


def in_turns(s, what, roads, measure):
    """roads, made by functions, all there at once: who is not measured is stopped. measure(key, road) each round, in alternating
    order; returns its rows by key, and the settings."""
    open_roads, rows, settings = {}, {key: [] for key in roads}, {}
    with contextlib.ExitStack() as ends:
        for key, make in roads.items():
            say("%s: %s" % (what, key))
            open_roads[key] = ends.enter_context(make())
            settings[key] = open_roads[key].settings
            measure(key, open_roads[key])
            open_roads[key].pause()
        for number in range(s.rounds):
            say("%s, round %d of %d" % (what, number + 1, s.rounds))
            for key in (list(roads) if number % 2 == 0 else list(roads)[::-1]):
                open_roads[key].resume()
                rows[key].append(measure(key, open_roads[key]))
                open_roads[key].pause()
    return rows, settings


def ports(s):
    """Ten busy ports, alone and among more that are attached, with their sessions, and quiet; two ports beside them."""
    counts = {}

    def run(n, road):
        if n not in counts:
            counts[n] = run_of(road, KIND, SIZE, road.busy)
        return road.measure(KIND, SIZE, counts[n], road.busy)

    rows, settings = in_turns(s, "ports", {n: functools.partial(s.road, pairs=n // 2, busy=min(n, BUSY_PORTS) // 2) for n in PORTS},
                              run)
    results = []
    for n in PORTS:
        p = {"kind": KIND, "bytes": SIZE, "ports": n, "busy_ports": min(n, BUSY_PORTS), "messages_per_run": counts[n],
             "settings": settings[n]}
        results.append(summary("scale.ports.%d.mmsgs" % n, "M/s", [r["rate"] / 1e6 for r in rows[n]], **p))
    few, many = rows[BUSY_PORTS], rows[PORTS[-1]]
    results.append(summary("scale.ports.%d.ratio" % PORTS[-1], "ratio", [a["rate"] / b["rate"] for a, b in zip(many, few)],
                           kind=KIND, bytes=SIZE, ports=PORTS[-1], busy_ports=BUSY_PORTS, settings=settings[PORTS[-1]]))
    return results


def idle(s):
    """What a fabric takes of a core, all of its threads and processes together, while four ports have sessions and are quiet."""
    with s.road(pairs=2, settings={"poll": "sleep", "inspect": "isolated"}) as road:
        road.measure(KIND, SIZE, WARM_UP)
        time.sleep(SETTLE_SECONDS)
        values = []
        for _ in range(int(IDLE_SECONDS / IDLE_SLICE)):
            cpu, wall = road.fabric.cpu_all_ns(), time.monotonic_ns()
            time.sleep(IDLE_SLICE)
            values.append(100 * (road.fabric.cpu_all_ns() - cpu) / (time.monotonic_ns() - wall))
        after = road.measure(KIND, SIZE, WARM_UP)  # it was idle, not dead
        expect(after["received"] > 0, "the fabric did not wake up again")
    return [summary("idle.cpu", "percent", values, ports=4, seconds=IDLE_SECONDS, settings=road.settings)]


def overload(s, seconds, slices=1):
    """Twice what the fabric carries is due by the clock, for so long, in so many runs; before each and after the last, what it
    carries at best. Nothing may be lost: what was sent arrived or was refused with a verdict (harness.py ends a run with an error
    where that is not so), and what could not be sent was held back by the window."""
    bests, rows = [], []
    with s.road() as road:
        count = run_of(road, KIND, SIZE) * 5
        for number in range(slices):
            say("overload, %d of %d" % (number + 1, slices))
            bests.append(road.measure(KIND, SIZE, count)["rate"])
            rows.append(road.overload(KIND, SIZE, seconds / slices, OVER * max(bests)))
        bests.append(road.measure(KIND, SIZE, count)["rate"])
    ratios = [r["rate"] * 2 / (bests[i] + bests[i + 1]) for i, r in enumerate(rows)]
    p = {"kind": KIND, "bytes": SIZE, "seconds": seconds, "settings": road.settings}
    return [summary("overload.goodput_ratio", "ratio", ratios, **p),
            summary("overload.lost", "messages", [r["sent"] - r["received"] - r["refused"] for r in rows], **p),
            summary("overload.goodput.mmsgs", "M/s", [r["rate"] / 1e6 for r in rows], **p),
            summary("overload.offered.mmsgs", "M/s", [r["offered"] * 1e3 / r["elapsed_ns"] for r in rows], **p),
            summary("overload.held_back", "ratio", [1 - r["sent"] / r["offered"] for r in rows],
                    held_turns=[r["held"] for r in rows], **p)]
