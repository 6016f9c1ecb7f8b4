/* What the realtime endpoints ask of their callers alike. */
#ifndef SB_ENDPOINT_REALTIME_SESSION_H
#define SB_ENDPOINT_REALTIME_SESSION_H

#include "endpoint/endpoint.h"
#include "upstream/openai.h"

/* The session that the request's user asks for. voice (NULL: the default) must be one of
 * OPENAI_REALTIME_VOICES; SB_E_VALIDATION_FAILED: it is not, and the field "voice" is reported. */
SB_NONNULL(1, 3)
SB_MUST_CHECK enum sb_error sb_realtime_session(struct sb_request *request, const char *voice,
                                                struct sb_openai_session *session);

/* The request as the API's client needs it. */
SB_NONNULL_ALL struct sb_openai sb_realtime_openai(const struct sb_request *request);

#endif
