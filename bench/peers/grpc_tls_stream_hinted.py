# SPDX-License-Identifier: BSD-2-Clause
"""gRPC's streams where a message that another waits behind is written with a hint of that (WriteOptions::set_buffer_hint), so that
several share a piece of TLS and a system call. Beside grpc_tls_stream.py, which writes as programs do by default."""
from bench.peers import grpc_tls_stream


class Peer(grpc_tls_stream.Peer):
    name = "grpc_tls_stream_hinted"
    title = "gRPC, TLS, streams, writes gathered by hints"
    mode = writes = "hints"
