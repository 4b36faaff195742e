#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "parent/parent.h"
#include "parent/respawn.h"

/* 1 if this loss is one too many. */
static int
is_crash_loop(struct respawn *respawn, uint64_t now_ms)
{
	uint64_t *oldest;
	int loop;

	if (respawn->cap == 0)
		return (1);
	oldest = &respawn->losses_ms[respawn->next];
	loop = *oldest != 0 && now_ms - *oldest < RESPAWN_WINDOW_S * 1000;
	*oldest = now_ms;
	respawn->next = (respawn->next + 1) % respawn->cap;
	return (loop);
}

static void
give_up(struct parent *parent)
{
	if (parent->respawn.cap > 0)
		log_error("giving up: children were lost %zu times in %d s "
			  "(--max-restarts %zu); what they logged says why",
		    parent->respawn.cap + 1, RESPAWN_WINDOW_S,
		    parent->respawn.cap);
	run_stop(parent, EX_SOFTWARE);
}

static void
pair_drop(struct respawn *respawn)
{
	if (!respawn->have_pair)
		return;
	spawn_end(&respawn->pair.netproc, NULL);
	spawn_end(&respawn->pair.relayproc, NULL);
	respawn->have_pair = 0;
}

/* One second more, of those that an answer may take. */
static void
owed_tick(struct respawn *respawn)
{
	run_timer_set(respawn->ev_owed, 1000);
}

static int
ask(struct parent *parent, enum spawner_op op, const struct spawner_pair *pair)
{
	struct respawn *respawn = &parent->respawn;

	if (spawner_ask(&parent->spawner, op, pair) == -1)
		return (-1);
	respawn->owed++;
	respawn->owed_s = 0;
	owed_tick(respawn);
	return (0);
}

static void
answered(struct respawn *respawn)
{
	respawn->owed_s = 0;
	if (respawn->owed > 0)
		respawn->owed--;
	if (respawn->owed == 0)
		event_del(respawn->ev_owed);
}

/* Seconds are counted, for whoever stops us all stops no clock. */
static void
on_owed(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	struct respawn *respawn = &parent->respawn;

	(void)fd;
	(void)what;
	if (parent->state == PARENT_STOPPING)
		return;
	if (++respawn->owed_s < SPAWNER_ANSWER_S) {
		owed_tick(respawn);
		return;
	}
	log_error("the spawner has not answered in %d s, so no child can be "
		  "replaced; see who stops it (SIGSTOP), and the machine's "
		  "load",
	    SPAWNER_ANSWER_S);
	run_stop(parent, EX_SOFTWARE);
}

/* The old pair has ended and the new one is there: it is set up. */
static void
setup_begin(struct parent *parent)
{
	struct respawn *respawn = &parent->respawn;
	struct peer *netproc = &parent->netproc,
		    *relayproc = &parent->relayproc;

	peer_end(netproc);
	peer_end(relayproc);
	peer_init(netproc, parent, ROLE_NETPROC);
	peer_init(relayproc, parent, ROLE_RELAYPROC);
	netproc->child = respawn->pair.netproc;
	relayproc->child = respawn->pair.relayproc;
	respawn->have_pair = 0;
	respawn->doubt = 0;
	respawn->stage = RESPAWN_SETUP;
	respawn->setup_idle = 0;
	respawn->setup_ns = 0;
	run_timer_set(respawn->ev_timer, RESPAWN_SETUP_TICK_MS);
	if (peer_watch(netproc, parent_from_netproc) == -1 ||
	    peer_watch(relayproc, parent_from_relayproc) == -1) {
		run_cannot_watch();
		run_stop(parent, EX_OSERR);
		return;
	}
	if (configure_hello(netproc) == -1 || configure_hello(relayproc) == -1)
		log_debug("a new child was lost at once");
}

static void
clearing_advance(struct parent *parent)
{
	struct respawn *respawn = &parent->respawn;

	if (parent->netproc.ev_exit != NULL ||
	    parent->relayproc.ev_exit != NULL)
		return;
	if (respawn->have_pair) {
		setup_begin(parent);
		return;
	}
	if (respawn->asked)
		return;
	if (ask(parent, SPAWNER_SPAWN, NULL) == -1) {
		log_error("the spawner takes no order: %s", strerror(errno));
		run_stop(parent, EX_SOFTWARE);
		return;
	}
	respawn->asked = 1;
}

/* It has time to reset its flows; one that left before it had it. */
static void
leave(struct parent *parent)
{
	peer_lost(&parent->leaving, NULL); /* and heard out */
	if (peer_put_aside(&parent->leaving, &parent->relayproc) == 0)
		run_timer_set(parent->respawn.ev_leave, RESPAWN_LEAVE_MS);
}

static void
on_leave(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;

	(void)fd;
	(void)what;
	peer_lost(&parent->leaving, NULL);
}

/* The other half of the pair goes, in order if there is an order in it. */
static void
clear(struct parent *parent, struct peer *other)
{
	struct respawn *respawn = &parent->respawn;
	const int was_at_work = respawn->stage == RESPAWN_NONE;

	respawn->stage = RESPAWN_CLEARING;
	if (!respawn->asked && !respawn->have_pair) {
		if (ask(parent, SPAWNER_SPAWN, NULL) == 0)
			respawn->asked = 1;
	}
	if (other->ev_exit != NULL && !was_at_work) {
		peer_lost(other, NULL);
		return; /* which has come here again */
	}
	if (other->ev_exit != NULL) {
		peer_say_stop(other);
		if (other == &parent->relayproc)
			leave(parent);
		else
			run_timer_set(respawn->ev_timer, RESPAWN_CLEAR_MS);
	}
	clearing_advance(parent);
}

void
respawn_lost(struct peer *peer)
{
	struct parent *parent = peer->parent;
	struct respawn *respawn = &parent->respawn;
	struct peer *other = peer == &parent->netproc ? &parent->relayproc :
							&parent->netproc;
	const uint64_t now_ms = clock_now_ms();

	if (peer == &parent->leaving) {
		event_del(respawn->ev_leave);
		peer_end(peer);
		return;
	}
	if (respawn->stage == RESPAWN_CLEARING) {
		clearing_advance(parent); /* it was told to go */
		return;
	}
	if (peer == &parent->netproc)
		respawn->netproc_losses++;
	else
		respawn->relayproc_losses++;
	if (is_crash_loop(respawn, now_ms)) {
		give_up(parent);
		return;
	}
	if (respawn->stage == RESPAWN_NONE)
		respawn->since_ms = now_ms;
	watchdog_rest(parent);
	clear(parent, other);
}

void
respawn_accused(struct parent *parent)
{
	peer_say_stop(&parent->relayproc);
	leave(parent);
	respawn_lost(&parent->relayproc);
}

static void
look(struct parent *parent)
{
	struct spawner_pair pair;

	memset(&pair, 0, sizeof(pair));
	pair.netproc = parent->netproc.child;
	pair.relayproc = parent->relayproc.child;
	pair.netproc_missed = parent->netproc.missed;
	pair.relayproc_missed = parent->relayproc.missed;
	if (ask(parent, SPAWNER_ATTEST, &pair) == -1) {
		log_error("the spawner takes no order: %s", strerror(errno));
		run_stop(parent, EX_SOFTWARE);
	}
}

void
respawn_ready(struct parent *parent)
{
	struct respawn *respawn = &parent->respawn;

	if (respawn->stage != RESPAWN_SETUP)
		return;
	respawn->stage = RESPAWN_ATTEST;
	event_del(respawn->ev_timer);
	look(parent);
}

/* All fences stand, or the sidecar does not. */
static void
attested(struct parent *parent, const struct spawner_message *message)
{
	struct respawn *respawn = &parent->respawn;

	/* Of a pair that was lost meanwhile. */
	if (respawn->stage != RESPAWN_ATTEST ||
	    message->pair.netproc.pid != parent->netproc.child.pid ||
	    message->pair.relayproc.pid != parent->relayproc.child.pid)
		return;
	if (message->result == -1 && !respawn->doubt) {
		respawn->doubt = 1;
		run_timer_set(respawn->ev_timer, RESPAWN_LOOK_MS);
		return;
	}
	parent->netproc.missed = message->pair.netproc_missed;
	parent->relayproc.missed = message->pair.relayproc_missed;
	if (message->result == -1) {
		evidence_write(parent, 1);
		run_stop(parent, EX_NOPERM);
		return;
	}
	respawn->stage = RESPAWN_NONE;
	respawn->restarts++;
	evidence_write(parent, 0);
	configure_serve(parent);
	vmm_resume(parent);
	respawn->last_ms = clock_now_ms() - respawn->since_ms;
	log_info("replaced in %llu ms: netproc %d, relayproc %d",
	    (unsigned long long)respawn->last_ms,
	    (int)parent->netproc.child.pid, (int)parent->relayproc.child.pid);
}

static void
spawned(struct parent *parent, struct spawner_message *message)
{
	struct respawn *respawn = &parent->respawn;

	respawn->asked = 0;
	if (message->result == 0) {
		respawn->pair = message->pair;
		respawn->have_pair = 1;
	}
	if (parent->state == PARENT_STOPPING) {
		pair_drop(respawn);
		return;
	}
	/* It has logged why; the next may fare better. */
	if (message->result == -1 && is_crash_loop(respawn, clock_now_ms())) {
		give_up(parent);
		return;
	}
	clearing_advance(parent);
}

static void
on_spawner(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	struct spawner_message message;

	(void)fd;
	(void)what;
	switch (spawner_take(&parent->spawner, &message)) {
	case 0:
		return;
	case 1:
		answered(&parent->respawn);
		if (message.op == SPAWNER_SPAWN)
			spawned(parent, &message);
		else
			attested(parent, &message);
		return;
	default:
		break;
	}
	event_del(parent->respawn.ev_spawner);
	log_error("lost spawner: no child could be replaced any more");
	run_stop(parent, EX_SOFTWARE);
}

/* On a machine that gives it little time it is given more. */
static void
setup_look(struct parent *parent)
{
	struct respawn *respawn = &parent->respawn;
	struct peer *late = parent->netproc.ready ? &parent->relayproc :
						    &parent->netproc;
	const uint64_t took_ns = cpu_alarm_took_ns(&late->alarm);

	respawn->setup_ns += took_ns;
	if (took_ns > 0 && respawn->setup_ns < RESPAWN_SETUP_CPU_NS)
		respawn->setup_idle = 0;
	else
		respawn->setup_idle++;
	if (respawn->setup_idle == RESPAWN_SETUP_TICKS)
		peer_lost(late, "is not ready in time");
	else
		run_timer_set(respawn->ev_timer, RESPAWN_SETUP_TICK_MS);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	struct respawn *respawn = &parent->respawn;

	(void)fd;
	(void)what;
	if (parent->state == PARENT_STOPPING)
		return;
	if (respawn->stage == RESPAWN_CLEARING) {
		/* Then relayproc may be the next one. */
		peer_lost(&parent->netproc, NULL);
	} else if (respawn->stage == RESPAWN_SETUP) {
		setup_look(parent);
	} else if (respawn->stage == RESPAWN_ATTEST) {
		look(parent);
	}
}

int
respawn_init(struct parent *parent)
{
	struct respawn *respawn = &parent->respawn;

	respawn->cap = parent->config.max_restarts;
	respawn->losses_ms = calloc(respawn->cap + 1, sizeof(uint64_t));
	respawn->ev_timer = event_new(parent->base, -1, 0, on_timer, parent);
	respawn->ev_leave = event_new(parent->base, -1, 0, on_leave, parent);
	respawn->ev_owed = event_new(parent->base, -1, 0, on_owed, parent);
	if (respawn->losses_ms != NULL && respawn->ev_timer != NULL &&
	    respawn->ev_leave != NULL && respawn->ev_owed != NULL)
		return (0);
	errno = ENOMEM;
	return (-1);
}

int
respawn_watch(struct parent *parent)
{
	parent->respawn.ev_spawner = run_event_watch(parent, parent->spawner.fd,
	    on_spawner);
	if (parent->respawn.ev_spawner != NULL)
		return (0);
	errno = ENOMEM;
	return (-1);
}

void
respawn_end(struct parent *parent)
{
	struct respawn *respawn = &parent->respawn;

	pair_drop(respawn);
	run_event_drop(&respawn->ev_timer);
	run_event_drop(&respawn->ev_leave);
	run_event_drop(&respawn->ev_owed);
	run_event_drop(&respawn->ev_spawner);
	free(respawn->losses_ms);
	respawn->losses_ms = NULL;
}
