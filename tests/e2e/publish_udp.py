#!/usr/bin/python3
"""Published UDP ports, ranges, both families, and the client's own address."""

import errno
import os
import socket
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import datagrams  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
LOCAL, OUTSIDE, OUTSIDE6, CLOSED, ANYWHERE6 = 5000, 5001, 5002, 5003, 5004
INSIDE = 53
CLIENTS = 200
CONNECTIONS = 1000
WORLD = rig.World(ip6=True)
GUEST, HOST, SERVER = WORLD.guest, WORLD.host, WORLD.server
PUBLISHED = ("-p", "%d:%d/udp" % (LOCAL, INSIDE),
             "-p", "%s:%d:%d/udp" % (rig.HOST, OUTSIDE, INSIDE),
             "-p", "[%s]:%d:%d/udp" % (rig.HOST6, OUTSIDE6, INSIDE),
             "-p", "%d:9/udp" % CLOSED,
             "-p", "[::]:%d:%d/udp" % (ANYWHERE6, INSIDE),
             "-p", "6000-6009:6100-6109/udp",
             "-p", "7000-7009:7100-7109/tcp")
CAR = sidecar.Sidecar(WORLD, "--connect-rate", "10000", "--max-flows", "1100",
                      *PUBLISHED)


def attach(car):
    """A guest that both families know of, with an echo service."""
    vmm = sidecar.Vmm(WORLD, car.path)
    datagrams.introduce(GUEST, rig.GATEWAY6, rig.GATEWAY)
    return vmm


VMM = attach(CAR)
SERVICE = GUEST.udp("::", INSIDE)
SEEN = datagrams.echo_server(SERVICE)


def client(namespace, address, port):
    return datagrams.connected(namespace, address, port)


def round_trip(sock, data):
    sock.send(data)
    tap.ok(sock.recv(65536) == data, "other bytes of %d" % len(data))


def source_of_last():
    return SEEN[-1][0][0].removeprefix("::ffff:")


@tap.case("a datagram of each size reaches the guest's service and its "
          "answer the client")
def _():
    for namespace, address, port in (
            (HOST, "127.0.0.1", LOCAL), (HOST, "::1", LOCAL),
            (SERVER, rig.HOST, OUTSIDE), (SERVER, rig.HOST6, OUTSIDE6)):
        with client(namespace, address, port) as sock:
            for size in (1, 512, 1472, 1473, 9000, 65507):
                round_trip(sock, os.urandom(size))


def link_local(namespace, device):
    line = namespace.run(["ip", "-6", "-o", "address", "show", "dev", device,
                          "scope", "link"]).stdout
    return line.split()[3].split("/")[0]


@tap.case("a client whose address is of its link alone gets its answer")
def _():
    with SERVER:
        link = socket.if_nametoindex("s0")
    for address in (link_local(HOST, "h0"), rig.HOST6):
        with SERVER.socket(socket.SOCK_DGRAM, socket.AF_INET6) as sock:
            sock.settimeout(10 * tap.scale())
            sock.bind((link_local(SERVER, "s0"), 0, 0, link))
            sock.sendto(b"ping", (address, ANYWHERE6, 0, link))
            tap.equal(sock.recvfrom(100)[0], b"ping", "by " + address)


@tap.case("the guest sees the gateway, a port for each client")
def _():
    for address, gateway in (("127.0.0.1", rig.GATEWAY),
                             ("::1", rig.GATEWAY6)):
        socks = [client(HOST, address, LOCAL) for _ in range(3)]
        seen = set()
        for sock in socks:
            round_trip(sock, b"who")
            tap.equal(source_of_last(), gateway, "source")
            seen.add(SEEN[-1][0])
            round_trip(sock, b"again")
            tap.ok(SEEN[-1][0] in seen, "another port for the same client")
        tap.equal(len(seen), 3, "sources of three clients")
        for sock in socks:
            sock.close()


@tap.case("%d clients at once get each its own answers" % CLIENTS)
def _():
    socks = [client(HOST, "127.0.0.1", LOCAL) for _ in range(CLIENTS)]
    for turn in range(2):
        for number, sock in enumerate(socks):
            sock.send(b"%d %d" % (number, turn))
        for number, sock in enumerate(socks):
            tap.equal(sock.recv(100), b"%d %d" % (number, turn), "answer")
    for sock in socks:
        sock.close()


@tap.case("ranges of ports are published in order, UDP and TCP")
def _():
    for number in (0, 1, 5, 9):
        with GUEST.udp("0.0.0.0", 6100 + number) as service, \
                client(HOST, "127.0.0.1", 6000 + number) as sock:
            sock.send(b"ping")
            data, source = service.recvfrom(100)
            service.sendto(data[::-1], source)
            tap.equal(sock.recv(100), b"gnip", "answer")
        with GUEST.listen(port=7100 + number) as listener:
            one, other = traffic.pair(HOST, "127.0.0.1", listener,
                                      7000 + number)
            with one, other:
                traffic.greet_ends(one, other)


@tap.case("a port is published on loopback alone unless it is told otherwise")
def _():
    with client(SERVER, rig.HOST, LOCAL) as sock:
        sock.send(b"x")
        tap.raises([errno.ECONNREFUSED], sock.recv, 1)


@tap.case("what nobody in the guest listens to leaves others alone")
def _():
    with client(HOST, "127.0.0.1", CLOSED) as sock:
        sock.settimeout(0.5)
        sock.send(b"x")
        try:
            tap.ok(False, "an answer: %r" % sock.recv(100))
        except TimeoutError:
            tap.note("silence")
        except ConnectionRefusedError:
            tap.note("refused")
    with client(HOST, "127.0.0.1", LOCAL) as sock:
        round_trip(sock, b"alive")


@tap.case("published datagrams at an even pace are not lost")
def _():
    count = 20000
    with GUEST.udp("0.0.0.0", 6100) as sink, \
            client(HOST, "127.0.0.1", 6000) as sock:
        took, lost, odd = datagrams.stream(sock, sink, count, 1000,
                                           10000 / tap.scale())
        tap.note("%d lost of %d in %.1f s" % (lost, count, took))
        tap.equal((lost, odd), (0, 0), "lost, out of order")


@tap.case("%d published connections live at once" % CONNECTIONS)
def _():
    with GUEST.listen(port=7100) as listener:
        pairs = [traffic.pair(HOST, "127.0.0.1", listener, 7000)
                 for _ in range(CONNECTIONS)]
        for one, other in pairs:
            one.sendall(b"1")
            other.sendall(b"2")
        for one, other in pairs:
            one.settimeout(10 * tap.scale())
            other.settimeout(10 * tap.scale())
            tap.equal((one.recv(1), other.recv(1)), (b"2", b"1"), "bytes")
            one.close()
            other.close()


@tap.case("--publish-source preserve shows the guest who it is")
def _():
    VMM.kill()
    specs = ["%s:9000:%d/udp" % (a, INSIDE) for a in
             (rig.HOST, "[%s]" % rig.HOST6, "127.0.0.1")]
    specs += ["%s:9001:80" % a for a in (rig.HOST, "[%s]" % rig.HOST6)]
    car = sidecar.Sidecar(WORLD, "--publish-source", "preserve",
                          *(word for spec in specs for word in ("-p", spec)))
    vmm = attach(car)
    for address, who in ((rig.HOST, rig.SERVER), (rig.HOST6, rig.SERVER6)):
        with client(SERVER, address, 9000) as sock:
            round_trip(sock, b"who am I")
            tap.equal(source_of_last(), who, "UDP source")
            tap.equal(SEEN[-1][0][1], rig.port_of(sock), "its port")
        with GUEST.listen("::" if ":" in who else "", 80) as listener:
            one, other = traffic.pair(SERVER, address, listener, 9001)
            with one, other:
                tap.equal(other.getpeername()[:2],
                          (who, rig.port_of(one)), "TCP source")
                traffic.transfer(one, other, 1 << 20)
    # Loopback is not routable for the guest.
    with client(HOST, "127.0.0.1", 9000) as sock:
        round_trip(sock, b"who am I")
        tap.equal(source_of_last(), rig.GATEWAY, "a local client's source")
    vmm.kill()
    car.terminate()


@tap.case("a client that comes by two published ports keeps the name of the "
          "first")
def _():
    VMM.kill()
    ports = (9000, 9010)
    car = sidecar.Sidecar(WORLD, "--publish-source", "preserve", *(
        word for port in ports
        for word in ("-p", "%s:%d:%d/udp" % (rig.HOST, port, INSIDE))))
    vmm = attach(car)
    with SERVER.udp(rig.SERVER) as sock:
        sock.settimeout(10 * tap.scale())
        for _ in range(2):
            sock.sendto(b"first", (rig.HOST, ports[0]))
            tap.equal(sock.recvfrom(100), (b"first", (rig.HOST, ports[0])),
                      "by the first port")
            # An answer would have to come from a port that was not asked.
            sock.sendto(b"second", (rig.HOST, ports[1]))
            sock.settimeout(0.3)
            tap.raises([None], sock.recv, 100)
            sock.settimeout(10 * tap.scale())
    with SERVER.udp(rig.SERVER) as sock:
        sock.settimeout(10 * tap.scale())
        sock.sendto(b"another", (rig.HOST, ports[1]))
        tap.equal(sock.recvfrom(100), (b"another", (rig.HOST, ports[1])),
                  "another client by the second port")
    vmm.kill()
    car.terminate()


@tap.case("a guest that comes back finds its ports published still")
def _():
    for _ in range(3):
        start = time.monotonic()
        vmm = attach(CAR)
        with client(HOST, "127.0.0.1", LOCAL) as sock:
            round_trip(sock, b"back again")
        tap.note("%.2f s" % (time.monotonic() - start))
        vmm.kill()


@tap.case("the first datagram to a guest that has said nothing is not lost")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world, *PUBLISHED[:2])
    vmm = sidecar.Vmm(world, car.path)
    datagrams.echo_server(world.guest.udp(port=INSIDE))
    car.wait_attached()
    with client(world.host, "127.0.0.1", LOCAL) as sock:
        round_trip(sock, b"who is there?")
    vmm.check()
    world.close()


tap.run(sidecar.tell(CAR))
