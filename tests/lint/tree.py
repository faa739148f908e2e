# SPDX-License-Identifier: BSD-2-Clause
"""What the lint programs share: where the tree is, which files are in it, and TAP. Leaves every rule to them."""
import os
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
SKIPPED_FOLDERS = {".git", "__pycache__"}
# Bytes for fuzzers and files that are broken on purpose keep none of the rules.
DATA = ("tests/fuzz/corpus/", "tests/fabric/broken/", "tests/policy/broken/", "tests/schemas/broken/")
SHOWN = 40


def files():
    """Every file of ours, as sorted paths from the top of the tree. What was built is not ours."""
    found = []
    for folder, below, names in os.walk(ROOT):
        below[:] = sorted(d for d in below if d not in SKIPPED_FOLDERS and not is_built(os.path.join(folder, d)))
        found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names]
    return sorted(f for f in found if not f.startswith(DATA) and not os.path.islink(os.path.join(ROOT, f))
                  and os.path.isfile(os.path.join(ROOT, f)))


def is_built(folder):
    """A build folder, wherever BUILD put it, has the generated configuration in it."""
    return os.path.exists(os.path.join(folder, "config.mk")) or os.path.samefile(folder, BUILD) \
        if os.path.exists(BUILD) else folder == BUILD


def text_of(path):
    """The file's text, or None when it is not text."""
    with open(os.path.join(ROOT, path), "rb") as f:
        raw = f.read()
    if b"\0" in raw:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


class Tap:
    """Prints a plan and one line per check, with what was wrong below it; exits as the results say."""

    def __init__(self, count):
        self.number, self.count, self.bad = 0, count, 0
        print("1..%d" % count)

    def result(self, name, wrong, skip=None):
        """wrong is a list of lines, empty for a pass; skip is why it could not be checked."""
        self.number += 1
        print("%sok %d - %s%s" % ("not " if wrong else "", self.number, name, " # SKIP " + skip if skip else ""))
        self.bad += bool(wrong)
        for line in wrong[:SHOWN]:
            print("# " + line)
        if len(wrong) > SHOWN:
            print("# and %d more" % (len(wrong) - SHOWN))
        sys.stdout.flush()

    def end(self):
        return 1 if self.bad or self.number != self.count else 0


def flags_of(path, text):
    """The compiler's flags for one source or header, as `make` wrote them down."""
    kinds = {}
    with open(os.path.join(BUILD, "lint", "flags"), encoding="utf-8") as f:
        for line in f:
            kind, _, rest = line.strip().partition(" ")
            kinds[kind] = rest.split()
    if path.endswith(".cc"):
        return kinds["cxx"]
    # Tests are told where the build is, as a string; the quotes do not survive a file.
    flags = [f if f != "-DBUILD_DIR=BUILD" else '-DBUILD_DIR="build"' for f in kinds["all"]]
    if "<rte_" in text:
        flags += kinds["dpdk"]
    if path == "unikernel/apic.c":
        flags.append("-mgeneral-regs-only")  # holds an interrupt handler
    return flags


def parallel(function, items):
    """function(item) for each, as many at a time as there are processors; results in order."""
    with ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)))) as pool:
        return list(pool.map(function, items))
