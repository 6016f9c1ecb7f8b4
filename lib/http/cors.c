#include "http/cors.h"

#include <string.h>
#include <strings.h>

/* Host names have no case (RFC 4343), and browsers send them in lower case. */
static bool own_origin(const struct sb_config *config, const char *origin)
{
    return config->production_domain != NULL && strncmp(origin, "https://", 8) == 0 &&
           strcasecmp(origin + 8, config->production_domain) == 0;
}

enum sb_origin_verdict sb_cors_judge(const struct sb_config *config, const char *origin)
{
    if (origin == NULL)
        return SB_ORIGIN_ABSENT;
    if (strcmp(origin, "null") == 0)
        return SB_ORIGIN_DENIED;
    if (own_origin(config, origin))
        return SB_ORIGIN_ALLOWED;
    enum sb_origin_verdict verdict = SB_ORIGIN_DENIED;
    for (size_t i = 0; i < config->allowed_origins.count; i++) {
        if (strcmp(config->allowed_origins.items[i], origin) == 0)
            return SB_ORIGIN_ALLOWED;
        if (strcmp(config->allowed_origins.items[i], "*") == 0)
            verdict = SB_ORIGIN_ANY;
    }
    return verdict;
}

void sb_cors_add(struct sb_response *response, enum sb_origin_verdict verdict, const char *origin)
{
    sb_response_header(response, "Vary", "Origin");
    if (origin == NULL || verdict == SB_ORIGIN_ABSENT || verdict == SB_ORIGIN_DENIED)
        return;
    if (verdict == SB_ORIGIN_ALLOWED)
        sb_response_header(response, "Access-Control-Allow-Credentials", "true");
    sb_cors_allow(response, verdict == SB_ORIGIN_ANY ? "*" : origin);
}

void sb_cors_allow(struct sb_response *response, const char *origin)
{
    sb_response_header(response, "Access-Control-Allow-Origin", origin);
    sb_response_header(response, "Access-Control-Expose-Headers",
                       "X-Trace-Id, RateLimit, RateLimit-Policy, Retry-After, Server-Timing, "
                       "Idempotent-Replayed");
}

void sb_cors_add_preflight(struct sb_response *response, const char *allow)
{
    sb_response_header(response, "Access-Control-Allow-Methods", allow);
    sb_response_header(response, "Access-Control-Allow-Headers",
                       "Authorization, Content-Type, Accept, Idempotency-Key, Traceparent, "
                       "Last-Event-ID");
    sb_response_header(response, "Access-Control-Max-Age", "600");
}
