#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two endpoints talk all the time while a third port's front-end misbehaves; not one of their messages is refused or
lost. What a front-end can do to weftd itself is test_frontend.py's. Prints TAP."""
import contextlib
import os
import random
import socket
import struct
import sys
import time

import fabric
import tap
from fabric import Fabric, alive, descriptors, expect, note, wait_for
from test_frontend import (GET_FEATURES, GPA, NEED_REPLY, PROTOCOL_FEATURES, SET_FEATURES, SET_MEM_TABLE, SET_OWNER,
                           SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_CALL, SET_VRING_ENABLE, SET_VRING_KICK, SET_VRING_NUM,
                           SIZE, USER, VERSION_1, FrontEnd, served)

# What a port needs; see fabric/vhost.c. Each other request must be refused.
NEEDED = {1, 2, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18}
REQUESTS = 44


@contextlib.contextmanager
def traffic(name):
    """A fabric whose endpoints a and b talk; at the end nothing of it may have been disturbed."""
    with Fabric("hostile-" + name, {"a": {"send": ["b"]}, "b": {"receive": ["a"]}, "m": {}}) as f:
        b = f.soak("b", "--receive", "--idle", 60)
        b.wait_up()
        a = f.soak("a", "--to", "b", "--rate", 2000)
        a.wait_up()
        pid, before = f.pid(), descriptors(f.pid())
        yield f
        expect(alive(pid) and f.pid() == pid, "weftd ended", f.log()[-2000:])
        # One more front-end that behaves is served.
        with FrontEnd(f) as m:
            m.attach()
            served(f, m)
        wait_for("descriptors to be closed", lambda: descriptors(pid) <= before, 5)
        a.stop()
        sa = a.summary(20)
        wait_for("the rest", lambda: b.events()[-1]["received"] >= sa["sent"], 10)
        b.stop()
        sb = b.summary(20)
        note(f"{sa['sent']} messages meanwhile; the longest pause was {sb['longest_pause_ms']:.0f} ms")
        expect(sa["ok"] and sb["ok"] and sb["received"] == sa["sent"] and sa["downs"] == sb["downs"] == 0 and
               sb["longest_pause_ms"] < 1000, f"a and b were disturbed: {sa} {sb}")


def test_requests_that_are_not_needed():
    """Each is refused: with an acknowledgement by a 1, without one by the end of the connection."""
    with traffic("requests") as f:
        for request in sorted(set(range(REQUESTS)) - NEEDED) + [99, 0xffffffff]:
            with FrontEnd(f) as m:
                m.attach()
                expect(m.ask(request, b"\0" * 8) in (1, None), f"request {request} was not refused")
            with FrontEnd(f) as m:
                m.features()
                m.say(request, b"\0" * 8)
                expect(m.sock.recv(1) == b"", f"request {request} did not end the connection")


def test_features_that_were_not_offered():
    with traffic("features") as f:
        with FrontEnd(f) as m:
            m.say(GET_FEATURES)
            offered = struct.unpack("<Q", m.sock.recv(20, socket.MSG_WAITALL)[12:])[0]
        note(f"offered: {offered:#x}")
        for bit in (b for b in range(64) if not offered & 1 << b):
            with FrontEnd(f) as m:
                expect(m.ask(SET_FEATURES, struct.pack("<Q", VERSION_1 | PROTOCOL_FEATURES | 1 << bit)) != 0,
                       f"feature {bit} was taken")


def test_rings_that_do_not_exist():
    with traffic("rings") as f, FrontEnd(f) as m:
        m.attach()
        served(f, m)
        for ring in (2, 3, 127, 255):
            for request, payload, fds in ((SET_VRING_NUM, struct.pack("<II", ring, 64), []),
                                          (SET_VRING_BASE, struct.pack("<II", ring, 0), []),
                                          (SET_VRING_ADDR, struct.pack("<IIQQQQ", ring, 0, USER, USER, USER, 0), []),
                                          (SET_VRING_KICK, struct.pack("<Q", ring), [m.kick[0]]),
                                          (SET_VRING_CALL, struct.pack("<Q", ring), [m.call[0]]),
                                          (SET_VRING_ENABLE, struct.pack("<II", ring, 1), [])):
                expect(m.ask(request, payload, fds) == 1, f"request {request} for ring {ring} was not refused")


def test_memory_tables():
    """None, too many, overlapping, at the end of the address space, without their descriptors."""
    def region(gpa, size=SIZE, user=USER, offset=0):
        return struct.pack("<QQQQ", gpa, size, user, offset)

    with traffic("memory") as f:
        for what, n, regions, fds in (("none", 0, [], 0), ("a lie", 8, [region(GPA)], 1), ("too many", 9, [region(GPA)] * 9, 8),
                                      ("far too many", 0xffffffff, [region(GPA)], 1), ("no descriptor", 1, [region(GPA)], 0),
                                      ("two descriptors", 1, [region(GPA)], 2), ("no bytes", 1, [region(GPA, 0)], 1),
                                      ("all bytes", 1, [region(GPA, (1 << 64) - 1)], 1)):
            with FrontEnd(f) as m:
                m.features()
                expect(m.ask(SET_MEM_TABLE, struct.pack("<II", n, 0) + b"".join(regions), [m.mem] * fds) != 0,
                       f"a memory table of {what} was taken")
        # Strange, but it harms nobody: regions that overlap, and one that wraps around the end of the guest's addresses.
        for second in (GPA, GPA + SIZE // 2, (1 << 64) - SIZE // 2):
            with FrontEnd(f) as m:
                m.features()
                m.ask(SET_MEM_TABLE, struct.pack("<II", 2, 0) + region(GPA) + region(second, user=USER + SIZE), [m.mem] * 2)
                for i in range(2):
                    m.ring(i)
                for i in range(2):
                    m.enable(i)
                m.frame(20)
                time.sleep(0.05)


def test_who_fills_the_log():
    """Thousands of complaints make some lines; the disk is not the front-end's to fill."""
    with traffic("log") as f, FrontEnd(f) as m:
        before = len(f.log())
        for _ in range(3000):
            expect(m.ask(99, b"") == 1, "request 99 was not refused")
        size = len(f.log()) - before
        note(f"{size} bytes of log")
        expect(0 < size < 50000, f"{size} bytes of log")


def test_a_second_front_end():
    """A port that is in use takes no other; the first one does not notice."""
    with traffic("second") as f, FrontEnd(f) as m:
        m.attach()
        served(f, m)
        for _ in range(20):
            with FrontEnd(f, only=False) as other:
                expect(other.ask(SET_OWNER) is None, "a second front-end was let in")
        before = m.taken()
        m.frame()
        wait_for("the first one's frame", lambda: m.taken() != before, 5)


def test_coming_and_going():
    """Two hundred connections that end at once, at any step of the way, and ten that end in the middle of frames."""
    with traffic("going") as f:
        for i in range(200):
            with FrontEnd(f) as m:
                if i % 4 > 0:
                    m.features()
                if i % 4 > 1:
                    m.table()
                if i % 4 > 2:
                    m.ring(i % 2)
        for _ in range(10):
            with FrontEnd(f) as m:
                m.attach()
                m.frame(60)


def test_garbage():
    """Random bytes, and random payloads under right headers."""
    with traffic("garbage") as f:
        seed = int(os.environ.get("SEED", "1"))
        note(f"SEED={seed}")
        rng = random.Random(seed)
        for i in range(300):
            with FrontEnd(f) as m:
                if i % 2:
                    m.features()
                    m.table()
                with contextlib.suppress(OSError):
                    for _ in range(rng.randrange(1, 8)):
                        payload = rng.randbytes(rng.choice((0, 1, 8, 8, 12, 40, 264, 632, 700)))
                        if i % 3:
                            head = struct.pack("<III", rng.choice(sorted(NEEDED)), rng.choice((1, 1 | NEED_REPLY)), len(payload))
                        else:
                            head = rng.randbytes(12)
                        m.sock.sendall(head + payload)


if __name__ == "__main__":
    sys.exit(fabric.main(tap.named_tests(globals())))
