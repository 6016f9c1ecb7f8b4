/* Networks of TRUST_PROXY and addresses of X-Forwarded-For. */
#include "base/cidr.h"

#include <string.h>

#include "support/fuzz.h"

enum { TEXT_MAX = 256 };

static void check_address(const char *text, size_t length)
{
    struct sb_address address, again;
    char formatted[46];
    if (!sb_address_parse(text, length, &address))
        return;
    FUZZ_REQUIRE(memchr(text, '\0', length) == NULL && memchr(text, '/', length) == NULL);
    sb_address_format(&address, formatted);
    FUZZ_REQUIRE(sb_address_parse(formatted, strlen(formatted), &again));
    FUZZ_REQUIRE(memcmp(&address, &again, sizeof address) == 0);
    struct sb_address subscriber = sb_address_subscriber(&address);
    struct sb_address twice = sb_address_subscriber(&subscriber);
    FUZZ_REQUIRE(memcmp(&subscriber, &twice, sizeof twice) == 0);
    struct sb_cidr whole;
    FUZZ_REQUIRE(sb_cidr_parse(formatted, &whole) && whole.prefix == 128);
    FUZZ_REQUIRE(sb_cidr_contains(&whole, &address));
}

static void check_cidr(const char *text)
{
    struct sb_cidr cidr, again;
    char formatted[46], whole[64];
    if (!sb_cidr_parse(text, &cidr))
        return;
    FUZZ_REQUIRE(cidr.prefix <= 128);
    FUZZ_REQUIRE(sb_cidr_contains(&cidr, &cidr.network));
    sb_address_format(&cidr.network, formatted);
    unsigned base = strchr(formatted, ':') == NULL ? 96 : 0;
    FUZZ_REQUIRE(cidr.prefix >= base);
    snprintf(whole, sizeof whole, "%s/%u", formatted, cidr.prefix - base);
    FUZZ_REQUIRE(sb_cidr_parse(whole, &again));
    FUZZ_REQUIRE(again.prefix == cidr.prefix);
    FUZZ_REQUIRE(memcmp(&again.network, &cidr.network, sizeof again.network) == 0);
    if (cidr.prefix < 128) { /* the last bit is free, the last of the prefix is not */
        struct sb_address other = cidr.network;
        other.bytes[15] ^= 1;
        FUZZ_REQUIRE(sb_cidr_contains(&cidr, &other));
    }
    if (cidr.prefix > 0) {
        struct sb_address other = cidr.network;
        unsigned bit = cidr.prefix - 1;
        other.bytes[bit / 8] = (unsigned char)(other.bytes[bit / 8] ^ (0x80 >> bit % 8));
        FUZZ_REQUIRE(!sb_cidr_contains(&cidr, &other));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX];
    check_address((const char *)data, size);
    if (size < sizeof text) {
        memcpy(text, data, size);
        text[size] = '\0';
        check_cidr(text);
    }
    return 0;
}
