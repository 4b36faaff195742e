#include <sys/wait.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "ipc/kernel.h"
#include "parent/parent.h"
#include "parent/watchdog.h"

static int
ask(struct peer *peer, uint32_t number)
{
	const struct ipc_ping ping = { .number = number };

	if (channel_send(&peer->channel, IPC_PING, 0, 0, &ping, sizeof(ping)) ==
	    -1) {
		peer_refused(peer, "a question");
		return (-1);
	}
	peer->ticks = peer->idle = 0;
	peer->used_ns = 0;
	(void)cpu_alarm_took_ns(&peer->alarm); /* from now on */
	peer->asked++;
	channel_event_kick(&peer->channel_event);
	return (0);
}

static void
ask_both(struct parent *parent)
{
	struct watchdog *dog = &parent->watchdog;

	dog->state = WATCHDOG_ASKED;
	dog->number++;
	if (ask(&parent->netproc, dog->number) == -1 ||
	    ask(&parent->relayproc, dog->number) == -1)
		return;
	run_timer_set(dog->ev_timer, WATCHDOG_TICK_MS);
}

static void
on_frame(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;

	(void)fd;
	(void)what;
	parent->watchdog.again = 0;
	if (parent->watchdog.state == WATCHDOG_ARMED)
		ask_both(parent);
}

static int
can_answer(const struct peer *peer)
{
	return (peer->ev_exit != NULL && peer->ready &&
	    peer->channel.phase == IPC_RUN);
}

void
watchdog_busy(struct parent *parent)
{
	struct watchdog *dog = &parent->watchdog;

	if ((dog->state != WATCHDOG_OFF && dog->state != WATCHDOG_ARMED) ||
	    parent->state != PARENT_RUN || !can_answer(&parent->netproc) ||
	    !can_answer(&parent->relayproc))
		return;
	if (dog->state == WATCHDOG_ARMED)
		event_del(dog->ev_frame);
	dog->again = 0;
	ask_both(parent);
}

/* Whether it is, or was since it was looked at last, stopped. */
static int
was_stopped(struct peer *peer)
{
	siginfo_t info;
	int was = peer->stopped;

	for (;;) {
		memset(&info, 0, sizeof(info));
		if (waitid((idtype_t)P_PIDFD, (id_t)peer->child.pidfd, &info,
			WSTOPPED | WCONTINUED | WNOHANG) == -1 ||
		    info.si_pid == 0)
			return (was);
		was = 1;
		peer->stopped = info.si_code != CLD_CONTINUED;
	}
}

/* The machine gives it little time: neither does it spin, nor wait. */
static int
is_starved(const struct peer *peer)
{
	return (peer->idle < WATCHDOG_TICKS &&
	    peer->used_ns < WATCHDOG_CPU_NS &&
	    peer->ticks < WATCHDOG_TICKS_MOST);
}

/* 1 if it has answered, or is given more time; 0 if it was lost. */
static int
look(struct peer *peer)
{
	char cause[64];
	uint64_t took_ns;

	if (peer->asked == 0)
		return (1);
	if (was_stopped(peer)) {
		peer->ticks = peer->idle = 0;
		return (1);
	}
	took_ns = cpu_alarm_took_ns(&peer->alarm);
	peer->used_ns += took_ns;
	peer->idle = took_ns > 0 ? 0 : peer->idle + 1;
	peer->ticks++;
	if (peer->ticks < WATCHDOG_TICKS || is_starved(peer))
		return (1);
	snprintf(cause, sizeof(cause), "hangs: no answer in %u s",
	    peer->ticks * WATCHDOG_TICK_MS / 1000);
	peer_lost(peer, cause);
	return (0);
}
_Static_assert(WATCHDOG_TICK_MS *WATCHDOG_TICKS == 2000, "said above");

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	struct watchdog *dog = &parent->watchdog;

	(void)fd;
	(void)what;
	if (dog->state == WATCHDOG_RESTING) {
		dog->again = 1;
		ask_both(parent);
	} else if (dog->state == WATCHDOG_ASKED) {
		if (look(&parent->netproc) && look(&parent->relayproc))
			run_timer_set(dog->ev_timer, WATCHDOG_TICK_MS);
	}
}

enum ipc_error
watchdog_pong(struct peer *peer, const struct ipc_ping *pong)
{
	struct parent *parent = peer->parent;
	struct watchdog *dog = &parent->watchdog;

	/* A VMM that went and came back may have left one unanswered. */
	if (peer->asked == 0 || pong->number != dog->number - peer->asked + 1)
		return (IPC_E_STATE);
	peer->asked--;
	if (dog->state != WATCHDOG_ASKED || parent->netproc.asked > 0 ||
	    parent->relayproc.asked > 0)
		return (IPC_OK);
	event_del(dog->ev_timer);
	if (dog->again) {
		dog->state = WATCHDOG_OFF;
		watchdog_arm(parent);
	} else {
		dog->state = WATCHDOG_RESTING;
		run_timer_set(dog->ev_timer, WATCHDOG_REST_MS);
	}
	return (IPC_OK);
}

int
watchdog_init(struct parent *parent)
{
	struct watchdog *dog = &parent->watchdog;

	dog->ev_timer = event_new(parent->base, -1, 0, on_timer, parent);
	dog->ev_frame = event_new(parent->base, -1, 0, on_frame, parent);
	if (dog->ev_timer != NULL && dog->ev_frame != NULL)
		return (0);
	errno = ENOMEM;
	return (-1);
}

void
watchdog_arm(struct parent *parent)
{
	struct watchdog *dog = &parent->watchdog;

	if (dog->state != WATCHDOG_OFF || parent->frame.fd == -1 ||
	    parent->state == PARENT_STOPPING)
		return;
	event_assign(dog->ev_frame, parent->base, parent->frame.fd, EV_READ,
	    on_frame, parent);
	if (event_add(dog->ev_frame, NULL) == 0)
		dog->state = WATCHDOG_ARMED;
}

void
watchdog_rest(struct parent *parent)
{
	struct watchdog *dog = &parent->watchdog;

	if (dog->ev_frame != NULL)
		event_del(dog->ev_frame);
	if (dog->ev_timer != NULL)
		event_del(dog->ev_timer);
	dog->state = WATCHDOG_OFF;
}

void
watchdog_end(struct parent *parent)
{
	run_event_drop(&parent->watchdog.ev_frame);
	run_event_drop(&parent->watchdog.ev_timer);
}
