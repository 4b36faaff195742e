#include <sys/uio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netproc/link/checksum.h"

#define LEN_MAX	  4096
#define ALIGN_MAX 64

static uint8_t bytes[LEN_MAX + ALIGN_MAX];

/* A fixed sequence: a failure must show itself again. */
static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8);
}

/* RFC 1071 4.1, as it stands there. */
static uint16_t
naive(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (; len > 1; len -= 2, p += 2) {
		sum += (uint32_t)(p[0] << 8 | p[1]);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (len > 0)
		sum += (uint32_t)p[0] << 8;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return ((uint16_t)~sum);
}

static int
fill_bytes(void **state)
{
	uint32_t seed = 1;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)next_random(&seed);
	return (0);
}

static void
every_length_at_every_alignment_equals_the_naive_sum(void **state)
{
	size_t align, len;
	uint16_t want;

	(void)state;
	for (align = 0; align < ALIGN_MAX; align++) {
		for (len = 0; len <= LEN_MAX; len += 1 + len / 256) {
			want = naive(bytes + align, len);
			if (checksum_of(bytes + align, len) != want)
				fail_msg("align %zu len %zu", align, len);
		}
	}
	for (len = 0; len <= LEN_MAX; len++)
		assert_int_equal(checksum_of(bytes, len), naive(bytes, len));
}

/* All ones make the most carries that there can be. */
static void
carries_are_not_lost(void **state)
{
	size_t len = 1 << 20;
	uint8_t *ones = malloc(len);
	size_t i;

	(void)state;
	assert_non_null(ones);
	memset(ones, 0xff, len);
	for (i = 0; i < 300; i++)
		assert_int_equal(checksum_of(ones, i), naive(ones, i));
	assert_int_equal(checksum_of(ones, len), 0);
	assert_int_equal(checksum_of(ones, len - 1), naive(ones, len - 1));
	free(ones);
}

static void
pieces_of_any_length_chain_as_if_they_were_one(void **state)
{
	struct checksum sum;
	struct iovec iov[8];
	uint32_t seed = 7, round;
	size_t len, left, n, i;

	(void)state;
	for (round = 0; round < 20000; round++) {
		len = next_random(&seed) % (LEN_MAX + 1);
		left = len;
		for (i = 0; i < 7; i++) {
			n = next_random(&seed) % 3 == 0 ?
			    next_random(&seed) % 4 :
			    next_random(&seed) % (LEN_MAX / 4);
			n = n > left ? left : n;
			iov[i].iov_base = bytes + (len - left);
			iov[i].iov_len = n;
			left -= n;
		}
		iov[7].iov_base = bytes + (len - left);
		iov[7].iov_len = left;
		checksum_init(&sum);
		for (i = 0; i < 8; i++)
			checksum_add(&sum, iov[i].iov_base, iov[i].iov_len);
		if (checksum_finish(&sum) != naive(bytes, len))
			fail_msg("round %u len %zu", round, len);
	}
}

static void
data_that_holds_its_checksum_sums_to_zero(void **state)
{
	/* The example of RFC 1071 3 with its checksum behind it. */
	static const uint8_t rfc[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6,
		0xf7, 0x22, 0x0d };

	(void)state;
	assert_int_equal(checksum_of(rfc, 8), 0x220d);
	assert_int_equal(checksum_of(rfc, sizeof(rfc)), 0);
}

static void
the_pseudo_header_is_that_of_rfc_768(void **state)
{
	static const uint8_t header[12] = { 192, 0, 2, 1, 198, 51, 100, 2, 0,
		17, 0x12, 0x34 };
	struct checksum sum;

	(void)state;
	checksum_init(&sum);
	checksum_pseudo4(&sum, 0xc0000201, 0xc6336402, 17, 0x1234);
	assert_int_equal(checksum_finish(&sum), naive(header, sizeof(header)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    every_length_at_every_alignment_equals_the_naive_sum),
		cmocka_unit_test(carries_are_not_lost),
		cmocka_unit_test(
		    pieces_of_any_length_chain_as_if_they_were_one),
		cmocka_unit_test(data_that_holds_its_checksum_sums_to_zero),
		cmocka_unit_test(the_pseudo_header_is_that_of_rfc_768),
	};

	return (cmocka_run_group_tests_name("checksum", tests, fill_bytes,
	    NULL));
}
