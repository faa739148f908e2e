#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft explain` on decision logs as files, without weftd: logs that were put aside, several boots, ids that come twice, logs
that are broken or cannot be read, and lines that anybody wrote. Prints TAP."""
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
DIR = BUILD / "run" / "tests" / "explain_log"
RUN = DIR / "run"


def fresh():
    shutil.rmtree(DIR, ignore_errors=True)
    (DIR / "policy").mkdir(parents=True)
    RUN.mkdir(mode=0o700)
    (DIR / "fabric.yaml").write_text("fabric: t\nschemas: s.binpb\npolicies: policy\nrun_dir: run\nunikernels:\n  - name: a\n")


def line(number, boot=1, **more):
    d = {"id": number, "boot": f"{boot:016x}", "time": "2026-01-01T10:00:00.000001Z", "verdict": "send_denied", "passed": False,
         "from": "a", "to": "b", "subject": "t.M", "kind": "oneway", "message_id": 1,
         "rule": {"id": 3, "file": "a.yaml", "line": 1, "text": "send nothing else"}, "len": 30, "offset": 0, "count": 1,
         "detail": "", "policy_epoch": 1}
    d.update({k.rstrip("_"): v for k, v in more.items()})
    return json.dumps(d, separators=(",", ":")) + "\n"


def log(text, k=0):
    (RUN / ("decisions.jsonl" + (f".{k}" if k else ""))).write_text(text)


def explain(number, *more, status=0):
    p = subprocess.run([WEFT, "explain", str(number), *more, DIR / "fabric.yaml"], capture_output=True, timeout=60, check=False)
    out, err = p.stdout.decode(), p.stderr.decode()
    expect(p.returncode == status, f"weft explain {number} {more}: exit status {p.returncode}, not {status}", out + err)
    return out, err


def test_boots_and_logs_put_aside():
    fresh()
    log(line(5, 3) + line(6, 3))
    log(line(6, 2) + line(7, 2) + line(5, 3), 1)
    log(line(6, 1), 2)
    out, _ = explain(6)
    expect("decision  6 of boot 0000000000000003" in out and "2 others of the log have this id" in out, out)
    expect("the policies of that epoch are kept no more" in out and "a.yaml:1: send nothing else" in out, out)
    out, _ = explain(6, "--boot", f"{1:016x}")
    expect("decision  6 of boot 0000000000000001" in out and "this id" not in out, out)
    _, err = explain(9, status=1)
    expect("5 to 6 of boot 0000000000000003, the newest" in err and "6 to 6 of boot 0000000000000001" in err, err)
    for number in (5, 6, 7):
        json.loads(explain(number, "--json")[0])


def test_the_newest_of_many_boots():
    fresh()
    log("".join(line(1, boot) for boot in range(1, 101)))
    _, err = explain(2, status=1)
    expect(f"1 to 1 of boot {100:016x}, the newest" in err and f"{36:016x}" not in err, err)
    expect("99 others of the log have this id" in explain(1)[0], "others")


def test_a_log_that_cannot_be_read():
    fresh()
    _, err = explain(1, status=2)
    expect("decisions.jsonl: No such file" in err, err)
    log(line(2))
    (RUN / "decisions.jsonl.1").mkdir()
    _, err = explain(1, status=2)
    expect("decisions.jsonl.1: " in err and "has no decision" not in err, err)
    (RUN / "decisions.jsonl.1").rmdir()
    log(line(1), 1)
    (RUN / "decisions.jsonl").unlink()  # it is just being put aside
    explain(1)


CONTENT = (  # what was found, and what would be listed for it
    ("SSH in receipt", "list SSH under `carries` for the field receipt, beside what is there"),
    ("TLS.Google in a", "list TLS under `carries` for the field a"),
    ("Z39.50 in a", "list Z39.50 under `carries` for the field a"),
    ("HTTP over 3 messages in a_1", "list HTTP under `carries` for the field a_1"),
    ("RTP, doubtful in data", "list unknown and doubtful under `carries` for the field data"),
    ("not recognised in body", "list unknown, or the kind that it is (text, json ...), under `carries` for the field body"),
    ("not recognised: text in body", "list text or unknown under `carries` for the field body"),
    ("script in content", "carry another profile for the field content: one of the two rules' forbids \"script\""),
)


def test_what_content_would_need():
    fresh()
    silent = ("Nothing in a", "SSH", "SSH in a b", "SSH in \u00e4", "SSH in 1a", "SSH in " + "a" * 40, "", " in a")
    log("".join(line(i + 1, verdict="content_forbidden", detail=d) for i, d in enumerate([d for d, _ in CONTENT] + list(silent))) +
        line(90, verdict="content_risk", detail="SQL Injection over 2 messages in request") +
        line(91, verdict="content_risk", detail="\u00e4" * 60 + " in request"))
    for i, (detail, advice) in enumerate(CONTENT):
        out, _ = explain(i + 1)
        expect(f"to change {advice}" in out, detail, out)
        changes = json.loads(explain(i + 1, "--json")[0])["changes"]
        expect(len(changes) == 1 and changes[0]["kind"] == "loosen" and advice in changes[0]["text"], detail, changes)
    for i, detail in enumerate(silent):
        expect("to change" not in explain(len(CONTENT) + 1 + i)[0], detail)
    expect("`risks` without \"SQL Injection\"" in explain(90)[0], explain(90))
    expect("to change" not in explain(91)[0], explain(91))
    json.loads(explain(91, "--json")[0])


def test_lines_that_anybody_wrote():
    fresh()
    hostile = "\u001b[31m\u202e" + "x" * 300
    log('{"id":1,"boot":"0000000000000001"\n' + "[" * 3000 + "\n" + '{"id":4,"boot":"0000000000000001"}\n' +
        line(2, from_=hostile, to=hostile, subject=hostile, verdict=hostile, detail=hostile, kind=hostile, time=hostile,
             rule={"id": 1, "file": hostile, "line": -1, "text": hostile, "name": hostile, "reason": hostile}) +
        line(3, from_=7, to=[], subject={}, verdict=None, rule="no", len="long", count=-1, policy_epoch="x", observed=1))
    explain(1, status=1)
    for number in (2, 3, 4):
        out, _ = explain(number)
        expect("\u001b" not in out and "\u202e" not in out, repr(out))
        json.loads(explain(number, "--json")[0])


if __name__ == "__main__":
    sys.exit(tap.run(tap.named_tests(dict(globals()))))
