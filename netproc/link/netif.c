/*
 * lwIP's netif for the VM's link, and the two ways into lwIP.
 *
 * ARP takes lwIP's ordinary input.  A TCP segment to any address is handed to
 * tcp_input() directly, with ip_data set as ip4_input() would: that skips its
 * check for an address of our own, so lwIP ends connections to every
 * destination without a change to it.
 *
 * File-scope state: lwIP's netif, and the custom pbufs that stand for the
 * frames being parsed.  lwIP keeps globals of its own; there is one link.
 */

#include <netinet/in.h>

#include <string.h>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "lwip/priv/tcp_priv.h"
#include "netif/ethernet.h"

#include "netproc/flow/lwip_addr.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"
#include "netproc/link/link.h"
#include "netproc/link/offload.h"
#include "netproc/netproc.h"

static struct netif link_netif;
static struct pbuf_custom input_pbufs[COALESCE_MAX];
static size_t input_pbufs_busy;

/*
 * Datagrams stop at half the queue, so that acks and errors find room.  What
 * streams have in it is not theirs: what one flow reads in its turn is more
 * than half the queue in frames of 1500 bytes, and a download is no reason to
 * lose them.  They stop as well where little more than one is left.
 */
#define ROOM_FRAMES  (FRAME_QUEUE_FRAMES / 2)
#define ROOM_BYTES   (FRAME_QUEUE_BYTES / 2)
#define SPARE_FRAMES 64
#define SPARE_BYTES  (256 * 1024)

/*
 * A stream's bytes wait where the host has them: what is read early is not in
 * the processor's cache any more when it is written.  Datagrams are not
 * counted: more of them than the link takes would leave no stream a turn.
 */
#define BULK_BYTES (256 * 1024)

#define ETHER_FRAME_MIN 60

int
link_has_room(const struct netproc *np)
{
	const struct frame_writer *w = &np->writer;

	return (w->count - w->nstreams < ROOM_FRAMES &&
	    w->bytes - w->streams < ROOM_BYTES &&
	    frame_writer_has_room(w, SPARE_FRAMES, SPARE_BYTES));
}

int
link_has_bulk_room(const struct netproc *np)
{
	return (np->writer.streams < BULK_BYTES &&
	    frame_writer_has_room(&np->writer, SPARE_FRAMES, SPARE_BYTES));
}

static void
ether_header(const struct netproc *np, uint16_t ethertype,
    uint8_t head[PACKET_ETHER_LEN])
{
	memset(head, 0xff, 6);
	if (np->shield.guest_mac_known)
		memcpy(head, np->shield.guest_mac, 6);
	memcpy(head + 6, np->shield.gateway_mac, 6);
	head[12] = (uint8_t)(ethertype >> 8);
	head[13] = (uint8_t)ethertype;
}

/*
 * IEEE 802.3 knows no frame of less than 60 bytes and its check sequence.  A
 * card counts such a one as an error, or drops it: of QEMU's, e1000 does the
 * first.
 */
static int
push_frame(struct netproc *np, const uint8_t *head, size_t head_len,
    struct pbuf *p, const struct frame_part *part)
{
	const struct frame_part none = { p, 0, 0 };
	uint8_t padded[ETHER_FRAME_MIN] = { 0 };

	if (head_len + part->len >= sizeof(padded))
		return (frame_writer_push_part(&np->writer, head, head_len, p,
		    part));
	if (head_len > 0)
		memcpy(padded, head, head_len);
	pbuf_copy_partial(part->q, padded + head_len, (u16_t)part->len,
	    (u16_t)part->off);
	return (frame_writer_push_part(&np->writer, padded, sizeof(padded), p,
	    &none));
}

static int
queue_frame(struct netproc *np, const uint8_t *head, struct pbuf *p)
{
	const struct frame_part whole = { p, 0, p->tot_len };

	if (np->frame_fd == -1)
		return (0);
	if (push_frame(np, head, head != NULL ? PACKET_ETHER_LEN : 0, p,
		&whole) == -1) {
		COUNT(np, FRAMES_QUEUE_FULL);
		return (-1);
	}
	COUNT(np, FRAMES_OUT);
	return (0);
}

static err_t
queue_segment(struct netproc *np, const uint8_t *head, struct pbuf *p)
{
	if (queue_frame(np, head, p) == -1)
		return (ERR_MEM);
	if (np->frame_fd != -1)
		frame_writer_is_stream(&np->writer);
	return (ERR_OK);
}

/*
 * Fills the checksum of a TCP segment in a chain of pbufs: lwIP leaves it to
 * us, so that it is computed once.  l4_off is where the segment begins, sum
 * holds the pseudo header.
 */
static void
tcp_checksum(struct pbuf *p, size_t l4_off, struct checksum *sum)
{
	struct tcp_hdr *tcp;
	const struct pbuf *q;

	tcp = (struct tcp_hdr *)(void *)((uint8_t *)p->payload + l4_off);
	tcp->chksum = 0;
	checksum_add(sum, tcp, p->len - l4_off);
	for (q = p->next; q != NULL; q = q->next)
		checksum_add(sum, q->payload, q->len);
	tcp->chksum = lwip_htons(checksum_finish(sum));
}

/*
 * A segment longer than the link's packets, cut into frames: all of them find
 * room or none does, and lwIP tries again.
 */
static err_t
output_split(struct netproc *np, uint16_t ethertype, struct pbuf *p)
{
	uint8_t head[PACKET_ETHER_LEN + OFFLOAD_HEAD_MAX];
	struct offload offload;
	struct frame_part part;
	size_t i, head_len;

	if (np->frame_fd == -1)
		return (ERR_OK);
	if (offload_plan(&offload, p, np->cfg.mtu) == -1)
		return (ERR_VAL);
	if (!frame_writer_has_room(&np->writer, offload.nframes,
		p->tot_len + offload.nframes * sizeof(head))) {
		COUNT(np, FRAMES_QUEUE_FULL);
		return (ERR_MEM);
	}
	ether_header(np, ethertype, head);
	for (i = 0; i < offload.nframes; i++) {
		head_len = offload_next(&offload, head + PACKET_ETHER_LEN,
		    &part);
		if (push_frame(np, head, PACKET_ETHER_LEN + head_len, p,
			&part) == -1)
			fatalx("%zu frames had no room for %zu", i,
			    offload.nframes);
		frame_writer_is_stream(&np->writer);
		COUNT(np, FRAMES_OUT);
	}
	return (ERR_OK);
}

static err_t
netif_output_ip4(struct netif *netif, struct pbuf *p, const ip4_addr_t *dst)
{
	struct netproc *np = netif->state;
	const struct ip_hdr *ip = p->payload;
	uint8_t head[PACKET_ETHER_LEN];
	struct checksum sum;

	(void)dst;
	if (p->tot_len > np->cfg.mtu)
		return (output_split(np, PACKET_ETHERTYPE_IP4, p));
	ether_header(np, PACKET_ETHERTYPE_IP4, head);
	if (IPH_PROTO(ip) == IP_PROTO_TCP && p->len >= IP_HLEN + TCP_HLEN) {
		checksum_init(&sum);
		checksum_pseudo4(&sum, lwip_ntohl(ip->src.addr),
		    lwip_ntohl(ip->dest.addr), IPPROTO_TCP,
		    (uint16_t)(p->tot_len - IP_HLEN));
		tcp_checksum(p, IP_HLEN, &sum);
		return (queue_segment(np, head, p));
	}
	return (queue_frame(np, head, p) == -1 ? ERR_MEM : ERR_OK);
}

static err_t
netif_output_ip6(struct netif *netif, struct pbuf *p, const ip6_addr_t *dst)
{
	struct netproc *np = netif->state;
	const struct ip6_hdr *ip6 = p->payload;
	uint8_t head[PACKET_ETHER_LEN];
	struct checksum sum;

	(void)dst;
	if (p->tot_len > np->cfg.mtu)
		return (output_split(np, PACKET_ETHERTYPE_IP6, p));
	ether_header(np, PACKET_ETHERTYPE_IP6, head);
	if (IP6H_NEXTH(ip6) == IP6_NEXTH_TCP && p->len >= IP6_HLEN + TCP_HLEN) {
		checksum_init(&sum);
		checksum_pseudo6(&sum, (const uint8_t *)&ip6->src,
		    (const uint8_t *)&ip6->dest, IPPROTO_TCP,
		    (uint32_t)(p->tot_len - IP6_HLEN));
		tcp_checksum(p, IP6_HLEN, &sum);
		return (queue_segment(np, head, p));
	}
	return (queue_frame(np, head, p) == -1 ? ERR_MEM : ERR_OK);
}

/* What comes with its Ethernet header: lwIP's ARP. */
static err_t
netif_output_ether(struct netif *netif, struct pbuf *p)
{
	return (queue_frame(netif->state, NULL, p) == -1 ? ERR_MEM : ERR_OK);
}

static err_t
netif_started(struct netif *netif)
{
	struct netproc *np = netif->state;

	netif->name[0] = 'v';
	netif->name[1] = 'm';
	netif->mtu = (u16_t)np->cfg.mtu;
	netif->hwaddr_len = ETH_HWADDR_LEN;
	memcpy(netif->hwaddr, np->cfg.gateway_mac, ETH_HWADDR_LEN);
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP |
	    NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
	netif->output = netif_output_ip4;
	netif->output_ip6 = netif_output_ip6;
	netif->linkoutput = netif_output_ether;
	return (ERR_OK);
}

/*
 * The gateway's two IPv6 addresses, one global and one made of its MAC.  They
 * are ours by definition, so they are not tentative first (RFC 4862 5.4).
 */
static void
address_ip6(const struct netproc *np)
{
	ip_addr_t address = lwip_addr_of(&np->cfg.gateway6);

	netif_create_ip6_linklocal_address(&link_netif, 1);
	netif_ip6_addr_set_state(&link_netif, 0, IP6_ADDR_PREFERRED);
	netif_ip6_addr_set(&link_netif, 1, ip_2_ip6(&address));
	netif_ip6_addr_set_state(&link_netif, 1, IP6_ADDR_PREFERRED);
}

int
netif_setup(struct netproc *np)
{
	const u32_t mask = np->cfg.prefix_len == 0 ?
	    0 :
	    0xffffffffu << (32 - np->cfg.prefix_len);
	ip4_addr_t address, netmask, none;

	lwip_init();
	address.addr = lwip_htonl(np->gateway_ip);
	netmask.addr = lwip_htonl(mask);
	none.addr = 0;
	if (netif_add(&link_netif, &address, &netmask, &none, np, netif_started,
		ethernet_input) == NULL)
		return (-1);
	netif_set_default(&link_netif);
	netif_set_up(&link_netif);
	if (np->cfg.gateway6.family == 6)
		address_ip6(np);
	return (0);
}

void
netif_announce(struct netproc *np)
{
	(void)np;
	etharp_cleanup_netif(&link_netif); /* it may be another guest */
	etharp_gratuitous(&link_netif);
}

void
netif_ask_mac(struct netproc *np)
{
	ip4_addr_t guest;

	guest.addr = lwip_htonl(np->guest_ip);
	etharp_request(&link_netif, &guest);
}

void
netif_input_copy(struct netproc *np, const uint8_t *frame, size_t len)
{
	struct pbuf *p;

	(void)np;
	if (len > UINT16_MAX)
		return;
	p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
	if (p == NULL)
		return;
	if (pbuf_take(p, frame, (u16_t)len) != ERR_OK ||
	    link_netif.input(p, &link_netif) != ERR_OK)
		pbuf_free(p);
}

static void
input_pbuf_free(struct pbuf *p)
{
	(void)p;
	input_pbufs_busy--;
}

/* Returns owned: a pbuf that stands for bytes where they lie. */
static struct pbuf *
input_pbuf(size_t i, uint8_t *bytes, size_t len)
{
	struct pbuf_custom *custom = &input_pbufs[i];

	memset(custom, 0, sizeof(*custom));
	custom->custom_free_function = input_pbuf_free;
	input_pbufs_busy++;
	return (pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, custom,
	    bytes, (u16_t)len));
}

/* The segment where it lies, or a copy of it. */
static struct pbuf *
segment_pbuf(uint8_t *segment, size_t len, int copy)
{
	struct pbuf *p;

	if (!copy)
		return (input_pbuf(0, segment, len));
	p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
	if (p != NULL)
		pbuf_take(p, segment, (u16_t)len);
	return (p);
}

static void
set_current_ip4(uint8_t *packet)
{
	const struct ip_hdr *ip = (const struct ip_hdr *)(void *)packet;

	ip_data.current_ip4_header = ip;
	ip_addr_copy_from_ip4(ip_data.current_iphdr_src, ip->src);
	ip_addr_copy_from_ip4(ip_data.current_iphdr_dest, ip->dest);
}

static void
set_current_ip6(uint8_t *packet)
{
	struct ip6_hdr *ip6 = (struct ip6_hdr *)(void *)packet;

	ip_data.current_ip6_header = ip6;
	ip_addr_copy_from_ip6_packed(ip_data.current_iphdr_src, ip6->src);
	ip_addr_copy_from_ip6_packed(ip_data.current_iphdr_dest, ip6->dest);
}

/* Consumes p, a TCP segment of packet, whose IP header is ip_len bytes. */
static void
segment_input(uint8_t *packet, size_t ip_len, struct pbuf *p)
{
	ip_data.current_netif = &link_netif;
	ip_data.current_input_netif = &link_netif;
	ip_data.current_ip_header_tot_len = (u16_t)ip_len;
	if (packet[0] >> 4 == 6)
		set_current_ip6(packet);
	else
		set_current_ip4(packet);
	tcp_input(p, &link_netif);
	memset(&ip_data, 0, sizeof(ip_data));
	if (input_pbufs_busy > 0)
		fatalx("lwIP kept a frame that it had to give back");
}

void
netif_tcp_input(struct netproc *np, uint8_t *packet, size_t len, size_t l4_off,
    int copy)
{
	struct pbuf *p;

	(void)np;
	if (len > UINT16_MAX)
		return;
	p = segment_pbuf(packet + l4_off, len - l4_off, copy);
	if (p != NULL)
		segment_input(packet, l4_off, p);
}

/* Returns owned, or NULL: one segment of all pieces, copied. */
static struct pbuf *
pieces_copy(const struct coalesce *c)
{
	size_t off = c->header_len, i;
	struct pbuf *p;

	p = pbuf_alloc(PBUF_RAW, (u16_t)(c->header_len + c->bytes), PBUF_RAM);
	if (p == NULL)
		return (NULL);
	pbuf_take(p, c->packet + c->l4_off, (u16_t)c->header_len);
	for (i = 0; i < c->n; i++) {
		pbuf_take_at(p, c->piece[i].bytes, (u16_t)c->piece[i].len,
		    (u16_t)off);
		off += c->piece[i].len;
	}
	return (p);
}

/* Returns owned: the pieces where they lie. */
static struct pbuf *
pieces_chain(const struct coalesce *c)
{
	struct pbuf *p, *rest = NULL;
	size_t i;

	/* From the end: pbuf_cat() would walk along all for each. */
	for (i = c->n - 1; i > 0; i--) {
		p = input_pbuf(i, c->piece[i].bytes, c->piece[i].len);
		p->next = rest;
		p->tot_len = (u16_t)(p->len +
		    (rest != NULL ? rest->tot_len : 0));
		rest = p;
	}
	p = input_pbuf(0, c->packet + c->l4_off,
	    c->header_len + c->piece[0].len);
	p->next = rest;
	p->tot_len = (u16_t)(p->len + (rest != NULL ? rest->tot_len : 0));
	return (p);
}

void
netif_tcp_input_pieces(struct netproc *np, const struct coalesce *c)
{
	struct pbuf *p = c->ahead ? pieces_copy(c) : pieces_chain(c);

	(void)np;
	if (p != NULL)
		segment_input(c->packet, c->l4_off, p);
}

void
link_send(struct netproc *np, const uint8_t *frame, size_t len)
{
	struct pbuf *p;

	if (len > UINT16_MAX || np->frame_fd == -1)
		return;
	p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
	if (p == NULL)
		return;
	if (pbuf_take(p, frame, (u16_t)len) == ERR_OK)
		queue_frame(np, NULL, p);
	pbuf_free(p);
}

void
link_send_ip(struct netproc *np, const uint8_t *packet, size_t len)
{
	uint8_t head[PACKET_ETHER_LEN];
	struct pbuf *p;

	if (len > UINT16_MAX || np->frame_fd == -1)
		return;
	p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
	if (p == NULL)
		return;
	ether_header(np,
	    packet[0] >> 4 == 6 ? PACKET_ETHERTYPE_IP6 : PACKET_ETHERTYPE_IP4,
	    head);
	if (pbuf_take(p, packet, (u16_t)len) == ERR_OK)
		queue_frame(np, head, p);
	pbuf_free(p);
}
