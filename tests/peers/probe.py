"""What a probe is: a function that returns when the contender is right.

    @probe("TCP: a closed port refuses at once", "RFC 9293 3.5.2")
    def _(this):
        ...
        return "0.3 ms"

Its argument is a Contender with a fresh world.  What it returns, if
anything, is the note of its cell.  Wrong (or any failure of tap's, or an
OSError) is a "no"; Differs is an answer that a user may want as well, and
says how.
"""

import collections

Probe = collections.namedtuple("Probe", "name source limit_s world function")

PROBES = []


class Wrong(Exception):
    """The contender does not do it; the text says what it does."""


class Differs(Exception):
    """It does something else on purpose; the text says what."""


def probe(name, source, within_s=20, **world):
    """Registers a probe; world goes to the Contender."""
    def register(function):
        PROBES.append(Probe(name, source, within_s, world, function))
        return function
    return register


def need(condition, otherwise):
    if not condition:
        raise Wrong(otherwise)
