#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft schema compat` as a person or a script meets it: exit statuses, one finding a line, JSON, and that what it calls
compatible the validator does accept. Which changes are found is tested in tests/schemas/test_compat.c. Prints TAP."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import tap
from tap import expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
WEFT = BUILD / "bin" / "weft"
DIR = BUILD / "run" / "tests" / "schema_compat"
OLD = """syntax = "proto3";
package shop;
import "buf/validate/validate.proto";
message Order {
  string id = 1 [(buf.validate.field).string.max_len = 8];
  string note = 2;
  int64 count = 3 [(buf.validate.field).int64 = {gte: 0, lt: 100}];
}
message Answer { bool done = 1; }
service Desk { rpc Place(Order) returns (Answer); }
"""
WIDER = OLD.replace("max_len = 8", "max_len = 9").replace("int64", "int32").replace("note = 2;", "remark = 2; int32 more = 4;")
NARROWER = OLD.replace("max_len = 8", "max_len = 7").replace("  string note = 2;\n", "  reserved 2;\n")
BROKEN = OLD.replace("int64 count", "sint64 count").replace(".int64 =", ".sint64 =").replace("returns (Answer)", "returns (Order)")


def weft(*args, status=0, message=None):
    p = subprocess.run([WEFT, "schema", *args], input=message or b"", capture_output=True, timeout=120, check=False)
    p.stdout, p.stderr = p.stdout.decode(), p.stderr.decode()
    expect(p.returncode == status, f"weft schema {args}: exit status {p.returncode}, not {status}\n{p.stdout}{p.stderr}")
    return p


def made(name, text):
    """The set of one file."""
    folder = DIR / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "order.proto").write_text(text)
    out = DIR / (name + ".binpb")
    weft("build", folder, "-I", ROOT / "schemas", "-o", out)
    return out


def test_compatible():
    p = weft("compat", made("old", OLD), made("wider", WIDER))
    expect(re.fullmatch(r"compatible: \d+ messages with \d+ fields, \d+ enums, 1 method, imports included; new: 0 messages, 0 methods\n",
                       p.stdout) and not p.stderr, p.stdout + p.stderr)


def test_tightened():
    p = weft("compat", made("old", OLD), made("narrower", NARROWER), status=1)
    lines = p.stdout.splitlines()
    expect(len(lines) == 2, p.stdout)
    expect(lines[0].startswith("order.proto:5: STRICT_RULE_TIGHTENED: shop.Order.id: "), lines[0])
    expect(lines[1].startswith("order.proto:6: STRICT_FIELD_DELETED: (old) shop.Order.note: "), lines[1])
    expect("0 WIRE, 2 STRICT" in p.stderr, p.stderr)


def test_broken_as_json():
    got = json.loads(weft("compat", "--json", made("old", OLD), made("broken", BROKEN), status=1).stdout)
    expect(not got["compatible"] and got["wire"] == 2 and got["strict"] == 0, got)
    first, second = got["findings"]
    expect((first["rule"], first["category"], first["file"], first["line"], first["name"]) ==
          ("FIELD_WIRE_COMPATIBLE_TYPE", "WIRE", "order.proto", 7, "shop.Order.count"), first)
    expect(first["old"] == {"file": "order.proto", "line": 7} and first["text"] and first["keep"] and not first["in_old"], first)
    expect(second["rule"] == "RPC_SAME_RESPONSE_TYPE" and second["name"] == "shop.Desk/Place", second)
    got = json.loads(weft("compat", "--json", made("old", OLD), made("wider", WIDER)).stdout)
    expect(got["compatible"] and got["findings"] == [] and got["compared"]["methods"] == 1, got)


def test_validator_agrees():
    """A message of the old set under the three new ones."""
    message = b"\x0a\x08abcdefgh\x12\x01x\x18\x63"
    for name, text, status in (("old", OLD, 0), ("wider", WIDER, 0), ("narrower", NARROWER, 1)):
        weft("validate", "--fdset", made(name, text), "--type", "shop.Order", status=status, message=message)


def test_without_lines():
    out = DIR / "bare.binpb"
    made("old", OLD)
    subprocess.run(["protoc", "--include_imports", f"--descriptor_set_out={out}", f"-I{DIR / 'old'}", f"-I{ROOT / 'schemas'}",
                    "order.proto"], check=True, timeout=60)
    p = weft("compat", out, made("narrower", NARROWER), status=1)
    expect("order.proto: STRICT_FIELD_DELETED: (old) shop.Order.note" in p.stdout and "--include_source_info" in p.stderr,
          p.stdout + p.stderr)


def test_no_answer():
    old, bad = made("old", OLD), DIR / "bad.binpb"
    bad.write_bytes(b"\x0a\x05rubbish")
    for args, words in ((("compat",), "OLD and NEW"), (("compat", old), "OLD and NEW"), (("compat", old, old, old), "two sets only"),
                        (("compat", old, DIR / "none.binpb"), "No such file"), (("compat", old, bad), "bad.binpb"),
                        (("compat", bad, old), "bad.binpb"), (("compat", old, DIR), "descriptor set is a file")):
        p = weft(*args, status=2)
        expect(words in p.stderr and not p.stdout, (args, p.stdout, p.stderr))
    got = json.loads(weft("compat", "--json", old, bad, status=2).stdout)
    expect(got["compatible"] is None and "bad.binpb" in got["error"], got)
    expect("Usage: weft schema compat" in weft("compat", "--help").stdout, "help")


def main():
    if not WEFT.exists():
        return tap.skip_all(f"{WEFT} is not built")
    shutil.rmtree(DIR, ignore_errors=True)
    DIR.mkdir(parents=True)
    return tap.run(tap.named_tests(globals()))


if __name__ == "__main__":
    sys.exit(main())
