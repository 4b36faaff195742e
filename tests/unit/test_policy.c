#include <netinet/in.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "relayproc/addr_class.h"
#include "relayproc/policy.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct ipc_addr
addr(const char *text)
{
	struct ipc_addr a;

	if (addr_parse(text, &a) == -1)
		fail_msg("%s is no address", text);
	return (a);
}

static int
policy_setup(void **state)
{
	struct ipc_config_relayproc config = { .prefix_len = 30 };
	struct policy *policy = calloc(1, sizeof(*policy));

	if (policy == NULL)
		return (-1);
	config.gateway = addr("100.96.0.1");
	config.default_allow = 1;
	policy_configure(policy, &config);
	*state = policy;
	return (0);
}

static int
policy_teardown(void **state)
{
	free(*state);
	return (0);
}

static void
rule_ports(struct policy *policy, enum rule_action action, const char *cidr,
    unsigned int proto, uint16_t low, uint16_t high)
{
	struct ipc_rule rule = {
		.action = action,
		.proto = proto,
		.port_low = low,
		.port_high = high,
	};
	unsigned int prefix_len;

	assert_int_equal(addr_parse_cidr(cidr, &rule.net, &prefix_len), 0);
	rule.prefix_len = prefix_len;
	assert_int_equal(policy_add_rule(policy, &rule), 0);
}

static void
rule(struct policy *policy, enum rule_action action, const char *cidr)
{
	rule_ports(policy, action, cidr, 0, 0, 65535);
}

static enum policy_kind
kind_port(const struct policy *policy, const char *dst, uint16_t port)
{
	struct policy_answer answer;
	struct ipc_addr a = addr(dst);

	policy_check(policy, IPPROTO_TCP, &a, port, &answer);
	return (answer.kind);
}

static void
expect(const struct policy *policy, const char *dst, enum policy_kind kind)
{
	if (kind_port(policy, dst, 80) != kind)
		fail_msg("%s: kind %d, not %d", dst, kind_port(policy, dst, 80),
		    kind);
}

/* Every form in which a guest or netproc could write an IPv4 address. */
static void
expect_everywhere(const struct policy *policy, const char *dst,
    enum policy_kind kind)
{
	char text[ADDR_STRLEN];

	expect(policy, dst, kind);
	snprintf(text, sizeof(text), "::ffff:%s", dst);
	expect(policy, text, kind);
	snprintf(text, sizeof(text), "::%s", dst);
	expect(policy, text, kind);
	snprintf(text, sizeof(text), "64:ff9b::%s", dst);
	expect(policy, text, kind);
}

static void
the_public_internet_is_allowed_by_default(void **state)
{
	struct policy_answer answer;
	struct ipc_addr a = addr("93.184.216.34");

	policy_check(*state, IPPROTO_TCP, &a, 443, &answer);
	assert_int_equal(answer.kind, POLICY_ALLOWED);
	assert_true(addr_equal(&answer.dial, &a));
	assert_int_equal(answer.dial_port, 443);
	expect_everywhere(*state, "93.184.216.34", POLICY_ALLOWED);
	expect(*state, "2606:4700::1111", POLICY_ALLOWED);
}

static void
default_egress_deny_denies_what_no_rule_names(void **state)
{
	struct policy *policy = *state;

	policy->default_allow = 0;
	expect_everywhere(policy, "93.184.216.34", POLICY_DEFAULT);
	rule(policy, RULE_ALLOW, "93.184.216.0/24");
	expect_everywhere(policy, "93.184.216.34", POLICY_ALLOWED);
	expect_everywhere(policy, "93.184.217.34", POLICY_DEFAULT);
	expect(policy, "2606:4700::1111", POLICY_DEFAULT);
}

/* The last address of a row. */
static struct ipc_addr
last_of(const struct addr_class_row *row)
{
	struct ipc_addr a = row->net;
	const unsigned int bits = a.family == 4 ? 32 : 128;
	unsigned int bit;

	for (bit = row->prefix_len; bit < bits; bit++)
		a.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return (a);
}

static void
expect_row(const struct policy *policy, const struct addr_class_row *row,
    enum policy_kind kind)
{
	const struct ipc_addr last = last_of(row);
	char text[ADDR_STRLEN];

	addr_format(&row->net, text, sizeof(text));
	expect(policy, text, kind);
	if (row->net.family == 4)
		expect_everywhere(policy, text, kind);
	addr_format(&last, text, sizeof(text));
	expect(policy, text, kind);
	if (row->net.family == 4)
		expect_everywhere(policy, text, kind);
}

static void
every_row_of_the_floor_beats_every_allow(void **state)
{
	struct policy *policy = *state;
	const struct addr_class_row *rows;
	size_t i, n;

	rule(policy, RULE_ALLOW, "0.0.0.0/0");
	rule(policy, RULE_ALLOW, "::/0");
	rows = addr_class_table(&n);
	for (i = 0; i < n; i++)
		expect_row(policy, &rows[i],
		    rows[i].class == ADDR_FLOOR ? POLICY_FLOOR :
						  POLICY_ALLOWED);
}

static void
every_private_range_is_denied_until_an_allow_names_it(void **state)
{
	struct policy *policy = *state;
	const struct addr_class_row *rows;
	size_t i, n;

	rows = addr_class_table(&n);
	for (i = 0; i < n; i++) {
		if (rows[i].class == ADDR_PRIVATE)
			expect_row(policy, &rows[i], POLICY_PRIVATE);
	}
	rule(policy, RULE_ALLOW, "10.1.0.0/16");
	expect_everywhere(policy, "10.1.2.3", POLICY_ALLOWED);
	expect_everywhere(policy, "10.2.2.3", POLICY_PRIVATE);
}

static void
multicast_goes_nowhere_whatever_the_rules_say(void **state)
{
	static const char *const groups[] = { "224.0.0.251", "239.255.255.250",
		"ff02::fb", "ff0e::1", "64:ff9b::e000:fb", "::ffff:239.1.2.3" };
	struct policy *policy = *state;
	struct ipc_addr addr;
	char hint[64];
	size_t i;

	rule(policy, RULE_DENY, "232.0.0.0/8");
	rule(policy, RULE_UNSAFE_ALLOW, "0.0.0.0/0");
	rule(policy, RULE_UNSAFE_ALLOW, "::/0");
	expect_everywhere(policy, "232.1.2.3", POLICY_RULE);
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		expect(policy, groups[i], POLICY_FLOOR);
		addr_parse(groups[i], &addr);
		assert_string_equal(policy_hint(POLICY_FLOOR, &addr, 80, hint,
					sizeof(hint)),
		    "");
	}
	expect(policy, "223.255.255.255", POLICY_ALLOWED);
	expect(policy, "240.0.0.1", POLICY_ALLOWED);
	expect(policy, "fe80::1", POLICY_ALLOWED);
}

static void
only_unsafe_allow_opens_the_floor_and_only_where_it_says(void **state)
{
	struct policy *policy = *state;

	rule(policy, RULE_ALLOW, "0.0.0.0/0");
	rule(policy, RULE_UNSAFE_ALLOW, "127.0.0.0/8");
	expect_everywhere(policy, "127.0.0.1", POLICY_ALLOWED);
	expect_everywhere(policy, "169.254.169.254", POLICY_FLOOR);
	expect(policy, "::1", POLICY_FLOOR);
	rule(policy, RULE_UNSAFE_ALLOW, "::1");
	expect(policy, "::1", POLICY_ALLOWED);
}

static void
a_deny_holds_on_the_floor_where_it_comes_first(void **state)
{
	struct policy *policy = *state;

	rule(policy, RULE_DENY, "169.254.169.254");
	rule(policy, RULE_UNSAFE_ALLOW, "169.254.0.0/16");
	rule(policy, RULE_DENY, "169.254.7.0/24");
	expect_everywhere(policy, "169.254.169.254", POLICY_RULE);
	expect_everywhere(policy, "169.254.7.7", POLICY_ALLOWED);
	expect_everywhere(policy, "127.0.0.1", POLICY_FLOOR);
}

static void
an_allow_of_a_wrapping_prefix_opens_nothing_wrapped(void **state)
{
	struct policy *policy = *state;

	rule(policy, RULE_UNSAFE_ALLOW, "::/0");
	rule(policy, RULE_ALLOW, "::/0");
	expect_everywhere(policy, "169.254.169.254", POLICY_FLOOR);
	expect_everywhere(policy, "10.0.0.1", POLICY_PRIVATE);
}

static void
a_deny_of_a_wrapping_prefix_holds(void **state)
{
	struct policy *policy = *state;

	rule(policy, RULE_DENY, "64:ff9b::/96");
	expect(policy, "64:ff9b::8.8.8.8", POLICY_RULE);
	expect(policy, "8.8.8.8", POLICY_ALLOWED);
}

static void
the_first_rule_that_matches_decides(void **state)
{
	struct policy *policy = *state;

	rule(policy, RULE_ALLOW, "192.0.2.7");
	rule(policy, RULE_DENY, "192.0.2.0/24");
	rule(policy, RULE_ALLOW, "192.0.2.0/24");
	expect_everywhere(policy, "192.0.2.7", POLICY_ALLOWED);
	expect_everywhere(policy, "192.0.2.8", POLICY_RULE);
}

static void
a_rule_matches_its_ports_and_protocol_only(void **state)
{
	struct policy *policy = *state;
	struct policy_answer answer;
	struct ipc_addr a = addr("192.0.2.7");

	rule_ports(policy, RULE_DENY, "192.0.2.0/24", IPPROTO_TCP, 80, 90);
	assert_int_equal(kind_port(policy, "192.0.2.7", 79), POLICY_ALLOWED);
	assert_int_equal(kind_port(policy, "192.0.2.7", 80), POLICY_RULE);
	assert_int_equal(kind_port(policy, "192.0.2.7", 90), POLICY_RULE);
	assert_int_equal(kind_port(policy, "192.0.2.7", 91), POLICY_ALLOWED);
	policy_check(policy, IPPROTO_UDP, &a, 80, &answer);
	assert_int_equal(answer.kind, POLICY_ALLOWED);
}

static void
port_0_is_refused(void **state)
{
	struct policy_answer answer;
	struct ipc_addr a = addr("8.8.8.8");

	policy_check(*state, IPPROTO_TCP, &a, 0, &answer);
	assert_int_equal(answer.kind, POLICY_PORT_ZERO);
	assert_int_equal(answer.verdict, VERDICT_REFUSED);
	assert_string_equal(answer.why, "port 0");
	policy_check(*state, IPPROTO_UDP, &a, 0, &answer);
	assert_int_equal(answer.kind, POLICY_PORT_ZERO);
	policy_check(*state, IPPROTO_ICMP, &a, 0, &answer);
	assert_int_equal(answer.kind, POLICY_ALLOWED);
}

static void
the_hosts_own_addresses_are_on_the_floor_while_it_has_them(void **state)
{
	struct policy *policy = *state;
	struct ipc_addr own = addr("93.184.216.34"), own6 = addr("2a00::1");
	struct ipc_addr translator = addr("64:ff9b::93.184.216.35");

	rule(policy, RULE_ALLOW, "0.0.0.0/0");
	assert_int_equal(policy_host_addr(policy, &own, 1), 0);
	assert_int_equal(policy_host_addr(policy, &own, 1), 0);
	assert_int_equal(policy_host_addr(policy, &own6, 1), 0);
	expect_everywhere(policy, "93.184.216.34", POLICY_HOST_ADDR);
	expect(policy, "2a00::1", POLICY_HOST_ADDR);
	expect_everywhere(policy, "93.184.216.35", POLICY_ALLOWED);
	assert_int_equal(policy_host_addr(policy, &own, 0), 0);
	expect(policy, "93.184.216.34", POLICY_ALLOWED);
	assert_int_equal(policy_host_addr(policy, &own, 0), 0);
	expect_everywhere(policy, "93.184.216.34", POLICY_ALLOWED);
	expect(policy, "2a00::1", POLICY_HOST_ADDR);
	/* where the host translates, it may have one that wraps another's */
	assert_int_equal(policy_host_addr(policy, &translator, 1), 0);
	expect(policy, "64:ff9b::93.184.216.35", POLICY_HOST_ADDR);
	expect(policy, "93.184.216.35", POLICY_ALLOWED);
}

static void
too_many_host_addresses_deny_everything(void **state)
{
	struct policy *policy = *state;
	struct ipc_addr own;
	uint32_t i;

	for (i = 0; i < POLICY_HOST_ADDRS_MAX; i++) {
		own = addr_from_ip4(0x08000000 + i);
		assert_int_equal(policy_host_addr(policy, &own, 1), 0);
	}
	expect(policy, "93.184.216.34", POLICY_ALLOWED);
	own = addr_from_ip4(0x08000000 + i);
	errno = 0;
	assert_int_equal(policy_host_addr(policy, &own, 1), -1);
	assert_int_equal(errno, ENOSPC);
	expect(policy, "93.184.216.34", POLICY_HOST_ADDR);
}

static void
the_gateway_reaches_host_services_and_nothing_else(void **state)
{
	struct policy *policy = *state;
	const struct ipc_host_service service = { 8080, 3128 };
	struct ipc_addr gateway = addr("100.96.0.1");
	struct ipc_addr loopback = addr("127.0.0.1");
	struct policy_answer answer;

	assert_int_equal(policy_add_service(policy, &service), 0);
	rule(policy, RULE_ALLOW, "0.0.0.0/0");
	rule(policy, RULE_UNSAFE_ALLOW, "0.0.0.0/0");
	policy_check(policy, IPPROTO_TCP, &gateway, 8080, &answer);
	assert_int_equal(answer.kind, POLICY_ALLOWED);
	assert_true(addr_equal(&answer.dial, &loopback));
	assert_int_equal(answer.dial_port, 3128);
	policy_check(policy, IPPROTO_TCP, &gateway, 3128, &answer);
	assert_int_equal(answer.kind, POLICY_GATEWAY);
	assert_int_equal(answer.verdict, VERDICT_REFUSED);
	policy_check(policy, IPPROTO_UDP, &gateway, 8080, &answer);
	assert_int_equal(answer.kind, POLICY_ALLOWED);
	assert_true(addr_equal(&answer.dial, &loopback));
	policy_check(policy, IPPROTO_ICMP, &gateway, 0, &answer);
	assert_int_equal(answer.kind, POLICY_GATEWAY);
	policy_check(policy, IPPROTO_ICMP, &gateway, 8080, &answer);
	assert_int_equal(answer.kind, POLICY_GATEWAY);
	expect_everywhere(policy, "100.96.0.1", POLICY_GATEWAY);
}

static void
the_rest_of_the_guests_link_is_on_the_floor(void **state)
{
	struct policy *policy = *state;

	rule(policy, RULE_ALLOW, "100.64.0.0/10");
	expect_everywhere(policy, "100.96.0.0", POLICY_LINK);
	expect_everywhere(policy, "100.96.0.2", POLICY_LINK);
	expect_everywhere(policy, "100.96.0.3", POLICY_LINK);
	expect_everywhere(policy, "100.96.0.4", POLICY_ALLOWED);
	expect_everywhere(policy, "100.95.255.255", POLICY_ALLOWED);
}

static void
the_ipv6_link_is_judged_as_the_ipv4_one(void **state)
{
	struct policy *policy = *state;
	const struct ipc_config_relayproc config = {
		.gateway = addr("100.96.0.1"),
		.prefix_len = 30,
		.gateway6 = addr("fd53:4d::1"),
		.prefix_len6 = 64,
		.default_allow = 1,
	};

	policy_configure(policy, &config);
	rule(policy, RULE_ALLOW, "::/0");
	expect(policy, "fd53:4d::1", POLICY_GATEWAY);
	expect(policy, "fd53:4d::", POLICY_LINK);
	expect(policy, "fd53:4d::2", POLICY_LINK);
	expect(policy, "fd53:4d:0:0:ffff:ffff:ffff:ffff", POLICY_LINK);
	expect(policy, "fd53:4d:0:1::", POLICY_ALLOWED);
	expect(policy, "fd53:4c:ffff:ffff:ffff:ffff:ffff:ffff", POLICY_ALLOWED);
}

static void
a_host_address_is_known_as_one_while_the_host_has_it(void **state)
{
	struct policy *policy = *state;
	const struct ipc_addr own = addr("93.184.216.34");
	const struct ipc_addr other = addr("93.184.216.35");

	assert_false(policy_is_host_addr(policy, &own));
	assert_int_equal(policy_host_addr(policy, &own, 1), 0);
	assert_true(policy_is_host_addr(policy, &own));
	assert_false(policy_is_host_addr(policy, &other));
	assert_int_equal(policy_host_addr(policy, &own, 0), 0);
	assert_false(policy_is_host_addr(policy, &own));
}

static int
is_same(const struct ipc_addr *a, void *arg)
{
	return (addr_equal(a, arg));
}

static void
what_the_kernel_calls_the_hosts_is_on_the_floor(void **state)
{
	struct policy *policy = *state;
	struct ipc_addr own = addr("93.184.216.34");

	policy->is_own = is_same;
	policy->is_own_arg = &own;
	rule(policy, RULE_ALLOW, "0.0.0.0/0");
	expect_everywhere(policy, "93.184.216.34", POLICY_HOST_ADDR);
	expect_everywhere(policy, "93.184.216.35", POLICY_ALLOWED);
	/* as that of another translator, dialled as it is */
	own = addr("64:ff9b::93.184.216.35");
	expect(policy, "64:ff9b::93.184.216.35", POLICY_HOST_ADDR);
	rule(policy, RULE_UNSAFE_ALLOW, "93.184.216.34");
	own = addr("93.184.216.34");
	expect_everywhere(policy, "93.184.216.34", POLICY_ALLOWED);
}

/* Of what is not arg nothing is known. */
static int
is_same_or_unknown(const struct ipc_addr *a, void *arg)
{
	return (addr_equal(a, arg) ? 1 : -1);
}

static void
what_the_kernel_cannot_tell_is_denied_and_called_that(void **state)
{
	struct policy *policy = *state;
	struct ipc_addr own = addr("64:ff9b::93.184.216.35");

	policy->is_own = is_same_or_unknown;
	policy->is_own_arg = &own;
	rule(policy, RULE_ALLOW, "0.0.0.0/0");
	expect_everywhere(policy, "93.184.216.34", POLICY_UNKNOWN);
	expect(policy, "64:ff9b::93.184.216.35", POLICY_HOST_ADDR);
}

/* What a peer was told before is asked again. */
static void
every_change_makes_a_new_generation(void **state)
{
	struct policy *policy = *state;
	const struct ipc_config_relayproc config = { .prefix_len = 30 };
	const struct ipc_host_service service = { 8080, 3128 };
	const struct ipc_addr own = addr("93.184.216.34");
	uint32_t before = policy->generation;

	assert_int_not_equal(before, 0);
	rule(policy, RULE_DENY, "192.0.2.1");
	assert_int_equal(policy->generation, ++before);
	assert_int_equal(policy_add_service(policy, &service), 0);
	assert_int_equal(policy->generation, ++before);
	assert_int_equal(policy_host_addr(policy, &own, 1), 0);
	assert_int_equal(policy->generation, ++before);
	assert_int_equal(policy_host_addr(policy, &own, 0), 0);
	assert_int_equal(policy->generation, ++before);
	policy_configure(policy, &config);
	assert_int_equal(policy->generation, ++before);
}

static void
a_denial_says_why_and_which_option_would_allow_it(void **state)
{
	static const struct {
		const char *dst, *hint;
		enum flow_verdict verdict;
	} rows[] = {
		{ "10.0.0.5", "--allow 10.0.0.5", VERDICT_DENIED },
		{ "::ffff:10.0.0.5", "--allow 10.0.0.5", VERDICT_DENIED },
		{ "169.254.169.254", "--unsafe-allow 169.254.169.254",
		    VERDICT_DENIED },
		{ "100.96.0.1", "--host-service 80:PORT", VERDICT_REFUSED },
		{ "100.96.0.2", "--unsafe-allow 100.96.0.2", VERDICT_DENIED },
		{ "8.8.4.4", "--unsafe-allow 8.8.4.4", VERDICT_DENIED },
		{ "8.8.8.8", "--allow 8.8.8.8", VERDICT_DENIED },
		{ "fd00::1:443", "--allow fd00::1:443/128", VERDICT_DENIED },
		{ "192.0.2.1", "", VERDICT_DENIED },
	};
	const struct ipc_addr own = addr("8.8.4.4");
	struct policy *policy = *state;
	struct policy_answer answer;
	struct ipc_addr a;
	char hint[ADDR_STRLEN + 32];
	size_t i;

	policy->default_allow = 0;
	assert_int_equal(policy_host_addr(policy, &own, 1), 0);
	rule(policy, RULE_DENY, "192.0.2.1");
	for (i = 0; i < N(rows); i++) {
		a = addr(rows[i].dst);
		policy_check(policy, IPPROTO_TCP, &a, 80, &answer);
		assert_non_null(answer.why);
		assert_int_equal(answer.verdict, rows[i].verdict);
		assert_string_equal(policy_hint(answer.kind, &a, 80, hint,
					sizeof(hint)),
		    rows[i].hint);
	}
}

static void
a_full_table_of_rules_or_services_is_an_error(void **state)
{
	struct policy *policy = *state;
	const struct ipc_host_service service = { 1, 1 };
	struct ipc_rule last = { .net = addr("192.0.2.1") };
	size_t i;

	for (i = 0; i < POLICY_RULES_MAX; i++)
		rule(policy, RULE_ALLOW, "192.0.2.1");
	errno = 0;
	assert_int_equal(policy_add_rule(policy, &last), -1);
	assert_int_equal(errno, ENOSPC);
	for (i = 0; i < POLICY_SERVICES_MAX; i++)
		assert_int_equal(policy_add_service(policy, &service), 0);
	errno = 0;
	assert_int_equal(policy_add_service(policy, &service), -1);
	assert_int_equal(errno, ENOSPC);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, policy_setup, policy_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_public_internet_is_allowed_by_default),
		TEST(default_egress_deny_denies_what_no_rule_names),
		TEST(every_row_of_the_floor_beats_every_allow),
		TEST(every_private_range_is_denied_until_an_allow_names_it),
		TEST(multicast_goes_nowhere_whatever_the_rules_say),
		TEST(only_unsafe_allow_opens_the_floor_and_only_where_it_says),
		TEST(a_deny_holds_on_the_floor_where_it_comes_first),
		TEST(an_allow_of_a_wrapping_prefix_opens_nothing_wrapped),
		TEST(a_deny_of_a_wrapping_prefix_holds),
		TEST(the_first_rule_that_matches_decides),
		TEST(a_rule_matches_its_ports_and_protocol_only),
		TEST(port_0_is_refused),
		TEST(
		    the_hosts_own_addresses_are_on_the_floor_while_it_has_them),
		TEST(too_many_host_addresses_deny_everything),
		TEST(the_gateway_reaches_host_services_and_nothing_else),
		TEST(the_rest_of_the_guests_link_is_on_the_floor),
		TEST(the_ipv6_link_is_judged_as_the_ipv4_one),
		TEST(a_host_address_is_known_as_one_while_the_host_has_it),
		TEST(what_the_kernel_calls_the_hosts_is_on_the_floor),
		TEST(what_the_kernel_cannot_tell_is_denied_and_called_that),
		TEST(every_change_makes_a_new_generation),
		TEST(a_denial_says_why_and_which_option_would_allow_it),
		TEST(a_full_table_of_rules_or_services_is_an_error),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
