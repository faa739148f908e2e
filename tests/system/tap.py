# SPDX-License-Identifier: BSD-2-Clause
"""Runs the test functions of a script one after another and prints TAP. What they ask of a fabric is in fabric.py."""
import time
import traceback


class Failed(Exception):
    """The test failed; the text says how."""


class Skipped(Exception):
    """The test cannot run here; the text says why."""


def expect(condition, text, more=""):
    if not condition:
        raise Failed(str(text) + ("\n" + more if more else ""))


def note(text):
    for line in text.splitlines():
        print("# " + line, flush=True)


def named_tests(names):
    """The functions test_... of a module's globals(), in their order there."""
    return [f for name, f in names.items() if name.startswith("test_")]


def run(tests):
    """Runs functions test_.... Returns the exit status."""
    print(f"1..{len(tests)}", flush=True)
    bad = 0
    for i, test in enumerate(tests, 1):
        name, start = test.__name__[5:].replace("_", " "), time.monotonic()
        try:
            test()
            print(f"ok {i} - {name}", flush=True)
        except Skipped as e:
            print(f"ok {i} - {name} # SKIP {e}", flush=True)
        except Exception as e:  # whatever it was, the next test runs
            bad += 1
            print(f"not ok {i} - {name}", flush=True)
            note(str(e) if isinstance(e, Failed) else traceback.format_exc())
        note(f"{time.monotonic() - start:.1f} s")
    return 1 if bad else 0


def skip_all(why):
    """What a script prints that cannot run at all. Returns the exit status."""
    print(f"1..0 # SKIP {why}")
    return 0
