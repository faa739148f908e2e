#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Detection rates: records real programs over loopback, asks nDPI alone and Weft's inspector about each payload, and prints the
tables of docs/detection.md. How the parts work: stage.py records, programs_*.py and attacks.py say what, evaluate.py adds up."""
import argparse
import os
import sys

sys.dont_write_bytecode = True
import attacks  # noqa: E402
import evaluate  # noqa: E402
import page  # noqa: E402
import program  # noqa: E402
import programs_data  # noqa: E402,F401
import programs_net  # noqa: E402,F401
import programs_web  # noqa: E402,F401


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--build", default=os.environ.get("BUILD", "build"), help="where dpi_payloads and weft-dpi are")
    args.add_argument("--short", action="store_true", help="only what `make test` records")
    args.add_argument("--cuts", type=int, default=50, help="ways to cut each payload into k pieces")
    args.add_argument("--inline", action="store_true", help="do not ask the isolated inspector as well")
    args.add_argument("--write", metavar="FILE", help="write the page here too")
    args.add_argument("--passed", action="store_true",
                      help="show the attacks that passed where their carrier is allowed")
    args.add_argument("only", nargs="*", metavar="NAME", help="only these programs and attacks: " +
                      " ".join(p.name for p in program.PROGRAMS + attacks.ATTACKS))
    a = args.parse_args()
    known = {p.name for p in program.PROGRAMS + attacks.ATTACKS}
    wrong = [n for n in a.only if n not in known]
    if wrong:
        args.error("no such program or attack: " + " ".join(wrong))
    worker = None if a.inline else os.path.join(a.build, "bin", "weft-dpi")
    programs, played = evaluate.record(a.short, a.only, lambda line: print(line, file=sys.stderr, flush=True))
    try:
        protocols, kinds, same = evaluate.evaluate(a.build, programs, played, a.cuts, worker)
    except evaluate.Undone as e:
        print(f"rates: {e}", file=sys.stderr)
        return 2
    text = page.page(protocols, kinds, same, a.cuts)
    print(text)
    if a.passed:
        for k in kinds:
            for data in k.passed:
                print(f"{k.kind}: {data[:200]!r}")
    bad = page.complaints(protocols, same)
    for line in bad:
        print("rates: " + line, file=sys.stderr)
    if a.write:
        if a.only or a.short:
            args.error("--write needs the whole run: leave out --short and names")
        with open(a.write, "w", encoding="utf-8") as f:
            f.write(text)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
