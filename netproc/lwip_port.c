/*
 * File-scope state: the clock that lwIP sees, read once a turn, and the secret
 * key of its initial sequence numbers; lwIP's hooks take no argument of ours.
 */

#include <stdlib.h>
#include <string.h>

#include "lwip/ip_addr.h"
#include "lwip/sys.h"

#include "ipc/log.h"
#include "netproc/lwip_port.h"
#include "netproc/siphash.h"

static uint64_t port_now_ms;
static uint8_t isn_key[SIPHASH_KEY_LEN];

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
	struct {
		uint32_t local, remote;
		uint16_t lport, rport;
	} id = {
		.local = ip_2_ip4((const ip_addr_t *)local_ip)->addr,
		.remote = ip_2_ip4((const ip_addr_t *)remote_ip)->addr,
		.lport = local_port,
		.rport = remote_port,
	};

	return ((uint32_t)(port_now_ms * 250) +
	    (uint32_t)siphash24(isn_key, &id, sizeof(id)));
}

void
lwip_assert_failed(const char *message, int line, const char *file)
{
	log_error("lwIP: %s (%s:%d)", message, file, line);
	__builtin_trap();
}
