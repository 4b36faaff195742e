"""A small internet in three network namespaces.

    guest                host                         server
    eth0 (TAP) ~stream~ sallyport   h0 ---veth--- s0
    100.96.0.2/30        203.0.113.2/24               203.0.113.1/24
                                                      198.51.100.0/24
                                                      private, metadata ...

The guest's TCP is the kernel's own.  The namespaces have no names: they live
as long as this process holds them, so that nothing is left behind however it
ends, and worlds run side by side.  A socket stays in the namespace it was
made in, so one test process holds the guest's, the host's and the server's.

Addresses that nothing answers:
    198.51.100.66   dropped on the way, in silence
    198.51.100.77   unreachable for the host at once
    203.0.113.77    on the link, but nobody is there
    198.51.100.88   a router behind the host says that there is no way
    198.51.100.89   ... that it is prohibited
    198.51.100.140  ... that the path takes 1400 bytes

World(ip6=True) has the same in IPv6, 2001:db8:1::/64 between host and server.
The guest's card is then an IPv6 one as well, configured by what it hears.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import tap

GUEST = "100.96.0.2"
GATEWAY = "100.96.0.1"
HOST = "203.0.113.2"
SERVER = "203.0.113.1"
SERVER2 = "198.51.100.1"
FILTERED = "198.51.100.66"
UNREACHABLE = "198.51.100.77"
NOBODY = "203.0.113.77"
FAR_UNREACHABLE = "198.51.100.88"
FAR_PROHIBITED = "198.51.100.89"
FAR_NARROW = "198.51.100.140"
NARROW = "198.51.100.14"  # the host's own route has an MTU of 1400
NARROW_MTU = 1400

PREFIX6 = "fd53:4d00::"
GUEST6 = "fd53:4d00::2"
GATEWAY6 = "fd53:4d00::1"
HOST6 = "2001:db8:1::2"
SERVER6 = "2001:db8:1::1"
SERVER6_2 = "2001:db8:2::1"
FILTERED6 = "2001:db8:66::1"
UNREACHABLE6 = "2001:db8:77::1"
NOBODY6 = "2001:db8:1::77"
FAR_UNREACHABLE6 = "2001:db8:88::1"
FAR_PROHIBITED6 = "2001:db8:89::1"
FAR_NARROW6 = "2001:db8:140::1"
NARROW6 = "2001:db8:14::1"

GUEST_MAC = "02:53:4d:00:00:02"
GATEWAY_MAC = "02:53:4d:00:00:01"

# What the floor and the private ranges keep a guest from, all of them
# answered by the server: a connection that gets there is a hole.
FORBIDDEN = {
    "link-local metadata": "169.254.169.254",
    "link-local": "169.254.7.7",
    "Azure's metadata": "168.63.129.16",
    "Alibaba's metadata": "100.100.100.200",
    "IETF protocol assignments": "192.0.0.7",
    "benchmarking": "198.18.0.7",
    "reserved": "240.0.0.7",
}
PRIVATE = {
    "10/8": "10.1.2.3",
    "172.16/12": "172.16.4.5",
    "192.168/16": "192.168.7.8",
    "100.64/10": "100.64.9.9",
}

FORBIDDEN6 = {
    "AWS metadata": "fd00:ec2::254",
    "NAT64 of metadata": "64:ff9b::a9fe:a9fe",
    "NAT64 of a private address": "64:ff9b::a01:203",
    "local-use NAT64": "64:ff9b:1::a9fe:a9fe",
    "6to4 of metadata": "2002:a9fe:a9fe::1",
    "Teredo": "2001:0:cb00:7101::1",
    "site-local": "fec0::7",
    "v4-compatible metadata": "::a9fe:a9fe",
    "IPv4-translated": "::ffff:0:a9fe:a9fe",
}
PRIVATE6 = {"fc00::/7": "fd12:3456:789a::7"}

# Named on each route: the sysctl admits in a namespace only what the machine
# lets everybody use, and its default (often bbr) would distort every figure.
CUBIC = " congctl cubic"
UNIX_LISTENS = "00010000"  # __SO_ACCEPTCON

SYSCTLS = {
    "ipv4/tcp_rmem": "4096 131072 6291456",
    "ipv4/ip_forward": "0",
    "ipv6/conf/default/disable_ipv6": "1",
}
# No waiting for duplicates; a test that wants them asks for it.
SYSCTLS6 = {
    "ipv6/conf/default/disable_ipv6": "0",
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/default/dad_transmits": "0",
    "ipv6/conf/all/disable_ipv6": "0",
}
SO_RCVBUFFORCE = 33
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *args):
    if getattr(_libc, name)(*args) == -1:
        error = ctypes.get_errno()
        raise OSError(error, "%s: %s" % (name, os.strerror(error)))


def die_with_parent():
    """For preexec_fn: nothing outlives the test, not even its SIGKILL."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Namespace:
    """A network namespace; `with` moves the calling thread into it."""

    def __init__(self, name, ip6=False):
        self.name = name
        self._entered = threading.local()
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _call("unshare", CLONE_NEWNET)
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            for key, value in {**SYSCTLS, **(SYSCTLS6 if ip6 else {})}.items():
                with open("/proc/sys/net/" + key, "w") as file:
                    file.write(value)
            self._ip("link set lo up\n")
        finally:
            _call("setns", before, CLONE_NEWNET)
            os.close(before)

    @staticmethod
    def _ip(batch):
        subprocess.run(["ip", "-batch", "-"], input=batch, text=True,
                       check=True, capture_output=True)

    def __enter__(self):
        stack = self._entered.__dict__.setdefault("stack", [])
        stack.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        _call("setns", self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        before = self._entered.stack.pop()
        _call("setns", before, CLONE_NEWNET)
        os.close(before)

    def ip(self, *lines):
        """Runs lines of ip(8), the word "ip" left out."""
        with self:
            self._ip("\n".join(lines) + "\n")

    def sysctl(self, key, value):
        """Sets net.<key>, its dots being slashes."""
        with self, open("/proc/sys/net/" + key, "w") as file:
            file.write(str(value))

    def run(self, argv, **options):
        with self:
            return subprocess.run(argv, text=True, capture_output=True,
                                  preexec_fn=die_with_parent, **options)

    def popen(self, argv, **options):
        with self:
            return subprocess.Popen(argv, preexec_fn=die_with_parent,
                                    **options)

    def socket(self, kind=socket.SOCK_STREAM, family=socket.AF_INET, proto=0):
        with self:
            return socket.socket(family, kind, proto)

    def connect(self, address, port, timeout_s=30, source_port=0):
        """A connected TCP socket, or the OSError that connecting gave."""
        sock = self.socket(family=family_of(address))
        try:
            sock.settimeout(timeout_s)
            if source_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(("", source_port))
            sock.connect(endpoint(address, port))
        except BaseException:
            sock.close()
            raise
        return sock

    def scoped(self, address, device="eth0"):
        """A link-local address with the number of its device."""
        with self:
            return "%s%%%d" % (address, socket.if_nametoindex(device))

    def listen(self, address="", port=0, backlog=2048):
        sock = self.socket(family=family_of(address))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(backlog)
        sock.settimeout(30)
        return sock

    def udp(self, address="0.0.0.0", port=0, timeout_s=10):
        """A bound UDP socket with room for a burst."""
        sock = self.socket(socket.SOCK_DGRAM, family_of(address))
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        sock.bind((address, port))
        sock.settimeout(timeout_s * tap.scale())
        return sock

    def has_listener(self, path):
        """Whether somebody listens at a socket's path, which may be there
        before."""
        with self, open("/proc/thread-self/net/unix") as file:
            return any(words[3] == UNIX_LISTENS and words[-1] == path
                       for words in (line.split() for line in file))

    def sniffer(self, device):
        """A packet socket that sees every frame of one device."""
        with self:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                 socket.htons(3))
            sock.bind((device, 0))
        sock.settimeout(10 * tap.scale())
        return sock


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def endpoint(address, port):
    """As connect(2) takes it: the device of scoped() apart."""
    address, _, device = address.partition("%")
    return (address, port, 0, int(device)) if device else (address, port)


def port_of(sock):
    return sock.getsockname()[1]


def reset(sock):
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def thread(function, *args):
    """A started thread; join() returns what function did, or raises it."""
    class Worker(threading.Thread):
        result = None
        error = None

        def run(self):
            try:
                self.result = function(*args)
            except BaseException as error:
                self.error = error

        def join(self, timeout=None):
            super().join(timeout)
            if self.is_alive():
                raise TimeoutError("a thread is still at work")
            if self.error is not None:
                raise self.error
            return self.result

    worker = Worker(daemon=True)
    worker.start()
    return worker


def need_privileges():
    """Ends the script with a printed reason where no world can be made."""
    if os.geteuid() != 0:
        tap.skip_all("network namespaces need root")
    if shutil.which("ip") is None:
        tap.skip_all("no ip(8): install iproute2")
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        tap.skip_all("/dev/net/tun: %s" % error.strerror)
    try:
        os.close(Namespace("probe").fd)
    except OSError as error:
        tap.skip_all("no network namespace: %s" % error)
    except subprocess.CalledProcessError as error:
        tap.skip_all("ip(8): %s" % error.stderr)


class World:
    """The three namespaces and a directory, gone when it is closed."""

    def __init__(self, ip6=False):
        self.ip6 = ip6
        self.dir = tempfile.mkdtemp(prefix="sallyport-")
        os.chmod(self.dir, 0o755)
        self._exit = contextlib.ExitStack()
        self._exit.callback(shutil.rmtree, self.dir, ignore_errors=True)
        tap.at_end(self.close)
        self.guest = Namespace("guest", ip6)
        self.host = Namespace("host", ip6)
        self.server = Namespace("server", ip6)
        others = [SERVER2, NARROW, *FORBIDDEN.values(), *PRIVATE.values()]
        pid = os.getpid()
        self.host.ip("link add h0 mtu 65535 type veth peer name s0"
                     " mtu 65535 netns /proc/%d/fd/%d"
                     % (pid, self.server.fd))
        self.server.ip("addr add %s/24 dev s0 noprefixroute" % SERVER,
                       *("addr add %s/32 dev lo" % a for a in others),
                       "link set s0 up",
                       "route add 203.0.113.0/24 dev s0" + CUBIC)
        self.host.ip("addr add %s/24 dev h0 noprefixroute" % HOST,
                     "link set h0 up",
                     "route add 203.0.113.0/24 dev h0" + CUBIC,
                     "route add default via %s" % SERVER + CUBIC,
                     "route add unreachable %s" % UNREACHABLE,
                     "route add %s via %s mtu %d"
                     % (NARROW, SERVER, NARROW_MTU))
        if ip6:
            self._add_ip6()

    def _add_ip6(self):
        others = [SERVER6_2, NARROW6, *FORBIDDEN6.values(),
                  *PRIVATE6.values()]
        self.server.ip("addr add %s/64 dev s0 nodad" % SERVER6,
                       *("addr add %s/128 dev lo nodad" % a for a in others))
        self.host.ip("addr add %s/64 dev h0 nodad" % HOST6,
                     "route add unreachable %s" % UNREACHABLE6,
                     "route add %s via %s mtu %d"
                     % (NARROW6, SERVER6, NARROW_MTU))
        self.route6("add")

    def route6(self, verb):
        """Gives the host its way to the IPv6 internet, or takes it: "del"."""
        self.host.ip("route %s default via %s dev h0" % (verb, SERVER6)
                     + (CUBIC if verb == "add" else ""))

    def add_router(self):
        """Makes the server a router that has no way to some addresses."""
        self.server.ip("link add narrow mtu %d type veth peer name sink"
                       % NARROW_MTU,
                       "link set narrow up",
                       "link set sink up",
                       "route add %s dev narrow" % FAR_NARROW,
                       "neigh add %s lladdr %s dev narrow"
                       % (FAR_NARROW, GUEST_MAC),
                       "route add blackhole %s" % FILTERED,
                       "route add unreachable %s" % FAR_UNREACHABLE,
                       "route add prohibit %s" % FAR_PROHIBITED)
        self.server.sysctl("ipv4/ip_forward", 1)
        self.server.sysctl("ipv4/icmp_ratemask", 0)
        if not self.ip6:
            return
        self.server.ip("route add %s dev narrow" % FAR_NARROW6,
                       "neigh add %s lladdr %s dev narrow"
                       % (FAR_NARROW6, GUEST_MAC),
                       "route add blackhole %s" % FILTERED6,
                       "route add unreachable %s" % FAR_UNREACHABLE6,
                       "route add prohibit %s" % FAR_PROHIBITED6)
        self.server.sysctl("ipv6/conf/all/forwarding", 1)
        self.server.sysctl("ipv6/icmp/ratelimit", 0)

    def path(self, name):
        return os.path.join(self.dir, name)

    def closing(self, function, *args):
        """Calls function when the world ends, last come first."""
        self._exit.callback(function, *args)

    def close(self):
        self._exit.close()

    def guest_configure(self):
        """Addresses the guest's card, as DHCP would, but at once."""
        self.guest.ip("addr replace %s/30 dev eth0 noprefixroute" % GUEST,
                      "route replace 100.96.0.0/30 dev eth0" + CUBIC,
                      "route replace default via %s" % GATEWAY + CUBIC)
        if self.ip6:
            self.guest_configure6()

    def guest_configure6(self):
        """The same in IPv6: addresses and routes by hand, at once."""
        self.guest.ip("addr replace %s/64 dev eth0 nodad" % GUEST6,
                      "route replace default via %s dev eth0 metric 1"
                      % GATEWAY6 + CUBIC)
