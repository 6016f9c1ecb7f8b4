/* Internet addresses and the networks they belong to (RFC 4291, RFC 4632). */
#ifndef SB_BASE_CIDR_H
#define SB_BASE_CIDR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Every address is kept as IPv6; IPv4 as ::ffff:a.b.c.d, and a v4-mapped IPv6 address is the same
 * address (folded). */
struct sb_address {
    unsigned char bytes[16];
};

struct sb_cidr {
    struct sb_address network;
    unsigned prefix; /* bits of the 128 that count */
};

/* Parses the first length bytes of text: IPv4 or IPv6, no brackets, port, zone or white space. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_address_parse(const char *text, size_t length,
                                                   struct sb_address *address);

/* Parses "ADDRESS" or "ADDRESS/PREFIX"; host bits beyond the prefix must be 0. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_cidr_parse(const char *text, struct sb_cidr *cidr);

SB_NONNULL_ALL bool sb_cidr_contains(const struct sb_cidr *cidr, const struct sb_address *address);

/* The network a client is counted under: IPv4 whole, IPv6 by its /64 (one subscriber). */
SB_NONNULL_ALL struct sb_address sb_address_subscriber(const struct sb_address *address);

/* The usual text of address (IPv4 in dotted form) into text, which holds 46 bytes. */
SB_NONNULL_ALL void sb_address_format(const struct sb_address *address, char text[static 46]);

#endif
