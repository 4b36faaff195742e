"""Datagrams and what becomes of them, as a guest's program sees it."""

import select
import socket
import struct
import threading
import time

import tap
import world as rig

# Linux: <linux/in.h>, <linux/in6.h>, <linux/errqueue.h>
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_RECVERR, IP_MTU = 10, 2, 11, 14
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO, IPV6_MTU, IPV6_RECVERR = 23, 2, 24, 25
SO_EE_ORIGIN_LOCAL = 1
UDP_SEGMENT = 103  # <linux/udp.h>
PIECE, UNDER_WAY = 20, 60  # datagrams of stream()
LATE_S = 0.5  # who has not come by then is lost
DISCARD = 9  # RFC 863

SERVERS = {4: rig.SERVER, 6: rig.SERVER6}
OPTIONS = {
    socket.AF_INET: (socket.IPPROTO_IP, IP_RECVERR, IP_MTU_DISCOVER, IP_MTU),
    socket.AF_INET6: (socket.IPPROTO_IPV6, IPV6_RECVERR, IPV6_MTU_DISCOVER,
                      IPV6_MTU),
}


def echo_server(sock):
    """Answers each datagram with itself; returns the list of (from, size)."""
    seen = []

    def serve():
        sock.settimeout(None)
        while True:
            data, client = sock.recvfrom(65535)
            seen.append((client[:2], len(data)))
            try:
                sock.sendto(data, client)
            except OSError:
                pass  # the client's end is the test's business

    rig.thread(serve)
    return seen


def connected(namespace, address, port, errors=False, whole=False):
    """A connected UDP socket that is told of errors, those that the kernel
    thinks may pass as well; or one that forbids fragments."""
    family = rig.family_of(address)
    level, recverr, discover, _ = OPTIONS[family]
    sock = namespace.socket(socket.SOCK_DGRAM, family)
    sock.settimeout(10 * tap.scale())
    if errors:
        sock.setsockopt(level, recverr, 1)
    if whole:
        sock.setsockopt(level, discover, IP_PMTUDISC_DO)
    sock.connect(rig.endpoint(address, port))
    return sock


def introduce(guest, *gateways):
    """Speaks to the gateway until it has answered that nobody listens: it
    knows the guest's addresses then, and has datagrams for them."""
    for gateway in gateways:
        with connected(guest, gateway, DISCARD) as sock:
            sock.send(b"hello")
            try:
                sock.recv(1)
            except ConnectionRefusedError:
                continue
        raise tap.Failure("%s answers as a server" % gateway)


def path_mtu(sock):
    level, _, _, mtu = OPTIONS[sock.family]
    return sock.getsockopt(level, mtu)


def error_of(sock, timeout_s=10):
    """Waits for the error of a socket with errors=True; returns (errno, ICMP
    type, code, mtu, address of who says so)."""
    poll = select.poll()
    poll.register(sock, select.POLLERR)
    tap.ok(poll.poll(1e3 * timeout_s * tap.scale()), "no error came")
    _, ancillary, _, _ = sock.recvmsg(65535, 512, socket.MSG_ERRQUEUE)
    for _, _, data in ancillary:
        errno, origin, kind, code, _, info, _ = struct.unpack(
            "=IBBBBII", data[:16])
        if origin == SO_EE_ORIGIN_LOCAL:
            return errno, None, None, info, None
        offender = data[16:]
        family = struct.unpack("=H", offender[:2])[0]
        if family == socket.AF_INET:
            who = socket.inet_ntop(family, offender[4:8])
        else:
            who = socket.inet_ntop(family, offender[8:24])
        return errno, kind, code, info, who
    raise tap.Failure("an error queue without an error")


class Reader:
    """Takes numbered datagrams in a thread, until all have come or, after
    end() was called, none comes for a while."""

    def __init__(self, sock, count, quiet_s=1):
        self.sock, self.count = sock, count
        self.got = self.odd = 0  # different ones; twice or out of order
        self.next = 0  # behind the last that has come
        self.come = threading.Condition()
        self._ending = False
        sock.settimeout(quiet_s * tap.scale())
        self._thread = rig.thread(self._read)

    def _read(self):
        seen = bytearray(self.count)
        while self.got < self.count:
            try:
                data = self.sock.recv(65535)
            except TimeoutError:
                if self._ending:
                    return
                continue
            number = struct.unpack("!I", data[:4])[0]
            self.odd += seen[number] or number < self.next - 1
            self.got += not seen[number]
            seen[number] = 1
            with self.come:
                self.next = number + 1
                self.come.notify()

    def wait_for(self, number):
        """Until that has come, or a later one, or is not to come any more."""
        with self.come:
            self.come.wait_for(lambda: self.next > number, LATE_S * tap.scale())

    def end(self):
        self._ending = True
        self._thread.join(60 * tap.scale())


def stream(source, sink, count, payload, per_s, to=None):
    """Sends count numbered datagrams at an even pace: who was held up does
    not make up for it by a burst, and no more are under way than every queue
    holds while a busy machine lets its reader wait.  Returns (seconds, how
    many were lost, how many came twice or out of order)."""
    filler = bytes(payload - 4)
    reader = Reader(sink, count)
    start = due = time.monotonic()
    for number in range(count):
        if number % PIECE == 0:
            reader.wait_for(number - UNDER_WAY)
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            due = max(due, time.monotonic()) + PIECE / per_s
        data = struct.pack("!I", number) + filler
        if to is None:
            source.send(data)
        else:
            source.sendto(data, to)
    took = time.monotonic() - start
    reader.end()
    return took, count - reader.got, reader.odd
