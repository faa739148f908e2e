#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Frames that are no fabric records, from a guest that looks around: what is ordinary is named and recorded one by one, a scan is
one finding, and every frame is counted. Prints TAP."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

import fabric
import tap
from fabric import Fabric, expect, note, wait_for
from test_frontend import AVAIL, BUF, DESC, GPA, RING, FrontEnd

ITSELF = 3      # m's port number, behind a and b
BEFORE = 16     # targets that are recorded one by one: FAB_SCAN_TARGETS
QUIET_S = 10    # FAB_SCAN_QUIET_NS


# --- frames -----------------------------------------------------------------------------------------------------------

def mac(port):
    return b"\x02WEF" + struct.pack(">H", port)


def ip(port):
    return bytes((10, 87, 0, port + 1))


def total(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    s = (s & 0xffff) + (s >> 16)
    return ~(s + (s >> 16)) & 0xffff


def ethernet(kind, payload, to=b"\xff" * 6, port=ITSELF):
    return (to + mac(port) + struct.pack(">H", kind) + payload).ljust(60, b"\0")


def ipv4(to, l4, payload, port=ITSELF):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, l4, 0, ip(port), to)
    return ethernet(0x0800, head[:10] + struct.pack(">H", total(head)) + head[12:] + payload, mac(0), port)


def ipv6(to, l4, payload):
    head = struct.pack(">IHBB16s16s", 6 << 28, len(payload), l4, 255, socket.inet_pton(socket.AF_INET6, "fe80::1"),
                       socket.inet_pton(socket.AF_INET6, to))
    return ethernet(0x86dd, head + payload, b"\x33\x33" + socket.inet_pton(socket.AF_INET6, to)[12:])


def syn(to, port, source=40000, from_=ITSELF):
    return ipv4(to, 6, struct.pack(">HHIIBBHHH", source, port, 1, 0, 0x50, 2, 64240, 0, 0), from_)


def udp(port, payload, source=40000):
    return struct.pack(">HHHH", source, port, 8 + len(payload), 0) + payload


def dns(name, kind=1):
    labels = b"".join(bytes((len(p),)) + p.encode() for p in name.split("."))
    return struct.pack(">HHHHHH", 0x1234, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


class Guest(FrontEnd):
    """Sends any frames."""

    def __init__(self, f, name="m"):
        super().__init__(f, name)
        self.attach()
        self.sent = 0

    def send(self, *frames):
        for data in frames:
            wait_for("room in the ring", lambda: (self.sent - self.taken()) & 0xffff < RING, 10, 0.0005)
            slot = self.sent % RING
            at = BUF + 2048 * slot
            self.map[at:at + 12] = b"\0" * 12
            self.map[at + 12:at + 12 + len(data)] = data
            struct.pack_into("<QIHH", self.map, 0x4000 + DESC + 16 * slot, GPA + at, 12 + len(data), 0, 0)
            struct.pack_into("<H", self.map, 0x4000 + AVAIL + 4 + 2 * slot, slot)
            self.sent += 1
            self.publish(self.sent)
            os.write(self.kick[1], struct.pack("<Q", 1))
        wait_for("the frames to be taken", lambda: self.taken() == self.sent & 0xffff, 10, 0.0005)


def log(f, name="m"):
    """What the decision log says of a port: its frames and its scans."""
    text = (f.run / "decisions.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines(True) if line.endswith("\n")]
    return [d for d in lines if d.get("unikernel") == name or (d.get("from") == name and d["verdict"] == "frame_foreign")]


def foreign(f, name="m"):
    return f.port(name)["verdicts"].get("frame_foreign", 0)


def all_counted(f, sent, name="m"):
    """Every frame was refused and counted by its port, and is in one record of the log."""
    wait_for("all frames to be counted", lambda: foreign(f, name) == sent, 10)
    wait_for("all frames to be recorded", lambda: sum(d.get("count", 0) for d in log(f, name)) == sent, QUIET_S + 5)


def the_scan(f, name="m"):
    """The event and the record of its end, once it is there, and the lines before and after it."""
    def over():
        found = log(f, name)
        return any(d.get("scan", {}).get("over") for d in found) and found
    found = wait_for("the scan's end", over, QUIET_S + 10, 0.1)
    events = [d for d in found if d.get("event") == "scan"]
    ends = [d for d in found if "event" not in d and "scan" in d]
    expect(len(events) == len(ends) == 1, f"not one finding: {events} {ends}")
    expect(ends[0]["scan"]["event"] == events[0]["id"], (events, ends))
    return events[0], ends[0], [d for d in found if "scan" not in d]


def sentence(f, decision):
    status, out = f.weft("explain", str(decision["id"]))
    expect(status == 0, out)
    return out


# --- tests ------------------------------------------------------------------------------------------------------------

def peers():
    return {"a": {"send": ["b"]}, "b": {"receive": ["a"]}, "m": {}}


def test_a_scan_of_a_thousand_ports():
    with Fabric("scan-ports", peers()) as f, Guest(f) as m:
        tail = subprocess.Popen([fabric.BUILD / "bin" / "weft", "tail", "-n", "100", f.folder / "fabric.yaml"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for port in range(1, 1001):
                m.send(syn(ip(1), port))
            wait_for("the event", lambda: any(d.get("event") == "scan" for d in log(f)), 5)
            event, end, single = the_scan(f)
        finally:
            tail.send_signal(signal.SIGINT)
            text = tail.communicate(timeout=10)[0]
        expect(len(single) == BEFORE, f"{len(single)} lines")
        expect(event["to"] == "a" and event["scan"]["peers"] == 1 and event["scan"]["ports"] == BEFORE + 1, event)
        expect(end["to"] == "a" and end["scan"]["ports"] == 1000 and not end["scan"]["ports_about"] and
               end["count"] == 1000 - BEFORE and end["frame"]["l4"] == "tcp", end)
        expect(end["frame"]["protocol"].startswith("TCP, "), end)
        all_counted(f, 1000)
        expect(f.port("m")["scans"] == 1 and f.port("m")["decisions_merged"] == 0, f.port("m"))
        kinds = [k for k in f.stats()["decisions"]["foreign"] if k["protocol"] == "a scan"]
        expect(kinds == [{"from": "m", "to": "a", "protocol": "a scan", "count": 1000 - BEFORE}], kinds)
        of_m = [line for line in text.splitlines() if re.search(r"#\d+ +(weftd: )?m ", line)]
        note("\n".join(of_m[-2:]))
        expect(len(of_m) == BEFORE + 2, text)
        expect(re.search(r"weftd: m scans 17 ports of a: TCP", of_m[-2]) and
               re.search(r"m scanned 1000 ports of a, in [0-9.]+ s: refused \(frame_foreign\): TCP, .* x984$", of_m[-1]), text)
        expect("m scans 17 ports of a" in sentence(f, event), sentence(f, event))
        out = sentence(f, end)
        expect("scanned 1000 ports of a" in out and f"984 frames of the scan that decision {event['id']} told of" in out, out)
        expect("m has scanned 1 time;" in f.weft("stats")[1], f.weft("stats")[1])
        # A draft of a policy learns nothing from it, and trips over nothing.
        p = subprocess.run([fabric.BUILD / "bin" / "weft", "policy", "learn", f.run / "decisions.jsonl", "-o", f.folder / "draft",
                            "--json"], capture_output=True, text=True, timeout=60, check=False)
        note(p.stdout.strip()[:200])
        expect("no verdict" not in p.stderr and "no decision:" not in p.stderr, p.stderr)


def test_a_sweep_of_two_hundred_addresses():
    with Fabric("scan-sweep", peers()) as f, Guest(f) as m:
        m.send(*(syn(bytes((10, 87, 1, i)), 22) for i in range(200)))
        event, end, single = the_scan(f)
        expect(len(single) == BEFORE and all(d["frame"]["protocol"] == "SSH" for d in single), single)
        expect(end["scan"]["peers"] == 200 and end["scan"]["ports"] == 1 and end["to"] is None and
               end["frame"] == {"protocol": "SSH", "l4": "tcp", "dst_ip": None, "src_port": 0, "dst_port": 22}, end)
        expect("port 22 of 200 peers" in sentence(f, end) and event["scan"]["peers"] == BEFORE + 1, sentence(f, end))
        all_counted(f, 200)
        # With ARP questions for addresses that nobody has; those that are someone's are answered.
        m.send(*(ethernet(0x0806, struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac(ITSELF), ip(ITSELF), b"\0" * 6,
                                              bytes((10, 87, 7, i)))) for i in range(60)))
        wait_for("the second scan's end", lambda: sum(d.get("scan", {}).get("over", 0) for d in log(f)) == 2, QUIET_S + 10)
        end = log(f)[-1]
        expect(end["scan"]["peers"] == 60 and end["scan"]["ports"] == 0 and end["frame"]["protocol"] == "ARP", end)
        all_counted(f, 260)


def test_who_is_slow_is_recorded_frame_by_frame():
    """Thirteen targets in ten seconds, and more than sixteen in all."""
    slow = BEFORE + 4
    with Fabric("scan-slow", peers()) as f, Guest(f) as m:
        for port in range(1, slow + 1):
            m.send(syn(ip(1), port))
            time.sleep(0.75)
        all_counted(f, slow)
        found = log(f)
        expect(len(found) == slow and not any("scan" in d for d in found), found)
        expect(f.port("m")["scans"] == 0, f.port("m"))


def test_ordinary_noise_is_named():
    noise = (
        ("ARP", "10.87.0.200", ethernet(0x0806, struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac(ITSELF), ip(ITSELF),
                                                            b"\0" * 6, bytes((10, 87, 0, 200))))),
        ("DHCP", "255.255.255.255", ipv4(b"\xff" * 4, 17, udp(67, b"\x01\x01\x06\0" + b"\0" * 232 +
                                                             b"\x63\x82\x53\x63\x35\x01\x01\xff".ljust(64, b"\0"), 68))),
        ("MDNS", "224.0.0.251", ipv4(bytes((224, 0, 0, 251)), 17, udp(5353, dns("_ssh._tcp.local", 12), 5353))),
        ("DNS", "8.8.8.8", ipv4(bytes((8, 8, 8, 8)), 17, udp(53, dns("example.org")))),
        ("NTP", "10.87.0.77", ipv4(bytes((10, 87, 0, 77)), 17, udp(123, b"\x23" + b"\0" * 47, 123))),
        ("ICMP", "10.87.0.2", ipv4(ip(1), 1, b"\x08\0\xf7\xff\0\0\0\0")),
        ("IGMP", "224.0.0.22", ipv4(bytes((224, 0, 0, 22)), 2, b"\x22\0\xf9\xfc\0\0\0\0")),
        ("SSH", "10.87.0.2", syn(ip(1), 22)),
        ("HTTP", "10.87.0.3", syn(ip(2), 80)),
        ("ICMPV6", None, ipv6("ff02::2", 58, b"\x85\0\0\0\0\0\0\0")),
        ("MDNS", None, ipv6("ff02::fb", 17, udp(5353, dns("_ssh._tcp.local", 12), 5353))),
        ("EtherType 0x88cc", None, ethernet(0x88cc, b"\x02\x07\x04" + b"\0" * 40)),
        ("broken IPv4", None, ethernet(0x0800, b"\x45" + b"\xff" * 40)),
    )
    with Fabric("scan-noise", peers()) as f, Guest(f) as m:
        m.send(*(data for _, _, data in noise))
        all_counted(f, len(noise))
        found = log(f)
        expect(len(found) == len(noise) and not any("scan" in d for d in found), found)
        for (name, to, _), d in zip(noise, found):
            got = d["frame"]["protocol"]
            expect((got == name or got.startswith(name + ".")) and d["frame"]["dst_ip"] == to, f"{name} {to}: {d}")


def test_a_scan_is_its_own_doing():
    """Each frame of it counts towards quarantine, and goes on being counted afterwards."""
    with Fabric("scan-quarantine", peers()) as f, Guest(f) as m:
        path = f.folder / "policy" / "m.yaml"
        path.write_text(path.read_text() + "quarantine: {violations: 50, within: 1m}\n")
        status, out = f.weft("policy", "apply")
        expect(status == 0, out)
        m.send(*(syn(ip(1), port) for port in range(1, 101)))
        wait_for("the quarantine", lambda: f.port("m")["quarantine"], 5)
        wait_for("all frames to be counted", lambda: foreign(f) == 100, 10)
        status, out = f.weft("down")  # does not wait for the scan to fall silent
        expect(status == 0, out)
        event, end, single = the_scan(f)
        cut = [d for d in log(f) if d.get("event") == "quarantine"]
        expect(len(cut) == 1 and cut[0]["verdict"] == "frame_foreign" and cut[0]["detail"] == "50 refusals within 60 s", cut)
        expect(event["id"] < cut[0]["id"] < end["id"] and len(single) == BEFORE + 1 and end["scan"]["ports"] == 100, (event, end))
        expect(sum(d.get("count", 0) for d in log(f)) == 100, log(f))


def test_weftd_ends_during_a_scan():
    """What was counted is written before it is gone."""
    with Fabric("scan-end", peers()) as f:
        with Guest(f) as m:
            m.send(*(syn(ip(1), port) for port in range(1, 101)))
            wait_for("the event", lambda: any(d.get("event") == "scan" for d in log(f)), 5)
        status, out = f.weft("down")
        expect(status == 0, out)
        event, end, single = the_scan(f)
        expect(end["count"] == 100 - BEFORE and len(single) == BEFORE and end["scan"]["event"] == event["id"], end)


if __name__ == "__main__":
    sys.exit(fabric.main(tap.named_tests(globals())))
