#include <sys/socket.h>

#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include <errno.h>
#include <string.h>

#include "relayproc/addr_class.h"
#include "relayproc/dgram.h"

/*
 * The error queue of a datagram socket (IP_RECVERR in ip(7)): what routers
 * and hosts said of datagrams sent, and why this host refused one.
 */

#define CODE_ANY 255

/* A ping socket's error brings its message back from the ICMP header on. */
#define ECHO_LEN     8
#define ECHO_SEQ_OFF 6

/* RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1; RFC 4443 3.1. */
static const struct {
	uint8_t origin, type, code;
	enum flow_verdict verdict;
} rows[] = {
	{ SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_NET_UNREACH,
	    VERDICT_NET_UNREACH },
	{ SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_NET_UNKNOWN,
	    VERDICT_NET_UNREACH },
	{ SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_NET_UNR_TOS,
	    VERDICT_NET_UNREACH },
	{ SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH,
	    VERDICT_REFUSED },
	{ SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH,
	    VERDICT_REFUSED },
	{ SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
	    VERDICT_TOO_BIG },
	{ SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_NET_ANO, VERDICT_DENIED },
	{ SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_HOST_ANO, VERDICT_DENIED },
	{ SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_PKT_FILTERED,
	    VERDICT_DENIED },
	{ SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, CODE_ANY,
	    VERDICT_HOST_UNREACH },
	{ SO_EE_ORIGIN_ICMP, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, VERDICT_TTL },
	{ SO_EE_ORIGIN_ICMP6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE,
	    VERDICT_NET_UNREACH },
	{ SO_EE_ORIGIN_ICMP6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_BEYONDSCOPE,
	    VERDICT_NET_UNREACH },
	{ SO_EE_ORIGIN_ICMP6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR,
	    VERDICT_HOST_UNREACH },
	{ SO_EE_ORIGIN_ICMP6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT,
	    VERDICT_REFUSED },
	/* Administratively prohibited; source policy; reject route. */
	{ SO_EE_ORIGIN_ICMP6, ICMP6_DST_UNREACH, CODE_ANY, VERDICT_DENIED },
	{ SO_EE_ORIGIN_ICMP6, ICMP6_PACKET_TOO_BIG, CODE_ANY, VERDICT_TOO_BIG },
	{ SO_EE_ORIGIN_ICMP6, ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT,
	    VERDICT_TTL },
};

static enum flow_verdict
verdict_of(const struct sock_extended_err *ee)
{
	size_t i;

	if (ee->ee_origin == SO_EE_ORIGIN_LOCAL)
		return (ee->ee_errno == EMSGSIZE ? VERDICT_TOO_BIG : VERDICT_N);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].origin == ee->ee_origin &&
		    rows[i].type == ee->ee_type &&
		    (rows[i].code == CODE_ANY || rows[i].code == ee->ee_code))
			return (rows[i].verdict);
	}
	return (VERDICT_N);
}

/* The offender's address follows the record; a host's own says nothing. */
static void
router_read(const struct cmsghdr *cmsg, struct dgram_error *error)
{
	const uint8_t *at = CMSG_DATA(cmsg) + sizeof(struct sock_extended_err);
	const size_t len = cmsg->cmsg_len -
	    CMSG_LEN(sizeof(struct sock_extended_err));
	const struct addr_class_row *row;
	struct sockaddr_storage ss;
	struct addr_forms forms;

	memset(&ss, 0, sizeof(ss));
	if (len < sizeof(struct sockaddr_in))
		return;
	memcpy(&ss, at, len < sizeof(ss) ? len : sizeof(ss));
	if (addr_from_sockaddr((struct sockaddr *)&ss, &error->router, NULL) ==
	    -1)
		return;
	addr_canonicalise(&error->router, &forms);
	error->router = forms.dial;
	row = addr_class_lookup(&error->router);
	if (row != NULL && row->class == ADDR_FLOOR)
		memset(&error->router, 0, sizeof(error->router));
}

static void
error_read(const struct cmsghdr *cmsg, struct dgram_error *error)
{
	struct sock_extended_err ee;

	if (cmsg->cmsg_len < CMSG_LEN(sizeof(ee)) ||
	    !((cmsg->cmsg_level == IPPROTO_IP &&
		  cmsg->cmsg_type == IP_RECVERR) ||
		(cmsg->cmsg_level == IPPROTO_IPV6 &&
		    cmsg->cmsg_type == IPV6_RECVERR)))
		return;
	memcpy(&ee, CMSG_DATA(cmsg), sizeof(ee));
	error->verdict = verdict_of(&ee);
	error->is_local = ee.ee_origin == SO_EE_ORIGIN_LOCAL;
	if (error->verdict == VERDICT_TOO_BIG)
		error->mtu = ee.ee_info;
	if (!error->is_local)
		router_read(cmsg, error);
}

/*
 * Whoever made the error wrote these bytes: nothing but a number is taken.  Of
 * an error of this host's own there are none.
 */
static void
echo_read(const struct dgram_sock *sock, const uint8_t *bytes, size_t len,
    struct dgram_error *error)
{
	if (sock->proto == IPPROTO_UDP || error->is_local || len < ECHO_LEN)
		return;
	error->has_echo_seq = 1;
	error->echo_seq = (uint16_t)(bytes[ECHO_SEQ_OFF] << 8 |
	    bytes[ECHO_SEQ_OFF + 1]);
}

int
dgram_error_take(const struct dgram_sock *sock, struct dgram_error *error)
{
	uint8_t head[ECHO_LEN] = { 0 };
	struct iovec iov = { head, sizeof(head) };
	_Alignas(struct cmsghdr) char control[512];
	struct sockaddr_storage ss;
	struct addr_forms forms;
	struct cmsghdr *cmsg;
	struct mmsghdr msg;

	memset(&ss, 0, sizeof(ss));
	memset(&msg, 0, sizeof(msg));
	memset(error, 0, sizeof(*error));
	error->verdict = VERDICT_N;
	msg.msg_hdr.msg_name = &ss;
	msg.msg_hdr.msg_namelen = sizeof(ss);
	msg.msg_hdr.msg_iov = &iov;
	msg.msg_hdr.msg_iovlen = 1;
	msg.msg_hdr.msg_control = control;
	msg.msg_hdr.msg_controllen = sizeof(control);
	/* Not recvmsg(2): the filter keeps that for the channels. */
	if (recvmmsg(sock->fd, &msg, 1, MSG_DONTWAIT | MSG_ERRQUEUE, NULL) != 1)
		return (-1);
	for (cmsg = CMSG_FIRSTHDR(&msg.msg_hdr); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(&msg.msg_hdr, cmsg))
		error_read(cmsg, error);
	echo_read(sock, head, msg.msg_len, error);
	if (addr_from_sockaddr((struct sockaddr *)&ss, &error->peer,
		&error->peer_port) == 0) {
		addr_canonicalise(&error->peer, &forms);
		error->peer = forms.dial;
	}
	if (error->router.family != error->peer.family)
		memset(&error->router, 0, sizeof(error->router));
	return (error->verdict != VERDICT_N);
}

void
dgram_errors_leave(const struct dgram_sock *sock)
{
	socklen_t len = sizeof(int);
	int error;

	(void)getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}
