/* How the doctor asks: as a browser would, and noting when the answer came. */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "doctor.h"

enum { SILENCE_MS = 10 * 1000, TOTAL_MS = 120 * 1000, BODY_MAX = 256 * 1024 };

struct arrival {
    struct sb_buf body;
    int64_t first_us, last_us; /* 0: nothing yet */
};

static bool take(void *context, const char *data, size_t length)
{
    struct arrival *arrival = context;
    arrival->last_us = sb_clock_mono_us();
    if (arrival->first_us == 0)
        arrival->first_us = arrival->last_us;
    sb_buf_add(&arrival->body, data, length);
    return sb_buf_ok(&arrival->body);
}

static ssize_t give_blanks(void *context, int64_t offset, char *buffer, size_t size)
{
    (void)context;
    (void)offset;
    memset(buffer, ' ', size);
    return (ssize_t)size;
}

bool doctor_ask(struct doctor *doctor, const struct doctor_request *request,
                struct doctor_answer *answer)
{
    struct arrival arrival = {.first_us = 0};
    const struct sb_fetch_source blanks = {.read = give_blanks,
                                           .length = (int64_t)request->body_size};
    const char *url = sb_arena_printf(doctor->arena, "%s%s", doctor->options.url, request->path);
    struct sb_fetch_request fetch = {.upstream = "doctor",
                                     .method = request->method,
                                     .url = url,
                                     .peers = SB_FETCH_CONFIGURED,
                                     .connect_to = doctor->options.connect,
                                     .headers = request->headers,
                                     .header_count = request->header_count,
                                     .silence_ms = SILENCE_MS,
                                     .total_ms = TOTAL_MS,
                                     .response_max = BODY_MAX,
                                     .sink = take,
                                     .context = &arrival,
                                     .arena = doctor->arena};
    if (request->body_size > 0) {
        fetch.source = &blanks;
        fetch.content_type = "application/json";
    }
    sb_buf_init(&arrival.body, doctor->arena, BODY_MAX + 1);
    *answer = (struct doctor_answer){.body = ""};
    if (url == NULL || sb_fetch(doctor->config, &fetch, &answer->result) == SB_E_UNAVAILABLE)
        return false;
    if (answer->result.body != NULL) {
        answer->body = answer->result.body;
        answer->body_length = answer->result.body_length;
    } else if (arrival.body.length > 0) {
        answer->body = arrival.body.data;
        answer->body_length = arrival.body.length;
    }
    answer->spread_ms = (arrival.last_us - arrival.first_us) / 1000;
    return answer->result.status != 0;
}
