#include <sys/ioctl.h>
#include <sys/socket.h>

#include <net/if.h>
#include <netinet/in.h>

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/relay_dgram.h"

static const char *skip_reason;

void
need_namespace(void)
{
	if (skip_reason == NULL)
		return;
	print_message("# %s\n", skip_reason);
	skip();
}

void
pings_allow(const char *range)
{
	int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, range, strlen(range)), strlen(range));
	close(fd);
}

void
namespace_enter(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd;

	if (unshare(CLONE_NEWNET) == -1) {
		skip_reason = "no network namespace of our own";
		return;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_mtu = LINK_MTU;
	if (fd == -1 || ioctl(fd, SIOCSIFMTU, &ifr) == -1)
		skip_reason = "no MTU for loopback";
	memset(&ifr.ifr_ifru, 0, sizeof(ifr.ifr_ifru));
	ifr.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
	if (fd == -1 || ioctl(fd, SIOCSIFFLAGS, &ifr) == -1)
		skip_reason = "no loopback";
	if (fd != -1)
		close(fd);
}

static struct ipc_assoc_data
data_to(const struct target *to)
{
	struct ipc_assoc_data data = {
		.peer_port = to->port,
		.guest_port = GUEST_PORT,
		.segment_len = to->segment_len,
		.proto = to->proto != 0 ? to->proto : IPPROTO_UDP,
		.flags = to->flags,
	};

	assert_int_equal(addr_parse(to->addr, &data.peer), 0);
	return (data);
}

void
assoc_send(struct life *life, uint32_t slot, uint32_t generation,
    const struct target *to, const void *bytes, size_t len)
{
	const struct ipc_assoc_data data = data_to(to);

	assert_int_equal(channel_send_tail(&life->dgram, IPC_ASSOC_SEND, slot,
			     generation, &data, sizeof(data), bytes, len),
	    0);
}

void
expect_error(struct life *life, enum flow_verdict verdict,
    struct ipc_assoc_error *error)
{
	struct ipc_msg msg;

	life_expect(life, &life->dgram, IPC_ASSOC_ERROR, &msg);
	memcpy(error, msg.payload, sizeof(*error));
	assert_int_equal(error->verdict, verdict);
}

size_t
expect_recv(struct life *life, struct ipc_assoc_data *data, uint8_t *bytes,
    size_t size)
{
	struct ipc_msg msg;

	life_expect(life, &life->dgram, IPC_ASSOC_RECV, &msg);
	memcpy(data, msg.payload, sizeof(*data));
	assert_true(msg.tail_len <= size);
	memcpy(bytes, msg.tail, msg.tail_len);
	return (msg.tail_len);
}

static struct server
server_bind(const char *addr, uint16_t port)
{
	struct server server = { .len = sizeof(server.from) };
	struct ipc_addr parsed;
	socklen_t len;

	assert_int_equal(addr_parse(addr, &parsed), 0);
	len = addr_to_sockaddr(&parsed, port, &server.from);
	server.fd = socket(server.from.ss_family,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_not_equal(server.fd, -1);
	assert_int_equal(bind(server.fd, (struct sockaddr *)&server.from, len),
	    0);
	assert_int_equal(getsockname(server.fd, (struct sockaddr *)&server.from,
			     &server.len),
	    0);
	addr_from_sockaddr((struct sockaddr *)&server.from, &parsed,
	    &server.port);
	return (server);
}

struct server
server_open(const char *addr, uint16_t port)
{
	struct server any;

	/* A port that was not named is lost by a connect to nobody. */
	if (port == 0) {
		any = server_bind(addr, 0);
		close(any.fd);
		port = any.port;
	}
	return (server_bind(addr, port));
}

size_t
server_gets(struct life *life, struct server *server, void *buf, size_t size)
{
	ssize_t n;

	life_wait_readable(life, server->fd);
	server->len = sizeof(server->from);
	n = recvfrom(server->fd, buf, size, 0, (struct sockaddr *)&server->from,
	    &server->len);
	assert_int_not_equal(n, -1);
	return ((size_t)n);
}

void
server_says(struct server *server, const void *buf, size_t len)
{
	assert_int_equal(sendto(server->fd, buf, len, 0,
			     (struct sockaddr *)&server->from, server->len),
	    len);
}

uint16_t
server_peer_port(const struct server *server)
{
	struct ipc_addr addr;
	uint16_t port = 0;

	addr_from_sockaddr((const struct sockaddr *)&server->from, &addr,
	    &port);
	return (port);
}

void
udp_listener_add(struct life *life, const struct server *server,
    const char *bind_addr)
{
	struct ipc_listener listener = {
		.proto = IPPROTO_UDP,
		.guest_port = 5353,
	};

	addr_parse(bind_addr, &listener.bind);
	life_config(life, IPC_CONFIG_LISTENER, &listener, sizeof(listener),
	    server->fd);
}

struct server
client_of(const char *addr, uint16_t port)
{
	struct server client = server_open(addr, 0);
	struct ipc_addr parsed;

	addr_parse(addr, &parsed);
	client.len = addr_to_sockaddr(&parsed, port, &client.from);
	return (client);
}
