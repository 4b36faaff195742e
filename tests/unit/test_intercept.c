/* Whose a segment is, and which of them lwIP must not see. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ahead.h"
#include "tests/unit/intercept_rig.h"

#define HASH 4711 /* as the one before had it */

static void
a_segment_goes_to_its_own_flow_beside_one_like_it(void **state)
{
	static const struct {
		uint8_t family, peer_at, guest_at, peer_port, guest_port;
	} cases[] = {
		{ 4, 16, 16, 1, 0 },
		{ 4, 16, 16, 0, 1 },
		{ 4, 0, 16, 0, 0 },
		{ 4, 3, 16, 0, 0 },
		{ 4, 16, 0, 0, 0 },
		{ 4, 16, 3, 0, 0 },
		{ 6, 16, 16, 1, 0 },
		{ 6, 16, 16, 0, 1 },
		{ 6, 0, 16, 0, 0 },
		{ 6, 15, 16, 0, 0 },
		{ 6, 16, 0, 0, 0 },
		{ 6, 16, 15, 0, 0 },
	};
	struct flow_tuple tuple, like;
	struct flow *flow, *other;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		like = tuple = tuple_make(cases[i].family);
		if (cases[i].peer_at < 16)
			like.peer.bytes[cases[i].peer_at]++;
		if (cases[i].guest_at < 16)
			like.guest.bytes[cases[i].guest_at]++;
		like.peer_port = (uint16_t)(80 + cases[i].peer_port);
		like.guest_port = (uint16_t)(40000 + cases[i].guest_port);
		flow = flow_make(&tuple);
		other = flow_make(&like);
		np.coalesce.flow = flow;
		np.coalesce.hash = HASH;
		guest_sends(&like, 1);
		assert_ptr_equal(seen.taken, other);
		assert_true(seen.hash == demux_hash(np.hash_key, &like));
		guest_sends(&tuple, 1);
		assert_ptr_equal(seen.taken, flow);
		assert_true(seen.hash == HASH); /* it need not be known anew */
		flow_release(&np.flows, flow);
		flow_release(&np.flows, other);
	}
}

static void
a_flow_of_the_other_family_is_another(void **state)
{
	const struct flow_tuple tuple = tuple_make(4), like = tuple_make(6);
	struct flow *other = flow_make(&like);

	(void)state;
	np.coalesce.flow = flow_make(&tuple);
	guest_sends(&like, 1);
	assert_ptr_equal(seen.taken, other);
}

/* A connection that stands, and what the guest says on it. */
#define RCV_NXT 1000
#define RCV_WND 5000
#define SND_NXT 500
#define WND_MAX 100

static struct tcp_pcb pcb;

static struct flow *
flow_of(enum flow_state state)
{
	const struct flow_tuple tuple = tuple_make(4);
	struct flow *flow = flow_make(&tuple);

	memset(&pcb, 0, sizeof(pcb));
	pcb.state = ESTABLISHED;
	pcb.rcv_nxt = RCV_NXT;
	pcb.rcv_wnd = RCV_WND;
	pcb.snd_nxt = pcb.lastack = SND_NXT;
	pcb.snd_wnd_max = WND_MAX;
	flow->pcb = &pcb;
	flow->state = state;
	seen.takes = 0;
	return (flow);
}

/* at: bytes ahead of its turn; ack: of what was sent last. */
static void
say(uint8_t flags, int at, size_t len, int ack)
{
	const struct flow_tuple tuple = tuple_make(4);
	const struct shield_frame sf = {
		.payload_len = len,
		.tcp_flags = flags,
		.tcp_seq = pcb.rcv_nxt + (uint32_t)at,
		.tcp_ack = pcb.snd_nxt + (uint32_t)ack,
	};

	guest_says(&tuple, sf);
}

#define SYN SHIELD_TCP_SYN
#define ACK SHIELD_TCP_ACK
#define FIN SHIELD_TCP_FIN
#define RST SHIELD_TCP_RST

/* 1 if lwIP sees it; else it counts as what no TCP sends. */
static int
passes(uint8_t flags, int at, size_t len, int ack)
{
	const unsigned int before = seen.ninput;
	const uint64_t bogus = np.counters.n[COUNT_SEGMENT_BOGUS];

	say(flags, at, len, ack);
	assert_int_equal(np.counters.n[COUNT_SEGMENT_BOGUS] - bogus,
	    before == seen.ninput);
	return (seen.ninput != before);
}

static void
what_runs_past_the_window_ahead_of_its_turn_is_bogus(void **state)
{
	struct flow *flow = flow_of(FLOW_ESTABLISHED);

	(void)state;
	assert_true(passes(ACK, 1, RCV_WND - 1, 0));
	assert_false(passes(ACK, 1, RCV_WND, 0));
	assert_false(passes(ACK | FIN, 1, RCV_WND - 1, 0));
	assert_true(passes(ACK | FIN, 1, RCV_WND - 2, 0));
	assert_true(passes(ACK, RCV_WND - 1, 1, 0));
	assert_false(passes(ACK, RCV_WND - 1, 2, 0));
	/* In its turn it is cut, and beyond the window not taken. */
	assert_true(passes(ACK, 0, RCV_WND + 1, 0));
	assert_true(passes(ACK, -1, RCV_WND + 9, 0));
	assert_true(passes(ACK, RCV_WND, 9, 0));
	flow->state = FLOW_CONNECTING;
	assert_true(passes(ACK, 1, RCV_WND, 0));
	assert_int_equal(seen.nacked, 0);
}

static void
the_last_of_the_handshake_keeps_to_the_window_of_a_syn(void **state)
{
	struct flow *flow = flow_of(FLOW_ACCEPTING);

	(void)state;
	pcb.state = SYN_RCVD;
	pcb.rcv_wnd = 100000;
	assert_true(passes(ACK, 1, UINT16_MAX - 1, 0));
	assert_false(passes(ACK, 1, UINT16_MAX, 0));
	assert_false(passes(ACK | FIN, 1, UINT16_MAX - 1, 0));
	assert_false(passes(ACK, 99999, 1, 0));
	assert_true(passes(ACK, 100000, 1, 0));
	assert_true(passes(ACK, 0, UINT16_MAX + 1, 0));
	flow->state = FLOW_ESTABLISHED;
	assert_true(passes(ACK, 1, UINT16_MAX, 0));
}

static void
no_syn_of_ours_is_answered_by_who_has_called(void **state)
{
	struct flow *flow = flow_of(FLOW_ACCEPTING);

	(void)state;
	pcb.state = SYN_RCVD;
	assert_false(passes(SYN | ACK, 0, 0, 0));
	assert_true(passes(ACK, 0, 0, 0));
	flow->state = FLOW_CONNECTING;
	flow->irs = RCV_NXT;
	assert_true(passes(SYN | ACK, 0, 0, 0));
	assert_true(passes(SYN, 0, 0, 0)); /* at the same time */
	flow->state = FLOW_ESTABLISHED;
	assert_true(passes(SYN | ACK, 0, 0, 0));
}

static void
what_acknowledges_nothing_is_bogus_but_for_a_rst(void **state)
{
	(void)state;
	flow_of(FLOW_ESTABLISHED);
	assert_false(passes(0, 0, 1, 0));
	assert_false(passes(FIN, 0, 0, 0));
	assert_true(passes(RST, 0, 0, 0));
	assert_true(passes(ACK | FIN, 0, 0, 0));
}

static void
data_past_an_end_that_waits_is_bogus(void **state)
{
	struct tcp_hdr head[2] = { { .seqno = RCV_NXT + 100 },
		{ .seqno = RCV_NXT + 300 } };
	struct tcp_seg segs[2] = { { .len = 10, .tcphdr = &head[0] },
		{ .len = 20, .tcphdr = &head[1] } };

	(void)state;
	flow_of(FLOW_ESTABLISHED);
	segs[0].next = &segs[1];
	pcb.ooseq = segs;
	assert_true(passes(ACK, 319, 2, 0));
	TCPH_HDRLEN_FLAGS_SET(&head[1], 5, TCP_FIN);
	assert_true(passes(ACK, 0, 320, 0));
	assert_false(passes(ACK, 0, 321, 0));
	assert_false(passes(ACK, 320, 1, 0));
	assert_true(passes(ACK, 321, 0, 0));
}

static void
what_acknowledges_what_was_not_said_is_of_another(void **state)
{
	(void)state;
	flow_of(FLOW_ESTABLISHED);
	assert_true(passes(ACK, 0, 1, -WND_MAX));
	assert_int_equal(seen.nacked, 0);
	assert_false(passes(ACK, 0, 1, 1));
	assert_false(passes(ACK, 0, 1, -WND_MAX - 1));
	assert_int_equal(seen.nacked, 2);
	/* By their sequence number, or by lwIP. */
	assert_true(passes(RST | ACK, 0, 0, 1));
	assert_true(passes(SYN | ACK, 0, 0, 1));
	pcb.state = SYN_RCVD;
	assert_true(passes(ACK, 0, 1, 1));
	assert_int_equal(seen.nacked, 2);
}

static void
where_too_much_waits_only_what_is_in_its_turn_passes(void **state)
{
	(void)state;
	flow_of(FLOW_ESTABLISHED);
	np.ahead_bytes = AHEAD_BYTES_MAX - 1;
	say(ACK, 1, 1, 0);
	np.ahead_bytes++;
	say(ACK, 0, 1, 0);
	say(ACK, -1, 1, 0);
	say(ACK, 1, 0, 0);
	assert_int_equal(seen.ninput, 4);
	say(ACK, 1, 1, 0);
	say(ACK | FIN, 1, 0, 0);
	assert_int_equal(seen.ninput, 4);
	assert_int_equal(np.counters.n[COUNT_SEGMENT_NO_ROOM], 2);
}

static void
what_lwip_keeps_is_a_copy(void **state)
{
	(void)state;
	flow_of(FLOW_ESTABLISHED);
	say(ACK, 0, 1, 0);
	say(ACK | FIN, 0, 1, 0);
	assert_int_equal(seen.ncopied, 0);
	assert_int_equal(seen.nspared, 0);
	say(ACK, -1, 1, 0);
	say(ACK, 1, 1, 0);
	assert_int_equal(seen.ncopied, 2);
	assert_int_equal(seen.nspared, 2);
	/* Its number must stay what it is. */
	say(ACK | FIN, 1, 1, 0);
	say(ACK | RST, 1, 1, 0);
	say(ACK | SYN, 1, 1, 0);
	say(ACK, 1, 0, 0);
	assert_int_equal(seen.ncopied, 6);
	assert_int_equal(seen.nspared, 2);
}

static void
data_alone_frees_lwip_to_acknowledge(void **state)
{
	struct flow *flow = flow_of(FLOW_ESTABLISHED);

	(void)state;
	pcb.flags = TF_ACK_DELAY | TF_NODELAY;
	say(ACK, 0, 1, 0);
	flow->ack_owed = 1;
	say(ACK, 0, 0, 0);
	say(RST | ACK, 0, 1, 0);
	assert_int_equal(pcb.flags, TF_ACK_DELAY | TF_NODELAY);
	say(ACK, 0, 1, 0);
	assert_int_equal(pcb.flags, TF_NODELAY);
}

static void
a_syn_that_waits_is_taken_back_by_its_own_rst(void **state)
{
	struct flow *flow = flow_of(FLOW_OPENING);

	(void)state;
	flow->pcb = NULL;
	flow->irs = RCV_NXT - 1;
	say(RST, 1, 0, 0);
	say(RST, -1, 0, 0);
	say(ACK, 0, 0, 0);
	assert_int_equal(seen.nforgotten, 0);
	say(RST | ACK, 0, 0, 0);
	assert_int_equal(seen.nforgotten, 1);
	say(SYN, -1, 0, 0);
	assert_int_equal(np.counters.n[COUNT_SYN_DUPLICATE], 1);
	assert_int_equal(seen.nforgotten, 1);
	assert_int_equal(seen.ninput, 0);
}

static void
of_one_that_stands_a_syn_again_is_told(void **state)
{
	struct flow *flow = flow_of(FLOW_ESTABLISHED);

	(void)state;
	flow->irs = RCV_NXT - 1;
	say(SYN, -1, 0, 0);
	assert_int_equal(seen.nacked, 1);
	flow->pcb = NULL;
	say(SYN, -1, 0, 0);
	assert_int_equal(seen.nacked, 1);
	assert_int_equal(seen.ninput, 0);
	assert_int_equal(seen.nforgotten, 0);
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, intercept_setup, \
	    intercept_teardown)
	const struct CMUnitTest tests[] = {
		T(a_segment_goes_to_its_own_flow_beside_one_like_it),
		T(a_flow_of_the_other_family_is_another),
		T(what_runs_past_the_window_ahead_of_its_turn_is_bogus),
		T(the_last_of_the_handshake_keeps_to_the_window_of_a_syn),
		T(no_syn_of_ours_is_answered_by_who_has_called),
		T(what_acknowledges_nothing_is_bogus_but_for_a_rst),
		T(data_past_an_end_that_waits_is_bogus),
		T(what_acknowledges_what_was_not_said_is_of_another),
		T(where_too_much_waits_only_what_is_in_its_turn_passes),
		T(what_lwip_keeps_is_a_copy),
		T(data_alone_frees_lwip_to_acknowledge),
		T(a_syn_that_waits_is_taken_back_by_its_own_rst),
		T(of_one_that_stands_a_syn_again_is_told),
	};

	return (cmocka_run_group_tests_name("intercept", tests, NULL, NULL));
}
