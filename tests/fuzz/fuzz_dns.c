/*
 * Input: the length of a query (u16), the query, an answer.
 */

#include <string.h>

#include "netproc/gateway/dns.h"
#include "netproc/gateway/dns_table.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "dns";

static uint8_t *
exact_copy(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		abort();
	if (len > 0)
		memcpy(copy, bytes, len);
	return (copy);
}

/* The first byte of a query decides how much room its SERVFAIL has. */
static void
check_servfail(const uint8_t *query, size_t len)
{
	const size_t cap = len > 0 ? query[0] : 0,
		     head = dns_head_len(query, len);
	const enum dns_edns edns = dns_edns_of(query, len);
	const size_t opt = edns != DNS_EDNS_NONE ? DNS_OPT_LEN : 0;
	uint8_t *out = malloc(DNS_SHORT_MAX),
		*tight = malloc(cap > 0 ? cap : 1);
	size_t n;

	if (out == NULL || tight == NULL)
		abort();
	FUZZ_CHECK(head <= len && head <= DNS_HEAD_MAX);
	n = dns_error(query, len, DNS_SERVFAIL, edns, tight, cap);
	FUZZ_CHECK(n <= cap);
	n = dns_error(query, len, DNS_SERVFAIL, edns, out, DNS_SHORT_MAX);
	FUZZ_CHECK(n == (len < 12 ? 0 : (head != 0 ? head : 12) + opt));
	if (n > 0) {
		FUZZ_CHECK((out[2] & 0x80) != 0 && (out[3] & 0x0f) == 2);
		FUZZ_CHECK(dns_head_len(out, n) == head);
		FUZZ_CHECK(out[11] == (opt != 0));
		FUZZ_CHECK(head == 0 || dns_edns_of(out, n) == edns);
		FUZZ_CHECK(dns_answer_matches(query, len, out, n));
		FUZZ_CHECK(!dns_query_is_valid(out, n));
		FUZZ_CHECK(dns_query_check(query, len) != DNS_NOERROR ||
		    head != 0);
	}
	free(tight);
	free(out);
}

static void
check_truncate(const uint8_t *answer, size_t len)
{
	const size_t max = len > 1 ? answer[1] : 300;
	const enum dns_edns edns = (enum dns_edns)(len > 2 ? answer[2] % 3 : 0);
	uint8_t *out = malloc(max > 0 ? max : 1);
	size_t n, opt;

	if (out == NULL)
		abort();
	n = dns_truncate(answer, len, edns, out, max);
	opt = n > 0 && out[11] != 0 ? DNS_OPT_LEN : 0;
	FUZZ_CHECK(n <= max && n <= len + opt);
	FUZZ_CHECK(opt == 0 || edns != DNS_EDNS_NONE);
	FUZZ_CHECK((n == 0) == (len < 12 || max < 12));
	if (n > 0) {
		FUZZ_CHECK((out[2] & 0x02) != 0 && out[0] == answer[0]);
		FUZZ_CHECK(n == 12 + opt || dns_head_len(out, n) == n - opt);
	}
	free(out);
}

/* The first byte says how much is let through. */
static void
check_clamp(const uint8_t *query, size_t len)
{
	const size_t max = DNS_UDP_MIN + (len > 0 ? query[0] * 8u : 0u);
	const size_t at = dns_opt_offset(query, len);
	uint8_t *clamped = exact_copy(query, len);
	size_t size, i;

	size = dns_clamp_edns(clamped, len, max);
	FUZZ_CHECK(size >= DNS_UDP_MIN && size <= max);
	FUZZ_CHECK(at != 0 || size == DNS_UDP_MIN);
	FUZZ_CHECK(at == 0 || (at >= 17 && at + 11 <= len));
	for (i = 0; i < len; i++)
		FUZZ_CHECK(clamped[i] == query[i] ||
		    (at != 0 && (i == at + 3 || i == at + 4)));
	FUZZ_CHECK(dns_opt_offset(clamped, len) == at);
	FUZZ_CHECK(dns_clamp_edns(clamped, len, max) == size);
	free(clamped);
}

static void
check_local(const uint8_t *query, size_t len)
{
	const struct dns_local names[] = {
		{ "host.internal", { 4, { 0 }, { 100, 96, 0, 1 } },
		    { 6, { 0 }, { 0xfd, [15] = 1 } } },
		{ "w", { .family = 0 }, { .family = 0 } },
	};
	uint8_t *out = malloc(DNS_LOCAL_MAX);
	size_t n;

	if (out == NULL)
		abort();
	n = dns_answer_local(names, 2, query, len, out, DNS_LOCAL_MAX);
	FUZZ_CHECK(n <= DNS_LOCAL_MAX);
	if (n > 0) {
		FUZZ_CHECK(dns_answer_matches(query, len, out, n));
		FUZZ_CHECK(n >= dns_head_len(query, len));
		FUZZ_CHECK((out[3] & 0x0f) == 0 && (out[2] & 0x02) == 0);
		FUZZ_CHECK(out[6] == 0 && out[7] <= 2 && out[11] <= 1);
	}
	free(out);
}

static void
check_table(const uint8_t *query, size_t len)
{
	const struct dns_client client = { .guest_port = 2 };
	struct dns_table table;
	struct dns_slot *slot;
	size_t i;

	if (dns_table_init(&table, 3) == -1)
		abort();
	for (i = 0; i < 5; i++) {
		slot = dns_table_add(&table, &client, query, len, i);
		FUZZ_CHECK((slot != NULL) == (i < 3));
	}
	while ((slot = dns_table_expired(&table, 1)) != NULL) {
		FUZZ_CHECK(slot->head_len <= len);
		FUZZ_CHECK(memcmp(slot->head, query, slot->head_len) == 0);
		FUZZ_CHECK(dns_table_find(&table,
			       dns_table_number(&table, slot),
			       slot->generation) == slot);
		dns_table_remove(&table, slot);
	}
	FUZZ_CHECK(table.nused == 1);
	FUZZ_CHECK(dns_table_expired(&table, 2) != NULL);
	dns_table_free(&table);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *query, *answer;
	size_t query_len;
	int matches;

	if (size < 2)
		return (0);
	query_len = (size_t)data[0] << 8 | data[1];
	data += 2;
	size -= 2;
	if (query_len > size)
		query_len = size;
	query = exact_copy(data, query_len);
	answer = exact_copy(data + query_len, size - query_len);
	size -= query_len;
	check_servfail(query, query_len);
	check_truncate(answer, size);
	check_clamp(query, query_len);
	check_local(query, query_len);
	matches = dns_answer_matches(query, query_len, answer, size);
	FUZZ_CHECK(!matches || memcmp(query, answer, 2) == 0);
	if (query_len > 0)
		check_table(query, query_len);
	free(query);
	free(answer);
	return (0);
}
