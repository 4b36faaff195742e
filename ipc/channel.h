#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include <sys/types.h>
#include <sys/uio.h>

#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"

/*
 * One end of a SOCK_SEQPACKET socketpair that speaks ipc/proto.h.
 *
 * Sending never blocks: what the socket does not take waits in a ring of
 * `cap` records, in order.  A full ring is ENOBUFS; the caller decides
 * whether that is a dropped datagram, a lost log line or the end.
 * A message without a descriptor is sent by writev(2), one with a descriptor
 * by sendmsg(2): netproc, which may not sendmsg, never sends descriptors.
 */

struct channel_slot;

struct channel {
	int fd;		/* -1 once closed */
	enum role self; /* this process */
	enum role peer; /* the other end */
	uint32_t phase; /* enum ipc_phase, set by the owner */
	uint8_t *rbuf;	/* one record */
	size_t rbuf_size;
	struct channel_slot *ring;
	size_t cap, head, count;
	enum ipc_error error; /* why channel_recv returned CHANNEL_VIOLATION */
	uint32_t error_type;  /* the message's type */
	uint64_t nsent, nreceived;
};

/* A received message.  Pointers are borrowed until the next channel_recv. */
struct ipc_msg {
	struct ipc_hdr hdr;
	const void *payload; /* ipc_payload_size(hdr.type) bytes, aligned */
	const uint8_t *tail;
	size_t tail_len;
	int fd; /* or -1; owned by the receiver, who sets it to -1 on taking */
	int fd_lost; /* 1: a descriptor was due but did not fit (RLIMIT_NOFILE);
			fd is -1 */
};

enum channel_result {
	CHANNEL_EMPTY,
	CHANNEL_MESSAGE,
	CHANNEL_CLOSED,	  /* zero-length record or end of file */
	CHANNEL_ERROR,	  /* errno */
	CHANNEL_VIOLATION /* channel.error, channel.error_type */
};

/*
 * Takes fd (owned, non-blocking SEQPACKET).  record_max is the largest record
 * that may arrive, IPC_RECORD_MAX or IPC_DGRAM_MAX; cap is the ring's size in
 * records, 0 for none.  0, or -1 with errno ENOMEM.
 */
int channel_init(struct channel *ch, int fd, enum role self, enum role peer,
    size_t record_max, size_t cap);

void channel_close(struct channel *ch);

/*
 * Sends a message; len must be ipc_payload_size(type).  0, or -1 with errno
 * ENOBUFS (ring full), EPIPE/ECONNRESET (peer gone).
 */
int channel_send(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len);

/*
 * The same with a descriptor, which is borrowed and never queued: the peer
 * gets a reference of its own at once, or the call fails: ENOBUFS, there will
 * be room when the socket is writable; ETOOMANYREFS, too many descriptors of
 * this user's are in flight (unix(7)), which no event ends.
 */
int channel_lend_fd(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len, int fd);

/* The same with a tail, which is sent at once or not at all (never queued). */
int channel_send_tail(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len, const void *tail,
    size_t tail_len);

/* The same with a tail in ntail pieces, at most CHANNEL_TAIL_IOV. */
#define CHANNEL_TAIL_IOV 64

int channel_send_tailv(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len,
    const struct iovec *tail, int ntail);

/* Sends what waits.  1: all gone, 0: some waits still, -1: errno. */
int channel_flush(struct channel *ch);

/*
 * Takes one record, checks it with ipc_check(), fills msg.  Descriptors of a
 * record that fails the check are closed.
 */
enum channel_result channel_recv(struct channel *ch, struct ipc_msg *msg);

/* Closes a descriptor that the dispatcher did not take. */
void channel_msg_done(struct ipc_msg *msg);

#endif
