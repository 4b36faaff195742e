"""Connections that carry bytes of their own each way and end in every way."""

import hashlib
import random
import socket

import tap
import traffic
import world as rig

SIZES = (0, 1, 100, 1460, 8192, 65536, 300000)
ENDS = ("orderly", "client resets", "server resets", "client vanishes")


class Servant:
    """Does for each connection what its first line asks: how many bytes it
    takes and gives, of which seed, and how it ends."""

    def __init__(self, listener):
        listener.settimeout(None)
        self.listener = listener
        rig.thread(self.accept)

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            rig.thread(self.serve, sock)

    @staticmethod
    def serve(sock):
        sock.settimeout(30 * tap.scale())
        try:
            up, down, seed, end = traffic.exact(sock, 64).split()[:4]
            got = traffic.exact(sock, int(up))
            sock.sendall(hashlib.sha256(got).digest())
            sock.sendall(random.Random(int(seed)).randbytes(int(down)))
            if int(end) == ENDS.index("server resets"):
                rig.reset(sock)
                return
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)
        except (OSError, ValueError):
            pass
        sock.close()


def visit(dice, namespace, address, port):
    """One connection, checked from its first byte to its end."""
    up, down = dice.choice(SIZES), dice.choice(SIZES)
    seed, end = dice.randrange(1 << 30), dice.randrange(len(ENDS))
    data = dice.randbytes(up)
    with namespace.connect(address, port) as sock:
        sock.settimeout(30 * tap.scale())
        sock.sendall((b"%d %d %d %d" % (up, down, seed, end)).ljust(64))
        if ENDS[end] == "client vanishes":
            sock.sendall(data[:up // 2])
            return
        if data:  # with none due, the server's reset may be here already
            sock.sendall(data)
        if ENDS[end] == "client resets":
            rig.reset(sock)
            return
        want = hashlib.sha256(data).digest() \
            + random.Random(seed).randbytes(down)
        if ENDS[end] == "server resets":
            got = b""
            try:
                while len(got) < len(want):
                    got += sock.recv(65536)
            except ConnectionResetError:
                pass
            tap.ok(want.startswith(got), "other bytes before the reset")
            return
        tap.ok(traffic.exact(sock, len(want)) == want, "other bytes")
        tap.equal(sock.recv(1), b"", "the end")
