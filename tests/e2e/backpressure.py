#!/usr/bin/python3
"""Readers that do not read: each side waits, and memory does not grow."""

import errno
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
MIB = 1 << 20
SLOW_FLOWS = 20
# What netproc may hold for 20 flows that nobody reads, and what sallyport
# may hold in all: its pools, no more.
GROWTH_MAX_KIB = 48 * 1024

SETUP = sidecar.setup(mtu=65520)
LISTENER = SETUP.world.server.listen()
GUEST = SETUP.world.guest


def pair():
    return traffic.pair(GUEST, rig.SERVER, LISTENER)


def memory():
    return {role: sidecar.pss_kib(pid)
            for role, pid in SETUP.car.children().items()}


def warm_up():
    """Touches the pools that a busy sidecar has touched anyway."""
    guest, server = pair()
    with guest, server:
        traffic.transfer(guest, server, 16 * MIB)
    guest, server = pair()
    with guest, server:
        traffic.transfer(server, guest, 16 * MIB)


def grown(before):
    after = memory()
    tap.note("PSS in KiB: %s, then %s" % (before, after))
    for role in before:
        tap.ok(after[role] - before[role] < GROWTH_MAX_KIB
               or sidecar.sanitized(),
               "%s grew from %d to %d KiB"
               % (role, before[role], after[role]))


def stuff(source):
    """Sends until the path is full; returns how many bytes it took."""
    total = 0
    source.setblocking(False)
    block = memoryview(bytes(range(251)) * 261)
    deadline = time.monotonic() + 20 * tap.scale()
    last = time.monotonic()
    while time.monotonic() - last < 0.3 * tap.scale():
        tap.ok(time.monotonic() < deadline, "%d bytes and no end" % total)
        try:
            total += source.send(block[total % 251:])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.005)  # how long the path stays full is the question
    return total


def verify(sink, total):
    """Reads total bytes of stuff()'s pattern."""
    sink.settimeout(20 * tap.scale())
    pattern = bytes(range(251)) * 4200
    done = 0
    while done < total:
        data = sink.recv(min(MIB, total - done))
        start = done % 251
        tap.ok(data == pattern[start:start + len(data)] and data,
               "other bytes at %d of %d" % (done, total))
        done += len(data)


def slow_readers(upwards):
    warm_up()
    before = memory()
    pairs = [pair() for _ in range(SLOW_FLOWS)]
    fills = [rig.thread(stuff, ends[0] if upwards else ends[1])
             for ends in pairs]
    totals = [worker.join(40 * tap.scale()) for worker in fills]
    tap.note("%d MiB waiting" % (sum(totals) // MIB))
    grown(before)
    with GUEST.connect(rig.SERVER, rig.port_of(LISTENER)) as guest:
        with LISTENER.accept()[0] as server:
            traffic.greet_ends(guest, server)
            traffic.transfer(guest, server, MIB)
    for (guest, server), total in zip(pairs, totals):
        verify(server if upwards else guest, total)
        guest.close()
        server.close()
    grown(before)


@tap.case("20 servers that do not read cost bounded memory, and lose nothing")
def _():
    slow_readers(upwards=True)


@tap.case("a guest that does not read 20 flows costs bounded memory, and "
          "loses nothing")
def _():
    slow_readers(upwards=False)


@tap.case("a VMM that stops reading costs bounded memory, and loses nothing")
def _():
    warm_up()
    before = memory()
    pairs = [pair() for _ in range(SLOW_FLOWS)]
    SETUP.vmm.stall()
    fills = [rig.thread(stuff, server) for _, server in pairs]
    totals = [worker.join(40 * tap.scale()) for worker in fills]
    tap.note("%d MiB waiting" % (sum(totals) // MIB))
    grown(before)
    SETUP.vmm.resume()
    for (guest, server), total in zip(pairs, totals):
        verify(guest, total)
        guest.close()
        server.close()


@tap.case("a guest whose window opens a little at a time loses nothing")
def _():
    guest, server = pair()
    with guest, server:
        total = stuff(server)
        guest.settimeout(20 * tap.scale())
        done = 0
        while done < min(total, MIB):
            data = guest.recv(1460)
            tap.equal(data[0], done % 251, "byte %d" % done)
            done += len(data)


@tap.case("a server reset in a stall ends the guest's connection")
def _():
    guest, server = pair()
    with guest:
        stuff(guest)
        rig.reset(server)
        tap.raises([errno.ECONNRESET, errno.EPIPE], stuff, guest)


tap.run(sidecar.tell(SETUP.car))
