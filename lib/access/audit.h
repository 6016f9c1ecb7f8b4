/* The audit log: who did what, and who was refused. One line in LOG_DIR/audit.log, whatever the log
 * level. It names the user and the address because that is its purpose; it never holds content,
 * only its SHA-256. */
#ifndef SB_ACCESS_AUDIT_H
#define SB_ACCESS_AUDIT_H

#include <stdint.h>

#include "base/error.h"

struct sb_audit {
    const char *action;  /* "calls.start", or "request.refused" on a route without one */
    const char *outcome; /* "ok" or an error code */
    const char *trace_id;
    const char *user_id;         /* NULL: anonymous */
    const char *address;         /* the client's, as text */
    const char *user_agent;      /* NULL: none; cut at 256 bytes */
    const char *object;          /* what it was done to, such as a call id; NULL: nothing */
    const char *conversation_id; /* what the client says it belongs to; NULL: nothing */
    int64_t expires_at_ms;       /* when what was issued expires; 0: nothing was */
    const char *data_sha256;     /* of the request's body, hexadecimal; NULL: no body */
    const char *reason;          /* why it was refused; NULL */
};

SB_NONNULL_ALL void sb_audit_write(const struct sb_audit *audit);

#endif
