#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark: a real weftd on one core, both ends of a conversation on another, distinct messages through the whole
road. Counts what arrived at the far end, and believes no figure that the fabric's own counters contradict. Writes
results.json (a list of name, unit, value, min, max, n, params) and a table for people."""
import argparse
import json
import os
import pathlib
import platform
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
KINDS = ["numeric", "typed", "opaque"]
SIZES = [64, 256, 1400]
STAGES = ["take", "session", "route", "admit", "validate", "judge", "inspect", "decide", "deliver"]
RUN_SECONDS = 0.8
ORDER_ROUNDS = 300
RULES_ROUNDS = 100
INSPECT_ROUNDS = 21
INLINE_MOST = 1.1
ISOLATED_LEAST = 0.9
ORDER_NAMES = {"": "weft, with rules", "no_rules.": "weft, without", "protobuf_c.": "protobuf-c",
               "protobuf_c_arena.": "protobuf-c, free memory", "cpp_reuse.": "C++, object reused",
               "cpp_fresh.": "C++, new object"}
STARTUP_SECONDS = 30
SWAP_RUNS = 5
SWAP_MESSAGES = 400000
SWAP_PAUSE_SECONDS = 0.02


class Failed(Exception):
    """The benchmark could not be run, or its figures do not agree with each other."""


def expect(condition, text):
    if not condition:
        raise Failed(text)


class Fabric:
    """weftd with two ports in a run directory of its own."""

    def __init__(self, build, folder, core):
        self.build = build
        self.folder = folder
        self.run_dir = folder / "run"
        config = folder / "fabric.yaml"
        text = (BENCH / "fabric.yaml").read_text()
        for key, value in (("schemas", build / "bench" / "bench.binpb"), ("run_dir", self.run_dir), ("bench", BENCH)):
            text = text.replace("@%s@" % key, str(value))
        config.write_text(text)
        self.run_dir.mkdir(mode=0o700)
        subprocess.run([build / "bin" / "weft", "keygen", "--dir", self.run_dir / "keys", "fabric", "sender", "receiver"],
                       check=True, stdout=subprocess.DEVNULL)
        self.log = (folder / "weftd.log").open("w+")
        self.process = subprocess.Popen([build / "bin" / "weftd", "--core", str(core), config], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT)
        end = time.monotonic() + STARTUP_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise Failed("weftd did not start:\n" + self.log_text())
            time.sleep(0.05)

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

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


class Load:
    """bench/load on a core of its own."""

    def __init__(self, fabric, core):
        args = [fabric.build / "bench" / "load"]
        for port, name in enumerate(("sender", "receiver"), 1):
            args += ["--" + name, fabric.launch_file(name, port), "--%s-socket" % name, fabric.run_dir / (name + ".sock")]
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                        preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        expect(self.answer().get("up"), "the load has no session")

    def answer(self):
        line = self.process.stdout.readline()
        expect(line, "the load ended early")
        return json.loads(line)

    def run(self, kind, size, count):
        self.process.stdin.write("run %s %d %d\n" % (kind, size, count))
        self.process.stdin.flush()
        return self.answer()

    def stop(self):
        self.process.stdin.close()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def stages_of(stats):
    return {s["name"]: s for s in stats["stages"]}


def ports_of(stats):
    return {p["name"]: p for p in stats["ports"]}


def measure(fabric, load, kind, size, count):
    """One run: its rate, and for each stage the nanoseconds per message; checked against the fabric's counters."""
    before = fabric.ask("stats")
    wall, cpu = time.monotonic_ns(), fabric.cpu_ns()
    result = load.run(kind, size, count)
    wall, cpu = time.monotonic_ns() - wall, fabric.cpu_ns() - cpu
    after = fabric.ask("stats")
    what = "%s, %d bytes: " % (kind, size)
    expect(result["refused"] == 0, what + "%d messages were refused" % result["refused"])
    expect(result["wrong"] == 0, what + "%d messages arrived wrong" % result["wrong"])

    def verdict(stats, name):
        return ports_of(stats)["sender"]["verdicts"].get(name, 0)

    names = set(ports_of(before)["sender"]["verdicts"]) | set(ports_of(after)["sender"]["verdicts"])
    for name in names - {"passed"}:
        expect(verdict(after, name) == verdict(before, name), what + "the fabric counted " + name)
    expect(verdict(after, "passed") - verdict(before, "passed") == count, what + "passed does not count every message")
    delivered = [ports_of(s)["receiver"]["messages_delivered"] for s in (before, after)]
    expect(delivered[1] - delivered[0] == count, what + "delivered does not count every message")

    tsc_hz = after["tsc_hz"]
    stage_ns, messages = {}, {}
    for name in STAGES:
        b, a = stages_of(before)[name], stages_of(after)[name]
        messages[name] = a["messages"] - b["messages"]
        cycles = a["cycles"] - b["cycles"]
        expect(messages[name] >= count, what + "stage %s saw %d of %d messages" % (name, messages[name], count))
        expect(cycles > 0, what + "stage %s took no time" % name)
        stage_ns[name] = cycles * 1e9 / tsc_hz / count
    bursts = stages_of(after)["take"]["bursts"] - stages_of(before)["take"]["bursts"]
    total = sum(stage_ns.values())
    elapsed = result["elapsed_ns"] / count
    # More time inside the stages than there was is a clock that does not agree; a part in twenty is the edges.
    expect(total <= elapsed * 1.05, what + "stages claim %.0f ns of each %.0f" % (total, elapsed))
    return {"rate": 1e9 / elapsed, "stages": stage_ns, "sum": total, "busy": total / elapsed,
            "burst": messages["take"] / bursts, "core": min(cpu / wall, 1.0)}


def summary(name, unit, values, **params):
    return {"name": name, "unit": unit, "value": round(statistics.median(values), 3), "min": round(min(values), 3),
            "max": round(max(values), 3), "n": len(values), "params": params}


def whole_road(build, core, load_core, repetitions):
    """Every kind and size in turn, the whole round several times, so that a slow moment of the machine meets all."""
    cases = [(k, s) for k in KINDS for s in SIZES]
    runs = {c: [] for c in cases}
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        fabric = Fabric(build, pathlib.Path(folder), core)
        load = None
        try:
            load = Load(fabric, load_core)
            counts = {}
            for kind, size in cases:  # to warm up, and to learn how many make a run
                first = measure(fabric, load, kind, size, 3000)
                counts[kind, size] = max(5000, int(first["rate"] * RUN_SECONDS))
            for repetition in range(repetitions):
                print("  round %d of %d" % (repetition + 1, repetitions), file=sys.stderr)
                for case in cases:
                    runs[case].append(measure(fabric, load, *case, counts[case]))
            settings = fabric.ask("stats")["settings"]
            expect(load.stop() == 0, "the load ended with an error")
        except Failed as e:
            raise Failed("%s\nweftd's log:\n%s" % (e, fabric.log_text())) from None
        finally:
            if load and load.process.poll() is None:
                load.process.kill()
                load.process.wait()
            fabric.stop()
    results = []
    for (kind, size), rows in runs.items():
        p = {"kind": kind, "bytes": size, "messages_per_run": counts[kind, size]}
        results.append(summary("road_rate", "messages/s", [r["rate"] for r in rows], **p))
        results.append(summary("road_stages_sum", "ns", [r["sum"] for r in rows], **p))
        results.append(summary("road_core_busy", "ratio", [r["busy"] for r in rows], **p))
        results.append(summary("road_core_had", "ratio", [r["core"] for r in rows], **p))
        results.append(summary("road_burst", "messages", [r["burst"] for r in rows], **p))
        for stage in STAGES:
            results.append(summary("stage_" + stage, "ns", [r["stages"][stage] for r in rows], **p))
    return results, settings


def swaps(build, core, load_core):
    """Policies exchanged over and over while the whole road is at its limit: what an exchange takes, beside a burst, and that
    every message arrived. The control thread that compiles them shares the load's core."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        fabric = Fabric(build, pathlib.Path(folder), core)
        other = pathlib.Path(folder) / "other"
        other.mkdir()
        for f in (BENCH / "policy").glob("*.yaml"):
            (other / f.name).write_text(f.read_text().replace("]\n", "]\n    rate: 10000000/s\n    where: peer.name != self.name\n", 1))
        load = None
        try:
            load = Load(fabric, load_core)
            hz = fabric.ask("stats")["tsc_hz"]
            measure(fabric, load, "numeric", 256, 20000)
            for repetition in range(SWAP_RUNS):
                before = fabric.ask("stats")
                stop = threading.Event()
                applying = threading.Thread(target=apply_until, args=(fabric, load_core, [other, BENCH / "policy"], stop))
                applying.start()
                try:
                    run = measure(fabric, load, "numeric", 256, SWAP_MESSAGES)
                finally:
                    stop.set()
                    applying.join()
                after = fabric.ask("stats")
                bursts = stages_of(after)["take"]["bursts"] - stages_of(before)["take"]["bursts"]
                cycles = sum(s["cycles"] - stages_of(before)[s["name"]]["cycles"] for s in after["stages"])
                n = after["epochs"]["swaps"] - before["epochs"]["swaps"]
                expect(n > 0, "no policy came into force while the load ran")
                rows.append({"n": n, "us": (after["epochs"]["cycles"] - before["epochs"]["cycles"]) / n / hz * 1e6,
                             "burst_us": cycles / bursts / hz * 1e6, "burst": run["burst"]})
            worst = fabric.ask("stats")["epochs"]["worst_cycles"] / hz * 1e6
            expect(load.stop() == 0, "the load ended with an error")
        except Failed as e:
            raise Failed("%s\nweftd's log:\n%s" % (e, fabric.log_text())) from None
        finally:
            if load and load.process.poll() is None:
                load.process.kill()
                load.process.wait()
            fabric.stop()
    p = {"messages_per_run": SWAP_MESSAGES, "swaps": sum(r["n"] for r in rows)}
    return [summary("policy.swap.us", "us", [r["us"] for r in rows], worst_us=round(worst, 2), **p),
            summary("policy.swap.burst_us", "us", [r["burst_us"] for r in rows], messages=rows[0]["burst"], **p),
            summary("policy.swap.ratio_burst", "ratio", [r["us"] / r["burst_us"] for r in rows], **p)]


def apply_until(fabric, core, folders, stop):
    for i in range(10 ** 6):
        if stop.wait(SWAP_PAUSE_SECONDS):
            return
        subprocess.run([fabric.build / "bin" / "weft", "policy", "apply", folders[i % len(folders)], fabric.folder / "fabric.yaml"],
                       check=False, stdout=subprocess.DEVNULL, stderr=fabric.log, preexec_fn=lambda: os.sched_setaffinity(0, {core}))


def micro(build, core, rounds):
    p = subprocess.run([build / "bench" / "micro", build / "bench" / "bench.binpb", str(rounds)], check=False, text=True,
                       stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    expect(p.returncode == 0, "micro ended with %d" % p.returncode)
    results = [json.loads(line) for line in p.stdout.splitlines()]
    for r in results:
        r["name"] = "micro_" + r["name"]
    return results


def beside(build, core):
    """The validator beside other parsers, and what its rules cost: programs that interleave and compare by themselves."""
    results = []
    for name, rounds in (("order", ORDER_ROUNDS), ("rules", RULES_ROUNDS)):
        p = subprocess.run([build / "bench" / name, "--json", str(rounds)], check=False, text=True, stdout=subprocess.PIPE,
                           cwd=ROOT, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        expect(p.returncode == 0, "%s ended with %d" % (name, p.returncode))
        results += [json.loads(line) for line in p.stdout.splitlines()]
    return results


def inspection(build):
    """nDPI bare, inline and in a process apart, on the same payloads; the program pins itself and its worker."""
    p = subprocess.run([build / "bench" / "inspect", build / "bin" / "weft-dpi", str(INSPECT_ROUNDS)], check=False, text=True,
                       stdout=subprocess.PIPE, cwd=ROOT)
    expect(p.returncode == 0, "inspect ended with %d" % p.returncode)
    return [json.loads(line) for line in p.stdout.splitlines()]


def inspection_table(results):
    by = {(r["name"], r["params"]["kind"], r["params"]["bytes"]): r for r in results if r["name"].startswith("inspect.")}
    cases = [key[1:] for key in by if key[0] == "inspect.inline.ratio"]
    print("\nInspection inline beside bare nDPI calls for the same payloads, windows at work; ns per message, median of its ratios "
          "(min to max)\n")
    for case in cases:
        bare, ours, ratio = (by[name, *case] for name in ("inspect.bare", "inspect.inline", "inspect.inline.ratio"))
        print("%-8s %5d %9.0f bare %9.0f inline %7.3f (%.3f to %.3f)" % (*case, bare["value"], ours["value"], ratio["value"],
                                                                         ratio["min"], ratio["max"]))
    print("\nA worker process on one core beside inline on that core; messages/s, median of its ratios (min to max), by CPU time\n")
    apart = [key[1:] for key in by if key[0] == "inspect.isolated.ratio"]
    for case in apart:
        ours, theirs, ratio, cpu = (by["inspect.isolated" + name, *case] for name in (".inline", "", ".ratio", ".cpu_ratio"))
        print("%-8s %5d %9.0f inline %9.0f isolated %7.3f (%.3f to %.3f) %7.3f" % (*case, ours["value"], theirs["value"],
                                                                                  ratio["value"], ratio["min"], ratio["max"],
                                                                                  cpu["value"]))
    print()
    judge("inline over bare", max(by["inspect.inline.ratio", *c]["value"] for c in cases), INLINE_MOST, lambda v, b: v <= b,
          "at most")
    if apart:
        judge("isolated over inline", min(by["inspect.isolated.ratio", *c]["value"] for c in apart), ISOLATED_LEAST,
              lambda v, b: v >= b, "at least")


def judge(what, value, bound, holds, word):
    print("%s, worst case: %.3f, %s %.1f: %s" % (what, value, word, bound, "holds" if holds(value, bound) else "DOES NOT HOLD"))


def policies(build, core):
    """Policies of ten thousand unikernels: compiling, and a decision among them beside one among ten."""
    p = subprocess.run([build / "bench" / "scale"], check=False, text=True, stdout=subprocess.PIPE,
                       preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    expect(p.returncode == 0, "scale ended with %d" % p.returncode)
    return [json.loads(line) for line in p.stdout.splitlines()]


def policy_table(results):
    by = {r["name"]: r for r in results if r["name"].startswith("policy.")}
    seconds, mib = by["policy.compile.10000.s"], by["policy.compile.10000.mib"]
    print("\nPolicies of %d unikernels with %d rules each: compiled in %.2f s (%.2f to %.2f), %.0f MiB at most with their texts.\n"
          "A decision among them, 256 busy conversations: %.1f ns; among ten unikernels %.1f ns; ratio of minima %.3f"
          % (seconds["params"]["unikernels"], seconds["params"]["rules_each"], seconds["value"], seconds["min"], seconds["max"],
             mib["max"], by["policy.decide.10000.ns"]["value"], by["policy.decide.10.ns"]["value"],
             by["policy.decide.ratio_10000"]["value"]))
    swap, burst = by["policy.swap.us"], by["policy.swap.burst_us"]
    print("%d exchanges of policies under full load, nothing lost: %.1f us (%.1f to %.1f, worst of all %.1f) in which the data path "
          "stands;\na burst of %.0f messages takes %.1f us; ratio %.2f"
          % (swap["params"]["swaps"], swap["value"], swap["min"], swap["max"], swap["params"]["worst_us"], burst["params"]["messages"],
             burst["value"], by["policy.swap.ratio_burst"]["value"]))


def beside_table(results):
    by = {r["name"]: r for r in results}
    ours, plain = by["validate.order.ns"], by["validate.order.no_rules.ns"]
    print("\nThe validator beside parsers: 1,024 distinct orders (%s), one core, in turn; ns per message: minimum, median;\n"
          "ours over it, with rules and without (minima)\n" % ours["params"]["messages"])
    for name in ORDER_NAMES:
        r = by["validate.order.%sns" % name]
        print("%-22s %9.1f %9.1f %9.3f %9.3f" % (ORDER_NAMES[name], r["value"], r["params"]["median"], ours["value"] / r["value"],
                                                 plain["value"] / r["value"]))
    print("\nWhat one rule adds to a message of one field, ns: median (min to max)\n")
    for r in results:
        if r["name"].startswith("validate.rule."):
            print("%-22s %9.1f (%.1f to %.1f), on top of %.1f" % (r["name"].split(".")[2], r["value"], r["min"], r["max"],
                                                                  r["params"]["without"]))


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def version(*command):
    try:
        return subprocess.run(command, check=False, text=True, capture_output=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return command[0] + " not found"


def table(results, settings, about):
    by = {(r["name"], r["params"].get("kind"), r["params"].get("bytes")): r for r in results}
    print("\nThe whole road: handshake done, then open, policy, schema, nDPI, decision, seal, delivery; every message distinct,")
    print("every one counted and checked at the far end. messages/s: median (min to max); ns per message by stage: median.\n")
    head = "%-8s %5s %27s %6s" % ("message", "bytes", "messages/s", "busy")
    print(head + "".join("%9s" % s for s in STAGES) + "%9s" % "sum")
    for kind in KINDS:
        for size in SIZES:
            rate, busy = by["road_rate", kind, size], by["road_core_busy", kind, size]
            print("%-8s %5d %9.0f (%7.0f-%8.0f) %5.0f%%" % (kind, size, rate["value"], rate["min"], rate["max"],
                                                             100 * busy["value"]) +
                  "".join("%9.0f" % by["stage_" + s, kind, size]["value"] for s in STAGES) +
                  "%9.0f" % by["road_stages_sum", kind, size]["value"])
    print("\nbusy: how much of the fabric's core the stages took; where it is low, the two ends on the other core were the limit.")
    had = min(r["min"] for r in results if r["name"] == "road_core_had")
    if had < 0.95:
        print("The fabric's core was shared: in the worst run the fabric had %.0f%% of it. Rates are lower, and stages longer, by"
              % (100 * had))
        print("what others took; the maxima of rates and the minima of times say more than the medians.")
    print("\nBy themselves, ns: median (min to max)\n")
    for r in results:
        if r["name"].startswith("micro_"):
            p = r["params"]
            print("%-22s %-8s %5d %9.1f (%.1f to %.1f)" % (r["name"][6:], p.get("kind", ""), p["bytes"], r["value"],
                                                          r["min"], r["max"]))
    inspection_table(results)
    beside_table(results)
    policy_table(results)
    print()
    for key, value in about.items():
        print("%-10s %s" % (key, value))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--core", type=int, help="the fabric's core; default: the first that may be used")
    parser.add_argument("--load-core", type=int, help="the load's core; default: the last")
    parser.add_argument("--repetitions", type=int, default=7, help="at least 5")
    parser.add_argument("--out", type=pathlib.Path, help="default: BUILD/bench/results.json")
    args = parser.parse_args()
    if args.repetitions < 5:
        parser.error("fewer than five repetitions say nothing")
    build = args.build.resolve()
    cores = sorted(os.sched_getaffinity(0))
    core = cores[0] if args.core is None else args.core
    load_core = cores[-1] if args.load_core is None else args.load_core
    if core == load_core:
        print("SKIP: the benchmark needs two cores, one for the fabric and one for the load")
        return 77
    start = time.monotonic()
    try:
        results, settings = whole_road(build, core, load_core, args.repetitions)
        results += micro(build, core, args.repetitions + 2)
        results += inspection(build)
        results += beside(build, core)
        results += policies(build, core)
        results += swaps(build, core, load_core)
    except (Failed, OSError, subprocess.SubprocessError) as e:
        print("bench: %s" % e, file=sys.stderr)
        return 1
    about = {"machine": "%s, %d CPUs, fabric on %d, load on %d" % (cpu_model(), os.cpu_count(), core, load_core),
             "system": "%s %s, %s" % (platform.system(), platform.release(), version("gcc", "--version")),
             "fabric": settings, "load": "load average %.2f, %.2f, %.2f" % os.getloadavg(),
             "took": "%.0f s, %d rounds" % (time.monotonic() - start, args.repetitions)}
    for r in results:
        r["params"]["machine"] = about["machine"]
        r["params"]["settings"] = settings
    out = args.out or build / "bench" / "results.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_suffix(".tmp")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    temporary.replace(out)
    table(results, settings, about)
    print("%-10s %s" % ("results", out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
