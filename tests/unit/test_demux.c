/* How long lwIP keeps what has no flow any more. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/demux.h"
#include "netproc/flow/flow.h"
#include "netproc/flow/lwip_addr.h"
#include "netproc/lwip_port.h"

#define TICKS 16 /* of 250 ms: lwIP would have let go of them */
#define MORE  100
#define NAMES 16 /* and as many buckets */

#define NOW_MS	  1000000
#define REST_MS	  10000
#define A_DAY_MS  (24 * 60 * 60 * 1000)
#define KEEP_MS	  (2 * 60 * 60 * 1000)
#define SLOW_TICK 500

static const uint8_t key[16];
static struct demux demux;

static int
setup(void **state)
{
	(void)state;
	lwip_port_set_now(NOW_MS);
	return (demux_init(&demux, 1));
}

static int
teardown(void **state)
{
	(void)state;
	demux_abandon_all(&demux);
	free(demux.buckets);
	return (0);
}

/* Connections that have said their end last, and wait. */
static void
last_acks(unsigned int n, uint8_t nrtx)
{
	struct tcp_pcb *pcb;

	demux_enter(&demux, 0);
	for (; n > 0; n--) {
		pcb = tcp_new();
		assert_non_null(pcb);
		pcb->state = LAST_ACK;
		pcb->nrtx = nrtx;
		pcb->tmr = tcp_ticks;
		TCP_REG(&tcp_active_pcbs, pcb);
	}
	demux_leave(&demux);
}

static unsigned int
left_after(unsigned int ticks)
{
	const struct tcp_pcb *pcb;
	unsigned int n = 0;

	for (; ticks > 0; ticks--)
		demux_tick(&demux, key, 0);
	demux_enter(&demux, 0);
	for (pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next)
		n++;
	demux_leave(&demux);
	return (n);
}

static void
the_last_acknowledgment_is_waited_for(void **state)
{
	(void)state;
	last_acks(1, 0);
	assert_int_equal(left_after(TICKS), 1);
}

static void
it_is_given_up_after_a_minute_of_retransmissions(void **state)
{
	(void)state;
	last_acks(1, 6);
	assert_int_equal(left_after(TICKS), 0);
}

static void
more_than_so_many_have_a_second_each(void **state)
{
	(void)state;
	last_acks(DEMUX_LAST_ACKS_MAX, 0);
	assert_int_equal(left_after(TICKS), DEMUX_LAST_ACKS_MAX);
	last_acks(MORE, 0);
	assert_true(left_after(TICKS) <= DEMUX_LAST_ACKS_MAX);
}

/* Established, and nothing under way. */
static struct tcp_pcb *
idle_pcb(void)
{
	struct tcp_pcb *pcb = tcp_new();

	assert_non_null(pcb);
	pcb->state = ESTABLISHED;
	pcb->tmr = tcp_ticks;
	demux_enter(&demux, 0);
	TCP_REG(&tcp_active_pcbs, pcb);
	demux_leave(&demux);
	return (pcb);
}

static void
an_idle_connection_is_left_alone(void **state)
{
	const struct tcp_pcb *pcb = idle_pcb();
	uint8_t looked_at;

	(void)state;
	assert_true(demux_is_awake(&demux));
	demux_tick(&demux, key, 0);
	assert_false(demux_is_awake(&demux));
	looked_at = pcb->last_timer;
	demux_tick(&demux, key, 0);
	demux_tick(&demux, key, 0);
	assert_int_equal(pcb->last_timer, looked_at);
	demux_wake(&demux, 0);
	assert_true(demux_is_awake(&demux));
	demux_tick(&demux, key, 0);
	assert_int_not_equal(pcb->last_timer, looked_at);
}

static void
what_has_a_timer_is_not_quiet(void **state)
{
	static struct tcp_seg seg;
	static struct pbuf data;
	static const tcpflags_t flags[] = { TF_ACK_DELAY, TF_ACK_NOW,
		TF_CLOSEPEND };
	struct tcp_pcb pcb = { .state = ESTABLISHED };
	unsigned int i;
	int to;

	(void)state;
	assert_true(demux_is_quiet(&pcb));
	for (to = CLOSED; to <= TIME_WAIT; to++) {
		pcb.state = (enum tcp_state)to;
		assert_int_equal(demux_is_quiet(&pcb),
		    to == ESTABLISHED || to == CLOSE_WAIT || to == FIN_WAIT_2);
	}
	pcb.state = FIN_WAIT_2;
	pcb.flags = TF_RXCLOSED;
	assert_false(demux_is_quiet(&pcb));
	pcb.state = ESTABLISHED;
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		pcb.flags = flags[i];
		assert_false(demux_is_quiet(&pcb));
	}
	pcb.flags = 0;
#define HAS(field, value) \
	do { \
		pcb.field = value; \
		assert_false(demux_is_quiet(&pcb)); \
		memset(&pcb.field, 0, sizeof(pcb.field)); \
		assert_true(demux_is_quiet(&pcb)); \
	} while (0)
	HAS(unsent, &seg);
	HAS(unacked, &seg);
	HAS(ooseq, &seg);
	HAS(refused_data, &data);
	HAS(persist_backoff, 1);
	HAS(keep_cnt_sent, 1);
#undef HAS
}

static void
lwip_is_told_of_the_time_that_it_has_slept(void **state)
{
	u32_t ticks;

	(void)state;
	(void)idle_pcb();
	demux_tick(&demux, key, 0);
	demux_tick(&demux, key, 0);
	ticks = tcp_ticks;
	lwip_port_set_now(NOW_MS + REST_MS);
	demux_wake(&demux, 0);
	/* The first of both ticks was slow, or the second. */
	assert_in_range(tcp_ticks - ticks, REST_MS / SLOW_TICK - 1,
	    REST_MS / SLOW_TICK);
	ticks = tcp_ticks;
	lwip_port_set_now(NOW_MS + 2 * REST_MS);
	demux_wake(&demux, 0); /* it was awake */
	assert_int_equal(tcp_ticks, ticks);
}

static void
keepalive_finds_those_asleep(void **state)
{
	struct tcp_pcb *pcb;
	int odd;

	(void)state;
	/* Whichever of its two timers lwIP's next tick would run. */
	for (odd = 0; odd < 2; odd++) {
		pcb = idle_pcb();
		pcb->so_options |= SOF_KEEPALIVE;
		pcb->keep_idle = KEEP_MS;
		demux_tick(&demux, key, 0);
		if (odd)
			demux_tick(&demux, key, 0);
		assert_false(demux_is_awake(&demux));
		lwip_port_set_now(lwip_port_now_ms() + A_DAY_MS);
		assert_int_equal(left_after(0), 1);
		demux_tick(&demux, key, 0); /* as other connections' */
		demux_tick(&demux, key, 1);
		assert_int_equal(left_after(0), 0);
	}
}

/* A connection of the demultiplexer's, in the bucket of its name. */
static struct tcp_pcb *
named_pcb(struct demux *all, const struct flow_tuple *tuple,
    enum tcp_state of_state)
{
	struct tcp_pcb *pcb = tcp_new();

	assert_non_null(pcb);
	pcb->state = of_state;
	pcb->tmr = tcp_ticks;
	pcb->local_ip = lwip_addr_of(&tuple->peer);
	pcb->local_port = tuple->peer_port;
	pcb->remote_ip = lwip_addr_of(&tuple->guest);
	pcb->remote_port = tuple->guest_port;
	demux_enter(all, demux_hash(key, tuple));
	if (of_state == TIME_WAIT)
		TCP_REG(&tcp_tw_pcbs, pcb);
	else
		TCP_REG(&tcp_active_pcbs, pcb);
	demux_leave(all);
	return (pcb);
}

static const struct tcp_pcb *
found(struct demux *all, const struct flow_tuple *tuple, uint64_t hash)
{
	const struct tcp_pcb *pcb;

	demux_enter(all, hash);
	pcb = demux_find(tuple);
	demux_leave(all);
	return (pcb);
}

/* In its own bucket, and by its whole name. */
static void
is_found(struct demux *all, const struct flow_tuple *tuple,
    const struct tcp_pcb *pcb)
{
	const uint64_t hash = demux_hash(key, tuple);
	struct flow_tuple others[4];
	size_t i;

	assert_ptr_equal(found(all, tuple, hash), pcb);
	assert_null(found(all, tuple, hash + 1));
	for (i = 0; i < 4; i++)
		others[i] = *tuple;
	others[0].peer_port++;
	others[1].guest_port = 1;
	others[2].peer.bytes[0]++;
	others[3].guest.bytes[3]++;
	for (i = 0; i < 4; i++)
		assert_null(found(all, &others[i], hash));
}

static void
connections_are_found_by_name_until_their_time_is_over(void **state)
{
	struct flow_tuple tuples[NAMES];
	struct tcp_pcb *pcbs[NAMES];
	struct demux all;
	int i, round;

	(void)state;
	assert_int_equal(demux_init(&all, NAMES), 0);
	memset(tuples, 0, sizeof(tuples));
	for (i = 0; i < NAMES; i++) {
		tuples[i].peer = addr_from_ip4(0xc6336407);
		tuples[i].guest = addr_from_ip4(0x64600002);
		tuples[i].peer_port = 80;
		tuples[i].guest_port = (uint16_t)(1000 + i);
		pcbs[i] = named_pcb(&all, &tuples[i],
		    i % 2 == 0 ? ESTABLISHED : TIME_WAIT);
	}
	for (round = 0; round < 3; round++) {
		for (i = 0; i < NAMES; i++)
			is_found(&all, &tuples[i],
			    i % 2 != 0 && round == 2 ? NULL : pcbs[i]);
		/* Within its time, and until that is over. */
		for (i = 0; i < (round == 0 ? 1 : TICKS); i++)
			demux_tick(&all, key, 0);
	}
	demux_abandon_all(&all);
	free(all.buckets);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_acknowledgment_is_waited_for),
		TEST(it_is_given_up_after_a_minute_of_retransmissions),
		TEST(more_than_so_many_have_a_second_each),
		TEST(an_idle_connection_is_left_alone),
		TEST(what_has_a_timer_is_not_quiet),
		TEST(lwip_is_told_of_the_time_that_it_has_slept),
		TEST(keepalive_finds_those_asleep),
		TEST(connections_are_found_by_name_until_their_time_is_over),
	};

	lwip_init();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
