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

/*
 * Logs how many lines were suppressed once there may be lines again, though
 * nothing more is denied; that time, or UINT64_MAX; and at the end at once.
 */
void denial_settle(struct relayproc *rp, uint64_t now_ms);
uint64_t denial_deadline_ms(const struct relayproc *rp);
void denial_end(struct relayproc *rp);

#endif
