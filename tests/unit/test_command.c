#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/command.h"

static struct command command;
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
	sigset_t none;
	int pair[2], result;
	size_t i;

	sigemptyset(&none);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	result = command_start(&command, argv, pair[1], &none, &error);
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
	sigset_t none;
	int pair[2], result;

	sigemptyset(&none);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	result = command_start(&command, argv, pair[1], &none, &error);
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
	sigset_t mask;
	int pair[2];

	(void)state;
	/* A blocked signal stays blocked through exec. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	assert_int_equal(command_start(&command, argv, pair[1], &mask, &error),
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_placeholder_becomes_the_number),
		cmocka_unit_test(the_status_of_the_command_is_ours),
		cmocka_unit_test(
		    the_frame_socket_is_where_the_placeholder_says),
		cmocka_unit_test(
		    the_command_has_stdio_and_the_frame_socket_and_no_more),
		cmocka_unit_test(
		    a_missing_command_is_127_and_one_that_is_no_program_126),
		cmocka_unit_test(
		    a_command_that_ignores_sigterm_is_killed_after_its_grace),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
