#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/intercept.h"
#include "netproc/flow/pump.h"
#include "tests/unit/intercept_rig.h"

#define NFLOWS 8
#define MSS    1460

struct netproc np;
struct intercept_seen seen;

int __wrap_coalesce_add(struct netproc *of, struct flow *flow, uint64_t hash,
    uint8_t *frame, const struct shield_frame *sf);
void __wrap_pump_ask_room(struct flow *flow);
void __wrap_netif_tcp_input(struct netproc *of, uint8_t *packet, size_t len,
    size_t l4_off, int copy);
void __wrap_tcp_after_input(struct flow *flow);
void __wrap_ack_at_once(struct flow *flow);
void __wrap_ahead_spare(const struct tcp_pcb *pcb, uint8_t *tcp, size_t len);
void __wrap_end_forget(struct flow *flow);

int
__wrap_coalesce_add(struct netproc *of, struct flow *flow, uint64_t hash,
    uint8_t *frame, const struct shield_frame *sf)
{
	(void)of;
	(void)frame;
	(void)sf;
	seen.npassed++;
	seen.taken = flow;
	seen.hash = hash;
	return (seen.takes);
}

void
__wrap_netif_tcp_input(struct netproc *of, uint8_t *packet, size_t len,
    size_t l4_off, int copy)
{
	(void)of;
	(void)packet;
	(void)len;
	(void)l4_off;
	seen.ninput++;
	seen.ncopied += copy != 0;
}

void
__wrap_tcp_after_input(struct flow *flow)
{
	(void)flow;
}

void
__wrap_ack_at_once(struct flow *flow)
{
	(void)flow;
	seen.nacked++;
}

void
__wrap_ahead_spare(const struct tcp_pcb *pcb, uint8_t *tcp, size_t len)
{
	(void)pcb;
	(void)tcp;
	(void)len;
	seen.nspared++;
}

void
__wrap_end_forget(struct flow *flow)
{
	(void)flow;
	seen.nforgotten++;
}

void
__wrap_pump_ask_room(struct flow *flow)
{
	(void)flow;
	seen.nasked++;
}

int
intercept_setup(void **state)
{
	(void)state;
	memset(&np, 0, sizeof(np));
	memset(&seen, 0, sizeof(seen));
	seen.takes = 1;
	np.tick_armed = 1; /* nobody turns an event loop */
	np.blocks.nfree = BLOCK_POOL_BYTES / 2 / BLOCK_SIZE;
	if (demux_init(&np.demux, NFLOWS) == -1)
		return (-1);
	return (flows_init(&np.flows, NFLOWS, 0, &np));
}

int
intercept_teardown(void **state)
{
	(void)state;
	free(np.flows.flows);
	free(np.flows.buckets);
	free(np.demux.buckets);
	return (0);
}

struct flow_tuple
tuple_make(uint8_t family)
{
	const struct flow_tuple tuple = {
		.peer = { family, { 0 }, { 192, 0, 2, 1 } },
		.guest = { family, { 0 }, { 100, 96, 0, 2 } },
		.peer_port = 80,
		.guest_port = 40000,
	};

	return (tuple);
}

struct flow *
flow_make(const struct flow_tuple *tuple)
{
	struct flow *flow = flow_alloc(&np.flows, tuple,
	    demux_hash(np.hash_key, tuple));

	assert_non_null(flow);
	flow->state = FLOW_ESTABLISHED;
	flow->guest_mss = MSS;
	return (flow);
}

static uint32_t
ip4_of(const struct ipc_addr *addr)
{
	const uint8_t *b = addr->bytes;

	return ((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	    (uint32_t)b[2] << 8 | b[3]);
}

void
guest_says(const struct flow_tuple *tuple, struct shield_frame sf)
{
	const int is_ip6 = tuple->peer.family == 6;
	const size_t size = is_ip6 ? 16 : 4;
	uint8_t frame[100] = { 0 }, *src;

	sf.version = tuple->peer.family;
	sf.l3_off = 14;
	sf.sport = tuple->guest_port;
	sf.dport = tuple->peer_port;
	if (is_ip6) {
		memcpy(sf.src6, tuple->guest.bytes, size);
		memcpy(sf.dst6, tuple->peer.bytes, size);
	} else {
		sf.src_ip = ip4_of(&tuple->guest);
		sf.dst_ip = ip4_of(&tuple->peer);
	}
	src = frame + sf.l3_off + (is_ip6 ? 8 : 12);
	memcpy(src, tuple->guest.bytes, size);
	memcpy(src + size, tuple->peer.bytes, size);
	intercept_tcp(&np, frame, &sf);
}

void
guest_sends(const struct flow_tuple *tuple, size_t len)
{
	guest_says(tuple,
	    (struct shield_frame){
		.payload_len = len,
		.tcp_flags = SHIELD_TCP_ACK,
	    });
}
