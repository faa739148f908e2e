#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the demo fabric, shows what the fabric decides as it happens, and checks every decision.

What the camera tries, and which verdict each attempt must get, comes from the camera's own console (see camera.c);
what became of it comes from the fabric's decision log. Exit status 0 only if every attempt got exactly its verdict,
nothing else was refused, and everything that should have been delivered was: 1 if not, 2 if the demo could not run.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

ATTEMPTS_MIN = 12
UP_SECONDS = 20


class CannotRun(Exception):
    pass


class Screen:
    """Lines that stay, and on a terminal a footer below them that is drawn again in place, in one write."""

    def __init__(self, plain):
        # Narrower, and the footer's lines would wrap: then lines only.
        self.live = (not plain and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and
                     shutil.get_terminal_size().columns >= 60)
        self.colour = self.live and not os.environ.get("NO_COLOR")
        self.footer = []

    def width(self):
        return max(40, min(shutil.get_terminal_size((118, 24)).columns, 160))

    def paint(self, colour, text):
        codes = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "dim": 2, "bold": 1}
        return f"\x1b[{codes[colour]}m{text}\x1b[0m" if self.colour and text else text

    def show(self, lines=(), footer=()):
        """lines and footer are lists of (colour or None, text)."""
        width = self.width()
        if not self.live:
            footer = []
        if not lines and list(footer) == self.footer:
            return
        clear = "\x1b[K" if self.live else ""
        out = [f"\x1b[{len(self.footer)}A\r"] if self.footer else []
        out += [self.line(colour, text, width if self.live else 10000, clear) for colour, text in lines]
        out += [self.line(colour, text, width, clear) for colour, text in footer]
        if self.footer:
            out.append("\x1b[J")
        self.footer = list(footer)
        sys.stdout.write("".join(out))
        sys.stdout.flush()

    def line(self, colour, text, width, clear):
        if len(text) >= width:
            text = text[: width - 2] + "…"
        return (self.paint(colour, text) if colour else text) + clear + "\n"


class Follower:
    """New whole lines of a file that may not exist yet."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.rest = b""

    def lines(self):
        if self.file is None:
            try:
                self.file = open(self.path, "rb")
            except FileNotFoundError:
                return []
        self.rest += self.file.read()
        *whole, self.rest = self.rest.split(b"\n")
        return [w.decode("utf-8", "replace").rstrip("\r") for w in whole]

    def close(self):
        if self.file:
            self.file.close()


class Attempt:
    LINE = re.compile(r"attempt (\d+) (\S+) expect=(\S+) names=(\S*) find=(\S+) \| (.*)")

    def __init__(self, m):
        self.number, self.name, self.expect = int(m[1]), m[2], m[3]
        self.names, self.find, self.text = m[4], m[5], m[6]
        self.decisions = []
        self.told = None
        self.problem = None

    def ids(self):
        if self.find.startswith("id:"):
            n = int(self.find[3:])
            return range(n, n + 1)
        if self.find.startswith("ids:"):
            first, last = self.find[4:].split(",")[0].split("-")
            return range(int(first), int(last) + 1)
        return range(0)

    def at_least(self):
        m = re.search(r"at_least:(\d+)", self.find)
        return int(m[1]) if m else 1

    def takes(self, d):
        """Is this decision about this attempt? Called in the order of the decisions, attempts in order."""
        if d["from"] != "camera":
            return False
        if self.find.startswith("id"):
            return d["message_id"] in self.ids()
        frame = d.get("frame") or {}
        if self.find.startswith("port:"):
            return frame.get("src_port") == int(self.find[5:])
        if self.decisions or d["verdict"] != self.expect or d["message_id"]:
            return False
        if self.find == "frame":
            return not frame.get("src_port") and self.names.lower() in (frame.get("protocol") or "").lower()
        return self.find == "next"

    def judge(self):
        count = sum(d["count"] for d in self.decisions)
        if not count:
            self.problem = "the fabric has no decision on it"
            return
        for d in self.decisions:
            said = (d.get("detail") or "") + " " + ((d.get("frame") or {}).get("protocol") or "")
            if d["verdict"] != self.expect:
                self.problem = f"got {d['verdict']}"
            elif self.names and self.names.lower() not in said.lower():
                self.problem = f"the decision names \"{said.strip()}\", not {self.names}"
        if not self.find.startswith("ids") and count != 1:
            self.problem = f"decided {count} times"
        if count < self.at_least():
            self.problem = f"refused {count} times, should be at least {self.at_least()}"
        if self.problem is None and self.find.startswith("id") and self.told != self.expect:
            self.problem = f"the camera was told {self.told or 'nothing'}"


class Demo:
    def __init__(self, args):
        self.fabric = pathlib.Path(args.fabric).resolve()
        self.bin = pathlib.Path(args.build).resolve() / "bin" / "weft"
        self.run = pathlib.Path(args.run or pathlib.Path(args.build) / "run" / "demo").resolve()
        self.end = time.monotonic() + args.deadline
        self.start = time.monotonic()
        self.screen = Screen(args.plain)
        self.names = ("valve", "hub", "meter", "camera")
        self.consoles = {n: Follower(self.run / f"{n}.console") for n in self.names}
        self.log = Follower(self.run / "decisions.jsonl")
        self.passed, self.refused = [], []
        self.talks = {}       # (from, to, subject, kind) -> [delivered, refused]
        self.attempts = []
        self.totals = {}      # who -> newest "total" or "done" line's numbers
        self.failures = []
        self.up = None
        self.up_rest = b""
        self.started = False
        self.summary_at = 0.0

    # --- running things ---

    def weft(self, *args, timeout):
        try:
            return subprocess.run([self.bin, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise CannotRun(f"weft {' '.join(map(str, args))}: no end after {timeout} s") from None

    def bring_up(self):
        if not self.bin.exists():
            raise CannotRun(f"{self.bin} does not exist; run `make demo`")
        if self.run.exists():
            self.bring_down()
            shutil.rmtree(self.run)
        self.started = True
        self.up = subprocess.Popen([self.bin, "up", self.fabric, "--wait", str(UP_SECONDS)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        os.set_blocking(self.up.stdout.fileno(), False)

    def bring_down(self):
        if self.up and self.up.poll() is None:
            self.up.terminate()
            try:
                self.up.wait(5)
            except subprocess.TimeoutExpired:
                self.up.kill()
                self.up.wait()
        r = self.weft("down", self.fabric, timeout=30)
        return r.returncode, (r.stdout + r.stderr).strip()

    # --- reading what happens ---

    def read_up(self):
        if not self.up or self.up.stdout.closed:
            return []
        data = self.up.stdout.read()
        if data:
            self.up_rest += data
        *whole, self.up_rest = self.up_rest.split(b"\n")
        out = [(None, "  " + re.sub(r"/\S*/\.\./\S*", lambda m: os.path.relpath(os.path.realpath(m[0])),
                                    w.decode("utf-8", "replace"))) for w in whole]
        code = self.up.poll()
        if code is not None and not data:
            self.up.stdout.close()
            if code:
                self.screen.show(out)
                raise CannotRun(f"weft up ended with status {code}")
        return out

    def read_consoles(self):
        out = []
        for who, f in self.consoles.items():
            for line in f.lines():
                m = Attempt.LINE.search(line)
                if m and who == "camera":
                    self.attempts.append(Attempt(m))
                    continue
                m = re.search(r"told (\d+) \S+ (\S+) rule=", line)
                if m and who == "camera":
                    for a in self.attempts:
                        if a.number == int(m[1]):
                            a.told = m[2]
                    continue
                m = re.search(r"\b(total|done) ((?:\w+=\S+ ?)+)", line)
                if m:
                    numbers = dict(p.split("=") for p in m[2].split())
                    self.totals.setdefault(who, {}).update(numbers, **({"done": "1"} if m[1] == "done" else {}))
                if line.startswith("failed: ") or "no timer left" in line or "uk: died" in line:
                    self.failures.append(f"{who}: {line}")
                    out.append(("red", self.stamp() + f"{who}: {line}"))
                m = re.match(r"act (\d+) for (\w+): (.*)", line)
                if m and who == "valve":
                    out.append(("cyan", self.stamp() + f"valve acts for {m[2]}, time {m[1]}: {m[3]}"))
        return out

    def read_log(self):
        out = []
        same = []             # refusals in a row that read the same
        for line in self.log.lines():
            d = json.loads(line)
            key = (d["from"] or "?", d["to"] or "-", d["subject"] or "", d.get("kind") or "")
            talk = self.talks.setdefault(key, [0, 0])
            if d["passed"]:
                self.passed.append(d)
                talk[0] += d["count"]
            else:
                self.refused.append(d)
                talk[1] += d["count"]
                text = self.sentence(d, 1)
                if same and same[-1][1] == text:
                    same[-1][2] += d["count"]
                else:
                    same.append([d, text, d["count"]])
        for d, _, count in same:
            out.append(("red" if d["from"] == "camera" else "yellow", self.stamp() + self.sentence(d, count)))
        return out

    def stamp(self):
        return f"{time.monotonic() - self.start:6.1f} s  "

    def sentence(self, d, count=None):
        frame = d.get("frame")
        layer = {"frame": "a frame", "ring": "a descriptor chain"}.get(d["verdict"].split("_")[0], "a record")
        what = f"{frame['protocol']} frame" if frame else d["subject"] or layer
        to = d["to"] or (frame or {}).get("dst_ip") or "the fabric"
        count = d["count"] if count is None else count
        times = f" ({count} times)" if count > 1 else ""
        detail = f" [{d['detail']}]" if d["detail"] and not frame else ""
        return f"{d['from']} ─✗ {to}  {what}: {d['verdict']}{detail}{times}{self.rule(d, '  ')}"

    def rule(self, d, lead=""):
        r = d.get("rule")
        if not r:
            return ""
        path = pathlib.Path(r.get("file", "?"))
        try:
            path = path.resolve().relative_to(self.fabric.parent)
        except ValueError:
            pass
        return f"{lead}{path}:{r.get('line', '?')}" + (f" ({r['reason']})" if r.get("reason") else "")

    # --- showing it ---

    def footer(self):
        out = [("dim", "─" * (self.screen.width() - 1))]
        for (src, dst, subject, kind), (ok, no) in sorted(self.talks.items()):
            if ok:
                what = subject + (" (reply)" if kind == "reply" else "")
                out.append(("green", f"  {src:<7}──▶ {dst:<7} {what:<24}{ok:6} delivered" +
                            (f"{no:5} refused" if no else "")))
        out.append(("bold", f"  {sum(d['count'] for d in self.passed)} delivered, "
                    f"{sum(d['count'] for d in self.refused)} refused, {len(self.attempts)} attempts by the camera"))
        return out

    def turn(self):
        # Consoles first: an attempt is announced before its decision is looked at.
        lines = self.read_up() + self.read_consoles() + self.read_log()
        if not self.screen.live and time.monotonic() > self.summary_at:
            self.summary_at = time.monotonic() + 3
            if self.passed:
                lines.append((None, self.stamp() + ", ".join(
                    f"{s}→{t} {subject}{' (reply)' if kind == 'reply' else ''} {ok}"
                    for (s, t, subject, kind), (ok, _) in sorted(self.talks.items()) if ok)))
        self.screen.show(lines, self.footer())

    # --- judging it ---

    def number(self, who, key):
        try:
            return int(self.totals.get(who, {}).get(key, -1))
        except ValueError:
            return -1

    def camera_sent(self, what):
        return self.number("camera", what) - self.number("camera", what + "_refused")

    def finished(self):
        return (self.number("meter", "done") == 1 and self.number("camera", "done") == 1 and
                self.number("hub", "readings") >= self.number("meter", "sent") and
                self.number("hub", "acted") == self.number("hub", "asked") and
                all(self.number("hub", w) >= self.camera_sent(w) for w in ("events", "frames", "pages")))

    def check(self, stats):
        """What is wrong, as a list of sentences."""
        wrong = list(self.failures)
        early = 0
        for d in self.refused:
            owner = next((a for a in self.attempts if a.takes(d)), None)
            if owner:
                owner.decisions.append(d)
            elif d["verdict"] == "peer_down" and d["from"] in ("meter", "hub"):
                early += d["count"]
            else:
                wrong.append("refused, but nobody tried anything: " + self.sentence(d))
        for a in self.attempts:
            a.judge()
            if a.problem:
                wrong.append(f"attempt {a.number} ({a.text}): expected {a.expect}, but {a.problem}")
        if early:
            self.screen.show([("yellow", f"  {early} messages came before their receiver was up and were sent again")])

        def equal(what, a, b):
            if a != b or a < 0:
                wrong.append(f"{what}: {a} and {b}")
        if len(self.attempts) < ATTEMPTS_MIN:
            wrong.append(f"the camera made {len(self.attempts)} attempts, at least {ATTEMPTS_MIN} were to be seen")
        equal("attempts announced and made", len(self.attempts), self.number("camera", "attempts"))
        equal("readings sent and taken in order", self.number("meter", "sent"), self.number("hub", "readings"))
        equal("the first reading was taken", self.number("hub", "first"), 1)
        equal("the last reading was taken", self.number("hub", "last"), 1)
        equal("orders given and carried out", self.number("hub", "asked"), self.number("valve", "acts"))
        equal("orders given and confirmed", self.number("hub", "asked"), self.number("hub", "acted"))
        if self.number("hub", "asked") < 2:
            wrong.append("the hub never had the valve opened and closed")
        for what in ("events", "frames", "pages"):
            equal(f"{what} sent in good faith and taken", self.camera_sent(what), self.number("hub", what))
        equal("messages that the hub could not read", self.number("hub", "bad"), 0)
        delivered = sum(d["count"] for d in self.passed)
        refused = sum(d["count"] for d in self.refused)
        equal("delivered, by decisions and by the ports' counters", delivered,
              sum(p["messages_delivered"] for p in stats["ports"]))
        equal("refused, by decisions and by the ports' counters", refused,
              sum(n for p in stats["ports"] for v, n in p["verdicts"].items() if v not in ("passed", "undecided")))
        return wrong, delivered, refused

    def table(self):
        out = [(None, ""), ("bold", "What the camera tried")]
        width = self.screen.width()
        room = max(24, min(43, width - 62))
        out.append(("dim", f"  {'#':>3}  {'attempt':<{room}} {'verdict':<21} {'what was found, and the rule'}"))
        for a in self.attempts:
            d = a.decisions[0] if a.decisions else None
            verdict = d["verdict"] if d else "none"
            count = sum(x["count"] for x in a.decisions)
            found = ((d.get("frame") or {}).get("protocol") or d["detail"]) if d else ""
            where = self.rule(d) if d else ""
            why = "  ".join(x for x in (found, f"×{count}" if count > 1 else "", where) if x) or "always refused"
            text = a.text if len(a.text) <= room else a.text[: room - 1] + "…"
            out.append(("red" if a.problem else None,
                        f"{'✗' if a.problem else '✓':>2}{a.number:>3}  {text:<{room}} {verdict:<21} {why}"))
        out += [(None, ""), ("bold", "Who talked to whom")]
        for (src, dst, subject, kind), (ok, no) in sorted(self.talks.items()):
            if ok:
                out.append((None, f"     {src:<7} → {dst:<7} {subject + (' (reply)' if kind == 'reply' else ''):<26}"
                            f"{ok:6} delivered" + (f", {no} refused" if no else "")))
        out.append((None, ""))
        return out

    def go(self):
        self.screen.show([("bold", "Weft demo: four unikernels, one of them taken over"),
                          ("dim", "  meter reports to hub, hub orders the valve; the camera reports to hub, and attacks"),
                          (None, "")])
        self.bring_up()
        while not self.finished():
            if time.monotonic() > self.end:
                self.failures.append(f"not finished in time; numbers so far: {self.totals}")
                break
            if any("uk: died" in f for f in self.failures):
                break
            self.turn()
            time.sleep(0.1)
        time.sleep(0.5)  # the hub's and the writer's last lines
        self.turn()
        r = self.weft("stats", self.fabric, "--json", timeout=10)
        if r.returncode:
            raise CannotRun("weft stats: " + (r.stderr or r.stdout).strip())
        self.turn()
        stats = json.loads(r.stdout)
        wrong, delivered, refused = self.check(stats)
        code, text = self.bring_down()
        if code:
            wrong.append(f"weft down: status {code}: {text}")
        self.started = False
        self.screen.show(self.table())
        for w in wrong:
            self.screen.show([("red", "unexpected: " + w)])
        self.screen.show([("green" if not wrong else "red",
                           f"demo: {delivered} delivered, {refused} refused, {len(wrong)} unexpected")])
        return 1 if wrong else 0


def main():
    p = argparse.ArgumentParser(description="Runs the demo fabric and checks every decision.")
    p.add_argument("--build", default="build", help="where things were built (default: build)")
    p.add_argument("--fabric", default=str(pathlib.Path(__file__).with_name("fabric.yaml")))
    p.add_argument("--run", help="the fabric's run_dir, which is removed first (default: run/demo in the build folder)")
    p.add_argument("--deadline", type=float, default=55, help="seconds until the demo counts as failed (default: 55)")
    p.add_argument("--plain", action="store_true", help="lines only, as when the output is no terminal")
    demo = Demo(p.parse_args())

    def stop(signum, _frame):
        raise KeyboardInterrupt(signum)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    code = 2
    try:
        code = demo.go()
    except CannotRun as e:
        print(f"demo: cannot run: {e}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ndemo: stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # Nobody reads on. What is still buffered must not raise again when Python flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if demo.started:
            try:
                status, text = demo.bring_down()
                if status:
                    print(f"demo: weft down: {text}", file=sys.stderr)
            except CannotRun as e:
                print(f"demo: {e}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
