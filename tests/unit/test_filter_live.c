#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <event2/event.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"
#include "sandbox/rules.h"
#include "tests/unit/filter_oracle.h"
#include "tests/unit/forked.h"

/*
 * The filters as the kernel runs them: each call is made in a process that
 * has loaded its filter by filter_load() and either survives it or is killed.
 */

#define SURVIVED   42
#define NOT_LOADED 43

static const enum role roles[] = { ROLE_PARENT, ROLE_NETPROC, ROLE_RELAYPROC,
	ORACLE_SPLICE };
#define NROLES (sizeof(roles) / sizeof(roles[0]))

struct call {
	enum role role;
	struct vector v;
	int (*fn)(void); /* instead of v */
};

static void
lock(enum role role)
{
	const int spliced = role == ORACLE_SPLICE;
	const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	/* what a call opens by mistake stays out of the others' way */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    filter_load(spliced ? ROLE_RELAYPROC : role, spliced) == -1)
		_exit(NOT_LOADED);
}

static int
call_make(const void *arg)
{
	const struct call *call = arg;

	close_range(3, ~0U, 0);
	lock(call->role);
	if (call->fn != NULL)
		return (call->fn());
	syscall(call->v.number, call->v.arg[0], call->v.arg[1], call->v.arg[2],
	    call->v.arg[3], call->v.arg[4], call->v.arg[5]);
	return (SURVIVED);
}

static void
each_allowed_call_passes(void **state)
{
	struct call call = { .fn = NULL };
	const struct filter_rule *rule;
	size_t r, row;
	int status;

	(void)state;
	for (r = 0; r < NROLES; r++)
		for (row = 0; row < oracle_filter(roles[r])->nrules; row++) {
			rule = &oracle_filter(roles[r])->rules[row];
			call.role = roles[r];
			call.v = oracle_vector(rule);
			status = forked(call_make, &call);
			if (rule->number == SYS_exit_group)
				assert_true(FORKED_EXITED(status, 255));
			else if (!FORKED_EXITED(status, SURVIVED))
				fail_msg("%s: %s: status %#x",
				    oracle_name(roles[r]), rule->name, status);
		}
}

static void
a_row_perturbed(enum role role, const struct filter_rule *rule, unsigned int i)
{
	struct call call = { .role = role };
	uint64_t values[ORACLE_VALUES_MAX];
	unsigned int n, k;
	int status;

	n = oracle_outside(&rule->arg[i], values);
	/* one bit in eight is enough here: test_filter_sim tries all */
	for (k = 0; k<n; k += n> 16 ? 8 : 1) {
		call.v = oracle_vector(rule);
		call.v.arg[i] = values[k];
		if (oracle_allows(role, &call.v))
			continue;
		status = forked(call_make, &call);
		if (!FORKED_SIGSYS(status))
			fail_msg("%s: %s with arg%u %#lx: status %#x",
			    oracle_name(role), rule->name, i, values[k],
			    status);
	}
}

static void
each_argument_perturbed_kills(void **state)
{
	const struct filter *filter;
	unsigned int i;
	size_t r, row;

	(void)state;
	for (r = 0; r < NROLES; r++) {
		filter = oracle_filter(roles[r]);
		for (row = 0; row < filter->nrules; row++)
			for (i = 0; i < FILTER_NARGS; i++)
				a_row_perturbed(roles[r], &filter->rules[row],
				    i);
	}
}

/* On x86_64 the kernel runs these two before any filter, by design. */
static int
number_is_unfiltered(int number)
{
#ifdef __x86_64__
	return (number == 335 || number == 336); /* uretprobe, uprobe */
#else
	(void)number;
	return (0);
#endif
}

static void
each_call_off_the_list_kills(void **state)
{
	struct call call = { .fn = NULL };
	int number, status;
	size_t r;

	(void)state;
	for (r = 0; r < NROLES; r++)
		for (number = 0; number < 512; number++) {
			if (oracle_names(roles[r], number) ||
			    number_is_unfiltered(number))
				continue;
			memset(&call.v, 0, sizeof(call.v));
			call.role = roles[r];
			call.v.number = number;
			status = forked(call_make, &call);
			if (!FORKED_SIGSYS(status))
				fail_msg("%s: call %d: status %#x",
				    oracle_name(roles[r]), number, status);
		}
}

#ifdef __x86_64__
static int
call_bare(const void *arg)
{
	return (((const struct call *)arg)->fn());
}

static int
close_as_i386(void)
{
	long result;

	/* 6 is close(2) there, lstat(2) here */
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(6L), "b"(200L)
			 : "memory");
	return (SURVIVED);
}

static int
close_as_x32(void)
{
	syscall(0x40000000 + SYS_close, 200);
	return (SURVIVED);
}
#endif

static void
a_call_of_i386_kills(void **state)
{
#ifdef __x86_64__
	struct call call = { .role = ROLE_NETPROC, .fn = close_as_i386 };

	(void)state;
	/* Some hypervisors have no such gate: SIGSEGV, filter or none. */
	if (!FORKED_EXITED(forked(call_bare, &call), SURVIVED)) {
		print_message("no int $0x80 on this machine\n");
		skip();
	}
	assert_true(FORKED_SIGSYS(forked(call_make, &call)));
#else
	(void)state;
	skip();
#endif
}

static void
a_call_of_x32_kills(void **state)
{
#ifdef __x86_64__
	struct call call = { .role = ROLE_NETPROC, .fn = close_as_x32 };

	(void)state;
	assert_true(FORKED_SIGSYS(forked(call_make, &call)));
#else
	(void)state;
	skip();
#endif
}

static int
call_abort(void)
{
	abort();
}

static int
call_trap(void)
{
	__builtin_trap();
}

static void
sink_nowhere(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)text;
	(void)arg;
}

static int
call_fatal(void)
{
	log_init("test", LOG_LEVEL_DEBUG);
	log_set_sink(sink_nowhere, NULL);
	errno = EBADF;
	fatal("the end");
}

static int
call_malloc(void)
{
	void *block[64];
	size_t i, size;

	for (i = 0; i < 64; i++) {
		size = (size_t)1 << (i % 24);
		if ((block[i] = malloc(size)) == NULL)
			return (1);
		memset(block[i], 1, size);
	}
	for (i = 0; i < 64; i++) {
		size = (size_t)1 << ((i + 13) % 25);
		if ((block[i] = realloc(block[i], size)) == NULL)
			return (1);
		memset(block[i], 1, size);
	}
	for (i = 0; i < 64; i++)
		free(block[i]);
	return (SURVIVED);
}

static void
every_way_to_end_ends(void **state)
{
	struct call call = { .fn = NULL };
	size_t r;
	int status;

	(void)state;
	for (r = 0; r < NROLES; r++) {
		call.role = roles[r];
		call.fn = call_abort;
		assert_true(FORKED_SIGSYS(forked(call_make, &call)));
		call.fn = call_trap;
		status = forked(call_make, &call);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
		call.fn = call_fatal;
		assert_true(FORKED_EXITED(forked(call_make, &call), 70));
	}
}

static void
malloc_works_behind_every_filter(void **state)
{
	struct call call = { .fn = call_malloc };
	size_t r;

	(void)state;
	for (r = 0; r < NROLES; r++) {
		call.role = roles[r];
		assert_true(FORKED_EXITED(forked(call_make, &call), SURVIVED));
	}
}

struct loop {
	struct event_base *base;
	int fds[2];
	int turns;
};

static void
loop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	(void)fd;
	(void)what;
	if (write(loop->fds[1], "x", 1) != 1)
		_exit(1);
}

static void
loop_read(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct mmsghdr msg = {
		.msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 },
	};

	(void)what;
	if (recvmmsg(fd, &msg, 1, MSG_DONTWAIT, NULL) != 1)
		_exit(1);
	if (++loop->turns == 3)
		event_base_loopbreak(loop->base);
}

/* A loop as the children have it: epoll on FD_EPOLL, the rest above. */
static int
loop_run(const void *arg)
{
	const struct timeval tv = { 0, 1000 };
	enum role role = *(const enum role *)arg;
	struct loop loop = { .turns = 0 };
	struct event *ev_read, *ev_timer;
	int fd;

	close_range(FD_PARENT, ~0U, 0);
	for (fd = FD_PARENT; fd < FD_EPOLL; fd++)
		if (dup(STDERR_FILENO) != fd)
			return (1);
	if ((loop.base = event_base_new()) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, loop.fds) == -1)
		return (1);
	ev_read = event_new(loop.base, loop.fds[0], EV_READ | EV_PERSIST,
	    loop_read, &loop);
	ev_timer = event_new(loop.base, -1, EV_PERSIST, loop_timer, &loop);
	if (ev_read == NULL || ev_timer == NULL)
		return (1);
	lock(role);
	event_add(ev_read, NULL);
	event_add(ev_timer, &tv);
	if (event_base_dispatch(loop.base) == -1)
		return (1);
	event_del(ev_read);
	event_free(ev_read);
	return (loop.turns == 3 ? SURVIVED : 1);
}

static void
an_event_loop_runs_behind_netprocs_filter(void **state)
{
	const enum role role = ROLE_NETPROC;

	(void)state;
	assert_true(FORKED_EXITED(forked(loop_run, &role), SURVIVED));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allowed_call_passes),
		cmocka_unit_test(each_argument_perturbed_kills),
		cmocka_unit_test(each_call_off_the_list_kills),
		cmocka_unit_test(a_call_of_i386_kills),
		cmocka_unit_test(a_call_of_x32_kills),
		cmocka_unit_test(every_way_to_end_ends),
		cmocka_unit_test(malloc_works_behind_every_filter),
		cmocka_unit_test(an_event_loop_runs_behind_netprocs_filter),
	};

#ifdef SALLYPORT_SANITIZERS
	puts("1..0 # SKIP a sanitizer build has rows beyond the tables");
	return (0);
#endif
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
