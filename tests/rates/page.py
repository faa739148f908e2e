# SPDX-License-Identifier: BSD-2-Clause
"""docs/detection.md, from rows (evaluate.py). The page names no day and no machine: what it depends on are the versions
that it lists."""
import program

HEAD = """# Detection rates

Made by `make dpi-rates`, which records real programs of Debian that talk over loopback and shows every payload (what one
read of a socket brings) to nDPI alone and to Weft's inspector. It installs the programs (`.ci/packages-rates`), needs no
root otherwise, gives each server a free port and an empty folder and leaves nothing behind. Figures differ a little from
run to run: clients draw random numbers. `make test` records some of it again and holds it against thresholds.

| | |
|---|---|
| nDPI | {ndpi} |
| payloads of protocols, all different | {payloads}, {bytes} kB |
| payloads that nDPI alone recognises and a message carries past the inspector | {lost} |
| payloads of this page of which isolated and inline inspection say the same | {same} |

How it is done, and what it cannot do, is told in [dpi.md](dpi.md).

## Protocols

The field's rule is `carries: unknown`, so whatever is recognised is refused.

* alone: payloads that nDPI recognises by themselves, as one TCP or UDP packet of a fresh flow. The rest are mostly middles of
  dialogues: answers, data, what is encrypted.
* whole: payloads that the inspector refuses in one message. More than nDPI alone: it asks under ports, and knows first words.
* in 2, 3, 5: of those refused whole, how often at least one message is refused when so many consecutive messages carry the
  payload; every way to cut it in 2 where there are at most {cuts}, else {cuts} at random. bytes: one byte in each message,
  payloads below 64 bytes.
* first: dialogues whose first payload is refused. dialogue: those of which any payload is.
* named so: of those refused, how many by this name or one that belongs to it; the others are told below.

| protocol | payloads | alone | whole | in 2 | in 3 | in 5 | bytes | dialogues | first | dialogue | named so |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""

ATTACKS = """
## Attacks

A sample is all that one side says in its turn. Closed: `carries: unknown`, the carrier itself is refused. Open: the rule
lists the carrier and `unknown`, so that only risks are left to refuse it; the last column is what the audit log says. In
pieces: of those refused whole.

| attack | carrier | samples | closed | in 2 | in 5 | open | in 2 | in 5 | refused as |
|---|---|---|---|---|---|---|---|---|---|
"""

LIMITS = """
A rule that lists HTTP lets HTTP through; the risks are heuristics. nDPI looks at a request's URL, user agent and some headers;
`dpi/risk.c` adds forms, encoded paths, Log4j's lookups wherever they stand, shell functions in headers, external entities,
programs in bodies, the source of programs in uploads and scanners that give their names; `dpi/inject.c` shell commands, code,
templates and inner addresses in the values of URLs and forms (Debian builds nDPI without PCRE, so its own patterns for commands
are not in it).

Such a search is made so that honest requests pass, and who knows it gets past it: nobody should rely on it. What may be in a
request is said exactly by a schema and a policy, and content that is a script or a program by itself is refused by a profile's
`forbid: [executable, script]`. The rules behind the search:

* What is injected stands behind one word or none: `127.0.0.1; uname -a`. Behind several words nothing is looked for, so prose and
  programs in posts pass, and so does an injection into prose. What begins as one word and goes on as a command line
  (`/run/user/$(id -u)/x`) is refused, whoever wrote it.
* A command needs what a command line has (a flag, a path, an address), or stands behind nothing but a number or an address:
  `bash;python;perl` are tags, `id|name` are fields. Words that a shell would only put together (`c\\at`) are not.
* An address of this machine or a private network is let be in parameters that say where a browser goes next (`redirect_uri`,
  `return...`, `callback...`, `next` and the like: OAuth clients wait there); a cloud's metadata and addresses in odd notation are not.
  Names that lead to inner addresses by DNS are not known here. A service that is given inner addresses by honest clients must not
  forbid `HTTP Suspicious URL`, or take them in fields of their own.
* Bodies of other types than forms (JSON, XML, the fields of a multipart body) are not searched for any of this.
* Honest values are tried by `tests/dpi/test_risk.c`, in URLs and forms: 100 that are hard, and 24,000 that it makes (lists of words that
  are commands too, prose with `;`, `&` and `|`, tokens, random text). None is refused.
* `..` anywhere in a URL is suspicious to nDPI, also in `c..d`, and that is kept: its word counts.
* DNS: a question whose name is longer than 120 bytes and has two labels of 50 bytes or more without hyphens is taken for data.

## Programs

Debian packages, client first. Where no server was to be had, the client spoke to a listener of ours that answers little or
nothing (alone).

| protocol | programs |
|---|---|
"""


def page(protocols, kinds, same, cuts):
    lost = sum(len(r.lost) for r in protocols)
    head = HEAD.format(ndpi=program.version("libndpi-dev") or "?", payloads=sum(r.payloads for r in protocols),
                       bytes=sum(r.bytes for r in protocols) // 1000, lost=lost,
                       same=f"{same.got} of {same.of}" if same.of else "not asked", cuts=cuts)
    out = [head]
    protocols = sorted(protocols, key=lambda r: r.protocol.lower())
    for r in protocols:
        cells = [r.protocol, r.payloads, r.alone, r.whole] + [r.split[k] for k in ("2", "3", "5", "bytes")]
        out.append(row(cells + [r.dialogues.of, r.first, r.dialogues, r.named]))
    others = [f"{r.protocol} as " + ", ".join(f"{n} ({c})" for n, c in r.others.most_common(6)) for r in protocols if r.others]
    if others:
        out.append("\nOther names: " + "; ".join(others) + ".\n")
    out.append(ATTACKS)
    for r in kinds:
        why = ", ".join(f"{w} {c}" for w, c in r.why.most_common(5)) or "-"
        out.append(row([r.kind, " ".join(r.carriers), r.samples, r.closed, r.split_closed["2"], r.split_closed["5"], r.open,
                        r.split_open["2"], r.split_open["5"], why]))
    out += [f"\n{r.kind}: {r.note}.\n" for r in kinds if r.note]
    out.append(LIMITS)
    for r in protocols:
        versions = ", ".join(f"{p} {program.version(p) or 'absent'}" for p in r.programs)
        out.append(row([r.protocol, versions + (" (alone)" if r.alone_programs else "")]))
    used = sorted({p for r in kinds for p in r.packages})
    out.append(row(["attacks", ", ".join(f"{p} {program.version(p) or 'absent'}" for p in used)]))
    failed = [f for r in protocols + kinds for f in r.failed]
    if failed:
        out.append("\nNot recorded: " + "; ".join(failed) + "\n")
    return "".join(out)


def row(cells):
    return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |\n"


def complaints(protocols, same):
    """What must never be."""
    bad = [f"{r.protocol}: {len(data)} bytes that nDPI alone calls {name} pass in a message"
           for r in protocols for name, data in r.lost]
    if same.got != same.of:
        bad.append(f"the isolated inspector says something else than the inline one of {same.of - same.got} payloads")
    return bad
