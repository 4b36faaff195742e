#ifndef TESTS_FUZZ_RELAY_HOST_H
#define TESTS_FUZZ_RELAY_HOST_H

#include <stddef.h>
#include <stdint.h>

/*
 * The host of fuzz_relayproc.c: its sockets are stand-ins (--wrap), each with a
 * far end by which an input plays the remote hosts.  No packet leaves, and
 * none may be for whom the policy forbids.
 *
 * What is sent to the far end of a datagram socket begins with a head of
 * HOST_HEAD bytes: who sends (an index, HOST_ERROR for the error queue,
 * HOST_GRO and HOST_LOCAL for what the kernel says beside it), the size of
 * segments (u16); of an error origin, type, code and errno come next.  A byte
 * to the far end of a listener is a client.
 */
#define HOST_ENDS_MAX 256
#define HOST_FAR_FD   200
#define HOST_HEAD     3
#define HOST_ERROR    0x80
#define HOST_GRO      0x40
#define HOST_LOCAL    0x20

#define HOST_IN_PROGRESS 0x01 /* connects take a while */
#define HOST_REFUSED	 0x02
#define HOST_SEND_FAILS	 0x04
#define HOST_SPLICE	 0x08
#define HOST_SILENT	 0x10 /* ... and until the far end reads */

struct relay_host {
	uint8_t choices;
	uint64_t now_ms;	 /* what ipc/clock.h says */
	int ends[HOST_ENDS_MAX]; /* -1: closed */
	size_t nends;
	int listener; /* the stand-in of a published UDP port */
	uint8_t own;  /* bit n: the host has 203.0.113.n */
};

extern struct relay_host relay_host;

/* A socket whose far end is the next of ends, or -1 with errno EMFILE. */
int relay_host_socket(int type);

#endif
