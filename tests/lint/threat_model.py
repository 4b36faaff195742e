#!/usr/bin/python3
"""Each test that THREAT_MODEL.md names exists: a sentence of a script, or a
function in a C file's list of tests."""

import os
import re
import sys

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.insert(0, os.path.join(TOP, "tests/lib"))

import tap  # noqa: E402

REFERENCE = re.compile(r"^`(tests/[^`]+)`: (.+)$")


def read(path):
    with open(os.path.join(TOP, path)) as file:
        return file.read()


def rows():
    """(where it stands, last cell) of each row but the tables' heads."""
    for number, line in enumerate(read("THREAT_MODEL.md").splitlines(), 1):
        if line.startswith("| ") and not line.endswith("| proven by |"):
            yield number, [cell.strip() for cell in line.strip("|").split("|")]


def names(path):
    """What the tests of a file are called."""
    text = read(path)
    if path.endswith(".c"):
        return re.findall(r"\w+", text[text.rindex("\nmain("):])
    joined = re.sub(r'"\s*\n\s*"', "", text)
    return re.findall(r'^@\w+(?:\.case)?\("([^"]+)"', joined, re.MULTILINE)


@tap.case("every row has three cells")
def _():
    for number, cells in rows():
        tap.equal(len(cells), 3, "line %d" % number)
        tap.ok(all(cells), "line %d has an empty cell" % number)


@tap.case("every row names a test that exists")
def _():
    found = list(rows())
    tap.ok(len(found) > 50, "%d rows" % len(found))
    missing = []
    for number, cells in found:
        match = REFERENCE.match(cells[2])
        if match is None:
            missing.append("line %d: no `tests/FILE`: NAME" % number)
        elif not os.path.exists(os.path.join(TOP, match[1])):
            missing.append("line %d: no %s" % (number, match[1]))
        elif match[2] not in names(match[1]):
            missing.append("line %d: %s has no %r" % (number, match[1],
                                                      match[2]))
    tap.equal(missing, [], "missing")


@tap.case("every file that it names exists")
def _():
    for path in set(re.findall(r"`((?:ipc|netproc|parent|relayproc|sandbox)/"
                               r"[^`]+)`", read("THREAT_MODEL.md"))):
        tap.ok(os.path.exists(os.path.join(TOP, path)), path)


tap.run()
