#include <errno.h>

#include <event2/event.h>

#include "netproc/link/link.h"
#include "netproc/link/moderate.h"
#include "netproc/netproc.h"

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct netproc *np = arg;

	(void)fd;
	(void)what;
	netproc_wake(np);
	moderate_end(np);
}

int
moderate_init(struct netproc *np)
{
	np->moderation.due = event_new(np->base, -1, 0, on_due, np);
	return (np->moderation.due == NULL ? -1 : 0);
}

void
moderate_read(struct netproc *np, size_t n, size_t acks)
{
	np->moderation.was_read = 1;
	if (n >= MODERATE_READ || n >= acks + MODERATE_DATA)
		np->moderation.from_ms = np->now_ms + MODERATE_NOT_MS;
}

void
moderate_begin(struct netproc *np)
{
	static const struct timeval due = { .tv_usec = MODERATE_MS * 1000 };
	/* Only after a read: a guest that is silent wakes nobody. */
	const int was_read = np->moderation.was_read;

	np->moderation.was_read = 0;
	if (!was_read || np->frame_fd == -1 || link_has_bulk_room(np) ||
	    np->now_ms < np->moderation.from_ms ||
	    event_add(np->moderation.due, &due) == -1)
		return;
	np->moderation.stopped = event_del(np->ev_frame_read) == 0;
}

void
moderate_end(struct netproc *np)
{
	if (!np->moderation.stopped)
		return;
	moderate_forget(np);
	if (event_add(np->ev_frame_read, NULL) == -1)
		link_detach(np, FRAME_GONE_ERROR, ENOMEM);
}

void
moderate_forget(struct netproc *np)
{
	np->moderation.stopped = 0;
	event_del(np->moderation.due);
}
