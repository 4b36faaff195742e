#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <errno.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/filter_oracle.h"

/*
 * The exported BPF runs in an interpreter of its own and must agree with the
 * tables on every call tried: so a mistake of libseccomp's, or in how it is
 * used, shows without a kernel that knows the architecture.
 */

#if defined(__x86_64__)
#define ARCH_NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH_NATIVE AUDIT_ARCH_AARCH64
#endif
#define X32_BIT 0x40000000

#define INSNS_MAX 4096 /* BPF_MAXINSNS */

static struct sock_filter insns[ORACLE_SPLICE + 1][INSNS_MAX];
static size_t ninsns[ORACLE_SPLICE + 1];

static const enum role roles[] = { ROLE_PARENT, ROLE_NETPROC, ROLE_RELAYPROC,
	ORACLE_SPLICE };
#define NROLES (sizeof(roles) / sizeof(roles[0]))

static uint32_t
load_word(const struct seccomp_data *data, uint32_t offset)
{
	uint32_t word;

	assert_true(offset % 4 == 0 && offset + 4 <= sizeof(*data));
	memcpy(&word, (const char *)data + offset, sizeof(word));
	return (word);
}

static size_t
jump(const struct sock_filter *insn, int taken)
{
	return (taken ? insn->jt : insn->jf);
}

/* Returns the SECCOMP_RET_* action. */
static uint32_t
bpf_run(enum role role, const struct seccomp_data *data)
{
	const struct sock_filter *insn;
	uint32_t a = 0;
	size_t pc;

	for (pc = 0; pc < ninsns[role]; pc++) {
		insn = &insns[role][pc];
		switch (insn->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = load_word(data, insn->k);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= insn->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += insn->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += jump(insn, a == insn->k);
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += jump(insn, a > insn->k);
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += jump(insn, a >= insn->k);
			break;
		case BPF_RET | BPF_K:
			return (insn->k);
		default:
			fail_msg("instruction %#x", insn->code);
		}
	}
	fail_msg("ran off the end");
	return (0);
}

static int
bpf_allows_as(enum role role, const struct vector *v, uint32_t arch)
{
	struct seccomp_data data = { .nr = v->number, .arch = arch };
	uint32_t action;

	memcpy(data.args, v->arg, sizeof(data.args));
	action = bpf_run(role, &data);
	assert_true(action == SECCOMP_RET_ALLOW ||
	    action == SECCOMP_RET_KILL_PROCESS);
	return (action == SECCOMP_RET_ALLOW);
}

static void
check(enum role role, const struct vector *v)
{
	int got, want;

	got = bpf_allows_as(role, v, ARCH_NATIVE);
	want = oracle_allows(role, v);
	if (got != want)
		fail_msg("%s: %s call %d (%#lx %#lx %#lx %#lx %#lx %#lx)",
		    oracle_name(role), got ? "lets through" : "kills",
		    v->number, v->arg[0], v->arg[1], v->arg[2], v->arg[3],
		    v->arg[4], v->arg[5]);
}

static void
no_number_off_the_list_is_allowed(void **state)
{
	static const uint64_t patterns[] = { 0, 1, FD_PARENT, FD_EPOLL,
		FD_FIRST_DYNAMIC, 0x100000004, 0xffffffff, UINT64_MAX };
	struct vector v;
	size_t r, p, i;

	(void)state;
	for (r = 0; r < NROLES; r++)
		for (v.number = 0; v.number < 1024; v.number++)
			for (p = 0; p < sizeof(patterns) / sizeof(*patterns);
			     p++) {
				for (i = 0; i < FILTER_NARGS; i++)
					v.arg[i] = patterns[p];
				check(roles[r], &v);
				if (!oracle_names(roles[r], v.number))
					assert_false(bpf_allows_as(roles[r], &v,
					    ARCH_NATIVE));
			}
}

static void
each_row_allows_its_own_call_and_any_high_half_of_an_int(void **state)
{
	const struct filter_rule *rule;
	uint64_t values[ORACLE_VALUES_MAX];
	struct vector v;
	unsigned int i, n, k;
	size_t r, row;

	(void)state;
	for (r = 0; r < NROLES; r++)
		for (row = 0; row < oracle_filter(roles[r])->nrules; row++) {
			rule = &oracle_filter(roles[r])->rules[row];
			for (i = 0; i < FILTER_NARGS; i++) {
				v = oracle_vector(rule);
				n = oracle_inside(&rule->arg[i], values);
				for (k = 0; k < n; k++) {
					v.arg[i] = values[k];
					check(roles[r], &v);
					assert_true(bpf_allows_as(roles[r], &v,
					    ARCH_NATIVE));
				}
			}
		}
}

static void
perturbing_any_argument_of_any_row_kills(void **state)
{
	const struct filter_rule *rule;
	uint64_t values[ORACLE_VALUES_MAX];
	struct vector v;
	unsigned int i, n, k;
	size_t r, row;

	(void)state;
	for (r = 0; r < NROLES; r++)
		for (row = 0; row < oracle_filter(roles[r])->nrules; row++) {
			rule = &oracle_filter(roles[r])->rules[row];
			for (i = 0; i < FILTER_NARGS; i++) {
				v = oracle_vector(rule);
				n = oracle_outside(&rule->arg[i], values);
				for (k = 0; k < n; k++) {
					v.arg[i] = values[k];
					assert_false(oracle_row_allows(rule,
					    &v));
					check(roles[r], &v);
				}
			}
		}
}

static void
a_high_half_does_not_hide_a_fixed_descriptor(void **state)
{
	struct vector v = { .number = SYS_close, .arg = { 0x100000004 } };

	(void)state;
	assert_false(bpf_allows_as(ROLE_NETPROC, &v, ARCH_NATIVE));
	assert_false(bpf_allows_as(ROLE_RELAYPROC, &v, ARCH_NATIVE));
	v.arg[0] = 0x100000007;
	assert_true(bpf_allows_as(ROLE_NETPROC, &v, ARCH_NATIVE));
}

static void
no_row_is_allowed_to_another_architecture(void **state)
{
	static const uint32_t foreign[] = { AUDIT_ARCH_I386, AUDIT_ARCH_ARM,
		AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64, AUDIT_ARCH_RISCV64, 0 };
	struct vector v;
	size_t r, row, a;

	(void)state;
	for (r = 0; r < NROLES; r++)
		for (row = 0; row < oracle_filter(roles[r])->nrules; row++) {
			v = oracle_vector(&oracle_filter(roles[r])->rules[row]);
			for (a = 0; a < sizeof(foreign) / sizeof(*foreign); a++)
				if (foreign[a] != ARCH_NATIVE)
					assert_false(bpf_allows_as(roles[r], &v,
					    foreign[a]));
			v.number |= X32_BIT;
			assert_false(bpf_allows_as(roles[r], &v, ARCH_NATIVE));
		}
}

static void
negative_and_huge_numbers_are_refused(void **state)
{
	static const int numbers[] = { -1, -10001, 1024, 4096, 0x3fffffff,
		X32_BIT, X32_BIT + 3, 0x7fffffff, (int)0x80000000 };
	struct vector v;
	size_t r, i;

	(void)state;
	memset(&v, 0, sizeof(v));
	for (r = 0; r < NROLES; r++)
		for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
			v.number = numbers[i];
			assert_false(bpf_allows_as(roles[r], &v, ARCH_NATIVE));
		}
}

/* A value that some row of some table may care about. */
static uint64_t
random_value(const struct filter *filter)
{
	const struct filter_rule *rule;
	uint64_t values[ORACLE_VALUES_MAX];
	const struct filter_arg *arg;
	unsigned int n;

	rule = &filter->rules[(size_t)random() % filter->nrules];
	arg = &rule->arg[random() % FILTER_NARGS];
	n = random() % 2 ? oracle_inside(arg, values) :
			   oracle_outside(arg, values);
	if (n == 0)
		return ((uint64_t)random());
	return (values[(unsigned int)random() % n]);
}

static void
the_filter_agrees_with_the_table_on_random_calls(void **state)
{
	const struct filter *filter;
	struct vector v;
	unsigned int i;
	size_t r;
	int k;

	(void)state;
	srandom(1);
	for (r = 0; r < NROLES; r++)
		for (k = 0; k < 200000; k++) {
			filter = oracle_filter(roles[r]);
			v = oracle_vector(&filter->rules[(size_t)random() %
			    filter->nrules]);
			for (i = 0; i < FILTER_NARGS; i++)
				if (random() % 3 == 0)
					v.arg[i] = random_value(filter);
			check(roles[r], &v);
		}
}

static void
a_filter_stays_short(void **state)
{
	size_t r;

	(void)state;
	for (r = 0; r < NROLES; r++) {
		print_message("# %s: %zu rows, %zu instructions\n",
		    oracle_name(roles[r]), oracle_filter(roles[r])->nrules,
		    ninsns[roles[r]]);
		assert_true(ninsns[roles[r]] < 1000);
	}
}

int __wrap_seccomp_attr_set(scmp_filter_ctx ctx, enum scmp_filter_attr attr,
    uint32_t value);
int __real_seccomp_attr_set(scmp_filter_ctx ctx, enum scmp_filter_attr attr,
    uint32_t value);
int __wrap_seccomp_rule_add_exact_array(scmp_filter_ctx ctx, uint32_t action,
    int number, unsigned int n, const struct scmp_arg_cmp *cmp);
int __real_seccomp_rule_add_exact_array(scmp_filter_ctx ctx, uint32_t action,
    int number, unsigned int n, const struct scmp_arg_cmp *cmp);
void __wrap_seccomp_release(scmp_filter_ctx ctx);
void __real_seccomp_release(scmp_filter_ctx ctx);

/* Calls of libseccomp's until one fails; 0: none does. */
static unsigned int fails_after;
static unsigned int nreleased;

static int
fails_now(void)
{
	return (fails_after > 0 && --fails_after == 0);
}

int
__wrap_seccomp_attr_set(scmp_filter_ctx ctx, enum scmp_filter_attr attr,
    uint32_t value)
{
	return (fails_now() ? -ENOMEM :
			      __real_seccomp_attr_set(ctx, attr, value));
}

int
__wrap_seccomp_rule_add_exact_array(scmp_filter_ctx ctx, uint32_t action,
    int number, unsigned int n, const struct scmp_arg_cmp *cmp)
{
	if (fails_now())
		return (-ENOMEM);
	return (__real_seccomp_rule_add_exact_array(ctx, action, number, n,
	    cmp));
}

void
__wrap_seccomp_release(scmp_filter_ctx ctx)
{
	nreleased++;
	__real_seccomp_release(ctx);
	errno = 0;
}

/* None with a row less, or that does to another architecture something else. */
static void
a_filter_that_cannot_be_made_whole_is_none(void **state)
{
	unsigned int n;
	FILE *file;

	(void)state;
	assert_non_null(file = tmpfile());
	for (n = 1;; n++) {
		fails_after = n;
		nreleased = 0;
		errno = 0;
		if (filter_export(ROLE_RELAYPROC, 1, fileno(file)) == 0)
			break;
		assert_int_equal(errno, ENOMEM);
		assert_int_equal(nreleased, 1);
		assert_int_equal(lseek(fileno(file), 0, SEEK_CUR), 0);
	}
	assert_int_equal(nreleased, 1);
	assert_true(n > oracle_filter(ORACLE_SPLICE)->nrules);
	fails_after = 0;
	fclose(file);
}

static int export(enum role role, int fd)
{
	if (role == ORACLE_SPLICE)
		return (filter_export(ROLE_RELAYPROC, 1, fd));
	/* What splices for another role changes nothing. */
	return (filter_export(role, role != ROLE_RELAYPROC, fd));
}

static int
export_all(void **state)
{
	FILE *file;
	size_t r;

	(void)state;
	for (r = 0; r < NROLES; r++) {
		if ((file = tmpfile()) == NULL ||
		    export(roles[r], fileno(file)) == -1 ||
		    lseek(fileno(file), 0, SEEK_SET) == -1)
			return (-1);
		ninsns[roles[r]] = fread(insns[roles[r]],
		    sizeof(struct sock_filter), INSNS_MAX, file);
		fclose(file);
	}
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_number_off_the_list_is_allowed),
		cmocka_unit_test(
		    each_row_allows_its_own_call_and_any_high_half_of_an_int),
		cmocka_unit_test(perturbing_any_argument_of_any_row_kills),
		cmocka_unit_test(a_high_half_does_not_hide_a_fixed_descriptor),
		cmocka_unit_test(no_row_is_allowed_to_another_architecture),
		cmocka_unit_test(negative_and_huge_numbers_are_refused),
		cmocka_unit_test(
		    the_filter_agrees_with_the_table_on_random_calls),
		cmocka_unit_test(a_filter_stays_short),
		cmocka_unit_test(a_filter_that_cannot_be_made_whole_is_none),
	};

#ifdef SALLYPORT_SANITIZERS
	puts("1..0 # SKIP a sanitizer build has rows beyond the tables");
	return (0);
#endif
	return (cmocka_run_group_tests(tests, export_all, NULL));
}
