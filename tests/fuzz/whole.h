#ifndef TESTS_FUZZ_WHOLE_H
#define TESTS_FUZZ_WHOLE_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "netproc/flow/flow.h"
#include "netproc/netproc.h"
#include "tests/fuzz/fuzz.h"

/*
 * All of netproc in one process, between ends that an input plays: the VMM at
 * the frame socket, relayproc and the parent at the channels, remote hosts at
 * the lent sockets, and time.
 *
 *	whole_start.c	makes netproc once, looks after each input that all
 *			has been given back
 *	whole_loop.c	libevent's few calls on epoll, with time of our own
 *	whole_frame.c	each frame of the guest in memory of exactly its size
 *	whole_guest.c	the guest: connections whose bytes are known
 *	whole_packet.c	its packets
 *	whole_wire.c	what reaches the guest is checked, every frame
 *	whole_relay.c	relayproc
 *	whole_remote.c	the remote hosts
 *
 * Properties that no input may break: every frame is well formed, its
 * checksums are right, its TCP payload is what the remote host sent, there;
 * what reaches a remote host is what the guest sent; no byte of memory that
 * nobody wrote leaves (WHOLE_CANARY); the loop comes to rest; after the guest
 * has gone nothing is held.
 */

/* Fresh memory is full of it, no input and no pattern of ours has it. */
#define WHOLE_CANARY	 0xca
#define WHOLE_CANARY_RUN 4 /* so many in a row are no checksum */

#define WHOLE_CONNS   12 /* 8 that the guest calls, 4 that call it */
#define WHOLE_OUT     8
#define WHOLE_REMOTES 48 /* sockets lent in one input */
#define WHOLE_PENDING 16
#define WHOLE_SPORT   40000 /* of the guest's connection 0 */

/* The guest's end of one connection. */
struct whole_conn {
	int used;
	struct ipc_addr peer; /* as the guest sees it */
	uint16_t guest_port, peer_port;
	uint32_t iss, snd_nxt;
	uint32_t irs, rcv_nxt;
	int heard;   /* irs and rcv_nxt are known */
	int remote;  /* whose bytes arrive, -1: not known */
	int settled; /* inbound: netproc has taken our SYN, iss is its number */
	uint32_t seen; /* timestamp to echo */
};

/* A remote host's end of a lent socket. */
struct whole_remote {
	int fd;		  /* -1: closed */
	int conn;	  /* -1: not known */
	uint32_t iss;	  /* of the guest, which names its bytes */
	uint32_t written; /* bytes to the guest, ever */
	uint32_t read;	  /* bytes of the guest, ever */
	int unread;	  /* the order of what comes is not known */
	uint16_t guest_port;
	int spliced; /* relayproc's end of a stream, whose end it says */
	uint32_t slot, generation;
	enum flow_end ended;
};

struct whole_open {
	uint32_t slot, generation;
	int conn;
	uint32_t iss;
};

struct whole_assoc {
	uint32_t slot, generation;
	struct ipc_assoc_data data;
};

struct whole_query {
	uint32_t slot, generation;
	uint8_t message[64];
	size_t len;
};

struct whole {
	struct netproc *np;
	struct channel parent, relay, dgram; /* the others' ends */
	uint64_t now_ms;

	/* VMM */
	int vmm; /* its end of the frame socket, -1: none */
	int vmm_paused;
	size_t split; /* bytes of one write, 0: all */
	uint8_t *in;  /* from netproc, not yet a frame */
	size_t in_len;
	int in_step; /* what comes from netproc is whole frames */

	/* guest */
	struct whole_conn conns[WHOLE_CONNS];
	uint16_t ip_id;
	int tainted; /* bytes were sent that no pattern names */

	/* relayproc and the hosts behind it */
	int relay_paused, open_at_once, close_late;
	struct whole_open open[WHOLE_PENDING];
	size_t nopen;
	struct whole_open closed[WHOLE_PENDING];
	size_t nclosed;
	struct whole_assoc assoc[WHOLE_PENDING];
	size_t nassoc;
	struct whole_query query[WHOLE_PENDING];
	size_t nquery;
	struct whole_remote remotes[WHOLE_REMOTES];
	size_t nremotes;
	uint32_t inbound_generation;
};

/* Reads an input's bytes; past its end they are 0. */
struct whole_bytes {
	const uint8_t *at;
	size_t left;
};

uint8_t whole_u8(struct whole_bytes *in);
uint16_t whole_u16(struct whole_bytes *in);

extern struct whole whole;

/* whole_start.c */
void whole_start(void);
void whole_begin(uint8_t choices);
void whole_end(void);
void whole_attach(struct whole_bytes *journal);

/* 1 while memory that is asked for is netproc's; starve_main.c. */
extern volatile int whole_starving; /* malloc(3) has no other effects */

/* Turns until all has been said; then the guest and relayproc listen. */
void whole_settle(void);

/* whole_loop.c */
extern unsigned int whole_nevents; /* callbacks, ever */
void whole_pass_time(uint64_t ms);
int whole_due(uint64_t *at_ms);

/* whole_guest.c */
void whole_guest_tcp(struct whole_bytes *in);
void whole_guest_udp(struct whole_bytes *in);
void whole_guest_frame(struct whole_bytes *in);
uint8_t whole_up_byte(int conn, uint32_t iss, uint32_t at);

/* whole_packet.c: len bytes of payload behind the headers; the frame's size. */
#define WHOLE_FRAME_MAX 65550
struct whole_conn_id {
	struct ipc_addr peer;
	uint16_t guest_port, peer_port;
};
size_t whole_packet_tcp(uint8_t *frame, const struct whole_conn *conn,
    uint8_t flags, uint32_t seq, const uint8_t *options, size_t options_len,
    uint16_t window, size_t len);
size_t whole_packet_udp(uint8_t *frame, const struct whole_conn_id *id,
    const uint8_t *payload, size_t len);
void whole_packet_fix(uint8_t *frame, size_t len, uint8_t choices);
void whole_send(const uint8_t *frame, size_t len, int more);

/* whole_wire.c */
int whole_vmm_read(size_t max);
void whole_scan(const void *bytes, size_t len);
void whole_scan_record(const struct ipc_msg *msg);

/* whole_relay.c */
int whole_relay_listen(void);
void whole_relay_say(struct whole_bytes *in);
void whole_relay_raw(struct whole_bytes *in);
void whole_relay_tell(enum ipc_type type, uint32_t slot, uint32_t generation,
    const void *payload, size_t len);
void whole_relay_forget(void);

/*
 * whole_remote.c.  new makes a connected pair, of which the remote host keeps
 * one end: returns ours, or -1.  splice says that the last one made is of a
 * spliced flow, and returns spliced.
 */
int whole_remote_new(int conn, uint32_t iss, uint16_t guest_port, int small);
uint32_t whole_remote_splice(uint32_t slot, uint32_t generation, int spliced);
void whole_remote_act(struct whole_bytes *in);
uint8_t whole_down_byte(int remote, uint32_t at);

#endif
