#!/usr/bin/python3
"""What is taken away from outside and given back: each process is stopped for
a while, the VMM too, the host loses its route.  All goes on after it, the
connections from before as well, and nobody spins meanwhile."""

import errno
import os
import select
import signal
import socket
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
ICMP_OFF = 14 + 20  # Ethernet, IPv4
STOP_S = 1  # less than the parent's patience with who does not answer

SETUP = sidecar.setup()
GUEST = SETUP.world.guest
ECHO = SETUP.world.server.listen()
PORT = rig.port_of(ECHO)
traffic.echo_server(ECHO)
OLD = GUEST.connect(rig.SERVER, PORT)
traffic.greet(OLD)
PIDS = {"parent": SETUP.car.pid, **SETUP.car.children()}


def all_goes_on():
    traffic.greet(OLD)
    with GUEST.connect(rig.SERVER, PORT, 10 * tap.scale()) as sock:
        traffic.greet(sock, b"a new one")
    tap.equal({"parent": SETUP.car.pid, **SETUP.car.children()}, PIDS, "pids")
    sidecar.idle_for(0.5, PIDS)


def stopped(role, pid):
    @tap.case("%s is stopped for a second and goes on" % role)
    def _():
        OLD.sendall(b"before")
        os.kill(pid, signal.SIGSTOP)
        try:
            OLD.sendall(b"meanwhile")
            sidecar.idle_for(STOP_S, PIDS, without=[role])
        finally:
            os.kill(pid, signal.SIGCONT)
        OLD.settimeout(10 * tap.scale())
        tap.equal(traffic.exact(OLD, 15), b"beforemeanwhile", "echo")
        all_goes_on()


for name, number in (*PIDS.items(), ("the VMM", SETUP.vmm.pid)):
    stopped(name, number)


@tap.case("the host's way out goes and comes back")
def _():
    host = SETUP.world.host
    host.ip("route add unreachable %s/32" % rig.SERVER)
    try:
        start = time.monotonic()
        tap.raises([errno.ECONNREFUSED, errno.EHOSTUNREACH,
                    errno.ENETUNREACH], GUEST.connect, rig.SERVER, PORT)
        took = time.monotonic() - start
        OLD.sendall(b"meanwhile")
        sidecar.idle_for(0.5, PIDS)
    finally:
        host.ip("route del unreachable %s/32" % rig.SERVER)
    tap.ok(took < 1 * tap.scale(), "told after %.1f s" % took)
    OLD.settimeout(30 * tap.scale())
    tap.equal(traffic.exact(OLD, 9), b"meanwhile", "echo")
    all_goes_on()


@tap.case("what a relayproc that is lost had not answered is refused at once")
def _():
    pid = SETUP.car.children()["relayproc"]
    os.kill(pid, signal.SIGSTOP)
    with GUEST.socket() as sock, GUEST.socket(
            socket.SOCK_RAW, proto=socket.IPPROTO_ICMP) as ping:
        sock.setblocking(False)
        ping.settimeout(5 * tap.scale())
        tap.equal(sock.connect_ex((rig.SERVER, PORT)), errno.EINPROGRESS,
                  "connect")
        # netproc answers this itself, behind the SYN.
        ping.sendto(frames.echo()[ICMP_OFF:], (rig.GATEWAY, 0))
        ping.recv(100)
        os.kill(pid, signal.SIGKILL)
        tap.ok(select.select([], [sock], [], 10 * tap.scale())[1], "no answer")
        tap.equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
                  errno.ECONNREFUSED, "errno")
    SETUP.car.log.wait("replaced in")


tap.run(sidecar.tell(SETUP.car))
