# SPDX-License-Identifier: BSD-2-Clause
"""nDPI's own ndpiReader over a capture: what its authors' program needs to name what is in a packet, with everything around the
dissectors. Each packet is a datagram of random bytes, as the bytes field of the bench's opaque messages is, and a flow of its own,
so that each is really dissected and none is known from the one before. It carries nothing; it only looks."""
import os
import random
import re
import struct
import subprocess

from bench.peers.base import Broken
from bench.peers.carried import Carried

PACKETS = 20000  # of a capture; read again and again, each time by a new process, until there was enough time
RUN_SECONDS = 120
PORTS = 47000, 47001
REMOTE = bytes((10, 255, 0, 1))
PROCESSING = re.compile(r"Packet Processing Time:\s+(\d+) msec")
COUNTS = re.compile(r"IP packets:\s+(\d+)\s+of (\d+) packets total.*Unique flows:\s+(\d+)", re.S)


def capture(path, size):
    """A pcap file of PACKETS datagrams, each between other addresses."""
    data = random.Random(size)
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))  # Ethernet
        for i in range(PACKETS):
            udp = struct.pack("!HHHH", *PORTS, 8 + size, 0) + data.randbytes(size)
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + (0x0a000001 + i).to_bytes(4, "big") + REMOTE
            frame = bytes(12) + b"\x08\x00" + ip + udp
            f.write(struct.pack("<IIII", 1700000000, i, len(frame), len(frame)) + frame)
    return path


class Peer(Carried):
    name = "ndpi_reader"
    title = "nDPI's ndpiReader"
    packages = ("libndpi-bin",)
    work = "names what is in each packet; carries nothing"

    def start(self):
        self.reader = self.installed("ndpiReader")
        self.captures = {}

    def command(self, path):
        return [self.reader, "-i", path, "-d"]  # -d: no guessing by ports, as we do not guess

    def read(self, path):
        """The seconds that it took for all packets of a capture, as it says itself: without its start."""
        p = self.spawn(self.server_core, self.command(path), True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
        try:
            text = p.communicate(timeout=RUN_SECONDS)[0].decode(errors="replace")
        except subprocess.TimeoutExpired as e:
            raise Broken("%s: a capture of %d packets takes longer than %d s" % (self.name, PACKETS, RUN_SECONDS)) from e
        self.servers.remove(p)
        took, counts = PROCESSING.search(text), COUNTS.search(text)
        if p.returncode or not took or not counts or {int(n) for n in counts.groups()} != {PACKETS}:
            raise Broken("%s did not look at %d packets, each a flow of its own: %s" % (self.name, PACKETS, text[-600:]))
        return int(took[1]) / 1000

    def throughput(self, size, seconds):
        if size not in self.captures:  # read once to warm up
            self.captures[size] = capture(os.path.join(self.folder, "%d.pcap" % size), size)
            self.read(self.captures[size])
        took, runs = 0.0, 0
        while took < seconds:
            took += self.read(self.captures[size])
            runs += 1
        return runs * PACKETS / took

    def round_trips(self, size, count):
        return None

    def version(self):
        p = subprocess.run([self.reader, "-h"], capture_output=True, text=True, check=False)
        found = re.search(r"nDPI ([\w.-]+)", p.stdout)
        return "nDPI " + (found[1] if found else "of unknown version")

    def configuration(self):
        return " ".join(self.command("SIZE.pcap"))
