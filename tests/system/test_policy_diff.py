#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft policy diff`, `graph` and `reach` as a person or a script meets them: exit statuses, sentences, JSON, DOT that graphviz
reads. What they find is tested in tests/policy/test_diff.c and test_reach.c. Prints TAP."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import tap
from tap import expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
WEFT = BUILD / "bin" / "weft"
DIR = BUILD / "run" / "tests" / "policy_diff"
COMMON = f"schemas: {BUILD}/schemas/demo.binpb\n"
PLANT = {
    "camera": "send:\n  - to: hub\n    message: demo.Event\n",
    "hub": "receive:\n  - from: [meter, camera]\n    message: [demo.Reading, demo.Event]\n"
           "send:\n  - to: valve\n    method: demo.Valve/Act\n",
    "meter": "send:\n  - to: hub\n    message: demo.Reading\n    where: this.pressure_kpa <= 600\n",
    "valve": "receive:\n  - from: hub\n    method: demo.Valve/Act\n",
}


def weft(*args, status=0):
    p = subprocess.run([WEFT, "policy", *map(str, args)], capture_output=True, text=True, timeout=120, check=False, cwd=DIR)
    expect(p.returncode == status, f"weft policy {args}: exit status {p.returncode}, not {status}\n{p.stdout}{p.stderr}")
    return p


def folder(name, common=COMMON, **changes):
    """A policy folder: the plant's files, but for what is given."""
    shutil.rmtree(DIR / name, ignore_errors=True)
    (DIR / name).mkdir(parents=True)
    for unikernel, text in {**PLANT, **changes}.items():
        (DIR / name / f"{unikernel}.yaml").write_text(f"unikernel: {unikernel}\n{text}")
    (DIR / name / "common.yaml").write_text(common)
    return name


def test_no_difference():
    folder("old")
    folder("same", meter="send:\n  - to: hub\n    message: demo.Reading\n    where: 600 >= this.pressure_kpa\n",
           hub="receive:\n  - from: meter\n    message: demo.Reading\n  - from: camera\n    message: demo.Event\n"
               "send:\n  - to: group:g\n    method: demo.Valve/Act\n", common=COMMON + "groups:\n  g: [valve]\n")
    p = weft("diff", "old", "same")
    expect(p.stdout == "no difference\n" and not p.stderr, p.stdout + p.stderr)
    expect(json.loads(weft("diff", "old", "same", "--json").stdout) == {"equal": True, "changes": []}, "the JSON says otherwise")


def test_differences():
    folder("old")
    folder("new", meter="send:\n  - to: hub\n    message: demo.Reading\n    rate: 5/s\n",
           camera="send:\n  - to: [hub, valve]\n    message: demo.Event\n",
           hub=PLANT["hub"].replace("meter, camera", "meter"))
    p = weft("diff", "old", "new", status=1)
    expect(p.stdout.splitlines() == [
        "camera may no longer send demo.Event to hub (old/camera.yaml:3, old/hub.yaml:3; now: new/hub.yaml:2)",
        "meter may now send demo.Reading to hub where this.pressure_kpa at least 601 (new/meter.yaml:3, new/hub.yaml:3)",
        "demo.Reading from meter to hub where this.pressure_kpa at most 600: rate of the sender's rule now 5/s, burst 5, before none "
        "(new/meter.yaml:3, new/hub.yaml:3; before: old/meter.yaml:3, old/hub.yaml:3)"], p.stdout)
    o = json.loads(weft("diff", "old", "new", "--json", status=1).stdout)
    expect(not o["equal"] and [c["kind"] for c in o["changes"]] == ["lost", "gained", "terms"], o)
    c = o["changes"][1]
    expect((c["from"], c["to"], c["message"], c["certain"], c["example"]) == ("meter", "hub", "demo.Reading", True, {"pressure_kpa": 601}), c)
    expect(c["places"][0] == {"in": "new", "file": "new/meter.yaml", "line": 3, "text": c["places"][0]["text"]}, c)
    expect(o["changes"][2]["before"] == "none", o)


def test_what_cannot_be_compared():
    folder("old")
    folder("broken", meter="sned: []\n")
    p = weft("diff", "old", "broken", status=2)
    expect(p.stderr.startswith("broken/meter.yaml:2:") and not p.stdout, p.stderr)
    o = json.loads(weft("diff", "old", "broken", "--json", status=2).stdout)
    expect(o["errors"][0]["line"] == 2, o)
    weft("diff", "old", status=2)
    weft("diff", "old", "absent", status=2)


def test_reach():
    folder("old")
    p = weft("reach", "old", "--from", "camera", "--to", "valve")
    expect(p.stdout.splitlines() == [
        "yes: camera reaches valve in 2 steps",
        "camera -> hub: demo.Event",
        "  send     old/camera.yaml:3: send demo.Event to hub",
        "  receive  old/hub.yaml:3: receive demo.Reading, demo.Event from meter, camera",
        "hub -> valve: demo.Valve/Act",
        "  send     old/hub.yaml:6: send demo.Valve/Act to valve",
        "  receive  old/valve.yaml:3: receive demo.Valve/Act from hub"], p.stdout)
    p = weft("reach", "old", "--from", "camera", "--to", "valve", "--direct", status=1)
    expect("old/camera.yaml:2" in p.stdout and p.stdout.startswith("no: camera does not talk to valve\n"), p.stdout)
    o = json.loads(weft("reach", "old", "--from", "valve", "--to", "hub", "--json").stdout)
    expect(o["reaches"] and o["path"][0]["reply"] and o["path"][0]["subject"] == "demo.Valve/Act", o)
    o = json.loads(weft("reach", "old", "--from", "hub", "--to", "camera", "--json", status=1).stdout)
    expect(not o["reaches"] and o["missing"]["rule"]["default"], o)
    weft("reach", "old", "--from", "hub", "--to", "camera", "--with", "demo.Reading", status=1)
    p = weft("reach", "old", "--from", "hub", "--to", "camara", status=2)
    expect('did you mean "camera"?' in p.stderr, p.stderr)
    weft("reach", "old", "--from", "hub", "--to", "hub", status=2)
    weft("reach", "old", "--from", "hub", status=2)


def dot_reads(text):
    """What graphviz makes of DOT text, as JSON."""
    if not shutil.which("dot"):
        raise tap.Skipped("graphviz is not installed")
    p = subprocess.run(["dot", "-Tdot_json"], input=text, capture_output=True, text=True, timeout=60, check=False)
    expect(p.returncode == 0 and not p.stderr, p.stderr)
    return json.loads(p.stdout)


def test_graph():
    folder("old", meter="mode: observe\n", valve="labels: {zone: 'a\"b\\\\'}\n" + PLANT["valve"] +
           "deny:\n  - from: camera\n", camera=PLANT["camera"] + "labels: {zone: field}\n")
    text = weft("graph", "old", "--denied").stdout
    g = dot_reads(text)
    names = {o["label"] for o in g["objects"] if "nodes" not in o}
    expect({"camera", "hub", "valve"} <= names and "meter\\n(observed)" in names, names)
    labels = {o["label"] for o in g["objects"] if o["name"].startswith("cluster")}
    expect("zone: field" in labels and any('a"b' in label for label in labels), labels)
    edges = sorted((e["label"], e.get("style", "")) for e in g["edges"])
    # the meter sends nothing, but is only observed; what the hub takes from the camera besides, the camera does not send
    expect(edges == [("Event", ""), ("Event\\nReading", "dashed"), ("Reading", "dotted"), ("Valve/Act", "")], edges)
    o = json.loads(weft("graph", "old", "--json").stdout)
    expect([n["name"] for n in o["nodes"]] == ["camera", "hub", "meter", "valve"] and o["nodes"][2]["observe"], o)
    expect({(e["from"], e["to"], e["observed"]) for e in o["edges"]} >=
           {("camera", "hub", False), ("hub", "valve", False), ("meter", "hub", True)}, o)
    weft("graph", "old", "--box", "zoen", status=2)
    weft("graph", "old", "-o", "old.gif", status=2)


def test_pictures():
    folder("old")
    weft("graph", "old", "-o", "old.dot")
    expect((DIR / "old.dot").read_text() == weft("graph", "old").stdout, "the file is not what standard output gets")
    if not shutil.which("dot"):
        raise tap.Skipped("graphviz is not installed")
    weft("graph", "old", "-o", "old.svg")
    svg = (DIR / "old.svg").read_text()
    expect("<svg" in svg and all(f">{n}</text>" in svg for n in PLANT), svg[:400])
    weft("graph", "old", "-o", "old.png")
    expect((DIR / "old.png").read_bytes().startswith(b"\x89PNG"), "no PNG")
    p = weft("graph", "old", "-o", "nowhere/old.svg", status=2)
    expect("nowhere/old.svg" in p.stderr, p.stderr)


def test_many_are_drawn_as_one():
    few = {f"m{i}": "send:\n  - to: hub\n    message: demo.Reading\n" for i in range(12)}
    folder("many", hub="receive:\n  - from: any\n    message: demo.Reading\n", camera="", meter="", valve="", **few)
    g = dot_reads(weft("graph", "many").stdout)
    expect(len(g["edges"]) == 1 and any("and 6 more" in o["label"] for o in g["objects"]), g["objects"])
    expect(len(dot_reads(weft("graph", "many", "--all").stdout)["edges"]) == 12, "--all draws each")


if __name__ == "__main__":
    DIR.mkdir(parents=True, exist_ok=True)
    sys.exit(tap.run(tap.named_tests(globals())))
