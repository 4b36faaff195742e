#!/usr/bin/python3
"""What a guest lost comes again in its order, whatever its window has become
since."""

import contextlib
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import segments  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
PORT = 7000
FRAME = 1460
SCALED = segments.mss(FRAME) + b"\1\3\3\0"  # NOP, a window scale of 0
FLIGHT = 44 * FRAME
TOTAL = 4 * FLIGHT
DUPLICATES = 3  # RFC 5681 3.2
TIMER_S = 2.5  # a second, and what its ticks add
SHIFT = 7
WIDE = segments.mss(FRAME) + b"\1\3\3" + bytes([SHIFT])
LARGE = 1 << 20  # a window
SEGMENT = 44 * FRAME  # lwIP's, which it sends again whole

WORLD = rig.World()
CAR = sidecar.Sidecar(WORLD)
LISTENER = WORLD.server.listen(rig.SERVER, PORT)
WIRE = frames.Wire(CAR.path)


def opened(data):
    """A connection on which a flight of data has come."""
    hand = segments.Hand(WIRE, PORT, window=FLIGHT)
    _, server = hand.open(LISTENER, SCALED)
    server.sendall(data)
    last = hand.ack + FLIGHT
    tap.ok(hand.hear(lambda p: p.seq + len(p.data) == last), "no flight")
    return hand, server


def lose(hand, window):
    """The guest keeps one frame and has no room for the others, asks for them
    by duplicate acknowledgments, and is silent until the timer has run out."""
    hand.ack += FRAME
    hand.window = window
    for _ in range(1 + DUPLICATES):
        hand.say()
    while hand.hear(timeout_s=TIMER_S):
        pass


@tap.case("what was asked for again, and then had no room for longer than the "
          "timer, comes in its order")
def _():
    data = os.urandom(TOTAL)
    hand, server = opened(data)
    lose(hand, window=0)
    hand.window = FLIGHT
    hand.say()
    tap.ok(hand.read(TOTAL - FRAME)[0] == data[FRAME:], "other bytes")
    hand.reset()
    server.close()


@tap.case("nor does that stop a connection whose window stays small")
def _():
    data = os.urandom(TOTAL)
    hand, server = opened(data)
    lose(hand, window=2 * FRAME)
    hand.say()
    tap.ok(hand.read(TOTAL - FRAME)[0] == data[FRAME:], "other bytes")
    hand.reset()
    server.close()


def burst(hand):
    """How many bytes come without a word of the guest's."""
    first, last = hand.ack, hand.ack
    while packet := hand.hear(lambda p: p.data, timeout_s=1):
        last = max(last, packet.seq + len(packet.data))
    return last - first


@tap.case("a card that loses what comes at once is sent less at once")
def _():
    hand = segments.Hand(WIRE, PORT, window=LARGE >> SHIFT)
    _, server = hand.open(LISTENER, WIDE)
    sender = rig.thread(server.sendall, os.urandom(4 * LARGE))
    before = burst(hand)
    tap.ok(before > LARGE // 2, "%d bytes before the loss" % before)
    lose(hand, hand.window)
    hand.ack += SEGMENT
    hand.say()
    after = burst(hand)
    tap.ok(SEGMENT <= after <= before // 2,
           "%d bytes at once, and %d after they were lost" % (before, after))
    hand.reset()
    with contextlib.suppress(ConnectionError):
        sender.join(10)
    server.close()


def take_but(hand, count, lost):
    """Takes count bytes, and acknowledges each frame; those for whose number
    lost() holds are lost, once.  What is read meanwhile makes the window
    larger when a frame comes twice, so that such are no duplicates (RFC 5681)
    of the acknowledgment before."""
    start, top, number, kept = hand.ack, 0, 0, {}
    while hand.ack - start < count:
        packet = hand.hear(lambda p: p.data)
        tap.ok(packet, "%d bytes of %d came" % (hand.ack - start, count))
        at, end = packet.seq - start, packet.seq - start + len(packet.data)
        if end > top:
            top, number = end, number + 1
            if lost(number):
                continue
        kept[at] = packet.data
        hand.window += at < hand.ack - start
        while hand.ack - start in kept:
            hand.ack += len(kept.pop(hand.ack - start))
        hand.say()


@tap.case("what a flight has lost in several places comes again without the "
          "timer")
def _():
    hand = segments.Hand(WIRE, PORT, window=LARGE >> SHIFT)
    _, server = hand.open(LISTENER, WIDE)
    start, flights = time.monotonic(), 6
    for _ in range(flights):
        server.sendall(bytes(LARGE // 2))
        take_but(hand, LARGE // 2, lambda n: n % 44 == 9)
        hand.window = LARGE >> SHIFT
    took = time.monotonic() - start
    tap.note("%.2f s" % took)
    # The timer takes half a second at least, once for each.
    tap.ok(took < flights * 0.4, "a timer was waited for")
    hand.reset()
    server.close()


tap.run(sidecar.tell(CAR))
