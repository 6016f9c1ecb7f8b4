/* The OpenAI API, or any server that speaks it (OPENAI_BASE_URL).
 *
 * What goes wrong is one of SB_E_UPSTREAM_ERROR, SB_E_UPSTREAM_TIMEOUT (OPENAI_TIMEOUT),
 * SB_E_MISCONFIGURED (no key; an API of another generation) and SB_E_UNAVAILABLE (out of memory).
 * The log names the API's own error code, and the variable where the administrator can mend it; it
 * holds neither the key nor the API's message, which may quote from it. */
#ifndef SB_UPSTREAM_OPENAI_H
#define SB_UPSTREAM_OPENAI_H

#include <stdint.h>

#include "base/arena.h"
#include "base/config.h"

enum {
    SB_OPENAI_SECRET_MAX = 512, /* bytes of a client secret */
    SB_OPENAI_ID_MAX = 128,     /* bytes of an id of the API's */
    SB_OPENAI_SDP_MAX = 65536,  /* bytes of an SDP offer or answer */
    SB_OPENAI_EXPIRY_SLACK_S = 60
};

/* What a request is made in. */
struct sb_openai {
    struct sb_arena *arena; /* of results and of all that is needed on the way */
    const struct sb_config *config;
    const char *trace_id; /* NULL: none */
};

/* A realtime session to be: model, instructions, transcription and turn detection are the
 * configuration's. */
struct sb_openai_session {
    const char *user_id; /* told to the API as sb_openai_safety_identifier() only */
    const char *voice;   /* one of OPENAI_REALTIME_VOICES */
};

struct sb_openai_secret {
    const char *value; /* for the browser; never logged */
    int64_t expires_at_s;
    const char *session_id, *model;
    const char *url; /* where the browser posts its SDP offer under the secret */
};

/* Makes a client secret that opens sessions for REALTIME_TOKEN_TTL. A secret that would be good
 * longer than SB_REALTIME_TOKEN_TTL_MAX_S (and SB_OPENAI_EXPIRY_SLACK_S for clocks that differ) is
 * refused. POST /realtime/client_secrets */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_openai_client_secret(const struct sb_openai *openai, const struct sb_openai_session *session,
                        struct sb_openai_secret *secret);

struct sb_openai_call {
    const char *id;  /* of the API's, an identifier (base/ids) */
    const char *sdp; /* the answer to the offer */
};

/* Opens a call from a browser's SDP offer. Not retried: a second try could be a second call. A
 * call whose answer is of no use is hung up. POST /realtime/calls */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_openai_call_open(const struct sb_openai *openai, const struct sb_openai_session *session,
                    const char *sdp, struct sb_openai_call *call);

/* Ends a call. SB_E_NOT_FOUND: it has ended already. POST /realtime/calls/{id}/hangup */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_openai_call_hangup(const struct sb_openai *openai,
                                                                 const char *id);

/* What the API knows a user by: 64 hexadecimal digits, the same for every request of the user,
 * which tell nothing of its id to who does not have JWT_SECRET. In arena; NULL: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK const char *sb_openai_safety_identifier(struct sb_arena *arena,
                                                                     const struct sb_config *config,
                                                                     const char *user_id);

#endif
