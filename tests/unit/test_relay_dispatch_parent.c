#include <sys/wait.h>

#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "relayproc/dispatch_parent.h"
#include "tests/unit/relay_life.h"

/*
 * A configuration with a fault in it ends relayproc before it serves a guest,
 * with one line that names the message and the fault.
 */

/* What relayproc says before it ends with status 70; setup has to fail. */
static void
expect_refused(struct life *life, const char *line)
{
	pid_t pid = fork();
	struct ipc_msg msg;
	int status = 0;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		relayproc_setup(life->rp);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != 70)
		fail_msg("%s: status %d", line, WEXITSTATUS(status));
	while (channel_recv(&life->parent, &msg) == CHANNEL_MESSAGE) {
		if (msg.hdr.type != IPC_LOG)
			continue;
		if (strstr((const char *)msg.payload + sizeof(uint32_t),
			line) == NULL)
			fail_msg("\"%s\" is not in \"%s\"", line,
			    (const char *)msg.payload + sizeof(uint32_t));
		return;
	}
	fail_msg("no line says \"%s\"", line);
}

static void
expect_payload_refused(enum ipc_type type, const void *payload, size_t len,
    int fd, const char *line)
{
	struct life life;

	life_init(&life);
	life_config(&life, type, payload, len, fd);
	expect_refused(&life, line);
	life_abandon(&life);
}

typedef void fault(struct ipc_config_relayproc *config);

static void
no_gateway(struct ipc_config_relayproc *c)
{
	memset(&c->gateway, 0, sizeof(c->gateway));
}

static void
bits_behind_the_gateway(struct ipc_config_relayproc *c)
{
	c->gateway.bytes[7] = 1;
}

static void
no_address(struct ipc_config_relayproc *c)
{
	memset(&c->address, 0, sizeof(c->address));
}

static void
prefix_too_long(struct ipc_config_relayproc *c)
{
	c->prefix_len = 33;
}

static void
default_not_a_truth_value(struct ipc_config_relayproc *c)
{
	c->default_allow = 2;
}

static void
no_flows(struct ipc_config_relayproc *c)
{
	c->max_flows = 0;
}

static void
too_many_flows(struct ipc_config_relayproc *c)
{
	c->max_flows = FLOW_SLOTS_MAX + 1;
}

static void
too_many_inbound(struct ipc_config_relayproc *c)
{
	c->max_inbound = FLOW_SLOTS_MAX + 1;
}

static void
no_pending(struct ipc_config_relayproc *c)
{
	c->max_pending = 0;
}

static void
no_pending_per_dst(struct ipc_config_relayproc *c)
{
	c->max_pending_per_dst = 0;
}

static void
no_rate(struct ipc_config_relayproc *c)
{
	c->connect_rate_per_s = 0;
}

static void
no_burst(struct ipc_config_relayproc *c)
{
	c->connect_burst = 0;
}

static void
no_connect_timeout(struct ipc_config_relayproc *c)
{
	c->connect_timeout_ms = 0;
}

static void
endless_connect_timeout(struct ipc_config_relayproc *c)
{
	c->connect_timeout_ms = UINT32_MAX;
}

static void
no_dns_timeout(struct ipc_config_relayproc *c)
{
	c->dns_timeout_ms = 0;
}

static void
no_dns_slots(struct ipc_config_relayproc *c)
{
	c->dns_in_flight = 0;
}

static void
every_limit_out_of_its_range_ends_it(void **state)
{
	static fault *const faults[] = { no_gateway, bits_behind_the_gateway,
		no_address, prefix_too_long, default_not_a_truth_value,
		no_flows, too_many_flows, too_many_inbound, no_pending,
		no_pending_per_dst, no_rate, no_burst, no_connect_timeout,
		endless_connect_timeout, no_dns_timeout, no_dns_slots };
	struct life life;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		life_init(&life);
		faults[i](&life.config);
		life_configure(&life);
		expect_refused(&life, "CONFIG_RELAYPROC");
		life_abandon(&life);
	}
}

/* What this word is answered with by one that has said HELLO. */
static enum ipc_error
answer_to(struct life *life, enum ipc_type type, const void *payload)
{
	struct ipc_msg msg = {
		.hdr.type = type,
		.payload = payload,
		.fd = -1,
	};

	return (dispatch_parent(&life->rp->parent, &msg, life->rp));
}

static enum ipc_error
answer_to_config(struct life *life, const struct ipc_config_relayproc *config)
{
	life->rp->hello = 1;
	life->rp->configured = 0;
	return (answer_to(life, IPC_CONFIG_RELAYPROC, config));
}

#define BOUND(field, low, high) \
	{ \
		offsetof(struct ipc_config_relayproc, field), low, high \
	}

/* The parent's options have the same. */
static void
every_limit_may_be_at_its_bounds_and_no_further(void **state)
{
	static const struct {
		size_t at;
		uint32_t low, high;
	} bounds[] = {
		BOUND(prefix_len, 0, 32),
		BOUND(prefix_len6, 0, 128),
		BOUND(max_assocs, 0, FLOW_SLOTS_MAX),
		BOUND(max_assocs_in, 0, FLOW_SLOTS_MAX),
		BOUND(udp_filter_open, 0, 1),
		BOUND(default_allow, 0, 1),
		BOUND(max_flows, 1, FLOW_SLOTS_MAX),
		BOUND(max_inbound, 0, FLOW_SLOTS_MAX),
		BOUND(max_pending, 1, FLOW_SLOTS_MAX),
		BOUND(max_pending_per_dst, 1, FLOW_SLOTS_MAX),
		BOUND(connect_rate_per_s, 1, 1000000),
		BOUND(connect_burst, 1, 2000000),
		BOUND(connect_timeout_ms, 1, 600000),
		BOUND(dns_timeout_ms, 1, 600000),
		BOUND(dns_in_flight, 1, 4096),
		BOUND(splice, 0, 1),
	};
	struct life life;
	size_t i;
	int d;

	(void)state;
	life_init(&life);
	for (i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		for (d = -1; d <= 1; d++) {
			struct ipc_config_relayproc config = life.config;
			uint32_t low = bounds[i].low + (uint32_t)d;
			uint32_t high = bounds[i].high + (uint32_t)d;

			memcpy((char *)&config + bounds[i].at, &low, 4);
			assert_int_equal(answer_to_config(&life, &config),
			    d < 0 ? IPC_E_FIELD : IPC_OK);
			memcpy((char *)&config + bounds[i].at, &high, 4);
			assert_int_equal(answer_to_config(&life, &config),
			    d > 0 ? IPC_E_FIELD : IPC_OK);
		}
	}
	life_abandon(&life);
}

/* A gateway without an address for the guest is no link, nor the other. */
static void
the_ipv6_link_has_both_addresses_or_none(void **state)
{
	const struct ipc_addr none = { .family = 0 };
	const struct ipc_addr bits = { .family = 0, .bytes = { 1 } };
	const struct ipc_addr ip4 = addr_from_ip4(0x64600001);
	struct ipc_config_relayproc config;
	struct ipc_addr six;
	struct life life;

	(void)state;
	life_init(&life);
	config = life.config;
	six = config.gateway6;
	assert_int_equal(answer_to_config(&life, &config), IPC_OK);
	config.address6.pad[0] = 1;
	assert_int_equal(answer_to_config(&life, &config), IPC_E_FIELD);
	config.address6 = none;
	assert_int_equal(answer_to_config(&life, &config), IPC_E_FIELD);
	config.address6 = ip4;
	assert_int_equal(answer_to_config(&life, &config), IPC_E_FIELD);
	config.gateway6 = none;
	assert_int_equal(answer_to_config(&life, &config), IPC_E_FIELD);
	config.address6 = six;
	assert_int_equal(answer_to_config(&life, &config), IPC_E_FIELD);
	config.address6 = bits;
	assert_int_equal(answer_to_config(&life, &config), IPC_E_FIELD);
	config.address6 = none;
	assert_int_equal(answer_to_config(&life, &config), IPC_OK);
	config.gateway6 = bits;
	assert_int_equal(answer_to_config(&life, &config), IPC_E_FIELD);
	config.address6 = six;
	config.gateway6 = ip4;
	config.prefix_len6 = 30;
	assert_int_equal(answer_to_config(&life, &config), IPC_E_FIELD);
	life_abandon(&life);
}

static void
every_field_of_hello_is_checked(void **state)
{
	const struct ipc_hello good = {
		.proto_hash = ipc_proto_hash(),
		.role = ROLE_RELAYPROC,
		.log_level = LOG_LEVEL_N - 1,
	};
	struct ipc_hello hello = good;
	struct life life;

	(void)state;
	life_init(&life);
	hello.role = ROLE_NETPROC;
	assert_int_equal(answer_to(&life, IPC_HELLO, &hello), IPC_E_FIELD);
	hello = good;
	hello.log_level = LOG_LEVEL_N;
	assert_int_equal(answer_to(&life, IPC_HELLO, &hello), IPC_E_FIELD);
	assert_int_equal(answer_to(&life, IPC_HELLO, &good), IPC_OK);
	assert_int_equal(answer_to(&life, IPC_HELLO, &good), IPC_E_STATE);
	life_abandon(&life);
}

static void
the_first_resolver_of_a_list_replaces_the_list(void **state)
{
	struct ipc_resolver server = { addr_from_ip4(1), 53, 0 };
	struct life life;
	uint32_t i;

	(void)state;
	life_init(&life);
	life.rp->hello = 1;
	for (i = 0; i < 4; i++) {
		server.first = i == 2;
		server.port = (uint16_t)(53 + i);
		assert_int_equal(answer_to(&life, IPC_CONFIG_RESOLVER, &server),
		    IPC_OK);
		assert_int_equal(life.rp->resolver.nservers, i % 2 + 1);
	}
	assert_int_equal(life.rp->resolver.servers[0].port, 55);
	life_abandon(&life);
}

/* A rule of one port, of one address, and of each protocol. */
static void
a_rule_may_be_as_narrow_as_can_be(void **state)
{
	static const uint8_t protos[] = { 0, IPPROTO_TCP, IPPROTO_UDP,
		IPPROTO_ICMP };
	struct ipc_rule rule = {
		.net = addr_from_ip4(0x0a000001),
		.prefix_len = 32,
		.port_low = 80,
		.port_high = 80,
		.action = RULE_UNSAFE_ALLOW,
	};
	struct life life;
	size_t i;

	(void)state;
	life_init(&life);
	life.rp->hello = 1;
	for (i = 0; i < sizeof(protos); i++) {
		rule.proto = protos[i];
		assert_int_equal(answer_to(&life, IPC_CONFIG_RULE, &rule),
		    IPC_OK);
	}
	addr_parse("2001:db8::1", &rule.net);
	rule.prefix_len = 128;
	assert_int_equal(answer_to(&life, IPC_CONFIG_RULE, &rule), IPC_OK);
	rule.prefix_len = 129;
	assert_int_equal(answer_to(&life, IPC_CONFIG_RULE, &rule), IPC_E_FIELD);
	life_abandon(&life);
}

static void
every_field_of_a_rule_is_checked(void **state)
{
	const struct ipc_rule good = {
		.net = addr_from_ip4(0x0a000000),
		.prefix_len = 8,
		.port_high = 65535,
	};
	struct ipc_rule rules[5];
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		rules[i] = good;
	rules[0].net.family = 0;
	rules[1].prefix_len = 33;
	rules[2].action = RULE_UNSAFE_ALLOW + 1;
	rules[3].proto = 132; /* SCTP */
	rules[4].port_low = 81;
	rules[4].port_high = 80;
	for (i = 0; i < 5; i++)
		expect_payload_refused(IPC_CONFIG_RULE, &rules[i],
		    sizeof(rules[i]), -1, "CONFIG_RULE");
}

static void
every_field_of_the_other_records_is_checked(void **state)
{
	const struct ipc_resolver no_addr = { .port = 53 };
	const struct ipc_resolver no_port = { .addr = addr_from_ip4(1) };
	const struct ipc_resolver pad = { addr_from_ip4(1), 53, 2 };
	const struct ipc_host_service no_gateway_port = { 0, 80 };
	const struct ipc_host_service no_host_port = { 80, 0 };
	const struct ipc_host_addr no_host = { .present = 1 };
	const struct ipc_host_addr maybe = { addr_from_ip4(1), 2 };
	const struct ipc_listener sctp = { 132, 80, 80, addr_from_ip4(1), 0 };
	const struct ipc_listener port_0 = { IPPROTO_TCP, 0, 80,
		addr_from_ip4(1), 0 };
	const struct ipc_listener anywhere = { .proto = IPPROTO_TCP,
		.guest_port = 80 };
	const struct ipc_listener kept = { .proto = IPPROTO_TCP,
		.guest_port = 80,
		.bind = addr_from_ip4(1),
		.preserve = 2 };

	(void)state;
	expect_payload_refused(IPC_CONFIG_RESOLVER, &no_addr, sizeof(no_addr),
	    -1, "CONFIG_RESOLVER");
	expect_payload_refused(IPC_CONFIG_RESOLVER, &no_port, sizeof(no_port),
	    -1, "CONFIG_RESOLVER");
	expect_payload_refused(IPC_CONFIG_RESOLVER, &pad, sizeof(pad), -1,
	    "CONFIG_RESOLVER");
	expect_payload_refused(IPC_CONFIG_HOST_SERVICE, &no_gateway_port,
	    sizeof(no_gateway_port), -1, "CONFIG_HOST_SERVICE");
	expect_payload_refused(IPC_CONFIG_HOST_SERVICE, &no_host_port,
	    sizeof(no_host_port), -1, "CONFIG_HOST_SERVICE");
	expect_payload_refused(IPC_HOST_ADDR, &no_host, sizeof(no_host), -1,
	    "HOST_ADDR");
	expect_payload_refused(IPC_HOST_ADDR, &maybe, sizeof(maybe), -1,
	    "HOST_ADDR");
	expect_payload_refused(IPC_CONFIG_LISTENER, &sctp, sizeof(sctp),
	    dup(STDERR_FILENO), "CONFIG_LISTENER");
	expect_payload_refused(IPC_CONFIG_LISTENER, &port_0, sizeof(port_0),
	    dup(STDERR_FILENO), "CONFIG_LISTENER");
	expect_payload_refused(IPC_CONFIG_LISTENER, &anywhere, sizeof(anywhere),
	    dup(STDERR_FILENO), "CONFIG_LISTENER: field");
	expect_payload_refused(IPC_CONFIG_LISTENER, &kept, sizeof(kept),
	    dup(STDERR_FILENO), "CONFIG_LISTENER: field");
}

static void
more_records_than_a_table_holds_end_it(void **state)
{
	struct life life;
	int i;

	(void)state;
	life_init(&life);
	for (i = 0; i <= RESOLVERS_MAX; i++)
		life_resolver(&life, "192.0.2.1", 53);
	expect_refused(&life, "CONFIG_RESOLVER");
	life_abandon(&life);
}

static void
a_record_that_was_lost_is_noticed(void **state)
{
	struct life life;

	(void)state;
	life_init(&life);
	life.records++;
	life_configure(&life);
	expect_refused(&life, "CONFIG_DONE");
	life_abandon(&life);
}

static void
the_limits_come_once(void **state)
{
	struct life life;

	(void)state;
	life_init(&life);
	life_config(&life, IPC_CONFIG_RELAYPROC, &life.config,
	    sizeof(life.config), -1);
	life_configure(&life);
	expect_refused(&life, "CONFIG_RELAYPROC");
	life_abandon(&life);
}

static void
a_configuration_without_limits_is_refused(void **state)
{
	const struct ipc_config_done done = { 0 };
	struct life life;

	(void)state;
	life_init(&life);
	assert_int_equal(channel_send(&life.parent, IPC_CONFIG_DONE, 0, 0,
			     &done, sizeof(done)),
	    0);
	expect_refused(&life, "CONFIG_DONE");
	life_abandon(&life);
}

static void
a_parent_of_another_build_is_refused(void **state)
{
	const struct ipc_hello hello = {
		.proto_hash = ipc_proto_hash() + 1,
		.role = ROLE_RELAYPROC,
	};
	struct ipc_msg msg;
	struct life life;

	(void)state;
	life_init(&life);
	/* The good HELLO of life_init() goes. */
	assert_int_equal(channel_recv(&life.rp->parent, &msg), CHANNEL_MESSAGE);
	assert_int_equal(channel_send(&life.parent, IPC_HELLO, 0, 0, &hello,
			     sizeof(hello)),
	    0);
	expect_refused(&life, "another build");
	life_abandon(&life);
}

static void
nothing_is_heard_before_hello_and_hello_only_once(void **state)
{
	struct ipc_hello hello = {
		.proto_hash = ipc_proto_hash(),
		.role = ROLE_RELAYPROC,
	};
	struct ipc_msg msg;
	struct life life;

	(void)state;
	life_init(&life);
	assert_int_equal(channel_recv(&life.rp->parent, &msg), CHANNEL_MESSAGE);
	life_configure(&life);
	expect_refused(&life, "CONFIG_RELAYPROC");
	life_abandon(&life);
	expect_payload_refused(IPC_HELLO, &hello, sizeof(hello), -1, "HELLO");
}

/* The parent was told to end while it started us. */
static void
stop_is_heard_before_hello(void **state)
{
	const struct ipc_empty empty = { 0 };
	struct ipc_msg msg;
	struct life life;
	int status = -1;
	pid_t pid;

	(void)state;
	life_init(&life);
	assert_int_equal(channel_recv(&life.rp->parent, &msg), CHANNEL_MESSAGE);
	assert_int_equal(channel_send(&life.parent, IPC_STOP, 0, 0, &empty,
			     sizeof(empty)),
	    0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		relayproc_setup(life.rp); /* ends with 0 by itself */
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	life_abandon(&life);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_limit_out_of_its_range_ends_it),
		cmocka_unit_test(
		    every_limit_may_be_at_its_bounds_and_no_further),
		cmocka_unit_test(the_ipv6_link_has_both_addresses_or_none),
		cmocka_unit_test(every_field_of_hello_is_checked),
		cmocka_unit_test(
		    the_first_resolver_of_a_list_replaces_the_list),
		cmocka_unit_test(a_rule_may_be_as_narrow_as_can_be),
		cmocka_unit_test(every_field_of_a_rule_is_checked),
		cmocka_unit_test(every_field_of_the_other_records_is_checked),
		cmocka_unit_test(more_records_than_a_table_holds_end_it),
		cmocka_unit_test(a_record_that_was_lost_is_noticed),
		cmocka_unit_test(the_limits_come_once),
		cmocka_unit_test(a_configuration_without_limits_is_refused),
		cmocka_unit_test(a_parent_of_another_build_is_refused),
		cmocka_unit_test(
		    nothing_is_heard_before_hello_and_hello_only_once),
		cmocka_unit_test(stop_is_heard_before_hello),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
