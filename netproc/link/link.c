/*
 * The frame fd on the event loop: one VMM at a time, read in large pieces,
 * written at the end of each turn.
 *
 * Reading never stops for long because writing is stuck (moderate.h): a VMM
 * that does not read gets no new datagrams (dropped at the queue's bound) and
 * no new TCP data (the pump waits for room), but its own frames are still
 * taken.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/journal.h"
#include "netproc/flow/end.h"
#include "netproc/flow/turn.h"
#include "netproc/gateway/gateway.h"
#include "netproc/link/chunk.h"
#include "netproc/link/link.h"
#include "netproc/link/moderate.h"
#include "netproc/netproc.h"

int
link_init(struct netproc *np)
{
	np->frame_fd = -1;
	frame_reader_init(&np->reader, np->journal);
	if (frame_writer_init(&np->writer, np->journal, chunk_probe()) == -1)
		return (-1);
	memcpy(np->shield.gateway_mac, np->cfg.gateway_mac, 6);
	np->shield.guest_ip = np->guest_ip;
	np->shield.gateway_ip = np->gateway_ip;
	if (np->cfg.prefix_len < 31)
		np->shield.broadcast_ip = np->guest_ip |
		    (0xffffffffu >> np->cfg.prefix_len);
	np->shield.mtu = np->cfg.mtu;
	if (np->cfg.gateway6.family == 6) {
		np->shield.ip6_enabled = 1;
		memcpy(np->shield.prefix6, np->cfg.address6.bytes, 16);
		np->shield.prefix_len6 = np->cfg.prefix_len6;
		memcpy(np->shield.gateway_ip6, np->cfg.gateway6.bytes, 16);
		ra_link_local(np->cfg.gateway_mac, np->shield.gateway_ll6);
	}
	if (fragment_pool_init(&np->fragments) == -1 || moderate_init(np) == -1)
		return (-1);
	return (netif_setup(np));
}

/* One read, then every whole frame of it. */
static void
on_frame_readable(evutil_socket_t fd, short what, void *arg)
{
	struct netproc *np = arg;
	enum frame_next next;
	size_t len = 0, acks = 0;
	uint8_t *frame;
	ssize_t n;

	(void)what;
	netproc_wake(np);
	n = frame_reader_fill(&np->reader, fd);
	/* Short of memory for the moment, the kernel makes an event again. */
	if (n == -1 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS))
		return;
	if (n <= 0) {
		link_detach(np, n == 0 ? FRAME_GONE_EOF : FRAME_GONE_ERROR,
		    n == 0 ? 0 : (uint32_t)errno);
		return;
	}
	while ((next = frame_reader_next(&np->reader, &frame, &len)) ==
	    FRAME_NEXT_FRAME) {
		COUNT(np, FRAMES_IN);
		if (len <= MODERATE_ACK_MAX)
			acks += FRAME_PREFIX_LEN + len;
		link_input(np, frame, len);
	}
	moderate_read(np, (size_t)n, acks);
	/* Segments lie where they were read: pass them on before they go. */
	coalesce_flush(np);
	turn_flush(np);
	datagram_flush(np);
	if (next == FRAME_NEXT_BAD)
		link_detach(np, FRAME_GONE_BAD_LENGTH, (uint32_t)len);
}

static void
on_frame_writable(evutil_socket_t fd, short what, void *arg)
{
	struct netproc *np = arg;

	(void)fd;
	(void)what;
	netproc_wake(np);
	moderate_end(np);
	link_flush(np);
	if (link_has_bulk_room(np))
		turn_link_drained(np);
}

/* The guest that a predecessor knew, where its streams stand. */
static int
link_resume(struct netproc *np)
{
	const struct journal_guest *guest = &np->journal->guest;
	const struct ipc_addr addr6 = guest->addr6;

	np->leased = guest->leased == 1;
	if (guest->has_addr6 == 1 && np->cfg.gateway6.family == 6 &&
	    addr_is_valid(&addr6) &&
	    addr_in_prefix(&addr6, &np->cfg.address6, np->cfg.prefix_len6)) {
		np->guest6 = addr6;
		np->guest6_seen = 1;
	}
	if (frame_reader_resume(&np->reader) == -1 ||
	    frame_writer_resume(&np->writer, np->cfg.gateway_mac) == -1)
		return (-1);
	orphans_start(np);
	return (0);
}

int
link_attach(struct netproc *np, int fd, const struct ipc_frame *frame)
{
	if (np->frame_fd != -1) {
		close(fd);
		errno = EBUSY;
		return (-1);
	}
	np->ev_frame_read = event_new(np->base, fd, EV_READ | EV_PERSIST,
	    on_frame_readable, np);
	np->ev_frame_write = event_new(np->base, fd, EV_WRITE,
	    on_frame_writable, np);
	if (np->ev_frame_read == NULL || np->ev_frame_write == NULL ||
	    event_add(np->ev_frame_read, NULL) == -1) {
		close(fd);
		errno = ENOMEM;
		return (-1);
	}
	np->frame_fd = fd;
	memcpy(np->shield.guest_mac, np->cfg.guest_mac, 6);
	np->shield.guest_mac_known = !np->cfg.guest_mac_auto;
	if (np->cfg.guest_mac_auto && frame->guest_mac_known) {
		memcpy(np->shield.guest_mac, frame->guest_mac, 6);
		np->shield.guest_mac_known = 1;
	}
	np->leased = 0;
	np->told = 0;
	np->guest6_seen = 0;
	np->guest_mtu = 0;
	np->guest6 = np->cfg.address6;
	np->ip6_offered = 0;
	frame_reader_reset(&np->reader);
	if (!frame->resumed) {
		orphans_forget(np);
		journal_reset(np->journal);
	} else if (link_resume(np) == -1) {
		link_detach(np, FRAME_GONE_JOURNAL, 0);
		return (0);
	}
	netif_announce(np);
	gateway_announce6(np);
	return (0);
}

void
link_detach(struct netproc *np, enum frame_gone_reason reason, uint32_t detail)
{
	struct ipc_frame_gone gone = {
		.reason = reason,
		.detail = detail,
	};

	if (np->frame_fd == -1)
		return;
	moderate_forget(np);
	event_free(np->ev_frame_read);
	event_free(np->ev_frame_write);
	np->ev_frame_read = NULL;
	np->ev_frame_write = NULL;
	close(np->frame_fd);
	np->frame_fd = -1;
	end_forget_all(np);
	datagram_forget_all(np);
	dns_table_forget(&np->dns);
	fragment_forget(&np->fragments);
	frame_reader_reset(&np->reader);
	frame_writer_reset(&np->writer);
	orphans_forget(np);
	journal_reset(np->journal);
	np->writer.nsent = np->writer.nqueued;
	blocks_reap(&np->blocks, np->writer.nsent);
	netproc_say_parent(np, IPC_FRAME_GONE, &gone, sizeof(gone));
}

void
link_flush(struct netproc *np)
{
	if (np->frame_fd == -1 || np->writer.count == 0)
		return;
	switch (frame_writer_flush(&np->writer, np->frame_fd)) {
	case 0:
		event_add(np->ev_frame_write, NULL);
		break;
	case -1:
		link_detach(np, FRAME_GONE_ERROR, (uint32_t)errno);
		return;
	default:
		break;
	}
	blocks_reap(&np->blocks, np->writer.nsent);
}
