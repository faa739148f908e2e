# SPDX-License-Identifier: BSD-2-Clause
"""Mosquitto with TLS 1.3, verified both ways, passwords, and rules on who may write and read what. The client shows at its start
that the rules hold."""
import os
import pwd
import subprocess

from bench.peers.base import Broken
from bench.peers.carried import Authority, Carried, free_port, package_version, password, write

# For speed: no delay on small segments, no log, nothing kept on disk. max_queued_messages 0 (no bound): otherwise the server would
# throw messages away; the client bounds what is under way.
CONFIGURATION = """\
user %(user)s
listener %(port)d 127.0.0.1
cafile %(ca)s
certfile %(pem)s
keyfile %(key)s
require_certificate true
tls_version tlsv1.3
allow_anonymous false
password_file passwords
acl_file rules.acl
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 0
persistence false
log_dest none
"""
RULES = """\
user sender
topic write bench/#
topic read back/#

user receiver
topic read bench/#
topic write back/#
"""


class Peer(Carried):
    name = "mosquitto_tls"
    title = "Mosquitto, TLS and ACL"
    packages = ("mosquitto", "libmosquitto-dev", "libssl-dev")
    services = ("mosquitto",)
    work = "TLS 1.3 both ways, rules by user and topic"
    program = "mosquitto_tls"

    def start(self):
        server, hasher = self.installed("mosquitto"), self.installed("mosquitto_passwd")
        authority, port = Authority(self.folder), free_port()
        pem, key = authority.certificate("server", "serverAuth")
        words = {"SENDER_PASSWORD": password(), "RECEIVER_PASSWORD": password()}
        path = write(os.path.join(self.folder, "passwords"),
                     "sender:%(SENDER_PASSWORD)s\nreceiver:%(RECEIVER_PASSWORD)s\n" % words)
        p = subprocess.run([hasher, "-U", path], capture_output=True, text=True, check=False)
        if p.returncode:
            raise Broken("mosquitto_passwd: %s" % (p.stderr or p.stdout).strip())
        write(os.path.join(self.folder, "rules.acl"), RULES)
        write(os.path.join(self.folder, "mosquitto.conf"), CONFIGURATION % {
            "user": pwd.getpwuid(os.getuid()).pw_name, "port": port, "pem": pem, "key": key, "ca": authority.ca})
        self.serve([server, "-c", "mosquitto.conf"])
        self.wait_port(port)
        self.start_client([port, authority.ca, *authority.certificate("client", "clientAuth")], words)

    def version(self):
        return "mosquitto " + package_version("mosquitto")
