#!/usr/bin/python3
"""A guest that loses, repeats, cuts and turns about what it sends: its server
reads exactly that, whatever the two ends can do."""

import os
import random
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import segments  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
ACK, FIN, PSH, RST = frames.ACK, frames.FIN, frames.PSH, frames.RST
PORT, PORT2 = 7000, 7001
MSS = 1448
TOTAL = 200 * MSS + 77
VOLLEY = 60  # frames of one write: more than go to lwIP as one
STUBBORN = 3  # volleys that bring nothing, then the first that is missing
VOLLEYS_MAX = 5000
SACK_OK = b"\1\1\4\2"
SCALED = b"\1\3\3\7"
NUMBERS = 1 << 32

WORLD = rig.World(ip6=True)
CAR = sidecar.Sidecar(WORLD)
LISTENERS = {where: WORLD.server.listen(*where) for where in (
    (rig.SERVER, PORT), (rig.SERVER, PORT2), (rig.SERVER2, PORT),
    (rig.SERVER6, PORT), (rig.SERVER6_2, PORT))}
WIRE = frames.Wire(CAR.path)


class Guest(segments.Hand):
    """What it sends is a stream of TOTAL bytes; numbers are of these."""

    def __init__(self, chance, dst, stamps):
        # Its numbers wrap in mid-stream.
        super().__init__(WIRE, PORT, dst=dst,
                         isn=NUMBERS - chance.randrange(1, TOTAL))
        self.chance, self.stamps = chance, stamps
        self.stream = chance.randbytes(TOTAL)
        self.done = self.sent = self.edge = self.now = 0

    def stamp(self):
        if not self.stamps:
            return b""
        self.now += 1
        return b"\1\1\10\12" + struct.pack("!II", self.now, 0)

    def start(self, options):
        reply, server = self.open(LISTENERS[self.dst, PORT],
                                  segments.mss(1460) + options + self.stamp())
        scale = segments.options_of(reply).get(segments.SCALE, b"\0")[0]
        self.scale = scale if SCALED in options else 0
        self.first, self.edge = self.seq % NUMBERS, reply.window
        return server

    def piece(self, left, right, flags=0):
        return frames.segment(
            self.sport, PORT, self.src, self.dst, ack=self.ack,
            seq=self.first + left, flags=flags | ACK,
            data=self.stream[left:right], options=self.stamp())

    def run(self, left, count, even):
        """The frames of so many pieces from there on, as the window has it."""
        run, limit = [], min(self.edge, TOTAL)
        while count > 0 and left < limit:
            size = MSS if even else self.chance.randrange(1, 2 * MSS)
            right = min(left + size, limit)
            run.append(self.piece(left, right,
                                  self.chance.choice((0, 0, PSH))))
            self.sent = max(self.sent, right)
            left, count = right, count - 1
        return run

    def volley(self):
        """What goes in one write: runs of what is new, and of what is not, of
        which some is lost, and some comes twice or elsewhere."""
        chance, run = self.chance, []
        while len(run) < VOLLEY:
            old = chance.randrange(max(0, self.done - MSS), self.sent + 1)
            left = chance.choice((self.sent, self.sent, old, self.done))
            run += self.run(left, chance.randrange(1, 30),
                            chance.random() < 0.8)
            if chance.random() < 0.1:
                break
        run = [frame for frame in run if chance.random() > 0.1]
        if run and chance.random() < 0.3:
            run.insert(chance.randrange(len(run)), chance.choice(run))
            run.append(run.pop(chance.randrange(len(run))))
        return run

    def listen(self):
        """Until it is told no more; whether that was of more bytes."""
        before = self.done
        while packet := self.hear(timeout_s=0.002):
            tap.ok(not packet.flags & RST, "reset")
            done = (packet.ack - self.first) % NUMBERS
            tap.ok(done <= TOTAL + 1, "acknowledged: %d" % done)
            if done >= self.done:
                self.done = done
                self.edge = done + (packet.window << self.scale)
        self.sent = max(self.sent, min(self.done, TOTAL))
        return self.done > before

    def send_all(self):
        idle = 0
        for _ in range(VOLLEYS_MAX):
            if self.done >= TOTAL:
                return
            run = self.volley()
            if idle >= STUBBORN:
                run = self.run(self.done, 1, True)
            WIRE.sock.sendall(frames.framed(*run))
            idle = 0 if self.listen() else idle + 1
        tap.ok(False, "%d bytes of %d" % (self.done, TOTAL))


def fidelity(seed, dst, options, stamps):
    guest = Guest(random.Random(seed), dst, stamps)
    with guest.start(options) as server:
        got = []
        reader = rig.thread(lambda: got.append(traffic.exact(server, TOTAL)))
        guest.send_all()
        WIRE.send(guest.piece(TOTAL, TOTAL, FIN))
        reader.join()
        tap.ok(got[0] == guest.stream, "other bytes, %d of %d, seed %d" %
               (len(got[0]), TOTAL, seed))
        server.settimeout(5 * tap.scale())
        tap.equal(server.recv(1), b"", "after the last")


for number, (sentence, dst, options, stamps) in enumerate((
        ("SACK", rig.SERVER, SACK_OK + SCALED, False),
        ("SACK and timestamps", rig.SERVER, SACK_OK + SCALED, True),
        ("SACK, timestamps and IPv6", rig.SERVER6, SACK_OK + SCALED, True),
        ("SACK and windows below 64 KiB", rig.SERVER, SACK_OK, False),
        ("no SACK", rig.SERVER, SCALED, False),
        ("no options", rig.SERVER, b"", False))):
    @tap.case("what a guest loses, repeats, cuts and turns about comes as it "
              "was meant: %s" % sentence)
    def _(number=number, dst=dst, options=options, stamps=stamps):
        for seed in range(4):
            fidelity(10 * number + seed, dst, options, stamps)


@tap.case("segments of two connections in one read go each to its own, in "
          "whatever the two differ")
def _():
    sport = 41000
    for one, other in (((rig.SERVER, PORT, 0), (rig.SERVER, PORT, 1)),
                       ((rig.SERVER, PORT, 2), (rig.SERVER, PORT2, 2)),
                       ((rig.SERVER, PORT, 3), (rig.SERVER2, PORT, 3)),
                       ((rig.SERVER6, PORT, 4), (rig.SERVER6_2, PORT, 4)),
                       ((rig.SERVER, PORT, 5), (rig.SERVER6, PORT, 5))):
        hands, servers, run = [], [], []
        for address, port, number in (one, other):
            hand = segments.Hand(WIRE, port, dst=address, sport=sport + number)
            _, server = hand.open(LISTENERS[address, port],
                                  segments.mss(1460) + SACK_OK)
            hands.append(hand)
            servers.append(server)
        for i in range(10):
            run += [frames.segment(
                hand.sport, hand.dport, hand.src, hand.dst, flags=ACK,
                data=name * 100, seq=hand.seq + 100 * i, ack=hand.ack)
                    for hand, name in zip(hands, (b"a", b"b"))]
        WIRE.sock.sendall(frames.framed(*run))
        for server, name in zip(servers, (b"a", b"b")):
            with server:
                server.settimeout(5 * tap.scale())
                tap.equal(traffic.exact(server, 1000), name * 1000,
                          "%r beside %r" % (one, other))
        for hand in hands:
            hand.seq += 1000
            hand.reset()


tap.run(sidecar.tell(CAR))
