#include "upstream/elevenlabs.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/cloud.h"

#define KEY "xi-key-of-the-tests"
#define OVER (9 * 1024 * 1024)

static void setup(void)
{
    cloud_setup();
    cloud_config.elevenlabs_api_key = KEY;
    cloud_config.elevenlabs_voice_id = "voice_1";
    cloud_config.elevenlabs_model = "model_1";
}

TestSuite(elevenlabs, .init = setup, .fini = cloud_teardown, .timeout = 60);

static enum sb_error speak_at(const char *url)
{
    struct sb_voice_task *task = NULL;
    cloud_config.elevenlabs_base_url = url;
    enum sb_error error = sb_elevenlabs_speaking.start(&cloud_voice, "We \"open\" at nine.",
                                                       cloud_sink, &cloud, &task);
    cr_expect_eq(task != NULL, error == SB_OK);
    return cloud_run(error, task);
}

static enum sb_error speak(void)
{
    return speak_at(cloud_start(""));
}

Test(elevenlabs, speech_is_asked_for_and_passed_on_as_it_is)
{
    cloud_tell(200, "audio/mpeg", "", "ID3 sound");
    cr_expect_eq(speak(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "ID3 sound");
    cr_expect_str_eq(sb_elevenlabs_speaking.content_type, "audio/mpeg");
    cr_expect_eq(strncmp(cloud.heads[0],
                         "POST /v1/text-to-speech/voice_1/stream?output_format=mp3_44100_128 HTTP",
                         71),
                 0, "%s", cloud.heads[0]);
    cr_expect_str_eq(script_header(&cloud, 0, "xi-api-key"), KEY);
    cr_expect_null(script_header(&cloud, 0, "Authorization"));
    cr_expect_str_eq(script_header(&cloud, 0, "Content-Type"), "application/json");
    cr_expect_not_null(strstr(script_header(&cloud, 0, "traceparent"), CLOUD_TRACE));
    cr_expect_str_eq(cloud.bodies[0],
                     "{\"text\":\"We \\\"open\\\" at nine.\",\"model_id\":\"model_1\"}");
}

Test(elevenlabs, a_refusal_names_the_variable_to_change)
{
    static const struct {
        int status;
        const char *body, *variable, *code;
    } rows[] = {
        {401, "{\"detail\":{\"status\":\"invalid_api_key\"}}", "ELEVENLABS_API_KEY",
         "invalid_api_key"},
        {403, "{\"detail\":{\"status\":\"only_for_creator\"}}", "ELEVENLABS_API_KEY",
         "only_for_creator"},
        {404, "{\"detail\":{\"status\":\"voice_not_found\"}}", "ELEVENLABS_VOICE_ID",
         "voice_not_found"},
        {400, "{\"detail\":{\"status\":\"model_deprecated\"}}", "ELEVENLABS_MODEL",
         "model_deprecated"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        size_t before = cloud_logged(rows[i].variable);
        cloud_tell(rows[i].status, "application/json", "", rows[i].body);
        cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR);
        script_free(&cloud);
        cr_expect_eq(cloud_logged(rows[i].variable), before + 1, "%s", rows[i].code);
        cr_expect_eq(cloud_logged(sb_arena_printf(cloud_voice.arena, "\"upstreamCode\":\"%s\"",
                                                  rows[i].code)),
                     2, "%s", rows[i].code);
    }
    cr_expect_eq(cloud_logged("\"elevenlabs.refused\""), SB_COUNT(rows));
    cr_expect_eq(cloud_logged("\"upstreamRequestId\":\"req_7\""), SB_COUNT(rows));
    cr_expect_eq(cloud_logged(KEY), 0);
    cr_expect_eq(cloud_heard.length, 0);
}

Test(elevenlabs, what_no_variable_mends_names_none)
{
    static const int statuses[] = {408, 429, 500, 503};
    for (size_t i = 0; i < SB_COUNT(statuses); i++) {
        cloud_tell(statuses[i], "application/json", "x-should-retry: false\r\n", "{}");
        cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR);
        script_free(&cloud);
    }
    cr_expect_eq(cloud_logged("\"upstream.fetch\""), SB_COUNT(statuses));
    cr_expect_eq(cloud_logged("\"variable\""), 0);
}

Test(elevenlabs, a_failure_before_the_first_byte_is_tried_again)
{
    cloud_tell(503, "application/json", "retry-after-ms: 1\r\n", "{}");
    cloud_tell(200, "audio/mpeg", "", "sound");
    cr_expect_eq(speak(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "sound");
    cr_expect_str_eq(cloud.bodies[1], cloud.bodies[0]);
}

Test(elevenlabs, a_page_in_place_of_sound_is_not_played)
{
    cloud_tell(200, "text/html", "", "<html>");
    cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_heard.length, 0);
    cr_expect_eq(cloud_logged("elevenlabs.malformed"), 1);
    cr_expect_eq(cloud.request_count, 1);
}

Test(elevenlabs, sound_of_no_length_is_none)
{
    cloud_tell(200, "audio/mpeg", "", "");
    cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_logged("elevenlabs.malformed"), 1);
}

Test(elevenlabs, bytes_of_no_kind_may_be_sound)
{
    cloud_tell(200, "application/octet-stream", "", "sound");
    cr_expect_eq(speak(), SB_OK);
    cr_expect_str_eq(cloud_heard.data, "sound");
}

Test(elevenlabs, sound_that_is_cut_off_is_an_error_and_not_asked_for_twice)
{
    cloud_break("audio/mpeg", "sou", SCRIPT_CUT);
    cloud_tell(200, "audio/mpeg", "", "sound");
    cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR);
    cr_expect_str_eq(cloud_heard.data, "sou");
    cr_expect_eq(cloud.request_count, 1);
}

Test(elevenlabs, what_is_no_http_is_an_error)
{
    for (int i = 0; i < 3; i++)
        script_add(&cloud, (struct script_answer){.body = "220 mail.example.com ESMTP\r\n\r\n"});
    cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_heard.length, 0);
}

Test(elevenlabs, nobody_there_is_an_error)
{
    cr_expect_eq(speak_at(cloud_nowhere()), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_logged("\"outcome\":\"unreachable\""), 1);
}

Test(elevenlabs, sound_that_keeps_coming_slowly_is_a_timeout)
{
    cloud_config.voice_timeout_s = 1;
    cloud_break("audio/mpeg", "x", SCRIPT_DRIP);
    cr_expect_eq(speak(), SB_E_UPSTREAM_TIMEOUT);
}

Test(elevenlabs, sound_that_stops_coming_is_a_timeout)
{
    cloud_config.voice_timeout_s = 1;
    cloud_break("audio/mpeg", "sou", SCRIPT_STUCK);
    cr_expect_eq(speak(), SB_E_UPSTREAM_TIMEOUT);
}

Test(elevenlabs, sound_without_end_is_cut_at_the_cap)
{
    char *endless = malloc(OVER + 1);
    memset(endless, 'x', OVER);
    endless[OVER] = '\0';
    cloud_tell(200, "audio/mpeg", "", endless);
    cr_expect_eq(speak(), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(cloud_logged("\"outcome\":\"too_large\""), 1);
    cr_expect_leq(cloud_heard.length, 8 * 1024 * 1024);
    script_free(&cloud);
    free(endless);
}

Test(elevenlabs, a_listener_who_refuses_ends_it)
{
    cloud_refuse_at = 1;
    cloud_break("audio/mpeg", "sou", SCRIPT_STUCK);
    cr_expect_eq(speak(), SB_E_INTERNAL);
    cr_expect_eq(cloud_logged("elevenlabs.malformed"), 0);
}

Test(elevenlabs, a_task_that_is_ended_hangs_up)
{
    struct sb_voice_task *task = NULL;
    cloud_break("audio/mpeg", "sou", SCRIPT_STUCK);
    cloud_config.elevenlabs_base_url = cloud_start("");
    cr_assert_eq(sb_elevenlabs_speaking.start(&cloud_voice, "Hi", cloud_sink, &cloud, &task),
                 SB_OK);
    while (cloud_heard.length == 0)
        cr_assert_eq(sb_voice_step(&cloud_voice, &task, 1, INT64_MAX), SB_OK);
    cr_expect_not(task->done);
    task->end(task);
    task->end(task);
    cr_expect_eq(sb_fetch_step(cloud_voice.session, 0, NULL, 0), 0, "a call is left");
}

Test(elevenlabs, without_a_key_nothing_is_asked)
{
    cloud_config.elevenlabs_api_key = NULL;
    cr_expect_eq(speak(), SB_E_MISCONFIGURED);
    cr_expect_eq(cloud.request_count, 0);
}

Test(elevenlabs, a_url_that_may_not_be_asked_gives_no_task)
{
    cr_expect_eq(speak_at("ftp://127.0.0.1"), SB_E_INTERNAL);
}
