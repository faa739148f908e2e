# SPDX-License-Identifier: BSD-2-Clause
"""Open vSwitch with DPDK and the same 100 ACL rules, without its exact-match cache: each packet is looked up in the classifier of
megaflows, which remembers the answer for as many conversations as the rules do not tell apart. (The signature-match cache is off
as well, as it is by default. Without megaflows Open vSwitch cannot run.)"""
from bench.peers import ovs_acl


class Peer(ovs_acl.Peer):
    name = "ovs_acl_nocache"
    title = "Open vSwitch, 100 rules, no cache"
    work = "100 ACL rules, each packet looked up in its classifier"
    cache = {"emc-insert-inv-prob": "0", "smc-enable": "false"}
    found = "megaflow hits"
