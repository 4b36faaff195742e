#include <stdio.h>

#include "sandbox/rules.h"

/* "arg1 == TEXT" and the like; FILTER_ANY is not printed. */
static void
dump_arg(const struct filter_arg *arg, unsigned int index, FILE *out)
{
	switch (arg->cmp) {
	case FILTER_ANY:
		return;
	case FILTER_INT:
		fprintf(out, " arg%u == %s", index, arg->text);
		return;
	case FILTER_LONG:
		fprintf(out, " arg%u == (long)%s", index, arg->text);
		return;
	case FILTER_BITS:
		fprintf(out, " (arg%u & ~(%s)) == 0", index, arg->text);
		return;
	case FILTER_DYNAMIC:
		fprintf(out, " arg%u >= FD_FIRST_DYNAMIC", index);
		return;
	}
}

static void
dump_rows(const struct filter *filter, FILE *out)
{
	const struct filter_rule *rule;
	unsigned int i;
	size_t n;

	for (n = 0; n < filter->nrules; n++) {
		rule = &filter->rules[n];
		fprintf(out, "%s", rule->name);
		for (i = 0; i < FILTER_NARGS; i++)
			dump_arg(&rule->arg[i], i, out);
		fprintf(out, "\n\t# %s\n", rule->reason);
	}
}

int
filter_dump(enum role role, int spliced, FILE *out)
{
	fprintf(out, "%s: kills the process but for\n", role_name(role));
	dump_rows(filter_of(role), out);
	if (role == ROLE_RELAYPROC && spliced)
		dump_rows(&filter_splice, out);
	return (ferror(out) || fflush(out) == EOF ? -1 : 0);
}
