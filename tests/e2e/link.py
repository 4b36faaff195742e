#!/usr/bin/python3
"""The frame stream and the link: framing, ARP, ping, and whose frames count."""

import os
import re
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
FOREIGN_MAC = "02:00:00:00:be:ef"
ATTACHED_PER_S = 200  # VMMs whose coming is logged, and as many at once
WORLD = rig.World()
CAR = sidecar.Sidecar(WORLD, "-p", "8080:80", "--connect-rate", "10000")
SERVER = WORLD.server.listen()
PORT = rig.port_of(SERVER)
SESSIONS = [0]


class Session(frames.Wire):
    """One VMM's stay; waits until the sidecar has seen it go."""

    def __init__(self):
        super().__init__(CAR.path)
        SESSIONS[0] += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        gone(SESSIONS[0])


def gone(count):
    CAR.log.wait("vmm gone", count=count)


@tap.case("on attach the guest hears a gratuitous ARP of the gateway")
def _():
    with Session() as wire:
        packet = wire.expect(lambda p: p.kind == frames.ETH_ARP)
        tap.equal(packet.frame[22:32], frames.mac(rig.GATEWAY_MAC)
                  + frames.ip(rig.GATEWAY), "sender")
        tap.equal(packet.frame[38:42], frames.ip(rig.GATEWAY), "target")
        tap.equal(packet.dst, frames.mac(frames.BROADCAST), "destination")


@tap.case("the gateway answers ARP for itself and for nobody else")
def _():
    with Session() as wire:
        wire.alive()
        for target in (rig.GUEST, "100.96.0.3", rig.SERVER):
            tap.equal(wire.resolve(target, timeout_s=0.2), None,
                      "who answers for %s" % target)
        # Duplicate address detection, RFC 5227: no sender address yet.
        tap.equal(wire.resolve(rig.GUEST, timeout_s=0.2, sender="0.0.0.0"),
                  None, "who answers a probe of the guest's address")
        wire.alive()


@tap.case("the gateway answers a ping of its address")
def _():
    with Session() as wire:
        for length in (0, 56, 1400):
            data = bytes(range(256)) * 6
            wire.send(frames.echo(data=data[:length]))
            reply = wire.expect(lambda p: p.proto == frames.ICMP)
            tap.equal((reply.type, reply.code), (0, 0), "type and code")
            tap.equal(reply.body[8:], data[:length], "data")
            tap.equal(frames.checksum(reply.body), 0, "checksum")


@tap.case("a ping of another host is not answered by the gateway")
def _():
    with Session() as wire:
        wire.send(frames.echo(dst=rig.SERVER))
        tap.equal(wire.expect(lambda p: p.proto == frames.ICMP and
                              p.type == 0, 0.3), None, "reply")
        wire.alive()


@tap.case("frames of a foreign MAC or address are dropped")
def _():
    with Session() as wire:
        wire.alive()
        sniffer = WORLD.server.sniffer("s0")
        strange = [
            frames.ethernet(frames.ipv4(frames.tcp(1, PORT), frames.TCP),
                            src=FOREIGN_MAC),
            frames.segment(1, PORT, src="100.96.0.9"),
            frames.segment(1, PORT, src=rig.SERVER2),
            frames.segment(1, PORT, src=rig.GATEWAY),
            frames.segment(1, PORT, src="0.0.0.0"),
            frames.segment(1, PORT, src="127.0.0.1"),
            frames.arp(rig.GATEWAY, sender_mac=FOREIGN_MAC, src=FOREIGN_MAC),
        ]
        for frame in strange:
            wire.send(frame)
            tap.equal(wire.receive(timeout_s=0.1), None, "answer")
        wire.alive()
        sniffer.settimeout(0.05)
        try:
            while True:
                packet = frames.Packet(sniffer.recv(65535))
                tap.ok(packet.proto is None, packet.frame.hex())
        except TimeoutError:
            pass
        sniffer.close()


@tap.case("who sends from a foreign MAC or address is named once a session, "
          "with the option that tells sallyport of it")
def _():
    for what, option, strange in (
            (FOREIGN_MAC, "--mac " + FOREIGN_MAC,
             frames.arp(rig.GATEWAY, sender_mac=FOREIGN_MAC,
                        src=FOREIGN_MAC)),
            ("100.96.0.9", "--address",
             frames.segment(1, PORT, src="100.96.0.9")),
            ("100.96.0.10", "--address",
             frames.arp(rig.GATEWAY, sender="100.96.0.10")),
            ("2001:db8:9::5", "--address6",
             frames.echo6(src="2001:db8:9::5"))):
        said = r"%s are dropped: the guest is .*%s\b" % (what, option)
        before = len(CAR.log.find(said))
        for session in (1, 2):
            with Session() as wire:
                wire.alive()
                for _ in range(3):
                    wire.send(strange)
                wire.alive()
            tap.equal(len(CAR.log.find(said)) - before, session,
                      "lines about " + what)


@tap.case("what has no address yet, or says that it is the gateway, is no "
          "reason to warn")
def _():
    before = len(CAR.log.find("are dropped: the guest"))
    with Session() as wire:
        wire.alive()
        for strange in (
                frames.segment(1, PORT, src="0.0.0.0"),
                frames.arp(rig.GATEWAY, op=2, sender="0.0.0.0"),
                frames.segment(1, PORT, src=rig.GATEWAY),
                frames.echo6(src="fe80::5"),
                frames.echo6(src="::"),
                frames.echo6(src=rig.GATEWAY6),
                frames.arp(rig.GATEWAY, sender_mac=rig.GATEWAY_MAC,
                           src=rig.GATEWAY_MAC)):
            wire.send(strange)
        wire.alive()
    tap.equal(len(CAR.log.find("are dropped: the guest")), before, "lines")


@tap.case("a guest that claims the gateway's address changes nothing")
def _():
    with Session() as wire:
        wire.alive()
        wire.send(frames.arp(rig.GATEWAY, op=2, sender=rig.GATEWAY))
        wire.send(frames.arp(rig.GATEWAY, op=1, sender=rig.GATEWAY))
        wire.alive()


@tap.case("a frame may come a byte at a time, and two in one piece")
def _():
    with Session() as wire:
        tap.equal(wire.resolve(piece=1), frames.mac(rig.GATEWAY_MAC),
                  "who answers")
        one = frames.arp(rig.GATEWAY)
        data = frames.framed(one)
        for cut in range(1, len(data)):
            wire.sock.sendall(data + data[:cut])
            tap.ok(wire.expect(lambda p: p.kind == frames.ETH_ARP),
                   "no answer before the cut at %d" % cut)
            wire.sock.sendall(data[cut:])
            tap.ok(wire.expect(lambda p: p.kind == frames.ETH_ARP),
                   "no answer after the cut at %d" % cut)


@tap.case("lengths that no frame has end the connection, and are named")
def _():
    for length in (0, 1, 13, 65551, 1 << 31, (1 << 32) - 1):
        with Session() as wire:
            wire.alive()
            wire.sock.sendall(struct.pack("!I", length) + bytes(64))
            tap.ok(wire.ended(), "a length of %d is taken" % length)
        CAR.log.wait(r"\b%d bytes" % length)


@tap.case("frames of 14 and of 65,550 bytes are taken")
def _():
    with Session() as wire:
        wire.alive()
        for length in (14, 15, 65549, 65550):
            wire.send(frames.ethernet(bytes(length - 14)))
            wire.alive()


@tap.case("a second VMM is refused, and the log says whose it was")
def _():
    with Session() as wire:
        wire.alive()
        other = frames.Wire(CAR.path)
        tap.ok(other.ended(), "the second VMM stays connected")
        other.close()
        line = CAR.log.wait("second")
        tap.ok(re.search(r"pid %d\b.*uid 0" % os.getpid(), line), line)
        wire.alive()


@tap.case("a VMM may go and come back at once, a hundred times")
def _():
    for _ in range(100):
        wire = frames.Wire(CAR.path)
        SESSIONS[0] += 1
        wire.alive()
        wire.close()
    gone(SESSIONS[0])


@tap.case("one that does so without end does not fill the log")
def _():
    car = sidecar.Sidecar(WORLD)
    start, came = time.monotonic(), 0
    while (took := time.monotonic() - start) < 1:
        with socket.socket(socket.AF_UNIX) as vmm:
            vmm.connect(car.path)
        came += 1
    time.sleep(1)
    wire = frames.Wire(car.path)
    wire.alive()
    car.log.wait("guest MAC is")  # what was to be said before, has been
    lines = car.log.find("vmm ")
    tap.note("%d came in %.1f s, %d lines" % (came, took, len(lines)))
    # A slow machine does not come so often that some have no line.
    tap.ok(car.log.find("came without a line") or
           came <= 2 * ATTACHED_PER_S * max(1, took), "none without a line")
    tap.ok(len(lines) < 1000 * max(1, took), "%d lines" % len(lines))
    tap.ok("attached" in lines[-1], lines[-1])
    wire.close()
    car.terminate()


@tap.case("when the VMM goes, its flows are reset; the next one can publish")
def _():
    vmm = sidecar.Vmm(WORLD, CAR.path)
    SESSIONS[0] += 1
    guest, server = traffic.pair(WORLD.guest, rig.SERVER, SERVER)
    inside = WORLD.guest.listen(port=80)
    client, accepted = traffic.pair(WORLD.host, "127.0.0.1", inside, 8080)
    traffic.greet_ends(guest, server)
    traffic.greet_ends(client, accepted)
    vmm.kill()
    for sock in (server, client):
        sock.settimeout(10 * tap.scale())
        try:
            data = sock.recv(1)
            tap.ok(False, "an orderly end, or data: %r" % data)
        except ConnectionResetError:
            pass
    gone(SESSIONS[0])
    vmm = sidecar.Vmm(WORLD, CAR.path)
    SESSIONS[0] += 1
    CAR.wait_attached()
    for sock in (guest, server, client, accepted):
        sock.close()
    client, accepted = traffic.pair(WORLD.host, "127.0.0.1", inside, 8080)
    traffic.greet_ends(client, accepted)
    guest, server = traffic.pair(WORLD.guest, rig.SERVER, SERVER)
    traffic.greet_ends(guest, server)
    for sock in (guest, server, client, accepted, inside):
        sock.close()
    vmm.kill()
    gone(SESSIONS[0])


@tap.case("a segment of no connection is answered with RST")
def _():
    with Session() as wire:
        wire.send(frames.segment(40000, PORT, flags=frames.ACK, seq=100,
                                 ack=7777, data=b"from before a snapshot"))
        reply = wire.expect(lambda p: p.proto == frames.TCP)
        tap.ok(reply and reply.flags & frames.RST, "no RST")
        tap.equal(reply.seq, 7777, "sequence number")


@tap.case("a SYN that comes twice is one connection")
def _():
    with Session() as wire:
        syn = frames.segment(40001, PORT, seq=1000)
        for _ in range(5):
            wire.send(syn)
        server, _ = SERVER.accept()
        reply = wire.expect(lambda p: p.proto == frames.TCP)
        tap.equal(reply.flags & 0x3f, frames.SYN | frames.ACK, "flags")
        tap.equal(reply.ack, 1001, "acknowledgment")
        SERVER.settimeout(0.3)
        tap.raises([None], SERVER.accept)
        SERVER.settimeout(30)
        wire.send(frames.segment(40001, PORT, flags=frames.RST, seq=1001))
        server.close()


@tap.case("a SYN with a new sequence number resets the old connection")
def _():
    with Session() as wire:
        def handshake(seq):
            wire.send(frames.segment(40002, PORT, seq=seq))
            reply = wire.expect(lambda p: p.proto == frames.TCP and
                                p.flags & frames.SYN)
            tap.equal(reply.ack, seq + 1, "acknowledgment")
            wire.send(frames.segment(40002, PORT, flags=frames.ACK,
                                     seq=seq + 1, ack=reply.seq + 1))
            return SERVER.accept()[0]

        old = handshake(1000)
        new = handshake(900000)
        old.settimeout(10 * tap.scale())
        try:
            tap.ok(False, "the old one ends with %r" % old.recv(1))
        except ConnectionResetError:
            pass
        old.close()
        new.close()


@tap.case("a VMM that never reads may still send, at bounded cost")
def _():
    with Session() as wire:
        wire.alive()
        before = sidecar.pss_kib(CAR.children()["netproc"])
        ping = frames.echo(data=bytes(1400))
        data = frames.framed(ping) * 64
        for _ in range(1000):
            wire.sock.sendall(data)  # a stuck reader would time out here
        after = sidecar.pss_kib(CAR.children()["netproc"])
        tap.note("PSS %d KiB, then %d KiB" % (before, after))
        tap.ok(after - before < 16384 or sidecar.sanitized(),
               "grew by %d KiB" % (after - before))
        wire.alive()


@tap.case("every frame that leaves fits the link")
def _():
    # The shuttle ends when one does not; this is the same by hand.
    with Session() as wire:
        wire.send(frames.segment(40010, PORT, seq=1, options=b"\2\4\5\xb4"))
        reply = wire.expect(lambda p: p.proto == frames.TCP)
        server, _ = SERVER.accept()
        wire.send(frames.segment(40010, PORT, flags=frames.ACK, seq=2,
                                 ack=reply.seq + 1))
        server.sendall(bytes(60000))
        longest, total, ack = 0, 0, reply.seq + 1
        while total < 60000:
            packet = wire.expect(lambda p: p.proto == frames.TCP and p.data)
            tap.ok(packet, "only %d bytes came" % total)
            longest = max(longest, len(packet.frame))
            total += len(packet.data)
            ack = packet.seq + len(packet.data)
            wire.send(frames.segment(40010, PORT, flags=frames.ACK, seq=2,
                                     ack=ack))
        tap.equal(longest, 1514, "longest frame")
        server.close()


def check_padding(packet, ends):
    """No shorter than Ethernet's frames are, and nothing but zeroes."""
    tap.ok(packet, "no frame")
    tap.ok(len(packet.frame) >= 60, "%d bytes" % len(packet.frame))
    tap.equal(packet.frame[ends:].strip(b"\0"), b"", "padding")


@tap.case("no frame is shorter than Ethernet's, and what fills it is zeroes")
def _():
    with Session() as wire:
        wire.send(frames.arp(rig.GATEWAY))
        check_padding(wire.expect(lambda p: p.kind == frames.ETH_ARP), 42)
        wire.send(frames.echo(data=b"x"))
        check_padding(wire.expect(lambda p: p.proto == frames.ICMP), 43)
        wire.send(frames.segment(40011, PORT, seq=1, options=b"\2\4\5\xb4"
                                 b"\3\3\x07\0"))
        reply = wire.expect(lambda p: p.proto == frames.TCP)
        server, _ = SERVER.accept()
        ack = reply.seq + 1
        # Of the last, a byte is left when the segment has been cut in two.
        for part in (b"x", b"y" * 1461):
            wire.send(frames.segment(40011, PORT, flags=frames.ACK, seq=2,
                                     ack=ack))
            server.sendall(part)
            got = b""
            while len(got) < len(part):
                packet = wire.expect(lambda p: p.proto == frames.TCP
                                     and p.data)
                check_padding(packet, 54 + len(packet.data))
                got += packet.data
            tap.equal(got, part, "data")
            ack += len(part)
        wire.send(frames.segment(40011, PORT, flags=frames.RST, seq=2))
        server.close()


@tap.case("--mac lets in that guest alone")
def _():
    car = sidecar.Sidecar(WORLD, "--mac", rig.GUEST_MAC)
    wire = frames.Wire(car.path)
    tap.equal(wire.resolve(timeout_s=0.3, src=FOREIGN_MAC,
                           sender_mac=FOREIGN_MAC), None, "a foreign MAC")
    wire.alive()
    wire.close()
    car.terminate()


tap.run(sidecar.tell(CAR))
