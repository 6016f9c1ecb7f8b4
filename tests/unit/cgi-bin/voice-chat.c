#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../support/call.h"
#include "http/sse.h"
#include "upstream/audio.h"

static struct call_site site;

static void set_up(void)
{
    char file[4096];
    call_site_prepare(&site);
    setenv("ALLOW_NO_ORIGIN", "true", 1);
    setenv("RATE_LIMIT_VOICE_CHAT", "off", 1);
    setenv("RECEPTIONIST_FILE", realpath("etc/receptionist.json", file), 1);
}

static void tear_down(void)
{
    call_site_close(&site);
}

TestSuite(voice_chat, .init = set_up, .fini = tear_down, .timeout = 60);

static const struct call_answer *say(const char *type, const char *accept, const void *body,
                                     size_t length)
{
    char content_type[256], accepts[128];
    if (site.worker.runtime == NULL)
        call_site_open(&site, &sb_endpoint);
    snprintf(content_type, sizeof content_type, "CONTENT_TYPE=%s", type);
    snprintf(accepts, sizeof accepts, "HTTP_ACCEPT=%s", accept);
    return call_send(&site, &(struct call){.target = "/api/voice-chat",
                                           .method = "POST",
                                           .token = call_token(&site, "caller"),
                                           .params = CALL_PARAMS(content_type, accepts),
                                           .body = body,
                                           .body_length = length,
                                           .read_max = 777});
}

static const struct call_answer *say_json(const char *body)
{
    return say("application/json", "*/*", body, strlen(body));
}

static void expect_error(const struct call_answer *answer, int status, const char *code)
{
    cr_expect_eq(answer->status, status, "%d %s", answer->status, answer->body);
    cr_expect_str_eq(call_text(answer, "error.code"), code);
}

/* Whether nothing is left where recordings are kept. */
static bool nothing_left(void)
{
    DIR *directory = opendir(call_path(&site, "state/temp_audio"));
    size_t entries = 0;
    while (directory != NULL && readdir(directory) != NULL)
        entries++;
    if (directory != NULL)
        closedir(directory);
    return entries == 2;
}

Test(voice_chat, a_typed_turn_is_answered_and_spoken)
{
    const struct call_answer *answer = say_json("{\"text\":\"where can I park my car\"}");
    cr_assert_eq(answer->status, 200, "%d %s", answer->status, answer->body);
    cr_expect_str_eq(call_header(answer, "Content-Type"), "application/json");
    cr_expect_str_eq(call_text(answer, "reply"), "Yes, there is free parking behind the building.");
    cr_expect_str_eq(call_text(answer, "engine"), "local");
    cr_expect_str_eq(call_text(answer, "format"), "audio/wav");
    cr_expect(json_is_null(call_json(answer, "transcript")));
    cr_expect_eq(strncmp(call_text(answer, "audio"), "UklGR", 5), 0, "RIFF");
    cr_expect_geq(call_number(answer, "timings.ttfaMs"), 0);
    cr_expect_eq(call_count(&site, "SELECT turns FROM usage"), 1);
    cr_expect_eq(call_count(&site, "SELECT tokens FROM usage"), 0, "of a model alone");
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM reservations"), 0);
    cr_expect_not_null(strstr(call_header(answer, "Server-Timing"), "tts;dur="));
}

Test(voice_chat, events_tell_the_same_as_it_goes)
{
    static const char body[] = "{\"text\":\"where can I park my car\"}";
    const struct call_answer *answer =
        say("application/json", "text/event-stream", body, sizeof body - 1);
    cr_assert_eq(answer->status, 200);
    cr_expect_str_eq(call_header(answer, "Content-Type"), "text/event-stream");
    const char *delta = strstr(answer->body, "event: delta\n"),
               *audio = strstr(answer->body, "event: audio\n"),
               *done = strstr(answer->body, "event: done\n");
    cr_assert(delta != NULL && audio != NULL && done != NULL, "%.200s", answer->body);
    cr_expect(delta < audio && audio < done);
    cr_expect_null(strstr(answer->body, "event: error"));
}

Test(voice_chat, the_bare_audio_is_a_wav_stream)
{
    static const char body[] = "{\"text\":\"hello\"}";
    const struct call_answer *answer = say("application/json", "audio/*", body, sizeof body - 1);
    cr_assert_eq(answer->status, 200);
    cr_expect_str_eq(call_header(answer, "Content-Type"), "audio/wav");
    cr_expect_eq(memcmp(answer->body, "RIFF\xff\xff\xff\xffWAVE", 12), 0);
    cr_expect_gt(answer->body_length, 8000);
}

Test(voice_chat, fields_are_held_against_their_table)
{
    expect_error(say_json("{}"), 400, "validation_failed");
    expect_error(say_json("{\"text\":\"\"}"), 400, "validation_failed");
    expect_error(say_json("{\"text\":\" \\r\\n\\t \"}"), 400, "validation_failed");
    expect_error(say_json("{\"text\":\"a\",\"nonsense\":1}"), 400, "validation_failed");
    expect_error(say_json("{\"text\":\"a\",\"language\":\"E1\"}"), 400, "validation_failed");
    expect_error(say_json("{\"text\":"), 400, "invalid_json");
    expect_error(say_json(""), 400, "invalid_json");
}

#define PART(head, content) "--b\r\nContent-Disposition: form-data; " head "\r\n\r\n" content "\r\n"
#define FORM(body) say("multipart/form-data; boundary=b", "*/*", body, strlen(body))

Test(voice_chat, a_form_needs_either_a_recording_or_a_text)
{
    expect_error(FORM(PART("name=language", "en") "--b--"), 400, "validation_failed");
    expect_error(FORM(PART("name=text", "a") PART("name=audio", "b") "--b--"), 400,
                 "validation_failed");
    expect_error(FORM(PART("name=audio", "a") PART("name=audio", "b") "--b--"), 400,
                 "validation_failed");
    expect_error(FORM(PART("name=text", "a") PART("name=text", "b") "--b--"), 400,
                 "invalid_multipart");
    expect_error(FORM(PART("name=text", "\xff") "--b--"), 400, "validation_failed");
    expect_error(FORM(PART("name=text", "a")), 400, "invalid_multipart");
    cr_expect_eq(FORM(PART("name=text", "hello") "--b--")->status, 200);
    cr_expect(nothing_left());
}

Test(voice_chat, what_is_no_recording_is_unsupported)
{
    expect_error(say("text/plain", "*/*", "hello", 5), 415, "unsupported_media_type");
    expect_error(say("audio/wav", "*/*", "#EXTM3U\n/etc/passwd", 19), 415,
                 "unsupported_media_type");
    cr_expect(nothing_left());
}

Test(voice_chat, silence_is_no_speech_and_nobody_is_asked)
{
    static unsigned char wav[SB_AUDIO_WAV_HEADER_SIZE + 64000];
    setenv("STT_COMMAND", "no-such-program-here", 1); /* would be a misconfiguration */
    sb_audio_wav_header(wav, 16000, 64000);
    expect_error(say("audio/wav", "*/*", wav, sizeof wav), 422, "no_speech");
    expect_error(say("audio/wav", "*/*", "", 0), 422, "no_speech");
    expect_error(say("audio/wav", "*/*", wav, SB_AUDIO_WAV_HEADER_SIZE + 100), 422, "no_speech");
    cr_expect(nothing_left());
}

Test(voice_chat, a_recording_that_is_too_long_is_413_and_nobody_is_asked)
{
    enum { LONGEST = 119 * 2 * SB_AUDIO_RATE_HZ };
    static unsigned char wav[SB_AUDIO_WAV_HEADER_SIZE + SB_AUDIO_PCM_MAX + 3200];
    const int64_t too_long[] = {LONGEST + 2, SB_AUDIO_PCM_MAX, SB_AUDIO_PCM_MAX + 3200};
    setenv("STT_COMMAND", "no-such-program-here", 1); /* would be a misconfiguration */
    for (size_t i = SB_AUDIO_WAV_HEADER_SIZE; i < sizeof wav; i += 40)
        wav[i + 1] = 0x20; /* loud enough to be asked about */
    for (size_t i = 0; i < SB_COUNT(too_long); i++) {
        sb_audio_wav_header(wav, SB_AUDIO_RATE_HZ, too_long[i]);
        expect_error(say("audio/wav", "*/*", wav, SB_AUDIO_WAV_HEADER_SIZE + (size_t)too_long[i]),
                     413, "body_too_large");
    }
    sb_audio_wav_header(wav, SB_AUDIO_RATE_HZ, LONGEST);
    expect_error(say("audio/wav", "*/*", wav, SB_AUDIO_WAV_HEADER_SIZE + LONGEST), 503,
                 "misconfigured");
    cr_expect(call_file_has(&site, "log/switchboard.log", "\"variable\":\"STT_COMMAND\""));
    cr_expect(nothing_left());
}

Test(voice_chat, where_there_is_no_room_for_what_is_decoded_the_log_says_so)
{
    static unsigned char wav[SB_AUDIO_WAV_HEADER_SIZE + 100];
    const struct rlimit room = {1000000, RLIM_INFINITY};
    sb_audio_wav_header(wav, 8000, 100);
    setenv("DECODE_COMMAND", "head -c 3000000 /dev/zero", 1);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &room), 0);
    expect_error(say("audio/wav", "*/*", wav, sizeof wav), 503, "unavailable");
    cr_expect(call_file_has(&site, "log/switchboard.log", "\"variable\":\"STATE_DIR\""));
    cr_expect(nothing_left());
}

Test(voice_chat, a_program_that_fails_is_a_clean_error)
{
    setenv("TTS_COMMAND", "false", 1);
    expect_error(say_json("{\"text\":\"hello\"}"), 502, "upstream_error");
}

Test(voice_chat, a_receptionist_that_cannot_be_read_is_a_misconfiguration)
{
    setenv("RECEPTIONIST_FILE", "/nonexistent.json", 1);
    expect_error(say_json("{\"text\":\"hello\"}"), 503, "misconfigured");
    cr_expect(call_file_has(&site, "log/switchboard.log", "RECEPTIONIST_FILE"));
}

Test(voice_chat, an_error_before_the_first_event_is_an_ordinary_answer)
{
    const struct call_answer *answer = say("application/json", "text/event-stream", "{", 1);
    expect_error(answer, 400, "invalid_json");
    cr_expect_str_eq(call_header(answer, "Content-Type"), "application/json");
}

Test(voice_chat, a_turn_of_a_session_is_kept_and_told_to_the_next)
{
    const struct call_answer *answer =
        say_json("{\"text\":\"where can I park my car\",\"sessionId\":\"s1\"}");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_expect_str_eq(call_text(answer, "sessionId"), "s1");
    cr_expect_eq(say_json("{\"text\":\"hello\",\"sessionId\":\"s1\"}")->status, 200);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM transcript_items"), 4);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM sessions WHERE kind = 'voice'"), 1);
    cr_expect_eq(say_json("{\"text\":\"hello\"}")->status, 200);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM transcript_items"), 4);
}

Test(voice_chat, a_budget_that_is_used_up_is_429_before_anything_is_spent)
{
    setenv("BUDGET_USER_TURNS", "1", 1);
    cr_expect_eq(say_json("{\"text\":\"hello\"}")->status, 200);
    setenv("TTS_COMMAND", "false", 1);
    const struct call_answer *answer = say_json("{\"text\":\"hello\",\"sessionId\":\"s1\"}");
    expect_error(answer, 429, "budget_exceeded");
    cr_expect_not_null(strstr(call_text(answer, "error.message"), "turns"));
    cr_expect_not_null(call_header(answer, "Retry-After"));
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM sessions"), 0);
}
