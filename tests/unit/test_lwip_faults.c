/*
 * lwIP 2.2.1 reads past the end of some frames.  For each such fault one
 * frame that shows it: the shield drops it, with the verdict that names the
 * reason; and lwIP without the shield runs into the page behind the frame,
 * which is not there.  So the fault is real, and the shield is what stands
 * before it.
 *
 * One more known fault of lwIP's, a NULL dereference when a reassembly finds
 * no memory, is in code that is not compiled: see the end.
 */

#include <sys/mman.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/ip6.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"
#include "netif/ethernet.h"

#include "netproc/link/checksum.h"
#include "netproc/link/shield.h"
#include "tests/unit/forked.h"

#if IP_REASSEMBLY || LWIP_IPV6_REASS || IP_FRAG || LWIP_IPV6_FRAG
#error "lwIP's fragments are netproc/link/fragment.c's business"
#endif

#define FRAME_MAX 128
#define SLACK	  64 /* bytes behind a frame that lwIP may read unpunished */

#define MACS  "\2\x53\x4d\0\0\1\2\x53\x4d\0\0\2"
#define GUEST "\x64\x60\0\2"
#define GATE  "\x64\x60\0\1"
#define HOST6 "\xfd\x53\x4d\0\0\0\0\0\0\0\0\0\0\0\0"

enum fix {
	FIX_NOTHING,
	FIX_IP4,   /* header checksum */
	FIX_ICMP6, /* checksum */
};

struct fault {
	const char *bytes;
	size_t len;
	enum fix fix;
	enum shield_verdict verdict;
};

#define FAULT(name, fix, verdict, s) \
	static const struct fault name = { (s), sizeof(s) - 1, (fix), \
		(verdict) }

/* MSS' kind is the last byte; tcp_get_next_optbyte() looks for its length. */
FAULT(tcp_option_without_length, FIX_IP4, SHIELD_TCP_OPTIONS,
    MACS "\x08\0\x45\0\0\x2c\0\1\x40\0\x40\6\0\0" GUEST GATE
	 "\x9c\x40\0\x50\0\0\0\1\0\0\0\0\x60\2\xfa\xf0\0\0\0\0\1\1\1\2");

/* An option of length 0, whose 6 bytes of address are copied all the same. */
FAULT(nd_option_of_no_length, FIX_ICMP6, SHIELD_ND_MALFORMED,
    MACS "\x86\xdd\x60\0\0\0\0\x1a\x3a\xff" HOST6 "\2" HOST6 "\1"
	 "\x87\0\0\0\0\0\0\0" HOST6 "\1\1\0");

/* The addresses, of which etharp_input() takes all four, are not there. */
FAULT(arp_without_addresses, FIX_NOTHING, SHIELD_ARP_MALFORMED,
    MACS "\x08\6\0\1\x08\0\6\4\0\1");

/* ip4_input() reads the total length of a header of one byte. */
FAULT(ip4_header_of_one_byte, FIX_NOTHING, SHIELD_IP_SHORT, MACS "\x08\0\x45");

/* ip6_input() reads the version out of 4 bytes. */
FAULT(ip6_header_of_one_byte, FIX_NOTHING, SHIELD_IP_SHORT,
    MACS "\x86\xdd\x60");

/* A header that is announced and not there. */
FAULT(ip6_extension_of_no_bytes, FIX_NOTHING, SHIELD_IP6_EXTENSION,
    MACS "\x86\xdd\x60\0\0\0\0\0\0\x40" HOST6 "\2" HOST6 "\1");

/* The last option has a type, and no length. */
FAULT(ip6_extension_option_without_length, FIX_NOTHING, SHIELD_IP6_EXTENSION,
    MACS "\x86\xdd\x60\0\0\0\0\x08\0\x40" HOST6 "\2" HOST6 "\1"
	 "\x3b\0\1\3\0\0\0\5");

static const struct shield_config config = {
	.guest_mac = { 2, 0x53, 0x4d, 0, 0, 2 },
	.gateway_mac = { 2, 0x53, 0x4d, 0, 0, 1 },
	.guest_mac_known = 1,
	.guest_ip = 0x64600002,
	.gateway_ip = 0x64600001,
	.broadcast_ip = 0x64600003,
	.mtu = 1500,
	.ip6_enabled = 1,
	.prefix6 = { 0xfd, 0x53, 0x4d },
	.prefix_len6 = 64,
	.gateway_ip6 = { 0xfd, 0x53, 0x4d, [15] = 1 },
};

static struct netif netif;

/* lwIP's port, without clock or chance. */
u32_t
sys_now(void)
{
	return (0);
}

uint32_t
tcp_isn(const void *local_ip, uint16_t local_port, const void *remote_ip,
    uint16_t remote_port)
{
	(void)local_ip;
	(void)local_port;
	(void)remote_ip;
	(void)remote_port;
	return (1);
}

uint32_t
lwip_port_random(void)
{
	return (1);
}

_Noreturn void
lwip_assert_failed(const char *message, int line, const char *file)
{
	(void)message;
	(void)line;
	(void)file;
	_exit(2);
}

static err_t
output(struct netif *nif, struct pbuf *p)
{
	(void)nif;
	(void)p;
	return (ERR_OK);
}

static err_t
output_ip4(struct netif *nif, struct pbuf *p, const ip4_addr_t *dst)
{
	(void)dst;
	return (output(nif, p));
}

static err_t
output_ip6(struct netif *nif, struct pbuf *p, const ip6_addr_t *dst)
{
	(void)dst;
	return (output(nif, p));
}

static err_t
netif_started(struct netif *nif)
{
	nif->mtu = 1500;
	nif->hwaddr_len = 6;
	memcpy(nif->hwaddr, config.gateway_mac, 6);
	nif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP |
	    NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
	nif->output = output_ip4;
	nif->output_ip6 = output_ip6;
	nif->linkoutput = output;
	return (ERR_OK);
}

static void
start_lwip(void)
{
	ip4_addr_t address = { lwip_htonl(config.gateway_ip) },
		   netmask = { lwip_htonl(0xfffffffc) }, none = { 0 };
	ip6_addr_t address6;
	struct tcp_pcb *pcb;

	lwip_init();
	netif_add(&netif, &address, &netmask, &none, NULL, netif_started,
	    ethernet_input);
	memset(&address6, 0, sizeof(address6));
	memcpy(address6.addr, config.gateway_ip6, 16);
	netif_ip6_addr_set(&netif, 0, &address6);
	netif_ip6_addr_set_state(&netif, 0, IP6_ADDR_PREFERRED);
	netif_set_default(&netif);
	netif_set_up(&netif);
	pcb = tcp_new();
	if (pcb == NULL || tcp_bind(pcb, IP_ANY_TYPE, 80) != ERR_OK)
		_exit(3);
	if (tcp_listen(pcb) == NULL)
		_exit(3);
}

/* Fills frame, its checksums right so that nothing else is wrong with it. */
static void
make_frame(const struct fault *fault, uint8_t *frame)
{
	struct checksum sum;
	uint8_t *icmp6 = frame + 14 + 40;
	uint16_t value;

	memcpy(frame, fault->bytes, fault->len);
	switch (fault->fix) {
	case FIX_IP4:
		value = checksum_of(frame + 14, 20);
		frame[24] = (uint8_t)(value >> 8);
		frame[25] = (uint8_t)value;
		break;
	case FIX_ICMP6:
		checksum_init(&sum);
		checksum_pseudo6(&sum, frame + 22, frame + 38, 58,
		    (uint32_t)fault->len - 54);
		checksum_add(&sum, icmp6, fault->len - 54);
		value = checksum_finish(&sum);
		icmp6[2] = (uint8_t)(value >> 8);
		icmp6[3] = (uint8_t)value;
		break;
	default:
		break;
	}
}

static void
keep(struct pbuf *p)
{
	(void)p;
}

/* The frame stands `slack` bytes before a page that may not be touched. */
static void
give_to_lwip(const struct fault *fault, size_t slack)
{
	static struct pbuf_custom custom = { .custom_free_function = keep };
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *map, *frame;
	struct pbuf *p;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED || mprotect(map + page, page, PROT_NONE) == -1)
		_exit(3);
	frame = map + page - slack - fault->len;
	make_frame(fault, frame);
	start_lwip();
	p = pbuf_alloced_custom(PBUF_RAW, (u16_t)fault->len, PBUF_REF, &custom,
	    frame, (u16_t)fault->len);
	if (p == NULL)
		_exit(3);
	(void)netif.input(p, &netif);
}

static int
run_at_the_edge(const void *arg)
{
	give_to_lwip(arg, 0);
	return (0);
}

static int
run_with_slack(const void *arg)
{
	give_to_lwip(arg, SLACK);
	return (0);
}

static void
check_fault(const struct fault *fault)
{
	uint8_t *frame = malloc(fault->len);
	struct shield_frame sf;
	int status;

	assert_non_null(frame);
	make_frame(fault, frame);
	assert_string_equal(shield_name(shield_check(frame, fault->len, &config,
				&sf)),
	    shield_name(fault->verdict));
	assert_false(SHIELD_IS_PASS(fault->verdict));
	free(frame);
	/* A sanitizer exits by itself, and says more. */
	status = forked(run_at_the_edge, fault);
	if (WIFSIGNALED(status))
		assert_int_equal(WTERMSIG(status), SIGSEGV);
	else
		assert_int_equal(WEXITSTATUS(status), 1);
	status = forked(run_with_slack, fault);
	assert_true(FORKED_EXITED(status, 0));
}

#define TEST_OF(article, name) \
	static void article##_##name##_stops_at_the_shield(void **state) \
	{ \
		(void)state; \
		check_fault(&(name)); \
	}
TEST_OF(a, tcp_option_without_length)
TEST_OF(an, nd_option_of_no_length)
TEST_OF(an, arp_without_addresses)
TEST_OF(an, ip4_header_of_one_byte)
TEST_OF(an, ip6_header_of_one_byte)
TEST_OF(an, ip6_extension_of_no_bytes)
TEST_OF(an, ip6_extension_option_without_length)

/*
 * What lwIP would do with them, out of memory as well, does not arise: it has
 * no code for fragments (#error above), and gets none.
 */
static void
fragments_never_reach_lwip(void **state)
{
	static const struct fault fragment = { MACS
		"\x08\0\x45\0\0\x24\0\1\x20\0\x40\x11\0\0" GUEST
		"\xc0\0\2\7\x9c\x40\0\x35\0\x30\0\0"
		"abcdefgh",
		50, FIX_IP4, SHIELD_FRAGMENT };
	uint8_t frame[FRAME_MAX];
	struct shield_frame sf;

	(void)state;
	make_frame(&fragment, frame);
	assert_int_equal(shield_check(frame, fragment.len, &config, &sf),
	    SHIELD_FRAGMENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_tcp_option_without_length_stops_at_the_shield),
		cmocka_unit_test(an_nd_option_of_no_length_stops_at_the_shield),
		cmocka_unit_test(an_arp_without_addresses_stops_at_the_shield),
		cmocka_unit_test(an_ip4_header_of_one_byte_stops_at_the_shield),
		cmocka_unit_test(an_ip6_header_of_one_byte_stops_at_the_shield),
		cmocka_unit_test(
		    an_ip6_extension_of_no_bytes_stops_at_the_shield),
		cmocka_unit_test(
		    an_ip6_extension_option_without_length_stops_at_the_shield),
		cmocka_unit_test(fragments_never_reach_lwip),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
