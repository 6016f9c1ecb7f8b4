#include "http/client_address.h"

#include <criterion/criterion.h>
#include <string.h>

enum { NETWORKS_MAX = 4 };

static const char *client(const char *const *networks, const char *remote, const char *forwarded)
{
    static char text[46];
    struct sb_cidr items[NETWORKS_MAX];
    struct sb_cidrs trusted = {items, 0};
    for (; networks[trusted.count] != NULL; trusted.count++)
        cr_assert(sb_cidr_parse(networks[trusted.count], &items[trusted.count]));
    struct sb_address address = sb_client_address(&trusted, remote, forwarded);
    sb_address_format(&address, text);
    return text;
}

struct row {
    const char *remote, *forwarded, *client;
};

static void check(const char *const *networks, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_expect_str_eq(client(networks, rows[i].remote, rows[i].forwarded), rows[i].client,
                         "%s behind %s is %s", rows[i].forwarded, rows[i].remote, rows[i].client);
}

#define CHECK(networks, rows) check((networks), (rows), SB_COUNT(rows))

static const char *const nobody[] = {NULL};
static const char *const lan[] = {"10.0.0.0/8", "127.0.0.1", "2001:db8::/32", NULL};
static const char *const everybody[] = {"0.0.0.0/0", "::/0", NULL};

Test(client_address, without_trusted_proxies_the_header_is_not_looked_at)
{
    static const struct row rows[] = {
        {"192.0.2.1", NULL, "192.0.2.1"},
        {"192.0.2.1", "198.51.100.1", "192.0.2.1"},
        {"127.0.0.1", "198.51.100.1", "127.0.0.1"},
        {"2001:db8::1", "198.51.100.1", "2001:db8::1"},
    };
    CHECK(nobody, rows);
}

Test(client_address, an_untrusted_remote_is_the_client_whatever_it_says)
{
    static const struct row rows[] = {
        {"192.0.2.1", "10.0.0.1", "192.0.2.1"},
        {"11.0.0.1", "198.51.100.1, 10.0.0.1", "11.0.0.1"},
        {"2001:db9::1", "198.51.100.1", "2001:db9::1"},
    };
    CHECK(lan, rows);
}

Test(client_address, the_walk_goes_from_the_right_as_far_as_trust_goes)
{
    static const struct row rows[] = {
        {"10.0.0.1", "198.51.100.1", "198.51.100.1"},
        {"10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"},
        {"10.0.0.1", "198.51.100.1,10.0.0.2,10.0.0.3", "198.51.100.1"},
        {"10.0.0.1", "  198.51.100.1\t,\t 10.0.0.2  ", "198.51.100.1"},
        {"127.0.0.1", "2001:db8::5, 10.0.0.2", "2001:db8::5"},
        {"10.0.0.1", "2001:db9::5, 2001:db8::2", "2001:db9::5"},
        {"10.0.0.1", "10.0.0.9, 10.0.0.2", "10.0.0.9"}, /* all trusted: the leftmost */
        {"10.0.0.1", NULL, "10.0.0.1"},
        {"10.0.0.1", "", "10.0.0.1"},
    };
    CHECK(lan, rows);
}

Test(client_address, what_a_client_puts_on_the_left_changes_nothing)
{
    static const struct row rows[] = {
        {"10.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"},
        {"10.0.0.1", "10.0.0.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
        {"10.0.0.1", "garbage, 198.51.100.1", "198.51.100.1"},
        {"10.0.0.1", ",,,, 198.51.100.1", "198.51.100.1"},
        {"10.0.0.1", "203.0.113.1, 203.0.113.2, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
    };
    CHECK(lan, rows);
}

Test(client_address, an_element_that_is_no_address_ends_the_walk_at_what_is_right_of_it)
{
    static const struct row rows[] = {
        {"10.0.0.1", "unknown", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"},
        {"10.0.0.1", "198.51.100.1, 10.0.0.2,", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.1,, 10.0.0.2", "10.0.0.2"},
        {"10.0.0.1", "198.51.100.1:4711", "10.0.0.1"},
        {"10.0.0.1", "[2001:db8::5]", "10.0.0.1"},
        {"10.0.0.1", "\"198.51.100.1\"", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.1 10.0.0.2", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.256", "10.0.0.1"},
        {"10.0.0.1", "198.51.100", "10.0.0.1"},
        {"10.0.0.1", "fe80::1%eth0", "10.0.0.1"},
        {"10.0.0.1", ",", "10.0.0.1"},
        {"10.0.0.1", "   ", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.1\r", "10.0.0.1"},
        {"10.0.0.1", "1111:2222:3333:4444:5555:6666:7777:8888:9999", "10.0.0.1"},
    };
    CHECK(lan, rows);
}

Test(client_address, v4_mapped_addresses_are_the_v4_addresses_they_hold)
{
    static const struct row rows[] = {
        {"::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"},
        {"10.0.0.1", "198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"},
        {"10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"},
        {"::ffff:192.0.2.1", "198.51.100.1", "192.0.2.1"},
    };
    CHECK(lan, rows);
}

Test(client_address, where_everybody_is_trusted_the_leftmost_is_the_client)
{
    static const struct row rows[] = {
        {"192.0.2.1", "198.51.100.1, 203.0.113.2, 10.0.0.2", "198.51.100.1"},
        {"192.0.2.1", "x, 203.0.113.2, 10.0.0.2", "203.0.113.2"},
        {"192.0.2.1", "2001:db9::1, ::1", "2001:db9::1"},
    };
    CHECK(everybody, rows);
}

Test(client_address, a_remote_that_is_no_address_is_the_unspecified_one_and_not_trusted)
{
    static const struct row rows[] = {
        {NULL, NULL, "::"},
        {NULL, "198.51.100.1", "::"},
        {"", "198.51.100.1", "::"},
        {"unix:", "198.51.100.1", "::"},
        {"localhost", "198.51.100.1", "::"},
    };
    CHECK(lan, rows);
    CHECK(everybody, rows);
}
