#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft schema validate` and what cannot be answered: damaged sets, unknown types, missing imports, sizes and depths beyond the
limits. Each is a sentence on stderr and exit status 2; only a message that breaks its schema is a 1. Prints TAP."""
import json
import os
import random
import subprocess
import sys
import tempfile

import tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEFT = os.path.join(ROOT, os.environ.get("BUILD", "build"), "bin", "weft")
tmp = tempfile.TemporaryDirectory()
FDSET = os.path.join(tmp.name, "set.binpb")


def weft(fdset, kind, message, *args):
    p = subprocess.run([WEFT, "schema", "validate", "--fdset", fdset, "--type", kind, *args, "-"], input=message,
                       capture_output=True, timeout=60)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def file_of(name, data):
    path = os.path.join(tmp.name, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def error(data, *words, kind="strict.All", name="bad.binpb"):
    """The set is refused: status 2, one line that holds the words, and the same with --json."""
    path = file_of(name, data)
    rc, out, err = weft(path, kind, b"")
    assert rc == 2 and not out, (rc, out, err)
    assert err.count("\n") == 1 and len(err) < 1000 and all(w in err for w in words), err
    rc, out, _ = weft(path, kind, b"", "--json")
    got = json.loads(out)
    assert rc == 2 and got["verdict"] == "error" and all(w in got["reason"] for w in words), (rc, out)


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def part(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(field, value):
    return varint(field << 3) + varint(value)


def the_set():
    with open(FDSET, "rb") as f:
        return f.read()


def test_not_a_set():
    error(b"", "empty")
    error(b"\xff" * 100, "FileDescriptorSet")
    error(b"syntax = \"proto3\";\n", "FileDescriptorSet", "protoc")
    rc, _, err = weft(tmp.name, "strict.All", b"")
    assert rc == 2 and tmp.name in err, (rc, err)
    rc, _, err = weft(os.path.join(tmp.name, "none"), "strict.All", b"")
    assert rc == 2 and "No such file" in err, (rc, err)


def test_cut_set():
    data = the_set()
    for n in list(range(1, len(data), 211)) + [len(data) - 1]:
        rc, _, err = weft(file_of("cut.binpb", data[:n]), "strict.All", b"")
        # a set that ends between two files is a shorter set, which lacks the type or an import
        assert rc == 2 and err.strip(), (n, rc, err)


def test_damaged_set():
    rng = random.Random(3)
    data = the_set()
    for _ in range(150):
        copy = bytearray(data)
        for _ in range(rng.randrange(1, 8)):
            copy[rng.randrange(len(copy))] = rng.randrange(256)
        rc, _, err = weft(file_of("damaged.binpb", bytes(copy)), "strict.All", b"")
        assert rc == 0 or (rc == 2 and err.strip()), (rc, err, copy.hex())


def test_unknown_type():
    for kind in ("strict.Nothing", "strict.Color", "strict.Keeper", ".strict.All", "strict", "x" * 600):
        rc, out, err = weft(FDSET, kind, b"")
        assert rc == 2 and not out and kind[:60] in err, (rc, out, err)
    field = part(2, part(1, b"a") + number(3, 1) + number(4, 1) + number(5, 11) + part(6, b".p.Gone"))
    error(part(1, part(1, b"a.proto") + part(2, b"p") + part(4, part(1, b"M") + field) + part(12, b"proto3")),
          "a.proto", "p.M.a", "not in the set")


def test_missing_import():
    with open(os.path.join(tmp.name, "user.proto"), "w", encoding="utf-8") as f:
        f.write('syntax = "proto3"; package user; import "strict.proto"; message M { strict.Inner inner = 1; }\n')
    path = os.path.join(tmp.name, "alone.binpb")
    subprocess.run(["protoc", "--descriptor_set_out=" + path, "-I" + tmp.name, "-I" + os.path.join(ROOT, "tests", "schemas"),
                    "user.proto"], check=True)
    with open(path, "rb") as f:
        error(f.read(), "user.proto", "strict.proto, which is not in the set", "--include_imports", kind="user.M")


def test_syntax():
    error(part(1, part(1, b"a.proto") + part(12, b"proto4")), "a.proto", "proto4", "not supported")
    error(part(1, part(1, b"a.proto") + part(12, b"editions")), "a.proto", "names no edition")
    error(part(1, part(1, b"a.proto") + part(12, b"editions") + number(14, 1002)), "edition 2026", "not supported")
    features = part(8, part(50, number(99, 1)))
    error(part(1, part(1, b"a.proto") + features + part(12, b"editions") + number(14, 1000)), "no feature with number 99")


def test_deep_set():
    for depth in (60, 10000):
        data = part(1, b"M")
        for _ in range(depth):
            data = part(1, b"M") + part(3, data)
        error(part(1, part(1, b"deep.proto") + part(4, data)), "too deep")


def test_large_set():
    path = os.path.join(tmp.name, "large.binpb")
    with open(path, "wb") as f:
        f.truncate((64 << 20) + 1)
    rc, _, err = weft(path, "strict.All", b"")
    assert rc == 2 and "64 MiB" in err, (rc, err)
    error(b"\x0a\x00" * (5 << 20), "four million parts")


def nested(levels):
    data = b""
    for _ in range(levels):
        data = part(3, data)
    return data


def test_deep_message():
    assert weft(FDSET, "strict.Inner", nested(32))[0] == 0
    for levels in (33, 200, 10000):
        rc, out, _ = weft(FDSET, "strict.Inner", nested(levels))
        assert rc == 1 and "depth" in out, (levels, rc, out)
    assert weft(FDSET, "strict.Inner", nested(100), "--conformant")[0] == 0
    rc, out, _ = weft(FDSET, "strict.Inner", nested(101), "--conformant")
    assert rc == 1 and "depth" in out, (rc, out)


def test_large_message():
    fits = part(14, bytes(61440 - 4))
    assert len(fits) == 61440
    assert weft(FDSET, "strict.All", fits)[0] == 0
    for message in (fits + b"\x08", part(14, bytes(10 << 20)), bytes(10_000_000)):
        for args in ((), ("--conformant",)):
            rc, out, err = weft(FDSET, "strict.All", message, *args)
            assert rc == 2 and not out and "larger than 61440 bytes" in err, (len(message), rc, out, err)
    line = json.dumps({"type": "strict.All", "hex": "00" * 10_000_000}).encode() + b"\n"
    p = subprocess.run([WEFT, "schema", "validate", "--fdset", FDSET, "--cases", "-"], input=line, capture_output=True,
                       timeout=60)
    got = json.loads(p.stdout)
    assert p.returncode == 0 and got["verdict"] == "error" and "larger" in got["reason"], (p.returncode, got["reason"])


def main():
    if not os.path.exists(WEFT):
        return tap.skip_all(WEFT + " is not built")
    subprocess.run(["protoc", "--descriptor_set_out=" + FDSET, "-I" + os.path.join(ROOT, "tests", "schemas"),
                    "strict.proto", "old.proto"], check=True)
    return tap.run(tap.named_tests(globals()))


if __name__ == "__main__":
    sys.exit(main())
