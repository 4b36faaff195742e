/*
 * Errors about packets, read and made, and echo replies.  Input: a byte that
 * chooses which, and a packet or a message, in memory of exactly its size.
 * What is built is whole, its checksums are right, and it holds nothing but
 * what it is about.
 */

#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include "netproc/gateway/icmp.h"
#include "netproc/link/checksum.h"
#include "tests/fuzz/fuzz.h"

#define ECHO_MAX (40 + 65535)

#define CHOICE_IP6  0x80
#define CHOICE_ECHO 0x40

const char fuzz_name[] = "icmp";

static size_t
get16(const uint8_t *at)
{
	return ((size_t)at[0] << 8 | at[1]);
}

static void
check_ip4(const uint8_t *out, size_t len)
{
	FUZZ_CHECK(len >= 28 && out[0] == 0x45 && get16(out + 2) == len);
	FUZZ_CHECK(checksum_of(out, 20) == 0 && out[9] == IPPROTO_ICMP);
	FUZZ_CHECK(checksum_of(out + 20, len - 20) == 0);
}

static void
check_ip6(const uint8_t *out, size_t len)
{
	struct checksum sum;

	FUZZ_CHECK(len >= 48 && out[0] >> 4 == 6);
	FUZZ_CHECK(get16(out + 4) + 40 == len && out[6] == IPPROTO_ICMPV6);
	checksum_init(&sum);
	checksum_pseudo6(&sum, out + 8, out + 24, IPPROTO_ICMPV6,
	    (uint32_t)len - 40);
	checksum_add(&sum, out + 40, len - 40);
	FUZZ_CHECK(checksum_finish(&sum) == 0);
}

/* An error is never about an error, and quotes the packet from its start. */
static void
check_error(int ip6, const uint8_t *packet, size_t packet_len,
    const uint8_t *out, size_t len)
{
	const size_t head = ip6 ? 48 : 28;

	FUZZ_CHECK(len <= ICMP_ERROR_MAX && len > head);
	FUZZ_CHECK(len - head <= packet_len);
	FUZZ_CHECK(memcmp(out + head, packet, len - head) == 0);
	if (ip6)
		FUZZ_CHECK(memcmp(out + 24, packet + 8, 16) == 0);
	else
		FUZZ_CHECK(memcmp(out + 16, packet + 12, 4) == 0);
	if (!ip6 && packet[9] == IPPROTO_ICMP)
		FUZZ_CHECK(packet[(packet[0] & 15) * 4] == 8 ||
		    packet[(packet[0] & 15) * 4] >= 13);
	if (ip6 && packet[6] == IPPROTO_ICMPV6)
		FUZZ_CHECK(packet[40] >= 128);
}

static void
run_error(uint8_t choices, const struct ipc_addr *from, const uint8_t *packet,
    size_t len)
{
	const enum icmp_error what = (enum icmp_error)((choices & 7) %
	    ICMP_NERRORS);
	uint8_t *out = malloc(ICMP_ERROR_MAX);
	size_t n;

	FUZZ_CHECK(out != NULL);
	n = icmp_build_error(what, 1400, from, 1, packet, len, out,
	    ICMP_ERROR_MAX);
	if (n > 0 && from->family == 6)
		check_ip6(out, n);
	else if (n > 0)
		check_ip4(out, n);
	if (n > 0)
		check_error(from->family == 6, packet, len, out, n);
	FUZZ_CHECK(icmp_build_error(what, 1400, from, 1, packet, len, out,
		       ICMP_ERROR_MAX - 1) == 0);
	free(out);
}

static void
run_echo(const struct ipc_addr *from, const struct ipc_addr *to,
    const uint8_t *message, size_t len)
{
	const size_t head = from->family == 6 ? 40 : 20, cap = head + len;
	uint8_t *out = malloc(cap);
	size_t n;

	FUZZ_CHECK(out != NULL);
	n = icmp_build_echo_reply(from, to, 7, 1, message, len, out, cap);
	FUZZ_CHECK(n == 0 || n == cap);
	if (n > 0 && from->family == 6)
		check_ip6(out, n);
	else if (n > 0)
		check_ip4(out, n);
	if (n > 0) {
		FUZZ_CHECK(get16(out + head + 4) == 7);
		FUZZ_CHECK(memcmp(out + head + 6, message + 6, len - 6) == 0);
	}
	free(out);
}

/* What it says of which segment, it has read in the message. */
static void
run_unreach(int ip6, const uint8_t *message, size_t len)
{
	struct icmp_unreach about;

	if (icmp_parse_unreach(ip6, message, len, &about) == -1)
		return;
	FUZZ_CHECK(len >= (ip6 ? 56 : 36) && message[0] == (ip6 ? 1 : 3));
	FUZZ_CHECK(about.src.family == (ip6 ? 6 : 4));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_addr from = { .family = 4, .bytes = { 192, 0, 2, 7 } },
			to = { .family = 4, .bytes = { 100, 96, 0, 2 } };
	uint8_t *exact;

	if (size == 0 || size > ECHO_MAX)
		return (0);
	if ((data[0] & CHOICE_IP6) != 0)
		from.family = to.family = 6;
	exact = malloc(size - 1 > 0 ? size - 1 : 1);
	FUZZ_CHECK(exact != NULL);
	memcpy(exact, data + 1, size - 1);
	run_unreach(from.family == 6, exact, size - 1);
	if ((data[0] & CHOICE_ECHO) != 0)
		run_echo(&from, &to, exact, size - 1);
	else
		run_error(data[0], &from, exact, size - 1);
	free(exact);
	return (0);
}
