# SPDX-License-Identifier: BSD-2-Clause
"""gRPC with TLS, verified both ways: messages of a stream, which the server hands on to the stream of the other end. Each
message is on its way as soon as it was written, as programs do by default; grpc_tls_stream_hinted.py gathers them."""
import os

from bench.peers.carried import Authority, Carried, package_version


class Peer(Carried):
    name = "grpc_tls_stream"
    title = "gRPC, TLS, streams"
    packages = ("libgrpc++-dev", "protobuf-compiler-grpc")
    work = "TLS both ways, clients known by certificate; handed on from stream to stream"
    program = "grpc_client"
    mode = writes = "plain"  # of its client and its server

    def start(self):
        Authority(self.folder).both()
        # A unix socket: cheaper than TCP on the same machine, and TLS runs over it just so.
        where = "unix:" + os.path.join(self.folder, "socket")
        self.serve([self.binary("grpc_relay"), self.writes, where, "."])
        self.wait_path(os.path.join(self.folder, "socket"))
        self.start_client([self.mode, where, self.folder])

    def version(self):
        return "gRPC " + package_version("libgrpc++-dev")
