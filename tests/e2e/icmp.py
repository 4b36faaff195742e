#!/usr/bin/python3
"""Echoes: to the outside by the host's ping sockets, to the gateway, and to
those that cannot be reached; none is ever made up."""

import os
import select
import shutil
import socket
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
PING_GROUPS = "ipv4/ping_group_range"
SIZES = (0, 1, 56, 1400, 1472, 1473, 8000)
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_PROBE = 10, 23, 3  # Linux
FORBIDDEN_ECHO = "1 0"  # nobody: the kernel's default

WORLD = rig.World(ip6=True)
WORLD.add_router()
WORLD.host.sysctl(PING_GROUPS, "0 2147483647")
CAR = sidecar.Sidecar(WORLD)
VMM = sidecar.Vmm(WORLD, CAR.path)
GUEST = WORLD.guest


class Pinger:
    """A raw socket of the guest's: it says and sees identifiers itself."""

    def __init__(self, address):
        self.address = address
        self.ip6 = ":" in address
        self.sock = GUEST.socket(
            socket.SOCK_RAW, rig.family_of(address),
            socket.IPPROTO_ICMPV6 if self.ip6 else socket.IPPROTO_ICMP)
        self.sock.settimeout(3 * tap.scale())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def forbid_fragments(self):
        """Whatever is known of the path."""
        level, option = (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) \
            if self.ip6 else (socket.IPPROTO_IP, IP_MTU_DISCOVER)
        self.sock.setsockopt(level, option, PMTUDISC_PROBE)

    def send(self, ident, seq, data):
        kind = 128 if self.ip6 else 8
        message = struct.pack("!BBHHH", kind, 0, 0, ident, seq) + data
        if not self.ip6:  # the kernel sums ICMPv6
            value = struct.pack("!H", frames.checksum(message))
            message = message[:2] + value + message[4:]
        self.sock.sendto(message, (self.address, 0))

    def receive(self, timeout_s=3):
        """(type, code, who, the bytes after the checksum), or None."""
        while select.select([self.sock], [], [], timeout_s * tap.scale())[0]:
            data, source = self.sock.recvfrom(65535)
            if not self.ip6:
                data = data[(data[0] & 15) * 4:]
            if data[0] in (8, 128) or 133 <= data[0] <= 143:
                continue  # our own on its way, or neighbour discovery
            return data[0], data[1], source[0].split("%")[0], data[4:]
        return None

    def echoed(self, ident, seq, data):
        self.send(ident, seq, data)
        want = (129 if self.ip6 else 0, 0, self.address,
                struct.pack("!HH", ident, seq) + data)
        got = self.receive()
        tap.ok(got == want, "%s, %d bytes: got %r"
               % (self.address, len(data), got and got[:3]))


@tap.case("an echo of each size comes back, identifier and sequence kept")
def _():
    for address in (rig.SERVER, rig.SERVER6, rig.SERVER2, rig.SERVER6_2):
        with Pinger(address) as pinger:
            for number, size in enumerate(SIZES):
                pinger.echoed(0xabcd, 65530 + number & 0xffff,
                              os.urandom(size))


@tap.case("identifiers and destinations at once are not mixed up")
def _():
    for address, other in ((rig.SERVER, rig.SERVER2),
                           (rig.SERVER6, rig.SERVER6_2)):
        with Pinger(address) as one, Pinger(other) as two:
            for ident in range(20):
                one.send(ident, ident + 1, b"one %d" % ident)
                two.send(ident, ident + 2, b"two %d" % ident)
            seen = {}
            for _ in range(40):
                got = one.receive()
                tap.ok(got, "only %d came" % len(seen))
                ident, seq = struct.unpack("!HH", got[3][:4])
                seen[got[2], ident] = seq, got[3][4:]
            for ident in range(20):
                tap.equal(seen[address, ident],
                          (ident + 1, b"one %d" % ident), "one")
                tap.equal(seen[other, ident],
                          (ident + 2, b"two %d" % ident), "two")


@tap.case("the gateway answers for itself, whatever the size")
def _():
    for address in (rig.GATEWAY, rig.GATEWAY6):
        with Pinger(address) as pinger:
            for size in SIZES:
                pinger.echoed(7, size, os.urandom(size))


@tap.case("an address that nobody has gets no answer, faked or other")
def _():
    for address in (rig.FILTERED, rig.FILTERED6):
        with Pinger(address) as pinger:
            pinger.send(7, 1, b"anybody?")
            tap.equal(pinger.receive(0.5), None, "answer")


def embedded(message, ip6):
    """What an ICMP error says it is about: (destination, its payload's length,
    bytes behind)."""
    inner = message[4:]
    if ip6:
        return (frames.text_of(inner[24:40]),
                struct.unpack("!H", inner[4:6])[0], inner[40:])
    head = (inner[0] & 15) * 4
    return (frames.text_of(inner[16:20]),
            struct.unpack("!H", inner[2:4])[0] - head, inner[head:])


def refused(address, want, who, then=None, size=56, whole=False):
    with Pinger(address) as pinger:
        if whole:
            pinger.forbid_fragments()
        for seq in (0xfff5, 0xfff6):
            pinger.send(0x1234, seq, b"x" * size)
            got = pinger.receive()
            tap.ok(got, "%s: nothing came" % address)
            tap.equal(got[:3], (*want, who), "type, code, who")
            dst, length, echo = embedded(got[3], pinger.ip6)
            tap.equal(dst, address, "the destination it names")
            tap.equal(length, 8 + size, "the length it names")
            tap.equal(echo[0], 128 if pinger.ip6 else 8, "the type it names")
            tap.equal(echo[4:8], struct.pack("!HH", 0x1234, seq),
                      "the identifier and the number it names")
            who = then or who


@tap.case("where the host has no way, or policy forbids, an error says so")
def _():
    refused(rig.UNREACHABLE, (3, 1), rig.GATEWAY)
    refused(rig.UNREACHABLE6, (1, 3), rig.GATEWAY6)
    for address in (rig.FORBIDDEN["link-local metadata"],
                    rig.PRIVATE["10/8"], rig.HOST):
        refused(address, (3, 13), rig.GATEWAY)
    for address in (rig.FORBIDDEN6["NAT64 of metadata"],
                    rig.PRIVATE6["fc00::/7"], rig.HOST6):
        refused(address, (1, 1), rig.GATEWAY6)


@tap.case("an error of a router far away comes back as that router's")
def _():
    refused(rig.FAR_UNREACHABLE, (3, 1), rig.SERVER)
    refused(rig.FAR_UNREACHABLE6, (1, 0), rig.SERVER6)


@tap.case("an echo too long for a path far away is told so, by the router and "
          "then by the gateway, and which it was")
def _():
    refused(rig.FAR_NARROW, (3, 4), rig.SERVER, rig.GATEWAY, 1472, True)
    refused(rig.FAR_NARROW6, (2, 0), rig.SERVER6, rig.GATEWAY6, 1452, True)


@tap.case("a packet whose time to live is spent gets no further than the "
          "gateway, which says so")
def _():
    for address, level, option, want, who in (
            (rig.SERVER, socket.IPPROTO_IP, socket.IP_TTL, (11, 0),
             rig.GATEWAY),
            (rig.SERVER6, socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS,
             (3, 0), rig.GATEWAY6)):
        with Pinger(address) as pinger:
            pinger.sock.setsockopt(level, option, 1)
            for size in (56, 3000):
                pinger.send(0x1234, 5, b"x" * size)
                got = pinger.receive()
                tap.ok(got, "%s: nothing came" % address)
                tap.equal(got[:3], (*want, who), "type, code, who")
                tap.equal(embedded(got[3], pinger.ip6)[0], address,
                          "the destination it names")
            pinger.sock.setsockopt(level, option, 2)
            pinger.echoed(7, 1, b"one hop more")


@tap.case("ping, and fping of many at once, succeed")
def _():
    if shutil.which("ping") is None:
        tap.skip("no ping: install iputils-ping")
    for address in (rig.SERVER, rig.SERVER6, rig.GATEWAY, rig.GATEWAY6):
        done = GUEST.run(["ping", "-n", "-c", "5", "-i", "0.05", "-W", "10",
                          address])
        tap.equal(done.returncode, 0, "ping: " + done.stdout + done.stderr)
        tap.ok(" 0% packet loss" in done.stdout, done.stdout)
    if shutil.which("fping") is None:
        tap.skip("no fping: install fping")
    # It waits for an answer as long as until the next question, if not told.
    done = GUEST.run(["fping", "-q", "-c", "20", "-p", "20", "-t", "5000",
                      rig.SERVER, rig.SERVER2, rig.GATEWAY])
    tap.equal(done.stderr.count("xmt/rcv/%loss = 20/20/0%"), 3, done.stderr)


@tap.case("where the host forbids ping sockets, none is answered, and one "
          "line names the setting")
def _():
    WORLD.host.sysctl(PING_GROUPS, FORBIDDEN_ECHO)
    VMM.kill()
    car = sidecar.Sidecar(WORLD)
    vmm = sidecar.Vmm(WORLD, car.path)
    for address in (rig.SERVER, rig.SERVER6):
        with Pinger(address) as pinger:
            for seq in range(5):
                pinger.send(7, seq, b"hello")
            tap.equal(pinger.receive(0.5), None, "answer")
    with Pinger(rig.GATEWAY) as pinger:
        pinger.echoed(7, 1, b"the gateway is not the outside")
    car.terminate()
    lines = [line for line in car.log.all() if "ping_group_range" in line]
    tap.equal(len(lines), 1, "lines that name it, of %r" % lines)
    tap.note(lines[0])
    tap.ok(car.log.find(r"pings_refused=10\b"), "not counted: %r"
           % car.log.find("pings_refused"))
    vmm.kill()


tap.run(sidecar.tell(CAR))
