/* Cross-origin resource sharing (WHATWG Fetch, section 3.2): which origins may call, and the
 * headers that say so. */
#ifndef SB_HTTP_CORS_H
#define SB_HTTP_CORS_H

#include "base/config.h"
#include "http/response.h"

enum sb_origin_verdict {
    SB_ORIGIN_ABSENT,  /* no Origin header: not a cross-origin page */
    SB_ORIGIN_ALLOWED, /* listed, or the site's own */
    SB_ORIGIN_ANY,     /* allowed by `*` alone: no credentials */
    SB_ORIGIN_DENIED
};

/* Judges an Origin header (NULL: absent). The site's own origin is PRODUCTION_DOMAIN, never the
 * Host header, which DNS rebinding lets an attacker choose. "null" is denied always. */
SB_NONNULL(1)
enum sb_origin_verdict sb_cors_judge(const struct sb_config *config, const char *origin);

/* Adds `Vary: Origin`, and for an allowed origin Access-Control-Allow-Origin and
 * -Expose-Headers (and -Allow-Credentials unless it is allowed by `*`). */
SB_NONNULL(1)
void sb_cors_add(struct sb_response *response, enum sb_origin_verdict verdict, const char *origin);

/* Lets origin (a valid one) read the answer: Access-Control-Allow-Origin, -Expose-Headers. */
SB_NONNULL_ALL void sb_cors_allow(struct sb_response *response, const char *origin);

/* Adds what only a preflight's answer has; allow is the Allow-Methods list. */
SB_NONNULL_ALL void sb_cors_add_preflight(struct sb_response *response, const char *allow);

#endif
