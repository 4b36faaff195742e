#include <netinet/in.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "relayproc/addr_class.h"
#include "relayproc/policy.h"

/* What each kind of denial tells the guest and the log. */
static const struct {
	enum flow_verdict verdict;
	const char *why; /* NULL: the row of addr_class.c says it */
} kinds[] = {
	[POLICY_ALLOWED] = { VERDICT_REFUSED, "allowed" },
	[POLICY_GATEWAY] = { VERDICT_REFUSED, "no host service on this port" },
	[POLICY_FLOOR] = { VERDICT_DENIED, NULL },
	[POLICY_HOST_ADDR] = { VERDICT_DENIED, "the host's own address" },
	[POLICY_UNKNOWN] = { VERDICT_DENIED,
	    "whether it is the host's own cannot be told; no local port or "
	    "descriptor is free" },
	[POLICY_LINK] = { VERDICT_DENIED, "the guest's own link" },
	[POLICY_RULE] = { VERDICT_DENIED, "a --deny names it" },
	[POLICY_PRIVATE] = { VERDICT_DENIED, NULL },
	[POLICY_DEFAULT] = { VERDICT_DENIED, "--default-egress deny" },
	[POLICY_PORT_ZERO] = { VERDICT_REFUSED, "port 0" },
};
_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == POLICY_NKINDS,
    "every kind has its row");

void
policy_configure(struct policy *policy,
    const struct ipc_config_relayproc *config)
{
	policy->generation++;
	policy->gateway = config->gateway;
	policy->prefix_len = config->prefix_len;
	policy->gateway6 = config->gateway6;
	policy->prefix_len6 = config->prefix_len6;
	policy->default_allow = config->default_allow != 0;
}

int
policy_add_rule(struct policy *policy, const struct ipc_rule *rule)
{
	if (policy->nrules == POLICY_RULES_MAX) {
		errno = ENOSPC;
		return (-1);
	}
	policy->generation++;
	policy->rules[policy->nrules++] = *rule;
	return (0);
}

int
policy_add_service(struct policy *policy,
    const struct ipc_host_service *service)
{
	if (policy->nservices == POLICY_SERVICES_MAX) {
		errno = ENOSPC;
		return (-1);
	}
	policy->generation++;
	policy->services[policy->nservices++] = *service;
	return (0);
}

static size_t
host_addr_find(const struct policy *policy, const struct ipc_addr *addr)
{
	size_t i;

	for (i = 0; i < policy->nhost_addrs; i++) {
		if (addr_equal(&policy->host_addrs[i], addr))
			break;
	}
	return (i);
}

int
policy_host_addr(struct policy *policy, const struct ipc_addr *addr,
    int present)
{
	size_t i = host_addr_find(policy, addr);

	policy->generation++;
	if (!present) {
		if (i < policy->nhost_addrs)
			policy->host_addrs[i] =
			    policy->host_addrs[--policy->nhost_addrs];
		return (0);
	}
	if (i < policy->nhost_addrs)
		return (0);
	if (policy->nhost_addrs == POLICY_HOST_ADDRS_MAX) {
		policy->host_addrs_overflow = 1;
		errno = ENOSPC;
		return (-1);
	}
	policy->host_addrs[policy->nhost_addrs++] = *addr;
	return (0);
}

int
policy_is_host_addr(const struct policy *policy, const struct ipc_addr *addr)
{
	return (host_addr_find(policy, addr) < policy->nhost_addrs);
}

static void
answer_set(struct policy_answer *answer, enum policy_kind kind,
    const struct addr_class_row *row)
{
	answer->kind = kind;
	answer->verdict = kinds[kind].verdict;
	answer->why = row != NULL ? row->reason : kinds[kind].why;
}

static int
rule_matches(const struct ipc_rule *rule, unsigned int proto,
    const struct ipc_addr *addr, uint16_t port)
{
	return ((rule->proto == 0 || rule->proto == proto) &&
	    port >= rule->port_low && port <= rule->port_high &&
	    addr_in_prefix(addr, &rule->net, rule->prefix_len));
}

/*
 * What allows must name where the packets end up; what denies may name any
 * form.  On the floor a mere --allow says nothing.  Returns borrowed: the
 * first rule, or NULL.
 */
static const struct ipc_rule *
rule_find(const struct policy *policy, int on_floor, unsigned int proto,
    const struct addr_forms *forms, uint16_t port)
{
	const struct ipc_rule *rule;
	size_t i;

	for (i = 0; i < policy->nrules; i++) {
		rule = &policy->rules[i];
		if (on_floor && rule->action == RULE_ALLOW)
			continue;
		if (rule_matches(rule, proto, &forms->inner, port))
			return (rule);
		if (rule->action == RULE_DENY &&
		    rule_matches(rule, proto, &forms->dial, port))
			return (rule);
	}
	return (NULL);
}

/* The stricter of the rows of both forms, or NULL. */
static const struct addr_class_row *
class_of(const struct addr_forms *forms)
{
	const struct addr_class_row *dial, *inner;

	dial = addr_class_lookup(&forms->dial);
	inner = addr_class_lookup(&forms->inner);
	if (dial == NULL || (inner != NULL && inner->class > dial->class))
		return (inner);
	return (dial);
}

static int
own_ask(const struct policy *policy, const struct ipc_addr *addr)
{
	return (policy->is_own == NULL ?
		0 :
		policy->is_own(addr, policy->is_own_arg));
}

/* The stricter of what is said of both forms. */
static enum policy_kind
host_addr_of(const struct policy *policy, const struct addr_forms *forms)
{
	int dial, inner = 0;

	if (policy->host_addrs_overflow ||
	    host_addr_find(policy, &forms->dial) < policy->nhost_addrs ||
	    host_addr_find(policy, &forms->inner) < policy->nhost_addrs)
		return (POLICY_HOST_ADDR);
	dial = own_ask(policy, &forms->dial);
	if (!addr_equal(&forms->dial, &forms->inner))
		inner = own_ask(policy, &forms->inner);
	if (dial > 0 || inner > 0)
		return (POLICY_HOST_ADDR);
	return (dial < 0 || inner < 0 ? POLICY_UNKNOWN : POLICY_ALLOWED);
}

static int
is_gateway(const struct policy *policy, const struct addr_forms *forms)
{
	return (addr_equal(&forms->inner, &policy->gateway) ||
	    (policy->gateway6.family != 0 &&
		addr_equal(&forms->inner, &policy->gateway6)));
}

static int
is_link(const struct policy *policy, const struct addr_forms *forms)
{
	return (addr_in_prefix(&forms->inner, &policy->gateway,
		    policy->prefix_len) ||
	    addr_in_prefix(&forms->inner, &policy->gateway6,
		policy->prefix_len6));
}

/* It would reach whoever listens in the host's networks: no rule allows it. */
static int
is_multicast(const struct addr_forms *forms)
{
	const struct ipc_addr *inner = &forms->inner;

	return (inner->family == 4 ? inner->bytes[0] >> 4 == 0xe :
				     inner->bytes[0] == 0xff);
}

/* A host service is dialled on the loopback of the host, and nowhere else. */
static void
check_gateway(const struct policy *policy, unsigned int proto, uint16_t port,
    struct policy_answer *answer)
{
	size_t i;

	answer_set(answer, POLICY_GATEWAY, NULL);
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return;
	for (i = 0; i < policy->nservices; i++) {
		if (policy->services[i].gateway_port != port)
			continue;
		answer->kind = POLICY_ALLOWED;
		answer->dial = addr_from_ip4(INADDR_LOOPBACK);
		answer->dial_port = policy->services[i].host_port;
		return;
	}
}

/* What of the floor it is on, or POLICY_ALLOWED. */
static enum policy_kind
floor_of(const struct policy *policy, const struct addr_forms *forms,
    const struct addr_class_row *row)
{
	enum policy_kind kind;

	if (row != NULL && row->class == ADDR_FLOOR)
		return (POLICY_FLOOR);
	kind = host_addr_of(policy, forms);
	if (kind != POLICY_ALLOWED)
		return (kind);
	return (is_link(policy, forms) ? POLICY_LINK : POLICY_ALLOWED);
}

void
policy_check(const struct policy *policy, unsigned int proto,
    const struct ipc_addr *dst, uint16_t port, struct policy_answer *answer)
{
	const struct addr_class_row *row;
	const struct ipc_rule *rule;
	enum policy_kind floor;
	struct addr_forms forms;

	addr_canonicalise(dst, &forms);
	memset(answer, 0, sizeof(*answer));
	answer->dial = forms.dial;
	answer->dial_port = port;
	row = class_of(&forms);
	floor = floor_of(policy, &forms, row);
	rule = rule_find(policy, floor != POLICY_ALLOWED, proto, &forms, port);
	if (rule != NULL && rule->action != RULE_DENY && is_multicast(&forms))
		rule = NULL;
	if (port == 0 && (proto == IPPROTO_TCP || proto == IPPROTO_UDP))
		answer_set(answer, POLICY_PORT_ZERO, NULL);
	else if (is_gateway(policy, &forms))
		check_gateway(policy, proto, port, answer);
	else if (rule != NULL)
		answer_set(answer,
		    rule->action == RULE_DENY ? POLICY_RULE : POLICY_ALLOWED,
		    NULL);
	else if (floor != POLICY_ALLOWED)
		answer_set(answer, floor, floor == POLICY_FLOOR ? row : NULL);
	else if (row != NULL && row->class == ADDR_PRIVATE)
		answer_set(answer, POLICY_PRIVATE, row);
	else
		answer_set(answer,
		    policy->default_allow ? POLICY_ALLOWED : POLICY_DEFAULT,
		    NULL);
}

const char *
policy_hint(enum policy_kind kind, const struct ipc_addr *dst, uint16_t port,
    char *buf, size_t size)
{
	struct addr_forms forms;
	char text[ADDR_STRLEN];

	addr_canonicalise(dst, &forms);
	addr_format(&forms.inner, text, sizeof(text));
	/* Alone, some IPv6 addresses may be one and a port. */
	if (forms.inner.family == 6)
		strlcat(text, "/128", sizeof(text));
	buf[0] = '\0';
	if (is_multicast(&forms))
		return (buf);
	switch (kind) {
	case POLICY_FLOOR:
	case POLICY_HOST_ADDR:
	case POLICY_LINK:
		snprintf(buf, size, "--unsafe-allow %s", text);
		break;
	case POLICY_PRIVATE:
	case POLICY_DEFAULT:
		snprintf(buf, size, "--allow %s", text);
		break;
	case POLICY_GATEWAY:
		snprintf(buf, size, "--host-service %u:PORT",
		    (unsigned int)port);
		break;
	default:
		break;
	}
	return (buf);
}
