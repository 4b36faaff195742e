#ifndef PARENT_EVIDENCE_H
#define PARENT_EVIDENCE_H

#include "parent/configuration.h"

/*
 * --evidence: what was seen of the jails, one JSON object a line, for each
 * pair of children: at the start, and whenever a pair was replaced.  Its
 * SHA-256 is logged, so that a file that was changed later shows.
 *
 *	sallyport	version
 *	time		seconds since 1970
 *	kernel		release, uname(2)
 *	isolation	"strict" or "best-effort"
 *	policy_sha256	of what --print-policy prints
 *	restarts	pairs before this one
 *	verdict		"stands": every fence; "degraded": all but those that
 *			--isolation admits; "refused": the pair got nothing
 *	parent		{ pid, missing: [NAME...] }
 *	netproc, relayproc
 *			{ pid, uid, fences: [{ name, keeps, known }...] }
 *
 * `known` is "seen" (by the parent or the spawner, in /proc), "said" (by the
 * child alone: it cannot be seen from outside) or "missing".
 */
struct evidence {
	int fd;	 /* -1 without --evidence */
	int cut; /* its last line has no end */
	char kernel[65];
	char policy[65]; /* SHA-256, hexadecimal */
};

struct parent;

void evidence_init(struct evidence *evidence);

/* While there are rights to.  0, or -1 with error filled. */
int evidence_open(const struct config *config, struct evidence *evidence,
    struct config_error *error);

/*
 * Empties the file, once nothing of the configuration stands in the way: who
 * is started twice by mistake leaves what the first has written.  0, or -1
 * with error filled.
 */
int evidence_begin(const struct config *config, const struct evidence *evidence,
    struct config_error *error);

/*
 * Writes a line and logs its digest.  What cannot be written, or has no reader
 * who makes room, is warned of; the next line begins as one.
 * Nothing without --evidence.
 */
void evidence_write(struct parent *parent, int refused);

void evidence_close(struct evidence *evidence);

#endif
