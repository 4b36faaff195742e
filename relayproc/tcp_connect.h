#ifndef RELAYPROC_TCP_CONNECT_H
#define RELAYPROC_TCP_CONNECT_H

#include <stdint.h>

#include "ipc/proto.h"

/* The host's TCP sockets.  No policy here: the caller has asked it. */

/*
 * Starts a connect to dst, port in host byte order, mss the guest's in bytes.
 * Returns owned: a non-blocking socket that will become writable, or is
 * connected (answered is 1 then); or -1 with errno, that of connect(2)
 * included.
 */
int tcp_connect_start(const struct ipc_addr *dst, uint16_t port, uint16_t mss,
    int *answered);

/*
 * The outcome, once the socket that was to reach dst is writable or connected.
 * 0, or an errno value.  Never call it after the socket was lent: the error is
 * told once, and is netproc's then.
 */
int tcp_connect_result(int fd, const struct ipc_addr *dst, uint16_t port);

/*
 * Has the kernel know that the connection to dst stands: until connect(2) has
 * said so, one send with MSG_FASTOPEN would still go into it, which the filter
 * lets through (dgram.h).  Not at once: a reset that comes in this moment costs
 * what came before it, and servers that reset at once do it then.
 */
void tcp_connect_settle(int fd, const struct ipc_addr *dst, uint16_t port);

/*
 * 1 if the connection was reset, or given up, and nobody has been told: the
 * error is told once, here or where a call meets it.
 */
int tcp_is_broken(int fd);

/* What the guest is told about an errno of connect(2). */
enum flow_verdict tcp_connect_verdict(int error);

/*
 * What netproc relies on: TCP_NODELAY, keepalive, urgent data in line; and a
 * last close that was not tcp_finish() resets.  0, or -1.
 */
int tcp_prepare(int fd);

/* Both halves have ended in order; consumes fd. */
void tcp_finish(int fd);

/* Resets the connection at once, other references or not; consumes fd. */
void tcp_reset(int fd);

#endif
