"""What the processes say to each other, as ipc/proto.h has it: the table is
read from there, so that a test that goes through it misses none."""

import ipaddress
import os
import re
import struct

FD_PARENT, FD_PEER, FD_DGRAM, FD_EPOLL, FD_FIRST_DYNAMIC = 3, 4, 5, 6, 7
SETUP, RUN, DRAIN = 1, 2, 4
PHASES = {"P_S": SETUP, "P_R": RUN, "P_RD": RUN | DRAIN, "P_SR": SETUP | RUN,
          "P_A": SETUP | RUN | DRAIN}
ROLES = {"R_P": "parent", "R_N": "netproc", "R_R": "relayproc"}
HEADER = 16
FLOW_INBOUND_BIT = 0x80000000


class Word:
    """A row of the table."""

    def __init__(self, number, name, fields, sizes):
        self.number, self.name = number, name
        self.speakers = {ROLES[r.strip()] for r in fields[0].split("|")}
        self.hearers = {ROLES[r.strip()] for r in fields[1].split("|")}
        self.size = sizes[fields[2]]
        self.has_tail = fields[3] != "0"
        self.fds = int(fields[4])
        self.phases = PHASES[fields[5]]
        self.is_dgram = name.startswith(("DNS_", "ASSOC_"))

    def may(self, speaker, hearer, phase=RUN):
        return (speaker in self.speakers and hearer in self.hearers and
                bool(self.phases & phase))

    def goes_by(self, speaker, hearer, fd):
        """Whether it may be said, and by this descriptor."""
        return self.may(speaker, hearer) and (
            hearer == "parent" or self.is_dgram == (fd == FD_DGRAM))

    def record(self, payload=None, tail=b"", flow=0, generation=0,
               reserved=0):
        """A whole record, its payload zeroes unless given."""
        if payload is None:
            payload = bytes(self.size)
        return header(self.number, flow, generation, reserved) + payload + tail


def header(number, flow=0, generation=0, reserved=0):
    return struct.pack("<IIII", number, flow, generation, reserved)


def _read():
    path = os.path.join(os.path.dirname(__file__), "../../ipc/proto.h")
    with open(path) as file:
        text = file.read()
    sizes = {name: int(size) for name, size in re.findall(
        r"_Static_assert\(sizeof\(struct ipc_(\w+)\) == (\d+)", text)}
    rows = re.findall(r"^\tX\((\w+),([^)]*)\)", text, re.M)
    return [Word(number, name, [f.strip() for f in rest.split(",")], sizes)
            for number, (name, rest) in enumerate(rows, 1)]


TABLE = _read()
BY_NAME = {word.name: word for word in TABLE}


def address(text):
    """struct ipc_addr; "" is that of family 0."""
    if text == "":
        return bytes(20)
    ip = ipaddress.ip_address(text)
    return struct.pack("<B3x16s", ip.version, ip.packed)


def flow_open(dst, port, slot, generation=1, mss=1460):
    payload = address(dst) + struct.pack("<HH", port, mss)
    return BY_NAME["FLOW_OPEN"].record(payload, b"", slot, generation)


def assoc_send(peer, port, proto, slot, tail=b"x", generation=1, segment=0):
    payload = address(peer) + struct.pack("<HHHBB", port, 40000, segment,
                                          proto, 0)
    return BY_NAME["ASSOC_SEND"].record(payload, tail, slot, generation)
