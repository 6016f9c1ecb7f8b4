/* Leads: what visitors of a site leave to be called back, and what staff do about it. */
#ifndef SB_STORE_LEADS_H
#define SB_STORE_LEADS_H

#include <stdint.h>

#include "base/arena.h"
#include "store/db.h"

enum { SB_LEAD_EVENTS_MAX = 500 }; /* of a lead */

enum sb_lead_status {
    SB_LEAD_NEW,
    SB_LEAD_CONTACTED,
    SB_LEAD_QUALIFIED,
    SB_LEAD_CLOSED,
    SB_LEAD_SPAM,
    SB_LEAD_STATUS__MAX
};
extern const char *const sb_lead_status_names[SB_LEAD_STATUS__MAX + 1]; /* NULL at the end */

struct sb_lead {
    const char *id;
    const char *name, *email, *message;
    const char *company, *phone, *source; /* NULL: not given */
    int64_t status;                       /* enum sb_lead_status */
    const char *assignee;                 /* a user's id; NULL: nobody */
    int64_t version;                      /* counts its changes, from 1 */
    int64_t created_at_ms, updated_at_ms;
};

enum sb_lead_event_type { SB_LEAD_SET_STATUS, SB_LEAD_SET_ASSIGNEE, SB_LEAD_NOTE };
extern const char *const sb_lead_event_names[];

struct sb_lead_event {
    int64_t at_ms;
    const char *user_id;
    int64_t type;               /* enum sb_lead_event_type */
    const char *before, *after; /* a note is after; NULL: nobody */
};

/* Inside a closure: stores a new lead. Of lead only id, created_at_ms and what the visitor gave
 * count. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_leads_add(struct sb_db_conn *tx,
                                                        const struct sb_lead *lead);

/* A lead, in arena. SB_E_NOT_FOUND: there is none. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_leads_find(struct sb_db_conn *conn,
                                                         struct sb_arena *arena, const char *id,
                                                         struct sb_lead *lead);

/* Which leads. */
struct sb_leads_page {
    int status;           /* enum sb_lead_status; -1: any */
    const char *assignee; /* NULL: any */
    const char *search; /* in name, e-mail, company or message, ASCII letters of either case; NULL:
                           any */
    const char *below;  /* id of the last of the page before; NULL: the first page */
    size_t max;
};

/* Leads, newest first, in arena. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_leads_list(struct sb_db_conn *conn,
                                                         struct sb_arena *arena,
                                                         const struct sb_leads_page *page,
                                                         struct sb_lead **leads, size_t *count);

struct sb_lead_change {
    const char *id, *user_id; /* which lead, and who changes it */
    int64_t now_ms;
    int64_t version;      /* that it must have; 0: any */
    int status;           /* enum sb_lead_status; -1: as it is */
    const char *assignee; /* "": nobody; NULL: as it is */
    const char *note;     /* NULL: none */
};

/* Inside a closure: changes a lead, with an event for each thing that is different after it; *lead
 * is the lead after that. SB_E_NOT_FOUND: there is none. SB_E_CONFLICT: it has another version, and
 * *lead is the lead as it is. SB_E_GONE: it has SB_LEAD_EVENTS_MAX events. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_leads_change(struct sb_db_conn *tx,
                                                           struct sb_arena *arena,
                                                           const struct sb_lead_change *change,
                                                           struct sb_lead *lead);

/* What was done to a lead, oldest first, in arena. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_leads_events(struct sb_db_conn *conn,
                                                           struct sb_arena *arena, const char *id,
                                                           struct sb_lead_event **events,
                                                           size_t *count);

/* Inside a closure: deletes at most limit leads that were changed last before before_ms, with their
 * events and mail; *removed counts them. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_leads_remove(struct sb_db_conn *tx, int64_t before_ms,
                                                           int64_t limit, int64_t *removed);

#endif
