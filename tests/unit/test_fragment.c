#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"
#include "netproc/link/fragment.h"
#include "netproc/link/shield.h"

#define PAYLOAD 4000

static uint8_t bytes[65535];
static struct fragment_pool pool;

static int
setup(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + i / 256);
	return (fragment_pool_init(&pool));
}

static int
teardown(void **state)
{
	(void)state;
	fragment_pool_free(&pool);
	return (0);
}

/* bytes[off, off + len) as a fragment of datagram id; from an exact buffer. */
static enum fragment_event
add_at(uint64_t now_ms, int version, uint32_t id, uint32_t off, size_t len,
    int more, uint8_t **whole, size_t *whole_len)
{
	const size_t head_len = version == 6 ? 62 : 34;
	struct shield_frame sf = {
		.version = (uint8_t)version,
		.src_ip = version == 4 ? 1 : 0,
		.protocol = IPPROTO_UDP,
		.frag_id = id,
		.frag_off = off,
		.frag_more = more != 0,
		.l3_off = 14,
		.l4_off = head_len,
		.l4_len = len,
	};
	enum fragment_event event;
	uint8_t *frame = calloc(1, head_len + len);

	assert_non_null(frame);
	frame[14] = version == 6 ? 0x60 : 0x45;
	frame[20] = version == 6 ? IPPROTO_FRAGMENT : 0x20;
	memcpy(frame + head_len, bytes + off, len);
	event = fragment_add(&pool, frame, &sf, now_ms, whole, whole_len);
	free(frame);
	return (event);
}

static enum fragment_event
add(int version, uint32_t id, uint32_t off, size_t len, int more)
{
	uint8_t *whole;
	size_t whole_len;

	return (add_at(0, version, id, off, len, more, &whole, &whole_len));
}

static void
assert_whole(int version, const uint8_t *whole, size_t len, size_t total)
{
	const size_t header_len = version == 6 ? 40 : 20;

	assert_int_equal(len, 14 + header_len + total);
	assert_memory_equal(whole + 14 + header_len, bytes, total);
	if (version == 4) {
		assert_int_equal(checksum_of(whole + 14, 20), 0);
		assert_int_equal(whole[16] << 8 | whole[17], 20 + total);
		assert_int_equal(whole[20] | whole[21], 0);
	} else {
		assert_int_equal(whole[18] << 8 | whole[19], total);
		assert_int_equal(whole[20], IPPROTO_UDP);
	}
}

static void
pieces_become_the_datagram_in_any_order(void **state)
{
	static const size_t orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 },
		{ 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	static const uint32_t begin[4] = { 0, 1480, 2960, PAYLOAD };
	uint8_t *whole;
	size_t i, j, n, len;
	int version;

	(void)state;
	for (i = 0; i < 12; i++) {
		version = i < 6 ? 4 : 6;
		for (j = 0; j < 3; j++) {
			n = orders[i % 6][j];
			assert_int_equal(add_at(0, version, 7, begin[n],
					     begin[n + 1] - begin[n], n < 2,
					     &whole, &len),
			    j < 2 ? FRAGMENT_KEPT : FRAGMENT_WHOLE);
		}
		assert_whole(version, whole, len, PAYLOAD);
	}
	assert_true(fragment_deadline(&pool) == UINT64_MAX);
	assert_int_equal(pool.count[FRAGMENT_WHOLE], 12);
	assert_int_equal(pool.count[FRAGMENT_KEPT], 24);
}

static void
one_fragment_may_be_the_whole_datagram(void **state)
{
	uint8_t *whole;
	size_t len;

	(void)state;
	assert_int_equal(add_at(0, 6, 1, 0, 1, 0, &whole, &len),
	    FRAGMENT_WHOLE);
	assert_whole(6, whole, len, 1);
}

/* What reads past an end, as lwIP has done, finds nothing of another's. */
static void
zeroes_stand_behind_a_datagram(void **state)
{
	static const uint8_t zeroes[16];
	uint8_t *whole;
	size_t len;

	(void)state;
	assert_int_equal(add(4, 1, 0, 1480, 0), FRAGMENT_WHOLE);
	assert_int_equal(add_at(0, 4, 2, 0, 100, 0, &whole, &len),
	    FRAGMENT_WHOLE);
	assert_whole(4, whole, len, 100);
	assert_memory_equal(whole + len, zeroes, sizeof(zeroes));
}

/* RFC 6946 4 */
static void
one_that_is_the_whole_leaves_alone_what_shares_its_name(void **state)
{
	uint8_t *whole;
	size_t len, i;

	(void)state;
	for (i = 0; i < 2; i++) {
		/* The second time, of a datagram that was dropped. */
		assert_int_equal(add(6, 7, 0, 1480, 1), FRAGMENT_KEPT);
		if (i == 1)
			assert_int_equal(add(6, 7, 8, 1480, 1),
			    FRAGMENT_OVERLAP);
		assert_int_equal(add_at(0, 6, 7, 0, 100, 0, &whole, &len),
		    FRAGMENT_WHOLE);
		assert_whole(6, whole, len, 100);
		assert_int_equal(add_at(0, 6, 7, 1480, 520, 0, &whole, &len),
		    i == 0 ? FRAGMENT_WHOLE : FRAGMENT_LATE);
		if (i == 0)
			assert_whole(6, whole, len, 2000);
	}
	/* Nor does it need the place of another. */
	for (i = 0; i < FRAGMENT_SLOTS; i++)
		add(6, 100 + (uint32_t)i, 0, 8, 1);
	i = pool.count[FRAGMENT_EVICTED];
	assert_int_equal(add(6, 8, 0, 100, 0), FRAGMENT_WHOLE);
	assert_int_equal(pool.count[FRAGMENT_EVICTED], i);
}

static void
the_longest_datagram_of_each_version_fits(void **state)
{
	static const struct {
		int version;
		uint32_t total;
	} longest[] = { { 4, 65515 }, { 6, 65535 } };
	uint8_t *whole;
	size_t i, len;
	uint32_t off;

	(void)state;
	for (i = 0; i < 2; i++) {
		for (off = 0; off < 65000; off += 1000)
			assert_int_equal(add(longest[i].version, 1, off, 1000,
					     1),
			    FRAGMENT_KEPT);
		assert_int_equal(add_at(0, longest[i].version, 1, off,
				     longest[i].total - off, 0, &whole, &len),
		    FRAGMENT_WHOLE);
		assert_whole(longest[i].version, whole, len, longest[i].total);
	}
}

static void
a_duplicate_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(add(4, 1, 0, 1480, 1), FRAGMENT_KEPT);
	assert_int_equal(add(4, 1, 0, 1480, 1), FRAGMENT_DUPLICATE);
	assert_int_equal(add(4, 1, 2960, 41, 0), FRAGMENT_KEPT);
	assert_int_equal(add(4, 1, 2960, 41, 0), FRAGMENT_DUPLICATE);
	assert_int_equal(add(4, 1, 1480, 1480, 1), FRAGMENT_WHOLE);
}

/* Each second fragment ends a datagram that has begun with [0, 1480). */
static void
an_overlap_or_a_contradiction_drops_the_datagram_and_its_rest(void **state)
{
	static const struct {
		const char *what;
		uint32_t begin, other; /* of the second fragment, and changed */
		size_t len;
		int more;
		enum fragment_event event;
	} cases[] = {
		{ "overlap of 8 bytes", 1472, 0, 800, 1, FRAGMENT_OVERLAP },
		{ "other bytes in the same place", 0, 8, 1480, 1,
		    FRAGMENT_OVERLAP },
		{ "within, with other bytes", 80, 3, 8, 1, FRAGMENT_OVERLAP },
		{ "the end within what is there", 8, 0, 5, 0,
		    FRAGMENT_INCONSISTENT },
		{ "the end where more was said to come", 1472, 0, 8, 0,
		    FRAGMENT_OVERLAP },
	};
	int version;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		version = i % 2 == 0 ? 4 : 6;
		assert_int_equal(add(version, 1, 0, 1480, 1), FRAGMENT_KEPT);
		bytes[cases[i / 2].begin + cases[i / 2].len / 2] ^=
		    (uint8_t)cases[i / 2].other;
		if (add(version, 1, cases[i / 2].begin, cases[i / 2].len,
			cases[i / 2].more) != cases[i / 2].event)
			fail_msg("%s", cases[i / 2].what);
		bytes[cases[i / 2].begin + cases[i / 2].len / 2] ^=
		    (uint8_t)cases[i / 2].other;
		assert_int_equal(add(version, 1, 1480, 8, 0), FRAGMENT_LATE);
		fragment_forget(&pool);
	}
}

static void
a_datagram_has_one_end(void **state)
{
	static const struct {
		uint32_t begin;
		size_t len;
		int more;
	} cases[] = {
		{ 2000, 101, 0 }, /* beyond */
		{ 1000, 8, 0 },	  /* before */
		{ 2008, 8, 1 },	  /* more behind it */
		{ 2000, 8, 1 },	  /* its last unit is not a whole one */
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(add(4, 1, 2000, 5, 0), FRAGMENT_KEPT);
		assert_int_equal(add(4, 1, cases[i].begin, cases[i].len,
				     cases[i].more),
		    FRAGMENT_INCONSISTENT);
		fragment_forget(&pool);
	}
}

static void
datagrams_of_other_names_do_not_mix(void **state)
{
	(void)state;
	assert_int_equal(add(4, 1, 0, 8, 1), FRAGMENT_KEPT);
	assert_int_equal(add(4, 2, 8, 8, 0), FRAGMENT_KEPT);
	assert_int_equal(add(6, 1, 8, 8, 0), FRAGMENT_KEPT);
	assert_int_equal(add(4, 1, 8, 8, 0), FRAGMENT_WHOLE);
}

static void
endless_first_fragments_push_out_each_other(void **state)
{
	uint32_t id;

	(void)state;
	for (id = 0; id < FRAGMENT_SLOTS; id++)
		assert_int_equal(add(4, id, 0, 8, 1), FRAGMENT_KEPT);
	assert_int_equal(pool.count[FRAGMENT_EVICTED], 0);
	assert_int_equal(add(4, id, 0, 8, 1), FRAGMENT_KEPT);
	assert_int_equal(pool.count[FRAGMENT_EVICTED], 1);
	assert_int_equal(add(4, 1, 8, 8, 0), FRAGMENT_WHOLE); /* was kept */
	assert_int_equal(add(4, 0, 8, 8, 0), FRAGMENT_KEPT);  /* was not */
	for (id = 100; id < 10100; id++)
		assert_int_equal(add(6, id, 0, 8, 1), FRAGMENT_KEPT);
	assert_int_equal(pool.count[FRAGMENT_EVICTED], 1 + 10000);
}

static void
a_datagram_that_takes_too_long_is_dropped(void **state)
{
	uint8_t *whole;
	size_t len;

	(void)state;
	add_at(100, 4, 1, 0, 8, 1, &whole, &len);
	add_at(200, 4, 2, 0, 8, 1, &whole, &len);
	assert_int_equal(fragment_deadline(&pool), 100 + FRAGMENT_TIMEOUT_MS);
	fragment_expire(&pool, 99 + FRAGMENT_TIMEOUT_MS);
	assert_int_equal(pool.count[FRAGMENT_EXPIRED], 0);
	fragment_expire(&pool, 100 + FRAGMENT_TIMEOUT_MS);
	assert_int_equal(pool.count[FRAGMENT_EXPIRED], 1);
	assert_int_equal(fragment_deadline(&pool), 200 + FRAGMENT_TIMEOUT_MS);
	/* Nobody called in time: the next fragment does. */
	assert_int_equal(add_at(200 + FRAGMENT_TIMEOUT_MS, 4, 2, 8, 8, 0,
			     &whole, &len),
	    FRAGMENT_KEPT);
	assert_int_equal(pool.count[FRAGMENT_EXPIRED], 2);
}

static void
every_event_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(fragment_event_name(FRAGMENT_OVERLAP), "overlap");
	assert_string_equal(fragment_event_name(FRAGMENT_NEVENTS), "?");
}

/* The reverse. */
struct pieces {
	int version, nframes;
	size_t mtu, longest;
	uint8_t *whole;
	size_t whole_len;
};

static const struct shield_config guest = {
	.guest_mac = { 2, 0, 0, 0, 0, 2 },
	.gateway_mac = { 2, 0, 0, 0, 0, 1 },
	.guest_mac_known = 1,
	.guest_ip = 2,
	.gateway_ip = 1,
	.mtu = 65535,
	.ip6_enabled = 1,
	.prefix6 = { 0xfd },
	.prefix_len6 = 64,
	.gateway_ip6 = { 0xfd, [15] = 1 },
};

static void
take_piece(void *arg, const uint8_t *frame, size_t len)
{
	struct pieces *p = arg;
	struct shield_frame sf;

	assert_true(len <= 14 + p->mtu);
	p->nframes++;
	if (len > p->longest)
		p->longest = len;
	assert_int_equal(shield_check(frame, len, &guest, &sf),
	    p->version == 6 ? SHIELD_FRAGMENT6 : SHIELD_FRAGMENT);
	(void)fragment_add(&pool, frame, &sf, 0, &p->whole, &p->whole_len);
}

/* A datagram, as if the guest had made it: so the shield may judge it. */
static size_t
build(int version, size_t len, int may_fragment, uint8_t *frame, size_t cap)
{
	struct packet_udp udp = { .src_mac = { 2, 0, 0, 0, 0, 2 },
		.dst_mac = { 2, 0, 0, 0, 0, 1 },
		.src_ip = 2,
		.dst_ip = 1,
		.sport = 3,
		.dport = 4,
		.ip_id = 9,
		.may_fragment = (uint8_t)may_fragment };
	struct packet_udp6 udp6 = { .src_mac = { 2, 0, 0, 0, 0, 2 },
		.dst_mac = { 2, 0, 0, 0, 0, 1 },
		.src_ip6 = { 0xfd, [15] = 2 },
		.dst_ip6 = { 0xfd, [15] = 1 },
		.sport = 3,
		.dport = 4 };

	return (version == 6 ?
		packet_build_udp6(&udp6, bytes, len, frame, cap) :
		packet_build_udp(&udp, bytes, len, frame, cap));
}

static void
what_is_cut_goes_together_again(void **state)
{
	static const struct {
		int version;
		size_t len, mtu;
		int nframes;
		size_t longest; /* IP packet */
	} cases[] = {
		{ 4, 2000, 1500, 2, 1500 },
		{ 6, 2000, 1500, 2, 1496 },
		{ 4, 65507, 1500, 45, 1500 },
		{ 6, 65527, 1500, 46, 1496 },
		{ 4, 65507, 1280, 53, 1276 },
		{ 6, 65527, 1280, 54, 1280 },
		{ 4, 65507, 65520, 2, 65516 },
		{ 4, 100, 68, 3, 68 },
	};
	uint8_t *frame = malloc(65600), *out = malloc(65600);
	struct pieces p;
	size_t i, len;

	(void)state;
	assert_non_null(frame);
	assert_non_null(out);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		p = (struct pieces){ .version = cases[i].version,
			.mtu = cases[i].mtu };
		len = build(p.version, cases[i].len, 1, frame, 65600);
		assert_true(len > 0);
		assert_int_equal(fragment_split(frame, len, p.mtu, 5, out,
				     14 + p.mtu, take_piece, &p),
		    cases[i].nframes);
		assert_int_equal(p.nframes, cases[i].nframes);
		assert_int_equal(p.longest, 14 + cases[i].longest);
		assert_int_equal(p.whole_len, len);
		assert_memory_equal(p.whole, frame, len);
	}
	free(frame);
	free(out);
}

static void
count_frame(void *arg, const uint8_t *frame, size_t len)
{
	(void)frame;
	*(size_t *)arg = len;
}

static void
what_fits_is_sent_as_it_is(void **state)
{
	uint8_t frame[1600];
	size_t len, seen = 0;

	(void)state;
	len = build(4, 1472, 0, frame, sizeof(frame));
	assert_int_equal(fragment_split(frame, len, 1500, 0, NULL, 0,
			     count_frame, &seen),
	    1);
	assert_int_equal(seen, 1514);
}

static void
what_may_not_be_cut_is_refused(void **state)
{
	uint8_t frame[2100], out[1514];
	size_t len, cut, seen = 0;

	(void)state;
#define SPLIT(mtu, cap) \
	fragment_split(frame, len, mtu, 0, out, cap, count_frame, &seen)
	len = build(4, 2000, 0, frame, sizeof(frame));
	assert_int_equal(SPLIT(1500, 1514), 0); /* DF */
	len = build(4, 2000, 1, frame, sizeof(frame));
	assert_int_equal(SPLIT(67, 1514), 0);
	assert_int_equal(SPLIT(1500, 1513), 0);
	frame[20] = 0x20; /* a fragment already */
	assert_int_equal(SPLIT(1500, 1514), 0);
	len = build(4, 2000, 1, frame, sizeof(frame));
	frame[12] = 0x86; /* no IPv4, nor anything else */
	assert_int_equal(SPLIT(1500, 1514), 0);
	assert_int_equal(SPLIT(65535, 1514), 0);
	len = build(4, 2000, 1, frame, sizeof(frame));
	frame[14] = 0x46; /* an option */
	assert_int_equal(SPLIT(1500, 1514), 0);
	len = build(4, 2000, 1, frame, sizeof(frame)) - 1;
	assert_int_equal(SPLIT(1500, 1514), 0);
	len = build(6, 2000, 1, frame, sizeof(frame));
	assert_int_equal(SPLIT(1279, 1514), 0);
	frame[20] = IPPROTO_FRAGMENT;
	assert_int_equal(SPLIT(1500, 1514), 0);
	len = build(6, 2000, 1, frame, sizeof(frame));
	for (cut = 0; cut < len; cut++)
		assert_int_equal(fragment_split(frame, cut, 1500, 0, out,
				     sizeof(out), count_frame, &seen),
		    0);
	assert_int_equal(seen, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pieces_become_the_datagram_in_any_order),
		TEST(one_fragment_may_be_the_whole_datagram),
		TEST(zeroes_stand_behind_a_datagram),
		TEST(one_that_is_the_whole_leaves_alone_what_shares_its_name),
		TEST(the_longest_datagram_of_each_version_fits),
		TEST(a_duplicate_changes_nothing),
		TEST(
		    an_overlap_or_a_contradiction_drops_the_datagram_and_its_rest),
		TEST(a_datagram_has_one_end),
		TEST(datagrams_of_other_names_do_not_mix),
		TEST(endless_first_fragments_push_out_each_other),
		TEST(a_datagram_that_takes_too_long_is_dropped),
		TEST(every_event_has_a_name),
		TEST(what_is_cut_goes_together_again),
		TEST(what_fits_is_sent_as_it_is),
		TEST(what_may_not_be_cut_is_refused),
	};

	return (cmocka_run_group_tests_name("fragment", tests, NULL, NULL));
}
