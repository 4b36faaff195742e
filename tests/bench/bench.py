#!/usr/bin/python3
"""Throughput, processor time, latency, start and memory, beside passt.

    bench.py [-n REPETITIONS] [-t SECONDS] [-m MTU[,MTU]]

The contenders run one after the other within each repetition (A B A B), so
that a machine whose speed drifts is unfair to none, and medians are printed.
Processor time is that of all processes of a contender, from the scheduler's
own count; the guest's and the servers' is not in it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

IPERF_PORT = 5201
STARTS = 20
ROUND_TRIPS = 5000
CONNECTS = 2000


class Sallyport:
    name = "sallyport"

    @staticmethod
    def version():
        return subprocess.run([sidecar.SALLYPORT, "--version"], text=True,
                              capture_output=True, check=True).stdout.strip()

    def __init__(self, world, mtu):
        self.car = sidecar.Sidecar(world, "--mtu", str(mtu),
                                   "--connect-rate", "100000")
        self.path = self.car.path
        self.pids = [self.car.pid, *self.car.children().values()]


class Passt:
    name = "passt"

    @staticmethod
    def version():
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}",
                               "passt"], text=True, capture_output=True)
        return done.stdout or "of unknown version"

    def __init__(self, world, mtu):
        os.chmod(world.dir, 0o777)  # it drops to nobody, then binds
        self.path = world.path("passt.sock")
        self.car = sidecar.Program(world, [
            "passt", "-f", "-q", "-4", "-i", "h0", "-s", self.path,
            "-a", rig.GUEST, "-n", "30", "-g", rig.GATEWAY, "-m", str(mtu)])
        deadline = time.monotonic() + 10
        while not os.path.exists(self.path):
            tap.ok(time.monotonic() < deadline and
                   self.car.process.poll() is None,
                   "passt does not start: %s" % self.car.log.lines)
            time.sleep(0.01)
        self.pids = [self.car.pid]


def cpu_s(pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/schedstat" % pid) as file:
            total += int(file.read().split()[0])
    return total / 1e9


def iperf(world, seconds, *options):
    """Runs iperf3 in the guest; returns (bits a second, bytes)."""
    server = world.server.popen(
        ["iperf3", "-s", "-1", "-p", str(IPERF_PORT), "--forceflush"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        while b"listening" not in server.stdout.readline():
            tap.ok(server.poll() is None, "iperf3 -s ended")
        done = world.guest.run(
            ["iperf3", "-J", "-c", rig.SERVER, "-p", str(IPERF_PORT),
             "-t", str(seconds), "-C", "cubic", *options],
            timeout=seconds + 30)
        server.stdout.read()
    finally:
        server.kill()
        server.wait()
    end = json.loads(done.stdout)["end"]["sum_received"]
    return end["bits_per_second"], end["bytes"]


def round_trip_us(world):
    """Median of a byte to an echo server and back."""
    listener = world.server.listen()
    traffic.echo_server(listener)
    took = []
    with world.guest.connect(rig.SERVER, rig.port_of(listener)) as sock:
        for _ in range(ROUND_TRIPS):
            start = time.perf_counter()
            sock.send(b"!")
            sock.recv(1)
            took.append(time.perf_counter() - start)
    return statistics.median(took) * 1e6


def connects_per_s(world):
    listener = world.server.listen()
    start = time.monotonic()
    for _ in range(CONNECTS):
        for sock in traffic.pair(world.guest, rig.SERVER, listener):
            sock.close()
    return CONNECTS / (time.monotonic() - start)


def measure(contender, mtu, seconds, into):
    """One world, one contender, every figure once."""
    world = rig.World()
    try:
        this = contender(world, mtu)
        sidecar.Vmm(world, this.path, mtu=mtu)
        for way, options in (("up", []), ("down", ["-R"])):
            before = cpu_s(this.pids)
            rate, count = iperf(world, seconds, *options)
            spent = cpu_s(this.pids) - before
            into.setdefault("%s Gbit/s" % way, []).append(rate / 1e9)
            into.setdefault("%s CPU s/GB" % way, []).append(
                spent / (count / 1e9))
        into.setdefault("round trip us", []).append(round_trip_us(world))
        into.setdefault("connects/s", []).append(connects_per_s(world))
    finally:
        world.close()


def compare(contenders, mtu, repetitions, seconds):
    figures = {contender.name: {} for contender in contenders}
    for _ in range(repetitions):
        for contender in contenders:
            measure(contender, mtu, seconds, figures[contender.name])
    ours = figures[Sallyport.name]
    print("\nMTU %d, median of %d x %d s" % (mtu, repetitions, seconds))
    print("%-16s" % "" + "".join("%12s" % name for name in figures)
          + ("%12s" % "ratio" if len(figures) > 1 else ""))
    for what in ours:
        row = [statistics.median(figure[what])
               for figure in figures.values()]
        ratio = "%12.2f" % (row[0] / row[1]) if len(row) > 1 else ""
        print("%-16s" % what + "".join("%12.2f" % value for value in row)
              + ratio, flush=True)


def starts():
    """Exec to READY, and what three idle processes cost."""
    world = rig.World()
    took = []
    for _ in range(STARTS):
        car = sidecar.Sidecar(world)
        took.append(car.ready_s * 1e3)
        car.terminate()
    print("\nexec to READY: median of %d: %.1f ms (%.1f to %.1f)"
          % (STARTS, statistics.median(took), min(took), max(took)))
    car = sidecar.Sidecar(world)
    vmm = sidecar.Vmm(world, car.path)
    parts = {"parent": car.pid, **car.children()}
    sizes = {role: sidecar.pss_kib(pid) for role, pid in parts.items()}
    vmm.check()
    print("PSS idle, a VMM attached: " + ", ".join(
        "%s %d KiB" % item for item in sizes.items())
        + ", together %d KiB" % sum(sizes.values()), flush=True)
    world.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=5, metavar="REPETITIONS")
    parser.add_argument("-t", type=int, default=5, metavar="SECONDS")
    parser.add_argument("-m", default="65520,1500", metavar="MTU[,MTU]")
    options = parser.parse_args()
    sidecar.need()
    if shutil.which("iperf3") is None:
        sys.exit("bench: no iperf3: apt-get install iperf3")
    contenders = [Sallyport]
    if shutil.which("passt") is not None:
        contenders.append(Passt)
    else:
        print("no passt to compare with: apt-get install passt")
    for contender in contenders:
        print("%s: %s" % (contender.name, contender.version()))
    print("kernel %s, %d processors" % (os.uname().release, os.cpu_count()),
          flush=True)
    starts()
    for mtu in options.m.split(","):
        compare(contenders, int(mtu), options.n, options.t)


if __name__ == "__main__":
    main()
