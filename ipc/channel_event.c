#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "ipc/channel_event.h"

static void
lose(struct channel_event *ce, enum channel_result why)
{
	event_del(ce->ev_read);
	event_del(ce->ev_write);
	ce->lost(ce->ch, why, ce->arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct channel_event *ce = arg;
	struct channel *ch = ce->ch;
	enum channel_result result;
	struct ipc_msg msg;
	int i;

	(void)fd;
	(void)what;
	for (i = 0; i < CHANNEL_BATCH; i++) {
		result = channel_recv(ch, &msg);
		if (result == CHANNEL_EMPTY)
			return;
		if (result != CHANNEL_MESSAGE) {
			lose(ce, result);
			return;
		}
		ch->error = ce->dispatch(ch, &msg, ce->arg);
		ch->error_type = msg.hdr.type;
		channel_msg_done(&msg);
		if (ch->error != IPC_OK) {
			lose(ce, CHANNEL_VIOLATION);
			return;
		}
		/* The handler may have paused, stopped or closed us. */
		if (ce->ev_read == NULL ||
		    !event_pending(ce->ev_read, EV_READ, NULL))
			return;
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct channel_event *ce = arg;

	(void)fd;
	(void)what;
	switch (channel_flush(ce->ch)) {
	case 1:
		event_del(ce->ev_write);
		break;
	case -1:
		lose(ce, CHANNEL_ERROR);
		break;
	default:
		break;
	}
}

int
channel_event_start(struct channel_event *ce, struct event_base *base,
    struct channel *ch, channel_dispatch *dispatch, channel_lost *lost,
    void *arg)
{
	memset(ce, 0, sizeof(*ce));
	ce->ch = ch;
	ce->dispatch = dispatch;
	ce->lost = lost;
	ce->arg = arg;
	ce->ev_read = event_new(base, ch->fd, EV_READ | EV_PERSIST, on_readable,
	    ce);
	ce->ev_write = event_new(base, ch->fd, EV_WRITE | EV_PERSIST,
	    on_writable, ce);
	if (ce->ev_read == NULL || ce->ev_write == NULL ||
	    event_add(ce->ev_read, NULL) == -1) {
		channel_event_stop(ce);
		errno = ENOMEM;
		return (-1);
	}
	return (0);
}

void
channel_event_kick(struct channel_event *ce)
{
	if (ce->ev_write != NULL && ce->ch->count > 0)
		event_add(ce->ev_write, NULL);
}

void
channel_event_pause(struct channel_event *ce)
{
	event_del(ce->ev_read);
}

void
channel_event_resume(struct channel_event *ce)
{
	event_add(ce->ev_read, NULL);
}

void
channel_event_stop(struct channel_event *ce)
{
	if (ce->ev_read != NULL)
		event_free(ce->ev_read);
	if (ce->ev_write != NULL)
		event_free(ce->ev_write);
	ce->ev_read = NULL;
	ce->ev_write = NULL;
}
