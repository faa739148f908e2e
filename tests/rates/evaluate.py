# SPDX-License-Identifier: BSD-2-Clause
"""What was recorded, held against nDPI alone and against Weft's inspector (tests/tools/dpi_payloads.c), added up."""
import collections
import json
import os
import subprocess
import tempfile

import attacks
import program
import stage

UNKNOWN = "unknown"
PIECES = ("2", "3", "5", "bytes")
SAMPLES_MAX = 150  # of one attack kind


class Undone(Exception):
    """The evaluation could not be made; the text says why."""


class Rate:
    """So many of so many."""

    def __init__(self, got=0, of=0):
        self.got, self.of = got, of

    def add(self, got, of=1):
        self.got, self.of = self.got + int(got), self.of + of

    def __str__(self):
        if not self.of:
            return "-"
        # Never rounded to what it is not.
        percent = 100 * self.got / self.of
        return f"{percent:.0f} %" if percent in (0, 100) else f"{min(max(percent, 0.1), 99.9):.1f} %"


class ProtocolRow:
    def __init__(self, p):
        self.protocol, self.programs, self.alone_programs, self.failed = p.protocol, [], False, []
        self.payloads, self.bytes = 0, 0
        self.alone, self.whole, self.named = Rate(), Rate(), Rate()
        self.lost = []          # payloads that nDPI alone recognises and the inspector lets through
        self.others = collections.Counter()  # names that are not the protocol's own
        self.split = {k: Rate() for k in PIECES}
        self.first, self.dialogues = Rate(), Rate()


class AttackRow:
    def __init__(self, a):
        self.kind, self.carriers, self.packages, self.note, self.failed = a.kind, a.carriers, a.packages, a.note, []
        self.samples, self.closed, self.open = 0, Rate(), Rate()
        self.split_closed, self.split_open = {k: Rate() for k in PIECES}, {k: Rate() for k in PIECES}
        self.why, self.passed = collections.Counter(), []


def record(short=False, only=(), say=print):
    """Plays every dialogue and attack. Two lists: (program, sessions or None, error) and the same of attacks."""
    stage.become_reaper()
    done = []
    for wanted in (program.PROGRAMS, attacks.ATTACKS):
        played = []
        for p in wanted:
            if (short and not p.short) or (only and p.name not in only):
                continue
            sessions, error = play(p)
            say(f"{p.name}: {error or '%d sessions' % len(sessions)}")
            played.append((p, sessions, error))
        done.append(played)
    return done


def play(p):
    missing = p.missing()
    if missing:
        return [], "not installed: " + " ".join(missing)
    try:
        with stage.Stage() as s:
            p.play(s)
        sessions = [x for x in s.sessions if x.segments]
        return sessions, None if sessions else "nothing was said"
    except (stage.Unable, OSError) as e:
        return [], str(e)


def ask(build, lines, cuts, worker):
    """The tool's answers to (allow, bytes) pairs, asking for each different one once; and how many were asked."""
    wanted = list(dict.fromkeys(lines))
    with tempfile.NamedTemporaryFile("w", suffix=".payloads") as f:
        for allow, data in wanted:
            f.write(f"{allow} {data.hex()}\n")
        f.flush()
        args = [os.path.join(build, "tests", "dpi_payloads"), "--cuts",
                str(cuts)] + (["--worker", worker] if worker else []) + [f.name]
        r = subprocess.run(args, capture_output=True, text=True, check=False, timeout=1500)
    said = r.stdout.splitlines()
    if r.returncode or len(said) != len(wanted):
        raise Undone(f"dpi_payloads ended with {r.returncode} after {len(said)} of {len(wanted)} payloads: {r.stderr.strip()}")
    return {pair: json.loads(line) for pair, line in zip(wanted, said)}


def refused(answer):
    return answer["answer"] != "clean"


def evaluate(build, programs, played, cuts=50, worker=None):
    """Rows of protocols, rows of attacks, and a Rate: how often the isolated inspector said what the inline one says."""
    lines = [(UNKNOWN, data) for _, sessions, _ in programs for x in sessions for _, data in x.segments]
    samples = {}
    for a, sessions, _ in played:
        samples[a.name] = list(dict.fromkeys(t for x in sessions for t in attacks.turns(x, a.side)))[:SAMPLES_MAX]
        for data in samples[a.name]:
            lines += [(UNKNOWN, data), (",".join(a.carriers + [UNKNOWN]), data)]
    answers = ask(build, lines, cuts, worker)
    same = Rate()
    for a in answers.values():
        if "isolated" in a:
            same.add(a["isolated"])
    return protocol_rows(programs, answers), attack_rows(played, samples, answers), same


def protocol_rows(programs, answers):
    rows, seen = {}, collections.defaultdict(set)
    for p, sessions, error in programs:
        row = rows.setdefault(p.protocol, ProtocolRow(p))
        row.programs += [x for x in p.packages if x not in row.programs]
        row.alone_programs |= p.alone
        if error:
            row.failed.append(f"{p.name}: {error}")
        for x in sessions:
            caught = [i for i, (_, data) in enumerate(x.segments) if refused(answers[UNKNOWN, data])]
            row.dialogues.add(bool(caught))
            row.first.add(caught[:1] == [0])
            for _, data in x.segments:
                if data not in seen[p.protocol]:
                    seen[p.protocol].add(data)
                    payload_add(row, p, x.transport, data, answers[UNKNOWN, data])
    return list(rows.values())


def payload_add(row, p, transport, data, a):
    alone = a[transport] or a["udp" if transport == "tcp" else "tcp"]
    row.payloads += 1
    row.bytes += len(data)
    row.alone.add(bool(alone))
    row.whole.add(refused(a))
    if alone and not refused(a):
        row.lost.append((alone, data))
    if not refused(a):
        return
    name = a["text"].split(",")[0].split(" over ")[0]
    row.named.add(p.right(name))
    if not p.right(name):
        row.others[name] += 1
    for k in PIECES:
        row.split[k].add(*a["split"][k])


def attack_rows(played, samples, answers):
    rows = {}
    for attack, _, error in played:
        row = rows.setdefault(attack.kind, AttackRow(attack))
        if error:
            row.failed.append(f"{attack.name}: {error}")
        for data in samples[attack.name]:
            row.samples += 1
            closed, opened = answers[UNKNOWN, data], answers[",".join(attack.carriers + [UNKNOWN]), data]
            row.closed.add(refused(closed))
            row.open.add(refused(opened))
            if refused(opened):
                row.why[opened["text"]] += 1
            else:
                row.passed.append(data)
            for k in PIECES:
                if refused(closed):
                    row.split_closed[k].add(*closed["split"][k])
                if refused(opened):
                    row.split_open[k].add(*opened["split"][k])
    return list(rows.values())
