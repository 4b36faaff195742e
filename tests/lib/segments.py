"""A TCP connection by hand: the guest's half, said segment by segment."""

import struct

import frames
import tap
import world as rig

MSS, SCALE, SACK_OK, SACK, STAMP = 2, 3, 4, 5, 8
FLAGS = 0x3f


def mss(value):
    return struct.pack("!BBH", MSS, 4, value)


def options_of(packet):
    """{kind: bytes} of a segment's options."""
    options, found = packet.body[20:(packet.body[12] >> 4) * 4], {}
    while options and options[0]:
        if options[0] == 1:
            options = options[1:]
            continue
        found[options[0]] = options[2:options[1]]
        options = options[options[1]:]
    return found


def is_segment(sport, dport):
    """Of the connection whose guest's port is sport."""
    return lambda p: p.proto == frames.TCP and p.dport == sport \
        and p.sport == dport


class Hand:
    """One end.  seq is what it says next, ack what it expects."""

    last_port = 42000

    def __init__(self, wire, dport, sport=None, isn=100000, dst=rig.SERVER,
                 window=65535):
        Hand.last_port += 1
        self.wire, self.dport, self.dst = wire, dport, dst
        self.sport = sport or Hand.last_port
        self.src = rig.GUEST6 if ":" in dst else rig.GUEST
        self.seq, self.ack, self.window = isn, 0, window

    def say(self, flags=frames.ACK, data=b"", seq=None, **fields):
        """Sends a segment; its data and FIN count as sent unless seq says
        otherwise."""
        fields.setdefault("ack", self.ack)
        fields.setdefault("window", self.window)
        self.wire.send(frames.segment(
            self.sport, self.dport, self.src, self.dst, flags=flags,
            data=data, seq=self.seq if seq is None else seq, **fields))
        if seq is None:
            self.seq += len(data) + bool(flags & (frames.SYN | frames.FIN))

    def hear(self, wanted=lambda p: True, timeout_s=10):
        """The connection's next segment for which that holds, or None."""
        mine = is_segment(self.sport, self.dport)
        return self.wire.expect(lambda p: mine(p) and wanted(p), timeout_s)

    def open(self, listener=None, options=mss(1460)):
        """The handshake; returns (SYN-ACK, server's socket)."""
        self.say(frames.SYN, ack=0, options=options)
        reply = self.hear(lambda p: p.flags & frames.SYN)
        tap.ok(reply, "no SYN-ACK")
        tap.equal(reply.flags & FLAGS, frames.SYN | frames.ACK, "flags")
        tap.equal(reply.ack, self.seq, "acknowledgment")
        self.ack = reply.seq + 1
        self.say()
        return reply, listener and listener.accept()[0]

    def read(self, count, acknowledge=True, timeout_s=10):
        """So many bytes in order, acknowledged as they come; returns (data,
        whether FIN came with them)."""
        data, fin = b"", False
        while len(data) < count:
            packet = self.hear(lambda p: p.data, timeout_s)
            tap.ok(packet, "%d bytes of %d came" % (len(data), count))
            known = self.ack - packet.seq & 0xffffffff
            if known >= len(packet.data):  # or, negative, ahead of its turn
                continue
            data += packet.data[known:]
            fin = bool(packet.flags & frames.FIN)
            self.ack += len(packet.data) - known + fin
            if acknowledge:
                self.say()
        return data, fin

    def reset(self):
        self.say(frames.RST | frames.ACK)
