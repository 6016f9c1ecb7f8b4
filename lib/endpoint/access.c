#include "endpoint/access.h"

#include "store/users.h"

#define KIND(kind) (1u << SB_PRINCIPAL_##kind)
/* Wherever users may come in: their rows are read, a disabled one is 403. */
#define USERS (SB_NEEDS_USERS | SB_NEEDS_DB)
/* And wherever what we issue is taken. */
#define TICKETS (USERS | SB_NEEDS_TICKETS)

static const struct sb_access_rule rules[SB_ACCESS__MAX] = {
    [SB_ACCESS_PUBLIC] = {.security = "[]"},
    [SB_ACCESS_ANYONE] = {KIND(ANONYMOUS) | KIND(USER) | KIND(VISITOR), 0, TICKETS,
                          "[{},{\"bearer\":[]},{\"visitor\":[]}]", NULL},
    [SB_ACCESS_USER] = {KIND(USER), 0, USERS, "[{\"bearer\":[]}]", NULL},
    [SB_ACCESS_PARTICIPANT] = {KIND(USER) | KIND(PARTICIPANT), 0, TICKETS,
                               "[{\"bearer\":[]},{\"ticket\":[]}]", NULL},
    [SB_ACCESS_VISITOR] = {KIND(USER) | KIND(VISITOR), 0, TICKETS,
                           "[{\"bearer\":[]},{\"visitor\":[]}]", NULL},
    [SB_ACCESS_STAFF] = {KIND(USER), 1u << SB_ROLE_STAFF, USERS, "[{\"bearer\":[\"staff\"]}]",
                         "This is for users with the role staff."},
    [SB_ACCESS_SERVICE] = {KIND(USER), 1u << SB_ROLE_SERVICE, USERS, "[{\"bearer\":[\"service\"]}]",
                           "This is for users with the role service."},
    [SB_ACCESS_METRICS] = {.needs = SB_NEEDS_METRICS, .security = "[{\"metrics\":[]}]"},
};

const struct sb_access_rule *sb_access_rule(enum sb_access access)
{
    return &rules[access];
}
