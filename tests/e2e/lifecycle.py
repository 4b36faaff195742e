#!/usr/bin/python3
"""How sallyport starts, is refused, and ends; nothing is left behind."""

import os
import pwd
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import inject  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
EX_USAGE, EX_UNAVAILABLE, EX_SOFTWARE = 64, 69, 70
EX_CANTCREAT, EX_NOPERM, EX_CONFIG = 73, 77, 78
CTL = os.path.join(sidecar.BUILD, "sallyportctl")
PLAIN_UID = 54324  # of no other process: its limit is our own
ORPHAN_LIMIT_S = 0.1
STOP_LIMIT_S = 1

WORLD = rig.World()


def wait_gone(pids):
    """Seconds until they are."""
    start = time.monotonic()
    left = list(pids)
    while left and time.monotonic() - start < 10 * tap.scale():
        left = [pid for pid in left if not sidecar.gone(pid)]
        time.sleep(0.001)
    took = time.monotonic() - start
    tap.equal(left, [], "processes left after %.3f s" % took)
    tap.note("gone within %.1f ms" % (1e3 * took))
    return took


def attempt(*options, timeout_s=10):
    """A start that is to fail: (status, lines of stderr)."""
    done = WORLD.host.run([sidecar.SALLYPORT, *options],
                          timeout=timeout_s * tap.scale())
    tap.equal(done.stdout, "", "stdout")
    return done.returncode, done.stderr.splitlines()


def refused(status, word, *options):
    """Must end with this status and one line that has this word."""
    path = WORLD.path("refused.sock")
    before = set(os.listdir(WORLD.dir))
    got, lines = attempt("--socket", path, *options)
    tap.note(" ".join(lines))
    tap.equal(got, status, "status, after %r" % lines)
    tap.equal(len(lines), 1, "lines, of %r" % lines)
    tap.ok(word in lines[0], "%r does not name %r" % (lines[0], word))
    tap.equal(set(os.listdir(WORLD.dir)), before, "files")


@tap.case("one line says ready, and --ready-fd as well, after the lock")
def _():
    car = sidecar.Sidecar(WORLD)
    modes = {role: sidecar.proc_status(pid)["Seccomp"]
             for role, pid in car.children().items()}
    tap.equal(modes, {"netproc": "2", "relayproc": "2"}, "seccomp at READY")
    line = car.log.wait("ready")
    tap.ok(sidecar.LOG_LINE.match(line), line)
    tap.equal(os.stat(car.path).st_mode & 0o777, 0o600, "mode of the socket")
    car.terminate()
    for line in car.log.all():
        tap.ok(sidecar.LOG_LINE.match(line), "no time in %r" % line)
    tap.equal(len(car.log.find("ready")), 1, "lines that say ready")


@tap.case("NOTIFY_SOCKET hears READY=1")
def _():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(WORLD.path("notify"))
        sock.settimeout(10 * tap.scale())
        car = sidecar.Sidecar(WORLD, env=dict(
            os.environ, NOTIFY_SOCKET=WORLD.path("notify")))
        tap.ok(b"READY=1" in sock.recv(4096).split(b"\n"), "other words")
        car.terminate()
    os.unlink(WORLD.path("notify"))


def ended_in_order(number):
    """Seconds that it takes."""
    car = sidecar.Sidecar(WORLD)
    vmm = sidecar.Vmm(WORLD, car.path)
    with WORLD.server.listen() as listener:
        guest, server = traffic.pair(WORLD.guest, rig.SERVER, listener)
        traffic.greet_ends(guest, server)
        pids = car.children().values()
        start = time.monotonic()
        car.process.send_signal(number)
        tap.equal(car.wait(), 0, "status")
        took = time.monotonic() - start
        wait_gone(pids)
        tap.ok(not os.path.exists(car.path), "the socket is still there")
        tap.equal([line for line in car.log.all()
                   if "did not stop in order" in line], [], "complaints")
        guest.close()
        server.close()
    vmm.kill()
    return took


def ended_in_time(number):
    """Once at least: a busy machine may hold this or that end up."""
    took = [ended_in_order(number)]
    while took[-1] >= STOP_LIMIT_S and len(took) < 4:
        took.append(ended_in_order(number))
    tap.note(took)
    tap.ok(took[-1] < STOP_LIMIT_S * tap.scale(), "took %r s" % took)


@tap.case("SIGTERM ends it within a second, with 0, and removes the socket")
def _():
    ended_in_time(signal.SIGTERM)


@tap.case("SIGINT does the same")
def _():
    ended_in_time(signal.SIGINT)


@tap.case("so it does while the spawner is stopped, which is gone then")
def _():
    car = sidecar.Sidecar(WORLD)
    spawner = car.spawner()
    inject.stop(spawner)
    status, took = car.terminate()
    tap.equal(status, 0, "status")
    tap.ok(took < STOP_LIMIT_S * tap.scale(), "took %.2f s" % took)
    wait_gone([spawner])
    tap.ok(not os.path.exists(car.path), "the socket is still there")


# Many ports to open: so many calls are made before the children are there.
SLOW = ["-p", "127.0.0.1:20000-20255:20000-20255"]
EARLY = WORLD.path("early.sock")


def begun():
    """A start that is stopped before it has done anything."""
    program = sidecar.Program(
        WORLD, ["sh", "-c", "kill -STOP $$; exec \"$@\"", "sh",
                sidecar.SALLYPORT, "--socket", EARLY, *SLOW])
    inject.wait_stopped(program.pid)
    return program


def named():
    """Whether the socket has its name."""
    return os.path.exists(EARLY)


@tap.case("SIGTERM during the start, when the socket has its name and there "
          "are no children yet, ends it with 0 and removes the socket")
def _():
    for calls in range(20):
        program = begun()
        with inject.held_once(program.pid, named, calls):
            tap.equal(len(sidecar.descendants_of(program.pid)), 1,
                      "processes beside it: the spawner")
            program.process.send_signal(signal.SIGTERM)
        tap.equal(program.wait(), 0, "status")
        tap.ok(not named(), "the socket is still there")


@tap.case("SIGTERM while the children are set up ends them in order")
def _():
    for calls in range(10):
        program = begun()
        with inject.held_once(
                program.pid,
                lambda: len(sidecar.children_of(program.pid)) == 2, calls):
            time.sleep(0.02)  # they have their say meanwhile
            tap.equal(program.log.find("ready: "), [], "lines")
            program.process.send_signal(signal.SIGTERM)
        tap.equal(program.wait(), 0, "status")
        tap.equal([line for line in program.log.all()
                   if "stop in order" in line or "ready: " in line], [],
                  "complaints, or a start")


@tap.case("a spawner that is stopped before it has made the children ends the "
          "start with a line that names it")
def _():
    program = begun()
    with inject.held_once(program.pid, named):
        spawner, = sidecar.descendants_of(program.pid)
        inject.stop(spawner)
    tap.equal(program.wait(15), EX_UNAVAILABLE, "status")
    program.log.wait("the spawner has not answered in 5 s")
    wait_gone([spawner])
    tap.ok(not named(), "a socket is left")


@tap.case("a terminal's signals are not for the children, whose session is "
          "the parent's")
def _():
    # One of their own would have the scheduler weigh them against the VMM.
    car = sidecar.Sidecar(WORLD)
    for role, pid in car.children().items():
        tap.equal(os.getsid(pid), os.getsid(car.pid), role + "'s session")
        tap.equal(os.getpgid(pid), pid, role + "'s process group")
    car.terminate()


@tap.case("with --max-restarts 0 a child that is lost ends sallyport, with a "
          "line that names it")
def _():
    for role in ("netproc", "relayproc"):
        car = sidecar.Sidecar(WORLD, "--max-restarts", "0")
        pids = car.children()
        os.kill(pids[role], signal.SIGKILL)
        tap.ok(car.wait() > 0, "status %d" % car.process.returncode)
        line = car.log.wait("lost %s" % role)
        tap.ok("9" in line or "KILL" in line, "no cause in %r" % line)
        wait_gone(pids.values())
        tap.ok(not os.path.exists(car.path), "the socket is still there")


@tap.case("so is one that has ended when the parent has a word for it")
def _():
    car = sidecar.Sidecar(WORLD, "--max-restarts", "0")
    pid = car.children()["netproc"]
    os.kill(car.pid, signal.SIGSTOP)
    # The first that it sees when it goes on: a socket to hand to netproc.
    with socket.socket(socket.AF_UNIX) as vmm:
        vmm.connect(car.path)
        os.kill(pid, signal.SIGKILL)
        wait_gone([pid])
        os.kill(car.pid, signal.SIGCONT)
        line = car.log.wait("lost netproc")
    tap.ok("SIGKILL" in line, line)
    tap.ok(car.wait() > 0, "status %d" % car.process.returncode)


@tap.case("when the parent is killed its children are gone in 100 ms")
def _():
    for _ in range(4):  # a busy machine may hold this or that end up
        car = sidecar.Sidecar(WORLD)
        tap.equal(len(car.children()), 2, "children")
        pids = car.descendants()
        tap.equal(len(pids), 3, "children, and who makes them")
        car.process.kill()
        took = wait_gone(pids)
        os.unlink(car.path)
        if took < ORPHAN_LIMIT_S * tap.scale():
            return
    tap.ok(False, "each time it takes longer")


@tap.case("a bad option is one line and status 64")
def _():
    for options in (["--mtu", "100"], ["--mtu", "65521"], ["--mtu", "x"],
                    ["--nonsense"], ["-p", "80"], ["-p", "99999:80"],
                    ["--allow", "10.0.0.0/33"], ["--address", "1.2.3"],
                    ["--dns", "nonsense"], ["--default-egress", "maybe"],
                    ["--isolation", "lax"], ["--max-flows", "-1"]):
        refused(EX_USAGE, options[0].lstrip("-"), *options)


@tap.case("options that contradict each other are one line")
def _():
    got, lines = attempt()
    tap.equal((got, len(lines)), (EX_USAGE, 1), "no frame source: %r" % lines)
    refused(EX_USAGE, "fd", "--fd", "5")
    for fd, evidence in (("7", "fd:07"), ("6", "fd:8")):
        refused(EX_USAGE, "--evidence fd:%s: is" % evidence[-1], "--fd", fd,
                "--ready-fd", "8", "--evidence", evidence)


@tap.case("a descriptor that was not passed is named, whatever its number")
def _():
    for fd in map(str, range(3, 12)):
        refused(EX_USAGE, "--ready-fd %s: is not open" % fd,
                "--ready-fd", fd)
        refused(EX_CANTCREAT, "--evidence fd:%s: is not open" % fd,
                "--evidence", "fd:" + fd)


@tap.case("a user that there is not is named, and so is root, who is none for "
          "the children")
def _():
    refused(67, "no such user", "--user", "nosuchuser")
    for isolation in ("strict", "best-effort"):
        refused(EX_USAGE, "--user root: is root", "--user", "root",
                "--isolation", isolation)


@tap.case("where no more processes are allowed it says what mends that")
def _():
    if sidecar.sanitized():
        tap.skip("a sanitizer's run-time complains of its own")
    os.chmod(WORLD.dir, 0o777)
    done = WORLD.host.run(
        ["prlimit", "--nproc=1", sidecar.SALLYPORT, "--socket",
         WORLD.path("one.sock")], timeout=20, user=PLAIN_UID, group=PLAIN_UID,
        extra_groups=[])
    tap.equal(done.returncode, 71, "status")
    tap.equal(len(done.stderr.splitlines()), 1, "lines: " + done.stderr)
    tap.ok("allow more processes" in done.stderr, done.stderr)


@tap.case("a file that is missing is named, a wrong one is named with the "
          "line, and the status is 78")
def _():
    missing = WORLD.path("missing.conf")
    refused(EX_CONFIG, missing, "-f", missing)
    wrong = WORLD.path("wrong.conf")
    with open(wrong, "w") as file:
        file.write("mtu = 1500\nnonsense = 1\n")
    refused(EX_CONFIG, "%s:2" % wrong, "-f", wrong)
    os.unlink(wrong)


@tap.case("a port that is in use is named, and nothing starts")
def _():
    with WORLD.host.listen("127.0.0.1", 8080):
        path = WORLD.path("busy.sock")
        got, lines = attempt("--socket", path, "-p", "8080:80")
        tap.note(" ".join(lines))
        tap.ok(got > 0, "status %d" % got)
        tap.equal(len(lines), 1, "lines, of %r" % lines)
        tap.ok("8080" in lines[0], lines[0])
        tap.ok(not os.path.exists(path), "the socket is still there")


@tap.case("what standard output does not take is one line and status 74")
def _():
    for argv in ([sidecar.SALLYPORT, "--help"], [sidecar.SALLYPORT, "-nv"],
                 [sidecar.SALLYPORT, "--version"], [CTL, "--help"],
                 [sidecar.SALLYPORT, "--print-policy"], [CTL, "--version"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=10)
        tap.equal(done.returncode, 74, "status of %r" % argv)
        tap.equal(done.stderr.count("\n"), 1, "lines, of %r" % done.stderr)
        tap.ok("standard output" in done.stderr, done.stderr)


@tap.case("a socket path that is in use is refused, a stale one is taken")
def _():
    car = sidecar.Sidecar(WORLD)
    got, lines = attempt("--socket", car.path)
    tap.note(" ".join(lines))
    tap.ok(got > 0, "status %d" % got)
    tap.ok(car.path in lines[-1], "%r does not name it" % lines)
    frames.Wire(car.path).close()
    car.process.kill()
    car.wait()
    tap.ok(os.path.exists(car.path), "no stale socket to take")
    again = WORLD.host.popen([sidecar.SALLYPORT, "--socket", car.path],
                             stderr=subprocess.PIPE)
    try:
        log = sidecar.Log(again.stderr)
        log.wait("ready")
    finally:
        again.terminate()
        tap.equal(again.wait(10), 0, "status")


@tap.case("a file that is no socket is left alone")
def _():
    path = WORLD.path("precious")
    with open(path, "w") as file:
        file.write("data")
    got, lines = attempt("--socket", path)
    tap.ok(got > 0, "status %d" % got)
    tap.ok(path in lines[-1], "%r does not name it" % lines)
    with open(path) as file:
        tap.equal(file.read(), "data", "the file")
    os.unlink(path)


@tap.case("--fd takes a connected socket, and its end is a good end")
def _():
    ours, theirs = socket.socketpair()
    tap.ok(theirs.getblocking(), "it does not block as it is passed")
    number = theirs.fileno()
    car = sidecar.Sidecar(WORLD, how=theirs)
    # A VMM that does not read would hold netproc up.
    with open("/proc/%d/fdinfo/%d" % (car.pid, number)) as file:
        flags = int(re.search(r"flags:\s+(\d+)", file.read())[1], 8)
    tap.ok(flags & os.O_NONBLOCK and flags & os.O_CLOEXEC, "%o" % flags)
    wire = frames.Wire(sock=ours)
    wire.alive()
    wire.close()
    tap.equal(car.wait(), 0, "status")


@tap.case("a stream that --fd cannot go on with, as the journal is not sound, "
          "is no good end")
def _():
    ours, theirs = socket.socketpair()
    car = sidecar.Sidecar(WORLD, how=theirs)
    frames.Wire(sock=ours).alive()
    netproc = car.children()["netproc"]
    inject.stop(netproc)
    for fd in os.listdir("/proc/%d/fd" % car.pid):
        name = "/proc/%d/fd/%s" % (car.pid, fd)
        if "journal" in os.readlink(name):
            with open(name, "r+b", buffering=0) as journal:
                journal.write(b"\xff" * 256)
    os.kill(netproc, signal.SIGKILL)
    tap.equal(car.wait(), EX_SOFTWARE, "status")
    car.log.wait("left no sound journal")


@tap.case("-- COMMAND gets the frame descriptor, and its status is ours")
def _():
    done = WORLD.guest.run(
        [sidecar.SALLYPORT, "--", "/bin/sh", "-c",
         "test -S /proc/self/fd/$1 && exit 7", "sh", "{fd}"], timeout=20)
    tap.equal(done.returncode, 7, "status: %s" % done.stderr)


@tap.case("-- COMMAND has the signal mask and handlers that sallyport was "
          "started with")
def _():
    words = ["grep", "^Sig[BIC]", "/proc/self/status"]
    for env in (["env"], ["env", "--block-signal=TERM,USR1"],
                ["env", "--ignore-signal=HUP,PIPE,CHLD,XFSZ,TERM"]):
        plain, ours = (
            WORLD.host.run([*env, *argv], timeout=20).stdout
            for argv in (words, [sidecar.SALLYPORT, "--", *words]))
        tap.ok("SigBlk" in plain, "nothing to compare with")
        tap.equal(ours, plain, "masks")


@tap.case("who starts it may tune malloc for huge pages: lost processes are "
          "replaced all the same, and COMMAND has what was said")
def _():
    for value in ("1", "2"):
        tunables = "glibc.malloc.hugetlb=" + value
        env = dict(os.environ, GLIBC_TUNABLES=tunables)
        car = sidecar.Sidecar(WORLD, env=env)
        for count in (1, 2):
            os.kill(car.children()["netproc"], signal.SIGKILL)
            car.log.wait("replaced in", count=count)
        with open("/proc/%d/comm" % car.pid) as file:
            # The kernel keeps 15 bytes of it.
            tap.equal(file.read().strip(),
                      os.path.basename(sidecar.SALLYPORT)[:15], "its name")
        tap.equal(car.terminate()[0], 0, "status")
        done = WORLD.host.run(
            [sidecar.SALLYPORT, "--", "/usr/bin/env"], env=env, timeout=20)
        said = [line for line in done.stdout.splitlines()
                if "GLIBC_TUNABLES" in line]
        tap.equal(said, ["GLIBC_TUNABLES=" + tunables], "environment")


@tap.case("who starts it may ignore SIGCHLD: ends are noticed all the same")
def _():
    ours = ["env", "--ignore-signal=CHLD", sidecar.SALLYPORT]
    done = WORLD.host.run([*ours, "--", "/bin/sh", "-c", "exit 7"],
                          timeout=20)
    tap.equal(done.returncode, 7, "status: %s" % done.stderr)
    car = sidecar.Program(WORLD, [*ours, "--max-restarts", "0", "--socket",
                                  WORLD.path("ignores.sock")])
    car.log.wait("ready: ")
    os.kill(sidecar.children_of(car.pid)["netproc"], signal.SIGKILL)
    tap.equal(car.wait(), 70, "status")
    car.log.wait(r"lost netproc: killed by signal 9 \(SIGKILL\)")


@tap.case("-- COMMAND is passed SIGTERM, SIGINT and SIGQUIT, each as it came")
def _():
    for number, status in ((signal.SIGTERM, 21), (signal.SIGINT, 22),
                           (signal.SIGQUIT, 23)):
        car = WORLD.host.popen(
            [sidecar.SALLYPORT, "--", "/bin/bash", "-c",
             "trap 'exit 21' TERM; trap 'exit 22' INT; trap 'exit 23' QUIT; "
             "echo here; while :; do sleep 0.05; done"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        WORLD.closing(car.wait)
        WORLD.closing(car.kill)
        log = sidecar.Log(car.stderr)
        tap.equal(car.stdout.readline(), b"here\n", "its first word")
        log.wait("ready")
        car.send_signal(number)
        tap.equal(car.wait(10 * tap.scale()), status, "status after %s"
                  % number.name)


@tap.case("as the first process of a pid namespace it reaps orphans, passes "
          "signals on, and has COMMAND's status")
def _():
    script = ("trap 'exit 21' TERM; (sleep 0 & sleep 0 & sleep 0 & :); i=0; "
              "while set -- /proc/[0-9]*; [ $# != 6 ] && [ $i -lt 60 ]; do "
              "i=$((i + 1)); sleep 0.05; done; echo $#; "
              "while :; do sleep 0.05; done")
    program = sidecar.Program(
        WORLD, ["unshare", "-p", "-f", "--kill-child", "--mount-proc",
                sidecar.SALLYPORT, "--", "sh", "-c", script],
        stdout=subprocess.PIPE)
    # The first, the parent, the spawner, the two children and sh.
    tap.equal(program.process.stdout.readline(), b"6\n", "processes")
    first, = sidecar.descendants_of(program.pid)
    status = sidecar.proc_status(first)
    tap.equal((status["CapPrm"], os.listdir("/proc/%d/fd" % first)),
              ("0" * 16, []), "what the first process holds")
    os.kill(first, signal.SIGTERM)
    tap.equal(program.wait(), 21, "status")


@tap.case("-- COMMAND can be a VMM with a guest")
def _():
    # One namespace for all: its own address is the server.
    world = rig.World()
    world.guest.ip("addr add 198.51.100.1/32 dev lo")
    car = world.host.popen(
        [sidecar.SALLYPORT, "--", "/usr/bin/nsenter",
         "--net=/proc/%d/fd/%d" % (os.getpid(), world.guest.fd),
         sidecar.TAPSHUTTLE, "-d", "eth0", "-f", "{fd}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    world.closing(car.wait)
    world.closing(car.kill)
    log = sidecar.Log(car.stderr)
    tap.equal(car.stdout.readline(), b"up\n", "the shuttle's first word")
    world.guest_configure()
    with world.server.listen() as listener:
        guest, server = traffic.pair(world.guest, rig.SERVER, listener)
        with guest, server:
            traffic.transfer(guest, server, 1 << 20)
    log.wait("ready")
    car.terminate()
    tap.ok(car.wait(10) is not None, "no end")
    world.close()


@tap.case("-- COMMAND that does not exist is 127 and one line")
def _():
    got, lines = attempt("--", "/nonexistent/vmm", "{fd}")
    tap.note(" ".join(lines))
    tap.equal(got, 127, "status")
    tap.ok("/nonexistent/vmm" in lines[-1], "%r" % lines)


@tap.case("-n checks the options and starts nothing")
def _():
    path = WORLD.path("check.sock")
    done = WORLD.host.run([sidecar.SALLYPORT, "-n", "-v", "--socket", path,
                           "--mtu", "9000"], timeout=10)
    tap.equal(done.returncode, 0, "status: %s" % done.stderr)
    tap.ok("9000" in done.stdout, "no canonical form: %r" % done.stdout)
    tap.ok(not os.path.exists(path), "the socket was made")
    again = WORLD.path("canonical.conf")
    with open(again, "w") as file:
        file.write(done.stdout)
    twice = WORLD.host.run([sidecar.SALLYPORT, "-n", "-v", "-f", again],
                           timeout=10)
    tap.equal(twice.stdout, done.stdout, "the canonical form, read again")


@tap.case("signals that mean nothing to it do not end it")
def _():
    car = sidecar.Sidecar(WORLD)
    wire = frames.Wire(car.path)
    for signo in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(car.pid, signo)
    wire.alive()
    tap.equal(car.terminate()[0], 0, "status")
    tap.ok(not os.path.exists(car.path), "the frame socket is still there")


@tap.case("a stderr that nobody reads holds up nothing")
def _():
    reader, stderr = os.pipe()
    ready, ready_write = os.pipe()
    path = WORLD.path("unread")
    process = WORLD.host.popen(
        [sidecar.SALLYPORT, "--ready-fd", str(ready_write), "--socket", path],
        stderr=stderr, pass_fds=[ready_write])
    WORLD.closing(lambda: process.poll() is None and process.kill())
    tap.ok(os.read(ready, 20), "not ready")
    os.set_blocking(stderr, False)
    for size in (4096, 1):
        try:
            while os.write(stderr, b"z" * size):
                pass
        except BlockingIOError:
            pass
    os.set_blocking(stderr, True)
    # Each has its line: a VMM that comes, one that goes, a loss, the end.
    for _ in range(2):
        wire = frames.Wire(path)
        wire.alive()
        wire.close()
    process.terminate()
    tap.equal(process.wait(10 * tap.scale()), 0, "status")
    os.close(stderr)
    with os.fdopen(reader, "rb") as file:
        tap.ok(b"vmm gone" not in file.read(), "it was not full")


@tap.case("a log file that has grown as large as it may ends nothing; too "
          "low a limit of a file's size is one line, and nothing is left")
def _():
    path, limit = WORLD.path("full.log"), 64 << 20  # the journal needs less

    def start(limit, log, *options, **popen):
        process = WORLD.host.popen(
            ["prlimit", "--fsize=%d" % limit, sidecar.SALLYPORT, "--socket",
             WORLD.path("full.sock"), *options], stderr=log, **popen)
        WORLD.closing(process.kill)
        return process

    ready, ready_write = os.pipe()
    with open(path, "ab") as log, os.fdopen(ready, "rb") as said:
        os.truncate(path, limit - 10)
        process = start(limit, log, "--ready-fd", str(ready_write),
                        pass_fds=[ready_write])
        os.close(ready_write)
        tap.equal(said.read(), b"READY=1\n", "word")
    tap.equal(os.stat(path).st_size, limit, "bytes of the log")
    process.terminate()
    tap.equal(process.wait(10), 0, "status")
    process = start(1024, subprocess.PIPE)
    lines = process.communicate(timeout=20)[1].splitlines()
    tap.equal((process.returncode, len(lines)), (71, 1), "end: %s" % lines)
    tap.ok(b"ulimit -f" in lines[0], lines[0])
    tap.ok(not os.path.exists(WORLD.path("full.sock")), "a name is left")


@tap.case("new children that cannot be watched end sallyport in order, with a "
          "line that says what there is too little of")
def _():
    car = sidecar.Sidecar(WORLD)
    resource.prlimit(car.pid, resource.RLIMIT_SIGPENDING, (0, 0))
    os.kill(car.children()["netproc"], signal.SIGKILL)
    tap.equal(car.wait(), 71, "status")
    tap.ok("ulimit -i" in car.log.find("cannot watch")[0], car.log.lines)
    tap.ok(not os.path.exists(car.path), "the socket's name is left")


@tap.case("who cannot be accepted for want of a descriptor costs no processor "
          "and one line a second, and is accepted when there is one")
def _():
    control = WORLD.path("want.sock")
    car = sidecar.Sidecar(WORLD, "--control", control)
    soft, hard = resource.prlimit(car.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(car.pid, resource.RLIMIT_NOFILE, (3, hard))
    ctl = subprocess.Popen([CTL, "-s", control, "status"],
                           stdout=subprocess.PIPE)
    WORLD.closing(ctl.kill)
    with sidecar.unix_connect(car.path):
        car.log.wait("accepting a vmm: Too many open files")
        sidecar.idle_for(1, {"parent": car.pid})
        tap.ok(len(car.log.find("accepting a vmm")) < 10, "too many lines")
        resource.prlimit(car.pid, resource.RLIMIT_NOFILE, (soft, hard))
        car.log.wait("vmm attached")
        tap.ok(b"running" in ctl.communicate(timeout=10)[0], "no status")
    tap.equal(car.terminate()[0], 0, "status")


def status(path, **run):
    done = WORLD.host.run([CTL, "-s", path, "status"], timeout=10, **run)
    tap.equal(done.returncode, 0, "status: %s" % done.stderr)
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@tap.case("sallyportctl tells how it stands")
def _():
    path = WORLD.path("control")
    start = time.monotonic()
    car = sidecar.Sidecar(WORLD, "--control", path)
    before = status(path)
    tap.note(before)
    tap.ok(int(before.pop("uptime_s")) <= time.monotonic() - start, "uptime")
    tap.ok(re.fullmatch(r"\d+\.\d+\S*", before.pop("version")), "version")
    children = car.children()
    tap.equal(before, {
        "pid": str(car.pid), "netproc_pid": str(children["netproc"]),
        "relayproc_pid": str(children["relayproc"]), "state": "running",
        "ready": "yes", "restarts": "0", "netproc_losses": "0",
        "relayproc_losses": "0", "last_restart_ms": "0",
        "vmm_connected": "no"}, "status")
    wire = frames.Wire(car.path)
    wire.alive()
    for count, role in enumerate(("netproc", "netproc", "relayproc"), 1):
        os.kill(car.children()[role], signal.SIGKILL)
        car.log.wait("replaced in", 10, count)
    after = status(path)
    tap.equal([after[key] for key in (
        "restarts", "netproc_losses", "relayproc_losses", "vmm_connected",
        "vmm_pid")], ["3", "2", "1", "yes", str(os.getpid())], "status")
    took = re.search(r"replaced in (\d+)", car.log.find("replaced in")[-1])
    tap.equal(after["last_restart_ms"], took.group(1), "last_restart_ms")
    wire.close()
    car.terminate()
    tap.ok(not os.path.exists(path), "the control socket is still there")


@tap.case("it tells the pid of a VMM that sallyport started")
def _():
    path = WORLD.path("control")
    car = sidecar.Program(WORLD, [
        sidecar.SALLYPORT, "--control", path, "--", "sh", "-c",
        "echo $$; exec sleep 100"], stdout=subprocess.PIPE)
    pid = car.process.stdout.readline().decode().strip()
    car.log.wait("ready: ")
    tap.equal(status(path)["vmm_pid"], pid, "pid")
    car.process.terminate()
    car.wait()


@tap.case("sallyportctl does not wait for a sidecar that is stopped, though "
          "others wait before it")
def _():
    path = WORLD.path("control")
    car = sidecar.Sidecar(WORLD, "--control", path)
    inject.stop(car.pid)
    done = WORLD.host.run([CTL, "-s", path, "status"],
                          timeout=20 * tap.scale())
    tap.equal(done.returncode, EX_UNAVAILABLE, "alone: %s" % done.stderr)
    tap.ok("see who stops sallyport" in done.stderr, done.stderr)
    crowd = []
    try:
        while True:
            crowd.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            crowd[-1].setblocking(False)
            crowd[-1].connect(path)
    except BlockingIOError:
        tap.note("%d wait" % (len(crowd) - 1))
    done = WORLD.host.run([CTL, "-s", path, "status"],
                          timeout=20 * tap.scale())
    tap.equal(done.returncode, EX_UNAVAILABLE, "status: %s" % done.stderr)
    tap.ok("no answer" in done.stderr, done.stderr)
    for one in crowd:
        one.close()
    os.kill(car.pid, signal.SIGCONT)
    car.terminate()


@tap.case("sallyportctl says to another user that he is not heard, whether "
          "the socket's mode or sallyport refuses him")
def _():
    path, copy = WORLD.path("control"), WORLD.path("sallyportctl")
    car = sidecar.Sidecar(WORLD, "--control", path)
    shutil.copy(CTL, copy)
    os.chmod(WORLD.dir, 0o711)
    for mode in (0o600, 0o666):
        os.chmod(path, mode)
        for _ in range(20):
            done = WORLD.host.run([copy, "-s", path, "status"], timeout=10,
                                  user="nobody")
            tap.equal(done.returncode, EX_NOPERM, "status: %s" % done.stderr)
            tap.ok("be root or the user" in done.stderr, done.stderr)
    os.chmod(WORLD.dir, 0o700)
    os.unlink(copy)
    car.terminate()


def control_client(path):
    one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.connect(path)
    one.settimeout(20 * tap.scale())
    return one


def ask_as_nobody(path, times):
    """Connects so often, in a process of its own; its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            for _ in range(times):
                with socket.socket(socket.AF_UNIX,
                                   socket.SOCK_SEQPACKET) as one:
                    one.connect(path)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@tap.case("a user who is not heard does not fill the log by asking again")
def _():
    path = WORLD.path("control")
    car = sidecar.Sidecar(WORLD, "--control", path)
    os.chmod(path, 0o666)
    os.chmod(WORLD.dir, 0o711)
    start = time.monotonic()
    tap.equal(ask_as_nobody(path, 2000), 0, "status")
    most = 10 * (time.monotonic() - start + 2)
    time.sleep(1.1)
    tap.equal(ask_as_nobody(path, 1), 0, "status")
    os.chmod(WORLD.dir, 0o700)
    car.terminate()
    lines = len(car.log.find("refused pid"))
    tap.ok(0 < lines < most + 1, "%d lines, not %d" % (lines, most))
    counted = sum(int(re.search(r"(\d+) before", line).group(1))
                  for line in car.log.find("before were refused on"))
    tap.equal(lines + counted, 2001, "refusals, told and counted")


@tap.case("sallyportctl says to the user who started it that sallyport has "
          "ended, not that he is not heard")
def _():
    where = WORLD.path("nobody")
    os.mkdir(where)
    os.chown(where, pwd.getpwnam("nobody").pw_uid, -1)
    ctl = shutil.copy(CTL, where)
    program = shutil.copy(sidecar.SALLYPORT, where)
    os.chmod(WORLD.dir, 0o711)
    path = os.path.join(where, "control")
    car = sidecar.Program(WORLD, [program, "--socket", where + "/vmm",
                                  "--control", path], user="nobody")
    car.log.wait("ready: ")
    tap.equal(status(path)["state"], "running", "what root is told")
    inject.stop(car.pid)
    asks = WORLD.host.popen([ctl, "-s", path, "status"], user="nobody",
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not sidecar.proc_status(asks.pid)["State"].startswith("S"):
        tap.equal(asks.poll(), None, "status")
        time.sleep(0.01)
    car.process.kill()
    tap.equal(asks.wait(10), EX_UNAVAILABLE, "status")
    tap.ok(b"sallyport has ended" in asks.stderr.read(), "other words")
    os.chmod(WORLD.dir, 0o700)
    shutil.rmtree(where)


@tap.case("sallyportctl refuses a verb that there is not, an empty one too")
def _():
    path = WORLD.path("control")
    car = sidecar.Sidecar(WORLD, "--control", path)
    for verb in ("", "statu", "status of all", "v" * 64, "v" * 65):
        done = WORLD.host.run([CTL, "-s", path, verb], timeout=10)
        tap.equal(done.returncode, EX_USAGE, "status: %s" % done.stderr)
        tap.ok("no such verb; say status" in done.stderr, done.stderr)
    car.terminate()


@tap.case("those who connect to the control socket and say nothing keep others "
          "from it for 5 s, and the parent idle")
def _():
    path = WORLD.path("control")
    car = sidecar.Sidecar(WORLD, "--control", path)
    start = time.monotonic()
    silent = [control_client(path) for _ in range(4)]
    with control_client(path) as fifth:
        fifth.send(b"status")
        sidecar.idle_for(1, {"parent": car.pid})
        early = select.select(silent + [fifth], [], [], 0)[0]
        tap.ok(not early or time.monotonic() > start + 5, "not 5 s")
        for one in silent:
            tap.equal(one.recv(1), b"", "what the silent are told")
            one.close()
        tap.ok(b"state: running" in fifth.recv(4096), "no status")
        tap.equal(fifth.recv(1), b"", "after the answer")
    car.terminate()


@tap.case("sallyportctl without a standard output says so, and does not answer "
          "the control socket instead")
def _():
    path = WORLD.path("control")
    car = sidecar.Sidecar(WORLD, "--control", path)
    for _ in range(10):
        done = WORLD.host.run(["sh", "-c", "exec \"$@\" >&-", "sh", CTL, "-s",
                               path, "status"], timeout=10)
        tap.equal(done.returncode, 74, "status: %s" % done.stderr)
        tap.ok("standard output: Bad file" in done.stderr, done.stderr)
    car.terminate()


@tap.case("sallyportctl says what is no control socket, and an empty path")
def _():
    path = WORLD.path("control")
    car = sidecar.Sidecar(WORLD, "--control", path)
    done = WORLD.host.run([CTL, "-s", car.path, "status"], timeout=10)
    tap.equal(done.returncode, EX_UNAVAILABLE, "the VMM's: %s" % done.stderr)
    tap.ok("say the path of --control" in done.stderr, done.stderr)
    done = WORLD.host.run([CTL, "-s", "", "status"], timeout=10)
    tap.equal(done.returncode, EX_USAGE, "an empty path: %s" % done.stderr)
    tap.ok("say the path of" in done.stderr, done.stderr)
    car.terminate()


@tap.case("--isolation best-effort and --user start it as well")
def _():
    car = sidecar.Sidecar(WORLD, "--isolation", "best-effort", "--user",
                          "nobody")
    uids = {sidecar.proc_status(pid)["Uid"].split()[0]
            for pid in car.children().values()}
    tap.equal(uids, {str(pwd.getpwnam("nobody").pw_uid)}, "uids")
    wire = frames.Wire(car.path)
    wire.alive()
    wire.close()
    car.terminate()


tap.run()
