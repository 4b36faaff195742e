#!/usr/bin/python3
"""How connections end: half-close and reset, both ways."""

import errno
import os
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
MIB = 1 << 20
SETUP = sidecar.setup("--connect-rate", "10000")
LISTENER = SETUP.world.server.listen()


def pair():
    return traffic.pair(SETUP.world.guest, rig.SERVER, LISTENER)


@tap.case("the server still sends 8 MiB after the guest has closed its half")
def _():
    guest, server = pair()
    with guest, server:
        guest.sendall(b"last words")
        guest.shutdown(socket.SHUT_WR)
        tap.equal(traffic.receive(server)[0], 10, "bytes before the FIN")
        traffic.transfer(server, guest, 8 * MIB)


@tap.case("the guest still sends 8 MiB after the server has closed its half")
def _():
    guest, server = pair()
    with guest, server:
        server.sendall(b"last words")
        server.shutdown(socket.SHUT_WR)
        tap.equal(traffic.receive(guest)[0], 10, "bytes before the FIN")
        traffic.transfer(guest, server, 8 * MIB)


@tap.case("a close that waits behind 8 MiB overtakes none of them")
def _():
    guest, server = pair()
    with server:
        reader = rig.thread(traffic.receive, server)
        with guest:
            sent = traffic.send(guest, 8 * MIB)
        tap.equal(reader.join(30), (8 * MIB, sent), "bytes and SHA-256")


def request(first, second):
    with first, second:
        first.sendall(b"question")
        tap.equal(traffic.exact(second, 8), b"question", "the question")
        second.sendall(b"answer")
        second.shutdown(socket.SHUT_WR)
        tap.equal(traffic.exact(first, 7), b"answer", "answer and its end")
        first.shutdown(socket.SHUT_WR)
        tap.equal(second.recv(1), b"", "the other end")


@tap.case("an ordered close is never a reset, whoever closes first")
def _():
    for _ in range(100):
        guest, server = pair()
        request(guest, server)
        guest, server = pair()
        request(server, guest)


@tap.case("the server's reset reaches the guest as ECONNRESET")
def _():
    guest, server = pair()
    with guest:
        traffic.greet_ends(guest, server)
        rig.reset(server)
        tap.raises([errno.ECONNRESET], guest.recv, 1)


@tap.case("the guest's reset reaches the server as ECONNRESET")
def _():
    guest, server = pair()
    with server:
        traffic.greet_ends(guest, server)
        rig.reset(guest)
        tap.raises([errno.ECONNRESET], server.recv, 1)


@tap.case("the guest's reset passes data that the server does not read")
def _():
    guest, server = pair()
    with server:
        guest.setblocking(False)
        tap.raises([errno.EAGAIN], traffic.fill, guest)
        rig.reset(guest)
        server.settimeout(10 * tap.scale())
        tap.raises([errno.ECONNRESET], traffic.drain, server)


@tap.case("the server's reset passes data that the guest does not read")
def _():
    guest, server = pair()
    with guest:
        server.setblocking(False)
        tap.raises([errno.EAGAIN], traffic.fill, server)
        rig.reset(server)
        guest.settimeout(10 * tap.scale())
        tap.raises([errno.ECONNRESET], traffic.drain, guest)


@tap.case("the guest's close over unread data resets the server")
def _():
    guest, server = pair()
    with server:
        traffic.greet_ends(guest, server)
        server.sendall(b"never read")
        tap.equal(guest.recv(1), b"n", "the first byte")
        guest.close()
        server.settimeout(10 * tap.scale())
        tap.raises([errno.ECONNRESET], traffic.drain, server)


@tap.case("an answer before the server's reset reaches the guest")
def _():
    for length in (300, 5000, 12000) * 10:
        traffic.refuse_request(*pair(), length)


@tap.case("the guest's end that comes before its reset is an end")
def _():
    for _ in range(30):
        guest, server = pair()
        with server:
            server.sendall(b"never read")
            tap.equal(guest.recv(1), b"n", "the first byte")
            guest.sendall(bytes(3000))
            guest.shutdown(socket.SHUT_WR)
            guest.close()
            server.settimeout(10 * tap.scale())
            tap.equal(traffic.drain(server), 3000, "bytes before the end")


@tap.case("a write after the server's close fails")
def _():
    guest, server = pair()
    with guest:
        traffic.greet_ends(guest, server)
        server.close()
        tap.equal(guest.recv(1), b"", "the server's FIN")
        tap.raises([errno.EPIPE, errno.ECONNRESET], traffic.fill, guest)


@tap.case("the reset of one connection leaves another alone")
def _():
    guest, server = pair()
    other, other_server = pair()
    with other, other_server:
        rig.reset(guest)
        tap.raises([errno.ECONNRESET], server.recv, 1)
        server.close()
        traffic.transfer(other, other_server, MIB)


@tap.case("a port that was just used is good for another connection")
def _():
    port = rig.port_of(LISTENER)
    for _ in range(5):
        guest = SETUP.world.guest.connect(rig.SERVER, port, source_port=4321)
        server, _ = LISTENER.accept()
        traffic.greet_ends(guest, server)
        rig.reset(guest)
        tap.raises([errno.ECONNRESET], server.recv, 1)
        server.close()


@tap.case("of all these ends none was said before it had come")
def _():
    SETUP.car.terminate()
    SETUP.car.log.wait("closed_early=0 ")


@tap.case("what acknowledges the last end is of a connection that is known")
def _():
    SETUP.vmm.kill()
    car = sidecar.Sidecar(SETUP.world)
    vmm = sidecar.Vmm(SETUP.world, car.path)
    for _ in range(3):
        request(*pair())
        request(*reversed(pair()))
    vmm.check()
    car.terminate()
    lines = " ".join(car.log.find("netproc: counters:"))
    tap.ok("flows-established=6" in lines, lines)
    tap.ok("segments-unknown" not in lines, lines)


tap.run(sidecar.tell(SETUP.car))
