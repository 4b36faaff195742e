#!/usr/bin/python3
"""What a sidecar costs that nobody talks to: memory, and no wake-up."""

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
PSS_MAX_KIB = 5 * 1000 * 1000 // 1024
QUIET_S = 3
SETTLE_S = 10
TALK_S = 4
ASKING_WAKEUPS = 40  # a second: two questions, four answers and timers take 10

SETUP = sidecar.setup("-p", "8080:80", "-p", "5353:53/udp")


def processes():
    """Every process of the sidecar."""
    pids, found = [SETUP.car.pid], []
    while pids:
        pid = pids.pop()
        found.append(pid)
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            pids += [int(word) for word in file.read().split()]
    return found


def wakeups():
    return {pid: sum(int(sidecar.proc_status(pid)[name]) for name in (
        "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))
        for pid in processes()}


def wait_quiet():
    """Until nothing has woken anybody for a while, or fails."""
    deadline = time.monotonic() + SETTLE_S * tap.scale()
    while True:
        before = wakeups()
        time.sleep(QUIET_S)  # that nothing happens is what is tested
        if wakeups() == before:
            return
        tap.ok(time.monotonic() < deadline, "wake-ups in %d s: %r" % (
            QUIET_S, {pid: count - before.get(pid, 0)
                      for pid, count in wakeups().items()}))


@tap.case("an idle sidecar takes 5 MB of memory at most, all processes of it "
          "together")
def _():
    if sidecar.sanitized():
        tap.skip("a build with sanitizers")
    sizes = {pid: sidecar.pss_kib(pid) for pid in processes()}
    tap.note("KiB: %s" % sorted(sizes.values()))
    tap.figure("-", "memory of an idle sidecar (PSS)", sum(sizes.values()),
               "KiB", "<= %d" % PSS_MAX_KIB)
    tap.ok(sum(sizes.values()) <= PSS_MAX_KIB,
           "%d KiB" % sum(sizes.values()))


@tap.case("an idle sidecar is not woken")
def _():
    wait_quiet()


@tap.case("nor is it by connections that stand and are idle")
def _():
    with SETUP.world.server.listen() as listener:
        pairs = [traffic.pair(SETUP.world.guest, rig.SERVER, listener)
                 for _ in range(50)]
        for one, other in pairs:
            traffic.greet_ends(one, other)
        wait_quiet()
        for one, other in pairs:
            traffic.greet_ends(one, other)
            one.close()
            other.close()


@tap.case("a guest that talks all the time has the parent ask no more than "
          "twice a second whether the others hang")
def _():
    with SETUP.world.server.listen() as listener:
        one, other = traffic.pair(SETUP.world.guest, rig.SERVER, listener)
    with one, other:
        woken, start = wakeups()[SETUP.car.pid], time.monotonic()
        while time.monotonic() < start + TALK_S:
            traffic.greet_ends(one, other)
        woken = wakeups()[SETUP.car.pid] - woken
        rate = woken / (time.monotonic() - start)
    tap.note("the parent: %.1f wake-ups a second" % rate)
    tap.ok(rate <= ASKING_WAKEUPS, "%.1f wake-ups a second" % rate)


@tap.case("after connections have come and gone a sidecar is not woken")
def _():
    with SETUP.world.server.listen() as listener:
        for one, other in [traffic.pair(SETUP.world.guest, rig.SERVER,
                                        listener) for _ in range(20)]:
            traffic.greet_ends(one, other)
            one.close()
            other.close()
    wait_quiet()


tap.run(sidecar.tell(SETUP.car))
