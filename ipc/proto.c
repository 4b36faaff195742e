#include <string.h>

#include "ipc/proto.h"

struct message {
	const char *name;
	uint32_t from, to; /* sets of ROLE_BIT */
	uint32_t phases;   /* set of enum ipc_phase */
	size_t payload, tail;
	unsigned int fds;
};

static const struct message messages[IPC_NTYPES] = {
	[IPC_NONE] = { .name = "NONE" },
#define X(name_, from_, to_, payload_, tail_, fds_, phases_) \
	[IPC_##name_] = { \
		.name = #name_, \
		.from = (from_), \
		.to = (to_), \
		.phases = (phases_), \
		.payload = sizeof(struct ipc_##payload_), \
		.tail = (tail_), \
		.fds = (fds_), \
	},
	IPC_MESSAGES(X)
#undef X
};

static const char *const error_names[] = {
	[IPC_OK] = "no error",
	[IPC_E_SHORT] = "record shorter than a header",
	[IPC_E_TYPE] = "unknown message type",
	[IPC_E_RESERVED] = "reserved header field is not zero",
	[IPC_E_DIRECTION] = "wrong direction",
	[IPC_E_PHASE] = "wrong phase",
	[IPC_E_SIZE] = "wrong size",
	[IPC_E_FDS] = "wrong number of descriptors",
	[IPC_E_FIELD] = "field out of range",
	[IPC_E_STATE] = "flow is not in a state for it",
	[IPC_E_QUOTA] = "over quota",
	[IPC_E_CLOSED] = "channel closed",
};
_Static_assert(sizeof(error_names) / sizeof(error_names[0]) == IPC_NERRORS,
    "every error has its text");

static const char *const role_names[] = {
	[ROLE_PARENT] = "parent",
	[ROLE_NETPROC] = "netproc",
	[ROLE_RELAYPROC] = "relayproc",
};
_Static_assert(sizeof(role_names) / sizeof(role_names[0]) == ROLE_NROLES,
    "every role has its name");

const char *
role_name(enum role role)
{
	return ((unsigned int)role < ROLE_NROLES ? role_names[role] : "?");
}

static const struct message *
message_of(uint32_t type)
{
	if (type == IPC_NONE || type >= IPC_NTYPES)
		return (NULL);
	return (&messages[type]);
}

enum ipc_error
ipc_check(const void *rec, size_t len, unsigned int nfds, enum role from,
    enum role to, uint32_t phase)
{
	const struct message *m;
	struct ipc_hdr hdr;
	size_t fixed;

	if (len < sizeof(hdr))
		return (IPC_E_SHORT);
	memcpy(&hdr, rec, sizeof(hdr));
	m = message_of(hdr.type);
	if (m == NULL)
		return (IPC_E_TYPE);
	if (hdr.reserved != 0)
		return (IPC_E_RESERVED);
	if ((m->from & ROLE_BIT(from)) == 0 || (m->to & ROLE_BIT(to)) == 0)
		return (IPC_E_DIRECTION);
	if ((m->phases & phase) == 0)
		return (IPC_E_PHASE);
	fixed = sizeof(hdr) + m->payload;
	if (len < fixed || len - fixed > m->tail)
		return (IPC_E_SIZE);
	if (nfds != m->fds)
		return (IPC_E_FDS);
	return (IPC_OK);
}

const char *
ipc_name(uint32_t type)
{
	const struct message *m = message_of(type);

	return (m != NULL ? m->name : "?");
}

const char *
ipc_strerror(enum ipc_error error)
{
	return ((unsigned int)error < IPC_NERRORS ? error_names[error] : "?");
}

size_t
ipc_payload_size(uint32_t type)
{
	const struct message *m = message_of(type);

	return (m != NULL ? m->payload : 0);
}

size_t
ipc_tail_max(uint32_t type)
{
	const struct message *m = message_of(type);

	return (m != NULL ? m->tail : 0);
}

unsigned int
ipc_nfds(uint32_t type)
{
	const struct message *m = message_of(type);

	return (m != NULL ? m->fds : 0);
}

int
ipc_is_dgram(uint32_t type)
{
	switch (type) {
	case IPC_DNS_QUERY:
	case IPC_DNS_DONE:
	case IPC_DNS_ANSWER:
	case IPC_DNS_FAILED:
	case IPC_ASSOC_SEND:
	case IPC_ASSOC_RECV:
	case IPC_ASSOC_ERROR:
	case IPC_ASSOC_CLOSE:
		return (1);
	default:
		return (0);
	}
}

/* FNV-1a, 64 bit (Fowler, Noll, Vo; draft-eastlake-fnv). */
static uint64_t
fnv1a(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 0x100000001b3ULL;
	return (hash);
}

uint64_t
ipc_proto_hash(void)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	uint64_t row[6];
	size_t i;

	for (i = 0; i < IPC_NTYPES; i++) {
		row[0] = messages[i].from;
		row[1] = messages[i].to;
		row[2] = messages[i].phases;
		row[3] = messages[i].payload;
		row[4] = messages[i].tail;
		row[5] = messages[i].fds;
		hash = fnv1a(hash, messages[i].name, strlen(messages[i].name));
		hash = fnv1a(hash, row, sizeof(row));
	}
	return (hash);
}
