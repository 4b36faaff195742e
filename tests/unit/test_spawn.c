#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
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

#include "ipc/clock.h"
#include "ipc/log.h"
#include "parent/attest.h"
#include "parent/spawn.h"
#include "sandbox/stages.h"
#include "tests/unit/forked.h"
#include "tests/unit/jail_child.h"

#define TEST_UID 54321u

static char last_error[1024];

static void
sink_keep(enum log_level level, const char *text, void *arg)
{
	(void)arg;
	if (level == LOG_LEVEL_ERROR)
		strlcpy(last_error, text, sizeof(last_error));
}

static struct spawn_config
config_make(int strict)
{
	struct spawn_config config = { .strict = strict };

	config.exe_fd = spawn_open_exe();
	assert_true(config.exe_fd >= 0);
	return (config);
}

static int
count_fds(void)
{
	DIR *dir;
	int n = 0;

	assert_non_null(dir = opendir("/proc/self/fd"));
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n);
}

static void
children_jail_themselves(const struct spawn_config *config)
{
	struct child child[2];
	struct jail_report report;
	uint64_t start_ns;
	int i;

	start_ns = clock_now_ns();
	if (spawn_children(config, &child[0], &child[1]) == -1)
		fail_msg("%s", last_error);
	for (i = 0; i < 2; i++) {
		jail_child_run(&child[i], 0, &report);
		assert_int_equal(report.result, 0);
		assert_int_equal(report.argc, 3);
		assert_int_equal(report.nenv, 0);
		assert_int_equal(report.pid, 1);
		assert_int_equal(report.ppid, 0);
		if (attest_child(&child[i], 1, &report.missed) == -1)
			fail_msg("%s", last_error);
	}
	print_message("# spawned, locked and attested in %u us\n",
	    (unsigned int)((clock_now_ns() - start_ns) / 1000));
	spawn_end(&child[0], NULL);
	spawn_end(&child[1], NULL);
	close(config->exe_fd);
}

static int
start_as_we_are(const void *arg)
{
	struct spawn_config config = config_make(1);

	(void)arg;
	children_jail_themselves(&config);
	return (0);
}

static void
become_plain_user(void)
{
	assert_int_equal(setgroups(0, NULL), 0);
	assert_int_equal(setresgid(TEST_UID, TEST_UID, TEST_UID), 0);
	assert_int_equal(setresuid(TEST_UID, TEST_UID, TEST_UID), 0);
	/* as after an exec */
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
}

static void
a_start_by_root_jails_both_children(void **state)
{
	struct spawn_config config;
	struct child child[2];

	(void)state;
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	config = config_make(1);
	children_jail_themselves(&config);
	config = config_make(1);
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), 0);
	assert_int_equal(child[0].uid, 0x70000000 + 2 * getpid());
	assert_int_equal(child[1].uid, child[0].uid + 1);
	assert_int_equal(child[0].missed & STAGE_BIT(STAGE_UID), 0);
	spawn_end(&child[0], NULL);
	spawn_end(&child[1], NULL);
	close(config.exe_fd);
}

static int
start_as_plain_user(const void *arg)
{
	struct spawn_config config;
	struct child child[2];
	uint32_t want;

	(void)arg;
	become_plain_user();
	config = config_make(1);
	children_jail_themselves(&config);
	config = config_make(1);
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), 0);
	want = STAGE_BIT(STAGE_UID) |
	    (child[0].missed & STAGE_BIT(STAGE_PASSRIGHTS));
	assert_int_equal(child[0].missed, want);
	assert_int_equal(child[0].uid, TEST_UID);
	spawn_end(&child[0], NULL);
	spawn_end(&child[1], NULL);
	return (0);
}

static void
an_unprivileged_start_jails_both_children(void **state)
{
	int status;

	(void)state;
	status = geteuid() == 0 ? forked(start_as_plain_user, NULL) :
				  forked(start_as_we_are, NULL);
	assert_true(FORKED_EXITED(status, 0));
}

static void
a_user_given_is_the_user_of_both_children(void **state)
{
	struct spawn_config config;

	(void)state;
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	config = config_make(1);
	config.has_user = 1;
	config.uid = config.gid = TEST_UID;
	children_jail_themselves(&config);
}

static void
a_childs_end_shows_in_its_pidfd_and_its_status(void **state)
{
	struct spawn_config config = config_make(1);
	struct jail_report report;
	struct child child[2];
	struct pollfd pfd = { .events = POLLIN };
	int status = 0;

	(void)state;
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), 0);
	pfd.fd = child[0].pidfd;
	assert_int_equal(poll(&pfd, 1, 0), 0);
	/* PID 1 of its namespace ignores SIGABRT; abort() must end it yet */
	jail_child_run(&child[0], JAIL_ABORT, &report);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	spawn_end(&child[0], &status);
#ifndef SALLYPORT_SANITIZERS
	assert_true(FORKED_SIGSYS(status));
#endif
	spawn_end(&child[1], &status);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(child[1].pid, -1);
	spawn_end(&child[1], NULL);
	close(config.exe_fd);
}

struct orphans {
	pid_t pid[2];
};

/* The parent whose death is tested. */
_Noreturn static void
parent_to_be_killed(int out)
{
	struct spawn_config config = config_make(1);
	struct jail_report report;
	struct orphans orphans;
	struct child child[2];
	int i;

	assert_int_equal(spawn_children(&config, &child[0], &child[1]), 0);
	for (i = 0; i < 2; i++) {
		jail_child_run(&child[i], 0, &report);
		orphans.pid[i] = child[i].pid;
	}
	assert_int_equal(write(out, &orphans, sizeof(orphans)),
	    sizeof(orphans));
	for (;;)
		pause();
}

static void
the_children_end_with_a_killed_parent(void **state)
{
	struct pollfd pfd[2];
	struct orphans orphans;
	uint64_t start_ms;
	int fds[2], i;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_true((pid = fork()) != -1);
	if (pid == 0)
		parent_to_be_killed(fds[1]);
	close(fds[1]);
	assert_int_equal(read(fds[0], &orphans, sizeof(orphans)),
	    sizeof(orphans));
	for (i = 0; i < 2; i++) {
		pfd[i].fd = (int)syscall(SYS_pidfd_open, orphans.pid[i], 0);
		pfd[i].events = POLLIN;
		assert_true(pfd[i].fd >= 0);
	}
	start_ms = clock_now_ms();
	assert_int_equal(kill(pid, SIGKILL), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(poll(&pfd[i], 1, 1000), 1);
	print_message("# gone %u ms after the parent\n",
	    (unsigned int)(clock_now_ms() - start_ms));
	for (i = 0; i < 2; i++)
		close(pfd[i].fd);
	waitpid(pid, NULL, 0);
	close(fds[0]);
}

static void
a_failed_start_leaves_nothing_behind(void **state)
{
	struct spawn_config config = { .strict = 1 };
	struct child child[2];
	int before;

	(void)state;
	config.exe_fd = open("/etc/passwd", O_PATH | O_CLOEXEC);
	before = count_fds();
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), -1);
	assert_non_null(strstr(last_error, "execute this program again"));
	assert_non_null(strstr(last_error, "mend: "));
	assert_int_equal(count_fds(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	close(config.exe_fd);
}

/*
 * A program whose exec waits for as long as the lease on it is held.  -1
 * with errno where there are no leases.
 */
static int
leased_exe(int *lease)
{
	char path[64];
	int fd;

	/* The breach of it is told so. */
	assert_true(signal(SIGIO, SIG_IGN) != SIG_ERR);
	*lease = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0755);
	if (*lease == -1 || fcntl(*lease, F_SETLEASE, F_WRLCK) == -1)
		return (-1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *lease);
	fd = open(path, O_PATH | O_CLOEXEC);
	assert_true(fd >= 0);
	return (fd);
}

static void
a_child_that_does_not_come_to_its_exec_is_given_up(void **state)
{
	struct spawn_config config = { .strict = 1 };
	struct child child[2];
	int lease;

	(void)state;
	config.exe_fd = leased_exe(&lease);
	if (config.exe_fd == -1) {
		print_message("# SKIP: no lease: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), -1);
	assert_non_null(strstr(last_error, "in 2 s it did not execute"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	close(config.exe_fd);
	close(lease);
}

static int
start_for_nobody(const void *arg)
{
	const struct spawn_config *config = arg;
	const uint64_t start_ms = clock_now_ms();
	struct child child[2];

	last_error[0] = '\0';
	if (spawn_children(config, &child[0], &child[1]) != -1)
		return (2);
	return (last_error[0] != '\0' || clock_now_ms() - start_ms >= 2000);
}

static void
a_child_is_not_waited_for_where_the_parent_has_hung_up(void **state)
{
	struct spawn_config config = { .strict = 1 };
	int fds[2], lease, status;

	(void)state;
	config.exe_fd = leased_exe(&lease);
	if (config.exe_fd == -1) {
		print_message("# SKIP: no lease: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			     fds),
	    0);
	close(fds[1]);
	config.parent_fd = fds[0];
	status = forked(start_for_nobody, &config);
	close(fds[0]);
	close(config.exe_fd);
	close(lease);
	assert_true(FORKED_EXITED(status, 0));
	/* The child was ours. */
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
write_file(const char *path, const char *text)
{
	int fd;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd == -1 || write(fd, text, strlen(text)) == -1)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

/* A user namespace with every uid, in which sysctl is written. */
static void
enter_world_with(const char *sysctl, const char *value)
{
	char path[64];
	int fds[2];
	char byte;
	pid_t pid, self = getpid();

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_true((pid = fork()) != -1);
	if (pid == 0) {
		close(fds[1]);
		(void)!read(fds[0], &byte, 1);
		snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)self);
		write_file(path, "0 0 4294967295");
		snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)self);
		write_file(path, "0 0 4294967295");
		_exit(0);
	}
	assert_int_equal(unshare(CLONE_NEWUSER), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(setresuid(0, 0, 0), 0);
	write_file(sysctl, value);
}

static int
refuse_cgroup_namespace(const void *arg)
{
	struct spawn_config config = config_make(1);
	struct child child[2];
	int i;

	(void)arg;
	enter_world_with("/proc/sys/user/max_cgroup_namespaces", "0");
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), -1);
	assert_non_null(strstr(last_error, "CGROUPNS"));
	assert_non_null(strstr(last_error, "user.max_cgroup_namespaces"));
	config.strict = 0;
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), 0);
	for (i = 0; i < 2; i++) {
		assert_true(child[i].missed & STAGE_BIT(STAGE_CGROUPNS));
		assert_false(child[i].missed & STAGE_BIT(STAGE_PIDNS));
		spawn_end(&child[i], NULL);
	}
	return (0);
}

static int
refuse_user_namespace(const void *arg)
{
	struct spawn_config config = config_make(1);
	struct child child[2];

	(void)arg;
	enter_world_with("/proc/sys/user/max_user_namespaces", "0");
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), -1);
	assert_non_null(strstr(last_error, "USERNS"));
	assert_non_null(strstr(last_error, "user.max_user_namespaces"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	config.strict = 0;
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), 0);
	assert_true(child[0].missed & STAGE_BIT(STAGE_USERNS));
	spawn_end(&child[0], NULL);
	spawn_end(&child[1], NULL);
	return (0);
}

/*
 * As a container's filter without CAP_SYS_ADMIN: it cannot see the flags of
 * clone3(2), and says that there is none.
 */
static void
enter_container(void)
{
	const uint64_t all = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET |
	    CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	uint64_t bit;
	int bad;

	bad = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
	    0);
	for (bit = 1; bit <= all; bit <<= 1)
		if ((all & bit) != 0)
			bad |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM),
			    SCMP_SYS(clone), 1,
			    SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit));
	assert_int_equal(bad | seccomp_load(ctx), 0);
	seccomp_release(ctx);
}

static int
refuse_all_as_a_container_does(const void *arg)
{
	struct spawn_config config = config_make(1);
	struct child child[2];

	(void)arg;
	enter_container();
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), -1);
	assert_non_null(strstr(last_error, "USERNS"));
	assert_non_null(strstr(last_error, "seccomp"));
	config.strict = 0;
	if (spawn_children(&config, &child[0], &child[1]) == -1)
		fail_msg("%s", last_error);
	assert_true(child[0].missed & STAGE_BIT(STAGE_USERNS));
	assert_true(child[0].missed & STAGE_BIT(STAGE_NETNS));
	spawn_end(&child[0], NULL);
	spawn_end(&child[1], NULL);
	return (0);
}

static void
a_refused_namespace_stops_strict_and_is_recorded_in_best_effort(void **state)
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
	assert_true(FORKED_EXITED(forked(refuse_cgroup_namespace, NULL), 0));
	assert_true(FORKED_EXITED(forked(refuse_user_namespace, NULL), 0));
	assert_true(FORKED_EXITED(forked(refuse_all_as_a_container_does, NULL),
	    0));
}

static int
be_out_of_processes(const void *arg)
{
	const struct rlimit one = { .rlim_cur = 1, .rlim_max = 1 };
	struct spawn_config config = config_make(1);
	struct child child[2];

	(void)arg;
	become_plain_user();
	assert_int_equal(setrlimit(RLIMIT_NPROC, &one), 0);
	for (; config.strict >= 0; config.strict--) {
		assert_int_equal(spawn_children(&config, &child[0], &child[1]),
		    -1);
		assert_non_null(strstr(last_error, "allow more processes"));
		assert_int_equal(child[0].missed & STAGE_BIT(STAGE_USERNS), 0);
	}
	return (0);
}

static void
too_few_processes_are_no_namespaces_fault(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	assert_true(FORKED_EXITED(forked(be_out_of_processes, NULL), 0));
}

static void
the_channels_pass_no_descriptor_to_us(void **state)
{
	struct spawn_config config = config_make(1);
	struct jail_report report;
	struct child child[2];
	int i;

	(void)state;
	assert_int_equal(spawn_children(&config, &child[0], &child[1]), 0);
	if (child[0].missed & STAGE_BIT(STAGE_PASSRIGHTS))
		print_message("# SKIP: no SO_PASSRIGHTS in this kernel\n");
	for (i = 0; i < 2; i++) {
		jail_child_run(&child[i], 0, &report);
		if (!(child[i].missed & STAGE_BIT(STAGE_PASSRIGHTS)))
			assert_int_equal(report.send_fd, EPERM);
		spawn_end(&child[i], NULL);
	}
	close(config.exe_fd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_by_root_jails_both_children),
		cmocka_unit_test(an_unprivileged_start_jails_both_children),
		cmocka_unit_test(a_user_given_is_the_user_of_both_children),
		cmocka_unit_test(
		    a_childs_end_shows_in_its_pidfd_and_its_status),
		cmocka_unit_test(the_children_end_with_a_killed_parent),
		cmocka_unit_test(a_failed_start_leaves_nothing_behind),
		cmocka_unit_test(
		    a_child_that_does_not_come_to_its_exec_is_given_up),
		cmocka_unit_test(
		    a_child_is_not_waited_for_where_the_parent_has_hung_up),
		cmocka_unit_test(
		    a_refused_namespace_stops_strict_and_is_recorded_in_best_effort),
		cmocka_unit_test(too_few_processes_are_no_namespaces_fault),
		cmocka_unit_test(the_channels_pass_no_descriptor_to_us),
	};

	jail_child_main(argc, argv);
	log_init("test", LOG_LEVEL_ERROR);
	log_set_sink(sink_keep, NULL);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
