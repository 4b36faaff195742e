#!/usr/bin/python3
"""Options whose effect no other script sees: limits, each hit once."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
GATEWAY_MAC = "02:aa:bb:cc:dd:01"
ICMP_SLOTS = 64  # associations beside those of --max-udp
WORK = tempfile.mkdtemp()
tap.at_end(lambda: os.rmdir(WORK))


def counter(car, name):
    """Its value at the end of the sidecar; 0 if it was not printed."""
    car.terminate()
    found = re.search(r"\b%s=(\d+)" % name, "\n".join(car.log.all()))
    return int(found.group(1)) if found else 0


@tap.case("--gateway-mac is the MAC that the guest learns")
def _():
    setup = sidecar.setup("--gateway-mac", GATEWAY_MAC)
    with setup.world.server.listen() as listener:
        with setup.world.guest.connect(rig.SERVER, rig.port_of(listener)):
            seen = setup.world.guest.run(["ip", "neigh", "show",
                                          rig.GATEWAY]).stdout
    tap.ok(GATEWAY_MAC in seen, "the neighbour: %r" % seen)
    setup.world.close()


@tap.case("more descriptors than may be had are named, with what asks for them")
def _():
    # The hard limit is not root's to raise in a user namespace.
    for plane, asks in (("lend", "--max-udp 512"),
                        ("splice", "--max-udp 512, --relay splice")):
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "prlimit",
             "--nofile=1024:1024", sidecar.SALLYPORT, "--socket",
             os.path.join(WORK, "never"), "--relay", plane],
            text=True, capture_output=True)
        tap.equal(done.returncode, 71, "status: %r" % done.stderr)
        tap.ok("--max-flows 1024, %s: need " % asks in done.stderr and
               "raise the hard limit (ulimit -Hn), or lower them"
               in done.stderr, "the line: %r" % done.stderr)


@tap.case("beyond --max-udp the oldest association gives way, and is counted")
def _():
    setup = sidecar.setup("--max-udp", "1")
    server = setup.world.server.socket(socket.SOCK_DGRAM)
    server.bind((rig.SERVER, 0))
    server.settimeout(10 * tap.scale())
    guests = []
    for n in range(ICMP_SLOTS + 1 + 5):
        guest = setup.world.guest.socket(socket.SOCK_DGRAM)
        guest.settimeout(10 * tap.scale())
        guest.sendto(b"%d" % n, server.getsockname())
        server.sendto(*server.recvfrom(64))
        tap.equal(guest.recv(64), b"%d" % n, "the answer")
        guests.append(guest)
    tap.equal(counter(setup.car, "associations-evicted"), 5, "evicted")
    setup.world.close()


@tap.case("a guest that takes new ports faster than they can change hands has "
          "what is beyond that dropped, and the log says so once")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world, "--max-udp", "1")
    wire = frames.Wire(car.path)
    server = world.server.udp(rig.SERVER)
    port, ports = rig.port_of(server), 4000
    # At once: what is left to come back in that time is no matter.
    wire.sock.sendall(b"".join(
        frames.framed(frames.datagram(b"x", 2000 + number, port))
        for number in range(ports)))
    car.log.wait("datagrams are dropped: .*--max-udp would allow more")
    time.sleep(0.3 * tap.scale())  # a tenure
    wire.send(frames.datagram(b"later", 1999, port))
    while server.recv(64) != b"later":
        pass
    wire.close()
    tap.equal(len(car.log.find("datagrams are dropped")), 1, "lines")
    dropped = counter(car, "datagrams-dropped-table-full")
    tap.ok(0 < dropped < ports - ICMP_SLOTS, "%d dropped" % dropped)
    world.close()


@tap.case("beyond --max-pending a SYN is dropped, and is counted")
def _():
    setup = sidecar.setup("--max-pending", "4")
    guests = []
    for _ in range(8):
        guest = setup.world.guest.socket()
        guest.setblocking(False)
        guest.connect_ex((rig.FILTERED, 80))
        guests.append(guest)
    time.sleep(4)  # a place is waited for, one second; who has one, ten
    tap.ok(counter(setup.car, "over_budget") >= 4, "SYNs over the budget")
    setup.world.close()


tap.run()
