#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "ipc/kernel.h"
#include "sandbox/rules.h"

/*
 * The parent after start: it watches.  Files, listeners, signalfd, pidfds
 * and the netlink socket are open by then, so it makes, binds and connects
 * nothing more, starts no process (the spawner does, parent/spawner.h) and
 * changes no signal handler.  The one file that it opens again is
 * resolv.conf, for reading; which paths that row lets through is for Landlock
 * to say (parent/resolv_watch.h).
 * Its descriptors have no fixed numbers, so most rows bind the other
 * arguments only.  It never reads the frame descriptor that it holds.
 */

#define SOCK_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

/* clang-format off */
static const struct filter_rule rules[] = {
	/* the event loop */
#ifdef __NR_epoll_wait
	{ CALL(epoll_wait), { ANY },
	    "libevent waits for the next event" },
#else
	{ CALL(epoll_pwait), { ANY, ANY, ANY, ANY, LONG(0) },
	    "libevent waits for the next event; no signal mask" },
#endif
	{ CALL(epoll_ctl), { ANY },
	    "libevent adds and removes descriptors" },
	{ CALL(read), { ANY },
	    "SIGTERM, SIGINT and SIGALRM from the signalfd, changes from "
	    "inotify, resolv.conf" },

	/* channels, and the host's addresses from netlink */
	{ CALL(recvmsg),
	    { ANY, ANY, INT(MSG_DONTWAIT | MSG_CMSG_CLOEXEC) },
	    "the children's messages, a new pair of them from the spawner, "
	    "netlink's changes of the host's "
	    "addresses and routes, requests on the control socket" },
	{ CALL(sendmsg),
	    { ANY, ANY, INT(MSG_DONTWAIT | MSG_NOSIGNAL) },
	    "the frame descriptor to netproc, listeners to a new relayproc, "
	    "orders to the spawner, whether a VMM hung up "
	    "(nothing is sent), a new dump from netlink, "
	    "READY=1 to NOTIFY_SOCKET, answers on the control socket" },
	{ CALL(writev), { ANY },
	    "STOP and changes of the host's addresses, routes and name "
	    "servers to the children, READY=1 to --ready-fd, lines of "
	    "--evidence" },

	/* the VMM */
	{ CALL(accept4), { ANY, ANY, ANY, INT(SOCK_FLAGS) },
	    "a VMM connects to the frame socket, a client to the control "
	    "socket" },
	{ CALL(getsockopt), { ANY, INT(SOL_SOCKET), INT(SO_PEERCRED) },
	    "who connected: logged, and checked on the control socket" },
	{ CALL(setsockopt), { ANY, INT(SOL_SOCKET), INT(SO_SNDBUF) },
	    "room for frames towards a VMM that has connected" },
	{ CALL(setsockopt), { ANY, INT(SOL_SOCKET), INT(SO_PASSRIGHTS) },
	    "a VMM that has connected can send netproc no descriptor" },
	{ CALL(shutdown), { ANY, INT(SHUT_RDWR) },
	    "a VMM that netproc says has left" },
	{ CALL(close), { ANY },
	    "a VMM that left or was refused, resolv.conf once read" },

	/* name servers */
	{ CALL(openat),
	    { INT(AT_FDCWD), ANY, INT(O_RDONLY | O_NONBLOCK | O_CLOEXEC) },
	    "resolv.conf has changed" },

	/* children */
	{ CALL(ppoll), { ANY, LONG(1), ANY, LONG(0) },
	    "room in a new child's channel for its configuration, and in "
	    "stderr, --evidence and NOTIFY_SOCKET; whether the spawner has "
	    "ended" },
	{ CALL(waitid), { INT(P_PIDFD), ANY, ANY, BITS(WEXITED | WNOHANG) },
	    "how the VMM's command ended" },
	{ CALL(waitid),
	    { INT(P_PIDFD), ANY, ANY, INT(WSTOPPED | WCONTINUED | WNOHANG) },
	    "whether a child that does not answer was stopped" },
	{ CALL(wait4), { ANY, ANY, BITS(WNOHANG) },
	    "how a child ended" },
	{ CALL(timer_create), { ANY },
	    "a new child's time on the processors is watched" },
	{ CALL(timer_settime), { ANY, INT(0) },
	    "... and each second of it told, or how much it was" },
	{ CALL(timer_delete), { ANY },
	    "... until it ends" },
	{ CALL(pidfd_send_signal), { ANY, INT(SIGKILL), LONG(0), INT(0) },
	    "a child that broke the protocol, or it or the spawner did not "
	    "end in time" },
	{ CALL(pidfd_send_signal), { ANY, INT(SIGTERM), LONG(0), INT(0) },
	    "the VMM's command is told to stop" },
	{ CALL(pidfd_send_signal), { ANY, INT(SIGINT), LONG(0), INT(0) },
	    "SIGINT passed on to the VMM's command" },
	{ CALL(pidfd_send_signal), { ANY, INT(SIGQUIT), LONG(0), INT(0) },
	    "SIGQUIT passed on to the VMM's command" },

	/* the operator */
	{ CALL(write), { INT(STDERR_FILENO) }, "log lines" },
	{ CALL(newfstatat), { ANY, ANY, ANY, INT(AT_SYMLINK_NOFOLLOW) },
	    "whether the name of a socket is still ours, at the end" },
	{ CALL(unlinkat), { ANY, ANY, INT(0) },
	    "the names of the frame and control sockets, at the end" },

	/* memory: malloc(3), never executable */
	{ CALL(brk), { ANY }, "malloc grows and trims the heap" },
	{ CALL(mmap),
	    { ANY, ANY, INT(PROT_READ | PROT_WRITE),
		INT(MAP_PRIVATE | MAP_ANONYMOUS), INT(-1), LONG(0) },
	    "malloc of a large block" },
	{ CALL(munmap), { ANY }, "free of a large block" },
	{ CALL(mremap), { ANY, ANY, ANY, INT(MREMAP_MAYMOVE) },
	    "libevent's tables grow with the descriptors" },

	/* time, the end */
	{ CALL(clock_gettime), { INT(CLOCK_REALTIME) },
	    "the time of a log line, where the clock source has no vDSO" },
	{ CALL(clock_gettime), { INT(CLOCK_MONOTONIC) },
	    "timers, where the clock source has no vDSO" },
	{ CALL(clock_gettime), { INT(CLOCK_MONOTONIC_COARSE) },
	    "libevent's timers, where the clock source has no vDSO" },
	{ CALL(gettimeofday), { ANY, LONG(0) },
	    "libevent's cached time, where the clock source has no vDSO" },
	{ CALL(exit_group), { ANY }, "the end" },
};
/* clang-format on */

const struct filter filter_parent = { FILTER_ROWS(rules) };
