#ifndef TESTS_UNIT_FILTER_ORACLE_H
#define TESTS_UNIT_FILTER_ORACLE_H

#include <stdint.h>

#include "sandbox/rules.h"

/*
 * What the tables mean, written a second time and without libseccomp, to
 * compare the real filter with; and calls made from rows to try it on.
 */

/* A table of its own: relayproc's with what it needs to splice. */
#define ORACLE_SPLICE ROLE_NROLES

/* Returns borrowed: the table of a role, or of ORACLE_SPLICE. */
const struct filter *oracle_filter(enum role role);

/* "relayproc, spliced" */
const char *oracle_name(enum role role);

struct vector {
	int number;
	uint64_t arg[FILTER_NARGS];
};

/* 1 if some row of the role's table allows the call. */
int oracle_allows(enum role role, const struct vector *v);

/* 1 if this row alone allows the call. */
int oracle_row_allows(const struct filter_rule *rule, const struct vector *v);

/* 1 if some row names this system call. */
int oracle_names(enum role role, int number);

/*
 * A call that the row allows and that does no harm when really made:
 * descriptors are invalid, lengths 0.
 */
struct vector oracle_vector(const struct filter_rule *rule);

/*
 * Values at and around the edge of what arg allows: writes at most max of
 * them, returns how many.  OUTSIDE values are refused by this comparison,
 * INSIDE values allowed.
 */
#define ORACLE_VALUES_MAX 96
unsigned int oracle_outside(const struct filter_arg *arg,
    uint64_t values[ORACLE_VALUES_MAX]);
unsigned int oracle_inside(const struct filter_arg *arg,
    uint64_t values[ORACLE_VALUES_MAX]);

#endif
