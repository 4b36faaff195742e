#ifndef SANDBOX_RULES_H
#define SANDBOX_RULES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ipc/roles.h"

/*
 * A seccomp filter as data.  One row allows one system call with one set of
 * arguments and says why; what no row allows kills the process.
 *
 * Arguments are compared at the width at which the kernel reads them: an int
 * on its low 32 bits, because close(0x100000004) closes descriptor 4; a long
 * or a pointer on all 64.
 */

enum filter_cmp {
	FILTER_ANY,    /* not compared */
	FILTER_INT,    /* low 32 bits equal value */
	FILTER_LONG,   /* all 64 bits equal value */
	FILTER_BITS,   /* int: no bit set outside value */
	FILTER_DYNAMIC /* descriptor in FD_FIRST_DYNAMIC .. FILTER_FD_END - 1 */
};

/*
 * One above the highest descriptor that a filter lets through: enough for
 * all slots of both directions beside the fixed ones.  A process that were
 * given a higher one would be killed on its first use of it; RLIMIT_NOFILE
 * never exceeds this (isolate_set_nofile).
 */
#define FILTER_FD_END (1u << 18)

struct filter_arg {
	enum filter_cmp cmp;
	uint64_t value;
	const char *text; /* the value as the table spells it */
};

#define FILTER_NARGS 6

struct filter_rule {
	int number;	  /* of the system call, on the native architecture */
	const char *name; /* its name */
	struct filter_arg arg[FILTER_NARGS];
	const char *reason; /* what breaks without the row */
};

struct filter {
	const struct filter_rule *rules;
	size_t nrules;
};

/* How the tables spell a row. */
/* clang-format off */
#define CALL(name)   __NR_##name, #name
#define ANY	     { FILTER_ANY, 0, NULL }
#define INT(v)	     { FILTER_INT, (uint32_t)(v), #v }
#define LONG(v)	     { FILTER_LONG, (uint64_t)(v), #v }
#define BITS(v)	     { FILTER_BITS, (uint32_t)(v), #v }
#define DYNAMIC	     { FILTER_DYNAMIC, 0, NULL }
#define FILTER_ROWS(a) (a), sizeof(a) / sizeof((a)[0])
/* clang-format on */

extern const struct filter filter_parent;
extern const struct filter filter_netproc;
extern const struct filter filter_relayproc;

/* What relayproc needs on top where it splices flows and does not lend them. */
extern const struct filter filter_splice;

/*
 * What the run-time of AddressSanitizer and UBSan needs on top, in every
 * role; without rows unless configured with --enable-sanitizers.
 */
extern const struct filter filter_sanitizer;

/* Returns borrowed: the role's table. */
const struct filter *filter_of(enum role role);

/*
 * Loads the role's filter into this process: no_new_privs must be set.  What
 * it does not allow, and any call of a foreign architecture (x32, i386),
 * kills the whole process.  spliced nonzero: relayproc's with filter_splice;
 * no other role's changes.  0, or -1 with errno.
 */
int filter_load(enum role role, int spliced);

/*
 * Writes the same filter as BPF (an array of struct sock_filter) to fd
 * instead of loading it.  0, or -1 with errno.
 */
int filter_export(enum role role, int spliced, int fd);

/*
 * Writes the role's table as text, one line a row, for --print-policy.  Rows
 * of the sanitizer table are not part of it.  0, or -1 with errno on a write
 * error.
 */
int filter_dump(enum role role, int spliced, FILE *out);

#endif
