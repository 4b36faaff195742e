#ifndef NETPROC_FLOW_DATAGRAM_H
#define NETPROC_FLOW_DATAGRAM_H

#include <sys/uio.h>

#include <stdint.h>

#include "ipc/channel.h"

struct assoc;
struct netproc;
struct shield_frame;

/*
 * UDP and ICMP echo between the guest and relayproc's sockets.  Datagrams of
 * one turn that go to one peer, all of one length, cross as one record.
 */

/* What waits to be sent as one record; its bytes are where they were read. */
struct datagram_batch {
	struct assoc *assoc; /* NULL: empty */
	struct ipc_assoc_data data;
	struct iovec iov[CHANNEL_TAIL_IOV];
	int niov;
	size_t bytes;
};

/* From the guest.  frame passed the shield as UDP, or as an ICMP echo. */
void datagram_udp(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf);
void datagram_echo(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf);

/* Sends the batch; before the bytes that it points to go away. */
void datagram_flush(struct netproc *np);

/* From relayproc: ASSOC_RECV and ASSOC_ERROR. */
enum ipc_error datagram_received(struct netproc *np, const struct ipc_msg *msg);
enum ipc_error datagram_failed(struct netproc *np, const struct ipc_msg *msg);

/* Ends what has been idle; and all of it, when the guest has gone. */
void datagram_expire(struct netproc *np);
void datagram_forget_all(struct netproc *np);

#endif
