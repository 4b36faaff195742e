#!/usr/bin/python3
"""--evidence: what it says of the jails, beside what /proc says of them."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../lib"))

import frames  # noqa: E402
import inject  # noqa: E402
import puppet  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import words  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
WORLD = rig.World()
CHILDREN = ("netproc", "relayproc")
EX_SOFTWARE = 70
PLAIN_UID = 54322
STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
SEND = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL

# What this test looks at itself: a line of /proc/PID/status.
LOOKED_AT = {"SECCOMP": ("Seccomp", "2"), "NO_NEW_PRIVS": ("NoNewPrivs", "1"),
             "BOUNDING": ("CapBnd", "0" * 16), "CAPS": ("CapEff", "0" * 16),
             "GROUPS": ("Groups", "")}
NAMESPACES = {"USERNS": "user", "MOUNTNS": "mnt", "NETNS": "net",
              "PIDNS": "pid", "IPCNS": "ipc", "UTSNS": "uts",
              "CGROUPNS": "cgroup"}


def lines(path):
    with open(path, "rb") as file:
        return file.read().splitlines()


def fences(process):
    return {fence["name"]: fence["known"] for fence in process["fences"]}


def logged(car, count=1):
    car.log.wait("evidence: sha256", count=count)
    return [line.split()[-1] for line in car.log.find("evidence: sha256")]


@tap.case("one object tells of both children, and its digest is logged")
def _():
    path = WORLD.path("evidence")
    car = sidecar.Sidecar(WORLD, "--evidence", path)
    digests = logged(car)
    found = lines(path)
    tap.equal([hashlib.sha256(line).hexdigest() for line in found], digests,
              "digests")
    said = json.loads(found[0])
    tap.note(found[0].decode())
    tap.equal(said["isolation"], "strict", "isolation")
    tap.equal(said["kernel"], os.uname().release, "kernel")
    tap.equal(said["restarts"], 0, "restarts")
    tap.ok(abs(said["time"] - time.time()) < 60, "time %d" % said["time"])
    tap.equal(said["parent"]["pid"], car.pid, "the parent")
    for role, pid in car.children().items():
        tap.equal(said[role]["pid"], pid, role)
        uid = int(sidecar.proc_status(pid)["Uid"].split()[0])
        tap.equal(said[role]["uid"], uid, role + "'s uid")
    car.terminate()


@tap.case("what it calls seen is what /proc shows")
def _():
    path = WORLD.path("evidence-2")
    car = sidecar.Sidecar(WORLD, "--evidence", path)
    logged(car)
    said = json.loads(lines(path)[0])
    for role, pid in car.children().items():
        known = fences(said[role])
        status = sidecar.proc_status(pid)
        for name, (key, value) in LOOKED_AT.items():
            if known[name] == "seen":
                tap.equal(status[key].strip(), value, "%s: %s" % (role, key))
        for name, ns in NAMESPACES.items():
            if role == "relayproc" and name == "NETNS":
                tap.ok(name not in known, "relayproc has the host's network")
                continue
            own = os.readlink("/proc/self/ns/" + ns)
            theirs = os.readlink("/proc/%d/ns/%s" % (pid, ns))
            tap.equal(theirs != own, known[name] == "seen", name)
        # Strict has them all, but for what a kernel or a start may lack.
        for name in (*LOOKED_AT, "USERNS", "PIDNS", "MOUNTS", "CLOSE_FDS"):
            if os.geteuid() == 0:
                tap.equal(known[name], "seen", "%s: %s" % (role, name))
        tap.equal(known["PDEATHSIG"], "said", role)
        tap.figure("G6", "fences of %s, seen from outside" % role,
                   sum(word == "seen" for word in known.values()),
                   "of %d" % len(known), "any")
    missing = [name for role in CHILDREN
               for name, known in fences(said[role]).items()
               if known == "missing"] + said["parent"]["missing"]
    tap.equal(said["verdict"], "degraded" if missing else "stands", "verdict")
    tap.figure("G6", "fences that are missing", len(missing), "", "= 0")
    car.terminate()


@tap.case("the policy's digest is that of what --print-policy prints")
def _():
    path, digests = WORLD.path("evidence-3"), set()
    for plane in ("lend", "splice"):
        car = sidecar.Sidecar(WORLD, "--evidence", path, "--relay", plane)
        logged(car)
        policy = subprocess.run(
            [sidecar.SALLYPORT, "--print-policy", "--relay", plane],
            check=True, capture_output=True).stdout
        digests.add(hashlib.sha256(policy).hexdigest())
        tap.equal(json.loads(lines(path)[0])["policy_sha256"],
                  hashlib.sha256(policy).hexdigest(), plane + ": digest")
        car.terminate()
    tap.equal(len(digests), 2, "policies")


@tap.case("--print-policy prints the policy of a configuration file, too")
def _():
    def policy(*options):
        return subprocess.run([sidecar.SALLYPORT, "--print-policy", *options],
                              check=False, capture_output=True)

    path = WORLD.path("policy.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write("relay = splice\n")
    tap.equal(policy("-f", path).stdout, policy("--relay", "splice").stdout,
              "of the file's")
    tap.equal(policy("-f", path, "--relay", "lend").stdout, policy().stdout,
              "of the command line's")
    done = policy("-f", path + ".not")
    tap.equal((done.returncode, done.stdout), (os.EX_CONFIG, b""),
              "no file: %r" % done.stderr)


@tap.case("each pair that replaces one has a line of its own")
def _():
    path = WORLD.path("evidence-4")
    car = sidecar.Sidecar(WORLD, "--evidence", path)
    for turn in range(1, 4):
        os.kill(car.children()["netproc"], signal.SIGKILL)
        digests = logged(car, turn + 1)
        found = lines(path)
        tap.equal(len(found), turn + 1, "lines")
        tap.equal(hashlib.sha256(found[-1]).hexdigest(), digests[-1], "digest")
        said = json.loads(found[-1])
        tap.equal(said["restarts"], turn, "restarts")
        for role, pid in car.children().items():
            tap.equal(said[role]["pid"], pid, role)
            tap.equal(fences(said[role])["SECCOMP"], "seen", role)
    tap.equal(car.terminate()[0], 0, "status")


@tap.case("a second start that is refused leaves the file to the first, which "
          "goes on in it")
def _():
    path = WORLD.path("shared")
    with open(path, "w") as file:
        file.write("of a run before\n")
    car = sidecar.Sidecar(WORLD, "--evidence", path)
    logged(car)
    before = lines(path)
    tap.equal(len(before), 1, "lines")
    done = WORLD.host.run([sidecar.SALLYPORT, "--socket", car.path,
                           "--evidence", path], timeout=20)
    tap.equal(done.returncode, 69, "status: %s" % done.stderr)
    tap.equal(lines(path), before, "lines after it")
    os.kill(car.children()["netproc"], signal.SIGKILL)
    digests = logged(car, 2)
    tap.equal([hashlib.sha256(line).hexdigest() for line in lines(path)],
              digests, "digests")
    car.terminate()


@tap.case("best-effort lists what is missing, where strict refuses")
def _():
    if sidecar.sanitized():
        tap.skip("a build with sanitizers refuses nothing")
    # Where no IPC namespace is to be had, as an ordinary user.
    path = WORLD.path("evidence-5")
    for isolation, status in (("strict", 77), ("best-effort", None)):
        with open(path, "w"):
            pass
        argv = ["unshare", "-U", "-r", "sh", "-c",
                "echo 0 >/proc/sys/user/max_ipc_namespaces && "
                "exec unshare -U --map-user=1000 --map-group=1000 \"$@\"",
                "sh", sidecar.SALLYPORT, "--isolation", isolation, "--socket",
                WORLD.path("bare.sock"), "--evidence", path]
        program = sidecar.Program(WORLD, argv)
        if status is not None:
            tap.equal(program.wait(), status, "status")
            program.log.wait("IPCNS")
            continue
        program.log.wait("evidence: sha256")
        said = json.loads(lines(path)[0])
        for role in CHILDREN:
            tap.equal(fences(said[role])["IPCNS"], "missing", role)
        tap.equal(said["verdict"], "degraded", "verdict")
        program.process.terminate()
        program.wait()


def of_both_pairs(program, path):
    """Has the children replaced; yields (role, fences) of each, and of each
    that came in its place."""
    program.log.wait("evidence: sha256")
    os.kill(sidecar.children_of(program.pid)["netproc"], signal.SIGKILL)
    program.log.wait("replaced in")
    for line in lines(path):
        said = json.loads(line)
        for role in CHILDREN:
            yield role, fences(said[role])


@tap.case("best-effort starts an ordinary user's where there is no user "
          "namespace, and what a service manager sends to all ends it in order")
def _():
    path, control = WORLD.path("bare"), WORLD.path("bare.sock")
    program = sidecar.Program(WORLD, [
        "unshare", "-U", "-r", "sh", "-c",
        "echo 1 >/proc/sys/user/max_user_namespaces && "
        "exec unshare -U --map-user=1000 --map-group=1000 \"$@\"", "sh",
        sidecar.SALLYPORT, "--isolation", "best-effort", "--socket", control,
        "--evidence", path])
    for role, seen in of_both_pairs(program, path):
        tap.equal((seen["USERNS"], seen["SECCOMP"]), ("missing", "seen"), role)
        # A sanitizer's run-time leaves its memory for others to see.
        tap.ok(sidecar.sanitized() or seen["CLOSE_FDS"] == "missing", role)
    for pid in (*sidecar.descendants_of(program.pid), program.pid):
        os.kill(pid, signal.SIGTERM)
    tap.equal(program.wait(), 0, "status")
    tap.equal(program.log.find("in order"), [], "complaints")


@tap.case("best-effort starts the root of a user namespace that has no other "
          "user, where strict asks for one")
def _():
    if sidecar.sanitized():
        tap.skip("a build with sanitizers refuses nothing")
    path, where = WORLD.path("alone"), WORLD.path("alone.sock")
    who = {"user": PLAIN_UID, "group": PLAIN_UID, "extra_groups": []}
    os.chmod(WORLD.dir, 0o777)
    argv = ["unshare", "-U", "-r", sidecar.SALLYPORT, "--socket", where,
            "--evidence", path]
    done = WORLD.host.run(argv, timeout=20, **who)
    tap.equal(done.returncode, 77, "status: " + done.stderr)
    tap.ok("where it knows root alone, --isolation best-effort" in done.stderr,
           done.stderr)
    program = sidecar.Program(WORLD, [*argv, "--isolation", "best-effort"],
                              **who)
    for role, seen in of_both_pairs(program, path):
        tap.equal((seen["USERNS"], seen["UID"], seen["SECCOMP"]),
                  ("missing", "missing", "seen"), role)
    os.kill(program.pid, signal.SIGTERM)
    tap.equal(program.wait(), 0, "status")


def need_held():
    """Skips where a process cannot be held at its first look at /proc."""
    reason = inject.why_not()
    if reason:
        tap.skip(reason)
    if sidecar.sanitized():
        tap.skip("a sanitizer's run-time looks at /proc first")


@tap.case("a child that is killed before its jail is looked at is lost, and "
          "no evidence calls a fence missing")
def _():
    need_held()
    path = WORLD.path("evidence-killed")
    for role in CHILDREN:
        program = sidecar.Program(
            WORLD, [sidecar.SALLYPORT, "--socket", WORLD.path("killed.sock"),
                    "--evidence", path])
        # The first of its looks at them.
        with inject.held_at(program.pid, inject.READLINK, b"/proc/"):
            pid = sidecar.children_of(program.pid)[role]
            os.kill(pid, signal.SIGKILL)
            while not sidecar.gone(pid):
                pass
        tap.equal(program.wait(), EX_SOFTWARE, "status")
        tap.ok(program.log.wait("lost %s: killed by signal 9" % role), role)
        tap.equal([line for line in program.log.all()
                   if "does not hold" in line], [], "complaints")
        tap.equal(lines(path), [], "evidence")


@tap.case("so is one of a new pair, that was reaped while it was looked at")
def _():
    need_held()
    path = WORLD.path("evidence-reaped")
    car = sidecar.Sidecar(WORLD, "--evidence", path, "--max-restarts", "100")
    spawner = car.spawner()
    for turn, role in enumerate(CHILDREN, 1):
        with inject.held_at(spawner, inject.READLINK, b"/proc/",
                            lambda: os.kill(car.children()["netproc"],
                                            signal.SIGKILL)):
            pid = car.children()[role]
            os.kill(pid, signal.SIGKILL)
            while os.path.exists("/proc/%d" % pid):
                pass
        car.log.wait("replaced in", count=turn)
        tap.equal(len(lines(path)), turn + 1, "objects")
    car.terminate()
    tap.equal([line for line in car.log.all() if "does not hold" in line], [],
              "complaints")


def take_one_more(children, role):
    """The role holds one socket more than it should; returns which."""
    with puppet.Puppet(children["relayproc"]) as maker:
        fd = maker.call(puppet.SOCKET, socket.AF_INET, STREAM,
                        socket.IPPROTO_TCP)
        tap.ok(fd >= words.FD_FIRST_DYNAMIC, "socket: %d" % fd)
        if role == "relayproc":
            return fd
        with puppet.Puppet(children[role]) as taker:
            tap.equal(maker.call(puppet.SENDMSG, words.FD_PEER,
                                 maker.message(b"x", [fd]), SEND), 1, "sent")
            maker.call(puppet.CLOSE, fd)
            return taker.receive(words.FD_PEER)


def looked_at(car, call=inject.READLINK, path=b"/proc/", cause=None):
    """The spawner is held when it begins to look at a new pair: netproc was
    lost.  Or at another call of its."""
    return inject.held_at(car.spawner(), call, path, cause or (
        lambda: os.kill(car.children()["netproc"], signal.SIGKILL)))


def refused_for(said, roles):
    """The object says that these alone, and all of them, lack the fence."""
    tap.equal(said["verdict"], "refused", "verdict")
    tap.equal(tuple(role for role in CHILDREN
                    if fences(said[role])["CLOSE_FDS"] == "missing"),
              roles, "who lacks it")


LACKING = (("netproc",), ("relayproc",), CHILDREN)


@tap.case("a first pair of which one lacks a fence, or both, is refused")
def _():
    need_held()
    path, where = WORLD.path("evidence-first"), WORLD.path("first.sock")
    for roles in LACKING:
        program = sidecar.Program(WORLD, [
            sidecar.SALLYPORT, "--socket", where, "--evidence", path])
        with inject.held_at(program.pid, inject.READLINK, b"/proc/"):
            for role in roles:
                take_one_more(sidecar.children_of(program.pid), role)
        tap.equal(program.wait(), 77, "status")
        said, = lines(path)
        refused_for(json.loads(said), roles)
        tap.ok(not os.path.exists(where), "the socket is still there")


@tap.case("so is a new pair: that is the end, and no VMM is served by it")
def _():
    need_held()
    for roles in LACKING:
        path = WORLD.path("evidence-refused")
        car = sidecar.Sidecar(WORLD, "--evidence", path)
        wire = frames.Wire(car.path)
        wire.alive()
        with looked_at(car):
            for role in roles:
                take_one_more(car.children(), role)
        tap.equal(car.wait(), 77, "status")
        car.log.wait("CLOSE_FDS .* seen from outside")
        tap.equal([line for line in car.log.all() if "replaced in" in line],
                  [], "lines")
        _, said = lines(path)
        refused_for(json.loads(said), roles)
        wire.close()


@tap.case("a fence that is missing at the first look is looked for again, once")
def _():
    need_held()
    path = WORLD.path("evidence-doubt")
    car = sidecar.Sidecar(WORLD, "--evidence", path)
    spawner = car.spawner()
    for turn in 1, 2:
        with looked_at(car):
            fd = take_one_more(car.children(), "relayproc")
            os.kill(spawner, signal.SIGSTOP)  # is not let go for long
        with looked_at(car, puppet.SENDMSG, b"",
                       lambda: os.kill(spawner, signal.SIGCONT)):
            car.log.wait("CLOSE_FDS .* seen from outside", count=turn)
            with puppet.Puppet(car.children()["relayproc"]) as relayproc:
                tap.equal(relayproc.call(puppet.CLOSE, fd), 0, "close")
        car.log.wait("replaced in", count=turn)
    verdicts = [json.loads(line)["verdict"] for line in lines(path)]
    tap.equal(verdicts, 3 * verdicts[:1], "verdicts")
    car.terminate()


@tap.case("where the children's users may not read the program it says so, and "
          "blames no fence")
def _():
    if sidecar.sanitized():
        tap.skip("a build with sanitizers needs its own files")
    os.chmod(WORLD.dir, 0o755)
    program = shutil.copy(sidecar.SALLYPORT, WORLD.path("unreadable"))
    os.chmod(program, 0o711)
    plain = {"user": PLAIN_UID, "group": PLAIN_UID, "extra_groups": []}
    for isolation, who in (("strict", plain), ("best-effort", plain),
                           ("strict", {})):
        done = WORLD.host.run(
            [program, "--socket", WORLD.path("unreadable.sock"),
             "--isolation", isolation], timeout=20, **who)
        tap.equal(done.returncode, 77, "status: " + done.stderr)
        tap.equal(len(done.stderr.splitlines()), 1, "lines")
        tap.ok("chmod a+r" in done.stderr, done.stderr)


@tap.case("in a chroot, where no user namespace is given, it says so")
def _():
    if sidecar.sanitized():
        tap.skip("a build with sanitizers refuses nothing")
    root = WORLD.path("root")
    os.mkdir(root)
    program = sidecar.Program(
        WORLD, ["unshare", "-m", "sh", "-c", "mount --rbind / \"$1\" && "
                "exec chroot \"$@\"", "sh", root, sidecar.SALLYPORT,
                "--socket", WORLD.path("chroot.sock")])
    tap.equal(program.wait(), 77, "status")
    program.log.wait("pivot_root")


@tap.case("where there is no /dev/null it says so in one line, whatever else "
          "is closed")
def _():
    where = WORLD.path("null.sock")
    for closed in ("", "<&- >&-"):
        program = sidecar.Program(
            WORLD, ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev && "
                    "exec \"$@\" " + closed, "sh", sidecar.SALLYPORT,
                    "--socket", where])
        tap.equal(program.wait(), 71, "status")
        tap.equal([line for line in program.log.all() if "/dev/null" in line],
                  program.log.all(), "lines")
        tap.equal(len(program.log.find("make it")), 1, "mends")


def start_with_null(how):
    """In a /dev that has /dev/null made by that command."""
    return sidecar.Program(
        WORLD, ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev && "
                + how + " && exec \"$@\"", "sh", sidecar.SALLYPORT, "--socket",
                WORLD.path("null.sock")])


@tap.case("/dev/null is known as what it is, by whatever name")
def _():
    program = start_with_null("mknod -m 666 /dev/zilch c 1 3 && "
                              "ln -s zilch /dev/null")
    program.log.wait("ready: ")
    program.process.terminate()
    tap.equal(program.wait(), 0, "status")


@tap.case("a file that has its name is not taken for it")
def _():
    if sidecar.sanitized():
        tap.skip("a build with sanitizers refuses nothing")
    program = start_with_null(": >/dev/null && chmod 666 /dev/null")
    tap.ok(program.wait() != 0, "status")
    program.log.wait("holds descriptor 0: /dev/null")
    tap.equal(program.log.find("ready: "), [], "lines")


@tap.case("where /proc is read-only it says so")
def _():
    if sidecar.sanitized():
        tap.skip("a build with sanitizers refuses nothing")
    program = sidecar.Program(
        WORLD, ["unshare", "-m", "sh", "-c", "mount --bind /proc /proc && "
                "mount -o remount,bind,ro /proc && exec \"$@\"", "sh",
                sidecar.SALLYPORT, "--socket", WORLD.path("proc.sock")])
    tap.equal(program.wait(), 77, "status")
    program.log.wait("mount /proc so that it can be written")


@tap.case("it goes to an open descriptor as well")
def _():
    with open(WORLD.path("evidence-6"), "w+b") as file:
        file.write(b"of another\n")
        file.flush()
        program = sidecar.Program(
            WORLD, [sidecar.SALLYPORT, "--socket", WORLD.path("fd.sock"),
                    "--evidence", "fd:%d" % file.fileno()],
            pass_fds=[file.fileno()])
        program.log.wait("evidence: sha256")
        file.seek(0)
        tap.equal(file.readline(), b"of another\n", "what was there")
        tap.ok("netproc" in json.loads(file.read()), "no netproc")
        program.process.terminate()
        tap.equal(program.wait(), 0, "status")


@tap.case("and to a pipe that has a name")
def _():
    path = WORLD.path("fifo")
    os.mkfifo(path)
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        car = sidecar.Sidecar(WORLD, "--evidence", path)
        logged(car)
        tap.ok("netproc" in json.loads(file.readline()), "no netproc")
        tap.equal(car.terminate()[0], 0, "status")


@tap.case("one that nobody has open is named, and nothing waits for a reader")
def _():
    path = WORLD.path("unread")
    os.mkfifo(path)
    done = subprocess.run(
        [sidecar.SALLYPORT, "--socket", WORLD.path("no.sock"), "--evidence",
         path], capture_output=True, text=True, timeout=20 * tap.scale())
    tap.equal(done.returncode, 73, "status")
    tap.ok("--evidence %s: is a pipe that nobody reads" % path in done.stderr,
           done.stderr)
    tap.equal(len(done.stderr.splitlines()), 1, "lines")


@tap.case("a pipe that nobody reads holds up nothing, and what comes after a "
          "line that was cut is a line again")
def _():
    reader, writer = os.pipe()
    with open(reader, "rb", 0) as file:
        car = sidecar.Sidecar(WORLD, "--evidence", "fd:%d" % writer,
                              "--max-restarts", "1000", fds=[writer])
        os.close(writer)
        restarts = 0

        def lose():
            nonlocal restarts
            restarts += 1
            os.kill(car.children()["netproc"], signal.SIGKILL)
            car.log.wait("replaced in", count=restarts)
        while not car.log.find("not written whole"):
            lose()
        file.read(1 << 20)
        lose()
        *_, cut, whole, end = file.read(1 << 20).split(b"\n")
        tap.equal((cut, end), (b"", b""), "the ends of both")
        tap.equal(json.loads(whole)["restarts"], restarts, "restarts")
    tap.equal(car.terminate()[0], 0, "status")


@tap.case("what cannot be written to is named, and nothing starts")
def _():
    link = WORLD.path("link")
    os.symlink(WORLD.path("elsewhere"), link)
    for where, status in (("/nonexistent/evidence", 73), ("fd:99", 73),
                          (link, 73), ("fd:x", 64), ("fd:0", 64)):
        done = subprocess.run(
            [sidecar.SALLYPORT, "--socket", WORLD.path("no.sock"),
             "--evidence", where], capture_output=True, text=True, timeout=20)
        tap.equal(done.returncode, status, where)
        tap.ok("--evidence " + where in done.stderr, done.stderr)
        tap.equal(len(done.stderr.splitlines()), 1, "lines")
        tap.ok(not os.path.exists(WORLD.path("no.sock")), "a socket is left")


tap.run()
