#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/host_routes.h"

/* A datagram as it is built up. */
static uint8_t dgram[1024];
static size_t dgram_len;

static struct host_routes routes;

/* One route, as the kernel tells it; the rest is that of a default route. */
struct told {
	uint16_t type, nlmsg_flags;
	const char *dst;
	uint8_t dst_len, rtm_type, family;
	uint32_t table, oif, flags;
	uint16_t via; /* an attribute in place of RTA_OIF */
	uint8_t src_len;
};

static const struct told default_route = {
	.type = RTM_NEWROUTE,
	.nlmsg_flags = NLM_F_MULTI,
	.rtm_type = RTN_UNICAST,
	.family = AF_INET6,
	.table = RT_TABLE_MAIN,
	.oif = 2,
};

static void
put(const void *bytes, size_t len)
{
	memcpy(dgram + dgram_len, bytes, len);
	dgram_len += (len + 3) & ~(size_t)3;
}

static void
put_attribute(uint16_t type, const void *bytes, size_t len)
{
	struct rtattr rta = {
		.rta_len = (unsigned short)(sizeof(rta) + len),
		.rta_type = type,
	};

	put(&rta, sizeof(rta));
	put(bytes, len);
}

static void
put_route(const struct told *told)
{
	struct nlmsghdr hdr = { .nlmsg_type = told->type,
		.nlmsg_flags = told->nlmsg_flags };
	struct rtmsg rtm = { .rtm_family = told->family,
		.rtm_dst_len = told->dst_len,
		.rtm_src_len = told->src_len,
		.rtm_type = told->rtm_type,
		.rtm_flags = told->flags,
		.rtm_table = told->table < 256 ? (unsigned char)told->table :
						 RT_TABLE_COMPAT };
	size_t start = dgram_len;
	uint8_t dst[16];

	put(&hdr, sizeof(hdr));
	put(&rtm, sizeof(rtm));
	put_attribute(RTA_TABLE, &told->table, sizeof(told->table));
	if (told->dst != NULL) {
		assert_int_equal(inet_pton(AF_INET6, told->dst, dst), 1);
		put_attribute(RTA_DST, dst, sizeof(dst));
	}
	put_attribute(told->via != 0 ? told->via : RTA_OIF, &told->oif,
	    sizeof(told->oif));
	hdr.nlmsg_len = (uint32_t)(dgram_len - start);
	memcpy(dgram + start, &hdr, sizeof(hdr));
}

static int
found(const struct told *told)
{
	memset(dgram, 0, sizeof(dgram));
	memset(&routes, 0, sizeof(routes));
	dgram_len = 0;
	put_route(told);
	assert_int_equal(host_routes_parse(&routes, dgram, dgram_len),
	    RTNETLINK_MORE);
	return (routes.found);
}

static void
a_default_route_is_a_way_out(void **state)
{
	(void)state;
	assert_true(found(&default_route));
	assert_false(routes.stale);
}

static void
a_prefix_that_covers_all_global_addresses_is_a_way_out(void **state)
{
	struct told told = default_route;

	(void)state;
	told.dst = "2000::";
	told.dst_len = 3;
	assert_true(found(&told));
	told.dst = "::";
	told.dst_len = 1;
	assert_true(found(&told));
}

static void
a_smaller_or_another_prefix_is_none(void **state)
{
	struct told told = default_route;

	(void)state;
	told.dst = "2000::";
	told.dst_len = 4;
	assert_false(found(&told));
	told.dst = "8000::";
	told.dst_len = 1;
	assert_false(found(&told));
	told.dst = "fd00::";
	told.dst_len = 3;
	assert_false(found(&told));
	told.dst = "2001:db8::";
	told.dst_len = 64;
	assert_false(found(&told));
}

static void
an_unreachable_route_or_one_by_loopback_is_none(void **state)
{
	struct told told = default_route;

	(void)state;
	told.rtm_type = RTN_UNREACHABLE;
	assert_false(found(&told));
	told = default_route;
	told.rtm_type = RTN_BLACKHOLE;
	assert_false(found(&told));
	told = default_route;
	told.oif = 1;
	assert_false(found(&told));
	told = default_route;
	told.flags = RTNH_F_DEAD;
	assert_false(found(&told));
}

static void
a_route_of_several_ways_is_one_out(void **state)
{
	struct told told = default_route;

	(void)state;
	told.oif = 1; /* which is something else there */
	told.via = RTA_MULTIPATH;
	assert_true(found(&told));
	told.via = RTA_NH_ID;
	assert_true(found(&told));
	told.via = RTA_PRIORITY;
	assert_false(found(&told));
}

static void
a_route_for_some_sources_or_one_looked_up_is_none(void **state)
{
	struct told told = default_route;

	(void)state;
	told.src_len = 64;
	assert_false(found(&told));
	told = default_route;
	told.flags = RTM_F_CLONED;
	assert_false(found(&told));
	told.nlmsg_flags = 0;
	assert_false(found(&told));
	assert_false(routes.stale);
}

static void
other_tables_and_families_do_not_count(void **state)
{
	struct told told = default_route;

	(void)state;
	told.table = RT_TABLE_LOCAL;
	assert_false(found(&told));
	told.table = 1000;
	assert_false(found(&told));
	told = default_route;
	told.family = AF_INET;
	assert_false(found(&told));
}

static void
an_announcement_of_a_default_route_calls_for_a_new_dump(void **state)
{
	struct told told = default_route;

	(void)state;
	told.nlmsg_flags = 0;
	assert_false(found(&told));
	assert_true(routes.stale);
	told.type = RTM_DELROUTE;
	told.flags = RTNH_F_DEAD;
	assert_false(found(&told));
	assert_true(routes.stale);
}

static void
an_unreachable_route_that_replaces_a_way_out_calls_for_a_new_dump(void **state)
{
	struct told told = default_route;

	(void)state;
	told.nlmsg_flags = NLM_F_REPLACE;
	told.rtm_type = RTN_UNREACHABLE;
	told.oif = 1;
	assert_false(found(&told));
	assert_true(routes.stale);
}

static void
an_announcement_of_another_route_calls_for_nothing(void **state)
{
	struct told told = default_route;

	(void)state;
	told.nlmsg_flags = 0;
	told.dst = "2001:db8::";
	told.dst_len = 64;
	assert_false(found(&told));
	assert_false(routes.stale);
}

static void
a_dump_that_was_interrupted_is_asked_for_again(void **state)
{
	struct told told = default_route;

	(void)state;
	told.nlmsg_flags = NLM_F_MULTI | NLM_F_DUMP_INTR;
	found(&told);
	assert_true(routes.stale);
}

/* In a block of exactly its size, so that a sanitizer sees an over-read. */
static void
every_prefix_is_parsed_without_reading_beyond_it(void **state)
{
	uint8_t *copy;
	size_t len;

	(void)state;
	found(&default_route);
	for (len = 0; len <= dgram_len; len++) {
		copy = malloc(len > 0 ? len : 1);
		assert_non_null(copy);
		memcpy(copy, dgram, len);
		memset(&routes, 0, sizeof(routes));
		host_routes_parse(&routes, copy, len);
		assert_int_equal(routes.found, len == dgram_len);
		free(copy);
	}
}

static void
the_routes_of_this_host_can_be_read_twice(void **state)
{
	int fd, first, tries;

	(void)state;
	assert_int_equal(host_routes_open(&routes), 0);
	fd = routes.fd;
	first = routes.ip6;
	host_routes_refresh(&routes);
	assert_true(routes.dumping);
	for (tries = 0; tries < 100 && routes.dumping; tries++)
		host_routes_read(&routes);
	assert_false(routes.dumping);
	assert_int_equal(routes.ip6, first);
	host_routes_close(&routes);
	assert_int_equal(routes.fd, -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

ssize_t __wrap_rtnetlink_receive(int fd, void *buf, size_t size);
ssize_t __real_rtnetlink_receive(int fd, void *buf, size_t size);

/* How often there is word of lost messages. */
static int overruns;

ssize_t
__wrap_rtnetlink_receive(int fd, void *buf, size_t size)
{
	if (overruns == 0)
		return (__real_rtnetlink_receive(fd, buf, size));
	overruns--;
	errno = ENOBUFS;
	return (-1);
}

static void
messages_that_were_lost_call_for_a_new_dump(void **state)
{
	(void)state;
	assert_int_equal(host_routes_open(&routes), 0);
	host_routes_read(&routes);
	routes.stale = 0;
	overruns = 1;
	host_routes_read(&routes);
	assert_int_equal(overruns, 0);
	assert_true(routes.stale);
	host_routes_close(&routes);
}

static void
kernel_says(int fd, uint16_t type)
{
	struct {
		struct nlmsghdr hdr;
		struct nlmsgerr error;
	} told = {
		.hdr = { .nlmsg_len = sizeof(told), .nlmsg_type = type },
		.error = { .error = -EBUSY },
	};

	assert_int_equal(send(fd, &told, sizeof(told), 0), sizeof(told));
}

static void
each_dump_says_anew_and_one_that_fails_says_nothing(void **state)
{
	struct nlmsghdr asked[4];
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	found(&default_route);
	memset(&routes, 0, sizeof(routes));
	routes.fd = ends[0];
	host_routes_refresh(&routes);
	host_routes_refresh(&routes);
	assert_int_not_equal(recv(ends[1], asked, sizeof(asked), 0), -1);
	assert_int_equal(asked[0].nlmsg_type, RTM_GETROUTE);
	assert_int_equal(recv(ends[1], asked, sizeof(asked), MSG_DONTWAIT), -1);
	assert_int_equal(send(ends[1], dgram, dgram_len, 0), dgram_len);
	assert_int_equal(host_routes_read(&routes), 0);
	assert_true(routes.dumping);
	kernel_says(ends[1], NLMSG_DONE);
	assert_int_equal(host_routes_read(&routes), 1);
	assert_int_equal(routes.ip6, 1);
	assert_false(routes.dumping);
	host_routes_refresh(&routes);
	kernel_says(ends[1], NLMSG_ERROR);
	assert_int_equal(host_routes_read(&routes), 0);
	assert_int_equal(routes.ip6, 1);
	assert_true(routes.stale && !routes.dumping);
	host_routes_refresh(&routes);
	assert_true(!routes.stale && routes.dumping);
	kernel_says(ends[1], NLMSG_DONE);
	assert_int_equal(host_routes_read(&routes), 1);
	assert_int_equal(routes.ip6, 0);
	/* And what nobody has asked for. */
	routes.found = 1;
	kernel_says(ends[1], NLMSG_DONE);
	assert_int_equal(host_routes_read(&routes), 0);
	assert_int_equal(routes.ip6, 0);
	close(ends[1]);
	host_routes_refresh(&routes);
	assert_true(routes.stale && !routes.dumping);
	host_routes_close(&routes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_default_route_is_a_way_out),
		cmocka_unit_test(
		    a_prefix_that_covers_all_global_addresses_is_a_way_out),
		cmocka_unit_test(a_smaller_or_another_prefix_is_none),
		cmocka_unit_test(
		    an_unreachable_route_or_one_by_loopback_is_none),
		cmocka_unit_test(a_route_of_several_ways_is_one_out),
		cmocka_unit_test(
		    a_route_for_some_sources_or_one_looked_up_is_none),
		cmocka_unit_test(other_tables_and_families_do_not_count),
		cmocka_unit_test(
		    an_announcement_of_a_default_route_calls_for_a_new_dump),
		cmocka_unit_test(
		    an_unreachable_route_that_replaces_a_way_out_calls_for_a_new_dump),
		cmocka_unit_test(
		    an_announcement_of_another_route_calls_for_nothing),
		cmocka_unit_test(
		    a_dump_that_was_interrupted_is_asked_for_again),
		cmocka_unit_test(
		    every_prefix_is_parsed_without_reading_beyond_it),
		cmocka_unit_test(the_routes_of_this_host_can_be_read_twice),
		cmocka_unit_test(messages_that_were_lost_call_for_a_new_dump),
		cmocka_unit_test(
		    each_dump_says_anew_and_one_that_fails_says_nothing),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
