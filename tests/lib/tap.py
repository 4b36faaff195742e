"""Test Anything Protocol for scripts whose cases are sentences.

    @tap.case("a closed port refuses the guest")
    def _():
        tap.ok(errno == ECONNREFUSED, "got %s" % errno)

    tap.run()

A case passes when it returns; a false tap.ok(), an exception or the case's
deadline fails it alone.  tap.skip() ends a case with a printed reason.
"""

import atexit
import functools
import os
import signal
import sys
import time
import traceback

CASE_LIMIT_S = 60

_cases = []
_at_end = []

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


class Failure(Exception):
    """The case is lost; its text says why."""


class Skip(Exception):
    """The case cannot be run here; its text says why."""


class Deadline(BaseException):
    """The case took too long.  No handler of OSError may swallow it."""


def case(sentence, limit_s=CASE_LIMIT_S):
    def register(function):
        _cases.append((sentence, limit_s, function))
        return function
    return register


def ok(condition, explanation="condition does not hold"):
    if not condition:
        raise Failure(explanation)


def equal(got, want, what):
    ok(got == want, "%s: got %r, want %r" % (what, got, want))


def raises(errnos, function, *args):
    """Calls function, which must fail with one of these errno values."""
    try:
        function(*args)
    except OSError as error:
        ok(error.errno in errnos, "got %r" % error)
        return error
    raise Failure("%s succeeded" % getattr(function, "__name__", function))


def in_time(limit_s, function, *args):
    """Seconds that function took: in one of some calls, of which a busy machine
    may hold up this or that, it must be done in time."""
    took = []
    while not took or (took[-1] >= limit_s * scale() and len(took) < 4):
        start = time.monotonic()
        function(*args)
        took.append(time.monotonic() - start)
    note("%.3f s" % took[-1])
    ok(took[-1] < limit_s * scale(), "took %s s, each time"
       % ", ".join("%.2f" % one for one in took))
    return took[-1]


def skip(reason):
    raise Skip(reason)


def skip_all(reason):
    print("1..0 # SKIP %s" % reason, flush=True)
    sys.exit(0)


def note(text):
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def figure(guarantee, name, value, unit, bound):
    """A line for `make figures`; bound is what it must be, or "any"."""
    note("figure: %s | %s | %s %s | %s" % (guarantee, name, value, unit,
                                           bound))


def at_end(function):
    """Runs function, which may run twice, after the last case, however that
    came about."""
    _at_end.append(function)
    atexit.register(function)


@functools.cache
def scale():
    """How much slower than usual this machine or build may be."""
    return float(os.environ.get("TEST_SLOWNESS", "1"))


def _alarm(_signal, _frame):
    raise Deadline()


def _run_one(number, sentence, limit_s, function, on_failure):
    start = time.monotonic()
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, limit_s * scale())
    try:
        function()
        verdict = "ok %d - %s" % (number, sentence)
    except Skip as reason:
        verdict = "ok %d - %s # SKIP %s" % (number, sentence, reason)
    except Deadline:
        note(traceback.format_exc())
        note("not done after %g s" % (limit_s * scale()))
        verdict = "not ok %d - %s" % (number, sentence)
    except Exception as error:
        note(error if isinstance(error, Failure) else traceback.format_exc())
        if isinstance(error, Failure):
            frame = traceback.extract_tb(error.__traceback__)
            note("line %s" % [entry.lineno for entry in frame][1:-1])
        verdict = "not ok %d - %s" % (number, sentence)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    failed = verdict.startswith("not")
    if failed:
        try:
            on_failure()
        except Exception:
            note(traceback.format_exc())
    print(verdict, flush=True)
    note("%.2f s" % (time.monotonic() - start))
    return failed


def run(on_failure=lambda: None):
    """Runs every case in order; on_failure() may print or mend between."""
    words = sys.argv[1:]
    chosen = [c for c in _cases if not words or any(w in c[0] for w in words)]
    print("1..%d" % len(chosen), flush=True)
    failed = 0
    try:
        for number, entry in enumerate(chosen, 1):
            failed += _run_one(number, *entry, on_failure)
    finally:
        for function in reversed(_at_end):
            function()
    sys.stdout.flush()
    os._exit(1 if failed else 0)  # threads of a lost case must not hold us
