#!/usr/bin/python3
"""Throughput, processor time, latency, start and memory, beside its peers.

    bench.py [--cases NAME[,NAME]] [--contenders NAME[,NAME]]
             [--passt PATH]... [--mtus MTU[,MTU]] [--streams N[,N]]
             [--repetitions N] [--seconds S] [--idle N[,N]]
             [--json FILE] [--markdown FILE] [--plot FILE.svg|FILE.png]

The contenders run one after the other within each repetition (A B C A B C),
so that a machine whose speed drifts is unfair to none; medians are printed,
with the least and the most, and the ratio to the best passt of the run.
Processor time is that of all processes of a contender, from the scheduler's
own count; the guest's and the servers' is not in it.

The congestion control is cubic, tcp_rmem ends at 6 MB, and the card has a
queue of 20,000 frames, for every contender (tests/lib/world.py).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../lib")]

import cases  # noqa: E402
import contenders  # noqa: E402
import many  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402


def numbers(text):
    return [int(word) for word in text.split(",") if word]


def words(text):
    return [word for word in text.split(",") if word]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=words, default=[
        *cases.CASES, *many.CASES], metavar="NAME[,NAME]")
    parser.add_argument("--contenders", type=words,
                        default=list(contenders.DEFAULT))
    parser.add_argument("--passt", action="append", default=[],
                        metavar="PATH", help="a passt of another version")
    parser.add_argument("--mtus", type=numbers, default=[65520, 9000, 1500])
    parser.add_argument("--streams", type=numbers, default=[1, 4, 16, 128])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--idle", type=numbers, default=[1000, 10000])
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", metavar="FILE")
    parser.add_argument("--plot", metavar="FILE",
                        help="how far ahead or behind; .svg or .png")
    options = parser.parse_args()
    if options.plot and not options.plot.endswith((".svg", ".png")):
        parser.error("--plot %s: must end in .svg or .png" % options.plot)
    for name in options.cases:
        if name not in cases.CASES and name not in many.CASES:
            parser.error("no case %s; there are %s" % (
                name, ", ".join([*cases.CASES, *many.CASES])))
    for name in options.contenders:
        if name not in contenders.DEFAULT:
            parser.error("no contender %s; there are %s, and --passt PATH"
                         % (name, ", ".join(contenders.DEFAULT)))
    return options


def chosen(options):
    found = [contenders.DEFAULT[name] for name in options.contenders]
    for peer, program in ((contenders.Passt, "passt"),
                          (contenders.Slirp, "slirp4netns")):
        if shutil.which(program) is None and peer in found:
            print("bench: no %s to compare with: apt-get install %s"
                  % (program, program))
            found.remove(peer)
    return found + [contenders.passt_at(path) for path in options.passt]


def measure(contender, mtu, name, options, figures):
    """One world, one contender, one case."""
    if contender.floor and name != "tcp":
        return
    flows = max([1024, *options.idle]) + 16
    try:
        this = contender(mtu, flows if name == "idle-flows" else 1024,
                         name == "published")
    except tap.Failure as error:
        print("%s, %s: not measured: %s" % (name, contender.name, error),
              flush=True)
        return
    try:
        for what, unit, value in cases.CASES[name](this, options):
            figures.add(mtu, what, unit, contender.name, value)
    except (OSError, tap.Failure, subprocess.TimeoutExpired) as error:
        # One that stalls has no figure; the others go on.
        print("%s, %s: did not finish: %s" % (name, contender.name, error),
              flush=True)
    finally:
        this.close()


def main():
    options = parse()
    sidecar.need()
    if shutil.which("iperf3") is None:
        sys.exit("bench: no iperf3: apt-get install iperf3")
    found = chosen(options)
    figures = report.Figures(found)
    print(figures.machine(), flush=True)
    for name in options.cases:
        if name in many.CASES:
            many.CASES[name](options, figures)
            continue
        # What the MTU does not change is measured at one.
        mtus = options.mtus if name in ("tcp", "windows") else \
            options.mtus[-1:]
        for mtu in mtus:
            for _ in range(options.repetitions):
                for contender in found:
                    measure(contender, mtu, name, options, figures)
            figures.show(mtu, name)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(figures.as_json(), file, indent=1)
    if options.markdown:
        with open(options.markdown, "w") as file:
            file.write(figures.as_markdown())
    if options.plot:
        plot.draw(figures.as_json(), options.plot)


if __name__ == "__main__":
    main()
