#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parent/resolv_conf.h"

static struct resolv_conf conf;

static void
parse(const char *text)
{
	resolv_conf_parse(text, strlen(text), &conf);
}

static void
assert_server(uint32_t i, const char *want)
{
	char buf[ADDR_STRLEN];

	assert_true(i < conf.nservers);
	assert_string_equal(addr_format_port(&conf.servers[i].addr,
				conf.servers[i].port, buf, sizeof(buf)),
	    want);
}

static void
servers_and_search_list_are_found(void **state)
{
	(void)state;
	parse("# comment\n; comment\n"
	      "nameserver 192.0.2.1\n"
	      "  nameserver\t2001:db8::1  # comment\r\n"
	      "search a.example b.example\n"
	      "nameserver 2001:db8::2:30\n"
	      "options edns0 trust-ad\n");
	assert_int_equal(conf.nservers, 3);
	assert_server(0, "192.0.2.1:53");
	assert_server(1, "[2001:db8::1]:53");
	assert_server(2, "[2001:db8::2:30]:53");
	assert_int_equal(conf.nsearch, 2);
	assert_string_equal(conf.search[0], "a.example");
	assert_string_equal(conf.search[1], "b.example");
}

static void
a_file_without_a_server_yields_1_1_1_1(void **state)
{
	static const char *const none[] = { "", "\n", "nameserver",
		"nameserver \n", "nameserver example.org\n",
		"nameserver 1.2.3\n", "nameserver fe80::1%eth0\n",
		"nameserver 0.0.0.0\n", "nameserver 9.9.9.9:53\n",
		"#nameserver 9.9.9.9\n", "xnameserver 9.9.9.9\n",
		"nameserver9.9.9.9\n" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		parse(none[i]);
		assert_int_equal(conf.nservers, 1);
		assert_server(0, "1.1.1.1:53");
	}
}

static void
the_last_line_needs_no_newline(void **state)
{
	(void)state;
	parse("nameserver 9.9.9.9");
	assert_server(0, "9.9.9.9:53");
}

static void
servers_beyond_the_third_are_ignored(void **state)
{
	(void)state;
	parse("nameserver 9.0.0.1\nnameserver 9.0.0.2\nnameserver 9.0.0.3\n"
	      "nameserver 9.0.0.4\n");
	assert_int_equal(conf.nservers, 3);
	assert_server(2, "9.0.0.3:53");
}

static void
the_last_of_domain_and_search_wins(void **state)
{
	(void)state;
	parse("search a.example b.example\ndomain c.example d.example\n");
	assert_int_equal(conf.nsearch, 1);
	assert_string_equal(conf.search[0], "c.example");
	parse("domain c.example\nsearch a.example\n");
	assert_int_equal(conf.nsearch, 1);
	assert_string_equal(conf.search[0], "a.example");
}

static void
search_domains_beyond_the_sixth_and_bad_ones_are_ignored(void **state)
{
	(void)state;
	parse("search a . b..c d/e f g h i j k l m\n");
	assert_int_equal(conf.nsearch, 6);
	assert_string_equal(conf.search[0], "a");
	assert_string_equal(conf.search[1], "f");
	assert_string_equal(conf.search[5], "j");
}

static void
a_word_longer_than_any_name_is_passed_over(void **state)
{
	char text[2048];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "search ", 7);
	memcpy(text + sizeof(text) - 22, "\nnameserver 9.9.9.9\n", 20);
	resolv_conf_parse(text, sizeof(text) - 2, &conf);
	assert_int_equal(conf.nsearch, 0);
	assert_server(0, "9.9.9.9:53");
}

/* In a block of exactly its size, so that a sanitizer sees an over-read. */
static void
every_prefix_of_a_file_is_parsed_without_reading_beyond_it(void **state)
{
	static const char text[] = "nameserver 192.0.2.1\n"
				   "search a.example b.example\n"
				   "domain c.example\n#x\n";
	size_t len;
	char *copy;

	(void)state;
	for (len = 0; len < sizeof(text); len++) {
		copy = malloc(len > 0 ? len : 1);
		assert_non_null(copy);
		memcpy(copy, text, len);
		resolv_conf_parse(copy, len, &conf);
		assert_true(conf.nservers >= 1);
		free(copy);
	}
}

static void
nul_bytes_are_blanks(void **state)
{
	static const char text[] = "\0nameserver\0 9.9.9.9\0\n\0";

	(void)state;
	resolv_conf_parse(text, sizeof(text), &conf);
	assert_server(0, "9.9.9.9:53");
}

static void
a_file_that_is_not_there_counts_as_empty(void **state)
{
	(void)state;
	resolv_conf_read("/nonexistent/resolv.conf", &conf);
	assert_server(0, "1.1.1.1:53");
}

static void
a_file_that_cannot_be_loaded_changes_nothing(void **state)
{
	(void)state;
	parse("nameserver 9.9.9.9\n");
	assert_false(conf.names_none);
	assert_int_equal(resolv_conf_load("/nonexistent/resolv.conf", &conf),
	    -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(resolv_conf_load("/", &conf), -1);
	assert_int_equal(errno, EISDIR);
	assert_server(0, "9.9.9.9:53");
	assert_int_equal(resolv_conf_load("/dev/null", &conf), 0);
	assert_true(conf.names_none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_and_search_list_are_found),
		cmocka_unit_test(a_file_without_a_server_yields_1_1_1_1),
		cmocka_unit_test(the_last_line_needs_no_newline),
		cmocka_unit_test(servers_beyond_the_third_are_ignored),
		cmocka_unit_test(the_last_of_domain_and_search_wins),
		cmocka_unit_test(
		    search_domains_beyond_the_sixth_and_bad_ones_are_ignored),
		cmocka_unit_test(a_word_longer_than_any_name_is_passed_over),
		cmocka_unit_test(
		    every_prefix_of_a_file_is_parsed_without_reading_beyond_it),
		cmocka_unit_test(nul_bytes_are_blanks),
		cmocka_unit_test(a_file_that_is_not_there_counts_as_empty),
		cmocka_unit_test(a_file_that_cannot_be_loaded_changes_nothing),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
