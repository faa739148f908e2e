#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`weft policy check`, `test` and `explain` as a person or a script meets them, on folders that are good and on every kind of
folder that is not. Needs no running fabric. Prints TAP."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import tap
from tap import expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
WEFT = BUILD / "bin" / "weft"
DIR = BUILD / "run" / "tests" / "policy"
SHOP = "tests/policy/folders/shop"
BANK = "tests/policy/folders/bank"
SSH = "U1NILTIuMC1PcGVuU1NIXzkuMnAxIERlYmlhbi0yK2RlYjEydTINCg=="


def weft(*args, status=0, cwd=ROOT):
    p = subprocess.run([WEFT, "policy", *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                       cwd=cwd, check=False)
    expect(p.returncode == status,
           f"weft policy {args}: exit status {p.returncode}, not {status}\n{p.stdout}{p.stderr}")
    return p


def asked(*args, status=0):
    """The answer as JSON: one object on one line, and nothing else said."""
    p = weft(*args, "--json", status=status)
    expect(p.stdout.count("\n") == 1 and not p.stderr, f"not one line: {p.stdout}{p.stderr}")
    return json.loads(p.stdout)


def says(text, *parts):
    for part in parts:
        expect(part in text, f"it does not say {part!r}", text)


def folder(files, name="folder"):
    """A folder below DIR with these files, instead of what it held."""
    path = DIR / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    for file, text in files.items():
        (path / file).write_text(text)
    return path


def copy(of, **files):
    """A copy of a folder in the tree, with some of its files replaced; name__test stands for name.test."""
    path = DIR / pathlib.Path(of).name
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(ROOT / of, path)
    for name, text in files.items():
        (path / (name.replace("__", ".") + ".yaml")).write_text(text)
    common = (path / "common.yaml")
    common.write_text(common.read_text().replace("../shop/shop.proto", str(ROOT / SHOP / "shop.proto")))
    return path


# --- check ---


def test_check_of_good_folders():
    says(weft("check", SHOP).stdout, "5 unikernels, 10 rules, ", "2 of 2 assertions hold")
    a = asked("check", SHOP)
    expect(a["errors"] == [] and a["unikernels"] == 5 and a["rules"] == 10, a)
    expect([(x["line"], x["holds"]) for x in a["assertions"]] == [(8, True), (9, True)], a)
    says(weft("check", BANK).stdout, "3 unikernels, 5 rules, 2 conversations")


def test_every_file_tells_its_first_error():
    path = copy(SHOP, shop="unikernel: shop\nsnd: []\n", hall="unikernel: hal\n", kiosk="unikernel: kiosk\nsend:\n  - to: ledgr\n"
                "    message: shop.Order\n")
    p = weft("check", path, status=2)
    says(p.stderr, f'{path}/shop.yaml:2:1: unknown key "snd" in a policy; did you mean "send"?', f"{path}/hall.yaml:1:12: ",
         f"{path}/kiosk.yaml:3:9: ", 'did you mean "ledger"?')
    expect(p.stdout == "", p.stdout)
    a = asked("check", path, status=2)
    expect(sorted((pathlib.Path(e["file"]).name, e["line"]) for e in a["errors"])
           == [("hall.yaml", 1), ("kiosk.yaml", 3), ("shop.yaml", 2)], a["errors"])
    expect(a["findings"] == [] and a["assertions"] == [], a)


def test_an_assertion_that_does_not_hold():
    path = copy(SHOP)
    text = (path / "common.yaml").read_text() + "  - never: kiosk reaches ledger\n"
    (path / "common.yaml").write_text(text)
    line = text.count("\n")
    says(weft("check", path, status=1).stdout, f"{path}/common.yaml:{line}: assertion does not hold: ",
         "kiosk reaches ledger", "kiosk.yaml:5", "2 of 3 assertions hold")
    a = asked("check", path, status=1)
    bad = [x for x in a["assertions"] if not x["holds"]]
    expect(len(bad) == 1 and bad[0]["line"] == line and bad[0]["from"] == "kiosk" and bad[0]["to"] == "ledger", a)
    weft("test", path, status=1)


def test_findings():
    path = copy(BANK, clerk="unikernel: clerk\nsend:\n  - to: teller\n    message: shop.Alarm\n")
    says(weft("check", path, status=1).stdout, f"{path}/clerk.yaml:3: one_sided: ", "1 finding")
    a = asked("check", path, status=1)
    expect([(f["kind"], f["line"], f["rule"]["line"]) for f in a["findings"]] == [("one_sided", 3, 3)], a["findings"])
    expect(a["conversations"] == 1 and a["errors"] == [], a)


def test_content_that_nothing_can_be():
    """The field is named, and what is missing."""
    rule = "unikernel: {0}\n{1}:\n  - {2}\n    message: shop.Alarm\n    carries: {3}\n"
    for there, here, why in (("doubtful", "doubtful", "doubtful alone lets nothing pass in the field"),
                             ("json", "HTTP", "carries nothing that both let pass; make them agree")):
        path = copy(BANK, clerk=rule.format("clerk", "send", "to: teller", there),
                    teller=rule.format("teller", "receive", "from: clerk", here))
        out = weft("check", path, status=1).stdout
        says(out, f"{path}/clerk.yaml:3: contradiction: ", f"{path}/teller.yaml:3: contradiction: ", why, " the field ")


def test_content_that_ndpi_does_not_know():
    path = copy(SHOP, kiosk="unikernel: kiosk\nsend:\n  - to: ledger\n    message: shop.Order\n    carries: [Postgres]\n")
    says(weft("check", path, status=2).stderr, f"{path}/kiosk.yaml:5:15: ", "PostgreSQL")


# --- schemas ---


def test_schemas_from_wherever_they_are():
    files = {"shop.yaml": "unikernel: shop\n"}
    path = folder(files)
    says(weft("check", path, status=2).stderr, "nothing names its schemas", "common.yaml")
    says(weft("check", path, "--schemas", SHOP).stdout, "1 unikernel, 0 rules, 0 conversations: all is well")
    weft("check", path, "--schemas", f"{SHOP}/shop.proto")
    demo = BUILD / "schemas" / "demo.binpb"
    weft("check", path, "--schemas", demo, "--schemas", SHOP, "--schemas", f"{SHOP}/shop.proto")
    both = folder({**files, "shop.yaml": "unikernel: shop\nsend:\n  - to: hub\n    message: [shop.Order, demo.Reading]\n",
                   "hub.yaml": "unikernel: hub\nreceive:\n  - from: shop\n    message: [shop.Order, demo.Reading]\n",
                   "common.yaml": f"schemas: [{demo}, {ROOT / SHOP}]\n"})
    says(weft("check", both).stdout, "2 unikernels, 2 rules, 2 conversations: all is well")


def test_schemas_that_are_none():
    path = folder({"shop.yaml": "unikernel: shop\n", "common.yaml": "groups: {}\nschemas: [missing.binpb]\n"})
    says(weft("check", path, status=2).stderr, f'{path}/common.yaml:2: "schemas": {path}/missing.binpb: No such file')
    (path / "missing.binpb").write_text("no set")
    says(weft("check", path, status=2).stderr, f"{path}/common.yaml:2: ", "missing.binpb")
    says(weft("check", path, "--schemas", "nowhere", status=2).stderr, "weft policy check: nowhere: No such file")
    (path / "bad.proto").write_text('syntax = "proto3"; message A { Nothing n = 1; }')
    says(weft("check", path, "--schemas", path / "bad.proto", status=2).stderr, "bad.proto:1:", "protoc refuses these files")
    e = json.loads(weft("check", path, "--schemas", path / "bad.proto", "--json", status=2).stdout)["errors"]
    expect(len(e) == 1 and "cannot be compiled" in e[0]["text"], e)


def test_schemas_that_contradict_each_other():
    path = folder({"shop.yaml": "unikernel: shop\n"})
    for name, kind in (("one", "string"), ("two", "bytes")):
        (path / name).mkdir()
        (path / name / "a.proto").write_text(f'syntax = "proto3"; message A {{ {kind} n = 1; }}')
    says(weft("check", path, "--schemas", path / "one", "--schemas", path / "two", status=2).stderr,
         f'{path}/two: its "a.proto" is not that of {path}/one')


# --- test ---


def test_cases_that_come_out_as_expected():
    says(weft("test", SHOP).stdout, "18 cases, 18 passed, 0 failed; 9 of 10 rules reached",
         "no case reaches", "ledger.yaml:19 (no-kiosk-calls)")
    a = asked("test", SHOP)
    expect(a["failed"] == 0 and a["passed"] == 18 and all(c["ok"] for c in a["cases"]), a)
    expect([(r["name"], r["line"]) for r in a["coverage"]["unreached"]] == [("no-kiosk-calls", 19)], a["coverage"])
    expect(a["coverage"]["rules"] == 10 and a["coverage"]["reached"] == 9, a["coverage"])
    says(weft("test", BANK, "-v").stdout, "bank.test.yaml:2: ok: a small order", "6 passed, 0 failed; 5 of 5 rules reached")


def case(**keys):
    keys = {"name": "x", "from": "teller", "to": "vault", "message": "shop.Order", "expect": "passed", **keys}
    return "  - " + "\n    ".join(f"{k}: {v}" for k, v in keys.items() if v is not None) + "\n"


def test_cases_that_fail():
    path = copy(BANK, bank__test="cases:\n" + case(json="'{\"amount\": 2000}'", rule="small")
                + case(name="y", json="'{\"currency\": \"EUR\"}'", rule="urgent")
                + case(name="z", json="'{\"currency\": \"EUR\"}'", expect="observed where_unmet")
                + case(name="fine", json="'{\"currency\": \"EUR\"}'", rule="from-front"))
    p = weft("test", path, status=1)
    says(p.stdout, f"{path}/bank.test.yaml:2: failed: x", "expected  passed, by small", "came      where_unmet",
         f"by        {path}/teller.yaml:9 (urgent): ", "where     this.priority > 5",
         "expected  passed, by urgent", "came      passed", "expected  observed where_unmet",
         "4 cases, 1 passed, 3 failed")
    a = asked("test", path, status=1)
    expect([c["ok"] for c in a["cases"]] == [False, False, False, True], a)
    expect(a["cases"][0]["got"]["rule"]["name"] == "urgent" and a["cases"][0]["expected"]["rule"] == "small", a["cases"][0])


def test_broken_cases():
    broken = {
        "": 'the file is empty',
        "case: []\n": 'unknown key "case" in a file of cases',
        "cases: []\n": "no case",
        "cases: x\n": '"cases" takes a list',
        "cases:\n  - x\n": "a case must be a mapping",
        "cases:\n" + case(name=None): 'a case lacks "name"',
        "cases:\n" + case() + case(): 'a case named "x" is on line 2 already',
        "cases:\n" + case(frm="a"): 'unknown key "frm" in a case; did you mean "from"?',
        "cases:\n" + case(**{"from": "tellr"}): 'there is no unikernel "tellr"; did you mean "teller"?',
        "cases:\n" + case(to="teller"): "does not cross the fabric",
        "cases:\n" + case(message="shop.Ordr"): 'the schemas have no message type "shop.Ordr"; did you mean "shop.Order"?',
        "cases:\n" + case(message="shop.Ledger/Book"): '"shop.Ledger/Book" is a method; write it under "method"',
        "cases:\n" + case(message=None, method="shop.Order"): '"shop.Order" is a message type; write it under "message"',
        "cases:\n" + case(message=None): 'a case has either "message" or "method"',
        "cases:\n" + case(method="shop.Ledger/Book"): 'a case has either "message" or "method"',
        "cases:\n" + case(expect="pased"): 'not "pased"; did you mean "passed"?',
        "cases:\n" + case(expect="observed passed"): '"expect" takes a verdict or "observed VERDICT"',
        "cases:\n" + case(expect="peer_down"): '"expect" cannot be "peer_down": only a running fabric gives that verdict',
        "cases:\n" + case(rule="smal"): 'neither teller nor vault has a rule named "smal"; did you mean "small"?',
        "cases:\n" + case(rule="teller.yaml:6"): 'no rule of teller or vault begins at "teller.yaml:6"',
        "cases:\n" + case(rule="teller.yaml:x"): '"rule" takes a rule\'s name, FILE:LINE or default',
        "cases:\n" + case(json="'{}'", hex="00"): 'a case has one of "json", "hex" and "file"',
        "cases:\n" + case(json="'{'"): "not JSON",
        "cases:\n" + case(json="'{\"amount\": 1, \"amount\": 2}'"): "duplicate object key",
        "cases:\n" + case(json="'{\"amunt\": 1}'"): 'it has no field "amunt"; its fields are amount, currency',
        "cases:\n" + case(json="'{\"amount\": \"x\"}'"): 'not a shop.Order: (amount): invalid value "x"',
        "cases:\n" + case(hex="0g"): "not pairs of hex digits at character 1",
        "cases:\n" + case(hex="'080'"): "not pairs of hex digits at character 3",
        "cases:\n" + case(file="nothing.bin"): "nothing.bin: No such file",
        "cases:\n" + case(at="2026-02-30T00:00:00Z"): '"at" takes a time such as',
        "cases:\n" + case(times="0"): '"times" takes a number from 1',
        "cases:\n" + case(times="many"): '"times" takes a number from 1',
    }
    for text, why in broken.items():
        path = copy(BANK, bank__test=text)
        p = weft("test", path, status=2)
        says(p.stderr, why, f"{path}/bank.test.yaml")
        expect("reached" not in p.stdout, "coverage of what was not run", p.stdout)
        e = asked("test", path, status=2)["errors"]
        expect(len(e) == 1 and why in e[0]["text"] and e[0]["file"] == f"{path}/bank.test.yaml", e)
        expect(text == "" or text.startswith("case:") or e[0]["line"] > 0, e)


def test_no_cases():
    path = copy(BANK)
    (path / "bank.test.yaml").unlink()
    says(weft("test", path, status=2).stderr, f"{path} has no cases; write some into {path}/NAME.test.yaml")


def test_bytes_as_they_are():
    path = copy(BANK, bank__test="cases:\n" + case(file="m.bin") + case(name="h", hex="08 05 10 01")
                + case(name="broken", hex="08", expect="schema_truncated"))
    (path / "m.bin").write_bytes(bytes([8, 5, 16, 1]))
    says(weft("test", path).stdout, "3 cases, 3 passed")


# --- explain ---


def explain(where, a, b, subject, *more, status=0):
    kind = "--method" if "/" in subject else "--message"
    return asked("explain", where, "--from", a, "--to", b, kind, subject, *more, status=status)


def test_explain_a_default():
    args = ("explain", SHOP, "--from", "hall", "--to", "ledger", "--message", "shop.Order")
    says(weft(*args, status=1).stdout, "hall -> ledger, shop.Order: refused, send_denied",
         f"by         {SHOP}/hall.yaml:3: default: send nothing else", "    3 | send:",
         f'add a rule to {SHOP}/hall.yaml under "send"', "send:\n        - to: ledger\n          message: shop.Order",
         f'and add a rule to {SHOP}/ledger.yaml under "receive"')
    a = explain(SHOP, "hall", "ledger", "shop.Order", status=1)
    expect(a["verdict"] == "send_denied" and a["rule"]["default"] and a["rule"]["line"] == 3, a)
    expect([(c["kind"], c["instead"], pathlib.Path(c["file"]).name) for c in a["changes"]]
           == [("add", False, "hall.yaml"), ("add", False, "ledger.yaml")], a["changes"])
    expect(a["source"] == ["send:"] and a["sender"]["refuses"] and a["receiver"]["refuses"], a)


def test_a_deny_rule_about_what_nothing_allows():
    a = explain(SHOP, "kiosk", "ledger", "shop.Ledger/Book", status=1)
    expect(a["verdict"] == "send_denied" and [r["name"] for r in a["receiver"]["covered_by"]] == ["no-kiosk-calls"], a)
    expect([(c["kind"], c["instead"], pathlib.Path(c["file"]).name, c.get("line")) for c in a["changes"]]
           == [("add", False, "kiosk.yaml", None), ("narrow", False, "ledger.yaml", 19), ("add", False, "ledger.yaml", None)],
           a["changes"])


def test_what_is_said_to_add_is_enough():
    """The suggested rules are written into the files as they stand, and the message passes."""
    path = copy(SHOP)
    for c in explain(path, "hall", "ledger", "shop.Order", status=1)["changes"]:
        key, rest = c["yaml"].split("\n", 1)
        text = pathlib.Path(c["file"]).read_text()
        expect(f"\n{key}\n" in text, f"{c['file']} has no {key}", text)
        pathlib.Path(c["file"]).write_text(text.replace(f"\n{key}\n", f"\n{key}\n{rest}"))
    expect(explain(path, "hall", "ledger", "shop.Order")["verdict"] == "passed", "it does not pass")


def test_explain_a_where():
    a = explain(BANK, "teller", "vault", "shop.Order", "--payload", '{"amount": 1001, "currency": "EUR"}', status=1)
    expect(a["verdict"] == "where_unmet" and a["rule"]["name"] == "urgent", a)
    told = {r["name"]: r for side in ("sender", "receiver") for r in a[side]["covered_by"]}
    expect({n: r["state"] for n, r in told.items()}
           == {"small": "unmet", "urgent": "unmet", "no-notes": "unmet", "from-front": "holds"}, told)
    expect(told["small"]["values"] == {"this.amount": 1001, "this.currency": "EUR"}, told["small"])
    expect(told["urgent"]["values"] == {"this.priority": None}, told["urgent"])
    expect(told["from-front"]["values"] == {"peer.labels": {"zone": "front"}}, told["from-front"])
    expect([c["kind"] for c in a["changes"]] == ["loosen", "message", "message"], a["changes"])
    expect([c["text"].split(": ")[1] for c in a["changes"][1:]] == ["this.amount at most 1000", "this.priority at least 6"],
           a["changes"])
    for c in a["changes"]:
        if "message" in c:
            b = explain(BANK, "teller", "vault", "shop.Order", "--payload", c["message"])
            expect(b["verdict"] == "passed", f"what is said to pass does not: {c}")


def test_explain_a_deny_rule():
    a = explain(BANK, "teller", "vault", "shop.Order", "--payload", '{"currency": "EUR", "note": "a gift"}', status=1)
    expect(a["verdict"] == "forbidden" and a["rule"]["name"] == "no-notes" and a["rule"]["deny"], a)
    expect(a["rule"]["reason"] == "FRAUD-3: no gifts", a["rule"])
    expect(a["changes"][0]["kind"] == "narrow" and a["changes"][0]["line"] == 10, a["changes"])


def test_explain_without_content():
    a = explain(BANK, "teller", "vault", "shop.Order", status=1)
    expect(a["verdict"] is None and a["content"] == "unknown" and a["sender"]["refuses"] is None, a)
    expect(any(c["kind"] == "message" for c in a["changes"]), a["changes"])
    a = explain(SHOP, "shop", "ledger", "shop.Order", "--size", "4KiB", status=1)
    expect(a["verdict"] == "too_large" and a["bytes"] == 4096 and a["rule"]["name"] == "orders", a)
    expect(a["source"] == ["  - name: orders", "    to: ledger", "    message: shop.Order", "    max_size: 256B"], a["source"])
    says(a["changes"][0]["text"], "raise max_size of the rule on line 6", "4096B")


def test_explain_what_only_asks_who_they_are():
    path = copy(BANK, vault="unikernel: vault\nreceive:\n  - from: any\n    message: shop.Order\n"
                "    where: peer.labels.zone == \"front\"\n    max_size: 1KiB\n",
                clerk="unikernel: clerk\nsend:\n  - to: vault\n    message: shop.Order\n", teller="unikernel: teller\n"
                "labels: {zone: front}\nsend:\n  - to: vault\n    message: shop.Order\n")
    a = explain(path, "clerk", "vault", "shop.Order", status=1)
    expect(a["verdict"] == "where_unmet" and a["rule"]["line"] == 3 and a["content"] == "unknown", a)
    expect(explain(path, "teller", "vault", "shop.Order")["verdict"] == "passed", "labels decide")
    expect(explain(path, "teller", "vault", "shop.Order", "--size", "2KiB", status=1)["verdict"] == "too_large", "its size does")


def test_explain_schemas_and_content():
    a = explain(SHOP, "shop", "ledger", "shop.Order", "--payload", '{"amount": -1}', status=1)
    expect(a["verdict"] == "schema_rule" and a["detail"].startswith("amount: int64.gte: "), a)
    a = explain(SHOP, "kiosk", "ledger", "shop.Order", "--payload", json.dumps({"attachment": SSH}), status=1)
    expect(a["verdict"] == "content_forbidden" and a["detail"] == "SSH in attachment", a)
    expect([c["text"] for c in a["changes"]] == [f'list SSH beside unknown under "carries" of the rule on line 5 of {SHOP}/kiosk.yaml'], a)


def test_explain_a_dry_run():
    a = explain(SHOP, "hall", "ledger", "shop.Alarm", "--payload", '{"text": "fire in the hall"}')
    expect(a["verdict"] == "passed" and a["observed"] == "too_large" and a["rule"]["name"] == "trial", a)
    expect([c["kind"] for c in a["changes"]] == ["enforce"], a["changes"])


def test_json_is_always_the_same_bytes():
    """Fields by number, maps by key, defaults left out: whatever the order in which they were written."""
    a = '{"amount": 7, "counts": {"a": 1, "b": 2, "c": 3}, "note": "x", "priority": 0}'
    b = '{"priority": 0, "note": "x", "counts": {"c": 3, "a": 1, "b": 2}, "amount": "7", "currency": "CURRENCY_UNKNOWN"}'
    sizes = {explain(SHOP, "kiosk", "ledger", "shop.Order", "--payload", p)["bytes"] for p in (a, b)}
    expect(sizes == {2 + 3 + 2 + 3 * 7}, sizes)


def test_explain_what_passes():
    a = explain(SHOP, "shop", "ledger", "shop.Ledger/Book", "--hex", "")
    expect(a["verdict"] == "passed" and a["rule"]["name"] == "book", a)
    expect([c["kind"] for c in a["changes"]] == ["stop"] * 3 and a["changes"][0]["yaml"].startswith("deny:\n"), a["changes"])
    (DIR / "m.bin").write_bytes(bytes([8, 5]))
    expect(explain(SHOP, "shop", "ledger", "shop.Ledger/Book", DIR / "m.bin")["bytes"] == 2, "the file's size")


def test_questions_that_cannot_be_answered():
    for args, why in (
            (("hll", "ledger", "--message", "shop.Order"), 'has no unikernel "hll"; did you mean "hall"?'),
            (("hall", "ledger", "--message", "shop.Ordr"), 'no message type "shop.Ordr"; did you mean "shop.Order"?'),
            (("hall", "ledger", "--method", "shop.Ledger/Bok"), 'no method "shop.Ledger/Bok"; did you mean'),
            (("hall", "ledger", "--message", "shop.Ledger/Book"), "is a method"),
            (("hall", "hall", "--message", "shop.Order"), "does not cross the fabric"),
            (("hall", "ledger", "--message", "shop.Order", "--payload", "["), "not JSON"),
            (("hall", "ledger", "--message", "shop.Order", "nowhere"), "nowhere: No such file")):
        p = weft("explain", SHOP, "--from", args[0], "--to", args[1], *args[2:], status=2)
        says(p.stderr, "weft policy explain: ", why)
        says(asked("explain", SHOP, "--from", args[0], "--to", args[1], *args[2:], status=2)["errors"][0]["text"], why)
    for args in ((), ("explain",), ("explain", SHOP), ("explain", SHOP, "--from", "a", "--to", "b"), ("chek",),
                 ("check",), ("test", "a", "b"),
                 ("explain", SHOP, "--from", "a", "--to", "b", "--message", "c", "--at", "noon"),
                 ("explain", SHOP, "--from", "a", "--to", "b", "--message", "c", "--size", "4"),
                 ("explain", SHOP, "--from", "a", "--to", "b", "--message", "c", "--hex", "", "--payload", "{}")):
        weft(*args, status=2)
    says(weft("chek", status=2).stderr, 'there is no command "chek"; did you mean "check"?')
    says(weft("--help").stdout, "check", "test", "explain", "diff", "graph", "reach", "learn", "fmt", "apply")


def test_lookalikes_of_policies():
    path = copy(BANK)
    (path / "hub.yml").write_text("unikernel: hub\n")
    says(weft("check", path, status=2).stderr, f"{path}/hub.yml: ")
    (path / "hub.yml").unlink()
    says(weft("check", DIR / "nowhere", status=2).stderr, "nowhere: cannot be opened as a folder of policies")


if __name__ == "__main__":
    if not WEFT.exists():
        sys.exit(tap.skip_all(f"{WEFT} is not built"))
    DIR.mkdir(parents=True, exist_ok=True)
    sys.exit(tap.run(tap.named_tests(globals())))
