/*
 * Which acknowledgments wait for an answer, for how long, and what a flow is
 * taught by an answer that does not come.
 *
 * No netif is there to send by: that lwIP tried shows as TF_ACK_NOW.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ack.h"
#include "netproc/flow/turn.h"
#include "netproc/netproc.h"

#define NOW_MS	   100000
#define WINDOW	   (256 * 1024)
#define REQUEST	   100
#define SEGMENT	   1448
#define LOW_WINDOW (8 * 1024)

static struct netproc np;
static struct flow flow;
static struct tcp_pcb pcb;

/* The clock that the timer finds is the test's, and only if it looks. */
static uint64_t clock_ms;

void __wrap_netproc_wake(struct netproc *waking);

void
__wrap_netproc_wake(struct netproc *waking)
{
	waking->now_ms = clock_ms;
}

static int
setup(void **state)
{
	(void)state;
	memset(&np, 0, sizeof(np));
	memset(&flow, 0, sizeof(flow));
	memset(&pcb, 0, sizeof(pcb));
	TAILQ_INIT(&np.touched);
	TAILQ_INIT(&np.flows.awake);
	np.now_ms = clock_ms = NOW_MS;
	np.base = event_base_new();
	if (np.base == NULL || acks_init(&np) == -1 ||
	    demux_init(&np.demux, 1) == -1)
		return (-1);
	flow.np = &np;
	flow.pcb = &pcb;
	flow.window = WINDOW;
	pcb.state = ESTABLISHED;
	pcb.rcv_ann_right_edge = WINDOW;
	flow.syn_ms = NOW_MS - ACK_NEAR_MS;
	ack_host_answered(&flow);
	ack_begin(&flow);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	event_free(np.ev_ack);
	event_base_free(np.base);
	free(np.demux.buckets);
	return (0);
}

/* So many bytes came from the guest in this turn. */
static void
bytes_come(uint32_t n)
{
	pcb.rcv_nxt += n;
	pcb.flags = TF_ACK_DELAY;
	flow.ack_owed = 1;
	ack_turn(&flow);
}

static int
was_acknowledged(void)
{
	const int was = (pcb.flags & TF_ACK_NOW) != 0;

	pcb.flags = 0;
	return (was);
}

/* An answer goes out, and takes the acknowledgment along. */
static void
answer(void)
{
	pcb.flags = 0;
	ack_turn(&flow);
}

static void
time_passes(uint64_t ms)
{
	clock_ms += ms;
	event_active(np.ev_ack, EV_TIMEOUT, 1);
	event_base_loop(np.base, EVLOOP_NONBLOCK);
}

static void
a_request_waits_for_its_answer(void **state)
{
	(void)state;
	bytes_come(REQUEST);
	assert_false(was_acknowledged());
	assert_true(event_pending(np.ev_ack, EV_TIMEOUT, NULL));
	answer();
	assert_false(event_pending(np.ev_ack, EV_TIMEOUT, NULL));
	assert_true(TAILQ_EMPTY(&np.acks));
	assert_false(flow.ack_owed);
}

static void
an_answer_that_does_not_come_is_waited_for_once(void **state)
{
	(void)state;
	bytes_come(REQUEST);
	time_passes(ACK_WAIT_MS);
	assert_true(flow.is_touched);
	pcb.flags = TF_ACK_DELAY;
	ack_turn(&flow);
	assert_true(was_acknowledged());
	bytes_come(REQUEST);
	assert_true(was_acknowledged());
}

static void
a_flow_that_was_often_answered_is_waited_for_again(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		bytes_come(REQUEST);
		answer();
	}
	bytes_come(REQUEST);
	time_passes(ACK_WAIT_MS);
	pcb.flags = TF_ACK_DELAY;
	ack_turn(&flow);
	assert_true(was_acknowledged());
	bytes_come(REQUEST);
	assert_false(was_acknowledged());
}

static void
nothing_is_late_before_its_time(void **state)
{
	(void)state;
	bytes_come(REQUEST);
	time_passes(ACK_WAIT_MS - 1);
	assert_false(flow.is_touched);
	assert_true(event_pending(np.ev_ack, EV_TIMEOUT, NULL));
	time_passes(1);
	assert_true(flow.is_touched);
	assert_false(event_pending(np.ev_ack, EV_TIMEOUT, NULL));
}

/* That no netif took it is remembered, as lwIP would not. */
static void
what_waits_when_lwips_timer_comes_does_not_any_more(void **state)
{
	(void)state;
	bytes_come(REQUEST);
	acks_hurry(&np);
	assert_true(was_acknowledged());
	assert_true(flow.ack_refused);
	assert_true(TAILQ_EMPTY(&np.acks));
	assert_false(event_pending(np.ev_ack, EV_TIMEOUT, NULL));
	assert_false(flow.ack_owed);
}

static void
nor_is_what_is_due_left_to_it_that_has_not_had_its_turn(void **state)
{
	(void)state;
	bytes_come(REQUEST);
	time_passes(ACK_WAIT_MS);
	assert_true(flow.is_touched);
	acks_hurry(&np);
	assert_true(was_acknowledged());
	assert_true(flow.ack_refused);
	assert_false(flow.ack_owed);
	assert_true(flow.is_touched);
}

static void
a_server_that_is_far_is_not_waited_for(void **state)
{
	(void)state;
	flow.ack_patience = 0;
	flow.syn_ms = NOW_MS - ACK_NEAR_MS - 1;
	ack_host_answered(&flow);
	bytes_come(REQUEST);
	assert_true(was_acknowledged());
}

static void
a_segment_or_more_does_not_wait(void **state)
{
	(void)state;
	bytes_come(SEGMENT);
	assert_true(was_acknowledged());
	/* Nor does what adds up to one. */
	bytes_come(SEGMENT / 2);
	assert_false(was_acknowledged());
	bytes_come(SEGMENT / 2);
	assert_true(was_acknowledged());
	assert_true(TAILQ_EMPTY(&np.acks));
}

static void
a_guest_that_may_send_little_is_told_of_its_window(void **state)
{
	(void)state;
	pcb.rcv_ann_right_edge = pcb.rcv_nxt + LOW_WINDOW;
	bytes_come(REQUEST);
	assert_true(was_acknowledged());
	/* Unless it never may send more. */
	flow.window = LOW_WINDOW;
	bytes_come(REQUEST);
	assert_false(was_acknowledged());
}

static void
one_that_may_still_send_a_block_is_not(void **state)
{
	(void)state;
	assert_true(BLOCK_SIZE < flow.window / 2);
	pcb.rcv_ann_right_edge = pcb.rcv_nxt + REQUEST + BLOCK_SIZE;
	bytes_come(REQUEST);
	assert_false(was_acknowledged());
	answer();
	pcb.rcv_ann_right_edge = pcb.rcv_nxt + REQUEST + BLOCK_SIZE - 1;
	bytes_come(REQUEST);
	assert_true(was_acknowledged());
}

/* Nor does it this time: there is no link. */
static void
what_the_link_did_not_take_is_said_again(void **state)
{
	(void)state;
	ack_again(&flow);
	assert_false(was_acknowledged());
	flow.ack_refused = 1;
	ack_again(&flow);
	assert_true(was_acknowledged());
	assert_true(flow.ack_refused);
	flow.pcb = NULL;
	ack_again(&flow);
	assert_true(flow.ack_refused);
}

static void
after_an_end_there_is_no_answer_to_wait_for(void **state)
{
	(void)state;
	flow.host_fin = 1;
	bytes_come(REQUEST);
	assert_true(was_acknowledged());
	flow.host_fin = 0;
	flow.guest_fin = 1;
	bytes_come(REQUEST);
	assert_true(was_acknowledged());
}

static void
a_window_alone_does_not_wait(void **state)
{
	(void)state;
	bytes_come(0);
	assert_true(was_acknowledged());
}

static void
a_flow_that_ends_is_not_waited_for(void **state)
{
	(void)state;
	bytes_come(REQUEST);
	turn_untouch(&flow);
	assert_true(TAILQ_EMPTY(&np.acks));
	assert_false(event_pending(np.ev_ack, EV_TIMEOUT, NULL));
}

static void
what_was_sent_and_not_long_ago_may_be_acknowledged(void **state)
{
	static const uint32_t lasts[] = { 1000000, 100, UINT32_MAX - 100 };
	size_t i;

	(void)state;
	pcb.snd_wnd_max = WINDOW;
	for (i = 0; i < sizeof(lasts) / sizeof(lasts[0]); i++) {
		pcb.lastack = lasts[i];
		pcb.snd_nxt = lasts[i] + REQUEST;
		assert_true(ack_is_acceptable(&pcb, pcb.snd_nxt));
		assert_false(ack_is_acceptable(&pcb, pcb.snd_nxt + 1));
		assert_false(ack_is_acceptable(&pcb, pcb.snd_nxt + (1u << 31)));
		assert_true(ack_is_acceptable(&pcb, pcb.lastack));
		assert_true(ack_is_acceptable(&pcb, pcb.lastack - WINDOW));
		assert_false(ack_is_acceptable(&pcb, pcb.lastack - WINDOW - 1));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_waits_for_its_answer),
		TEST(an_answer_that_does_not_come_is_waited_for_once),
		TEST(a_flow_that_was_often_answered_is_waited_for_again),
		TEST(nothing_is_late_before_its_time),
		TEST(what_waits_when_lwips_timer_comes_does_not_any_more),
		TEST(nor_is_what_is_due_left_to_it_that_has_not_had_its_turn),
		TEST(a_server_that_is_far_is_not_waited_for),
		TEST(a_segment_or_more_does_not_wait),
		TEST(a_guest_that_may_send_little_is_told_of_its_window),
		TEST(one_that_may_still_send_a_block_is_not),
		TEST(what_the_link_did_not_take_is_said_again),
		TEST(after_an_end_there_is_no_answer_to_wait_for),
		TEST(a_window_alone_does_not_wait),
		TEST(a_flow_that_ends_is_not_waited_for),
		TEST(what_was_sent_and_not_long_ago_may_be_acknowledged),
	};

	lwip_init();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
