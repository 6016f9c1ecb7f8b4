/* --describe: what an endpoint answers, from the very tables that validate and encode. `paths` is
 * a fragment of an OpenAPI 3.1 document; `make docs` joins the fragments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "endpoint/access.h"
#include "endpoint/runtime.h"
#include "http/response.h"

enum { DESCRIPTION_MAX = 1024 * 1024, BODY_FIELDS_MAX = 64 };

static void key_string(struct sb_buf *out, const char *key, const char *value)
{
    sb_json_key(out, key);
    sb_json_string(out, value);
}

static void key_int(struct sb_buf *out, const char *key, int64_t value)
{
    sb_json_key(out, key);
    sb_json_int(out, value);
}

static void write_schema(struct sb_buf *out, const struct sb_field *fields, bool answer);

static void write_type(struct sb_buf *out, const char *type, bool nullable)
{
    sb_json_key(out, "type");
    if (!nullable) {
        sb_json_string(out, type);
        return;
    }
    sb_json_open(out, '[');
    sb_json_string(out, type);
    sb_json_string(out, "null");
    sb_json_close(out, ']');
}

static void write_enum(struct sb_buf *out, const struct sb_field *field, bool nullable)
{
    write_type(out, "string", nullable);
    sb_json_key(out, "enum");
    sb_json_open(out, '[');
    for (size_t i = 0; field->names[i] != NULL; i++)
        sb_json_string(out, field->names[i]);
    if (nullable)
        sb_json_null(out);
    sb_json_close(out, ']');
}

static void write_array(struct sb_buf *out, const struct sb_field *field)
{
    write_type(out, "array", false);
    if (field->min > 0)
        key_int(out, "minItems", field->min);
    if (field->max > 0)
        key_int(out, "maxItems", field->max);
    sb_json_key(out, "items");
    if (field->type == SB_FIELD_OBJECTS) {
        write_schema(out, field->fields, false);
        return;
    }
    sb_json_open(out, '{');
    write_type(out, "string", false);
    if (field->max > 0) {
        key_int(out, "minLength", 1);
        key_int(out, "maxLength", (int64_t)field->size);
    }
    sb_json_close(out, '}');
}

static void write_members_of(struct sb_buf *out, const struct sb_field *field, bool nullable)
{
    switch (field->type) {
    case SB_FIELD_STRING:
        write_type(out, "string", nullable);
        if (field->min > 0)
            key_int(out, "minLength", field->min);
        key_int(out, "maxLength", field->max);
        break;
    case SB_FIELD_ID:
        write_type(out, "string", nullable);
        key_string(out, "pattern", "^[A-Za-z0-9_-]{1,64}$");
        break;
    case SB_FIELD_INT:
        write_type(out, "integer", nullable);
        key_int(out, "minimum", field->min);
        if (field->max < INT64_MAX)
            key_int(out, "maximum", field->max);
        break;
    case SB_FIELD_BOOL:
        write_type(out, "boolean", false);
        break;
    case SB_FIELD_ENUM:
        write_enum(out, field, nullable);
        break;
    case SB_FIELD_TIME:
        write_type(out, "string", nullable);
        key_string(out, "pattern", "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$");
        break;
    case SB_FIELD_OBJECTS:
    case SB_FIELD_STRINGS:
        write_array(out, field);
        break;
    case SB_FIELD_OBJECT: /* write_property() has written it */
        break;
    }
}

static void write_property(struct sb_buf *out, const struct sb_field *field)
{
    if (field->type == SB_FIELD_OBJECT) {
        write_schema(out, field->fields, false);
        return;
    }
    sb_json_open(out, '{');
    write_members_of(out, field, (field->flags & SB_NULLABLE) != 0);
    sb_json_close(out, '}');
}

/* The schema of an object. answer: of a whole success, with what the pipeline adds. */
static void write_schema(struct sb_buf *out, const struct sb_field *fields, bool answer)
{
    sb_json_open(out, '{');
    write_type(out, "object", false);
    sb_json_key(out, "additionalProperties");
    sb_json_bool(out, false);
    sb_json_key(out, "properties");
    sb_json_open(out, '{');
    if (answer)
        sb_json_raw(out, "\"success\":{\"const\":true},"
                         "\"traceId\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{32}$\"}");
    for (const struct sb_field *field = fields; field != NULL && field->name != NULL; field++) {
        sb_json_key(out, field->name);
        write_property(out, field);
    }
    sb_json_close(out, '}');
    sb_json_key(out, "required");
    sb_json_open(out, '[');
    if (answer)
        sb_json_raw(out, "\"success\",\"traceId\"");
    for (const struct sb_field *field = fields; field != NULL && field->name != NULL; field++) {
        if ((field->flags & SB_REQUIRED) != 0)
            sb_json_string(out, field->name);
    }
    sb_json_close(out, ']');
    sb_json_close(out, '}');
}

static void open_media_type(struct sb_buf *out, const char *type)
{
    sb_json_key(out, type);
    sb_json_open(out, '{');
    sb_json_key(out, "schema");
}

static void write_content(struct sb_buf *out, const char *type)
{
    sb_json_key(out, "content");
    sb_json_open(out, '{');
    open_media_type(out, type);
}

static void end_content(struct sb_buf *out)
{
    sb_json_close(out, '}');
    sb_json_close(out, '}');
}

/* Of what is streamed the documentation knows the type alone; of JSON the table, if there is one.
 */
static void write_streamed(struct sb_buf *out, const struct sb_route *route, const char *type)
{
    open_media_type(out, type);
    if (route->output != NULL && strcmp(type, "application/json") == 0)
        write_schema(out, route->output, true);
    else
        sb_json_raw(out, "{\"type\":\"string\"}");
    sb_json_close(out, '}');
}

static void write_success(struct sb_buf *out, const struct sb_route *route, int status)
{
    char text[12];
    snprintf(text, sizeof text, "%d", status);
    sb_json_key(out, text);
    sb_json_open(out, '{');
    key_string(out, "description", sb_status_phrase(status));
    if (route->reply == SB_REPLY_STREAM) {
        sb_json_key(out, "content");
        sb_json_open(out, '{');
        write_streamed(out, route, route->content_type);
        for (size_t i = 0; route->other_types != NULL && route->other_types[i] != NULL; i++)
            write_streamed(out, route, route->other_types[i]);
        sb_json_close(out, '}');
    } else {
        write_content(out, "application/json");
        write_schema(out, route->output, true);
        end_content(out);
    }
    sb_json_close(out, '}');
}

/* The statuses the pipeline itself may give on a route, by how the route is declared. */
static unsigned long long pipeline_errors(const struct sb_route *route, bool catch_all)
{
    unsigned long long errors = 1ull << SB_E_INVALID_REQUEST | 1ull << SB_E_ORIGIN_DENIED |
                                1ull << SB_E_RATE_LIMITED | 1ull << SB_E_MISCONFIGURED |
                                1ull << SB_E_UNAVAILABLE;
    if (route->input != NULL)
        errors |= 1ull << SB_E_VALIDATION_FAILED;
    if (route->body == SB_BODY_JSON)
        errors |= 1ull << SB_E_INVALID_JSON;
    if (route->access != SB_ACCESS_PUBLIC)
        errors |= 1ull << SB_E_UNAUTHENTICATED | 1ull << SB_E_FORBIDDEN;
    if (route->body != SB_BODY_NONE)
        errors |= 1ull << SB_E_BODY_TOO_LARGE | 1ull << SB_E_UNSUPPORTED_MEDIA_TYPE;
    if (route->idempotent)
        errors |= 1ull << SB_E_IDEMPOTENCY_MISMATCH;
    if (!catch_all)
        errors |= 1ull << SB_E_NOT_FOUND | 1ull << SB_E_METHOD_NOT_ALLOWED;
    for (const enum sb_error *error = route->errors; error != NULL && *error != SB_OK; error++)
        errors |= 1ull << *error;
    return errors;
}

/* The codes of one status, as its description: "not_found", "misconfigured, unavailable". */
static void write_error(struct sb_buf *out, unsigned long long errors, int status, bool report)
{
    char text[12];
    struct sb_buf codes;
    char storage[256];
    sb_buf_init_fixed(&codes, storage, sizeof storage);
    for (int error = 1; error < SB_E__MAX; error++) {
        const struct sb_error_info *info = sb_error_info((enum sb_error)error);
        if ((errors >> error & 1) != 0 && info->status == status)
            sb_buf_add_format(&codes, "%s%s", codes.length == 0 ? "" : ", ", info->code);
    }
    if (codes.length == 0)
        return;
    snprintf(text, sizeof text, "%d", status);
    sb_json_key(out, text);
    sb_json_open(out, '{');
    key_string(out, "description", codes.data);
    write_content(out, "application/json");
    sb_json_open(out, '{');
    key_string(out, "$ref",
               report && status == 503 ? "#/components/schemas/Report"
                                       : "#/components/schemas/Error");
    sb_json_close(out, '}');
    end_content(out);
    sb_json_close(out, '}');
}

static void write_responses(struct sb_buf *out, const struct sb_route *route, bool catch_all)
{
    unsigned long long errors = pipeline_errors(route, catch_all);
    sb_json_key(out, "responses");
    sb_json_open(out, '{');
    if (!route->always_fails)
        write_success(out, route, route->status == 0 ? 200 : route->status);
    if (route->created != 0)
        write_success(out, route, 201);
    for (int status = 400; status < 600; status++)
        write_error(out, errors, status, route->report_errors);
    sb_json_close(out, '}');
}

static bool in_path(const struct sb_route *route, const char *name)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "{%s}", name);
    return strstr(route->path, pattern) != NULL;
}

static void write_parameters(struct sb_buf *out, const struct sb_route *route)
{
    sb_json_key(out, "parameters");
    sb_json_open(out, '[');
    for (const struct sb_field *f = route->input; f != NULL && f->name != NULL; f++) {
        if (route->body == SB_BODY_JSON && !in_path(route, f->name))
            continue;
        sb_json_open(out, '{');
        key_string(out, "name", f->name);
        key_string(out, "in", in_path(route, f->name) ? "path" : "query");
        sb_json_key(out, "required");
        sb_json_bool(out, in_path(route, f->name) || (f->flags & SB_REQUIRED) != 0);
        sb_json_key(out, "schema");
        write_property(out, f);
        sb_json_close(out, '}');
    }
    if (route->idempotent)
        sb_json_raw(out, "{\"name\":\"Idempotency-Key\",\"in\":\"header\",\"required\":false,"
                         "\"schema\":{\"type\":\"string\",\"maxLength\":255}}");
    sb_json_close(out, ']');
}

static void write_streamed_body(struct sb_buf *out, const struct sb_route *route)
{
    if (route->body_types == NULL)
        return;
    sb_json_key(out, "requestBody");
    sb_json_open(out, '{');
    sb_json_key(out, "required");
    sb_json_bool(out, true);
    sb_json_key(out, "content");
    sb_json_open(out, '{');
    for (size_t i = 0; route->body_types[i] != NULL; i++) {
        open_media_type(out, route->body_types[i]);
        sb_json_raw(out, "{}");
        sb_json_close(out, '}');
    }
    sb_json_close(out, '}');
    sb_json_close(out, '}');
}

static void write_request_body(struct sb_buf *out, const struct sb_route *route)
{
    struct sb_field fields[BODY_FIELDS_MAX] = {SB_FIELDS_END}; /* those of input not in the path */
    size_t count = 0;
    bool required = false;
    if (route->body == SB_BODY_STREAM)
        write_streamed_body(out, route);
    if (route->body != SB_BODY_JSON || route->input == NULL)
        return;
    for (const struct sb_field *field = route->input; field->name != NULL; field++) {
        if (in_path(route, field->name))
            continue;
        out->failed |= count == BODY_FIELDS_MAX - 1;
        if (sb_buf_ok(out))
            fields[count++] = *field;
        required |= (field->flags & SB_REQUIRED) != 0;
    }
    sb_json_key(out, "requestBody");
    sb_json_open(out, '{');
    sb_json_key(out, "required");
    sb_json_bool(out, required);
    write_content(out, "application/json");
    write_schema(out, fields, false);
    end_content(out);
    sb_json_close(out, '}');
}

static void write_operation(struct sb_buf *out, const struct sb_endpoint *endpoint,
                            const struct sb_route *route, const char *method)
{
    struct sb_rate_policy policy = sb_route_policy(route);
    sb_json_open(out, '{');
    key_string(out, "summary", route->summary != NULL ? route->summary : endpoint->name);
    sb_json_key(out, "operationId");
    sb_buf_add_format(out, "\"%s ", method);
    for (const char *c = endpoint->name; *c != '\0'; c++)
        sb_buf_add_char(out, *c == '/' ? '.' : *c);
    sb_buf_add_format(out, "%s\"", route->path);
    sb_json_key(out, "security");
    sb_json_raw(out, sb_access_rule(route->access)->security);
    sb_json_key(out, "x-rate-limit");
    sb_json_open(out, '{');
    key_string(out, "policy", policy.name);
    key_int(out, "limit", policy.limit);
    key_int(out, "windowSeconds", policy.window_s);
    sb_json_close(out, '}');
    write_parameters(out, route);
    write_request_body(out, route);
    write_responses(out, route, endpoint->catch_all);
    sb_json_close(out, '}');
}

static void write_path(struct sb_buf *out, const struct sb_endpoint *endpoint,
                       const struct sb_route *first)
{
    static const char *const names[] = {"get", "post", "put", "patch", "delete"};
    unsigned done = 0;
    char path[256];
    snprintf(path, sizeof path, "/api/%s%s", endpoint->name, first->path);
    sb_json_key(out, path);
    sb_json_open(out, '{');
    for (const struct sb_route *route = first; route->handler != NULL; route++) {
        for (unsigned i = 0; strcmp(route->path, first->path) == 0 && i < SB_COUNT(names); i++) {
            if ((route->methods & ~done & 1u << i) == 0)
                continue;
            done |= 1u << i;
            sb_json_key(out, names[i]);
            write_operation(out, endpoint, route, names[i]);
        }
    }
    sb_json_close(out, '}');
}

static bool path_seen(const struct sb_route *routes, const struct sb_route *route)
{
    for (; routes < route; routes++) {
        if (strcmp(routes->path, route->path) == 0)
            return true;
    }
    return false;
}

static void write_needs(struct sb_buf *out, unsigned needs)
{
    sb_json_key(out, "needs");
    sb_json_open(out, '[');
    for (unsigned i = 0; sb_needs_names[i] != NULL; i++) {
        if ((needs >> i & 1) != 0)
            sb_json_string(out, sb_needs_names[i]);
    }
    sb_json_close(out, ']');
}

static void write_aliases(struct sb_buf *out, const char *const *aliases)
{
    sb_json_key(out, "aliases");
    sb_json_open(out, '[');
    while (aliases != NULL && *aliases != NULL)
        sb_json_string(out, *aliases++);
    sb_json_close(out, ']');
}

int sb_describe(const struct sb_endpoint *endpoint)
{
    struct sb_buf out;
    sb_buf_init(&out, NULL, DESCRIPTION_MAX);
    sb_json_open(&out, '{');
    key_string(&out, "name", endpoint->name);
    write_aliases(&out, endpoint->aliases);
    write_needs(&out, sb_endpoint_needs(endpoint));
    sb_json_key(&out, "paths");
    sb_json_open(&out, '{');
    for (const struct sb_route *route = endpoint->routes; route->handler != NULL; route++) {
        if (!path_seen(endpoint->routes, route) && !endpoint->catch_all)
            write_path(&out, endpoint, route);
    }
    sb_json_close(&out, '}');
    sb_json_close(&out, '}');
    sb_buf_add_char(&out, '\n');
    bool written = sb_buf_ok(&out) && fwrite(out.data, 1, out.length, stdout) == out.length &&
                   fflush(stdout) == 0;
    sb_buf_free(&out);
    return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
