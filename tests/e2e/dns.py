#!/usr/bin/python3
"""The resolver at the gateway: queries pass as they are."""

import os
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
A, TXT, HTTPS = 1, 16, 65
FORMERR, SERVFAIL, NOTIMP = 1, 2, 4
UPSTREAM_LIMIT_S = 2
DNSSEC_OK = 0x8000
IN_FLIGHT_MAX = 256


def opt(size, flags=0):
    return struct.pack("!BHHHHH", 0, 41, size, 0, flags, 0)


class Server:
    """Answers every question with one record that holds the name."""

    def __init__(self, namespace, address):
        self.sock = namespace.udp(address)
        self.sock.settimeout(None)
        self.address = "%s:%d" % (address, rig.port_of(self.sock))
        self.seen = []
        self.mute = False
        self.answer = self.usual
        rig.thread(self.serve)

    def serve(self):
        while True:
            query, client = self.sock.recvfrom(65535)
            self.seen.append(query)
            if not self.mute:
                for reply in self.answer(query):
                    self.sock.sendto(reply, client)

    @staticmethod
    def usual(query):
        name_end = query.index(0, 12) + 1
        kind = query[name_end:name_end + 2]
        data = b"\xcb\x00\x71\x07" if kind == b"\0\1" else query[12:name_end]
        record = b"\xc0\x0c" + kind + b"\0\1\0\0\0\x3c" \
            + struct.pack("!H", len(data)) + data
        return [query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
                + query[12:name_end + 4] + record]


def question(name, ident=0x1234, kind=A, edns=b""):
    labels = b"".join(bytes([len(part)]) + part.encode()
                      for part in name.split("."))
    return struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, int(edns != b"")) \
        + labels + struct.pack("!BHH", 0, kind, 1) + edns


WORLD = rig.World()
FIRST = Server(WORLD.server, rig.SERVER)
SECOND = Server(WORLD.server, rig.SERVER2)
LOCAL = Server(WORLD.host, "127.0.0.53")
CAR = sidecar.Sidecar(WORLD, "--dns", FIRST.address, "--dns", SECOND.address)
VMM = sidecar.Vmm(WORLD, CAR.path)


def ask(query, timeout_s=10, namespace=None):
    with (namespace or WORLD.guest).socket(socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s * tap.scale())
        sock.sendto(query, (rig.GATEWAY, 53))
        answer, source = sock.recvfrom(65535)
        tap.equal(source, (rig.GATEWAY, 53), "who answers")
        return answer


@tap.case("a query reaches the first resolver, and its answer the guest")
def _():
    start = time.monotonic()
    query = question("host.example.org")
    tap.equal(ask(query), FIRST.usual(query)[0], "answer")
    tap.note("%.1f ms" % (1e3 * (time.monotonic() - start)))
    tap.equal(FIRST.seen[-1][12:], query[12:], "what the resolver saw")
    tap.equal(SECOND.seen, [], "what the second resolver saw")


@tap.case("any type of record passes")
def _():
    for kind in (TXT, HTTPS, 255, 65280):
        query = question("record.example.org", kind=kind)
        tap.equal(ask(query), FIRST.usual(query)[0], "type %d" % kind)


@tap.case("what is no question is refused by the gateway itself")
def _():
    plain = question("record.example.org")
    before = len(FIRST.seen)
    for opcode in (1, 2, 4, 5, 15):
        query = plain[:2] + bytes([opcode << 3]) + plain[3:]
        answer = ask(query)
        tap.equal((answer[:2], answer[2] & 0xf8, answer[3] & 15),
                  (query[:2], 0x80 | opcode << 3, NOTIMP),
                  "opcode %d" % opcode)
    for query in (plain[:12], plain[:4] + b"\0\0" + plain[6:12],
                  plain[:5] + b"\2" + plain[6:] + plain[12:], plain[:20]):
        answer = ask(query)
        tap.equal((answer[:2], answer[2] & 0x80, answer[3] & 15),
                  (query[:2], 0x80, FORMERR), query.hex())
    tap.equal(len(FIRST.seen), before, "queries that left")


@tap.case("200 queries in flight get each its own answer")
def _():
    socks = []
    for number in range(200):
        sock = WORLD.guest.socket(socket.SOCK_DGRAM)
        sock.settimeout(10 * tap.scale())
        # Few identifiers, so that they alone cannot tell queries apart.
        query = question("n%d.example.org" % number, ident=number % 3)
        sock.sendto(query, (rig.GATEWAY, 53))
        socks.append((sock, query))
    for sock, query in socks:
        tap.equal(sock.recv(65535), FIRST.usual(query)[0], "answer")
        sock.close()


@tap.case("an answer of 1,200 bytes passes whole, one of 1,400 is cut")
def _():
    FIRST.answer = lambda query: [FIRST.usual(query)[0].ljust(1200, b"x")]
    try:
        tap.equal(len(ask(question("long.example.org"))), 1200, "length")
        FIRST.answer = lambda query: [
            FIRST.usual(query)[0].ljust(1400, b"x")]
        cut = ask(question("longer.example.org"))
        tap.equal(cut[2] & 0x02, 0x02, "TC")
        tap.ok(len(cut) < 512, "the length of what was cut: %d" % len(cut))
        for flags in (0, DNSSEC_OK):
            cut = ask(question("longer.example.org", edns=opt(4096, flags)))
            tap.equal((cut[2] & 0x02, cut[11], cut[-11:]),
                      (0x02, 1, opt(1232, flags)), "TC and EDNS")
    finally:
        FIRST.answer = FIRST.usual


@tap.case("an answer to another question's identifier is not passed on")
def _():
    FIRST.answer = lambda query: [
        bytes([query[0] ^ 0xff]) + query[1:2] + FIRST.usual(query)[0][2:],
        FIRST.usual(query)[0]]
    try:
        query = question("spoof.example.org")
        tap.equal(ask(query), FIRST.usual(query)[0], "answer")
    finally:
        FIRST.answer = FIRST.usual


@tap.case("an answer without the question is not passed on, an error is")
def _():
    def bare(query, rcode):
        return query[:2] + bytes((0x81, 0x80 | rcode)) + bytes(8)

    query = question("bare.example.org")
    record = FIRST.usual(query)[0][len(query):]
    for extra in b"", record:
        forged = bare(query, 0)[:7] + bytes([extra != b""]) + bytes(4) + extra
        FIRST.answer = lambda query: [forged, FIRST.usual(query)[0]]
        try:
            tap.equal(ask(query), FIRST.usual(query)[0], "answer")
        finally:
            FIRST.answer = FIRST.usual
    FIRST.answer = lambda query: [bare(query, FORMERR)]
    try:
        tap.equal(ask(query), bare(query, FORMERR), "error")
    finally:
        FIRST.answer = FIRST.usual


@tap.case("a resolver that is silent for two seconds gives way to the next")
def _():
    FIRST.mute = True
    try:
        start = time.monotonic()
        query = question("second.example.org")
        tap.equal(ask(query), SECOND.usual(query)[0], "answer")
        took = time.monotonic() - start
        tap.ok(UPSTREAM_LIMIT_S * 0.9 < took
               < 2 * UPSTREAM_LIMIT_S * tap.scale(), "took %.2f s" % took)
    finally:
        FIRST.mute = False


@tap.case("when every resolver is silent the guest gets SERVFAIL")
def _():
    FIRST.mute = SECOND.mute = True
    try:
        start = time.monotonic()
        query = question("nobody.example.org", ident=0x4321,
                         edns=opt(4096, DNSSEC_OK))
        answer = ask(query)
        took = time.monotonic() - start
        tap.equal(answer[:2], b"\x43\x21", "identifier")
        tap.ok(answer[2] & 0x80, "the answer is no answer")
        tap.equal(answer[3] & 15, SERVFAIL, "status")
        tap.equal(answer[12:], question("nobody.example.org")[12:]
                  + opt(1232, DNSSEC_OK), "the question, and EDNS")
        tap.ok(took < 3 * UPSTREAM_LIMIT_S * tap.scale(),
               "took %.2f s" % took)
    finally:
        FIRST.mute = SECOND.mute = False


@tap.case("a resolver on the host's loopback may be named, floor or not")
def _():
    world = WORLD
    car = sidecar.Sidecar(world, "--dns", LOCAL.address)
    VMM.kill()
    vmm = sidecar.Vmm(world, car.path)
    query = question("loopback.example.org")
    tap.equal(ask(query), LOCAL.usual(query)[0], "answer")
    vmm.kill()
    car.terminate()


@tap.case("a resolver whose port is closed gives way without waiting")
def _():
    query = question("closed.example.org")

    def first_query():
        car = sidecar.Sidecar(WORLD, "--dns", "%s:9" % rig.SERVER,
                              "--dns", SECOND.address)
        vmm = sidecar.Vmm(WORLD, car.path)
        tap.equal(ask(query), SECOND.usual(query)[0], "answer")
        vmm.kill()
        car.terminate()

    tap.in_time(UPSTREAM_LIMIT_S, first_query)


def wire_that_asked(car, query, count):
    """A VMM's wire with so many queries under way, from port 1000 on."""
    wire = frames.Wire(car.path)
    for port in range(1000, 1000 + count):
        wire.send(frames.datagram(query, port, 53, dst=rig.GATEWAY))
    return wire


@tap.case("a query beyond those that may wait fails at once, not in silence")
def _():
    car = sidecar.Sidecar(WORLD, "--dns", FIRST.address)
    FIRST.mute = True
    wire = wire_that_asked(car, question("more.example.org"),
                           IN_FLIGHT_MAX + 1)
    try:
        packet = wire.expect(lambda p: p.proto == frames.UDP)
        tap.ok(packet, "silence")
        tap.equal((packet.dport, packet.data[3] & 15),
                  (1000 + IN_FLIGHT_MAX, SERVFAIL), "port, rcode")
    finally:
        FIRST.mute = False
        wire.close()
        car.terminate()


@tap.case("the next VM hears no answer to one before it, and finds room")
def _():
    car = sidecar.Sidecar(WORLD, "--dns", FIRST.address)
    query = question("next.example.org")
    FIRST.mute = True
    wire = wire_that_asked(car, query, IN_FLIGHT_MAX)
    wire.alive()
    wire.close()
    car.log.wait("vmm gone")
    FIRST.mute = False
    wire = frames.Wire(car.path)
    try:
        wire.alive()
        wire.send(frames.datagram(query, 999, 53, dst=rig.GATEWAY))
        packet = wire.expect(lambda p: p.proto == frames.UDP)
        tap.equal(packet and (packet.dport, packet.data),
                  (999, FIRST.usual(query)[0]), "answer")
        late = wire.expect(lambda p: p.proto == frames.UDP,
                           UPSTREAM_LIMIT_S + 0.5)
        tap.equal(late and late.dport, None, "whose answer comes as well")
    finally:
        wire.close()
        car.terminate()


def wait_sent(namespace, count):
    """Until so many datagrams, in all, have been sent from there."""
    deadline = time.monotonic() + 10 * tap.scale()
    while datagrams_sent(namespace) < count:
        tap.ok(time.monotonic() < deadline, "queries do not leave the host")
        time.sleep(0.001)


def datagrams_sent(namespace):
    with namespace, open("/proc/thread-self/net/snmp") as file:
        names, values = [line.split() for line in file
                         if line.startswith("Udp:")]
    return int(values[names.index("OutDatagrams")])


@tap.case("nor do answers disturb it that come when it has asked itself")
def _():
    car = sidecar.Sidecar(WORLD, "--dns", FIRST.address)
    query = question("late.example.org")
    before = datagrams_sent(WORLD.host)
    go_on = threading.Event()

    def late(asked):
        go_on.wait(20 * tap.scale())
        return FIRST.usual(asked)

    FIRST.answer = late
    wire = wire_that_asked(car, query, IN_FLIGHT_MAX)
    wire.alive()
    wire.close()
    car.log.wait("vmm gone")
    wire = frames.Wire(car.path)
    try:
        wire.alive()
        sent = 0
        for ports in range(990, 999), [999]:
            for port in ports:
                wire.send(frames.datagram(query, port, 53, dst=rig.GATEWAY))
            sent += len(ports)
            wait_sent(WORLD.host, before + IN_FLIGHT_MAX + sent)
            go_on.set()
            answers = [wire.expect(lambda p: p.proto == frames.UDP)
                       for _ in ports]
            tap.equal(sorted((p.dport, p.data) for p in answers if p),
                      [(port, FIRST.usual(query)[0]) for port in ports],
                      "answers")
    finally:
        go_on.set()
        FIRST.answer = FIRST.usual
        wire.close()
        car.terminate()


tap.run(sidecar.tell(CAR))
