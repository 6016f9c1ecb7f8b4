#include "store/calls.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/ids.h"
#include "store/row.h"
#include "store/threads.h"

const char *const sb_call_kind_names[] = {
    [SB_CALL_AUDIO] = "audio", [SB_CALL_VIDEO] = "video", NULL};

#define CALL_COLUMNS                                                                               \
    "c.id, c.thread_id, c.started_by, c.room, c.kind, c.started_at, c.ended_at, c.duration_s,"     \
    " c.end_reason"

enum { ROOM_RANDOM_BYTES = 16, ROOM_SIZE = 12 + 1 + 2 * ROOM_RANDOM_BYTES + 1 };

static const char end_reason[] = "ended";

struct found {
    struct sb_arena *arena;
    struct sb_call call;
    int role; /* enum sb_member_role of the user asked for; -1: not asked */
    bool found;
};

static enum sb_error found_call(const struct sb_db_row *row, void *context)
{
    struct found *found = context;
    struct sb_call *call = &found->call;
    int kind = sb_row_name(row, 4, sb_call_kind_names);
    bool copied = sb_row_dup(row, 0, found->arena, &call->id) &&
                  sb_row_dup(row, 1, found->arena, &call->thread_id) &&
                  sb_row_dup(row, 2, found->arena, &call->started_by) &&
                  sb_row_dup(row, 3, found->arena, &call->room) &&
                  sb_row_dup(row, 8, found->arena, &call->end_reason);
    if (!copied || kind < 0)
        return SB_E_INTERNAL;
    call->kind = kind;
    call->started_at_ms = sb_db_row_int(row, 5);
    call->ended_at_ms = sb_db_row_int(row, 6);
    call->duration_s = sb_db_row_null(row, 7) ? -1 : sb_db_row_int(row, 7);
    found->found = true;
    return SB_OK;
}

static enum sb_error found_call_and_role(const struct sb_db_row *row, void *context)
{
    struct found *found = context;
    found->role = sb_row_name(row, 9, sb_member_role_names);
    return found->role < 0 ? SB_E_INTERNAL : found_call(row, context);
}

static enum sb_error find_open(struct sb_db_conn *tx, struct found *found, const char *thread_id)
{
    enum sb_error error = sb_db_query(
        tx, "SELECT " CALL_COLUMNS " FROM calls c WHERE c.thread_id = $1 AND c.slot = ''",
        SB_DB_VALUES(SB_DB_TEXT(thread_id)), found_call, found);
    return error == SB_OK && !found->found ? SB_E_INTERNAL : error;
}

/* The call if user_id is a member of its thread, so that a stranger learns nothing. */
static enum sb_error find_for(struct sb_db_conn *tx, struct found *found, const char *call_id,
                              const char *user_id)
{
    enum sb_error error = sb_db_query(
        tx,
        "SELECT " CALL_COLUMNS ", m.role FROM calls c"
        " JOIN thread_members m ON m.thread_id = c.thread_id AND m.user_id = $2"
        " WHERE c.id = $1",
        SB_DB_VALUES(SB_DB_TEXT(call_id), SB_DB_TEXT(user_id)), found_call_and_role, found);
    return error == SB_OK && !found->found ? SB_E_NOT_FOUND : error;
}

static bool moderates(const struct found *found, const char *user_id)
{
    return found->role == SB_MODERATOR || strcmp(found->call.started_by, user_id) == 0;
}

static enum sb_error add_event(struct sb_db_conn *tx, const struct sb_call *call, const char *type,
                               const char *user_id, int64_t at_ms)
{
    return sb_db_exec(tx,
                      "INSERT INTO call_events (thread_id, call_id, type, user_id, at)"
                      " VALUES ($1, $2, $3, $4, $5)",
                      SB_DB_VALUES(SB_DB_TEXT(call->thread_id), SB_DB_TEXT(call->id),
                                   SB_DB_TEXT(type), SB_DB_TEXT(user_id), SB_DB_INT(at_ms)),
                      NULL);
}

/* 128 random bits, which nobody guesses, behind the time, which keeps the unique index on rooms
 * growing at its end. */
static void make_room(int64_t now_ms, char room[static ROOM_SIZE])
{
    unsigned char random[ROOM_RANDOM_BYTES];
    char text[2 * sizeof random + 1];
    sb_random(random, sizeof random);
    sb_hex(random, sizeof random, text);
    snprintf(room, ROOM_SIZE, "%012" PRIx64 "-%s", (uint64_t)now_ms & 0xffffffffffff, text);
}

/* A call that starts now, in arena. */
static enum sb_error make_call(struct sb_arena *arena, const struct sb_call_start *start,
                               struct sb_call *call)
{
    char id[SB_ID_SIZE], room[ROOM_SIZE];
    int64_t now_ms = sb_clock_now_ms();
    sb_id_make("call", now_ms, id);
    make_room(now_ms, room);
    *call = (struct sb_call){.id = sb_arena_strdup(arena, id),
                             .thread_id = sb_arena_strdup(arena, start->thread_id),
                             .started_by = sb_arena_strdup(arena, start->user_id),
                             .room = sb_arena_strdup(arena, room),
                             .kind = start->kind,
                             .started_at_ms = now_ms,
                             .duration_s = -1};
    bool made = call->id != NULL && call->thread_id != NULL && call->started_by != NULL &&
                call->room != NULL;
    return made ? SB_OK : SB_E_INTERNAL;
}

/* Inserts call unless its thread has an open one; the key decides. */
static enum sb_error insert_call(struct sb_db_conn *tx, const struct sb_call *call, bool *inserted)
{
    int64_t changes;
    enum sb_error error =
        sb_db_exec(tx,
                   "INSERT INTO calls (id, thread_id, slot, kind, room, started_by, started_at)"
                   " VALUES ($1, $2, '', $3, $4, $5, $6)"
                   " ON CONFLICT (thread_id, slot) DO NOTHING",
                   SB_DB_VALUES(SB_DB_TEXT(call->id), SB_DB_TEXT(call->thread_id),
                                SB_DB_TEXT(sb_call_kind_names[call->kind]), SB_DB_TEXT(call->room),
                                SB_DB_TEXT(call->started_by), SB_DB_INT(call->started_at_ms)),
                   &changes);
    if (error == SB_OK)
        *inserted = changes > 0;
    return error;
}

enum sb_error sb_calls_start(struct sb_db_conn *tx, struct sb_arena *arena,
                             const struct sb_call_start *start, struct sb_call *call, bool *created)
{
    enum sb_member_role role;
    struct found found = {.arena = arena, .role = -1};
    bool inserted = false;
    enum sb_error error = sb_threads_member(tx, start->thread_id, start->user_id, &role);
    if (error == SB_OK)
        error = make_call(arena, start, &found.call);
    if (error == SB_OK)
        error = insert_call(tx, &found.call, &inserted);
    if (error == SB_OK && inserted)
        error = add_event(tx, &found.call, "started", start->user_id, found.call.started_at_ms);
    else if (error == SB_OK)
        error = find_open(tx, &found, start->thread_id);
    if (error != SB_OK)
        return error;
    *call = found.call;
    *created = inserted;
    return SB_OK;
}

struct joined {
    struct sb_arena *arena;
    struct sb_participant participant;
};

static enum sb_error found_participant(const struct sb_db_row *row, void *context)
{
    struct joined *joined = context;
    joined->participant.joined_at_ms = sb_db_row_int(row, 1);
    return sb_row_dup(row, 0, joined->arena, &joined->participant.id) ? SB_OK : SB_E_INTERNAL;
}

/* A new participation, or the open one, which was seen now. */
static enum sb_error insert_participant(struct sb_db_conn *tx, struct joined *joined,
                                        const char *new_id, int64_t now_ms)
{
    const struct sb_participant *participant = &joined->participant;
    return sb_db_query(
        tx,
        "INSERT INTO participants"
        " (call_id, id, user_id, moderator, joined_at, last_seen_at)"
        " VALUES ($1, $2, $3, $4, $5, $5)"
        " ON CONFLICT (call_id, user_id) WHERE left_at IS NULL"
        " DO UPDATE SET moderator = excluded.moderator, last_seen_at = excluded.last_seen_at"
        " RETURNING id, joined_at",
        SB_DB_VALUES(SB_DB_TEXT(participant->call_id), SB_DB_TEXT(new_id),
                     SB_DB_TEXT(participant->user_id), SB_DB_INT(participant->moderator),
                     SB_DB_INT(now_ms)),
        found_participant, joined);
}

enum sb_error sb_calls_join(struct sb_db_conn *tx, struct sb_arena *arena, const char *call_id,
                            const char *user_id, struct sb_call *call,
                            struct sb_participant *participant)
{
    struct found found = {.arena = arena, .role = -1};
    enum sb_error error = find_for(tx, &found, call_id, user_id);
    if (error != SB_OK)
        return error;
    if (found.call.ended_at_ms != 0)
        return SB_E_GONE;
    struct joined joined = {.arena = arena};
    joined.participant.call_id = found.call.id;
    joined.participant.user_id = sb_arena_strdup(arena, user_id);
    joined.participant.moderator = moderates(&found, user_id);
    if (joined.participant.user_id == NULL)
        return SB_E_INTERNAL;
    char new_id[SB_ID_SIZE];
    int64_t now_ms = sb_clock_now_ms();
    sb_id_make("part", now_ms, new_id);
    error = insert_participant(tx, &joined, new_id, now_ms);
    if (error == SB_OK && strcmp(joined.participant.id, new_id) == 0)
        error = add_event(tx, &found.call, "joined", user_id, now_ms);
    if (error != SB_OK)
        return error;
    *call = found.call;
    *participant = joined.participant;
    return SB_OK;
}

/* Ends the open call and its open participations. */
static enum sb_error close_call(struct sb_db_conn *tx, struct sb_call *call, const char *user_id)
{
    int64_t now_ms = sb_clock_now_ms();
    call->ended_at_ms = now_ms > call->started_at_ms ? now_ms : call->started_at_ms;
    call->duration_s = (call->ended_at_ms - call->started_at_ms) / 1000;
    call->end_reason = end_reason;
    enum sb_error error =
        sb_db_exec(tx,
                   "UPDATE calls SET slot = id, ended_at = $2, duration_s = $3, end_reason = $4"
                   " WHERE id = $1",
                   SB_DB_VALUES(SB_DB_TEXT(call->id), SB_DB_INT(call->ended_at_ms),
                                SB_DB_INT(call->duration_s), SB_DB_TEXT(call->end_reason)),
                   NULL);
    if (error == SB_OK)
        error = sb_db_exec(
            tx, "UPDATE participants SET left_at = $2 WHERE call_id = $1 AND left_at IS NULL",
            SB_DB_VALUES(SB_DB_TEXT(call->id), SB_DB_INT(call->ended_at_ms)), NULL);
    if (error == SB_OK)
        error = add_event(tx, call, "ended", user_id, call->ended_at_ms);
    return error;
}

enum sb_error sb_calls_end(struct sb_db_conn *tx, struct sb_arena *arena, const char *call_id,
                           const char *user_id, struct sb_call *call)
{
    struct found found = {.arena = arena, .role = -1};
    enum sb_error error = find_for(tx, &found, call_id, user_id);
    if (error != SB_OK)
        return error;
    if (!moderates(&found, user_id))
        return SB_E_FORBIDDEN;
    if (found.call.ended_at_ms == 0)
        error = close_call(tx, &found.call, user_id);
    if (error == SB_OK)
        *call = found.call;
    return error;
}
