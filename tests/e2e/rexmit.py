#!/usr/bin/python3
"""What a guest lost comes again in its order, whatever its window has become
since."""

import os
import sys

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


tap.run(sidecar.tell(CAR))
