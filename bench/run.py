#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark: a real weftd on one core, both ends of a conversation on another, distinct messages through the whole
road. Counts what arrived at the far end, and believes no figure that the fabric's own counters contradict. Writes
results.json (a list of name, unit, value, min, max, n, params) and a table for people."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

from harness import (ROOT, STAGES, Fabric, Failed, Road, cores, expect, machine_facts, pair_names, pinned, results_merge, stages_of,
                     summary)

KINDS = ["numeric", "typed", "opaque"]
SIZES = [64, 256, 1400]
RUN_SECONDS = 0.8
ORDER_ROUNDS = 300
RULES_ROUNDS = 100
INSPECT_ROUNDS = 21
INLINE_MOST = 1.1
ISOLATED_LEAST = 0.9
ORDER_NAMES = {"": "weft, with rules", "no_rules.": "weft, without", "protobuf_c.": "protobuf-c",
               "protobuf_c_arena.": "protobuf-c, free memory", "cpp_reuse.": "C++, object reused",
               "cpp_fresh.": "C++, new object"}
SWAP_RUNS = 5
SWAP_MESSAGES = 400000
SWAP_PAUSE_SECONDS = 0.02


def whole_road(build, core, load_core, repetitions):
    """Every kind and size in turn, the whole round several times, so that a slow moment of the machine meets all."""
    cases = [(k, s) for k in KINDS for s in SIZES]
    runs = {c: [] for c in cases}
    with Road(build, core, load_core) as road:
        counts = {}
        for case in cases:  # to warm up, and to learn how many make a run
            counts[case] = max(5000, int(road.measure(*case, 3000)["rate"] * RUN_SECONDS))
        for repetition in range(repetitions):
            print("  round %d of %d" % (repetition + 1, repetitions), file=sys.stderr)
            for case in cases:
                runs[case].append(road.measure(*case, counts[case]))
        settings = road.fabric.ask("stats")["settings"]
    results = []
    for (kind, size), rows in runs.items():
        p = {"kind": kind, "bytes": size, "messages_per_run": counts[kind, size]}
        name = "road.%s.%d." % (kind, size)
        results.append(summary(name + "mmsgs", "M/s", [r["rate"] / 1e6 for r in rows], **p))
        results.append(summary(name + "stages.ns", "ns", [r["sum"] for r in rows], **p))
        results.append(summary(name + "busy", "ratio", [r["busy"] for r in rows], **p))
        results.append(summary(name + "core", "ratio", [r["core"] for r in rows], **p))
        results.append(summary(name + "burst", "messages", [r["burst"] for r in rows], **p))
        for stage in STAGES:
            results.append(summary(name + "stage.%s.ns" % stage, "ns", [r["stages"][stage] for r in rows], **p))
    return results, settings


def swaps(build, core, load_core):
    """Policies exchanged over and over while the whole road is at its limit: what an exchange takes, beside a burst, and that
    every message arrived. The control thread that compiles them shares the load's core."""
    rows = []
    with Road(build, core, load_core) as road:
        fabric = road.fabric
        other = fabric.folder / "other"
        other.mkdir()
        for name in pair_names(1):
            Fabric.policy_write(other, name, lambda text: text.replace(
                "]\n", "]\n    rate: 10000000/s\n    where: peer.name != self.name\n", 1))
        hz = fabric.ask("stats")["tsc_hz"]
        road.measure("numeric", 256, 20000)
        for repetition in range(SWAP_RUNS):
            before = fabric.ask("stats")
            stop = threading.Event()
            applying = threading.Thread(target=apply_until, args=(fabric, load_core, [other, fabric.policies], stop))
            applying.start()
            try:
                run = road.measure("numeric", 256, SWAP_MESSAGES)
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
    p = {"messages_per_run": SWAP_MESSAGES, "swaps": sum(r["n"] for r in rows)}
    return [summary("policy.swap.us", "us", [r["us"] for r in rows], worst_us=round(worst, 2), **p),
            summary("policy.swap.burst_us", "us", [r["burst_us"] for r in rows], messages=rows[0]["burst"], **p),
            summary("policy.swap.ratio_burst", "ratio", [r["us"] / r["burst_us"] for r in rows], **p)]


def apply_until(fabric, core, folders, stop):
    for i in range(10 ** 6):
        if stop.wait(SWAP_PAUSE_SECONDS):
            return
        subprocess.run([fabric.build / "bin" / "weft", "policy", "apply", folders[i % len(folders)], fabric.folder / "fabric.yaml"],
                       check=False, stdout=subprocess.DEVNULL, stderr=fabric.log, preexec_fn=pinned(core))


def micro(build, core, rounds):
    p = subprocess.run([build / "bench" / "micro", build / "bench" / "bench.binpb", str(rounds)], check=False, text=True,
                       stdout=subprocess.PIPE, preexec_fn=pinned(core))
    expect(p.returncode == 0, "micro ended with %d" % p.returncode)
    results = [json.loads(line) for line in p.stdout.splitlines()]
    for r in results:
        p = r["params"]
        r["name"] = ".".join(["micro", r["name"]] + ([p["kind"]] if "kind" in p else []) + [str(p["bytes"]), "ns"])
    return results


def beside(build, core):
    """The validator beside other parsers, and what its rules cost: programs that interleave and compare by themselves."""
    results = []
    for name, rounds in (("order", ORDER_ROUNDS), ("rules", RULES_ROUNDS)):
        p = subprocess.run([build / "bench" / name, "--json", str(rounds)], check=False, text=True, stdout=subprocess.PIPE,
                           cwd=ROOT, preexec_fn=pinned(core))
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
                       preexec_fn=pinned(core))
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


def table(results, about):
    by = {r["name"]: r for r in results}
    print("\nThe whole road: handshake done, then open, policy, schema, nDPI, decision, seal, delivery; every message distinct,")
    print("every one counted and checked at the far end. M/s: median (min to max); ns per message by stage: median.\n")
    head = "%-8s %5s %21s %6s" % ("message", "bytes", "M/s", "busy")
    print(head + "".join("%9s" % s for s in STAGES) + "%9s" % "sum")
    for kind in KINDS:
        for size in SIZES:
            name = "road.%s.%d." % (kind, size)
            rate, busy = by[name + "mmsgs"], by[name + "busy"]
            print("%-8s %5d %7.3f (%5.3f-%6.3f) %5.0f%%" % (kind, size, rate["value"], rate["min"], rate["max"],
                                                            100 * busy["value"]) +
                  "".join("%9.0f" % by[name + "stage.%s.ns" % s]["value"] for s in STAGES) +
                  "%9.0f" % by[name + "stages.ns"]["value"])
    print("\nbusy: how much of the fabric's core the stages took; where it is low, the two ends on the other core were the limit.")
    had = min(r["min"] for r in results if r["name"].startswith("road.") and r["name"].endswith(".core"))
    if had < 0.95:
        print("The fabric's core was shared: in the worst run the fabric had %.0f%% of it. Rates are lower, and stages longer, by"
              % (100 * had))
        print("what others took; the maxima of rates and the minima of times say more than the medians.")
    print("\nBy themselves, ns: median (min to max)\n")
    for r in results:
        if r["name"].startswith("micro."):
            print("%-36s %9.1f (%.1f to %.1f)" % (r["name"][6:], r["value"], r["min"], r["max"]))
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
    both = cores(args.core, args.load_core)
    if both is None:
        print("SKIP: the benchmark needs two cores, one for the fabric and one for the load")
        return 77
    core, load_core = both
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
    about = {**machine_facts(core, load_core), "fabric": settings,
             "took": "%.0f s, %d rounds" % (time.monotonic() - start, args.repetitions)}
    for r in results:
        r["params"]["machine"] = about["machine"]
        r["params"]["settings"] = settings
    out = args.out or build / "bench" / "results.json"
    results_merge(out, results, "bench")
    table(results, about)
    print("%-10s %s" % ("results", out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
