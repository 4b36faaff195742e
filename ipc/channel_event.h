#ifndef IPC_CHANNEL_EVENT_H
#define IPC_CHANNEL_EVENT_H

#include "ipc/channel.h"

struct event;
struct event_base;

/*
 * A channel on a libevent loop.  dispatch is called for each message that
 * passed the check and returns IPC_OK, or the error of a message that was
 * well formed but wrong (IPC_E_FIELD, IPC_E_STATE, IPC_E_QUOTA).  lost is
 * called once when the peer is gone (CHANNEL_CLOSED, CHANNEL_ERROR) or broke
 * the protocol (CHANNEL_VIOLATION; ch->error says how); reading has stopped.
 */
typedef enum ipc_error channel_dispatch(struct channel *ch, struct ipc_msg *msg,
    void *arg);
typedef void channel_lost(struct channel *ch, enum channel_result why,
    void *arg);

struct channel_event {
	struct channel *ch;
	struct event *ev_read, *ev_write;
	channel_dispatch *dispatch;
	channel_lost *lost;
	void *arg;
};

/* Most messages taken from one channel before the loop turns. */
#define CHANNEL_BATCH 64

/* 0, or -1 with errno ENOMEM.  ce, ch and arg are borrowed. */
int channel_event_start(struct channel_event *ce, struct event_base *base,
    struct channel *ch, channel_dispatch *dispatch, channel_lost *lost,
    void *arg);

/* Waits for writability if records wait in the ring; call after sending. */
void channel_event_kick(struct channel_event *ce);

/* Back-pressure: stops and resumes reading from the peer. */
void channel_event_pause(struct channel_event *ce);
void channel_event_resume(struct channel_event *ce);

void channel_event_stop(struct channel_event *ce);

#endif
