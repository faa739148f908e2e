# SPDX-License-Identifier: BSD-2-Clause
"""Open vSwitch with DPDK and 100 ACL rules, the last of which lets the traffic pass. Its exact-match cache remembers the answer for
each conversation, and is hit by every packet."""
from bench.peers import ovs

PERMITTED = "udp,nw_src=10.87.0.0/16,nw_dst=10.87.0.0/16,tp_dst=22341"


def rules():
    """100 rules as people write them: networks, hosts, ports and pairs of them that may not, tried before the one that may."""
    refused = []
    for i in range(25):
        refused += ["ip,nw_src=192.168.%d.0/24" % i, "tcp,nw_dst=10.87.%d.%d,tp_dst=%d" % (i, 100 + i, 5000 + i),
                    "udp,tp_dst=%d" % (100 + i)]
    refused += ["udp,nw_src=10.%d.0.0/16,nw_dst=10.87.%d.0/24,tp_src=%d" % (100 + i, i, 40000 + i) for i in range(24)]
    lines = ["table=0,priority=%d,%s,actions=drop" % (1000 - i, match) for i, match in enumerate(refused)]
    return lines + ["table=0,priority=%d,%s,actions=goto_table:1" % (1000 - len(lines), PERMITTED)]


class Peer(ovs.Peer):
    name = "ovs_acl"
    title = "Open vSwitch, 100 rules"
    work = "100 ACL rules, answered by its cache"
    flows = tuple(rules()) + ("table=0,priority=0,actions=drop",) + tuple("table=1," + f for f in ovs.Peer.flows)
    found = "emc hits"
