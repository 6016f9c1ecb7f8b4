#include "base/clause.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

void sb_clause_init(struct sb_clause_cutter *cutter, sb_clause_fn *clause, void *context)
{
    *cutter = (struct sb_clause_cutter){.clause = clause, .context = context};
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Quotes and brackets that close behind the end of a sentence. */
static bool closing(char c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']';
}

/* The full-width stops of Chinese and Japanese, which no blank follows. */
static bool wide_stop(const char *end)
{
    return memcmp(end - 3, "\xe3\x80\x82", 3) == 0 || memcmp(end - 3, "\xef\xbc\x81", 3) == 0 ||
           memcmp(end - 3, "\xef\xbc\x9f", 3) == 0;
}

static bool letter(char c)
{
    return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Whether the point behind length bytes of text ends an abbreviation rather than a sentence: a
 * title, "e.g", or a single letter. */
static bool abbreviated(const char *text, size_t length)
{
    static const char *const known[] = {"dr", "mr", "mrs", "ms", "prof",   "st",
                                        "vs", "no", "nr",  "ca", "approx", "etc"};
    size_t from = length;
    while (from > 0 && (letter(text[from - 1]) || text[from - 1] == '.'))
        from--;
    const char *word = text + from;
    size_t size = length - from;
    bool initials = size > 0; /* "J", "e.g": single letters between points */
    for (size_t i = 0; i < size; i++)
        initials = initials && (word[i] == '.') == (i % 2 == 1);
    if (initials)
        return true;
    for (size_t i = 0; i < SB_COUNT(known); i++) {
        if (strlen(known[i]) == size && strncasecmp(word, known[i], size) == 0)
            return true;
    }
    return false;
}

/* "1." at the beginning of a line counts a list's items. */
static bool list_number(const char *text, size_t length)
{
    size_t from = length;
    while (from > 0 && isdigit((unsigned char)text[from - 1]))
        from--;
    return from < length && (from == 0 || text[from - 1] == '\n');
}

/* Whether the sentence ends with the character before the blank at text[at]. */
static bool sentence_ends(const char *text, size_t at)
{
    size_t end = at;
    while (end > 0 && closing(text[end - 1]))
        end--;
    if (end == 0)
        return false;
    char c = text[end - 1];
    if (c == '!' || c == '?')
        return true;
    if (end >= 3 && memcmp(text + end - 3, "\xe2\x80\xa6", 3) == 0) /* an ellipsis */
        return true;
    return c == '.' && !abbreviated(text, end - 1) && !list_number(text, end - 1);
}

static bool pause_ends(const char *text, size_t at)
{
    return at > 0 && strchr(",;:", text[at - 1]) != NULL;
}

/* Whether a clause may end before text[at], which is a blank, or behind a wide stop. */
static bool may_cut(const struct sb_clause_cutter *cutter, size_t at)
{
    const char *text = cutter->text;
    size_t min = cutter->any ? SB_CLAUSE_MIN : 1;
    if (at >= 3 && wide_stop(text + at))
        return at >= min;
    if (!blank(text[at]))
        return false;
    if (sentence_ends(text, at) || text[at] == '\n')
        return at >= min;
    size_t pause_min = cutter->any ? SB_CLAUSE_SOFT_MAX : SB_CLAUSE_FIRST_MIN;
    return at >= pause_min && pause_ends(text, at);
}

/* Gives text[0..end), and keeps what is behind it. */
static bool give(struct sb_clause_cutter *cutter, size_t end)
{
    char *text = cutter->text;
    size_t from = 0, to = end, rest = end;
    while (from < to && blank(text[from]))
        from++;
    while (to > from && blank(text[to - 1]))
        to--;
    bool go_on = true;
    if (to > from) {
        cutter->any = true;
        go_on = cutter->clause(cutter->context, text + from, to - from);
    }
    while (rest < cutter->length && blank(text[rest]))
        rest++;
    cutter->length -= rest;
    cutter->looked = 0;
    memmove(text, text + rest, cutter->length);
    return go_on;
}

/* Where a full buffer is cut: at its last blank, else before a character that is not whole. */
static size_t last_resort(const struct sb_clause_cutter *cutter)
{
    size_t at = cutter->length;
    while (at > 0 && !blank(cutter->text[at - 1]))
        at--;
    if (at > 0)
        return at;
    at = cutter->length - 1;
    while (at > cutter->length - 4 && ((unsigned char)cutter->text[at] & 0xc0) == 0x80)
        at--;
    size_t whole = sb_utf8_sequence(cutter->text + at, cutter->length - at);
    return whole > 0 ? at + whole : at;
}

/* A blank is looked at once it is there; a wide stop once something is behind it, too. */
static bool cut(struct sb_clause_cutter *cutter)
{
    while (cutter->looked < cutter->length) {
        size_t at = cutter->looked++;
        if (may_cut(cutter, at) && !give(cutter, at))
            return false;
    }
    return true;
}

bool sb_clause_feed(struct sb_clause_cutter *cutter, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (cutter->length == 0 && blank(text[i]))
            continue;
        if (cutter->length == SB_CLAUSE_MAX && !give(cutter, last_resort(cutter)))
            return false;
        cutter->text[cutter->length++] = text[i];
        if (!cut(cutter))
            return false;
    }
    return true;
}

bool sb_clause_end(struct sb_clause_cutter *cutter)
{
    return give(cutter, cutter->length);
}
