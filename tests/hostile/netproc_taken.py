#!/usr/bin/python3
"""netproc in an attacker's hands, in its real jail: whatever it says or calls,
the others stand, the policy holds, and its successor serves the guest."""

import errno
import ipaddress
import itertools
import os
import re
import signal
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(__file__))

import stage as rig_stage  # noqa: E402

import frames  # noqa: E402
import inject  # noqa: E402
import puppet  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import words  # noqa: E402
import world as rig  # noqa: E402

rig_stage.need()
STAGE = rig_stage.Stage(ip6=True)
MAX_FLOWS, MAX_UDP = rig_stage.MAX_FLOWS, rig_stage.MAX_UDP
CHANNELS = [("parent", words.FD_PARENT), ("relayproc", words.FD_PEER),
            ("relayproc", words.FD_DGRAM)]
UDP, ICMP, ICMP6 = 17, 1, 58
ROLE_RELAYPROC, IPC_E_STATE, IPC_E_CLOSED = 2, 9, 11  # ipc/roles.h, proto.h
# What it may say even so, all of it zeroes; each of these is looked at below.
HARMLESS = {"LOG", "GUEST_MAC", "FRAME_GONE", "DNS_QUERY", "DNS_DONE",
            "ASSOC_CLOSE"}


@tap.case("whatever netproc may not say is the end of it, on each channel",
          limit_s=120)
def _():
    tap.note("%d messages" % STAGE.each_word("netproc", CHANNELS, HARMLESS))


@tap.case("so is what it may say, in another shape", limit_s=120)
def _():
    tap.note("%d messages" % STAGE.each_shape("netproc", CHANNELS))


@tap.case("so is a field that has no such value, a slot that was not granted, "
          "a flow that is none")
def _():
    peer, dgram = words.FD_PEER, words.FD_DGRAM
    close, shut = words.BY_NAME["FLOW_CLOSE"], words.BY_NAME["FLOW_SHUT_WR"]
    good = words.flow_open("169.254.169.254", 80, 1000)
    lies = [
        ("a family that is none", peer,
         good[:16] + b"\x07" + good[17:]),
        ("padding that is not zero", peer, good[:17] + b"\1" + good[18:]),
        ("bytes behind an IPv4 address", peer,
         good[:16] + struct.pack("<B3x4s12s", 4, b"\1\2\3\4", b"\1" * 12) +
         good[36:]),
        ("a slot past --max-flows", peer,
         words.flow_open(rig.SERVER, 80, MAX_FLOWS)),
        ("a slot that is relayproc's", peer,
         words.flow_open(rig.SERVER, 80, words.FLOW_INBOUND_BIT)),
        ("a close of no flow", peer, close.record(flow=1001, generation=1)),
        ("a close for no reason", peer,
         close.record(struct.pack("<I", 77), flow=1001)),
        ("a close of no inbound flow", peer,
         close.record(flow=words.FLOW_INBOUND_BIT | 5, generation=3)),
        ("half a close of no flow", peer, shut.record(flow=1, generation=9)),
        ("an association past --max-udp", dgram,
         words.assoc_send(rig.SERVER, 53, UDP, 2 * MAX_UDP)),
        ("a protocol that is none", dgram,
         words.assoc_send(rig.SERVER, 53, 6, 1)),
        ("ICMP of the other family", dgram,
         words.assoc_send(rig.SERVER6, 0, ICMP, 1, b"\x08\0" + bytes(6))),
        ("an inbound association of nobody's", dgram,
         words.assoc_send(rig.SERVER, 53, UDP, words.FLOW_INBOUND_BIT | 1)),
    ]
    for what, fd, record in lies:
        STAGE.says("netproc", fd, record, what)
    # One that was its own and no longer is.
    with STAGE.hold("netproc") as held:
        try:
            held.send(peer, good)
            held.send(peer, good)
        except puppet.Killed:
            pass
        else:
            held.end()
    STAGE.wait_replaced("netproc", "", "a slot taken twice")
    STAGE.car.log.wait("netproc broke the protocol: FLOW_OPEN: flow is not")
    STAGE.works()


def of_parent():
    """(word, what, payload): lies that the parent finds, alone of all."""
    log = words.BY_NAME["LOG"].size
    yield "LOG", "a level that is none", struct.pack("<I", 4).ljust(log, b"\0")
    yield "LOG", "a line without an end", struct.pack("<I", 2).ljust(log, b"x")
    for role, error, reserved in (
            (0, IPC_E_STATE, 0), (1, IPC_E_STATE, 0), (3, IPC_E_STATE, 0),
            (ROLE_RELAYPROC, 99, 0), (ROLE_RELAYPROC, IPC_E_STATE, 1)):
        yield "VIOLATION", "of role %d: %d, %d" % (role, error, reserved), \
            struct.pack("<IIII", role, error, 1, reserved)
    yield "GUEST_MAC", "again", bytes(8)
    yield "FRAME_GONE", "for no reason", struct.pack("<II", 4, 0)


@tap.case("so is what only the parent can see is wrong, and what it says for "
          "the guest while there is none")
def _():
    for word, what, payload in of_parent():
        STAGE.says("netproc", words.FD_PARENT,
                   words.BY_NAME[word].record(payload), what, word)
    STAGE.works()
    mac = bytes(8)
    for options, attached, name, payload in (
            ([], False, "GUEST_MAC", mac),
            ([], False, "FRAME_GONE", bytes(8)),
            ([], False, "PONG", struct.pack("<I", 1)),  # the first, unasked
            ([], True, "GUEST_MAC", mac[:7] + b"\1"),
            (["--mac", rig.GUEST_MAC], True, "GUEST_MAC", mac)):
        world = rig.World()
        car = sidecar.Sidecar(world, *options)
        if attached:
            wire = frames.Wire(car.path)  # whose guest is silent
            car.wait_attached()
        try:
            with puppet.Puppet(car.children()["netproc"]) as held:
                held.send(words.FD_PARENT, words.BY_NAME[name].record(payload))
        except puppet.Killed:
            pass  # for it
        car.log.wait("lost netproc: broke the protocol with " + name)
        car.log.wait("replaced in")
        if attached:
            wire.close()
        car.terminate()
        world.close()


@tap.case("no call leads out of its jail", limit_s=120)
def _():
    calls = rig_stage.LATERAL + rig_stage.FAULTY_NUMBERS + [
        ("makes a TCP socket", 41, 2, 1, 6),
        ("connects", 42, 7, rig_stage.HERE, 16),
        ("sends a message", puppet.SENDMSG, 4, rig_stage.HERE, 0),
        ("sends many", 307, 7, rig_stage.HERE, 1, 0),
        ("moves bytes between descriptors", 275, 7, 0, 8, 0, 4096, 0),
        ("takes the connections of a listener", 288, 7, 0, 0, 0),
        ("sets a socket's option", 54, 7, 1, 2, rig_stage.HERE, 4),
        ("reads a socket's name", 51, 7, rig_stage.HERE, rig_stage.HERE),
        ("receives out of band", 45, 7, rig_stage.HERE, 1, 1, 0, 0),
        ("peeks at a channel", 47, 3, rig_stage.HERE, 2),
    ]
    for what, number, *args in calls:
        STAGE.calls("netproc", what, number, *args)
    STAGE.works()
    tap.note("%d calls" % len(calls))


@tap.case("a socket that it was lent it can use, and aim nowhere else",
          limit_s=90)
def _():
    address = struct.pack("<H", 0) + bytes(14)  # AF_UNSPEC: to let go
    for what, number, args in [
            ("connects it anew", 42, ["at", 16]),
            ("sends by it to an address", 44, ["at", 4, 0x20000000, "at", 16]),
            ("shuts its reading", 48, [0]),
            ("asks it for an option", 55, [1, 4, "at", "at"]),
            ("doubles it", 32, []),
            ("asks its kernel for the interfaces", 16, [0x8912, "at"])]:
        if sidecar.sanitized():
            tap.skip("a sanitizer's run-time needs more calls")
        guest, server = STAGE.pair()
        traffic.greet_ends(guest, server)
        with STAGE.hold("netproc") as held:
            at = held.place(address)
            tap.equal(held.call(puppet.WRITEV, lent(held.pid),
                                held.vector(b"mine"), 1), 4, "its own bytes")
            tap.equal(traffic.exact(server, 4), b"mine", "what came")
            try:
                result = held.call(number, lent(held.pid), *[
                    at if arg == "at" else arg for arg in args])
                tap.ok(False, "%s: %d" % (what, result))
            except puppet.Killed as end:
                tap.equal(end.args[0], signal.SIGSYS, what)
        STAGE.wait_replaced("netproc", "seccomp violation", what)
        guest.close()
        server.close()
    STAGE.works()


def lent(pid):
    """The descriptor of the one flow of a netproc: its one TCP socket, or
    the stream in place of it, which came last."""
    with STAGE.world.host, open("/proc/thread-self/net/tcp") as file:
        tcp = {"socket:[%s]" % line.split()[9] for line in file}
    mine = [int(fd) for fd in os.listdir("/proc/%d/fd" % pid)
            if os.readlink("/proc/%d/fd/%s" % (pid, fd)) in tcp]
    if sidecar.RELAY == "splice":
        tap.equal(mine, [], "TCP sockets")
        return max(int(fd) for fd in os.listdir("/proc/%d/fd" % pid))
    tap.equal(len(mine), 1, "lent sockets: %r" % mine)
    return mine[0]


@tap.case("what its connections carry is counted by the kernel, whatever it "
          "does with them")
def _():
    # A new pair begins to count, and says so when it is replaced.
    with STAGE.hold("netproc") as held:
        held.end()
    STAGE.wait_replaced("netproc", "SIGKILL", "before")
    before = counted()
    server_got = server_sent = 0
    for turn in range(20):  # as usual
        guest, server = STAGE.pair()
        with guest, server:
            traffic.transfer(guest, server, 10000 + turn)
            server_got += 10000 + turn
            guest.close()
            tap.equal(server.recv(1), b"", "the guest's end")
    guest, server = STAGE.pair()
    with guest, server:
        traffic.greet_ends(guest, server)
        with STAGE.hold("netproc") as held:
            fd = lent(held.pid)
            # Bytes that are nobody's, and none for what it was sent.
            for length in (1, 1000, 4096):
                tap.equal(held.call(puppet.WRITEV, fd, held.vector(
                    bytes(length)), 1), length, "bytes of its own")
            tap.equal(len(traffic.exact(server, 5097)), 5097, "they came")
            server.sendall(bytes(20000))
            time.sleep(0.1)  # the kernel acknowledges them
            held.end()
        STAGE.wait_replaced("netproc", "SIGKILL", "after")
    server_got += 1 + 5097
    server_sent += 1 + 20000
    after = counted()
    out, into = (after[name] - before[name]
                 for name in ("tcp_bytes_out", "tcp_bytes_in"))
    tap.equal((out, into), (server_got, server_sent), "out and in")
    tap.figure("G4", "bytes of a netproc taken over, counted but not carried, "
               "or carried but not counted, of %d" % (out + into),
               abs(out - server_got) + abs(into - server_sent), "", "= 0")
    STAGE.works()


def counted():
    """What all relayprocs that have ended say that they carried."""
    lines = " ".join(STAGE.car.log.find("relayproc: counters:"))
    return {name: sum(int(n) for n in re.findall(r"\b%s=(\d+)" % name, lines))
            for name in ("tcp_bytes_out", "tcp_bytes_in")}


@tap.case("an empty record, which would pass for its death, it cannot send")
def _():
    pid = STAGE.pid("netproc")
    guest, server = STAGE.pair()
    for _, fd in CHANNELS:
        with STAGE.hold("netproc") as held:
            tap.equal(held.send(fd, b""), 0, "what writev(2) returns")
    time.sleep(0.3)
    traffic.greet_ends(guest, server)
    STAGE.works()
    tap.equal(STAGE.pid("netproc"), pid, "netproc")
    guest.close()
    server.close()


@tap.case("its log lines are its own, whatever they say")
def _():
    forged = "x\n[2026-01-01T00:00:00Z]: sallyport: vmm attached\r\x1b[2J\xff"
    payload = struct.pack("<I", 2) + forged.encode("latin-1")
    payload += bytes(words.BY_NAME["LOG"].size - len(payload))
    with STAGE.hold("netproc") as held:
        held.send(words.FD_PARENT, words.BY_NAME["LOG"].record(payload))
    line = STAGE.car.log.wait(r"netproc: x")
    tap.ok("vmm attached" in line, "a line was forged: %r" % line)
    tap.ok("\x1b" not in line and "\r" not in line, "control codes: %r" % line)
    STAGE.works()


def ranges():
    """Addresses where no guest may go: the first and the last of each range,
    and some between."""
    nets = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32",
            "100.100.100.200/32", "192.0.0.0/24", "198.18.0.0/15",
            "224.0.0.0/4", "240.0.0.0/4", "10.0.0.0/8", "172.16.0.0/12",
            "192.168.0.0/16", "100.64.0.0/10", rig.HOST + "/32",
            rig.GATEWAY + "/32", rig.GUEST + "/32"]
    for text in nets:
        net = ipaddress.ip_network(text)
        size = net.num_addresses
        yield from {net[0], net[-1], net[size // 2], net[size // 3]}
    for address in [*rig.FORBIDDEN.values(), *rig.PRIVATE.values()]:
        yield ipaddress.ip_address(address)


def encodings(ip):
    """The same destination, in every form that carries it."""
    n = int(ip)
    inverted = n ^ 0xffffffff
    for text in ["::ffff:%s", "::%s", "64:ff9b::%s", "64:ff9b:1::%s",
                 "::ffff:0:%s"]:
        yield text % ip
    high, low = n >> 16, n & 0xffff
    yield "2002:%x:%x::1" % (high, low)
    yield "2001:0:cb00:7101:0:0:%x:%x" % (inverted >> 16, inverted & 0xffff)
    yield str(ip)


def forbidden6():
    yield from ["::", "::1", "fe80::1", "febf::1", "fec0::1", "ff02::1",
                "ff0e::1", "fc00::1", "fdff::1", "fd20:ce::254", rig.HOST6,
                rig.GATEWAY6, rig.GUEST6, "fd00:ec2::23",
                "fd00:c1::a9fe:a9fe", "fd00:a9fe:a9fe::1", "fd00:42::42",
                "fd00:100::100:200"]
    yield from [*rig.FORBIDDEN6.values(), *rig.PRIVATE6.values()]


@tap.case("it reaches no destination that the policy forbids, in no encoding, "
          "by no protocol", limit_s=180)
def _():
    targets = [form for ip in ranges() for form in encodings(ip)]
    targets = sorted(set(targets + list(forbidden6())))
    sniffers = [STAGE.world.host.sniffer(dev) for dev in ("lo", "h0")]
    asked = 0
    generations = itertools.count(1)
    for start in range(0, len(targets), 200):
        # It is held for as short as can be, and is replaced after each part.
        with STAGE.hold("netproc") as held:
            for slot, target in enumerate(targets[start:start + 200], 100):
                for fd, record in [
                        (words.FD_PEER, words.flow_open(
                            target, 80, slot, next(generations))),
                        (words.FD_DGRAM, words.assoc_send(
                            target, 53, UDP, slot, b"out")),
                        (words.FD_DGRAM, words.assoc_send(
                            target, 0, ICMP6 if ":" in target else ICMP,
                            slot + 200,
                            bytes([128 if ":" in target else 8]) +
                            bytes(7) + b"out"))]:
                    while held.send(fd, record) == -errno.EAGAIN:
                        time.sleep(0.001)
                    asked += 1
            held.send(words.FD_PEER, words.flow_open(
                rig.SERVER, rig.port_of(STAGE.listener), 99))
            # It is answered in order: what was asked before is judged.
            STAGE.listener.accept()[0].close()
            time.sleep(0.05)
            held.end()
        STAGE.wait_replaced("netproc", "SIGKILL", "the end")
    ours = {(rig.HOST, rig.SERVER), (rig.SERVER, rig.HOST)}
    seen, allowed = [], 0
    for sniffer in sniffers:
        sniffer.settimeout(0.05)
        try:
            while True:
                packet = frames.Packet(sniffer.recv(65535))
                if packet.proto is None:
                    continue
                if (packet.ip_src, packet.ip_dst) in ours and \
                        packet.proto == frames.TCP:
                    allowed += 1
                elif packet.proto != frames.ICMP6 or packet.type < 130:
                    seen.append(packet.frame.hex())
        except TimeoutError:
            pass
        sniffer.close()
    tap.equal(seen, [], "packets that left")
    tap.ok(allowed > 0, "the sniffers saw nothing at all")
    STAGE.works()
    tap.figure("G3", "packets to forbidden destinations, of %d asked for by a "
               "netproc taken over" % asked, len(seen), "", "0")


FLOODS = [
    ("log lines", words.FD_PARENT, words.BY_NAME["LOG"].record()),
    ("requests for a flow that is denied", words.FD_PEER,
     words.flow_open("169.254.169.254", 80, 7)),
    ("datagrams", words.FD_DGRAM,
     words.assoc_send(rig.SERVER, 9, UDP, MAX_UDP - 1, b"x" * 1000)),
    ("datagrams that are denied", words.FD_DGRAM,
     words.assoc_send("169.254.169.254", 9, UDP, MAX_UDP - 1, b"x" * 1000)),
    ("questions of DNS", words.FD_DGRAM,
     words.BY_NAME["DNS_QUERY"].record(tail=b"\1" * 40)),
]


@tap.case("a flood of it is bounded in memory, and ends within the watchdog's "
          "time", limit_s=120)
def _():
    for what, fd, record in FLOODS:
        STAGE.flood("netproc", what, fd, record)
    sidecar.idle_for(0.5, STAGE.pids())


def goes_out(held, fd, record):
    """Whether there is room for it, or soon: a reader may be slow."""
    for _ in range(30):
        if held.send(fd, record) != -errno.EAGAIN:
            return True
        time.sleep(0.01)
    return False


@tap.case("one that reads no more, and is answered all the same, costs "
          "relayproc bounded memory")
def _():
    relay = STAGE.pid("relayproc")
    before = peak = sidecar.rss_kib(relay)
    said = 0
    with STAGE.hold("netproc") as held:
        try:
            for said in range(1, 50001):
                record = words.flow_open("169.254.169.254", 80,
                                         said % MAX_FLOWS, said)
                if not goes_out(held, words.FD_PEER, record):
                    break
        except puppet.Killed as end:
            tap.equal(end.args[0], signal.SIGKILL, "the signal")
        else:
            peak = sidecar.rss_kib(relay)
            time.sleep(0.1)
            tap.equal(sidecar.rss_kib(relay), peak, "KiB of relayproc, later")
            held.end()
    line = STAGE.wait_replaced("netproc", "", "withheld reads")
    tap.note("%s after %d requests; relayproc %+d KiB" % (line, said,
                                                          peak - before))
    tap.ok(sidecar.sanitized() or
           peak - before < rig_stage.GROWTH_MAX_KIB, "it grew")
    STAGE.works()


@tap.case("an accusation of its own costs no byte of the count")
def _():
    accused = words.BY_NAME["VIOLATION"].record(struct.pack(
        "<IIII", ROLE_RELAYPROC, IPC_E_STATE,
        words.BY_NAME["FLOW_CLOSED"].number, 0))
    with STAGE.hold("netproc") as held:
        held.end()
    STAGE.wait_replaced("netproc", "SIGKILL", "before")
    before = counted()["tcp_bytes_out"]
    guest, server = STAGE.pair()
    with guest, server:
        traffic.transfer(guest, server, 1000000)
        try:
            with STAGE.hold("netproc") as held:
                held.send(words.FD_PARENT, accused)
        except puppet.Killed as end:  # it does not leave while it is held
            tap.equal(end.args[0], signal.SIGKILL, "the signal")
        STAGE.wait_replaced("relayproc", "(says netproc)", "the accusation")
    STAGE.car.log.wait("tcp_bytes_out=1000000")
    tap.equal(counted()["tcp_bytes_out"] - before, 1000000, "bytes")
    STAGE.works()


@tap.case("that relayproc seems to be dead, as it says, is not held against "
          "the next one, whichever of the two is lost")
def _():
    seems = words.BY_NAME["VIOLATION"].record(struct.pack(
        "<IIII", ROLE_RELAYPROC, IPC_E_CLOSED, 0, 0))
    for role in ("netproc", "relayproc"):
        before = len(STAGE.car.log.find("lost "))
        lost, relayproc = STAGE.pid(role), STAGE.pid("relayproc")
        inject.stop(STAGE.car.pid)
        with STAGE.hold("netproc") as held:
            held.send(words.FD_PARENT, seems)
            # The parent hears it first, and of the loss at once after it.
            if role == "netproc":
                inject.stop(relayproc)  # it takes its time to leave
                held.end()
            else:
                os.kill(lost, signal.SIGKILL)
            inject.go_on(STAGE.car.pid)
        STAGE.wait_replaced(role, "SIGKILL", "the loss")
        time.sleep(0.5)  # longer than a doubt lasts
        deadline = time.monotonic() + 10 * tap.scale()
        while not sidecar.gone(relayproc):
            tap.ok(time.monotonic() < deadline, "the old relayproc is there")
            time.sleep(0.05)
        tap.equal(len(STAGE.car.log.find("lost ")), before + 1, "losses")
        STAGE.works()


@tap.case("a VMM that it says has gone has its link cut")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world)
    wire = frames.Wire(car.path)
    wire.alive()
    said = words.BY_NAME["FRAME_GONE"].record(struct.pack("<II", 0, 0))
    with puppet.Puppet(car.children()["netproc"]) as held:
        held.send(words.FD_PARENT, said)
        car.log.wait("vmm gone")
        # It is held still: nobody but the parent can have done it.
        wire.sock.settimeout(10 * tap.scale())
        while wire.sock.recv(65536):
            pass
        held.end()
    car.log.wait("replaced in")
    frames.Wire(car.path).alive()
    world.close()


@tap.case("nothing is left of it: descriptors, processes, spinning")
def _():
    STAGE.works()
    STAGE.car.wait_alone()
    sidecar.idle_for(0.5, STAGE.pids())
    tap.note("%d successors" % STAGE.replaced)


tap.run(sidecar.tell(STAGE.car))
