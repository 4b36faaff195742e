#ifndef SANDBOX_ISOLATE_H
#define SANDBOX_ISOLATE_H

#include <sys/resource.h>

#include <stdint.h>

#include "ipc/roles.h"
#include "sandbox/landlock.h"

/*
 * The fences that a process puts up around itself.  *missed collects a bit
 * per enum isolation_stage that does not hold (set it to 0 first).  With
 * strict nonzero a stage that is refused is an error; see sandbox/stages.h.
 * All return 0, or -1 after one line of log_error.
 */

/*
 * A child's first act after exec: empty root, fixed descriptors only, no
 * capabilities, no_new_privs, memory never both written and executed, death
 * with the parent, Landlock, limits.  Needs the namespaces that spawn.c made.
 */
int isolate_self(enum role role, int strict, uint32_t *missed);

/*
 * Most descriptors that this process will hold, the fixed ones included;
 * call it once the configuration is known and before the lock, after which
 * the limit stands.  0, or -1 with errno (EINVAL above FILTER_FD_END).
 */
int isolate_set_nofile(rlim_t nofile);

/*
 * A child's last act before READY: not dumpable, then the role's filter
 * (spliced as filter_load() takes it).
 * Every file that will be used is open by now, every pool allocated.
 */
int sandbox_lock(enum role role, int spliced, int strict, uint32_t *missed);

/*
 * The parent's own lock, after the children were attested: no capabilities
 * (but CAP_DAC_OVERRIDE when one of files->unlink_dirs cannot be written
 * without it), no new privileges, Landlock leaves only files (borrowed; NULL:
 * none), its filter.
 */
int sandbox_lock_parent(int strict, const struct landlock_files *files,
    uint32_t *missed);

/*
 * What the process that makes the children can give up and still make them:
 * with strict every capability but those to map a child's uid and gid and to
 * look at its descriptors, and whatever an exec could gain.  A filter or
 * Landlock it cannot have: the children would inherit them.  0, or -1 after
 * one line of log_error.
 */
int sandbox_trim_spawner(int strict);

/*
 * The first process of a pid namespace, which only reaps and passes signals
 * on, needs no right at all.  0, or -1 after one line of log_error.
 */
int sandbox_trim_first(void);

#endif
