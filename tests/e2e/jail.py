#!/usr/bin/python3
"""The jail as it stands while traffic runs, seen from outside in /proc."""

import os
import signal
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
NOBODY_CAN = "0000000000000000"
NAMESPACES = ("user", "mnt", "pid", "ipc", "uts", "cgroup", "net")

SETUP = sidecar.setup("-p", "8080:80")
CHILDREN = SETUP.car.children()
LISTENER = SETUP.world.server.listen()
FLOWS = [traffic.pair(SETUP.world.guest, rig.SERVER, LISTENER)
         for _ in range(3)]


def fds(pid):
    """{number: what it is}"""
    directory = "/proc/%d/fd" % pid
    return {int(name): os.readlink(os.path.join(directory, name))
            for name in os.listdir(directory)}


def kind(text):
    return text.split(":")[0].split("[")[0]


def each_child():
    tap.equal(sorted(CHILDREN), ["netproc", "relayproc"], "children")
    return CHILDREN.items()


def product_only():
    if sidecar.sanitized():
        tap.skip("a sanitizer's reports need stderr and a file size")


@tap.case("every process is behind a filter and can gain no privilege")
def _():
    for role, pid in [*each_child(), ("parent", SETUP.car.pid)]:
        status = sidecar.proc_status(pid)
        tap.equal(status["Seccomp"], "2", "%s Seccomp" % role)
        tap.equal(status["NoNewPrivs"], "1", "%s NoNewPrivs" % role)
        tap.note("%s: Uid %s, CapEff %s, Threads %s" % (
            role, status["Uid"].split()[0], status["CapEff"],
            status["Threads"]))
        tap.equal(status["Threads"], "1", "%s threads" % role)


@tap.case("the children have no capability, group or root's uid")
def _():
    uids = set()
    for role, pid in each_child():
        status = sidecar.proc_status(pid)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            tap.equal(status[name], NOBODY_CAN, "%s %s" % (role, name))
        tap.equal(status["Groups"].strip(), "", "%s groups" % role)
        ids = set(status["Uid"].split() + status["Gid"].split())
        tap.ok("0" not in ids, "%s is %s" % (role, ids))
        uids.add(status["Uid"].split()[0])
    tap.equal(len(uids), 2, "uids of two children")


@tap.case("who makes the children holds nothing but the way to do so")
def _():
    pid = (set(SETUP.car.descendants()) - set(CHILDREN.values())).pop()
    status = sidecar.proc_status(pid)
    tap.equal(status["NoNewPrivs"], "1", "NoNewPrivs")
    # CAP_SETGID, CAP_SETUID
    for name, caps in (("CapInh", 0), ("CapAmb", 0), ("CapPrm", 0xc0),
                       ("CapEff", 0xc0)):
        tap.equal(int(status[name], 16), caps, name)
    held = [kind(what) for number, what in sorted(fds(pid).items())
            if number != 2]
    tap.equal(held, ["/dev/null", "/dev/null", "socket",
                     os.path.realpath(sidecar.SALLYPORT)], "descriptors")
    tap.equal(os.readlink("/proc/%d/cwd" % pid), "/", "directory")


@tap.case("a root with fewer capabilities, as in a container, starts it and "
          "has a lost process replaced")
def _():
    world = SETUP.world
    for less in ("-dac_read_search", "-dac_read_search,-dac_override"):
        car = sidecar.Program(world, [
            "setpriv", "--bounding-set=" + less, sidecar.SALLYPORT,
            "--socket", world.path("less.sock")])
        car.log.wait("ready: ")
        os.kill(sidecar.children_of(car.pid)["netproc"], signal.SIGKILL)
        car.log.wait("replaced in")
        tap.equal(car.log.find("does not hold"), [], "complaints")
        car.process.terminate()
        tap.equal(car.wait(), 0, "status")


@tap.case("a root without any starts it with best-effort, where strict refuses")
def _():
    if sidecar.sanitized():
        tap.skip("a build with sanitizers refuses nothing")
    world = SETUP.world
    bare = ["setpriv", "--no-new-privs", "--inh-caps=-all",
            "--bounding-set=-all", sidecar.SALLYPORT, "--socket",
            world.path("bare.sock"), "--isolation"]
    done = world.host.run([*bare, "strict"], timeout=20)
    tap.equal(done.returncode, 77, "status: %s" % done.stderr)
    tap.ok("with CAP_SETUID and CAP_SETGID" in done.stderr, done.stderr)
    car = sidecar.Program(world, [*bare, "best-effort"])
    car.log.wait("fences that do not stand: .*USERNS,.*UID,")
    car.log.wait("ready: ")
    os.kill(sidecar.children_of(car.pid)["netproc"], signal.SIGKILL)
    car.log.wait("replaced in")
    car.process.terminate()
    tap.equal(car.wait(), 0, "status")


FILTERED = """
import ctypes, os, struct, sys
nr, first, action = (int(word, 0) for word in sys.argv[1:4])
rows = [(0x20, 0, 0, 0), (0x15, 0, 3, nr),  # the number; is it nr?
        (0x20, 0, 0, 16), (0x15, 0, first >= 0, max(first, 0)),
        (6, 0, 0, action), (6, 0, 0, 0x7fff0000)]
code = b"".join(struct.pack("HBBI", *row) for row in rows)
rows = ctypes.create_string_buffer(code, len(code))
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("rows", ctypes.c_void_p)]
program = Program(len(code) // 8, ctypes.addressof(rows))
prctl = ctypes.CDLL(None, use_errno=True).prctl
prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
if prctl(22, 2, ctypes.addressof(program), 0, 0) == -1:  # PR_SET_SECCOMP
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[4], sys.argv[4:])
"""
KILL, EPERM, EAFNOSUPPORT = "0x80000000", "0x00050001", "0x00050061"
SOCKET, PIVOT_ROOT, MOUNT, SECCOMP, LANDLOCK = 41, 155, 165, 317, 444


def refused_by(action, nr, word, first=-1):
    """A start that fails under that filter, and names what mends it."""
    world = SETUP.world
    done = world.host.run(
        [sys.executable, "-c", FILTERED, str(nr), str(first), action,
         sidecar.SALLYPORT, "--socket", world.path("narrow.sock")],
        timeout=20 * tap.scale())
    tap.ok(done.returncode in (70, 71, 77), "status %d: %s"
           % (done.returncode, done.stderr))
    tap.ok(word in done.stderr, "no %r in %s" % (word, done.stderr))


@tap.case("who starts it under a system call filter of his own that is too "
          "narrow, as a service may, is told what mends that")
def _():
    if sidecar.sanitized():
        tap.skip("a build with sanitizers refuses nothing")
    if os.uname().machine != "x86_64":
        tap.skip("the numbers are x86_64's")
    fences = "filter that lets mount(2), umount2(2) and pivot_root(2) through"
    refused_by(EPERM, MOUNT, fences)
    refused_by(EPERM, PIVOT_ROOT, fences)
    refused_by(EPERM, SECCOMP, "filter that lets seccomp(2) through")
    refused_by(EPERM, LANDLOCK, "filter that lets landlock(7) through")
    for nr in (MOUNT, PIVOT_ROOT, SECCOMP, LANDLOCK):
        refused_by(KILL, nr, "filter that lets mount(2), umount2(2), "
                   "pivot_root(2), seccomp(2) and landlock(7) through")
    refused_by(EAFNOSUPPORT, SOCKET, "allow sockets of AF_NETLINK",
               first=socket.AF_NETLINK)


@tap.case("each child has namespaces of its own, relayproc but the host's "
          "network")
def _():
    with SETUP.world.host:
        host_net = os.readlink("/proc/thread-self/ns/net")
    seen = {}
    for role, pid in each_child():
        for name in NAMESPACES:
            seen[role, name] = os.readlink("/proc/%d/ns/%s" % (pid, name))
    for name in NAMESPACES:
        ours = os.readlink("/proc/self/ns/%s" % name)
        if name == "net":
            tap.equal(seen["relayproc", "net"], host_net, "relayproc's net")
            tap.ok(seen["netproc", "net"] not in (ours, host_net),
                   "netproc is in the host's network")
            continue
        names = {ours, seen["netproc", name], seen["relayproc", name]}
        tap.equal(len(names), 3, "%s namespaces" % name)


@tap.case("the children's root is empty, and so is their network but for "
          "relayproc")
def _():
    for role, pid in each_child():
        tap.equal(os.listdir("/proc/%d/root/" % pid), [], "%s root" % role)
        with open("/proc/%d/mountinfo" % pid) as file:
            root = file.read()
        for word in ("ro,nosuid,nodev,noexec", "nr_inodes=1", "mode=555"):
            tap.ok(word in root, "%s has no %s: %s" % (role, word, root))
    with open("/proc/%d/net/dev" % CHILDREN["netproc"]) as file:
        devices = [line.split(":")[0].strip() for line in file][2:]
    tap.equal(devices, ["lo"], "netproc's devices")


@tap.case("netproc holds its channels, the frame socket and its flows")
def _():
    product_only()
    held = fds(CHILDREN["netproc"])
    tap.note(held)
    for number in range(3):
        tap.equal(held.pop(number), "/dev/null", "fd %d" % number)
    for number in (3, 4, 5):
        tap.equal(kind(held.pop(number)), "socket", "fd %d" % number)
    tap.equal(held.pop(6), "anon_inode:[eventpoll]", "fd 6")
    tap.equal([kind(what) for what in held.values()],
              ["socket"] * (1 + len(FLOWS)), "frame socket and flows")


@tap.case("relayproc holds its channels, listeners and dups, and no file")
def _():
    product_only()
    held = fds(CHILDREN["relayproc"])
    tap.note(held)
    for number in range(3):
        tap.equal(held.pop(number), "/dev/null", "fd %d" % number)
    for number in (3, 4, 5):
        tap.equal(kind(held.pop(number)), "socket", "fd %d" % number)
    tap.equal(held.pop(6), "anon_inode:[eventpoll]", "fd 6")
    kinds = [kind(what) for what in held.values()]
    spliced = sidecar.RELAY == "splice"
    # And the ends of their streams, and of a pipe that is kept.
    each = 2 if spliced else 1
    tap.equal(kinds.count("pipe"), 2 if spliced else 0, "ends of pipes")
    kinds = [what for what in kinds if what != "pipe"]
    tap.equal(set(kinds), {"socket"}, "the others")
    # One of those by which it asks the kernel (own_addr.h).
    tap.ok(each * len(FLOWS) + 1 <= len(kinds) <= each * len(FLOWS) + 3,
           "%d sockets for %d flows and a listener" % (len(kinds),
                                                       len(FLOWS)))


@tap.case("the children can make no file, core or process, and few "
          "descriptors")
def _():
    product_only()
    for role, pid in each_child():
        with open("/proc/%d/limits" % pid) as file:
            limits = {line[:26].strip(): line[26:].split()[:2]
                      for line in file}
        tap.note("%s: %s open files" % (role, limits["Max open files"][1]))
        for name in ("Max core file size", "Max file size", "Max processes"):
            tap.equal(limits[name], ["0", "0"], "%s %s" % (role, name))
        most = 10240 if sidecar.RELAY == "splice" else 4096
        tap.ok(int(limits["Max open files"][1]) <= most,
               "%s may open %s" % (role, limits["Max open files"]))


@tap.case("nothing of our environment and arguments is in the children")
def _():
    for role, pid in each_child():
        for name in ("environ", "cmdline"):
            with open("/proc/%d/%s" % (pid, name), "rb") as file:
                text = file.read()
            for word in (b"PATH=", b"HOME=", b"8080", b"vmm-"):
                tap.ok(word not in text, "%s %s: %r" % (role, name, text))


@tap.case("--print-policy gives a reason for every row of every process")
def _():
    done = SETUP.world.host.run([sidecar.SALLYPORT, "--print-policy"],
                                timeout=10)
    tap.equal(done.returncode, 0, "status: %s" % done.stderr)
    for role in ("parent", "netproc", "relayproc"):
        tap.ok(role in done.stdout, "no policy of %s" % role)
    calls = [line for line in done.stdout.splitlines()
             if line.startswith(("read", "write"))]
    tap.ok(calls, "no rows in %r" % done.stdout[:200])


@tap.case("the flows still carry data after all this")
def _():
    for guest, server in FLOWS:
        traffic.greet_ends(guest, server)
    tap.note({role: "%d KiB" % sidecar.pss_kib(pid)
              for role, pid in [*each_child(), ("parent", SETUP.car.pid)]})


tap.run(sidecar.tell(SETUP.car))
