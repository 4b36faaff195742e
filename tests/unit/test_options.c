#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "tests/unit/options_rig.h"

/* A wrong value: the option that it is given to, and the mend it names. */
struct bad {
	enum option_id id;
	const char *value;
	const char *mend;
};

static const struct bad bad_values[] = {
	{ OPT_SOCKET, "", "1 to 107 bytes" },
	{ OPT_FD, "2", "from 3 on" },
	{ OPT_FD, "x", "from 3 on" },
	{ OPT_FD, "-1", "from 3 on" },
	{ OPT_ADDRESS, "100.96.0.2", "as in 100.96.0.2/30" },
	{ OPT_ADDRESS, "fd00::1/64", "as in 100.96.0.2/30" },
	{ OPT_ADDRESS, "10.0.0.1/31", "1 to 30" },
	{ OPT_ADDRESS, "10.0.0.1/0", "1 to 30" },
	{ OPT_GATEWAY, "10.0.0", "as in 100.96.0.1" },
	{ OPT_GATEWAY, "::1", "as in 100.96.0.1" },
	{ OPT_ADDRESS6, "fd53:4d00::2", "as in fd53:4d00::2/64" },
	{ OPT_ADDRESS6, "10.0.2.15/24", "as in fd53:4d00::2/64" },
	{ OPT_ADDRESS6, "fd53:4d00::2/48", "SLAAC" },
	{ OPT_ADDRESS6, "fd53:4d00::2/65", "SLAAC" },
	{ OPT_GATEWAY6, "10.0.2.2", "as in fd53:4d00::1" },
	{ OPT_GATEWAY6, "fd53:4d00::1/64", "as in fd53:4d00::1" },
	{ OPT_MAC, "01:00:00:00:00:01", "must be even" },
	{ OPT_MAC, "02:00:00:00:00", "as in 02:53:4d:00:00:02" },
	{ OPT_MAC, "00:00:00:00:00:00", "as in 02:53:4d:00:00:02" },
	{ OPT_GATEWAY_MAC, "auto", "as in 02:53:4d:00:00:02" },
	{ OPT_MTU, "1279", "1280 to 65520" },
	{ OPT_MTU, "65521", "1280 to 65520" },
	{ OPT_MTU, "1500x", "1280 to 65520" },
	{ OPT_MTU, " 1500", "1280 to 65520" },
	{ OPT_MTU, "+1500", "1280 to 65520" },
	{ OPT_DNS, "dns.example.org", "as in 1.1.1.1:53" },
	{ OPT_DNS, "1.1.1.1:0", "1 to 65535" },
	{ OPT_DNS, "224.0.0.251", "no unicast address" },
	{ OPT_DNS, "fe80::1", "name another of the server's" },
	{ OPT_DNS, "[febf::1]:5353", "name another of the server's" },
	{ OPT_SEARCH, "a..b", "as in example.org" },
	{ OPT_PUBLISH, "80", "as in 8080:80" },
	{ OPT_PUBLISH, "53:53/sctp", "[/tcp|/udp]" },
	{ OPT_PUBLISH, "224.0.0.1:8090:80", "say one of the host's" },
	{ OPT_PUBLISH, "[ff02::1]:8090:80/udp", "say one of the host's" },
	{ OPT_PUBLISH, "[fe80::1]:8091:80", "say another, or [::]" },
	{ OPT_PUBLISH, "[::ffff:127.0.0.1]:8092:80", "say the IPv4 address" },
	{ OPT_PUBLISH_SOURCE, "client", "gateway or preserve" },
	{ OPT_ALLOW, "10.0.0.0/33", "say CIDR" },
	{ OPT_ALLOW, "10.0.0.0/8:0", "from 1 on" },
	{ OPT_ALLOW, "[fd00::/8]:0-443/tcp", "from 1 on" },
	{ OPT_DENY, "10.0.0.1/8", "bits set beyond" },
	{ OPT_UNSAFE_ALLOW, "localhost", "say CIDR" },
	{ OPT_DEFAULT_EGRESS, "yes", "allow or deny" },
	{ OPT_HOST_SERVICE, "80", "GATEWAYPORT:HOSTPORT" },
	{ OPT_HOST_SERVICE, "80-81:80-81", "GATEWAYPORT:HOSTPORT" },
	{ OPT_UDP_FILTERING, "open", "or endpoint-independent" },
	{ OPT_MAX_UDP, "0", "1 to 65472" },
	{ OPT_MAX_UDP, "65473", "1 to 65472" },
	{ OPT_RELAY, "copy", "lend or splice" },
	{ OPT_MAX_FLOWS, "0", "1 to 65536" },
	{ OPT_MAX_FLOWS, "65537", "1 to 65536" },
	{ OPT_MAX_PENDING, "0", "1 to 65536" },
	{ OPT_CONNECT_RATE, "0", "1 to 1000000" },
	{ OPT_MAX_RESTARTS, "-1", "0 to 100000" },
	{ OPT_MAX_RESTARTS, "100001", "0 to 100000" },
	{ OPT_ISOLATION, "lax", "strict or best-effort" },
	{ OPT_USER, "", "1 to 32 bytes" },
	{ OPT_LOG_LEVEL, "loud", "error, warn, info or debug" },
	{ OPT_READY_FD, "1", "from 3 on" },
	{ OPT_CONTROL, "", "1 to 107 bytes" },
	{ OPT_EVIDENCE, "", "1 to 4095 bytes" },
	{ OPT_EVIDENCE, "fd:", "from 3 on" },
	{ OPT_EVIDENCE, "fd:x", "from 3 on" },
	{ OPT_EVIDENCE, "fd:2", "from 3 on" },
	{ OPT_FILE, "", "path of a file" },
};
#define NBAD (sizeof(bad_values) / sizeof(bad_values[0]))

static void
a_bad_value_of_each_option_names_option_value_and_mend(void **state)
{
	char option[64], start[128];
	size_t i;

	(void)state;
	for (i = 0; i < NBAD; i++) {
		const struct bad *bad = &bad_values[i];

		snprintf(option, sizeof(option), "--%s",
		    option_def(bad->id)->name);
		snprintf(start, sizeof(start), "%s %s: ", option, bad->value);
		assert_int_equal(TAKE(option, bad->value), -1);
		assert_int_equal(error.status, EX_USAGE);
		assert_int_equal(strncmp(error.text, start, strlen(start)), 0);
		assert_non_null(strstr(error.text, bad->mend));
	}
}

static void
a_value_longer_than_a_line_leaves_place_and_mend_to_be_read(void **state)
{
	static char name[] = "sallyport", option[] = "--allow";
	static char value[64 * LOG_LINE_MAX];
	char *argv[] = { name, option, value, NULL };

	(void)state;
	memset(value, '9', sizeof(value) - 1);
	config_init(&config);
	assert_int_equal(options_parse(&config, 3, argv, &error), -1);
	assert_int_equal(strncmp(error.text, "--allow 999", 11), 0);
	assert_non_null(strstr(error.text, "999 ... 999"));
	assert_non_null(strstr(error.text, "9: say CIDR"));
	assert_non_null(strstr(error.text, "or [fd00::/8]:443"));
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

static void
every_option_with_an_argument_has_a_bad_value_here(void **state)
{
	unsigned int id;
	size_t i;

	(void)state;
	for (id = 0; id < OPT_N; id++) {
		if (option_def((enum option_id)id)->arg == NULL)
			continue;
		for (i = 0; i < NBAD; i++) {
			if (bad_values[i].id == (enum option_id)id)
				break;
		}
		if (i == NBAD)
			print_message("# --%s has none\n",
			    option_def((enum option_id)id)->name);
		assert_true(i < NBAD);
	}
}

static void
defaults_are_those_of_the_manual(void **state)
{
	static const uint8_t gateway_mac[] = { 2, 0x53, 0x4d, 0, 0, 1 };
	char text[ADDR_STRLEN];

	(void)state;
	assert_int_equal(TAKE("--socket", "s"), 0);
	assert_string_equal(addr_format(&config.address6, text, sizeof(text)),
	    "fd53:4d00::2");
	assert_int_equal(config.prefix_len6, 64);
	assert_string_equal(addr_format(&config.gateway6, text, sizeof(text)),
	    "fd53:4d00::1");
	assert_false(config.no_ipv6);
	assert_false(config.publish_preserve);
	assert_false(config.udp_filter_open);
	assert_int_equal(config.max_udp, 512);
	assert_int_equal(config_max_assocs(&config), 576);
	assert_int_equal(config_max_assocs_in(&config), 0);
	assert_int_equal(addr_to_ip4(&config.address), 0x64600002);
	assert_int_equal(config.prefix_len, 30);
	assert_int_equal(addr_to_ip4(&config.gateway), 0x64600001);
	assert_true(config.mac_auto);
	assert_memory_equal(config.gateway_mac, gateway_mac, 6);
	assert_int_equal(config.mtu, 1500);
	assert_int_equal(config.nresolvers, 0);
	assert_int_equal(config.nsearch, 0);
	assert_int_equal(config.npublish, 0);
	assert_int_equal(config.nrules, 0);
	assert_true(config.default_allow);
	assert_int_equal(config.nhost_services, 0);
	assert_int_equal(config.max_flows, 1024);
	assert_int_equal(config.max_pending, 64);
	assert_int_equal(config.connect_rate_per_s, 200);
	assert_int_equal(config.max_restarts, 4);
	assert_true(config.strict);
	assert_string_equal(config.user, "");
	assert_int_equal(config.log_level, LOG_LEVEL_INFO);
	assert_int_equal(config.ready_fd, -1);
	assert_int_equal(config.frame_fd, -1);
	assert_string_equal(config.control_path, "");
}

static void
a_value_is_taken_by_each_form_of_an_option(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--socket=s", "--mtu=9000"), 0);
	assert_int_equal(config.mtu, 9000);
	assert_int_equal(TAKE("--socket", "s", "-p", "8080:80"), 0);
	assert_int_equal(config.npublish, 1);
	assert_int_equal(TAKE("--socket", "s", "-p8080:80"), 0);
	assert_int_equal(config.npublish, 1);
}

static void
of_a_single_option_said_twice_the_last_wins(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--socket", "s", "--mtu", "9000", "--mtu",
			     "1400"),
	    0);
	assert_int_equal(config.mtu, 1400);
}

static void
rules_keep_the_order_of_the_command_line(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--socket", "s", "--deny", "10.0.0.0/16",
			     "--allow", "10.0.0.0/8", "--unsafe-allow",
			     "127.0.0.1"),
	    0);
	assert_int_equal(config.nrules, 3);
	assert_int_equal(config.rules[0].action, RULE_DENY);
	assert_int_equal(config.rules[1].action, RULE_ALLOW);
	assert_int_equal(config.rules[2].action, RULE_UNSAFE_ALLOW);
}

static void
what_is_no_option_is_refused_by_name(void **state)
{
	static const char *const none[] = { "--netns", "--pcap", "--audit",
		"--metrics", "--allow-host", "--rate-up", "-x" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_int_equal(TAKE(none[i]), -1);
		assert_int_equal(error.status, EX_USAGE);
		assert_int_equal(strncmp(error.text, none[i], strlen(none[i])),
		    0);
		assert_non_null(strstr(error.text, "no such option"));
	}
}

static void
a_name_cut_too_short_is_told_with_what_it_could_be(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--max"), -1);
	assert_int_equal(error.status, EX_USAGE);
	assert_string_equal(error.text,
	    "--max: could be one of --max-flows, --max-udp, --max-pending, "
	    "--max-restarts; say its whole name");
	assert_int_equal(TAKE("--g=10.0.0.1"), -1);
	assert_non_null(strstr(error.text, "one of --gateway, --gateway6,"));
	assert_int_equal(TAKE("-n", "--max-f", "7"), 0);
	assert_int_equal(config.max_flows, 7);
}

static void
a_missing_or_needless_argument_is_refused(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--mtu"), -1);
	assert_non_null(strstr(error.text, "--mtu: needs an argument"));
	assert_int_equal(TAKE("-p"), -1);
	assert_non_null(strstr(error.text, "--publish: needs an argument"));
	assert_int_equal(TAKE("--check=yes"), -1);
	assert_non_null(strstr(error.text, "takes no argument"));
}

static void
an_option_is_not_taken_for_the_argument_that_was_left_out(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--control", "--", "vmm"), -1);
	assert_string_equal(error.text,
	    "--control: needs an argument, PATH; one that begins with -- goes "
	    "after =, --control=--");
	assert_int_equal(TAKE("-n", "--search", "--no-ipv6"), -1);
	assert_non_null(strstr(error.text, "--search: needs an argument"));
	assert_int_equal(TAKE("-n", "-f", "--verbose"), -1);
	assert_non_null(strstr(error.text, "--file: needs an argument"));
	assert_int_equal(TAKE("-n", "--control=--odd"), 0);
	assert_string_equal(config.control_path, "--odd");
	assert_int_equal(TAKE("-n", "--control", "-odd"), 0);
}

static void
a_command_follows_two_dashes_and_keeps_its_options(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--mtu", "1400", "--", "vmm", "--mtu", "{fd}"),
	    0);
	assert_int_equal(config.mtu, 1400);
	assert_string_equal(config.command[0], "vmm");
	assert_string_equal(config.command[2], "{fd}");
	assert_null(config.command[3]);
	assert_int_equal(TAKE("vmm"), -1);
	assert_non_null(strstr(error.text, "a COMMAND goes after --"));
	assert_int_equal(TAKE("--"), -1);
	assert_non_null(strstr(error.text, "a COMMAND must follow"));
}

static void
qemu_gets_the_largest_mtu_unless_one_is_given(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--", "/usr/bin/qemu-system-x86_64", "-device",
			     "virtio-net-pci,netdev=net"),
	    0);
	assert_int_equal(config.mtu, 65520);
	assert_int_equal(TAKE("--", "qemu-system-x86_64", "-nic",
			     "stream,model=virtio,addr.str={fd}"),
	    0);
	assert_int_equal(config.mtu, 65520);
	assert_int_equal(TAKE("--mtu", "1500", "--", "qemu-system-x86_64",
			     "-device", "virtio-net-pci,netdev=net"),
	    0);
	assert_int_equal(config.mtu, 1500);
	assert_int_equal(TAKE("--", "krunvm", "virtio-net"), 0);
	assert_int_equal(config.mtu, 1500);
}

static void
qemu_with_a_card_that_takes_no_large_frames_gets_1500(void **state)
{
	(void)state;
	assert_int_equal(TAKE("--", "qemu-system-x86_64", "-device",
			     "virtio-blk-pci,drive=d", "-device",
			     "e1000,netdev=net"),
	    0);
	assert_int_equal(config.mtu, 1500);
	assert_int_equal(TAKE("--", "qemu-system-x86_64"), 0);
	assert_int_equal(config.mtu, 1500);
}

static void
a_gateway_outside_the_network_is_refused_with_a_better_one(void **state)
{
	(void)state;
	assert_int_equal(TAKE("-n", "--address", "10.0.2.15/24"), -1);
	assert_int_equal(error.status, EX_USAGE);
	assert_non_null(strstr(error.text, "--address 10.0.2.15/24: "));
	assert_non_null(strstr(error.text, "say --gateway 10.0.2.1"));
	assert_int_equal(TAKE("-n", "--address", "100.96.0.1/30"), -1);
	assert_non_null(strstr(error.text, "--address 100.96.0.1/30: "));
	assert_non_null(strstr(error.text, "say --gateway 100.96.0.2"));
	assert_int_equal(TAKE("-n", "--address", "10.0.2.1/24", "--gateway",
			     "10.0.2.1"),
	    -1);
	assert_non_null(strstr(error.text, "say --gateway 10.0.2.2"));
	assert_int_equal(TAKE("-n", "--gateway", "100.96.0.3"), -1);
}

static void
a_guest_address_that_no_host_can_have_is_refused(void **state)
{
	static const char *const none[] = { "10.0.2.0/24", "10.0.2.255/24",
		"127.0.0.2/8", "0.0.0.2/8", "224.0.0.2/8" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_int_equal(TAKE("-n", "--address", none[i]), -1);
		assert_non_null(strstr(error.text, "no address of a host"));
	}
}

static void
an_ipv6_gateway_outside_the_network_is_refused_with_a_better_one(void **state)
{
	(void)state;
	assert_int_equal(TAKE("-n", "--address6", "fd00:1::15/64"), -1);
	assert_int_equal(error.status, EX_USAGE);
	assert_non_null(strstr(error.text, "say --gateway6 fd00:1::1"));
	assert_int_equal(TAKE("-n", "--address6", "fd53:4d00::1/64"), -1);
	assert_non_null(strstr(error.text, "say --gateway6 fd53:4d00::2"));
	/* The subnet's anycast address is every router's. */
	assert_int_equal(TAKE("-n", "--gateway6", "fd53:4d00::"), -1);
	assert_int_equal(TAKE("-n", "--address6", "2001:db8::2/64",
			     "--gateway6", "2001:db8::1"),
	    0);
	assert_int_equal(TAKE("-n", "--no-ipv6", "--gateway6", "fd00::1"), 0);
	assert_true(config.no_ipv6);
}

static void
an_ipv6_address_that_no_host_can_have_is_refused(void **state)
{
	static const char *const none[] = { "fd53:4d00::/64", "::2/64",
		"::1/64", "fe80::2/64", "ff02::2/64", "::ffff:10.0.0.1/64" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_int_equal(TAKE("-n", "--address6", none[i]), -1);
		assert_non_null(strstr(error.text, "no unicast address"));
	}
}

static void
lists_that_are_full_refuse_one_more(void **state)
{
	char text[32];
	int i;

	(void)state;
	config_init(&config);
	for (i = 0; i < CONFIG_RULES_MAX; i++)
		assert_null(option_def(OPT_ALLOW)->set(&config, "10.0.0.1"));
	assert_non_null(option_def(OPT_DENY)->set(&config, "10.0.0.1"));
	for (i = 0; i < CONFIG_RESOLVERS_MAX; i++)
		assert_null(option_def(OPT_DNS)->set(&config, "10.0.0.1"));
	assert_non_null(option_def(OPT_DNS)->set(&config, "10.0.0.1"));
	for (i = 0; i < NET_SEARCH_LIST; i++)
		assert_null(option_def(OPT_SEARCH)->set(&config, "a.example"));
	assert_non_null(option_def(OPT_SEARCH)->set(&config, "a.example"));
	for (i = 0; i < CONFIG_PUBLISH_MAX; i++) {
		snprintf(text, sizeof(text), "%d:80", 1024 + i);
		assert_null(option_def(OPT_PUBLISH)->set(&config, text));
	}
	assert_non_null(option_def(OPT_PUBLISH)->set(&config, "80:80"));
	for (i = 0; i < CONFIG_HOST_SERVICES_MAX; i++)
		assert_null(option_def(OPT_HOST_SERVICE)
				->set(&config, "80:80"));
	assert_non_null(option_def(OPT_HOST_SERVICE)->set(&config, "80:80"));
}

static void
verbose_without_check_is_refused(void **state)
{
	(void)state;
	assert_int_equal(TAKE("-v", "--socket", "s"), -1);
	assert_non_null(strstr(error.text, "goes with -n"));
}

static void
help_names_every_option_within_80_columns(void **state)
{
	static char text[16384];
	unsigned int id;
	char name[40], *line, *save = NULL;
	FILE *file = tmpfile();
	size_t n;

	(void)state;
	assert_non_null(file);
	assert_int_equal(options_help(fileno(file)), 0);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	for (id = 0; id < OPT_N; id++) {
		snprintf(name, sizeof(name), "--%s",
		    option_def((enum option_id)id)->name);
		assert_non_null(strstr(text, name));
	}
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		assert_true(strlen(line) <= 80);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_bad_value_of_each_option_names_option_value_and_mend),
		cmocka_unit_test(
		    a_value_longer_than_a_line_leaves_place_and_mend_to_be_read),
		cmocka_unit_test(
		    every_option_with_an_argument_has_a_bad_value_here),
		cmocka_unit_test(defaults_are_those_of_the_manual),
		cmocka_unit_test(a_value_is_taken_by_each_form_of_an_option),
		cmocka_unit_test(of_a_single_option_said_twice_the_last_wins),
		cmocka_unit_test(rules_keep_the_order_of_the_command_line),
		cmocka_unit_test(what_is_no_option_is_refused_by_name),
		cmocka_unit_test(
		    a_name_cut_too_short_is_told_with_what_it_could_be),
		cmocka_unit_test(a_missing_or_needless_argument_is_refused),
		cmocka_unit_test(
		    an_option_is_not_taken_for_the_argument_that_was_left_out),
		cmocka_unit_test(
		    a_command_follows_two_dashes_and_keeps_its_options),
		cmocka_unit_test(qemu_gets_the_largest_mtu_unless_one_is_given),
		cmocka_unit_test(
		    qemu_with_a_card_that_takes_no_large_frames_gets_1500),
		cmocka_unit_test(
		    a_gateway_outside_the_network_is_refused_with_a_better_one),
		cmocka_unit_test(
		    a_guest_address_that_no_host_can_have_is_refused),
		cmocka_unit_test(
		    an_ipv6_gateway_outside_the_network_is_refused_with_a_better_one),
		cmocka_unit_test(
		    an_ipv6_address_that_no_host_can_have_is_refused),
		cmocka_unit_test(lists_that_are_full_refuse_one_more),
		cmocka_unit_test(verbose_without_check_is_refused),
		cmocka_unit_test(help_names_every_option_within_80_columns),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
