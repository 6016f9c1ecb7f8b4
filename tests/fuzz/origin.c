/* Origins of the configuration and of the Origin header. */
#include "base/origin.h"

#include <stdbool.h>
#include <string.h>

#include "support/fuzz.h"

enum { TEXT_MAX = 512, ORIGIN_MAX = 267 };

static bool valid_with(const char *text, const char *behind)
{
    char longer[TEXT_MAX + 16];
    snprintf(longer, sizeof longer, "%s%s", text, behind);
    return sb_origin_valid(longer);
}

static void check_valid(const char *text)
{
    bool https = strncmp(text, "https://", 8) == 0;
    FUZZ_REQUIRE(https || strncmp(text, "http://", 7) == 0);
    FUZZ_REQUIRE(strlen(text) <= ORIGIN_MAX);
    const char *host = text + (https ? 8 : 7);
    FUZZ_REQUIRE(*host != '\0');
    /* Nothing that could end a header or a CSP source, or carry a user, path, query or fragment. */
    FUZZ_REQUIRE(host[strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]")] == '\0');
    const char *behind_host = *host == '[' ? strchr(host, ']') : host;
    FUZZ_REQUIRE(behind_host != NULL);
    const char *port = strchr(behind_host, ':');
    FUZZ_REQUIRE(port == NULL || strcmp(port, https ? ":443" : ":80") != 0);
    static const char *const suffixes[] = {"/", "?", "#", " ", "\n", "@x", "A", ":1:1", ":", ",x"};
    for (size_t i = 0; i < SB_COUNT(suffixes); i++)
        FUZZ_REQUIRE(!valid_with(text, suffixes[i]));
    if (port == NULL && strlen(text) <= ORIGIN_MAX - 5) {
        FUZZ_REQUIRE(valid_with(text, https ? ":80" : ":443"));
        FUZZ_REQUIRE(!valid_with(text, https ? ":443" : ":80"));
        FUZZ_REQUIRE(!valid_with(text, ":0") && !valid_with(text, ":65536"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX];
    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (sb_origin_valid(text))
        check_valid(text);
    return 0;
}
