#include "http/request.h"

#include <string.h>
#include <strings.h>

static const struct {
    unsigned method;
    const char *name;
} methods[] = {{SB_GET, "GET"},     {SB_POST, "POST"},     {SB_PUT, "PUT"},
               {SB_PATCH, "PATCH"}, {SB_DELETE, "DELETE"}, {SB_OPTIONS, "OPTIONS"},
               {SB_HEAD, "HEAD"}};

const char *sb_method_name(unsigned method)
{
    for (size_t i = 0; i < SB_COUNT(methods); i++) {
        if (methods[i].method == method)
            return methods[i].name;
    }
    return "";
}

static unsigned method_of(const char *name)
{
    for (size_t i = 0; name != NULL && i < SB_COUNT(methods); i++) {
        if (strcmp(methods[i].name, name) == 0)
            return methods[i].method;
    }
    return 0;
}

static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next character of the path, decoded, or NUL if it cannot be in one of our paths. */
static char next_character(const char **at)
{
    char c = **at;
    if (c == '%') {
        int high = hex_value((*at)[1]);
        int low = high < 0 ? -1 : hex_value((*at)[2]);
        if (low < 0)
            return '\0';
        c = (char)(high << 4 | low);
        *at += 3;
        return unreserved(c) ? c : '\0';
    }
    *at += 1;
    return c == '/' || unreserved(c) ? c : '\0';
}

static bool segments_ok(const char *path)
{
    for (const char *slash = path; slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t length = strcspn(slash + 1, "/");
        bool dots = length > 0 && length <= 2 && strspn(slash + 1, ".") == length;
        if (dots || (length == 0 && slash[1] == '/'))
            return false;
    }
    return true;
}

const char *sb_path_normalise(struct sb_arena *arena, const char *target)
{
    if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
        target = strchr(target, ':') + 3;
        target += strcspn(target, "/?#");
    }
    size_t length = strcspn(target, "?#");
    if (*target != '/' || length > SB_PATH_MAX)
        return NULL;
    char *path = sb_arena_alloc(arena, length + 1), *out = path;
    const char *end = target + length;
    while (out != NULL && target < end) {
        *out = next_character(&target);
        if (*out++ == '\0' || target > end)
            return NULL;
    }
    return path != NULL && segments_ok(path) ? path : NULL;
}

bool sb_media_type_is(const char *header, const char *type)
{
    size_t length = strlen(type);
    if (header == NULL || strncasecmp(header, type, length) != 0)
        return false;
    header += length;
    header += strspn(header, " \t");
    return *header == '\0' || *header == ';';
}

/* "0.25" is 250. What is no weight is as if there were none. */
static int quality_of(const char *text)
{
    static const int places[] = {1000, 0, 100, 10, 1};
    int quality = 0;
    for (size_t i = 0; i < SB_COUNT(places); i++) {
        if (i == 1 && text[i] == '.')
            continue;
        if (text[i] < '0' || text[i] > '9')
            return i == 0 ? 1000 : quality;
        quality += places[i] * (text[i] - '0');
    }
    return quality;
}

bool sb_accept_next(const char **at, struct sb_accept_range *range)
{
    const char *from = *at + strspn(*at, " \t,");
    size_t length = strcspn(from, ",");
    *at = from + length;
    *range = (struct sb_accept_range){from, strcspn(from, " \t,;"), 1000};
    for (const char *c = from; (c = memchr(c, ';', (size_t)(*at - c))) != NULL;) {
        c += 1 + strspn(c + 1, " \t");
        if (strncasecmp(c, "q=", 2) == 0)
            range->quality = quality_of(c + 2);
    }
    return length > 0;
}

bool sb_accept_range_is(const struct sb_accept_range *range, const char *type)
{
    size_t length = strlen(type);
    bool kind = length > 0 && type[length - 1] == '/';
    return (kind ? range->length > length : range->length == length) &&
           strncasecmp(range->type, type, length) == 0;
}

bool sb_accept_asks_for(const char *accept, const char *type)
{
    struct sb_accept_range range;
    int wanted = 0, json = 0;
    while (accept != NULL && sb_accept_next(&accept, &range)) {
        if (sb_accept_range_is(&range, type))
            wanted = range.quality;
        else if (sb_accept_range_is(&range, "application/json"))
            json = range.quality;
    }
    return wanted > 0 && wanted >= json;
}

struct reader {
    sb_param_fn *param;
    void *context;
    bool bad;
};

static const char *get(struct reader *reader, const char *name)
{
    bool twice = false;
    const char *value = reader->param(reader->context, name, &twice);
    if (twice || (value != NULL && strnlen(value, SB_HEADER_MAX + 1) > SB_HEADER_MAX)) {
        reader->bad = true;
        return NULL;
    }
    return value == NULL || *value == '\0' ? NULL : value;
}

/* Plain digits (RFC 9110 section 8.6), at most 15 of them. */
static int64_t content_length(struct reader *reader)
{
    const char *text = get(reader, "CONTENT_LENGTH");
    if (text == NULL)
        return -1;
    size_t digits = strspn(text, "0123456789");
    if (text[digits] != '\0' || digits > 15) {
        reader->bad = true;
        return -1;
    }
    int64_t length = 0;
    for (; *text != '\0'; text++)
        length = length * 10 + (*text - '0');
    return length;
}

enum sb_error sb_http_head_read(struct sb_arena *arena, sb_param_fn *param, void *context,
                                struct sb_http_head *head)
{
    struct reader reader = {param, context, false};
    const char *target = get(&reader, "REQUEST_URI");
    const char *question = target == NULL ? NULL : strchr(target, '?');
    *head = (struct sb_http_head){
        .method = method_of(get(&reader, "REQUEST_METHOD")),
        .path = target == NULL ? NULL : sb_path_normalise(arena, target),
        .query = question == NULL ? "" : question + 1,
        .content_length = content_length(&reader),
        .content_type = get(&reader, "CONTENT_TYPE"),
        .accept = get(&reader, "HTTP_ACCEPT"),
        .origin = get(&reader, "HTTP_ORIGIN"),
        .authorization = get(&reader, "HTTP_AUTHORIZATION"),
        .user_agent = get(&reader, "HTTP_USER_AGENT"),
        .traceparent = get(&reader, "HTTP_TRACEPARENT"),
        .forwarded_for = get(&reader, "HTTP_X_FORWARDED_FOR"),
        .idempotency_key = get(&reader, "HTTP_IDEMPOTENCY_KEY"),
        .preflight_method = get(&reader, "HTTP_ACCESS_CONTROL_REQUEST_METHOD"),
        .remote_addr = get(&reader, "REMOTE_ADDR"),
    };
    return reader.bad ? SB_E_INVALID_REQUEST : SB_OK;
}
