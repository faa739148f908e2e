# SPDX-License-Identifier: BSD-2-Clause
"""What the system tests share: a fabric in a folder of its own below BUILD/run/tests, its process endpoints, its
numbers. Everything has a deadline, and nothing that was started outlives the block that started it."""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import tap
from tap import Failed, Skipped, expect, note  # all of them for who imports from here

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
ITEM, PING = "weft.soak.Item", "weft.soak.Echo/Ping"


def wait_for(what, condition, seconds, step=0.02):
    """The first true value of condition(). Fails at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(step)


# --- processes ------------------------------------------------------------------------------------------------------

def stat_fields(pid):
    """/proc/PID/stat from its third field on, or None."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def alive(pid):
    f = stat_fields(pid)
    return f is not None and f[0] != "Z"


@contextlib.contextmanager
def stopped(pid):
    """For as long as the block runs, no thread of the process does."""
    def every_thread():
        return all(stat_fields(f"{pid}/task/{t}")[0] == "T" for t in os.listdir(f"/proc/{pid}/task"))

    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(f"process {pid} to stop", every_thread, 5, 0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def cpu_seconds(pid):
    f = stat_fields(pid)
    expect(f is not None, f"process {pid} is gone")
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def started_at(pid):
    """When a process started, in seconds of CLOCK_MONOTONIC; exact to a clock tick, ten milliseconds."""
    f = stat_fields(pid)
    expect(f is not None, f"process {pid} is gone")
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return int(f[19]) / os.sysconf("SC_CLK_TCK") - since_boot


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Family:
    """All processes that descend from one that is started with `env`, whoever their parents are now."""

    def __init__(self, name):
        value = f"{name}-{os.getpid()}"
        self.env = {**os.environ, "WEFT_TEST_FAMILY": value}
        self.mark = b"WEFT_TEST_FAMILY=" + value.encode()

    def commands(self):
        found = []
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark in (p / "environ").read_bytes().split(b"\0"):
                    found.append((p / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:120])
        return found

    def gone(self, seconds):
        """Fails where one is left at the deadline."""
        with contextlib.suppress(Failed):
            wait_for("", lambda: not self.commands(), seconds, 0.1)
        left = self.commands()
        expect(not left, "still there: " + "; ".join(left))


class Soak:
    """build/tests/soak as an endpoint; its lines are JSON events in a file, the last one a summary."""

    def __init__(self, fabric, name, args):
        self.name = name
        self.path = fabric.folder / f"{name}.out"
        self.errors = fabric.folder / f"{name}.err"
        command = [BUILD / "tests" / "soak", "--launch", fabric.run / f"{name}.launch", "--socket",
                   fabric.run / f"{name}.sock", *map(str, args)]
        with open(self.path, "wb") as out, open(self.errors, "wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def events(self, kind=None):
        found = [json.loads(line) for line in self.path.read_text().splitlines(True) if line.endswith("\n")]
        return [e for e in found if kind in (None, e["event"])]

    def wait_up(self, times=1, seconds=10):
        """Waits for the times-th session; returns when it came up."""
        wait_for(f"{self.name}'s session {times}", lambda: self.process.poll() is not None or
                 len(self.events("up")) >= times, seconds)
        expect(self.process.poll() is None, f"{self.name} ended", self.errors.read_text())
        return self.events("up")[times - 1]["t"]

    def stop(self):
        self.process.send_signal(signal.SIGINT)

    def summary(self, seconds):
        """Waits for the end; returns the last line."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            last = self.events()[-1:]
            raise Failed(f"{self.name}: no end within {seconds} s; last: {last}") from None
        found = self.events("summary")
        expect(found, f"{self.name}: no summary, exit status {self.process.returncode}", self.errors.read_text())
        found[0]["status"] = self.process.returncode
        return found[0]


# --- a fabric -------------------------------------------------------------------------------------------------------

CARRIES = "carries: [unknown, doubtful]"  # soak's bytes look random


def policy(name, send=(), receive=()):
    """A policy file that lets soak's messages pass to and from the names given."""
    lines = [f"unikernel: {name}"]
    for key, word, peers in (("send", "to", send), ("receive", "from", receive)):
        if peers:
            lines.append(f"{key}:")
        for peer in peers:
            for subject in (f"message: {ITEM}", f"method: {PING}"):
                lines += [f"  - {word}: {peer}", f"    {subject}", f"    {CARRIES}"]
    return "\n".join(lines) + "\n"


class Fabric:
    """unikernels: name -> dict with `send` and `receive` (lists of names), `image` (a service) and `set` if it is a guest."""

    def __init__(self, name, unikernels, limits=None, settings=None):
        self.folder = BUILD / "run" / "tests" / name
        self.run = self.folder / "run"
        self.unikernels = unikernels
        self.limits = limits or {}
        self.settings = settings or {}  # other keys of fabric.yaml
        self.started = []

    def __enter__(self):
        if (self.folder / "fabric.yaml").exists():
            self.weft("down")  # what a killed run left
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "policy").mkdir(parents=True)
        lines = ["fabric: test", f"schemas: {BUILD / 'schemas' / 'demo.binpb'}", "policies: policy", "run_dir: run"]
        if self.limits:
            lines += ["limits:"] + [f"  {k}: {v}" for k, v in self.limits.items()]
        lines += [f"{k}: {v}" for k, v in self.settings.items()] + ["unikernels:"]
        for name, u in self.unikernels.items():
            lines.append(f"  - name: {name}")
            if "image" in u:
                lines.append(f"    image: {BUILD / 'images' / u['image']}.elf")
            if "worker" in u:
                lines.append(f"    worker: {u['worker']}")
            if "set" in u:
                lines.append("    set: { " + ", ".join(f"{k}: {v}" for k, v in u["set"].items()) + " }")
            (self.folder / "policy" / f"{name}.yaml").write_text(policy(name, u.get("send", ()), u.get("receive", ())))
        (self.folder / "fabric.yaml").write_text("\n".join(lines) + "\n")
        try:
            self.up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, *_):
        self.close()
        if kind is None:
            left = self.left()
            expect(not left, f"still there after weft down: {left}")

    def close(self):
        for p in self.started:
            if p.process.poll() is None:
                p.process.kill()
            p.process.wait(10)
        status, out = self.weft("down")
        if status != 0:
            note(f"weft down: status {status}\n{out}")

    def left(self):
        """Processes that name the folder: {pid: command line}."""
        found = {}
        for p in pathlib.Path("/proc").iterdir():
            try:
                text = (p / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace") \
                    if p.name.isdigit() and int(p.name) != os.getpid() else ""
            except OSError:
                continue
            if str(self.folder) + "/" in text and alive(int(p.name)):
                found[int(p.name)] = text
        return found

    def weft(self, *args, seconds=60):
        p = subprocess.run([BUILD / "bin" / "weft", *args, self.folder / "fabric.yaml"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False)
        return p.returncode, p.stdout

    def up(self):
        status, out = self.weft("up")
        expect(status == 0, f"weft up: status {status}", out)
        return out

    def soak(self, name, *args):
        s = Soak(self, name, args)
        self.started.append(s)
        return s

    def pid(self, name="weftd"):
        return int((self.run / f"{name}.pid").read_text().split()[0])

    def kill(self, name="weftd"):
        """SIGKILL, and waits until it is gone. Returns when that was."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        wait_for(f"the end of {name}", lambda: not alive(pid), 5, 0.001)
        return time.monotonic()

    def console(self, name):
        path = self.run / f"{name}.console"
        return path.read_text(errors="replace").replace("\r", "") if path.exists() else ""

    def log(self):
        return (self.run / "weftd.log").read_text(errors="replace")

    def stats(self):
        """weftd's numbers, or None while it does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(str(self.run / "control.sock"))
                s.sendall(b'{"cmd":"stats"}\n')
                with s.makefile("rb") as f:
                    return json.loads(f.readline())
        except (OSError, ValueError):
            return None

    def port(self, name):
        """One port's numbers, or an empty dict."""
        s = self.stats()
        return next((p for p in s["ports"] if p["name"] == name), {}) if s else {}


# --- TAP ------------------------------------------------------------------------------------------------------------

def have_guests(*images):
    """Says why tests with guests cannot run here, else None."""
    if not shutil.which("qemu-system-x86_64"):
        return "qemu-system-x86_64 is not installed"
    for i in images:
        if not (BUILD / "images" / f"{i}.elf").exists():
            return f"{i}.elf is not built"
    return None


def main(tests):
    """Runs functions test_...; names on the command line choose some."""
    global BUILD
    doc = sys.modules["__main__"].__doc__
    a = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--build", default=os.environ.get("BUILD", "build"), help="the build directory (default: build)")
    a.add_argument("test", nargs="*", help="names of tests; default: all")
    o = a.parse_args()
    BUILD = (ROOT / o.build).resolve()
    wrong = set(o.test) - {t.__name__[5:] for t in tests}
    if wrong:
        a.error("no such test: " + ", ".join(sorted(wrong)))
    if o.test:
        tests = [t for t in tests if t.__name__[5:] in o.test]
    missing = [p for p in ("bin/weft", "bin/weftd", "tests/soak", "schemas/demo.binpb") if not (BUILD / p).exists()]
    if missing:
        return tap.skip_all("not built: " + ", ".join(missing))
    # Whoever ends us by SIGTERM gets a clean fabric all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return tap.run(tests)
