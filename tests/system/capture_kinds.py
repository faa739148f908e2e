# SPDX-License-Identifier: BSD-2-Clause
"""Captures of each kind that there is, one of each: files that are odd, headers and tunnels of all sorts, flows that go on for
ever, names and addresses that nDPI has tables of, and what it remembers of one flow when it looks at another. For tests that
hold two readers of captures against each other; captures.py changes real captures at random besides."""
import struct

from captures import (C_HDLC, ETHERNET, LINKS, NULL, PPP, PPP_HDLC, RADIOTAP, SLL, Capture, Packet, frame_of, ipv4, ipv6, tcp,
                      udp)

T0 = 1600000000
DNS = b"\1\2\1\0\0\1\0\0\0\0\0\0\7example\3com\0\0\1\0\1"
HTTP = b"GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: x\r\n\r\n"
STUN = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)
HOSTS = ("www.google.com", "x.facebook.com", "zoom.us", "teams.microsoft.com", "signal.org", "disneyplus.com", "a.home",
         "x.lvlt.dash.us.aiv-cdn.net.c.footprint.net", "api-global.netflix.com", "notgoogle.com", "speedtest.net",
         "mtalk.google.com")
ADDRESSES = (0xD54BAA0B, 0x08F849F7, 0x36502F82, 0x43D75CD2, 0x08080808, 0x9DF00101, 0xA2FF2501, 0x3470F001)


def ether(kind, rest):
    return b"\2\0\0\0\0\1\2\0\0\0\0\2" + struct.pack(">H", kind) + rest


def eth(ip):
    return frame_of(ETHERNET, ip)


def capture(frames, link=ETHERNET, step=1000):
    return Capture(link, [Packet(f, us=T0 * 1000000 + i * step) for i, f in enumerate(frames)])


def datagram(body, src, dst, a=0x0A000001, b=0x0A000002):
    return eth(ipv4(udp(body, src, dst), 17, a, b))


def session(chunks, src, dst, a=0x0A000001, b=0x0A000002):
    """Frames of a TCP connection from its first packet to its last; chunks: (0 or 1: who sends, what)."""
    seq, frames = [1000, 5000], []
    for way, body, flags in [(0, b"", 2), (1, b"", 0x12), (0, b"", 0x10), *((w, c, 0x18) for w, c in chunks), (0, b"", 0x11),
                             (1, b"", 0x11), (0, b"", 0x10)]:
        ends, ports = ((a, b), (src, dst)) if way == 0 else ((b, a), (dst, src))
        frames.append(eth(ipv4(tcp(body, *ports, flags, seq[way], seq[1 - way]), 6, *ends)))
        seq[way] += len(body) + (1 if flags & 3 else 0)
    return frames


def hello(name):
    """TLS, with a server's name."""
    n = name.encode()
    more = struct.pack(">HHHBH", 0, len(n) + 5, len(n) + 3, 0, len(n)) + n + b"\0\x2b\0\3\2\3\4"
    body = b"\3\3" + bytes(range(32)) + b"\0\0\2\x13\1\1\0" + struct.pack(">H", len(more)) + more
    return b"\x16\3\1" + struct.pack(">H", len(body) + 4) + b"\1" + len(body).to_bytes(3, "big") + body


# --- files ---------------------------------------------------------------------------------------------------------------

def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link, snap=0, options=b"", order="<"):
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def packets(frames, number=0, order="<", caplen=None):
    us = T0 * 1000000
    return b"".join(block(6, struct.pack(order + "IIIII", number, us >> 32, us & 0xFFFFFFFF, caplen or len(f), len(f)) + f, order)
                    for f in frames)


def pcap(frames, magic=0xA1B2C3D4, link=1, snap=262144, version=(2, 4), time=lambda i: (T0, i), wire=None):
    return struct.pack("<IHHiIII", magic, *version, 0, 0, snap, link) + b"".join(
        struct.pack("<iiII", *time(i), len(f), len(f) if wire is None else wire) + f for i, f in enumerate(frames))


def files(rng):
    one, some = datagram(DNS, 9, 53), session([(0, HTTP)], 40001, 80)
    begin = section() + interface(1) + packets(some)
    yield from {
        "no packets": pcap([]), "empty packets": pcap([b"", one, b"", b"\0"]), "snap 60": pcap(some, snap=60),
        "snap 0": pcap(some, snap=0), "more than on the wire": pcap(some, wire=20), "less": pcap([f[:70] for f in some], wire=1500),
        "time 0": pcap(some, time=lambda i: (0, 0)), "negative time": pcap(some, time=lambda i: (i - 5, -10)),
        "microseconds": pcap(some, time=lambda i: (T0, 2000000000)), "version 2.3": pcap(some, version=(2, 3)),
        "times": pcap(some, time=lambda i: (rng.choice((0, -1, T0, 0x7FFFFFFF)), rng.choice((0, -1, 0x7FFFFFFF)))),
        "checksums": pcap([f + bytes(4) for f in some], link=0x24000001), "long": pcap([one + bytes(262144 - len(one)), one]),
        "too long": pcap([one, one + bytes(262145 - len(one)), one]), "cut in a header": pcap(some) + bytes(7),
        "bomb": pcap(some) + struct.pack("<IIII", 1, 1, 0x7FFFFFFF, 0x7FFFFFFF) + bytes(60),
        "two interfaces": section() + interface(1) * 2 + packets(some) + packets([one], 1),
        "interface of another link": section() + interface(1) + interface(113) + packets(some),
        "later": begin + interface(113) + packets([one]), "another snap length": begin + interface(1, 100) + packets([one]),
        "nanoseconds": section() + interface(1, 0, b"\11\0\1\0\11\0\0\0\0\0\0\0") + packets(some),
        "2^-20 s": section() + interface(1, 0, b"\11\0\1\0\x94\0\0\0\0\0\0\0") + packets(some),
        "simple packets": section() + interface(1, 60) + b"".join(block(3, struct.pack("<I", len(f)) + f[:60]) for f in some),
        "other blocks": section() + block(0xBAD, b"hello") + interface(1) + block(5, bytes(12)) + packets(some),
        "two sections": begin + section(">") + interface(1, order=">") + packets([one], order=">"),
        "no such interface": begin + packets([one], 7),
        "lying length": begin + packets([one], caplen=5000), "cut block": (begin + packets([one]))[:-9],
        "cut length": begin + b"\6\0\0",
        "odd length": begin + struct.pack("<II", 6, 33) + bytes(60), "zeroes": begin + bytes(16),
        "other end": begin + struct.pack("<II", 6, 32) + bytes(20) + struct.pack("<I", 36) + packets([one]),
        "unknown link": pcap(some, link=187), "unknown link in pcapng": section() + interface(276) + packets(some),
    }.items()


# --- headers and tunnels -------------------------------------------------------------------------------------------------

def inside():
    return ipv4(udp(DNS), 17), ipv6(udp(DNS), 17), ipv4(tcp(HTTP), 6)


def tunnels():
    four, six, _ = inside()

    def over(body, src, dst, wrap=ipv4):
        return wrap(udp(body, src, dst), 17)

    def gtp(body, flags=0x30):
        return bytes((flags, 0xFF)) + struct.pack(">HI", len(body) & 0xFFFF, 7) + body

    yield from (ipv4(four, 4), ipv4(six, 41), ipv6(four, 4), ipv6(six, 41), ipv4(ipv4(ipv4(four, 4), 4), 4), ipv4(b"", 4),
                ipv4(four[:9], 4), ipv4(ipv6(ipv4(six, 41), 4), 41), ipv4(bytes(40), 4))
    for head in (b"\0\0\x08\0", b"\x20\0\x08\0\0\0\0\1", b"\0\0\x86\xdd", b"\x30\x81\x88\x0b\0\x10\0\1\0\0\0\1\xff\3\0\x21"):
        yield ipv4(head + four, 47)
    yield from (ipv4(b"\x10\0\x88\xbe\0\0\0\1" + bytes(8) + eth(four), 47), ipv4(b"\0\0\x65\x58" + eth(four), 47))  # ERSPAN
    yield from (over(b"\x08\0\0\0\0\0\1\0" + eth(four), 9, 4789), over(b"\0\0\x65\x58\0\0\1\0" + eth(four), 9, 6081))
    yield from (over(six, 3544, 3544), over(b"\0\1\0\0" + bytes(9) + six, 9, 3544),
                over(b"\0\2\0\1\0\1\xff\3\0\x21" + four, 1701, 1701))
    yield from (over(b"\x48\x20\0\x20" + bytes(32), 2123, 2123), over(b"\x32\x10\0\x20" + bytes(32), 2123, 2123),
                over(b"\x30\xff", 9, 2152))
    for body in (four, six, ipv4(four, 4), over(gtp(four), 2152, 2152), ipv4(bytes(30), 17, fragment=0x2000),
                 ipv4(bytes(30), 17, fragment=9)):
        yield from (over(gtp(body), src, dst, wrap) for src, dst in ((2152, 9), (9, 2152)) for wrap in (ipv4, ipv6))
    for flags in range(0x30, 0x38):
        for more in (b"", b"\0\1\0\0", b"\0\1\0\x85\1\x10\x09\0", b"\0\1\0\xc0\1\0\0\x40\1\0\0\0",
                     b"\0\1\0\x85\0\0\0\0", b"\0\1\0\x85\xff\0\0\0"):
            yield over(gtp(more + four, flags), 2152, 2152)
    for head in (b"\1\0\0\1", b"\1\0\0\x12", b"\1\1\0\1", b"\2\0\0\1"):
        for tags in (b"\1", b"\0\1", b"\x0a\1\1", b"\x0a\3\xaa\1", b"", b"\xff"):
            yield over(head + tags + eth(four), 9, 37008)
    for head in (b"\0\x10" + bytes(6), b"\0\x20" + bytes(14), b"\1\x10" + bytes(6), b"\0\0"):
        for kind, body in ((b"\x08\0", four), (b"\x86\xdd", six), (b"\x81\0", b"\0\5\x08\0" + four), (b"\x88\x8e", bytes(40))):
            yield over(head + b"\x08\2" + bytes(22) + b"\xaa\xaa\3\0\0\0" + kind + body, 5247, 9)


def packets_of_ip(rng):
    four, six, http = inside()
    for proto in range(256):
        yield from (ipv4(bytes(range(64)), proto), ipv6(bytes(range(64)), proto))
    yield from (ipv4(bytes((kind, 0, 0, 0)) + rng.randbytes(40), 1) for kind in range(44))
    yield from (ipv6(bytes((kind, 0, 0, 0)) + rng.randbytes(40), 58) for kind in range(126, 160))
    yield from (four[:i] for i in range(0, 60, 3))
    yield from (six[:i] for i in range(0, 80, 3))
    yield from (bytes((0x40 | i,)) + four[1:] for i in range(16))
    yield from (four[:2] + struct.pack(">H", i) + four[4:]
                for i in (0, 1, 19, 20, 21, 27, 28, 40, len(four) - 1, len(four) + 1, 65535))
    yield from (http[:32] + bytes((i << 4,)) + http[33:] for i in range(16))
    yield from (four[:24] + struct.pack(">H", i) + four[26:] for i in (0, 7, 8, 9, 20, 65535))
    yield from (ipv4(udp(DNS)[24:], 17, fragment=3), ipv4(udp(DNS)[:24], 17, fragment=0x2000), ipv4(bytes(60), 6, fragment=0x4000))
    for first, head in ((0, b"\x11\0" + bytes(6)), (0, b"\x3c\0" + bytes(6) + b"\x11\1" + bytes(14)), (44, b"\x11\0\0\1\0\0\0\5"),
                        (43, b"\x2c\0" + bytes(6) + b"\x11\0\0\0\0\0\0\1"), (44, b"\x11\0\0\xb9\0\0\0\5"),
                        (135, b"\x11\0" + bytes(6)), (51, b"\x11\4" + bytes(22)), (0, b"\x3b\0" + bytes(6)), (59, b""),
                        (139, b"\x11\0" + bytes(6)), (44, b"\x11"),
                        (0, b"\0\0" + bytes(6) + b"\0\0" + bytes(6) + b"\x11\0" + bytes(6)), (0, b"\x11\xff" + bytes(6))):
        yield ipv6(head + udp(DNS), first)


def ethers():
    for ip, kind in zip(inside(), (0x0800, 0x86DD, 0x0800)):
        end = struct.pack(">H", kind) + ip
        for tags in (b"\x81\0\0\5", b"\x81\0\0\5\x81\0\xef\xff", b"\x88\xa8\0\5\x81\0\0\6", b"\x81\0\0\5\x88\xa8\0\6",
                     b"\x81\0\0\5" * 4, b"\x91\0\0\5"):
            yield bytes(12) + tags + end
        for stack in (b"\0\1\1\x40", b"\0\1\0\x40\0\2\1\x40", b"\0\1\0\x40" * 5 + b"\0\2\1\x40", b"\0\1\0\x40" * 3):
            yield from (ether(0x8847, stack + ip), ether(0x8848, stack + ip), ether(0x8100, b"\0\5\x88\x47" + stack + ip),
                        ether(0x8847, stack + bytes(4) + eth(ip)))
        yield from (ether(0x8864, b"\x11\0\0\1\0\x50" + ppp + ip) for ppp in (b"\0\x21", b"\0\x57", b"\xc0\x21"))
        for size in (0, 1, 46, len(ip) + 8, 1500, 1501, 1535, 1536):
            for llc in (b"\xaa\xaa\3\0\0\0" + end[:2], b"\0\xaa\3\0\0\0" + end[:2], b"\x42\x42\3", b"\6\6\3", b"",
                        b"\xaa\xaa\3\0\0\0\x81\0\0\5\x08\0", b"\xaa\xaa\3\0\0\0\x47\x88"):
                yield ether(size, llc + ip)
    yield from (ether(0x8864, b"\x11"), ether(0x8847, b"\0"), ether(0x8100, bytes(14)),
                ether(0x806, bytes(46)), ether(0x88CC, bytes(46)))


def radio():
    four, six, _ = inside()
    snap = b"\xaa\xaa\3\0\0\0"
    for size in (8, 16, 18, 24, 36):
        for flags in (0, 0x10, 0x40, 0x50):
            head = bytearray(b"\0\0" + struct.pack("<HI", size, 0x482F) + bytes(size - 8))
            head[16:17] = bytes((flags,)) if size > 16 else b""
            for control in (b"\x08\1", b"\x08\2", b"\x08\0", b"\x08\3", b"\x88\1", b"\x80\0", b"\x48\1", b"\x45\0", b"\x60\0"):
                for body in (snap + b"\x08\0" + four, b"\0\0" + snap + b"\x08\0" + four, b"\0\0" + snap + b"\x86\xdd" + six):
                    yield bytes(head) + control + bytes(22) + body


def headers(rng):
    every = list(packets_of_ip(rng)) + list(tunnels())
    for link in LINKS:
        # ndpiReader runs for ever on TZSP in these
        some = every if link == ETHERNET else [p for p in every if struct.pack(">H", 37008) not in p]
        yield f"link type {link}", capture([frame_of(link, p) for p in some], link)
    yield "Ethernet", capture(ethers())
    yield "802.11", capture(radio(), RADIOTAP)
    heads = (b"\0\x21", b"\0\x57", b"\xff\3\0\x21", b"\x0f\0\x08\0", b"\x8f\0\x86\xdd", b"\xc0\x21", b"\x0f\0\x81\0\0\5\x08\0",
             b"\x08\0", b"\x0f\0\x88\x47\0\1\1\x40")
    for link in (PPP, PPP_HDLC, C_HDLC):
        yield f"PPP {link}", capture([h + ip for h in heads for ip in inside()], link)
    yield "null", capture([struct.pack(o + "I", v) + ip for o in "<>" for v in (0, 2, 10, 24, 28, 30) for ip in inside()], NULL)
    heads = (b"\x08\0", b"\x86\xdd", b"\x81\0\0\5\x08\0", b"\x88\x47\0\1\1\x40", b"\0\4")
    yield "cooked", capture([bytes(14) + h + ip for h in heads for ip in inside()], SLL)


# --- flows ---------------------------------------------------------------------------------------------------------------

def flows(rng):
    said = session([(0, hello("www.google.com")), (1, b"\x16\3\3\0\x10" + rng.randbytes(16))], 40000, 443)
    for n in (78, 79, 80, 81, 82):
        yield f"TCP, {n} before", capture(session([(i % 2, rng.randbytes(50)) for i in range(n)] + [(0, HTTP)], 40000, 40001))
    for n in (22, 23, 24, 25, 26):
        yield f"UDP, {n} before", capture([datagram(rng.randbytes(30), 9, 53) for _ in range(n)] + [datagram(DNS, 9, 53)])
    for step in (-1000000, 60000000, 3600000000):
        yield f"steps of {step}", capture(session([(0, HTTP), (1, b"HTTP/1.1 200 OK\r\n\r\n")] * 6, 40000, 80), step=step)
    for name, frames in {"backwards": said[::-1], "thrice": [f for f in said for _ in range(3)], "no SYN": said[3:],
                         "SYN": said[:1], "SYN and ACK": said[1:2], "again": said + session([(0, HTTP)], 40000, 443)}.items():
        yield name, capture(frames)
    first = hello("x.facebook.com")
    for at in (1, 5, 6, 60):
        yield f"TLS in pieces {at}", capture(session([(0, first[:at]), (0, first[at:])], 40000, 443))
    yield "TLS in bytes", capture(session([(0, bytes((x,))) for x in first], 40000, 443))
    yield "VLANs", capture([f[:12] + b"\x81\0" + struct.pack(">H", i % 3) + f[12:] for i, f in enumerate(said)])
    yield "to itself", capture([datagram(bytes(30), 9, 9, 1, 1)] * 9 +
                               session([(i % 2, rng.randbytes(9)) for i in range(8)], 7, 7, 1, 1))
    yield "many", capture([eth(ipv4(tcp(rng.randbytes(20), rng.randrange(65536), rng.choice((22, 443, rng.randrange(65536)))), 6,
                                    rng.getrandbits(32), rng.getrandbits(32))) for _ in range(6000)])
    yield "many of IPv6", capture([eth(ipv6(udp(rng.randbytes(20), rng.randrange(65536), rng.randrange(65536)), 17,
                                            rng.randbytes(16), rng.randbytes(16))) for _ in range(3000)])
    yield "sums", capture([eth(ipv6(udp(DNS, 9, 53), 17, bytes(8) + struct.pack(">II", i, 100 - i))) for i in range(100)])
    yield "TCP ports", capture([eth(ipv4(tcp(b"", 40000, port, 2), 6)) for port in range(0, 10000, 3)])
    yield "UDP ports", capture([datagram(rng.randbytes(17), 40000, port) for port in range(0, 10000, 3)])


def names(rng):
    frames = []
    for i, name in enumerate(HOSTS):
        asked = b"".join(bytes((len(part),)) + part for part in name.encode().split(b".")) + b"\0\0\1\0\1"
        frames += [datagram(struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0) + asked, 1000 + i, 53)]
        for k, to in enumerate(ADDRESSES):
            port = 1024 + i * 100 + k * 4
            frames += session([(0, hello(name))], port, 443, b=to) + session([(0, hello(name))], port + 1, 4444, b=to)
            frames += session([(0, HTTP.replace(b"www.example.com", name.encode()))], port + 2, 80, b=to)
            frames += [datagram(rng.randbytes(30), port + 3, 9999, b=to)]
    yield "names and addresses", capture(frames)


def memory(rng):
    """What is said in one flow names another."""
    def rtp(i, src, dst):
        return datagram(b"\x80\x60" + struct.pack(">HII", i, i * 160, 7) + rng.randbytes(160), src, dst)

    torrent = b"\x13BitTorrent protocol" + bytes(8) + bytes(range(40))
    frames = session([(0, torrent), (1, torrent)], 50000, 6881)
    for i in range(40):
        frames += [datagram(rng.randbytes(30 + i), 6881, 30000 + i),
                   datagram(rng.randbytes(60), 30000 + i, 6881, 0x0A000002, 0x0A000001)]
        frames += session([(i % 2, rng.randbytes(40))], 50000, 50100 + i)
    yield "BitTorrent", capture(frames)
    yield "BitTorrent, later", capture(frames, step=400000000)
    for name in ("zoom.us", "teams.microsoft.com", "signal.org", "speedtest.net"):
        frames = session([(0, hello(name))], 40000, 443)
        for i in range(12):
            frames += [datagram(STUN, 5000 + i, 3478), rtp(i, 5000 + i, 3478), rtp(i, 5000, 8801), rtp(i, 6000, 6002)]
        frames += session([(0, b"HI 1234\n"), (1, b"HELLO 2.4\n")], 40002, 8080) + session([(0, rng.randbytes(40))], 40003, 8080)
        yield f"calls after {name}", capture(frames)
    frames = session([(0, b'{"id":1,"method":"mining.subscribe","params":["x"]}\n')], 40000, 3333)
    frames += session([(0, b'{"id":2,"jsonrpc":"2.0","method":"eth_submitLogin","params":["0x"]}\n')], 40001, 4444)
    for i in range(20):
        frames += session([(0, rng.randbytes(40))], 41000 + i, 3333) + session([(0, b'{"a":1}\n')], 43000 + i, 4444)
    yield "mining", capture(frames)
    said = (b"220 x\r\n", b"USER a\r\n", b"331 x\r\n", b"PASS b\r\n", b"230 x\r\n", b"PASV\r\n",
            b"227 Passive (10,0,0,2,200,10).\r\n")
    yield "FTP", capture(session([((i + 1) % 2, line) for i, line in enumerate(said)], 40000, 21) +
                         session([(1, b"PK\3\4" + rng.randbytes(300))], 40001, 51210) +
                         session([(1, rng.randbytes(300))], 40002, 20))
    sip = (b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060\r\n\r\n"
           b"v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n")
    yield "SIP and RTP", capture([datagram(sip, 5060, 5060)] + [rtp(i, 4000, 4002) for i in range(30)])


def kinds(rng):
    """(name, Capture or the bytes of a file) of each."""
    for family in (files, headers, flows, names, memory):
        yield from family(rng)
