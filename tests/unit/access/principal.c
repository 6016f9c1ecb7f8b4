#include "access/principal.h"

#include <criterion/criterion.h>

#include "../support/base.h"
#include "../support/store.h"
#include "access/ticket.h"
#include "access/visitor.h"
#include "store/users.h"
#include "tokens.h"

static const int64_t NOW_MS = 1800000000000;
static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
static const unsigned USER = 1u << SB_ROLE_USER, STAFF = 1u << SB_ROLE_STAFF,
                      SERVICE = 1u << SB_ROLE_SERVICE;

static struct store store;
static struct sb_arena *arena;
static struct sb_config config;
static struct sb_principal_input input;
static struct sb_principal principal;
static const char *reason;

static void setup(void)
{
    store_open(&store);
    arena = store.arena;
    config.jwt_secret = token_secret;
    input = (struct sb_principal_input){.arena = arena,
                                        .config = &config,
                                        .now_ms = NOW_MS,
                                        .db = store.db,
                                        .reader = store.reader};
}

static void teardown(void)
{
    store_close(&store);
}

TestSuite(principal, .init = setup, .fini = teardown);

static enum sb_error find(const char *authorization)
{
    input.authorization = authorization;
    reason = NULL;
    return sb_principal_find(&input, &principal, &reason);
}

static char *bearer(const char *token)
{
    return sb_arena_printf(arena, "Bearer %s", token);
}

/* The token of user u1 with these members besides. */
static char *user_token(const char *members)
{
    return token_make(arena, header,
                      sb_arena_printf(arena, "{\"sub\":\"u1\",\"exp\":1800000100%s}", members));
}

static enum sb_error find_user(const char *members)
{
    return find(bearer(user_token(members)));
}

static char *ticket_text(void)
{
    const struct sb_ticket ticket = {"u1", "call_1", "part_1", true, NOW_MS / 1000 + 60};
    char *text = sb_ticket_make(arena, &config, &ticket);
    cr_assert_not_null(text);
    return text;
}

static void add_row(const char *name, const char *role, const char *disabled_at)
{
    store_sql(&store, sb_arena_printf(arena,
                                      "INSERT INTO users (id, name, role, disabled_at, created_at) "
                                      "VALUES ('u1', '%s', '%s', %s, 1)",
                                      name, role, disabled_at));
}

/* From now on the database is path, where there is none. */
static void lose_database(const char *path)
{
    input.db = sb_db_new(path, false);
    cr_assert_not_null(input.db);
    input.reader = sb_db_reader(input.db);
    cr_assert_not_null(input.reader);
}

static void close_lost_database(void)
{
    sb_db_free(input.db);
}

/* The header. */

Test(principal, is_anonymous_without_a_credential)
{
    principal.user_id = "before";
    cr_assert_eq(find(NULL), SB_OK);
    cr_assert_eq(principal.kind, SB_PRINCIPAL_ANONYMOUS);
    cr_assert_null(principal.user_id);
    cr_assert_eq(principal.roles, 0);
    cr_assert_eq(find(""), SB_OK);
    cr_assert_eq(principal.kind, SB_PRINCIPAL_ANONYMOUS);
}

Test(principal, takes_the_scheme_in_any_case_and_any_number_of_blanks)
{
    static const char *const forms[] = {"Bearer %s", "bearer %s", "BEARER %s", "bEaReR    %s"};
    char *token = user_token("");
    for (size_t i = 0; i < SB_COUNT(forms); i++) {
        size_t length = strcspn(forms[i], "%");
        char *text = sb_arena_printf(arena, "%.*s%s", (int)length, forms[i], token);
        cr_assert_eq(find(text), SB_OK, "%s", forms[i]);
        cr_assert_eq(principal.kind, SB_PRINCIPAL_USER);
    }
}

Test(principal, refuses_what_is_no_bearer_credential_and_never_takes_it_for_anonymous)
{
    static const char *const headers[] = {
        " ",       "Bearer",         "Bearer ",      "Bearer\tx.y.z",   "Basic dTpw",
        "Digest",  "Bearer garbage", "Bearer a.b.c", "Bearer  .. ",     "x",
        "Token x", "Bearer,x",       "Bearer = ",    "Bearer \xFF\xFE",
    };
    for (size_t i = 0; i < SB_COUNT(headers); i++) {
        principal.kind = SB_PRINCIPAL_PARTICIPANT;
        cr_assert_eq(find(headers[i]), SB_E_UNAUTHENTICATED, "%s", headers[i]);
        cr_assert_not_null(reason, "%s", headers[i]);
        cr_assert_eq(principal.kind, SB_PRINCIPAL_PARTICIPANT, "untouched");
    }
}

Test(principal, refuses_anything_around_a_good_token)
{
    static const char *const forms[] = {" Bearer @",  "Bearer@",    "Bearerx @",  "Bearer @ ",
                                        "Bearer @ x", "Bearer @,x", "Bearer @\t", "Bearer \"@\"",
                                        "@",          "Basic @"};
    char *token = user_token("");
    cr_assert_eq(find(bearer(token)), SB_OK, "positive control");
    for (size_t i = 0; i < SB_COUNT(forms); i++) {
        const char *at = strchr(forms[i], '@');
        char *text =
            sb_arena_printf(arena, "%.*s%s%s", (int)(at - forms[i]), forms[i], token, at + 1);
        cr_assert_eq(find(text), SB_E_UNAUTHENTICATED, "%s", forms[i]);
    }
}

/* Users. */

Test(principal, is_the_user_of_a_good_token)
{
    cr_assert_eq(find_user(",\"name\":\"Ada\""), SB_OK);
    cr_assert_eq(principal.kind, SB_PRINCIPAL_USER);
    cr_assert_str_eq(principal.user_id, "u1");
    cr_assert_str_eq(principal.name, "Ada");
    cr_assert_eq(principal.roles, USER);
    cr_assert_null(principal.call_id);
    cr_assert_null(principal.participant_id);
    cr_assert_not(principal.moderator);
}

Test(principal, says_why_a_token_is_refused)
{
    cr_assert_eq(find_user(",\"nbf\":1800000099"), SB_E_UNAUTHENTICATED);
    cr_assert_str_eq(reason, "the token is not valid yet");
    char *token = user_token("");
    token[strlen(token) - 5] ^= 1;
    cr_assert_eq(find(bearer(token)), SB_E_UNAUTHENTICATED);
    cr_assert_str_eq(reason, "the signature does not match");
}

Test(principal, takes_tokens_of_type_jwt_at_jwt_and_none_but_no_other)
{
    static const struct {
        const char *header;
        enum sb_error error;
    } cases[] = {
        {"{\"alg\":\"HS256\"}", SB_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"}", SB_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", SB_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"ticket+jwt\"}", SB_E_UNAUTHENTICATED},
        {"{\"alg\":\"HS256\",\"typ\":\"dpop+jwt\"}", SB_E_UNAUTHENTICATED},
        {"{\"alg\":\"HS256\",\"typ\":\"\"}", SB_E_UNAUTHENTICATED},
    };
    for (size_t i = 0; i < SB_COUNT(cases); i++) {
        char *token = token_make(arena, cases[i].header, "{\"sub\":\"u1\",\"exp\":1800000100}");
        cr_assert_eq(find(bearer(token)), cases[i].error, "%s", cases[i].header);
        cr_assert_eq(reason == NULL, cases[i].error == SB_OK, "%s", cases[i].header);
    }
}

Test(principal, makes_the_users_row_at_its_first_use_alone)
{
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM users"), 0);
    cr_assert_eq(find_user(",\"name\":\"Ada\""), SB_OK);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM users WHERE id = 'u1' AND "
                                      "name = 'Ada' AND role = 'user' AND disabled_at IS NULL "
                                      "AND created_at = 1800000000000"),
                 1);
    cr_assert_eq(find_user(",\"name\":\"Eve\",\"role\":\"staff\""), SB_OK);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM users WHERE name = 'Ada' AND "
                                      "role = 'user'"),
                 1);
}

Test(principal, names_a_user_without_a_name_after_its_id)
{
    cr_assert_eq(find_user(""), SB_OK);
    cr_assert_str_eq(principal.name, "u1");
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM users WHERE name = 'u1'"), 1);
}

Test(principal, does_not_keep_a_role_of_the_token_in_the_row)
{
    cr_assert_eq(find_user(",\"roles\":[\"staff\",\"service\"]"), SB_OK);
    cr_assert_eq(principal.roles, USER | STAFF | SERVICE);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM users WHERE role = 'user'"), 1);
}

Test(principal, adds_the_rows_role_to_the_tokens)
{
    add_row("Ada", "staff", "NULL");
    cr_assert_eq(find_user(""), SB_OK);
    cr_assert_eq(principal.roles, USER | STAFF);
    cr_assert_str_eq(principal.name, "Ada", "the token has no name");
    cr_assert_eq(find_user(",\"role\":\"service\",\"name\":\"Countess\""), SB_OK);
    cr_assert_eq(principal.roles, USER | STAFF | SERVICE);
    cr_assert_str_eq(principal.name, "Countess");
}

Test(principal, forbids_a_disabled_user)
{
    add_row("Ada", "user", "5");
    cr_assert_eq(find_user(",\"role\":\"staff\""), SB_E_FORBIDDEN);
    cr_assert_str_eq(reason, "the user is disabled");
    store_sql(&store, "UPDATE users SET disabled_at = NULL");
    cr_assert_eq(find_user(",\"role\":\"staff\""), SB_OK, "positive control");
}

static bool first_use(int index, void *context)
{
    (void)context;
    (void)index;
    input.db = sb_db_new(store.path, false);
    input.reader = input.db == NULL ? NULL : sb_db_reader(input.db);
    return input.reader != NULL && find_user("") == SB_OK && principal.roles == USER;
}

Test(principal, makes_one_row_when_eight_processes_see_the_user_first)
{
    cr_assert(base_race(8, first_use, NULL));
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM users"), 1);
}

Test(principal, fails_closed_for_users_when_the_database_cannot_be_read)
{
    cr_assert_eq(find_user(""), SB_OK, "positive control");
    lose_database(store.dir);
    cr_assert_eq(find_user(""), SB_E_UNAVAILABLE);
    cr_assert_not_null(reason);
    close_lost_database();
}

Test(principal, fails_closed_for_users_when_the_database_needs_a_migration)
{
    store_sql(&store, "PRAGMA user_version = 0");
    cr_assert_eq(find_user(""), SB_E_MISCONFIGURED);
    cr_assert_not_null(reason);
}

Test(principal, needs_no_database_where_the_endpoint_has_none)
{
    input.db = NULL;
    input.reader = NULL;
    cr_assert_eq(find_user(",\"role\":\"staff\""), SB_OK);
    cr_assert_eq(principal.roles, USER | STAFF);
    cr_assert_null(principal.name);
}

Test(principal, refuses_every_token_without_a_secret_of_32_bytes)
{
    char *user = bearer(user_token("")), *ticket = bearer(ticket_text());
    static const char *const secrets[] = {NULL, "", "0123456789abcdef0123456789abcde"};
    for (size_t i = 0; i < SB_COUNT(secrets); i++) {
        config.jwt_secret = secrets[i];
        cr_assert_eq(find(user), SB_E_UNAUTHENTICATED);
        cr_assert_eq(find(ticket), SB_E_UNAUTHENTICATED);
    }
}

/* Participants. */

Test(principal, is_the_participant_of_a_good_ticket)
{
    add_row("Ada", "staff", "NULL");
    cr_assert_eq(find(bearer(ticket_text())), SB_OK);
    cr_assert_eq(principal.kind, SB_PRINCIPAL_PARTICIPANT);
    cr_assert_str_eq(principal.user_id, "u1");
    cr_assert_str_eq(principal.name, "Ada");
    cr_assert_str_eq(principal.call_id, "call_1");
    cr_assert_str_eq(principal.participant_id, "part_1");
    cr_assert(principal.moderator);
    cr_assert_eq(principal.roles, USER, "a ticket lends no rights of the row");
}

Test(principal, refuses_an_expired_ticket)
{
    add_row("Ada", "user", "NULL");
    char *ticket = bearer(ticket_text());
    input.now_ms = NOW_MS + 59999;
    cr_assert_eq(find(ticket), SB_OK);
    input.now_ms = NOW_MS + 60000;
    cr_assert_eq(find(ticket), SB_E_UNAUTHENTICATED);
    cr_assert_str_eq(reason, "the call ticket is not valid");
}

Test(principal, refuses_the_type_ticket_signed_with_the_users_key)
{
    add_row("Ada", "user", "NULL");
    char *token = token_make(arena, "{\"alg\":\"HS256\",\"typ\":\"ticket+jwt\"}",
                             "{\"sub\":\"u1\",\"call\":\"call_1\",\"participant\":\"part_1\","
                             "\"moderator\":true,\"exp\":1800000060}");
    cr_assert_eq(find(bearer(token)), SB_E_UNAUTHENTICATED);
    cr_assert_str_eq(reason, "the call ticket is not valid");
}

Test(principal, refuses_a_ticket_relabelled_as_a_users_token)
{
    add_row("Ada", "user", "NULL");
    char *ticket = ticket_text();
    cr_assert_eq(find(bearer(ticket)), SB_OK);
    char *relabelled = sb_arena_printf(arena, "%s%s", sb_base64url(arena, header, strlen(header)),
                                       strchr(ticket, '.'));
    cr_assert_eq(find(bearer(relabelled)), SB_E_UNAUTHENTICATED);
}

Test(principal, forbids_the_ticket_of_a_disabled_user)
{
    add_row("Ada", "user", "5");
    cr_assert_eq(find(bearer(ticket_text())), SB_E_FORBIDDEN);
    cr_assert_str_eq(reason, "the user is disabled");
}

Test(principal, refuses_the_ticket_of_a_user_that_does_not_exist)
{
    cr_assert_eq(find(bearer(ticket_text())), SB_E_UNAUTHENTICATED);
    cr_assert_str_eq(reason, "the ticket's user does not exist");
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM users"), 0, "a ticket makes no row");
}

Test(principal, accepts_a_ticket_while_the_database_cannot_be_read)
{
    const char *const paths[] = {store.dir, "/nonexistent/switchboard.db"};
    char *ticket = bearer(ticket_text());
    for (size_t i = 0; i < SB_COUNT(paths); i++) {
        lose_database(paths[i]);
        cr_assert_eq(find(ticket), SB_OK, "%s", paths[i]);
        cr_assert_eq(principal.kind, SB_PRINCIPAL_PARTICIPANT);
        cr_assert_null(principal.name);
        close_lost_database();
    }
}

Test(principal, accepts_a_ticket_where_the_endpoint_has_no_database)
{
    input.db = NULL;
    input.reader = NULL;
    cr_assert_eq(find(bearer(ticket_text())), SB_OK);
    cr_assert_str_eq(principal.participant_id, "part_1");
}

/* Visitors. */

static char *visitor_text(const char *origin)
{
    const struct sb_visitor visitor = {"visitor_1", origin, NOW_MS / 1000 + 60};
    char *text = sb_visitor_make(arena, &config, &visitor);
    cr_assert_not_null(text);
    return text;
}

static enum sb_error find_visitor(const char *bound_to, const char *comes_from)
{
    config.enable_visitors = true;
    input.origin = comes_from;
    return find(bearer(visitor_text(bound_to)));
}

Test(principal, is_the_visitor_of_a_good_token_without_role_or_row)
{
    cr_assert_eq(find_visitor("https://a.example", "https://a.example"), SB_OK);
    cr_assert_eq(principal.kind, SB_PRINCIPAL_VISITOR);
    cr_assert_str_eq(principal.user_id, "visitor_1");
    cr_assert_eq(principal.roles, 0);
    cr_assert_null(principal.name);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM users"), 0);
}

Test(principal, refuses_a_visitor_from_any_but_its_own_origin)
{
    static const struct {
        const char *bound_to, *comes_from;
    } cases[] = {{"https://a.example", "https://b.example"},
                 {"https://a.example", "https://a.example:8443"},
                 {"https://a.example", "http://a.example"},
                 {"https://a.example", "https://a.exampl"},
                 {"https://a.example", NULL},
                 {"", "https://a.example"}};
    for (size_t i = 0; i < SB_COUNT(cases); i++) {
        cr_assert_eq(find_visitor(cases[i].bound_to, cases[i].comes_from), SB_E_UNAUTHENTICATED,
                     "%zu", i);
        cr_assert_str_eq(reason, "the visitor's token is for another origin");
    }
    cr_assert_eq(find_visitor("", NULL), SB_OK, "bound to none, comes from none");
}

Test(principal, takes_a_visitor_that_reads_without_an_origin_but_not_from_another)
{
    input.reads = true;
    cr_assert_eq(find_visitor("https://a.example", NULL), SB_OK);
    cr_assert_eq(principal.kind, SB_PRINCIPAL_VISITOR);
    cr_assert_eq(find_visitor("https://a.example", "https://b.example"), SB_E_UNAUTHENTICATED);
    cr_assert_eq(find_visitor("", "https://a.example"), SB_E_UNAUTHENTICATED);
}

Test(principal, refuses_visitors_where_they_are_not_enabled)
{
    cr_assert_eq(find_visitor("", NULL), SB_OK, "positive control");
    config.enable_visitors = false;
    cr_assert_eq(find(bearer(visitor_text(""))), SB_E_UNAUTHENTICATED);
    cr_assert_str_eq(reason, "visitors are not enabled");
}

Test(principal, refuses_an_expired_visitor)
{
    config.enable_visitors = true;
    char *token = bearer(visitor_text(""));
    input.now_ms = NOW_MS + 59999;
    cr_assert_eq(find(token), SB_OK);
    input.now_ms = NOW_MS + 60000;
    cr_assert_eq(find(token), SB_E_UNAUTHENTICATED);
    cr_assert_str_eq(reason, "the visitor's token is not valid");
}

Test(principal, refuses_a_visitors_token_relabelled_as_a_users)
{
    config.enable_visitors = true;
    char *token = visitor_text("");
    cr_assert_eq(find(bearer(token)), SB_OK, "positive control");
    char *relabelled = sb_arena_printf(arena, "%s%s", sb_base64url(arena, header, strlen(header)),
                                       strchr(token, '.'));
    cr_assert_eq(find(bearer(relabelled)), SB_E_UNAUTHENTICATED);
}

Test(principal, refuses_the_type_visitor_signed_with_the_users_key)
{
    config.enable_visitors = true;
    char *token = token_make(arena, "{\"alg\":\"HS256\",\"typ\":\"visitor+jwt\"}",
                             "{\"sub\":\"visitor_1\",\"origin\":\"\",\"exp\":1800000060}");
    cr_assert_eq(find(bearer(token)), SB_E_UNAUTHENTICATED);
    cr_assert_str_eq(reason, "the visitor's token is not valid");
}

Test(principal, accepts_a_visitor_while_the_database_cannot_be_read)
{
    lose_database("/nonexistent/switchboard.db");
    cr_assert_eq(find_visitor("", NULL), SB_OK);
    close_lost_database();
}

/* Owners. */

Test(principal, owns_under_a_name_of_its_kind)
{
    principal = (struct sb_principal){.kind = SB_PRINCIPAL_USER, .user_id = "auth0|ann"};
    cr_assert_str_eq(sb_principal_owner(arena, &principal), "user:auth0|ann");
    principal.kind = SB_PRINCIPAL_PARTICIPANT;
    cr_assert_str_eq(sb_principal_owner(arena, &principal), "user:auth0|ann");
    principal.kind = SB_PRINCIPAL_VISITOR;
    cr_assert_str_eq(sb_principal_owner(arena, &principal), "visitor:auth0|ann");
    principal = (struct sb_principal){.kind = SB_PRINCIPAL_ANONYMOUS};
    cr_assert_null(sb_principal_owner(arena, &principal));
}

/* A fixed secret. */

Test(principal, compares_a_fixed_bearer_secret)
{
    cr_assert(sb_principal_bearer_is("Bearer s3cret", "s3cret"));
    cr_assert(sb_principal_bearer_is("bearer  s3cret", "s3cret"));
    static const char *const refused[] = {
        "Bearer s3cre",  "Bearer s3crett", "Bearer S3CRET", "s3cret", "Basic s3cret", "Bearer ", "",
        "Bearer s3cret "};
    for (size_t i = 0; i < SB_COUNT(refused); i++)
        cr_assert_not(sb_principal_bearer_is(refused[i], "s3cret"), "%s", refused[i]);
    cr_assert_not(sb_principal_bearer_is(NULL, "s3cret"));
    cr_assert_not(sb_principal_bearer_is("Bearer ", ""));
}
