#ifndef PARENT_FIRST_H
#define PARENT_FIRST_H

/*
 * The first process of a pid namespace, as a container's, is the parent of
 * whatever is orphaned there, and is to reap it.  Among that it would have to
 * know its own children, whose ends count, by pids that it may not have been
 * told yet.  So where we are the first, a child goes on in our place, and we
 * stay behind: we pass on each signal but the terminal's, which has told the
 * child as well, reap, and end as the child does, or with 128 and the number
 * of the signal that killed it.  The kernel ends what is left then.
 */

/* Returns in the process that is to go on. */
void first_process_step_back(void);

#endif
