"""The sidecar under test and the VMM in front of it."""

import collections
import functools
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

import tap
import world as rig

BUILD = os.path.dirname(os.path.abspath(os.environ.get("SALLYPORT", "")))
SALLYPORT = os.environ.get("SALLYPORT")
TAPSHUTTLE = os.environ.get("TAPSHUTTLE",
                            os.path.join(BUILD, "tests/lib/tapshuttle"))
RELAY = os.environ.get("RELAY")  # the data plane, "" or none: the default
READY_LIMIT_S = 10
SPIN_LIMIT = 0.2  # of one processor
FIXED_FDS = 7  # stdio, three channels, epoll
LOG_LINE = re.compile(r"^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\]: \S")


def need():
    """Ends the script with a printed reason where it cannot run."""
    rig.need_privileges()
    for variable, path in (("SALLYPORT", SALLYPORT),
                           ("TAPSHUTTLE", TAPSHUTTLE)):
        if not path or not os.access(path, os.X_OK):
            tap.skip_all("%s=%s is no program" % (variable, path))


@functools.cache
def sanitized():
    """A build with sanitizers keeps stderr, needs other limits, and holds on
    to what is freed: figures of it say nothing about the product."""
    with open(SALLYPORT, "rb") as file:
        return b"__asan_init" in file.read()


class Log:
    """Lines of a descriptor, kept as they come."""

    def __init__(self, file):
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = rig.thread(self._read, file)

    def _read(self, file):
        with file:
            for line in file:
                with self._changed:
                    self.lines.append(line.decode(errors="replace").rstrip())
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def find(self, pattern):
        return [line for line in self.lines if re.search(pattern, line)]

    def wait(self, pattern, timeout_s=10, count=1):
        """Returns the count-th line that matches, or fails."""
        def seen():
            return len(self.find(pattern)) >= count or self._ended
        with self._changed:
            self._changed.wait_for(seen, timeout_s * tap.scale())
            lines = self.find(pattern)
        tap.ok(len(lines) >= count, "no line %r in the log:\n%s"
               % (pattern, "\n".join(self.lines[-10:])))
        return lines[count - 1]

    def all(self):
        """Every line, after the writer has closed its end."""
        self._reader.join(5)
        return self.lines


class Program:
    """A process with its log, started in the host's namespace."""

    def __init__(self, world, argv, ns=None, **options):
        # A lost process must not hold the test's own output open.
        options.setdefault("stdout", subprocess.DEVNULL)
        self.started = time.monotonic()
        self.process = (ns or world.host).popen(
            argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
        self.pid = self.process.pid
        self.log = Log(self.process.stderr)
        world.closing(self.kill)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def wait(self, timeout_s=10):
        """Returns the exit status, negative for a signal."""
        return self.process.wait(timeout_s * tap.scale())


class Sidecar(Program):
    """sallyport, ready.  `how` is "socket" or the fd it inherits;
    fds are inherited as well."""

    latest = None

    def __init__(self, world, *options, how="socket", binary=None, fds=(),
                 **popen):
        self.world = world
        self.path = None
        ready, ready_write = os.pipe()
        fds = [ready_write, *fds]
        argv = [binary or SALLYPORT, "--ready-fd", str(ready_write)]
        if RELAY:
            argv += ["--relay", RELAY]
        if how == "socket":
            self.path = os.path.join(
                world.dir, "vmm-%d.sock" % len(os.listdir(world.dir)))
            argv += ["--socket", self.path]
        else:
            argv += ["--fd", str(how.fileno())]
            fds.append(how.fileno())
        super().__init__(world, argv + list(options), pass_fds=fds, **popen)
        Sidecar.latest = self
        os.close(ready_write)
        if how != "socket":
            how.close()
        self._wait_ready(ready)

    def _wait_ready(self, ready):
        with os.fdopen(ready, "rb", 0) as file:
            readable, _, _ = select.select([file], [], [],
                                           READY_LIMIT_S * tap.scale())
            said = file.read(64) if readable else b""
        self.ready_s = time.monotonic() - self.started
        tap.ok(said, "not ready:\n%s" % "\n".join(self.log.lines))

    def descendants(self):
        """The pids of the two children, and of the spawner."""
        return descendants_of(self.pid)

    def children(self):
        """{"netproc": pid, "relayproc": pid}"""
        return children_of(self.pid)

    def spawner(self):
        """Its pid.  It is the eldest: beside it and the children there may be
        a predecessor that is leaving, or waits to be reaped."""
        pid = self.descendants()[0]
        tap.ok(pid not in self.children().values(), "no spawner")
        return pid

    def wait_alone(self):
        """Until nobody is left but the two children and the spawner: who was
        replaced may still be leaving."""
        deadline = time.monotonic() + 10 * tap.scale()
        while len(self.descendants()) > 3:
            tap.ok(time.monotonic() < deadline, "processes: %s"
                   % self.descendants())
            time.sleep(0.001)
        tap.equal(len(self.descendants()), 3, "processes")

    def wait_attached(self):
        """Until netproc holds the frame socket, of which no line tells."""
        path = "/proc/%d/fd" % self.children()["netproc"]
        deadline = time.monotonic() + 10 * tap.scale()
        while len(os.listdir(path)) <= FIXED_FDS:
            tap.ok(time.monotonic() < deadline, "no frame socket in netproc")
            time.sleep(0.001)

    def terminate(self):
        """Ends it in order, its last lines read; returns (status, seconds)."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.wait()
        took_s = time.monotonic() - start
        self.log.all()
        return status, took_s


class Vmm(Program):
    """The shuttle: a VMM whose guest is the world's guest namespace."""

    def __init__(self, world, path=None, fd=None, mtu=1500, piece=None,
                 lose=0, mac=rig.GUEST_MAC, configure=True):
        argv = [TAPSHUTTLE, "-d", "eth0", "-m", str(mtu), "-a", mac,
                "-q", "20000", "-l", str(lose)]
        argv += ["-s", path] if path else ["-f", str(fd.fileno())]
        if piece:
            argv += ["-c", str(piece)]
        super().__init__(world, argv, ns=world.guest, stdout=subprocess.PIPE,
                         pass_fds=[fd.fileno()] if fd else [])
        if fd:
            fd.close()
        self._hear(b"up\n")
        if configure:
            world.guest_configure()

    def _hear(self, word):
        said = self.process.stdout.readline()
        tap.equal(said, word, "the shuttle's word, after %r" % self.log.lines)

    def stall(self):
        self.process.send_signal(signal.SIGUSR1)
        self._hear(b"stalled\n")

    def resume(self):
        self.process.send_signal(signal.SIGUSR2)
        self._hear(b"resumed\n")

    def check(self):
        tap.equal(self.process.poll(), None,
                  "the VMM ended: %s" % self.log.lines)


Setup = collections.namedtuple("Setup", "world car vmm")


def setup(*options, mtu=1500, piece=None, lose=0, **popen):
    """A world with a sidecar that is ready and a guest behind it."""
    world = rig.World()
    car = Sidecar(world, "--mtu", str(mtu), *options, **popen)
    vmm = Vmm(world, car.path, mtu=mtu, piece=piece, lose=lose)
    return Setup(world, car, vmm)


def tell(car):
    """For tap.run(): what the sidecar said, after a failed case, and the one
    that was started last."""
    def print_log():
        for each in dict.fromkeys([car, Sidecar.latest]):
            tap.note("the last lines of sallyport, pid %d:" % each.pid)
            for line in each.log.lines[-10:]:
                tap.note("    " + line)
            if each.process.poll() is not None:
                tap.note("it ended: %d" % each.process.returncode)
    return print_log


def descendants_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(word) for word in file.read().split()]


def children_of(pid):
    found = {}
    for child in descendants_of(pid):
        try:
            with open("/proc/%d/cmdline" % child, "rb") as file:
                words = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for role in (b"netproc", b"relayproc"):
            if role in words:
                found[role.decode()] = child
    return found


def proc_status(pid):
    with open("/proc/%d/status" % pid) as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file)


def pss_kib(pid):
    """Proportional set size: what the process alone costs the machine."""
    with open("/proc/%d/smaps_rollup" % pid) as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    raise KeyError("Pss")


def rss_kib(pid):
    return int(proc_status(pid)["VmRSS"].split()[0])


def cpu_s(pid):
    """Seconds of processor time, its own and the kernel's for it."""
    with open("/proc/%d/stat" % pid) as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def idle_for(seconds, pids, without=(), limit=SPIN_LIMIT):
    """Lets time pass, in which pids, by role, may not be busy: together they
    may use limit of one processor.  What they have still to do takes a slow
    machine a while; who spins is as busy after it."""
    for _ in range(4):
        before = {role: cpu_s(pid) for role, pid in pids.items()
                  if role not in without}
        start = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - start
        used = {role: (cpu_s(pids[role]) - before[role]) / took
                for role in before}
        if sum(used.values()) < limit * tap.scale():
            return
    tap.ok(False, "used of a processor: %s" % used)


def gone(pid):
    """Whether the process is no more, or only waits to be reaped."""
    try:
        return proc_status(pid)["State"][0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def unix_connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10 * tap.scale())
    sock.connect(path)
    return sock
