#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/addr.h"

static struct ipc_addr
addr(const char *text)
{
	struct ipc_addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return (a);
}

static void
text_and_back_is_the_same(void **state)
{
	static const char *const texts[] = { "0.0.0.0", "192.0.2.1",
		"255.255.255.255", "::", "::1", "2001:db8::1",
		"::ffff:192.0.2.1" };
	char buf[ADDR_STRLEN];
	struct sockaddr_storage ss;
	struct ipc_addr a, b;
	uint16_t port;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		a = addr(texts[i]);
		assert_true(addr_is_valid(&a));
		assert_string_equal(addr_format(&a, buf, sizeof(buf)),
		    texts[i]);
		assert_true(addr_to_sockaddr(&a, 53, &ss) > 0);
		assert_int_equal(addr_from_sockaddr((const struct sockaddr
							    *)&ss,
				     &b, &port),
		    0);
		assert_true(addr_equal(&a, &b));
		assert_int_equal(port, 53);
	}
}

static void
what_is_no_address_is_refused(void **state)
{
	static const char *const texts[] = { "", "1", "1.2.3", "1.2.3.4.5",
		"256.1.1.1", "1.2.3.4 ", "0x1.2.3.4", ":::", "1::2::3", "host",
		"1.2.3.4/8" };
	struct ipc_addr a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(addr_parse(texts[i], &a), -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(a.family, 0);
	}
}

static void
a_prefix_length_beyond_the_address_is_refused(void **state)
{
	struct ipc_addr a;
	unsigned int len;

	(void)state;
	assert_int_equal(addr_parse_cidr("10.0.0.0/8", &a, &len), 0);
	assert_int_equal(len, 8);
	assert_int_equal(addr_parse_cidr("10.0.0.1", &a, &len), 0);
	assert_int_equal(len, 32);
	assert_int_equal(addr_parse_cidr("fc00::/7", &a, &len), 0);
	assert_int_equal(len, 7);
	assert_int_equal(addr_parse_cidr("::/128", &a, &len), 0);
	assert_int_equal(len, 128);
	assert_int_equal(addr_parse_cidr("10.0.0.1/0", &a, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(addr_parse_cidr("::1", &a, &len), 0);
	assert_int_equal(len, 128);
	errno = 0;
	assert_int_equal(addr_parse_cidr("10.0.0.0/33", &a, &len), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(addr_parse_cidr("::/129", &a, &len), -1);
	assert_int_equal(addr_parse_cidr("10.0.0.0/", &a, &len), -1);
	assert_int_equal(addr_parse_cidr("10.0.0.0/-1", &a, &len), -1);
	assert_int_equal(addr_parse_cidr("10.0.0.0/8x", &a, &len), -1);
}

static void
a_text_too_long_for_an_address_is_refused(void **state)
{
	char text[2 * ADDR_STRLEN];
	struct ipc_addr a;
	unsigned int len;
	size_t n;

	(void)state;
	for (n = 1; n < sizeof(text); n++) {
		memset(text, '1', n);
		text[n] = '\0';
		errno = 0;
		assert_int_equal(addr_parse_cidr(text, &a, &len), -1);
		assert_int_equal(errno, EINVAL);
		memcpy(text + n - 1, "/", 2);
		errno = 0;
		assert_int_equal(addr_parse_cidr(text, &a, &len), -1);
		assert_int_equal(errno, EINVAL);
	}
}

static void
a_port_stands_behind_its_address(void **state)
{
	struct ipc_addr a = addr("192.0.2.1");
	char buf[ADDR_STRLEN];

	(void)state;
	assert_string_equal(addr_format_port(&a, 80, buf, sizeof(buf)),
	    "192.0.2.1:80");
	a = addr("2001:db8::1");
	assert_string_equal(addr_format_port(&a, 65535, buf, sizeof(buf)),
	    "[2001:db8::1]:65535");
	memset(&a, 0, sizeof(a));
	assert_string_equal(addr_format(&a, buf, sizeof(buf)), "none");
	a = addr("2001:db8::1");
	assert_string_equal(addr_format(&a, buf, 6), "none");
}

static void
a_number_is_an_ipv4_address_and_back(void **state)
{
	struct ipc_addr a = addr_from_ip4(0xc0000201), b = addr("192.0.2.1");

	(void)state;
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(addr_to_ip4(&a), 0xc0000201);
	a = addr("c000:201::");
	assert_int_equal(addr_to_ip4(&a), 0);
}

static void
what_has_no_family_is_no_socket_address(void **state)
{
	struct ipc_addr a = addr("192.0.2.1"), b;
	struct sockaddr_storage ss;
	uint16_t port = 7;

	(void)state;
	assert_int_equal(addr_to_sockaddr(&a, 53, &ss),
	    sizeof(struct sockaddr_in));
	assert_int_equal(addr_from_sockaddr((const struct sockaddr *)&ss, &b,
			     NULL),
	    0);
	assert_true(addr_equal(&a, &b));
	a = addr("192::");
	assert_int_equal(addr_to_sockaddr(&a, 53, &ss),
	    sizeof(struct sockaddr_in6));
	assert_int_equal(addr_from_sockaddr((const struct sockaddr *)&ss, &b,
			     NULL),
	    0);
	assert_true(addr_equal(&a, &b));
	memset(&a, 0, sizeof(a));
	memset(&ss, 0xff, sizeof(ss));
	assert_int_equal(addr_to_sockaddr(&a, 53, &ss), 0);
	assert_int_equal(ss.ss_family, AF_UNSPEC);
	ss.ss_family = AF_UNIX;
	errno = 0;
	assert_int_equal(addr_from_sockaddr((const struct sockaddr *)&ss, &b,
			     &port),
	    -1);
	assert_int_equal(errno, EAFNOSUPPORT);
	assert_int_equal(b.family, 0);
	assert_int_equal(port, 7);
}

static void
equal_are_those_of_one_family_and_the_same_bytes(void **state)
{
	struct ipc_addr a = addr("1.2.3.4"), b = addr("102:304::");

	(void)state;
	assert_memory_equal(a.bytes, b.bytes, sizeof(a.bytes));
	assert_false(addr_equal(&a, &b));
	assert_false(addr_in_prefix(&a, &b, 8));
	b = addr("1.2.3.5");
	assert_false(addr_equal(&a, &b));
	a = addr("::1");
	b = addr("::2");
	assert_false(addr_equal(&a, &b));
}

static void
a_prefix_matches_to_the_bit(void **state)
{
	struct ipc_addr net = addr("172.16.0.0"), a;
	unsigned int len;

	(void)state;
	a = addr("172.31.255.255");
	assert_true(addr_in_prefix(&a, &net, 12));
	assert_false(addr_in_prefix(&a, &net, 13));
	a = addr("172.32.0.0");
	assert_false(addr_in_prefix(&a, &net, 12));
	assert_true(addr_in_prefix(&a, &net, 0));
	a = addr("::");
	assert_false(addr_in_prefix(&a, &net, 0));
	assert_true(addr_in_prefix(&net, &net, 32));
	net = addr("2001:db8::ff01");
	a = addr("2001:db8::ff00");
	assert_true(addr_in_prefix(&net, &net, 128));
	assert_false(addr_in_prefix(&net, &net, 129));
	assert_false(addr_in_prefix(&a, &net, 128));
	assert_true(addr_in_prefix(&a, &net, 127));
	for (len = 0; len <= 128; len++) {
		a = net;
		assert_true(addr_in_prefix(&a, &net, len));
		if (len < 128)
			a.bytes[len / 8] ^= (uint8_t)(0x80 >> len % 8);
		assert_true(addr_in_prefix(&a, &net, len));
		if (len < 128)
			assert_false(addr_in_prefix(&a, &net, len + 1));
	}
}

static void
an_address_with_bytes_beyond_its_family_is_invalid(void **state)
{
	struct ipc_addr a = addr("192.0.2.1");

	(void)state;
	a.bytes[4] = 1;
	assert_false(addr_is_valid(&a));
	a = addr("192.0.2.1");
	a.pad[2] = 1;
	assert_false(addr_is_valid(&a));
	a = addr("192.0.2.1");
	a.family = 5;
	assert_false(addr_is_valid(&a));
	memset(&a, 0, sizeof(a));
	assert_true(addr_is_valid(&a));
	a.bytes[0] = 1;
	assert_false(addr_is_valid(&a));
	a = addr("192.0.2.1");
	a.bytes[15] = 1;
	assert_false(addr_is_valid(&a));
	memset(&a, 0, sizeof(a));
	a.bytes[15] = 1;
	assert_false(addr_is_valid(&a));
	a = addr("::1");
	a.pad[0] = 1;
	assert_false(addr_is_valid(&a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_back_is_the_same),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(a_prefix_length_beyond_the_address_is_refused),
		cmocka_unit_test(a_text_too_long_for_an_address_is_refused),
		cmocka_unit_test(a_port_stands_behind_its_address),
		cmocka_unit_test(a_number_is_an_ipv4_address_and_back),
		cmocka_unit_test(what_has_no_family_is_no_socket_address),
		cmocka_unit_test(
		    equal_are_those_of_one_family_and_the_same_bytes),
		cmocka_unit_test(a_prefix_matches_to_the_bit),
		cmocka_unit_test(
		    an_address_with_bytes_beyond_its_family_is_invalid),
	};

	return (cmocka_run_group_tests_name("addr", tests, NULL, NULL));
}
