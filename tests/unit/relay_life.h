#ifndef TESTS_UNIT_RELAY_LIFE_H
#define TESTS_UNIT_RELAY_LIFE_H

#include "relayproc/relayproc.h"

/*
 * A relayproc that lives inside a test, without its jail: the test holds the
 * other ends of its three channels, as parent and as netproc, and turns its
 * loop by hand.
 */

struct life {
	struct relayproc *rp;
	struct channel parent;	    /* we as the parent */
	struct channel peer, dgram; /* we as netproc */
	struct ipc_config_relayproc config;
	uint32_t records;
	uint32_t generation; /* the last that life_open() used */
	char log[8192];	     /* every line that relayproc said */
};

/* The defaults of the program, with short timeouts and few slots. */
void life_init(struct life *life);

/* One word of the configuration, before life_start(). */
void life_config(struct life *life, enum ipc_type type, const void *payload,
    size_t len, int fd);
void life_rule(struct life *life, enum rule_action action, const char *cidr);
void life_resolver(struct life *life, const char *addr, uint16_t port);
void life_listener(struct life *life, int fd, uint16_t guest_port);

/* Says the limits and CONFIG_DONE; life_start() does it too. */
void life_configure(struct life *life);

void life_start(struct life *life);
void life_end(struct life *life);

/* Of one that life_start() has not started: it lives elsewhere, or nowhere. */
void life_drop_relayproc(struct life *life);

/* The end of one that life_start() has not started. */
void life_abandon(struct life *life);

/*
 * Turns the loop once without waiting; does nothing without life->rp, when
 * relayproc lives in a process of its own.
 */
void life_turn(struct life *life);

/* Turns the loop until a message comes on ch; fails the test after 5 s. */
void life_receive(struct life *life, struct channel *ch, struct ipc_msg *msg);

/* The same, and it has to be of this type. */
void life_expect(struct life *life, struct channel *ch, enum ipc_type type,
    struct ipc_msg *msg);

/* Turns the loop for ms, in which nothing may come on ch. */
void life_expect_silence(struct life *life, struct channel *ch, uint64_t ms);

/* The parent is told that netproc broke the protocol by this error. */
void life_expect_violation(struct life *life, enum ipc_error error);

/* Says FLOW_OPEN; returns the generation. */
uint32_t life_open(struct life *life, uint32_t slot, const char *dst,
    uint16_t port);
void life_close(struct life *life, uint32_t slot, uint32_t generation,
    enum flow_close_reason reason);

/* FLOW_FAILED of this slot with this verdict has to come. */
void life_expect_failed(struct life *life, uint32_t slot,
    enum flow_verdict verdict);

/* FLOW_OPENED of this slot has to come; returns owned: the lent socket. */
int life_expect_opened(struct life *life, uint32_t slot);

void life_expect_closed(struct life *life, uint32_t slot);

/* Returns owned: a socket on a free port of loopback, in *port. */
int life_listen(uint16_t *port, int backlog);
int life_udp(uint16_t *port);

/*
 * Returns owned: a listener whose queue is full, so that the kernel drops
 * SYNs to it; its nfill clients are put in fill, owned.
 */
int life_blackhole(uint16_t *port, int *fill, size_t nfill);

/* Says DNS_QUERY; the guest's port is 1000 + slot. */
void life_ask(struct life *life, uint32_t slot, uint32_t generation,
    const char *text);
void life_ask_bytes(struct life *life, uint32_t slot, uint32_t generation,
    const void *data, size_t len);

/* Returns owned: the next client of a listener; turns the loop meanwhile. */
int life_accept(struct life *life, int listener);

/* Waits until fd is readable, turning the loop. */
void life_wait_readable(struct life *life, int fd);

/* For cmocka: *state becomes a struct life that is set up, not started. */
int life_setup(void **state);
int life_teardown(void **state);

/* life_start() with loopback allowed. */
void start_with_loopback(struct life *life);

/* An opened flow to a server on loopback: both ends. */
struct pair {
	int lent, server, listener;
	uint32_t generation;
	uint16_t port;
};

struct pair pair_open(struct life *life, uint32_t slot);

/* Closes the server's side; lent is the test's to close. */
void pair_free(struct pair *pair);

/* Both halves end in order, as netproc brings it about; lent is closed. */
void pair_end(struct life *life, struct pair *pair);

/* What the server reads next: bytes, 0 at the end, or minus errno. */
int server_reads(struct life *life, int fd);

#endif
