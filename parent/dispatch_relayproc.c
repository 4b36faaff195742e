#include "parent/parent.h"

/* Everything that arrives from relayproc. */
enum ipc_error
parent_from_relayproc(struct channel *ch, struct ipc_msg *msg, void *arg)
{
	struct peer *peer = arg;

	(void)ch;
	switch (msg->hdr.type) {
	case IPC_HELLO_ACK:
		return (peer_hello_ack(peer, msg->payload));
	case IPC_READY:
		return (peer_ready(peer, msg->payload));
	case IPC_LOG:
		return (peer_log(peer, msg->payload));
	case IPC_PONG:
		return (watchdog_pong(peer, msg->payload));
	case IPC_VIOLATION:
		return (peer_violation(peer, msg->payload));
	default:
		return (IPC_E_TYPE);
	}
}
