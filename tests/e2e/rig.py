#!/usr/bin/python3
"""The rig without a sidecar: two shuttles back to back.  What fails here is
the rig's own fault, whatever the other scripts say."""

import os
import socket
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


def back_to_back(mtu, piece=None):
    """The guest's card, cabled to one that stands where the gateway is."""
    world = rig.World()
    one, other = socket.socketpair()
    far = rig.World()
    gateway = sidecar.Vmm(far, fd=one, mtu=mtu, mac=rig.GATEWAY_MAC,
                          configure=False)
    far.guest.ip("addr add %s/30 dev eth0" % rig.GATEWAY)
    guest = sidecar.Vmm(world, fd=other, mtu=mtu, piece=piece)
    return world, far, guest, gateway


def carry(mtu, total, piece=None):
    world, far, *_ = back_to_back(mtu, piece)
    with far.guest.listen() as listener:
        for seed in range(2):
            near_end, far_end = traffic.pair(world.guest, rig.GATEWAY,
                                             listener)
            start = time.monotonic()
            with near_end, far_end:
                ends = (near_end, far_end) if seed else (far_end, near_end)
                traffic.transfer(*ends, total, seed)
            tap.note("MTU %d: %.2f Gbit/s" % (
                mtu, total * 8e-9 / (time.monotonic() - start)))
    world.close()
    far.close()


@tap.case("two shuttles carry 100 MiB each way at an MTU of 1500")
def _():
    carry(1500, 100 * MIB)


@tap.case("two shuttles carry 100 MiB each way at an MTU of 65520")
def _():
    carry(65520, 100 * MIB)


@tap.case("a shuttle that moves 7 bytes at a time loses nothing")
def _():
    carry(1500, MIB // 2, piece=7)


@tap.case("a stalled shuttle delivers nothing until it is resumed")
def _():
    world, far, guest, _ = back_to_back(1500)
    with far.guest.listen() as listener:
        traffic.echo_server(listener)
        with world.guest.connect(rig.GATEWAY, rig.port_of(listener)) as sock:
            traffic.greet(sock)
            guest.stall()
            sock.settimeout(0.5)
            sock.sendall(b"x")
            tap.raises([None], sock.recv, 1)
            guest.resume()
            sock.settimeout(10 * tap.scale())
            tap.equal(sock.recv(1), b"x", "echo after the stall")
    world.close()
    far.close()


tap.run()
