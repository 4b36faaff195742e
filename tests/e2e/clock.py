#!/usr/bin/python3
"""A clock that has come far: lwIP counts milliseconds in 32 bits, which wrap
after 49.7 days and change sign after half of them.  The sidecar lives in a time
namespace that is a few seconds before either."""

import os
import select
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
BEFORE_S = (4, 16)  # until the wrap, from the start, and on a slow machine
QUIET_S = 0.1  # nobody takes any more
ASKED_S = 10  # a closed window is asked for within it, each time more seldom
WORLD = rig.World()
LISTENER = WORLD.server.listen()


def late_start(wrap_ms, before_s):
    """A program that starts sallyport so that its clock wraps soon."""
    path = WORLD.path("late-%d" % wrap_ms)
    offset_s = wrap_ms // 1000 - before_s - int(time.monotonic())
    with open(path, "w") as file:
        file.write("#!/bin/sh\nexec unshare --time --monotonic %d -- %s "
                   "\"$@\"\n" % (offset_s, sidecar.SALLYPORT))
    os.chmod(path, 0o755)
    return path


def far_off(pid):
    """Whether the process has a clock of its own."""
    return os.readlink("/proc/%d/ns/time" % pid) != \
        os.readlink("/proc/self/ns/time")


def stuff(sock):
    """Writes until nobody takes any more; returns how much it was."""
    sock.setblocking(False)
    sent = 0
    while select.select([], [sock], [], QUIET_S * tap.scale())[1]:
        sent += sock.send(bytes(65536))
    sock.setblocking(True)
    return sent


def is_asked(sock):
    """Whether the guest is asked if this socket has a window again."""
    with WORLD.guest.sniffer("eth0") as sniffer:
        deadline = time.monotonic() + ASKED_S * tap.scale()
        while (left := deadline - time.monotonic()) > 0:
            sniffer.settimeout(left)
            try:
                packet = frames.Packet(sniffer.recv(65535))
            except TimeoutError:
                break
            if packet.proto == frames.TCP and packet.ip_dst == rig.GUEST and \
                    packet.dport == rig.port_of(sock):
                return True
    return False


def crosses(wrap_ms):
    for before_s in BEFORE_S:
        if crosses_after(before_s, wrap_ms):
            return
    tap.ok(False, "the clock wrapped too early")


def crosses_after(before_s, wrap_ms):
    """0 if the machine was too slow for it."""
    car = sidecar.Sidecar(WORLD, binary=late_start(wrap_ms, before_s))
    if not far_off(car.pid):
        car.terminate()
        tap.skip("this kernel enters no time namespace at exec")
    end = time.monotonic() + before_s - car.ready_s
    vmm = sidecar.Vmm(WORLD, car.path)
    idle = traffic.pair(WORLD.guest, rig.SERVER, LISTENER)
    stuck = traffic.pair(WORLD.guest, rig.SERVER, LISTENER)
    sent = [stuff(sock) for sock in stuck]
    silent, sender = traffic.pair(WORLD.guest, rig.SERVER, LISTENER)
    count = stuff(sender)
    if time.monotonic() >= end:
        vmm.kill()
        car.terminate()
        return 0
    while time.monotonic() < end + 1:
        one, other = traffic.pair(WORLD.guest, rig.SERVER, LISTENER)
        with one, other:
            traffic.greet_ends(one, other)
        time.sleep(0.02)
    # Set before the wrap, and due after it.
    tap.ok(is_asked(silent), "a closed window was never asked for again")
    tap.equal(len(traffic.exact(silent, count)), count, "bytes")
    traffic.greet_ends(*idle)
    # Full windows both ways, from before it: nothing waits for 49 days.
    for reader, count in zip(reversed(stuck), sent):
        tap.equal(len(traffic.exact(reader, count)), count, "bytes")
    traffic.greet_ends(*stuck)
    for sock in (*idle, *stuck, silent, sender):
        sock.close()
    vmm.check()
    sidecar.idle_for(1, car.children())
    vmm.kill()
    car.terminate()
    return 1


@tap.case("connections live on when the count of milliseconds wraps")
def _():
    crosses(1 << 32)


@tap.case("and when it changes its sign")
def _():
    crosses(1 << 31)


tap.run()
