"""Frames that scapy has made up, for tools.py: run as a program where its
interpreter has scapy.

usage: fuzzed.py DEVICE MAC GATEWAY_MAC GUEST GATEWAY SERVER GUEST6 SERVER6
       COUNT SEED
"""

import random
import sys

from scapy.all import (ARP, BOOTP, DHCP, DNS, DNSQR, ICMP, IP, TCP, UDP, Dot1Q,
                       Ether, ICMPv6DestUnreach, ICMPv6EchoRequest,
                       ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS,
                       ICMPv6NDOptMTU, ICMPv6NDOptPrefixInfo,
                       ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig, IPerror, IPv6,
                       IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                       IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, Raw, conf, fuzz,
                       raw)
from scapy.layers.dhcp6 import (DHCP6_InfoRequest, DHCP6_Request,
                                DHCP6_Solicit, DHCP6OptClientId, DHCP6OptIA_NA,
                                DUID_LL)


def kinds(mac, gateway, server, guest, guest6, server6):
    """What is sent: only the layers inside fuzz() are made up."""
    for dst in (gateway, server):
        ip = IP(src=guest, dst=dst)
        yield ip / fuzz(TCP(dport=80))
        yield ip / fuzz(UDP(dport=53)) / fuzz(DNS(qd=DNSQR()))
        yield ip / fuzz(ICMP()) / Raw(b"x" * 40)
        yield ip / ICMP(type=3, code=4) / fuzz(IPerror()) / fuzz(UDP())
        yield fuzz(IP(src=guest, dst=dst)) / fuzz(TCP())
        yield fuzz(IP(src=guest, dst=dst, flags=1)) / Raw(b"y" * 64)
    yield fuzz(ARP())
    yield fuzz(ARP(psrc=guest, pdst=gateway))
    yield Dot1Q(vlan=5) / IP(src=guest, dst=server) / fuzz(TCP())
    yield (IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) /
           fuzz(BOOTP()) / DHCP(options=[("message-type", "discover"),
                                         ("param_req_list", [1, 3, 6]),
                                         "end"]))
    yield (IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) /
           BOOTP() / fuzz(DHCP()))
    for dst in ("fe80::1", server6):
        ip6 = IPv6(src=guest6, dst=dst)
        yield ip6 / fuzz(TCP(dport=80))
        yield ip6 / fuzz(UDP(dport=53)) / fuzz(DNS(qd=DNSQR()))
        yield ip6 / fuzz(ICMPv6EchoRequest())
        yield ip6 / fuzz(ICMPv6PacketTooBig()) / Raw(b"z" * 48)
        yield ip6 / fuzz(ICMPv6DestUnreach()) / Raw(b"z" * 48)
        yield fuzz(IPv6(src=guest6, dst=dst)) / fuzz(TCP())
        for header in (IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop,
                       IPv6ExtHdrRouting, IPv6ExtHdrFragment):
            yield ip6 / fuzz(header()) / fuzz(UDP())
    group = IPv6(src=guest6, dst="ff02::1")
    for message in (ICMPv6ND_NS, ICMPv6ND_NA, ICMPv6ND_RS, ICMPv6ND_RA):
        for option in (ICMPv6NDOptSrcLLAddr, ICMPv6NDOptMTU,
                       ICMPv6NDOptPrefixInfo):
            yield group / fuzz(message()) / fuzz(option())
    for message in (DHCP6_Solicit, DHCP6_Request, DHCP6_InfoRequest):
        yield (IPv6(src=guest6, dst="ff02::1:2") / UDP(sport=546, dport=547) /
               fuzz(message()) / DHCP6OptClientId(duid=DUID_LL(lladdr=mac)) /
               fuzz(DHCP6OptIA_NA()))


def main(device, mac, gateway_mac, guest, gateway, server, guest6, server6,
         count, seed):
    random.seed(int(seed))
    wire = conf.L2socket(iface=device)
    sent = unmade = 0
    shapes = list(kinds(mac, gateway, server, guest, guest6, server6))
    while sent < int(count):
        for shape in shapes:
            try:
                frame = raw(Ether(src=mac, dst=gateway_mac) / shape)
            except Exception:  # scapy's own dice may make what it cannot write
                unmade += 1
                continue
            try:
                wire.send(frame[:1400])
            except OSError:
                continue  # the card's queue is full
            sent += 1
    print("%d kinds, %d sent, %d that scapy could not write"
          % (len(shapes), sent, unmade))


if __name__ == "__main__":
    main(*sys.argv[1:])
