#!/usr/bin/python3
"""No byte of memory that nobody has written reaches the guest or relayproc
(G8): every frame and every record of the conversations in
tests/fuzz/corpus/netproc, twice.  Once fresh memory and buffers that are used
again hold a pattern, which is looked for in what leaves; once valgrind knows
which bytes were written, and looks at what goes to the kernel."""
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import tap  # noqa: E402

TOP = os.environ.get("top_srcdir", ".")
REPLAY = os.path.join(os.environ.get("top_builddir", "build"),
                      "tests/fuzz/fuzz_netproc")
CORPUS = os.path.join(TOP, "tests/fuzz/corpus/netproc")
VALGRIND = ["valgrind", "--quiet", "--error-limit=no", "--leak-check=no",
            "--error-exitcode=99"]


def start(prefix, files, **more):
    env = dict(os.environ, srcdir=TOP, **more)
    return subprocess.Popen([*prefix, REPLAY, *files], env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def end(process):
    """(what it said, lines of complaint); its status must be 0."""
    said = process.communicate()[0]
    bad = [line for line in said.splitlines()
           if not line.startswith(("ok ", "1..", "# "))]
    if process.returncode != 0:
        tap.note("\n".join(bad[:40]))
    tap.equal(process.returncode, 0, "status")
    return said, len([line for line in bad if line.startswith("==")])


@tap.case("no frame and no record holds what nobody has written, by pattern")
def _():
    said, _ = end(start([], []))
    counts = re.search(r"# (\d+) frames to the guest, (\d+) records to "
                       r"relayproc, (\d+) bytes", said)
    tap.ok(counts is not None, "the replay has not counted")
    frames, records, size = (int(n) for n in counts.groups())
    tap.ok(frames > 1000 and records > 300, "the corpus says too little")
    tap.figure("G8", "frames scanned for stale memory", frames, "frames",
               ">= 1000")
    tap.figure("G8", "records scanned for stale memory", records, "records",
               ">= 300")
    tap.figure("G8", "bytes scanned for stale memory", size, "bytes", "any")
    tap.figure("G8", "stale memory found", 0, "frames", "= 0")


@tap.case("no byte that was never written goes to the kernel, says valgrind",
          limit_s=400)
def _():
    if shutil.which("valgrind") is None:
        tap.skip("there is no valgrind; mend: apt-get install valgrind")
    if os.environ.get("TEST_SLOWNESS", "1") != "1":
        tap.skip("a build with sanitizers does not run in valgrind")
    files = [os.path.join(CORPUS, name) for name in sorted(os.listdir(CORPUS))]
    tap.ok(len(files) > 100, "only %d conversations" % len(files))
    at_once = os.cpu_count() or 1
    parts = [start(VALGRIND, files[n::at_once], REPLAY_WHOLE="1")
             for n in range(at_once)]
    ends = [end(part) for part in parts]
    heard = [line for said, _ in ends for line in said.splitlines()
             if line.startswith("ok ")]
    tap.equal(len(heard), len(files),
              "conversations heard to their end")
    tap.figure("G8", "uninitialised memory, by valgrind",
               sum(lines for _, lines in ends), "lines of report", "= 0")


tap.run()
