#!/usr/bin/python3
"""The host's resolv.conf, followed while the guest runs."""

import ctypes
import os
import shutil
import socket
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
NAME = "/etc/resolv.conf"
QUERY = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1"
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
PLAIN_USER = 54323


def own_etc():
    """An /etc of this process and its children alone, nearly empty."""
    libc = ctypes.CDLL(None, use_errno=True)
    cache = "/etc/ld.so.cache"
    kept = open(cache, "rb").read() if os.path.exists(cache) else b""
    if libc.unshare(CLONE_NEWNS) == -1 \
            or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == -1 \
            or libc.mount(b"tmpfs", b"/etc", b"tmpfs", 0, b"mode=755") == -1:
        tap.skip_all("no mount namespace: %s"
                     % os.strerror(ctypes.get_errno()))
    write(cache, kept)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def name_servers(*addresses):
    return "".join("nameserver %s\n" % one for one in addresses).encode()


def replace(path, data):
    write(path + ".new", data)
    os.rename(path + ".new", path)


class Server:
    """Answers on port 53 with the query and its own mark behind it."""

    def __init__(self, namespace, address, mark):
        self.sock = namespace.udp(address, 53, timeout_s=3600)
        self.mark = mark
        rig.thread(self.serve)

    def serve(self):
        while True:
            query, client = self.sock.recvfrom(65535)
            self.sock.sendto(query[:2] + b"\x81\x80" + query[4:6]
                             + b"\0\1\0\0\0\0" + query[12:]
                             + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xcb\0\x71"
                             + self.mark, client)


own_etc()
WORLD = rig.World()
FIRST = Server(WORLD.server, rig.SERVER, b"\1")
SECOND = Server(WORLD.server, rig.SERVER2, b"\2")


def asked(world=WORLD):
    """The mark of the server that answers the guest."""
    time.sleep(0.02)  # relayproc may have been told just now
    with world.guest.socket(socket.SOCK_DGRAM) as sock:
        sock.settimeout(10 * tap.scale())
        sock.sendto(QUERY, (rig.GATEWAY, 53))
        return sock.recv(65535)[-1:]


def follow(car, change, *args):
    """Makes a change and waits until the sidecar has said what it means."""
    count = len(car.log.find("has changed"))
    change(*args)
    return car.log.wait("has changed", count=count + 1)


def start(as_user=False):
    """A sidecar and its guest, ended by the caller."""
    if not as_user:
        car = sidecar.Sidecar(WORLD)
        return car, sidecar.Vmm(WORLD, car.path)
    ours, theirs = socket.socketpair()
    car = sidecar.Sidecar(WORLD, how=ours, user=PLAIN_USER, group=PLAIN_USER,
                          extra_groups=[])
    return car, sidecar.Vmm(WORLD, fd=theirs)


def end(car, vmm):
    vmm.kill()
    if car.process.poll() is None:
        car.terminate()


@tap.case("a server written into resolv.conf is asked from then on")
def _():
    write(NAME, name_servers(rig.SERVER))
    car, vmm = start()
    tap.equal(asked(), b"\1", "before")
    began = time.monotonic()
    line = follow(car, write, NAME, name_servers(rig.SERVER2))
    tap.note("%.0f ms" % (1e3 * (time.monotonic() - began)))
    tap.ok(rig.SERVER2 in line, line)
    tap.equal(asked(), b"\2", "after")
    end(car, vmm)


@tap.case("a resolv.conf without a server changes nothing and is reported")
def _():
    write(NAME, name_servers(rig.SERVER))
    car, vmm = start()
    line = follow(car, write, NAME, b"# soon\n")
    tap.ok("names no server" in line, line)
    tap.equal(asked(), b"\1", "who is asked")
    end(car, vmm)


@tap.case("one without a server that can be used is reported at the start, with "
          "who is asked instead")
def _():
    for text, used in ((b"nameserver fe80::1%h0\n", False), (b"", False),
                       (name_servers("fe80::1%h0", rig.SERVER), True)):
        write(NAME, text)
        car, vmm = start()
        lines = car.log.find("names no server")
        tap.equal(len(lines), 0 if used else 1, "lines after %r" % text)
        tap.ok(used or "1.1.1.1" in lines[0] and "--dns" in lines[0], lines)
        end(car, vmm)


@tap.case("the file that a link leads to is followed when it is replaced")
def _():
    os.makedirs("/etc/run", exist_ok=True)
    write("/etc/run/stub", name_servers(rig.SERVER))
    os.symlink("run/stub", NAME + ".new")
    os.rename(NAME + ".new", NAME)
    car, vmm = start()
    tap.equal(asked(), b"\1", "before")
    follow(car, replace, "/etc/run/stub", name_servers(rig.SERVER2))
    tap.equal(asked(), b"\2", "after one")
    follow(car, replace, "/etc/run/stub", name_servers(rig.SERVER))
    tap.equal(asked(), b"\1", "after two")
    end(car, vmm)
    os.unlink(NAME)


@tap.case("a file that a link waits for at the start is read when it comes")
def _():
    os.makedirs("/etc/run", exist_ok=True)
    os.unlink("/etc/run/stub")
    os.symlink("run/stub", NAME)
    car, vmm = start()
    follow(car, replace, "/etc/run/stub", name_servers(rig.SERVER2))
    tap.equal(asked(), b"\2", "after it came")
    follow(car, replace, "/etc/run/stub", name_servers(rig.SERVER))
    tap.equal(asked(), b"\1", "after another one")
    end(car, vmm)
    os.unlink(NAME)


@tap.case("started by root, a file put in the place of a plain one in /etc "
          "is out of reach, and that is said")
def _():
    replace(NAME, name_servers(rig.SERVER))
    car, vmm = start()
    line = follow(car, replace, NAME, name_servers(rig.SERVER2))
    tap.ok("Permission denied" in line and "restart" in line, line)
    tap.equal(asked(), b"\1", "who is asked")
    end(car, vmm)


def plain_user_can_run():
    test = [shutil.which("test"), "-x", os.path.realpath(sidecar.SALLYPORT)]
    return WORLD.host.run(test, user=PLAIN_USER, group=PLAIN_USER,
                          extra_groups=[]).returncode == 0


@tap.case("started by a plain user, a file put in its place is followed")
def _():
    if not plain_user_can_run():
        tap.skip("a plain user cannot get at %s" % sidecar.SALLYPORT)
    replace(NAME, name_servers(rig.SERVER))
    car, vmm = start(as_user=True)
    tap.equal(asked(), b"\1", "before")
    for address, mark in ((rig.SERVER2, b"\2"), (rig.SERVER, b"\1")):
        follow(car, replace, NAME, name_servers(address))
        tap.equal(asked(), mark, "after")
    end(car, vmm)


@tap.case("with --dns nothing of resolv.conf counts")
def _():
    write(NAME, name_servers(rig.SERVER))
    car = sidecar.Sidecar(WORLD, "--dns", rig.SERVER2)
    vmm = sidecar.Vmm(WORLD, car.path)
    write(NAME, name_servers(rig.SERVER))
    tap.equal(asked(), b"\2", "who is asked")
    end(car, vmm)
    tap.equal(car.log.find("has changed"), [], "log")


tap.run()
