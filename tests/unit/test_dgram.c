#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "relayproc/dgram.h"
#include "tests/unit/relay_dgram.h"

/* The host's datagram sockets, without a relayproc around them. */

/* What was there before is nothing of the new one. */
static void
sock_open(struct dgram_sock *sock, int family, int dual)
{
	*sock = (struct dgram_sock){ 1, 1, 1, 1 };
	assert_int_equal(dgram_open(sock, family, IPPROTO_UDP, dual), 0);
	assert_int_equal(sock->family, family);
	assert_int_equal(sock->proto, IPPROTO_UDP);
	assert_int_equal(sock->df, -1);
}

static void
sock_adopt(struct dgram_sock *sock, int fd, int family, int any_local)
{
	*sock = (struct dgram_sock){ 1, 1, 1, 1 };
	assert_int_equal(dgram_adopt(sock, fd, family, any_local), 0);
	assert_int_equal(sock->fd, fd);
	assert_int_equal(sock->family, family);
	assert_int_equal(sock->proto, IPPROTO_UDP);
	assert_int_equal(sock->df, -1);
}

static int
option(const struct dgram_sock *sock, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = 0;

	assert_int_equal(getsockopt(sock->fd, level, name, &value, &len), 0);
	return (value);
}

static void
expect_roomy(const struct dgram_sock *sock)
{
	struct dgram_sock plain = { .fd = socket(AF_INET, SOCK_DGRAM, 0) };
	socklen_t len = sizeof(int);
	int gathers;

	/* Kernels before 5.16 do not say. */
	if (getsockopt(sock->fd, IPPROTO_UDP, UDP_GRO, &gathers, &len) == 0)
		assert_int_equal(gathers, 1);
	assert_true(option(sock, SOL_SOCKET, SO_RCVBUF) >
	    option(&plain, SOL_SOCKET, SO_RCVBUF));
	dgram_close(&plain);
	assert_int_equal(plain.fd, -1);
}

static void
a_socket_queues_errors_and_gathers_datagrams(void **state)
{
	struct dgram_sock sock;
	int dual;

	(void)state;
	need_namespace();
	sock_open(&sock, AF_INET, 0);
	assert_int_equal(option(&sock, IPPROTO_IP, IP_RECVERR), 1);
	expect_roomy(&sock);
	dgram_close(&sock);
	for (dual = 0; dual < 2; dual++) {
		sock_open(&sock, AF_INET6, dual);
		assert_int_equal(option(&sock, IPPROTO_IPV6, IPV6_RECVERR), 1);
		assert_int_equal(option(&sock, IPPROTO_IP, IP_RECVERR), dual);
		assert_int_equal(option(&sock, IPPROTO_IPV6, IPV6_V6ONLY),
		    !dual);
		expect_roomy(&sock);
		dgram_close(&sock);
	}
}

static void
an_adopted_socket_is_set_up_the_same(void **state)
{
	struct dgram_sock sock;
	int any;

	(void)state;
	need_namespace();
	for (any = 0; any < 2; any++) {
		sock_adopt(&sock, server_open("127.0.0.1", 0).fd, AF_INET, any);
		assert_int_equal(option(&sock, IPPROTO_IP, IP_RECVERR), 1);
		assert_int_equal(option(&sock, IPPROTO_IP, IP_PKTINFO), any);
		expect_roomy(&sock);
		dgram_close(&sock);
		sock_adopt(&sock, server_open("::1", 0).fd, AF_INET6, any);
		assert_int_equal(option(&sock, IPPROTO_IPV6, IPV6_RECVERR), 1);
		assert_int_equal(option(&sock, IPPROTO_IPV6, IPV6_RECVPKTINFO),
		    any);
		expect_roomy(&sock);
		dgram_close(&sock);
	}
}

static void
connect_to(int fd, const char *addr, uint16_t port)
{
	struct sockaddr_storage ss;
	struct ipc_addr parsed;
	socklen_t len;

	assert_int_equal(addr_parse(addr, &parsed), 0);
	len = addr_to_sockaddr(&parsed, port, &ss);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
}

/* By a relayproc that was taken over: all others would not be heard. */
static void
an_adopted_socket_is_connected_to_nobody(void **state)
{
	struct pollfd pfd = { .events = POLLIN };
	struct server server, other;
	struct sockaddr_storage ss;
	struct dgram_sock sock;
	socklen_t len;
	uint16_t port;

	(void)state;
	need_namespace();
	/* Of a peer's port 0, which is any, getpeername(2) says nothing. */
	for (port = 0; port < 2; port++) {
		server = server_open("127.0.0.1", 0);
		connect_to(server.fd, "127.0.0.9", port);
		sock_adopt(&sock, server.fd, AF_INET, 0);
		len = sizeof(ss);
		assert_int_equal(getpeername(sock.fd, (struct sockaddr *)&ss,
				     &len),
		    -1);
		other = server_open("127.0.0.1", 0);
		connect_to(other.fd, "127.0.0.1", server.port);
		assert_int_equal(send(other.fd, "x", 1, 0), 1);
		pfd.fd = sock.fd;
		assert_int_equal(poll(&pfd, 1, 0), 1); /* loopback: at once */
		dgram_close(&sock);
		close(other.fd);
	}
}

/* A connect to a link-local address leaves it behind, also if it fails. */
static void
an_adopted_socket_is_tied_to_no_interface(void **state)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct server server;
	struct dgram_sock sock;

	(void)state;
	need_namespace();
	server = server_open("::1", 0);
	sin6.sin6_addr.s6_addr[0] = 0xfe;
	sin6.sin6_addr.s6_addr[1] = 0x80;
	sin6.sin6_addr.s6_addr[15] = 1;
	sin6.sin6_scope_id = 1; /* loopback: the first of a namespace */
	sock.fd = server.fd;
	assert_int_equal(connect(server.fd, (struct sockaddr *)&sin6,
			     sizeof(sin6)),
	    -1);
	assert_int_equal(option(&sock, SOL_SOCKET, SO_BINDTOIFINDEX), 1);
	sock_adopt(&sock, server.fd, AF_INET6, 0);
	assert_int_equal(option(&sock, SOL_SOCKET, SO_BINDTOIFINDEX), 0);
	dgram_close(&sock);
}

static struct dgram_to
to_server(const struct server *server, const char *addr)
{
	struct dgram_to to = { .port = server->port };

	assert_int_equal(addr_parse(addr, &to.addr), 0);
	return (to);
}

static size_t
server_takes(struct server *server, void *buf, size_t size)
{
	struct pollfd pfd = { server->fd, POLLIN, 0 };
	ssize_t n;

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	n = recv(server->fd, buf, size, 0);
	assert_int_not_equal(n, -1);
	return ((size_t)n);
}

/* Said of each datagram, in whichever order they come. */
static void
df_is_kept_to(int family, const char *addr)
{
	static uint8_t big[LINK_MTU + 1];
	struct server server = server_open(addr, 0);
	const struct dgram_to to = to_server(&server, addr);
	struct dgram_sock sock;
	size_t sent;
	int df;

	sock_open(&sock, family, 0);
	for (df = 1; df > -3; df--) {
		sent = 0;
		assert_int_equal(dgram_send(&sock, &to, big, sizeof(big), 0,
				     df & 1, &sent),
		    df & 1 ? EMSGSIZE : 0);
		assert_int_equal(sent, df & 1 ? 0 : sizeof(big));
		if ((df & 1) == 0)
			assert_int_equal(server_takes(&server, big,
					     sizeof(big)),
			    sizeof(big));
	}
	dgram_close(&sock);
	close(server.fd);
}

static void
each_datagram_says_if_it_may_be_fragmented(void **state)
{
	(void)state;
	need_namespace();
	df_is_kept_to(AF_INET, "127.0.0.1");
	df_is_kept_to(AF_INET6, "::1");
}

/* As a host service does; other sockets of IPv6 have no way there. */
static void
a_dual_socket_reaches_ipv4_and_hears_it(void **state)
{
	struct server server = server_open("127.0.0.7", 0);
	const struct dgram_to to = to_server(&server, "127.0.0.7");
	struct dgram_batch *batch = dgram_batch_new();
	struct dgram_sock sock;
	struct pollfd pfd;
	struct dgram dgram;
	size_t sent = 0;
	uint8_t buf[8];

	(void)state;
	need_namespace();
	sock_open(&sock, AF_INET6, 1);
	assert_int_equal(dgram_recv(&sock, batch), 0);
	assert_int_equal(dgram_send(&sock, &to, (const uint8_t *)"x", 1, 0, 0,
			     &sent),
	    0);
	assert_int_equal(recvfrom(server.fd, buf, sizeof(buf), 0,
			     (struct sockaddr *)&server.from, &server.len),
	    1);
	server_says(&server, "yz", 2);
	pfd = (struct pollfd){ sock.fd, POLLIN, 0 };
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(dgram_recv(&sock, batch), 1);
	dgram_get(batch, 0, &dgram);
	assert_true(addr_equal(&dgram.peer, &to.addr));
	assert_int_equal(dgram.peer_port, server.port);
	assert_int_equal(dgram.len, 2);
	assert_int_equal(dgram.link, 0);
	assert_int_equal(dgram.local.family, 0);
	dgram_close(&sock);
	sock_open(&sock, AF_INET6, 0);
	assert_int_equal(dgram_send(&sock, &to, (const uint8_t *)"x", 1, 0, 0,
			     &sent),
	    ENETUNREACH);
	dgram_close(&sock);
	dgram_batch_free(batch);
	close(server.fd);
}

#define SEGMENT 100

/* Of each size, from where it was left the last time, the last one shorter. */
static void
a_batch_goes_on_where_it_was_left(void **state)
{
	static uint8_t out[SEGMENT * ASSOC_SEGMENTS_MAX];
	const size_t lens[] = { SEGMENT, SEGMENT + 1, 3 * SEGMENT - 1,
		sizeof(out) };
	struct server server = server_open("127.0.0.1", 0);
	const struct dgram_to to = to_server(&server, "127.0.0.1");
	uint8_t in[2 * SEGMENT];
	size_t i, at, from, one, sent;
	struct dgram_sock sock;

	(void)state;
	need_namespace();
	for (i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7);
	sock_open(&sock, AF_INET, 0);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		for (from = 0; from < lens[i]; from += SEGMENT) {
			sent = from;
			assert_int_equal(dgram_send(&sock, &to, out, lens[i],
					     SEGMENT, 0, &sent),
			    0);
			assert_int_equal(sent, lens[i]);
			for (at = from; at < lens[i]; at += one) {
				one = server_takes(&server, in, sizeof(in));
				assert_int_equal(one,
				    lens[i] - at < SEGMENT ? lens[i] - at :
							     SEGMENT);
				assert_memory_equal(in, out + at, one);
			}
		}
	}
	dgram_close(&sock);
	close(server.fd);
}

/* Segments longer than a packet: one by one, cut by the host. */
static void
a_batch_that_the_kernel_cannot_cut_goes_all_the_same(void **state)
{
	static uint8_t out[3 * 2 * LINK_MTU - 1], in[2 * LINK_MTU];
	struct server server = server_open("127.0.0.1", 0);
	const struct dgram_to to = to_server(&server, "127.0.0.1");
	struct dgram_sock sock;
	size_t i, sent = 0;

	(void)state;
	need_namespace();
	for (i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7);
	sock_open(&sock, AF_INET, 0);
	assert_int_equal(dgram_send(&sock, &to, out, sizeof(out), sizeof(in), 0,
			     &sent),
	    0);
	assert_int_equal(sent, sizeof(out));
	for (i = 0; i < 3; i++) {
		assert_int_equal(server_takes(&server, in, sizeof(in)),
		    i < 2 ? sizeof(in) : sizeof(in) - 1);
		assert_memory_equal(in, out + i * sizeof(in), sizeof(in) - 1);
	}
	dgram_close(&sock);
	close(server.fd);
}

/*
 * Each datagram is answered with an error, which stops the batch behind it:
 * it goes on from there, and none is sent twice.
 */
static void
a_batch_that_meets_errors_is_sent_whole_and_once(void **state)
{
	static const uint8_t out[5 * 2 * LINK_MTU];
	struct server server = server_open("127.0.0.1", 0);
	const struct dgram_to to = to_server(&server, "127.0.0.1");
	struct dgram_error why;
	struct dgram_sock sock;
	size_t n, len, sent;
	int error, errors;

	(void)state;
	need_namespace();
	close(server.fd);
	for (n = 2; n <= 5; n++) {
		sock_open(&sock, AF_INET, 0);
		len = n * 2 * LINK_MTU;
		sent = 0;
		do {
			error = dgram_send(&sock, &to, out, len, 2 * LINK_MTU,
			    0, &sent);
			assert_int_equal(error == 0, sent == len);
			assert_true(error == 0 || error == ECONNREFUSED);
		} while (error != 0);
		for (errors = 0; dgram_error_take(&sock, &why) == 1; errors++)
			assert_int_equal(why.verdict, VERDICT_REFUSED);
		assert_int_equal(errors, n);
		dgram_close(&sock);
	}
}

/* One call into the kernel, which may be one packet of the card's. */
static void
a_batch_leaves_in_one_piece(void **state)
{
	static uint8_t bytes[4 * SEGMENT];
	struct server server = server_open("127.0.0.1", 0);
	const struct dgram_to to = to_server(&server, "127.0.0.1");
	const int on = 1;
	struct dgram_sock sock;
	size_t sent = 0;

	(void)state;
	need_namespace();
	if (setsockopt(server.fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) == -1)
		skip();
	sock_open(&sock, AF_INET, 0);
	assert_int_equal(dgram_send(&sock, &to, bytes, sizeof(bytes), SEGMENT,
			     0, &sent),
	    0);
	assert_int_equal(server_takes(&server, bytes, sizeof(bytes)),
	    sizeof(bytes));
	dgram_close(&sock);
	close(server.fd);
}

static void
an_adopted_socket_says_to_which_address_a_datagram_came(void **state)
{
	struct server server = server_open("0.0.0.0", 0), client;
	const struct dgram_to asked = to_server(&server, "127.0.0.7");
	struct dgram_batch *batch = dgram_batch_new();
	struct dgram_sock sock;
	struct dgram dgram;

	(void)state;
	need_namespace();
	sock_adopt(&sock, server.fd, AF_INET, 1);
	client = client_of("127.0.0.1", server.port);
	client.len = addr_to_sockaddr(&asked.addr, server.port, &client.from);
	server_says(&client, "x", 1);
	assert_int_equal(poll(&(struct pollfd){ sock.fd, POLLIN, 0 }, 1, 5000),
	    1);
	assert_int_equal(dgram_recv(&sock, batch), 1);
	dgram_get(batch, 0, &dgram);
	assert_true(addr_equal(&dgram.local, &asked.addr));
	assert_int_equal(dgram.peer_port, client.port);
	dgram_batch_free(batch);
	dgram_close(&sock);
	close(client.fd);
}

static void
a_batch_counts_its_datagrams(void **state)
{
	(void)state;
	assert_int_equal(dgram_segments(0, 0), 1);
	assert_int_equal(dgram_segments(9, 0), 1);
	assert_int_equal(dgram_segments(0, 4), 1);
	assert_int_equal(dgram_segments(4, 4), 1);
	assert_int_equal(dgram_segments(5, 4), 2);
	assert_int_equal(dgram_segments(8, 4), 2);
	assert_int_equal(dgram_segments(9, 4), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_queues_errors_and_gathers_datagrams),
		cmocka_unit_test(an_adopted_socket_is_set_up_the_same),
		cmocka_unit_test(an_adopted_socket_is_connected_to_nobody),
		cmocka_unit_test(an_adopted_socket_is_tied_to_no_interface),
		cmocka_unit_test(each_datagram_says_if_it_may_be_fragmented),
		cmocka_unit_test(a_dual_socket_reaches_ipv4_and_hears_it),
		cmocka_unit_test(a_batch_goes_on_where_it_was_left),
		cmocka_unit_test(
		    a_batch_that_the_kernel_cannot_cut_goes_all_the_same),
		cmocka_unit_test(
		    a_batch_that_meets_errors_is_sent_whole_and_once),
		cmocka_unit_test(a_batch_leaves_in_one_piece),
		cmocka_unit_test(
		    an_adopted_socket_says_to_which_address_a_datagram_came),
		cmocka_unit_test(a_batch_counts_its_datagrams),
	};

	namespace_enter();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
