/*
 * lwIP's callbacks become flow events here, and flow events calls of lwIP.
 *
 * The work of a flow is done at the end of a turn (tcp_turn_flush): whatever
 * happened to it only touches it.  lwIP's callbacks therefore never abort a
 * connection that lwIP is still busy with.
 *
 * File-scope state: the listener that every replayed SYN goes through.  Its
 * port is that of the SYN during the replay and 0, which no segment has,
 * otherwise; what it does not match is answered by lwIP with a RST.
 */

#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/intercept.h"
#include "netproc/flow/pump.h"
#include "netproc/flow/tcp.h"
#include "netproc/gateway/gateway.h"
#include "netproc/netproc.h"

static struct tcp_pcb *listener;

/* Granted at once where the guest scales windows; pump.c lets it grow. */
#define WINDOW_INITIAL (256 * 1024)

/* RFC 5382 5: an idle connection lives 2 h 4 min, then is asked. */
#define KEEPALIVE_IDLE_MS ((2 * 60 + 4) * 60 * 1000)

static void
untouch(struct flow *flow)
{
	struct netproc *np = flow->np;

	if (flow->is_touched)
		TAILQ_REMOVE(&np->touched, flow, touched);
	if (flow->is_again)
		TAILQ_REMOVE(&np->again, flow, again);
	flow->is_touched = 0;
	flow->is_again = 0;
}

void
tcp_touch(struct flow *flow)
{
	if (flow->is_touched)
		return;
	TAILQ_INSERT_TAIL(&flow->np->touched, flow, touched);
	flow->is_touched = 1;
}

/* lwIP goes on with the connection by itself, or has none any more. */
static void
pcb_detach(struct flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;

	if (pcb == NULL)
		return;
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	flow->pcb = NULL;
}

/* Closes our end, says FLOW_CLOSE, and frees what may be freed. */
static void
flow_end(struct flow *flow, enum flow_close_reason reason)
{
	struct netproc *np = flow->np;
	struct ipc_flow_close close_msg = { .reason = reason };
	const uint32_t wire = flow_wire_slot(&np->flows, flow);

	pcb_detach(flow);
	untouch(flow);
	if (flow->fd != -1) {
		/* Before close: relayproc's dup keeps the entry alive. */
		event_del(&flow->ev);
		close(flow->fd);
		flow->fd = -1;
	}
	flow->nturn = 0;
	block_queue_clear(&np->blocks, &flow->up, 0, 0);
	block_queue_clear(&np->blocks, &flow->down, np->writer.nqueued,
	    np->writer.nsent);
	flow_unhash(flow);
	if (reason != FLOW_CLOSE_DONE)
		COUNT(np, FLOWS_RESET);
	if (flow_step(flow, FLOW_EV_END, np->now_ms) == -1)
		fatalx("flow %#x ends in state %d", wire, (int)flow->state);
	netproc_say_relay(np, IPC_FLOW_CLOSE, wire, flow->generation,
	    &close_msg, sizeof(close_msg));
	if (flow->state == FLOW_FREE)
		flow_release(&np->flows, flow);
}

void
tcp_flow_reset(struct flow *flow)
{
	struct netproc *np = flow->np;
	struct tcp_pcb *pcb = flow->pcb;
	const int refused = flow->state == FLOW_CONNECTING;
	const uint64_t hash = flow->hash;

	if (flow->state == FLOW_OPENING)
		intercept_reject(flow);
	flow_end(flow, refused ? FLOW_CLOSE_REFUSED : FLOW_CLOSE_RESET);
	if (pcb == NULL)
		return;
	demux_enter(&np->demux, hash);
	tcp_abort(pcb);
	demux_leave(&np->demux);
}

void
tcp_forget(struct flow *flow)
{
	struct netproc *np = flow->np;
	struct tcp_pcb *pcb = flow->pcb;
	const int refused = flow->state == FLOW_CONNECTING;
	const uint64_t hash = flow->hash;

	flow_end(flow, refused ? FLOW_CLOSE_REFUSED : FLOW_CLOSE_RESET);
	if (pcb == NULL)
		return;
	demux_enter(&np->demux, hash);
	tcp_abandon(pcb, 0);
	demux_leave(&np->demux);
}

void
tcp_forget_all(struct netproc *np)
{
	struct flow *flow, *next;

	TAILQ_FOREACH_SAFE(flow, &np->flows.active, entry, next) {
		if (flow->state != FLOW_CLOSING)
			tcp_forget(flow);
	}
	demux_abandon_all(&np->demux);
}

void
tcp_reset_all(struct netproc *np)
{
	struct flow *flow, *next;

	TAILQ_FOREACH_SAFE(flow, &np->flows.active, entry, next) {
		if (flow->state != FLOW_CLOSING)
			tcp_flow_reset(flow);
	}
}

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
	tcp_touch(flow);
	return (ERR_OK);
}

static err_t
on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	(void)pcb;
	(void)len;
	tcp_touch(arg);
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
		tcp_touch(flow);
		return;
	}
	flow_end(flow, refused ? FLOW_CLOSE_REFUSED : FLOW_CLOSE_RESET);
}

static void
on_host_event(evutil_socket_t fd, short what, void *arg)
{
	struct flow *flow = arg;

	(void)fd;
	if ((what & EV_CLOSED) != 0)
		flow->hung_up = 1;
	if ((what & (EV_READ | EV_CLOSED)) != 0)
		flow->readable = 1;
	if ((what & EV_WRITE) != 0)
		flow->writable = 1;
	/* libevent says of an error no more than this: look for it. */
	if ((what & (EV_READ | EV_WRITE | EV_CLOSED)) == (EV_READ | EV_WRITE))
		pump_probe(flow);
	tcp_touch(flow);
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
	flow->down_seq = pcb->snd_lbb;
	flow->window = (uint32_t)TCP_WND_MAX(pcb);
	if ((pcb->flags & TF_WND_SCALE) != 0) {
		/* A SYN announces 64 KiB at most, scaled or not. */
		pcb->rcv_ann_right_edge = pcb->rcv_nxt + UINT16_MAX;
		pcb->rcv_wnd = WINDOW_INITIAL;
		pcb->rcv_ann_wnd = WINDOW_INITIAL;
		flow->window = WINDOW_INITIAL;
	}
	tcp_nagle_disable(pcb);
	pcb->so_options |= SOF_KEEPALIVE;
	pcb->keep_idle = KEEPALIVE_IDLE_MS;
	event_assign(&flow->ev, np->base, flow->fd,
	    EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_host_event,
	    flow);
	if (event_add(&flow->ev, NULL) == -1)
		flow->broken = ENOMEM;
	/* The first event comes at once where there is something to read. */
	flow->writable = 1;
	tcp_touch(flow);
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
tcp_listen_begin(struct flow *flow, uint16_t port)
{
	listener->local_port = port;
	listener->callback_arg = flow;
}

/* lwIP has made a pcb of the SYN, in front of the list, or could not. */
void
tcp_listen_end(struct flow *flow, uint16_t port)
{
	struct tcp_pcb *pcb;

	listener->local_port = 0;
	listener->callback_arg = NULL;
	if (port == 0)
		return;
	pcb = demux_find(&flow->tuple);
	if (pcb != NULL)
		pcb_attach(flow, pcb);
}

void
tcp_flow_opened(struct flow *flow, int fd)
{
	struct netproc *np = flow->np;

	if (fd == -1) {
		/* It did not fit our descriptor limit: let the guest retry. */
		COUNT(np, FLOWS_NO_FD);
		flow_end(flow, FLOW_CLOSE_RESET);
		return;
	}
	flow->fd = fd;
	intercept_replay(flow);
	if (flow->pcb == NULL)
		flow_end(flow, FLOW_CLOSE_RESET);
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
	untouch(flow);
	flow_release(&np->flows, flow);
}

/* A port of the gateway's for a connection to the guest; 0: all in use. */
static uint16_t
port_pick(struct netproc *np, struct flow_tuple *tuple)
{
	struct tcp_pcb *pcb;
	uint64_t hash;
	int i;

	for (i = 0; i < 16384; i++) {
		if (++np->next_port < 49152)
			np->next_port = 49152;
		tuple->peer_port = np->next_port;
		hash = demux_hash(np->hash_key, tuple);
		if (flow_lookup(&np->flows, tuple, hash) != NULL)
			continue;
		demux_enter(&np->demux, hash);
		pcb = demux_find(tuple);
		demux_leave(&np->demux);
		if (pcb == NULL)
			return (np->next_port);
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
	ip_2_ip4(&pcb->local_ip)->addr = lwip_htonl(flow->tuple.peer_ip);
	pcb->local_port = flow->tuple.peer_port;
	ip_2_ip4(&guest)->addr = lwip_htonl(np->guest_ip);
	pcb_attach(flow, pcb);
	demux_enter(&np->demux, flow->hash);
	err = tcp_connect(pcb, &guest, flow->tuple.guest_port, on_connected);
	if (err != ERR_OK) {
		pcb_detach(flow);
		tcp_abandon(pcb, 0);
		pcb = NULL;
	}
	demux_leave(&np->demux);
	return (pcb);
}

void
tcp_flow_inbound(struct netproc *np, uint32_t wire, uint32_t generation,
    uint16_t guest_port, int fd)
{
	struct ipc_flow_close refused = { .reason = FLOW_CLOSE_REFUSED };
	struct flow_tuple tuple = {
		.peer_ip = np->gateway_ip,
		.guest_port = guest_port,
	};
	struct flow *flow = NULL;

	COUNT(np, FLOWS_IN);
	if (fd != -1 && np->frame_fd != -1 && port_pick(np, &tuple) != 0)
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
	if (flow_step(flow, FLOW_EV_INBOUND, np->now_ms) == -1)
		fatalx("inbound slot %#x is taken in state %d", wire,
		    (int)flow->state);
	netproc_need_tick(np);
	if (guest_connect(flow) == NULL)
		flow_end(flow, FLOW_CLOSE_REFUSED);
}

void
tcp_after_input(struct flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;

	if (pcb == NULL)
		return;
	/* TIME_WAIT ends without a word: it needs nothing of us. */
	if (pcb->state == TIME_WAIT) {
		pump_down_release(flow);
		pcb_detach(flow);
		tcp_touch(flow);
	}
}

/* Tells the host of the guest's end, and the guest of the host's. */
static void
pass_ends(struct flow *flow)
{
	struct netproc *np = flow->np;
	struct ipc_empty empty = { 0 };

	if (flow->guest_fin && !flow->shut_wr && flow->up.bytes == 0) {
		shutdown(flow->fd, SHUT_WR);
		flow->shut_wr = 1;
		netproc_say_relay(np, IPC_FLOW_SHUT_WR,
		    flow_wire_slot(&np->flows, flow), flow->generation, &empty,
		    sizeof(empty));
	}
	/*
	 * After the guest's FIN ours leads to LAST_ACK, which lwIP leaves
	 * after 1 s of silence, data or no data: all of it goes first.
	 */
	if (flow->host_fin && !flow->fin_sent && flow->pcb != NULL &&
	    flow->down_written == flow->down.bytes &&
	    (!flow->guest_fin || flow->down.bytes == 0)) {
		flow->fin_sent = 1;
		demux_enter(&np->demux, flow->hash);
		tcp_shutdown(flow->pcb, 0, 1);
		demux_leave(&np->demux);
	}
}

/* One acknowledgment for all that a turn brought. */
static void
acknowledge(struct flow *flow)
{
	if (flow->ack_owed && flow->pcb != NULL &&
	    (flow->pcb->flags & TF_ACK_DELAY) != 0) {
		tcp_ack_now(flow->pcb);
		tcp_output(flow->pcb);
	}
	flow->ack_owed = 0;
}

static void
flow_turn(struct flow *flow)
{
	struct netproc *np = flow->np;

	if (flow->state != FLOW_ESTABLISHED)
		return;
	pump_up_flush(flow);
	if (flow->pcb != NULL) {
		pump_down_release(flow);
		pump_down(flow);
	}
	if (flow->broken != 0) {
		tcp_flow_reset(flow);
		return;
	}
	pass_ends(flow);
	acknowledge(flow);
	flow->deadline_ms = 0;
	if (flow->guest_fin || flow->host_fin)
		flow->deadline_ms = np->now_ms + FLOW_HALF_CLOSED_MS;
	if (flow->shut_wr && flow->down.bytes == 0 &&
	    (flow->fin_sent || flow->pcb == NULL))
		flow_end(flow, FLOW_CLOSE_DONE);
}

void
tcp_turn_flush(struct netproc *np)
{
	struct flow *flow;

	while ((flow = TAILQ_FIRST(&np->touched)) != NULL) {
		TAILQ_REMOVE(&np->touched, flow, touched);
		flow->is_touched = 0;
		flow_turn(flow);
	}
}

void
tcp_link_drained(struct netproc *np)
{
	struct flow *flow;

	TAILQ_FOREACH(flow, &np->flows.active, entry) {
		if (flow->pcb != NULL &&
		    (flow->readable || flow->pcb->unsent != NULL))
			tcp_touch(flow);
	}
}

static void
flow_expired(struct flow *flow)
{
	COUNT(flow->np, FLOWS_TIMEOUT);
	tcp_flow_reset(flow);
}

void
tcp_tick(struct netproc *np)
{
	struct flow *flow, *next;

	TAILQ_FOREACH_SAFE(flow, &np->flows.active, entry, next) {
		if (flow->deadline_ms != 0 && flow->deadline_ms <= np->now_ms)
			flow_expired(flow);
		else if (flow->readable && flow->pcb != NULL)
			tcp_touch(flow); /* the pool had run short */
	}
	if (demux_tick(&np->demux, np->hash_key) || np->flows.nactive > 0)
		netproc_need_tick(np);
}
