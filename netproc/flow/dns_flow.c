#include <errno.h>

#include "netproc/flow/dns_flow.h"
#include "netproc/flow/pump.h"
#include "netproc/gateway/dns.h"
#include "netproc/gateway/gateway.h"
#include "netproc/netproc.h"

int
dns_flow_attach(struct netproc *np, struct flow *flow)
{
	struct dns_flow *dns;
	size_t i;

	for (i = 0; i < DNS_FLOWS_MAX && np->dns_flows.flow[i].used; i++)
		;
	if (i == DNS_FLOWS_MAX)
		return (-1);
	dns = &np->dns_flows.flow[i];
	dns->used = 1;
	dns_stream_init(&dns->asked);
	dns_boundary_init(&dns->answered);
	block_queue_init(&dns->answers);
	flow->dns = dns;
	return (0);
}

void
dns_flow_detach(struct netproc *np, struct flow *flow)
{
	if (flow->dns == NULL)
		return;
	block_queue_clear(&np->blocks, &flow->dns->answers, 0, 0);
	flow->dns->used = 0;
	flow->dns = NULL;
}

/* 1 if the query was one for us, and its answer waits. */
static int
answer_here(struct flow *flow, const uint8_t *query, size_t len)
{
	struct netproc *np = flow->np;
	struct block_queue *answers = &flow->dns->answers;
	uint8_t out[DNS_STREAM_PREFIX + DNS_LOCAL_MAX];
	size_t n;

	n = gateway_dns_local(np, query, len, out + DNS_STREAM_PREFIX,
	    sizeof(out) - DNS_STREAM_PREFIX);
	if (n == 0)
		return (0);
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	n += DNS_STREAM_PREFIX;
	if (answers->bytes + n > DNS_FLOW_ANSWERS_MAX ||
	    block_queue_append(&np->blocks, answers, out, n) == -1)
		flow->broken = ENOBUFS;
	return (1);
}

void
dns_flow_asked(struct flow *flow, const uint8_t *bytes, size_t len)
{
	struct netproc *np = flow->np;
	enum dns_piece kind;
	const uint8_t *piece;
	size_t n, piece_len;

	for (; len > 0 && flow->broken == 0; bytes += n, len -= n) {
		n = dns_stream_next(&flow->dns->asked, bytes, len, &kind,
		    &piece, &piece_len);
		if (kind == DNS_PIECE_NONE)
			continue;
		if (kind == DNS_PIECE_QUERY &&
		    answer_here(flow, piece + DNS_STREAM_PREFIX,
			piece_len - DNS_STREAM_PREFIX))
			pump_window_open(flow, piece_len);
		else if (block_queue_append(&np->blocks, &flow->up, piece,
			     piece_len) == -1)
			flow->broken = ENOBUFS;
	}
}

void
dns_flow_answered(struct flow *flow, const uint8_t *bytes, size_t len)
{
	dns_boundary_add(&flow->dns->answered, bytes, len);
}

void
dns_flow_insert(struct flow *flow)
{
	struct netproc *np = flow->np;
	struct block_queue *answers = &flow->dns->answers;
	struct iovec iov;

	if (!dns_boundary_is_here(&flow->dns->answered))
		return;
	while (block_queue_peek(answers, 0, &iov, 1) == 1) {
		if (block_queue_append(&np->blocks, &flow->down, iov.iov_base,
			iov.iov_len) == -1)
			flow->broken = ENOBUFS;
		block_queue_drop(&np->blocks, answers, iov.iov_len, 0, 0);
	}
}
