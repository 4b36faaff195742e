#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/filter_oracle.h"

static const enum role roles[] = { ROLE_PARENT, ROLE_NETPROC, ROLE_RELAYPROC,
	ORACLE_SPLICE };
#define NROLES (sizeof(roles) / sizeof(roles[0]))

static void
each_role_has_the_table_of_its_name(void **state)
{
	(void)state;
	assert_ptr_equal(filter_of(ROLE_PARENT), &filter_parent);
	assert_ptr_equal(filter_of(ROLE_NETPROC), &filter_netproc);
	assert_ptr_equal(filter_of(ROLE_RELAYPROC), &filter_relayproc);
}

static void
every_row_has_a_reason(void **state)
{
	const struct filter *filter;
	size_t r, i;

	(void)state;
	for (r = 0; r < NROLES; r++) {
		filter = oracle_filter(roles[r]);
		assert_true(filter->nrules > 0);
		for (i = 0; i < filter->nrules; i++) {
			assert_non_null(filter->rules[i].reason);
			assert_true(strlen(filter->rules[i].reason) >= 5);
		}
	}
}

static void
every_row_names_the_call_that_its_number_is(void **state)
{
	const struct filter_rule *rule;
	size_t r, i;

	(void)state;
	for (r = 0; r < NROLES; r++)
		for (i = 0; i < oracle_filter(roles[r])->nrules; i++) {
			rule = &oracle_filter(roles[r])->rules[i];
			assert_int_equal(rule->number,
			    seccomp_syscall_resolve_name(rule->name));
		}
}

static void
no_row_is_covered_by_another(void **state)
{
	const struct filter *filter;
	struct vector v;
	size_t r, i, j;

	(void)state;
	for (r = 0; r < NROLES; r++) {
		filter = oracle_filter(roles[r]);
		for (i = 0; i < filter->nrules; i++) {
			v = oracle_vector(&filter->rules[i]);
			for (j = 0; j < filter->nrules; j++)
				assert_int_equal(oracle_row_allows(&filter
									->rules
									    [j],
						     &v),
				    i == j);
		}
	}
}

static void
the_children_have_no_call_that_names_a_file_or_a_process(void **state)
{
	static const char *const calls[] = { "open", "openat", "openat2",
		"creat", "execve", "execveat", "fork", "vfork", "clone",
		"clone3", "kill", "tgkill", "ptrace", "process_vm_readv",
		"mprotect", "ioctl", "fcntl", "dup", "dup2", "dup3", "prctl",
		"futex", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
		"bind", "listen", "accept", "socketpair", "setns", "unshare",
		"mount", "io_uring_setup", "bpf", "perf_event_open",
		"userfaultfd", "pidfd_getfd", "memfd_create", "seccomp" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		assert_false(oracle_names(ROLE_NETPROC,
		    seccomp_syscall_resolve_name(calls[i])));
		assert_false(oracle_names(ROLE_RELAYPROC,
		    seccomp_syscall_resolve_name(calls[i])));
	}
}

static void
netproc_can_neither_send_nor_make_a_socket(void **state)
{
	static const char *const calls[] = { "sendto", "sendmsg", "sendmmsg",
		"sendfile", "splice", "tee", "vmsplice", "socket", "connect",
		"setsockopt", "getsockopt", "accept4", "recvfrom" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		assert_false(oracle_names(ROLE_NETPROC,
		    seccomp_syscall_resolve_name(calls[i])));
}

static void
no_table_lets_a_fixed_descriptor_be_closed_in_a_child(void **state)
{
	struct vector v = { .number = seccomp_syscall_resolve_name("close") };

	(void)state;
	for (v.arg[0] = 0; v.arg[0] < FD_FIRST_DYNAMIC; v.arg[0]++) {
		assert_false(oracle_allows(ROLE_NETPROC, &v));
		assert_false(oracle_allows(ROLE_RELAYPROC, &v));
	}
}

/* Returns owned: the whole file, NUL terminated. */
static char *
file_read(FILE *file, size_t size)
{
	char *text;
	size_t n;

	assert_non_null(text = calloc(1, size + 1));
	n = fread(text, 1, size, file);
	assert_true(n < size);
	return (text);
}

static void
dump_is_golden(enum role role, int spliced, const char *name)
{
	const char *srcdir = getenv("top_srcdir");
	char path[512], *want, *got;
	FILE *golden, *dump;

	snprintf(path, sizeof(path), "%s/tests/unit/golden/policy_%s.txt",
	    srcdir != NULL ? srcdir : ".", name);
	if ((golden = fopen(path, "r")) == NULL)
		fail_msg("cannot open %s", path);
	assert_non_null(dump = tmpfile());
	assert_int_equal(filter_dump(role, spliced, dump), 0);
	rewind(dump);
	want = file_read(golden, 1 << 16);
	got = file_read(dump, 1 << 16);
	assert_string_equal(got, want);
	fclose(golden);
	fclose(dump);
	free(want);
	free(got);
}

static void
the_parents_policy_prints_as_it_did(void **state)
{
	(void)state;
	dump_is_golden(ROLE_PARENT, 0, "parent");
}

static void
netprocs_policy_prints_as_it_did(void **state)
{
	(void)state;
	dump_is_golden(ROLE_NETPROC, 0, "netproc");
}

static void
relayprocs_policy_prints_as_it_did(void **state)
{
	(void)state;
	dump_is_golden(ROLE_RELAYPROC, 0, "relayproc");
}

static void
relayprocs_policy_with_splice_prints_as_it_did(void **state)
{
	(void)state;
	dump_is_golden(ROLE_RELAYPROC, 1, "relayproc_splice");
}

static void
only_a_sanitizer_build_has_sanitizer_rows(void **state)
{
	size_t i;

	(void)state;
#ifndef SALLYPORT_SANITIZERS
	assert_int_equal(filter_sanitizer.nrules, 0);
#endif
	for (i = 0; i < filter_sanitizer.nrules; i++)
		assert_non_null(filter_sanitizer.rules[i].reason);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_role_has_the_table_of_its_name),
		cmocka_unit_test(every_row_has_a_reason),
		cmocka_unit_test(every_row_names_the_call_that_its_number_is),
		cmocka_unit_test(no_row_is_covered_by_another),
		cmocka_unit_test(
		    the_children_have_no_call_that_names_a_file_or_a_process),
		cmocka_unit_test(netproc_can_neither_send_nor_make_a_socket),
		cmocka_unit_test(
		    no_table_lets_a_fixed_descriptor_be_closed_in_a_child),
		cmocka_unit_test(the_parents_policy_prints_as_it_did),
		cmocka_unit_test(netprocs_policy_prints_as_it_did),
		cmocka_unit_test(relayprocs_policy_prints_as_it_did),
		cmocka_unit_test(
		    relayprocs_policy_with_splice_prints_as_it_did),
		cmocka_unit_test(only_a_sanitizer_build_has_sanitizer_rows),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
