/* SecurityHeaders: what every response of the API carries, errors included. */
#ifndef SB_HTTP_SECURITY_HEADERS_H
#define SB_HTTP_SECURITY_HEADERS_H

#include "base/config.h"
#include "http/response.h"

/* Adds nosniff, framing, referrer and permissions policies, X-XSS-Protection: 0, the API's
 * Content-Security-Policy (report-only with CSP_REPORT_ONLY), Cache-Control: no-store, and in
 * production Strict-Transport-Security (RFC 6797). */
SB_NONNULL_ALL void sb_security_headers_add(struct sb_response *response,
                                            const struct sb_config *config);

#endif
