#!/usr/bin/python3
"""IPv6: how the guest is told of it, and that everything passes over it."""

import errno
import os
import shutil
import socket
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import datagrams  # noqa: E402
import frames  # noqa: E402
import nd  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
MIB = 1 << 20
REJECTED = [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES]
MTU = 1480
ANSWER_LIMIT_S = 0.1
IPV6_JOIN_ANYCAST = 27  # Linux
SOLICITED_S = 0.15  # so long after the last advertisement nothing is put off
SLAAC = rig.PREFIX6 + "53:4dff:fe00:2"
ANYCAST = "2001:db8:1::"  # of the routers of the host's link

WORLD = rig.World(ip6=True)
WORLD.host.sysctl("ipv4/ping_group_range", "0 2147483647")
CAR = sidecar.Sidecar(WORLD, "--mtu", str(MTU), "--search", "corp.example",
                      "--search", "example.org", "-p", "[::1]:8080:80")
GUEST, HOST, SERVER = WORLD.guest, WORLD.host, WORLD.server


class Session:
    """A VMM by hand, for a while."""

    def __init__(self, car=CAR):
        self.car = car

    def __enter__(self):
        self.before = len(self.car.log.find("vmm gone"))
        self.wire = frames.Wire(self.car.path)
        return self.wire

    def __exit__(self, *_):
        self.wire.close()
        self.car.log.wait("vmm gone", count=self.before + 1)


class Guest:
    """A kernel as the guest, for a while; left to itself if not static."""

    def __init__(self, car=CAR, static=True, mtu=MTU):
        self.car = car
        self.before = len(car.log.find("vmm gone"))
        self.vmm = sidecar.Vmm(WORLD, car.path, mtu=mtu, configure=static)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.vmm.kill()
        self.car.log.wait("vmm gone", count=self.before + 1)

    @staticmethod
    def addresses(scope="global"):
        lines = GUEST.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0",
                           "scope", scope]).stdout
        return [line.split()[3] for line in lines.splitlines()
                if "tentative" not in line]

    def wait(self, condition, what, timeout_s=5):
        deadline = time.monotonic() + timeout_s * tap.scale()
        while not condition():
            tap.ok(time.monotonic() < deadline, "%s: %r, routes %s" % (
                what, self.addresses(), self.routes()))
            time.sleep(0.02)

    @staticmethod
    def routes():
        return GUEST.run(["ip", "-6", "route", "show", "default"]).stdout


def check_ra(ra, router_s):
    tap.ok(ra, "no router advertisement")
    tap.equal((ra.source, ra.hops), (nd.GATEWAY_LL, 255), "source, hop limit")
    tap.equal(ra.mac, frames.mac(rig.GATEWAY_MAC), "link-layer address")
    tap.equal(ra.lifetime_s > 0, router_s > 0, "router lifetime %d"
              % ra.lifetime_s)
    tap.equal(ra.flags & 0xc0, 0xc0, "M and O")
    tap.equal(ra.mtu, MTU, "MTU")
    address, length, flags, valid, preferred = ra.prefixes[0]
    tap.equal((address, length, flags & 0xc0), (rig.PREFIX6, 64, 0xc0),
              "prefix")
    tap.equal(preferred > 0, router_s > 0, "preferred lifetime")
    tap.ok(valid >= preferred, "valid %d < preferred %d" % (valid, preferred))
    tap.equal([(a, life > 0) for a, life in ra.dns],
              [(rig.GATEWAY6, router_s > 0)], "RDNSS")
    tap.equal([(n, life > 0) for n, life in ra.domains],
              [("corp.example", router_s > 0), ("example.org", router_s > 0)],
              "DNSSL")


@tap.case("on attach the guest hears an unsolicited RA and NA")
def _():
    with Session() as wire:
        seen = {}
        while len(seen) < 2:
            packet = wire.expect(lambda p: p.proto == frames.ICMP6)
            tap.ok(packet, "only %r" % list(seen))
            seen[packet.type] = packet
        check_ra(nd.Advertisement(seen[nd.RA]), 1)
        tap.equal(seen[nd.RA].ip_dst, nd.ALL_NODES, "RA to")
        tap.equal(seen[nd.NA].body[8:24], frames.ip(rig.GATEWAY6), "NA for")


@tap.case("a solicitation is answered: prefix, MTU, RDNSS, DNSSL")
def _():
    def solicited(source):
        time.sleep(SOLICITED_S)
        wire.send(nd.router_solicitation(source))
        check_ra(nd.expect_ra(wire), 1)

    with Session() as wire:
        nd.expect_ra(wire)
        for source in (nd.GUEST_LL, nd.UNSPECIFIED):
            tap.in_time(SOLICITED_S + ANSWER_LIMIT_S, solicited, source)


@tap.case("solicitations just after an advertisement get one more, later")
def _():
    with Session() as wire:
        check_ra(nd.expect_ra(wire), 1)
        for _ in range(5):
            wire.send(nd.router_solicitation())
        check_ra(nd.expect_ra(wire), 1)
        tap.equal(nd.expect_ra(wire, 0.3), None, "a second answer")


@tap.case("a solicitation from beyond the link is not answered")
def _():
    with Session() as wire:
        nd.expect_ra(wire)
        time.sleep(0.15)
        wire.send(nd.router_solicitation(hops=64))
        tap.equal(nd.expect_ra(wire, 0.3), None, "answer")


@tap.case("when the host's route goes the router is withdrawn, and it comes "
          "back")
def _():
    with Session() as wire:
        check_ra(nd.expect_ra(wire), 1)
        WORLD.route6("del")
        try:
            check_ra(nd.expect_ra(wire), 0)
            wire.send(nd.router_solicitation())
            tap.equal(nd.expect_ra(wire, 0.3), None, "answer without a route")
        finally:
            WORLD.route6("add")
        check_ra(nd.expect_ra(wire), 1)


@tap.case("a host without a route is told of later: no RA until then")
def _():
    WORLD.route6("del")
    car = sidecar.Sidecar(WORLD, "--mtu", str(MTU), "--search",
                          "corp.example", "--search", "example.org")
    with Session(car) as wire:
        wire.alive()
        wire.send(nd.router_solicitation())
        tap.equal(nd.expect_ra(wire, 0.3), None, "answer")
        WORLD.route6("add")
        check_ra(nd.expect_ra(wire), 1)
    car.terminate()


@tap.case("the gateway's addresses are resolved, and no other")
def _():
    with Session() as wire:
        gateway = frames.mac(rig.GATEWAY_MAC)
        for source in (nd.GUEST_LL, rig.GUEST6, SLAAC):
            for target in (rig.GATEWAY6, nd.GATEWAY_LL):
                tap.equal(nd.resolve(wire, target, src=source), gateway,
                          "who has %s, asked by %s" % (target, source))
        for target in (rig.GUEST6, SLAAC, rig.PREFIX6 + "99", nd.GUEST_LL):
            tap.equal(nd.resolve(wire, target, 0.2), None, "who has " + target)
        # To the gateway's MAC, as the kernel does to see if it still lives.
        tap.equal(nd.resolve(wire, rig.GATEWAY6, src=rig.GUEST6,
                             to=rig.GATEWAY_MAC), gateway, "unicast")


@tap.case("a guest that looks for duplicates of its address finds none, and "
          "of the gateway's finds one")
def _():
    with Session() as wire:
        for target in (rig.GUEST6, SLAAC, nd.GUEST_LL):
            tap.equal(nd.resolve(wire, target, 0.2, src=nd.UNSPECIFIED), None,
                      "who has " + target)
        for target in (rig.GATEWAY6, nd.GATEWAY_LL):
            tap.equal(nd.resolve(wire, target, src=nd.UNSPECIFIED),
                      frames.mac(rig.GATEWAY_MAC), "who has " + target)


@tap.case("a guest that claims the gateway's address changes nothing")
def _():
    with Session() as wire:
        for target in (rig.GATEWAY6, nd.GATEWAY_LL):
            wire.send(nd.advertisement(target))
        wire.send(frames.echo6())
        tap.ok(wire.expect(lambda p: p.proto == frames.ICMP6 and
                           p.type == 129), "no answer of the gateway's")


@tap.case("any address of the prefix is the guest's; others are dropped")
def _():
    with WORLD.server.udp(rig.SERVER6) as server, Session() as wire:
        port = rig.port_of(server)
        for source in (rig.GUEST6, SLAAC, rig.PREFIX6 + "dead:beef:1:2"):
            wire.send(frames.datagram(b"in", 4000, port, source, rig.SERVER6))
            data, client = server.recvfrom(100)
            server.sendto(b"back", client)
            reply = wire.expect(lambda p: p.proto == frames.UDP)
            tap.equal((reply.ip_dst, reply.data), (source, b"back"), "reply")
        for source in ("2001:db8:1::99", "fd53:4d01::2", rig.GATEWAY6,
                       rig.SERVER6, nd.GUEST_LL, "::1", "::", "ff02::1"):
            wire.send(frames.datagram(b"out", 4001, port, source,
                                      rig.SERVER6))
        wire.send(frames.datagram(b"last", 4002, port, rig.GUEST6,
                                  rig.SERVER6))
        tap.equal(server.recv(100), b"last", "what came after them")


@tap.case("who has the address of the link alone is told that it leads nowhere")
def _():
    with Guest(), GUEST.socket(family=rig.family_of(rig.SERVER6)) as sock:
        sock.settimeout(5)
        sock.bind(rig.endpoint(GUEST.scoped(nd.GUEST_LL), 0))
        tap.raises([errno.EHOSTUNREACH], sock.connect, (rig.SERVER6, 7000))


@tap.case("extension headers are dropped")
def _():
    with WORLD.server.udp(rig.SERVER6) as server, Session() as wire:
        port = rig.port_of(server)
        packet = frames.udp(b"x", 4003, port, rig.GUEST6, rig.SERVER6)
        for header in (0, 43, 60):
            body = bytes([frames.UDP, 0, 1, 4, 0, 0, 0, 0]) + packet
            wire.send(frames.whole(body, header, rig.GUEST6, rig.SERVER6))
        wire.send(frames.whole(packet, frames.UDP, rig.GUEST6, rig.SERVER6))
        tap.equal(server.recv(100), b"x", "the plain one")
        server.settimeout(0.1)
        tap.raises([None], server.recv, 100)


@tap.case("DHCPv6 leases the one address, in two steps and in one")
def _():
    with Session() as wire:
        client = nd.Dhcp6(wire)
        tap.in_time(ANSWER_LIMIT_S, client.exchange, nd.SOLICIT, nd.ia_na())
        kind, answer = client.exchange(nd.SOLICIT, nd.ia_na())
        tap.equal(kind, nd.ADVERTISE, "answer to SOLICIT")
        tap.equal(client.address(answer)[0], rig.GUEST6, "address")
        server = nd.option(nd.SERVER_ID, answer[nd.SERVER_ID])
        kind, answer = client.exchange(
            nd.REQUEST, server, nd.ia_na(nd.ia_address(rig.GUEST6)))
        tap.equal(kind, nd.REPLY, "answer to REQUEST")
        address, preferred, valid = client.address(answer)
        tap.equal(address, rig.GUEST6, "address")
        tap.ok(3600 <= preferred <= valid, "lifetimes %d, %d"
               % (preferred, valid))
        tap.equal(answer[nd.DNS], frames.ip(rig.GATEWAY6), "DNS")
        tap.equal(nd.names(answer[nd.DOMAINS]),
                  ["corp.example", "example.org"], "domains")
        kind, answer = client.exchange(
            nd.RENEW, server, nd.ia_na(nd.ia_address(rig.GUEST6)))
        tap.equal((kind, client.address(answer)[0]), (nd.REPLY, rig.GUEST6),
                  "RENEW")
        kind, answer = client.exchange(
            nd.REBIND, nd.ia_na(nd.ia_address(rig.GUEST6)))
        tap.equal((kind, client.address(answer)[0]), (nd.REPLY, rig.GUEST6),
                  "REBIND")
        kind, _ = client.exchange(
            nd.RELEASE, server, nd.ia_na(nd.ia_address(rig.GUEST6)))
        tap.equal(kind, nd.REPLY, "answer to RELEASE")
        kind, answer = client.exchange(nd.SOLICIT, nd.option(nd.RAPID),
                                       nd.ia_na())
        tap.equal((kind, client.address(answer)[0]), (nd.REPLY, rig.GUEST6),
                  "rapid commit")
        tap.ok(nd.RAPID in answer, "the option is not echoed")


@tap.case("DHCPv6 answers who asks for information alone")
def _():
    with Session() as wire:
        kind, answer = nd.Dhcp6(wire).exchange(nd.INFORMATION)
        tap.equal(kind, nd.REPLY, "type")
        tap.equal(answer[nd.DNS], frames.ip(rig.GATEWAY6), "DNS")
        tap.ok(nd.IA_NA not in answer, "a lease nobody asked for")


@tap.case("the kernel takes an address, a route and the MTU by itself")
def _():
    GUEST.sysctl("ipv6/conf/default/accept_dad", 1)
    GUEST.sysctl("ipv6/conf/default/dad_transmits", 1)
    GUEST.sysctl("ipv6/conf/default/use_tempaddr", 2)
    try:
        with Guest(static=False) as guest:
            guest.wait(lambda: len(guest.addresses()) >= 2, "addresses")
            tap.note(guest.addresses())
            tap.ok(SLAAC + "/64" in guest.addresses(), "no %s" % SLAAC)
            tap.ok(nd.GATEWAY_LL in guest.routes(), guest.routes())
            with GUEST, open("/proc/sys/net/ipv6/conf/eth0/mtu") as file:
                tap.equal(file.read(), "%d\n" % MTU, "MTU")
            with SERVER.listen(rig.SERVER6) as listener:
                sock, server = traffic.pair(GUEST, rig.SERVER6, listener)
                with sock, server:
                    tap.ok(sock.getsockname()[0] not in (SLAAC, rig.GUEST6),
                           "no privacy address")
                    traffic.transfer(sock, server, MIB)
            guest.vmm.check()
    finally:
        for key in ("accept_dad", "dad_transmits", "use_tempaddr"):
            GUEST.sysctl("ipv6/conf/default/" + key, 0)


def contents(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


@tap.case("a real DHCPv6 client gets its lease")
def _():
    client = shutil.which("dhclient")
    if client is None:
        tap.skip("no dhclient: install isc-dhcp-client")
    lease, pid = WORLD.path("lease6"), WORLD.path("dhclient.pid")
    with Guest(static=False) as guest:
        # It asks from there, and does not wait for it.
        guest.wait(lambda: guest.addresses("link"), "no link-local address")
        try:
            done = GUEST.run([client, "-6", "-1", "-v", "-sf", "/bin/true",
                              "-lf", lease, "-pf", pid, "eth0"], timeout=30)
            tap.equal(done.returncode, 0, "dhclient: " + done.stderr)
            # It lets go of its caller before it has written who it is.
            guest.wait(lambda: contents(pid).endswith("\n"),
                       "no pid in " + pid)
        finally:
            if contents(pid).endswith("\n"):
                os.kill(int(contents(pid)), 15)
        with open(lease) as file:
            said = file.read()
        for word in ("iaaddr " + rig.GUEST6, "name-servers " + rig.GATEWAY6,
                     "corp.example"):
            tap.ok(word in said, "no %r in the lease:\n%s" % (word, said))
        guest.vmm.check()


@tap.case("dhcpcd configures both families")
def _():
    client = shutil.which("dhcpcd")
    if client is None:
        tap.skip("no dhcpcd: install dhcpcd-base")
    config = WORLD.path("dhcpcd.conf")
    with open(config, "w") as file:
        file.write("duid\nslaac hwaddr\noption rapid_commit\n"
                   "script /bin/true\nrequire dhcp_server_identifier\n")
    with Guest(static=False) as guest:
        # Its state is in /run and /var/lib; ours must not be the machine's.
        # It forks: what outlives it would configure the next guest's link.
        runner = GUEST.popen(
            ["unshare", "-m", "-p", "-f", "--kill-child", "sh", "-c",
             "mount -t tmpfs none /run && mount -t tmpfs none /var/lib && "
             "mkdir -p /run/dhcpcd /var/lib/dhcpcd5 /var/lib/dhcpcd && "
             "exec %s -B -f %s eth0" % (client, config)],
            stdout=-3, stderr=-3)
        try:
            guest.wait(lambda: any(a.startswith(rig.GUEST6 + "/")
                                   for a in guest.addresses()), "DHCPv6", 15)
            guest.wait(lambda: rig.GUEST in GUEST.run(
                ["ip", "-4", "addr", "show", "dev", "eth0"]).stdout,
                "DHCPv4", 15)
            tap.note(guest.addresses())
            with SERVER.listen(rig.SERVER6) as listener:
                sock, server = traffic.pair(GUEST, rig.SERVER6, listener)
                sock.close()
                server.close()
        finally:
            runner.kill()
            runner.wait()


@tap.case("20 MiB pass unchanged, out and in, both ways")
def _():
    with Guest(), SERVER.listen(rig.SERVER6) as outside, \
            GUEST.listen("::", 80) as inside:
        for client, address, listener, port in (
                (GUEST, rig.SERVER6, outside, None),
                (HOST, "::1", inside, 8080)):
            for upwards in (True, False):
                ends = traffic.pair(client, address, listener, port)
                with ends[0], ends[1]:
                    traffic.transfer(*(ends if upwards else ends[::-1]),
                                     20 * MIB)


@tap.case("the guest of a published port sees the gateway's IPv6 address")
def _():
    # Whoever has said nothing of its address is reached over IPv4.
    for wait_dad in (0, 1):
        GUEST.sysctl("ipv6/conf/default/accept_dad", wait_dad)
        GUEST.sysctl("ipv6/conf/default/dad_transmits", wait_dad)
        with Guest(static=not wait_dad) as guest:
            guest.wait(lambda: SLAAC + "/64" in guest.addresses(), "address")
            with GUEST.listen("::", 80) as inside:
                client, server = traffic.pair(HOST, "::1", inside, 8080)
                with client, server:
                    tap.equal(server.getpeername()[0],
                              rig.GATEWAY6 if wait_dad
                              else "::ffff:" + rig.GATEWAY, "peer")
    for key in ("accept_dad", "dad_transmits"):
        GUEST.sysctl("ipv6/conf/default/" + key, 0)


@tap.case("a segment of an old connection does not change where clients of a "
          "published port are sent")
def _():
    # A kernel sends those from addresses that it has no more.
    with Session() as wire:
        wire.send(frames.echo6(src=SLAAC))
        tap.ok(wire.expect(lambda p: p.proto == frames.ICMP6
                           and p.ip_dst == SLAAC), "no echo")
        wire.send(frames.segment(40000, 80, src=rig.PREFIX6 + "dead",
                                 dst=rig.SERVER6, seq=7, ack=9,
                                 flags=frames.ACK))
        tap.ok(wire.expect(lambda p: p.proto == frames.TCP
                           and p.dport == 40000), "no reset")
        with HOST.connect("::1", 8080):
            syn = wire.expect(lambda p: p.proto == frames.TCP
                              and p.dport == 80)
            tap.equal(syn.ip_dst, SLAAC, "whom the client is sent to")


@tap.case("connections that fail do so at once, and say why")
def _():
    with Guest():
        for address, port, wanted in (
                (rig.SERVER6, 9, [errno.ECONNREFUSED]),
                (rig.UNREACHABLE6, 80, [errno.ECONNREFUSED, errno.EHOSTUNREACH,
                                        errno.ENETUNREACH]),
                (rig.GATEWAY6, 80, [errno.ECONNREFUSED])):
            tap.note(address)
            tap.in_time(0.5, tap.raises, wanted, GUEST.connect, address, port)


@tap.case("half-closes and resets pass both ways")
def _():
    with Guest(), SERVER.listen(rig.SERVER6) as listener:
        guest, server = traffic.pair(GUEST, rig.SERVER6, listener)
        with guest, server:
            guest.shutdown(1)
            tap.equal(server.recv(1), b"", "the guest's end")
            traffic.transfer(server, guest, MIB)
        for turn in range(2):
            ends = traffic.pair(GUEST, rig.SERVER6, listener)
            traffic.greet_ends(*ends)
            rig.reset(ends[turn])
            tap.raises([errno.ECONNRESET], ends[1 - turn].recv, 1)
            ends[1 - turn].close()


@tap.case("the outside and the gateway answer pings")
def _():
    if shutil.which("ping") is None:
        tap.skip("no ping: install iputils-ping")
    with Guest():
        for address in (rig.SERVER6, rig.GATEWAY6,
                        nd.GATEWAY_LL + "%eth0"):
            done = GUEST.run(["ping", "-6", "-n", "-c", "3", "-i", "0.1",
                              "-s", "3000", address])
            tap.equal(done.returncode, 0, done.stdout + done.stderr)


def denied(address):
    """No SYN, no datagram and no echo of it on the wire; fails fast."""
    sniffer = SERVER.sniffer("s0")
    tap.in_time(0.5, tap.raises, REJECTED, GUEST.connect, address, 7000)
    with HOST.udp(rig.HOST6) as sock:
        sock.sendto(b"marker", (rig.SERVER6, 6999))
    while True:
        packet = frames.Packet(sniffer.recv(65535))
        if packet.proto == frames.UDP and packet.dport == 6999:
            break
        tap.ok(packet.proto != frames.TCP, "%s: %s" % (
            address, packet.frame.hex()))
    sniffer.close()


@tap.case("the floor holds in IPv6, in every form of an address")
def _():
    with Guest():
        for name, address in {**rig.FORBIDDEN6, **rig.PRIVATE6,
                              "the host's own": rig.HOST6}.items():
            tap.note("%s: %s" % (name, address))
            denied(address)


@tap.case("a host that forwards is not reached by its link's anycast address")
def _():
    HOST.sysctl("ipv6/conf/all/forwarding", 1)
    with Guest(), HOST.udp("::", timeout_s=0.3) as service:
        port = rig.port_of(service)
        with datagrams.connected(GUEST, ANYCAST, port, errors=True) as sock:
            sock.send(b"x")
            tap.equal(datagrams.error_of(sock)[0], errno.EACCES, "errno")
        tap.raises([None], service.recv, 100)
        with HOST.udp("::") as sock:
            sock.sendto(b"x", (ANYCAST, port))
        tap.equal(service.recv(100), b"x", "what the host sends itself")
    HOST.sysctl("ipv6/conf/all/forwarding", 0)


def join_anycast(sock, address):
    with HOST:
        link = socket.if_nametoindex("h0")
    sock.setsockopt(socket.IPPROTO_IPV6, IPV6_JOIN_ANYCAST,
                    socket.inet_pton(socket.AF_INET6, address)
                    + link.to_bytes(4, sys.byteorder))


@tap.case("an address that is the host's by a route alone is refused, and one "
          "that a program of its has joined")
def _():
    by_loopback, by_link = "2001:db8:77::/64", "2001:db8:78::/64"
    joined = "2001:db8:1::77"
    HOST.ip("route add local %s dev lo" % by_loopback)
    HOST.ip("route add local %s dev h0" % by_link)
    with Guest(), HOST.listen("::", 7000), \
            HOST.udp("::", 7000, timeout_s=0.2) as service, \
            HOST.udp("::") as program:
        for address in ("2001:db8:77::5", "2001:db8:78::5", joined):
            tap.note(address)
            if address == joined:
                join_anycast(program, joined)
            denied(address)
            with datagrams.connected(GUEST, address, 7000,
                                     errors=True) as sock:
                sock.send(b"x")
                tap.equal(datagrams.error_of(sock)[0], errno.EACCES, "errno")
            tap.raises([None], service.recv, 100)
        with HOST.udp("::") as sock:
            sock.sendto(b"x", (joined, 7000))
        tap.equal(service.recv(100), b"x", "what the host sends itself")
    HOST.ip("route del local %s dev lo" % by_loopback)
    HOST.ip("route del local %s dev h0" % by_link)


@tap.case("what a host without IPv6 cannot reach is not called its own")
def _():
    world = rig.World()
    world.host.sysctl("ipv6/conf/all/disable_ipv6", 1)
    car = sidecar.Sidecar(world)
    wire = frames.Wire(car.path)
    wire.alive()
    for number, (src, dst) in enumerate(((rig.GUEST6, rig.SERVER6),
                                         (rig.GUEST, rig.HOST))):
        wire.send(frames.segment(41000 + number, 7000, src, dst, seq=1))
    car.log.wait("denied tcp %s" % rig.HOST.replace(".", r"\."))
    tap.equal(car.log.find(r"denied tcp \["), [], "what was denied before")
    wire.close()
    car.terminate()
    world.close()


@tap.case("forms that only a hostile guest sends are denied as well")
def _():
    with Session() as wire:
        for number, address in enumerate((
                "::ffff:169.254.169.254", "::ffff:10.1.2.3",
                "::ffff:127.0.0.1", "::1", "fe80::1", nd.GUEST_LL,
                "ff02::1", "::127.0.0.1", "2002:7f00:1::1",
                "64:ff9b::7f00:1")):
            sniffer = SERVER.sniffer("s0")
            wire.send(frames.segment(41000 + number, 7000, rig.GUEST6,
                                     address, seq=1))
            wire.send(frames.datagram(b"x", 41000, 7000, rig.GUEST6, address))
            reply = wire.expect(lambda p: p.proto == frames.TCP, 0.3)
            tap.ok(reply is None or reply.flags & frames.RST, "%s: SYN-ACK"
                   % address)
            with HOST.udp(rig.HOST6) as sock:
                sock.sendto(b"marker", (rig.SERVER6, 6999))
            packet = frames.Packet(sniffer.recv(65535))
            while packet.proto != frames.UDP or packet.dport != 6999:
                tap.ok(packet.proto not in (frames.TCP, frames.UDP),
                       "%s: %s" % (address, packet.frame.hex()))
                packet = frames.Packet(sniffer.recv(65535))
            sniffer.close()


@tap.case("--no-ipv6 offers none and takes none")
def _():
    car = sidecar.Sidecar(WORLD, "--no-ipv6")
    with SERVER.udp(rig.SERVER6) as server, Session(car) as wire:
        wire.alive()
        wire.send(nd.router_solicitation())
        wire.send(nd.solicitation(rig.GATEWAY6))
        wire.send(frames.echo6())
        wire.send(frames.datagram(b"x", 4000, rig.port_of(server), rig.GUEST6,
                                  rig.SERVER6))
        tap.equal(wire.expect(lambda p: p.kind == frames.ETH_IP6, 0.3), None,
                  "an IPv6 frame")
        tap.equal(nd.Dhcp6(wire).exchange(nd.SOLICIT, nd.ia_na(),
                                          timeout_s=0.3), None, "DHCPv6")
        server.settimeout(0.1)
        tap.raises([None], server.recv, 1)
        wire.alive()
    car.terminate()


@tap.case("UDP and its errors pass while IPv4 does as well")
def _():
    with Guest(), SERVER.udp(rig.SERVER6) as server:
        datagrams.echo_server(server)
        with datagrams.connected(GUEST, rig.SERVER6,
                                 rig.port_of(server)) as sock:
            for size in (1, 1432, 1433, 20000):
                sock.send(bytes(size))
                tap.equal(len(sock.recv(65536)), size, "bytes")
        with SERVER.listen(rig.SERVER) as listener:
            sock, end = traffic.pair(GUEST, rig.SERVER, listener)
            with sock, end:
                traffic.transfer(sock, end, MIB)


tap.run(sidecar.tell(CAR))
