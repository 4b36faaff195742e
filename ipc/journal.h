#ifndef IPC_JOURNAL_H
#define IPC_JOURNAL_H

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/addr.h"

/*
 * What one netproc leaves to the next: where in a frame its two streams stand,
 * which connections the guest believes in, what the guest is called.
 *
 * Theory of operation.  The journal lies in memory that outlives netproc: a
 * memfd of sealed size which the parent makes, never maps, and gives to each
 * netproc in turn, who maps it before its lock.  A process may be killed
 * between any two instructions, and inside a system call, which then runs to
 * its end but never returns.  So the journal is right after each store:
 *
 * Reading.  How many bytes a read took is known to its caller alone, so the
 * kernel itself writes it down: recvmmsg(2) stores msg_len before it returns,
 * and msg_len lies here.  Where the stream stands then follows from where it
 * stood before and from the length prefixes among the bytes, so they are read
 * into the journal's memory too.  Two records take turns: the next is filled,
 * then made current by one store.
 *
 * Writing.  No call that netproc may make tells anybody else how much it
 * wrote.  But a unix stream socket takes a write in chunks of one size, each
 * whole or not at all, and stops only between two of them.  So the places
 * where a write can leave the stream are few and known before the call: all
 * are noted, in one store.  The successor sends bytes that end at a frame's
 * border from each of them (journal_filler()).  A write that could stop where
 * no such bytes would do, as within a length prefix, is made shorter.
 *
 * What the predecessor wrote may be lies, if it was taken over: every field is
 * checked by who reads it.  The worst that it can do is what it could do
 * alive, break its own guest's link.
 */

/* Bytes that a read may fill: the frame reader's buffer. */
#define JOURNAL_BUF_BYTES (1024 * 1024 + 64)

/*
 * A unix stream socket allocates for at least this much at once, or says
 * EAGAIN (unix_stream_sendmsg: 32 KiB beside most of a page, and at most half
 * of SO_SNDBUF); the exact size is found at start (chunk.h).  Test:
 * a_piece_is_written_whole_or_not_at_all.
 */
#define JOURNAL_PIECE (33 * 1024)

/* Length prefix and the shortest and longest frame. */
#define JOURNAL_FRAME_MIN (4 + 14)
#define JOURNAL_FRAME_MAX (4 + 65550)

/* A place in the stream. */
struct journal_at {
	uint32_t left;	     /* bytes of a frame that are still to come */
	uint32_t prefix_len; /* left is 0: 0..3 bytes of the next prefix ... */
	uint8_t prefix[4];   /* ... which are these */
};

/*
 * Where a stream that is written may stand: bytes that are missing of a frame
 * half written, 0 at a border.  A write has 33, before and after each of
 * 32 chunks; filler that is written itself has them twice.
 */
#define JOURNAL_STOPS_WRITE 33
#define JOURNAL_STOPS_MAX   80

struct journal_stops {
	uint32_t n;
	uint32_t owed[JOURNAL_STOPS_MAX];
};

/* One read of the stream. */
struct journal_read {
	struct journal_at at; /* before it */
	uint32_t niov;
	struct {
		uint64_t off, len; /* where in journal.buf the bytes go */
	} iov[2];
	struct mmsghdr msg; /* msg_len is the kernel's word */
};

/* A connection as the guest sees it; ports in host order. */
struct journal_name {
	_Atomic uint32_t used; /* 1: the other fields count */
	struct ipc_addr peer;
	struct ipc_addr guest;
	uint16_t peer_port, guest_port;
};
_Static_assert(sizeof(struct journal_name) == 48, "no padding");

/* What the guest was told, and what it calls itself. */
struct journal_guest {
	_Atomic uint32_t leased; /* a DHCP lease was acknowledged */
	_Atomic uint32_t has_addr6;
	struct ipc_addr addr6; /* the IPv6 address that it uses */
};

struct journal {
	uint32_t nslots;	  /* flows of both directions */
	_Atomic uint32_t current; /* of read[] */
	struct journal_read read[2];
	_Atomic uint32_t write_current; /* of write[] */
	struct journal_stops write[2];
	struct journal_guest guest;
	_Alignas(4096) uint8_t buf[JOURNAL_BUF_BYTES];
	/* nslots names of flows, then nslots of those that a predecessor had
	 * and whose reset the guest has not confirmed */
	struct journal_name names[];
};

/*
 * Makes the memory: a memfd, sealed to its size, close-on-exec.  Returns
 * owned; -1 with errno.
 */
int journal_create(uint32_t nslots);

/*
 * Maps fd (borrowed), or memory of our own with fd -1, for a process without
 * a successor.  NULL with errno; EINVAL: fd is too small for nslots.
 */
struct journal *journal_map(int fd, uint32_t nslots);
void journal_unmap(struct journal *journal);

/* A new stream begins: nothing is left of the last one. */
void journal_reset(struct journal *journal);

/*
 * Says where the reader stands, before it moves what it has read and begins
 * to read on.  Then journal_recv() may fill parts of journal->buf.
 */
void journal_read_begin(struct journal *journal, const struct journal_at *at);

/*
 * Reads once from fd, a socket, into iov (one or two parts of journal->buf).
 * Bytes, 0 at end of file, or -1 with errno.
 */
ssize_t journal_recv(struct journal *journal, int fd, struct iovec *iov,
    int niov);

/*
 * Where the predecessor's reader stood in the stream.  0, or -1 if the
 * journal contradicts itself.
 */
int journal_read_left(const struct journal *journal, struct journal_at *at);

/* Moves at along len bytes.  0, or -1: they announce no frame. */
int journal_walk(struct journal_at *at, const uint8_t *bytes, size_t len);

/*
 * One more place where the stream may come to stand.  0, or -1 if there are
 * JOURNAL_STOPS_MAX already or no filler serves it beside the others: between
 * two places there must be room for a frame.
 */
int journal_stops_add(struct journal_stops *stops, size_t owed);

/* From now on the stream stands at one of these. */
void journal_write_set(struct journal *journal,
    const struct journal_stops *stops);

/* ... at this one. */
void journal_write_at(struct journal *journal, size_t owed);

/*
 * Where the predecessor may have left the stream.  0, or -1 if the journal
 * contradicts itself.
 */
int journal_write_left(const struct journal *journal,
    struct journal_stops *stops);

/*
 * Fills bytes, JOURNAL_FRAME_MAX of them, with what brings a reader to a
 * frame's border from each of the stops.  Returns how many bytes that are, 0
 * if all stand at a border.  They are frames from mac to mac, of EtherType
 * 0x88b5 (IEEE 802, local experiments), which nobody takes.
 */
size_t journal_filler(uint8_t *bytes, const struct journal_stops *stops,
    const uint8_t mac[6]);

/* The flow in slot has this name; the flow in slot has none. */
void journal_name_set(struct journal *journal, uint32_t slot,
    const struct journal_name *name);
void journal_name_clear(struct journal *journal, uint32_t slot);

/*
 * The predecessor's names become those of dead flows, from
 * journal_dead(journal, 0) on; what does not fit is forgotten.
 */
void journal_bury(struct journal *journal);

/* Returns borrowed: a dead flow's name, of nslots. */
struct journal_name *journal_dead(struct journal *journal, uint32_t i);

#endif
