"""Conversations for fuzz_netproc.c (see there and whole_*.c): a guest, a VMM,
relayproc and remote hosts that say what each line has them say."""
import struct

TCP, UDP, FRAME, REMOTE, RELAY, HOSTILE, TIME, VMM = range(8)
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
BIG_MTU, IP6, OPEN, SMALL_LINK = 1, 2, 4, 8
STAY, MORE, FAR, VERY_FAR, OWN_BYTES, ACK_FAR = 1, 2, 4, 8, 16, 32
NO_OPTIONS, SYN_OPTIONS, SYN_SMALL, TIMESTAMP, SACK, OWN = range(6)
(OPENED, FAILED, CLOSED, INBOUND, ANSWER, DNS_FAILED, RECV, RECV_INBOUND,
 ERROR, MODE, HOST_ROUTE) = range(11)
WRITE, READ, SHUTDOWN, CLOSE = range(4)
PAUSE, GO_ON, VMM_READ, SPLIT, LEAVE, COME, BYTES, RESUME = range(8)
MAC = bytes.fromhex("02534d000002")
LINK_LOCAL = bytes.fromhex("fe80000000000000" "00534dfffe000002")
DUID = b"\0\3\0\1" + MAC
FIX = 0x1f  # of a raw frame: MACs, header, source, destination, checksum


def record(who, *body):
    data = b"".join(part if isinstance(part, bytes) else bytes([part & 0xff])
                    for part in body)
    return bytes([who]) + struct.pack(">H", len(data)) + data


def u16(value):
    return struct.pack(">H", value)


def tcp(conn, flags, length=0, how=0, options=NO_OPTIONS, own=b"", seq=0,
        ack=0, window=0xff, payload=b""):
    chosen = bytes([options])
    if options == OWN:
        chosen += bytes([len(own) // 4]) + own
    if payload:
        how, length = how | OWN_BYTES, len(payload)
    return record(TCP, conn, flags, how, chosen, seq, ack, window,
                  u16(length), payload)


def syn(conn, options=SYN_OPTIONS, **more):
    return tcp(conn, SYN, options=options, **more)


def handshake(conn):
    return syn(conn) + tcp(conn, ACK)


def data(conn, length, **more):
    return tcp(conn, ACK | PSH, length, **more)


def remote(which, what, n=0):
    return record(REMOTE, which, what, u16(n))


def relay(what, *body):
    return record(RELAY, what, *body)


def udp(port, whom, payload, length=None):
    return record(UDP, port, whom,
                  u16(len(payload) if length is None else length), payload)


def wait(unit, n):
    """n times 4 of 1, 10, 250 or 1000 ms."""
    return record(TIME, unit << 6 | n)


def vmm(what, *body):
    return record(VMM, what, *body)


def frame(data, choices=FIX):
    return record(FRAME, choices, data)


def question(name, kind=1):
    labels = b"".join(bytes([len(part)]) + part.encode()
                      for part in name.split("."))
    return struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + \
        struct.pack(">BHH", 0, kind, 1)


def dhcp(kind, options=b"", ciaddr=bytes(4), source=bytes(4)):
    message = bytes.fromhex("010106000707070700008000") + ciaddr + \
        bytes(12) + MAC + bytes(202) + bytes.fromhex("63825363") + \
        bytes([53, 1, kind]) + options + b"\xff"
    return frame(bytes(12) + bytes.fromhex(
        "0800450000000001000040110000") + source + b"\xff" * 4 + struct.pack(
            ">HHHH", 68, 67, 8 + len(message), 0) + message, 3)


def packet6(protocol, body, hops, destination, source=LINK_LOCAL):
    return frame(bytes(12) + bytes.fromhex("86dd60000000") +
                 u16(len(body)) + bytes([protocol, hops]) + source +
                 destination + body, 0x13)


def option6(code, *body):
    body = b"".join(body)
    return u16(code) + u16(len(body)) + body


def dhcp6(kind, *options):
    message = bytes([kind, 7, 7, 7]) + option6(1, DUID) + b"".join(options)
    return packet6(17, struct.pack(">HHHH", 546, 547, 8 + len(message), 1) +
                   message, 1, bytes.fromhex("ff02" + "00" * 11 + "010002"))


def put_tcp(put):
    up = handshake(0)
    put("tcp-echo", OPEN, up, data(0, 100), remote(0, READ, 100),
        remote(0, WRITE, 5000), tcp(0, ACK), tcp(0, ACK | FIN),
        remote(0, READ, 1), remote(0, SHUTDOWN), tcp(0, ACK), wait(2, 8))
    put("tcp6-echo", OPEN | IP6, handshake(1), data(1, 100),
        remote(0, WRITE, 5000), tcp(1, ACK), remote(0, SHUTDOWN),
        tcp(1, ACK | FIN), tcp(1, ACK))
    put("tcp-big-mtu", OPEN | BIG_MTU, up, data(0, 60000),
        remote(0, READ, 65535), remote(0, WRITE, 65535), tcp(0, ACK),
        remote(0, WRITE, 65535), tcp(0, ACK), tcp(0, RST | ACK))
    put("tcp-held", 0, syn(0), syn(0, seq=-1), wait(2, 4),
        relay(OPENED, 0), tcp(0, ACK), data(0, 10))
    spliced = syn(0) + relay(OPENED, 0x40) + tcp(0, ACK)
    put("spliced", 0, spliced, data(0, 3000), remote(0, WRITE, 9000),
        remote(0, READ, 3000), remote(0, SHUTDOWN), tcp(0, ACK),
        tcp(0, FIN | ACK), relay(CLOSED))
    put("spliced-reset", 0, spliced, remote(0, WRITE, 9000),
        remote(0, CLOSE, 1), tcp(0, ACK), relay(CLOSED))
    put("spliced-lost", 0, spliced, remote(0, WRITE, 9000),
        remote(0, CLOSE, 0), tcp(0, ACK), relay(CLOSED))
    put("spliced-early", 0, syn(0), relay(OPENED, 0x40), remote(0, SHUTDOWN),
        tcp(0, ACK), data(0, 10), remote(0, CLOSE, 1), relay(CLOSED))
    put("tcp-taken-back", 0, syn(0), tcp(0, RST), relay(OPENED, 0))
    put("tcp-reboot", OPEN, up, data(0, 100), syn(0, seq=50),
        tcp(0, ACK), data(0, 100), remote(1, WRITE, 100))
    for verdict in range(9):
        put(f"tcp-failed-{verdict}", 0, syn(0), syn(1),
            relay(FAILED, verdict << 4), relay(FAILED, verdict << 4))
    put("tcp-out-of-order", OPEN, up,
        tcp(0, ACK, 100, STAY, seq=100), tcp(0, ACK, 100, STAY, seq=50),
        tcp(0, ACK | FIN, 10, STAY, seq=127), data(0, 100), data(0, 100),
        data(0, 127), remote(0, READ, 1000), wait(2, 4))
    put("tcp-past-window", OPEN, up, tcp(0, ACK, 1400, STAY | FAR, seq=127),
        tcp(0, ACK | FIN, 0, STAY | VERY_FAR, seq=1), data(0, 10))
    put("tcp-batch", OPEN | BIG_MTU, up, *[data(0, 1448, how=MORE)] * 8,
        data(0, 100), remote(0, READ, 20000))
    put("tcp-batch-timestamps", OPEN, up,
        *[data(0, 1448, how=MORE, options=TIMESTAMP)] * 8,
        data(0, 1, options=TIMESTAMP), remote(0, READ, 20000))
    put("tcp-zero-window", OPEN, up, remote(0, WRITE, 20000),
        tcp(0, ACK, window=0), wait(3, 4), tcp(0, ACK, window=1),
        wait(2, 4), tcp(0, ACK), wait(3, 4), tcp(0, ACK))
    put("tcp-half-acknowledged", OPEN, up, remote(0, WRITE, 20000),
        tcp(0, ACK, ack=-100, how=ACK_FAR), wait(2, 8), tcp(0, ACK, ack=-1),
        tcp(0, ACK, ack=-1), tcp(0, ACK, ack=-1), tcp(0, ACK, ack=-1),
        tcp(0, ACK))
    put("tcp-sack", OPEN, up, remote(0, WRITE, 20000),
        *[tcp(0, ACK, ack=-100, how=ACK_FAR, options=SACK)] * 4,
        wait(2, 8), tcp(0, ACK))
    put("tcp-small-mss", OPEN, syn(0, SYN_SMALL), tcp(0, ACK),
        remote(0, WRITE, 3000), tcp(0, ACK), remote(0, SHUTDOWN))
    put("tcp-no-options", OPEN, syn(0, NO_OPTIONS), tcp(0, ACK),
        data(0, 500), remote(0, WRITE, 500), remote(0, CLOSE))
    put("tcp-refuses-unread", OPEN, up, data(0, 3000), remote(0, CLOSE),
        data(0, 100), wait(2, 4), data(0, 100))
    put("tcp-host-full", 0, syn(0), relay(OPENED, 0x80), tcp(0, ACK),
        *[data(0, 60000)] * 6, remote(0, READ, 65535), wait(2, 2),
        remote(0, READ, 65535), data(0, 10), remote(0, READ, 65535))
    put("tcp-simultaneous-close", OPEN, up, remote(0, SHUTDOWN),
        tcp(0, ACK | FIN, ack=-1), tcp(0, ACK), wait(3, 5))
    put("tcp-closed-late", OPEN, relay(MODE, 3), up, tcp(0, RST),
        syn(0), tcp(0, ACK), tcp(0, RST), relay(CLOSED), relay(MODE, 1))
    put("tcp-relay-silent", 0, relay(MODE, 4), syn(0), syn(1), syn(2),
        syn(3), syn(4), syn(5), syn(6), wait(3, 5), relay(MODE, 1),
        syn(7), tcp(7, ACK))
    put("tcp-no-slot", OPEN, *[handshake(c) for c in range(8)],
        tcp(1, RST), handshake(7))
    put("tcp-unknown", 0, data(0, 100), tcp(1, FIN | ACK), tcp(2, RST),
        tcp(3, SYN | ACK), tcp(4, 0), tcp(5, URG))
    put("tcp-flags", OPEN, up, *[tcp(0, flags, 5, STAY)
                                 for flags in (0, SYN | ACK, SYN | FIN | ACK,
                                               URG | ACK, FIN, PSH)])
    put("tcp-keepalive", OPEN, up, *[wait(3, 63)] * 32, tcp(0, ACK))
    put("tcp-half-closed", OPEN, up, tcp(0, FIN | ACK), wait(3, 60),
        remote(0, WRITE, 10), tcp(0, ACK), wait(3, 63), wait(3, 63))


def put_acks(put):
    up = handshake(0)
    asked = data(0, 100) + remote(0, READ, 100)
    answered = asked + remote(0, WRITE, 100) + tcp(0, ACK)
    put("ack-with-answers", OPEN, up, *[answered] * 6, asked, wait(0, 20),
        *[answered] * 2)
    put("ack-without-answers", OPEN, up, *[asked, wait(0, 20)] * 4, answered)
    put("ack-of-two", OPEN, up, handshake(1), answered,
        remote(1, WRITE, 10), tcp(1, ACK), data(1, 10), wait(0, 3), asked,
        wait(0, 3), wait(0, 20), data(1, 10), asked, remote(1, CLOSE),
        tcp(0, RST))
    put("ack-by-end", OPEN, up, asked, tcp(0, FIN | ACK), remote(0, SHUTDOWN),
        tcp(0, ACK))
    put("last-ack", 0, syn(0), relay(OPENED, 0x80), tcp(0, ACK),
        *[data(0, 60000)] * 3, tcp(0, FIN | ACK), remote(0, SHUTDOWN),
        tcp(0, ACK), *[remote(0, READ, 65535)] * 4, wait(2, 2))
    put("last-ack-unheard", 0, syn(0), relay(OPENED, 0x80), tcp(0, ACK),
        *[data(0, 60000)] * 3, tcp(0, FIN | ACK), remote(0, SHUTDOWN),
        *[wait(3, 5)] * 4, *[remote(0, READ, 65535)] * 4, wait(3, 20))
    asks = bytes.fromhex("0000002a" "ffffffffffff") + MAC + bytes.fromhex(
        "0806" "0001080006040001") + MAC + bytes.fromhex(
            "64600002" "000000000000" "64600001")
    full = udp(0, 0, b"x") + vmm(PAUSE) + \
        relay(RECV, 0, u16(60000), u16(1000)) * 24 + vmm(BYTES, asks * 60) * 9
    put("ack-refused", OPEN | SMALL_LINK, up, handshake(1), full, data(1, 10),
        data(0, 10), wait(2, 4), vmm(GO_ON), data(1, 10), tcp(0, ACK))
    put("window-shrinks", OPEN | SMALL_LINK, syn(0, NO_OPTIONS), tcp(0, ACK),
        full, remote(0, WRITE, 3000), tcp(0, ACK, window=1), vmm(GO_ON),
        wait(2, 4), tcp(0, ACK, window=1), tcp(0, ACK, window=2),
        tcp(0, ACK), tcp(0, ACK))


def put_inbound(put):
    put("inbound", 0, relay(INBOUND, 0, 0), tcp(8, SYN | ACK,
                                                options=SYN_OPTIONS),
        data(8, 100), remote(0, WRITE, 3000), tcp(8, ACK),
        remote(0, SHUTDOWN), tcp(8, ACK | FIN), tcp(8, ACK))
    put("inbound-preserve", 0, relay(INBOUND, 0x12, 0),
        tcp(8, SYN | ACK, options=SYN_OPTIONS), data(8, 10),
        remote(0, READ, 10), tcp(8, RST))
    put("inbound6", IP6, record(FRAME, 0x7f, bytes(14) + bytes.fromhex(
        "6000000000083a400000000000000000000000000000000000000000000000"
        "0000000000000000008000000000010001")),
        relay(INBOUND, 0x13, 0),
        tcp(8, SYN | ACK, options=SYN_OPTIONS), data(8, 10))
    put("inbound-refused", 0, relay(INBOUND, 0, 0), tcp(8, RST | ACK),
        relay(INBOUND, 0, 0), wait(3, 3))
    put("inbound-no-guest", 0, vmm(LEAVE), relay(INBOUND, 0, 0), vmm(COME))
    put("inbound-simultaneous", 0, relay(INBOUND, 0, 0), tcp(8, SYN, seq=0),
        tcp(8, ACK), data(8, 10))
    put("inbound-all", 0, *[relay(INBOUND, n << 4, n) for n in range(4)],
        *[tcp(c, SYN | ACK) for c in range(8, 12)], vmm(LEAVE))


def put_datagrams(put):
    put("udp", 0, udp(0, 0, b"hello"), relay(RECV, 0, u16(0), u16(0),
                                            b"answer"),
        udp(0, 4, b"another"), relay(RECV, 1, u16(300), u16(100), b"three"),
        wait(3, 63), wait(3, 63))
    put("udp6", IP6, udp(0, 1, b"hello"), relay(RECV, 0, u16(0), u16(0),
                                               b"answer"))
    put("udp-large", 0, udp(0, 0, b"", 1400), relay(
        RECV, 0, u16(60000), u16(0)), relay(RECV, 0, u16(0), u16(0)))
    put("udp-batch", 0, *[udp(0x80, 0, b"x", 100)] * 5, udp(0, 0, b"short"),
        udp(0x80, 0, b"a"), udp(0x81, 0, b"b"), udp(0, 4, b"c"))
    put("udp-evicted", 0, *[udp(port, 0, b"x") for port in range(5)],
        wait(3, 10), udp(6, 0x80, b"x"), udp(7, 0, b"x"))
    put("udp-empty", 0, udp(0, 0, b""), relay(RECV, 0, u16(0), u16(0)))
    for verdict in range(9):
        put(f"udp-error-{verdict}", IP6, udp(0, 0, b"x"), udp(1, 1, b"x"),
            relay(ERROR, 0, verdict, u16(1400), u16(1)),
            relay(ERROR, 1, 0x80 | verdict, u16(1280), u16(65527)))
    put("udp-published", 0, relay(RECV_INBOUND, 0, 0, b"question"),
        relay(RECV_INBOUND, 2, 1, b"question"), udp(0, 0x40, b"x"),
        relay(RECV_INBOUND, 0x10, 0x10, b"another"), wait(3, 63))
    put("dns", 0, udp(0, 0x82, question("example.org")),
        relay(ANSWER, 0, u16(0), b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4"),
        udp(0, 0x82, question("host.internal")),
        udp(1, 0x82, question("a.example")), relay(DNS_FAILED, 1),
        udp(2, 0x82, question("b.example")), wait(3, 11))
    put("dns6", IP6, udp(0, 0x83, question("host.internal", 28)),
        udp(0, 0x83, question("example.org", 28)),
        relay(ANSWER, 0, u16(2000)))
    local = question("host.internal")
    asked = question("example.org")
    stream = u16(len(local)) + local + u16(len(asked)) + asked
    put("dns-stream", OPEN, handshake(2), tcp(2, ACK | PSH, payload=stream),
        tcp(2, ACK | PSH, payload=stream[:20]), remote(0, READ, 1000),
        tcp(2, ACK | PSH, payload=stream[20:]), remote(0, WRITE, 700),
        tcp(2, ACK), tcp(2, ACK | FIN), remote(0, CLOSE), tcp(2, ACK))
    put("dns-stream-unread", OPEN, handshake(2),
        *[tcp(2, ACK, payload=stream * 8, window=0)] * 40)


def put_link(put):
    put("arp", 0, frame(b"\xff" * 6 + bytes.fromhex(
        "02534d000002 0806 0001080006040001 02534d000002 64600002"
        "000000000000 64600001"), 0))
    echo = bytes(14) + bytes.fromhex(
        "4500002400014000400100006460000264600001 0800000000010001") + b"ping" * 2
    put("ping-gateway", 0, frame(echo, 0x3f), frame(echo + bytes(1400), 0x3f))
    put("ping-far", 0, frame(echo.replace(b"\x64\x60\0\1", b"\xc0\0\2\x07"),
                             0x37), relay(RECV, 0, u16(0), u16(0),
                                          b"\0\0\0\0\0\1\0\1pong"))
    ttl = bytearray(echo.replace(b"\x64\x60\0\1", b"\xc0\0\2\x07"))
    ttl[22] = 1
    put("ttl-spent", 0, frame(bytes(ttl), 0x37))
    put("ping6-gateway", IP6, frame(bytes(14) + bytes.fromhex(
        "60000000000c3a40") + bytes(32) + bytes.fromhex(
            "8000000000010001") + b"ping", 0x7f))
    rs = bytes.fromhex("60000000000c3aff") + bytes.fromhex(
        "fe80000000000000005 34dfffe000002".replace(" ", "")) + bytes.fromhex(
            "ff020000000000000000000000000002") + bytes.fromhex(
                "8500000000000000") + bytes(4)
    put("rs", IP6, wait(2, 1), frame(bytes(14) + rs[:4] + u16(8) + rs[6:48],
                                     0x73))
    put("host-route", IP6, relay(HOST_ROUTE, 0), relay(HOST_ROUTE, 1),
        *[wait(3, 63)] * 2)
    big = bytes.fromhex("45000000000120004011000064600002c0000207")
    first = bytes(14) + big + b"\x9c\x40\0\x50\x0b\xc0\0\0" + bytes(1472)
    last = bytearray(bytes(14) + big + bytes(1528))
    last[20:22] = u16(185)
    put("fragments", 0, frame(first, 0x07), frame(bytes(last[:1500]), 0x07))
    name = packet6(58, bytes.fromhex("8700000000000000") + bytes.fromhex(
        "fd534d00000000000000000000000001 0101") + MAC, 255,
        bytes.fromhex("ff0200000000000000000001ff000001"))
    there = packet6(58, bytes.fromhex("88000000e0000000") + bytes.fromhex(
        "fd534d00000000000000000000000002 0201") + MAC, 255,
        bytes.fromhex("fe8000000000000000534dfffe000001"))
    put("neighbours", IP6, name, there, name, handshake(1))
    parts = [packet6(44, b"\x11\0" + u16(at) + b"\0\0\0\7" + body, 64,
                     bytes.fromhex("20010db8" + "00" * 11 + "07"),
                     bytes.fromhex("fd534d00000000000000000000000002"))
             for at, body in ((1, struct.pack(">HHHH", 40000, 80, 1416, 1) +
                               bytes(1392)), (1400, bytes(16)))]
    put("fragments6", IP6, name, *parts, *parts[::-1], parts[0], wait(3, 6))
    up = handshake(0)
    put("vmm-stops", OPEN | SMALL_LINK, up, vmm(PAUSE),
        *[remote(0, WRITE, 60000)] * 3, *[udp(0, 2, question("host.internal"))]
        * 3, wait(3, 2), vmm(VMM_READ, u16(100)), vmm(VMM_READ, u16(20000)),
        tcp(0, ACK), vmm(GO_ON), tcp(0, ACK), tcp(0, ACK))
    put("vmm-stops-and-leaves", OPEN | SMALL_LINK, up, vmm(PAUSE),
        remote(0, WRITE, 60000), vmm(LEAVE), vmm(COME), vmm(GO_ON),
        syn(0), tcp(0, ACK))
    full = udp(0, 0, b"x") + vmm(PAUSE) + \
        relay(RECV, 0, u16(60000), u16(60000)) * 8
    put("vmm-full", OPEN | SMALL_LINK, up, full, tcp(0, ACK), data(0, 100),
        wait(0, 1), data(0, 100), remote(0, READ, 200), vmm(GO_ON),
        tcp(0, ACK), remote(0, WRITE, 3000), tcp(0, ACK))
    put("vmm-full-and-leaves", OPEN | SMALL_LINK, up, full, tcp(0, ACK),
        data(0, 100), vmm(LEAVE), vmm(COME), vmm(GO_ON), handshake(0),
        data(0, 100))
    put("vmm-full-of-data", OPEN | BIG_MTU | SMALL_LINK, up, full,
        tcp(0, ACK), *[data(0, 30000)] * 2, data(0, 100), wait(0, 3),
        data(0, 100), vmm(GO_ON), tcp(0, ACK))
    put("vmm-splits", OPEN, vmm(SPLIT, 7), up, data(0, 300), udp(0, 0, b"x"))
    for title, length in (("0", 0), ("13", 13), ("65551", 65551),
                          ("huge", 0xffffffff)):
        put("vmm-length-" + title, OPEN, up, vmm(BYTES, struct.pack(
            ">I", length)), vmm(COME), syn(0))
    put("vmm-half-a-frame", OPEN, up, vmm(BYTES, b"\0\0\0\x40half"),
        vmm(LEAVE), vmm(COME), syn(0), tcp(0, ACK))
    # The journal's structs as they lie in memory: read, write, guest, a name.
    at = struct.pack("<IIII", 10, 0, 0, 1) + struct.pack(
        "<QQQQ", 4, 20, 0, 0) + bytes(56) + struct.pack("<II", 20, 0)
    stops = struct.pack("<I20I", 9, *range(20, 200, 20), *[0] * 11)
    for title, read, write in (
            ("clean", b"", b""), ("half-read", at, b""),
            ("half-written", bytes(len(at)), stops),
            ("lies", b"\xff" * len(at), b"\xff" * len(stops)),
            ("offsets", at[:16] + b"\xff" * 16 + at[32:], stops)):
        put("resume-" + title, OPEN | IP6, up, data(0, 10), vmm(LEAVE),
            vmm(RESUME, 0xff, 0, read, write), data(0, 10), syn(1), wait(2, 3),
            tcp(2, ACK), tcp(3, RST), wait(3, 4), vmm(LEAVE), vmm(COME),
            syn(0), tcp(0, ACK))
    put("hostile-relay", OPEN, up, udp(0, 0, b"x"),
        *[record(HOSTILE, kind, slot, generation, b"\4\0\0\0\1\2\3\4" + bytes(
            12) + b"\x0f\xa0\x0f\xa0\0\0\x11\0" + bytes(20))
          for kind in range(8) for slot in (0, 0x80) for generation in (0, 1)],
        data(0, 10))


def put_dhcp(put):
    own, gateway = b"\x64\x60\0\2", b"\x64\x60\0\1"
    asks = b"\x37\7\1\3\6\x0f\x1a\x33\x77"
    wants = b"\x32\4" + own + b"\x36\4" + gateway + asks
    bound = dhcp(1, asks) + dhcp(3, wants)
    up = handshake(0) + data(0, 10)
    put("dhcp", OPEN, bound, up, dhcp(3, asks, own, own), data(0, 10),
        dhcp(8, asks, own, own), dhcp(7, wants, own, own), dhcp(1, asks))
    put("dhcp-reboot", OPEN, bound, up, remote(0, WRITE, 5000), bound,
        data(0, 10), syn(0), tcp(0, ACK), data(0, 10))
    put("dhcp-rapid", OPEN | BIG_MTU, dhcp(1, b"\x50\0" + asks), up,
        dhcp(3, b"\x32\4\x0a\0\0\1" + asks), dhcp(4, wants))
    address = option6(5, bytes.fromhex("fd534d00000000000000000000000002"),
                      bytes(8))
    ia, server = option6(3, b"\0\0\0\1", bytes(8), address), option6(
        2, b"\0\3\0\1" + MAC[:5] + b"\1")
    asks = option6(6, u16(23), u16(24))
    put("dhcp6", OPEN | IP6, dhcp6(1, ia, asks), dhcp6(3, ia, server, asks),
        handshake(1), *[dhcp6(kind, ia, server) for kind in (5, 6, 8, 9)],
        dhcp6(4, ia), dhcp6(11, asks), data(1, 10))
    put("dhcp6-rapid", IP6, dhcp6(1, ia, option6(14), asks),
        dhcp6(3, ia.replace(b"\x4d\0\0", b"\x4d\1\0"), server),
        dhcp6(5, option6(25, bytes(12)), server))


def write_all(write):
    def put(name, choices, *records):
        write("netproc", name, bytes([choices]) + b"".join(records))

    put_tcp(put)
    put_acks(put)
    put_inbound(put)
    put_datagrams(put)
    put_dhcp(put)
    put_link(put)
