"""What a netproc says to relayproc, right and wrong (fuzz_relayproc.c)."""
import struct

MADE, DGRAM = 0x80, 0x40
OPEN, CLOSE, SHUT_WR = range(3)
SEND, ASSOC_CLOSE, QUERY, DNS_DONE = range(4)
IN_PROGRESS, REFUSED, SEND_FAILS, SPLICE, SILENT = 1, 2, 4, 8, 16
FLOW, HOST = 0x20, 0x80
WRITE, READ, END, GONE = range(4)
OWN, TIME = 0x10, 8
MS, MS50, SECOND, HALF_MINUTE = range(4)
TCP_PORT, UDP_PORT, FIRST = range(3)  # the host's ends
ERROR, GRO, LOCAL = 0x80, 0x40, 0x20
INBOUND = 0x80  # of a slot


def address(text):
    if ":" in text:
        import socket
        return b"\6\0\0\0" + socket.inet_pton(socket.AF_INET6, text)
    return b"\4\0\0\0" + bytes(int(n) for n in text.split(".")) + bytes(12)


def say(kind, which, slot, generation, payload):
    body = struct.pack("<IIII", which, slot, generation, 0) + payload
    return bytes([kind]) + struct.pack(">H", len(body)) + body


def flow_open(slot, generation, dst="203.0.113.7", port=80):
    return say(MADE, OPEN, slot, generation, address(dst) + struct.pack(
        "<HH", port, 1460))


def close(slot, generation, reason=0):
    return say(MADE, CLOSE, slot, generation, struct.pack("<I", reason))


def shut(slot, generation):
    return say(MADE, SHUT_WR, slot, generation, bytes(4))


def send(slot, generation, dst="203.0.113.7", port=4000, proto=17, segment=0,
         data=b"data"):
    return say(MADE | DGRAM, SEND, slot, generation, address(dst) +
               struct.pack("<HHHBB", port, 50000, segment, proto, 0) + data)


def assoc_close(slot, generation):
    return say(MADE | DGRAM, ASSOC_CLOSE, slot, generation, bytes(4))


def query(slot, generation):
    return say(MADE | DGRAM, QUERY, slot, generation, bytes(4) + struct.pack(
        ">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\1a\0\0\1\0\1")


def act(which, what, n=1):
    """Whose: a lent socket, or the host's end of one behind the listeners."""
    which += 2 if what & HOST else 0
    return bytes([FLOW, 0, 2, which, what | n << 2])


def sent(which, who, data, segment=0):
    """To a datagram socket of the host; relay_host.h."""
    body = bytes([which, HOST | WRITE, who]) + struct.pack(
        ">H", segment) + data
    return bytes([FLOW]) + struct.pack(">H", len(body)) + body


def error(which, who, origin, kind, code, offender=1, mtu=1280, errno=113):
    return sent(which, who | ERROR, bytes([origin, kind, code, errno,
                                           offender]), mtu)


def client(who):
    return bytes([FLOW, 0, 3, TCP_PORT, HOST | WRITE, who])


def host_has(n, present=True):
    return bytes([OWN, 0, 1, n | 0x80 * present])


def passes(unit, n):
    return bytes([TIME, 0, 1, unit << 6 | n])


def write_all(write):
    def put(name, choices, *records):
        write("relayproc", name, bytes([choices]) + b"".join(records))

    for choices in (0, IN_PROGRESS, IN_PROGRESS | REFUSED):
        put(f"flows-{choices}", choices, flow_open(0, 1), flow_open(1, 1),
            shut(0, 1), close(0, 1), close(1, 1, 1), flow_open(0, 2))
    for n, forbidden in enumerate((
            "127.0.0.1", "10.0.0.1", "100.96.0.2", "169.254.169.254",
            "8.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1",
            "2001:db8:2::1", "::203.0.113.7", "100.96.0.1")):
        put(f"forbidden-{n}", 0, flow_open(0, 1, forbidden),
            send(0, 1, forbidden), send(1, 1, forbidden, 0, 1))
    put("host-service", 0, flow_open(0, 1, "100.96.0.1", 8080),
        send(0, 1, "100.96.0.1", 8080))
    put("no-slot", 0, *[flow_open(n, 1) for n in range(8)],
        *[close(n, 1) for n in range(8)])
    put("twice", 0, flow_open(0, 1), flow_open(0, 1))
    put("stale", 0, flow_open(0, 2), close(0, 1), shut(0, 1))
    put("close-unopened", 0, close(0, 1))
    put("pending", IN_PROGRESS, flow_open(0, 1), flow_open(1, 1),
        flow_open(2, 1), flow_open(3, 1, "203.0.113.8"), close(2, 1))
    put("datagrams", 0, send(0, 1), send(0, 1, "203.0.113.8"),
        send(1, 1, "2001:db8:1::1"), send(0, 2), assoc_close(0, 2),
        send(2, 1, segment=2, data=b"abcdef"), send(3, 1, proto=1, data=b"\x08"
                                                    + bytes(15)))
    put("datagrams-answered", 0, send(0, 1), act(0, WRITE | HOST),
        act(0, WRITE | HOST), act(0, GONE | HOST), send(0, 1))
    put("datagrams-fail", SEND_FAILS, send(0, 1), send(0, 1), send(0, 2))
    put("datagrams-lie", 0, send(0, 1, segment=1, data=bytes(65)),
        send(0, 1, proto=6), send(7, 1))
    put("datagrams-come", 0, send(0, 1), *[
        sent(FIRST, who, b"answer") for who in range(32)],
        sent(FIRST, 0, b""), sent(FIRST, GRO, bytes(1000), 100),
        sent(FIRST, GRO, bytes(7000), 10), sent(FIRST, GRO, b"x", 9),
        sent(FIRST, LOCAL, bytes(60000)), assoc_close(0, 1))
    put("datagrams-errors", 0, send(0, 1), send(1, 1, "2001:db8:1::1"),
        send(2, 1, proto=1, data=b"\x08" + bytes(15)), *[
            error(FIRST + n, who, origin, kind, code)
            for n, who, origin, kind in ((0, 8, 2, 3), (0, 8, 2, 11),
                                         (1, 12, 3, 1), (1, 12, 3, 2),
                                         (2, 0, 2, 3), (0, 8, 1, 0))
            for code in (0, 1, 4, 13)], *[
                error(FIRST, 8, 2, 3, 1, offender) for offender in range(8)],
        send(0, 1))
    put("published", 0, client(0), client(1), client(7), client(3),
        act(0, WRITE | HOST), close(0 | INBOUND, 1), close(1 | INBOUND, 1, 1),
        client(0), close(5 | INBOUND, 1))
    put("published-spliced", SPLICE, client(0), act(0, WRITE),
        act(0, WRITE | HOST), shut(0 | INBOUND, 1), act(0, GONE),
        close(0 | INBOUND, 1))
    put("published-udp", 0, *[sent(UDP_PORT, who | LOCAL, b"question")
                              for who in range(9)],
        send(0 | INBOUND, 1), send(1 | INBOUND, 1, data=b"longer", segment=2),
        send(9 | INBOUND, 1), error(UDP_PORT, 0, 2, 3, 3),
        sent(UDP_PORT, GRO, bytes(3000), 1000), assoc_close(0 | INBOUND, 1),
        assoc_close(0 | INBOUND, 1), sent(UDP_PORT, 0, b"again"))
    put("published-udp-fails", SEND_FAILS, sent(UDP_PORT, 0, b"question"),
        error(UDP_PORT, 0, 0, 0, 0, errno=90), send(0 | INBOUND, 1),
        error(UDP_PORT, 1, 2, 3, 4), send(0 | INBOUND, 1))
    put("host-moves", 0, flow_open(0, 1), send(0, 1), host_has(7),
        flow_open(1, 1), send(0, 1), send(1, 1),
        send(2, 1, "64:ff9b::cb00:7107"), send(3, 1, "::ffff:203.0.113.7"),
        host_has(7, False), flow_open(2, 1), send(0, 1))
    put("host-moves-in-progress", IN_PROGRESS, flow_open(0, 1), host_has(7),
        flow_open(1, 1), close(0, 1))
    put("queries", 0, query(0, 1), query(1, 1), query(0, 1),
        say(MADE | DGRAM, DNS_DONE, 1, 1, bytes(4)), query(7, 1))
    both = flow_open(0, 1) + flow_open(1, 1)
    put("spliced", SPLICE, both, act(0, WRITE), act(0, WRITE | HOST),
        act(0, READ), act(0, READ | HOST), act(0, END | HOST), shut(0, 1),
        act(0, END), act(0, GONE), close(0, 1), act(1, GONE | HOST),
        close(1, 1, 1), flow_open(0, 2))
    put("spliced-full", SPLICE, both, *[act(0, WRITE, 15)] * 40,
        *[act(1, WRITE | HOST, 15)] * 40, shut(0, 1), act(0, GONE),
        close(0, 1), *[act(0, READ | HOST)] * 8, act(0, GONE | HOST),
        act(1, READ), close(1, 1))
    put("spliced-twice", SPLICE, both, act(0, WRITE, 15), close(0, 1),
        close(0, 1), shut(1, 1), shut(1, 1))
    put("spliced-gone", SPLICE, both, act(0, GONE), act(1, END),
        act(0, WRITE | HOST), act(1, WRITE | HOST), shut(1, 1))
    put("spliced-refused", SPLICE | IN_PROGRESS | REFUSED, both, close(1, 1))
    resolver = "100.96.0.1"
    silent = IN_PROGRESS | SILENT
    put("time-connects", silent, flow_open(0, 1), flow_open(1, 1),
        flow_open(2, 1, "203.0.113.8"), flow_open(3, 1), passes(MS50, 9),
        close(1, 1, 1), passes(SECOND, 1), flow_open(1, 2), passes(SECOND, 2))
    put("time-dns-tcp", silent, flow_open(0, 1, resolver, 53),
        passes(SECOND, 1), flow_open(1, 1, resolver, 53), passes(SECOND, 1),
        act(3, READ | HOST), act(3, READ | HOST), passes(HALF_MINUTE, 1),
        flow_open(2, 1, resolver, 53))
    put("time-dns-tcp-refused", silent | REFUSED, flow_open(0, 1, resolver, 53),
        act(0, READ | HOST), passes(SECOND, 1), act(1, READ | HOST))
    put("time-queries", 0, query(0, 1), query(1, 1), passes(SECOND, 1),
        sent(FIRST, 0, b"\0\7\x81\2" + bytes(8)), passes(SECOND, 1),
        passes(SECOND, 1), query(2, 1))
    put("time-datagrams", 0, send(0, 1), sent(UDP_PORT, 0, b"question"),
        passes(HALF_MINUTE, 11), send(0, 1), passes(HALF_MINUTE, 13),
        send(0, 1))
    put("time-spliced", SPLICE, both, *[act(0, WRITE, 15)] * 40,
        shut(0, 1), act(0, GONE), close(0, 1), passes(HALF_MINUTE, 3),
        *[act(0, READ | HOST)] * 2, passes(HALF_MINUTE, 3),
        passes(HALF_MINUTE, 5))
    put("empty", 0, b"\0\0\0", flow_open(0, 1))
    put("short", 0, b"\0\0\3abc")
    put("long", 0, b"\0\x10\0" + bytes(4096))
