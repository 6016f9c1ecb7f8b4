#include "store/calls.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../support/store.h"
#include "base/clock.h"
#include "base/ids.h"
#include "store/threads.h"

static struct store store;

static enum sb_error add_people(struct sb_db_conn *tx, void *context)
{
    static const struct {
        const char *user_id;
        enum sb_member_role role;
    } members[] = {{"ada", SB_MEMBER}, {"bob", SB_MEMBER}, {"mod", SB_MODERATOR}};
    (void)context;
    enum sb_error error = sb_threads_add(tx, "t", 1);
    for (size_t i = 0; i < SB_COUNT(members) && error == SB_OK; i++)
        error = sb_threads_set_member(tx, "t", members[i].user_id, members[i].role, 1);
    if (error == SB_OK)
        error = sb_threads_add(tx, "other", 1);
    return error == SB_OK ? sb_threads_set_member(tx, "other", "eve", SB_MODERATOR, 1) : error;
}

static void set_up(void)
{
    store_open(&store);
    store_write(&store, add_people, NULL);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(calls, .init = set_up, .fini = tear_down);

struct act {
    const char *id, *user_id; /* of the thread or of the call */
    struct sb_arena *arena;
    struct sb_call call;
    struct sb_participant participant;
    bool created;
};

static enum sb_error start_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    const struct sb_call_start start = {act->id, act->user_id, SB_CALL_VIDEO};
    return sb_calls_start(tx, act->arena, &start, &act->call, &act->created);
}

static enum sb_error join_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    return sb_calls_join(tx, act->arena, act->id, act->user_id, &act->call, &act->participant);
}

static enum sb_error end_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    return sb_calls_end(tx, act->arena, act->id, act->user_id, &act->call);
}

static enum sb_error run(sb_db_closure_fn *closure, const char *id, const char *user_id,
                         struct act *act)
{
    *act = (struct act){.id = id, .user_id = user_id, .arena = store.arena};
    return sb_db_write(store.db, closure, act, SB_DB_WRITE_DEADLINE_MS);
}

static struct sb_call start(const char *user_id)
{
    struct act act;
    cr_assert_eq(run(start_in, "t", user_id, &act), SB_OK);
    return act.call;
}

static struct sb_participant join(const char *call_id, const char *user_id)
{
    struct act act;
    cr_assert_eq(run(join_in, call_id, user_id, &act), SB_OK);
    return act.participant;
}

static struct sb_call end(const char *call_id, const char *user_id)
{
    struct act act;
    cr_assert_eq(run(end_in, call_id, user_id, &act), SB_OK);
    return act.call;
}

static int64_t events(const char *type)
{
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM call_events WHERE type = '%s'", type);
    return store_number(&store, sql);
}

Test(calls, a_start_makes_an_open_call)
{
    struct act act;
    int64_t before_ms = sb_clock_now_ms();
    cr_assert_eq(run(start_in, "t", "ada", &act), SB_OK);
    cr_expect(act.created);
    cr_expect(sb_id_valid(act.call.id) && strncmp(act.call.id, "call_", 5) == 0);
    cr_expect_str_eq(act.call.thread_id, "t");
    cr_expect_str_eq(act.call.started_by, "ada");
    cr_expect_eq(act.call.kind, SB_CALL_VIDEO);
    cr_expect(act.call.started_at_ms >= before_ms && act.call.started_at_ms <= sb_clock_now_ms());
    cr_expect_eq(act.call.ended_at_ms, 0);
    cr_expect_null(act.call.end_reason);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM calls WHERE ended_at IS NULL"), 1);
    cr_expect_eq(events("started"), 1);
}

Test(calls, a_second_start_gives_the_open_call_and_no_event)
{
    struct sb_call first = start("ada");
    struct act act;
    cr_assert_eq(run(start_in, "t", "bob", &act), SB_OK);
    cr_expect_not(act.created);
    cr_expect_str_eq(act.call.id, first.id);
    cr_expect_str_eq(act.call.room, first.room);
    cr_expect_str_eq(act.call.started_by, "ada");
    cr_expect_eq(act.call.started_at_ms, first.started_at_ms);
    cr_expect_eq(events("started"), 1);
}

Test(calls, a_start_after_the_end_makes_another_call_in_another_room)
{
    struct sb_call first = start("ada");
    end(first.id, "ada");
    struct sb_call second = start("ada");
    cr_expect_str_neq(second.id, first.id);
    cr_expect_str_neq(second.room, first.room);
}

Test(calls, rooms_hold_128_random_bits_and_only_what_jitsi_takes)
{
    struct sb_call first = start("ada");
    cr_expect_eq(strspn(first.room, "abcdefghijklmnopqrstuvwxyz0123456789_-"), strlen(first.room));
    end(first.id, "ada");
    struct sb_call second = start("ada");
    cr_assert(strlen(first.room) == strlen(second.room) && strlen(first.room) > 32);
    cr_expect_str_neq(first.room + strlen(first.room) - 32, second.room + strlen(second.room) - 32);
}

Test(calls, a_stranger_cannot_tell_a_call_or_thread_from_none)
{
    struct act act;
    struct sb_call call = start("ada");
    cr_expect_eq(run(start_in, "t", "eve", &act), SB_E_NOT_FOUND);
    cr_expect_eq(run(start_in, "none", "eve", &act), SB_E_NOT_FOUND);
    cr_expect_eq(run(join_in, call.id, "eve", &act), SB_E_NOT_FOUND);
    cr_expect_eq(run(join_in, "none", "eve", &act), SB_E_NOT_FOUND);
    cr_expect_eq(run(end_in, call.id, "eve", &act), SB_E_NOT_FOUND);
    cr_expect_eq(run(end_in, "none", "eve", &act), SB_E_NOT_FOUND);
}

enum { STARTS = 64 };

Test(calls, starts_at_once_give_one_call)
{
    static struct act acts[STARTS];
    struct store_writing writings[STARTS];
    int turnstile = store_block(&store);
    for (int i = 0; i < STARTS; i++) {
        acts[i] = (struct act){.id = "t", .user_id = "ada", .arena = sb_arena_new(4096)};
        writings[i] =
            (struct store_writing){.store = &store, .closure = start_in, .context = &acts[i]};
        store_writing_start(&writings[i]);
    }
    close(turnstile);
    int created = 0;
    for (int i = 0; i < STARTS; i++) {
        cr_assert_eq(store_writing_end(&writings[i]), SB_OK);
        cr_expect_str_eq(acts[i].call.id, acts[0].call.id);
        created += acts[i].created;
    }
    for (int i = 0; i < STARTS; i++)
        sb_arena_free(acts[i].arena);
    cr_expect_eq(created, 1);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM calls"), 1);
}

Test(calls, a_member_joins_without_moderating)
{
    struct sb_call call = start("ada");
    struct act act;
    cr_assert_eq(run(join_in, call.id, "bob", &act), SB_OK);
    cr_expect_str_eq(act.call.room, call.room);
    cr_expect(strncmp(act.participant.id, "part_", 5) == 0);
    cr_expect_str_eq(act.participant.call_id, call.id);
    cr_expect_str_eq(act.participant.user_id, "bob");
    cr_expect_not(act.participant.moderator);
    cr_expect_geq(act.participant.joined_at_ms, call.started_at_ms);
    cr_expect_eq(events("joined"), 1);
}

Test(calls, the_starter_and_the_threads_moderators_moderate)
{
    struct sb_call call = start("ada");
    cr_expect(join(call.id, "ada").moderator);
    cr_expect(join(call.id, "mod").moderator);
}

Test(calls, joining_again_finds_the_same_participation_and_makes_no_event)
{
    struct sb_call call = start("ada");
    struct sb_participant first = join(call.id, "bob");
    struct sb_participant second = join(call.id, "bob");
    cr_expect_str_eq(second.id, first.id);
    cr_expect_eq(second.joined_at_ms, first.joined_at_ms);
    cr_expect_eq(events("joined"), 1);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM participants"), 1);
}

Test(calls, joining_after_leaving_is_a_new_participation)
{
    struct sb_call call = start("ada");
    struct sb_participant first = join(call.id, "bob");
    store_sql(&store, "UPDATE participants SET left_at = joined_at");
    cr_expect_str_neq(join(call.id, "bob").id, first.id);
    cr_expect_eq(events("joined"), 2);
}

Test(calls, a_call_that_has_ended_cannot_be_joined)
{
    struct act act;
    struct sb_call call = start("ada");
    end(call.id, "ada");
    cr_expect_eq(run(join_in, call.id, "bob", &act), SB_E_GONE);
    cr_expect_eq(events("joined"), 0);
}

Test(calls, the_end_closes_the_call_and_its_participations)
{
    struct sb_call call = start("ada");
    join(call.id, "bob");
    struct sb_call ended = end(call.id, "ada");
    cr_expect_geq(ended.ended_at_ms, call.started_at_ms);
    cr_expect_str_eq(ended.end_reason, "ended");
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM calls WHERE ended_at IS NULL"), 0);
    cr_expect_eq(store_number(&store, "SELECT left_at FROM participants"), ended.ended_at_ms);
    cr_expect_eq(events("ended"), 1);
}

Test(calls, a_second_end_gives_the_same_answer_and_no_event)
{
    struct sb_call call = start("ada");
    struct sb_call first = end(call.id, "ada");
    struct sb_call second = end(call.id, "mod");
    cr_expect_eq(second.ended_at_ms, first.ended_at_ms);
    cr_expect_eq(second.duration_s, first.duration_s);
    cr_expect_str_eq(second.end_reason, first.end_reason);
    cr_expect_eq(events("ended"), 1);
}

Test(calls, the_duration_is_whole_seconds_rounded_down)
{
    struct sb_call call = start("ada");
    store_sql(&store, "UPDATE calls SET started_at = started_at - 61500");
    struct sb_call ended = end(call.id, "ada");
    cr_expect_eq(ended.duration_s, (ended.ended_at_ms - call.started_at_ms + 61500) / 1000);
    cr_expect_geq(ended.duration_s, 61);
    cr_expect_eq(store_number(&store, "SELECT duration_s FROM calls"), ended.duration_s);
}

Test(calls, a_clock_set_back_gives_no_negative_duration)
{
    struct sb_call call = start("ada");
    store_sql(&store, "UPDATE calls SET started_at = started_at + 3600000");
    struct sb_call ended = end(call.id, "ada");
    cr_expect_eq(ended.duration_s, 0);
    cr_expect_eq(ended.ended_at_ms, call.started_at_ms + 3600000);
}

Test(calls, a_plain_member_may_not_end_a_call)
{
    struct act act;
    struct sb_call call = start("ada");
    cr_expect_eq(run(end_in, call.id, "bob", &act), SB_E_FORBIDDEN);
    cr_expect_eq(events("ended"), 0);
    end(call.id, "mod");
    cr_expect_eq(run(end_in, call.id, "bob", &act), SB_E_FORBIDDEN);
}

static enum sb_error insert_second(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx,
                      "INSERT INTO calls (id, thread_id, slot, kind, room, started_by, started_at)"
                      " VALUES ('second', 't', '', 'audio', 'room', 'ada', 1)",
                      SB_DB_NO_VALUES, NULL);
}

Test(calls, the_database_itself_refuses_a_second_open_call)
{
    struct sb_call call = start("ada");
    cr_expect_eq(sb_db_write(store.db, insert_second, NULL, SB_DB_WRITE_DEADLINE_MS),
                 SB_E_CONFLICT);
    end(call.id, "ada");
    cr_expect_eq(sb_db_write(store.db, insert_second, NULL, SB_DB_WRITE_DEADLINE_MS), SB_OK);
}
