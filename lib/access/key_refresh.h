/* Starting `switchboard jwks refresh`: at most one at a time and one in 30 s by all processes of a
 * RUN_DIR together. RUN_DIR/jwks.lock tells both: whoever refreshes holds a lock (flock(2)) on it,
 * and it was last written when an endpoint started a refresh. */
#ifndef SB_ACCESS_KEY_REFRESH_H
#define SB_ACCESS_KEY_REFRESH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

enum { SB_KEY_REFRESH_COOLDOWN_S = 30 };

enum sb_key_refresh {
    SB_KEY_REFRESH_STARTED, /* by this call */
    SB_KEY_REFRESH_RUNNING, /* by somebody else */
    SB_KEY_REFRESH_NONE     /* none runs: it is too early for another, or it cannot be started */
};

/* Starts `command jwks refresh`, unless one runs or the last was started less than 30 s ago. The
 * child has the lock as its standard input, so it is let go when the child ends, however it does.
 * *child is set if it was started; the caller waits for it. A failure is logged. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_key_refresh
sb_key_refresh_start(const char *run_dir, const char *command, pid_t *child);

/* For the command: takes the lock, waiting for whoever has it, unless standard input already is
 * the locked file. The descriptor, which is closed with the process; -1 with errno. */
SB_NONNULL_ALL SB_MUST_CHECK int sb_key_refresh_lock(const char *run_dir);

/* Where the command of this very installation is: beside the tree of endpoints that the program
 * belongs to, else where `make install` puts it. */
SB_NONNULL_ALL void sb_key_refresh_command(char path[static PATH_MAX]);

#endif
