#ifndef NETPROC_LINK_FRAME_H
#define NETPROC_LINK_FRAME_H

#include <sys/types.h>
#include <sys/uio.h>

#include <stddef.h>
#include <stdint.h>

struct pbuf;

/*
 * The stream framing of QEMU, passt and libkrun: a u32 big-endian length,
 * then the Ethernet frame.  Reader and writer know bytes and lengths only.
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
#define FRAME_READER_SIZE (1024 * 1024)
#define FRAME_READER_TAIL 64 /* zeroed bytes behind the buffer */

struct frame_reader {
	uint8_t *buf; /* FRAME_READER_SIZE + FRAME_READER_TAIL */
	size_t start, end;
};

/* 0, or -1 with errno ENOMEM. */
int frame_reader_init(struct frame_reader *r);
void frame_reader_reset(struct frame_reader *r);

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

/* iovecs of one writev(2); IOV_MAX is 1024. */
#define FRAME_WRITE_IOV 512

#define FRAME_HEAD_MAX 18 /* length prefix and Ethernet header */

struct frame_slot {
	struct pbuf *p;
	uint32_t len; /* head and pbuf together, bytes */
	uint8_t head_len;
	uint8_t head[FRAME_HEAD_MAX];
};

struct frame_writer {
	struct frame_slot *slots; /* FRAME_QUEUE_FRAMES */
	struct iovec *iov;	  /* FRAME_WRITE_IOV, filled at each write */
	size_t first, count;
	size_t bytes;		 /* waiting, of all slots */
	size_t written;		 /* of the first slot */
	uint64_t nqueued, nsent; /* frames, ever */
};

/* 0, or -1 with errno ENOMEM. */
int frame_writer_init(struct frame_writer *w);

/* Gives up what waits; for when the VMM has gone. */
void frame_writer_reset(struct frame_writer *w);

/*
 * Queues one frame: head (NULL, or an Ethernet header of 14 bytes, copied)
 * and p, of which a reference is taken.  0, or -1 when the queue is full.
 */
int frame_writer_push(struct frame_writer *w, const uint8_t *head,
    struct pbuf *p);

/* Writes what fd takes.  1: nothing waits, 0: something does, -1: errno. */
int frame_writer_flush(struct frame_writer *w, int fd);

#endif
