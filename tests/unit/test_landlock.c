#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <linux/landlock.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
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
#include "sandbox/landlock.h"
#include "sandbox/stages.h"
#include "tests/unit/forked.h"

/*
 * Landlock alone, with no filter, no namespace and no empty root before it:
 * what it must keep a process from if those fail.
 */

/* What a forked process exits with beside an errno value. */
#define NOT_DENIED 201
#define NO_SUCH	   202

static char dir[64];
static struct sockaddr_in tcp_addr;
static struct sockaddr_un abstract_addr;
static socklen_t abstract_len;

/* One attempt each: 0, or -1 with errno. */

static int
do_execute(void)
{
	char name[] = "true";
	char *argv[] = { name, NULL };

	return (execv("/bin/true", argv));
}

static int
do_write(void)
{
	return (open("file", O_WRONLY | O_CLOEXEC) == -1 ? -1 : 0);
}

static int
do_read(void)
{
	return (open("file", O_RDONLY | O_CLOEXEC) == -1 ? -1 : 0);
}

static int
do_list(void)
{
	return (open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) == -1 ? -1 : 0);
}

static int
do_remove_dir(void)
{
	return (rmdir("dir"));
}

static int
do_remove_file(void)
{
	return (unlink("file"));
}

static int
do_make_char(void)
{
	return (mknod("new", S_IFCHR | 0600, makedev(1, 3)));
}

static int
do_make_dir(void)
{
	return (mkdir("new", 0700));
}

static int
do_make_file(void)
{
	return (mknod("new", S_IFREG | 0600, 0));
}

static int
do_make_socket(void)
{
	return (mknod("new", S_IFSOCK | 0600, 0));
}

static int
do_make_fifo(void)
{
	return (mkfifo("new", 0600));
}

static int
do_make_block(void)
{
	return (mknod("new", S_IFBLK | 0600, makedev(7, 200)));
}

static int
do_make_link(void)
{
	return (symlink("file", "new"));
}

static int
do_truncate(void)
{
	return (truncate("file", 0));
}

static int
do_bind(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return (bind(sock, (struct sockaddr *)&any, sizeof(any)));
}

static int
do_connect(void)
{
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return (connect(sock, (struct sockaddr *)&tcp_addr, sizeof(tcp_addr)));
}

static int
do_abstract(void)
{
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return (connect(sock, (struct sockaddr *)&abstract_addr, abstract_len));
}

static int
do_signal(void)
{
	return (kill(getppid(), 0));
}

#define ALL	 (ROLE_BIT(ROLE_NROLES) - 1)
#define BUT(one) (ALL & ~ROLE_BIT(one))

/* clang-format off */
static const struct attempt {
	const char *what;
	int (*make)(void);
	enum isolation_stage stage; /* without which it works */
	unsigned int roles;	    /* that it is denied to */
	int error;
} attempts[] = {
	{ "execute a file", do_execute, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "write a file", do_write, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "read a file", do_read, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "list a directory", do_list, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "remove a directory", do_remove_dir, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "remove a file", do_remove_file, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "make a device", do_make_char, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "make a directory", do_make_dir, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "make a file", do_make_file, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "make a socket", do_make_socket, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "make a fifo", do_make_fifo, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "make a block device", do_make_block, STAGE_LANDLOCK_FS, ALL, EACCES },
	{ "make a link", do_make_link, STAGE_LANDLOCK_FS, ALL, EACCES },
	/* Linux 6.2, older than what the other stages need */
	{ "truncate a file", do_truncate, STAGE_LANDLOCK_NET, ALL, EACCES },
	{ "bind TCP", do_bind, STAGE_LANDLOCK_NET, ALL, EACCES },
	{ "connect TCP", do_connect, STAGE_LANDLOCK_NET, BUT(ROLE_RELAYPROC),
	    EACCES },
	{ "reach an abstract socket", do_abstract, STAGE_LANDLOCK_SCOPE, ALL,
	    EPERM },
	{ "signal another process", do_signal, STAGE_LANDLOCK_SCOPE,
	    BUT(ROLE_PARENT), EPERM },
};
/* clang-format on */
#define NATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

struct trial {
	const struct attempt *attempt;
	enum role role; /* ROLE_NROLES: not denied anything */
};

static void
sink_nowhere(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)text;
	(void)arg;
}

static void
work_dir_make(void)
{
	int fd;

	strlcpy(dir, "/tmp/test_landlock.XXXXXX", sizeof(dir));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	fd = open("file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "text", 4), 4);
	close(fd);
	assert_int_equal(mkdir("dir", 0700), 0);
}

static void
work_dir_end(void)
{
	unlink("file");
	if (unlink("new") == -1)
		rmdir("new");
	rmdir("dir");
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* Exits with the errno value of the attempt, or one of the above. */
static int
trial_make(const void *arg)
{
	const struct trial *trial = arg;
	uint32_t missed = 0;

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	if (trial->role != ROLE_NROLES &&
	    landlock_deny(trial->role, NULL, 0, &missed) == -1)
		return (NOT_DENIED);
	if (missed & STAGE_BIT(trial->attempt->stage))
		return (NO_SUCH);
	return (trial->attempt->make() == -1 ? errno : 0);
}

static int
outcome(const struct trial *trial)
{
	int status;

	work_dir_make();
	status = forked(trial_make, trial);
	work_dir_end();
	assert_true(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

static void
landlock_alone_denies_each_role_what_it_needs_not(void **state)
{
	struct trial trial;
	int wanted, got;
	size_t i;

	(void)state;
	for (i = 0; i < NATTEMPTS; i++) {
		trial.attempt = &attempts[i];
		trial.role = ROLE_NROLES;
		if ((got = outcome(&trial)) == EPERM) {
			/* a device, without CAP_MKNOD */
			print_message("# not tried: %s\n", attempts[i].what);
			continue;
		}
		assert_int_equal(got, 0);
		for (trial.role = 0; trial.role < ROLE_NROLES; trial.role++) {
			wanted = ROLE_BIT(trial.role) & attempts[i].roles ?
			    attempts[i].error :
			    0;
			got = outcome(&trial);
			if (got != wanted && got != NO_SUCH)
				fail_msg("%s, role %d: %d", attempts[i].what,
				    (int)trial.role, got);
		}
	}
}

/* 0 if it is refused so. */
static int
wants(int error, int result)
{
	return (result == -1 && errno == error ? 0 : -1);
}

static int
keep_and_try(const void *arg)
{
	const char *unlink_dirs[] = { dir, NULL };
	const char *read_paths[] = { "/dev/null", "file", "/nonexistent",
		NULL };
	const struct landlock_files files = { unlink_dirs, read_paths };
	const int next = dup(STDERR_FILENO);
	uint32_t missed = 0;
	int fd;

	(void)arg;
	close(next);
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	if (landlock_deny(ROLE_PARENT, &files, 1, &missed) == -1)
		return (1);
	if ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) != next ||
	    dup(fd) != next + 1)
		return (2);
	/* Linux 6.10; the scope is of 6.12 */
	if (!(missed & STAGE_BIT(STAGE_LANDLOCK_SCOPE)) &&
	    wants(EACCES, ioctl(fd, TCGETS, NULL)) == -1)
		return (3);
	if (do_read() == -1 || wants(EACCES, do_write()) == -1 ||
	    wants(EACCES, do_list()) == -1 ||
	    wants(EACCES, do_make_file()) == -1 ||
	    wants(EACCES, do_remove_dir()) == -1)
		return (4);
	return (do_remove_file() == 0 ? 0 : 5);
}

static void
a_file_that_is_kept_is_read_or_removed_and_nothing_else(void **state)
{
	int status;

	(void)state;
	work_dir_make();
	status = forked(keep_and_try, NULL);
	work_dir_end();
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
}

static int
keep_and_execute(const void *arg)
{
	/* with all that it takes to run it */
	const char *read_paths[] = { "/bin", "/lib", "/lib64", "/usr", "/etc",
		NULL };
	const struct landlock_files files = { .read_paths = read_paths };
	uint32_t missed = 0;

	(void)arg;
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	if (landlock_deny(ROLE_PARENT, &files, 1, &missed) == -1)
		return (NOT_DENIED);
	return (do_execute() == -1 ? errno : 0);
}

static void
a_file_that_is_kept_to_be_read_is_not_run(void **state)
{
	(void)state;
	assert_true(FORKED_EXITED(forked(keep_and_execute, NULL), EACCES));
}

static int
keep_what_cannot_be(const void *arg)
{
	const char *unlink_dirs[] = { "/nonexistent", NULL };
	const char *read_paths[] = { "/dev/null/file", NULL };
	const struct landlock_files no_dir = { .unlink_dirs = unlink_dirs };
	const struct landlock_files no_file = { .read_paths = read_paths };
	uint32_t missed = 0;

	(void)arg;
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	if (landlock_deny(ROLE_PARENT, &no_dir, 1, &missed) != -1)
		return (1);
	if (landlock_deny(ROLE_PARENT, &no_file, 1, &missed) != -1)
		return (2);
	/* nothing of it stands */
	return (do_read() == 0 && missed == 0 ? 0 : 3);
}

static void
what_cannot_be_kept_is_an_error(void **state)
{
	int status;

	(void)state;
#ifdef SALLYPORT_SANITIZERS
	print_message("# SKIP: a sanitizer build admits every miss\n");
	skip();
#endif
	work_dir_make();
	status = forked(keep_what_cannot_be, NULL);
	work_dir_end();
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
}

long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);

/* A kernel whose Landlock is of this version, and what it was asked for. */
static struct {
	int abi;	     /* 0: not faked; less: -errno */
	int refuses;	     /* which call of its fails with EINVAL; 0: none */
	uint64_t attr[3];    /* fs, net, scope */
	size_t size;	     /* of it, bytes; 0: no ruleset was made */
	int ruleset;	     /* its descriptor */
	int restricted;	     /* the process is */
	unsigned long flags; /* of any of the calls */
} fake;

static long
fake_ruleset(const void *attr, size_t size, unsigned long flags)
{
	if (flags == LANDLOCK_CREATE_RULESET_VERSION) {
		assert_null(attr);
		assert_int_equal(size, 0);
		errno = fake.abi < 0 ? -fake.abi : 0;
		return (fake.abi < 0 ? -1 : fake.abi);
	}
	fake.flags |= flags;
	assert_true(size <= sizeof(fake.attr));
	memcpy(fake.attr, attr, size);
	fake.size = size;
	fake.ruleset = dup(STDERR_FILENO);
	return (fake.ruleset);
}

long
__wrap_syscall(long number, ...)
{
	long arg[4];
	va_list ap;
	int i;

	va_start(ap, number);
	for (i = 0; i < 4; i++)
		arg[i] = va_arg(ap, long);
	va_end(ap);
	if (fake.abi == 0)
		return (__real_syscall(number, arg[0], arg[1], arg[2], arg[3]));
	if (number == fake.refuses &&
	    (number != SYS_landlock_create_ruleset || arg[0] != 0)) {
		errno = EINVAL;
		return (-1);
	}
	if (number == SYS_landlock_create_ruleset)
		return (fake_ruleset((const void *)arg[0], (size_t)arg[1],
		    (unsigned long)arg[2]));
	assert_true(number == SYS_landlock_restrict_self &&
	    arg[0] == fake.ruleset);
	fake.flags |= (unsigned long)arg[1];
	fake.restricted = 1;
	return (0);
}

static int
fake_deny(int abi, int refuses, enum role role, int strict, uint32_t *missed)
{
	int result;

	memset(&fake, 0, sizeof(fake));
	fake.abi = abi;
	fake.refuses = refuses;
	fake.ruleset = -1;
	*missed = 0;
	result = landlock_deny(role, NULL, strict, missed);
	fake.abi = 0;
	assert_int_equal(fake.flags, 0);
	/* what was made of it is closed */
	assert_int_equal(fcntl(fake.ruleset, F_GETFD), -1);
	return (result);
}

#define FS    STAGE_BIT(STAGE_LANDLOCK_FS)
#define NET   STAGE_BIT(STAGE_LANDLOCK_NET)
#define SCOPE STAGE_BIT(STAGE_LANDLOCK_SCOPE)

static void
each_version_is_asked_for_all_that_it_knows(void **state)
{
	/* landlock(7), "VERSIONS" */
	static const struct {
		int abi;
		size_t size;
		uint64_t fs, net, scope;
		uint32_t missed;
	} cases[] = {
		{ 1, 8, 0x1fff, 0, 0, NET | SCOPE },
		{ 2, 8, 0x3fff, 0, 0, NET | SCOPE },
		{ 3, 8, 0x7fff, 0, 0, NET | SCOPE },
		{ 4, 16, 0x7fff, 3, 0, SCOPE },
		{ 5, 16, 0xffff, 3, 0, SCOPE },
		{ 6, 24, 0xffff, 3, 3, 0 },
		{ 7, 24, 0xffff, 3, 3, 0 },
	};
	uint32_t missed;
	enum role role;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (role = 0; role < ROLE_NROLES; role++) {
			assert_int_equal(fake_deny(cases[i].abi, 0, role, 1,
					     &missed),
			    0);
			assert_int_equal(missed, cases[i].missed);
			assert_int_equal(fake.size, cases[i].size);
			assert_int_equal(fake.attr[0], cases[i].fs);
			assert_int_equal(fake.attr[1],
			    cases[i].net & (role == ROLE_RELAYPROC ? 1 : 3));
			assert_int_equal(fake.attr[2],
			    cases[i].scope & (role == ROLE_PARENT ? 1 : 3));
			assert_true(fake.restricted);
		}
}

static void
without_landlock_nothing_is_said_to_stand(void **state)
{
	static const struct {
		int abi, refuses;
	} cases[] = {
		{ -ENOSYS, 0 },
		{ -EOPNOTSUPP, 0 },
		{ 6, SYS_landlock_create_ruleset },
		{ 6, SYS_landlock_restrict_self },
	};
	uint32_t missed;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(fake_deny(cases[i].abi, cases[i].refuses,
				     ROLE_NETPROC, 0, &missed),
		    0);
		assert_int_equal(missed, FS | NET | SCOPE);
		assert_false(fake.restricted);
#ifndef SALLYPORT_SANITIZERS
		assert_int_equal(fake_deny(cases[i].abi, cases[i].refuses,
				     ROLE_NETPROC, 1, &missed),
		    -1);
		assert_int_equal(missed, 0);
#endif
	}
}

/* What listens for do_connect() and do_abstract(), until the end. */
static void
listeners_open(void)
{
	socklen_t len = sizeof(tcp_addr);
	int tcp, abstract;

	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	tcp_addr.sin_family = AF_INET;
	tcp_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	abstract_addr.sun_family = AF_UNIX;
	snprintf(abstract_addr.sun_path + 1, sizeof(abstract_addr.sun_path) - 1,
	    "test_landlock.%d", (int)getpid());
	abstract_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    strlen(abstract_addr.sun_path + 1));
	abstract = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(tcp, (struct sockaddr *)&tcp_addr, len) == -1 ||
	    getsockname(tcp, (struct sockaddr *)&tcp_addr, &len) == -1 ||
	    listen(tcp, 64) == -1 ||
	    bind(abstract, (struct sockaddr *)&abstract_addr, abstract_len) ==
		-1 ||
	    listen(abstract, 64) == -1)
		abort();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    landlock_alone_denies_each_role_what_it_needs_not),
		cmocka_unit_test(
		    a_file_that_is_kept_is_read_or_removed_and_nothing_else),
		cmocka_unit_test(a_file_that_is_kept_to_be_read_is_not_run),
		cmocka_unit_test(what_cannot_be_kept_is_an_error),
		cmocka_unit_test(each_version_is_asked_for_all_that_it_knows),
		cmocka_unit_test(without_landlock_nothing_is_said_to_stand),
	};

	log_init("test", LOG_LEVEL_ERROR);
	log_set_sink(sink_nowhere, NULL);
	listeners_open();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
