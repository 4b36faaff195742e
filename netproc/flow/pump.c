#include <sys/uio.h>

#include <errno.h>
#include <unistd.h>

#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ack.h"
#include "netproc/flow/dns_flow.h"
#include "netproc/flow/pump.h"
#include "netproc/flow/turn.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

/*
 * One flow reads so much before the others have their turn: a third of a
 * millisecond.  Half of it costs 8 % more CPU, for the calls and for the
 * acknowledgment that each read(2) makes the host's TCP send.
 */
#define PUMP_BURST (1024 * 1024)

/*
 * The guest's window: the least, bytes, and shares of the pool that it may
 * have.  It doubles whenever so much has gone through it in WINDOW_GROW_MS:
 * more than passes in the link's delay stands in the guest's own queues, and
 * the windows of many flows together would overrun them.  The delay may be
 * longer than that, so few flows (idle ones do not count) double theirs
 * anyway, to WINDOW_SLOW_BYTES together if all are as large.
 */
#define WINDOW_MIN	     BLOCK_SIZE
#define WINDOW_FIRST_DIVISOR 128
#define WINDOW_DIVISOR	     8
#define WINDOW_MAX	     TCP_WND
#define WINDOW_GROW_MS	     32
#define WINDOW_SLOW_BYTES    (8 * 1024 * 1024)

/* How often a guest is asked whether its window is open again. */
#define PROBE_MIN_MS 250
#define PROBE_MAX_MS 60000

/* Blocks of one readv(2), where there is more than a little. */
#define DOWN_BLOCKS 32

/* iovecs of what waited and of the turn, in one writev(2). */
#define UP_IOV (2 * FLOW_IOV_MAX)

/* Copies the turn's pieces: they must not stay where they are. */
static void
turn_hold(struct flow *flow)
{
	struct netproc *np = flow->np;
	int i;

	for (i = 0; i < flow->nturn; i++) {
		if (block_queue_append(&np->blocks, &flow->up,
			flow->turn[i].iov_base, flow->turn[i].iov_len) == -1)
			flow->broken = ENOBUFS;
	}
	flow->nturn = 0;
}

void
pump_up_add(struct flow *flow, const struct pbuf *p)
{
	const struct pbuf *q;
	int kept = 0;

	flow->used_ms = flow->np->now_ms;
	for (q = p; q != NULL; q = q->next) {
		if (q->len == 0)
			continue;
		if (flow->dns != NULL) {
			dns_flow_asked(flow, q->payload, q->len);
			continue;
		}
		if (flow->nturn == FLOW_IOV_MAX)
			pump_up_flush(flow);
		flow->turn[flow->nturn].iov_base = q->payload;
		flow->turn[flow->nturn].iov_len = q->len;
		flow->nturn++;
		/* Out of order once: lwIP's own memory, gone on return. */
		if ((q->flags & PBUF_FLAG_IS_CUSTOM) == 0)
			kept = 1;
	}
	if (kept)
		turn_hold(flow);
}

/*
 * The guest's windows are promises to hold what its servers do not take.  As
 * the first half of the pool fills each flow is promised less; the other half
 * is for a thousand flows that were promised the least.  Test: "1,000 servers
 * that do not read cost no more than the budget".
 */
static uint32_t
window_share(const struct flow *flow, size_t divisor)
{
	const size_t free_bytes = blocks_free_bytes(&flow->np->blocks);
	size_t share = 0, least = WINDOW_MIN;

	/*
	 * A guest stops where its segment does not fit, and is told of its
	 * window when half of that is open: this must take one.
	 */
	if (least < 2 * (size_t)flow->guest_mss)
		least = 2 * (size_t)flow->guest_mss;
	if (free_bytes > BLOCK_POOL_BYTES / 2)
		share = (free_bytes - BLOCK_POOL_BYTES / 2) / divisor;
	if (share < least)
		share = least;
	return ((uint32_t)(share < WINDOW_MAX ? share : WINDOW_MAX));
}

uint32_t
pump_window_first(const struct flow *flow)
{
	const uint32_t share = window_share(flow, WINDOW_FIRST_DIVISOR);

	/* What the SYN has announced cannot be taken back. */
	return (share > UINT16_MAX ? share : UINT16_MAX);
}

/*
 * The guest is told of its window when half of it is open again (RFC 9293
 * 3.8.6.2.2), with the turn's acknowledgment.  lwIP would wait for a segment's
 * length, and ours are longer than the guest's: what is left of a small window
 * could then be too short for the guest to send, and nobody would go on.
 */
static void
window_tell(struct flow *flow, u32_t opened)
{
	struct tcp_pcb *pcb = flow->pcb;
	const u32_t told = pcb->rcv_ann_right_edge - pcb->rcv_nxt;

	if (opened < TCP_WND_UPDATE_THRESHOLD) {
		if (told >= flow->window / 2 || pcb->rcv_wnd < flow->window / 2)
			return;
		pcb->rcv_ann_wnd = pcb->rcv_wnd;
	}
	tcp_set_flags(pcb, TF_ACK_DELAY);
	flow->ack_owed = 1;
}

/* n bytes go through it.  1 if the guest could use a larger one. */
static int
window_pass(struct flow *flow, size_t n)
{
	const struct netproc *np = flow->np;

	if (flow->window_used == 0)
		flow->window_since_ms = np->now_ms;
	flow->window_used += (uint32_t)n;
	if (flow->window_used < flow->window)
		return (0);
	flow->window_used = 0;
	return (np->now_ms - flow->window_since_ms <= WINDOW_GROW_MS ||
	    2 * (uint64_t)flow->window * np->flows.nawake <= WINDOW_SLOW_BYTES);
}

/* n bytes have passed; returns by how much the window opens for them. */
static size_t
window_fit(struct flow *flow, size_t n)
{
	const uint32_t share = window_share(flow, WINDOW_DIVISOR);
	uint32_t less;

	if (window_pass(flow, n) && flow->window <= share / 2) {
		n += flow->window;
		flow->window *= 2;
	} else if (flow->window > share) {
		less = flow->window - share;
		if (less > n)
			less = (uint32_t)n;
		n -= less;
		flow->window -= less;
	}
	return (n);
}

void
pump_window_open(struct flow *flow, size_t n)
{
	struct tcp_pcb *pcb = flow->pcb;

	if (pcb == NULL)
		return;
	if ((pcb->flags & TF_WND_SCALE) != 0)
		n = window_fit(flow, n);
	/* tcp_recved(), but for the acknowledgment: that is ack_turn()'s. */
	if (n > TCP_WND_MAX(pcb) - pcb->rcv_wnd)
		n = TCP_WND_MAX(pcb) - pcb->rcv_wnd;
	pcb->rcv_wnd += (tcpwnd_size_t)n;
	window_tell(flow, tcp_update_rcv_ann_wnd(pcb));
}

/* Takes n written bytes off what waited, then off the turn's pieces. */
static void
up_advance(struct flow *flow, size_t n)
{
	struct netproc *np = flow->np;
	size_t held = flow->up.bytes < n ? flow->up.bytes : n;
	int i, done = 0;

	block_queue_drop(&np->blocks, &flow->up, held, 0, 0);
	n -= held;
	for (i = 0; i < flow->nturn; i++) {
		if (n < flow->turn[i].iov_len)
			break;
		n -= flow->turn[i].iov_len;
		done++;
	}
	for (i = done; i < flow->nturn; i++)
		flow->turn[i - done] = flow->turn[i];
	flow->nturn -= done;
	if (flow->nturn > 0) {
		flow->turn[0].iov_base = (uint8_t *)flow->turn[0].iov_base + n;
		flow->turn[0].iov_len -= n;
	}
}

void
pump_ask_room(struct flow *flow)
{
	if (!flow->watched)
		return;
	event_del(&flow->ev);
	flow->watched = event_add(&flow->ev, NULL) == 0;
	if (!flow->watched)
		flow->broken = ENOMEM;
}

void
pump_up_flush(struct flow *flow)
{
	struct iovec iov[UP_IOV];
	int i, niov, wrote = 0;
	ssize_t n;

	while (flow->writable && flow->broken == 0 &&
	    (flow->up.bytes > 0 || flow->nturn > 0)) {
		niov = block_queue_peek(&flow->up, 0, iov, FLOW_IOV_MAX);
		if (niov < FLOW_IOV_MAX) {
			for (i = 0; i < flow->nturn; i++)
				iov[niov++] = flow->turn[i];
		}
		n = writev(flow->fd, iov, niov);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			flow->writable = 0;
			break;
		}
		if (n == -1) {
			flow->broken = errno;
			/* What the host has said before it is still there. */
			flow->readable = 1;
			break;
		}
		wrote = 1;
		flow->since_room += (size_t)n;
		up_advance(flow, (size_t)n);
		flow->used_ms = flow->np->now_ms;
		pump_window_open(flow, (size_t)n);
	}
	if (flow->nturn > 0)
		turn_hold(flow);
	/* Where it matters soon, for what comes next. */
	if (wrote && flow->writable && blocks_are_few(&flow->np->blocks))
		pump_ask_room(flow);
}

/*
 * How much of the guest's window is open and has no bytes yet.  More is not
 * read: what a guest does not take must not fill the pool.  Little of it is
 * not used while there is more under way (RFC 9293 3.8.6.2.1).
 */
static size_t
down_window(const struct flow *flow)
{
	const struct tcp_pcb *pcb = flow->pcb;
	const size_t waiting = flow->down.bytes - flow->down_written;
	const u32_t open = pcb->lastack + pcb->snd_wnd - pcb->snd_lbb;
	size_t n;

	if (open > pcb->snd_wnd || open <= waiting)
		return (0); /* it shrank, or is full */
	n = open - waiting;
	if (flow->down.bytes > 0 && n < flow->guest_mss &&
	    n < pcb->snd_wnd_max / 2)
		return (0);
	return (n);
}

/* Most bytes to read now: what the pool, lwIP, link and guest have room for. */
static size_t
down_room(const struct flow *flow)
{
	const struct netproc *np = flow->np;
	size_t share = blocks_share(&np->blocks), window = down_window(flow);

	if (!link_has_bulk_room(np) || flow->down.bytes >= share)
		return (0);
	share -= flow->down.bytes;
	if (share > window)
		share = window;
	return (share < flow->pcb->snd_buf ? share : flow->pcb->snd_buf);
}

/* Hands read bytes to lwIP; what it refuses waits for an acknowledgment. */
static void
down_write(struct flow *flow)
{
	struct iovec iov;
	size_t len, left;
	u8_t flags;

	while ((left = flow->down.bytes - flow->down_written) > 0) {
		if (block_queue_peek(&flow->down, flow->down_written, &iov,
			1) == 0)
			return;
		len = iov.iov_len < UINT16_MAX ? iov.iov_len : UINT16_MAX;
		flags = len < left ? TCP_WRITE_FLAG_MORE : 0;
		if (tcp_write(flow->pcb, iov.iov_base, (u16_t)len, flags) !=
		    ERR_OK)
			return;
		flow->down_written += len;
	}
}

/* The first n bytes of iov were read from the resolver. */
static void
down_answered(struct flow *flow, const struct iovec *iov, size_t n)
{
	size_t len;

	for (; n > 0; n -= len, iov++) {
		len = n < iov->iov_len ? n : iov->iov_len;
		dns_flow_answered(flow, iov->iov_base, len);
	}
}

/*
 * What a read of no bytes means, n as it returned.  A lent socket says the
 * end itself; of a spliced flow relayproc does, and a stream that ends without
 * a word has lost its other end.
 */
static void
down_end(struct flow *flow, ssize_t n)
{
	if (n == -1 && errno != EAGAIN)
		flow->broken = errno;
	else if (n == 0 && flow->spliced)
		flow->broken = ECONNRESET;
	else if (n == 0 || flow->ended == FLOW_END_FIN)
		flow->host_fin = 1;
	else if (flow->ended == FLOW_END_RESET)
		flow->broken = ECONNRESET;
}

/*
 * One readv(2).  Bytes read, 0 when there is no more to read for now.
 *
 * A short read means drained.  A reset that came together with the last bytes
 * makes no event of its own, so it is read once more soon: not at once, which
 * would cost each short message a call.
 */
static size_t
down_read(struct flow *flow, size_t max, int most_blocks)
{
	struct netproc *np = flow->np;
	struct iovec iov[DOWN_BLOCKS];
	size_t room = 0;
	ssize_t n;
	int i, niov;

	niov = block_queue_room(&np->blocks, &flow->down, iov, most_blocks,
	    max);
	if (niov == 0)
		return (0);
	for (i = 0; i < niov; i++)
		room += iov[i].iov_len;
	do {
		n = readv(flow->fd, iov, niov);
	} while (n == -1 && errno == EINTR);
	if (flow->dns != NULL && n > 0)
		down_answered(flow, iov, (size_t)n);
	block_queue_filled(&np->blocks, &flow->down, n > 0 ? (size_t)n : 0);
	if (n <= 0)
		down_end(flow, n);
	if (n == -1)
		flow->hung_up = 0; /* nothing there yet: an edge will come */
	/* Unless the end is in sight and must be read out. */
	if (n <= 0 || ((size_t)n < room && !flow->hung_up))
		flow->readable = 0;
	if (n <= 0) {
		turn_look_end(flow);
	} else {
		turn_look_soon(flow);
		flow->used_ms = np->now_ms;
	}
	return (n > 0 ? (size_t)n : 0);
}

/*
 * A window that shrank below the head of what is unsent, with nothing in
 * flight before it, would wait for a timeout: send what fits.  Of the head a
 * part may be acknowledged, if it is sent again.
 */
static void
down_unstall(struct tcp_pcb *pcb)
{
	const struct tcp_seg *seg = pcb->unsent;
	const u32_t window = LWIP_MIN(pcb->snd_wnd, pcb->cwnd);
	u32_t acked;

	if (seg == NULL || window == 0)
		return;
	acked = pcb->lastack - lwip_ntohl(seg->tcphdr->seqno);
	if (acked >= seg->len || seg->len - acked <= window)
		return;
	if (tcp_split_unsent_seg(pcb, (u16_t)(acked + window)) == ERR_OK)
		tcp_output(pcb);
}

/*
 * No slow start: the link itself loses nothing, so that the threshold, which
 * is the send buffer at first, is where to begin.  But a guest's card may be
 * overrun (e1000 takes 256 frames, rtl8139 64): lwIP halves the threshold with
 * each loss, and what a card has lost does not come again all at once.
 */
static void
down_open_wide(struct tcp_pcb *pcb)
{
	if (pcb->cwnd < pcb->ssthresh)
		pcb->cwnd = pcb->ssthresh;
}

void
pump_down(struct flow *flow)
{
	struct netproc *np = flow->np;
	size_t got, room, budget = PUMP_BURST;
	int most_blocks = flow->is_bulk ? DOWN_BLOCKS : 1;

	while (flow->readable && !flow->host_fin) {
		room = down_room(flow);
		flow->starved = room == 0;
		if (room == 0 || budget == 0)
			break;
		got = down_read(flow, room < budget ? room : budget,
		    most_blocks);
		budget -= got;
		most_blocks = DOWN_BLOCKS;
		if (got == 0)
			break;
	}
	if (budget < PUMP_BURST) /* else there was no room */
		flow->is_bulk = budget < PUMP_BURST / 2;
	if (flow->readable && budget == 0 && !flow->is_again) {
		TAILQ_INSERT_TAIL(&np->again, flow, again);
		flow->is_again = 1;
	}
	if (flow->dns != NULL && !flow->fin_sent)
		dns_flow_insert(flow);
	down_write(flow);
	down_open_wide(flow->pcb);
	/* What the link has refused keeps its place among those who wait. */
	if (tcp_output(flow->pcb) == ERR_OK && budget < PUMP_BURST)
		flow_served(&np->flows, flow);
	down_unstall(flow->pcb);
}

void
pump_ask_window(struct flow *flow)
{
	struct netproc *np = flow->np;

	if (flow->down.bytes > 0 || down_window(flow) > 0) {
		flow->probe_gap_ms = 0;
		return;
	}
	if (flow->probe_gap_ms == 0) {
		flow->probe_gap_ms = PROBE_MIN_MS;
	} else if (flow->probe_ms > np->now_ms) {
		return;
	} else {
		ack_ask(flow);
		if (flow->probe_gap_ms < PROBE_MAX_MS)
			flow->probe_gap_ms *= 2;
	}
	flow->probe_ms = np->now_ms + flow->probe_gap_ms;
}

int
pump_is_full(const struct flow *flow)
{
	return (flow->starved || (flow->pcb != NULL && down_room(flow) == 0));
}

/*
 * A reset is the guest's business at once, though bytes before it are unread:
 * they may be more than the flow's share.  An empty write(2) reports it
 * (the kernel looks for errors first) and does nothing else.  After SHUT_WR it
 * always fails, but with EPIPE where there was no reset.  Then the bytes are
 * read first, unless it is the guest who does not take them.
 */
void
pump_probe(struct flow *flow)
{
	if (flow->shut_wr && (flow->pcb == NULL || down_window(flow) > 0))
		return;
	if (write(flow->fd, "", 0) == -1 && errno != EAGAIN && errno != EINTR &&
	    !(flow->shut_wr && errno == EPIPE))
		flow->broken = errno;
}

void
pump_down_release(struct flow *flow)
{
	struct netproc *np = flow->np;
	const struct tcp_pcb *pcb = flow->pcb;
	u32_t seq = pcb->snd_lbb, head;
	size_t n;

	/*
	 * Not the acknowledged bytes but the segments that lwIP still holds
	 * decide: a guest may acknowledge half a segment, which is sent again
	 * whole.
	 */
	if (pcb->unacked != NULL)
		seq = lwip_ntohl(pcb->unacked->tcphdr->seqno);
	if (pcb->unsent != NULL) {
		head = lwip_ntohl(pcb->unsent->tcphdr->seqno);
		if (TCP_SEQ_LT(head, seq))
			seq = head;
	}
	n = seq - flow->down_seq;
	if (n > flow->down_written)
		n = flow->down_written; /* our FIN counts for one */
	if (n == 0)
		return;
	block_queue_drop(&np->blocks, &flow->down, n, np->writer.nqueued,
	    np->writer.nsent);
	flow->down_written -= n;
	flow->down_seq += (uint32_t)n;
	flow->used_ms = np->now_ms;
}
