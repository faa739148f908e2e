# SPDX-License-Identifier: BSD-2-Clause
"""A plain relay over AF_UNIX whose processes all spin: what three processes pay the kernel for handing a message on, no more."""
import os
import platform

from bench.peers.carried import Carried


class Peer(Carried):
    name = "unix"
    title = "AF_UNIX relay, spinning"
    work = "hands on; no encryption, no rules"
    program = "unix"

    def start(self):
        self.serve([self.binary(), "relay", "."])
        self.wait_path(os.path.join(self.folder, "b"))
        self.start_client(["client", self.folder])

    def version(self):
        return "Linux " + platform.release()
