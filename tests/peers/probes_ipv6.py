"""IPv6: what the link advertises, and every protocol once more."""

import errno
import os
import socket
import struct
import time

import frames
import tap
import traffic
import world as rig
from contenders import ip6 as ip6_command
from contenders import SERVER6, UNREACHABLE6
from probe import Wrong, need, probe
from resolver import Resolver, question
from raw import ALL_ROUTERS, Raw, ip6, multicast_mac, solicited_node

LINK_LOCAL = "fe80::53:4dff:fe00:2"  # of the guest's MAC
ALL_DHCP = "ff02::1:2"
RS, RA, NS, NA = 133, 134, 135, 136
UNREACHABLE, TIME_EXCEEDED = 1, 3
ECHO_REQUEST6, ECHO_REPLY6 = 128, 129
ANSWERS6 = (UNREACHABLE, TIME_EXCEEDED, ECHO_REPLY6)
PAYLOAD = b"payload"
ND_PREFIX, ND_MTU, ND_RDNSS = 3, 5, 25
SOLICIT, ADVERTISE, REQUEST, REPLY, INFORMATION = 1, 2, 3, 7, 11
D6_CLIENT, D6_SERVER, D6_IA_NA = 1, 2, 3
D6_ORO, D6_ELAPSED, D6_RAPID, D6_DNS = 6, 8, 14, 23
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO, IPV6_MTU = 23, 2, 24
CLOSED_PORT = 9
SMALL_MTU = 1300


def advertisement(this):
    """A router advertisement's options, by type, and its lifetime."""
    raw = Raw(this, quiet=False)
    for _ in range(2):
        raw.icmp6(struct.pack("!BBHI", RS, 0, 0, 0), LINK_LOCAL,
                  ALL_ROUTERS)
        for _, body in raw.icmp6_frames(RA, 1.5):
            options, rest = {}, body[16:]
            while len(rest) >= 8 and rest[1]:
                options[rest[0]] = rest[:rest[1] * 8]
                rest = rest[rest[1] * 8:]
            return options, struct.unpack("!H", body[6:8])[0]
    raise Wrong("silence")


@probe("IPv6: a router solicitation is answered with a prefix",
       "RFC 4861 6.2.6", ipv6=True)
def _(this):
    options, lifetime = advertisement(this)
    need(ND_PREFIX in options, "no prefix")
    need(lifetime > 0, "no router")
    need(options[ND_PREFIX][16:24] == ip6(this.address6)[:8],
         "another prefix")


@probe("IPv6: the advertisement tells the MTU", "RFC 4861 4.6.4", ipv6=True)
def _(this):
    options, _ = advertisement(this)
    need(ND_MTU in options, "not told")


@probe("IPv6: the advertisement tells a DNS server", "RFC 8106", ipv6=True,
       resolvers=(SERVER6, rig.SERVER))
def _(this):
    options, _ = advertisement(this)
    need(ND_RDNSS in options, "not told")


@probe("IPv6: the DNS server that is advertised answers", "RFC 8106",
       ipv6=True, resolvers=(SERVER6, rig.SERVER))
def _(this):
    Resolver(this, listen=SERVER6)
    options, _ = advertisement(this)
    need(ND_RDNSS in options, "none is")
    server = socket.inet_ntop(socket.AF_INET6, options[ND_RDNSS][8:24])
    sock = this.guest.socket(socket.SOCK_DGRAM, socket.AF_INET6)
    sock.settimeout(3)
    sock.sendto(question("name.test"), (server, 53))
    need(socket.inet_aton("203.0.113.53") in sock.recv(4096),
         "another answer")


@probe("IPv6: no router where the host has no IPv6 route", "RFC 4861 6.2.3")
def _(this):
    this.guest.ip("link set %s up" % this.device)
    try:
        _, lifetime = advertisement(this)
    except Wrong:
        return "silence"
    need(lifetime == 0, "one is advertised")


def solicit(this, target, src, timeout_s=1.5):
    """Whether a neighbour solicitation is answered."""
    raw = Raw(this, quiet=False)
    group = solicited_node(target)
    body = struct.pack("!BBHI", NS, 0, 0, 0) + ip6(target)
    if src != "::":
        body += b"\1\1" + frames.mac(this.mac)
    raw.icmp6(body, src, group, multicast_mac(group))
    for _, answer in raw.icmp6_frames(NA, timeout_s):
        if answer[8:24] == ip6(target):
            return True
    return False


@probe("IPv6: the gateway answers neighbour solicitations",
       "RFC 4861 7.2.4", ipv6=True)
def _(this):
    need(solicit(this, this.gateway6, LINK_LOCAL), "silence")


@probe("IPv6: duplicate-address detection passes", "RFC 4862 5.4",
       ipv6=True)
def _(this):
    ip6_command(this.guest, "addr flush dev %s" % this.device)
    need(not solicit(this, this.address6, "::"), "the own address is taken")


def option6(code, data):
    return struct.pack("!HH", code, len(data)) + data


def dhcp6(this, kind, *options):
    """Asks; returns (type, options by code) of the answer."""
    raw = Raw(this, quiet=False)
    xid = os.urandom(3)
    body = bytes((kind,)) + xid + option6(
        D6_CLIENT, b"\0\3\0\1" + frames.mac(this.mac))
    body += option6(D6_ORO, struct.pack("!H", D6_DNS)) + option6(
        D6_ELAPSED, b"\0\0")
    raw.udp6(body + b"".join(options), 546, 547, LINK_LOCAL, ALL_DHCP)
    for frame in raw.frames(2):
        if frame[12:14] != b"\x86\xdd" or frame[20] != frames.UDP:
            continue
        data = frame[62:]
        if struct.unpack("!H", frame[56:58])[0] != 546 or data[1:4] != xid:
            continue
        found, rest = {}, data[4:]
        while len(rest) >= 4:
            code, length = struct.unpack("!HH", rest[:4])
            found[code] = rest[4:4 + length]
            rest = rest[4 + length:]
        return data[0], found
    raise Wrong("silence")


IA = option6(D6_IA_NA, struct.pack("!III", 1, 0, 0))


@probe("IPv6: DHCPv6 leases the address", "RFC 8415 18.3", ipv6=True)
def _(this):
    kind, options = dhcp6(this, SOLICIT, IA)
    need(kind == ADVERTISE, "type %d" % kind)
    kind, options = dhcp6(this, REQUEST, IA,
                          option6(D6_SERVER, options[D6_SERVER]))
    need(kind == REPLY and D6_IA_NA in options, "type %d" % kind)
    need(ip6(this.address6) in options[D6_IA_NA], "another address")


@probe("IPv6: DHCPv6 rapid commit", "RFC 8415 18.3.1", ipv6=True)
def _(this):
    kind, options = dhcp6(this, SOLICIT, IA, option6(D6_RAPID, b""))
    need(kind == REPLY and D6_IA_NA in options, "type %d" % kind)


@probe("IPv6: DHCPv6 information without a lease", "RFC 8415 18.3.6",
       ipv6=True, resolvers=(SERVER6, rig.SERVER))
def _(this):
    kind, options = dhcp6(this, INFORMATION)
    need(kind == REPLY and D6_DNS in options, "without a DNS server")


def listen6(this):
    sock = this.server.socket(family=socket.AF_INET6)
    sock.bind((SERVER6, 0))
    sock.listen()
    sock.settimeout(5)
    return sock


def connect6(this, address, port):
    sock = this.guest.socket(family=socket.AF_INET6)
    sock.settimeout(5)
    sock.connect((address, port))
    return sock


@probe("IPv6: TCP, 4 MiB each way", "RFC 8200", ipv6=True)
def _(this):
    listener = listen6(this)
    for way in range(2):
        guest = connect6(this, SERVER6, rig.port_of(listener))
        server, _ = listener.accept()
        ends = (guest, server) if way else (server, guest)
        traffic.transfer(*ends, 4 << 20)


def refused6(this, address, within_s):
    start = time.monotonic()
    try:
        connect6(this, address, CLOSED_PORT)
    except TimeoutError:
        raise Wrong("silence") from None
    except OSError as error:
        took = time.monotonic() - start
        word = errno.errorcode[error.errno]
        need(took < within_s * tap.scale(), "%s, %.1f s" % (word, took))
        return "%s, %.0f ms" % (word, took * 1e3)
    raise Wrong("connected")


@probe("IPv6: a closed TCP port refuses at once", "RFC 9293 3.5.2",
       ipv6=True)
def _(this):
    return refused6(this, SERVER6, 0.5)


@probe("IPv6: an unreachable network is told TCP at once",
       "RFC 1122 4.2.3.9", ipv6=True)
def _(this):
    return refused6(this, UNREACHABLE6, 1)


def ends6(this):
    guest = this.guest.socket(socket.SOCK_DGRAM, socket.AF_INET6)
    server = this.server.socket(socket.SOCK_DGRAM, socket.AF_INET6)
    server.bind((SERVER6, 0))
    for sock in (guest, server):
        sock.settimeout(3)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return guest, server, rig.port_of(server)


def both_ways6(this, data):
    guest, server, port = ends6(this)
    guest.sendto(data, (SERVER6, port))
    got, peer = server.recvfrom(65536)
    need(got == data, "%d bytes arrive" % len(got))
    server.sendto(data, peer)
    need(guest.recv(65536) == data, "garbled on the way back")


@probe("IPv6: UDP, 1400 bytes each way", "RFC 8200", ipv6=True)
def _(this):
    both_ways6(this, os.urandom(1400))


@probe("IPv6: UDP, 20000 bytes in fragments each way", "RFC 8200 4.5",
       ipv6=True)
def _(this):
    both_ways6(this, os.urandom(20000))


def connected6(this, port):
    sock = this.guest.socket(socket.SOCK_DGRAM, socket.AF_INET6)
    sock.settimeout(1.5)
    sock.connect((SERVER6, port))
    return sock


@probe("IPv6: UDP port unreachable comes back", "RFC 4443 3.1", ipv6=True)
def _(this):
    sock = connected6(this, CLOSED_PORT)
    for _ in range(2):
        try:
            sock.send(b"x")
            sock.recv(9)
        except TimeoutError:
            continue
        except ConnectionRefusedError:
            return
    raise Wrong("silence")


@probe("IPv6: packet too big comes back", "RFC 8201", ipv6=True)
def _(this):
    ip6_command(this.host, "route add %s/128 dev h0 mtu lock %d"
                % (SERVER6, SMALL_MTU))
    _, server, port = ends6(this)
    sock = connected6(this, port)
    sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                    IPV6_PMTUDISC_DO)
    for _ in range(3):
        try:
            sock.send(bytes(1400))
        except OSError as error:
            need(error.errno == errno.EMSGSIZE, errno.errorcode[error.errno])
            return "%d" % sock.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
        time.sleep(0.7)
    raise Wrong("silence")


def ping6(this, address, hops=64):
    """The first answer to a ping: an ICMPv6 message."""
    with this.guest:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW,
                             socket.IPPROTO_ICMPV6)
    sock.settimeout(1.5)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
    body = struct.pack("!BBHHH", ECHO_REQUEST6, 0, 0, 77, 5) + PAYLOAD
    for _ in range(2):
        sock.sendto(body, (address, 0))
        try:
            while True:
                data = sock.recv(2000)
                if data[0] in ANSWERS6:
                    return data
        except TimeoutError:
            continue
    raise Wrong("silence")


def echoed6(message):
    need(message[0] == ECHO_REPLY6, "type %d" % message[0])
    need(message[4:] == struct.pack("!HH", 77, 5) + PAYLOAD,
         "not what was sent")


@probe("IPv6: the gateway answers ping", "RFC 4443 4.2", ipv6=True)
def _(this):
    echoed6(ping6(this, this.gateway6))


@probe("IPv6: ping of the outside", "RFC 4443 4.1", ipv6=True)
def _(this):
    echoed6(ping6(this, SERVER6))


@probe("IPv6: ping of an unreachable host is told", "RFC 4443 3.1",
       ipv6=True)
def _(this):
    kind = ping6(this, UNREACHABLE6)[0]
    need(kind == UNREACHABLE, "type %d" % kind)


@probe("IPv6: a hop limit of 1 is answered with time exceeded",
       "RFC 4443 3.3", ipv6=True)
def _(this):
    kind = ping6(this, SERVER6, hops=1)[0]
    need(kind == TIME_EXCEEDED, "type %d" % kind)


@probe("IPv6: a SLAAC address of the guest's own works, too", "RFC 4862",
       ipv6=True)
def _(this):
    own = this.address6.rsplit("::", 1)[0] + "::53:4dff:fe00:2"
    ip6_command(this.guest,
                "addr flush dev %s scope global" % this.device,
                "addr add %s/64 dev %s nodad" % (own, this.device),
                "route replace default via %s dev %s"
                % (this.gateway6, this.device))
    listener = listen6(this)
    connect6(this, SERVER6, rig.port_of(listener)).close()
