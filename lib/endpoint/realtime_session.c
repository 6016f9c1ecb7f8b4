#include "endpoint/realtime_session.h"

#include <string.h>

enum sb_error sb_realtime_session(struct sb_request *request, const char *voice,
                                  struct sb_openai_session *session)
{
    const struct sb_strings *voices = &request->config->realtime_voices;
    session->user_id = request->principal.user_id;
    for (size_t i = 0; i < voices->count; i++) {
        if (voice == NULL || strcmp(voices->items[i], voice) == 0) {
            session->voice = voices->items[i];
            return SB_OK;
        }
    }
    return sb_request_invalid(request, "voice", "not_allowed",
                              "is none of the voices offered here");
}

struct sb_openai sb_realtime_openai(const struct sb_request *request)
{
    return (struct sb_openai){request->arena, request->config, request->trace_id};
}
