#!/usr/bin/python3
"""Clients of published UDP ports that are gone, or send more than others."""

import errno
import os
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import datagrams  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
BURST = 128  # the most that Linux sends in one piece
PORT, INSIDE = 5000, 53
WORLD = rig.World(ip6=True)
GUEST, HOST = WORLD.guest, WORLD.host
CAR = sidecar.Sidecar(WORLD, "-p", "%d:%d/udp" % (PORT, INSIDE))
VMM = sidecar.Vmm(WORLD, CAR.path)
datagrams.introduce(GUEST, rig.GATEWAY, rig.GATEWAY6)


@tap.case("the guest learns that a client has gone, under the name it knows")
def _():
    for address, where in (("127.0.0.1", "0.0.0.0"), ("::1", "::")):
        service = GUEST.udp(where, INSIDE)
        client = datagrams.connected(HOST, address, PORT)
        client.send(b"question")
        _, source = service.recvfrom(100)
        client.close()
        service.connect(source)
        service.send(b"answer")
        try:
            service.recv(100)
            tap.ok(False, "an answer came from nobody")
        except OSError as error:
            tap.equal(error.errno, errno.ECONNREFUSED, "errno")
        service.close()


@tap.case("%d datagrams sent in one piece reach the guest one by one" % BURST)
def _():
    with GUEST.udp("0.0.0.0", INSIDE) as service, \
            datagrams.connected(HOST, "127.0.0.1", PORT) as client:
        client.setsockopt(socket.IPPROTO_UDP, datagrams.UDP_SEGMENT, 1)
        client.send(bytes(range(BURST)))
        got = [service.recv(100) for _ in range(BURST)]
        tap.equal(b"".join(got), bytes(range(BURST)), "bytes")
        tap.ok(all(len(one) == 1 for one in got), "joined")


tap.run(sidecar.tell(CAR))
