#!/usr/bin/python3
"""UDP: every size, one mapping for one port, and errors that come back."""

import errno
import os
import select
import signal
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import datagrams  # noqa: E402
import frames  # noqa: E402
import nd  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
SIZES = (0, 1, 2, 63, 512, 1231, 1232, 1452, 1453, 1472, 1473, 4000, 9000,
         32768, 65507)
LONGEST6 = 65527
SECOND = {rig.SERVER: rig.SERVER2, rig.SERVER6: rig.SERVER6_2}
BOTH = (rig.SERVER, rig.SERVER6)
ASSOCIATIONS = 300
COUNT = 50000
PER_S = 12000
SERVICE = 5353
BURST = 40

WORLD = rig.World(ip6=True)
WORLD.add_router()
CAR = sidecar.Sidecar(WORLD, "--host-service", "53535:%d" % SERVICE)
VMM = sidecar.Vmm(WORLD, CAR.path)
GUEST, HOST, SERVER = WORLD.guest, WORLD.host, WORLD.server


class Echo:
    """A server, and what it has seen: [((address, port), size)]."""

    def __init__(self, address, namespace=SERVER):
        self.sock = namespace.udp(address)
        self.address = address
        self.port = rig.port_of(self.sock)
        self.seen = datagrams.echo_server(self.sock)


ECHO = {address: Echo(address) for address in
        (*BOTH, *SECOND.values(), rig.NARROW, rig.NARROW6)}


def client(address, **how):
    return datagrams.connected(GUEST, address, ECHO[address].port, **how)


def round_trip(sock, data):
    sock.send(data)
    answer = sock.recv(65536)
    tap.ok(answer == data, "%d bytes became %d" % (len(data), len(answer)))


@tap.case("a datagram of each size from nothing to 64 KiB comes back as it "
          "was")
def _():
    noise = os.urandom(LONGEST6)
    for address in BOTH:
        with client(address) as sock:
            for size in SIZES:
                round_trip(sock, noise[:size])
        tap.equal([size for _, size in ECHO[address].seen], list(SIZES),
                  "what the server saw")
    with client(rig.SERVER6) as sock:
        round_trip(sock, noise)


@tap.case("what the guest has cut up passes a narrower path of the host's")
def _():
    for address in (rig.NARROW, rig.NARROW6):
        with client(address) as sock:
            for size in (1473, 4000, 60000):
                round_trip(sock, os.urandom(size))


@tap.case("one port of the guest's is one port of the host's, whoever is "
          "asked")
def _():
    for address in BOTH:
        first, second = ECHO[address], ECHO[SECOND[address]]
        with GUEST.udp("::" if ":" in address else "0.0.0.0") as sock:
            for echo in (first, second, first):
                sock.sendto(b"who am I", (echo.address, echo.port))
                data, source = sock.recvfrom(100)
                tap.equal(source[:2], (echo.address, echo.port), "who")
        tap.equal(first.seen[-1][0], second.seen[-1][0], "the mapping")
        tap.equal(first.seen[-1], first.seen[-2], "and again")


@tap.case("the guest's port is kept where the host has it free, and another "
          "is taken where not")
def _():
    for address in BOTH:
        anywhere = "::" if ":" in address else "0.0.0.0"
        echo = ECHO[address]
        with GUEST.udp(anywhere) as sock:
            sock.sendto(b"free", (address, echo.port))
            sock.recv(100)
            tap.equal(echo.seen[-1][0][1], rig.port_of(sock), "port")
        with GUEST.udp(anywhere) as sock, HOST.udp(
                anywhere, rig.port_of(sock)):
            sock.sendto(b"taken", (address, echo.port))
            sock.recv(100)
            tap.ok(echo.seen[-1][0][1] != rig.port_of(sock), "two owners")


def strangers(address, guest, sender_port, timeout_s=0.3):
    """Datagrams from a third party and from another port of the server."""
    host = rig.HOST6 if ":" in address else rig.HOST
    guest.settimeout(timeout_s * tap.scale())
    got = []
    for source in (SECOND[address], address):
        with SERVER.udp(source) as sock:
            sock.sendto(source.encode(), (host, sender_port))
        try:
            got.append(guest.recvfrom(100)[1][0])
        except TimeoutError:
            pass
    return got


@tap.case("a third party's datagram is not delivered, nor one from another "
          "port")
def _():
    for address in BOTH:
        with client(address) as sock:
            # A connected socket would filter for itself.
            with GUEST.udp("::" if ":" in address else "0.0.0.0") as guest:
                guest.sendto(b"x", (address, ECHO[address].port))
                guest.recv(100)
                port = ECHO[address].seen[-1][0][1]
                tap.equal(strangers(address, guest, port), [], "strangers")
            round_trip(sock, b"still here")


@tap.case("%d associations at once get each its own answers" % ASSOCIATIONS)
def _():
    for address in BOTH:
        socks = [client(address) for _ in range(ASSOCIATIONS // 2)]
        for turn in range(2):
            for number, sock in enumerate(socks):
                sock.send(b"%d %d" % (number, turn))
            for number, sock in enumerate(socks):
                tap.equal(sock.recv(100), b"%d %d" % (number, turn), "answer")
        for sock in socks:
            sock.close()


@tap.case("a closed port is told to the guest by the server's own ICMP")
def _():
    for address, kind, code in ((rig.SERVER, 3, 3), (rig.SERVER6, 1, 4)):
        with datagrams.connected(GUEST, address, 9) as sock:
            sock.send(b"x")
            tap.raises([errno.ECONNREFUSED], sock.recv, 1)
        with datagrams.connected(GUEST, address, 9, errors=True) as sock:
            sock.send(b"x")
            tap.equal(datagrams.error_of(sock), (
                errno.ECONNREFUSED, kind, code, 0, address), "error")


@tap.case("what the host has no way to is told to the guest")
def _():
    for address in (rig.UNREACHABLE, rig.UNREACHABLE6):
        with datagrams.connected(GUEST, address, 9, errors=True) as sock:
            sock.send(b"x")
            got = datagrams.error_of(sock)
            tap.note(got)
            tap.ok(got[0] in (errno.EHOSTUNREACH, errno.ENETUNREACH), got)


@tap.case("what a router far away cannot reach or may not is told to the "
          "guest, and who said so")
def _():
    for address, want, kinds, router in (
            (rig.FAR_UNREACHABLE, errno.EHOSTUNREACH, (3, 1), rig.SERVER),
            (rig.FAR_PROHIBITED, errno.EHOSTUNREACH, (3, 13), rig.SERVER),
            (rig.FAR_UNREACHABLE6, errno.ENETUNREACH, (1, 0), rig.SERVER6),
            (rig.FAR_PROHIBITED6, errno.EACCES, (1, 1), rig.SERVER6)):
        with datagrams.connected(GUEST, address, 9, errors=True) as sock:
            sock.send(b"x")
            got = datagrams.error_of(sock)
            tap.note("%s: %r" % (address, got))
            tap.equal((got[0], got[4]), (want, router), "error")
            tap.equal(got[1:3], kinds, "type and code")


def unreachable_says(mapped, port):
    """ICMP of the server's: the host cannot get there from mapped."""
    about = frames.ipv4(frames.udp(b"x", mapped[1], port, *mapped[:1],
                                   rig.SERVER), frames.UDP, mapped[0])
    message = struct.pack("!BBHI", 3, 1, 0, 0) + about
    value = struct.pack("!H", frames.checksum(message))
    with SERVER.socket(socket.SOCK_RAW, proto=socket.IPPROTO_ICMP) as raw:
        raw.sendto(message[:2] + value + message[4:], (mapped[0], 0))


@tap.case("an error about one peer spoils nothing for another, even where a "
          "flood has left no room for its reason")
def _():
    relayproc = CAR.children()["relayproc"]
    with SERVER.udp(rig.SERVER) as hostile, \
            SERVER.udp(rig.SERVER2) as other, GUEST.udp() as sock:
        sock.setsockopt(socket.IPPROTO_IP, datagrams.IP_RECVERR, 1)
        sock.sendto(b"x", (rig.SERVER, rig.port_of(hostile)))
        mapped = hostile.recvfrom(100)[1]
        os.kill(relayproc, signal.SIGSTOP)
        try:
            sock.sendto(b"wanted", (rig.SERVER2, rig.port_of(other)))
            time.sleep(0.1 * tap.scale())  # netproc has passed it on
            for _ in range(3000):
                hostile.sendto(bytes(1400), mapped)
            unreachable_says(mapped, rig.port_of(hostile))
        finally:
            os.kill(relayproc, signal.SIGCONT)
        tap.equal(other.recv(100), b"wanted", "what came")


@tap.case("a neighbour that does not exist is told to the guest, and not by "
          "which address the host is its neighbour")
def _():
    for address, gateway in ((rig.NOBODY, rig.GATEWAY),
                             (rig.NOBODY6, rig.GATEWAY6)):
        with datagrams.connected(GUEST, address, 9, errors=True) as sock:
            sock.send(b"x")
            got = datagrams.error_of(sock, 10)
            tap.equal((got[0], got[4]), (errno.EHOSTUNREACH, gateway), "error")


def narrows(address, port, size):
    """The guest learns the path's MTU and can then send what fits."""
    with datagrams.connected(GUEST, address, port, errors=True,
                             whole=True) as sock:
        sock.send(bytes(size))
        got = datagrams.error_of(sock)
        tap.equal((got[0], got[3]), (errno.EMSGSIZE, rig.NARROW_MTU), "error")
        tap.equal(datagrams.path_mtu(sock), rig.NARROW_MTU, "path MTU")
        tap.raises([errno.EMSGSIZE], sock.send, bytes(size))
        sock.send(bytes(rig.NARROW_MTU - (48 if ":" in address else 28)))


@tap.case("a datagram too long for the host's own path tells the guest the "
          "MTU")
def _():
    for address, size in ((rig.NARROW, 1472), (rig.NARROW6, 1452)):
        narrows(address, ECHO[address].port, size)


@tap.case("a datagram too long for a path far away tells the guest the MTU")
def _():
    for address, size in ((rig.FAR_NARROW, 1472), (rig.FAR_NARROW6, 1452)):
        narrows(address, 9, size)


def denied(address, errnos):
    """Told at once, and never seen on the wire."""
    def told():
        sock.send(b"x")
        got = datagrams.error_of(sock)
        tap.ok(got[0] in errnos, "%s: %r" % (address, got))

    sniffer = SERVER.sniffer("s0")
    with datagrams.connected(GUEST, address, 7777, errors=True) as sock:
        tap.in_time(0.5, told)
    with client(rig.SERVER) as sock:
        round_trip(sock, b"marker")  # what went before is on the wire by now
    sniffer.settimeout(0.05)
    try:
        while True:
            packet = frames.Packet(sniffer.recv(65535))
            tap.ok(packet.proto != frames.UDP or packet.start or
                   packet.dport != 7777, "%s got a packet" % address)
    except TimeoutError:
        pass
    sniffer.close()


@tap.case("what the policy denies is told to the guest as prohibited, and "
          "none sees a packet")
def _():
    for address in (*rig.FORBIDDEN.values(), *rig.PRIVATE.values(),
                    rig.HOST):
        denied(address, [errno.EHOSTUNREACH])
    for address in (*rig.FORBIDDEN6.values(), *rig.PRIVATE6.values(),
                    rig.HOST6):
        denied(address, [errno.EACCES])
    CAR.log.wait("udp.*--unsafe-allow|--unsafe-allow.*udp")


def gateways():
    """The gateway by each of its addresses."""
    return rig.GATEWAY, rig.GATEWAY6, GUEST.scoped(nd.GATEWAY_LL)


@tap.case("a port of the gateway's that nothing serves is a refusal")
def _():
    for address in gateways():
        with datagrams.connected(GUEST, address, 4000) as sock:
            sock.send(b"x")
            tap.raises([errno.ECONNREFUSED], sock.recv, 1)


@tap.case("a host service is reached by UDP, and answers as the gateway")
def _():
    with HOST.udp("127.0.0.1", SERVICE) as service:
        for address in gateways():
            with datagrams.connected(GUEST, address, 53535) as sock:
                sock.send(b"ping")
                data, source = service.recvfrom(100)
                tap.equal((data, source[0]), (b"ping", "127.0.0.1"), "host")
                service.sendto(b"pong", source)
                tap.equal(sock.recv(100), b"pong", "answer")


@tap.case("broadcasts and multicasts go nowhere")
def _():
    sniffer = SERVER.sniffer("s0")
    with GUEST.udp() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for address in ("255.255.255.255", "100.96.0.3", "224.0.0.251",
                        "239.1.2.3"):
            sock.sendto(b"x", (address, 7777))
    with client(rig.SERVER) as sock:
        round_trip(sock, b"marker")
    ready = select.select([sniffer], [], [], 0.1)[0]
    while ready:
        packet = frames.Packet(sniffer.recv(65535))
        tap.ok(packet.proto != frames.UDP or packet.dport != 7777,
               "a packet for %s" % getattr(packet, "ip_dst", None))
        ready = select.select([sniffer], [], [], 0.1)[0]
    sniffer.close()


@tap.case("a datagram without a checksum passes")
def _():
    so_no_check = 11
    with client(rig.SERVER) as sock:
        sock.setsockopt(socket.SOL_SOCKET, so_no_check, 1)
        round_trip(sock, b"unsummed")


def stream(size, upwards, address):
    """COUNT datagrams at an even pace: all come, in their order."""
    with SERVER.udp(address) as server, \
            GUEST.udp("::" if ":" in address else "0.0.0.0") as guest:
        guest.sendto(b"open", (address, rig.port_of(server)))
        _, mapped = server.recvfrom(100)
        source, sink, to = guest, server, (address, rig.port_of(server))
        if not upwards:
            source, sink, to = server, guest, mapped
        took, lost, odd = datagrams.stream(source, sink, COUNT, size,
                                           PER_S / tap.scale(), to)
        tap.note("%s, %d bytes %s: %d lost, %d out of order, %.0f/s" % (
            address, size, "up" if upwards else "down", lost, odd,
            COUNT / took))
        tap.equal((lost, odd), (0, 0), "lost, twice or out of order")


@tap.case("%d datagrams each way are neither lost nor turned about" % COUNT,
          300)
def _():
    for address, size in ((rig.SERVER, 1400), (rig.SERVER, 64),
                          (rig.SERVER6, 1400)):
        for upwards in (True, False):
            stream(size, upwards, address)


@tap.case("--udp-filtering endpoint-independent lets third parties answer")
def _():
    VMM.kill()
    car = sidecar.Sidecar(WORLD, "--udp-filtering", "endpoint-independent")
    vmm = sidecar.Vmm(WORLD, car.path)
    for address in BOTH:
        with GUEST.udp("::" if ":" in address else "0.0.0.0") as guest:
            guest.sendto(b"x", (address, ECHO[address].port))
            guest.recv(100)
            port = ECHO[address].seen[-1][0][1]
            tap.equal(len(strangers(address, guest, port, 5)), 2,
                      "strangers")
    vmm.kill()
    car.terminate()


def counters_of(car):
    car.terminate()
    return dict(word.split("=") for line in car.log.all()
                if "counters:" in line for word in line.split()[3:])


@tap.case("each datagram of a burst is counted as sent, denied or lost")
def _():
    car = sidecar.Sidecar(WORLD)
    wire = frames.Wire(car.path)
    wire.alive()
    for address in (rig.FILTERED, rig.PRIVATE["10/8"], rig.UNREACHABLE):
        frame = frames.datagram(b"x", 4000, 9, dst=address)
        wire.sock.sendall(frames.framed(*[frame] * BURST))
    # One more is denied, whose answer comes after all the others'.
    wire.send(frames.datagram(b"x", 4000, 9, dst=rig.GATEWAY))
    tap.ok(wire.expect(lambda p: p.proto == frames.ICMP and
                       (p.type, p.code) == (3, 3)), "no answer")
    wire.close()
    counted = counters_of(car)
    for name, want in (("dgrams_out", BURST), ("dgrams_denied", BURST + 1),
                       ("dgrams_lost", BURST)):
        tap.equal(int(counted[name]), want, name)


@tap.case("it is all counted")
def _():
    counted = counters_of(CAR)
    for name in ("udp-out", "udp-in", "associations", "datagram-errors",
                 "datagrams-fragmented", "dgrams_denied", "dgrams_filtered",
                 "dgram_errors"):
        tap.ok(int(counted.get(name, 0)) > 0, "%s in %r" % (name, counted))
    tap.note(counted)


tap.run(sidecar.tell(CAR))
