#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""docs/services.md as a test: the files that it shows are built by `make service`, run as unikernels and as a process, and do
what the page says; and what goes wrong while building says what would be right. Prints TAP."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
WEFT = (ROOT / BUILD / "bin" / "weft").resolve()
DIR = (ROOT / BUILD / "run" / "tests" / "service").resolve()
PAGE = ROOT / "docs" / "services.md"
FILE = re.compile(r"^```(?:proto|c|yaml)\n(?://|#|/\*) (\S+?)(?: \*/)?\n(.*?)^```$", re.M | re.S)


class Failed(Exception):
    """What was not as it should be."""


def expect(condition, text, output=""):
    if not condition:
        raise Failed(text + ("\n" + output if output else ""))


def make(folder, status=0):
    p = subprocess.run(["make", "-C", ROOT, f"BUILD={BUILD}", "service", f"DIR={folder}"], capture_output=True, text=True,
                       check=False, timeout=600)
    expect((p.returncode != 0) == (status != 0), f"make ended with {p.returncode}", p.stdout + p.stderr)
    return p.stdout + p.stderr


def weft(*args, status=0):
    p = subprocess.run([WEFT, *args], cwd=DIR, capture_output=True, text=True, check=False, timeout=60)
    expect(p.returncode == status, f"weft {args} ended with {p.returncode}", p.stdout + p.stderr)
    return p.stdout + p.stderr


def wait_for(what, path, text, seconds=15):
    end = time.monotonic() + seconds
    got = ""
    while time.monotonic() < end:
        got = path.read_text(errors="replace") if path.exists() else ""
        if re.search(text, got):
            return got
        time.sleep(0.1)
    raise Failed(f"{what}: no {text!r} in {path.name} after {seconds} s\n{got}")


def the_page_builds():
    names = [name for name, _ in FILE.findall(PAGE.read_text())]
    expect(set(names) == {"bank.proto", "ledger.c", "teller.c", "policy/teller.yaml", "policy/ledger.yaml", "fabric.yaml"},
           f"the page shows {names}")
    shutil.rmtree(DIR, ignore_errors=True)
    for name, text in FILE.findall(PAGE.read_text()):
        path = DIR / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    out = make(DIR)
    expect("warning" not in out, "the compiler warns", out)
    for made in ("schemas.binpb", "images/ledger.elf", "images/teller.elf", "services/ledger", "services/teller"):
        expect((DIR / "build" / made).is_file(), f"build/{made} was not made", out)
    expect(not list(DIR.rglob("*.part")), "half-made files stay")
    expect(sorted(p.name for p in DIR.iterdir()) ==
           ["bank.proto", "build", "fabric.yaml", "ledger.c", "policy", "teller.c"], "something was written outside build/")


def a_change_is_noticed():
    made = DIR / "build" / "images" / "teller.elf"
    make(DIR)
    before = made.stat().st_mtime_ns
    make(DIR)
    expect(made.stat().st_mtime_ns == before, "the image is made again for nothing")
    proto = DIR / "bank.proto"
    text = proto.read_text().replace("package bank;", 'package bank;\nimport "google/protobuf/timestamp.proto";')
    proto.write_text(text + "message Later { google.protobuf.Timestamp at = 1; }\n")
    make(DIR)
    expect(made.stat().st_mtime_ns != before, "the image is not made again for a new .proto")
    expect(b"Later" in (DIR / "build" / "schemas.binpb").read_bytes(), "the schema set is the old one")


def common_and_more_files():
    (DIR / "common").mkdir()
    (DIR / "common" / "sum.c").write_text("int shared_sum(int a, int b);\nint shared_sum(int a, int b) { return a + b; }\n")
    (DIR / "adder").mkdir()
    (DIR / "adder" / "part.c").write_text("int part(void);\nint part(void) { return 41; }\n")
    (DIR / "adder.c").write_text('#include "unikernel/service.h"\nint shared_sum(int a, int b);\nint part(void);\n'
                                 "int service_start(struct weft *w) { (void)w; return shared_sum(part(), 1) - 42; }\n")
    make(DIR)
    expect((DIR / "build" / "images" / "adder.elf").is_file(), "adder.elf was not made")


def mistakes_are_explained():
    empty = DIR / "empty"
    empty.mkdir()
    for folder, text in ((DIR / "nowhere", "no such folder"), (empty, "service_start"), ("", "DIR=FOLDER"),
                         ("a b", "without blanks")):
        out = make(folder, 2)
        expect(text in out, f"{text!r} is missing", out)
    (empty / "mute.c").write_text('#include "unikernel/service.h"\n')
    expect(".proto" in make(empty, 2), "a folder without .proto is not explained")
    (empty / "mute.proto").write_text('syntax = "proto3";\nmessage Mute {}\n')
    expect("service_start" in make(empty, 2), "a service without service_start() is not explained")


def it_runs_as_the_page_says():
    weft("up")
    ledger = wait_for("entries", DIR / "run" / "ledger.console", r"(?s)teller books 100 on 4711.*books")
    expect("uk: died" not in ledger, "the ledger died", ledger)
    wait_for("the balance", DIR / "run" / "teller.console", r"balance 100 after 1 entries")
    wait_for("the rule", DIR / "run" / "teller.console", r"refused: schema_rule, account.*string\.min_len.* \(rule \d+\)")
    told = wait_for("the refusal", DIR / "run" / "teller.console", r"refused: content_forbidden, SSH in receipt \(rule \d+\)")
    rule = re.search(r"\(rule (\d+)\)", told).group(1)
    line = re.compile(r'"verdict":"content_forbidden".*"rule":{"id":%s,"file":"policy/teller.yaml","line":3,' % rule)
    wait_for("the record", DIR / "run" / "decisions.jsonl", line)


def changed_policy_is_not_taken_for_live():
    path = DIR / "policy" / "ledger.yaml"
    path.write_text(path.read_text() + "    rate: 5/s\n")
    out = weft("up")
    expect("policy holds other policies than are in force: `weft policy apply`" in out and "all up" in out,
           "no word about it", out)
    out = weft("policy", "apply")
    expect("epoch 2 is in force" in out, "it is not applied", out)
    out = weft("up")
    expect("in force:" not in out, "a word too much", out)
    weft("down")


def it_runs_as_a_process():
    text = (DIR / "fabric.yaml").read_text()
    (DIR / "fabric.yaml").write_text(text.replace("    image: build/images/teller.elf\n", ""))
    out = weft("up")
    args = re.search(r"teller is a process endpoint; it joins by: SERVICE (--launch \S+ --socket \S+)", out)
    expect(args, "how it joins is not said", out)
    log = DIR / "teller.out"
    with log.open("w") as f, subprocess.Popen([DIR / "build" / "services" / "teller", *args.group(1).split()], cwd=DIR,
                                              stdout=f, stderr=subprocess.STDOUT) as p:
        try:
            wait_for("the refusal", log, r"refused: content_forbidden, SSH in receipt")
            weft("ps")
        finally:
            p.kill()
    end = time.monotonic() + 5  # until weftd has seen that it is gone
    while time.monotonic() < end and subprocess.run([WEFT, "ps"], cwd=DIR, capture_output=True, check=False).returncode == 0:
        time.sleep(0.1)
    weft("ps", status=1)
    weft("down")


TESTS = [the_page_builds, a_change_is_noticed, common_and_more_files, mistakes_are_explained, it_runs_as_the_page_says,
         changed_policy_is_not_taken_for_live, it_runs_as_a_process]


def main():
    print(f"1..{len(TESTS)}")
    if not shutil.which("qemu-system-x86_64") or " " in str(DIR):
        why = "the build folder's path has blanks" if " " in str(DIR) else "no qemu-system-x86_64"
        for n, test in enumerate(TESTS, 1):
            print(f"ok {n} - {test.__name__} # SKIP {why}")
        return 0
    failed = 0
    for n, test in enumerate(TESTS, 1):
        try:
            test()
            print(f"ok {n} - {test.__name__}", flush=True)
        except (Failed, subprocess.SubprocessError, OSError) as e:
            failed += 1
            print(f"not ok {n} - {test.__name__}", *("# " + line for line in str(e).splitlines()), sep="\n", flush=True)
    if WEFT.exists() and (DIR / "fabric.yaml").exists():
        subprocess.run([WEFT, "down"], cwd=DIR, capture_output=True, check=False, timeout=60)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
