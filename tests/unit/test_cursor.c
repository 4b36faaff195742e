#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/cursor.h"

static const uint8_t eight[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void
integers_are_read_in_network_byte_order(void **state)
{
	struct cursor c;

	(void)state;
	cursor_init(&c, eight, sizeof(eight));
	assert_int_equal(cursor_u8(&c), 0x01);
	assert_int_equal(cursor_be16(&c), 0x0203);
	assert_int_equal(cursor_be32(&c), 0x04050607);
	assert_int_equal(c.left, 1);
	assert_int_equal(c.error, 0);
}

static void
a_read_past_the_end_fails_and_so_does_every_later_one(void **state)
{
	struct cursor c;

	(void)state;
	cursor_init(&c, eight, 3);
	assert_int_equal(cursor_be32(&c), 0);
	assert_int_equal(c.error, 1);
	assert_int_equal(c.left, 3);
	assert_int_equal(cursor_u8(&c), 0);
	assert_null(cursor_bytes(&c, 0));
	assert_int_equal(cursor_be16(&c), 0);
}

static void
a_length_near_the_top_of_size_t_does_not_wrap(void **state)
{
	struct cursor_out out;
	struct cursor c;
	uint8_t room[4];

	(void)state;
	cursor_init(&c, eight, sizeof(eight));
	cursor_skip(&c, SIZE_MAX);
	assert_int_equal(c.error, 1);
	cursor_out_init(&out, room, sizeof(room));
	cursor_out_u8(&out, 1);
	assert_null(cursor_out_room(&out, SIZE_MAX));
	assert_int_equal(out.error, 1);
	assert_int_equal(out.len, 1);
}

static void
a_sub_cursor_cannot_read_beyond_its_own_bytes(void **state)
{
	struct cursor c, sub;

	(void)state;
	cursor_init(&c, eight, sizeof(eight));
	sub = cursor_sub(&c, 2);
	assert_int_equal(cursor_be16(&sub), 0x0102);
	assert_int_equal(cursor_u8(&sub), 0);
	assert_int_equal(sub.error, 1);
	assert_int_equal(c.error, 0);
	assert_int_equal(cursor_u8(&c), 3);

	sub = cursor_sub(&c, 6);
	assert_int_equal(c.error, 1);
	assert_int_equal(sub.error, 1);
	assert_int_equal(sub.left, 0);
}

static void
a_copy_that_does_not_fit_leaves_zeroes(void **state)
{
	uint8_t dst[4] = { 9, 9, 9, 9 };
	struct cursor c;

	(void)state;
	cursor_init(&c, eight, 2);
	cursor_copy(&c, dst, sizeof(dst));
	assert_memory_equal(dst, "\0\0\0\0", 4);
	assert_int_equal(c.error, 1);
}

static void
no_bytes_at_all_may_be_a_null_pointer(void **state)
{
	struct cursor c;

	(void)state;
	cursor_init(&c, NULL, 0);
	cursor_skip(&c, 0);
	cursor_copy(&c, NULL, 0);
	assert_int_equal(c.error, 0);
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(c.error, 1);
}

static void
writing_mirrors_reading(void **state)
{
	struct cursor_out out;
	uint8_t room[8];

	(void)state;
	cursor_out_init(&out, room, sizeof(room));
	cursor_out_u8(&out, 1);
	cursor_out_be16(&out, 0x0203);
	cursor_out_be32(&out, 0x04050607);
	cursor_out_bytes(&out, &eight[7], 1);
	assert_int_equal(out.error, 0);
	assert_int_equal(out.len, 8);
	assert_memory_equal(room, eight, 8);
}

static void
a_write_that_does_not_fit_writes_nothing_of_itself(void **state)
{
	uint8_t room[4] = { 0xaa, 0xaa, 0xaa, 0xaa };
	struct cursor_out out;

	(void)state;
	cursor_out_init(&out, room, 3);
	cursor_out_be16(&out, 0);
	cursor_out_be16(&out, 0);
	assert_int_equal(out.error, 1);
	assert_int_equal(out.len, 2);
	cursor_out_u8(&out, 0);
	assert_int_equal(out.len, 2);
	assert_memory_equal(room, "\0\0\xaa\xaa", 4);
}

static void
a_patch_stays_within_what_is_written(void **state)
{
	struct cursor_out out;
	uint8_t room[4] = { 0 };

	(void)state;
	cursor_out_init(&out, room, sizeof(room));
	cursor_out_zero(&out, 3);
	cursor_out_patch16(&out, 1, 0x0102);
	assert_int_equal(out.error, 0);
	assert_memory_equal(room, "\0\1\2", 3);
	cursor_out_patch16(&out, 2, 0x0304);
	assert_int_equal(out.error, 1);
	assert_memory_equal(room, "\0\1\2\0", 4);
	cursor_out_init(&out, room, sizeof(room));
	cursor_out_u8(&out, 9);
	cursor_out_patch16(&out, 0, 0x0304);
	assert_int_equal(out.error, 1);
	assert_int_equal(room[0], 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_read_in_network_byte_order),
		cmocka_unit_test(
		    a_read_past_the_end_fails_and_so_does_every_later_one),
		cmocka_unit_test(a_length_near_the_top_of_size_t_does_not_wrap),
		cmocka_unit_test(a_sub_cursor_cannot_read_beyond_its_own_bytes),
		cmocka_unit_test(a_copy_that_does_not_fit_leaves_zeroes),
		cmocka_unit_test(no_bytes_at_all_may_be_a_null_pointer),
		cmocka_unit_test(writing_mirrors_reading),
		cmocka_unit_test(
		    a_write_that_does_not_fit_writes_nothing_of_itself),
		cmocka_unit_test(a_patch_stays_within_what_is_written),
	};

	return (cmocka_run_group_tests_name("cursor", tests, NULL, NULL));
}
