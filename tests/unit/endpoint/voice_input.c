#include "endpoint/voice_input.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/call.h"

/* What was taken, copied before the request ends. */
static struct {
    bool taken;
    char text[4096], session_id[256], language[8], extension[8], demuxer[16];
    char head[4096];
    int64_t length;
    struct stat file;
} found;

static struct call_site site;

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from == NULL ? "-" : from);
}

/* How many recordings are open. */
static int open_files(void)
{
    int count = 0;
    DIR *fds = opendir("/proc/self/fd");
    for (struct dirent *entry = readdir(fds); entry != NULL; entry = readdir(fds)) {
        char path[4096];
        ssize_t length = readlinkat(dirfd(fds), entry->d_name, path, sizeof path - 1);
        path[length < 0 ? 0 : length] = '\0';
        count += strstr(path, "/temp_audio/") != NULL;
    }
    closedir(fds);
    return count;
}

static enum sb_error take(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    struct sb_voice_input input;
    enum sb_error error = sb_voice_input_take(request, &input);
    memset(&found, 0, sizeof found);
    if (error == SB_OK) {
        found.taken = true;
        copy(found.text, sizeof found.text, input.text);
        copy(found.session_id, sizeof found.session_id, input.session_id);
        copy(found.language, sizeof found.language, input.language);
        cr_expect_eq(input.recording.language, input.language);
    }
    if (error == SB_OK && input.text == NULL) {
        cr_expect_eq(open_files(), 1);
        copy(found.extension, sizeof found.extension, input.format->extension);
        copy(found.demuxer, sizeof found.demuxer, input.format->demuxer);
        found.length = input.recording.length;
        cr_expect_geq(pread(input.recording.fd, found.head, sizeof found.head - 1, 0), 0);
        cr_expect_eq(fstat(input.recording.fd, &found.file), 0);
        cr_expect_eq(input.recording.pcm_fd, -1);
    }
    sb_voice_input_close(&input);
    cr_expect_eq(input.recording.fd, -1);
    return error;
}

static const struct sb_endpoint endpoint = {
    .name = "test",
    .routes = (const struct sb_route[]){{.methods = SB_POST,
                                         .path = "",
                                         .handler = take,
                                         .access = SB_ACCESS_PUBLIC,
                                         .body = SB_BODY_STREAM,
                                         .body_max = SB_VOICE_BODY_MAX},
                                        {.handler = NULL}}};

static void setup(void)
{
    call_site_prepare(&site);
    setenv("RATE_LIMIT_DEFAULT", "off", 1);
    call_site_open(&site, &endpoint);
}

/* Whatever was sent: no file has a name. */
static void teardown(void)
{
    DIR *kept = opendir(call_path(&site, "state/temp_audio"));
    for (struct dirent *entry = kept == NULL ? NULL : readdir(kept); entry != NULL;
         entry = readdir(kept))
        cr_expect_eq(entry->d_name[0], '.', "%s", entry->d_name);
    if (kept != NULL)
        closedir(kept);
    call_site_close(&site);
}

TestSuite(voice_input, .init = setup, .fini = teardown, .timeout = 60);

static const struct call_answer *send_n(const char *type, const char *query, const void *body,
                                        size_t length)
{
    const struct call_answer *answer = call_send(
        &site,
        &(struct call){.target = sb_arena_printf(site.memory, "/api/test%s", query),
                       .params = CALL_PARAMS(sb_arena_printf(site.memory, "CONTENT_TYPE=%s", type),
                                             sb_arena_printf(site.memory, "QUERY_STRING=%s",
                                                             query + (*query == '?'))),
                       .method = "POST",
                       .body = body,
                       .body_length = length});
    cr_expect_eq(open_files(), 0, "a recording was left open");
    return answer;
}

static const struct call_answer *post(const char *type, const char *body)
{
    return send_n(type, "", body, strlen(body));
}

static void expect_error(const struct call_answer *answer, int status, const char *code)
{
    cr_expect_eq(answer->status, status, "%d %s", answer->status, answer->body);
    cr_expect_str_eq(call_text(answer, "error.code"), code, "%s", answer->body);
    cr_expect_not(found.taken);
}

static void expect_field(const struct call_answer *answer, const char *field, const char *code)
{
    expect_error(answer, 400, "validation_failed");
    cr_expect_str_eq(call_text(answer, "error.fields.0.field"), field, "%s", answer->body);
    cr_expect_str_eq(call_text(answer, "error.fields.0.code"), code, "%s", answer->body);
}

#define OGG "OggS recording of someone"
#define FORM_TYPE "multipart/form-data; boundary=b"
#define PART(head, content) "--b\r\nContent-Disposition: form-data; " head "\r\n\r\n" content "\r\n"

/* --- A raw recording --- */

Test(voice_input, a_recording_goes_to_a_file_without_a_name)
{
    cr_expect_eq(post("audio/webm;codecs=opus", OGG)->status, 200);
    cr_assert(found.taken);
    cr_expect_str_eq(found.head, OGG);
    cr_expect_eq(found.length, sizeof OGG - 1);
    cr_expect_eq(found.file.st_nlink, 0);
    cr_expect_eq(found.file.st_mode & 0777, 0600);
    cr_expect_eq(found.file.st_size, sizeof OGG - 1);
    cr_expect_str_eq(found.text, "-");
    cr_expect_str_eq(found.session_id, "-");
    cr_expect_str_eq(found.language, "-");
    struct stat directory;
    cr_assert_eq(stat(call_path(&site, "state/temp_audio"), &directory), 0);
    cr_expect_eq(directory.st_mode & 0777, 0700);
    cr_expect_eq(directory.st_dev, found.file.st_dev);
}

Test(voice_input, a_recording_is_what_it_begins_like_and_not_what_it_is_called)
{
    post("audio/wav", OGG);
    cr_expect_str_eq(found.extension, "ogg");
    cr_expect_str_eq(found.demuxer, "ogg");
    static const char *const types[] = {"AUDIO/x-anything", "video/webm", "Video/MP4; codecs=x",
                                        "application/octet-stream"};
    for (size_t i = 0; i < SB_COUNT(types); i++) {
        post(types[i], OGG);
        cr_expect_str_eq(found.head, OGG, "%s", types[i]);
    }
}

Test(voice_input, the_fields_of_a_raw_recording_are_in_the_query)
{
    cr_expect_eq(send_n("audio/ogg", "?sessionId=s1&language=de", OGG, sizeof OGG - 1)->status,
                 200);
    cr_expect_str_eq(found.session_id, "s1");
    cr_expect_str_eq(found.language, "de");
    expect_field(send_n("audio/ogg", "?text=hello", OGG, sizeof OGG - 1), "text", "not_allowed");
    expect_field(send_n("audio/ogg", "?nonsense=1", OGG, sizeof OGG - 1), "nonsense", "unknown");
    expect_field(send_n("audio/ogg", "?language=D1", OGG, sizeof OGG - 1), "language", "format");
    expect_field(send_n("audio/ogg", "?language=d%7B", OGG, sizeof OGG - 1), "language", "format");
}

Test(voice_input, other_types_are_unsupported_and_say_what_is_taken)
{
    static const char *const types[] = {
        "", "text/plain", "video/ogg", "image/png", "audio", "application/x-www-form-urlencoded"};
    for (size_t i = 0; i < SB_COUNT(types); i++) {
        const struct call_answer *answer = post(types[i], OGG);
        expect_error(answer, 415, "unsupported_media_type");
        cr_expect_not_null(strstr(call_text(answer, "error.message"), "multipart/form-data"));
    }
}

Test(voice_input, what_begins_like_no_recording_is_unsupported)
{
    const struct call_answer *answer = post("audio/wav", "#EXTM3U\nfile:///etc/passwd\n");
    expect_error(answer, 415, "unsupported_media_type");
    cr_expect_not_null(strstr(call_text(answer, "error.message"), "WAV, WebM, Ogg"));
}

Test(voice_input, an_empty_recording_is_no_speech)
{
    expect_error(post("audio/wav", ""), 422, "no_speech");
    expect_error(post(FORM_TYPE, PART("name=audio", "") "--b--"), 422, "no_speech");
}

Test(voice_input, a_recording_over_the_cap_is_refused_and_at_the_cap_taken)
{
    char *body = calloc(1, SB_VOICE_RECORDING_MAX + 1);
    memcpy(body, OGG, sizeof OGG);
    expect_error(send_n("audio/ogg", "", body, SB_VOICE_RECORDING_MAX + 1), 413, "body_too_large");
    cr_expect_eq(send_n("audio/ogg", "", body, SB_VOICE_RECORDING_MAX)->status, 200);
    cr_expect_eq(found.length, SB_VOICE_RECORDING_MAX);
    free(body);
}

Test(voice_input, a_body_that_breaks_off_is_an_invalid_request)
{
    const struct call_answer *answer = call_send(
        &site,
        &(struct call){.target = "/api/test",
                       .body = OGG,
                       .params = CALL_PARAMS("CONTENT_TYPE=audio/ogg", "CONTENT_LENGTH=1000")});
    expect_error(answer, 400, "invalid_request");
}

Test(voice_input, no_place_for_recordings_is_unavailable_and_names_the_directory)
{
    base_file_write(call_path(&site, "state/temp_audio"), "a file in its place");
    expect_error(post("audio/ogg", OGG), 503, "unavailable");
    expect_error(post(FORM_TYPE, PART("name=audio", OGG) "--b--"), 503, "unavailable");
    cr_expect(call_file_has(&site, "log/switchboard.log", "\"temp_audio.failed\""));
    cr_expect(call_file_has(&site, "log/switchboard.log", "\"variable\":\"STATE_DIR\""));
    unlink(call_path(&site, "state/temp_audio"));
}

/* --- JSON --- */

Test(voice_input, a_typed_turn_is_json)
{
    cr_expect_eq(post("application/json; charset=utf-8",
                      "{\"text\":\"Hi\",\"sessionId\":\"s1\",\"language\":\"en\"}")
                     ->status,
                 200);
    cr_expect_str_eq(found.text, "Hi");
    cr_expect_str_eq(found.session_id, "s1");
    cr_expect_str_eq(found.language, "en");
}

Test(voice_input, json_that_is_wrong_says_what)
{
    expect_error(post("application/json", ""), 400, "invalid_json");
    expect_error(post("application/json", "[]"), 400, "invalid_json");
    expect_error(post("application/json", "{\"text\":\"a\"} {"), 400, "invalid_json");
    expect_field(post("application/json", "{}"), "text", "required");
    expect_field(post("application/json", "{\"text\":7}"), "text", "type");
    expect_field(post("application/json", "{\"text\":\"a\",\"language\":\"eN\"}"), "language",
                 "format");
    expect_field(post("application/json", "{\"text\":\"a\",\"language\":\"engl\"}"), "language",
                 "too_long");
    expect_field(post("application/json", "{\"text\":\"a\",\"sessionId\":\"a b\"}"), "sessionId",
                 "format");
}

Test(voice_input, json_over_its_cap_is_refused)
{
    static char body[SB_JSON_BODY_MAX + 2];
    memset(body, ' ', sizeof body - 1);
    memcpy(body, "{\"text\":\"a\"}", 12);
    expect_error(post("application/json", body), 413, "body_too_large");
    body[sizeof body - 2] = '\0';
    cr_expect_eq(post("application/json", body)->status, 200);
}

/* --- A form --- */

Test(voice_input, a_form_holds_a_recording_and_fields_in_any_order)
{
    static const char form[] =
        PART("name=language", "de") PART("name=\"audio\"; filename=\"a.wav\"", OGG "\r\n--x")
            PART("name=sessionId", "s1") "--b--";
    for (size_t read_max = 1; read_max < 40; read_max++) {
        const struct call_answer *answer =
            call_send(&site, &(struct call){.target = "/api/test",
                                            .body = form,
                                            .read_max = read_max,
                                            .params = CALL_PARAMS("CONTENT_TYPE=" FORM_TYPE)});
        cr_assert_eq(answer->status, 200, "%s", answer->body);
        cr_expect_str_eq(found.head, OGG "\r\n--x");
        cr_expect_eq(found.length, sizeof OGG - 1 + 5);
        cr_expect_str_eq(found.extension, "ogg");
        cr_expect_str_eq(found.language, "de");
        cr_expect_str_eq(found.session_id, "s1");
        cr_expect_str_eq(found.text, "-");
    }
}

/* The calls of this process that wrote so far. */
static long written(void)
{
    char text[4096], *at;
    FILE *file = fopen("/proc/self/io", "re");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    at = strstr(text, "syscw: ");
    cr_assert_not_null(at);
    return strtol(at + 7, NULL, 10);
}

Test(voice_input, a_recording_of_line_ends_is_not_written_byte_by_byte)
{
    enum { LINE_ENDS = 200000 };
    static const char begin[] = PART("name=audio", OGG);
    static char form[sizeof begin + LINE_ENDS + 16];
    size_t length = strlen(begin) - 2; /* the part goes on */
    memcpy(form, begin, length);
    memset(form + length, '\r', LINE_ENDS);
    memcpy(form + length + LINE_ENDS, "\r\n--b--", 8);
    long before = written();
    cr_assert_eq(post(FORM_TYPE, form)->status, 200);
    cr_expect_lt(written() - before, 1000);
    cr_expect_eq(found.length, (int64_t)sizeof OGG - 1 + LINE_ENDS);
}

Test(voice_input, a_form_may_hold_a_text_instead)
{
    cr_expect_eq(post(FORM_TYPE, PART("name=text", "Gr\xc3\xbc\xc3\x9f Gott") "--b--")->status,
                 200);
    cr_expect_str_eq(found.text, "Gr\xc3\xbc\xc3\x9f Gott");
}

Test(voice_input, a_form_needs_one_of_recording_and_text)
{
    expect_field(post(FORM_TYPE, PART("name=language", "en") "--b--"), "audio", "required");
    expect_field(post(FORM_TYPE, PART("name=text", "a") PART("name=audio", OGG) "--b--"), "audio",
                 "not_allowed");
    expect_field(post(FORM_TYPE, PART("name=audio", OGG) PART("name=audio", OGG) "--b--"), "audio",
                 "format");
}

Test(voice_input, fields_of_a_form_are_held_against_their_table)
{
    expect_field(post(FORM_TYPE, PART("name=audio", OGG) PART("name=colour", "x") "--b--"),
                 "colour", "unknown");
    expect_field(post(FORM_TYPE, PART("name=text", "\xff") "--b--"), "text", "format");
    expect_field(send_n(FORM_TYPE, "", PART("name=text", "a\0b") "--b--",
                        sizeof(PART("name=text", "a\0b") "--b--") - 1),
                 "text", "format");
    expect_field(post(FORM_TYPE, PART("name=text", "") "--b--"), "text", "too_short");
    expect_error(post(FORM_TYPE, PART("name=text", "a") PART("name=text", "b") "--b--"), 400,
                 "invalid_multipart");
    const char *longest =
        sb_arena_printf(site.memory, PART("name=text", "%0*d") "--b--", 16 * 1024, 0);
    expect_error(post(FORM_TYPE, longest), 413, "body_too_large");
}

Test(voice_input, a_form_that_is_malformed_is_refused)
{
    expect_error(post(FORM_TYPE, PART("name=audio", OGG)), 400, "invalid_multipart");
    expect_error(post("multipart/form-data", PART("name=audio", OGG) "--b--"), 400,
                 "invalid_multipart");
    expect_error(post(FORM_TYPE, "--b--"), 400, "invalid_multipart");
    expect_error(post(FORM_TYPE, PART("filename=a", OGG) "--b--"), 400, "invalid_multipart");
}

Test(voice_input, a_recording_in_a_form_has_the_same_cap)
{
    static const char head[] = "--b\r\nContent-Disposition: form-data; name=audio\r\n\r\n";
    size_t length = sizeof head - 1 + SB_VOICE_RECORDING_MAX + 1 + 8;
    char *body = calloc(1, length);
    memcpy(body, head, sizeof head - 1);
    memcpy(body + sizeof head - 1, OGG, sizeof OGG);
    memcpy(body + length - 8, "\r\n--b--", 7);
    expect_error(send_n(FORM_TYPE, "", body, length), 413, "body_too_large");
    free(body);
}
