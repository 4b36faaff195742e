#ifndef RELAYPROC_OUTBOUND_H
#define RELAYPROC_OUTBOUND_H

#include <stdint.h>

#include "ipc/proto.h"

/* The guest's connects, from netproc's request to the connected socket. */

struct relayproc;

/*
 * netproc's FLOW_OPEN: judges it and answers a denial at once.  Everything
 * else waits for outbound_admit().  IPC_OK, or the error of flow_open().
 */
enum ipc_error outbound_open(struct relayproc *rp, uint32_t slot,
    uint32_t generation, const struct ipc_flow_open *req, uint64_t now_ms);

/* Starts as many of the waiting connects as the budget has places for. */
void outbound_admit(struct relayproc *rp, uint64_t now_ms);

/* Ends the waits and connects that took too long. */
void outbound_expire(struct relayproc *rp, uint64_t now_ms);

/* When outbound_admit() or outbound_expire() has something to do. */
uint64_t outbound_deadline_ms(const struct relayproc *rp, uint64_t now_ms);

#endif
