#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/child_base.h"
#include "relayproc/relayproc.h"
#include "relayproc/splice.h"
#include "sandbox/isolate.h"

/* Beside those of flows, associations, queries and listeners; one to spare. */
#define NOFILE_SPARE (FD_FIRST_DYNAMIC + OWN_ADDR_FDS + 1)

static rlim_t
descriptors_needed(const struct relayproc *rp)
{
	const rlim_t flows = (rlim_t)rp->config.max_flows +
	    rp->config.max_inbound;

	return (flows + rp->config.max_assocs + rp->config.dns_in_flight +
	    rp->publish.n + rp->udp_publish.n + NOFILE_SPARE +
	    (rp->config.splice ? splice_descriptors(flows) : 0));
}

_Noreturn void
relayproc_main(int strict)
{
	struct relayproc *rp;
	uint32_t missed = 0;

	rp = calloc(1, sizeof(*rp));
	if (rp == NULL)
		fatalx("no memory");
	/* First, so that a fence that does not hold can be told of. */
	relayproc_init(rp, FD_PARENT, FD_PEER, FD_DGRAM);
	if (isolate_self(ROLE_RELAYPROC, strict, &missed) == -1)
		_exit(EX_NOPERM);
	/* Before a listener arrives and takes the number of FD_EPOLL. */
	rp->base = child_base_new();
	setproctitle("relayproc");
	relayproc_setup(rp);
	rp->policy.is_own = own_addr_is;
	rp->policy.is_own_arg = &rp->own_addr;
	if (isolate_set_nofile(descriptors_needed(rp)) == -1)
		fatal("descriptor limit");
	if (sandbox_lock(ROLE_RELAYPROC, (int)rp->config.splice, strict,
		&missed) == -1)
		_exit(EX_NOPERM);
	relayproc_ready(rp, missed);
	while (!rp->stop)
		relayproc_turn(rp, EVLOOP_ONCE);
	relayproc_end(rp);
	_exit(0);
}
