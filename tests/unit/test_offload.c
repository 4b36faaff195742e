#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/init.h"
#include "lwip/pbuf.h"

#include "netproc/link/checksum.h"
#include "netproc/link/offload.h"

#define MTU	 1500
#define TCP_LEN	 32 /* with timestamps */
#define SEQ	 0xfffff000u
#define ID	 0xfffe
#define FLAG_FIN 0x01
#define FLAG_PSH 0x08
#define FLAG_ACK 0x10

static uint8_t payload[65535];

static int
setup(void **state)
{
	size_t i;

	(void)state;
	lwip_init();
	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)random();
	return (0);
}

static void
put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t
get32(const uint8_t *at)
{
	return ((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	    (uint32_t)at[2] << 8 | at[3]);
}

/* Headers as lwIP leaves them, and len bytes of payload in random pieces. */
static struct pbuf *
segment(int version, size_t len)
{
	const size_t ip_len = version == 6 ? 40 : 20;
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)(ip_len + TCP_LEN),
	    PBUF_RAM);
	struct pbuf *q;
	size_t done = 0, n;
	uint8_t *ip, *tcp;

	assert_non_null(p);
	ip = p->payload;
	tcp = ip + ip_len;
	memset(ip, 0xab, ip_len + TCP_LEN);
	ip[0] = version == 6 ? 0x60 : 0x45;
	ip[version == 6 ? 6 : 9] = IPPROTO_TCP;
	if (version == 4)
		put16(ip + 4, ID);
	put16(tcp + 4, SEQ >> 16);
	put16(tcp + 6, SEQ & 0xffff);
	tcp[12] = TCP_LEN / 4 << 4;
	tcp[13] = FLAG_FIN | FLAG_PSH | FLAG_ACK;
	while (done < len) {
		n = 1 + (size_t)random() % (random() % 4 ? 33000 : 40);
		if (n > len - done)
			n = len - done;
		q = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_REF);
		assert_non_null(q);
		q->payload = payload + done;
		pbuf_cat(p, q);
		done += n;
	}
	return (p);
}

/* A frame as the guest gets it: one packet from head and part. */
static size_t
assemble(uint8_t *out, const uint8_t *head, size_t head_len,
    const struct frame_part *part)
{
	const struct pbuf *q = part->q;
	size_t off = part->off, left = part->len, n, len = head_len;

	memcpy(out, head, head_len);
	for (; left > 0; q = q->next, off = 0) {
		assert_non_null(q);
		n = q->len - off < left ? q->len - off : left;
		memcpy(out + len, (const uint8_t *)q->payload + off, n);
		len += n;
		left -= n;
	}
	return (len);
}

static void
check_checksums(const uint8_t *packet, size_t len, size_t ip_len)
{
	struct checksum sum;

	checksum_init(&sum);
	if (ip_len == 20) {
		assert_int_equal(checksum_of(packet, 20), 0);
		checksum_pseudo4(&sum, get32(packet + 12), get32(packet + 16),
		    IPPROTO_TCP, (uint16_t)(len - ip_len));
	} else {
		checksum_pseudo6(&sum, packet + 8, packet + 24, IPPROTO_TCP,
		    (uint32_t)(len - ip_len));
	}
	checksum_add(&sum, packet + ip_len, len - ip_len);
	assert_int_equal(checksum_finish(&sum), 0);
}

static void
check_segment(int version, size_t len, size_t mtu)
{
	const size_t ip_len = version == 6 ? 40 : 20;
	uint8_t *head = malloc(OFFLOAD_HEAD_MAX), *packet = malloc(65535);
	struct pbuf *p = segment(version, len);
	struct offload offload;
	struct frame_part part;
	size_t i, done = 0, n, size;

	assert_int_equal(offload_plan(&offload, p, mtu), 0);
	for (i = 0; i < offload.nframes; i++) {
		n = offload_next(&offload, head, &part);
		assert_int_equal(n, ip_len + TCP_LEN);
		size = assemble(packet, head, n, &part);
		assert_in_range(size, n + 1, mtu);
		assert_true(size == mtu || i + 1 == offload.nframes);
		assert_memory_equal(packet + n, payload + done, size - n);
		assert_int_equal(get32(packet + ip_len + 4),
		    (uint32_t)(SEQ + done));
		assert_int_equal(packet[ip_len + 13],
		    i + 1 < offload.nframes ? FLAG_ACK :
					      FLAG_FIN | FLAG_PSH | FLAG_ACK);
		if (version == 4) {
			assert_int_equal(get32(packet) & 0xffff, size);
			assert_int_equal(get32(packet + 4) >> 16,
			    (ID + i) & 0xffff);
		} else {
			assert_int_equal(get32(packet + 4) >> 16, size - 40);
		}
		check_checksums(packet, size, ip_len);
		done += size - n;
	}
	assert_int_equal(done, len);
	pbuf_free(p);
	free(packet);
	free(head);
}

static void
a_long_segment_becomes_frames_that_carry_it(void **state)
{
	size_t len;

	(void)state;
	for (len = 1; len <= 65535 - 40 - TCP_LEN; len += 1 + len / 50) {
		check_segment(4, len, MTU);
		check_segment(6, len, MTU);
	}
	for (len = 1430; len < 1470; len++) {
		check_segment(4, len, MTU);
		check_segment(6, len, MTU);
	}
	check_segment(4, 62720, 9000);
	check_segment(6, 60000, 1280);
}

static void
what_is_no_segment_of_lwips_is_not_cut(void **state)
{
	struct pbuf *p = segment(4, 3000);
	uint8_t *ip = p->payload;
	struct offload offload;

	(void)state;
	assert_int_equal(offload_plan(&offload, p, 20 + TCP_LEN), -1);
	ip[32] = 4 << 4;
	assert_int_equal(offload_plan(&offload, p, MTU), -1);
	ip[32] = 15 << 4; /* beyond the first pbuf */
	assert_int_equal(offload_plan(&offload, p, MTU), -1);
	ip[32] = TCP_LEN / 4 << 4;
	ip[9] = IPPROTO_UDP;
	assert_int_equal(offload_plan(&offload, p, MTU), -1);
	ip[9] = IPPROTO_TCP;
	ip[0] = 0x46;
	assert_int_equal(offload_plan(&offload, p, MTU), -1);
	ip[0] = 0x45;
	assert_int_equal(offload_plan(&offload, p, MTU), 0);
	pbuf_free(p);
	p = segment(4, 0);
	assert_int_equal(offload_plan(&offload, p, MTU), -1);
	pbuf_free(p);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_segment_becomes_frames_that_carry_it),
		cmocka_unit_test(what_is_no_segment_of_lwips_is_not_cut),
	};

	return (cmocka_run_group_tests_name("offload", tests, setup, NULL));
}
