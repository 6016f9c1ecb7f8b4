/* Whole requests: lines of "NAME=value", an empty line, the body. Each goes through the pipeline of
 * calls/start on a real database, and of a table here that has a route of every kind.
 *
 * To reach what lies deep, a missing CONTENT_LENGTH is filled in, and a line "TOKEN=NAME" becomes
 * the bearer token of that user. */
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../cgi-bin/calls/start.c"
#include "base/crypto.h"
#include "base/log.h"
#include "endpoint/runtime.h"
#include "store/threads.h"
#include "support/fuzz.h"

enum {
    REQUEST_MAX = 128 * 1024,
    PARAMS_MAX = 64,
    OUTPUT_MAX = 8 * 1024 * 1024,
    RUNS_PER_LOG = 1000,
    FAR_FUTURE_S = 4000000000u
};
#define ORIGIN "https://www.example.com"
#define SECRET "0123456789abcdef0123456789abcdef"

/* A route of every kind. */

struct fuzz_part {
    const char *label;
    int64_t size;
};

struct fuzz_input {
    const char *id, *other, *name;
    int64_t number, kind;
    bool flag;
    struct fuzz_part part, *parts;
    const char *const *tags;
    size_t part_count, tag_count;
};

struct fuzz_output {
    const char *id, *other, *name;
    int64_t number, kind, time_ms;
    bool flag;
    struct fuzz_part part, *parts;
    const char *const *tags;
    size_t part_count, tag_count;
};

static const struct sb_field fuzz_part_fields[] = {
    SB_STRING(struct fuzz_part, label, "label", 1, 9, SB_REQUIRED | SB_NULLABLE),
    SB_INT(struct fuzz_part, size, "size", -9, 9, 0), SB_FIELDS_END};
static const struct sb_field fuzz_body_fields[] = {
    SB_STRING(struct fuzz_input, name, "name", 0, 1000, 0),
    SB_ID(struct fuzz_input, id, "id", 0),
    SB_INT(struct fuzz_input, number, "number", INT64_MIN, INT64_MAX, 0),
    SB_ENUM(struct fuzz_input, kind, "kind", sb_call_kind_names, 0),
    SB_BOOL(struct fuzz_input, flag, "flag", 0),
    SB_OBJECT_OPTIONAL(struct fuzz_input, part, "part", fuzz_part_fields),
    SB_OBJECTS_IN(struct fuzz_input, parts, part_count, "parts", struct fuzz_part, fuzz_part_fields,
                  1, 3, 0),
    SB_STRINGS_IN(struct fuzz_input, tags, tag_count, "tags", 9, 0, 3, 0),
    SB_FIELDS_END};
static const struct sb_field fuzz_query_fields[] = {
    SB_STRING(struct fuzz_input, name, "name", 0, 1000, 0),
    SB_ID(struct fuzz_input, id, "id", 0),
    SB_ID(struct fuzz_input, other, "other", 0),
    SB_INT(struct fuzz_input, number, "number", 1, 100, 0),
    SB_BOOL(struct fuzz_input, flag, "flag", 0),
    SB_FIELDS_END};
static const struct sb_field fuzz_output_fields[] = {
    SB_STRING(struct fuzz_output, name, "name", 0, 1000, SB_NULLABLE),
    SB_ID(struct fuzz_output, id, "id", 0),
    SB_ID(struct fuzz_output, other, "other", 0),
    SB_INT(struct fuzz_output, number, "number", INT64_MIN, INT64_MAX, SB_NULLABLE),
    SB_ENUM(struct fuzz_output, kind, "kind", sb_call_kind_names, SB_NULLABLE),
    SB_TIME(struct fuzz_output, time_ms, "time", 0),
    SB_BOOL(struct fuzz_output, flag, "flag", SB_REQUIRED),
    SB_OBJECT(struct fuzz_output, part, "part", fuzz_part_fields),
    SB_OBJECTS(struct fuzz_output, parts, part_count, "parts", struct fuzz_part, fuzz_part_fields),
    SB_STRINGS(struct fuzz_output, tags, tag_count, "tags"),
    SB_FIELDS_END};

static enum sb_error fuzz_echo(struct sb_request *request, const void *in, void *out)
{
    const struct fuzz_input *from = in;
    struct fuzz_output *to = out;
    *to = (struct fuzz_output){.id = from->id,
                               .other = from->other,
                               .name = from->name,
                               .number = from->number,
                               .kind = from->kind,
                               .time_ms = request->now_ms,
                               .flag = from->flag,
                               .part = from->part,
                               .parts = from->parts,
                               .tags = from->tags,
                               .part_count = from->part_count,
                               .tag_count = from->tag_count};
    return SB_OK;
}

static enum sb_error fuzz_refuse(struct sb_request *request, const void *in, void *out)
{
    const struct fuzz_input *from = in;
    (void)fuzz_echo(request, in, out);
    sb_request_explain(request, from->name == NULL ? "" : from->name);
    sb_request_audit_object(request, from->id == NULL ? "" : from->id);
    return SB_E_CONFLICT;
}

static enum sb_error fuzz_read(struct sb_request *request, const void *in, void *out)
{
    struct fuzz_output *to = out;
    (void)in;
    char piece[64];
    size_t got = 0;
    do {
        enum sb_error error = sb_request_read(request, piece, sizeof piece, &got);
        if (error != SB_OK)
            return error;
        to->number += (int64_t)got;
    } while (got > 0);
    return SB_OK;
}

static enum sb_error fuzz_stream(struct sb_request *request, const void *in, void *out)
{
    const struct fuzz_input *from = in;
    (void)out;
    if (from->flag)
        return SB_E_GONE;
    bool going =
        from->name == NULL || sb_request_write_body(request, from->name, strlen(from->name));
    return going && from->number > 50 ? SB_E_CONFLICT : SB_OK;
}

#define ECHO .handler = fuzz_echo, SB_OUTPUT(struct fuzz_output, fuzz_output_fields)
#define QUERY SB_INPUT(struct fuzz_input, fuzz_query_fields)
#define BODY .body = SB_BODY_JSON, SB_INPUT(struct fuzz_input, fuzz_body_fields)

static const struct sb_route fuzz_routes[] = {
    {.methods = SB_POST, .path = "", .access = SB_ACCESS_PUBLIC, ECHO, BODY},
    {.methods = SB_GET, .path = "", .access = SB_ACCESS_PUBLIC, ECHO, QUERY},
    {.methods = SB_POST | SB_PUT,
     .path = "/refuse",
     .access = SB_ACCESS_PUBLIC,
     .handler = fuzz_refuse,
     SB_OUTPUT(struct fuzz_output, fuzz_output_fields),
     BODY,
     .audit = "fuzz.refuse",
     .report_errors = true},
    {.methods = SB_POST,
     .path = "/read",
     .access = SB_ACCESS_PUBLIC,
     .handler = fuzz_read,
     .body = SB_BODY_STREAM,
     .body_max = 1000,
     SB_OUTPUT(struct fuzz_output, fuzz_output_fields)},
    {.methods = SB_GET,
     .path = "/stream",
     .access = SB_ACCESS_PUBLIC,
     .handler = fuzz_stream,
     .reply = SB_REPLY_STREAM,
     .content_type = "text/event-stream",
     QUERY},
    {.methods = SB_GET, .path = "/me", .access = SB_ACCESS_PARTICIPANT, ECHO, QUERY},
    {.methods = SB_GET, .path = "/secret", .access = SB_ACCESS_METRICS, ECHO, QUERY},
    {.methods = SB_GET,
     .path = "/site",
     .access = SB_ACCESS_PUBLIC,
     .origin_required = true,
     ECHO,
     QUERY},
    {.methods = SB_GET,
     .path = "/limited",
     .access = SB_ACCESS_PUBLIC,
     .limit = {"fuzz-limited", 3, 1},
     ECHO,
     QUERY},
    {.methods = SB_DELETE | SB_PATCH, .path = "/{id}", .access = SB_ACCESS_PUBLIC, ECHO, QUERY},
    {.methods = SB_GET, .path = "/{id}/x/{other}", .access = SB_ACCESS_PUBLIC, ECHO, QUERY},
    {.handler = NULL}};

static const struct sb_endpoint fuzz_endpoint = {.name = "fuzz",
                                                 .aliases =
                                                     (const char *const[]){"/api/fuzz.php", NULL},
                                                 .routes = fuzz_routes,
                                                 .needs = SB_NEEDS_DB};

/* The site: one directory for the whole run. */

static struct site {
    char dir[64], log[128], audit[128];
    struct sb_runtime runtimes[2];
    struct sb_worker workers[2];
    unsigned long runs;
} site;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void close_site(void)
{
    for (size_t i = 0; i < SB_COUNT(site.runtimes); i++) {
        sb_worker_close(&site.workers[i]);
        sb_runtime_close(&site.runtimes[i]);
    }
    nftw(site.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static enum sb_error add_member(struct sb_db_conn *tx, void *context)
{
    (void)context;
    enum sb_error error = sb_threads_add(tx, "t1", 1);
    return error != SB_OK ? error : sb_threads_set_member(tx, "t1", "alice", SB_MEMBER, 1);
}

static void make_database(const char *path)
{
    int64_t applied;
    struct sb_db *db = sb_db_new(path, true);
    FUZZ_REQUIRE(db != NULL && sb_db_migrate(db, &applied) == SB_OK);
    FUZZ_REQUIRE(sb_db_write(db, add_member, NULL, SB_DB_WRITE_DEADLINE_MS) == SB_OK);
    sb_db_free(db);
}

static void set_environment(void)
{
    static const char *const settings[][2] = {
        {"JWT_SECRET", SECRET},        {"ALLOWED_ORIGINS", ORIGIN},
        {"TRUST_PROXY", "10.0.0.0/8"}, {"METRICS_TOKEN", SECRET},
        {"RATE_LIMIT_DEFAULT", "off"}, {"RATE_LIMIT_CALLS_START", "off"},
        {"LOG_LEVEL", "error"},        {"SWITCHBOARD_ENV", "/dev/null"},
    };
    static const char *const dirs[] = {"STATE_DIR", "RUN_DIR", "LOG_DIR"};
    for (size_t i = 0; i < SB_COUNT(settings); i++)
        setenv(settings[i][0], settings[i][1], 1);
    for (size_t i = 0; i < SB_COUNT(dirs); i++)
        setenv(dirs[i], site.dir, 1);
}

static void open_site(void)
{
    static const struct sb_endpoint *const endpoints[] = {&sb_endpoint, &fuzz_endpoint};
    char path[128];
    const char *base = getenv("TMPDIR");
    snprintf(site.dir, sizeof site.dir, "%.30s/switchboard-fuzz-XXXXXX",
             base != NULL ? base : "/tmp");
    FUZZ_REQUIRE(mkdtemp(site.dir) != NULL);
    snprintf(path, sizeof path, "%s/switchboard.db", site.dir);
    snprintf(site.log, sizeof site.log, "%s/switchboard.log", site.dir);
    snprintf(site.audit, sizeof site.audit, "%s/audit.log", site.dir);
    set_environment();
    make_database(path);
    for (size_t i = 0; i < SB_COUNT(endpoints); i++) {
        int row;
        FUZZ_REQUIRE(sb_endpoint_flaw(endpoints[i], &row) == NULL);
        FUZZ_REQUIRE(sb_runtime_open(&site.runtimes[i], endpoints[i]));
        FUZZ_REQUIRE(!site.runtimes[i].misconfigured && site.runtimes[i].counters_ok);
        FUZZ_REQUIRE(sb_worker_open(&site.workers[i], &site.runtimes[i]));
    }
    atexit(close_site);
}

/* The request. */

static const char *token_param(struct sb_arena *arena, const char *user_id)
{
    struct sb_buf claims;
    sb_buf_init(&claims, arena, REQUEST_MAX);
    sb_json_open(&claims, '{');
    sb_json_key(&claims, "sub");
    sb_json_string(&claims, user_id);
    sb_json_key(&claims, "exp");
    sb_json_int(&claims, FAR_FUTURE_S);
    sb_json_close(&claims, '}');
    FUZZ_REQUIRE(sb_buf_ok(&claims));
    const char *token =
        sb_jws_sign_hs256(arena, "JWT", claims.data, claims.length, SECRET, strlen(SECRET));
    FUZZ_REQUIRE(token != NULL);
    return sb_arena_printf(arena, "HTTP_AUTHORIZATION=Bearer %s", token);
}

/* Splits text into params and body. */
static void read_request(struct sb_arena *arena, char *text, size_t size, const char **params,
                         struct sb_memory_request *request)
{
    char *end = memmem(text, size, "\n\n", 2);
    size_t count = 0;
    bool length_given = false;
    if (end != NULL) {
        *end = '\0';
        request->body = end + 2;
        request->body_length = size - (size_t)(request->body - text);
    }
    for (char *line; count < PARAMS_MAX - 2 && (line = strsep(&text, "\n")) != NULL;) {
        length_given |= strncmp(line, "CONTENT_LENGTH=", 15) == 0;
        params[count++] = strncmp(line, "TOKEN=", 6) == 0 ? token_param(arena, line + 6) : line;
    }
    if (!length_given && request->body_length > 0)
        params[count++] = sb_arena_printf(arena, "CONTENT_LENGTH=%zu", request->body_length);
    request->params = params;
    request->read_max = size % 7;
}

/* The answer. */

struct answer {
    int status;
    const char *head, *body;
    size_t body_length;
};

static void parse(struct sb_buf *output, struct answer *answer)
{
    FUZZ_REQUIRE(sb_buf_ok(output) && output->length > 0);
    FUZZ_REQUIRE(strncmp(output->data, "Status: ", 8) == 0);
    char *end = strstr(output->data, "\r\n\r\n"), *line_end = strstr(output->data, "\r\n");
    FUZZ_REQUIRE(end != NULL && line_end - output->data > 12);
    answer->status = (int)strtol(output->data + 8, NULL, 10);
    end[2] = '\0';
    answer->head = line_end + 2;
    answer->body = end + 4;
    answer->body_length = output->length - (size_t)(answer->body - output->data);
}

/* The value of the field, up to its line's end, or NULL. */
static const char *header(const struct answer *answer, const char *name)
{
    const char *found = NULL;
    size_t length = strlen(name);
    for (const char *line = answer->head; *line != '\0'; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        FUZZ_REQUIRE(found == NULL);
        found = line + length + 2;
    }
    return found;
}

static bool header_is(const struct answer *answer, const char *name, const char *value)
{
    const char *found = header(answer, name);
    return found != NULL && strncmp(found, value, strlen(value)) == 0 &&
           found[strlen(value)] == '\r';
}

static void check_head(const struct answer *answer)
{
    static const char *const standing[] = {
        "X-Content-Type-Options", "X-Frame-Options", "X-XSS-Protection",        "Referrer-Policy",
        "Permissions-Policy",     "Cache-Control",   "Content-Security-Policy", "X-Trace-Id"};
    for (const char *line = answer->head, *end; *line != '\0'; line = end + 2) {
        char name[64];
        end = strstr(line, "\r\n");
        FUZZ_REQUIRE(end != NULL && strcspn(line, "\r\n") == (size_t)(end - line));
        size_t length = strcspn(line, ":\r");
        FUZZ_REQUIRE(length > 0 && length < sizeof name && strncmp(line + length, ": ", 2) == 0);
        memcpy(name, line, length);
        name[length] = '\0';
        FUZZ_REQUIRE(header(answer, name) == line + length + 2); /* there once */
    }
    for (size_t i = 0; i < SB_COUNT(standing); i++)
        FUZZ_REQUIRE(header(answer, standing[i]) != NULL);
    FUZZ_REQUIRE(header_is(answer, "Vary", "Origin"));
    FUZZ_REQUIRE(header(answer, "Access-Control-Allow-Origin") == NULL ||
                 header_is(answer, "Access-Control-Allow-Origin", ORIGIN));
    FUZZ_REQUIRE((answer->status == 401) == (header(answer, "WWW-Authenticate") != NULL));
    FUZZ_REQUIRE((answer->status == 429) == (header(answer, "Retry-After") != NULL));
    FUZZ_REQUIRE(answer->status != 405 || header(answer, "Allow") != NULL);
}

static void check_error(const struct answer *answer, json_t *json)
{
    const char *code, *message, *type, *title, *detail;
    int status;
    json_t *fields = NULL;
    FUZZ_REQUIRE(json_unpack(json, "{s:{s:s,s:s,s?:o},s:s,s:s,s:i,s:s}", "error", "code", &code,
                             "message", &message, "fields", &fields, "type", &type, "title", &title,
                             "status", &status, "detail", &detail) == 0);
    FUZZ_REQUIRE(status == answer->status && status >= 400);
    FUZZ_REQUIRE((strcmp(code, "validation_failed") == 0) == (fields != NULL));
    FUZZ_REQUIRE(fields == NULL || json_array_size(fields) > 0);
}

static void check_json(const struct answer *answer)
{
    json_t *json = json_loadb(answer->body, answer->body_length, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_REQUIRE(json_is_object(json));
    const char *trace_id = json_string_value(json_object_get(json, "traceId"));
    FUZZ_REQUIRE(trace_id != NULL && strlen(trace_id) == 32);
    FUZZ_REQUIRE(header_is(answer, "X-Trace-Id", trace_id));
    if (json_is_true(json_object_get(json, "success")))
        FUZZ_REQUIRE(answer->status == 200 || answer->status == 201);
    else
        check_error(answer, json);
    json_decref(json);
}

/* No input makes an error of ours: nothing here is out of memory, disk or order. */
static void check_answer(const struct answer *answer, bool head)
{
    FUZZ_REQUIRE(answer->status >= 200 && answer->status < 500);
    check_head(answer);
    const char *length = header(answer, "Content-Length");
    if (head)
        FUZZ_REQUIRE(answer->body_length == 0);
    else if (length != NULL)
        FUZZ_REQUIRE(strtoul(length, NULL, 10) == answer->body_length);
    bool json = header_is(answer, "Content-Type", "application/json") ||
                header_is(answer, "Content-Type", "application/problem+json");
    FUZZ_REQUIRE(json || answer->status == 200); /* a stream, or OPTIONS */
    if (json && !head)
        check_json(answer);
}

static void run(struct sb_worker *worker, struct sb_memory_request *request)
{
    struct sb_gateway gateway;
    struct answer answer;
    bool twice = false;
    request->body_read = 0;
    sb_buf_init(&request->output, NULL, OUTPUT_MAX);
    sb_gateway_memory(&gateway, request);
    const char *method = gateway.param(request, "REQUEST_METHOD", &twice);
    bool head = !twice && method != NULL && strcmp(method, "HEAD") == 0;
    sb_pipeline_run(worker, &gateway);
    FUZZ_REQUIRE(sb_arena_used(worker->arena) == 0);
    parse(&request->output, &answer);
    check_answer(&answer, head);
    sb_buf_free(&request->output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sb_arena *arena;
    const char *params[PARAMS_MAX] = {NULL};
    struct sb_memory_request request = {.params = params};
    if (size > REQUEST_MAX)
        return 0;
    if (arena == NULL) {
        arena = sb_arena_new(64 * 1024 * 1024);
        open_site();
    }
    FUZZ_REQUIRE(arena != NULL);
    char *text = sb_arena_strndup(arena, (const char *)data, size);
    FUZZ_REQUIRE(text != NULL);
    read_request(arena, text, size, params, &request);
    for (size_t i = 0; i < SB_COUNT(site.workers); i++)
        run(&site.workers[i], &request);
    sb_arena_reset(arena);
    if (++site.runs % RUNS_PER_LOG == 0) {
        (void)!truncate(site.log, 0);
        (void)!truncate(site.audit, 0);
    }
    return 0;
}
