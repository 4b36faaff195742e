#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/proto.h"

static const struct row {
	const char *name;
	uint32_t type, from, to, phases;
	size_t size, tail;
	unsigned int fds;
} rows[] = {
#define X(name, from, to, payload, tail, fds, phases) \
	{ #name, IPC_##name, (from), (to), (phases), \
		sizeof(struct ipc_##payload), (tail), (fds) },
	IPC_MESSAGES(X)
#undef X
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

static const uint32_t phases[] = { IPC_SETUP, IPC_RUN, IPC_DRAIN };

static uint8_t record[IPC_DGRAM_MAX + 1];

static size_t
fill(uint32_t type, size_t payload)
{
	struct ipc_hdr hdr = { .type = type };

	memset(record, 0, sizeof(record));
	memcpy(record, &hdr, sizeof(hdr));
	return (sizeof(hdr) + payload);
}

/* The first role, pair and phase in which a row may be said. */
static void
legal(const struct row *row, enum role *from, enum role *to, uint32_t *phase)
{
	unsigned int i;

	for (i = ROLE_NROLES; i-- > 0;) {
		if (row->from & ROLE_BIT(i))
			*from = (enum role)i;
		if (row->to & ROLE_BIT(i))
			*to = (enum role)i;
	}
	for (i = 3; i-- > 0;) {
		if (row->phases & phases[i])
			*phase = phases[i];
	}
}

static void
each_message_passes_just_where_its_row_says(void **state)
{
	enum ipc_error want, got;
	size_t i, p, len;
	int from, to;

	(void)state;
	for (i = 0; i < NROWS; i++) {
		len = fill(rows[i].type, rows[i].size);
		for (from = 0; from < ROLE_NROLES; from++) {
			for (to = 0; to < ROLE_NROLES; to++) {
				for (p = 0; p < 3; p++) {
					want = (rows[i].from &
						   ROLE_BIT(from)) == 0 ||
						(rows[i].to & ROLE_BIT(to)) ==
						    0 ?
					    IPC_E_DIRECTION :
					    (rows[i].phases & phases[p]) == 0 ?
					    IPC_E_PHASE :
					    IPC_OK;
					got = ipc_check(record, len,
					    rows[i].fds, (enum role)from,
					    (enum role)to, phases[p]);
					assert_int_equal(got, want);
				}
			}
		}
	}
}

static void
a_size_other_than_the_rows_is_refused(void **state)
{
	enum role from = ROLE_PARENT, to = ROLE_PARENT;
	uint32_t phase = 0;
	size_t i, len, most;

	(void)state;
	for (i = 0; i < NROWS; i++) {
		len = fill(rows[i].type, rows[i].size);
		most = len + rows[i].tail;
		legal(&rows[i], &from, &to, &phase);
		assert_int_equal(ipc_check(record, len - 1, rows[i].fds, from,
				     to, phase),
		    IPC_E_SIZE);
		assert_int_equal(ipc_check(record, most, rows[i].fds, from, to,
				     phase),
		    IPC_OK);
		assert_int_equal(ipc_check(record, most + 1, rows[i].fds, from,
				     to, phase),
		    IPC_E_SIZE);
	}
}

static void
a_number_of_descriptors_other_than_the_rows_is_refused(void **state)
{
	enum role from = ROLE_PARENT, to = ROLE_PARENT;
	uint32_t phase = 0;
	unsigned int n;
	size_t i, len;

	(void)state;
	for (i = 0; i < NROWS; i++) {
		len = fill(rows[i].type, rows[i].size);
		legal(&rows[i], &from, &to, &phase);
		for (n = 0; n < 4; n++)
			assert_int_equal(ipc_check(record, len, n, from, to,
					     phase),
			    n == rows[i].fds ? IPC_OK : IPC_E_FDS);
	}
}

static void
a_record_shorter_than_a_header_is_refused(void **state)
{
	size_t len;

	(void)state;
	fill(IPC_HELLO, sizeof(struct ipc_hello));
	for (len = 0; len < sizeof(struct ipc_hdr); len++)
		assert_int_equal(ipc_check(record, len, 0, ROLE_PARENT,
				     ROLE_NETPROC, IPC_SETUP),
		    IPC_E_SHORT);
}

static void
a_type_that_is_no_row_is_refused(void **state)
{
	static const uint32_t types[] = { IPC_NONE, IPC_NTYPES, IPC_NTYPES + 1,
		0x80000000u, UINT32_MAX };
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		len = fill(types[i], 4);
		assert_int_equal(ipc_check(record, len, 0, ROLE_NETPROC,
				     ROLE_RELAYPROC, IPC_RUN),
		    IPC_E_TYPE);
		assert_string_equal(ipc_name(types[i]), "?");
	}
}

static void
a_reserved_header_field_must_be_zero(void **state)
{
	struct ipc_hdr hdr = { .type = IPC_FLOW_SHUT_WR, .reserved = 1 };
	size_t len = fill(IPC_FLOW_SHUT_WR, 4);

	(void)state;
	memcpy(record, &hdr, sizeof(hdr));
	assert_int_equal(ipc_check(record, len, 0, ROLE_NETPROC, ROLE_RELAYPROC,
			     IPC_RUN),
	    IPC_E_RESERVED);
}

static void
netproc_can_send_no_descriptor(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NROWS; i++) {
		if (rows[i].from & ROLE_BIT(ROLE_NETPROC))
			assert_int_equal(rows[i].fds, 0);
		if (rows[i].to & ROLE_BIT(ROLE_PARENT))
			assert_int_equal(rows[i].fds, 0);
	}
}

static void
every_error_has_a_text_of_its_own(void **state)
{
	int i, j;

	(void)state;
	for (i = 0; i < IPC_NERRORS; i++) {
		assert_string_not_equal(ipc_strerror((enum ipc_error)i), "?");
		for (j = 0; j < i; j++)
			assert_string_not_equal(ipc_strerror((enum ipc_error)i),
			    ipc_strerror((enum ipc_error)j));
	}
	assert_string_equal(ipc_strerror(IPC_NERRORS), "?");
}

static void
fnv1a(uint64_t *hash, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len-- > 0) {
		*hash ^= *p++;
		*hash *= UINT64_C(1099511628211);
	}
}

/* Each word of each row, as bytes; type 0 is a row with nothing but a name. */
static void
the_hash_is_over_each_word_of_the_table(void **state)
{
	uint64_t hash = UINT64_C(14695981039346656037), row[6] = { 0 };
	size_t i;

	(void)state;
	fnv1a(&hash, "NONE", 4);
	fnv1a(&hash, row, sizeof(row));
	for (i = 0; i < NROWS; i++) {
		row[0] = rows[i].from;
		row[1] = rows[i].to;
		row[2] = rows[i].phases;
		row[3] = rows[i].size;
		row[4] = rows[i].tail;
		row[5] = rows[i].fds;
		fnv1a(&hash, rows[i].name, strlen(rows[i].name));
		fnv1a(&hash, row, sizeof(row));
	}
	assert_int_equal(ipc_proto_hash(), hash);
}

static void
what_is_asked_of_a_row_is_what_it_says(void **state)
{
	static const uint32_t none[] = { IPC_NONE, IPC_NTYPES, UINT32_MAX };
	const char *name;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS; i++) {
		name = rows[i].name;
		assert_string_equal(ipc_name(rows[i].type), name);
		assert_int_equal(ipc_payload_size(rows[i].type), rows[i].size);
		assert_int_equal(ipc_tail_max(rows[i].type), rows[i].tail);
		assert_int_equal(ipc_nfds(rows[i].type), rows[i].fds);
		assert_int_equal(ipc_is_dgram(rows[i].type),
		    strncmp(name, "DNS_", 4) == 0 ||
			strncmp(name, "ASSOC_", 6) == 0);
	}
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_string_equal(ipc_name(none[i]), "?");
		assert_int_equal(ipc_payload_size(none[i]), 0);
		assert_int_equal(ipc_tail_max(none[i]), 0);
		assert_int_equal(ipc_nfds(none[i]), 0);
		assert_int_equal(ipc_is_dgram(none[i]), 0);
	}
}

static void
every_role_has_its_name(void **state)
{
	(void)state;
	assert_string_equal(role_name(ROLE_PARENT), "parent");
	assert_string_equal(role_name(ROLE_NETPROC), "netproc");
	assert_string_equal(role_name(ROLE_RELAYPROC), "relayproc");
	assert_string_equal(role_name(ROLE_NROLES), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message_passes_just_where_its_row_says),
		cmocka_unit_test(a_size_other_than_the_rows_is_refused),
		cmocka_unit_test(
		    a_number_of_descriptors_other_than_the_rows_is_refused),
		cmocka_unit_test(a_record_shorter_than_a_header_is_refused),
		cmocka_unit_test(a_type_that_is_no_row_is_refused),
		cmocka_unit_test(a_reserved_header_field_must_be_zero),
		cmocka_unit_test(netproc_can_send_no_descriptor),
		cmocka_unit_test(every_error_has_a_text_of_its_own),
		cmocka_unit_test(the_hash_is_over_each_word_of_the_table),
		cmocka_unit_test(what_is_asked_of_a_row_is_what_it_says),
		cmocka_unit_test(every_role_has_its_name),
	};

	return (cmocka_run_group_tests_name("proto", tests, NULL, NULL));
}
