#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark: the road of a message and what becomes of a whole fabric (bench/road.py), the parts by themselves, the validator
beside parsers, policies at scale. Writes results.json (a list of name, unit, value, min, max, n, samples, params); tables, CSV and
plots are made of that (bench/report.py, bench/plots.py). Exit status: 0; 1 a figure could not be had; 77 too few cores."""
import argparse
import json
import pathlib
import signal
import subprocess
import sys
import threading
import time

import road
import ruled
import several
from harness import ROOT, Fabric, Failed, cores, expect, machine_facts, pair_names, pinned, results_merge, stages_of, summary

ORDER_ROUNDS = 300
RULES_ROUNDS = 100
INSPECT_ROUNDS = 21
OVERLOAD_SECONDS, OVERLOAD_SLICES = 5, 5
SWAP_RUNS = 5
SWAP_MESSAGES = 2000000
SWAP_PAUSE_SECONDS = 0.02


def swaps(s):
    """Policies exchanged over and over while the whole road is at its limit: what an exchange takes, beside a burst, and that
    every message arrived. The control thread that compiles them shares the load's core."""
    rows = []
    with s.road() as one:
        fabric = one.fabric
        other = fabric.folder / "other"
        other.mkdir()
        for name in pair_names(1):
            Fabric.policy_write(other, name, lambda text: text.replace(
                "]\n", "]\n    rate: 10000000/s\n    where: peer.name != self.name\n", 1))
        hz = fabric.ask("stats")["tsc_hz"]
        one.measure("numeric", 256, 20000)
        for repetition in range(SWAP_RUNS):
            before = fabric.ask("stats")
            stop = threading.Event()
            applying = threading.Thread(target=apply_until, args=(fabric, s.load_core, [other, fabric.policies], stop))
            applying.start()
            try:
                run = one.measure("numeric", 256, SWAP_MESSAGES)
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
    p = {"settings": one.settings, "messages_per_run": SWAP_MESSAGES, "swaps": sum(r["n"] for r in rows)}
    return [summary("policy.swap.us", "us", [r["us"] for r in rows], worst_us=round(worst, 2), **p),
            summary("policy.swap.burst_us", "us", [r["burst_us"] for r in rows], messages=rows[0]["burst"], **p),
            summary("policy.swap.ratio_burst", "ratio", [r["us"] / r["burst_us"] for r in rows], **p)]


def apply_until(fabric, core, folders, stop):
    for i in range(10 ** 6):
        if stop.wait(SWAP_PAUSE_SECONDS):
            return
        subprocess.run([fabric.build / "bin" / "weft", "policy", "apply", folders[i % len(folders)], fabric.folder / "fabric.yaml"],
                       check=False, stdout=subprocess.DEVNULL, stderr=fabric.log, preexec_fn=pinned(core))


def micro(s):
    p = subprocess.run([s.build / "bench" / "micro", s.build / "bench" / "bench.binpb", str(s.rounds + 2)], check=False, text=True,
                       stdout=subprocess.PIPE, preexec_fn=pinned(s.core))
    expect(p.returncode == 0, "micro ended with %d" % p.returncode)
    results = [json.loads(line) for line in p.stdout.splitlines()]
    for r in results:
        p = r["params"]
        r["name"] = ".".join(["micro", r["name"]] + ([p["kind"]] if "kind" in p else []) + [str(p["bytes"]), "ns"])
    return results


def beside(s):
    """The validator beside other parsers, and what its rules cost: programs that interleave and compare by themselves."""
    results = []
    for name, rounds in (("order", ORDER_ROUNDS), ("rules", RULES_ROUNDS)):
        p = subprocess.run([s.build / "bench" / name, "--json", str(rounds)], check=False, text=True, stdout=subprocess.PIPE,
                           cwd=ROOT, preexec_fn=pinned(s.core))
        expect(p.returncode == 0, "%s ended with %d" % (name, p.returncode))
        results += [json.loads(line) for line in p.stdout.splitlines()]
    return results


def inspection(s):
    """nDPI bare, inline and in a process apart, on the same payloads; the program pins itself and its worker."""
    p = subprocess.run([s.build / "bench" / "inspect", s.build / "bin" / "weft-dpi", str(INSPECT_ROUNDS)], check=False, text=True,
                       stdout=subprocess.PIPE, cwd=ROOT)
    expect(p.returncode == 0, "inspect ended with %d" % p.returncode)
    return [json.loads(line) for line in p.stdout.splitlines()]


def policies(s):
    """Policies of ten thousand unikernels: compiling, and a decision among them beside one among ten."""
    p = subprocess.run([s.build / "bench" / "scale"], check=False, text=True, stdout=subprocess.PIPE,
                       preexec_fn=pinned(s.core))
    expect(p.returncode == 0, "scale ended with %d" % p.returncode)
    return [json.loads(line) for line in p.stdout.splitlines()]


# What is measured, in this order; --only takes some of it. Each is a function of a road.Setting.
PARTS = {"road": road.whole_road, "ports": road.ports, "rules": ruled.rules, "cores": several.cores, "idle": road.idle,
         "overload": lambda s: road.overload(s, OVERLOAD_SECONDS, OVERLOAD_SLICES),
         "micro": micro, "inspect": inspection, "validate": beside, "policies": policies, "swaps": swaps}
# What is not part of the whole, for it takes long.
APART = {"overload-long": lambda s: road.overload(s, 60)}


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--core", type=int, help="the fabric's core; default: the first that may be used")
    parser.add_argument("--load-core", type=int, help="the load's core; default: the last")
    parser.add_argument("--repetitions", type=int, default=7, help="at least 5")
    parser.add_argument("--only", metavar="PART,...", help="some of it: %s; or %s" % (", ".join(PARTS), ", ".join(APART)))
    parser.add_argument("--out", type=pathlib.Path, help="default: BUILD/bench/results.json")
    args = parser.parse_args()
    if args.repetitions < 5:
        parser.error("fewer than five repetitions say nothing")
    parts = args.only.split(",") if args.only else list(PARTS)
    unknown = [p for p in parts if p not in PARTS and p not in APART]
    if unknown:
        parser.error("%s: no such part; there are %s" % (unknown[0], ", ".join([*PARTS, *APART])))
    both = cores(args.core, args.load_core)
    if both is None:
        print("SKIP: the benchmark needs two cores, one for the fabric and one for the load")
        return 77
    setting = road.Setting(args.build.resolve(), *both, args.repetitions)
    signal.signal(signal.SIGTERM, interrupted)
    results, took, start = [], {}, time.monotonic()
    try:
        for part in parts:
            begin = time.monotonic()
            results += {**PARTS, **APART}[part](setting)
            took[part] = time.monotonic() - begin
            print("  %s: %.0f s" % (part, took[part]), file=sys.stderr)
    except KeyboardInterrupt:
        print("bench: interrupted; all that was started has ended", file=sys.stderr)
        return 130
    except (Failed, OSError, subprocess.SubprocessError) as e:
        print("bench: %s: %s" % (part, e), file=sys.stderr)
        return 1
    facts = machine_facts(*both)
    for r in results:
        for key in ("machine", "cores", "system", "libraries"):
            r["params"][key] = facts[key]
    out = args.out or setting.build / "bench" / "results.json"
    results_merge(out, results, "bench", whole=not args.only)
    print("bench: %d results in %.0f s, %d rounds: %s" % (len(results), time.monotonic() - start, args.repetitions, out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
