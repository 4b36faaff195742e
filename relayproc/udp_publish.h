#ifndef RELAYPROC_UDP_PUBLISH_H
#define RELAYPROC_UDP_PUBLISH_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "relayproc/assoc.h"
#include "relayproc/publish_accept.h"

/* Published UDP ports: the parent has bound them, clients are told apart. */

struct relayproc;

struct udp_listener {
	struct dgram_source source;
	struct relayproc *owner; /* borrowed, for event callbacks */
	uint16_t guest_port;
	uint8_t flags; /* ASSOC_PRESERVE or none, of what clients send */
};

struct udp_publish {
	struct udp_listener list[LISTENERS_MAX];
	size_t n;
};

/* Consumes fd.  0, or -1 with errno (fd is closed then too). */
int udp_publish_add(struct relayproc *rp, const struct ipc_listener *msg,
    int fd);

/* Starts to read; before it datagrams wait in the kernel's buffer. */
void udp_publish_start(struct relayproc *rp);

/* Stops for good. */
void udp_publish_stop(struct relayproc *rp);

/*
 * netproc's ASSOC_SEND of an inbound slot: to the client, from the port that
 * it has sent to.  IPC_OK, or the error of assoc_client_named().
 */
enum ipc_error udp_publish_answer(struct relayproc *rp,
    const struct ipc_msg *msg, const struct ipc_assoc_data *data,
    uint64_t now_ms);

#endif
