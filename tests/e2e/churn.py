#!/usr/bin/python3
"""Connections that come and go in every way at once: none hangs, none gets
another's bytes, and nothing is left when they are gone."""

import hashlib
import os
import random
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
SEED = 20260102
WORKERS = 24
ROUNDS = 40
SIZES = (0, 1, 100, 1460, 8192, 65536, 300000)
ENDS = ("orderly", "client resets", "server resets", "client vanishes")

SETUP = sidecar.setup("--connect-rate", "10000", "-p", "8080:80", mtu=9000)
OUTSIDE = SETUP.world.server.listen()
INSIDE = SETUP.world.guest.listen(port=80)


class Servant:
    """Does for each connection what its first line asks: how many bytes it
    takes and gives, of which seed, and how it ends."""

    def __init__(self, listener):
        listener.settimeout(None)
        self.listener = listener
        rig.thread(self.accept)

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            rig.thread(self.serve, sock)

    @staticmethod
    def serve(sock):
        sock.settimeout(30 * tap.scale())
        try:
            up, down, seed, end = traffic.exact(sock, 64).split()[:4]
            got = traffic.exact(sock, int(up))
            sock.sendall(hashlib.sha256(got).digest())
            sock.sendall(random.Random(int(seed)).randbytes(int(down)))
            if int(end) == ENDS.index("server resets"):
                rig.reset(sock)
                return
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)
        except (OSError, ValueError):
            pass
        sock.close()


def visit(dice, namespace, address, port):
    up, down = dice.choice(SIZES), dice.choice(SIZES)
    seed, end = dice.randrange(1 << 30), dice.randrange(len(ENDS))
    data = dice.randbytes(up)
    with namespace.connect(address, port) as sock:
        sock.settimeout(30 * tap.scale())
        sock.sendall((b"%d %d %d %d" % (up, down, seed, end)).ljust(64))
        if ENDS[end] == "client vanishes":
            sock.sendall(data[:up // 2])
            return
        if data:  # with none due, the server's reset may be here already
            sock.sendall(data)
        if ENDS[end] == "client resets":
            rig.reset(sock)
            return
        want = hashlib.sha256(data).digest() \
            + random.Random(seed).randbytes(down)
        if ENDS[end] == "server resets":
            got = b""
            try:
                while len(got) < len(want):
                    got += sock.recv(65536)
            except ConnectionResetError:
                pass
            tap.ok(want.startswith(got), "other bytes before the reset")
            return
        tap.ok(traffic.exact(sock, len(want)) == want, "other bytes")
        tap.equal(sock.recv(1), b"", "the end")


def descriptors():
    return sum(len(os.listdir("/proc/%d/fd" % pid))
               for pid in SETUP.car.children().values())


@tap.case("%d connections end in every way, both ways, %d at a time"
          % (WORKERS * ROUNDS, WORKERS), 90)
def _():
    world = SETUP.world
    SETUP.car.wait_attached()
    before = descriptors()
    started = threading.Event()

    def work(number):
        dice = random.Random(SEED + number)
        started.wait()
        for _ in range(ROUNDS):
            if number % 2:
                visit(dice, world.guest, rig.SERVER, rig.port_of(OUTSIDE))
            else:
                visit(dice, world.host, "127.0.0.1", 8080)

    Servant(OUTSIDE)
    Servant(INSIDE)
    workers = [rig.thread(work, number) for number in range(WORKERS)]
    start = time.monotonic()
    started.set()
    for worker in workers:
        worker.join(60 * tap.scale())
    tap.note("%.1f s" % (time.monotonic() - start))
    deadline = time.monotonic() + 10 * tap.scale()
    while descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    tap.ok(descriptors() <= before, "%s descriptors, then %s"
           % (before, descriptors()))


@tap.case("bulk data goes on while 500 connections come and go beside it")
def _():
    with SETUP.world.server.listen() as listener:
        guest, server = traffic.pair(SETUP.world.guest, rig.SERVER, listener)
        with guest, server:
            bulk = rig.thread(traffic.transfer, server, guest, 60 << 20, 5)
            dice = random.Random(SEED)
            for _ in range(500):
                visit(dice, SETUP.world.guest, rig.SERVER,
                      rig.port_of(OUTSIDE))
            bulk.join(60 * tap.scale())
    SETUP.vmm.check()


tap.run(sidecar.tell(SETUP.car))
