#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The differential test, short: some hundred thousand changed messages without a finding, and enough of every answer among
them to mean something; then with differences planted, which it must find. `make differential` is the long one. Prints
TAP."""
import re
import subprocess
import sys

import fabric
from fabric import expect, note

COUNT = 200000
REASONS = ("truncated varint overlong tag wire_type unknown_field duplicate oneof utf8 enum range group depth required "
           "packed map").split()


def run(*args):
    p = subprocess.run([fabric.BUILD / "tests" / "differential", *args], cwd=fabric.ROOT, capture_output=True, text=True, check=False, timeout=500)
    return p.returncode, p.stdout, p.stderr


def test_no_finding():
    rc, out, err = run("--count", str(COUNT))
    expect(rc == 0, "a finding, or it could not run (%d)" % rc, (out + err)[:6000])
    note(out.splitlines()[-1])
    rows = [line.split() for line in out.split("\n\n")[0].splitlines()[1:]]
    expect(len(rows) >= 18, "types", out)
    for name, seen, _, changed, ruled, conformant in rows:
        expect(int(changed) >= int(seen) // 20, "too few changed messages of %s were accepted" % name, out)
        expect(int(ruled) >= int(seen) // 100, "too few messages of %s met the rules" % name, out)
        expect(int(changed) < int(conformant) < int(seen), "conformant mode took too many or too few of " + name, out)
    counts = dict(re.findall(r"([a-z0-9_]+) (\d+)", out.split("strict mode:")[1].splitlines()[0]))
    for reason in REASONS:
        expect(int(counts.get(reason, 0)) >= 20, "too few were refused as " + reason, out)


def test_same_seed_same_run():
    def body(seed):
        rc, out, _ = run("--count", "2000", "--seed", seed)
        expect(rc == 0, "a finding", out)
        return out.split("seed")[0]

    expect(body("7") == body("7"), "two runs with one seed differ")
    expect(body("7") != body("8"), "two seeds give the same run")


def test_planted_differences_are_found():
    found = set()
    for seed in range(1, 13):
        rc, out, _ = run("--count", "20000", "--seed", str(seed), "--plant")
        expect(rc == 1 and out.startswith("FINDING: "), "a planted difference was not found", out)
        found.add(re.match(r"FINDING: ([^:\n]*)", out).group(1))
    for what in ("C++ and protobuf-c read differently", "C++'s generated code and its reflection read differently"):
        expect(what in found, "no finding that " + what, "\n".join(sorted(found)))


if __name__ == "__main__":
    sys.exit(fabric.main([test_no_finding, test_same_seed_same_run, test_planted_differences_are_found]))
