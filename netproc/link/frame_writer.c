/*
 * Frames towards the VMM: a queue of references, written in few calls, each of
 * which notes in the journal where it may leave the stream.
 */

#include <sys/uio.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lwip/pbuf.h"

#include "netproc/link/frame.h"

int
frame_writer_init(struct frame_writer *w, struct journal *journal, size_t chunk)
{
	memset(w, 0, sizeof(*w));
	w->journal = journal;
	w->chunk = chunk;
	w->slots = calloc(FRAME_QUEUE_FRAMES, sizeof(*w->slots));
	w->iov = calloc(FRAME_WRITE_IOV, sizeof(*w->iov));
	return (w->slots == NULL || w->iov == NULL ? -1 : 0);
}

static void
slot_pop(struct frame_writer *w)
{
	struct frame_slot *slot = &w->slots[w->first];

	w->bytes -= slot->len;
	if (slot->is_stream) {
		w->streams -= slot->len;
		w->nstreams--;
	}
	slot->is_stream = 0;
	w->written = 0;
	w->fills = 0;
	w->first = (w->first + 1) % FRAME_QUEUE_FRAMES;
	w->count--;
	pbuf_free(slot->p);
	slot->p = NULL;
}

void
frame_writer_reset(struct frame_writer *w)
{
	while (w->count > 0)
		slot_pop(w);
}

int
frame_writer_has_room(const struct frame_writer *w, size_t nframes,
    size_t bytes)
{
	return (w->count + nframes <= FRAME_QUEUE_FRAMES &&
	    w->bytes + bytes <= FRAME_QUEUE_BYTES);
}

int
frame_writer_push_part(struct frame_writer *w, const uint8_t *head,
    size_t head_len, struct pbuf *p, const struct frame_part *part)
{
	const size_t len = head_len + part->len;
	struct frame_slot *slot;

	if (len > FRAME_LEN_MAX || !frame_writer_has_room(w, 1, len) ||
	    head_len > FRAME_HEAD_MAX - FRAME_PREFIX_LEN)
		return (-1);
	slot = &w->slots[(w->first + w->count) % FRAME_QUEUE_FRAMES];
	slot->head[0] = 0;
	slot->head[1] = (uint8_t)(len >> 16);
	slot->head[2] = (uint8_t)(len >> 8);
	slot->head[3] = (uint8_t)len;
	if (head_len > 0)
		memcpy(slot->head + FRAME_PREFIX_LEN, head, head_len);
	slot->head_len = (uint8_t)(FRAME_PREFIX_LEN + head_len);
	slot->len = (uint32_t)(FRAME_PREFIX_LEN + len);
	slot->part = *part;
	slot->p = p;
	pbuf_ref(p);
	w->bytes += slot->len;
	w->count++;
	w->nqueued++;
	return (0);
}

void
frame_writer_is_stream(struct frame_writer *w)
{
	struct frame_slot *slot =
	    &w->slots[(w->first + w->count - 1) % FRAME_QUEUE_FRAMES];

	slot->is_stream = 1;
	w->streams += slot->len;
	w->nstreams++;
}

/* A write of so much is taken whole or not at all. */
static size_t
writer_chunk(const struct frame_writer *w)
{
	return (w->chunk > 0 ? w->chunk : JOURNAL_PIECE);
}

/* Where the stream may stand after border bytes of filler.  0, or -1. */
static int
filler_try(const struct journal_stops *left, size_t border,
    struct frame_filler *filler)
{
	struct journal_stops layout = *left;
	uint32_t i;

	filler->border = border;
	filler->during = *left;
	filler->after = (struct journal_stops){ 1, { 0 } };
	if (journal_stops_add(&layout, border) == -1)
		return (-1);
	for (i = 0; i < left->n; i++) {
		if (left->owed[i] > border &&
		    journal_stops_add(&filler->after, left->owed[i] - border) ==
			-1)
			return (-1);
	}
	for (i = 0; i < filler->after.n; i++) {
		if (journal_stops_add(&filler->during, filler->after.owed[i]) ==
		    -1)
			return (-1);
	}
	return (0);
}

/*
 * Filler that is longer than a chunk is written in two parts.  Who is lost in
 * between leaves places as well, so it is cut where these go together.
 */
static void
filler_plan(const struct frame_writer *w, const struct journal_stops *left,
    size_t len, struct frame_filler *filler)
{
	size_t border = writer_chunk(w);

	if (len <= border) {
		border = len;
		(void)filler_try(left, border, filler);
		return;
	}
	while (filler_try(left, border, filler) == -1 &&
	    border > len / 2 + JOURNAL_FRAME_MIN)
		border -= JOURNAL_FRAME_MIN;
}

int
frame_writer_resume(struct frame_writer *w, const uint8_t mac[6])
{
	static uint8_t bytes[JOURNAL_FRAME_MAX];
	struct frame_slot *slot = &w->slots[w->first];
	struct journal_stops left;
	size_t len;

	if (journal_write_left(w->journal, &left) == -1 || w->count > 0)
		return (-1);
	len = journal_filler(bytes, &left, mac);
	if (len == 0)
		return (0);
	if (len > UINT16_MAX)
		return (-1);
	filler_plan(w, &left, len, &w->filler);
	(void)journal_stops_add(&left, w->filler.border);
	journal_filler(bytes, &left, mac);
	slot->p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
	if (slot->p == NULL)
		return (-1);
	memcpy(slot->p->payload, bytes, len);
	slot->part = (struct frame_part){ slot->p, 0, len };
	slot->head_len = 0;
	slot->len = (uint32_t)len;
	w->bytes += slot->len;
	w->count++;
	w->nqueued++;
	w->fills = 1;
	return (0);
}

/* The i-th slot that waits. */
static const struct frame_slot *
slot_at(const struct frame_writer *w, size_t i)
{
	return (&w->slots[(w->first + i) % FRAME_QUEUE_FRAMES]);
}

/* Bytes that a walk along the queue has passed, and where it is. */
struct writer_walk {
	size_t i;   /* slot, counted from the first */
	size_t end; /* of that slot */
};

/* What is missing of the frame at pos, bytes from the first unwritten on. */
static size_t
writer_owed(const struct frame_writer *w, struct writer_walk *walk, size_t pos)
{
	pos += w->written;
	while (walk->end < pos)
		walk->end += slot_at(w, walk->i++)->len;
	return (walk->end - pos);
}

/*
 * One more place where a write may stop.  Not in a length prefix: there only
 * the very bytes of its rest would do, which no filler has.  Test:
 * no_write_stops_in_a_length_prefix.
 */
static int
writer_stop_add(const struct frame_writer *w, struct writer_walk *walk,
    size_t pos, struct journal_stops *stops)
{
	const size_t owed = writer_owed(w, walk, pos);
	const size_t len = slot_at(w, walk->i - 1)->len;

	if (owed < len && owed > len - FRAME_PREFIX_LEN)
		return (-1);
	return (journal_stops_add(stops, owed));
}

/* How many vectors a frame takes. */
static size_t
slot_niov(const struct frame_slot *slot)
{
	const struct pbuf *q = slot->part.q;
	size_t end = slot->part.off + slot->part.len, n = 1;

	for (; q != NULL && end > 0; q = q->next) {
		n++;
		end -= end < q->len ? end : q->len;
	}
	return (n);
}

/* Bytes that can go at once, by the size of a write and its vectors. */
static size_t
writer_room(const struct frame_writer *w, size_t most)
{
	const struct frame_slot *slot;
	size_t i, bytes = 0, niov = 0;

	for (i = 0; i < w->count && bytes < most + w->written; i++) {
		slot = slot_at(w, i);
		niov += slot_niov(slot);
		if (i > 0 && niov > FRAME_WRITE_IOV)
			break;
		bytes += slot->len;
	}
	bytes -= w->written;
	return (bytes < most ? bytes : most);
}

/*
 * A write that the socket takes whole or not at all, to a place that goes with
 * that before it: where most bytes end, or the last border before it, or, in a
 * frame that has none so near, a little less, which leaves enough of it.
 */
static size_t
writer_step(const struct frame_writer *w, size_t most,
    struct journal_stops *stops)
{
	struct writer_walk walk = { 0 };
	size_t begin;

	if (writer_stop_add(w, &walk, most, stops) == 0)
		return (most);
	begin = walk.end - slot_at(w, walk.i - 1)->len;
	if (begin > w->written)
		most = begin - w->written;
	else
		most -= JOURNAL_FRAME_MIN;
	memset(&walk, 0, sizeof(walk));
	(void)writer_stop_add(w, &walk, most, stops);
	return (most);
}

/*
 * How much goes in one write, and where it may stop.  Filler goes by itself.
 */
static size_t
writer_piece(const struct frame_writer *w, struct journal_stops *stops)
{
	const size_t step = writer_chunk(w);
	const size_t steps = w->chunk > 0 ? JOURNAL_STOPS_WRITE - 1 : 1;
	const size_t owed = w->written > 0 ?
	    w->slots[w->first].len - w->written :
	    0;
	const size_t room = writer_room(w, steps * step);
	struct writer_walk walk = { 0 };
	size_t k, pos, piece = 0;

	stops->n = 1;
	stops->owed[0] = (uint32_t)owed;
	if (w->fills && w->written == 0) {
		*stops = w->filler.during;
		return (w->filler.border);
	}
	if (w->fills) {
		*stops = w->filler.after;
		return (owed);
	}
	/* A socket that stops where none should has left less than a frame. */
	if (owed > 0 && owed < JOURNAL_FRAME_MIN)
		return (owed);
	for (k = 1; k <= steps && piece < room; k++) {
		pos = k * step < room ? k * step : room;
		if (writer_stop_add(w, &walk, pos, stops) == -1)
			break;
		piece = pos;
	}
	if (piece > 0)
		return (piece);
	return (writer_step(w, step < room ? step : room, stops));
}

/* A part of the queue on its way to the socket. */
struct writer_gather {
	struct iovec *iov;
	int n;
	size_t skip; /* bytes that were written before */
	size_t room; /* bytes that may be added still */
};

static void
gather_add(struct writer_gather *g, const void *bytes, size_t len)
{
	size_t n;

	if (g->skip >= len) {
		g->skip -= len;
		return;
	}
	n = len - g->skip < g->room ? len - g->skip : g->room;
	if (n == 0 || g->n == FRAME_WRITE_IOV) {
		g->room = 0;
		return;
	}
	g->iov[g->n].iov_base = (uint8_t *)(uintptr_t)bytes + g->skip;
	g->iov[g->n++].iov_len = n;
	g->skip = 0;
	g->room -= n;
}

static void
gather_part(struct writer_gather *g, const struct frame_part *part)
{
	const struct pbuf *q = part->q;
	size_t off = part->off, left = part->len, n;

	for (; q != NULL && left > 0; q = q->next) {
		n = q->len - off < left ? q->len - off : left;
		gather_add(g, (const uint8_t *)q->payload + off, n);
		left -= n;
		off = 0;
	}
}

/* Fills iov with piece bytes, from the first unwritten one on. */
static void
writer_gather(const struct frame_writer *w, size_t piece,
    struct writer_gather *g)
{
	const struct frame_slot *slot;
	size_t i;

	memset(g, 0, sizeof(*g));
	g->iov = w->iov;
	g->skip = w->written;
	g->room = piece;
	for (i = 0; i < w->count && g->room > 0; i++) {
		slot = slot_at(w, i);
		gather_add(g, slot->head, slot->head_len);
		gather_part(g, &slot->part);
	}
}

static void
writer_advance(struct frame_writer *w, size_t n)
{
	size_t left;

	while (n > 0) {
		left = w->slots[w->first].len - w->written;
		if (n < left) {
			w->written += n;
			return;
		}
		n -= left;
		w->nsent++;
		slot_pop(w);
	}
}

/* A write is over: where the stream stands. */
static void
writer_note(const struct frame_writer *w)
{
	if (w->fills && w->written == 0)
		journal_write_set(w->journal, &w->filler.during);
	else if (w->fills)
		journal_write_set(w->journal, &w->filler.after);
	else
		journal_write_at(w->journal,
		    w->written > 0 ? w->slots[w->first].len - w->written : 0);
}

/* No room, or the kernel is short of memory: an event says when. */
static int
may_wait(int error)
{
	return (error == EAGAIN || error == ENOMEM || error == ENOBUFS);
}

int
frame_writer_flush(struct frame_writer *w, int fd)
{
	struct journal_stops stops;
	struct writer_gather g;
	ssize_t n;

	while (w->count > 0) {
		writer_gather(w, writer_piece(w, &stops), &g);
		journal_write_set(w->journal, &stops);
		n = writev(fd, w->iov, g.n);
		if (n == -1 && errno == EINTR)
			continue;
		if (n > 0)
			writer_advance(w, (size_t)n);
		writer_note(w);
		if (n == -1)
			return (may_wait(errno) ? 0 : -1);
	}
	return (1);
}
