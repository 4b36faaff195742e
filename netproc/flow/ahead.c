#include <malloc.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ahead.h"
#include "netproc/netproc.h"

#define TCP_SEQ_AT 4 /* RFC 9293 3.1 */

void
ahead_count(struct flow *flow)
{
	struct netproc *np = flow->np;
	const struct tcp_seg *seg;

	np->ahead_bytes -= flow->ahead_bytes;
	flow->ahead_bytes = 0;
	if (flow->pcb == NULL)
		return;
	for (seg = flow->pcb->ooseq; seg != NULL; seg = seg->next)
		flow->ahead_bytes += sizeof(*seg) + malloc_usable_size(seg->p);
	np->ahead_bytes += flow->ahead_bytes;
}

int
ahead_is_full(const struct netproc *np)
{
	return (np->ahead_bytes >= AHEAD_BYTES_MAX);
}

void
ahead_spare(const struct tcp_pcb *pcb, uint8_t *tcp, size_t len)
{
	const struct tcp_seg *seg;
	uint32_t seq;

	memcpy(&seq, tcp + TCP_SEQ_AT, sizeof(seq));
	seq = lwip_ntohl(seq);
	for (seg = pcb->ooseq; seg != NULL; seg = seg->next) {
		if (TCP_SEQ_LEQ(seq, seg->tcphdr->seqno))
			return;
		if (TCP_SEQ_LEQ(seq + (uint32_t)len,
			seg->tcphdr->seqno + seg->len))
			break;
	}
	if (seg == NULL)
		return;
	seq = lwip_htonl(seg->tcphdr->seqno);
	memcpy(tcp + TCP_SEQ_AT, &seq, sizeof(seq));
}

const struct tcp_seg *
ahead_last(const struct tcp_pcb *pcb)
{
	const struct tcp_seg *last = pcb->ooseq;

	while (last != NULL && last->next != NULL)
		last = last->next;
	return (last);
}

int
ahead_has_fin(const struct tcp_pcb *pcb)
{
	const struct tcp_seg *last = ahead_last(pcb);

	return (last != NULL && (TCPH_FLAGS(last->tcphdr) & TCP_FIN) != 0);
}
