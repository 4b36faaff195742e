#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <linux/securebits.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
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
#include "parent/attest.h"
#include "parent/spawn.h"
#include "sandbox/isolate.h"
#include "sandbox/rules.h"
#include "sandbox/stages.h"
#include "tests/unit/forked.h"
#include "tests/unit/jail_child.h"

#define TEST_UID 54322u

static char last_error[1024];

static void
sink_keep(enum log_level level, const char *text, void *arg)
{
	(void)arg;
	if (level == LOG_LEVEL_ERROR)
		strlcpy(last_error, text, sizeof(last_error));
}

/* 0, or -1 as spawn_children() has it. */
static int
start(int strict, struct child child[2])
{
	struct spawn_config config = { .strict = strict };
	int result;

	config.exe_fd = spawn_open_exe();
	assert_true(config.exe_fd >= 0);
	result = spawn_children(&config, &child[0], &child[1]);
	close(config.exe_fd);
	return (result);
}

static void
look_from_inside(enum role role, struct jail_report *report)
{
	struct child child[2];

	if (start(1, child) == -1)
		fail_msg("%s", last_error);
	jail_child_run(&child[role == ROLE_RELAYPROC], 0, report);
	spawn_end(&child[0], NULL);
	spawn_end(&child[1], NULL);
	assert_int_equal(report->result, 0);
}

static void
a_jailed_process_reaches_no_file(void **state)
{
	struct jail_report report;

	(void)state;
	look_from_inside(ROLE_NETPROC, &report);
	assert_int_equal(report.open_passwd, ENOENT);
	assert_int_equal(report.open_proc, ENOENT);
	/* Landlock refuses even the list of an empty directory */
	if (report.missed & STAGE_BIT(STAGE_LANDLOCK_FS))
		assert_int_equal(report.root_entries, 0);
	else
		assert_int_equal(report.root_entries, -EACCES);
	assert_int_not_equal(report.make_dir, 0);
	assert_int_not_equal(report.make_file, 0);
}

static void
a_jailed_process_is_alone(void **state)
{
	struct jail_report report;

	(void)state;
	look_from_inside(ROLE_NETPROC, &report);
	assert_int_equal(report.pid, 1);
	assert_int_equal(report.ppid, 0);
	assert_int_equal(report.pipe_fd, FD_EPOLL);
	/* RLIMIT_NPROC does not bind a process whose real uid is 0 */
	assert_int_equal(report.make_process, EAGAIN);
}

static void
a_jailed_process_maps_nothing_executable(void **state)
{
	struct jail_report report;

	(void)state;
	look_from_inside(ROLE_RELAYPROC, &report);
	if (report.missed & STAGE_BIT(STAGE_MDWE)) {
		print_message("# SKIP: no PR_SET_MDWE\n");
		skip();
	}
	assert_int_equal(report.map_exec, EACCES);
}

static void
landlock_keeps_netproc_from_tcp_and_relayproc_from_bind(void **state)
{
	struct jail_report report;

	(void)state;
	look_from_inside(ROLE_NETPROC, &report);
	if (report.missed & STAGE_BIT(STAGE_LANDLOCK_NET)) {
		print_message("# SKIP: Landlock without TCP rules\n");
		skip();
	}
	assert_int_equal(report.tcp_bind, EACCES);
	assert_int_equal(report.tcp_connect, EACCES);
	look_from_inside(ROLE_RELAYPROC, &report);
	assert_int_equal(report.tcp_bind, EACCES);
	assert_int_equal(report.tcp_connect, ECONNREFUSED);
}

static void
no_jailed_process_reaches_an_abstract_socket(void **state)
{
	struct jail_report report;

	(void)state;
	/* netproc by its network namespace, relayproc by Landlock */
	look_from_inside(ROLE_NETPROC, &report);
	assert_true(report.abstract_connect == ECONNREFUSED ||
	    report.abstract_connect == EPERM);
	look_from_inside(ROLE_RELAYPROC, &report);
	if (report.missed & STAGE_BIT(STAGE_LANDLOCK_SCOPE)) {
		print_message("# SKIP: Landlock without scopes\n");
		skip();
	}
	assert_int_equal(report.abstract_connect, EPERM);
}

static void
a_jailed_process_has_limits_that_it_cannot_raise(void **state)
{
	static const struct {
		int resource;
		uint64_t most;
	} limits[] = {
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_STACK, 1 << 20 },
#ifndef SALLYPORT_SANITIZERS
		{ RLIMIT_DATA, 4ULL << 30 },
		{ RLIMIT_FSIZE, 0 },
#endif
	};
	struct jail_report report;
	size_t i;

	(void)state;
	look_from_inside(ROLE_NETPROC, &report);
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (report.limit_max[limits[i].resource] > limits[i].most)
			fail_msg("limit %d may be raised", limits[i].resource);
		assert_int_equal(report.limit_cur[limits[i].resource],
		    report.limit_max[limits[i].resource]);
	}
}

static void
uid_0_means_nothing_in_a_jailed_process(void **state)
{
	struct jail_report report;

	(void)state;
	look_from_inside(ROLE_RELAYPROC, &report);
	assert_int_equal(report.securebits,
	    SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
		SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
		SECBIT_NO_CAP_AMBIENT_RAISE |
		SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED);
}

static void
a_jailed_process_dies_with_the_parent_and_by_no_broken_pipe(void **state)
{
	struct jail_report report;

	(void)state;
	look_from_inside(ROLE_NETPROC, &report);
	assert_int_equal(report.death_signal, SIGKILL);
	assert_true(report.ignores_sigpipe);
}

/* As one whose parent died before the signal was asked for. */
static int
isolate_without_parent(const void *arg)
{
	uint32_t missed = 0;
	int fds[2];

	(void)arg;
	close_range(FD_PARENT, ~0U, 0);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == -1 ||
	    fds[0] != FD_PARENT)
		return (2);
	close(fds[1]);
	/* best-effort, for the others may be refused by hand */
	if (isolate_self(ROLE_NETPROC, 0, &missed) == -1)
		return (3);
	return (missed & STAGE_BIT(STAGE_PDEATHSIG) ? 0 : 4);
}

static void
one_whose_parent_has_died_already_hears_of_it(void **state)
{
	int status;

	(void)state;
	status = forked(isolate_without_parent, NULL);
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
}

/* Returns owned: this process's mounts. */
static char *
mounts_read(void)
{
	const size_t size = 1 << 16;
	char *text;
	size_t n;
	FILE *file;

	assert_non_null(text = calloc(1, size));
	assert_non_null(file = fopen("/proc/self/mountinfo", "r"));
	n = fread(text, 1, size - 1, file);
	assert_true(n > 0);
	fclose(file);
	return (text);
}

static int
isolate_by_hand(const void *arg)
{
	uint32_t missed = 0;

	(void)arg;
	close_range(FD_PARENT, ~0U, 0);
	return (isolate_self(ROLE_NETPROC, 1, &missed) == -1 ? 0 : 1);
}

static int
world_around_isolation(const void *arg)
{
	char *before, *after;

	(void)arg;
	/* a copy of the host's, should the test fail */
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	/* from which, as from a host's own, mounts spread */
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL), 0);
	before = mounts_read();
	assert_true(FORKED_EXITED(forked(isolate_by_hand, NULL), 0));
	after = mounts_read();
	assert_string_equal(before, after);
	free(before);
	free(after);
	return (0);
}

static void
a_role_started_by_hand_harms_no_mount_and_refuses(void **state)
{
	(void)state;
#ifdef SALLYPORT_SANITIZERS
	print_message("# SKIP: a sanitizer build admits every miss\n");
	skip();
#endif
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	assert_true(FORKED_EXITED(forked(world_around_isolation, NULL), 0));
}

/*
 * Each isolation call refused in turn by a filter that the children inherit.
 */
struct injection {
	int number;
	int arg; /* index of the argument that must have value, or -1 */
	int value;
	enum isolation_stage stage;
	int error;
	int strict_refuses;
};

/* clang-format off */
static const struct injection injections[] = {
	{ SCMP_SYS(setsockopt), 2, 83, STAGE_PASSRIGHTS, ENOPROTOOPT, 0 },
	{ SCMP_SYS(unshare), -1, 0, STAGE_MOUNTS, EPERM, 1 },
	{ SCMP_SYS(mount), -1, 0, STAGE_MOUNTS, EPERM, 1 },
	{ SCMP_SYS(pivot_root), -1, 0, STAGE_MOUNTS, EPERM, 1 },
	{ SCMP_SYS(umount2), -1, 0, STAGE_MOUNTS, EPERM, 1 },
	{ SCMP_SYS(close_range), 2, 0, STAGE_CLOSE_FDS, EPERM, 1 },
	{ SCMP_SYS(prctl), 0, PR_CAPBSET_DROP, STAGE_BOUNDING, EPERM, 1 },
	{ SCMP_SYS(prctl), 0, PR_SET_SECUREBITS, STAGE_BOUNDING, EPERM, 1 },
	{ SCMP_SYS(capset), -1, 0, STAGE_CAPS, EPERM, 1 },
	{ SCMP_SYS(prctl), 0, PR_CAP_AMBIENT, STAGE_CAPS, EPERM, 1 },
	{ SCMP_SYS(prctl), 0, PR_SET_NO_NEW_PRIVS, STAGE_NO_NEW_PRIVS, EPERM, 1 },
	{ SCMP_SYS(prctl), 0, 65, STAGE_MDWE, EPERM, 1 },
	{ SCMP_SYS(prctl), 0, 65, STAGE_MDWE, EINVAL, 0 }, /* an old kernel */
	{ SCMP_SYS(prctl), 0, PR_SET_PDEATHSIG, STAGE_PDEATHSIG, EPERM, 1 },
	{ SCMP_SYS(prlimit64), -1, 0, STAGE_RLIMITS, EPERM, 1 },
	{ SCMP_SYS(prlimit64), 3, 0, STAGE_RLIMITS, EPERM, 1 }, /* to set */
	{ SCMP_SYS(landlock_create_ruleset), -1, 0, STAGE_LANDLOCK_FS, ENOSYS, 1 },
	{ SCMP_SYS(landlock_restrict_self), -1, 0, STAGE_LANDLOCK_FS, EPERM, 1 },
	{ SCMP_SYS(prctl), 0, PR_SET_DUMPABLE, STAGE_DUMPABLE, EPERM, 1 },
	{ SCMP_SYS(seccomp), -1, 0, STAGE_SECCOMP, EPERM, 1 },
};
/* clang-format on */

static int
inject(const struct injection *injection)
{
	scmp_filter_ctx ctx;
	int rc;

	if ((ctx = seccomp_init(SCMP_ACT_ALLOW)) == NULL)
		return (-1);
	/* NNP would be the very thing under test; root can do without */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	if (injection->arg == -1)
		rc = seccomp_rule_add(ctx,
		    SCMP_ACT_ERRNO((uint32_t)injection->error),
		    injection->number, 0);
	else
		rc = seccomp_rule_add(ctx,
		    SCMP_ACT_ERRNO((uint32_t)injection->error),
		    injection->number, 1,
		    SCMP_CMP((unsigned int)injection->arg, SCMP_CMP_EQ,
			(scmp_datum_t)injection->value, 0));
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return (rc);
}

static int
start_with_injection(const void *arg)
{
	const struct injection *injection = arg;
	struct jail_report report;
	struct child child[2];
	int strict;

	assert_int_equal(inject(injection), 0);
	for (strict = 0; strict < 2; strict++) {
		assert_int_equal(start(strict, child), 0);
		jail_child_run(&child[0], 0, &report);
		spawn_end(&child[0], NULL);
		spawn_end(&child[1], NULL);
		if (strict && injection->strict_refuses) {
			assert_int_equal(report.result, -1);
			continue;
		}
		/* some take others with them: no filter without no_new_privs */
		assert_int_equal(report.result, 0);
		report.missed |= child[0].missed;
		assert_true(report.missed & STAGE_BIT(injection->stage));
	}
	return (0);
}

static void
each_step_refused_stops_strict_and_is_recorded_in_best_effort(void **state)
{
	size_t i;
	int status;

	(void)state;
#ifdef SALLYPORT_SANITIZERS
	print_message("# SKIP: a sanitizer build admits every miss\n");
	skip();
#endif
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	for (i = 0; i < sizeof(injections) / sizeof(injections[0]); i++) {
		status = forked(start_with_injection, &injections[i]);
		if (!FORKED_EXITED(status, 0))
			fail_msg("%s: status %#x",
			    stage_name(injections[i].stage), status);
	}
}

static int
miss_as_plain_user(const void *arg)
{
	uint32_t missed = 0;

	(void)arg;
	assert_int_equal(setresuid(TEST_UID, TEST_UID, TEST_UID), 0);
	return (stage_missed(STAGE_GROUPS, EPERM, 1, &missed) == 0 &&
		    missed == STAGE_BIT(STAGE_GROUPS) ?
		0 :
		1);
}

static void
strict_refuses_root_what_a_plain_user_cannot_have(void **state)
{
	uint32_t missed = 0;

	(void)state;
#ifdef SALLYPORT_SANITIZERS
	print_message("# SKIP: a sanitizer build admits every miss\n");
	skip();
#endif
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	assert_int_equal(stage_missed(STAGE_GROUPS, EPERM, 1, &missed), -1);
	assert_int_equal(missed, 0);
	assert_int_equal(stage_missed(STAGE_GROUPS, EPERM, 0, &missed), 0);
	assert_int_equal(missed, STAGE_BIT(STAGE_GROUPS));
	assert_true(FORKED_EXITED(forked(miss_as_plain_user, NULL), 0));
}

static int
limit_descriptors(const void *arg)
{
	struct rlimit rl;

	(void)arg;
	assert_int_equal(isolate_set_nofile(FILTER_FD_END + 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(isolate_set_nofile(32), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
	assert_int_equal(rl.rlim_cur, 32);
	assert_int_equal(rl.rlim_max, 32);
	assert_int_equal(fcntl(0, F_DUPFD, 32), -1);
	return (0);
}

static void
the_limit_of_descriptors_is_hard(void **state)
{
	(void)state;
	assert_true(FORKED_EXITED(forked(limit_descriptors, NULL), 0));
}

static void
missed_stages_are_listed_in_their_order(void **state)
{
	char text[512], little[8];

	(void)state;
	assert_string_equal(stages_format(0, text, sizeof(text)), "none");
	assert_string_equal(stages_format(STAGE_BIT(STAGE_PASSRIGHTS), text,
				sizeof(text)),
	    "PASSRIGHTS");
	assert_string_equal(stages_format(STAGE_BIT(STAGE_SECCOMP) |
				    STAGE_BIT(STAGE_UID) |
				    STAGE_BIT(STAGE_PASSRIGHTS),
				text, sizeof(text)),
	    "PASSRIGHTS,UID,SECCOMP");
	/* A child may say bits that are no stage. */
	assert_string_equal(stages_format(STAGE_BIT(STAGE_N), text,
				sizeof(text)),
	    "");
	assert_string_equal(stages_format(STAGE_BIT(STAGE_USERNS) |
				    STAGE_BIT(STAGE_UID),
				little, sizeof(little)),
	    "USERNS,");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_jailed_process_reaches_no_file),
		cmocka_unit_test(a_jailed_process_is_alone),
		cmocka_unit_test(a_jailed_process_maps_nothing_executable),
		cmocka_unit_test(
		    landlock_keeps_netproc_from_tcp_and_relayproc_from_bind),
		cmocka_unit_test(no_jailed_process_reaches_an_abstract_socket),
		cmocka_unit_test(
		    a_jailed_process_has_limits_that_it_cannot_raise),
		cmocka_unit_test(uid_0_means_nothing_in_a_jailed_process),
		cmocka_unit_test(
		    a_jailed_process_dies_with_the_parent_and_by_no_broken_pipe),
		cmocka_unit_test(one_whose_parent_has_died_already_hears_of_it),
		cmocka_unit_test(
		    a_role_started_by_hand_harms_no_mount_and_refuses),
		cmocka_unit_test(
		    each_step_refused_stops_strict_and_is_recorded_in_best_effort),
		cmocka_unit_test(
		    strict_refuses_root_what_a_plain_user_cannot_have),
		cmocka_unit_test(the_limit_of_descriptors_is_hard),
		cmocka_unit_test(missed_stages_are_listed_in_their_order),
	};

	jail_child_main(argc, argv);
	log_init("test", LOG_LEVEL_ERROR);
	log_set_sink(sink_keep, NULL);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
