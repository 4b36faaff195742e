#!/usr/bin/python3
"""Every system call of every process fails, in the jail: the n-th call of
each kind with each error that the kernel may give, for every n of a round of
TCP, UDP, DNS and a published port.  The round may fail; after it the process
is the same one, a connection from before lives, new ones work at once, no
descriptor is lost, and nothing spins."""

import errno
import os
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import inject  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
FAILCALL = os.environ.get("FAILCALL", os.path.join(sidecar.BUILD,
                                                   "tests/lib/failcall"))
SHORT = 0
ROUND_LIMIT_S = 0.25
N_MAX = int(os.environ.get("FAULTS_N", "12"))  # of one call and one error
FREE_WITHIN_S = 5
UNREAD_S = 0.03

NR = {"read": 0, "write": 1, "close": 3, "readv": 19, "writev": 20,
      "socket": 41, "connect": 42, "sendmsg": 46, "recvmsg": 47,
      "shutdown": 48, "getsockname": 51, "setsockopt": 54, "getsockopt": 55,
      "epoll_wait": 232, "epoll_ctl": 233, "accept4": 288, "recvmmsg": 299,
      "sendmmsg": 307, "epoll_pwait": 281, "socketpair": 53,
      "splice": 275}

LATER = ["EINTR", "EAGAIN"]
SCARCE = ["ENOMEM", "ENOBUFS"]
# Where the kernel does what it says: a close that was interrupted has closed,
# and EAGAIN of a socket that is watched for its edges is followed by one.
NETPROC = {
    "recvmmsg": LATER + SCARCE,
    "recvmsg": LATER + SCARCE,
    "readv": ["EINTR", "ENOMEM", "ECONNRESET"],
    "writev": ["EINTR"] + SCARCE,
    "write": ["EINTR"] + SCARCE,
    "epoll_wait": ["EINTR"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
}
RELAYPROC = {
    "socket": ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"],
    "connect": ["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL",
                "ENETUNREACH"],
    "accept4": LATER + SCARCE + ["EMFILE", "ENFILE", "ECONNABORTED"],
    "sendmsg": LATER + SCARCE + ["ETOOMANYREFS"],
    "recvmsg": LATER + SCARCE,
    "recvmmsg": LATER + SCARCE,
    "sendmmsg": LATER + SCARCE + ["ENETUNREACH", SHORT],
    "writev": LATER + SCARCE,
    "setsockopt": SCARCE,
    "getsockopt": SCARCE,
    "getsockname": SCARCE,
    "epoll_wait": ["EINTR"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
}
if sidecar.RELAY == "splice":
    RELAYPROC.update({
        "splice": ["EINTR"] + SCARCE,
        "socketpair": ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"],
    })
PARENT = {
    "accept4": LATER + SCARCE + ["EMFILE", "ENFILE", "ECONNABORTED"],
    "recvmsg": LATER + SCARCE,
    "sendmsg": LATER + SCARCE,
    "writev": LATER + SCARCE,
    "write": LATER + ["ENOSPC"],
    "epoll_wait": ["EINTR"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
}


class Failer:
    """A process whose calls can be made to fail."""

    def __init__(self, pid):
        self.process = subprocess.Popen(
            [FAILCALL, str(pid)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, bufsize=0)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.heard = b""

    def arm(self, call, n, error):
        number = error if error == SHORT else getattr(errno, error)
        self.heard = b""
        self._say("%d %d %d" % (NR[call], n, number))

    def disarm(self):
        """Whether the call had come by then."""
        self._say("-", answers=2)
        return b"hit\n" in self.heard

    def _say(self, line, answers=1):
        self.process.stdin.write(line.encode() + b"\n")
        deadline = time.monotonic() + 10 * tap.scale()
        while self.heard.count(b"armed\n") < answers:
            tap.ok(b"gone\n" not in self.heard, "the process has ended")
            tap.ok(time.monotonic() < deadline, "failcall says nothing")
            self.heard += self.process.stdout.read() or b""
            time.sleep(0.0002)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Rig:
    def __init__(self, role):
        self.role = role
        self.world = rig.World()
        self.control = self.world.path("control")
        # A port of the host's that nobody else in its namespace uses.
        self.published = 8080
        self.car = sidecar.Sidecar(
            self.world, "--publish", "%d:80" % self.published,
            "--connect-rate", "100000", "--max-restarts", "1000",
            "--control", self.control,
            # A line of each address, of which there is no limit.
            *(["--log-level", "debug"] if role == "parent" else []))
        self.vmm = sidecar.Vmm(self.world, self.car.path)
        self.guest = self.world.guest
        self.echo = self.world.server.listen()
        traffic.echo_server(self.echo)
        self.udp = self.world.server.udp("0.0.0.0")
        rig.thread(self._echo_udp)
        self.inside = self.guest.listen(port=80)
        traffic.echo_server(self.inside)
        self.open_old()
        self.pids = {"parent": self.car.pid, **self.car.children()}

    def open_old(self):
        self.old = self.guest.connect(rig.SERVER, rig.port_of(self.echo))
        traffic.greet(self.old)

    def _echo_udp(self):
        self.udp.settimeout(None)
        while True:
            data, peer = self.udp.recvfrom(65536)
            self.udp.sendto(data, peer)

    def _tcp(self, namespace, address, port, limit_s):
        with namespace.connect(address, port, limit_s) as sock:
            sock.settimeout(limit_s)
            for word in (b"one", b"two" * 3000):
                sock.sendall(word)
                tap.equal(traffic.exact(sock, len(word)), word, "echo")

    def _datagram(self, limit_s):
        with self.guest.udp(timeout_s=limit_s) as sock:
            sock.sendto(b"word", (rig.SERVER, rig.port_of(self.udp)))
            tap.equal(sock.recv(100), b"word", "datagram")

    def _unread(self):
        """A server that sends what the guest does not read, then resets."""
        # Of its own: a connect that failed at the guest's end may be in the
        # queue of another's.
        with self.world.server.listen() as sink:
            guest, server = traffic.pair(self.guest, rig.SERVER, sink)
        with guest:
            server.setblocking(False)
            until = time.monotonic() + UNREAD_S * tap.scale()
            while time.monotonic() < until:
                try:
                    server.send(bytes(65536))
                except BlockingIOError:
                    time.sleep(0.001)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
            server.close()

    def _asked(self, limit_s):
        """The operator asks how it stands."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(limit_s)
            sock.connect(self.control)
            sock.send(b"status")
            tap.ok(sock.recv(4096), "no answer")

    def _told(self):
        """The host's addresses change, which is logged."""
        for verb in ("add", "del"):
            self.world.host.ip("addr %s 203.0.113.77/32 dev lo" % verb)

    def acts(self, limit_s):
        port = rig.port_of(self.echo)
        if self.role == "netproc":
            yield self._unread
        if self.role == "parent":
            yield lambda: self._asked(limit_s)
            yield self._told
        yield lambda: self._tcp(self.guest, rig.SERVER, port, limit_s)
        yield lambda: self._datagram(limit_s)
        yield lambda: self._tcp(self.world.host, "127.0.0.1", self.published,
                                limit_s)

    def round(self):
        """Everything once; what fails may."""
        for act in self.acts(ROUND_LIMIT_S * tap.scale()):
            try:
                act()
            except (OSError, tap.Failure):
                pass

    def works(self, what, may_reset_old):
        try:
            try:
                traffic.greet(self.old)
            except ConnectionResetError:
                if not may_reset_old:
                    raise
                self.open_old()
            for act in self.acts(5 * tap.scale()):
                act()
        except (OSError, tap.Failure) as error:
            raise tap.Failure("after %s: %r" % (what, error))
        tap.equal({"parent": self.car.pid, **self.car.children()}, self.pids,
                  "pids after " + what)

    def descriptors(self):
        return {role: len(os.listdir("/proc/%d/fd" % pid))
                for role, pid in self.pids.items()}


def at_rest(car, rounds):
    """The same descriptors as before, after a while, and an idle CPU."""
    deadline = time.monotonic() + FREE_WITHIN_S * tap.scale()
    # Datagrams keep their associations for minutes, one of each round.
    most = dict(car.baseline)
    most["relayproc"] += rounds

    def above():
        now = car.descriptors()
        return [role for role in now if now[role] > most[role]]

    while above() and time.monotonic() < deadline:
        time.sleep(0.02)
    tap.equal(above(), [], "who holds descriptors: %s, were %s, %d rounds"
              % (car.descriptors(), car.baseline, rounds))
    sidecar.idle_for(0.5, car.pids)


def every_n(car, failer, call, error):
    """Fails the first call, the second, until a round makes no more."""
    for n in range(1, N_MAX + 1):
        failer.arm(call, n, error)
        car.round()
        if not failer.disarm():
            return n - 1
        # netproc looks at every idle connection once more after a while: the
        # read that failed may have been the old one's, which it then resets.
        car.works("call %d of %s: %s" % (n, call, error or "short"),
                  may_reset_old=call == "readv" and error != "EINTR")
    return N_MAX


CARS = {}


def car_of(role):
    if role not in CARS:
        CARS[role] = Rig(role)
        CARS[role].round()
        time.sleep(0.2)
    return CARS[role]


def campaign(role, calls):
    for call, errors in calls.items():
        @tap.case("%s: whichever %s fails, it goes on" % (role, call),
                  limit_s=120)
        def _(call=call, errors=errors):
            why = inject.why_not()
            if why:
                tap.skip(why)
            car = car_of(role)
            car.baseline = car.descriptors()
            failer = Failer(car.pids[role])
            try:
                hits = {error or "short": every_n(car, failer, call, error)
                        for error in errors}
            except BaseException:
                CARS.pop(role).world.close()
                raise
            finally:
                failer.close()
            tap.note("%s" % hits)
            tap.ok(any(hits.values()), "none in a round: nothing was shown")
            at_rest(car, 2 * (sum(hits.values()) + len(hits)))


campaign("netproc", NETPROC)
campaign("relayproc", RELAYPROC)
campaign("parent", PARENT)
tap.run(lambda: [sidecar.tell(car.car)() for car in CARS.values()])
