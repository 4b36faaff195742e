#!/usr/bin/python3
"""Connections that come and go in every way at once: none hangs, none gets
another's bytes, and nothing is left when they are gone."""

import os
import random
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import visits  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
SEED = 20260102
WORKERS = 24
ROUNDS = 40

SETUP = sidecar.setup("--connect-rate", "10000", "-p", "8080:80", mtu=9000)
OUTSIDE = SETUP.world.server.listen()
INSIDE = SETUP.world.guest.listen(port=80)


def descriptors():
    return sum(len(os.listdir("/proc/%d/fd" % pid))
               for pid in SETUP.car.children().values())


@tap.case("%d connections end in every way, both ways, %d at a time"
          % (WORKERS * ROUNDS, WORKERS), 90)
def _():
    world = SETUP.world
    SETUP.car.wait_attached()
    # And what relayproc asks the kernel by, from the first connection on.
    before = descriptors() + 1
    started = threading.Event()

    def work(number):
        dice = random.Random(SEED + number)
        started.wait()
        for _ in range(ROUNDS):
            if number % 2:
                visits.visit(dice, world.guest, rig.SERVER, rig.port_of(OUTSIDE))
            else:
                visits.visit(dice, world.host, "127.0.0.1", 8080)

    visits.Servant(OUTSIDE)
    visits.Servant(INSIDE)
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
                visits.visit(dice, SETUP.world.guest, rig.SERVER,
                      rig.port_of(OUTSIDE))
            bulk.join(60 * tap.scale())
    SETUP.vmm.check()


tap.run(sidecar.tell(SETUP.car))
