#include <inttypes.h>
#include <string.h>

#include "relayproc/denial.h"
#include "relayproc/relayproc.h"

/* Lines a second: enough to see a mistake, too few to fill a disk. */
#define DENIAL_LINES_PER_S 10

void
denial_log(struct relayproc *rp, const char *proto, const struct ipc_addr *dst,
    uint16_t port, const struct policy_answer *answer, uint64_t now_ms)
{
	char hint[ADDR_STRLEN + 32], text[ADDR_STRLEN];
	uint64_t suppressed = 0;
	uint32_t bit = 1u << answer->kind;

	rp->denial_limit.lines_per_s = DENIAL_LINES_PER_S;
	if (!log_limit_ok(&rp->denial_limit, now_ms, &suppressed))
		return;
	if (suppressed > 0)
		log_warn("denied: %" PRIu64 " suppressed", suppressed);
	/* ICMP has no ports. */
	if (strcmp(proto, "icmp") == 0)
		addr_format(dst, text, sizeof(text));
	else
		addr_format_port(dst, port, text, sizeof(text));
	policy_hint(answer->kind, dst, port, hint, sizeof(hint));
	if ((rp->denial_kinds & bit) != 0 || hint[0] == '\0')
		log_warn("denied %s %s (%s)", proto, text, answer->why);
	else
		log_warn("denied %s %s (%s); %s would allow it", proto, text,
		    answer->why, hint);
	rp->denial_kinds |= bit;
}
