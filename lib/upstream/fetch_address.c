#include "upstream/fetch_address.h"

enum range { ANY, PUBLIC, LOCAL, LOOPBACK, NONE };

static const struct rule {
    enum range tls, clear;
} rules[] = {
    [SB_FETCH_CONFIGURED] = {ANY, LOCAL},
    [SB_FETCH_CONFIGURED_LOOPBACK] = {ANY, LOOPBACK},
    [SB_FETCH_CONFIGURED_TLS] = {ANY, NONE},
    [SB_FETCH_PUBLIC] = {PUBLIC, NONE},
};

static const char *const loopback[] = {"127.0.0.0/8", "::1/128", NULL};
/* RFC 1918, RFC 4193. Not 169.254.0.0/16, where clouds keep their machines' credentials. */
static const char *const private[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7",
                                      NULL};

/* The registries of special-purpose addresses (RFC 6890, as kept by IANA). What carries an IPv4
 * address inside (6to4, Teredo, NAT64) could name a private one. */
static const char *const special_v4[] = {"0.0.0.0/8",
                                         "10.0.0.0/8",
                                         "100.64.0.0/10",
                                         "127.0.0.0/8",
                                         "169.254.0.0/16",
                                         "172.16.0.0/12",
                                         "192.0.0.0/24",
                                         "192.0.2.0/24",
                                         "192.31.196.0/24",
                                         "192.52.193.0/24",
                                         "192.88.99.0/24",
                                         "192.168.0.0/16",
                                         "192.175.48.0/24",
                                         "198.18.0.0/15",
                                         "198.51.100.0/24",
                                         "203.0.113.0/24",
                                         "224.0.0.0/4",
                                         "240.0.0.0/4",
                                         NULL};
static const char *const special_v6[] = {"2001::/23",         "2001:db8::/32", "2002::/16",
                                         "2620:4f:8000::/48", "3fff::/20",     NULL};
static const char *const all_v4[] = {"0.0.0.0/0", NULL};
static const char *const global_v6[] = {"2000::/3", NULL}; /* RFC 4291 section 2.4, as assigned */

static bool in(const char *const *networks, const struct sb_address *address)
{
    for (; *networks != NULL; networks++) {
        struct sb_cidr cidr;
        if (sb_cidr_parse(*networks, &cidr) && sb_cidr_contains(&cidr, address))
            return true;
    }
    return false;
}

static bool is_public(const struct sb_address *address)
{
    if (in(all_v4, address)) /* v4-mapped ones, too */
        return !in(special_v4, address);
    return in(global_v6, address) && !in(special_v6, address);
}

static enum range range_of(enum sb_fetch_peers peers, bool tls)
{
    if (peers < SB_FETCH_CONFIGURED || peers > SB_FETCH_PUBLIC)
        return NONE;
    return tls ? rules[peers].tls : rules[peers].clear;
}

bool sb_fetch_scheme_allowed(enum sb_fetch_peers peers, bool tls)
{
    return range_of(peers, tls) != NONE;
}

bool sb_fetch_address_allowed(enum sb_fetch_peers peers, bool tls, const struct sb_address *address)
{
    switch (range_of(peers, tls)) {
    case ANY:
        return true;
    case PUBLIC:
        return is_public(address);
    case LOCAL:
        return in(loopback, address) || in(private, address);
    case LOOPBACK:
        return in(loopback, address);
    case NONE:
        break;
    }
    return false;
}
