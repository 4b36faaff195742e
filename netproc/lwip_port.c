/*
 * File-scope state: the clock that lwIP sees, read once a turn, and the secret
 * key of its sequence numbers and its random ones; lwIP's hooks take no
 * argument of ours.
 */

#include <stdlib.h>

#include "lwip/ip_addr.h"
#include "lwip/sys.h"

#include "ipc/log.h"
#include "netproc/flow/flow.h"
#include "netproc/flow/lwip_addr.h"
#include "netproc/lwip_port.h"
#include "netproc/siphash.h"

static uint64_t port_now_ms;
static uint8_t isn_key[SIPHASH_KEY_LEN];
static uint64_t random_count;

int
lwip_port_init(void)
{
	arc4random_buf(isn_key, sizeof(isn_key));
	return (0);
}

void
lwip_port_set_now(uint64_t now_ms)
{
	port_now_ms = now_ms;
}

uint64_t
lwip_port_now_ms(void)
{
	return (port_now_ms);
}

u32_t
sys_now(void)
{
	return ((u32_t)port_now_ms);
}

/*
 * RFC 6528: a clock that ticks every 4 microseconds, plus a keyed hash of the
 * connection.
 */
uint32_t
tcp_isn(const void *local_ip, uint16_t local_port, const void *remote_ip,
    uint16_t remote_port)
{
	const struct flow_tuple id = {
		.peer = addr_of_lwip(local_ip),
		.guest = addr_of_lwip(remote_ip),
		.peer_port = local_port,
		.guest_port = remote_port,
	};

	return ((uint32_t)(port_now_ms * 250) +
	    (uint32_t)siphash24(isn_key, &id, sizeof(id)));
}

/* arc4random(3) of libbsd makes a system call that the jail refuses. */
uint32_t
lwip_port_random(void)
{
	random_count++;
	return ((uint32_t)siphash24(isn_key, &random_count,
	    sizeof(random_count)));
}

void
lwip_assert_failed(const char *message, int line, const char *file)
{
	log_error("lwIP: %s (%s:%d)", message, file, line);
	__builtin_trap();
}
