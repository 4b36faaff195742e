#include <inttypes.h>
#include <string.h>

#include "relayproc/denial.h"
#include "relayproc/relayproc.h"

/* Lines a second: enough to see a mistake, too few to fill a disk. */
#define DENIAL_LINES_PER_S 10

/* After a second without a line there is one about those that had none. */
#define DENIAL_PAUSE_MS 1000

static void
suppressed_log(uint64_t n)
{
	if (n > 0)
		log_warn("denied: %" PRIu64 " suppressed", n);
}

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
	suppressed_log(suppressed);
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

uint64_t
denial_deadline_ms(const struct relayproc *rp)
{
	if (rp->denial_limit.suppressed == 0)
		return (UINT64_MAX);
	return (rp->denial_limit.last_ms + DENIAL_PAUSE_MS);
}

void
denial_settle(struct relayproc *rp, uint64_t now_ms)
{
	uint64_t suppressed = 0;

	if (denial_deadline_ms(rp) <= now_ms &&
	    log_limit_ok(&rp->denial_limit, now_ms, &suppressed))
		suppressed_log(suppressed);
}

void
denial_end(struct relayproc *rp)
{
	suppressed_log(rp->denial_limit.suppressed);
	rp->denial_limit.suppressed = 0;
}
