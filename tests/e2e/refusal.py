#!/usr/bin/python3
"""Segments of no connection, and connects that fail: the guest is told as a
kernel would tell it, and a scanner finds what it finds on any host."""

import errno
import os
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import segments  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
ACK, FIN, SYN, RST, PSH, URG = (frames.ACK, frames.FIN, frames.SYN,
                                frames.RST, frames.PSH, frames.URG)
ECE, CWR = 0x40, 0x80
PORT, CLOSED = 7000, 7001
HOPS = 64
DONT_FRAGMENT = 0x40

WORLD = rig.World(ip6=True)
CAR = sidecar.Sidecar(WORLD)
LISTENER = WORLD.server.listen(rig.SERVER, PORT)


class Wire:
    """A VMM of a case's own."""

    def __enter__(self):
        self.before = len(CAR.log.find("vmm gone"))
        self.wire = frames.Wire(CAR.path)
        self.wire.alive()
        return self.wire

    def __exit__(self, *_):
        self.wire.close()
        CAR.log.wait("vmm gone", count=self.before + 1)


def refused(hand, flags, seq, ack):
    reply = hand.hear(timeout_s=3)
    tap.ok(reply, "no answer")
    tap.equal((reply.flags, reply.seq), (flags, seq), "flags, sequence number")
    tap.equal((reply.ack, reply.window), (ack, 0), "acknowledgment, window")
    tap.equal((reply.ip_src, reply.ip_dst), (hand.dst, hand.src), "addresses")
    tap.equal(reply.ttl, HOPS, "time to live")
    if reply.kind == frames.ETH_IP:
        tap.ok(reply.frame[20] & DONT_FRAGMENT, "it may become fragments")
    tap.equal(reply.body, frames.tcp(
        reply.sport, reply.dport, seq, ack, flags, window=0,
        src=reply.ip_src, dst=reply.ip_dst), "segment")


@tap.case("a segment of no connection that acknowledges is refused by its "
          "acknowledgment")
def _():
    with Wire() as wire:
        for dst in (rig.SERVER, rig.SERVER6):
            for flags in (ACK, ACK | FIN, SYN | ACK, ACK | PSH, ACK | ECE):
                hand = segments.Hand(wire, PORT, dst=dst)
                hand.say(flags, b"abc", ack=4711)
                refused(hand, RST, 4711, 0)


@tap.case("one that does not is refused behind its last byte, whatever its "
          "flags")
def _():
    with Wire() as wire:
        for dst in (rig.SERVER, rig.SERVER6):
            for flags in (0, ECE, ECE | CWR, FIN, URG, PSH, FIN | PSH | URG):
                hand = segments.Hand(wire, PORT, dst=dst)
                hand.say(flags, b"abc", seq=500, ack=4711)
                refused(hand, RST | ACK, 0, 503 + (flags & FIN))


@tap.case("a RST of no connection is not answered, nor is a SYN with FIN")
def _():
    with Wire() as wire:
        for flags in (RST, RST | ACK, SYN | FIN, SYN | RST):
            hand = segments.Hand(wire, PORT)
            hand.say(flags, ack=4711)
            tap.equal(hand.hear(timeout_s=0.3), None, "answer")


@tap.case("a segment without flags is nothing to a connection")
def _():
    with Wire() as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        hand.say(0, b"abc", seq=hand.seq)
        tap.equal(hand.hear(timeout_s=0.3), None, "answer")
        hand.say(ACK, b"def")
        tap.equal(server.recv(10), b"def", "bytes")
        hand.reset()
        server.close()


@tap.case("a SYN to a closed port is refused, one to port 0 too")
def _():
    with Wire() as wire:
        for dst in (rig.SERVER, rig.SERVER6):
            for port in (CLOSED, 0):
                hand = segments.Hand(wire, port, dst=dst)
                hand.say(SYN, seq=500, options=segments.mss(1460))
                refused(hand, RST | ACK, 0, 501)


@tap.case("TCP has as far to go as all else")
def _():
    with Wire() as wire:
        hand = segments.Hand(wire, PORT)
        synack, server = hand.open(LISTENER)
        tap.equal(synack.ttl, HOPS, "of the SYN-ACK")
        server.sendall(b"abc")
        tap.equal(hand.hear(lambda p: p.data).ttl, HOPS, "of a segment")
        rig.reset(server)
        tap.equal(hand.hear(lambda p: p.flags & RST).ttl, HOPS, "of a RST")


@tap.case("a connect to port 0 fails at once")
def _():
    before = len(CAR.log.find("vmm gone"))
    vmm = sidecar.Vmm(WORLD, CAR.path)
    sock = WORLD.guest.socket(socket.SOCK_STREAM)
    sock.settimeout(10 * tap.scale())
    tap.raises([errno.ECONNREFUSED], sock.connect, (rig.SERVER, 0))
    sock.close()
    vmm.kill()
    CAR.log.wait("vmm gone", count=before + 1)


tap.run(sidecar.tell(CAR))
