#!/usr/bin/python3
"""TCP as the kernel's: what its RFCs ask of an end, segment by segment, and
the small windows and buffers at which a relay is apt to stall."""

import errno
import os
import select
import socket
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import segments  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
MIB = 1 << 20
KIB = 1 << 10
ACK, FIN, SYN, RST, PSH, URG = (frames.ACK, frames.FIN, frames.SYN,
                                frames.RST, frames.PSH, frames.URG)
PORT = 7000
STALL_FLOOR_MBIT = 100
USUAL_MBIT = 1000  # of a connection that nothing stalls, at least
CONNECTS = 100

WORLD = rig.World(ip6=True)
OPTIONS = ("--connect-rate", "10000", "-p", "8080:80")
CARS = {mtu: sidecar.Sidecar(WORLD, "--mtu", str(mtu), *OPTIONS[:2],
                             *(OPTIONS[2:] if mtu == 1500 else ()))
        for mtu in (1500, 65520)}
CAR = CARS[1500]
GUEST, HOST, SERVER = WORLD.guest, WORLD.host, WORLD.server
LISTENER = SERVER.listen(rig.SERVER, PORT)


class Attached:
    """One VMM at a time: a kernel's, or a wire to speak on by hand."""

    def __init__(self, make, car):
        self.car, self.make = car, make

    def __enter__(self):
        self.before = len(self.car.log.find("vmm gone"))
        self.vmm = self.make()
        return self.vmm

    def __exit__(self, *_):
        (self.vmm.close if isinstance(self.vmm, frames.Wire)
         else self.vmm.kill)()
        self.car.log.wait("vmm gone", count=self.before + 1)


def by_hand():
    return Attached(lambda: frames.Wire(CAR.path), CAR)


def kernel(mtu=1500):
    car = CARS[mtu]
    return Attached(lambda: sidecar.Vmm(WORLD, car.path, mtu=mtu), car)


def quiet(hand, timeout_s=0.3):
    packet = hand.hear(timeout_s=timeout_s)
    tap.equal(packet and packet.flags, None, "a segment's flags")


@tap.case("FIN with data: the server gets the data and then the end")
def _():
    with by_hand() as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        hand.say(ACK | PSH | FIN, b"last words")
        tap.equal(traffic.receive(server)[0], 10, "bytes")
        tap.ok(hand.hear(lambda p: p.ack == hand.seq), "FIN not acknowledged")
        server.sendall(b"yours")
        server.close()
        data, fin = hand.read(5)
        tap.equal(data, b"yours", "data after the guest's FIN")
        if not fin:
            packet = hand.hear(lambda p: p.flags & FIN)
            tap.ok(packet, "no FIN")
            hand.ack += 1
            hand.say()
        quiet(hand)


@tap.case("a SYN that carries data loses none of it")
def _():
    with by_hand() as wire:
        hand = segments.Hand(wire, PORT)
        hand.say(SYN, b"early", ack=0)
        reply = hand.hear(lambda p: p.flags & SYN)
        server, _ = LISTENER.accept()
        hand.ack = reply.seq + 1
        # Either is right (RFC 9293 3.10.7.2); what was not taken comes again.
        tap.ok(reply.ack in (hand.seq, hand.seq - 5), "acknowledgment")
        hand.seq = reply.ack
        hand.say(ACK | PSH, b"early"[reply.ack - 100001:])
        server.settimeout(10 * tap.scale())
        tap.equal(traffic.exact(server, 5), b"early", "data")
        hand.reset()
        server.close()


@tap.case("simultaneous close: FINs that cross end the connection in order")
def _():
    with by_hand() as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        server.shutdown(socket.SHUT_WR)
        theirs = hand.hear(lambda p: p.flags & FIN)
        hand.say(ACK | FIN)  # it has not seen theirs yet
        reply = hand.hear(lambda p: p.ack == hand.seq)
        tap.ok(reply, "our FIN is not acknowledged")
        tap.ok(not reply.flags & RST, "RST")
        hand.ack = theirs.seq + 1
        hand.say()
        server.settimeout(10 * tap.scale())
        tap.equal(server.recv(1), b"", "the server's end")
        server.close()
        quiet(hand)


@tap.case("simultaneous open: SYNs that cross do not hang the client")
def _():
    with by_hand() as wire:
        wire.alive()
        client = HOST.connect("127.0.0.1", 8080)
        syn = wire.expect(lambda p: p.proto == frames.TCP and p.dport == 80)
        hand = segments.Hand(wire, syn.sport, 80, dst=rig.GATEWAY)
        hand.say(SYN, ack=0, options=segments.mss(1460))
        hand.ack = syn.seq + 1
        hand.seq -= 1
        hand.say(SYN | ACK, options=segments.mss(1460))
        client.settimeout(10 * tap.scale())
        try:
            client.sendall(b"hello")
            data, _ = hand.read(5)
            tap.equal(data, b"hello", "data")
            hand.say(ACK | PSH, b"world")
            tap.equal(traffic.exact(client, 5), b"world", "answer")
            tap.note("established")
        except ConnectionResetError:
            tap.note("reset")
        client.close()


@tap.case("the end comes after the last byte, however small the windows")
def _():
    with by_hand() as wire:
        hand = segments.Hand(wire, PORT, window=1000)
        _, server = hand.open(LISTENER)
        server.sendall(bytes(1400))
        server.close()
        got, fin = 0, False
        while got < 1400:
            packet = hand.hear(lambda p: p.data)
            tap.ok(packet, "%d bytes of 1400 came" % got)
            tap.equal(packet.seq, hand.ack, "sequence number")
            got += len(packet.data)
            hand.ack += len(packet.data)
            fin = bool(packet.flags & frames.FIN)
            tap.ok(not fin or got == 1400, "an end after %d bytes" % got)
            if got < 1000:
                continue
            time.sleep(0.05)  # the server's end is there by now
            hand.window = 100 if got == 1000 else 65535
            hand.say()
        tap.ok(fin or hand.hear(lambda p: p.flags & frames.FIN), "no end")
        hand.reset()


@tap.case("a guest's window of zero is probed until it opens")
def _():
    with by_hand() as wire:
        hand = segments.Hand(wire, PORT, window=1000)
        _, server = hand.open(LISTENER)
        server.sendall(bytes(range(250)) * 40)
        got = hand.hear(lambda p: p.data).data
        while len(got) < 1000:
            got += hand.hear(lambda p: p.data).data
        hand.ack += len(got)
        hand.window = 0
        hand.say()
        for _ in range(2):
            probe = hand.hear(timeout_s=8)
            tap.ok(probe, "no probe of a closed window")
            tap.ok(len(probe.data) <= 1, "%d bytes into a closed window"
                   % len(probe.data))
            hand.say()
        hand.window = 65535
        hand.say()
        while len(got) < 10000:
            data, _ = hand.read(1, timeout_s=8)
            got += data
        tap.ok(got == bytes(range(250)) * 40, "other bytes")
        hand.reset()
        server.close()


@tap.case("a guest's probe of our closed window is answered, and its opening "
          "is told unasked")
def _():
    with by_hand() as wire:
        server_side = SERVER.socket()
        server_side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server_side.bind((rig.SERVER, 0))
        server_side.listen(1)
        hand = segments.Hand(wire, rig.port_of(server_side))
        _, server = hand.open(server_side)
        last, sent = None, 0
        deadline = time.monotonic() + 20 * tap.scale()
        while last is None or last.window:
            tap.ok(time.monotonic() < deadline, "the window never closes")
            room = 1460 if last is None else min(1460, last.window)
            hand.say(ACK, bytes(room))
            sent += room
            last = hand.hear(lambda p: p.ack == hand.seq)
            tap.ok(last, "no acknowledgment after %d bytes" % sent)
        tap.note("closed after %d bytes" % sent)
        hand.say(ACK, b"x", seq=hand.seq)
        answer = hand.hear()
        tap.ok(answer, "the probe is not answered")
        tap.equal((answer.ack - hand.seq in (0, 1)), True, "acknowledgment")
        taken = answer.ack - hand.seq
        server.settimeout(10 * tap.scale())
        got = len(traffic.exact(server, sent + taken))
        tap.equal(got, sent + taken, "bytes at the server")
        update = hand.hear(lambda p: p.window > 0)
        tap.ok(update, "no window update")
        hand.reset()
        server.close()
        server_side.close()


@tap.case("segments out of order and twice are put in order")
def _():
    with by_hand() as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        base, data = hand.seq, os.urandom(3000)
        for start, end in ((2000, 3000), (0, 1000), (0, 1000), (500, 1500),
                           (2500, 3000), (1000, 2000)):
            hand.say(ACK, data[start:end], seq=base + start)
        hand.seq += 3000
        tap.ok(hand.hear(lambda p: p.ack == hand.seq), "not acknowledged")
        server.settimeout(10 * tap.scale())
        tap.ok(traffic.exact(server, 3000) == data, "other bytes")
        hand.reset()
        server.close()


@tap.case("segments before and beyond the window are acknowledged, not taken")
def _():
    with by_hand() as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        for seq in (hand.seq - 100000, hand.seq + (1 << 30)):
            hand.say(ACK, b"stray", seq=seq)
            packet = hand.hear()
            tap.ok(packet, "no answer")
            tap.equal((packet.ack, packet.flags & RST), (hand.seq, 0),
                      "acknowledgment, RST")
        # Blind resets do not hit (RFC 5961 3).
        hand.say(RST, seq=hand.seq + (1 << 30))
        hand.say(RST, seq=hand.seq - 1000)
        hand.say(ACK | PSH, b"alive")
        server.settimeout(10 * tap.scale())
        tap.equal(traffic.exact(server, 5), b"alive", "data after them")
        hand.reset()
        tap.raises([errno.ECONNRESET], server.recv, 1)
        server.close()


@tap.case("what the guest does not acknowledge comes again")
def _():
    with by_hand() as wire:
        hand = segments.Hand(wire, PORT)
        _, server = hand.open(LISTENER)
        server.sendall(b"important")
        first = hand.hear(lambda p: p.data)
        again = hand.hear(lambda p: p.data)
        tap.ok(again, "never again")
        tap.equal((first.seq, first.data), (again.seq, again.data), "segment")
        hand.ack += 9
        hand.say()
        hand.reset()
        server.close()


@tap.case("the guest's MSS is kept to, and 536 without one")
def _():
    with by_hand() as wire:
        for options, most in ((segments.mss(700), 700), (b"", 536),
                              (segments.mss(1460), 1460)):
            hand = segments.Hand(wire, PORT)
            reply, server = hand.open(LISTENER, options)
            tap.equal(segments.options_of(reply)[segments.MSS], b"\5\xb4",
                      "our own MSS")
            server.sendall(bytes(20000))
            longest = got = 0
            while got < 20000:
                data, _ = hand.read(1)
                longest = max(longest, len(data))
                got += len(data)
            tap.ok(longest <= most, "%d bytes with an MSS of %d"
                   % (longest, most))
            hand.reset()
            server.close()


@tap.case("scaling, SACK and timestamps are answered when asked for")
def _():
    with by_hand() as wire:
        asked = segments.mss(1460) + b"\1\3\3\7" + b"\4\2\1\1" \
            + b"\1\1\x08\x0a\0\0\0\1\0\0\0\0"
        hand = segments.Hand(wire, PORT)
        hand.say(SYN, ack=0, options=asked)
        found = segments.options_of(hand.hear(lambda p: p.flags & SYN))
        for kind in (segments.MSS, segments.SCALE, segments.SACK_OK,
                     segments.STAMP):
            tap.ok(kind in found, "no option %d in %r" % (kind, found))
        LISTENER.accept()[0].close()
        hand.reset()
        hand = segments.Hand(wire, PORT)
        reply, server = hand.open(LISTENER)
        tap.equal(set(segments.options_of(reply)), {segments.MSS}, "options")
        hand.reset()
        server.close()


@tap.case("a guest that has rebooted: the old connection is reset, the new "
          "one works")
def _():
    with by_hand() as wire:
        old = segments.Hand(wire, PORT, isn=1000)
        _, old_server = old.open(LISTENER)
        new = segments.Hand(wire, PORT, old.sport, isn=0x7fffff00)
        _, server = new.open(LISTENER)
        old_server.settimeout(10 * tap.scale())
        tap.raises([errno.ECONNRESET], old_server.recv, 1)
        new.say(ACK | PSH, b"hello")
        server.settimeout(10 * tap.scale())
        tap.equal(traffic.exact(server, 5), b"hello", "data")
        server.sendall(b"again")
        tap.equal(new.read(5)[0], b"again", "answer")
        new.reset()
        server.close()
        old_server.close()


@tap.case("a port in TIME_WAIT is good for a new connection at once")
def _():
    with by_hand() as wire:
        isn, took = 1000, []
        for _ in range(5):
            hand = segments.Hand(wire, PORT, 43999, isn=isn)
            start = time.monotonic()
            _, server = hand.open(LISTENER)
            took.append(time.monotonic() - start)
            server.close()  # the first to close waits
            tap.ok(hand.hear(lambda p: p.flags & FIN), "no FIN")
            hand.ack += 1
            hand.say(ACK | FIN)
            tap.ok(hand.hear(lambda p: p.ack == hand.seq), "FIN unanswered")
            isn += 100000
        # The first found none; a busy machine may hold up this or that one.
        tap.ok(min(took[1:]) < 0.5 * tap.scale(), "seconds: %r" % took)


@tap.case("the kernel's guest may reuse a port that is in TIME_WAIT there")
def _():
    with kernel():
        for number in range(6):
            first = ("server", "guest")[number % 2]
            guest = GUEST.connect(rig.SERVER, PORT,
                                  source_port=4444 + number % 2)
            server, _ = LISTENER.accept()
            traffic.greet_ends(guest, server)
            ends = (server, guest) if first == "server" else (guest, server)
            ends[0].shutdown(socket.SHUT_WR)
            tap.equal(ends[1].recv(1), b"", "the end")
            ends[1].close()
            ends[0].close()
            if first == "guest":
                # The kernel keeps its own TIME_WAIT for one second at least.
                time.sleep(1.1)


@tap.case("initial sequence numbers differ, and tell nothing of each other")
def _():
    with by_hand() as wire:
        isns = []
        for number in range(20):
            hand = segments.Hand(wire, PORT, 45000 + number)
            reply, server = hand.open(LISTENER)
            isns.append(reply.seq)
            hand.reset()
            server.close()
        steps = [(b - a) & 0xffffffff for a, b in zip(isns, isns[1:])]
        tap.equal(len(set(isns)), 20, "different ones")
        near = [step for step in steps if min(step, 2**32 - step) < 1 << 20]
        tap.ok(len(near) < 3, "steps of %r" % steps)
        again = []
        for isn in (1000, 100000):
            hand = segments.Hand(wire, PORT, 45500, isn=isn)
            reply, server = hand.open(LISTENER)
            again.append(reply.seq)
            hand.reset()
            server.close()
            time.sleep(0.05)
        step = (again[1] - again[0]) & 0xffffffff
        tap.ok(0 < step < 1 << 28, "the same four-tuple: a step of %d" % step)


@tap.case("a SYN that is repeated while it waits is one connect")
def _():
    with by_hand() as wire:
        sniffer = SERVER.sniffer("s0")
        hand = segments.Hand(wire, 80, dst=rig.FILTERED)
        for _ in range(6):
            hand.say(SYN, ack=0, seq=100)
            time.sleep(0.02)
        wire.alive()
        ports = set()
        while select.select([sniffer], [], [], 0.1)[0]:
            packet = frames.Packet(sniffer.recv(65535))
            if packet.proto == frames.TCP and packet.ip_dst == rig.FILTERED:
                ports.add(packet.sport)
        sniffer.close()
        tap.equal(len(ports), 1, "connects: %r" % ports)
        hand.say(RST, seq=101)


@tap.case("urgent data arrives as ordinary data, both ways")
def _():
    with kernel():
        for upwards in (True, False):
            guest, server = traffic.pair(GUEST, rig.SERVER, LISTENER)
            source, sink = (guest, server) if upwards else (server, guest)
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
            with guest, server:
                for word, flags in ((b"before", 0), (b"!", socket.MSG_OOB),
                                    (b"after", 0)):
                    source.send(word, flags)
                source.shutdown(socket.SHUT_WR)
                sink.settimeout(10 * tap.scale())
                data = b""
                while part := sink.recv(100):
                    data += part
                tap.equal(data, b"before!after",
                          "up" if upwards else "down")


def connect_many():
    socks = []
    for _ in range(CONNECTS):
        sock = GUEST.socket()
        sock.setblocking(False)
        sock.connect_ex((rig.SERVER, PORT))
        socks.append(sock)
    return socks


@tap.case("%d connects to one destination at once all succeed" % CONNECTS)
def _():
    with kernel():
        start = time.monotonic()
        socks = connect_many()
        servers = [LISTENER.accept()[0] for _ in socks]
        for sock in socks:
            sock.settimeout(10 * tap.scale())
            while sock.connect_ex((rig.SERVER, PORT)) != errno.EISCONN:
                select.select([], [sock], [], 1)
            sock.sendall(b"x")
        for server in servers:
            server.settimeout(10 * tap.scale())
            tap.equal(server.recv(1), b"x", "byte")
        tap.note("%.2f s" % (time.monotonic() - start))
        for sock in socks + servers:
            sock.close()


@tap.case("an idle connection lives, and the guest's keepalive is answered")
def _():
    with kernel():
        guest, server = traffic.pair(GUEST, rig.SERVER, LISTENER)
        for option, value in ((socket.SO_KEEPALIVE, 1),):
            guest.setsockopt(socket.SOL_SOCKET, option, value)
        for option, value in ((socket.TCP_KEEPIDLE, 1),
                              (socket.TCP_KEEPINTVL, 1),
                              (socket.TCP_KEEPCNT, 2)):
            guest.setsockopt(socket.IPPROTO_TCP, option, value)
        with guest, server:
            time.sleep(5)  # how long it lives is the question
            traffic.greet_ends(guest, server)


def rate(source, sink, total, least_mbit=STALL_FLOOR_MBIT, during=None):
    """Transfers, and holds the throughput against a floor."""
    start = time.monotonic()
    worker = rig.thread(traffic.transfer, source, sink, total)
    if during:
        during()
    worker.join(50 * tap.scale())
    mbit = total * 8e-6 / (time.monotonic() - start)
    tap.note("%.0f Mbit/s" % mbit)
    if mbit >= least_mbit / tap.scale():
        return
    # A slow machine is as slow where nothing stalls.
    guest, server = traffic.pair(GUEST, rig.SERVER, LISTENER)
    with guest, server:
        start = time.monotonic()
        traffic.transfer(*((guest, server)
                           if source.getsockname()[0] == rig.GUEST
                           else (server, guest)), 20 * MIB)
        usual_mbit = 20 * MIB * 8e-6 / (time.monotonic() - start)
    tap.ok(mbit >= least_mbit * min(1, usual_mbit / USUAL_MBIT),
           "only %.1f Mbit/s, where %.0f are usual" % (mbit, usual_mbit))


def sized_pair(mtu, **sizes):
    """A pair whose ends have such buffers from the start: guest_rcv=,
    guest_snd=, server_rcv=, server_snd=, in bytes."""
    def apply(sock, end):
        for key, option in (("rcv", socket.SO_RCVBUF),
                            ("snd", socket.SO_SNDBUF)):
            size = sizes.get("%s_%s" % (end, key))
            if size:
                sock.setsockopt(socket.SOL_SOCKET, option, size)

    listener = SERVER.socket()
    apply(listener, "server")
    listener.bind((rig.SERVER, 0))
    listener.listen(1)
    guest = GUEST.socket()
    apply(guest, "guest")
    guest.connect((rig.SERVER, rig.port_of(listener)))
    server, _ = listener.accept()
    listener.close()
    return guest, server


def small(title, upwards, total, floor=STALL_FLOOR_MBIT, **sizes):
    for mtu in (1500, 65520):
        def body(mtu=mtu):
            with kernel(mtu):
                guest, server = sized_pair(mtu, **sizes)
                with guest, server:
                    ends = (guest, server) if upwards else (server, guest)
                    rate(*ends, total, floor)
        tap.case("%s, MTU %d" % (title, mtu))(body)


small("a guest with a send buffer of 16 KiB is not stalled by delayed "
      "acknowledgments", True, 20 * MIB, guest_snd=16 * KIB)
small("a server with a send buffer of 16 KiB is not stalled by delayed "
      "acknowledgments", False, 20 * MIB, server_snd=16 * KIB)
small("a server with a receive buffer of 16 KiB takes what the guest sends",
      True, 20 * MIB, server_rcv=16 * KIB)
small("a guest with a receive buffer of 16 KiB takes what the server sends",
      False, 20 * MIB, guest_rcv=16 * KIB)
small("a guest with the smallest receive buffer still receives", False,
      MIB // 2, 1, guest_rcv=1)
small("a server with the smallest receive buffer still receives", True,
      MIB // 2, 1, server_rcv=1)
small("a guest with the smallest send buffer still sends", True, MIB, 1,
      guest_snd=1)


def shrinking(mtu):
    @tap.case("a guest that lowers its receive buffer in mid-download is not "
              "stalled, MTU %d" % mtu)
    def _():
        with kernel(mtu):
            guest, server = sized_pair(mtu)

            def shrink():
                for size in (1 << 20, 256 * KIB, 64 * KIB, 32 * KIB):
                    time.sleep(0.02)
                    guest.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                     size)

            with guest, server:
                # What the kernel then drops costs a retransmission timeout.
                rate(server, guest, 40 * MIB, 20, during=shrink)


shrinking(1500)
shrinking(65520)

tap.run(sidecar.tell(CAR))
