#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "ipc/kernel.h"
#include "parent/unix_listen.h"

static char dir[64], path[96];
static struct unix_listener listener;
static struct config_error error;

static int
setup(void **state)
{
	(void)state;
	strlcpy(dir, "/tmp/sallyport-test-XXXXXX", sizeof(dir));
	if (mkdtemp(dir) == NULL)
		return (-1);
	snprintf(path, sizeof(path), "%s/sock", dir);
	listener.fd = -1;
	memset(&error, 0, sizeof(error));
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	unix_listener_close(&listener);
	unlink(path);
	return (rmdir(dir));
}

static int
open_listener(struct unix_listener *what)
{
	return (unix_listener_open(what, path, SOCK_STREAM, "socket", &error));
}

static int
dial(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return (fd);
}

static void
the_socket_is_for_the_owner_alone_whatever_the_umask(void **state)
{
	mode_t mask = umask(0);
	struct stat st;

	(void)state;
	assert_int_equal(open_listener(&listener), 0);
	assert_int_equal(umask(mask), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
the_name_goes_when_it_is_closed(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(open_listener(&listener), 0);
	unix_listener_close(&listener);
	assert_int_equal(lstat(path, &st), -1);
	unix_listener_close(&listener);
}

static void
a_name_that_is_no_longer_ours_stays(void **state)
{
	static struct unix_listener other;
	struct stat st;

	(void)state;
	assert_int_equal(open_listener(&listener), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(open_listener(&other), 0);
	unix_listener_close(&listener);
	assert_int_equal(lstat(path, &st), 0);
	unix_listener_close(&other);
}

static void
a_client_is_accepted_with_its_credentials(void **state)
{
	struct ucred peer;
	int client, fd;

	(void)state;
	assert_int_equal(open_listener(&listener), 0);
	client = dial();
	fd = unix_listener_accept(&listener, &peer);
	assert_true(fd != -1);
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, geteuid());
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(unix_listener_accept(&listener, &peer), -1);
	close(client);
	close(fd);
}

static void
a_client_passes_no_descriptor_before_it_is_accepted(void **state)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { .hdr = {
			  .cmsg_len = CMSG_LEN(sizeof(int)),
			  .cmsg_level = SOL_SOCKET,
			  .cmsg_type = SCM_RIGHTS,
		      } };
	struct iovec iov = { .iov_base = dir, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf) };
	socklen_t len = sizeof(int);
	int client, passes;

	(void)state;
	assert_int_equal(open_listener(&listener), 0);
	client = dial();
	memcpy(CMSG_DATA(&control.hdr), &client, sizeof(client));
	if (getsockopt(client, SOL_SOCKET, SO_PASSRIGHTS, &passes, &len) == -1)
		print_message("# SKIP: no SO_PASSRIGHTS in this kernel\n");
	else
		assert_int_equal(sendmsg(client, &msg, 0), -1);
	close(client);
}

static void
a_socket_that_a_dead_process_left_is_replaced(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	assert_int_equal(open_listener(&listener), 0);
	close(dial());
}

static void
a_socket_that_somebody_listens_on_is_left_alone(void **state)
{
	static struct unix_listener second;

	(void)state;
	assert_int_equal(open_listener(&listener), 0);
	assert_int_equal(open_listener(&second), -1);
	assert_int_equal(error.status, EX_UNAVAILABLE);
	assert_non_null(strstr(error.text, "another program listens"));
	assert_int_equal(second.fd, -1);
	close(dial());
}

/* Clients wait there for who listens, and there is no room for one more. */
static void
so_is_one_whose_queue_is_full(void **state)
{
	static struct unix_listener second;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fds[64];
	size_t i, n = 0;

	(void)state;
	assert_int_equal(open_listener(&listener), 0);
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	do {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	} while (connect(fds[n++], (struct sockaddr *)&sun, sizeof(sun)) == 0 &&
	    n < sizeof(fds) / sizeof(fds[0]));
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(open_listener(&second), -1);
	assert_int_equal(error.status, EX_UNAVAILABLE);
	for (i = 0; i < n; i++)
		close(fds[i]);
	unix_listener_close(&listener);
	assert_int_equal(access(path, F_OK), -1);
}

static void
the_next_start_need_not_wait_for_this_one_to_end(void **state)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(open_listener(&listener), 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

static void
a_path_without_a_directory_is_taken(void **state)
{
	int before = open(".", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(unix_listener_open(&listener, "sock", SOCK_STREAM,
			     "socket", &error),
	    0);
	close(dial());
	unix_listener_close(&listener);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(fchdir(before), 0);
	close(before);
}

static void
a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct stat st;
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	(void)state;
	assert_true(fd != -1);
	close(fd);
	assert_int_equal(open_listener(&listener), -1);
	assert_int_equal(error.status, EX_CANTCREAT);
	assert_non_null(strstr(error.text, "exists and is no socket"));
	assert_int_equal(lstat(path, &st), 0);
}

static void
a_directory_that_is_not_there_is_told(void **state)
{
	(void)state;
	assert_int_equal(unix_listener_open(&listener, "/nonexistent/dir/sock",
			     SOCK_STREAM, "socket", &error),
	    -1);
	assert_int_equal(error.status, EX_CANTCREAT);
	assert_non_null(strstr(error.text, "--socket /nonexistent/dir/sock"));
	assert_int_equal(listener.fd, -1);
}

/* Another start has bound the path, and does not listen yet. */
static void
two_starts_do_not_take_the_path_from_each_other(void **state)
{
	const struct timespec while_ms = { .tv_nsec = 100 * 1000000L };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int status, sock = socket(AF_UNIX, SOCK_STREAM, 0);
	int lock = open(dir, O_RDONLY | O_DIRECTORY);
	pid_t pid;

	(void)state;
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	assert_int_equal(flock(lock, LOCK_EX), 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&sun, sizeof(sun)), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(lock);
		_exit(open_listener(&listener) == -1 ? error.status : 0);
	}
	nanosleep(&while_ms, NULL);
	assert_int_equal(listen(sock, 1), 0);
	close(lock);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), EX_UNAVAILABLE);
	close(dial());
	close(sock);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_socket_is_for_the_owner_alone_whatever_the_umask),
		TEST(the_name_goes_when_it_is_closed),
		TEST(a_name_that_is_no_longer_ours_stays),
		TEST(a_client_is_accepted_with_its_credentials),
		TEST(a_client_passes_no_descriptor_before_it_is_accepted),
		TEST(a_socket_that_a_dead_process_left_is_replaced),
		TEST(a_socket_that_somebody_listens_on_is_left_alone),
		TEST(so_is_one_whose_queue_is_full),
		TEST(the_next_start_need_not_wait_for_this_one_to_end),
		TEST(a_path_without_a_directory_is_taken),
		TEST(a_file_that_is_no_socket_is_left_alone),
		TEST(a_directory_that_is_not_there_is_told),
		TEST(two_starts_do_not_take_the_path_from_each_other),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
