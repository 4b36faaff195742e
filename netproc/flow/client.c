#include "netproc/flow/client.h"
#include "netproc/netproc.h"

/* clang-format off */
static const struct {
	struct ipc_addr net;
	unsigned int prefix_len;
} unroutable[] = {
	{ { .family = 4, .bytes = { 0 } }, 8 },		 /* this network */
	{ { .family = 4, .bytes = { 127 } }, 8 },	 /* loopback */
	{ { .family = 4, .bytes = { 169, 254 } }, 16 },	 /* link-local */
	{ { .family = 4, .bytes = { 224 } }, 3 },	 /* multicast, reserved */
	{ { .family = 6, .bytes = { 0 } }, 96 },	 /* ::, ::1 */
	{ { .family = 6, .bytes = { 0xfe, 0x80 } }, 10 }, /* link-local */
	{ { .family = 6, .bytes = { 0xff } }, 8 },	 /* multicast */
};
/* clang-format on */

int
client_is_routable(const struct netproc *np, const struct ipc_addr *client)
{
	size_t i;

	for (i = 0; i < sizeof(unroutable) / sizeof(unroutable[0]); i++) {
		if (addr_in_prefix(client, &unroutable[i].net,
			unroutable[i].prefix_len))
			return (0);
	}
	return (!addr_in_prefix(client, &np->cfg.address, np->cfg.prefix_len) &&
	    !addr_in_prefix(client, &np->cfg.address6, np->cfg.prefix_len6));
}
