#!/usr/bin/python3
"""What a guest, alone or with a friend outside, can say so that something
inside must take it for impossible: sallyport lives on."""

import os
import signal
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import inject  # noqa: E402
import segments  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
ACK, FIN, SYN, PSH = frames.ACK, frames.FIN, frames.SYN, frames.PSH
PORT, INSIDE, CLIENT_PORT = 7000, 80, 5555
SCALED = b"\1\3\3\7"  # NOP, a window scale of 7
SO_SNDBUFFORCE = 32
AHEAD_KIB = 3 * 8 * 1024  # thrice the limit: the heap, and what was read
RATE = 2  # connects a second, and twice that at once
DISCOVER, REQUEST = 1, 3

WORLD = rig.World()
CAR = sidecar.Sidecar(WORLD, "--mtu", "65520", "--connect-rate", "10000")
SERVER = WORLD.server
LISTENER = SERVER.listen(rig.SERVER, PORT)


class Wire:
    """A VMM whose guest does harm, and finds the gateway alive after it."""

    def __init__(self, car):
        self.car, self.before = car, len(car.log.find("vmm gone"))

    def __enter__(self):
        self.wire = frames.Wire(self.car.path)
        self.wire.alive()
        return self.wire

    def __exit__(self, failed, *_):
        if failed is None:
            self.wire.alive()
        self.wire.close()
        self.car.log.wait("vmm gone", count=self.before + 1)


def said(hand, data=b"", at=0, flags=ACK):
    """As hand says it so far ahead, as it goes on the wire."""
    return frames.framed(frames.segment(
        hand.sport, hand.dport, flags=flags, data=data, seq=hand.seq + at,
        ack=hand.ack, window=hand.window))


@tap.case("a FIN ahead of its turn, then the bytes before it")
def _():
    with Wire(CAR) as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        hand.say(ACK | FIN, seq=hand.seq + 10)
        hand.hear()
        hand.say(ACK | PSH, b"0123456789")
        tap.equal(traffic.receive(server)[0], 10, "bytes before the end")
        server.close()


@tap.case("a segment ahead of its turn that runs past the window")
def _():
    with Wire(CAR) as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER, options=segments.mss(65000))
        hand.say(ACK | PSH, b"b" * 20000, seq=hand.seq + 60000)
        hand.say(ACK | PSH, b"a" * 60000)
        tap.equal(traffic.exact(server, 60000), b"a" * 60000, "bytes")
        hand.say(ACK | PSH, b"b" * 20000)
        tap.equal(traffic.exact(server, 20000), b"b" * 20000, "bytes")
        server.close()


@tap.case("data past a FIN that is ahead of its turn")
def _():
    with Wire(CAR) as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        # One write, and so one window for all of it.
        wire.sock.sendall(
            said(hand, b"a" * 1000)
            + said(hand, at=1010, flags=ACK | FIN)
            + said(hand, b"b" * 64535, at=1000))
        wire.alive()
        tap.equal(traffic.exact(server, 1000), b"a" * 1000, "bytes")
        hand.seq += 1000
        hand.say(ACK | PSH, b"0123456789")
        tap.equal(traffic.receive(server)[0], 10, "bytes before the end")
        server.close()


@tap.case("the same, in pieces that wait for their turn themselves")
def _():
    with Wire(CAR) as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        wire.sock.sendall(
            said(hand, at=65000, flags=ACK | FIN)
            + said(hand, b"c" * 1000, at=64535)
            + b"".join(said(hand, b"d" * min(1400, 64535 - at), at=at)
                       for at in range(0, 64535, 1400)))
        wire.alive()
        tap.equal(len(traffic.exact(server, 64535)), 64535, "bytes")
        hand.reset()
        server.close()


@tap.case("a FIN ahead of its turn: what is acknowledged after it counts")
def _():
    with Wire(CAR) as wire:
        hand = segments.Hand(wire, PORT, window=10)
        _, server = hand.open(LISTENER)
        server.sendall(b"x" * 10)
        tap.equal(hand.read(10, acknowledge=False)[0], b"x" * 10, "bytes")
        hand.say(ACK | FIN, seq=hand.seq + 10, ack=hand.ack - 10)
        hand.say(seq=hand.seq + 11)
        server.sendall(b"y" * 10)
        tap.equal(hand.read(10)[0], b"y" * 10, "bytes")
        hand.say(ACK | PSH, b"0123456789")
        tap.equal(traffic.receive(server)[0], 10, "bytes before the end")
        server.close()


@tap.case("the handshake's end comes ahead of its turn, past the window to be")
def _():
    with Wire(CAR) as wire:
        hand = segments.Hand(wire, PORT)
        hand.say(SYN, ack=0, options=segments.mss(1460) + SCALED)
        reply = hand.hear(lambda p: p.flags & SYN)
        tap.ok(reply, "no SYN-ACK")
        hand.ack = reply.seq + 1
        first = (64 - 32) * 1024 * 1024 // 128  # pump.c's, of an empty pool
        netproc = CAR.children()["netproc"]
        inject.stop(netproc)  # one read brings all of it
        try:
            wire.sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20)
            wire.sock.sendall(
                said(hand, b"z" * 1000, at=first - 100)
                + b"".join(said(hand, bytes(min(60000, first - 100 - at)),
                                at=at)
                           for at in range(0, first - 100, 60000)))
        finally:
            inject.go_on(netproc)
        wire.alive()
        tap.equal(CAR.children()["netproc"], netproc, "netproc")
        server = LISTENER.accept()[0]
        hand.reset()
        server.close()


@tap.case("a window that is closed at first and then small")
def _():
    with Wire(CAR) as wire:
        hand = segments.Hand(wire, PORT, window=0)
        _, server = hand.open(LISTENER)
        server.sendall(b"x" * 100)
        hand.hear(lambda p: p.data)  # a probe: the bytes are with lwIP
        hand.window = 10
        hand.say()
        server.sendall(b"y" * 100)
        data, _ = hand.read(200)
        tap.equal(data, b"x" * 100 + b"y" * 100, "bytes")
        server.close()


@tap.case("an acknowledgment of all there is, from a window that stays closed")
def _():
    with Wire(CAR) as wire:
        hand = segments.Hand(wire, PORT, window=1000)
        _, server = hand.open(LISTENER)
        server.sendall(b"x")
        tap.ok(hand.hear(lambda p: p.data), "no byte")
        hand.window = 0
        for window in (1000, 0):  # closed, with a byte under way
            hand.say(ACK | PSH, b"y", window=window)
            tap.ok(hand.hear(lambda p: p.ack == hand.seq), "not acknowledged")
        time.sleep(2.5)  # lwIP's timeout: it waits to be sent again
        hand.ack += 1
        hand.say()
        time.sleep(1.5)  # the timer looks every 500 ms
        hand.window = 1000
        hand.say()
        server.sendall(b"z")
        tap.equal(hand.read(1)[0], b"z", "byte")
        server.close()


@tap.case("what waits for its turn is bounded, however it is cut")
def _():
    with Wire(CAR) as wire:
        netproc = CAR.children()["netproc"]
        before, servers = sidecar.rss_kib(netproc), []
        hands = [segments.Hand(wire, PORT) for _ in range(20)]
        for hand in hands:
            _, server = hand.open(LISTENER, segments.mss(1460) + SCALED)
            servers.append(server)
        wire.alive()  # the handshakes' ends are no part of what is counted
        for hand in hands:
            for at in range(1, 101):  # each leaves one byte of the last
                wire.sock.sendall(said(hand, bytes(60000), at))
        wire.alive()
        grown = sidecar.rss_kib(netproc) - before
        tap.ok(grown < AHEAD_KIB, "%d KiB" % grown)
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        servers.append(server)
        hand.say(ACK | PSH, b"y" * 1000, seq=hand.seq + 1000)  # as if lost
        for data in (b"x" * 1000, b"y" * 1000):
            hand.say(ACK | PSH, data)
            tap.equal(traffic.exact(server, 1000), data, "in its turn")
        hand = segments.Hand(wire, PORT, window=1000)
        _, server = hand.open(LISTENER)
        servers.append(server)
        server.sendall(b"z" * 2000)
        hand.read(1000, acknowledge=False)
        hand.say(seq=hand.seq + 1000)  # of no bytes, behind what is lost
        tap.equal(hand.read(1000)[0], b"z" * 1000, "acknowledged")
        for server in servers:
            rig.reset(server)


def reusable():
    sock = SERVER.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((rig.SERVER, CLIENT_PORT))
    sock.settimeout(10 * tap.scale())
    return sock


def preserving(*options):
    return sidecar.Sidecar(WORLD, "--publish-source", "preserve", *options)


def to_service(packet):
    return packet.proto == frames.TCP and packet.dport == INSIDE


@tap.case("a client whom the guest calls at the same time")
def _():
    car = preserving("-p", "0.0.0.0:8080:%d" % INSIDE,
                     "--connect-rate", str(RATE))
    with Wire(car) as wire, reusable() as friend, reusable() as client:
        friend.listen()
        # The guest's own call waits for a place while the client's comes.
        for i in range(2 * RATE):
            wire.send(frames.segment(4000 + i, PORT, seq=1))
        wire.send(frames.segment(INSIDE, CLIENT_PORT, seq=1000))
        wire.alive()  # and so the SYN has been read
        try:
            client.connect((rig.HOST, 8080))
            client.recv(1)
            tap.ok(False, "two connections of one name")
        except ConnectionResetError:
            pass
        answer = wire.expect(to_service)
        tap.equal(answer and answer.flags, SYN | ACK, "flags")
        tap.equal(answer.ack, 1001, "acknowledgment")


@tap.case("a client that comes to two ports that lead to one")
def _():
    car = preserving("-p", "0.0.0.0:8081:%d" % INSIDE,
                     "-p", "0.0.0.0:8082:%d" % INSIDE)
    with Wire(car) as wire, reusable() as first, reusable() as second:
        first.connect((rig.HOST, 8081))
        tap.ok(wire.expect(lambda p: to_service(p) and p.flags == SYN),
               "the first client's SYN")
        try:
            second.connect((rig.HOST, 8082))
            second.recv(1)
            tap.ok(False, "two connections of one name")
        except ConnectionResetError:
            pass


def dhcp(kind):
    options = bytes([53, 1, kind])
    if kind == REQUEST:
        options += b"\x32\x04" + frames.ip(rig.GUEST) \
            + b"\x36\x04" + frames.ip(rig.GATEWAY)
    message = struct.pack("!BBBBIHH", 1, 1, 6, 0, 7, 0, 0) + bytes(16) \
        + frames.mac(rig.GUEST_MAC) + bytes(202) + b"\x63\x82\x53\x63" \
        + options + b"\xff"
    return frames.ethernet(
        frames.ipv4(frames.udp(message, 68, 67, "0.0.0.0", frames.ALL),
                    frames.UDP, "0.0.0.0", frames.ALL), dst=frames.BROADCAST)


@tap.case("log lines that a guest causes do not crowd out what must be said")
def _():
    car = sidecar.Sidecar(WORLD)
    wire = frames.Wire(car.path)
    wire.alive()
    reboot = frames.framed(dhcp(DISCOVER), dhcp(REQUEST))
    netproc = "/proc/%d/fd" % car.children()["netproc"]
    held = len(os.listdir(netproc))
    os.kill(car.pid, signal.SIGSTOP)  # as one whose log does not flow
    try:
        # The last four bytes are no length: the parent must be told.
        wire.sock.sendall(reboot * 1000 + b"\xff" * 4)
        deadline = time.monotonic() + 5 * tap.scale()
        while len(os.listdir(netproc)) >= held:
            tap.ok(time.monotonic() < deadline, "netproc holds on to it")
            time.sleep(0.01)
    finally:
        os.kill(car.pid, signal.SIGCONT)
    car.log.wait("vmm gone")
    with Wire(car):
        pass
    tap.ok(len(car.log.find("rebooted")) < 100, "a flood of lines")


tap.run(sidecar.tell(CAR))
