#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each header compiles alone and twice over, with gcc and with clang; each source compiles with clang without a
warning, as it does with gcc when it is built. Prints TAP. Needs `make lint`, which writes the flags down."""
import glob
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tree import BUILD, ROOT, Tap, files, flags_of, parallel, text_of  # noqa: E402

SHOWN_PER_FILE = 6
# Ends of the bench's peers need these, which `make bench-peers` installs; without them their sources are not looked at.
PEERS = "bench/peers/"
PEER_LIBRARIES = ("mosquitto.h", "openssl/ssl.h", "zmq.h")


def compile_alone(compiler, path, text, source=None):
    """The first lines of what the compiler says, or nothing when it is content."""
    argv = [compiler, "-fsyntax-only", *flags_of(path, text), "-x", "c++" if path.endswith(".cc") else "c"]
    # A header's static functions have no callers yet.
    argv += ["-Wno-unused-function", "-"] if source else [path]
    p = subprocess.run(argv, cwd=ROOT, input=source, capture_output=True, text=True, check=False)
    if p.returncode == 0 and not p.stderr:
        return []
    lines = p.stderr.splitlines()[:SHOWN_PER_FILE] or ["exit status %d" % p.returncode]
    return ["%s with %s: %s" % (path, compiler, line) for line in lines]


def header(job):
    compiler, path = job
    return compile_alone(compiler, path, text_of(path), '#include "%s"\n#include "%s"\ntypedef int weft_not_empty;\n'
                         % (path, path))


def source(job):
    compiler, path = job
    return compile_alone(compiler, path, text_of(path))


def main():
    everything = files()
    headers = [p for p in everything if p.endswith(".h")]
    # C++ that tests and the bench hold against ours needs generated code; the library's own does not.
    sources = [p for p in everything if p.endswith(".c") or (p.endswith(".cc") and p.startswith("schemas/"))]
    if not all(glob.glob("/usr/include/" + h) + glob.glob("/usr/include/*/" + h) for h in PEER_LIBRARIES):
        sources = [p for p in sources if not p.startswith(PEERS)]
    tap = Tap(3)
    missing = [] if headers and sources else ["the tree has no sources"]
    missing += [c + " is not installed" for c in ("gcc", "clang") if not shutil.which(c)]
    if not os.path.exists(os.path.join(BUILD, "lint", "flags")):
        missing.append("the flags are not written down: run `make lint`")
    for name, what, jobs in (("%d headers compile alone with gcc" % len(headers), header, [("gcc", p) for p in headers]),
                             ("%d headers compile alone with clang" % len(headers), header,
                              [("clang", p) for p in headers]),
                             ("%d sources compile with clang" % len(sources), source,
                              [("clang", p) for p in sources])):
        tap.result(name, missing or sum(parallel(what, jobs), []))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
