/*
 * lwIP's callbacks become flow events here, and flow events calls of lwIP.
 *
 * File-scope state: the listener that every replayed SYN goes through.  Its
 * port is that of the SYN during the replay and 0, which no segment has,
 * otherwise.
 */

#include <errno.h>
#include <unistd.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ack.h"
#include "netproc/flow/client.h"
#include "netproc/flow/dns_flow.h"
#include "netproc/flow/end.h"
#include "netproc/flow/intercept.h"
#include "netproc/flow/lwip_addr.h"
#include "netproc/flow/pump.h"
#include "netproc/flow/recover.h"
#include "netproc/flow/tcp.h"
#include "netproc/flow/turn.h"
#include "netproc/gateway/gateway.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

static struct tcp_pcb *listener;

/*
 * Data of one segment, where it is cut into frames.  Twice as much saves no
 * time that can be measured, and is sent again whole when a part is lost.
 */
#define SEGMENT_DATA_MAX (32 * 1024)

/* RFC 5382 5: an idle connection lives 2 h 4 min, then is asked. */
#define KEEPALIVE_IDLE_MS ((2 * 60 + 4) * 60 * 1000)

static err_t
on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct flow *flow = arg;

	(void)err;
	if (p == NULL) {
		flow->guest_fin = 1;
	} else {
		pump_up_add(flow, p);
		pbuf_free(p);
	}
	if ((pcb->flags & TF_ACK_DELAY) != 0)
		flow->ack_owed = 1;
	turn_touch(flow);
	return (ERR_OK);
}

static err_t
on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	(void)pcb;
	(void)len;
	turn_touch(arg);
	return (ERR_OK);
}

/* The pcb is gone: reset by the guest, given up by lwIP, or fully closed. */
static void
on_err(void *arg, err_t err)
{
	struct flow *flow = arg;
	struct netproc *np = flow->np;
	const int refused = flow->state == FLOW_CONNECTING;

	flow->pcb = NULL;
	if (err == ERR_CLSD && flow->fin_sent && flow->guest_fin) {
		/* Our FIN was acknowledged, and all before it. */
		block_queue_clear(&np->blocks, &flow->down, np->writer.nqueued,
		    np->writer.nsent);
		flow->down_written = 0;
		/* As after TIME_WAIT. */
		flow_unhash(&np->flows, flow);
		turn_touch(flow);
		return;
	}
	turn_last(flow);
	end_flow(flow, refused ? FLOW_CLOSE_REFUSED : FLOW_CLOSE_RESET);
}

static void
on_host_event(evutil_socket_t fd, short what, void *arg)
{
	struct flow *flow = arg;

	(void)fd;
	if ((what & EV_CLOSED) != 0)
		flow->hung_up = 1;
	/* After its end there is nothing to read, though each event says so. */
	if ((what & (EV_READ | EV_CLOSED)) != 0 && !flow->host_fin)
		flow->readable = 1;
	if ((what & EV_WRITE) != 0) {
		flow->writable = 1;
		flow->since_room = 0;
	}
	/*
	 * It may be a reset, which must not wait for room, and which no read
	 * will find after the host's end.
	 */
	if (flow->host_fin || pump_is_full(flow))
		pump_probe(flow);
	turn_touch(flow);
}

/*
 * lwIP makes segments of many frames each, which link/offload.c cuts: it is
 * done with 32 KiB for the price of one.  Only where each frame is as long as
 * the link's packets: what the guest takes is not looked at there.  The data
 * of a segment is a multiple of that of a frame, options counted.
 */
static void
segments_enlarge(const struct netproc *np, struct tcp_pcb *pcb)
{
	const size_t ip_len = IP_IS_V6_VAL(pcb->remote_ip) ? IP6_HLEN : IP_HLEN;
	const size_t options = (pcb->flags & TF_TIMESTAMP) != 0 ?
	    LWIP_TCP_OPT_LEN_TS_OUT :
	    0;
	const size_t data = pcb->mss - options;

	if ((pcb->flags & TF_WND_SCALE) == 0 || data > SEGMENT_DATA_MAX / 2 ||
	    pcb->mss != np->cfg.mtu - ip_len - TCP_HLEN)
		return;
	pcb->mss = (u16_t)(SEGMENT_DATA_MAX / data * data + options);
}

/* The handshake with the guest is complete: from here bytes are pumped. */
static void
flow_up(struct flow *flow, struct tcp_pcb *pcb)
{
	struct netproc *np = flow->np;

	if (flow_step(flow, FLOW_EV_UP, np->now_ms) == -1)
		fatalx("flow %u is up in state %d", (unsigned int)flow->slot,
		    (int)flow->state);
	COUNT(np, FLOWS_ESTABLISHED);
	flow->used_ms = np->now_ms;
	flow->down_seq = pcb->snd_lbb;
	ack_begin(flow);
	flow->guest_mss = pcb->mss;
	flow->window = (uint32_t)TCP_WND_MAX(pcb);
	if ((pcb->flags & TF_WND_SCALE) != 0) {
		/* A SYN announces 64 KiB at most, scaled or not. */
		pcb->rcv_ann_right_edge = pcb->rcv_nxt + UINT16_MAX;
		flow->window = pump_window_first(flow);
		pcb->rcv_wnd = flow->window;
		pcb->rcv_ann_wnd = flow->window;
	}
	/*
	 * lwIP's segments are half the largest window seen.  Without one they
	 * are whole, and a small one later would be "impossible".
	 */
	if (pcb->snd_wnd_max < 2)
		pcb->snd_wnd_max = 2 * (tcpwnd_size_t)pcb->mss;
	segments_enlarge(np, pcb);
	tcp_nagle_disable(pcb);
	pcb->so_options |= SOF_KEEPALIVE;
	pcb->keep_idle = KEEPALIVE_IDLE_MS;
	event_assign(&flow->ev, np->base, flow->fd,
	    EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_host_event,
	    flow);
	flow->watched = event_add(&flow->ev, NULL) == 0;
	if (!flow->watched)
		flow->broken = ENOMEM;
	/* The first event comes at once where there is something to read. */
	flow->writable = 1;
	flow->readable = flow->ended != FLOW_END_NONE;
	flow->hung_up = flow->readable;
	turn_touch(flow);
}

static void
pcb_attach(struct flow *flow, struct tcp_pcb *pcb)
{
	flow->pcb = pcb;
	tcp_arg(pcb, flow);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_err);
}

static err_t
on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct flow *flow = arg;

	if (err != ERR_OK || pcb == NULL || flow == NULL)
		return (ERR_VAL);
	flow_up(flow, pcb);
	return (ERR_OK);
}

static err_t
on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)err;
	flow_up(arg, pcb);
	return (ERR_OK);
}

int
tcp_setup(struct netproc *np)
{
	struct tcp_pcb *pcb = tcp_new();

	(void)np;
	if (pcb == NULL || tcp_bind(pcb, IP_ANY_TYPE, 1) != ERR_OK)
		return (-1);
	listener = tcp_listen(pcb);
	if (listener == NULL)
		return (-1);
	listener->local_port = 0;
	tcp_accept(listener, on_accept);
	return (0);
}

void
tcp_listen_begin(struct flow *flow)
{
	listener->local_port = flow->tuple.peer_port;
	listener->callback_arg = flow;
}

/* lwIP has made a pcb of the SYN, in front of the list, or could not. */
void
tcp_listen_end(struct flow *flow)
{
	struct tcp_pcb *pcb;

	listener->local_port = 0;
	listener->callback_arg = NULL;
	pcb = demux_find(&flow->tuple);
	if (pcb != NULL)
		pcb_attach(flow, pcb);
}

void
tcp_flow_opened(struct flow *flow, const struct ipc_flow_opened *opened, int fd)
{
	struct netproc *np = flow->np;

	if (fd == -1) {
		/* It did not fit our descriptor limit: let the guest retry. */
		COUNT(np, FLOWS_NO_FD);
		end_flow(flow, FLOW_CLOSE_RESET);
		return;
	}
	flow->fd = fd;
	flow->spliced = (int)opened->spliced;
	ack_host_answered(flow);
	intercept_replay(flow);
	if (flow->pcb == NULL)
		end_flow(flow, FLOW_CLOSE_RESET);
}

void
tcp_flow_ended(struct flow *flow, enum flow_end end)
{
	/* A reset takes nothing back that the host has ended in order. */
	if (end == FLOW_END_RESET && flow->ended == FLOW_END_FIN)
		flow->reset_follows = 1;
	else
		flow->ended = end;
	if (flow->state != FLOW_ESTABLISHED)
		return; /* flow_up() reads what there is */
	/* A reset must not wait for room, as on_host_event() has it. */
	if (end == FLOW_END_RESET && (flow->host_fin || pump_is_full(flow)))
		flow->broken = ECONNRESET;
	flow->readable = 1;
	flow->hung_up = 1;
	turn_touch(flow);
}

void
tcp_flow_failed(struct flow *flow, enum flow_verdict verdict)
{
	struct netproc *np = flow->np;

	if (verdict == VERDICT_RESOURCES) {
		COUNT(np, FLOWS_RESOURCES);
	} else {
		COUNT(np, FLOWS_FAILED);
		if (verdict == VERDICT_DENIED)
			COUNT(np, FLOWS_DENIED);
		gateway_icmp_verdict(np, verdict, flow->syn, flow->syn_len);
		intercept_reject(flow);
	}
	turn_untouch(flow);
	dns_flow_detach(np, flow);
	flow_release(&np->flows, flow);
}

/* A port of the gateway's for a connection to the guest; 0: all in use. */
static uint16_t
port_pick(struct netproc *np, struct flow_tuple *tuple)
{
	struct tcp_pcb *pcb;
	uint64_t hash;
	int i;

	for (i = 0; i < GATEWAY_NPORTS; i++) {
		tuple->peer_port = netproc_next_port(np);
		hash = demux_hash(np->hash_key, tuple);
		if (flow_lookup(&np->flows, tuple, hash) != NULL)
			continue;
		demux_enter(&np->demux, hash);
		pcb = demux_find(tuple);
		demux_leave(&np->demux);
		if (pcb == NULL)
			return (tuple->peer_port);
	}
	return (0);
}

static struct tcp_pcb *
guest_connect(struct flow *flow)
{
	struct netproc *np = flow->np;
	struct tcp_pcb *pcb = tcp_new();
	ip_addr_t guest;
	err_t err;

	if (pcb == NULL)
		return (NULL);
	pcb->local_ip = lwip_addr_of(&flow->tuple.peer);
	pcb->local_port = flow->tuple.peer_port;
	guest = lwip_addr_of(&flow->tuple.guest);
	pcb_attach(flow, pcb);
	demux_enter(&np->demux, flow->hash);
	err = tcp_connect(pcb, &guest, flow->tuple.guest_port, on_connected);
	if (err != ERR_OK) {
		end_detach(flow);
		tcp_abandon(pcb, 0);
		pcb = NULL;
	}
	demux_leave(&np->demux);
	return (pcb);
}

/*
 * 1 if the tuple can be a connection's own: a client may come to two ports
 * that lead to one, or be called by the guest at the same time.
 */
static int
tuple_claim(struct netproc *np, const struct flow_tuple *tuple)
{
	const uint64_t hash = demux_hash(np->hash_key, tuple);

	if (flow_lookup(&np->flows, tuple, hash) != NULL)
		return (0);
	intercept_linger_end(np, tuple, hash);
	return (1);
}

/*
 * What the guest sees of a client: the gateway, or the client itself where
 * that was asked for and the families agree.  0 if that name is taken.
 */
static int
client_tuple(struct netproc *np, const struct ipc_flow_inbound *inbound,
    struct flow_tuple *tuple)
{
	const int ip6 = inbound->client.family == 6 && np->guest6_seen;

	tuple->guest = ip6 ? np->guest6 : np->cfg.address;
	tuple->guest_port = inbound->guest_port;
	if (inbound->preserve &&
	    inbound->client.family == tuple->guest.family &&
	    client_is_routable(np, &inbound->client)) {
		tuple->peer = inbound->client;
		tuple->peer_port = inbound->client_port;
		return (tuple_claim(np, tuple));
	}
	tuple->peer = ip6 ? np->cfg.gateway6 : np->cfg.gateway;
	return (port_pick(np, tuple) != 0);
}

void
tcp_flow_inbound(struct netproc *np, uint32_t wire, uint32_t generation,
    const struct ipc_flow_inbound *inbound, int fd)
{
	struct ipc_flow_close refused = { .reason = FLOW_CLOSE_REFUSED };
	struct flow_tuple tuple;
	struct flow *flow = NULL;

	COUNT(np, FLOWS_IN);
	if (fd != -1 && np->frame_fd != -1 && client_tuple(np, inbound, &tuple))
		flow = flow_take(&np->flows, wire, generation, &tuple,
		    demux_hash(np->hash_key, &tuple));
	if (flow == NULL) {
		if (fd != -1)
			close(fd);
		netproc_say_relay(np, IPC_FLOW_CLOSE, wire, generation,
		    &refused, sizeof(refused));
		return;
	}
	flow->fd = fd;
	flow->spliced = (int)inbound->spliced;
	if (flow_step(flow, FLOW_EV_INBOUND, np->now_ms) == -1)
		fatalx("inbound slot %#x is taken in state %d", wire,
		    (int)flow->state);
	if (guest_connect(flow) == NULL)
		end_flow(flow, FLOW_CLOSE_REFUSED);
	else if (!np->shield.guest_mac_known)
		netif_ask_mac(np);
}

void
tcp_guest_known(struct netproc *np)
{
	struct flow *flow;

	TAILQ_FOREACH(flow, &np->flows.active, entry) {
		if (flow->state == FLOW_CONNECTING)
			tcp_rexmit_rto(flow->pcb);
	}
}

void
tcp_after_input(struct flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;

	if (pcb == NULL)
		return;
	/* What waits for its turn is counted at the end of ours. */
	if (pcb->ooseq != NULL || flow->ahead_bytes > 0)
		turn_touch(flow);
	/*
	 * lwIP 2.2.1 stops its persist timer where it sends, and not where what
	 * has waited was acknowledged: the timer would find nothing to send.
	 */
	if (pcb->unsent == NULL)
		pcb->persist_backoff = 0;
	recover_look(flow);
	ack_look(flow);
	/* Its window may let some of this go now, or of what is unread. */
	if (pcb->unsent != NULL || flow->readable)
		turn_touch(flow);
	/* TIME_WAIT ends without a word: it needs nothing of us. */
	if (pcb->state == TIME_WAIT) {
		pump_down_release(flow);
		end_detach(flow);
		/*
		 * Nor does the guest believe in it any more, nor need we end
		 * it for a successor: the guest may use its port again while
		 * the server takes the last of what was acknowledged.
		 */
		flow_unhash(&flow->np->flows, flow);
		turn_touch(flow);
	}
}
