/*
 * How much the pump lets in, from either side: the windows that the guest is
 * given, and what is read of the host for the window that the guest gives; and
 * what is taken for the host's end.
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

#include "netproc/flow/pump.h"
#include "netproc/flow/turn.h"
#include "netproc/netproc.h"

#define MSS	  1448
#define BIG_MSS	  31868 /* as tcp.c enlarges that */
#define WINDOW	  (256 * 1024)
#define HOST_DATA 100000
#define FEW	  4
#define MANY	  17

static struct netproc np;
static struct flow flow;
static struct tcp_pcb pcb;
static struct block_queue hog;
static int host = -1;

static int
setup(void **state)
{
	static uint8_t data[HOST_DATA];
	int fds[2];

	(void)state;
	memset(&np, 0, sizeof(np));
	memset(&flow, 0, sizeof(flow));
	memset(&pcb, 0, sizeof(pcb));
	np.base = event_base_new();
	if (np.base == NULL || turn_init(&np) == -1 ||
	    blocks_init(&np.blocks, BLOCK_POOL_BYTES) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
		return (-1);
	block_queue_init(&hog);
	block_queue_init(&flow.up);
	block_queue_init(&flow.down);
	flow.np = &np;
	flow.pcb = &pcb;
	flow.fd = fds[0];
	flow.readable = 1;
	flow.guest_mss = MSS;
	flow.window = WINDOW;
	pcb.state = ESTABLISHED;
	pcb.flags = TF_WND_SCALE;
	pcb.mss = BIG_MSS;
	pcb.snd_buf = TCP_SND_BUF;
	pcb.cwnd = TCP_SND_BUF;
	pcb.snd_wnd_max = WINDOW;
	host = fds[1];
	return (write(host, data, sizeof(data)) > 0 ? 0 : -1);
}

static int
teardown(void **state)
{
	(void)state;
	close(flow.fd);
	close(host);
	event_free(np.ev_look);
	event_base_free(np.base);
	return (0);
}

/* Somebody else holds all but so many bytes of the pool. */
static void
leave_free(size_t bytes)
{
	static const uint8_t block[BLOCK_SIZE];

	while (blocks_free_bytes(&np.blocks) > bytes)
		assert_int_equal(block_queue_append(&np.blocks, &hog, block,
				     sizeof(block)),
		    0);
}

/* n bytes came from the guest, and the host's socket took them. */
static void
pass(uint32_t n)
{
	pcb.rcv_nxt += n;
	pcb.rcv_wnd -= n;
	pump_window_open(&flow, n);
}

static void
begin(uint32_t window)
{
	flow.window = window;
	pcb.rcv_wnd = window;
	pcb.rcv_ann_wnd = window;
	pcb.rcv_ann_right_edge = pcb.rcv_nxt + window;
}

static void
a_window_grows_while_the_pool_is_empty_and_shrinks_as_it_fills(void **state)
{
	int i;

	(void)state;
	begin(pump_window_first(&flow));
	assert_int_equal(flow.window, WINDOW);
	pass(WINDOW);
	assert_int_equal(flow.window, 2 * WINDOW);
	assert_int_equal(pcb.rcv_wnd, 2 * WINDOW);
	leave_free(BLOCK_POOL_BYTES / 2);
	for (i = 0; i < 100; i++)
		pass(10000);
	assert_int_equal(flow.window, BLOCK_SIZE);
	assert_int_equal(pcb.rcv_wnd, BLOCK_SIZE);
	block_queue_clear(&np.blocks, &hog, 0, 0);
	for (i = 0; i < 1000; i++)
		pass(10000);
	assert_true(flow.window > WINDOW);
}

/* lwIP's is all that it can be told of. */
static void
a_window_without_a_scale_stays_as_it_is(void **state)
{
	int i;

	(void)state;
	pcb.flags = 0;
	begin(UINT16_MAX);
	pass(UINT16_MAX);
	leave_free(BLOCK_POOL_BYTES / 2);
	for (i = 0; i < 100; i++)
		pass(10000);
	assert_int_equal(flow.window, UINT16_MAX);
	assert_int_equal(pcb.rcv_wnd, UINT16_MAX);
}

/* More would stand in the guest's queues. */
static void
a_window_that_passes_slowly_does_not_grow(void **state)
{
	(void)state;
	begin(WINDOW);
	np.flows.nawake = MANY;
	pass(WINDOW / 2);
	np.now_ms += 40;
	pass(WINDOW / 2);
	assert_int_equal(flow.window, WINDOW);
	/* What was slow once may be fast now. */
	np.now_ms += 1000;
	pass(WINDOW / 2);
	np.now_ms += 20;
	pass(WINDOW / 2);
	assert_int_equal(flow.window, 2 * WINDOW);
}

/* A link of a long delay has nothing but its windows. */
static void
a_few_that_pass_slowly_grow_to_a_bound(void **state)
{
	int i;

	(void)state;
	begin(WINDOW);
	np.flows.nawake = FEW;
	for (i = 0; i < 64; i++) {
		pass(flow.window / 2);
		np.now_ms += 40;
		pass(flow.window - flow.window / 2);
		np.now_ms += 40;
	}
	assert_int_equal(flow.window, 8 * WINDOW);
}

static void
no_window_is_less_than_two_segments_of_the_guest(void **state)
{
	int i;

	(void)state;
	flow.guest_mss = 65480;
	begin(WINDOW);
	leave_free(0);
	for (i = 0; i < 100; i++)
		pass(10000);
	assert_int_equal(flow.window, 2 * 65480);
	/* So that one may be sent whenever the guest is told of it. */
	begin(flow.window);
	pcb.rcv_wnd -= 2 * 65480;
	pcb.rcv_nxt += 2 * 65480;
	pump_window_open(&flow, 65480);
	assert_int_equal(pcb.rcv_ann_wnd, 65480);
	assert_int_equal(flow.ack_owed, 1);
}

/* What is left of it would be too short for the guest's next segment. */
static void
a_small_window_is_told_of_when_half_of_it_is_open(void **state)
{
	(void)state;
	leave_free(BLOCK_POOL_BYTES / 2);
	begin(BLOCK_SIZE);
	pass(22 * MSS);
	assert_int_equal(pcb.rcv_ann_wnd, BLOCK_SIZE);
	assert_int_equal(flow.ack_owed, 1);
}

static void
a_window_that_is_open_enough_is_not_told_of(void **state)
{
	(void)state;
	begin(WINDOW);
	leave_free(BLOCK_POOL_BYTES / 2 + 8 * WINDOW);
	pass(MSS);
	assert_int_equal(flow.ack_owed, 0);
}

static void
what_the_guest_has_no_window_for_stays_with_the_host(void **state)
{
	(void)state;
	pcb.snd_wnd = 0;
	pump_down(&flow);
	assert_int_equal(flow.down.bytes, 0);
	assert_int_equal(flow.readable, 1);
	pcb.snd_wnd = 10000;
	pump_down(&flow);
	assert_int_equal(flow.down.bytes, 10000);
	pump_down(&flow);
	assert_int_equal(flow.down.bytes, 10000);
}

/* RFC 9293 3.8.6.2.1: no segment of a few bytes after another. */
static void
a_crack_of_a_window_waits_for_what_is_under_way(void **state)
{
	(void)state;
	pcb.snd_wnd = 10000;
	pump_down(&flow);
	pcb.snd_wnd = 10000 + MSS - 1;
	pump_down(&flow);
	assert_int_equal(flow.down.bytes, 10000);
	pcb.snd_wnd = 10000 + MSS;
	pump_down(&flow);
	assert_int_equal(flow.down.bytes, 10000 + MSS);
}

static void
a_flow_has_a_block_where_others_have_taken_the_rest(void **state)
{
	(void)state;
	pcb.snd_wnd = WINDOW;
	leave_free(2 * BLOCK_RESERVE);
	pump_down(&flow);
	assert_int_equal(flow.down.bytes, BLOCK_SIZE);
}

/* Else its next read would be a short one, and cost as much as a long one. */
static void
a_bulk_flow_that_finds_the_link_full_stays_one(void **state)
{
	(void)state;
	pcb.snd_wnd = WINDOW;
	flow.is_bulk = 1;
	np.writer.bytes = FRAME_QUEUE_BYTES;
	pump_down(&flow);
	assert_int_equal(flow.down.bytes, 0);
	assert_int_equal(flow.is_bulk, 1);
	np.writer.bytes = 0;
	pump_down(&flow);
	assert_int_equal(flow.down.bytes, HOST_DATA);
	assert_int_equal(flow.is_bulk, 0);
}

/* Reads all that the host sent, and looks once more. */
static void
read_out(void)
{
	pcb.snd_wnd = WINDOW;
	flow.hung_up = 1;
	pump_down(&flow);
	assert_int_equal(flow.down.bytes, HOST_DATA);
}

static void
a_stream_whose_end_nobody_said_has_lost_relayproc(void **state)
{
	(void)state;
	flow.spliced = 1;
	shutdown(host, SHUT_WR);
	read_out();
	assert_int_equal(flow.broken, ECONNRESET);
	assert_int_equal(flow.host_fin, 0);
}

static void
a_lent_sockets_end_is_the_hosts_fin(void **state)
{
	(void)state;
	shutdown(host, SHUT_WR);
	read_out();
	assert_int_equal(flow.broken, 0);
	assert_int_equal(flow.host_fin, 1);
}

static void
an_end_that_was_said_comes_after_the_bytes_before_it(void **state)
{
	(void)state;
	flow.spliced = 1;
	flow.ended = FLOW_END_FIN;
	read_out();
	assert_int_equal(flow.broken, 0);
	assert_int_equal(flow.host_fin, 1);
}

static void
so_does_a_reset_that_was_said(void **state)
{
	(void)state;
	flow.spliced = 1;
	flow.ended = FLOW_END_RESET;
	read_out();
	assert_int_equal(flow.broken, ECONNRESET);
	assert_int_equal(flow.host_fin, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_window_grows_while_the_pool_is_empty_and_shrinks_as_it_fills,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_window_without_a_scale_stays_as_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_window_that_passes_slowly_does_not_grow, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_few_that_pass_slowly_grow_to_a_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    no_window_is_less_than_two_segments_of_the_guest, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_small_window_is_told_of_when_half_of_it_is_open, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_window_that_is_open_enough_is_not_told_of, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    what_the_guest_has_no_window_for_stays_with_the_host, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_crack_of_a_window_waits_for_what_is_under_way, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_flow_has_a_block_where_others_have_taken_the_rest, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_bulk_flow_that_finds_the_link_full_stays_one, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_stream_whose_end_nobody_said_has_lost_relayproc, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_lent_sockets_end_is_the_hosts_fin, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    an_end_that_was_said_comes_after_the_bytes_before_it, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(so_does_a_reset_that_was_said,
		    setup, teardown),
	};

	lwip_init();
	return (cmocka_run_group_tests_name("pump", tests, NULL, NULL));
}
