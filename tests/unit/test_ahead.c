/* What comes twice, ahead of its turn: nothing that waits is cut for it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ahead.h"
#include "netproc/netproc.h"

#define FIRST	0xfffffff0u /* so that numbers wrap */
#define SECOND	0x00000100u
#define LEN	100
#define TCP_LEN 20

static struct tcp_hdr headers[2];
static struct tcp_seg waits[2];
static struct tcp_pcb pcb;

static int
setup(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		headers[i].seqno = i == 0 ? FIRST : SECOND;
		waits[i].tcphdr = &headers[i];
		waits[i].len = LEN;
		waits[i].next = NULL;
	}
	waits[0].next = &waits[1];
	pcb.ooseq = &waits[0];
	return (0);
}

/* As what one of these numbers and so many bytes reaches lwIP. */
static uint32_t
number_of(uint32_t seq, size_t len)
{
	uint8_t tcp[TCP_LEN], as_it_was[TCP_LEN];

	memset(tcp, 0x5a, sizeof(tcp));
	seq = lwip_htonl(seq);
	memcpy(tcp + 4, &seq, sizeof(seq));
	memcpy(as_it_was, tcp, sizeof(tcp));
	ahead_spare(&pcb, tcp, len);
	memcpy(&seq, tcp + 4, sizeof(seq));
	memcpy(as_it_was + 4, &seq, sizeof(seq));
	assert_memory_equal(tcp, as_it_was, sizeof(tcp));
	return (lwip_ntohl(seq));
}

static void
a_part_of_one_that_waits_is_taken_for_its_beginning(void **state)
{
	(void)state;
	assert_int_equal(number_of(FIRST + 1, 1), FIRST);
	assert_int_equal(number_of(FIRST + 50, LEN - 50), FIRST);
	assert_int_equal(number_of(FIRST + LEN - 1, 1), FIRST);
	assert_int_equal(number_of(SECOND + 1, LEN - 1), SECOND);
}

static void
what_has_a_byte_of_its_own_stays_as_it_is(void **state)
{
	static const struct {
		uint32_t seq;
		size_t len;
	} news[] = { { FIRST - 1, LEN }, { FIRST - 1, 1 }, { FIRST, LEN },
		{ FIRST, LEN + 1 }, { FIRST + 1, LEN }, { FIRST + LEN, 1 },
		{ FIRST + 1, 0xffc0 }, { SECOND - 1, 2 }, { SECOND + 1, LEN },
		{ SECOND + LEN, 1 }, { SECOND + 2 * LEN, 1 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(news) / sizeof(news[0]); i++)
		assert_int_equal(number_of(news[i].seq, news[i].len),
		    news[i].seq);
	pcb.ooseq = NULL;
	assert_int_equal(number_of(FIRST + 1, 1), FIRST + 1);
}

static void
the_last_that_waits_may_be_the_end(void **state)
{
	(void)state;
	assert_ptr_equal(ahead_last(&pcb), &waits[1]);
	assert_false(ahead_has_fin(&pcb));
	TCPH_SET_FLAG(&headers[1], TCP_FIN);
	assert_true(ahead_has_fin(&pcb));
	TCPH_UNSET_FLAG(&headers[1], TCP_FIN);
	pcb.ooseq = NULL;
	assert_null(ahead_last(&pcb));
	assert_false(ahead_has_fin(&pcb));
}

/* Of all flows together, each as it is now. */
static void
what_waits_is_counted_once(void **state)
{
	static struct netproc np;
	static struct flow flow;
	size_t both;
	void *bytes[2] = { malloc(1000), malloc(1000) };

	(void)state;
	assert_non_null(bytes[0]);
	assert_non_null(bytes[1]);
	waits[0].p = bytes[0];
	waits[1].p = bytes[1];
	np.ahead_bytes = 5; /* another flow's */
	flow.np = &np;
	flow.pcb = &pcb;
	ahead_count(&flow);
	both = flow.ahead_bytes;
	assert_true(both >= 2000 + 2 * sizeof(struct tcp_seg));
	ahead_count(&flow);
	assert_int_equal(flow.ahead_bytes, both);
	assert_int_equal(np.ahead_bytes, both + 5);
	waits[0].next = NULL;
	ahead_count(&flow);
	assert_int_equal(flow.ahead_bytes, both / 2);
	assert_int_equal(np.ahead_bytes, both / 2 + 5);
	flow.pcb = NULL;
	ahead_count(&flow);
	assert_int_equal(flow.ahead_bytes, 0);
	assert_int_equal(np.ahead_bytes, 5);
	np.ahead_bytes = AHEAD_BYTES_MAX - 1;
	assert_false(ahead_is_full(&np));
	np.ahead_bytes = AHEAD_BYTES_MAX;
	assert_true(ahead_is_full(&np));
	free(bytes[0]);
	free(bytes[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    a_part_of_one_that_waits_is_taken_for_its_beginning, setup),
		cmocka_unit_test_setup(
		    what_has_a_byte_of_its_own_stays_as_it_is, setup),
		cmocka_unit_test_setup(what_waits_is_counted_once, setup),
		cmocka_unit_test_setup(the_last_that_waits_may_be_the_end,
		    setup),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
