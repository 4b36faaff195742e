#ifndef RELAYPROC_POLICY_H
#define RELAYPROC_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"

/*
 * The egress policy: may the guest reach this destination?  Pure but for the
 * tables that the parent fills, and is_own().  The order of judgement is that
 * of policy_check() and of the manual:
 *
 *	1. the gateway's address: host services, or refused
 *	2. --allow, --deny and --unsafe-allow, first match; of what is on the
 *	   floor --allow says nothing, of multicast --deny alone says anything
 *	3. the floor: addr_class.h, the host's own addresses, the link
 *	4. private ranges
 *	5. --default-egress
 */

/*
 * More of either is a configuration error and refused at start.  Test:
 * a_full_table_of_rules_or_services_is_an_error.
 */
#define POLICY_RULES_MAX    1024
#define POLICY_SERVICES_MAX 256

/*
 * The host's own addresses.  Should the host have more, all destinations are
 * on the floor from then on: what cannot be remembered cannot be checked.
 * Test: too_many_host_addresses_deny_everything.
 */
#define POLICY_HOST_ADDRS_MAX 2048

enum policy_kind {
	POLICY_ALLOWED,
	POLICY_GATEWAY,	  /* no such host service */
	POLICY_FLOOR,	  /* fixed floor */
	POLICY_HOST_ADDR, /* one of the host's own addresses */
	POLICY_UNKNOWN,	  /* or not; the host cannot tell, for now */
	POLICY_LINK,	  /* the link between guest and gateway */
	POLICY_RULE,	  /* a --deny */
	POLICY_PRIVATE,	  /* private range that no --allow names */
	POLICY_DEFAULT,	  /* --default-egress deny */
	POLICY_PORT_ZERO, /* no service can listen there */
	POLICY_NKINDS
};

struct policy_answer {
	enum policy_kind kind;
	enum flow_verdict verdict; /* for the guest, unless POLICY_ALLOWED */
	const char *why;	   /* borrowed, for the log */
	struct ipc_addr dial;	   /* what to connect to */
	uint16_t dial_port;
};

struct policy {
	uint32_t generation; /* grows with every change; never 0 in use */
	struct ipc_addr gateway, gateway6;
	unsigned int prefix_len, prefix_len6; /* of the gateways' links */
	int default_allow;
	struct ipc_rule rules[POLICY_RULES_MAX];
	size_t nrules;
	struct ipc_host_service services[POLICY_SERVICES_MAX];
	size_t nservices;
	struct ipc_addr host_addrs[POLICY_HOST_ADDRS_MAX];
	size_t nhost_addrs;
	int host_addrs_overflow; /* latched: deny everything */
	/*
	 * Asked about what is in no list; NULL: nobody is.  1 if it is the
	 * host's, 0 if not, -1 if that cannot be found out now.
	 */
	int (*is_own)(const struct ipc_addr *addr, void *arg);
	void *is_own_arg;
};

/* Sets the link and the default; the tables are left as they are. */
void policy_configure(struct policy *policy,
    const struct ipc_config_relayproc *config);

/* Copies the record.  0, or -1 with errno ENOSPC. */
int policy_add_rule(struct policy *policy, const struct ipc_rule *rule);
int policy_add_service(struct policy *policy,
    const struct ipc_host_service *service);

/*
 * Adds (present nonzero) or removes an address of the host; both may be said
 * twice.  0, or -1 with errno ENOSPC, after which all is denied.
 */
int policy_host_addr(struct policy *policy, const struct ipc_addr *addr,
    int present);

/* 1 if addr, as it is, is known as one of the host's. */
int policy_is_host_addr(const struct policy *policy,
    const struct ipc_addr *addr);

/*
 * Judges one connection of the guest, or its datagrams to one peer.  proto is
 * IPPROTO_*, port in host byte order.  Fills answer wholly; it holds while
 * policy->generation is the same, but for POLICY_UNKNOWN, which holds once.
 */
void policy_check(const struct policy *policy, unsigned int proto,
    const struct ipc_addr *dst, uint16_t port, struct policy_answer *answer);

/*
 * Writes the option that would have allowed dst, "--allow 10.0.0.5", or ""
 * where there is none.  Returns buf.
 */
const char *policy_hint(enum policy_kind kind, const struct ipc_addr *dst,
    uint16_t port, char *buf, size_t size);

#endif
