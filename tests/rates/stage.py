# SPDX-License-Identifier: BSD-2-Clause
"""Where a recorded dialogue takes place: a folder, servers on free ports of 127.0.0.1, relays that write down what passes, and
clients with deadlines. Nothing needs root, and where root runs this the programs run as nobody. Nothing that was started
outlives its stage. Which programs there are is said elsewhere (programs_*.py)."""
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SESSION_SEGMENTS = 64     # of a session that are kept: its beginning, which says what it is, and some of what follows
SEGMENT_BYTES = 60 * 1024  # as long as a message may be


class Unable(Exception):
    """The program cannot run here, or did not say what it should; the text says why."""


def become_reaper():
    """Orphans of what we start come to us, so that none is left behind."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants():
    """Pids of all processes below this one that have not ended."""
    parent = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parent[int(entry)] = int(fields[1])
    below, grown = {os.getpid()}, True
    while grown:
        more = {pid for pid, up in parent.items() if up in below} - below
        below |= more
        grown = bool(more)
    return below - {os.getpid()}


class Session:
    """One TCP connection or one UDP client, as the relay saw it: ("c" from the client or "s" from the server, bytes)."""

    def __init__(self, transport):
        self.transport, self.segments, self.lock = transport, [], threading.Lock()

    def add(self, side, data):
        with self.lock:
            if data and len(self.segments) < SESSION_SEGMENTS and len(data) <= SEGMENT_BYTES:
                self.segments.append((side, bytes(data)))


class Stage:
    """with Stage() as s: servers, relays and clients of one dialogue. s.sessions is what was recorded."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weft-rates-"))
        self.who = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self.who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.user = pwd.getpwuid(self.who.get("user", os.geteuid())).pw_name
        self.env = {"PATH": PATH, "HOME": str(self.folder), "TMPDIR": str(self.folder), "LC_ALL": "C",
                    "USER": self.user,
                    "LOGNAME": self.user, "TERM": "dumb", "PYTHONDONTWRITEBYTECODE": "1"}
        self.sessions, self.open, self.stopping = [], [], False
        self.log = open(self.folder / "log", "wb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        for s in self.open:
            close(s)
        for sig, seconds in ((signal.SIGTERM, 1.5), (signal.SIGKILL, 3)):
            deadline, told = time.monotonic() + seconds, set()
            while time.monotonic() < deadline:
                reap()
                left = descendants()
                if not left:
                    break
                for pid in left - told:
                    try:
                        os.kill(pid, sig)
                    except ProcessLookupError:
                        pass
                told |= left
                time.sleep(0.02)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- files ------------------------------------------------------------------------------------------------------
    def path(self, name):
        return str(self.folder / name)

    def write(self, name, text, mode=0o644):
        """A file that the programs may read and change; its path."""
        p = self.folder / name
        made = [d for d in p.parents if not d.exists()]
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_bytes(text if isinstance(text, bytes) else text.encode())
        p.chmod(mode)
        for q in [p] + made:
            self.give(q)
        return str(p)

    def mkdir(self, name, mode=0o755):
        p = self.folder / name
        p.mkdir(mode=mode, parents=True, exist_ok=True)
        self.give(p)
        return str(p)

    def give(self, path):
        if self.who:
            os.chown(path, self.who["user"], self.who["group"])

    # --- programs ---------------------------------------------------------------------------------------------------
    def start(self, *args, **more):
        """A process that runs until the stage ends."""
        return subprocess.Popen([str(a) for a in args], stdin=more.pop("stdin", subprocess.DEVNULL), stdout=self.log,
                                stderr=self.log, cwd=self.folder, env={**self.env, **more.pop("env", {})},
                                start_new_session=True, **self.who, **more)

    def server(self, port, *args, udp=False, **more):
        """Starts a server and waits until it listens."""
        p = self.start(*args, **more)
        deadline = time.monotonic() + 20
        while not (udp_bound(port) if udp else tcp_open(port)):
            if time.monotonic() > deadline or (p.poll() is not None and p.returncode):
                raise Unable(f"{args[0]} does not listen at {port}: {self.log_tail()}")
            time.sleep(0.05)
        return p

    def run(self, *args, seconds=10, text="", must=True, status=(0,), env=None):
        """Runs a client to its end or the deadline; what it printed. must: another exit status is an error."""
        with tempfile.TemporaryFile() as out:
            p = subprocess.Popen([str(a) for a in args], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
                                 cwd=self.folder, env={**self.env, **(env or {})}, start_new_session=True, **self.who)
            try:
                p.communicate(text if isinstance(text, bytes) else text.encode(), timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                p.communicate()
            except BrokenPipeError:
                p.wait()
            out.seek(0)
            said = out.read().decode("utf-8", "replace")
        if must and p.returncode not in status:
            raise Unable(f"{args[0]} ended with {p.returncode}: {said[-300:].strip()} {self.log_tail()}")
        return said

    def log_tail(self):
        self.log.flush()
        return (self.folder / "log").read_bytes()[-300:].decode("utf-8", "replace").replace("\n", " | ").strip()

    # --- relays -----------------------------------------------------------------------------------------------------
    def port(self, udp=False):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def thread(self, function, *args):
        threading.Thread(target=function, args=args, daemon=True).start()

    def tcp(self, to=None, answers=()):
        """Listens, writes down, passes on to port `to`; without one it gives `answers` itself: (when, bytes) pairs, when None
        upon connecting, else after that many segments from the client. Returns the port."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.open.append(listener)
        self.thread(self.tcp_accept, listener, to, answers)
        return listener.getsockname()[1]

    def tcp_accept(self, listener, to, answers):
        while not self.stopping:
            try:
                a, _ = listener.accept()
            except OSError:
                return
            a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = Session("tcp")
            self.sessions.append(session)
            self.open.append(a)
            if to is None:
                self.thread(self.tcp_answer, a, session, answers)
                continue
            try:
                b = socket.create_connection(("127.0.0.1", to))
            except OSError:
                close(a)
                continue
            b.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.open.append(b)
            self.thread(pump, a, b, session, "c")
            self.thread(pump, b, a, session, "s")

    def tcp_answer(self, a, session, answers):
        count = 0
        while True:
            for when, data in answers:
                if (when or 0) == count:
                    session.add("s", data)
                    send(a, data)
            data = receive(a)
            if not data:
                return close(a)
            session.add("c", data)
            count += 1

    def udp(self, to=None, answer=None):
        """The same for datagrams; each client address is a session. Without a server, answer(bytes) may give an answer."""
        front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        front.bind(("127.0.0.1", 0))
        self.open.append(front)
        self.thread(self.udp_serve, front, to, answer)
        return front.getsockname()[1]

    def udp_serve(self, front, to, answer):
        known = {}
        while not self.stopping:
            try:
                data, who = front.recvfrom(65536)
            except ConnectionRefusedError:
                continue
            except OSError:
                return
            if who is None:  # shut down
                return
            if who not in known:
                known[who] = flow = UdpFlow(to)
                self.sessions.append(flow.session)
                if flow.back is not None:
                    self.open.append(flow.back)
                    self.thread(udp_back, flow, front, who)
            flow = known[who]
            flow.session.add("c", data)
            if flow.back is not None:
                flow.back.sendto(data, flow.server)
            elif answer and answer(data):
                flow.session.add("s", answer(data))
                front.sendto(answer(data), who)


class UdpFlow:
    """One client's datagrams. Some servers answer from another port of theirs (TFTP): what follows goes there."""

    def __init__(self, to):
        self.session, self.back, self.server = Session("udp"), None, ("127.0.0.1", to)
        if to is not None:
            self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.back.bind(("127.0.0.1", 0))


def udp_back(flow, front, who):
    while True:
        try:
            data, server = flow.back.recvfrom(65536)
            if server is None:  # shut down
                return
            flow.server = server
            flow.session.add("s", data)
            front.sendto(data, who)
        except ConnectionRefusedError:
            continue
        except OSError:
            return


def receive(s):
    try:
        return s.recv(65536)
    except OSError:
        return b""


def send(s, data):
    try:
        s.sendall(data)
    except OSError:
        pass


def close(s):
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    s.close()


def pump(a, b, session, side):
    while True:
        data = receive(a)
        if not data:
            try:
                b.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return
        session.add(side, data)
        send(b, data)


def tcp_open(port):
    """Whether somebody listens, by /proc: a connection would be the server's first client."""
    return listed(port, ("tcp", "tcp6"), "0A")


def udp_bound(port):
    return listed(port, ("udp", "udp6"), "07")


def listed(port, names, state):
    for name in names:
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as f:
                for line in f.readlines()[1:]:
                    fields = line.split()
                    if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == state:
                        return True
        except OSError:
            pass
    return False


def reap():
    """Collects orphans that came to us; those that we wait for ourselves are Popen's."""
    for pid in list(zombies()):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass


def zombies():
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] == "Z" and int(fields[1]) == os.getpid():
                yield int(entry)
