#!/usr/bin/python3
"""Lost processes are replaced: the VM keeps its link, its old connections are
reset, and whatever is new works at once."""

import array
import ctypes
import errno
import fcntl
import os
import random
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import inject  # noqa: E402
import puppet  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import words  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
ROLES = ("netproc", "relayproc")
PORT = 8080
RESET_LIMIT_S = 1
IDLE, MANY = 500, 5000
FD_PARENT, FD_PEER = 3, 4
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
EX_SOFTWARE = 70
MIB = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


class Scene:
    """A guest behind a sidecar whose processes may be lost at will."""

    def __init__(self, *options, mtu=1500, how="socket", ip6=False):
        self.world = rig.World(ip6)
        vmm_end = None
        if how == "fd":
            vmm_end, how = socket.socketpair()
        self.car = sidecar.Sidecar(
            self.world, "--max-restarts", "1000", "--connect-rate", "100000",
            "--mtu", str(mtu), *options, how=how)
        self.vmm = sidecar.Vmm(self.world, self.car.path, fd=vmm_end, mtu=mtu)
        self.listener = self.world.server.listen()
        self.replaced = 0

    def pair(self):
        return traffic.pair(self.world.guest, rig.SERVER, self.listener)

    def works(self):
        """A new connection does."""
        guest, server = self.pair()
        with guest, server:
            traffic.greet_ends(guest, server)

    def wait_replaced(self, role, cause, timeout_s=10):
        """Until the next is at work; `cause` must be named."""
        self.replaced += 1
        self.car.log.wait("replaced in", timeout_s, self.replaced)
        line = self.car.log.find("lost ")[-1]
        tap.ok("lost %s: " % role in line and cause in line, line)
        self.vmm.check()
        tap.equal(self.car.log.find("vmm gone"), [], "lines")

    def lose(self, role, cause, how):
        """how(pid) ends the process; returns when it is replaced."""
        before = self.car.children()
        how(before[role])
        self.wait_replaced(role, cause)
        after = self.car.children()
        tap.equal(sorted(after), sorted(before), "processes")
        tap.ok(not set(after.values()) & set(before.values()), "old ones")


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def is_reset(sock, limit_s=RESET_LIMIT_S):
    sock.settimeout(limit_s * tap.scale())
    tap.raises([errno.ECONNRESET], sock.recv, 1)
    sock.close()


SCENE = Scene("-p", "%d:80" % PORT)


def need_inject():
    reason = inject.why_not()
    if reason:
        tap.skip(reason)


@tap.case("a process that is killed is replaced; the guest's connection and "
          "the server's are reset within a second, and a new one works")
def _():
    for role in ROLES:
        guest, server = SCENE.pair()
        traffic.greet_ends(guest, server)
        start = time.monotonic()
        SCENE.lose(role, "SIGKILL", kill)
        is_reset(guest)
        tap.note("%s: %.1f ms to the reset; %s"
                 % (role, 1e3 * (time.monotonic() - start),
                    SCENE.car.log.find("replaced")[-1]))
        is_reset(server)
        SCENE.works()


def injected(name, code):
    need_inject()
    if sidecar.sanitized():
        tap.skip("a sanitizer's run-time handles it itself")
    for role in ROLES:
        guest, server = SCENE.pair()
        traffic.greet_ends(guest, server)
        SCENE.lose(role, name, lambda pid: inject.run(pid, code))
        is_reset(guest)
        is_reset(server)
        SCENE.works()


@tap.case("so is one that faults")
def _():
    injected("SIGSEGV", inject.FAULT)


@tap.case("so is one that makes a call which its filter does not list")
def _():
    injected("seccomp violation", inject.GETPID)


def channel_of(pid, fd):
    """Our own reference of a process's channel."""
    pidfd = _libc.syscall(SYS_PIDFD_OPEN, pid, 0)
    got = _libc.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
    os.close(pidfd)
    tap.ok(got >= 0, "pidfd_getfd: errno %d" % ctypes.get_errno())
    return got


def speak(pid, fd, record):
    got = channel_of(pid, fd)
    os.write(got, record)
    os.close(got)


@tap.case("so is one that breaks the protocol, towards the parent or the "
          "other")
def _():
    for role in ROLES:
        SCENE.lose(role, "broke the protocol",
                   lambda pid: speak(pid, FD_PARENT, b"\xff" * 64))
        SCENE.works()
    SCENE.lose("netproc", "broke the protocol",
               lambda pid: speak(pid, FD_PEER, b"\xff" * 64))
    SCENE.works()


def queued(fd):
    """Bytes that wait to be read there."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


@tap.case("what one said last is logged, though it has left unread what was "
          "said to it")
def _():
    need_inject()
    pid = SCENE.car.children()["netproc"]
    log = words.BY_NAME["LOG"]
    said = struct.pack("<I", 1) + b"last words"
    guest, server = SCENE.pair()
    with guest, server, puppet.Puppet(pid) as netproc:
        guest.send(b"x")  # so that it is asked whether it hangs
        channel = channel_of(pid, FD_PARENT)
        deadline = time.monotonic() + 10 * tap.scale()
        while queued(channel) == 0:
            tap.ok(time.monotonic() < deadline, "it was not asked")
            time.sleep(0.01)
        os.close(channel)
        inject.stop(SCENE.car.pid)
        netproc.send(FD_PARENT, log.record(said.ljust(log.size, b"\0")))
        netproc.end()
        inject.go_on(SCENE.car.pid)
    SCENE.wait_replaced("netproc", "SIGKILL")
    SCENE.car.log.wait("netproc: warning: last words")
    SCENE.works()


def hangs(role, guest_speaks):
    """Seconds until it is replaced."""
    guest, server = SCENE.pair()
    traffic.greet_ends(guest, server)
    start = time.monotonic()
    inject.run(SCENE.car.children()[role], inject.SPIN)
    if guest_speaks:
        guest.send(b"x")
    SCENE.wait_replaced(role, "hangs", timeout_s=20)
    took = time.monotonic() - start
    tap.note("%s: %.1f s" % (role, took))
    tap.ok(took > 1.9, "only %.1f s" % took)
    is_reset(guest)
    SCENE.works()


@tap.case("a netproc that hangs is replaced after 2 s, and so is a relayproc",
          limit_s=90)
def _():
    need_inject()
    for role in ROLES:
        hangs(role, guest_speaks=True)


@tap.case("one that hangs in a loop is replaced though the guest is silent, or "
          "there is none", limit_s=90)
def _():
    need_inject()
    for role in ROLES:
        hangs(role, guest_speaks=False)
    car = sidecar.Sidecar(SCENE.world)
    for count, role in enumerate(ROLES, 1):
        inject.run(car.children()[role], inject.SPIN)
        car.log.wait("lost %s: hangs" % role, 20)
        car.log.wait("replaced in", 10, count)
    car.terminate()


@tap.case("a process that is stopped does not hang: it goes on where it was",
          limit_s=90)
def _():
    before = SCENE.car.children()
    guest, server = SCENE.pair()
    traffic.greet_ends(guest, server)
    for pid in before.values():
        inject.stop(pid)
    guest.send(b"x")
    time.sleep(4)
    for pid in before.values():
        inject.go_on(pid)
    server.settimeout(10 * tap.scale())
    tap.equal(server.recv(1), b"x", "what the guest sent")
    time.sleep(3)
    traffic.greet_ends(guest, server)
    tap.equal(SCENE.car.children(), before, "processes")
    guest.close()
    server.close()


def held(seconds, working):
    """netproc is held, and does nothing, or a little now and then.  Whether it
    is there yet after that."""
    pid = SCENE.car.children()["netproc"]
    guest, server = SCENE.pair()
    try:
        with puppet.Puppet(pid) as netproc:
            guest.send(b"x")  # somebody asks
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                if working:
                    netproc.send(FD_PARENT, b"")  # which is nothing
                time.sleep(0.05)
    except (puppet.Killed, ProcessLookupError):
        pass
    lives = not sidecar.gone(pid)
    if lives:
        server.settimeout(10 * tap.scale())
        tap.equal(server.recv(1), b"x", "what the guest sent")
    guest.close()
    server.close()
    return lives


@tap.case("nor does one hang to which the machine gives little time, but one "
          "that does nothing")
def _():
    need_inject()
    before = SCENE.car.children()
    tap.ok(held(5, True), "it was lost")
    SCENE.works()
    tap.equal(SCENE.car.children(), before, "processes")
    tap.ok(not held(5, False), "it was not lost")
    SCENE.wait_replaced("netproc", "hangs: no answer in 2 s")
    SCENE.works()


@tap.case("one that does a little, and no more, is lost after 20 s",
          limit_s=120)
def _():
    need_inject()
    if sidecar.RELAY == "splice":
        tap.skip("the same without it")
    tap.ok(not held(30, True), "it was not lost")
    SCENE.wait_replaced("netproc", "hangs: no answer in 20 s")
    SCENE.works()


@tap.case("one that was busy while there was no VMM is watched when there is")
def _():
    need_inject()
    world = rig.World()
    car = sidecar.Sidecar(world)
    pid = car.children()["relayproc"]
    inject.busy(pid, 1.1)
    time.sleep(2)  # it has been asked, and once more
    wire = frames.Wire(car.path)
    deadline = time.monotonic() + 10 * tap.scale()
    with puppet.Puppet(pid):
        # netproc may have read one before the parent sees that it is there.
        while not sidecar.gone(pid) and time.monotonic() < deadline:
            wire.send(frames.arp(rig.GATEWAY))
            time.sleep(0.05)
    car.log.wait("lost relayproc: hangs: no answer in 2 s")
    car.log.wait("replaced in")
    wire.alive()
    wire.close()
    car.terminate()
    world.close()


def idle_are_reset(scene, count):
    # How slow the machine is shows where they are opened, which takes some
    # ten times as long.
    start = time.monotonic()
    pairs = [scene.pair() for _ in range(count)]
    limit_s = max(RESET_LIMIT_S, (time.monotonic() - start) / 4)
    poll = select.poll()
    for guest, _ in pairs:
        poll.register(guest, select.POLLIN)
    start = time.monotonic()
    kill(scene.car.children()["netproc"])
    left = {guest.fileno() for guest, _ in pairs}
    last = start
    while left and time.monotonic() - start < 5 * limit_s:
        for fd, _ in poll.poll(100):
            last = time.monotonic()
            left.discard(fd)
            poll.unregister(fd)
    scene.wait_replaced("netproc", "SIGKILL")
    tap.equal(len(left), 0, "connections that stand")
    for guest, _ in pairs:
        is_reset(guest)
    for _, server in pairs:
        server.close()
    tap.figure("G2", "%d idle connections, the last is reset after" % count,
               "%.0f" % (1e3 * (last - start)), "ms", "<= 1000")
    tap.ok(last - start < limit_s * tap.scale(), "not in %.1f s" % limit_s)


@tap.case("500 idle connections of the guest's are reset within a second",
          limit_s=120)
def _():
    idle_are_reset(SCENE, IDLE)


@tap.case("so are 5,000", limit_s=180)
def _():
    need = 2 * MANY + 1000
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < need:
        tap.skip("the hard limit of descriptors is too low")
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, resource.getrlimit(
        resource.RLIMIT_NOFILE)[1]))
    scene = Scene("--max-flows", str(MANY + 100))
    idle_are_reset(scene, MANY)
    scene.works()
    scene.car.terminate()
    scene.world.close()


@tap.case("IPv6 connections are reset as well, and new ones work")
def _():
    scene = Scene(ip6=True)
    listener = scene.world.server.listen("::")

    def pair():
        return traffic.pair(scene.world.guest, rig.SERVER6, listener)

    guest, server = pair()
    traffic.greet_ends(guest, server)
    scene.lose("netproc", "SIGKILL", kill)
    is_reset(guest)
    guest, server = pair()
    traffic.greet_ends(guest, server)
    guest.close()
    server.close()
    scene.car.terminate()
    scene.world.close()


@tap.case("a published port stays: who comes meanwhile waits, and is served")
def _():
    inside = SCENE.world.guest.listen(port=80)
    for role in ROLES:
        client, guest = traffic.pair(SCENE.world.host, "127.0.0.1", inside,
                                     PORT)
        traffic.greet_ends(client, guest)
        before = SCENE.car.children()
        kill(before[role])
        # At once, and not yet served.
        waiting = SCENE.world.host.connect("127.0.0.1", PORT)
        SCENE.wait_replaced(role, "SIGKILL")
        is_reset(guest)
        is_reset(client)
        select.select([inside, waiting], [], [], 10 * tap.scale())
        try:
            waiting.setblocking(False)
            waiting.recv(1)
        except ConnectionResetError:
            tap.note("%s: the old relayproc had taken it" % role)
        except BlockingIOError:
            served, _ = inside.accept()
            traffic.greet_ends(waiting, served)
            served.close()
        waiting.close()
        client, guest = traffic.pair(SCENE.world.host, "127.0.0.1", inside,
                                     PORT)
        traffic.greet_ends(client, guest)
        client.close()
        guest.close()
    inside.close()


@tap.case("a new relayproc that is slow to read gets all of a long "
          "configuration")
def _():
    options = ["-p", "127.0.0.1:20000-20255:20000-20255"]
    for i in range(256):
        options += ["--deny", "198.51.100.%d/32" % i]
    for i in range(64):
        options += ["--host-service", "%d:%d" % (30000 + i, 30000 + i)]
    scene = Scene(*options)
    # It runs when the parent waits for room in its channel, and not before.
    spawner = scene.car.spawner()
    for pid in (scene.car.pid, spawner):
        os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))})
    os.setpriority(os.PRIO_PROCESS, spawner, 10)
    scene.lose("relayproc", "SIGKILL", kill)
    inside = scene.world.guest.listen(port=20255)
    for pair in (scene.pair(), traffic.pair(scene.world.host, "127.0.0.1",
                                            inside, 20255)):
        traffic.greet_ends(*pair)
        for sock in pair:
            sock.close()
    scene.car.terminate()
    scene.world.close()


@tap.case("datagrams go both ways afterwards")
def _():
    server = SCENE.world.server.udp()
    guest = SCENE.world.guest.udp()
    port = rig.port_of(server)
    for role in ROLES:
        SCENE.lose(role, "SIGKILL", kill)
        guest.sendto(b"there", (rig.SERVER, port))
        word, peer = server.recvfrom(64)
        server.sendto(b"back", peer)
        tap.equal((word, guest.recv(64)), (b"there", b"back"), "datagrams")
    guest.close()
    server.close()


@tap.case("the guest's MAC is pinned once, whoever dies")
def _():
    tap.equal(len(SCENE.car.log.find("guest MAC is")), 1, "lines")


@tap.case("big frames keep their framing while a VMM reads slowly",
          limit_s=180)
def _():
    scene = Scene("-p", "%d:80" % PORT, mtu=65520, how="fd")
    for turn in range(12):
        role = ROLES[turn % 4 == 3]
        ends = []
        for upwards in (False, True):
            guest, server = scene.pair()
            for sock in (guest, server):
                sock.settimeout(20 * tap.scale())
            source, sink = (guest, server) if upwards else (server, guest)
            ends.append((rig.thread(swallow, traffic.fill, source),
                         rig.thread(swallow, traffic.drain, sink)))
        time.sleep(0.1)
        if turn % 3 == 0:
            scene.vmm.stall()  # a frame may be half written for long
            time.sleep(0.1)
        scene.lose(role, "SIGKILL", kill)
        if turn % 3 == 0:
            scene.vmm.resume()
        for pair in ends:
            for thread in pair:
                thread.join(20 * tap.scale())
        guest, server = scene.pair()
        traffic.transfer(server, guest, 4 * MIB)
        guest.close()
        server.close()
    tap.equal(scene.car.terminate()[0], 0, "status")
    scene.world.close()


def swallow(function, sock):
    with sock:
        try:
            function(sock)
        except OSError:
            pass


@tap.case("a process may be lost at any moment of its making", limit_s=120)
def _():
    scene = Scene()
    for turn in range(40):
        # A successor shows its role once it has become one.
        deadline = time.monotonic() + 10 * tap.scale()
        while "netproc" not in scene.car.children():
            tap.ok(time.monotonic() < deadline, "no netproc")
        kill(scene.car.children()["netproc"])
        # As soon as it is there, or a little later; perhaps its sibling.
        deadline = time.monotonic() + random.uniform(0.001, 0.025)
        while time.monotonic() < deadline:
            pass
        for pid in list(scene.car.children().values())[turn % 2:]:
            try:
                kill(pid)
            except ProcessLookupError:
                pass
        time.sleep(0.1)
        tap.equal(scene.car.process.poll(), None, "sallyport's status")
        tap.equal(scene.car.log.find("vmm gone"), [], "lines")
        scene.vmm.check()
    scene.works()
    scene.car.terminate()
    scene.world.close()


def journal_of(pid):
    """Where the journal lies in a netproc: (address, bytes)."""
    with open("/proc/%d/maps" % pid) as file:
        for line in file:
            if "memfd:journal" in line:
                start, end = (int(word, 16)
                              for word in line.split()[0].split("-"))
                return start, end - start
    raise tap.Failure("no journal")


@tap.case("a journal full of lies costs the link at most, not the successor",
          limit_s=180)
def _():
    world = rig.World()
    car = sidecar.Sidecar(world, "--max-restarts", "1000",
                          "--connect-rate", "100000")
    listener = world.server.listen()
    vmm, lost = sidecar.Vmm(world, car.path), 0
    for turn in range(40):
        pairs = [traffic.pair(world.guest, rig.SERVER, listener)
                 for _ in range(5)]
        pid = car.children()["netproc"]
        start, size = journal_of(pid)
        os.kill(pid, signal.SIGSTOP)
        with open("/proc/%d/mem" % pid, "r+b", 0) as memory:
            # Its head, or its names; all of it, or some words.
            at = start if turn % 2 else start + size - (size >> 5)
            for _ in range(1 if turn % 4 < 2 else 200):
                memory.seek(at if turn % 4 < 2
                            else at + 4 * random.randrange(1000))
                memory.write(random.randbytes(4096 if turn % 4 < 2 else 4))
        kill(pid)
        car.log.wait("replaced in", count=turn + 1)
        time.sleep(0.1)
        tap.equal(len(car.log.find("lost netproc")), turn + 1, "losses")
        if car.log.find("vmm gone")[lost:]:
            lost += 1
            tap.equal(len(car.log.find("vmm gone")), lost, "lines")
            vmm.kill()
            vmm = sidecar.Vmm(world, car.path)
        for guest, server in pairs:
            guest.close()
            server.close()
        guest, server = traffic.pair(world.guest, rig.SERVER, listener)
        traffic.greet_ends(guest, server)
        guest.close()
        server.close()
    tap.note("the link was lost %d times" % lost)
    car.terminate()
    world.close()


@tap.case("a netproc that does not leave when relayproc is lost is killed, and "
          "their successors are not")
def _():
    scene = Scene()
    inject.stop(scene.car.children()["netproc"])
    scene.lose("relayproc", "SIGKILL", kill)
    tap.equal(len(scene.car.log.find("lost ")), 1, "losses")
    scene.works()
    scene.car.terminate()
    scene.world.close()


@tap.case("a relayproc that does not leave when netproc is lost is killed, and "
          "so is the one before it that has not left either")
def _():
    scene = Scene()
    for _ in range(2):
        inject.stop(scene.car.children()["relayproc"])
        scene.lose("netproc", "SIGKILL", kill)
    scene.car.wait_alone()
    tap.equal(len(scene.car.log.find("lost ")), 2, "losses")
    scene.works()
    scene.car.terminate()
    scene.world.close()


def next_of(scene, role):
    """The pid of its successor, which has not run yet and is stopped."""
    old = scene.car.children()[role]
    return inject.stopped_at_birth(scene.car.spawner(), len(ROLES), role,
                                   lambda: kill(old))


def starve(pid, seconds):
    """It runs a moment now and then."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.0001)


@tap.case("a child to which the machine gives little time becomes ready late, "
          "and is not killed meanwhile")
def _():
    need_inject()
    scene = Scene()
    for role in ROLES:
        starve(next_of(scene, role), 4)
        scene.wait_replaced(role, "SIGKILL")
        tap.note(scene.car.log.find("replaced")[-1])
        tap.equal(scene.car.log.find("in time"), [], "lines")
        scene.works()
    scene.car.terminate()
    scene.world.close()


@tap.case("one that does nothing before it is ready, or spins, is replaced",
          limit_s=90)
def _():
    need_inject()
    scene = Scene()
    for spins in False, True:
        for role in ROLES:
            pid = next_of(scene, role)
            if spins:
                inject.run(pid, inject.SPIN)
                inject.go_on(pid)
            scene.replaced += 1
            scene.car.log.wait("replaced in", 20, scene.replaced)
            tap.note(scene.car.log.find("replaced")[-1])
            tap.equal(len(scene.car.log.find("lost %s: is not ready" % role)),
                      (scene.replaced + 1) // 2, "losses")
            scene.works()
    scene.car.terminate()
    scene.world.close()


@tap.case("who is lost while the word of READY is given is replaced")
def _():
    world = rig.World()
    ready, ready_write = os.pipe()
    fcntl.fcntl(ready_write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(ready_write, bytes(4096))  # the parent waits for room
    path = world.path("vmm.sock")
    car = sidecar.Program(world, [sidecar.SALLYPORT, "--socket", path,
                                  "--ready-fd", str(ready_write)],
                          pass_fds=[ready_write])
    line = car.log.wait("ready: netproc")
    kill(int(re.search(r"relayproc (\d+)", line)[1]))
    os.read(ready, 4096)
    car.log.wait("replaced in")
    vmm = sidecar.Vmm(world, path)
    listener = world.server.listen()
    for sock in traffic.pair(world.guest, rig.SERVER, listener):
        sock.close()
    os.close(ready)
    os.close(ready_write)
    vmm.kill()
    car.process.terminate()
    tap.equal(car.wait(), 0, "status")
    world.close()


@tap.case("a VMM that comes while a new pair is made is served by it, and not "
          "before its jails have been looked at")
def _():
    need_inject()
    if sidecar.sanitized():
        tap.skip("a sanitizer's run-time looks at /proc first")
    world = rig.World()
    car = sidecar.Sidecar(world)
    with inject.held_at(car.spawner(), inject.READLINK, b"/proc/",
                        lambda: kill(car.children()["netproc"])):
        first = frames.Wire(car.path)
        # Who is refused tells that the first has been accepted.
        frames.Wire(car.path).ended()
        car.log.wait("refused a second vmm")
        tap.equal(car.log.find("vmm attached"), [], "lines")
    car.log.wait("vmm attached")
    first.alive()
    tap.equal(len(car.log.find("lost ")), 1, "losses")
    first.close()
    car.terminate()
    world.close()


@tap.case("a spawner that can make no children is asked as often as "
          "--max-restarts says, and the last time ends sallyport")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world, "--max-restarts", "3")
    spawner = car.spawner()
    # Those that it keeps, and no more.
    resource.prlimit(spawner, resource.RLIMIT_NOFILE, (5, 5))
    kill(car.children()["netproc"])
    tap.equal(car.wait(), EX_SOFTWARE, "status")
    car.log.wait("giving up: children were lost 4 times")
    tap.equal(len(car.log.find("cannot make a channel")), 3, "attempts")
    tap.ok(sidecar.gone(spawner), "the spawner is still there")
    world.close()


@tap.case("five losses in a minute end sallyport, with a line that says so")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world)
    for turn in range(5):
        kill(car.children()["netproc"])
        if turn < 4:
            car.log.wait("replaced in", count=turn + 1)
    tap.equal(car.wait(), EX_SOFTWARE, "status")
    car.log.wait("giving up: children were lost 5 times in 60 s")
    tap.ok(not os.path.exists(car.path), "the socket is still there")
    world.close()


@tap.case("a spawner that is lost ends sallyport in order")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world)
    kill(car.spawner())
    tap.equal(car.wait(), EX_SOFTWARE, "status")
    car.log.wait("lost spawner")
    world.close()


@tap.case("a spawner that is stopped for a second when it is needed goes on, "
          "and the pair is replaced")
def _():
    spawner = SCENE.car.spawner()
    inject.stop(spawner)
    kill(SCENE.car.children()["netproc"])
    SCENE.car.log.wait("lost netproc")
    time.sleep(1)
    inject.go_on(spawner)
    SCENE.wait_replaced("netproc", "SIGKILL")
    SCENE.works()


@tap.case("one that stays stopped ends sallyport in order after 5 s, with a "
          "line that names it")
def _():
    for role in ROLES:
        world = rig.World()
        car = sidecar.Sidecar(world)
        spawner = car.spawner()
        inject.stop(spawner)
        kill(car.children()[role])
        start = time.monotonic()
        tap.equal(car.wait(15), EX_SOFTWARE, "status")
        tap.ok(time.monotonic() - start > 4, "at once")
        car.log.wait("the spawner has not answered in 5 s")
        tap.ok(sidecar.gone(spawner), "the spawner is still there")
        tap.ok(not os.path.exists(car.path), "the socket is still there")
        world.close()


@tap.case("SIGTERM while the old relayproc is leaving still hears what it has "
          "carried")
def _():
    world = rig.World()
    car = sidecar.Sidecar(world)
    vmm = sidecar.Vmm(world, car.path)
    listener = world.server.listen()
    guest, server = traffic.pair(world.guest, rig.SERVER, listener)
    traffic.transfer(guest, server, 1000000)
    old = car.children()
    inject.stop(old["relayproc"])
    kill(old["netproc"])
    car.log.wait("replaced in")
    os.kill(car.pid, signal.SIGTERM)
    time.sleep(0.1)  # the new ones have ended
    inject.go_on(old["relayproc"])
    tap.equal(car.wait(), 0, "status")
    car.log.wait("tcp_bytes_out=1000000")
    vmm.kill()
    world.close()


@tap.case("sallyportctl tells of it, and nothing has leaked")
def _():
    world = rig.World()
    path = world.path("control")
    car = sidecar.Sidecar(world, "--control", path, "--max-restarts", "100")
    vmm = sidecar.Vmm(world, car.path)
    car.wait_attached()
    # The first pair is made as all others are, but for the frame socket.
    kill(car.children()["netproc"])
    car.log.wait("replaced in")
    car.wait_attached()
    car.wait_alone()
    before = {pid: len(os.listdir("/proc/%d/fd" % pid))
              for pid in [car.pid] + car.descendants()}
    for turn in range(20):
        kill(car.children()[ROLES[turn % 2]])
        car.log.wait("replaced in", count=turn + 2)
    car.wait_attached()
    car.wait_alone()
    after = [len(os.listdir("/proc/%d/fd" % pid))
             for pid in [car.pid] + car.descendants()]
    tap.equal(sorted(after), sorted(before.values()), "descriptors")
    ctl = os.path.join(sidecar.BUILD, "sallyportctl")
    said = subprocess.run([ctl, "-s", path, "status"], text=True, check=True,
                          capture_output=True, timeout=10).stdout
    for line in ("restarts: 21", "netproc_losses: 11", "relayproc_losses: 10"):
        tap.ok(line in said.splitlines(), said)
    vmm.check()
    tap.equal(car.terminate()[0], 0, "status")
    world.close()


tap.run(sidecar.tell(SCENE.car))
