/* What an answer says: whether an endpoint gave it, and the texts in it. */
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "doctor.h"
#include "http/json.h"

const char *doctor_json_text(struct sb_arena *arena, const struct doctor_answer *answer,
                             const char *path)
{
    json_t *object = sb_json_parse_object(answer->body, answer->body_length);
    const json_t *at = object;
    while (at != NULL && *path != '\0') {
        char name[64];
        size_t length = strcspn(path, ".");
        if (length >= sizeof name)
            break;
        memcpy(name, path, length);
        name[length] = '\0';
        at = json_object_get(at, name);
        path += length + (path[length] == '.');
    }
    const char *text = json_string_value(at);
    if (text != NULL)
        text = sb_arena_strdup(arena, text);
    json_decref(object);
    return text;
}

size_t doctor_header(const struct doctor_answer *answer, const char *name, const char **value)
{
    size_t count = 0;
    const char *at = NULL;
    while ((at = sb_fetch_header_next(&answer->result, name, at)) != NULL) {
        if (count++ == 0 && value != NULL)
            *value = at;
    }
    return count;
}

bool doctor_is_ours(const struct doctor_answer *answer)
{
    const char *trace = NULL;
    if (doctor_header(answer, "X-Trace-Id", &trace) == 0)
        return false;
    json_t *object = sb_json_parse_object(answer->body, answer->body_length);
    const char *named = json_string_value(json_object_get(object, "traceId"));
    bool same = named != NULL && strcmp(named, trace) == 0;
    json_decref(object);
    return same;
}

const char *doctor_answer_text(struct sb_arena *arena, const struct doctor_answer *answer)
{
    static const char *const reasons[SB_FETCH_OUTCOME__MAX] = {
        [SB_FETCH_UNREACHABLE] = "no connection, or no TLS on it",
        [SB_FETCH_FORBIDDEN] =
            "http is spoken to this machine and private addresses alone: say https",
        [SB_FETCH_UNTRUSTED] = "its certificate is not to be trusted",
        [SB_FETCH_BROKEN] = "the connection broke",
        [SB_FETCH_TIMEOUT] = "nothing came in time",
    };
    const char *type = "without a body", *text;
    if (answer->result.status == 0) {
        text = reasons[answer->result.outcome];
        return text != NULL ? text : sb_fetch_outcome_name(answer->result.outcome);
    }
    if (answer->body_length > 0)
        doctor_header(answer, "Content-Type", &type);
    text = sb_arena_printf(arena, "%d %s", answer->result.status, type);
    return text != NULL ? text : "an answer";
}

int64_t doctor_time_ms(const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    long ms = 0;
    if (end != NULL && *end == '.') {
        char *behind;
        ms = strtol(end + 1, &behind, 10);
        end = behind - end == 4 ? behind : NULL;
    }
    if (end == NULL || strcmp(end, "Z") != 0) {
        end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        ms = 0;
    }
    if (end == NULL || (*end != '\0' && strcmp(end, "Z") != 0))
        return -1;
    return (int64_t)timegm(&tm) * 1000 + ms;
}
