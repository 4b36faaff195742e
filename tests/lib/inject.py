"""Makes a process do what its own code never does: ptrace from outside, for a
moment here, for as long as one likes in puppet.py."""

import contextlib
import ctypes
import os
import platform
import signal
import time

import sidecar

ATTACH, PEEKTEXT, POKETEXT, CONT, GETREGS, SETREGS, DETACH, SYSCALL, \
    SETOPTIONS, GETEVENTMSG = 16, 1, 4, 7, 12, 13, 17, 24, 0x4200, 0x4201
TRACE_BIRTHS = 2 | 4 | 8  # PTRACE_O_TRACEFORK, _TRACEVFORK, _TRACECLONE
TRACE_EXEC, EVENT_EXEC = 16, 4
WALL = 0x40000000
# Of struct user_regs_struct, x86_64.
RDI, ORIG_RAX, RIP, NREGS = 14, 15, 16, 27
READLINK = 89

FAULT = b"\x31\xc0\x89\x00"              # xor eax, eax; mov [rax], eax
GETPID = b"\xb8\x27\x00\x00\x00\x0f\x05"  # a call that no filter lists
SPIN = b"\xeb\xfe"                       # jmp .

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p,
                         ctypes.c_void_p]


def ptrace(request, pid, address=None, data=None):
    ctypes.set_errno(0)
    result = _libc.ptrace(request, pid, address, data)
    if result == -1 and ctypes.get_errno() != 0:
        error = ctypes.get_errno()
        raise OSError(error, "ptrace %d: %s" % (request, os.strerror(error)))
    return result


def regs_of(pid):
    regs = (ctypes.c_ulong * NREGS)()
    ptrace(GETREGS, pid, None, ctypes.addressof(regs))
    return regs


def why_not():
    """None, or the reason why nothing can be injected here."""
    if platform.machine() != "x86_64":
        return "the code to inject is x86_64's"
    return None


def run(pid, code):
    """The process goes on with this code."""
    ptrace(ATTACH, pid)
    os.waitpid(pid, WALL)
    try:
        at = regs_of(pid)[RIP]
        for off in range(0, len(code), 8):
            word = code[off:off + 8]
            if len(word) < 8:
                old = ptrace(PEEKTEXT, pid, at + off) & (1 << 64) - 1
                word += old.to_bytes(8, "little")[len(word):]
            ptrace(POKETEXT, pid, at + off, int.from_bytes(word, "little"))
    finally:
        ptrace(DETACH, pid, None, 0)


def busy(pid, seconds):
    """The process uses so much of a processor, and goes on where it was."""
    ptrace(ATTACH, pid)
    os.waitpid(pid, WALL)
    regs = regs_of(pid)
    text = ptrace(PEEKTEXT, pid, regs[RIP]) & (1 << 64) - 1
    spin = SPIN + text.to_bytes(8, "little")[len(SPIN):]
    ptrace(POKETEXT, pid, regs[RIP], int.from_bytes(spin, "little"))
    ptrace(DETACH, pid, None, 0)
    end = sidecar.cpu_s(pid) + seconds
    while sidecar.cpu_s(pid) < end:
        time.sleep(0.01)
    ptrace(ATTACH, pid)
    os.waitpid(pid, WALL)
    ptrace(POKETEXT, pid, regs[RIP], text)
    ptrace(SETREGS, pid, None, ctypes.addressof(regs))
    ptrace(DETACH, pid, None, 0)


def text_at(pid, address, limit=64):
    """What may be no text at all."""
    with open("/proc/%d/mem" % pid, "rb", 0) as file:
        try:
            return os.pread(file.fileno(), limit, address).split(b"\0")[0]
        except OSError:
            return b""


@contextlib.contextmanager
def held_at(pid, call, path, cause=None):
    """The process goes on until it makes this call of a path that begins so,
    and is held there for the length of the block.  cause() may bring it there.
    """
    signo = 0
    ptrace(ATTACH, pid)
    os.waitpid(pid, WALL)
    if cause:
        cause()
    while True:
        ptrace(SYSCALL, pid, None, signo)
        _, status = os.waitpid(pid, WALL)
        if not os.WIFSTOPPED(status):
            raise ProcessLookupError("it ended before the call")
        signo = os.WSTOPSIG(status)
        if signo != signal.SIGTRAP:
            continue
        signo = 0
        regs = regs_of(pid)
        if regs[ORIG_RAX] == call and \
           text_at(pid, regs[RDI]).startswith(path):
            break
    try:
        yield
    finally:
        ptrace(DETACH, pid, None, 0)


@contextlib.contextmanager
def held_once(pid, condition, calls=0):
    """A stopped process goes on until a condition holds, and so many calls
    more, and is held there for the length of the block: however fast it is.
    """
    met = False
    ptrace(ATTACH, pid)
    os.kill(pid, signal.SIGCONT)
    while True:
        _, status = os.waitpid(pid, WALL)
        if not os.WIFSTOPPED(status):
            raise ProcessLookupError("it ended before that")
        signo = os.WSTOPSIG(status)
        if signo == signal.SIGTRAP:
            met = met or condition()
            calls -= met
            if calls < 0:
                break
        ptrace(SYSCALL, pid, None,
               0 if signo in (signal.SIGTRAP, signal.SIGSTOP) else signo)
    try:
        yield
    finally:
        ptrace(DETACH, pid, None, 0)


def wait_event(pid):
    """Runs it until it tells of a birth or of an exec; returns which."""
    while True:
        _, status = os.waitpid(pid, WALL)
        if not os.WIFSTOPPED(status):
            raise ProcessLookupError("it ended")
        if status >> 16:
            return status >> 16
        signo = os.WSTOPSIG(status)
        ptrace(CONT, pid, None, 0 if signo == signal.SIGSTOP else signo)


def stopped_at_birth(parent, count, word, cause):
    """cause() makes the process have this many children, each of which
    executes a program.  The one with the word among its arguments is left
    stopped before the first instruction of that; returns its pid."""
    found = None
    ptrace(ATTACH, parent)
    os.waitpid(parent, WALL)
    ptrace(SETOPTIONS, parent, None, TRACE_BIRTHS | TRACE_EXEC)
    ptrace(CONT, parent, None, 0)
    cause()
    for left in reversed(range(count)):
        wait_event(parent)
        pid = ctypes.c_ulong()
        ptrace(GETEVENTMSG, parent, None, ctypes.addressof(pid))
        pid = pid.value
        if left:
            ptrace(CONT, parent, None, 0)
        else:
            ptrace(DETACH, parent, None, 0)
        while wait_event(pid) != EVENT_EXEC:
            ptrace(CONT, pid, None, 0)
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            if word.encode() in file.read():
                os.kill(pid, signal.SIGSTOP)
                found = pid
        ptrace(DETACH, pid, None, 0)
    return found


def stop(pid):
    """Returns when it has stopped."""
    os.kill(pid, signal.SIGSTOP)
    wait_stopped(pid)


def wait_stopped(pid):
    """Returns when it has, by whomever."""
    while True:
        with open("/proc/%d/stat" % pid) as file:
            if file.read().rsplit(")", 1)[1].split()[0] in "TtZX":
                return


def go_on(pid):
    os.kill(pid, signal.SIGCONT)
