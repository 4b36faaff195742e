#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netproc/gateway/dns_stream.h"

#define LONG (DNS_STREAM_HELD_MAX + 1)

/* What a stream of messages of these lengths looks like. */
static const size_t lengths[] = { 12, 0, DNS_STREAM_HELD_MAX, LONG, 1, 3000 };
#define NLENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static uint8_t stream[8192];
static size_t stream_len;

static int
stream_make(void **state)
{
	size_t i, n;

	(void)state;
	stream_len = 0;
	for (i = 0; i < NLENGTHS; i++) {
		stream[stream_len++] = (uint8_t)(lengths[i] >> 8);
		stream[stream_len++] = (uint8_t)lengths[i];
		for (n = 0; n < lengths[i]; n++)
			stream[stream_len++] = (uint8_t)(i * 31 + n);
	}
	return (0);
}

/* What came out: bytes in order, and which messages were seen whole. */
struct seen {
	uint8_t bytes[sizeof(stream)];
	size_t len;
	size_t queries[NLENGTHS + 1];
	size_t nqueries;
};

/* Feeds bytes from memory of exactly their size. */
static void
feed(struct dns_stream *s, const uint8_t *bytes, size_t len, struct seen *seen)
{
	uint8_t *exact = malloc(len);
	const uint8_t *piece;
	enum dns_piece kind;
	size_t at, n, piece_len;

	assert_non_null(exact);
	memcpy(exact, bytes, len);
	for (at = 0; at < len; at += n) {
		n = dns_stream_next(s, exact + at, len - at, &kind, &piece,
		    &piece_len);
		assert_in_range(n, 1, len - at);
		if (kind == DNS_PIECE_NONE)
			continue;
		memcpy(seen->bytes + seen->len, piece, piece_len);
		seen->len += piece_len;
		if (kind == DNS_PIECE_QUERY)
			seen->queries[seen->nqueries++] = piece_len -
			    DNS_STREAM_PREFIX;
	}
	free(exact);
}

static void
check_seen(const struct seen *seen)
{
	static const size_t want[] = { 12, 0, DNS_STREAM_HELD_MAX, 1 };

	assert_int_equal(seen->len, stream_len);
	assert_memory_equal(seen->bytes, stream, stream_len);
	assert_int_equal(seen->nqueries, sizeof(want) / sizeof(want[0]));
	assert_memory_equal(seen->queries, want, sizeof(want));
}

static void
each_byte_comes_out_once_wherever_the_stream_is_cut(void **state)
{
	static struct seen seen;
	struct dns_stream s;
	size_t cut;

	(void)state;
	for (cut = 1; cut < stream_len; cut++) {
		memset(&seen, 0, sizeof(seen));
		dns_stream_init(&s);
		feed(&s, stream, cut, &seen);
		feed(&s, stream + cut, stream_len - cut, &seen);
		check_seen(&seen);
	}
}

static void
a_stream_may_come_a_byte_at_a_time(void **state)
{
	static struct seen seen;
	struct dns_stream s;
	size_t at;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	dns_stream_init(&s);
	for (at = 0; at < stream_len; at++)
		feed(&s, stream + at, 1, &seen);
	check_seen(&seen);
}

static void
a_query_is_not_seen_before_its_last_byte(void **state)
{
	static const uint8_t query[] = { 0, 3, 'a', 'b', 'c' };
	struct dns_stream s;
	const uint8_t *piece;
	enum dns_piece kind;
	size_t piece_len;

	(void)state;
	dns_stream_init(&s);
	assert_int_equal(dns_stream_next(&s, query, sizeof(query) - 1, &kind,
			     &piece, &piece_len),
	    sizeof(query) - 1);
	assert_int_equal(kind, DNS_PIECE_NONE);
	assert_int_equal(dns_stream_next(&s, query + sizeof(query) - 1, 1,
			     &kind, &piece, &piece_len),
	    1);
	assert_int_equal(kind, DNS_PIECE_QUERY);
	assert_int_equal(piece_len, sizeof(query));
	assert_memory_equal(piece, query, sizeof(query));
}

static void
a_stream_that_begins_anew_knows_nothing_of_the_old(void **state)
{
	static const uint8_t begun[] = { LONG >> 8, LONG & 255, 'x' };
	static const uint8_t query[] = { 0, 1, 'a' };
	struct dns_stream s;
	struct seen seen = { .len = 0 };

	(void)state;
	dns_stream_init(&s);
	feed(&s, begun, sizeof(begun), &seen);
	dns_stream_init(&s);
	memset(&seen, 0, sizeof(seen));
	feed(&s, query, sizeof(query), &seen);
	assert_int_equal(seen.nqueries, 1);
	assert_int_equal(seen.queries[0], 1);
}

static void
no_bytes_are_no_piece(void **state)
{
	static const uint8_t begun[] = { LONG >> 8, LONG & 255, 'x' };
	struct seen seen = { .len = 0 };
	struct dns_stream s;
	const uint8_t *piece;
	enum dns_piece kind;
	size_t piece_len;

	(void)state;
	dns_stream_init(&s);
	feed(&s, begun, sizeof(begun), &seen);
	assert_int_equal(dns_stream_next(&s, begun, 0, &kind, &piece,
			     &piece_len),
	    0);
	assert_int_equal(kind, DNS_PIECE_NONE);
}

static void
a_boundary_is_where_a_message_ends(void **state)
{
	struct dns_boundary b;
	size_t at, end = 0, i = 0;

	(void)state;
	dns_boundary_init(&b);
	assert_true(dns_boundary_is_here(&b));
	for (at = 0; at < stream_len; at++) {
		if (at == end)
			end += DNS_STREAM_PREFIX + lengths[i++];
		dns_boundary_add(&b, stream + at, 1);
		assert_int_equal(dns_boundary_is_here(&b), at + 1 == end);
	}
	dns_boundary_init(&b);
	dns_boundary_add(&b, stream, stream_len);
	assert_true(dns_boundary_is_here(&b));
	dns_boundary_add(&b, stream, 1);
	assert_false(dns_boundary_is_here(&b));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    each_byte_comes_out_once_wherever_the_stream_is_cut),
		cmocka_unit_test(a_stream_may_come_a_byte_at_a_time),
		cmocka_unit_test(a_query_is_not_seen_before_its_last_byte),
		cmocka_unit_test(
		    a_stream_that_begins_anew_knows_nothing_of_the_old),
		cmocka_unit_test(no_bytes_are_no_piece),
		cmocka_unit_test(a_boundary_is_where_a_message_ends),
	};

	return (cmocka_run_group_tests_name("dns_stream", tests, stream_make,
	    NULL));
}
