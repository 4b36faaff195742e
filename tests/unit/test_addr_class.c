#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relayproc/addr_class.h"

static struct ipc_addr
addr(const char *text)
{
	struct ipc_addr a;

	if (addr_parse(text, &a) == -1)
		fail_msg("%s is no address", text);
	return (a);
}

static enum addr_class
class_of(const struct ipc_addr *a)
{
	const struct addr_class_row *row = addr_class_lookup(a);

	return (row != NULL ? row->class : ADDR_PUBLIC);
}

static enum addr_class
class_of_inner(const struct ipc_addr *a)
{
	struct addr_forms forms;

	addr_canonicalise(a, &forms);
	return (class_of(&forms.inner));
}

/* clang-format off */
/* The first and last address of each prefix, and those next to it. */
static const struct edge {
	const char *before, *first, *last, *after;
	enum addr_class class, class_before, class_after;
} edges4[] = {
	{ NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0", ADDR_FLOOR,
	    ADDR_PUBLIC, ADDR_PUBLIC },
	{ "126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0",
	    ADDR_FLOOR, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0",
	    ADDR_FLOOR, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17",
	    ADDR_FLOOR, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "100.100.100.199", "100.100.100.200", "100.100.100.200",
	    "100.100.100.201", ADDR_FLOOR, ADDR_PRIVATE, ADDR_PRIVATE },
	{ "191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0",
	    ADDR_FLOOR, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0",
	    ADDR_FLOOR, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0",
	    ADDR_FLOOR, ADDR_PUBLIC, ADDR_FLOOR },
	{ "239.255.255.255", "240.0.0.0", "255.255.255.255", NULL, ADDR_FLOOR,
	    ADDR_FLOOR, ADDR_PUBLIC },
	{ "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0",
	    ADDR_PRIVATE, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0",
	    ADDR_PRIVATE, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0",
	    ADDR_PRIVATE, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0",
	    ADDR_PRIVATE, ADDR_PUBLIC, ADDR_PUBLIC },
};

static const struct edge edges6[] = {
	{ NULL, "::", "::1", NULL, ADDR_FLOOR, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::",
	    "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::", ADDR_FLOOR,
	    ADDR_PUBLIC, ADDR_FLOOR },
	{ "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::",
	    "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff00::", ADDR_FLOOR,
	    ADDR_FLOOR, ADDR_FLOOR },
	{ "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff00::",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, ADDR_FLOOR,
	    ADDR_FLOOR, ADDR_PUBLIC },
	{ "fd00:ec2::253", "fd00:ec2::254", "fd00:ec2::254", "fd00:ec2::255",
	    ADDR_FLOOR, ADDR_PRIVATE, ADDR_PRIVATE },
	{ "fd20:ce::253", "fd20:ce::254", "fd20:ce::254", "fd20:ce::255",
	    ADDR_FLOOR, ADDR_PRIVATE, ADDR_PRIVATE },
	{ "fd00:ec2::22", "fd00:ec2::23", "fd00:ec2::23", "fd00:ec2::24",
	    ADDR_FLOOR, ADDR_PRIVATE, ADDR_PRIVATE },
	{ "fd00:c1::a9fe:a9fd", "fd00:c1::a9fe:a9fe", "fd00:c1::a9fe:a9fe",
	    "fd00:c1::a9fe:a9ff", ADDR_FLOOR, ADDR_PRIVATE, ADDR_PRIVATE },
	{ "fd00:a9fe:a9fe::", "fd00:a9fe:a9fe::1", "fd00:a9fe:a9fe::1",
	    "fd00:a9fe:a9fe::2", ADDR_FLOOR, ADDR_PRIVATE, ADDR_PRIVATE },
	{ "fd00:42::41", "fd00:42::42", "fd00:42::42", "fd00:42::43",
	    ADDR_FLOOR, ADDR_PRIVATE, ADDR_PRIVATE },
	{ "fd00:100::100:1ff", "fd00:100::100:200", "fd00:100::100:200",
	    "fd00:100::100:201", ADDR_FLOOR, ADDR_PRIVATE, ADDR_PRIVATE },
	{ "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::",
	    "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::", ADDR_FLOOR,
	    ADDR_PUBLIC, ADDR_PUBLIC },
	{ "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::",
	    "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "2001:1::", ADDR_FLOOR,
	    ADDR_PUBLIC, ADDR_PUBLIC },
	{ "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", "64:ff9b:1::",
	    "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "64:ff9b:2::", ADDR_FLOOR,
	    ADDR_PUBLIC, ADDR_PUBLIC },
	{ "::fffe:ffff:ffff:ffff", "::ffff:0:0:0", "::ffff:0:ffff:ffff",
	    "::ffff:1:0:0", ADDR_FLOOR, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fc00::",
	    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::", ADDR_PRIVATE,
	    ADDR_PUBLIC, ADDR_PUBLIC },
};
/* clang-format on */

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void
expect_class(const char *text, enum addr_class class)
{
	struct ipc_addr a;

	if (text == NULL)
		return;
	a = addr(text);
	if (class_of(&a) != class)
		fail_msg("%s is of class %d, not %d", text, class_of(&a),
		    class);
}

static void
expect_edges(const struct edge *edges, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		expect_class(edges[i].before, edges[i].class_before);
		expect_class(edges[i].first, edges[i].class);
		expect_class(edges[i].last, edges[i].class);
		expect_class(edges[i].after, edges[i].class_after);
	}
}

static void
every_ipv4_range_holds_its_ends_and_not_its_neighbours(void **state)
{
	(void)state;
	expect_edges(edges4, N(edges4));
}

static void
every_ipv6_range_holds_its_ends_and_not_its_neighbours(void **state)
{
	(void)state;
	expect_edges(edges6, N(edges6));
}

static void
every_row_of_the_table_has_an_edge_in_this_test(void **state)
{
	const struct addr_class_row *rows;
	struct ipc_addr a;
	size_t i, j, n;
	int found;

	(void)state;
	rows = addr_class_table(&n);
	for (i = 0; i < n; i++) {
		found = 0;
		for (j = 0; j < N(edges4); j++) {
			a = addr(edges4[j].first);
			found |= addr_equal(&a, &rows[i].net);
		}
		for (j = 0; j < N(edges6); j++) {
			a = addr(edges6[j].first);
			found |= addr_equal(&a, &rows[i].net);
			a = addr(edges6[j].last);
			found |= addr_equal(&a, &rows[i].net);
		}
		if (!found)
			fail_msg("row %zu (%s) is not tested", i,
			    rows[i].reason);
	}
}

static void
every_row_has_a_reason_and_no_bits_beyond_its_prefix(void **state)
{
	const struct addr_class_row *rows;
	size_t i, n;
	unsigned int bit;

	(void)state;
	rows = addr_class_table(&n);
	for (i = 0; i < n; i++) {
		assert_true(addr_is_valid(&rows[i].net));
		assert_true(strlen(rows[i].reason) > 8);
		assert_true(rows[i].class != ADDR_PUBLIC);
		for (bit = rows[i].prefix_len; bit < 128; bit++)
			assert_false(rows[i].net.bytes[bit / 8] &
			    (0x80 >> bit % 8));
	}
}

static const char *const encodings[] = {
	"::ffff:%s",   /* v4-mapped */
	"::%s",	       /* v4-compatible */
	"64:ff9b::%s", /* NAT64 */
};

static void
expect_encoded(const char *text, enum addr_class class)
{
	struct addr_forms forms;
	struct ipc_addr a, plain;
	char encoded[ADDR_STRLEN];
	size_t i;

	if (text == NULL)
		return;
	plain = addr(text);
	for (i = 0; i < N(encodings); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(encoded, sizeof(encoded), encodings[i], text);
#pragma GCC diagnostic pop
		a = addr(encoded);
		addr_canonicalise(&a, &forms);
		/* ::0.0.0.0 and ::0.0.0.1 are :: and ::1. */
		if (class_of_inner(&a) != class)
			fail_msg("%s is not of the class of %s", encoded, text);
		if (class_of(&forms.inner) != ADDR_FLOOR)
			assert_true(addr_equal(&forms.inner, &plain));
	}
}

static void
every_ipv4_range_is_the_same_in_every_encoding(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < N(edges4); i++) {
		expect_encoded(edges4[i].before, edges4[i].class_before);
		expect_encoded(edges4[i].first, edges4[i].class);
		expect_encoded(edges4[i].last, edges4[i].class);
		expect_encoded(edges4[i].after, edges4[i].class_after);
	}
}

static void
a_carrier_of_ipv4_is_on_the_floor_whatever_it_carries(void **state)
{
	static const char *const carriers[] = {
		"2002:808:808::1",	     /* 6to4 of 8.8.8.8 */
		"2002:7f00:1::1",	     /* 6to4 of 127.0.0.1 */
		"2001:0:808:808::f7f7:f7f7", /* Teredo */
		"64:ff9b:1:808:8:800::",     /* RFC 6052 /48 of 8.8.8.8 */
		"64:ff9b:1::8.8.8.8",
		"::ffff:0:8.8.8.8",
	};
	struct ipc_addr a;
	size_t i;

	(void)state;
	for (i = 0; i < N(carriers); i++) {
		a = addr(carriers[i]);
		assert_int_equal(class_of_inner(&a), ADDR_FLOOR);
	}
}

static void
mapped_addresses_are_dialled_as_ipv4_but_nat64_is_not(void **state)
{
	struct addr_forms forms;
	struct ipc_addr a, plain = addr("8.8.8.8");

	(void)state;
	a = addr("::ffff:8.8.8.8");
	addr_canonicalise(&a, &forms);
	assert_true(addr_equal(&forms.dial, &plain));
	a = addr("::8.8.8.8");
	addr_canonicalise(&a, &forms);
	assert_true(addr_equal(&forms.dial, &plain));
	a = addr("64:ff9b::8.8.8.8");
	addr_canonicalise(&a, &forms);
	assert_true(addr_equal(&forms.dial, &a));
	assert_true(addr_equal(&forms.inner, &plain));
	a = addr("2606:4700::1111");
	addr_canonicalise(&a, &forms);
	assert_true(addr_equal(&forms.dial, &a));
	assert_true(addr_equal(&forms.inner, &a));
}

/* The same ranges, written as a person would: host byte order, one line. */
static enum addr_class
reference_class(uint32_t ip)
{
	const uint32_t a = ip >> 24;
	const uint32_t b = ip >> 16 & 0xff;

	if (a == 0 || a == 127 || a >= 224 || ip >> 16 == 0xa9fe ||
	    ip == 0xa83f8110 || ip == 0x646464c8 || ip >> 8 == 0xc00000 ||
	    ip >> 17 == 0xc612 >> 1)
		return (ADDR_FLOOR);
	if (a == 10 || (a == 172 && b >= 16 && b <= 31) ||
	    (a == 192 && b == 168) || (a == 100 && b >= 64 && b <= 127))
		return (ADDR_PRIVATE);
	return (ADDR_PUBLIC);
}

static void
expect_reference(uint32_t ip)
{
	struct ipc_addr a = addr_from_ip4(ip);
	struct ipc_addr mapped = {
		.family = 6,
		.bytes = { [10] = 0xff, [11] = 0xff },
	};

	memcpy(mapped.bytes + 12, a.bytes, 4);
	if (class_of(&a) != reference_class(ip) ||
	    class_of_inner(&mapped) != reference_class(ip))
		fail_msg("%08x: class %d, mapped %d, expected %d", ip,
		    class_of(&a), class_of_inner(&mapped), reference_class(ip));
}

static void
the_whole_ipv4_space_is_of_the_expected_classes(void **state)
{
	static const uint8_t ends[] = { 0, 1, 15, 16, 17, 199, 200, 201, 255 };
	uint32_t prefix;
	size_t i;

	(void)state;
	/* Every third prefix; its step is prime to all sizes of ranges. */
	for (prefix = 0; prefix < 1u << 24; prefix += 3) {
		for (i = 0; i < (prefix % 1024 == 0 ? N(ends) : 1); i++)
			expect_reference(prefix << 8 | ends[i]);
	}
	/* All of them where the special ranges are. */
	for (prefix = 0x640000; prefix < 0x660000; prefix++)
		expect_reference(prefix << 8 | ends[prefix % N(ends)]);
	for (prefix = 0xa80000; prefix < 0xad0000; prefix++)
		expect_reference(prefix << 8 | ends[prefix % N(ends)]);
	for (prefix = 0xc00000; prefix < 0xc70000; prefix++)
		expect_reference(prefix << 8 | ends[prefix % N(ends)]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    every_ipv4_range_holds_its_ends_and_not_its_neighbours),
		cmocka_unit_test(
		    every_ipv6_range_holds_its_ends_and_not_its_neighbours),
		cmocka_unit_test(
		    every_row_of_the_table_has_an_edge_in_this_test),
		cmocka_unit_test(
		    every_row_has_a_reason_and_no_bits_beyond_its_prefix),
		cmocka_unit_test(
		    every_ipv4_range_is_the_same_in_every_encoding),
		cmocka_unit_test(
		    a_carrier_of_ipv4_is_on_the_floor_whatever_it_carries),
		cmocka_unit_test(
		    mapped_addresses_are_dialled_as_ipv4_but_nat64_is_not),
		cmocka_unit_test(
		    the_whole_ipv4_space_is_of_the_expected_classes),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
