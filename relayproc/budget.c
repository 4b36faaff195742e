#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "relayproc/budget.h"

/*
 * A rate of N per second is N thousandths per millisecond, so that the
 * arithmetic is exact.
 */
#define CREDIT_ONE 1000u

int
budget_init(struct budget *budget, uint32_t rate_per_s, uint32_t burst,
    uint32_t max_pending, uint32_t max_per_dst, uint64_t now_ms)
{
	memset(budget, 0, sizeof(*budget));
	budget->rate_per_s = rate_per_s;
	budget->burst = burst;
	budget->max_pending = max_pending;
	budget->max_per_dst = max_per_dst;
	budget->credit = (uint64_t)burst * CREDIT_ONE;
	budget->last_ms = now_ms;
	budget->dsts = calloc(max_pending, sizeof(*budget->dsts));
	if (budget->dsts == NULL) {
		errno = ENOMEM;
		return (-1);
	}
	return (0);
}

void
budget_free(struct budget *budget)
{
	free(budget->dsts);
	budget->dsts = NULL;
}

static uint64_t
credit_at(const struct budget *budget, uint64_t now_ms)
{
	const uint64_t full = (uint64_t)budget->burst * CREDIT_ONE;
	uint64_t elapsed_ms;

	if (now_ms <= budget->last_ms)
		return (budget->credit);
	elapsed_ms = now_ms - budget->last_ms;
	/* The product of two 32-bit numbers fits; more than that is full. */
	if (elapsed_ms > UINT32_MAX ||
	    elapsed_ms * budget->rate_per_s >= full - budget->credit)
		return (full);
	return (budget->credit + elapsed_ms * budget->rate_per_s);
}

/* Returns borrowed: the entry of dst, or NULL. */
static struct budget_dst *
dst_find(struct budget *budget, const struct ipc_addr *dst)
{
	uint32_t i;

	for (i = 0; i < budget->ndsts; i++) {
		if (addr_equal(&budget->dsts[i].addr, dst))
			return (&budget->dsts[i]);
	}
	return (NULL);
}

enum budget_result
budget_take(struct budget *budget, const struct ipc_addr *dst, uint64_t now_ms)
{
	struct budget_dst *entry;
	uint64_t credit = credit_at(budget, now_ms);

	if (credit < CREDIT_ONE)
		return (BUDGET_RATE);
	if (budget->pending >= budget->max_pending)
		return (BUDGET_PENDING);
	entry = dst_find(budget, dst);
	if (entry != NULL && entry->n >= budget->max_per_dst)
		return (BUDGET_DST);
	if (entry == NULL) {
		/* Each holds a pending connect: there is room for one more. */
		entry = &budget->dsts[budget->ndsts++];
		entry->addr = *dst;
		entry->n = 0;
	}
	entry->n++;
	budget->pending++;
	budget->credit = credit - CREDIT_ONE;
	if (now_ms > budget->last_ms)
		budget->last_ms = now_ms;
	return (BUDGET_OK);
}

void
budget_release(struct budget *budget, const struct ipc_addr *dst)
{
	struct budget_dst *entry = dst_find(budget, dst);

	if (entry == NULL)
		fatalx("budget: released more than taken (%u under way)",
		    budget->pending);
	budget->pending--;
	if (--entry->n == 0)
		*entry = budget->dsts[--budget->ndsts];
}

uint64_t
budget_token_ms(const struct budget *budget, uint64_t now_ms)
{
	const uint64_t credit = credit_at(budget, now_ms);
	uint64_t missing;

	if (credit >= CREDIT_ONE)
		return (now_ms);
	missing = CREDIT_ONE - credit;
	return (now_ms +
	    (missing + budget->rate_per_s - 1) / budget->rate_per_s);
}
