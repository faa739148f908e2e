#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What became slower or faster from one run of the benchmark to another, and how sure that is. Exit status: 0 nothing became
slower, 1 something did, 2 the files cannot be compared. What counts as a change is said in docs/bench.md; the statistics are in
bench/confidence.py."""
import argparse
import dataclasses
import math
import re
import signal
import sys
import textwrap

import confidence
import results

WIDTH = 132
# Changes below these are not worth a word, however certain: clocks and rounding make such, too.
THRESHOLD_PERCENT = 5
FLOORS = {"ns": 1.0, "us": 0.05, "µs": 0.05, "percent": 0.25, "MiB": 1.0}
# Without samples nothing can be tested; what moved by more than this, with ranges that do not meet, is at least shown.
UNTESTED_PERCENT = 25
# So many results of others' programs must be there before what they have in common is taken for the machine.
OTHERS_LEAST = 4
# The part of its core that the fabric must have had, by the median; below, the wall's clock measures others.
CORE_LEAST = 0.9
# What is timed by the wall while the fabric runs. (Parts by themselves take CPU time, or the least of many short rounds.)
BY_THE_WALL = re.compile(r"^(road|latency|scale|idle|overload|peer|policy\.swap)\.")
# Parameters in which two runs should agree. Not `took` or `load`, in which no two do.
MUST_AGREE = ("machine", "cores", "system", "libraries", "settings", "version")
SLOWER, FASTER, SAME, UNSURE = "slower", "faster", "same", "unsure"


@dataclasses.dataclass
class Change:
    """One result in both runs. Amounts are logarithms of ratios (or differences, where something is not positive), turned so that
    more is worse."""
    a: results.Result
    b: results.Result
    by: float            # of the medians
    best_by: float       # of the best samples: noise only ever makes them worse, so they say most of the code
    low: float = -math.inf
    high: float = math.inf
    p: float = None      # adjusted; None where there are no samples, or too few
    logarithmic: bool = True
    verdict: str = SAME

    def percent(self, amount):
        """What the amount is of the value in a, as the reader sees the value: up is plus."""
        sign = -1 if self.a.better > 0 else 1
        if not self.logarithmic:
            return 100 * sign * amount / max(abs(self.a.value), abs(self.b.value), 1e-12)
        return 100 * (math.exp(sign * amount) - 1) if abs(amount) < 50 else math.inf * sign * amount


def best(r):
    return r.max if r.better > 0 else r.min


def compared(a, b):
    """A Change, not yet judged, of two results of one key."""
    sign = -1 if a.better > 0 else 1
    log = min(a.min, b.min, *a.samples, *b.samples) > 0
    scale = math.log if log else float
    change = Change(a, b, sign * (scale(b.value) - scale(a.value)), sign * (scale(best(b)) - scale(best(a))), logarithmic=log)
    # A ratio's best is where the other side had its worst moment.
    if a.unit == "ratio":
        change.best_by = change.by
    return change


def test(changes):
    """Adds confidence to those that have samples."""
    def scaled(c, r):
        return [math.log(s) if c.logarithmic else s for s in r.samples]

    pairs = [(scaled(c, c.a), scaled(c, c.b)) for c in changes]
    for change, pair, p in zip(changes, pairs, confidence.adjusted(pairs)):
        change.p = p
        if p is not None:
            _, low, high = confidence.shift_interval(*pair)
            change.low, change.high = (-high, -low) if change.a.better > 0 else (low, high)


def drift(changes):
    """By how much (a logarithm, more is slower) the machine itself was slower in b, by the programs of others that both runs
    measured; and how many these are. 0 where they are too few to say."""
    of_others = [c.best_by for c in changes if not c.a.ours and c.logarithmic and c.a.unit != "ratio" and c.a.better]
    return (confidence.median(of_others) if len(of_others) >= OTHERS_LEAST else 0.0), len(of_others)


def large(change, amount, percent):
    """Is it worth a word, by its size?"""
    floor = FLOORS.get(change.a.unit, 0)
    if change.logarithmic:
        return abs(amount) >= math.log1p(percent / 100) and abs(change.b.value - change.a.value) >= floor
    return abs(amount) >= max(floor, percent / 100 * max(abs(change.a.value), abs(change.b.value)), 1e-12)


def core_had(run):
    """The part of its core that the system gave the fabric, or None where nobody measured it."""
    had = [r.value for _, r in run.matching(r"road\..*\.core")]
    return confidence.median(had) if had else None


def judge(change, machine, percent, shared):
    """A change counts when it is certain, and large: by the median and by the best sample, as measured and after what the machine
    itself changed is taken off. shared: others ran on the fabric's core in one of the runs."""
    if change.a.better == 0:
        return SAME
    amount = min(change.by, change.best_by, key=abs)
    if change.by * change.best_by < 0:
        amount = 0.0
    if change.logarithmic and change.a.unit not in ("ratio", "percent") and amount * machine > 0:
        amount = math.copysign(max(0.0, abs(amount) - abs(machine)), amount)
    moved = SLOWER if change.by > 0 else FASTER
    if change.p is None:
        # Without samples: the ranges of the two runs must not meet.
        apart = change.a.max < change.b.min or change.b.max < change.a.min
        return UNSURE if apart and large(change, amount, UNTESTED_PERCENT) else SAME
    if not large(change, change.by, percent):
        return SAME
    if shared and BY_THE_WALL.search(change.a.name):
        return UNSURE
    return moved if change.p <= confidence.ALPHA and large(change, amount, percent) else UNSURE


# --- for people ------------------------------------------------------------------------------------------------------------


def value_text(v):
    return "%.4g" % v if abs(v) < 10000 else "%.0f" % v


def line(c):
    if c.p is None:
        sure = "%-20s %8s" % ("range %s to %s" % (value_text(c.b.min), value_text(c.b.max)), "-")
    else:
        ends = sorted((c.percent(c.low), c.percent(c.high)))
        sure = "%-20s %8s" % ("%+.1f%% to %+.1f%%" % tuple(ends), "<0.001" if c.p < 0.001 else "%.3f" % c.p)
    return "  %-50s %-10s %10s %10s %+8.1f%%  %s" % (c.a.label[:50], c.a.unit, value_text(c.a.value), value_text(c.b.value),
                                                    c.percent(c.by), sure)


def section(title, changes):
    if not changes:
        return
    print("\n" + title)
    print("  %-50s %-10s %10s %10s %9s  %-20s %8s" % ("result", "unit", "A", "B", "change", "95% interval", "p"))
    for c in sorted(changes, key=lambda c: -abs(c.by)):
        print(line(c))


def wrapped(text):
    print(textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def differences(a, b):
    """What differs between the two runs besides the figures, as lines."""
    found = []
    for key in MUST_AGREE:
        ours, theirs = a.params_of(key), b.params_of(key)
        if ours and theirs and ours != theirs:
            found.append("%s: A has %s; B has %s" % (key, " and ".join(ours), " and ".join(theirs)))
    return found


def names_of(keys, run):
    labels = [run.by_key[k].label for k in keys]
    return ", ".join(labels[:8]) + (" and %d more" % (len(labels) - 8) if len(labels) > 8 else "")


def tell(a, b, changes, machine, others, shared, args):
    print("A: %s\nB: %s" % (a.path, b.path))
    for text in differences(a, b):
        wrapped("NOTE: %s; what follows may come from that." % text)
    if shared:
        wrapped("NOTE: others ran on the fabric's core: the fabric had %.0f%% of it in A, %.0f%% in B. What is timed by the wall is not judged; "
                "measure again on a quiet machine." % tuple(100 * (core_had(run) or 1) for run in (a, b)))
    for run, name, other in ((a, "A", b), (b, "B", a)):
        only = [k for k in run.by_key if k not in other.by_key]
        if only:
            wrapped("only in %s: %s" % (name, names_of(only, run)))
    if others >= OTHERS_LEAST:
        wrapped("The machine: programs of others were %.1f%% %s in B (median of %d results). What is called slower or faster is so beyond "
                "that, too." % (100 * abs(math.expm1(machine)), "slower" if machine > 0 else "faster", others))
    by = {v: [c for c in changes if c.verdict == v and c.a.ours] for v in (SLOWER, FASTER, UNSURE, SAME)}
    section("SLOWER", by[SLOWER])
    section("faster", by[FASTER])
    section("others' programs, for information", [c for c in changes if not c.a.ours and c.verdict in (SLOWER, FASTER)])
    untested = [c for c in by[UNSURE] if c.p is None]
    section("moved; without samples, or with too few, nobody can say how sure that is", untested)
    unsure = [c for c in by[UNSURE] if c.p is not None]
    if args.all:
        section("moved by more than %g%%, but it may be noise" % args.threshold, unsure)
        section("the same, or too little to matter", by[SAME])
    print()
    wrapped("%d results in both: %d slower, %d faster, %d that moved but may be noise%s, %d the same within %g%%." % (
        len(changes), len(by[SLOWER]), len(by[FASTER]), len(by[UNSURE]), "" if args.all or not unsure else " (--all shows them)",
        len(changes) - sum(len(by[v]) for v in (SLOWER, FASTER, UNSURE)), args.threshold))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("a", metavar="A.json", help="results before")
    parser.add_argument("b", metavar="B.json", help="results after")
    parser.add_argument("--threshold", type=float, default=THRESHOLD_PERCENT, metavar="PERCENT",
                        help="smaller changes do not count, however certain; default: %(default)s")
    parser.add_argument("--all", action="store_true", help="show every result")
    args = parser.parse_args()
    if not 0 < args.threshold <= 100:
        parser.error("--threshold: a percentage above 0, at most 100, is expected")
    try:
        a, b = results.read(args.a), results.read(args.b)
    except results.BadResults as e:
        print("compare: %s" % e, file=sys.stderr)
        return 2
    both = [k for k in a.by_key if k in b.by_key]
    odd = [k for k in both if a.by_key[k].unit != b.by_key[k].unit]
    if odd or not both:
        print("compare: %s" % ("%s has the unit %s in A and %s in B; measure both with one benchmark" % (
            a.by_key[odd[0]].label, a.by_key[odd[0]].unit, b.by_key[odd[0]].unit) if odd else
            "the two files have no result in common; both must come from one kind of benchmark"), file=sys.stderr)
        return 2
    changes = [compared(a.by_key[k], b.by_key[k]) for k in both]
    test(changes)
    machine, others = drift(changes)
    shared = min((had for had in map(core_had, (a, b)) if had is not None), default=1) < CORE_LEAST
    for c in changes:
        c.verdict = judge(c, machine, args.threshold, shared)
    tell(a, b, changes, machine, others, shared, args)
    return 1 if any(c.verdict == SLOWER and c.a.ours for c in changes) else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads may have seen enough
    sys.exit(main())
