# SPDX-License-Identifier: BSD-2-Clause
"""What several workers carry beside one, on a machine that has no core left for a load: the load puts a whole backlog into the
rings while the fabric is stopped, and then leaves the cores to it (bench/backlog.c says how the time is taken). Local conversations
have both ends on one worker, others cross from one to the other. bench/run.py runs it."""
import os
import pathlib
import subprocess

from harness import ROOT, STAGES, Fabric, Load, Road, accounts, expect, pair_names, pinned, stages_of, summary
from road import KIND, SIZE, in_turns

WORKERS = 2
ENTRIES = 4096          # of each ring, as many as the fabric takes, and messages of a backlog on each lane
BACKLOGS = 12           # of one figure, one after another
BUSY = 8                # lanes that a backlog is on
LANES = 2 * BUSY        # of the first half, both ends are on one worker, by turns on each; of the second they are on different ones
LOCAL, ACROSS, HALF = "1-8", "9-16", "1-4,9-12"
LOOKS_LEAST = 2         # from the first inside a backlog to the last
WINDOW = "64MiB"        # a backlog is within it
TRIES = 4 * BACKLOGS    # of which some are not seen inside, for others keep the load from looking


def worker_of(name):
    """Senders by turns; each receiver with its sender in the first half of the lanes, with the others in the second."""
    role, _, number = name.partition("-")
    lane = int(number or 1)
    return (lane - 1 + (role == "receiver" and lane > BUSY)) % WORKERS


class Backlog(Load):
    """bench/backlog: it finds the rings and puts a backlog into them while the fabric stands."""

    def __init__(self, fabric, core):
        for port, name in enumerate(pair_names(fabric.pairs), 1):
            fabric.launch_file(name, port)
        threads = sum((["--worker", str(t)] for t in fabric.threads), [])
        self.process = subprocess.Popen([fabric.build / "bench" / "backlog", "--lanes", str(fabric.pairs), "--entries",
                                         str(ENTRIES), "--fabric", str(fabric.process.pid), *threads, fabric.run_dir],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT,
                                        preexec_fn=pinned(core))
        try:
            expect(self.answer().get("up"), "the load has no session")
        except BaseException:
            self.stop()
            raise


def threads_of(fabric, cores):
    """The workers' threads, each of which may run on its own core alone, and does."""
    tasks = {int(t.name): (t / "comm").read_text().strip() for t in pathlib.Path("/proc/%d/task" % fabric.process.pid).iterdir()}
    threads = [fabric.process.pid]
    for number in range(1, len(cores)):
        named = [t for t, name in tasks.items() if name == "weft-worker-%d" % number]
        expect(len(named) == 1, "weftd has %d threads that are called weft-worker-%d" % (len(named), number))
        threads += named
    for number, (thread, core) in enumerate(zip(threads, cores)):
        expect(os.sched_getaffinity(thread) == {core}, "worker %d may run on %s, not on core %d alone" % (
            number, sorted(os.sched_getaffinity(thread)), core))
        stat = pathlib.Path("/proc/%d/task/%d/stat" % (fabric.process.pid, thread)).read_text().rpartition(")")[2].split()
        expect(int(stat[36]) == core, "worker %d runs on core %s, not %d" % (number, stat[36], core))
    told = [w["core"] for w in fabric.ask("stats")["workers"]]
    expect(told == list(cores), "the fabric says that its workers are on cores %s, not %s" % (told, list(cores)))
    return threads


class Several(Road):
    """A fabric with a worker on each of these cores; its load sleeps beside the last one."""

    def __init__(self, build, cores, load_core):
        super().__init__(build, ",".join(map(str, cores)), load_core, pairs=LANES,
                         settings={"workers": len(cores), "  window": "%s\n  pairs: %d" % (WINDOW, 2 * LANES)})
        self.cores = cores

    def make_fabric(self, folder):
        fabric = Fabric(self.build, folder, self.core, self.pairs, self.keys, worker_of if len(self.cores) > 1 else None)
        try:
            fabric.threads = threads_of(fabric, self.cores)
        except BaseException:
            fabric.stop()
            raise
        return fabric

    def make_load(self):
        return Backlog(self.fabric, self.load_core)

    def carry(self, lanes):
        """Some backlogs on these lanes, one after another; checked against the fabric's counters, those of each worker too."""
        order = ("backlog", KIND, SIZE, ENTRIES, lanes)
        what = "%s, %d workers: " % (" ".join(map(str, order)), len(self.cores))
        before, rows, sent = self.fabric.ask("stats"), [], 0
        for _ in range(TRIES):
            self.fabric.pause()
            os.waitid(os.P_PID, self.fabric.process.pid, os.WSTOPPED)  # every thread of it stands now
            row = self.load.order(*order)
            sent += row["sent"]
            if row["looks"] >= LOOKS_LEAST:
                rows.append(row)
            if len(rows) == BACKLOGS:
                break
        expect(len(rows) == BACKLOGS, what + "the load was not let look at the rings often enough: others keep its core busy")
        after = self.fabric.ask("stats")
        accounts(before, after, sent, what)
        for number, (b, a) in enumerate(zip(before["workers"], after["workers"])):
            for stage in STAGES:
                n = stages_of(a)[stage]["messages"] - stages_of(b)[stage]["messages"]
                expect(n >= sent // len(self.cores),
                       what + "stage %s of worker %d saw %d of %d messages" % (stage, number, n, sent))
        inside, ns = sum(r["inside"] for r in rows), sum(r["inside_ns"] for r in rows)
        waited, elapsed = sum(r["waited_ns"] for r in rows), sum(r["elapsed_ns"] for r in rows)
        return {"rate": inside * 1e9 / ns, "core": max(0.0, 1 - waited / elapsed / len(self.cores)),
                "looks": sum(r["looks"] for r in rows)}


def cores(s):
    """One worker, then two: local, all crossing, half of them; the fabrics are there at once, and take turns."""
    one, two = 1, WORKERS

    def carry(n, road):
        return {lanes: road.carry(lanes) for lanes in ((LOCAL,) if n == one else (LOCAL, ACROSS, HALF))}

    rows, settings = in_turns(s, "cores", {one: lambda: Several(s.build, (s.core,), s.load_core),
                                           two: lambda: Several(s.build, (s.core, s.load_core), s.load_core)}, carry)
    results = []
    for n, lanes, name, ratio in ((one, LOCAL, "1", None), (two, LOCAL, "2", "2.ratio"), (two, HALF, "2.half", "2.half_ratio"),
                                  (two, ACROSS, "2.across", "2.across_ratio")):
        p = {"kind": KIND, "bytes": SIZE, "workers": n, "settings": settings[n]}
        got = [r[lanes] for r in rows[n]]
        results += [summary("scale.cores.%s.mmsgs" % name, "M/s", [r["rate"] / 1e6 for r in got], backlog=ENTRIES * BUSY,
                            backlogs_per_run=BACKLOGS, looks=[r["looks"] for r in got], **p),
                    summary("scale.cores.%s.core" % name, "ratio", [r["core"] for r in got], **p)]
        if ratio:
            results.append(summary("scale.cores.%s" % ratio, "ratio",
                                   [a["rate"] / b[LOCAL]["rate"] for a, b in zip(got, rows[one])], **p))
    return results
