#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What people see of the benchmark, from made-up results (bench_sample.py): the tables, the CSV, the plots, the comparison of two
runs, and what is said of files that are no results. Nothing is measured here. Prints TAP."""
import csv
import json
import math
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
import zlib

import bench_sample
import tap
from tap import Skipped, expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import confidence  # noqa: E402
import results  # noqa: E402

PLOTS = ["throughput", "stages", "latency", "scale", "peers"]
FOLDER = pathlib.Path()


def run(program, *args, env=None):
    p = subprocess.run([ROOT / "bench" / program, *args], text=True, capture_output=True, check=False, timeout=120,
                       env=dict(os.environ, **(env or {})))
    return p.returncode, p.stdout, p.stderr


def sample(name, seed, **how):
    return bench_sample.Sample(seed, **how).fill().write(FOLDER / name)


def figures(path):
    return {r["name"]: r for r in json.loads(path.read_text())}


def without(path, name, pattern):
    """The same file less the results whose name matches."""
    out = FOLDER / name
    out.write_text(json.dumps([r for r in json.loads(path.read_text()) if not re.search(pattern, r["name"])]))
    return out


# --- tables and CSV ----------------------------------------------------------------------------------------------------------


def test_every_result_is_in_the_tables():
    path = sample("a.json", 1)
    rc, out, err = run("report.py", str(path))
    expect(rc == 0 and not err, "report.py ended with %d" % rc, err)
    expect(max(map(len, out.splitlines())) <= 132, "a line is too wide", max(out.splitlines(), key=len))
    for r in json.loads(path.read_text()):
        # As many digits as tables show.
        expect(results.short(r["value"]) in out or re.search(r"\.(busy|core)$", r["name"]), "%s is not shown" % r["name"], out)
    for text in ("typed", "Open vSwitch, ACL, no cache", "mosquitto_tls --port 1", "something.new", "made up, core 0",
                 bench_sample.MACHINE):
        expect(text in out, "not shown: " + text, out)


def verdicts(out):
    return dict(re.findall(r"^(\S+)  .* (holds|DOES NOT HOLD|not measured here)$", out, re.M))


def test_bounds_are_judged():
    rc, out, _ = run("report.py", str(sample("bounds.json", 1, noise=0.001)), "--judge")
    expect(rc == 1, "--judge ended with %d though a bound does not hold" % rc)
    said = verdicts(out)
    expect(said["road.typed.256.ratio_testpmd"] == "DOES NOT HOLD", "4.2 of 9.1 is less than half", out)
    expect(said["road.typed.256.ratio_nats_tls"] == "holds" and said["idle.cpu"] == "holds", "what holds", out)
    expect(said["inspect.inline.ratio"] == "not measured here", "what was not measured", out)
    expect(run("report.py", str(FOLDER / "bounds.json"))[0] == 0, "without --judge a report is a report")
    good = {"road.typed.256.ratio": 2, "road.opaque.256.ratio": 2}
    rc, out, _ = run("report.py", str(sample("good.json", 1, noise=0.001, factors=good)), "--judge")
    expect(rc == 0 and "DOES NOT HOLD" not in out, "all bounds hold, and it ended with %d" % rc, out)
    for bound in results.BOUNDS:
        expect(bound.holds(bound.bound), "a bound is within")
        beyond = bound.bound * 0.999 if bound.least else bound.bound * 1.001 + 0.001
        expect(not bound.holds(beyond), "%s: %g holds" % (bound.name, beyond))
        expect(bound.name in out, "the table has no line for " + bound.name)


def test_of_several_the_worst_is_judged():
    path = FOLDER / "worst.json"
    one = {"name": "inspect.inline.ratio", "unit": "ratio", "n": 3, "min": 0.9, "max": 1.3}
    path.write_text(json.dumps([dict(one, value=v, params={"kind": k, "bytes": 200}) for k, v in (("text", 1.0), ("json", 1.2))]))
    expect(verdicts(run("report.py", str(path))[1])["inspect.inline.ratio"] == "DOES NOT HOLD", "the worst case is 1.2")


def test_what_is_missing_is_no_zero():
    bare = without(sample("full.json", 1), "bare.json", r"^(latency|scale|peer|idle|overload)\.|ratio_|\.1400\.|opaque")
    rc, out, err = run("report.py", str(bare))
    expect(rc == 0, "report.py ended with %d" % rc, err)
    for text in ("Latency", "Scale", "Peers", "Idle", "1400", "opaque"):
        expect(text not in out.split("What the speed is held to")[0], "a table of what was not measured: " + text, out)
    # A peer that was measured at one size only.
    part = without(FOLDER / "full.json", "part.json", r"^peer\.nats_tls\.(64|1400)\.")
    line = next(t for t in run("report.py", str(part))[1].splitlines() if t.startswith("NATS"))
    expect(line.split().count("–") == 2, "two sizes are missing", line)


def test_csv():
    path = sample("csv.json", 1)
    rc, out, err = run("report.py", str(path))
    expect(rc == 0, "report.py ended with %d" % rc, err)
    with (FOLDER / "csv.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    raw = json.loads(path.read_text())
    expect([r["name"] for r in rows] == [r["name"] for r in raw], "one row a result, in order")
    for row, r in zip(rows, raw):
        expect(float(row["value"]) == r["value"] and row["kind"] == r["params"].get("kind", ""), "a row", str(row))
        expect(len(row["samples"].split()) == r["n"], "its samples", str(row))
    expect(list(rows[0])[:9] == ["name", "unit", "value", "min", "max", "n", "samples", "kind", "bytes"], "the columns", str(list(rows[0])))
    # The first columns are the same for any run.
    few = FOLDER / "few.json"
    few.write_text(json.dumps([r for r in raw if r["name"] == "idle.cpu"]))
    run("report.py", str(few), "--csv", str(FOLDER / "other.csv"))
    columns = (FOLDER / "other.csv").read_text().splitlines()[0].split(",")
    expect(list(rows[0])[:len(columns)] == columns, "a run with fewer parameters has other columns", str(columns))


# --- plots -----------------------------------------------------------------------------------------------------------------------


def pixels(path):
    """Width and height of a PNG of 8 bits a channel, and how many of its lines differ: a blank one has two or three, as packed."""
    data = path.read_bytes()
    expect(data[:8] == b"\x89PNG\r\n\x1a\n", "%s is no PNG" % path)
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    expect(depth == 8 and kind in (2, 6), "%s: depth %d, type %d" % (path, depth, kind))
    at, packed = 8, b""
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at:at + 8])
        packed += data[at + 8:at + 8 + length] if name == b"IDAT" else b""
        at += length + 12
    bytes_each = 3 if kind == 2 else 4
    raw, line = zlib.decompress(packed), width * bytes_each + 1
    expect(len(raw) == line * height, "%s is cut short" % path)
    return width, height, len({raw[y * line:(y + 1) * line] for y in range(height)})


def drawn(path):
    if not shutil.which("gnuplot"):
        raise Skipped("gnuplot is not installed")
    out = FOLDER / ("plots-" + path.stem)
    rc, said, err = run("plots.py", str(path), "--out", str(out))
    expect(rc == 0 and not err, "plots.py ended with %d" % rc, err)
    return out, said


def svg_texts(path):
    return " ".join("".join(e.itertext()) for e in xml.etree.ElementTree.parse(path).iter() if e.tag.endswith("}text"))


def test_plots():
    path = sample("plots.json", 1)
    out, _ = drawn(path)
    for name in PLOTS:
        tree = xml.etree.ElementTree.parse(out / (name + ".svg")).getroot()
        expect(tree.tag.endswith("}svg"), name + ".svg is no SVG")
        shapes = [e for e in tree.iter() if e.tag.split("}")[1] in ("path", "polygon", "polyline", "use")]
        expect(len(shapes) > 30, "%s.svg has %d shapes" % (name, len(shapes)))
        width, height, lines = pixels(out / (name + ".png"))
        expect(width >= 900 and height >= 500, "%s.png is %d by %d" % (name, width, height))
        expect(lines > 100, "%s.png is blank" % name)
        expect((out / (name + ".gp")).exists(), "no script of " + name)
        texts = svg_texts(out / (name + ".svg"))
        expect(bench_sample.MACHINE in texts, "%s.svg does not name the machine" % name, texts)
        expect(re.search(r"million messages/s|ns per message|µs", texts), name + ".svg has no unit", texts)
    for name in ("peer.testpmd.256.mmsgs", "peer.weft.256.mmsgs", "peer.grpc_tls_unary.256.mmsgs"):
        shown = results.short(figures(path)[name]["value"])
        expect(shown in svg_texts(out / "peers.svg").split(), "%s, %s" % (name, shown), svg_texts(out / "peers.svg"))


def test_plots_leave_out_what_is_missing():
    full = sample("full.json", 1)
    out, said = drawn(without(full, "nopeers.json", r"^peer\.|ratio_"))
    expect(not (out / "peers.png").exists() and "no plot of peers" in said, "peers were not measured", said)
    expect("testpmd" not in svg_texts(out / "throughput.svg"), "a peer that was not measured")
    out, said = drawn(without(full, "idle.json", r"^(?!idle)"))
    expect(not list(out.iterdir()) and "not measured" in said, "nothing can be drawn of this", said)
    out, _ = drawn(without(full, "gaps.json", r"^peer\.nats_tls\.(64|256)\.|\.p50_us|^scale\.(rules|ports)|^road\.numeric\.1400|stage\.judge"))
    expect("judge" not in svg_texts(out / "stages.svg"), "a stage that was not measured")
    expect("orders, 36 values" in svg_texts(out / "stages.svg"), "what has one size, its own")
    expect("NATS" in svg_texts(out / "throughput.svg") and "NATS" not in svg_texts(out / "peers.svg"), "a peer of one size")
    # Pictures of an earlier run do not stay beside figures of this one.
    again = FOLDER / "plots-nopeers"
    (again / "peers.svg").write_text("old")
    run("plots.py", str(FOLDER / "nopeers.json"), "--out", str(again))
    expect(not (again / "peers.svg").exists(), "an old picture stayed")


def test_names_are_no_commands():
    path = FOLDER / "hostile.json"
    rows = json.loads(sample("h.json", 1).read_text())
    mark = FOLDER / "mark"
    for r in rows:
        r["params"]["machine"] = "a \"; system(\"touch %s\"); \\\" `touch %s` @x <b>&\nset output" % (mark, mark)
    path.write_text(json.dumps(rows))
    out, _ = drawn(path)
    expect(not mark.exists(), "a parameter was run")
    expect(sum(1 for _ in out.glob("*.svg")) == len(PLOTS), "plots are missing")
    for name in PLOTS:
        xml.etree.ElementTree.parse(out / (name + ".svg"))


def test_without_gnuplot():
    here = FOLDER / "bin"
    here.mkdir()
    (here / "python3").symlink_to(sys.executable)
    (here / "env").symlink_to(shutil.which("env"))
    rc, out, _ = run("plots.py", str(sample("a.json", 1)), "--out", str(FOLDER / "none"), env={"PATH": str(here)})
    expect(rc == 0 and out.startswith("SKIP") and "gnuplot-nox" in out, "without gnuplot: %d" % rc, out)
    expect(not (FOLDER / "none").exists(), "something was drawn")


def test_gnuplot_that_fails():
    here = FOLDER / "failing"
    here.mkdir()
    (here / "gnuplot").write_text("#!/bin/sh\ncat >/dev/null\necho no such terminal >&2\nexit 1\n")
    (here / "gnuplot").chmod(0o755)
    rc, _, err = run("plots.py", str(sample("a.json", 1)), "--out", str(FOLDER / "none2"),
                     env={"PATH": "%s:%s" % (here, os.environ["PATH"])})
    expect(rc == 2 and "no such terminal" in err, "gnuplot failed, and it ended with %d" % rc, err)


# --- comparing ---------------------------------------------------------------------------------------------------------------------


def compare(a, b, *args):
    rc, out, err = run("compare.py", str(a), str(b), *args)
    parts = {"slower": set(), "faster": set()}
    for title, key in (("SLOWER", "slower"), ("faster", "faster")):
        found = re.search(r"^%s\n.*\n((?:  .*\n)+)" % title, out, re.M)
        parts[key] = {line.split()[0] for line in found.group(1).splitlines()} if found else set()
    return rc, parts, out + err


def test_the_same_is_quiet():
    for seed in range(3):
        for noise in (0.001, 0.02, 0.1, 0.5):
            rc, found, out = compare(sample("s1.json", 100 + seed, noise=noise), sample("s2.json", 200 + seed, noise=noise))
            expect(rc == 0 and not found["slower"] and not found["faster"], "noise %g, and it says (%d)" % (noise, rc), out)
            expect("results in both: 0 slower, 0 faster" in out, "the last line", out)


def test_what_is_slower_is_named():
    # A rate, a stage and a latency; and only these.
    changes = {"road.typed.256.mmsgs": 0.85, "road.opaque.1400.stage.validate.ns": 1.2, "latency.roundtrip.p99_us": 1.3}
    for noise in (0.001, 0.02):
        rc, found, out = compare(sample("b1.json", 1, noise=noise), sample("b2.json", 2, noise=noise, factors=changes))
        expect(rc == 1 and found["slower"] == set(changes) and not found["faster"], "slower, noise %g (%d)" % (noise, rc), out)
        rc, found, out = compare(FOLDER / "b2.json", FOLDER / "b1.json")
        expect(rc == 0 and found["faster"] == set(changes) and not found["slower"], "faster, noise %g (%d)" % (noise, rc), out)
    line = next(t for t in out.splitlines() if "typed.256.mmsgs" in t)
    change, low, high = (float(x) for x in re.findall(r"([+-]\d+\.\d)%", line))
    expect(low <= change <= high and 12 < low and high < 24, "a rate that rose by 17.6%%: %g, %g to %g" % (change, low, high), line)


def test_small_but_certain_is_no_news():
    a, b = sample("t1.json", 1, noise=0.0005), sample("t2.json", 2, noise=0.0005, factors={"road.": 1.03})
    rc, found, out = compare(a, b)
    expect(rc == 0 and not found["slower"], "3%% are below the threshold (%d)" % rc, out)
    rc, found, out = compare(a, b, "--threshold", "1")
    expect(rc == 1 and "road.typed.256.stage.validate.ns" in found["slower"], "3%% are above 1%% (%d)" % rc, out)
    # 0.4 ns of 3.4 are above the threshold, but nothing that a clock could tell.
    rc, found, out = compare(a, sample("t3.json", 2, noise=0.0005, factors={"road.typed.256.stage.judge": 1.12}))
    expect(rc == 0 and not found["slower"], "a change of 0.4 ns (%d)" % rc, out)


def test_a_slow_machine_is_not_a_slow_tree():
    # Everything a quarter slower, other people's programs with it.
    rows = json.loads(sample("m1.json", 1).read_text())
    for r in rows:
        times = {"M/s": 0.8, "ns": 1.25, "us": 1.25}.get(r["unit"], 1)
        r["samples"] = [s * times for s in r["samples"]]
        for k in ("value", "min", "max"):
            r[k] *= times
    (FOLDER / "m2.json").write_text(json.dumps(rows))
    rc, found, out = compare(FOLDER / "m1.json", FOLDER / "m2.json")
    expect(rc == 0 and not found["slower"], "the machine was slower (%d)" % rc, out)
    expect("programs of others were 25.0% slower in B" in out, "the machine is not named", out)
    # Ours alone is another matter.
    for r in rows:
        if r["name"] == "road.numeric.64.mmsgs":
            r.update(samples=[s * 0.8 for s in r["samples"]], value=r["value"] * 0.8, min=r["min"] * 0.8, max=r["max"] * 0.8)
    (FOLDER / "m3.json").write_text(json.dumps(rows))
    rc, found, out = compare(FOLDER / "m1.json", FOLDER / "m3.json")
    expect(rc == 1 and found["slower"] == {"road.numeric.64.mmsgs"}, "slower beyond the machine (%d)" % rc, out)


def test_a_disturbed_run_is_not_slower():
    # Five of seven runs were disturbed, two were not: the median is far off, the best says that the code is the same.
    rows = json.loads(sample("d1.json", 1, noise=0.001).read_text())
    for r in rows:
        if r["name"] == "road.typed.64.mmsgs":
            r["samples"] = [s * (0.6 if i < 5 else 1) for i, s in enumerate(r["samples"])]
            r.update(value=sorted(r["samples"])[3], min=min(r["samples"]), max=max(r["samples"]))
    (FOLDER / "d2.json").write_text(json.dumps(rows))
    rc, found, out = compare(FOLDER / "d1.json", FOLDER / "d2.json")
    expect(rc == 0 and not found["slower"], "a disturbed run (%d)" % rc, out)
    expect("1 that moved but may be noise" in out, "it moved", out)
    expect("road.typed.64.mmsgs" in compare(FOLDER / "d1.json", FOLDER / "d2.json", "--all")[2], "--all shows it")


def test_a_shared_core_is_no_measure():
    # Other processes had most of the fabric's core: what the wall's clock says is theirs; what has CPU time is not.
    changes = {"road.typed.256.mmsgs": 0.5, "latency.roundtrip.p99_us": 2, "micro.": 2}
    busy = {name + ".core": 0.3 for name in ("road.%s.%d" % (k, s) for k in ("numeric", "typed", "opaque") for s in (64, 256, 1400))}
    rc, found, out = compare(sample("c1.json", 1), sample("c2.json", 2, factors={**changes, **busy}))
    expect(rc == 1 and found["slower"] == {"micro.validate.typed.256.ns"}, "a shared core (%d)" % rc, out)
    expect(re.search(r"had 9\d% of it in A, [23]\d% in B", out), "it is said", out)


def test_others_do_not_count():
    rc, found, out = compare(sample("o1.json", 1), sample("o2.json", 2, factors={"peer.nats_tls.256.mmsgs": 0.5}))
    expect(rc == 0 and not found["slower"], "NATS became slower, which is not ours (%d)" % rc, out)
    expect("others' programs" in out and "peer.nats_tls.256.mmsgs" in out, "it is shown", out)


def test_lost_messages_count():
    rc, found, out = compare(sample("l1.json", 1), sample("l2.json", 2))
    rows = json.loads((FOLDER / "l2.json").read_text())
    for r in rows:
        if r["name"] == "overload.lost":
            r.update(value=5, min=3, max=9, samples=[3, 4, 5, 5, 6, 8, 9])
    (FOLDER / "l3.json").write_text(json.dumps(rows))
    rc, found, out = compare(FOLDER / "l1.json", FOLDER / "l3.json")
    expect(rc == 1 and found["slower"] == {"overload.lost"}, "from none to some (%d)" % rc, out)


def test_differences_are_pointed_out():
    a = sample("x1.json", 1)
    b = without(sample("x2.json", 2, machine="Another processor, 64 CPUs"), "x3.json", r"^idle")
    _, _, out = compare(a, b)
    expect("NOTE: machine" in out and "64 CPUs" in out, "another machine", out)
    expect("only in A: idle.cpu" in out, "a result that B has not", out)


def test_without_samples_nothing_is_certain():
    def strip(path):
        rows = json.loads(path.read_text())
        for r in rows:
            del r["samples"]
        path.write_text(json.dumps(rows))
        return path

    a, b = strip(sample("w1.json", 1)), strip(sample("w2.json", 2, factors={"road.typed.256.mmsgs": 0.5}))
    rc, found, out = compare(a, b)
    expect(rc == 0 and not found["slower"], "untested (%d)" % rc, out)
    expect("nobody can say" in out and "road.typed.256.mmsgs" in out, "it is shown", out)
    # Three samples can never be certain.
    rc, found, out = compare(sample("w3.json", 1, runs=3), sample("w4.json", 2, runs=3, factors={"road.typed.256.mmsgs": 0.5}))
    expect(rc == 0 and not found["slower"] and "nobody can say" in out, "three samples (%d)" % rc, out)


def test_statistics():
    # Mann and Whitney's table: for 7 and 7 samples, U up to 8 is within 2.5% on one side, 9 is not.
    expect(confidence.rank_counts(2, 2) == [1, 1, 2, 1, 1] and sum(confidence.rank_counts(7, 7)) == 3432, "counts of U")
    expect(confidence.rank_cut(7, 7, 0.025) == 9 and confidence.rank_cut(5, 5, 0.025) == 3 and confidence.rank_cut(3, 3, 0.025) == 0,
           "critical values")
    # Whether only two full separations of all deals are as extreme: 2 in 3,432.
    p = confidence.adjusted([([1, 2, 3, 4, 5, 6, 7], [11, 12, 13, 14, 15, 16, 17])])[0]
    expect(math.isclose(p, 2 / 3432), "p of two samples apart is %g" % p)
    expect(confidence.adjusted([([1] * 7, [1] * 7)]) == [1.0], "samples that are all alike")
    expect(confidence.adjusted([([1, 2, 3], [4, 5, 6]), ([], [])]) == [None, None], "too few, and none")
    # False alarms among a hundred results at once, of one source: in at most one of twenty comparisons.
    rng = random.Random(5)

    def draw(shift=0.0):
        return [rng.gauss(shift, 1) for _ in range(5)]

    alarms = sum(min(confidence.adjusted([(draw(), draw()) for _ in range(100)])) <= 0.05 for _ in range(60))
    expect(alarms <= 8, "%d of 60 comparisons of the same raised an alarm" % alarms)
    found = sum(confidence.adjusted([(draw(), draw()) for _ in range(99)] + [(draw(), draw(20))])[-1] <= 0.05 for _ in range(20))
    expect(found == 20, "a large change among a hundred was found %d times of 20" % found)
    held = sum(low <= 1 <= high for _, low, high in (confidence.shift_interval(draw(), draw(1)) for _ in range(400)))
    expect(held >= 370, "the interval held the truth %d times of 400" % held)


# --- what is no result ---------------------------------------------------------------------------------------------------------------


def test_errors():
    good = sample("good.json", 1)
    rows = json.loads(good.read_text())
    cases = {"missing.json": (None, "no such file"), "broken.json": ("[{", "not JSON"), "empty.json": ("[]", "empty"),
             "object.json": ("{}", "list"), "number.json": ("[3]", "result 1"),
             "noname.json": (json.dumps([dict(rows[0], name=None)]), "name"),
             "value.json": (json.dumps([rows[0], dict(rows[1], value="fast")]), "result 2"),
             "nan.json": ("[%s]" % json.dumps(dict(rows[0], value=float("nan"))), "value"),
             "order.json": (json.dumps([dict(rows[0], min=rows[0]["max"] + 1)]), "min"),
             "twice.json": (json.dumps([rows[0], rows[0]]), "twice"), "bytes.json": (b"\xff\xfe", "cannot be read")}
    for name, (text, says) in cases.items():
        path = FOLDER / name
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        for program, args in (("report.py", [path]), ("plots.py", [path]), ("compare.py", [good, path]), ("compare.py", [path, good])):
            if program == "plots.py" and not shutil.which("gnuplot"):
                continue
            rc, _, err = run(program, *map(str, args))
            expect(rc == 2 and says in err and name in err, "%s of %s ended with %d" % (program, name, rc), err)
            expect("Traceback" not in err, "%s of %s" % (program, name), err)
    rc, _, err = run("compare.py", str(without(good, "i.json", "^(?!idle)")), str(without(good, "l.json", "^(?!latency)")))
    expect(rc == 2 and "no result in common" in err, "nothing in common: %d" % rc, err)
    other = FOLDER / "unit.json"
    other.write_text(json.dumps([dict(r, unit="ms") if r["name"] == "idle.cpu" else r for r in rows]))
    rc, _, err = run("compare.py", str(good), str(other))
    expect(rc == 2 and "idle.cpu" in err, "another unit: %d" % rc, err)


def test_make():
    a, b = sample("a.json", 1), sample("b.json", 2, factors={"road.typed.256.mmsgs": 0.5})
    for args, expected in (((str(a), str(a)), 0), (("A=%s" % a, "B=%s" % a), 0), ((str(a), str(b)), 2), (("A=%s" % a,), 2)):
        p = subprocess.run(["make", "-C", ROOT, "bench-compare", *args], text=True, capture_output=True, check=False, timeout=60)
        expect(p.returncode == expected, "make bench-compare %s ended with %d" % (" ".join(args), p.returncode), p.stdout + p.stderr)
    expect("A.json B.json" in p.stderr, "what would be right", p.stderr)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="weft-test-") as folder:
        FOLDER = pathlib.Path(folder)
        sys.exit(tap.run(tap.named_tests(dict(globals()))))
