/*
 * Whose a segment is, and which are dropped when there is little room, as if
 * they were lost: what passes gets to coalesce_add(), which takes it here.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/intercept.h"
#include "netproc/flow/pump.h"
#include "netproc/netproc.h"

#define NFLOWS 8
#define HASH   4711 /* as the one before had it */
#define MSS    1460

/* Of blocks that are free: the bounds between one rule and the next. */
#define HALF  (BLOCK_POOL_BYTES / 2 / BLOCK_SIZE)
#define FEW   (2 * BLOCK_RESERVE / BLOCK_SIZE)
#define LEAST (BLOCK_RESERVE / 2 / BLOCK_SIZE)
#define SURE  (16 * 1024)

static struct netproc np;
static struct flow *taken; /* whose the last segment was */
static uint64_t taken_hash;
static unsigned int npassed, nasked;

int __wrap_coalesce_add(struct netproc *of, struct flow *flow, uint64_t hash,
    uint8_t *frame, const struct shield_frame *sf);
void __wrap_pump_ask_room(struct flow *flow);

int
__wrap_coalesce_add(struct netproc *of, struct flow *flow, uint64_t hash,
    uint8_t *frame, const struct shield_frame *sf)
{
	(void)of;
	(void)frame;
	(void)sf;
	npassed++;
	taken = flow;
	taken_hash = hash;
	return (1);
}

void
__wrap_pump_ask_room(struct flow *flow)
{
	(void)flow;
	nasked++;
}

static int
setup(void **state)
{
	(void)state;
	memset(&np, 0, sizeof(np));
	np.tick_armed = 1; /* nobody turns an event loop */
	np.blocks.nfree = HALF;
	taken = NULL;
	npassed = nasked = 0;
	return (flows_init(&np.flows, NFLOWS, 0, &np));
}

static int
teardown(void **state)
{
	(void)state;
	free(np.flows.flows);
	free(np.flows.buckets);
	return (0);
}

static struct flow_tuple
tuple_make(uint8_t family)
{
	const struct flow_tuple tuple = {
		.peer = { family, { 0 }, { 192, 0, 2, 1 } },
		.guest = { family, { 0 }, { 100, 96, 0, 2 } },
		.peer_port = 80,
		.guest_port = 40000,
	};

	return (tuple);
}

static struct flow *
flow_make(const struct flow_tuple *tuple)
{
	struct flow *flow = flow_alloc(&np.flows, tuple,
	    demux_hash(np.hash_key, tuple));

	assert_non_null(flow);
	flow->state = FLOW_ESTABLISHED;
	flow->guest_mss = MSS;
	return (flow);
}

static uint32_t
ip4_of(const struct ipc_addr *addr)
{
	const uint8_t *b = addr->bytes;

	return ((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	    (uint32_t)b[2] << 8 | b[3]);
}

/* The guest sends len bytes on the connection with this tuple. */
static void
segment(const struct flow_tuple *tuple, size_t len)
{
	const size_t size = tuple->peer.family == 6 ? 16 : 4;
	const size_t at = tuple->peer.family == 6 ? 8 : 12;
	struct shield_frame sf = {
		.version = tuple->peer.family,
		.l3_off = 14,
		.sport = tuple->guest_port,
		.dport = tuple->peer_port,
		.payload_len = len,
		.tcp_flags = SHIELD_TCP_ACK,
	};
	uint8_t frame[100] = { 0 };

	if (size == 16) {
		memcpy(sf.src6, tuple->guest.bytes, size);
		memcpy(sf.dst6, tuple->peer.bytes, size);
	} else {
		sf.src_ip = ip4_of(&tuple->guest);
		sf.dst_ip = ip4_of(&tuple->peer);
	}
	memcpy(frame + 14 + at, tuple->guest.bytes, size);
	memcpy(frame + 14 + at + size, tuple->peer.bytes, size);
	intercept_tcp(&np, frame, &sf);
}

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
		segment(&like, 1);
		assert_ptr_equal(taken, other);
		assert_true(taken_hash == demux_hash(np.hash_key, &like));
		segment(&tuple, 1);
		assert_ptr_equal(taken, flow);
		assert_true(taken_hash == HASH); /* it need not be known anew */
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
	segment(&like, 1);
	assert_ptr_equal(taken, other);
}

/* What there is of room, and of the flow's bytes that are not written. */
struct room {
	size_t free_blocks;
	int writable;
	size_t held, turn, waits, since_room, len;
	int passes, asks;
};

static void
check(const struct room *room, size_t n)
{
	const struct flow_tuple tuple = tuple_make(4);
	struct flow *flow = flow_make(&tuple);
	size_t i;

	for (i = 0; i < n; i++, room++) {
		npassed = nasked = 0;
		np.counters.n[COUNT_SEGMENT_NO_ROOM] = 0;
		np.blocks.nfree = room->free_blocks;
		flow->writable = room->writable;
		flow->up.bytes = room->held;
		flow->since_room = room->since_room;
		flow->nturn = room->turn > 1 ? 2 : (int)room->turn;
		flow->turn[0].iov_len = 1;
		flow->turn[1].iov_len = room->turn - 1;
		np.coalesce.flow = room->waits > 0 ? flow : NULL;
		np.coalesce.bytes = room->waits;
		segment(&tuple, room->len);
		if (npassed != (unsigned int)room->passes)
			fail_msg("case %zu: %u passed", i, npassed);
		if (nasked != (unsigned int)room->asks)
			fail_msg("case %zu: asked %u times", i, nasked);
		assert_int_equal(np.counters.n[COUNT_SEGMENT_NO_ROOM],
		    !room->passes);
	}
	flow_release(&np.flows, flow);
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

static void
while_half_is_free_all_passes(void **state)
{
	static const struct room cases[] = {
		{ HALF, 0, BLOCK_SIZE, 9999, 0, SURE, 65000, 1, 0 },
		{ HALF - 1, 0, BLOCK_SIZE, 9999, 0, SURE, 65000, 0, 0 },
	};

	(void)state;
	CHECK(cases);
}

static void
what_has_no_bytes_needs_no_room(void **state)
{
	static const struct room cases[] = {
		{ HALF - 1, 0, 2 * BLOCK_SIZE, 0, 0, 0, 0, 1, 0 },
		{ FEW - 1, 0, BLOCK_SIZE, 0, 0, SURE, 0, 1, 0 },
		{ 0, 0, BLOCK_SIZE, 0, 0, 0, 0, 1, 0 },
		{ 0, 1, 0, 0, 0, 0, 1, 0, 0 },
	};

	(void)state;
	CHECK(cases);
}

static void
of_the_second_half_a_flow_holds_a_block(void **state)
{
	static const struct room cases[] = {
		/* held, of this turn, waiting to follow, its own */
		{ HALF - 1, 0, BLOCK_SIZE - 1, 0, 0, 0, 1, 1, 0 },
		{ HALF - 1, 1, BLOCK_SIZE, 0, 0, 0, 1, 0, 0 },
		{ FEW, 1, 1, 0, 0, 0, BLOCK_SIZE - 1, 1, 0 },
		{ FEW, 1, 1, 0, 0, 0, BLOCK_SIZE, 0, 0 },
		{ FEW, 0, 0, BLOCK_SIZE - MSS, 0, 0, MSS, 1, 0 },
		{ FEW, 0, 0, BLOCK_SIZE - MSS + 1, 0, 0, MSS, 0, 0 },
		{ FEW, 1, 0, 0, BLOCK_SIZE - MSS, 0, MSS, 1, 0 },
		{ FEW, 1, 0, 0, BLOCK_SIZE - MSS + 1, 0, MSS, 0, 0 },
		{ FEW, 0, 8000, 8000, 8000, 0, BLOCK_SIZE - 24000, 1, 0 },
		{ FEW, 0, 8000, 8000, 8000, 0, BLOCK_SIZE - 23999, 0, 0 },
	};

	(void)state;
	CHECK(cases);
}

/* Also where two segments are more than a block. */
static void
the_first_of_a_turn_and_two_segments_pass(void **state)
{
	static const struct room first[] = {
		{ FEW, 0, 0, 0, 0, SURE, BLOCK_SIZE + 1, 1, 0 },
		{ FEW, 0, 1, 0, 0, 0, BLOCK_SIZE + 1, 0, 0 },
	};
	const struct flow_tuple tuple = tuple_make(4);
	struct flow *flow;

	(void)state;
	CHECK(first);
	flow = flow_make(&tuple);
	flow->guest_mss = 20000;
	np.blocks.nfree = FEW;
	flow->nturn = 1;
	flow->turn[0].iov_len = 20000;
	flow->writable = 1;
	segment(&tuple, 20000);
	assert_int_equal(npassed, 1);
	segment(&tuple, 20001);
	assert_int_equal(npassed, 1);
	flow->writable = 0;
	segment(&tuple, 20000);
	assert_int_equal(npassed, 1);
	flow->writable = 1;
	flow->up.bytes = 1;
	segment(&tuple, 20000);
	assert_int_equal(npassed, 1);
}

static void
of_the_last_a_flow_gets_what_its_socket_takes(void **state)
{
	static const struct room cases[] = {
		{ FEW - 1, 1, 0, 0, 0, 0, SURE + 1, 1, 0 },
		{ FEW - 1, 0, 0, 0, 0, 0, 1, 0, 0 },
		{ FEW - 1, 1, 1, 0, 0, 0, 1, 0, 0 },
		/* It has taken some, and is asked only where none is to come
		 * that asks by itself. */
		{ FEW - 1, 1, 0, 0, 0, 1, SURE - 1, 1, 0 },
		{ FEW - 1, 1, 0, 0, 0, 1, SURE, 0, 1 },
		{ FEW - 1, 1, 0, 1, 0, 0, SURE - 1, 1, 0 },
		{ FEW - 1, 1, 0, 1, 0, 0, SURE, 0, 0 },
		{ FEW - 1, 1, 0, 0, 1, 0, SURE, 0, 0 },
		{ FEW - 1, 1, 0, 4000, 4000, 4000, SURE - 12000, 1, 0 },
		{ FEW - 1, 1, 0, 4000, 4000, 4000, SURE - 11999, 0, 0 },
	};

	(void)state;
	CHECK(cases);
}

static void
what_one_read_brings_has_room_of_its_own(void **state)
{
	static const struct room cases[] = {
		{ LEAST, 1, 0, 0, 0, 0, 1, 1, 0 },
		{ LEAST - 1, 1, 0, 0, 0, 0, 1, 0, 0 },
	};

	(void)state;
	CHECK(cases);
}

static void
what_another_flow_waits_for_does_not_count(void **state)
{
	const struct flow_tuple tuple = tuple_make(4), like = tuple_make(6);

	(void)state;
	flow_make(&tuple);
	np.coalesce.flow = flow_make(&like);
	np.coalesce.bytes = BLOCK_SIZE;
	np.blocks.nfree = FEW;
	segment(&tuple, MSS);
	assert_int_equal(npassed, 1);
	segment(&like, MSS);
	assert_int_equal(npassed, 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_segment_goes_to_its_own_flow_beside_one_like_it),
		T(a_flow_of_the_other_family_is_another),
		T(while_half_is_free_all_passes),
		T(what_has_no_bytes_needs_no_room),
		T(of_the_second_half_a_flow_holds_a_block),
		T(the_first_of_a_turn_and_two_segments_pass),
		T(of_the_last_a_flow_gets_what_its_socket_takes),
		T(what_one_read_brings_has_room_of_its_own),
		T(what_another_flow_waits_for_does_not_count),
	};

	return (cmocka_run_group_tests_name("intercept", tests, NULL, NULL));
}
