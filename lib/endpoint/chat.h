/* A written turn with the receptionist: from the cache, from a request that is asking the same, or
 * from the engine; told as JSON or as events. */
#ifndef SB_ENDPOINT_CHAT_H
#define SB_ENDPOINT_CHAT_H

#include "endpoint/endpoint.h"
#include "upstream/voice.h"

/* Answers messages (count of them, without the system's) on an SB_REPLY_STREAM route with
 * SB_NEEDS_DB. session_id goes into the answer; NULL: none. To be returned by the handler. */
SB_NONNULL(1, 2)
SB_MUST_CHECK enum sb_error sb_chat_answer(struct sb_request *request,
                                           const struct sb_voice_message *messages, size_t count,
                                           const char *session_id);

#endif
