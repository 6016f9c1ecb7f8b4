#include "access/claims.h"

#include <string.h>

#include "access/token_json.h"
#include "base/buf.h"
#include "store/users.h"

static const char *const result_texts[SB_CLAIMS__MAX] = {
    [SB_CLAIMS_OK] = "the claims are good",
    [SB_CLAIMS_NOT_JSON] = "the payload is not a sound JSON object",
    [SB_CLAIMS_BAD_SUB] = "sub is missing or no user id",
    [SB_CLAIMS_BAD_TIME] = "exp is missing, or a time is no integer",
    [SB_CLAIMS_EXPIRED] = "the token has expired",
    [SB_CLAIMS_NOT_YET] = "the token is not valid yet",
    [SB_CLAIMS_BAD_ISSUER] = "iss is not the configured issuer",
    [SB_CLAIMS_BAD_AUDIENCE] = "aud is not for us",
    [SB_CLAIMS_BAD_PARTY] = "azp is not an authorized party",
    [SB_CLAIMS_PENDING] = "the session is pending",
    [SB_CLAIMS_NO_MEMORY] = "out of memory",
};

const char *sb_claims_result_text(enum sb_claims_result result)
{
    return result < SB_CLAIMS__MAX ? result_texts[result] : "unknown";
}

/* The rules, one predicate each. */

struct check {
    const json_t *json;
    const struct sb_config *config;
    int64_t now_s;
};

static bool listed(const struct sb_strings *list, const char *text)
{
    for (size_t i = 0; text != NULL && i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0)
            return true;
    }
    return false;
}

static enum sb_claims_result check_subject(const struct check *check)
{
    return sb_user_id_valid(sb_token_text(check->json, "sub")) ? SB_CLAIMS_OK : SB_CLAIMS_BAD_SUB;
}

static enum sb_claims_result check_expiry(const struct check *check)
{
    int64_t expires_at_s;
    if (!sb_token_time(check->json, "exp", &expires_at_s))
        return SB_CLAIMS_BAD_TIME;
    /* The leeway goes to our side: exp may be any integer, and adding to it could overflow. */
    return check->now_s - SB_CLAIMS_SKEW_S < expires_at_s ? SB_CLAIMS_OK : SB_CLAIMS_EXPIRED;
}

static enum sb_claims_result check_begun(const struct check *check)
{
    static const char *const names[] = {"nbf", "iat"};
    for (size_t i = 0; i < SB_COUNT(names); i++) {
        int64_t time_s;
        if (json_object_get(check->json, names[i]) == NULL)
            continue;
        if (!sb_token_time(check->json, names[i], &time_s))
            return SB_CLAIMS_BAD_TIME;
        if (time_s > check->now_s + SB_CLAIMS_SKEW_S)
            return SB_CLAIMS_NOT_YET;
    }
    return SB_CLAIMS_OK;
}

static enum sb_claims_result check_issuer(const struct check *check)
{
    const char *issuer = sb_token_text(check->json, "iss");
    const char *wanted = check->config->jwt_issuer;
    if (wanted == NULL || (issuer != NULL && strcmp(issuer, wanted) == 0))
        return SB_CLAIMS_OK;
    return SB_CLAIMS_BAD_ISSUER;
}

/* RFC 7519 section 4.1.3: one text, or an array of which one must be ours. */
static enum sb_claims_result check_audience(const struct check *check)
{
    const struct sb_strings *wanted = &check->config->jwt_audience;
    const json_t *audience = json_object_get(check->json, "aud"), *item;
    size_t i;
    if (wanted->count == 0 || listed(wanted, json_string_value(audience)))
        return SB_CLAIMS_OK;
    json_array_foreach(audience, i, item)
    {
        if (listed(wanted, json_string_value(item)))
            return SB_CLAIMS_OK;
    }
    return SB_CLAIMS_BAD_AUDIENCE;
}

static enum sb_claims_result check_party(const struct check *check)
{
    const struct sb_strings *wanted = &check->config->jwt_authorized_parties;
    bool fine = wanted->count == 0 || listed(wanted, sb_token_text(check->json, "azp"));
    return fine ? SB_CLAIMS_OK : SB_CLAIMS_BAD_PARTY;
}

/* Clerk: signed in, but a task such as choosing an organisation is still open. */
static enum sb_claims_result check_status(const struct check *check)
{
    const char *status = sb_token_text(check->json, "sts");
    return status != NULL && strcmp(status, "pending") == 0 ? SB_CLAIMS_PENDING : SB_CLAIMS_OK;
}

static enum sb_claims_result (*const checks[])(const struct check *check) = {
    check_subject,  check_expiry, check_begun,  check_issuer,
    check_audience, check_party,  check_status,
};

/* The bit of a role's name; a name that is none of ours gives nothing. Clerk writes the roles of an
 * organisation "org:staff". */
static unsigned role_bit(const json_t *value)
{
    const char *name = json_string_value(value);
    if (name == NULL)
        return 0;
    if (strncmp(name, "org:", 4) == 0)
        name += 4;
    for (unsigned role = 0; role < SB_ROLE__MAX; role++) {
        if (strcmp(name, sb_role_names[role]) == 0)
            return 1u << role;
    }
    return 0;
}

static unsigned collect_roles(const json_t *json)
{
    const json_t *many = json_object_get(json, "roles"), *item;
    unsigned roles = role_bit(json_object_get(json, "role")) | role_bit(many) |
                     role_bit(json_object_get(json, "org_role")) |
                     role_bit(json_object_get(json_object_get(json, "o"), "rol"));
    size_t i;
    json_array_foreach(many, i, item)
    {
        roles |= role_bit(item);
    }
    return roles;
}

/* A display name is cut at a character's end, and its control characters become blanks. */
static char *display_name(struct sb_arena *arena, const char *text)
{
    size_t length = 0, left = strlen(text);
    for (size_t size; left > 0; length += size, left -= size) {
        size = sb_utf8_sequence(text + length, left);
        if (size == 0 || length + size > SB_USER_NAME_MAX)
            break;
    }
    char *name = sb_arena_strndup(arena, text, length);
    for (char *c = name; c != NULL && *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = ' ';
        if (*c == '\xC2' && (unsigned char)c[1] < 0xA0) /* C1: U+0080 to U+009F */
            c[0] = c[1] = ' ';
    }
    return name;
}

static enum sb_claims_result fill(struct sb_arena *arena, const json_t *json,
                                  struct sb_claims *claims)
{
    const char *name = sb_token_text(json, "name");
    struct sb_claims filled = {
        .sub = sb_arena_strdup(arena, sb_token_text(json, "sub")),
        .name = name == NULL || *name == '\0' ? NULL : display_name(arena, name),
        .roles = collect_roles(json),
        .expires_at_s = json_integer_value(json_object_get(json, "exp")),
    };
    if (filled.sub == NULL || (filled.name == NULL && name != NULL && *name != '\0'))
        return SB_CLAIMS_NO_MEMORY;
    *claims = filled;
    return SB_CLAIMS_OK;
}

enum sb_claims_result sb_claims_check(struct sb_arena *arena, const char *payload, size_t length,
                                      const struct sb_config *config, int64_t now_s,
                                      struct sb_claims *claims)
{
    bool no_memory;
    json_t *json = sb_token_object(payload, length, &no_memory);
    if (json == NULL)
        return no_memory ? SB_CLAIMS_NO_MEMORY : SB_CLAIMS_NOT_JSON;
    const struct check check = {json, config, now_s};
    enum sb_claims_result result = SB_CLAIMS_OK;
    for (size_t i = 0; result == SB_CLAIMS_OK && i < SB_COUNT(checks); i++)
        result = checks[i](&check);
    if (result == SB_CLAIMS_OK)
        result = fill(arena, json, claims);
    json_decref(json);
    return result;
}
