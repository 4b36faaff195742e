#!/usr/bin/python3
"""The attackers' own tools from the guest's side: scapy's fuzz(), thc-ipv6,
nmap.  After each the old connection carries data, a new one can be made, the
processes are the same and idle."""

import os
import shutil
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
GROWTH_MAX_KIB = 32 * 1024
FRAMES = 4000
SEED = 20261127
TOOL_S = 0.7  # for how long what never ends is let go on

WORLD = rig.World(ip6=True)
CAR = sidecar.Sidecar(WORLD, "--connect-rate", "100000")
VMM = sidecar.Vmm(WORLD, CAR.path)
GUEST = WORLD.guest
ECHO, ECHO6 = WORLD.server.listen(), WORLD.server.listen(rig.SERVER6)
traffic.echo_server(ECHO)
traffic.echo_server(ECHO6)
OLD = GUEST.connect(rig.SERVER, rig.port_of(ECHO))
OLD6 = GUEST.connect(rig.SERVER6, rig.port_of(ECHO6))
PIDS = CAR.children()


def mend_guest():
    """The tools spoil the guest's own kernel: neighbours, routes, addresses
    that they advertise to it.  That is not what is looked at."""
    for what in (["neigh", "flush", "dev", "eth0"],
                 ["-6", "neigh", "flush", "dev", "eth0"],
                 ["-6", "route", "flush", "dev", "eth0"],
                 ["-6", "addr", "flush", "dev", "eth0", "scope", "global"]):
        GUEST.run(["ip"] + what)
    WORLD.guest_configure()
    GUEST.ip("route replace fe80::/64 dev eth0",
             "route replace %s/64 dev eth0" % rig.PREFIX6)


def survives(sentence, limit_s=60):
    """A case after which all is well."""
    def register(function):
        def run():
            before = {pid: sidecar.pss_kib(pid) for pid in PIDS.values()}
            function()
            mend_guest()
            traffic.greet(OLD)
            traffic.greet(OLD6)
            for address, listener in ((rig.SERVER, ECHO),
                                      (rig.SERVER6, ECHO6)):
                with GUEST.connect(address, rig.port_of(listener)) as sock:
                    traffic.greet(sock, b"a new one")
            tap.equal(CAR.children(), PIDS, "processes")
            for pid, kib in before.items():
                grown = sidecar.pss_kib(pid) - kib
                tap.ok(grown < GROWTH_MAX_KIB or sidecar.sanitized(),
                       "process %d grew by %d KiB" % (pid, grown))
            sidecar.idle_for(0.2, PIDS)
        return tap.case(sentence, limit_s)(run)
    return register


def for_a_while(argv, seconds=TOOL_S):
    """Runs a tool that may never end; what it said last, or why not."""
    process = GUEST.popen(argv, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True)
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
    return said.decode(errors="replace")


def scapy():
    """An interpreter that has scapy."""
    for python in dict.fromkeys([sys.executable, "/usr/bin/python3"]):
        if subprocess.run([python, "-c", "import scapy"],
                          capture_output=True).returncode == 0:
            return python
    tap.skip("no scapy: install python3-scapy")


@survives("scapy: every layer made up", limit_s=180)
def _():
    result = GUEST.run([scapy(), os.path.join(os.path.dirname(__file__),
                                              "fuzzed.py"),
                        "eth0", rig.GUEST_MAC, rig.GATEWAY_MAC, rig.GUEST,
                        rig.GATEWAY, rig.SERVER, rig.GUEST6, rig.SERVER6,
                        str(FRAMES), str(SEED)], timeout=150 * tap.scale())
    tap.equal(result.returncode, 0, result.stderr[-600:])
    tap.note(result.stdout)


# thc-ipv6: the tool and its arguments behind the device.
THC = [
    ("malformed ICMPv6 of each kind", "fuzz_ip6",
     ["-n", "1", "-1", "-I", "eth0", rig.SERVER6]),
    ("malformed ICMPv6 of each kind to the gateway", "fuzz_ip6",
     ["-n", "1", "-1", "-I", "eth0", rig.GATEWAY6]),
    ("malformed DHCPv6", "fuzz_dhcps6", ["-n", "1", "-1", "eth0"]),
    ("known exploits", "exploit6", ["eth0", rig.GATEWAY6]),
    ("known denials of service", "denial6", ["eth0", rig.GATEWAY6, "1"]),
    ("more of them", "denial6", ["eth0", rig.GATEWAY6, "2"]),
    ("how an implementation takes oddities", "implementation6",
     ["eth0", rig.GATEWAY6]),
    ("fragments of every kind", "fragmentation6",
     ["-p", "eth0", rig.GATEWAY6]),
    ("a firewall's tests", "firewall6", ["eth0", rig.SERVER6, "80"]),
    ("advertisements by the thousand", "flood_advertise6", ["eth0"]),
    ("solicitations by the thousand", "flood_solicitate6",
     ["eth0", rig.GATEWAY6]),
    ("router solicitations by the thousand", "flood_rs6", ["eth0"]),
    ("routers by the thousand", "flood_router26", ["eth0"]),
    ("redirects by the thousand", "flood_redir6", ["eth0"]),
    ("DHCPv6 clients by the thousand", "flood_dhcpc6", ["eth0"]),
    ("MLD reports by the thousand", "flood_mld6", ["eth0"]),
    ("errors by the thousand", "flood_unreach6", ["eth0", rig.GATEWAY6]),
    ("neighbours without end", "ndpexhaust26",
     ["-c", "eth0", rig.PREFIX6 + "/64"]),
    ("a router's death", "kill_router6", ["eth0", "*"]),
    ("a guest that answers for all", "parasite6", ["-l", "eth0"]),
    ("every address is in use", "dos-new-ip6", ["eth0"]),
    ("a false advertisement", "fake_advertise6",
     ["eth0", rig.GATEWAY6, "ff02::1", rig.GUEST_MAC]),
    ("a tunnel", "four2six", ["eth0", rig.SERVER6, rig.GUEST, rig.SERVER]),
    ("random ICMPv6", "randicmp6", ["eth0", rig.GATEWAY6]),
]


def thc(sentence, tool, args):
    @survives("thc-ipv6 %s: %s" % (tool, sentence))
    def _():
        path = shutil.which("atk6-" + tool)
        if path is None:
            tap.skip("no atk6-%s: install thc-ipv6" % tool)
        said = for_a_while([path] + args)
        if "Syntax:" in said:
            tap.ok(False, "it was not run: " + said[:300])
        lines = [line for line in said.splitlines() if line.strip()]
        tap.note(lines[-1][:100] if lines else "it said nothing")


for entry in THC:
    thc(*entry)


@survives("nmap: every way of scanning that it has", limit_s=180)
def _():
    if shutil.which("nmap") is None:
        tap.skip("no nmap: install nmap")
    for args in (["-sS", "-O", "-f", "-p", "%d,80,443" % rig.port_of(ECHO),
                  rig.SERVER],
                 ["-sF", "-p", "1-200", rig.SERVER],
                 ["-sX", "-p", "1-200", rig.SERVER],
                 ["-sA", "-p", "1-200", rig.SERVER],
                 ["-sM", "-p", "1-200", rig.SERVER],
                 ["-sY", "-sZ"][:1] + ["-p", "1-50", rig.SERVER],
                 ["-6", "-sS", "-p", "1-300", rig.SERVER6],
                 ["-sS", "-p", "1-1000", rig.GATEWAY],
                 ["-sU", "-p", "50-70", rig.GATEWAY]):
        said = for_a_while(["nmap", "-n", "-Pn", "-T5", "--max-retries", "0",
                            "--host-timeout", "15s"] + args,
                           40)
        tap.ok("Nmap done" in said, "%s: %s" % (args, said[-300:]))


@tap.case("in the end sallyport says what it dropped, and ends in order")
def _():
    status, _ = CAR.terminate()
    tap.equal(status, 0, "status")
    for line in CAR.log.all():
        tap.ok(sidecar.LOG_LINE.match(line), "no time in %r" % line)
        if "counters" in line:
            tap.note(line)


tap.run(sidecar.tell(CAR))
