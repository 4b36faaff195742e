#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ipc/proto.h"
#include "netproc/flow/assoc.h"

#define NOUT 4
#define NIN  2

static struct assoc_table table;

static int
setup(void **state)
{
	(void)state;
	return (assocs_init(&table, NOUT, NIN));
}

static int
teardown(void **state)
{
	struct assoc *assoc;

	(void)state;
	while ((assoc = assocs_any(&table)) != NULL)
		assocs_release(&table, assoc);
	if (table.nactive != 0 || table.nactive_in != 0)
		return (-1); /* there would be ticks for nobody */
	free(table.assocs);
	free(table.buckets);
	return (0);
}

static struct assoc_key
key_of(uint16_t guest_port)
{
	struct assoc_key key = {
		.guest = addr_from_ip4(0x64600002),
		.guest_port = guest_port,
		.proto = IPPROTO_UDP,
	};

	return (key);
}

static struct assoc *
alloc(uint16_t guest_port)
{
	struct assoc_key key = key_of(guest_port);

	return (assocs_alloc(&table, &key, guest_port));
}

static void
a_port_has_one_association_and_another_protocol_its_own(void **state)
{
	struct assoc_key key = key_of(5000);
	struct assoc *assoc = alloc(5000);

	(void)state;
	assert_ptr_equal(assocs_lookup(&table, &key, 5000), assoc);
	key.proto = IPPROTO_ICMP;
	assert_null(assocs_lookup(&table, &key, 5000));
	key = key_of(5000);
	key.guest.bytes[3] ^= 1;
	assert_null(assocs_lookup(&table, &key, 5000));
}

static void
an_unanswered_one_ends_sooner_than_one_that_was_answered(void **state)
{
	struct assoc *once = alloc(1), *dns = alloc(2), *answered = alloc(3);

	(void)state;
	assocs_use(&table, once, 0, 0, 1000);
	assocs_use(&table, dns, 0, 1, 1000);
	assocs_use(&table, answered, 0, 1, 1000);
	assocs_use(&table, answered, 1, 0, 1000);
	assert_null(assocs_expired(&table, 1000 + ASSOC_DNS_MS - 1));
	assert_ptr_equal(assocs_expired(&table, 1000 + ASSOC_DNS_MS), dns);
	assocs_release(&table, dns);
	assert_null(assocs_expired(&table, 1000 + ASSOC_UNANSWERED_MS - 1));
	assert_ptr_equal(assocs_expired(&table, 1000 + ASSOC_UNANSWERED_MS),
	    once);
	assocs_release(&table, once);
	/* Once answered it stays so, DNS or not. */
	assocs_use(&table, answered, 0, 1, 2000);
	assert_null(assocs_expired(&table, 2000 + ASSOC_IDLE_MS - 1));
	assert_ptr_equal(assocs_expired(&table, 2000 + ASSOC_IDLE_MS),
	    answered);
}

static void
the_one_that_was_idle_longest_gives_way(void **state)
{
	struct assoc *assocs[NOUT];
	uint16_t i;

	(void)state;
	for (i = 0; i < NOUT; i++) {
		assocs[i] = alloc(i);
		assert_non_null(assocs[i]);
		assocs_use(&table, assocs[i], 1, 0, i);
	}
	assert_null(alloc(100));
	assocs_use(&table, assocs[0], 0, 0, 10);
	assert_ptr_equal(assocs_giving_way(&table, 20), assocs[1]);
	assocs_release(&table, assocs[1]);
	assert_ptr_equal(alloc(100), assocs[1]);
	assocs_use(&table, assocs[1], 0, 0, 20);
	assert_ptr_equal(assocs_giving_way(&table, 20), assocs[2]);
}

static void
one_that_nobody_answered_gives_way_before_one_that_is_older(void **state)
{
	struct assoc *answered = alloc(1), *once = alloc(2);

	(void)state;
	assocs_use(&table, answered, 1, 0, 1000);
	assocs_use(&table, once, 0, 0, 2000);
	assert_ptr_equal(assocs_giving_way(&table,
			     2000 + ASSOC_ONE_SHOT_MS - 1),
	    answered);
	assert_ptr_equal(assocs_giving_way(&table, 2000 + ASSOC_ONE_SHOT_MS),
	    once);
}

static void
a_query_gives_way_in_its_turn_and_not_before_one_that_is_older(void **state)
{
	struct assoc *answered = alloc(1), *dns = alloc(2), *once = alloc(3);

	(void)state;
	assocs_use(&table, answered, 1, 0, 1000);
	assocs_use(&table, dns, 0, 1, 2000);
	assocs_use(&table, once, 0, 0, 3000);
	assert_ptr_equal(assocs_giving_way(&table, 4000), answered);
	assocs_use(&table, answered, 0, 0, 4000);
	assert_ptr_equal(assocs_giving_way(&table, 4000), dns);
	/* Asked again, for something else. */
	assocs_use(&table, dns, 0, 0, 5000);
	assert_ptr_equal(assocs_giving_way(&table, 5000), once);
	assert_null(assocs_expired(&table, 5000 + ASSOC_DNS_MS));
}

static unsigned int
give_way(uint64_t now_ms)
{
	struct assoc *assoc;
	unsigned int n = 0;
	uint16_t port;

	while ((assoc = assocs_giving_way(&table, now_ms)) != NULL) {
		port = assoc->key.guest_port;
		assocs_release(&table, assoc);
		assert_ptr_equal(alloc((uint16_t)(port + NOUT)), assoc);
		assocs_use(&table, assoc, 0, 0, now_ms);
		n++;
	}
	return (n);
}

static void
all_may_give_way_in_a_burst_and_then_each_in_its_time(void **state)
{
	uint16_t i;

	(void)state;
	for (i = 0; i < NOUT; i++)
		assocs_use(&table, alloc(i), 0, 0, 1000);
	assert_int_equal(give_way(1000), NOUT);
	assert_int_equal(give_way(1000), 0);
	assert_int_equal(give_way(1000 + ASSOC_TENURE_MS / NOUT), 0);
	assert_int_equal(give_way(1001 + ASSOC_TENURE_MS / NOUT), 1);
	/* No more than that many, however long nobody had to. */
	assert_int_equal(give_way(1000000), NOUT);
}

static void
one_that_was_never_used_ends_first(void **state)
{
	struct assoc *used = alloc(1), *fresh = alloc(2);

	(void)state;
	assocs_use(&table, used, 0, 0, 1000);
	assert_ptr_equal(assocs_giving_way(&table, 1000), fresh);
	assert_ptr_equal(assocs_expired(&table, 1000), fresh);
	assocs_release(&table, fresh);
	assert_null(assocs_expired(&table, 1000));
	assert_ptr_equal(assocs_any(&table), used);
}

static void
a_slot_comes_back_in_another_generation(void **state)
{
	struct assoc *first = alloc(1);
	const uint32_t generation = first->generation;

	(void)state;
	assocs_release(&table, first);
	assert_ptr_equal(alloc(1), first);
	assert_int_equal(first->generation, generation + 1);
}

static void
relayproc_names_inbound_slots_and_replaces_old_generations(void **state)
{
	struct assoc_key one = key_of(53), two = key_of(54);
	const uint32_t wire = FLOW_INBOUND_BIT | 1;
	struct assoc *assoc;

	(void)state;
	assert_null(assocs_take(&table, 0, 1, &one, 1));
	assert_null(assocs_take(&table, FLOW_INBOUND_BIT | NIN, 1, &one, 1));
	assert_null(assocs_by_wire_slot(&table, NOUT));
	assoc = assocs_take(&table, wire, 7, &one, 1);
	assert_non_null(assoc);
	assert_int_equal(assocs_wire_slot(&table, assoc), wire);
	assert_int_equal(table.nactive_in, 1);
	assert_ptr_equal(assocs_take(&table, wire, 7, &one, 1), assoc);
	assert_ptr_equal(assocs_take(&table, wire, 8, &two, 2), assoc);
	assert_int_equal(table.nactive_in, 1);
	assert_null(assocs_lookup(&table, &one, 1));
	assert_ptr_equal(assocs_lookup(&table, &two, 2), assoc);
	assert_null(assocs_giving_way(&table,
	    0)); /* an inbound one is not evicted */
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_port_has_one_association_and_another_protocol_its_own),
		T(an_unanswered_one_ends_sooner_than_one_that_was_answered),
		T(the_one_that_was_idle_longest_gives_way),
		T(one_that_nobody_answered_gives_way_before_one_that_is_older),
		T(a_query_gives_way_in_its_turn_and_not_before_one_that_is_older),
		T(all_may_give_way_in_a_burst_and_then_each_in_its_time),
		T(one_that_was_never_used_ends_first),
		T(a_slot_comes_back_in_another_generation),
		T(relayproc_names_inbound_slots_and_replaces_old_generations),
	};

	return (cmocka_run_group_tests_name("flow_assoc", tests, NULL, NULL));
}
