# SPDX-License-Identifier: BSD-2-Clause
"""What the peers with a server of their own have in common: a client program that holds both ends (carry.h), asked line by line;
free ports; keys and certificates; how busy the server's core was. Leaves to each peer its server and its configuration."""
import glob
import os
import secrets
import select
import shlex
import shutil
import socket
import subprocess
import time

from bench.peers.base import Base, Broken, Unavailable

START_SECONDS = 20
# Beyond what a measurement takes by itself: the client gives up after ten silent seconds.
PATIENCE_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")


class Carried(Base):
    program = ""  # below build/bench/peers, made by `make bench-peers`

    def __init__(self, build, folder, server_core, load_core):
        super().__init__(os.path.abspath(build), os.path.abspath(folder), server_core, load_core)
        self.client = None
        self.shown = []          # the command lines, as they were run
        self.server_busy = None  # share of its core that the server took in the last measurement; near 1, it was the limit
        self.load_busy = None    # the same of the clients

    # --- processes ---

    def binary(self, program=None):
        path = os.path.join(self.build, "bench", "peers", program or self.program)
        if not os.access(path, os.X_OK):
            raise Unavailable("%s is not built: install %s and run `make bench-peers`"
                              % (path, ", ".join(self.packages) or "gcc"))
        return path

    def installed(self, name):
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if not path:
            raise Unavailable("%s is not installed: apt-get install %s" % (name, " ".join(self.packages)))
        return path

    def spawn(self, core, command, server, **how):
        self.shown.append("core %d: %s" % (core, shlex.join(str(c) for c in command)))
        return super().spawn(core, command, server, **how)

    def serve(self, command, **how):
        """A server, in the peer's folder; what it says is in server.log."""
        with open(os.path.join(self.folder, "server.log"), "ab") as log:
            return self.spawn(self.server_core, command, True, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                              **how)

    def said(self):
        """The last words of the server and the client, for people."""
        last = []
        for path in sorted(glob.glob(os.path.join(self.folder, "*.log"))):
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()[-600:].strip()
            if text:
                last.append("%s: %s" % (os.path.basename(path), text))
        return "; ".join(last) or "it said nothing"

    def wait_for(self, ready, what):
        """Until ready() says so."""
        until = time.monotonic() + START_SECONDS
        while not ready():
            if any(p.poll() is not None for p in self.servers) or time.monotonic() > until:
                raise Broken("%s: %s did not come up: %s" % (self.name, what, self.said()))
            time.sleep(0.02)

    def wait_port(self, port):
        def ready():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        self.wait_for(ready, "port %d" % port)

    def wait_path(self, path):
        self.wait_for(lambda: os.path.exists(path), path)

    def start_client(self, arguments, env=None):
        with open(os.path.join(self.folder, "client.log"), "ab") as log:
            self.client = self.spawn(self.load_core, [self.binary(), *arguments], False, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=log, bufsize=0, env={**os.environ, **(env or {})})
        self.held = b""
        if self.answer(START_SECONDS) != ["ready"]:
            raise Broken("%s: the client is not ready: %s" % (self.name, self.said()))

    # --- orders ---

    def answer(self, seconds):
        until = time.monotonic() + seconds
        while b"\n" not in self.held:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.client.stdout], [], [], left)[0]:
                raise Broken("%s: no answer from the client in %.0f s: %s" % (self.name, seconds, self.said()))
            got = self.client.stdout.read(1 << 16)
            if not got:
                raise Broken("%s: the client ended (%s): %s" % (self.name, self.client.wait(), self.said()))
            self.held += got
        line, self.held = self.held.split(b"\n", 1)
        return line.decode().split()

    def ask(self, order, size, count, answer):
        before, from_s = self.cpu_seconds(), time.monotonic()
        self.client.stdin.write(("%s %d %s\n" % (order, size, count)).encode())
        got = self.answer(PATIENCE_SECONDS + float(count) * (1 if answer == "rate" else 0.01))
        took, after = time.monotonic() - from_s, self.cpu_seconds()
        if got[0] != answer:
            raise Broken("%s: %s of %d bytes: %s; %s" % (self.name, order, size, " ".join(got), self.said()))
        self.server_busy, self.load_busy = ((b - a) / took for a, b in zip(before, after))
        return got[1:]

    def cpu_seconds(self):
        return tuple(sum(cpu_of(p.pid) for p in who) for who in (self.servers, self.clients))

    def throughput(self, size, seconds):
        return float(self.ask("throughput", size, "%.3f" % seconds, "rate")[0])

    def round_trips(self, size, count):
        return [int(t) for t in self.ask("round_trips", size, count, "times")]

    # --- what is shown ---

    def configuration(self):
        files = sorted(p for end in ("*.conf", "*.acl") for p in glob.glob(os.path.join(self.folder, end)))
        texts = []
        for path in files:
            with open(path, encoding="utf-8") as f:
                texts.append("# %s\n%s" % (os.path.basename(path), f.read().strip()))
        return "\n".join(texts + self.shown)


def cpu_of(pid):
    """User and system time of a process, in seconds; 0 where it is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def free_port():
    """A port of the loopback that nobody has now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def password():
    return secrets.token_hex(16)


def package_version(package):
    p = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True, check=False)
    return p.stdout.strip() if p.returncode == 0 else "unknown"


def write(path, text):
    """A file that only we can read: there are passwords in some."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as f:
        f.write(text)
    return path


class Authority:
    """An authority for one run, and certificates by it: EC P-256, the cheapest that all peers here take."""

    def __init__(self, folder):
        self.folder, self.ca = folder, os.path.join(folder, "ca.pem")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                     "/CN=bench authority", "-keyout", "ca.key", "-out", self.ca)

    def openssl(self, *arguments):
        p = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        if p.returncode:
            raise Broken("openssl %s: %s" % (arguments[0], p.stderr.strip()))

    def certificate(self, name, use):
        """The files of a certificate and its key, for localhost; use: serverAuth or clientAuth."""
        ext = write(os.path.join(self.folder, name + ".ext"),
                    "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=%s\nbasicConstraints=CA:FALSE\n" % use)
        pem, key = (os.path.join(self.folder, name + end) for end in (".pem", ".key"))
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout",
                     key, "-out", name + ".csr")
        self.openssl("x509", "-req", "-in", name + ".csr", "-CA", self.ca, "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                     "-extfile", ext, "-out", pem)
        return pem, key

    def both(self):
        """Of a server and a client: server.pem, server.key, client.pem, client.key."""
        return self.certificate("server", "serverAuth"), self.certificate("client", "clientAuth")
