# SPDX-License-Identifier: BSD-2-Clause
"""What a peer is to the benchmark: something that carries messages from one end to the other, run beside the fabric on the same
machine, in turns with it. Each file of this folder is one peer, with a class Peer(Base); bench/run_peers.py runs them. What a
message costs is each peer's own affair; that each one arrived is checked here and there alike."""
import os
import signal
import subprocess


class Unavailable(Exception):
    """This machine cannot run the peer; the text says why and what would help."""


class Base:
    name = ""       # in results: peer.NAME...
    title = ""      # for people
    packages = ()   # Debian packages that it needs, installed by `make bench-peers` where they are missing
    frames = False  # it carries Ethernet frames between two vhost-user ports, with the fabric's own load generator at its ends
    work = ""       # what it does for a message, in a few words: "forwards", "TLS 1.3 both ways, permissions by user"

    def __init__(self, build, folder, server_core, load_core):
        """build: the build tree; folder: a fresh one, for its files and sockets; its server runs on server_core alone, all of its
        clients on load_core."""
        self.build, self.folder = build, folder
        self.server_core, self.load_core = server_core, load_core
        self.servers, self.clients = [], []  # of subprocess.Popen

    def start(self):
        """Servers and clients, ready to carry messages. Raises Unavailable."""
        raise NotImplementedError

    def throughput(self, size, seconds):
        """Carries distinct messages of size bytes one way for about so long, after a warm-up of its own, and returns how many
        arrived per second. Every message that was sent must have arrived, once; else it raises."""
        raise NotImplementedError

    def round_trips(self, size, count):
        """A list of count round trips in ns, one message under way at a time, or None where the peer has no such mode."""
        return None

    def version(self):
        raise NotImplementedError

    def configuration(self):
        """The text of its configuration files and command lines, as they were run."""
        raise NotImplementedError

    # --- for all -------------------------------------------------------------------------------------------------------

    def spawn(self, core, command, server, **how):
        p = subprocess.Popen([str(c) for c in command], preexec_fn=lambda: os.sched_setaffinity(0, {core}),
                             start_new_session=True, **how)
        (self.servers if server else self.clients).append(p)
        return p

    def pause(self):
        """Takes no processor until resume(): others are measured."""
        for p in self.servers + self.clients:
            os.killpg(p.pid, signal.SIGSTOP)

    def resume(self):
        for p in self.servers + self.clients:
            os.killpg(p.pid, signal.SIGCONT)

    def stop(self):
        """Ends whatever it started, also after a start that failed half-way."""
        for p in self.clients + self.servers:
            if p.poll() is None:
                os.killpg(p.pid, signal.SIGCONT)
                os.killpg(p.pid, signal.SIGTERM)
        for p in self.clients + self.servers:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()
        self.servers, self.clients = [], []
