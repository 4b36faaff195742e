#ifndef TESTS_UNIT_RELAY_DGRAM_H
#define TESTS_UNIT_RELAY_DGRAM_H

#include <sys/socket.h>

#include "tests/unit/relay_jail.h"

/*
 * Datagrams through a relayproc behind its filter, in a network namespace of
 * our own, whose loopback has a small MTU.
 */

#define LINK_MTU   1500
#define NOFILE	   64
#define GUEST_PORT 40000 /* in the kernel's default ip_local_port_range */

/* Once, before the tests. */
void namespace_enter(void);

/* Skips the test where there is no such namespace. */
void need_namespace(void);

/* Writes net.ipv4.ping_group_range. */
void pings_allow(const char *range);

/* What a test sends to. */
struct target {
	const char *addr;
	uint16_t port;
	uint8_t proto; /* 0: IPPROTO_UDP */
	uint8_t flags;
	uint16_t segment_len;
};

/* Says ASSOC_SEND; the guest's port is GUEST_PORT. */
void assoc_send(struct life *life, uint32_t slot, uint32_t generation,
    const struct target *to, const void *bytes, size_t len);

/* ASSOC_ERROR with this verdict has to come. */
void expect_error(struct life *life, enum flow_verdict verdict,
    struct ipc_assoc_error *error);

/* ASSOC_RECV has to come.  Returns its tail's length. */
size_t expect_recv(struct life *life, struct ipc_assoc_data *data,
    uint8_t *bytes, size_t size);

/* A bound UDP socket, a server's or a client's. */
struct server {
	int fd;
	uint16_t port;
	struct sockaddr_storage from; /* of the last datagram */
	socklen_t len;
};

/* Port 0: any. */
struct server server_open(const char *addr, uint16_t port);

/* Returns the length of what the server gets; remembers from whom. */
size_t server_gets(struct life *life, struct server *server, void *buf,
    size_t size);

/* Sends to the same. */
void server_says(struct server *server, const void *buf, size_t len);
uint16_t server_peer_port(const struct server *server);

/* Publishes the guest's port 5353 by it, before life_start(). */
void udp_listener_add(struct life *life, const struct server *server,
    const char *bind_addr);

/* Returns owned: a client's socket, aimed at a published port. */
struct server client_of(const char *addr, uint16_t port);

#endif
