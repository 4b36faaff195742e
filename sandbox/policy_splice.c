#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <fcntl.h>

#include "sandbox/rules.h"

/*
 * What relayproc needs on top with --relay splice.  Without it none of these
 * is allowed, and no byte of a TCP flow can come into its memory.  With it a
 * relayproc that was taken over could read them; ours reads the one that
 * splice does not pass, the last of urgent data.
 *
 * Descriptors are not compared, as in policy_relayproc.c: of the fixed ones
 * these could mean something on the channels, which it reads and writes
 * anyway.  It could have these under numbers of its own besides: a pair of
 * streams hands descriptors to whoever holds both ends.
 */

#define MOVE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

/* clang-format off */
static const struct filter_rule rules[] = {
	{ CALL(splice), { ANY, LONG(0), ANY, LONG(0), ANY, INT(MOVE_FLAGS) },
	    "bytes of a flow move between its socket and netproc's stream" },
	{ CALL(pipe2), { ANY, INT(O_NONBLOCK | O_CLOEXEC) },
	    "the pipe that splice moves them through" },
	{ CALL(fcntl), { ANY, INT(F_SETPIPE_SZ) },
	    "the pipe holds as much as the stream" },
	{ CALL(socketpair),
	    { INT(AF_UNIX), INT(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC),
		INT(0) },
	    "the stream of which netproc gets one end" },
	{ CALL(setsockopt), { ANY, INT(SOL_SOCKET), INT(SO_SNDBUF) },
	    "the stream holds as much as the kernel grants everybody" },
	{ CALL(shutdown), { ANY, INT(SHUT_WR) },
	    "the guest's FIN reaches the host" },
	{ CALL(ioctl), { ANY, INT(SIOCATMARK) },
	    "has splice stopped before an urgent byte" },
	{ CALL(recvfrom),
	    { ANY, ANY, LONG(1), INT(MSG_DONTWAIT), LONG(0), LONG(0) },
	    "the urgent byte is taken" },
	{ CALL(write), { ANY, ANY, LONG(1) },
	    "... and goes on through the pipe" },
};
/* clang-format on */

const struct filter filter_splice = { FILTER_ROWS(rules) };
