/* One owner: all state belongs to one user, and everything that touches it runs as that user. A
 * database made by root would lock the site out. */
#ifndef SB_BASE_OWNER_H
#define SB_BASE_OWNER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Makes the process the owner of directory (an absolute path): as root it takes on the owner's
 * user and groups for good; as the owner nothing changes. False, with a sentence in problem that
 * begins with the directory: it is missing or belongs to somebody else. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_owner_become(const char *directory, char *problem,
                                                  size_t problem_size);

#endif
