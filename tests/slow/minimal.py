#!/usr/bin/python3
"""Each row of the filters is needed: taken out, a test fails.

For each row a sallyport is made that lacks it, and the tests that say that
they need it are run on that.  A row without which all of them pass is one too
many, or one test too few."""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402

sidecar.need()
ROLES = ("parent", "netproc", "relayproc")
TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
MUTANT = os.path.join(sidecar.BUILD, "tests/slow/mutant")
COPY = os.path.join(sidecar.BUILD, "sallyport-mutant")
SPEC = b"MUTANT:-1 -1"
RUN_LIMIT_S = 240

# Rows that nothing here can reach, and why; as in NEEDED_BY.
ELSEWHERE = [
    (": (clock_gettime|gettimeofday)", "this machine's clock has a vDSO"),
]

# What breaks: the first that matches, "role: row" against the pattern; a
# script and, of its cases, those whose sentence has one of the words.
MALLOC = "malloc_works_behind_every_filter"
NEEDED_BY = [
    ("(brk|mmap|munmap|mremap)", MALLOC, []),
    ("parent: read", "e2e/lifecycle.py", []),
    ("parent: getsockopt", "e2e/link.py", ["second VMM"]),
    ("parent: setsockopt", "e2e/link.py", ["second VMM"]),
    ("parent: openat", "e2e/resolv_conf.py", []),
    ("parent: ppoll", "e2e/respawn.py", ["slow to read"]),
    ("parent: waitid .*WEXITED", "e2e/lifecycle.py", []),
    ("parent: waitid", "e2e/respawn.py", ["hangs", "stopped does not"]),
    ("parent: timer_", "e2e/respawn.py", ["is killed is replaced"]),
    ("parent: wait4", "e2e/respawn.py", ["is killed is replaced"]),
    ("parent: pidfd_send_signal arg1 == SIGKILL", "e2e/respawn.py",
     ["breaks the protocol"]),
    ("parent: pidfd_send_signal", "e2e/lifecycle.py", ["is passed"]),
    ("parent: (newfstatat|unlinkat)", "e2e/lifecycle.py", []),
    ("netproc: write arg0 >= FD", "e2e/backpressure.py", ["reset in a stall"]),
    ("parent: shutdown", "hostile/netproc_taken.py", ["has its link cut"]),
    ("netproc: shutdown", "e2e/close.py", []),
    ("netproc: .*FD_DGRAM", "e2e/dns.py", []),
    ("(net|relay)proc: exit_group", "e2e/lifecycle.py", ["SIGTERM ends"]),
    ("relayproc: socket arg0 == AF_INET6 .*STREAM", "e2e/ipv6.py",
     ["20 MiB"]),
    ("relayproc: socket arg0 == AF_INET6 .*ICMPV6", "e2e/ipv6.py", ["pings"]),
    ("relayproc: socket arg0 == AF_INET6 .*UDP", "e2e/ipv6.py",
     ["UDP and its"]),
    ("relayproc: socket arg0 == AF_INET .*ICMP", "e2e/icmp.py", []),
    ("relayproc: socket arg0 == AF_INET .*UDP", "e2e/udp.py", []),
    ("relayproc: getsockopt .*IPV6_MTU", "e2e/ipv6.py", ["route alone"]),
    ("relayproc: sendmmsg .*MSG_PROXY", "e2e/floor.py", ["route alone"]),
    ("relayproc: accept4", "e2e/publish.py", []),
    ("relayproc: setsockopt .*IPV6", "e2e/udp.py", []),
    ("relayproc: setsockopt .*(UDP|IP_|SO_RCVBUF)", "e2e/udp.py", []),
    ("relayproc: (send|recv)mmsg", "e2e/udp.py", []),
    ("relayproc: (ioctl|recvfrom|write )", "e2e/tcp_fidelity.py", ["urgent"]),
    ("relayproc: .*FD_DGRAM", "e2e/dns.py", []),
    ("", "e2e/close.py", []),
]
# If those do not fail, all of these are asked.
OTHERS = ["e2e/close.py", "e2e/udp.py", "e2e/ipv6.py", "e2e/publish_udp.py",
          "e2e/lifecycle.py", "e2e/respawn.py"]


def rows():
    """(role, index, text) of each, in the order of the tables."""
    said = subprocess.run(
        [sidecar.SALLYPORT, "--print-policy", "--relay", "splice"], text=True,
        capture_output=True, check=True).stdout
    role, index = None, 0
    for line in said.splitlines():
        head = re.match(r"(\w+): kills the process but for", line)
        if head:
            role, index = head.group(1), 0
        elif not line.startswith("\t"):
            yield role, index, line
            index += 1


def make(role, index, program="mutant"):
    with open(MUTANT.replace("mutant", program), "rb") as file:
        image = file.read()
    tap.equal(image.count(SPEC), 1, "places for the row's number")
    spec = b"MUTANT:%d %d" % (ROLES.index(role), index)
    with open(COPY + ".new", "wb") as file:
        file.write(image.replace(SPEC, spec.ljust(len(SPEC), b"\0")))
    os.chmod(COPY + ".new", 0o755)
    os.rename(COPY + ".new", COPY)


def malloc_fails():
    """The same of test_filter_live's case of malloc, all else left out."""
    said = subprocess.run([COPY], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL,
                          env={"CMOCKA_MESSAGE_OUTPUT": "TAP"}).stdout
    tap.ok(MALLOC in said, "no such case: " + said)
    for line in said.splitlines():
        if line.startswith("not ok") and MALLOC in line:
            return "test_filter_live: " + line
    return None


def is_of_splice(role, text):
    """Whether the row is there with --relay splice alone."""
    said = subprocess.run([sidecar.SALLYPORT, "--print-policy"], text=True,
                          capture_output=True, check=True).stdout
    mine = said.split(role + ": kills")[1]
    return role == "relayproc" and text not in mine.splitlines()


def fails(script, words, relay):
    """The first case that fails on the mutant, or None."""
    environment = dict(os.environ, SALLYPORT=COPY, RELAY=relay,
                       TAPSHUTTLE=sidecar.TAPSHUTTLE)
    process = subprocess.Popen(
        [sys.executable, os.path.join(TESTS, script)] + words,
        env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL)
    try:
        for line in process.stdout:
            if line.startswith("not ok"):
                return "%s: %s" % (script, line.strip())
        return None if process.wait(RUN_LIMIT_S) == 0 else script + ": ended"
    finally:
        process.terminate()
        process.wait()


def needed(role, text):
    """By which test, or None."""
    found = None
    relay = "splice" if is_of_splice(role, text) else ""
    for pattern, script, words in NEEDED_BY:
        if re.search(pattern, "%s: %s" % (role, text)):
            found = malloc_fails() if script == MALLOC else \
                fails(script, words, relay)
            break
    for script in OTHERS if script != MALLOC else []:
        found = found or fails(script, [], relay)
    return found


COUNT = {"needed": 0, "elsewhere": 0}


def of_row(role, index, text):
    @tap.case("%s: %s" % (role, text), limit_s=1200)
    def _():
        for pattern, why in ELSEWHERE:
            if re.search(pattern, "%s: %s" % (role, text)):
                COUNT["elsewhere"] += 1
                tap.skip(why)
        make(role, index, "mutant_malloc" if re.match(NEEDED_BY[0][0], text)
             else "mutant")
        found = needed(role, text)
        tap.ok(found, "nothing fails without it")
        COUNT["needed"] += 1
        tap.note(found)


tap.at_end(lambda: os.path.exists(COPY) and os.unlink(COPY))
if not os.access(MUTANT, os.X_OK):
    tap.skip_all("no %s: make check-minimal builds it" % MUTANT)
if sidecar.sanitized():
    tap.skip_all("a sanitizer's filter has more rows")


@tap.case("the mutant that lacks nothing passes all that is asked",
          limit_s=600)
def _():
    make("parent", 999)
    for script, words in {(script, tuple(words))
                          for _, script, words in NEEDED_BY[1:]}:
        tap.equal(fails(script, list(words), ""), None, "what fails")
    for script, words in (("e2e/close.py", []),
                          ("e2e/tcp_fidelity.py", ["urgent"])):
        tap.equal(fails(script, words, "splice"), None, "what fails, spliced")


for entry in rows():
    of_row(*entry)


@tap.case("what that makes")
def _():
    tap.figure("G9", "rows of the filters that a test needs, of those that "
               "this machine reaches", "%d of %d" % (
                   COUNT["needed"], sum(1 for _ in rows())
                   - COUNT["elsewhere"]), "", "all")


tap.run()
