#!/usr/bin/python3
"""Bulk data each way, unchanged, at every size of link."""

import os
import shutil
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
MIB = 1 << 20
OTHER_UID = 54321  # nobody's, so that no other process shares its quotas


def both_ways(setup, total):
    with setup.world.server.listen() as listener:
        guest, server = traffic.pair(setup.world.guest, rig.SERVER, listener)
        with guest, server:
            traffic.transfer(guest, server, total, seed=1)
        guest, server = traffic.pair(setup.world.guest, rig.SERVER, listener)
        with guest, server:
            traffic.transfer(server, guest, total, seed=2)
    setup.vmm.check()


def at_mtu(mtu):
    @tap.case("100 MiB each way arrive unchanged at an MTU of %d" % mtu, 120)
    def _():
        setup = sidecar.setup(mtu=mtu)
        try:
            both_ways(setup, 100 * MIB)
        finally:
            setup.world.close()


for size in (1500, 9000, 65520):
    at_mtu(size)


@tap.case("data in both directions at once arrives unchanged")
def _():
    setup = sidecar.setup(mtu=65520)
    with setup.world.server.listen() as listener:
        guest, server = traffic.pair(setup.world.guest, rig.SERVER, listener)
    with guest, server:
        up = rig.thread(traffic.transfer, guest, server, 50 * MIB, 3)
        traffic.transfer(server, guest, 50 * MIB, 4)
        up.join()
    setup.world.close()


@tap.case("a VMM that reads and writes 7 bytes at a time loses nothing")
def _():
    setup = sidecar.setup(piece=7)
    both_ways(setup, MIB // 2)
    setup.world.close()


@tap.case("a VMM that moves 4093 bytes at a time loses nothing")
def _():
    setup = sidecar.setup(mtu=65520, piece=4093)
    both_ways(setup, 20 * MIB)
    setup.world.close()


@tap.case("a link that loses frames loses no byte", 120)
def _():
    for mtu, lose in ((1500, 50), (1500, 13), (65520, 29)):
        setup = sidecar.setup(mtu=mtu, lose=lose)
        start = time.monotonic()
        both_ways(setup, 2 * MIB)
        tap.note("MTU %d, every %dth lost: %.2f s"
                 % (mtu, lose, time.monotonic() - start))
        setup.world.close()


@tap.case("an unprivileged user's sidecar carries 100 MiB each way", 120)
def _():
    world = rig.World()
    os.chown(world.dir, OTHER_UID, OTHER_UID)
    binary = world.path("sallyport")
    shutil.copy(sidecar.SALLYPORT, binary)
    os.chmod(binary, 0o755)
    car = sidecar.Sidecar(world, "--mtu", "65520", binary=binary,
                          user=OTHER_UID, group=OTHER_UID, extra_groups=[])
    tap.equal(sidecar.proc_status(car.pid)["Uid"].split()[0], str(OTHER_UID),
              "the parent's uid")
    vmm = sidecar.Vmm(world, car.path, mtu=65520)
    both_ways(sidecar.Setup(world, car, vmm), 100 * MIB)
    world.close()


tap.run()
