#!/usr/bin/python3
"""Fragments by hand: in any order, twice, torn, endless; and towards the
guest in pieces that its link takes."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import datagrams  # noqa: E402
import frames  # noqa: E402
import segments  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
MTU = 1500
BUFFERS = 16  # datagrams that may be incomplete at once
LONGEST, LONGEST6 = 65507, 65527  # echoes, behind their headers

WORLD = rig.World(ip6=True)
WORLD.host.sysctl("ipv4/ping_group_range", "0 2147483647")
CAR = sidecar.Sidecar(WORLD, "--mtu", str(MTU))
WIRE = frames.Wire(CAR.path)
WIRE.alive()
ECHO = {}
SEEN = {}
for _address in (rig.SERVER, rig.SERVER6):
    ECHO[_address] = WORLD.server.udp(_address)
    SEEN[_address] = datagrams.echo_server(ECHO[_address])
PAIRS = ((rig.GUEST, rig.SERVER), (rig.GUEST6, rig.SERVER6))


class Idents:
    """A new identification, port and payload for each datagram."""

    def __init__(self):
        self.last = 1000

    def pieces(self, src, dst, length=4000, size=1480):
        self.last += 1
        data = os.urandom(length)
        packet = frames.udp(data, self.last, rig.port_of(ECHO[dst]), src, dst)
        return data, frames.fragments(packet, frames.UDP, src, dst,
                                      size // 8 * 8, self.last)


IDENTS = Idents()


def answer(timeout_s=3, wire=WIRE):
    """The next UDP datagram for the guest, put together, and its pieces."""
    parts, pieces = {}, []
    while True:
        packet = wire.expect(lambda p: p.proto == frames.UDP, timeout_s)
        if packet is None:
            return None, pieces
        pieces.append(packet)
        parts[packet.start] = packet.body
        whole = b"".join(parts[start] for start in sorted(parts))
        if not packet.more and len(whole) == packet.start + len(packet.body):
            return whole[8:], pieces


def passes(pieces, data):
    for frame in pieces:
        WIRE.send(frame)
    got, _ = answer()
    tap.ok(got == data, "got %r bytes" % (got and len(got)))


@tap.case("fragments in order, backwards and shuffled are one datagram")
def _():
    for src, dst in PAIRS:
        for order in (lambda p: p, lambda p: p[::-1], lambda p: p[1::2]
                      + p[::2]):
            data, pieces = IDENTS.pieces(src, dst)
            passes(order(pieces), data)


@tap.case("fragments of eight bytes are one datagram")
def _():
    for src, dst in PAIRS:
        data, pieces = IDENTS.pieces(src, dst, 800, 8)
        passes(pieces, data)


@tap.case("a datagram of 65,507 bytes passes in fragments, both ways")
def _():
    for src, dst in PAIRS:
        data, pieces = IDENTS.pieces(src, dst, 65507)
        passes(pieces, data)


@tap.case("a fragment that comes twice does no harm")
def _():
    for src, dst in PAIRS:
        data, pieces = IDENTS.pieces(src, dst)
        passes([pieces[0], pieces[0], pieces[1], pieces[1], pieces[2]], data)


@tap.case("fragments of several datagrams may come mixed")
def _():
    for src, dst in PAIRS:
        both = [IDENTS.pieces(src, dst) for _ in range(4)]
        for parts in zip(*(pieces for _, pieces in both)):
            for frame in parts:
                WIRE.send(frame)
        got = sorted(answer()[0] for _ in both)
        tap.ok(got == sorted(data for data, _ in both), "other bytes")


@tap.case("every fragment towards the guest fits the link, and each datagram "
          "has its own identification")
def _():
    for src, dst in PAIRS:
        idents = set()
        for _ in range(3):
            _, sent = IDENTS.pieces(src, dst, 9000)
            for frame in sent:
                WIRE.send(frame)
            _, pieces = answer()
            tap.ok(len(pieces) > 6, "%d pieces" % len(pieces))
            for piece in pieces:
                tap.ok(len(piece.frame) <= MTU + 14, "frame of %d bytes"
                       % len(piece.frame))
                tap.ok(not piece.more or len(piece.body) % 8 == 0, "odd piece")
            tap.equal(len({piece.ident for piece in pieces}), 1, "idents")
            idents.add(pieces[0].ident)
        tap.equal(len(idents), 3, "identifications of three datagrams")


def silent(frames_sent, dst):
    """These must not become a datagram; what comes after them passes."""
    before = len(SEEN[dst])
    for frame in frames_sent:
        WIRE.send(frame)
    src = rig.GUEST6 if ":" in dst else rig.GUEST
    data, pieces = IDENTS.pieces(src, dst)
    passes(pieces, data)
    tap.equal(len(SEEN[dst]) - before, 1, "datagrams at the server")


@tap.case("overlapping fragments are no datagram (RFC 5722)")
def _():
    for src, dst in PAIRS:
        body = frames.udp(bytes(3000), 999, rig.port_of(ECHO[dst]), src, dst)
        cut = [(0, 1480, 1), (1472, 2000, 1), (2000, len(body), 0)]
        silent([frames.fragment(body[a:b], frames.UDP, src, dst, a, more, 999)
                for a, b, more in cut], dst)


@tap.case("fragments past 64 KiB are no datagram")
def _():
    for src, dst in PAIRS:
        body = frames.udp(bytes(65000), 998, rig.port_of(ECHO[dst]), src, dst)
        pieces = frames.fragments(body, frames.UDP, src, dst, 1480, 998)[:-1]
        pieces.append(frames.fragment(bytes(1400), frames.UDP, src, dst,
                                      65528, 0, 998))
        silent(pieces, dst)


@tap.case("a last fragment before the end of another is no datagram")
def _():
    for src, dst in PAIRS:
        part = bytes(800)
        silent([frames.fragment(part, frames.UDP, src, dst, 1600, 1, 997),
                frames.fragment(part, frames.UDP, src, dst, 800, 0, 997),
                frames.fragment(frames.udp(bytes(792), 997, rig.port_of(
                    ECHO[dst]), src, dst), frames.UDP, src, dst, 0, 1, 997)],
               dst)


@tap.case("a thousand datagrams without an end cost bounded memory, and "
          "others pass")
def _():
    pid = CAR.children()["netproc"]
    before = sidecar.pss_kib(pid)
    for src, dst in PAIRS:
        for number in range(1000):
            WIRE.send(frames.fragment(bytes(1480), frames.UDP, src, dst, 0, 1,
                                      20000 + number))
        data, pieces = IDENTS.pieces(src, dst)
        passes(pieces, data)
    grown = sidecar.pss_kib(pid) - before
    tap.note("%d KiB more" % grown)
    tap.ok(grown < BUFFERS * 64 + 512, "%d KiB more" % grown)


@tap.case("connections go on beside endless fragments")
def _():
    with WORLD.server.listen(rig.SERVER, 7001) as listener:
        for number in range(100):
            WIRE.send(frames.fragment(bytes(800), frames.TCP, rig.GUEST,
                                      rig.SERVER, 0, 1, 30000 + number))
        WIRE.send(frames.segment(40100, 7001, seq=5))
        with listener.accept()[0]:
            reply = WIRE.expect(lambda p: p.proto == frames.TCP)
            tap.equal(reply.flags & 0x3f, frames.SYN | frames.ACK, "flags")
            WIRE.send(frames.segment(40100, 7001, flags=frames.RST, seq=6))


def echo_in_fragments(dst, size):
    """How many fragments the answer, which is as long, comes in."""
    src = rig.GUEST6 if ":" in dst else rig.GUEST
    proto = frames.ICMP6 if ":" in dst else frames.ICMP
    whole = frames.echo6(src, dst, bytes(size)) if ":" in dst \
        else frames.echo(dst, bytes(size))
    body = frames.Packet(whole).body
    for frame in frames.fragments(body, proto, src, dst, 1440):
        WIRE.send(frame)
    got, parts = 0, 0
    while got < len(body):
        packet = WIRE.expect(lambda p: p.proto == proto and p.ip_src == dst, 3)
        tap.ok(packet, "%s: %d of %d bytes came" % (dst, got, len(body)))
        got += len(packet.body)
        parts += 1
    tap.equal(got, len(body), "%s: bytes" % dst)
    return parts


@tap.case("an echo in fragments comes back in fragments")
def _():
    for dst in (rig.SERVER, rig.GATEWAY, rig.SERVER6, rig.GATEWAY6):
        tap.equal(echo_in_fragments(dst, 4000), 3, "%s: fragments" % dst)


@tap.case("the longest echo of each version comes back")
def _():
    # To the world none is longer than a datagram, header and all.
    for dst, size in ((rig.SERVER, LONGEST), (rig.GATEWAY, LONGEST),
                      (rig.SERVER6, LONGEST6 - 8), (rig.GATEWAY6, LONGEST6)):
        echo_in_fragments(dst, size)


@tap.case("a TCP segment in fragments is taken")
def _():
    with WORLD.server.listen(rig.SERVER, 7002) as listener:
        WIRE.send(frames.segment(40101, 7002, seq=5))
        server, _ = listener.accept()
        reply = WIRE.expect(lambda p: p.proto == frames.TCP)
        body = frames.tcp(40101, 7002, 6, reply.seq + 1, frames.ACK,
                          bytes(range(200)) * 10)
        for frame in frames.fragments(body, frames.TCP, rig.GUEST, rig.SERVER,
                                      800):
            WIRE.send(frame)
        server.settimeout(10 * tap.scale())
        tap.equal(traffic.exact(server, 2000), bytes(range(200)) * 10, "data")
        WIRE.send(frames.segment(40101, 7002, flags=frames.RST, seq=2006))
        server.close()


@tap.case("a guest whose SYNs show a smaller MTU than the link's has its "
          "datagrams in pieces of that")
def _():
    car = sidecar.Sidecar(WORLD, "--mtu", "65520")
    wire = frames.Wire(car.path)
    wire.alive()
    # The largest counts; a SYN may say nothing, or what a path takes.
    shown = ((b"", 1), (segments.mss(1300), 3), (segments.mss(1460), 3),
             (segments.mss(8960), 1), (segments.mss(1460), 1))
    with WORLD.server.listen(rig.SERVER, 7003) as listener:
        for options, count in shown:
            hand = segments.Hand(wire, 7003)
            _, server = hand.open(listener, options)
            hand.reset()
            server.close()
            for src, dst in PAIRS:
                data, pieces = IDENTS.pieces(src, dst)
                for frame in pieces:
                    wire.send(frame)
                got, pieces = answer(wire=wire)
                tap.ok(got == data, "got %r bytes" % (got and len(got)))
                tap.equal(len(pieces), count, "pieces after %r" % options)
                tap.ok(count == 1 or
                       max(len(p.frame) for p in pieces) <= 1500 + 14,
                       "a piece is too long")
    wire.close()
    car.terminate()


@tap.case("it is all counted")
def _():
    WIRE.alive()
    WIRE.close()
    CAR.terminate()
    lines = " ".join(CAR.log.find("counters:"))
    tap.note(lines)
    for event in ("reassembled", "duplicate", "overlap", "inconsistent",
                  "evicted"):
        tap.ok("fragments-%s=" % event in lines, "no %s" % event)
    tap.ok("drop-fragment-past-64k=2" in lines, "none past 64 KiB")


tap.run(sidecar.tell(CAR))
