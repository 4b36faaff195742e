#!/usr/bin/python3
"""DHCP: a real client once, and each message by hand."""

import os
import shutil
import struct
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
DISCOVER, OFFER, REQUEST, ACK, NAK, RELEASE, INFORM = 1, 2, 3, 5, 6, 7, 8
NETMASK, ROUTER, DNS, DOMAIN, MTU = 1, 3, 6, 15, 26
REQUESTED, LEASE, TYPE, SERVER_ID = 50, 51, 53, 54
RAPID_COMMIT, SEARCH = 80, 119
ANSWER_LIMIT_S = 0.1

WORLD = rig.World()
CAR = sidecar.Sidecar(WORLD, "--mtu", "9000", "--search", "corp.example")


def message(kind, *options, ciaddr="0.0.0.0", xid=0x53414c4c):
    body = struct.pack("!BBBBIHH", 1, 1, 6, 0, xid, 0, 0)
    body += frames.ip(ciaddr) + bytes(12)
    body += frames.mac(rig.GUEST_MAC) + bytes(10 + 64 + 128)
    body += b"\x63\x82\x53\x63" + bytes([TYPE, 1, kind])
    for code, data in options:
        body += bytes([code, len(data)]) + data
    return frames.datagram(body + b"\xff", 68, 67, src=ciaddr,
                           dst=frames.ALL, to=frames.BROADCAST)


def is_reply(packet):
    return packet.proto == frames.UDP and packet.dport == 68


def exchange(wire, *words, **fields):
    """Sends a message; returns ({option: bytes}, yiaddr)."""
    def answered():
        nonlocal reply
        wire.send(message(*words, **fields))
        reply = wire.expect(is_reply)
        tap.ok(reply, "no answer")

    reply = None
    tap.in_time(ANSWER_LIMIT_S, answered)
    tap.equal(reply.data[4:8], b"SALL", "xid")
    options, rest = {}, reply.data[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2:2 + rest[1]]
        rest = rest[2 + rest[1]:]
    return options, reply.data[16:20]


def check_lease(options):
    tap.equal(options[NETMASK], frames.ip("255.255.255.252"), "netmask")
    tap.equal(options[ROUTER], frames.ip(rig.GATEWAY), "router")
    tap.equal(options[DNS], frames.ip(rig.GATEWAY), "DNS")
    tap.equal(options[MTU], struct.pack("!H", 9000), "MTU")
    tap.equal(options[SERVER_ID], frames.ip(rig.GATEWAY), "server")
    tap.equal(options[DOMAIN], b"corp.example", "domain")
    tap.equal(options[SEARCH], b"\4corp\7example\0", "search list")
    tap.ok(struct.unpack("!I", options[LEASE])[0] >= 3600, "lease")


@tap.case("a real client gets address, route, resolver and MTU")
def _():
    client = shutil.which("udhcpc")
    if client is None:
        tap.skip("no udhcpc: install udhcpc")
    vmm = sidecar.Vmm(WORLD, CAR.path, mtu=9000, configure=False)
    script = WORLD.path("lease.sh")
    with open(script, "w") as file:
        file.write("#!/bin/sh\n[ \"$1\" = bound ] || exit 0\n"
                   "env > %s\n" % WORLD.path("lease"))
    os.chmod(script, 0o755)
    start = time.monotonic()
    done = WORLD.guest.run([client, "-i", "eth0", "-n", "-q", "-f", "-t", "3",
                            "-O", "mtu", "-O", "search", "-s", script],
                           timeout=20)
    tap.note("%.2f s" % (time.monotonic() - start))
    tap.equal(done.returncode, 0, "udhcpc: %s" % done.stderr)
    with open(WORLD.path("lease")) as file:
        lease = dict(line.rstrip("\n").split("=", 1) for line in file
                     if "=" in line)
    tap.equal(lease.get("ip"), rig.GUEST, "ip")
    tap.equal(lease.get("mask"), "30", "mask")
    tap.equal(lease.get("router"), rig.GATEWAY, "router")
    tap.equal(lease.get("dns"), rig.GATEWAY, "dns")
    tap.equal(lease.get("mtu"), "9000", "mtu")
    WORLD.guest_configure()
    with WORLD.server.listen() as listener:
        guest, server = traffic.pair(WORLD.guest, rig.SERVER, listener)
        with guest, server:
            traffic.greet_ends(guest, server)
    vmm.kill()


@tap.case("DISCOVER gets an OFFER and REQUEST an ACK, under 100 ms each")
def _():
    wire = frames.Wire(CAR.path)
    options, address = exchange(wire, DISCOVER)
    tap.equal(options[TYPE], bytes([OFFER]), "type")
    tap.equal(address, frames.ip(rig.GUEST), "address")
    check_lease(options)
    options, address = exchange(wire, REQUEST,
                                (REQUESTED, frames.ip(rig.GUEST)),
                                (SERVER_ID, frames.ip(rig.GATEWAY)))
    tap.equal(options[TYPE], bytes([ACK]), "type")
    tap.equal(address, frames.ip(rig.GUEST), "address")
    check_lease(options)
    wire.close()


@tap.case("DISCOVER with Rapid Commit gets an ACK")
def _():
    wire = frames.Wire(CAR.path)
    options, address = exchange(wire, DISCOVER, (RAPID_COMMIT, b""))
    tap.equal(options[TYPE], bytes([ACK]), "type")
    tap.equal(options[RAPID_COMMIT], b"", "Rapid Commit")
    tap.equal(address, frames.ip(rig.GUEST), "address")
    wire.close()


@tap.case("a REQUEST for an address of another network gets a NAK")
def _():
    wire = frames.Wire(CAR.path)
    options, _ = exchange(wire, REQUEST,
                          (REQUESTED, frames.ip("192.168.1.5")))
    tap.equal(options[TYPE], bytes([NAK]), "type")
    wire.close()


@tap.case("INFORM gets an ACK without a lease, RELEASE gets no answer")
def _():
    wire = frames.Wire(CAR.path)
    options, address = exchange(wire, INFORM, ciaddr=rig.GUEST)
    tap.equal(options[TYPE], bytes([ACK]), "type")
    tap.ok(LEASE not in options, "an INFORM gets a lease")
    tap.equal(address, bytes(4), "address")
    wire.send(message(RELEASE, (SERVER_ID, frames.ip(rig.GATEWAY)),
                      ciaddr=rig.GUEST))
    wire.send(frames.arp(rig.GATEWAY))  # whose answer comes behind it
    packet = wire.expect(lambda p: is_reply(p) or p.kind == frames.ETH_ARP)
    tap.equal(packet and packet.kind, frames.ETH_ARP, "answer")
    wire.close()


tap.run(sidecar.tell(CAR))
