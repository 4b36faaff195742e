#!/usr/bin/python3
"""The resolver at the gateway over TCP and IPv6, and how long answers may
be."""

import contextlib
import errno
import os
import select
import shutil
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import nd  # noqa: E402
import resolver  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
PLACES = 64  # of connections to the resolver
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
    for gateway in (*GATEWAYS, GUEST.scoped(nd.GATEWAY_LL)):
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


@tap.case("a resolver that TCP gets no word from gives way after two seconds, "
          "and comes last from then on")
def _():
    with Behind("--dns", rig.FILTERED, "--dns", SECOND.address):
        for least_s, most_s in ((1.8, 4), (0, 1)):
            start = time.monotonic()
            with connect() as sock:
                query = resolver.question("late.example.org")
                resolver.send(sock, query)
                tap.equal(resolver.receive(sock), resolver.usual(query),
                          "answer")
            took = time.monotonic() - start
            tap.ok(least_s < took < most_s * tap.scale(),
                   "took %.1f s" % took)


def refused():
    with connect() as sock:
        sock.recv(1)


@tap.case("where every resolver refuses TCP the guest is refused, at once")
def _():
    with Behind("--dns", "%s:9" % rig.SERVER, "--connect-rate", "10000"):
        for _ in range(PLACES):  # each gives its place back
            tap.raises([errno.ECONNREFUSED, None], refused)
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


def internal(n):
    """One query of a connection: each third is for us."""
    return n % 3 == 0


def numbered(count):
    return [resolver.question("host.internal" if internal(n)
                              else "n%d.example.org" % n, ident=n)
            for n in range(count)]


def check_numbered(answers, queries):
    """Each query has its answer, by its id, and the right one."""
    by_id = {answer[:2]: answer for answer in answers}
    tap.equal(len(by_id), len(queries), "answers")
    for n, query in enumerate(queries):
        answer = by_id[query[:2]]
        if internal(n):
            tap.equal(resolver.records(answer),
                      [(resolver.A, socket.inet_aton(rig.GATEWAY))],
                      "host.internal")
        else:
            tap.equal(answer, resolver.usual(query), "the server's")


@tap.case("host.internal over TCP, between queries that a server answers")
def _():
    before = len(FIRST.seen_tcp)
    queries = numbered(30)
    for gateway in GATEWAYS:
        with connect(gateway) as sock:
            resolver.send(sock, *queries)
            check_numbered([resolver.receive(sock) for _ in queries], queries)
    tap.equal(len(FIRST.seen_tcp) - before, 40, "queries that left")
    tap.ok(not any(b"internal" in query for query in FIRST.seen_tcp),
           "host.internal was asked of the server")


@tap.case("host.internal over TCP, a byte at a time")
def _():
    queries = numbered(4)
    with connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for query in queries:
            for byte in struct.pack("!H", len(query)) + query:
                sock.send(bytes([byte]))
        check_numbered([resolver.receive(sock) for _ in queries], queries)


@tap.case("host.internal over TCP, by who says at once that it says no more")
def _():
    query = resolver.question("host.internal", kind=resolver.AAAA)
    with connect() as sock:
        resolver.send(sock, query)
        sock.shutdown(socket.SHUT_WR)
        tap.equal(resolver.records(resolver.receive(sock)),
                  [(resolver.AAAA,
                    socket.inet_pton(socket.AF_INET6, rig.GATEWAY6))], "AAAA")
        tap.equal(resolver.receive(sock), b"", "the end")


@tap.case("an answer of ours waits for the end of a server's")
def _():
    begun, go_on = threading.Event(), threading.Event()
    listener = WORLD.server.listen(rig.SERVER2)

    def serve():
        sock, _ = listener.accept()
        with sock:
            query = resolver.receive(sock)
            answer = resolver.sized(query, 3000)
            sock.sendall(struct.pack("!H", len(answer)) + answer[:1000])
            begun.set()
            go_on.wait(20 * tap.scale())
            sock.sendall(answer[1000:])
            resolver.receive(sock)

    rig.thread(serve)
    with Behind("--dns", "%s:%d" % (rig.SERVER2, rig.port_of(listener))):
        with connect() as sock:
            query = resolver.question("slow.example.org", kind=resolver.TXT)
            resolver.send(sock, query)
            tap.ok(begun.wait(10 * tap.scale()), "the server was not asked")
            tap.equal(len(traffic.exact(sock, 1002)), 1002, "the beginning")
            resolver.send(sock, resolver.question("host.internal", ident=9))
            sock.settimeout(0.3)
            tap.raises([None], sock.recv, 1)
            sock.settimeout(10 * tap.scale())
            go_on.set()
            tap.ok(traffic.exact(sock, 2000) ==
                   resolver.sized(query, 3000)[1000:], "other bytes")
            tap.equal(resolver.records(resolver.receive(sock)),
                      [(resolver.A, socket.inet_aton(rig.GATEWAY))], "ours")


@tap.case("queries over TCP that are none pass to the server as they are")
def _():
    got, listener = [], WORLD.server.listen(rig.SERVER2)
    query = resolver.question("host.internal")
    odd = [b"", b"x", bytes(512), bytes(513), bytes(60000),
           query[:4] + bytes((0, 2)) + query[6:] + query[12:]]

    def serve():
        sock, _ = listener.accept()
        with sock:
            while data := sock.recv(65536):
                got.append(data)

    reader = rig.thread(serve)
    with Behind("--dns", "%s:%d" % (rig.SERVER2, rig.port_of(listener))):
        with connect() as sock:
            resolver.send(sock, *odd)
            sock.shutdown(socket.SHUT_WR)
            tap.equal(sock.recv(1), b"", "the end")
    reader.join(10)
    tap.ok(b"".join(got) == b"".join(
        struct.pack("!H", len(m)) + m for m in odd), "other bytes")


@tap.case("who asks the gateway and never reads is reset")
def _():
    queries = b"".join(struct.pack("!H", len(q)) + q for q in
                       [resolver.question("host.internal")] * 1000)
    listener = WORLD.server.listen(rig.SERVER2)

    def serve():
        sock, _ = listener.accept()
        sock.sendall(b"\0")  # half a prefix: no place for one of ours
        sock.recv(1)

    rig.thread(serve)
    with Behind("--dns", "%s:%d" % (rig.SERVER2, rig.port_of(listener))):
        with connect() as sock:
            tap.equal(sock.recv(1), b"\0", "half a prefix")

            def flood():
                while True:
                    sock.sendall(queries)
            tap.raises([errno.ECONNRESET, errno.EPIPE], flood)
        query = resolver.question("host.internal")
        tap.equal(resolver.records(ask(query)),
                  [(resolver.A, socket.inet_aton(rig.GATEWAY))], "the next")


@tap.case("the 65th connection to the resolver waits for a place")
def _():
    with contextlib.ExitStack() as held:
        socks = [held.enter_context(connect()) for _ in range(PLACES)]
        with GUEST.socket() as sock:
            sock.settimeout(0.5)
            tap.raises([None], sock.connect, (rig.GATEWAY, 53))
        with GUEST.socket() as sock:
            sock.setblocking(False)
            sock.connect_ex((rig.GATEWAY, 53))
            # It asks once more, in vain, and then once more.
            tap.ok(not select.select([], [sock], [], 2)[1], "has a place")
            socks[0].close()
            sock.settimeout(10 * tap.scale())
            tap.ok(select.select([], [sock], [], 10 * tap.scale())[1],
                   "has no place")
            query = resolver.question("place.example.org")
            resolver.send(sock, query)
            tap.equal(resolver.receive(sock), resolver.usual(query), "answer")


@tap.case("who finds no such place takes no other connection's")
def _():
    with Behind("--dns", FIRST.address, "--connect-rate", "10000",
                "--max-flows", str(PLACES + 8)) as behind, \
            contextlib.ExitStack() as held, \
            WORLD.server.listen(rig.SERVER) as listener:
        for _ in range(PLACES):
            held.enter_context(connect())
        for _ in range(16):
            with GUEST.socket() as sock:
                sock.setblocking(False)
                sock.connect_ex((rig.GATEWAY, 53))
        guest, server = traffic.pair(GUEST, rig.SERVER, listener)
        guest.close()
        server.close()
        tap.equal(behind.car.log.find("SYNs are dropped"), [], "the log")


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
        sock.settimeout(10 * tap.scale())
        query = resolver.question("direct.example.org", edns=4096)
        sock.sendto(query, (rig.SERVER2, SECOND.port))
        tap.equal(sock.recv(65535), resolver.usual(query), "answer")
        tap.equal(resolver.edns_size(SECOND.seen[-1]), 4096, "EDNS")
    with resolver_at_53() as server, \
            GUEST.socket(socket.SOCK_DGRAM) as sock:
        sock.settimeout(10 * tap.scale())
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
