"""A sidecar whose processes fall into an attacker's hands, one by one."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import puppet  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import words  # noqa: E402
import world as rig  # noqa: E402

PORT = 8080
MAX_FLOWS, MAX_UDP = 1024, 512
FLOOD_LIMIT_S, FLOOD_CPU_S = 15, 4  # the watchdog looks after one second
GROWTH_MAX_KIB = 8192
LINES_PER_S = 250  # of the log; a child may write 200

# Calls that would lead out, or further in: what is tried, number on x86_64,
# arguments.  Pointers are a word's, to a place in the process's memory.
HERE = "memory"
LATERAL = [
    ("opens a file", 257, -100, HERE, 0),
    ("opens a file, the old way", 2, HERE, 0),
    ("opens a file, the new way", 437, -100, HERE, HERE, 24),
    ("reads a link", 267, -100, HERE, HERE, 64),
    ("looks at a file", 262, -100, HERE, HERE, 0),
    ("makes a file of memory", 319, HERE, 0),
    ("runs a program", 59, HERE, 0, 0),
    ("runs a program by descriptor", 322, 0, HERE, 0, 0, 0x1000),
    ("makes a process", 56, 17, 0, 0, 0, 0),
    ("makes a process, the old way", 57),
    ("makes a process, the new way", 435, HERE, 64),
    ("signals everybody", 62, -1, 9),
    ("signals the parent", 62, 1, 9),
    ("traces", 101, 16, 1, 0, 0),
    ("reads another's memory", 310, 1, HERE, 1, HERE, 1, 0),
    ("writes another's memory", 311, 1, HERE, 1, HERE, 1, 0),
    ("opens a process", 434, 1, 0),
    ("takes another's descriptor", 438, 3, 0, 0),
    ("enters a namespace", 308, 3, 0),
    ("leaves its namespaces", 272, 0x10000000),
    ("mounts", 165, HERE, HERE, HERE, 0, 0),
    ("changes its root", 161, HERE),
    ("becomes root", 105, 0),
    ("takes capabilities", 126, HERE, HERE),
    ("lifts a limit", 302, 0, 7, HERE, 0),
    ("sets an option of the process", 157, 4, 1, 0, 0, 0),
    ("loads another filter", 317, 1, 0, HERE),
    ("loads a BPF program", 321, 0, HERE, 64),
    ("counts events", 298, HERE, 0, -1, -1, 0),
    ("makes an io_uring", 425, 8, HERE),
    ("handles its own page faults", 323, 0),
    ("adds a key", 248, HERE, HERE, HERE, 4, -2),
    ("loads a module", 313, 3, HERE, 0),
    ("makes memory executable", 10, HERE, 4096, 5),
    ("maps executable memory", 9, 0, 4096, 7, 0x22, -1, 0),
    ("maps a file", 9, 0, 4096, 1, 2, 3, 0),
    ("makes a packet socket", 41, 17, 3, 0),
    ("makes a netlink socket", 41, 16, 3, 0),
    ("makes a Unix socket", 41, 1, 1, 0),
    ("makes a raw socket", 41, 2, 3, 1),
    ("makes a vsock socket", 41, 40, 1, 0),
    ("makes a pair of sockets", 53, 1, 5, 0, HERE),
    ("binds", 49, 7, HERE, 16),
    ("listens", 50, 7, 5),
    ("doubles a fixed descriptor", 33, 3, 9),
    ("replaces a fixed descriptor", 292, 7, 3, 0),
    ("closes the parent's channel", 3, 3),
    ("closes it, hidden by a high half", 3, 0x100000003),
    ("closes all", 436, 3, 0xffffffff, 0),
    ("sets a descriptor's flags", 72, 3, 4, 0),
    ("lists the interfaces", 16, 7, 0x8912, HERE),
    ("sends to the parent", 44, 3, HERE, 4, 0, 0, 0),
    ("ties its life to nobody's", 157, 1, 0, 0, 0, 0),
    ("sets the clock", 227, 0, HERE),
    ("names the machine", 170, HERE, 4),
    ("adds a foreign watch", 233, 7, 1, 0, HERE),
]
FAULTY_NUMBERS = [("makes a call that is none", 1023),
                  ("makes a call of x32", 0x40000000 | 39)]


def need():
    sidecar.need()
    reason = puppet.why_not()
    if reason:
        tap.skip_all(reason)


def cpu_of(pid):
    """Seconds of a processor that it has used; 0 when it is no more."""
    try:
        return sidecar.cpu_s(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Stage:
    def __init__(self, *options, ip6=False):
        self.world = rig.World(ip6)
        self.car = sidecar.Sidecar(
            self.world, "--max-restarts", "100000", "--connect-rate",
            "100000", "--max-flows", str(MAX_FLOWS), "--max-udp",
            str(MAX_UDP), "-p", "%s:%d:80" % (rig.HOST, PORT), *options)
        self.vmm = sidecar.Vmm(self.world, self.car.path)
        self.listener = self.world.server.listen()
        self.replaced = 0
        self.losses = 0

    def pid(self, role):
        return self.car.children()[role]

    def hold(self, role):
        return puppet.Puppet(self.pid(role))

    def pair(self):
        return traffic.pair(self.world.guest, rig.SERVER, self.listener)

    def works(self):
        guest, server = self.pair()
        with guest, server:
            traffic.greet_ends(guest, server)
        self.vmm.check()

    def wait_replaced(self, role, cause, what, timeout_s=10):
        """Until the next pair is at work; the log must name who and why."""
        self.replaced += 1
        self.car.log.wait("replaced in", timeout_s, self.replaced)
        line = self.why_lost()
        tap.ok("lost %s: " % role in line and cause in line,
               "%s: %s" % (what, line))
        return line.split("lost %s: " % role)[1]

    def why_lost(self):
        """The line of the first loss since this was asked last."""
        lines = self.car.log.find("lost ")
        line, self.losses = lines[self.losses], len(lines)
        return line

    def says(self, role, fd, record, what, word=""):
        """The process says this, or this word of it: it must be the end of it.
        """
        try:
            with self.hold(role) as held:
                held.send(fd, record)
        except puppet.Killed as end:  # for it, before it was let go
            tap.equal(end.args[0], signal.SIGKILL, what + ": the signal")
        self.wait_replaced(role, "broke the protocol with " + word, what)

    def calls(self, role, what, number, *args):
        """The process makes a call: it must be killed for it."""
        if sidecar.sanitized():
            tap.skip("a sanitizer's run-time needs more calls")
        with self.hold(role) as held:
            memory = held.place(b"/proc/self/mem\0")
            args = [memory if arg == HERE else arg for arg in args]
            try:
                result = held.call(number, *args)
            except puppet.Killed as end:
                tap.equal(end.args[0], signal.SIGSYS, what + ": the signal")
            else:
                os.kill(held.pid, signal.SIGKILL)
                tap.ok(False, "%s %s: returned %d" % (role, what, result))
        self.wait_replaced(role, "seccomp violation", what)

    def pids(self):
        return {"parent": self.car.pid, **self.car.children()}

    def each_word(self, role, channels, harmless):
        """Whatever the role may not say, on each of its channels, is the end
        of it; so are the types that are none.  Returns how many that were."""
        count = 0
        for hearer, fd in channels:
            for word in words.TABLE:
                if word.goes_by(role, hearer, fd) and word.name in harmless:
                    continue
                self.says(role, fd, word.record(),
                          "%s to fd %d" % (word.name, fd))
                count += 1
            for number in (0, len(words.TABLE) + 1, 0xffffffff):
                self.says(role, fd, words.header(number) + bytes(64),
                          "type %d to fd %d" % (number, fd))
                count += 1
        self.works()
        return count

    def each_shape(self, role, channels):
        """So is what it may say, in another shape."""
        count = 0
        for hearer, fd in channels:
            for word in words.TABLE:
                if not word.goes_by(role, hearer, fd):
                    continue
                shapes = {
                    "a byte short": word.record()[:-1],
                    "its header alone": word.record()[:words.HEADER],
                    "half a header": word.record()[:words.HEADER // 2],
                    "with a reserved field": word.record(reserved=1),
                }
                if not word.has_tail:
                    shapes["a byte long"] = word.record(tail=b"\0")
                for shape, record in shapes.items():
                    self.says(role, fd, record, "%s to fd %d, %s"
                              % (word.name, fd, shape))
                    count += 1
        self.works()
        return count

    def flood(self, role, what, fd, record):
        """The role says this without end, while the guest is silent.  It must
        be ended, and the others must not have grown."""
        others = self.pids()
        flooder = others.pop(role)
        before = {name: sidecar.rss_kib(pid) for name, pid in others.items()}
        lines = len(self.car.log.find(""))
        peak, start = dict(before), time.monotonic()
        with self.hold(role) as held:
            held.go_on_with(puppet.WRITEV, fd, held.vector(record), 1)
        while len(self.car.log.find("replaced in")) <= self.replaced:
            tap.ok(time.monotonic() - start < FLOOD_LIMIT_S * tap.scale() or
                   cpu_of(flooder) < FLOOD_CPU_S, "%s: not ended" % what)
            for name, pid in others.items():
                try:
                    peak[name] = max(peak[name], sidecar.rss_kib(pid))
                except (FileNotFoundError, ProcessLookupError, KeyError):
                    pass  # it has been replaced meanwhile
            time.sleep(0.02)
        line = self.wait_replaced(role, "", what)
        lines = len(self.car.log.find("")) - lines
        tap.ok(lines < LINES_PER_S * (time.monotonic() - start + 2),
               "%s: %d lines in the log" % (what, lines))
        grown = {name: peak[name] - before[name] for name in others}
        tap.note("%s: %s after %.1f s; grown by KiB: %s"
                 % (what, line, time.monotonic() - start, grown))
        tap.ok(sidecar.sanitized() or max(grown.values()) < GROWTH_MAX_KIB,
               "%s: grown by KiB: %s" % (what, grown))
        self.works()
