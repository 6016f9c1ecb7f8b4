#include "base/clause.h"

#include <ctype.h>
#include <stdint.h>
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

/* Quotes and brackets that close behind the end of a sentence. The first three open one elsewhere,
 * but then a blank is before them. */
static const char *const closings[] = {"\u201c", "\u00ab", "\u2039", /* of German and Danish */
                                       "\"",     "'",      ")",      "]",      "\u201d",
                                       "\u2019", "\u00bb", "\u203a", "\u300d", "\u300f",
                                       "\uff09", "\u3011", "\u300b", NULL};
static const char *const *const wide_closings = closings + 3;

/* What ends a sentence besides the point: an ellipsis, the Arabic question mark and the danda. */
static const char *const stops[] = {"!", "?", "\u2026", "\u061f", "\u0964", NULL};
static const char *const pauses[] = {",", ";", ":", "\u060c", NULL};

/* Full-width marks of Chinese and Japanese, which no blank follows. */
static const char *const wide_stops[] = {"\u3002", "\uff01", "\uff1f", NULL};
static const char *const wide_pauses[] = {"\uff0c", "\u3001", "\uff1b", "\uff1a", NULL};

/* The length of the mark of list (NULL-terminated) that text[0..end) ends with; 0: none. */
static size_t mark_before(const char *text, size_t end, const char *const *list)
{
    for (; *list != NULL; list++) {
        size_t length = strlen(*list);
        if (end >= length && memcmp(text + end - length, *list, length) == 0)
            return length;
    }
    return 0;
}

/* end, without the closing marks of list before it. */
static size_t before_closings(const char *text, size_t end, const char *const *list)
{
    for (size_t length; (length = mark_before(text, end, list)) > 0;)
        end -= length;
    return end;
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
    size_t end = before_closings(text, at, closings);
    if (mark_before(text, end, stops) > 0 || mark_before(text, end, wide_stops) > 0)
        return true;
    return end > 0 && text[end - 1] == '.' && !abbreviated(text, end - 1) &&
           !list_number(text, end - 1);
}

/* How many bytes a clause has at least that ends with a sentence, or with a pause in it. */
static size_t least(const struct sb_clause_cutter *cutter, bool pause)
{
    if (pause)
        return cutter->any ? SB_CLAUSE_SOFT_MAX : SB_CLAUSE_FIRST_MIN;
    return cutter->any ? SB_CLAUSE_MIN : 1;
}

/* Where a clause may end behind a full-width mark: before the character that text[at] completes,
 * unless that belongs to the sentence, too. 0: nowhere. */
static size_t wide_end(const struct sb_clause_cutter *cutter, size_t at)
{
    const char *text = cutter->text;
    size_t from = at;
    while (from > 0 && at - from < 3 && ((unsigned char)text[from] & 0xc0) == 0x80)
        from--;
    if (sb_utf8_sequence(text + from, at + 1 - from) != at + 1 - from ||
        mark_before(text, at + 1, wide_closings) > 0 || mark_before(text, at + 1, stops) > 0 ||
        mark_before(text, at + 1, wide_stops) > 0)
        return 0;
    bool pause = mark_before(text, from, wide_pauses) > 0;
    if (!pause && mark_before(text, before_closings(text, from, wide_closings), wide_stops) == 0)
        return 0;
    return from >= least(cutter, pause) ? from : 0;
}

/* Where a clause may end, now that text[at] is there: before it, where it is a blank. 0: nowhere.
 */
static size_t clause_end(const struct sb_clause_cutter *cutter, size_t at)
{
    const char *text = cutter->text;
    if (!blank(text[at]))
        return wide_end(cutter, at);
    bool sentence = text[at] == '\n' || sentence_ends(text, at);
    if (!sentence && mark_before(text, at, pauses) == 0 && mark_before(text, at, wide_pauses) == 0)
        return 0;
    return at >= least(cutter, !sentence) ? at : 0;
}

/* What is not spoken: punctuation and symbols, among them the emoji. */
static const struct {
    uint32_t first, last;
} silent[] = {{0x80, 0xa9},     {0xab, 0xb1},      {0xbb, 0xbb},     {0xbf, 0xbf},
              {0x2000, 0x206f}, {0x2190, 0x2bff},  {0x3000, 0x3004}, {0x3008, 0x3020},
              {0xfe00, 0xfe0f}, {0xff01, 0xff0f},  {0xff1a, 0xff20}, {0xff3b, 0xff40},
              {0xff5b, 0xff65}, {0x1f000, 0x1faff}};

static bool is_silent(uint32_t point)
{
    if (point < 0x80)
        return !isalnum((int)point);
    for (size_t i = 0; i < SB_COUNT(silent); i++) {
        if (point >= silent[i].first && point <= silent[i].last)
            return true;
    }
    return false;
}

/* Whether text has something to be spoken. What is no UTF-8 is not ours to judge. */
static bool audible(const char *text, size_t length)
{
    for (size_t at = 0, size; at < length; at += size) {
        size = sb_utf8_sequence(text + at, length - at);
        if (size == 0)
            return true;
        uint32_t point = (unsigned char)text[at] & (size == 1 ? 0x7fu : 0xffu >> (size + 1));
        for (size_t i = 1; i < size; i++)
            point = point << 6 | ((unsigned char)text[at + i] & 0x3fu);
        if (!is_silent(point))
            return true;
    }
    return false;
}

/* Gives text[0..end), and keeps what is behind it. A smiley behind all that was said is not worth a
 * request to whoever speaks; of a text that is nothing else, it is all there is. */
static bool give(struct sb_clause_cutter *cutter, size_t end)
{
    char *text = cutter->text;
    size_t to = end, rest = end;
    while (to > 0 && blank(text[to - 1]))
        to--;
    bool go_on = true;
    if (to > 0 && (!cutter->any || audible(text, to))) {
        cutter->any = true;
        go_on = cutter->clause(cutter->context, text, to);
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

static bool cut(struct sb_clause_cutter *cutter)
{
    while (cutter->looked < cutter->length) {
        size_t end = clause_end(cutter, cutter->looked++);
        if (end > 0 && !give(cutter, end))
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
