#include "http/sse.h"

#include <string.h>

void sb_sse_write(struct sb_buf *out, const char *name, const char *data, int64_t id)
{
    if (id != 0)
        sb_buf_add_format(out, "id: %lld\n", (long long)id);
    if (name != NULL)
        sb_buf_add_format(out, "event: %s\n", name);
    for (;;) {
        size_t length = strcspn(data, "\r\n");
        sb_buf_add_text(out, "data: ");
        sb_buf_add(out, data, length);
        sb_buf_add_char(out, '\n');
        data += length;
        if (*data == '\0')
            break;
        data += data[0] == '\r' && data[1] == '\n' ? 2 : 1;
    }
    sb_buf_add_char(out, '\n');
}

void sb_sse_ping(struct sb_buf *out)
{
    sb_buf_add_text(out, ": ping\n\n");
}

void sb_sse_reader_init(struct sb_sse_reader *reader, size_t max, sb_sse_event_fn *event,
                        void *context)
{
    *reader = (struct sb_sse_reader){.event = event, .context = context, .max = max};
    sb_buf_init(&reader->line, NULL, max + 1);
    sb_buf_init(&reader->data, NULL, max + 1);
}

void sb_sse_reader_free(struct sb_sse_reader *reader)
{
    sb_buf_free(&reader->line);
    sb_buf_free(&reader->data);
}

/* The buffer keeps its memory for the next line. */
static void empty(struct sb_buf *buf)
{
    buf->length = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

static bool dispatch(struct sb_sse_reader *reader)
{
    bool go_on = true;
    if (reader->any_data) {
        const char *name = reader->name[0] == '\0' ? "message" : reader->name;
        const char *data = reader->data.data == NULL ? "" : reader->data.data;
        go_on = reader->event(reader->context, name, data, reader->data.length);
    }
    empty(&reader->data);
    reader->any_data = false;
    reader->name[0] = '\0';
    return go_on;
}

static bool is_field(const char *line, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(line, name, length) == 0;
}

/* `id` and `retry` serve reconnecting, which is not a reader's of an answer in progress. */
static bool take_field(struct sb_sse_reader *reader, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    size_t name_length = colon == NULL ? length : (size_t)(colon - line);
    const char *value = colon == NULL ? line + length : colon + 1;
    size_t value_length = length - (size_t)(value - line);
    if (value_length > 0 && *value == ' ') {
        value++;
        value_length--;
    }
    if (is_field(line, name_length, "data")) {
        if (reader->any_data)
            sb_buf_add_char(&reader->data, '\n');
        sb_buf_add(&reader->data, value, value_length);
        reader->any_data = true;
        return sb_buf_ok(&reader->data);
    }
    if (is_field(line, name_length, "event")) {
        if (value_length >= sizeof reader->name)
            return false;
        memcpy(reader->name, value, value_length);
        reader->name[value_length] = '\0';
    }
    return true;
}

static bool take_line(struct sb_sse_reader *reader)
{
    static const char bom[] = "\xef\xbb\xbf";
    const char *line = reader->line.data == NULL ? "" : reader->line.data;
    size_t length = reader->line.length;
    if (!reader->begun && length >= 3 && memcmp(line, bom, 3) == 0) {
        line += 3;
        length -= 3;
    }
    reader->begun = true;
    bool good = length == 0 ? dispatch(reader) : take_field(reader, line, length);
    empty(&reader->line);
    return good;
}

bool sb_sse_reader_feed(struct sb_sse_reader *reader, const char *text, size_t length)
{
    const char *end = text + length;
    while (text < end && !reader->stopped) {
        if (reader->after_cr && *text == '\n')
            text++;
        reader->after_cr = false;
        const char *stop = text;
        while (stop < end && *stop != '\r' && *stop != '\n')
            stop++;
        sb_buf_add(&reader->line, text, (size_t)(stop - text));
        if (stop < end) {
            reader->after_cr = *stop == '\r';
            reader->stopped = !sb_buf_ok(&reader->line) || !take_line(reader);
            stop++;
        }
        reader->stopped = reader->stopped || !sb_buf_ok(&reader->line);
        text = stop;
    }
    return !reader->stopped;
}
