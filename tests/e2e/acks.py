#!/usr/bin/python3
"""When the guest is told that its bytes have come: once a turn, with the
answer where one is near, and always."""

import os
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import segments  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
ACK, PSH = frames.ACK, frames.PSH
PORT = 7000
REQUESTS = 50
SEGMENTS = 20
TICK_S = 0.25

WORLD = rig.World()
CAR = sidecar.Sidecar(WORLD)
LISTENER = WORLD.server.listen(rig.SERVER, PORT)
WIRE = frames.Wire(CAR.path)


def opened():
    hand = segments.Hand(WIRE, PORT)
    _, server = hand.open(LISTENER)
    server.settimeout(10 * tap.scale())
    return hand, server


def acknowledged(hand):
    return hand.hear(lambda p: p.ack == hand.seq)


def segment(hand, data=b""):
    """What it says next, which does not count as said yet."""
    return frames.segment(hand.sport, PORT, rig.GUEST, rig.SERVER,
                          flags=ACK, data=data, seq=hand.seq, ack=hand.ack,
                          window=65535)


@tap.case("data is acknowledged, though an empty segment came right after")
def _():
    hand, server = opened()
    with server:
        for _ in range(20):
            data = segment(hand, b"d" * 100)
            hand.seq += 100
            WIRE.sock.sendall(frames.framed(data, segment(hand)))
            tap.ok(acknowledged(hand), "no acknowledgment")
        hand.reset()


@tap.case("data is acknowledged, though a stray RST with a text came right "
          "after")
def _():
    hand, server = opened()
    with server:
        data = segment(hand, b"d" * 100)
        hand.seq += 100
        stray = frames.segment(hand.sport, PORT, flags=frames.RST,
                               data=b"why", seq=hand.seq + (1 << 30))
        WIRE.sock.sendall(frames.framed(data, stray))
        tap.ok(acknowledged(hand), "no acknowledgment")
        hand.reset()


@tap.case("a whole segment is acknowledged at once, and not at a tick of lwIP's")
def _():
    hand, server = opened()
    with server:
        start = time.monotonic()
        for _ in range(SEGMENTS):
            hand.say(ACK, b"s" * 1460)
            tap.ok(acknowledged(hand), "no acknowledgment")
        tap.ok(time.monotonic() - start < SEGMENTS * TICK_S / 2, "late")
        hand.reset()


@tap.case("a short request to a near server is acknowledged by its answer")
def _():
    hand, server = opened()
    with server:
        by_answer = 0
        for _ in range(REQUESTS):
            hand.say(ACK | PSH, b"?")
            traffic.exact(server, 1)
            server.sendall(b"!")
            packet = acknowledged(hand)
            by_answer += len(packet.data)
            if not packet.data:
                hand.read(1, acknowledge=False)
            else:
                hand.ack += 1
        # Not each: the machine may have been busy for the millisecond.
        tap.ok(by_answer > 0, "each had a frame of its own")
        hand.reset()


@tap.case("what is not answered is acknowledged all the same")
def _():
    hand, server = opened()
    with server:
        for size in (1, 1400, 1460, 1):
            hand.say(ACK | PSH, b"d" * size)
            packet = acknowledged(hand)
            tap.ok(packet, "%d bytes: no acknowledgment" % size)
            tap.equal(packet.data, b"", "data")
        tap.equal(len(traffic.exact(server, 2862)), 2862, "bytes")
        hand.reset()


@tap.case("a guest is asked for its window with timestamps, if it has them")
def _():
    stamps = b"\1\1\x08\x0a\0\0\0\1\0\0\0\0"
    hand = segments.Hand(WIRE, PORT, window=10)
    hand.say(frames.SYN, ack=0, options=segments.mss(1460) + stamps)
    hand.ack = hand.hear(lambda p: p.flags & frames.SYN).seq + 1
    hand.say(options=stamps)
    with LISTENER.accept()[0] as server:
        server.sendall(b"d" * 10)
        data, _ = hand.read(10, acknowledge=False)
        tap.equal(len(data), 10, "bytes")
        hand.window = 0
        hand.say(options=stamps)
        server.sendall(b"d" * 10)
        for _ in range(2):
            probe = hand.hear()
            tap.equal(probe and probe.seq, hand.ack - 1, "number")
            tap.ok(segments.STAMP in segments.options_of(probe), "no stamp")
            hand.say(options=stamps)
        hand.reset()


TEN = range(1, 11)
SACK_OK = segments.mss(1460) + b"\1\1\4\2"


def ahead_of_their_turn(options, *writes):
    """Ten segments behind one that is missing, in such writes, then that one.
    Returns the number of its first byte, and the options of each
    acknowledgment of the ten."""
    hand = segments.Hand(WIRE, PORT)
    _, server = hand.open(LISTENER, options=options)
    start, told = hand.seq, []
    pieces = [bytes([97 + i]) * 1000 for i in range(11)]
    with server:
        server.settimeout(10 * tap.scale())
        late = [frames.segment(hand.sport, PORT, flags=ACK, data=piece,
                               seq=start + 1000 * i, ack=hand.ack,
                               window=65535)
                for i, piece in enumerate(pieces)]
        for write in writes:
            WIRE.sock.sendall(frames.framed(*[late[i] for i in write]))
            packet = hand.hear()
            tap.ok(packet, "no acknowledgment")
            WIRE.send(frames.echo())  # whose answer comes behind them all
            while packet.proto == frames.TCP:
                tap.equal(packet.ack, start, "acknowledgment")
                told.append(segments.options_of(packet))
                packet = WIRE.expect(lambda p: p.proto in (frames.TCP,
                                                           frames.ICMP))
                tap.ok(packet, "no echo")
        WIRE.sock.sendall(frames.framed(late[0]))
        tap.equal(traffic.exact(server, 11000), b"".join(pieces), "bytes")
        hand.seq = start + 11000
        tap.ok(acknowledged(hand), "no acknowledgment")
        hand.reset()
    return start, told


@tap.case("segments of one read behind one that is missing: their guest is "
          "told once, of all")
def _():
    start, told = ahead_of_their_turn(SACK_OK, TEN)
    tap.equal([options[segments.SACK] for options in told],
              [struct.pack("!II", start + 1000, start + 11000)], "SACK")


@tap.case("what comes twice takes nothing back of what its guest was told is "
          "here")
def _():
    for again in ([1], [4], [10], [4, 5, 6], TEN):
        start, told = ahead_of_their_turn(SACK_OK, TEN, again)
        tap.equal({options[segments.SACK] for options in told},
                  {struct.pack("!II", start + 1000, start + 11000)},
                  "SACK, %r again" % again)


@tap.case("nor is there less of what begins with what came before")
def _():
    start, told = ahead_of_their_turn(SACK_OK, [1], TEN)
    tap.equal(told[-1][segments.SACK],
              struct.pack("!II", start + 1000, start + 11000), "SACK")


@tap.case("one that knows no SACK is told for each: it counts them")
def _():
    _, told = ahead_of_their_turn(segments.mss(1460), TEN)
    tap.equal(len(told), 10, "acknowledgments")


tap.run(sidecar.tell(CAR))
