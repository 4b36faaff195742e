"""The three networks that are compared, each in front of the same internet.

Every one of them is started as its manual tells a user to, with nothing
forbidden and nothing allowed beyond its defaults, and publishes port 8080
of the host's loopback as the guest's port 80, TCP and UDP.
"""

import json
import os
import shutil
import socket
import subprocess
import time

import sidecar
import tap
import world as rig

MTU = 1500
DISCARD_PORT = 9
PUBLISHED = 8080
GUEST_PORT = 80
SERVER6 = "2001:db8:113::1"
HOST6 = "2001:db8:113::2"
UNREACHABLE6 = "2001:db8:51::77"
FEW_ETC = ("passwd", "group", "nsswitch.conf", "hosts", "ld.so.cache",
           "services", "protocols", "localtime")


def sysctl(ns, key, value):
    with ns, open("/proc/sys/net/" + key, "w") as file:
        file.write(value)


def ip6(ns, *lines):
    """As Namespace.ip(), for what only ip -6 understands."""
    done = ns.run(["ip", "-6", "-batch", "-"], input="\n".join(lines) + "\n")
    tap.equal(done.returncode, 0, "ip -6: %s" % done.stderr)


class Contender:
    """A world with one network in front of its guest.

    ipv6 gives it to all three namespaces; resolvers are the host's name
    servers; ping says whether the host's users may have ping sockets.
    """

    name = None
    address, gateway, bits = rig.GUEST, rig.GATEWAY, 30
    dns = rig.GATEWAY
    address6, gateway6 = "fd53:4d00::2", "fd53:4d00::1"
    device = "eth0"
    offload = True  # frames come from a VMM, whose guest need not sum them

    def __init__(self, ipv6=False, resolvers=(rig.SERVER,), ping=True):
        self.world = rig.World()
        self.guest = self.world.guest
        self.host = self.world.host
        self.server = self.world.server
        self.ipv6 = ipv6
        self.mac = rig.GUEST_MAC
        self._etc(resolvers)
        sysctl(self.host, "ipv4/ping_group_range",
               "0 2147483647" if ping else "1 0")
        if ipv6:
            self._make_ipv6()
        self.program = self.start()
        self.attach()
        if ipv6:
            self.guest_configure6()
        self._first_word()

    # The world

    def _etc(self, resolvers):
        """A small /etc of the contender's own."""
        os.mkdir(self.world.path("etc"))
        for name in FEW_ETC:
            if os.path.exists("/etc/" + name):
                shutil.copy("/etc/" + name, self.world.path("etc"))
        self.resolv_conf(resolvers)

    def resolv_conf(self, resolvers):
        with open(self.world.path("etc/resolv.conf"), "w") as file:
            file.write("search peers.test\n" + "".join(
                "nameserver %s\n" % address for address in resolvers))

    def wrapper(self, program):
        """A script that runs program over that /etc."""
        path = self.world.path("run")
        with open(path, "w") as file:
            file.write("#!/bin/sh\nexec unshare -m sh -c '"
                       "mount --bind %s /etc && exec %s \"$@\"' sh \"$@\"\n"
                       % (self.world.path("etc"), program))
        os.chmod(path, 0o755)
        return path

    def _make_ipv6(self):
        for ns, device in ((self.host, "h0"), (self.server, "s0")):
            sysctl(ns, "ipv6/conf/%s/disable_ipv6" % device, "0")
            sysctl(ns, "ipv6/conf/%s/accept_ra" % device, "0")
        sysctl(self.guest, "ipv6/conf/default/disable_ipv6", "0")
        sysctl(self.guest, "ipv6/conf/default/accept_ra", "0")
        sysctl(self.guest, "ipv6/conf/default/accept_dad", "0")
        sysctl(self.guest, "ipv6/conf/default/router_solicitations", "0")
        ip6(self.server, "addr add %s/64 dev s0 nodad" % SERVER6)
        ip6(self.host, "addr add %s/64 dev h0 nodad" % HOST6,
            "route add default via %s dev h0" % SERVER6,
            "route add unreachable %s" % UNREACHABLE6)

    def guest_configure(self):
        self.guest.ip(
            "addr replace %s/%d dev %s" % (self.address, self.bits,
                                           self.device),
            "route replace default via %s" % self.gateway + rig.CUBIC)

    def guest_configure6(self):
        ip6(self.guest,
            "addr replace %s/64 dev %s nodad" % (self.address6, self.device),
            "route replace default via %s dev %s" % (self.gateway6,
                                                     self.device))

    def _first_word(self):
        """A guest that has booted has said something: passt, for one, knows
        no MAC address before."""
        with self.guest.socket(socket.SOCK_DGRAM) as sock:
            sock.connect((self.gateway, DISCARD_PORT))
            sock.send(b"hello")
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            done = self.guest.run(["ip", "neigh", "show", self.gateway])
            if "lladdr" in done.stdout:
                return
            time.sleep(0.02)

    # The contender

    def start(self):
        raise NotImplementedError

    def attach(self):
        self.vmm = sidecar.Vmm(self.world, self.path, mtu=MTU,
                               configure=False)
        self.guest_configure()

    def pids(self):
        found, left = [], [self.program.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            path = "/proc/%d/task/%d/children" % (pid, pid)
            with open(path) as file:
                left += [int(word) for word in file.read().split()]
        return found

    def rss_kib(self):
        return sum(sidecar.rss_kib(pid) for pid in self.pids())

    def alive(self):
        return self.program.process.poll() is None


class Sallyport(Contender):
    name = "sallyport"

    @staticmethod
    def version():
        done = subprocess.run([sidecar.SALLYPORT, "--version"], text=True,
                              capture_output=True, check=True)
        return done.stdout.split("\n")[0]

    def start(self):
        publish = "%d:%d" % (PUBLISHED, GUEST_PORT)
        program = sidecar.Sidecar(
            self.world, "-p", publish, "-p", publish + "/udp",
            binary=self.wrapper(os.path.abspath(sidecar.SALLYPORT)))
        self.path = program.path
        return program


class Passt(Contender):
    name = "passt"

    @staticmethod
    def version():
        return "passt " + package("passt")

    def start(self):
        os.chmod(self.world.dir, 0o777)  # it drops to nobody, then binds
        self.path = self.world.path("passt.sock")
        publish = "127.0.0.1/%d:%d" % (PUBLISHED, GUEST_PORT)
        argv = [self.wrapper("passt"), "-f", "-q", "-i", "h0", "-s",
                self.path, "-a", self.address, "-n", str(self.bits), "-g",
                self.gateway, "-m", str(MTU), "-M", rig.GATEWAY_MAC,
                "--dns-forward", self.dns, "-t", publish, "-u", publish]
        if self.ipv6:
            argv += ["-a", self.address6, "-g", self.gateway6]
        program = sidecar.Program(self.world, argv)
        deadline = time.monotonic() + 10
        while not self.host.has_listener(self.path):
            tap.ok(time.monotonic() < deadline and
                   program.process.poll() is None,
                   "passt does not start: %s" % program.log.lines)
            time.sleep(0.01)
        return program


class Slirp(Contender):
    name = "slirp4netns"
    address, gateway, bits = "10.0.2.100", "10.0.2.2", 24
    dns = "10.0.2.3"
    address6, gateway6 = "fd00::100", "fd00::2"
    device = "tap0"
    offload = False

    @staticmethod
    def version():
        return "slirp4netns %s (libslirp %s)" % (package("slirp4netns"),
                                                 package("libslirp0"))

    def start(self):
        api = self.world.path("api.sock")
        ready, ready_write = os.pipe()
        argv = [self.wrapper("slirp4netns"), "--configure",
                "--mtu=%d" % MTU, "--macaddress=" + self.mac,
                "--ready-fd=%d" % ready_write, "--api-socket=" + api,
                "--netns-type=path"]
        argv += ["--enable-ipv6"] if self.ipv6 else []
        argv += ["/proc/%d/fd/%d" % (os.getpid(), self.guest.fd),
                 self.device]
        program = sidecar.Program(self.world, argv, pass_fds=[ready_write])
        os.close(ready_write)
        with os.fdopen(ready, "rb", 0) as file:
            tap.ok(file.read(1) == b"1",
                   "slirp4netns does not start: %s" % program.log.lines)
        for proto in ("tcp", "udp"):
            self._publish(api, proto)
        return program

    def _publish(self, api, proto):
        request = {"execute": "add_hostfwd", "arguments": {
            "proto": proto, "host_addr": "127.0.0.1",
            "host_port": PUBLISHED, "guest_addr": self.address,
            "guest_port": GUEST_PORT}}
        with sidecar.unix_connect(api) as sock:
            sock.sendall(json.dumps(request).encode())
            sock.shutdown(socket.SHUT_WR)
            answer = sock.recv(4096)
        tap.ok(b"return" in answer, "add_hostfwd: %r" % answer)

    def attach(self):
        self.guest_configure()


CONTENDERS = {each.name: each for each in (Sallyport, Passt, Slirp)}


def package(name):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name],
                          text=True, capture_output=True)
    return done.stdout or "of unknown version"
