#ifndef PARENT_SPAWNER_H
#define PARENT_SPAWNER_H

#include <sys/types.h>

#include <stdint.h>

#include "parent/configuration.h"
#include "parent/spawn.h"

/*
 * The process that starts the children, at first and whenever one was lost.
 *
 * The parent gives up, before the first guest byte, whatever making a child
 * takes: capabilities, files, clone, exec.  Filters and Landlock domains are
 * inherited, so who has them cannot make a child that puts up fences of its
 * own.  Therefore a fork of the parent, from before it opened anything, stays
 * as it was, and does two things when the parent asks: it makes a pair of
 * children, and it looks at their jails from outside.  It hears nobody else,
 * and ends with the parent.
 *
 * Should: hold nothing but its channel, this program and stderr; keep no
 * capability but those to map a child's uid and to look at it, where strict.
 * Mustn't: see a byte of the guest's; do anything that it was not asked for.
 *
 * The children are the parent's own (CLONE_PARENT): it reaps them, and their
 * parent-death signal is its death.
 */

/*
 * An order is answered within so long, or the spawner does not work: it is
 * stopped, say.  Longer than spawn_children() waits for a child.
 */
#define SPAWNER_ANSWER_S 5

/* From the end of its channel to its own, or it is killed. */
#define SPAWNER_END_MS 200

struct spawner {
	pid_t pid; /* -1 without one */
	int pidfd;
	int fd; /* SEQPACKET, non-blocking; readable with an answer, or when
		   it has ended */
};

/* Both children, and what the parent knows of them. */
struct spawner_pair {
	struct child netproc, relayproc;
	uint32_t netproc_missed, relayproc_missed; /* isolation stages */
};

enum spawner_op {
	SPAWNER_SPAWN,	/* make a pair */
	SPAWNER_ATTEST, /* look at this pair */
	SPAWNER_NOPS
};

struct spawner_message {
	uint32_t op;	/* enum spawner_op */
	int32_t result; /* of the answer: 0 or -1, it has logged why */
	struct spawner_pair pair; /* descriptors come beside it */
};

void spawner_init(struct spawner *spawner);

/*
 * Forks it; config is copied.  The caller is single-threaded and has opened
 * nothing yet that a child must not have.  0, or -1 with errno.
 */
int spawner_start(struct spawner *spawner, const struct spawn_config *config);

/* Asks; for SPAWNER_ATTEST pair is looked at.  0, or -1 with errno. */
int spawner_ask(const struct spawner *spawner, enum spawner_op op,
    const struct spawner_pair *pair);

/*
 * Takes an answer: 1 and message is filled, its descriptors owned by the
 * caller; 0: none is there yet; -1: the spawner is gone, or speaks nonsense.
 */
int spawner_take(const struct spawner *spawner,
    struct spawner_message *message);

/* It ends, or is killed after SPAWNER_END_MS, and is reaped. */
void spawner_end(struct spawner *spawner);

#endif
