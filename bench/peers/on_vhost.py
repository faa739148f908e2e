# SPDX-License-Identifier: BSD-2-Clause
"""What peers that carry Ethernet frames between two vhost-user ports share: the load at their two ends (bench/frames.c), memory as
weftd would take it. The switch itself is each peer's own."""
import json
import os
import pathlib
import select
import stat
import subprocess
import time

from bench.peers.base import Base, Broken

FLOWS = 64
WARM_UP_MS = 60
STARTUP_SECONDS = 30
ANSWER_SECONDS = 60
ATTEMPTS = 3


def hugepages():
    """Where weftd would use hugepages (fabric/weftd.c), so does a peer."""
    at = pathlib.Path("/dev/hugepages")
    return at.is_mount() and os.access(at, os.W_OK) and os.statvfs(at).f_bfree > 0


class VhostPeer(Base):
    frames = True
    mbytes = 512  # of memory for the switch

    def __init__(self, build, folder, server_core, load_core):
        super().__init__(build, folder, server_core, load_core)
        self.sockets = [folder / "a", folder / "b"]
        self.load = None

    def memory(self):
        """Arguments for DPDK's environment; either way no file is shared with another process."""
        return ["--in-memory"] if hugepages() else ["--no-huge", "--no-shconf", "--legacy-mem"]

    def memory_note(self):
        return "hugepages" if hugepages() else "no hugepages"

    def wait_sockets(self, process, log):
        end = time.monotonic() + STARTUP_SECONDS
        while not all(s.exists() and stat.S_ISSOCK(s.stat().st_mode) for s in self.sockets):
            if process.poll() is not None or time.monotonic() > end:
                raise Broken("%s offers no vhost-user ports:\n%s" % (self.name, log.read_text()[-4000:]))
            time.sleep(0.02)

    def start_load(self):
        """Once both sockets are there. Returns when frames come through."""
        command = [self.build / "bench" / "frames", "--flows", FLOWS] + self.sockets
        self.load = self.spawn(self.load_core, command, server=False, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               bufsize=1)
        if not self.answer().get("up"):
            raise Broken("the load of %s did not get its ports" % self.name)
        end = time.monotonic() + STARTUP_SECONDS
        first = {"lost": 1}
        while first["lost"] or not first["count"]:
            first = self.order("run", 64, 10)
            if time.monotonic() > end:
                raise Broken("%s lets nothing through" % self.name)

    def answer(self):
        ready, _, _ = select.select([self.load.stdout], [], [], ANSWER_SECONDS)
        line = self.load.stdout.readline() if ready else ""
        if not line:
            raise Broken("the load of %s %s" % (self.name, "ended" if ready else "has not answered for a minute"))
        return json.loads(line)

    def order(self, *words):
        self.load.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.load.stdin.flush()
        return self.answer()

    def whole(self, *order):
        """What the load saw, when each frame arrived once and as it was sent. A run that lost some does not count and is made
        again: on a busy machine a switch may stand still for longer than the load waits."""
        for _ in range(ATTEMPTS):
            r = self.order(*order)
            if r["wrong"]:
                raise Broken("%s: %d of %d frames arrived wrong" % (self.name, r["wrong"], r["count"]))
            if r["count"] and not r["lost"]:
                return r
            print("  %-16s lost %d of %d frames: that run does not count" % (self.name, r["lost"], r["count"]), flush=True)
        raise Broken("%s: loses frames, or takes none, in each of %d runs" % (self.name, ATTEMPTS))

    def warm_up(self, size):
        self.whole("run", size, WARM_UP_MS)

    def throughput(self, size, seconds):
        self.warm_up(size)
        r = self.whole("run", size, int(seconds * 1000))
        return r["count"] * 1e9 / r["elapsed_ns"]

    def round_trips(self, size, count):
        self.warm_up(size)
        return self.whole("trips", size, count)["ns"]
