#!/usr/bin/python3
"""One script of wire behaviours, run identically behind sallyport, passt and
slirp4netns, and printed as a table.

    peers.py [-c NAME[,NAME]] [-j JOBS] [-v] [WORD...]

Only the probes whose name holds a WORD are run.  Each runs in a process, a
world and a contender of its own, which are gone when its time is.  The status
is 1 where a peer is right and sallyport is not, or where a probe was lost.
"""

import argparse
import concurrent.futures
import errno
import json
import os
import shutil
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../lib")]

import contenders  # noqa: E402
import probe  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402

# In the order of the table.
import probes_tcp  # noqa: E402,F401
import probes_segments  # noqa: E402,F401
import probes_datagrams  # noqa: E402,F401
import probes_link  # noqa: E402,F401
import probes_names  # noqa: E402,F401
import probes_ipv6  # noqa: E402,F401
import probes_publish  # noqa: E402,F401
import probes_safety  # noqa: E402,F401

WORLD_LIMIT_S = 20  # to set up and to tear down


def in_time(signum, frame):
    raise tap.Deadline()


def why(error):
    if isinstance(error, OSError) and error.errno in errno.errorcode:
        return errno.errorcode[error.errno]
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:100]


def judge(each, name):
    """Runs one probe here; returns (mark, note)."""
    this = contenders.CONTENDERS[name](**each.world)
    signal.signal(signal.SIGALRM, in_time)
    signal.setitimer(signal.ITIMER_REAL, each.limit_s * tap.scale())
    try:
        mark, note = "yes", each.function(this) or ""
    except probe.Differs as how:
        mark, note = "differs", str(how)
    except tap.Deadline:
        mark, note = "no", "nothing for %d s" % each.limit_s
    except Exception as error:
        mark, note = "no", why(error)
    signal.setitimer(signal.ITIMER_REAL, 0)
    if not this.alive():
        mark, note = "no", "%s ended: %s" % (name, note)
    return mark, note, this.program.log.lines[-12:]


def run_here(number, name):
    """The whole life of the process that runs one probe."""
    try:
        result = judge(probe.PROBES[number], name)
    except BaseException as error:
        result = ("lost", "does not start: %s" % why(error), [])
    print(json.dumps(result), flush=True)
    for function in reversed(tap._at_end):
        function()
    os._exit(0)  # a probe's threads must not hold it


def run(number, name):
    """Runs one probe in a process group that ends with it."""
    each = probe.PROBES[number]
    process = subprocess.Popen(
        [sys.executable, __file__, "--one", str(number), name],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True)
    try:
        limit_s = (each.limit_s + WORLD_LIMIT_S) * tap.scale()
        said, complaint = process.communicate(timeout=limit_s)
        return json.loads(said)
    except (subprocess.TimeoutExpired, ValueError) as error:
        complaint = "" if process.returncode is None else complaint
        return "lost", why(error), [complaint]
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def cell(result):
    mark, note = result[0], result[1].replace("|", "/")
    return "%s (%s)" % (mark, note) if note else mark


def verdict(results):
    """What a row means for sallyport, and whether that is bad."""
    ours = results["sallyport"][0]
    peers = [results[name][0] for name in results if name != "sallyport"]
    if "lost" in [ours, *peers]:
        return "**not run**", True
    if ours == "yes":
        return ("as good" if "yes" in peers or not peers else "better"), False
    if ours == "differs":
        return "by design", False
    if "yes" in peers:
        return "**worse**", True
    return "none is right", False


def table(rows, names):
    """Prints it; returns the names of the bad rows."""
    bad = []
    print("| behaviour | source | %s | verdict |" % " | ".join(names))
    print("|---" * (len(names) + 3) + "|")
    for each, results in rows:
        words, worse = verdict(results)
        bad += [each.name] if worse else []
        print("| %s | %s | %s | %s |" % (
            each.name, each.source,
            " | ".join(cell(results[name]) for name in names), words))
    return bad


def summary(rows, names, bad):
    print()
    for name in names:
        print("%s: %d of %d right" % (name, sum(
            results[name][0] == "yes" for _, results in rows), len(rows)))
    if bad:
        print("\nA peer is right and sallyport is not, or a probe was lost:")
        for name in bad:
            print("- " + name)
    else:
        print("\nNo row where a peer is right and sallyport is not.")


def available(wanted):
    """The contenders that this machine has."""
    have = []
    for name in wanted:
        if name == "sallyport" or shutil.which(name):
            have.append(name)
        else:
            print("no %s here: apt-get install %s" % (name, name),
                  file=sys.stderr)
    return have


def main():
    if sys.argv[1:2] == ["--one"]:
        run_here(int(sys.argv[2]), sys.argv[3])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-c", default=",".join(contenders.CONTENDERS),
                        metavar="NAME[,NAME]")
    parser.add_argument("-j", type=int, default=2, metavar="JOBS")
    parser.add_argument("-v", action="store_true",
                        help="print the log of a contender that is wrong")
    parser.add_argument("words", nargs="*", metavar="WORD")
    options = parser.parse_args()
    sidecar.need()
    names = available(options.c.split(","))
    chosen = [number for number, each in enumerate(probe.PROBES)
              if not options.words or
              any(word in each.name for word in options.words)]
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        jobs = {(number, name): pool.submit(run, number, name)
                for number in chosen for name in names}
    rows = [(probe.PROBES[number],
             {name: jobs[number, name].result() for name in names})
            for number in chosen]
    print("kernel %s; %s\n" % (os.uname().release, "; ".join(
        contenders.CONTENDERS[name].version() for name in names)))
    bad = table(rows, names)
    summary(rows, names, bad)
    if options.v:
        for each, results in rows:
            for name in names:
                if results[name][0] in ("no", "lost"):
                    print("\n%s, %s:" % (name, each.name))
                    print("\n".join("    " + line
                                    for line in results[name][2]))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
