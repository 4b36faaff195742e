"""DNS at the address that the network gives its guest."""

import socket
import struct
import time

import tap
import world as rig
from contenders import SERVER6
from probe import Wrong, need, probe
from resolver import A, BIG_BYTES, TC, TXT, Resolver, framed, question

SERVFAIL = 2
HTTPS = 65
SECOND = rig.SERVER2


def ask(this, query, timeout_s=3):
    """An answer by UDP; retries none."""
    sock = this.guest.socket(socket.SOCK_DGRAM)
    sock.settimeout(timeout_s * tap.scale())
    sock.connect((this.dns, 53))
    sock.send(query)
    try:
        return sock.recv(65536)
    except TimeoutError:
        raise Wrong("silence for %g s" % timeout_s) from None


def ask_tcp(this, *queries):
    sock = this.guest.connect(this.dns, 53, timeout_s=5)
    sock.sendall(b"".join(struct.pack("!H", len(q)) + q for q in queries))
    answers = []
    for _ in queries:
        answers.append(framed(sock))
        need(answers[-1] is not None, "closed after %d answers"
             % (len(answers) - 1))
    return answers


def flags(message):
    return struct.unpack("!H", message[2:4])[0]


def good(message, address="203.0.113.53"):
    need(flags(message) & 15 == 0, "code %d" % (flags(message) & 15))
    need(socket.inet_aton(address) in message, "another answer")


@probe("DNS: a name by UDP", "RFC 1035 4.2.1")
def _(this):
    Resolver(this)
    good(ask(this, question("name.test")))


@probe("DNS: a name by TCP", "RFC 7766")
def _(this):
    Resolver(this)
    good(ask_tcp(this, question("name.test"))[0])


@probe("DNS: eight pipelined queries by TCP", "RFC 7766 6.2.1.1")
def _(this):
    Resolver(this)
    answers = ask_tcp(this, *(question("n%d.test" % n, ident=n)
                              for n in range(8)))
    idents = {struct.unpack("!H", each[:2])[0] for each in answers}
    need(idents == set(range(8)), "answers %s" % sorted(idents))


@probe("DNS: a query in two segments by TCP", "RFC 7766 8")
def _(this):
    Resolver(this)
    query = question("name.test")
    sock = this.guest.connect(this.dns, 53, timeout_s=5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(struct.pack("!H", len(query))[:1])
    time.sleep(0.3)
    sock.sendall(struct.pack("!H", len(query))[1:] + query)
    answer = framed(sock)
    need(answer is not None, "closed")
    good(answer)


@probe("DNS: a type it does not know is passed on", "RFC 3597")
def _(this):
    Resolver(this)
    need(b"data" in ask(this, question("name.test", HTTPS)), "not")


def whole_by_either(this, edns):
    """What a stub resolver does: UDP, and TCP where it is told to."""
    answer = ask(this, question("big.test", TXT, edns=edns))
    way = "UDP"
    if flags(answer) & TC:
        answer, way = ask_tcp(this, question("big.test", TXT))[0], "TC, TCP"
    need(len(answer) > BIG_BYTES * 9 // 10, "%d bytes" % len(answer))
    return way


@probe("DNS: an answer of 3000 bytes, EDNS 4096", "RFC 6891")
def _(this):
    Resolver(this)
    return whole_by_either(this, 4096)


@probe("DNS: an answer of 3000 bytes, no EDNS", "RFC 1035 4.2.1")
def _(this):
    Resolver(this)
    return whole_by_either(this, None)


def failure_told(this, within_s):
    start = time.monotonic()
    try:
        answer = ask(this, question("name.test"), within_s)
    except ConnectionRefusedError:
        return "ICMP, %.1f s" % (time.monotonic() - start)
    need(flags(answer) & 15 == SERVFAIL, "code %d" % (flags(answer) & 15))
    return "SERVFAIL, %.1f s" % (time.monotonic() - start)


@probe("DNS: a server that refuses is told in 3 s", "RFC 1035 4.1.1")
def _(this):
    return failure_told(this, 3)


@probe("DNS: a server that is silent becomes SERVFAIL in 10 s",
       "RFC 1035 4.1.1", resolvers=(rig.FILTERED,))
def _(this):
    return failure_told(this, 10)


@probe("DNS: the second server is asked where the first is silent",
       "RFC 1035 7.2", resolvers=(rig.FILTERED, SECOND))
def _(this):
    Resolver(this, listen=SECOND)
    good(ask(this, question("name.test"), 6))


@probe("DNS: the second server is asked where the first refuses",
       "RFC 1035 7.2", resolvers=(rig.SERVER, SECOND))
def _(this):
    Resolver(this, listen=SECOND)
    good(ask(this, question("name.test"), 6))


@probe("DNS: a changed resolv.conf is followed", "resolv.conf(5)")
def _(this):
    Resolver(this)
    Resolver(this, listen=SECOND, address="203.0.113.54")
    good(ask(this, question("name.test")))
    time.sleep(1.1)
    this.resolv_conf([SECOND])
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        time.sleep(0.7)
        answer = ask(this, question("name.test", A, ident=9))
        if socket.inet_aton("203.0.113.54") in answer:
            return
    raise Wrong("not within 8 s")


@probe("DNS: 100 queries at once are all answered", "RFC 5452")
def _(this):
    Resolver(this)
    sock = this.guest.socket(socket.SOCK_DGRAM)
    sock.settimeout(3)
    sock.connect((this.dns, 53))
    for number in range(100):
        sock.send(question("n%d.test" % number, ident=number))
    try:
        idents = {sock.recv(4096)[:2] for _ in range(100)}
    except TimeoutError:
        raise Wrong("not all") from None
    need(len(idents) == 100, "%d" % len(idents))


@probe("DNS: a guest's poor choice of port and identifier stays hidden",
       "RFC 5452 9")
def _(this):
    resolver = Resolver(this)
    sock = this.guest.socket(socket.SOCK_DGRAM)
    sock.settimeout(3)
    sock.connect((this.dns, 53))
    for number in range(6):
        sock.send(question("name.test", ident=number))
        good(sock.recv(4096))
    ports = {port for port, _ in resolver.asked}
    idents = sorted(struct.unpack("!H", query[:2])[0]
                    for _, query in resolver.asked)
    need(len(ports) > 4 or idents != list(range(6)),
         "%d port for 6 queries" % len(ports))


@probe("DNS: a resolver on the host's loopback is used", "resolv.conf(5)",
       resolvers=("127.0.0.53",))
def _(this):
    Resolver(this, listen="127.0.0.53", ns=this.host)
    good(ask(this, question("name.test")))


@probe("DNS: a resolver that has only IPv6 is used", "resolv.conf(5)",
       ipv6=True, resolvers=(SERVER6,))
def _(this):
    Resolver(this, listen=SERVER6)
    good(ask(this, question("name.test")))


@probe("DNS: the case of a name is kept", "RFC 4343")
def _(this):
    Resolver(this)
    query = question("nAmE.TeSt")
    need(ask(this, query)[12:].startswith(query[12:-4]), "not")


@probe("DNS: any other server is asked directly", "RFC 1035")
def _(this):
    Resolver(this, listen=SECOND, address="203.0.113.54")
    sock = this.guest.socket(socket.SOCK_DGRAM)
    sock.settimeout(3)
    sock.sendto(question("name.test"), (SECOND, 53))
    data, peer = sock.recvfrom(4096)
    good(data, "203.0.113.54")
    need(peer == (SECOND, 53), "from %s" % (peer,))
