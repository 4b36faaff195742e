#ifndef RELAYPROC_DENIAL_H
#define RELAYPROC_DENIAL_H

#include <stdint.h>

#include "ipc/addr.h"

struct policy_answer;
struct relayproc;

/*
 * Logs that the policy refused the guest a connection.  The first line of
 * each kind names the option that would allow it; 10 lines a second at most.
 */
void denial_log(struct relayproc *rp, const char *proto,
    const struct ipc_addr *dst, uint16_t port,
    const struct policy_answer *answer, uint64_t now_ms);

#endif
