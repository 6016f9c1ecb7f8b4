#include "base/ids.h"

#include <string.h>

#include "base/crypto.h"

void sb_id_make(const char *prefix, int64_t now_ms, char id[static SB_ID_SIZE])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char random[10];
    sb_random(random, sizeof random);
    size_t at = strnlen(prefix, 12);
    memcpy(id, prefix, at);
    id[at++] = '_';
    for (int shift = 45; shift >= 0; shift -= 5)
        id[at++] = digits[(uint64_t)now_ms >> shift & 31];
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < sizeof random; i++) {
        bits = bits << 8 | random[i];
        for (have += 8; have >= 5; have -= 5)
            id[at++] = digits[bits >> (have - 5) & 31];
    }
    id[at] = '\0';
}

static bool id_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

bool sb_id_valid(const char *text)
{
    if (text == NULL || *text == '\0')
        return false;
    size_t length = 0;
    while (length <= SB_ID_MAX && id_char(text[length]))
        length++;
    return text[length] == '\0' && length <= SB_ID_MAX;
}

/* Lower-case digits only (section 3.2.2), and not all of them 0. */
static bool hex_field(const char *text, size_t length)
{
    bool all_zero = true;
    for (size_t i = 0; i < length; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
        all_zero = all_zero && text[i] == '0';
    }
    return !all_zero;
}

/* version "-" trace-id "-" parent-id "-" flags; a later version may append "-...". */
static bool traceparent_valid(const char *header)
{
    size_t length = strnlen(header, 256);
    if (length < 55 || header[2] != '-' || header[35] != '-' || header[52] != '-')
        return false;
    bool version_00 = memcmp(header, "00", 2) == 0;
    if (version_00 ? length != 55 : length > 55 && header[55] != '-')
        return false;
    bool version = version_00 || (hex_field(header, 2) && memcmp(header, "ff", 2) != 0);
    bool flags = memcmp(header + 53, "00", 2) == 0 || hex_field(header + 53, 2);
    return version && flags && hex_field(header + 3, 32) && hex_field(header + 36, 16);
}

void sb_trace_id(const char *traceparent, char trace_id[static SB_TRACE_ID_SIZE])
{
    if (traceparent != NULL && traceparent_valid(traceparent)) {
        memcpy(trace_id, traceparent + 3, 32);
        trace_id[32] = '\0';
        return;
    }
    unsigned char random[16];
    do {
        sb_random(random, sizeof random);
        sb_hex(random, sizeof random, trace_id);
    } while (!hex_field(trace_id, 32));
}
