/*
 * All of netproc (see whole.h).  Input: a byte of choices, then records of a
 * byte that says who does something, a length (u16), and what it does.
 */

#include <sys/socket.h>

#include <unistd.h>

#include "tests/fuzz/whole.h"

#define RECORDS_MAX 256

enum who {
	WHO_TCP,
	WHO_UDP,
	WHO_FRAME,
	WHO_REMOTE,
	WHO_RELAY,
	WHO_HOSTILE_RELAY,
	WHO_TIME,
	WHO_VMM,
	WHO_N
};

enum vmm {
	VMM_PAUSE,
	VMM_GO_ON,
	VMM_READ,
	VMM_SPLIT,
	VMM_LEAVE,
	VMM_COME,
	VMM_BYTES,
	VMM_RESUME,
	VMM_N
};

const char fuzz_name[] = "netproc";

/* Units and their number: 10 ms to 4 minutes at a time. */
static void
pass_time(struct whole_bytes *in)
{
	static const uint32_t unit_ms[] = { 1, 10, 250, 1000 };
	const uint8_t what = whole_u8(in);

	whole_pass_time((uint64_t)unit_ms[what >> 6] * (what & 63) * 4);
}

static void
act_vmm(struct whole_bytes *in)
{
	const uint8_t what = whole_u8(in) % VMM_N;

	switch ((enum vmm)what) {
	case VMM_PAUSE:
		whole.vmm_paused = 1;
		break;
	case VMM_GO_ON:
		whole.vmm_paused = 0;
		break;
	case VMM_READ:
		whole_vmm_read((size_t)whole_u16(in) + 1);
		break;
	case VMM_SPLIT:
		whole.split = whole_u8(in);
		break;
	case VMM_LEAVE:
		if (whole.vmm != -1)
			close(whole.vmm);
		whole.vmm = -1;
		break;
	case VMM_COME:
		whole_attach(NULL);
		break;
	case VMM_RESUME:
		whole.tainted = 1;
		whole_attach(in);
		break;
	default:
		/* The stream may be out of step from here on. */
		whole.tainted = 1;
		if (whole.vmm != -1 && in->left > 0)
			(void)send(whole.vmm, in->at, in->left, MSG_NOSIGNAL);
		break;
	}
}

static void
run_record(enum who who, struct whole_bytes *in)
{
	switch (who) {
	case WHO_TCP:
		whole_guest_tcp(in);
		return;
	case WHO_UDP:
		whole_guest_udp(in);
		return;
	case WHO_FRAME:
		whole_guest_frame(in);
		return;
	case WHO_REMOTE:
		whole_remote_act(in);
		break;
	case WHO_RELAY:
		whole_relay_say(in);
		break;
	case WHO_HOSTILE_RELAY:
		whole.tainted = 1;
		whole_relay_raw(in);
		break;
	case WHO_TIME:
		pass_time(in);
		break;
	default:
		act_vmm(in);
		break;
	}
	whole_settle();
}

/* A copy without the canary: where that is found, nobody has sent it. */
static uint8_t *
copy_of(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	size_t i;

	FUZZ_CHECK(copy != NULL);
	for (i = 0; i < size; i++)
		copy[i] = data[i] == WHOLE_CANARY ? 0 : data[i];
	return (copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct whole_bytes all, in;
	uint8_t *copy;
	enum who who;
	int n;

	if (size == 0)
		return (0);
	copy = copy_of(data, size);
	all.at = copy + 1;
	all.left = size - 1;
	whole_begin(copy[0]);
	for (n = 0; n < RECORDS_MAX && all.left > 0; n++) {
		who = (enum who)(whole_u8(&all) % WHO_N);
		in.left = whole_u16(&all);
		if (in.left > all.left)
			in.left = all.left;
		in.at = all.at;
		all.at += in.left;
		all.left -= in.left;
		run_record(who, &in);
	}
	whole_end();
	free(copy);
	return (0);
}
