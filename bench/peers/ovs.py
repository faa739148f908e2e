# SPDX-License-Identifier: BSD-2-Clause
"""Open vSwitch with DPDK, as a switch without rules: whatever comes from one port goes to the other. Its daemons run in the peer's
own folder, beside any that the system runs, and its datapath in a network namespace of its own. ovs_acl.py and ovs_acl_nocache.py
give it rules, and look where it found them."""
import os
import pathlib
import re
import socket
import subprocess
import time

from bench.peers.base import Broken, Unavailable
from bench.peers.on_vhost import STARTUP_SECONDS, VhostPeer, hugepages

VSWITCHD = pathlib.Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
SCHEMA = pathlib.Path("/usr/share/openvswitch/vswitch.ovsschema")
TUN = pathlib.Path("/dev/net/tun")
# Flows are not forgotten while the switch is stopped for others' turns.
MAX_IDLE_MS = 3600000
QUIET_SECONDS = 1.5


def listens(path):
    """A socket is there before anybody listens at it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        return s.connect_ex(str(path)) == 0


class Peer(VhostPeer):
    name = "ovs"
    title = "Open vSwitch, no rules"
    packages = ("openvswitch-switch-dpdk",)
    services = ("openvswitch-switch", "ovs-record-hostname")
    work = "forwards by port"
    flows = ("in_port=1,actions=output:2", "in_port=2,actions=output:1")
    cache = {}  # other_config of its flow caches, where not the default
    # Where every packet is found: a line of `ovs-appctl dpif-netdev/pmd-stats-show`.
    found = "simple match hits"

    def settings(self):
        memory = ["--in-memory"] if hugepages() else ["--no-huge", "--no-shconf", "--legacy-mem"]
        return {"dpdk-init": "true", "dpdk-extra": " ".join(memory + ["--no-pci", "--no-telemetry", "-m", str(self.mbytes)]),
                "dpdk-lcore-mask": "%#x" % (1 << self.server_core), "pmd-cpu-mask": "%#x" % (1 << self.server_core),
                "per-port-memory": "true", "max-idle": str(MAX_IDLE_MS), **self.cache}

    def environment(self):
        return {**os.environ, **{"OVS_" + k: str(self.folder) for k in ("RUNDIR", "LOGDIR", "DBDIR", "SYSCONFDIR")}}

    def database(self):
        return "unix:%s" % (self.folder / "db.sock")

    def set_up(self):
        """What ovs-vsctl is told, a command each."""
        options = ["other_config:%s=%s" % (k, v.replace('"', "") if " " not in v else '"%s"' % v)
                   for k, v in self.settings().items()]
        return [["init"], ["set", "Open_vSwitch", "."] + options,
                ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail-mode=secure"]] + [
                    ["add-port", "br0", s.name, "--", "set", "Interface", s.name, "type=dpdkvhostuser",
                     "ofport_request=%d" % (i + 1)] for i, s in enumerate(self.sockets)]

    def vswitchd(self):
        # Its bridge is also a network device. That takes no root in a namespace of its own, and nobody else sees it.
        return ["unshare", "--user", "--map-root-user", "--net", VSWITCHD, self.database(),
                "--unixctl=%s" % (self.folder / "vswitchd.ctl"), "--pidfile=%s" % (self.folder / "vswitchd.pid"), "--no-chdir",
                "--log-file=%s" % (self.folder / "vswitchd.log"), "--verbose=console:off", "--verbose=syslog:off"]

    def ask(self, *command):
        try:
            p = subprocess.run([str(c) for c in command], check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=self.environment(), timeout=STARTUP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Broken("%s did not end" % command[0]) from None
        if p.returncode != 0:
            raise Broken("%s: %s" % (" ".join(str(c) for c in command[:4]), p.stdout.strip()))
        return p.stdout

    def appctl(self, *words):
        return self.ask("ovs-appctl", "-t", self.folder / "vswitchd.ctl", *words)

    def check_machine(self):
        if not os.access(TUN, os.R_OK | os.W_OK):
            raise Unavailable("Open vSwitch makes a network device for its bridge, and %s is not to be had; load the module `tun`"
                              % TUN)
        p = subprocess.run(["unshare", "--user", "--map-root-user", "--net", "true"], check=False, text=True, capture_output=True)
        if p.returncode != 0:
            raise Unavailable("Open vSwitch's bridge needs a user namespace here, and there is none: %s; the setting is "
                              "kernel.unprivileged_userns_clone or user.max_user_namespaces" % p.stderr.strip())

    def start(self):
        self.check_machine()
        env, how = self.environment(), {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        self.ask("ovsdb-tool", "create", self.folder / "conf.db", SCHEMA)
        with (self.folder / "ovsdb.log").open("w") as log:
            command = ["ovsdb-server", self.folder / "conf.db", "--remote=p" + self.database(), "--no-chdir",
                       "--unixctl=%s" % (self.folder / "ovsdb.ctl"), "--pidfile=%s" % (self.folder / "ovsdb.pid"), "--verbose=syslog:off"]
            self.spawn(self.server_core, command, server=True, stdout=log, env=env, **how)
        end = time.monotonic() + STARTUP_SECONDS
        while not listens(self.folder / "db.sock"):
            if time.monotonic() > end:
                raise Broken("ovsdb-server did not start:\n" + (self.folder / "ovsdb.log").read_text())
            time.sleep(0.02)
        for command in self.set_up():
            self.ask("ovs-vsctl", "--no-syslog", "--no-wait", "--db=" + self.database(), *command)
        (self.folder / "flows").write_text("".join(f + "\n" for f in self.flows))
        log = self.folder / "vswitchd.out"
        with log.open("w") as f:
            p = self.spawn(self.server_core, self.vswitchd(), server=True, stdout=f, env=env, **how)
        self.wait_sockets(p, self.folder / "vswitchd.log" if (self.folder / "vswitchd.log").exists() else log)
        while not listens(self.folder / "br0.mgmt"):
            if time.monotonic() > end:
                raise Broken("Open vSwitch made no bridge:\n" + (self.folder / "vswitchd.log").read_text()[-4000:])
            time.sleep(0.02)
        self.ask("ovs-ofctl", "-O", "OpenFlow13", "replace-flows", self.folder / "br0.mgmt", self.folder / "flows")
        self.start_load()
        self.settle()

    def settle(self):
        """Once it carries frames it still spreads its ports over its threads, and frames are lost meanwhile: until its log is quiet."""
        log, end = self.folder / "vswitchd.log", time.monotonic() + STARTUP_SECONDS
        size, since = log.stat().st_size, time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            if time.monotonic() > end:
                raise Broken("Open vSwitch does not settle:\n" + log.read_text()[-4000:])
            time.sleep(0.05)
            if log.stat().st_size != size:
                size, since = log.stat().st_size, time.monotonic()

    def warm_up(self, size):
        super().warm_up(size)
        self.appctl("dpif-netdev/pmd-stats-clear")

    def throughput(self, size, seconds):
        rate = super().throughput(size, seconds)
        self.check_where(self.counters())
        return rate

    def counters(self):
        """Of all its threads together."""
        text, sums = self.appctl("dpif-netdev/pmd-stats-show"), {}
        for name, value in re.findall(r"(?m)^  ([^:\n]+): (\d+)\b", text):
            sums[name] = sums.get(name, 0) + int(value)
        return sums

    def check_where(self, counted):
        """Nearly every packet was found where this peer's title says: not by an upcall, and in no other cache."""
        packets, found = counted["packets received"], counted[self.found]
        if packets == 0 or found < 0.99 * packets:
            raise Broken("%s: of %d packets %d were %s:\n%s" % (self.name, packets, found, self.found, counted))

    def version(self):
        p = subprocess.run([VSWITCHD, "--version"], check=False, text=True, capture_output=True)
        lines = p.stdout.splitlines()
        return ", ".join(lines[:2]) if lines else "Open vSwitch of unknown version"

    def configuration(self):
        def shown(words):
            return " ".join(str(w) for w in words)

        about = [shown(["ovs-vsctl"] + c) for c in self.set_up()] + [shown(self.vswitchd()), "ovs-ofctl replace-flows br0:"]
        return "\n".join(about + list(self.flows)) + "\n"
