#!/usr/bin/python3
"""Everything at once, for SOAK_S seconds: connections that come, go and break
off, bulk both ways, datagrams, questions, pings, readers that do not read,
a port that is published.  Then all of it ends, and what sallyport holds is
what it held before: descriptors, memory, sockets of the host's."""

import os
import random
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import datagrams  # noqa: E402
import resolver  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import visits  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
SOAK_S = float(os.environ.get("SOAK_S", "600"))
SEED = 20261127
MAPPINGS_END_S = 320  # longer than an answered mapping of UDP lives
# What memory may differ by between the first quarter and the last: pools are
# touched by who uses them, and given to nobody.
GROWTH_MAX_KIB = 4096
MIB = 1 << 20

WORLD = rig.World(ip6=True)
WORLD.host.sysctl("ipv4/ping_group_range", "0 2147483647")
NAMES = resolver.Server(WORLD.host, "127.0.0.1")
CAR = sidecar.Sidecar(WORLD, "--connect-rate", "10000", "-p", "8080:80",
                      "--dns", NAMES.address, "--mtu", "9000")
VMM = sidecar.Vmm(WORLD, CAR.path, mtu=9000)
GUEST, HOST, SERVER = WORLD.guest, WORLD.host, WORLD.server
OUTSIDE, INSIDE = SERVER.listen(), GUEST.listen(port=80)
OUTSIDE6 = SERVER.listen(rig.SERVER6)
BULK, DEAF = SERVER.listen(), SERVER.listen()
ECHO = SERVER.udp(rig.SERVER)
PIDS = {"parent": CAR.pid, **CAR.children()}
for listener in (OUTSIDE, INSIDE, OUTSIDE6):
    visits.Servant(listener)
datagrams.echo_server(ECHO)


def descriptors():
    return {role: len(os.listdir("/proc/%d/fd" % pid))
            for role, pid in PIDS.items()}


def memory():
    return {role: sidecar.pss_kib(pid) for role, pid in PIDS.items()}


def host_sockets():
    """Of the host's namespace, TIME_WAIT and this test's own left out."""
    said = HOST.run(["ss", "-Htunap"]).stdout
    return sum("sallyport" in line for line in said.splitlines())


class Load:
    """Workers until the time is up; each counts what it has done."""

    def __init__(self):
        self.end = time.monotonic() + SOAK_S
        self.workers, self.done = [], {}

    def goes_on(self):
        return time.monotonic() < self.end

    def start(self, name, function, *args):
        self.done.setdefault(name, 0)

        def work():
            while self.goes_on():
                function(*args)
                self.done[name] += 1
        self.workers.append(rig.thread(work))

    def join(self):
        for worker in self.workers:
            worker.join(120 * tap.scale())


PAIRING = threading.Lock()


def pair(listener):
    """Both ends of one connection, whoever else makes some."""
    with PAIRING:
        return traffic.pair(GUEST, rig.SERVER, listener)


def bulk(upwards):
    guest, server = pair(BULK)
    with guest, server:
        traffic.transfer(*((guest, server) if upwards else (server, guest)),
                         32 * MIB)


def question(kind):
    with GUEST.udp() as sock:
        query = resolver.question("www.example.org", kind=kind)
        sock.sendto(query, (rig.GATEWAY, 53))
        tap.ok(resolver.records(sock.recv(4096)), "no record")
    time.sleep(0.02)


def echo(dice):
    with datagrams.connected(GUEST, rig.SERVER, rig.port_of(ECHO)) as sock:
        for _ in range(50):
            data = dice.randbytes(dice.choice((1, 64, 1400, 8000, 30000)))
            sock.send(data)
            tap.ok(sock.recv(65535) == data, "another datagram")
    time.sleep(0.2)


def ping():
    GUEST.run(["fping", "-q", "-c", "20", "-p", "50", rig.SERVER, rig.GATEWAY])


def stalled(upwards, dice):
    """Nobody reads for a while, and then it breaks off."""
    guest, server = pair(DEAF)
    source = guest if upwards else server
    source.setblocking(False)
    try:
        while True:
            source.send(bytes(65536))
    except BlockingIOError:
        pass
    time.sleep(dice.random() * 3)
    rig.reset(guest if dice.random() < .5 else server)
    guest.close()
    server.close()


@tap.case("a mixed load of %g s, after which nothing is left" % SOAK_S,
          limit_s=SOAK_S + MAPPINGS_END_S + 300)
def _():
    # relayproc keeps a socket of each family to ask for routes with.
    for address, listener in (rig.SERVER, OUTSIDE), (rig.SERVER6, OUTSIDE6):
        with GUEST.connect(address, rig.port_of(listener)):
            pass
    time.sleep(1)
    before = descriptors()
    sockets = host_sockets()
    load, dice = Load(), random.Random(SEED)
    # GUEST's threads enter its namespace; HOST's theirs.
    for number in range(6):
        one = random.Random(SEED + number)
        load.start("connections out", visits.visit, one, GUEST, rig.SERVER,
                   rig.port_of(OUTSIDE))
        load.start("connections in", visits.visit, one, HOST, "127.0.0.1",
                   8080)
    load.start("connections out, IPv6", visits.visit, dice, GUEST,
               rig.SERVER6, rig.port_of(OUTSIDE6))
    for upwards in (True, False):
        load.start("bulk of 32 MiB", bulk, upwards)
        for _ in range(4):
            load.start("stalls", stalled, upwards, dice)
    load.start("questions", question, resolver.A)
    load.start("questions", question, resolver.AAAA)
    load.start("50 datagrams", echo, dice)
    load.start("40 pings", ping)
    seen = []
    while load.goes_on():
        time.sleep(min(5, SOAK_S / 12))
        seen.append(sum(memory().values()))
    load.join()
    tap.note(", ".join("%d %s" % (n, what) for what, n in load.done.items()))
    quarter = max(1, len(seen) // 4)
    first, last = sorted(seen[:quarter]), sorted(seen[-quarter:])
    growth = last[len(last) // 2] - first[len(first) // 2]
    tap.note("PSS in KiB under load: %d in the first quarter, %d in the last"
             % (first[len(first) // 2], last[len(last) // 2]))
    VMM.check()
    tap.equal({"parent": CAR.pid, **CAR.children()}, PIDS, "processes")
    deadline = time.monotonic() + MAPPINGS_END_S * tap.scale()
    while time.monotonic() < deadline:
        time.sleep(1)
        if descriptors() == before and host_sockets() == sockets:
            break
    tap.equal(descriptors(), before, "descriptors")
    tap.equal(host_sockets(), sockets, "the host's sockets of sallyport")
    if not sidecar.sanitized():
        tap.ok(growth < GROWTH_MAX_KIB, "grew by %d KiB" % growth)
    sidecar.idle_for(2, PIDS, limit=0.05)
    with GUEST.connect(rig.SERVER, rig.port_of(OUTSIDE)):
        pass
    tap.figure("", "descriptors, sockets left after %g s of mixed load"
               % SOAK_S, 0, "", "0")
    tap.figure("", "growth of memory under it, first to last quarter",
               growth, "KiB", "< %d" % GROWTH_MAX_KIB)


@tap.case("its counters are those of connections that all ended")
def _():
    status, _ = CAR.terminate()
    tap.equal(status, 0, "status")
    for line in CAR.log.all():
        if "counters" in line:
            tap.note(line)


tap.run(sidecar.tell(CAR))
