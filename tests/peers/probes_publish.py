"""A port of the host's loopback that is the guest's."""

import errno
import socket
import time

import tap
import traffic
import world as rig
from contenders import GUEST_PORT, PUBLISHED
from probe import Wrong, need, probe


def client(this, timeout_s=5):
    return this.host.connect("127.0.0.1", PUBLISHED, timeout_s=timeout_s)


def pair(this, listener=None):
    listener = listener or this.guest.listen(port=GUEST_PORT)
    outside = client(this)
    listener.settimeout(5)
    outside.sendall(b"!")  # passt completes no handshake before
    inside, _ = listener.accept()
    tap.equal(inside.recv(1), b"!", "the first byte")
    return outside, inside


@probe("publish: TCP, 4 MiB each way", "BCP 127")
def _(this):
    listener = this.guest.listen(port=GUEST_PORT)
    for way in range(2):
        outside, inside = pair(this, listener)
        ends = (outside, inside) if way else (inside, outside)
        traffic.transfer(*ends, 4 << 20)


@probe("publish: a guest's server that speaks first is heard", "BCP 127")
def _(this):
    listener = this.guest.listen(port=GUEST_PORT)
    listener.settimeout(3)
    outside = client(this)
    inside, _ = listener.accept()
    inside.sendall(b"220 ready")
    tap.equal(traffic.exact(outside, 9), b"220 ready", "the greeting")


@probe("publish: a guest that does not listen refuses, in 1 s",
       "RFC 9293 3.5.2")
def _(this):
    start = time.monotonic()
    try:
        sock = client(this)
        sock.settimeout(3)
        data = sock.recv(1)
    except (ConnectionRefusedError, ConnectionResetError) as error:
        took = time.monotonic() - start
        need(took < tap.scale(), "after %.1f s" % took)
        return errno.errorcode[error.errno]
    except TimeoutError:
        raise Wrong("silence") from None
    raise Wrong("an orderly end" if not data else "data")


@probe("publish: half-close each way", "RFC 9293 3.6")
def _(this):
    outside, inside = pair(this)
    outside.sendall(b"last words")
    outside.shutdown(socket.SHUT_WR)
    tap.equal(traffic.receive(inside)[0], 10, "bytes before the FIN")
    traffic.transfer(inside, outside, 1 << 20)


@probe("publish: the guest's reset reaches the client", "RFC 9293 3.5.3")
def _(this):
    outside, inside = pair(this)
    traffic.greet_ends(outside, inside)
    rig.reset(inside)
    outside.settimeout(3)
    tap.raises([errno.ECONNRESET], outside.recv, 1)


@probe("publish: the client's reset reaches the guest", "RFC 9293 3.5.3")
def _(this):
    outside, inside = pair(this)
    traffic.greet_ends(outside, inside)
    rig.reset(outside)
    inside.settimeout(3)
    tap.raises([errno.ECONNRESET], inside.recv, 1)


@probe("publish: 100 connections at once", "BCP 127")
def _(this):
    listener = this.guest.listen(port=GUEST_PORT)
    traffic.echo_server(listener)
    socks = [client(this) for _ in range(100)]
    for sock in socks:
        sock.settimeout(5)
        traffic.greet(sock)


@probe("publish: UDP, 8000 bytes there and back", "RFC 791 3.2")
def _(this):
    udp_echoed(this, bytes(range(250)) * 32)


@probe("publish: UDP, there and back", "RFC 4787")
def _(this):
    udp_echoed(this, b"question")


def udp_echoed(this, question):
    inside = this.guest.socket(socket.SOCK_DGRAM)
    inside.bind(("", GUEST_PORT))
    outside = this.host.socket(socket.SOCK_DGRAM)
    for sock in (inside, outside):
        sock.settimeout(3)
    outside.sendto(question, ("127.0.0.1", PUBLISHED))
    data, peer = inside.recvfrom(65536)
    need(data == question, "garbled")
    inside.sendto(data[::-1], peer)
    data, back = outside.recvfrom(65536)
    need(data == question[::-1], "garbled on the way back")
    need(back == ("127.0.0.1", PUBLISHED), "from %s" % (back,))


@probe("publish: two UDP clients each get their own answer", "RFC 4787")
def _(this):
    inside = this.guest.socket(socket.SOCK_DGRAM)
    inside.bind(("", GUEST_PORT))
    inside.settimeout(3)
    clients = [this.host.socket(socket.SOCK_DGRAM) for _ in range(2)]
    peers = []
    for number, sock in enumerate(clients):
        sock.settimeout(3)
        sock.sendto(b"%d" % number, ("127.0.0.1", PUBLISHED))
        peers.append(inside.recvfrom(9))
    for data, peer in peers:
        inside.sendto(data, peer)
    for number, sock in enumerate(clients):
        need(sock.recv(9) == b"%d" % number, "mixed up")
