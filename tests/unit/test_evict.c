/* For how many SYNs that find no slot idle connections are asked, and when. */

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/evict.h"
#include "netproc/netproc.h"

#define NOW_MS	  1000000
#define IDLE_MS	  30000
#define PAUSE_MS  250
#define ANSWER_MS 500
#define NFLOWS	  20
#define AT_ONCE	  8

static struct netproc np;
static struct tcp_pcb pcbs[NFLOWS];
static struct flow *flows[NFLOWS];

/* What the guest is asked is said by lwIP, which has no link here. */
static unsigned int nasked;

void __wrap_ack_ask(struct flow *flow);

void
__wrap_ack_ask(struct flow *flow)
{
	assert_int_equal(flow->asked_ms, np.now_ms);
	nasked++;
}

/* Each has been idle for long, the first for longest. */
static int
setup(void **state)
{
	struct flow_tuple tuple;
	uint32_t i;

	(void)state;
	memset(&np, 0, sizeof(np));
	memset(pcbs, 0, sizeof(pcbs));
	memset(&tuple, 0, sizeof(tuple));
	np.now_ms = NOW_MS;
	nasked = 0;
	np.tick_armed = 1; /* nobody turns an event loop */
	if (flows_init(&np.flows, NFLOWS, 0, &np) == -1)
		return (-1);
	for (i = 0; i < NFLOWS; i++) {
		tuple.guest_port = (uint16_t)(i + 1);
		flows[i] = flow_alloc(&np.flows, &tuple, i);
		flows[i]->state = FLOW_ESTABLISHED;
		flows[i]->pcb = &pcbs[i];
		flows[i]->used_ms = NOW_MS - 2 * IDLE_MS + i;
	}
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	free(np.flows.flows);
	free(np.flows.buckets);
	free(np.demux.buckets);
	return (0);
}

static void
syns_come(unsigned int n)
{
	for (; n > 0; n--)
		evict_want(&np);
}

/* 1 if the first n were asked, once each, and nobody else. */
static int
were_asked(uint32_t n)
{
	uint32_t i;

	for (i = 0; i < NFLOWS; i++)
		if ((flows[i]->asked_ms != 0) != (i < n))
			return (0);
	return (nasked == n);
}

static void
one_is_asked_for_one_syn(void **state)
{
	(void)state;
	syns_come(1);
	assert_true(were_asked(1));
	np.now_ms += PAUSE_MS;
	evict_idle(&np);
	assert_true(were_asked(1));
}

static void
the_tick_asks_for_all_that_came_together(void **state)
{
	(void)state;
	syns_come(4);
	assert_true(were_asked(1));
	np.now_ms += PAUSE_MS;
	evict_idle(&np);
	assert_true(were_asked(4));
}

static void
a_flood_asks_no_more_than_so_many_at_once(void **state)
{
	(void)state;
	syns_come(1000);
	np.now_ms += PAUSE_MS - 1;
	syns_come(1000);
	assert_true(were_asked(1));
	np.now_ms++;
	syns_come(1000);
	assert_true(were_asked(1 + AT_ONCE));
}

static void
who_is_in_use_or_called_the_guest_is_not_asked(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 1; i < NFLOWS; i++)
		flows[i]->used_ms = NOW_MS;
	flows[0]->inbound = 1;
	syns_come(3);
	assert_true(were_asked(0));
	flows[0]->inbound = 0;
	np.now_ms += PAUSE_MS;
	evict_idle(&np);
	assert_true(were_asked(1));
}

static void
whoever_was_in_use_within_half_a_minute_still_is(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < NFLOWS; i++)
		flows[i]->used_ms = NOW_MS - IDLE_MS + (i > 0);
	syns_come(2);
	np.now_ms += PAUSE_MS;
	flows[1]->used_ms = np.now_ms - IDLE_MS + 1;
	for (i = 2; i < NFLOWS; i++)
		flows[i]->used_ms = np.now_ms;
	evict_idle(&np);
	assert_true(were_asked(1));
}

static void
the_longest_idle_need_not_be_the_first(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < NFLOWS; i++)
		flows[i]->used_ms = NOW_MS - 2 * IDLE_MS - i;
	np.evict_wanted = 3;
	evict_idle(&np);
	assert_int_equal(nasked, 3);
	for (i = 0; i < NFLOWS; i++)
		assert_int_equal(flows[i]->asked_ms != 0, i >= NFLOWS - 3);
}

/* The link is gone, so a reset needs no room on it. */
static void
whoever_lives_has_half_a_second_to_say_so(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
			     fds),
	    0);
	assert_int_equal(channel_init(&np.relay, fds[0], ROLE_NETPROC,
			     ROLE_RELAYPROC, IPC_RECORD_MAX, 0),
	    0);
	np.relay.phase = IPC_RUN;
	np.frame_fd = -1;
	assert_int_equal(demux_init(&np.demux, 1), 0);
	flows[0]->pcb = tcp_new();
	assert_non_null(flows[0]->pcb);
	syns_come(1);
	np.now_ms += ANSWER_MS - 1;
	syns_come(1);
	assert_true(were_asked(2)); /* the first still has time */
	assert_int_equal(flows[0]->state, FLOW_ESTABLISHED);
	np.now_ms += PAUSE_MS;
	syns_come(1);
	assert_int_equal(flows[0]->state, FLOW_CLOSING);
	assert_int_equal(flows[1]->state, FLOW_ESTABLISHED);
	channel_close(&np.relay);
	close(fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_is_asked_for_one_syn),
		TEST(the_tick_asks_for_all_that_came_together),
		TEST(a_flood_asks_no_more_than_so_many_at_once),
		TEST(who_is_in_use_or_called_the_guest_is_not_asked),
		TEST(whoever_was_in_use_within_half_a_minute_still_is),
		TEST(the_longest_idle_need_not_be_the_first),
		TEST(whoever_lives_has_half_a_second_to_say_so),
	};

	lwip_init();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
