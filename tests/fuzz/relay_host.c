#include <sys/socket.h>

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ipc/addr.h"
#include "ipc/clock.h"
#include "ipc/kernel.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/relay_host.h"

#define DATAGRAM_MAX (HOST_HEAD + 65535)

struct relay_host relay_host;

/* An error that waits for who looks into the queue of this socket. */
static struct {
	int fd;
	uint8_t bytes[64];
	size_t len;
} error_queue = { .fd = -1 };

/* The stream that was told to wait for its connect last. */
static int connecting = -1;

/* Streams that were to be connected, and may be again to where they are. */
static uint8_t begun[HOST_FAR_FD];

int __wrap_socket(int family, int type, int proto);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int __wrap_setsockopt(int fd, int level, int name, const void *value,
    socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags);
int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
    struct timespec *timeout);

/*
 * 203.0.113.0/24 and 2001:db8:1::/48 are allowed, the first behind NAT64 too
 * (RFC 6052), but what of them is the host's own; and what is ours.
 */
static int
is_allowed(const struct sockaddr *sa)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;
	const uint8_t *ip = (const void *)&v4->sin_addr;
	const uint16_t port = ntohs(v4->sin_port); /* of both */

	if (sa->sa_family == AF_INET6 &&
	    memcmp(&v6->sin6_addr, nat64, sizeof(nat64)) != 0 &&
	    memcmp(&v6->sin6_addr, mapped, sizeof(mapped)) != 0)
		return (memcmp(&v6->sin6_addr, "\x20\1\x0d\xb8\0\1", 6) == 0);
	if (sa->sa_family == AF_INET6)
		ip = v6->sin6_addr.s6_addr + 12;
	if (memcmp(ip, "\xcb\0\x71", 3) == 0)
		return (ip[3] >= 8 || (relay_host.own & 1 << ip[3]) == 0);
	if (sa->sa_family == AF_INET6 &&
	    memcmp(&v6->sin6_addr, nat64, sizeof(nat64)) == 0)
		return (0);
	if (memcmp(ip, "\x7f\0\0\1", 4) == 0)
		return (port == 8081); /* the host service */
	return (memcmp(ip, "\x0a\0\0", 3) == 0 &&
	    (ip[3] == 0x35 || ip[3] == 0x36) && port == 53); /* resolvers */
}

/* An input's time, which passes when it says so; clock.c is not linked. */
uint64_t
clock_now_ms(void)
{
	return (relay_host.now_ms);
}

uint64_t
clock_now_ns(void)
{
	return (relay_host.now_ms * 1000000u);
}

void
clock_due(uint64_t ms)
{
	(void)ms;
}

uint64_t
clock_without_stops(uint64_t raw_ms)
{
	return (raw_ms);
}

/* Who sends, of whom the guest has sent to some. */
static socklen_t
name_of(uint8_t who, struct sockaddr_storage *ss)
{
	static const char *const hosts[] = { "203.0.113.7", "203.0.113.8",
		"8.8.8.8", "127.0.0.1", "2001:db8:1::1", "::ffff:203.0.113.7",
		"fe80::1" };
	const size_t n = sizeof(hosts) / sizeof(hosts[0]);
	struct ipc_addr addr;

	memset(ss, 0, sizeof(*ss));
	if (who % (n + 1) == n)
		return (0); /* no name */
	FUZZ_CHECK(addr_parse(hosts[who % (n + 1)], &addr) == 0);
	return (addr_to_sockaddr(&addr, (uint16_t)(3999 + who / (n + 1)), ss));
}

static void
name_set(uint8_t who, void *name, socklen_t *len)
{
	struct sockaddr_storage ss;
	const socklen_t n = name_of(who, &ss);

	if (name == NULL)
		return; /* who asks a resolver knows it */
	memcpy(name, &ss, n < *len ? n : *len);
	*len = n;
}

int
relay_host_socket(int type)
{
	int fds[2], *end;

	if (relay_host.nends == HOST_ENDS_MAX) {
		errno = EMFILE;
		return (-1);
	}
	FUZZ_CHECK(socketpair(AF_UNIX, type, 0, fds) == 0);
	end = &relay_host.ends[relay_host.nends++];
	*end = fcntl(fds[1], F_DUPFD_CLOEXEC, HOST_FAR_FD);
	FUZZ_CHECK(*end != -1);
	close(fds[1]);
	FUZZ_CHECK(fds[0] < HOST_FAR_FD);
	begun[fds[0]] = 0;
	connecting = -1;
	return (fds[0]);
}

/* A stream is writable when its connect is over: not while it is full. */
static int
connect_later(int fd)
{
	static const char bytes[65536];

	connecting = fd;
	while ((relay_host.choices & HOST_SILENT) != 0 &&
	    send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	errno = EINPROGRESS;
	return (-1);
}

int
__wrap_socket(int family, int type, int proto)
{
	(void)family;
	(void)proto;
	return (relay_host_socket(type));
}

int
__wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	socklen_t type_len = sizeof(int);
	int type = 0;

	(void)len;
	if (sa->sa_family == AF_UNSPEC)
		return (0);
	if (__real_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 &&
	    type == SOCK_STREAM) {
		if (begun[fd])
			return (0);
		begun[fd] = 1;
	}
	FUZZ_CHECK(is_allowed(sa));
	if ((relay_host.choices & HOST_IN_PROGRESS) == 0 || type != SOCK_STREAM)
		return (0);
	return (connect_later(fd));
}

int
__wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	uint8_t who[64];

	if (recv(fd, who, sizeof(who), MSG_DONTWAIT) <= 0) {
		errno = EAGAIN;
		return (-1);
	}
	name_set(who[0], sa, len);
	return (relay_host_socket(SOCK_STREAM | flags));
}

int
__wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	return (0);
}

int
__wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	memset(value, 0, *len);
	if (level == IPPROTO_TCP && name == TCP_INFO && fd == connecting)
		((struct tcp_info *)value)->tcpi_state = TCP_SYN_SENT;
	if (level == SOL_SOCKET && name == SO_ERROR &&
	    (relay_host.choices & HOST_REFUSED) != 0)
		*(int *)value = ECONNREFUSED;
	if (level == SOL_SOCKET && name == SO_ACCEPTCONN)
		*(int *)value = 1; /* a published port listens */
	return (0);
}

int
__wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = 1 };

	(void)fd;
	memcpy(sa, &sin, *len < sizeof(sin) ? *len : sizeof(sin));
	*len = sizeof(sin);
	return (0);
}

/* An answer of a published port goes to its client, whoever that is. */
static int
is_answer(const struct msghdr *hdr)
{
	const struct sockaddr_storage *to = hdr->msg_name;
	struct sockaddr_storage ss;
	unsigned int who;

	for (who = 0; who <= UINT8_MAX; who++) {
		if (name_of((uint8_t)who, &ss) == hdr->msg_namelen &&
		    memcmp(&ss, to, hdr->msg_namelen) == 0)
			return (1);
	}
	return (0);
}

int
__wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	unsigned int i;

	(void)flags;
	for (i = 0; i < n; i++) {
		if (msgs[i].msg_hdr.msg_name != NULL)
			FUZZ_CHECK(is_allowed(msgs[i].msg_hdr.msg_name) ||
			    (fd == relay_host.listener &&
				is_answer(&msgs[i].msg_hdr)));
		msgs[i].msg_len = 1;
	}
	if ((relay_host.choices & HOST_SEND_FAILS) == 0)
		return ((int)n);
	errno = ENETUNREACH;
	return (-1);
}

static void
control_add(struct msghdr *hdr, size_t *at, int level, int type,
    const void *data, size_t len)
{
	struct cmsghdr *cmsg;

	if (*at + CMSG_SPACE(len) > hdr->msg_controllen)
		return;
	cmsg = (struct cmsghdr *)(void *)((char *)hdr->msg_control + *at);
	memset(cmsg, 0, CMSG_SPACE(len));
	cmsg->cmsg_level = level;
	cmsg->cmsg_type = type;
	cmsg->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cmsg), data, len);
	*at += CMSG_SPACE(len);
}

static size_t
iov_fill(const struct msghdr *hdr, const uint8_t *data, size_t len)
{
	if (len > hdr->msg_iov->iov_len)
		len = hdr->msg_iov->iov_len;
	memcpy(hdr->msg_iov->iov_base, data, len);
	return (len);
}

/* A datagram with its head becomes what recvmmsg(2) says of it. */
static void
datagram_fill(struct mmsghdr *msg, const uint8_t *bytes, size_t len)
{
	struct msghdr *hdr = &msg->msg_hdr;
	const int size = bytes[1] << 8 | bytes[2];
	struct in_pktinfo local = { .ipi_spec_dst = { htonl(0x0a000001) } };
	size_t control = 0;

	name_set(bytes[0] & (HOST_LOCAL - 1), hdr->msg_name, &hdr->msg_namelen);
	if ((bytes[0] & HOST_GRO) != 0)
		control_add(hdr, &control, IPPROTO_UDP, UDP_GRO, &size,
		    sizeof(size));
	if ((bytes[0] & HOST_LOCAL) != 0)
		control_add(hdr, &control, IPPROTO_IP, IP_PKTINFO, &local,
		    sizeof(local));
	hdr->msg_controllen = control;
	msg->msg_len = (unsigned int)iov_fill(hdr, bytes + HOST_HEAD,
	    len - HOST_HEAD);
}

/* The error that waits, as IP_RECVERR in ip(7) has it. */
static int
error_take(int fd, struct mmsghdr *msg)
{
	const uint8_t *bytes = error_queue.bytes;
	struct msghdr *hdr = &msg->msg_hdr;
	struct {
		struct sock_extended_err ee;
		struct sockaddr_storage offender;
	} said;
	socklen_t len = sizeof(said.offender);
	size_t control = 0;

	if (error_queue.fd != fd) {
		errno = EAGAIN;
		return (-1);
	}
	error_queue.fd = -1;
	memset(&said, 0, sizeof(said));
	said.ee.ee_origin = bytes[HOST_HEAD] % 4;
	said.ee.ee_type = bytes[HOST_HEAD + 1];
	said.ee.ee_code = bytes[HOST_HEAD + 2];
	said.ee.ee_errno = bytes[HOST_HEAD + 3];
	said.ee.ee_info = (uint32_t)(bytes[1] << 8 | bytes[2]);
	name_set(bytes[HOST_HEAD + 4], &said.offender, &len);
	name_set(bytes[0] & (HOST_LOCAL - 1), hdr->msg_name, &hdr->msg_namelen);
	control_add(hdr, &control, IPPROTO_IP, IP_RECVERR, &said,
	    sizeof(said.ee) + len);
	hdr->msg_controllen = control;
	msg->msg_len = (unsigned int)iov_fill(hdr, bytes, error_queue.len);
	return (1);
}

int
__wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
    struct timespec *timeout)
{
	static uint8_t bytes[DATAGRAM_MAX];
	unsigned int i = 0;
	ssize_t len;

	(void)timeout;
	if ((flags & MSG_ERRQUEUE) != 0)
		return (error_take(fd, msgs));
	while (i < n) {
		len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (len <= 0)
			break;
		if (len < HOST_HEAD)
			continue;
		if ((bytes[0] & HOST_ERROR) == 0) {
			datagram_fill(&msgs[i++], bytes, (size_t)len);
			continue;
		}
		error_queue.fd = fd;
		error_queue.len = (size_t)len < sizeof(error_queue.bytes) ?
		    (size_t)len :
		    sizeof(error_queue.bytes);
		memset(error_queue.bytes, 0, sizeof(error_queue.bytes));
		memcpy(error_queue.bytes, bytes, error_queue.len);
		/* The next call has it, if it is not asked for first. */
		if (i == 0) {
			errno = EHOSTUNREACH;
			return (-1);
		}
		break;
	}
	if (i > 0)
		return ((int)i);
	errno = EAGAIN;
	return (-1);
}
