"""UDP and ICMP: mappings, sizes, errors that come back."""

import errno
import os
import select
import socket
import struct
import time

import frames
import tap
import world as rig
from frames import ICMP, UDP
from probe import Differs, Wrong, need, probe
from raw import Raw

IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14
IP_RECVERR = 11  # soft errors, too
UNREACHABLE, TIME_EXCEEDED = 3, 11
CLOSED_PORT = 9
SMALL_MTU = 1300


def ends(this, address=rig.SERVER):
    """(guest's socket, server's socket, the server's name)"""
    guest = this.guest.socket(socket.SOCK_DGRAM)
    server = this.server.socket(socket.SOCK_DGRAM)
    server.bind((address, 0))
    for sock in (guest, server):
        sock.settimeout(3)
    return guest, server, server.getsockname()


def there_and_back(this, data):
    guest, server, name = ends(this)
    for sock in (guest, server):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    guest.sendto(data, name)
    try:
        got, peer = server.recvfrom(65536)
    except TimeoutError:
        raise Wrong("lost on the way out") from None
    need(got == data, "%d bytes arrive" % len(got))
    server.sendto(data, peer)
    try:
        got, back = guest.recvfrom(65536)
    except TimeoutError:
        raise Wrong("lost on the way back") from None
    need(got == data, "%d bytes come back" % len(got))
    need(back == name, "from %s" % (back,))


@probe("UDP: an empty datagram passes each way", "RFC 768")
def _(this):
    there_and_back(this, b"")


@probe("UDP: 1472 bytes pass each way", "RFC 768")
def _(this):
    there_and_back(this, os.urandom(1472))


@probe("UDP: 4000 bytes in fragments pass each way", "RFC 791 3.2")
def _(this):
    there_and_back(this, os.urandom(4000))


@probe("UDP: 65507 bytes in fragments pass each way", "RFC 791 3.2")
def _(this):
    there_and_back(this, os.urandom(65507))


@probe("UDP: fragments that come last first are put together", "RFC 815")
def _(this):
    _, server, (_, port) = ends(this)
    raw = Raw(this).find_gateway()
    data = os.urandom(2000)
    whole = frames.udp(data, 4000, port, this.address, rig.SERVER)
    raw.ip(whole[1480:], UDP, rig.SERVER, fragment=1480 // 8, ident=77)
    raw.ip(whole[:1480], UDP, rig.SERVER, fragment=0x2000, ident=77)
    need(server.recv(4096) == data, "garbled")


@probe("UDP: the guest's port is kept", "RFC 4787 REQ-3")
def _(this):
    guest, server, name = ends(this)
    guest.bind(("", 45678))
    guest.sendto(b"x", name)
    port = server.recvfrom(9)[1][1]
    need(port == 45678, "becomes another")


@probe("UDP: one mapping for all destinations", "RFC 4787 REQ-1")
def _(this):
    guest, server, name = ends(this)
    _, server2, name2 = ends(this, rig.SERVER2)
    guest.sendto(b"x", name)
    guest.sendto(b"x", name2)
    first, second = server.recvfrom(9)[1], server2.recvfrom(9)[1]
    need(first == second, "ports %d and %d" % (first[1], second[1]))


@probe("UDP: a stranger's datagram does not get in", "RFC 4787 REQ-8")
def _(this):
    guest, server, name = ends(this)
    _, stranger, _ = ends(this, rig.SERVER2)
    guest.sendto(b"x", name)
    peer = server.recvfrom(9)[1]
    stranger.sendto(b"boo", peer)
    server.sendto(b"answer", peer)
    guest.settimeout(2)
    first = guest.recv(9)
    need(first == b"answer", "it does")
    try:
        need(guest.recv(9) != b"boo", "it does")
    except TimeoutError:
        pass


@probe("UDP: 20 answers to one question all arrive", "RFC 4787 REQ-5")
def _(this):
    guest, server, name = ends(this)
    guest.sendto(b"x", name)
    peer = server.recvfrom(9)[1]
    for number in range(20):
        server.sendto(b"%d" % number, peer)
    tap.equal([int(guest.recv(9)) for _ in range(20)], list(range(20)),
              "answers")


@probe("UDP: 200 guest ports at once each get their own answer",
       "RFC 4787 REQ-1")
def _(this):
    _, server, name = ends(this)
    socks = []
    for number in range(200):
        guest = this.guest.socket(socket.SOCK_DGRAM)
        guest.sendto(b"%d" % number, name)
        data, peer = server.recvfrom(9)
        server.sendto(data, peer)
        socks.append(guest)
    for number, guest in enumerate(socks):
        guest.settimeout(3)
        need(guest.recv(9) == b"%d" % number, "not all")


@probe("UDP: a datagram without a checksum passes", "RFC 768")
def _(this):
    _, server, (_, port) = ends(this)
    raw = Raw(this).find_gateway()
    whole = bytearray(frames.udp(b"bare", 4000, port, this.address,
                                 rig.SERVER))
    whole[6:8] = bytes(2)
    raw.ip(bytes(whole), UDP, rig.SERVER)
    need(server.recv(9) == b"bare", "garbled")


def late_answer(this, guest, server, peer, idle_s):
    time.sleep(idle_s)
    server.sendto(b"late", peer)
    try:
        need(guest.recv(9) == b"late", "garbled")
    except TimeoutError:
        raise Wrong("lost") from None


@probe("UDP: the first answer may take 35 s", "RFC 4787 REQ-5", within_s=60)
def _(this):
    guest, server, name = ends(this)
    guest.sendto(b"x", name)
    late_answer(this, guest, server, server.recvfrom(9)[1], 35)


@probe("UDP: a mapping lives through 2 idle minutes", "RFC 4787 REQ-5",
       within_s=150)
def _(this):
    guest, server, name = ends(this)
    for _ in range(2):
        guest.sendto(b"x", name)
        peer = server.recvfrom(9)[1]
        server.sendto(b"y", peer)
        need(guest.recv(9) == b"y", "garbled")
    late_answer(this, guest, server, peer, 121)


def error_comes_back(sock, errnos):
    start = time.monotonic()
    for _ in range(2):
        try:
            sock.send(b"x")
            sock.recv(9)
        except TimeoutError:
            continue
        except OSError as error:
            word = errno.errorcode[error.errno]
            need(error.errno in errnos, word)
            return "%s, %.0f ms" % (word, (time.monotonic() - start) * 1e3)
    raise Wrong("silence")


def connected(this, address, port):
    sock = this.guest.socket(socket.SOCK_DGRAM)
    sock.settimeout(1.5)
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    sock.connect((address, port))
    return sock


@probe("UDP: port unreachable comes back", "RFC 1122 4.1.3.3")
def _(this):
    return error_comes_back(connected(this, rig.SERVER, CLOSED_PORT),
                            {errno.ECONNREFUSED})


@probe("UDP: host unreachable comes back", "RFC 1122 4.1.3.3")
def _(this):
    return error_comes_back(connected(this, rig.UNREACHABLE, 99),
                            {errno.EHOSTUNREACH, errno.ENETUNREACH,
                             errno.ECONNREFUSED})


@probe("UDP: the gateway's closed port is told", "RFC 1122 4.1.3.1")
def _(this):
    return error_comes_back(connected(this, this.gateway, CLOSED_PORT),
                            {errno.ECONNREFUSED})


@probe("UDP: an ICMP error carries the guest's own header", "RFC 792")
def _(this):
    raw = Raw(this).find_gateway()
    for _ in range(2):
        raw.udp(b"data", 4567, rig.SERVER, CLOSED_PORT, ident=4242)
        reply = raw.expect(lambda p: p.proto == ICMP and
                           p.type == UNREACHABLE, 2)
        if reply is not None:
            break
    need(reply is not None, "silence")
    inner = reply.body[8:]
    need(inner[12:20] == frames.ip(this.address) + frames.ip(rig.SERVER),
         "other addresses")
    need(struct.unpack("!HH", inner[20:24]) == (4567, CLOSED_PORT),
         "other ports")


@probe("UDP: a smaller path MTU is told", "RFC 1191 4")
def _(this):
    this.host.ip("route add %s via %s mtu lock %d"
                 % (rig.SERVER2, rig.SERVER, SMALL_MTU))
    _, _, name = ends(this, rig.SERVER2)
    sock = connected(this, *name)
    sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    for _ in range(3):
        try:
            sock.send(bytes(1400))
        except OSError as error:
            need(error.errno == errno.EMSGSIZE, errno.errorcode[error.errno])
            mtu = sock.getsockopt(socket.IPPROTO_IP, IP_MTU)
            need(mtu == SMALL_MTU, "says %d, not %d" % (mtu, SMALL_MTU))
            return "%d" % mtu
        time.sleep(0.7)
    raise Wrong("silence")


def ping(this, dst, size=56, count=3):
    """Replies to pings that the kernel sends for us."""
    with this.guest:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW,
                             socket.IPPROTO_ICMP)
    sock.settimeout(1.5)
    got = 0
    for seq in range(count):
        data = os.urandom(size)
        body = struct.pack("!BBHHH", 8, 0, 0, 4321, seq) + data
        body = body[:2] + struct.pack("!H", frames.checksum(body)) + body[4:]
        sock.sendto(body, (dst, 0))
        got += reply_arrives(sock, 4321, seq, data)
    return got


def reply_arrives(sock, ident, seq, data):
    deadline = time.monotonic() + 1.5
    while select.select([sock], [], [],
                        max(deadline - time.monotonic(), 0))[0]:
        packet = sock.recv(65536)
        body = packet[(packet[0] & 15) * 4:]
        if body[0] != 0:
            continue
        need(struct.unpack("!HH", body[4:8]) == (ident, seq),
             "another identifier or sequence number")
        need(body[8:] == data, "other data")
        return True
    return False


@probe("ICMP: the gateway answers ping", "RFC 1122 3.2.2.6")
def _(this):
    need(ping(this, this.gateway) == 3, "not")


@probe("ICMP: ping of the outside, identifier and data kept", "RFC 5508 3.1")
def _(this):
    need(ping(this, rig.SERVER) == 3, "not")


@probe("ICMP: ping with 4000 bytes", "RFC 1122 3.2.2.6")
def _(this):
    need(ping(this, rig.SERVER, size=4000, count=2) == 2, "not")


@probe("ICMP: where the host forbids ping there is no false reply",
       "RFC 5508 3.1", ping=False)
def _(this):
    need(ping(this, rig.FILTERED) == 0, "a reply from nobody")
    try:
        need(ping(this, rig.SERVER) == 0, "works all the same")
    except Wrong as how:
        raise Differs("by a raw socket: %s" % how) from None


@probe("ICMP: ping of an unreachable host is told", "RFC 792")
def _(this):
    raw = Raw(this).find_gateway()
    for seq in range(2):
        raw.echo(rig.UNREACHABLE, seq=seq)
        reply = raw.expect(lambda p: p.proto == ICMP and p.type in (
            0, UNREACHABLE), 2)
        if reply is not None:
            need(reply.type == UNREACHABLE, "a reply from nobody")
            return "code %d" % reply.code
    raise Wrong("silence")


@probe("ICMP: a TTL of 1 is answered with time exceeded",
       "RFC 1812 5.3.1")
def _(this):
    raw = Raw(this).find_gateway()
    raw.udp(b"x", 33000, rig.SERVER, 33434, ttl=1)
    reply = raw.expect(lambda p: p.proto == ICMP and
                       p.type in (TIME_EXCEEDED, UNREACHABLE), 3)
    need(reply is not None, "silence")
    need(reply.type == TIME_EXCEEDED, "type %d" % reply.type)
    return "from %s" % ("the gateway" if reply.ip_src == this.gateway
                        else "elsewhere")
