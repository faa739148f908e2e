#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft dpi classify` against nDPI's own ndpiReader: captures of each kind (capture_kinds.py), and captures of nDPI's suite,
changed at random, must give the same table and the same flows with the same risks. Run by `make dpi-differential`;
tests/system/test_dpi.py runs the kinds and a short round.

usage: dpi_differential.py [--count N] [--seed S] [--keep FOLDER]"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

import capture_kinds
import captures

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
WEFT = BUILD / "bin" / "weft"
VECTORS = ROOT.parent / "shared" / "vectors" / "ndpi"
READER = shutil.which("ndpiReader")
PROTOS = pathlib.Path("/usr/share/ndpi/ndpiProtos.txt")  # what `weft dpi classify` takes by itself
SECONDS = 60

ROW = re.compile(r"^([^\t]+)\t(\d+)\t(\d+)\t(\d+)$")
ENDS = re.compile(r"(\S+) (\S+) (?:<->|->) (\S+) ")
RISKS = re.compile(r"\[Risk: (.*?)\]\[Risk Score")


class Unusable(Exception):
    """One of the two gave no answer."""


def table_of(text):
    """The rows of a result file of ndpiReader -w."""
    return [(m[1], int(m[2]), int(m[3]), int(m[4])) for m in map(ROW.match, text.splitlines()) if m]


def endpoints(l4, a, b):
    """Comparable ends. ndpiReader writes other protocols as numbers, and leaves groups of zeroes empty."""
    return (l4.removeprefix("IP ").upper(), *sorted(re.sub(":0(?=:)", ":", end) for end in (a, b)))


def flows_of(text):
    """Flows of a result file: (l4, ends, VLAN, protocol, packets, bytes, risks), sorted. Ends are as ndpiReader writes them."""
    found = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) < 3 or fields[0] != "" or not fields[1].isdigit() or "[proto: " not in line:
            continue
        m = ENDS.match(fields[2])
        proto = re.search(r"\[proto: (?:GTP:|CAPWAP:|TZSP:)?([\d.]+)/([^]]*)\]", line)
        count = re.search(r"\[(\d+) pkts/(\d+) bytes <?-> (\d+) pkts/(\d+) bytes\]", line)
        if not m or not proto or not count:
            raise Unusable("a line of ndpiReader that this cannot read: " + line[:200])
        risks = RISKS.search(line)
        names = sorted(r.strip() for r in risks[1].split("**") if r.strip()) if risks else []
        vlan = re.search(r"\[VLAN: (\d+)\]", line)
        found.append((endpoints(m[1], m[2], m[3]), int(vlan[1]) if vlan else 0, proto[2],
                      int(count[1]) + int(count[3]), int(count[2]) + int(count[4]), names))
    return sorted(found)


def reader(path, out):
    """ndpiReader's table and flows."""
    try:
        more = ["-p", str(PROTOS)] if PROTOS.exists() else []
        r = subprocess.run([READER, "-q", "-t", *more, "-v", "2", "-i", str(path), "-w", str(out)], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise Unusable(f"ndpiReader takes more than {SECONDS} s") from None
    if r.returncode != 0:
        raise Unusable(f"ndpiReader ends with {r.returncode}")
    text = out.read_text(errors="replace")
    return table_of(text), text


def weft(path, *options):
    r = subprocess.run([str(WEFT), "dpi", "classify", "--json", *options, str(path)], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=SECONDS)
    if r.returncode not in (0, 1):  # 1: not read, an empty table
        raise Unusable(f"weft ends with {r.returncode}: {r.stderr.decode(errors='replace').strip()}")
    return json.loads(r.stdout)


def rows(answer):
    return [(p["protocol"], p["packets"], p["bytes"], p["flows"]) for p in answer["protocols"]]


def flows(answer):
    found = []
    for f in answer["flows"]:
        six = ":" in f["source"]
        ends = ((f["source"], f["source_port"]), (f["destination"], f["destination_port"]))
        ends = [f"[{a}]:{p}" if six else f"{a}:{p}" for a, p in ends]
        found.append((endpoints(f["l4"], *ends), f.get("vlan", 0), f["protocol"], f["packets"], f["bytes"], sorted(f["risks"])))
    return sorted(found)


def compare(path, out):
    """What differs, as lines; none: nothing does."""
    theirs, text = reader(path, out)
    answer = weft(path, "--all")
    wrong = [f"only ndpiReader: {r}" for r in theirs if r not in rows(answer)]
    wrong += [f"only weft: {r}" for r in rows(answer) if r not in theirs]
    if rows(answer) != theirs and not wrong:
        wrong.append("the order of rows differs")
    a, b = flows_of(text), flows(answer)
    if not wrong and a != b:
        wrong += [f"flow, only ndpiReader: {f}" for f in a if f not in b][:5]
        wrong += [f"flow, only weft: {f}" for f in b if f not in a][:5]
    return wrong


def kinds(keep=None, say=print):
    """One capture of each kind. Returns (compared, differing)."""
    compared, differing = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "capture.pcap"
        for name, c in capture_kinds.kinds(random.Random(1)):
            if isinstance(c, bytes):
                path.write_bytes(c)
            else:
                c.write(path)
            try:
                wrong = compare(path, pathlib.Path(folder) / "out")
            except Unusable as e:
                wrong = [str(e)]
            compared += 1
            if wrong:
                differing += 1
                say("\n   ".join([name, *wrong]))
                if keep:
                    shutil.copy(path, pathlib.Path(keep) / f"differs-{differing}.pcap")
    return compared, differing


def originals():
    return [(p.name, captures.read(p)) for p in sorted((VECTORS / "pcap").iterdir())]


def round_of(count, seed, keep=None, say=print):
    """Changes, compares. Returns (compared, unusable, differing)."""
    rng, sources = random.Random(seed), originals()
    payloads = [p for _, c in sources for p in captures.payloads_of(c)]
    differing, unusable = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path, out = pathlib.Path(folder) / "capture.pcap", pathlib.Path(folder) / "out"
        for i in range(count):
            c, did = captures.change(sources, rng, payloads)
            form = rng.choice(captures.FORMS)
            c.write(path, form)
            did += "" if form == "pcap" else " as " + form
            try:
                wrong = compare(path, out)
            except Unusable as e:
                unusable += 1
                say(f"{i}: {did}: {e}")
                if keep:
                    shutil.copy(path, pathlib.Path(keep) / f"unusable-{seed}-{i}.pcap")
                continue
            if wrong:
                differing += 1
                say(f"{i}: {did}")
                for line in wrong:
                    say("   " + line)
                if keep:
                    shutil.copy(path, pathlib.Path(keep) / f"differs-{seed}-{i}.pcap")
    return count - unusable, unusable, differing


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="folder for captures that differ")
    args = parser.parse_args()
    if not READER or not (VECTORS / "pcap").is_dir():
        print("SKIP: " + ("ndpiReader is not installed (libndpi-bin)" if not READER else f"no captures in {VECTORS}"))
        return 0
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
    n, wrong = kinds(args.keep)
    print(f"{n} kinds of captures compared, {wrong} differ")
    compared, unusable, differing = round_of(args.count, args.seed, args.keep)
    print(f"{compared} captures compared, {unusable} that ndpiReader or weft gave no answer to, {differing} differ")
    return 1 if differing or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
