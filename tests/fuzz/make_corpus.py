#!/usr/bin/env python3
"""Writes tests/fuzz/corpus: for each target the inputs that are worth having
from the first day, each named after what it shows.  Run it from the top of the
tree after a change; the files it writes are committed.  What stands beside
them as found-* a fuzzer has made: the fewest inputs that reach what these do
not (-set_cover_merge=1 -use_counters=0)."""
import os
import struct

import corpus_netproc
import corpus_relayproc
import corpus_text

GUEST = bytes([100, 96, 0, 2])
GATEWAY = bytes([100, 96, 0, 1])
REMOTE = bytes([192, 0, 2, 7])
GUEST_MAC = bytes.fromhex("02534d000002")
GATEWAY_MAC = bytes.fromhex("02534d000001")
ALL_MAC = b"\xff" * 6
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def write(target, name, data):
    folder = os.path.join(TOP, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ether(ethertype, payload, dst=GATEWAY_MAC, src=GUEST_MAC):
    return dst + src + struct.pack(">H", ethertype) + payload


def ip4(proto, payload, src=GUEST, dst=REMOTE, first=0x45, frag=0x4000,
        options=b"", total=None):
    total = 20 + len(options) + len(payload) if total is None else total
    head = struct.pack(">BBHHHBBH", first, 0, total, 1, frag, 64, proto, 0)
    head += src + dst + options
    return (head[:10] + struct.pack(">H", checksum(head)) + head[12:] +
            payload)


def tcp(flags, options=b"", payload=b"", offset=None):
    offset = 5 + len(options) // 4 if offset is None else offset
    return (struct.pack(">HHIIBBHHH", 40000, 80, 0x01020304, 0, offset << 4,
                        flags, 64240, 0, 0) + options + payload)


def udp(payload, sport=40000, dport=53, length=None):
    length = 8 + len(payload) if length is None else length
    return struct.pack(">HHHH", sport, dport, length, 0) + payload


def arp(operation=1, sender=GUEST, mac=GUEST_MAC, lengths=0x0604):
    return (struct.pack(">HHHH", 1, 0x800, lengths, operation) + mac + sender +
            b"\0" * 6 + GATEWAY)


PREFIX6 = bytes.fromhex("fd534d0000000000") + b"\0" * 7
GUEST6, GATEWAY6 = PREFIX6 + b"\2", PREFIX6 + b"\1"
REMOTE6 = bytes.fromhex("20010db8") + b"\0" * 11 + b"\7"
GATEWAY_LL = bytes.fromhex("fe80000000000000 0053 4dfffe00 0001")
GUEST_LL = bytes.fromhex("fe80000000000000 0053 4dfffe00 0002")
NONE6 = b"\0" * 16
ALL_NODES = bytes.fromhex("ff02") + b"\0" * 13 + b"\1"
ALL_ROUTERS = ALL_NODES[:15] + b"\2"


def ip6(proto, payload, src=GUEST6, dst=REMOTE6, hops=64, length=None):
    length = len(payload) if length is None else length
    return (struct.pack(">IHBB", 0x60000000, length, proto, hops) + src + dst +
            payload)


def icmp6(kind, body, src=GUEST6, dst=REMOTE6, hops=64, code=0):
    head = bytes([kind, code])
    pseudo = src + dst + struct.pack(">II", 4 + len(body), 58)
    sum16 = checksum(pseudo + head + b"\0\0" + body)
    return ip6(58, head + struct.pack(">H", sum16) + body, src, dst, hops)


def solicited(target):
    return bytes.fromhex("ff02") + b"\0" * 9 + b"\1\xff" + target[13:]


def frag6(proto, off, more, payload, ident=7):
    return struct.pack(">BBHI", proto, 0, off | more, ident) + payload


SYN_OPTIONS = bytes.fromhex("020405b40402080a010203040000000001030307")


def shield():
    def put(name, frame, choices=0):
        write("shield", name, bytes([choices]) + frame)

    put("arp-request", ether(0x806, arp(), ALL_MAC))
    put("arp-probe", ether(0x806, arp(sender=b"\0" * 4), ALL_MAC))
    put("arp-claims-gateway", ether(0x806, arp(sender=GATEWAY), ALL_MAC))
    put("arp-short", ether(0x806, arp()[:20], ALL_MAC))
    put("tcp-syn", ether(0x800, ip4(6, tcp(2, SYN_OPTIONS))))
    put("tcp-sack", ether(0x800, ip4(6, tcp(
        0x10, b"\1\1\5\x0a" + b"\0\0\0\1\0\0\0\2"))))
    put("tcp-md5", ether(0x800, ip4(6, tcp(
        0x10, b"\x13\x12" + b"m" * 16 + b"\1\1"))))
    put("tcp-option-at-the-end", ether(0x800, ip4(6, tcp(
        2, b"\1\1\1\2"))))
    put("tcp-option-length-0", ether(0x800, ip4(6, tcp(2, b"\xfd\0\0\0"))))
    put("tcp-offset-15", ether(0x800, ip4(6, tcp(2, SYN_OPTIONS,
                                                 offset=15))))
    put("tcp-mss-0", ether(0x800, ip4(6, tcp(2, b"\2\4\0\0"))))
    put("udp-dns", ether(0x800, ip4(17, udp(b"query"), dst=GATEWAY)))
    put("icmp-echo", ether(0x800, ip4(1, bytes.fromhex("0800000000010001") +
                                      b"data", dst=GATEWAY)))
    put("dhcp-discover", ether(0x800, ip4(
        17, udp(b"\1\1\6\0", 68, 67), b"\0" * 4, b"\xff" * 4), ALL_MAC))
    put("ip-options", ether(0x800, ip4(17, udp(b"x"), first=0x46,
                                       options=b"\1\1\1\0")))
    put("ip-fragment", ether(0x800, ip4(17, udp(b"x"), frag=0x2000)))
    put("choices-all", ether(0x800, ip4(6, tcp(2, SYN_OPTIONS))), 0x1e)
    put("ip-fragment-last", ether(0x800, ip4(17, b"x" * 21, frag=5)))
    put("ip-fragment-past-64k", ether(0x800, ip4(17, b"x" * 8, frag=0x1fff)))
    put("ip-fragment-empty", ether(0x800, ip4(17, b"", frag=0x2003)))
    shield6(put)


def shield6(put):
    def six(title, packet, choices=0):
        put("ip6-" + title, ether(0x86dd, packet), choices)

    def neighbour(title, kind, body, src=GUEST_LL, dst=GATEWAY_LL, hops=255,
                  code=0):
        six(title, icmp6(kind, body, src, dst, hops, code))

    source = b"\1\1" + GUEST_MAC
    target = b"\2\1" + GUEST_MAC
    six("tcp-syn", ip6(6, tcp(2, SYN_OPTIONS)))
    six("tcp-fixed", ip6(6, tcp(2, SYN_OPTIONS)), 0x9e)
    six("udp-dns", ip6(17, udp(b"query"), dst=GATEWAY6))
    six("udp-dns-link-local", ip6(17, udp(b"query"), GUEST_LL, GATEWAY_LL))
    six("udp-from-link-local", ip6(17, udp(b"x"), GUEST_LL))
    six("udp-multicast", ip6(17, udp(b"x"), dst=ALL_NODES))
    six("length-past-the-end", ip6(17, udp(b"x"), length=99))
    six("dhcp6", ip6(17, udp(b"\1\1\2\3", 546, 547), GUEST_LL,
                     ALL_NODES[:13] + b"\1\0\2"))
    six("echo", icmp6(128, b"\0\1\0\1data"))
    six("echo-fixed", icmp6(128, b"\0\1\0\1data"), 0x9e)
    six("unreachable", icmp6(1, b"\0" * 48))
    six("hop-by-hop", ip6(0, b"\x06\0\1\4\0\0\0\0" + tcp(2)))
    six("mld", ip6(0, b"\x3a\0\5\2\0\0\1\0" + b"\x8f" + b"\0" * 27, NONE6,
                   ALL_NODES[:15] + b"\x16", 1))
    six("routing", ip6(43, b"\x06\0\0\0\0\0\0\0" + tcp(2)))
    six("fragment-first", ip6(44, frag6(17, 0, 1, udp(b"x" * 16))))
    six("fragment-last", ip6(44, frag6(17, 24, 0, b"end")))
    six("fragment-atomic", ip6(44, frag6(17, 0, 0, udp(b"x"))))
    six("fragment-odd", ip6(44, frag6(17, 0, 1, b"x" * 9)))
    six("fragment-past-64k", ip6(44, frag6(17, 0xfff8, 0, b"x" * 8)))
    six("fragment-of-fragment", ip6(44, frag6(44, 0, 0, b"x" * 16)))
    six("fragment-of-nd", ip6(44, frag6(58, 0, 0, b"\x87" + b"\0" * 23)))
    neighbour("rs", 133, b"\0" * 4 + source, dst=ALL_ROUTERS)
    neighbour("rs-unspecified", 133, b"\0" * 4, NONE6, ALL_ROUTERS)
    neighbour("ns", 135, b"\0" * 4 + GATEWAY6 + source, GUEST6,
              solicited(GATEWAY6))
    neighbour("ns-dad", 135, b"\0" * 4 + GUEST6, NONE6, solicited(GUEST6))
    neighbour("ns-dad-nonce", 135, b"\0" * 4 + GUEST6 + b"\x0e\1nonces", NONE6,
              solicited(GUEST6))
    neighbour("ns-dad-gateway", 135, b"\0" * 4 + GATEWAY6, NONE6,
              solicited(GATEWAY6))
    neighbour("ns-option-length-0", 135, b"\0" * 4 + GATEWAY6 + b"\1\0" +
              GUEST_MAC)
    neighbour("ns-option-past-the-end", 135, b"\0" * 4 + GATEWAY6 + b"\1\2" +
              GUEST_MAC)
    neighbour("ns-other-mac", 135, b"\0" * 4 + GATEWAY6 + b"\1\1" +
              GATEWAY_MAC)
    neighbour("na", 136, b"\x60\0\0\0" + GUEST6 + target)
    neighbour("na-gateway", 136, b"\x60\0\0\0" + GATEWAY6 + target)
    neighbour("na-all-nodes", 136, b"\x20\0\0\0" + GUEST6 + target, GUEST6,
              ALL_NODES)
    neighbour("ra", 134, b"\0" * 12, dst=ALL_NODES)
    neighbour("redirect", 137, b"\0" * 36)
    neighbour("ns-hop-limit", 135, b"\0" * 4 + GATEWAY6, hops=254)


def fragment():
    def piece(which, off, length, last=False, choices=0):
        units = (length + 7) // 8
        return struct.pack(">HBB", off // 8 | (0x8000 if last else 0),
                           units - 1, which | choices | (units * 8 - length
                                                         if last else 0) << 2)

    def put(title, *pieces):
        write("fragment", title, b"".join(pieces))

    for which, version in ((0, "4"), (2, "6")):
        first, second = piece(which, 0, 1480), piece(which, 1480, 1480)
        last = piece(which, 2960, 101, True)
        put("in-order-" + version, first, second, last)
        put("backwards-" + version, last, second, first)
        put("twice-" + version, first, first, last, last, second)
        put("overlap-" + version, first, piece(which, 1472, 16), last)
        put("teardrop-" + version, first, piece(which, 8, 13, True), last)
        put("two-ends-" + version, last, piece(which, 1480, 8, True))
        put("past-the-end-" + version, last, piece(which, 3064, 8))
        put("late-" + version, first, *[
            piece(which + 1, 0, 8, choices=0x80)] * 8, last, second)
        put("longest-" + version, *[
            piece(which, at, 2048) for at in range(0, 63488, 2048)],
            piece(which, 63488, 2047, True))
        put("atomic-" + version, piece(which, 0, 13, True))
    put("two-datagrams", piece(0, 0, 8), piece(1, 0, 8), piece(2, 0, 8),
        piece(1, 8, 5, True), piece(0, 8, 1, True), piece(2, 8, 8, True))


def bootp(options, flags=0, ciaddr=b"\0" * 4, sname=b"", file=b"",
          cookie=b"\x63\x82\x53\x63"):
    return (struct.pack(">BBBBIHH", 1, 1, 6, 0, 0xDECAFBAD, 3, flags) +
            ciaddr + b"\0" * 12 + GUEST_MAC.ljust(16, b"\0") +
            sname.ljust(64, b"\0") + file.ljust(128, b"\0") + cookie + options)


def option(code, value=b""):
    return bytes([code, len(value)]) + value


END = b"\xff"


def dhcp():
    def put(name, payload, choices=0):
        write("dhcp", name, bytes([choices]) + payload)

    discover, request = option(53, b"\1"), option(53, b"\3")
    asked, server = option(50, GUEST), option(54, GATEWAY)
    put("udhcpc-discover", bootp(
        discover + option(57, b"\2\x40") +
        option(55, bytes([1, 3, 6, 12, 15, 28, 42])) +
        option(60, b"udhcp 1.35.0") + option(61, b"\1" + GUEST_MAC) + END))
    put("dhclient-request", bootp(
        request + server + asked + option(12, b"host") + option(
            55, bytes([1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42])) +
        END))
    put("dhcpcd-rapid-commit", bootp(
        discover + option(61, b"\xff\x4d\0\0\2\0\1\0\1+\1\2\3" + GUEST_MAC) +
        option(80) + option(57, b"\5\xc0") + option(116, b"\1") +
        option(145, b"\1") + option(55, bytes([1, 121, 33, 3, 6, 26, 119])) +
        END))
    put("windows-discover", bootp(
        discover + option(61, b"\1" + GUEST_MAC) + option(12, b"PC") + option(
            60, b"MSFT 5.0") + option(55, bytes(
                [1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252])) +
        END, flags=0x8000))
    put("init-reboot", bootp(request + asked + END))
    put("renew", bootp(request + END, ciaddr=GUEST))
    put("other-server", bootp(request + asked + option(54, REMOTE) + END))
    put("inform", bootp(option(53, b"\x08") + END, ciaddr=GUEST))
    put("no-end", bootp(discover))
    put("option-past-the-end", bootp(discover + b"\x37\x20\1"))
    put("overload", bootp(option(52, b"\3") + END, sname=asked + END,
                          file=request + END))
    put("overload-past-the-end", bootp(option(52, b"\1") + END,
                                       file=b"\0" * 126 + b"\x0c\1"))
    put("client-id-255", bootp(discover + option(61, b"i" * 255) + END), 8)
    put("large-reply", bootp(discover + option(57, b"\5\xdc") + END), 4)
    put("header-to-fix", bootp(discover + END, cookie=b"....")
        .replace(GUEST_MAC, b"......"), 1)


def dhcp6():
    def put(title, kind, *options, choices=0):
        write("dhcp6", title, bytes([choices, kind, 1, 2, 3]) +
              b"".join(options))

    def opt(code, value=b""):
        return struct.pack(">HH", code, len(value)) + value

    def ia(*options, code=3):
        return opt(code, struct.pack(">I", 9) + (b"" if code == 4 else
                                                 b"\0" * 8) +
                   b"".join(options))

    def addr(address=GUEST6):
        return opt(5, address + struct.pack(">II", 3600, 3600))

    client = opt(1, b"\0\1\0\1\x2b\1\2\3" + GUEST_MAC)
    server = opt(2, b"\0\3\0\1" + GATEWAY_MAC)
    oro, elapsed = opt(6, b"\0\x17\0\x18"), opt(8, b"\0\0")
    put("solicit", 1, client, elapsed, oro, ia())
    put("solicit-rapid", 1, client, elapsed, oro, opt(14), ia())
    put("solicit-hint", 1, client, ia(addr()), ia(code=4), ia(code=25))
    put("solicit-nothing", 1, client)
    put("request", 3, client, server, oro, ia(addr()))
    put("request-no-server", 3, client, ia(addr()))
    put("request-other-server", 3, client, opt(2, b"\0\3\0\1" + GUEST_MAC),
        ia(addr()))
    put("confirm", 4, client, ia(addr()))
    put("confirm-elsewhere", 4, client, ia(addr(REMOTE6)))
    put("confirm-nothing", 4, client, ia())
    put("renew", 5, client, server, ia(addr(), addr(REMOTE6)))
    put("rebind", 6, client, ia(addr()))
    put("release", 8, client, server, ia(addr()))
    put("release-unbound", 8, client, server, ia(addr(REMOTE6)), ia(code=4))
    put("decline", 9, client, server, ia(addr()))
    put("information", 11, oro)
    put("information-client", 11, client, server, oro, choices=2)
    put("information-with-ia", 11, ia())
    put("reply", 7, client, server)
    put("relay", 12, b"\0" * 30)
    put("ias-8", 1, client, *[ia(addr())] * 8)
    put("ias-9", 1, client, *[ia()] * 9)
    put("addresses-9", 1, client, ia(*[addr()] * 9))
    put("option-past-the-end", 1, client, b"\0\x08\0\3\0")
    put("ia-option-past-the-end", 1, client, ia(b"\0\5\0\x19"))
    put("ia-short", 1, client, opt(3, b"\0" * 11))
    put("address-short", 1, client, ia(opt(5, b"\0" * 23)))
    put("duid-130", 1, opt(1, b"d" * 130), ia(), choices=2)
    put("duid-131", 1, opt(1, b"d" * 131), ia())
    put("duid-empty", 1, opt(1), ia())
    put("choices", 5, client, server, ia(addr(), addr(GATEWAY6)), choices=14)


def name(*labels):
    return b"".join(bytes([len(x)]) + x for x in labels) + b"\0"


def dns():
    def put(title, query, answer=b""):
        write("dns", title, struct.pack(">H", len(query)) + query + answer)

    def message(flags, question, qd=1, an=0, ar=0, rest=b""):
        return struct.pack(">HHHHHH", 0x1234, flags, qd, an, 0,
                           ar) + question + rest

    www = name(b"www", b"example", b"com") + b"\0\1\0\1"
    upper = name(b"WWW", b"EXAMPLE", b"com") + b"\0\1\0\1"
    a_record = b"\xc0\x0c\0\1\0\1\0\0\0<\0\4" + REMOTE
    opt = b"\0\0\x29\x10\0\0\0\0\0\0\0"
    query = message(0x0100, www)
    put("query-answer", query, message(0x8180, www, an=1, rest=a_record))
    put("query-edns", message(0x0120, www, ar=1, rest=opt))
    put("other-case", query, message(0x8180, upper, an=1, rest=a_record))
    put("other-name", query, message(0x8180, name(b"w") + b"\0\1\0\1"))
    put("nxdomain-no-question", query, message(0x8183, b"", qd=0))
    put("no-question", message(0x0100, b"", qd=0))
    put("two-questions", message(0x0100, www + www, qd=2))
    put("pointer-loop", message(0x0100, b"\xc0\x0c\0\1\0\1"))
    put("pointer-in-the-middle", message(0x0100, b"\1a\xc0\x0c\0\1\0\1"))
    put("root", message(0x0100, b"\0\0\2\0\1"))
    put("longest-name", message(0x0100, b"\1x" * 127 + b"\0\0\1\0\1"))
    put("too-long-name", message(0x0100, b"\1x" * 126 + b"\2xx\0\0\1\0\1"))
    put("label-past-the-end", message(0x0100, b"\x3fabc"))
    put("response-as-query", message(0x8180, www))
    big = b"\x40" + query[1:]
    put("edns-lowered", big[:11] + b"\1" + big[12:] + opt)
    put("edns-small", message(0x0100, www, ar=1, rest=b"\0\0\x29\0\x64" +
                              b"\0" * 6))
    put("edns-options", message(0x0100, www, ar=1, rest=opt[:-2] +
                                b"\0\x08\0\x0a\0\4cook"))
    put("edns-twice", message(0x0100, www, ar=2, rest=opt * 2))
    put("edns-named", message(0x0100, www, ar=1, rest=b"\1a" + opt))
    put("edns-compressed", message(0x0100, www, ar=1, rest=b"\xc0\x0c" +
                                   opt[1:]))
    put("edns-past-the-end", message(0x0100, www, ar=1, rest=opt[:-1] + b"\1"))
    put("edns-behind-another", message(
        0x0100, www, ar=2, rest=b"\1x\0\0\x10\0\1\0\0\0\0\0\1x" + opt))
    put("edns-signed", message(
        0x0100, www, ar=2, rest=opt + b"\1k\0\0\xfa\0\xff\0\0\0\0\0\0"))
    for kind, title in ((1, "a"), (28, "aaaa"), (255, "any"), (16, "txt")):
        put("local-" + title, message(0x0110, name(b"Host", b"INTERNAL") +
                                      struct.pack(">HH", kind, 1)))
    put("local-edns", message(0x0100, name(b"host", b"internal") +
                              b"\0\1\0\1", ar=1, rest=opt))
    put("local-chaos", message(0x0100, name(b"host", b"internal") +
                               b"\0\1\0\3"))
    put("local-no-addresses", message(0x0100, name(b"w") + b"\0\xff\0\1"))
    put("local-below", message(0x0100, name(b"a", b"host", b"internal") +
                               b"\0\1\0\1"))


def frame():
    def op(kind, number):
        return struct.pack(">BH", kind, number)

    def put(title, *ops, choices=0):
        write("frame", title, bytes([choices]) + b"".join(ops))

    small, large = op(0, 46), op(0, 65535)
    put("shortest-and-longest", op(0, 0), op(0, 65535), op(0, 1))
    put("byte-by-byte", op(2, 0), small, small, op(0, 0))
    put("split-in-the-prefix", op(2, 2), small, op(0, 1))
    for length in (0, 13, 14, 65550, 65551, 1 << 31, 0xFFFFFFFF):
        put(f"length-{length}", small, op(1, 0) + struct.pack(">I", length))
    put("raw-frame", op(1, 0) + struct.pack(">I", 14), op(3, 14) + b"x" * 14)
    put("raw-cut", op(1, 0) + struct.pack(">I", 20), op(3, 14) + b"x" * 14)
    put("buffer-wraps", op(2, 50000), *([large] * 40))
    put("buffer-wraps-odd", op(2, 40961), *([large, op(0, 777)] * 30))
    put("round-trip-head", small, op(0, 1500), op(0, 0), choices=3)
    put("round-trip-small-buffer", *([op(0, 9000)] * 30), choices=7)
    put("round-trip-much", *([op(0, 60000)] * 50), choices=5)


# Some rows of the table in ipc/proto.h: number, payload size, descriptors.
TYPES = {
    "hello": (1, 16, 0), "config-resolver": (6, 24, 0),
    "ready": (11, 8, 0), "log": (12, 464, 0), "frame": (14, 8, 1),
    "stop": (16, 4, 0), "flow-open": (17, 28, 0), "flow-opened": (18, 4, 1),
    "flow-failed": (19, 8, 0), "flow-inbound": (20, 24, 1),
    "flow-closed": (23, 4, 0), "dns-query": (24, 4, 0),
}
PARENT, NETPROC, RELAYPROC = 0, 1, 2
SETUP, RUN, DRAIN = 0, 1, 2


def channel():
    def record(kind, nfds=None, size=None, extra=b"", reserved=0):
        number, payload, fds = TYPES[kind]
        body = struct.pack("=IIII", number, 3, 1, reserved)
        body += b"\0" * (payload if size is None else size) + extra
        return struct.pack(">BH", fds if nfds is None else nfds,
                           len(body)) + body

    def put(title, me, peer, phase, *records, dgram=0):
        choices = me | peer << 2 | phase << 4 | dgram << 6
        write("channel", title, bytes([choices]) + b"".join(records))

    put("setup-of-a-child", NETPROC, PARENT, SETUP, record("hello"))
    put("setup-of-relayproc", RELAYPROC, PARENT, SETUP, record("hello"),
        record("config-resolver"))
    put("ready", PARENT, NETPROC, SETUP, record("log"), record("ready"))
    put("frame-with-descriptor", NETPROC, PARENT, RUN, record("frame"))
    put("frame-without-descriptor", NETPROC, PARENT, RUN, record("frame", 0))
    put("two-descriptors", NETPROC, PARENT, RUN, record("frame", 2))
    put("three-descriptors", NETPROC, PARENT, RUN, record("frame", 3))
    put("descriptor-unasked", RELAYPROC, NETPROC, RUN, record("flow-open", 1))
    put("flow-out", NETPROC, RELAYPROC, RUN, record("flow-opened"),
        record("flow-failed"), record("flow-closed"))
    put("flow-in", NETPROC, RELAYPROC, RUN, record("flow-inbound"))
    put("wrong-direction", NETPROC, RELAYPROC, RUN, record("flow-open"))
    put("wrong-phase", NETPROC, PARENT, RUN, record("hello"))
    put("drain", NETPROC, RELAYPROC, DRAIN, record("flow-closed"))
    put("payload-short", NETPROC, PARENT, RUN, record("stop", size=3))
    put("payload-long", NETPROC, PARENT, RUN, record("stop", size=5))
    put("reserved-set", NETPROC, PARENT, RUN, record("stop", reserved=1))
    put("empty-record", NETPROC, PARENT, RUN, b"\0\0\0", b"\1\0\0")
    put("header-short", NETPROC, PARENT, RUN, b"\0\0\x0f" + b"\1" * 15)
    put("type-unknown", NETPROC, PARENT, RUN,
        b"\0\0\x14" + b"\xff" * 20, b"\0\0\x14" + b"\0" * 20)
    put("dns-tail", RELAYPROC, NETPROC, RUN,
        record("dns-query", extra=b"q" * 300), dgram=1)


ISN = 0x1000  # what fuzz_lwip's side begins with


def lwip():
    def record(frame, choices=0):
        return struct.pack(">BH", choices, len(frame)) + frame

    def segment(flags, seq, ack=0, payload=b"", options=b"", choices=0,
                window=64240, urgent=0):
        head = struct.pack(">HHIIBBHHH", 40000, 80, seq, ack,
                           (5 + len(options) // 4) << 4, flags, window, 0,
                           urgent)
        return record(ether(0x800, ip4(6, head + options + payload,
                                       dst=GATEWAY)), choices)

    def put(title, *records):
        write("lwip", title, b"".join(records))

    stamps = b"\1\1\x08\x0a" + struct.pack(">II", 1, 0)
    syn = segment(2, 100, options=SYN_OPTIONS)
    plain_syn = segment(2, 100)
    ack = segment(0x10, 101, ISN + 1)
    data = segment(0x18, 101, ISN + 1, b"hello")
    tick = 0x10
    put("arp", record(ether(0x806, arp(), ALL_MAC)),
        record(ether(0x806, arp(2))), record(ether(
            0x806, arp(sender=b"\0" * 4), ALL_MAC)))
    put("echo", record(ether(0x800, ip4(1, bytes.fromhex(
        "0800000000010001") + b"data", dst=GATEWAY)), 0x23))
    put("handshake-data", plain_syn, ack, data,
        segment(0x10, 106, ISN + 537), segment(0x10, 106, ISN + 3001))
    put("handshake-options", syn, ack, segment(
        0x18, 101, ISN + 1, b"hello", stamps))
    put("fin-from-guest", plain_syn, ack, segment(0x11, 101, ISN + 1),
        segment(0x10, 102, ISN + 2, choices=tick))
    put("fin-from-us", plain_syn, segment(0x10, 101, ISN + 1, choices=8),
        segment(0x11, 101, ISN + 2), segment(0x10, 102, ISN + 2))
    put("reset", plain_syn, ack, segment(4, 101))
    put("out-of-order", syn, ack, segment(0x18, 201, ISN + 1, b"c" * 50),
        segment(0x18, 151, ISN + 1, b"b" * 50),
        segment(0x18, 140, ISN + 1, b"o" * 80),
        segment(0x18, 101, ISN + 1, b"a" * 50))
    put("out-of-order-fin", syn, ack, segment(0x19, 151, ISN + 1, b"z"),
        segment(0x18, 101, ISN + 1, b"a" * 50))
    put("zero-window", plain_syn, ack, segment(
        0x18, 101, ISN + 1, b"hello", window=0, choices=tick),
        segment(0x10, 106, ISN + 1, window=1, choices=tick))
    put("urgent", plain_syn, ack, segment(0x38, 101, ISN + 1, b"urgent",
                                          urgent=65535))
    put("sack", syn, ack, data, segment(0x10, 106, ISN + 1, options=(
        b"\1\1\5\x0a" + struct.pack(">II", ISN + 600, ISN + 900))))
    put("duplicate-acks", plain_syn, ack, data, *[
        segment(0x10, 106, ISN + 1)] * 4)
    put("small-mss", segment(2, 100, options=b"\2\4\0\x1c"), ack, data,
        segment(0x10, 106, ISN + 29))
    put("unknown-segment", ack, segment(0x12, 5, 6), segment(1, 7))
    put("time-wait-syn", plain_syn, segment(0x10, 101, ISN + 1, choices=8),
        segment(0x11, 101, ISN + 2), segment(2, 9000, choices=tick))


def nd():
    RS, NS, NA, RA = range(4)
    (ANY, GUEST_IP, LINK_LOCAL, GATEWAY_IP, GATEWAY_LOCAL, NODES, ROUTERS,
     NOBODY) = range(8)
    OWN, SOLICITED_NODE = 0x0f, 0xff

    def put(title, kind, src, dst, target=ANY, options=b"", code=0, hops=0,
            wrong=0, flags=0):
        write("nd", title, bytes([kind, code, src, dst, target, hops, wrong,
                                  flags]) + options)
    source, target = b"\1\1" + GUEST_MAC, b"\2\1" + GUEST_MAC
    put("rs", RS, LINK_LOCAL, ROUTERS, options=source)
    put("rs-from-any", RS, ANY, ROUTERS)
    put("rs-from-any-with-source", RS, ANY, ROUTERS, options=source)
    put("rs-withdrawn", RS, LINK_LOCAL, ROUTERS, flags=1)
    put("ns", NS, GUEST_IP, SOLICITED_NODE, GATEWAY_IP, source)
    put("ns-unicast", NS, LINK_LOCAL, GATEWAY_LOCAL, GATEWAY_LOCAL)
    put("ns-dad", NS, ANY, SOLICITED_NODE, GUEST_IP, b"\x0e\1nonces")
    put("ns-dad-gateway", NS, ANY, SOLICITED_NODE, GATEWAY_IP)
    put("ns-dad-all-nodes", NS, ANY, NODES, GUEST_IP)
    put("ns-target-group", NS, GUEST_IP, GATEWAY_IP, NODES)
    put("ns-own-addresses", NS, OWN, OWN, OWN, GUEST6 + GATEWAY6 + GATEWAY6)
    put("ns-from-gateway", NS, GATEWAY_IP, GATEWAY_IP, GUEST_IP)
    put("ns-from-nobody", NS, NOBODY, GATEWAY_IP, GATEWAY_IP)
    put("ns-to-nobody", NS, GUEST_IP, NOBODY, GATEWAY_IP)
    put("ns-hop-limit", NS, GUEST_IP, GATEWAY_IP, GATEWAY_IP, hops=1)
    put("ns-code", NS, GUEST_IP, GATEWAY_IP, GATEWAY_IP, code=1)
    put("ns-checksum", NS, GUEST_IP, GATEWAY_IP, GATEWAY_IP, wrong=1)
    put("ns-option-length-0", NS, GUEST_IP, GATEWAY_IP, GATEWAY_IP, b"\1\0")
    put("ns-option-past-the-end", NS, GUEST_IP, GATEWAY_IP, GATEWAY_IP,
        b"\1\2" + GUEST_MAC)
    put("ns-option-cut", NS, GUEST_IP, GATEWAY_IP, GATEWAY_IP, b"\1")
    put("ns-option-long", NS, GUEST_IP, GATEWAY_IP, GATEWAY_IP,
        b"\1\2" + GUEST_MAC + b"\0" * 8)
    put("ns-other-mac", NS, GUEST_IP, GATEWAY_IP, GATEWAY_IP,
        b"\1\1" + GATEWAY_MAC)
    put("ns-many-options", NS, GUEST_IP, GATEWAY_IP, GATEWAY_IP,
        (b"\x0e\1nonces" + source) * 80)
    put("na", NA, GUEST_IP, GATEWAY_IP, GUEST_IP, target, flags=0x60)
    put("na-all-nodes", NA, GUEST_IP, NODES, GUEST_IP, target, flags=0x20)
    put("na-solicited-group", NA, GUEST_IP, NODES, GUEST_IP, target,
        flags=0x60)
    put("na-gateway", NA, GUEST_IP, GATEWAY_IP, GATEWAY_IP, target)
    put("na-from-any", NA, ANY, NODES, GUEST_IP, target)
    put("ra", RA, GUEST_IP, NODES)
    put("redirect", 137, GUEST_IP, GATEWAY_IP)
    put("echo", 128, GUEST_IP, GATEWAY_IP, options=b"data")


def dns_stream():
    def message(length, fill=b"q"):
        return struct.pack(">H", length) + fill * length
    short, long = message(30), message(600)
    for title, step, stream in (
            ("one", 255, short),
            ("pipelined", 255, short * 5),
            ("byte-by-byte", 0, short + long + short),
            ("empty-messages", 2, message(0) * 4 + short),
            ("longest-held", 99, message(512) + message(513) + short),
            ("longest", 255, message(65535) + short),
            ("cut-in-the-prefix", 30, short + long[:1]),
            ("cut-in-a-query", 255, short[:20])):
        write("dns_stream", title, bytes([step]) + stream)


for target in (shield, nd, fragment, dhcp, dhcp6, dns, dns_stream, frame, channel,
               lwip):
    target()
corpus_netproc.write_all(write)
corpus_relayproc.write_all(write)
corpus_text.write_all(write)
