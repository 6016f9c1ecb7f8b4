#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { FIRST_SIZE = 512 };

void sb_buf_init(struct sb_buf *buf, struct sb_arena *arena, size_t cap)
{
    *buf = (struct sb_buf){.arena = arena, .cap = cap};
}

void sb_buf_init_fixed(struct sb_buf *buf, char *storage, size_t size)
{
    *buf = (struct sb_buf){.data = storage, .size = size, .cap = size, .fixed = true};
    if (size > 0)
        storage[0] = '\0';
}

void sb_buf_free(struct sb_buf *buf)
{
    if (!buf->fixed && buf->arena == NULL) {
        free(buf->data);
        buf->data = NULL;
        buf->size = 0;
    }
    buf->length = 0;
    buf->failed = false;
}

bool sb_buf_ok(const struct sb_buf *buf)
{
    return !buf->failed;
}

static char *resized(struct sb_buf *buf, size_t size)
{
    if (buf->arena == NULL)
        return sb_memory_realloc(buf->data, size);
    char *data = sb_arena_alloc(buf->arena, size);
    if (data != NULL && buf->length > 0)
        memcpy(data, buf->data, buf->length);
    return data;
}

/* Room for length more bytes and the NUL after them, or the buffer has failed. */
static bool reserve(struct sb_buf *buf, size_t length)
{
    if (buf->failed)
        return false;
    if (length < buf->size - buf->length) /* size 0 gives 0: never less */
        return true;
    if (buf->fixed || length >= buf->cap || buf->length >= buf->cap - length) {
        buf->failed = true;
        return false;
    }
    size_t size = buf->size < FIRST_SIZE ? FIRST_SIZE : buf->size;
    while (size <= buf->length + length)
        size = size > buf->cap / 2 ? buf->cap : size * 2;
    if (size > buf->cap)
        size = buf->cap;
    char *data = resized(buf, size);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->size = size;
    return true;
}

void sb_buf_add(struct sb_buf *buf, const void *data, size_t length)
{
    if (!reserve(buf, length))
        return;
    if (length > 0)
        memcpy(buf->data + buf->length, data, length);
    buf->length += length;
    buf->data[buf->length] = '\0';
}

void sb_buf_add_text(struct sb_buf *buf, const char *text)
{
    sb_buf_add(buf, text, strlen(text));
}

void sb_buf_add_char(struct sb_buf *buf, char c)
{
    if (!reserve(buf, 1))
        return;
    buf->data[buf->length++] = c;
    buf->data[buf->length] = '\0';
}

void sb_buf_add_int(struct sb_buf *buf, int64_t value)
{
    char text[20], *const end = text + sizeof text, *at = end;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (value < 0)
        *--at = '-';
    sb_buf_add(buf, at, (size_t)(end - at));
}

void sb_buf_add_format(struct sb_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        buf->failed = true;
    } else if (reserve(buf, (size_t)length)) {
        vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
        buf->length += (size_t)length;
    }
    va_end(again);
}

static void separate(struct sb_buf *buf)
{
    if (buf->length == 0)
        return;
    char last = buf->data[buf->length - 1];
    if (last != '{' && last != '[' && last != ':')
        sb_buf_add_char(buf, ',');
}

void sb_json_open(struct sb_buf *buf, char bracket)
{
    separate(buf);
    sb_buf_add_char(buf, bracket);
}

void sb_json_close(struct sb_buf *buf, char bracket)
{
    sb_buf_add_char(buf, bracket);
}

void sb_json_key(struct sb_buf *buf, const char *key)
{
    sb_json_string(buf, key);
    sb_buf_add_char(buf, ':');
}

static size_t continuation_count(unsigned char lead)
{
    if (lead >= 0xC2 && lead <= 0xDF)
        return 1;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 2;
    if (lead >= 0xF0 && lead <= 0xF4)
        return 3;
    return 0;
}

/* RFC 3629 section 4: the second byte's range is narrower after some leads. */
static bool second_byte_ok(unsigned char lead, unsigned char second)
{
    switch (lead) {
    case 0xE0:
        return second >= 0xA0;
    case 0xED:
        return second <= 0x9F;
    case 0xF0:
        return second >= 0x90;
    case 0xF4:
        return second <= 0x8F;
    default:
        return true;
    }
}

size_t sb_utf8_sequence(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    if (length == 0)
        return 0;
    if (bytes[0] < 0x80)
        return 1;
    size_t more = continuation_count(bytes[0]);
    if (more == 0 || length <= more || !second_byte_ok(bytes[0], bytes[1]))
        return 0;
    for (size_t i = 1; i <= more; i++) {
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    }
    return more + 1;
}

static void escape(struct sb_buf *buf, unsigned char c)
{
    static const char shorts[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                  ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    if (c < sizeof shorts && shorts[c] != 0) {
        char pair[2] = {'\\', shorts[c]};
        sb_buf_add(buf, pair, sizeof pair);
    } else {
        sb_buf_add_format(buf, "\\u%04x", (unsigned)c);
    }
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

/* The length of a C1 control (U+0080 to U+009F) at text; 0: there is none. Terminals obey them. */
static size_t c1_control(const char *text, size_t length)
{
    return length > 1 && text[0] == '\xC2' && (unsigned char)(text[1] ^ 0x80) < 0x20 ? 2 : 0;
}

void sb_json_string_n(struct sb_buf *buf, const char *text, size_t length)
{
    separate(buf);
    sb_buf_add_char(buf, '"');
    size_t plain = 0; /* start of the run that needs no change */
    for (size_t i = 0; i < length;) {
        unsigned char c = (unsigned char)text[i];
        if (is_plain(c)) {
            i++;
            continue;
        }
        bool special = c < 0x80;
        size_t control = c1_control(text + i, length - i);
        size_t sequence = special || control > 0 ? 0 : sb_utf8_sequence(text + i, length - i);
        if (sequence > 0) {
            i += sequence;
            continue;
        }
        sb_buf_add(buf, text + plain, i - plain);
        if (special)
            escape(buf, c);
        else if (control > 0)
            escape(buf, (unsigned char)text[i + 1]); /* its number as well */
        else
            sb_buf_add_text(buf, "\xEF\xBF\xBD");
        i += control > 0 ? control : 1;
        plain = i;
    }
    sb_buf_add(buf, text + plain, length - plain);
    sb_buf_add_char(buf, '"');
}

void sb_json_string(struct sb_buf *buf, const char *text)
{
    if (text == NULL)
        sb_json_null(buf);
    else
        sb_json_string_n(buf, text, strlen(text));
}

void sb_json_int(struct sb_buf *buf, int64_t value)
{
    separate(buf);
    sb_buf_add_int(buf, value);
}

void sb_json_bool(struct sb_buf *buf, bool value)
{
    sb_json_raw(buf, value ? "true" : "false");
}

void sb_json_null(struct sb_buf *buf)
{
    sb_json_raw(buf, "null");
}

void sb_json_raw(struct sb_buf *buf, const char *json)
{
    separate(buf);
    sb_buf_add_text(buf, json);
}
