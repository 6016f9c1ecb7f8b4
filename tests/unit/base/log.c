#include "base/log.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/base.h"
#include "base/clock.h"

enum { LINE_MAX_BYTES = 8 * 1024, ROTATION_DEADLINE_US = 10 * 1000 * 1000 };

static char directory[BASE_DIR_SIZE];
static char *main_path, *audit_path;

static void setup(void)
{
    base_dir_make(directory);
    main_path = base_path(directory, "switchboard.log");
    audit_path = base_path(directory, "audit.log");
    sb_log_open(directory, "health", SB_LOG_DEBUG);
}

static void teardown(void)
{
    sb_log_open(NULL, NULL, SB_LOG_INFO);
    free(main_path);
    free(audit_path);
    base_dir_remove(directory);
}

TestSuite(log, .init = setup, .fini = teardown);

/* Takes the first line off *text and parses it; NULL: no more lines. Ends the test if what is there
 * is not a whole line of JSON. */
static json_t *next_line(const char **text)
{
    if (**text == '\0')
        return NULL;
    const char *end = strchr(*text, '\n');
    cr_assert_not_null(end, "torn: %s", *text);
    json_t *line = json_loadb(*text, (size_t)(end - *text), JSON_REJECT_DUPLICATES, NULL);
    cr_assert(json_is_object(line), "not JSON: %.*s", (int)(end - *text), *text);
    *text = end + 1;
    return line;
}

/* The only line of the file. */
static json_t *only_line(const char *path)
{
    char *text = base_file_read(path);
    cr_assert_not_null(text, "%s", path);
    const char *at = text;
    json_t *line = next_line(&at);
    cr_assert_not_null(line, "%s is empty", path);
    cr_assert_str_empty(at, "more than one line: %s", text);
    free(text);
    return line;
}

static const char *text_of(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));
    return text == NULL ? "(none)" : text;
}

static size_t lines_in(const char *path)
{
    char *text = base_file_read(path);
    size_t count = text == NULL ? 0 : base_count(text, "\n");
    free(text);
    return count;
}

Test(log, a_line_holds_all_it_was_given)
{
    int64_t before_ms = sb_clock_now_ms();
    SB_LOG(SB_LOG_WARN, "db.open", "0af7651916cd43dd8448eb211c80319c",
           SB_LOG_TEXT("reason", "full"), SB_LOG_INT("errno", -28));
    int64_t after_ms = sb_clock_now_ms();
    json_t *line = only_line(main_path);
    cr_assert_eq(json_object_size(line), 7);
    char before[SB_CLOCK_TEXT_SIZE], after[SB_CLOCK_TEXT_SIZE];
    sb_clock_format(before_ms, before);
    sb_clock_format(after_ms, after);
    const char *ts = text_of(line, "ts");
    cr_assert(strcmp(ts, before) >= 0 && strcmp(ts, after) <= 0, "%s", ts);
    cr_assert_str_eq(text_of(line, "level"), "warn");
    cr_assert_str_eq(text_of(line, "event"), "db.open");
    cr_assert_str_eq(text_of(line, "endpoint"), "health");
    cr_assert_str_eq(text_of(line, "traceId"), "0af7651916cd43dd8448eb211c80319c");
    cr_assert_str_eq(text_of(line, "reason"), "full");
    cr_assert_eq(json_integer_value(json_object_get(line, "errno")), -28);
    json_decref(line);
}

Test(log, trace_id_and_endpoint_are_left_out_where_there_is_none)
{
    sb_log_open(directory, NULL, SB_LOG_DEBUG);
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", 1));
    SB_LOG(SB_LOG_INFO, "b", "", SB_LOG_INT("n", 2));
    char *text = base_file_read(main_path);
    cr_assert_eq(base_count(text, "\n"), 2);
    cr_assert_null(strstr(text, "traceId"));
    cr_assert_null(strstr(text, "endpoint"));
    free(text);
}

Test(log, a_text_that_is_null_is_logged_as_empty)
{
    const char *volatile nothing = NULL;
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_TEXT("reason", nothing));
    json_t *line = only_line(main_path);
    cr_assert_str_eq(text_of(line, "reason"), "");
    json_decref(line);
}

Test(log, no_value_can_end_a_line_or_forge_a_field)
{
    static const char evil[] =
        "x\n{\"level\":\"error\"}\r\n\",\"level\":\"forged\",\"y\":\"\x1b[2J\x7f"
        "\\\xFF\xC0\xAF";
    sb_log_open(directory, evil, SB_LOG_DEBUG);
    const struct sb_log_field field = {evil, evil, 0};
    sb_log_write(SB_LOG_FILE_MAIN, SB_LOG_INFO, evil, evil, &field, 1);
    json_t *line = only_line(main_path);
    cr_assert_eq(json_object_size(line), 6);
    cr_assert_str_eq(text_of(line, "level"), "info");
    json_decref(line);
    char *text = base_file_read(main_path);
    for (const char *at = text; at[1] != '\0'; at++)
        cr_assert((unsigned char)*at >= 0x20 && *at != 0x7F, "byte %d", *at);
    free(text);
}

Test(log, lines_below_the_level_are_dropped)
{
    for (int level = 0; level < SB_LOG_LEVEL__MAX; level++) {
        unlink(main_path);
        sb_log_open(directory, "health", (enum sb_log_level)level);
        for (int written = 0; written < SB_LOG_LEVEL__MAX; written++)
            SB_LOG((enum sb_log_level)written, "a", NULL, SB_LOG_INT("n", 1));
        char *text = base_file_read(main_path);
        for (int written = 0; written < SB_LOG_LEVEL__MAX; written++) {
            char member[32];
            snprintf(member, sizeof member, "\"level\":\"%s\"", sb_log_level_names[written]);
            cr_expect_eq(base_count(text, member), written >= level, "%s at level %s", member,
                         sb_log_level_names[level]);
        }
        free(text);
    }
}

Test(log, the_audit_file_takes_every_level_and_nothing_of_the_main_file)
{
    sb_log_open(directory, "health", SB_LOG_ERROR);
    const struct sb_log_field field = SB_LOG_TEXT("who", "user_1");
    sb_log_write(SB_LOG_FILE_AUDIT, SB_LOG_DEBUG, "leads.read", NULL, &field, 1);
    SB_LOG(SB_LOG_ERROR, "db.open", NULL, SB_LOG_INT("n", 1));
    json_t *line = only_line(audit_path);
    cr_assert_str_eq(text_of(line, "event"), "leads.read");
    json_decref(line);
    line = only_line(main_path);
    cr_assert_str_eq(text_of(line, "event"), "db.open");
    json_decref(line);
}

Test(log, level_names_end_with_null)
{
    for (int level = 0; level < SB_LOG_LEVEL__MAX; level++)
        cr_assert_not_null(sb_log_level_names[level]);
    cr_assert_null(sb_log_level_names[SB_LOG_LEVEL__MAX]);
}

/* Writes one line whose field is so long and tells whether the field is in it. */
static bool field_survives(size_t length)
{
    static char text[2 * LINE_MAX_BYTES];
    memset(text, 'x', length);
    text[length] = '\0';
    unlink(main_path);
    sb_log_open(directory, "health", SB_LOG_DEBUG);
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", 1), SB_LOG_TEXT("long", text));
    json_t *line = only_line(main_path);
    bool survives = strcmp(text_of(line, "long"), text) == 0;
    json_int_t dropped = json_integer_value(json_object_get(line, "fieldsDropped"));
    cr_assert_eq(dropped, survives ? 0 : 2);
    cr_assert_eq(json_object_get(line, "n") != NULL, survives);
    json_decref(line);
    struct stat st;
    cr_assert_eq(stat(main_path, &st), 0);
    cr_assert_leq(st.st_size, LINE_MAX_BYTES);
    return survives;
}

Test(log, a_line_over_8_kib_loses_its_fields_and_says_so)
{
    size_t length = LINE_MAX_BYTES - 200;
    while (field_survives(length))
        length++;
    cr_assert_gt(length, LINE_MAX_BYTES - 200, "the shortest fitted");
    cr_assert_lt(length, LINE_MAX_BYTES);
    cr_assert_not(field_survives(length + 1));
    cr_assert_not(field_survives(2 * LINE_MAX_BYTES - 1));
}

Test(log, the_files_are_not_for_everyone)
{
    umask(0);
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", 1));
    struct stat st;
    cr_assert_eq(stat(main_path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0640, "%o", st.st_mode);
}

Test(log, appends_to_what_is_there)
{
    base_file_write(main_path, "{\"old\":1}\n");
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", 1));
    char *text = base_file_read(main_path);
    cr_assert_eq(strncmp(text, "{\"old\":1}\n{", 11), 0, "%s", text);
    free(text);
}

/* Standard error becomes a socket that keeps each write() apart; returns its other end. */
static int capture_stderr(void)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    cr_assert_eq(dup2(ends[0], STDERR_FILENO), STDERR_FILENO);
    return ends[1];
}

/* What one write() gave, as a line; NULL: nothing was written. */
static json_t *captured(int end)
{
    char text[2 * LINE_MAX_BYTES];
    ssize_t length = recv(end, text, sizeof text - 1, MSG_DONTWAIT);
    if (length < 0)
        return NULL;
    text[length] = '\0';
    const char *at = text;
    json_t *line = next_line(&at);
    cr_assert_str_empty(at, "two lines in one write");
    return line;
}

static void assert_goes_to_stderr(void)
{
    int end = capture_stderr();
    SB_LOG(SB_LOG_INFO, "first", NULL, SB_LOG_INT("n", 1));
    json_t *line = captured(end);
    cr_assert_not_null(line, "nothing came");
    cr_assert_str_eq(text_of(line, "event"), "first");
    json_decref(line);
    cr_assert_null(captured(end), "the line came twice");
}

Test(log, each_line_is_one_write)
{
    sb_log_open(NULL, "health", SB_LOG_DEBUG);
    int end = capture_stderr();
    for (int i = 0; i < 5; i++)
        SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", i), SB_LOG_TEXT("text", "b\nc"));
    for (int i = 0; i < 5; i++) {
        json_t *line = captured(end);
        cr_assert_not_null(line);
        cr_assert_eq(json_integer_value(json_object_get(line, "n")), i);
        json_decref(line);
    }
    cr_assert_null(captured(end));
}

Test(log, without_a_directory_lines_go_to_standard_error)
{
    sb_log_open(NULL, "health", SB_LOG_DEBUG);
    assert_goes_to_stderr();
}

Test(log, a_missing_directory_sends_lines_to_standard_error)
{
    sb_log_open("/nonexistent/switchboard", "health", SB_LOG_DEBUG);
    assert_goes_to_stderr();
}

Test(log, a_symlink_in_the_place_of_the_file_is_not_followed)
{
    char *target = base_path(directory, "target");
    cr_assert_eq(symlink(target, main_path), 0);
    assert_goes_to_stderr();
    cr_assert_null(base_file_read(target));
    free(target);
}

Test(log, a_write_that_fails_sends_the_line_to_standard_error)
{
    SB_LOG(SB_LOG_INFO, "zeroth", NULL, SB_LOG_INT("n", 1));
    struct stat st;
    cr_assert_eq(stat(main_path, &st), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {(rlim_t)st.st_size, (rlim_t)st.st_size};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_goes_to_stderr();
    cr_assert_eq(lines_in(main_path), 1);
}

/* Writes numbered lines, about one a millisecond, until path is there again, which the log promises
 * within a second, and returns how many. */
static int write_until_there(const char *path)
{
    int64_t deadline_us = sb_clock_mono_us() + ROTATION_DEADLINE_US;
    int written = 0;
    while (access(path, F_OK) != 0) {
        cr_assert_lt(sb_clock_mono_us(), deadline_us, "no new file");
        SB_LOG(SB_LOG_INFO, "rotating", NULL, SB_LOG_INT("n", written));
        written++;
        poll(NULL, 0, 1);
    }
    return written;
}

static void assert_numbered(const char *path, int *next)
{
    char *text = base_file_read(path);
    const char *at = text;
    for (json_t *line; (line = next_line(&at)) != NULL; json_decref(line))
        cr_assert_eq(json_integer_value(json_object_get(line, "n")), (*next)++);
    free(text);
}

Test(log, goes_on_in_a_new_file_when_the_old_one_is_renamed)
{
    char *rotated = base_path(directory, "switchboard.log.1");
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", 0));
    cr_assert_eq(rename(main_path, rotated), 0);
    int64_t renamed_us = sb_clock_mono_us();
    int written = write_until_there(main_path);
    cr_assert_lt(sb_clock_mono_us() - renamed_us, 5000000, "a second, on a busy machine");
    size_t old = lines_in(rotated);
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", written));
    cr_assert_eq(lines_in(rotated), old, "nothing more goes to the old file");
    cr_assert_eq(lines_in(rotated) + lines_in(main_path), (size_t)written + 2, "no line is lost");
    free(rotated);
}

Test(log, goes_on_in_a_new_file_when_the_old_one_is_removed)
{
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", 0));
    cr_assert_eq(unlink(main_path), 0);
    int written = write_until_there(main_path), next = written - 1;
    assert_numbered(main_path, &next);
    cr_assert_eq(next, written, "the line that made the file is in it");
}

Test(log, goes_on_in_the_file_that_logrotate_put_in_the_place_of_the_old_one)
{
    char *rotated = base_path(directory, "switchboard.log.1");
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", 0));
    cr_assert_eq(rename(main_path, rotated), 0);
    base_file_write(main_path, "");
    int64_t deadline_us = sb_clock_mono_us() + ROTATION_DEADLINE_US;
    int written = 1;
    for (; lines_in(main_path) == 0; written++) {
        cr_assert_lt(sb_clock_mono_us(), deadline_us, "the new file is not used");
        SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", written));
        poll(NULL, 0, 1);
    }
    cr_assert_eq(lines_in(rotated) + lines_in(main_path), (size_t)written, "no line is lost");
    free(rotated);
}

Test(log, takes_up_a_file_that_becomes_writable_later)
{
    cr_assert_eq(mkdir(main_path, 0700), 0);
    int end = capture_stderr();
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", 0));
    json_decref(captured(end));
    cr_assert_eq(rmdir(main_path), 0);
    int64_t deadline_us = sb_clock_mono_us() + ROTATION_DEADLINE_US;
    json_t *line;
    do {
        cr_assert_lt(sb_clock_mono_us(), deadline_us);
        SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", 1));
        line = captured(end);
        json_decref(line);
    } while (line != NULL);
    cr_assert_eq(lines_in(main_path), 1);
}

enum { WRITERS = 8, LINES = 1000 };

/* A line of another length each time, some of them over a page. */
static bool write_lines(int index, void *context)
{
    (void)context;
    char filling[6000] = "";
    memset(filling, 'a' + index, sizeof filling - 1);
    for (int i = 0; i < LINES; i++) {
        const char *text = filling + sizeof filling - 1 - (size_t)(i * 37 % 5900);
        SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("writer", index), SB_LOG_INT("n", i),
               SB_LOG_TEXT("text", text));
    }
    return true;
}

/* Counts the file's lines into seen, each of which must be whole. */
static void tally(const char *path, int seen[WRITERS][LINES])
{
    char *text = base_file_read(path);
    cr_assert_not_null(text, "%s", path);
    const char *at = text;
    for (json_t *line; (line = next_line(&at)) != NULL; json_decref(line)) {
        json_int_t writer = json_integer_value(json_object_get(line, "writer"));
        json_int_t n = json_integer_value(json_object_get(line, "n"));
        const char *filling = text_of(line, "text");
        char letter[2] = {(char)('a' + writer), '\0'};
        cr_assert(writer >= 0 && writer < WRITERS && n >= 0 && n < LINES);
        cr_assert_eq(strlen(filling), n * 37 % 5900);
        cr_assert_eq(strspn(filling, letter), strlen(filling), "mixed: %s", filling);
        seen[writer][n]++;
    }
    free(text);
}

static void assert_each_once(int seen[WRITERS][LINES])
{
    for (int writer = 0; writer < WRITERS; writer++)
        for (int n = 0; n < LINES; n++)
            cr_assert_eq(seen[writer][n], 1, "line %d of %d: %d times", n, writer, seen[writer][n]);
}

Test(log, processes_share_a_file_without_torn_lines)
{
    static int seen[WRITERS][LINES];
    cr_assert(base_race(WRITERS, write_lines, NULL));
    tally(main_path, seen);
    assert_each_once(seen);
}

static void *write_lines_thread(void *index)
{
    write_lines(*(int *)index, NULL);
    return NULL;
}

Test(log, threads_write_without_torn_lines)
{
    static int seen[WRITERS][LINES];
    pthread_t threads[WRITERS];
    int indexes[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        indexes[i] = i;
        cr_assert_eq(pthread_create(&threads[i], NULL, write_lines_thread, &indexes[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    tally(main_path, seen);
    assert_each_once(seen);
}

static void *write_over_rotation(void *written)
{
    int *count = written;
    *count = write_until_there(main_path);
    for (int i = 0; i < 100; i++, (*count)++)
        SB_LOG(SB_LOG_INFO, "rotated", NULL, SB_LOG_INT("n", i));
    return NULL;
}

Test(log, threads_lose_no_line_over_a_rotation)
{
    enum { THREADS = 4 };
    char *rotated = base_path(directory, "switchboard.log.1");
    SB_LOG(SB_LOG_INFO, "a", NULL, SB_LOG_INT("n", 0));
    cr_assert_eq(rename(main_path, rotated), 0);
    pthread_t threads[THREADS];
    int written[THREADS], total = 1;
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_over_rotation, &written[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        total += written[i];
    }
    cr_assert_eq(lines_in(rotated) + lines_in(main_path), (size_t)total);
    free(rotated);
}
