#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>

#include "sandbox/rules.h"

const struct filter *
filter_of(enum role role)
{
	switch (role) {
	case ROLE_NETPROC:
		return (&filter_netproc);
	case ROLE_RELAYPROC:
		return (&filter_relayproc);
	case ROLE_PARENT:
	case ROLE_NROLES:
	default:
		return (&filter_parent);
	}
}

static struct scmp_arg_cmp
masked(unsigned int index, uint32_t mask, uint32_t value)
{
	return ((struct scmp_arg_cmp){ .arg = index,
	    .op = SCMP_CMP_MASKED_EQ,
	    .datum_a = mask,
	    .datum_b = value });
}

/*
 * libseccomp takes one comparison per argument, and compares 64 bits with
 * every operator but MASKED_EQ.  So "descriptor >= FD_FIRST_DYNAMIC" becomes a
 * set of rows that partition the range: each number from FD_FIRST_DYNAMIC up
 * to the next power of two, then one row per power of two.
 */
static int
rule_add_dynamic(scmp_filter_ctx ctx, const struct filter_rule *rule,
    struct scmp_arg_cmp *cmp, unsigned int n, unsigned int slot)
{
	uint32_t fd, span;
	int error;

	for (fd = FD_FIRST_DYNAMIC; fd < FILTER_FD_END; fd += span) {
		span = (fd & (fd - 1)) == 0 ? fd : 1;
		cmp[slot] = masked(cmp[slot].arg, ~(span - 1), fd);
		error = -seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW,
		    rule->number, n, cmp);
		if (error != 0) {
			errno = error;
			return (-1);
		}
	}
	return (0);
}

static int
rule_add(scmp_filter_ctx ctx, const struct filter_rule *rule)
{
	struct scmp_arg_cmp cmp[FILTER_NARGS];
	const struct filter_arg *arg;
	unsigned int i, n = 0, dynamic = FILTER_NARGS;
	int error;

	for (i = 0; i < FILTER_NARGS; i++) {
		arg = &rule->arg[i];
		switch (arg->cmp) {
		case FILTER_ANY:
			continue;
		case FILTER_INT:
			cmp[n++] = masked(i, UINT32_MAX, (uint32_t)arg->value);
			break;
		case FILTER_BITS:
			cmp[n++] = masked(i, ~(uint32_t)arg->value, 0);
			break;
		case FILTER_LONG:
			cmp[n++] = (struct scmp_arg_cmp){ .arg = i,
				.op = SCMP_CMP_EQ,
				.datum_a = arg->value };
			break;
		case FILTER_DYNAMIC:
			dynamic = n;
			cmp[n++] = masked(i, 0, 0);
			break;
		}
	}
	if (dynamic != FILTER_NARGS)
		return (rule_add_dynamic(ctx, rule, cmp, n, dynamic));
	error = -seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, rule->number,
	    n, cmp);
	if (error != 0) {
		errno = error;
		return (-1);
	}
	return (0);
}

static int
rules_add(scmp_filter_ctx ctx, const struct filter *filter)
{
	size_t i;

	for (i = 0; i < filter->nrules; i++)
		if (rule_add(ctx, &filter->rules[i]) == -1)
			return (-1);
	return (0);
}

static int
attr_set(scmp_filter_ctx ctx, enum scmp_filter_attr attr, uint32_t value)
{
	int error;

	error = -seccomp_attr_set(ctx, attr, value);
	if (error != 0)
		errno = error;
	return (error == 0 ? 0 : -1);
}

/*
 * The native architecture is the only one in the filter; on x86_64 libseccomp
 * then sends numbers with the x32 bit to the bad-architecture action as well.
 */
static scmp_filter_ctx
filter_build(enum role role, int spliced)
{
	scmp_filter_ctx ctx;
	int saved_errno;

	if ((ctx = seccomp_init(SCMP_ACT_KILL_PROCESS)) == NULL) {
		errno = ENOMEM;
		return (NULL);
	}
	if (attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) ||
	    attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0) ||
	    attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) ||
	    rules_add(ctx, filter_of(role)) ||
	    (role == ROLE_RELAYPROC && spliced &&
		rules_add(ctx, &filter_splice)) ||
	    rules_add(ctx, &filter_sanitizer)) {
		saved_errno = errno;
		seccomp_release(ctx);
		errno = saved_errno;
		return (NULL);
	}
	return (ctx);
}

int
filter_load(enum role role, int spliced)
{
	scmp_filter_ctx ctx;
	int error;

	if ((ctx = filter_build(role, spliced)) == NULL)
		return (-1);
	error = -seccomp_load(ctx);
	seccomp_release(ctx);
	errno = error;
	return (error == 0 ? 0 : -1);
}

int
filter_export(enum role role, int spliced, int fd)
{
	scmp_filter_ctx ctx;
	int error;

	if ((ctx = filter_build(role, spliced)) == NULL)
		return (-1);
	error = -seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	errno = error;
	return (error == 0 ? 0 : -1);
}
