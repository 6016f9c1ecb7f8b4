#include "base/cidr.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static bool is_v4(const struct sb_address *address)
{
    return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

bool sb_address_parse(const char *text, size_t length, struct sb_address *address)
{
    char copy[INET6_ADDRSTRLEN];
    if (length == 0 || length >= sizeof copy || memchr(text, '\0', length) != NULL)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    struct sb_address parsed;
    memcpy(parsed.bytes, mapped, sizeof mapped);
    if (inet_pton(AF_INET, copy, parsed.bytes + sizeof mapped) != 1 &&
        inet_pton(AF_INET6, copy, parsed.bytes) != 1)
        return false;
    *address = parsed;
    return true;
}

static void mask(struct sb_address *address, unsigned prefix)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = prefix > i * 8 ? prefix - i * 8 : 0;
        if (keep < 8)
            address->bytes[i] &= (unsigned char)(0xFF00u >> keep);
    }
}

bool sb_cidr_parse(const char *text, struct sb_cidr *cidr)
{
    const char *slash = strchr(text, '/');
    size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
    struct sb_cidr parsed = {.prefix = 128};
    if (!sb_address_parse(text, length, &parsed.network))
        return false;
    if (slash != NULL) {
        size_t digits = strspn(slash + 1, "0123456789");
        if (digits == 0 || digits > 3 || slash[1 + digits] != '\0')
            return false;
        unsigned base = memchr(text, ':', length) == NULL ? 96 : 0;
        parsed.prefix = base + (unsigned)strtoul(slash + 1, NULL, 10);
        if (parsed.prefix > 128)
            return false;
    }
    struct sb_address network = parsed.network;
    mask(&network, parsed.prefix);
    if (memcmp(&network, &parsed.network, sizeof network) != 0)
        return false;
    *cidr = parsed;
    return true;
}

bool sb_cidr_contains(const struct sb_cidr *cidr, const struct sb_address *address)
{
    struct sb_address network = *address;
    mask(&network, cidr->prefix);
    return memcmp(&network, &cidr->network, sizeof network) == 0;
}

struct sb_address sb_address_subscriber(const struct sb_address *address)
{
    struct sb_address network = *address;
    if (!is_v4(address))
        mask(&network, 64);
    return network;
}

void sb_address_format(const struct sb_address *address, char text[static 46])
{
    if (is_v4(address))
        inet_ntop(AF_INET, address->bytes + sizeof mapped, text, 46);
    else
        inet_ntop(AF_INET6, address->bytes, text, 46);
}
