#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sysexits.h>

#include "tests/unit/options_rig.h"

static void
a_host_port_published_twice_is_refused(void **state)
{
	(void)state;
	assert_int_equal(TAKE("-n", "-p", "8000-8010:80-90", "-p", "8010:22"),
	    -1);
	assert_non_null(strstr(error.text, "published twice"));
	assert_int_equal(TAKE("-n", "-p", "8000:80", "-p", "192.0.2.1:8000:80"),
	    0);
}

static void
a_host_port_that_two_binds_have_in_common_is_refused(void **state)
{
	static const struct {
		const char *first, *second;
		int result;
	} cases[] = {
		{ "8000:80", "127.0.0.1:8000:81", -1 },
		{ "[::1]:8000:80", "8000:81", -1 },
		{ "8000:80/udp", "0.0.0.0:8000:81/udp", -1 },
		{ "[::]:8000:80", "8000:81", -1 },
		{ "0.0.0.0:8000:80", "192.0.2.1:8000:81", -1 },
		{ "[2001:db8::1]:8000:80", "[::]:8000:81", -1 },
		{ "0.0.0.0:8000:80", "[::]:8000:81", 0 },
		{ "127.0.0.1:8000:80", "[::1]:8000:81", 0 },
		{ "127.0.0.1:8000:80", "127.0.0.2:8000:81", 0 },
		{ "8000:80", "[2001:db8::1]:8000:81", 0 },
		{ "0.0.0.0:8000:80", "127.0.0.1:8000:81/udp", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(TAKE("-n", "-p", cases[i].first, "-p",
				     cases[i].second),
		    cases[i].result);
		if (cases[i].result == -1)
			assert_non_null(strstr(error.text, "published twice"));
	}
}

static void
one_descriptor_for_two_things_is_refused(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--fd", "3", "--ready-fd", "3"), -1);
	assert_non_null(strstr(error.text, "--ready-fd 3: is the frame"));
	assert_int_equal(TAKE("--fd", "3", "--evidence", "fd:3"), -1);
	assert_non_null(strstr(error.text, "fd:3: is the frame socket"));
	assert_int_equal(TAKE("--socket", "s", "--ready-fd", "4", "--evidence",
			     "fd:04"),
	    -1);
	assert_non_null(strstr(error.text, "fd:4: is that of --ready-fd"));
	assert_int_equal(TAKE("--fd", "3", "--ready-fd", "4", "--evidence",
			     "fd:5"),
	    0);
	assert_int_equal(TAKE("--fd", "3", "--evidence", "./fd:3"), 0);
}

static void
one_path_for_two_things_is_refused(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--socket", "s", "--control", "s"), -1);
	assert_non_null(strstr(error.text, "--control s: is the path of"));
	assert_int_equal(TAKE("--socket", "s", "--evidence", "s"), -1);
	assert_non_null(strstr(error.text, "--evidence s: is the path of"));
	assert_int_equal(TAKE("--fd", "3", "--control", "c", "--evidence", "c"),
	    -1);
	assert_non_null(strstr(error.text, "path of --control"));
}

static void
more_listeners_than_relayproc_takes_are_refused(void **state)
{
	(void)state;
	assert_int_equal(TAKE("-n", "-p", "8000-8127:8000-8127"), 0);
	assert_int_equal(TAKE("-n", "-p", "8000-8128:8000-8128"), -1);
	assert_non_null(strstr(error.text, "more than 256 listeners"));
	assert_int_equal(TAKE("-n", "-p", "0.0.0.0:8000-8255:8000-8255"), 0);
}

static void
a_gateway_port_served_twice_is_refused(void **state)
{
	(void)state;
	assert_int_equal(TAKE("-n", "--host-service", "80:8080",
			     "--host-service", "80:81"),
	    -1);
	assert_non_null(strstr(error.text, "taken by an earlier one"));
	/* By the gateway itself. */
	assert_int_equal(TAKE("-n", "--host-service", "53:5353"), -1);
	assert_non_null(strstr(error.text, "the gateway's resolver"));
}

static void
exactly_one_frame_source_is_needed(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--mtu", "1500"), -1);
	assert_non_null(strstr(error.text, "no frame source"));
	assert_int_equal(TAKE("--socket", "s", "--fd", "3"), -1);
	assert_non_null(strstr(error.text, "more than one frame source"));
	assert_int_equal(TAKE("--fd", "3", "--", "vmm"), -1);
	assert_int_equal(TAKE("-n"), 0);
}

static void
udp_and_tcp_may_have_the_same_port(void **state)
{
	(void)state;
	assert_int_equal(TAKE("-n", "-p", "8053:53", "-p", "8053:53/udp"), 0);
	assert_int_equal(config_max_inbound(&config), 1024);
	assert_int_equal(config_max_assocs_in(&config), 512);
	assert_int_equal(TAKE("-n", "-p", "8053:53/udp", "-p", "8053:5/udp"),
	    -1);
	assert_non_null(strstr(error.text, "published twice"));
	assert_int_equal(TAKE("-n", "-p", "8053:53/udp"), 0);
	assert_int_equal(config_max_inbound(&config), 0);
	assert_int_equal(TAKE("-n", "-p", "8053:53"), 0);
	assert_int_equal(config_max_assocs_in(&config), 0);
}

static void
one_mac_for_guest_and_gateway_is_refused(void **state)
{
	(void)state;
	assert_int_equal(TAKE("-n", "--mac", "02:53:4d:00:00:01"), -1);
	assert_non_null(strstr(error.text, "is the gateway's, too"));
}

static void
a_server_that_is_the_gateway_is_refused(void **state)
{
	(void)state;
	assert_int_equal(TAKE("-n", "--dns", "1.1.1.1", "--dns",
			     "100.96.0.1:5353"),
	    -1);
	assert_int_equal(error.status, EX_USAGE);
	assert_non_null(strstr(error.text, "--dns 100.96.0.1: is the gateway"));
	assert_int_equal(TAKE("-n", "--dns", "fd53:4d00::1"), -1);
	assert_int_equal(TAKE("-n", "--no-ipv6", "--dns", "fd53:4d00::1"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_port_published_twice_is_refused),
		cmocka_unit_test(
		    a_host_port_that_two_binds_have_in_common_is_refused),
		cmocka_unit_test(one_descriptor_for_two_things_is_refused),
		cmocka_unit_test(one_path_for_two_things_is_refused),
		cmocka_unit_test(
		    more_listeners_than_relayproc_takes_are_refused),
		cmocka_unit_test(a_gateway_port_served_twice_is_refused),
		cmocka_unit_test(exactly_one_frame_source_is_needed),
		cmocka_unit_test(udp_and_tcp_may_have_the_same_port),
		cmocka_unit_test(one_mac_for_guest_and_gateway_is_refused),
		cmocka_unit_test(a_server_that_is_the_gateway_is_refused),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
