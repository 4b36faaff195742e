/* The table of queries in flight. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "netproc/gateway/dns_table.h"

#define QUESTION \
	7, 'E', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'c', 'o', 'm', 0, 0, 1, 0, 1

/* RD, AD, and an OPT record behind the question. */
static const uint8_t query[] = { 0x12, 0x34, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1,
	QUESTION, 0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0 };
static const struct dns_client client = {
	.guest = { 4, { 0 }, { 100, 96, 0, 2 } },
	.gateway = { 4, { 0 }, { 100, 96, 0, 1 } },
	.guest_port = 40000,
	.udp_max = 1232,
};

static struct dns_slot *
add(struct dns_table *table, uint64_t deadline_ms)
{
	return (dns_table_add(table, &client, query, sizeof(query),
	    deadline_ms));
}

static void
a_table_without_slots_or_with_too_many_is_refused(void **state)
{
	struct dns_table table;

	(void)state;
	assert_int_equal(dns_table_init(&table, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(dns_table_init(&table, DNS_TABLE_MAX + 1), -1);
	assert_int_equal(dns_table_init(&table, DNS_TABLE_MAX), 0);
	dns_table_free(&table);
	dns_table_free(&table);
}

static void
a_query_is_found_by_number_and_generation(void **state)
{
	struct dns_table table;
	struct dns_slot *slot;
	uint32_t number, generation;

	(void)state;
	assert_int_equal(dns_table_init(&table, 4), 0);
	slot = add(&table, 100);
	assert_non_null(slot);
	assert_memory_equal(&slot->client, &client, sizeof(client));
	assert_int_equal(slot->head_len, sizeof(query));
	assert_memory_equal(slot->head, query, sizeof(query));
	assert_int_equal(slot->edns, DNS_EDNS_PLAIN);
	number = dns_table_number(&table, slot);
	generation = slot->generation;
	assert_int_not_equal(generation, 0);
	assert_ptr_equal(dns_table_find(&table, number, generation), slot);
	assert_null(dns_table_find(&table, number, generation + 1));
	assert_null(dns_table_find(&table, number + 1, generation));
	assert_null(dns_table_find(&table, 4, generation));
	assert_null(dns_table_find(&table, UINT32_MAX, generation));
	dns_table_remove(&table, slot);
	assert_null(dns_table_find(&table, number, generation));
	assert_null(dns_table_find(&table, number, generation + 1));
	dns_table_remove(&table, slot);
	assert_int_equal(table.nused, 0);
	dns_table_free(&table);
}

static void
a_full_table_takes_no_more_until_one_leaves(void **state)
{
	struct dns_slot *slots[DNS_TABLE_MAX], *slot;
	struct dns_table table;
	size_t i;

	(void)state;
	assert_int_equal(dns_table_init(&table, DNS_TABLE_MAX), 0);
	for (i = 0; i < DNS_TABLE_MAX; i++) {
		slots[i] = add(&table, 100);
		assert_non_null(slots[i]);
	}
	assert_null(add(&table, 100));
	dns_table_remove(&table, slots[17]);
	slot = add(&table, 100);
	assert_ptr_equal(slot, slots[17]);
	assert_int_equal(slot->generation, 2);
	assert_null(add(&table, 100));
	dns_table_free(&table);
}

static void
a_table_of_any_size_takes_as_many_as_it_has_slots(void **state)
{
	struct dns_table table;
	uint32_t i, n;

	(void)state;
	for (n = 1; n <= 9; n++) {
		assert_int_equal(dns_table_init(&table, n), 0);
		for (i = 0; i < n; i++)
			assert_non_null(add(&table, 100));
		assert_null(add(&table, 100));
		dns_table_free(&table);
	}
}

/* What lies behind the last slot looks like one in use. */
static void
nothing_is_found_behind_the_last_slot(void **state)
{
	struct dns_table table;
	struct dns_slot *last;

	(void)state;
	assert_int_equal(dns_table_init(&table, 2), 0);
	assert_non_null(add(&table, 100));
	last = add(&table, 1);
	table.nslots = 1;
	assert_null(dns_table_find(&table, 1, last->generation));
	assert_null(dns_table_expired(&table, 50));
	dns_table_free(&table);
}

static void
a_table_that_forgets_is_free_and_knows_no_answer(void **state)
{
	struct dns_table table;
	struct dns_slot *slot;
	uint32_t i, generation;

	(void)state;
	assert_int_equal(dns_table_init(&table, 4), 0);
	slot = add(&table, 1);
	generation = slot->generation;
	for (i = 1; i < 4; i++)
		assert_non_null(add(&table, 1));
	dns_table_forget(&table);
	assert_null(dns_table_find(&table, 0, generation));
	assert_null(dns_table_expired(&table, UINT64_MAX));
	for (i = 0; i < 4; i++)
		assert_non_null(add(&table, 1));
	assert_int_not_equal(slot->generation, generation);
	dns_table_free(&table);
}

static void
a_generation_that_wraps_skips_zero(void **state)
{
	struct dns_table table;
	struct dns_slot *slot;

	(void)state;
	assert_int_equal(dns_table_init(&table, 1), 0);
	slot = add(&table, 1);
	slot->generation = UINT32_MAX;
	dns_table_remove(&table, slot);
	assert_int_equal(slot->generation, 1);
	dns_table_free(&table);
}

static void
a_query_expires_at_its_deadline_and_not_before(void **state)
{
	struct dns_slot *first, *second;
	struct dns_table table;

	(void)state;
	assert_int_equal(dns_table_init(&table, 4), 0);
	assert_null(dns_table_expired(&table, UINT64_MAX));
	second = add(&table, 200);
	first = add(&table, 100);
	assert_null(dns_table_expired(&table, 99));
	assert_ptr_equal(dns_table_expired(&table, 100), first);
	dns_table_remove(&table, first);
	assert_null(dns_table_expired(&table, 199));
	assert_ptr_equal(dns_table_expired(&table, 1000), second);
	dns_table_free(&table);
}

static void
a_long_query_is_kept_up_to_its_head(void **state)
{
	struct dns_table table;
	struct dns_slot *slot;
	uint8_t message[1000] = { 0 };

	(void)state;
	assert_int_equal(dns_table_init(&table, 1), 0);
	slot = dns_table_add(&table, &client, message, sizeof(message), 3);
	assert_int_equal(slot->head_len, DNS_HEAD_MAX);
	assert_int_equal(slot->edns, DNS_EDNS_NONE);
	dns_table_free(&table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_table_without_slots_or_with_too_many_is_refused),
		cmocka_unit_test(a_query_is_found_by_number_and_generation),
		cmocka_unit_test(a_full_table_takes_no_more_until_one_leaves),
		cmocka_unit_test(
		    a_table_of_any_size_takes_as_many_as_it_has_slots),
		cmocka_unit_test(nothing_is_found_behind_the_last_slot),
		cmocka_unit_test(
		    a_table_that_forgets_is_free_and_knows_no_answer),
		cmocka_unit_test(a_generation_that_wraps_skips_zero),
		cmocka_unit_test(
		    a_query_expires_at_its_deadline_and_not_before),
		cmocka_unit_test(a_long_query_is_kept_up_to_its_head),
	};

	return (cmocka_run_group_tests_name("dns_table", tests, NULL, NULL));
}
