#include "upstream/openai.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/base.h"
#include "../support/script.h"
#include "base/clock.h"
#include "base/log.h"

#define KEY "sk-key-of-the-tests"
#define TRACE "0123456789abcdef0123456789abcdef"
#define OFFER "v=0\r\nm=audio 9 RTP/AVP 0\r\n"

static char dir[BASE_DIR_SIZE];
static struct script api;
static struct sb_config config;
static struct sb_openai openai;
static struct sb_openai_secret secret;
static struct sb_openai_call call;
static char *voices[] = {(char *)"marin"};
static const struct sb_openai_session session = {.user_id = "nora", .voice = "marin"};

static void setup(void)
{
    base_dir_make(dir);
    sb_log_open(dir, "test", SB_LOG_INFO);
    config = (struct sb_config){.openai_api_key = KEY,
                                .openai_timeout_s = 5,
                                .jwt_secret = "0123456789abcdef0123456789abcdef",
                                .realtime_model = "model-1",
                                .transcription_model = "model-2",
                                .realtime_voices = {voices, 1},
                                .realtime_token_ttl_s = 60,
                                .realtime_max_session_s = 1800};
    openai = (struct sb_openai){sb_arena_new(1024 * 1024), &config, TRACE};
    cr_assert_not_null(openai.arena);
}

static void teardown(void)
{
    script_free(&api);
    sb_arena_free(openai.arena);
    sb_log_open(NULL, NULL, SB_LOG_INFO);
    base_dir_remove(dir);
}

TestSuite(openai, .init = setup, .fini = teardown);

static void tell(int status, const char *type, const char *more, const char *body)
{
    const char *headers = sb_arena_printf(openai.arena, "Content-Type: %s\r\n%s", type, more);
    script_add(&api, (struct script_answer){status, headers, body});
}

static void start(void)
{
    script_start(&api);
    config.openai_base_url = sb_arena_printf(openai.arena, "http://127.0.0.1:%d/v1", api.port);
    cr_assert_not_null(config.openai_base_url);
}

/* What the log of the test holds. */
static bool logged(const char *text)
{
    char *path = base_path(dir, "switchboard.log"), *log = base_file_read(path);
    bool has = log != NULL && strstr(log, text) != NULL;
    free(log);
    free(path);
    return has;
}

static const char *secret_text(const char *value, int64_t expires_at_s, const char *rest)
{
    return sb_arena_printf(openai.arena, "{\"value\":%s,\"expires_at\":%" PRId64 "%s}", value,
                           expires_at_s, rest);
}

#define SESSION ",\"session\":{\"id\":\"sess_1\",\"model\":\"model-9\",\"more\":{}}"

static enum sb_error ask_secret(int status, const char *body)
{
    tell(status, "application/json", "", body);
    start();
    return sb_openai_client_secret(&openai, &session, &secret);
}

static int64_t now_s(void)
{
    return sb_clock_now_ms() / 1000;
}

Test(openai, a_client_secret_is_what_the_api_made)
{
    int64_t expires_at_s = now_s() + 60;
    cr_assert_eq(ask_secret(200, secret_text("\"ek_1\"", expires_at_s, SESSION)), SB_OK);
    cr_assert_str_eq(secret.value, "ek_1");
    cr_assert_eq(secret.expires_at_s, expires_at_s);
    cr_assert_str_eq(secret.session_id, "sess_1");
    cr_assert_str_eq(secret.model, "model-9");
    const char *url = sb_arena_printf(openai.arena, "%s/realtime/calls", config.openai_base_url);
    cr_assert_str_eq(secret.url, url);
}

/* The body of the request for a secret, as JSON the caller releases. */
static json_t *asked(void)
{
    cr_assert_eq(ask_secret(200, secret_text("\"ek_1\"", now_s() + 60, SESSION)), SB_OK);
    json_t *body = json_loads(api.bodies[0], JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(body, "%s", api.bodies[0]);
    return body;
}

static void assert_json(const json_t *value, const char *expected)
{
    json_t *wanted = json_loads(expected, 0, NULL);
    cr_assert_not_null(wanted);
    char *text = json_dumps(value, JSON_SORT_KEYS);
    cr_assert(json_equal(value, wanted), "%s", text);
    free(text);
    json_decref(wanted);
}

Test(openai, a_client_secret_is_asked_for_in_the_shape_the_api_takes)
{
    json_t *body = asked();
    assert_json(body, "{\"expires_after\":{\"anchor\":\"created_at\",\"seconds\":60},"
                      "\"session\":{\"type\":\"realtime\",\"model\":\"model-1\","
                      "\"output_modalities\":[\"audio\"],\"audio\":{\"input\":{"
                      "\"transcription\":{\"model\":\"model-2\"},\"turn_detection\":null},"
                      "\"output\":{\"voice\":\"marin\"}}}}");
    json_decref(body);
    cr_assert_eq(strncmp(api.heads[0], "POST /v1/realtime/client_secrets HTTP/1.1\r\n", 43), 0);
    cr_assert_str_eq(script_header(&api, 0, "Authorization"), "Bearer " KEY);
    cr_assert_str_eq(script_header(&api, 0, "Content-Type"), "application/json");
    cr_assert_null(script_header(&api, 0, "OpenAI-Organization"));
    cr_assert_null(script_header(&api, 0, "OpenAI-Project"));
    cr_assert_not_null(strstr(script_header(&api, 0, "traceparent"), TRACE));
}

Test(openai, what_is_configured_is_what_is_asked_for)
{
    config.enable_server_vad = true;
    config.realtime_instructions = "Be \"brief\".";
    config.realtime_token_ttl_s = 300;
    config.openai_organization = "org_1";
    config.openai_project = "proj_1";
    json_t *body = asked();
    assert_json(body, "{\"expires_after\":{\"anchor\":\"created_at\",\"seconds\":300},"
                      "\"session\":{\"type\":\"realtime\",\"model\":\"model-1\","
                      "\"instructions\":\"Be \\\"brief\\\".\",\"output_modalities\":[\"audio\"],"
                      "\"audio\":{\"input\":{\"transcription\":{\"model\":\"model-2\"},"
                      "\"turn_detection\":{\"type\":\"server_vad\",\"threshold\":0.5,"
                      "\"prefix_padding_ms\":300,\"silence_duration_ms\":500}},"
                      "\"output\":{\"voice\":\"marin\"}}}}");
    json_decref(body);
    cr_assert_str_eq(script_header(&api, 0, "OpenAI-Organization"), "org_1");
    cr_assert_str_eq(script_header(&api, 0, "OpenAI-Project"), "proj_1");
}

Test(openai, the_api_knows_a_user_by_a_hash_alone)
{
    json_decref(asked());
    const char *identifier = sb_openai_safety_identifier(openai.arena, &config, "nora");
    cr_assert_str_eq(script_header(&api, 0, "OpenAI-Safety-Identifier"), identifier);
    cr_assert_eq(strspn(identifier, "0123456789abcdef"), 64);
    cr_assert_eq(strlen(identifier), 64);
    cr_assert_null(strstr(api.heads[0], "nora"));
    cr_assert_null(strstr(api.bodies[0], "nora"));
    cr_assert_str_eq(sb_openai_safety_identifier(openai.arena, &config, "nora"), identifier);
    cr_assert_str_neq(sb_openai_safety_identifier(openai.arena, &config, "bob"), identifier);
    config.jwt_secret = "another-secret-of-32-bytes-or-so";
    cr_assert_str_neq(sb_openai_safety_identifier(openai.arena, &config, "nora"), identifier);
}

Test(openai, an_answer_without_what_is_needed_is_an_upstream_error)
{
    int64_t soon_s = now_s() + 60;
    const char *const bodies[] = {
        "",
        "[]",
        "{\"value\":\"ek_cut in the mi",
        secret_text("\"\"", soon_s, SESSION),
        secret_text("17", soon_s, SESSION),
        secret_text("\"ek 1\"", soon_s, SESSION),
        secret_text("\"ek_1\"", 0, SESSION),
        secret_text("\"ek_1\"", soon_s, ""),
        secret_text("\"ek_1\"", soon_s, ",\"session\":{\"id\":\"sess_1\"}"),
        secret_text("\"ek_1\"", soon_s, ",\"session\":{\"model\":\"m\"}"),
    };
    for (size_t i = 0; i < SB_COUNT(bodies); i++) {
        cr_expect_eq(ask_secret(200, bodies[i]), SB_E_UPSTREAM_ERROR, "%s", bodies[i]);
        script_free(&api);
    }
    cr_assert(logged("openai.malformed"));
    cr_assert_not(logged("ek_1"));
}

Test(openai, a_secret_that_is_good_for_longer_than_five_minutes_is_refused)
{
    int64_t longest_s = SB_REALTIME_TOKEN_TTL_MAX_S + SB_OPENAI_EXPIRY_SLACK_S;
    cr_assert_eq(ask_secret(200, secret_text("\"ek_1\"", now_s() + longest_s + 5, SESSION)),
                 SB_E_UPSTREAM_ERROR);
    cr_assert(logged("longer than it was asked for"));
}

Test(openai, a_refusal_names_the_variable_and_the_apis_own_code_in_the_log)
{
    static const struct {
        int status;
        const char *body, *variable, *code;
        enum sb_error error;
    } rows[] = {
        {401, "{\"error\":{\"code\":\"invalid_api_key\",\"message\":\"Incorrect: sk-key-of\"}}",
         "OPENAI_API_KEY", "invalid_api_key", SB_E_UPSTREAM_ERROR},
        {403, "{\"error\":{\"code\":\"unsupported_country\"}}", "OPENAI_API_KEY",
         "unsupported_country", SB_E_UPSTREAM_ERROR},
        {429, "{\"error\":{\"code\":\"insufficient_quota\"}}", "OPENAI_API_KEY",
         "insufficient_quota", SB_E_UPSTREAM_ERROR},
        {404, "{\"error\":{\"code\":\"model_not_found\"}}", "OPENAI_REALTIME_MODEL",
         "model_not_found", SB_E_UPSTREAM_ERROR},
        {400, "{\"error\":{\"code\":\"beta_api_shape_disabled\"}}", "OPENAI_BASE_URL",
         "beta_api_shape_disabled", SB_E_MISCONFIGURED},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cr_expect_eq(ask_secret(rows[i].status, rows[i].body), rows[i].error, "%s", rows[i].code);
        script_free(&api);
        const char *line = sb_arena_printf(openai.arena, "\"variable\":\"%s\"", rows[i].variable);
        const char *code = sb_arena_printf(openai.arena, "\"upstreamCode\":\"%s\"", rows[i].code);
        cr_expect(logged(line), "%s", line);
        cr_expect(logged(code), "%s", code);
    }
    cr_assert_not(logged("sk-key-of"), "the API's message may quote the key");
}

Test(openai, a_refused_parameter_is_named_in_the_log_if_it_is_a_name)
{
    ask_secret(400, "{\"error\":{\"code\":\"invalid_value\",\"param\":\"session.audio[0].x\"}}");
    cr_assert(logged("\"param\":\"session.audio[0].x\""));
    script_free(&api);
    ask_secret(400, "{\"error\":{\"code\":\"invalid_value\",\"param\":\"Dear Sir\"}}");
    cr_assert_not(logged("Dear Sir"));
}

Test(openai, without_a_key_nothing_is_asked)
{
    config.openai_api_key = NULL;
    config.openai_base_url = "http://127.0.0.1:1/v1";
    cr_assert_eq(sb_openai_client_secret(&openai, &session, &secret), SB_E_MISCONFIGURED);
}

Test(openai, an_api_that_is_not_there_is_an_upstream_error)
{
    config.openai_base_url = "http://127.0.0.1:1/v1";
    cr_assert_eq(sb_openai_client_secret(&openai, &session, &secret), SB_E_UPSTREAM_ERROR);
}

#define LOCATION "Location: /v1/realtime/calls/rtc_7\r\n"

static enum sb_error open_call(void)
{
    start();
    return sb_openai_call_open(&openai, &session, OFFER, &call);
}

Test(openai, a_call_is_opened_by_the_offer_and_the_session_as_parts)
{
    tell(201, "application/sdp", LOCATION, "v=0\r\nanswer\r\n");
    cr_assert_eq(open_call(), SB_OK);
    cr_assert_str_eq(call.id, "rtc_7");
    cr_assert_str_eq(call.sdp, "v=0\r\nanswer\r\n");
    cr_assert_eq(strncmp(api.heads[0], "POST /v1/realtime/calls HTTP/1.1\r\n", 34), 0);
    cr_assert_not_null(strstr(script_header(&api, 0, "Content-Type"), "multipart/form-data;"));
    const char *body = api.bodies[0];
    cr_assert_not_null(strstr(body, "name=\"sdp\"\r\nContent-Type: application/sdp\r\n"));
    cr_assert_not_null(strstr(body, "\r\n\r\n" OFFER "\r\n--"));
    cr_assert_not_null(strstr(body, "name=\"session\"\r\nContent-Type: application/json\r\n"));
    cr_assert_not_null(strstr(body, "\r\n\r\n{\"type\":\"realtime\",\"model\":\"model-1\""));
    cr_assert_not_null(script_header(&api, 0, "OpenAI-Safety-Identifier"));
}

Test(openai, the_location_of_a_call_may_be_a_whole_url)
{
    tell(201, "application/sdp", "Location: https://x.example/v1/realtime/calls/rtc_8\r\n", "v=0");
    cr_assert_eq(open_call(), SB_OK);
    cr_assert_str_eq(call.id, "rtc_8");
}

Test(openai, a_call_without_a_usable_location_is_an_upstream_error)
{
    static const char *const more[] = {"", "Location: rtc_7\r\n", "Location: /calls/\r\n",
                                       "Location: /calls/rtc?a=b\r\n"};
    for (size_t i = 0; i < SB_COUNT(more); i++) {
        tell(201, "application/sdp", more[i], "v=0\r\n");
        cr_expect_eq(open_call(), SB_E_UPSTREAM_ERROR, "%s", more[i]);
        script_free(&api);
    }
}

Test(openai, a_call_whose_answer_is_of_no_use_is_hung_up)
{
    tell(201, "text/html", LOCATION, "<html>");
    tell(200, "text/plain", "", "");
    cr_assert_eq(open_call(), SB_E_UPSTREAM_ERROR);
    script_stop(&api);
    cr_assert_eq(api.request_count, 2);
    static const char hangup[] = "POST /v1/realtime/calls/rtc_7/hangup HTTP/1.1\r\n";
    cr_assert_eq(strncmp(api.heads[1], hangup, sizeof hangup - 1), 0);
}

Test(openai, opening_a_call_is_not_tried_twice)
{
    tell(503, "application/json", "retry-after-ms: 1\r\n", "{}");
    tell(201, "application/sdp", LOCATION, "v=0\r\n");
    cr_assert_eq(open_call(), SB_E_UPSTREAM_ERROR);
    script_stop(&api);
    cr_assert_eq(api.request_count, 1);
}

Test(openai, a_secret_and_a_hangup_are_tried_again)
{
    tell(503, "application/json", "retry-after-ms: 1\r\n", "{}");
    cr_assert_eq(ask_secret(200, secret_text("\"ek_1\"", now_s() + 60, SESSION)), SB_OK);
    script_free(&api);
    tell(503, "application/json", "retry-after-ms: 1\r\n", "{}");
    tell(200, "text/plain", "", "");
    start();
    cr_assert_eq(sb_openai_call_hangup(&openai, "rtc_7"), SB_OK);
}

static enum sb_error hang_up(int status, const char *body)
{
    tell(status, "application/json", "", body);
    start();
    return sb_openai_call_hangup(&openai, "rtc_7");
}

Test(openai, hanging_up_has_no_body)
{
    cr_assert_eq(hang_up(200, ""), SB_OK);
    cr_assert_str_eq(api.bodies[0], "");
    cr_assert_str_eq(script_header(&api, 0, "Authorization"), "Bearer " KEY);
}

Test(openai, a_call_that_is_not_there_any_more_is_not_found)
{
    cr_assert_eq(hang_up(404, "{\"error\":{\"code\":\"call_id_not_found\"}}"), SB_E_NOT_FOUND);
    cr_assert_not(logged("openai.refused"));
}

Test(openai, a_hangup_that_is_refused_says_why)
{
    cr_assert_eq(hang_up(401, "{\"error\":{\"code\":\"invalid_api_key\"}}"), SB_E_UPSTREAM_ERROR);
    cr_assert(logged("\"variable\":\"OPENAI_API_KEY\""));
}
