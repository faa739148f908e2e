# SPDX-License-Identifier: BSD-2-Clause
"""What a peer is to the benchmark: something that carries messages from one end to the other, run beside the fabric on the same
machine, in turns with it. A file of this folder with a class Peer(Base) is one peer; bench/run_peers.py runs them, and the top of
the tree is where they are imported from (`from bench.peers.base import Base`). What a message costs is each peer's own affair; that
each one arrived is checked here and there alike."""
import contextlib
import ctypes
import os
import signal
import subprocess

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class Unavailable(Exception):
    """This machine cannot run the peer; the text says why and what would help."""


class Broken(Exception):
    """The peer ran, and did not do what it must; the text says what."""


class Base:
    name = ""       # in results: peer.NAME...
    title = ""      # for people
    packages = ()   # Debian packages that it needs, installed by `make bench-peers` where they are missing
    services = ()   # system services that those packages bring along: kept from starting when they are installed
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
        """A list of count round trips in ns, one message under way at a time, or None where the peer has no such mode. After a
        warm-up of its own."""
        return None

    def version(self):
        raise NotImplementedError

    def configuration(self):
        """The text of its configuration files and command lines, as they were run."""
        raise NotImplementedError

    # --- for all -------------------------------------------------------------------------------------------------------

    def spawn(self, core, command, server, **how):
        """Starts a program on that core, in a session of its own. It ends with us, whatever ends us."""

        def prepare():
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, {core})

        p = subprocess.Popen([str(c) for c in command], preexec_fn=prepare, start_new_session=True, **how)
        (self.servers if server else self.clients).append(p)
        return p

    def signal(self, number):
        """To whatever still runs of what it started."""
        for p in self.servers + self.clients:
            if p.poll() is None:
                os.killpg(p.pid, number)

    def pause(self):
        """Takes no processor until resume(): others are measured."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def stop(self):
        """Ends whatever it started, also after a start that failed half-way."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        for p in self.clients + self.servers:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()
            for pipe in (p.stdin, p.stdout, p.stderr):
                with contextlib.suppress(OSError):
                    if pipe:
                        pipe.close()
        self.servers, self.clients = [], []
