#!/usr/bin/python3
"""A guest's life: paused, moved to another card, restored, booted again."""

import errno
import os
import signal
import sys
import time

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
MIB = 1 << 20
PAUSE_S = 5
PORT = 7000
OTHER_MAC = "02:53:4d:00:00:99"

WORLD = rig.World(ip6=True)
CAR = sidecar.Sidecar(WORLD, "-p", "8080:80")
GUEST, HOST, SERVER = WORLD.guest, WORLD.host, WORLD.server
LISTENER = SERVER.listen(rig.SERVER, PORT)
LISTENER6 = SERVER.listen(rig.SERVER6, PORT)
ECHO = SERVER.udp(rig.SERVER)
datagrams.echo_server(ECHO)


class Session:
    """A VMM, by hand or a kernel's, until the sidecar has seen its end."""

    def __init__(self, make):
        self.make = make

    def __enter__(self):
        self.before = len(CAR.log.find("vmm gone"))
        self.vmm = self.make()
        return self.vmm

    def __exit__(self, *_):
        (self.vmm.close if isinstance(self.vmm, frames.Wire)
         else self.vmm.kill)()
        CAR.log.wait("vmm gone", count=self.before + 1)


def kernel():
    return Session(lambda: sidecar.Vmm(WORLD, CAR.path))


def by_hand():
    return Session(lambda: frames.Wire(CAR.path))


@tap.case("a VMM that is paused in the middle of everything loses nothing",
          limit_s=120)
def _():
    with kernel() as vmm, GUEST.listen(port=80) as inside:
        pairs = [traffic.pair(GUEST, rig.SERVER, LISTENER) for _ in range(3)]
        pairs.append(traffic.pair(GUEST, rig.SERVER6, LISTENER6))
        idle = traffic.pair(GUEST, rig.SERVER, LISTENER)
        published = traffic.pair(HOST, "127.0.0.1", inside, 8080)
        udp = datagrams.connected(GUEST, rig.SERVER, rig.port_of(ECHO))
        udp.send(b"before")
        tap.equal(udp.recv(100), b"before", "echo")
        ways = [ends if n % 2 else ends[::-1] for n, ends in enumerate(pairs)]
        readers = [rig.thread(traffic.receive, sink) for _, sink in ways]
        writers = [rig.thread(traffic.send, source, 60 * MIB, n)
                   for n, (source, _) in enumerate(ways)]
        vmm.process.send_signal(signal.SIGSTOP)
        tap.ok(any(r.is_alive() for r in readers), "all is done already")
        time.sleep(PAUSE_S)  # the pause is what is tested
        vmm.process.send_signal(signal.SIGCONT)
        for writer, reader in zip(writers, readers):
            tap.equal(reader.join(90 * tap.scale()),
                      (60 * MIB, writer.join(1)), "bytes and SHA-256")
        traffic.greet_ends(*idle)
        traffic.greet_ends(*published)
        udp.send(b"after")
        tap.equal(udp.recv(100), b"after", "echo")
        for sock in (*sum(pairs, ()), *idle, *published, udp):
            sock.close()


@tap.case("a server's connects to a paused guest are made when it is back")
def _():
    with kernel() as vmm, GUEST.listen(port=80) as inside:
        vmm.process.send_signal(signal.SIGSTOP)
        client = HOST.connect("127.0.0.1", 8080)
        client.sendall(b"hello")
        time.sleep(2)  # the pause is what is tested
        vmm.process.send_signal(signal.SIGCONT)
        inside.settimeout(10 * tap.scale())
        server, _ = inside.accept()
        server.settimeout(10 * tap.scale())
        tap.equal(server.recv(5), b"hello", "data")
        client.close()
        server.close()


@tap.case("another MAC in the same session is refused and counted")
def _():
    with by_hand() as wire:
        wire.alive()
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        for frame in (frames.echo(), frames.arp(rig.GATEWAY),
                      frames.segment(hand.sport, PORT, flags=frames.RST,
                                     seq=hand.seq)):
            wire.send(frame[:6] + frames.mac(OTHER_MAC) + frame[12:])
        packet = wire.expect(lambda p: p.proto == frames.ICMP or
                             p.kind == frames.ETH_ARP, 0.3)
        tap.equal(packet and packet.frame.hex(), None, "an answer")
        hand.say(frames.ACK | frames.PSH, b"alive")
        server.settimeout(10 * tap.scale())
        tap.equal(server.recv(5), b"alive", "data of the first")
        hand.reset()
        server.close()


@tap.case("the next session's guest may have another MAC")
def _():
    with Session(lambda: sidecar.Vmm(WORLD, CAR.path, mac=OTHER_MAC)):
        ends = traffic.pair(GUEST, rig.SERVER, LISTENER)
        traffic.greet_ends(*ends)
        for sock in ends:
            sock.close()
    with kernel():
        ends = traffic.pair(GUEST, rig.SERVER, LISTENER)
        traffic.greet_ends(*ends)
        for sock in ends:
            sock.close()


@tap.case("a VMM that comes back: servers see a reset, and the guest's old "
          "connections are reset as soon as they speak")
def _():
    with by_hand() as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        idle = segments.Hand(wire, PORT)
        _, idle_server = idle.open(LISTENER)
    for sock in (server, idle_server):
        sock.settimeout(10 * tap.scale())
        tap.raises([errno.ECONNRESET], sock.recv, 1)
        sock.close()
    with by_hand() as wire:  # as a snapshot that is restored
        for old in (hand, idle):
            old.wire = wire
            old.say(frames.ACK | frames.PSH, b"still there?")
            reply = old.hear()
            tap.ok(reply and reply.flags & frames.RST, "no RST")
            tap.equal(reply.seq, old.ack, "its sequence number")
        fresh = segments.Hand(wire, PORT, hand.sport, isn=7)
        _, server = fresh.open(LISTENER)
        fresh.reset()
        server.close()


@tap.case("a kernel guest's old connections fail at once after a restore")
def _():
    with kernel():
        guest, server = traffic.pair(GUEST, rig.SERVER, LISTENER)
        traffic.greet_ends(guest, server)
    server.close()
    with kernel(), guest:
        guest.settimeout(10 * tap.scale())
        start = time.monotonic()
        tap.raises([errno.ECONNRESET, errno.EPIPE], traffic.fill, guest)
        took = time.monotonic() - start
        tap.note("%.3f s" % took)
        tap.ok(took < 2 * tap.scale(), "took %.1f s" % took)


def dhcp(kind):
    """A DHCP message of the guest's, of this type."""
    body = bytes([1, 1, 6, 0]) + b"BOOT" + bytes(20) \
        + frames.mac(rig.GUEST_MAC) + bytes(10 + 64 + 128) \
        + b"\x63\x82\x53\x63" + bytes([53, 1, kind])
    if kind == 3:
        body += b"\x32\x04" + frames.ip(rig.GUEST)
    return frames.datagram(body + b"\xff", 68, 67, src="0.0.0.0",
                           dst=frames.ALL, to=frames.BROADCAST)


@tap.case("a guest that asks for its lease anew has rebooted: its old "
          "connections are reset")
def _():
    with by_hand() as wire:
        wire.alive()
        for kind in (1, 3):
            wire.send(dhcp(kind))
            tap.ok(wire.expect(lambda p: p.proto == frames.UDP), "no lease")
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        wire.send(dhcp(1))
        server.settimeout(10 * tap.scale())
        tap.raises([errno.ECONNRESET], server.recv, 1)
        server.close()


@tap.case("400 idle connections outlive a pause")
def _():
    with kernel() as vmm:
        pairs = []
        for _ in range(400):  # within the budget's burst
            pairs.append(traffic.pair(GUEST, rig.SERVER, LISTENER))
        vmm.process.send_signal(signal.SIGSTOP)
        time.sleep(2)  # the pause is what is tested
        vmm.process.send_signal(signal.SIGCONT)
        for guest, server in pairs:
            traffic.greet_ends(guest, server)
            guest.close()
            server.close()


@tap.case("every frame of a foreign MAC is counted")
def _():
    CAR.terminate()
    lines = " ".join(CAR.log.find("counters:"))
    tap.ok("drop-foreign-mac=3" in lines, lines)
    tap.ok("guest-reboots=" in lines, lines)


tap.run(sidecar.tell(CAR))
