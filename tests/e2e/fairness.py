#!/usr/bin/python3
"""Connections share the link: who asks little is not starved by who takes
all that there is."""

import os
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import datagrams  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
BULK = 4  # at this MTU two of them fill the queue towards the VMM
ROUNDS = 40
DATAGRAMS, PER_S = 3000, 1000
# A starved one waits for netproc's tick of 250 ms, or for ever.
TYPICAL_MAX_S = 0.2

SETUP = sidecar.setup(mtu=1500)
LISTENER = SETUP.world.server.listen()


def pour(sock):
    piece = bytes(1 << 20)
    try:
        while True:
            sock.sendall(piece)
    except OSError:
        pass


def drain(sock):
    try:
        while sock.recv(1 << 20):
            pass
    except OSError:
        pass


@tap.case("questions are answered while %d downloads fill the link" % BULK)
def _():
    downloads = [traffic.pair(SETUP.world.guest, rig.SERVER, LISTENER)
                 for _ in range(BULK)]
    for guest, server in downloads:
        rig.thread(drain, guest)
        rig.thread(pour, server)
    guest, server = traffic.pair(SETUP.world.guest, rig.SERVER, LISTENER)
    took = []
    with guest, server:
        for _ in range(ROUNDS):
            start = time.monotonic()
            traffic.greet_ends(guest, server)
            took.append(time.monotonic() - start)
    for _, other in downloads:
        rig.reset(other)
    took.sort()
    tap.note("median %.1f ms, most %.1f ms"
             % (took[ROUNDS // 2] * 1000, took[-1] * 1000))
    tap.ok(took[ROUNDS // 2] < TYPICAL_MAX_S * tap.scale(), "starved")


@tap.case("datagrams are not lost beside a download")
def _():
    guest, server = traffic.pair(SETUP.world.guest, rig.SERVER, LISTENER)
    rig.thread(drain, guest)
    rig.thread(pour, server)
    with SETUP.world.server.udp(rig.SERVER) as source, \
            SETUP.world.guest.udp() as sink:
        sink.sendto(b"?", (rig.SERVER, rig.port_of(source)))
        _, peer = source.recvfrom(1)
        _, *oddities = datagrams.stream(source, sink, DATAGRAMS, 100,
                                        PER_S / tap.scale(), peer)
    rig.reset(server)
    tap.equal(oddities, [0, 0], "lost, out of order")


class SlowVmm(sidecar.Vmm):
    """A guest that takes RATE bytes in a millisecond, and no more."""

    RATE = 20000

    def __init__(self, world, path, **options):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(world.path("slow.sock"))
        listener.listen()
        self._car = sidecar.unix_connect(path)
        self._car.settimeout(None)
        super().__init__(world, world.path("slow.sock"), **options)
        self._shuttle, _ = listener.accept()
        rig.thread(self._pass, self._shuttle, self._car)
        rig.thread(self._pass, self._car, self._shuttle, self.RATE)

    @staticmethod
    def _pass(source, sink, rate=1 << 18):
        while True:
            data = source.recv(rate)
            if not data:
                return
            sink.sendall(data)
            time.sleep(len(data) / rate / 1000)


def flood(sock, peer, ended):
    """Four times what the slow guest takes."""
    sock.setsockopt(socket.IPPROTO_UDP, datagrams.UDP_SEGMENT, 1400)
    while not ended.wait(0.0005):
        sock.sendto(bytes(42000), peer)


@tap.case("a download goes on beside more datagrams than the guest takes")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world, "--mtu", "1500")
    SlowVmm(world, car.path)
    listener = world.server.listen()
    asker, answerer = world.guest.udp(), world.server.udp()
    asker.sendto(b"?", (rig.SERVER, rig.port_of(answerer)))
    _, peer = answerer.recvfrom(1)
    guest, server = traffic.pair(world.guest, rig.SERVER, listener)
    ended = threading.Event()
    flooder = rig.thread(flood, answerer, peer, ended)
    rig.thread(pour, server)
    guest.settimeout(10 * tap.scale())
    start = time.monotonic()
    got = traffic.exact(guest, 1 << 20)
    took = time.monotonic() - start
    ended.set()
    flooder.join(5 * tap.scale())
    rig.reset(server)
    tap.equal(len(got), 1 << 20, "bytes")
    tap.note("1 MiB in %.2f s" % took)
    world.close()


tap.run(sidecar.tell(SETUP.car))
