#ifndef IPC_ADDR_H
#define IPC_ADDR_H

#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>

/*
 * An IP address as it crosses IPC.  IPv4 stands in the first 4 bytes, the
 * other 12 are zero; family 0 means "no address".  Bytes in network order.
 */
struct ipc_addr {
	uint8_t family; /* 0, 4 or 6 */
	uint8_t pad[3]; /* zero */
	uint8_t bytes[16];
};
_Static_assert(sizeof(struct ipc_addr) == 20, "wire size");

#define ADDR_STRLEN 64 /* longest text of addr_format*(), with its NUL */

/* 1 if the family is 0, 4 or 6 and every unused byte is zero, else 0. */
int addr_is_valid(const struct ipc_addr *addr);

int addr_equal(const struct ipc_addr *a, const struct ipc_addr *b);

/* 1 if the first prefix_len bits of both are the same and the families too. */
int addr_in_prefix(const struct ipc_addr *addr, const struct ipc_addr *net,
    unsigned int prefix_len);

/* Host byte order to an IPv4 struct ipc_addr, and back (0 unless IPv4). */
struct ipc_addr addr_from_ip4(uint32_t ip);
uint32_t addr_to_ip4(const struct ipc_addr *addr);

/* Parses numeric text only (inet_pton).  0, or -1 with errno EINVAL. */
int addr_parse(const char *text, struct ipc_addr *addr);

/*
 * Parses "ADDR" or "ADDR/LEN"; without LEN the prefix is the whole address.
 * Bits beyond the prefix are kept.  0, or -1 with errno EINVAL.
 */
int addr_parse_cidr(const char *text, struct ipc_addr *addr,
    unsigned int *prefix_len);

/* Writes "192.0.2.1" or "2001:db8::1".  Returns buf. */
const char *addr_format(const struct ipc_addr *addr, char *buf, size_t size);

/* Writes "192.0.2.1:80" or "[2001:db8::1]:80".  Returns buf. */
const char *addr_format_port(const struct ipc_addr *addr, uint16_t port,
    char *buf, size_t size);

/*
 * Fills ss for family AF_INET or AF_INET6, port in host byte order, and
 * returns its length; 0 if the address has no family.
 */
socklen_t addr_to_sockaddr(const struct ipc_addr *addr, uint16_t port,
    struct sockaddr_storage *ss);

/* The reverse; port may be NULL.  0, or -1 with errno EAFNOSUPPORT. */
int addr_from_sockaddr(const struct sockaddr *sa, struct ipc_addr *addr,
    uint16_t *port);

#endif
