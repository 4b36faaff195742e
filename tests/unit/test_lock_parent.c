#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/capability.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/fd_wait.h"
#include "ipc/log.h"
#include "parent/spawn.h"
#include "sandbox/isolate.h"
#include "sandbox/stages.h"
#include "tests/unit/forked.h"
#include "tests/unit/jail_child.h"

#define TEST_UID 54322u

/* Linux 6.3 */
#ifndef PR_GET_MDWE
#define PR_GET_MDWE		 66
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

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

struct parent_world {
	char dir[64], other[64];
	char socket[96], outside[96];
};

static void
touch(const char *path)
{
	int fd;

	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void
world_make(struct parent_world *world)
{
	strlcpy(world->dir, "/tmp/test_isolate.XXXXXX", sizeof(world->dir));
	strlcpy(world->other, "/tmp/test_isolate.XXXXXX", sizeof(world->other));
	assert_non_null(mkdtemp(world->dir));
	assert_non_null(mkdtemp(world->other));
	snprintf(world->socket, sizeof(world->socket), "%s/s", world->dir);
	snprintf(world->outside, sizeof(world->outside), "%s/s", world->other);
	touch(world->socket);
	touch(world->outside);
}

static void
world_end(const struct parent_world *world)
{
	unlink(world->socket);
	unlink(world->outside);
	rmdir(world->dir);
	rmdir(world->other);
}

static uint32_t
caps_effective(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	/* read before the filter, which does not know capget(2) */
	if (syscall(SYS_capget, &header, data) == -1)
		return (UINT32_MAX);
	return (data[0].effective);
}

/* With a jailed child to kill, as the parent has it. */
static int
lock_and_work(const void *arg)
{
	const struct parent_world *world = arg;
	const char *dirs[] = { world->dir, NULL };
	const struct landlock_files files = { .unlink_dirs = dirs };
	struct child child[2];
	uint32_t missed = 0;
	int status = 0;

	if (start(1, child) == -1)
		return (2);
	if (sandbox_lock_parent(1, &files, &missed) == -1)
		return (3);
	if (unlinkat(AT_FDCWD, world->outside, 0) != -1 || errno != EACCES)
		return (4);
	if (unlinkat(AT_FDCWD, world->socket, 0) == -1)
		return (5);
	if (syscall(SYS_pidfd_send_signal, child[0].pidfd, SIGKILL, NULL, 0) ==
	    -1)
		return (6);
	spawn_end(&child[0], &status);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		return (7);
	spawn_end(&child[1], NULL);
	return (0);
}

static int
lock_and_open(const void *arg)
{
	uint32_t missed = 0;

	(void)arg;
	if (sandbox_lock_parent(1, NULL, &missed) == -1)
		return (3);
	return (open("/etc/passwd", O_RDONLY) == -1);
}

static int
open_to_read(const char *path)
{
	return (openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

/* One file, and a directory in which files are replaced. */
static int
lock_and_read(const void *arg)
{
	const struct parent_world *world = arg;
	const char *paths[] = { world->socket, world->other, "/nonexistent",
		NULL };
	const struct landlock_files files = { .read_paths = paths };
	char beside[112];
	uint32_t missed = 0;

	snprintf(beside, sizeof(beside), "%s2", world->socket);
	touch(beside);
	unlink(world->outside);
	touch(world->outside);
	if (sandbox_lock_parent(1, &files, &missed) == -1)
		return (3);
	if (open_to_read(world->socket) == -1)
		return (4);
	if (open_to_read(world->outside) == -1)
		return (5);
	if (open_to_read(beside) != -1 || errno != EACCES)
		return (6);
	if (open_to_read("/etc/passwd") != -1 || errno != EACCES)
		return (7);
	return (0);
}

static int
lock_and_open_to_write(const void *arg)
{
	const struct parent_world *world = arg;
	const char *paths[] = { world->socket, NULL };
	const struct landlock_files files = { .read_paths = paths };
	uint32_t missed = 0;

	if (sandbox_lock_parent(1, &files, &missed) == -1)
		return (3);
	return (openat(AT_FDCWD, world->socket,
		    O_WRONLY | O_NONBLOCK | O_CLOEXEC) == -1);
}

static void
the_locked_parent_reads_the_paths_it_kept_and_no_other(void **state)
{
	struct parent_world world;
	char beside[112];
	int status;

	(void)state;
	world_make(&world);
	status = forked(lock_and_read, &world);
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
	snprintf(beside, sizeof(beside), "%s2", world.socket);
	unlink(beside);
	world_end(&world);
}

static void
the_locked_parent_that_opens_a_file_to_write_is_killed(void **state)
{
	struct parent_world world;
	int status;

	(void)state;
#ifdef SALLYPORT_SANITIZERS
	print_message("# SKIP: a sanitizer build may open files\n");
	skip();
#endif
	world_make(&world);
	status = forked(lock_and_open_to_write, &world);
	world_end(&world);
	assert_true(FORKED_SIGSYS(status));
}

static void
the_locked_parent_can_unlink_its_socket_and_kill_its_children(void **state)
{
	struct parent_world world;
	int status;

	(void)state;
	world_make(&world);
	status = forked(lock_and_work, &world);
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
	world_end(&world);
}

static void
the_locked_parent_unlinks_in_another_users_directory(void **state)
{
	struct parent_world world;
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	world_make(&world);
	assert_int_equal(chown(world.dir, TEST_UID, TEST_UID), 0);
	status = forked(lock_and_work, &world);
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
	world_end(&world);
}

static int
work_as_plain_user(const void *arg)
{
	const struct parent_world *world = arg;

	assert_int_equal(setgroups(0, NULL), 0);
	assert_int_equal(setresgid(TEST_UID, TEST_UID, TEST_UID), 0);
	assert_int_equal(setresuid(TEST_UID, TEST_UID, TEST_UID), 0);
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
	assert_int_equal(caps_effective(), 0);
	return (lock_and_work(world));
}

static void
the_parent_of_an_unprivileged_start_locks_itself(void **state)
{
	struct parent_world world;
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("# SKIP: the other tests are unprivileged\n");
		skip();
	}
	world_make(&world);
	assert_int_equal(chown(world.dir, TEST_UID, TEST_UID), 0);
	assert_int_equal(chown(world.other, TEST_UID, TEST_UID), 0);
	status = forked(work_as_plain_user, &world);
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
	world_end(&world);
}

struct pipes {
	int to[2], from[2];
};

static int
lock_and_wait(const void *arg)
{
	const struct pipes *pipes = arg;
	struct iovec iov = { (void *)(uintptr_t) "", 1 };
	/* root may unlink in it as the plain user 0 */
	const char *dirs[] = { "/tmp", NULL };
	const struct landlock_files files = { .unlink_dirs = dirs };
	uint32_t missed = 0;
	char byte;

	if (sandbox_lock_parent(1, &files, &missed) == -1)
		return (3);
	if (writev(pipes->from[1], &iov, 1) != 1)
		return (4);
	return (read(pipes->to[0], &byte, 1) == 1 ? 0 : 5);
}

static void
status_has(pid_t pid, const char *line)
{
	char path[64], text[4096];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_non_null(file = fopen(path, "r"));
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	if (strstr(text, line) == NULL)
		fail_msg("no %s in %s", line, text);
}

static void
the_locked_parent_has_no_rights_left(void **state)
{
	struct pipes pipes;
	int status;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipes.to), 0);
	assert_int_equal(pipe(pipes.from), 0);
	assert_true((pid = fork()) != -1);
	if (pid == 0)
		_exit(lock_and_wait(&pipes));
	assert_int_equal(read(pipes.from[0], &byte, 1), 1);
	status_has(pid, "NoNewPrivs:\t1\n");
	status_has(pid, "Seccomp:\t2\n");
	status_has(pid, "CapInh:\t0000000000000000\n");
	status_has(pid, "CapPrm:\t0000000000000000\n");
	status_has(pid, "CapEff:\t0000000000000000\n");
	status_has(pid, "CapAmb:\t0000000000000000\n");
	if (geteuid() == 0)
		status_has(pid, "CapBnd:\t0000000000000000\n");
	assert_int_equal(write(pipes.to[1], "", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(FORKED_EXITED(status, 0));
	close(pipes.to[0]);
	close(pipes.to[1]);
	close(pipes.from[0]);
	close(pipes.from[1]);
}

static int
lock_and_wait_in_vain(const void *arg)
{
	const struct pipes *pipes = arg;
	uint32_t missed = 0;

	if (sandbox_lock_parent(1, NULL, &missed) == -1)
		return (3);
	return (fd_wait(pipes->to[0], POLLIN, 400) == 0 ? 0 : 4);
}

/* As ^Z and fg do, a frozen cgroup, a machine that is suspended. */
static void
the_locked_parent_may_be_stopped_while_it_waits(void **state)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	struct pipes pipes;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipes.to), 0);
	assert_true((pid = fork()) != -1);
	if (pid == 0)
		_exit(lock_and_wait_in_vain(&pipes));
	/* wherever it is, and often enough to meet it in its wait */
	do {
		assert_int_equal(kill(pid, SIGSTOP), 0);
		nanosleep(&ms, NULL);
		assert_int_equal(kill(pid, SIGCONT), 0);
		nanosleep(&ms, NULL);
	} while (waitpid(pid, &status, WNOHANG) == 0);
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
	close(pipes.to[0]);
	close(pipes.to[1]);
}

/* The filter is refused, so that what stands behind it can be asked. */
static int
refuse_filters(void)
{
	scmp_filter_ctx ctx;
	int rc;

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_non_null(ctx = seccomp_init(SCMP_ACT_ALLOW));
	rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return (rc);
}

static int
lock_parent_without_filter(const void *arg)
{
	uint32_t missed = 0;

	(void)arg;
	if (refuse_filters() != 0 ||
	    sandbox_lock_parent(0, NULL, &missed) == -1 ||
	    !(missed & STAGE_BIT(STAGE_SECCOMP)))
		return (3);
	if (!(missed & STAGE_BIT(STAGE_MDWE)) &&
	    prctl(PR_GET_MDWE, 0, 0, 0, 0) != PR_MDWE_REFUSE_EXEC_GAIN)
		return (4);
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return (5);
	if (open("/etc/passwd", O_RDONLY) != -1 || errno != EACCES)
		return (6);
	return (0);
}

static int
lock_child_without_filter(const void *arg)
{
	uint32_t missed = 0;

	(void)arg;
	if (refuse_filters() != 0 ||
	    sandbox_lock(ROLE_NETPROC, 0, 0, &missed) == -1 ||
	    missed != STAGE_BIT(STAGE_SECCOMP))
		return (3);
	return (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0);
}

/* Then an exec might gain what the bounding set leaves. */
static int
lock_plain_user_with_new_privileges(const void *arg)
{
	scmp_filter_ctx ctx;
	uint32_t missed = 0;

	(void)arg;
	assert_non_null(ctx = seccomp_init(SCMP_ACT_ALLOW));
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	assert_int_equal(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM),
			     SCMP_SYS(prctl), 1,
			     SCMP_A0(SCMP_CMP_EQ, PR_SET_NO_NEW_PRIVS, 0)),
	    0);
	assert_int_equal(seccomp_load(ctx), 0);
	seccomp_release(ctx);
	assert_int_equal(setresuid(TEST_UID, TEST_UID, TEST_UID), 0);
	if (sandbox_lock_parent(0, NULL, &missed) == -1)
		return (3);
	return (missed & STAGE_BIT(STAGE_BOUNDING) ? 0 : 4);
}

static void
a_bounding_set_that_may_matter_and_stays_is_told(void **state)
{
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	status = forked(lock_plain_user_with_new_privileges, NULL);
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
}

static void
without_the_filter_the_other_fences_stand(void **state)
{
	int status;

	(void)state;
	status = forked(lock_parent_without_filter, NULL);
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
	status = forked(lock_child_without_filter, NULL);
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
}

static void
the_locked_parent_that_opens_a_file_is_killed(void **state)
{
	(void)state;
#ifdef SALLYPORT_SANITIZERS
	print_message("# SKIP: a sanitizer build may open files\n");
	skip();
#endif
	assert_true(FORKED_SIGSYS(forked(lock_and_open, NULL)));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_locked_parent_can_unlink_its_socket_and_kill_its_children),
		cmocka_unit_test(
		    the_locked_parent_unlinks_in_another_users_directory),
		cmocka_unit_test(
		    the_parent_of_an_unprivileged_start_locks_itself),
		cmocka_unit_test(the_locked_parent_has_no_rights_left),
		cmocka_unit_test(
		    the_locked_parent_may_be_stopped_while_it_waits),
		cmocka_unit_test(without_the_filter_the_other_fences_stand),
		cmocka_unit_test(
		    a_bounding_set_that_may_matter_and_stays_is_told),
		cmocka_unit_test(the_locked_parent_that_opens_a_file_is_killed),
		cmocka_unit_test(
		    the_locked_parent_reads_the_paths_it_kept_and_no_other),
		cmocka_unit_test(
		    the_locked_parent_that_opens_a_file_to_write_is_killed),
	};

	jail_child_main(argc, argv);
	log_init("test", LOG_LEVEL_ERROR);
	log_set_sink(sink_keep, NULL);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
