#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The worked examples under policy/examples: each compiles, its cases pass, it is laid out, the JSON Schema takes its files,
and what its README shows is what the commands print. And the JSON Schema refuses what is plainly wrong. `--update` writes what
the commands print into the READMEs. Prints TAP."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import tap
from tap import Skipped, expect

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
WEFT = BUILD / "bin" / "weft"
EXAMPLES = ROOT / "policy" / "examples"
FOLDERS = sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir())
SCHEMA = ROOT / "policy" / "policy.schema.json"
BLOCK = re.compile(r"```console\n(.*?)```", re.S)


def run(args, cwd=EXAMPLES):
    p = subprocess.run([WEFT, *args], cwd=cwd, capture_output=True, timeout=120, check=False)
    return p.returncode, p.stdout.decode() + p.stderr.decode()


def weft(*args, status=0, cwd=EXAMPLES):
    got, text = run(args, cwd)
    expect(got == status, f"weft {' '.join(args)}: exit status {got}, not {status}", text)
    return text


def test_there_are_ten():
    expect(len(FOLDERS) >= 10, f"{len(FOLDERS)} examples")
    for name in FOLDERS:
        for what in ("README.md", "common.yaml", "*.proto", "*.test.yaml"):
            expect(list((EXAMPLES / name).glob(what)), f"{name} has no {what}")
        lines = len((EXAMPLES / name / "README.md").read_text().splitlines())
        expect(lines <= 80, f"{name}/README.md has {lines} lines: more than a page")


def test_all_compile_and_nothing_is_wrong_with_them():
    for name in FOLDERS:
        weft("policy", "check", name)


def test_all_cases_pass():
    for name in FOLDERS:
        answer = json.loads(weft("policy", "test", name, "--json"))
        tap.note(f"{name}: {len(answer.get('cases', []))} cases")
        text = weft("policy", "test", name)
        expect(", 0 failed" in text, f"{name}: cases fail", text)


def test_a_case_that_is_wrong_is_found():
    """The same files with another expectation: a test that cannot fail would show nothing."""
    folder = BUILD / "run" / "tests" / "policy_examples"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLES / FOLDERS[0], folder)
    case = next(folder.glob("*.test.yaml"))
    case.write_text(case.read_text().replace("expect: passed", "expect: too_large", 1))
    weft("policy", "test", str(folder), status=1)


def test_all_are_laid_out():
    weft("policy", "fmt", "--check", *FOLDERS)


def shown(block, cwd=EXAMPLES):
    """A README's block with what the commands in it print now."""
    out = []
    for line in block.splitlines():
        if line.startswith("$ "):
            words = shlex.split(line[2:])
            expect(words[0] == "weft", f"a README shows a command other than weft: {line}")
            out.append(line + "\n" + run(words[1:], cwd)[1])
    return "".join(out)


def test_readmes_show_what_is_printed():
    for name in FOLDERS:
        text = (EXAMPLES / name / "README.md").read_text()
        blocks = BLOCK.findall(text)
        expect(blocks, f"{name}/README.md shows no command")
        for block in blocks:
            now = shown(block)
            expect(block == now, f"{name}/README.md shows what is not printed any more (this script with --update writes it)",
                   f"--- shown\n{block}--- printed\n{now}")


def update():
    for name in FOLDERS:
        path = EXAMPLES / name / "README.md"
        path.write_text(BLOCK.sub(lambda m: "```console\n" + shown(m.group(1)) + "```", path.read_text()))


# --- the tutorial ----------------------------------------------------------------------------------------------------------

def tutorial():
    """The files of docs/policy.md's tutorial in a folder beside what was built, as it says."""
    top = BUILD / "run" / "tests" / "policy_tutorial"
    folder = top / "pump"
    shutil.rmtree(top, ignore_errors=True)
    (folder / "policy").mkdir(parents=True)
    (top / "build").symlink_to(BUILD)
    text = (ROOT / "docs" / "policy.md").read_text()
    blocks = re.findall(r"```yaml\n# policy/(\S+)\n(.*?)```", text, re.S)
    for name, block in blocks:
        (folder / "policy" / name).write_text(block)
    expect(len(blocks) == 7, [name for name, _ in blocks])
    return folder, text


def test_the_tutorial_does_what_it_says():
    folder, text = tutorial()
    blocks = BLOCK.findall(text)
    expect(len(blocks) == 2, blocks)
    for block in blocks:
        now = shown(block, folder)
        expect(block == now, "docs/policy.md shows what is not printed any more", f"--- shown\n{block}--- printed\n{now}")
    weft("policy", "fmt", "--check", "policy", cwd=folder)
    text = weft("policy", "explain", "policy", "--from", "camera", "--to", "valve", "--method", "demo.Valve/Act", status=1, cwd=folder)
    expect("send_denied" in text and "camera.yaml:1" in text, text)
    weft("policy", "diff", "policy", "policy", cwd=folder)


# --- the JSON Schema -------------------------------------------------------------------------------------------------------

def validator():
    if jsonschema is None:
        raise Skipped("python3-jsonschema and python3-yaml are not there")

    class Loader(yaml.SafeLoader):
        """YAML 1.2's core, as editors read it: no dates, no `yes` and `no`, no octal and sexagesimal numbers."""
    Loader.yaml_implicit_resolvers = {}
    for tag, pattern, first in (("bool", r"^(true|false)$", "tf"), ("null", r"^(null|~|)$", ["n", "~", ""]),
                                ("int", r"^[-+]?[0-9]+$", "-+0123456789"), ("float", r"^[-+]?[0-9]+[.][0-9]+$", "-+0123456789")):
        Loader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(pattern), list(first))
    Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    check = jsonschema.Draft7Validator(schema)
    return lambda text: [e.message for e in check.iter_errors(yaml.load(text, Loader))]


def test_schema_takes_all_examples():
    errors, n = validator(), 0
    folders = [EXAMPLES / name for name in FOLDERS] + [ROOT / "unikernel" / "demo" / "policy"]
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            found = errors(path.read_text())
            expect(not found, f"{path.relative_to(ROOT)}: {found[:3]}")
            n += 1
    tap.note(f"{n} files")


POLICY = "unikernel: a\n"
WRONG = {
    "an unknown key": POLICY + "sned: []\n",
    "no unikernel": "send: []\n",
    "a unikernel that is called any": "unikernel: any\n",
    "an upper-case name": "unikernel: Hub\n",
    "a mode that is none": POLICY + "mode: dry\n",
    "a digest that is too short": POLICY + "image: sha256:00\n",
    "quarantine without a time": POLICY + "quarantine: {violations: 3}\n",
    "quarantine of no violations": POLICY + "quarantine: {violations: 0, within: 1m}\n",
    "labels in a list": POLICY + "labels: [a]\n",
    "a label's name with a blank": POLICY + "labels: {a b: c}\n",
    "rules that are no list": POLICY + "send: {to: b, message: x.Y}\n",
    "a rule without peer": POLICY + "send: [{message: x.Y}]\n",
    "a send rule with from": POLICY + "send: [{from: b, message: x.Y}]\n",
    "a rule without subject": POLICY + "send: [{to: b}]\n",
    "a rule with both subjects": POLICY + "send: [{to: b, message: x.Y, method: x.Z/Do}]\n",
    "an empty list of peers": POLICY + "send: [{to: [], message: x.Y}]\n",
    "a peer that is no name": POLICY + "send: [{to: 'all of them', message: x.Y}]\n",
    "a method without a service": POLICY + "send: [{to: b, method: Act}]\n",
    "a size without unit": POLICY + "send: [{to: b, message: x.Y, max_size: '4096'}]\n",
    "a size in kilobytes": POLICY + "send: [{to: b, message: x.Y, max_size: 4kB}]\n",
    "a rate without period": POLICY + "send: [{to: b, message: x.Y, rate: 100}]\n",
    "a rate a day": POLICY + "send: [{to: b, message: x.Y, rate: 100/d}]\n",
    "a burst without rate": POLICY + "send: [{to: b, message: x.Y, burst: 5}]\n",
    "a quota an hour": POLICY + "send: [{to: b, message: x.Y, quota: 5/h}]\n",
    "log that is no truth": POLICY + "send: [{to: b, message: x.Y, log: yes}]\n",
    "more names than a rule may list": POLICY + f"send: [{{to: b, message: x.Y, carries: [{', '.join(f'P{i}' for i in range(17))}]}}]\n",
    "profiles in a list": POLICY + "profiles: [text]\n",
    "a profile that is a list": POLICY + "profiles: {docs: [text]}\n",
    "a profile that says nothing": POLICY + "profiles: {docs: {}}\n",
    "a profile with an upper-case name": POLICY + "profiles: {Docs: {allow: text}}\n",
    "an unknown key in a profile": POLICY + "profiles: {docs: {carries: text}}\n",
    "a profile's names in a mapping": POLICY + "profiles: {docs: {allow: {a: b}}}\n",
    "a shared profile that says nothing": "profiles: {docs: {}}\nschemas: x\n",
    "a protocol twice": POLICY + "send: [{to: b, message: x.Y, carries: [HTTP, HTTP]}]\n",
    "a reason that is too long": POLICY + f"reason: {'x' * 201}\n",
    "a deny rule without peer": POLICY + "deny: [{message: x.Y}]\n",
    "a deny rule with both peers": POLICY + "deny: [{to: b, from: b}]\n",
    "a deny rule with a limit": POLICY + "deny: [{to: b, rate: 1/s}]\n",
    "groups in a list": "groups: [a]\n",
    "an empty group": "groups: {a: []}\n",
    "any in a group": "groups: {a: any}\n",
    "an assertion of both kinds": "assert: [{never: a reaches b, always: b reaches a}]\n",
    "an assertion that says nothing": "assert: [{never: a and b}]\n",
    "cases beside rules": POLICY + "cases: []\n",
    "a case without a name": "cases: [{from: a, to: b, message: x.Y, expect: passed}]\n",
    "a case that expects nothing": "cases: [{name: x, from: a, to: b, message: x.Y}]\n",
    "a case with two payloads": "cases: [{name: x, from: a, to: b, message: x.Y, expect: passed, json: '{}', hex: '00'}]\n",
    "a case at no time": "cases: [{name: x, from: a, to: b, message: x.Y, expect: passed, at: noon}]\n",
}


def test_schema_refuses_what_is_wrong():
    errors = validator()
    for what, text in WRONG.items():
        expect(errors(text), f"the JSON Schema takes {what}: {text}")
    tap.note(f"{len(WRONG)} texts")


if __name__ == "__main__":
    if "--update" in sys.argv:
        update()
    else:
        sys.exit(tap.run(tap.named_tests(dict(globals()))))
