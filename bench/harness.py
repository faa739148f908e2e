# SPDX-License-Identifier: BSD-2-Clause
"""What the programs of the benchmark share: a real weftd of any size on a core of its own, the load on another, one run of the
whole road held against the fabric's own counters, results and their file, facts about the machine. What is measured, how often
and in which turns is bench/run.py's and bench/run_peers.py's."""
import contextlib
import ctypes
import json
import os
import pathlib
import platform
import re
import secrets
import select
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
STAGES = ["take", "session", "route", "admit", "validate", "judge", "inspect", "decide", "deliver"]
STARTUP_SECONDS = 60
PR_SET_PDEATHSIG = 1
ORDER_SECONDS = 120  # for one order to the load


class Failed(Exception):
    """The benchmark could not be run, or its figures do not agree with each other."""


def expect(condition, text):
    if not condition:
        raise Failed(text)


def cores(core=None, load_core=None):
    """The fabric's (or a server's) core and the load's: the first and the last that may be used. None where there is but one."""
    may = sorted(os.sched_getaffinity(0))
    core = may[0] if core is None else core
    load_core = may[-1] if load_core is None else load_core
    return None if core == load_core else (core, load_core)


def pinned(core=None):
    """For Popen's preexec_fn: the process stays on that core, and ends with the thread that starts it, however that ends."""
    def prepare():
        if core is not None:
            os.sched_setaffinity(0, {core})
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    return prepare


def pair_names(n):
    """Names of n pairs of endpoints: sender and receiver, sender-2 and receiver-2, and so on. Ports are numbered in this order."""
    return [(role if i == 1 else "%s-%d" % (role, i)) for i in range(1, n + 1) for role in ("sender", "receiver")]


class Fabric:
    """weftd in a folder of its own, with a number of pairs, each of a sender that may talk to its receiver, and keys and policies
    for them. settings: more keys of fabric.yaml, or other values than bench/fabric.yaml's (poll, inspect, workers...). core: one,
    or what `weftd --cores` takes. Functions from a unikernel's name: worker, to the one that serves it, None: any; policy, to the
    text of its file, None: bench/policy's."""

    def __init__(self, build, folder, core, pairs=1, settings=None, worker=None, policy=None):
        self.build = build
        self.folder = folder
        self.pairs = pairs
        self.run_dir = folder / "run"
        self.config = folder / "fabric.yaml"
        self.policies = folder / "policy"
        self.process, self.log = None, None
        names = pair_names(pairs)
        entries = "".join("\n  - name: " + n + ("\n    worker: %d" % worker(n) if worker else "") for n in names)
        self.policies.mkdir()
        for name in names:
            if policy:
                (self.policies / (name + ".yaml")).write_text(policy(name))
            else:
                self.policy_write(self.policies, name)
        text = (BENCH / "fabric.yaml").read_text()
        for key, value in (settings or {}).items():
            text, n = re.subn(r"(?m)^%s:.*$" % re.escape(key), "%s: %s" % (key, value), text)
            if n == 0:
                text = text.replace("unikernels:", "%s: %s\nunikernels:" % (key, value))
        for key, value in (("schemas", build / "bench" / "bench.binpb"), ("run_dir", self.run_dir),
                           ("policies", self.policies), ("unikernels", entries)):
            text = text.replace("@%s@" % key, str(value))
        self.config.write_text(text)
        self.run_dir.mkdir(mode=0o700)
        subprocess.run([build / "bin" / "weft", "keygen", "--dir", self.run_dir / "keys", "fabric"] + names, check=True,
                       stdout=subprocess.DEVNULL)
        self.log = (folder / "weftd.log").open("w+")
        self.process = subprocess.Popen([build / "bin" / "weftd", "--cores", str(core), self.config], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT, preexec_fn=pinned())
        end = time.monotonic() + STARTUP_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise Failed("weftd did not start:\n" + self.log_text())
            time.sleep(0.05)

    @staticmethod
    def policy_write(folder, name, change=lambda text: text):
        """The policy of one of pair_names(), made of bench/policy's; change may alter the text."""
        role, _, number = name.partition("-")
        other = {"sender": "receiver", "receiver": "sender"}[role]
        text = (BENCH / "policy" / (role + ".yaml")).read_text()
        if number:
            text = re.sub(r"(?m)^(unikernel: )%s$" % role, r"\g<1>" + name, text)
            text = re.sub(r"\b(to|from): %s\b" % other, r"\1: %s-%s" % (other, number), text)
        (folder / (name + ".yaml")).write_text(change(text))

    def log_text(self):
        return (self.folder / "weftd.log").read_text()

    def answers(self):
        try:
            return self.ask("ping").get("ok")
        except (OSError, ValueError):
            return False

    def ask(self, command):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(10)
            s.connect(str(self.run_dir / "control.sock"))
            s.sendall(json.dumps({"cmd": command}).encode() + b"\n")
            with s.makefile("rb") as f:
                return json.loads(f.readline())

    def cpu_ns(self):
        """Time that the fabric's poll loop was really on its core: the rest of the wall's time others had."""
        return int(pathlib.Path("/proc/%d/schedstat" % self.process.pid).read_text().split()[0])

    def cpu_all_ns(self):
        """The same of all of its threads, and of the processes that it started, and those that they did."""
        parent = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                parent[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        family = {self.process.pid}
        while more := {pid for pid, of in parent.items() if of in family} - family:
            family |= more
        return sum(int((t / "schedstat").read_text().split()[0]) for pid in family
                   for t in pathlib.Path("/proc/%d/task" % pid).iterdir())

    def launch_file(self, name, port):
        """What an instance gets at its start; the key's own file stays where it is."""
        path = self.run_dir / (name + ".launch")
        keys = self.run_dir / "keys"
        lines = ["weft-launch 1", "name " + name, "port %d" % port, "epoch %d" % time.time_ns(),
                 "secret-key " + (keys / (name + ".key")).read_text().strip(),
                 "fabric-key " + (keys / "fabric.pub").read_text().strip(),
                 "seed " + secrets.token_hex(32), "tsc-khz 0", "suite aesgcm", "end", ""]
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
            f.write("\n".join(lines))
        return path

    def pause(self):
        """Takes no processor until resume(): others are measured."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.log:
            self.log.close()


class Load:
    """bench/blast on a core of its own: both ends of the fabric's first `attached` pairs (None: all), the first `busy` of which may
    carry messages."""

    def __init__(self, fabric, core, busy=1, attached=None):
        attached = attached or fabric.pairs
        for port, name in enumerate(pair_names(attached), 1):
            fabric.launch_file(name, port)
        self.process = subprocess.Popen([fabric.build / "bench" / "blast", "--pairs", str(attached), "--busy", str(busy),
                                         fabric.run_dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                        cwd=ROOT, preexec_fn=pinned(core))
        try:
            expect(self.answer().get("up"), "the load has no session")
        except Failed:
            self.stop()
            raise

    def answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], ORDER_SECONDS)
        line = self.process.stdout.readline() if ready else ""
        expect(line, "the load ended early" if ready else "the load has not answered for %d seconds" % ORDER_SECONDS)
        return json.loads(line)

    def order(self, *words):
        """See bench/blast.c. Every message that was sent has arrived, as it was sent; else it raises."""
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        r = self.answer()
        what = "%s: " % " ".join(str(w) for w in words)
        expect(r["refused"] == 0, what + "%d messages were refused" % r["refused"])
        expect(r["wrong"] == 0, what + "%d messages arrived wrong" % r["wrong"])
        expect(r["sent"] == r["received"] > 0, what + "%d messages were sent and %d arrived" % (r["sent"], r["received"]))
        return r

    def run(self, kind, size, count, pairs=1):
        return self.order("run", kind, size, count, pairs)

    def stop(self):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.stdin.close()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Road:
    """A fabric and its load, as a context: both are ended, and what weftd said stands in the complaint when something failed.
    settings: keys of fabric.yaml; as an attribute, what the fabric says of itself: for results."""

    def __init__(self, build, core, load_core, pairs=1, settings=None, busy=1, attached=None):
        self.build, self.core, self.load_core = build, core, load_core
        self.pairs, self.keys, self.busy, self.attached = pairs, settings, busy, attached

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weft-bench-")
        self.fabric, self.load = None, None
        try:
            self.fabric = self.make_fabric(pathlib.Path(self.folder.name))
            self.settings = self.fabric.ask("stats")["settings"]
            self.load = self.make_load()
        except BaseException as e:
            said = self.fabric.log_text() if self.fabric else ""
            self.close()
            if isinstance(e, Failed) and said:
                raise Failed("%s\nweftd's log:\n%s" % (e, said)) from None
            raise
        return self

    def __exit__(self, kind, error, trace):
        said = self.fabric.log_text()
        status = self.close()
        if isinstance(error, Failed):
            raise Failed("%s\nweftd's log:\n%s" % (error, said)) from None
        expect(kind is not None or status == 0, "the load ended with an error")

    def make_fabric(self, folder):
        return Fabric(self.build, folder, self.core, self.pairs, self.keys)

    def make_load(self):
        return Load(self.fabric, self.load_core, self.busy, self.attached)

    def measure(self, kind, size, count, pairs=1):
        return measure(self.fabric, self.load, ("run", kind, size, count, pairs))

    def trips(self, kind, size, count):
        """Round trips one at a time; their percentiles in ns."""
        return measure(self.fabric, self.load, ("trips", kind, size, count))

    def pace(self, kind, size, count, rate):
        """One way, so many a second by the clock; percentiles of the time from when each was due until it arrived, in ns."""
        return measure(self.fabric, self.load, ("pace", kind, size, count, int(rate)))

    def overload(self, kind, size, seconds, rate):
        """So many due a second by the clock, more than can go."""
        return measure(self.fabric, self.load, ("overload", kind, size, int(seconds * 1000), int(rate)))

    def pause(self):
        self.fabric.pause()

    def resume(self):
        self.fabric.resume()

    def close(self):
        if self.fabric and self.fabric.process:
            self.fabric.resume()
        status = self.load.stop() if self.load else None
        if self.fabric:
            self.fabric.stop()
        self.folder.cleanup()
        return status


def stages_of(stats):
    return {s["name"]: s for s in stats["stages"]}


def ports_of(stats):
    return {p["name"]: p for p in stats["ports"]}


def total(stats, of):
    return sum(of(p) for p in stats["ports"])


def accounts(before, after, count, what):
    """Each of count messages has passed and was delivered, none got another verdict, and each went through every stage; raises
    Failed where the fabric's counters say otherwise."""
    for name in {v for s in (before, after) for p in s["ports"] for v in p["verdicts"]} - {"passed"}:
        b, a = (total(s, lambda p: p["verdicts"].get(name, 0)) for s in (before, after))
        expect(a == b, what + "the fabric counted %d %s" % (a - b, name))
    b, a = (total(s, lambda p: p["verdicts"].get("passed", 0)) for s in (before, after))
    expect(a - b == count, what + "the fabric passed %d of %d messages" % (a - b, count))
    b, a = (total(s, lambda p: p["messages_delivered"]) for s in (before, after))
    expect(a - b == count, what + "the fabric delivered %d of %d messages" % (a - b, count))
    for name in STAGES:
        n = stages_of(after)[name]["messages"] - stages_of(before)[name]["messages"]
        expect(n >= count, what + "stage %s saw %d of %d messages" % (name, n, count))


def measure(fabric, load, order):
    """One order to the load: its rate, and for each stage the nanoseconds per message; checked against the fabric's counters."""
    wall, cpu = time.monotonic_ns(), fabric.cpu_ns()
    before = fabric.ask("stats")
    result = load.order(*order)
    after = fabric.ask("stats")
    wall, cpu = time.monotonic_ns() - wall, fabric.cpu_ns() - cpu
    what = "%s: " % " ".join(str(w) for w in order)
    count = result["sent"] * (2 if order[0] == "trips" else 1)
    accounts(before, after, count, what)
    tsc_hz = after["tsc_hz"]
    stage_ns, messages = {}, {}
    for name in STAGES:
        b, a = stages_of(before)[name], stages_of(after)[name]
        messages[name] = a["messages"] - b["messages"]
        cycles = a["cycles"] - b["cycles"]
        expect(cycles > 0, what + "stage %s took no time" % name)
        stage_ns[name] = cycles * 1e9 / tsc_hz / count
    bursts = stages_of(after)["take"]["bursts"] - stages_of(before)["take"]["bursts"]
    in_all = sum(stage_ns.values())
    elapsed = result["elapsed_ns"] / count
    # More time inside the stages than there was between the two looks at them is a clock that does not agree.
    expect(in_all <= wall / count * 1.01, what + "stages claim %.0f ns of each %.0f" % (in_all, wall / count))
    return {**result, "stages": stage_ns, "sum": in_all, "burst": messages["take"] / bursts, "core": min(cpu / wall, 1.0),
            **({"rate": 1e9 / elapsed, "busy": min(in_all / elapsed, 1.0)} if elapsed > 0 else {})}


# --- results ---------------------------------------------------------------------------------------------------------------


def summary(name, unit, values, **params):
    """A result of several runs: their median, least and greatest; and each run, in order, for who compares (bench/compare.py)."""
    digits = 6 if max(abs(v) for v in values) < 10 else 3
    return {"name": name, "unit": unit, "value": round(statistics.median(values), digits), "min": round(min(values), digits),
            "max": round(max(values), digits), "n": len(values), "params": params, "samples": [round(v, digits) for v in values]}


def results_read(path):
    return json.loads(path.read_text()) if path.exists() else []


def results_merge(path, results, program, whole=True):
    """Puts results into the file, in the place of what the same program had put there (unless these are not the whole of it) and of
    what has the same name, kind and size; what other programs measured stays. Returns all that the file holds then."""

    def key(r):
        return r["name"], r["params"].get("kind"), r["params"].get("bytes")

    for r in results:
        r["params"]["program"] = program
    fresh = {key(r) for r in results}
    kept = [r for r in results_read(path) if (not whole or r["params"].get("program") != program) and key(r) not in fresh]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(kept + results, indent=1) + "\n")
    temporary.replace(path)
    return kept + results


# --- the machine -----------------------------------------------------------------------------------------------------------


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def version(*command):
    try:
        p = subprocess.run(command, check=False, text=True, capture_output=True)
        return (p.stdout or p.stderr).splitlines()[0].strip()
    except (OSError, IndexError):
        return command[0] + " not found"


def package_version(name):
    """A library's, as pkg-config has it."""
    return version("pkg-config", "--modversion", name)


def machine_facts(core, load_core):
    """What a reader of the figures must know about the machine, for people: a dict of texts."""
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {"machine": "%s, %d CPUs, %d MiB" % (cpu_model(), os.cpu_count(), int(memory.group(1)) // 1024),
            "cores": "fabric or server on %s, load on %s" % (core, load_core),
            "system": "%s %s, %s" % (platform.system(), platform.release(), version("gcc", "--version")),
            "libraries": "DPDK %s, nDPI %s, libsodium %s, protobuf-c %s" % tuple(
                package_version(p) for p in ("libdpdk", "libndpi", "libsodium", "libprotobuf-c")),
            "load": "load average %.2f, %.2f, %.2f" % os.getloadavg()}
