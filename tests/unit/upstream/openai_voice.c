#include "upstream/openai_voice.h"
#include "upstream/audio.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../support/cloud.h"
#include "upstream/openai.h"

#define KEY "sk-key-of-the-tests"
#define JSON "application/json"
#define SSE "text/event-stream"

static void setup(void)
{
    cloud_setup();
    cloud_config.openai_api_key = KEY;
    cloud_config.transcription_model = "hearing-1";
    cloud_config.chat_model = "thinking-1";
    cloud_config.speech_model = "speaking-1";
    cloud_config.speech_voice = "marin";
    cloud_config.reply_tokens_max = 300;
}

TestSuite(openai_hearing, .init = setup, .fini = cloud_teardown, .timeout = 60);
TestSuite(openai_thinking, .init = setup, .fini = cloud_teardown, .timeout = 60);
TestSuite(openai_speaking, .init = setup, .fini = cloud_teardown, .timeout = 60);

static void serve(void)
{
    cloud_config.openai_base_url = cloud_start("/v1");
}

static enum sb_error hear_recording(const struct sb_voice_recording *recording)
{
    struct sb_voice_task *task = NULL;
    enum sb_error error =
        sb_openai_hearing.start(&cloud_voice, recording, cloud_sink, &cloud, &task);
    cr_expect_eq(task != NULL, error == SB_OK);
    return cloud_run(error, task);
}

static int file_of(const char *content)
{
    int fd = memfd_create("recording", MFD_CLOEXEC);
    cr_assert_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    return fd;
}

static enum sb_error hear_now(const char *language)
{
    const struct sb_voice_recording recording = {.fd = -1,
                                                 .pcm_fd = file_of("samples"),
                                                 .pcm_length = 6,
                                                 .ogg_fd = -1,
                                                 .language = language};
    enum sb_error error = hear_recording(&recording);
    close(recording.pcm_fd);
    return error;
}

static enum sb_error hear(void)
{
    serve();
    return hear_now(NULL);
}

static enum sb_error think_now(void)
{
    static const struct sb_voice_message messages[] = {{SB_VOICE_SYSTEM, "You are \"N\"."},
                                                       {SB_VOICE_USER, "Hi"},
                                                       {SB_VOICE_ASSISTANT, "Hello"},
                                                       {SB_VOICE_USER, "When do you open?"}};
    struct sb_voice_task *task = NULL;
    enum sb_error error =
        sb_openai_thinking.start(&cloud_voice, messages, 4, cloud_sink, &cloud, &task);
    cr_expect_eq(task != NULL, error == SB_OK);
    return cloud_run(error, task);
}

static enum sb_error think(void)
{
    serve();
    return think_now();
}

static enum sb_error speak_now(const char *text)
{
    struct sb_voice_task *task = NULL;
    enum sb_error error = sb_openai_speaking.start(&cloud_voice, text, cloud_sink, &cloud, &task);
    cr_expect_eq(task != NULL, error == SB_OK);
    return cloud_run(error, task);
}

static enum sb_error speak(void)
{
    serve();
    return speak_now("We \"open\" at nine.");
}

static void expect_json(const char *text, const char *expected)
{
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_t *wanted = json_loads(expected, 0, NULL);
    cr_assert_not_null(wanted);
    cr_expect(json_equal(value, wanted), "%s", text);
    json_decref(value);
    json_decref(wanted);
}

static char *long_text(size_t length)
{
    char *text = sb_arena_alloc(cloud_voice.arena, length + 1);
    cr_assert_not_null(text);
    memset(text, 'x', length);
    return text;
}

/* What can go wrong with any of the three: nothing came to the sink in any case. */
static void expect_refusals(enum sb_error (*ask)(void), const char *model_variable)
{
    const struct {
        int status;
        const char *code, *variable;
    } rows[] = {{401, "invalid_api_key", "OPENAI_API_KEY"},
                {403, "unsupported_country", "OPENAI_API_KEY"},
                {429, "insufficient_quota", "OPENAI_API_KEY"},
                {404, "model_not_found", model_variable},
                {404, "unknown_url", "OPENAI_BASE_URL"},
                {400, "invalid_value", model_variable}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const char *line =
            sb_arena_printf(cloud_voice.arena, "\"variable\":\"%s\"", rows[i].variable);
        size_t before = cloud_logged(line);
        cloud_tell(rows[i].status, JSON, "",
                   sb_arena_printf(cloud_voice.arena,
                                   "{\"error\":{\"code\":\"%s\",\"message\":\"You said " KEY "\"}}",
                                   rows[i].code));
        cr_expect_eq(ask(), SB_E_UPSTREAM_ERROR, "%s", rows[i].code);
        script_free(&cloud);
        cr_expect_eq(cloud_logged(line), before + 1, "%s", rows[i].code);
        cr_expect_geq(cloud_logged(rows[i].code), 2, "%s", rows[i].code);
    }
    cr_expect_eq(cloud_logged("\"openai.refused\""), SB_COUNT(rows));
    cr_expect_eq(cloud_logged("\"upstreamRequestId\":\"req_7\""), 2 * SB_COUNT(rows));
    cr_expect_eq(cloud_logged(KEY), 0);
    cr_expect_eq(cloud_heard.length, 0);
}

/* Refused, no HTTP, and an answer that does not begin. */
static void expect_outages(enum sb_error (*ask)(void), enum sb_error (*ask_now)(void))
{
    cloud_config.openai_base_url = cloud_nowhere();
    cr_expect_eq(ask_now(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_logged("\"outcome\":\"unreachable\""), 1);
    for (int i = 0; i < 3; i++)
        script_add(&cloud, (struct script_answer){.body = "220 mail.example.com ESMTP\r\n\r\n"});
    cr_expect_eq(ask(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_logged("\"outcome\":\"broken\""), 1);
    script_free(&cloud);
    cloud_config.voice_timeout_s = 1;
    cloud_config.openai_timeout_s = 3600; /* is for other calls */
    cloud_break(JSON, "", SCRIPT_STUCK);
    cr_expect_eq(ask(), SB_E_UPSTREAM_TIMEOUT);
    cr_expect_eq(cloud_logged("\"outcome\":\"timeout\""), 1);
    cr_expect_eq(cloud_heard.length, 0);
}

static void expect_no_key(enum sb_error (*ask)(void))
{
    cloud_config.openai_api_key = NULL;
    cr_expect_eq(ask(), SB_E_MISCONFIGURED);
    cr_expect_eq(cloud.request_count, 0);
}

/* --- Hearing --- */

/* The body may hold NULs. */
static bool sent(int request, const void *bytes, size_t length)
{
    size_t size = strtoul(script_header(&cloud, request, "Content-Length"), NULL, 10);
    return memmem(cloud.bodies[request], size, bytes, length) != NULL;
}

static bool has_part(const char *head, const char *content)
{
    const char *part = sb_arena_printf(
        cloud_voice.arena, "Content-Disposition: form-data; %s\r\n\r\n%s\r\n--", head, content);
    return sent(0, part, strlen(part));
}

/* A WAV file of the samples that count, and nothing behind them. */
static bool has_wav(int request)
{
    unsigned char wav[4 + SB_AUDIO_WAV_HEADER_SIZE + 6 + 4];
    memcpy(wav, "\r\n\r\n", 4);
    sb_audio_wav_header(wav + 4, SB_AUDIO_RATE_HZ, 6);
    memcpy(wav + 4 + SB_AUDIO_WAV_HEADER_SIZE, "sample\r\n--", 10);
    return sent(request, wav, sizeof wav);
}

Test(openai_hearing, what_was_decoded_is_sent_as_a_form_and_its_words_come_back)
{
    cloud_tell(200, JSON, "", "{\"text\":\"When do you open?\",\"usage\":{}}");
    cr_expect_eq(hear(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "When do you open?");
    cr_expect_eq(strncmp(cloud.heads[0], "POST /v1/audio/transcriptions HTTP/1.1\r\n", 40), 0);
    cr_expect_str_eq(script_header(&cloud, 0, "Authorization"), "Bearer " KEY);
    cr_expect_not_null(strstr(script_header(&cloud, 0, "Content-Type"), "multipart/form-data;"));
    cr_expect_not_null(
        strstr(cloud.bodies[0],
               "name=\"file\"; filename=\"recording.wav\"\r\nContent-Type: audio/wav\r\n\r\n"));
    cr_expect(has_wav(0));
    cr_expect(has_part("name=\"model\"", "hearing-1"));
    cr_expect(has_part("name=\"response_format\"", "json"));
    cr_expect_null(strstr(cloud.bodies[0], "language"));
}

Test(openai_hearing, what_was_coded_as_opus_is_sent_as_it_was)
{
    const struct sb_voice_recording recording = {.fd = -1,
                                                 .pcm_fd = file_of("samples"),
                                                 .pcm_length = 6,
                                                 .ogg_fd = file_of("OggS...and more"),
                                                 .ogg_length = 7};
    cloud_tell(200, JSON, "", "{\"text\":\"Hi\"}");
    serve();
    cr_expect_eq(hear_recording(&recording), SB_OK);
    cr_expect(has_part("name=\"file\"; filename=\"recording.ogg\"\r\nContent-Type: audio/ogg",
                       "OggS..."));
    close(recording.pcm_fd);
    close(recording.ogg_fd);
}

Test(openai_hearing, a_language_that_is_known_is_told)
{
    cloud_tell(200, JSON, "", "{\"text\":\"Hallo\"}");
    serve();
    cr_expect_eq(hear_now("de"), SB_OK);
    cr_expect(has_part("name=\"language\"", "de"), "%s", cloud.bodies[0]);
}

Test(openai_hearing, no_words_are_no_error_of_the_api)
{
    cloud_tell(200, JSON, "", "{\"text\":\"\"}");
    cr_expect_eq(hear(), SB_OK);
    cr_expect_eq(cloud_heard.length, 0);
}

Test(openai_hearing, an_answer_without_a_transcript_is_an_upstream_error)
{
    static const char *const bodies[] = {"",
                                         "[]",
                                         "{}",
                                         "{\"text\":7}",
                                         "{\"text\":\"cut",
                                         "{\"text\":null}",
                                         "<html>",
                                         "{\"text\":\"a\"}{\"text\":\"b\"}"};
    for (size_t i = 0; i < SB_COUNT(bodies); i++) {
        cloud_tell(200, "text/html", "", bodies[i]);
        cr_expect_eq(hear(), SB_E_UPSTREAM_ERROR, "%s", bodies[i]);
        script_free(&cloud);
    }
    cr_expect_eq(cloud_logged("holds no transcript"), SB_COUNT(bodies));
    cr_expect_eq(cloud_heard.length, 0);
}

Test(openai_hearing, a_transcript_over_the_cap_is_an_upstream_error)
{
    const size_t over = 257 * 1024;
    cloud_tell(200, JSON, "",
               sb_arena_printf(cloud_voice.arena, "{\"text\":\"%s\"}", long_text(over)));
    cr_expect_eq(hear(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_logged("\"outcome\":\"too_large\""), 1);
}

Test(openai_hearing, a_transcript_that_is_cut_off_is_an_upstream_error)
{
    cloud_break(JSON, "{\"text\":\"When do", SCRIPT_CUT);
    cr_expect_eq(hear(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_logged("\"outcome\":\"broken\""), 1);
    cr_expect_eq(cloud_heard.length, 0);
}

Test(openai_hearing, a_second_try_sends_the_recording_from_its_beginning)
{
    cloud_tell(500, JSON, "retry-after-ms: 1\r\n", "{}");
    cloud_tell(200, JSON, "", "{\"text\":\"yes\"}");
    cr_expect_eq(hear(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "yes");
    cr_expect(has_wav(1));
}

Test(openai_hearing, a_listener_who_refuses_ends_it)
{
    cloud_refuse_at = 0;
    cloud_tell(200, JSON, "", "{\"text\":\"yes\"}");
    cr_expect_eq(hear(), SB_E_INTERNAL);
}

Test(openai_hearing, refusals_are_explained_in_the_log)
{
    expect_refusals(hear, "OPENAI_TRANSCRIPTION_MODEL");
}

static enum sb_error hear_unserved(void)
{
    return hear_now(NULL);
}

Test(openai_hearing, outages_are_upstream_errors)
{
    expect_outages(hear, hear_unserved);
}

Test(openai_hearing, without_a_key_nothing_is_asked)
{
    expect_no_key(hear);
}

/* --- Thinking --- */

#define DELTA(text) "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define DONE "data: [DONE]\n\n"

Test(openai_thinking, a_conversation_is_sent_and_the_reply_streamed)
{
    cloud_tell(
        200, SSE, "",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
        ": ping\n\n" DELTA("We ") DELTA(
            "open at \\u2014 nine.") "data: "
                                     "{\"choices\":[{\"delta\":{\"content\":null},\"finish_"
                                     "reason\":\"stop\"}]}\n\n"
                                     "data: "
                                     "{\"choices\":[],\"usage\":{\"total_tokens\":42}}\n\n" DONE);
    cloud_voice.tokens = 1000;
    cr_expect_eq(think(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "We open at \xe2\x80\x94 nine.");
    cr_expect_eq(cloud_voice.tokens, 1042, "in addition to those of other calls");
    cr_expect_eq(strncmp(cloud.heads[0], "POST /v1/chat/completions HTTP/1.1\r\n", 36), 0);
    cr_expect_str_eq(script_header(&cloud, 0, "Authorization"), "Bearer " KEY);
    cr_expect_str_eq(script_header(&cloud, 0, "Content-Type"), JSON);
    cr_expect_str_eq(script_header(&cloud, 0, "Accept"), SSE);
    cr_expect_not_null(strstr(script_header(&cloud, 0, "traceparent"), CLOUD_TRACE));
    expect_json(cloud.bodies[0], "{\"model\":\"thinking-1\",\"messages\":["
                                 "{\"role\":\"system\",\"content\":\"You are \\\"N\\\".\"},"
                                 "{\"role\":\"user\",\"content\":\"Hi\"},"
                                 "{\"role\":\"assistant\",\"content\":\"Hello\"},"
                                 "{\"role\":\"user\",\"content\":\"When do you open?\"}],"
                                 "\"max_completion_tokens\":300,\"stream\":true,"
                                 "\"stream_options\":{\"include_usage\":true}}");
}

#define USAGE(total) "data: {\"choices\":[],\"usage\":{\"total_tokens\":" total "}}\n\n"

Test(openai_thinking, tokens_are_those_of_the_last_total_that_makes_sense)
{
    static const struct {
        const char *stream;
        int64_t tokens;
    } rows[] = {{DELTA("Hi") USAGE("20") DELTA("!") USAGE("22") DONE, 22},
                {DELTA("Hi") USAGE("-5") DONE, 0},
                {DELTA("Hi") USAGE("9000000000000000000") DONE, 100000000},
                {DELTA("Hi") USAGE("\"7\"") USAGE("8") DONE, 8}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cloud_voice.tokens = 1000;
        cloud_tell(200, SSE, "", rows[i].stream);
        cr_expect_eq(think(), SB_OK);
        cr_expect_eq(cloud_voice.tokens, 1000 + rows[i].tokens, "%zu: %ld", i, cloud_voice.tokens);
        script_free(&cloud);
    }
}

Test(openai_thinking, tokens_nobody_counted_are_guessed)
{
    cloud_tell(200, SSE, "", DELTA("0123456789") DELTA("0123456789") DONE);
    cr_expect_eq(think(), SB_OK);
    cr_expect_eq(cloud_voice.tokens, (strlen("You are \"N\".HiHelloWhen do you open?") + 20) / 4);
    cloud_voice.tokens = 0;
    script_free(&cloud);
    cloud_tell(500, JSON, "x-should-retry: false\r\n", "{}");
    cr_expect_neq(think(), SB_OK);
    cr_expect_eq(cloud_voice.tokens, 0, "what was refused costs nothing");
}

Test(openai_thinking, an_error_of_null_is_none)
{
    cloud_tell(200, SSE, "", "data: {\"choices\":[],\"error\":null}\n\n" DELTA("Hi") DONE);
    cr_expect_eq(think(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "Hi");
}

Test(openai_thinking, the_api_knows_who_speaks_by_a_hash_alone)
{
    cloud_voice.user_id = "user_ada";
    cloud_tell(200, SSE, "", DELTA("Hi") DONE);
    cr_expect_eq(think(), SB_OK);
    json_t *body = json_loads(cloud.bodies[0], 0, NULL);
    cr_expect_str_eq(json_string_value(json_object_get(body, "safety_identifier")),
                     sb_openai_safety_identifier(cloud_voice.arena, &cloud_config, "user_ada"));
    json_decref(body);
    cr_expect_null(strstr(cloud.bodies[0], "user_ada"));
    cr_expect_null(strstr(cloud.heads[0], "user_ada"));
}

Test(openai_thinking, the_longest_conversation_fits)
{
    struct sb_voice_task *task = NULL;
    struct sb_voice_message messages[13] = {{SB_VOICE_SYSTEM, long_text(64 * 1024)}};
    char *text = long_text(32000); /* 8000 characters of four bytes */
    for (size_t i = 0; i < 32000; i += 4)
        memcpy(text + i, "\xf0\x9f\x98\x80", 4);
    for (size_t i = 1; i < SB_COUNT(messages); i++)
        messages[i] = (struct sb_voice_message){SB_VOICE_USER, text};
    cloud_tell(200, SSE, "", DELTA("Hi") DONE);
    serve();
    cr_assert_eq(sb_openai_thinking.start(&cloud_voice, messages, SB_COUNT(messages), cloud_sink,
                                          &cloud, &task),
                 SB_OK);
    cr_expect_eq(cloud_run(SB_OK, task), SB_OK);
    cr_expect_gt(strlen(cloud.bodies[0]), 12 * 32000 + 64 * 1024);
}

Test(openai_thinking, a_stream_that_is_wrong_is_an_upstream_error)
{
    const char *const rows[][2] = {
        {DELTA("Yes. "), "ended before its end"},
        {DELTA("Yes. ") "data: {\"error\":{\"code\":\"server_error\"}}\n\n" DONE,
         "broke off with an error"},
        {DELTA("Yes. ") "event: error\ndata: {\"code\":\"x\"}\n\n" DONE, "is an error, or no JSON"},
        {DELTA("Yes. ") "data: nonsense\n\n" DONE, "is an error, or no JSON"},
        {DELTA("Yes. ") "data: [\"nonsense\"]\n\n" DONE, "is an error, or no JSON"},
        {DELTA("Yes. ") "data: [DONE] or not\n\n", "is an error, or no JSON"},
        {sb_arena_printf(cloud_voice.arena, DELTA("Yes. ") "data: %s\n\n" DONE,
                         long_text(256 * 1024 + 1)),
         "is too long"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        sb_buf_free(&cloud_heard);
        sb_buf_init(&cloud_heard, NULL, 4096);
        cloud_tell(200, SSE, "", rows[i][0]);
        cr_expect_eq(think(), SB_E_UPSTREAM_ERROR, "%s", rows[i][1]);
        cr_expect_str_eq(cloud_heard.data, "Yes. ", "%s", rows[i][1]);
        cr_expect_geq(cloud_logged(rows[i][1]), 1, "%s", rows[i][1]);
        cr_expect_eq(cloud_logged("\"openai.malformed\""), i + 1);
        cr_expect_eq(cloud.request_count, 1);
        script_free(&cloud);
    }
}

Test(openai_thinking, a_reply_without_a_word_is_an_upstream_error)
{
    static const char *const rows[] = {DONE, DELTA("") USAGE("300") DONE, DELTA(" \\n") DONE};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cloud_tell(200, SSE, "", rows[i]);
        cr_expect_eq(think(), SB_E_UPSTREAM_ERROR, "%zu", i);
        cr_expect_eq(cloud_logged("the reply is empty"), i + 1);
        cr_expect_eq(cloud.request_count, 1);
        script_free(&cloud);
    }
}

Test(openai_thinking, an_answer_that_is_no_stream_is_an_upstream_error)
{
    static const char *const rows[][2] = {
        {JSON, "{\"choices\":[{\"message\":{\"content\":\"Yes.\"}}]}"},
        {"text/html", "<html>\n\n<p>data: {}\n\n"},
        {SSE, ""}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cloud_tell(200, rows[i][0], "", rows[i][1]);
        cr_expect_eq(think(), SB_E_UPSTREAM_ERROR, "%s", rows[i][1]);
        script_free(&cloud);
    }
    cr_expect_eq(cloud_logged("ended before its end"), SB_COUNT(rows));
    cr_expect_eq(cloud_heard.length, 0);
}

Test(openai_thinking, a_stream_over_the_cap_is_an_upstream_error)
{
    static const char piece[] = ": a comment of a stream that does not end\n\n";
    const size_t times = 1200 * 1024 / (sizeof piece - 1);
    char *endless = long_text(times * (sizeof piece - 1));
    for (size_t i = 0; i < times; i++)
        memcpy(endless + i * (sizeof piece - 1), piece, sizeof piece - 1);
    cloud_tell(200, SSE, "", endless);
    cr_expect_eq(think(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_logged("\"outcome\":\"too_large\""), 1);
}

Test(openai_thinking, a_stream_that_is_cut_off_is_an_error_and_not_asked_for_twice)
{
    cloud_break(SSE, DELTA("We open"), SCRIPT_CUT);
    cloud_tell(200, SSE, "", DELTA("We open at nine") DONE);
    cr_expect_eq(think(), SB_E_UPSTREAM_ERROR);
    cr_expect_str_eq(cloud_heard.data, "We open");
    cr_expect_eq(cloud.request_count, 1);
    cr_expect_eq(cloud_logged("\"outcome\":\"broken\""), 1);
}

Test(openai_thinking, a_stream_that_has_said_its_end_may_be_cut_off)
{
    cloud_break(SSE, DELTA("We open") DONE, SCRIPT_CUT);
    cr_expect_eq(think(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "We open");
}

Test(openai_thinking, a_stream_that_has_said_its_end_is_not_waited_for)
{
    cloud_config.voice_timeout_s = 3600; /* the suite's own is long before that */
    cloud_break(SSE, DELTA("We open") DONE, SCRIPT_STUCK);
    cr_expect_eq(think(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "We open");
}

Test(openai_thinking, a_stream_that_ends_in_order_leaves_its_connection)
{
    cloud_tell(200, SSE, "", DELTA("We open") DONE);
    cr_expect_eq(think(), SB_OK);
    cr_expect_eq(cloud_logged("\"outcome\":\"ok\""), 1);
}

Test(openai_thinking, a_stream_that_keeps_coming_slowly_is_a_timeout)
{
    cloud_config.voice_timeout_s = 1;
    cloud_break(SSE, ": still thinking\n", SCRIPT_DRIP);
    cr_expect_eq(think(), SB_E_UPSTREAM_TIMEOUT);
}

Test(openai_thinking, a_stream_that_stops_coming_is_a_timeout)
{
    cloud_config.voice_timeout_s = 1;
    cloud_break(SSE, DELTA("We open"), SCRIPT_STUCK);
    cr_expect_eq(think(), SB_E_UPSTREAM_TIMEOUT);
    cr_expect_str_eq(cloud_heard.data, "We open");
}

Test(openai_thinking, a_failure_before_the_first_byte_is_tried_again)
{
    cloud_tell(429, JSON, "retry-after-ms: 1\r\n", "{\"error\":{\"code\":\"rate_limited\"}}");
    cloud_tell(200, SSE, "", DELTA("Hi") DONE);
    cr_expect_eq(think(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "Hi");
    cr_expect_str_eq(cloud.bodies[1], cloud.bodies[0]);
    cr_expect_eq(cloud_logged("openai.refused"), 0);
}

Test(openai_thinking, a_listener_who_refuses_ends_it)
{
    cloud_refuse_at = 5;
    cloud_break(SSE, DELTA("one") DELTA("two") DELTA("three"), SCRIPT_STUCK);
    cr_expect_eq(think(), SB_E_INTERNAL);
    cr_expect_str_eq(cloud_heard.data, "onetwo");
    cr_expect_eq(cloud_logged("openai.malformed"), 0, "it is not the API's fault");
}

Test(openai_thinking, a_task_that_is_ended_hangs_up)
{
    struct sb_voice_task *task = NULL;
    const struct sb_voice_message message = {SB_VOICE_USER, "Hi"};
    cloud_break(SSE, DELTA("one"), SCRIPT_STUCK);
    serve();
    cr_assert_eq(sb_openai_thinking.start(&cloud_voice, &message, 1, cloud_sink, &cloud, &task),
                 SB_OK);
    while (cloud_heard.length == 0)
        cr_assert_eq(sb_voice_step(&cloud_voice, &task, 1, INT64_MAX), SB_OK);
    cr_expect_not(task->done);
    task->end(task);
    task->end(task);
    cr_expect_eq(sb_fetch_step(cloud_voice.session, 0, NULL, 0), 0, "a call is left");
}

Test(openai_thinking, refusals_are_explained_in_the_log)
{
    expect_refusals(think, "OPENAI_CHAT_MODEL");
}

Test(openai_thinking, outages_are_upstream_errors)
{
    expect_outages(think, think_now);
}

Test(openai_thinking, without_a_key_nothing_is_asked)
{
    expect_no_key(think);
}

Test(openai_thinking, a_url_that_may_not_be_asked_gives_no_task)
{
    cloud_config.openai_base_url = "ftp://127.0.0.1/v1";
    cr_expect_eq(think_now(), SB_E_INTERNAL);
}

/* --- Speaking --- */

Test(openai_speaking, speech_is_asked_for_and_passed_on_as_it_is)
{
    cloud_tell(200, "audio/mpeg", "", "ID3 sound");
    cr_expect_eq(speak(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "ID3 sound");
    cr_expect_str_eq(sb_openai_speaking.content_type, "audio/mpeg");
    cr_expect_eq(strncmp(cloud.heads[0], "POST /v1/audio/speech HTTP/1.1\r\n", 32), 0);
    cr_expect_str_eq(script_header(&cloud, 0, "Content-Type"), JSON);
    expect_json(cloud.bodies[0], "{\"model\":\"speaking-1\",\"input\":\"We \\\"open\\\" at nine.\","
                                 "\"voice\":\"marin\",\"response_format\":\"mp3\"}");
}

Test(openai_speaking, a_text_over_the_apis_limit_is_not_sent)
{
    cloud_tell(200, "audio/mpeg", "", "sound");
    serve();
    cr_expect_eq(speak_now(long_text(4097)), SB_E_INTERNAL);
    cr_expect_eq(cloud.request_count, 0);
    cr_expect_eq(speak_now(long_text(4096)), SB_OK);
}

Test(openai_speaking, a_page_in_place_of_sound_is_not_played)
{
    static const char *const types[] = {"text/html", JSON, "audio", "video/mp4"};
    for (size_t i = 0; i < SB_COUNT(types); i++) {
        cloud_tell(200, types[i], "", "<html>");
        cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR, "%s", types[i]);
        cr_expect_eq(cloud_logged("is no sound"), i + 1);
        cr_expect_eq(cloud.request_count, 1);
        script_free(&cloud);
    }
    cr_expect_eq(cloud_heard.length, 0);
}

Test(openai_speaking, sound_of_no_length_is_none)
{
    cloud_tell(200, "audio/mpeg", "", "");
    cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_logged("is silent"), 1);
}

Test(openai_speaking, bytes_of_no_kind_or_of_any_sound_are_played)
{
    static const char *const types[] = {"application/octet-stream", "Audio/MP3; rate=24000"};
    for (size_t i = 0; i < SB_COUNT(types); i++) {
        cloud_tell(200, types[i], "", "sound");
        cr_expect_eq(speak(), SB_OK, "%s", types[i]);
        script_free(&cloud);
    }
    script_add(&cloud, (struct script_answer){.status = 200, .headers = "", .body = "sound"});
    cr_expect_eq(speak(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "soundsoundsound");
}

Test(openai_speaking, sound_that_is_cut_off_is_an_error_and_not_asked_for_twice)
{
    cloud_break("audio/mpeg", "sou", SCRIPT_CUT);
    cloud_tell(200, "audio/mpeg", "", "sound");
    cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR);
    cr_expect_str_eq(cloud_heard.data, "sou");
    cr_expect_eq(cloud.request_count, 1);
}

Test(openai_speaking, sound_that_keeps_coming_slowly_is_a_timeout)
{
    cloud_config.voice_timeout_s = 1;
    cloud_break("audio/mpeg", "x", SCRIPT_DRIP);
    cr_expect_eq(speak(), SB_E_UPSTREAM_TIMEOUT);
}

Test(openai_speaking, sound_that_stops_coming_is_a_timeout)
{
    cloud_config.voice_timeout_s = 1;
    cloud_break("audio/mpeg", "sou", SCRIPT_STUCK);
    cr_expect_eq(speak(), SB_E_UPSTREAM_TIMEOUT);
}

Test(openai_speaking, sound_of_minutes_is_taken)
{
    const size_t most = 8 * 1024 * 1024;
    cloud_tell(200, "audio/mpeg", "", long_text(most));
    cr_expect_eq(speak(), SB_OK);
    cr_expect_eq(cloud_heard.length, most);
}

Test(openai_speaking, sound_over_the_cap_is_an_upstream_error)
{
    const size_t over = 8 * 1024 * 1024 + 1;
    cloud_tell(200, "audio/mpeg", "", long_text(over));
    cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_logged("\"outcome\":\"too_large\""), 1);
}

Test(openai_speaking, a_failure_before_the_first_byte_is_tried_again)
{
    cloud_tell(503, JSON, "retry-after-ms: 1\r\n", "{}");
    cloud_tell(200, "audio/mpeg", "", "sound");
    cr_expect_eq(speak(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "sound");
}

Test(openai_speaking, a_listener_who_refuses_ends_it)
{
    cloud_refuse_at = 1;
    cloud_break("audio/mpeg", "sou", SCRIPT_STUCK);
    cr_expect_eq(speak(), SB_E_INTERNAL);
    cr_expect_eq(cloud_logged("openai.malformed"), 0);
}

Test(openai_speaking, refusals_are_explained_in_the_log)
{
    expect_refusals(speak, "OPENAI_SPEECH_MODEL");
}

static enum sb_error speak_unserved(void)
{
    return speak_now("Hi");
}

Test(openai_speaking, outages_are_upstream_errors)
{
    expect_outages(speak, speak_unserved);
}

Test(openai_speaking, without_a_key_nothing_is_asked)
{
    expect_no_key(speak);
}
