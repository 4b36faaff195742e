#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/capability.h>

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"
#include "parent/attest.h"
#include "parent/spawn.h"
#include "sandbox/stages.h"
#include "tests/unit/jail_child.h"

#define TEST_UID 54322u

/* Whatever was logged since the last start. */
static char lines[4096];

static void
sink_keep(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)arg;
	strlcat(lines, text, sizeof(lines));
	strlcat(lines, "\n", sizeof(lines));
}

struct pair {
	struct child netproc, relayproc;
	struct jail_report report; /* netproc's */
};

/* Both children run; netproc behaves as told and has reported. */
static void
start(struct pair *pair, int strict, uint32_t behaviour)
{
	struct spawn_config config = { .strict = strict };

	config.exe_fd = spawn_open_exe();
	assert_true(config.exe_fd >= 0);
	lines[0] = '\0';
	if (spawn_children(&config, &pair->netproc, &pair->relayproc) == -1)
		fail_msg("%s", lines);
	close(config.exe_fd);
	jail_child_run(&pair->netproc, behaviour, &pair->report);
}

static void
end(struct pair *pair)
{
	spawn_end(&pair->netproc, NULL);
	spawn_end(&pair->relayproc, NULL);
}

static void
a_jailed_child_stands(void **state)
{
	struct pair pair;
	uint32_t missed;
	int fd;

	(void)state;
	start(&pair, 1, 0);
	missed = pair.report.missed;
	assert_true((fd = dup(0)) != -1);
	close(fd);
	assert_int_equal(attest_child(&pair.netproc, 1, &missed), 0);
	assert_int_equal(missed, pair.report.missed | pair.netproc.missed);
	/* Nothing is left open. */
	assert_int_equal(dup(0), fd);
	close(fd);
	end(&pair);
}

static void
refused_for(uint32_t behaviour, const char *stage)
{
	struct pair pair;
	uint32_t missed;
	int strict;

	for (strict = 0; strict < 2; strict++) {
		start(&pair, strict, behaviour);
		missed = pair.report.missed;
		assert_int_equal(attest_child(&pair.netproc, strict, &missed),
		    -1);
		if (strstr(lines, stage) == NULL)
			fail_msg("no %s in: %s", stage, lines);
		end(&pair);
	}
}

static void
a_child_without_its_filter_is_refused(void **state)
{
	(void)state;
	refused_for(JAIL_NO_LOCK, "SECCOMP");
}

static void
a_child_with_one_more_descriptor_is_refused(void **state)
{
	(void)state;
	refused_for(JAIL_EXTRA_FD, "CLOSE_FDS");
}

static void
a_child_with_another_thing_in_a_descriptors_place_is_refused(void **state)
{
	(void)state;
	refused_for(JAIL_STDIN_SOCKET, "holds descriptor 0");
	refused_for(JAIL_EPOLL_SOCKET, "holds descriptor 6");
	refused_for(JAIL_CHANNEL_FILE, "holds descriptor 5");
}

/* What can be seen is not taken for hidden, whatever failed before. */
static void
a_descriptor_too_many_is_seen_without_a_user_namespace_too(void **state)
{
	struct pair pair;
	uint32_t missed;

	(void)state;
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	start(&pair, 0, JAIL_EXTRA_FD);
	missed = pair.report.missed | STAGE_BIT(STAGE_USERNS);
	errno = EACCES;
	assert_int_equal(attest_child(&pair.netproc, 0, &missed), -1);
	if (strstr(lines, "CLOSE_FDS") == NULL)
		fail_msg("no CLOSE_FDS in: %s", lines);
	end(&pair);
}

/*
 * A process that becomes so, as root alone can, and waits: the stages that
 * attest_child() does not see of it.
 */
static uint32_t
unseen_of(void (*become)(int), int how)
{
	struct child child;
	uint32_t unseen = 0;
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	assert_true((pid = fork()) != -1);
	if (pid == 0) {
		become(how);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	child_init(&child, ROLE_NETPROC);
	child.pid = pid;
	child.uid = child.gid = TEST_UID;
	assert_int_equal(attest_child(&child, 0, &unseen), -1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return (unseen);
}

static void
must(int result)
{
	if (result == -1)
		_exit(1);
}

/* All limits are 0 but this one. */
static void
become_limited(int but)
{
	static const int zero[] = { RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_NPROC };
	const struct rlimit none = { 0, 0 };
	struct rlimit soft = { 0, 1 };
	size_t i;

	if (but == RLIMIT_CORE)
		soft.rlim_max = RLIM_INFINITY;
	for (i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		must(setrlimit((__rlimit_resource_t)zero[i],
		    zero[i] == but ? &soft : &none));
}

static void
become_member(int of)
{
	const gid_t group = TEST_UID;

	must(setgroups((size_t)of, &group));
}

enum {
	ALL_IDS,
	BUT_GID,
	BUT_SAVED_UID,
	IN_A_CROWD /* which makes its status longer than what is read */
};

static void
become_user(int how)
{
	static gid_t crowd[1000];
	size_t i;

	for (i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++)
		crowd[i] = (gid_t)(TEST_UID + i);
	if (how == IN_A_CROWD)
		must(setgroups(i, crowd));
	if (how != BUT_GID)
		must(setresgid(TEST_UID, TEST_UID, TEST_UID));
	must(setresuid(TEST_UID, TEST_UID,
	    how == BUT_SAVED_UID ? 0 : TEST_UID));
}

static void
become_powerless(int inheritable)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof(data));
	data[0].inheritable = (uint32_t)inheritable;
	must((int)syscall(SYS_capset, &header, data));
}

/* Both are to be read-only: the mount, and what is mounted. */
enum {
	EMPTY_ROOT,
	MOUNT_WRITABLE,
	TMPFS_WRITABLE,
	TWO_MOUNTS
};

static void
become_rooted(int how)
{
	must(unshare(CLONE_NEWNS));
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(mount("empty", "/proc", "tmpfs",
	    how == TMPFS_WRITABLE ? 0 : MS_RDONLY, "mode=0555"));
	must(chdir("/proc"));
	must((int)syscall(SYS_pivot_root, ".", "."));
	must(umount2(".", MNT_DETACH));
	must(chdir("/"));
	if (how == MOUNT_WRITABLE || how == TMPFS_WRITABLE)
		must(mount(NULL, "/", NULL,
		    MS_REMOUNT | MS_BIND |
			(how == TMPFS_WRITABLE ? MS_RDONLY : 0),
		    NULL));
	if (how == TWO_MOUNTS)
		must(mount("empty", "/", "tmpfs", MS_RDONLY, "mode=0555"));
}

static void
each_part_of_a_fence_is_looked_at(void **state)
{
	static const struct {
		void (*become)(int);
		int how;
		enum isolation_stage stage;
		int stands;
	} cases[] = {
		{ become_limited, -1, STAGE_RLIMITS, 1 },
		{ become_limited, RLIMIT_CORE, STAGE_RLIMITS, 0 },
#ifndef SALLYPORT_SANITIZERS
		{ become_limited, RLIMIT_FSIZE, STAGE_RLIMITS, 0 },
#endif
		{ become_limited, RLIMIT_NPROC, STAGE_RLIMITS, 0 },
		{ become_member, 0, STAGE_GROUPS, 1 },
		{ become_member, 1, STAGE_GROUPS, 0 },
		{ become_user, ALL_IDS, STAGE_UID, 1 },
		{ become_user, BUT_GID, STAGE_UID, 0 },
		{ become_user, BUT_SAVED_UID, STAGE_UID, 0 },
		{ become_user, IN_A_CROWD, STAGE_UID, 0 },
		{ become_powerless, 0, STAGE_CAPS, 1 },
		{ become_powerless, 1 << CAP_KILL, STAGE_CAPS, 0 },
		{ become_rooted, EMPTY_ROOT, STAGE_MOUNTS, 1 },
		{ become_rooted, MOUNT_WRITABLE, STAGE_MOUNTS, 0 },
		{ become_rooted, TMPFS_WRITABLE, STAGE_MOUNTS, 0 },
		{ become_rooted, TWO_MOUNTS, STAGE_MOUNTS, 0 },
	};
	uint32_t unseen;
	int stands;
	size_t i;

	(void)state;
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unseen = unseen_of(cases[i].become, cases[i].how);
		stands = (unseen & STAGE_BIT(cases[i].stage)) == 0;
		if (stands != cases[i].stands)
			fail_msg("%s, case %zu: stands: %d",
			    stage_name(cases[i].stage), i, stands);
	}
}

static void
a_child_that_did_not_isolate_itself_is_refused(void **state)
{
	(void)state;
	refused_for(JAIL_NO_ISOLATION | JAIL_NO_LOCK, "MOUNTS");
	refused_for(JAIL_NO_ISOLATION | JAIL_NO_LOCK, "BOUNDING");
	refused_for(JAIL_NO_ISOLATION | JAIL_NO_LOCK, "CAPS");
	refused_for(JAIL_NO_ISOLATION | JAIL_NO_LOCK, "NO_NEW_PRIVS");
	refused_for(JAIL_NO_ISOLATION | JAIL_NO_LOCK, "RLIMITS");
}

static void
a_child_that_was_lent_more_than_it_holds_is_refused(void **state)
{
	struct pair pair;
	uint32_t missed;

	(void)state;
	start(&pair, 1, 0);
	missed = pair.report.missed;
	pair.netproc.nlent = 1;
	assert_int_equal(attest_child(&pair.netproc, 1, &missed), -1);
	assert_non_null(strstr(lines, "CLOSE_FDS"));
	end(&pair);
}

static void
a_process_that_is_no_jail_at_all_is_refused_fence_by_fence(void **state)
{
	static const enum isolation_stage seen[] = { STAGE_USERNS,
		STAGE_MOUNTNS, STAGE_NETNS, STAGE_PIDNS, STAGE_IPCNS,
		STAGE_UTSNS, STAGE_CGROUPNS, STAGE_UID, STAGE_MOUNTS,
		STAGE_CLOSE_FDS, STAGE_RLIMITS };
	struct child self;
	uint32_t missed = 0;
	size_t i;

	(void)state;
	child_init(&self, ROLE_NETPROC);
	self.pid = getpid();
	self.uid = geteuid();
	self.gid = getegid();
	assert_int_equal(attest_child(&self, 0, &missed), -1);
	for (i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		if (!(missed & STAGE_BIT(seen[i])))
			fail_msg("%s", stage_name(seen[i]));
}

static void
no_fence_is_seen_of_a_child_that_is_no_more(void **state)
{
	struct pair pair;
	uint32_t missed = 0;
	unsigned int stage;
	pid_t pid;

	(void)state;
	start(&pair, 1, 0);
	pid = pair.netproc.pid;
	end(&pair);
	pair.netproc.pid = pid;
	assert_int_equal(attest_child(&pair.netproc, 1, &missed), -1);
	for (stage = 0; stage < STAGE_N; stage++)
		if (attest_sees(stage) && !(missed & STAGE_BIT(stage)))
			fail_msg("%s", stage_name(stage));
}

static void
a_child_that_was_killed_has_ended_and_lacks_no_fence(void **state)
{
	struct pair pair;
	uint32_t missed;
	int result;

	(void)state;
	start(&pair, 1, 0);
	missed = pair.report.missed;
	assert_int_equal(kill(pair.netproc.pid, SIGKILL), 0);
	do {
		result = attest_child(&pair.netproc, 1, &missed);
	} while (result == 0);
	assert_int_equal(result, 1);
	assert_int_equal(missed, pair.report.missed | pair.netproc.missed);
	assert_string_equal(lines, "");
	end(&pair);
}

int __wrap_fstatat(int dir_fd, const char *name, struct stat *st, int flags);
int __real_fstatat(int dir_fd, const char *name, struct stat *st, int flags);

/* Whom the next look at what a descriptor is finds ended; 0: nobody. */
static pid_t ends_meanwhile;

int
__wrap_fstatat(int dir_fd, const char *name, struct stat *st, int flags)
{
	siginfo_t info;

	if (ends_meanwhile != 0) {
		kill(ends_meanwhile, SIGKILL);
		waitid(P_PID, (id_t)ends_meanwhile, &info, WEXITED | WNOWAIT);
	}
	ends_meanwhile = 0;
	return (__real_fstatat(dir_fd, name, st, flags));
}

static void
a_descriptor_that_went_while_it_was_looked_at_is_not_named(void **state)
{
	struct pair pair;
	uint32_t missed;

	(void)state;
	start(&pair, 1, 0);
	missed = pair.report.missed;
	ends_meanwhile = pair.netproc.pid;
	assert_int_equal(attest_child(&pair.netproc, 1, &missed), 1);
	assert_int_equal(ends_meanwhile, 0);
	assert_string_equal(lines, "");
	end(&pair);
}

static void
strict_admits_no_miss_but_those_of_an_old_kernel(void **state)
{
	struct pair pair;
	uint32_t missed;

	(void)state;
#ifdef SALLYPORT_SANITIZERS
	print_message("# SKIP: a sanitizer build admits every miss\n");
	skip();
#endif
	start(&pair, 1, 0);
	missed = STAGE_BIT(STAGE_MDWE) | STAGE_BIT(STAGE_LANDLOCK_NET);
	assert_int_equal(attest_child(&pair.netproc, 1, &missed), 0);
	missed = STAGE_BIT(STAGE_LANDLOCK_FS);
	assert_int_equal(attest_child(&pair.netproc, 1, &missed), -1);
	assert_non_null(strstr(lines, "LANDLOCK_FS"));
	/* And of who is not root. */
	missed = STAGE_BIT(STAGE_GROUPS);
	assert_int_equal(attest_child(&pair.netproc, 1, &missed),
	    geteuid() == 0 ? -1 : 0);
	missed = STAGE_BIT(STAGE_LANDLOCK_FS);
	assert_int_equal(attest_child(&pair.netproc, 0, &missed), 0);
	end(&pair);
}

static void
relayproc_stands_in_our_network(void **state)
{
	struct pair pair;
	uint32_t missed;

	(void)state;
	start(&pair, 1, 0);
	jail_child_run(&pair.relayproc, 0, &pair.report);
	missed = pair.report.missed;
	assert_int_equal(attest_child(&pair.relayproc, 1, &missed), 0);
	end(&pair);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_jailed_child_stands),
		cmocka_unit_test(a_child_without_its_filter_is_refused),
		cmocka_unit_test(a_child_with_one_more_descriptor_is_refused),
		cmocka_unit_test(
		    a_child_with_another_thing_in_a_descriptors_place_is_refused),
		cmocka_unit_test(
		    a_descriptor_too_many_is_seen_without_a_user_namespace_too),
		cmocka_unit_test(each_part_of_a_fence_is_looked_at),
		cmocka_unit_test(
		    a_child_that_did_not_isolate_itself_is_refused),
		cmocka_unit_test(
		    a_child_that_was_lent_more_than_it_holds_is_refused),
		cmocka_unit_test(
		    a_process_that_is_no_jail_at_all_is_refused_fence_by_fence),
		cmocka_unit_test(no_fence_is_seen_of_a_child_that_is_no_more),
		cmocka_unit_test(
		    a_child_that_was_killed_has_ended_and_lacks_no_fence),
		cmocka_unit_test(
		    a_descriptor_that_went_while_it_was_looked_at_is_not_named),
		cmocka_unit_test(
		    strict_admits_no_miss_but_those_of_an_old_kernel),
		cmocka_unit_test(relayproc_stands_in_our_network),
	};

	jail_child_main(argc, argv);
	log_init("test", LOG_LEVEL_ERROR);
	log_set_sink(sink_keep, NULL);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
