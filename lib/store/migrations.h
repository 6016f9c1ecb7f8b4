/* The schema, as the numbered steps that lead to it. For lib/store alone. */
#ifndef SB_STORE_MIGRATIONS_H
#define SB_STORE_MIGRATIONS_H

#include <stddef.h>
#include <stdint.h>

struct sb_migration {
    int64_t version; /* of the schema after it; rises by one */
    const char *sql; /* statements that run in one transaction */
};

/* In order. A migration that has been released is never changed: add one. */
extern const struct sb_migration sb_migrations[];
extern const size_t sb_migration_count;

#endif
