#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Detection rates, the short version of `make dpi-rates`: a few real programs over loopback and attacks by curl must be
recognised, whole and in pieces, and honest requests must pass. docs/detection.md must be about the protocols and attacks that
are recorded. Prints TAP."""
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "rates"), str(ROOT / "tests" / "system")]
import tap  # noqa: E402
from tap import Skipped, expect, note  # noqa: E402
import attacks  # noqa: E402
import evaluate  # noqa: E402
import page  # noqa: E402
import program  # noqa: E402
import rates  # noqa: E402,F401  brings all programs

BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
CUTS = 20
# At least so many percent: of payloads whole, and of those refused in pieces. SSH and TLS encrypt what follows their openings.
WHOLE = {"HTTP": 70, "TLS": 30, "SSH": 4, "DNS": 95}
IN_PIECES = 90
IN_PIECES_OF = {"TLS": 70}  # encrypted records are Viber, doubtful, when whole; thin evidence counts for nothing in pieces
# Attacks under a rule that lists HTTP; what is not here has no threshold.
OPEN = {"SQL injection in a URL": 90, "SQL injection in a form": 90, "Cross-site scripting in a URL": 90,
        "Cross-site scripting in a form": 90, "Log4j in the user agent": 90, "Log4j in other headers, URL and body": 90,
        "Path traversal in a parameter": 60, "Path traversal in the path": 90, "Shell command in a URL": 80,
        "Code and template injection in a URL": 80, "Server-side request forgery in a URL": 80, "Program or script in a response": 40}
HONEST = "none: honest requests"
HONEST_MAX = 4  # nDPI takes "c..d" in a path for a traversal
state = {}


def percent(rate):
    return 100 * rate.got / rate.of if rate.of else 0


def recorded():
    if not state:
        programs, played = evaluate.record(short=True, say=note)
        usable = [x for x in programs if not (x[2] or "").startswith("not installed")]
        state["absent"] = [f"{p.protocol}: {error}" for p, _, error in programs if (error or "").startswith("not installed")]
        state["protocols"], state["kinds"], state["same"] = evaluate.evaluate(
            str(BUILD), usable, played, CUTS, str(BUILD / "bin" / "weft-dpi"))
    return state


def test_programs_say_what_can_be_recorded():
    r = recorded()
    failed = [f for row in r["protocols"] for f in row.failed]
    expect(not failed, "; ".join(failed))
    if r["absent"]:
        raise Skipped("; ".join(r["absent"]))


def test_what_ndpi_recognises_alone_is_refused_and_isolated_answers_are_the_same():
    r = recorded()
    bad = page.complaints(r["protocols"], r["same"])
    expect(not bad, "\n".join(bad))
    expect(r["same"].of > 100, f"only {r['same'].of} payloads were asked about")


def test_every_dialogue_is_caught_at_its_first_payload():
    rows = recorded()["protocols"]
    if not rows:
        raise Skipped("none of the programs is here")
    for row in rows:
        expect(row.dialogues.of and row.first.got == row.first.of, f"{row.protocol}: {row.first.got} of {row.first.of} dialogues")


def test_payloads_whole_and_in_pieces():
    rows = recorded()["protocols"]
    if not rows:
        raise Skipped("none of the programs is here")
    for row in rows:
        pieces = ", ".join(f"in {k} {row.split[k]}" for k in evaluate.PIECES)
        note(f"{row.protocol}: {row.payloads} payloads, alone {row.alone}, whole {row.whole}, {pieces}")
        expect(percent(row.whole) >= WHOLE[row.protocol], f"{row.protocol}: {row.whole} whole")
        for k in ("2", "3", "5"):
            least = IN_PIECES_OF.get(row.protocol, IN_PIECES)
            expect(percent(row.split[k]) >= least, f"{row.protocol}: {row.split[k]} in {k} pieces")


def test_attacks():
    kinds = {row.kind: row for row in recorded()["kinds"]}
    if any(row.failed for row in kinds.values()):
        raise Skipped("; ".join(f for row in kinds.values() for f in row.failed))
    for row in kinds.values():
        note(f"{row.kind}: {row.samples} samples, closed {row.closed}, open {row.open}, in 2 {row.split_open['2']}")
        expect(row.samples >= 8, f"{row.kind}: {row.samples} samples")
        expect(row.closed.got == row.closed.of, f"{row.kind}: {row.closed} where HTTP is not listed")
    for kind, least in OPEN.items():
        row = kinds[kind]
        expect(percent(row.open) >= least, f"{kind}: {row.open} where HTTP is listed")
        expect(percent(row.split_open["2"]) >= IN_PIECES, f"{kind}: {row.split_open['2']} in two pieces")


def test_honest_requests_pass():
    row = next(row for row in recorded()["kinds"] if row.kind == HONEST)
    if row.failed:
        raise Skipped("; ".join(row.failed))
    expect(row.samples > 40 and percent(row.open) <= HONEST_MAX, f"refused {row.open}: {dict(row.why)}")


def test_the_page_is_about_what_is_recorded():
    text = (ROOT / "docs" / "detection.md").read_text(encoding="utf-8")
    parts = re.split(r"^## ", text, flags=re.M)
    # Behind the head of the table and the line below it.
    rows = {p.split("\n")[0]: re.findall(r"^\| ([^|]+) \|", p, flags=re.M)[1:] for p in parts}
    expect(set(rows.get("Protocols", ())) == {p.protocol for p in program.PROGRAMS}, f"protocols: {rows.get('Protocols')}")
    expect(set(rows.get("Attacks", ())) == {a.kind for a in attacks.ATTACKS}, f"attacks: {rows.get('Attacks')}")
    expect("Not recorded" not in text, "the page was made on a machine where something could not be recorded")


def test_what_programs_need_is_what_gets_installed():
    """`make` installs one list, `make dpi-rates` the other too; none names what nobody uses."""
    base, more = ({line.split("#")[0].strip() for line in (ROOT / ".ci" / name).read_text(encoding="utf-8").splitlines()} - {""}
                  for name in ("packages", "packages-rates"))
    used = {x for p in program.PROGRAMS + attacks.ATTACKS for x in p.packages}
    expect(more == used - base, f"missing {sorted(used - base - more)}, of no use {sorted(more - used)}, twice {sorted(more & base)}")


if __name__ == "__main__":
    sys.exit(tap.run(tap.named_tests(globals())))
