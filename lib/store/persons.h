/* All that is kept about one person, a user or a visitor: to hand it over, and to erase it. A table
 * that holds something about persons has a row in persons.c. */
#ifndef SB_STORE_PERSONS_H
#define SB_STORE_PERSONS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/ids.h"
#include "store/db.h"

/* By what a person is known here; what is NULL is left aside. */
struct sb_person {
    const char *user_id; /* of a user; visitors are in no table of users */
    const char *owner;   /* sb_principal_owner(): "user:ID" or "visitor:ID" */
    const char *email;   /* in the enquiries of people who need not be users; any case */
};

/* What is kept, as members of a JSON object to be written one after the other: calls begin with the
 * name of each kind of thing, then item with each of them as JSON (of at most SB_PERSON_ITEM_MAX
 * bytes), in an order that does not change. A false of either ends it: SB_E_INTERNAL. */
enum { SB_PERSON_ITEM_MAX = 256 * 1024 };
struct sb_person_writer {
    bool (*begin)(const char *name, void *context);
    bool (*item)(const char *json, void *context);
    void *context;
};
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_persons_export(struct sb_db_conn *conn,
                                                             const struct sb_person *person,
                                                             const struct sb_person_writer *writer);

enum { SB_ERASED_MAX = 24 };
struct sb_erased {
    struct {
        const char *what; /* "sessions deleted" */
        int64_t count;
    } parts[SB_ERASED_MAX];
    size_t count;
};

/* Inside a closure: deletes what is the person's alone. Where it stands in what others were part of
 * (calls, who took part in them, their events) a name without a meaning takes its place: a user row
 * "erased_...", disabled, made if it is needed. An open realtime call is kept under that name until
 * it has been hung up, for which it becomes due. A person nobody has heard of: all counts 0. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_persons_erase(struct sb_db_conn *tx,
                                                            const struct sb_person *person,
                                                            int64_t now_ms,
                                                            struct sb_erased *erased);

#endif
