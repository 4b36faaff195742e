#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/resolv_watch.h"

/*
 * A directory for the name, and one that a link may lead to.  The kernel
 * queues an event before the call that caused it returns, so nothing waits.
 */
static char etc[64], run[64];
static char name[96], real[96], other[96];

static struct resolv_watch watch;

static void
write_to(const char *path, const char *text)
{
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd != -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int
set_up(void **state)
{
	(void)state;
	strlcpy(etc, "/tmp/test_resolv.XXXXXX", sizeof(etc));
	strlcpy(run, "/tmp/test_resolv.XXXXXX", sizeof(run));
	if (mkdtemp(etc) == NULL || mkdtemp(run) == NULL)
		return (-1);
	snprintf(name, sizeof(name), "%s/resolv.conf", etc);
	snprintf(real, sizeof(real), "%s/stub.conf", run);
	snprintf(other, sizeof(other), "%s/other", etc);
	resolv_watch_init(&watch);
	return (0);
}

static int
tear_down(void **state)
{
	(void)state;
	resolv_watch_close(&watch);
	unlink(name);
	unlink(real);
	unlink(other);
	rmdir(etc);
	rmdir(run);
	return (0);
}

static int
is_readable(const char *path)
{
	size_t i, len = strlen(path);

	/* A directory stands with its slash. */
	for (i = 0; watch.readable[i] != NULL; i++) {
		if (strncmp(watch.readable[i], path, len) == 0 &&
		    (watch.readable[i][len] == '\0' ||
			watch.readable[i][len + 1] == '\0'))
			return (1);
	}
	return (0);
}

static void
a_file_written_in_place_is_seen(void **state)
{
	(void)state;
	write_to(name, "a");
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	assert_false(resolv_watch_read(&watch));
	write_to(name, "b");
	assert_true(resolv_watch_read(&watch));
	assert_false(resolv_watch_read(&watch));
}

static void
a_file_that_is_replaced_is_seen_each_time(void **state)
{
	int i;

	(void)state;
	write_to(name, "a");
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	for (i = 0; i < 3; i++) {
		write_to(other, "b");
		assert_false(resolv_watch_read(&watch));
		assert_int_equal(rename(other, name), 0);
		assert_true(resolv_watch_read(&watch));
		write_to(name, "c");
		assert_true(resolv_watch_read(&watch));
	}
}

static void
the_file_behind_a_link_is_seen(void **state)
{
	(void)state;
	write_to(real, "a");
	assert_int_equal(symlink(real, name), 0);
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	write_to(real, "b");
	assert_true(resolv_watch_read(&watch));
	write_to(other, "c");
	resolv_watch_read(&watch);
	assert_int_equal(rename(other, real), 0);
	assert_true(resolv_watch_read(&watch));
}

static void
a_link_in_place_of_the_file_is_seen(void **state)
{
	(void)state;
	write_to(name, "a");
	write_to(real, "a");
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	assert_int_equal(unlink(name), 0);
	resolv_watch_read(&watch);
	assert_int_equal(symlink(real, name), 0);
	assert_true(resolv_watch_read(&watch));
}

static void
a_file_that_comes_later_is_seen(void **state)
{
	(void)state;
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	write_to(name, "a");
	assert_true(resolv_watch_read(&watch));
}

static void
the_file_that_a_link_has_waited_for_is_seen(void **state)
{
	char relative[128];
	const char *const links[] = { real, relative };
	size_t i;

	(void)state;
	snprintf(relative, sizeof(relative), "../%s", real + strlen("/tmp/"));
	for (i = 0; i < 2; i++) {
		assert_int_equal(symlink(links[i], name), 0);
		assert_int_equal(resolv_watch_open(&watch, name, 1), 0);
		assert_true(is_readable(run));
		assert_false(is_readable(etc));
		write_to(real, "a");
		assert_true(resolv_watch_read(&watch));
		resolv_watch_close(&watch);
		assert_int_equal(unlink(real), 0);
		assert_int_equal(unlink(name), 0);
	}
}

static void
a_link_to_no_directory_is_watched_itself(void **state)
{
	(void)state;
	assert_int_equal(symlink("/nonexistent/resolv.conf", name), 0);
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	assert_false(resolv_watch_read(&watch));
	assert_int_equal(unlink(name), 0);
	write_to(name, "a");
	assert_true(resolv_watch_read(&watch));
}

static void
another_file_of_the_directory_is_not_seen(void **state)
{
	(void)state;
	write_to(name, "a");
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	write_to(other, "b");
	assert_false(resolv_watch_read(&watch));
}

static void
a_directory_that_is_not_there_is_refused(void **state)
{
	(void)state;
	assert_int_equal(resolv_watch_open(&watch, "/nonexistent/x", 0), -1);
	assert_int_equal(watch.fd, -1);
	assert_int_equal(resolv_watch_open(&watch, "relative", 0), -1);
	assert_int_equal(errno, EINVAL);
}

static void
a_watch_that_was_not_opened_closes_nothing(void **state)
{
	(void)state;
	resolv_watch_close(&watch);
	assert_int_not_equal(fcntl(0, F_GETFD), -1);
}

static void
root_keeps_the_file_but_not_the_directory_of_the_name(void **state)
{
	(void)state;
	write_to(name, "a");
	assert_int_equal(resolv_watch_open(&watch, name, 1), 0);
	assert_true(is_readable(name));
	assert_false(is_readable(etc));
	resolv_watch_close(&watch);
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	assert_true(is_readable(name));
	assert_true(is_readable(etc));
}

static void
root_keeps_the_directory_that_a_link_leads_to(void **state)
{
	(void)state;
	write_to(real, "a");
	assert_int_equal(symlink(real, name), 0);
	assert_int_equal(resolv_watch_open(&watch, name, 1), 0);
	assert_true(is_readable(real));
	assert_true(is_readable(run));
	assert_false(is_readable(etc));
}

#define WITH_FILES(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FILES(a_file_written_in_place_is_seen),
		WITH_FILES(a_file_that_is_replaced_is_seen_each_time),
		WITH_FILES(the_file_behind_a_link_is_seen),
		WITH_FILES(a_link_in_place_of_the_file_is_seen),
		WITH_FILES(a_file_that_comes_later_is_seen),
		WITH_FILES(the_file_that_a_link_has_waited_for_is_seen),
		WITH_FILES(a_link_to_no_directory_is_watched_itself),
		WITH_FILES(another_file_of_the_directory_is_not_seen),
		WITH_FILES(a_directory_that_is_not_there_is_refused),
		WITH_FILES(a_watch_that_was_not_opened_closes_nothing),
		WITH_FILES(
		    root_keeps_the_file_but_not_the_directory_of_the_name),
		WITH_FILES(root_keeps_the_directory_that_a_link_leads_to),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
