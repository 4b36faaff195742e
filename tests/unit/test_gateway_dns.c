/*
 * A query's way through the gateway and its answer's way back; relayproc and
 * the link are what the test says.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netproc/gateway/dns.h"
#include "netproc/gateway/gateway.h"
#include "netproc/netproc.h"

#define NOW_MS	    1000000
#define DEADLINE_MS 40000
#define NSLOTS	    2
#define PORT	    40000
#define LONGEST	    1232

/* clang-format off */
#define QUESTION 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1
/* With an OPT record that takes 4096 bytes. */
static const uint8_t query[] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1,
	QUESTION, 0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0 };
static const uint8_t ours[] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0,
	4, 'h', 'o', 's', 't', 8, 'i', 'n', 't', 'e', 'r', 'n', 'a', 'l', 0,
	0, 1, 0, 1 };
static const uint8_t answer[] = { 0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0,
	0, QUESTION, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1 };
/* clang-format on */
#define SIZE_AT (12 + 13 + 3) /* of the size that an OPT record names */

static struct netproc np;

/* The last message to relayproc, and the last datagram to the guest. */
static struct {
	unsigned int n;
	int error; /* it cannot be sent */
	enum ipc_type type;
	uint32_t number, generation;
	uint16_t guest_port;
	uint8_t tail[512];
	size_t tail_len;
} said;
static struct {
	unsigned int n;
	struct gateway_datagram d;
	uint8_t bytes[2048];
	size_t len;
} told;
static unsigned int nticks;

int __wrap_channel_send(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len);
int __wrap_channel_send_tail(struct channel *ch, enum ipc_type type,
    uint32_t flow, uint32_t generation, const void *payload, size_t len,
    const void *tail, size_t tail_len);
void __wrap_gateway_send_udp(struct netproc *of,
    const struct gateway_datagram *d, const uint8_t *payload, size_t len);
void __wrap_netproc_need_tick(struct netproc *of);

int
__wrap_channel_send_tail(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len, const void *tail,
    size_t tail_len)
{
	struct ipc_dns dns;

	assert_ptr_equal(ch, &np.dgram);
	assert_int_equal(len, sizeof(dns));
	assert_in_range(tail_len, 0, sizeof(said.tail));
	memcpy(&dns, payload, len);
	if (said.error != 0) {
		errno = said.error;
		return (-1);
	}
	said.n++;
	said.type = type;
	said.number = flow;
	said.generation = generation;
	said.guest_port = dns.guest_port;
	said.tail_len = tail_len;
	if (tail_len > 0)
		memcpy(said.tail, tail, tail_len);
	return (0);
}

int
__wrap_channel_send(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len)
{
	return (__wrap_channel_send_tail(ch, type, flow, generation, payload,
	    len, NULL, 0));
}

void
__wrap_gateway_send_udp(struct netproc *of, const struct gateway_datagram *d,
    const uint8_t *payload, size_t len)
{
	assert_ptr_equal(of, &np);
	assert_in_range(len, 1, sizeof(told.bytes));
	told.n++;
	told.d = *d;
	told.len = len;
	memcpy(told.bytes, payload, len);
}

void
__wrap_netproc_need_tick(struct netproc *of)
{
	(void)of;
	nticks++;
}

static int
setup(void **state)
{
	(void)state;
	memset(&np, 0, sizeof(np));
	memset(&said, 0, sizeof(said));
	memset(&told, 0, sizeof(told));
	nticks = 0;
	np.now_ms = NOW_MS;
	np.cfg.mtu = 1500;
	np.cfg.gateway = (struct ipc_addr){ 4, { 0 }, { 100, 96, 0, 1 } };
	return (dns_table_init(&np.dns, NSLOTS));
}

static int
teardown(void **state)
{
	(void)state;
	dns_table_free(&np.dns);
	return (0);
}

static void
ask(const uint8_t *message, size_t len, uint16_t port)
{
	const struct shield_frame sf = {
		.version = 4,
		.src_ip = 0x64600002,
		.dst_ip = 0x64600001,
		.sport = port,
		.dport = DNS_PORT,
		.payload_off = 10,
		.payload_len = len,
	};
	uint8_t frame[512];

	memcpy(frame + sf.payload_off, message, len);
	gateway_dns_query(&np, frame, &sf);
}

static uint64_t
counted(enum counter which)
{
	return (np.counters.n[which]);
}

/* The guest was told that much, on that port, and nothing since. */
static void
check_told(unsigned int n, uint16_t port)
{
	assert_int_equal(told.n, n);
	assert_int_equal(told.d.sport, DNS_PORT);
	assert_int_equal(told.d.dport, port);
	assert_memory_equal(&told.d.src, &np.cfg.gateway, sizeof(told.d.src));
	assert_int_equal(told.d.dst.family, 4);
	assert_memory_equal(told.d.dst.bytes, "\x64\x60\0\2", 4);
}

static void
check_servfail(unsigned int n, uint16_t port)
{
	check_told(n, port);
	assert_memory_equal(told.bytes, query, 2);
	assert_int_equal(told.bytes[2], 0x81);
	assert_int_equal(told.bytes[3], 0x80 | DNS_SERVFAIL);
	/* The question, and an OPT record for who has one. */
	assert_int_equal(told.len, sizeof(query));
	assert_int_equal(counted(COUNT_DNS_SERVFAIL), n);
}

static void
a_query_goes_on_and_its_answer_comes_back(void **state)
{
	(void)state;
	ask(query, sizeof(query), PORT);
	assert_int_equal(said.n, 1);
	assert_int_equal(said.type, IPC_DNS_QUERY);
	assert_int_equal(said.guest_port, PORT);
	assert_int_equal(said.tail_len, sizeof(query));
	assert_memory_equal(said.tail, query, SIZE_AT);
	assert_memory_equal(said.tail + SIZE_AT, "\4\xd0\0\0\0\0\0\0", 8);
	assert_int_equal(counted(COUNT_DNS_QUERIES), 1);
	assert_int_equal(nticks, 1); /* or nobody looks at its deadline */
	assert_int_equal(told.n, 0);
	gateway_dns_answer(&np, said.number, said.generation, answer,
	    sizeof(answer));
	check_told(1, PORT);
	assert_int_equal(told.len, sizeof(answer));
	assert_memory_equal(told.bytes, answer, sizeof(answer));
	assert_int_equal(said.n, 2);
	assert_int_equal(said.type, IPC_DNS_DONE);
	assert_int_equal(said.guest_port, PORT);
	assert_int_equal(counted(COUNT_DNS_ANSWERS), 1);
	assert_int_equal(np.dns.nused, 0);
	/* Another server's comes too late. */
	gateway_dns_answer(&np, said.number, said.generation, answer,
	    sizeof(answer));
	assert_int_equal(told.n, 1);
	assert_int_equal(said.n, 2);
}

static void
done_names_the_query_that_it_is_of(void **state)
{
	uint32_t number, generation;

	(void)state;
	ask(query, sizeof(query), PORT);
	ask(query, sizeof(query), PORT + 1);
	np.dns.slots[said.number].generation = said.generation = 77;
	number = said.number;
	generation = said.generation;
	gateway_dns_answer(&np, number, generation, answer, sizeof(answer));
	check_told(1, PORT + 1);
	assert_int_equal(said.type, IPC_DNS_DONE);
	assert_int_equal(said.number, number);
	assert_int_equal(said.generation, generation);
}

static void
what_does_not_match_leaves_the_query_waiting(void **state)
{
	uint8_t forged[sizeof(answer)];

	(void)state;
	ask(query, sizeof(query), PORT);
	memcpy(forged, answer, sizeof(answer));
	forged[1] ^= 1;
	gateway_dns_answer(&np, said.number, said.generation, forged,
	    sizeof(forged));
	assert_int_equal(told.n, 0);
	assert_int_equal(said.n, 1);
	assert_int_equal(counted(COUNT_DNS_MISMATCH), 1);
	assert_int_equal(counted(COUNT_DNS_ANSWERS), 0);
	gateway_dns_answer(&np, said.number, said.generation, answer,
	    sizeof(answer));
	check_told(1, PORT);
}

static void
where_every_server_failed_the_guest_is_told(void **state)
{
	(void)state;
	ask(query, sizeof(query), PORT);
	gateway_dns_answer(&np, said.number, said.generation, NULL, 0);
	check_servfail(1, PORT);
	assert_int_equal(said.n, 1); /* relayproc has ended it itself */
	assert_int_equal(counted(COUNT_DNS_MISMATCH), 0);
	assert_int_equal(np.dns.nused, 0);
}

static void
a_query_that_cannot_be_said_fails_at_once(void **state)
{
	int i;

	(void)state;
	said.error = ENOBUFS;
	for (i = 1; i <= NSLOTS + 1; i++) {
		ask(query, sizeof(query), PORT);
		check_servfail((unsigned int)i, PORT);
		assert_int_equal(np.dns.nused, 0);
	}
}

static void
a_query_more_than_may_wait_fails_at_once(void **state)
{
	(void)state;
	ask(query, sizeof(query), PORT);
	ask(query, sizeof(query), PORT + 1);
	ask(query, sizeof(query), PORT + 2);
	assert_int_equal(said.n, NSLOTS);
	check_servfail(1, PORT + 2);
	assert_int_equal(counted(COUNT_DNS_QUERIES), NSLOTS);
}

static void
what_relayproc_says_nothing_of_ends_at_its_deadline(void **state)
{
	(void)state;
	ask(query, sizeof(query), PORT);
	ask(query, sizeof(query), PORT + 1);
	np.now_ms += DEADLINE_MS - 1;
	gateway_dns_expire(&np);
	assert_int_equal(told.n, 0);
	np.now_ms++;
	gateway_dns_expire(&np);
	check_servfail(2, PORT + 1);
	assert_int_equal(np.dns.nused, 0);
}

static void
an_answer_that_is_too_long_is_cut(void **state)
{
	static uint8_t longest[LONGEST + 1];

	(void)state;
	memcpy(longest, answer, sizeof(answer));
	ask(query, sizeof(query), PORT);
	gateway_dns_answer(&np, said.number, said.generation, longest, LONGEST);
	check_told(1, PORT);
	assert_int_equal(told.len, LONGEST);
	assert_int_equal(counted(COUNT_DNS_TRUNCATED), 0);
	ask(query, sizeof(query), PORT);
	gateway_dns_answer(&np, said.number, said.generation, longest,
	    LONGEST + 1);
	check_told(2, PORT);
	assert_int_equal(told.bytes[2], 0x83);	   /* TC */
	assert_int_equal(told.len, sizeof(query)); /* OPT too */
	assert_int_equal(counted(COUNT_DNS_TRUNCATED), 1);
	assert_int_equal(counted(COUNT_DNS_ANSWERS), 2);
}

static void
a_name_of_ours_goes_nowhere(void **state)
{
	(void)state;
	ask(ours, sizeof(ours), PORT);
	assert_int_equal(said.n, 0);
	check_told(1, PORT);
	assert_int_equal(told.len, sizeof(ours) + 16);
	assert_memory_equal(told.bytes + told.len - 4, "\x64\x60\0\1", 4);
	assert_int_equal(counted(COUNT_DNS_LOCAL), 1);
	ask(query, sizeof(query), PORT);
	assert_int_equal(counted(COUNT_DNS_LOCAL), 1);
}

static void
what_is_no_question_goes_nowhere(void **state)
{
	uint8_t message[sizeof(query)];

	(void)state;
	memcpy(message, query, sizeof(query));
	message[2] = 0x21; /* NOTIFY */
	ask(message, sizeof(message), PORT);
	check_told(1, PORT);
	assert_int_equal(told.bytes[3], 0x80 | DNS_NOTIMP);
	assert_int_equal(counted(COUNT_DNS_REFUSED), 1);
	ask(answer, sizeof(answer), PORT);
	ask(query, DNS_HEADER_LEN - 1, PORT);
	assert_int_equal(told.n, 1);
	assert_int_equal(said.n, 0);
	assert_int_equal(counted(COUNT_DNS_DROPPED), 2);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_query_goes_on_and_its_answer_comes_back),
		T(done_names_the_query_that_it_is_of),
		T(what_does_not_match_leaves_the_query_waiting),
		T(where_every_server_failed_the_guest_is_told),
		T(a_query_that_cannot_be_said_fails_at_once),
		T(a_query_more_than_may_wait_fails_at_once),
		T(what_relayproc_says_nothing_of_ends_at_its_deadline),
		T(an_answer_that_is_too_long_is_cut),
		T(a_name_of_ours_goes_nowhere),
		T(what_is_no_question_goes_nowhere),
	};

	return (cmocka_run_group_tests_name("gateway_dns", tests, NULL, NULL));
}
