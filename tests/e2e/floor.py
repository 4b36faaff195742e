#!/usr/bin/python3
"""The egress floor and the rules: what a guest cannot reach, refused at once,
named in the log, and never seen on the wire."""

import errno
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
REJECTED = [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES]
PORT = 7000  # of every listener; the namespaces are new
MARKER_PORT = 6999
REJECT_LIMIT_S = 0.5
MANY, ADDRESSES_MAX = 900, 1024

WORLD = rig.World()
for namespace in (WORLD.server, WORLD.host):
    traffic.echo_server(namespace.listen(port=PORT))
traffic.echo_server(WORLD.server.listen(port=MARKER_PORT))


class Behind:
    """A sidecar with these options and a guest behind it, for a while."""

    def __init__(self, *options):
        self.car = sidecar.Sidecar(WORLD, *options)
        self.vmm = sidecar.Vmm(WORLD, self.car.path)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            sidecar.tell(self.car)()
        self.vmm.kill()
        self.car.terminate()

    def reached(self, address, port=PORT):
        with WORLD.guest.connect(address, port) as sock:
            traffic.greet(sock)

    def denied(self, address, port=PORT):
        """Must be rejected at once, with no packet for it on the wire."""
        def rejected():
            try:
                with WORLD.guest.connect(address, port) as sock:
                    ends = sock.getsockname(), sock.getpeername()
            except OSError as error:
                tap.ok(error.errno in REJECTED, repr(error))
                ends = None
            tap.equal(ends, None, "ends of a connection to " + address)

        sniffer = WORLD.server.sniffer("s0")
        tap.in_time(REJECT_LIMIT_S, rejected)
        # What was sent before this is on the wire before it.
        with WORLD.host.connect(rig.SERVER, MARKER_PORT) as sock:
            traffic.greet(sock)
        seen = []
        sniffer.settimeout(0.05)
        try:
            while True:
                packet = frames.Packet(sniffer.recv(65535))
                if packet.proto == frames.TCP and packet.dport == port \
                        and packet.ip_dst == address:
                    seen.append(packet.frame.hex())
        except TimeoutError:
            pass
        sniffer.close()
        tap.equal(seen, [], "packets of %s on the wire" % address)


@tap.case("public addresses are reached when no rule names them")
def _():
    with Behind() as guest:
        guest.reached(rig.SERVER)
        guest.reached(rig.SERVER2)


@tap.case("metadata and special ranges are refused, and none sees a packet")
def _():
    with Behind() as guest:
        for name, address in rig.FORBIDDEN.items():
            tap.note("%s: %s" % (name, address))
            guest.denied(address)
        guest.car.log.wait("--unsafe-allow")


@tap.case("private ranges are refused until --allow names them")
def _():
    with Behind() as guest:
        for address in rig.PRIVATE.values():
            guest.denied(address)
        guest.car.log.wait("--allow")


@tap.case("the host's own addresses and loopback are refused")
def _():
    with Behind() as guest:
        guest.denied(rig.HOST)
        guest.denied(rig.GATEWAY)
        tap.ok(guest.car.log.find("203.0.113.2"), "no line names %s"
               % rig.HOST)


@tap.case("an address that is the host's by a route alone is refused")
def _():
    prefix, one, some = "198.51.100.64/28", "198.51.100.80", "198.51.100.70"
    source, network = "198.51.100.90", "198.51.100.97/28"
    for local in (prefix, one + "/32"):
        WORLD.host.ip("route add local %s dev lo" % local)
    # The whole prefix of an address on loopback is local, its source that.
    WORLD.host.ip("address add %s dev lo" % network)
    WORLD.host.ip("route add local %s/32 dev lo src %s" % (source, rig.HOST))
    try:
        with Behind() as guest:
            for address in (one, some, source, "198.51.100.98"):
                guest.denied(address)
                # On the host's own loopback there is no wire to look at.
                with WORLD.guest.udp() as sock, \
                        WORLD.host.udp(port=PORT) as host:
                    sock.connect((address, PORT))
                    sock.send(b"?")
                    host.settimeout(0.2)
                    try:
                        tap.ok(False, "%r came" % host.recv(16))
                    except TimeoutError:
                        pass
            guest.car.log.wait("--unsafe-allow " + one)
            guest.reached(rig.SERVER)
        with Behind("--unsafe-allow", one) as guest:
            guest.reached(one)
    finally:
        for local in (prefix, one + "/32", source + "/32"):
            WORLD.host.ip("route del local %s dev lo" % local)
        WORLD.host.ip("address del %s dev lo" % network)


def local_ports(first, last):
    WORLD.host.run(["sh", "-c", "echo %d %d >"
                    "/proc/sys/net/ipv4/ip_local_port_range" % (first, last)],
                   check=True)


@tap.case("so is each where the host cannot say whose it is")
def _():
    one = "198.51.100.80"
    WORLD.host.ip("route add local %s/32 dev lo" % one)
    ports = range(40000, 40064)
    local_ports(ports[0], ports[-1])
    try:
        with Behind() as guest:
            # Whose address it is, is asked from a port; TCP has its own.
            taken = [WORLD.host.udp(port=port) for port in ports]
            guest.denied(one)
            guest.denied(rig.SERVER)
            for sock in taken:
                sock.close()
            guest.denied(one)
            guest.reached(rig.SERVER)
    finally:
        local_ports(32768, 60999)
        WORLD.host.ip("route del local %s/32 dev lo" % one)


@tap.case("a UDP port of the guest's that was refused for that is served as soon "
          "as the host can say it, and the log has said why")
def _():
    ports = range(40000, 40064)
    local_ports(ports[0], ports[-1])
    try:
        with Behind() as guest, WORLD.server.udp(rig.SERVER, PORT) as server, \
                WORLD.guest.udp() as inside:
            taken = [WORLD.host.udp(port=port) for port in ports]
            inside.sendto(b"before", (rig.SERVER, PORT))
            line = guest.car.log.wait("denied udp %s" % rig.SERVER)
            for sock in taken:
                sock.close()
            inside.sendto(b"after", (rig.SERVER, PORT))
            tap.equal(server.recv(16), b"after", "what the server got")
            tap.ok("cannot be told" in line and "--unsafe" not in line, line)
    finally:
        local_ports(32768, 60999)


@tap.case("an address that the host gets later is refused as well")
def _():
    later = "198.51.100.9"
    with Behind("--log-level", "debug") as guest:
        WORLD.server.ip("addr add %s/32 dev lo" % later)
        guest.reached(later)
        WORLD.server.ip("addr del %s/32 dev lo" % later)
        WORLD.host.ip("addr add %s/32 dev h0" % later)
        guest.car.log.wait("host address .*%s" % later.replace(".", r"\."))
        guest.denied(later)
        WORLD.host.ip("addr del %s/32 dev h0" % later)


def drained(sock):
    """What waits at a socket that does not block."""
    found = []
    try:
        while True:
            found.append(sock.recv(16))
    except BlockingIOError:
        return found


@tap.case("a UDP port of the guest's does not go on to reach it either")
def _():
    later = "198.51.100.11"
    name = later.replace(".", r"\.")
    WORLD.server.ip("addr add %s/32 dev lo" % later)
    with Behind("--log-level", "debug") as guest, \
            WORLD.server.udp(later, PORT) as server, \
            WORLD.guest.udp() as inside:
        inside.sendto(b"before", (later, PORT))
        tap.equal(server.recv(16), b"before", "what the server got")
        WORLD.host.ip("addr add %s/32 dev h0" % later)
        try:
            with WORLD.host.udp(later, PORT) as host:
                guest.car.log.wait("host address .*%s" % name)
                # relayproc has been told, and may still have to read it.
                deadline = time.monotonic() + 10 * tap.scale()
                while not guest.car.log.find("denied udp %s" % name):
                    tap.ok(time.monotonic() < deadline, "it goes on")
                    inside.sendto(b"at once", (later, PORT))
                    time.sleep(0.01)
                host.setblocking(False)
                drained(host)
                inside.sendto(b"after", (later, PORT))
                guest.denied(later)  # which is answered behind it
                tap.equal(drained(host), [], "what has reached the host")
        finally:
            WORLD.host.ip("addr del %s/32 dev h0" % later)
    WORLD.server.ip("addr del %s/32 dev lo" % later)


@tap.case("an address that the host gets while the guest connects to it is "
          "refused")
def _():
    with Behind("--log-level", "debug") as guest:
        with WORLD.server.sniffer("s0") as sniffer:
            connect = rig.thread(WORLD.guest.connect, rig.FILTERED, PORT)
            packet = frames.Packet(sniffer.recv(65535))
            while packet.proto != frames.TCP or packet.ip_dst != rig.FILTERED:
                packet = frames.Packet(sniffer.recv(65535))
        WORLD.host.ip("addr add %s/32 dev h0" % rig.FILTERED)
        try:
            tap.raises(REJECTED, connect.join, 10 * tap.scale())
        finally:
            WORLD.host.ip("addr del %s/32 dev h0" % rig.FILTERED)
        guest.car.log.wait("denied tcp %s" % rig.FILTERED.replace(".", r"\."))


@tap.case("who takes a lost child's place knows what the host has got since, "
          "and what it has not any more")
def _():
    later, sooner = "198.51.100.9", "198.51.100.10"
    WORLD.host.ip("addr add %s/32 dev h0" % sooner)
    with Behind("--log-level", "debug") as guest:
        guest.denied(sooner)
        WORLD.host.ip("addr add %s/32 dev h0" % later,
                      "addr del %s/32 dev h0" % sooner)
        for address in (later, sooner):
            guest.car.log.wait("host address .*%s"
                               % address.replace(".", r"\."))
        os.kill(guest.car.children()["netproc"], signal.SIGKILL)
        guest.car.log.wait("replaced in")
        guest.denied(later)
        WORLD.server.ip("addr add %s/32 dev lo" % sooner)
        guest.reached(sooner)
        WORLD.server.ip("addr del %s/32 dev lo" % sooner)
        WORLD.host.ip("addr del %s/32 dev h0" % later)


@tap.case("a host of %d addresses may lose and get one, and nobody is lost"
          % MANY)
def _():
    many = ["203.0.%d.%d/32" % (114 + n // 250, n % 250 + 1)
            for n in range(MANY)]
    WORLD.host.ip("link add many type veth peer name peer",
                  *("addr add %s dev many" % address for address in many))
    with Behind("--log-level", "debug") as guest:
        for address in many[:2]:
            for verb in ("del", "add"):
                WORLD.host.ip("addr %s %s dev many" % (verb, address))
        later = "198.51.100.9"
        WORLD.host.ip("addr add %s/32 dev h0" % later)
        guest.car.log.wait("host address %s" % later.replace(".", r"\."))
        guest.denied(later)
        guest.denied(many[0].split("/")[0])
        tap.equal(guest.car.log.find("lost relayproc"), [], "lost")
        WORLD.host.ip("addr del %s/32 dev h0" % later, "link del many")
        # More than the kernel has room to announce.
        guest.car.log.wait("host address 203.* gone", count=MANY)


@tap.case("a host of more than %d addresses is refused, and told why"
          % ADDRESSES_MAX)
def _():
    world = rig.World()
    world.host.ip("link add many type veth peer name peer", *(
        "addr add 203.1.%d.%d/32 dev many" % (n // 250, n % 250 + 1)
        for n in range(ADDRESSES_MAX)))
    done = world.host.run([sidecar.SALLYPORT, "--socket",
                           world.path("many.sock")], timeout=20)
    world.close()
    tap.equal(done.returncode, 71, "status")
    tap.ok("more than %d addresses" % ADDRESSES_MAX in done.stderr,
           done.stderr)


@tap.case("frames to addresses that no guest's kernel would send to are "
          "rejected or dropped")
def _():
    car = sidecar.Sidecar(WORLD, "--log-level", "debug")
    wire = frames.Wire(car.path)
    wire.alive()
    loopback = WORLD.host.sniffer("lo")
    link = WORLD.host.sniffer("h0")
    targets = ["127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "224.0.0.1",
               "239.1.2.3", "255.255.255.255", "100.96.0.3", rig.GUEST]
    for number, target in enumerate(targets):
        wire.send(frames.segment(30000 + number, PORT, dst=target))
        reply = wire.expect(
            lambda p: p.proto == frames.TCP and p.ip_src == target,
            timeout_s=0.3)
        tap.ok(reply is None or reply.flags & frames.RST,
               "%s: no RST" % target)
        tap.note("%s: %s" % (target, "RST" if reply else "dropped"))
    wire.alive()
    for sniffer in (loopback, link):
        sniffer.settimeout(0.05)
        try:
            while True:
                packet = frames.Packet(sniffer.recv(65535))
                tap.ok(packet.proto != frames.TCP, "a segment left: %s"
                       % packet.frame.hex())
        except TimeoutError:
            pass
        sniffer.close()
    wire.close()
    car.terminate()


@tap.case("--allow lets out what it names and no more")
def _():
    with Behind("--allow", "10.0.0.0/8", "--allow",
                "192.168.7.8:%d/tcp" % PORT) as guest:
        guest.reached("10.1.2.3")
        guest.reached("192.168.7.8")
        guest.denied("192.168.7.8", PORT + 1)
        guest.denied("172.16.4.5")


@tap.case("--allow of the whole internet does not open the floor")
def _():
    with Behind("--allow", "0.0.0.0/0") as guest:
        guest.reached("10.1.2.3")
        for address in rig.FORBIDDEN.values():
            guest.denied(address)
        guest.denied(rig.HOST)


@tap.case("--unsafe-allow opens what it names, even on the floor")
def _():
    with Behind("--unsafe-allow", "169.254.169.254/32") as guest:
        guest.reached("169.254.169.254")
        guest.denied("169.254.7.7")


@tap.case("--deny shuts out a public range")
def _():
    with Behind("--deny", "198.51.100.0/24") as guest:
        guest.denied(rig.SERVER2)
        guest.reached(rig.SERVER)


@tap.case("the first rule that matches decides")
def _():
    with Behind("--deny", "10.1.2.3", "--allow", "10.0.0.0/8", "--allow",
                "198.51.100.1", "--deny", "198.51.100.0/24") as guest:
        guest.denied("10.1.2.3")
        guest.reached(rig.SERVER2)


@tap.case("--default-egress deny leaves only what --allow names")
def _():
    with Behind("--default-egress", "deny", "--allow",
                "%s/32:%d" % (rig.SERVER, PORT)) as guest:
        guest.reached(rig.SERVER)
        guest.denied(rig.SERVER, PORT + 1)
        guest.denied(rig.SERVER2)


@tap.case("--host-service opens one port of the host's loopback, by the "
          "gateway's address")
def _():
    with Behind("--host-service", "7777:%d" % PORT) as guest:
        guest.reached(rig.GATEWAY, 7777)
        guest.denied(rig.GATEWAY, PORT)


def burst(wire, count, port):
    for number in range(count):
        wire.send(frames.segment(20000 + number, port, dst="169.254.169.254"))
    wire.alive()


@tap.case("denials in their thousands write few lines, which say of how many")
def _():
    with Behind() as guest:
        before = len(guest.car.log.lines)
        guest.vmm.kill()
        guest.car.log.wait("vmm gone")
        wire = frames.Wire(guest.car.path)
        burst(wire, 3000, 80)
        lines = len(guest.car.log.lines) - before
        tap.note("%d lines for 3,000 denials" % lines)
        tap.ok(lines < 100, "%d lines" % lines)
        # Nothing is denied any more, and yet it is said.
        guest.car.log.wait("denied: [0-9]+ suppressed")
        burst(wire, 100, 81)
        wire.close()
    lines = guest.car.log.all()
    told = sum("denied tcp" in line for line in lines) + sum(
        int(line.split()[-2]) for line in lines if "denied: " in line)
    tap.ok(any(" denied=%d " % told in line for line in lines),
           "%d denials told of" % told)


tap.run()
