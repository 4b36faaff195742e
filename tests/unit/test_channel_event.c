
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "ipc/channel_event.h"
#include "tests/unit/channel_pair.h"

/* The linker puts these here: so many more of them, then there is no memory. */
static int events_left = 1000;

struct event *__real_event_new(struct event_base *base, evutil_socket_t fd,
    short what, event_callback_fn fn, void *arg);
struct event *__wrap_event_new(struct event_base *base, evutil_socket_t fd,
    short what, event_callback_fn fn, void *arg);
int __real_event_add(struct event *ev, const struct timeval *timeout);
int __wrap_event_add(struct event *ev, const struct timeval *timeout);

struct event *
__wrap_event_new(struct event_base *base, evutil_socket_t fd, short what,
    event_callback_fn fn, void *arg)
{
	if (events_left-- <= 0)
		return (NULL);
	return (__real_event_new(base, fd, what, fn, arg));
}

int
__wrap_event_add(struct event *ev, const struct timeval *timeout)
{
	return (events_left-- <= 0 ? -1 : __real_event_add(ev, timeout));
}

struct heard {
	unsigned int messages, lost;
	struct channel_event *ends;   /* at the next message */
	struct channel_event *pauses; /* ditto */
	enum channel_result why;
	enum ipc_error answer;
};

static enum ipc_error
hear(struct channel *ch, struct ipc_msg *msg, void *arg)
{
	struct heard *heard = arg;

	(void)ch;
	(void)msg;
	heard->messages++;
	if (heard->pauses != NULL)
		channel_event_pause(heard->pauses);
	if (heard->ends != NULL)
		channel_event_stop(heard->ends);
	return (heard->answer);
}

static void
lose(struct channel *ch, enum channel_result why, void *arg)
{
	struct heard *heard = arg;

	(void)ch;
	heard->lost++;
	heard->why = why;
}

static void
the_loop_hands_out_messages_and_stops_at_a_violation(void **state)
{
	struct pair *pair = *state;
	struct event_base *base = event_base_new();
	struct heard heard = { .answer = IPC_OK };
	struct channel_event ce;

	assert_int_equal(channel_event_start(&ce, base, &pair->relay, hear,
			     lose, &heard),
	    0);
	say_close(&pair->net, 1);
	say_close(&pair->net, 2);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(heard.messages, 2);
	channel_event_pause(&ce);
	say_close(&pair->net, 3);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(heard.messages, 2);
	channel_event_resume(&ce);
	heard.answer = IPC_E_STATE;
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(heard.messages, 3);
	assert_int_equal(heard.lost, 1);
	assert_int_equal(heard.why, CHANNEL_VIOLATION);
	assert_int_equal(pair->relay.error, IPC_E_STATE);
	assert_int_equal(pair->relay.error_type, IPC_FLOW_CLOSE);
	say_close(&pair->net, 4);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(heard.messages, 3);
	channel_event_stop(&ce);
	event_base_free(base);
}

static void
the_loop_sends_what_waited(void **state)
{
	struct pair *pair = *state;
	struct event_base *base = event_base_new();
	struct heard heard = { .answer = IPC_OK };
	struct channel_event ce;
	struct ipc_msg msg;
	unsigned int said = 0, got = 0;

	assert_int_equal(channel_event_start(&ce, base, &pair->net, hear, lose,
			     &heard),
	    0);
	while (say_close(&pair->net, said) == 0)
		said++;
	channel_event_kick(&ce);
	while (got < said) {
		while (channel_recv(&pair->relay, &msg) == CHANNEL_MESSAGE)
			assert_int_equal(msg.hdr.flow, got++);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(pair->net.count, 0);
	assert_false(event_pending(ce.ev_write, EV_WRITE, NULL));
	/* Nobody waits for room that nothing needs. */
	channel_event_kick(&ce);
	assert_false(event_pending(ce.ev_write, EV_WRITE, NULL));
	channel_event_stop(&ce);
	event_base_free(base);
}

static void
start(struct pair *pair, struct channel_event *ce, struct heard *heard)
{
	struct event_base *base = event_base_new();

	assert_int_equal(channel_event_start(ce, base, &pair->relay, hear, lose,
			     heard),
	    0);
}

static void
turn(struct channel_event *ce)
{
	event_base_loop(event_get_base(ce->ev_read),
	    EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void
stop(struct channel_event *ce)
{
	struct event_base *base = event_get_base(ce->ev_read);

	channel_event_stop(ce);
	event_base_free(base);
}

static void
one_turn_of_the_loop_takes_no_more_than_a_batch(void **state)
{
	struct pair *pair = *state;
	struct heard heard = { .answer = IPC_OK };
	struct channel_event ce;
	uint32_t i;

	start(pair, &ce, &heard);
	for (i = 0; i < CHANNEL_BATCH + 2; i++)
		assert_int_equal(say_close(&pair->net, i), 0);
	turn(&ce);
	assert_int_equal(heard.messages, CHANNEL_BATCH);
	turn(&ce);
	assert_int_equal(heard.messages, CHANNEL_BATCH + 2);
	stop(&ce);
}

static void
what_follows_a_wrong_message_is_not_heard(void **state)
{
	struct pair *pair = *state;
	struct heard heard = { .answer = IPC_E_FIELD };
	struct channel_event ce;

	start(pair, &ce, &heard);
	say_close(&pair->net, 1);
	say_close(&pair->net, 2);
	turn(&ce);
	turn(&ce);
	assert_int_equal(heard.messages, 1);
	assert_int_equal(heard.lost, 1);
	stop(&ce);
}

static void
nor_what_follows_a_forbidden_one(void **state)
{
	struct pair *pair = *state;
	const struct ipc_empty empty = { 0 };
	struct heard heard = { .answer = IPC_OK };
	struct channel_event ce;

	start(pair, &ce, &heard);
	assert_int_equal(channel_send(&pair->net, IPC_FLOW_CLOSED, 1, 1, &empty,
			     sizeof(empty)),
	    0);
	say_close(&pair->net, 2);
	turn(&ce);
	turn(&ce);
	assert_int_equal(heard.messages, 0);
	assert_int_equal(heard.lost, 1);
	assert_int_equal(heard.why, CHANNEL_VIOLATION);
	assert_int_equal(pair->relay.error, IPC_E_DIRECTION);
	stop(&ce);
}

static void
who_pauses_or_ends_at_a_message_hears_no_other(void **state)
{
	struct pair *pair = *state;
	struct channel_event ce;
	struct heard heard = { .answer = IPC_OK, .pauses = &ce };
	struct event_base *base;

	start(pair, &ce, &heard);
	say_close(&pair->net, 1);
	say_close(&pair->net, 2);
	say_close(&pair->net, 3);
	turn(&ce);
	turn(&ce);
	assert_int_equal(heard.messages, 1);
	heard.pauses = NULL;
	heard.ends = &ce;
	base = event_get_base(ce.ev_read);
	channel_event_resume(&ce);
	turn(&ce);
	assert_int_equal(heard.messages, 2);
	assert_int_equal(heard.lost, 0);
	assert_null(ce.ev_read);
	assert_null(ce.ev_write);
	channel_event_kick(&ce);
	channel_event_stop(&ce);
	event_base_free(base);
}

static void
a_descriptor_that_nobody_takes_is_closed(void **state)
{
	struct pair *pair = *state;
	const struct ipc_flow_opened opened = { 0 };
	struct event_base *base = event_base_new();
	struct heard heard = { .answer = IPC_OK };
	struct channel_event ce;
	int before, after;

	assert_int_equal(channel_event_start(&ce, base, &pair->net, hear, lose,
			     &heard),
	    0);
	before = dup(STDIN_FILENO);
	close(before);
	assert_int_equal(channel_lend_fd(&pair->relay, IPC_FLOW_OPENED, 1, 1,
			     &opened, sizeof(opened), STDIN_FILENO),
	    0);
	turn(&ce);
	assert_int_equal(heard.messages, 1);
	after = dup(STDIN_FILENO);
	close(after);
	assert_int_equal(after, before);
	stop(&ce);
}

static void
fill(struct channel *ch)
{
	const struct ipc_empty empty = { 0 };

	while (channel_send(ch, IPC_FLOW_CLOSED, 1, 1, &empty, sizeof(empty)) ==
	    0)
		continue;
	assert_int_equal(ch->count, RING);
}

static void
a_peer_that_is_gone_is_lost_once(void **state)
{
	struct pair *pair = *state;
	struct heard heard = { .answer = IPC_OK };
	struct channel_event ce;

	start(pair, &ce, &heard);
	fill(&pair->relay);
	channel_event_kick(&ce);
	channel_close(&pair->net);
	turn(&ce);
	turn(&ce);
	assert_int_equal(heard.lost, 1);
	assert_false(event_pending(ce.ev_read, EV_READ, NULL));
	assert_false(event_pending(ce.ev_write, EV_WRITE, NULL));
	stop(&ce);
}

static void
that_it_is_gone_is_seen_by_who_only_writes(void **state)
{
	struct pair *pair = *state;
	struct heard heard = { .answer = IPC_OK };
	struct channel_event ce;

	start(pair, &ce, &heard);
	channel_event_pause(&ce);
	fill(&pair->relay);
	channel_event_kick(&ce);
	channel_close(&pair->net);
	turn(&ce);
	turn(&ce);
	assert_int_equal(heard.lost, 1);
	assert_int_equal(heard.why, CHANNEL_ERROR);
	stop(&ce);
}

static void
without_memory_for_its_events_it_does_not_start(void **state)
{
	struct pair *pair = *state;
	struct event_base *base = event_base_new();
	struct heard heard = { .answer = IPC_OK };
	struct channel_event ce;
	int enough;

	for (enough = 0; enough < 3; enough++) {
		memset(&ce, 0xff, sizeof(ce));
		events_left = enough;
		errno = 0;
		assert_int_equal(channel_event_start(&ce, base, &pair->relay,
				     hear, lose, &heard),
		    -1);
		assert_int_equal(errno, ENOMEM);
		assert_null(ce.ev_read);
		assert_null(ce.ev_write);
	}
	events_left = 1000;
	event_base_free(base);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_loop_hands_out_messages_and_stops_at_a_violation),
		T(the_loop_sends_what_waited),
		T(one_turn_of_the_loop_takes_no_more_than_a_batch),
		T(what_follows_a_wrong_message_is_not_heard),
		T(nor_what_follows_a_forbidden_one),
		T(who_pauses_or_ends_at_a_message_hears_no_other),
		T(a_descriptor_that_nobody_takes_is_closed),
		T(a_peer_that_is_gone_is_lost_once),
		T(that_it_is_gone_is_seen_by_who_only_writes),
		T(without_memory_for_its_events_it_does_not_start),
	};

	return (cmocka_run_group_tests_name("channel_event", tests, NULL,
	    NULL));
}
