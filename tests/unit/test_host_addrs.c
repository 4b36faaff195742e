#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include <netinet/in.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/host_addrs.h"
#include "relayproc/policy.h"

/* A datagram as it is built up. */
static uint8_t dgram[1024];
static size_t dgram_len;

static struct ipc_host_addr seen[16];
static size_t nseen;

static void
note(const struct ipc_host_addr *change, void *arg)
{
	(void)arg;
	assert_true(addr_is_valid(&change->addr));
	if (nseen < 16)
		seen[nseen++] = *change;
}

static enum rtnetlink_result
parse(void)
{
	nseen = 0;
	return (host_addrs_parse(dgram, dgram_len, note, NULL));
}

static void
put(const void *bytes, size_t len)
{
	memcpy(dgram + dgram_len, bytes, len);
	dgram_len += (len + 3) & ~(size_t)3;
}

/* Starts a message; its length is set by end_message(). */
static size_t
begin_message(uint16_t type, uint8_t family)
{
	struct nlmsghdr hdr = { .nlmsg_type = type };
	struct ifaddrmsg ifa = { .ifa_family = family };
	size_t start = dgram_len;

	put(&hdr, sizeof(hdr));
	put(&ifa, sizeof(ifa));
	return (start);
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
end_message(size_t start)
{
	uint32_t len = (uint32_t)(dgram_len - start);

	memcpy(dgram + start, &len, sizeof(len));
}

static void
put_address(uint16_t type, uint32_t local, uint32_t peer)
{
	const struct ipc_addr l = addr_from_ip4(local);
	const struct ipc_addr p = addr_from_ip4(peer);
	size_t start = begin_message(type, AF_INET);

	put_attribute(IFA_ADDRESS, p.bytes, 4);
	put_attribute(IFA_LOCAL, l.bytes, 4);
	put_attribute(IFA_LABEL, "lo", 3);
	end_message(start);
}

static int
reset(void **state)
{
	(void)state;
	memset(dgram, 0, sizeof(dgram));
	dgram_len = 0;
	return (0);
}

static void
addresses_that_come_and_go_are_told(void **state)
{
	reset(state);
	put_address(RTM_NEWADDR, 0xc0000201, 0xc0000201);
	put_address(RTM_DELADDR, 0xc0000202, 0xc0000202);
	assert_int_equal(parse(), RTNETLINK_MORE);
	assert_int_equal(nseen, 2);
	assert_int_equal(addr_to_ip4(&seen[0].addr), 0xc0000201);
	assert_int_equal(seen[0].present, 1);
	assert_int_equal(addr_to_ip4(&seen[1].addr), 0xc0000202);
	assert_int_equal(seen[1].present, 0);
}

static void
on_a_point_to_point_link_the_local_address_counts(void **state)
{
	reset(state);
	put_address(RTM_NEWADDR, 0x0a000001, 0x0a000002);
	parse();
	assert_int_equal(nseen, 1);
	assert_int_equal(addr_to_ip4(&seen[0].addr), 0x0a000001);
}

static void
an_ipv6_address_has_no_local_attribute(void **state)
{
	static const uint8_t addr[16] = { 0xfd, [15] = 1 };
	size_t start;

	reset(state);
	start = begin_message(RTM_NEWADDR, AF_INET6);
	put_attribute(IFA_ADDRESS, addr, 16);
	end_message(start);
	parse();
	assert_int_equal(nseen, 1);
	assert_int_equal(seen[0].addr.family, 6);
	assert_memory_equal(seen[0].addr.bytes, addr, 16);
}

static void
an_ipv6_link_of_the_hosts_has_its_routers_anycast_address(void **state)
{
	static const uint8_t addr[16] = { 0xfd, [6] = 0xff, [7] = 0xff, 0xab };
	static const struct {
		uint8_t prefix_len, last; /* byte of the prefix that stays */
	} rows[] = { { 0, 0 }, { 127, 0 }, { 128, 0 }, { 64, 0xff },
		{ 63, 0xfe }, { 60, 0xf0 } };
	size_t i, start;
	uint8_t *prefix_len;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		reset(state);
		start = begin_message(RTM_NEWADDR, AF_INET6);
		prefix_len = dgram + sizeof(struct nlmsghdr) +
		    offsetof(struct ifaddrmsg, ifa_prefixlen);
		*prefix_len = rows[i].prefix_len;
		put_attribute(IFA_ADDRESS, addr, 16);
		end_message(start);
		parse();
		assert_memory_equal(seen[0].addr.bytes, addr, 16);
		assert_int_equal(nseen, rows[i].last != 0 ? 2 : 1);
		if (nseen == 1)
			continue;
		assert_int_equal(seen[1].present, 1);
		assert_memory_equal(seen[1].addr.bytes, addr, 7);
		assert_int_equal(seen[1].addr.bytes[7], rows[i].last);
		assert_int_equal(seen[1].addr.bytes[8], 0);
	}
}

static void
an_attribute_of_the_wrong_size_is_passed_over(void **state)
{
	size_t start;

	reset(state);
	start = begin_message(RTM_NEWADDR, AF_INET);
	put_attribute(IFA_LOCAL, "0123456789abcdef", 16);
	end_message(start);
	parse();
	assert_int_equal(nseen, 0);
}

static void
other_messages_and_families_are_passed_over(void **state)
{
	size_t start;

	reset(state);
	start = begin_message(RTM_NEWLINK, AF_INET);
	put_attribute(IFA_LOCAL, "abcd", 4);
	end_message(start);
	start = begin_message(RTM_NEWADDR, AF_PACKET);
	put_attribute(IFA_LOCAL, "abcd", 4);
	end_message(start);
	put_address(RTM_NEWADDR, 0x0a000001, 0x0a000001);
	parse();
	assert_int_equal(nseen, 1);
}

static void
the_end_of_a_dump_is_told(void **state)
{
	struct nlmsghdr done = { .nlmsg_len = sizeof(done),
		.nlmsg_type = NLMSG_DONE };

	reset(state);
	put_address(RTM_NEWADDR, 0x0a000001, 0x0a000001);
	put(&done, sizeof(done));
	assert_int_equal(parse(), RTNETLINK_DONE);
	assert_int_equal(nseen, 1);
}

static void
an_error_of_the_kernel_is_told_with_its_errno(void **state)
{
	struct {
		struct nlmsghdr hdr;
		int error;
	} message = { { .nlmsg_len = sizeof(message),
			  .nlmsg_type = NLMSG_ERROR },
		-EPERM };

	reset(state);
	put(&message, sizeof(message));
	assert_int_equal(parse(), RTNETLINK_ERROR);
	assert_int_equal(errno, EPERM);
}

/* In a block of exactly its size, so that a sanitizer sees an over-read. */
static void
every_prefix_is_parsed_without_reading_beyond_it(void **state)
{
	uint8_t *copy;
	size_t len;

	reset(state);
	put_address(RTM_NEWADDR, 0xc0000201, 0xc0000201);
	put_address(RTM_DELADDR, 0xc0000202, 0xc0000202);
	for (len = 0; len <= dgram_len; len++) {
		copy = malloc(len > 0 ? len : 1);
		assert_non_null(copy);
		memcpy(copy, dgram, len);
		nseen = 0;
		host_addrs_parse(copy, len, note, NULL);
		free(copy);
	}
	assert_int_equal(nseen, 2);
}

static void
lengths_that_lie_end_the_datagram(void **state)
{
	uint32_t len;
	uint16_t rta_len;

	for (len = 0; len < 2048; len++) {
		reset(state);
		put_address(RTM_NEWADDR, 0xc0000201, 0xc0000201);
		memcpy(dgram, &len, sizeof(len));
		parse();
		assert_true(nseen <= 1);
	}
	for (rta_len = 0; rta_len < 2048; rta_len++) {
		reset(state);
		put_address(RTM_NEWADDR, 0xc0000201, 0xc0000201);
		memcpy(dgram + sizeof(struct nlmsghdr) +
			sizeof(struct ifaddrmsg),
		    &rta_len, sizeof(rta_len));
		parse();
		assert_true(nseen <= 1);
	}
}

static unsigned int ntold;

static void
count(const struct ipc_host_addr *change, void *arg)
{
	(void)change;
	(void)arg;
	ntold++;
}

static void
deliver(struct host_addrs *addrs, int sock)
{
	assert_int_equal(send(sock, dgram, dgram_len, 0), (ssize_t)dgram_len);
	assert_int_equal(host_addrs_read(addrs, count, NULL), 0);
}

/* The kernel says that 10.0.0.0 + n is there, or gone. */
static void
announce_flagged(struct host_addrs *addrs, int sock, uint16_t type,
    uint16_t flags, uint32_t n)
{
	const uint32_t ip = htonl(0x0a000000 + n);
	const struct rtattr rta = { sizeof(rta) + sizeof(ip), IFA_LOCAL };
	size_t start;

	dgram_len = 0;
	start = begin_message(type, AF_INET);
	put(&rta, sizeof(rta));
	put(&ip, sizeof(ip));
	end_message(start);
	memcpy(dgram + start + offsetof(struct nlmsghdr, nlmsg_flags), &flags,
	    sizeof(flags));
	deliver(addrs, sock);
}

static void
announce(struct host_addrs *addrs, int sock, uint16_t type, uint32_t n)
{
	announce_flagged(addrs, sock, type, 0, n);
}

/* The kernel was asked for a dump, all of which has been told. */
static void
end_dump(struct host_addrs *addrs, int sock)
{
	const struct nlmsghdr done = { .nlmsg_len = sizeof(done),
		.nlmsg_type = NLMSG_DONE };
	char request[128];

	assert_true(recv(sock, request, sizeof(request), 0) > 0);
	dgram_len = 0;
	put(&done, sizeof(done));
	deliver(addrs, sock);
}

/* Returns the kernel's end of what addrs reads. */
static int
begin_following(struct host_addrs *addrs)
{
	int fds[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0,
			       fds),
	    errno);
	memset(addrs, 0, sizeof(*addrs));
	addrs->fd = fds[0];
	ntold = 0;
	return (fds[1]);
}

static void
what_the_list_has_already_is_not_told_again(void **state)
{
	static struct host_addrs addrs;
	int sock = begin_following(&addrs);
	uint32_t i;

	(void)state;
	for (i = 0; i < 6; i++)
		announce(&addrs, sock, RTM_NEWADDR, i % 3);
	assert_int_equal(ntold, 3);
	assert_int_equal(addrs.n, 3);
	host_addrs_close(&addrs);
	close(sock);
}

static void
an_address_has_gone_when_a_whole_dump_has_not_told_it(void **state)
{
	static struct host_addrs addrs;
	int sock = begin_following(&addrs);
	uint32_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		announce(&addrs, sock, RTM_NEWADDR, i);
	announce(&addrs, sock, RTM_DELADDR, 0);
	announce(&addrs, sock, RTM_NEWADDR, 0); /* another interface's */
	announce(&addrs, sock, RTM_NEWADDR, 2);
	assert_int_equal(ntold, 3);
	end_dump(&addrs, sock);
	assert_int_equal(ntold, 4);
	assert_int_equal(addrs.n, 2);
	announce(&addrs, sock, RTM_DELADDR, 2);
	announce_flagged(&addrs, sock, RTM_NEWADDR, NLM_F_DUMP_INTR, 2);
	end_dump(&addrs, sock);
	assert_int_equal(addrs.n, 2);
	announce(&addrs, sock, RTM_NEWADDR, 0);
	end_dump(&addrs, sock);
	assert_int_equal(addrs.n, 1);
	assert_int_equal(addr_to_ip4(&addrs.list[0]), 0x0a000000);
	host_addrs_close(&addrs);
	close(sock);
}

_Static_assert(HOST_ADDRS_FULL > POLICY_HOST_ADDRS_MAX,
    "a list that is full is too much for the policy, which denies all");

static void
a_list_that_was_full_stays_more_than_the_policy_takes(void **state)
{
	static struct host_addrs addrs;
	int sock = begin_following(&addrs);
	uint32_t i;

	(void)state;
	for (i = 0; i < HOST_ADDRS_FULL + 10; i++)
		announce(&addrs, sock, RTM_NEWADDR, i);
	assert_int_equal(addrs.n, HOST_ADDRS_FULL);
	for (i = 0; i < HOST_ADDRS_FULL; i++)
		announce(&addrs, sock, RTM_DELADDR, i);
	end_dump(&addrs, sock);
	assert_int_equal(addrs.n, HOST_ADDRS_FULL);
	host_addrs_close(&addrs);
	close(sock);
}

static void
the_snapshot_of_this_host_has_loopback(void **state)
{
	static struct host_addrs addrs;
	uint32_t i, found = 0;

	(void)state;
	assert_int_equal(host_addrs_open(&addrs), 0);
	for (i = 0; i < addrs.n; i++)
		found += addr_to_ip4(&addrs.list[i]) == 0x7f000001;
	host_addrs_close(&addrs);
	assert_int_equal(addrs.fd, -1);
	if (addrs.n == 0) {
		print_message("# no interface has an address here\n");
		skip();
	}
	assert_int_equal(found, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_that_come_and_go_are_told),
		cmocka_unit_test(
		    on_a_point_to_point_link_the_local_address_counts),
		cmocka_unit_test(an_ipv6_address_has_no_local_attribute),
		cmocka_unit_test(
		    an_ipv6_link_of_the_hosts_has_its_routers_anycast_address),
		cmocka_unit_test(an_attribute_of_the_wrong_size_is_passed_over),
		cmocka_unit_test(other_messages_and_families_are_passed_over),
		cmocka_unit_test(the_end_of_a_dump_is_told),
		cmocka_unit_test(an_error_of_the_kernel_is_told_with_its_errno),
		cmocka_unit_test(
		    every_prefix_is_parsed_without_reading_beyond_it),
		cmocka_unit_test(lengths_that_lie_end_the_datagram),
		cmocka_unit_test(what_the_list_has_already_is_not_told_again),
		cmocka_unit_test(
		    an_address_has_gone_when_a_whole_dump_has_not_told_it),
		cmocka_unit_test(
		    a_list_that_was_full_stays_more_than_the_policy_takes),
		cmocka_unit_test(the_snapshot_of_this_host_has_loopback),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
