"""TCP between a kernel's stack in the guest and a real server."""

import errno
import select
import socket
import time

import tap
import traffic
import world as rig
from probe import Wrong, need, probe

MIB = 1 << 20
CLOSED_PORT = 9
TOLD = {errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH,
        errno.ETIMEDOUT, errno.EACCES}
BOUNDED_KIB = 16 << 10


def pair(this, **options):
    listener = this.server.listen()
    guest = this.guest.connect(rig.SERVER, rig.port_of(listener), **options)
    server, _ = listener.accept()
    return guest, server


def connect_fails(this, address, port, errnos, within_s, patience_s=18):
    start = time.monotonic()
    try:
        this.guest.connect(address, port, timeout_s=patience_s).close()
    except TimeoutError as error:
        if error.errno is None:
            raise Wrong("silence for %g s" % patience_s) from None
        failed = error.errno
    except OSError as error:
        failed = error.errno
    else:
        raise Wrong("connected")
    took = time.monotonic() - start
    word = errno.errorcode[failed]
    need(failed in errnos, word)
    need(took < within_s * tap.scale(), "%s after %.1f s" % (word, took))
    return "%s, %s" % (word, "%.0f ms" % (took * 1e3) if took < 1
                       else "%.1f s" % took)


@probe("TCP: 8 MiB each way arrive whole", "RFC 9293 3.4")
def _(this):
    for way in range(2):
        guest, server = pair(this)
        with guest, server:
            ends = (guest, server) if way else (server, guest)
            traffic.transfer(*ends, 8 * MIB)


@probe("TCP: a closed port refuses at once", "RFC 9293 3.5.2")
def _(this):
    return connect_fails(this, rig.SERVER, CLOSED_PORT,
                         {errno.ECONNREFUSED}, 0.5)


@probe("TCP: an unreachable network is told at once", "RFC 1122 4.2.3.9")
def _(this):
    return connect_fails(this, rig.UNREACHABLE, 80, TOLD, 1)


@probe("TCP: a host that does not exist is told in 5 s", "RFC 1122 4.2.3.9")
def _(this):
    return connect_fails(this, rig.NOBODY, 80, TOLD, 5)


@probe("TCP: a filtered port never looks open", "RFC 9293 3.5")
def _(this):
    sniffer = this.guest.sniffer(this.device)
    try:
        this.guest.connect(rig.FILTERED, 80, timeout_s=4)
    except OSError:
        pass
    else:
        raise Wrong("connected to nobody")
    sniffer.close()


@probe("TCP: a filtered port is given up in 15 s", "RFC 1122 4.2.3.5",
       within_s=25)
def _(this):
    return connect_fails(this, rig.FILTERED, 80, TOLD, 15, patience_s=20)


@probe("TCP: the gateway's closed port refuses at once", "RFC 9293 3.5.2")
def _(this):
    return connect_fails(this, this.gateway, CLOSED_PORT,
                         {errno.ECONNREFUSED}, 0.5)


@probe("TCP: half-close by the guest, 4 MiB come after it", "RFC 9293 3.6")
def _(this):
    guest, server = pair(this)
    guest.sendall(b"last words")
    guest.shutdown(socket.SHUT_WR)
    tap.equal(traffic.receive(server)[0], 10, "bytes before the FIN")
    traffic.transfer(server, guest, 4 * MIB)


@probe("TCP: half-close by the server, 4 MiB come after it", "RFC 9293 3.6")
def _(this):
    guest, server = pair(this)
    server.sendall(b"last words")
    server.shutdown(socket.SHUT_WR)
    tap.equal(traffic.receive(guest)[0], 10, "bytes before the FIN")
    traffic.transfer(guest, server, 4 * MIB)


@probe("TCP: a FIN right behind data overtakes none", "RFC 9293 3.6")
def _(this):
    for way in range(2):
        guest, server = pair(this)
        near, far = (guest, server) if way else (server, guest)
        reader = rig.thread(traffic.receive, far)
        with near:
            sent = traffic.send(near, 4 * MIB)
        tap.equal(reader.join(15), (4 * MIB, sent), "bytes and SHA-256")


@probe("TCP: an ordered close is never a reset", "RFC 9293 3.6")
def _(this):
    for number in range(40):
        guest, server = pair(this)
        first, second = (guest, server) if number % 2 else (server, guest)
        first.sendall(b"question")
        tap.equal(traffic.exact(second, 8), b"question", "the question")
        second.sendall(b"answer")
        second.close()
        tap.equal(traffic.exact(first, 7), b"answer", "answer and end")
        first.close()


@probe("TCP: simultaneous close ends in order", "RFC 9293 3.6")
def _(this):
    for _ in range(20):
        guest, server = pair(this)
        traffic.greet_ends(guest, server)
        guest.shutdown(socket.SHUT_WR)
        server.shutdown(socket.SHUT_WR)
        for end in (guest, server):
            end.settimeout(5)
            tap.equal(end.recv(1), b"", "the other's end")
            end.close()


def reset_arrives(near, far):
    rig.reset(near)
    far.settimeout(5)
    try:
        traffic.drain(far)
    except ConnectionResetError:
        return
    except TimeoutError:
        raise Wrong("silence") from None
    raise Wrong("an orderly end")


@probe("TCP: the server's reset reaches the guest", "RFC 9293 3.5.3")
def _(this):
    guest, server = pair(this)
    traffic.greet_ends(guest, server)
    reset_arrives(server, guest)


@probe("TCP: the guest's reset reaches the server", "RFC 9293 3.5.3")
def _(this):
    guest, server = pair(this)
    traffic.greet_ends(guest, server)
    reset_arrives(guest, server)


def stuffed(near):
    near.setblocking(False)
    tap.raises([errno.EAGAIN], traffic.fill, near)


@probe("TCP: the server's reset passes data the guest does not read",
       "RFC 9293 3.5.3")
def _(this):
    guest, server = pair(this)
    stuffed(server)
    reset_arrives(server, guest)


@probe("TCP: the guest's reset passes data the server does not read",
       "RFC 9293 3.5.3")
def _(this):
    guest, server = pair(this)
    stuffed(guest)
    reset_arrives(guest, server)


@probe("TCP: the guest's close over unread data resets the server",
       "RFC 1122 4.2.2.13")
def _(this):
    guest, server = pair(this)
    traffic.greet_ends(guest, server)
    server.sendall(b"never read")
    tap.equal(guest.recv(1), b"n", "the first byte")
    guest.close()
    server.settimeout(5)
    tap.raises([errno.ECONNRESET], traffic.drain, server)


@probe("TCP: the server's close over unread data resets the guest",
       "RFC 1122 4.2.2.13")
def _(this):
    guest, server = pair(this)
    traffic.greet_ends(guest, server)
    guest.sendall(b"never read")
    tap.equal(server.recv(1), b"n", "the first byte")
    server.close()
    guest.settimeout(5)
    tap.raises([errno.ECONNRESET], traffic.drain, guest)


@probe("TCP: a write after the server's close fails", "RFC 1122 4.2.2.13")
def _(this):
    guest, server = pair(this)
    traffic.greet_ends(guest, server)
    server.close()
    tap.equal(guest.recv(1), b"", "the server's FIN")
    guest.settimeout(5)
    tap.raises([errno.EPIPE, errno.ECONNRESET], traffic.fill, guest)


def held(this, near):
    """Stuffs a connection that nobody reads; what that costs the host."""
    before = this.rss_kib()
    stuffed(near)
    time.sleep(0.5)
    grown = this.rss_kib() - before
    need(grown < BOUNDED_KIB, "%d MiB held" % (grown >> 10))
    return "%d KiB held" % max(grown, 0)


@probe("TCP: a guest that does not read costs bounded memory",
       "RFC 9293 3.8.6")
def _(this):
    guest, server = pair(this)
    return held(this, server)


@probe("TCP: a server that does not read costs bounded memory",
       "RFC 9293 3.8.6")
def _(this):
    guest, server = pair(this)
    return held(this, guest)


def paused(near, far):
    reader_waits_s = 3
    sender = rig.thread(traffic.send, near, 8 * MIB)
    time.sleep(reader_waits_s)
    start = time.monotonic()
    total, digest = traffic.receive(far)
    tap.equal((total, digest), (8 * MIB, sender.join(10)),
              "bytes and SHA-256")
    took = time.monotonic() - start
    need(took < 5 * tap.scale(), "takes %.1f s to go on" % took)


@probe("TCP: a guest's window of zero for 3 s, then all arrives",
       "RFC 9293 3.8.6.1")
def _(this):
    guest, server = pair(this)
    paused(server, guest)


@probe("TCP: a server's window of zero for 3 s, then all arrives",
       "RFC 9293 3.8.6.1")
def _(this):
    guest, server = pair(this)
    paused(guest, server)


@probe("TCP: a guest with a receive buffer of 2 KiB gets 512 KiB",
       "RFC 9293 3.8.6.2")
def _(this):
    listener = this.server.listen()
    guest = this.guest.socket()
    guest.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    guest.settimeout(5)
    guest.connect((rig.SERVER, rig.port_of(listener)))
    server, _ = listener.accept()
    traffic.transfer(server, guest, MIB // 2)


@probe("TCP: urgent data neither breaks the stream nor is lost",
       "RFC 6093")
def _(this):
    guest, server = pair(this)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    guest.sendall(b"abc")
    guest.send(b"d", socket.MSG_OOB)
    guest.sendall(b"e")
    guest.shutdown(socket.SHUT_WR)
    server.settimeout(5)
    tap.equal(traffic.exact(server, 6), b"abcde", "the stream")


def from_port(this, port, source_port):
    """Connects as soon as the guest itself lets go of the port."""
    while True:
        try:
            return this.guest.connect(rig.SERVER, port, timeout_s=8,
                                      source_port=source_port)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            time.sleep(0.01)


@probe("TCP: a port that was just used connects again", "RFC 6191")
def _(this):
    listener = this.server.listen()
    for number in range(6):
        start = time.monotonic()
        guest = from_port(this, rig.port_of(listener), 4321)
        server, _ = listener.accept()
        took = time.monotonic() - start
        need(took < 0.9 * tap.scale(), "%.1f s, then" % took)
        traffic.greet_ends(guest, server)
        server.close()
        tap.equal(guest.recv(1), b"", "the server's end")
        if number % 2:
            rig.reset(guest)
        guest.close()


@probe("TCP: 200 connects at once all succeed in 10 s", "RFC 5382")
def _(this):
    listener = this.server.listen()
    start = time.monotonic()
    waiting = set()
    for _ in range(200):
        sock = this.guest.socket()
        sock.setblocking(False)
        sock.connect_ex((rig.SERVER, rig.port_of(listener)))
        waiting.add(sock)
    keep = list(waiting)
    while waiting:
        left = start + 10 * tap.scale() - time.monotonic()
        need(left > 0, "%d of 200" % (len(keep) - len(waiting)))
        for sock in select.select([], waiting, [], left)[1]:
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            need(code == 0, errno.errorcode.get(code))
            waiting.discard(sock)
    return "%.1f s" % (time.monotonic() - start)


@probe("TCP: 1000 connections held at once all answer", "RFC 5382",
       within_s=30)
def _(this):
    listener = this.server.listen()
    traffic.echo_server(listener)
    start = time.monotonic()
    socks = []
    for _ in range(1000):
        socks.append(this.guest.connect(rig.SERVER, rig.port_of(listener)))
    for sock in socks:
        traffic.greet(sock, b"!")
    return "%.1f s" % (time.monotonic() - start)


@probe("TCP: 300 short connections, one after the other, in 3 s", "RFC 5382")
def _(this):
    listener = this.server.listen()
    start = time.monotonic()
    for _ in range(300):
        guest = this.guest.connect(rig.SERVER, rig.port_of(listener))
        server, _ = listener.accept()
        guest.close()
        server.close()
    took = time.monotonic() - start
    need(took < 3 * tap.scale(), "%.1f s" % took)
    return "%.1f s" % took
