#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Rules that a file's text can break: who includes whom, heads, sizes, words that must not stay, links. Prints TAP.

Leaves what a compiler knows to test_compile.py."""
import fnmatch
import os
import re
import subprocess
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from tree import ROOT, Tap, files, text_of  # noqa: E402

MAX_LINES = 1000
MAX_COLUMNS = 132
TAB = 8

# Folder -> the other folders that it may include from.
MAY_INCLUDE = {
    "schemas": set(),
    "policy": {"schemas"},
    "dpi": set(),
    "guest-lib": set(),
    "unikernel": {"guest-lib"},
    "fabric": {"schemas", "policy", "dpi", "guest-lib"},
}
# The headers that another folder may include; a folder without an entry offers all that it has.
PUBLIC = {
    "schemas": {"schema.h", "reason.h", "compat.h", "show.h", "expr.h", "expr_region.h"},
    "policy": {"policy.h", "yaml.h", "units.h", "err.h", "folder.h", "explain.h", "reach.h", "diff.h", "fmt.h", "learn.h"},
    "dpi": {"dpi.h", "isolate.h", "classify.h", "sandbox.h"},
}
# Whose generated code (NAME.pb-c.h) a folder may include.
MAY_INCLUDE_GENERATED = {"unikernel"}
NDPI_FOLDER = "dpi"
RTE_FILES = {"fabric/weftd.c", "fabric/vhost.c"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
INCLUDE_OTHER = re.compile(r'^\s*#\s*include\s*(?!\s*["<])(\S.*)$', re.M)

SPDX = "SPDX-License-Identifier: BSD-2-Clause"
# The words are put together here so that this file does not hold them.
UNFINISHED = re.compile(r"\b(%s)\b" % "|".join(("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")))
MACHINE = re.compile(r"(?<![\w.$}~/-])/(%s)/" % "|".join(("wo" "rk", "ro" "ot", "ho" "me")))
ROOMS_PAGE = "docs/architecture.md"
ROOMS = ("schemas", "policy", "dpi", "fabric")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")


def is_c(path):
    return path.endswith((".c", ".cc", ".h", ".inc"))


def is_script(path, text):
    return path.endswith((".py", ".sh")) or text.startswith("#!")


def is_python(path, text):
    return path.endswith(".py") or text.startswith("#!/usr/bin/env python3")


def is_shell(path, text):
    return path.endswith(".sh") or text.startswith(("#!/bin/sh", "#!/bin/bash"))


def resolve(path, name):
    """The file of ours that an include with quotes means, or None."""
    for base in (os.path.dirname(path), ""):
        candidate = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(os.path.join(ROOT, candidate)):
            return candidate
    return None


def check_include(path, quote, name):
    """What is wrong with one include, or None."""
    folder = path.split("/")[0]
    if name.startswith("ndpi/") and folder != NDPI_FOLDER:
        return "includes %s, which only %s/ may" % (name, NDPI_FOLDER)
    if name.startswith("ndpi/") and os.path.basename(path) in PUBLIC["dpi"]:
        return "is one of dpi/'s public headers and must not need %s" % name
    if name.startswith("rte_") and path not in RTE_FILES:
        return "includes %s, which only %s may" % (name, " and ".join(sorted(RTE_FILES)))
    generated = name.endswith((".pb-c.h", ".weft.h"))
    target = resolve(path, name)
    if quote == "<":
        return "includes %s of ours with angle brackets" % name if resolve("", name) else None
    if generated and not target:
        ours = os.path.isfile(os.path.join(ROOT, re.sub(r"\.(pb-c|weft)\.h$", ".proto", name)))
        if not ours or folder in MAY_INCLUDE_GENERATED:
            return None
        return "includes %s, but %s/ may not include generated code" % (name, folder)
    if not target:
        return "includes %s, which is not in the tree; system headers take angle brackets" % name
    into = target.split("/")[0]
    if into == folder:
        return None
    if into not in MAY_INCLUDE[folder]:
        return "includes %s, but %s/ may not include from %s/" % (name, folder, into)
    if into in PUBLIC and os.path.relpath(target, into) not in PUBLIC[into]:
        return "includes %s, which is private to %s/" % (name, into)
    return None


def include_rule(all_files):
    wrong = []
    for path in all_files:
        if path.split("/")[0] not in MAY_INCLUDE or not path.endswith((".c", ".cc", ".h", ".inc", ".S")):
            continue
        text = text_of(path) or ""
        for m in INCLUDE.finditer(text):
            bad = check_include(path, m.group(1), m.group(2))
            if bad:
                wrong.append("%s:%d: %s" % (path, text.count("\n", 0, m.start(1)) + 1, bad))
        for m in INCLUDE_OTHER.finditer(text):
            wrong.append("%s: includes through a macro (%s), which hides what it needs" % (path, m.group(1)))
    return wrong


def heads(all_files):
    """Code says its licence first, and then in words what it is for."""
    wrong = []
    for path in all_files:
        text = text_of(path)
        if text is None:
            continue
        named = path.endswith((".c", ".cc", ".h", ".inc", ".S", ".ld", ".proto", ".py", ".sh")) or path == "Makefile"
        if not named and not is_script(path, text):
            continue
        lines = text.split("\n")
        first = 1 if lines[0].startswith("#!") else 0
        if SPDX not in lines[first]:
            wrong.append("%s:%d: the first line is not its licence (%s)" % (path, first + 1, SPDX))
        elif not re.match(r'\s*(/?\*|//|#(?!\s*include|\s*define|\s*pragma)|"""|\'\'\')\s*\S|\s*/\*$',
                          lines[first + 1] if len(lines) > first + 1 else ""):
            wrong.append("%s:%d: the licence is not followed by what the file is for" % (path, first + 2))
    return wrong


def sizes(all_files):
    wrong = []
    for path in all_files:
        text = text_of(path)
        if text is not None and text.count("\n") > MAX_LINES:
            wrong.append("%s: %d lines; a file has at most %d" % (path, text.count("\n"), MAX_LINES))
    return wrong


def layout(all_files):
    """What every editor can keep: line ends, no blanks at them, lines that fit."""
    wrong = []
    for path in all_files:
        text = text_of(path)
        if text is None or path.endswith((".csv", ".json", ".jsonl")):
            continue
        if text and not text.endswith("\n"):
            wrong.append("%s: does not end with a newline" % path)
        for n, line in enumerate(text.split("\n"), 1):
            if line.endswith((" ", "\t", "\r")):
                wrong.append("%s:%d: blanks or a carriage return at the end of the line" % (path, n))
            if is_c(path) and len(line.expandtabs(TAB)) > MAX_COLUMNS:
                wrong.append("%s:%d: %d columns; a line has at most %d"
                             % (path, n, len(line.expandtabs(TAB)), MAX_COLUMNS))
    return wrong


def words(all_files):
    wrong = []
    for path in all_files:
        text = text_of(path)
        for n, line in enumerate(text.split("\n") if text else [], 1):
            found = UNFINISHED.search(line) or MACHINE.search(line)
            if found:
                wrong.append("%s:%d: %s" % (path, n, "says " + found.group(1) if found.re is UNFINISHED
                                            else "holds a path of one machine: " + line.strip()))
    return wrong


def links(all_files):
    """A document points only at what is there."""
    wrong = []
    for path in all_files:
        if not path.endswith(".md"):
            continue
        for target in LINK.findall(text_of(path) or ""):
            if not re.match(r"[a-z]+:", target) and \
                    not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target)):
                wrong.append("%s: links to %s, which is not there" % (path, target))
    return wrong


def rooms(all_files):
    """Architecture's tables say of each source where it belongs, and name none that is not there. `_x.c` behind `a_b.c` is a_x.c."""
    page = text_of(ROOMS_PAGE) or ""
    wrong = []
    for folder in ROOMS:
        part = re.search(r"^## Where things are in `%s/`$(.*?)(?=^## |\Z)" % folder, page, re.M | re.S)
        names, last = [], ""
        for name in re.findall(r"`([\w.*]+\.(?:c|cc|h|inc))`", part.group(1) if part else ""):
            last = last.rsplit("_", 1)[0] + name if name.startswith("_") else name
            names.append(last)
        sources = {os.path.basename(p) for p in all_files if os.path.dirname(p) == folder and is_c(p)}
        wrong += ["%s/%s: stands in no row of %s" % (folder, s, ROOMS_PAGE) for s in sorted(sources)
                  if not s.endswith(".h") and not any(fnmatch.fnmatch(s, n) for n in names)]
        wrong += ["%s: names %s/%s, which is not there" % (ROOMS_PAGE, folder, n) for n in names
                  if not fnmatch.filter(sources, n) and not any(os.path.basename(p) == n for p in all_files if p.startswith(folder + "/"))]
    return wrong


def modes(all_files):
    """What starts with an interpreter's name can be started, and nothing else can."""
    wrong = []
    for path in all_files:
        text = text_of(path)
        runs = os.access(os.path.join(ROOT, path), os.X_OK) and os.stat(os.path.join(ROOT, path)).st_mode & 0o100
        if bool(runs) != bool(text and text.startswith("#!")):
            wrong.append("%s: %s" % (path, "can be started, but names no interpreter" if runs
                                     else "names an interpreter, but cannot be started"))
    return wrong


def python(all_files):
    wrong = []
    for path in all_files:
        text = text_of(path)
        if text is None or not is_python(path, text):
            continue
        try:
            compile(text, path, "exec")
        except SyntaxError as e:
            wrong.append("%s:%s: %s" % (path, e.lineno, e.msg))
    return wrong


def shell(all_files):
    scripts = [p for p in all_files if is_shell(p, text_of(p) or "")]
    wrong = []
    for path in scripts:
        p = subprocess.run(["sh", "-n", path], cwd=ROOT, capture_output=True, text=True, check=False)
        wrong += p.stderr.splitlines() if p.returncode else []
    return wrong, scripts


def main():
    everything = files()
    checks = [("folders include only what they may know", include_rule),
              ("files start with their licence and what they are for", heads),
              ("no file is over %d lines" % MAX_LINES, sizes),
              ("lines end and fit as they should", layout),
              ("no unfinished work, no path of one machine", words),
              ("documents link to what exists", links),
              ("the architecture has a place for each source", rooms),
              ("scripts can be started, other files cannot", modes),
              ("Python files compile", python)]
    tap = Tap(len(checks) + 2)
    if not everything:
        tap.result("the tree has files", ["found none"])
        return tap.end()
    for name, check in checks:
        tap.result(name, check(everything))
    wrong, scripts = shell(everything)
    tap.result("shell scripts parse", wrong)
    if not shutil.which("shellcheck"):
        tap.result("shellcheck", [], "shellcheck is not installed")
        return tap.end()
    p = subprocess.run(["shellcheck", "-f", "gcc"] + scripts, cwd=ROOT, capture_output=True, text=True, check=False)
    tap.result("shellcheck", (p.stdout + p.stderr).splitlines() if p.returncode else [])
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
