/* Which clients of a published port the guest may see as they are. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/addr.h"
#include "netproc/flow/client.h"
#include "netproc/netproc.h"

static struct netproc np;

static int
setup(void **state)
{
	(void)state;
	np.cfg.prefix_len = 30;
	np.cfg.prefix_len6 = 64;
	if (addr_parse("100.96.0.2", &np.cfg.address) == -1)
		return (-1);
	return (addr_parse("fd53::2", &np.cfg.address6));
}

static int
is_routable(const char *text)
{
	struct ipc_addr client;

	assert_int_equal(addr_parse(text, &client), 0);
	return (client_is_routable(&np, &client));
}

/* The first and the last of each net, as far as a prefix has a first. */
static void
one_that_no_answer_of_the_guest_would_find_is_not_shown(void **state)
{
	static const char *const clients[] = { "0.0.0.0", "0.255.255.255",
		"127.0.0.1", "127.255.255.255", "169.254.0.0",
		"169.254.255.255", "224.0.0.0", "255.255.255.255", "::", "::1",
		"::ffff:ffff", "fe80::1", "febf::1", "ff00::", "ffff::1" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		assert_int_equal(is_routable(clients[i]), 0);
}

static void
nor_is_one_of_the_guests_own_nets(void **state)
{
	static const char *const clients[] = { "100.96.0.0", "100.96.0.3",
		"fd53::", "fd53::ffff:ffff:ffff:ffff" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		assert_int_equal(is_routable(clients[i]), 0);
}

static void
all_beside_them_are_shown(void **state)
{
	static const char *const clients[] = { "1.0.0.0", "126.255.255.255",
		"128.0.0.0", "169.253.255.255", "169.255.0.0",
		"223.255.255.255", "100.95.255.255", "100.96.0.4", "::1:0:0",
		"fe7f::1", "fec0::1", "feff::1", "fd52::1", "fd53:0:0:1::" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		assert_int_equal(is_routable(clients[i]), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    one_that_no_answer_of_the_guest_would_find_is_not_shown),
		cmocka_unit_test(nor_is_one_of_the_guests_own_nets),
		cmocka_unit_test(all_beside_them_are_shown),
	};

	return (cmocka_run_group_tests(tests, setup, NULL));
}
