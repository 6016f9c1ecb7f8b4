#include <string.h>

#include "endpoint/gateway.h"

static const char *param(void *state, const char *name, bool *twice)
{
    const struct sb_memory_request *request = state;
    size_t length = strlen(name);
    const char *value = NULL;
    for (const char *const *p = request->params; *p != NULL; p++) {
        if (strncmp(*p, name, length) != 0 || (*p)[length] != '=')
            continue;
        if (value != NULL)
            *twice = true;
        else
            value = *p + length + 1;
    }
    return value;
}

static ssize_t read_body(void *state, void *data, size_t size)
{
    struct sb_memory_request *request = state;
    size_t left = request->body_length - request->body_read;
    if (request->hang_up)
        return -1;
    if (request->read_max > 0 && size > request->read_max)
        size = request->read_max;
    if (size > left)
        size = left;
    if (size > 0)
        memcpy(data, request->body + request->body_read, size);
    request->body_read += size;
    return (ssize_t)size;
}

static bool write_all(void *state, const void *data, size_t size)
{
    struct sb_memory_request *request = state;
    if (!request->hang_up)
        sb_buf_add(&request->output, data, size);
    return !request->hang_up && sb_buf_ok(&request->output);
}

static bool flush(void *state)
{
    return !((const struct sb_memory_request *)state)->hang_up;
}

static bool gone(void *state)
{
    return ((const struct sb_memory_request *)state)->hang_up;
}

void sb_gateway_memory(struct sb_gateway *gateway, struct sb_memory_request *request)
{
    *gateway = (struct sb_gateway){param, read_body, write_all, flush, flush, gone, request, -1};
}
