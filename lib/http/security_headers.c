#include "http/security_headers.h"

static const struct {
    const char *name, *value;
} always[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"X-XSS-Protection", "0"}, /* the filter itself was a hole; 0 switches it off */
    {"Referrer-Policy", "no-referrer"},
    /* An API answer is no page: it needs none of them. Pages get theirs from the server. */
    {"Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"},
    {"Cache-Control", "no-store"},
};

static const char csp[] = "default-src 'none'; frame-ancestors 'none'";

void sb_security_headers_add(struct sb_response *response, const struct sb_config *config)
{
    for (size_t i = 0; i < SB_COUNT(always); i++)
        sb_response_header(response, always[i].name, always[i].value);
    sb_response_header(response,
                       config->csp_report_only ? "Content-Security-Policy-Report-Only"
                                               : "Content-Security-Policy",
                       csp);
    if (config->app_env == SB_ENV_PRODUCTION)
        sb_response_header(response, "Strict-Transport-Security",
                           "max-age=31536000; includeSubDomains");
}
