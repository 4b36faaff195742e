#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <linux/tcp.h>
#include <string.h>
#include <unistd.h>

#include "relayproc/tcp_connect.h"

/*
 * The MSS that we announce.  Above 8 KiB a server with a small send buffer
 * fills it with one segment, whose ACK the kernel delays: 0.025 Gbit/s over
 * loopback.  536 is the default of RFC 9293 3.7.1, and a guest's MSS option
 * below it would only make the host send more and smaller segments.
 */
#define MSS_MAX 8192
#define MSS_MIN 536

/* tcpi_state, as the kernel's include/net/tcp_states.h has them. */
#define STATE_SYN_SENT 2
#define STATE_SYN_RECV 3
#define STATE_CLOSE    7

/* The row of connect(2)'s errno values; all others are VERDICT_RESET. */
static const struct {
	int error;
	enum flow_verdict verdict;
} verdicts[] = {
	{ ECONNREFUSED, VERDICT_REFUSED },
	{ ENETUNREACH, VERDICT_NET_UNREACH },
	{ ENETDOWN, VERDICT_NET_UNREACH },
	{ EAFNOSUPPORT, VERDICT_NET_UNREACH }, /* a host without IPv6 */
	{ EHOSTUNREACH, VERDICT_HOST_UNREACH },
	{ EHOSTDOWN, VERDICT_HOST_UNREACH },
	{ ETIMEDOUT, VERDICT_TIMEOUT },
	{ EMFILE, VERDICT_RESOURCES },
	{ ENFILE, VERDICT_RESOURCES },
	{ ENOBUFS, VERDICT_RESOURCES },
	{ ENOMEM, VERDICT_RESOURCES },
	{ EAGAIN, VERDICT_RESOURCES }, /* no local port is free, AF_INET */
	{ EADDRNOTAVAIL, VERDICT_RESOURCES },
	{ EACCES, VERDICT_DENIED }, /* the host's firewall */
	{ EPERM, VERDICT_DENIED },
};

enum flow_verdict
tcp_connect_verdict(int error)
{
	size_t i;

	for (i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		if (verdicts[i].error == error)
			return (verdicts[i].verdict);
	}
	return (VERDICT_RESET);
}

static int
info_read(int fd, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len));
}

static int
linger_set(int fd, int on)
{
	const struct linger linger = { .l_onoff = on, .l_linger = 0 };

	return (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

int
tcp_prepare(int fd)
{
	const int on = 1;

	/* If we die, and netproc closes last, the host must not see an end. */
	if (linger_set(fd, 1) == -1)
		return (-1);
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1)
		return (-1);
	/* From the kernel's 2 h on, which with its probes is RFC 5382's
	 * 2 h 4 min at least: else a host that has vanished is never missed. */
	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == -1)
		return (-1);
	return (setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)));
}

/*
 * A server that is near has answered before connect(2) returns, which says
 * EINPROGRESS all the same.  0, or -1.
 */
static int
connect_begin(int fd, const struct sockaddr *sa, socklen_t len, int *answered)
{
	struct tcp_info info;

	*answered = connect(fd, sa, len) == 0;
	if (*answered)
		return (0);
	if (errno != EINPROGRESS)
		return (-1);
	/* Not connect(2) again: after a reset it drops what came before. */
	info_read(fd, &info);
	*answered = info.tcpi_state != STATE_SYN_SENT &&
	    info.tcpi_state != STATE_SYN_RECV;
	return (0);
}

int
tcp_connect_start(const struct ipc_addr *dst, uint16_t port, uint16_t mss,
    int *answered)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(dst, port, &ss);
	int announced = mss;
	int error, fd;

	if (announced > MSS_MAX)
		announced = MSS_MAX;
	if (announced < MSS_MIN)
		announced = MSS_MIN;
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    IPPROTO_TCP);
	if (fd == -1)
		return (-1);
	if (tcp_prepare(fd) == 0 &&
	    setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &announced,
		sizeof(announced)) == 0 &&
	    connect_begin(fd, (struct sockaddr *)&ss, len, answered) == 0)
		return (fd);
	error = errno;
	close(fd);
	errno = error;
	return (-1);
}

/*
 * A connect to a local port of the ephemeral range where nothing listens can
 * meet itself (simultaneous open, RFC 9293 3.5) and would echo the guest.
 */
static int
is_connected_to_itself(int fd, const struct ipc_addr *dst, uint16_t port)
{
	struct sockaddr_storage ss;
	struct ipc_addr local;
	socklen_t len = sizeof(ss);
	uint16_t local_port;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1 ||
	    addr_from_sockaddr((struct sockaddr *)&ss, &local, &local_port) ==
		-1)
		return (0);
	return (local_port == port && addr_equal(&local, dst));
}

static int
tcp_error(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return (errno);
	return (error);
}

/*
 * What a router says of an established connection is an error of the socket's
 * too, and ends nothing (RFC 1122 4.2.3.9).
 */
int
tcp_is_broken(int fd)
{
	struct tcp_info info;

	if (info_read(fd, &info) == -1)
		return (1);
	return (info.tcpi_state == STATE_CLOSE && tcp_error(fd) != 0);
}

/*
 * A server may answer and reset before we look: the error is the guest's to
 * meet then, behind the answer.  Our SYN was acknowledged in any case.
 */
static int
connect_error(int fd)
{
	struct tcp_info info;

	if (info_read(fd, &info) == 0 && info.tcpi_bytes_acked > 0)
		return (0);
	return (tcp_error(fd));
}

int
tcp_connect_result(int fd, const struct ipc_addr *dst, uint16_t port)
{
	int error = connect_error(fd);

	if (error == 0 && is_connected_to_itself(fd, dst, port))
		error = ECONNREFUSED;
	return (error);
}

void
tcp_connect_settle(int fd, const struct ipc_addr *dst, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(dst, port, &ss);
	struct tcp_info info;

	/* Nothing can be sent any more, and what came is still to be read. */
	if (info_read(fd, &info) == -1 || info.tcpi_state == STATE_CLOSE)
		return;
	(void)connect(fd, (struct sockaddr *)&ss, len);
}

void
tcp_finish(int fd)
{
	/* Fails only where there is no connection left to end. */
	(void)linger_set(fd, 0);
	close(fd);
}

void
tcp_reset(int fd)
{
	const struct sockaddr_storage unspec = { .ss_family = AF_UNSPEC };

	/* Fails only where there is no connection left to reset. */
	(void)connect(fd, (const struct sockaddr *)&unspec,
	    sizeof(struct sockaddr));
	close(fd);
}
