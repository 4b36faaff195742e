/* DNS over TCP: to which name server a connection of the guest goes. */

#include <sys/socket.h>

#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/clock.h"
#include "tests/unit/relay_life.h"

#define NFILL 4

/* The port of the server that a connection of the guest's came to. */
static uint16_t
server_of(struct life *life, uint32_t slot)
{
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);
	int fd;

	life_open(life, slot, "100.96.0.1", 53);
	fd = life_expect_opened(life, slot);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return (ntohs(sin.sin_port));
}

static void
the_first_server_is_asked_again_when_it_is_back(void **state)
{
	struct life *life = *state;
	uint16_t first_port, port;
	int fill[NFILL], first, server, i;

	first = life_blackhole(&first_port, fill, NFILL);
	server = life_listen(&port, 8);
	life->config.dns_timeout_ms = 50;
	life_resolver(life, "127.0.0.1", first_port);
	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	assert_int_equal(server_of(life, 0), port);
	for (i = 0; i < NFILL; i++)
		close(fill[i]);
	assert_int_equal(listen(first, 8), 0);
	assert_int_equal(server_of(life, 1), port);
	life->rp->resolver.return_ms = clock_now_ms();
	assert_int_equal(server_of(life, 2), first_port);
	assert_int_equal(server_of(life, 3), first_port);
	close(first);
	close(server);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_first_server_is_asked_again_when_it_is_back, life_setup,
		    life_teardown),
	};

	return (cmocka_run_group_tests_name("resolver_tcp", tests, NULL, NULL));
}
