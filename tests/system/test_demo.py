#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The demo as a test: it must pass as it stands, and it must fail when the fabric lets something through or refuses
something good. Prints TAP."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
DEMO = ROOT / "unikernel" / "demo"
LAST = re.compile(r"demo: (\d+) delivered, (\d+) refused, (\d+) unexpected")
SECONDS = 100


class Failed(Exception):
    pass


def expect(condition, text, output=""):
    if not condition:
        raise Failed(text + ("\n" + output if output else ""))


def run_demo(folder, send_signal_after=None):
    """The demo's exit status and lines. Kills everything of its process group at the deadline."""
    args = [sys.executable, str(DEMO / "demo.py"), "--plain", "--build", str(BUILD), "--run", str(folder / "run"),
            "--fabric", str(folder / "fabric.yaml")]
    p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         start_new_session=True)
    try:
        if send_signal_after is not None:
            try:
                p.wait(send_signal_after)
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, _ = p.communicate()
        subprocess.run([BUILD / "bin" / "weft", "down", folder / "fabric.yaml"], check=False, capture_output=True,
                       timeout=30)
        raise Failed(f"no end after {SECONDS} s\n{out}") from None
    return p.returncode, out.splitlines()


def copy_demo(folder, change=None):
    """The demo's configuration in a folder of its own; change edits a policy: (file, from, to)."""
    shutil.copytree(DEMO / "policy", folder / "policy")
    text = (DEMO / "fabric.yaml").read_text()
    text = text.replace("../../build/run/demo", "run").replace("../../build", str(BUILD))
    (folder / "fabric.yaml").write_text(text)
    if change:
        name, old, new = change
        path = folder / "policy" / name
        before = path.read_text()
        expect(before.count(old) == 1, f"{name} no longer holds \"{old}\" once: the test needs a new change")
        path.write_text(before.replace(old, new))


def nothing_left(folder):
    """No process that names the run folder, no socket in it."""
    for p in pathlib.Path("/proc").iterdir():
        if not p.name.isdigit() or int(p.name) == os.getpid():
            continue
        try:
            command = (p / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        expect(str(folder) not in command, f"still running: {command}")
    left = [str(p) for p in folder.rglob("*") if p.is_socket()]
    expect(not left, f"sockets left: {left}")


def test_demo_passes(folder):
    copy_demo(folder)
    code, lines = run_demo(folder)
    m = LAST.fullmatch(lines[-1]) if lines else None
    expect(m and code == 0, f"status {code}", "\n".join(lines))
    expect(int(m[1]) > 100 and int(m[2]) >= 12 and int(m[3]) == 0, lines[-1])
    nothing_left(folder)


def test_leak_is_noticed(folder):
    """A policy that lets the camera speak as the meter: that attempt is no longer refused as announced."""
    copy_demo(folder, ("camera.yaml", "message: demo.Telemetry", "message: [demo.Telemetry, demo.Reading]"))
    code, lines = run_demo(folder)
    m = LAST.fullmatch(lines[-1]) if lines else None
    expect(code == 1 and m and int(m[3]) >= 1, f"status {code}", "\n".join(lines))
    expect(any("attempt 1 " in line and "send_denied" in line for line in lines if line.startswith("unexpected:")),
           "the attempt is not named", "\n".join(lines))
    nothing_left(folder)


def test_false_refusal_is_noticed(folder):
    """A policy that forbids what the camera may do in good faith."""
    copy_demo(folder, ("hub.yaml", "carries: [HTTP]", "carries: []   #"))
    code, lines = run_demo(folder)
    m = LAST.fullmatch(lines[-1]) if lines else None
    expect(code == 1 and m and int(m[3]) >= 1, f"status {code}", "\n".join(lines))
    expect(any("nobody tried anything" in line and "content_forbidden" in line for line in lines),
           "the refusal is not named", "\n".join(lines))
    nothing_left(folder)


def test_interrupt_leaves_nothing(folder):
    copy_demo(folder)
    code, lines = run_demo(folder, send_signal_after=3)
    expect(code == 130, f"status {code}", "\n".join(lines))
    nothing_left(folder)


def main():
    tests = [test_demo_passes, test_leak_is_noticed, test_false_refusal_is_noticed, test_interrupt_leaves_nothing]
    if len(sys.argv) > 1:
        tests = [t for t in tests if t.__name__ in sys.argv[1:]]
    if not shutil.which("qemu-system-x86_64"):
        print("1..0 # SKIP qemu-system-x86_64 is not installed")
        return 0
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for i, test in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix="weft-demo-") as folder:
            try:
                test(pathlib.Path(folder))
                print(f"ok {i} - {test.__name__}", flush=True)
            except Failed as e:
                failed += 1
                print(f"not ok {i} - {test.__name__}")
                for line in str(e).splitlines():
                    print(f"# {line}")
                sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
