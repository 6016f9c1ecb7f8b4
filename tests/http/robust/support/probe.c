/* GET /api/probe?waitMs=N&bytes=N: an endpoint that takes its time and answers at length. Only the
 * robustness tests build it, in a copy of the checkout. */
#include <string.h>
#include <time.h>

#include "endpoint/endpoint.h"

struct input {
    int64_t wait_ms, bytes;
};

static const struct sb_field input_fields[] = {
    SB_INT(struct input, wait_ms, "waitMs", 0, 60000, 0),
    SB_INT(struct input, bytes, "bytes", 0, 256 * 1024 * 1024, 0), SB_FIELDS_END};

static enum sb_error probe(struct sb_request *request, const void *in, void *out)
{
    (void)out;
    const struct input *input = in;
    char block[8192];
    memset(block, 'x', sizeof block);
    struct timespec wait = {.tv_sec = input->wait_ms / 1000,
                            .tv_nsec = input->wait_ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
    int64_t left = input->bytes;
    do {
        size_t part = left < (int64_t)sizeof block ? (size_t)left : sizeof block;
        if (!sb_request_write_body(request, block, part) || !sb_request_flush(request))
            break;
        left -= (int64_t)part;
    } while (left > 0);
    return SB_OK;
}

const struct sb_endpoint sb_endpoint = {
    .name = "probe",
    .routes = (const struct sb_route[]){{.methods = SB_GET,
                                         .path = "",
                                         .handler = probe,
                                         .access = SB_ACCESS_PUBLIC,
                                         .reply = SB_REPLY_STREAM,
                                         .content_type = "text/plain",
                                         SB_INPUT(struct input, input_fields),
                                         .summary = "For tests"},
                                        {.handler = NULL}},
};
