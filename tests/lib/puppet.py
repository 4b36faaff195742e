"""A process of ours in an attacker's hands.

It is the real one, in its real jail: traced from outside, it makes the system
calls that we choose, with its own filter, descriptors and rights.

    with puppet.Puppet(pid) as netproc:
        netproc.send(words.FD_PEER, record)
        netproc.call(41, 2, 1, 0)  # socket(2): raises Killed
"""

import ctypes
import os
import signal
import struct

from inject import (ATTACH, CONT, DETACH, PEEKTEXT, POKETEXT, RIP, SETREGS,
                    WALL, ptrace, regs_of, why_not)

__all__ = ["Killed", "Puppet", "why_not"]

# Indices of struct user_regs_struct, x86_64.
R10, R9, R8, RAX, RDX, RSI, RDI, ORIG_RAX = 7, 8, 9, 10, 12, 13, 14, 15
ARGUMENTS = (RDI, RSI, RDX, R10, R8, R9)
NO_CALL = (1 << 64) - 1
SYSCALL = b"\x0f\x05"
TRAP = b"\xcc"
PAGE = 4096
SCRATCH = 1 << 18

# System calls by number, x86_64.
CLOSE, MMAP, WRITEV, SOCKET, SENDMSG, RECVMSG = 3, 9, 20, 41, 46, 47
RECEIVE = 0x40000040  # MSG_DONTWAIT | MSG_CMSG_CLOEXEC


class Killed(Exception):
    """The call was its last: args[0] is the signal, or None if it ended."""


class Puppet:
    """Held from the start of `with` to its end, then let go as it was, unless
    it was killed, or told to go on with something else.  Not for longer than
    the watchdog's patience, which does not know of tracers."""

    def __init__(self, pid):
        self.pid = pid
        self.alive = True
        self._scratch = None

    def __enter__(self):
        ptrace(ATTACH, self.pid)
        self._wait(signal.SIGSTOP)
        self._before = regs_of(self.pid)
        self._at = self._before[RIP]
        self._text = self._peek(self._at)
        self._poke(SYSCALL + TRAP)
        self._memory = os.open("/proc/%d/mem" % self.pid, os.O_RDWR)
        return self

    def __exit__(self, *_):
        os.close(self._memory)
        if self.alive:
            try:
                self._poke(self._text)
                self._set(self._before)
                ptrace(DETACH, self.pid)
            except ProcessLookupError:
                self._bury()
        self.alive = False

    def _bury(self):
        """Somebody has killed it meanwhile."""
        try:
            os.waitpid(self.pid, WALL)
        except ChildProcessError:
            pass
        self.alive = False

    def _wait(self, wanted):
        _, status = os.waitpid(self.pid, WALL)
        if os.WIFSTOPPED(status) and os.WSTOPSIG(status) == wanted:
            return
        self.alive = not os.WIFSIGNALED(status) and not os.WIFEXITED(status)
        if os.WIFSTOPPED(status):
            # A fault: the next thing that happens to it is its end.
            fatal = os.WSTOPSIG(status)
            ptrace(CONT, self.pid, None, fatal)
            os.waitpid(self.pid, WALL)
            self.alive = False
            raise Killed(fatal)
        raise Killed(os.WTERMSIG(status) if os.WIFSIGNALED(status) else None)

    def _set(self, regs):
        ptrace(SETREGS, self.pid, None, ctypes.addressof(regs))

    def _peek(self, at):
        word = ptrace(PEEKTEXT, self.pid, at) & (1 << 64) - 1
        return word.to_bytes(8, "little")

    def _poke(self, code):
        word = code + self._peek(self._at)[len(code):]
        ptrace(POKETEXT, self.pid, self._at,
               ctypes.c_void_p(int.from_bytes(word, "little")))

    def _aim(self, number, args):
        regs = type(self._before)(*self._before)
        regs[RIP] = self._at
        regs[RAX] = number
        regs[ORIG_RAX] = NO_CALL  # nothing is restarted
        for index, value in zip(ARGUMENTS, list(args) + [0] * 6):
            regs[index] = value & (1 << 64) - 1
        self._set(regs)

    def call(self, number, *args):
        """What the call returns, -errno where it fails; Killed."""
        try:
            self._aim(number, args)
            ptrace(CONT, self.pid)
            self._wait(signal.SIGTRAP)
            return ctypes.c_long(regs_of(self.pid)[RAX]).value
        except ProcessLookupError:
            self._bury()
            raise Killed(signal.SIGKILL) from None

    def go_on_with(self, number, *args):
        """Lets it go, to make this call for ever."""
        self._aim(number, args)
        # mov number, %eax; syscall; jmp to the first
        text = b"\xb8" + struct.pack("<I", number) + SYSCALL + b"\xeb\xf7"
        os.pwrite(self._memory, text, self._at)
        ptrace(DETACH, self.pid)
        self.alive = False

    def end(self):
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)
        self._bury()

    def place(self, data, offset=0):
        """Where in its memory the bytes are now."""
        if self._scratch is None:
            self._scratch = self.call(MMAP, 0, SCRATCH, 3, 0x22, -1, 0)
            if self._scratch < 0:
                raise OSError(-self._scratch, "mmap")
        try:
            os.pwrite(self._memory, data, self._scratch + offset)
        except OSError:
            self._bury()
            raise Killed(signal.SIGKILL) from None
        return self._scratch + offset

    def look(self, address, count):
        return os.pread(self._memory, count, address)

    def vector(self, data):
        """A struct iovec of the bytes: its address."""
        at = self.place(data, PAGE)
        return self.place(struct.pack("<QQ", at, len(data)))

    def send(self, fd, record):
        """One record by writev(2); -errno where it fails."""
        return self.call(WRITEV, fd, self.vector(record), 1)

    def message(self, data, fds=()):
        """A struct msghdr of the bytes and the descriptors: its address."""
        vector = self.vector(data)
        control = b""
        if fds:
            body = struct.pack("<%di" % len(fds), *fds)
            control = struct.pack("<Qii", 16 + len(body), 1, 1) + body
        at = self.place(control + b"\0" * 8, 512)
        return self.place(struct.pack("<QQQQQQQ", 0, 0, vector, 1,
                                      at if fds else 0, len(control), 0), 256)

    def receive(self, fd):
        """The descriptor that came with a record of one byte."""
        at = self.message(b"x", [0])
        result = self.call(RECVMSG, fd, at, RECEIVE)
        if result != 1:
            raise OSError(-result, "recvmsg")
        return struct.unpack("<i", self.look(at + 256 + 16, 4))[0]
