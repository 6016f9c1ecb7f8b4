#include "store/persons.h"

#include "base/clock.h"

/* Export */

enum type { TEXT, NUMBER, FLAG, TIME, DAY };

struct column {
    const char *name;
    enum type type;
};

enum { COLUMNS_MAX = 11 };

enum key { BY_USER, BY_OWNER, BY_EMAIL };

struct part {
    const char *name;
    enum key key; /* what $1 is; NULL, which equals nothing, where it is not known */
    const char *sql;
    struct column columns[COLUMNS_MAX]; /* as sql selects them, ended by one without a name */
};

static const struct part parts[] = {
    {.name = "users",
     BY_USER,
     "SELECT id, name, role, created_at, disabled_at FROM users WHERE id = $1",
     {{"id", TEXT}, {"name", TEXT}, {"role", TEXT}, {"createdAt", TIME}, {"disabledAt", TIME}}},
    {.name = "memberships",
     BY_USER,
     "SELECT thread_id, role, created_at FROM thread_members WHERE user_id = $1"
     " ORDER BY thread_id",
     {{"threadId", TEXT}, {"role", TEXT}, {"createdAt", TIME}}},
    {.name = "callsStarted",
     BY_USER,
     "SELECT id, thread_id, kind, started_at, ended_at, duration_s FROM calls"
     " WHERE started_by = $1 ORDER BY id",
     {{"id", TEXT},
      {"threadId", TEXT},
      {"kind", TEXT},
      {"startedAt", TIME},
      {"endedAt", TIME},
      {"durationSeconds", NUMBER}}},
    {.name = "participations",
     BY_USER,
     "SELECT call_id, id, moderator, joined_at, last_seen_at, left_at FROM participants"
     " WHERE user_id = $1 ORDER BY call_id, id",
     {{"callId", TEXT},
      {"id", TEXT},
      {"moderator", FLAG},
      {"joinedAt", TIME},
      {"lastSeenAt", TIME},
      {"leftAt", TIME}}},
    {.name = "callEvents",
     BY_USER,
     "SELECT call_id, thread_id, type, at FROM call_events WHERE user_id = $1 ORDER BY seq",
     {{"callId", TEXT}, {"threadId", TEXT}, {"type", TEXT}, {"at", TIME}}},
    {.name = "realtimeCalls",
     BY_USER,
     "SELECT id, upstream_id, started_at, ended_at, end_reason FROM realtime_calls"
     " WHERE user_id = $1 ORDER BY id",
     {{"id", TEXT},
      {"upstreamId", TEXT},
      {"startedAt", TIME},
      {"endedAt", TIME},
      {"endReason", TEXT}}},
    {.name = "sessions",
     BY_OWNER,
     "SELECT id, kind, created_at, updated_at FROM sessions WHERE owner = $1"
     " ORDER BY created_at, id",
     {{"id", TEXT}, {"kind", TEXT}, {"createdAt", TIME}, {"updatedAt", TIME}}},
    {.name = "transcriptItems",
     BY_OWNER,
     "SELECT s.id, i.id, i.role, i.text, i.interrupted, i.created_at FROM sessions s"
     " JOIN transcript_items i ON i.session = s.key WHERE s.owner = $1"
     " ORDER BY s.created_at, s.id, i.place",
     {{"sessionId", TEXT},
      {"id", TEXT},
      {"role", TEXT},
      {"text", TEXT},
      {"interrupted", FLAG},
      {"createdAt", TIME}}},
    {.name = "usage",
     BY_OWNER,
     "SELECT day, turns, seconds, tokens FROM usage WHERE owner = $1 ORDER BY day",
     {{"day", DAY}, {"turns", NUMBER}, {"seconds", NUMBER}, {"tokens", NUMBER}}},
    {.name = "reservations",
     BY_OWNER,
     "SELECT id, deadline, turns, seconds, tokens FROM reservations WHERE owner = $1 ORDER BY id",
     {{"id", TEXT},
      {"deadline", TIME},
      {"turns", NUMBER},
      {"seconds", NUMBER},
      {"tokens", NUMBER}}},
    {.name = "keptAnswers",
     BY_OWNER,
     "SELECT route, status, body, created_at FROM idempotency WHERE principal = $1"
     " ORDER BY created_at, route, key",
     {{"route", TEXT}, {"status", NUMBER}, {"body", TEXT}, {"createdAt", TIME}}},
    {.name = "leadsAssigned",
     BY_USER,
     "SELECT id, status, created_at FROM leads WHERE assignee = $1 ORDER BY id",
     {{"id", TEXT}, {"status", TEXT}, {"createdAt", TIME}}},
    {.name = "leadEvents",
     BY_USER,
     "SELECT lead_id, type, at, before, after FROM lead_events WHERE user_id = $1 ORDER BY seq",
     {{"leadId", TEXT}, {"type", TEXT}, {"at", TIME}, {"before", TEXT}, {"after", TEXT}}},
    {.name = "leads",
     BY_EMAIL,
     "SELECT id, created_at, updated_at, status, name, email, company, phone, source, message"
     " FROM leads WHERE lower(email) = lower($1) ORDER BY id",
     {{"id", TEXT},
      {"createdAt", TIME},
      {"updatedAt", TIME},
      {"status", TEXT},
      {"name", TEXT},
      {"email", TEXT},
      {"company", TEXT},
      {"phone", TEXT},
      {"source", TEXT},
      {"message", TEXT}}},
    /* Without who works on it: that is about staff. */
    {.name = "leadHistory",
     BY_EMAIL,
     "SELECT e.lead_id, e.type, e.at, e.before, e.after FROM leads l"
     " JOIN lead_events e ON e.lead_id = l.id WHERE lower(l.email) = lower($1)"
     " AND e.type <> 'assignee' ORDER BY e.seq",
     {{"leadId", TEXT}, {"type", TEXT}, {"at", TIME}, {"before", TEXT}, {"after", TEXT}}},
    {.name = "leadMails",
     BY_EMAIL,
     "SELECT o.id, o.lead_id, o.recipient, o.subject, o.text, o.state, o.created_at, o.sent_at"
     " FROM leads l JOIN outbox o ON o.lead_id = l.id WHERE lower(l.email) = lower($1)"
     " ORDER BY o.id",
     {{"id", TEXT},
      {"leadId", TEXT},
      {"recipient", TEXT},
      {"subject", TEXT},
      {"text", TEXT},
      {"state", TEXT},
      {"createdAt", TIME},
      {"sentAt", TIME}}},
};

static void add_time(struct sb_buf *out, int64_t time_ms, bool day)
{
    char text[SB_CLOCK_TEXT_SIZE];
    enum { DATE_LENGTH = 10 };
    sb_clock_format(day ? time_ms * 86400000 : time_ms, text);
    if (day)
        text[DATE_LENGTH] = '\0';
    sb_json_string(out, text);
}

static void add_value(struct sb_buf *out, const struct sb_db_row *row, int at, enum type type)
{
    int64_t number = type == TEXT ? 0 : sb_db_row_int(row, at);
    if (sb_db_row_null(row, at))
        sb_json_null(out);
    else if (type == TEXT)
        sb_json_string(out, sb_db_row_text(row, at));
    else if (type == NUMBER)
        sb_json_int(out, number);
    else if (type == FLAG)
        sb_json_bool(out, number != 0);
    else
        add_time(out, number, type == DAY);
}

struct writing {
    const struct part *part;
    const struct sb_person_writer *writer;
};

static enum sb_error write_item(const struct sb_db_row *row, void *context)
{
    const struct writing *writing = context;
    struct sb_buf json;
    sb_buf_init(&json, NULL, SB_PERSON_ITEM_MAX);
    sb_json_open(&json, '{');
    for (int i = 0; writing->part->columns[i].name != NULL; i++) {
        sb_json_key(&json, writing->part->columns[i].name);
        add_value(&json, row, i, writing->part->columns[i].type);
    }
    sb_json_close(&json, '}');
    bool written = sb_buf_ok(&json) && writing->writer->item(json.data, writing->writer->context);
    sb_buf_free(&json);
    return written ? SB_OK : SB_E_INTERNAL;
}

static const char *key_of(const struct sb_person *person, enum key key)
{
    if (key == BY_EMAIL)
        return person->email;
    return key == BY_OWNER ? person->owner : person->user_id;
}

enum sb_error sb_persons_export(struct sb_db_conn *conn, const struct sb_person *person,
                                const struct sb_person_writer *writer)
{
    for (size_t i = 0; i < SB_COUNT(parts); i++) {
        struct writing writing = {&parts[i], writer};
        if (!writer->begin(parts[i].name, writer->context))
            return SB_E_INTERNAL;
        enum sb_error error =
            sb_db_query(conn, parts[i].sql, SB_DB_VALUES(SB_DB_TEXT(key_of(person, parts[i].key))),
                        write_item, &writing);
        if (error != SB_OK)
            return error;
    }
    return SB_OK;
}

/* Erasure */

/* $1 is what the person is known by, $2 the pseudonym, $3 now. */
struct step {
    const char *what, *sql;
};

/* What others were part of, too. */
static const struct step renaming[] = {
    {.what = "open participations ended",
     "UPDATE participants SET left_at = max(joined_at, $3), user_id = $2"
     " WHERE user_id = $1 AND left_at IS NULL"},
    {.what = "participations pseudonymised",
     "UPDATE participants SET user_id = $2 WHERE user_id = $1 AND $3 > 0"},
    {.what = "calls pseudonymised",
     "UPDATE calls SET started_by = $2 WHERE started_by = $1 AND $3 > 0"},
    {.what = "call events pseudonymised",
     "UPDATE call_events SET user_id = $2 WHERE user_id = $1 AND $3 > 0"},
    {.what = "open realtime calls ended",
     "UPDATE realtime_calls SET user_id = $2, expires_at = min(expires_at, $3)"
     " WHERE user_id = $1 AND ended_at IS NULL"},
    {.what = "lead events pseudonymised",
     "UPDATE lead_events SET user_id = CASE user_id WHEN $1 THEN $2 ELSE user_id END,"
     " before = CASE WHEN type = 'assignee' AND before = $1 THEN $2 ELSE before END,"
     " after = CASE WHEN type = 'assignee' AND after = $1 THEN $2 ELSE after END"
     " WHERE $3 > 0 AND seq IN (SELECT seq FROM lead_events WHERE user_id = $1"
     " UNION SELECT seq FROM lead_events WHERE type = 'assignee' AND before = $1"
     " UNION SELECT seq FROM lead_events WHERE type = 'assignee' AND after = $1)"},
};

/* In an order that references allow. */
static const struct step deleting[] = {
    {.what = "realtime calls deleted", "DELETE FROM realtime_calls WHERE user_id = $1"},
    {.what = "memberships deleted", "DELETE FROM thread_members WHERE user_id = $1"},
    {.what = "users deleted", "DELETE FROM users WHERE id = $1"},
    {.what = "leads unassigned", "UPDATE leads SET assignee = NULL WHERE assignee = $1"},
};

static const struct step deleting_owned[] = {
    {.what = "transcript items deleted",
     "DELETE FROM transcript_items WHERE session IN"
     " (SELECT key FROM sessions WHERE owner = $1)"},
    {.what = "sessions deleted", "DELETE FROM sessions WHERE owner = $1"},
    {.what = "days of usage deleted", "DELETE FROM usage WHERE owner = $1"},
    {.what = "reservations deleted", "DELETE FROM reservations WHERE owner = $1"},
    {.what = "kept answers deleted", "DELETE FROM idempotency WHERE principal = $1"},
};

/* With a lead go its events and mails. */
static const struct step deleting_sent[] = {
    {.what = "leads deleted", "DELETE FROM leads WHERE lower(email) = lower($1)"},
};

_Static_assert(SB_COUNT(renaming) + SB_COUNT(deleting) + SB_COUNT(deleting_owned) +
                       SB_COUNT(deleting_sent) <=
                   SB_ERASED_MAX,
               "there is room for what each step did");

static enum sb_error run(struct sb_db_conn *tx, const struct step *step,
                         const struct sb_db_value *values, size_t count, struct sb_erased *erased)
{
    int64_t changes = 0;
    enum sb_error error = sb_db_exec(tx, step->sql, values, count, &changes);
    erased->parts[erased->count].what = step->what;
    erased->parts[erased->count++].count = changes;
    return error;
}

static enum sb_error rename_user(struct sb_db_conn *tx, const char *user_id, int64_t now_ms,
                                 struct sb_erased *erased)
{
    char pseudonym[SB_ID_SIZE];
    int64_t unused;
    sb_id_make("erased", now_ms, pseudonym);
    enum sb_error error = sb_db_exec(tx,
                                     "INSERT INTO users (id, name, role, created_at, disabled_at)"
                                     " VALUES ($1, 'Erased', 'user', $2, $2)",
                                     SB_DB_VALUES(SB_DB_TEXT(pseudonym), SB_DB_INT(now_ms)), NULL);
    for (size_t i = 0; error == SB_OK && i < SB_COUNT(renaming); i++)
        error = run(tx, &renaming[i],
                    SB_DB_VALUES(SB_DB_TEXT(user_id), SB_DB_TEXT(pseudonym), SB_DB_INT(now_ms)),
                    erased);
    int64_t renamed = 0;
    for (size_t i = 0; i < erased->count; i++)
        renamed += erased->parts[i].count;
    if (error == SB_OK && renamed == 0)
        error = sb_db_exec(tx, "DELETE FROM users WHERE id = $1",
                           SB_DB_VALUES(SB_DB_TEXT(pseudonym)), &unused);
    return error;
}

static enum sb_error delete_all(struct sb_db_conn *tx, const struct step *steps, size_t count,
                                const char *id, struct sb_erased *erased)
{
    enum sb_error error = SB_OK;
    for (size_t i = 0; error == SB_OK && i < count; i++)
        error = run(tx, &steps[i], SB_DB_VALUES(SB_DB_TEXT(id)), erased);
    return error;
}

enum sb_error sb_persons_erase(struct sb_db_conn *tx, const struct sb_person *person,
                               int64_t now_ms, struct sb_erased *erased)
{
    enum sb_error error = SB_OK;
    *erased = (struct sb_erased){.count = 0};
    if (person->user_id != NULL) {
        error = rename_user(tx, person->user_id, now_ms, erased);
        if (error == SB_OK)
            error = delete_all(tx, deleting, SB_COUNT(deleting), person->user_id, erased);
    }
    if (error == SB_OK && person->owner != NULL)
        error = delete_all(tx, deleting_owned, SB_COUNT(deleting_owned), person->owner, erased);
    if (error == SB_OK && person->email != NULL)
        error = delete_all(tx, deleting_sent, SB_COUNT(deleting_sent), person->email, erased);
    return error;
}
