#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Draws what is in results.json, as SVG and PNG, with gnuplot: throughput by size, cost by stage, latency, scale, peers. What was not
measured is left out. Each plot's gnuplot script, with its data, is kept beside it. Measures nothing; exit status 0, 2 where the
file is no use or gnuplot fails. Where gnuplot is missing it says so and draws nothing."""
import argparse
import math
import pathlib
import re
import shutil
import subprocess
import sys

import results
from results import PEERS, PERCENTILES, PERCENTILE_NAMES, STAGES, short

# Okabe and Ito's colours, which people with any kind of colour vision tell apart (without yellow, which is weak on white); series
# differ in the form of their points too.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F"]
POINTS = [7, 5, 9, 13, 11, 6, 4, 8, 12, 10]
# Tol's muted colours, for nine parts of a bar that lie on each other.
STAGE_COLOURS = ["#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499"]
WEFT = COLOURS[0]
GREY = "#555555"
FONT = "DejaVu Sans"
FALLBACK = "DejaVu Sans, Verdana, Arial, sans-serif"
KIND_COLOURS = {"typed": WEFT, "numeric": COLOURS[2], "opaque": COLOURS[1], "order": COLOURS[3]}
KIND_NAMES = {"numeric": "numeric", "typed": "typed, ten rules", "opaque": "opaque, nDPI", "order": "orders, 36 values"}
LINEAR_MAX = 20    # times the least that the greatest may be, on an axis from zero
PANEL_LEAST = 2    # bars' room that a panel takes for its title
GNUPLOT_SECONDS = 60


class Failed(Exception):
    """gnuplot did not draw; the text says what it said."""


def quoted(text):
    """As gnuplot's string; nothing in it is a command, an escape or a new line."""
    return '"%s"' % re.sub(r"[\x00-\x1f]", " ", str(text)).replace("\\", "/").replace('"', "'").replace("`", "'")


def block(name, rows):
    """A named block of data: cells are numbers, None (missing) or texts."""
    def cell(c):
        return "?" if c is None else quoted(c) if isinstance(c, str) else "%.9g" % c

    return ["$%s << EOD" % name] + [" ".join(cell(c) for c in row) for row in rows] + ["EOD"]


def bars_of(r):
    return (r.value, r.min, r.max) if r else (None, None, None)


def sized(text):
    return text.isdigit() and int(text) > 0


def footnote(run, of):
    """What each plot says under it."""
    n = sorted({r.n for r in of})
    counts = "%d" % n[0] if len(n) == 1 else "%d to %d" % (n[0], n[-1])
    return "medians of %s runs, whiskers least to greatest · %s" % (counts, "; ".join(run.params_of("machine")) or "machine unknown")


def decades(low, high):
    """The range of a logarithmic axis: whole decades, or a half one where that is enough."""
    def part(x, up):
        power = 10.0 ** math.floor(math.log10(x))
        steps = [1, 2, 5, 10]
        return power * (min(s for s in steps if s >= x / power - 1e-9) if up else max(s for s in steps if s <= x / power + 1e-9))

    return part(low, False), part(high, True)


class Plot:
    """One picture: its name, its size in pixels, and the gnuplot lines that draw it."""

    def __init__(self, name, title, note, width=1180, height=640):
        self.name, self.title, self.note, self.width, self.height = name, title, note, width, height
        self.lines = ["set encoding utf8", "set datafile missing \"?\"", "set border 3 lw 1 lc rgb %s" % quoted(GREY),
                      "set tics nomirror out", "set grid ytics lw 1 lc rgb \"#CCCCCC\"", "set style fill solid 1.0"]

    def add(self, *lines):
        self.lines += lines

    def plot(self, parts):
        self.lines.append("plot " + ", \\\n  ".join(parts))

    def script(self, terminal, output):
        framed = ["set terminal %s" % terminal, "set output %s" % quoted(output),
                  "set label 1001 %s at screen 0.012,0.018 left tc rgb %s font \",10\"" % (quoted(self.note), quoted(GREY)),
                  "set label 1000 %s at screen 0.012,0.965 left font \",15\"" % quoted(self.title)]
        return "\n".join(framed + self.lines) + "\nset output\n"

    def draw(self, folder):
        """Raises Failed."""
        written = []
        for kind, terminal in (("svg", "svg noenhanced size %d,%d font '%s,12' background 'white'" % (self.width, self.height, FONT)),
                               ("png", "pngcairo noenhanced size %d,%d fontscale 1.35 linewidth 1.5 pointscale 1.5 font '%s,12'"
                                % (self.width * 3 // 2, self.height * 3 // 2, FONT))):
            path = folder / ("%s.%s" % (self.name, kind))
            temporary = folder / (self.name + ".part")
            text = self.script(terminal, temporary)
            try:
                p = subprocess.run(["gnuplot", "-"], input=text, text=True, capture_output=True, check=False, timeout=GNUPLOT_SECONDS)
            except subprocess.TimeoutExpired:
                raise Failed("%s: gnuplot was not ready after %d s" % (path, GNUPLOT_SECONDS)) from None
            if p.returncode or not temporary.exists() or not temporary.stat().st_size:
                raise Failed("%s: gnuplot says: %s" % (path, p.stderr.strip() or "nothing, and draws nothing"))
            if kind == "svg":
                self.finish_svg(temporary)
            temporary.replace(path)
            (folder / (self.name + ".gp")).write_text(self.script("pngcairo noenhanced size %d,%d" % (self.width, self.height), path.name),
                                                      encoding="utf-8")
            written.append(path)
        return written

    def finish_svg(self, path):
        """Machines without the font get one like it; readers without eyes get a title."""
        text = path.read_text(encoding="utf-8")
        text = text.replace('font-family="%s"' % FONT, 'font-family="%s"' % FALLBACK)
        title = self.title.replace("&", "&amp;").replace("<", "&lt;")
        path.write_text(re.sub(r"<title>Gnuplot</title>", "<title>%s</title>" % title, text, count=1), encoding="utf-8")


# --- the plots: each returns a Plot, or None where nothing of it was measured ---------------------------------------------------


def series(color, point, dashed, heavy):
    return "lc rgb %s lw %s dt %s pt %d ps 1.1" % (quoted(color), "3" if heavy else "1.6", "(7,5)" if dashed else "1", point)


def whiskers(data, x, low, colour="#000000", width=1.5):
    """From least to greatest, in columns low and low + 1, with a bar at both ends."""
    return "$%s using %s:%d:(0):($%d-$%d) with vectors heads size screen 0.003,90 lc rgb %s lw %g notitle" % (
        data, x, low, low + 1, low, quoted(colour), width)


def with_whiskers(data, column, style, title, aside=0.0):
    """A line, and whiskers in its colour; column: where (value, min, max) stand; aside: so far to the right, so that whiskers do not
    lie on each other."""
    colour = re.search(r'#[0-9A-F]{6}', style).group()
    x = "($0%+.3f)" % aside
    return [whiskers(data, x, column + 1, colour),
            "$%s using %s:%d with linespoints %s title %s" % (data, x, column, style, quoted(title))]


def aside(i, n, width):
    """The place of the i-th of n series."""
    return width * (i - (n - 1) / 2) / max(n - 1, 1)


def throughput(run):
    kinds = {}
    for m, r in run.matching(r"road\.([a-z]+)\.(\w+)\.mmsgs"):
        if sized(m[2]):
            kinds.setdefault(m[1], {})[int(m[2])] = r
    beside = {}
    for m, r in run.matching(r"peer\.([a-z0-9_]+)\.(\d+)\.mmsgs"):
        beside.setdefault(m[1], {})[int(m[2])] = r
    # Weft as it was measured in turns with the others; or else by itself.
    if beside and "weft" not in beside and "typed" in kinds:
        beside["weft"] = kinds["typed"]
    if not kinds and not beside:
        return None
    all_of = [r for group in (kinds, beside) for rows in group.values() for r in rows.values()]
    sizes = sorted({s for group in (kinds, beside) for rows in group.values() for s in rows})
    plot = Plot("throughput", "Messages per second by size, one way, one core of the fabric or of its peer", footnote(run, all_of),
                340 + 460 * bool(kinds) + 480 * bool(beside))
    plot.add(*block("weft", [[str(s)] + [x for k in kinds for x in bars_of(kinds[k].get(s))] for s in sizes]))
    plot.add(*block("peers", [[str(s)] + [x for k in beside for x in bars_of(beside[k].get(s))] for s in sizes]))
    plot.add("set multiplot", "set tmargin at screen 0.79", "set bmargin at screen 0.14", "set xrange [-0.25:%g]" % (len(sizes) - 0.75),
             "set xlabel \"bytes in a message\"",
             "set xtics (%s)" % ", ".join("\"%d\" %d" % (s, i) for i, s in enumerate(sizes)))

    def place(left, right):
        plot.add("set lmargin at screen %.4f" % (left / plot.width), "set rmargin at screen %.4f" % (right / plot.width))

    if kinds:
        place(90, 460)
        # From zero, unless one kind is so much slower that it would lie on the axis.
        low, high = min(r.min for k in kinds.values() for r in k.values()), max(r.max for k in kinds.values() for r in k.values())
        if high > LINEAR_MAX * low:
            plot.add("set logscale y", "set yrange [%g:%g]" % decades(low, high), "set ylabel \"million messages/s, logarithmic\"")
        else:
            plot.add("set yrange [0:*]", "set ylabel \"million messages/s\"")
        plot.add("set key at screen %.4f,0.91 left top Left reverse vertical "
                 "maxrows 2 samplen 3 spacing 1.3 width 2" % (90 / plot.width))
        parts = []
        for i, k in enumerate(kinds):
            parts += with_whiskers("weft", 2 + 3 * i, series(KIND_COLOURS.get(k, COLOURS[7]), POINTS[i % len(POINTS)], False,
                                                             k == "typed"), KIND_NAMES.get(k, k), aside(i, len(kinds), 0.06))
        plot.plot(parts)
        plot.add("unset label 1000", "unset label 1001")
    if beside:
        low, high = decades(min(r.min for rows in beside.values() for r in rows.values()),
                            max(r.max for rows in beside.values() for r in rows.values()))
        left = 110 + 460 * bool(kinds)
        place(left, left + 400)
        plot.add("set logscale y", "set yrange [%g:%g]" % (low, high), "set ylabel \"million messages/s, logarithmic\"",
                 "set key at screen %.4f,0.79 left top Left reverse vertical maxrows 20 samplen 3.5 spacing 1.4 width 0"
                 % ((left + 420) / plot.width))
        parts = []
        order = sorted(beside, key=lambda k: -max(r.value for r in beside[k].values()))
        others = [k for k in order if k != "weft"]
        for k in order:
            i = others.index(k) if k != "weft" else 0
            style = series(WEFT, POINTS[0], False, True) if k == "weft" else series(COLOURS[1 + i % 7], POINTS[1 + i % 9], True, False)
            parts += with_whiskers("peers", 2 + 3 * list(beside).index(k), style, PEERS.get(k, k), aside(order.index(k), len(order), 0.24))
        plot.plot(parts)
    plot.add("unset multiplot")
    return plot


def stages(run):
    found, totals = {}, {}
    for m, r in run.matching(r"road\.([a-z]+)\.(\w+)\.stage\.([a-z]+)\.ns"):
        found.setdefault(m[1], {}).setdefault(m[2], {})[m[3]] = r
    if not found:
        return None
    all_of = [r for sizes in found.values() for rows in sizes.values() for r in rows.values()]
    names = [s for s in STAGES if any(s in rows for sizes in found.values() for rows in sizes.values())]
    plot = Plot("stages", "What each stage costs, ns per message, by contents and size",
                footnote(run, all_of).replace(", whiskers least to greatest", ""))
    bars = sum(max(PANEL_LEAST, len(sizes)) for sizes in found.values())
    left, gap, right = 0.065, 0.055, 0.855
    one = (right - left - gap * (len(found) - 1)) / bars
    plot.add("set multiplot", "set boxwidth 0.72", "set bmargin at screen 0.16", "set tmargin at screen 0.83", "unset key",
             "set ylabel \"ns per message\" offset 1,0")
    for i, (kind, sizes) in enumerate(found.items()):
        rows = []
        for size, of in sizes.items():
            ends = [0.0]
            for s in names:
                ends.append(ends[-1] + (of[s].value if s in of else 0.0))
            rows.append([size if sized(size) else "natural"] + ends)
            totals[kind, size] = ends[-1]
        top = max(r[-1] for r in rows)
        spare = max(0, PANEL_LEAST - len(rows)) / 2
        width = one * max(PANEL_LEAST, len(rows))
        plot.add(*block("stage_" + kind, rows))
        plot.add("set lmargin at screen %.4f" % left, "set rmargin at screen %.4f" % (left + width), "set yrange [0:%g]" % (top * 1.08),
                 "set xrange [%g:%g]" % (-0.6 - spare, len(rows) - 0.4 + spare), "set xlabel \"bytes\"",
                 "set xtics (%s)" % ", ".join("%s %d" % (quoted(r[0]), k) for k, r in enumerate(rows)),
                 "set title %s offset 0,-0.3" % quoted(KIND_NAMES.get(kind, kind)))
        left += width + gap
        parts = ["$stage_%s using 0:(($%d+$%d)/2):($0-0.36):($0+0.36):%d:%d with boxxyerror fs solid 1.0 border rgb \"white\" "
                 "lc rgb %s lw 0.8 notitle" % (kind, 2 + k, 3 + k, 2 + k, 3 + k, quoted(STAGE_COLOURS[k % 9])) for k in range(len(names))]
        parts.append("$stage_%s using 0:%d:(sprintf(\"%%.0f\", $%d)) with labels offset 0,0.7 notitle" % (kind, 2 + len(names),
                                                                                                      2 + len(names)))
        plot.plot(parts)
        plot.add("unset label 1000", "unset label 1001", "unset ylabel")
    # The legend, in the order in which the parts lie on each other: an empty plot beside the bars.
    plot.add("set lmargin at screen 0.86", "set rmargin at screen 0.99", "unset border", "unset tics", "unset xlabel", "unset title",
             "unset grid", "set xrange [0:1]", "set yrange [0:1]", "set key at screen 0.875,0.83 left top Left reverse vertical "
             "spacing 1.5 samplen 1.5")
    plot.plot(["NaN with boxes fs solid 1.0 noborder lc rgb %s title %s" % (quoted(STAGE_COLOURS[k % 9]), quoted(s))
               for k, s in reversed(list(enumerate(names)))])
    plot.add("unset multiplot")
    return plot


def latency(run):
    lines = {}
    for m, r in run.matching(r"latency\.([a-z0-9_]+)\.(p50|p90|p99|p999|max)_us"):
        name = {"roundtrip": "Weft, round trip", "half_load": "Weft, one way at half load"}.get(m[1], "Weft, " + m[1].replace("_", " "))
        lines.setdefault(name, {})[m[2]] = r
    peer = run.matching(r"peer\.([a-z0-9_]+)\.256\.rtt\.(p50|p90|p99|p999|max)_us")
    if not any(m[1] == "roundtrip" for m, _ in run.matching(r"latency\.([a-z0-9_]+)\.p.*_us")):
        for m, r in peer:
            if m[1] == "weft":
                lines.setdefault("Weft, round trip", {})[m[2]] = r
    ours = len(lines)
    for m, r in peer:
        if m[1] != "weft":
            lines.setdefault(PEERS.get(m[1], m[1]), {})[m[2]] = r
    lines = {k: v for k, v in lines.items() if all(r.value > 0 for r in v.values())}
    if not lines:
        return None
    all_of = [r for rows in lines.values() for r in rows.values()]
    at = [p for p in PERCENTILES if any(p in rows for rows in lines.values())]
    low, high = decades(min(r.min if r.min > 0 else r.value for r in all_of), max(r.max for r in all_of))
    plot = Plot("latency", "Latency percentiles, 256 bytes: round trips at low load, and Weft one way at half its best throughput",
                footnote(run, all_of))
    plot.add(*block("latency", [[p] + [x for rows in lines.values() for x in bars_of(rows.get(p))] for p in at]))
    plot.add("set lmargin at screen 0.075", "set rmargin at screen 0.70", "set tmargin at screen 0.90", "set bmargin at screen 0.14",
             "set logscale y", "set yrange [%g:%g]" % (low, high), "set ylabel \"µs, logarithmic\"", "set xlabel \"percentile\"",
             "set xrange [-0.3:%g]" % (len(at) - 0.7), "set xtics (%s)" % ", ".join("\"%s\" %d" % (PERCENTILE_NAMES[p], i) for i, p in enumerate(at)),
             "set key at screen 0.715,0.90 left top Left reverse vertical samplen 3.5 spacing 1.45")
    parts = []
    # As the lines lie above each other.
    worst_first = sorted(lines, key=lambda k: -(lines[k].get("p99") or next(iter(lines[k].values()))).value)
    order = {k: i for i, k in enumerate(lines)}
    for place, k in enumerate(worst_first):
        i = order[k]
        weft = i < ours
        parts += with_whiskers("latency", 2 + 3 * i, series(COLOURS[i % len(COLOURS)], POINTS[i % len(POINTS)], not weft, weft), k,
                               aside(place, len(order), 0.36))
    plot.plot(parts)
    return plot


def scale(run):
    names = {"ports": "ports attached, 10 of them busy", "rules": "rules in force", "cores": "worker cores"}
    panels = {}
    for m, r in run.matching(r"scale\.([a-z_]+)\.(\d+)\.mmsgs"):
        panels.setdefault(m[1], {})[int(m[2])] = r
    if not panels:
        return None
    all_of = [r for rows in panels.values() for r in rows.values()]
    order = [k for k in names if k in panels] + sorted(set(panels) - set(names))
    plot = Plot("scale", "Million messages/s by ports, by rules and by worker cores", footnote(run, all_of),
                max(620, 400 * len(order)), 540)
    plot.add("set multiplot", "set bmargin at screen 0.19", "set tmargin at screen 0.86", "set ylabel \"million messages/s\" offset 1,0",
             "unset key")
    for i, name in enumerate(order):
        rows = panels[name]
        xs = sorted(rows)
        plot.add(*block("scale_" + name, [[str(x)] + list(bars_of(rows[x])) + [rows[xs[0]].value * x / xs[0], short(rows[x].value)] for x in xs]))
        plot.add("set lmargin at screen %.4f" % (i / len(order) + 0.075 / (len(order) / 3)),
                 "set rmargin at screen %.4f" % ((i + 1) / len(order) - 0.015), "set xlabel %s" % quoted(names.get(name, name)),
                 "set xrange [-0.5:%g]" % (len(xs) - 0.5), "set yrange [0:%g]" % (1.18 * max(r.max for r in rows.values())),
                 "set xtics (%s)" % ", ".join("%s %d" % (quoted("{:,}".format(x)), k) for k, x in enumerate(xs)))
        parts = ["$scale_%s using 0:2:(0.55) with boxes lc rgb %s notitle" % (name, quoted(COLOURS[4])),
                 whiskers("scale_" + name, "0", 3), "$scale_%s using 0:($2/2):6 with labels notitle" % name]
        if name == "cores":
            plot.add("set yrange [0:%g]" % (1.18 * max([r.max for r in rows.values()] + [rows[xs[0]].value * xs[-1] / xs[0]])),
                     "set key top left Left reverse samplen 2.5")
            parts.append("$scale_cores using 0:5 with linespoints lc rgb %s lw 1.6 dt 2 pt 6 title \"in proportion\"" % quoted(COLOURS[1]))
        plot.plot(parts)
        plot.add("unset label 1000", "unset label 1001", "unset ylabel", "unset key")
    plot.add("unset multiplot")
    return plot


def peers(run):
    rows = [(PEERS.get(m[1], m[1]), r, WEFT if m[1] == "weft" else COLOURS[5])
            for m, r in run.matching(r"peer\.([a-z0-9_]+)\.256\.mmsgs") if r.min > 0]
    if not rows:
        return None
    weft = run.get("road.typed.256.mmsgs")
    if weft and weft.min > 0 and not run.get("peer.weft.256.mmsgs"):
        rows.append((PEERS["weft"], weft, WEFT))
    rows.sort(key=lambda row: row[1].value)
    low, high = decades(min(r.min for _, r, _ in rows) * 0.7, max(r.max for _, r, _ in rows) * 1.6)
    plot = Plot("peers", "Messages of 256 bytes, one way: Weft with all its checks beside its peers", footnote(run, [r for _, r, _ in rows]),
                1100, 180 + 40 * len(rows))
    plot.add(*block("peers", [[r.value, r.min, r.max, short(r.value)] for _, r, _ in rows]))
    plot.add("set lmargin at screen 0.265", "set rmargin at screen 0.965", "set bmargin at screen %.4f" % (95 / plot.height),
             "set tmargin at screen %.4f" % (1 - 60 / plot.height), "unset key", "set logscale x", "set xrange [%g:%g]" % (low, high),
             "set yrange [-0.6:%g]" % (len(rows) - 0.4), "unset grid", "set grid xtics lw 1 lc rgb \"#CCCCCC\"", "set format x \"%g\"",
             "set xlabel \"million messages/s, logarithmic\"", "set ytics scale 0",
             "set ytics (%s)" % ", ".join("%s %d" % (quoted(name), i) for i, (name, _, _) in enumerate(rows)))
    parts = ["$peers every ::%d::%d using 1:(%d):(%g):1:(%d-0.34):(%d+0.34) with boxxyerror fs solid 1.0 noborder lc rgb %s notitle"
             % (i, i, i, low, i, i, quoted(colour)) for i, (_, _, colour) in enumerate(rows)]
    parts += ["$peers using 2:0:($3-$2):(0) with vectors heads size screen 0.003,90 lc rgb \"#000000\" lw 1.5 notitle",
              "$peers using ($3*1.06):0:4 with labels left notitle"]
    plot.plot(parts)
    return plot


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="?", type=pathlib.Path, default=results.default_path(),
                        help="default: build/bench/results.json")
    parser.add_argument("--out", type=pathlib.Path, help="default: plots/ beside the results")
    args = parser.parse_args()
    if not shutil.which("gnuplot"):
        print("SKIP: plots are left out: gnuplot is not installed; Debian has it as gnuplot-nox (.ci/setup installs it)")
        return 0
    folder = args.out or args.results.parent / "plots"
    written, without = [], []
    try:
        run = results.read(args.results)
        folder.mkdir(parents=True, exist_ok=True)
        for draw in (throughput, stages, latency, scale, peers):
            plot = draw(run)
            # A picture of an earlier run must not stand beside figures of this one.
            for old in folder.glob(draw.__name__ + ".*"):
                old.unlink()
            written += plot.draw(folder) if plot else []
            without += [] if plot else [draw.__name__]
    except (results.BadResults, Failed, OSError) as e:
        print("plots: %s" % e, file=sys.stderr)
        return 2
    print("%-10s %s" % ("plots", folder) + (": " + ", ".join(p.name for p in written) if written else ""))
    if without:
        print("%-10s %s: not measured in this run" % ("no plot of", ", ".join(without)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
