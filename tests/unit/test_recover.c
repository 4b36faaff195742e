/* What lwIP is told to send again, and when: the flights are made up. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/flow.h"
#include "netproc/flow/recover.h"
#include "netproc/netproc.h"

#define FIRST  0xfffff000u /* so that numbers wrap */
#define MSS    1000
#define FRAMES 10
#define LEN    (FRAMES * MSS)
#define N      3

static struct netproc netproc;
static struct flow flow;
static struct tcp_pcb pcb;
static struct tcp_hdr headers[N];
static struct tcp_seg segs[N];
static unsigned int again; /* so often was something sent again */

/* In place of lwIP's. */
err_t
tcp_rexmit(struct tcp_pcb *p)
{
	assert_ptr_equal(p, &pcb);
	again++;
	return (ERR_OK);
}

err_t
tcp_output(struct tcp_pcb *p)
{
	assert_ptr_equal(p, &pcb);
	return (ERR_OK);
}

/* N segments are in flight. */
static int
setup(void **state)
{
	size_t i;

	(void)state;
	memset(&flow, 0, sizeof(flow));
	memset(&pcb, 0, sizeof(pcb));
	for (i = 0; i < N; i++) {
		headers[i].seqno = lwip_htonl(FIRST + (uint32_t)i * LEN);
		segs[i].tcphdr = &headers[i];
		segs[i].len = LEN;
		segs[i].next = i + 1 < N ? &segs[i + 1] : NULL;
	}
	flow.np = &netproc;
	flow.pcb = &pcb;
	flow.guest_mss = MSS;
	netproc.now_ms = 1000;
	pcb.unacked = segs;
	pcb.lastack = FIRST;
	pcb.snd_nxt = FIRST + N * LEN;
	again = 0;
	recover_look(&flow);
	return (0);
}

/* lwIP has sent the first again, as the guest wished. */
static void
fast_retransmit(void)
{
	tcp_set_flags(&pcb, TF_INFR);
	pcb.dupacks = 3;
	recover_look(&flow);
	assert_int_equal(again, 0);
}

/* As lwIP takes it: so many bytes of the flight. */
static void
acknowledge(uint32_t bytes)
{
	tcp_clear_flags(&pcb, TF_INFR);
	pcb.dupacks = 0;
	pcb.lastack = FIRST + bytes;
	pcb.unacked = bytes < N * LEN ? &segs[bytes / LEN] : NULL;
	recover_look(&flow);
}

static void
duplicates(u8_t n)
{
	pcb.dupacks = n;
	recover_look(&flow);
}

static void
an_end_before_that_of_the_flight_is_another_loss(void **state)
{
	(void)state;
	fast_retransmit();
	acknowledge(LEN + 2 * MSS);
	assert_int_equal(again, 1);
	assert_true((pcb.flags & TF_INFR) != 0);
	acknowledge(2 * LEN + MSS);
	assert_int_equal(again, 2);
	acknowledge(N * LEN);
	assert_int_equal(again, 2);
	assert_true((pcb.flags & TF_INFR) == 0);
	assert_int_equal(flow.recovery.active, 0);
}

/* The first begins where the repetition ends, of the next a part has come. */
static void
what_is_sent_again_has_an_end_of_its_own(void **state)
{
	(void)state;
	fast_retransmit();
	acknowledge(LEN);
	assert_int_equal(again, 1);
	acknowledge(LEN + MSS);
	assert_int_equal(again, 1);
	acknowledge(2 * LEN);
	assert_int_equal(again, 2);
}

static void
what_was_sent_after_the_repetition_is_no_loss_yet(void **state)
{
	(void)state;
	pcb.snd_nxt = FIRST + 2 * LEN;
	recover_look(&flow);
	pcb.snd_nxt = FIRST + N * LEN;
	fast_retransmit();
	acknowledge(2 * LEN);
	assert_int_equal(again, 0);
	assert_int_equal(flow.recovery.active, 0);
}

static void
without_a_loss_nothing_is_sent_again(void **state)
{
	(void)state;
	acknowledge(LEN);
	acknowledge(LEN + MSS);
	recover_tick(&flow);
	assert_int_equal(again, 0);
}

static void
a_hole_in_what_was_sent_again_is_on_its_way(void **state)
{
	(void)state;
	fast_retransmit();
	acknowledge(4 * MSS);
	assert_int_equal(again, 0);
	/* Not for the acknowledgments of what comes twice. */
	assert_true((pcb.flags & TF_INFR) != 0);
	duplicates(FRAMES - 4 + 3);
	assert_int_equal(again, 0);
	/* More than that has come since: it is lost again. */
	duplicates(FRAMES - 4 + 4);
	assert_int_equal(again, 1);
	assert_int_equal(pcb.dupacks, 0);
}

static void
duplicates_from_before_the_repetition_say_nothing(void **state)
{
	(void)state;
	fast_retransmit();
	duplicates(100);
	assert_int_equal(again, 0);
}

static void
what_is_lost_twice_comes_before_the_timer_and_once(void **state)
{
	(void)state;
	fast_retransmit();
	netproc.now_ms += 199;
	recover_tick(&flow);
	assert_int_equal(again, 0);
	netproc.now_ms += 1;
	recover_tick(&flow);
	assert_int_equal(again, 1);
	netproc.now_ms += 10000;
	recover_tick(&flow);
	assert_int_equal(again, 1);
}

static void
after_the_timer_all_comes_again_anyway(void **state)
{
	(void)state;
	fast_retransmit();
	tcp_set_flags(&pcb, TF_RTO);
	acknowledge(LEN + MSS);
	assert_int_equal(again, 0);
	assert_int_equal(flow.recovery.active, 0);
}

static void
a_connection_that_has_gone_is_left_alone(void **state)
{
	(void)state;
	fast_retransmit();
	flow.pcb = NULL;
	netproc.now_ms += 1000;
	recover_tick(&flow);
	assert_int_equal(again, 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(an_end_before_that_of_the_flight_is_another_loss),
		T(what_is_sent_again_has_an_end_of_its_own),
		T(what_was_sent_after_the_repetition_is_no_loss_yet),
		T(without_a_loss_nothing_is_sent_again),
		T(a_hole_in_what_was_sent_again_is_on_its_way),
		T(duplicates_from_before_the_repetition_say_nothing),
		T(what_is_lost_twice_comes_before_the_timer_and_once),
		T(after_the_timer_all_comes_again_anyway),
		T(a_connection_that_has_gone_is_left_alone),
	};

	return (cmocka_run_group_tests_name("recover", tests, NULL, NULL));
}
