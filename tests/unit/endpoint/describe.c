#include <criterion/criterion.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/call.h"
#include "base/clock.h"

struct part {
    const char *id;
    int64_t size;
};

struct input {
    const char *id, *name;
    int64_t kind, size;
    bool flag;
    struct part part, *parts;
    const char **tags;
    size_t part_count, tag_count;
};

struct output {
    const char *text, *none, *id;
    int64_t number, no_number, kind, time_ms, no_time_ms;
    bool created;
    struct part part, *parts;
    size_t part_count;
    const char **tags;
    size_t tag_count;
};

static const char *const kinds[] = {"audio", "video", NULL};
static const struct sb_field part_fields[] = {SB_ID(struct part, id, "id", SB_REQUIRED),
                                              SB_INT(struct part, size, "size", 0, 9, SB_REQUIRED),
                                              SB_FIELDS_END};
static const struct sb_field input_fields[] = {
    SB_ID(struct input, id, "id", 0),
    SB_STRING(struct input, name, "name", 1, 20, SB_REQUIRED),
    SB_ENUM(struct input, kind, "kind", kinds, 0),
    SB_INT(struct input, size, "size", -5, 5, 0),
    SB_OBJECT(struct input, part, "part", part_fields),
    SB_OBJECTS_IN(struct input, parts, part_count, "parts", struct part, part_fields, 1, 4, 0),
    SB_STRINGS_IN(struct input, tags, tag_count, "tags", 20, 0, 5, 0),
    SB_FIELDS_END};
static const struct sb_field query_fields[] = {
    SB_ID(struct input, id, "id", SB_REQUIRED), SB_INT(struct input, size, "size", 1, 100, 0),
    SB_BOOL(struct input, flag, "flag", SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field output_fields[] = {
    SB_STRING(struct output, text, "text", 1, 20, SB_REQUIRED),
    SB_STRING(struct output, none, "none", 1, 20, SB_REQUIRED | SB_NULLABLE),
    SB_ID(struct output, id, "id", SB_REQUIRED),
    SB_INT(struct output, number, "number", 0, INT64_MAX, SB_REQUIRED),
    SB_INT(struct output, no_number, "noNumber", 0, 9, SB_REQUIRED | SB_NULLABLE),
    SB_ENUM(struct output, kind, "kind", kinds, SB_REQUIRED | SB_NULLABLE),
    SB_TIME(struct output, time_ms, "time", SB_REQUIRED),
    SB_TIME(struct output, no_time_ms, "noTime", SB_REQUIRED | SB_NULLABLE),
    SB_BOOL(struct output, created, "created", SB_REQUIRED),
    SB_OBJECT(struct output, part, "part", part_fields),
    SB_OBJECTS(struct output, parts, part_count, "parts", struct part, part_fields),
    SB_STRINGS(struct output, tags, tag_count, "tags"),
    SB_FIELDS_END};

static bool make_all, make_wrong;

static enum sb_error fill(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    static struct part parts[] = {{"p1", 1}, {"p2", 2}};
    static const char *tags[] = {"a", "b"};
    *(struct output *)out = (struct output){
        .text = "t",
        .id = "x-1",
        .number = 7,
        .no_number = make_all ? 3 : -1,
        .none = make_all ? "n" : NULL,
        .kind = make_all ? 1 : -1,
        .time_ms = request->now_ms,
        .no_time_ms = make_all ? 1 : 0,
        .created = make_all,
        .part = {make_wrong ? "not an id" : "p0", 0},
        .parts = parts,
        .part_count = make_all ? 2 : 0,
        .tags = tags,
        .tag_count = make_all ? 2 : 0,
    };
    return SB_OK;
}

static enum sb_error gone(struct sb_request *request, const void *in, void *out)
{
    (void)request, (void)in, (void)out;
    return SB_E_GONE;
}

static const struct sb_route routes[] = {{.methods = SB_POST,
                                          .path = "",
                                          .access = SB_ACCESS_PUBLIC,
                                          .handler = fill,
                                          .body = SB_BODY_JSON,
                                          SB_INPUT(struct input, input_fields),
                                          SB_OUTPUT(struct output, output_fields),
                                          .created = SB_CREATED(struct output, created),
                                          .idempotent = true,
                                          .limit = {"test-make", 7, 30},
                                          .errors = SB_ERRORS(SB_E_CONFLICT, SB_E_NOT_FOUND),
                                          .summary = "Make \"one\""},
                                         {.methods = SB_GET | SB_PUT,
                                          .path = "/{id}/view",
                                          .access = SB_ACCESS_USER,
                                          .handler = fill,
                                          SB_INPUT(struct input, query_fields),
                                          SB_OUTPUT(struct output, output_fields),
                                          .report_errors = true},
                                         {.methods = SB_PATCH,
                                          .path = "/{id}/view",
                                          .access = SB_ACCESS_PARTICIPANT,
                                          .status = 201,
                                          .handler = fill,
                                          .body = SB_BODY_JSON,
                                          SB_INPUT(struct input, input_fields),
                                          SB_OUTPUT(struct output, output_fields)},
                                         {.methods = SB_GET,
                                          .path = "/stream",
                                          .access = SB_ACCESS_METRICS,
                                          .handler = gone,
                                          .reply = SB_REPLY_STREAM,
                                          .content_type = "text/event-stream"},
                                         {.methods = SB_ANY,
                                          .path = "/gone",
                                          .access = SB_ACCESS_PUBLIC,
                                          .handler = gone,
                                          .always_fails = true,
                                          .errors = SB_ERRORS(SB_E_GONE)},
                                         {.handler = NULL}};

static const struct sb_endpoint endpoint = {.name = "test/all",
                                            .aliases =
                                                (const char *const[]){"/api/all.php", "/all", NULL},
                                            .routes = routes,
                                            .needs = SB_NEEDS_DB};

static struct call_site site;
static json_t *document;

static json_t *describe(const struct sb_endpoint *described)
{
    const char *path = call_path(&site, "description.json");
    int saved = dup(STDOUT_FILENO);
    fflush(stdout);
    cr_assert_not_null(freopen(path, "w", stdout));
    int status = sb_describe(described);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    cr_assert_eq(status, EXIT_SUCCESS);
    json_error_t error;
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(json, "%s", error.text);
    return json;
}

static void setup(void)
{
    call_site_prepare(&site);
    call_site_open(&site, &endpoint);
    document = describe(&endpoint);
    make_all = make_wrong = false;
}

static void teardown(void)
{
    json_decref(document);
    call_site_close(&site);
}

TestSuite(describe, .init = setup, .fini = teardown);

/* The value at a way of keys and indexes ended by NULL, or NULL. */
static json_t *at(json_t *value, const char *const *way)
{
    for (; value != NULL && *way != NULL; way++)
        value = json_is_array(value) ? json_array_get(value, strtoul(*way, NULL, 10))
                                     : json_object_get(value, *way);
    return value;
}

#define AT(value, ...) at((value), (const char *const[]){__VA_ARGS__, NULL})
#define TEXT(value, ...) json_string_value(AT(value, __VA_ARGS__))
#define OPERATION(path, method) AT(document, "paths", "/api/test/all" path, method)

static void expect_same(const json_t *value, const char *expected)
{
    json_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    cr_assert_not_null(wanted, "%s", expected);
    char *given = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    cr_expect(json_equal(value, wanted), "%s, not %s", given, expected);
    free(given);
    json_decref(wanted);
}

/* As much of JSON Schema as describe writes. A keyword it does not know fails the test. */

static bool pattern_matches(const char *pattern, const char *text)
{
    char posix[512] = "";
    for (char *out = posix; *pattern != '\0'; pattern++) {
        bool digit = strncmp(pattern, "\\d", 2) == 0;
        out = stpcpy(out, digit ? "[0-9]" : (const char[]){*pattern, '\0'});
        pattern += digit;
    }
    regex_t regex;
    cr_assert_eq(regcomp(&regex, posix, REG_EXTENDED | REG_NOSUB), 0, "%s", posix);
    bool matches = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return matches;
}

static bool type_is(const char *type, const json_t *value)
{
    static const struct {
        const char *name;
        json_type type;
    } types[] = {{"object", JSON_OBJECT},
                 {"array", JSON_ARRAY},
                 {"string", JSON_STRING},
                 {"integer", JSON_INTEGER},
                 {"null", JSON_NULL}};
    if (strcmp(type, "boolean") == 0)
        return json_is_boolean(value);
    for (size_t i = 0; i < SB_COUNT(types); i++) {
        if (strcmp(types[i].name, type) == 0)
            return json_typeof(value) == types[i].type;
    }
    cr_assert_fail("type %s", type);
    return false;
}

static bool one_of(const json_t *list, const json_t *value, bool as_types)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (as_types ? type_is(json_string_value(item), value) : json_equal(item, value))
            return true;
    }
    return false;
}

static bool conforms(const json_t *schema, const json_t *value);

static bool properties_conform(const json_t *properties, const json_t *value)
{
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)value, name, member)
    {
        if (!conforms(json_object_get(properties, name), member)) /* NULL: an additional one */
            return false;
    }
    return true;
}

static bool has_all(const json_t *names, const json_t *value)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name)
    {
        if (json_object_get(value, json_string_value(name)) == NULL)
            return false;
    }
    return true;
}

static bool items_conform(const json_t *schema, const json_t *value)
{
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item)
    {
        if (!conforms(schema, item))
            return false;
    }
    return true;
}

static bool keyword_holds(const char *keyword, const json_t *rule, const json_t *value)
{
    if (strcmp(keyword, "const") == 0)
        return json_equal(rule, value);
    if (strcmp(keyword, "type") == 0)
        return json_is_array(rule) ? one_of(rule, value, true)
                                   : type_is(json_string_value(rule), value);
    if (strcmp(keyword, "enum") == 0)
        return one_of(rule, value, false);
    if (strcmp(keyword, "pattern") == 0)
        return !json_is_string(value) ||
               pattern_matches(json_string_value(rule), json_string_value(value));
    if (strcmp(keyword, "minLength") == 0)
        return !json_is_string(value) ||
               (json_int_t)json_string_length(value) >= json_integer_value(rule);
    if (strcmp(keyword, "maxLength") == 0)
        return !json_is_string(value) ||
               (json_int_t)json_string_length(value) <= json_integer_value(rule);
    if (strcmp(keyword, "minimum") == 0)
        return !json_is_integer(value) || json_integer_value(value) >= json_integer_value(rule);
    if (strcmp(keyword, "maximum") == 0)
        return !json_is_integer(value) || json_integer_value(value) <= json_integer_value(rule);
    if (strcmp(keyword, "properties") == 0)
        return properties_conform(rule, value);
    if (strcmp(keyword, "required") == 0)
        return has_all(rule, value);
    if (strcmp(keyword, "items") == 0)
        return items_conform(rule, value);
    cr_assert_str_eq(keyword, "additionalProperties");
    return json_is_false(rule);
}

static bool conforms(const json_t *schema, const json_t *value)
{
    const char *keyword;
    json_t *rule;
    bool fine = schema != NULL;
    json_object_foreach((json_t *)schema, keyword, rule)
    {
        fine = fine && keyword_holds(keyword, rule, value);
    }
    return fine;
}

Test(describe, says_name_aliases_and_needs)
{
    expect_same(AT(document, "name"), "\"test/all\"");
    expect_same(AT(document, "aliases"), "[\"/api/all.php\",\"/all\"]");
    expect_same(AT(document, "needs"), "[\"db\",\"users\",\"metrics\",\"tickets\"]");
}

Test(describe, has_each_path_once_with_its_methods)
{
    cr_assert_eq(json_object_size(AT(document, "paths")), 4);
    cr_assert_not_null(OPERATION("", "post"));
    cr_assert_eq(json_object_size(AT(document, "paths", "/api/test/all")), 1);
    cr_assert_eq(json_object_size(AT(document, "paths", "/api/test/all/{id}/view")), 3);
    cr_assert_not_null(OPERATION("/{id}/view", "get"));
    cr_assert_not_null(OPERATION("/{id}/view", "put"));
    cr_assert_not_null(OPERATION("/{id}/view", "patch"));
    cr_assert_eq(json_object_size(AT(document, "paths", "/api/test/all/gone")), 5,
                 "HEAD and OPTIONS are not listed");
}

Test(describe, operations_have_a_summary_an_id_and_a_limit)
{
    json_t *make = OPERATION("", "post");
    cr_assert_str_eq(TEXT(make, "summary"), "Make \"one\"");
    expect_same(AT(make, "x-rate-limit"),
                "{\"policy\":\"test-make\",\"limit\":7,\"windowSeconds\":30}");
    expect_same(AT(OPERATION("/gone", "get"), "x-rate-limit"),
                "{\"policy\":\"default\",\"limit\":100,\"windowSeconds\":60}");
    cr_assert_str_eq(TEXT(OPERATION("/gone", "get"), "summary"), "test/all");
    cr_assert_str_neq(TEXT(OPERATION("/{id}/view", "get"), "operationId"),
                      TEXT(OPERATION("/{id}/view", "put"), "operationId"));
}

Test(describe, security_is_that_of_the_access_column)
{
    expect_same(AT(OPERATION("", "post"), "security"), "[]");
    expect_same(AT(OPERATION("/{id}/view", "get"), "security"), "[{\"bearer\":[]}]");
    expect_same(AT(OPERATION("/{id}/view", "patch"), "security"),
                "[{\"bearer\":[]},{\"ticket\":[]}]");
    expect_same(AT(OPERATION("/stream", "get"), "security"), "[{\"metrics\":[]}]");
}

Test(describe, the_body_is_the_input_table)
{
    json_t *body = AT(OPERATION("", "post"), "requestBody");
    expect_same(AT(body, "required"), "true");
    expect_same(AT(body, "content", "application/json", "schema"),
                "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
                "\"id\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-]{1,64}$\"},"
                "\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":20},"
                "\"kind\":{\"type\":\"string\",\"enum\":[\"audio\",\"video\"]},"
                "\"size\":{\"type\":\"integer\",\"minimum\":-5,\"maximum\":5},"
                "\"part\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
                "\"id\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-]{1,64}$\"},"
                "\"size\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9}},"
                "\"required\":[\"id\",\"size\"]},"
                "\"parts\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":4,\"items\":{"
                "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
                "\"id\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-]{1,64}$\"},"
                "\"size\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9}},"
                "\"required\":[\"id\",\"size\"]}},"
                "\"tags\":{\"type\":\"array\",\"maxItems\":5,"
                "\"items\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":20}}},"
                "\"required\":[\"name\",\"part\"]}");
    cr_assert_null(AT(OPERATION("/{id}/view", "get"), "requestBody"));
}

Test(describe, what_stands_in_the_path_is_a_parameter_and_not_in_the_body)
{
    json_t *patch = OPERATION("/{id}/view", "patch");
    expect_same(AT(patch, "parameters"),
                "[{\"name\":\"id\",\"in\":\"path\",\"required\":true,"
                "\"schema\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-]{1,64}$\"}}]");
    json_t *schema = AT(patch, "requestBody", "content", "application/json", "schema");
    cr_assert_null(AT(schema, "properties", "id"));
    cr_assert_not_null(AT(schema, "properties", "name"));
    expect_same(AT(schema, "required"), "[\"name\",\"part\"]");
}

Test(describe, parameters_are_path_query_and_the_idempotency_key)
{
    expect_same(AT(OPERATION("/{id}/view", "get"), "parameters"),
                "[{\"name\":\"id\",\"in\":\"path\",\"required\":true,"
                "\"schema\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-]{1,64}$\"}},"
                "{\"name\":\"size\",\"in\":\"query\",\"required\":false,"
                "\"schema\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100}},"
                "{\"name\":\"flag\",\"in\":\"query\",\"required\":true,"
                "\"schema\":{\"type\":\"boolean\"}}]");
    expect_same(AT(OPERATION("", "post"), "parameters"),
                "[{\"name\":\"Idempotency-Key\",\"in\":\"header\",\"required\":false,"
                "\"schema\":{\"type\":\"string\",\"maxLength\":255}}]");
}

Test(describe, errors_are_the_pipelines_and_the_handlers)
{
    json_t *responses = AT(OPERATION("", "post"), "responses");
    static const struct {
        const char *status, *codes;
    } rows[] = {
        {"400", "invalid_request, invalid_json, validation_failed"},
        {"403", "origin_denied"},
        {"404", "not_found"},
        {"405", "method_not_allowed"},
        {"409", "conflict"},
        {"413", "body_too_large"},
        {"415", "unsupported_media_type"},
        {"422", "idempotency_mismatch"},
        {"429", "rate_limited"},
        {"503", "misconfigured, unavailable"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const char *codes = TEXT(responses, rows[i].status, "description");
        cr_assert_not_null(codes, "%s", rows[i].status);
        cr_expect_str_eq(codes, rows[i].codes, "%s: %s", rows[i].status, codes);
        cr_expect_str_eq(
            TEXT(responses, rows[i].status, "content", "application/json", "schema", "$ref"),
            "#/components/schemas/Error");
    }
    cr_assert_eq(json_object_size(responses), SB_COUNT(rows) + 2, "and 200 and 201");
}

Test(describe, a_route_that_only_refuses_has_no_success)
{
    json_t *responses = AT(OPERATION("/gone", "get"), "responses");
    cr_assert_null(AT(responses, "200"));
    cr_assert_str_eq(TEXT(responses, "410", "description"), "gone");
    cr_assert_null(AT(responses, "401"), "nobody needs a token there");
    cr_assert_null(AT(responses, "413"), "nor sends a body");
}

Test(describe, errors_that_report_say_so)
{
    json_t *responses = AT(OPERATION("/{id}/view", "get"), "responses");
    cr_assert_str_eq(TEXT(responses, "503", "content", "application/json", "schema", "$ref"),
                     "#/components/schemas/Report");
    cr_assert_str_eq(TEXT(responses, "404", "content", "application/json", "schema", "$ref"),
                     "#/components/schemas/Error");
}

Test(describe, a_success_has_the_status_the_route_says)
{
    json_t *responses = AT(OPERATION("/{id}/view", "patch"), "responses");
    cr_assert_not_null(AT(responses, "201"));
    cr_assert_null(AT(responses, "200"));
    cr_assert_not_null(AT(OPERATION("/{id}/view", "get"), "responses", "200"));
}

Test(describe, a_stream_is_a_string_of_its_type)
{
    expect_same(AT(OPERATION("/stream", "get"), "responses", "200", "content"),
                "{\"text/event-stream\":{\"schema\":{\"type\":\"string\"}}}");
}

static void expect_conformity(const char *status)
{
    const struct call_answer *answer = call_send(
        &site, &(struct call){.target = "/api/test/all",
                              .body = "{\"name\":\"n\",\"part\":{\"id\":\"i\",\"size\":1}}"});
    cr_assert_eq(answer->status, strtol(status, NULL, 10), "%s", answer->body);
    json_t *schema =
        AT(OPERATION("", "post"), "responses", status, "content", "application/json", "schema");
    cr_assert(conforms(schema, answer->json) != make_wrong, "%s", answer->body);
}

Test(describe, a_real_answer_conforms_to_its_schema)
{
    expect_conformity("200");
    make_all = true;
    expect_conformity("201");
}

Test(describe, an_answer_that_breaks_its_schema_does_not_conform)
{
    make_wrong = true;
    expect_conformity("200");
}

Test(describe, a_catch_all_has_no_path_of_its_own)
{
    static const struct sb_endpoint all = {
        .name = "not-found", .routes = routes, .catch_all = true};
    json_t *described = describe(&all);
    cr_assert_eq(json_object_size(AT(described, "paths")), 0);
    expect_same(AT(described, "aliases"), "[]");
    json_decref(described);
}
