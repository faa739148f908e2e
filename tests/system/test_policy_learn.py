#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft policy learn`: drafts of decision logs that check and are laid out, let pass what was seen and nothing else, and that
no line of a log can write into. Prints TAP."""
import json
import os
import pathlib
import resource
import random
import shutil
import signal
import subprocess
import sys

import tap
from tap import expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
WEFT = BUILD / "bin" / "weft"
DIR = BUILD / "run" / "tests" / "policy_learn"
PROTO = """syntax = "proto3";
package t;
message Reading { bytes data = 1; }
message Alarm { bytes data = 1; }
service Valve { rpc Act(Reading) returns (Alarm); }
"""


def weft(*args, status=0, feed=None):
    p = subprocess.run([WEFT, "policy", *map(str, args)], input=feed, capture_output=True, timeout=120, check=False)
    out, err = p.stdout.decode(), p.stderr.decode()
    expect(p.returncode == status, f"weft policy {args}: exit status {p.returncode}, not {status}", out + err)
    return out, err


def line(**more):
    """A decision as weftd writes it; fabric/decision_json.c."""
    d = {"id": 1, "boot": "0" * 16, "time": "2026-01-01T10:00:00.000001Z", "verdict": "passed", "passed": True,
         "from": "meter", "to": "hub", "subject": "t.Reading", "kind": "oneway", "message_id": 1, "rule": None, "len": 30,
         "offset": 0, "count": 1, "detail": "", "policy_epoch": 1}
    d.update({k.rstrip("_"): v for k, v in more.items()})
    return json.dumps(d, ensure_ascii=False)


def at(second):
    return f"2026-01-01T{10 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000001Z"


def fresh(*lines):
    shutil.rmtree(DIR, ignore_errors=True)
    DIR.mkdir(parents=True)
    (DIR / "t.proto").write_text(PROTO)
    log = DIR / "decisions.jsonl"
    log.write_bytes(b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines))
    return log


def learn(log, *more, schemas=True, status=0):
    return weft("learn", log, "-o", DIR / "draft", *(("--schemas", DIR / "t.proto") if schemas else ()), *more, status=status)


def draft(name):
    return (DIR / "draft" / f"{name}.yaml").read_text()


def sound():
    """What holds of every draft."""
    weft("fmt", "--check", DIR / "draft")
    weft("check", DIR / "draft")


def test_what_passed_becomes_rules():
    log = fresh(line(), line(len=65, time=at(1)), line(from_="hub", to="valve", subject="t.Valve/Act", kind="request"),
                line(from_="valve", to="hub", subject="t.Valve/Act", kind="reply"))
    out, err = learn(log)
    expect("3 unikernels with 4 rules and 0 suggestions" in out and not err, out + err)
    sound()
    meter, hub = draft("meter"), draft("hub")
    expect("  - to: hub\n    message: t.Reading\n    max_size: 128B\n    rate: 4/m" in meter, meter)
    expect("# 2 passed between 2026-01-01T10:00:00Z and 2026-01-01T10:00:01Z; largest 65 bytes,\n  # busiest second 1, "
           "busiest minute 2\n" in meter, meter)
    expect("receive:" not in meter and "  - from: meter\n" in hub and "  - to: valve\n    method: t.Valve/Act\n" in hub, hub)
    expect("send:" not in draft("valve"), "a reply became a rule")


def cases_of(talks):
    """Cases that send each conversation so often at once, and one more size than allowed."""
    out = ["cases:"]
    for i, (src, dst, times) in enumerate(talks):
        out += [f"  - name: case {i}", f"    from: {src}", f"    to: {dst}", "    message: t.Reading",
                f"    times: {times}", "    expect: passed"]
    return "\n".join(out) + "\n"


def test_what_was_seen_passes_the_draft():
    rnd = random.Random(4)
    busy, lines = {}, []
    for i in range(6):
        pair = (f"u{i}", f"u{(i + 1) % 6}")
        for second in sorted(rnd.choices(range(600), k=rnd.choice((1, 5, 400)))):
            n = rnd.choice((1, 1, 1, 7))
            busy.setdefault(pair, {}).setdefault(second, 0)
            busy[pair][second] += n
            lines += [line(from_=pair[0], to=pair[1], time=at(second))] * n
    learn(fresh(*lines))
    (DIR / "draft" / "seen.test.yaml").write_text(cases_of([(a, b, max(n.values())) for (a, b), n in busy.items()]))
    out, _ = weft("test", DIR / "draft")
    expect(f"{len(busy)} passed, 0 failed" in out and "12 of 12 rules reached" in out, out)
    shutil.rmtree(DIR / "draft")
    # And nothing else: the other direction, another subject.
    learn(fresh(*lines))
    sound()
    out, _ = weft("explain", DIR / "draft", "--from", "u1", "--to", "u0", "--message", "t.Reading", status=1)
    expect("send_denied" in out, out)
    out, _ = weft("explain", DIR / "draft", "--from", "u0", "--to", "u1", "--message", "t.Alarm", status=1)
    expect("send_denied" in out, out)


def test_what_lacked_a_rule_becomes_suggestions():
    log = fresh(line(), line(verdict="send_denied", passed=False, from_="camera", count=40),
                line(verdict="receive_denied", passed=False, from_="meter", subject="t.Alarm"),
                line(observed="send_denied", from_="camera", subject="t.Alarm", len=2000),
                line(observed="receive_denied", from_="camera", subject="t.Alarm", len=10))
    out, _ = learn(log)
    expect("with 2 rules and 6 suggestions" in out, out)
    sound()
    camera = draft("camera")
    expect("# - to: hub\n  #   message: t.Reading\n" in camera and "40 were refused for lack of a rule" in camera, camera)
    expect("2 that no rule allows passed in a dry run" in camera and "#   max_size: 2KiB" in camera, camera)
    expect("\n  - " not in camera, "a suggestion is a rule")
    # What is suggested is the rule: with the marks taken away it compiles.
    shutil.rmtree(DIR / "draft")
    out, _ = learn(log, "--observed")
    expect("with 4 rules and 4 suggestions" in out and "  - to: hub\n    message: t.Alarm\n" in draft("camera"), out)
    sound()
    for path in (DIR / "draft").glob("*.yaml"):
        text = [x[:2] + x[4:] if x.startswith(("  # - ", "  #   ")) else x for x in path.read_text().splitlines()]
        path.write_text("\n".join(text) + "\n")
    out, _ = weft("check", DIR / "draft")
    expect("8 rules" in out, out)


def test_other_refusals_and_merged_ones_are_only_counted():
    log = fresh(line(), line(verdict="too_large", passed=False, count=7), line(verdict="frame_foreign", passed=False, to=None,
                subject=None, kind=None, count=2), line(verdict="send_denied", passed=False, to=None, subject=None, kind=None, count=9),
                line(observed="over_rate"), line(count=5, time=at(3)),
                '{"id":9,"boot":"00","time":"2026-01-01T00:00:00.000000Z","event":"epoch","policy_epoch":2}')
    learn(log)
    sound()
    meter = draft("meter")
    expect("# 10 more of its messages were refused for another reason" in meter, meter)
    expect("# 9 more were merged in the log without receiver or subject" in meter, meter)
    expect("# 6 passed" in meter and "# 5 of them in merged records" in meter and meter.count("\n  - ") == 1, meter)


HOSTILE = [
    b"", b"{", b"[]", b"null", b"42", b"\xff\xfe\x00", b'{"from":"a","from":"b"}', b"[" * 60000, b'{"a":' * 10000, b"x" * 200000,
    line(from_="hub\nsend:\n  - to: any"), line(to="any"), line(to="common"), line(from_="x" * 33), line(to="Hub"), line(to="-hub"),
    line(from_="hub # not", to="a: b"), line(subject="t.Reading\n    rate: 1/s"), line(subject="t.Reading # x"), line(subject="t..R"),
    line(subject=".R"), line(subject="t.R."), line(subject="t.Valve/Act"), line(subject="t/V/A", kind="request"), line(subject="x" * 600),
    line(subject="tö.R"), line(subject="*"), line(subject="0R"), line(to="meter"), line(len=-1), line(len=2**40), line(len="30"),
    line(count=0), line(count=-5), line(count=2**50), line(count=1.5), line(time="yesterday"), line(time="2026-13-41T00:00:00Z"),
    line(time="99999-01-01T00:00:00Z"), line(time="1969-01-01T00:00:00Z"), line(time=None), line(verdict="fine"), line(verdict=None),
    line(observed="nonsense"), line(from_=None), line(from_=["hub"]), line(subject={"a": 1}).replace('"oneway"', '"request"'),
    line(kind="broadcast"), line().replace('"len": 30', '"len": 99999999999999999999999999'), line(detail="\u2028- to: any"),
]


def content(detail, **more):
    return line(verdict="content_forbidden", passed=False, detail=detail, **more)


def test_content_becomes_suggestions():
    odd = ["SSH in a: b", "Nothing in data", "SSH", "script in data", "SSH in " + "a" * 41]
    out, err = learn(fresh(line(), content("SSH in data"), content("HTTP over 2 messages in data", count=2),
                           content("RTP, doubtful in data"), content("not recognised: text in data"),
                           line(observed="content_forbidden", detail="TLS.Google in data"),
                           content("SSH in data", to="valve", subject="t.Alarm"), *[content(x) for x in odd]))
    expect("with 2 rules and 4 suggestions" in out and not err, out + err)
    sound()
    rule = ("  # 6 were refused, or passed in a dry run only, for content: doubtful in data (1), HTTP in data (2), SSH in data (1), "
            "TLS in data (1), unknown in data (1)\n  # If that is right, this line is the rule's, too, at both ends:\n"
            "  #   carries: {data: [unknown, doubtful, HTTP, SSH, TLS]}\n")
    meter, hub = draft("meter"), draft("hub")
    expect(rule in meter and rule in hub, meter)
    expect(f"# {len(odd)} more of its messages were refused for another reason" in meter, meter)
    expect("1 were refused for their content, between" in meter and "  # - to: valve\n  #   message: t.Alarm" in meter and
           "  #   carries: {data: [unknown, SSH]}" in meter, meter)
    for name, way in (("meter", "to: hub"), ("hub", "from: meter")):
        at_ = draft(name).index(rule) + len(rule)
        text = draft(name)
        end = text.index(f"  - {way}\n", at_) + len(f"  - {way}\n")
        carries = "    carries: {data: [unknown, doubtful, HTTP, SSH, TLS]}\n"
        (DIR / "draft" / f"{name}.yaml").write_text(text[:end] + carries + text[end:])
    weft("check", DIR / "draft")
    many = fresh(line(), *[content(f"SSH in f{i:02}") for i in range(20)])
    learn(many)
    expect("# 20 were refused" in draft("meter") and "f14: [unknown, SSH]}" in draft("meter") and "f15" not in draft("meter"),
           draft("meter"))


def test_hostile_lines_write_nothing():
    log = fresh(line(), *HOSTILE)
    _, err = learn(log, schemas=False)
    expect("not understood, first" in err, err)
    got = {p.name: p.read_text() for p in (DIR / "draft").iterdir()}
    expect(set(got) == {"hub.yaml", "meter.yaml", "common.yaml"}, set(got))
    for text in got.values():
        expect("any" not in text.replace("any unikernel", "") and "rate: 1/s" not in text, text)
    weft("fmt", "--check", DIR / "draft")
    weft("check", DIR / "draft", "--schemas", DIR / "t.proto")
    # One by one: none of them alone adds a unikernel's file or an error that has no text.
    for bad in HOSTILE:
        log = fresh(bad)
        p = subprocess.run([WEFT, "policy", "learn", log, "-o", DIR / "draft"], capture_output=True, timeout=60, check=False)
        expect(p.returncode in (0, 2), f"{bad[:80]}: {p.returncode}")
        files = {q.stem for q in (DIR / "draft").glob("*")} if (DIR / "draft").exists() else set()
        expect(files <= {"hub", "meter", "common"}, f"{bad[:80]}: {files}")


def test_several_logs_and_standard_input():
    log = fresh(line())
    other = DIR / "older.jsonl"
    other.write_text(line(from_="camera") + "\n")
    out, _ = weft("learn", other, log, "-", "-o", DIR / "draft", feed=(line(from_="lamp") + "\n").encode())
    expect("4 unikernels" in out and "from 3 of 3 lines" in out, out)
    answer = json.loads(weft("learn", log, "-o", DIR / "draft2", "--json")[0])
    expect(answer["unikernels"] == ["hub", "meter"] and answer["rules"] == 2 and answer["skipped"] == 0, answer)


def test_nothing_is_replaced():
    log = fresh(line())
    learn(log)
    (DIR / "draft" / "meter.yaml").unlink()
    before = {p.name: p.read_text() for p in (DIR / "draft").iterdir()}
    _, err = learn(log, status=2)
    expect("is there already" in err and {p.name: p.read_text() for p in (DIR / "draft").iterdir()} == before, err)


def test_all_drafts_or_none():
    log = fresh(*(line(to=f"hub-{i}") for i in range(50)))

    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

    p = subprocess.run([WEFT, "policy", "learn", log, "-o", DIR / "draft"], capture_output=True, timeout=60, check=False,
                       preexec_fn=little_room)
    left = [x.name for x in (DIR / "draft").iterdir()]
    expect(p.returncode == 2 and b"cannot be written, and nothing was" in p.stderr and not left, str(left), p.stderr.decode())
    learn(log)


def test_subjects_that_the_schemas_lack():
    log = fresh(line(), line(subject="t.Gone"), line(subject="t.Valve/Gone", kind="request"))
    _, err = learn(log)
    expect("2 lines were not understood" in err and "schemas do not have" in err, err)
    sound()


def test_what_cannot_be_read():
    log = fresh()
    _, err = learn(log, status=2)
    expect("no decision to learn from" in err and not (DIR / "draft").exists(), err)
    _, err = weft("learn", DIR / "none", "-o", DIR / "draft", status=2)
    expect("cannot be read" in err, err)
    weft("learn", log, status=2)
    weft("learn", "-o", DIR / "draft", status=2)


if __name__ == "__main__":
    sys.exit(tap.run(tap.named_tests(dict(globals()))))
