#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/channel.h"

/*
 * The ring holds only what the socket refused.  A slot has room for every
 * payload that is said at run time; CONFIG_NETPROC alone is larger, and it
 * crosses while the socket is empty.
 */
#define SLOT_PAYLOAD sizeof(struct ipc_log)

struct channel_slot {
	struct ipc_hdr hdr;
	size_t len;
	_Alignas(8) uint8_t payload[SLOT_PAYLOAD];
};

int
channel_init(struct channel *ch, int fd, enum role self, enum role peer,
    size_t record_max, size_t cap)
{
	memset(ch, 0, sizeof(*ch));
	ch->fd = fd;
	ch->self = self;
	ch->peer = peer;
	ch->phase = IPC_SETUP;
	ch->rbuf_size = record_max;
	ch->cap = cap;
	ch->rbuf = calloc(1, record_max);
	if (cap > 0)
		ch->ring = calloc(cap, sizeof(*ch->ring));
	if (ch->rbuf == NULL || (cap > 0 && ch->ring == NULL)) {
		free(ch->rbuf);
		free(ch->ring);
		ch->rbuf = NULL;
		ch->ring = NULL;
		errno = ENOMEM;
		return (-1);
	}
	return (0);
}

void
channel_close(struct channel *ch)
{
	free(ch->rbuf);
	free(ch->ring);
	ch->rbuf = NULL;
	ch->ring = NULL;
	ch->count = 0;
	if (ch->fd != -1)
		close(ch->fd);
	ch->fd = -1;
}

/*
 * One record to the socket: writev(2) without a descriptor, sendmsg(2) with
 * one.  0, or -1 with errno.
 */
static int
record_send(int sock, struct iovec *iov, int iovcnt, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct msghdr msg;
	struct cmsghdr *cmsg;
	ssize_t n;

	if (fd == -1) {
		do {
			n = writev(sock, iov, iovcnt);
		} while (n == -1 && errno == EINTR);
		return (n == -1 ? -1 : 0);
	}
	memset(&msg, 0, sizeof(msg));
	memset(control, 0, sizeof(control));
	msg.msg_iov = iov;
	msg.msg_iovlen = (size_t)iovcnt;
	msg.msg_control = control;
	msg.msg_controllen = sizeof(control);
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	do {
		n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	return (n == -1 ? -1 : 0);
}

/*
 * The kernel is short of memory for the moment: the record is still there, and
 * an event comes again.
 */
static int
is_short_of_memory(int error)
{
	return (error == ENOBUFS || error == ENOMEM);
}

/* It takes no record now; there is room for one later. */
static int
is_full(int error)
{
	return (error == EAGAIN || is_short_of_memory(error));
}

static int
ring_put(struct channel *ch, const struct ipc_hdr *hdr, const void *payload,
    size_t len)
{
	struct channel_slot *slot;

	if (ch->count == ch->cap || len > SLOT_PAYLOAD) {
		errno = ENOBUFS;
		return (-1);
	}
	slot = &ch->ring[(ch->head + ch->count) % ch->cap];
	slot->hdr = *hdr;
	slot->len = len;
	memcpy(slot->payload, payload, len);
	ch->count++;
	return (0);
}

static int
record_send_now(struct channel *ch, const struct ipc_hdr *hdr,
    const void *payload, size_t len, int fd)
{
	struct iovec iov[2];
	struct ipc_hdr copy = *hdr;

	iov[0].iov_base = &copy;
	iov[0].iov_len = sizeof(copy);
	iov[1].iov_base = (void *)(uintptr_t)payload;
	iov[1].iov_len = len;
	if (record_send(ch->fd, iov, 2, fd) == -1)
		return (-1);
	ch->nsent++;
	return (0);
}

int
channel_send(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len)
{
	const struct ipc_hdr hdr = {
		.type = type,
		.flow = flow,
		.generation = generation,
	};

	if (ch->fd == -1) {
		errno = EPIPE;
		return (-1);
	}
	if (len != ipc_payload_size(type)) {
		errno = EINVAL;
		return (-1);
	}
	if (ch->count > 0)
		return (ring_put(ch, &hdr, payload, len));
	if (record_send_now(ch, &hdr, payload, len, -1) == 0)
		return (0);
	if (!is_full(errno))
		return (-1);
	return (ring_put(ch, &hdr, payload, len));
}

int
channel_lend_fd(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len, int fd)
{
	const struct ipc_hdr hdr = {
		.type = type,
		.flow = flow,
		.generation = generation,
	};

	if (ch->fd == -1 || len != ipc_payload_size(type)) {
		errno = ch->fd == -1 ? EPIPE : EINVAL;
		return (-1);
	}
	if (ch->count > 0) {
		errno = ENOBUFS;
		return (-1);
	}
	if (record_send_now(ch, &hdr, payload, len, fd) == 0)
		return (0);
	if (is_full(errno))
		errno = ENOBUFS;
	return (-1);
}

int
channel_send_tailv(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len,
    const struct iovec *tail, int ntail)
{
	struct iovec iov[2 + CHANNEL_TAIL_IOV];
	struct ipc_hdr hdr = {
		.type = type,
		.flow = flow,
		.generation = generation,
	};
	size_t tail_len = 0;
	int i;

	if (ntail < 0 || ntail > CHANNEL_TAIL_IOV) {
		errno = EINVAL;
		return (-1);
	}
	iov[0].iov_base = &hdr;
	iov[0].iov_len = sizeof(hdr);
	iov[1].iov_base = (void *)(uintptr_t)payload;
	iov[1].iov_len = len;
	for (i = 0; i < ntail; i++) {
		iov[2 + i] = tail[i];
		tail_len += tail[i].iov_len;
	}
	if (ch->fd == -1 || len != ipc_payload_size(type) ||
	    tail_len > ipc_tail_max(type)) {
		errno = ch->fd == -1 ? EPIPE : EINVAL;
		return (-1);
	}
	if (ch->count > 0) {
		errno = ENOBUFS;
		return (-1);
	}
	if (record_send(ch->fd, iov, 2 + ntail, -1) == 0) {
		ch->nsent++;
		return (0);
	}
	if (is_full(errno))
		errno = ENOBUFS;
	return (-1);
}

int
channel_send_tail(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len, const void *tail,
    size_t tail_len)
{
	const struct iovec iov = {
		.iov_base = (void *)(uintptr_t)tail,
		.iov_len = tail_len,
	};

	return (channel_send_tailv(ch, type, flow, generation, payload, len,
	    &iov, 1));
}

int
channel_flush(struct channel *ch)
{
	struct channel_slot *slot;

	while (ch->count > 0) {
		slot = &ch->ring[ch->head];
		if (record_send_now(ch, &slot->hdr, slot->payload, slot->len,
			-1) == -1)
			return (is_full(errno) ? 0 : -1);
		ch->head = (ch->head + 1) % ch->cap;
		ch->count--;
	}
	return (1);
}

/*
 * CMSG_SPACE(one int) has room for two descriptors on 64 bit: take the first,
 * close the others, count all.
 */
static unsigned int
fds_take(struct msghdr *msg, int *fd)
{
	struct cmsghdr *cmsg;
	unsigned int nfds = 0;
	size_t i, n;
	int one;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS ||
		    cmsg->cmsg_len < CMSG_LEN(0))
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&one, CMSG_DATA(cmsg) + i * sizeof(int),
			    sizeof(int));
			if (nfds++ == 0)
				*fd = one;
			else
				close(one);
		}
	}
	return (nfds);
}

static enum channel_result
violation(struct channel *ch, struct ipc_msg *msg, enum ipc_error error)
{
	ch->error = error;
	ch->error_type = error == IPC_E_SHORT ? 0 : msg->hdr.type;
	channel_msg_done(msg);
	return (CHANNEL_VIOLATION);
}

static void
msg_fill(const struct channel *ch, struct ipc_msg *msg, size_t len)
{
	size_t fixed = sizeof(msg->hdr) + ipc_payload_size(msg->hdr.type);

	msg->payload = ch->rbuf + sizeof(msg->hdr);
	msg->tail = ch->rbuf + fixed;
	msg->tail_len = len - fixed;
}

enum channel_result
channel_recv(struct channel *ch, struct ipc_msg *msg)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = ch->rbuf, .iov_len = ch->rbuf_size };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	enum ipc_error error;
	unsigned int nfds;
	ssize_t n;

	memset(msg, 0, sizeof(*msg));
	msg->fd = -1;
	do {
		n = recvmsg(ch->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return (errno == EAGAIN || is_short_of_memory(errno) ?
			CHANNEL_EMPTY :
			CHANNEL_ERROR);
	nfds = fds_take(&mh, &msg->fd);
	if (n == 0) {
		channel_msg_done(msg);
		return (CHANNEL_CLOSED);
	}
	if ((size_t)n >= sizeof(msg->hdr))
		memcpy(&msg->hdr, ch->rbuf, sizeof(msg->hdr));
	if (mh.msg_flags & MSG_TRUNC)
		return (violation(ch, msg, IPC_E_SIZE));
	if ((mh.msg_flags & MSG_CTRUNC) && nfds == 0) {
		msg->fd_lost = 1;
		nfds = 1;
	}
	error = ipc_check(ch->rbuf, (size_t)n, nfds, ch->peer, ch->self,
	    ch->phase);
	if (error != IPC_OK)
		return (violation(ch, msg, error));
	msg_fill(ch, msg, (size_t)n);
	ch->nreceived++;
	return (CHANNEL_MESSAGE);
}

void
channel_msg_done(struct ipc_msg *msg)
{
	if (msg->fd != -1)
		close(msg->fd);
	msg->fd = -1;
}
