#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "relayproc/assoc_record.h"
#include "relayproc/relayproc.h"

/*
 * Most errors that wait for room in the channel, and a second at all: a guest
 * needs few of them, and each of its datagrams can cause one.
 */
#define ERRORS_WAITING_MAX 16
#define ERRORS_PER_S	   1000

int
assoc_records_init(struct assoc_records *records)
{
	TAILQ_INIT(&records->waiting);
	records->batch = dgram_batch_new();
	records->stage = calloc(1, IPC_DGRAM_TAIL_MAX);
	if (records->batch != NULL && records->stage != NULL)
		return (0);
	assoc_records_free(records);
	errno = ENOMEM;
	return (-1);
}

void
assoc_records_free(struct assoc_records *records)
{
	dgram_batch_free(records->batch);
	free(records->stage);
	if (records->ev_room != NULL)
		event_free(records->ev_room);
	records->batch = NULL;
	records->stage = NULL;
	records->ev_room = NULL;
}

static void
on_room(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	/* First the one answer, then the flood. */
	resolver_room(arg);
	assoc_records_deliver(arg);
}

int
assoc_records_start(struct relayproc *rp)
{
	rp->records.ev_room = event_new(rp->base, rp->dgram.fd, EV_WRITE,
	    on_room, rp);
	return (rp->records.ev_room != NULL ? 0 : -1);
}

void
assoc_records_stop(struct relayproc *rp)
{
	rp->records.n = rp->records.next = 0;
	rp->records.offset = 0;
	if (rp->records.ev_room != NULL)
		event_del(rp->records.ev_room);
}

/* One record under way. */
struct record {
	const uint8_t *data;
	size_t len;
	size_t segment_len; /* of all datagrams but the last */
	size_t segments;
	unsigned int used; /* messages of the batch; 0: a part of one */
};

static size_t
segments_of(const struct dgram *dgram)
{
	return (dgram_segments(dgram->len, dgram->segment_len));
}

static int
label_equal(const struct assoc_label *a, const struct assoc_label *b)
{
	return (!a->drop && !b->drop && a->slot == b->slot &&
	    a->generation == b->generation &&
	    memcmp(&a->data, &b->data, sizeof(a->data)) == 0);
}

/* Every datagram of a record is of one size, the last may be shorter. */
static int
record_takes(const struct record *record, const struct dgram *dgram)
{
	const size_t size = dgram->segment_len > 0 ? dgram->segment_len :
						     dgram->len;

	return (record->segment_len > 0 && size > 0 &&
	    record->len % record->segment_len == 0 &&
	    (size == record->segment_len ||
		(dgram->segment_len == 0 && size < record->segment_len)) &&
	    record->segments + segments_of(dgram) <= ASSOC_SEGMENTS_MAX &&
	    record->len + dgram->len <= IPC_DGRAM_TAIL_MAX);
}

static void
record_append(struct assoc_records *records, struct record *record,
    const struct dgram *dgram)
{
	if (record->data != records->stage) {
		memcpy(records->stage, record->data, record->len);
		record->data = records->stage;
	}
	memcpy(records->stage + record->len, dgram->data, dgram->len);
	record->len += dgram->len;
	record->segments += segments_of(dgram);
	record->used++;
}

static void
record_build(struct assoc_records *records, struct record *record)
{
	const struct assoc_label *label = &records->labels[records->next];
	struct dgram dgram;
	unsigned int i;

	dgram_get(records->batch, records->next, &dgram);
	dgram.data += records->offset;
	dgram.len -= records->offset;
	record->data = dgram.data;
	record->len = dgram.len;
	record->segment_len = dgram.segment_len > 0 ? dgram.segment_len :
						      dgram.len;
	record->segments = segments_of(&dgram);
	record->used = 1;
	/* UDP_GRO may have gathered more than netproc takes at once. */
	if (record->segments > ASSOC_SEGMENTS_MAX) {
		record->segments = ASSOC_SEGMENTS_MAX;
		record->len = ASSOC_SEGMENTS_MAX * record->segment_len;
		record->used = 0;
		return;
	}
	for (i = records->next + 1; i < records->n; i++) {
		if (!label_equal(label, &records->labels[i]))
			return;
		dgram_get(records->batch, i, &dgram);
		if (!record_takes(record, &dgram))
			return;
		record_append(records, record, &dgram);
	}
}

/* 0, or -1 with errno. */
static int
record_send(struct relayproc *rp, const struct assoc_label *label,
    const struct record *record)
{
	struct ipc_assoc_data data = label->data;

	if (record->segments > 1)
		data.segment_len = (uint16_t)record->segment_len;
	return (channel_send_tail(&rp->dgram, IPC_ASSOC_RECV, label->slot,
	    label->generation, &data, sizeof(data), record->data, record->len));
}

void
assoc_records_deliver(struct relayproc *rp)
{
	struct assoc_records *records = &rp->records;
	struct dgram_source *source;
	struct record record;

	while (records->next < records->n) {
		if (records->labels[records->next].drop) {
			records->next++;
			continue;
		}
		record_build(records, &record);
		if (record_send(rp, &records->labels[records->next], &record) ==
		    0)
			rp->counters.dgrams_in += record.segments;
		else if (errno == ENOBUFS) {
			event_add(records->ev_room, NULL);
			return;
		} else
			rp->counters.dgrams_lost += record.segments;
		records->offset = record.used == 0 ?
		    records->offset + record.len :
		    0;
		records->next += record.used;
	}
	while ((source = TAILQ_FIRST(&records->waiting)) != NULL) {
		TAILQ_REMOVE(&records->waiting, source, entry);
		source->waits = 0;
		event_add(&source->ev, NULL);
	}
}

int
assoc_records_read(struct relayproc *rp, struct dgram_source *source)
{
	struct assoc_records *records = &rp->records;
	int n;

	if (records->next < records->n) {
		event_del(&source->ev);
		source->waits = 1;
		TAILQ_INSERT_TAIL(&records->waiting, source, entry);
		return (0);
	}
	n = dgram_recv(&source->sock, records->batch);
	records->next = 0;
	records->offset = 0;
	records->n = n > 0 ? (unsigned int)n : 0;
	memset(records->labels, 0, records->n * sizeof(records->labels[0]));
	return (n);
}

void
assoc_records_forget(struct relayproc *rp, struct dgram_source *source)
{
	if (source->waits)
		TAILQ_REMOVE(&rp->records.waiting, source, entry);
	source->waits = 0;
	event_del(&source->ev);
}

void
assoc_record_sent(struct relayproc *rp, size_t segment_len, size_t len,
    size_t sent, int error)
{
	const size_t n = dgram_segments(len, segment_len);
	size_t out = n;

	if (error != 0)
		out = sent > 0 ? dgram_segments(sent, segment_len) : 0;
	rp->counters.dgrams_out += out;
	rp->counters.dgrams_lost += n - out;
}

void
assoc_record_error(struct relayproc *rp, uint32_t slot, uint32_t generation,
    const struct ipc_assoc_error *error, uint64_t now_ms)
{
	struct ipc_assoc_error msg = *error;
	uint64_t suppressed;

	/* The gateway says what this host does: its address stays here. */
	if (policy_is_host_addr(&rp->policy, &msg.router))
		memset(&msg.router, 0, sizeof(msg.router));
	rp->assoc_error_limit.lines_per_s = ERRORS_PER_S;
	if (rp->peer_lost)
		return;
	if (!log_limit_ok(&rp->assoc_error_limit, now_ms, &suppressed) ||
	    rp->dgram.count >= ERRORS_WAITING_MAX ||
	    channel_send(&rp->dgram, IPC_ASSOC_ERROR, slot, generation, &msg,
		sizeof(msg)) == -1) {
		rp->counters.errors_lost++;
		return;
	}
	rp->counters.dgram_errors++;
	channel_event_kick(&rp->dgram_ev);
}
