/* The environment file. Not libinih: Debian builds it with a line limit of 200 bytes beyond which
 * a value is silently cut in two, and it takes " ;" in a value for a comment. */
#include <string.h>

#include "base/config_table.h"

struct reader {
    struct sb_arena *arena;
    const char *at;
    int line;
    bool no_memory;
};

static size_t blanks(const char *at)
{
    return strspn(at, " \t\r");
}

static size_t name_length(const char *at)
{
    bool digit_first = *at >= '0' && *at <= '9';
    return digit_first ? 0
                       : strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789_");
}

static void *checked(struct reader *reader, void *memory)
{
    reader->no_memory |= memory == NULL;
    return memory;
}

/* The text between quotes; at ends behind the closing one. NULL: no closing quote, no memory. */
static char *quoted(struct reader *reader)
{
    char quote = *reader->at++;
    const char *end = reader->at;
    while (*end != '\0' && *end != quote)
        end += quote == '"' && end[0] == '\\' && end[1] != '\0' ? 2 : 1;
    if (*end == '\0')
        return NULL;
    char *value = checked(reader, sb_arena_alloc(reader->arena, (size_t)(end - reader->at) + 1));
    if (value == NULL)
        return NULL;
    char *out = value;
    while (reader->at < end) {
        if (quote == '"' && *reader->at == '\\' && strchr("\"\\", reader->at[1]) != NULL)
            reader->at++;
        *out++ = *reader->at++;
    }
    reader->at = end + 1;
    return value;
}

/* Up to the end of the line or a comment (white space before #), without trailing blanks. Before
 * the value there is at least a '='. */
static char *bare(struct reader *reader)
{
    const char *start = reader->at;
    size_t length = strcspn(start, "\n");
    for (const char *p = start; p < start + length; p++) {
        if (*p == '#' && (p[-1] == ' ' || p[-1] == '\t'))
            length = (size_t)(p - start);
    }
    reader->at += length;
    while (length > 0 && strchr(" \t\r", start[length - 1]) != NULL)
        length--;
    return checked(reader, sb_arena_strndup(reader->arena, start, length));
}

static char *value(struct reader *reader)
{
    bool in_quotes = *reader->at == '"' || *reader->at == '\'';
    char *text = in_quotes ? quoted(reader) : bare(reader);
    if (text == NULL)
        return NULL;
    reader->at += blanks(reader->at);
    if (*reader->at == '#')
        reader->at += strcspn(reader->at, "\n");
    return *reader->at == '\n' || *reader->at == '\0' ? text : NULL;
}

static struct sb_config_pair *pair(struct reader *reader)
{
    if (strncmp(reader->at, "export ", 7) == 0)
        reader->at += 7 + blanks(reader->at + 7);
    size_t length = name_length(reader->at);
    if (length == 0 || reader->at[length] != '=')
        return NULL;
    struct sb_config_pair *made = checked(reader, sb_arena_alloc(reader->arena, sizeof *made));
    char *name = checked(reader, sb_arena_strndup(reader->arena, reader->at, length));
    if (made == NULL || name == NULL)
        return NULL;
    made->line = reader->line;
    made->name = name;
    reader->at += length + 1;
    reader->at += blanks(reader->at);
    made->value = value(reader);
    return made->value == NULL ? NULL : made;
}

bool sb_config_parse_file(struct sb_arena *arena, const char *text, struct sb_config_pair **pairs,
                          int *error_line)
{
    struct reader reader = {.arena = arena, .at = text, .line = 1};
    struct sb_config_pair *first = NULL, **last = &first;
    for (; *reader.at != '\0'; reader.line++) {
        const char *line = reader.at;
        reader.at += blanks(reader.at);
        if (*reader.at == '#')
            reader.at += strcspn(reader.at, "\n");
        if (*reader.at != '\n' && *reader.at != '\0') {
            *last = pair(&reader);
            if (*last == NULL) {
                *error_line = reader.no_memory ? 0 : reader.line;
                return false;
            }
            last = &(*last)->next;
        }
        for (const char *p = line; p < reader.at; p++)
            reader.line += *p == '\n'; /* a quoted value may span lines */
        if (*reader.at == '\n')
            reader.at++;
    }
    *pairs = first;
    return true;
}
