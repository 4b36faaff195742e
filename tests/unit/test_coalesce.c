/*
 * Which segments wait for each other, and as what they reach lwIP.  What
 * coalesce.c calls is below, so that each passing-on is seen.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ack.h"
#include "netproc/flow/ahead.h"
#include "netproc/flow/coalesce.h"
#include "netproc/flow/tcp.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

#define MSS	1448
#define IP_LEN	20
#define L2_LEN	14
#define PLAIN	20
#define STAMPED 32
#define WINDOW	1000000
#define FRAMES	64
#define FIRST	0xfffff000u /* so that numbers wrap */
#define ACK	SHIELD_TCP_ACK
#define UNSENT	0x7fffffffu

static struct netproc np;
static struct flow flows[2];
static struct tcp_pcb pcbs[2];
static uint8_t frames[FRAMES][L2_LEN + IP_LEN + STAMPED + MSS];
static size_t next_frame;

/* What was passed on last, and how often something was. */
static struct coalesce passed;
static size_t n_passed, entered, n_after;
static struct flow *after;
static int ahead_fin, ahead_full;
static const struct tcp_seg *ahead_end;
static size_t spared; /* bytes, of the last that was looked at for that */

int
ack_is_acceptable(const struct tcp_pcb *pcb, uint32_t ack)
{
	assert_true(pcb == &pcbs[0] || pcb == &pcbs[1]);
	return (ack != UNSENT);
}

int
ahead_has_fin(const struct tcp_pcb *pcb)
{
	assert_ptr_equal(pcb, &pcbs[0]);
	return (ahead_fin);
}

const struct tcp_seg *
ahead_last(const struct tcp_pcb *pcb)
{
	assert_ptr_equal(pcb, &pcbs[0]);
	return (ahead_end);
}

void
ahead_spare(const struct tcp_pcb *pcb, uint8_t *tcp, size_t len)
{
	assert_ptr_equal(pcb, &pcbs[0]);
	assert_ptr_equal(tcp, np.coalesce.packet + np.coalesce.l4_off);
	spared = len;
}

int
ahead_is_full(const struct netproc *self)
{
	assert_ptr_equal(self, &np);
	return (ahead_full);
}

void
demux_enter(struct demux *demux, uint64_t hash)
{
	assert_ptr_equal(demux, &np.demux);
	assert_int_equal(hash, np.coalesce.hash);
	entered++;
}

void
demux_leave(struct demux *demux)
{
	assert_ptr_equal(demux, &np.demux);
	assert_int_equal(entered, 1);
	entered--;
}

void
netif_tcp_input_pieces(struct netproc *self, const struct coalesce *c)
{
	assert_ptr_equal(self, &np);
	assert_int_equal(entered, 1);
	assert_null(c->flow); /* what comes of it may add to a new one */
	passed = *c;
	n_passed++;
}

void
tcp_after_input(struct flow *flow)
{
	after = flow;
	n_after++;
}

static int
setup(void **state)
{
	size_t i;

	(void)state;
	memset(&np, 0, sizeof(np));
	memset(flows, 0, sizeof(flows));
	memset(pcbs, 0, sizeof(pcbs));
	for (i = 0; i < 2; i++) {
		flows[i].state = FLOW_ESTABLISHED;
		flows[i].pcb = &pcbs[i];
		pcbs[i].state = ESTABLISHED;
		pcbs[i].rcv_nxt = FIRST;
		pcbs[i].rcv_wnd = WINDOW;
	}
	next_frame = n_passed = n_after = 0;
	after = NULL;
	ahead_fin = ahead_full = 0;
	ahead_end = NULL;
	spared = 0;
	return (0);
}

struct segment {
	uint32_t seq;
	size_t len;
	uint8_t flags;
	uint16_t header_len;
	uint32_t ack;
	uint16_t window;
	uint8_t option; /* kind of the third byte of the options */
};

static const struct segment plain = {
	.seq = FIRST,
	.len = MSS,
	.flags = ACK,
	.header_len = STAMPED,
	.option = 8,
};

/* The frame's place in the read, as the shield describes it. */
static int
add(struct flow *flow, const struct segment *segment)
{
	uint8_t *frame = frames[next_frame++];
	uint8_t *tcp = frame + L2_LEN + IP_LEN;
	struct shield_frame sf;
	const uint32_t ack = htonl(segment->ack);
	const uint16_t window = htons(segment->window);

	memset(&sf, 0, sizeof(sf));
	sf.l3_off = L2_LEN;
	sf.l4_off = L2_LEN + IP_LEN;
	sf.payload_off = sf.l4_off + segment->header_len;
	sf.payload_len = segment->len;
	sf.tcp_header_len = segment->header_len;
	sf.tcp_seq = segment->seq;
	sf.tcp_ack = segment->ack;
	sf.tcp_flags = segment->flags;
	memset(tcp, 0, STAMPED);
	memset(tcp + PLAIN, 0x5a, STAMPED - PLAIN); /* any timestamps */
	memcpy(tcp + 8, &ack, sizeof(ack));
	tcp[13] = segment->flags;
	memcpy(tcp + 14, &window, sizeof(window));
	memcpy(tcp + PLAIN, "\1\1\0\12", 4);
	tcp[PLAIN + 2] = segment->option;
	return (coalesce_add(&np, flow, (uint64_t)(flow - flows), frame, &sf));
}

/* Adds n plain segments, one behind the other. */
static struct segment
add_run(struct flow *flow, size_t n)
{
	struct segment segment = plain;
	size_t i;

	for (i = 0; i < n; i++) {
		assert_int_equal(add(flow, &segment), 1);
		segment.seq += MSS;
	}
	return (segment);
}

static void
nothing_that_waits_is_nothing_to_pass_on(void **state)
{
	(void)state;
	coalesce_flush(&np);
	assert_int_equal(n_passed, 0);
	assert_int_equal(n_after, 0);
}

static void
segments_in_order_are_passed_on_as_one(void **state)
{
	struct segment segment = plain;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		segment.ack = 100 + (uint32_t)i;
		segment.window = (uint16_t)(500 + i);
		segment.flags = i == 2 ? ACK | SHIELD_TCP_PSH : ACK;
		assert_int_equal(add(&flows[0], &segment), 1);
		segment.seq += MSS; /* past 2^32 */
	}
	assert_int_equal(n_passed, 0);
	coalesce_flush(&np);
	assert_int_equal(n_passed, 1);
	assert_int_equal(passed.n, 3);
	assert_int_equal(passed.bytes, 3 * MSS);
	assert_ptr_equal(passed.packet, frames[0] + L2_LEN);
	for (i = 0; i < 3; i++) {
		assert_ptr_equal(passed.piece[i].bytes,
		    frames[i] + L2_LEN + IP_LEN + STAMPED);
		assert_int_equal(passed.piece[i].len, MSS);
	}
	assert_int_equal(n_after, 1);
	assert_ptr_equal(after, &flows[0]);
	coalesce_flush(&np);
	assert_int_equal(n_passed, 1);
}

static void
the_whole_acknowledges_what_its_last_did(void **state)
{
	struct segment segment = plain;
	const uint8_t *tcp = frames[0] + L2_LEN + IP_LEN;
	uint32_t ack;
	uint16_t window;

	(void)state;
	segment.ack = 7;
	segment.window = 8;
	assert_int_equal(add(&flows[0], &segment), 1);
	segment.seq += MSS;
	segment.ack = 0xfffffff0;
	segment.window = 0;
	segment.flags |= SHIELD_TCP_PSH;
	assert_int_equal(add(&flows[0], &segment), 1);
	coalesce_flush(&np);
	memcpy(&ack, tcp + 8, sizeof(ack));
	memcpy(&window, tcp + 14, sizeof(window));
	assert_int_equal(ntohl(ack), 0xfffffff0);
	assert_int_equal(ntohs(window), 0);
	assert_int_equal(tcp[13], ACK | SHIELD_TCP_PSH);
}

static void
a_gap_or_an_overlap_ends_the_run(void **state)
{
	static const int off[] = { 1, -1, MSS, -MSS };
	struct segment segment;
	size_t i;

	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		setup(state);
		segment = add_run(&flows[0], 2);
		segment.seq += (uint32_t)off[i];
		/* lwIP has not moved: it cannot begin one either. */
		assert_int_equal(add(&flows[0], &segment), 0);
		assert_int_equal(n_passed, 1);
		assert_int_equal(passed.n, 2);
		assert_null(np.coalesce.flow);
	}
}

static void
what_is_not_lwips_next_waits_for_nobody(void **state)
{
	struct segment segment = plain;

	(void)state;
	segment.seq = FIRST + 1;
	assert_int_equal(add(&flows[0], &segment), 0);
	segment.seq = FIRST - 1;
	assert_int_equal(add(&flows[0], &segment), 0);
	assert_int_equal(n_passed, 0);
}

static void
only_plain_segments_wait(void **state)
{
	static const struct segment others[] = {
		/* seq, len, flags, header_len, ack, window, option */
		{ FIRST, MSS, 0, STAMPED, 0, 0, 8 },
		{ FIRST, MSS, SHIELD_TCP_PSH, STAMPED, 0, 0, 8 },
		{ FIRST, MSS, ACK | SHIELD_TCP_FIN, STAMPED, 0, 0, 8 },
		{ FIRST, MSS, ACK | SHIELD_TCP_SYN, STAMPED, 0, 0, 8 },
		{ FIRST, MSS, ACK | SHIELD_TCP_RST, STAMPED, 0, 0, 8 },
		{ FIRST, MSS, ACK | 0x20, STAMPED, 0, 0, 8 },
		{ FIRST, MSS, ACK | 0x40, STAMPED, 0, 0, 8 },
		{ FIRST, MSS, ACK | 0x80, STAMPED, 0, 0, 8 },
		{ FIRST, 0, ACK, STAMPED, 0, 0, 8 },
		{ FIRST, MSS, ACK, STAMPED, 0, 0, 5 }, /* SACK: lwIP's */
		{ FIRST, MSS, ACK, 24, 0, 0, 8 },
		{ FIRST, MSS, ACK, STAMPED, UNSENT, 0, 8 },
		{ FIRST, MSS, ACK, PLAIN, 0, 0, 0 }, /* this one does */
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(add(&flows[0], &others[i]),
		    others[i].header_len == PLAIN);
}

static void
what_is_not_plain_leaves_those_that_wait(void **state)
{
	struct segment segment = add_run(&flows[0], 2);

	(void)state;
	segment.flags = ACK | SHIELD_TCP_FIN;
	assert_int_equal(add(&flows[0], &segment), 0);
	/* Its caller passes them on, before it does so with the FIN. */
	assert_int_equal(n_passed, 0);
	coalesce_flush(&np);
	assert_int_equal(passed.n, 2);
}

static void
headers_of_two_lengths_do_not_mix(void **state)
{
	struct segment segment = add_run(&flows[0], 2);

	(void)state;
	pcbs[0].rcv_nxt = segment.seq; /* as after the passing-on */
	segment.header_len = PLAIN;
	assert_int_equal(add(&flows[0], &segment), 1);
	assert_int_equal(n_passed, 1);
	assert_int_equal(passed.n, 2);
	coalesce_flush(&np);
	assert_int_equal(passed.n, 1);
	assert_int_equal(passed.header_len, PLAIN);
}

static void
two_flows_do_not_mix(void **state)
{
	struct segment segment = plain;

	(void)state;
	add_run(&flows[0], 2);
	assert_int_equal(add(&flows[1], &segment), 1);
	assert_int_equal(n_passed, 1);
	assert_ptr_equal(after, &flows[0]);
	coalesce_flush(&np);
	assert_int_equal(n_passed, 2);
	assert_int_equal(passed.n, 1);
	assert_ptr_equal(after, &flows[1]);
}

static void
no_more_wait_than_there_are_places(void **state)
{
	struct segment segment = plain;
	size_t i;

	(void)state;
	segment.len = 100;
	for (i = 0; i < COALESCE_MAX; i++) {
		assert_int_equal(add(&flows[0], &segment), 1);
		segment.seq += 100;
	}
	assert_int_equal(n_passed, 0);
	pcbs[0].rcv_nxt = segment.seq;
	assert_int_equal(add(&flows[0], &segment), 1);
	assert_int_equal(n_passed, 1);
	assert_int_equal(passed.n, COALESCE_MAX);
	assert_int_equal(np.coalesce.n, 1);
}

static void
the_whole_fits_the_length_of_a_packet(void **state)
{
	struct segment segment = plain;
	const size_t fit = (65535 - 60) / MSS;

	(void)state;
	segment = add_run(&flows[0], fit);
	assert_int_equal(n_passed, 0);
	pcbs[0].rcv_nxt = segment.seq;
	assert_int_equal(add(&flows[0], &segment), 1);
	assert_int_equal(n_passed, 1);
	assert_true(passed.bytes + 60 <= 65535);
	assert_int_equal(passed.n, fit);
}

static void
no_more_wait_than_the_window_takes(void **state)
{
	struct segment segment = plain;

	(void)state;
	pcbs[0].rcv_wnd = MSS - 1;
	assert_int_equal(add(&flows[0], &segment), 0);
	pcbs[0].rcv_wnd = 2 * MSS;
	segment = add_run(&flows[0], 2);
	/* lwIP's window at the time of the passing-on decides of the next. */
	pcbs[0].rcv_nxt = segment.seq;
	pcbs[0].rcv_wnd = 0;
	assert_int_equal(add(&flows[0], &segment), 0);
	assert_int_equal(n_passed, 1);
	assert_int_equal(passed.n, 2);
}

static void
nothing_waits_behind_what_came_out_of_order(void **state)
{
	struct segment segment = plain;
	struct tcp_seg ooseq;

	(void)state;
	pcbs[0].ooseq = &ooseq;
	assert_int_equal(add(&flows[0], &segment), 0);
	pcbs[0].ooseq = NULL;
	pcbs[0].state = CLOSE_WAIT;
	assert_int_equal(add(&flows[0], &segment), 0);
	pcbs[0].state = ESTABLISHED;
	flows[0].state = FLOW_ACCEPTING;
	assert_int_equal(add(&flows[0], &segment), 0);
	flows[0].state = FLOW_ESTABLISHED;
	flows[0].pcb = NULL;
	assert_int_equal(add(&flows[0], &segment), 0);
}

/* A guest with SACK, one of whose segments is missing. */
static struct segment
after_a_gap(void)
{
	struct segment segment = plain;

	pcbs[0].flags = TF_SACK;
	segment.seq += MSS;
	return (segment);
}

static void
segments_ahead_of_their_turn_are_passed_on_as_one(void **state)
{
	struct segment segment = after_a_gap();
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(add(&flows[0], &segment), 1);
		segment.seq += MSS;
	}
	/* Behind another gap others begin. */
	segment.seq += MSS;
	assert_int_equal(add(&flows[0], &segment), 1);
	assert_int_equal(n_passed, 1);
	assert_int_equal(passed.n, 3);
	assert_int_equal(passed.ahead, 1);
	assert_int_equal(spared, 3 * MSS);
	coalesce_flush(&np);
	assert_int_equal(n_passed, 2);
	assert_int_equal(passed.n, 1);
	assert_int_equal(passed.ahead, 1);
}

static void
what_is_in_order_does_not_mix_with_what_is_ahead(void **state)
{
	struct segment segment;

	(void)state;
	pcbs[0].flags = TF_SACK;
	segment = add_run(&flows[0], 2);
	segment.seq += MSS;
	assert_int_equal(add(&flows[0], &segment), 1);
	assert_int_equal(passed.n, 2);
	assert_int_equal(passed.ahead, 0);
	/* The one that was missing. */
	segment.seq -= MSS;
	pcbs[0].rcv_nxt = segment.seq;
	assert_int_equal(add(&flows[0], &segment), 1);
	assert_int_equal(n_passed, 2);
	assert_int_equal(passed.n, 1);
	assert_int_equal(passed.ahead, 1);
	spared = 0;
	coalesce_flush(&np);
	assert_int_equal(passed.ahead, 0);
	assert_int_equal(spared, 0);
}

static void
what_begins_with_the_last_that_waits_waits_for_nobody(void **state)
{
	struct segment segment = after_a_gap();
	struct tcp_hdr header = { .seqno = FIRST + 2 * MSS };
	const struct tcp_seg last = { .tcphdr = &header, .len = MSS };

	(void)state;
	ahead_end = &last;
	segment.seq = header.seqno;
	assert_int_equal(add(&flows[0], &segment), 0);
	segment.seq += MSS;
	assert_int_equal(add(&flows[0], &segment), 1);
	segment.seq = header.seqno - MSS;
	assert_int_equal(add(&flows[0], &segment), 1);
}

static void
a_guest_without_sack_counts_acknowledgments(void **state)
{
	struct segment segment = after_a_gap();

	(void)state;
	pcbs[0].flags = 0;
	assert_int_equal(add(&flows[0], &segment), 0);
}

static void
no_more_wait_ahead_than_may(void **state)
{
	struct segment segment = after_a_gap();

	(void)state;
	ahead_fin = 1; /* data past the guest's end */
	assert_int_equal(add(&flows[0], &segment), 0);
	ahead_fin = 0;
	ahead_full = 1;
	assert_int_equal(add(&flows[0], &segment), 0);
	ahead_full = 0;
	pcbs[0].rcv_wnd = 3 * MSS;
	assert_int_equal(add(&flows[0], &segment), 1);
	segment.seq += MSS;
	segment.len = MSS + 1; /* past the window */
	assert_int_equal(add(&flows[0], &segment), 0);
	assert_int_equal(n_passed, 1);
	segment.seq = FIRST + 3 * MSS;
	segment.len = 1;
	assert_int_equal(add(&flows[0], &segment), 0);
	segment.seq = FIRST - 1; /* long since taken */
	assert_int_equal(add(&flows[0], &segment), 0);
	segment.seq = FIRST + 3 * MSS - 1;
	assert_int_equal(add(&flows[0], &segment), 1);
}

static void
an_owed_ack_goes_with_the_passing_on(void **state)
{
	(void)state;
	add_run(&flows[0], 1);
	flows[0].ack_owed = 1;
	pcbs[0].flags = TF_ACK_DELAY | TF_TIMESTAMP;
	coalesce_flush(&np);
	assert_int_equal(pcbs[0].flags, TF_TIMESTAMP);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_that_waits_is_nothing_to_pass_on),
		TEST(segments_in_order_are_passed_on_as_one),
		TEST(the_whole_acknowledges_what_its_last_did),
		TEST(a_gap_or_an_overlap_ends_the_run),
		TEST(what_is_not_lwips_next_waits_for_nobody),
		TEST(only_plain_segments_wait),
		TEST(what_is_not_plain_leaves_those_that_wait),
		TEST(headers_of_two_lengths_do_not_mix),
		TEST(two_flows_do_not_mix),
		TEST(no_more_wait_than_there_are_places),
		TEST(the_whole_fits_the_length_of_a_packet),
		TEST(no_more_wait_than_the_window_takes),
		TEST(nothing_waits_behind_what_came_out_of_order),
		TEST(segments_ahead_of_their_turn_are_passed_on_as_one),
		TEST(what_is_in_order_does_not_mix_with_what_is_ahead),
		TEST(what_begins_with_the_last_that_waits_waits_for_nobody),
		TEST(a_guest_without_sack_counts_acknowledgments),
		TEST(no_more_wait_ahead_than_may),
		TEST(an_owed_ack_goes_with_the_passing_on),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
