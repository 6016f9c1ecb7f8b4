#include "store/leads.h"

#include <string.h>

#include "base/buf.h"
#include "store/row.h"

const char *const sb_lead_status_names[] = {[SB_LEAD_NEW] = "new",
                                            [SB_LEAD_CONTACTED] = "contacted",
                                            [SB_LEAD_QUALIFIED] = "qualified",
                                            [SB_LEAD_CLOSED] = "closed",
                                            [SB_LEAD_SPAM] = "spam",
                                            NULL};
const char *const sb_lead_event_names[] = {[SB_LEAD_SET_STATUS] = "status",
                                           [SB_LEAD_SET_ASSIGNEE] = "assignee",
                                           [SB_LEAD_NOTE] = "note",
                                           NULL};

#define COLUMNS                                                                                    \
    "id, name, email, message, company, phone, source, assignee, status, version, created_at,"     \
    " updated_at"

enum { SEARCH_SIZE = 1024 };

enum sb_error sb_leads_add(struct sb_db_conn *tx, const struct sb_lead *lead)
{
    return sb_db_exec(tx,
                      "INSERT INTO leads (id, name, email, message, company, phone, source, status,"
                      " version, created_at, updated_at)"
                      " VALUES ($1, $2, $3, $4, $5, $6, $7, 'new', 1, $8, $8)",
                      SB_DB_VALUES(SB_DB_TEXT(lead->id), SB_DB_TEXT(lead->name),
                                   SB_DB_TEXT(lead->email), SB_DB_TEXT(lead->message),
                                   SB_DB_TEXT(lead->company), SB_DB_TEXT(lead->phone),
                                   SB_DB_TEXT(lead->source), SB_DB_INT(lead->created_at_ms)),
                      NULL);
}

struct found {
    struct sb_arena *arena;
    struct sb_lead *leads;
    size_t count;
};

static enum sb_error take_lead(const struct sb_db_row *row, void *context)
{
    struct found *found = context;
    struct sb_lead *lead = &found->leads[found->count];
    const char **texts[] = {&lead->id,      &lead->name,  &lead->email,  &lead->message,
                            &lead->company, &lead->phone, &lead->source, &lead->assignee};
    for (size_t i = 0; i < SB_COUNT(texts); i++) {
        if (!sb_row_dup(row, (int)i, found->arena, texts[i]))
            return SB_E_UNAVAILABLE;
    }
    int status = sb_row_name(row, 8, sb_lead_status_names);
    lead->status = status;
    lead->version = sb_db_row_int(row, 9);
    lead->created_at_ms = sb_db_row_int(row, 10);
    lead->updated_at_ms = sb_db_row_int(row, 11);
    found->count++;
    return status < 0 ? SB_E_INTERNAL : SB_OK;
}

enum sb_error sb_leads_find(struct sb_db_conn *conn, struct sb_arena *arena, const char *id,
                            struct sb_lead *lead)
{
    struct sb_lead one = {0};
    struct found found = {.arena = arena, .leads = &one};
    enum sb_error error = sb_db_query(conn, "SELECT " COLUMNS " FROM leads WHERE id = $1",
                                      SB_DB_VALUES(SB_DB_TEXT(id)), take_lead, &found);
    if (error == SB_OK && found.count == 0)
        error = SB_E_NOT_FOUND;
    if (error == SB_OK)
        *lead = one;
    return error;
}

/* text as a pattern for LIKE ... ESCAPE '\', found anywhere. */
static const char *pattern_of(struct sb_arena *arena, const char *text)
{
    struct sb_buf out;
    sb_buf_init(&out, arena, SEARCH_SIZE);
    sb_buf_add_char(&out, '%');
    for (; *text != '\0'; text++) {
        if (strchr("%_\\", *text) != NULL)
            sb_buf_add_char(&out, '\\');
        sb_buf_add_char(&out, *text);
    }
    sb_buf_add_char(&out, '%');
    return sb_buf_ok(&out) ? out.data : NULL;
}

/* One text for each index: with $1 IS NULL OR ... none would be used, and a list of the few new
 * leads would read all that are closed. No id lies behind "~". */
#define LIST(which)                                                                                \
    "SELECT " COLUMNS " FROM leads WHERE " which " AND id < coalesce($3, '~')"                     \
    " AND ($4 IS NULL OR name LIKE $4 ESCAPE '\\' OR email LIKE $4 ESCAPE '\\'"                    \
    " OR company LIKE $4 ESCAPE '\\' OR message LIKE $4 ESCAPE '\\')"                              \
    " ORDER BY id DESC LIMIT $5"

static const char *list_text(const char *status, const char *assignee)
{
    if (assignee != NULL)
        return LIST("($1 IS NULL OR status = $1) AND assignee = $2");
    return status != NULL ? LIST("status = $1 AND $2 IS NULL") : LIST("$1 IS NULL AND $2 IS NULL");
}

enum sb_error sb_leads_list(struct sb_db_conn *conn, struct sb_arena *arena,
                            const struct sb_leads_page *page, struct sb_lead **leads, size_t *count)
{
    struct found found = {.arena = arena};
    const char *status = page->status < 0 ? NULL : sb_lead_status_names[page->status];
    const char *pattern = page->search == NULL ? NULL : pattern_of(arena, page->search);
    found.leads = sb_arena_alloc(arena, page->max * sizeof *found.leads);
    if (found.leads == NULL || (page->search != NULL && pattern == NULL))
        return SB_E_UNAVAILABLE;
    enum sb_error error = sb_db_query(conn, list_text(status, page->assignee),
                                      SB_DB_VALUES(SB_DB_TEXT(status), SB_DB_TEXT(page->assignee),
                                                   SB_DB_TEXT(page->below), SB_DB_TEXT(pattern),
                                                   SB_DB_INT((int64_t)page->max)),
                                      take_lead, &found);
    if (error != SB_OK)
        return error;
    *leads = found.leads;
    *count = found.count;
    return SB_OK;
}

static enum sb_error add_event(struct sb_db_conn *tx, const struct sb_lead_change *change,
                               enum sb_lead_event_type type, const char *before, const char *after)
{
    int64_t changes = 0;
    enum sb_error error = sb_db_exec(
        tx,
        "INSERT INTO lead_events (lead_id, at, user_id, type, before, after)"
        " SELECT $1, $2, $3, $4, $5, $6"
        " WHERE (SELECT count(*) FROM lead_events WHERE lead_id = $1) < $7",
        SB_DB_VALUES(SB_DB_TEXT(change->id), SB_DB_INT(change->now_ms), SB_DB_TEXT(change->user_id),
                     SB_DB_TEXT(sb_lead_event_names[type]), SB_DB_TEXT(before), SB_DB_TEXT(after),
                     SB_DB_INT(SB_LEAD_EVENTS_MAX)),
        &changes);
    return error == SB_OK && changes == 0 ? SB_E_GONE : error;
}

static bool differ(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a != b : strcmp(a, b) != 0;
}

static enum sb_error update(struct sb_db_conn *tx, const struct sb_lead *lead)
{
    return sb_db_exec(
        tx,
        "UPDATE leads SET status = $2, assignee = $3, version = $4, updated_at = $5 WHERE id = $1",
        SB_DB_VALUES(SB_DB_TEXT(lead->id), SB_DB_TEXT(sb_lead_status_names[lead->status]),
                     SB_DB_TEXT(lead->assignee), SB_DB_INT(lead->version),
                     SB_DB_INT(lead->updated_at_ms)),
        NULL);
}

enum sb_error sb_leads_change(struct sb_db_conn *tx, struct sb_arena *arena,
                              const struct sb_lead_change *change, struct sb_lead *lead)
{
    enum sb_error error = sb_leads_find(tx, arena, change->id, lead);
    if (error != SB_OK)
        return error;
    if (change->version != 0 && change->version != lead->version)
        return SB_E_CONFLICT;
    struct sb_lead after = *lead;
    if (change->status >= 0)
        after.status = change->status;
    if (change->assignee != NULL)
        after.assignee = *change->assignee == '\0' ? NULL : change->assignee;
    bool status = after.status != lead->status;
    bool assignee = differ(after.assignee, lead->assignee);
    if (status)
        error = add_event(tx, change, SB_LEAD_SET_STATUS, sb_lead_status_names[lead->status],
                          sb_lead_status_names[after.status]);
    if (error == SB_OK && assignee)
        error = add_event(tx, change, SB_LEAD_SET_ASSIGNEE, lead->assignee, after.assignee);
    if (error == SB_OK && change->note != NULL)
        error = add_event(tx, change, SB_LEAD_NOTE, NULL, change->note);
    if (error != SB_OK || !(status || assignee || change->note != NULL))
        return error;
    after.version++;
    after.updated_at_ms = change->now_ms;
    *lead = after;
    return update(tx, lead);
}

struct history {
    struct sb_arena *arena;
    struct sb_lead_event *events;
    size_t count;
};

static enum sb_error take_event(const struct sb_db_row *row, void *context)
{
    struct history *history = context;
    struct sb_lead_event *event = &history->events[history->count++];
    int type = sb_row_name(row, 2, sb_lead_event_names);
    event->at_ms = sb_db_row_int(row, 0);
    event->type = type;
    if (type < 0)
        return SB_E_INTERNAL;
    return sb_row_dup(row, 1, history->arena, &event->user_id) &&
                   sb_row_dup(row, 3, history->arena, &event->before) &&
                   sb_row_dup(row, 4, history->arena, &event->after)
               ? SB_OK
               : SB_E_UNAVAILABLE;
}

enum sb_error sb_leads_events(struct sb_db_conn *conn, struct sb_arena *arena, const char *id,
                              struct sb_lead_event **events, size_t *count)
{
    struct history history = {.arena = arena};
    history.events = sb_arena_alloc(arena, SB_LEAD_EVENTS_MAX * sizeof *history.events);
    if (history.events == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error = sb_db_query(
        conn,
        "SELECT at, user_id, type, before, after FROM lead_events WHERE lead_id = $1"
        " ORDER BY seq LIMIT $2",
        SB_DB_VALUES(SB_DB_TEXT(id), SB_DB_INT(SB_LEAD_EVENTS_MAX)), take_event, &history);
    if (error != SB_OK)
        return error;
    *events = history.events;
    *count = history.count;
    return SB_OK;
}

enum sb_error sb_leads_remove(struct sb_db_conn *tx, int64_t before_ms, int64_t limit,
                              int64_t *removed)
{
    return sb_db_exec(tx,
                      "DELETE FROM leads WHERE id IN (SELECT id FROM leads"
                      " WHERE updated_at < $1 ORDER BY updated_at LIMIT $2)",
                      SB_DB_VALUES(SB_DB_INT(before_ms), SB_DB_INT(limit)), removed);
}
