# SPDX-License-Identifier: BSD-2-Clause
"""Captures as lists of packets: read, written, made, and changed in ways that captures of real networks differ. For tests that
hold two readers of captures against each other; knows nothing of either."""
import struct

ETHERNET, PPP, RAW, PPP_HDLC, C_HDLC, SLL, RADIOTAP, IPV4, IPV6, NULL = 1, 9, 101, 50, 104, 113, 127, 228, 229, 0
LINKS = [ETHERNET, PPP, RAW, PPP_HDLC, C_HDLC, SLL, RADIOTAP, IPV4, IPV6, NULL]


class Packet:
    """Captured bytes, the length on the wire, the time in microseconds."""

    def __init__(self, data, wire=None, us=0):
        self.data, self.wire, self.us = bytes(data), len(data) if wire is None else wire, us

    def copy(self):
        return Packet(self.data, self.wire, self.us)

    def put(self, data):
        """Other bytes, nothing cut off."""
        self.data, self.wire = bytes(data), len(data)


class Capture:
    def __init__(self, link, packets):
        self.link, self.packets = link, packets

    def copy(self):
        return Capture(self.link, [p.copy() for p in self.packets])

    def write(self, path, form="pcap"):
        """form: pcap, big (endian), ns (nanoseconds), ng (pcapng), cut (pcap that ends within its last packet)."""
        with open(path, "wb") as f:
            if form == "ng":
                self.write_ng(f)
                return
            order, per_us = ">" if form == "big" else "<", 1000 if form == "ns" else 1
            f.write(struct.pack(order + "IHHiIII", 0xA1B23C4D if form == "ns" else 0xA1B2C3D4, 2, 4, 0, 0, 262144, self.link))
            for p in self.packets:
                us = max(p.us, 0)
                f.write(struct.pack(order + "IIII", us // 1000000 & 0xFFFFFFFF, us % 1000000 * per_us, len(p.data),
                                    max(p.wire, len(p.data))))
                f.write(p.data)
            if form == "cut" and self.packets:
                f.truncate(f.tell() - len(self.packets[-1].data) // 2 - 1)

    def write_ng(self, f):
        f.write(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
        f.write(struct.pack("<IIHHII", 1, 20, self.link, 0, 0, 20))
        for p in self.packets:
            pad, us = -len(p.data) % 4, max(p.us, 0)
            size = 32 + len(p.data) + pad
            f.write(struct.pack("<IIIIIII", 6, size, 0, us >> 32, us & 0xFFFFFFFF, len(p.data), max(p.wire, len(p.data))))
            f.write(p.data + bytes(pad) + struct.pack("<I", size))


FORMS = ["pcap"] * 6 + ["big", "ns", "ng", "cut"]


def read(path):
    with open(path, "rb") as f:
        raw = f.read()
    magic = raw[:4]
    if magic == b"\x0a\x0d\x0d\x0a":
        return read_ng(raw)
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1000 if magic in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1
    link = struct.unpack_from(order + "I", raw, 20)[0] & 0xFFFF
    packets, at = [], 24
    while at + 16 <= len(raw):
        s, part, caplen, wire = struct.unpack_from(order + "IIII", raw, at)
        at += 16
        if at + caplen > len(raw):
            break
        packets.append(Packet(raw[at:at + caplen], wire, s * 1000000 + part // unit))
        at += caplen
    return Capture(link, packets)


def read_ng(raw):
    order, at, link, per_s, packets = "<", 0, None, 1000000, []
    while at + 12 <= len(raw):
        if raw[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if raw[at + 8:at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, size = struct.unpack_from(order + "II", raw, at)
        if size < 12 or at + size > len(raw):
            break
        if kind == 1 and link is None:
            link = struct.unpack_from(order + "H", raw, at + 8)[0]
            option = at + 16
            while option + 4 <= at + size - 4:
                code, n = struct.unpack_from(order + "HH", raw, option)
                if code == 0:
                    break
                if code == 9:
                    r = raw[option + 4]
                    per_s = 2 ** (r & 0x7F) if r & 0x80 else 10 ** r
                option += 4 + (n + 3) // 4 * 4
        if kind == 6:
            _, high, low, caplen, wire = struct.unpack_from(order + "IIIII", raw, at + 8)
            us = (high << 32 | low) * 1000000 // per_s
            packets.append(Packet(raw[at + 28:at + 28 + caplen], wire, us))
        if kind == 3:
            wire = struct.unpack_from(order + "I", raw, at + 8)[0]
            packets.append(Packet(raw[at + 12:at + 12 + min(wire, size - 16)], wire, 0))
        at += size
    return Capture(link, packets)


# --- headers -----------------------------------------------------------------------------------------------------------

def ip_sum(header):
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def ipv4(payload, proto, src=0x0A000001, dst=0x0A000002, fragment=0, options=b""):
    header = struct.pack(">BBHHHBBHII", 0x40 | (5 + len(options) // 4), 0, 20 + len(options) + len(payload) & 0xFFFF, 1, fragment,
                         64, proto, 0, src, dst) + options
    return header[:10] + struct.pack(">H", ip_sum(header)) + header[12:] + payload


def ipv6(payload, proto, src=b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01", dst=b"\x20\x01\x0d\xb8" + bytes(11) + b"\x02"):
    return struct.pack(">IHBB", 0x60000000, len(payload) & 0xFFFF, proto, 64) + src + dst + payload


def udp(payload, src=40000, dst=53):
    return struct.pack(">HHHH", src, dst, 8 + len(payload) & 0xFFFF, 0) + payload


def tcp(payload, src=40000, dst=80, flags=0x18, seq=1, ack=1):
    return struct.pack(">HHIIBBHHH", src, dst, seq, ack, 0x50, flags, 65535, 0, 0) + payload


def ip_of(link, data):
    """The IP packet of a frame without tags, or None."""
    at = {ETHERNET: 14, PPP: 2, RAW: 0, IPV4: 0, IPV6: 0, PPP_HDLC: 4, C_HDLC: 4, SLL: 16, NULL: 4}.get(link)
    if at is None or len(data) < at + 20 or data[at] >> 4 not in (4, 6):
        return None
    return data[at:]


def frame_of(link, ip):
    """An IP packet as a frame of this link type."""
    six = ip[:1] and ip[0] >> 4 == 6
    ether = b"\x86\xdd" if six else b"\x08\x00"
    if link == ETHERNET:
        return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02" + ether + ip
    if link in (RAW, IPV4, IPV6):
        return ip
    if link == NULL:
        return struct.pack("<I", 10 if six else 2) + ip
    if link == PPP:
        return (b"\x00\x57" if six else b"\x00\x21") + ip
    if link in (PPP_HDLC, C_HDLC):
        return b"\x0f\x00" + ether + ip
    if link == SLL:
        return bytes(4) + b"\0\x06" + bytes(8) + ether + ip
    radio = b"\0\0" + struct.pack("<H", 18) + bytes(14)
    return radio + b"\x08\x01" + bytes(24) + b"\xaa\xaa\x03\0\0\0" + ether + ip


# --- changes: each takes a capture and a random.Random, and changes the capture in place -----------------------------------

def some(packets, rng, share):
    return [p for p in packets if rng.random() < share] or packets[:1]


def cut(c, rng):
    for p in some(c.packets, rng, rng.choice((0.02, 0.2, 1))):
        p.data = p.data[:rng.choice((20, 34, 42, 54, 60, 96, 128, rng.randrange(0, 300)))]


def drop(c, rng):
    share = rng.choice((0.02, 0.2, 0.6))
    c.packets[:] = [p for p in c.packets if rng.random() >= share] or c.packets[:1]


def repeat(c, rng):
    share = rng.choice((0.05, 0.5))
    c.packets[:] = [q for p in c.packets for q in ((p, p.copy()) if rng.random() < share else (p,))]


def reorder(c, rng):
    reach = rng.choice((2, 5, 50, len(c.packets)))
    keyed = [(i + rng.random() * reach, p) for i, p in enumerate(c.packets)]
    c.packets[:] = [p for _, p in sorted(keyed, key=lambda k: k[0])]


def corrupt(c, rng):
    for p in some(c.packets, rng, rng.choice((0.02, 0.2))):
        data = bytearray(p.data)
        for _ in range(rng.randrange(1, 6)):
            if data:
                at = rng.randrange(min(len(data), rng.choice((40, 64, len(data)))))
                data[at] = rng.choice((0, 1, 0xFF, rng.randrange(256), data[at] ^ 1 << rng.randrange(8)))
        p.data = bytes(data)


def part(c, rng):
    n = len(c.packets)
    a, b = sorted((rng.randrange(n + 1), rng.randrange(n + 1)))
    c.packets[:] = c.packets[a:b] or c.packets[:1]


def minutes(c, rng):
    at = 0
    for p in c.packets:
        if rng.random() < 0.05:
            at += rng.choice((-90, 1, 60, 600, 86400)) * 1000000
        p.us += at


def other_link(c, rng):
    link = rng.choice(LINKS)
    for p in c.packets:
        ip = ip_of(c.link, p.data)
        p.put(frame_of(link, ip if ip is not None else p.data))
    c.link = link


def tag(c, rng):
    if c.link != ETHERNET:
        return
    tags = rng.choice((b"\x81\x00\x00\x05", b"\x81\x00\x00\x05\x81\x00\x2f\xff", b"\x88\xa8\x00\x05\x81\x00\x00\x07",
                       b"\x91\x00\x00\x07", "mpls", "mpls2", "pppoe", "snap", "snap-ip"))
    for p in some(c.packets, rng, rng.choice((0.5, 1))):
        head, ether, rest = p.data[:12], p.data[12:14], p.data[14:]
        if tags == "mpls":
            p.put(head + b"\x88\x47\x00\x01\x01\x40" + rest)
        elif tags == "mpls2":
            p.put(head + b"\x88\x48\x00\x01\x00\x40\x00\x02\x01\x40" + rest)
        elif tags == "pppoe":
            p.put(head + b"\x88\x64\x11\x00\x00\x01" + struct.pack(">H", len(rest) + 2) + b"\x00\x21" + rest)
        elif tags == "snap":
            p.put(head + struct.pack(">H", min(len(rest) + 8, 1500)) + b"\xaa\xaa\x03\0\0\0" + ether + rest)
        elif tags == "snap-ip":
            p.put(head + struct.pack(">H", min(len(rest) + 3, 1500)) + b"\x06\x06\x03" + rest)
        else:
            p.put(head + tags + ether + rest)


def tunnel(c, rng):
    kind = rng.choice(("ipip", "6in4", "4in6", "gtp", "gtp6", "gtpext", "tzsp", "capwap", "vxlan", "gre", "ipip2"))
    for p in some(c.packets, rng, rng.choice((0.5, 1))):
        ip = ip_of(c.link, p.data)
        if ip is None or len(ip) > 60000:
            continue
        six = ip[0] >> 4 == 6
        inner = 41 if six else 4
        if kind == "ipip":
            ip = ipv4(ip, inner)
        elif kind == "ipip2":
            ip = ipv4(ipv4(ip, inner, options=bytes(8)), 4)
        elif kind == "6in4":
            ip = ipv6(ip, inner)
        elif kind == "4in6":
            ip = ipv6(b"\x04\0\x01\x04\0\0\0\0" + ip if inner == 4 else ip, 60 if inner == 4 else inner)
        elif kind in ("gtp", "gtp6"):
            flags, more = rng.choice(((0x30, b""), (0x32, b"\0\x01\0\0"), (0x31, bytes(4))))
            u = udp(bytes((flags, 0xFF)) + struct.pack(">HI", len(ip) + len(more), 7) + more + ip, 2152, 2152)
            ip = ipv4(u, 17) if kind == "gtp" else ipv6(u, 17)
        elif kind == "gtpext":
            more = b"\0\x01\0\x85" + rng.choice((b"\x01\x10\x09\x00", b"\x01\0\0\x85\x01\0\0\0", b"\0\0\0\0", b"\x02" + bytes(7)))
            gtp = b"\x34\xff" + struct.pack(">HI", len(ip) + len(more), 7) + more
            ip = ipv4(udp(gtp + ip, rng.choice((2152, 999)), 2152), 17)
        elif kind == "tzsp":
            tags = rng.choice((b"\x01", b"\x00\x01", b"\x0a\x01", b"\x0a\x03"))
            ip = ipv4(udp(b"\x01\0\0\x01" + tags + frame_of(ETHERNET, ip), 40000, 37008), 17)
        elif kind == "capwap":
            head = rng.choice((b"\0\x10" + bytes(6), b"\0\x20" + bytes(14), b"\x01\x10" + bytes(6), b"\0\0"))
            ether = b"\x86\xdd" if six else b"\x08\x00"
            ip = ipv4(udp(head + b"\x08\x02" + bytes(22) + b"\xaa\xaa\x03\0\0\0" + ether + ip, 5247, 40000), 17)
        elif kind == "vxlan":
            ip = ipv4(udp(b"\x08\0\0\0\0\0\x01\0" + frame_of(ETHERNET, ip), 40000, 4789), 17)
        else:
            ip = ipv4(b"\0\0" + (b"\x86\xdd" if six else b"\x08\x00") + ip, 47)
        p.put(frame_of(c.link, ip))


def ports(c, rng):
    """Other ports: guesses come from them."""
    change = {}
    known = (22, 25, 53, 80, 110, 123, 137, 161, 443, 445, 853, 1194, 1883, 3306, 5060, 5353, 8080, 17500, 27017, 0, 65535)
    for p in c.packets:
        ip = ip_of(c.link, p.data)
        if ip is None or ip[0] >> 4 != 4 or ip[9] not in (6, 17):
            continue
        at = len(p.data) - len(ip) + (ip[0] & 15) * 4
        if at + 4 > len(p.data):
            continue
        data = bytearray(p.data)
        for i in (at, at + 2):
            port = bytes(data[i:i + 2])
            if port not in change:
                change[port] = struct.pack(">H", rng.choice(known)) if rng.random() < 0.5 else port
            data[i:i + 2] = change[port]
        p.data = bytes(data)


def turn(c, rng):
    """Some packets go the other way."""
    for p in some(c.packets, rng, rng.choice((0.05, 0.5))):
        ip = ip_of(c.link, p.data)
        if ip is None or ip[0] >> 4 != 4:
            continue
        h, start = (ip[0] & 15) * 4, len(p.data) - len(ip)
        ip = ip[:12] + ip[16:20] + ip[12:16] + ip[20:h] + ip[h + 2:h + 4] + ip[h:h + 2] + ip[h + 4:]
        p.data = p.data[:start] + ip


def lengths(c, rng):
    """Headers that lie about lengths, fragments, versions."""
    for p in some(c.packets, rng, rng.choice((0.05, 0.3))):
        ip = ip_of(c.link, p.data)
        if ip is None:
            continue
        start, data = len(p.data) - len(ip), bytearray(p.data)
        if ip[0] >> 4 == 4:
            at = rng.choice((0, 2, 3, 6, 6, 7, 9))
        else:
            at = rng.choice((0, 4, 5, 6, 6, 40, 41))
        if start + at < len(data):
            data[start + at] = rng.choice((0x45, 0x46, 0x4F, 0x40, 0x60, 0, 1, 0x20, 44, 43, 59, 60, 135, 51, 4, 41,
                                           rng.randrange(256)))
        p.data = bytes(data)


def extend(c, rng):
    """IPv6 with extension headers; IPv4 with options or as fragments."""
    for p in some(c.packets, rng, rng.choice((0.3, 1))):
        ip = ip_of(c.link, p.data)
        if ip is None:
            continue
        if ip[0] >> 4 == 6 and len(ip) >= 40:
            more = ip[6:7] + rng.choice((bytes(7), b"\1" + bytes(14), b"\0\0\x01" + bytes(4), b"\0\0\x08" + bytes(4)))
            head = rng.choice((0, 43, 60, 44, 44, 135, 51, 59))
            ip = ip[:4] + struct.pack(">HB", len(ip) - 40 + len(more) & 0xFFFF, head) + ip[7:40] + more + ip[40:]
        elif ip[0] == 0x45:
            what = rng.randrange(3)
            if what == 0:
                total = struct.unpack(">H", ip[2:4])[0] + 8 & 0xFFFF
                ip = b"\x47" + ip[1:2] + struct.pack(">H", total) + ip[4:20] + bytes(8) + ip[20:]
            else:
                ip = ip[:6] + (b"\x20\0" if what == 1 else b"\x00\x10") + ip[8:]
        p.put(frame_of(c.link, ip))


def trailer(c, rng):
    for p in some(c.packets, rng, rng.choice((0.3, 1))):
        p.put(p.data + bytes(rng.randrange(1, 40)))


# --- captures that are made ---------------------------------------------------------------------------------------------

def payloads_of(capture):
    """(is TCP, payload) of the IPv4 packets that have one."""
    found = []
    for p in capture.packets:
        ip = ip_of(capture.link, p.data)
        if ip is None or ip[0] >> 4 != 4 or ip[9] not in (6, 17):
            continue
        h = (ip[0] & 15) * 4
        at = h + 8 if ip[9] == 17 else h + (ip[h + 12] >> 4) * 4 if len(ip) > h + 12 else len(ip)
        if len(ip) > at:
            found.append((ip[9] == 6, ip[at:struct.unpack(">H", ip[2:4])[0]]))
    return found


KNOWN = (
    20, 21, 22, 23, 25, 53, 67, 68, 69, 80, 81, 88, 102, 110, 111, 123, 137, 138, 139, 143, 161, 179, 389, 443, 445,
    465, 500, 502, 514, 554, 636, 853, 860, 993, 995, 1080, 1194, 1433, 1521, 1701, 1723, 1883, 1900, 2049, 2055,
    2123, 2152, 3000, 3128, 3260, 3306, 3389, 3478, 3544, 4500, 4789, 5004, 5060, 5061, 5062, 5222, 5247, 5353,
    5355, 5432, 5683, 5900, 6000, 6343, 6379, 6881, 8080, 8181, 8333, 8443, 8801, 9042, 9200, 11211, 17500, 20000,
    27017, 30303, 37008, 44818, 47808, 51413, 51820,
)


def make(payloads, rng):
    """Few hosts and ports that say many things to each other: what nDPI keeps from one flow it finds again in the next."""
    nets = (0x0A000000, 0xC0A80100, 0x08080800, 0x1F0D5600, 0x9D380000, 0xD54BAA0A, 0x36508280)
    hosts = [struct.pack(">I", rng.choice(nets) + rng.randrange(1, 5)) for _ in range(5)]
    sixes = [b"\x2a\x03\x28\x80" + bytes(10) + struct.pack(">H", rng.randrange(1, 4)) for _ in range(3)]
    link = rng.choice((ETHERNET, ETHERNET, RAW, NULL, SLL))
    numbers = [rng.choice(KNOWN) if rng.random() < 0.4 else rng.randrange(65536) for _ in range(rng.choice((4, 12, 60)))]
    flows = []
    for _ in range(rng.choice((5, 40, 300))):
        six = rng.random() < 0.2
        a, b = rng.choice(sixes if six else hosts), rng.choice(sixes if six else hosts)
        flows.append((six, a, b, rng.choice(numbers), rng.choice(numbers), rng.random() < 0.5))
    of = {True: [p for t, p in payloads if t], False: [p for t, p in payloads if not t]}
    packets, us = [], 1600000000000000
    for _ in range(rng.choice((20, 300, 1500))):
        six, a, b, sport, dport, is_tcp = rng.choice(flows)
        if rng.random() < 0.4:
            a, b, sport, dport = b, a, dport, sport
        body = rng.choice(of[is_tcp] or [b"x"]) if rng.random() < 0.85 else rng.randbytes(rng.randrange(0, 60))
        body = body[:1400]
        if is_tcp and rng.random() < 0.15:
            body = b""
        flags = rng.choice((2, 0x12, 0x10, 0x18, 0x18, 0x18, 0x11, 4))
        l4 = tcp(body, sport, dport, flags, rng.randrange(9)) if is_tcp else udp(body, sport, dport)
        proto = 6 if is_tcp else 17
        if rng.random() < 0.03:
            l4, proto = body, rng.choice((1, 2, 4, 41, 47, 50, 51, 58, 89, 103, 112, 132, 253))
        ip = ipv6(l4, proto, a, b) if six else ipv4(l4, proto, int.from_bytes(a, "big"), int.from_bytes(b, "big"))
        us += rng.choice((10, 1000, 200000, 30000000))
        packets.append(Packet(frame_of(link, ip), us=us))
    return Capture(link, packets)


CHANGES = [cut, drop, repeat, reorder, corrupt, part, minutes, other_link, tag, tunnel, ports, turn, lengths, extend, trailer]


def change(captures, rng, payloads=()):
    """A new capture from one or two of those given (a list of (name, Capture)), or made of payloads, and what was done to it."""
    name, capture = rng.choice(captures)
    c, did = capture.copy(), [name]
    if payloads and rng.random() < 0.35:
        c, did = make(payloads, rng), ["made"]
        if rng.random() < 0.6:
            return c, "made"
    if rng.random() < 0.15:
        name, more = rng.choice(captures)
        if more.link == c.link:
            both = c.packets + more.copy().packets
            c.packets = both if rng.random() < 0.5 else [p for pair in zip(c.packets, both[len(c.packets):]) for p in pair]
            did.append("+ " + name)
    for f in rng.sample(CHANGES, rng.choice((1, 1, 2, 3))):
        if c.packets:
            f(c, rng)
            did.append(f.__name__)
    return c, " ".join(did)
