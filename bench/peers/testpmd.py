# SPDX-License-Identifier: BSD-2-Clause
"""DPDK's testpmd, io forwarding between two vhost ports: moves frames from one ring to the other and looks at nothing. What a
switch on vhost-user could reach at most."""
import subprocess

from bench.peers.on_vhost import VhostPeer, hugepages


class Peer(VhostPeer):
    name = "testpmd"
    title = "DPDK testpmd, io"
    packages = ("dpdk-dev",)
    work = "forwards, looks at nothing"

    def command(self):
        # Two threads on one core: the first waits for a key and takes no time, the second forwards.
        ports = [w for i, s in enumerate(self.sockets) for w in ("--vdev", "net_vhost%d,iface=%s,queues=1" % (i, s))]
        return (["dpdk-testpmd", "--lcores", "0@%d,1@%d" % (self.server_core, self.server_core), "-m", self.mbytes, "--no-pci",
                 "--no-telemetry"] + self.memory() + ports +
                ["--", "--forward-mode=io", "--auto-start", "--nb-cores=1", "--rxd=1024", "--txd=1024",
                 "--total-num-mbufs=16384", "--burst=32", "--disable-link-check"])

    def memory(self):
        return ["--in-memory"] if hugepages() else ["--no-huge", "--no-shconf"]

    def start(self):
        log = self.folder / "testpmd.log"
        with log.open("w") as f:
            # A pipe that nobody writes to: testpmd ends at the end of its input.
            p = self.spawn(self.server_core, self.command(), server=True, stdin=subprocess.PIPE, stdout=f, stderr=subprocess.STDOUT)
        self.wait_sockets(p, log)
        self.start_load()

    def version(self):
        p = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "dpdk-dev"], check=False, text=True, capture_output=True)
        return "DPDK " + (p.stdout or "of unknown version")

    def configuration(self):
        return " ".join(str(w) for w in self.command()) + "\n"
