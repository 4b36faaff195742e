#ifndef RELAYPROC_DGRAM_H
#define RELAYPROC_DGRAM_H

#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"

/*
 * The host's datagram sockets, UDP and ICMP echo (udp(7), icmp(7)): how they
 * are made, sent from and read, many datagrams a call.  No policy here, and
 * nothing of netproc.
 */

struct dgram_sock {
	int fd;	    /* owned, or -1 */
	int family; /* AF_INET or AF_INET6 */
	int proto;  /* IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 */
	int df;	    /* fragments forbidden: 0, 1; -1: not said yet */
};

/*
 * Makes an unbound socket that queues the errors of what it sends.  dual
 * nonzero: an AF_INET6 socket may reach IPv4 peers too.  0, or -1 with errno
 * of socket(2) or setsockopt(2).
 */
int dgram_open(struct dgram_sock *sock, int family, int proto, int dual);

/*
 * Before the lock: takes a UDP socket that is bound to a port by its number
 * (the kernel keeps no other), consumes fd.  It is not connected afterwards.
 * With any_local nonzero each datagram says to which of the host's addresses it
 * came.  0, or -1 with errno (fd is closed then too).
 */
int dgram_adopt(struct dgram_sock *sock, int fd, int family, int any_local);

void dgram_close(struct dgram_sock *sock);

/*
 * Asks that the first send take this local port, where it is in the host's
 * ip_local_port_range and free; 0: any.  If it is not free the send fails
 * with EAGAIN.  Kernels before 6.3 have no such wish: then any port it is.
 */
void dgram_want_port(const struct dgram_sock *sock, uint16_t port);

struct dgram_to {
	struct ipc_addr addr;
	uint16_t port;
	struct ipc_addr local; /* send from here; family 0: as routed */
	uint32_t link;	       /* as in struct dgram */
};

/*
 * Sends len bytes: one datagram, or with segment_len > 0 up to
 * ASSOC_SEGMENTS_MAX of that size.  *sent grows by the bytes that were taken;
 * bytes before it are not sent again.  0, or an errno value: of the first
 * datagram that was not taken, or of an ICMP error that waits in the queue.
 */
int dgram_send(struct dgram_sock *sock, const struct dgram_to *to,
    const uint8_t *data, size_t len, size_t segment_len, int df, size_t *sent);

/* How many datagrams len bytes are, each of segment_len; 0: it is one. */
size_t dgram_segments(size_t len, size_t segment_len);

/* Most messages of one read; each may be many datagrams of one peer. */
#define DGRAM_BATCH 32

struct dgram {
	struct ipc_addr peer;
	uint16_t peer_port;
	uint16_t segment_len;  /* 0: one datagram */
	struct ipc_addr local; /* family 0 unless any_local */
	uint32_t link; /* of a link-local peer: the host's interface; or 0 */
	size_t len;
	const uint8_t *data;
};

struct dgram_batch;

/* Returns owned, or NULL with errno ENOMEM; the other frees it. */
struct dgram_batch *dgram_batch_new(void);
void dgram_batch_free(struct dgram_batch *batch);

/*
 * The only flags that the filter lets a datagram be received with; a TCP
 * socket hands out no byte with MSG_TRUNC.  The kernel then says how long the
 * datagram was, which may be more than there was room for.
 */
#define DGRAM_RECV_FLAGS (MSG_DONTWAIT | MSG_TRUNC)

/*
 * The only ones that it lets one be sent with; a TCP socket that the
 * kernel knows to be connected (tcp_connect_settle()) takes no byte with
 * MSG_FASTOPEN, which datagrams know nothing of.
 */
#define DGRAM_SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_FASTOPEN)

/*
 * Reads what waits.  Returns the number of messages, 0 if nothing waits, or
 * -1 with errno: an ICMP error that is in the queue.
 */
int dgram_recv(const struct dgram_sock *sock, struct dgram_batch *batch);

/* Fills dgram with message i; its data is borrowed until the next read. */
void dgram_get(const struct dgram_batch *batch, unsigned int i,
    struct dgram *dgram);

struct dgram_error {
	struct ipc_addr peer; /* to whom the datagram went */
	uint16_t peer_port;   /* 0 where the kernel does not say */
	enum flow_verdict verdict;
	uint32_t mtu;		/* VERDICT_TOO_BIG, bytes */
	struct ipc_addr router; /* who says so; family 0: this host */
	int is_local;		/* the send before failed by it */
	int has_echo_seq;
	uint16_t echo_seq; /* as the packet says that came back */
};

/*
 * Takes one error from the queue.  1; 0 with verdict VERDICT_N if it is of no
 * interest; -1 when the queue is empty.
 */
int dgram_error_take(const struct dgram_sock *sock, struct dgram_error *error);

/*
 * Leaves the errors that are still queued for later: with each that is taken
 * the kernel has the next call on the socket fail by the one after it, whomever
 * either is about, and that call may be a send to somebody else.
 */
void dgram_errors_leave(const struct dgram_sock *sock);

#endif
