# SPDX-License-Identifier: BSD-2-Clause
"""ZeroMQ through a relay, with CURVE on both hops: the relay knows its client's key and refuses others, which is tried at start."""
import os
import subprocess

from bench.peers.base import Broken, Unavailable
from bench.peers.carried import Carried


class Peer(Carried):
    name = "zmq_curve"
    title = "ZeroMQ relay, CURVE"
    packages = ("libzmq3-dev",)
    work = "CURVE on each hop, clients known by key"
    program = "zmq_curve"

    def tell(self, word):
        p = subprocess.run([self.binary(), word], capture_output=True, text=True, check=False)
        if p.returncode:
            raise Unavailable("%s: %s" % (self.name, p.stderr.strip()))
        return p.stdout.split("\n")

    def pair(self, who):
        public, secret = self.tell("keys")[:2]
        return {who + "_PUBLIC": public, who + "_SECRET": secret}

    def start(self):
        relay, client, stranger = self.pair("RELAY"), self.pair("CLIENT"), self.pair("CLIENT")
        self.serve([self.binary(), "relay", self.folder],
                   env={**os.environ, **relay, "CLIENT_PUBLIC": client["CLIENT_PUBLIC"]})
        self.wait_path(os.path.join(self.folder, "back.out"))
        p = subprocess.run([self.binary(), "stranger", self.folder], check=False, timeout=20,
                           env={**os.environ, **stranger, "RELAY_PUBLIC": relay["RELAY_PUBLIC"]})
        if p.returncode:
            raise Broken("%s: the relay let a client in that it does not know (%d)" % (self.name, p.returncode))
        self.start_client(["client", self.folder], {**client, "RELAY_PUBLIC": relay["RELAY_PUBLIC"]})

    def version(self):
        return self.tell("version")[0]
