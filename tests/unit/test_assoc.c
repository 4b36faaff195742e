#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "relayproc/assoc.h"

/* The tables of associations, their clock in our hands, without a socket. */

#define NSLOTS	 2
#define NCLIENTS 2

static const struct ipc_assoc_data to_a = {
	.peer = { .family = 4, .bytes = { 192, 0, 2, 1 } },
	.peer_port = 9,
	.guest_port = 4000,
	.proto = IPPROTO_UDP,
};

static int
table_setup(void **state)
{
	struct assoc_table *table = calloc(1, sizeof(*table));

	if (table == NULL ||
	    assoc_table_init(table, NSLOTS, NCLIENTS, 42, NULL) == -1)
		return (-1);
	*state = table;
	return (0);
}

static int
table_teardown(void **state)
{
	assoc_table_free(*state);
	free(*state);
	return (0);
}

static enum ipc_error
lookup(struct assoc_table *table, uint32_t slot, uint32_t generation,
    const struct ipc_assoc_data *data, struct assoc **assoc, int *old)
{
	const struct ipc_hdr hdr = { .flow = slot, .generation = generation };

	return (assoc_lookup(table, &hdr, data, assoc, old));
}

static struct assoc *
begin(struct assoc_table *table, uint32_t slot, uint32_t generation,
    uint64_t now_ms)
{
	struct assoc *assoc;
	int old;

	assert_int_equal(lookup(table, slot, generation, &to_a, &assoc, &old),
	    IPC_OK);
	assoc_begin(table, assoc, generation, &to_a, now_ms);
	return (assoc);
}

static struct assoc_peer *
peer_add(struct assoc_table *table, struct assoc *assoc, uint32_t ip)
{
	const struct ipc_addr addr = addr_from_ip4(ip);

	return (assoc_peer_add(&table->peers, &assoc->peers, &addr, 9, &addr,
	    9));
}

static struct assoc_peer *
peer_find(struct assoc_table *table, struct assoc *assoc, uint32_t ip)
{
	const struct ipc_addr addr = addr_from_ip4(ip);

	return (assoc_peer_find(&table->peers, &assoc->peers, &addr, 9));
}

static void
a_newer_generation_replaces_and_an_older_one_is_a_lie(void **state)
{
	struct assoc_table *table = *state;
	struct assoc *assoc;
	int old;

	begin(table, 0, 5, 0);
	assert_int_equal(lookup(table, 0, 5, &to_a, &assoc, &old), IPC_OK);
	assert_false(old);
	assert_int_equal(lookup(table, 0, 6, &to_a, &assoc, &old), IPC_OK);
	assert_true(old);
	assert_int_equal(lookup(table, 0, 4, &to_a, &assoc, &old), IPC_E_STATE);
	assert_int_equal(lookup(table, NSLOTS, 5, &to_a, &assoc, &old),
	    IPC_E_QUOTA);
}

static void
an_association_keeps_its_port_protocol_and_family(void **state)
{
	struct assoc_table *table = *state;
	struct ipc_assoc_data data = to_a;
	struct assoc *assoc;
	int old;

	begin(table, 0, 5, 0);
	data.guest_port++;
	assert_int_equal(lookup(table, 0, 5, &data, &assoc, &old), IPC_E_FIELD);
	data = to_a;
	data.proto = IPPROTO_ICMP;
	assert_int_equal(lookup(table, 0, 5, &data, &assoc, &old), IPC_E_FIELD);
	data = to_a;
	data.peer.family = 6;
	assert_int_equal(lookup(table, 0, 5, &data, &assoc, &old), IPC_E_FIELD);
	assert_int_equal(lookup(table, 0, 6, &data, &assoc, &old), IPC_OK);
}

static void
a_close_names_what_is_there_or_was_lost(void **state)
{
	struct assoc_table *table = *state;
	struct ipc_hdr hdr = { .generation = 5 };
	struct assoc *assoc, *mine;
	int old;

	mine = begin(table, 0, 5, 0);
	assert_int_equal(assoc_closing(table, &hdr, &assoc), IPC_OK);
	assert_ptr_equal(assoc, mine);
	assoc_end(table, assoc);
	assert_int_equal(assoc_closing(table, &hdr, &assoc), IPC_OK);
	assert_null(assoc);
	hdr.generation = 7;
	assert_int_equal(assoc_closing(table, &hdr, &assoc), IPC_OK);
	assert_null(assoc);
	assert_int_equal(lookup(table, 0, 6, &to_a, &assoc, &old), IPC_E_STATE);
	hdr.generation = 6;
	assert_int_equal(assoc_closing(table, &hdr, &assoc), IPC_E_STATE);
}

static void
what_is_idle_for_six_minutes_expires(void **state)
{
	struct assoc_table *table = *state;
	struct assoc *one, *two;

	assert_true(assoc_deadline_ms(table) == UINT64_MAX);
	one = begin(table, 0, 1, 1000);
	two = begin(table, 1, 1, 2000);
	assoc_touch(table, one, 3000);
	assert_null(assoc_expired(table, 2000 + ASSOC_IDLE_MS - 1));
	assert_ptr_equal(assoc_expired(table, 2000 + ASSOC_IDLE_MS), two);
	assert_true(assoc_deadline_ms(table) >= 2000 + ASSOC_IDLE_MS);
	assoc_end(table, two);
	assert_null(assoc_expired(table, 2000 + ASSOC_IDLE_MS));
	assert_ptr_equal(assoc_expired(table, 3000 + ASSOC_IDLE_MS), one);
}

static void
an_association_forgets_its_oldest_peer(void **state)
{
	struct assoc_table table;
	struct assoc *assoc;
	uint32_t i;

	(void)state;
	assert_int_equal(assoc_table_init(&table, 128, 0, 42, NULL), 0);
	assoc = begin(&table, 0, 1, 0);
	for (i = 0; i < ASSOC_PEERS_MAX; i++)
		peer_add(&table, assoc, i);
	assert_non_null(peer_find(&table, assoc, 0));
	peer_add(&table, assoc, ASSOC_PEERS_MAX);
	assert_non_null(peer_find(&table, assoc, 0));
	assert_null(peer_find(&table, assoc, 1));
	assert_non_null(peer_find(&table, assoc, 2));
	assert_int_equal(assoc->peers.n, ASSOC_PEERS_MAX);
	assoc_table_free(&table);
}

static void
a_full_pool_forgets_the_oldest_peer_of_all(void **state)
{
	struct assoc_table *table = *state;
	struct assoc *one = begin(table, 0, 1, 0), *two = begin(table, 1, 1, 0);
	const uint32_t pool = NSLOTS * ASSOC_PEERS_AVG + 1;
	uint32_t i;

	peer_add(table, one, 1000);
	for (i = 0; i < pool - 1; i++)
		peer_add(table, two, i);
	assert_non_null(peer_find(table, one, 1000));
	peer_add(table, two, i);
	assert_non_null(peer_find(table, one, 1000));
	assert_null(peer_find(table, two, 0));
	assoc_end(table, two);
	assert_null(peer_find(table, two, 1));
	assert_non_null(peer_find(table, one, 1000));
}

static void
a_peer_of_one_association_is_a_stranger_to_another(void **state)
{
	struct assoc_table *table = *state;
	struct assoc *one = begin(table, 0, 1, 0), *two = begin(table, 1, 1, 0);
	const struct ipc_addr addr = addr_from_ip4(7);

	peer_add(table, one, 7);
	assert_non_null(assoc_peer_find_dial(&table->peers, &one->peers, &addr,
	    9));
	assert_null(assoc_peer_find_dial(&table->peers, &one->peers, &addr,
	    10));
	assert_null(assoc_peer_find_dial(&table->peers, &two->peers, &addr, 9));
}

static void
clients_are_found_forgotten_and_replaced(void **state)
{
	struct assoc_table *table = *state;
	struct udp_listener *listener = (struct udp_listener *)(void *)table;
	struct udp_listener *second = (struct udp_listener *)(void *)state;
	const struct ipc_addr addr = addr_from_ip4(7);
	struct assoc_client *a, *b, *c, *named;
	struct ipc_addr other;
	struct ipc_hdr hdr;
	uint16_t i;

	a = assoc_client_get(table, listener, &addr, 1, 0);
	b = assoc_client_get(table, listener, &addr, 2, 1);
	/* By another port of ours the same client is another one. */
	assert_null(assoc_client_find(table, second, &addr, 1));
	for (i = 100; i < 164; i++) {
		other = addr_from_ip4(i);
		assert_null(assoc_client_find(table, listener, &other, 1));
		assert_null(assoc_client_find(table, listener, &addr, i));
	}
	assert_ptr_equal(assoc_client_get(table, listener, &addr, 1, 2), a);
	hdr = (struct ipc_hdr){ .flow = b->slot, .generation = b->generation };
	c = assoc_client_get(table, listener, &addr, 3, 3);
	assert_ptr_equal(c, b);
	assert_int_equal(c->generation, hdr.generation + 1);
	assert_int_equal(assoc_client_named(table, &hdr, &named), IPC_OK);
	assert_null(named);
	hdr.generation += 1;
	assert_int_equal(assoc_client_named(table, &hdr, &named), IPC_OK);
	assert_ptr_equal(named, c);
	hdr.generation += 1;
	assert_int_equal(assoc_client_named(table, &hdr, &named), IPC_E_STATE);
	assoc_clients_expire(table, 2 + ASSOC_CLIENT_IDLE_MS);
	assert_null(assoc_client_find(table, listener, &addr, 1));
	assert_ptr_equal(assoc_client_find(table, listener, &addr, 3), c);
}

/* In each bucket there are some: hash, set, port and address all count. */
static void
a_peer_is_found_by_all_that_it_is_and_by_nothing_less(void **state)
{
	struct assoc_peer *peer, *added[64];
	struct assoc_peer_set one, two;
	struct assoc_peers peers;
	struct ipc_addr addr, dial;
	uint32_t i, n;

	(void)state;
	assert_int_equal(assoc_peers_init(&peers, 64, 7), 0);
	assoc_peer_set_init(&one, 1);
	assoc_peer_set_init(&two, 2);
	for (i = 0; i < 64; i++) {
		addr = addr_from_ip4(0xc0000200 + i);
		dial = addr_from_ip4(0xc6336400 + i);
		added[i] = assoc_peer_add(&peers, &one, &addr, 9, &dial, 10);
	}
	for (i = 0; i < 64; i++) {
		addr = addr_from_ip4(0xc0000200 + i);
		dial = addr_from_ip4(0xc6336400 + i);
		peer = assoc_peer_find(&peers, &one, &addr, 9);
		assert_ptr_equal(peer, added[i]);
		peer = assoc_peer_find_dial(&peers, &one, &dial, 10);
		assert_ptr_equal(peer, added[i]);
		assert_null(assoc_peer_find(&peers, &two, &addr, 9));
		assert_null(assoc_peer_find_dial(&peers, &two, &dial, 10));
		for (n = 11; n < 75; n++) {
			assert_null(assoc_peer_find(&peers, &one, &addr,
			    (uint16_t)n));
			assert_null(assoc_peer_find_dial(&peers, &one, &dial,
			    (uint16_t)n));
		}
		addr.bytes[0] = 8;
		assert_null(assoc_peer_find(&peers, &one, &addr, 9));
		assert_null(assoc_peer_find_dial(&peers, &one, &addr, 10));
	}
	assoc_peers_free(&peers);
}

/* Else a guest could find peers that share one, and make it long. */
static void
the_seed_decides_in_which_bucket_a_peer_is(void **state)
{
	const struct ipc_addr addr = addr_from_ip4(0xc0000201);
	struct assoc_peers peers;
	struct assoc_peer_set set;
	uint32_t seed, i, used = 0;
	uint64_t buckets = 0;

	(void)state;
	for (seed = 0; seed < 32; seed++) {
		assert_int_equal(assoc_peers_init(&peers, 64, seed), 0);
		assert_int_equal(peers.nbuckets, 64);
		assoc_peer_set_init(&set, 1);
		assoc_peer_add(&peers, &set, &addr, 9, &addr, 9);
		for (i = 0; i < 64; i++) {
			if (!LIST_EMPTY(&peers.by_addr[i]))
				buckets |= 1ULL << i;
		}
		assoc_peers_free(&peers);
	}
	for (i = 0; i < 64; i++)
		used += (uint32_t)(buckets >> i & 1);
	assert_true(used > 8);
}

/* Where all are in one bucket, set, port and address are told apart still. */
static void
a_peer_is_no_other_of_its_bucket(void **state)
{
	const struct ipc_addr addr = addr_from_ip4(0xc0000201);
	const struct ipc_addr dial = addr_from_ip4(0xc6336401);
	struct assoc_peer_set one, two;
	struct assoc_peers peers;

	(void)state;
	assert_int_equal(assoc_peers_init(&peers, 1, 7), 0);
	assoc_peer_set_init(&one, 1);
	assoc_peer_set_init(&two, 2);
	assoc_peer_add(&peers, &one, &addr, 9, &dial, 10);
	assert_non_null(assoc_peer_find(&peers, &one, &addr, 9));
	assert_null(assoc_peer_find(&peers, &two, &addr, 9));
	assert_null(assoc_peer_find(&peers, &one, &addr, 10));
	assert_null(assoc_peer_find(&peers, &one, &dial, 9));
	assert_non_null(assoc_peer_find_dial(&peers, &one, &dial, 10));
	assert_null(assoc_peer_find_dial(&peers, &two, &dial, 10));
	assert_null(assoc_peer_find_dial(&peers, &one, &dial, 9));
	assert_null(assoc_peer_find_dial(&peers, &one, &addr, 10));
	assoc_peers_free(&peers);
}

/* Its place in the order is another then, and the set has it still. */
static void
a_peer_that_was_heard_of_is_forgotten_with_the_rest(void **state)
{
	struct assoc_peer_set set;
	struct assoc_peers peers;
	struct ipc_addr addr;
	uint32_t i;

	(void)state;
	assert_int_equal(assoc_peers_init(&peers, 4, 7), 0);
	assoc_peer_set_init(&set, 1);
	for (i = 0; i < 4; i++) {
		addr = addr_from_ip4(0xc0000200 + i);
		assoc_peer_add(&peers, &set, &addr, 9, &addr, 9);
	}
	addr = addr_from_ip4(0xc0000201);
	assert_non_null(assoc_peer_find(&peers, &set, &addr, 9));
	assoc_peer_set_clear(&peers, &set);
	assert_null(assoc_peer_find(&peers, &set, &addr, 9));
	assert_true(TAILQ_EMPTY(&peers.used));
	assert_int_equal(set.n, 0);
	assoc_peers_free(&peers);
}

/* The longest chain of 1024 peers that differ in one thing alone. */
static uint32_t
longest_chain(uint32_t by_addr, uint32_t by_port, uint32_t by_set)
{
	struct assoc_peer_set sets[1024];
	struct assoc_peer *peer;
	struct assoc_peers peers;
	uint32_t i, n, longest = 0;
	struct ipc_addr addr;

	assert_int_equal(assoc_peers_init(&peers, 1024, 7), 0);
	for (i = 0; i < 1024; i++) {
		assoc_peer_set_init(&sets[i], i * by_set);
		addr = addr_from_ip4(0xc0000000 + i * by_addr);
		assoc_peer_add(&peers, &sets[i], &addr,
		    (uint16_t)(9 + i * by_port), &addr, 9);
	}
	for (i = 0; i < peers.nbuckets; i++) {
		n = 0;
		LIST_FOREACH(peer, &peers.by_addr[i], by_addr)
			n++;
		longest = n > longest ? n : longest;
	}
	assoc_peers_free(&peers);
	return (longest);
}

static void
peers_that_differ_in_one_thing_are_spread(void **state)
{
	(void)state;
	assert_in_range(longest_chain(1, 0, 0), 1, 16);
	assert_in_range(longest_chain(0, 1, 0), 1, 16);
	assert_in_range(longest_chain(0, 0, 1), 1, 16);
	assert_in_range(longest_chain(256, 0, 0), 1, 16);
}

static void
the_place_of_a_forgotten_peer_is_anothers_and_knows_nothing(void **state)
{
	struct assoc_table *table = *state;
	struct assoc *one = begin(table, 0, 1, 0);
	struct assoc_peer *peer[3];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		peer[i] = peer_add(table, one, i);
		peer[i]->verdict = VERDICT_N;
		peer[i]->policy_generation = 5;
		peer[i]->sent_len = 6;
		peer[i]->sent_seq = 7;
	}
	assoc_peer_set_clear(&table->peers, &one->peers);
	assert_int_equal(one->peers.n, 0);
	for (i = 0; i < 3; i++) {
		assert_null(peer_find(table, one, i));
		peer[i] = peer_add(table, one, 10 + i);
		assert_int_equal(peer[i]->verdict, VERDICT_DENIED);
		assert_int_equal(peer[i]->policy_generation, 0);
		assert_int_equal(peer[i]->sent_len, 0);
		assert_int_equal(peer[i]->sent_seq, 0);
	}
	assert_int_equal(one->peers.n, 3);
	for (i = 0; i < 3; i++)
		assert_ptr_equal(peer_find(table, one, 10 + i), peer[i]);
}

/* It has answered. */
static void
a_peer_that_was_heard_of_is_not_the_oldest(void **state)
{
	struct assoc_peer_set set;
	struct assoc_peers peers;
	struct ipc_addr addr;
	uint32_t i;

	(void)state;
	assert_int_equal(assoc_peers_init(&peers, 2, 7), 0);
	assoc_peer_set_init(&set, 1);
	for (i = 0; i < 3; i++) {
		addr = addr_from_ip4(0xc0000200 + i);
		assoc_peer_add(&peers, &set, &addr, 9, &addr, 9);
		addr = addr_from_ip4(0xc0000200);
		assert_non_null(assoc_peer_find_dial(&peers, &set, &addr, 9));
	}
	addr = addr_from_ip4(0xc0000201);
	assert_null(assoc_peer_find(&peers, &set, &addr, 9));
	/* Until others are heard of after it. */
	for (i = 3; i < 9; i++) {
		addr = addr_from_ip4(0xc0000200 + i);
		assoc_peer_add(&peers, &set, &addr, 9, &addr, 9);
	}
	addr = addr_from_ip4(0xc0000200);
	assert_null(assoc_peer_find(&peers, &set, &addr, 9));
	addr = addr_from_ip4(0xc0000207);
	assert_non_null(assoc_peer_find(&peers, &set, &addr, 9));
	assert_int_equal(set.n, 2);
	assoc_peers_free(&peers);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_newer_generation_replaces_and_an_older_one_is_a_lie),
		TEST(an_association_keeps_its_port_protocol_and_family),
		TEST(a_close_names_what_is_there_or_was_lost),
		TEST(what_is_idle_for_six_minutes_expires),
		cmocka_unit_test(an_association_forgets_its_oldest_peer),
		TEST(a_full_pool_forgets_the_oldest_peer_of_all),
		TEST(a_peer_of_one_association_is_a_stranger_to_another),
		cmocka_unit_test(
		    a_peer_is_found_by_all_that_it_is_and_by_nothing_less),
		cmocka_unit_test(a_peer_is_no_other_of_its_bucket),
		cmocka_unit_test(
		    a_peer_that_was_heard_of_is_forgotten_with_the_rest),
		cmocka_unit_test(peers_that_differ_in_one_thing_are_spread),
		cmocka_unit_test(the_seed_decides_in_which_bucket_a_peer_is),
		TEST(
		    the_place_of_a_forgotten_peer_is_anothers_and_knows_nothing),
		cmocka_unit_test(a_peer_that_was_heard_of_is_not_the_oldest),
		TEST(clients_are_found_forgotten_and_replaced),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
