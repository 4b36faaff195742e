/*
 * Input: a byte of choices, then a message.  The choices make the identifiers
 * right that a fuzzer cannot guess.
 */

#include <string.h>

#include "netproc/gateway/dhcp6.h"
#include "netproc/gateway/dhcp6_message.h"
#include "tests/fuzz/fuzz.h"

#define NO_SEARCH   0x01
#define LONG_SEARCH 0x02
#define FOREVER	    0x04
#define NARROW	    0x08

#define LABEL60 "a23456789.b23456789.c23456789.d23456789.e23456789.f23456789"

const char fuzz_name[] = "dhcp6";

static const struct dhcp6_config config = {
	.gateway_mac = { 2, 0x53, 0x4d, 0, 0, 1 },
	.guest_ip6 = { 0xfd, 0x53, 0x4d, [15] = 2 },
	.gateway_ip6 = { 0xfd, 0x53, 0x4d, [15] = 1 },
	.prefix_len6 = 64,
	.lease_s = 3600,
	.nsearch = 2,
	.search = { "example.org", "corp.example" },
};

/* Every option of a reply lies within it, and those of an IA within that. */
static void
check_options(const uint8_t *at, size_t len, int depth)
{
	static const size_t fixed[] = { [3] = 12, [4] = 4, [25] = 12 };
	size_t code, n, skip;

	while (len > 0) {
		FUZZ_CHECK(len >= 4);
		code = (size_t)at[0] << 8 | at[1];
		n = (size_t)at[2] << 8 | at[3];
		FUZZ_CHECK(n <= len - 4);
		if (depth == 0 && (code == 3 || code == 4 || code == 25)) {
			skip = fixed[code];
			FUZZ_CHECK(n >= skip);
			check_options(at + 4 + skip, n - skip, 1);
		}
		FUZZ_CHECK(code != 5 || (depth == 1 && n == 24));
		at += 4 + n;
		len -= 4 + n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp6_config cfg = config;
	struct dhcp6_message msg;
	struct dhcp6_info info;
	uint8_t *reply;
	size_t n, i;

	if (size < 1)
		return (0);
	if ((data[0] & NO_SEARCH) != 0)
		cfg.nsearch = 0;
	if ((data[0] & LONG_SEARCH) != 0) {
		cfg.nsearch = DHCP6_SEARCH_LIST;
		for (i = 0; i < DHCP6_SEARCH_LIST; i++)
			cfg.search[i] = LABEL60 "." LABEL60 "." LABEL60
						"." LABEL60;
	}
	if ((data[0] & FOREVER) != 0)
		cfg.lease_s = 0xffffffff;
	if ((data[0] & NARROW) != 0)
		cfg.prefix_len6 = 123;
	reply = malloc(DHCP6_REPLY_MAX);
	if (reply == NULL)
		abort();
	n = dhcp6_answer(&cfg, data + 1, size - 1, reply, DHCP6_REPLY_MAX,
	    &info);
	FUZZ_CHECK(info.error < DHCP6_NERRORS);
	FUZZ_CHECK((n > 0) == (info.error == DHCP6_E_OK));
	FUZZ_CHECK((n > 0) == (info.reply_type != 0));
	FUZZ_CHECK(n <= DHCP6_REPLY_MAX);
	if (n > 0) {
		FUZZ_CHECK(dhcp6_message_parse(data + 1, size - 1, &msg) ==
		    DHCP6_E_OK);
		FUZZ_CHECK(reply[0] == info.reply_type);
		FUZZ_CHECK(memcmp(reply + 1, data + 2, 3) == 0);
		check_options(reply + 4, n - 4, 0);
		FUZZ_CHECK(dhcp6_message_parse(reply, n, &msg) == DHCP6_E_TYPE);
	}
	free(reply);
	return (0);
}
