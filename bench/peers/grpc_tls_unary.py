# SPDX-License-Identifier: BSD-2-Clause
"""gRPC with TLS, verified both ways: unary calls to the server, 64 of them under way. Nothing is handed on, which would double what
they cost: the server itself is the other end."""
from bench.peers import grpc_tls_stream


class Peer(grpc_tls_stream.Peer):
    name = "grpc_tls_unary"
    title = "gRPC, TLS, unary calls"
    work = "TLS both ways, clients known by certificate; not handed on"
    mode = "unary"
