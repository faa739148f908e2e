#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft policy fmt` as a person or a hook meets it: what it writes, what --check says, what it refuses to touch. The layout
itself is fuzzed by tests/fuzz/fuzz_policy_fmt.c. Prints TAP."""
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
DIR = BUILD / "run" / "tests" / "policy_fmt"

MESSY = """# Policy of the hub.

# what it may send
send: # says
- message: [demo.Act,   # first
     demo.B]
  to: valve
  # rate: 3/s
# - to: other
#   message: x


- # odd
  to: [ a , b,c ]
  log:   true # yes
  method: "x.Y/Z"    # z
# the name
unikernel: hub   # its name
labels: { zone: plant , tier: "a, b" }   # where
mode: observe # why
receive:
  # nothing yet
deny: []\r
# the end"""
NEAT = """# Policy of the hub.

# the name
unikernel: hub                       # its name
mode: observe                        # why
labels: {zone: plant, tier: "a, b"}  # where

# what it may send
send:  # says
  - to: valve
    message:
      - demo.Act  # first
      - demo.B
    # rate: 3/s
  # - to: other
  #   message: x

  # odd
  - to: [a, b, c]
    method: "x.Y/Z"  # z
    log: true        # yes

receive:
  # nothing yet
deny: []
# the end
"""
COMMON = """assert:
- {never: a reaches b}   # no way
groups: {b: [a,label:zone=x], a: c}
schemas: [one.proto]
"""
COMMON_NEAT = """schemas: [one.proto]

groups:
  b: [a, label:zone=x]
  a: c

assert:
  - never: a reaches b
"""
CASES = """cases:
- expect: passed
  from: a
  name: it passes
  to: b
  json: '{"a": 1} # no comment'
  message: x.Y
"""
CASES_NEAT = """cases:
  - name: it passes
    from: a
    to: b
    message: x.Y
    json: '{"a": 1} # no comment'
    expect: passed
"""


def fmt(*args, status=0):
    p = subprocess.run([WEFT, "policy", "fmt", *args], capture_output=True, timeout=60, check=False)
    out, err = p.stdout.decode(), p.stderr.decode()
    expect(p.returncode == status, f"weft policy fmt {args}: exit status {p.returncode}, not {status}", out + err)
    return out, err


def folder(**files):
    shutil.rmtree(DIR, ignore_errors=True)
    DIR.mkdir(parents=True)
    for name, text in files.items():
        (DIR / (name.replace("__", ".") + ".yaml")).write_bytes(text.encode())
    return DIR


def test_lays_out_and_says_which():
    d = folder(hub=MESSY, neat=NEAT)
    out, _ = fmt(d)
    expect(out == f"{d}/hub.yaml\n", out)
    expect((d / "hub.yaml").read_text() == NEAT, (d / "hub.yaml").read_text())
    expect(fmt(d)[0] == "", "a second time something changes")


def test_the_other_kinds_of_files():
    d = folder(common=COMMON, some__test=CASES)
    fmt(d)
    got = (d / "common.yaml").read_text()
    expect(got == COMMON_NEAT.replace("  - never", "  # no way\n  - never"), got)
    got = (d / "some.test.yaml").read_text()
    expect(got == CASES_NEAT, got)
    expect(fmt(d / "common.yaml", d / "some.test.yaml", "--check")[0] == "", "not laid out")


def test_long_lists_get_lines_of_their_own():
    names = [f"unikernel-number-{i}" for i in range(9)]
    d = folder(a=f"unikernel: a\nsend:\n  - to: [{', '.join(names)}]\n    message: x.Y\n")
    fmt(d)
    got = (d / "a.yaml").read_text()
    expect("    to:\n".replace("    to", "  - to") in got and "      - unikernel-number-8\n" in got, got)
    d = folder(a="unikernel: a\nsend:\n  - to:\n      - b\n      - c\n    message: x.Y\n")
    fmt(d)
    expect("  - to: [b, c]\n" in (d / "a.yaml").read_text(), (d / "a.yaml").read_text())


def test_a_dash_that_is_a_value():
    """Between braces it may stand bare; at the end of a line it would begin a list."""
    d = folder(a="unikernel: a\nsend:\n- {to: -, message: x.Y}\n")
    fmt(d)
    got = (d / "a.yaml").read_text()
    expect("  - to: '-'\n    message: x.Y\n" in got, got)
    expect(fmt(d, "--check")[0] == "", "not laid out")


def test_check_writes_nothing():
    d = folder(hub=MESSY, neat=NEAT)
    before = (d / "hub.yaml").stat()
    out, err = fmt("--check", d, status=1)
    expect(out == f"{d}/hub.yaml\n" and "1 of 2 files" in err, out + err)
    after = (d / "hub.yaml").stat()
    expect((d / "hub.yaml").read_bytes() == MESSY.encode() and before.st_mtime_ns == after.st_mtime_ns and
           before.st_ino == after.st_ino, "--check wrote")
    fmt("--check", d / "neat.yaml")


def test_json():
    d = folder(hub=MESSY, neat=NEAT, bad="unikernel: bad\nsned: []\n")
    answer = json.loads(fmt("--check", "--json", d, status=2)[0])
    expect(answer["check"] and answer["files"] == 3 and answer["changed"] == [f"{d}/hub.yaml"], answer)
    error = answer["errors"][0]
    expect(error["file"] == f"{d}/bad.yaml" and error["line"] == 2 and "send" in error["text"], answer)


def test_what_the_reader_refuses_is_left_alone():
    for text, line, word in (("unikernel: a\nsned: []\n", 2, "send"), ("unikernel: a\nsend: &x []\n", 2, "anchor"),
                             ("unikernel: a\nsend:\n\t- to: b\n", 3, "tab"), ("send: []\n", 1, "unikernel"),
                             ("unikernel: a\nsend: [{to: b, message: x.Y, rate: {}}]\n", 2, "rate"), ("", 1, "empty"),
                             ("unikernel: a\nlabels: {z: [a]}\n", 2, "text")):
        d = folder(a=text, neat=NEAT)
        _, err = fmt(d, status=2)
        expect(f"{d}/a.yaml:{line}:" in err and word in err, err)
        expect((d / "a.yaml").read_text() == text, "it was written")


def test_mode_and_links_are_kept():
    d = folder(hub=MESSY)
    (d / "hub.yaml").chmod(0o640)
    (d / "link.yaml").symlink_to("hub.yaml")
    fmt(d / "link.yaml")
    expect((d / "link.yaml").is_symlink() and (d / "hub.yaml").read_text() == NEAT, "the link was replaced")
    expect((d / "hub.yaml").stat().st_mode & 0o777 == 0o640, oct((d / "hub.yaml").stat().st_mode))


def test_what_is_no_file():
    d = folder()
    for path in (d, d / "none.yaml"):
        _, err = fmt(path, status=2)
        expect(str(path) in err, err)
    os.mkfifo(d / "pipe.yaml")
    _, err = fmt(d / "pipe.yaml", status=2)
    expect("regular file" in err, err)
    fmt(status=2)


def test_what_may_not_be_written_stays():
    d = folder(hub=MESSY)
    was = (d / "hub.yaml").read_bytes()
    (d / "hub.yaml").chmod(0o440)
    owner = (1234, 1234) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(d / "hub.yaml", *owner)
    out, err = fmt(d / "hub.yaml", status=2)
    expect("cannot be written" in err and "hub.yaml" not in out and (d / "hub.yaml").read_bytes() == was, out, err)
    (d / "hub.yaml").chmod(0o640)
    fmt(d / "hub.yaml")
    s = (d / "hub.yaml").stat()
    expect((s.st_uid, s.st_gid, s.st_mode & 0o777) == (*owner, 0o640), str(s))
    expect((d / "hub.yaml").read_text() == NEAT, "it was not laid out")


def test_a_folder_that_cannot_be_written():
    if os.geteuid() == 0:
        raise tap.Skipped("root writes everywhere")
    d = folder(hub=MESSY)
    was = (d / "hub.yaml").read_bytes()
    d.chmod(0o500)
    try:
        _, err = fmt(d / "hub.yaml", status=2)
        expect("cannot be written" in err and (d / "hub.yaml").read_bytes() == was, err)
    finally:
        d.chmod(0o700)


def test_the_tree_is_laid_out():
    fmt("--check", ROOT / "unikernel" / "demo" / "policy")


if __name__ == "__main__":
    sys.exit(tap.run(tap.named_tests(dict(globals()))))
