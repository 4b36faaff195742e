#ifndef NETPROC_LINK_FRAME_H
#define NETPROC_LINK_FRAME_H

#include <sys/types.h>
#include <sys/uio.h>

#include <stddef.h>
#include <stdint.h>

#include "ipc/journal.h"

struct pbuf;

/*
 * The stream framing of QEMU, passt and libkrun: a u32 big-endian length,
 * then the Ethernet frame.  Reader and writer know bytes and lengths only.
 * Where they stand is noted in the journal around each read and write, for
 * the netproc that comes after this one (ipc/journal.h).
 */

#define FRAME_PREFIX_LEN 4
#define FRAME_LEN_MIN	 14
#define FRAME_LEN_MAX	 65550 /* libkrun's reader panics beyond */

enum frame_next {
	FRAME_NEXT_FRAME,
	FRAME_NEXT_PARTIAL, /* more bytes are needed */
	FRAME_NEXT_BAD	    /* *frame_len says what was announced */
};

/*
 * Looks at len bytes that begin with a length prefix.  FRAME_NEXT_FRAME: the
 * frame is *frame_len bytes at bytes + FRAME_PREFIX_LEN, all of it there.
 */
enum frame_next frame_next(const uint8_t *bytes, size_t len, size_t *frame_len);

/*
 * What was read and not yet parsed lies at buf[start..end).  A partial frame
 * at the end is moved to the front only when the room behind it runs short.
 */
#define FRAME_READER_TAIL 64 /* zeroed bytes behind the buffer */
#define FRAME_READER_SIZE (JOURNAL_BUF_BYTES - FRAME_READER_TAIL)

struct frame_reader {
	struct journal *journal; /* borrowed */
	uint8_t *buf;		 /* the journal's */
	size_t start, end;
	size_t skip; /* bytes of a predecessor's frame, to be thrown away;
			then start is end */
};

void frame_reader_init(struct frame_reader *r, struct journal *journal);
void frame_reader_reset(struct frame_reader *r);

/*
 * Goes on in the stream where the journal says that the predecessor stood;
 * what it had read is lost.  0, or -1: the journal cannot be believed.
 */
int frame_reader_resume(struct frame_reader *r);

/* Reads once from fd.  Bytes read, 0 at end of file, or -1 with errno. */
ssize_t frame_reader_fill(struct frame_reader *r, int fd);

/*
 * The next whole frame, borrowed until the next frame_reader_fill().  Its
 * bytes may be changed in place.
 */
enum frame_next frame_reader_next(struct frame_reader *r, uint8_t **frame,
    size_t *frame_len);

/*
 * Frames towards the VMM.  They wait by reference (pbuf_ref) until the socket
 * has taken them whole; never is a frame given up half written.
 */
#define FRAME_QUEUE_FRAMES 1024
#define FRAME_QUEUE_BYTES  (4 * 1024 * 1024)

/* iovecs of one writev(2): IOV_MAX. */
#define FRAME_WRITE_IOV 1024

#define FRAME_ETHER_LEN 14

/* Length prefix, Ethernet header, and those of IPv6 and TCP at most. */
#define FRAME_HEAD_MAX (FRAME_PREFIX_LEN + FRAME_ETHER_LEN + 40 + 60)

/* Bytes [off, off + len) of a chain of pbufs, off within its first. */
struct frame_part {
	const struct pbuf *q;
	size_t off, len;
};

struct frame_slot {
	struct pbuf *p; /* what is referenced */
	struct frame_part part;
	uint32_t len; /* head and part together, bytes */
	uint8_t is_stream;
	uint8_t head_len;
	uint8_t head[FRAME_HEAD_MAX];
};

/* How a frame that the predecessor left half written is ended. */
struct frame_filler {
	size_t border;			    /* so much is written first */
	struct journal_stops during, after; /* places of the stream then */
};

struct frame_writer {
	struct journal *journal;  /* borrowed */
	size_t chunk;		  /* chunk_probe() */
	struct frame_slot *slots; /* FRAME_QUEUE_FRAMES */
	struct iovec *iov;	  /* FRAME_WRITE_IOV, filled at each write */
	size_t first, count;
	size_t bytes;	 /* waiting, of all slots */
	size_t streams;	 /* of these, what frame_writer_is_stream() said */
	size_t nstreams; /* the same in frames */
	size_t written;	 /* of the first slot */
	int fills;	 /* the first slot is filler, without head */
	struct frame_filler filler;
	uint64_t nqueued, nsent; /* frames, ever */
};

/* chunk is what chunk_probe() found.  0, or -1 with errno ENOMEM. */
int frame_writer_init(struct frame_writer *w, struct journal *journal,
    size_t chunk);

/* Gives up what waits; for when the VMM has gone. */
void frame_writer_reset(struct frame_writer *w);

/*
 * First of all ends the frame that the predecessor may have left half
 * written; mac is whom the filler is from and to.  0, or -1: the journal
 * cannot be believed, or there is no memory.
 */
int frame_writer_resume(struct frame_writer *w, const uint8_t mac[6]);

/* 1 if so many frames, of so many bytes together, find room. */
int frame_writer_has_room(const struct frame_writer *w, size_t nframes,
    size_t bytes);

/*
 * Queues one frame of head_len bytes (copied, at most FRAME_HEAD_MAX less the
 * prefix) and a part of p, of which a reference is taken.  0, or -1 when the
 * queue is full.
 */
int frame_writer_push_part(struct frame_writer *w, const uint8_t *head,
    size_t head_len, struct pbuf *p, const struct frame_part *part);

/* The frame that was queued last is a stream's. */
void frame_writer_is_stream(struct frame_writer *w);

/* Writes what fd takes.  1: nothing waits, 0: something does, -1: errno. */
int frame_writer_flush(struct frame_writer *w, int fd);

#endif
