#!/usr/bin/python3
"""That the payload of TCP does not come to relayproc: while bytes with a mark
in them are held on their way, its memory is searched for the mark.  netproc's
is searched as well, where the mark must be found: so the search can fail."""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
if os.geteuid() != 0:
    tap.skip_all("reading the memory of a jailed process takes root")
SETUP = sidecar.setup("-p", "8080:80")
LISTENER = SETUP.world.server.listen()
INSIDE = SETUP.world.guest.listen(port=80)
MARK = os.urandom(24)


def marks(pid):
    """(times the mark is there, bytes looked at), all that can be read."""
    found = looked = 0
    with open("/proc/%d/maps" % pid) as maps, \
            open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            if line.split()[1][0] != "r" or line.rstrip().endswith(
                    ("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(word, 16) for word in line.split()[0].split("-"))
            memory.seek(start)
            try:
                content = memory.read(end - start)
            except OSError:
                continue
            looked += len(content)
            found += content.count(MARK)
    return found, looked


def stuff(sock):
    """Sends marked bytes until nobody takes any more."""
    sock.setblocking(False)
    block, sent = MARK * (65536 // len(MARK)), 0
    deadline = time.monotonic() + 2 * tap.scale()
    while time.monotonic() < deadline:
        try:
            sent += sock.send(block)
        except BlockingIOError:
            time.sleep(0.01)
    return sent


def search(car, plane):
    """Holds marked bytes on four flows, and looks where they are."""
    children = car.children()
    pairs = [traffic.pair(SETUP.world.guest, rig.SERVER, LISTENER)
             for _ in range(2)]
    pairs += [traffic.pair(SETUP.world.host, "127.0.0.1", INSIDE, 8080)
              for _ in range(2)]
    threads = [rig.thread(stuff, end) for pair in pairs for end in pair]
    held = []
    for _ in range(4):
        time.sleep(0.4)
        held.append(marks(children["netproc"])[0])
        found, looked = marks(children["relayproc"])
        tap.equal(found, 0, "marks in relayproc's memory")
    for thread in threads:
        thread.join(30 * tap.scale())
    tap.ok(max(held) > 100, "no mark was under way: %r" % held)
    tap.figure("G5", "payload under way, found in netproc (%s)" % plane,
               max(held), "marks", "> 100")
    tap.figure("G5", "payload found in relayproc, of %d KiB (%s)"
               % (looked >> 10, plane), found, "marks", "= 0")
    for pair in pairs:
        for sock in pair:
            sock.close()


@tap.case("TCP's payload is not in relayproc's memory, out or in, up or down")
def _():
    search(SETUP.car, "lend")


@tap.case("nor is it there where flows are spliced")
def _():
    SETUP.vmm.kill()
    SETUP.car.terminate()
    car = sidecar.Sidecar(SETUP.world, "-p", "8080:80", "--relay", "splice")
    vmm = sidecar.Vmm(SETUP.world, car.path)
    search(car, "splice")
    vmm.check()
    car.terminate()


tap.run(sidecar.tell(SETUP.car))
