#include "access/sealed_token.h"

#include <criterion/criterion.h>

#include "tokens.h"

static const struct sb_sealed_kind kind = {"test+jwt", "test v1"};

static struct sb_arena *arena;
static struct sb_config config;
static bool is_kind;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
    cr_assert_not_null(arena);
    config.jwt_secret = token_secret;
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(sealed_token, .init = setup, .fini = teardown);

static char *make(const struct sb_sealed_kind *as, const char *payload)
{
    struct sb_buf text;
    sb_buf_init(&text, arena, 1024);
    sb_buf_add_text(&text, payload);
    return sb_sealed_make(arena, &config, as, &text);
}

static bool opens(const struct sb_sealed_kind *as, const char *text)
{
    json_t *json = sb_sealed_open(arena, &config, as, text, &is_kind);
    bool opened = json_is_object(json);
    json_decref(json);
    return opened;
}

Test(sealed_token, gives_the_payload_back)
{
    json_t *json = sb_sealed_open(arena, &config, &kind, make(&kind, "{\"a\":[1,2]}"), &is_kind);
    cr_assert_eq(json_array_size(json_object_get(json, "a")), 2);
    cr_assert(is_kind);
    json_decref(json);
}

Test(sealed_token, tells_kinds_apart_by_their_type)
{
    const struct sb_sealed_kind other = {"other+jwt", kind.purpose};
    cr_assert_not(opens(&other, make(&kind, "{}")));
    cr_assert_not(is_kind);
    cr_assert_not(opens(&kind, "garbage"));
    cr_assert_not(is_kind);
}

Test(sealed_token, refuses_its_type_under_the_key_of_another_purpose)
{
    const struct sb_sealed_kind other = {kind.typ, "test v2"};
    char *text = make(&kind, "{}");
    cr_assert_not(opens(&other, text));
    cr_assert(is_kind);
    cr_assert(opens(&kind, text), "positive control");
}

Test(sealed_token, refuses_a_payload_that_is_no_strict_object)
{
    static const char *const payloads[] = {"[]", "1", "{\"a\":1,\"a\":2}", "{}x", "{", ""};
    for (size_t i = 0; i < SB_COUNT(payloads); i++)
        cr_assert_not(opens(&kind, make(&kind, payloads[i])), "%s", payloads[i]);
}

Test(sealed_token, is_not_made_of_a_payload_that_did_not_fit)
{
    struct sb_buf text;
    sb_buf_init(&text, arena, 2);
    sb_buf_add_text(&text, "{ }");
    cr_assert_null(sb_sealed_make(arena, &config, &kind, &text));
}
