"""Bytes through a pair of connected sockets, with their checksums."""

import errno
import hashlib
import random
import select
import socket
import struct

import tap
import world as rig

BLOCK = 1 << 20


def blocks(total, seed=1):
    """total bytes that no shift, loss or swap of parts leaves the same."""
    block = bytearray(random.Random(seed).randbytes(BLOCK))
    for offset in range(0, total, BLOCK):
        block[:8] = struct.pack("!Q", offset)
        yield memoryview(block)[:min(BLOCK, total - offset)]


def send(sock, total, seed=1):
    """Sends total bytes and FIN; returns their SHA-256."""
    digest = hashlib.sha256()
    sock.settimeout(60 * tap.scale())
    for block in blocks(total, seed):
        digest.update(block)
        sock.sendall(block)
    sock.shutdown(socket.SHUT_WR)
    return digest.hexdigest()


def receive(sock):
    """Reads to the end; returns (bytes, SHA-256)."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(BLOCK))
    total = 0
    sock.settimeout(60 * tap.scale())
    while True:
        n = sock.recv_into(buffer)
        if n == 0:
            return total, digest.hexdigest()
        digest.update(buffer[:n])
        total += n


def exact(sock, count):
    """Exactly so many bytes, or what came before the end."""
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


def refuse_request(client, server, length):
    """The server answers with so many bytes, and closes over a request that it
    has not read: the client gets the answer, and then the reset."""
    with client, server:
        client.sendall(bytes(20000))
        server.recv(10)
        server.sendall(bytes(length))
        server.close()
        client.settimeout(10 * tap.scale())
        tap.equal(len(exact(client, length)), length, "answer")
        tap.raises([errno.ECONNRESET], client.recv, 1)


def transfer(source, sink, total, seed=1):
    """Sends from one socket to the other and compares."""
    reader = rig.thread(receive, sink)
    sent = send(source, total, seed)
    got, digest = reader.join(90 * tap.scale())
    tap.equal(got, total, "bytes that arrived")
    tap.equal(digest, sent, "SHA-256")


def pair(client_ns, address, listener, port=None):
    """A connection to the listener: (client's end, server's end)."""
    client = client_ns.connect(address, port or rig.port_of(listener))
    server, _ = listener.accept()
    return client, server


def echo_server(listener):
    """Answers every connection with what it sent, until the world ends."""
    def serve(sock):
        with sock:
            while True:
                data = sock.recv(65536)
                if not data:
                    return
                sock.sendall(data)

    def accept():
        listener.settimeout(None)
        while True:
            sock, _ = listener.accept()
            rig.thread(serve, sock)

    return rig.thread(accept)


def greet(sock, word=b"still here"):
    """One round trip through an echo server."""
    sock.settimeout(10 * tap.scale())
    sock.sendall(word)
    tap.equal(exact(sock, len(word)), word, "echo")


def greet_ends(one, other):
    """A byte each way between two ends that the test holds."""
    for source, sink in ((one, other), (other, one)):
        sink.settimeout(10 * tap.scale())
        source.sendall(b"!")
        tap.equal(sink.recv(1), b"!", "greeting")


def fill(sock):
    """Writes until that fails.  On a non-blocking socket that means until
    nothing was taken for a moment."""
    block = bytes(65536)
    while True:
        try:
            sock.sendall(block)
        except BlockingIOError:
            if not select.select([], [sock], [], 0.5 * tap.scale())[1]:
                raise


def drain(sock):
    """Reads until that fails; returns how much it was if the end comes."""
    total = 0
    while True:
        data = sock.recv(65536)
        if not data:
            return total
        total += len(data)
