#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <time.h>

#include "sandbox/rules.h"

/*
 * netproc reads what a hostile guest sends, so its list is the shortest.
 *
 * There is no send family: no SCM_RIGHTS leaves, no MSG_OOB, no MSG_FASTOPEN
 * or address that re-aims a lent socket.  No socket is made, connected, bound
 * or configured; no ioctl (it would list the host's interfaces through a lent
 * socket), no fcntl (it would make relayproc's duplicate blocking), no dup (it
 * would replace a fixed descriptor), nothing that names a file or a process.
 *
 * What the rows say of a lent socket holds for the stream in its place where
 * flows are spliced.
 */
/* clang-format off */
static const struct filter_rule rules[] = {
	/* the event loop */
#ifdef __NR_epoll_wait
	{ CALL(epoll_wait), { INT(FD_EPOLL) },
	    "libevent waits for the next event" },
#else
	{ CALL(epoll_pwait), { INT(FD_EPOLL), ANY, ANY, ANY, LONG(0) },
	    "libevent waits for the next event; no signal mask" },
#endif
	{ CALL(epoll_ctl), { INT(FD_EPOLL) },
	    "libevent adds and removes descriptors" },

	/* frames and lent sockets */
	{ CALL(recvmmsg), { DYNAMIC, ANY, INT(1), INT(MSG_DONTWAIT), LONG(0) },
	    "the guest's frames; the kernel notes in the journal how many "
	    "bytes it took" },
	{ CALL(readv), { DYNAMIC },
	    "bytes of a lent socket, into blocks of a pool" },
	{ CALL(write), { DYNAMIC },
	    "an empty write, which fetches a lent socket's error" },
	{ CALL(writev), { DYNAMIC },
	    "frames to the guest, bytes of its segments to a lent socket" },
	{ CALL(shutdown), { DYNAMIC, INT(SHUT_WR) },
	    "the guest's FIN goes on to the host" },
	{ CALL(close), { DYNAMIC },
	    "the end of a flow or of the frame connection" },

	/* channels */
	{ CALL(writev), { INT(FD_PARENT) },
	    "READY, log lines, FRAME_GONE to the parent" },
	{ CALL(writev), { INT(FD_PEER) },
	    "flow requests to relayproc" },
	{ CALL(writev), { INT(FD_DGRAM) },
	    "DNS queries and datagrams to relayproc" },
	{ CALL(recvmsg),
	    { INT(FD_PARENT), ANY, INT(MSG_DONTWAIT | MSG_CMSG_CLOEXEC) },
	    "the frame descriptor, HOST_ROUTE and STOP from the parent" },
	{ CALL(recvmsg),
	    { INT(FD_PEER), ANY, INT(MSG_DONTWAIT | MSG_CMSG_CLOEXEC) },
	    "lent sockets and verdicts from relayproc" },
	{ CALL(recvmsg),
	    { INT(FD_DGRAM), ANY, INT(MSG_DONTWAIT | MSG_CMSG_CLOEXEC) },
	    "DNS answers and datagrams from relayproc" },

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
	{ CALL(clock_gettime), { INT(CLOCK_MONOTONIC) },
	    "timers, where the clock source has no vDSO" },
	{ CALL(clock_gettime), { INT(CLOCK_MONOTONIC_COARSE) },
	    "libevent's timers, where the clock source has no vDSO" },
	{ CALL(gettimeofday), { ANY, LONG(0) },
	    "libevent's cached time, where the clock source has no vDSO" },
	{ CALL(exit_group), { ANY }, "STOP, and fatal()" },
};
/* clang-format on */

const struct filter filter_netproc = { FILTER_ROWS(rules) };
