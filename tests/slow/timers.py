#!/usr/bin/python3
"""The timers that take minutes, in real time: how long a mapping, a fragment
and a half-closed connection live, and that a pause expires none of them.

All cases wait side by side, so that the whole takes as long as the longest,
about six minutes."""

import contextlib
import errno
import os
import signal
import socket
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
LIMIT_S = 600
DNS_S, UNANSWERED_S, ANSWERED_S = 10, 120, 300
FRAGMENT_S = 15
HALF_CLOSED_S = 300
PAUSE_S = 330  # longer than every timer
SLACK_S = 5    # before and after a timer's time; ticks are 250 ms
FLOWS = 20


def side_by_side(sentence):
    """Begins the function now; the case is to see how it ended."""
    def begin(function):
        worker = rig.thread(function)
        tap.case(sentence, LIMIT_S)(lambda: worker.join(LIMIT_S))
        return function
    return begin


SETUP = sidecar.setup()
GUEST, SERVER = SETUP.world.guest, SETUP.world.server


def mapping(answered, port=0):
    """A mapping that was used just now; returns (guest's socket, function
    that sends to it from the server)."""
    server = SERVER.udp(rig.SERVER, port)
    guest = GUEST.udp()
    guest.sendto(b"out", (rig.SERVER, rig.port_of(server)))
    _, source = server.recvfrom(100)
    if answered:
        server.sendto(b"in", source)
        guest.recv(100)
    return guest, lambda: server.sendto(b"late", source)


def check_mapping(life_s, answered, port=0):
    """What comes before its time passes, what comes after does not."""
    early, late = (mapping(answered, port + n if port else 0)
                   for n in range(2))
    time.sleep(life_s - SLACK_S)  # the time is what is tested
    early[1]()
    early[0].settimeout(5)
    tap.equal(early[0].recv(100), b"late", "before %d s" % life_s)
    time.sleep(2 * SLACK_S)
    late[1]()
    late[0].settimeout(2)
    tap.raises([None], late[0].recv, 100)


@side_by_side("a mapping that was answered lives 300 s")
def _():
    check_mapping(ANSWERED_S, True)


@side_by_side("a mapping that nobody has answered lives 120 s")
def _():
    check_mapping(UNANSWERED_S, False)


@side_by_side("a mapping that asked a name server lives 10 s")
def _():
    early = mapping(False, 53)
    time.sleep(DNS_S - SLACK_S)  # the time is what is tested
    early[1]()
    early[0].settimeout(5)
    tap.equal(early[0].recv(100), b"late", "before %d s" % DNS_S)


@side_by_side("a mapping that asked a name server is gone after 10 s")
def _():
    with SERVER.udp(rig.SERVER2, 53) as server, GUEST.udp() as guest:
        guest.sendto(b"out", (rig.SERVER2, 53))
        _, source = server.recvfrom(100)
        time.sleep(DNS_S + SLACK_S)  # the time is what is tested
        server.sendto(b"late", source)
        guest.settimeout(2)
        tap.raises([None], guest.recv, 100)


def half_closed(listener):
    """A connection whose guest's half has ended; returns (guest, server)."""
    guest, server = traffic.pair(GUEST, rig.SERVER, listener)
    guest.shutdown(socket.SHUT_WR)
    server.settimeout(5)
    tap.equal(server.recv(1), b"", "the guest's end")
    return guest, server


@side_by_side("a half-closed connection that says nothing is reset after "
              "5 min, not before")
def _():
    with SERVER.listen() as listener:
        early, late = half_closed(listener), half_closed(listener)
        time.sleep(HALF_CLOSED_S - SLACK_S)  # the time is what is tested
        early[1].sendall(b"late")
        early[0].settimeout(5)
        tap.equal(early[0].recv(100), b"late", "before 5 min")
        late[0].settimeout(3 * SLACK_S)
        tap.raises([errno.ECONNRESET], late[0].recv, 1)
        tap.raises([errno.ECONNRESET, errno.EPIPE, None],
                   lambda: [late[1].sendall(b"x") or time.sleep(0.1)
                            for _ in range(10)])
        early[1].sendall(b"more")
        tap.equal(early[0].recv(100), b"more", "the other, after 5 min")


@side_by_side("an idle connection outlives every other timer")
def _():
    with SERVER.listen() as listener:
        guest, server = traffic.pair(GUEST, rig.SERVER, listener)
        time.sleep(HALF_CLOSED_S + 2 * SLACK_S)  # the time is what is tested
        traffic.greet_ends(guest, server)


@contextlib.contextmanager
def every_slot_taken(count):
    """A guest with as many connections as it may have: (guest, listener,
    pairs)."""
    setup = sidecar.setup("--max-flows", str(count))
    with setup.world.server.listen() as listener:
        yield setup.world.guest, listener, [
            traffic.pair(setup.world.guest, rig.SERVER, listener)
            for _ in range(count)]


@side_by_side("where every slot is taken the longest idle connection makes "
              "room, one in use does not")
def _():
    with every_slot_taken(4) as (guest, listener, pairs):
        for _ in range(35):
            time.sleep(1)  # idle time is what is tested
            for ends in pairs[1:]:
                traffic.greet_ends(*ends)
        pairs.append(traffic.pair(guest, rig.SERVER, listener))
        traffic.greet_ends(*pairs[4])
        pairs[0][0].settimeout(5)
        tap.raises([errno.ECONNRESET], pairs[0][0].recv, 1)
        tap.raises([errno.ECONNRESET], pairs[0][1].recv, 1)
        for ends in pairs[1:]:
            traffic.greet_ends(*ends)
        # All are in use: who comes now has to wait.
        with guest.socket() as sock:
            sock.settimeout(5)
            tap.raises([None], sock.connect,
                       (rig.SERVER, rig.port_of(listener)))


@side_by_side("where every slot is taken by idle connections, eight that come "
              "at once find room")
def _():
    with every_slot_taken(16) as (guest, listener, pairs):
        time.sleep(35)  # idle time is what is tested
        workers = [rig.thread(guest.connect, rig.SERVER,
                              rig.port_of(listener)) for _ in range(8)]
        start = time.monotonic()
        kept = [worker.join(30) for worker in workers]
        tap.ok(time.monotonic() - start < 6, "later than their third SYNs")
        for sock in kept:
            sock.close()
        for _, server in pairs[8:]:
            server.sendall(b"x")
        for sock, _ in pairs[8:]:
            sock.settimeout(5)
            tap.equal(sock.recv(1), b"x", "one that has not been idle so long")


@side_by_side("fragments wait for each other for 15 s, not longer")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world)
    wire = frames.Wire(car.path)
    wire.alive()
    server = world.server.udp(rig.SERVER)

    def halves(ident):
        packet = frames.udp(bytes(2000), 1000 + ident, rig.port_of(server))
        return frames.fragments(packet, frames.UDP, rig.GUEST, rig.SERVER,
                                1480, ident)

    early, late = halves(1), halves(2)
    wire.send(early[0])
    wire.send(late[0])
    time.sleep(FRAGMENT_S - 2)  # the time is what is tested
    wire.send(early[1])
    server.settimeout(5)
    data, source = server.recvfrom(4000)
    tap.equal((len(data), source[1] != 0), (2000, True), "the first")
    time.sleep(4)
    wire.send(late[1])
    server.settimeout(2)
    tap.raises([None], server.recv, 100)


@side_by_side("a sidecar that was stopped together with its guest expires "
              "nothing")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world)
    vmm = sidecar.Vmm(world, car.path)
    echo = world.server.udp(rig.SERVER)
    udp = world.guest.udp()
    udp.sendto(b"out", (rig.SERVER, rig.port_of(echo)))
    _, source = echo.recvfrom(100)
    with world.server.listen() as listener:
        pairs = [traffic.pair(world.guest, rig.SERVER, listener)
                 for _ in range(FLOWS)]
        half, half_server = traffic.pair(world.guest, rig.SERVER, listener)
        half.shutdown(socket.SHUT_WR)
        tap.equal(half_server.recv(1), b"", "the guest's end")
        pids = [vmm.pid, *car.children().values(), car.pid]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(PAUSE_S)  # the pause is what is tested
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
        for pair in pairs:
            traffic.greet_ends(*pair)
        half_server.sendall(b"still")
        half.settimeout(5)
        tap.equal(half.recv(100), b"still", "half-closed")
        echo.sendto(b"still", source)
        udp.settimeout(5)
        tap.equal(udp.recv(100), b"still", "UDP")


@side_by_side("a guest that was paused for minutes finds its connections")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world)
    vmm = sidecar.Vmm(world, car.path)
    with world.server.listen() as listener:
        pairs = [traffic.pair(world.guest, rig.SERVER, listener)
                 for _ in range(FLOWS)]
        os.kill(vmm.pid, signal.SIGSTOP)
        time.sleep(PAUSE_S)  # the pause is what is tested
        os.kill(vmm.pid, signal.SIGCONT)
        for pair in pairs:
            traffic.greet_ends(*pair)


tap.run(sidecar.tell(SETUP.car))
