#include <sys/resource.h>

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"

static char captured[8192];

/* Runs log_line() with stderr going into captured. */
static void
capture(enum log_level level, const char *text)
{
	int fds[2], saved;
	ssize_t n;

	assert_return_code(pipe(fds), errno);
	saved = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	log_line(level, "netproc", text);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	n = read(fds[0], captured, sizeof(captured) - 1);
	assert_true(n >= 0);
	captured[n] = '\0';
	close(fds[0]);
}

static void
a_line_begins_with_the_time_and_the_process(void **state)
{
	regex_t re;

	(void)state;
	log_init("test", LOG_LEVEL_INFO);
	capture(LOG_LEVEL_INFO, "hello");
	assert_int_equal(regcomp(&re,
			     "^\\[20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]"
			     ":[0-5][0-9]:[0-5][0-9]Z\\]: netproc: hello\n$",
			     REG_EXTENDED | REG_NOSUB),
	    0);
	assert_int_equal(regexec(&re, captured, 0, NULL, 0), 0);
	regfree(&re);
	capture(LOG_LEVEL_WARN, "look");
	assert_non_null(strstr(captured, ": warning: look\n"));
}

static void
what_stderr_has_no_room_for_is_counted_and_told(void **state)
{
	static char bytes[65536];
	int fds[2], saved;
	ssize_t n;

	(void)state;
	log_init("test", LOG_LEVEL_INFO);
	assert_return_code(pipe2(fds, O_NONBLOCK), errno);
	while (write(fds[1], bytes, sizeof(bytes)) > 0)
		;
	saved = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	log_line(LOG_LEVEL_INFO, "test", "one");
	log_line(LOG_LEVEL_INFO, "test", "two");
	while (read(fds[0], bytes, sizeof(bytes)) > 0)
		;
	log_line(LOG_LEVEL_INFO, "test", "three");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	n = read(fds[0], captured, sizeof(captured) - 1);
	assert_true(n >= 0);
	captured[n] = '\0';
	close(fds[0]);
	assert_non_null(strstr(captured, ": warning: 2 lines lost"));
	assert_non_null(strstr(captured, ": three\n"));
	assert_null(strstr(captured, "one"));
}

/* A file's limit is met as a full disk is: in the midst of a line. */
static void
lines_that_a_full_disk_cuts_are_counted_and_end(void **state)
{
	struct rlimit old, full;
	FILE *file = tmpfile();
	char *last, *cut;
	int saved;
	size_t n;

	(void)state;
	log_init("test", LOG_LEVEL_INFO);
	assert_non_null(file);
	assert_return_code(getrlimit(RLIMIT_FSIZE, &old), errno);
	full = old;
	full.rlim_cur = 60;
	signal(SIGXFSZ, SIG_IGN);
	saved = dup(STDERR_FILENO);
	dup2(fileno(file), STDERR_FILENO);
	setrlimit(RLIMIT_FSIZE, &full);
	log_line(LOG_LEVEL_INFO, "test", "one");
	log_line(LOG_LEVEL_INFO, "test", "two");
	log_line(LOG_LEVEL_INFO, "test", "three");
	setrlimit(RLIMIT_FSIZE, &old);
	log_line(LOG_LEVEL_INFO, "test", "four");
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	n = fread(captured, 1, sizeof(captured) - 1, file);
	captured[n] = '\0';
	fclose(file);
	cut = strchr(captured, '\n');
	assert_non_null(cut);
	last = strstr(cut + 1, "\n[");
	assert_non_null(last);
	assert_int_equal(last - captured, 60);
	assert_non_null(strstr(last, ": warning: 2 lines lost: "));
	assert_non_null(strstr(last, ": four\n"));
}

static void
bytes_of_a_guest_forge_no_line_and_drive_no_terminal(void **state)
{
	const char *p;

	(void)state;
	capture(LOG_LEVEL_INFO, "a\n[2026-01-01T00:00:00Z]: b\033[31m\a\tc");
	p = strchr(captured, '\n');
	assert_non_null(p);
	assert_string_equal(p, "\n");
	assert_null(strchr(captured, '\033'));
	assert_null(strchr(captured, '\a'));
}

static void
an_overlong_text_is_cut_to_one_line(void **state)
{
	char text[4 * LOG_LINE_MAX];
	size_t i, n = 0;

	(void)state;
	memset(text, '\001', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	capture(LOG_LEVEL_INFO, text);
	for (i = 0; captured[i] != '\0'; i++)
		n += captured[i] == '\n';
	assert_int_equal(n, 1);
	assert_int_equal(captured[i - 1], '\n');
}

static void
a_line_beyond_the_level_is_not_written(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_INFO);
	capture(LOG_LEVEL_DEBUG, "quiet");
	assert_string_equal(captured, "");
}

static void
a_burst_is_cut_and_the_next_line_says_by_how_much(void **state)
{
	struct log_limit limit = { .lines_per_s = 3 };
	uint64_t suppressed = 99;
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_true(log_limit_ok(&limit, 1000, &suppressed));
	assert_int_equal(suppressed, 0);
	for (i = 0; i < 5; i++)
		assert_false(log_limit_ok(&limit, 1999, &suppressed));
	assert_true(log_limit_ok(&limit, 2000, &suppressed));
	assert_int_equal(suppressed, 5);
	assert_true(log_limit_ok(&limit, 2000, &suppressed));
	assert_int_equal(suppressed, 0);
}

static void
a_level_has_one_name(void **state)
{
	enum log_level level;

	(void)state;
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("DEBUG", &level), -1);
	assert_int_equal(log_level_parse("", &level), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_begins_with_the_time_and_the_process),
		cmocka_unit_test(
		    bytes_of_a_guest_forge_no_line_and_drive_no_terminal),
		cmocka_unit_test(
		    what_stderr_has_no_room_for_is_counted_and_told),
		cmocka_unit_test(
		    lines_that_a_full_disk_cuts_are_counted_and_end),
		cmocka_unit_test(an_overlong_text_is_cut_to_one_line),
		cmocka_unit_test(a_line_beyond_the_level_is_not_written),
		cmocka_unit_test(
		    a_burst_is_cut_and_the_next_line_says_by_how_much),
		cmocka_unit_test(a_level_has_one_name),
	};

	return (cmocka_run_group_tests_name("log", tests, NULL, NULL));
}
