#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boots guests under emulation: some must run, most must die, each in its own way and with the right report. Prints TAP.
Needs the images below $BUILD/images; uses no network, no root and no KVM."""
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time

from guests import BUILD, QEMU, Failed, expect, named_tests, run

IMAGES = BUILD / "images"
SECONDS = 20  # for one guest; a boot takes some hundredths of one
ENDED, DIED = 1, 3  # exit status of QEMU with isa-debug-exit
FRAME_MAX = 42 + 16 + 24 + 61440 + 16
COMMAND = b"\x88\xb5"


def qemu_args(image, append="", launch=None, cpu="max", memory=16, extra=()):
    args = [QEMU, "-M", "microvm,acpi=off,pic=off,pit=off,rtc=off", "-accel", "tcg", "-cpu", cpu, "-m", f"{memory}M",
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
            "-global", "virtio-mmio.force-legacy=false", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-kernel", str(IMAGES / f"{image}.elf")]
    if append:
        args += ["-append", append]
    if launch:
        args += ["-initrd", str(launch)]
    return args + list(extra)


class Guest:
    """A QEMU in its own process group, which is gone when the block ends."""

    def __init__(self, image, **options):
        self.args = qemu_args(image, **options)

    def __enter__(self):
        self.p = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  start_new_session=True)
        return self

    def __exit__(self, *_):
        if self.p.poll() is None:
            os.killpg(self.p.pid, signal.SIGKILL)
        self.p.wait()
        self.p.stdout.close()

    def finish(self):
        """Exit status and console text once it has ended by itself."""
        try:
            out, _ = self.p.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.p.pid, signal.SIGKILL)
            out, _ = self.p.communicate()
            raise Failed(f"no end after {SECONDS} s\n" + out.decode(errors="replace")) from None
        return self.p.returncode, out.decode(errors="replace").replace("\r", "")

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.p.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def boot(image, **options):
    with Guest(image, **options) as g:
        return g.finish()


def launch_text(**change):
    lines = {
        "name": "timer", "port": "3", "epoch": "1732230000000000000", "secret-key": os.urandom(32).hex(),
        "fabric-key": "09" + "00" * 31, "seed": os.urandom(32).hex(), "tsc-khz": "0", "set": "word hello",
    }
    lines.update({k.replace("_", "-"): v for k, v in change.items()})
    return "weft-launch 1\n" + "".join(f"{k} {v}\n" for k, v in lines.items()) + "end\n"


def launch_file(folder, text):
    path = folder / "launch"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path


def nowhere(folder):
    """A network whose other end is a socket of ours: frames are datagrams."""
    return ["-netdev", f"dgram,id=n0,local.type=unix,local.path={folder}/guest,remote.type=unix,"
                       f"remote.path={folder}/test", "-device", "virtio-net-device,netdev=n0"]


# --- guests that live ---

def test_hello(_):
    status, out = boot("guest_hello")
    expect(status == ENDED, f"status {status}", out)
    expect(re.search(r"^hello: 0 devices, memory 0x[0-9a-f]+ to 0x1000000$", out, re.M), "no greeting", out)


def test_sizes(_):
    for memory in (4, 8, 64, 256, 2048):
        status, out = boot("guest_hello", memory=memory)
        end = re.search(r"to 0x([0-9a-f]+)$", out, re.M)
        expect(status == ENDED and end, f"{memory} MiB: status {status}", out)
        if memory <= 1024:
            expect(int(end[1], 16) == memory << 20, f"{memory} MiB: wrong end", out)


def test_plain_cpu(_):
    """The default CPU model has no SMEP, SMAP, AES or RDRAND: the image runs all the same."""
    status, out = boot("guest_hello", cpu="qemu64")
    expect(status == ENDED, f"status {status}", out)


def test_boot_time(_):
    times = []
    for _ in range(5):
        start = time.monotonic()
        status, out = boot("guest_hello")
        times.append(time.monotonic() - start)
        expect(status == ENDED, f"status {status}", out)
    print(f"# start to end of QEMU, best of 5: {min(times) * 1000:.0f} ms")
    expect(min(times) < 0.5, f"best of 5 was {min(times):.3f} s")


def test_service(folder):
    launch = launch_file(folder, launch_text())
    status, out = boot("service_timer", launch=launch, extra=nowhere(folder))
    expect(status == ENDED, f"status {status}", out)
    for line in ("started as timer, word hello, AES in hardware", "a line that?forges another?[2J", "ticked 10 times",
                 "entropy from RDRAND and seed", "uk: ended"):
        expect(line in out, f"not printed: {line}", out)
    expect("too early" not in out and "random bytes come" not in out, "a check failed", out)


def test_service_seed_only(folder):
    launch = launch_file(folder, launch_text(suite="chachapoly"))
    status, out = boot("service_timer", launch=launch, cpu="qemu64", extra=nowhere(folder))
    expect(status == ENDED and "entropy from seed" in out and "AES missing" in out, f"status {status}", out)


def test_service_rdrand_only(folder):
    launch = launch_file(folder, launch_text(seed="00" * 32))
    status, out = boot("service_timer", launch=launch, extra=nowhere(folder))
    expect(status == ENDED and "entropy from RDRAND\n" in out, f"status {status}", out)


def test_service_tsc(folder):
    launch = launch_file(folder, launch_text(tsc_khz="2000000"))
    status, out = boot("service_timer", launch=launch, extra=nowhere(folder))
    expect(status == ENDED and "TSC 2000000 kHz (launch module)" in out, f"status {status}", out)


def test_secret_gone(folder):
    """Once a service runs, its launch module is nowhere in memory: the key is in the endpoint and in its open handshake,
    the seed nowhere."""
    text = launch_text(set="role receive\nset to other")
    keys = {k: re.search(rf"^{k} (\w+)$", text, re.M)[1] for k in ("secret-key", "seed")}
    memory = folder / "memory"
    extra = nowhere(folder) + ["-object", f"memory-backend-file,id=mem,size=16M,share=on,mem-path={memory}"]
    args = [a + ",memory-backend=mem" if a.startswith("microvm") else a for a in
            qemu_args("service_soak", launch=launch_file(folder, text), extra=extra)]
    p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         start_new_session=True)
    try:
        line = p.stdout.readline().decode(errors="replace")
        expect("uk: timer: memory 16 MiB" in line, "did not start", line)
        time.sleep(0.3)
        held = memory.read_bytes()
    finally:
        os.killpg(p.pid, signal.SIGKILL)
        p.communicate()
    expect(len(held) == 16 << 20 and b"session" in held, "this is not the guest's memory")
    for name, digits in keys.items():
        expect(held.count(digits.encode()) == 0, f"the text of {name} is still there")
        expect(held.count(digits[:32].encode()) == 0, f"half of the text of {name} is still there")
    expect(held.count(b"weft-launch 1\nname") == 0, "the launch module is still there")
    expect(held.count(bytes.fromhex(keys["seed"])) == 0, "the seed is still there")
    copies = held.count(bytes.fromhex(keys["secret-key"]))
    expect(copies <= 2, f"{copies} copies of the secret key")
    print(f"# {copies} copies of the secret key in memory")


def test_segments(_):
    """No segment is writable and executable, nothing is left for a loader to relocate."""
    for image in sorted(IMAGES.glob("*.elf")):
        elf = image.read_bytes()
        offset, = struct.unpack_from("<Q", elf, 32)
        size, count = struct.unpack_from("<HH", elf, 54)
        kinds = []
        for i in range(count):
            kind, flags = struct.unpack_from("<II", elf, offset + i * size)
            kinds.append(kind)
            expect(flags & 3 != 3, f"{image.name}: segment {i} is writable and executable")
        expect(2 not in kinds and 3 not in kinds and 4 in kinds, f"{image.name}: segments {kinds}")


class Wire:
    """The other end of the guest's network."""

    def __init__(self, folder):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.bind(str(folder / "test"))
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.to = str(folder / "guest")
        self.s.settimeout(SECONDS)

    def send(self, frame):
        for _ in range(SECONDS * 100):
            try:
                self.s.sendto(frame, self.to)
                return
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.01)
        raise Failed("the guest's network did not appear")

    def receive(self):
        try:
            return self.s.recv(1 << 17)
        except TimeoutError:
            raise Failed("no frame came back") from None

    def frame(self, size, fill=None):
        body = os.urandom(size - 14) if fill is None else fill.ljust(size - 14, b"\0")
        return b"\x02\x57\x45\x46\x00\x01" + b"\x02\x57\x45\x46\x00\x00" + b"\x08\x00" + body

    def command(self, letter):
        self.send(self.frame(64, letter)[:12] + COMMAND + self.frame(64, letter)[14:])

    def ask(self, letter):
        self.command(letter)
        return self.receive()[14:46]


def swapped(frame):
    return frame[6:12] + frame[:6] + frame[12:]


def start_net(folder, g, wire):
    """Waits until the guest's driver answers: frames before that are lost, as they may be."""
    wire.s.settimeout(0.2)
    for _ in range(SECONDS * 5):
        wire.command(b"c")
        try:
            wire.s.recv(1 << 17)
            break
        except TimeoutError:
            expect(g.p.poll() is None, "the guest ended", "")
    wire.s.settimeout(0.3)
    try:
        while True:
            wire.s.recv(1 << 17)
    except TimeoutError:
        wire.s.settimeout(SECONDS)


def net_guest(folder):
    return Guest("guest_net", extra=nowhere(folder))


def test_frames(folder):
    """Each size comes back as it was: one buffer, several merged, the largest, in both directions."""
    wire = Wire(folder)
    with net_guest(folder) as g:
        start_net(folder, g, wire)
        sizes = [60, 61, 64, 1514, 4083, 4084, 4085, 8180, 16384, 30000, FRAME_MAX - 1, FRAME_MAX]
        for size in sizes + [60 + 977 * i % (FRAME_MAX - 60) for i in range(200)]:
            frame = wire.frame(size)
            wire.send(frame)
            expect(wire.receive() == swapped(frame), f"a frame of {size} bytes changed")
        wire.command(b"q")
        status, out = g.finish()
        expect(status == ENDED and "net: ended" in out, f"status {status}", out)


def test_frames_many(folder):
    """Bursts wrap the rings many times; order is kept and nothing is lost while no more are open than buffers are."""
    wire = Wire(folder)
    with net_guest(folder) as g:
        start_net(folder, g, wire)
        sent = 0
        for burst in range(100):
            frames = [wire.frame(60 + (burst * 37 + i * 251) % 1400) for i in range(8)]
            for f in frames:
                wire.send(f)
            for f in frames:
                expect(wire.receive() == swapped(f), f"burst {burst}: a frame was lost or changed")
            sent += len(frames)
        now, _, received, _ = struct.unpack("<4Q", wire.ask(b"c"))
        expect(received >= sent, f"{received} received of {sent}")
        expect(now > 0, "no time passed")


def test_frame_too_long(folder):
    """One that is longer than any frame may be is dropped whole; the next is taken."""
    wire = Wire(folder)
    with net_guest(folder) as g:
        start_net(folder, g, wire)
        wire.send(wire.frame(FRAME_MAX + 1))
        frame = wire.frame(100)
        wire.send(frame)
        expect(wire.receive() == swapped(frame), "the frame after it did not come back")


def test_clock_and_sleep(folder):
    """The guest's second is ours, within half a percent of a measured clock; asleep it costs next to nothing."""
    wire = Wire(folder)
    with net_guest(folder) as g:
        start_net(folder, g, wire)
        cpu = g.cpu_seconds()
        start = time.monotonic()
        first, sleeps, _, _ = struct.unpack("<4Q", wire.ask(b"c"))
        answered = time.monotonic()
        time.sleep(3)
        asked = time.monotonic()
        last, sleeps_after, _, _ = struct.unpack("<4Q", wire.ask(b"c"))
        real = time.monotonic() - start
        used = g.cpu_seconds() - cpu
        print(f"# 3 s idle: {used / real * 100:.2f} % of a CPU, {sleeps_after - sleeps} sleeps; "
              f"clock off by {((last - first) / 1e9 - real) * 1000:+.1f} ms")
        guest, least = (last - first) / 1e9, asked - answered
        # it read its clock at some time between a question and its answer
        expect(least - 0.02 < guest < real + 0.02, f"guest {guest:.3f} s, here {least:.3f} to {real:.3f} s")
        expect(used / real < 0.02, f"{used:.2f} s of CPU in {real:.2f} s")
        expect(sleeps_after - sleeps < 10, f"woke up {sleeps_after - sleeps} times")


def test_random(folder):
    wire = Wire(folder)
    with net_guest(folder) as g:
        start_net(folder, g, wire)
        seen = {wire.ask(b"r") for _ in range(200)}
        expect(len(seen) == 200, "random bytes repeat")
        ones = sum(bin(b).count("1") for s in seen for b in s)
        expect(abs(ones - 25600) < 1000, f"{ones} ones of 51200 bits")


def test_device_gone(folder):
    """A device that gives up is an error, not a hang."""
    wire = Wire(folder)
    with net_guest(folder) as g:
        start_net(folder, g, wire)
        wire.command(b"b")
        status, out = g.finish()
        expect(status == DIED and "uk: died: the device is gone" in out, f"status {status}", out)


# --- guests that die ---

DEATHS = {
    "text": r"page fault: write to 0x100040 \(protected, text\)",
    "rodata": r"page fault: write to 0x[0-9a-f]+ \(protected, read-only data\)",
    "sealed": r"page fault: write to 0x[0-9a-f]+ \(protected, sealed data\)",
    "tables": r"page fault: write to 0x[0-9a-f]+ \(protected, not part of the image\)",
    "exec-data": r"page fault: execution of 0x[0-9a-f]+ \(protected, data\)",
    "exec-stack": r"page fault: execution of 0x[0-9a-f]+ \(protected, stack\)",
    "exec-heap": r"page fault: execution of 0x[0-9a-f]+ \(protected, not part of the image\)",
    "zero-read": r"page fault: read from 0x8 \(not mapped, page zero\)",
    "zero-write": r"page fault: write to 0x0 \(not mapped, page zero\)",
    "zero-exec": r"page fault: execution of 0x0 \(not mapped, page zero\)",
    "wild": r"page fault: write to 0x7fff00000000 \(not mapped, not part of the image\)",
    "non-canonical": r"general protection fault",
    "overflow": r"stack overflow: write to 0x[0-9a-f]+ \(guard page of the stack\)",
    "large-frame": r"stack overflow: (read from|write to) 0x[0-9a-f]+ \(guard page of the stack\)",
    "smash": r"stack smashing detected",
    "abort": r"abort",
    "divide": r"division by zero",
    "invalid": r"invalid instruction",
    "fortify": r"buffer overflow detected",
    "heap-twice": r"heap: freed twice",
    "heap-overrun": r"heap: a block's header was overwritten, or this is no block",
    "heap-foreign": r"heap: this pointer is not from the heap",
    "early-random": r"entropy: asked for before it was there",
    "sodium-misuse": r"abort",
}
FAULTS = {"non-canonical", "divide", "invalid"}


def die_test(name, report):
    def test(_):
        status, out = boot("guest_die", append=f"die={name}")
        expect(f"dying: {name}\n" in out and "survived" not in out, "did not try, or survived", out)
        expect(status == DIED, f"status {status}", out)
        expect(re.search(rf"^uk: died: {report}$", out, re.M), f"no report like: {report}", out)
        if "fault" in report or "overflow: " in report or name in FAULTS:
            expect(re.search(r"^uk: vector \d+ error 0x[0-9a-f]+ cr2 0x[0-9a-f]+$", out, re.M), "no vector", out)
            expect(re.search(r"^uk: rip 0x[0-9a-f]+ \(.+\) rsp 0x[0-9a-f]+ rflags 0x", out, re.M), "no rip", out)
            expect(re.search(r"^uk: backtrace( 0x[0-9a-f]+)+$", out, re.M), "no backtrace", out)
    test.__doc__ = f"dies of {name}"
    return test


def test_backtrace(_):
    """The addresses lead to the functions that were on the stack."""
    _, out = boot("guest_die", append="die=abort")
    addresses = re.search(r"^uk: backtrace (.+)$", out, re.M)[1].split()
    lines = subprocess.run(["addr2line", "-f", "-e", IMAGES / "guest_die.elf", *addresses], capture_output=True,
                           text=True, check=True, timeout=SECONDS).stdout.split()[::2]
    expect("abort" in lines and "uk_main" in lines and "uk_boot" in lines, f"functions {lines}", out)


def died_with(text, folder, image="service_timer", module=None, network=True, **options):
    if module is not None:
        options["launch"] = launch_file(folder, module)
    status, out = boot(image, extra=nowhere(folder) if network else (), **options)
    expect(status == DIED, f"status {status}", out)
    expect(f"uk: died: {text}" in out, f"not the report: {text}", out)
    return out


def test_no_module(folder):
    died_with("no launch module", folder)


def test_malformed_modules(folder):
    good = launch_text()
    secret = re.search(r"secret-key (\w+)", good)[1]
    for bad in (good.replace("port 3", "port 0"), good.replace("end\n", ""), good + "x",
                good.replace("weft-launch 1", "weft-launch 2"), good.replace("name timer", "name Timer"),
                good.replace("tsc-khz 0\n", "tsc-khz 0\r\n"), "\0" * 100, os.urandom(2000)):
        out = died_with("launch module, line ", folder, module=bad)
        expect(secret not in out, "the secret was printed", out)


def test_module_too_long(folder):
    died_with("the launch module is longer than 16384 bytes", folder, module=launch_text() + "#" * 20000)


def test_no_entropy(folder):
    died_with("entropy: this CPU has no working RDRAND and the launch module no seed", folder,
              module=launch_text(seed="00" * 32, suite="chachapoly"), cpu="qemu64")


def test_tsc_impossible(folder):
    died_with("a TSC frequency of 99999 kHz (launch module) cannot be", folder, module=launch_text(tsc_khz="99999"))


def test_no_device(folder):
    died_with("no network device", folder, module=launch_text(), network=False)


def test_legacy_device(folder):
    launch = launch_file(folder, launch_text())
    args = [a.replace("force-legacy=false", "force-legacy=true") for a in
            qemu_args("service_timer", launch=launch, extra=nowhere(folder))]
    p = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
    expect(p.returncode == DIED and "the virtio device is a legacy one" in p.stdout, f"status {p.returncode}", p.stdout)


def test_bad_cmdline(folder):
    died_with("a virtio_mmio.device entry on the command line is malformed", folder, module=launch_text(),
              network=False, append="virtio_mmio.device=512@0xfeb00000")


def test_too_little_memory(folder):
    died_with("net: too little memory for the rings", folder, module=launch_text(), memory=2)


def main():
    deaths = [(f"dies: {name}", die_test(name, report)) for name, report in DEATHS.items()]
    return run(named_tests(globals()) + deaths)


if __name__ == "__main__":
    sys.exit(main())
