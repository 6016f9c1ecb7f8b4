#include "base/cidr.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sb_address address(const char *text)
{
    struct sb_address parsed;
    cr_assert(sb_address_parse(text, strlen(text), &parsed), "%s", text);
    return parsed;
}

Test(address, accepts_and_formats_in_the_usual_way)
{
    static const char *const rows[][2] = {
        {"0.0.0.0", "0.0.0.0"},
        {"192.0.2.1", "192.0.2.1"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"2001:db8::1:2:3:4:5", "2001:db8:0:1:2:3:4:5"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::FFFF:c000:201", "192.0.2.1"},
        {"0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"},
        {"::192.0.2.1", "::192.0.2.1"}, /* v4-compatible, not v4-mapped */
        {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        char text[46];
        struct sb_address parsed = address(rows[i][0]);
        sb_address_format(&parsed, text);
        cr_expect_str_eq(text, rows[i][1], "%s gives %s", rows[i][0], text);
    }
}

Test(address, refuses_what_is_none_and_leaves_the_result_alone)
{
    static const char *const rows[] = {
        "",          " ",          "1",
        "1.2.3",     "1.2.3.4.5",  "256.0.0.1",
        "1.2.3.4 ",  " 1.2.3.4",   "1.2.3.4:80",
        "010.0.0.1", "0x7f.0.0.1", "1.2.3.-4",
        "[::1]",     "[::1]:80",   "fe80::1%eth0",
        ":::",       "1::2::3",    "2001:db8",
        "12345::",   "g::1",       "localhost",
        "1.2.3.4/8", "1,2",        "0000:0000:0000:0000:0000:0000:0000:0000:000000",
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        struct sb_address parsed;
        memset(&parsed, 0xA5, sizeof parsed);
        struct sb_address before = parsed;
        cr_expect_not(sb_address_parse(rows[i], strlen(rows[i]), &parsed), "\"%s\"", rows[i]);
        cr_expect_eq(memcmp(&parsed, &before, sizeof parsed), 0, "\"%s\"", rows[i]);
    }
}

Test(address, reads_no_further_than_its_length)
{
    struct sb_address parsed, expected = address("10.0.0.1");
    cr_assert(sb_address_parse("10.0.0.12, 192.0.2.1", 8, &parsed));
    cr_assert_eq(memcmp(&parsed, &expected, sizeof parsed), 0);
}

Test(address, refuses_a_nul_within_its_length)
{
    struct sb_address parsed;
    cr_assert_not(sb_address_parse("10.0.0.1\0.evil", 14, &parsed));
}

Test(address, a_mapped_address_is_the_ipv4_address)
{
    struct sb_address plain = address("198.51.100.7"), mapped = address("::ffff:198.51.100.7");
    cr_assert_eq(memcmp(&plain, &mapped, sizeof plain), 0);
}

Test(address, the_subscriber_is_an_ipv4_address_or_an_ipv6_64)
{
    static const char *const rows[][2] = {
        {"192.0.2.255", "192.0.2.255"},
        {"::ffff:192.0.2.255", "192.0.2.255"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
        {"2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"},
        {"::1", "::"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        char text[46];
        struct sb_address parsed = address(rows[i][0]);
        struct sb_address network = sb_address_subscriber(&parsed);
        sb_address_format(&network, text);
        cr_expect_str_eq(text, rows[i][1], "%s gives %s", rows[i][0], text);
    }
}

Test(cidr, contains_exactly_its_network)
{
    static const struct {
        const char *cidr, *address;
        bool inside;
    } rows[] = {
        {"10.0.0.0/8", "10.0.0.0", true},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "9.255.255.255", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"10.0.0.0/8", "::10.1.2.3", false},
        {"10.0.0.0/8", "a00::", false},
        {"172.16.0.0/12", "172.31.255.255", true},
        {"172.16.0.0/12", "172.32.0.0", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"192.0.2.7/32", "192.0.2.7", true},
        {"192.0.2.6/31", "192.0.2.7", true},
        {"192.0.2.6/31", "192.0.2.8", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "::1", true},
        {"::/0", "203.0.113.9", true},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"fe80::/10", "febf::1", true},
        {"fe80::/10", "fec0::1", false},
        {"2001:db8::1/128", "2001:db8::1", true},
        {"2001:db8::1/128", "2001:db8::2", false},
        {"2001:db8::1", "2001:db8::1", true},
        {"2001:db8::/127", "2001:db8::1", true},
        {"2001:db8::/127", "2001:db8::2", false},
        {"::ffff:10.0.0.0/104", "10.200.0.1", true},
        {"::ffff:10.0.0.0/104", "11.0.0.1", false},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        struct sb_cidr cidr;
        struct sb_address inside = address(rows[i].address);
        cr_assert(sb_cidr_parse(rows[i].cidr, &cidr), "%s", rows[i].cidr);
        cr_expect_eq(sb_cidr_contains(&cidr, &inside), rows[i].inside, "%s in %s", rows[i].address,
                     rows[i].cidr);
    }
}

Test(cidr, refuses_bad_prefixes_and_host_bits)
{
    static const char *const rows[] = {
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/ 8",
        "10.0.0.0/8 ",
        "10.0.0.0/8x",
        "10.0.0.0/0008",
        "10.0.0.0/8/8",
        "10.0.0.1/8",
        "10.0.0.1/31",
        "0.0.0.1/0",
        "128.0.0.0/0",
        "::/129",
        "::/999",
        "::1/0",
        "::1/127",
        "8000::/0",
        "2001:db8::1/64",
        "::ffff:10.0.0.0/8",
        "10/8",
        "10.0.0.0/255.0.0.0",
        "localhost/8",
        "fe80::%eth0/10",
        "10.0.0.0/4294967304",
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        struct sb_cidr cidr, before;
        memset(&before, 0xA5, sizeof before);
        cidr = before;
        cr_expect_not(sb_cidr_parse(rows[i], &cidr), "\"%s\"", rows[i]);
        cr_expect_eq(memcmp(&cidr, &before, sizeof cidr), 0, "\"%s\"", rows[i]);
    }
}

Test(cidr, every_prefix_has_exactly_its_bits)
{
    for (unsigned prefix = 0; prefix <= 128; prefix++) {
        struct sb_cidr cidr = {.prefix = prefix};
        for (unsigned bit = 0; bit < 128; bit++) {
            struct sb_address one_bit = {{0}};
            one_bit.bytes[bit / 8] = (unsigned char)(0x80 >> bit % 8);
            cr_assert_eq(sb_cidr_contains(&cidr, &one_bit), bit >= prefix, "/%u, bit %u", prefix,
                         bit);
        }
    }
}
