"""Frames by hand: a VMM and a guest that say exactly what a test wants."""

import select
import socket
import struct
import time

import sidecar
import tap
import world as rig

BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL = "255.255.255.255"
ETH_IP = 0x0800
ETH_ARP = 0x0806
ETH_IP6 = 0x86dd
TCP, UDP, ICMP, ICMP6, FRAGMENT6 = 6, 17, 1, 58, 44
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ip(text):
    return socket.inet_pton(rig.family_of(text), text)


def text_of(address):
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, address)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ethernet(payload, kind=ETH_IP, src=rig.GUEST_MAC, dst=rig.GATEWAY_MAC):
    return mac(dst) + mac(src) + struct.pack("!H", kind) + payload


def arp(target, op=1, sender=rig.GUEST, sender_mac=rig.GUEST_MAC,
        src=rig.GUEST_MAC, dst=BROADCAST):
    body = struct.pack("!HHBBH", 1, ETH_IP, 6, 4, op)
    body += mac(sender_mac) + ip(sender) + bytes(6) + ip(target)
    return ethernet(body, ETH_ARP, src=src, dst=dst)


def ipv4(payload, proto, src=rig.GUEST, dst=rig.SERVER, options=b"",
         fragment=0, ident=1, ttl=64, **changes):
    ihl = changes.get("ihl", 5 + len(options) // 4)
    total = changes.get("total", 20 + len(options) + len(payload))
    header = struct.pack("!BBHHHBBH4s4s", 4 << 4 | ihl, 0, total, ident,
                         fragment, ttl, proto, 0, ip(src), ip(dst)) + options
    value = changes.get("ip_checksum", checksum(header))
    return header[:10] + struct.pack("!H", value) + header[12:] + payload


def ipv6(payload, proto, src=rig.GUEST6, dst=rig.SERVER6, hops=64, **changes):
    length = changes.get("total", len(payload))
    return struct.pack("!IHBB", 6 << 28, length, proto, hops) + ip(src) \
        + ip(dst) + payload


def whole(payload, proto, src, dst, to=rig.GATEWAY_MAC, **fields):
    """A frame around an IPv4 or IPv6 packet, as its addresses say."""
    if ":" in src:
        return ethernet(ipv6(payload, proto, src, dst, **fields), ETH_IP6,
                        dst=to)
    return ethernet(ipv4(payload, proto, src, dst, **fields), dst=to)


def fragments(payload, proto, src, dst, size=1480, ident=77):
    """The frames of one packet whose payload is cut every size bytes."""
    frames = []
    for start in range(0, len(payload), size):
        more = start + size < len(payload)
        part = payload[start:start + size]
        frames.append(fragment(part, proto, src, dst, start, more, ident))
    return frames


def fragment(part, proto, src, dst, start, more, ident=77):
    if ":" in src:
        header = struct.pack("!BBHI", proto, 0, start | more, ident)
        return whole(header + part, FRAGMENT6, src, dst)
    return whole(part, proto, src, dst, fragment=start >> 3 | more << 13,
                 ident=ident)


def icmp6(kind, body, src, dst, code=0):
    """An ICMPv6 message, its checksum included."""
    message = struct.pack("!BBH", kind, code, 0) + body
    value = checksum(_pseudo(message, ICMP6, src, dst) + message)
    return message[:2] + struct.pack("!H", value) + message[4:]


def _pseudo(segment, proto, src, dst):
    if ":" in src:
        return ip(src) + ip(dst) + struct.pack("!II", len(segment), proto)
    return ip(src) + ip(dst) + struct.pack("!BBH", 0, proto, len(segment))


def udp(data, sport, dport, src=rig.GUEST, dst=rig.SERVER, **changes):
    length = changes.get("udp_length", 8 + len(data))
    header = struct.pack("!HHHH", sport, dport, length, 0)
    value = checksum(_pseudo(header + data, UDP, src, dst) + header + data)
    return header[:6] + struct.pack("!H", value or 0xffff) + data


def tcp(sport, dport, seq=0, ack=0, flags=SYN, data=b"", options=b"",
        window=65535, src=rig.GUEST, dst=rig.SERVER, offset=None, urgent=0):
    if offset is None:
        offset = 5 + len(options) // 4
    header = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xffffffff,
                         ack & 0xffffffff, offset << 4, flags, window, 0,
                         urgent) + options
    value = checksum(_pseudo(header + data, TCP, src, dst) + header + data)
    return header[:16] + struct.pack("!H", value) + header[18:] + data


def segment(sport, dport, src=rig.GUEST, dst=rig.SERVER, **fields):
    """A whole frame around a TCP segment."""
    return whole(tcp(sport, dport, src=src, dst=dst, **fields), TCP, src, dst)


def datagram(data, sport, dport, src=rig.GUEST, dst=rig.SERVER,
             to=rig.GATEWAY_MAC):
    """A whole frame around a UDP datagram."""
    return whole(udp(data, sport, dport, src, dst), UDP, src, dst, to)


def echo(dst=rig.GATEWAY, data=b"ping", ident=7, seq=1, kind=8):
    body = struct.pack("!BBHHH", kind, 0, 0, ident, seq) + data
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return ethernet(ipv4(body, ICMP, dst=dst))


def echo6(src=rig.GUEST6, dst=rig.GATEWAY6, data=b"ping", ident=7, seq=1,
          kind=128):
    return whole(icmp6(kind, struct.pack("!HH", ident, seq) + data, src, dst),
                 ICMP6, src, dst)


class Packet:
    """What a test asks of a frame: fields, not bytes."""

    def __init__(self, frame):
        self.frame = frame
        self.dst, self.src = frame[:6], frame[6:12]
        self.kind = struct.unpack("!H", frame[12:14])[0]
        self.proto = None
        self.more = self.start = self.ident = 0
        if self.kind == ETH_IP:
            self._read_ipv4(frame[14:])
        elif self.kind == ETH_IP6:
            self._read_ipv6(frame[14:])
        if self.proto is not None and not self.start:
            self._read_body(self.body)

    def _read_ipv4(self, header):
        ihl = (header[0] & 15) * 4
        total, self.ident, field = struct.unpack("!HHH", header[2:8])
        self.more, self.start = field >> 13 & 1, (field & 0x1fff) << 3
        self.ttl, self.proto = header[8], header[9]
        self.ip_src = text_of(header[12:16])
        self.ip_dst = text_of(header[16:20])
        self.body = header[ihl:total]

    def _read_ipv6(self, header):
        length, self.proto, self.ttl = struct.unpack("!HBB", header[4:8])
        self.ip_src = text_of(header[8:24])
        self.ip_dst = text_of(header[24:40])
        self.body = header[40:40 + length]
        if self.proto == FRAGMENT6:
            self.proto, _, field, self.ident = struct.unpack(
                "!BBHI", self.body[:8])
            self.more, self.start = field & 1, field & 0xfff8
            self.body = self.body[8:]

    def _read_body(self, body):
        if self.proto in (TCP, UDP):
            self.sport, self.dport = struct.unpack("!HH", body[:4])
        if self.proto == TCP:
            self.seq, self.ack = struct.unpack("!II", body[4:12])
            self.flags = body[13]
            self.window = struct.unpack("!H", body[14:16])[0]
            self.data = body[(body[12] >> 4) * 4:]
        if self.proto == UDP:
            self.data = body[8:]
        if self.proto in (ICMP, ICMP6):
            self.type, self.code = body[:2]
            self.data = body[8:]


def framed(*several):
    """As frames go on a stream: what one write brings is of one turn."""
    return b"".join(struct.pack("!I", len(frame)) + frame
                    for frame in several)


class Wire:
    """A VMM's end of the frame stream."""

    def __init__(self, path=None, sock=None):
        self.sock = sock or sidecar.unix_connect(path)
        self.sock.settimeout(10 * tap.scale())
        self._rest = b""

    def close(self):
        self.sock.close()

    def send(self, frame, piece=None):
        data = framed(frame)
        for start in range(0, len(data), piece or len(data)):
            self.sock.sendall(data[start:start + (piece or len(data))])

    def receive(self, timeout_s=10):
        """The next frame; None at the end or when none came in time."""
        deadline = time.monotonic() + timeout_s * tap.scale()
        while True:
            if len(self._rest) >= 4:
                length = struct.unpack("!I", self._rest[:4])[0]
                tap.ok(14 <= length <= 65550, "frame of %d bytes" % length)
                if len(self._rest) >= 4 + length:
                    frame = self._rest[4:4 + length]
                    self._rest = self._rest[4 + length:]
                    return frame
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return None
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._rest += data

    def expect(self, wanted, timeout_s=10):
        """The first packet for which wanted(packet) holds, or None."""
        deadline = time.monotonic() + timeout_s * tap.scale()
        while time.monotonic() < deadline:
            frame = self.receive(deadline - time.monotonic())
            if frame is None:
                return None
            packet = Packet(frame)
            if wanted(packet):
                return packet
        return None

    def ended(self, timeout_s=10):
        """Whether the sidecar hung up within so long."""
        deadline = time.monotonic() + timeout_s * tap.scale()
        while time.monotonic() < deadline:
            left = deadline - time.monotonic()
            if not select.select([self.sock], [], [], left)[0]:
                return False
            try:
                if not self.sock.recv(65536):
                    return True
            except ConnectionResetError:
                return True
        return False

    def resolve(self, target=rig.GATEWAY, timeout_s=10, piece=None, **fields):
        """ARP: the MAC that answers for target, or None."""
        self.send(arp(target, **fields), piece)
        reply = self.expect(
            lambda p: p.kind == ETH_ARP and p.frame[20:22] == b"\0\2" and
            p.frame[28:32] == ip(target), timeout_s)
        return reply and reply.frame[22:28]

    def alive(self):
        """Fails unless the gateway answers.  Its answer may be dropped, as
        any frame is, while what this end did not read fills the link."""
        for _ in range(10):
            answer = self.resolve(timeout_s=0.5)
            if answer is not None:
                break
        tap.equal(answer, mac(rig.GATEWAY_MAC), "who answers for the gateway")
