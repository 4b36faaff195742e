#!/usr/bin/python3
"""A hostile guest: after each case sallyport still runs, the connection that
was open before still carries data, and a new one can be made."""

import errno
import itertools
import os
import random
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
MTU = 9000
SEED = 20260102  # of everything random here
GROWTH_MAX_KIB = 32 * 1024

SETUP = sidecar.setup("--connect-rate", "100000", mtu=MTU)
GUEST = SETUP.world.guest
ECHO = SETUP.world.server.listen()
SILENT = SETUP.world.server.listen()
PORT, SILENT_PORT = rig.port_of(ECHO), rig.port_of(SILENT)
traffic.echo_server(ECHO)
OLD = GUEST.connect(rig.SERVER, PORT)
CARD = GUEST.sniffer("eth0")
NETPROC = SETUP.car.children()["netproc"]


def inject(*wanted):
    """Sends frames from the guest's card, past its kernel's good manners."""
    for frame in wanted:
        if len(frame) < 14:
            frame = frame.ljust(14, b"\0")
        while True:
            try:
                CARD.send(frame)
                break
            except OSError as error:  # the card's queue is full
                if error.errno != errno.ENOBUFS:
                    raise
                time.sleep(0.001)


def answer_to(frame, wanted, timeout_s=5):
    """Sends a frame; the first packet back for which wanted(packet) holds."""
    deadline = time.monotonic() + timeout_s * tap.scale()
    with GUEST.sniffer("eth0") as card:
        card.settimeout(0.1)
        inject(frame)
        while time.monotonic() < deadline:
            try:
                packet = frames.Packet(card.recv(65535))
            except TimeoutError:
                continue
            if packet.src == frames.mac(rig.GATEWAY_MAC) and wanted(packet):
                return packet
    return None


def survives(sentence, limit_s=60):
    """A case after which all is well."""
    def register(function):
        def run():
            before = sidecar.pss_kib(NETPROC)
            function()
            traffic.greet(OLD)
            with GUEST.connect(rig.SERVER, PORT) as sock:
                traffic.greet(sock, b"a new one")
            tap.equal(SETUP.car.process.poll(), None, "sallyport ended")
            grown = sidecar.pss_kib(NETPROC) - before
            tap.ok(grown < GROWTH_MAX_KIB or sidecar.sanitized(),
                   "netproc grew by %d KiB" % grown)
        return tap.case(sentence, limit_s)(run)
    return register


def shapes():
    """One good frame of each kind that the gateway reads."""
    query = struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0) \
        + b"\3www\7example\0\0\1\0\1"
    discover = struct.pack("!BBBBIHH", 1, 1, 6, 0, 7, 0, 0) + bytes(16) \
        + frames.mac(rig.GUEST_MAC) + bytes(202) \
        + b"\x63\x82\x53\x63\x35\1\1\x37\3\1\3\6\xff"
    return {
        "ARP": frames.arp(rig.GATEWAY),
        "ICMP": frames.echo(),
        "DNS": frames.datagram(query, 4000, 53, dst=rig.GATEWAY),
        "DHCP": frames.datagram(discover, 68, 67, src="0.0.0.0",
                                dst=frames.ALL, to=frames.BROADCAST),
        "UDP": frames.datagram(b"data", 4000, 4001),
        "SYN": frames.segment(50000, SILENT_PORT + 1,
                              options=b"\2\4\5\xb4\1\3\3\7\4\2\1\1"),
        "segment": frames.segment(50001, PORT, flags=frames.ACK,
                                  data=b"data"),
    }


@survives("every kind of frame is cut at every length")
def _():
    for frame in shapes().values():
        inject(*(frame[:length] for length in range(14, len(frame) + 1)))


@survives("IPv4 headers lie about version, length and total")
def _():
    for ihl in range(16):
        inject(frames.ethernet(frames.ipv4(
            frames.tcp(50100, PORT), frames.TCP, ihl=ihl)))
    for total in (0, 1, 19, 20, 21, 39, 40, 41, 1500, 65535):
        for proto, body in ((frames.TCP, frames.tcp(50101, PORT)),
                            (frames.UDP, frames.udp(b"x", 1, 53)),
                            (frames.ICMP, b"\x08\0\0\0")):
            inject(frames.ethernet(frames.ipv4(body, proto, total=total)))
    good = shapes()["SYN"]
    for first in range(256):
        inject(good[:14] + bytes([first]) + good[15:])


@survives("IP options, VLAN tags and unknown EtherTypes are dropped")
def _():
    for options in (b"\x83\3\4\0", b"\x07\x07\4\0\0\0\0\0", b"\x01" * 40,
                    b"\x44\0\0\0", b"\x83\xff\4\0"):
        inject(frames.ethernet(frames.ipv4(
            frames.tcp(50200, PORT), frames.TCP, options=options)))
    payload = shapes()["SYN"][14:]
    for kind in itertools.chain(range(0, 0x0800, 37), (
            0x8100, 0x88a8, 0x86dd, 0x8863, 0x8847, 0x9000, 0xffff)):
        inject(frames.ethernet(payload, kind=kind))
    answer = answer_to(
        frames.ethernet(frames.ipv4(frames.tcp(50200, PORT), frames.TCP,
                                    options=b"\x07\x07\4\0\0\0\0\0")),
        lambda p: p.proto == frames.TCP and p.dport == 50200, 0.3)
    tap.equal(answer, None, "an answer to IP options")


@survives("fragments that overlap, repeat, never end or end too far")
def _():
    for offset in (0, 1, 2, 8, 100, 8000, 8189, 8190, 8191):
        for more in (0, 0x2000):
            for proto in (frames.TCP, frames.UDP, frames.ICMP):
                for _ in range(3):
                    inject(frames.ethernet(frames.ipv4(
                        bytes(24), proto, fragment=more | offset,
                        ident=offset)))
    for ident in range(2000):
        inject(frames.ethernet(frames.ipv4(bytes(1400), frames.UDP,
                                           fragment=0x2000, ident=ident)))


@survives("TCP data offsets 0 to 15 over every length of segment")
def _():
    for offset in range(16):
        for length in range(0, 48, 4):
            for flags in (frames.SYN, frames.ACK, frames.RST):
                inject(frames.ethernet(frames.ipv4(frames.tcp(
                    50300 + offset, PORT, flags=flags, offset=offset,
                    data=bytes(length)), frames.TCP)))


@survives("TCP options that are malformed in every way")
def _():
    kinds = (0, 1, 2, 3, 4, 5, 8, 28, 29, 34, 254, 255)
    lengths = (0, 1, 2, 3, 4, 10, 40, 255)
    for number, (kind, length) in enumerate(itertools.product(kinds,
                                                              lengths)):
        for tail in (b"", b"\xff" * 2, b"\xff" * 38):
            options = (bytes([kind, length]) + tail).ljust(4, b"\1")
            options = options[:len(options) // 4 * 4]
            inject(frames.segment(51000 + number, SILENT_PORT + 1,
                                  options=options))


@survives("a guest that resets in the middle of the handshake, 500 times")
def _():
    # The guest's own kernel answers each SYN-ACK with RST: it knows of none.
    for number in range(500):
        inject(frames.segment(52000 + number, PORT, seq=1))
        if number % 2:
            inject(frames.segment(52000 + number, PORT, seq=2,
                                  flags=frames.RST))
    time.sleep(0.2)  # nothing tells when the last RST has come and gone


@survives("every combination of flags, to a connection and to none")
def _():
    port = rig.port_of(OLD)
    for flags in range(256):
        for seq in (0, 1, 0x7fffffff, 0xffffffff):
            inject(frames.segment(52600, PORT, flags=flags, seq=seq))
            inject(frames.segment(port, 9, flags=flags, seq=seq, ack=seq,
                                  data=b"?"))


@survives("maximum segment sizes of 0, 1, 48 and 65,535, and scale 15")
def _():
    for mss in (0, 1, 48, 65535):
        answer = answer_to(
            frames.segment(52700 + mss % 7, PORT,
                           options=b"\2\4" + struct.pack("!H", mss)),
            lambda p: p.proto == frames.TCP and p.dport == 52700 + mss % 7,
            5 if mss >= 48 else 0.3)
        # Less than an IP header and TCP's options need is no MSS at all.
        tap.equal(answer is not None, mss >= 48, "an answer to %d" % mss)
    inject(frames.segment(52701, PORT, options=b"\3\3\x0f\1"))


@survives("a guest whose segments are 88 bytes gets and sends all the same")
def _():
    for upwards in (True, False):
        guest = GUEST.socket()
        guest.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)
        guest.connect((rig.SERVER, SILENT_PORT))
        server, _ = SILENT.accept()
        with guest, server:
            ends = (guest, server) if upwards else (server, guest)
            traffic.transfer(*ends, 1 << 19)


@survives("urgent pointers of every size")
def _():
    for number in range(17):
        urgent = (1 << number) - 1
        inject(frames.segment(52800, PORT, flags=frames.ACK | frames.URG,
                              urgent=urgent, data=b"urgent"))
        inject(frames.segment(52800 + number, PORT, urgent=urgent,
                              flags=frames.SYN | frames.URG, data=b"early"))


@survives("50,000 SYNs to ports that refuse, beside a live connection")
def _():
    for number in range(50000):
        inject(frames.segment(1024 + number % 60000, SILENT_PORT + 1,
                              seq=number * 7919))
        if number % 10000 == 0:
            traffic.greet(OLD)


@survives("20,000 SYNs to a host that never answers")
def _():
    for number in range(20000):
        inject(frames.segment(1024 + number, PORT, dst=rig.FILTERED))


@survives("FIN and one-byte segments by the thousand, for no connection")
def _():
    for number in range(5000):
        inject(frames.segment(53000, PORT, flags=frames.FIN | frames.ACK,
                              seq=number, ack=number))
        inject(frames.segment(53000, PORT, flags=frames.ACK, seq=number,
                              data=b"x"))


@survives("ICMP errors about connections, the guest's and others'")
def _():
    inner = frames.ipv4(frames.tcp(PORT, rig.port_of(OLD)), frames.TCP,
                        src=rig.SERVER, dst=rig.GUEST)
    for kind in (3, 4, 5, 11, 12):
        for code in range(16):
            for length in (0, 8, 28, len(inner)):
                body = struct.pack("!BBHI", kind, code, 0, 576)
                body += inner[:length]
                body = body[:2] + struct.pack(
                    "!H", frames.checksum(body)) + body[4:]
                for dst in (rig.GATEWAY, rig.SERVER):
                    inject(frames.ethernet(frames.ipv4(
                        body, frames.ICMP, dst=dst)))


@survives("DHCP messages without end, and options past it")
def _():
    good = shapes()["DHCP"][14 + 28:]
    bodies = [good[:240], good[:-1], good[:243] + b"\xff" * 200,
              good[:240] + b"\x35\xff\1", good[:240] + bytes(300),
              good[:240] + b"\x35\1\1" + b"\x52\xff" + b"z" * 60,
              good[:240] + b"\x35\1\1\x34\1\3\xff", good + b"\xff" * 1000]
    for body in bodies:
        inject(frames.datagram(body, 68, 67, src="0.0.0.0", dst=frames.ALL,
                               to=frames.BROADCAST))


@survives("DNS queries with no question, two, loops and endless names")
def _():
    def header(questions):
        return struct.pack("!HHHHHH", 9, 0x100, questions, 0, 0, 0)
    bodies = [b"", b"\0", header(0), header(1), header(65535),
              header(1) + b"\xc0\x0c\0\1\0\1", header(1) + b"\x3f" * 300,
              header(2) + b"\1a\0\0\1\0\1" * 2, header(1) + b"\0",
              header(1) + b"\x80\1\0\1", bytes(8000)]
    for body in bodies:
        inject(frames.datagram(body, 4002, 53, dst=rig.GATEWAY))


@survives("20,000 good frames with random bytes changed")
def _():
    dice = random.Random(SEED)
    good = [frame for frame in shapes().values()]
    for _ in range(20000):
        frame = bytearray(dice.choice(good))
        for _ in range(dice.randint(1, 6)):
            # The addresses stay, or the shield's first look ends it all.
            frame[dice.randrange(12, len(frame))] = dice.randrange(256)
        inject(bytes(frame[:dice.randint(14, len(frame) + 20)]))


@survives("ARP storms, for every address and from none")
def _():
    for number in range(5000):
        inject(frames.arp("100.96.%d.%d" % (number >> 8 & 255,
                                            number & 255)))
        inject(frames.arp(rig.GATEWAY, sender="0.0.0.0"))
        inject(frames.arp(rig.GUEST, op=2, sender=rig.GATEWAY))


@tap.case("in the end sallyport says what it dropped, and ends in order")
def _():
    status, took = SETUP.car.terminate()
    tap.equal(status, 0, "status")
    tap.note("%.3f s" % took)
    for line in SETUP.car.log.all():
        tap.ok(sidecar.LOG_LINE.match(line), "no time in %r" % line)
        if "counters" in line:
            tap.note(line)
    tap.ok(SETUP.car.log.find("counters"), "no counters in the log")
    tap.ok(len(SETUP.car.log.lines) < 500, "%d lines"
           % len(SETUP.car.log.lines))


tap.run(sidecar.tell(SETUP.car))
