#include "http/response.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void sb_response_init(struct sb_response *response, struct sb_arena *arena)
{
    *response = (struct sb_response){.status = 200};
    sb_buf_init(&response->head, arena, SB_RESPONSE_HEAD_MAX);
    sb_buf_init(&response->body, arena, SB_RESPONSE_BODY_MAX);
}

static bool value_ok(const char *value)
{
    for (; *value != '\0'; value++) {
        if ((unsigned char)*value < 0x20 || *value == 0x7F)
            return false;
    }
    return true;
}

void sb_response_header(struct sb_response *response, const char *name, const char *value)
{
    if (response->head_written || !value_ok(value)) {
        response->head.failed = true;
        return;
    }
    sb_buf_add_text(&response->head, name);
    sb_buf_add(&response->head, ": ", 2);
    sb_buf_add_text(&response->head, value);
    sb_buf_add(&response->head, "\r\n", 2);
}

void sb_response_header_format(struct sb_response *response, const char *name, const char *format,
                               ...)
{
    char value[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(value, sizeof value, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof value)
        response->head.failed = true;
    else
        sb_response_header(response, name, value);
}

const char *sb_status_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {{200, "OK"},
                   {201, "Created"},
                   {204, "No Content"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {409, "Conflict"},
                   {410, "Gone"},
                   {413, "Content Too Large"},
                   {415, "Unsupported Media Type"},
                   {422, "Unprocessable Content"},
                   {429, "Too Many Requests"},
                   {500, "Internal Server Error"},
                   {502, "Bad Gateway"},
                   {503, "Service Unavailable"},
                   {504, "Gateway Timeout"}};
    for (size_t i = 0; i < SB_COUNT(phrases); i++) {
        if (phrases[i].status == status)
            return phrases[i].phrase;
    }
    return "Unknown";
}

void sb_response_write_head(struct sb_response *response, struct sb_buf *out)
{
    sb_buf_add_format(out, "Status: %d %s\r\n", response->status,
                      sb_status_phrase(response->status));
    if (response->head.length > 0)
        sb_buf_add(out, response->head.data, response->head.length);
    sb_buf_add(out, "\r\n", 2);
    out->failed = out->failed || response->head.failed;
    response->head_written = true;
}
