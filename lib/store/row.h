/* From rows to structs. For lib/store alone. */
#ifndef SB_STORE_ROW_H
#define SB_STORE_ROW_H

#include "base/arena.h"
#include "store/db.h"

/* A copy of a text column in arena; SQL's NULL gives NULL. False: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_row_dup(const struct sb_db_row *row, int column,
                                             struct sb_arena *arena, const char **text);

/* The place of a text column in names, which ends with NULL; -1 if it is not there. */
SB_NONNULL_ALL SB_MUST_CHECK int sb_row_name(const struct sb_db_row *row, int column,
                                             const char *const names[]);

#endif
