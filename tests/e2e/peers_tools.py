#!/usr/bin/python3
"""What people run in a guest: each tool must be told the truth."""

import http.server
import json
import os
import shutil
import socketserver
import ssl
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import datagrams  # noqa: E402
import nd  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
WORLD = rig.World(ip6=True)
WORLD.host.sysctl("ipv4/ping_group_range", "0 2147483647")
CAR = sidecar.Sidecar(WORLD, "--connect-rate", "10000")
VMM = sidecar.Vmm(WORLD, CAR.path)
GUEST, SERVER = WORLD.guest, WORLD.server
OPEN, CLOSED, FILTERED = 7000, 7001, 7002
BOTH = ((rig.SERVER, rig.SERVER), (rig.SERVER6, "[%s]" % rig.SERVER6))
PACKAGES = {"rdisc6": "ndisc6", "ssh": "openssh-client", "openssl": "openssl"}


def run(*words, timeout_s=50, ns=GUEST, good=(0,)):
    """The tool's standard output; skips where there is no such tool."""
    if shutil.which(words[0]) is None:
        tap.skip("no %s: install %s" % (words[0], PACKAGES.get(
            words[0], words[0])))
    done = ns.run(words, timeout=timeout_s * tap.scale())
    tap.ok(done.returncode in good, "%s: %d\n%s%s" % (
        " ".join(words), done.returncode, done.stdout, done.stderr))
    return done.stdout


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = bytes(int(self.path.strip("/")))
        self.send_response(200)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        total = 0
        while total < length:
            total += len(self.rfile.read(min(65536, length - total)))
        body = b"%d" % total
        self.send_response(200)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Web(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, address, context=None):
        self.address_family = rig.family_of(address)
        with SERVER:
            super().__init__((address, 0), Handler)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        rig.thread(self.serve_forever)

    def server_bind(self):  # no look-up of names
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def certificate():
    path = WORLD.path("cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048",
                    "-nodes", "-keyout", path + ".key", "-out", path,
                    "-days", "2", "-subj", "/CN=test"], check=True,
                   capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, path + ".key")
    return context


@tap.case("curl: downloads, uploads and many requests on one connection")
def _():
    for address, in_url in BOTH:
        url = "http://%s:%d" % (in_url, Web(address).server_port)
        said = run("curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}",
                   url + "/20000000")
        tap.equal(said, "20000000", "bytes of the download")
        upload = WORLD.path("upload")
        with open(upload, "wb") as file:
            file.truncate(10000000)
        tap.equal(run("curl", "-sS", "--data-binary", "@" + upload, url + "/"),
                  "10000000", "bytes of the upload")
        said = run("curl", "-sS", "-o", "/dev/null", "-w",
                   "%{num_connects} %{size_download}\n",
                   url + "/[1000-1020]", "-o", "/dev/null")
        tap.equal([line.split()[0] for line in said.splitlines()],
                  ["1"] + ["0"] * 20, "connections")


@tap.case("curl over TLS")
def _():
    if shutil.which("openssl") is None:
        tap.skip("no openssl: install openssl")
    web = Web(rig.SERVER, certificate())
    said = run("curl", "-sSk", "-o", "/dev/null", "-w", "%{size_download}",
               "https://%s:%d/5000000" % (rig.SERVER, web.server_port))
    tap.equal(said, "5000000", "bytes")


@tap.case("curl is told of a refusal")
def _():
    for _, in_url in BOTH:
        refused = 7
        run("curl", "-sS", "-m", "5", "http://%s:%d/" % (in_url, CLOSED),
            good=(refused,))


def drop_port():
    """Makes the server filter one port, where it has a filter at all."""
    if shutil.which("nft") is None:
        return False
    done = SERVER.run(["nft", "-f", "-"], input="""
        table inet t { chain c { type filter hook input priority 0;
            tcp dport %d drop; udp dport %d drop; } }""" % (FILTERED,
                                                         FILTERED))
    return done.returncode == 0


def ports(said):
    """{"7000/tcp": "open"} of nmap's table."""
    found = {}
    for line in said.splitlines():
        words = line.split()
        if len(words) > 1 and "/" in words[0] and words[0][0].isdigit():
            found[words[0]] = words[1]
    return found


@tap.case("nmap -sT: open and closed are told apart")
def _():
    traffic.echo_server(SERVER.listen(rig.SERVER, OPEN))
    traffic.echo_server(SERVER.listen(rig.SERVER6, OPEN))
    for address, words in ((rig.SERVER, []), (rig.SERVER6, ["-6"])):
        said = run("nmap", "-n", "-Pn", "-sT", "-p", "%d,%d" % (OPEN, CLOSED),
                   *words, address)
        tap.equal(ports(said), {"%d/tcp" % OPEN: "open",
                                "%d/tcp" % CLOSED: "closed"}, said)


@tap.case("nmap -sT: 1,000 ports, of which one is open")
def _():
    said = run("nmap", "-n", "-Pn", "-sT", "--min-rtt-timeout", "2s", "-p",
               "6500-7499", rig.SERVER)
    tap.equal(ports(said), {"%d/tcp" % OPEN: "open"}, said)
    tap.ok("999 closed" in said, said)


@tap.case("nmap: a filtered port is told as filtered")
def _():
    address, ports_word = rig.FILTERED, "80"
    if drop_port():
        address, ports_word = rig.SERVER, str(FILTERED)
    said = run("nmap", "-n", "-Pn", "-sT", "-p", ports_word, "--max-retries",
               "1", "--host-timeout", "40", address)
    tap.equal(ports(said), {ports_word + "/tcp": "filtered"}, said)


@tap.case("nmap -sS by hand-made segments is told the same")
def _():
    said = run("nmap", "-n", "-Pn", "-sS", "-p", "%d,%d" % (OPEN, CLOSED),
               rig.SERVER)
    tap.equal(ports(said), {"%d/tcp" % OPEN: "open",
                            "%d/tcp" % CLOSED: "closed"}, said)


@tap.case("nmap -sU: open and closed are told apart")
def _():
    datagrams.echo_server(SERVER.udp(rig.SERVER, OPEN))
    said = run("nmap", "-n", "-Pn", "-sU", "--data-length", "8", "-p",
               "%d,%d" % (OPEN, CLOSED), rig.SERVER)
    tap.equal(ports(said), {"%d/udp" % OPEN: "open",
                            "%d/udp" % CLOSED: "closed"}, said)


@tap.case("nmap: what policy denies is not told as open")
def _():
    said = run("nmap", "-n", "-Pn", "-sT", "-p", str(OPEN),
               rig.FORBIDDEN["link-local metadata"])
    tap.ok("open" not in ports(said).values(), said)


@tap.case("nmap -sn: a host is up where it answers, and down where none is")
def _():
    said = run("nmap", "-n", "-sn", "-PE", rig.SERVER, rig.GATEWAY)
    tap.ok("2 hosts up" in said, said)
    said = run("nmap", "-n", "-sn", "-PE", rig.FILTERED)
    tap.ok("0 hosts up" in said, said)


@tap.case("fping: two hosts of each version are alive, one is not")
def _():
    for words in ((rig.SERVER, rig.SERVER2, rig.FILTERED),
                  (rig.SERVER6, rig.SERVER6_2, rig.FILTERED6)):
        some_unreachable = 1
        said = run("fping", "-r", "1", "-t", "1000", *words,
                   good=(some_unreachable,))
        tap.equal(sorted(said.splitlines()), sorted(
            [word + " is alive" for word in words[:2]]
            + [words[2] + " is unreachable"]), said)


@tap.case("nmap -sO and -O do no harm")
def _():
    run("nmap", "-n", "-Pn", "-sO", "-p", "1,2,6,17,47,132", "--max-retries",
        "0", "--host-timeout", "20", rig.SERVER)
    run("nmap", "-n", "-Pn", "-O", "--max-os-tries", "1", "-p",
        "%d,%d" % (OPEN, CLOSED), rig.SERVER)
    VMM.check()
    with GUEST.connect(rig.SERVER, OPEN) as sock:
        traffic.greet(sock)


class Iperf:
    """A server for one test after the other, for a while."""

    def __init__(self, address):
        self.address = address
        if shutil.which("iperf3") is None:
            tap.skip("no iperf3: install iperf3")
        self.process = SERVER.popen(
            ["iperf3", "-s", "-B", address, "-p", "5201", "--forceflush"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        WORLD.closing(self.process.kill)
        while b"listening" not in self.process.stdout.readline():
            tap.equal(self.process.poll(), None, "iperf3 ended")

    def __enter__(self):
        return self

    def measure(self, *words):
        for _ in range(50):
            said = json.loads(run("iperf3", "-J", "-c", self.address, "-p",
                                  "5201", "-t", "2", *words, good=(0, 1)))
            # Its server may be about to end the test before.
            if "busy" not in said.get("error", ""):
                break
            time.sleep(0.1)
        tap.ok("sum" in said["end"] or "sum_received" in said["end"],
               "iperf3 has no result: %s" % said)
        return said["end"]

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def udp_loses_nothing(iperf, *words):
    """In one of some tries: it sends by the clock, and a busy machine may let
    a reader wait for longer than its queue holds."""
    for rate in ("50M", "50M", "10M", "5M"):
        # Its own default holds 90 datagrams.
        end = iperf.measure("-u", "-b", rate, "-l", "1400", "-w", "4M",
                            *words)["sum"]
        tap.note("%s %s: %d of %d lost, jitter %.3f ms" % (
            iperf.address, "".join(words), end["lost_packets"],
            end["packets"], end["jitter_ms"]))
        if end["lost_packets"] == 0:
            return
    tap.ok(False, "some are lost each time")


@tap.case("iperf3: UDP at a modest rate loses nothing, both ways")
def _():
    for address, _ in BOTH:
        with Iperf(address) as iperf:
            for words in ((), ("-R",)):
                udp_loses_nothing(iperf, *words)


@tap.case("iperf3: TCP, one and four at once, both ways")
def _():
    for address, _ in BOTH:
        with Iperf(address) as iperf:
            for words in ((), ("-R",), ("-P", "4"), ("-P", "4", "-R")):
                end = iperf.measure(*words)
                gbit = end["sum_received"]["bits_per_second"] / 1e9
                tap.note("%s %s: %.2f Gbit/s" % (address, " ".join(words),
                                                 gbit))
                tap.ok(gbit * tap.scale() > 0.01, "it stalls")


@tap.case("rdisc6 and ndisc6 see the router")
def _():
    said = run("rdisc6", "-1", "eth0")
    for word in ("fd53:4d00::/64", rig.GATEWAY6, nd.GATEWAY_LL, "1500"):
        tap.ok(word in said, "no %s in\n%s" % (word, said))
    for address in (rig.GATEWAY6, nd.GATEWAY_LL):
        said = run("ndisc6", "-1", address, "eth0")
        tap.ok(rig.GATEWAY_MAC.upper() in said.upper(), said)


tap.run(sidecar.tell(CAR))
