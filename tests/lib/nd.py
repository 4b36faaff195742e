"""IPv6 neighbour discovery and DHCPv6 by hand: what is asked, and how the
answers are read."""

import socket
import struct

import frames
import world as rig

RS, RA, NS, NA = 133, 134, 135, 136
SOURCE_MAC, TARGET_MAC, PREFIX, MTU, RDNSS, DNSSL = 1, 2, 3, 5, 25, 31
ALL_NODES, ALL_ROUTERS = "ff02::1", "ff02::2"
ALL_SERVERS = "ff02::1:2"  # DHCPv6, RFC 8415 7.1
UNSPECIFIED = "::"
MAX_HOPS = 255  # what neighbour discovery must have, RFC 4861 6.1

# DHCPv6 messages and options, RFC 8415 7.3 and 21, RFC 3646
SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, \
    DECLINE, _, INFORMATION = range(1, 12)
CLIENT_ID, SERVER_ID, IA_NA, IA_ADDR, ORO, ELAPSED, STATUS, RAPID, DNS, \
    DOMAINS = 1, 2, 3, 5, 6, 8, 13, 14, 23, 24


def group_mac(address):
    return "33:33:%02x:%02x:%02x:%02x" % tuple(frames.ip(address)[12:])


def link_local(mac):
    """fe80::/64 and the EUI-64 of the MAC."""
    mac = frames.mac(mac)
    return frames.text_of(
        b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe"
        + mac[3:])


GUEST_LL = link_local(rig.GUEST_MAC)
GATEWAY_LL = link_local(rig.GATEWAY_MAC)


def solicited_node(address):
    return frames.text_of(frames.ip("ff02::1:ff00:0")[:13]
                          + frames.ip(address)[13:])


def _message(kind, body, src, dst, hops=MAX_HOPS, to=None, mac=rig.GUEST_MAC):
    packet = frames.ipv6(frames.icmp6(kind, body, src, dst), frames.ICMP6,
                         src, dst, hops)
    return frames.ethernet(packet, frames.ETH_IP6, src=mac,
                           dst=to or group_mac(dst))


def _mac_option(kind, mac=rig.GUEST_MAC):
    return bytes([kind, 1]) + frames.mac(mac)


def router_solicitation(src=GUEST_LL, **how):
    option = b"" if src == UNSPECIFIED else _mac_option(SOURCE_MAC)
    return _message(RS, bytes(4) + option, src, ALL_ROUTERS, **how)


def solicitation(target, src=GUEST_LL, **how):
    """Who has target?  From ::, a guest that looks for duplicates."""
    option = b"" if src == UNSPECIFIED else _mac_option(SOURCE_MAC)
    return _message(NS, bytes(4) + frames.ip(target) + option, src,
                    solicited_node(target), **how)


def advertisement(target, src=None, flags=0x60000000, **how):
    """A guest that says it has target."""
    body = struct.pack("!I", flags) + frames.ip(target)
    return _message(NA, body + _mac_option(TARGET_MAC), src or target,
                    ALL_NODES, **how)


def names(data):
    """Domain names in the DNS's format, one after the other."""
    found, labels = [], []
    while data:
        length, data = data[0], data[1:]
        if length:
            labels.append(data[:length].decode())
            data = data[length:]
        elif labels:
            found.append(".".join(labels))
            labels = []
    return found


class Advertisement:
    """What a router advertisement says, RFC 4861 4.2, 4.6, RFC 8106 5."""

    def __init__(self, packet):
        body = packet.body
        self.source, self.destination = packet.ip_src, packet.ip_dst
        self.hops = packet.ttl
        self.hop_limit, self.flags, self.lifetime_s = struct.unpack(
            "!BBH", body[4:8])
        self.mac = self.mtu = None
        self.prefixes, self.dns, self.domains = [], [], []
        options = body[16:]
        while options:
            kind, size = options[0], options[1] * 8
            self._read(kind, options[2:size])
            options = options[size:]

    def _read(self, kind, data):
        if kind == SOURCE_MAC:
            self.mac = data
        elif kind == MTU:
            self.mtu = struct.unpack("!I", data[2:])[0]
        elif kind == PREFIX:
            length, flags, valid, preferred = struct.unpack("!BBII", data[:10])
            self.prefixes.append((frames.text_of(data[14:30]), length, flags,
                                  valid, preferred))
        elif kind == RDNSS:
            life, rest = struct.unpack("!I", data[2:6])[0], data[6:]
            self.dns += [(frames.text_of(rest[at:at + 16]), life)
                         for at in range(0, len(rest), 16)]
        elif kind == DNSSL:
            life = struct.unpack("!I", data[2:6])[0]
            self.domains += [(name, life) for name in names(data[6:])]


def is_kind(kind):
    return lambda p: p.proto == frames.ICMP6 and p.type == kind


def expect_ra(wire, timeout_s=10):
    packet = wire.expect(is_kind(RA), timeout_s)
    return packet and Advertisement(packet)


def resolve(wire, target, timeout_s=10, **how):
    """The MAC that answers for target, or None."""
    wire.send(solicitation(target, **how))
    packet = wire.expect(lambda p: is_kind(NA)(p) and
                         p.body[8:24] == frames.ip(target), timeout_s)
    return packet and packet.body[26:32]


def option(code, data=b""):
    return struct.pack("!HH", code, len(data)) + data


def options(data):
    """[(code, bytes)] of a DHCPv6 message or option."""
    found = []
    while data:
        code, length = struct.unpack("!HH", data[:4])
        found.append((code, data[4:4 + length]))
        data = data[4 + length:]
    return found


class Dhcp6:
    """A DHCPv6 client on a wire."""

    duid = struct.pack("!HH", 3, 1) + frames.mac(rig.GUEST_MAC)

    def __init__(self, wire):
        self.wire = wire
        self.xid = 0x424200

    def exchange(self, kind, *extra, timeout_s=10):
        """Sends; returns (type, {code: bytes}) of the answer, or None."""
        self.xid += 1
        message = struct.pack("!I", kind << 24 | self.xid) \
            + option(CLIENT_ID, self.duid) + option(ELAPSED, bytes(2)) \
            + option(ORO, struct.pack("!HH", DNS, DOMAINS)) + b"".join(extra)
        self.wire.send(frames.datagram(
            message, 546, 547, GUEST_LL, ALL_SERVERS,
            to=group_mac(ALL_SERVERS)))
        packet = self.wire.expect(
            lambda p: p.proto == frames.UDP and p.dport == 546 and
            struct.unpack("!I", p.data[:4])[0] & 0xffffff == self.xid,
            timeout_s)
        if packet is None:
            return None
        return packet.data[0], dict(options(packet.data[4:]))

    @staticmethod
    def address(answer):
        """(address, preferred, valid) of the IA_NA in an answer."""
        for code, data in options(answer[IA_NA][12:]):
            if code == IA_ADDR:
                return (socket.inet_ntop(socket.AF_INET6, data[:16]),
                        *struct.unpack("!II", data[16:24]))
        return None


def ia_na(*inner, iaid=1):
    return option(IA_NA, struct.pack("!III", iaid, 0, 0) + b"".join(inner))


def ia_address(address):
    return option(IA_ADDR, frames.ip(address) + bytes(8))
