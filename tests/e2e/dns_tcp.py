#!/usr/bin/python3
"""The resolver at the gateway over TCP and IPv6, and how long answers may
be."""

import os
import shutil
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import resolver  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
EDNS_MAX = 1232  # what no path fragments
GATEWAYS = (rig.GATEWAY, rig.GATEWAY6)

WORLD = rig.World(ip6=True)
FIRST = resolver.Server(WORLD.server, rig.SERVER)
SECOND = resolver.Server(WORLD.server, rig.SERVER2)
SIX = resolver.Server(WORLD.server, rig.SERVER6)
CAR = sidecar.Sidecar(WORLD, "--dns", FIRST.address, "--dns", SECOND.address)
VMM = sidecar.Vmm(WORLD, CAR.path)
GUEST = WORLD.guest


def connect(gateway=rig.GATEWAY):
    sock = GUEST.connect(gateway, 53)
    sock.settimeout(10 * tap.scale())
    return sock


def ask(query, gateway=rig.GATEWAY, timeout_s=10):
    with GUEST.socket(socket.SOCK_DGRAM, rig.family_of(gateway)) as sock:
        sock.settimeout(timeout_s * tap.scale())
        sock.sendto(query, (gateway, 53))
        answer, source = sock.recvfrom(65535)
        tap.equal(source[:2], (gateway, 53), "who answers")
        return answer


class Behind:
    """Another sidecar with these options, for a while."""

    def __init__(self, *options, mtu=1500):
        VMM.kill()
        self.car = sidecar.Sidecar(WORLD, "--mtu", str(mtu), *options)
        self.vmm = sidecar.Vmm(WORLD, self.car.path, mtu=mtu)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        global VMM
        if kind:
            sidecar.tell(self.car)()
        self.vmm.kill()
        self.car.terminate()
        VMM = sidecar.Vmm(WORLD, CAR.path)


@tap.case("a query over TCP is answered, over IPv4 and IPv6")
def _():
    for gateway in GATEWAYS:
        with connect(gateway) as sock:
            query = resolver.question("tcp.example.org")
            resolver.send(sock, query)
            tap.equal(resolver.receive(sock), resolver.usual(query), "answer")
    tap.equal(FIRST.seen_tcp[-1][12:], query[12:], "what the resolver saw")


@tap.case("a query over UDP and IPv6 is answered")
def _():
    query = resolver.question("six.example.org")
    tap.equal(ask(query, rig.GATEWAY6), resolver.usual(query), "answer")


@tap.case("queries may follow each other on one connection, unanswered")
def _():
    with connect() as sock:
        queries = [resolver.question("n%d.example.org" % n, ident=n)
                   for n in range(20)]
        resolver.send(sock, *queries)
        answers = sorted(resolver.receive(sock) for _ in queries)
        tap.equal(answers, sorted(resolver.usual(q) for q in queries),
                  "answers")


@tap.case("a query over TCP may come a byte at a time")
def _():
    with connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        query = resolver.question("slow.example.org")
        for byte in struct.pack("!H", len(query)) + query:
            sock.send(bytes([byte]))
        tap.equal(resolver.receive(sock), resolver.usual(query), "answer")


@tap.case("an answer of 60,000 bytes passes over TCP")
def _():
    FIRST.answer = lambda query: resolver.sized(query, 60000)
    try:
        with connect() as sock:
            query = resolver.question("long.example.org", kind=resolver.TXT)
            resolver.send(sock, query)
            tap.ok(resolver.receive(sock) == resolver.sized(query, 60000),
                   "other bytes")
    finally:
        FIRST.answer = resolver.usual


@tap.case("a resolver that refuses TCP gives way to the next")
def _():
    with Behind("--dns", "%s:9" % rig.SERVER, "--dns", SECOND.address):
        with connect() as sock:
            query = resolver.question("next.example.org")
            resolver.send(sock, query)
            tap.equal(resolver.receive(sock), resolver.usual(query), "answer")


@tap.case("where every resolver refuses TCP the guest is refused, at once")
def _():
    with Behind("--dns", "%s:9" % rig.SERVER):
        start = time.monotonic()
        try:
            with connect() as sock:
                resolver.send(sock, resolver.question("none.example.org"))
                answer = resolver.receive(sock)
                tap.ok(not answer or answer[3] & 15 == resolver.SERVFAIL,
                       "%r" % answer)
        except OSError as error:
            tap.note(error)
        took = time.monotonic() - start
        tap.ok(took < 2 * tap.scale(), "took %.1f s" % took)


def limits(gateway, says, most):
    """What becomes of a query that says so, and of answers around there.  A
    server that answers more than it was asked for is passed on up to most."""
    query = resolver.question("edns.example.org", edns=says,
                              kind=resolver.TXT)
    for size in (500, 1200, most, 1400):
        FIRST.answer = lambda q: resolver.sized(q, size)
        answer = ask(query, gateway)
        tap.equal(resolver.edns_size(FIRST.seen[-1]), says and min(says, most),
                  "what the resolver saw")
        cut = bool(answer[2] & resolver.TC)
        tap.equal(cut, size > most, "TC")
        tap.ok(len(answer) <= most, "%d bytes" % len(answer))


@tap.case("the size that a query says it takes is lowered, and a longer "
          "answer is cut with TC")
def _():
    try:
        for mtu in (1280, 1500, 65520):
            with Behind("--dns", FIRST.address, mtu=mtu):
                for gateway in GATEWAYS:
                    for says in (None, 512, 900, EDNS_MAX, 4096, 65535):
                        limits(gateway, says, min(EDNS_MAX, mtu - 48))
    finally:
        FIRST.answer = resolver.usual


@tap.case("host.internal is the gateway, however it is asked for")
def _():
    before = len(FIRST.seen), len(FIRST.seen_tcp)
    want = {resolver.A: socket.inet_aton(rig.GATEWAY),
            resolver.AAAA: socket.inet_pton(socket.AF_INET6, rig.GATEWAY6)}
    for kind, address in want.items():
        for name in ("host.internal", "HOST.Internal"):
            for gateway in GATEWAYS:
                answer = ask(resolver.question(name, kind=kind), gateway)
                tap.equal(resolver.records(answer), [(kind, address)], name)
    answer = ask(resolver.question("host.internal", kind=resolver.TXT))
    tap.equal((answer[3] & 15, resolver.records(answer)),
              (resolver.NOERROR, []), "another type")
    tap.equal((len(FIRST.seen), len(FIRST.seen_tcp)), before,
              "queries that left")


@tap.case("an IPv6 resolver is asked, over UDP and TCP")
def _():
    with Behind("--dns", SIX.address):
        query = resolver.question("upstream.example.org")
        tap.equal(ask(query), resolver.usual(query), "over UDP")
        with connect() as sock:
            resolver.send(sock, query)
            tap.equal(resolver.receive(sock), resolver.usual(query),
                      "over TCP")
    tap.equal((len(SIX.seen), len(SIX.seen_tcp)), (1, 1), "queries")


@tap.case("another server's port 53 is ordinary egress")
def _():
    with GUEST.socket(socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        query = resolver.question("direct.example.org", edns=4096)
        sock.sendto(query, (rig.SERVER2, SECOND.port))
        tap.equal(sock.recv(65535), resolver.usual(query), "answer")
        tap.equal(resolver.edns_size(SECOND.seen[-1]), 4096, "EDNS")
    with resolver_at_53() as server, \
            GUEST.socket(socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(b"not DNS at all", (rig.SERVER2, 53))
        tap.equal(server.recv(100), b"not DNS at all", "passed as it is")


def resolver_at_53():
    return WORLD.server.udp(rig.SERVER2, 53)


@tap.case("a message that is no query is dropped")
def _():
    for message in (b"", b"x", bytes(11), bytes(12),
                    resolver.usual(resolver.question("a.example"))):
        with GUEST.socket(socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.1)
            sock.sendto(message, (rig.GATEWAY, 53))
            try:
                answer = sock.recv(65535)
                tap.ok(answer[3] & 15, "an answer to %r" % message)
            except TimeoutError:
                pass
    query = resolver.question("after.example.org")
    tap.equal(ask(query), resolver.usual(query), "the next")


def tool(name, *words):
    if shutil.which(name) is None:
        tap.skip("no %s: install %s" % (name, {
            "dig": "bind9-dnsutils", "kdig": "knot-dnsutils"}[name]))
    done = GUEST.run([name, *words], timeout=20)
    tap.equal(done.returncode, 0, done.stdout + done.stderr)
    return done.stdout


@tap.case("dig: UDP, TCP, sizes and the fall-back to TCP")
def _():
    for gateway in GATEWAYS:
        for words in (["+notcp"], ["+tcp"], ["+noedns"], ["+bufsize=4096"]):
            said = tool("dig", "@" + gateway, "example.org", *words)
            tap.ok("203.0.113.7" in said, said)
    FIRST.answer = lambda query: resolver.sized(query, 3000)
    try:
        said = tool("dig", "@" + rig.GATEWAY, "example.org", "TXT")
        tap.ok("MSG SIZE  rcvd: 3000" in said, said)
        tap.ok("(TCP)" in said, "no TCP: " + said)
    finally:
        FIRST.answer = resolver.usual
    said = tool("dig", "@" + rig.GATEWAY, "+short", "AAAA", "host.internal")
    tap.equal(said.strip(), rig.GATEWAY6, "host.internal")


@tap.case("kdig: pipelined queries on one connection")
def _():
    said = tool("kdig", "@" + rig.GATEWAY, "+tcp", "+keepopen",
                "a.example.org", "b.example.org", "c.example.org")
    tap.equal(said.count("203.0.113.7"), 3, said)


tap.run(lambda: sidecar.tell(CAR)())
