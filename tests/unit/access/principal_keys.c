/* Users by an identity provider's keys: who is let in where JWT_JWKS_URL is set. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../support/base.h"
#include "access/key_file.h"
#include "access/principal.h"
#include "access/ticket.h"
#include "signers.h"
#include "store/users.h"
#include "tokens.h"

static const int64_t NOW_MS = 1800000000000;
static const char URL[] = "https://id.example/keys";
static const char HEADER[] = "{\"alg\":\"ES256\",\"kid\":\"one\",\"typ\":\"JWT\"}";

static char directory[BASE_DIR_SIZE];
static char *command;
static struct sb_arena *arena;
static EVP_PKEY *one, *two;
static struct sb_config config;
static struct sb_principal_input input;
static struct sb_principal principal;
static const char *reason;

static char *set_text(EVP_PKEY *pkey, const char *kid)
{
    char *members = sb_arena_printf(arena, ",\"kid\":\"%s\"", kid);
    return sb_arena_printf(arena, "{\"keys\":[%s]}", signer_jwk(arena, pkey, members));
}

static void setup(void)
{
    base_dir_make(directory);
    command = base_path(directory, "command");
    arena = sb_arena_new(1024 * 1024);
    one = signer_ec("P-256");
    two = signer_ec("P-256");
    config = (struct sb_config){
        .jwt_secret = token_secret, .jwt_jwks_url = URL, .jwt_issuer = "https://id.example"};
    input = (struct sb_principal_input){.arena = arena,
                                        .config = &config,
                                        .now_ms = NOW_MS,
                                        .keyring = sb_keyring_new(directory, URL, command)};
    cr_assert_not_null(input.keyring);
}

static void teardown(void)
{
    sb_keyring_free(input.keyring);
    EVP_PKEY_free(one);
    EVP_PKEY_free(two);
    sb_arena_free(arena);
    free(command);
    base_dir_remove(directory);
}

TestSuite(principal_keys, .init = setup, .fini = teardown);

static void put_keys(void)
{
    char *text = set_text(one, "one");
    cr_assert(sb_key_file_replace(directory, text, strlen(text), URL));
}

static enum sb_error find(const char *token)
{
    input.authorization = sb_arena_printf(arena, "Bearer %s", token);
    reason = NULL;
    return sb_principal_find(&input, &principal, &reason);
}

/* What the provider signs for user u1 with these members besides. */
static char *token_with(const char *members)
{
    return signer_token(arena, one, HEADER,
                        sb_arena_printf(arena,
                                        "{\"sub\":\"u1\",\"iss\":\"https://id.example\","
                                        "\"exp\":1800000100%s}",
                                        members));
}

Test(principal_keys, is_the_user_the_provider_signed_for)
{
    put_keys();
    cr_assert_eq(find(token_with(",\"name\":\"Ada\",\"o\":{\"rol\":\"org:staff\"}")), SB_OK);
    cr_expect_eq(principal.kind, SB_PRINCIPAL_USER);
    cr_expect_str_eq(principal.user_id, "u1");
    cr_expect_str_eq(principal.name, "Ada");
    cr_expect_eq(principal.roles, 1u << SB_ROLE_USER | 1u << SB_ROLE_STAFF);
}

Test(principal_keys, refuses_a_users_token_under_our_own_secret)
{
    put_keys();
    char *token = token_make(arena, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
                             "{\"sub\":\"u1\",\"iss\":\"https://id.example\",\"exp\":1800000100}");
    cr_expect_eq(find(token), SB_E_UNAUTHENTICATED);
    cr_expect_str_eq(reason, "the alg is not the key's");
    config.jwt_jwks_url = NULL;
    cr_expect_eq(find(token), SB_OK, "positive control");
}

Test(principal_keys, refuses_the_tokens_of_another_issuer)
{
    put_keys();
    char *token =
        signer_token(arena, one, HEADER,
                     "{\"sub\":\"u1\",\"iss\":\"https://other.example\",\"exp\":1800000100}");
    cr_expect_eq(find(token), SB_E_UNAUTHENTICATED);
    cr_expect_str_eq(reason, "iss is not the configured issuer");
}

Test(principal_keys, holds_the_claims_against_the_rules)
{
    put_keys();
    static const struct {
        const char *members, *reason;
    } rows[] = {
        {",\"sts\":\"pending\"", "the session is pending"},
        {",\"nbf\":1800000006", "the token is not valid yet"},
        {",\"iat\":1800000006", "the token is not valid yet"},
        {",\"nbf\":1800000001.5", "exp is missing, or a time is no integer"},
        {",\"iat\":\"1800000000\"", "exp is missing, or a time is no integer"},
        {",\"exp\":1800000200", "the payload is not a sound JSON object"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cr_expect_eq(find(token_with(rows[i].members)), SB_E_UNAUTHENTICATED);
        cr_expect_str_eq(reason, rows[i].reason, "%s: %s", rows[i].members, reason);
    }
    cr_expect_eq(find(token_with(",\"sts\":\"active\",\"nbf\":1800000005,\"iat\":1800000005")),
                 SB_OK);
}

Test(principal_keys, still_takes_tickets_under_our_own_secret)
{
    put_keys();
    const struct sb_ticket ticket = {"u1", "call_1", "part_1", true, NOW_MS / 1000 + 60};
    cr_assert_eq(find(sb_ticket_make(arena, &config, &ticket)), SB_OK);
    cr_expect_eq(principal.kind, SB_PRINCIPAL_PARTICIPANT);
}

Test(principal_keys, refuses_a_ticket_signed_by_the_provider)
{
    put_keys();
    char *token =
        signer_token(arena, one, "{\"alg\":\"ES256\",\"kid\":\"one\",\"typ\":\"ticket+jwt\"}",
                     "{\"sub\":\"u1\",\"call\":\"call_1\",\"participant\":\"part_1\","
                     "\"moderator\":true,\"exp\":1800000060}");
    cr_expect_eq(find(token), SB_E_UNAUTHENTICATED);
    cr_expect_str_eq(reason, "the call ticket is not valid");
}

static void write_command(const char *body)
{
    base_file_write(
        command, sb_arena_printf(arena, "#!/bin/sh\ncd %s\necho ran >>ran\n%s\n", directory, body));
    cr_assert_eq(chmod(command, 0700), 0);
}

static size_t runs(void)
{
    char *path = base_path(directory, "ran"), *text = base_file_read(path);
    size_t count = text == NULL ? 0 : base_count(text, "ran\n");
    free(text);
    free(path);
    return count;
}

Test(principal_keys, has_an_unknown_key_fetched_and_tries_again)
{
    put_keys();
    write_command(
        sb_arena_printf(arena, "echo '%s' >new && mv new jwks.json", set_text(two, "two")));
    char *token =
        signer_token(arena, two, "{\"alg\":\"ES256\",\"kid\":\"two\"}",
                     "{\"sub\":\"u2\",\"iss\":\"https://id.example\",\"exp\":1800000100}");
    cr_assert_eq(find(token), SB_OK, "%s", reason);
    cr_expect_str_eq(principal.user_id, "u2");
    cr_expect_eq(find(token_with("")), SB_E_UNAUTHENTICATED, "the old key is gone");
    cr_expect_eq(runs(), 1);
}

Test(principal_keys, a_flood_of_unknown_keys_starts_one_refresh)
{
    put_keys();
    write_command("exit 1");
    for (int i = 0; i < 50; i++) {
        char *header = sb_arena_printf(arena, "{\"alg\":\"ES256\",\"kid\":\"flood-%d\"}", i);
        cr_assert_eq(find(signer_token(arena, two, header, "{}")), SB_E_UNAUTHENTICATED);
        cr_assert_str_eq(reason, "no key fits the token");
    }
    cr_expect_eq(runs(), 1);
    cr_expect_eq(find(token_with("")), SB_OK, "and nobody else is in trouble");
}

Test(principal_keys, starts_no_refresh_for_a_bad_signature_or_header)
{
    put_keys();
    write_command("exit 1");
    cr_expect_eq(find(signer_token(arena, two, HEADER, "{}")), SB_E_UNAUTHENTICATED);
    cr_expect_eq(find(signer_token(arena, one, "{\"alg\":\"none\",\"kid\":\"one\"}", "{}")),
                 SB_E_UNAUTHENTICATED);
    cr_expect_eq(find(signer_token(
                     arena, one, "{\"alg\":\"ES256\",\"kid\":\"x\",\"jku\":\"https://x\"}", "{}")),
                 SB_E_UNAUTHENTICATED);
    cr_expect_eq(find("x.y.z"), SB_E_UNAUTHENTICATED);
    cr_expect_eq(runs(), 0);
}

Test(principal_keys, is_unavailable_where_the_keys_were_never_had)
{
    write_command("exit 1");
    cr_expect_eq(find(token_with("")), SB_E_UNAVAILABLE);
    cr_expect_str_eq(reason, "the identity provider's keys were never had");
    cr_expect_eq(find("x.y.z"), SB_E_UNAUTHENTICATED, "which is no token under any key");
    put_keys();
    cr_expect_eq(find(token_with("")), SB_OK);
}
