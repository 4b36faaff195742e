"""A name server that says what a probe wants: UDP and TCP, one thread each."""

import socket
import struct

import world as rig

TXT, A, OPT = 16, 1, 41
TC, QR, RA = 0x0200, 0x8000, 0x0080
BIG_BYTES = 3000


def name_end(query):
    """Where the question's name ends."""
    at = 12
    while query[at]:
        at += query[at] + 1
    return at + 1


def question(name, kind=A, ident=7, edns=None, flags=0x0100):
    """A query; edns is the UDP size it offers."""
    query = struct.pack("!HHHHHH", ident, flags, 1, 0, 0,
                        0 if edns is None else 1)
    for label in name.split("."):
        query += bytes((len(label),)) + label.encode()
    query += struct.pack("!BHH", 0, kind, 1)
    if edns is not None:
        query += struct.pack("!BHHIH", 0, OPT, edns, 0, 0)
    return query


def records(query, address):
    """The answer section and its count."""
    end = name_end(query)
    kind = struct.unpack("!H", query[end:end + 2])[0]
    head = struct.pack("!HHHI", 0xc00c, kind, 1, 60)
    if query[12:].startswith(b"\x03big"):
        text = b"\xfa" + b"t" * 250
        count = BIG_BYTES // len(text)
        return (head + struct.pack("!H", len(text)) + text) * count, count
    data = socket.inet_aton(address) if kind == A else b"\x04data"
    return head + struct.pack("!H", len(data)) + data, 1


def answer(query, address, limit):
    end = name_end(query) + 4
    ident, flags = struct.unpack("!HH", query[:4])
    body, count = records(query, address)
    whole = struct.pack("!HHHHHH", ident, flags | QR | RA, 1, count, 0,
                        0) + query[12:end] + body
    if len(whole) <= limit:
        return whole
    return struct.pack("!HHHHHH", ident, flags | QR | RA | TC, 1, 0, 0,
                       0) + query[12:end]


def udp_size(query):
    end = name_end(query) + 4
    if len(query) >= end + 11 and query[end + 1:end + 3] == b"\0\x29":
        return struct.unpack("!H", query[end + 3:end + 5])[0]
    return 512


class Resolver:
    """Answers A with `address`, anything else with five bytes, and names
    that begin with "big" with 3000.  asked holds (port or 0, query)."""

    def __init__(self, this, listen=rig.SERVER, address="203.0.113.53",
                 ns=None):
        self.address, self.asked = address, []
        family = socket.AF_INET6 if ":" in listen else socket.AF_INET
        self.udp = (ns or this.server).socket(socket.SOCK_DGRAM, family)
        self.tcp = (ns or this.server).socket(socket.SOCK_STREAM, family)
        for sock in (self.udp, self.tcp):
            sock.bind((listen, 53))
        self.tcp.listen()
        rig.thread(self._udp)
        rig.thread(self._tcp)

    def _udp(self):
        while True:
            query, peer = self.udp.recvfrom(65536)
            self.asked.append((peer[1], query))
            self.udp.sendto(answer(query, self.address, udp_size(query)),
                            peer)

    def _tcp(self):
        while True:
            sock, _ = self.tcp.accept()
            rig.thread(self._stream, sock)

    def _stream(self, sock):
        with sock:
            while True:
                query = framed(sock)
                if query is None:
                    return
                self.asked.append((0, query))
                reply = answer(query, self.address, 65535)
                sock.sendall(struct.pack("!H", len(reply)) + reply)


def framed(sock):
    """One message off a TCP stream, or None at its end."""
    data = b""
    want = 2
    while len(data) < want:
        piece = sock.recv(want - len(data))
        if not piece:
            return None
        data += piece
        if len(data) == 2:
            want = 2 + struct.unpack("!H", data)[0]
    return data[2:]
