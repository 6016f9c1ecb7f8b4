/* Who is calling. An ordered list of sources (principal.c) is asked; the first that finds its kind
 * of credential decides, and nothing falls back from a refused credential to a weaker one. An
 * Authorization header that no source takes is refused, never taken for anonymous. */
#ifndef SB_ACCESS_PRINCIPAL_H
#define SB_ACCESS_PRINCIPAL_H

#include <stdint.h>

#include "access/keyring.h"
#include "base/arena.h"
#include "base/config.h"
#include "store/db.h"

enum sb_principal_kind {
    SB_PRINCIPAL_ANONYMOUS,
    SB_PRINCIPAL_USER,        /* a bearer token of ours or the identity provider's */
    SB_PRINCIPAL_PARTICIPANT, /* a call ticket */
    SB_PRINCIPAL_VISITOR      /* a visitor's token: a guest without a row in users */
};

struct sb_principal {
    enum sb_principal_kind kind;
    const char *user_id; /* of a visitor its own, which users does not hold; NULL if anonymous */
    const char *name;    /* display name; NULL if unknown */
    unsigned roles;      /* bits 1 << enum sb_role; 0 if anonymous or a visitor */
    const char *call_id, *participant_id; /* of a participant, else NULL */
    bool moderator;                       /* of that call */
};

struct sb_principal_input {
    struct sb_arena *arena;
    const struct sb_config *config;
    const char *authorization; /* the Authorization header; NULL or "": there is none */
    const char *origin;        /* the Origin header; NULL: there is none */
    bool reads;                /* the method is GET or HEAD */
    int64_t now_ms;
    struct sb_keyring *keyring; /* where JWT_JWKS_URL is set: then no other keys are users' */
    struct sb_db *db;           /* NULL where the endpoint uses no database */
    struct sb_db_conn *reader;  /* with db */
};

/* Finds the principal; its texts are in the arena. A user has its row made at its first use, with
 * the token's name and the role user, and read every time: its role adds to the token's. A
 * participant has the role of a user alone, a visitor none; a visitor passes where ENABLE_VISITORS
 * and from the origin of its token alone; one that reads may come without an origin, as browsers
 * send none to a page's own, and always one to another with a request that has an Authorization
 * header. SB_OK: *principal is set, anonymous where there is no credential. SB_E_UNAUTHENTICATED: a
 * credential was refused. SB_E_FORBIDDEN: the user is disabled. SB_E_UNAVAILABLE,
 * SB_E_MISCONFIGURED: a user's row cannot be read (fail closed), the identity provider's keys were
 * never had, or out of memory. A participant passes while its row cannot be read: its ticket was
 * signed by us, and what it opens asks the database itself. On every failure *reason (a literal,
 * for the log) says why and *principal is untouched. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_principal_find(const struct sb_principal_input *input,
                                                             struct sb_principal *principal,
                                                             const char **reason);

/* Under what name lib/store keeps what a principal owns: "user:ID" or "visitor:ID", in arena; the
 * tickets of a user are its own. NULL: out of memory, or anonymous. */
SB_NONNULL_ALL SB_MUST_CHECK const char *sb_principal_owner(struct sb_arena *arena,
                                                            const struct sb_principal *principal);

/* Whether header (NULL allowed) is the bearer credential secret, in constant time. */
SB_NONNULL(2) SB_MUST_CHECK bool sb_principal_bearer_is(const char *header, const char *secret);

#endif
