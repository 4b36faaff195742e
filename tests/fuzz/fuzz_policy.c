/*
 * The egress policy beside a second reading of the manual, made of text and
 * of bits one by one.  Input: a byte of choices, then records of a kind and
 * what it adds or asks: a rule, a host service, an address of the host, a
 * question.  Addresses are made near those that the manual names.
 */

#include <netinet/in.h>

#include <arpa/inet.h>

#include <stdlib.h>
#include <string.h>

#include "relayproc/addr_class.h"
#include "relayproc/policy.h"
#include "tests/fuzz/fuzz.h"

#define DEFAULT_ALLOW 0x01
#define NO_IP6	      0x02

const char fuzz_name[] = "policy";

/* addr_class.c, written again: 'f' floor, 'p' private. */
static const struct {
	char class;
	const char *net;
	unsigned int len;
} manual[] = {
	{ 'f', "0.0.0.0", 8 },
	{ 'f', "127.0.0.0", 8 },
	{ 'f', "169.254.0.0", 16 },
	{ 'f', "168.63.129.16", 32 },
	{ 'f', "100.100.100.200", 32 },
	{ 'f', "192.0.0.0", 24 },
	{ 'f', "198.18.0.0", 15 },
	{ 'f', "224.0.0.0", 4 },
	{ 'f', "240.0.0.0", 4 },
	{ 'p', "10.0.0.0", 8 },
	{ 'p', "172.16.0.0", 12 },
	{ 'p', "192.168.0.0", 16 },
	{ 'p', "100.64.0.0", 10 },
	{ 'f', "::", 128 },
	{ 'f', "::1", 128 },
	{ 'f', "fe80::", 10 },
	{ 'f', "fec0::", 10 },
	{ 'f', "ff00::", 8 },
	{ 'f', "fd00:ec2::254", 128 },
	{ 'f', "fd20:ce::254", 128 },
	{ 'f', "fd00:ec2::23", 128 },
	{ 'f', "fd00:c1::a9fe:a9fe", 128 },
	{ 'f', "fd00:a9fe:a9fe::1", 128 },
	{ 'f', "fd00:42::42", 128 },
	{ 'f', "fd00:100::100:200", 128 },
	{ 'f', "2002::", 16 },
	{ 'f', "2001::", 32 },
	{ 'f', "64:ff9b:1::", 48 },
	{ 'f', "::ffff:0:0:0", 96 },
	{ 'p', "fc00::", 7 },
	{ '-', "8.8.8.8", 32 },
	{ '-', "2001:db8::1", 64 },
	{ '-', "100.96.0.1", 30 },
	{ '-', "fd53:4d00::1", 64 },
};
#define NMANUAL (sizeof(manual) / sizeof(manual[0]))

struct reader {
	const uint8_t *at;
	size_t left;
};

static uint8_t
take(struct reader *in)
{
	if (in->left == 0)
		return (0);
	in->left--;
	return (*in->at++);
}

static struct ipc_addr
address(const char *text)
{
	struct ipc_addr addr = { .family = 6 };

	if (inet_pton(AF_INET6, text, addr.bytes) == 1)
		return (addr);
	addr.family = 4;
	FUZZ_CHECK(inet_pton(AF_INET, text, addr.bytes) == 1);
	return (addr);
}

static int
bit_of(const struct ipc_addr *addr, unsigned int i)
{
	return (addr->bytes[i / 8] >> (7 - i % 8) & 1);
}

static int
in_net(const struct ipc_addr *addr, const struct ipc_addr *net,
    unsigned int len)
{
	unsigned int i;

	if (addr->family != net->family || addr->family == 0)
		return (0);
	for (i = 0; i < len; i++) {
		if (bit_of(addr, i) != bit_of(net, i))
			return (0);
	}
	return (1);
}

static int
same(const struct ipc_addr *a, const struct ipc_addr *b)
{
	return (in_net(a, b, a->family == 4 ? 32 : 128));
}

/* An address of the manual's with other bits behind its prefix. */
static struct ipc_addr
take_address(struct reader *in)
{
	const uint8_t which = take(in), how = take(in);
	struct ipc_addr addr, outer = { .family = 6 };
	static const char *const wrappers[] = { "::ffff:0:0",
		"::", "64:ff9b::", "64:ff9b:1::", "2002::", "::ffff:0:0:0" };
	unsigned int i, bits;

	addr = address(manual[which % NMANUAL].net);
	bits = addr.family == 4 ? 32 : 128;
	i = manual[which % NMANUAL].len;
	/* The prefix's last bit itself may be another. */
	if ((how & 1) != 0 && i > 0)
		i--;
	for (; i < bits && (how & 2) != 0; i += 7)
		addr.bytes[i / 8] ^= (uint8_t)(take(in) & (0xff >> i % 8));
	if (addr.family != 4 || (how & 4) == 0)
		return (addr);
	outer = address(wrappers[(how >> 4) % 6]);
	memcpy(outer.bytes + 12, addr.bytes, 4);
	return (outer);
}

/* Where packets to addr end up, and what is dialled. */
static void
unwrap(const struct ipc_addr *addr, struct ipc_addr *inner,
    struct ipc_addr *dial)
{
	static const char *const nets[] = { "::ffff:0:0", "::", "64:ff9b::" };
	const struct ipc_addr none = address("::"), loopback = address("::1");
	struct ipc_addr net;
	int i;

	*inner = *dial = *addr;
	if (addr->family != 6 || same(addr, &none) || same(addr, &loopback))
		return;
	for (i = 0; i < 3; i++) {
		net = address(nets[i]);
		if (!in_net(addr, &net, 96))
			continue;
		memset(inner, 0, sizeof(*inner));
		inner->family = 4;
		memcpy(inner->bytes, addr->bytes + 12, 4);
		if (i < 2)
			*dial = *inner;
		return;
	}
}

/* The class of one form: the floor beats the private ranges. */
static char
class_of(const struct ipc_addr *addr)
{
	struct ipc_addr net;
	char class = '-';
	size_t i;

	for (i = 0; i < NMANUAL; i++) {
		net = address(manual[i].net);
		if (manual[i].class == '-' ||
		    !in_net(addr, &net, manual[i].len))
			continue;
		if (class != 'f')
			class = manual[i].class;
	}
	return (class);
}

static int
names(const struct ipc_rule *rule, unsigned int proto,
    const struct ipc_addr *addr, uint16_t port)
{
	if (rule->proto != 0 && rule->proto != proto)
		return (0);
	if (port < rule->port_low || port > rule->port_high)
		return (0);
	return (in_net(addr, &rule->net, rule->prefix_len));
}

static int
is_of_host(const struct policy *policy, const struct ipc_addr *inner,
    const struct ipc_addr *dial)
{
	size_t i;

	for (i = 0; i < policy->nhost_addrs; i++) {
		if (same(&policy->host_addrs[i], inner) ||
		    same(&policy->host_addrs[i], dial))
			return (1);
	}
	return (policy->host_addrs_overflow);
}

static enum policy_kind
judge_gateway(const struct policy *policy, unsigned int proto, uint16_t port)
{
	size_t i;

	for (i = 0; i < policy->nservices; i++) {
		if (policy->services[i].gateway_port == port &&
		    (proto == IPPROTO_TCP || proto == IPPROTO_UDP))
			return (POLICY_ALLOWED);
	}
	return (POLICY_GATEWAY);
}

/* The rules alone: 1 allows, -1 denies, 0 says nothing. */
static int
judge_rules(const struct policy *policy, int on_floor, unsigned int proto,
    uint16_t port, const struct ipc_addr *inner, const struct ipc_addr *dial)
{
	const struct ipc_rule *rule;
	size_t i;

	for (i = 0; i < policy->nrules; i++) {
		rule = &policy->rules[i];
		if (on_floor && rule->action == RULE_ALLOW)
			continue;
		if (rule->action == RULE_DENY &&
		    (names(rule, proto, inner, port) ||
			names(rule, proto, dial, port)))
			return (-1);
		if (rule->action != RULE_DENY &&
		    names(rule, proto, inner, port))
			return (1);
	}
	return (0);
}

/* The floor alone; POLICY_ALLOWED where it is not. */
static enum policy_kind
judge_floor(const struct policy *policy, const struct ipc_addr *inner,
    const struct ipc_addr *dial)
{
	if (class_of(inner) == 'f' || class_of(dial) == 'f')
		return (POLICY_FLOOR);
	if (is_of_host(policy, inner, dial))
		return (POLICY_HOST_ADDR);
	if (in_net(inner, &policy->gateway, policy->prefix_len) ||
	    in_net(inner, &policy->gateway6, policy->prefix_len6))
		return (POLICY_LINK);
	return (POLICY_ALLOWED);
}

static int
is_multicast(const struct ipc_addr *addr)
{
	const struct ipc_addr net4 = address("224.0.0.0");
	const struct ipc_addr net6 = address("ff00::");

	return (in_net(addr, &net4, 4) || in_net(addr, &net6, 8));
}

static int
is_gateway(const struct policy *policy, const struct ipc_addr *inner)
{
	return (same(inner, &policy->gateway) ||
	    same(inner, &policy->gateway6));
}

static enum policy_kind
judge(const struct policy *policy, unsigned int proto,
    const struct ipc_addr *dst, uint16_t port)
{
	struct ipc_addr inner, dial;
	enum policy_kind floor;
	int said;

	unwrap(dst, &inner, &dial);
	if (port == 0 && (proto == IPPROTO_TCP || proto == IPPROTO_UDP))
		return (POLICY_PORT_ZERO);
	if (is_gateway(policy, &inner))
		return (judge_gateway(policy, proto, port));
	floor = judge_floor(policy, &inner, &dial);
	said = judge_rules(policy, floor != POLICY_ALLOWED, proto, port, &inner,
	    &dial);
	if (said > 0 && is_multicast(&inner))
		said = 0;
	if (said != 0)
		return (said > 0 ? POLICY_ALLOWED : POLICY_RULE);
	if (floor != POLICY_ALLOWED)
		return (floor);
	if (class_of(&inner) == 'p' || class_of(&dial) == 'p')
		return (POLICY_PRIVATE);
	return (policy->default_allow ? POLICY_ALLOWED : POLICY_DEFAULT);
}

static void
add_rule(struct policy *policy, struct reader *in)
{
	static const uint32_t protos[] = { 0, IPPROTO_TCP, IPPROTO_UDP,
		IPPROTO_ICMP };
	const uint8_t how = take(in);
	struct ipc_rule rule = {
		.net = take_address(in),
		.action = how % 3,
		.proto = protos[how >> 2 & 3],
		.port_low = (how & 0x40) != 0 ? take(in) : 0,
		.port_high = (how & 0x40) != 0 ? 300 : 65535,
	};

	rule.prefix_len = take(in) % (rule.net.family == 4 ? 33u : 129u);
	(void)policy_add_rule(policy, &rule);
}

static void
ask(const struct policy *policy, struct reader *in)
{
	static const unsigned int protos[] = { IPPROTO_TCP, IPPROTO_UDP,
		IPPROTO_ICMP, IPPROTO_ICMPV6 };
	const struct ipc_addr dst = take_address(in);
	const unsigned int proto = protos[take(in) & 3];
	const uint16_t port = (uint16_t)(take(in) * 2);
	struct ipc_addr inner, dial;
	struct policy_answer answer;
	char hint[128];

	policy_check(policy, proto, &dst, port, &answer);
	FUZZ_CHECK(answer.kind == judge(policy, proto, &dst, port));
	FUZZ_CHECK(answer.why != NULL && answer.why[0] != '\0');
	unwrap(&dst, &inner, &dial);
	if (answer.kind == POLICY_ALLOWED && !is_gateway(policy, &inner))
		FUZZ_CHECK(same(&answer.dial, &dial) &&
		    answer.dial_port == port);
	if (answer.kind == POLICY_ALLOWED && is_gateway(policy, &inner)) {
		inner = address("127.0.0.1");
		FUZZ_CHECK(same(&answer.dial, &inner));
	}
	(void)policy_hint(answer.kind, &dst, port, hint, sizeof(hint));
}

static void
configure(struct policy *policy, uint8_t choices)
{
	struct ipc_config_relayproc config;

	memset(&config, 0, sizeof(config));
	config.gateway = address("100.96.0.1");
	config.prefix_len = 30;
	config.default_allow = (uint32_t)choices & DEFAULT_ALLOW;
	if ((choices & NO_IP6) == 0) {
		config.gateway6 = address("fd53:4d00::1");
		config.prefix_len6 = 64;
	}
	policy_configure(policy, &config);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy policy;
	struct reader in = { data, size };
	struct ipc_host_service service;
	struct ipc_addr addr;

	policy.nrules = policy.nservices = policy.nhost_addrs = 0;
	configure(&policy, take(&in));
	while (in.left > 0) {
		switch (take(&in) % 6) {
		case 0:
			add_rule(&policy, &in);
			break;
		case 1:
			service.gateway_port = (uint16_t)(take(&in) * 2);
			service.host_port = take(&in);
			(void)policy_add_service(&policy, &service);
			break;
		case 2:
			addr = take_address(&in);
			(void)policy_host_addr(&policy, &addr, take(&in) & 1);
			break;
		default:
			ask(&policy, &in);
			break;
		}
	}
	return (0);
}
