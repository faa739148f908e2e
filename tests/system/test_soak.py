#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Process endpoints through a real weftd: more than a million messages of mixed sizes, none lost, doubled, reordered or
changed; several senders to one receiver; requests in both directions. Guests do the same in tests/unikernel/test_soak.py.
Prints TAP."""
import signal
import sys

import fabric
from fabric import Fabric, expect, note

REKEY = 1 << 20      # WEFT_REKEY_RECORDS: a session of more records than these makes new keys
COUNT = 1_100_000
EACH = 30_000
REQUESTS = 15_000


def whole(receiver, sender_or_senders, count):
    """Holds the summaries of a receiver and its senders against each other: all that was sent came."""
    senders = sender_or_senders if isinstance(sender_or_senders, list) else [sender_or_senders]
    for s in senders:
        expect(s["status"] == 0 and s["ok"] and s["sent"] == count and not s["refused"] and not s["lost"] and
               not s["in_flight"] and s["downs"] == 0, f"sender: {s}")
    r = receiver
    expect(r["status"] == 0 and r["ok"] and r["received"] == count * len(senders) and r["complete"] == len(senders) and
           not any(r[k] for k in ("missing", "doubled", "reordered", "changed", "downs")), f"receiver: {r}")
    expect(r["received_bytes"] == sum(s["bytes"] for s in senders), f"bytes: {r} {senders}")


def counted(f, name, passed, received):
    """weftd's own counters agree, and it refused nothing."""
    p = f.port(name)
    expect(p and p["verdicts"] == ({"passed": passed} if passed else {}) and p["messages_delivered"] == received,
           f"weftd's numbers of {name}: {p}")


def rate(summary, key="sent", size="bytes"):
    return f"{summary[key]} messages, {summary[size] / 1e6:.0f} MB in {summary['seconds']:.1f} s: " \
           f"{summary[key] / summary['seconds']:.0f}/s"


def fan_in(f, names, each):
    """All of these send to b at once. Each one's messages keep their order; together they congest b, so the queues are used."""
    b = f.soak("b", "--receive", "--count", each, "--senders", len(names), "--idle", 20)
    b.wait_up()
    senders = [f.soak(n, "--to", "b", "--count", each) for n in names]
    done = [s.summary(120) for s in senders]
    sb = b.summary(30)
    whole(sb, done, each)
    note(rate(sb, "received", "received_bytes"))
    for n in names:
        counted(f, n, each, 0)
    counted(f, "b", 0, each * len(names))


def both_ask(f, count):
    """a and b ask each other, both at once. Returns their summaries."""
    both = [f.soak(n, "--receive", "--to", o, "--reply", "--count", count, "--hold", "--idle", 20)
            for n, o in (("a", "b"), ("b", "a"))]
    for s in both:
        s.wait_up()
    for s in both:
        s.process.send_signal(signal.SIGUSR1)
    done = [s.summary(150) for s in both]
    for s in done:
        expect(s["status"] == 0 and s["ok"] and s["replies"] == s["answered"] == s["sent"] == count and
               not any(s[k] for k in ("missing", "doubled", "reordered", "changed", "refused", "lost", "timeouts", "downs")), str(s))
    for n in "ab":
        counted(f, n, 2 * count, 2 * count)
    return done


def test_a_million_messages():
    """One way, 0 bytes to nearly 60 KiB, over at least one rekey."""
    with Fabric("soak-million", {"a": {"send": ["b"]}, "b": {"receive": ["a"]}}) as f:
        b = f.soak("b", "--receive", "--count", COUNT, "--idle", 20)
        b.wait_up()
        a = f.soak("a", "--to", "b", "--count", COUNT)
        sa, sb = a.summary(240), b.summary(30)
        note(rate(sa))
        whole(sb, sa, COUNT)
        expect(COUNT > REKEY and sa["handshakes"] >= 2 and sb["handshakes"] >= 2,
               f"no rekey: {sa['handshakes']} and {sb['handshakes']} handshakes")
        note(f"handshakes: sender {sa['handshakes']}, receiver {sb['handshakes']}")
        counted(f, "a", COUNT, 0)
        counted(f, "b", 0, COUNT)


def test_four_senders_to_one_receiver():
    names = ["s1", "s2", "s3", "s4"]
    with Fabric("soak-fan-in", {**{n: {"send": ["b"]} for n in names}, "b": {"receive": names}}) as f:
        fan_in(f, names, EACH)


def test_both_directions_with_requests():
    with Fabric("soak-both", {n: {"send": [o], "receive": [o]} for n, o in (("a", "b"), ("b", "a"))}) as f:
        for s in both_ask(f, REQUESTS):
            note(f"{REQUESTS} requests in {s['seconds']:.1f} s; latency in us: "
                 + ", ".join(f"{k} {s['latency_us'][k]}" for k in ("p50", "p99", "max")))


if __name__ == "__main__":
    sys.exit(fabric.main([test_a_million_messages, test_four_senders_to_one_receiver, test_both_directions_with_requests]))
