#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/command.h"

static struct command command;
static struct command_env env;
static struct config_error error;

static void
assert_substitutes(const char *arg, const char *want)
{
	char *out = command_substitute(arg, 37);

	assert_non_null(out);
	assert_string_equal(out, want);
	free(out);
}

static void
each_placeholder_becomes_the_number(void **state)
{
	(void)state;
	assert_substitutes("{fd}", "37");
	assert_substitutes("a{fd}b{fd}", "a37b37");
	assert_substitutes("{fd}{fd}{fd}", "373737");
	assert_substitutes("", "");
	assert_substitutes("{f}d}{fd", "{f}d}{fd");
	assert_substitutes("{{fd}}", "{37}");
}

/* Runs sh -c script to its end; returns the status. */
static int
run(const char *script, int *frame)
{
	char *argv[] = { strdup("sh"), strdup("-c"), strdup(script), NULL };
	struct pollfd pfd = { .events = POLLIN };
	int pair[2], result;
	size_t i;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	result = command_start(&command, argv, pair[1], &env, &error);
	close(pair[1]);
	for (i = 0; i < 3; i++)
		free(argv[i]);
	assert_int_equal(result, 0);
	pfd.fd = command.pidfd;
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_int_equal(command_reap(&command), 1);
	assert_int_equal(command.pid, -1);
	if (frame != NULL)
		*frame = pair[0];
	else
		close(pair[0]);
	return (command.status);
}

static void
the_status_of_the_command_is_ours(void **state)
{
	(void)state;
	assert_int_equal(run("exit 0", NULL), 0);
	assert_int_equal(run("exit 42", NULL), 42);
	assert_int_equal(run("kill -KILL $$", NULL), 128 + SIGKILL);
}

static void
the_frame_socket_is_where_the_placeholder_says(void **state)
{
	char text[8];
	int frame;

	(void)state;
	assert_int_equal(run("printf hello >&{fd}", &frame), 0);
	assert_int_equal(read(frame, text, sizeof(text)), 5);
	assert_memory_equal(text, "hello", 5);
	close(frame);
}

static void
the_command_has_stdio_and_the_frame_socket_and_no_more(void **state)
{
	int extra[2];

	(void)state;
	assert_int_equal(pipe(extra), 0);
	assert_int_equal(run("cd /proc/self/fd && for fd in *; do case $fd "
			     "in 0|1|2|3) ;; *) [ ! -S $fd -a ! -p $fd "
			     "] || exit 1;; esac; done; test -S 3",
			     NULL),
	    0);
	close(extra[0]);
	close(extra[1]);
}

static int
start_only(const char *name)
{
	char *argv[] = { strdup(name), NULL };
	int pair[2], result;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	result = command_start(&command, argv, pair[1], &env, &error);
	free(argv[0]);
	close(pair[0]);
	close(pair[1]);
	return (result);
}

static void
a_missing_command_is_127_and_one_that_is_no_program_126(void **state)
{
	(void)state;
	assert_int_equal(start_only("/nonexistent/vmm"), -1);
	assert_int_equal(error.status, COMMAND_NOT_FOUND);
	assert_non_null(strstr(error.text, "/nonexistent/vmm"));
	assert_int_equal(command.pid, -1);
	assert_int_equal(start_only("/etc/passwd"), -1);
	assert_int_equal(error.status, COMMAND_CANNOT_EXEC);
	assert_int_equal(command.pidfd, -1);
}

static void
a_command_that_ignores_sigterm_is_killed_after_its_grace(void **state)
{
	char *argv[] = { strdup("sleep"), strdup("1000"), NULL };
	int pair[2];

	(void)state;
	/* A blocked signal stays blocked through exec. */
	sigemptyset(&env.mask);
	sigaddset(&env.mask, SIGTERM);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	assert_int_equal(command_start(&command, argv, pair[1], &env, &error),
	    0);
	command_end(&command, 1);
	assert_int_equal(command.status, 128 + SIGKILL);
	assert_int_equal(command.pid, -1);
	command_end(&command, 1);
	free(argv[0]);
	free(argv[1]);
	close(pair[0]);
	close(pair[1]);
}

static int
setup(void **state)
{
	(void)state;
	sigemptyset(&env.mask);
	return (getrlimit(RLIMIT_NOFILE, &env.nofile));
}

static void
the_command_gets_back_the_limit_of_descriptors(void **state)
{
	(void)state;
	assert_true(env.nofile.rlim_cur >= 64);
	env.nofile.rlim_cur = 61;
	assert_int_equal(run("test $(ulimit -Sn) = 61", NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_placeholder_becomes_the_number),
		TEST(the_status_of_the_command_is_ours),
		TEST(the_frame_socket_is_where_the_placeholder_says),
		TEST(the_command_has_stdio_and_the_frame_socket_and_no_more),
		TEST(a_missing_command_is_127_and_one_that_is_no_program_126),
		TEST(a_command_that_ignores_sigterm_is_killed_after_its_grace),
		TEST(the_command_gets_back_the_limit_of_descriptors),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
