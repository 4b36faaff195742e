/*
 * The calls of libevent that netproc makes, on a real epoll and with time that
 * an input passes: nothing here waits, and a run can be repeated.
 *
 * File-scope state: the one base, and the timers under way.
 */

#include <sys/epoll.h>

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "ipc/child_base.h"
#include "ipc/clock.h"
#include "tests/fuzz/whole.h"

#define FDS_MAX	   512
#define TIMERS_MAX 16
#define BATCH	   32

struct event_base {
	int fd;
	struct event *events[FDS_MAX][2];
};

static struct event_base loop;
static struct event *timers[TIMERS_MAX];
unsigned int whole_nevents;

uint64_t
clock_now_ms(void)
{
	return (whole.now_ms);
}

uint64_t
clock_now_ns(void)
{
	return (whole.now_ms * 1000000u);
}

/* An input's time passes evenly; ipc/clock.c has a test of its own. */
void
clock_due(uint64_t ms)
{
	(void)ms;
}

uint64_t
clock_without_stops(uint64_t raw_ms)
{
	return (raw_ms);
}

struct event_base *
child_base_new(void)
{
	loop.fd = epoll_create1(EPOLL_CLOEXEC);
	FUZZ_CHECK(loop.fd != -1);
	return (&loop);
}

int
event_assign(struct event *ev, struct event_base *base, evutil_socket_t fd,
    short events, event_callback_fn callback, void *arg)
{
	memset(ev, 0, sizeof(*ev));
	ev->ev_base = base;
	ev->ev_fd = fd;
	ev->ev_events = events;
	ev->ev_evcallback.evcb_cb_union.evcb_callback = callback;
	ev->ev_evcallback.evcb_arg = arg;
	return (0);
}

struct event *
event_new(struct event_base *base, evutil_socket_t fd, short events,
    event_callback_fn callback, void *arg)
{
	struct event *ev;
	const int starving = whole_starving;

	whole_starving = 0; /* as at start, where a lack of memory ends it */
	ev = malloc(sizeof(*ev));
	whole_starving = starving;
	FUZZ_CHECK(ev != NULL);
	event_assign(ev, base, fd, events, callback, arg);
	return (ev);
}

static uint32_t
epoll_events(short events)
{
	uint32_t mask = 0;

	if ((events & EV_READ) != 0)
		mask |= EPOLLIN;
	if ((events & EV_WRITE) != 0)
		mask |= EPOLLOUT;
	if ((events & EV_CLOSED) != 0)
		mask |= EPOLLRDHUP;
	if ((events & EV_ET) != 0)
		mask |= EPOLLET;
	return (mask);
}

/* Tells the kernel what is waited for at fd now. */
static void
watch(int fd, int op)
{
	struct event *const *ev = loop.events[fd];
	struct epoll_event ee = { .data = { .fd = fd } };
	int i;

	for (i = 0; i < 2; i++) {
		if (ev[i] != NULL)
			ee.events |= epoll_events(ev[i]->ev_events);
	}
	FUZZ_CHECK(epoll_ctl(loop.fd, op, fd, &ee) == 0);
}

static int
is_added(const struct event *ev)
{
	return ((ev->ev_evcallback.evcb_flags & EVLIST_INSERTED) != 0);
}

static void
timer_add(struct event *ev, const struct timeval *tv)
{
	const uint64_t ms = whole.now_ms + (uint64_t)tv->tv_sec * 1000 +
	    (uint64_t)tv->tv_usec / 1000;
	size_t i;

	ev->ev_timeout.tv_sec = (time_t)(ms / 1000);
	ev->ev_timeout.tv_usec = (suseconds_t)(ms % 1000);
	for (i = 0; i < TIMERS_MAX; i++) {
		if (timers[i] == ev || timers[i] == NULL)
			break;
	}
	FUZZ_CHECK(i < TIMERS_MAX);
	timers[i] = ev;
}

int
event_add(struct event *ev, const struct timeval *tv)
{
	const int fd = ev->ev_fd;
	struct event **at;

	if (tv != NULL)
		timer_add(ev, tv);
	if (fd == -1 || is_added(ev))
		return (0);
	FUZZ_CHECK(fd < FDS_MAX);
	at = loop.events[fd];
	FUZZ_CHECK(at[0] == NULL || at[1] == NULL);
	at[at[0] == NULL ? 0 : 1] = ev;
	ev->ev_evcallback.evcb_flags |= EVLIST_INSERTED;
	watch(fd,
	    at[0] != NULL && at[1] != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD);
	return (0);
}

int
event_del(struct event *ev)
{
	struct event **at;
	size_t i;

	for (i = 0; i < TIMERS_MAX; i++) {
		if (timers[i] == ev)
			timers[i] = NULL;
	}
	if (!is_added(ev))
		return (0);
	at = loop.events[ev->ev_fd];
	at[at[0] == ev ? 0 : 1] = NULL;
	ev->ev_evcallback.evcb_flags &= (short)~EVLIST_INSERTED;
	watch(ev->ev_fd,
	    at[0] != NULL || at[1] != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_DEL);
	return (0);
}

void
event_free(struct event *ev)
{
	event_del(ev);
	free(ev);
}

int
event_pending(const struct event *ev, short events, struct timeval *tv)
{
	(void)events;
	(void)tv;
	return (is_added(ev));
}

static void
call(struct event *ev, short what)
{
	if ((ev->ev_events & EV_PERSIST) == 0)
		event_del(ev);
	whole_nevents++;
	ev->ev_evcallback.evcb_cb_union.evcb_callback(ev->ev_fd, what,
	    ev->ev_evcallback.evcb_arg);
}

/* As libevent's epoll.c reads it. */
static short
what_of(uint32_t mask)
{
	short what = 0;

	if ((mask & EPOLLERR) != 0 ||
	    ((mask & EPOLLHUP) != 0 && (mask & EPOLLRDHUP) == 0))
		return (EV_READ | EV_WRITE);
	if ((mask & EPOLLIN) != 0)
		what |= EV_READ;
	if ((mask & EPOLLOUT) != 0)
		what |= EV_WRITE;
	if ((mask & EPOLLRDHUP) != 0)
		what |= EV_CLOSED;
	return (what);
}

int
event_base_loop(struct event_base *base, int flags)
{
	struct epoll_event ee[BATCH];
	struct event *ev;
	int i, j, n;
	short what;

	(void)flags;
	n = epoll_wait(base->fd, ee, BATCH, 0);
	FUZZ_CHECK(n >= 0);
	for (i = 0; i < n; i++) {
		for (j = 0; j < 2; j++) {
			/* A callback before may have taken it away. */
			ev = base->events[ee[i].data.fd][j];
			if (ev == NULL)
				continue;
			what = (short)(what_of(ee[i].events) & ev->ev_events);
			if (what != 0)
				call(ev, what);
		}
	}
	return (0);
}

static uint64_t
due_of(const struct event *ev)
{
	return ((uint64_t)ev->ev_timeout.tv_sec * 1000 +
	    (uint64_t)ev->ev_timeout.tv_usec);
}

/* 1, and when, if a timer is under way. */
int
whole_due(uint64_t *at_ms)
{
	size_t i;
	int found = 0;

	for (i = 0; i < TIMERS_MAX; i++) {
		if (timers[i] == NULL)
			continue;
		if (!found || due_of(timers[i]) < *at_ms)
			*at_ms = due_of(timers[i]);
		found = 1;
	}
	return (found);
}

/* Timers go off at their time, but not more than a few hundred. */
void
whole_pass_time(uint64_t ms)
{
	const uint64_t end = whole.now_ms + ms;
	uint64_t at;
	struct event *ev;
	size_t i;
	int n;

	for (n = 0; n < 600 && whole_due(&at) && at <= end; n++) {
		if (at > whole.now_ms)
			whole.now_ms = at;
		for (i = 0; i < TIMERS_MAX; i++) {
			ev = timers[i];
			if (ev == NULL || due_of(ev) > at)
				continue;
			timers[i] = NULL;
			call(ev, EV_TIMEOUT);
		}
		whole_settle();
	}
	whole.now_ms = end;
	whole_settle();
}
