#include "base/origin.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(origin, accepts_serialised_http_origins)
{
    static const char *const rows[] = {
        "https://example.com",      "http://example.com",     "https://www.example.com:8443",
        "http://localhost:3000",    "http://localhost",       "https://127.0.0.1:1",
        "https://[2001:db8::1]",    "http://[::1]:65535",     "https://xn--bcher-kva.example",
        "https://a_b.example.com",  "http://example.com:443", "https://example.com:80",
        "https://[::ffff:1.2.3.4]",
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect(sb_origin_valid(rows[i]), "%s", rows[i]);
}

Test(origin, refuses_everything_else)
{
    static const char *const rows[] = {
        "",
        "null",
        "*",
        "example.com",
        "//example.com",
        "https://",
        "https:///",
        "https:",
        "https:/example.com",
        "ftp://example.com",
        "file://",
        "ws://example.com",
        "HTTPS://example.com",
        "https://Example.com",
        "https://example.com/",
        "https://example.com/path",
        "https://example.com?q",
        "https://example.com#f",
        "https://user@example.com",
        "https://user:pw@example.com",
        "https://example.com:",
        "https://example.com:443",
        "http://example.com:80",
        "https://example.com:0",
        "https://example.com:080",
        "https://example.com:65536",
        "https://example.com:123456",
        "https://example.com:-1",
        "https://example.com:8443/",
        "https://example.com:8443x",
        "https://*.example.com",
        " https://example.com",
        "https://example.com ",
        "https://example.com\n",
        "https://exam ple.com",
        "https://b\xC3\xBC"
        "cher.example",
        "https://[::1",
        "https://[]",
        "https://[::1]x",
        "https://[::G]",
        "https://::1",
        "https://[...]",
        "https://[12]",
        "https://[1.2.3.4]",
        "https://[::1%25eth0]",
        "https://[1::2::3]",
        "https://a,https://b",
        "https://example.com:8443:8443",
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect_not(sb_origin_valid(rows[i]), "%s", rows[i]);
}

Test(origin, takes_267_bytes_and_no_more)
{
    char text[300];
    for (int host = 250; host <= 256; host++) {
        int length = snprintf(text, sizeof text, "https://%0*d:65535", host, 0);
        cr_expect_eq(sb_origin_valid(text), length <= 267, "%d bytes", length);
    }
}
