#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/cursor.h"
#include "netproc/gateway/dhcp6.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off */
#define CLIENT	0, 1, 0, 10, 0, 3, 0, 1, 2, 0x53, 0x4d, 0, 0, 2
#define SERVER	0, 2, 0, 10, 0, 3, 0, 1, 2, 0x53, 0x4d, 0, 0, 1
#define OTHER	0, 2, 0, 10, 0, 3, 0, 1, 2, 0x53, 0x4d, 0, 0, 9
#define GUEST6	0xfd, 0x53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2
#define NEAR6	0xfd, 0x53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9
#define FAR6	0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9
#define ADDR(addr)  0, 5, 0, 24, addr, 0, 0, 0, 9, 0, 0, 0, 9
#define ADDR_LEN    28
#define IA(len)	    0, 3, 0, 12 + (len), 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0
#define TA	    0, 4, 0, 4, 0, 0, 0, 8
#define PD	    0, 25, 0, 12, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0
#define RAPID	    0, 14, 0, 0
#define XID	    1, 2, 3

/* What is found in replies. */
#define IA_GIVEN    0, 3, 0, 40, 0, 0, 0, 7, 0, 0, 0x07, 0x08, 0, 0, 0x0b, 0x40, \
	0, 5, 0, 24, GUEST6, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10
#define IA_STATUS(code) 0, 3, 0, 18, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, \
	STATUS(code)
#define TA_STATUS(code) 0, 4, 0, 10, 0, 0, 0, 8, STATUS(code)
#define PD_STATUS(code) 0, 25, 0, 18, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, \
	STATUS(code)
#define ADDR_OVER(addr)	0, 5, 0, 24, addr, 0, 0, 0, 0, 0, 0, 0, 0
#define STATUS(code) 0, 13, 0, 2, 0, code
#define DNS	    0, 23, 0, 16, 0xfd, 0x53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, \
	0, 24, 0, 13, 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g', 0
/* clang-format on */

static const struct dhcp6_config config = {
	.gateway_mac = { 2, 0x53, 0x4d, 0, 0, 1 },
	.guest_ip6 = { GUEST6 },
	.gateway_ip6 = { 0xfd, 0x53, [15] = 1 },
	.prefix_len6 = 64,
	.lease_s = 3600,
	.nsearch = 1,
	.search = { "example.org" },
};

/* From an exact copy into an exact buffer. */
static size_t
ask_with(const struct dhcp6_config *cfg, const uint8_t *bytes, size_t len,
    uint8_t out[DHCP6_REPLY_MAX], struct dhcp6_info *info)
{
	uint8_t *in = malloc(len > 0 ? len : 1),
		*room = malloc(DHCP6_REPLY_MAX);
	size_t n;

	assert_non_null(in);
	assert_non_null(room);
	memcpy(in, bytes, len);
	n = dhcp6_answer(cfg, in, len, room, DHCP6_REPLY_MAX, info);
	assert_true(n <= DHCP6_REPLY_MAX);
	memcpy(out, room, n);
	free(in);
	free(room);
	return (n);
}

#define BYTES(...) \
	(const uint8_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint8_t[]){ __VA_ARGS__ })

static void
each_message_gets_its_reply(void **state)
{
	const struct {
		const char *what;
		const uint8_t *ask;
		size_t ask_len;
		const uint8_t *reply;
		size_t reply_len;
	} cases[] = {
		{ "SOLICIT", BYTES(1, XID, CLIENT, IA(0)),
		    BYTES(2, XID, CLIENT, SERVER, IA_GIVEN, DNS) },
		{ "SOLICIT with rapid commit",
		    BYTES(1, XID, CLIENT, RAPID, IA(0)),
		    BYTES(7, XID, CLIENT, SERVER, RAPID, IA_GIVEN, DNS) },
		{ "SOLICIT for another address",
		    BYTES(1, XID, CLIENT, IA(ADDR_LEN), ADDR(FAR6)),
		    BYTES(2, XID, CLIENT, SERVER, IA_GIVEN, DNS) },
		{ "SOLICIT for all there is",
		    BYTES(1, XID, CLIENT, TA, IA(0), PD, IA(0)),
		    BYTES(2, XID, CLIENT, SERVER, TA_STATUS(2), IA_GIVEN,
			PD_STATUS(6), IA_STATUS(2), DNS) },
		{ "REQUEST",
		    BYTES(3, XID, CLIENT, SERVER, IA(ADDR_LEN), ADDR(GUEST6)),
		    BYTES(7, XID, CLIENT, SERVER, IA_GIVEN, DNS) },
		{ "REQUEST for a prefix alone",
		    BYTES(3, XID, CLIENT, SERVER, PD),
		    BYTES(7, XID, CLIENT, SERVER, PD_STATUS(6), DNS) },
		{ "CONFIRM on the link",
		    BYTES(4, XID, CLIENT, IA(ADDR_LEN), ADDR(NEAR6)),
		    BYTES(7, XID, CLIENT, SERVER, STATUS(0)) },
		{ "CONFIRM from elsewhere",
		    BYTES(4, XID, CLIENT, IA(2 * ADDR_LEN), ADDR(GUEST6),
			ADDR(FAR6)),
		    BYTES(7, XID, CLIENT, SERVER, STATUS(4)) },
		{ "RENEW",
		    BYTES(5, XID, CLIENT, SERVER, IA(ADDR_LEN), ADDR(GUEST6)),
		    BYTES(7, XID, CLIENT, SERVER, IA_GIVEN, DNS) },
		{ "REBIND without an address", BYTES(6, XID, CLIENT, IA(0)),
		    BYTES(7, XID, CLIENT, SERVER, IA_GIVEN, DNS) },
		{ "RELEASE",
		    BYTES(8, XID, CLIENT, SERVER, IA(ADDR_LEN), ADDR(GUEST6)),
		    BYTES(7, XID, CLIENT, SERVER, STATUS(0)) },
		{ "RELEASE of another's",
		    BYTES(8, XID, CLIENT, SERVER, IA(ADDR_LEN), ADDR(FAR6), TA),
		    BYTES(7, XID, CLIENT, SERVER, STATUS(0), IA_STATUS(3),
			TA_STATUS(3)) },
		{ "DECLINE",
		    BYTES(9, XID, CLIENT, SERVER, IA(ADDR_LEN), ADDR(GUEST6)),
		    BYTES(7, XID, CLIENT, SERVER, STATUS(0)) },
		{ "INFORMATION-REQUEST", BYTES(11, XID),
		    BYTES(7, XID, SERVER, DNS) },
		{ "INFORMATION-REQUEST with names",
		    BYTES(11, XID, CLIENT, SERVER),
		    BYTES(7, XID, CLIENT, SERVER, DNS) },
	};
	uint8_t out[DHCP6_REPLY_MAX];
	struct dhcp6_info info;
	size_t i, n;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		n = ask_with(&config, cases[i].ask, cases[i].ask_len, out,
		    &info);
		if (n != cases[i].reply_len ||
		    memcmp(out, cases[i].reply, n) != 0)
			fail_msg("%s: %zu bytes, not %zu", cases[i].what, n,
			    cases[i].reply_len);
		assert_int_equal(info.error, DHCP6_E_OK);
		assert_int_equal(info.reply_type, out[0]);
	}
}

static void
an_address_that_is_not_the_guests_ends_when_it_is_renewed(void **state)
{
	static const uint8_t over[] = { ADDR_OVER(FAR6) };
	uint8_t out[DHCP6_REPLY_MAX];
	struct dhcp6_info info;
	size_t n;

	(void)state;
	n = ask_with(&config,
	    BYTES(5, XID, CLIENT, SERVER, IA(2 * ADDR_LEN), ADDR(FAR6),
		ADDR(GUEST6)),
	    out, &info);
	assert_int_equal(n, 4 + 14 + 14 + 44 + 28 + 20 + 17);
	assert_memory_equal(out + 32 + 44, over, sizeof(over));
	assert_int_equal(out[32 + 3], 12 + 2 * ADDR_LEN);
}

static void
a_message_without_a_reply_is_counted_by_its_fault(void **state)
{
	const struct {
		enum dhcp6_error error;
		const char *what;
		const uint8_t *ask;
		size_t ask_len;
	} cases[] = {
		{ DHCP6_E_SHORT, "three bytes", BYTES(1, 2, 3) },
		{ DHCP6_E_TYPE, "type 0", BYTES(0, XID, CLIENT) },
		{ DHCP6_E_TYPE, "ADVERTISE", BYTES(2, XID, CLIENT, SERVER) },
		{ DHCP6_E_TYPE, "RECONFIGURE", BYTES(10, XID, SERVER) },
		{ DHCP6_E_TYPE, "RELAY-FORW", BYTES(12, XID, CLIENT) },
		{ DHCP6_E_OPTIONS, "an option cut in its head",
		    BYTES(1, XID, CLIENT, 0, 8, 0) },
		{ DHCP6_E_OPTIONS, "an option past the end",
		    BYTES(1, XID, CLIENT, 0, 8, 0, 2, 0) },
		{ DHCP6_E_OPTIONS, "rapid commit with a value",
		    BYTES(1, XID, CLIENT, 0, 14, 0, 1, 0) },
		{ DHCP6_E_OPTIONS, "an IA_NA of 11 bytes",
		    BYTES(1, XID, CLIENT, 0, 3, 0, 11, 0, 0, 0, 7, 0, 0, 0, 0,
			0, 0, 0) },
		{ DHCP6_E_OPTIONS, "an IA_TA of 3 bytes",
		    BYTES(1, XID, CLIENT, 0, 4, 0, 3, 0, 0, 0) },
		{ DHCP6_E_OPTIONS, "an option past its IA's end",
		    BYTES(1, XID, CLIENT, IA(4), 0, 5, 0, 24, 0, 6, 0, 0) },
		{ DHCP6_E_OPTIONS, "an address of 23 bytes",
		    BYTES(1, XID, CLIENT, IA(27), 0, 5, 0, 23, GUEST6, 0, 0, 0,
			0, 0, 0, 0) },
		{ DHCP6_E_OPTIONS, "nine IAs",
		    BYTES(1, XID, CLIENT, TA, TA, TA, TA, TA, TA, TA, TA, TA) },
		{ DHCP6_E_OPTIONS, "nine addresses",
		    BYTES(1, XID, CLIENT, 0, 3, 1, 8, 0, 0, 0, 7, 0, 0, 0, 0, 0,
			0, 0, 0, ADDR(GUEST6), ADDR(GUEST6), ADDR(GUEST6),
			ADDR(GUEST6), ADDR(GUEST6), ADDR(GUEST6), ADDR(GUEST6),
			ADDR(GUEST6), ADDR(GUEST6)) },
		{ DHCP6_E_OPTIONS, "INFORMATION-REQUEST with an IA",
		    BYTES(11, XID, IA(0)) },
		{ DHCP6_E_CLIENT_ID, "no client", BYTES(1, XID, IA(0)) },
		{ DHCP6_E_CLIENT_ID, "an empty client identifier",
		    BYTES(1, XID, 0, 1, 0, 0, IA(0)) },
		{ DHCP6_E_SERVER_ID, "SOLICIT to one server",
		    BYTES(1, XID, CLIENT, SERVER, IA(0)) },
		{ DHCP6_E_SERVER_ID, "REQUEST to no server",
		    BYTES(3, XID, CLIENT, IA(0)) },
		{ DHCP6_E_SERVER_ID, "REBIND to one server",
		    BYTES(6, XID, CLIENT, SERVER, IA(0)) },
		{ DHCP6_E_OTHER_SERVER, "REQUEST to another server",
		    BYTES(3, XID, CLIENT, OTHER, IA(0)) },
		{ DHCP6_E_OTHER_SERVER, "the beginning of our identifier",
		    BYTES(3, XID, CLIENT, 0, 2, 0, 4, 0, 3, 0, 1, IA(0)) },
		{ DHCP6_E_NO_ADDRESS, "CONFIRM of nothing",
		    BYTES(4, XID, CLIENT, IA(0)) },
	};
	uint8_t out[DHCP6_REPLY_MAX];
	struct dhcp6_info info;
	size_t i, n;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		n = ask_with(&config, cases[i].ask, cases[i].ask_len, out,
		    &info);
		if (n != 0 || info.error != cases[i].error)
			fail_msg("%s: %s", cases[i].what,
			    dhcp6_error_name(info.error));
		assert_int_equal(info.reply_type, 0);
	}
}

static void
every_message_cut_at_every_length_is_safe(void **state)
{
	static const uint8_t renew[] = { 5, XID, CLIENT, SERVER, TA,
		IA(2 * ADDR_LEN), ADDR(FAR6), ADDR(GUEST6), PD };
	uint8_t out[DHCP6_REPLY_MAX];
	struct dhcp6_info info;
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(renew); len++) {
		if (ask_with(&config, renew, len, out, &info) == 0)
			assert_int_not_equal(info.error, DHCP6_E_OK);
	}
}

static void
an_identifier_is_at_most_130_bytes_long(void **state)
{
	uint8_t ask[4 + 4 + 131] = { 11, XID, 0, 1, 0, 130 },
			    out[DHCP6_REPLY_MAX];
	struct dhcp6_info info;

	(void)state;
	assert_int_equal(ask_with(&config, ask, sizeof(ask) - 1, out, &info),
	    4 + 134 + 14 + 37);
	ask[7] = 131;
	assert_int_equal(ask_with(&config, ask, sizeof(ask), out, &info), 0);
	assert_int_equal(info.error, DHCP6_E_CLIENT_ID);
}

static void
a_lease_for_ever_is_never_renewed(void **state)
{
	static const uint8_t times[] = { 0, 3, 0, 40, 0, 0, 0, 7, 255, 255, 255,
		255, 255, 255, 255, 255 };
	struct dhcp6_config cfg = config;
	uint8_t out[DHCP6_REPLY_MAX];
	struct dhcp6_info info;

	(void)state;
	cfg.lease_s = 0xffffffff;
	ask_with(&cfg, BYTES(1, XID, CLIENT, IA(0)), out, &info);
	assert_memory_equal(out + 32, times, sizeof(times));
}

static void
a_reply_needs_its_room(void **state)
{
	uint8_t out[DHCP6_REPLY_MAX];
	struct dhcp6_info info;

	(void)state;
	assert_int_equal(dhcp6_answer(&config, BYTES(11, XID), out,
			     DHCP6_REPLY_MAX - 1, &info),
	    0);
	assert_int_equal(info.error, DHCP6_E_SPACE);
	assert_string_equal(dhcp6_error_name(DHCP6_E_SPACE), "no-space");
	assert_string_equal(dhcp6_error_name(DHCP6_NERRORS), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message_gets_its_reply),
		cmocka_unit_test(
		    an_address_that_is_not_the_guests_ends_when_it_is_renewed),
		cmocka_unit_test(
		    a_message_without_a_reply_is_counted_by_its_fault),
		cmocka_unit_test(every_message_cut_at_every_length_is_safe),
		cmocka_unit_test(an_identifier_is_at_most_130_bytes_long),
		cmocka_unit_test(a_lease_for_ever_is_never_renewed),
		cmocka_unit_test(a_reply_needs_its_room),
	};

	return (cmocka_run_group_tests_name("dhcp6", tests, NULL, NULL));
}
