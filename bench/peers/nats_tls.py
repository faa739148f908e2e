# SPDX-License-Identifier: BSD-2-Clause
"""NATS with TLS 1.3, verified both ways, and what each user may publish and subscribe to. The client shows at its start that the
server refuses what they may not."""
import os
import subprocess

from bench.peers.carried import Authority, Carried, free_port, password, write

# Nothing here is slower than the defaults; what differs: no statistics port; a ping every hour, so that a server that stands still
# while others are measured drops nobody; room for what a subscriber has not read yet. Go's garbage collector is as it comes, as
# people run it; GOGC=400 was some 15 % faster.
CONFIGURATION = """\
listen: "127.0.0.1:%(port)d"
tls {
  cert_file: "%(pem)s"
  key_file: "%(key)s"
  ca_file: "%(ca)s"
  verify: true
  timeout: 30
}
authorization {
  timeout: 30
  users = [
    { user: sender, password: "%(sender)s", permissions: { publish: "bench.>", subscribe: "back.>" } }
    { user: receiver, password: "%(receiver)s", permissions: { publish: "back.>", subscribe: "bench.>" } }
  ]
}
ping_interval: "1h"
write_deadline: "10m"
max_pending: 256MB
"""


class Peer(Carried):
    name = "nats_tls"
    title = "NATS, TLS and permissions"
    packages = ("nats-server", "libssl-dev")
    services = ("nats-server",)
    work = "TLS 1.3 both ways, permissions by user"
    program = "nats_tls"

    def start(self):
        server = self.installed("nats-server")
        authority, port = Authority(self.folder), free_port()
        pem, key = authority.certificate("server", "serverAuth")
        words = {"SENDER_PASSWORD": password(), "RECEIVER_PASSWORD": password()}
        write(os.path.join(self.folder, "nats.conf"), CONFIGURATION % {
            "port": port, "pem": pem, "key": key, "ca": authority.ca, "sender": words["SENDER_PASSWORD"],
            "receiver": words["RECEIVER_PASSWORD"]})
        self.serve([server, "-c", "nats.conf"])
        self.wait_port(port)
        self.start_client([port, authority.ca, *authority.certificate("client", "clientAuth")], words)

    def version(self):
        p = subprocess.run([self.installed("nats-server"), "--version"], capture_output=True, text=True, check=False)
        return p.stdout.strip()
