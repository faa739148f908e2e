#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every sentence of docs/policy-reference.md, tried: each test names the sentences that it holds the tools to, and the last one
that none is left out. What only a running fabric shows is tested elsewhere; then the test that shows it is named. Prints TAP."""
import base64
import functools
import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import fabric
import tap
from tap import expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
WEFT = BUILD / "bin" / "weft"
DIR = BUILD / "run" / "tests" / "policy_reference"
REFERENCE = ROOT / "docs" / "policy-reference.md"
PROTO = """syntax = "proto3";
package t;
import "buf/validate/validate.proto";
message M { int64 n = 1; string s = 2; bytes data = 3; repeated int64 xs = 4; map<string, int64> m = 5;
  message In { int64 n = 1; bytes raw = 2; } In in = 6;
  optional string state = 7 [(buf.validate.field).string = {in: ["on", "off"]}]; }
message N { int64 n = 1; }
service S { rpc Do(M) returns (N); rpc Other(N) returns (N); }
"""
ONE_WAY = """syntax = "proto3";
package w;
import "google/protobuf/empty.proto";
import "weft/options.proto";
message N { int64 n = 1; }
service S { rpc Tell(N) returns (google.protobuf.Empty) { option (weft.one_way) = true; } }
"""
SAID = set()
TAKES = "receive: [{from: any, message: [t.M, t.N]}, {from: any, method: [t.S/Do, t.S/Other]}]\n"
SENDS = "send: [{to: any, message: [t.M, t.N]}, {to: any, method: [t.S/Do, t.S/Other]}]\n"
SSH = "U1NILTIuMC1PcGVuU1NIXzkuMnAxIERlYmlhbi0yK2RlYjEydTINCg=="
HTTP = "R0VUIC8gSFRUUC8xLjENCkhvc3Q6IHd3dy5leGFtcGxlLm9yZw0KVXNlci1BZ2VudDogY3VybC83Ljg4DQpBY2NlcHQ6ICovKg0KDQo="


def says(*ids):
    """The test holds for these sentences."""
    def decorate(fn):
        SAID.update(ids)
        return fn
    return decorate


@functools.cache
def schemas():
    """The types of PROTO as a set, so that protoc runs once."""
    (BUILD / "run" / "tests").mkdir(parents=True, exist_ok=True)
    folder, out = BUILD / "run" / "tests" / "policy_reference_proto", BUILD / "run" / "tests" / "policy_reference.binpb"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "t.proto").write_text(PROTO)
    (folder / "w.proto").write_text(ONE_WAY)
    p = subprocess.run([WEFT, "schema", "build", folder, "-I", ROOT / "schemas", "-o", out], capture_output=True, timeout=60, check=False)
    expect(p.returncode == 0, p.stderr.decode())
    return out


def folder(files, cases=(), who="abcd"):
    """Unikernels a to d, without rules where files says nothing. A text that does not begin with it gets its `unikernel:`."""
    shutil.rmtree(DIR, ignore_errors=True)
    DIR.mkdir(parents=True)
    for name in sorted(set(who) | set(files)):
        text = files.get(name, "")
        head = "" if name == "common" or text.startswith(("unikernel:", "#", "---", "%")) else f"unikernel: {name}\n"
        (DIR / (name + ".yaml")).write_bytes((head + text).encode("utf-8", "surrogateescape"))
    if cases:
        lines = "".join("  - " + json.dumps({"name": f"case {i}", **c}) + "\n" for i, c in enumerate(cases))
        (DIR / "all.test.yaml").write_text("cases:\n" + lines)
    return DIR


def weft(*args, feed_schemas=True):
    more = ("--schemas", str(schemas())) if feed_schemas else ()
    p = subprocess.run([WEFT, "policy", *map(str, args), *more], capture_output=True, timeout=120, check=False)
    return p.returncode, p.stdout.decode() + p.stderr.decode()


def case(src, dst, verdict, rule=None, subject="t.M", **more):
    return {"from": src, "to": dst, "method" if "/" in subject else "message": subject, "expect": verdict,
            **({"rule": rule} if rule else {}), **more}


def j(**fields):
    return json.dumps(fields)


def holds(files, *cases):
    status, text = weft("test", folder(files, cases))
    expect(status == 0 and f"{len(cases)} passed, 0 failed" in text, f"cases fail (status {status})", f"{files}\n{text}")


def fails(files, *cases):
    status, text = weft("test", folder(files, cases))
    expect(status == 1, f"status {status}, but a case must fail", text)


def refused(files, *words, where=None):
    status, text = weft("check", folder(files))
    expect(status == 2, f"status {status}: it is taken: {files}", text)
    expect(re.search(r"\.yaml:\d+", text) or where == "whole", "no file and line", text)
    for word in words:
        expect(word in text, f"it does not say {word!r}", text)
    return text


def taken(files, status=(0, 1)):
    got, text = weft("check", folder(files))
    expect(got in status, f"status {got}: refused: {files}", text)
    return text


def explained(files, src, dst, subject, *args):
    kind = "--method" if "/" in subject else "--message"
    return weft("explain", folder(files), "--from", src, "--to", dst, kind, subject, *args)[1]


# --- a policy --------------------------------------------------------------------------------------------------------------

@says("policy.closed", "judge.default", "policy.send.default", "policy.receive.default", "judge.uncovered", "named.denied",
      "named.defaults", "send.what", "receive.what", "policy.send.what", "policy.receive.what", "named.passed", "named.every")
def test_nothing_passes_unless_both_let_it():
    holds({"a": SENDS}, case("a", "b", "receive_denied", "b.yaml:1"), case("b", "a", "send_denied", "b.yaml:1"))
    holds({"b": TAKES}, case("a", "b", "send_denied", "a.yaml:1"))
    holds({"a": SENDS, "b": TAKES}, case("a", "b", "passed", "a.yaml:2"), case("b", "a", "send_denied", "default"),
          case("a", "c", "receive_denied", "default"), case("c", "d", "send_denied"))
    holds({"a": "send: []\n", "b": "labels: {x: y}\nreceive:\n" + TAKES[9:].replace("[{", "  [{")},
          case("a", "b", "send_denied", "a.yaml:2"))
    holds({"a": "send:\n", "b": "receive: []\n", "c": SENDS}, case("a", "b", "send_denied", "default"),
          case("c", "b", "receive_denied", "b.yaml:2"))


@says("policy.unikernel.what", "policy.unikernel.name")
def test_names_of_unikernels():
    refused({"a": "unikernel: b\n"}, '"a"', '"b"')
    refused({"a": "unikernel:\n"}, "unikernel")
    refused({"a": "labels: {x: y}\n".join(["#\n", ""])}, "lacks", "unikernel")
    taken({"x" * 32: "", "a-1": ""})
    for name in ("x" * 33, "any", "Hub", "1a", "-a", "a_b"):
        status, text = weft("check", folder({name: f"unikernel: {name}\n"}))
        expect(status == 2 and name in text, f"{name} is taken", text)


@says("policy.mode.what", "policy.mode.default", "observe.delivers", "observe.defaults", "observe.side", "rule.mode.what",
      "rule.mode.default", "rule.mode.file")
def test_modes():
    holds({"a": "mode: observe\n", "b": TAKES}, case("a", "b", "observed send_denied", "default"))
    holds({"a": SENDS, "b": "mode: observe\n"}, case("a", "b", "observed receive_denied", "b.yaml:1"))
    holds({"a": "mode: observe\n"}, case("a", "b", "receive_denied", "default"))  # the other side stands
    holds({"a": "mode: enforce\n", "b": TAKES}, case("a", "b", "send_denied"))
    rule = "send: [{name: r, to: b, message: t.M, where: this.n > 1%s}]\n"
    holds({"a": rule % ", mode: observe", "b": TAKES}, case("a", "b", "observed where_unmet", "r"), case("a", "c", "send_denied"))
    holds({"a": rule % ", mode: enforce", "b": TAKES}, case("a", "b", "where_unmet", "r"))
    holds({"a": rule % "", "b": TAKES}, case("a", "b", "where_unmet", "r"))
    holds({"a": "mode: observe\n" + rule % "", "b": TAKES}, case("a", "b", "observed where_unmet", "r"))
    refused({"a": "mode: observe\n" + rule % ", mode: enforce"}, "observe")
    refused({"a": "mode: dry\n"}, "enforce", "observe")


@says("policy.labels.what", "policy.labels.key", "peers.label")
def test_labels():
    labels = {f"l{i}": f"v{i}" for i in range(16)}
    taken({"a": f"labels: {json.dumps(labels)}\n"})
    refused({"a": f"labels: {json.dumps({**labels, 'more': 'x'})}\n"}, "16")
    taken({"a": f"labels: {{{'k' * 40}: {'v' * 40}, a_b-c: \"any text, ü\"}}\n"})
    for bad in ("K: v", "1k: v", "_k: v", "a b: v", "k" * 41 + ": v", "k: " + "v" * 41, "k: [v]", "k:"):
        refused({"a": f"labels:\n  {bad}\n"}, "label")
    refused({"a": "send: [{to: 'label:zone=plant', message: t.M}]\n", "b": "labels: {zone: plants}\n"}, "zone=plant")
    files = {"a": "send: [{name: r, to: 'label:zone=plant', message: t.M}]\n", "b": "labels: {zone: plant}\n" + TAKES,
             "c": "labels: {zone: plants}\n" + TAKES, "d": "labels: {zones: plant}\n" + TAKES}
    holds(files, case("a", "b", "passed", "r"), case("a", "c", "send_denied"), case("a", "d", "send_denied"))


@says("policy.image.what")
def test_image():
    taken({"a": "image: sha256:" + "0a" * 32 + "\n"})
    for bad in ("sha256:" + "0A" * 32, "sha256:" + "0" * 63, "sha256:" + "0" * 65, "md5:" + "0" * 32, "0a" * 32):
        refused({"a": f"image: {bad}\n"}, "sha256")


@says("policy.quarantine.what", "quarantine.violations.what", "quarantine.within.what")
def test_quarantine_takes():
    for violations, within in ((1, "1s"), (1000, "24h"), (20, "10m"), (3, "2h"), (3, "86400s")):
        taken({"a": f"quarantine: {{violations: {violations}, within: {within}}}\n"})
    for bad in ("violations: 0, within: 1m", "violations: 1001, within: 1m", "violations: 3, within: 0s", "violations: 3, within: 25h",
                "violations: 3, within: 1d", "violations: 3, within: 60", "violations: 3", "within: 1m", "violations: 3, within: 1.5m"):
        refused({"a": f"quarantine: {{{bad}}}\n"})


@says("policy.reason.what", "rule.reason.what", "named.reason")
def test_reasons():
    taken({"a": "reason: " + "x" * 200 + "\nsend: [{to: b, message: t.M, reason: " + "x" * 200 + "}]\n"})
    refused({"a": "reason: " + "x" * 201 + "\n"}, "200")
    refused({"a": "send: [{to: b, message: t.M, reason: " + "x" * 201 + "}]\n"}, "200")
    expect("ask the team" in explained({"a": "reason: ask the team\n"}, "a", "b", "t.M"), "a default's reason is not said")
    files = {"a": SENDS, "b": TAKES + "deny: [{from: a, reason: SEC-1}]\nreason: of the file\n"}
    text = explained(files, "a", "b", "t.M")
    expect("SEC-1" in text and "of the file" not in text, "a rule's reason is not said", text)


# --- rules -----------------------------------------------------------------------------------------------------------------

@says("rule.name.what", "rule.name.unique", "case.rule.what")
def test_rule_names():
    rule = "send: [{name: %s, to: b, message: t.M}, {name: %s, to: c, message: t.M}]\n"
    taken({"a": rule % ("x", "y" * 40), "b": rule.replace("to: b", "to: d") % ("x", "z-1")})
    for bad in ("X", "1x", "-x", "x_y", "x" * 41, "'x y'"):
        refused({"a": rule % ("x", bad)}, "name")
    refused({"a": rule % ("x", "x")}, '"x"', "already")
    refused({"a": rule % ("x", "y") + "deny: [{name: x, to: d}]\n"}, '"x"')
    files = {"a": rule % ("first", "second"), "b": TAKES, "c": TAKES}
    holds(files, case("a", "b", "passed", "first"), case("a", "c", "passed", "a.yaml:2"), case("a", "d", "send_denied", "default"))
    fails(files, case("a", "b", "passed", "second"))


@says("send.to.what", "send.to.required", "receive.from.what", "receive.from.required", "peers.name", "peers.list", "send.self",
      "receive.self", "peers.self", "peers.any", "peers.group", "common.groups.members", "common.groups.unknown", "common.what",
      "common.groups.cycle", "common.groups.name", "common.groups.what")
def test_peers_and_groups():
    holds({"a": "send: [{to: [b, c], message: t.M}]\n", "b": TAKES, "c": TAKES, "d": TAKES}, case("a", "b", "passed"),
          case("a", "c", "passed"), case("a", "d", "send_denied"))
    for side, peer in (("send", "to"), ("receive", "from")):
        refused({"a": f"{side}: [{{message: t.M}}]\n"}, f'lacks "{peer}"')
        refused({"a": f"{side}: [{{{peer}: a, message: t.M}}]\n"}, '"a"')
        refused({"meter": f"{side}: [{{{peer}: metre, message: t.M}}]\n", "metrex": ""}, "metre", "did you mean")
        refused({"a": f"{side}: [{{{peer}: group:none, message: t.M}}]\n"}, "none")
    common = "groups: {two: [b, 'group:more'], more: ['label:x=y'], all: [a, b]}\n"
    files = {"common": common, "a": "send: [{to: group:two, message: t.M}]\n", "b": TAKES, "c": "labels: {x: y}\n" + TAKES, "d": TAKES}
    holds(files, case("a", "b", "passed"), case("a", "c", "passed"), case("a", "d", "send_denied"))
    files = {"common": "groups: {all: [a, b]}\n", "a": "send: [{to: group:all, message: t.M}]\n", "b": TAKES}
    holds(files, case("a", "b", "passed"))
    holds({"a": "labels: {x: y}\nsend: [{to: 'label:x=y', message: t.M}]\n", "b": "labels: {x: y}\n" + TAKES}, case("a", "b", "passed"))
    holds({"a": "send: [{to: any, message: t.M}]\n", **{n: TAKES for n in "bcd"}}, *(case("a", n, "passed") for n in "bcd"))
    refused({"common": "groups: {x: [nobody]}\n"}, "nobody")
    refused({"common": "groups: {x: [group:nothing]}\n"}, "nothing")
    refused({"common": "groups: {x: [group:y], y: [group:x]}\n"}, "itself")
    refused({"common": "groups: {x: [group:x]}\n"}, "itself")
    taken({"common": f"groups: {{{'g' * 40}: a, a-1: b}}\n"})
    for bad in ("g" * 41, "G", "1g", "g_h"):
        refused({"common": f"groups: {{{bad}: a}}\n"}, "group")
    taken({"common": "groups:\n" + "".join(f"  g{i}: a\n" for i in range(64))})
    refused({"common": "groups:\n" + "".join(f"  g{i}: a\n" for i in range(65))}, "64")


@says("rule.message.what", "rule.message.exact", "rule.message.unknown", "rule.message.either", "rule.method.what", "rule.method.unknown",
      "rule.method.oneway", "judge.covers", "case.message.what", "case.method.what", "case.message.either", "case.from.what",
      "case.to.what")
def test_subjects():
    files = {"a": "send: [{to: b, message: t.M}, {to: b, method: t.S/Do}]\n", "b": TAKES}
    holds(files, case("a", "b", "passed", "a.yaml:2"), case("a", "b", "passed", subject="t.S/Do"),
          case("a", "b", "send_denied", subject="t.N"), case("a", "b", "send_denied", subject="t.S/Other"),
          case("a", "b", "send_denied", subject="t.M.In"), case("b", "a", "send_denied"))
    for bad in ("message: t.Mm", "message: M", "message: t.*", "message: t", "message: t.S/Do", "method: t.S/Dont", "method: t.M",
                "method: t.S/*", "method: Do"):
        refused({"a": f"send: [{{to: b, {bad}}}]\n"})
    refused({"a": "send: [{to: b, message: t.m}]\n"}, 'did you mean "t.M"')
    refused({"a": "send: [{to: b}]\n"}, "message", "method")
    refused({"a": "send: [{to: b, message: t.M, method: t.S/Do}]\n"}, "message", "method")
    refused({"a": "send: [{to: b, method: w.S/Tell}]\n"}, "w.S/Tell")
    taken({"a": "send: [{to: b, message: w.N}]\n", "b": "receive: [{from: a, message: w.N}]\n"}, (0,))
    status, text = weft("test", folder(files, [{**case("a", "b", "passed"), "method": "t.S/Do"}]))
    expect(status == 2 and "method" in text, "a case with both", text)


@says("rule.where.what", "rule.where.this", "rule.where.many", "rule.where.self", "rule.where.peer", "rule.where.now", "rule.where.valid",
      "rule.where.error", "rule.where.length", "case.at.what", "judge.schema")
def test_where():
    def rule(where, more="message: t.M"):
        return {"a": f"labels: {{x: one}}\nsend:\n  - name: r\n    to: [b, c]\n    {more}\n    where: {where}\n",
                "b": "labels: {x: two}\n" + TAKES, "c": TAKES}
    holds(rule("this.n > 3"), case("a", "b", "passed", "r", json=j(n=4)), case("a", "b", "where_unmet", "r", json=j(n=3)))
    holds(rule("this.n > 3", "method: t.S/Do"), case("a", "b", "passed", subject="t.S/Do", json=j(n=4)),
          case("a", "b", "where_unmet", subject="t.S/Do"))
    refused(rule("this.m_ > 3"), "m_")
    refused(rule("this.s > 3"), "where")
    refused(rule("this.n"), "where")
    holds(rule("this.n > 3", "message: [t.M, t.N]"), case("a", "b", "passed", json=j(n=4), subject="t.N"))
    refused(rule("this.s == 'x'", "message: [t.M, t.N]"), "t.N")
    holds(rule("self.name == 'a' && self.labels['x'] == 'one'"), case("a", "b", "passed"))
    holds(rule("peer.name == 'b' && peer.labels['x'] == 'two'"), case("a", "b", "passed"), case("a", "c", "where_unmet"))
    holds({"a": SENDS, "c": SENDS, "b": "receive: [{from: any, message: t.M, where: peer.name == 'a' && self.name == 'b'}]\n"},
          case("a", "b", "passed"), case("c", "b", "where_unmet"))
    holds(rule("now < timestamp('2026-06-01T00:00:00Z')"), case("a", "b", "passed", at="2026-05-31T23:59:59Z"),
          case("a", "b", "where_unmet", at="2026-06-01T00:00:00Z"))
    holds(rule("1 / this.n > 0"), case("a", "b", "passed", json=j(n=1)), case("a", "b", "where_unmet"))
    holds(rule("peer.labels['x'] == 'two'"), case("a", "c", "where_unmet"))
    holds(rule("this.n > 3"), case("a", "b", "schema_truncated", hex="08"), case("a", "b", "schema_unknown_field", hex="f80101"))
    taken(rule("this.n > 3" + " " * 4000 + "|| true"))
    refused(rule('"' + "true || " * 600 + 'true"'), where="whole")


@says("rule.max_size.what", "rule.max_size.default", "rule.max_size.smaller", "named.limits")
def test_max_size():
    def sizes(send, receive, more=""):
        return {"a": f"send: [{{name: s, to: b, message: t.M{send}}}]\n{more}", "b": f"receive: [{{name: r, from: a, message: t.M{receive}}}]\n"}
    def of(n):  # a message of n bytes, 4 to 129
        return bytes([0x1a, n - 2]).hex() + "00" * (n - 2)
    holds(sizes(", max_size: 20B", ", max_size: 30B"), case("a", "b", "passed", hex=of(20)), case("a", "b", "too_large", "s", hex=of(21)))
    holds(sizes(", max_size: 30B", ", max_size: 20B"), case("a", "b", "too_large", "r", hex=of(21)))
    holds(sizes(", max_size: 20B", ", max_size: 20B"), case("a", "b", "too_large", "s", hex=of(21)))
    holds(sizes("", ""), case("a", "b", "passed", hex=of(100)))
    holds(sizes(", max_size: 0B", ""), case("a", "b", "passed"), case("a", "b", "too_large", hex=of(4)))
    taken(sizes(", max_size: 60KiB", ""))
    for bad in ("61KiB", "61441B", "60", "4kB", "4K", "-1B", "010B", "1.5KiB"):
        refused(sizes(f", max_size: {bad}", ""), "max_size")
    files = sizes("", "")
    large = folder(files) / "large.bin"
    observed = {name: "mode: observe\n" + text for name, text in files.items()}
    for n, verdict, of in ((61440, "passed", files), (61441, "too_large", files), (61441, "too_large", observed)):
        path = folder(of, [case("a", "b", verdict, file="large.bin")])
        large.write_bytes(b"\x1a\xfc\xdf\x03" + bytes(61436) if n == 61440 else b"\x1a\xfd\xdf\x03" + bytes(61437))
        status, text = weft("test", path)
        expect(status == 0, f"{n} bytes", text)
    status, text = weft("explain", path, "--from", "a", "--to", "b", "--message", "t.M", large, "--json")
    told = json.loads(text)
    expect(status == 1 and told["verdict"] == "too_large" and told["rule"] is None and "61440" in told["changes"][0]["text"],
           "the fabric's own limit names no rule", text)


@says("rule.rate.what", "rule.rate.default", "rule.rate.both", "rule.rate.charge", "rule.rate.named",
      "rule.burst.what", "rule.burst.default", "rule.burst.needs_rate", "case.times.what", "case.fresh")
def test_rates():
    def rates(send, receive, subjects="t.M"):
        return {"a": f"send: [{{name: s, to: [b, c], message: {subjects}{send}}}]\n",
                "b": f"receive: [{{name: r, from: a, message: {subjects}{receive}}}]\n", "c": TAKES}
    for rate, n in (("5/s", 5), ("60/m", 1), ("1/h", 1), ("7200/h", 2), ("10/s, burst: 3", 3), ("1/h, burst: 4", 4)):
        holds(rates(f", rate: {rate}", ""), case("a", "b", "passed", times=n), case("a", "b", "over_rate", "s", times=n + 1))
    holds(rates("", ""), case("a", "b", "passed", times=100000))
    holds(rates(", rate: 3/s", ", rate: 2/s"), case("a", "b", "over_rate", "r", times=3), case("a", "b", "passed", times=2))
    holds(rates(", rate: 2/s", ", rate: 3/s"), case("a", "b", "over_rate", "s", times=3))
    holds(rates(", rate: 2/s", ", rate: 2/s"), case("a", "b", "over_rate", "s", times=3))
    # What the receiver refuses costs the sender nothing: its own rate is never the reason.
    holds(rates(", rate: 5/s", ", rate: 2/s"), case("a", "b", "over_rate", "r", times=1000))
    holds(rates(", rate: 2/s", ", where: this.n > 0"), case("a", "b", "where_unmet", times=1000))
    taken(rates(", rate: 10000000/s, burst: 1000000", ""))
    for bad in ("0/s", "10000001/s", "100", "100/d", "100/sec", "1.5/s", "-1/s", "100 /s", "601000000/m"):
        refused(rates(f", rate: {bad}", ""), "rate")
    for bad in ("0", "1000001", "-1", "many"):
        refused(rates(f", rate: 1/s, burst: {bad}", ""), "burst")
    refused(rates(", burst: 3", ""), "burst", "rate")


@says("rule.quota.messages", "rule.quota.bytes", "rule.quota.default", "rule.quota.both", "rule.quota.named")
def test_quotas():
    def quotas(send, receive):
        return {"a": f"send: [{{name: s, to: b, message: t.M{send}}}]\n", "b": f"receive: [{{name: r, from: a, message: t.M{receive}}}]\n"}
    holds(quotas(", quota: 3/d", ""), case("a", "b", "passed", times=3), case("a", "b", "over_quota", "s", times=4))
    holds(quotas(", quota: 10B/d", ""), case("a", "b", "passed", hex="1a0100", times=3), case("a", "b", "over_quota", "s", hex="1a0100", times=4))
    holds(quotas(", quota: 1KiB/d", ""), case("a", "b", "passed", hex="1a0100", times=341), case("a", "b", "over_quota", hex="1a0100", times=342))
    holds(quotas(", quota: 3/d", ", quota: 2/d"), case("a", "b", "over_quota", "r", times=3))
    holds(quotas(", quota: 2/d", ", quota: 2/d"), case("a", "b", "over_quota", "s", times=3))
    holds(quotas("", ""), case("a", "b", "passed", times=100000))
    for bad in ("0/d", "5", "5/h", "5/day", "0B/d", "5kB/d", "-1/d", "1.5MiB/d", "5000 /d"):
        refused(quotas(f", quota: {bad}", ""), "quota")


def b64(data):
    return base64.b64encode(data).decode()


# Bytes that nDPI does not know, of which libmagic knows the first three; then what both know, for sure or not.
ELF = b64(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00\x01\x00\x00\x00" + bytes(8) + b"\x40" + bytes(31) + b"\x40\x00\x38\x00")
ZIP = b64(gzip.compress(b"buy milk and bread" * 4, mtime=1))
SCRIPT = b64(b"#!/bin/sh\nset -e\nrm -f /tmp/x\n")
TEXT, JSON, BYTES = b64(b"buy milk and bread"), b64(b'{"milk": 1, "bread": [2, 3]}'), b64(bytes([1, 0, 250, 7, 19, 2, 201, 4, 99]))
SEALED = json.loads((ROOT / "policy" / "examples" / "09-content" / "sealed.json").read_text())["content"]  # RTP, to nDPI alone
ATTACK = b64(b"GET /item?id=1%27%20UNION%20SELECT%20password%20FROM%20users--%20 HTTP/1.1\r\nHost: example.com\r\n"
             b"User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n")
ALL = {"HTTP": HTTP, "SSH": SSH, "text": TEXT, "JSON": JSON, "bytes": BYTES, "ELF": ELF, "ZIP": ZIP, "script": SCRIPT, "sealed": SEALED}


def carrying(send, receive, common="", profiles=""):
    """a sends t.M to b; what the rules say of `carries` is added to them."""
    return {"a": f"{profiles}send: [{{name: s, to: b, message: t.M{send}}}]\n", "b": f"receive: [{{name: r, from: a, message: t.M{receive}}}]\n",
            **({"common": common} if common else {})}


def lets(files, *names):
    """Of all contents these pass, and no other."""
    holds(files, *(case("a", "b", "passed" if name in names else "content_forbidden", json=j(data=data)) for name, data in ALL.items()))


def both(text):
    return carrying(f", carries: {text}", f", carries: {text}")


UNRECOGNISED = ("text", "JSON", "bytes", "ELF", "ZIP", "script")


@says("rule.carries.what", "rule.carries.default", "rule.carries.both", "rule.carries.case", "rule.carries.unknown", "named.content",
      "case.what")
def test_carries():
    def carries(send, receive):
        return carrying(send, receive)
    http, ssh, plain = (j(data=x) for x in (HTTP, SSH, TEXT))
    holds(carries("", ""), case("a", "b", "content_forbidden", "s", json=http), case("a", "b", "passed", json=plain))
    lets(carries("", ""), *UNRECOGNISED)
    lets(carries(", carries: unknown", ""), *UNRECOGNISED)
    holds(carries(", carries: [HTTP, SSH]", ", carries: http"), case("a", "b", "passed", json=http), case("a", "b", "content_forbidden", json=ssh),
          case("a", "b", "content_forbidden", json=plain))
    holds(carries(", carries: HTTP", ""), case("a", "b", "content_forbidden", json=http), case("a", "b", "content_forbidden", json=plain))
    lets(carries(", carries: [unknown, HTTP]", ", carries: [text, http]"), "text", "JSON", "script", "HTTP")
    holds({"a": SENDS, "b": TAKES}, case("a", "b", "content_forbidden", json=j(s="SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n")))
    refused(carries(", carries: [HTTP, http]", ""), "twice")
    refused(carries(", carries: [Httq]", ""), "Httq", "did you mean")
    refused(carries(", carries: [nothing-like-that-there-is]", ""), "nothing-like-that-there-is", "it takes protocols")
    refused(carries(", carries: [SQL Injection]", ""), '"SQL Injection" is a risk')
    names = ["HTTP", "SSH", "TLS", "DNS", "FTP_CONTROL", "SMTP", "IMAP", "POP3", "MQTT", "SIP", "Telnet", "NTP", "SNMP", "Syslog", "RTSP", "LDAP"]
    taken(carries(f", carries: [{', '.join(names)}]", ""))
    refused(carries(f", carries: [{', '.join(names + ['VNC'])}]", ""), "16")


@says("rule.carries.recognised", "rule.carries.unrecognised", "rule.carries.kinds", "rule.carries.doubtful", "rule.carries.none")
def test_what_names_mean():
    lets(both("HTTP"), "HTTP")
    lets(both("[Web, RemoteAccess]"), "HTTP", "SSH")
    lets(both("unknown"), *UNRECOGNISED)
    lets(both("[unknown, SSH]"), *UNRECOGNISED, "SSH")
    lets(both("text"), "text", "JSON", "script")
    lets(both("json"), "JSON")
    lets(both("executable"), "ELF")
    lets(both("archive"), "ZIP")
    lets(both("script"), "script")
    lets(both("[unknown, doubtful]"), *UNRECOGNISED, "sealed")
    lets(both("[RTP]"), "sealed")
    lets(both("doubtful"))
    for nothing in ("none", "[]", "NONE", ""):
        lets({"a": f"send:\n  - to: b\n    message: t.M\n    carries: {nothing}\n", "b": TAKES})
        holds({"a": f"send:\n  - to: b\n    message: t.M\n    carries: {nothing}\n", "b": TAKES}, case("a", "b", "passed", json=j(n=1)))
    refused(both("[none, text]"), "stands alone")


@says("rule.carries.profiles", "profile.what", "profile.allow.what", "profile.allow.default", "profile.forbid.what", "profile.forbid.wins",
      "policy.profiles.what", "common.profiles.what", "profile.scope", "profile.name", "profile.empty", "profile.unused")
def test_profiles():
    common = "profiles:\n  plain: {allow: [unknown, SSH]}\n  no-tools: {forbid: [executable, SSH, archive]}\n  papers: {allow: [json]}\n"
    own = "profiles: {pages: {allow: HTTP, forbid: json}}\n"

    def carries(send, receive="[unknown, HTTP, SSH]", profiles=own):
        return carrying(f", carries: {send}", f", carries: {receive}", common, profiles)
    lets(carries("plain"), *UNRECOGNISED, "SSH")
    lets(carries("Plain"), *UNRECOGNISED, "SSH")
    lets(carries("[plain, no-tools]"), "text", "JSON", "bytes", "script")
    lets(carries("[papers, HTTP]"), "JSON", "HTTP")
    lets(carries("[papers, pages]"), "HTTP")
    lets(carries("p", profiles="profiles: {p: {allow: [HTTP, SSH, unknown], forbid: text}}\n"), "bytes", "ELF", "ZIP")
    lets(carries("no-tools"))
    lets(carries("[unknown, no-tools, SSH]"), "text", "JSON", "bytes", "script")
    refused(carries("unknown", "[papers, pages]"), "b.yaml", "pages")  # of another file
    lets({**carries("pages"), "b": own + carries("pages", "pages")["b"]}, "HTTP")
    twice = carries("unknown", profiles="profiles: {plain: {allow: text}}\n")
    refused(twice, "a.yaml:2", "common.yaml on line 2", "choose another name")
    for name, why in (("web", "an nDPI category"), ("http", "an nDPI protocol"), ("text", "a kind of content")):
        refused(carries("unknown", profiles=f"profiles: {{{name}: {{allow: text}}}}\n"), f'"{name}"', why)
    refused(carries("unknown", profiles="profiles: {none: {allow: text}}\n"), '"none"')
    refused(carries("unknown", profiles="profiles: {Docs: {allow: text}}\n"), '"Docs"')
    refused(carries("unknown", profiles=f"profiles: {{{'d' * 41}: {{allow: text}}}}\n"), "at most 40")
    taken(carries("d" * 40, profiles=f"profiles: {{{'d' * 40}: {{allow: text}}}}\n"))
    refused(carries("unknown", profiles="profiles: {docs: {}}\n"), "says nothing")
    refused(carries("unknown", profiles="profiles: {docs: {allow: plain}}\n"), "lists no other")
    refused(carries("unknown", profiles="profiles: {docs: {allow: Htpt}}\n"), "Htpt", "HTTP")
    refused(carries("unknown", profiles="profiles: {docs: {forbid: Htpt}}\n"), "Htpt", "HTTP")
    refused(carries("unknown", profiles="profiles: {docs: {forbid: unknown}}\n"), "unknown")
    refused(carries("plian"), "plian", "the profile plain")
    many = [f"P{i}" for i in range(65)]
    for key in ("allow", "forbid", "risks"):
        refused(carries("unknown", profiles=f"profiles: {{docs: {{{key}: [{', '.join(many)}]}}}}\n"), "more than 64")
    status, text = weft("check", folder(carries("unknown")))
    expect(status == 1 and "a.yaml:2: unused_profile" in text and "common.yaml" not in text, text)
    refused(carries("unknown", profiles="profiles:\n" + "".join(f"  q{i}: {{allow: text}}\n" for i in range(65))), "64")


@says("profile.risks.what", "profile.risks.default", "profile.risks.both", "rule.carries.risk")
def test_risks():
    common = ('profiles:\n  calm: {risks: none}\n  pages: {allow: HTTP}\n  usual: {risks: attacks}\n  one: {risks: "sql injection"}\n'
              '  other: {risks: ["XSS Attack"]}\n')
    attack, fine = j(data=ATTACK), j(data=HTTP)
    for send, receive, verdict in (("HTTP", "HTTP", "content_risk"), ("[HTTP, calm]", "HTTP", "content_risk"), ("pages", "pages", "content_risk"),
                                   ("[pages, calm]", "[pages, calm]", "passed"), ("[pages, calm, usual]", "[pages, calm]", "content_risk"),
                                   ("[pages, one]", "[pages, calm]", "content_risk"), ("[pages, other]", "[pages, calm]", "passed"),
                                   ("[pages, other, one]", "[pages, calm]", "content_risk")):
        holds(carrying(f", carries: {send}", f", carries: {receive}", common), case("a", "b", verdict, json=attack),
              case("a", "b", "passed", json=fine))
    refused(carrying("", "", 'profiles: {p: {risks: "SQL Injektion"}}\n'), "SQL Injektion", "SQL Injection")
    refused(carrying("", "", "profiles: {p: {risks: HTTP}}\n"), '"HTTP"')
    refused(carrying("", "", "profiles: {p: {risks: [none, attacks]}}\n"), "stands alone")


@says("rule.carries.field", "rule.carries.path")
def test_carries_by_field():
    def carries(send, receive):
        return {"a": f"send: [{{name: s, to: b, message: t.M, carries: {send}}}]\n",
                "b": f"receive: [{{name: r, from: a, message: t.M, carries: {receive}}}]\n"}
    in_data, in_raw = j(data=HTTP), j(**{"in": {"raw": HTTP}})
    holds(carries("{data: [HTTP]}", "[HTTP, unknown]"), case("a", "b", "passed", json=j(data=HTTP, s="a note")),
          case("a", "b", "passed", json=in_data), case("a", "b", "content_forbidden", json=in_raw))
    holds(carries("{data: [HTTP], in.raw: []}", "{in.raw: HTTP}"), case("a", "b", "content_forbidden", json=in_data),
          case("a", "b", "content_forbidden", json=in_raw))
    holds(carries("{data: [SSH], in.raw: [HTTP, SSH]}", "{in.raw: HTTP, data: SSH}"), case("a", "b", "passed", json=in_raw),
          case("a", "b", "passed", json=j(data=SSH)), case("a", "b", "content_forbidden", json=in_data),
          case("a", "b", "content_forbidden", json=j(s="SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n")))
    refused(carries("{dta: [HTTP]}", "[]"), '"dta"', 'did you mean "data"')
    refused(carries("{in.n: [HTTP]}", "[]"), '"in.n"', "neither string nor bytes")
    refused(carries("{state: [HTTP]}", "[]"), '"state"', "carries no content", "leave it out")
    # What the schema's own rules confine is no content for any list.
    holds(carries("[HTTP]", "[HTTP]"), case("a", "b", "passed", json=j(data=HTTP, state="on")),
          case("a", "b", "content_forbidden", json=j(data=HTTP, s="on")))
    refused(carries("{data.x: [HTTP]}", "[]"), '"data.x"')
    refused(carries("{data: {x: y}}", "[]"), "not a name")
    refused(carries("{" + ", ".join(f"f{i}: []" for i in range(17)) + "}", "[]"), "16 fields")


# --- deny ------------------------------------------------------------------------------------------------------------------

@says("policy.deny.what", "deny.what", "deny.file", "deny.order", "deny.to.what", "deny.to.either", "deny.from.what", "deny.message.what",
      "deny.message.absent", "deny.message.either", "deny.method.what", "deny.limits", "deny.count", "deny.allowed", "judge.deny", "named.forbidden",
      "judge.sides")
def test_deny():
    all_of = {"a": SENDS, "b": TAKES}
    holds({**all_of, "a": "deny: [{name: x, to: b}]\n" + SENDS}, case("a", "b", "forbidden", "x"), case("a", "b", "forbidden", subject="t.S/Do"))
    holds({**all_of, "a": SENDS + "deny: [{name: x, to: b, message: t.M}]\n"}, case("a", "b", "forbidden", "x"),
          case("a", "b", "passed", subject="t.N"), case("a", "b", "passed", subject="t.S/Do"))
    holds({**all_of, "b": TAKES + "deny: [{name: x, from: a, method: t.S/Do}]\n"}, case("a", "b", "forbidden", "x", subject="t.S/Do"),
          case("a", "b", "passed", subject="t.S/Other"), case("a", "b", "passed"))
    # Of one's own file only, and of one direction only; the sender is asked first.
    holds({**all_of, "c": "deny: [{from: a}, {to: b}]\n", "a": SENDS + "deny: [{from: b}]\n"}, case("a", "b", "passed"))
    holds({"a": SENDS + "deny: [{name: x, to: b}]\n", "b": TAKES + "deny: [{name: y, from: a}]\n"}, case("a", "b", "forbidden", "a.yaml:3"))
    holds({"a": "", "b": TAKES + "deny: [{from: a}]\n"}, case("a", "b", "send_denied"))
    holds({"a": SENDS, "b": "deny: [{name: x, from: a}]\n"}, case("a", "b", "receive_denied", "default"))
    holds({"a": SENDS + "deny: [{name: x, to: b}]\n"}, case("a", "b", "receive_denied", "b.yaml:1"))
    holds({**all_of, "a": SENDS + "deny: [{name: x, to: c}, {name: y, to: b}, {name: z, to: any}]\n"}, case("a", "b", "forbidden", "y"))
    refused({"a": "deny: [{message: t.M}]\n"}, "to", "from")
    refused({"a": "deny: [{to: b, from: b}]\n"}, "to", "from")
    refused({"a": "deny: [{to: b, message: t.M, method: t.S/Do}]\n"}, "message", "method")
    for limit in ("max_size: 1B", "rate: 1/s", "burst: 1", "quota: 1/d", "carries: HTTP", "log: true"):
        refused({"a": f"deny: [{{to: b, {limit}}}]\n"}, "unknown key")
    many = "deny:\n" + "".join(f"  - {{to: u{i % 8}, message: t.M, where: this.n == {i}}}\n" for i in range(256))
    others = {f"u{i}": "" for i in range(8)}
    taken({"a": many, **others})
    refused({"a": many + "  - {to: b}\n", **others}, "256")


@says("deny.where.what", "deny.where.error", "deny.where.subject", "deny.mode.what")
def test_deny_where():
    def deny(rule):
        return {"a": SENDS, "b": TAKES + f"deny: [{{name: x, from: a, {rule}}}]\n"}
    holds(deny("message: t.M, where: this.n > 3"), case("a", "b", "passed"), case("a", "b", "forbidden", "x", json=j(n=4)))
    holds(deny("message: t.M, where: 1 / this.n > 3"), case("a", "b", "forbidden", "x"), case("a", "b", "passed", json=j(n=1)))
    holds(deny("where: peer.name == 'c'"), case("a", "b", "passed"), case("a", "b", "passed", subject="t.S/Do"))
    holds(deny("where: peer.name == 'a'"), case("a", "b", "forbidden"), case("a", "b", "forbidden", subject="t.S/Do"))
    refused(deny("where: this.s == 'x'"), "where")
    holds(deny("mode: observe"), case("a", "b", "observed forbidden", "x"))
    holds({"a": SENDS, "b": "deny: [{name: x, from: a, mode: observe}]\n"}, case("a", "b", "receive_denied", "default"))


# --- judging ---------------------------------------------------------------------------------------------------------------

@says("judge.first", "judge.limits", "judge.where_unmet", "judge.unknown", "judge.many")
def test_judging():
    rules = ("send:\n  - {name: one, to: b, message: t.M, where: this.n == 1, max_size: 2B}\n"
             "  - {name: two, to: b, message: t.M, where: this.n >= 1}\n  - {name: three, to: b, message: t.M, where: this.n > 5}\n")
    holds({"a": rules, "b": TAKES}, case("a", "b", "passed", "one", json=j(n=1)), case("a", "b", "passed", "two", json=j(n=2)),
          case("a", "b", "passed", "two", json=j(n=6)), case("a", "b", "where_unmet", "three"),
          case("a", "b", "too_large", "one", json=j(n=1, xs=[1, 2, 3])))
    holds({"a": SENDS, "b": TAKES}, case("a", "b", "subject_unknown", subject="t.Nope"))
    many = ["  - {to: b, message: t.M, where: this.n == %d}\n" % i for i in range(65)]
    taken({"a": "send:\n" + "".join(many[:64])})
    refused({"a": "send:\n" + "".join(many)}, "64")


@says("observe.other_rule", "observe.limits", "observe.never")
def test_dry_runs():
    soft = "send:\n  - {name: soft, to: b, message: t.M, where: this.n > 5, mode: observe}\n  - {name: hard, to: b, message: t.M, where: this.n > 1}\n"
    holds({"a": soft, "b": TAKES}, case("a", "b", "passed", "soft", json=j(n=6)), case("a", "b", "passed", "hard", json=j(n=2)),
          case("a", "b", "observed where_unmet", "soft"))
    for limit, verdict, times, payload in (("max_size: 2B", "too_large", 1, j(n=1000)), ("rate: 1/h", "over_rate", 2, "{}"),
                                           ("quota: 1/d", "over_quota", 2, "{}"), ("log: true", "content_forbidden", 1, j(data=SSH))):
        files = {"a": f"send: [{{name: s, to: b, message: t.M, {limit}, mode: observe}}]\n", "b": TAKES.replace("t.N]", "t.N], carries: [SSH, unknown]")}
        holds(files, case("a", "b", "observed " + verdict, "s", times=times, json=payload))
    files = {"a": "mode: observe\n", "b": "mode: observe\n"}
    holds(files, case("a", "b", "observed send_denied"), case("a", "b", "schema_truncated", hex="08"),
          case("a", "b", "subject_unknown", subject="t.Nope"))


# --- what files share ------------------------------------------------------------------------------------------------------

@says("common.assert.what", "assertion.what", "assertion.either", "assertion.reaches", "assertion.talks", "assertion.with",
      "assertion.parties", "assertion.observe", "assertion.never.what", "assertion.always.what")
def test_assertions():
    chain = {"a": "send: [{to: b, message: t.M}]\n", "b": "labels: {x: y}\nsend: [{to: c, message: t.N}]\nreceive: [{from: a, message: t.M}]\n",
             "c": "receive: [{from: b, message: t.N}]\n"}
    def hold(assertion, status, **more):
        groups = "groups: {g: [b, c]}\n" if "group:g" in assertion else "groups: {}\n"
        files = {**chain, **more, "common": f"{groups}assert:\n  - {assertion}\n"}
        text = taken(files, (status,))
        expect(status == 0 or "common.yaml:3" in text, assertion, text)
        got, text = weft("test", folder(files, [case("a", "b", "passed")]))
        expect(got == status, f"{assertion}: weft policy test has status {got}", text)
    hold("never: a reaches c", 1)
    hold("never: a talks to c", 0)
    hold("always: a reaches c", 0)
    hold("always: a talks to c", 1)
    hold("never: c reaches a", 0)
    hold("never: a talks to b with t.N", 0)
    hold("never: a talks to b with t.M", 1)
    hold("always: b talks to c with t.N", 0)
    hold("never: a talks to label:x=y", 1)
    hold("never: any talks to d", 0)
    hold("never: d reaches any", 0)
    hold("always: a reaches group:g", 0)
    hold("always: a talks to group:g", 1)
    hold("never: d talks to c", 1, d="mode: observe\n", c="receive: [{from: any, message: t.N}]\n")
    hold("always: d talks to c", 1, d="mode: observe\n", c="receive: [{from: any, message: t.N}]\n")
    perhaps = {"d": "send: [{to: c, message: t.M, where: this.s.matches('a+b')}]\n", "c": "receive: [{from: any, message: [t.M, t.N]}]\n"}
    hold("never: d talks to c", 1, **perhaps)
    hold("always: d talks to c", 1, **perhaps)
    asks = {"d": "send: [{to: a, method: t.S/Do}]\n", "a": chain["a"] + "receive: [{from: d, method: t.S/Do}]\n"}
    hold("always: a reaches d", 0, **asks)
    hold("never: a talks to d", 0, **asks)
    refused({"common": "assert: [{never: a reaches b, always: b reaches a}]\n"}, "never", "always")
    refused({"common": "assert: [{}]\n"})
    for bad in ("a hates b", "a reaches", "reaches b", "a reaches z", "a talks b", "a talks to b with t.Nope", "group:z reaches a"):
        refused({"common": f"assert: [{{never: {bad}}}]\n"})


@says("common.schemas.what", "common.schemas.relative", "common.schemas.option")
def test_schemas():
    def check(text, status):
        path = folder({"common": text, "a": "send: [{to: b, message: t.M}]\n", "b": "receive: [{from: a, message: t.M}]\n"})
        (path / "sub").mkdir()
        (path / "sub" / "t.proto").write_text(PROTO)
        shutil.copy(schemas(), path / "set.binpb")
        got, out = weft("check", path, feed_schemas=False)
        expect(got == status, f"{text}: status {got}", out)
        return out
    for named in ("sub/t.proto", "sub", "set.binpb", "[sub]", str(schemas())):
        check(f"schemas: {named}\n", 0)
    expect("common.yaml:1" in check("schemas: nowhere.binpb\n", 2), "where they are named")
    check("schemas: [" + ", ".join(["sub"] * 17) + "]\n", 2)
    check("assert: []\n", 2)
    taken({"common": "schemas: nowhere.binpb\n", "a": SENDS, "b": TAKES})


# --- cases -----------------------------------------------------------------------------------------------------------------

@says("cases.what", "cases.cases.what", "case.name.what", "case.json.what", "case.json.either", "case.hex.what", "case.file.what",
      "case.expect.what")
def test_cases():
    files = {"a": "send: [{to: b, message: t.M, where: this.n == 5}]\n", "b": TAKES}
    def run(*cases, status=0, **contents):
        path = folder(files, cases)
        for name, data in contents.items():
            (path / name.replace("__", ".")).write_bytes(data)
        got, text = weft("test", path)
        expect(got == status, f"status {got}", text)
        return text
    run(case("a", "b", "passed", json='{"n": "5"}'), case("a", "b", "passed", hex="0805"), case("a", "b", "where_unmet"),
        case("a", "b", "passed", file="five.json"), case("a", "b", "passed", file="five.bin"), case("a", "b", "schema_truncated", hex="08"),
        five__json=b'{"n": 5}', five__bin=b"\x08\x05")
    path = folder(files, [case("a", "b", "passed", json='{"n": 5}')])
    shutil.copy(path / "all.test.yaml", path / "more.test.yaml")
    expect("2 cases, 2 passed" in weft("test", path)[1], "two files of cases")
    run(case("a", "b", "passed", json="{}", hex="0805"), status=2)
    run(case("a", "b", "fine"), status=2)
    run({**case("a", "b", "where_unmet"), "name": "x"}, {**case("a", "b", "where_unmet"), "name": "x"}, status=2)
    run(case("a", "nobody", "passed"), status=2)
    run(case("a", "b", "passed", times=0), status=2)
    run(case("a", "b", "where_unmet", times=1000000))
    run(case("a", "b", "where_unmet", times=1000001), status=2)
    expect("0 failed" not in run(case("a", "b", "observed where_unmet"), status=1), "a refusal is no dry run")


# --- the reader --------------------------------------------------------------------------------------------------------------

@says("yaml.part", "yaml.unknown", "yaml.refused", "yaml.unseen", "yaml.literal", "yaml.limits", "yaml.error")
def test_reader():
    expect('did you mean "send"' in refused({"a": "snd: []\n"}, "a.yaml:2", "unknown key"), "what would be right")
    refused({"a": "send: []\nsend: []\n"}, "already", "a.yaml:3")
    for bad in ("send: &x []\n", "send: *x\n", "send: !!seq []\n", "<<: {}\n", "reason: |\n  x\n", "reason: x\n  y\n", "reason: \"x\n  y\"\n",
                "--- \nsend: []\n", "send:\n\t- {to: b, message: t.M}\n", "reason: \x07\n", "reason: a\u202eb\n", "reason: a\u200bb\n",
                "reason: a\u2028b\n", "reason: \udcff\n", "send: [{to: b, message: t.M, log: yes}]\n", "reason: '" + "x" * 4097 + "'\n",
                "send: [{to: b, message: t.M, log: True}]\n", "send: [{to: b, message: t.M, max_size: 512}]\n", "mode: [[[[[[[[[a]]]]]]]]]\n",
                "send: [{to: b, message: t.M, max_size: 010B}]\n", "labels:\n" + "".join(f"  k{i}: v\n" for i in range(65)),
                "send: [" + "x," * 262144 + "]\n", "reason: " + "# x" * 400000 + "\n"):
        refused({"a": bad}, "a.yaml", where="whole")
    refused({"a": "%YAML 1.1\n---\nunikernel: a\n"}, "a.yaml:1")
    refused({"a": "unikernel: a\n---\nunikernel: a\n"}, "a.yaml:2")
    taken({"a": "reason: 'ü, ß and 漢字'  # a comment\n"})


# --- a running fabric --------------------------------------------------------------------------------------------------------

@says("common.schemas.fabric")
def test_a_fabric_has_its_own_schemas():
    with fabric.Fabric("policy-reference", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}}) as f:
        (f.folder / "policy" / "common.yaml").write_text("schemas: nowhere.binpb\n")
        status, text = f.weft("policy", "apply")
        expect(status == 0 and "epoch 2" in text, f"status {status}", text)


# --- what is shown elsewhere -------------------------------------------------------------------------------------------------

ELSEWHERE = {
    "tests/system/test_policy_live.py:test_what_is_wrong_changes_nothing": ["policy.what", "policy.set", "yaml.whole"],
    "tests/system/test_policy_live.py:test_pins": ["policy.image.start", "policy.image.default"],
    "tests/system/test_policy_live.py:test_quarantine": ["quarantine.lift"],
    "tests/fabric/test_road_quarantine.c:exactly_so_many_in_so_much_time": ["quarantine.what", "quarantine.sent"],
    "tests/fabric/test_road_quarantine.c:cut_off_and_lifted": ["quarantine.verdict"],
    "tests/guest-lib/test_verdict.c:blame_is_the_senders": ["quarantine.blame"],
    "tests/fabric/test_road_quarantine.c:nobody_has_others_cut_off": ["quarantine.blame"],
    "tests/fabric/test_road_quarantine.c:quarantine_in_a_dry_run": ["quarantine.observed", "observe.quarantine"],
    "tests/fabric/test_road.c:policy_decides": ["policy.quarantine.default"],
    "tests/fabric/test_decision.c:a_dry_run": ["observe.recorded"],
    "tests/fabric/test_road.c:request_and_reply": ["rule.method.reply", "judge.reply", "rule.max_size.request", "rule.rate.request"],
    "tests/fabric/test_road.c:content_is_inspected": ["rule.carries.risk"],
    "tests/fabric/test_road.c:records_are_checked": ["named.none"],
    "tests/fabric/test_road_policy.c:a_quota_is_for_a_day": ["rule.quota.day"],
    "tests/policy/test_decide.c:test_buckets_over_time": ["rule.rate.rounding"],
    "tests/policy/test_reference.c:test_against_the_reference": ["rule.quota.shared"],
    "tests/policy/test_decide.c:test_one_bucket_for_all_of_a_rule": ["rule.rate.shared"],
    "tests/fabric/test_road_policy.c:books_follow_their_rules": ["rule.name.books"],
    "tests/policy/test_compile.c:test_log_joins": ["rule.log.what", "rule.log.default", "rule.log.either"],
    "tests/policy/test_compile.c:test_too_many_combinations": ["limits.grants"],
    "tests/policy/test_language.c:limits_are_those_of_the_headers": ["limits.rules"],
    "tests/fabric/test_config.c:test_number_of_unikernels": ["limits.unikernels"],
    "tests/policy/test_decide.c:test_tables_are_bounded": ["limits.lookup"],
}


def test_no_sentence_is_left_out():
    for place, ids in ELSEWHERE.items():
        path, function = place.split(":")
        expect(re.search(rf"\b{function}\(", (ROOT / path).read_text()), f"{place} is not there any more; which test shows {ids}?")
        SAID.update(ids)
    there = set(re.findall(r'<a id="([^"]+)"', REFERENCE.read_text()))
    expect(not there - SAID, f"without a test: {sorted(there - SAID)}")
    expect(not SAID - there, f"the reference does not say: {sorted(SAID - there)}")
    tap.note(f"{len(there)} sentences, {sum(map(len, ELSEWHERE.values()))} of them shown elsewhere")


if __name__ == "__main__":
    sys.exit(fabric.main(tap.named_tests(dict(globals()))))
