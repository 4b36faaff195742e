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

#define TICKS 16 /* of 250 ms: lwIP would have let go of them */
#define MORE  100

static const uint8_t key[16];
static struct demux demux;

static int
setup(void **state)
{
	(void)state;
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
		(void)demux_tick(&demux, key);
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
	last_acks(DEMUX_LAST_ACKS_MAX + MORE, 0);
	assert_true(left_after(TICKS) <= DEMUX_LAST_ACKS_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_acknowledgment_is_waited_for),
		TEST(it_is_given_up_after_a_minute_of_retransmissions),
		TEST(more_than_so_many_have_a_second_each),
	};

	lwip_init();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
