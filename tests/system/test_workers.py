#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A fabric with several workers: whatever the number, nothing is lost, doubled, reordered or changed on its way from one to
another, requests find their replies, instances come and go, policies change. There may be more workers than cores.
Prints TAP."""
import shutil
import subprocess
import sys
import time

import fabric
import tap
from fabric import Fabric, expect, note, wait_for
from test_soak import both_ask, fan_in

EACH = 15_000


def served_by(f, name):
    found = [i for i, w in enumerate(f.stats()["workers"]) if name in w["ports"]]
    expect(len(found) == 1, f"{name} is served by {found}")
    return found[0]


def fan_in_over(workers):
    """Each sender on a worker, as far as there are enough, the receiver among them; all orders are kept."""
    names = ["s1", "s2", "s3", "s4"]
    with Fabric(f"workers-{workers}", {**{n: {"send": ["b"]} for n in names}, "b": {"receive": names}},
                settings={"workers": workers}) as f:
        fan_in(f, names, EACH)
        stats = f.stats()
        expect(len(stats["workers"]) == workers, stats["workers"])
        busy = [w for w in stats["workers"] if w["stages"][0]["messages"] > 0]
        expect(len(busy) == min(workers, 5), f"{len(busy)} workers of {workers} carried messages")
        for i, stage in enumerate(stats["stages"]):
            expect(stage["messages"] == sum(w["stages"][i]["messages"] for w in stats["workers"]), stage)


def test_two_workers():
    fan_in_over(2)


def test_three_workers():
    fan_in_over(3)


def test_seven_workers():
    fan_in_over(7)


def test_requests_from_one_worker_to_another():
    pair = {n: {"send": [o], "receive": [o], "worker": w} for n, o, w in (("a", "b", 0), ("b", "a", 1))}
    with Fabric("workers-both", pair, settings={"workers": 2}) as f:
        both_ask(f, EACH)
        expect([served_by(f, n) for n in "ab"] == [0, 1], f.stats()["workers"])


def test_instances_and_policies_come_and_go():
    """The receiver is killed again and again while senders on other workers go on, and policies change meanwhile."""
    names = ["s1", "s2"]
    with Fabric("workers-restart", {**{n: {"send": ["b"]} for n in names}, "b": {"receive": names}},
                settings={"workers": 3}) as f:
        other = f.folder / "other"
        shutil.copytree(f.folder / "policy", other)
        for p in other.glob("s*.yaml"):
            p.write_text(p.read_text().replace("carries:", "max_size: 60KiB\n    carries:"))
        senders = [f.soak(n, "--to", "b", "--count", 10 ** 7, "--idle", 60) for n in names]
        for s in senders:
            s.wait_up()
        for i in range(6):
            b = f.soak("b", "--receive", "--count", 10 ** 9, "--senders", len(names), "--idle", 60)
            b.wait_up()
            before = f.port("b")["messages_delivered"]
            wait_for("messages to flow", lambda n=before: f.port("b")["messages_delivered"] > n + 1000, 10)
            status, out = f.weft("policy", "apply", str([other, f.folder / "policy"][i % 2]))
            expect(status == 0, out)
            now = f.port("b")["messages_delivered"]
            wait_for("messages under the new policies", lambda n=now: f.port("b")["messages_delivered"] > n + 1000, 10)
            b.process.kill()
            b.process.wait()
        for s in senders:
            s.process.kill()
        wait_for("all to be gone", lambda: all(f.port(n)["state"] == "detached" for n in [*names, "b"]), 10)
        for n in names:
            verdicts = f.port(n)["verdicts"]
            expect(set(verdicts) <= {"passed", "peer_down", "receiver_gone", "session_lost"}, verdicts)
        passed = sum(f.port(n)["verdicts"]["passed"] for n in names)
        expect(passed == f.port("b")["messages_delivered"], f"{passed} passed, {f.port('b')['messages_delivered']} delivered")


def test_idle_workers_sleep():
    with Fabric("workers-idle", {n: {} for n in ("a", "b", "c")}, settings={"workers": 3}) as f:
        for n in "abc":
            f.soak(n, "--receive", "--count", 1, "--idle", 60).wait_up()
        expect(sorted(served_by(f, n) for n in "abc") == [0, 1, 2], f.stats()["workers"])
        time.sleep(1)
        pid = f.pid()
        before = fabric.cpu_seconds(pid)
        time.sleep(3)
        used = (fabric.cpu_seconds(pid) - before) / 3
        note(f"{100 * used:.2f} % of a core")
        expect(used < 0.02, f"{100 * used:.2f} % of a core while nothing happens")


def test_what_does_not_fit():
    with Fabric("workers-errors", {"a": {}}) as f:
        config = f.folder / "wrong.yaml"
        text = (f.folder / "fabric.yaml").read_text()
        for keys, cores, want in (("workers: 0", None, "workers"), ("workers: 17", None, "write a number from 1 to 16"),
                                  ("workers: 2", "0", "asks for 2 workers and --cores names 1"),
                                  ("workers: 1", "0,x", "--cores takes CPU numbers"), ("workers: 1", "3-1", "--cores takes")):
            config.write_text(text.replace("run_dir: run", f"run_dir: run2\n{keys}"))
            p = subprocess.run([fabric.BUILD / "bin" / "weftd", *(["--cores", cores] if cores else []), config],
                               stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, timeout=20, check=False)
            expect(p.returncode not in (0, None) and want in p.stderr, f"{keys} {cores}: {p.returncode} {p.stderr}")
        config.write_text(text.replace("- name: a", "- name: a\n    worker: 1"))
        p = subprocess.run([fabric.BUILD / "bin" / "weftd", config], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
                           check=False)
        expect(p.returncode == 2 and "write a number from 0 to 0" in p.stderr, p.stderr)


if __name__ == "__main__":
    sys.exit(fabric.main(tap.named_tests(globals())))
