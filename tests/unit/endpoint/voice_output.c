#include "endpoint/voice_output.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"
#include "base/crypto.h"
#include "endpoint/pipeline.h"
#include "upstream/audio.h"

/* Each test is a turn: what happens in it, told to output. */
static struct sb_engines engines;
static struct sb_voice voice;
static struct sb_voice_output *output;
static struct sb_voice_receiver to;
static struct sb_voice_reply reply;
static const char *session_id;
static enum sb_error (*turn)(void);

static const struct sb_hearing openai_hears = {.name = "openai"}, local_hears = {.name = "local"};
static const struct sb_thinking openai_thinks = {.name = "openai"},
                                local_thinks = {.name = "local"};
static const struct sb_speaking mp3 = {.name = "elevenlabs", .content_type = "audio/mpeg"},
                                pcm = {.name = "local"};

static enum sb_error take_turn(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    struct sb_voice_output made;
    voice = (struct sb_voice){.arena = request->arena, .pcm_rate_hz = 16000};
    reply = (struct sb_voice_reply){.text = "We open at nine.",
                                    .first_delta_us = -1,
                                    .thought_us = -1,
                                    .first_audio_us = -1,
                                    .spoken_us = -1};
    output = &made;
    sb_voice_output_open(output, request, &voice, &engines);
    output->session_id = session_id;
    to = sb_voice_output_receiver(output);
    enum sb_error error = turn();
    sb_voice_output_close(output);
    return error;
}

static const struct sb_endpoint endpoint = {
    .name = "test",
    .routes = (const struct sb_route[]){{.methods = SB_GET,
                                         .path = "",
                                         .handler = take_turn,
                                         .access = SB_ACCESS_PUBLIC,
                                         .reply = SB_REPLY_STREAM,
                                         .content_type = "application/json"},
                                        {.handler = NULL}}};

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    setenv("RATE_LIMIT_DEFAULT", "off", 1);
    call_site_open(&site, &endpoint);
    engines = (struct sb_engines){&local_hears, &local_thinks, &pcm, false};
    session_id = NULL;
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(voice_output, .init = setup, .fini = teardown, .timeout = 60);

static const struct call_answer *get(const char *accept)
{
    const char *param =
        accept == NULL ? "X=y" : sb_arena_printf(site.memory, "HTTP_ACCEPT=%s", accept);
    return call_send(&site, &(struct call){.target = "/api/test", .params = CALL_PARAMS(param)});
}

static const struct call_answer *run(const char *accept, enum sb_error (*what)(void))
{
    turn = what;
    return get(accept);
}

#define EVENTS "text/event-stream"

/* The data of the index-th event of that name, as JSON in the answer's place; NULL: there is none.
 */
static json_t *event(const struct call_answer *answer, const char *name, size_t index)
{
    const char *mark = sb_arena_printf(site.memory, "event: %s\ndata: ", name);
    const char *at = answer->body;
    while ((at = strstr(at, mark)) != NULL && index-- > 0)
        at++;
    if (at == NULL)
        return NULL;
    at += strlen(mark);
    struct call_answer *made = sb_arena_alloc(site.memory, sizeof *made);
    *made = (struct call_answer){.json = json_loadb(at, strcspn(at, "\n"), 0, NULL),
                                 .memory = site.memory,
                                 .next = site.answers};
    site.answers = made; /* to be released with the site */
    return made->json;
}

static const char *event_text(const struct call_answer *answer, const char *name, size_t index,
                              const char *member)
{
    return json_string_value(json_object_get(event(answer, name, index), member));
}

/* What a base64 text holds. */
static const char *decoded(const char *text, size_t *length)
{
    char *url = sb_arena_strdup(site.memory, text);
    unsigned char *data;
    for (char *c = url; *c != '\0'; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c == '=' ? '\0' : *c;
    cr_assert(sb_base64url_decode(site.memory, url, strlen(url), &data, length), "%.60s", text);
    return (const char *)data;
}

static bool hears(const char *text)
{
    if (output->hearing_us == 0)
        sb_voice_output_hearing(output);
    return sb_voice_output_transcript(output, text);
}

static bool thinks(const char *text)
{
    if (reply.first_delta_us < 0)
        reply.first_delta_us = 1000;
    return to.delta(to.context, text, strlen(text));
}

static bool speaks(size_t clause, const char *data, size_t length)
{
    if (reply.first_audio_us < 0)
        reply.first_audio_us = 3000;
    return to.audio(to.context, clause, data, length);
}

static bool ends_clause(size_t clause)
{
    reply.spoken_us = 5000;
    return to.clause_end(to.context, clause, "ignored");
}

static enum sb_error end(enum sb_error error)
{
    if (error == SB_OK)
        reply.thought_us = 2000;
    return sb_voice_output_end(output, error, &reply);
}

/* --- The form --- */

static enum sb_voice_form form;

static enum sb_error note_form(void)
{
    form = output->form;
    return SB_E_CONFLICT;
}

Test(voice_output, the_form_is_what_accept_asks_for)
{
    static const struct {
        const char *accept;
        enum sb_voice_form form;
    } rows[] = {{NULL, SB_VOICE_FORM_JSON},
                {"", SB_VOICE_FORM_JSON},
                {"*/*", SB_VOICE_FORM_JSON},
                {"application/json", SB_VOICE_FORM_JSON},
                {"application/json, audio/*", SB_VOICE_FORM_JSON},
                {"text/event-stream", SB_VOICE_FORM_EVENTS},
                {"application/json, text/event-stream", SB_VOICE_FORM_EVENTS},
                {"audio/mpeg", SB_VOICE_FORM_AUDIO},
                {"audio/*, */*;q=0.1", SB_VOICE_FORM_AUDIO},
                {"audio/mpeg, application/json", SB_VOICE_FORM_AUDIO},
                {"application/json;q=0.1, audio/*", SB_VOICE_FORM_AUDIO},
                {"AUDIO/WAV", SB_VOICE_FORM_AUDIO},
                {"audio/*;q=0", SB_VOICE_FORM_JSON},
                {"audio/*;q=0.1, application/json", SB_VOICE_FORM_JSON},
                {"audio/*;q=0.1, */*", SB_VOICE_FORM_JSON},
                {"audio/*, text/event-stream", SB_VOICE_FORM_EVENTS},
                {"Text/Event-Stream", SB_VOICE_FORM_EVENTS},
                {"text/event-stream;q=0", SB_VOICE_FORM_JSON},
                {"application/json, text/event-stream;q=0.5", SB_VOICE_FORM_JSON}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cr_expect_eq(run(rows[i].accept, note_form)->status, 409);
        cr_expect_eq(form, rows[i].form, "%s", rows[i].accept);
    }
}

/* --- JSON --- */

static enum sb_error whole_turn(void)
{
    bool good = hears("When do \"you\" open?") && thinks("We open ") && thinks("at nine.") &&
                speaks(0, "abcd", 4) && ends_clause(0) && speaks(1, "ef", 2) && ends_clause(1);
    cr_expect(good);
    return end(SB_OK);
}

Test(voice_output, json_holds_all_of_a_turn)
{
    session_id = "s1";
    const struct call_answer *answer = run("*/*", whole_turn);
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_expect_str_eq(call_header(answer, "Content-Type"), "application/json");
    cr_expect(json_is_true(call_json(answer, "success")));
    cr_expect_str_eq(call_text(answer, "transcript"), "When do \"you\" open?");
    cr_expect_str_eq(call_text(answer, "reply"), "We open at nine.");
    cr_expect_str_eq(call_text(answer, "format"), "audio/wav");
    cr_expect_str_eq(call_text(answer, "engine"), "local");
    cr_expect_str_eq(call_text(answer, "sessionId"), "s1");
    cr_expect_eq(strlen(call_text(answer, "traceId")), 32);
    cr_expect_eq(call_number(answer, "timings.llmMs"), 2);
    cr_expect_eq(call_number(answer, "timings.ttsMs"), 4, "from the first word on");
    cr_expect_geq(call_number(answer, "timings.sttMs"), 0);
    cr_expect_geq(call_number(answer, "timings.ttfaMs"), call_number(answer, "timings.sttMs"));
    cr_expect_geq(call_number(answer, "timings.totalMs"), call_number(answer, "timings.ttfaMs"));
    const char *timing = call_header(answer, "Server-Timing");
    cr_expect_not_null(strstr(timing, "stt;dur="), "%s", timing);
    cr_expect_not_null(strstr(timing, ", llm;dur=2.0, tts;dur=4.0, ttfa;dur="), "%s", timing);
}

static enum sb_error turn_of_a_slow_line(void)
{
    output->started_us -= 100000000; /* the recording took 100 s to arrive */
    sb_voice_output_hearing(output);
    output->hearing_us -= 2000000;
    cr_expect(hears("When?") && thinks("We") && speaks(0, "abcd", 4));
    return end(SB_OK);
}

Test(voice_output, hearing_does_not_count_the_sending)
{
    const struct call_answer *answer = run("*/*", turn_of_a_slow_line);
    cr_expect_geq(call_number(answer, "timings.sttMs"), 2000);
    cr_expect_lt(call_number(answer, "timings.sttMs"), 90000);
    cr_expect_geq(call_number(answer, "timings.totalMs"), 100000);
    answer = run("audio/*", turn_of_a_slow_line);
    const char *stt = strstr(call_header(answer, "Server-Timing"), "stt;dur=");
    cr_assert_not_null(stt);
    cr_expect_lt(strtod(stt + 8, NULL), 90000);
}

Test(voice_output, json_holds_the_samples_of_all_clauses_as_one_wav_file)
{
    unsigned char header[SB_AUDIO_WAV_HEADER_SIZE];
    size_t length;
    const char *file = decoded(call_text(run("*/*", whole_turn), "audio"), &length);
    sb_audio_wav_header(header, 16000, 6);
    cr_assert_eq(length, SB_AUDIO_WAV_HEADER_SIZE + 6);
    cr_expect_eq(memcmp(file, header, sizeof header), 0);
    cr_expect_eq(memcmp(file + sizeof header, "abcdef", 6), 0);
}

Test(voice_output, json_holds_sound_that_has_a_format_as_it_is)
{
    size_t length;
    engines = (struct sb_engines){&openai_hears, &openai_thinks, &mp3, true};
    const struct call_answer *answer = run("*/*", whole_turn);
    const char *file = decoded(call_text(answer, "audio"), &length);
    cr_expect(length == 6 && memcmp(file, "abcdef", 6) == 0);
    cr_expect_str_eq(call_text(answer, "format"), "audio/mpeg");
    cr_expect_str_eq(call_text(answer, "engine"), "openai+elevenlabs");
    cr_expect_null(call_json(answer, "sessionId"));
}

static enum sb_error typed_turn(void)
{
    cr_expect(thinks("Hi") && speaks(0, "abcd", 4) && ends_clause(0));
    return end(SB_OK);
}

Test(voice_output, of_a_typed_turn_nothing_was_heard)
{
    engines = (struct sb_engines){&openai_hears, &local_thinks, &mp3, true};
    const struct call_answer *answer = run("*/*", typed_turn);
    cr_expect(json_is_null(call_json(answer, "transcript")));
    cr_expect_str_eq(call_text(answer, "engine"), "local+elevenlabs");
    cr_expect_null(call_json(answer, "timings.sttMs"));
    cr_expect_eq(strncmp(call_header(answer, "Server-Timing"), "llm;dur=", 8), 0);
}

static enum sb_error silent_turn(void)
{
    return end(SB_OK);
}

Test(voice_output, a_reply_without_sound_has_none)
{
    const struct call_answer *answer = run("*/*", silent_turn);
    cr_assert_eq(answer->status, 200);
    cr_expect_str_eq(call_text(answer, "audio"), "", "not the header of an empty file");
    cr_expect_null(call_json(answer, "timings.ttsMs"));
    cr_expect_null(call_json(answer, "timings.ttfaMs"));
    cr_expect_geq(call_number(answer, "timings.totalMs"), 0);
}

enum { LONG = 3 * 49152 + 1 };
static char long_audio[1024 * 1024];

static void make_long_audio(void)
{
    for (size_t i = 0; i < sizeof long_audio; i++)
        long_audio[i] = (char)(i * 7 + i / 251);
}

static enum sb_error long_turn(void)
{
    cr_expect(speaks(0, long_audio, LONG));
    return end(SB_OK);
}

Test(voice_output, base64_in_pieces_is_the_base64_of_the_whole)
{
    size_t length;
    make_long_audio();
    engines.speaking = &mp3;
    const struct call_answer *answer = run("*/*", long_turn);
    const char *file = decoded(call_text(answer, "audio"), &length);
    cr_expect(length == LONG && memcmp(file, long_audio, LONG) == 0);
}

static enum sb_error endless_turn(void)
{
    size_t taken = 0;
    while (taken <= SB_VOICE_AUDIO_MAX && speaks(0, long_audio, sizeof long_audio))
        taken += sizeof long_audio;
    cr_expect_lt(taken, SB_VOICE_AUDIO_MAX);
    cr_expect_geq(taken, SB_VOICE_AUDIO_MAX - sizeof long_audio);
    return end(SB_E_UNAVAILABLE); /* as voice.c takes a receiver that refuses */
}

Test(voice_output, sound_over_the_cap_is_refused)
{
    cr_expect_eq(run("*/*", endless_turn)->status, 503);
}

static enum sb_error failed_turn(void)
{
    cr_expect(hears("When?") && thinks("We") && speaks(0, "abcd", 4));
    return end(SB_E_UPSTREAM_TIMEOUT);
}

Test(voice_output, a_turn_that_fails_is_an_error_and_nothing_else)
{
    const struct call_answer *answer = run("*/*", failed_turn);
    cr_expect_eq(answer->status, 504);
    cr_expect_str_eq(call_text(answer, "error.code"), "upstream_timeout");
    cr_expect_null(call_json(answer, "transcript"));
}

/* --- Events --- */

Test(voice_output, events_tell_sound_that_has_a_format_as_it_comes)
{
    engines = (struct sb_engines){&openai_hears, &openai_thinks, &mp3, true};
    session_id = "s1";
    const struct call_answer *answer = run(EVENTS, whole_turn);
    cr_assert_eq(answer->status, 200);
    cr_expect_str_eq(call_header(answer, "Content-Type"), EVENTS);
    cr_expect_eq(strncmp(call_header(answer, "Server-Timing"), "stt;dur=", 8), 0);
    cr_expect_str_eq(event_text(answer, "transcript", 0, "text"), "When do \"you\" open?");
    cr_expect_str_eq(event_text(answer, "delta", 0, "text"), "We open ");
    cr_expect_str_eq(event_text(answer, "delta", 1, "text"), "at nine.");
    static const struct {
        int clause;
        const char *data;
        bool last;
    } rows[] = {{0, "YWJjZA==", false}, {0, "", true}, {1, "ZWY=", false}, {1, "", true}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const json_t *audio = event(answer, "audio", i);
        cr_expect_eq(json_integer_value(json_object_get(audio, "clause")), rows[i].clause);
        cr_expect_str_eq(event_text(answer, "audio", i, "data"), rows[i].data);
        cr_expect_str_eq(event_text(answer, "audio", i, "format"), "audio/mpeg");
        cr_expect_eq(json_is_true(json_object_get(audio, "last")), rows[i].last, "%zu", i);
    }
    cr_expect_null(event(answer, "audio", SB_COUNT(rows)));
    cr_expect_str_eq(event_text(answer, "done", 0, "reply"), "We open at nine.");
    cr_expect_str_eq(event_text(answer, "done", 0, "engine"), "openai+elevenlabs");
    cr_expect_str_eq(event_text(answer, "done", 0, "sessionId"), "s1");
    cr_expect_eq(json_integer_value(json_object_get(
                     json_object_get(event(answer, "done", 0), "timings"), "llmMs")),
                 2);
    cr_expect(json_is_integer(
        json_object_get(json_object_get(event(answer, "done", 0), "timings"), "ttfaMs")));
    cr_expect_null(event(answer, "error", 0));
}

Test(voice_output, events_tell_samples_as_a_wav_file_of_each_clause)
{
    static const char *const samples[] = {"abcd", "ef"};
    const struct call_answer *answer = run(EVENTS, whole_turn);
    for (size_t i = 0; i < SB_COUNT(samples); i++) {
        unsigned char header[SB_AUDIO_WAV_HEADER_SIZE];
        size_t length, count = strlen(samples[i]);
        const char *file = decoded(event_text(answer, "audio", i, "data"), &length);
        sb_audio_wav_header(header, 16000, (int64_t)count);
        cr_assert_eq(length, sizeof header + count);
        cr_expect_eq(memcmp(file, header, sizeof header), 0);
        cr_expect_eq(memcmp(file + sizeof header, samples[i], count), 0);
        cr_expect_str_eq(event_text(answer, "audio", i, "format"), "audio/wav");
        cr_expect(json_is_true(json_object_get(event(answer, "audio", i), "last")));
    }
    cr_expect_null(event(answer, "audio", 2));
    cr_expect_not_null(
        json_object_get(json_object_get(event(answer, "done", 0), "timings"), "ttfaMs"));
}

static enum sb_error clause_of_much(void)
{
    cr_expect(speaks(0, long_audio, sizeof long_audio) && ends_clause(0));
    return end(SB_OK);
}

/* All that events hold of a clause; *last: how many said that they are the last. */
static const char *joined(const struct call_answer *answer, size_t *length, size_t *last)
{
    struct sb_buf all;
    const char *text;
    sb_buf_init(&all, site.memory, 4 * sizeof long_audio);
    *last = 0;
    for (size_t i = 0; (text = event_text(answer, "audio", i, "data")) != NULL; i++) {
        size_t count;
        const char *piece = decoded(text, &count);
        cr_expect_leq(count, 384 * 1024);
        sb_buf_add(&all, piece, count);
        *last += json_is_true(json_object_get(event(answer, "audio", i), "last"));
    }
    *length = all.length;
    return all.data;
}

Test(voice_output, much_sound_of_a_clause_goes_out_in_events_that_clients_take)
{
    size_t length, last;
    make_long_audio();
    const char *file = joined(run(EVENTS, clause_of_much), &length, &last);
    cr_assert_eq(length, SB_AUDIO_WAV_HEADER_SIZE + sizeof long_audio);
    cr_expect_eq(memcmp(file + SB_AUDIO_WAV_HEADER_SIZE, long_audio, sizeof long_audio), 0);
    cr_expect_eq(last, 1);
    engines.speaking = &mp3;
    file = joined(run(EVENTS, clause_of_much), &length, &last);
    cr_assert_eq(length, sizeof long_audio);
    cr_expect_eq(memcmp(file, long_audio, sizeof long_audio), 0);
    cr_expect_eq(last, 1);
}

static enum sb_error fails_at_once(void)
{
    return end(SB_E_UPSTREAM_ERROR);
}

static enum sb_error fails_after_hearing(void)
{
    cr_expect(hears("When?"));
    return end(SB_E_UPSTREAM_ERROR);
}

static enum sb_error fails_after_a_word(void)
{
    cr_expect(thinks("We"));
    return end(SB_E_UPSTREAM_ERROR);
}

Test(voice_output, an_error_is_an_event_once_there_was_one)
{
    const struct call_answer *answer = run(EVENTS, fails_at_once);
    cr_expect_eq(answer->status, 502);
    cr_expect_str_eq(call_text(answer, "error.code"), "upstream_error");
    enum sb_error (*const turns[])(void) = {fails_after_hearing, fails_after_a_word};
    for (size_t i = 0; i < SB_COUNT(turns); i++) {
        answer = run(EVENTS, turns[i]);
        cr_expect_eq(answer->status, 200);
        const json_t *error = json_object_get(event(answer, "error", 0), "error");
        cr_expect_str_eq(json_string_value(json_object_get(error, "code")), "upstream_error");
        cr_expect_gt(strlen(json_string_value(json_object_get(error, "message"))), 10);
        cr_expect_str_eq(event_text(answer, "error", 0, "traceId"),
                         call_header(answer, "X-Trace-Id"));
        cr_expect_null(event(answer, "error", 1));
        cr_expect_null(event(answer, "done", 0));
    }
}

static enum sb_error fails_after_a_ping(void)
{
    cr_expect(sb_voice_output_tick(output));
    sb_request_explain(output->request, "Said in so many words.");
    return end(SB_E_NO_SPEECH);
}

Test(voice_output, an_error_after_a_ping_is_the_last_event)
{
    const struct call_answer *answer = run(EVENTS, fails_after_a_ping);
    cr_expect_eq(answer->status, 200);
    cr_expect_eq(strncmp(answer->body, ": ping\n\nevent: error\n", 21), 0, "%s", answer->body);
    const json_t *error = json_object_get(event(answer, "error", 0), "error");
    cr_expect_str_eq(json_string_value(json_object_get(error, "code")), "no_speech");
    cr_expect_str_eq(json_string_value(json_object_get(error, "message")),
                     "Said in so many words.");
    cr_expect_null(event(answer, "error", 1));
    cr_expect_eq(run("*/*", fails_after_a_ping)->status, 422);
}

static enum sb_error goes_while_thinking(void)
{
    cr_expect(thinks("We"));
    struct sb_memory_request *client = output->request->pipeline->gateway->state;
    client->hang_up = true;
    return end(SB_OK);
}

Test(voice_output, who_is_gone_is_told_nothing_more)
{
    const struct call_answer *answer = run(EVENTS, goes_while_thinking);
    cr_expect_null(event(answer, "done", 0));
    cr_expect_null(event(answer, "error", 0));
}

/* --- Bare audio --- */

Test(voice_output, bare_samples_are_a_wav_stream_without_an_end)
{
    unsigned char header[SB_AUDIO_WAV_HEADER_SIZE];
    const struct call_answer *answer = run("audio/*", whole_turn);
    cr_assert_eq(answer->status, 200);
    cr_expect_str_eq(call_header(answer, "Content-Type"), "audio/wav");
    const char *timing = call_header(answer, "Server-Timing");
    cr_expect_eq(strncmp(timing, "stt;dur=", 8), 0);
    cr_expect_not_null(strstr(timing, ", ttfa;dur="), "%s", timing);
    sb_audio_wav_header(header, 16000, -1);
    cr_assert_eq(answer->body_length, sizeof header + 6);
    cr_expect_eq(memcmp(answer->body, header, sizeof header), 0);
    cr_expect_eq(memcmp(answer->body + sizeof header, "abcdef", 6), 0);
}

Test(voice_output, bare_sound_that_has_a_format_is_sent_as_it_is)
{
    engines.speaking = &mp3;
    const struct call_answer *answer = run("audio/mpeg", whole_turn);
    cr_expect_str_eq(call_header(answer, "Content-Type"), "audio/mpeg");
    cr_expect_str_eq(answer->body, "abcdef");
    answer = run("audio/mpeg", silent_turn);
    cr_expect_eq(answer->status, 200);
    cr_expect_str_eq(call_header(answer, "Content-Type"), "audio/mpeg");
    cr_expect_eq(answer->body_length, 0);
}

Test(voice_output, an_error_before_the_first_sound_is_an_ordinary_answer)
{
    const struct call_answer *answer = run("audio/*", fails_after_a_word);
    cr_expect_eq(answer->status, 502);
    cr_expect_str_eq(call_text(answer, "error.code"), "upstream_error");
}

/* --- While nothing happens --- */

static enum sb_error waits(void)
{
    cr_expect(sb_voice_output_tick(output));
    cr_expect(sb_voice_output_tick(output));
    return end(SB_OK);
}

Test(voice_output, a_wait_is_filled_with_comments_where_there_are_events)
{
    const struct call_answer *answer = run(EVENTS, waits);
    cr_expect_str_eq(call_header(answer, "Content-Type"), EVENTS);
    cr_expect_eq(strncmp(answer->body, ": ping\n\n: ping\n\nevent: done\n", 28), 0, "%s",
                 answer->body);
    answer = run("*/*", waits);
    cr_expect_eq(answer->body[0], '{');
    answer = run("audio/*", waits);
    cr_expect_eq(answer->body_length, 0);
}

static int refused;

static enum sb_error nobody_listens(void)
{
    refused = !sb_voice_output_tick(output);
    refused += !hears("When?");
    refused += !thinks("We");
    refused += !speaks(0, "abcd", 4);
    refused += !ends_clause(0);
    refused += !sb_voice_output_tick(output);
    return end(SB_OK);
}

Test(voice_output, a_client_that_is_gone_shows_in_all_that_is_sent)
{
    static const struct {
        const char *accept;
        int refused;
    } rows[] = {{"HTTP_ACCEPT=*/*", 0},                /* all is held back */
                {"HTTP_ACCEPT=audio/mpeg", 2},         /* the sound, and from then on */
                {"HTTP_ACCEPT=text/event-stream", 6}}; /* all */
    engines.speaking = &mp3;
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        turn = nobody_listens;
        const struct call_answer *answer =
            call_send(&site, &(struct call){.target = "/api/test",
                                            .params = CALL_PARAMS(rows[i].accept),
                                            .output_max = 1});
        cr_expect_eq(answer->status, 0);
        cr_expect_eq(refused, rows[i].refused, "%s: %d", rows[i].accept, refused);
    }
}
