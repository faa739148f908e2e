# SPDX-License-Identifier: BSD-2-Clause
"""What must hold while something in force is exchanged for something else, over and over, at full speed: what the tests of
schemas and of policies that change in a running fabric share. What is exchanged is theirs."""
import signal
import time

from fabric import expect, note, wait_for

PAIRS = {"a": {"send": ["b"]}, "b": {"receive": ["a"]}, "c": {"send": ["d"], "receive": ["d"]},
         "d": {"send": ["c"], "receive": ["c"]}}
FAULTS = ("missing", "doubled", "reordered", "changed")


def at_full_speed(f, swap, count, least, *sender, between=None):
    """A stream of count messages from a to b and two who ask each other, in a fabric of PAIRS with its second epoch in force.
    Meanwhile swap(n) asks weftd for another and returns its answer, at least so many times; after every seventh between() is
    called. Returns how many swaps there were."""
    b = f.soak("b", "--receive", "--count", count, "--idle", 20)
    both = [f.soak(n, "--receive", "--to", o, "--reply", "--duration", 60, "--allow-gap", "--hold")
            for n, o in (("c", "d"), ("d", "c"))]
    a = f.soak("a", "--to", "b", "--count", count, "--hold", *sender)
    for s in [b, a, *both]:
        s.wait_up()
    for s in [a, *both]:
        s.process.send_signal(signal.SIGUSR1)
    wait_for("messages on their way", lambda: f.port("b").get("messages_delivered", 0) > 1000, 10)
    swaps, longest = 0, 0
    while a.process.poll() is None:
        began = time.monotonic()
        answer = swap(swaps)
        longest = max(longest, time.monotonic() - began)
        expect(answer.get("ok") and not answer["unchanged"] and answer["epoch"] == 3 + swaps, f"swap {swaps}: {answer}")
        swaps += 1
        if between and swaps % 7 == 0:
            between()
        time.sleep(0.005 if swaps < 200 else 0.1)  # a sanitizer makes everything slow
    for s in both:
        s.stop()
    sa, sb = a.summary(120), b.summary(30)
    note(f"{swaps} swaps, the longest took {longest * 1000:.1f} ms; {sa['sent']} messages, {sa['bytes'] / 1e6:.0f} MB in "
         f"{sa['seconds']:.1f} s")
    expect(swaps >= least, f"only {swaps} swaps while messages passed")
    expect(sa["status"] == 0 and sa["sent"] == count and not sa["refused"] and not sa["lost"] and sa["downs"] == 0,
           f"sender: {sa}")
    expect(sb["status"] == 0 and sb["received"] == count and sb["handshakes"] == 1 and sb["downs"] == 0 and
           not any(sb[k] for k in FAULTS), f"receiver: {sb}")
    for s in [s.summary(30) for s in both]:
        # Each may have one request open when it is told to stop.
        expect(s["replies"] > 100 and s["sent"] - s["replies"] <= 1 and not s["refused"] and not s["timeouts"] and
               not any(s[k] for k in (*FAULTS, "lost", "downs")), str(s))
        note(f"{s['replies']} requests answered meanwhile")
    return swaps
