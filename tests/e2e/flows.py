#!/usr/bin/python3
"""Many connections: at once, and open together."""

import os
import resource
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(HARD, 65536), HARD))

PUBLISHED = 8080
# With more than 8,192 descriptors libevent's tables grow past what malloc
# takes from the heap: their calls must be in the filters.
MOST = 6500 if sidecar.RELAY == "splice" else 9000
DESCRIPTORS = MOST + 100 + 2000
if sidecar.RELAY == "splice":
    DESCRIPTORS += MOST + 100 + 4300  # their streams, and pipes
SETUP = sidecar.setup("--connect-rate", "10000", "--max-flows", "2048",
                      "-p", "%d:80" % PUBLISHED)
SERVER = SETUP.world.server.listen()
INSIDE = SETUP.world.guest.listen(port=80)
traffic.echo_server(SERVER)
traffic.echo_server(INSIDE)


def at_once(count, namespace, address, port, total):
    """Opens count connections at the same time and fills each."""
    def one(seed):
        with namespace.connect(address, port) as sock:
            reader = rig.thread(traffic.receive, sock)
            sent = traffic.send(sock, total, seed)
            tap.equal(reader.join(30), (total, sent), "bytes and SHA-256")

    start = time.monotonic()
    workers = [rig.thread(one, seed) for seed in range(count)]
    for worker in workers:
        worker.join(50 * tap.scale())
    tap.note("%d connections of %d bytes each way: %.2f s"
             % (count, total, time.monotonic() - start))


@tap.case("200 connections at once each carry their own bytes")
def _():
    at_once(200, SETUP.world.guest, rig.SERVER, rig.port_of(SERVER), 1 << 16)


@tap.case("200 published connections at once each carry their own bytes")
def _():
    at_once(200, SETUP.world.host, "127.0.0.1", PUBLISHED, 1 << 16)


def stand_together(count, namespace, address, port):
    """Opens count connections, hears each of them twice, closes them."""
    start = time.monotonic()
    socks = [namespace.connect(address, port) for _ in range(count)]
    tap.note("opened in %.2f s" % (time.monotonic() - start))
    start = time.monotonic()
    for _ in range(2):
        for number, sock in enumerate(socks):
            sock.sendall(b"%08d" % number)
        for number, sock in enumerate(socks):
            tap.equal(traffic.exact(sock, 8), b"%08d" % number, "echo")
    tap.note("two rounds in %.2f s" % (time.monotonic() - start))
    for sock in socks:
        sock.close()


def slots_are_free():
    """Waits until the children hold no more descriptors than at rest."""
    pids = SETUP.car.children()
    deadline = time.monotonic() + 10 * tap.scale()
    while time.monotonic() < deadline:
        counts = {role: len(os.listdir("/proc/%d/fd" % pid))
                  for role, pid in pids.items()}
        if max(counts.values()) < 30:
            break
        time.sleep(0.05)
    tap.note("descriptors after: %s" % counts)
    tap.ok(max(counts.values()) < 30, "descriptors left: %s" % counts)


@tap.case("1,000 connections stand together, and each still answers")
def _():
    stand_together(1000, SETUP.world.guest, rig.SERVER, rig.port_of(SERVER))


@tap.case("their slots are free again: another 1,000 can stand")
def _():
    socks = [SETUP.world.guest.connect(rig.SERVER, rig.port_of(SERVER))
             for _ in range(1000)]
    for sock in socks:
        traffic.greet(sock)
        sock.close()
    slots_are_free()


@tap.case("1,000 published connections stand together, and then two thousand "
          "more in their slots")
def _():
    for _ in range(3):
        stand_together(1000, SETUP.world.host, "127.0.0.1", PUBLISHED)
        slots_are_free()


@tap.case("%d connections stand together, and a fresh one is served as fast "
          "as before them" % MOST, 120)
def _():
    needed = max(2 * MOST + 500, DESCRIPTORS)
    if HARD < needed:
        tap.skip("%d descriptors are needed, %d may be had" % (needed, HARD))
    world = SETUP.world
    SETUP.vmm.kill()
    car = sidecar.Sidecar(world, "--connect-rate", "10000", "--max-flows",
                          str(MOST + 100))
    vmm = sidecar.Vmm(world, car.path)

    def fresh():
        """The median of some connections that come, speak and go."""
        took = []
        for _ in range(100):
            start = time.monotonic()
            guest, server = traffic.pair(world.guest, rig.SERVER, listener)
            with guest, server:
                traffic.greet_ends(guest, server)
            took.append(time.monotonic() - start)
        return sorted(took)[50] * 1e6

    with world.server.listen() as listener:
        alone = fresh()
        pairs = [traffic.pair(world.guest, rig.SERVER, listener)
                 for _ in range(MOST)]
        beside = fresh()
        for guest, server in pairs:
            traffic.greet_ends(guest, server)
        for guest, server in pairs:
            guest.close()
            server.close()
    tap.note("a fresh one: %.0f us alone, %.0f us beside them"
             % (alone, beside))
    vmm.check()
    car.terminate()


tap.run(sidecar.tell(SETUP.car))
