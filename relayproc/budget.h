#ifndef RELAYPROC_BUDGET_H
#define RELAYPROC_BUDGET_H

#include <stdint.h>

#include "ipc/addr.h"

/*
 * How fast and how many at once the guest may make the host connect: a token
 * bucket of connects a second, a cap on connects under way, and one on those
 * to a single address, so that a guest can neither scan nor flood.
 */

enum budget_result {
	BUDGET_OK,
	BUDGET_RATE,	/* no token; see budget_token_ms() */
	BUDGET_PENDING, /* too many under way */
	BUDGET_DST	/* too many under way to this address */
};

struct budget_dst {
	struct ipc_addr addr;
	uint32_t n; /* connects under way */
};

struct budget {
	uint32_t rate_per_s, burst;
	uint32_t max_pending, max_per_dst;
	uint64_t credit; /* thousandths of a connect */
	uint64_t last_ms;
	uint32_t pending;
	struct budget_dst *dsts; /* room for max_pending */
	uint32_t ndsts;		 /* in use, without gaps */
};

/*
 * The bucket starts full.  All limits are at least 1.  0, or -1 with errno
 * ENOMEM.
 */
int budget_init(struct budget *budget, uint32_t rate_per_s, uint32_t burst,
    uint32_t max_pending, uint32_t max_per_dst, uint64_t now_ms);

void budget_free(struct budget *budget);

/* Takes a token and a place for one connect to dst, or says what is short. */
enum budget_result budget_take(struct budget *budget,
    const struct ipc_addr *dst, uint64_t now_ms);

/* Gives the place back: the connect is done, or was given up. */
void budget_release(struct budget *budget, const struct ipc_addr *dst);

/* When the next token is there; now_ms if one is there. */
uint64_t budget_token_ms(const struct budget *budget, uint64_t now_ms);

#endif
