/*
 * Runs lwIP's own unit tests of what netproc compiles of it, as TAP.
 */

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/test_def.h"
#include "core/test_pbuf.h"
#include "lwip/init.h"
#include "lwip/memp.h"
#include "lwip/stats.h"
#include "lwip_check.h"
#include "tcp/test_tcp.h"
#include "tcp/test_tcp_oos.h"
#include "tcp/test_tcp_state.h"

/* Tests of what our options leave out. */
static const struct {
	const char *name;
	const char *reason;
} left_out[] = {
	{ "test_tcp_new_max_num",
	    "pools are malloc(3): our caps stand before" },
	{ "test_tcp_new_max_num_remove_TIME_WAIT", "as above" },
};

/* What the tests turn the clock with. */
u32_t lwip_sys_now;

u32_t
sys_now(void)
{
	return (lwip_sys_now);
}

uint32_t
lwip_port_random(void)
{
	return ((uint32_t)rand());
}

void
lwip_assert_failed(const char *message, int line, const char *file)
{
	printf("# %s:%d: %s\n", file, line, message);
	abort();
}

static int
is_left_out(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (strcmp(name, left_out[i].name) == 0) {
			printf("# left out: %s: %s\n", name,
			    left_out[i].reason);
			return (1);
		}
	return (0);
}

Suite *
create_suite(const char *name, testfunc *tests, size_t n, SFun setup,
    SFun teardown)
{
	Suite *suite = suite_create(name);
	TCase *tcase;
	size_t i;

	for (i = 0; i < n; i++) {
		if (is_left_out(tests[i]->name))
			continue;
		tcase = tcase_create(name);
		tcase_add_checked_fixture(tcase, setup, teardown);
		tcase_add_test(tcase, tests[i]);
		suite_add_tcase(suite, tcase);
	}
	return (suite);
}

void
lwip_check_ensure_no_alloc(unsigned int skip)
{
	unsigned int i;

	if ((skip & SKIP_HEAP) == 0)
		ck_assert_uint_eq(lwip_stats.mem.used, 0);
	for (i = 0; i < MEMP_MAX; i++)
		if ((skip & SKIP_POOL(i)) == 0)
			ck_assert_uint_eq(lwip_stats.memp[i]->used, 0);
}

int
main(void)
{
	SRunner *runner;
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	runner = srunner_create(tcp_suite());
	srunner_add_suite(runner, tcp_oos_suite());
	srunner_add_suite(runner, tcp_state_suite());
	srunner_add_suite(runner, pbuf_suite());
	srunner_add_suite(runner, def_suite());
	srunner_set_tap(runner, "-");
	lwip_init();
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed != 0);
}
