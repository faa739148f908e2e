#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Schema sets change in a running fabric: at full speed, back and forth, nothing lost, doubled or out of order; what is not
compatible is refused with its findings, and with force it is taken and judges from then on. Prints TAP."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import fabric
from fabric import Fabric, expect, note, wait_for
from swaps import PAIRS, at_full_speed

COUNT = 200_000
SWAPS = 20
HEAD = 'syntax = "proto3";\npackage weft.soak;\n'
# The messages of schemas/demo/soak.proto; what stands before them gives every table another order.
SAME = HEAD + """
message Before { message Inner { string text = 1; } Inner inner = 1; repeated uint64 numbers = 2; }
service Aside { rpc First(Before) returns (Before); }
message Item { bytes body = 3; fixed64 check = 2; uint64 seq = 1; }
service Echo { rpc Ping(Item) returns (Item); }
"""
OTHER = HEAD + """
service Echo { rpc Ping(Item) returns (Item); }
message Item { uint64 seq = 1; fixed64 check = 2; bytes body = 3; }
message Before { repeated uint64 numbers = 2; message Inner { string text = 1; } Inner inner = 1; }
service Aside { rpc First(Before) returns (Before); }
"""
NO_BODY = HEAD + """
message Item { uint64 seq = 1; fixed64 check = 2; }
service Echo { rpc Ping(Item) returns (Item); }
"""
NO_METHOD = HEAD + """
message Item { uint64 seq = 1; fixed64 check = 2; bytes body = 3; }
"""


def compiled(f, name, text):
    """A descriptor set of one proto; its path."""
    (f.folder / "soak.proto").write_text(text)
    out = f.folder / f"{name}.binpb"
    subprocess.run(["protoc", f"-I{f.folder}", f"--descriptor_set_out={out}", "--include_imports", "--include_source_info",
                    "soak.proto"], check=True, timeout=60)
    return out


def apply(f, path, *options, status=0):
    got, out = f.weft("schema", "apply", *options, path)
    expect(got == status, f"weft schema apply {path.name} {options}: status {got}, not {status}", out)
    return out


def asked(f, path):
    """The same over the control socket, without a process for each."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(str(f.run / "control.sock"))
        s.sendall(json.dumps({"cmd": "schema", "path": str(path), "force": False}).encode() + b"\n")
        with s.makefile("rb") as answer:
            return json.loads(answer.readline())


def decisions(f):
    return [json.loads(line) for line in (f.run / "decisions.jsonl").read_text().splitlines()]


def test_back_and_forth_at_full_speed():
    """Two streams and two askers, while sets come and go as fast as they can."""
    with Fabric("live-speed", PAIRS) as f:
        sets = [compiled(f, "same", SAME), compiled(f, "other", OTHER)]
        out = apply(f, sets[0], "--force")  # the demo's types go
        expect("epoch 2 is in force: schemas " in out and "names another set" in out, "what apply says", out)
        swaps = at_full_speed(f, lambda n: asked(f, sets[(n + 1) % 2]), COUNT, SWAPS)
        stats = f.stats()
        expect(stats["policy_epoch"] == 2 + swaps and stats["schema"]["path"] == str(sets[swaps % 2]), str(stats["schema"]))
        found = decisions(f)
        expect([d["policy_epoch"] for d in found if d.get("event") == "epoch"] == list(range(2, 3 + swaps)),
               "the log lacks a change")
        expect([d["id"] for d in found] == list(range(1, len(found) + 1)), "ids have gaps")


def test_what_does_not_fit_is_refused():
    """Refused, nothing changes; forced, the new set decides; and back."""
    with Fabric("live-refused", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}}) as f:
        start, less = compiled(f, "start", SAME), compiled(f, "less", NO_BODY)
        apply(f, start, "--force")
        b = f.soak("b", "--receive", "--allow-gap", "--idle", 30)
        b.wait_up()
        a = f.soak("a", "--to", "b", "--allow-gap", "--rate", 2000, "--sizes", 100)
        a.wait_up()
        wait_for("messages", lambda: f.port("b").get("messages_delivered", 0) > 100, 10)
        out = apply(f, less, status=1)
        expect("soak.proto:" in out and "weft.soak.Item.body" in out and "STRICT_FIELD_DELETED" in out and
               "weft.soak.Before" in out and "nothing has changed" in out, "the findings", out)
        status, out = f.weft("schema", "apply", "--json", less)
        answer = json.loads(out)
        expect(status == 1 and answer["refused"] and answer["n_changes"] == len(answer["changes"]) > 0, out)
        (f.folder / "broken.binpb").write_bytes(b"\x0a\xff\xff")
        for bad in ("broken.binpb", "nowhere.binpb"):
            out = apply(f, f.folder / bad, "--force", status=2)
            expect(bad in out, "which file", out)
        stats = f.stats()
        expect(stats["policy_epoch"] == 2 and f.port("a")["verdicts"].keys() == {"passed"}, "something changed", str(stats))

        out = apply(f, less, "--force")
        expect("epoch 3 is in force" in out and "; forced" in out, "forced", out)
        wait_for("refusals", lambda: f.port("a")["verdicts"].get("schema_unknown_field", 0) > 100, 10)
        passed = f.port("a")["verdicts"]["passed"]
        refused = [d for d in decisions(f) if d.get("verdict") == "schema_unknown_field"]
        expect(refused and all(d["detail"] == "#3" and d["policy_epoch"] == 3 for d in refused), str(refused[:1]))
        expect("epoch 3 is in force" in f.log(), "weftd's own log", f.log())
        out = f.weft("stats")[1]
        expect("epoch 3: schemas " in out and "; forced" in out, "weft stats", out)

        apply(f, start)
        wait_for("messages again", lambda: f.port("a")["verdicts"]["passed"] > passed + 100, 10)
        a.stop()
        b.stop()
        sa, sb = a.summary(20), b.summary(20)
        expect(list(sa["refusals"]) == ["schema_unknown_field"] and sa["downs"] == 0, str(sa))
        expect(sb["missing"] <= sa["refused"] and not sb["doubled"] and not sb["reordered"] and not sb["changed"], str(sb))
        expect(sb["received"] + sa["refused"] == sa["sent"], f"{sa} {sb}")


def test_a_request_without_a_method():
    """Its method goes while it is open: who asked is told at once, not when its patience ends."""
    with Fabric("live-request", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}}) as f:
        without = compiled(f, "without", NO_METHOD)
        b = f.soak("b", "--receive", "--allow-gap", "--idle", 60)
        b.wait_up()
        a = f.soak("a", "--to", "b", "--reply", "--count", 1, "--allow-gap", "--hold")
        a.wait_up()
        os.kill(b.process.pid, signal.SIGSTOP)
        try:
            a.process.send_signal(signal.SIGUSR1)
            wait_for("the request", lambda: f.port("a")["verdicts"].get("passed") == 1, 5)
            out = apply(f, without, status=1)
            expect("STRICT_METHOD_DELETED" in out and "a.yaml:" in out and 'no method "weft.soak.Echo/Ping"' in out, "why", out)
            apply(f, without, "--force")
            sa = a.summary(3)
        finally:
            os.kill(b.process.pid, signal.SIGCONT)
        expect(sa["refusals"] == {"subject_unknown": 1} and not sa["timeouts"], str(sa))
        b.stop()
        sb = b.summary(20)
        expect(sb["received"] == 0 and sb["downs"] == 0, str(sb))
        expect(f.port("b")["verdicts"].get("request_unknown", 0) == sb["answered"], "the late answer")
        d = [d for d in decisions(f) if d.get("verdict") == "subject_unknown"]
        expect(len(d) == 1 and d[0]["detail"] == "withdrawn while the request was open" and d[0]["kind"] == "request", str(d))


def large(f):
    """A set of 3,000 messages with 30,000 rules, in which the tests' own types are as they were."""
    more = []
    for i in range(3000):
        fields = " ".join(f"string f{k} = {k} [(buf.validate.field).string = {{min_len: {k}, max_len: 99}}];" for k in range(1, 11))
        more.append(f"message Large{i} {{ {fields} }}")
    text = SAME.replace("package weft.soak;", 'package weft.soak; import "buf/validate/validate.proto";') + "\n".join(more)
    (f.folder / "soak.proto").write_text(text)
    out = f.folder / "large.binpb"
    subprocess.run(["protoc", f"-I{f.folder}", f"-I{fabric.ROOT / 'schemas'}", f"--descriptor_set_out={out}", "--include_imports",
                    "soak.proto"], check=True, timeout=60)
    return out


def test_a_large_set():
    """While it is judged, messages pass and are recorded, and others who ask are answered. What it costs is not the data path's."""
    with Fabric("live-large", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}}) as f:
        sets = [compiled(f, "same", SAME), large(f)]
        apply(f, sets[0], "--force")
        b = f.soak("b", "--receive", "--allow-gap", "--idle", 60)
        b.wait_up()
        a = f.soak("a", "--to", "b", "--allow-gap", "--rate", 20000, "--sizes", 100)
        a.wait_up()
        wait_for("messages", lambda: f.port("b").get("messages_delivered", 0) > 1000, 10)
        asking = subprocess.Popen([fabric.BUILD / "bin" / "weft", "schema", "apply", sets[1], f.folder / "fabric.yaml"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        longest, answered, last = 0, 0, f.port("b")["messages_delivered"]
        began = time.monotonic()
        while asking.poll() is None:
            since = time.monotonic()
            s = f.stats()
            longest = max(longest, time.monotonic() - since)
            answered += s is not None and s["policy_epoch"] == 2
            time.sleep(0.02)
        took = time.monotonic() - began
        out = asking.stdout.read()
        expect(asking.returncode == 0 and "epoch 3 is in force" in out, f"apply: {asking.returncode}", out)
        delivered = f.port("b")["messages_delivered"] - last
        note(f"judged in {took:.2f} s; {answered} answers meanwhile, the slowest after {longest * 1000:.1f} ms; {delivered} messages")
        expect(answered >= 3 and longest < took / 2, f"{answered} answers, the slowest after {longest:.3f} s of {took:.3f} s")
        expect(delivered > 20000 * took / 20, f"only {delivered} messages in {took:.2f} s")
        expect(f.port("a")["verdicts"].keys() == {"passed"}, str(f.port("a")["verdicts"]))
        a.stop()
        b.stop()
        sa, sb = a.summary(20), b.summary(20)
        expect(not sa["refused"] and not sa["lost"] and sb["received"] == sa["sent"] and not sb["missing"], f"{sa} {sb}")


def threads(pid):
    """The CPUs that each thread may run on: {name: {list, ...}}."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        allowed = [l.split()[1] for l in (task / "status").read_text().splitlines() if l.startswith("Cpus_allowed_list")]
        found.setdefault((task / "comm").read_text().strip(), set()).update(allowed)
    return found


def test_a_core_of_its_own():
    """With --core the data path has its core for itself: who compiles schemas and writes the log runs elsewhere."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise fabric.Skipped("only one CPU")
    with Fabric("live-core", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}}) as f:
        f.weft("down")
        with open(f.folder / "weftd.out", "wb") as out:
            weftd = subprocess.Popen([fabric.BUILD / "bin" / "weftd", "--core", str(cpus[0]), f.folder / "fabric.yaml"],
                                     stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            wait_for("weftd", f.stats, 20)
            found = threads(weftd.pid)
        finally:
            weftd.terminate()
            weftd.wait(20)
        note(", ".join(f"{k}: {' '.join(sorted(v))}" for k, v in sorted(found.items())))
        expect(str(cpus[0]) in found.get("weftd", ()), f"the data path: {found}")  # sanitizers have threads of that name, too
        expect(all(str(cpus[0]) not in v for k, v in found.items() if k == "weft-control"), f"the control thread: {found}")
        expect("weft-control" in found, str(found))


if __name__ == "__main__":
    sys.exit(fabric.main([test_back_and_forth_at_full_speed, test_what_does_not_fit_is_refused, test_a_request_without_a_method,
                          test_a_large_set, test_a_core_of_its_own]))
