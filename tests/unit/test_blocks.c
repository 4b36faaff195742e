#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "netproc/flow/blocks.h"

#define NBLOCKS 2048

static struct block_pool pool;
static uint8_t bytes[3 * BLOCK_SIZE + 17];

static int
setup(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	return (blocks_init(&pool, (size_t)NBLOCKS * BLOCK_SIZE));
}

/* Checks that the queue's bytes from offset on are those of `bytes`. */
static void
expect(const struct block_queue *q, size_t offset, size_t start)
{
	struct iovec iov[8];
	size_t done = 0;
	int i, n;

	n = block_queue_peek(q, offset, iov, 8);
	for (i = 0; i < n; i++) {
		assert_memory_equal(iov[i].iov_base, bytes + start + done,
		    iov[i].iov_len);
		done += iov[i].iov_len;
	}
	assert_int_equal(done, q->bytes - offset);
}

static void
bytes_come_out_as_they_went_in(void **state)
{
	static const size_t steps[] = { 1, 2, 1000, BLOCK_SIZE - 1, BLOCK_SIZE,
		BLOCK_SIZE + 1, 20000 };
	struct block_queue q;
	size_t i, in = 0, out = 0, n;

	(void)state;
	block_queue_init(&q);
	for (i = 0; in < sizeof(bytes); i++) {
		n = steps[i % 7];
		if (n > sizeof(bytes) - in)
			n = sizeof(bytes) - in;
		assert_int_equal(block_queue_append(&pool, &q, bytes + in, n),
		    0);
		in += n;
		expect(&q, 0, out);
		n = steps[(i + 3) % 7] / 2;
		if (n > q.bytes)
			n = q.bytes;
		block_queue_drop(&pool, &q, n, 0, 0);
		out += n;
		expect(&q, 0, out);
		expect(&q, q.bytes / 2, out + q.bytes / 2);
	}
	block_queue_clear(&pool, &q, 0, 0);
	assert_int_equal(q.bytes, 0);
	assert_int_equal(pool.nfree, NBLOCKS);
}

static void
room_that_was_not_filled_goes_back(void **state)
{
	struct block_queue q;
	struct iovec iov[16];
	int n;

	(void)state;
	block_queue_init(&q);
	n = block_queue_room(&pool, &q, iov, 16, 5 * BLOCK_SIZE);
	assert_int_equal(n, 5);
	memcpy(iov[0].iov_base, bytes, 10);
	block_queue_filled(&pool, &q, 10);
	assert_int_equal(pool.nfree, NBLOCKS - 1);
	n = block_queue_room(&pool, &q, iov, 16, 100);
	assert_int_equal(n, 1);
	assert_int_equal(iov[0].iov_len, 100);
	block_queue_filled(&pool, &q, 0);
	expect(&q, 0, 0);
	block_queue_clear(&pool, &q, 0, 0);
	block_queue_room(&pool, &q, iov, 16, BLOCK_SIZE);
	block_queue_filled(&pool, &q, 0);
	assert_int_equal(pool.nfree, NBLOCKS);
}

static void
a_block_that_a_queued_frame_points_into_waits_for_it(void **state)
{
	struct block_queue q;
	size_t before;

	(void)state;
	block_queue_init(&q);
	block_queue_append(&pool, &q, bytes, 2 * BLOCK_SIZE);
	before = pool.nfree;
	block_queue_drop(&pool, &q, BLOCK_SIZE, 100, 99);
	assert_int_equal(pool.nfree, before);
	block_queue_drop(&pool, &q, BLOCK_SIZE, 101, 99);
	blocks_reap(&pool, 99);
	assert_int_equal(pool.nfree, before);
	blocks_reap(&pool, 100);
	assert_int_equal(pool.nfree, before + 1);
	blocks_reap(&pool, 101);
	assert_int_equal(pool.nfree, NBLOCKS);
}

static void
the_pool_is_finite_and_shares_shrink_as_it_fills(void **state)
{
	struct block_queue q;
	size_t share = blocks_share(&pool), n = 0;

	(void)state;
	block_queue_init(&q);
	assert_true(share > 0);
	while (block_queue_append(&pool, &q, bytes, BLOCK_SIZE) == 0) {
		n++;
		assert_true(blocks_share(&pool) <= share);
		share = blocks_share(&pool);
		/* The least is a block, until the reserve is reached. */
		if (blocks_free_bytes(&pool) > BLOCK_RESERVE)
			assert_true(share >= BLOCK_SIZE);
		else
			assert_int_equal(share, 0);
	}
	assert_int_equal(n, NBLOCKS);
	assert_int_equal(share, 0);
	block_queue_clear(&pool, &q, 0, 0);
	assert_int_equal(pool.nfree, NBLOCKS);
}

#define MIB (1024 * 1024)

/* n flows take in turn what they may; returns what they hold together. */
static size_t
held_by(size_t n)
{
	static struct block_queue flows[64];
	size_t i, before, total = 0;

	for (i = 0; i < n; i++)
		block_queue_init(&flows[i]);
	do {
		before = total;
		for (i = 0; i < n; i++) {
			if (flows[i].bytes + BLOCK_SIZE > blocks_share(&pool))
				continue;
			assert_int_equal(block_queue_append(&pool, &flows[i],
					     bytes, BLOCK_SIZE),
			    0);
			total += BLOCK_SIZE;
		}
	} while (total > before);
	for (i = 0; i < n; i++)
		block_queue_clear(&pool, &flows[i], 0, 0);
	assert_int_equal(pool.nfree, NBLOCKS);
	return (total);
}

static void
sixteen_flows_hold_no_more_than_a_cache_does(void **state)
{
	(void)state;
	assert_in_range(held_by(1), 3 * MIB / 2, 2 * MIB);
	assert_in_range(held_by(4), 4 * MIB, 6 * MIB);
	assert_in_range(held_by(16), 6 * MIB, 10 * MIB);
}

/* Of many each may hold what makes a read worth its price. */
static void
the_least_of_many_is_a_quarter_of_a_mebibyte(void **state)
{
	(void)state;
	assert_int_equal(held_by(48), 48 * MIB / 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_out_as_they_went_in),
		cmocka_unit_test(room_that_was_not_filled_goes_back),
		cmocka_unit_test(
		    a_block_that_a_queued_frame_points_into_waits_for_it),
		cmocka_unit_test(
		    the_pool_is_finite_and_shares_shrink_as_it_fills),
		cmocka_unit_test(sixteen_flows_hold_no_more_than_a_cache_does),
		cmocka_unit_test(the_least_of_many_is_a_quarter_of_a_mebibyte),
	};

	return (cmocka_run_group_tests_name("blocks", tests, setup, NULL));
}
