#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A front-end that means harm, on one port of a real weftd: whatever it says over vhost-user and whatever descriptors it
hands over, weftd lives, leaks nothing, and the other ports go on attaching and talking. Prints TAP."""
import array
import fcntl
import mmap
import os
import signal
import socket
import struct
import sys
import time

import fabric
import tap
from fabric import Fabric, alive, descriptors, expect, note, stopped, wait_for

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE, SET_LOG_BASE = 1, 2, 3, 5, 6
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ENABLE = 8, 9, 10, 12, 13, 18
SET_PROTOCOL_FEATURES, SET_INFLIGHT_FD = 16, 32
NEED_REPLY = 8
EVENT_IDX, PROTOCOL_FEATURES, VERSION_1, MRG_RXBUF = 1 << 29, 1 << 30, 1 << 32, 1 << 15
REPLY_ACK = 1 << 3
SIZE = 1 << 20
RING = 64
DESC, AVAIL, USED, BUF = 0x0, 0x1000, 0x2000, 0x8000
GPA, USER = 0x100000, 0x7f0000000000


class FrontEnd:
    """Speaks vhost-user as it pleases. `seal`: the memory is what weftd asks for. `only`: waits until weftd has seen the
    end of the connection before, so that what is refused is not merely a second front-end."""

    def __init__(self, f, name="m", seal=True, size=SIZE, only=True):
        self.fabric = f
        self.path = str(f.run / f"{name}.sock")
        self.sock = None
        if only:
            wait_for("a free port", self.connect_and_own, 5, 0.002)
        else:
            self.connect()
        self.mem = os.memfd_create("front-end", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.mem, size)
        if seal:
            fcntl.fcntl(self.mem, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.map = mmap.mmap(self.mem, size)
        self.kick = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(2)]
        self.call = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(2)]

    def connect(self):
        if self.sock:
            self.sock.close()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self.path)

    def connect_and_own(self):
        self.connect()
        return self.ask(SET_OWNER) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        self.map.close()
        for fd in [self.mem, *self.kick, *self.call]:
            os.close(fd)

    def say(self, request, payload=b"", fds=(), flags=0):
        head = struct.pack("<III", request, 1 | flags, len(payload))
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([head + payload], control)

    def ask(self, request, payload=b"", fds=()):
        """With an acknowledgement: 0 taken, 1 refused, None: the connection ended."""
        try:
            self.say(request, payload, fds, NEED_REPLY)
            head = self.sock.recv(12, socket.MSG_WAITALL)
            if len(head) < 12:
                return None
            return struct.unpack("<Q", self.sock.recv(8, socket.MSG_WAITALL))[0]
        except (ConnectionError, socket.timeout, struct.error):
            return None

    def features(self, more=EVENT_IDX | MRG_RXBUF):
        self.ask(SET_PROTOCOL_FEATURES, struct.pack("<Q", REPLY_ACK))
        return self.ask(SET_FEATURES, struct.pack("<Q", VERSION_1 | PROTOCOL_FEATURES | more))

    def table(self, size=SIZE, fd=None, offset=0):
        region = struct.pack("<IIQQQQ", 1, 0, GPA, size, USER, offset)
        return self.ask(SET_MEM_TABLE, region, [self.mem if fd is None else fd])

    def ring(self, i, base=0, size=RING, call=None, kick=None, first=0):
        """Rings lie one after the other; ring i starts at i * 0x4000, its first entry is `first`."""
        at = USER + base + i * 0x4000
        answers = [
            self.ask(SET_VRING_NUM, struct.pack("<II", i, size)),
            self.ask(SET_VRING_BASE, struct.pack("<II", i, first)),
            self.ask(SET_VRING_ADDR, struct.pack("<IIQQQQ", i, 0, at + DESC, at + USED, at + AVAIL, 0)),
            self.ask(SET_VRING_CALL, struct.pack("<Q", i), [self.call[i] if call is None else call]),
            self.ask(SET_VRING_KICK, struct.pack("<Q", i), [self.kick[i] if kick is None else kick])]
        return answers

    def enable(self, i, on=1):
        return self.ask(SET_VRING_ENABLE, struct.pack("<II", i, on))

    def attach(self, **ring):
        self.features()
        self.table()
        for i in range(2):
            self.ring(i, **ring)
        for i in range(2):
            self.enable(i)
        return self

    def publish(self, idx):
        """Makes entries of the transmit ring available, with one store: struct.pack_into() zeroes its target first, and who polls
        may see that index."""
        with memoryview(self.map) as raw, raw.cast("H") as words:
            words[(0x4000 + AVAIL + 2) // 2] = idx & 0xffff

    def frame(self, n=1):
        """Puts frames that are no records into the transmit ring, as far as it has room, and kicks."""
        for _ in range(n):
            idx = struct.unpack_from("<H", self.map, 0x4000 + AVAIL + 2)[0]
            struct.pack_into("<QIHH", self.map, 0x4000 + DESC + 16 * (idx % RING), GPA + BUF, 100, 0, 0)
            struct.pack_into("<H", self.map, 0x4000 + AVAIL + 4 + 2 * (idx % RING), idx % RING)
            self.publish(idx + 1)
        os.write(self.kick[1], struct.pack("<Q", 1))

    def taken(self):
        return struct.unpack_from("<H", self.map, 0x4000 + USED + 2)[0]


def fill(fd):
    """Brings an eventfd to its highest value."""
    os.set_blocking(fd, False)
    try:
        os.read(fd, 8)
    except BlockingIOError:
        pass
    os.write(fd, struct.pack("<Q", (1 << 64) - 2))
    os.set_blocking(fd, True)


def bench(name):
    """m is the front-end that means harm; a and b are process endpoints."""
    return Fabric("frontend-" + name, {"a": {"send": ["b"]}, "b": {"receive": ["a"]}, "m": {}})


def all_well(f, pid, seconds=10):
    """weftd is the one that it was, and two others attach and talk."""
    expect(alive(pid) and f.pid() == pid, "weftd ended", f.log()[-2000:])
    b = f.soak("b", "--receive", "--count", 200, "--idle", 10)
    b.wait_up(1, seconds)
    a = f.soak("a", "--to", "b", "--count", 200)
    sa, sb = a.summary(seconds), b.summary(seconds)
    expect(sa["ok"] and sb["ok"] and sb["received"] == 200, f"a and b: {sa} {sb}")
    expect(alive(pid), "weftd ended", f.log()[-2000:])


def served(f, m):
    """The front-end's own frames are taken: it got that far."""
    m.frame()
    wait_for("a frame to be taken", lambda: m.taken() > 0 or None, 5)


def test_a_plain_attachment_works():
    """The front-end of these tests is able to attach: what follows is refused for its own sake."""
    with bench("plain") as f, FrontEnd(f) as m:
        m.attach()
        served(f, m)
        all_well(f, f.pid())


def test_memory_that_may_shrink():
    with bench("shrink") as f:
        pid = f.pid()
        with FrontEnd(f, seal=False) as m:
            m.attach()
            os.ftruncate(m.mem, 0)
            os.write(m.kick[1], struct.pack("<Q", 1))
            time.sleep(0.2)
            all_well(f, pid)


def test_memory_that_is_not_there():
    """A region longer than its file; a file that is no memory; far too much of it."""
    with bench("beyond") as f:
        pid = f.pid()
        with FrontEnd(f, size=4096) as m:
            m.features()
            expect(m.table(SIZE) != 0, "a region beyond the end of its file was taken")
            for i in range(2):
                m.ring(i, base=0x10000)
            for i in range(2):
                m.enable(i)
        with FrontEnd(f) as m, open("/dev/zero", "rb+") as zero:
            m.features()
            expect(m.table(SIZE, zero.fileno()) != 0, "a device was taken for memory")
        with FrontEnd(f, size=1 << 45) as m:
            m.features()
            expect(m.table(1 << 45) != 0, "32 TiB of memory were taken")
        with FrontEnd(f) as m:
            m.features()
            expect(m.table(SIZE, offset=(1 << 64) - 4096) != 0, "an offset that overflows was taken")
        all_well(f, pid)


def test_a_memory_table_that_fails():
    """A device that runs loses its memory table and is told to go on."""
    with bench("table") as f:
        pid = f.pid()
        with FrontEnd(f) as m, open("/dev/null", "rb+") as null:
            m.attach()
            served(f, m)
            m.table(SIZE // 2, null.fileno())
            for i in range(2):
                m.enable(i, 0)
                m.enable(i)
                m.ring(i)
            all_well(f, pid)


def test_rings_outside_the_memory():
    """A ring that grows after its place was checked, and rings at the very end."""
    with bench("rings") as f:
        pid = f.pid()
        for size, first in ((8192, 8000), (32768, 30000)):
            with FrontEnd(f) as m:
                m.features()
                m.table()
                for i in range(2):
                    at = SIZE - 0x8000 + i * 0x4000
                    struct.pack_into("<H", m.map, at + AVAIL + 2, first + 60)
                    struct.pack_into("<H", m.map, at + USED + 2, first)
                    m.ring(i, base=SIZE - 0x8000, first=first)
                for i in range(2):
                    m.ask(SET_VRING_NUM, struct.pack("<II", i, size))
                for i in range(2):
                    m.enable(i)
                os.write(m.kick[1], struct.pack("<Q", 1))
                time.sleep(0.1)
                expect(alive(pid), f"weftd ended, ring size {size}", f.log()[-2000:])
        all_well(f, pid)


def test_descriptors_that_are_no_eventfds():
    """Notifications go to a pipe that nobody reads, a full one, a file, a socket whose other end is closed."""
    with bench("notify") as f:
        pid = f.pid()
        r, w = os.pipe()
        os.close(r)
        s, t = socket.socketpair()
        t.close()
        full_r, full_w = os.pipe()
        os.set_blocking(full_w, False)
        try:
            while True:
                os.write(full_w, b"x" * 4096)
        except BlockingIOError:
            pass
        os.set_blocking(full_w, True)
        with open("/dev/full", "wb") as full:
            for call in (w, s.fileno(), full_w, full.fileno()):
                with FrontEnd(f) as m:
                    m.attach(call=call)
                    m.frame(8)
                    time.sleep(0.1)
                    expect(alive(pid), "weftd ended", f.log()[-2000:])
                with FrontEnd(f) as m:
                    m.attach(kick=call)
                    m.frame(8)
                    time.sleep(0.1)
                    expect(alive(pid), "weftd ended", f.log()[-2000:])
        for fd in (w, full_r, full_w):
            os.close(fd)
        s.close()
        all_well(f, pid)


def test_a_notification_that_blocks():
    """The front-end fills its call eventfd and lets it block: that stops the others for a moment, and once."""
    with bench("block") as f:
        pid = f.pid()
        for _ in range(2):
            with FrontEnd(f) as m:
                m.attach()
                # weftd makes the descriptors its own as it attaches, after its last answer.
                wait_for("the attachment", lambda: f.port("m").get("attaches", 0) > 0, 5)
                for fd in m.call:
                    fill(fd)
                m.frame(8)
                all_well(f, pid, 5)
        expect("gets no device again" in f.log(), "the port was not shut", f.log()[-2000:])


def test_no_descriptor_is_leaked():
    """Requests that are refused bring descriptors along."""
    with bench("leak") as f:
        pid = f.pid()
        with FrontEnd(f) as m:
            m.attach()
            served(f, m)
            before = descriptors(pid)
            for _ in range(50):
                for request in (SET_LOG_BASE, SET_INFLIGHT_FD, 99, SET_VRING_KICK, SET_FEATURES):
                    m.ask(request, b"\x07" + b"\xff" * 7, [m.mem] * 8)
            after = descriptors(pid)
            note(f"descriptors: {before}, then {after}")
            expect(after <= before + 8, f"descriptors went from {before} to {after}")
        # The library refuses the second kind itself, and forgets the descriptors.
        for _ in range(20):
            for request, payload in ((SET_LOG_BASE, b"\0" * 16), (SET_VRING_NUM, struct.pack("<II", 300, 64))):
                with FrontEnd(f) as m:
                    m.features()
                    m.say(request, payload, [m.mem] * 8)
                    expect(m.sock.recv(1) == b"", f"request {request} did not end the connection")
        all_well(f, pid)
        wait_for("descriptors to be closed", lambda: descriptors(pid) <= before + 8 or None, 5)


def test_descriptors_that_are_slow_to_close():
    """A connection that lingers over bytes that nobody reads: to close it last takes for ever. One in a message, then one that
    comes unread; weftd serves the others meanwhile, and ends."""
    with bench("linger") as f:
        pid = f.pid()
        with socket.create_server(("127.0.0.1", 0)) as server:
            for before in (b"", struct.pack("<III", SET_VRING_ADDR, 1, 0)):
                name = "a" if before else "m"
                with FrontEnd(f, name) as m:
                    slow = socket.create_connection(server.getsockname())
                    slow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 100000000))
                    slow.setblocking(False)
                    try:
                        while True:
                            slow.send(b"x" * 65536)
                    except BlockingIOError:
                        pass
                    # weftd sleeps until the message alone holds the connection: otherwise it may be this test that closes it last.
                    with stopped(pid):
                        m.sock.sendall(before)
                        m.say(SET_VRING_KICK, b"\0" * 8, [slow.fileno()])
                        slow.close()
                with FrontEnd(f, "b"):
                    expect(alive(pid), "weftd ended", f.log()[-2000:])
            os.kill(pid, signal.SIGTERM)
            wait_for("weftd to end", lambda: not alive(pid) or None, 5)


def test_half_a_message():
    """A header whose payload never comes, and answers that nobody reads, hold up nobody."""
    with bench("half") as f:
        pid = f.pid()
        with FrontEnd(f) as m:
            m.features()
            m.sock.sendall(struct.pack("<III", SET_FEATURES, 1, 8))
            all_well(f, pid)
        with FrontEnd(f) as m:
            m.sock.setblocking(False)
            try:
                for _ in range(20000):
                    m.say(GET_FEATURES)
            except (BlockingIOError, ConnectionError):
                pass
            all_well(f, pid)


def test_the_wrong_thing_at_any_time():
    """Each request with small nonsense in every state of an attachment."""
    with bench("nonsense") as f:
        pid = f.pid()
        for step in range(6):
            for request in range(0, 44):
                with FrontEnd(f) as m:
                    if step > 0:
                        m.features()
                    if step > 1:
                        m.table()
                    if step > 2:
                        m.ring(0)
                        m.ring(1)
                    if step > 3:
                        m.enable(0)
                        m.enable(1)
                    if step > 4:
                        m.frame(4)
                    for payload, fds in ((b"", []), (b"\0" * 8, [m.kick[0]]), (b"\1" + b"\0" * 39, [m.mem]),
                                         (b"\xff" * 40, [])):
                        if m.ask(request, payload, fds) is None:
                            break
                    for i in range(2):
                        m.enable(i)
                    m.frame(4)
            expect(alive(pid), f"weftd ended in step {step}", f.log()[-2000:])
        all_well(f, pid)


if __name__ == "__main__":
    sys.exit(fabric.main(tap.named_tests(globals())))
