#include "endpoint/voice_session.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"

static const char *session_id;
static void (*turn)(struct sb_request *request, struct sb_voice_session *session);
static bool was_open;

/* Opens session_id, and has the test do what it does. */
static enum sb_error take_turn(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    struct sb_voice_session session;
    enum sb_error error = sb_voice_session_find(request, SB_SESSION_VOICE, session_id, &session);
    was_open = error == SB_OK;
    if (error == SB_OK && turn != NULL)
        turn(request, &session);
    return error;
}

static const struct sb_endpoint endpoint = {
    .name = "test",
    .routes =
        (const struct sb_route[]){
            {.methods = SB_POST, .path = "", .handler = take_turn, .access = SB_ACCESS_USER},
            {.handler = NULL}},
    .needs = SB_NEEDS_DB};

static struct call_site site;

static void set_up(const char *enabled)
{
    call_site_prepare(&site);
    setenv("ENABLE_SESSIONS", enabled, 1);
    setenv("RATE_LIMIT_DEFAULT", "off", 1);
    call_site_open(&site, &endpoint);
    session_id = "s1";
    turn = NULL;
}

static void setup(void)
{
    set_up("true");
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(voice_session, .init = setup, .fini = teardown);

static const struct call_answer *post_as(const char *user_id)
{
    return call_send(&site, &(struct call){.target = "/api/test",
                                           .method = "POST",
                                           .token = call_token(&site, user_id)});
}

static const struct call_answer *take(void (*what)(struct sb_request *, struct sb_voice_session *))
{
    turn = what;
    return post_as("ada");
}

static int64_t count(const char *what)
{
    return call_count(&site, sb_arena_printf(site.memory, "SELECT count(*) FROM %s", what));
}

static void expect_none(struct sb_request *request, struct sb_voice_session *session)
{
    (void)request;
    cr_expect_null(session->id);
    cr_expect_null(session->owner);
    cr_expect_eq(session->before.count, 0);
}

static void expect_new(struct sb_request *request, struct sb_voice_session *session)
{
    (void)request;
    cr_expect_str_eq(session->id, "s1");
    cr_expect_str_eq(session->owner, "user:ada");
    cr_expect_eq(session->before.count, 0);
}

Test(voice_session, a_turn_of_none_opens_and_keeps_nothing)
{
    session_id = NULL;
    cr_expect_eq(take(expect_none)->status, 200);
    cr_expect(was_open);
    cr_expect_eq(count("sessions"), 0);
}

static void keep_a_turn(struct sb_request *request, struct sb_voice_session *session)
{
    sb_voice_session_keep(request, session, "When do you open?", "At nine.", false);
}

Test(voice_session, a_turn_of_none_is_not_kept)
{
    session_id = NULL;
    take(keep_a_turn);
    cr_expect_eq(count("transcript_items"), 0);
    cr_expect_not(call_file_has(&site, "log/switchboard.log", "voice.not_kept"));
}

Test(voice_session, a_new_one_is_made_of_the_kind_voice_with_the_first_turn_that_is_kept)
{
    cr_expect_eq(take(expect_new)->status, 200);
    cr_expect(was_open);
    cr_expect_eq(count("sessions"), 0, "nobody has said anything yet");
    take(keep_a_turn);
    cr_expect_eq(count("sessions WHERE id = 's1' AND owner = 'user:ada' AND kind = 'voice'"), 1);
    take(keep_a_turn);
    cr_expect_eq(count("sessions"), 1);
    cr_expect_eq(count("transcript_items"), 4);
}

static void setup_off(void)
{
    set_up("false");
}

TestSuite(voice_session_off, .init = setup_off, .fini = teardown);

Test(voice_session_off, a_turn_is_of_none_and_not_kept)
{
    cr_expect_eq(take(expect_none)->status, 200);
    take(keep_a_turn);
    cr_expect_eq(count("sessions") + count("transcript_items"), 0);
}

static enum sb_error make_realtime(struct sb_db_conn *tx, void *context)
{
    bool created;
    struct sb_session session = {.id = "s1", .kind = SB_SESSION_REALTIME, .created_at_ms = 1};
    return sb_sessions_open(tx, context, "user:ada", &session, &created);
}

Test(voice_session, one_of_another_kind_is_a_conflict)
{
    call_write(&site, make_realtime, site.memory);
    const struct call_answer *answer = take(expect_new);
    cr_expect_eq(answer->status, 409);
    cr_expect_str_eq(call_text(answer, "error.message"), "The session is of another kind.");
    cr_expect_not(was_open);
}

static void expect_nothing_before(struct sb_request *request, struct sb_voice_session *session)
{
    (void)request;
    cr_expect_str_eq(session->owner, "user:eve");
    cr_expect(session->is_new);
    cr_expect_eq(session->before.count, 0);
}

Test(voice_session, another_ones_is_not_found_out_about)
{
    take(keep_a_turn);
    turn = expect_nothing_before;
    cr_expect_eq(post_as("eve")->status, 200);
    turn = keep_a_turn;
    cr_expect_eq(post_as("eve")->status, 200);
    cr_expect_eq(count("sessions"), 2, "eve has one of her own");
    cr_expect_eq(count("transcript_items"), 4);
}

static void expect_messages(struct sb_request *request, struct sb_voice_session *session)
{
    static const struct sb_voice_message expected[] = {{SB_VOICE_SYSTEM, "You are N."},
                                                       {SB_VOICE_USER, "When do you open?"},
                                                       {SB_VOICE_ASSISTANT, "At nine."},
                                                       {SB_VOICE_USER, "And on Sunday?"}};
    size_t got;
    const struct sb_voice_message *messages =
        sb_voice_session_messages(request, session, "You are N.", "And on Sunday?", &got);
    cr_assert_not_null(messages);
    cr_assert_eq(got, SB_COUNT(expected));
    for (size_t i = 0; i < got; i++) {
        cr_expect_eq(messages[i].role, expected[i].role, "%zu", i);
        cr_expect_str_eq(messages[i].text, expected[i].text);
    }
}

Test(voice_session, what_was_said_before_is_told_in_order)
{
    take(keep_a_turn);
    cr_expect_eq(take(expect_messages)->status, 200);
}

static int turns;

static void keep_a_numbered_turn(struct sb_request *request, struct sb_voice_session *session)
{
    const char *number = sb_arena_printf(request->arena, "%d", ++turns);
    sb_voice_session_keep(request, session, number, "yes", false);
}

static void expect_the_last(struct sb_request *request, struct sb_voice_session *session)
{
    size_t got;
    const struct sb_voice_message *messages =
        sb_voice_session_messages(request, session, "You are N.", "now", &got);
    cr_assert_eq(got, SB_VOICE_ITEMS_MAX + 2);
    cr_expect_str_eq(messages[1].text, "3");
    cr_expect_str_eq(messages[got - 3].text, "8");
    cr_expect_str_eq(messages[got - 2].text, "yes");
    cr_expect_str_eq(messages[got - 1].text, "now");
}

Test(voice_session, no_more_than_the_last_of_it_are_told)
{
    for (int i = 0; i < 8; i++)
        take(keep_a_numbered_turn);
    cr_expect_eq(take(expect_the_last)->status, 200);
}

Test(voice_session, a_whole_turn_is_kept_as_two_items)
{
    take(keep_a_turn);
    cr_expect_eq(count("transcript_items WHERE role = 'user' AND text = 'When do you open?' AND "
                       "interrupted = 0 AND id LIKE 'item_%'"),
                 1);
    cr_expect_eq(count("transcript_items WHERE role = 'assistant' AND text = 'At nine.' AND "
                       "interrupted = 0"),
                 1);
}

static void keep_an_interrupted_turn(struct sb_request *request, struct sb_voice_session *session)
{
    sb_voice_session_keep(request, session, "When do you open?", "At ni", true);
}

Test(voice_session, a_reply_that_broke_off_is_marked)
{
    take(keep_an_interrupted_turn);
    cr_expect_eq(count("transcript_items WHERE text = 'At ni' AND interrupted = 1"), 1);
    cr_expect_eq(count("transcript_items WHERE role = 'user' AND interrupted = 0"), 1);
}

static void keep_what_was_said(struct sb_request *request, struct sb_voice_session *session)
{
    sb_voice_session_keep(request, session, "When do you open?", "", true);
}

Test(voice_session, without_a_reply_what_was_said_is_kept)
{
    take(keep_what_was_said);
    cr_expect_eq(count("transcript_items"), 1);
    cr_expect_eq(count("transcript_items WHERE role = 'user'"), 1);
}

static enum sb_error remove_session(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_sessions_remove(tx, "user:ada", "s1");
}

static void keep_what_is_removed(struct sb_request *request, struct sb_voice_session *session)
{
    call_write(&site, remove_session, NULL);
    keep_a_turn(request, session);
}

Test(voice_session, one_that_is_deleted_while_somebody_speaks_stays_so)
{
    take(keep_a_turn);
    cr_expect_eq(take(keep_what_is_removed)->status, 200);
    cr_expect(call_file_has(&site, "log/switchboard.log", "\"voice.not_kept\""));
    cr_expect(call_file_has(&site, "log/switchboard.log", "\"code\":\"not_found\""));
    cr_expect_eq(count("transcript_items"), 0);
    cr_expect_eq(count("sessions"), 0);
}
