"""A resolver that a test can tell what to say, over UDP and TCP."""

import struct

import traffic
import world as rig

A, TXT, AAAA, OPT, HTTPS = 1, 16, 28, 41, 65
NOERROR, SERVFAIL = 0, 2
TC = 0x02  # in the third byte


def question(name, ident=0x1234, kind=A, edns=None):
    """A query; edns is the size that it says it can take."""
    labels = b"".join(bytes([len(part)]) + part.encode()
                      for part in name.split("."))
    query = struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0,
                        edns is not None) + labels \
        + struct.pack("!BHH", 0, kind, 1)
    if edns is not None:
        query += struct.pack("!BHHIH", 0, OPT, edns, 0, 0)
    return query


def question_end(message):
    return message.index(0, 12) + 5


def edns_size(query):
    """What a query without compression says it can take, or None."""
    rest = query[question_end(query):]
    if rest[:3] != b"\0\0\x29":
        return None
    return struct.unpack("!H", rest[3:5])[0]


def usual(query):
    """The answer: one record that holds the name, or an address."""
    end = question_end(query)
    kind = query[end - 4:end - 2]
    data = b"\xcb\x00\x71\x07" if kind == b"\0\1" else query[12:end - 4]
    record = b"\xc0\x0c" + kind + b"\0\1\0\0\0\x3c" \
        + struct.pack("!H", len(data)) + data
    return query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:end] + record


def sized(query, size):
    """An answer of exactly so many bytes, well formed: one TXT record."""
    end = question_end(query)
    head = query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:end]
    data = size - len(head) - 12
    text, left = b"", data
    while left > 0:
        part = min(255, left - 1)
        text += bytes([part]) + b"x" * part
        left -= part + 1
    return head + b"\xc0\x0c" + struct.pack("!HHIH", TXT, 1, 60, data) + text


def records(message):
    """[(type, data)] of an answer whose names are all pointers."""
    count = struct.unpack("!H", message[6:8])[0]
    at, found = question_end(message), []
    for _ in range(count):
        kind, _, _, length = struct.unpack("!HHIH", message[at + 2:at + 12])
        found.append((kind, message[at + 12:at + 12 + length]))
        at += 12 + length
    return found


class Server:
    """Answers on one port over both.  `mute` says nothing over UDP; `answer`
    makes the answer of a query."""

    def __init__(self, namespace, address, port=0, tcp=True):
        self.sock = namespace.udp(address, port)
        self.sock.settimeout(None)
        self.port = rig.port_of(self.sock)
        self.address = ("[%s]:%d" if ":" in address else "%s:%d") % (
            address, self.port)
        self.seen, self.seen_tcp = [], []
        self.mute = False
        self.answer = usual
        rig.thread(self._serve_udp)
        if tcp:
            rig.thread(self._accept, namespace.listen(address, self.port))

    def _serve_udp(self):
        while True:
            query, client = self.sock.recvfrom(65535)
            self.seen.append(query)
            if self.mute:
                continue
            try:
                self.sock.sendto(self.answer(query), client)
            except (IndexError, ValueError):
                pass  # a query that is none

    def _accept(self, listener):
        listener.settimeout(None)
        while True:
            rig.thread(self._serve_tcp, listener.accept()[0])

    def _serve_tcp(self, sock):
        with sock:
            while query := receive(sock):
                self.seen_tcp.append(query)
                send(sock, self.answer(query))


def send(sock, *messages):
    sock.sendall(b"".join(struct.pack("!H", len(m)) + m for m in messages))


def receive(sock):
    """The next message of a stream, b"" at its end."""
    length = traffic.exact(sock, 2)
    if len(length) < 2:
        return b""
    return traffic.exact(sock, struct.unpack("!H", length)[0])
