# SPDX-License-Identifier: BSD-2-Clause
"""The list of programs whose dialogues are recorded, and what each says about itself."""
import functools
import subprocess

PROGRAMS = []
DEBIAN_PYTHON = "/usr/bin/python3"  # whose modules are Debian's packages


def program(protocol, packages, names=(), short=False, alone=False):
    """Decorates a function that plays a dialogue of `protocol` (nDPI's name) on a stage. packages: Debian's, client first.
    names: other names of nDPI's that are right too. alone: no server was to be had, the client talks to a listener of ours.
    short: belongs to `make test`."""
    def note(function):
        PROGRAMS.append(Program(protocol, packages.split(), names, short, alone, function))
        return function
    return note


class Program:
    def __init__(self, protocol, packages, names, short, alone, play):
        self.protocol, self.packages, self.names, self.short, self.alone = protocol, packages, names, short, alone
        self.play = play
        self.name = play.__name__

    def missing(self):
        """Packages that it needs and that are not here."""
        return [p for p in self.packages if version(p) is None]

    def right(self, name):
        """Whether nDPI's name for a payload is the one that this is, or belongs to it ("TLS.Google")."""
        parts = name.lower().split(".")
        return any(n.lower() in parts or n.lower() == name.lower() for n in (self.protocol, *self.names))


@functools.lru_cache(None)
def version(package):
    """The installed version of a Debian package, or None."""
    r = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package], capture_output=True,
                       text=True,
                       check=False)
    words = r.stdout.split()
    return words[1] if r.returncode == 0 and len(words) == 2 and words[0] == "installed" else None
