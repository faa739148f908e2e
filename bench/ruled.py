# SPDX-License-Identifier: BSD-2-Clause
"""The road under more and more rules: one busy pair, among others who are not there, each under a policy of many rules that are
never hit. How a run is measured is bench/road.py's; bench/run.py runs it."""
import dataclasses

from harness import Fabric, Road, expect, summary
from road import KIND, SIZE, in_turns, run_of

SUBJECTS = ["message: weft.bench.Typed", "message: weft.bench.Numeric", "message: weft.bench.Opaque", "message: bench.v1.Order",
            "method: weft.bench.Echo/Ask"]
SIDES = 2  # of a file; what none of a side's rules allows is refused by a rule of its own, which counts as one


@dataclasses.dataclass
class Crowd:
    """Pairs of unikernels, of which only the first is there. Each has a rule for each subject to or from its own peer, then for
    each to or from the next, and so on: so many."""
    pairs: int
    rules: int

    @property
    def n(self):
        return 2 * self.pairs * self.rules

    def policy(self, name):
        role, _, number = name.partition("-")
        own, (key, side, peers, way) = int(number or 1) - 1, {"sender": ("to", "send", "receiver", 1),
                                                              "receiver": ("from", "receive", "sender", -1)}[role]
        lines = ["unikernel: " + name, side + ":"]
        for i in range(self.rules):
            peer = (own + way * (i // len(SUBJECTS))) % self.pairs
            lines += ["  - %s: %s" % (key, peers if peer == 0 else "%s-%d" % (peers, peer + 1)),
                      "    " + SUBJECTS[i % len(SUBJECTS)]]
        return "\n".join(lines) + "\n"


CROWDS = [Crowd(1, 5), Crowd(10, 50), Crowd(100, 500), Crowd(200, 1000)]


class Ruled(Road):
    def __init__(self, s, crowd):
        super().__init__(s.build, s.core, s.load_core, pairs=crowd.pairs, attached=1)
        self.crowd = crowd

    def make_fabric(self, folder):
        fabric = Fabric(self.build, folder, self.core, self.pairs, self.keys, policy=self.crowd.policy)
        rules = fabric.ask("stats")["policies"]["rules"] - SIDES * 2 * self.crowd.pairs
        if rules != self.crowd.n:
            fabric.stop()
            expect(False, "%d rules are in force, not %d" % (rules, self.crowd.n))
        return fabric


def rules(s):
    counts = {}

    def run(n, road):
        if n not in counts:
            counts[n] = run_of(road, KIND, SIZE)
        return road.measure(KIND, SIZE, counts[n])

    rows, settings = in_turns(s, "rules", {c.n: lambda c=c: Ruled(s, c) for c in CROWDS}, run)
    few = rows[CROWDS[0].n]
    results = []
    for c in CROWDS:
        p = {"kind": KIND, "bytes": SIZE, "rules": c.n, "unikernels": 2 * c.pairs, "settings": settings[c.n]}
        results.append(summary("scale.rules.%d.mmsgs" % c.n, "M/s", [r["rate"] / 1e6 for r in rows[c.n]],
                               messages_per_run=counts[c.n], **p))
        if c is not CROWDS[0]:
            results.append(summary("scale.rules.%d.ratio" % c.n, "ratio",
                                   [a["rate"] / b["rate"] for a, b in zip(rows[c.n], few)], **p))
    return results
