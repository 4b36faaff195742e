"""ARP and DHCP: what a guest asks its link."""

import os
import socket
import struct
import time

import frames
import tap
from frames import UDP
from probe import need, probe
from raw import Raw

DISCOVER, REQUEST, ACK, NAK, INFORM = 1, 3, 5, 6, 8
OPT_MASK, OPT_ROUTER, OPT_DNS, OPT_DOMAIN, OPT_MTU = 1, 3, 6, 15, 26
OPT_REQUESTED, OPT_LEASE, OPT_TYPE, OPT_SERVER = 50, 51, 53, 54
OPT_PARAMETERS, OPT_RAPID, OPT_SEARCH = 55, 80, 119
ASKED = bytes((OPT_MASK, OPT_ROUTER, OPT_DNS, OPT_DOMAIN, OPT_MTU,
               OPT_LEASE, OPT_SEARCH))
BROADCAST_FLAG = 0x8000
COOKIE = b"\x63\x82\x53\x63"


@probe("ARP: the gateway is answered for", "RFC 826")
def _(this):
    need(Raw(this).resolve(this.gateway), "silence")


@probe("ARP: duplicate-address detection of the own address passes",
       "RFC 5227 2.1.1")
def _(this):
    raw = Raw(this)
    answer = raw.resolve(this.address, sender="0.0.0.0", timeout_s=1.5)
    need(answer is None, "%s claims it" % answer)


@probe("ARP: nobody answers for an address that nobody has", "RFC 826")
def _(this):
    other = {30: "100.96.0.77", 24: "10.0.2.77"}[this.bits]
    answer = Raw(this).resolve(other, timeout_s=1.5)
    need(answer is None, "%s does" % answer)


@probe("ARP: a guest that claims the gateway's address breaks nothing",
       "RFC 5227 2.4")
def _(this):
    raw = Raw(this)
    raw.send(frames.arp(this.gateway, sender=this.gateway))
    raw.send(frames.arp(this.address, op=2, sender=this.gateway))
    need(raw.resolve(this.gateway), "the gateway is mute after it")


def message(this, kind, xid, ciaddr="0.0.0.0", flags=0, options={}):
    """A DHCP message; options are codes and their bytes."""
    body = struct.pack("!BBBBIHH4s12x", 1, 1, 6, 0, xid, 0, flags,
                       frames.ip(ciaddr))
    body += frames.mac(this.mac) + bytes(10 + 64 + 128) + COOKIE
    body += bytes((OPT_TYPE, 1, kind, OPT_PARAMETERS, len(ASKED))) + ASKED
    for code, value in options.items():
        body += bytes((code, len(value))) + value
    return body + b"\xff"


class Answer:
    """A DHCP answer: your address and options."""

    def __init__(self, frame, data):
        self.frame = frame
        self.xid = struct.unpack("!I", data[4:8])[0]
        self.yours = socket.inet_ntoa(data[16:20])
        self.options = {}
        rest = data[240:]
        while rest and rest[0] != 255:
            if rest[0]:
                code, length = rest[0], rest[1]
                self.options[code] = rest[2:2 + length]
                rest = rest[2 + length:]
            else:
                rest = rest[1:]
        self.kind = self.options.get(OPT_TYPE, b"\0")[0]


class Dhcp:
    """A client that asks, and hears what comes back."""

    def __init__(self, this):
        self.this, self.raw = this, Raw(this)

    def ask(self, kind, src="0.0.0.0", dst="255.255.255.255", timeout_s=2,
            **fields):
        xid = struct.unpack("!I", os.urandom(4))[0]
        data = message(self.this, kind, xid, **fields)
        self.raw.send(frames.ethernet(frames.ipv4(
            frames.udp(data, 68, 67, src, dst), UDP, src=src, dst=dst),
            dst=frames.BROADCAST))
        reply = self.raw.expect(
            lambda p: p.proto == UDP and p.dport == 68 and
            p.data[4:8] == struct.pack("!I", xid), timeout_s)
        return reply and Answer(reply.frame, reply.data)

    def offer(self, **fields):
        answer = self.ask(DISCOVER, **fields)
        need(answer is not None, "silence")
        return answer

    def lease(self):
        offer = self.offer()
        answer = self.ask(REQUEST, options={
            OPT_REQUESTED: frames.ip(offer.yours),
            OPT_SERVER: offer.options[OPT_SERVER]})
        need(answer is not None, "no answer to REQUEST")
        need(answer.kind == ACK, "type %d" % answer.kind)
        need(answer.yours == offer.yours, "another address than offered")
        return answer


@probe("DHCP: a lease with mask, router and DNS", "RFC 2131 4.3.1")
def _(this):
    answer = Dhcp(this).lease()
    missing = [code for code in (OPT_MASK, OPT_ROUTER, OPT_DNS)
               if code not in answer.options]
    need(not missing, "without options %s" % missing)
    need(answer.options[OPT_ROUTER] == frames.ip(this.gateway),
         "another router")
    return answer.yours if answer.yours != this.address else None


@probe("DHCP: lease time and server identifier", "RFC 2131 4.3.1")
def _(this):
    answer = Dhcp(this).lease()
    need(OPT_SERVER in answer.options, "no server identifier")
    need(OPT_LEASE in answer.options, "no lease time")


@probe("DHCP: the MTU", "RFC 2132 5.1")
def _(this):
    answer = Dhcp(this).lease()
    need(OPT_MTU in answer.options, "not told")
    need(struct.unpack("!H", answer.options[OPT_MTU])[0] == 1500, "another")


@probe("DHCP: the host's search domain", "RFC 3397")
def _(this):
    options = Dhcp(this).lease().options
    need(OPT_SEARCH in options or OPT_DOMAIN in options, "not told")
    return " and ".join(str(code) for code in (OPT_DOMAIN, OPT_SEARCH)
                        if code in options)


@probe("DHCP: rapid commit", "RFC 4039")
def _(this):
    answer = Dhcp(this).offer(options={OPT_RAPID: b""})
    need(answer.kind == ACK and OPT_RAPID in answer.options, "an offer")


@probe("DHCP: INFORM is answered without an address", "RFC 2131 4.3.5")
def _(this):
    answer = Dhcp(this).ask(INFORM, src=this.address, ciaddr=this.address)
    need(answer is not None, "silence")
    need(answer.kind == ACK, "type %d" % answer.kind)
    need(answer.yours == "0.0.0.0" and OPT_LEASE not in answer.options,
         "with a lease")


@probe("DHCP: a request for a strange address gets NAK", "RFC 2131 4.3.2")
def _(this):
    answer = Dhcp(this).ask(REQUEST, options={
        OPT_REQUESTED: frames.ip("192.168.99.9")})
    need(answer is not None, "silence")
    need(answer.kind == NAK, "ACK for %s" % answer.yours)


@probe("DHCP: a request to another server is not answered",
       "RFC 2131 4.3.2")
def _(this):
    dhcp = Dhcp(this)
    offer = dhcp.offer()
    answer = dhcp.ask(REQUEST, timeout_s=1, options={
        OPT_REQUESTED: frames.ip(offer.yours),
        OPT_SERVER: frames.ip("192.0.2.55")})
    need(answer is None, "it is")


@probe("DHCP: a renewal by unicast keeps the address", "RFC 2131 4.3.2")
def _(this):
    dhcp = Dhcp(this)
    lease = dhcp.lease()
    again = dhcp.ask(REQUEST, src=lease.yours, dst=socket.inet_ntoa(
        lease.options[OPT_SERVER]), ciaddr=lease.yours)
    need(again is not None, "silence")
    need(again.kind == ACK and again.yours == lease.yours, "refused")


@probe("DHCP: an answer within 100 ms", "RFC 2131 4.4.1")
def _(this):
    dhcp = Dhcp(this)
    took = []
    for _ in range(5):
        start = time.monotonic()
        dhcp.offer()
        took.append(time.monotonic() - start)
    need(min(took) < 0.1 * tap.scale(), "%.0f ms" % (min(took) * 1e3))
    return "%.1f ms" % (min(took) * 1e3)


@probe("DHCP: the broadcast flag is heeded", "RFC 2131 4.1")
def _(this):
    answer = Dhcp(this).offer(flags=BROADCAST_FLAG)
    need(answer.frame[:6] == b"\xff" * 6, "sent to one MAC")


@probe("DHCP: udhcpc gets a lease", "RFC 2131")
def _(this):
    this.guest.ip("addr flush dev %s" % this.device)
    done = this.guest.run(["udhcpc", "-i", this.device, "-n", "-q", "-f",
                           "-t", "3", "-T", "1", "-s", "/bin/true"],
                          timeout=10)
    need(done.returncode == 0, "none")
