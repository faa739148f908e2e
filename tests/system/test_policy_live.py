#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Policies change in a running fabric: at full speed, over and over, nothing lost, doubled or out of order, and each decision
is one epoch's with that epoch's rule; broken folders change nothing; explain quotes the rule as it was; images that are not the pinned
ones do not start; quarantine and its end, which a killed weftd is not. Prints TAP."""
import hashlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys

import fabric
from fabric import Fabric, ITEM, PING, expect, note, policy, wait_for
from swaps import PAIRS, at_full_speed

COUNT = 120_000
SWAPS = 10


def write(folder, **files):
    """A policy folder of these files, and of nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def apply(f, *args, status=0):
    got, out = f.weft("policy", "apply", *args)
    expect(got == status, f"weft policy apply {' '.join(map(str, args))}: status {got}, not {status}", out)
    return out


def asked(f, path=None, **more):
    """The same over the control socket, without a process for each."""
    request = {"cmd": "policy", **({"path": str(path)} if path else {}), **more}
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(str(f.run / "control.sock"))
        s.sendall(json.dumps(request).encode() + b"\n")
        with s.makefile("rb") as answer:
            return json.loads(answer.readline())


def log(f):
    return [json.loads(line) for line in (f.run / "decisions.jsonl").read_text().splitlines()]


def decisions(f, **like):
    return [d for d in log(f) if "event" not in d and all(d.get(k) == v for k, v in like.items())]


def explained(f, number, *options, status=0):
    got, out = f.weft("explain", str(number), *options)
    expect(got == status, f"weft explain {number} {options}: status {got}, not {status}", out)
    return out


def rule(word, peer, subject, *lines, allows=True):
    lines = (*lines, fabric.CARRIES) if allows else lines
    return f"  - {word}: {peer}\n    {'method' if '/' in subject else 'message'}: {subject}\n" + \
        "".join(f"    {line}\n" for line in lines)


def speed_sets(f):
    """Three sets that let the same pass under other rules: another order, more pairs, fewer rules, conditions that hold."""
    both = {n: policy(n, [o], [o]) for n, o in (("c", "d"), ("d", "c"))}
    first = write(f.folder / "p0", **both,
                  a="unikernel: a\nsend:\n" + rule("to", "b", ITEM, "name: set-0", "log: true"),
                  b="unikernel: b\nreceive:\n" + rule("from", "a", ITEM))
    more = write(f.folder / "p1", **both,
                 a="# longer, and its lines are others\nunikernel: a\nsend:\n" + rule("to", "[c, d]", ITEM) +
                 rule("to", "b", ITEM, "name: set-1", "log: true", "where: this.seq >= 1u"),
                 b="unikernel: b\nsend:\n" + rule("to", "a", ITEM) + "receive:\n" + rule("from", "[a, c, d]", ITEM))
    other = write(f.folder / "p2", **both,
                  a="unikernel: a\nlabels: {zone: plant}\ndeny:\n" + rule("to", "b", ITEM, "where: this.seq == 0u", allows=False) +
                  "send:\n" + rule("to", "any", ITEM, "name: set-2", "log: true", 'where: self.labels["zone"] == "plant"'),
                  b="unikernel: b\nreceive:\n" + rule("from", "label:zone=plant", ITEM, "max_size: 60KiB"))
    return [first, more, other]


def test_over_and_over_at_full_speed():
    """Streams and askers while policies come and go as fast as they can, broken ones between them."""
    limits = {"decisions": "1000000/s", "log_file": "1GiB"}
    with Fabric("policy-speed", PAIRS, limits) as f:
        sets = speed_sets(f)
        broken = write(f.folder / "broken", **{n: policy(n) for n in "bcd"},
                       a="unikernel: a\nsend:\n" + rule("to", "b", "weft.soak.Itm"))
        out = apply(f, sets[0])
        expect("epoch 2 is in force: policies " in out and "names another folder" in out, "what apply says", out)

        def refused():
            answer = asked(f, broken)
            expect(answer.get("refused") and answer["n_errors"] == 1 and answer["errors"][0]["line"] == 4 and
                   "weft.soak.Item" in answer["errors"][0]["text"], f"the broken folder: {answer}")

        swaps = at_full_speed(f, lambda n: asked(f, sets[(n + 1) % 3]), COUNT, SWAPS, "--sizes", 600, between=refused)
        check_log(f, swaps)
        names = [p.name for p in (f.run / "policies").iterdir()]
        kept = [n for n in names if n.startswith("epoch-")]
        expect(len(kept) == min(swaps + 2, len(kept)) and len(kept) >= min(swaps + 2, 750), f"{len(kept)} epochs are kept")
        expect(all(p.stat().st_mode & 0o777 == 0o600 for p in (f.run / "policies").iterdir()), "the modes of what is kept")
        note(f"{len(kept)} epochs kept with {len(names) - len(kept)} texts")


def check_log(f, swaps):
    """Every delivery was recorded once, by one epoch, with the rule that this epoch has."""
    found = log(f)
    expect([d["id"] for d in found] == list(range(1, len(found) + 1)), "ids have gaps")
    epochs = [d["policy_epoch"] for d in found]
    expect(epochs == sorted(epochs), "an older epoch decided after a newer one")
    expect([d["policy_epoch"] for d in found if d.get("event") == "epoch"] == list(range(2, 3 + swaps)), "the log lacks a change")
    lines = {"set-0": 3, "set-1": 7, "set-2": 8}
    passed = {}
    for d in found:
        if d.get("from") != "a":
            continue
        name = f"set-{(d['policy_epoch'] - 2) % 3}"
        expect(d["verdict"] == "passed" and d["rule"].get("name") == name and d["rule"]["line"] == lines[name] and
               d["rule"]["file"] == str(f.folder / f"p{name[-1]}" / "a.yaml"), f"decided by another rule: {d}")
        passed[name] = passed.get(name, 0) + d["count"]
    expect(sum(passed.values()) == COUNT and len(passed) == 3, f"recorded deliveries: {passed}")
    note(f"deliveries by set: {passed}")


def test_what_is_wrong_changes_nothing():
    """All errors of all files, with their lines; dry runs; the configured folder; pairs."""
    with Fabric("policy-refused", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}, "c": {}}, {"pairs": 3}) as f:
        own = f.folder / "policy"
        out = apply(f)
        expect("epoch 1 is in force already" in out, "the same again", out)
        good = {"a": policy("a", ["b"]), "b": policy("b", (), ["a"]), "c": policy("c")}
        bad = f.folder / "bad"
        write(bad, a=good["a"] + "recieve: []\n", b="unikernel: b\nreceive:\n" + rule("from", "a", "weft.soak.Itm"), c=good["c"])
        out = apply(f, bad, status=1)
        expect(f"{bad}/a.yaml:9: unknown key" in out and f"{bad}/b.yaml:4: " in out and "2 errors; nothing has changed" in out,
               "every file's first error", out)
        write(bad, a=good["a"], b=good["b"])
        out = apply(f, bad, status=1)
        expect("fabric.yaml:10: unikernel \"c\" has no policy" in out and f"{bad}/c.yaml" in out, "a file that is missing", out)
        write(bad, **good, e=policy("e"))
        out = apply(f, bad, status=1)
        expect(f"{bad}/e.yaml: " in out and "no unikernel \"e\"" in out, "a file too many", out)
        write(bad, **good, common="assert:\n  - never: a talks to b\n")
        out = apply(f, bad, status=1)
        expect(f"{bad}/common.yaml:2: " in out, "an assertion", out)
        write(bad, **{**good, "a": good["a"].replace(fabric.CARRIES, "carries: [Httq]", 1)})
        out = apply(f, bad, status=1)
        expect(f"{bad}/a.yaml:5: " in out and "Httq" in out, "a content name", out)
        everyone = {n: policy(n, [o for o in "abc" if o != n], [o for o in "abc" if o != n]) for n in "abc"}
        out = apply(f, write(bad, **everyone), status=1)
        expect("pairs" in out and "nothing has changed" in out, "pairs that do not fit", out)
        for nowhere in (f.folder / "nowhere", f.folder / "fabric.yaml"):
            apply(f, nowhere, f.folder / "fabric.yaml", status=2)
        expect(f.stats()["policy_epoch"] == 1, "something changed")

        (own / "c.yaml").write_text(policy("c", ["b"]))
        (own / "b.yaml").write_text(policy("b", (), ["a", "c"]))
        out = apply(f, "--dry-run", status=1)  # c <-> b makes four
        expect("pairs" in out, "pairs that do not fit, tried", out)
        (own / "c.yaml").write_text(policy("c"))
        out = apply(f, "--dry-run")
        expect("epoch 1 stays in force" in out and "1 file changed" in out, "what would change", out)
        expect(f.stats()["policy_epoch"] == 1 and len(list((f.run / "policies").glob("epoch-*"))) == 1, "a dry run did something")
        out = f.weft("up")[1]
        expect("policy holds other policies than are in force" in out, "what up says", out)
        status, out = f.weft("policy", "apply", "--json")
        answer = json.loads(out)
        expect(status == 0 and answer["epoch"] == 2 and answer["files_changed"] == 1 and answer["path"] == str(own) and
               answer["digest"] == f.stats()["policies"]["digest"], out)
        expect("epoch 2 is in force" in f.log() and "holds other policies" not in f.weft("up")[1], "after it", f.log())


def test_conversations_come_and_go():
    """What is refused, by which epoch and rule; a pair that nobody had thought of; a dry run delivers."""
    with Fabric("policy-pairs", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}, "c": {}}) as f:
        b = f.soak("b", "--receive", "--allow-gap", "--idle", 60)
        b.wait_up()
        a = f.soak("a", "--to", "b", "--allow-gap", "--rate", 2000, "--sizes", 100)
        a.wait_up()
        wait_for("messages", lambda: f.port("b").get("messages_delivered", 0) > 100, 10)
        without = write(f.folder / "without", a="unikernel: a\nreason: the line is closed\n", b=policy("b", (), ["a"]),
                        c=policy("c"))
        out = apply(f, without)
        expect("epoch 2 is in force" in out and f"a may no longer send {ITEM} to b" in out and "2 no longer possible" in out,
               "what apply says", out)
        wait_for("refusals", lambda: f.port("a")["verdicts"].get("send_denied", 0) > 100, 10)
        d = decisions(f, verdict="send_denied")
        expect(all(x["policy_epoch"] == 2 and x["rule"]["file"] == str(without / "a.yaml") and x["rule"]["line"] == 1 and
                   x["rule"]["reason"] == "the line is closed" for x in d), str(d[:1]))
        observed = write(f.folder / "observed", a="unikernel: a\nmode: observe\n", b=policy("b", (), ["a"]), c=policy("c"))
        apply(f, observed)
        before = f.port("b")["messages_delivered"]
        wait_for("a dry run that delivers", lambda: f.port("b")["messages_delivered"] > before + 100, 10)
        d = wait_for("its records", lambda: decisions(f, observed="send_denied"), 5)
        expect(all(x["verdict"] == "passed" and x["policy_epoch"] == 3 for x in d), str(d[:1]))
        c = f.soak("c", "--to", "b", "--allow-gap", "--rate", 500, "--sizes", 100)
        c.wait_up()
        new = write(f.folder / "new", a=policy("a", ["b"]), b=policy("b", (), ["a", "c"]), c=policy("c", ["b"]))
        apply(f, new)
        wait_for("what c says", lambda: f.port("c")["verdicts"].get("passed", 0) > 100, 10)
        for s in (a, c, b):
            s.stop()
        sa, sc, sb = (s.summary(20) for s in (a, c, b))
        expect(list(sa["refusals"]) == ["send_denied"] and sa["downs"] == 0 and sc["downs"] == 0, f"{sa} {sc}")
        expect(sb["received"] + sa["refused"] + sc["refused"] == sa["sent"] + sc["sent"] and not sb["changed"] and
               not sb["doubled"], f"{sa} {sb} {sc}")


def test_explain():
    """Each kind of decision, under policies that were changed since, and after weftd began anew."""
    with Fabric("policy-explain", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}}) as f:
        first = write(f.folder / "first", b=policy("b", (), ["a"]),
                      a="unikernel: a\n\nsend:\n" + rule("to", "b", ITEM, "name: some", "where: this.seq > 1000000u",
                                                         'reason: "SEC-114: only late ones"'))
        apply(f, first)
        b = f.soak("b", "--receive", "--allow-gap", "--idle", 60)
        b.wait_up()
        a = f.soak("a", "--to", "b", "--allow-gap", "--rate", 50, "--sizes", 10)
        a.wait_up()
        d = wait_for("a refusal", lambda: decisions(f, verdict="where_unmet", count=1), 10)[0]
        second = write(f.folder / "second", b=policy("b", (), ["a"]), a="unikernel: a\nmode: observe\n")
        apply(f, second)
        o = wait_for("a dry run", lambda: decisions(f, observed="send_denied", count=1), 10)[0]
        third = write(f.folder / "third", b="unikernel: b\n# nothing is heard\nreason: the ward is closed\n", a=policy("a", ["b"]))
        apply(f, third)
        r = wait_for("a default", lambda: decisions(f, verdict="receive_denied", count=1), 10)[0]
        a.stop()
        a.summary(20)
        shutil.rmtree(first)
        shutil.rmtree(second)
        boot = f.stats()["boot"]
        for _ in range(2):
            out = explained(f, d["id"])
            for text in (f"decision  {d['id']} of boot {boot}", d["time"], "a to b", "weft.soak.Item", "refused: where_unmet",
                         f"{first}/a.yaml:4 (some)", "SEC-114: only late ones", "where     this.seq > 1000000u",
                         "4 |   - to: b", "7 |     where: this.seq > 1000000u", "epoch     2: policies " + str(first)):
                expect(text in out, f"\"{text}\" is missing", out)
            expect("to change " in out, "what would change it", out)
            out = explained(f, o["id"])
            expect("delivered in a dry run" in out and "send_denied" in out and f"{second}/a.yaml:1" in out, "a dry run", out)
            out = explained(f, r["id"], "--json")
            answer = json.loads(out)
            expect(answer["decision"] == r and answer["rule"]["file"] == str(third / "b.yaml") and
                   answer["rule"]["reason"] == "the ward is closed" and answer["epoch"]["number"] == 4 and
                   answer["rule"]["lines"] == [{"line": 1, "text": "unikernel: b"}] and
                   any("from: a" in c.get("yaml", "") for c in answer["changes"]), out)
            out = explained(f, 10_000_000, status=1)
            expect(f"of boot {boot}" in out and "it has 1 to " in out, "which there are", out)
            explained(f, "x", status=2)
            event = next(e for e in log(f) if e.get("event") == "epoch")
            expect("epoch 2 is in force" in explained(f, event["id"]), "an event")
            f.kill("weftd")
            f.up()  # a weftd of another boot, with another epoch 1
            out = explained(f, 9_999_999, "--boot", "0" * 16, status=1)
            expect("no decision" in out, "another boot", out)
        text = f.run / "policies" / (hashlib.sha256((third / "b.yaml").read_bytes()).hexdigest() + ".yaml")
        text.write_text(text.read_text() + "# was always there\n")
        out = explained(f, r["id"])
        expect("was changed: it is not what its name says" in out, "a kept text that was changed", out)


def test_pins():
    """An image that is not the pinned one does not start, and what runs is what was looked at."""
    why = fabric.have_guests("service_soak")
    if why:
        raise fabric.Skipped(why)
    with Fabric("policy-pins", {"a": {"image": "service_soak", "set": {"role": "receive", "to": "b"}}, "b": {}}) as f:
        yaml, image = f.folder / "fabric.yaml", f.folder / "a.elf"
        shutil.copy(fabric.BUILD / "images" / "service_soak.elf", image)
        yaml.write_text(yaml.read_text().replace(str(fabric.BUILD / "images" / "service_soak.elf"), str(image)))
        right, wrong = hashlib.sha256(image.read_bytes()).hexdigest(), "0123456789abcdef" * 4
        file = f.folder / "policy" / "a.yaml"
        f.weft("down")
        file.write_text(f"unikernel: a\nimage: sha256:{wrong}\n")
        status, out = f.weft("up")
        expect(status == 2 and right in out and wrong in out and str(image) in out and not f.stats(), "a wrong pin", out)
        file.write_text(f"unikernel: a\nimage: sha256:{right}\n")
        f.up()
        rows = {u["name"]: u for u in json.loads(f.weft("ps", "--json")[1])["unikernels"]}
        expect(rows["a"]["image"] == rows["a"]["pinned"] == right and rows["b"]["image"] is None, str(rows))
        expect(right[:12] in f.weft("ps")[1], "weft ps")
        pid = f.pid("a")
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        kernel = command[command.index(b"-kernel") + 1].decode().replace("self", str(pid))
        expect(hashlib.sha256(pathlib.Path(kernel).read_bytes()).hexdigest() == right, f"what runs: {kernel}")
        try:
            with open(kernel, "r+b") as q:
                q.write(b"x")
            raise fabric.Failed("the image that runs could be changed")
        except PermissionError:
            pass
        image.write_bytes(image.read_bytes() + b"\0")  # the file is another now, what runs is not
        status, out = f.weft("restart", "a")
        expect(status == 2 and right in out and fabric.alive(pid) and f.pid("a") == pid, "restart with another image", out)
        file.write_text(f"unikernel: a\nimage: sha256:{hashlib.sha256(image.read_bytes()).hexdigest()}\n")
        apply(f)
        out = f.weft("ps")[1]
        expect(f"a runs image sha256:{right[:12]}" in out, "ps says that the pin moved on", out)
        listed = yaml.read_text()  # another list than weftd's: what is under a's number is not a's policy
        yaml.write_text(listed.replace("unikernels:\n", "unikernels:\n  - name: c\n"))
        status, out = f.weft("restart", "a")
        expect(status == 2 and "does not serve it under port 2" in out and f.pid("a") == pid, "restart from another list", out)
        yaml.write_text(listed)
        status, out = f.weft("restart", "a")
        expect(status == 0 and f.pid("a") != pid, "restart with the pinned one", out)


def test_quarantine():
    """Cut off after so many refusals, told, and let in again."""
    with Fabric("policy-quarantine", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}}) as f:
        expect(f.weft("quarantine") == (0, "nobody is quarantined\n"), "nobody is")
        status, out = f.weft("quarantine", "lift", "a")
        expect(status == 1 and "a is not quarantined" in out, "lift for nobody", out)
        status, out = f.weft("quarantine", "lift", "nobody")
        expect(status == 2 and "no unikernel" in out, "lift of a stranger", out)
        cut = write(f.folder / "cut", b=policy("b", (), ["a"]),
                    a="unikernel: a\nquarantine: {violations: 5, within: 1m}\nreason: a is being mended\nsend:\n" +
                    rule("to", "b", PING))
        apply(f, cut)
        b = f.soak("b", "--receive", "--allow-gap", "--idle", 60)
        b.wait_up()
        a = f.soak("a", "--to", "b", "--allow-gap", "--rate", 100, "--sizes", 10)
        a.wait_up()
        wait_for("the quarantine", lambda: f.port("a").get("quarantine"), 10)
        status, out = f.weft("quarantine")
        expect(status == 1 and out.startswith("a  since 2") and "send_denied" in out and f"{cut}/a.yaml:4" in out and
               "a is being mended" in out, "who and why", out)
        status, out = f.weft("quarantine", "--json")
        q = json.loads(out)["quarantined"]
        expect(status == 1 and len(q) == 1 and q[0]["name"] == "a" and q[0]["verdict"] == "send_denied", out)
        wait_for("it is cut off", lambda: f.port("a")["verdicts"].get("quarantined", 0) > 10, 10)
        expect(f.port("a")["verdicts"]["send_denied"] == 5, str(f.port("a")["verdicts"]))
        expect("a is quarantined" in f.weft("ps")[1], "weft ps")
        apply(f, write(f.folder / "open", a=policy("a", ["b"]), b=policy("b", (), ["a"])))
        expect(f.port("a")["quarantine"] is not None, "a change of policy is no pardon")
        wait_for("weftd to forget that epoch", lambda: "file" not in f.port("a")["quarantine"]["rule"], 5)
        out = f.weft("quarantine")[1]
        expect(f"{cut}/a.yaml:4" in out and "a is being mended" in out, "why, from what is kept", out)
        f.kill()
        f.up()
        q = f.port("a")["quarantine"]
        expect(q is not None and q["verdict"] == "send_denied" and q["rule"] is None, f"nor is another weftd: {q}")
        wait_for("it is cut off again", lambda: f.port("a")["verdicts"].get("quarantined", 0) > 0, 20)
        status, out = f.weft("quarantine", "lift", "a")
        expect(status == 0 and "was lifted" in out, "lifted", out)
        wait_for("messages again", lambda: f.port("b")["messages_delivered"] > 20, 10)
        expect(f.weft("quarantine")[0] == 0, "nobody is any more")
        events = wait_for("both events", lambda: [d for d in log(f) if d.get("event") == "quarantine"], 5)
        expect([e["quarantined"] for e in events] == [True, False] and events[0]["unikernel"] == "a", str(events))
        a.stop()
        sa = a.summary(20)
        expect(set(sa["refusals"]) - {"session_lost"} == {"send_denied", "quarantined"}, str(sa))
        subprocess.run([fabric.BUILD / "bin" / "weft", "quarantine", "lift"], capture_output=True, check=False, timeout=10)


if __name__ == "__main__":
    sys.exit(fabric.main([test_over_and_over_at_full_speed, test_what_is_wrong_changes_nothing, test_conversations_come_and_go,
                          test_explain, test_pins, test_quarantine]))
