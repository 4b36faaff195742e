/*
 * What the end of a turn means for a flow that is half closed, and what a tick
 * finds to do.
 */

#include <sys/socket.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ack.h"
#include "netproc/flow/end.h"
#include "netproc/flow/tcp.h"
#include "netproc/flow/turn.h"
#include "netproc/netproc.h"

#define NOW_MS	 100000
#define LATER_MS 1000
#define WINDOW	 (256 * 1024)
#define NBYTES	 100

static struct netproc np;
static struct flow *flow;
static struct tcp_pcb pcb;
static const uint8_t bytes[NBYTES];
static int host = -1;

static int
setup(void **state)
{
	static const struct flow_tuple tuple;
	int fds[2];

	(void)state;
	memset(&np, 0, sizeof(np));
	memset(&pcb, 0, sizeof(pcb));
	np.now_ms = NOW_MS;
	np.frame_fd = -1;
	np.base = event_base_new();
	if (np.base == NULL || acks_init(&np) == -1 || turn_init(&np) == -1 ||
	    flows_init(&np.flows, 1, 1, &np) == -1 ||
	    demux_init(&np.demux, 1) == -1 ||
	    blocks_init(&np.blocks, BLOCK_POOL_BYTES) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
		return (-1);
	np.tick_armed = 1;
	flow = flow_alloc(&np.flows, &tuple, 0);
	flow->state = FLOW_ESTABLISHED;
	flow->pcb = &pcb;
	flow->fd = fds[0];
	host = fds[1];
	flow->writable = 1;
	flow->window = WINDOW;
	flow_wake(flow);
	pcb.state = FIN_WAIT_2;
	pcb.rcv_ann_right_edge = WINDOW;
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	if (flow->fd != -1)
		close(flow->fd);
	close(host);
	event_free(np.ev_ack);
	event_free(np.ev_look);
	event_base_free(np.base);
	return (0);
}

/* A turn, so much later, in which the flow has something to do. */
static void
turn(uint64_t ms)
{
	np.now_ms += ms;
	turn_touch(flow);
	turn_flush(&np);
}

static void
host_ends(void)
{
	flow->host_fin = 1;
	flow->fin_sent = 1;
	turn(0);
	assert_int_equal(flow->deadline_ms, NOW_MS + FLOW_HALF_CLOSED_MS);
}

static void
a_half_closed_flow_ends_though_it_has_turns(void **state)
{
	(void)state;
	turn(0);
	assert_int_equal(flow->deadline_ms, 0);
	host_ends();
	turn(LATER_MS);
	assert_int_equal(flow->deadline_ms, NOW_MS + FLOW_HALF_CLOSED_MS);
}

static void
it_lives_on_where_its_host_takes_bytes(void **state)
{
	(void)state;
	host_ends();
	assert_int_equal(block_queue_append(&np.blocks, &flow->up, bytes,
			     NBYTES),
	    0);
	turn(LATER_MS);
	assert_int_equal(flow->up.bytes, 0);
	assert_int_equal(flow->deadline_ms,
	    NOW_MS + LATER_MS + FLOW_HALF_CLOSED_MS);
}

static void
it_lives_on_where_its_guest_takes_bytes(void **state)
{
	(void)state;
	host_ends();
	assert_int_equal(block_queue_append(&np.blocks, &flow->down, bytes,
			     NBYTES),
	    0);
	flow->down_written = NBYTES;
	turn(LATER_MS);
	assert_int_equal(flow->deadline_ms, NOW_MS + FLOW_HALF_CLOSED_MS);
	pcb.snd_lbb += NBYTES; /* and nothing is unacknowledged */
	turn(LATER_MS);
	assert_int_equal(flow->down.bytes, 0);
	assert_int_equal(flow->deadline_ms,
	    NOW_MS + 2 * LATER_MS + FLOW_HALF_CLOSED_MS);
}

/* lwIP had no memory, and no acknowledgment will come. */
static void
what_lwip_has_refused_is_offered_again_at_the_next_tick(void **state)
{
	(void)state;
	assert_int_equal(block_queue_append(&np.blocks, &flow->down, bytes,
			     NBYTES),
	    0);
	turn_tick(&np);
	assert_true(flow->is_touched);
}

static void
a_flow_sleeps_that_time_has_nothing_for(void **state)
{
	(void)state;
	turn_tick(&np);
	assert_false(flow->is_touched);
	assert_false(flow->is_awake);
	turn_touch(flow);
	assert_true(flow->is_awake);
	turn_tick(&np); /* before the turn's end */
	assert_true(flow->is_awake);
	turn_flush(&np);
	turn_tick(&np);
	assert_false(flow->is_awake);
}

static void
a_flow_that_waits_for_time_or_room_stays_awake(void **state)
{
	static struct tcp_seg seg;

	(void)state;
#define AWAKE_WITH(field, value) \
	do { \
		field = value; \
		turn_tick(&np); \
		assert_true(flow->is_awake); \
		turn_untouch(flow); \
		memset(&(field), 0, sizeof(field)); \
	} while (0)
	AWAKE_WITH(flow->deadline_ms, np.now_ms + LATER_MS);
	AWAKE_WITH(flow->readable, 1);
	turn_look_soon(flow);
	AWAKE_WITH(flow->recheck, 1);
	AWAKE_WITH(flow->broken, 1);
	AWAKE_WITH(flow->ack_refused, 1);
	AWAKE_WITH(flow->down.bytes, NBYTES);
	AWAKE_WITH(pcb.unacked, &seg);
#undef AWAKE_WITH
	turn_tick(&np);
	assert_false(flow->is_awake);
}

static void
what_is_left_of_a_turn_is_done_in_the_next_and_again_if_need_be(void **state)
{
	int i;

	(void)state;
	assert_int_equal(turn_requeue(&np), 0);
	for (i = 0; i < 2; i++) {
		TAILQ_INSERT_TAIL(&np.again, flow, again);
		flow->is_again = 1;
		assert_int_equal(turn_requeue(&np), 1);
		assert_true(flow->is_touched);
		assert_false(flow->is_again); /* or pump.c leaves it out */
		turn_flush(&np);
		assert_int_equal(turn_requeue(&np), 0);
	}
	assert_false(flow->is_touched);
}

/* lwIP gives it up by itself, and nothing of the flow's says so. */
static void
what_waits_no_more_is_not_counted_after_a_tick(void **state)
{
	(void)state;
	flow->ahead_bytes = NBYTES;
	np.ahead_bytes = 3 * NBYTES;
	turn_tick(&np);
	assert_int_equal(flow->ahead_bytes, 0);
	assert_int_equal(np.ahead_bytes, 2 * NBYTES);
}

/* lwIP's slow timer runs at every second tick, and at one that wakes all. */
static void
a_tick_wakes_all_once_in_so_long(void **state)
{
	u32_t before;
	int i;

	(void)state;
	turn_tick(&np);
	np.now_ms += TURN_SWEEP_MS - 1;
	before = tcp_ticks;
	for (i = 0; i < 4; i++)
		turn_tick(&np);
	assert_int_equal(tcp_ticks - before, 2);
	np.now_ms++;
	before = tcp_ticks;
	turn_tick(&np);
	turn_tick(&np);
	assert_int_equal(tcp_ticks - before, 1);
	np.now_ms += TURN_SWEEP_MS;
	before = tcp_ticks;
	turn_tick(&np);
	np.now_ms += TURN_SWEEP_MS;
	turn_tick(&np);
	assert_int_equal(tcp_ticks - before, 2);
}

/* What a turn has lwIP send has a timer, however short the turn. */
static void
a_turn_wakes_its_bucket(void **state)
{
	(void)state;
	demux_tick(&np.demux, np.hash_key, 0);
	turn_touch(flow);
	demux_tick(&np.demux, np.hash_key, 0);
	assert_false(demux_is_awake(&np.demux));
	turn_flush(&np);
	assert_true(demux_is_awake(&np.demux));
}

/* Returns relayproc's end. */
static int
relay_begin(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
			     fds),
	    0);
	assert_int_equal(channel_init(&np.relay, fds[0], ROLE_NETPROC,
			     ROLE_RELAYPROC, IPC_RECORD_MAX, 0),
	    0);
	np.relay.phase = IPC_RUN;
	return (fds[1]);
}

static void
a_reset_takes_nothing_back_of_an_end_before_it(void **state)
{
	(void)state;
	tcp_flow_ended(flow, FLOW_END_FIN);
	assert_int_equal(flow->ended, FLOW_END_FIN);
	assert_false(flow->reset_follows);
	tcp_flow_ended(flow, FLOW_END_RESET);
	assert_int_equal(flow->ended, FLOW_END_FIN);
	assert_true(flow->reset_follows);
	flow->ended = FLOW_END_NONE;
	flow->reset_follows = 0;
	tcp_flow_ended(flow, FLOW_END_RESET);
	assert_int_equal(flow->ended, FLOW_END_RESET);
	assert_false(flow->reset_follows);
}

/* The server's end, and then its reset, while the guest took no more. */
static void
a_reset_behind_an_end_comes_when_that_was_passed_on(void **state)
{
	const int relay = relay_begin();

	(void)state;
	flow->pcb = tcp_new();
	assert_non_null(flow->pcb);
	flow->reset_follows = 1;
	turn(0);
	assert_int_equal(flow->state, FLOW_ESTABLISHED);
	flow->host_fin = 1;
	flow->fin_sent = 1;
	turn(0);
	assert_int_equal(flow->state, FLOW_CLOSING);
	assert_int_equal(np.counters.n[COUNT_FLOWS_RESET], 1);
	channel_close(&np.relay);
	close(relay);
}

/* Its slot may be another's before the turn ends. */
static void
a_flow_that_was_reset_is_not_touched_by_room_on_the_link(void **state)
{
	const int relay = relay_begin();

	(void)state;
	flow->broken = ECONNRESET;
	end_flow(flow, FLOW_CLOSE_RESET);
	assert_int_equal(flow->state, FLOW_CLOSING);
	turn_link_drained(&np);
	assert_false(flow->is_touched);
	turn_tick(&np);
	assert_false(flow->is_awake);
	channel_close(&np.relay);
	close(relay);
}

/* It has no descriptor any more. */
static void
a_flow_that_has_ended_is_not_probed_by_a_tick(void **state)
{
	const int relay = relay_begin();

	(void)state;
	flow->readable = 1;
	flow->starved = 1;
	end_flow(flow, FLOW_CLOSE_RESET);
	turn_tick(&np);
	assert_int_equal(flow->broken, 0);
	channel_close(&np.relay);
	close(relay);
}

static void
an_inbound_flow_that_ends_gives_its_slot_back(void **state)
{
	static const struct flow_tuple tuple = { .guest_port = 80 };
	const int relay = relay_begin();
	struct flow *in;
	uint32_t i;

	(void)state;
	for (i = 1; i < 3; i++) {
		in = flow_take(&np.flows, FLOW_INBOUND_BIT, i, &tuple, 1);
		assert_non_null(in);
		in->state = FLOW_ESTABLISHED;
		assert_int_equal(np.flows.nactive, 2);
		end_flow(in, FLOW_CLOSE_DONE);
		assert_int_equal(in->state, FLOW_FREE);
		assert_int_equal(np.flows.nactive, 1);
	}
	channel_close(&np.relay);
	close(relay);
}

/* As at the end of a guest, or of relayproc. */
static void
a_flow_that_has_ended_does_not_end_again_with_all(void **state)
{
	const int relay = relay_begin();

	(void)state;
	end_flow(flow, FLOW_CLOSE_DONE);
	assert_null(flow->pcb);
	end_forget_all(&np);
	end_reset_all(&np);
	assert_int_equal(flow->state, FLOW_CLOSING);
	assert_int_equal(np.counters.n[COUNT_FLOWS_RESET], 0);
	channel_close(&np.relay);
	close(relay);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_half_closed_flow_ends_though_it_has_turns),
		TEST(it_lives_on_where_its_host_takes_bytes),
		TEST(it_lives_on_where_its_guest_takes_bytes),
		TEST(what_lwip_has_refused_is_offered_again_at_the_next_tick),
		TEST(a_flow_sleeps_that_time_has_nothing_for),
		TEST(a_flow_that_waits_for_time_or_room_stays_awake),
		TEST(
		    what_is_left_of_a_turn_is_done_in_the_next_and_again_if_need_be),
		TEST(what_waits_no_more_is_not_counted_after_a_tick),
		TEST(a_tick_wakes_all_once_in_so_long),
		TEST(a_turn_wakes_its_bucket),
		TEST(a_reset_takes_nothing_back_of_an_end_before_it),
		TEST(a_reset_behind_an_end_comes_when_that_was_passed_on),
		TEST(a_flow_that_has_ended_is_not_probed_by_a_tick),
		TEST(an_inbound_flow_that_ends_gives_its_slot_back),
		TEST(a_flow_that_has_ended_does_not_end_again_with_all),
		TEST(a_flow_that_was_reset_is_not_touched_by_room_on_the_link),
	};

	lwip_init();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
