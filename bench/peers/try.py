#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs one peer by itself, for who works on it: its version, its configuration, its rate by size, its round trips. For peers
with a server of their own; those on vhost need the fabric's load generator and run from run_peers.py only."""
import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
from bench.peers.base import Broken, Unavailable  # noqa: E402

SIZES = (64, 256, 1400)


def options():
    cores = sorted(os.sched_getaffinity(0))
    p = argparse.ArgumentParser(description="Runs one peer of the benchmark by itself.")
    p.add_argument("name", help="of bench/peers/NAME.py")
    p.add_argument("size", nargs="?", type=int, help="bytes of a message (default: 64, 256 and 1400 in turn)")
    p.add_argument("--build", default=os.environ.get("BUILD", "build"), help="the build tree (default %(default)s)")
    p.add_argument("--seconds", type=float, default=1.0, help="of each measurement (default %(default)s)")
    p.add_argument("--rounds", type=int, default=3, help="(default %(default)s)")
    p.add_argument("--trips", type=int, default=5000, help="round trips (default %(default)s)")
    p.add_argument("--core", type=int, default=cores[0], help="of the server (default %(default)s)")
    p.add_argument("--load-core", type=int, default=cores[-1], help="of the clients (default %(default)s)")
    return p.parse_args()


def shares(peer, rate=None):
    """How much of the two cores it had, and what a message takes of either: on a machine that others use too, the better guide."""
    server, load = getattr(peer, "server_busy", None), getattr(peer, "load_busy", None)
    if server is None:
        return ""
    each = "; a message %5.0f and %5.0f ns" % (1e9 * server / rate, 1e9 * load / rate) if rate else ""
    return "   server %3.0f%% of its core, clients %3.0f%%%s" % (100 * server, 100 * load, each)


def measure(peer, o):
    print("%s: %s (%s)\n%s\n" % (peer.name, peer.title, peer.version(), peer.configuration()))
    for _ in range(o.rounds):
        for size in (o.size,) if o.size else SIZES:
            rate = peer.throughput(size, o.seconds)
            print("%5d bytes %12.0f messages/s%s" % (size, rate, shares(peer, rate)), flush=True)
    peer.pause()
    time.sleep(0.3)
    peer.resume()
    times = sorted(peer.round_trips(o.size or 256, o.trips) or [])
    if times:
        at = {name: times[min(len(times) - 1, int(len(times) * share))] / 1000
              for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1))}
        print("round trip of %d bytes, us: %s%s" % (o.size or 256, "  ".join("%s %.1f" % v for v in at.items()), shares(peer)))


def main():
    o = options()
    module = importlib.import_module("bench.peers." + o.name)
    folder = tempfile.mkdtemp(prefix="weft-peer-")
    peer = module.Peer(o.build, folder, o.core, o.load_core)
    try:
        peer.start()
        measure(peer, o)
    except (Unavailable, Broken) as e:
        print("%s: %s" % (o.name, e), file=sys.stderr)
        return 1
    finally:
        peer.stop()
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
