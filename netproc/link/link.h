#ifndef NETPROC_LINK_LINK_H
#define NETPROC_LINK_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"

struct coalesce;
struct netproc;
struct pbuf;

/* Once, before the lock: lwIP, its netif, the buffers.  0, or -1, errno. */
int link_init(struct netproc *np);

/*
 * Takes fd (owned): a VMM is there, for the first time or, says frame, since
 * before our time.  0, or -1 with errno.
 */
int link_attach(struct netproc *np, int fd, const struct ipc_frame *frame);

/*
 * The VMM has gone: forgets the guest and its flows, closes the fd, tells the
 * parent why.
 */
void link_detach(struct netproc *np, enum frame_gone_reason reason,
    uint32_t detail);

/* Writes the frames that wait; call at the end of a turn. */
void link_flush(struct netproc *np);

/* 1 if the queue towards the VMM has room for what is sent once: datagrams. */
int link_has_room(const struct netproc *np);

/* 1 if it has room for bulk data, which waits elsewhere as well. */
int link_has_bulk_room(const struct netproc *np);

/* Sends a whole Ethernet frame; copies.  Dropped when the queue is full. */
void link_send(struct netproc *np, const uint8_t *frame, size_t len);

/* Sends an IP packet of either version, complete, to the guest; copies. */
void link_send_ip(struct netproc *np, const uint8_t *packet, size_t len);

/*
 * input.c: how long a packet the guest is sent may be: the link's MTU, or that
 * of a card or a driver that takes less.
 */
size_t link_mtu(const struct netproc *np);

/* input.c: one frame from the guest.  Its bytes may be changed in place. */
void link_input(struct netproc *np, uint8_t *frame, size_t len);

/* netif.c: lwIP's view of the link. */
int netif_setup(struct netproc *np);
void netif_announce(struct netproc *np);

/* netif.c: an ARP request for the guest's address; the answer pins its MAC. */
void netif_ask_mac(struct netproc *np);

/* netif.c: hands a copy of a frame to lwIP's Ethernet input: ARP. */
void netif_input_copy(struct netproc *np, const uint8_t *frame, size_t len);

/*
 * netif.c: hands one TCP segment to lwIP's tcp_input() as if dst_ip were
 * ours.  packet is the IP packet, headers included, l4_off the segment's
 * offset; it is changed in place.  With copy 0 lwIP sees the bytes where they
 * are, and must be done with them on return.
 */
void netif_tcp_input(struct netproc *np, uint8_t *packet, size_t len,
    size_t l4_off, int copy);

/* The same for segments that became one; lwIP is done with them on return. */
void netif_tcp_input_pieces(struct netproc *np, const struct coalesce *c);

#endif
