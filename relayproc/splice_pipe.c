#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "relayproc/splice_pipe.h"

static void
pipe_close(struct splice_pipe *pipe)
{
	close(pipe->out);
	close(pipe->in);
	pipe->out = pipe->in = -1;
}

int
splice_pipe_take(struct splice_pipes *pipes, struct splice_pipe *pipe)
{
	int fds[2];

	if (pipes->nidle > 0) {
		*pipe = pipes->idle[--pipes->nidle];
		pipes->nused++;
		return (0);
	}
	if (pipes->nused == SPLICE_PIPES_MAX) {
		errno = EMFILE;
		return (-1);
	}
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) == -1)
		return (-1);
	/* Not beyond the user's share, fs.pipe-user-pages-soft: it does. */
	(void)fcntl(fds[0], F_SETPIPE_SZ, SPLICE_PIPE_BYTES);
	pipe->out = fds[0];
	pipe->in = fds[1];
	pipes->nused++;
	return (0);
}

void
splice_pipe_give(struct splice_pipes *pipes, struct splice_pipe *pipe,
    int is_empty)
{
	if (pipe->out == -1)
		return;
	pipes->nused--;
	if (is_empty && pipes->nidle < SPLICE_PIPES_IDLE) {
		pipes->idle[pipes->nidle++] = *pipe;
		pipe->out = pipe->in = -1;
		return;
	}
	pipe_close(pipe);
}

void
splice_pipes_free(struct splice_pipes *pipes)
{
	while (pipes->nidle > 0)
		pipe_close(&pipes->idle[--pipes->nidle]);
}
