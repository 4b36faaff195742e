#include <stdlib.h>
#include <string.h>

#include "tests/unit/filter_oracle.h"

#define HIGH_BITS 0xdeadbeef00000000ULL

#define ROWS_MAX 256

const struct filter *
oracle_filter(enum role role)
{
	static struct filter_rule rules[ROWS_MAX];
	static struct filter both = { rules, 0 };
	const struct filter *plain = filter_of(ROLE_RELAYPROC);

	if (role != ORACLE_SPLICE)
		return (filter_of(role));
	if (both.nrules == 0) {
		both.nrules = plain->nrules + filter_splice.nrules;
		if (both.nrules > ROWS_MAX)
			abort();
		memcpy(rules, plain->rules, plain->nrules * sizeof(rules[0]));
		memcpy(rules + plain->nrules, filter_splice.rules,
		    filter_splice.nrules * sizeof(rules[0]));
	}
	return (&both);
}

const char *
oracle_name(enum role role)
{
	return (role == ORACLE_SPLICE ? "relayproc, spliced" : role_name(role));
}

static int
arg_allows(const struct filter_arg *arg, uint64_t value)
{
	uint32_t low = (uint32_t)value;

	switch (arg->cmp) {
	case FILTER_ANY:
		return (1);
	case FILTER_INT:
		return (low == (uint32_t)arg->value);
	case FILTER_LONG:
		return (value == arg->value);
	case FILTER_BITS:
		return ((low & ~(uint32_t)arg->value) == 0);
	case FILTER_DYNAMIC:
		return (low >= FD_FIRST_DYNAMIC && low < FILTER_FD_END);
	}
	return (0);
}

int
oracle_row_allows(const struct filter_rule *rule, const struct vector *v)
{
	unsigned int i;

	if (rule->number != v->number)
		return (0);
	for (i = 0; i < FILTER_NARGS; i++)
		if (!arg_allows(&rule->arg[i], v->arg[i]))
			return (0);
	return (1);
}

int
oracle_allows(enum role role, const struct vector *v)
{
	const struct filter *filter = oracle_filter(role);
	size_t i;

	for (i = 0; i < filter->nrules; i++)
		if (oracle_row_allows(&filter->rules[i], v))
			return (1);
	return (0);
}

int
oracle_names(enum role role, int number)
{
	const struct filter *filter = oracle_filter(role);
	size_t i;

	for (i = 0; i < filter->nrules; i++)
		if (filter->rules[i].number == number)
			return (1);
	return (0);
}

struct vector
oracle_vector(const struct filter_rule *rule)
{
	struct vector v = { .number = rule->number };
	unsigned int i;

	for (i = 0; i < FILTER_NARGS; i++) {
		switch (rule->arg[i].cmp) {
		case FILTER_ANY:
			/* no such descriptor, no such address */
			v.arg[i] = i == 0 ? UINT64_MAX : 0;
			break;
		case FILTER_DYNAMIC:
			v.arg[i] = FILTER_FD_END - 1;
			break;
		case FILTER_INT:
		case FILTER_LONG:
		case FILTER_BITS:
			v.arg[i] = rule->arg[i].value;
			break;
		}
	}
	return (v);
}

unsigned int
oracle_outside(const struct filter_arg *arg, uint64_t values[ORACLE_VALUES_MAX])
{
	static const uint64_t fds[] = { 0, 1, 2, 3, 4, 5, 6, FILTER_FD_END,
		FILTER_FD_END + 7, 0x7fffffff, 0x80000000, 0xffffffff,
		UINT64_MAX,
		/* the kernel drops the high half: these are 0, 4 and 6 */
		0x100000000, 0x100000004, 0xffffffff00000006 };
	unsigned int bit, i, n = 0;

	switch (arg->cmp) {
	case FILTER_ANY:
		break;
	case FILTER_INT:
		for (bit = 0; bit < 32; bit++)
			values[n++] = arg->value ^ (1ULL << bit);
		values[n++] = HIGH_BITS | (uint32_t)~arg->value;
		break;
	case FILTER_LONG:
		for (bit = 0; bit < 64; bit++)
			values[n++] = arg->value ^ (1ULL << bit);
		break;
	case FILTER_BITS:
		for (bit = 0; bit < 32; bit++)
			if (!(arg->value & (1ULL << bit)))
				values[n++] = 1ULL << bit;
		break;
	case FILTER_DYNAMIC:
		for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
			values[n++] = fds[i];
		break;
	}
	return (n);
}

unsigned int
oracle_inside(const struct filter_arg *arg, uint64_t values[ORACLE_VALUES_MAX])
{
	unsigned int n = 0;
	uint32_t power;

	switch (arg->cmp) {
	case FILTER_ANY:
		values[n++] = 0;
		values[n++] = HIGH_BITS;
		values[n++] = UINT64_MAX;
		break;
	case FILTER_INT:
	case FILTER_BITS:
		values[n++] = (uint32_t)arg->value;
		values[n++] = HIGH_BITS | (uint32_t)arg->value;
		if (arg->cmp == FILTER_BITS)
			values[n++] = 0;
		break;
	case FILTER_LONG:
		values[n++] = arg->value;
		break;
	case FILTER_DYNAMIC:
		values[n++] = FD_FIRST_DYNAMIC;
		values[n++] = HIGH_BITS | FD_FIRST_DYNAMIC;
		for (power = 8; power < FILTER_FD_END; power <<= 1) {
			values[n++] = power;
			values[n++] = 2 * power - 1;
		}
		break;
	}
	return (n);
}
