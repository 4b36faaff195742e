"""Who is measured: each in front of the same guest, server and network.

A contender has a name, says its version, gives the path of a frame socket to
the VMM's stand-in, and knows its processes, whose time is counted.  A veth
pair in place of all of them is the ceiling: no gateway at all.
"""

import os
import re
import subprocess
import time

import sidecar
import tap
import world as rig

RESOLVER = rig.SERVER + ":53"
UNLIMITED = ("--connect-rate", "1000000", "--max-pending", "4096")


def tree(pid):
    """A process and all that came of it."""
    found, left = [], [pid]
    while left:
        pid = left.pop()
        found.append(pid)
        try:
            path = "/proc/%d/task/%d/children" % (pid, pid)
            with open(path) as file:
                left += [int(word) for word in file.read().split()]
        except FileNotFoundError:
            pass
    return found


class Contender:
    """In a world of its own, with a guest attached."""

    resolver = rig.GATEWAY  # whom the guest asks; None: not as we need it
    floor = None  # what floor.c is told in place of a gateway

    def __init__(self, mtu, flows=1024, publish=False):
        self.world = rig.World()
        self.guest, self.server = self.world.guest, self.world.server
        self.server_address = rig.SERVER
        self.mtu, self.flows, self.publish = mtu, flows, publish
        try:
            self.start()
            self.attach()
        except BaseException:
            self.close()
            raise

    def attach(self):
        self.vmm = sidecar.Vmm(self.world, self.path, mtu=self.mtu)

    def close(self):
        self.world.close()

    def pids(self):
        return tree(self.program.pid)

    def cpu_s(self):
        """Processor time so far, user and system, of all its threads."""
        total = 0
        for pid in self.pids():
            for task in os.listdir("/proc/%d/task" % pid):
                path = "/proc/%d/task/%s/schedstat" % (pid, task)
                with open(path) as file:
                    total += int(file.read().split()[0])
        return total / 1e9

    def pss_kib(self):
        total = 0
        for pid in self.pids():
            try:
                total += sidecar.pss_kib(pid)
            except ProcessLookupError:
                pass  # it has ended, and is not reaped: passt has one
        return total


class Sallyport(Contender):
    name = "sallyport"
    plane = "lend"

    @staticmethod
    def version():
        return subprocess.run([sidecar.SALLYPORT, "--version"], text=True,
                              capture_output=True, check=True).stdout.strip()

    def start(self):
        publish = ["-p", "8080:80"] if self.publish else []
        self.program = sidecar.Sidecar(
            self.world, "--mtu", str(self.mtu), "--max-flows",
            str(self.flows), "--relay", self.plane, "--dns", RESOLVER,
            *publish, *UNLIMITED)
        self.path = self.program.path


class Spliced(Sallyport):
    """The other data plane."""
    name = "sallyport (splice)"
    plane = "splice"


class Passt(Contender):
    """Debian's package, or with passt_at() another build of it."""
    name = "passt"
    binary = "passt"
    forward = ()
    resolver = None  # it asks the host's, which are none of ours

    @classmethod
    def version(cls):
        done = subprocess.run([cls.binary, "--version"], text=True,
                              capture_output=True)
        return done.stdout.split("\n")[0] or "of unknown version"

    def start(self):
        os.chmod(self.world.dir, 0o777)  # it drops to nobody, then binds
        self.path = self.world.path("passt.sock")
        self.program = sidecar.Program(self.world, [
            self.binary, "-f", "-q", "-4", "-i", "h0", "-s", self.path, "-a",
            rig.GUEST, "-n", "30", "-g", rig.GATEWAY, "-m", str(self.mtu),
            *self.forward,
            *(["-t", "127.0.0.1/8080:80"] if self.publish else [])])
        deadline = time.monotonic() + 10
        while not self.world.host.has_listener(self.path):
            tap.ok(time.monotonic() < deadline and
                   self.program.process.poll() is None,
                   "passt does not start: %s" % self.program.log.lines)
            time.sleep(0.01)


def passt_at(path):
    version = subprocess.run([path, "--version"], text=True,
                             capture_output=True, check=True).stdout
    date = re.search(r"\d{8}", version)

    said = subprocess.run([path, "--help"], text=True, capture_output=True)

    class Other(Passt):
        name = "passt " + (date.group(0) if date else "(given)")
        binary = path
        if "--dns-host" in said.stdout + said.stderr:
            resolver = rig.GATEWAY
            forward = ("--dns-forward", rig.GATEWAY, "--dns-host", rig.SERVER)

    return Other


class Slirp(Contender):
    """Debian's slirp4netns, which makes the guest's card itself."""
    name = "slirp4netns"
    resolver = None

    @staticmethod
    def version():
        done = subprocess.run(["slirp4netns", "--version"], text=True,
                              capture_output=True)
        return done.stdout.split("\n")[0] or "of unknown version"

    def start(self):
        if self.publish:
            raise tap.Failure("it publishes by another way")
        ready, ready_write = os.pipe()
        self.program = sidecar.Program(self.world, [
            "slirp4netns", "--configure", "--mtu=%d" % self.mtu,
            "--ready-fd=%d" % ready_write, "--netns-type=path",
            "/proc/%d/fd/%d" % (os.getpid(), self.guest.fd), "eth0"],
            pass_fds=[ready_write])
        os.close(ready_write)
        with os.fdopen(ready, "rb", 0) as file:
            tap.ok(file.read(1) == b"1", "slirp4netns does not start: %s"
                   % self.program.log.lines)

    def attach(self):
        self.guest.ip("link set eth0 txqueuelen 20000\n"
                      "route replace default via 10.0.2.2" + rig.CUBIC)


class Veth(Contender):
    """The guest on a wire to the server's host: what the machine can do."""
    name = "veth"
    resolver = rig.GATEWAY  # the server itself

    @staticmethod
    def version():
        return "a veth pair, nothing between"

    def start(self):
        self.program = None

    def attach(self):
        self.guest.ip("link add eth0 mtu %d type veth peer name e1 mtu %d"
                      % (self.mtu, self.mtu))
        self.guest.run(["ip", "link", "set", "e1", "netns",
                        "/proc/%d/fd/%d" % (os.getpid(), self.server.fd)],
                       pass_fds=[self.server.fd])
        self.guest.ip("addr add %s/30 dev eth0\nlink set eth0 up\n"
                      % rig.GUEST)
        self.server.ip("addr add %s/30 dev e1\nlink set e1 up\n"
                       % rig.GATEWAY)
        self.guest.ip("route replace default via %s" % rig.GATEWAY
                      + rig.CUBIC)

    def pids(self):
        return []


class Copies(Contender):
    """No gateway and no guest: what a byte costs whoever reads, sums and
    writes it (floor.c).  For one stream down."""
    name = "copies"
    floor = "copy"

    @classmethod
    def version(cls):
        return "floor %s: no gateway, only its reads and writes" % cls.floor

    def start(self):
        self.program = None

    def attach(self):
        pass

    def pids(self):
        return []


class Pages(Copies):
    """The same, the second copy spared by splice(2)."""
    name = "pages"
    floor = "splice"


DEFAULT = {each.name: each for each in (
    Sallyport, Spliced, Passt, Slirp, Veth, Copies, Pages)}
