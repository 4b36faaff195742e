#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/kernel.h"
#include "relayproc/addr_class.h"
#include "relayproc/dgram.h"

/*
 * What the kernel may keep of one socket, bytes (the host's rmem_max may allow
 * less): 40 ms of 12,000 full datagrams a second while netproc or we wait for
 * a processor.  The kernel's default is 8 ms, and lost 1 of 150.
 */
#define RECEIVE_BYTES (512 * 1024)

/* Room for what is said beside a datagram: segment size, local address. */
#define CONTROL_SIZE 128

struct dgram_batch {
	struct mmsghdr msgs[DGRAM_BATCH];
	struct iovec iovs[DGRAM_BATCH];
	struct sockaddr_storage names[DGRAM_BATCH];
	_Alignas(struct cmsghdr) char control[DGRAM_BATCH][CONTROL_SIZE];
	uint8_t data[DGRAM_BATCH][IPC_DGRAM_TAIL_MAX];
};

static int
option_on(int fd, int level, int option)
{
	const int on = 1;

	return (setsockopt(fd, level, option, &on, sizeof(on)));
}

static void
receive_buffer_set(int fd)
{
	const int bytes = RECEIVE_BYTES;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/*
 * Errors are queued for whom they concern, not only told to the next call.
 * Without UDP_GRO datagrams come one by one, no more is lost.
 */
static int
options_set(const struct dgram_sock *sock, int dual)
{
	const int v6only = !dual;

	if (sock->proto == IPPROTO_UDP) {
		(void)option_on(sock->fd, IPPROTO_UDP, UDP_GRO);
		receive_buffer_set(sock->fd);
	}
	if (sock->family == AF_INET)
		return (option_on(sock->fd, IPPROTO_IP, IP_RECVERR));
	if (sock->proto == IPPROTO_UDP &&
	    (setsockopt(sock->fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only,
		 sizeof(v6only)) == -1 ||
		(dual && option_on(sock->fd, IPPROTO_IP, IP_RECVERR) == -1)))
		return (-1);
	return (option_on(sock->fd, IPPROTO_IPV6, IPV6_RECVERR));
}

int
dgram_open(struct dgram_sock *sock, int family, int proto, int dual)
{
	int error;

	sock->family = family;
	sock->proto = proto;
	sock->df = -1;
	sock->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    proto);
	if (sock->fd == -1)
		return (-1);
	if (options_set(sock, dual) == 0)
		return (0);
	error = errno;
	dgram_close(sock);
	errno = error;
	return (-1);
}

/*
 * A relayproc before this one had the same socket and, taken over, may have
 * connected it to one peer, so that the kernel drops what all others send.
 * Whether it has cannot be asked: of a peer with port 0 getpeername(2) says
 * nothing, nor of an interface that a connect has left behind when it failed.
 */
static void
untie(int fd)
{
	const struct sockaddr_storage unspec = { .ss_family = AF_UNSPEC };

	(void)connect(fd, (const struct sockaddr *)&unspec,
	    sizeof(struct sockaddr));
}

int
dgram_adopt(struct dgram_sock *sock, int fd, int family, int any_local)
{
	int error;

	sock->fd = fd;
	sock->family = family;
	sock->proto = IPPROTO_UDP;
	sock->df = -1;
	untie(fd);
	(void)option_on(fd, IPPROTO_UDP, UDP_GRO);
	receive_buffer_set(fd);
	if (family == AF_INET) {
		if (option_on(fd, IPPROTO_IP, IP_RECVERR) == 0 &&
		    (!any_local || option_on(fd, IPPROTO_IP, IP_PKTINFO) == 0))
			return (0);
	} else if (option_on(fd, IPPROTO_IPV6, IPV6_RECVERR) == 0 &&
	    (!any_local || option_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) == 0))
		return (0);
	error = errno;
	dgram_close(sock);
	errno = error;
	return (-1);
}

void
dgram_close(struct dgram_sock *sock)
{
	if (sock->fd != -1)
		close(sock->fd);
	sock->fd = -1;
}

void
dgram_want_port(const struct dgram_sock *sock, uint16_t port)
{
	const uint32_t range = (uint32_t)port << 16 | port;

	(void)setsockopt(sock->fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range,
	    sizeof(range));
}

/*
 * A send that may not be fragmented fails with EMSGSIZE, its path's MTU in
 * the error queue; every other one is fragmented by this host.
 */
static void
df_set(struct dgram_sock *sock, int df)
{
	const int v4 = df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
	const int v6 = df ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT;

	if (sock->df == df)
		return;
	if (sock->family == AF_INET)
		(void)setsockopt(sock->fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4,
		    sizeof(v4));
	else
		(void)setsockopt(sock->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6,
		    sizeof(v6));
	sock->df = df;
}

/* An AF_INET6 socket names an IPv4 peer by its mapped address. */
static socklen_t
to_sockaddr(const struct dgram_sock *sock, const struct dgram_to *to,
    struct sockaddr_storage *ss)
{
	struct ipc_addr mapped = { .family = 6 };
	socklen_t len;

	if (sock->family == AF_INET || to->addr.family == 6) {
		len = addr_to_sockaddr(&to->addr, to->port, ss);
		if (to->addr.family == 6)
			((struct sockaddr_in6 *)ss)->sin6_scope_id = to->link;
		return (len);
	}
	mapped.bytes[10] = mapped.bytes[11] = 0xff;
	memcpy(mapped.bytes + 12, to->addr.bytes, 4);
	return (addr_to_sockaddr(&mapped, to->port, ss));
}

/* The bytes said beside what is sent. */
struct control {
	_Alignas(struct cmsghdr) char buf[CONTROL_SIZE];
	size_t len;
};

static void
control_add(struct control *control, int level, int type, const void *data,
    size_t len)
{
	struct cmsghdr *cmsg = (struct cmsghdr *)(control->buf + control->len);

	cmsg->cmsg_level = level;
	cmsg->cmsg_type = type;
	cmsg->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cmsg), data, len);
	control->len += CMSG_SPACE(len);
}

static void
control_add_local(struct control *control, const struct ipc_addr *local)
{
	struct in_pktinfo v4 = { 0 };
	struct in6_pktinfo v6 = { 0 };

	if (local->family == 4) {
		memcpy(&v4.ipi_spec_dst, local->bytes, 4);
		control_add(control, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4));
	} else if (local->family == 6) {
		memcpy(&v6.ipi6_addr, local->bytes, 16);
		control_add(control, IPPROTO_IPV6, IPV6_PKTINFO, &v6,
		    sizeof(v6));
	}
}

static void
msg_init(struct mmsghdr *msg, struct sockaddr_storage *ss, socklen_t ss_len,
    struct iovec *iov, struct control *control)
{
	memset(msg, 0, sizeof(*msg));
	msg->msg_hdr.msg_name = ss;
	msg->msg_hdr.msg_namelen = ss_len;
	msg->msg_hdr.msg_iov = iov;
	msg->msg_hdr.msg_iovlen = 1;
	if (control->len > 0) {
		msg->msg_hdr.msg_control = control->buf;
		msg->msg_hdr.msg_controllen = control->len;
	}
}

static void
iov_init(struct iovec *iov, const uint8_t *data, size_t len)
{
	iov->iov_base = (void *)(uintptr_t)data;
	iov->iov_len = len;
}

static int
msgs_send(const struct dgram_sock *sock, struct mmsghdr *msgs, unsigned int n)
{
	int done;

	do {
		done = sendmmsg(sock->fd, msgs, n, DGRAM_SEND_FLAGS);
	} while (done == -1 && errno == EINTR);
	return (done);
}

/* One call, one message that the kernel or the card cuts (udp(7)). */
static int
send_segmented(const struct dgram_sock *sock, const struct dgram_to *to,
    const uint8_t *data, size_t len, size_t segment_len)
{
	const uint16_t size = (uint16_t)segment_len;
	struct control control = { .len = 0 };
	struct sockaddr_storage ss;
	struct mmsghdr msg;
	struct iovec iov;

	control_add_local(&control, &to->local);
	control_add(&control, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
	iov_init(&iov, data, len);
	msg_init(&msg, &ss, to_sockaddr(sock, to, &ss), &iov, &control);
	return (msgs_send(sock, &msg, 1) == 1 ? 0 : errno);
}

/* One call, a message for each datagram. */
static int
send_each(const struct dgram_sock *sock, const struct dgram_to *to,
    const uint8_t *data, size_t len, size_t segment_len, size_t *sent)
{
	struct control control = { .len = 0 };
	struct mmsghdr msgs[ASSOC_SEGMENTS_MAX];
	struct iovec iovs[ASSOC_SEGMENTS_MAX];
	struct sockaddr_storage ss;
	socklen_t ss_len = to_sockaddr(sock, to, &ss);
	unsigned int n = 0;
	size_t at = 0, one;
	int done, i;

	control_add_local(&control, &to->local);
	do {
		one = segment_len == 0 || segment_len > len - at ? len - at :
								   segment_len;
		iov_init(&iovs[n], data + at, one);
		msg_init(&msgs[n], &ss, ss_len, &iovs[n], &control);
		n++;
		at += one;
	} while (at < len && n < ASSOC_SEGMENTS_MAX);
	done = msgs_send(sock, msgs, n);
	if (done == -1)
		return (errno);
	for (i = 0; i < done; i++)
		*sent += iovs[i].iov_len;
	if ((unsigned int)done == n)
		return (0);
	/* Why the next was refused, only its own attempt tells. */
	if (msgs_send(sock, &msgs[done], 1) == -1)
		return (errno);
	*sent += iovs[done].iov_len;
	return (EINTR);
}

/* Segmentation is refused without checksum offload, and beyond the MTU. */
static int
is_refused_segmentation(int error)
{
	return (error == EIO || error == EINVAL || error == EMSGSIZE);
}

int
dgram_send(struct dgram_sock *sock, const struct dgram_to *to,
    const uint8_t *data, size_t len, size_t segment_len, int df, size_t *sent)
{
	int error;

	df_set(sock, df);
	if (segment_len > 0 && len - *sent > segment_len) {
		error = send_segmented(sock, to, data + *sent, len - *sent,
		    segment_len);
		if (error == 0)
			*sent = len;
		if (!is_refused_segmentation(error))
			return (error);
	}
	do {
		error = send_each(sock, to, data + *sent, len - *sent,
		    segment_len, sent);
	} while (error == EINTR && *sent < len);
	return (error == EINTR ? 0 : error);
}

size_t
dgram_segments(size_t len, size_t segment_len)
{
	if (segment_len == 0 || len <= segment_len)
		return (1);
	return ((len + segment_len - 1) / segment_len);
}

struct dgram_batch *
dgram_batch_new(void)
{
	struct dgram_batch *batch = calloc(1, sizeof(*batch));
	unsigned int i;

	if (batch == NULL)
		return (NULL);
	for (i = 0; i < DGRAM_BATCH; i++) {
		batch->iovs[i].iov_base = batch->data[i];
		batch->iovs[i].iov_len = sizeof(batch->data[i]);
		batch->msgs[i].msg_hdr.msg_iov = &batch->iovs[i];
		batch->msgs[i].msg_hdr.msg_iovlen = 1;
		batch->msgs[i].msg_hdr.msg_name = &batch->names[i];
		batch->msgs[i].msg_hdr.msg_control = batch->control[i];
	}
	return (batch);
}

void
dgram_batch_free(struct dgram_batch *batch)
{
	free(batch);
}

int
dgram_recv(const struct dgram_sock *sock, struct dgram_batch *batch)
{
	unsigned int i;
	int n;

	for (i = 0; i < DGRAM_BATCH; i++) {
		batch->msgs[i].msg_hdr.msg_namelen = sizeof(batch->names[i]);
		batch->msgs[i].msg_hdr.msg_controllen = CONTROL_SIZE;
	}
	n = recvmmsg(sock->fd, batch->msgs, DGRAM_BATCH, DGRAM_RECV_FLAGS,
	    NULL);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return (0);
	return (n);
}

/* What the kernel says beside a datagram. */
static void
cmsg_read(const struct cmsghdr *cmsg, struct dgram *dgram)
{
	struct in6_pktinfo v6;
	struct in_pktinfo v4;
	int size;

	if (cmsg->cmsg_level == IPPROTO_UDP && cmsg->cmsg_type == UDP_GRO) {
		memcpy(&size, CMSG_DATA(cmsg), sizeof(size));
		if (size > 0 && (size_t)size < dgram->len)
			dgram->segment_len = (uint16_t)size;
	} else if (cmsg->cmsg_level == IPPROTO_IP &&
	    cmsg->cmsg_type == IP_PKTINFO) {
		memcpy(&v4, CMSG_DATA(cmsg), sizeof(v4));
		dgram->local.family = 4;
		memcpy(dgram->local.bytes, &v4.ipi_spec_dst, 4);
	} else if (cmsg->cmsg_level == IPPROTO_IPV6 &&
	    cmsg->cmsg_type == IPV6_PKTINFO) {
		memcpy(&v6, CMSG_DATA(cmsg), sizeof(v6));
		dgram->local.family = 6;
		memcpy(dgram->local.bytes, &v6.ipi6_addr, 16);
	}
}

static void
name_read(const struct sockaddr_storage *ss, struct dgram *dgram)
{
	struct addr_forms forms;

	if (addr_from_sockaddr((const struct sockaddr *)ss, &dgram->peer,
		&dgram->peer_port) == -1)
		return;
	addr_canonicalise(&dgram->peer, &forms);
	dgram->peer = forms.dial;
	if (ss->ss_family == AF_INET6)
		dgram->link = ((const struct sockaddr_in6 *)ss)->sin6_scope_id;
}

void
dgram_get(const struct dgram_batch *batch, unsigned int i, struct dgram *dgram)
{
	struct msghdr hdr = batch->msgs[i].msg_hdr;
	struct cmsghdr *cmsg;

	memset(dgram, 0, sizeof(*dgram));
	dgram->len = batch->msgs[i].msg_len;
	if (dgram->len > sizeof(batch->data[i]))
		dgram->len = sizeof(batch->data[i]);
	dgram->data = batch->data[i];
	name_read(&batch->names[i], dgram);
	for (cmsg = CMSG_FIRSTHDR(&hdr); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(&hdr, cmsg))
		cmsg_read(cmsg, dgram);
}
