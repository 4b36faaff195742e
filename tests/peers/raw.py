"""A guest that says what a probe wants, on the card of any contender."""

import socket
import struct
import time

import frames
from frames import ACK, ETH_ARP, RST, SYN, TCP, UDP
import world as rig

ETH_IP6 = 0x86dd
PACKET_OUTGOING = 4
ICMP6 = 58
ALL_ROUTERS = "ff02::2"


def ip6(text):
    return socket.inet_pton(socket.AF_INET6, text)


def multicast_mac(group):
    return "33:33:" + ":".join("%02x" % byte for byte in ip6(group)[12:])


def solicited_node(address):
    tail = ip6(address)[13:]
    return socket.inet_ntop(socket.AF_INET6,
                            ip6("ff02::1:ff00:0")[:13] + tail)


def transport6(body, proto, src, dst, offset):
    """body with its checksum, which lies at offset."""
    pseudo = ip6(src) + ip6(dst) + struct.pack("!IxxxB", len(body), proto)
    value = frames.checksum(pseudo + body) or 0xffff
    return body[:offset] + struct.pack("!H", value) + body[offset + 2:]


class Segment(frames.Packet):
    """A Packet that knows its window and options, too."""

    def __init__(self, frame):
        super().__init__(frame)
        self.options = {}
        if self.proto != TCP:
            return
        self.window = struct.unpack("!H", self.body[14:16])[0]
        options = self.body[20:(self.body[12] >> 4) * 4]
        while options and options[0] != 0:
            if options[0] == 1:
                options = options[1:]
                continue
            self.options[options[0]] = options[2:options[1]]
            options = options[options[1]:]


class Raw:
    """A packet socket on the guest's card.

    quiet takes the kernel's own addresses away, so that only the probe
    speaks; ARP for them is then answered here.
    """

    def __init__(self, this, quiet=True):
        self.this = this
        self.quiet = quiet
        self.sock = this.guest.sniffer(this.device)
        self.gateway_mac = rig.GATEWAY_MAC
        if quiet:
            this.guest.ip("addr flush dev %s" % this.device,
                          "neigh flush dev %s" % this.device)

    def send(self, frame):
        self.sock.send(frame)

    def _outgoing(self, address):
        return address[2] == PACKET_OUTGOING

    def frames(self, timeout_s):
        """Frames for the guest until the time is over."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self.sock.settimeout(left)
            try:
                frame, address = self.sock.recvfrom(65600)
            except TimeoutError:
                return
            if self._outgoing(address):
                continue
            if self.quiet and self._arp_for_me(frame):
                self._arp_answer(frame)
                continue
            yield frame

    def _arp_for_me(self, frame):
        return (frame[12:14] == struct.pack("!H", ETH_ARP) and
                frame[20:22] == b"\0\1" and
                frame[38:42] == frames.ip(self.this.address) and
                frame[28:32] != frames.ip(self.this.address))

    def _arp_answer(self, frame):
        self.send(frames.arp(
            socket.inet_ntoa(frame[28:32]), op=2, sender=self.this.address,
            dst=":".join("%02x" % byte for byte in frame[6:12])))

    def expect(self, wanted, timeout_s=3):
        """The first packet for which wanted(packet) holds, or None."""
        for frame in self.frames(timeout_s):
            packet = Segment(frame)
            if wanted(packet):
                return packet
        return None

    def resolve(self, target, sender=None, timeout_s=2):
        """Who answers for target, as text, or None."""
        self.send(frames.arp(target, sender=sender or self.this.address))
        reply = self.expect(
            lambda p: p.kind == ETH_ARP and p.frame[20:22] == b"\0\2" and
            p.frame[28:32] == frames.ip(target), timeout_s)
        if reply is None:
            return None
        return ":".join("%02x" % byte for byte in reply.frame[22:28])

    def find_gateway(self):
        found = self.resolve(self.this.gateway)
        if found is not None:
            self.gateway_mac = found
        return self

    def ip(self, payload, proto, dst, src=None, **fields):
        """Sends an IPv4 packet."""
        self.send(frames.ethernet(
            frames.ipv4(payload, proto, src=src or self.this.address,
                        dst=dst, **fields), dst=self.gateway_mac))

    def udp(self, data, sport, dst, dport, src=None, **fields):
        src = src or self.this.address
        self.ip(frames.udp(data, sport, dport, src, dst), UDP, dst, src=src,
                **fields)

    def echo(self, dst, data=b"ping", ident=7, seq=1, **fields):
        body = struct.pack("!BBHHH", 8, 0, 0, ident, seq) + data
        body = body[:2] + struct.pack("!H", frames.checksum(body)) + body[4:]
        self.ip(body, frames.ICMP, dst, **fields)

    # IPv6

    def ip6(self, payload, proto, src, dst, to=None, hops=255):
        header = struct.pack("!IHBB", 6 << 28, len(payload), proto, hops)
        self.send(frames.ethernet(header + ip6(src) + ip6(dst) + payload,
                                  ETH_IP6, dst=to or multicast_mac(dst)))

    def icmp6(self, body, src, dst, to=None):
        self.ip6(transport6(body, ICMP6, src, dst, 2), ICMP6, src, dst, to)

    def udp6(self, data, sport, dport, src, dst, to=None):
        body = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
        self.ip6(transport6(body, UDP, src, dst, 6), UDP, src, dst, to)

    def icmp6_frames(self, kind, timeout_s=3):
        """ICMPv6 messages of one type, as (source, bytes from type on)."""
        for frame in self.frames(timeout_s):
            if frame[12:14] != struct.pack("!H", ETH_IP6):
                continue
            if frame[20] == ICMP6 and frame[54] == kind:
                yield (socket.inet_ntop(socket.AF_INET6, frame[22:38]),
                       frame[54:])


class Client:
    """A TCP client made by hand, without a kernel that helps it."""

    def __init__(self, raw, dst, dport, sport, iss=1000, options=b"",
                 window=65535):
        self.raw, self.dst, self.dport, self.sport = raw, dst, dport, sport
        self.seq, self.ack = iss, 0
        self.window, self.options = window, options

    def send(self, flags, data=b"", seq=None, ack=None, options=b""):
        self.raw.ip(frames.tcp(
            self.sport, self.dport, seq=self.seq if seq is None else seq,
            ack=self.ack if ack is None else ack, flags=flags, data=data,
            options=options, window=self.window, src=self.raw.this.address,
            dst=self.dst), TCP, self.dst)

    def expect(self, wanted, timeout_s=3):
        return self.raw.expect(
            lambda p: p.proto == TCP and p.sport == self.dport and
            p.dport == self.sport and wanted(p), timeout_s)

    def connect(self):
        """Three-way handshake; returns the SYN-ACK."""
        self.send(SYN, options=self.options)
        reply = self.expect(lambda p: p.flags & (SYN | RST))
        if reply is None or reply.flags & RST:
            raise ConnectionRefusedError("no SYN-ACK for a raw client")
        self.seq += 1
        self.ack = (reply.seq + 1) & 0xffffffff
        self.send(ACK)
        return reply
