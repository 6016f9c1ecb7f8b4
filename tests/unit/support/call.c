#include "call.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"

enum { MEMORY_MAX = 256 * 1024 * 1024, OUTPUT_MAX = 64 * 1024 * 1024, PARAMS_MAX = 64 };

static const char *make_dir(struct call_site *site, const char *name)
{
    const char *path = call_path(site, name);
    cr_assert_eq(mkdir(path, 0700), 0, "%s", path);
    return path;
}

static void migrate(struct call_site *site)
{
    int64_t applied;
    struct sb_db *db = sb_db_new(call_path(site, "state/switchboard.db"), true);
    cr_assert_not_null(db);
    cr_assert_eq(sb_db_migrate(db, &applied), SB_OK);
    sb_db_free(db);
}

void call_site_prepare(struct call_site *site)
{
    *site = (struct call_site){.memory = sb_arena_new(MEMORY_MAX)};
    cr_assert_not_null(site->memory);
    base_dir_make(site->dir);
    clearenv();
    setenv("STATE_DIR", make_dir(site, "state"), 1);
    setenv("RUN_DIR", make_dir(site, "run"), 1);
    setenv("LOG_DIR", make_dir(site, "log"), 1);
    setenv("JWT_SECRET", CALL_SECRET, 1);
    setenv("SWITCHBOARD_ENV", call_path(site, "switchboard.env"), 1);
    base_file_write(call_path(site, "switchboard.env"), "# nothing\n");
    sb_log_open(call_path(site, "log"), "test", SB_LOG_INFO);
    migrate(site);
}

void call_site_open(struct call_site *site, const struct sb_endpoint *endpoint)
{
    int row;
    const char *flaw = sb_endpoint_flaw(endpoint, &row);
    cr_assert_null(flaw, "route %d of the table: %s", row, flaw);
    cr_assert(sb_runtime_open(&site->runtime, endpoint));
    cr_assert(sb_worker_open(&site->worker, &site->runtime));
}

void call_site_close(struct call_site *site)
{
    for (struct call_answer *answer = site->answers; answer != NULL; answer = answer->next)
        json_decref(answer->json);
    sb_worker_close(&site->worker);
    sb_runtime_close(&site->runtime);
    sb_log_open(NULL, NULL, SB_LOG_INFO);
    sb_arena_free(site->memory);
    base_dir_remove(site->dir);
}

const char *call_path(struct call_site *site, const char *name)
{
    const char *path = sb_arena_printf(site->memory, "%s/%s", site->dir, name);
    cr_assert_not_null(path);
    return path;
}

bool call_file_has(struct call_site *site, const char *name, const char *text)
{
    char *content = base_file_read(call_path(site, name));
    bool has = content != NULL && strstr(content, text) != NULL;
    free(content);
    return has;
}

struct params {
    const char *items[PARAMS_MAX + 1];
    size_t count;
};

/* Adds "NAME=value" unless the test has a value of its own for it. */
static void add(struct params *params, const struct call *call, const char *pair)
{
    size_t name = strcspn(pair, "=") + 1;
    for (size_t i = 0; call->params != NULL && call->params[i] != NULL; i++) {
        if (strncmp(call->params[i], pair, name) == 0)
            return;
    }
    cr_assert_lt(params->count, PARAMS_MAX);
    params->items[params->count++] = pair;
}

static void add_format(struct call_site *site, struct params *params, const struct call *call,
                       const char *name, const char *value)
{
    const char *pair = sb_arena_printf(site->memory, "%s=%s", name, value);
    cr_assert_not_null(pair);
    add(params, call, pair);
}

static void collect(struct call_site *site, const struct call *call, size_t body_length,
                    struct params *params)
{
    const char *method = call->body != NULL ? "POST" : "GET";
    add_format(site, params, call, "REQUEST_METHOD", call->method != NULL ? call->method : method);
    if (call->target != NULL)
        add_format(site, params, call, "REQUEST_URI", call->target);
    add(params, call, "REMOTE_ADDR=" CALL_ADDRESS);
    if (call->token != NULL)
        add(params, call,
            sb_arena_printf(site->memory, "HTTP_AUTHORIZATION=Bearer %s", call->token));
    if (call->body != NULL) {
        add(params, call, sb_arena_printf(site->memory, "CONTENT_LENGTH=%zu", body_length));
        add(params, call, "CONTENT_TYPE=application/json");
    }
    for (size_t i = 0; call->params != NULL && call->params[i] != NULL; i++) {
        cr_assert_lt(params->count, PARAMS_MAX);
        params->items[params->count++] = call->params[i];
    }
}

static json_t *parse_body(const struct call_answer *answer)
{
    json_t *json = json_loadb(answer->body, answer->body_length, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static void check_fields(const char *head)
{
    for (const char *line = head, *end; *line != '\0'; line = end + 2) {
        end = strstr(line, "\r\n");
        cr_assert(end != NULL && strcspn(line, "\r\n") == (size_t)(end - line), "%s", head);
        size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");
        cr_assert(name > 0 && strncmp(line + name, ": ", 2) == 0, "%s", line);
    }
}

static struct call_answer *parse(struct call_site *site, const struct sb_buf *output)
{
    struct call_answer *answer = sb_arena_alloc(site->memory, sizeof *answer);
    *answer = (struct call_answer){.head = "", .body = "", .memory = site->memory};
    answer->next = site->answers;
    site->answers = answer;
    if (output->length == 0)
        return answer;
    char *text = sb_arena_strndup(site->memory, output->data, output->length);
    char *end = strstr(text, "\r\n\r\n"), *line_end = strstr(text, "\r\n");
    cr_assert(end != NULL && strncmp(text, "Status: ", 8) == 0, "%s", text);
    answer->status = (int)strtol(text + 8, NULL, 10);
    end[2] = '\0';
    answer->head = line_end + 2;
    answer->body = end + 4;
    answer->body_length = output->length - (size_t)(answer->body - text);
    check_fields(answer->head);
    answer->json = parse_body(answer);
    return answer;
}

const struct call_answer *call_send(struct call_site *site, const struct call *call)
{
    size_t length = call->body == NULL ? 0 : call->body_length;
    if (call->body != NULL && length == 0)
        length = strlen(call->body);
    struct params params = {.count = 0};
    collect(site, call, length, &params);
    struct sb_memory_request request = {.params = params.items,
                                        .body = call->body,
                                        .body_length = length,
                                        .read_max = call->read_max,
                                        .hang_up = call->hang_up};
    struct sb_gateway gateway;
    sb_buf_init(&request.output, NULL, call->output_max == 0 ? OUTPUT_MAX : call->output_max + 1);
    sb_gateway_memory(&gateway, &request);
    sb_pipeline_run(&site->worker, &gateway);
    cr_assert_eq(sb_arena_used(site->worker.arena), 0);
    struct call_answer *answer = parse(site, &request.output);
    answer->body_read = request.body_read;
    sb_buf_free(&request.output);
    return answer;
}

const char *call_header(const struct call_answer *answer, const char *name)
{
    const char *found = NULL;
    size_t length = strlen(name);
    for (const char *line = answer->head; *line != '\0'; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        cr_assert_null(found, "%s is there twice", name);
        found =
            sb_arena_strndup(answer->memory, line + length + 2, strcspn(line + length + 2, "\r\n"));
    }
    return found;
}

json_t *call_json(const struct call_answer *answer, const char *path)
{
    json_t *value = answer->json;
    while (value != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");
        value = json_is_array(value) ? json_array_get(value, strtoul(path, NULL, 10))
                                     : json_object_getn(value, path, length);
        path += length + (path[length] == '.');
    }
    return value;
}

const char *call_text(const struct call_answer *answer, const char *path)
{
    return json_string_value(call_json(answer, path));
}

int64_t call_number(const struct call_answer *answer, const char *path)
{
    const json_t *value = call_json(answer, path);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

const char *call_token(struct call_site *site, const char *user_id)
{
    return call_token_as(site, user_id, "user");
}

const char *call_token_as(struct call_site *site, const char *user_id, const char *role)
{
    const char *claims =
        sb_arena_printf(site->memory, "{\"sub\":\"%s\",\"role\":\"%s\",\"exp\":%" PRId64 "}",
                        user_id, role, sb_clock_now_ms() / 1000 + 3600);
    const char *token = sb_jws_sign_hs256(site->memory, "JWT", claims, strlen(claims), CALL_SECRET,
                                          strlen(CALL_SECRET));
    cr_assert_not_null(token);
    return token;
}

void call_write(struct call_site *site, sb_db_closure_fn *closure, void *context)
{
    cr_assert_eq(sb_db_write(site->runtime.db, closure, context, SB_DB_WRITE_DEADLINE_MS), SB_OK);
}

struct member {
    const char *thread_id, *user_id;
    enum sb_member_role role;
};

static enum sb_error set_member(struct sb_db_conn *tx, void *context)
{
    const struct member *member = context;
    int64_t now_ms = sb_clock_now_ms();
    enum sb_error error = sb_threads_add(tx, member->thread_id, now_ms);
    if (error != SB_OK && error != SB_E_CONFLICT)
        return error;
    return sb_threads_set_member(tx, member->thread_id, member->user_id, member->role, now_ms);
}

void call_member(struct call_site *site, const char *thread_id, const char *user_id,
                 enum sb_member_role role)
{
    call_write(site, set_member, &(struct member){thread_id, user_id, role});
}

int64_t call_count(struct call_site *site, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *statement;
    const char *path = call_path(site, "state/switchboard.db");
    cr_assert_eq(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(handle, 5000);
    sqlite3_wal_autocheckpoint(handle, 0);
    cr_assert_eq(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK, "%s", sql);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW, "%s", sql);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return number;
}
