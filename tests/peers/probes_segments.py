"""TCP segment by segment: what the options, the timers and the state machine
say to a guest that is not quite a well-behaved kernel."""

import struct
import time

import frames
import tap
import traffic
import world as rig
from contenders import MTU
from probe import Differs, Wrong, need, probe
from raw import ACK, RST, SYN, TCP, Client, Raw

OPT_MSS, OPT_SCALE, OPT_SACK, OPT_TIME = 2, 3, 4, 8
ALL_OPTIONS = (struct.pack("!BBH", OPT_MSS, 4, MTU - 40) +
               struct.pack("!BBBB", OPT_SACK, 2, OPT_TIME, 10) +
               struct.pack("!II", 12345, 0) +
               struct.pack("!BBBB", 1, OPT_SCALE, 3, 7))


def client(this, sport=4000, **fields):
    """A raw client connected to a real server: (client, server's end)."""
    listener = this.server.listen()
    listener.settimeout(5)
    raw = Raw(this).find_gateway()
    each = Client(raw, rig.SERVER, rig.port_of(listener), sport, **fields)
    each.syn_ack = each.connect()
    each.listener = listener  # for as long as the client is there
    server, _ = listener.accept()
    server.settimeout(3)
    return each, server


def offered(this, option):
    each, _ = client(this, options=ALL_OPTIONS)
    need(option in each.syn_ack.options, "not offered")
    return each.syn_ack.options[option]


@probe("TCP: window scaling is offered", "RFC 7323 2")
def _(this):
    return "shift %d" % offered(this, OPT_SCALE)[0]


@probe("TCP: selective acknowledgement is offered", "RFC 2018")
def _(this):
    offered(this, OPT_SACK)


@probe("TCP: timestamps are offered", "RFC 7323 3")
def _(this):
    offered(this, OPT_TIME)


@probe("TCP: the MSS offered is the MTU less 40", "RFC 9293 3.7.1")
def _(this):
    mss = struct.unpack("!H", offered(this, OPT_MSS))[0]
    need(mss == MTU - 40, str(mss))


@probe("TCP: the guest's MSS of 536 is kept to", "RFC 9293 3.7.1")
def _(this):
    each, server = client(this, options=struct.pack("!BBH", 2, 4, 536))
    server.sendall(bytes(4000))
    piece = each.expect(lambda p: p.data)
    need(piece is not None, "no data")
    need(len(piece.data) <= 536, "%d bytes" % len(piece.data))


@probe("TCP: initial sequence numbers cannot be guessed", "RFC 6528")
def _(this):
    listener = this.server.listen()
    raw = Raw(this).find_gateway()
    numbers = []
    for sport in range(5000, 5008):
        each = Client(raw, rig.SERVER, rig.port_of(listener), sport)
        numbers.append(each.connect().seq)
    steps = {abs(b - a) for a, b in zip(numbers, numbers[1:])}
    need(max(steps) > 1 << 24, "steps of %s" % sorted(steps)[:3])


@probe("TCP: a segment of no connection is answered with RST",
       "RFC 9293 3.5.2")
def _(this):
    raw = Raw(this).find_gateway()
    each = Client(raw, rig.SERVER, 80, 4001, iss=77)
    each.send(ACK, b"from a snapshot", ack=99)
    reply = each.expect(lambda p: p.flags & RST)
    need(reply is not None, "silence")
    need(reply.seq == 99, "RST with sequence %d" % reply.seq)


@probe("TCP: a rebooted guest's SYN on a live 4-tuple connects in 5 s",
       "RFC 9293 3.10.7.4")
def _(this):
    each, server = client(this)
    again = Client(each.raw, each.dst, each.dport, each.sport, iss=900000000)
    start = time.monotonic()
    for _ in range(5):
        again.send(SYN)
        reply = again.expect(lambda p: p.flags, 1)
        if reply is not None and reply.flags & RST:
            reply = None
        elif reply is not None and reply.ack != again.seq + 1:
            again.send(RST, seq=reply.ack)  # as RFC 9293 3.5.1, figure 9
        elif reply is not None and reply.flags & SYN:
            return "%.1f s" % (time.monotonic() - start)
    raise Wrong("does not")


@probe("TCP: a SYN sent again makes one connection, not two",
       "RFC 9293 3.10.7.4")
def _(this):
    listener = this.server.listen()
    raw = Raw(this).find_gateway()
    each = Client(raw, rig.SERVER, rig.port_of(listener), 4000)
    for _ in range(3):
        each.send(SYN)
    reply = each.expect(lambda p: p.flags & SYN)
    need(reply is not None, "no SYN-ACK")
    listener.settimeout(3)
    listener.accept()
    listener.settimeout(1)
    try:
        listener.accept()
    except TimeoutError:
        return
    raise Wrong("two")


@probe("TCP: data that is not acknowledged is sent again in 4 s",
       "RFC 6298")
def _(this):
    each, server = client(this)
    server.sendall(b"once more")
    first = each.expect(lambda p: p.data)
    need(first is not None, "not even once")
    start = time.monotonic()
    again = each.expect(lambda p: p.data and p.seq == first.seq, 4)
    need(again is not None, "never")
    return "%.1f s" % (time.monotonic() - start)


@probe("TCP: segments out of order are put in order", "RFC 9293 3.10.7.4")
def _(this):
    each, server = client(this)
    each.send(ACK, b"world", seq=each.seq + 6)
    each.send(ACK, b"hello ")
    tap.equal(traffic.exact(server, 11), b"hello world", "the stream")


@probe("TCP: overlapping segments give each byte once", "RFC 9293 3.4")
def _(this):
    each, server = client(this)
    each.send(ACK, b"abcd")
    each.send(ACK, b"cdef", seq=each.seq + 2)
    each.send(ACK, b"ab")
    each.send(ACK, b"g", seq=each.seq + 6)
    tap.equal(traffic.exact(server, 7), b"abcdefg", "the stream")


@probe("TCP: a keepalive probe is answered", "RFC 1122 4.2.3.6")
def _(this):
    each, _ = client(this)
    time.sleep(0.3)
    each.send(ACK, seq=each.seq - 1)
    reply = each.expect(lambda p: p.flags & (ACK | RST))
    need(reply is not None, "silence")
    need(not reply.flags & RST and reply.ack == each.seq, "a reset")


@probe("TCP: a zero window is probed", "RFC 9293 3.8.6.1")
def _(this):
    each, server = client(this)
    each.window = 0
    each.send(ACK)
    server.sendall(b"x" * 1000)
    heard = each.expect(lambda p: True, 8)
    need(heard is not None, "silence, a lost update would hang")
    each.window = 65535
    each.send(ACK)
    piece = each.expect(lambda p: p.data, 8)
    need(piece is not None, "no data once it opens")


@probe("TCP: a RST outside the window is ignored", "RFC 5961 3.2")
def _(this):
    each, server = client(this)
    each.send(RST, seq=(each.seq - 100000) & 0xffffffff)
    each.send(RST | ACK, seq=(each.seq + (1 << 30)) & 0xffffffff)
    each.send(ACK, b"still here")
    tap.equal(traffic.exact(server, 10), b"still here", "the stream")


@probe("TCP: an acknowledgement of data never sent breaks nothing",
       "RFC 9293 3.10.7.4")
def _(this):
    each, server = client(this)
    each.send(ACK, ack=each.ack + 100000)
    each.send(ACK, b"still here")
    tap.equal(traffic.exact(server, 10), b"still here", "the stream")


@probe("TCP: impossible flags do no harm", "RFC 9293 3.10.7")
def _(this):
    each, server = client(this)
    for flags in (0, 63, 3, 41, 255):
        each.raw.ip(frames.tcp(4002, 80, seq=1, flags=flags,
                               src=this.address, dst=rig.SERVER), TCP,
                    rig.SERVER)
    each.send(ACK, b"still here")
    tap.equal(traffic.exact(server, 10), b"still here", "the stream")


@probe("TCP: data on the SYN is not lost", "RFC 9293 3.4")
def _(this):
    listener = this.server.listen()
    listener.settimeout(3)
    raw = Raw(this).find_gateway()
    each = Client(raw, rig.SERVER, rig.port_of(listener), 4000)
    each.send(SYN, b"early ")
    reply = each.expect(lambda p: p.flags & (SYN | RST))
    need(reply is not None and not reply.flags & RST, "no SYN-ACK")
    each.seq, each.ack = reply.ack, reply.seq + 1
    taken = (reply.ack - 1001) & 0xffffffff
    each.send(ACK, b"early bird"[taken:])
    server, _ = listener.accept()
    server.settimeout(3)
    tap.equal(traffic.exact(server, 10), b"early bird", "the stream")


@probe("TCP: a segment in IP fragments arrives", "RFC 791 3.2")
def _(this):
    each, server = client(this)
    data = bytes(range(200))
    whole = frames.tcp(each.sport, each.dport, seq=each.seq, ack=each.ack,
                       flags=ACK, data=data, src=this.address,
                       dst=rig.SERVER)
    each.raw.ip(whole[:104], TCP, rig.SERVER, fragment=0x2000, ident=88)
    each.raw.ip(whole[104:], TCP, rig.SERVER, fragment=104 // 8, ident=88)
    tap.equal(traffic.exact(server, 200), data, "the stream")


@probe("TCP: a segment with a wrong checksum is dropped", "RFC 9293 3.1")
def _(this):
    each, server = client(this)
    whole = bytearray(frames.tcp(
        each.sport, each.dport, seq=each.seq, ack=each.ack, flags=ACK,
        data=b"bad", src=this.address, dst=rig.SERVER))
    whole[16] ^= 255
    each.raw.ip(bytes(whole), TCP, rig.SERVER)
    server.settimeout(1)
    try:
        server.recv(9)
    except TimeoutError:
        return
    if this.offload:
        raise Differs("taken: a VMM's offload leaves it undone")
    raise Wrong("taken")
