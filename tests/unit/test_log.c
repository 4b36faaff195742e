#include <sys/resource.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"

static char captured[8192];

/* The linker puts these here. */
static time_t fake_now = -1; /* -1: the kernel's */
static size_t write_most;    /* bytes that one write takes, 0: any number */

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

int
__wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	if (fake_now == -1 || id != CLOCK_REALTIME)
		return (__real_clock_gettime(id, ts));
	ts->tv_sec = fake_now;
	ts->tv_nsec = 0;
	return (0);
}

ssize_t
__wrap_write(int fd, const void *bytes, size_t len)
{
	if (fd == STDERR_FILENO && write_most != 0 && len > write_most)
		len = write_most;
	return (__real_write(fd, bytes, len));
}

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
is_stamped(time_t when)
{
	char want[64];
	struct tm tm;

	assert_non_null(gmtime_r(&when, &tm));
	strftime(want, sizeof(want), "[%Y-%m-%dT%H:%M:%SZ]: netproc: x\n", &tm);
	fake_now = when;
	capture(LOG_LEVEL_INFO, "x");
	fake_now = -1;
	assert_string_equal(captured, want);
}

/* Each day of 2024 to 2028, and the ends of February of each century's. */
static void
the_time_is_that_of_the_calendar(void **state)
{
	static const time_t days[] = { 0, 951782399, 951782400, 951868799,
		951868800, 978307199, 978307200, 4107542399, 4107542400,
		13574563200, 13574649600, 32503679999 };
	time_t when;
	size_t i;

	(void)state;
	log_init("test", LOG_LEVEL_INFO);
	for (i = 0; i < sizeof(days) / sizeof(days[0]); i++)
		is_stamped(days[i]);
	for (when = 1704067199; when < 1861920000; when += 86400) {
		is_stamped(when);
		is_stamped(when + 1);
		is_stamped(when + 1 + 45296);
	}
	/* Whole eras of 400 years, with all that a year's number hangs on. */
	for (when = 0; when < 25 * 1000000000LL; when += 86400LL * 1447)
		is_stamped(when);
}

static void
a_line_that_is_taken_piece_by_piece_is_whole(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_INFO);
	fake_now = 0;
	write_most = 7;
	capture(LOG_LEVEL_INFO, "in pieces");
	write_most = 0;
	assert_string_equal(captured,
	    "[1970-01-01T00:00:00Z]: netproc: in pieces\n");
	/* And the next is as if it had been one. */
	capture(LOG_LEVEL_INFO, "whole");
	fake_now = -1;
	assert_string_equal(captured,
	    "[1970-01-01T00:00:00Z]: netproc: whole\n");
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
	log_init("test", LOG_LEVEL_DEBUG);
	capture(LOG_LEVEL_DEBUG, "heard");
	assert_non_null(strstr(captured, ": heard\n"));
}

static struct {
	enum log_level level;
	char text[2 * LOG_LINE_MAX];
	unsigned int lines;
} kept;

static void
keep(enum log_level level, const char *text, void *arg)
{
	assert_ptr_equal(arg, &kept);
	kept.level = level;
	kept.lines++;
	strlcpy(kept.text, text, sizeof(kept.text));
	errno = EIO;
}

static void
is_kept(enum log_level level, const char *text, unsigned int lines)
{
	assert_int_equal(kept.lines, lines);
	assert_int_equal(kept.level, level);
	assert_string_equal(kept.text, text);
	assert_int_equal(errno, ENOENT);
}

static void
each_level_goes_to_the_sink_and_leaves_errno(void **state)
{
	char text[2 * LOG_LINE_MAX];

	(void)state;
	memset(&kept, 0, sizeof(kept));
	log_init("test", LOG_LEVEL_DEBUG);
	log_set_sink(keep, &kept);
	errno = ENOENT;
	log_error("%d", 1);
	is_kept(LOG_LEVEL_ERROR, "1", 1);
	log_warn("%d", 2);
	is_kept(LOG_LEVEL_WARN, "2", 2);
	log_info("%d", 3);
	is_kept(LOG_LEVEL_INFO, "3", 3);
	log_debug("%d", 4);
	is_kept(LOG_LEVEL_DEBUG, "4", 4);
	log_init("test", LOG_LEVEL_WARN);
	log_info("%d", 5);
	is_kept(LOG_LEVEL_DEBUG, "4", 4);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_warn("%s", text);
	text[LOG_LINE_MAX - 1] = '\0';
	is_kept(LOG_LEVEL_WARN, text, 5);
	log_set_sink(NULL, NULL);
}

/* What a process that ends so has written; its status. */
static int
last_words(int with_errno)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_return_code(pipe(fds), errno);
	pid = fork();
	assert_return_code(pid, errno);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		log_init("test", LOG_LEVEL_ERROR);
		errno = ENOENT;
		if (with_errno)
			fatal("no %s", "way");
		fatalx("no %s", "way");
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = read(fds[0], captured, sizeof(captured) - 1);
	assert_true(n >= 0);
	captured[n] = '\0';
	close(fds[0]);
	return (WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void
the_impossible_ends_the_process_with_its_reason(void **state)
{
	(void)state;
	assert_int_equal(last_words(0), EX_SOFTWARE);
	assert_non_null(strstr(captured, "]: test: no way\n"));
	assert_int_equal(last_words(1), EX_SOFTWARE);
	assert_non_null(strstr(captured,
	    "]: test: no way: No such file or directory\n"));
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
	/* A clock that begins at 0 refills nothing before its time. */
	limit = (struct log_limit){ .lines_per_s = 1 };
	assert_true(log_limit_ok(&limit, 0, &suppressed));
	assert_false(log_limit_ok(&limit, 1, &suppressed));
	assert_false(log_limit_ok(&limit, 999, &suppressed));
	assert_true(log_limit_ok(&limit, 1001, &suppressed));
}

static void
a_level_has_one_name(void **state)
{
	enum log_level level;
	unsigned int i;

	(void)state;
	for (i = 0; i < LOG_LEVEL_N; i++) {
		assert_int_equal(log_level_parse(log_level_name((enum log_level)
							 i),
				     &level),
		    0);
		assert_int_equal(level, i);
	}
	assert_string_equal(log_level_name(LOG_LEVEL_DEBUG), "debug");
	errno = 0;
	assert_int_equal(log_level_parse("DEBUG", &level), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(log_level_parse("", &level), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_begins_with_the_time_and_the_process),
		cmocka_unit_test(the_time_is_that_of_the_calendar),
		cmocka_unit_test(a_line_that_is_taken_piece_by_piece_is_whole),
		cmocka_unit_test(
		    bytes_of_a_guest_forge_no_line_and_drive_no_terminal),
		cmocka_unit_test(
		    what_stderr_has_no_room_for_is_counted_and_told),
		cmocka_unit_test(
		    lines_that_a_full_disk_cuts_are_counted_and_end),
		cmocka_unit_test(an_overlong_text_is_cut_to_one_line),
		cmocka_unit_test(a_line_beyond_the_level_is_not_written),
		cmocka_unit_test(each_level_goes_to_the_sink_and_leaves_errno),
		cmocka_unit_test(
		    the_impossible_ends_the_process_with_its_reason),
		cmocka_unit_test(
		    a_burst_is_cut_and_the_next_line_says_by_how_much),
		cmocka_unit_test(a_level_has_one_name),
	};

	return (cmocka_run_group_tests_name("log", tests, NULL, NULL));
}
