#include "access/audit.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

enum { USER_AGENT_MAX = 256, FIELDS_MAX = 10 };

struct fields {
    struct sb_log_field items[FIELDS_MAX];
    size_t count;
};

/* NULL adds nothing: an absent field says more than an empty one. */
static void add(struct fields *fields, const char *name, const char *text)
{
    if (text != NULL)
        fields->items[fields->count++] = SB_LOG_TEXT(name, text);
}

/* text cut to size bytes, NUL included, but not within a character. */
static const char *cut(const char *text, char *copy, size_t size)
{
    if (text == NULL)
        return NULL;
    size_t length = 0, left = strlen(text);
    while (left > 0) {
        size_t step = sb_utf8_sequence(text + length, left);
        step = step == 0 ? 1 : step; /* no UTF-8: the log's writer replaces the byte */
        if (length + step >= size)
            break;
        length += step;
        left -= step;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

void sb_audit_write(const struct sb_audit *audit)
{
    char agent[USER_AGENT_MAX + 1], expires_at[SB_CLOCK_TEXT_SIZE];
    struct fields fields = {.count = 0};
    add(&fields, "outcome", audit->outcome);
    add(&fields, "userId", audit->user_id);
    add(&fields, "address", audit->address);
    add(&fields, "userAgent", cut(audit->user_agent, agent, sizeof agent));
    add(&fields, "object", audit->object);
    add(&fields, "conversationId", audit->conversation_id);
    sb_clock_format(audit->expires_at_ms, expires_at);
    add(&fields, "expiresAt", audit->expires_at_ms == 0 ? NULL : expires_at);
    add(&fields, "dataSha256", audit->data_sha256);
    add(&fields, "reason", audit->reason);
    bool fine = audit->outcome != NULL && strcmp(audit->outcome, "ok") == 0;
    sb_log_write(SB_LOG_FILE_AUDIT, fine ? SB_LOG_INFO : SB_LOG_WARN, audit->action,
                 audit->trace_id, fields.items, fields.count);
}
