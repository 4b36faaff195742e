#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <string.h>

#include "parent/spec.h"

static void
a_rule_is_read_in_all_its_forms_and_written_back(void **state)
{
	static const struct {
		const char *text, *canonical;
		uint32_t proto;
		uint16_t low, high;
	} rules[] = {
		{ "10.0.0.0/8", "10.0.0.0/8", 0, 0, 65535 },
		{ "10.0.0.1", "10.0.0.1/32", 0, 0, 65535 },
		{ "0.0.0.0/0", "0.0.0.0/0", 0, 0, 65535 },
		{ "10.0.0.0/8:443", "10.0.0.0/8:443", 0, 443, 443 },
		{ "10.0.0.0/8:1-1023/tcp", "10.0.0.0/8:1-1023/tcp", IPPROTO_TCP,
		    1, 1023 },
		{ "10.0.0.1:53/udp", "10.0.0.1/32:53/udp", IPPROTO_UDP, 53,
		    53 },
		{ "10.0.0.0/8/icmp", "10.0.0.0/8/icmp", IPPROTO_ICMP, 0,
		    65535 },
		{ "10.0.0.1/tcp", "10.0.0.1/32/tcp", IPPROTO_TCP, 0, 65535 },
		{ "10.0.0.1:0-65535", "10.0.0.1/32", 0, 0, 65535 },
		{ "fd00::/8", "fd00::/8", 0, 0, 65535 },
		{ "::1", "::1/128", 0, 0, 65535 },
		{ "fd00::/8/tcp", "fd00::/8/tcp", IPPROTO_TCP, 0, 65535 },
		{ "[fd00::/8]:443", "[fd00::/8]:443", 0, 443, 443 },
		{ "[fd00::/8]", "fd00::/8", 0, 0, 65535 },
		{ "[fd00::1]:1-2/tcp", "[fd00::1/128]:1-2/tcp", IPPROTO_TCP, 1,
		    2 },
	};
	struct ipc_rule rule, again;
	char buf[SPEC_STRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		assert_null(spec_rule(rules[i].text, RULE_DENY, &rule));
		assert_int_equal(rule.action, RULE_DENY);
		assert_int_equal(rule.proto, rules[i].proto);
		assert_int_equal(rule.port_low, rules[i].low);
		assert_int_equal(rule.port_high, rules[i].high);
		assert_string_equal(spec_format_rule(&rule, buf, sizeof(buf)),
		    rules[i].canonical);
		assert_null(spec_rule(buf, RULE_DENY, &again));
		assert_memory_equal(&rule, &again, sizeof(rule));
	}
}

static void
a_rule_that_is_none_is_refused(void **state)
{
	static const char *const none[] = { "", "/", ":80", "10.0.0.0/",
		"10.0.0.0/8:", "10.0.0.0/8:80-", "10.0.0.0/8:-80",
		"10.0.0.0/8:90-80", "10.0.0.0/8:65536", "10.0.0.0/8:80/",
		"10.0.0.0/8:80/sctp", "10.0.0.0/8:80/TCP", "10.0.0/8",
		"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ", " 10.0.0.0/8",
		"fd00::/129", "[fd00::/8", "fd00::/8]", "[fd00::/8]443",
		"[fd00::/8]:", "[10.0.0.0/8]:80", "[]", "[]:80", "example.org",
		"10.0.0.1/8", "fd00::1/8", "::ffff:10.0.0.0/104",
		"10.0.0.0/8:80/icmp", "10.0.0.0/8:080808", "10.0.0.0/8:8 0",
		"10.0.0.0/8:80:90" };
	char longest[SPEC_STRLEN + 2];
	struct ipc_rule rule;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_non_null(spec_rule(none[i], RULE_ALLOW, &rule));
	memset(longest, '1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_non_null(spec_rule(longest, RULE_ALLOW, &rule));
}

static void
an_address_that_may_end_in_a_port_is_taken_in_brackets_alone(void **state)
{
	static const char *const both[] = { "::1:53", "fd00::1:443",
		"2001:db8::2:30" };
	static const char *const one[] = { "::1", "fd00::53", "fd00::1:a",
		"fd00::1:0", "2001:db8:1:2:3:4:5:53", "[::1:53]", "[::1]:53" };
	struct ipc_resolver server;
	struct ipc_rule rule;
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		assert_non_null(spec_server(both[i], &server));
		assert_non_null(spec_rule(both[i], RULE_DENY, &rule));
		snprintf(text, sizeof(text), "%s/tcp", both[i]);
		assert_non_null(spec_rule(text, RULE_DENY, &rule));
	}
	for (i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
		assert_null(spec_server(one[i], &server));
		assert_null(spec_rule(one[i], RULE_DENY, &rule));
	}
	assert_null(spec_rule("fd00::1:443/128", RULE_DENY, &rule));
}

static void
a_publication_is_read_in_all_its_forms_and_written_back(void **state)
{
	static const struct {
		const char *text, *canonical;
		uint8_t family;
		uint16_t host, guest;
		uint32_t count;
	} specs[] = {
		{ "8080:80", "8080:80/tcp", 0, 8080, 80, 1 },
		{ "8080:80/tcp", "8080:80/tcp", 0, 8080, 80, 1 },
		{ "8000-8009:80-89", "8000-8009:80-89/tcp", 0, 8000, 80, 10 },
		{ "0.0.0.0:8080:80", "0.0.0.0:8080:80/tcp", 4, 8080, 80, 1 },
		{ "[::1]:8080:80", "[::1]:8080:80/tcp", 6, 8080, 80, 1 },
		{ "5353:53/udp", "5353:53/udp", 0, 5353, 53, 1 },
		{ "[::1]:10-19:20-29/udp", "[::1]:10-19:20-29/udp", 6, 10, 20,
		    10 },
		{ "[::]:1-2:3-4/tcp", "[::]:1-2:3-4/tcp", 6, 1, 3, 2 },
		{ "1-65535:1-65535", "1-65535:1-65535/tcp", 0, 1, 1, 65535 },
	};
	struct config_publish publish, again;
	char buf[SPEC_STRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		assert_null(spec_publish(specs[i].text, &publish));
		assert_int_equal(publish.bind.family, specs[i].family);
		assert_int_equal(publish.host_port, specs[i].host);
		assert_int_equal(publish.guest_port, specs[i].guest);
		assert_int_equal(publish.count, specs[i].count);
		assert_string_equal(spec_format_publish(&publish, buf,
					sizeof(buf)),
		    specs[i].canonical);
		assert_null(spec_publish(buf, &again));
		assert_memory_equal(&publish, &again, sizeof(publish));
	}
}

static void
a_publication_that_is_none_is_refused(void **state)
{
	static const char *const none[] = { "", ":", "80", "80:", ":80", "0:80",
		"80:0", "80:65536", "65536:80", "80-81:80", "80:80-81",
		"81-80:81-80", "80:80/UDP", "80:80/sctp", "80:80/", "x:80:80",
		"1.2.3:80:80", "[::1:80:80", "[::1]80:80", "[127.0.0.1]:80:80",
		"::1:80:80", "80:80:80:80", "+80:80", "80: 80" };
	struct config_publish publish;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_non_null(spec_publish(none[i], &publish));
}

static void
a_server_has_port_53_unless_it_says_another(void **state)
{
	struct ipc_resolver server;
	char buf[ADDR_STRLEN];

	(void)state;
	assert_null(spec_server("127.0.0.53", &server));
	assert_int_equal(server.port, 53);
	assert_null(spec_server("1.1.1.1:5353", &server));
	assert_int_equal(server.port, 5353);
	assert_null(spec_server("2001:db8::1", &server));
	assert_int_equal(server.port, 53);
	assert_null(spec_server("[2001:db8::1]:5353", &server));
	assert_string_equal(addr_format_port(&server.addr, server.port, buf,
				sizeof(buf)),
	    "[2001:db8::1]:5353");
	assert_null(spec_server("[2001:db8::1]", &server));
}

static void
a_server_that_is_none_is_refused(void **state)
{
	static const char *const none[] = { "", "1.1.1",
		"1.1.1.1:", "1.1.1.1:0", "1.1.1.1:65536", "1.1.1.1:x",
		"[1.1.1.1]:53", "[2001:db8::1", "[2001:db8::1]53", "0.0.0.0",
		"::", "224.0.0.251", "255.255.255.255", "ff02::fb",
		"fe80::1%eth0", "one.one.one.one" };
	struct ipc_resolver server;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_non_null(spec_server(none[i], &server));
}

static void
a_mac_is_six_bytes_of_a_unicast_address(void **state)
{
	static const uint8_t want[6] = { 0x02, 0x53, 0x4d, 0xAB, 0xcd, 0xef };
	static const char *const none[] = { "", "02:53:4d:00:00",
		"02:53:4d:00:00:01:02", "02-53-4d-00-00-01",
		"02:53:4d:00:00:0g", "2:53:4d:0:0:1:", "01:00:5e:00:00:01",
		"ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", " 2:53:4d:00:00:01",
		"0x:53:4d:00:00:01" };
	char buf[SPEC_STRLEN];
	uint8_t mac[6];
	size_t i;

	(void)state;
	assert_null(spec_mac("02:53:4d:AB:cd:ef", mac));
	assert_memory_equal(mac, want, sizeof(want));
	assert_string_equal(spec_format_mac(mac, buf, sizeof(buf)),
	    "02:53:4d:ab:cd:ef");
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_non_null(spec_mac(none[i], mac));
}

static void
a_domain_is_labels_of_63_within_253_bytes(void **state)
{
	static const char *const none[] = { "", ".", "..", ".a", "a..b", "a b",
		"a\nb", "a/b", "\xc3\xa4.example" };
	char name[NET_SEARCH_MAX + 1], text[300];
	size_t i;

	(void)state;
	assert_null(spec_domain("example.org", name));
	assert_string_equal(name, "example.org");
	assert_null(spec_domain("_x-1.example.org.", name));
	assert_string_equal(name, "_x-1.example.org");
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_non_null(spec_domain(none[i], name));
	memset(text, 'a', 64);
	text[63] = '\0';
	assert_null(spec_domain(text, name));
	text[63] = 'a';
	text[64] = '\0';
	assert_non_null(spec_domain(text, name));
	for (i = 0; i < sizeof(text) - 1; i++)
		text[i] = i % 2 == 0 ? 'a' : '.';
	text[253] = '\0';
	assert_null(spec_domain(text, name));
	text[253] = '.';
	text[254] = 'a';
	text[255] = '\0';
	assert_non_null(spec_domain(text, name));
}

static void
a_number_is_digits_alone(void **state)
{
	uint32_t value;

	(void)state;
	assert_int_equal(spec_number("65536", 1, 65536, &value), 0);
	assert_int_equal(value, 65536);
	assert_int_equal(spec_number("65537", 1, 65536, &value), -1);
	assert_int_equal(spec_number("0", 1, 65536, &value), -1);
	assert_int_equal(spec_number("", 0, 9, &value), -1);
	assert_int_equal(spec_number("-1", 0, 9, &value), -1);
	assert_int_equal(spec_number("1 ", 0, 9, &value), -1);
	assert_int_equal(spec_number("99999999999999999999", 0, 9, &value), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_rule_is_read_in_all_its_forms_and_written_back),
		cmocka_unit_test(a_rule_that_is_none_is_refused),
		cmocka_unit_test(
		    an_address_that_may_end_in_a_port_is_taken_in_brackets_alone),
		cmocka_unit_test(
		    a_publication_is_read_in_all_its_forms_and_written_back),
		cmocka_unit_test(a_publication_that_is_none_is_refused),
		cmocka_unit_test(a_server_has_port_53_unless_it_says_another),
		cmocka_unit_test(a_server_that_is_none_is_refused),
		cmocka_unit_test(a_mac_is_six_bytes_of_a_unicast_address),
		cmocka_unit_test(a_domain_is_labels_of_63_within_253_bytes),
		cmocka_unit_test(a_number_is_digits_alone),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
