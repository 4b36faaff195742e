#include <sys/socket.h>

#include <netinet/in.h>

#include <linux/tcp.h>
#include <string.h>

#include "relayproc/meter.h"

/* tcpi_state, as the kernel's include/net/tcp_states.h has them. */
#define STATE_TIME_WAIT	 6
#define STATE_CLOSE	 7
#define STATE_CLOSE_WAIT 8
#define STATE_LAST_ACK	 9
#define STATE_CLOSING	 11

/*
 * The peer's FIN counts as a byte that was received.  A connection that is
 * closed may have ended by it or by a reset: then how we end it decides.
 */
static int
peer_has_ended(uint8_t state, int in_order)
{
	switch (state) {
	case STATE_TIME_WAIT:
	case STATE_CLOSE_WAIT:
	case STATE_LAST_ACK:
	case STATE_CLOSING:
		return (1);
	case STATE_CLOSE:
		return (in_order);
	default:
		return (0);
	}
}

/* Our end has been said, and the peer's has come, or a reset. */
static int
is_over(uint8_t state)
{
	return (state == STATE_TIME_WAIT || state == STATE_CLOSE ||
	    state == STATE_LAST_ACK || state == STATE_CLOSING);
}

void
meter_read(int fd, int in_order, struct meter *meter)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	memset(meter, 0, sizeof(*meter));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1)
		return;
	meter->out = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
	if (in_order)
		meter->out += info.tcpi_notsent_bytes;
	meter->over = is_over(info.tcpi_state);
	meter->in = info.tcpi_bytes_received;
	if (meter->in > 0 && peer_has_ended(info.tcpi_state, in_order))
		meter->in--;
}
