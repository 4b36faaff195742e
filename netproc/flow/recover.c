#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/flow.h"
#include "netproc/flow/recover.h"
#include "netproc/netproc.h"

#define DUPLICATES 3 /* RFC 5681 3.2 */

/* The link answers within milliseconds, where lwIP's timer has half seconds. */
#define RESENT_MS 200

/* Where the first segment ends that the guest has not acknowledged whole. */
static uint32_t
first_end(const struct tcp_pcb *pcb)
{
	const struct tcp_seg *seg = pcb->unacked;

	if (seg == NULL ||
	    (pcb->unsent != NULL &&
		TCP_SEQ_LT(lwip_ntohl(pcb->unsent->tcphdr->seqno),
		    lwip_ntohl(seg->tcphdr->seqno))))
		seg = pcb->unsent;
	return (seg == NULL ? pcb->lastack :
			      lwip_ntohl(seg->tcphdr->seqno) + TCP_TCPLEN(seg));
}

/* The first segment was sent again, after all up to end had been sent. */
static void
resent(struct flow *flow, uint32_t end)
{
	flow->recovery.end = end;
	flow->recovery.resent_from = flow->pcb->lastack;
	flow->recovery.resent_end = first_end(flow->pcb);
	flow->recovery.resent_ms = flow->np->now_ms;
}

/*
 * The flag keeps lwIP from taking the acknowledgments of what comes twice now,
 * of which a segment sent again may be full, for another wish.
 */
static void
send_first_again(struct flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;
	const uint32_t sent = pcb->snd_nxt;

	if (tcp_rexmit(pcb) != ERR_OK)
		return; /* the link has it still; the guest will ask */
	tcp_set_flags(pcb, TF_INFR);
	resent(flow, sent);
	tcp_output(pcb);
}

/* The guest has acknowledged something new since a segment was sent again. */
static void
look_on(struct flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;

	flow->recovery.from = pcb->lastack;
	/* The timer sends all of it again. */
	if ((pcb->flags & TF_RTO) != 0 || pcb->unacked == NULL ||
	    TCP_SEQ_GEQ(pcb->lastack, flow->recovery.end))
		flow->recovery.active = 0;
	else if (TCP_SEQ_GEQ(pcb->lastack, flow->recovery.resent_end))
		send_first_again(flow);
	else
		tcp_set_flags(pcb, TF_INFR); /* its end is on its way */
}

/*
 * Of the segment that was sent again another frame is lost, if more than the
 * rest of it has come since the guest has had its first part.
 */
static int
is_lost_again(const struct flow *flow)
{
	const struct tcp_pcb *pcb = flow->pcb;
	const uint32_t rest = flow->recovery.resent_end - pcb->lastack;

	return (pcb->lastack != flow->recovery.resent_from &&
	    pcb->dupacks > rest / flow->guest_mss + DUPLICATES);
}

void
recover_look(struct flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;

	if (flow->recovery.active) {
		if (pcb->lastack != flow->recovery.from)
			look_on(flow);
		else if (is_lost_again(flow)) {
			pcb->dupacks = 0; /* they count from here */
			send_first_again(flow);
		}
	} else if ((pcb->flags & TF_INFR) != 0) {
		flow->recovery.active = 1;
		flow->recovery.from = pcb->lastack;
		resent(flow, flow->recovery.sent_end);
	}
	flow->recovery.sent_end = pcb->snd_nxt;
}

void
recover_tick(struct flow *flow)
{
	const struct tcp_pcb *pcb = flow->pcb;
	const uint64_t now_ms = flow->np->now_ms;

	if (!flow->recovery.active || pcb == NULL ||
	    (pcb->flags & TF_INFR) == 0 || flow->recovery.resent_ms == 0 ||
	    now_ms < flow->recovery.resent_ms + RESENT_MS)
		return;
	send_first_again(flow);
	flow->recovery.resent_ms = 0; /* once: a guest may have been stopped */
}
