#!/usr/bin/python3
"""What a VM loses to the one beside it: when that one is honest and takes all
that it can, and when it is hostile and sends all that it can.

Each has a sallyport of its own, and they share nothing but the machine.  A
machine with few processors is shared in both cases; what a hostile neighbour
takes beyond an honest one is the figure.

A hostile guest never lets its virtual processor rest.  What that costs is
between the VMs and the host, whatever the network, so the honest guest of the
figure does not rest either: it polls for what it downloads.  One that sleeps
until something comes is measured, too."""

import contextlib
import os
import socket
import statistics
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import frames  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
ROUNDS = int(os.environ.get("ROUNDS", "9"))
PART_S = 2
# A tenth of what is expected; what is measured is in the log.
SHARE_MIN = 0.1


class Vm:
    def __init__(self):
        self.world = rig.World()
        self.car = sidecar.Sidecar(self.world, "--connect-rate", "100000")
        self.vmm = sidecar.Vmm(self.world, self.car.path)
        self.listener = self.world.server.listen()
        echo = self.world.server.listen()
        traffic.echo_server(echo)
        self.echo = self.world.guest.connect(rig.SERVER, rig.port_of(echo))

    def download(self, seconds, polls=False):
        """Bytes a second of one stream."""
        guest, server = traffic.pair(self.world.guest, rig.SERVER,
                                     self.listener)
        end = time.monotonic() + seconds
        source = rig.thread(pour, server, end)
        got, buffer = 0, bytearray(1 << 20)
        guest.settimeout(0 if polls else 10)
        while time.monotonic() < end:
            try:
                got += guest.recv_into(buffer)
            except BlockingIOError:
                pass
        guest.close()
        source.join(20)
        return got / seconds

    def round_trips(self, seconds):
        took, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.monotonic()
            traffic.greet(self.echo)
            took.append(time.monotonic() - start)
        return sorted(took)


def pour(sock, end):
    try:
        while time.monotonic() < end:
            sock.sendall(bytes(1 << 18))
    except OSError:
        pass
    sock.close()


class Other:
    """The VM beside, with its sallyport, in a session of its own, as who runs
    many VMs starts them (a service, a daemon of libvirt's): the scheduler
    weighs sessions (sched(7), autogroup), or the control groups of services."""

    def __init__(self):
        here, there = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            here.close()
            os.setsid()
            self._serve(there)
            sys.exit(0)  # what it has made goes with it
        there.close()
        self.line = here.makefile("rw", buffering=1)
        self._ask("ready")

    def _serve(self, there):
        vm, acting = Vm(), None
        for word in map(str.strip, there.makefile("r")):
            if acting:
                os.kill(acting, 9)
                os.waitpid(acting, 0)
            acting = os.fork() if word in ACTS else None
            if acting == 0:
                try:
                    ACTS[word](vm)
                finally:
                    os._exit(1)
            lost = vm.car.log.find("lost ") or vm.car.process.poll()
            there.sendall(b"%r\n" % lost)

    def _ask(self, word):
        self.line.write(word + "\n")
        tap.equal(self.line.readline(), "None\n", "%s: lost" % word)

    @contextlib.contextmanager
    def does(self, word):
        self._ask(word)
        time.sleep(0.3)
        yield
        self._ask("quiet")

    def close(self):
        self.line.close()
        os.waitpid(self.pid, 0)


def honest(vm):
    while True:
        vm.download(10)


def polling(vm):
    while True:
        vm.download(10, polls=True)


def hostile(vm):
    """SYNs, segments of no connection, datagrams and garbage, unpaced."""
    card = vm.world.guest.sniffer("eth0")
    card.setblocking(True)
    batch = []
    for number in range(2000):
        batch += [
            frames.segment(1024 + number, 80, dst=rig.FILTERED, seq=number),
            frames.segment(40000, 81, flags=frames.ACK, data=b"x" * 1000,
                           seq=number),
            frames.datagram(b"y" * 1200, 1024 + number, 9),
            frames.echo(dst=rig.GATEWAY, data=b"z" * 1000),
            os.urandom(200),
        ]
    while True:
        for frame in batch:
            try:
                card.send(frame)
            except OSError:
                pass


def within_rounds(values):
    """The machine drifts: what was measured one after the other compares."""
    return statistics.median(
        hostile / honest for hostile, honest in zip(
            values["beside a hostile one"], values["beside an honest one"]))


ACTS = {"sleeps": honest, "polls": polling, "attacks": hostile}


@tap.case("a hostile neighbour costs no more than an honest one", limit_s=300)
def _():
    other = Other()  # before there is anything of ours that it could end
    mine = Vm()
    states = {"alone": "quiet", "beside one that sleeps": "sleeps",
              "beside an honest one": "polls",
              "beside a hostile one": "attacks"}
    rates = {name: [] for name in states}
    times = {name: [] for name in states}
    for _ in range(ROUNDS):
        for name, act in states.items():
            with other.does(act):
                rates[name].append(mine.download(PART_S))
                took = mine.round_trips(PART_S / 2)
                times[name].append((took[len(took) // 2],
                                    took[int(len(took) * .99)]))
    rate = {name: statistics.median(values) for name, values in rates.items()}
    for name in states:
        p50, p99 = (statistics.median(t[i] for t in times[name]) * 1e6
                    for i in (0, 1))
        tap.note("%s: %.2f Gbit/s, round trip p50 %.0f us, p99 %.0f us"
                 % (name, rate[name] * 8e-9, p50, p99))
    share = within_rounds(rates)
    wait = within_rounds({name: [t[0] for t in took]
                          for name, took in times.items()})
    tap.figure("G7", "throughput beside a hostile VM, of that beside an "
               "honest one", "%.2f" % share, "", "> 0.95")
    tap.figure("G7", "round trip p50 beside a hostile VM, of that beside an "
               "honest one", "%.2f" % wait, "", "< 1.05")
    tap.ok(share > SHARE_MIN, "only %.2f of it" % share)
    other.close()
    tap.equal(mine.car.process.poll(), None, "sallyport ended")
    tap.equal(mine.car.log.find("lost "), [], "lost")


tap.run()
