/* The head of a request as the CGI variables give it (RFC 3875), read once and normalised by us:
 * the servers disagree on SCRIPT_NAME and PATH_INFO, so the path comes from REQUEST_URI alone. */
#ifndef SB_HTTP_REQUEST_H
#define SB_HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

enum sb_method {
    SB_GET = 1 << 0,
    SB_POST = 1 << 1,
    SB_PUT = 1 << 2,
    SB_PATCH = 1 << 3,
    SB_DELETE = 1 << 4,
    SB_OPTIONS = 1 << 5,
    SB_HEAD = 1 << 6,
    SB_ANY = (1 << 7) - 1
};

enum { SB_PATH_MAX = 512, SB_HEADER_MAX = 16 * 1024 };

struct sb_http_head {
    unsigned method;        /* one enum sb_method; 0: one we do not know */
    const char *path;       /* normalised, "/api/..."; NULL: no path that could be ours */
    const char *query;      /* raw, without '?'; "" if none */
    int64_t content_length; /* -1: none given */
    const char *content_type, *accept, *origin, *authorization, *user_agent, *traceparent,
        *forwarded_for, *idempotency_key, *preflight_method; /* NULL: absent or empty */
    const char *remote_addr;
};

/* Gives the value of a CGI variable or NULL; sets *twice if the variable is there more than
 * once. */
typedef const char *sb_param_fn(void *context, const char *name, bool *twice);

/* Reads the head; texts are borrowed from param's owner, path is in arena.
 * SB_E_INVALID_REQUEST with *head as far as it could be read: a variable we use is there twice (a
 * header spelled X_Forwarded_For beside X-Forwarded-For is how such comes about) or is over
 * SB_HEADER_MAX, or CONTENT_LENGTH is not plain digits. Out of memory leaves path NULL. */
SB_NONNULL(1, 2, 4)
SB_MUST_CHECK enum sb_error sb_http_head_read(struct sb_arena *arena, sb_param_fn *param,
                                              void *context, struct sb_http_head *head);

/* The name of a single method, "" for 0. */
SB_RETURNS_NONNULL const char *sb_method_name(unsigned method);

/* Normalises the path of a request target: cuts the query and an absolute form's authority, and
 * decodes escapes of unreserved characters (RFC 3986 section 2.3). NULL where the target has no
 * path that can name anything of ours: other escapes, dot segments, empty ones but the last, bytes
 * outside [A-Za-z0-9._~/-], over SB_PATH_MAX; or out of memory. In arena. */
SB_NONNULL_ALL SB_MUST_CHECK const char *sb_path_normalise(struct sb_arena *arena,
                                                           const char *target);

/* Whether header (NULL allowed) is the media type type, parameters aside: RFC 9110 section 8.3.1.
 */
SB_NONNULL(2) bool sb_media_type_is(const char *header, const char *type);

/* One media range of an Accept header, RFC 9110 section 12.5.1. */
struct sb_accept_range {
    const char *type; /* such as audio/wav; borrowed, not ended by NUL */
    size_t length;
    int quality; /* of 1000; 0: not wanted */
};

/* Takes the next range behind *at, which begins as the header. False: there is none. */
SB_NONNULL_ALL bool sb_accept_next(const char **at, struct sb_accept_range *range);

/* Whether the range is the media type type, or if type ends in a slash, one of these. */
SB_NONNULL_ALL bool sb_accept_range_is(const struct sb_accept_range *range, const char *type);

/* Whether the header accept (NULL allowed) names type, and wants it no less than JSON. */
SB_NONNULL(2) bool sb_accept_asks_for(const char *accept, const char *type);

#endif
