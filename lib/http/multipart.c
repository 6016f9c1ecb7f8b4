#include "http/multipart.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* --- Parameters of a header field: ; name=token, ; name="quoted" --------------------------------
 */

static bool token_char(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* The characters of bchars, RFC 2046 section 5.1.1. */
static bool boundary_valid(const char *text, size_t length)
{
    if (length == 0 || length > SB_MULTIPART_BOUNDARY_MAX || text[length - 1] == ' ')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) &&
            (text[i] == '\0' || strchr("'()+_,-./:=? ", text[i]) == NULL))
            return false;
    }
    return true;
}

/* Takes the quoted text at *at into value (length bytes with the NUL). Only \" and \\ are escapes:
 * a browser writes the backslash of a Windows path as it is. */
static bool take_quoted(const char **at, char *value, size_t size)
{
    size_t length = 0;
    const char *from = *at + 1;
    for (; *from != '"'; from++) {
        if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
            from++;
        if (*from == '\0' || length + 1 >= size)
            return false;
        value[length++] = *from;
    }
    value[length] = '\0';
    *at = from + 1;
    return true;
}

static bool take_token(const char **at, char *value, size_t size)
{
    size_t length = 0;
    for (; token_char(**at) && length + 1 < size; (*at)++)
        value[length++] = **at;
    value[length] = '\0';
    return length > 0;
}

struct parameter {
    char name[32], value[SB_MULTIPART_PART_HEADERS_MAX];
};

/* Takes the next parameter behind *at. False: the text ended (*at is at its NUL) or is malformed.
 */
static bool next_parameter(const char **at, struct parameter *parameter)
{
    *at += strspn(*at, " \t");
    if (**at != ';')
        return false;
    *at += 1 + strspn(*at + 1, " \t");
    if (!take_token(at, parameter->name, sizeof parameter->name) || **at != '=')
        return false;
    (*at)++;
    return **at == '"' ? take_quoted(at, parameter->value, sizeof parameter->value)
                       : take_token(at, parameter->value, sizeof parameter->value);
}

/* Whether text begins with word (lower case), and only parameters may follow. *rest is behind it.
 */
static bool begins_with(const char *text, const char *word, const char **rest)
{
    size_t length = strlen(word);
    if (strncasecmp(text, word, length) != 0)
        return false;
    *rest = text + length;
    const char *next = *rest + strspn(*rest, " \t");
    return *next == '\0' || *next == ';';
}

enum sb_error sb_multipart_init(struct sb_multipart *multipart, const char *content_type,
                                const struct sb_multipart_handler *handler)
{
    struct parameter parameter;
    const char *at;
    size_t length = 0;
    *multipart = (struct sb_multipart){.handler = *handler};
    if (!begins_with(content_type, "multipart/form-data", &at))
        return SB_E_UNSUPPORTED_MEDIA_TYPE;
    while (next_parameter(&at, &parameter)) {
        if (strcasecmp(parameter.name, "boundary") != 0)
            continue;
        if (length > 0 || !boundary_valid(parameter.value, strlen(parameter.value)))
            return SB_E_INVALID_MULTIPART;
        length = strlen(parameter.value);
        memcpy(multipart->delimiter, "\r\n--", 4);
        memcpy(multipart->delimiter + 4, parameter.value, length);
    }
    if (*at != '\0' || length == 0)
        return SB_E_INVALID_MULTIPART;
    multipart->delimiter_length = length + 4;
    multipart->matched = 2; /* the first delimiter may begin the body */
    multipart->fresh = true;
    return SB_OK;
}

/* --- The header of a part -----------------------------------------------------------------------
 */

struct header {
    char name[SB_MULTIPART_PART_HEADERS_MAX], filename[SB_MULTIPART_PART_HEADERS_MAX];
    struct sb_multipart_part part;
};

/* "name*" is not looked at: RFC 7578 section 4.2 forbids it. */
static bool take_disposition(struct header *header, const char *value)
{
    struct parameter parameter;
    const char *at;
    if (header->part.name != NULL || !begins_with(value, "form-data", &at))
        return false;
    while (next_parameter(&at, &parameter)) {
        bool name = strcasecmp(parameter.name, "name") == 0;
        if (!name && strcasecmp(parameter.name, "filename") != 0)
            continue;
        const char **known = name ? &header->part.name : &header->part.filename;
        if (*known != NULL)
            return false;
        char *kept = name ? header->name : header->filename;
        memcpy(kept, parameter.value, sizeof parameter.value);
        *known = kept;
    }
    return at[strspn(at, " \t")] == '\0' && header->part.name != NULL && *header->name != '\0';
}

static bool identity(const char *encoding)
{
    return strcasecmp(encoding, "binary") == 0 || strcasecmp(encoding, "8bit") == 0 ||
           strcasecmp(encoding, "7bit") == 0;
}

/* One "Name: value" line, NUL-terminated. */
static bool take_line(struct header *header, char *line)
{
    char *colon = strchr(line, ':');
    if (colon == NULL || colon == line)
        return false;
    for (const char *c = line; c < colon; c++) {
        if (!token_char(*c))
            return false;
    }
    *colon = '\0';
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    if (strcasecmp(line, "Content-Disposition") == 0)
        return take_disposition(header, value);
    if (strcasecmp(line, "Content-Transfer-Encoding") == 0)
        return identity(value);
    if (strcasecmp(line, "Content-Type") != 0)
        return true;
    if (header->part.content_type != NULL)
        return false;
    header->part.content_type = value;
    return true;
}

/* The lines collected so far, each ended by CR LF, are the whole header. */
static enum sb_error begin_part(struct sb_multipart *multipart)
{
    struct header header = {.part = {.name = NULL}};
    char *at = multipart->headers, *end = at + multipart->headers_length;
    if (++multipart->parts > SB_MULTIPART_PARTS_MAX)
        return SB_E_INVALID_MULTIPART;
    while (at < end) {
        char *line = at;
        at += strcspn(line, "\r");
        *at = '\0';
        at += 2;
        if (!take_line(&header, line))
            return SB_E_INVALID_MULTIPART;
    }
    if (header.part.name == NULL)
        return SB_E_INVALID_MULTIPART;
    multipart->state = SB_MULTIPART_DATA;
    /* RFC 2046 allows a delimiter right behind the empty line: a part without content. */
    multipart->matched = 2;
    multipart->fresh = true;
    return multipart->handler.begin(multipart->handler.context, &header.part);
}

/* One byte of a header. An empty line ends it. */
static enum sb_error take_header_byte(struct sb_multipart *multipart, char c)
{
    bool after_cr =
        multipart->headers_length > 0 && multipart->headers[multipart->headers_length - 1] == '\r';
    bool control = ((unsigned char)c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;
    if (control || after_cr != (c == '\n') ||
        multipart->headers_length >= SB_MULTIPART_PART_HEADERS_MAX)
        return SB_E_INVALID_MULTIPART;
    multipart->headers[multipart->headers_length++] = c;
    size_t length = multipart->headers_length;
    const char *end = multipart->headers + length;
    if (length < 2 || end[-2] != '\r' || end[-1] != '\n')
        return SB_OK;
    if (length > 2 && (length < 4 || end[-4] != '\r' || end[-3] != '\n'))
        return SB_OK;
    multipart->headers_length -= 2;
    return begin_part(multipart);
}

/* --- The body -----------------------------------------------------------------------------------
 */

/* Hands length bytes of a part on; of the preamble none are. */
static enum sb_error give(struct sb_multipart *multipart, const char *data, size_t length)
{
    if (multipart->state != SB_MULTIPART_DATA || length == 0)
        return SB_OK;
    return multipart->handler.data(multipart->handler.context, data, length);
}

static enum sb_error end_part(struct sb_multipart *multipart)
{
    bool in_part = multipart->state == SB_MULTIPART_DATA;
    multipart->state = SB_MULTIPART_DELIMITER;
    multipart->line_length = 0;
    multipart->matched = 0;
    return in_part && multipart->handler.end != NULL
               ? multipart->handler.end(multipart->handler.context)
               : SB_OK;
}

/* What looked like a delimiter is content, but for the CR LF that was only assumed. */
static enum sb_error break_match(struct sb_multipart *multipart)
{
    size_t assumed = multipart->fresh ? 2 : 0, matched = multipart->matched;
    multipart->matched = 0;
    multipart->fresh = false;
    return give(multipart, multipart->delimiter + assumed, matched - assumed);
}

/* Content up to the next delimiter: the number of bytes taken of data. A CR occurs in a delimiter
 * only at its beginning, so what was matched of one that breaks off holds no other's beginning. */
static size_t take_content(struct sb_multipart *multipart, const char *data, size_t length)
{
    size_t at = 0;
    while (at < length && multipart->error == SB_OK) {
        if (multipart->matched == 0) {
            const char *next = memchr(data + at, '\r', length - at);
            size_t run = next == NULL ? length - at : (size_t)(next - data) - at;
            multipart->error = give(multipart, data + at, run);
            at += run;
            multipart->matched = next != NULL;
            at += next != NULL;
            continue;
        }
        if (data[at] == multipart->delimiter[multipart->matched]) {
            at++;
            if (++multipart->matched < multipart->delimiter_length)
                continue;
            multipart->error = end_part(multipart);
            return at;
        }
        multipart->error = break_match(multipart);
    }
    return at;
}

/* Behind a delimiter: "--" ends the body, CR LF (blanks before it are padding) begins a part. */
static enum sb_error take_delimiter_byte(struct sb_multipart *multipart, char c)
{
    if (multipart->line_length == 0 && (c == ' ' || c == '\t'))
        return SB_OK;
    multipart->line[multipart->line_length++] = c;
    if (multipart->line_length == 1 ? c != '-' && c != '\r'
                                    : c != (multipart->line[0] == '-' ? '-' : '\n'))
        return SB_E_INVALID_MULTIPART;
    if (multipart->line_length < 2)
        return SB_OK;
    multipart->state = c == '-' ? SB_MULTIPART_EPILOGUE : SB_MULTIPART_HEADERS;
    multipart->headers_length = 0;
    return SB_OK;
}

enum sb_error sb_multipart_feed(struct sb_multipart *multipart, const void *data, size_t length)
{
    const char *text = data;
    for (size_t at = 0; at < length && multipart->error == SB_OK;) {
        switch (multipart->state) {
        case SB_MULTIPART_PREAMBLE:
        case SB_MULTIPART_DATA:
            at += take_content(multipart, text + at, length - at);
            break;
        case SB_MULTIPART_DELIMITER:
            multipart->error = take_delimiter_byte(multipart, text[at++]);
            break;
        case SB_MULTIPART_HEADERS:
            multipart->error = take_header_byte(multipart, text[at++]);
            break;
        case SB_MULTIPART_EPILOGUE:
            return SB_OK;
        }
    }
    return multipart->error;
}

enum sb_error sb_multipart_end(struct sb_multipart *multipart)
{
    if (multipart->error == SB_OK &&
        (multipart->state != SB_MULTIPART_EPILOGUE || multipart->parts == 0))
        multipart->error = SB_E_INVALID_MULTIPART;
    return multipart->error;
}
