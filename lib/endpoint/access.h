/* What each kind of access asks of a caller. */
#ifndef SB_ENDPOINT_ACCESS_H
#define SB_ENDPOINT_ACCESS_H

#include "endpoint/endpoint.h"

struct sb_access_rule {
    unsigned principals;  /* bits 1 << enum sb_principal_kind that pass; 0: nobody is looked for */
    unsigned roles;       /* bits 1 << enum sb_role that it must have all of */
    unsigned needs;       /* enum sb_needs */
    const char *security; /* of the OpenAPI operation, as JSON */
    const char *refusal;  /* public, where a role is missing; NULL where none is asked for */
};

SB_RETURNS_NONNULL const struct sb_access_rule *sb_access_rule(enum sb_access access);

#endif
