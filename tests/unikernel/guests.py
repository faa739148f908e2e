# SPDX-License-Identifier: BSD-2-Clause
"""What the tests that boot guests share: where things were built, how a test fails, and TAP. Which guests there are and
what is asked of them is the tests' own."""
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
QEMU = shutil.which("qemu-system-x86_64")


class Failed(Exception):
    """The test failed; the text says how."""


def expect(condition, text, output=""):
    if not condition:
        raise Failed(text + ("\n" + output if output else ""))


def named_tests(names):
    """The functions test_... of a module's globals(), each with the name that it is shown under."""
    return [(name[5:].replace("_", " "), fn) for name, fn in names.items() if name.startswith("test_")]


def run(tests):
    """Runs (name, function) pairs, each in an empty folder of its own, and prints TAP. Returns the exit status."""
    if not QEMU:
        print("1..0 # SKIP qemu-system-x86_64 is not installed")
        return 0
    print(f"1..{len(tests)}")
    bad = 0
    for i, (name, fn) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix="weft-guest-") as folder:
            try:
                fn(pathlib.Path(folder))
                print(f"ok {i} - {name}", flush=True)
            except (Failed, subprocess.TimeoutExpired) as e:
                bad += 1
                print(f"not ok {i} - {name}")
                for line in str(e).splitlines():
                    print(f"# {line}", flush=True)
    return 1 if bad else 0
