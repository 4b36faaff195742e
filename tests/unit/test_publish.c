#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/wait.h>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "parent/options.h"
#include "parent/publish.h"
#include "tests/unit/forked.h"

#define TEST_UID 54322u

static struct config config;
static struct config_error error;
static struct publish_set set;

/* A port of 127.0.0.1 that is free now, and bound by *fd if fd != NULL. */
static uint16_t
some_port(int *fd)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int s = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(s != -1);
	assert_int_equal(bind(s, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(s, 1), 0);
	assert_int_equal(getsockname(s, (struct sockaddr *)&sin, &len), 0);
	if (fd != NULL)
		*fd = s;
	else
		close(s);
	return (ntohs(sin.sin_port));
}

static int
open_spec(const char *fmt, unsigned int port)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%u:80", fmt, port);
	config_init(&config);
	assert_null(option_def(OPT_PUBLISH)->set(&config, text));
	memset(&error, 0, sizeof(error));
	return (publish_open(&config, &set, &error));
}

static void
a_listener_is_bound_to_loopback_of_both_families(void **state)
{
	struct sockaddr_storage ss;
	struct ipc_addr addr;
	socklen_t len = sizeof(ss);
	uint16_t want = some_port(NULL), port;
	int listening = 0;

	(void)state;
	assert_int_equal(open_spec("", want), 0);
	assert_in_range(set.n, 1, 2);
	assert_int_equal(addr_to_ip4(&set.list[0].what.bind), 0x7f000001);
	if (set.n == 2)
		assert_int_equal(set.list[1].what.bind.family, 6);
	assert_int_equal(set.list[0].what.host_port, want);
	assert_int_equal(set.list[0].what.guest_port, 80);
	assert_int_equal(set.list[0].what.proto, IPPROTO_TCP);
	assert_int_equal(getsockname(set.list[0].fd, (struct sockaddr *)&ss,
			     &len),
	    0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &addr,
			     &port),
	    0);
	assert_int_equal(addr_to_ip4(&addr), 0x7f000001);
	assert_int_equal(port, want);
	len = sizeof(listening);
	assert_int_equal(getsockopt(set.list[0].fd, SOL_SOCKET, SO_ACCEPTCONN,
			     &listening, &len),
	    0);
	assert_int_equal(listening, 1);
	assert_true(fcntl(set.list[0].fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(set.list[0].fd, F_GETFD) & FD_CLOEXEC);
	publish_close(&set);
	assert_int_equal(set.n, 0);
}

static unsigned int
open_descriptors(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return (n);
}

static void
a_port_that_is_busy_on_one_loopback_is_refused(void **state)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof(sin6);
	unsigned int before;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	(void)state;
	if (fd == -1 || bind(fd, (struct sockaddr *)&sin6, len) == -1) {
		print_message("# SKIP: no IPv6\n");
		skip();
	}
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin6, &len), 0);
	before = open_descriptors();
	assert_int_equal(open_spec("", ntohs(sin6.sin6_port)), -1);
	assert_int_equal(error.status, EX_UNAVAILABLE);
	assert_non_null(strstr(error.text, "Address already in use"));
	assert_int_equal(set.n, 0);
	assert_int_equal(open_descriptors(), before);
	close(fd);
}

static void
a_busy_port_is_told_with_the_mend_and_leaves_nothing_open(void **state)
{
	char text[64];
	unsigned int before;
	uint16_t busy, port;
	int fd;

	(void)state;
	busy = some_port(&fd);
	port = some_port(NULL);
	before = open_descriptors();
	config_init(&config);
	snprintf(text, sizeof(text), "127.0.0.1:%u:80", (unsigned int)port);
	assert_null(option_def(OPT_PUBLISH)->set(&config, text));
	snprintf(text, sizeof(text), "127.0.0.1:%u:80", (unsigned int)busy);
	assert_null(option_def(OPT_PUBLISH)->set(&config, text));
	assert_int_equal(publish_open(&config, &set, &error), -1);
	assert_int_equal(error.status, EX_UNAVAILABLE);
	snprintf(text, sizeof(text), "cannot listen on 127.0.0.1:%u",
	    (unsigned int)busy);
	assert_non_null(strstr(error.text, text));
	assert_non_null(strstr(error.text, "publish another host port"));
	assert_int_equal(set.n, 0);
	assert_int_equal(open_descriptors(), before);
	close(fd);
}

static void
an_address_that_the_host_has_not_is_refused(void **state)
{
	(void)state;
	assert_int_equal(open_spec("192.0.2.77:", some_port(NULL)), -1);
	assert_int_equal(error.status, EX_UNAVAILABLE);
	assert_non_null(strstr(error.text, "an address that this host has"));
}

/* 0 if it is told that, and how to mend it. */
static int
publish_as_plain_user(const void *arg)
{
	(void)arg;
	assert_int_equal(setresuid(TEST_UID, TEST_UID, TEST_UID), 0);
	if (open_spec("127.0.0.1:", 1) != -1)
		return (1);
	if (error.status != EX_NOPERM)
		return (2);
	return (strstr(error.text, "publish a port from 1024 on") == NULL);
}

static void
a_port_that_is_roots_is_refused_to_others(void **state)
{
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("# SKIP: needs root\n");
		skip();
	}
	status = forked(publish_as_plain_user, NULL);
	if (FORKED_EXITED(status, 1)) {
		print_message("# SKIP: every port is everybody's here\n");
		skip();
	}
	assert_true(FORKED_EXITED(status, 0));
}

static void
a_range_has_a_listener_for_each_port(void **state)
{
	struct config_publish publish = { .proto = IPPROTO_TCP,
		.bind = addr_from_ip4(0x7f000001),
		.guest_port = 80,
		.count = 3 };
	int tries, result = -1;

	(void)state;
	/* Three free ports in a row are soon found. */
	for (tries = 0; tries < 50 && result == -1; tries++) {
		config_init(&config);
		publish.host_port = some_port(NULL);
		if (publish.host_port > 65000)
			continue;
		config.publish[config.npublish++] = publish;
		result = publish_open(&config, &set, &error);
	}
	assert_int_equal(result, 0);
	assert_int_equal(set.n, 3);
	assert_int_equal(set.list[2].what.host_port, publish.host_port + 2);
	assert_int_equal(set.list[2].what.guest_port, 82);
	publish_close(&set);
}

static int
option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return (value);
}

static void
a_udp_port_is_bound_and_hears_of_errors(void **state)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	uint32_t i;
	int fd;

	(void)state;
	config_init(&config);
	config.publish[config.npublish++] = (struct config_publish){
		.proto = IPPROTO_UDP,
		.host_port = some_port(NULL),
		.guest_port = 53,
		.count = 1,
	};
	config.publish_preserve = 1;
	assert_int_equal(publish_open(&config, &set, &error), 0);
	assert_in_range(set.n, 1, 2);
	for (i = 0; i < set.n; i++) {
		fd = set.list[i].fd;
		assert_int_equal(set.list[i].what.proto, IPPROTO_UDP);
		assert_int_equal(set.list[i].what.preserve, 1);
		assert_int_equal(option_of(fd, SOL_SOCKET, SO_TYPE),
		    SOCK_DGRAM);
		assert_int_equal(option_of(fd, SOL_SOCKET, SO_REUSEADDR), 0);
		assert_int_equal(option_of(fd, IPPROTO_UDP, UDP_GRO), 1);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		if (i == 0) {
			assert_int_equal(option_of(fd, IPPROTO_IP, IP_RECVERR),
			    1);
			continue;
		}
		assert_int_equal(option_of(fd, IPPROTO_IPV6, IPV6_RECVERR), 1);
		assert_int_equal(option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	}
	assert_int_equal(getsockname(set.list[0].fd, (struct sockaddr *)&ss,
			     &len),
	    0);
	publish_close(&set);
}

static void
a_busy_udp_port_is_told_with_its_protocol(void **state)
{
	static struct publish_set again;

	(void)state;
	config_init(&config);
	config.publish[config.npublish++] = (struct config_publish){
		.proto = IPPROTO_UDP,
		.bind = addr_from_ip4(0x7f000001),
		.host_port = some_port(NULL),
		.guest_port = 53,
		.count = 1,
	};
	assert_int_equal(publish_open(&config, &set, &error), 0);
	assert_int_equal(publish_open(&config, &again, &error), -1);
	assert_int_equal(error.status, EX_UNAVAILABLE);
	assert_non_null(strstr(error.text, "/udp: Address already in use"));
	publish_close(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_listener_is_bound_to_loopback_of_both_families),
		cmocka_unit_test(
		    a_busy_port_is_told_with_the_mend_and_leaves_nothing_open),
		cmocka_unit_test(
		    a_port_that_is_busy_on_one_loopback_is_refused),
		cmocka_unit_test(an_address_that_the_host_has_not_is_refused),
		cmocka_unit_test(a_port_that_is_roots_is_refused_to_others),
		cmocka_unit_test(a_range_has_a_listener_for_each_port),
		cmocka_unit_test(a_udp_port_is_bound_and_hears_of_errors),
		cmocka_unit_test(a_busy_udp_port_is_told_with_its_protocol),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
