#!/usr/bin/python3
"""relayproc in an attacker's hands, in its real jail: it can connect where the
host's own firewall lets it, as SECURITY.md says, and do nothing else."""

import os
import signal
import socket
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
UDP_PORT = 8081
STAGE = rig_stage.Stage("-p", "%s:%d:81/udp" % (rig.HOST, UDP_PORT), ip6=True)
CHANNELS = [("parent", words.FD_PARENT), ("netproc", words.FD_PEER),
            ("netproc", words.FD_DGRAM)]
# What it may say even so, all of it zeroes: netproc looks for the query or the
# association and finds none.
HARMLESS = {"LOG", "DNS_ANSWER", "DNS_FAILED", "ASSOC_RECV", "ASSOC_ERROR"}
SENDMSG_FLAGS = 0x4040  # MSG_DONTWAIT | MSG_NOSIGNAL


def own_fds(held, count):
    """TCP sockets of its own, as its filter lets them be made."""
    fds = [held.call(41, 2, 0x80801, 6) for _ in range(count)]
    tap.ok(min(fds) >= words.FD_FIRST_DYNAMIC, "its sockets: %r" % fds)
    return fds


@tap.case("whatever relayproc may not say is the end of it, on each channel",
          limit_s=120)
def _():
    tap.note("%d messages" % STAGE.each_word("relayproc", CHANNELS, HARMLESS))


@tap.case("so is what it may say, in another shape", limit_s=120)
def _():
    tap.note("%d messages" % STAGE.each_shape("relayproc", CHANNELS))


@tap.case("so is what it says of a flow that is none, or of another age")
def _():
    peer = words.FD_PEER
    by = words.BY_NAME
    for what, record in [
            ("a failure of no flow", by["FLOW_FAILED"].record(flow=7,
                                                              generation=1)),
            ("a failure past the last slot",
             by["FLOW_FAILED"].record(flow=70000, generation=1)),
            ("an end of no flow", by["FLOW_CLOSED"].record(flow=3,
                                                           generation=9)),
            ("an inbound flow's end",
             by["FLOW_CLOSED"].record(flow=words.FLOW_INBOUND_BIT | 1)),
            ("a host's end of no flow",
             by["FLOW_ENDED"].record(struct.pack("<I", 1), flow=5)),
            ("a host's end past the last slot",
             by["FLOW_ENDED"].record(struct.pack("<I", 1), flow=70000)),
            ("a host's end that is none",
             by["FLOW_ENDED"].record(struct.pack("<I", 3), flow=0)),
            ("a verdict that is none",
             by["FLOW_FAILED"].record(struct.pack("<I", 99), flow=0)),
            ("an opened flow without its socket",
             by["FLOW_OPENED"].record(flow=0, generation=1))]:
        STAGE.says("relayproc", peer, record, what)
    STAGE.works()


@tap.case("a host's end it can say of a spliced flow alone, and once")
def _():
    with STAGE.hold("relayproc") as held:
        held.end()
    STAGE.wait_replaced("relayproc", "SIGKILL", "before")
    guest, server = STAGE.pair()  # the first flow of this pair of processes
    with guest, server:
        traffic.greet_ends(guest, server)
        ended = words.BY_NAME["FLOW_ENDED"].record(
            struct.pack("<I", 1), b"", 0, 1)
        times = 2 if sidecar.RELAY == "splice" else 1
        try:
            with STAGE.hold("relayproc") as held:
                for _ in range(times):
                    held.send(words.FD_PEER, ended)
        except puppet.Killed:
            pass  # for it, before it was let go
        STAGE.wait_replaced("relayproc", "broke the protocol with FLOW_ENDED: "
                            "flow is not in a state for it", "an end too many")
    STAGE.works()


@tap.case("no call leads out of its jail", limit_s=120)
def _():
    calls = rig_stage.LATERAL + rig_stage.FAULTY_NUMBERS + [
        ("sends a message to the parent", puppet.SENDMSG, words.FD_PARENT,
         rig_stage.HERE, SENDMSG_FLAGS),
        ("sends a message by the datagrams' channel", puppet.SENDMSG,
         words.FD_DGRAM, rig_stage.HERE, SENDMSG_FLAGS),
        ("sends out of band", puppet.SENDMSG, words.FD_PEER,
         rig_stage.HERE, SENDMSG_FLAGS | 1),
        ("makes a blocking socket", 41, 2, 1, 6),
        ("makes an SCTP socket", 41, 2, 0x80801, 132),
        ("makes a multipath socket", 41, 2, 0x80801, 262),
        ("binds its socket to a device", 54, 7, 1, 25, rig_stage.HERE, 4),
        ("marks its packets", 54, 7, 1, 36, rig_stage.HERE, 4),
        ("sends from a foreign address", 54, 7, 0, 19, rig_stage.HERE, 4),
        ("shuts a channel", 48, words.FD_PARENT, 2),
        ("reads a file", 0, 7, rig_stage.HERE, 16),
        ("moves bytes between descriptors", 275, 7, 0, 8, 0, 4096, 0),
        ("peeks at a channel", 47, 3, rig_stage.HERE, 2),
    ]
    for what, number, *args in calls:
        STAGE.calls("relayproc", what, number, *args)
    STAGE.works()
    tap.note("%d calls" % len(calls))


@tap.case("no descriptor but one TCP socket, with the word for it, is taken")
def _():
    opened = words.BY_NAME["FLOW_OPENED"].record(flow=999, generation=1)
    inbound = words.BY_NAME["FLOW_INBOUND"].record(
        words.address(rig.SERVER) + struct.pack("<HHII", 40000, 80, 0, 0), b"",
        words.FLOW_INBOUND_BIT | 0, 1)
    failed = words.BY_NAME["FLOW_FAILED"].record(flow=0, generation=1)
    for what, record, count in [
            ("two descriptors for one flow", inbound, 2),
            ("one with a word that has none", failed, 1),
            ("three with one word", inbound, 3),
            ("one for a flow that was not asked for", opened, 1)]:
        STAGE.works()
        netproc = STAGE.pid("netproc")
        before = len(os.listdir("/proc/%d/fd" % netproc))
        try:
            with STAGE.hold("relayproc") as held:
                fds = own_fds(held, count)
                message = held.message(record, fds)
                result = held.call(puppet.SENDMSG, words.FD_PEER, message,
                                   SENDMSG_FLAGS)
                time.sleep(0.1)
                if not sidecar.gone(netproc):
                    now = len(os.listdir("/proc/%d/fd" % netproc))
                    tap.ok(now <= before, "%s: netproc held %d descriptors, "
                           "and %d now" % (what, before, now))
                tap.note("%s: %d" % (what, result))
        except (puppet.Killed, FileNotFoundError, KeyError):
            pass
        STAGE.wait_replaced("relayproc", "", what)
    STAGE.works()


SECRET = b"what one end says to the other"
RECVMMSG = 299
MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT, MSG_ERRQUEUE = 2, 0x20, 0x40, 0x2000


def received(held, fd, flags):
    """What recvmmsg(2) returns, and leaves in memory."""
    size = 512
    data = held.place(bytes(size), puppet.PAGE)
    vector = held.place(struct.pack("<QQ", data, size), 128)
    message = held.place(struct.pack("<QQQQQQQQ", 0, 0, vector, 1, 0, 0, 0,
                                     0))
    result = held.call(RECVMMSG, fd, message, 1, flags, 0)
    return result, held.look(data, size)


def lent_is_not_read():
    guest, server = STAGE.pair()
    netproc, heard = STAGE.pid("netproc"), 0
    with guest, server:
        traffic.greet_ends(guest, server)
        inject.stop(netproc)  # or it would read first
        server.sendall(SECRET)
        time.sleep(0.1)
        with STAGE.hold("relayproc") as held:
            for fd in sorted(map(int, os.listdir("/proc/%d/fd" % held.pid))):
                if fd < words.FD_FIRST_DYNAMIC:
                    continue
                for flags in (MSG_DONTWAIT | MSG_TRUNC,
                              MSG_DONTWAIT | MSG_ERRQUEUE):
                    result, memory = received(held, fd, flags)
                    heard += result == 1
                    tap.ok(not any(memory), "fd %d: %r" % (fd, memory))
        inject.go_on(netproc)
    tap.equal(heard, 1, "connections that had something to read")


@tap.case("what a lent connection carries it cannot read")
def _():
    if sidecar.RELAY != "splice":  # what is spliced it could read
        lent_is_not_read()
    for flags in (MSG_DONTWAIT, MSG_TRUNC, MSG_DONTWAIT | MSG_TRUNC | MSG_PEEK):
        STAGE.calls("relayproc", "receives with flags %#x" % flags, RECVMMSG,
                    words.FD_FIRST_DYNAMIC, rig_stage.HERE, 1, flags, 0)
    STAGE.works()


SENDMMSG = 307
MSG_FASTOPEN = 0x20000000
MSG_PROBE = 0x810  # MSG_CONFIRM | MSG_PROXY: by which own_addr.c asks
SO_TIMESTAMPING, STAMP_WHEN_ACKED = 37, 1 << 9


def sent(held, fd, flags):
    """What sendmmsg(2) returns for one byte, of which the kernel is to tell
    when it was acknowledged: it would show the segment that it went with."""
    control = struct.pack("<QiiI4x", 20, socket.SOL_SOCKET, SO_TIMESTAMPING,
                          STAMP_WHEN_ACKED)
    message = held.place(struct.pack("<QQQQQQQQ", 0, 0, held.vector(b"x"), 1,
                                     held.place(control, 512), len(control),
                                     0, 0), 256)
    return held.call(SENDMMSG, fd, message, 1, flags)


def fd_count(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def settle(pid):
    """Until relayproc has looked again at what has stood for two seconds: what
    is opened then takes it two rounds, and must be gone again."""
    before = fd_count(pid)
    time.sleep(2.1)
    STAGE.works()
    STAGE.works()
    deadline = time.monotonic() + 10 * tap.scale()
    while fd_count(pid) != before:
        tap.ok(time.monotonic() < deadline, "its descriptors stay")
        time.sleep(0.01)


def lent_is_not_written(allowed):
    with STAGE.hold("relayproc") as held:
        held.end()
    STAGE.wait_replaced("relayproc", "SIGKILL", "before")
    guest, server = STAGE.pair()  # the only flow of this relayproc
    results = []
    with guest, server:
        traffic.greet_ends(guest, server)
        settle(STAGE.pid("relayproc"))
        with STAGE.hold("relayproc") as held:
            for fd in sorted(map(int, os.listdir("/proc/%d/fd" % held.pid))):
                if fd >= words.FD_FIRST_DYNAMIC:
                    results += [sent(held, fd, flags) for flags in allowed]
        tap.ok(results and max(results) < 0, "what each returned: %r" % results)
        traffic.greet_ends(guest, server)


@tap.case("nor can it write into one, and so have shown what goes with it")
def _():
    flags = MSG_DONTWAIT | socket.MSG_NOSIGNAL
    if sidecar.RELAY != "splice":  # into what is spliced it could write
        lent_is_not_written([flags | MSG_FASTOPEN,
                             flags | MSG_FASTOPEN | MSG_PROBE])
    STAGE.calls("relayproc", "sends without MSG_FASTOPEN", SENDMMSG,
                words.FD_FIRST_DYNAMIC, rig_stage.HERE, 1, flags)
    STAGE.works()


@tap.case("its own channels, handed to netproc as a flow, give netproc "
          "nothing it had not", limit_s=90)
def _():
    record = words.BY_NAME["FLOW_INBOUND"].record(
        words.address(rig.SERVER) + struct.pack("<HHII", 40000, 80, 0, 0), b"",
        words.FLOW_INBOUND_BIT | 0, 1)
    for fd in (words.FD_PARENT, words.FD_PEER, words.FD_EPOLL):
        with STAGE.hold("relayproc") as held:
            result = held.call(puppet.SENDMSG, words.FD_PEER,
                               held.message(record, [fd]), SENDMSG_FLAGS)
        # Taken for a connection, of which relayproc itself knows nothing:
        # what netproc says of it breaks the protocol.
        line = STAGE.wait_replaced("netproc", "", "fd %d" % fd)
        tap.note("fd %d, sent with %d: %s" % (fd, result, line))
        STAGE.works()


@tap.case("an empty record does not pass for its death: it is replaced")
def _():
    for fds in (0, 1, 3):
        try:
            with STAGE.hold("relayproc") as held:
                message = held.message(b"", own_fds(held, fds) if fds else ())
                tap.equal(held.call(puppet.SENDMSG, words.FD_PEER, message,
                                    SENDMSG_FLAGS), 0, "bytes sent")
        except puppet.Killed as end:  # for it, before it was let go
            tap.equal(end.args[0], signal.SIGKILL, "the signal")
        STAGE.wait_replaced("relayproc", "looks dead", "%d descriptors" % fds)
        STAGE.works()


@tap.case("it accepts by the listeners that the parent bound, and binds none")
def _():
    address = struct.pack("<HH4s8x", 2, 0x5000, b"\0\0\0\0")
    if sidecar.sanitized():
        tap.skip("a sanitizer's run-time needs more calls")
    with STAGE.hold("relayproc") as held:
        fd, = own_fds(held, 1)
        try:
            held.call(49, fd, held.place(address), 16)
            tap.ok(False, "it may bind")
        except puppet.Killed:
            pass
    STAGE.wait_replaced("relayproc", "seccomp violation", "bind")
    with STAGE.hold("relayproc") as held:
        fd, = own_fds(held, 1)
        try:
            held.call(50, fd, 5)
            tap.ok(False, "it may listen")
        except puppet.Killed:
            pass
    STAGE.wait_replaced("relayproc", "seccomp violation", "listen")
    tcp_clients_come_in()


CONNECT, SHUTDOWN, SETSOCKOPT = 42, 48, 54
IP_MTU_DISCOVER = 10
TCPI_SND_WND = 228  # offset in struct tcp_info, Linux 6.2
NOWHERE = struct.pack("<H14x", socket.AF_UNSPEC)


def may_be_fragmented(sniffer):
    """Whether what the published port sends to a client, once connected, is
    without DF."""
    while True:
        frame = sniffer.recv(65535)
        packet = frames.Packet(frame)
        if packet.proto == frames.TCP and packet.ip_src == rig.HOST and \
                not packet.flags & frames.SYN:
            return not frame[20] & 0x40


def client_sees():
    """Whether a client of the published port is offered an MSS and a window
    to speak of, and whether the MTU of its path is heeded.  The MSS is half
    of the largest window yet, and that may still grow."""
    sniffer = STAGE.world.server.sniffer("s0")
    with STAGE.world.guest.listen(port=80), STAGE.world.server.connect(
            rig.HOST, rig_stage.PORT) as client, sniffer:
        info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        window, = struct.unpack_from("I", info, TCPI_SND_WND)
        client.sendall(b"to be acknowledged")
        mss = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        return (mss > 16384, window > 16384, not may_be_fragmented(sniffer))


def tcp_clients_come_in():
    with STAGE.world.guest.listen(port=80) as guest:
        with STAGE.world.server.connect(rig.HOST, rig_stage.PORT) as client:
            inside, _ = guest.accept()
            with inside:
                traffic.greet_ends(client, inside)


def udp_clients_come_in():
    with STAGE.world.guest.udp(port=81) as guest, \
            STAGE.world.server.udp() as client:
        client.sendto(b"in", (rig.HOST, UDP_PORT))
        data, peer = guest.recvfrom(16)
        guest.sendto(b"out", peer)
        tap.equal((data, client.recv(16)), (b"in", b"out"), "what came")


def aim_published(held, *addresses):
    """Connects the published ports, which the parent has as well."""
    for fd in sorted(map(int, os.listdir("/proc/%d/fd" % held.pid))):
        if fd >= words.FD_FIRST_DYNAMIC:
            for address in addresses:
                held.call(CONNECT, fd, held.place(address), len(address))


def shut_published(held):
    """Of a datagram socket it says that it fails, and does not."""
    for fd in sorted(map(int, os.listdir("/proc/%d/fd" % held.pid))):
        if fd >= words.FD_FIRST_DYNAMIC:
            held.call(SHUTDOWN, fd, socket.SHUT_WR)


@tap.case("what it does to a published port ends with it")
def _():
    STAGE.works()
    other = STAGE.world.server.listen()
    elsewhere = struct.pack(">2sH4s8x", struct.pack("<H", socket.AF_INET),
                            rig.port_of(other), socket.inet_aton(rig.SERVER))
    # Port 0 of a host: a datagram socket is then tied to it, and says nothing.
    anywhere = struct.pack("<HH4s8x", socket.AF_INET, 0,
                           socket.inet_aton(rig.SERVER2))
    for addresses in [(NOWHERE,), (NOWHERE, elsewhere), (anywhere,)]:
        with STAGE.hold("relayproc") as held:
            aim_published(held, *addresses)
            held.end()
        STAGE.wait_replaced("relayproc", "SIGKILL", "it has been at its ports")
        tcp_clients_come_in()
        udp_clients_come_in()
    other.close()


@tap.case("so does what it has clients of one inherit")
def _():
    tap.equal(client_sees(), (True, True, True), "before")
    with STAGE.hold("relayproc") as held:
        small = held.place(struct.pack("i", 88))
        never = held.place(struct.pack("i", 0), 8)
        for fd in sorted(map(int, os.listdir("/proc/%d/fd" % held.pid))):
            if fd >= words.FD_FIRST_DYNAMIC:
                held.call(SETSOCKOPT, fd, socket.IPPROTO_TCP,
                          socket.TCP_MAXSEG, small, 4)
                held.call(SETSOCKOPT, fd, socket.SOL_SOCKET,
                          socket.SO_RCVBUF, small, 4)
                held.call(SETSOCKOPT, fd, socket.IPPROTO_IP,
                          IP_MTU_DISCOVER, never, 4)
        held.end()
    STAGE.wait_replaced("relayproc", "SIGKILL", "it has been at its ports")
    tap.equal(client_sees(), (True, True, True),
              "MSS, window and path of a client")


@tap.case("so it does if the next one is at work already")
def _():
    with STAGE.hold("relayproc") as held:
        aim_published(held, NOWHERE)
    STAGE.wait_replaced("relayproc", "exit status", "a port does not listen")
    tcp_clients_come_in()
    udp_clients_come_in()


def spoiled(options, spoil, line):
    """Each successor ends with the line, and the sidecar after a few."""
    world = rig.World(ip6=True)
    car = sidecar.Sidecar(world, *options)
    with puppet.Puppet(car.children()["relayproc"]) as held:
        spoil(held)
        held.end()
    car.log.wait("relayproc: published port %d%s, for good"
                 % (rig_stage.PORT, line))
    car.log.wait("giving up: ")
    car.wait()
    world.close()


@tap.case("what it does to one for good its successor says, and ends")
def _():
    lo = 1
    link_local = struct.pack("<HHI16sI", socket.AF_INET6, 9, 0,
                             socket.inet_pton(socket.AF_INET6, "fe80::1"), lo)
    spoiled(["-p", "[%s]:%d:80" % (rig.HOST6, rig_stage.PORT)],
            lambda held: aim_published(held, NOWHERE, link_local),
            ": a relayproc before has tied it to interface %d" % lo)
    if sidecar.RELAY != "splice":
        return
    for bind in (rig.HOST, "0.0.0.0", "[::]"):
        spoiled(["-p", "%s:%d:81/udp" % (bind, rig_stage.PORT)], shut_published,
                "/udp: a relayproc before has shut it")


FLOODS = [
    ("log lines", words.FD_PARENT, words.BY_NAME["LOG"].record()),
    ("answers of DNS", words.FD_DGRAM,
     words.BY_NAME["DNS_ANSWER"].record(tail=b"\1" * 40)),
    ("datagrams of no association", words.FD_DGRAM,
     words.BY_NAME["ASSOC_RECV"].record(
         words.address(rig.SERVER) + struct.pack("<HHHBB", 9, 9, 0, 17, 0),
         b"x" * 1000, 7, 1)),
]


@tap.case("a flood of it is bounded in memory, and ends within the watchdog's "
          "time", limit_s=120)
def _():
    for what, fd, record in FLOODS:
        STAGE.flood("relayproc", what, fd, record)
    sidecar.idle_for(0.5, STAGE.pids())


def linger_published(held):
    """Connects the published TCP port to a host that then falls silent: who
    closes the socket last is to wait for it."""
    other = STAGE.world.server.listen()
    elsewhere = struct.pack(">2sH4s8x", struct.pack("<H", socket.AF_INET),
                            rig.port_of(other), socket.inet_aton(rig.SERVER))
    linger = struct.pack("ii", 1, 3600)
    aim_published(held, NOWHERE, elsewhere)
    for fd in sorted(map(int, os.listdir("/proc/%d/fd" % held.pid))):
        if fd >= words.FD_FIRST_DYNAMIC:
            held.call(SETSOCKOPT, fd, socket.SOL_SOCKET, socket.SO_LINGER,
                      held.place(linger), len(linger))
    return other.accept()[0]


@tap.case("nor does it hold up the end by one that is to wait for a host")
def _():
    STAGE.works()
    with STAGE.hold("relayproc") as held:
        connected = linger_published(held)
    STAGE.world.server.run(["ip", "link", "set", "s0", "down"])
    tap.equal(STAGE.car.terminate()[0], 0, "status")
    connected.close()


tap.run(sidecar.tell(STAGE.car))
