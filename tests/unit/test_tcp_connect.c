#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "relayproc/tcp_connect.h"
#include "tests/unit/relay_life.h"

/* The host's TCP sockets, without a relayproc around them. */

static struct sockaddr_in
loopback_at(in_addr_t addr, uint16_t port)
{
	return ((struct sockaddr_in){
	    .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(addr),
	    .sin_port = htons(port),
	});
}

static struct ipc_addr
address(const char *text)
{
	struct ipc_addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return (addr);
}

/* The number that the next descriptor will have. */
static int
next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	assert_int_not_equal(fd, -1);
	close(fd);
	return (fd);
}

static void
a_connect_that_met_itself_is_refused(void **state)
{
	struct sockaddr_in sin = loopback_at(INADDR_LOOPBACK, 0);
	const struct ipc_addr loopback = address("127.0.0.1");
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(sin);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	getsockname(fd, (struct sockaddr *)&sin, &len);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(tcp_connect_result(fd, &loopback, ntohs(sin.sin_port)),
	    ECONNREFUSED);
	close(fd);
}

static void
a_connect_from_the_same_port_of_another_address_stands(void **state)
{
	const struct ipc_addr loopback = address("127.0.0.1");
	uint16_t port;
	int listener = life_listen(&port, 1);
	struct sockaddr_in from = loopback_at(INADDR_LOOPBACK + 1, port);
	struct sockaddr_in to = loopback_at(INADDR_LOOPBACK, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(tcp_connect_result(fd, &loopback, port), 0);
	close(fd);
	close(listener);
}

/* To the broadcast address there is no connection, and no way at all. */
static void
a_connect_that_fails_at_once_keeps_no_descriptor(void **state)
{
	const struct ipc_addr nowhere = address("255.255.255.255");
	const int next = next_fd();
	int answered;

	(void)state;
	assert_int_equal(tcp_connect_start(&nowhere, 9, 1460, &answered), -1);
	assert_int_equal(errno, ENETUNREACH);
	assert_int_equal(next_fd(), next);
}

/* Most are: where the kernel is too busy an event tells of it. */
static void
a_server_that_is_near_has_answered_at_once(void **state)
{
	const struct ipc_addr loopback = address("127.0.0.1");
	int listener, fd, i, answered = 0;
	uint16_t port;

	(void)state;
	listener = life_listen(&port, 64);
	for (i = 0; i < 64 && !answered; i++) {
		fd = tcp_connect_start(&loopback, port, 1460, &answered);
		assert_int_not_equal(fd, -1);
		close(fd);
	}
	assert_true(answered);
	close(listener);
}

static void
a_server_that_is_silent_has_not(void **state)
{
	const struct ipc_addr loopback = address("127.0.0.1");
	int answered = 1, fill[4], listener, fd, i;
	uint16_t port;

	(void)state;
	listener = life_blackhole(&port, fill, 4);
	fd = tcp_connect_start(&loopback, port, 1460, &answered);
	assert_int_not_equal(fd, -1);
	assert_false(answered);
	close(fd);
	for (i = 0; i < 4; i++)
		close(fill[i]);
	close(listener);
}

/* What a server may put into a segment to a guest with this MSS. */
static int
segment_to(uint16_t mss)
{
	const struct ipc_addr loopback = address("127.0.0.1");
	int answered, listener, server, fd, value = 0;
	socklen_t len = sizeof(value);
	uint16_t port;

	listener = life_listen(&port, 1);
	fd = tcp_connect_start(&loopback, port, mss, &answered);
	assert_int_not_equal(fd, -1);
	assert_int_equal(poll(&(struct pollfd){ listener, POLLIN, 0 }, 1, 5000),
	    1);
	server = accept(listener, NULL, NULL);
	assert_int_not_equal(server, -1);
	assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_MAXSEG, &value,
			     &len),
	    0);
	close(server);
	close(fd);
	close(listener);
	return (value);
}

/* Of each segment timestamps may take some. */
#define STAMPS 12

static void
the_guests_mss_is_announced_within_its_bounds(void **state)
{
	static const struct {
		uint16_t mss;
		int announced;
	} rows[] = {
		{ 0, 536 },
		{ 535, 536 },
		{ 537, 537 },
		{ 1460, 1460 },
		{ 8191, 8191 },
		{ 8193, 8192 },
		{ 65535, 8192 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_in_range(segment_to(rows[i].mss),
		    rows[i].announced - STAMPS, rows[i].announced);
	assert_int_equal(segment_to(537) - segment_to(536), 1);
	assert_int_equal(segment_to(8192) - segment_to(8191), 1);
	assert_int_equal(segment_to(65535), segment_to(8192));
	assert_int_equal(segment_to(0), segment_to(536));
}

/* Both ends of a connection to loopback, of which connect(2) has not told. */
struct both {
	int fd, server;
	uint16_t port;
};

static struct both
both_open(void)
{
	const struct ipc_addr loopback = address("127.0.0.1");
	struct both both;
	int answered, listener = life_listen(&both.port, 1);

	both.fd = tcp_connect_start(&loopback, both.port, 1460, &answered);
	assert_int_not_equal(both.fd, -1);
	assert_int_equal(poll(&(struct pollfd){ listener, POLLIN, 0 }, 1, 5000),
	    1);
	both.server = accept(listener, NULL, NULL);
	assert_int_not_equal(both.server, -1);
	close(listener);
	return (both);
}

/* So one that is held by another takes no byte with MSG_FASTOPEN. */
static void
a_settled_connection_is_known_to_stand(void **state)
{
	const struct ipc_addr loopback = address("127.0.0.1");
	struct both both = both_open();
	struct sockaddr_in sin = loopback_at(INADDR_LOOPBACK, both.port);

	(void)state;
	assert_int_equal(poll(&(struct pollfd){ both.fd, POLLOUT, 0 }, 1, 5000),
	    1);
	tcp_connect_settle(both.fd, &loopback, both.port);
	assert_int_equal(connect(both.fd, (struct sockaddr *)&sin, sizeof(sin)),
	    -1);
	assert_int_equal(errno, EISCONN);
	close(both.fd);
	close(both.server);
}

static void
what_came_before_a_reset_outlives_settling(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	const struct ipc_addr loopback = address("127.0.0.1");
	struct both both = both_open();
	struct pollfd pfd = { both.fd, 0, 0 };
	char c;

	(void)state;
	assert_int_equal(write(both.server, "x", 1), 1);
	setsockopt(both.server, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(both.server);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_true(pfd.revents & POLLERR);
	tcp_connect_settle(both.fd, &loopback, both.port);
	assert_int_equal(read(both.fd, &c, 1), 1);
	close(both.fd);
}

static void
a_reset_keeps_no_descriptor(void **state)
{
	struct both both = both_open();

	(void)state;
	tcp_reset(both.fd);
	assert_int_equal(fcntl(both.fd, F_GETFD), -1);
	close(both.server);
}

static void
every_errno_of_a_connect_has_a_verdict(void **state)
{
	static const struct {
		int error;
		enum flow_verdict verdict;
	} rows[] = {
		{ ECONNREFUSED, VERDICT_REFUSED },
		{ ECONNRESET, VERDICT_RESET },
		{ EPIPE, VERDICT_RESET },
		{ ENETUNREACH, VERDICT_NET_UNREACH },
		{ ENETDOWN, VERDICT_NET_UNREACH },
		{ EAFNOSUPPORT, VERDICT_NET_UNREACH },
		{ EHOSTUNREACH, VERDICT_HOST_UNREACH },
		{ EHOSTDOWN, VERDICT_HOST_UNREACH },
		{ ETIMEDOUT, VERDICT_TIMEOUT },
		{ EMFILE, VERDICT_RESOURCES },
		{ ENFILE, VERDICT_RESOURCES },
		{ ENOBUFS, VERDICT_RESOURCES },
		{ ENOMEM, VERDICT_RESOURCES },
		{ EAGAIN, VERDICT_RESOURCES },
		{ EADDRNOTAVAIL, VERDICT_RESOURCES },
		{ EACCES, VERDICT_DENIED },
		{ EPERM, VERDICT_DENIED },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(tcp_connect_verdict(rows[i].error),
		    rows[i].verdict);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connect_that_met_itself_is_refused),
		cmocka_unit_test(
		    a_connect_from_the_same_port_of_another_address_stands),
		cmocka_unit_test(
		    a_connect_that_fails_at_once_keeps_no_descriptor),
		cmocka_unit_test(a_server_that_is_near_has_answered_at_once),
		cmocka_unit_test(a_server_that_is_silent_has_not),
		cmocka_unit_test(the_guests_mss_is_announced_within_its_bounds),
		cmocka_unit_test(a_settled_connection_is_known_to_stand),
		cmocka_unit_test(what_came_before_a_reset_outlives_settling),
		cmocka_unit_test(a_reset_keeps_no_descriptor),
		cmocka_unit_test(every_errno_of_a_connect_has_a_verdict),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
