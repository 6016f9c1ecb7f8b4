/* The log: one JSON object a line, one write() a line, so that processes share a file.
 *
 * A line holds ts, level, event, endpoint, traceId and the fields given. Texts are escaped: no
 * value can end a line or forge one. Never log a secret, or what a person said or wrote. When
 * the file is renamed away (logrotate), the next line, at most a second later, goes to a new one.
 * Where the file cannot be written the line goes to standard error. */
#ifndef SB_BASE_LOG_H
#define SB_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum sb_log_level { SB_LOG_DEBUG, SB_LOG_INFO, SB_LOG_WARN, SB_LOG_ERROR, SB_LOG_LEVEL__MAX };

extern const char *const sb_log_level_names[SB_LOG_LEVEL__MAX + 1]; /* NULL at the end */

/* The files of LOG_DIR. */
enum sb_log_file {
    SB_LOG_FILE_MAIN,  /* switchboard.log: requests and what went wrong */
    SB_LOG_FILE_AUDIT, /* audit.log: who did what, and who was refused */
    SB_LOG_FILE__MAX
};

struct sb_log_field {
    const char *name;
    const char *text; /* NULL: the field is number */
    int64_t number;
};

/* A field of text; NULL is logged as "". */
static inline struct sb_log_field sb_log_text(const char *name, const char *value)
{
    return (struct sb_log_field){name, value == NULL ? "" : value, 0};
}

#define SB_LOG_TEXT(name, value) sb_log_text((name), (value))
#define SB_LOG_INT(name, value) ((struct sb_log_field){(name), NULL, (value)})

/* Where the lines go from now on: directory NULL means standard error. endpoint is put into every
 * line and must live as long as the process, as directory must. Not for use once threads run. */
void sb_log_open(const char *directory, const char *endpoint, enum sb_log_level level);

/* Writes one line. trace_id may be NULL. Lines below the level are dropped (never in the audit
 * file); lines over 8 KiB lose their fields and say so. */
SB_NONNULL(3)
void sb_log_write(enum sb_log_file file, enum sb_log_level level, const char *event,
                  const char *trace_id, const struct sb_log_field *fields, size_t count);

/* SB_LOG(SB_LOG_ERROR, "db.open", trace_id, SB_LOG_TEXT("reason", text), ...): at least one
 * field. */
#define SB_LOG(level, event, trace_id, ...)                                                        \
    sb_log_write(SB_LOG_FILE_MAIN, (level), (event), (trace_id),                                   \
                 (const struct sb_log_field[]){__VA_ARGS__},                                       \
                 SB_COUNT(((const struct sb_log_field[]){__VA_ARGS__})))

#endif
