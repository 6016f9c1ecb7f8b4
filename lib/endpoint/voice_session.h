/* The conversation a turn belongs to, where its client names one: what was said before, and what is
 * kept of it. */
#ifndef SB_ENDPOINT_VOICE_SESSION_H
#define SB_ENDPOINT_VOICE_SESSION_H

#include "endpoint/endpoint.h"
#include "store/sessions.h"
#include "upstream/voice.h"

enum { SB_VOICE_ITEMS_MAX = 12 }; /* of a conversation that are told to who thinks */

struct sb_voice_session {
    const char *owner, *id; /* NULL: the turn belongs to none */
    enum sb_session_kind kind;
    bool is_new;            /* it is made when the first of it is kept */
    struct sb_items before; /* the last of what was said */
};

/* Reads the last of the caller's conversation id. id NULL, a caller without a token, or
 * ENABLE_SESSIONS is off: *session is of none. SB_E_CONFLICT: it is of another kind.
 * SB_E_UNAVAILABLE: the database failed. */
SB_NONNULL(1, 4)
SB_MUST_CHECK enum sb_error sb_voice_session_find(struct sb_request *request,
                                                  enum sb_session_kind kind, const char *id,
                                                  struct sb_voice_session *session);

/* prompt, what was said before, and text, in the arena; *count of them. NULL: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK const struct sb_voice_message *
sb_voice_session_messages(struct sb_request *request, const struct sb_voice_session *session,
                          const char *prompt, const char *text, size_t *count);

/* Keeps a turn, unless it belongs to no conversation: what was said, and the reply, as far as it
 * came ("": not at all). A failure, or that the conversation was deleted since it was found, is
 * logged and loses this turn's record, not its answer. */
SB_NONNULL_ALL void sb_voice_session_keep(struct sb_request *request,
                                          const struct sb_voice_session *session, const char *said,
                                          const char *reply, bool interrupted);

#endif
