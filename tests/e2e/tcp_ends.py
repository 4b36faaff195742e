#!/usr/bin/python3
"""The ends of a TCP connection that a guest's kernel rarely causes: each end is
told to the other side, and nothing that was acknowledged is lost."""

import errno
import os
import select
import socket
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
ACK, FIN, SYN, RST, PSH = \
    frames.ACK, frames.FIN, frames.SYN, frames.RST, frames.PSH
PORT = 7000
SO_SNDBUFFORCE = 32
SCALED = segments.mss(1460) + b"\1\3\3\7"  # NOP, a window scale of 7

WORLD = rig.World()
CAR = sidecar.Sidecar(WORLD, "--connect-rate", "10000")
LISTENER = WORLD.server.listen(rig.SERVER, PORT)


class Wire:
    """A VMM of a case's own: what one does not read, none after it finds."""

    def __enter__(self):
        self.before = len(CAR.log.find("vmm gone"))
        self.wire = frames.Wire(CAR.path)
        return self.wire

    def __exit__(self, *_):
        self.wire.close()
        CAR.log.wait("vmm gone", count=self.before + 1)


def opened(wire, options=segments.mss(1460)):
    hand = segments.Hand(wire, PORT)
    _, server = hand.open(LISTENER, options)
    server.settimeout(10 * tap.scale())
    return hand, server


def host_ends(hand, server):
    server.shutdown(socket.SHUT_WR)
    fin = hand.hear(lambda p: p.flags & FIN)
    tap.ok(fin, "no FIN")
    hand.ack = fin.seq + 1
    hand.say()


def guest_ends(hand):
    hand.say(ACK | FIN)
    tap.ok(hand.hear(lambda p: p.ack == hand.seq), "FIN not acknowledged")


def fill(wire):
    """The VMM does not read: bulk data takes its half of the queue towards
    it, answers to ARP the other."""
    hand, server = opened(wire, SCALED)
    hand.say(window=65535)  # 8 MiB
    server.setblocking(False)
    last = time.monotonic()
    while time.monotonic() - last < 0.3 * tap.scale():
        try:
            server.send(bytes(1 << 16))
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    for _ in range(1200):
        wire.send(frames.arp(rig.GATEWAY))
    return server


@tap.case("an end that the guest has not acknowledged is said again")
def _():
    with Wire() as wire:
        hand, server = opened(wire)
        guest_ends(hand)
        time.sleep(2)  # the guest's last word is older than lwIP's patience
        server.close()
        for _ in range(3):  # after 0.5 to 1 s, and 2 s
            tap.ok(hand.hear(lambda p: p.flags & FIN), "no FIN")
        hand.ack += 1
        hand.say()
        tap.equal(hand.hear(timeout_s=0.5), None, "answer")


@tap.case("an end that found the link full gets to the guest")
def _():
    with Wire() as wire:
        hand, server = opened(wire)
        guest_ends(hand)
        server.sendall(b"0123456789")
        tap.ok(hand.hear(lambda p: len(p.data) == 10), "no data")
        server.close()
        bulk = fill(wire)
        hand.ack += 10
        hand.say()  # and now its FIN, in LAST_ACK
        time.sleep(2)
        tap.ok(hand.hear(lambda p: p.flags & FIN, 10), "no FIN")
        bulk.close()


@tap.case("a reset that found the link full gets to the guest")
def _():
    with Wire() as wire:
        idle = [opened(wire) for _ in range(40)]
        bulk = fill(wire)
        time.sleep(0.3)
        for _, server in idle:
            server.sendall(b"data")  # which waits, as the reset must not
        time.sleep(0.3)
        for _, server in idle:
            rig.reset(server)
        time.sleep(0.5)
        missing, told = {hand.sport for hand, _ in idle}, None
        while missing:
            told = wire.expect(lambda p: p.proto == frames.TCP
                               and p.flags & RST and p.dport in missing)
            tap.ok(told, "%d of 40 were not told" % len(missing))
            missing.remove(told.dport)
        bulk.close()


@tap.case("a server that has ended and then resets: the guest is told")
def _():
    with Wire() as wire:
        hand, server = opened(wire)
        host_ends(hand, server)
        time.sleep(0.3)  # the end is read, and nothing waits
        rig.reset(server)
        tap.ok(hand.hear(lambda p: p.flags & RST), "no RST")


def opened_by(hand, act):
    """A connection whose server does that as soon as it is accepted."""
    listener = rig.thread(lambda: act(LISTENER.accept()[0]))
    hand.say(SYN, ack=0, options=segments.mss(1460))
    reply = hand.hear()
    listener.join(5)
    tap.ok(reply and reply.flags & SYN, "no SYN-ACK, but %s" % reply)
    hand.ack = reply.seq + 1
    hand.say()


def refuse(server):
    server.sendall(b"busy")
    rig.reset(server)


@tap.case("a server's banner arrives though it resets as soon as it accepts")
def _():
    with Wire() as wire:
        for _ in range(40):
            hand = segments.Hand(wire, PORT)
            opened_by(hand, refuse)
            tap.equal(hand.read(4)[0], b"busy", "banner")
            tap.ok(hand.hear(lambda p: p.flags & RST), "no RST")


@tap.case("a server that has ended before the guest's handshake has: the guest "
          "is told")
def _():
    for end, flag in ((socket.socket.close, FIN), (rig.reset, RST)):
        with Wire() as wire:
            hand = segments.Hand(wire, PORT)
            hand.say(SYN, ack=0, options=segments.mss(1460))
            synack = hand.hear(lambda p: p.flags & SYN)
            tap.ok(synack, "no SYN-ACK")
            end(LISTENER.accept()[0])
            for _ in range(10):  # it has been said by then
                wire.alive()
            hand.ack = synack.seq + 1
            hand.say()
            tap.ok(hand.hear(lambda p: p.flags & flag), "no end")
            hand.reset()


@tap.case("what a server has ended in order a reset behind it does not undo")
def _():
    def answer(server):
        server.sendall(b"data")
        server.shutdown(socket.SHUT_WR)
        rig.reset(server)

    with Wire() as wire:
        for _ in range(40):
            hand = segments.Hand(wire, PORT)
            opened_by(hand, answer)
            tap.equal(hand.read(4)[0], b"data", "data")
            end = hand.hear(lambda p: p.flags & (FIN | RST))
            tap.ok(end and end.flags & FIN, "no FIN, but %s" % end)
            hand.ack = end.seq + 1
            hand.say()
            hand.reset()


@tap.case("a reset right behind the last bytes does not wait for a timer")
def _():
    with Wire() as wire:
        waits = []
        for _ in range(20):
            hand = segments.Hand(wire, PORT)
            opened_by(hand, refuse)
            hand.read(4)
            since = time.monotonic()
            tap.ok(hand.hear(lambda p: p.flags & RST), "no RST")
            waits.append(time.monotonic() - since)
        waits.sort()
        tap.ok(waits[10] < 0.1 * tap.scale(), "it took %.3f s" % waits[10])


@tap.case("a reset reaches a guest that had no room for what came before it")
def _():
    for end in (False, True):
        with Wire() as wire:
            hand, server = opened(wire)
            server.sendall(b"dropped")
            tap.ok(hand.hear(lambda p: p.data == b"dropped"), "no data")
            if end:
                server.shutdown(socket.SHUT_WR)
                tap.ok(hand.hear(lambda p: p.flags & FIN), "no FIN")
            rig.reset(server)
            # Behind all that was sent, and behind what was acknowledged.
            missing = {hand.ack, hand.ack + 7 + end}
            while missing:
                told = hand.hear(lambda p: p.flags & RST)
                tap.ok(told, "no RST at %s" % missing)
                tap.equal(told.ack, hand.seq, "acknowledgment")
                missing.discard(told.seq)


@tap.case("a reset reaches a guest whose window is closed, and for which "
          "nothing waits")
def _():
    for flags in (PSH, FIN):
        for waits in (0, 100):
            with Wire() as wire:
                hand, server = opened(wire)
                hand.say(ACK | PSH, b"first")
                hand.say(ACK | flags, b"second", window=0)
                tap.ok(hand.hear(lambda p: p.ack == hand.seq), "no answer")
                tap.equal(traffic.exact(server, 11), b"firstsecond", "data")
                time.sleep(0.05)
                server.sendall(bytes(waits))
                time.sleep(0.05)
                rig.reset(server)
                told = hand.hear(lambda p: p.flags & RST)
                tap.ok(told, "no RST with flags %#x, %d" % (flags, waits))
                tap.equal(told.seq, hand.ack, "sequence number")


def no_way(segment):
    """What a router on the host's side says that has none for it."""
    about = struct.pack("!BBHI", 3, 1, 0, 0) + segment.frame[14:42]
    return about[:2] + struct.pack("!H", frames.checksum(about)) + about[4:]


@tap.case("a router that finds no way for a moment ends no connection")
def _():
    # RFC 1122 4.2.3.9.  The guest does not read, so more waits at each step; of
    # what comes, little segments alone leave the router's word as it is.
    steps, size = 60, 1 << 14
    with Wire() as wire, WORLD.server.sniffer("s0") as sniffer, \
            WORLD.server.socket(socket.SOCK_RAW, proto=frames.ICMP) as router:
        hand, server = opened(wire)
        server.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hand.say(window=0)
        segment = None
        while segment is None or segment.proto != frames.TCP or \
                segment.dport != PORT or segment.flags & SYN:
            segment = frames.Packet(sniffer.recv(65535))
        for _ in range(steps):
            for part in (bytes(size - 4), b"1", b"2", b"3", b"4"):
                router.sendto(no_way(segment), (rig.HOST, 0))
                server.sendall(part)
                time.sleep(0.004)
        hand.say()
        tap.equal(len(hand.read(steps * size)[0]), steps * size, "bytes")
        server.close()


def fill_server(hand, server):
    """Sends until its window is closed; returns how many bytes were taken."""
    window, sent = hand.window, 0
    while window > 3000:
        size = min(1460, window)
        hand.say(ACK, bytes(size))
        sent += size
        packet = hand.hear(lambda p: p.ack == hand.seq)
        tap.ok(packet, "%d bytes: no acknowledgment" % sent)
        window = packet.window
    return sent


def small_listener():
    listener = WORLD.server.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind((rig.SERVER, 0))
    listener.listen()
    return listener


@tap.case("a guest's port used again: what was acknowledged before arrives")
def _():
    for guest_first in (False, True):
        with Wire() as wire, small_listener() as listener:
            port = rig.port_of(listener)
            hand = segments.Hand(wire, port)
            _, server = hand.open(listener)
            sent = fill_server(hand, server)
            if guest_first:
                guest_ends(hand)
                host_ends(hand, server)
            else:
                host_ends(hand, server)
                guest_ends(hand)
            again = segments.Hand(wire, port, hand.sport, isn=1 << 30)
            again.open()
            server.settimeout(10 * tap.scale())
            tap.equal(len(traffic.exact(server, sent)), sent, "bytes")
            tap.equal(server.recv(1), b"", "what comes after them")
            server.close()


@tap.case("neither data nor an end is taken that acknowledges nothing")
def _():
    with Wire() as wire:
        hand, server = opened(wire)
        with server:
            for flags in (PSH, FIN):
                hand.say(flags, b"no", seq=hand.seq)
            hand.say(ACK | PSH, b"yes!")
            tap.ok(hand.hear(lambda p: p.ack == hand.seq), "acknowledgment")
            tap.equal(server.recv(100), b"yes!", "data")
        hand.reset()


@tap.case("what acknowledges bytes that were never sent is answered, and not "
          "taken")
def _():
    # RFC 9293 3.10.7.4, fifth; RFC 5961 5.2 of those long ago.
    for at in (1, 100000, 1 << 31, -65536 - 100000):
        for flags, data in ((PSH, b"no"), (FIN, b"")):
            with Wire() as wire:
                hand, server = opened(wire)
                wire.sock.sendall(frames.framed(*(frames.segment(
                    hand.sport, PORT, seq=hand.seq + before, **fields)
                    for before, fields in (
                        (0, {"flags": ACK, "data": b"yes!",
                             "ack": hand.ack}),
                        (4, {"flags": ACK | flags, "data": data, "window": 1,
                             "ack": hand.ack + at})))))
                hand.seq += 4
                answer = hand.hear()
                tap.ok(answer, "no answer to %d" % at)
                tap.equal((answer.flags & 0x3f, answer.seq, answer.ack),
                          (ACK, hand.ack, hand.seq), "answer to %d" % at)
                hand.say(ACK | PSH, b"sir")
                tap.equal(traffic.exact(server, 7), b"yes!sir", "data")
                server.sendall(b"and you")
                tap.equal(hand.read(7)[0], b"and you", "past a window of 1")
                hand.reset()
                server.close()


@tap.case("a SYN that waits is taken back by its own RST alone")
def _():
    with Wire() as wire, WORLD.server.sniffer("s0") as sniffer:
        hand = segments.Hand(wire, 80, dst=rig.FILTERED)

        def connects(seq):
            """Ports of those seen once the gateway has heard these."""
            hand.say(RST, seq=seq)
            hand.say(SYN, ack=0, seq=100)
            wire.alive()
            ports, wait_s = set(), 0.3 * tap.scale()
            while select.select([sniffer], [], [], wait_s)[0]:
                packet = frames.Packet(sniffer.recv(65535))
                if packet.proto == frames.TCP \
                        and packet.ip_dst == rig.FILTERED:
                    ports.add(packet.sport)
            return ports

        first = connects(101)  # of none yet
        tap.equal(len(first), 1, "connects")
        for seq in (100, 102):
            tap.equal(connects(seq) - first, set(), "others, of RST %d" % seq)
        tap.equal(len(connects(101) - first), 1, "others")
        hand.say(RST, seq=101)


@tap.case("a SYN that comes many times does not end what it begins")
def _():
    with Wire() as wire:
        hand = segments.Hand(wire, PORT)
        for _ in range(20):
            hand.say(SYN, seq=100000, ack=0, options=segments.mss(1460))
            reply = hand.hear(lambda p: p.flags & SYN)
            tap.ok(reply, "no SYN-ACK")
        time.sleep(1.2)  # lwIP's timer has looked
        hand.seq, hand.ack = 100001, reply.seq + 1
        hand.say(ACK | PSH, b"x")
        with LISTENER.accept()[0] as server:
            server.settimeout(10 * tap.scale())
            tap.equal(server.recv(1), b"x", "byte")


@tap.case("a SYN that comes again when the connection stands is told so")
def _():
    with Wire() as wire:
        hand, server = opened(wire)
        hand.say(SYN, seq=hand.seq - 1, ack=0, options=segments.mss(1460))
        told = hand.hear()
        tap.ok(told, "no answer")
        tap.equal((told.flags & 0x3f, told.seq, told.ack),
                  (ACK, hand.ack, hand.seq), "answer")
        hand.say(RST, seq=told.ack)  # a guest that knew nothing of it
        tap.raises([errno.ECONNRESET], server.recv, 1)
        server.close()


@tap.case("an acknowledgment that found the link full gets to the guest")
def _():
    with Wire() as wire:
        hand, server = opened(wire)
        bulk = fill(wire)
        time.sleep(0.3)
        hand.say(ACK | PSH, b"x")
        tap.equal(server.recv(1), b"x", "byte")
        time.sleep(1)  # and lwIP has tried again
        tap.ok(hand.hear(lambda p: p.ack == hand.seq), "no acknowledgment")
        bulk.close()
        server.close()


tap.run(sidecar.tell(CAR))
