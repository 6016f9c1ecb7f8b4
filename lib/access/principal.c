#include "access/principal.h"

#include <string.h>
#include <strings.h>

#include "access/claims.h"
#include "access/jws.h"
#include "access/ticket.h"
#include "access/visitor.h"
#include "base/crypto.h"
#include "store/users.h"

static const char scheme[] = "Bearer";

/* The token of an Authorization header (RFC 6750 section 2.1): the scheme in any case, blanks, the
 * token, nothing behind it. NULL: anything else. */
static const char *bearer_token(const char *header)
{
    const size_t length = sizeof scheme - 1;
    if (strncasecmp(header, scheme, length) != 0 || header[length] != ' ')
        return NULL;
    const char *token = header + length + strspn(header + length, " ");
    return *token != '\0' && token[strcspn(token, " \t\r\n,")] == '\0' ? token : NULL;
}

bool sb_principal_bearer_is(const char *header, const char *secret)
{
    const char *token = header == NULL ? NULL : bearer_token(header);
    return token != NULL && sb_secret_equal(token, strlen(token), secret, strlen(secret));
}

struct answer {
    bool decided; /* false: the credential is not of this source's kind */
    enum sb_error error;
    struct sb_principal principal; /* if error is SB_OK */
    const char *reason;            /* else; NULL if there is nothing to say */
};

static struct answer refuse(enum sb_error error, const char *reason)
{
    return (struct answer){.decided = true, .error = error, .reason = reason};
}

static enum sb_error add_user(struct sb_db_conn *tx, void *context)
{
    const struct sb_user *user = context;
    return sb_users_ensure(tx, user);
}

/* Reads the user's row, made now if this is its first use. */
static enum sb_error read_user(const struct sb_principal_input *input,
                               const struct sb_claims *claims, struct sb_user *user)
{
    enum sb_error error = sb_users_find(input->reader, input->arena, claims->sub, user);
    if (error != SB_E_NOT_FOUND)
        return error;
    /* The row's role is the administrator's to give: one of the token's would outlive the token. */
    struct sb_user first = {
        .id = claims->sub,
        .name = claims->name == NULL ? claims->sub : claims->name,
        .role = SB_ROLE_USER,
        .created_at_ms = input->now_ms,
    };
    error = sb_db_write(input->db, add_user, &first, SB_DB_WRITE_DEADLINE_MS);
    if (error != SB_OK)
        return error;
    /* Read again: somebody else may have made the row meanwhile, with another role. */
    error = sb_users_find(input->reader, input->arena, claims->sub, user);
    return error == SB_E_NOT_FOUND ? SB_E_UNAVAILABLE : error;
}

static struct answer user_answer(const struct sb_principal_input *input,
                                 const struct sb_claims *claims)
{
    struct answer answer = {.decided = true,
                            .principal = {.kind = SB_PRINCIPAL_USER,
                                          .user_id = claims->sub,
                                          .name = claims->name,
                                          .roles = claims->roles | 1u << SB_ROLE_USER}};
    if (input->db == NULL)
        return answer;
    struct sb_user user;
    enum sb_error error = read_user(input, claims, &user);
    if (error != SB_OK)
        return refuse(error, "the user could not be read");
    if (user.disabled)
        return refuse(SB_E_FORBIDDEN, "the user is disabled");
    answer.principal.roles |= 1u << user.role;
    if (answer.principal.name == NULL)
        answer.principal.name = user.name;
    return answer;
}

struct payload {
    const char *text;
    size_t length;
};

static enum sb_jws_result verify(const struct sb_principal_input *input, const char *token,
                                 const struct sb_jws_key *keys, size_t count,
                                 struct payload *payload)
{
    static const char *const types[] = {"", "JWT", "at+jwt", NULL};
    return sb_jws_verify(input->arena, token, strnlen(token, SB_JWS_MAX + 1),
                         &(struct sb_jws_rules){keys, count, types}, &payload->text,
                         &payload->length);
}

static enum sb_jws_result verify_by_secret(const struct sb_principal_input *input,
                                           const char *token, struct payload *payload)
{
    const char *secret = input->config->jwt_secret;
    const struct sb_jws_key key = {.alg = SB_JWS_HS256,
                                   .secret = (const unsigned char *)secret,
                                   .secret_length = secret == NULL ? 0 : strlen(secret)};
    return verify(input, token, &key, 1, payload);
}

/* A key that is not there may have been made since ours were fetched. */
static enum sb_jws_result verify_by_keys(const struct sb_principal_input *input, const char *token,
                                         struct payload *payload, bool *no_keys)
{
    const struct sb_jwks *set = sb_keyring_get(input->keyring);
    enum sb_jws_result result =
        verify(input, token, set == NULL ? NULL : set->keys, set == NULL ? 0 : set->count, payload);
    if (result == SB_JWS_NO_KEY) {
        const struct sb_jwks *newer = sb_keyring_renew(input->keyring, set);
        if (newer != NULL) {
            result = verify(input, token, newer->keys, newer->count, payload);
            sb_jwks_release(set);
            set = newer;
        }
    }
    *no_keys = set == NULL;
    sb_jwks_release(set);
    return result;
}

static struct answer jwt_source(const struct sb_principal_input *input, const char *token)
{
    struct payload payload;
    bool no_keys = false;
    enum sb_jws_result result = input->config->jwt_jwks_url == NULL
                                    ? verify_by_secret(input, token, &payload)
                                    : verify_by_keys(input, token, &payload, &no_keys);
    if (result == SB_JWS_BAD_TYP)
        return (struct answer){.reason = sb_jws_result_text(result)};
    if (result == SB_JWS_NO_KEY && no_keys)
        return refuse(SB_E_UNAVAILABLE, "the identity provider's keys were never had");
    if (result == SB_JWS_NO_MEMORY)
        return refuse(SB_E_UNAVAILABLE, sb_jws_result_text(result));
    if (result != SB_JWS_OK)
        return refuse(SB_E_UNAUTHENTICATED, sb_jws_result_text(result));
    struct sb_claims claims;
    enum sb_claims_result checked = sb_claims_check(input->arena, payload.text, payload.length,
                                                    input->config, input->now_ms / 1000, &claims);
    if (checked == SB_CLAIMS_OK)
        return user_answer(input, &claims);
    return refuse(checked == SB_CLAIMS_NO_MEMORY ? SB_E_UNAVAILABLE : SB_E_UNAUTHENTICATED,
                  sb_claims_result_text(checked));
}

/* A ticket, which we signed, lasts through a database that cannot be read; whoever takes it asks
 * the database for the call all the same. */
static struct answer ticket_answer(const struct sb_principal_input *input,
                                   const struct sb_ticket *ticket)
{
    struct answer answer = {.decided = true,
                            .principal = {.kind = SB_PRINCIPAL_PARTICIPANT,
                                          .user_id = ticket->user_id,
                                          .roles = 1u << SB_ROLE_USER,
                                          .call_id = ticket->call_id,
                                          .participant_id = ticket->participant_id,
                                          .moderator = ticket->moderator}};
    struct sb_user user;
    enum sb_error error = SB_E_UNAVAILABLE;
    if (input->db != NULL)
        error = sb_users_find(input->reader, input->arena, ticket->user_id, &user);
    if (error == SB_E_NOT_FOUND)
        return refuse(SB_E_UNAUTHENTICATED, "the ticket's user does not exist");
    if (error == SB_OK && user.disabled)
        return refuse(SB_E_FORBIDDEN, "the user is disabled");
    if (error == SB_OK)
        answer.principal.name = user.name;
    return answer;
}

static struct answer ticket_source(const struct sb_principal_input *input, const char *token)
{
    struct sb_ticket ticket;
    bool is_ticket;
    if (sb_ticket_verify(input->arena, input->config, token, input->now_ms / 1000, &ticket,
                         &is_ticket))
        return ticket_answer(input, &ticket);
    if (is_ticket)
        return refuse(SB_E_UNAUTHENTICATED, "the call ticket is not valid");
    return (struct answer){.decided = false};
}

static bool from_its_origin(const struct sb_principal_input *input,
                            const struct sb_visitor *visitor)
{
    if (input->origin == NULL)
        return input->reads || *visitor->origin == '\0';
    return strcmp(visitor->origin, input->origin) == 0;
}

static struct answer visitor_answer(const struct sb_principal_input *input,
                                    const struct sb_visitor *visitor)
{
    if (!input->config->enable_visitors)
        return refuse(SB_E_UNAUTHENTICATED, "visitors are not enabled");
    if (!from_its_origin(input, visitor))
        return refuse(SB_E_UNAUTHENTICATED, "the visitor's token is for another origin");
    return (struct answer){.decided = true,
                           .principal = {.kind = SB_PRINCIPAL_VISITOR, .user_id = visitor->id}};
}

static struct answer visitor_source(const struct sb_principal_input *input, const char *token)
{
    struct sb_visitor visitor;
    bool is_visitor;
    if (sb_visitor_verify(input->arena, input->config, token, input->now_ms / 1000, &visitor,
                          &is_visitor))
        return visitor_answer(input, &visitor);
    if (is_visitor)
        return refuse(SB_E_UNAUTHENTICATED, "the visitor's token is not valid");
    return (struct answer){.decided = false};
}

static struct answer (*const sources[])(const struct sb_principal_input *input,
                                        const char *token) = {jwt_source, ticket_source,
                                                              visitor_source};

static struct answer ask(const struct sb_principal_input *input, const char *token)
{
    const char *reason = NULL;
    for (size_t i = 0; i < SB_COUNT(sources); i++) {
        struct answer answer = sources[i](input, token);
        if (answer.decided)
            return answer;
        if (answer.reason != NULL)
            reason = answer.reason;
    }
    return refuse(SB_E_UNAUTHENTICATED, reason);
}

enum sb_error sb_principal_find(const struct sb_principal_input *input,
                                struct sb_principal *principal, const char **reason)
{
    if (input->authorization == NULL || *input->authorization == '\0') {
        *principal = (struct sb_principal){.kind = SB_PRINCIPAL_ANONYMOUS};
        return SB_OK;
    }
    const char *token = bearer_token(input->authorization);
    struct answer answer =
        token != NULL ? ask(input, token) : refuse(SB_E_UNAUTHENTICATED, "no bearer credential");
    if (answer.error == SB_OK)
        *principal = answer.principal;
    else
        *reason = answer.reason;
    return answer.error;
}

const char *sb_principal_owner(struct sb_arena *arena, const struct sb_principal *principal)
{
    if (principal->kind == SB_PRINCIPAL_ANONYMOUS)
        return NULL;
    const char *kind = principal->kind == SB_PRINCIPAL_VISITOR ? "visitor" : "user";
    return sb_arena_printf(arena, "%s:%s", kind, principal->user_id);
}
