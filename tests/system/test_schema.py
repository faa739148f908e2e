#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft schema validate` as a person or a script meets it: exit status, text, JSON, cases. Prints TAP."""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEFT = os.path.join(ROOT, os.environ.get("BUILD", "build"), "bin", "weft")
VECTORS = os.path.join(ROOT, "..", "shared", "vectors", "protobuf-wire")
tmp = tempfile.TemporaryDirectory()
FDSET = os.path.join(tmp.name, "set.binpb")


def weft(*args, stdin=b""):
    p = subprocess.run([WEFT, "schema", "validate", *args], input=stdin, capture_output=True, timeout=120)
    return p.returncode, p.stdout, p.stderr.decode()


def one(hexa, *args, kind="strict.All"):
    return weft("--fdset", FDSET, "--type", kind, *args, "-", stdin=bytes.fromhex(hexa))


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
    body = b"\x72\x80\x80\x80\x05" + bytes(10 << 20)  # one bytes field of 10 MiB
    rc, out, _ = weft("--fdset", FDSET, "--type", "strict.All", "-", stdin=body)
    assert rc == 0 and b"accepted: 10485765 bytes" in out, out
    rc, _, err = weft("--fdset", FDSET, "--type", "strict.All", "-", stdin=bytes(140 << 20))
    assert rc == 2 and "larger than 64 MiB" in err, err


def test_errors():
    for args in ([], ["--fdset", FDSET], ["--fdset", FDSET, "--type", "strict.All"], ["--bogus"],
                 ["--fdset", FDSET, "--type", "a.B", "-"], ["--fdset", "/nowhere", "--type", "a.B", "-"],
                 ["--fdset", FDSET, "--type", "strict.All", "/nowhere"], ["--fdset", FDSET, "--cases", "/nowhere"],
                 ["--fdset", FDSET, "--cases", "-", "--type", "strict.All"], ["--fdset", WEFT, "--cases", "-"]):
        rc, _, err = weft(*args)
        assert rc == 2 and err, (args, rc, err)
    rc, out, _ = weft("--fdset", FDSET, "--type", "a.B", "--json", "-")
    assert rc == 2 and json.loads(out)["verdict"] == "error", out


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
    huge = b'{"type":"strict.All","hex":"' + b"0" * (30 << 20) + b'"}\n{"type":"strict.All","hex":""}\n'
    rc, got, _ = cases(huge)
    assert rc == 0 and [x["verdict"] for x in got] == ["reject", "accept"], [x["verdict"] for x in got]


def test_public_cases():
    if not os.path.isdir(VECTORS):
        return VECTORS + " is not here"
    for name in ("conformance", "hyperpb", "fuzz-proto3"):
        path = os.path.join(VECTORS, name + ".jsonl")
        rc, out, _ = weft("--conformant", "--fdset", os.path.join(VECTORS, name + "_fdset.binpb"), "--cases", path)
        with open(path, encoding="utf-8") as f:
            want = [json.loads(x) for x in f]
        got = [json.loads(x) for x in out.splitlines()]
        assert rc == 0 and len(want) == len(got)
        for w, g in zip(want, got):
            missing = g["verdict"] == "reject" and g["reason"] == "required"
            assert w["verdict"] == ("missing_required" if missing else g["verdict"]), (w, g)
            assert w["hex"] == g["hex"] and set(w) <= set(g)
    return None


def main():
    tests = [(n, f) for n, f in sorted(globals().items()) if n.startswith("test_")]
    if not os.path.exists(WEFT):
        print("1..0 # SKIP " + WEFT + " is not built")
        return 0
    subprocess.run(["protoc", "--descriptor_set_out=" + FDSET, "-I" + os.path.join(ROOT, "tests", "schemas"),
                    "strict.proto", "old.proto"], check=True)
    print("1..%d" % len(tests), flush=True)
    bad = 0
    for i, (name, test) in enumerate(tests, 1):
        try:
            skip = test()
            print("ok %d - %s%s" % (i, name, " # SKIP " + skip if skip else ""), flush=True)
        except (AssertionError, ValueError, KeyError, IndexError, subprocess.SubprocessError) as e:
            bad += 1
            print("not ok %d - %s\n# %r" % (i, name, e), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
