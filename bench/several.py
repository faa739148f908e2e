# SPDX-License-Identifier: BSD-2-Clause
"""What several workers carry beside one, on a machine that has no core left for a load: the load puts a whole backlog into the
rings while the fabric is stopped, and then leaves the cores to it (bench/backlog.c says how the time is taken). Local conversations
have both ends on one worker, others cross from one to the other. bench/run.py runs it."""
import contextlib
import dataclasses
import os
import pathlib
import subprocess

from harness import ROOT, STAGES, Fabric, Load, Road, accounts, expect, pair_names, pinned, stages_of, summary
from road import KIND, SIZE, say

WORKERS = 2
ENTRIES = 4096          # of each ring, as many as the fabric takes, and messages of a backlog on each lane
BACKLOGS = 12           # of one figure, one after another
BUSY = 8                # lanes that a backlog is on
LANES = 2 * BUSY        # of the first half, both ends are on one worker, by turns on each; of the second they are on different ones
LOCAL, ACROSS, HALF = "1-8", "9-16", "1-4,9-12"
LOOKS_LEAST = 2         # from the first inside a backlog to the last
WINDOW = "2MiB"         # a backlog is within it
TRIES = 20              # for a backlog that was seen inside: others may keep the load from looking


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

    def backlog(self, lanes):
        """One backlog on these lanes; the fabric stands before and afterwards. None: its inside was not seen."""
        row = self.load.order("backlog", KIND, SIZE, ENTRIES, lanes)
        self.halt()
        self.sent += row["sent"]
        return row if row["looks"] >= LOOKS_LEAST else None

    def halt(self):
        """Every thread of the fabric, which runs, stands when it returns."""
        self.pause()
        os.waitid(os.P_PID, self.fabric.process.pid, os.WSTOPPED)

    def begin(self):
        self.resume()
        self.sent, self.before = 0, self.fabric.ask("stats")
        self.halt()

    def end(self):
        """What was sent since begin() is held against the fabric's counters, those of each worker too."""
        self.resume()
        what, after = "%d workers: " % len(self.cores), self.fabric.ask("stats")
        accounts(self.before, after, self.sent, what)
        for number, (b, a) in enumerate(zip(self.before["workers"], after["workers"])):
            for stage in STAGES:
                n = stages_of(a)[stage]["messages"] - stages_of(b)[stage]["messages"]
                expect(n >= self.sent // len(self.cores),
                       what + "stage %s of worker %d saw %d of %d messages" % (stage, number, n, self.sent))
        self.halt()


@dataclasses.dataclass
class Figure:
    """Backlogs of one round on some lanes of one fabric."""
    road: Several
    lanes: str
    rows: list = dataclasses.field(default_factory=list)

    def add(self):
        for _ in range(TRIES):
            row = self.road.backlog(self.lanes)
            if row:
                self.rows.append(row)
                return
        expect(False, "the load was not let look at the rings: others keep its core busy")

    def of(self, key):
        return sum(r[key] for r in self.rows)

    def rate(self):
        return self.of("inside") * 1e3 / self.of("inside_ns")

    def core(self):
        return max(0.0, 1 - self.of("waited_ns") / self.of("elapsed_ns") / len(self.road.cores))


def a_round(first, second, both):
    """One worker on either core, and two, backlog by backlog: a moment in which a core is slow meets all."""
    figures = {"first": Figure(first, LOCAL), "second": Figure(second, LOCAL), "2": Figure(both, LOCAL),
               "2.half": Figure(both, HALF), "2.across": Figure(both, ACROSS)}
    for r in (first, second, both):
        r.begin()
    for number in range(BACKLOGS):
        for f in (list(figures.values()) if number % 2 == 0 else list(figures.values())[::-1]):
            f.add()
    for r in (first, second, both):
        r.end()
    rates, on = ({k: of(f) for k, f in figures.items()} for of in (Figure.rate, Figure.core))
    # Cores differ, by who else is on them: one worker is what it is on both, in the middle.
    for d in (rates, on):
        d["1"] = (d.pop("first") + d.pop("second")) / 2
    return rates, on, sum(f.of("looks") for f in figures.values()) / len(figures) / BACKLOGS


def cores(s):
    """One worker, on either core, and two: local, all crossing, half of them."""
    rounds = []
    with contextlib.ExitStack() as ends:
        say("cores")
        roads = []
        for where, load_core in (((s.core,), s.load_core), ((s.load_core,), s.core), ((s.core, s.load_core), s.load_core)):
            roads.append(ends.enter_context(Several(s.build, where, load_core)))
            roads[-1].halt()
        a_round(*roads)
        for number in range(s.rounds):
            say("cores, round %d of %d" % (number + 1, s.rounds))
            rounds.append(a_round(*roads))
    results = []
    each = {"backlogs_per_run": BACKLOGS, "messages_per_backlog": ENTRIES * BUSY, "looks": [round(n, 1) for _, _, n in rounds]}
    for name, road in (("1", roads[0]), ("2", roads[2]), ("2.half", roads[2]), ("2.across", roads[2])):
        p = {"kind": KIND, "bytes": SIZE, "workers": len(road.cores), "settings": road.settings}
        results += [summary("scale.cores.%s.mmsgs" % name, "M/s", [rates[name] for rates, _, _ in rounds], **each, **p),
                    summary("scale.cores.%s.core" % name, "ratio", [on[name] for _, on, _ in rounds], **p)]
        if name != "1":
            results.append(summary("scale.cores.%s%sratio" % (name, "_" if "." in name else "."), "ratio",
                                   [rates[name] / rates["1"] for rates, _, _ in rounds], **p))
    return results
