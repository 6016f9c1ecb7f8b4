#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"
#include "base/clock.h"
#include "store/idempotency.h"

struct input {
    const char *id, *name;
};

struct output {
    const char *name;
    int64_t number;
    bool created;
};

static const struct sb_field input_fields[] = {
    SB_STRING(struct input, name, "name", 1, 20, SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field path_fields[] = {
    SB_ID(struct input, id, "id", SB_REQUIRED),
    SB_STRING(struct input, name, "name", 1, 20, SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field output_fields[] = {
    SB_STRING(struct output, name, "name", 0, 20, SB_REQUIRED),
    SB_INT(struct output, number, "number", 0, INT64_MAX, SB_REQUIRED),
    SB_BOOL(struct output, created, "created", SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field no_fields[] = {SB_FIELDS_END};

/* How often the effect was made, and what the next one shall end in. */
static int effects;
static enum sb_error next_error;

struct work {
    const struct input *input;
    struct output *output;
};

/* The effect is the row of a thread, so that an undone one shows. */
static enum sb_error make(struct sb_db_conn *tx, void *context)
{
    struct work *work = context;
    char id[32];
    snprintf(id, sizeof id, "thread_%d", ++effects);
    enum sb_error error = sb_threads_add(tx, id, sb_clock_now_ms());
    if (error != SB_OK)
        return error;
    if (work->output != NULL)
        *work->output = (struct output){work->input->name, effects, true};
    return next_error;
}

static enum sb_error act(struct sb_request *request, const void *in, void *out)
{
    struct work work = {in, out};
    return sb_request_write(request, make, &work);
}

static enum sb_error act_emptily(struct sb_request *request, const void *in, void *out)
{
    (void)out;
    struct work work = {in, NULL};
    return sb_request_write(request, make, &work);
}

#define ROUTE(path_, access_)                                                                      \
    .methods = SB_POST | SB_PUT, .path = (path_), .handler = act, .access = (access_),             \
    .body = SB_BODY_JSON, SB_OUTPUT(struct output, output_fields),                                 \
    .created = SB_CREATED(struct output, created)

static const struct sb_route routes[] = {
    {ROUTE("/user", SB_ACCESS_USER), SB_INPUT(struct input, input_fields), .idempotent = true},
    {ROUTE("/open", SB_ACCESS_PUBLIC), SB_INPUT(struct input, input_fields), .idempotent = true},
    {ROUTE("/other", SB_ACCESS_USER), SB_INPUT(struct input, input_fields), .idempotent = true},
    {ROUTE("/{id}/parts", SB_ACCESS_USER), SB_INPUT(struct input, path_fields), .idempotent = true},
    {ROUTE("/deaf", SB_ACCESS_USER), SB_INPUT(struct input, input_fields)},
    {.methods = SB_POST,
     .path = "/empty",
     .handler = act_emptily,
     .access = SB_ACCESS_USER,
     .body = SB_BODY_JSON,
     SB_INPUT(struct input, input_fields),
     SB_OUTPUT(struct output, no_fields),
     .idempotent = true},
    {.handler = NULL}};

static const struct sb_endpoint endpoint = {.name = "test", .routes = routes, .needs = SB_NEEDS_DB};

static struct call_site site;
static const char *alice, *bob;

static void setup(void)
{
    call_site_prepare(&site);
    call_site_open(&site, &endpoint);
    effects = 0;
    next_error = SB_OK;
    alice = call_token(&site, "alice");
    bob = call_token(&site, "bob");
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(idempotent, .init = setup, .fini = teardown);

#define SEND(...) call_send(&site, &(struct call){__VA_ARGS__})

static const struct call_answer *send_with(const char *target, const char *token, const char *key,
                                           const char *body)
{
    const char *param = sb_arena_printf(site.memory, "HTTP_IDEMPOTENCY_KEY=%s", key);
    return SEND(.target = target, .token = token, .body = body, .params = CALL_PARAMS(param));
}

static const struct call_answer *send(const char *key, const char *body)
{
    return send_with("/api/test/user", alice, key, body);
}

static const char x[] = "{\"name\":\"x\"}", y[] = "{\"name\":\"y\"}";

static int64_t threads(void)
{
    return call_count(&site, "SELECT count(*) FROM threads");
}

Test(idempotent, the_same_key_and_payload_replays_the_answer_and_makes_nothing)
{
    const struct call_answer *first = send("k1", x), *second = send("k1", x);
    cr_assert_eq(first->status, 201, "%s", first->body);
    cr_assert_null(call_header(first, "Idempotent-Replayed"));
    cr_assert_eq(second->status, 201);
    cr_assert_str_eq(call_header(second, "Idempotent-Replayed"), "true");
    cr_assert_str_eq(call_header(second, "Content-Type"), "application/json");
    cr_assert_eq(call_number(second, "number"), 1);
    cr_assert_str_eq(call_text(second, "name"), "x");
    cr_assert(json_is_true(call_json(second, "created")));
    cr_assert(json_is_true(call_json(second, "success")));
    cr_assert_eq(effects, 1);
    cr_assert_eq(threads(), 1);
}

Test(idempotent, a_replay_has_a_trace_of_its_own)
{
    const struct call_answer *first = send("k1", x), *second = send("k1", x);
    cr_assert_str_eq(call_text(second, "traceId"), call_header(second, "X-Trace-Id"));
    cr_assert_str_neq(call_text(second, "traceId"), call_text(first, "traceId"));
}

Test(idempotent, another_payload_under_the_key_is_422)
{
    send("k1", x);
    const struct call_answer *answer = send("k1", y);
    cr_assert_eq(answer->status, 422);
    cr_assert_str_eq(call_text(answer, "error.code"), "idempotency_mismatch");
    answer = send("k1", "{\"name\": \"x\"}");
    cr_assert_eq(answer->status, 422, "the payload is the bytes");
    cr_assert_eq(threads(), 1);
}

Test(idempotent, without_a_key_each_request_acts)
{
    SEND(.target = "/api/test/user", .token = alice, .body = x);
    SEND(.target = "/api/test/user", .token = alice, .body = x);
    cr_assert_eq(send("", x)->status, 201, "an empty key is none");
    cr_assert_eq(threads(), 3);
}

Test(idempotent, keys_are_each_users_own)
{
    cr_assert_eq(call_number(send_with("/api/test/user", alice, "k1", x), "number"), 1);
    cr_assert_eq(call_number(send_with("/api/test/user", bob, "k1", y), "number"), 2);
}

Test(idempotent, keys_are_each_addresses_own_where_nobody_is_known)
{
    cr_assert_eq(call_number(send_with("/api/test/open", NULL, "k1", x), "number"), 1);
    cr_assert_eq(call_number(send_with("/api/test/open", NULL, "k1", x), "number"), 1);
    cr_assert_eq(
        call_number(SEND(.target = "/api/test/open", .body = x,
                         .params = CALL_PARAMS("HTTP_IDEMPOTENCY_KEY=k1", "REMOTE_ADDR=192.0.2.9")),
                    "number"),
        2);
}

Test(idempotent, keys_are_each_routes_own)
{
    cr_assert_eq(call_number(send_with("/api/test/user", alice, "k1", x), "number"), 1);
    cr_assert_eq(call_number(send_with("/api/test/other", alice, "k1", x), "number"), 2);
    cr_assert_eq(call_number(SEND(.target = "/api/test/user", .method = "PUT", .token = alice,
                                  .body = x, .params = CALL_PARAMS("HTTP_IDEMPOTENCY_KEY=k1")),
                             "number"),
                 3);
}

Test(idempotent, keys_are_each_things_own_where_the_path_names_one)
{
    cr_assert_eq(call_number(send_with("/api/test/a/parts", alice, "k1", x), "number"), 1);
    cr_assert_eq(call_number(send_with("/api/test/b/parts", alice, "k1", x), "number"), 2);
    cr_assert_eq(call_number(send_with("/api/test/a/parts", alice, "k1", x), "number"), 1);
}

Test(idempotent, an_error_is_undone_and_not_kept)
{
    next_error = SB_E_GONE;
    cr_assert_eq(send("k1", x)->status, 410);
    cr_assert_eq(threads(), 0);
    next_error = SB_OK;
    const struct call_answer *answer = send("k1", x);
    cr_assert_eq(answer->status, 201);
    cr_assert_null(call_header(answer, "Idempotent-Replayed"));
    cr_assert_eq(call_number(answer, "number"), 2);
}

Test(idempotent, an_output_without_fields_is_replayed_too)
{
    const struct call_answer *first = send_with("/api/test/empty", alice, "k1", x);
    const struct call_answer *second = send_with("/api/test/empty", alice, "k1", x);
    cr_assert_eq(first->status, 200, "%s", first->body);
    cr_assert_eq(second->status, 200);
    cr_assert_eq(json_object_size(second->json), 2, "%s", second->body);
    cr_assert_eq(effects, 1);
}

Test(idempotent, a_key_of_255_visible_characters_is_taken)
{
    char key[257];
    memset(key, '~', sizeof key);
    key[255] = '\0';
    cr_assert_eq(send(key, x)->status, 201);
    key[255] = '!';
    key[256] = '\0';
    cr_assert_eq(send(key, x)->status, 400);
}

Test(idempotent, keys_that_are_not_visible_ascii_are_refused_before_the_handler)
{
    static const char *const rows[] = {"a b", " a", "a\t", "caf\xC3\xA9", "a\x7F", "a\x01"};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const struct call_answer *answer = send(rows[i], x);
        cr_expect_eq(answer->status, 400, "row %zu", i);
        cr_expect_str_eq(call_text(answer, "error.code"), "invalid_request");
        cr_expect_str_eq(call_text(answer, "error.message"),
                         "Idempotency-Key must be 1 to 255 visible ASCII characters.");
    }
    cr_assert_eq(effects, 0);
}

Test(idempotent, a_route_that_does_not_declare_it_does_not_look_at_the_key)
{
    cr_assert_eq(send_with("/api/test/deaf", alice, "k1", x)->status, 201);
    cr_assert_eq(send_with("/api/test/deaf", alice, "k1", y)->status, 201);
    cr_assert_eq(send_with("/api/test/deaf", alice, "not visible \x01", y)->status, 201);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM idempotency"), 0);
}

Test(idempotent, a_stored_answer_holds_no_trace_and_no_success)
{
    send("k1", x);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM idempotency WHERE status = 201 AND body = "
                                   "'\"name\":\"x\",\"number\":1,\"created\":true'"),
                 1);
}
