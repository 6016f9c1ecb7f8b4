#include "endpoint/page.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"

/* A list of the numbers from 1 to 120. */
enum { NUMBERS = 120 };
static const char list_name[] = "numbers";

struct number {
    int64_t value;
};
struct input {
    struct sb_page page;
};
struct output {
    struct number *numbers;
    size_t count;
    const char *next_cursor;
};
static const struct sb_field input_fields[] = {SB_PAGE(struct input), SB_FIELDS_END};
static const struct sb_field number_fields[] = {
    SB_INT(struct number, value, "value", 1, NUMBERS, SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field output_fields[] = {
    SB_OBJECTS(struct output, numbers, count, "numbers", struct number, number_fields),
    SB_NEXT_CURSOR(struct output, next_cursor), SB_FIELDS_END};

static bool digits(const char *key)
{
    return *key != '\0' && key[strspn(key, "0123456789")] == '\0';
}

static enum sb_error list(struct sb_request *request, const void *in, void *out)
{
    const struct input *input = in;
    struct output *output = out;
    const char *key;
    size_t limit = sb_page_limit(&input->page);
    enum sb_error error = sb_page_key(request, list_name, &input->page, digits, &key);
    if (error != SB_OK)
        return error;
    int64_t next = key == NULL ? 1 : strtoll(key, NULL, 10) + 1;
    output->numbers = sb_arena_alloc(request->arena, (limit + 1) * sizeof *output->numbers);
    while (output->count <= limit && next <= NUMBERS)
        output->numbers[output->count++].value = next++;
    if (output->count <= limit)
        return SB_OK;
    output->count = limit;
    return sb_page_end(
        request, list_name,
        sb_arena_printf(request->arena, "%lld", (long long)output->numbers[limit - 1].value),
        &output->next_cursor);
}

static enum sb_error without_memory(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    return sb_page_end(request, list_name, NULL, &((struct output *)out)->next_cursor);
}

static const struct sb_route routes[] = {{.methods = SB_GET,
                                          .path = "",
                                          .access = SB_ACCESS_PUBLIC,
                                          .handler = list,
                                          SB_INPUT(struct input, input_fields),
                                          SB_OUTPUT(struct output, output_fields)},
                                         {.methods = SB_GET,
                                          .path = "/without-memory",
                                          .access = SB_ACCESS_PUBLIC,
                                          .handler = without_memory,
                                          SB_OUTPUT(struct output, output_fields)},
                                         {.handler = NULL}};
static const struct sb_endpoint endpoint = {.name = "test", .routes = routes};

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    call_site_open(&site, &endpoint);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(page, .init = setup, .fini = teardown);

#define GET(target_) call_send(&site, &(struct call){.target = (target_)})

static size_t count_of(const struct call_answer *answer)
{
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    return json_array_size(call_json(answer, "numbers"));
}

static bool is_last(const struct call_answer *answer)
{
    return json_is_null(call_json(answer, "nextCursor"));
}

Test(page, the_pages_of_a_list_have_each_item_once)
{
    json_int_t expected = 1;
    const char *target = "/api/test";
    for (bool last = false; !last;) {
        const struct call_answer *answer = GET(target);
        size_t count = count_of(answer);
        for (size_t i = 0; i < count; i++)
            cr_assert_eq(json_integer_value(json_object_get(
                             json_array_get(call_json(answer, "numbers"), i), "value")),
                         expected++);
        last = is_last(answer);
        cr_assert_eq(count, last ? NUMBERS % SB_PAGE_DEFAULT : SB_PAGE_DEFAULT);
        if (!last)
            target = sb_arena_printf(site.memory, "/api/test?cursor=%s",
                                     call_text(answer, "nextCursor"));
    }
    cr_assert_eq(expected, NUMBERS + 1);
}

Test(page, the_limit_is_how_many_items_a_page_has)
{
    cr_assert_eq(count_of(GET("/api/test?limit=1")), 1);
    cr_assert_eq(count_of(GET("/api/test?limit=100")), SB_PAGE_MAX);
    cr_assert_eq(GET("/api/test?limit=0")->status, 400);
    cr_assert_eq(GET("/api/test?limit=101")->status, 400);
}

Test(page, a_page_that_ends_with_the_list_is_the_last)
{
    const char *before = sb_cursor_make(site.memory, list_name, "20");
    const char *target = sb_arena_printf(site.memory, "/api/test?limit=100&cursor=%s", before);
    const struct call_answer *answer = GET(target);
    cr_assert_eq(count_of(answer), 100);
    cr_assert(is_last(answer));
}

Test(page, what_is_no_cursor_of_the_list_is_refused)
{
    const char *const cursors[] = {"x", "numbers", sb_cursor_make(site.memory, "others", "7"),
                                   sb_cursor_make(site.memory, list_name, "seven")};
    for (size_t i = 0; i < SB_COUNT(cursors); i++) {
        const struct call_answer *answer =
            GET(sb_arena_printf(site.memory, "/api/test?cursor=%s", cursors[i]));
        cr_assert_eq(answer->status, 400, "%s", cursors[i]);
        cr_assert_str_eq(call_text(answer, "error.fields.0.field"), "cursor");
    }
}

Test(page, without_memory_there_is_no_last_page_by_mistake)
{
    cr_assert_eq(GET("/api/test/without-memory")->status, 503);
}
