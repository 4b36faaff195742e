"""What is measured.  A case is a function of a contender that yields
(figure, unit, value); how often, and beside whom, is bench.py's business.

Each unit says which way is better: UNITS.
"""

import json
import os
import select
import socket
import statistics
import subprocess
import sys
import threading
import time

import resolver
import sidecar
import tap
import traffic
import world as rig

UDPLOAD = os.path.join(sidecar.BUILD, "tests/bench/udpload")
FLOOR = os.path.join(sidecar.BUILD, "tests/bench/floor")
IPERF_PORT = 5201
ROUND_TRIPS = 3000
CONNECTS = 1500
QUERIES = 32
# A resolver that knows no name: NOERROR, and no record.
ANSWERER = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", 53))
print("bound", flush=True)
while True:
    query, client = sock.recvfrom(512)
    sock.sendto(query[:2] + b"\\x81\\x80" + query[4:], client)
"""
# A server that answers each byte with one.  The other end of thousands of
# connections: a process may not have enough descriptors for both.
ECHOER = """
import select, socket
listener = socket.create_server(("0.0.0.0", 0), backlog=4096)
print(listener.getsockname()[1], flush=True)
ready, socks = select.epoll(), {}
ready.register(listener, select.EPOLLIN)
while True:
    for fd, _ in ready.poll():
        if fd == listener.fileno():
            sock = listener.accept()[0]
            socks[sock.fileno()] = sock
            ready.register(sock, select.EPOLLIN)
            continue
        data = socks[fd].recv(1)
        if data:
            socks[fd].send(data)
        else:
            socks.pop(fd).close()
"""
IDLE_S = 3

# After this a transfer is under way.
SETTLED_S = 0.5

# 1: more is better, -1: less is, 0: it is the machine's, not the contender's.
UNITS = {"Gbit/s": 1, "s/GB": -1, "us": -1, "1/s": 1, "%": -1, "KiB": -1,
         "ms": -1, "us each": -1, "Gbit/s at most": 0, "1/s at most": 0}


def busy_s():
    """Processor time so far, of whatever runs on this machine."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq = file.readline().split()[1:8]
    ticks = sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def spent(this):
    """(the contender's processor time, that of all, when)."""
    return (this.cpu_s() if this.pids() else 0, busy_s(), time.monotonic())


def at_no_cost(rate, before, after):
    """What the generators and the kernels of both ends would let through, on
    all processors, if the contender took no time at all."""
    mine_s, all_s, took_s = (late - early
                             for early, late in zip(before, after))
    return rate * os.cpu_count() * took_s / max(all_s - mine_s, 1e-9)


class Midst(threading.Thread):
    """The same of a transfer of so many seconds that begins now, its start
    and its end left out."""

    def __init__(self, this, seconds):
        super().__init__(daemon=True)
        self.this, self.seconds = this, seconds
        self.start()

    def run(self):
        time.sleep(SETTLED_S)
        self.before = spent(self.this)
        time.sleep(max(self.seconds - SETTLED_S, SETTLED_S))
        self.after = spent(self.this)

    def at_no_cost(self, rate):
        self.join()
        return at_no_cost(rate, self.before, self.after)


def iperf(this, seconds, *options):
    """Runs iperf3 in the guest; returns (bits a second, bytes)."""
    server = this.server.popen(
        ["iperf3", "-s", "-1", "-p", str(IPERF_PORT), "--forceflush"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        while b"listening" not in server.stdout.readline():
            tap.ok(server.poll() is None, "iperf3 -s ended")
        done = this.guest.run(
            ["iperf3", "-J", "-c", this.server_address, "-p",
             str(IPERF_PORT), "-t", str(seconds), "-C", "cubic", *options],
            timeout=seconds + 30)
        server.stdout.read()
    finally:
        server.kill()
        server.wait()
    end = json.loads(done.stdout)["end"]["sum_received"]
    return end["bits_per_second"], end["bytes"]


def tcp(this, options):
    if this.floor:
        yield from floor(this, options)
        return
    for streams in options.streams:
        for way, words in (("up", []), ("down", ["-R"])):
            before, midst = this.cpu_s(), Midst(this, options.seconds)
            rate, count = iperf(this, options.seconds, "-P", str(streams),
                                *words)
            mine_s = this.cpu_s() - before
            name = "TCP %s, %d" % (way, streams)
            yield name, "Gbit/s", rate / 1e9
            if this.pids() and count:
                yield name, "s/GB", mine_s / (count / 1e9)
                yield name, "Gbit/s at most", midst.at_no_cost(rate / 1e9)


def floor(this, options):
    done = subprocess.run([FLOOR, "-m", str(this.mtu), "-t",
                           str(options.seconds), this.floor],
                          stdout=subprocess.PIPE, text=True, check=True)
    for unit, value in zip(("Gbit/s", "s/GB"), done.stdout.split()):
        yield "TCP down, 1", unit, float(value)


def windows(this, options):
    for size in ("16K", "64K"):
        for way, words in (("up", []), ("down", ["-R"])):
            rate, _ = iperf(this, options.seconds, "-w", size, *words)
            yield "TCP %s, -w %s" % (way, size), "Gbit/s", rate / 1e9


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def round_trip(this, options):
    listener = this.server.listen()
    traffic.echo_server(listener)
    for size in (1, 1024, 16384):
        data, took = bytes(size), []
        with this.guest.connect(this.server_address,
                                rig.port_of(listener)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(ROUND_TRIPS):
                start = time.perf_counter()
                sock.sendall(data)
                left = size
                while left > 0:
                    left -= len(sock.recv(left))
                took.append(time.perf_counter() - start)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
            yield ("round trip %d B, %s" % (size, name), "us",
                   percentile(took, share) * 1e6)


def connects(this, options):
    """Connect, a byte each way, close."""
    listener = this.server.listen()
    listener.listen(1024)
    before = spent(this)
    for _ in range(CONNECTS):
        one, other = traffic.pair(this.guest, this.server_address, listener)
        one.send(b"?")
        other.recv(1)
        other.send(b"!")
        one.recv(1)
        one.close()
        other.close()
    after = spent(this)
    rate = CONNECTS / (after[2] - before[2])
    yield "connect/request/close", "1/s", rate
    if this.pids():
        yield ("connect/request/close", "us each",
               (after[0] - before[0]) / CONNECTS * 1e6)
        yield ("connect/request/close", "1/s at most",
               at_no_cost(rate, before, after))


def published(this, options):
    if not this.pids():
        return
    with this.guest.listen(port=80) as inside:
        inside.listen(1024)
        start = time.monotonic()
        for _ in range(CONNECTS):
            for sock in traffic.pair(this.world.host, "127.0.0.1", inside,
                                     8080):
                sock.close()
        yield ("published connects", "1/s",
               CONNECTS / (time.monotonic() - start))


def udp(this, options):
    """As many datagrams as go: those that arrive count."""
    for size in (64, 1400):
        for way in ("up", "down"):
            before, midst = spent(this), Midst(this, options.seconds)
            sent, got = udp_load(this, way, size, options.seconds)
            mine_s = spent(this)[0] - before[0]
            name = "UDP %s, %d B" % (way, size)
            yield name, "1/s", got / options.seconds
            yield name + ", lost", "%", 100 * (1 - got / max(sent, 1))
            if this.pids() and got:
                yield name, "us each", mine_s / got * 1e6
                yield (name, "1/s at most",
                       midst.at_no_cost(got / options.seconds))


def udp_load(this, way, size, seconds):
    """The guest names itself to the sink first, so that both ways are open.
    Returns (sent, received)."""
    far = this.server.popen([UDPLOAD, "-l", "-c", this.server_address,
                             "-s", str(size), "-t", str(seconds), "-w", way],
                            text=True,
                            stdout=subprocess.PIPE)
    port = far.stdout.readline().strip()
    near = this.guest.run([UDPLOAD, "-c", this.server_address, "-p", port,
                           "-s", str(size), "-t", str(seconds), "-w", way],
                          timeout=seconds + 20)
    tap.equal(near.returncode, 0, near.stderr)
    answer = far.communicate(timeout=20)[0]
    mine, theirs = int(near.stdout), int(answer)
    return (mine, theirs) if way == "up" else (theirs, mine)


def dns(this, options):
    """Queries that were answered, with so many under way at all times."""
    if this.resolver is None:
        return
    server = this.server.popen([sys.executable, "-c", ANSWERER],
                               stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        time.sleep(0.3)  # the answerer starts
        yield "DNS", "1/s", queries(this, options.seconds)
        yield ("DNS, a port each", "1/s",
               queries_apart(this, options.seconds))
    finally:
        server.kill()
        server.wait()


def queries(this, seconds):
    with this.guest.udp() as sock:
        sock.connect((this.resolver, 53))
        sock.settimeout(1)
        answered, end = 0, time.monotonic() + seconds
        for ident in range(QUERIES):
            sock.send(resolver.question("bench.example", ident))
        while time.monotonic() < end:
            answer = sock.recv(512)
            answered += 1
            sock.send(resolver.question("bench.example",
                                        int.from_bytes(answer[:2], "big")))
    return answered / seconds


def queries_apart(this, seconds):
    """The same, each from a port of its own, as a stub resolver asks."""
    asked, answered = {}, 0
    with select.epoll() as ready:
        def ask(ident):
            sock = this.guest.udp()
            sock.connect((this.resolver, 53))
            sock.send(resolver.question("bench.example", ident))
            asked[sock.fileno()] = sock
            ready.register(sock, select.EPOLLIN)

        for ident in range(QUERIES):
            ask(ident)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = ready.poll(1)
            tap.ok(found, "no answer for a second")
            for fd, _ in found:
                with asked.pop(fd) as sock:
                    ident = int.from_bytes(sock.recv(512)[:2], "big")
                answered += 1
                ask(ident)
    for sock in asked.values():
        sock.close()
    return answered / seconds


def echoed(sock):
    """Seconds of a byte's round trip."""
    start = time.perf_counter()
    sock.send(b"?")
    sock.recv(1)
    return time.perf_counter() - start


def idle_flows(this, options):
    """Round trip of a fresh connection and over all, and one stream, beside
    many idle ones."""
    if not this.pids():
        return
    echoer = this.server.popen([sys.executable, "-c", ECHOER],
                               stdout=subprocess.PIPE, text=True)
    idle = []
    try:
        port = int(echoer.stdout.readline())
        before = this.pss_kib()
        for count in (10, *options.idle):
            while len(idle) < count:
                idle.append(this.guest.connect(this.server_address, port))
            yield from beside_idle(this, options, idle, port, before)
    finally:
        for sock in idle:
            sock.close()
        echoer.kill()
        echoer.wait()


def beside_idle(this, options, idle, port, before_kib):
    fresh = []
    for _ in range(200):
        start = time.perf_counter()
        with this.guest.connect(this.server_address, port) as sock:
            echoed(sock)
            fresh.append(time.perf_counter() - start)
    sweep = [echoed(sock) for sock in idle[:5000]]
    cpu, start = this.cpu_s(), time.monotonic()
    time.sleep(IDLE_S)
    cpu = (this.cpu_s() - cpu) / (time.monotonic() - start)
    name = "%d idle flows" % len(idle)
    yield name + ", fresh p50", "us", statistics.median(fresh) * 1e6
    yield name + ", sweep p50", "us", statistics.median(sweep) * 1e6
    yield name + ", processor", "%", cpu * 100
    yield name + ", memory a flow", "KiB", (
        this.pss_kib() - before_kib) / len(idle)
    for way, words in (("up", []), ("down", ["-R"])):
        before_s = this.cpu_s()
        rate, carried = iperf(this, options.seconds, *words)
        yield "%s, TCP %s" % (name, way), "Gbit/s", rate / 1e9
        yield "%s, TCP %s" % (name, way), "s/GB", (
            this.cpu_s() - before_s) / (carried / 1e9)


def longest_gap(this, options):
    """The longest time without a byte in a steady transfer of 10 s."""
    for way in ("up", "down"):
        listener = this.server.listen()
        guest, server = traffic.pair(this.guest, this.server_address,
                                     listener)
        source, sink = (guest, server) if way == "up" else (server, guest)
        data, end = bytes(1 << 16), time.monotonic() + 10

        def pour():
            try:
                while time.monotonic() < end:
                    source.sendall(data)
            except OSError:
                pass
            source.close()

        rig.thread(pour)
        gap, last = 0, time.perf_counter()
        while sink.recv(1 << 18):
            now = time.perf_counter()
            gap, last = max(gap, now - last), now
        yield "longest gap %s" % way, "ms", gap * 1e3
        sink.close()


CASES = {"tcp": tcp, "windows": windows, "round-trip": round_trip,
         "connects": connects, "published": published, "udp": udp, "dns": dns,
         "idle-flows": idle_flows, "gap": longest_gap}
