#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft schema build` and `weft schema show` as a person or a script meets them: what they find, what they print, what
they leave behind. Prints TAP."""
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
DIR = BUILD / "run" / "tests" / "schema"
GOOD = {
    "shop/order.proto": """syntax = "proto3";
package shop;
import "buf/validate/validate.proto";
import "shop/kind.proto";
message Order {
  option (buf.validate.message).oneof = { fields: ["note", "link"] };
  string id = 1 [(buf.validate.field).string = { min_len: 2, max_len: 8 }];
  repeated Line lines = 2 [(buf.validate.field).repeated.max_items = 20];
  map<string, Kind> kinds = 3 [(buf.validate.field).map = { max_pairs: 9, keys: { string: { max_len: 4 } } }];
  optional sint32 price = 4 [(buf.validate.field).sint32.gte = 0];
  oneof pay { string card = 5; bool cash = 6; }
  string note = 17 [(buf.validate.field).string.max_len = 99];
  string link = 18 [(buf.validate.field).string.max_bytes = 99];
  Order parent = 19;
  Kind kind = 2000;
  message Line { uint32 lot = 1 [(buf.validate.field).required = true]; }
}
message Answer { bool done = 1; }
service Desk { rpc Place(Order) returns (Answer); }
""",
    "shop/kind.proto": """syntax = "proto3";
package shop;
enum Kind { KIND_UNKNOWN = 0; KIND_SMALL = 1; KIND_LARGE = -2; }
""",
}
SURPRISES = {
    "old.proto": """syntax = "proto2";
package old;
import "buf/validate/validate.proto";
message Open { extensions 100 to 200; optional string free = 1; }
extend Open { optional int32 more = 150; }
message Set { option message_set_wire_format = true; extensions 4 to max; }
message Match {
  optional string loose = 1 [(buf.validate.field).string.pattern = "^a+$"];
  optional string bound = 2 [(buf.validate.field).string = { pattern: "^a+$", max_len: 9 }];
  repeated string many = 3;
  repeated string few = 4 [(buf.validate.field).repeated.max_items = 10];
}
message Twice {
  option (buf.validate.message).cel = { id: "positive", expression: "this.n > 0" };
  option (buf.validate.message).cel = { id: "positive", expression: "this.n >= 1" };
  optional int32 n = 1 [(buf.validate.field).cel = { expression: "this > 0" }];
}
service Feed { rpc Watch(Match) returns (stream Open); rpc Ask(Match) returns (Open); }
""",
}
ERRORS = {
    "bad.proto": """syntax = "proto3";
package bad;
import "buf/validate/validate.proto";
message Type { string s = 1 [(buf.validate.field).int32.gt = 0]; }
message Never { int32 n = 1 [(buf.validate.field).cel = { id: "n", expression: "this > me" }]; }
message Holds { Type type = 1; repeated Never never = 2; }
message Pattern { string p = 1 [(buf.validate.field).string.pattern = "("]; }
""",
}


def weft(*args, status=0, cwd=ROOT, env=None):
    p = subprocess.run([WEFT, "schema", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                       cwd=cwd, env={**os.environ, **(env or {})}, check=False)
    expect(p.returncode == status, f"weft schema {args}: exit status {p.returncode}, not {status}\n{p.stdout}{p.stderr}")
    return p


def folder(name, files):
    """A new folder with these files in it."""
    path = DIR / name
    shutil.rmtree(path, ignore_errors=True)
    for file, text in files.items():
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_text(text)
    return path


def good_set():
    out = DIR / "good.binpb"
    weft("build", folder("good", GOOD), "-o", out)
    return out


# --- build ----------------------------------------------------------------------------------------------------------

def test_build():
    src, out = folder("good", GOOD), DIR / "one.binpb"
    out.write_text("old")
    p = weft("build", src, "-o", out)
    expect(p.stdout == f"{out}: 2 files, 3 messages, 1 method, 10 rules\n" and not p.stderr, p.stdout + p.stderr)
    first = out.read_bytes()
    weft("build", src, "-o", out)
    expect(out.read_bytes() == first, "the same files give another set")
    expect(out.stat().st_mode & 0o777 == 0o644, "mode")
    expect(b"buf/validate/validate.proto" in first, "imports are not in the set")
    order = "0a03616263" + "12020801"
    p = subprocess.run([WEFT, "schema", "validate", "--fdset", out, "--type", "shop.Order"], input=bytes.fromhex(order),
                       capture_output=True, timeout=60, check=False)
    expect(p.returncode == 0, p)


def test_build_json():
    got = json.loads(weft("build", folder("good", GOOD), "-o", DIR / "j.binpb", "--json").stdout)
    expect({k: got[k] for k in ("written", "files", "messages", "methods", "rules")} ==
          {"written": True, "files": 2, "messages": 3, "methods": 1, "rules": 10}, got)
    got = json.loads(weft("build", folder("bad", ERRORS), "-o", DIR / "k.binpb", "--json", status=1).stdout)
    expect(not got["written"] and not (DIR / "k.binpb").exists(), got)
    expect({p["where"] for p in got["problems"] if p["level"] == "error"} ==
          {"bad.Type.s", "bad.Never.n", "bad.Pattern.p"}, got["problems"])


def test_errors_are_all_told():
    out = DIR / "kept.binpb"
    out.write_text("kept")
    p = weft("build", folder("bad", ERRORS), "-o", out, status=1)
    lines = p.stderr.splitlines()
    for where in ("bad.Type.s", "bad.Never.n", "bad.Pattern.p"):
        found = [line for line in lines if re.match(rf"bad\.proto:\d+: {re.escape(where)}: error: ", line)]
        expect(len(found) == 1, p.stderr)
        at, field = int(found[0].split(":")[1]), where.rsplit(".", 1)[1]
        expect(f" {field} = " in ERRORS["bad.proto"].splitlines()[at - 1], f"{found[0]}: not there")
    expect("3 errors" in lines[-1] and out.read_text() == "kept" and not p.stdout, p.stderr)
    expect(not list(DIR.glob("kept.binpb.*")), "something was left behind")


def test_surprises():
    p = weft("build", folder("old", SURPRISES), "-o", DIR / "old.binpb")
    warned = {line.split(": ")[1] for line in p.stderr.splitlines() if ": warning: " in line}
    expect(warned == {"old.Open.more", "old.Set", "old.Match.loose", "old.Match.many", "old.Feed/Watch", "old.Twice",
                      "old.Twice.n"}, p.stderr)
    expect(": info: " not in p.stderr and p.stdout.count("\n") == 1, p.stdout + p.stderr)
    p = weft("build", folder("old", SURPRISES), "-o", DIR / "old.binpb", "--verbose")
    expect("old.proto:4: old.Open.free: info: " in p.stderr and "google" not in p.stderr, p.stderr)


def test_what_is_found():
    src = folder("walk", {**GOOD, ".git/x.proto": "nonsense", "shop/deep/er/x.proto": 'syntax = "proto3";'})
    (src / "link.proto").symlink_to(src / "shop" / "kind.proto")
    (src / "loop").symlink_to(src)
    p = weft("build", src, "-o", DIR / "walk.binpb")
    expect("3 files" in p.stdout and "link.proto: not a regular file" in p.stderr, p.stdout + p.stderr)
    p = weft("build", src / "shop", "-I", src, "-o", DIR / "walk.binpb")
    expect("3 files, 3 messages" in p.stdout, p.stdout + p.stderr)  # named from the folder above
    # A file of the same name in the current folder is not taken for it, and a name is no option.
    odd = folder("odd", {"-o.proto": 'syntax = "proto3"; message Odd {}'})
    (DIR / "here").mkdir(exist_ok=True)
    (DIR / "here" / "-o.proto").write_text("nonsense")
    weft("build", odd, "-o", "set.binpb", cwd=DIR / "here")
    dash = folder("-dash", {"a.proto": 'syntax = "proto3"; message Odd {}'})
    weft("build", "-o", "set.binpb", "--", dash.name, cwd=DIR)


def test_build_cannot():
    good = folder("good", GOOD)
    for args in ([], [good], ["-o", DIR / "x"], [good, good, "-o", DIR / "x"], [DIR / "nowhere", "-o", DIR / "x"],
                 [folder("empty", {"a.txt": ""}), "-o", DIR / "x"], [good, "-o", DIR / "no" / "such"],
                 [good, "-I", "a:b", "-o", DIR / "x"], [good, "-o", DIR]):
        expect(weft("build", *args, status=2).stderr.strip(), f"{args}: nothing is said")
    p = weft("build", folder("syntax", {"a.proto": "message {"}), "-o", DIR / "x", status=2)
    expect("a.proto:1:" in p.stderr, p.stderr)
    p = weft("build", folder("import", {"a.proto": 'syntax = "proto3"; import "b.proto";'}), "-o", DIR / "x", status=2)
    expect("b.proto" in p.stderr and "-I PATH" in p.stderr, p.stderr)
    p = weft("build", good, "-o", DIR / "x", status=2, env={"PATH": str(DIR)})
    expect("there is no protoc" in p.stderr, p.stderr)
    expect(not (DIR / "x").exists() and not list(DIR.glob("x.*")), "something was left behind")


# --- show -----------------------------------------------------------------------------------------------------------

def test_show_type():
    out = weft("show", good_set(), "shop.Order").stdout
    lines = out.splitlines()
    expect(lines[0] == "shop.Order  (shop/order.proto, proto3)", out)
    head = next(i for i, line in enumerate(lines) if "PRESENCE" in line)
    at = {word: lines[head].index(word) for word in ("FIELD", "TYPE", "PRESENCE", "RULES")}
    row = next(line for line in lines if line[at["FIELD"]:].startswith("id "))
    expect(row[at["TYPE"]:].startswith("string ") and row[at["PRESENCE"]:].startswith("implicit "), row)
    expect(row[at["RULES"]:].startswith("string."), row)
    for text in ("repeated shop.Order.Line", "map<string, shop.Kind>", "key: ", "optional", "oneof", "pay, one of: card, cash",
                 "KIND_LARGE", "-2  KIND_LARGE", "message.oneof", "can hold itself", "61440 bytes",
                 "shop.Desk/Place  takes it, returns shop.Answer"):
        expect(text in out, f"{text!r} is not in:\n{out}")
    expect(all(line == line.rstrip() for line in lines), "blanks at an end of a line")
    expect(max(map(len, lines)) < 160, "too wide")


def test_show_type_json():
    got = json.loads(weft("show", good_set(), "shop.Order", "--json").stdout)
    fields = {f["name"]: f for f in got["fields"]}
    expect([f["number"] for f in got["fields"]] == sorted(f["number"] for f in got["fields"]), "order")
    expect({n: f["presence"] for n, f in fields.items()} ==
          {"id": "implicit", "lines": "repeated", "kinds": "map", "price": "optional", "card": "oneof", "cash": "oneof",
           "note": "implicit", "link": "implicit", "parent": "optional", "kind": "implicit"}, fields)
    expect({r["rule_id"] for r in fields["id"]["rules"]} == {"string.min_len", "string.max_len"}, fields["id"])
    expect(all(r["message"] for f in got["fields"] for r in f["rules"]), "a rule says nothing")
    key = [r for r in fields["kinds"]["rules"] if r.get("about") == "key"]
    expect([r["rule"] for r in key] == ["map.keys.string.max_len"], fields["kinds"])
    expect(fields["kinds"]["enum"] == "shop.Kind" and fields["lines"]["message"] == "shop.Order.Line", fields)
    expect(got["enums"]["shop.Kind"][2] == {"name": "KIND_LARGE", "number": -2}, got["enums"])
    expect(got["nesting"] is None and got["limits"]["nesting"] == 32 and got["oneofs"] == ["pay"], got)
    expect([r["rule_id"] for r in got["rules"]] == ["message.oneof"], got["rules"])
    expect([m["name"] for m in got["methods"]] == ["shop.Desk/Place"], got["methods"])


def test_show_set():
    out = weft("show", good_set()).stdout
    expect("  shop.Order       " in out and "  shop.Desk/Place  shop.Order -> shop.Answer\n" in out, out)
    expect("google.protobuf and buf.validate (--all)" in out and "FieldRules" not in out, out)
    expect("buf.validate.FieldRules" in weft("show", good_set(), "--all").stdout, "--all")
    got = json.loads(weft("show", good_set(), "--json").stdout)
    expect({"shop.Order", "buf.validate.FieldRules"} <= {t["name"] for t in got["types"]}, got)
    weft("build", folder("old", SURPRISES), "-o", DIR / "old.binpb")
    out = weft("show", DIR / "old.binpb").stdout
    expect("old.Feed/Watch  old.Match -> old.Open  no subject: the server streams" in out, out)
    out = weft("show", DIR / "old.binpb", "old.Open").stdout
    expect("extension" in out and "returns it, takes old.Match; no subject" in out, out)


def test_show_what_cannot_be_used():
    src, out = folder("bad", ERRORS), DIR / "bad.binpb"
    subprocess.run(["protoc", f"--descriptor_set_out={out}", "--include_imports", f"-I{src}", f"-I{ROOT / 'schemas'}",
                    "bad.proto"], check=True)
    for kind in ("bad.Type", "bad.Holds"):
        got = weft("show", out, kind, status=1).stdout
        expect("CANNOT BE USED\n  bad.proto: bad." in got, got)
    expect("bad.Never" in json.loads(weft("show", out, "bad.Never", "--json", status=1).stdout)["error"], "error")
    expect("CANNOT BE USED" in weft("show", out).stdout, "list")


def test_show_cannot():
    good = good_set()
    expect('did you mean "shop.Order"?' in weft("show", good, "shop.Ordre", status=2).stderr, "near")
    expect("known are" in weft("show", good, "zzzzzzzz", status=2).stderr, "known")
    for args in ([], [DIR / "nowhere"], [DIR], [WEFT], [good, "a", "b"], ["/dev/zero"]):
        expect(weft("show", *args, status=2).stderr.strip(), f"{args}: nothing is said")


def test_dispatcher():
    expect("validate" in weft("--help").stdout and "build" in weft("--help").stdout, "help")
    expect('did you mean "build"?' in weft("biuld", status=2).stderr, "near")
    expect("Usage" in weft(status=2).stderr, "usage")
    for command in ("validate", "build", "show"):
        expect(f"Usage: weft schema {command}" in weft(command, "--help").stdout, command)


def main():
    if not WEFT.exists():
        return tap.skip_all(f"{WEFT} is not built")
    shutil.rmtree(DIR, ignore_errors=True)
    DIR.mkdir(parents=True)
    return tap.run(tap.named_tests(globals()))


if __name__ == "__main__":
    sys.exit(main())
