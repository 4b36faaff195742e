#include "parent/parent.h"

/* Everything that arrives from netproc. */
enum ipc_error
parent_from_netproc(struct channel *ch, struct ipc_msg *msg, void *arg)
{
	struct peer *peer = arg;
	const struct ipc_frame_gone *gone;

	(void)ch;
	switch (msg->hdr.type) {
	case IPC_HELLO_ACK:
		return (peer_hello_ack(peer, msg->payload));
	case IPC_READY:
		return (peer_ready(peer, msg->payload));
	case IPC_LOG:
		return (peer_log(peer, msg->payload));
	case IPC_VIOLATION:
		return (peer_violation(peer, msg->payload));
	case IPC_PONG:
		return (watchdog_pong(peer, msg->payload));
	case IPC_GUEST_MAC:
		return (vmm_guest_mac(peer->parent, msg->payload));
	case IPC_FRAME_GONE:
		gone = msg->payload;
		if (gone->reason >= FRAME_GONE_NREASONS)
			return (IPC_E_FIELD);
		if (peer->parent->frame.fd == -1)
			return (IPC_E_STATE);
		vmm_gone(peer->parent, gone);
		return (IPC_OK);
	default:
		return (IPC_E_TYPE);
	}
}
