#ifndef PARENT_HOST_ADDRS_H
#define PARENT_HOST_ADDRS_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"
#include "parent/rtnetlink.h"

/*
 * The host's own addresses (rtnetlink(7)), which the egress floor denies:
 * a snapshot at the start, then what the kernel announces.  The list is kept
 * up to date, since a relayproc that takes another's place begins with it.
 */

/* A host with more, its links' anycast addresses among them, is refused. */
#define HOST_ADDRS_MAX 1024

/*
 * More than relayproc's policy remembers (POLICY_HOST_ADDRS_MAX): with so many
 * it denies everything, and a list that was full once stays so.
 */
#define HOST_ADDRS_FULL 2049

struct host_addrs {
	int fd; /* NETLINK_ROUTE, subscribed, non-blocking */
	uint32_t n;
	struct ipc_addr list[HOST_ADDRS_FULL];
	uint8_t seen[HOST_ADDRS_FULL]; /* told since the dump was asked for */
	int stale;		       /* some may have gone: a dump is due */
	int dumping;		       /* one is under way */
	int interrupted; /* ... and says less than the whole truth */
};

typedef void host_addr_fn(const struct ipc_host_addr *change, void *arg);

/*
 * Parses one datagram of rtnetlink, calling fn for each RTM_NEWADDR and
 * RTM_DELADDR.
 */
enum rtnetlink_result host_addrs_parse(const void *bytes, size_t len,
    host_addr_fn *fn, void *arg);

/* Subscribes, then takes the snapshot.  0, or -1 with errno. */
int host_addrs_open(struct host_addrs *addrs);

/*
 * Takes what has arrived since, into the list and, if that changed, to fn.  0;
 * or -1 with errno ENOBUFS when the kernel had to drop announcements: a new
 * dump has been asked for, and its answers come here.  That an address has
 * gone is told after such a dump in any case.
 */
int host_addrs_read(struct host_addrs *addrs, host_addr_fn *fn, void *arg);

void host_addrs_close(struct host_addrs *addrs);

#endif
