#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What results.json says, for people: the tables on stdout, and the same as CSV beside the file, one row a result. Shows only what
was measured. Measures and draws nothing; exit status 0, with --judge 1 where a bound does not hold, 2 where the file is no use."""
import argparse
import csv
import pathlib
import re
import signal
import sys
import textwrap

import results
from results import BOUNDS, PEERS, PERCENTILES, PERCENTILE_NAMES, STAGES, short

WIDTH = 132
# The first columns of the CSV, there or not in each run; what else a parameter is called comes after them, by name.
COLUMNS = ["name", "unit", "value", "min", "max", "n", "samples", "kind", "bytes", "ports", "busy_ports", "rules", "workers",
           "messages_per_run", "program", "machine", "settings"]
ORDER_NAMES = {"": "weft, with rules", "no_rules.": "weft, without", "protobuf_c.": "protobuf-c",
               "protobuf_c_arena.": "protobuf-c, free memory", "cpp_reuse.": "C++, object reused",
               "cpp_fresh.": "C++, new object"}
SIZE = r"(\d+|[a-z]+)"


# --- numbers and lines -----------------------------------------------------------------------------------------------------


def spread(r):
    """Median (min to max)."""
    return "%s (%s–%s)" % (short(r.value), short(r.min), short(r.max)) if r else "–"


def value(r):
    return short(r.value) if r else "–"


def head(title, *explained):
    print("\n" + title)
    print("─" * min(len(title), WIDTH))
    for text in explained:
        print(textwrap.fill(text, WIDTH))


class Table:
    """Columns of a fixed layout: positive widths are right-aligned, negative ones left."""

    def __init__(self, *columns):
        self.widths = [w for _, w in columns]
        self.row(*[name for name, _ in columns])

    def row(self, *cells):
        text = "".join((" %*s" if w > 0 else " %-*s") % (abs(w), cell) for w, cell in zip(self.widths, cells))
        print(text[1:].rstrip())


def by_number(text):
    """Sorts sizes, ports, rules as numbers, and words after them."""
    return (0, int(text), "") if text.isdigit() else (1, 0, text)


# --- the tables: each takes the results and says nothing where there are none; each returns the names that it has shown --------


def judged(run):
    """What the speed is held to; returns how many do not hold."""
    head("What the speed is held to (medians; ratios are medians of the rounds' ratios)")
    table = Table(("figure", -38), ("what", -52), ("bound", 7), ("value", 9), ("", -20))
    bad = 0
    for bound in BOUNDS:
        r = run.worst(bound)
        if r is None:
            verdict = "not measured here"
        elif bound.holds(r.value):
            verdict = "holds"
        else:
            verdict, bad = "DOES NOT HOLD", bad + 1
        table.row(bound.name, bound.what, ("≥ " if bound.least else "≤ ") + "%g" % bound.bound, value(r), verdict)
    return bad


def road(run):
    shown = []
    rates = run.matching(r"road\.([a-z]+)\." + SIZE + r"\.mmsgs")
    if not rates:
        return shown
    head("The whole road, one way, on one core of the fabric",
         "Every message distinct, sealed before, and counted at the far end: opened, policy, schema, nDPI, decided, sealed, recorded. "
         "Million messages/s; busy: the part of the fabric's core that the stages took (where it is low, the load was the limit); "
         "core: the part that the system gave it.")
    table = Table(("message", -10), ("bytes", 7), ("median", 9), ("min", 9), ("max", 9), ("burst", 7), ("busy", 7), ("core", 7))
    for m, r in rates:
        name = "road.%s.%s." % m.groups()
        others = [run.get(name + what) for what in ("burst", "busy", "core")]
        shown += [r] + others
        table.row(m[1], size_of(m[2], r), short(r.value), short(r.min), short(r.max), value(others[0]),
                  *["%.0f%%" % (100 * o.value) if o else "–" for o in others[1:]])
    return shown


def size_of(text, r):
    """The size in the name, or of messages of their natural size the one among the parameters."""
    return text if text.isdigit() and text != "0" else str(r.params.get("mean_bytes", r.params.get("bytes", text)))


def stages(run):
    shown = []
    cases = list(dict.fromkeys(m.groups()[:2] for m, _ in run.matching(r"road\.([a-z]+)\." + SIZE + r"\.stage\.([a-z]+)\.ns")))
    if not cases:
        return shown
    head("What each stage costs, ns per message (medians)",
         "Time-stamp counter within the stage over messages. What is between bursts, polling and credits, is in none.")
    found = {m.groups(): r for m, r in run.matching(r"road\.([a-z]+)\." + SIZE + r"\.stage\.([a-z]+)\.ns")}
    names = [s for s in STAGES if any(k[2] == s for k in found)] + sorted({k[2] for k in found} - set(STAGES))
    table = Table(("message", -10), ("bytes", 7), *[(s, 9) for s in names], ("sum", 9))
    for kind, size in cases:
        rows = [found.get((kind, size, s)) for s in names]
        total = run.get("road.%s.%s.stages.ns" % (kind, size))
        shown += rows + [total]
        table.row(kind, size_of(size, next(r for r in rows if r)), *[value(r) for r in rows], value(total))
    return shown


def latency(run):
    shown = []
    rows = {}
    for m, r in run.matching(r"(latency\.[a-z0-9_.]+|peer\.[a-z0-9_]+\." + SIZE + r"\.rtt)\.(p50|p90|p99|p999|max)_us"):
        rows.setdefault(m[1], {})[m[3]] = r
        shown.append(r)
    if not rows:
        return shown
    head("Latency, µs (medians of the rounds' percentiles, and the p99s' range)",
         "Round trip: request and reply, one message under way at a time. Brokered peers' is mostly the kernel waking processes; the "
         "spinning relay over AF_UNIX is what processes can do without sleeping.")
    table = Table(("", -54), *[(PERCENTILE_NAMES[p], 10) for p in PERCENTILES], ("p99 from–to", 22))
    for name, r in sorted(rows.items(), key=lambda item: not item[0].startswith("latency.")):
        p99 = r.get("p99")
        table.row(latency_name(name), *[value(r.get(p)) for p in PERCENTILES],
                  "%s–%s" % (short(p99.min), short(p99.max)) if p99 else "")
    for _, r in run.matching(r"latency\..*ratio.*"):
        print("%s: %s" % (r.name, spread(r)))
        shown.append(r)
    return shown


def latency_name(name):
    parts = name.split(".")
    if parts[0] == "peer":
        return "round trip, %s, %s bytes" % (PEERS.get(parts[1], parts[1]), parts[2])
    known = {"roundtrip": "round trip, the whole road, low load", "half_load": "one way, half the best throughput",
             "half_load.pauses": "the same on paper: the cores' own pauses alone",
             "oneway": "one way, low load"}
    return known.get(".".join(parts[1:]), ".".join(parts[1:]).replace("_", " "))


def scale(run):
    shown = []
    rows = run.matching(r"scale\.([a-z_]+)\.(\d+)\.mmsgs")
    ratios = {m.groups(): r for m, r in run.matching(r"scale\.([a-z_]+)\.(\d+)\.ratio")}
    if not rows and not ratios:
        return shown
    head("Scale, million messages/s: median (min–max)")
    table = Table(("", -24), ("", 8), ("million/s", 26), ("over the least", 26))
    keys = list(dict.fromkeys([m.groups() for m, _ in rows] + list(ratios)))
    for key in sorted(keys, key=lambda k: (k[0], int(k[1]))):
        r, ratio = run.get("scale.%s.%s.mmsgs" % key), ratios.get(key)
        shown += [r, ratio]
        table.row({"ports": "ports attached", "rules": "rules", "cores": "worker cores"}.get(key[0], key[0].replace("_", " ")), key[1],
                  spread(r), spread(ratio))
    return shown


def quiet_and_overload(run):
    shown = [r for _, r in run.matching(r"(idle|overload)\..*")]
    if shown:
        head("Idle and overload: median (min–max)")
        table = Table(("figure", -38), ("unit", -12), ("", 30))
        for r in shown:
            table.row(r.label, r.unit, spread(r))
    return shown


def peers(run):
    names = list(dict.fromkeys(m[1] for m, _ in run.matching(r"peer\.([a-z0-9_]+)\.%s\.mmsgs" % SIZE)))
    if not names:
        return []
    sizes = sorted({m[2] for m, _ in run.matching(r"peer\.([a-z0-9_]+)\.%s\.mmsgs" % SIZE)}, key=by_number)
    head("Peers, one way, in turns on one machine: million messages/s, median (min–max); and Weft over each, of one round",
         "Weft: the whole road, typed messages. The others look at no content; brokers encrypt and check permissions, as their "
         "configuration shows.")
    table = Table(("", -28), *[(s + " bytes", 23) for s in sizes], ("Weft over it, 256", 22))
    rows = [(PEERS.get(n, n), ["peer.%s.%s.mmsgs" % (n, s) for s in sizes], "road.typed.256.ratio_" + n) for n in names]
    if "weft" not in names:
        rows.insert(0, (PEERS["weft"], ["road.typed.%s.mmsgs" % s for s in sizes], "none"))
    shown = []
    for title, figures, ratio in rows:
        found = [run.get(f) for f in figures]
        over = run.get(ratio)
        shown += found + [over]
        table.row(title, *[spread(r) for r in found], spread(over) if over else "")
    return shown


def peer_facts(run):
    """Versions and configurations of the peers, as their results have them."""
    seen = {}
    for m, r in run.matching(r"peer\.([a-z0-9_]+)\..*"):
        facts = seen.setdefault(m[1], {})
        for key in ("version", "work", "configuration"):
            if r.params.get(key):
                facts.setdefault(key, str(r.params[key]).strip())
    seen = {name: facts for name, facts in seen.items() if "version" in facts or "configuration" in facts}
    if seen:
        head("The peers, as they were run")
    for name, facts in seen.items():
        lines = facts.pop("configuration", "").splitlines()
        # One line goes with the rest, several stand below it.
        text = "; ".join(list(facts.values()) + (lines if len(lines) == 1 else []))
        print(textwrap.fill("%-28s %s" % (PEERS.get(name, name), text), WIDTH, subsequent_indent=" " * 29, break_on_hyphens=False,
                            break_long_words=False))
        for line in lines if len(lines) > 1 else []:
            print(textwrap.fill(line.rstrip(), WIDTH, initial_indent=" " * 29, subsequent_indent=" " * 33, break_on_hyphens=False,
                                replace_whitespace=False))


def micro(run):
    rows = run.matching(r"micro\.(.*)\.ns")
    if rows:
        head("Parts by themselves, ns: median (min–max)")
        columns([(m[1], spread(r)) for m, r in rows])
    return [r for _, r in rows]


def columns(pairs):
    """Names with texts, two pairs side by side, down before across."""
    half = (len(pairs) + 1) // 2
    for left, right in zip(pairs[:half], pairs[half:] + [("", "")]):
        print(("%-30s %-34s %-30s %s" % (*left, *right)).rstrip())


def inspection(run):
    found = {r.key: r for r in run.all if r.name.startswith("inspect.")}
    inline = [k[1:] for k in found if k[0] == "inspect.inline.ratio"]
    apart = [k[1:] for k in found if k[0] == "inspect.isolated.ratio"]

    def get(case, name):
        return found.get((name,) + case)

    if inline:
        head("Inspection in process beside bare nDPI calls, ns per message; in a process apart beside in process, messages/s on one core")
        table = Table(("payload", -10), ("bytes", 7), ("bare", 9), ("inline", 9), ("inline/bare", 22), ("inline/s", 11),
                      ("isolated/s", 11), ("isolated/inline", 22), ("by CPU", 8))
        for case in inline + [c for c in apart if c not in inline]:
            table.row(*case, value(get(case, "inspect.bare")), value(get(case, "inspect.inline")),
                      spread(get(case, "inspect.inline.ratio")), value(get(case, "inspect.isolated.inline")),
                      value(get(case, "inspect.isolated")), spread(get(case, "inspect.isolated.ratio")),
                      value(get(case, "inspect.isolated.cpu_ratio")))
    return list(found.values()) if inline else []


def validator(run):
    shown = []
    ours, plain = run.get("validate.order.ns"), run.get("validate.order.no_rules.ns")
    if ours and plain:
        head("The validator beside parsers, ns per order (%s): the least of all rounds, their median; ours over it"
             % ours.params.get("messages", "distinct ones"))
        table = Table(("", -26), ("least", 10), ("median", 10), ("with rules", 12), ("without", 10))
        for name, title in ORDER_NAMES.items():
            r = run.get("validate.order.%sns" % name)
            if r:
                shown.append(r)
                middle = r.params.get("median")
                table.row(title, short(r.value), short(middle) if middle else "–", "%.3f" % (ours.value / r.value),
                          "%.3f" % (plain.value / r.value))
        shown += [r for _, r in run.matching(r"validate\.order\.ratio_.*")]
    rules = run.matching(r"validate\.rule\.(.*)\.ns")
    if rules:
        head("What one rule adds to a message of one field, ns: median (min–max)")
        columns([(m[1], spread(r)) for m, r in rules])
    return shown + [r for _, r in rules]


def policies(run):
    shown = [r for _, r in run.matching(r"policy\..*")]
    if shown:
        head("Policies at scale, and exchanged under full load: median (min–max)")
        columns([("%s, %s" % (r.name[7:], r.unit), spread(r)) for r in shown])
    return shown


def rest(run, shown):
    """Nothing that was measured goes unseen."""
    seen = {r.key for r in shown if r}
    left = [r for r in run.all if r.key not in seen]
    if left:
        head("Other figures: median (min–max)")
        table = Table(("figure", -58), ("unit", -12), ("", 34))
        for r in left:
            table.row(r.label, r.unit, spread(r))


def about(run):
    head("Machine and settings")
    for key in ("machine", "cores", "system", "libraries", "settings", "load", "took"):
        for text in run.params_of(key):
            print(textwrap.fill("%-10s %s" % (key, text), WIDTH, subsequent_indent=" " * 11, break_on_hyphens=False))
    print("%-10s %d to %d of each figure" % ("samples", min(r.n for r in run.all), max(r.n for r in run.all)))
    shared = [r for _, r in run.matching(r"road\..*\.core") if r.min < 0.95]
    if shared:
        print("The fabric's core was shared with others: in the worst run the fabric had %.0f%% of it. Maxima of rates and minima of "
              "times say\nmore than the medians then." % (100 * min(r.min for r in shared)))
    print("%-10s %s" % ("results", run.path))


# --- CSV -------------------------------------------------------------------------------------------------------------------


def write_csv(run, path):
    extra = sorted({k for r in run.all for k in r.params} - set(COLUMNS))
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(COLUMNS + extra)
        for r in run.all:
            own = {"name": r.name, "unit": r.unit, "value": r.value, "min": r.min, "max": r.max, "n": r.n,
                   "samples": " ".join("%g" % s for s in r.samples)}
            out.writerow([own[c] if c in own else r.params.get(c, "") for c in COLUMNS + extra])
    temporary.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="?", type=pathlib.Path, default=results.default_path(),
                        help="default: build/bench/results.json")
    parser.add_argument("--csv", type=pathlib.Path, help="default: beside the results, ending in .csv")
    parser.add_argument("--judge", action="store_true", help="exit status 1 where a bound does not hold")
    args = parser.parse_args()
    try:
        run = results.read(args.results)
        path = args.csv or args.results.with_suffix(".csv")
        write_csv(run, path)
    except (results.BadResults, OSError) as e:
        print("report: %s" % e, file=sys.stderr)
        return 2
    shown = []
    for table in (road, stages, latency, scale, quiet_and_overload, peers, micro, inspection, validator, policies):
        shown += table(run)
    shown += [r for b in BOUNDS for r in run.names.get(b.name, [])]
    rest(run, shown)
    peer_facts(run)
    bad = judged(run)
    about(run)
    print("%-10s %s" % ("as CSV", path))
    return 1 if bad and args.judge else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads may have seen enough
    sys.exit(main())
