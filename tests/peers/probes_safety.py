"""What a guest must not do to the host, and what must not harm the sidecar."""

import random
import socket

import frames
import world as rig
from frames import UDP
from probe import Wrong, need, probe
from raw import Raw

STRANGE_MAC = "02:99:99:99:99:99"


def reaches(this, ns, bind, address):
    """Whether the guest's TCP gets to a listener at bind in ns."""
    listener = ns.listen(bind)
    try:
        this.guest.connect(address, rig.port_of(listener),
                           timeout_s=3).close()
    except OSError:
        return False
    return True


@probe("safety: the host's loopback is not the gateway's", "least privilege")
def _(this):
    need(not reaches(this, this.host, "127.0.0.1", this.gateway),
         "the guest gets to it")


@probe("safety: the host's own address is out of reach", "least privilege")
def _(this):
    need(not reaches(this, this.host, rig.HOST, rig.HOST),
         "the guest gets to it")


@probe("safety: 169.254.169.254 is out of reach", "cloud metadata")
def _(this):
    address = "169.254.169.254"
    need(not reaches(this, this.server, address, address),
         "the guest gets to it")


@probe("safety: private networks are out of reach unless allowed",
       "RFC 1918")
def _(this):
    address = rig.PRIVATE["10/8"]
    need(not reaches(this, this.server, address, address),
         "the guest gets to it")


@probe("safety: a packet for 127.0.0.1 on the wire goes nowhere",
       "RFC 1122 3.2.1.3")
def _(this):
    sink = this.host.socket(socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    sink.settimeout(1.5)
    raw = Raw(this).find_gateway()
    raw.udp(b"boo", 4000, "127.0.0.1", rig.port_of(sink))
    nothing_arrives(sink)


def nothing_arrives(sink):
    try:
        sink.recv(9)
    except TimeoutError:
        return
    raise Wrong("it arrives")


def server_sink(this):
    sink = this.server.socket(socket.SOCK_DGRAM)
    sink.bind((rig.SERVER, 0))
    sink.settimeout(1.5)
    return sink, rig.port_of(sink)


@probe("safety: a forged source address is dropped", "BCP 38")
def _(this):
    sink, port = server_sink(this)
    raw = Raw(this).find_gateway()
    raw.udp(b"boo", 4000, rig.SERVER, port, src="203.0.113.99")
    nothing_arrives(sink)


@probe("safety: a forged source MAC is dropped", "BCP 38")
def _(this):
    sink, port = server_sink(this)
    raw = Raw(this).find_gateway()
    raw.udp(b"good", 4000, rig.SERVER, port)
    need(sink.recv(9) == b"good", "even the right one is")
    raw.send(frames.ethernet(frames.ipv4(
        frames.udp(b"boo", 4000, port, this.address, rig.SERVER), UDP,
        src=this.address, dst=rig.SERVER), src=STRANGE_MAC,
        dst=raw.gateway_mac))
    nothing_arrives(sink)


def still_well(this, raw):
    need(this.alive(), "it ended")
    for _ in range(3):
        if raw.resolve(this.gateway, timeout_s=1):
            return
    raise Wrong("the gateway is mute after it")


@probe("safety: IP options do no harm", "RFC 791 3.1")
def _(this):
    raw = Raw(this).find_gateway()
    for options in (b"\x83\x07\x04" + frames.ip(rig.SERVER) + b"\0",
                    b"\x07\xff\x04\0", b"\x44\x00\x05\x00", b"\x01" * 40):
        raw.udp(b"x", 4000, rig.SERVER, 9, options=options)
    still_well(this, raw)


@probe("safety: VLAN tags and unknown EtherTypes do no harm", "IEEE 802.1Q")
def _(this):
    raw = Raw(this).find_gateway()
    inner = frames.ipv4(frames.udp(b"x", 1, 9, this.address, rig.SERVER),
                        UDP, src=this.address, dst=rig.SERVER)
    for kind, body in ((0x8100, b"\0\5\x08\0" + inner), (0x88a8, inner),
                       (0x88cc, b"lldp" * 9), (0x0005, b"802.3"),
                       (0x86dd, b"\x60")):
        raw.send(frames.ethernet(body, kind, dst=raw.gateway_mac))
    still_well(this, raw)


@probe("safety: lying IP and UDP lengths do no harm", "RFC 1122 3.2.1")
def _(this):
    raw = Raw(this).find_gateway()
    for fields in ({"total": 9}, {"total": 65535}, {"ihl": 4}, {"ihl": 15}):
        raw.udp(b"x" * 30, 4000, rig.SERVER, 9, **fields)
    for length in (0, 7, 65535):
        raw.ip(frames.udp(b"x", 1, 9, this.address, rig.SERVER,
                          udp_length=length), UDP, rig.SERVER)
    still_well(this, raw)


@probe("safety: overlapping and endless fragments do no harm", "RFC 1858")
def _(this):
    raw = Raw(this).find_gateway()
    for ident in range(300):
        raw.ip(bytes(64), UDP, rig.SERVER, fragment=0x2000, ident=ident)
        raw.ip(bytes(64), UDP, rig.SERVER, fragment=0x2004, ident=ident)
        raw.ip(bytes(64), UDP, rig.SERVER, fragment=0x3ffe, ident=ident)
    still_well(this, raw)
    sink, port = server_sink(this)
    raw.udp(b"well", 4000, rig.SERVER, port)
    need(sink.recv(9) == b"well", "datagrams are lost after it")


@probe("safety: 3000 frames of noise do no harm", "RFC 1122 1.2.2")
def _(this):
    raw = Raw(this).find_gateway()
    noise = random.Random(1)
    whole = frames.ethernet(frames.ipv4(
        frames.tcp(4000, 80, src=this.address), 6, src=this.address),
        dst=raw.gateway_mac) + bytes(40)
    for number in range(3000):
        frame = bytearray(whole)
        for _ in range(1 + number % 6):
            frame[noise.randrange(12, len(frame))] = noise.randrange(256)
        raw.send(bytes(frame[:noise.randrange(14, len(frame) + 1)]))
    still_well(this, raw)
