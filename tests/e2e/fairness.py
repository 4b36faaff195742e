#!/usr/bin/python3
"""Connections share the link: who asks little is not starved by who takes
all that there is."""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
BULK = 4  # at this MTU two of them fill the queue towards the VMM
ROUNDS = 40
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


tap.run(sidecar.tell(SETUP.car))
