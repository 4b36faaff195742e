/*
 * Linked into a sallyport of its own in place of filter_load(): the filter of
 * one role lacks one row.  minimal.py writes into a copy of the program which.
 */

#include <sys/mman.h>
#include <sys/syscall.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/rules.h"

/* Found by the word, and followed by "role row". */
const volatile char mutant_spec[64] = "MUTANT:-1 -1";

int __real_filter_load(enum role role, int spliced);
int __wrap_filter_load(enum role role, int spliced);

/* The row allows instead what nobody calls, and what would harm nobody. */
static int
row_remove(const struct filter *filter, size_t row)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct filter_rule gone = { __NR_getppid, "getppid", { { 0 } }, "" };
	uintptr_t from = (uintptr_t)&filter->rules[row] & ~(page - 1);
	uintptr_t to = (uintptr_t)(&filter->rules[row] + 1);

	if (mprotect((void *)from, to - from, PROT_READ | PROT_WRITE) == -1)
		return (-1);
	memcpy((void *)(uintptr_t)&filter->rules[row], &gone, sizeof(gone));
	return (0);
}

int
__wrap_filter_load(enum role role, int spliced)
{
	const struct filter *filter = filter_of(role);
	char spec[sizeof(mutant_spec)];
	int mutant_role, row;
	size_t i;

	for (i = 0; i < sizeof(spec); i++)
		spec[i] = mutant_spec[i];
	if (sscanf(spec, "MUTANT:%d %d", &mutant_role, &row) != 2) {
		errno = EINVAL;
		return (-1);
	}
	if (mutant_role != (int)role || row < 0)
		return (__real_filter_load(role, spliced));
	i = (size_t)row;
	if (spliced && i >= filter->nrules) {
		i -= filter->nrules;
		filter = &filter_splice;
	}
	if (i < filter->nrules && row_remove(filter, i) == -1)
		return (-1);
	return (__real_filter_load(role, spliced));
}
