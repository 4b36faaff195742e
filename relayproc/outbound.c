#include <netinet/in.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "relayproc/denial.h"
#include "relayproc/lend.h"
#include "relayproc/outbound.h"
#include "relayproc/relayproc.h"
#include "relayproc/splice.h"
#include "relayproc/tcp_connect.h"

/*
 * How long a connect may wait for a place in the budget.  A guest sends its
 * SYN again after a second (RFC 6298 2): that is the time to give up and to
 * let it.  Test: a_connect_that_finds_no_place_is_told_to_come_again.
 */
#define WAIT_MS 1000

/*
 * How far the queue is searched for a connect whose destination has a place:
 * a bound on the work of one round.  Beyond it those for other destinations
 * wait too, until the head of the queue expires.
 */
#define ADMIT_SCAN_MAX 256

#define DNS_PORT 53

static void
outbound_fail(struct relayproc *rp, struct flow *flow,
    enum flow_verdict verdict)
{
	const struct ipc_flow_failed msg = { .verdict = verdict };

	lend_socket_drop(rp, flow);
	flow_move(&rp->flows, flow, FLOW_FAILED, 0);
	relayproc_tell(rp, IPC_FLOW_FAILED, flow, &msg, sizeof(msg));
}

static void
outbound_refused(struct relayproc *rp, struct flow *flow, int error)
{
	char text[ADDR_STRLEN];

	addr_format_port(&flow->peer, flow->peer_port, text, sizeof(text));
	log_debug("connect to %s: %s", text, strerror(error));
	rp->counters.failed++;
	outbound_fail(rp, flow, tcp_connect_verdict(error));
}

static void
outbound_denied(struct relayproc *rp, struct flow *flow,
    const struct policy_answer *answer, uint64_t now_ms)
{
	denial_log(rp, "tcp", &flow->dst, flow->dst_port, answer, now_ms);
	rp->counters.denied++;
	outbound_fail(rp, flow, answer->verdict);
}

/*
 * Between request, connect and answer pass seconds, in which the host may have
 * got the address that was asked for: the kernel then sends the next SYN to
 * the host itself.  1, or 0: the flow has failed.
 */
static int
outbound_judge_again(struct relayproc *rp, struct flow *flow)
{
	struct policy_answer answer;

	if (flow->to_resolver ||
	    flow->policy_generation == rp->policy.generation)
		return (1);
	flow->policy_generation = rp->policy.generation;
	policy_check(&rp->policy, IPPROTO_TCP, &flow->dst, flow->dst_port,
	    &answer);
	if (answer.kind == POLICY_ALLOWED)
		return (1);
	outbound_denied(rp, flow, &answer, clock_now_ms());
	return (0);
}

static void on_writable(evutil_socket_t fd, short what, void *arg);

/* Starts the connect to flow->peer.  0, or an errno value. */
static int
socket_start(struct relayproc *rp, struct flow *flow)
{
	flow->fd = tcp_connect_start(&flow->peer, flow->peer_port, flow->mss,
	    &flow->answered);
	if (flow->fd == -1)
		return (errno);
	event_assign(&flow->ev, rp->base, flow->fd, EV_WRITE | EV_PERSIST,
	    on_writable, flow);
	if (flow->answered || event_add(&flow->ev, NULL) == 0)
		return (0);
	close(flow->fd);
	flow->fd = -1;
	return (ENOMEM);
}

/* Each server has the time that a datagram gives it, the last what is left. */
static void
resolver_wait(struct relayproc *rp, struct flow *flow, uint64_t now_ms)
{
	uint64_t deadline_ms = now_ms + rp->config.dns_timeout_ms;

	if (flow->tried >= rp->resolver.nservers ||
	    deadline_ms > flow->give_up_ms)
		deadline_ms = flow->give_up_ms;
	flow_deadline_set(&rp->flows, flow, deadline_ms);
}

/*
 * DNS over TCP: the servers in turn, as for datagrams, beginning with the one
 * that answered last.  0, or the last errno value; ECONNREFUSED without any.
 */
static int
resolver_dial(struct relayproc *rp, struct flow *flow, uint64_t now_ms)
{
	struct resolver *resolver = &rp->resolver;
	const struct ipc_resolver *server;
	int error = ECONNREFUSED;

	while (flow->tried < resolver->nservers) {
		flow->server = flow->tried++ == 0 ?
		    resolver_first(resolver, now_ms) :
		    (flow->server + 1) % resolver->nservers;
		server = &resolver->servers[flow->server];
		flow->peer = server->addr;
		flow->peer_port = server->port;
		error = socket_start(rp, flow);
		if (error == 0) {
			resolver_wait(rp, flow, now_ms);
			break;
		}
	}
	return (error);
}

/* 1 if another server is asked now, within the time of all of them. */
static int
resolver_turn(struct relayproc *rp, struct flow *flow, uint64_t now_ms)
{
	if (!flow->to_resolver || flow->tried >= rp->resolver.nservers ||
	    now_ms >= flow->give_up_ms)
		return (0);
	event_del(&flow->ev);
	close(flow->fd);
	flow->fd = -1;
	return (resolver_dial(rp, flow, now_ms) == 0);
}

/* The connect has come to an end, well or not. */
static void
outbound_answered(struct relayproc *rp, struct flow *flow)
{
	int error;

	while ((error = tcp_connect_result(flow->fd, &flow->peer,
		    flow->peer_port)) != 0 &&
	    resolver_turn(rp, flow, clock_now_ms())) {
		if (!flow->answered)
			return;
	}
	if (error == 0 && !outbound_judge_again(rp, flow))
		return;
	if (error == 0 && splice_open(rp, flow) == -1)
		error = errno;
	if (error != 0) {
		outbound_refused(rp, flow, error);
		return;
	}
	/* The first is back, or was not away. */
	if (flow->to_resolver && flow->server == 0)
		resolver_prefer(&rp->resolver, 0, clock_now_ms());
	event_del(&flow->ev);
	budget_release(&rp->budget, &flow->charged);
	flow_move(&rp->flows, flow, FLOW_LENDING, 0);
	lend_pump(rp);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct flow *flow = arg;

	(void)fd;
	(void)what;
	outbound_answered(flow->owner, flow);
}

/* A place in the budget was taken for this flow. */
static void
outbound_dial(struct relayproc *rp, struct flow *flow, uint64_t now_ms)
{
	int error;

	flow->give_up_ms = now_ms + rp->config.connect_timeout_ms;
	flow_move(&rp->flows, flow, FLOW_CONNECTING, flow->give_up_ms);
	if (!outbound_judge_again(rp, flow))
		return;
	if (flow->to_resolver)
		error = resolver_dial(rp, flow, now_ms);
	else
		error = socket_start(rp, flow);
	if (error != 0)
		outbound_refused(rp, flow, error);
	else if (flow->answered)
		outbound_answered(rp, flow);
}

/*
 * The gateway answers DNS.  Its servers were configured, and are exempt from
 * the floor: 127.0.0.53 is one of them.
 */
static int
is_to_resolver(const struct relayproc *rp, const struct ipc_flow_open *req,
    const struct policy_answer *answer)
{
	return (answer->kind == POLICY_GATEWAY && req->dst_port == DNS_PORT &&
	    rp->resolver.nservers > 0);
}

enum ipc_error
outbound_open(struct relayproc *rp, uint32_t slot, uint32_t generation,
    const struct ipc_flow_open *req, uint64_t now_ms)
{
	struct policy_answer answer;
	struct flow *flow;
	enum ipc_error error;

	error = flow_open(&rp->flows, slot, generation, now_ms + WAIT_MS,
	    &flow);
	if (error != IPC_OK)
		return (error);
	policy_check(&rp->policy, IPPROTO_TCP, &req->dst, req->dst_port,
	    &answer);
	flow->dst = req->dst;
	flow->dst_port = req->dst_port;
	flow->policy_generation = rp->policy.generation;
	flow->peer = answer.dial;
	flow->peer_port = answer.dial_port;
	flow->charged = answer.dial;
	flow->mss = req->mss;
	flow->tried = 0;
	flow->to_resolver = is_to_resolver(rp, req, &answer);
	if (answer.kind != POLICY_ALLOWED && !flow->to_resolver) {
		outbound_denied(rp, flow, &answer, now_ms);
		return (IPC_OK);
	}
	outbound_admit(rp, now_ms);
	if (flow->state == FLOW_WAITING)
		rp->counters.waited++;
	return (IPC_OK);
}

void
outbound_admit(struct relayproc *rp, uint64_t now_ms)
{
	struct flow *flow, *next;
	enum budget_result result;
	unsigned int scanned = 0;

	for (flow = TAILQ_FIRST(&rp->flows.list[FLOW_WAITING]);
	     flow != NULL && scanned < ADMIT_SCAN_MAX; flow = next) {
		next = TAILQ_NEXT(flow, entry);
		result = budget_take(&rp->budget, &flow->charged, now_ms);
		if (result == BUDGET_OK)
			outbound_dial(rp, flow, now_ms);
		else if (result == BUDGET_DST)
			scanned++;
		else
			return;
	}
}

/* A server that is silent is not the first to be asked next time. */
static void
resolver_avoid(struct relayproc *rp, const struct flow *flow, uint64_t now_ms)
{
	struct resolver *resolver = &rp->resolver;

	if (flow->to_resolver && resolver->nservers > 0 &&
	    flow->server == resolver->preferred)
		resolver_prefer(resolver,
		    (flow->server + 1) % resolver->nservers, now_ms);
}

void
outbound_expire(struct relayproc *rp, uint64_t now_ms)
{
	struct flow *flow;

	while ((flow = flow_expired(&rp->flows, now_ms)) != NULL) {
		if (flow->state == FLOW_CONNECTING) {
			resolver_avoid(rp, flow, now_ms);
			if (!resolver_turn(rp, flow, now_ms))
				outbound_refused(rp, flow, ETIMEDOUT);
			else if (flow->answered)
				outbound_answered(rp, flow);
			continue;
		}
		rp->counters.over_budget++;
		outbound_fail(rp, flow, VERDICT_RESOURCES);
	}
}

/*
 * Places come back by events; tokens by time alone.  A token that is there
 * helps nobody when the queue waits for places.
 */
uint64_t
outbound_deadline_ms(const struct relayproc *rp, uint64_t now_ms)
{
	uint64_t deadline_ms = flow_deadline_ms(&rp->flows);
	uint64_t token_ms;

	if (TAILQ_EMPTY(&rp->flows.list[FLOW_WAITING]))
		return (deadline_ms);
	token_ms = budget_token_ms(&rp->budget, now_ms);
	if (token_ms > now_ms && token_ms < deadline_ms)
		deadline_ms = token_ms;
	return (deadline_ms);
}
