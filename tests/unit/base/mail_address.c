#include "base/mail_address.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/error.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10

Test(mail_address, takes_ordinary_addresses)
{
    static const char *const rows[] = {"ann@example.com",
                                       "a@b.c",
                                       "first.last+tag@mail.example-site.co.uk",
                                       "o'brien@example.com",
                                       "x_=!#$%&*/?^`{|}~-@1.2x",
                                       A60 "aaaa@example.com",
                                       "a@" A60 "aaa.com"};
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect(sb_mail_address_valid(rows[i]), "%s", rows[i]);
}

Test(mail_address, refuses_everything_else)
{
    static const char *const rows[] = {"",
                                       "ann",
                                       "@example.com",
                                       "ann@",
                                       "ann@example",
                                       "ann@.com",
                                       "ann@example.",
                                       "ann@example..com",
                                       "ann@-example.com",
                                       "ann@example-.com",
                                       ".ann@example.com",
                                       "ann.@example.com",
                                       "a..n@example.com",
                                       "ann@bob@example.com",
                                       "ann @example.com",
                                       "ann@exam ple.com",
                                       "Ann <ann@example.com>",
                                       "\"ann\"@example.com",
                                       "ann@[192.0.2.1]",
                                       "ann@example.com\r\nBcc: eve@example.com",
                                       "ann@example.com\n",
                                       "ann\r\n@example.com",
                                       "ann,bob@example.com",
                                       "ann;bob@example.com",
                                       "\xc3\xa4nn@example.com",
                                       "ann@ex\xc3\xa4mple.com",
                                       A60 "aaaaa@example.com",
                                       "a@" A60 "aaaa.com"};
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect_not(sb_mail_address_valid(rows[i]), "%s", rows[i]);
    cr_expect_not(sb_mail_address_valid(NULL));
}

Test(mail_address, has_254_bytes_at_most)
{
    static const char longest[] =
        A10 "@" A60 "." A60 "." A60 "." A10 A10 A10 A10 A10 ".aaaaaaa"; /* 10+1+183+50+8 = 252 */
    char text[300];
    memcpy(text, longest, sizeof longest);
    size_t length = strlen(text);
    for (; length < SB_MAIL_ADDRESS_MAX; length++)
        text[length] = 'b';
    text[length] = '\0';
    cr_expect(sb_mail_address_valid(text));
    text[length] = 'b';
    text[length + 1] = '\0';
    cr_expect_not(sb_mail_address_valid(text));
}
