#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The command line against a real fabric: weftd, two guests under QEMU, a process endpoint; prints TAP.

Everything runs in a directory of its own below $BUILD/run, with the demo's images and policies."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
WEFT = os.path.join(BUILD, "bin", "weft")
DIR = os.path.join(BUILD, "run", "cli")
RUN = os.path.join(DIR, "run")
YAML = os.path.join(DIR, "fabric.yaml")
DEMO = os.path.join(ROOT, "unikernel", "demo")
NEEDED = [WEFT, os.path.join(BUILD, "bin", "weftd"), os.path.join(BUILD, "images", "valve.elf"),
          os.path.join(BUILD, "images", "hub.elf"), os.path.join(BUILD, "services", "meter"),
          os.path.join(BUILD, "schemas", "demo.binpb")]
FABRIC = """fabric: cli
schemas: {build}/schemas/demo.binpb
policies: {demo}/policy
run_dir: run
unikernels:
  - name: valve
    image: {build}/images/valve.elf
  - name: hub
    image: {build}/images/hub.elf
    set: {{ open_at_kpa: 600, close_at_kpa: 400 }}
  - name: meter
    set: {{ readings: 1000000, interval_ms: 50, start_ms: 100 }}
  - name: camera
"""
children = []


class Failure(Exception):
    pass


def check(truth, text):
    if not truth:
        raise Failure(text)


def weft(*args, status=None, env=None, timeout=60):
    p = subprocess.run([WEFT, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                       env={**os.environ, **(env or {})}, cwd=ROOT)
    if status is not None:
        check(p.returncode == status, "weft %s: exit status %d and not %d\n%s%s"
              % (" ".join(args), p.returncode, status, p.stdout, p.stderr))
    return p


def start(*argv, **kw):
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **kw)
    children.append(p)
    return p


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def wait_for(what, text, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise Failure("not within %d s: %s" % (seconds, text))


def pid_of(name):
    with open(os.path.join(RUN, name + ".pid"), encoding="utf-8") as f:
        return int(f.read().split()[0])


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ours():
    """Processes with our run directory or fabric.yaml on their command line."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open("/proc/%s/cmdline" % entry, "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if DIR in line and alive(int(entry)):
                found[int(entry)] = line
    return found


def stats():
    return json.loads(weft("stats", "--json", YAML, status=0).stdout)


def port(s, name):
    return next(p for p in s["ports"] if p["name"] == name)


def decisions(path):
    """What a file with tail's JSON lines holds by now."""
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f.read().splitlines(keepends=True) if line.endswith("\n")]


# --- without a fabric ---------------------------------------------------------------------------------------------

def help_and_usage():
    out = weft("--help", status=0).stdout
    for command in ("up", "down", "restart", "ps", "stats", "tail", "keygen", "schema"):
        check(re.search(r"^  %s\s" % command, out, re.M), "--help does not list %s" % command)
        check("Usage: weft %s" % command in weft(command, "--help", status=0).stdout, command + " --help")
    for wrong in ([], ["nonsense"], ["--nonsense"], ["up", "--accel", "fast"], ["up", "--wait", "-1"], ["up", "a", "b"],
                  ["tail", "-n", "1001"], ["restart"], ["keygen"], ["keygen", "--dir", DIR, "Not-a-name"]):
        p = weft(*wrong, status=2)
        check(p.stderr.strip(), "weft %s says nothing" % wrong)
    check('"nonsense"' in weft("nonsense", status=2).stderr, "the unknown command is not named")


def keygen():
    keys = os.path.join(DIR, "keygen")
    weft("keygen", "--dir", keys, "alpha", "beta", status=0)
    for name in ("alpha", "beta"):
        key = os.path.join(keys, name + ".key")
        check(os.stat(key).st_mode & 0o777 == 0o600, "mode of " + key)
        with open(key, encoding="utf-8") as f:
            check(re.fullmatch(r"[0-9a-f]{64}\n", f.read()), "format of " + key)
    before = open(os.path.join(keys, "alpha.key"), encoding="utf-8").read()
    p = weft("keygen", "alpha", "gamma", "--dir=" + keys, status=1)
    check("--force" in p.stderr and "alpha.pub exists" in p.stderr, p.stderr)
    check(open(os.path.join(keys, "alpha.key"), encoding="utf-8").read() == before, "the key was replaced")
    check(os.path.exists(os.path.join(keys, "gamma.key")), "the other name was not served")
    weft("keygen", "--force", "--dir", keys, "alpha", status=0)
    check(open(os.path.join(keys, "alpha.key"), encoding="utf-8").read() != before, "--force did not replace")


def mistakes_come_before_anything_starts():
    def broken(change, *expect):
        write(YAML, change(FABRIC.format(build=BUILD, demo=DEMO)))
        p = weft("up", YAML, status=2)
        for text in expect:
            check(text in p.stderr, "%r is not in: %s" % (text, p.stderr))
        check(not os.path.exists(RUN), "the run directory was made")
        check(not ours(), "something was started: %s" % ours())

    broken(lambda y: y.replace("run_dir:", "rundir:"), YAML + ":4", "rundir")
    broken(lambda y: y + "  - name: valve\n", YAML + ":", "valve")
    broken(lambda y: y + "    policy: x.yaml\n", YAML + ":14", "no key of a unikernel any more", "policies: FOLDER")
    broken(lambda y: y + "  - name: pump\n", YAML + ":14", "pump", "policy/pump.yaml")
    broken(lambda y: y.replace("  - name: camera\n", ""), "policy/camera.yaml", "no unikernel", "camera")
    broken(lambda y: y.replace("valve.elf", "nothing.elf"), YAML + ":6", "nothing.elf", "No such file")
    broken(lambda y: y.replace("demo.binpb", "none.binpb"), "none.binpb")
    policies = os.path.join(DIR, "bad")
    shutil.copytree(os.path.join(DEMO, "policy"), policies)
    policy = os.path.join(policies, "camera.yaml")
    write(policy, "unikernel: camera\nsend:\n  - to: nobody\n    message: demo.Frame\n")
    broken(lambda y: y.replace(DEMO + "/policy", policies), policy + ":3", "nobody")
    p = weft("up", os.path.join(DIR, "missing.yaml"), status=2)
    check("missing.yaml" in p.stderr, p.stderr)
    p = weft("up", env={"WEFT_FABRIC": os.path.join(DIR, "from-env.yaml")}, status=2)
    check("from-env.yaml" in p.stderr, p.stderr)


def questions_without_a_fabric():
    write(YAML, FABRIC.format(build=BUILD, demo=DEMO))
    for command in ("stats", "tail"):
        p = weft(command, YAML, status=2)
        check("no weftd answers" in p.stderr and "weft up" in p.stderr, p.stderr)
    check("does not run" in weft("ps", YAML, status=1).stdout, "ps")
    check(json.loads(weft("ps", "--json", YAML, status=1).stdout)["weftd"] is None, "ps --json")
    check("nothing" in weft("down", YAML, status=0).stdout, "down")
    check(weft("restart", "hub", YAML).returncode == 2, "restart without weftd")


def an_unsafe_run_directory():
    os.mkdir(RUN)
    os.chmod(RUN, 0o777)
    p = weft("up", YAML, status=2)
    check("others may write" in p.stderr, p.stderr)
    os.rmdir(RUN)


# --- with a fabric ------------------------------------------------------------------------------------------------

def up():
    p = weft("up", YAML, status=0)
    check("made a key for hub" in p.stdout, p.stdout)
    check(re.search(r"accelerator: (KVM|TCG) \(.+\)", p.stdout), p.stdout)
    check("all guests are up; 2 process endpoints" in p.stdout, p.stdout)
    check(re.search(r"meter is a process endpoint.*--launch \S+ --socket \S+", p.stdout), p.stdout)
    check(os.stat(RUN).st_mode & 0o777 == 0o700, "mode of the run directory")
    check(not os.path.exists(os.path.join(RUN, "hub.launch")), "the guest's launch module lies around")
    check(os.stat(os.path.join(RUN, "meter.launch")).st_mode & 0o777 == 0o600, "mode of meter.launch")
    s = stats()
    check(port(s, "valve")["state"] == "up" and port(s, "hub")["state"] == "up", "states: %s" % s["ports"])
    check(port(s, "meter")["state"] == "detached", "meter")
    for pid, line in ours().items():
        check("secret" not in line and not re.search(r"[0-9a-f]{64}", line), "a key on a command line: " + line)


def up_again_starts_nothing():
    before = {n: pid_of(n) for n in ("weftd", "valve", "hub")}
    p = weft("up", YAML, status=0)
    check({n: pid_of(n) for n in before} == before, "processes were replaced")
    check("made a key" not in p.stdout and "accelerator" not in p.stdout, p.stdout)
    check(len([l for l in ours().values() if "qemu" in l]) == 2, str(ours()))


def ps():
    p = weft("ps", YAML, status=1)  # meter and camera are absent
    check(re.search(r"hub\s+2\s+guest\s+up\s+%d" % pid_of("hub"), p.stdout), p.stdout)
    check(re.search(r"meter\s+3\s+process\s+absent", p.stdout), p.stdout)
    o = json.loads(weft("ps", "--json", YAML, status=1).stdout)
    rows = {u["name"]: u for u in o["unikernels"]}
    check(rows["hub"]["pid"] == pid_of("hub") and rows["hub"]["state"] == "up", str(rows))
    check(rows["camera"]["state"] == "absent" and rows["camera"]["pid"] is None, str(rows))
    check(o["weftd"]["pid"] == pid_of("weftd") and not o["all_up"], str(o["weftd"]))


def another_fabric_is_not_touched():
    other = os.path.join(DIR, "other.yaml")
    policies = os.path.join(DIR, "other")
    os.mkdir(policies)
    for name in ("valve", "hub", "meter"):  # policies that name nobody, so that the file itself is right
        write(os.path.join(policies, name + ".yaml"), "unikernel: %s\n" % name)
    write(other, FABRIC.format(build=BUILD, demo=DEMO).split("  - name: camera")[0].replace(DEMO + "/policy", policies))
    p = weft("up", other, status=2)
    check("other unikernels" in p.stderr and "weft down" in p.stderr, p.stderr)


def a_process_endpoint_joins():
    line = re.search(r"meter is a process endpoint; it joins by: SERVICE (.*)", weft("up", YAML, status=0).stdout)
    check(line, "up does not say how meter joins")
    out = open(os.path.join(DIR, "meter.out"), "wb")
    start(os.path.join(BUILD, "services", "meter"), *line.group(1).split(), stdout=out, stderr=out)
    wait_for(lambda: port(stats(), "meter")["state"] == "up", "meter is up")
    first = port(stats(), "hub")["messages_delivered"]
    wait_for(lambda: port(stats(), "hub")["messages_delivered"] >= first + 10, "readings arrive")
    s = stats()
    check(port(s, "meter")["verdicts"].get("passed", 0) > 0, str(port(s, "meter")))
    check(s["decisions"]["by_verdict"].get("passed", 0) > 0, str(s["decisions"]))
    check([x["name"] for x in s["stages"]] == ["take", "session", "route", "admit", "validate", "judge", "inspect", "decide",
                                              "deliver"], str(s["stages"]))
    check(all(x["messages"] > 0 and x["cycles"] > 0 for x in s["stages"]), str(s["stages"]))
    people = weft("stats", YAML, status=0).stdout
    for text in ("fabric cli", "UNIKERNEL", "passed", "inspect", "decisions:"):
        check(text in people, "%r is not in: %s" % (text, people))
    stages_now()


def stages_now():
    """What passed within the interval, and no more, is what the figures are about."""
    before = stats()
    now = json.loads(weft("stats", "--stages", "--json", YAML, status=0).stdout)
    after = stats()
    names = [x["name"] for x in before["stages"]]
    check(0.9 < now["seconds"] < 30 and now["tsc_hz"] == after["tsc_hz"], str(now))
    check([x["name"] for x in now["stages"]] == names, str(now))
    check(len(now["workers"]) == len(after["workers"]), str(now))
    for i, x in enumerate(now["stages"]):
        most = after["stages"][i]["messages"] - before["stages"][i]["messages"]
        check(0 <= x["messages_per_s"] * now["seconds"] <= most + 0.5, "%s of %d" % (x, most))
        check((x["messages_per_s"] > 0) == (x["cycles"] > 0) == (x["ns"] > 0), str(x))
        check(abs(x["ns"] - x["cycles"] / now["tsc_hz"] * 1e9) < 0.01 * x["ns"] + 0.01 and 0 <= x["share"] <= 1.01, str(x))
    wait_for(lambda: json.loads(weft("stats", "--stages", "--json", YAML, status=0).stdout)["stages"][0]["messages_per_s"] > 0,
             "a message within a second")
    people = weft("stats", "--stages", YAML, status=0).stdout
    check(re.search(r"worker 0.*: .*hub", people) and re.search(r"^validate +\d+", people, re.M), people)
    for words, why in ((["--watch", "1"], "goes with --stages"), (["--stages", "--watch", "0"], "seconds"),
                       (["--stages", "--watch", "soon"], "seconds")):
        p = subprocess.run([WEFT, "stats"] + words + [YAML], capture_output=True, text=True, timeout=60, check=False)
        check(p.returncode != 0 and why in p.stderr, p.stderr)
    with subprocess.Popen([WEFT, "stats", "--stages", "--watch", "0.2", "--json", YAML], stdout=subprocess.PIPE, text=True) as p:
        lines = [json.loads(p.stdout.readline()) for _ in range(3)]
        p.terminate()
    check(all(0.15 < x["seconds"] < 10 for x in lines), str(lines))


def tail_for_people():
    p = start(WEFT, "tail", "-n", "2", YAML, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = [p.stdout.readline() for _ in range(4)]
    p.send_signal(signal.SIGINT)
    p.wait(5)
    for line in lines:
        check(re.match(r"\d{4}-\d\d-\d\dT\S+Z  #\d+ +\w+ (sent|tried) ", line), line)
    check(any("meter sent demo.Reading to hub: passed [" in line for line in lines), str(lines))


def tail_and_log_agree():
    log = os.path.join(RUN, "decisions.jsonl")
    out = os.path.join(DIR, "agree.out")
    with open(out, "wb") as f:
        p = start(WEFT, "tail", "--json", "-n", "1000", YAML, stdout=f)
        wait_for(lambda: len(decisions(out)) > 30, "thirty decisions")
        p.terminate()
        p.wait(5)
    shown = decisions(out)
    ids = [d["id"] for d in shown]
    check(ids == list(range(ids[0], ids[0] + len(ids))), "ids have gaps: %s" % ids)
    logged = {d["id"]: d for d in decisions(log)}
    check(all(logged.get(d["id"]) == d for d in shown), "tail and the log differ")
    keys = {"id", "boot", "time", "verdict", "passed", "from", "to", "subject", "kind", "message_id", "rule", "len", "offset",
            "count", "detail", "policy_epoch"}
    check(all(set(d) - {"frame"} == keys for d in shown), "keys: %s" % sorted(shown[0]))
    rule = next(d["rule"] for d in shown if d["from"] == "meter")
    check(rule["file"].endswith("meter.yaml") and rule["line"] > 0 and rule["text"], str(rule))


def weftd_killed():
    out = os.path.join(DIR, "killed.out")
    guests = {n: pid_of(n) for n in ("valve", "hub")}
    with open(out, "wb") as f, open(out + ".err", "wb") as e:
        p = start(WEFT, "tail", "--json", "-n", "0", YAML, stdout=f, stderr=e)
        wait_for(lambda: len(decisions(out)) > 5, "decisions before")
        boot = decisions(out)[-1]["boot"]
        os.kill(pid_of("weftd"), signal.SIGKILL)
        wait_for(lambda: not alive(pid_of("weftd")), "weftd is dead")
        check(re.search(r"hub\s+2\s+guest\s+waiting", weft("ps", YAML, status=1).stdout), "ps while weftd is dead")
        weft("up", YAML, status=0)
        check({n: pid_of(n) for n in guests} == guests, "guests were restarted")
        wait_for(lambda: any(d["boot"] != boot for d in decisions(out)), "decisions of the new weftd")
        p.terminate()
        p.wait(5)
    said = open(out + ".err", encoding="utf-8").read()
    check("went away" in said and "is back" in said, said)
    seen = [(d["boot"], d["id"]) for d in decisions(out)]
    check(len(seen) == len(set(seen)), "a decision was shown twice")
    new = [i for b, i in seen if b != boot]
    check(new == list(range(1, len(new) + 1)), "decisions of the new weftd are missing: %s" % new[:20])


def restart_one():
    before = {n: pid_of(n) for n in ("weftd", "valve", "hub")}
    p = weft("restart", "hub", YAML, status=0)
    check("is up again" in p.stdout, p.stdout)
    check(pid_of("hub") != before["hub"] and not alive(before["hub"]), "hub was not restarted")
    check(pid_of("valve") == before["valve"] and pid_of("weftd") == before["weftd"], "others were restarted")
    check(not os.path.exists(os.path.join(RUN, "hub.launch")), "the launch module lies around")
    p = weft("restart", "nobody", YAML, status=2)
    check('"nobody"' in p.stderr, p.stderr)
    p = weft("restart", "meter", YAML, status=2)
    check("process endpoint" in p.stderr, p.stderr)


def a_guest_that_died_is_started_again():
    old = pid_of("valve")
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: re.search(r"valve\s+1\s+guest\s+stopped", weft("ps", YAML).stdout), "ps says stopped")
    p = weft("up", YAML, status=0)
    check("starting 1 of 2 guests" in p.stdout, p.stdout)
    check(pid_of("valve") != old, "valve has its old pid")


def a_guest_that_never_comes_up():
    broken = os.path.join(DIR, "broken.yaml")
    write(broken, open(YAML, encoding="utf-8").read().replace("hub.elf", "../bin/weft"))  # an ELF file, but no unikernel
    os.kill(pid_of("hub"), signal.SIGKILL)
    wait_for(lambda: not alive(pid_of("hub")), "hub is dead")
    p = weft("up", "--wait", "3", broken, status=1)
    check("hub" in p.stderr and "not all are up" in p.stdout, p.stdout + p.stderr)
    check(not os.path.exists(os.path.join(RUN, "hub.launch")), "the launch module lies around")
    if alive(pid_of("hub")):
        weft("restart", "hub", YAML, status=0)
    else:
        weft("up", YAML, status=0)


def two_at_once():
    weft("down", YAML, status=0)
    both = [start(WEFT, "up", YAML, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [(p, *p.communicate(timeout=60)) for p in both]
    codes = sorted(p.returncode for p, _, _ in ends)
    check(codes in ([0, 0], [0, 2]), str(ends))
    if codes[1] == 2:
        check(any("another weft command" in err for _, _, err in ends), str(ends))
    lines = list(ours().values())
    check(len([l for l in lines if "qemu" in l]) == 2 and len([l for l in lines if "weftd" in l]) == 1, str(lines))


def a_stranger_is_not_killed():
    stranger = start("sleep", "1000")
    with open(os.path.join(RUN, "hub.pid"), encoding="utf-8") as f:
        real = f.read()
    pid, begin, boot = real.split()
    write(os.path.join(RUN, "ghost.pid"), "%d %s %s\n" % (stranger.pid, begin, boot))
    weft("down", YAML, status=0)
    check(alive(stranger.pid), "down killed a stranger")
    check(not alive(int(pid)), "down left the guest")
    stranger.kill()
    stranger.wait()


def down_leaves_nothing():
    weft("up", YAML, status=0)
    os.kill(pid_of("hub"), signal.SIGSTOP)  # cannot hear SIGTERM
    p = weft("down", YAML, status=0)
    check("stopped 2 guests and weftd" in p.stdout, p.stdout)
    left = {pid: line for pid, line in ours().items() if "services/meter" not in line}
    check(not left, "left: %s" % left)
    check(not [n for n in os.listdir(RUN) if n.endswith((".sock", ".launch", ".pid"))], str(os.listdir(RUN)))
    check(os.path.exists(os.path.join(RUN, "keys", "hub.key")), "keys are gone")
    check("nothing ran" in weft("down", YAML, status=0).stdout, "the second down")


TESTS = [help_and_usage, keygen, mistakes_come_before_anything_starts, questions_without_a_fabric, an_unsafe_run_directory,
         up, up_again_starts_nothing, ps, another_fabric_is_not_touched, a_process_endpoint_joins, tail_for_people,
         tail_and_log_agree, weftd_killed, restart_one, a_guest_that_died_is_started_again, a_guest_that_never_comes_up,
         two_at_once, a_stranger_is_not_killed, down_leaves_nothing]


def end_everything():
    for p in children:
        if p.poll() is None:
            p.kill()
        p.wait()
    if os.path.exists(YAML):
        subprocess.run([WEFT, "down", YAML], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, cwd=ROOT)


def main():
    missing = [f for f in NEEDED if not os.path.exists(f)]
    if missing:
        print("1..0 # SKIP not built: " + ", ".join(os.path.relpath(f, ROOT) for f in missing))
        return 0
    if os.path.exists(YAML):
        end_everything()  # what a killed run left
    shutil.rmtree(DIR, ignore_errors=True)
    os.makedirs(DIR)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = 0
    print("1..%d" % len(TESTS), flush=True)
    try:
        for n, test in enumerate(TESTS, 1):
            name, begin = test.__name__.replace("_", " "), time.monotonic()
            try:
                test()
                print("ok %d - %s # %.1f s" % (n, name, time.monotonic() - begin), flush=True)
            except Exception as e:  # whatever it was, the test failed and the next one runs
                failed += 1
                print("not ok %d - %s" % (n, name))
                for line in ("%s: %s" % (type(e).__name__, e)).splitlines():
                    print("# " + line)
                sys.stdout.flush()
    finally:
        end_everything()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
