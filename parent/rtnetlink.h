#ifndef PARENT_RTNETLINK_H
#define PARENT_RTNETLINK_H

#include <sys/types.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <stddef.h>
#include <stdint.h>

/*
 * rtnetlink(7): a socket that hears what the kernel announces, and on which
 * dumps can be asked for.  A socket carries one dump at a time, and what
 * overruns one does not touch another: each subject has its own.
 */

#define RTNETLINK_BYTES 32768 /* iproute2's size for a dump's answers */

enum rtnetlink_result {
	RTNETLINK_MORE, /* a dump goes on in the next datagram */
	RTNETLINK_DONE, /* NLMSG_DONE */
	RTNETLINK_ERROR /* NLMSG_ERROR; errno says which */
};

/* One message: len bytes at at, behind its header. */
typedef void rtnetlink_fn(const struct nlmsghdr *hdr, const uint8_t *at,
    size_t len, void *arg);

/* One attribute: len bytes at at, behind its header. */
typedef void rtnetlink_attr_fn(unsigned int type, const uint8_t *at, size_t len,
    void *arg);

/*
 * Takes one datagram apart, calling fn for each message but those that end a
 * dump.  What does not parse ends the datagram.
 */
enum rtnetlink_result rtnetlink_parse(const void *bytes, size_t len,
    rtnetlink_fn *fn, void *arg);

/*
 * Calls fn for each attribute behind a message's own struct of skip bytes;
 * at and len are the message's.
 */
void rtnetlink_attrs(const uint8_t *at, size_t len, size_t skip,
    rtnetlink_attr_fn *fn, void *arg);

/*
 * Returns owned: a non-blocking socket that hears groups (RTMGRP_*); -1 with
 * errno.
 */
int rtnetlink_open(uint32_t groups);

/*
 * Asks for a dump (RTM_GETADDR, RTM_GETROUTE) of AF_INET, AF_INET6 or, with
 * AF_UNSPEC, both.  0, or -1 with errno.
 */
int rtnetlink_ask_dump(int fd, uint16_t type, int family);

/*
 * One datagram of the kernel's, no one else's.  Its length; -1 with errno,
 * ENOBUFS if announcements were lost, EAGAIN if there is nothing.
 */
ssize_t rtnetlink_receive(int fd, void *buf, size_t size);

/*
 * Asks for a dump and waits for all of it.  0, or -1 with errno.
 */
int rtnetlink_snapshot(int fd, uint16_t type, int family, rtnetlink_fn *fn,
    void *arg);

#endif
