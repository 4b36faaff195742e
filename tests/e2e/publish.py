#!/usr/bin/python3
"""Published ports: the guest's servers, reached from the host."""

import errno
import os
import socket
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
MIB = 1 << 20
# Numbers are ours to choose: the namespaces are new.
LOCAL, OUTSIDE, CLOSED = 8080, 8081, 8082
SETUP = sidecar.setup("-p", "%d:80" % LOCAL,
                      "-p", "%s:%d:80" % (rig.HOST, OUTSIDE),
                      "-p", "%d:81" % CLOSED,
                      "-p", "9000-9003:9100-9103/tcp")
SETUP.car.wait_attached()
HOST = SETUP.world.host
INSIDE = SETUP.world.guest.listen(port=80)


def pair(namespace=HOST, address="127.0.0.1", port=LOCAL):
    return traffic.pair(namespace, address, INSIDE, port)


def client_ends(namespace, port, errnos, limit_s):
    """Connects: the end must come, in time, at once or to the first read.
    The kernel accepts before sallyport does, but its reset may overtake."""
    def visit():
        with namespace.connect("127.0.0.1", port) as client:
            client.settimeout(20 * tap.scale())
            if client.recv(1) == b"":
                raise EOFError

    def visit_ends():
        try:
            tap.raises(errnos, visit)
        except EOFError:
            tap.ok(None in errnos, "the end is an orderly one")

    tap.in_time(limit_s, visit_ends)


@tap.case("a client on the host sends and gets 10 MiB unchanged")
def _():
    for upwards in (False, True):
        client, server = pair()
        with client, server:
            ends = (server, client) if upwards else (client, server)
            traffic.transfer(*ends, 10 * MIB)


@tap.case("a client elsewhere reaches a port bound to the host's address")
def _():
    client, server = pair(SETUP.world.server, rig.HOST, OUTSIDE)
    with client, server:
        traffic.greet_ends(client, server)


@tap.case("a port is published on loopback alone unless it is told otherwise")
def _():
    tap.raises([errno.ECONNREFUSED], SETUP.world.server.connect, rig.HOST,
               LOCAL)


@tap.case("the guest sees the gateway as the client")
def _():
    client, server = pair()
    with client, server:
        tap.equal(server.getpeername()[0], rig.GATEWAY, "peer")
        tap.equal(server.getsockname(), (rig.GUEST, 80), "own name")


@tap.case("a range of ports is published in order")
def _():
    for number in range(4):
        with SETUP.world.guest.listen(port=9100 + number) as listener:
            client, server = traffic.pair(HOST, "127.0.0.1", listener,
                                          9000 + number)
            with client, server:
                traffic.greet_ends(client, server)


@tap.case("the guest's refusal resets the client at once")
def _():
    client_ends(HOST, CLOSED, [errno.ECONNRESET], 0.5)


def unreachable(syn):
    """What a guest's firewall says of a SYN, to who sent it."""
    quoted = syn.frame[14:]
    if syn.kind == frames.ETH_IP6:
        message = frames.icmp6(1, bytes(4) + quoted, syn.ip_dst, syn.ip_src,
                               code=1)
        return frames.whole(message, frames.ICMP6, syn.ip_dst, syn.ip_src)
    message = b"\3\x0a\0\0" + bytes(4) + quoted[:28]  # host prohibited
    message = message[:2] + struct.pack("!H", frames.checksum(message)) \
        + message[4:]
    return frames.whole(message, frames.ICMP, syn.ip_dst, syn.ip_src)


@tap.case("a refusal of the guest's firewall, by ICMP, resets the client at "
          "once, and ends no connection that stands")
def _():
    world = rig.World(ip6=True)
    car = sidecar.Sidecar(world, "-p", "8080:80")
    wire = frames.Wire(car.path)
    wire.alive()
    wire.send(frames.echo6())  # says that it has an address
    for address in ("127.0.0.1", "::1"):
        for answers in (False, True):
            client = world.host.connect(address, 8080)
            syn = wire.expect(lambda p: p.proto == frames.TCP and
                              p.flags == frames.SYN and p.dport == 80)
            tap.ok(syn, "no SYN")
            if answers:
                wire.send(frames.segment(
                    80, syn.sport, syn.ip_dst, syn.ip_src, seq=1,
                    ack=syn.seq + 1, flags=frames.SYN | frames.ACK))
            wire.send(unreachable(syn))
            client.settimeout(10 * tap.scale())
            if answers:
                wire.send(frames.segment(
                    80, syn.sport, syn.ip_dst, syn.ip_src, seq=2,
                    ack=syn.seq + 1, flags=frames.ACK, data=b"!"))
                tap.equal(client.recv(1), b"!", "data")
            else:
                tap.raises([errno.ECONNRESET], client.recv, 1)
            client.close()
    wire.close()
    world.close()


@tap.case("half-closes pass a published port both ways")
def _():
    client, server = pair()
    with client, server:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        tap.equal(traffic.receive(server)[0], 8, "bytes before the FIN")
        traffic.transfer(server, client, 4 * MIB)
    client, server = pair()
    with client, server:
        server.shutdown(socket.SHUT_WR)
        tap.equal(client.recv(1), b"", "the server's end")
        traffic.transfer(client, server, 4 * MIB)


@tap.case("resets pass a published port both ways")
def _():
    client, server = pair()
    with server:
        traffic.greet_ends(client, server)
        rig.reset(client)
        tap.raises([errno.ECONNRESET], server.recv, 1)
    client, server = pair()
    with client:
        traffic.greet_ends(client, server)
        rig.reset(server)
        tap.raises([errno.ECONNRESET], client.recv, 1)


@tap.case("an answer before the guest's reset reaches the client")
def _():
    for length in (300, 5000, 12000) * 10:
        traffic.refuse_request(*pair(), length)


@tap.case("no guest yet is a refusal, and one that has said nothing is "
          "reached")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world, "-p", "8080:80")
    held = "/proc/%d/fd" % car.children()["netproc"]
    before = len(os.listdir(held))
    client_ends(world.host, 8080, [errno.ECONNRESET, None], 3)
    tap.equal(len(os.listdir(held)), before, "netproc's descriptors")
    vmm = sidecar.Vmm(world, car.path)
    with world.guest.socket(socket.SOCK_DGRAM) as first:
        first.sendto(b"here I am", (rig.GATEWAY, 9))
    car.wait_attached()  # until then there is no guest to connect to
    with world.guest.listen(port=80) as listener:
        client, server = traffic.pair(world.host, "127.0.0.1", listener, 8080)
        with client, server:
            traffic.greet_ends(client, server)
    vmm.check()
    world.close()


@tap.case("a guest that never answers resets the client within eleven seconds")
def _():
    SETUP.world.guest.ip("route add blackhole %s" % rig.GATEWAY)
    try:
        client_ends(HOST, LOCAL, [errno.ECONNRESET], 11)
    finally:
        SETUP.world.guest.ip("route del blackhole %s" % rig.GATEWAY)


tap.run(sidecar.tell(SETUP.car))
