#include "access/audit.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../support/base.h"
#include "base/log.h"

static char dir[BASE_DIR_SIZE];
static const struct sb_audit full = {.action = "calls.start",
                                     .outcome = "ok",
                                     .trace_id = "0123456789abcdef0123456789abcdef",
                                     .user_id = "u1",
                                     .address = "192.0.2.1",
                                     .user_agent = "curl/8",
                                     .object = "call_1",
                                     .conversation_id = "conversation_1",
                                     .expires_at_ms = 1500,
                                     .data_sha256 = "abc",
                                     .reason = "because"};

static void setup(void)
{
    base_dir_make(dir);
    sb_log_open(dir, "test", SB_LOG_ERROR);
}

static void teardown(void)
{
    sb_log_open(NULL, NULL, SB_LOG_ERROR);
    base_dir_remove(dir);
}

TestSuite(audit, .init = setup, .fini = teardown);

static char *read_log(void)
{
    char *path = base_path(dir, "audit.log");
    char *text = base_file_read(path);
    free(path);
    cr_assert_not_null(text);
    return text;
}

/* The one line that writing audit gives. */
static json_t *written(const struct sb_audit *audit)
{
    sb_audit_write(audit);
    char *text = read_log();
    cr_assert_eq(base_count(text, "\n"), 1);
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(line, "%s", text);
    free(text);
    return line;
}

static const char *field(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

Test(audit, writes_every_field_whatever_the_log_level)
{
    json_t *line = written(&full);
    cr_assert_str_eq(field(line, "event"), "calls.start");
    cr_assert_str_eq(field(line, "level"), "info");
    cr_assert_str_eq(field(line, "outcome"), "ok");
    cr_assert_str_eq(field(line, "traceId"), full.trace_id);
    cr_assert_str_eq(field(line, "userId"), "u1");
    cr_assert_str_eq(field(line, "address"), "192.0.2.1");
    cr_assert_str_eq(field(line, "userAgent"), "curl/8");
    cr_assert_str_eq(field(line, "object"), "call_1");
    cr_assert_str_eq(field(line, "conversationId"), "conversation_1");
    cr_assert_str_eq(field(line, "expiresAt"), "1970-01-01T00:00:01.500Z");
    cr_assert_str_eq(field(line, "dataSha256"), "abc");
    cr_assert_str_eq(field(line, "reason"), "because");
    json_decref(line);
}

Test(audit, leaves_out_what_there_is_not)
{
    const struct sb_audit bare = {.action = "auth.refused",
                                  .outcome = "unauthenticated",
                                  .trace_id = full.trace_id,
                                  .address = "192.0.2.1"};
    json_t *line = written(&bare);
    cr_assert_str_eq(field(line, "level"), "warn");
    static const char *const absent[] = {"userId",    "userAgent",  "object", "conversationId",
                                         "expiresAt", "dataSha256", "reason"};
    for (size_t i = 0; i < SB_COUNT(absent); i++)
        cr_assert_null(json_object_get(line, absent[i]), "%s", absent[i]);
    json_decref(line);
}

Test(audit, cuts_the_user_agent_at_256_bytes)
{
    char agent[301];
    memset(agent, 'a', sizeof agent - 1);
    agent[300] = '\0';
    struct sb_audit audit = full;
    audit.user_agent = agent;
    json_t *line = written(&audit);
    cr_assert_eq(strlen(field(line, "userAgent")), 256);
    json_decref(line);
}

Test(audit, keeps_a_user_agent_of_256_bytes_whole)
{
    char agent[257];
    memset(agent, 'a', sizeof agent - 1);
    memcpy(agent + 254, "\xC3\xA9", 3);
    struct sb_audit audit = full;
    audit.user_agent = agent;
    json_t *line = written(&audit);
    cr_assert_str_eq(field(line, "userAgent"), agent);
    json_decref(line);
}

Test(audit, does_not_cut_within_a_character)
{
    char agent[301];
    memset(agent, 'a', sizeof agent - 1);
    agent[300] = '\0';
    memcpy(agent + 255, "\xC3\xA9", 2);
    struct sb_audit audit = full;
    audit.user_agent = agent;
    json_t *line = written(&audit);
    cr_assert_eq(strlen(field(line, "userAgent")), 255);
    json_decref(line);
}

Test(audit, lets_no_value_forge_a_line)
{
    struct sb_audit audit = full;
    audit.user_agent = "x\"}\n{\"event\":\"forged\"}\r\xFF";
    json_t *line = written(&audit);
    cr_assert_str_eq(field(line, "userAgent"), "x\"}\n{\"event\":\"forged\"}\r\xEF\xBF\xBD");
    cr_assert_str_eq(field(line, "event"), "calls.start");
    json_decref(line);
}
