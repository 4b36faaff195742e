#ifndef RELAYPROC_UDP_ASSOC_H
#define RELAYPROC_UDP_ASSOC_H

#include <stdint.h>

#include "ipc/channel.h"

/* The guest's datagrams, UDP and ICMP echo, to the host's network and back. */

struct assoc;
struct relayproc;

/*
 * netproc's ASSOC_SEND of either direction.  IPC_OK, IPC_E_FIELD (a field out
 * of its range), or the error of assoc_lookup() or assoc_client_named().
 */
enum ipc_error udp_assoc_send(struct relayproc *rp, const struct ipc_msg *msg,
    uint64_t now_ms);

/* netproc's ASSOC_CLOSE of either direction. */
enum ipc_error udp_assoc_close(struct relayproc *rp, const struct ipc_hdr *hdr);

/* Ends what is idle for too long. */
void udp_assoc_expire(struct relayproc *rp, uint64_t now_ms);

/* Ends all, without a word. */
void udp_assoc_stop(struct relayproc *rp);

#endif
