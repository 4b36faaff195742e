#!/usr/bin/python3
"""Connections that cannot be made: the guest learns why, and soon."""

import errno
import os
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
SETUP = sidecar.setup("--log-level", "debug")
GUEST = SETUP.world.guest
LISTENER = SETUP.world.server.listen()
PORT = rig.port_of(LISTENER)
CLOSED_PORT = 9
PENDING_PER_DESTINATION = 16
CONNECT_TIMEOUT_S = 10


def failure(address, port, errnos, within_s):
    return tap.in_time(within_s, tap.raises, errnos, GUEST.connect, address,
                       port)


@tap.case("a closed port refuses the guest at once")
def _():
    failure(rig.SERVER, CLOSED_PORT, [errno.ECONNREFUSED], 0.5)


@tap.case("an unreachable network is told to the guest at once")
def _():
    failure(rig.UNREACHABLE, PORT, [
        errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH], 0.5)


@tap.case("a host that does not exist is told to the guest")
def _():
    failure(rig.NOBODY, PORT, [errno.ECONNREFUSED, errno.EHOSTUNREACH], 5)


@tap.case("a filtered port is given up after ten seconds")
def _():
    took = failure(rig.FILTERED, PORT, [
        errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ETIMEDOUT],
        CONNECT_TIMEOUT_S + 2)
    tap.ok(took > CONNECT_TIMEOUT_S - 1, "took only %.1f s" % took)


@tap.case("a filtered destination takes sixteen connects and no other's room")
def _():
    socks = []
    for _ in range(3 * PENDING_PER_DESTINATION):
        sock = GUEST.socket()
        sock.setblocking(False)
        sock.connect_ex((rig.FILTERED, PORT))
        socks.append(sock)

    def another():
        guest, server = traffic.pair(GUEST, rig.SERVER, LISTENER)
        with guest, server:
            traffic.greet_ends(guest, server)

    tap.in_time(0.5, another)
    for sock in socks:
        sock.close()


@tap.case("a slot that is used up drops the SYN, and a free one takes it")
def _():
    setup = sidecar.setup("--max-flows", "4")
    listener = setup.world.server.listen()
    pairs = [traffic.pair(setup.world.guest, rig.SERVER, listener)
             for _ in range(4)]
    # Its second SYN finds none either: who has said nothing is not idle yet.
    tap.raises([None], setup.world.guest.connect, rig.SERVER,
               rig.port_of(listener), 2.5)
    for ends in pairs:
        traffic.greet_ends(*ends)
    late = rig.thread(setup.world.guest.connect, rig.SERVER,
                      rig.port_of(listener))
    for sock in pairs[0]:
        sock.close()
    guest = late.join(10 * tap.scale())
    server, _ = listener.accept()
    traffic.greet_ends(guest, server)
    lines = setup.car.log.find("--max-flows")
    tap.equal(len(lines), 1, "lines that say so, of %r" % lines)
    tap.ok("all 4 flows are in use" in lines[0], lines[0])
    setup.world.close()


@tap.case("a SYN that comes again with another MSS is taken as it was first")
def _():
    listener = SETUP.world.server.listen()
    port = rig.port_of(listener)
    before = len(SETUP.car.log.find("vmm gone"))
    SETUP.vmm.kill()
    SETUP.car.log.wait("vmm gone", count=before + 1)
    wire = frames.Wire(SETUP.car.path)
    hand = segments.Hand(wire, port)
    hand.say(frames.SYN, ack=0, options=segments.mss(600))
    first = hand.hear(lambda p: p.flags & frames.SYN)
    hand.seq -= 1
    hand.say(frames.SYN, ack=0, options=segments.mss(60000))
    again = hand.hear(lambda p: p.flags & frames.SYN)
    tap.ok(first and again, "no SYN-ACK")
    tap.equal(again.seq, first.seq, "the sequence number of both")
    hand.ack = first.seq + 1
    hand.say()
    server = listener.accept()[0]
    server.sendall(bytes(5000))
    sizes = []
    while sum(sizes) < 5000:
        packet = hand.hear(lambda p: p.data)
        tap.ok(packet, "%d bytes came" % sum(sizes))
        if packet.seq != hand.ack:
            continue
        sizes.append(len(packet.data))
        hand.ack += len(packet.data)
        hand.say()
    tap.equal(max(sizes), 600, "longest segment")
    wire.close()


tap.run(sidecar.tell(SETUP.car))
