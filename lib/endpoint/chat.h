/* A written turn with the receptionist: from the cache, from a request that is asking the same, or
 * from the engine; told as JSON or as events. */
#ifndef SB_ENDPOINT_CHAT_H
#define SB_ENDPOINT_CHAT_H

#include "endpoint/endpoint.h"
#include "upstream/voice.h"

/* Answers messages (count of them, 1 or more, without the system's; the last is answered) on an
 * SB_REPLY_STREAM route of SB_ACCESS_ANYONE with SB_NEEDS_DB and SB_NEEDS_THINKING. session_id goes
 * into the answer, NULL: none; of a caller with a token it names the conversation that the turn is
 * kept in, and whose last items are told before a message that comes alone. To be returned by the
 * handler. */
SB_NONNULL(1, 2)
SB_MUST_CHECK enum sb_error sb_chat_answer(struct sb_request *request,
                                           const struct sb_voice_message *messages, size_t count,
                                           const char *session_id);

#endif
