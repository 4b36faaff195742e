/*
 * Connections of a predecessor's: who is asked, how often and how many at a
 * time, and whose name is struck off.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/journal.h"
#include "netproc/flow/segment.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

#define SLOTS	   300
#define FIRST_PORT 1000

static struct netproc np;
static unsigned int asked[SLOTS], nasked; /* by the guest's port */
static uint32_t last_seq;
static unsigned int nticks; /* so often was one asked for */
static int room;	    /* on the link, segments */

void __wrap_segment_send(struct netproc *of, const struct flow_tuple *tuple,
    const struct segment *segment);
int __wrap_link_has_room(const struct netproc *of);
void __wrap_netproc_need_tick(struct netproc *of);

void
__wrap_segment_send(struct netproc *of, const struct flow_tuple *tuple,
    const struct segment *segment)
{
	assert_ptr_equal(of, &np);
	assert_int_equal(segment->flags, SHIELD_TCP_ACK);
	assert_in_range(tuple->guest_port, FIRST_PORT, FIRST_PORT + SLOTS - 1);
	asked[tuple->guest_port - FIRST_PORT]++;
	nasked++;
	room--;
	last_seq = segment->seq;
}

int
__wrap_link_has_room(const struct netproc *of)
{
	assert_ptr_equal(of, &np);
	return (room > 0);
}

void
__wrap_netproc_need_tick(struct netproc *of)
{
	assert_ptr_equal(of, &np);
	nticks++;
}

static struct journal_name
name_of(int family, unsigned int i)
{
	struct journal_name name = { .peer_port = 80 };

	name.guest_port = (uint16_t)(FIRST_PORT + i);
	name.peer.family = name.guest.family = (uint8_t)family;
	name.peer.bytes[0] = 192;
	name.guest.bytes[0] = 100;
	return (name);
}

static struct flow_tuple
tuple_of(const struct journal_name *name)
{
	const struct flow_tuple tuple = { name->peer, name->guest,
		name->peer_port, name->guest_port };

	return (tuple);
}

static void
heard(unsigned int i, uint8_t flags)
{
	const struct journal_name name = name_of(4, i);
	const struct flow_tuple tuple = tuple_of(&name);

	orphans_heard(&np, &tuple, demux_hash(np.hash_key, &tuple), flags);
}

/* The predecessor had so many connections, and there is a guest. */
static void
had(unsigned int n)
{
	struct journal_name name;
	unsigned int i;

	for (i = 0; i < n; i++) {
		name = name_of(4, i);
		journal_name_set(np.journal, i, &name);
	}
	assert_int_equal(orphans_find(&np), 0);
	assert_int_equal(np.orphans.nleft, n);
	orphans_start(&np);
}

static void
tick_after(uint64_t ms)
{
	np.now_ms += ms;
	orphans_tick(&np);
	orphans_probe(&np);
}

static int
setup(void **state)
{
	(void)state;
	memset(&np, 0, sizeof(np));
	memset(asked, 0, sizeof(asked));
	nasked = 0;
	nticks = 0;
	room = INT32_MAX;
	np.now_ms = 1000;
	np.flows.nbuckets = 4; /* so that names share them */
	np.journal = journal_map(-1, SLOTS);
	return (np.journal == NULL ? -1 : 0);
}

static int
teardown(void **state)
{
	(void)state;
	free(np.orphans.buckets);
	free(np.orphans.next);
	journal_unmap(np.journal);
	return (0);
}

static void
each_is_asked_once_a_round_with_other_numbers(void **state)
{
	uint32_t before;

	(void)state;
	had(3);
	assert_int_equal(nticks, 1);
	orphans_probe(&np);
	assert_int_equal(nticks, 2);
	assert_int_equal(nasked, 3);
	before = last_seq;
	tick_after(ORPHAN_RETRY_MS - 1);
	assert_int_equal(nasked, 3);
	tick_after(1);
	assert_int_equal(nasked, 6);
	assert_int_equal(asked[0], 2);
	assert_int_equal(asked[2], 2);
	assert_int_not_equal(last_seq, before);
}

static void
no_two_are_asked_with_the_same_numbers(void **state)
{
	uint32_t before;

	(void)state;
	had(2);
	room = 1;
	orphans_probe(&np);
	before = last_seq;
	room = 1;
	orphans_probe(&np);
	assert_int_equal(nasked, 2);
	assert_int_not_equal(last_seq, before);
}

static void
after_the_last_round_they_are_forgotten(void **state)
{
	unsigned int i;

	(void)state;
	had(2);
	for (i = 0; i < 2 * ORPHAN_ROUNDS; i++)
		tick_after(ORPHAN_RETRY_MS);
	assert_int_equal(nasked, 2 * ORPHAN_ROUNDS);
	assert_int_equal(np.orphans.nleft, 0);
	assert_int_equal(journal_dead(np.journal, 0)->used, 0);
	assert_int_equal(journal_dead(np.journal, 1)->used, 0);
}

static void
no_more_are_asked_at_once_than_have_answered(void **state)
{
	(void)state;
	had(SLOTS);
	orphans_probe(&np);
	assert_int_equal(nasked, ORPHAN_BATCH);
	orphans_probe(&np);
	assert_int_equal(nasked, ORPHAN_BATCH);
	heard(7, SHIELD_TCP_ACK);
	heard(8, SHIELD_TCP_RST);
	orphans_probe(&np);
	assert_int_equal(nasked, ORPHAN_BATCH + 2);
	tick_after(1);
	assert_int_equal(nasked, 2 * ORPHAN_BATCH + 2);
	tick_after(1);
	assert_int_equal(nasked, SLOTS);
}

static void
nobody_is_asked_without_a_guest_or_room(void **state)
{
	(void)state;
	had(10);
	np.frame_fd = -1;
	orphans_probe(&np);
	assert_int_equal(nasked, 0);
	np.frame_fd = 0;
	room = 4;
	orphans_probe(&np);
	assert_int_equal(nasked, 4);
	room = 100;
	orphans_probe(&np);
	assert_int_equal(nasked, 10);
}

static void
a_reset_and_a_syn_end_their_own_alone(void **state)
{
	unsigned int i;

	(void)state;
	had(20);
	heard(3, SHIELD_TCP_ACK);
	heard(SLOTS, SHIELD_TCP_RST);
	assert_int_equal(np.orphans.nleft, 20);
	heard(3, SHIELD_TCP_RST);
	heard(3, SHIELD_TCP_RST);
	assert_int_equal(np.orphans.nleft, 19);
	heard(12, SHIELD_TCP_SYN);
	assert_int_equal(np.orphans.nleft, 18);
	orphans_probe(&np);
	for (i = 0; i < 20; i++) {
		assert_int_equal(asked[i], i != 3 && i != 12);
		assert_int_equal(journal_dead(np.journal, i)->used,
		    i != 3 && i != 12);
	}
	for (i = 0; i < 20; i++)
		heard(i, SHIELD_TCP_RST | SHIELD_TCP_ACK);
	assert_int_equal(np.orphans.nleft, 0);
}

static void
a_guest_that_has_gone_is_asked_nothing_more(void **state)
{
	(void)state;
	had(5);
	orphans_forget(&np);
	orphans_start(&np);
	tick_after(ORPHAN_RETRY_MS);
	assert_int_equal(nasked, 0);
	heard(1, SHIELD_TCP_RST);
	assert_int_equal(np.orphans.nleft, 0);
	assert_int_equal(journal_dead(np.journal, 4)->used, 0);
}

static void
a_name_that_no_flow_can_have_is_none(void **state)
{
	struct journal_name name[6];
	uint32_t i;

	(void)state;
	name[0] = name_of(4, 0);
	name[1] = name_of(0, 1);
	name[2] = name_of(5, 2);
	name[3] = name_of(6, 3); /* which this host has not */
	name[4] = name_of(4, 4);
	name[4].peer.bytes[4] = 1;
	name[5] = name_of(4, 5);
	name[5].peer.family = 6;
	for (i = 0; i < 6; i++)
		journal_name_set(np.journal, i, &name[i]);
	assert_int_equal(orphans_find(&np), 0);
	assert_int_equal(np.orphans.nleft, 1);
	for (i = 1; i < 6; i++)
		assert_int_equal(journal_dead(np.journal, i)->used, 0);
	orphans_start(&np);
	orphans_probe(&np);
	assert_int_equal(nasked, 1);
}

static void
ipv6_is_asked_where_there_is_some(void **state)
{
	const struct journal_name name = name_of(6, 9);

	(void)state;
	np.cfg.gateway6.family = 6;
	journal_name_set(np.journal, 0, &name);
	assert_int_equal(orphans_find(&np), 0);
	orphans_start(&np);
	orphans_probe(&np);
	assert_int_equal(asked[9], 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_is_asked_once_a_round_with_other_numbers),
		T(no_two_are_asked_with_the_same_numbers),
		T(after_the_last_round_they_are_forgotten),
		T(no_more_are_asked_at_once_than_have_answered),
		T(nobody_is_asked_without_a_guest_or_room),
		T(a_reset_and_a_syn_end_their_own_alone),
		T(a_guest_that_has_gone_is_asked_nothing_more),
		T(a_name_that_no_flow_can_have_is_none),
		T(ipv6_is_asked_where_there_is_some),
	};

	return (cmocka_run_group_tests_name("orphan", tests, NULL, NULL));
}
