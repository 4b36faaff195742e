#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <sys/stat.h>

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
a_link_in_place_of_another_is_seen(void **state)
{
	(void)state;
	write_to(real, "a");
	assert_int_equal(symlink(real, name), 0);
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	assert_int_equal(symlink(real, other), 0);
	assert_false(resolv_watch_read(&watch));
	assert_int_equal(rename(other, name), 0);
	assert_true(resolv_watch_read(&watch));
}

static void
a_file_that_comes_later_is_seen(void **state)
{
	(void)state;
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	assert_false(is_readable(name));
	assert_true(is_readable(etc));
	write_to(name, "a");
	assert_true(resolv_watch_read(&watch));
}

static void
a_file_that_a_link_waits_for_is_seen(void **state)
{
	(void)state;
	assert_int_equal(symlink(real, name), 0);
	assert_int_equal(resolv_watch_open(&watch, name, 1), 0);
	assert_string_equal(watch.real, real);
	assert_true(is_readable(run));
	assert_false(is_readable(etc));
	write_to(real, "a");
	assert_true(resolv_watch_read(&watch));
}

static void
a_link_is_relative_to_where_it_lies(void **state)
{
	char target[128];

	(void)state;
	snprintf(target, sizeof(target), "..%s", strrchr(run, '/'));
	strlcat(target, "/stub.conf", sizeof(target));
	assert_int_equal(symlink(target, name), 0);
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	assert_string_equal(watch.real, real);
}

static void
a_link_to_a_link_leads_to_the_file(void **state)
{
	(void)state;
	write_to(real, "a");
	assert_int_equal(symlink(real, other), 0);
	assert_int_equal(symlink(other, name), 0);
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	assert_string_equal(watch.real, real);
}

/* Of a directory that is not there nothing is kept, and none above it. */
static void
a_link_into_no_directory_leads_nowhere(void **state)
{
	(void)state;
	assert_int_equal(symlink("/nonexistent/x/y", name), 0);
	assert_int_equal(resolv_watch_open(&watch, name, 1), 0);
	assert_string_equal(watch.real, name);
	assert_ptr_equal(watch.readable[0], NULL);
}

/* As one that is mounted: its directory hears nothing of it. */
static void
a_file_written_by_another_name_is_seen(void **state)
{
	(void)state;
	write_to(name, "a");
	assert_int_equal(link(name, real), 0);
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	write_to(real, "b");
	assert_true(resolv_watch_read(&watch));
}

static void
a_file_that_goes_leaves_nothing_to_read(void **state)
{
	(void)state;
	write_to(name, "a");
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	assert_int_equal(unlink(name), 0);
	assert_false(resolv_watch_read(&watch));
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
a_read_takes_what_is_behind_other_events_and_no_more(void **state)
{
	int i;

	(void)state;
	write_to(name, "a");
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	for (i = 0; i < 3; i++) {
		write_to(other, "b");
		unlink(other);
	}
	write_to(name, "c");
	assert_true(resolv_watch_read(&watch));
	/* The buffer still has the longer read's end. */
	for (i = 0; i < 3; i++) {
		write_to(other, "d");
		unlink(other);
	}
	assert_false(resolv_watch_read(&watch));
}

static long
queue_max(void)
{
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	long n = 0;

	if (file == NULL)
		return (0);
	if (fscanf(file, "%ld", &n) != 1)
		n = 0;
	fclose(file);
	return (n);
}

static void
when_events_were_lost_the_file_may_have_changed(void **state)
{
	const long max = queue_max();
	long i;

	(void)state;
	if (max == 0 || max > 200000)
		skip();
	write_to(name, "a"); /* else no watch is -1, as theirs is */
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	/* Two events each that are not alike, and not ours. */
	for (i = 0; i <= max / 2; i++) {
		write_to(other, "");
		unlink(other);
	}
	assert_true(resolv_watch_read(&watch));
	assert_false(resolv_watch_read(&watch));
}

static void
a_directory_that_is_not_there_is_refused(void **state)
{
	(void)state;
	assert_int_equal(resolv_watch_open(&watch, "/nonexistent/x", 0), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(watch.fd, -1);
	assert_int_equal(resolv_watch_open(&watch, "relative", 0), -1);
	assert_int_equal(errno, EINVAL);
}

static void
a_path_that_is_too_long_is_refused(void **state)
{
	char path[PATH_MAX + 1];

	(void)state;
	memset(path, '/', sizeof(path));
	path[PATH_MAX] = '\0';
	assert_int_equal(resolv_watch_open(&watch, path, 0), -1);
	assert_int_equal(errno, EINVAL);
	path[PATH_MAX - 1] = '\0';
	assert_int_equal(resolv_watch_open(&watch, path, 0), 0);
}

static void
without_a_descriptor_it_is_refused(void **state)
{
	struct rlimit was, none;
	int result, error;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	result = resolv_watch_open(&watch, name, 0);
	error = errno;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(result, -1);
	assert_int_equal(error, EMFILE);
}

static void
a_watch_that_was_not_opened_closes_nothing(void **state)
{
	(void)state;
	assert_int_equal(watch.fd, -1);
	resolv_watch_close(&watch);
	assert_int_not_equal(fcntl(0, F_GETFD), -1);
}

static void
a_watch_that_is_closed_leaves_no_descriptor(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	fd = watch.fd;
	resolv_watch_close(&watch);
	assert_int_equal(watch.fd, -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
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
	resolv_watch_close(&watch);
	assert_int_equal(resolv_watch_open(&watch, name, 1), 0);
	assert_false(is_readable(etc));
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

static void
who_is_not_root_keeps_all_three(void **state)
{
	(void)state;
	write_to(real, "a");
	assert_int_equal(symlink(real, name), 0);
	assert_int_equal(resolv_watch_open(&watch, name, 0), 0);
	assert_true(is_readable(real));
	assert_true(is_readable(run));
	assert_true(is_readable(etc));
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
		WITH_FILES(a_link_in_place_of_another_is_seen),
		WITH_FILES(a_file_that_comes_later_is_seen),
		WITH_FILES(a_file_that_a_link_waits_for_is_seen),
		WITH_FILES(a_link_is_relative_to_where_it_lies),
		WITH_FILES(a_link_to_a_link_leads_to_the_file),
		WITH_FILES(a_link_into_no_directory_leads_nowhere),
		WITH_FILES(a_file_written_by_another_name_is_seen),
		WITH_FILES(a_file_that_goes_leaves_nothing_to_read),
		WITH_FILES(another_file_of_the_directory_is_not_seen),
		WITH_FILES(
		    a_read_takes_what_is_behind_other_events_and_no_more),
		WITH_FILES(when_events_were_lost_the_file_may_have_changed),
		WITH_FILES(a_directory_that_is_not_there_is_refused),
		WITH_FILES(a_path_that_is_too_long_is_refused),
		WITH_FILES(without_a_descriptor_it_is_refused),
		WITH_FILES(a_watch_that_was_not_opened_closes_nothing),
		WITH_FILES(a_watch_that_is_closed_leaves_no_descriptor),
		WITH_FILES(
		    root_keeps_the_file_but_not_the_directory_of_the_name),
		WITH_FILES(root_keeps_the_directory_that_a_link_leads_to),
		WITH_FILES(who_is_not_root_keeps_all_three),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
