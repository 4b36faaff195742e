#ifndef RELAYPROC_SPLICE_PIPE_H
#define RELAYPROC_SPLICE_PIPE_H

/*
 * The pipes that splice(2) moves bytes through.  A flow has one for as long as
 * bytes are in it, which is most often no longer than one call; so a few serve
 * all flows.
 */

/*
 * Most pipes at once, two descriptors each: a thousand flows each way whose
 * receivers are slow.  Beyond it a flow waits until another has moved on.
 * Test: flows_take_turns_when_there_are_too_few_pipes.
 */
#define SPLICE_PIPES_MAX 2048

/* What one holds, where the kernel grants it. */
#define SPLICE_PIPE_BYTES (256 * 1024)

/* Kept open while there are flows. */
#define SPLICE_PIPES_IDLE 4

struct splice_pipe {
	int out, in; /* as pipe(2) has them; -1: none */
};

struct splice_pipes {
	struct splice_pipe idle[SPLICE_PIPES_IDLE]; /* empty */
	unsigned int nidle, nused;
};

/* 0, or -1 with errno: of pipe2(2), or EMFILE beyond SPLICE_PIPES_MAX. */
int splice_pipe_take(struct splice_pipes *pipes, struct splice_pipe *pipe);

/* Consumes the pipe, if there is one; one with bytes in it is closed. */
void splice_pipe_give(struct splice_pipes *pipes, struct splice_pipe *pipe,
    int is_empty);

/* Closes those that nobody has. */
void splice_pipes_free(struct splice_pipes *pipes);

#endif
