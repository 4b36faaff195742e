/*
 * What is taken out of a connection to the resolver: the guest's window opens
 * for it, its answers wait for their place, and the next connection knows
 * nothing of it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/dns_flow.h"
#include "netproc/netproc.h"

/* clang-format off */
static const uint8_t query[] = { 0, 31,
	0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0,
	4, 'h', 'o', 's', 't', 8, 'i', 'n', 't', 'e', 'r', 'n', 'a', 'l', 0,
	0, 1, 0, 1 };
/* clang-format on */
#define ANSWER_LEN (sizeof(query) + 16) /* and one address */

static struct netproc np;
static struct flow flow;
static struct tcp_pcb pcb;

static int
setup(void **state)
{
	(void)state;
	memset(&np, 0, sizeof(np));
	memset(&flow, 0, sizeof(flow));
	memset(&pcb, 0, sizeof(pcb));
	np.cfg.gateway = (struct ipc_addr){ 4, { 0 }, { 100, 96, 0, 1 } };
	flow.np = &np;
	flow.pcb = &pcb;
	block_queue_init(&flow.up);
	block_queue_init(&flow.down);
	return (blocks_init(&np.blocks, 16 * BLOCK_SIZE) == 0 &&
		    dns_flow_attach(&np, &flow) == 0 ?
		0 :
		-1);
}

static void
the_guests_window_opens_for_what_is_answered_here(void **state)
{
	(void)state;
	dns_flow_asked(&flow, query, sizeof(query));
	assert_int_equal(pcb.rcv_wnd, sizeof(query));
	assert_int_equal(flow.up.bytes, 0);
	dns_flow_insert(&flow);
	assert_int_equal(flow.down.bytes, ANSWER_LEN);
}

static void
the_next_connection_knows_nothing_of_half_a_message(void **state)
{
	(void)state;
	dns_flow_asked(&flow, query, sizeof(query) / 2);
	dns_flow_answered(&flow, query, sizeof(query) / 2);
	dns_flow_detach(&np, &flow);
	assert_int_equal(dns_flow_attach(&np, &flow), 0);
	dns_flow_asked(&flow, query, sizeof(query));
	dns_flow_insert(&flow);
	assert_int_equal(flow.down.bytes, ANSWER_LEN);
}

static void
answers_that_wait_go_with_their_connection(void **state)
{
	const size_t before = blocks_free_bytes(&np.blocks);

	(void)state;
	dns_flow_answered(&flow, query, sizeof(query) / 2);
	dns_flow_asked(&flow, query, sizeof(query));
	dns_flow_insert(&flow);
	assert_int_equal(flow.down.bytes, 0);
	assert_true(blocks_free_bytes(&np.blocks) < before);
	dns_flow_detach(&np, &flow);
	assert_int_equal(blocks_free_bytes(&np.blocks), before);
}

static void
no_more_answers_wait_than_may(void **state)
{
	size_t n;

	(void)state;
	for (n = 0; (n + 1) * ANSWER_LEN <= DNS_FLOW_ANSWERS_MAX; n++) {
		dns_flow_asked(&flow, query, sizeof(query));
		assert_int_equal(flow.broken, 0);
	}
	dns_flow_asked(&flow, query, sizeof(query));
	assert_int_not_equal(flow.broken, 0);
	assert_int_equal(flow.dns->answers.bytes, n * ANSWER_LEN);
}

static void
what_finds_no_room_breaks_the_flow(void **state)
{
	static const uint8_t block[BLOCK_SIZE];
	static const uint8_t other[] = { 0, 1, 'x' };
	struct block_queue hog;

	(void)state;
	block_queue_init(&hog);
	while (block_queue_append(&np.blocks, &hog, block, sizeof(block)) == 0)
		;
	dns_flow_asked(&flow, other, sizeof(other));
	assert_int_not_equal(flow.broken, 0);
	flow.broken = 0;
	dns_flow_asked(&flow, query, sizeof(query));
	assert_int_not_equal(flow.broken, 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(the_guests_window_opens_for_what_is_answered_here),
		T(the_next_connection_knows_nothing_of_half_a_message),
		T(answers_that_wait_go_with_their_connection),
		T(no_more_answers_wait_than_may),
		T(what_finds_no_room_breaks_the_flow),
	};

	return (cmocka_run_group_tests_name("dns_flow", tests, NULL, NULL));
}
