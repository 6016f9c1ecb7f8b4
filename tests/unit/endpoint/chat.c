#include "endpoint/chat.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"
#include "../support/script.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "upstream/openai.h"

#define SSE "Content-Type: text/event-stream\r\n"
#define DELTA(text) "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define DONE "data: [DONE]\n\n"
#define EVENTS CALL_PARAMS("HTTP_ACCEPT=text/event-stream")

static struct call_site site;
static struct script model;

/* The question is the query; a second message before it where the test has one. */
static const char *said_before;
static enum sb_voice_role said_by = SB_VOICE_ASSISTANT;
static const char *session_id;

static enum sb_error chat(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    const struct sb_voice_message messages[] = {{said_by, said_before},
                                                {SB_VOICE_USER, request->query}};
    size_t skip = said_before == NULL;
    return sb_chat_answer(request, messages + skip, SB_COUNT(messages) - skip, session_id);
}

static const struct sb_endpoint endpoint = {
    .name = "test",
    .routes = (const struct sb_route[]){{.methods = SB_GET,
                                         .path = "",
                                         .handler = chat,
                                         .access = SB_ACCESS_PUBLIC,
                                         .reply = SB_REPLY_STREAM,
                                         .content_type = "application/json"},
                                        {.handler = NULL}},
    .needs = SB_NEEDS_DB | SB_NEEDS_VOICE | SB_NEEDS_UPSTREAM,
    .workers = 4};

static void setup(void)
{
    char file[4096];
    call_site_prepare(&site);
    setenv("RATE_LIMIT_DEFAULT", "off", 1);
    setenv("RECEPTIONIST_FILE", realpath("etc/receptionist.json", file), 1);
    said_before = session_id = NULL;
}

static void teardown(void)
{
    script_free(&model);
    call_site_close(&site);
}

TestSuite(chat, .init = setup, .fini = teardown, .timeout = 60);

static void tell(const char *stream)
{
    script_add(&model, (struct script_answer){.status = 200, .headers = SSE, .body = stream});
}

/* Opens the site, on which the model thinks. */
static void open_site(void)
{
    char url[64];
    script_start(&model);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", model.port);
    setenv("OPENAI_BASE_URL", url, 1);
    setenv("OPENAI_API_KEY", "sk-key-of-the-tests", 1);
    call_site_open(&site, &endpoint);
}

static const struct call_answer *ask_as(struct call_site *on, const char *question,
                                        const char *const *params)
{
    return call_send(on,
                     &(struct call){.target = sb_arena_printf(on->memory, "/api/test?%s", question),
                                    .params = params});
}

static const struct call_answer *ask(const char *question)
{
    return ask_as(&site, question, CALL_PARAMS("X=y"));
}

static const struct call_answer *ask_events(const char *question)
{
    return ask_as(&site, question, EVENTS);
}

static uint64_t counted(const char *outcome)
{
    char labels[64];
    snprintf(labels, sizeof labels, "outcome=\"%s\"", outcome);
    return sb_metrics_value(SB_METRIC_CHAT_CACHE, labels);
}

static void expect_error(const struct call_answer *answer, int status, const char *code)
{
    cr_expect_eq(answer->status, status, "%d %s", answer->status, answer->body);
    cr_expect_str_eq(call_text(answer, "error.code"), code, "%s", answer->body);
}

/* --- The model --- */

Test(chat, the_model_is_told_who_it_is_and_what_was_said)
{
    said_before = "How can I help?";
    session_id = "s1";
    tell(DELTA("We open ") DELTA("at nine.") DONE);
    open_site();
    const struct call_answer *answer = ask("open");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_expect_str_eq(call_header(answer, "Content-Type"), "application/json");
    cr_expect(json_is_true(call_json(answer, "success")));
    cr_expect_str_eq(call_text(answer, "reply"), "We open at nine.");
    cr_expect_str_eq(call_text(answer, "engine"), "openai");
    cr_expect_str_eq(call_text(answer, "sessionId"), "s1");
    cr_expect(json_is_false(call_json(answer, "cached")));
    cr_expect_str_eq(call_text(answer, "traceId"), call_header(answer, "X-Trace-Id"));
    json_t *body = json_loads(model.bodies[0], 0, NULL);
    const json_t *messages = json_object_get(body, "messages");
    static const char *const expected[][2] = {{"system", "receptionist of Harbour Dental"},
                                              {"assistant", "How can I help?"},
                                              {"user", "open"}};
    cr_assert_eq(json_array_size(messages), SB_COUNT(expected));
    for (size_t i = 0; i < SB_COUNT(expected); i++) {
        const json_t *message = json_array_get(messages, i);
        cr_expect_str_eq(json_string_value(json_object_get(message, "role")), expected[i][0]);
        cr_expect_not_null(
            strstr(json_string_value(json_object_get(message, "content")), expected[i][1]));
    }
    cr_expect_str_eq(
        json_string_value(json_object_get(body, "safety_identifier")),
        sb_openai_safety_identifier(site.memory, site.runtime.config, "address:" CALL_ADDRESS));
    cr_expect_null(strstr(model.bodies[0], CALL_ADDRESS));
    json_decref(body);
}

Test(chat, events_tell_the_reply_in_pieces_and_then_as_a_whole)
{
    tell(DELTA("We \\\"open\\\" ") DELTA("at nine.") DONE);
    open_site();
    const struct call_answer *answer = ask_events("open");
    cr_expect_eq(answer->status, 200);
    cr_expect_str_eq(call_header(answer, "Content-Type"), "text/event-stream");
    const char *expected = "event: delta\ndata: {\"text\":\"We \\\"open\\\" \"}\n\n"
                           "event: delta\ndata: {\"text\":\"at nine.\"}\n\n"
                           "event: done\ndata: {\"reply\":\"We \\\"open\\\" at nine.\","
                           "\"engine\":\"openai\",\"cached\":false,\"traceId\":\"";
    cr_expect_eq(strncmp(answer->body, expected, strlen(expected)), 0, "%s", answer->body);
}

Test(chat, without_a_key_the_receptionist_answers_itself)
{
    call_site_open(&site, &endpoint);
    const struct call_answer *answer = ask("parking");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_expect_str_eq(call_text(answer, "engine"), "local");
    cr_expect_str_eq(call_text(answer, "reply"), "Yes, there is free parking behind the building.");
    cr_expect_null(call_json(answer, "sessionId"));
}

Test(chat, the_receptionist_needs_nothing_that_only_a_model_needs)
{
    base_file_write(call_path(&site, "ca.pem"), "no certificate\n");
    setenv("UPSTREAM_CA_FILE", call_path(&site, "ca.pem"), 1);
    setenv("VOICE_THINKING", "local", 1);
    call_site_open(&site, &endpoint);
    cr_expect_eq(ask("parking")->status, 200);
}

/* --- What goes wrong --- */

/* The answers of a model that has failed for good, or of one that fails each try. */
static void fail_so(struct script_answer answer, enum script_end end)
{
    for (int i = 0; i < 3; i++)
        script_break(&model, answer, end);
    open_site();
}

static void fail(struct script_answer answer)
{
    fail_so(answer, SCRIPT_WHOLE);
}

Test(chat, a_model_that_refuses_is_an_upstream_error)
{
    fail((struct script_answer){.status = 401, .headers = "", .body = "{}"});
    expect_error(ask("open"), 502, "upstream_error");
    expect_error(ask_events("open"), 502, "upstream_error");
    cr_expect(call_file_has(&site, "log/switchboard.log", "\"variable\":\"OPENAI_API_KEY\""));
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM chat_cache"), 0);
}

Test(chat, a_model_that_is_not_there_is_an_upstream_error)
{
    setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1", 1);
    setenv("OPENAI_API_KEY", "sk-key-of-the-tests", 1);
    call_site_open(&site, &endpoint);
    expect_error(ask("open"), 502, "upstream_error");
}

Test(chat, a_model_that_is_silent_is_a_timeout)
{
    setenv("VOICE_TIMEOUT", "1", 1);
    fail_so((struct script_answer){200, SSE, ""}, SCRIPT_STUCK);
    expect_error(ask("open"), 504, "upstream_timeout");
}

Test(chat, a_model_that_says_nothing_is_an_upstream_error)
{
    fail((struct script_answer){.status = 200, .headers = SSE, .body = DONE});
    expect_error(ask("open"), 502, "upstream_error");
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM chat_cache"), 0);
}

Test(chat, what_is_no_stream_is_an_upstream_error)
{
    fail((struct script_answer){
        .status = 200, .headers = "Content-Type: text/html\r\n", .body = "<html>"});
    expect_error(ask("open"), 502, "upstream_error");
}

Test(chat, a_reply_that_breaks_off_is_an_error_and_not_kept)
{
    fail_so((struct script_answer){200, SSE, DELTA("We open")}, SCRIPT_CUT);
    expect_error(ask("open"), 502, "upstream_error");
    const struct call_answer *answer = ask_events("open");
    cr_expect_eq(answer->status, 200);
    const char *error =
        strstr(answer->body, "event: error\ndata: {\"error\":{\"code\":\"upstream_error\",");
    cr_assert_not_null(error, "%s", answer->body);
    cr_expect_not_null(strstr(error, "\"message\":\""));
    cr_expect_not_null(strstr(error, "\"traceId\":\""));
    cr_expect_eq(strncmp(answer->body, "event: delta\n", 13), 0);
    cr_expect_null(strstr(answer->body, "event: done"));
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM chat_cache"), 0);
}

Test(chat, a_receptionist_that_cannot_be_read_is_a_misconfiguration)
{
    setenv("RECEPTIONIST_FILE", "/nonexistent.json", 1);
    call_site_open(&site, &endpoint);
    expect_error(ask("open"), 503, "misconfigured");
}

Test(chat, a_client_that_goes_ends_the_stream_and_its_reply_is_not_kept)
{
    tell(DELTA("We open ") DELTA("at nine.") DONE);
    open_site();
    const struct call_answer *answer = call_send(
        &site, &(struct call){.target = "/api/test?open", .params = EVENTS, .output_max = 1});
    cr_expect_eq(answer->status, 0);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM chat_cache"), 0);
    tell(DELTA("We open at ten.") DONE);
    cr_expect_str_eq(call_text(ask("open"), "reply"), "We open at ten.", "a flight was left");
}

/* --- The cache --- */

Test(chat, what_was_answered_is_not_asked_again)
{
    tell(DELTA("We open ") DELTA("at nine.") DONE);
    open_site();
    const struct call_answer *answer = ask("open");
    cr_expect(json_is_false(call_json(answer, "cached")));
    answer = ask("open");
    cr_expect(json_is_true(call_json(answer, "cached")));
    cr_expect_str_eq(call_text(answer, "reply"), "We open at nine.");
    answer = ask_events("open");
    static const char whole[] =
        "event: delta\ndata: {\"text\":\"We open at nine.\"}\n\nevent: done\n";
    cr_expect_eq(strncmp(answer->body, whole, sizeof whole - 1), 0, "%s", answer->body);
    cr_expect_not_null(strstr(answer->body, "\"cached\":true"));
    cr_expect_eq(model.request_count, 1);
    cr_expect_eq(counted("miss"), 1);
    cr_expect_eq(counted("hit"), 2);
    cr_expect_eq(counted("shared"), 0);
}

Test(chat, another_question_role_or_beginning_is_another_entry)
{
    for (int i = 0; i < 5; i++)
        tell(DELTA("Yes.") DONE);
    open_site();
    ask("a");
    ask("b");
    said_before = "a";
    ask("b");
    ask("a");
    said_by = SB_VOICE_USER;
    ask("a");
    cr_expect_eq(model.request_count, 5);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM chat_cache"), 5);
}

/* The same site with a variable changed. */
static void reopen_with(const char *name, const char *value)
{
    sb_worker_close(&site.worker);
    sb_runtime_close(&site.runtime);
    setenv(name, value, 1);
    call_site_open(&site, &endpoint);
}

Test(chat, another_model_or_length_of_reply_is_another_entry)
{
    for (int i = 0; i < 3; i++)
        tell(DELTA("Yes.") DONE);
    open_site();
    ask("a");
    reopen_with("OPENAI_CHAT_MODEL", "another-one");
    ask("a");
    reopen_with("REPLY_TOKENS_MAX", "77");
    ask("a");
    cr_expect_eq(model.request_count, 3);
    ask("a");
    cr_expect_eq(model.request_count, 3);
}

Test(chat, an_entry_lives_for_its_time)
{
    setenv("CHAT_CACHE_TTL", "100", 1);
    tell(DELTA("Yes.") DONE);
    open_site();
    int64_t before_ms = sb_clock_now_ms();
    ask("a");
    int64_t expires_ms = call_count(&site, "SELECT expires_at FROM chat_cache");
    cr_expect_geq(expires_ms, before_ms + 100000);
    cr_expect_leq(expires_ms, sb_clock_now_ms() + 100000);
}

Test(chat, where_the_cache_is_off_each_is_asked)
{
    setenv("ENABLE_CACHE", "false", 1);
    tell(DELTA("One.") DONE);
    tell(DELTA("Two.") DONE);
    open_site();
    ask("a");
    cr_expect_str_eq(call_text(ask("a"), "reply"), "Two.");
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM chat_cache"), 0);
    cr_expect_eq(counted("miss"), 0);
}

static enum sb_error drop_cache(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx, "DROP TABLE chat_cache", SB_DB_NO_VALUES, NULL);
}

Test(chat, a_cache_that_fails_is_none)
{
    tell(DELTA("One.") DONE);
    tell(DELTA("Two.") DONE);
    open_site();
    call_write(&site, drop_cache, NULL);
    cr_expect_str_eq(call_text(ask("a"), "reply"), "One.");
    cr_expect_str_eq(call_text(ask("a"), "reply"), "Two.");
    cr_expect(call_file_has(&site, "log/switchboard.log", "\"chat.not_cached\""));
}

/* --- Several at once --- */

/* Another client of the site, in a thread of its own. */
struct client {
    struct call_site site;
    const char *const *params;
    size_t output_max;
    const struct call_answer *answer;
    pthread_t thread;
};

static void *client_main(void *context)
{
    struct client *client = context;
    client->answer = call_send(&client->site, &(struct call){.target = "/api/test?open",
                                                             .params = client->params,
                                                             .output_max = client->output_max});
    return NULL;
}

static void client_start(struct client *client)
{
    client->site = (struct call_site){.memory = sb_arena_new(64 * 1024 * 1024)};
    cr_assert(sb_worker_open(&client->site.worker, &site.runtime));
    cr_assert_eq(pthread_create(&client->thread, NULL, client_main, client), 0);
}

static void client_end(struct client *client)
{
    pthread_join(client->thread, NULL);
}

static void client_free(struct client *client)
{
    for (struct call_answer *answer = client->site.answers; answer != NULL; answer = answer->next)
        json_decref(answer->json);
    sb_worker_close(&client->site.worker);
    sb_arena_free(client->site.memory);
}

/* A model that answers only when it is let go. */
static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int asked;
    bool open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};

static bool answer_when_open(struct peer_exchange *exchange, void *context)
{
    (void)context;
    pthread_mutex_lock(&gate.lock);
    gate.asked++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    return peer_reply(exchange, 200, SSE, DELTA("We open at nine.") DONE);
}

static void wait_until_asked(int times)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.asked < times)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void open_gated_site(void)
{
    char url[64];
    model.peer = peer_start(answer_when_open, NULL, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", peer_port(model.peer));
    setenv("OPENAI_BASE_URL", url, 1);
    setenv("OPENAI_API_KEY", "sk-key-of-the-tests", 1);
    call_site_open(&site, &endpoint);
}

/* That the second one is late, and finds the reply in the cache, changes nothing it can see. */
Test(chat, who_asks_the_same_at_the_same_time_shares_the_reply)
{
    struct client first = {.params = CALL_PARAMS("X=y")}, second = {.params = EVENTS};
    open_gated_site();
    client_start(&first);
    wait_until_asked(1);
    client_start(&second);
    open_gate();
    client_end(&first);
    client_end(&second);
    cr_expect_str_eq(call_text(first.answer, "reply"), "We open at nine.");
    cr_expect(json_is_false(call_json(first.answer, "cached")));
    cr_expect_not_null(strstr(second.answer->body, "\"reply\":\"We open at nine.\""));
    cr_expect_not_null(strstr(second.answer->body, "\"cached\":true"));
    cr_expect_eq(peer_requests(model.peer), 1);
    cr_expect_eq(counted("shared") + counted("hit"), 1);
    client_free(&first);
    client_free(&second);
}

Test(chat, who_follows_gives_up_when_its_client_goes)
{
    struct client first = {.params = CALL_PARAMS("X=y")};
    open_gated_site();
    client_start(&first);
    wait_until_asked(1);
    /* The first comment is more than this client takes. */
    const struct call_answer *answer = call_send(
        &site, &(struct call){.target = "/api/test?open", .params = EVENTS, .output_max = 1});
    cr_expect_eq(answer->status, 0);
    cr_expect_eq(peer_requests(model.peer), 1);
    open_gate();
    client_end(&first);
    cr_expect_str_eq(call_text(first.answer, "reply"), "We open at nine.");
    client_free(&first);
}

Test(chat, where_the_first_one_goes_another_one_asks)
{
    struct client first = {.params = EVENTS, .output_max = 1}, second = {.params = EVENTS};
    open_gated_site();
    client_start(&first);
    wait_until_asked(1);
    client_start(&second);
    client_end(&first); /* its client goes at the first comment */
    wait_until_asked(2);
    open_gate();
    client_end(&second);
    cr_expect_not_null(strstr(second.answer->body, "\"reply\":\"We open at nine.\""));
    cr_expect_not_null(strstr(second.answer->body, "\"cached\":false"));
    cr_expect_eq(peer_requests(model.peer), 2);
    client_free(&first);
    client_free(&second);
}

Test(chat, who_waits_too_long_for_another_one_times_out)
{
    setenv("VOICE_TIMEOUT", "1", 1);
    struct client first = {.params = CALL_PARAMS("X=y")};
    open_gated_site();
    client_start(&first);
    wait_until_asked(1);
    expect_error(ask("open"), 504, "upstream_timeout");
    client_end(&first);
    expect_error(first.answer, 504, "upstream_timeout");
    open_gate();
    client_free(&first);
}
