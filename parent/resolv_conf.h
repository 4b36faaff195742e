#ifndef PARENT_RESOLV_CONF_H
#define PARENT_RESOLV_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "parent/configuration.h"

/* As resolv.conf(5): servers beyond the third are ignored by libc, too. */
#define RESOLV_CONF_SERVERS 3
#define RESOLV_CONF_BYTES   (64 * 1024) /* more of the file is not read */

struct resolv_conf {
	int names_none; /* the file has no server, so this is 1.1.1.1 */
	uint32_t nservers;
	struct ipc_resolver servers[RESOLV_CONF_SERVERS];
	uint32_t nsearch;
	char search[NET_SEARCH_LIST][NET_SEARCH_MAX + 1];
};

/*
 * Parses len bytes of a resolv.conf(5), NUL bytes and all.  What it does not
 * understand (options, scoped addresses, overlong lines) is passed over; the
 * last of `domain' and `search' wins.  A file without a server that can be
 * used yields 1.1.1.1.
 */
void resolv_conf_parse(const char *bytes, size_t len, struct resolv_conf *conf);

/*
 * Reads and parses a file.  0; or -1 with errno, and conf is as it was.  What
 * it opens is let through by the parent's filter, too.
 */
int resolv_conf_load(const char *path, struct resolv_conf *conf);

/*
 * The same at the start: a file that is not there counts as empty, and so
 * does one that cannot be read, after a line of log_warn.
 */
void resolv_conf_read(const char *path, struct resolv_conf *conf);

#endif
