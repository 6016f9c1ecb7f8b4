#include "upstream/fetch_address.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(fetch_address);

/* What each kind of address is to each kind of peers: y is allowed, n is not. */
static const struct row {
    const char *address;
    char public_tls, configured_clear, loopback_clear;
} rows[] = {
    {"8.8.8.8", 'y', 'n', 'n'},
    {"9.255.255.255", 'y', 'n', 'n'},
    {"11.0.0.0", 'y', 'n', 'n'},
    {"100.63.255.255", 'y', 'n', 'n'},
    {"100.128.0.0", 'y', 'n', 'n'},
    {"126.255.255.255", 'y', 'n', 'n'},
    {"128.0.0.0", 'y', 'n', 'n'},
    {"172.15.255.255", 'y', 'n', 'n'},
    {"172.32.0.0", 'y', 'n', 'n'},
    {"192.167.255.255", 'y', 'n', 'n'},
    {"192.169.0.0", 'y', 'n', 'n'},
    {"198.17.255.255", 'y', 'n', 'n'},
    {"198.20.0.0", 'y', 'n', 'n'},
    {"223.255.255.255", 'y', 'n', 'n'},
    {"2606:4700::1111", 'y', 'n', 'n'},
    {"2a00:1450:4001::1", 'y', 'n', 'n'},
    {"::ffff:8.8.8.8", 'y', 'n', 'n'},
    /* loopback */
    {"127.0.0.0", 'n', 'y', 'y'},
    {"127.0.0.1", 'n', 'y', 'y'},
    {"127.255.255.255", 'n', 'y', 'y'},
    {"::1", 'n', 'y', 'y'},
    {"::ffff:127.0.0.1", 'n', 'y', 'y'},
    /* private */
    {"10.0.0.1", 'n', 'y', 'n'},
    {"10.255.255.255", 'n', 'y', 'n'},
    {"172.16.0.1", 'n', 'y', 'n'},
    {"172.31.255.255", 'n', 'y', 'n'},
    {"192.168.0.1", 'n', 'y', 'n'},
    {"::ffff:192.168.0.1", 'n', 'y', 'n'},
    {"fc00::1", 'n', 'y', 'n'},
    {"fdff:ffff::1", 'n', 'y', 'n'},
    /* neither */
    {"0.0.0.0", 'n', 'n', 'n'},
    {"0.1.2.3", 'n', 'n', 'n'},
    {"100.64.0.1", 'n', 'n', 'n'},
    {"100.127.255.255", 'n', 'n', 'n'},
    {"169.254.169.254", 'n', 'n', 'n'},
    {"192.0.0.192", 'n', 'n', 'n'},
    {"192.0.2.1", 'n', 'n', 'n'},
    {"192.31.196.1", 'n', 'n', 'n'},
    {"192.52.193.1", 'n', 'n', 'n'},
    {"192.88.99.1", 'n', 'n', 'n'},
    {"192.175.48.1", 'n', 'n', 'n'},
    {"198.18.0.1", 'n', 'n', 'n'},
    {"198.19.255.255", 'n', 'n', 'n'},
    {"198.51.100.1", 'n', 'n', 'n'},
    {"203.0.113.1", 'n', 'n', 'n'},
    {"224.0.0.1", 'n', 'n', 'n'},
    {"239.255.255.255", 'n', 'n', 'n'},
    {"240.0.0.1", 'n', 'n', 'n'},
    {"255.255.255.255", 'n', 'n', 'n'},
    {"::", 'n', 'n', 'n'},
    {"::8.8.8.8", 'n', 'n', 'n'},
    {"::ffff:169.254.169.254", 'n', 'n', 'n'},
    {"64:ff9b::808:808", 'n', 'n', 'n'},
    {"64:ff9b:1::1", 'n', 'n', 'n'},
    {"100::1", 'n', 'n', 'n'},
    {"2001::1", 'n', 'n', 'n'},
    {"2001:1ff::1", 'n', 'n', 'n'},
    {"2001:db8::1", 'n', 'n', 'n'},
    {"2002:7f00:1::1", 'n', 'n', 'n'},
    {"2620:4f:8000::1", 'n', 'n', 'n'},
    {"3fff::1", 'n', 'n', 'n'},
    {"4000::1", 'n', 'n', 'n'},
    {"5f00::1", 'n', 'n', 'n'},
    {"fe00::1", 'n', 'n', 'n'},
    {"fe80::1", 'n', 'n', 'n'},
    {"fec0::1", 'n', 'n', 'n'},
    {"ff02::1", 'n', 'n', 'n'},
};

static struct sb_address parsed(const char *text)
{
    struct sb_address address;
    cr_assert(sb_address_parse(text, strlen(text), &address), "%s", text);
    return address;
}

Test(fetch_address, a_users_url_reaches_public_addresses_alone)
{
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        struct sb_address address = parsed(rows[i].address);
        cr_expect_eq(sb_fetch_address_allowed(SB_FETCH_PUBLIC, true, &address),
                     rows[i].public_tls == 'y', "%s", rows[i].address);
    }
}

Test(fetch_address, clear_text_of_the_configuration_stays_on_loopback_and_private_networks)
{
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        struct sb_address address = parsed(rows[i].address);
        cr_expect_eq(sb_fetch_address_allowed(SB_FETCH_CONFIGURED, false, &address),
                     rows[i].configured_clear == 'y', "%s", rows[i].address);
        cr_expect_eq(sb_fetch_address_allowed(SB_FETCH_CONFIGURED_LOOPBACK, false, &address),
                     rows[i].loopback_clear == 'y', "%s", rows[i].address);
    }
}

Test(fetch_address, tls_of_the_configuration_reaches_every_address)
{
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        struct sb_address address = parsed(rows[i].address);
        cr_expect(sb_fetch_address_allowed(SB_FETCH_CONFIGURED, true, &address));
        cr_expect(sb_fetch_address_allowed(SB_FETCH_CONFIGURED_LOOPBACK, true, &address));
        cr_expect(sb_fetch_address_allowed(SB_FETCH_CONFIGURED_TLS, true, &address));
    }
}

Test(fetch_address, clear_text_is_never_for_users_urls_nor_where_tls_is_demanded)
{
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        struct sb_address address = parsed(rows[i].address);
        cr_expect_not(sb_fetch_address_allowed(SB_FETCH_PUBLIC, false, &address));
        cr_expect_not(sb_fetch_address_allowed(SB_FETCH_CONFIGURED_TLS, false, &address));
    }
    cr_expect_not(sb_fetch_scheme_allowed(SB_FETCH_PUBLIC, false));
    cr_expect_not(sb_fetch_scheme_allowed(SB_FETCH_CONFIGURED_TLS, false));
    cr_expect(sb_fetch_scheme_allowed(SB_FETCH_CONFIGURED, false));
    cr_expect(sb_fetch_scheme_allowed(SB_FETCH_CONFIGURED_LOOPBACK, false));
    cr_expect(sb_fetch_scheme_allowed(SB_FETCH_PUBLIC, true));
}

Test(fetch_address, peers_that_are_not_said_are_none)
{
    struct sb_address address = parsed("8.8.8.8");
    cr_expect_not(sb_fetch_address_allowed(0, true, &address));
    cr_expect_not(sb_fetch_address_allowed(SB_FETCH_PUBLIC + 1, true, &address));
    cr_expect_not(sb_fetch_scheme_allowed(0, true));
}
