#!/usr/bin/python3
"""The table itself: what a row's verdict is, and that probes are run."""

import contextlib
import io
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../lib")]

import peers  # noqa: E402
import probe  # noqa: E402
import sidecar  # noqa: E402
import tap  # noqa: E402

sidecar.need()
QUICK = ("TCP: a closed port refuses at once", "ARP: the gateway is answered "
         "for", "IPv6: UDP, 1400 bytes each way")


def row(ours, *theirs):
    return dict({"sallyport": (ours, "", [])}, **{
        "peer %d" % number: (mark, "", [])
        for number, mark in enumerate(theirs)})


@tap.case("a row is bad only where a peer is right, or a probe was lost")
def _():
    for marks, words, bad in (
            (("yes", "yes", "no"), "as good", False),
            (("yes", "no", "differs"), "better", False),
            (("yes",), "as good", False),
            (("no", "no", "no"), "none is right", False),
            (("differs", "yes", "no"), "by design", False),
            (("no", "no", "yes"), "**worse**", True),
            (("yes", "lost", "yes"), "**not run**", True),
            (("lost", "no", "no"), "**not run**", True)):
        tap.equal(peers.verdict(row(*marks)), (words, bad), "%s" % (marks,))


@tap.case("the table has a cell for each contender, and names what is bad")
def _():
    each = probe.PROBES[0]
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        bad = peers.table([(each, row("no", "yes"))],
                          ["sallyport", "peer 0"])
    tap.equal(bad, [each.name], "what is bad")
    cells = text.getvalue().splitlines()[2].split(" | ")
    tap.equal([cell.strip("| ") for cell in cells],
              [each.name, each.source, "no", "yes", "**worse**"], "cells")


@tap.case("a probe of each kind is run behind sallyport, and passes")
def _():
    for number, each in enumerate(probe.PROBES):
        if each.name in QUICK:
            result = peers.run(number, "sallyport")
            tap.equal(result[0], "yes", "%s: %s" % (each.name, result[1:]))


tap.run()
