# SPDX-License-Identifier: BSD-2-Clause
"""gRPC's streams as programs write them by default: each message is on its way as soon as it was written, without a hint that
others follow. Beside grpc_tls_stream.py, which gathers them."""
from bench.peers import grpc_tls_stream


class Peer(grpc_tls_stream.Peer):
    name = "grpc_tls_stream_plain"
    title = "gRPC, TLS, streams, each message written at once"
    mode = writes = "plain"
