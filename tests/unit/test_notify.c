#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/log.h"
#include "parent/notify.h"

static struct config config;
static struct config_error error;
static struct notify notify;
static char text[64];

static int
setup(void **state)
{
	(void)state;
	config_init(&config);
	memset(&error, 0, sizeof(error));
	return (unsetenv("NOTIFY_SOCKET"));
}

/* A datagram socket at an address of the kernel's choice, or at path. */
static int
listener(const char *path, struct sockaddr_un *sun)
{
	socklen_t len = sizeof(sa_family_t);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_true(fd != -1);
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (path != NULL) {
		strlcpy(sun->sun_path, path, sizeof(sun->sun_path));
		len = sizeof(*sun);
	}
	assert_int_equal(bind(fd, (struct sockaddr *)sun, len), 0);
	len = sizeof(*sun);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sun, &len), 0);
	return (fd);
}

static void
assert_ready_arrives(int fd)
{
	ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);

	assert_int_equal(n, 8);
	assert_memory_equal(text, "READY=1\n", 8);
}

static void
without_any_wish_nothing_is_opened(void **state)
{
	(void)state;
	assert_int_equal(notify_open(&config, &notify, &error), 0);
	assert_int_equal(notify.socket_fd, -1);
	assert_int_equal(notify.ready_fd, -1);
	notify_ready(&notify);
}

static void
ready_reaches_an_abstract_socket(void **state)
{
	struct sockaddr_un sun;
	int fd = listener(NULL, &sun);

	(void)state;
	sun.sun_path[0] = '@';
	setenv("NOTIFY_SOCKET", sun.sun_path, 1);
	assert_int_equal(notify_open(&config, &notify, &error), 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), -1);
	notify_ready(&notify);
	assert_ready_arrives(fd);
	assert_int_equal(notify.socket_fd, -1);
	close(fd);
}

/* Takes what there is after a while, and ends with 0 at the word. */
static _Noreturn void
slow_reader(int fd)
{
	usleep(100000);
	alarm(10);
	while (recv(fd, text, sizeof(text), 0) != 8 ||
	    memcmp(text, "READY=1\n", 8) != 0)
		;
	_exit(0);
}

static void
ready_waits_for_a_reader_who_is_behind(void **state)
{
	struct sockaddr_un sun;
	int fd = listener(NULL, &sun), other, status;
	pid_t pid;

	(void)state;
	other = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(other, (struct sockaddr *)&sun,
			     sizeof(sa_family_t) + 6),
	    0);
	while (send(other, "x", 1, 0) == 1)
		;
	sun.sun_path[0] = '@';
	setenv("NOTIFY_SOCKET", sun.sun_path, 1);
	assert_int_equal(notify_open(&config, &notify, &error), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		slow_reader(fd);
	notify_ready(&notify);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(other);
	close(fd);
}

static void
ready_reaches_a_socket_with_a_path(void **state)
{
	char dir[] = "/tmp/sallyport-test-XXXXXX", path[64];
	struct sockaddr_un sun;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/notify", dir);
	fd = listener(path, &sun);
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify_open(&config, &notify, &error), 0);
	notify_ready(&notify);
	assert_ready_arrives(fd);
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void
a_notify_socket_that_nobody_has_is_refused(void **state)
{
	static char too_long[109], longest[108];
	static const struct {
		const char *name;
		int error;
	} none[] = {
		{ "/nonexistent/notify", ENOENT },
		{ "@x", ECONNREFUSED },
		{ longest, ENOENT },
		{ too_long, EINVAL },
		{ "relative", EINVAL },
		{ "@", EINVAL },
		{ "/", EINVAL },
	};
	int fd = dup(0);
	size_t i;

	(void)state;
	close(fd);
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 2] = 'x';
	memset(too_long, '/', sizeof(too_long) - 1);
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		setenv("NOTIFY_SOCKET", none[i].name, 1);
		assert_int_equal(notify_open(&config, &notify, &error), -1);
		assert_int_equal(error.status, EX_UNAVAILABLE);
		assert_non_null(strstr(error.text, strerror(none[i].error)));
		assert_int_equal(notify.socket_fd, -1);
	}
	/* Nothing is left open. */
	assert_int_equal(dup(0), fd);
	close(fd);
}

static void
ready_is_written_to_the_descriptor_which_is_then_closed(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	config.ready_fd = ends[1];
	assert_int_equal(notify_open(&config, &notify, &error), 0);
	assert_true(fcntl(ends[1], F_GETFD) & FD_CLOEXEC);
	notify_ready(&notify);
	assert_int_equal(read(ends[0], text, sizeof(text)), 8);
	assert_memory_equal(text, "READY=1\n", 8);
	assert_int_equal(read(ends[0], text, sizeof(text)), 0);
	close(ends[0]);
}

static void
a_ready_descriptor_that_cannot_be_written_is_refused(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	config.ready_fd = ends[0];
	assert_int_equal(notify_open(&config, &notify, &error), -1);
	assert_int_equal(error.status, EX_USAGE);
	assert_non_null(strstr(error.text,
	    "Bad file descriptor; pass a "
	    "descriptor open for writing"));
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(notify_open(&config, &notify, &error), -1);
	assert_int_equal(error.status, EX_USAGE);
}

/* What was logged last. */
static char line[256];

static void
sink_keep(enum log_level level, const char *logged, void *arg)
{
	(void)level;
	(void)arg;
	strlcpy(line, logged, sizeof(line));
}

static void
ready_does_not_wait_for_ever_for_who_never_reads(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	while (write(ends[1], "x", 1) == 1)
		;
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
	config.ready_fd = ends[1];
	assert_int_equal(notify_open(&config, &notify, &error), 0);
	log_set_sink(sink_keep, NULL);
	alarm(20);
	notify_ready(&notify);
	alarm(0);
	log_set_sink(NULL, NULL);
	assert_string_equal(line,
	    "--ready-fd: Resource temporarily unavailable");
	assert_int_equal(notify.ready_fd, -1);
	close(ends[0]);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_any_wish_nothing_is_opened),
		TEST(ready_reaches_an_abstract_socket),
		TEST(ready_waits_for_a_reader_who_is_behind),
		TEST(ready_reaches_a_socket_with_a_path),
		TEST(a_notify_socket_that_nobody_has_is_refused),
		TEST(ready_is_written_to_the_descriptor_which_is_then_closed),
		TEST(a_ready_descriptor_that_cannot_be_written_is_refused),
		TEST(ready_does_not_wait_for_ever_for_who_never_reads),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
