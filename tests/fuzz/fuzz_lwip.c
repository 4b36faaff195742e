/*
 * What the shield passes must not harm lwIP.  Input: records of a byte of
 * choices, a length (u16) and a frame.  Each frame that passes goes into lwIP
 * in a buffer of exactly its size, which lwIP may keep; a listener on port 80
 * answers.  Sequence numbers of ours are known, so that a corpus can hold
 * whole connections.
 */

#include <string.h>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"
#include "netif/ethernet.h"

#include "netproc/link/checksum.h"
#include "netproc/link/shield.h"
#include "tests/fuzz/fuzz.h"

#define FIX_HEADERS 0x01 /* Ethernet and IP */
#define FIX_ADDRESS 0x02 /* of the gateway */
#define FIX_PORT    0x04
#define CLOSE	    0x08 /* our end closes after this frame */
#define TIME_PASSES 0x10
#define ICMP_SUM    0x20
#define RECORDS_MAX 64
#define SEND_MAX    4
#define PORT	    80
#define ISN	    0x1000

const char fuzz_name[] = "lwip";

static const struct shield_config config = {
	.guest_mac = { 2, 0x53, 0x4d, 0, 0, 2 },
	.gateway_mac = { 2, 0x53, 0x4d, 0, 0, 1 },
	.guest_mac_known = 1,
	.guest_ip = 0x64600002,
	.gateway_ip = 0x64600001,
	.broadcast_ip = 0x64600003,
	.mtu = 1500,
};

struct frame_pbuf {
	struct pbuf_custom custom;
	uint8_t *frame;
};

static struct netif netif;
static uint32_t now_ms;
static uint32_t nheld; /* frames that lwIP has and did not free */
static unsigned int sum_out;

/* lwIP's port, without clock, chance or log. */
u32_t
sys_now(void)
{
	return (now_ms);
}

uint32_t
tcp_isn(const void *local_ip, uint16_t local_port, const void *remote_ip,
    uint16_t remote_port)
{
	(void)local_ip;
	(void)local_port;
	(void)remote_ip;
	(void)remote_port;
	return (ISN);
}

uint32_t
lwip_port_random(void)
{
	return (ISN);
}

_Noreturn void
lwip_assert_failed(const char *message, int line, const char *file)
{
	fprintf(stderr, "%s:%d: lwIP: %s\n", file, line, message);
	abort();
}

/* Reads every byte that would leave: it must be there. */
static err_t
output_ether(struct netif *nif, struct pbuf *p)
{
	(void)nif;
	for (; p != NULL; p = p->next)
		sum_out += checksum_of(p->payload, p->len);
	return (ERR_OK);
}

static err_t
output_ip4(struct netif *nif, struct pbuf *p, const ip4_addr_t *dst)
{
	(void)dst;
	return (output_ether(nif, p));
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
	nif->linkoutput = output_ether;
	return (ERR_OK);
}

static err_t
on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	static const uint8_t reply[3000];

	(void)arg;
	(void)err;
	if (p == NULL) {
		(void)tcp_shutdown(pcb, 0, 1);
		return (ERR_OK);
	}
	(void)output_ether(NULL, p);
	tcp_recved(pcb, p->tot_len);
	pbuf_free(p);
	if (pcb->snd_queuelen < SEND_MAX)
		(void)tcp_write(pcb, reply, sizeof(reply), 0);
	return (ERR_OK);
}

static err_t
on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)arg;
	if (pcb == NULL || err != ERR_OK)
		return (ERR_VAL);
	tcp_recv(pcb, on_recv);
	return (ERR_OK);
}

static void
start_lwip(void)
{
	ip4_addr_t address, netmask, none = { 0 };
	struct tcp_pcb *pcb;

	lwip_init();
	address.addr = lwip_htonl(config.gateway_ip);
	netmask.addr = lwip_htonl(0xfffffffc);
	netif_add(&netif, &address, &netmask, &none, NULL, netif_started,
	    ethernet_input);
	netif_set_default(&netif);
	netif_set_up(&netif);
	pcb = tcp_new();
	if (pcb == NULL || tcp_bind(pcb, IP_ADDR_ANY, PORT) != ERR_OK)
		abort();
	pcb = tcp_listen(pcb);
	if (pcb == NULL)
		abort();
	tcp_accept(pcb, on_accept);
}

static void
fix(uint8_t choices, uint8_t *frame, size_t len)
{
	uint16_t sum;

	if ((choices & FIX_HEADERS) == 0 || len < 38)
		return;
	memcpy(frame, config.gateway_mac, 6);
	memcpy(frame + 6, config.guest_mac, 6);
	if (frame[12] != 8 || frame[13] != 0)
		return;
	frame[14] = 0x45;
	frame[16] = (uint8_t)((len - 14) >> 8);
	frame[17] = (uint8_t)(len - 14);
	frame[20] = 0x40;
	frame[21] = 0;
	memcpy(frame + 26, "\x64\x60\0\2", 4);
	if ((choices & FIX_ADDRESS) != 0)
		memcpy(frame + 30, "\x64\x60\0\1", 4);
	if ((choices & FIX_PORT) != 0)
		memcpy(frame + 34, "\x9c\x40\0\x50", 4);
	if ((choices & ICMP_SUM) != 0 && frame[23] == 1) {
		frame[36] = frame[37] = 0;
		sum = checksum_of(frame + 34, len - 34);
		frame[36] = (uint8_t)(sum >> 8);
		frame[37] = (uint8_t)sum;
	}
	frame[24] = frame[25] = 0;
	sum = checksum_of(frame + 14, 20);
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
}

static void
frame_free(struct pbuf *p)
{
	struct frame_pbuf *fp = (struct frame_pbuf *)(void *)p;

	free(fp->frame);
	free(fp);
	nheld--;
}

/* Consumes frame. */
static void
input_frame(uint8_t *frame, size_t len)
{
	struct frame_pbuf *fp = calloc(1, sizeof(*fp));
	struct pbuf *p;

	if (fp == NULL)
		abort();
	fp->frame = frame;
	fp->custom.custom_free_function = frame_free;
	nheld++;
	p = pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, &fp->custom,
	    frame, (u16_t)len);
	FUZZ_CHECK(p != NULL);
	if (netif.input(p, &netif) != ERR_OK)
		pbuf_free(p);
}

static void
run_record(uint8_t choices, const uint8_t *bytes, size_t len)
{
	enum shield_verdict verdict;
	struct shield_frame sf;
	uint8_t *frame = malloc(len > 0 ? len : 1);

	if (frame == NULL)
		abort();
	memcpy(frame, bytes, len);
	fix(choices, frame, len);
	verdict = shield_check(frame, len, &config, &sf);
	/*
	 * What comes of fragments is looked at again; they are not.  Strays
	 * are answered without lwIP (intercept_stray()).
	 */
	if (len <= UINT16_MAX && SHIELD_IS_PASS(verdict) &&
	    verdict != SHIELD_FRAGMENT && verdict != SHIELD_TCP_STRAY)
		input_frame(frame, len);
	else
		free(frame);
	if ((choices & CLOSE) != 0 && tcp_active_pcbs != NULL)
		(void)tcp_shutdown(tcp_active_pcbs, 0, 1);
	if ((choices & TIME_PASSES) != 0) {
		now_ms += 250;
		tcp_tmr();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int started;
	unsigned int i;
	size_t len;

	if (!started)
		start_lwip();
	started = 1;
	for (i = 0; i < RECORDS_MAX && size >= 3; i++) {
		len = (size_t)data[1] << 8 | data[2];
		if (len > size - 3)
			len = size - 3;
		run_record(data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	while (tcp_active_pcbs != NULL)
		tcp_abort(tcp_active_pcbs);
	while (tcp_tw_pcbs != NULL)
		tcp_abort(tcp_tw_pcbs);
	etharp_cleanup_netif(&netif);
	FUZZ_CHECK(nheld == 0);
	return (0);
}
