#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft schema validate` as a person or a script meets it: exit status, text, JSON, cases, the schema's rules; and the
cases of other projects, where they are here. Prints TAP."""
import json
import os
import re
import subprocess
import sys
import tempfile

import tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEFT = os.path.join(ROOT, os.environ.get("BUILD", "build"), "bin", "weft")
VECTORS = os.path.join(ROOT, "..", "shared", "vectors")
tmp = tempfile.TemporaryDirectory()
FDSET = os.path.join(tmp.name, "set.binpb")
RULED = os.path.join(tmp.name, "ruled.binpb")
RULED_PROTO = """syntax = "proto3";
package ruled;
import "buf/validate/validate.proto";
import "google/protobuf/timestamp.proto";
message Asked {
  option (buf.validate.message).cel = { id: "sum", message: "a must be below b", expression: "this.a < this.b" };
  int32 a = 1;
  int32 b = 2 [(buf.validate.field).cel = { id: "even", expression: "this % 2 == 0 ? '' : '%d is odd'.format([this])" }];
  repeated int32 c = 3 [(buf.validate.field).repeated.items.cel_expression = "10 / this > 0"];
}
message Order {
  string id = 1 [(buf.validate.field).string = { min_len: 2, max_len: 8 }];
  int32 price = 2 [(buf.validate.field).int32.gt = 0];
  repeated int32 lots = 3 [(buf.validate.field).repeated = { max_items: 3, items: { int32: { lt: 10 } } }];
  map<string, int32> tags = 4 [(buf.validate.field).map.keys.string.max_len = 3];
  google.protobuf.Timestamp due = 5 [(buf.validate.field).timestamp.gt_now = true];
  optional bytes raw = 6 [(buf.validate.field).bytes.pattern = "^a"];
  Kind kind = 7;
}
enum Kind { KIND_UNKNOWN = 0; KIND_A = 1; }
message Wrong { string s = 1 [(buf.validate.field).int32.gt = 0]; }
message Holder { Wrong wrong = 1; }
message Plain { int32 n = 1; }
"""


def weft(*args, stdin=b""):
    p = subprocess.run([WEFT, "schema", "validate", *args], input=stdin, capture_output=True, timeout=120)
    return p.returncode, p.stdout, p.stderr.decode()


def one(hexa, *args, kind="strict.All"):
    fdset = RULED if kind.startswith("ruled.") else FDSET
    return weft("--fdset", fdset, "--type", kind, *args, "-", stdin=bytes.fromhex(hexa))


def order(*changes, **more):
    """An Order that meets its rules, in hex, with fields after it or in place of its own."""
    fields = {"id": "0a026964", "price": "1001", **more}
    return "".join(fields.values()) + "".join(changes)


def cases(lines, *args):
    rc, out, err = weft("--fdset", FDSET, "--cases", "-", *args, stdin=lines)
    return rc, [json.loads(x) for x in out.splitlines()], err


def test_accepted():
    rc, out, _ = one("0801")
    assert rc == 0 and out == b"accepted: 2 bytes, strict.All\n", out


def test_refused():
    rc, out, _ = one("7a022001")
    assert rc == 1 and b"unknown_field at inner.#4, offset 2" in out, out


def test_conformant():
    assert one("7a022001", "--conformant")[0] == 0
    assert one("0801", "--conformant", kind="old.Req")[0] == 1


def test_json():
    rc, out, _ = one("820103018100", "--json")
    got = json.loads(out)
    assert rc == 1 and got["verdict"] == "reject" and got["reason"] == "overlong", got
    assert got["path"] == "ri[1]" and got["offset"] == 4, got
    rc, out, _ = one("", "--json")
    assert rc == 0 and json.loads(out)["verdict"] == "accept"


def test_file():
    path = os.path.join(tmp.name, "message")
    with open(path, "wb") as f:
        f.write(b"\x08\x01")
    assert weft("--fdset", FDSET, "--type", "strict.All", path)[0] == 0


def test_large():
    body = b"\x72\xfc\xdf\x03" + bytes(61436)  # one bytes field, and in all what the fabric takes
    rc, out, err = weft("--fdset", FDSET, "--type", "strict.All", "-", stdin=body)
    assert rc == 0 and b"accepted: 61440 bytes" in out, (out, err)
    for size in (61441, 10 << 20):
        for args in ([], ["--conformant"]):
            rc, _, err = weft("--fdset", FDSET, "--type", "strict.All", *args, "-", stdin=bytes(size))
            assert rc == 2 and "larger than 61440 bytes" in err, err


def test_errors():
    for args in ([], ["--fdset", FDSET], ["--bogus"], ["--fdset", FDSET, "--type", "strict.All", "--now", "soon", "-"],
                 ["--fdset", FDSET, "--type", "strict.All", "--all", "--no-rules", "-"],
                 ["--fdset", FDSET, "--type", "a.B", "-"], ["--fdset", "/nowhere", "--type", "a.B", "-"],
                 ["--fdset", FDSET, "--type", "strict.All", "/nowhere"], ["--fdset", FDSET, "--cases", "/nowhere"],
                 ["--fdset", FDSET, "--cases", "-", "--type", "strict.All"], ["--fdset", WEFT, "--cases", "-"]):
        rc, _, err = weft(*args)
        assert rc == 2 and err, (args, rc, err)
    rc, out, _ = weft("--fdset", FDSET, "--type", "a.B", "--json", "-")
    assert rc == 2 and json.loads(out)["verdict"] == "error", out
    rc, _, err = weft("--fdset", FDSET, "--type", "strict.Al", "-")
    assert rc == 2 and 'did you mean "strict.All"?' in err, err
    with open(FDSET, "rb") as f:
        whole = f.read()
    broken = os.path.join(tmp.name, "broken.binpb")
    for damage in (whole[:-7], whole[:300] + b"\xff" * 40 + whole[340:], b""):
        with open(broken, "wb") as f:
            f.write(damage)
        rc, _, err = weft("--fdset", broken, "--type", "strict.All", __file__)
        assert rc == 2 and broken in err, (rc, err)


def test_missing_import():
    alone = os.path.join(tmp.name, "alone.binpb")
    subprocess.run(["protoc", "--descriptor_set_out=" + alone, "-I" + tmp.name, "-I" + os.path.join(ROOT, "schemas"),
                    "ruled.proto"], check=True)
    rc, _, err = weft("--fdset", alone, "--type", "ruled.Order", "-")
    assert rc == 2 and "ruled.proto: imports buf/validate/validate.proto" in err and "--include_imports" in err, err


def test_rules():
    assert one(order(), kind="ruled.Order")[:2] == (0, b"accepted: 6 bytes, ruled.Order\n")
    rc, out, _ = one(order(price="1000"), kind="ruled.Order")
    assert rc == 1 and out.startswith(b"refused: rule int32.gt at price, offset 5 of 6: "), out
    # Without presence the zero that is not written counts, too.
    rc, out, _ = one(order(price=""), kind="ruled.Order")
    assert rc == 1 and b"rule int32.gt at price" in out, out
    assert one(order(price=""), "--no-rules", kind="ruled.Order")[0] == 0
    rc, out, _ = one(order("2203080001"), "--no-rules", kind="ruled.Order")
    assert rc == 1 and b"wire_type" in out, out


def test_rules_json():
    rc, out, _ = one(order("22070a05" + "61" * 4 + "22"), "--json", kind="ruled.Order")
    got = json.loads(out)
    assert rc == 1 and got["reason"] == "rule" and got["rule_id"] == "string.max_len", got
    assert got["path"] == 'tags["aaaa\\""]' and got["rule"] == "map.keys.string.max_len", got
    assert got["for_key"] is True and got["message"] and "violations" not in got, got
    got = json.loads(one(order(), "--json", "--all", kind="ruled.Order")[1])
    assert got["verdict"] == "accept" and got["violations"] == [], got


def test_all_rules():
    hexa = order("1a0401630b09", id="0a0161", price="1000")
    rc, out, _ = one(hexa, "--all", "--json", kind="ruled.Order")
    got = json.loads(out)
    want = [("id", "string.min_len"), ("price", "int32.gt"), ("lots[1]", "int32.lt"), ("lots[2]", "int32.lt"),
            ("lots", "repeated.max_items")]
    assert rc == 1 and sorted((v["field"], v["rule_id"]) for v in got["violations"]) == sorted(want), got
    assert (got["path"], got["rule_id"]) == ("id", "string.min_len"), got
    first = {v["field"]: v for v in got["violations"]}["lots[1]"]
    assert first["rule"] == "repeated.items.int32.lt" and "for_key" not in first and first["offset"] == 8, first
    rc, out, _ = one(hexa, "--all", kind="ruled.Order")
    assert rc == 1 and out.startswith(b"refused: 5 violations") and out.count(b"\n") == 6, out
    # What is wrong with the wire format ends the walk, and is the answer.
    got = json.loads(one(hexa + "f001", "--all", "--json", kind="ruled.Order")[1])
    assert got["verdict"] == "reject" and got["violations"], got


def test_expressions():
    assert one("08011002", kind="ruled.Asked")[0] == 0
    rc, out, _ = one("08051003", kind="ruled.Asked")
    assert rc == 1 and out == b"refused: rule even at b, offset 3 of 4: 3 is odd\n", out
    got = json.loads(one("08051003", "--all", "--json", kind="ruled.Asked")[1])
    assert [(v["rule_id"], v.get("field", ""), v.get("rule", ""), v["message"]) for v in got["violations"]] == [
        ("even", "b", "cel[0]", "3 is odd"), ("sum", "", "", "a must be below b")], got
    assert (got["rule_id"], got["message"]) == ("even", "3 is odd"), got
    rc, out, _ = one("080110021a020100", kind="ruled.Asked")
    assert rc == 2 and b"rule 10 / this > 0 at c[1]" in out and b"cannot be judged on this value: division by zero" in out, out
    got = json.loads(one("080110021a020100", "--all", "--json", kind="ruled.Asked")[1])
    assert (got["verdict"], got["reason"], got["message"]) == ("error", "runtime", "division by zero"), got


def test_now():
    due = order("2a0608e8d5a6b606")  # 1724492520
    for now, rc in (("1724492519", 0), ("1724492520", 0), ("1724492520.000000001", 1), ("1724492521", 1), ("-1.5", 0)):
        assert one(due, "--now", now, kind="ruled.Order")[0] == rc, now
    lines = "".join('{"type":"ruled.Order","hex":"%s","now":%s}\n' % (due, now)
                    for now in ("1724492519", "1724492519.75", "1724492520.25", "1e300", '"x"'))
    rc, out, _ = weft("--fdset", RULED, "--cases", "-", "--now", "1724492521", stdin=lines.encode())
    assert [json.loads(x)["verdict"] for x in out.splitlines()] == ["accept", "accept", "reject", "error", "error"], out


def test_rules_that_cannot_be_used():
    for kind in ("ruled.Wrong", "ruled.Holder"):
        rc, out, err = one("", kind=kind)
        assert rc == 2 and not out and "ruled.proto: ruled.Wrong.s: " in err, (out, err)
        got = json.loads(one("", "--json", kind=kind)[1])
        assert (got["verdict"], got["reason"]) == ("error", "compilation") and "ruled.Wrong.s" in got["detail"], got
    assert one("", "--no-rules", kind="ruled.Holder")[0] == 2
    assert one("", "--no-rules", "--conformant", kind="ruled.Holder")[0] == 0
    assert one("0801", kind="ruled.Plain")[0] == 0


def test_rules_that_cannot_be_judged():
    rc, out, _ = one(order("3202ff61"), "--json", kind="ruled.Order")
    got = json.loads(out)
    assert rc == 2 and (got["verdict"], got["reason"]) == ("error", "runtime"), got
    assert got["path"] == "raw" and got["rule_id"] == "bytes.pattern", got
    assert json.loads(one(order("3202ff61"), "--json", "--all", kind="ruled.Order")[1])["verdict"] == "error"


def test_conformant_rules():
    assert one(order(price="1000"), "--conformant", kind="ruled.Order")[0] == 1
    assert one(order(price="1000"), "--conformant", "--no-rules", kind="ruled.Order")[0] == 0
    # An enum's number that the schema has not is another number to an open enum, and no more.
    assert one(order("3809"), kind="ruled.Order")[0] == 1
    assert one(order("3809"), "--conformant", kind="ruled.Order")[0] == 0
    # Rules cannot be judged on a message with two meanings; one whose type has no rules stays as it was.
    rc, out, _ = one(order("1002"), "--conformant", kind="ruled.Order")
    assert rc == 1 and b"duplicate at price" in out, out
    assert one("08010802", "--conformant", kind="ruled.Plain")[0] == 0


def test_cases():
    lines = b"\n".join([
        b'{"z":1,"type":"strict.All","hex":"0801","verdict":"expected","a":[null,1.5,"\\u0000"]}',
        b'{"type":"strict.All","hex":"0801080"}',
        b'not json', b'', b'[1]',
        b'{"type":"no.Such","hex":""}', b'{"hex":"00"}', b'{"type":"strict.All","hex":"zz"}',
        b'{"type":"strict.All\\u0000x","hex":""}',
        b'{"type":"strict.All","hex":"F00101"}'])
    rc, got, _ = cases(lines)
    assert rc == 0 and len(got) == 9, got
    assert list(got[0]) == ["z", "type", "hex", "verdict", "a", "reason"], got[0]
    assert got[0]["verdict"] == "accept" and got[0]["a"] == [None, 1.5, "\0"]
    assert [x["verdict"] for x in got] == ["accept"] + ["error"] * 7 + ["reject"], got
    assert got[2]["line"] == 3 and got[8]["reason"] == "unknown_field" and got[8]["path"] == "#30", got
    rc, got, _ = cases(lines, "--conformant")
    assert got[8]["verdict"] == "accept"


def test_cases_without_schema():
    rc, out, err = weft("--fdset", WEFT, "--cases", "-", stdin=b'{"type":"strict.All","hex":""}\n')
    assert rc == 2 and err and json.loads(out)["verdict"] == "error", out


def test_huge_line():
    huge = b"".join(b'{"n":%d,"type":"strict.All","hex":"%s"}\n' % (n, b"0" * (n << 20)) for n in (30, 65, 0))
    rc, got, _ = cases(huge)
    assert rc == 0 and [x["verdict"] for x in got] == ["error", "error", "accept"], [x["verdict"] for x in got]
    assert got[0]["n"] == 30 and "larger than 61440" in got[0]["reason"] and got[1]["line"] == 2


def public(folder):
    path = os.path.join(VECTORS, folder)
    if not os.path.isdir(path):
        raise tap.Skipped("../shared/vectors/%s is not here" % folder)
    return path


def answers(path, *args):
    """The cases of a file, each with what weft answers: all, in order, with their keys."""
    rc, out, _ = weft("--cases", path, *args)
    with open(path, encoding="utf-8") as f:
        want = [json.loads(x) for x in f]
    got = [json.loads(x) for x in out.splitlines()]
    assert rc == 0 and len(want) == len(got), (rc, len(want), len(got))
    for w, g in zip(want, got):
        assert all(g.get(k) == v for k, v in w.items() if k not in ("verdict", "reason")), (w, g)
    return list(zip(want, got))


def test_public_wire_cases():
    folder = public("protobuf-wire")
    for name in ("conformance", "hyperpb", "fuzz-proto3"):
        pairs = answers(os.path.join(folder, name + ".jsonl"), "--conformant", "--fdset",
                        os.path.join(folder, name + "_fdset.binpb"))
        for w, g in pairs:
            required = g["verdict"] == "reject" and g["reason"] == "required"
            assert w["verdict"] == ("missing_required" if required else g["verdict"]), (w, g)
        print("# %s: %d of %d agree" % (name, len(pairs), len(pairs)))


def kind_of(expected):
    return next(k for k in ("success", "violations", "compilation", "runtime") if k in expected)


def violations(answer):
    return sorted((v["rule_id"], v.get("field", ""), v.get("rule", ""), v.get("for_key", False))
                  for v in answer.get("violations", []))


def test_public_rule_cases():
    folder = public("protovalidate")
    fdset = os.path.join(folder, "fdset.binpb")
    count, wrong = {}, []
    for w, g in answers(os.path.join(folder, "cases.jsonl"), "--fdset", fdset, "--all"):
        kind = {"accept": "success"}.get(g["verdict"]) or {"rule": "violations"}.get(g["reason"], g["reason"])
        agrees = kind == kind_of(w["expected"]) and violations(w["expected"]) == violations(g)
        what = "agrees" if agrees else "differs"
        # Weft's part of CEL is told apart from the rest of it when a set is compiled; nothing that it lacks is accepted.
        if not agrees and kind == "compilation" and re.search(r"cel.*: byte \d+ of .* is not supported", g["detail"]):
            what = "asks CEL for what Weft lacks, which is an error"
        count[what] = count.get(what, 0) + 1
        if what == "differs":
            wrong.append((w["type"], w["hex"], w["expected"], g["verdict"], g["reason"], g.get("detail"), g["violations"]))
    print("# protovalidate: " + ", ".join("%d %s" % (n, what) for what, n in sorted(count.items())))
    for case in wrong[:10]:
        print("# %r" % (case,))
    assert not wrong, "%d cases differ" % len(wrong)
    assert count["agrees"] > 0.99 * sum(count.values()), count


def main():
    if not os.path.exists(WEFT):
        return tap.skip_all(WEFT + " is not built")
    subprocess.run(["protoc", "--descriptor_set_out=" + FDSET, "-I" + os.path.join(ROOT, "tests", "schemas"),
                    "strict.proto", "old.proto"], check=True)
    with open(os.path.join(tmp.name, "ruled.proto"), "w", encoding="utf-8") as f:
        f.write(RULED_PROTO)
    subprocess.run(["protoc", "--descriptor_set_out=" + RULED, "--include_imports", "-I" + tmp.name,
                    "-I" + os.path.join(ROOT, "schemas"), "ruled.proto"], check=True)
    return tap.run(tap.named_tests(globals()))


if __name__ == "__main__":
    sys.exit(main())
