#include "upstream/mail.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/crypto.h"

static struct sb_arena *arena;
static struct sb_buf out;

static void set_up(void)
{
    arena = sb_arena_new(4 * 1024 * 1024);
    sb_buf_init(&out, arena, SB_MAIL_MAX);
    sb_buf_add_text(&out, "");
}

static void tear_down(void)
{
    sb_arena_free(arena);
}

TestSuite(mail, .init = set_up, .fini = tear_down);

/* An ordinary mail, to be changed in one thing. */
static struct sb_mail ordinary(void)
{
    return (struct sb_mail){.id = "mail_1",
                            .from = "switchboard@example.com",
                            .to = "sales@example.org",
                            .subject = "New lead",
                            .text = "Hello",
                            .date_ms = 1795241868000}; /* 2026-11-21T06:17:48Z, a Saturday */
}

static const char *formatted(const struct sb_mail *mail)
{
    cr_assert(sb_mail_format(arena, &out, mail));
    cr_assert(sb_buf_ok(&out));
    return out.data;
}

Test(mail, is_a_message_of_plain_text)
{
    struct sb_mail mail = ordinary();
    mail.reply_to = "ann@example.net";
    cr_assert_str_eq(formatted(&mail), "Date: Sat, 21 Nov 2026 06:17:48 +0000\r\n"
                                       "From: <switchboard@example.com>\r\n"
                                       "To: <sales@example.org>\r\n"
                                       "Reply-To: <ann@example.net>\r\n"
                                       "Subject: New lead\r\n"
                                       "Message-ID: <mail_1@example.com>\r\n"
                                       "MIME-Version: 1.0\r\n"
                                       "Content-Type: text/plain; charset=utf-8\r\n"
                                       "Content-Transfer-Encoding: base64\r\n"
                                       "Auto-Submitted: auto-generated\r\n"
                                       "\r\n"
                                       "SGVsbG8NCg==\r\n");
}

Test(mail, without_a_reply_address_has_no_such_line)
{
    struct sb_mail mail = ordinary();
    cr_assert_null(strstr(formatted(&mail), "Reply-To"));
}

Test(mail, ends_every_line_of_the_text_with_crlf)
{
    struct sb_mail mail = ordinary();
    mail.text = "a\nb\r\nc\rd\n\n";
    const char *expected = sb_base64(arena, "a\r\nb\r\nc\r\nd\r\n\r\n", 14);
    cr_assert_not_null(strstr(formatted(&mail), expected), "%s", out.data);
}

Test(mail, has_short_lines_of_ascii_whatever_the_text)
{
    struct sb_mail mail = ordinary();
    char text[4001], subject[801];
    for (size_t i = 0; i < sizeof text - 1; i += 4)
        memcpy(text + i, "\xf0\x9f\x98\x80", 4);
    memcpy(subject, text, sizeof subject - 1);
    text[sizeof text - 1] = subject[sizeof subject - 1] = '\0';
    mail.text = text;
    mail.subject = subject;
    size_t length = 0;
    for (const char *at = formatted(&mail); *at != '\0'; at++) {
        cr_assert((unsigned char)*at < 0x7f);
        length = *at == '\n' ? 0 : length + 1;
        cr_assert_leq(length, 79, "with the CR");
        if (*at == '\n')
            cr_assert_eq(at[-1], '\r');
    }
}

Test(mail, encodes_a_subject_in_words_that_split_no_character)
{
    struct sb_mail mail = ordinary();
    mail.subject =
        "1\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
        "\xc3\xa4"; /* 43 bytes; the last of them would be cut off at 42 */
    const char *one = sb_base64(arena, mail.subject, 41), *two = sb_base64(arena, "\xc3\xa4", 2);
    const char *expected = sb_arena_printf(
        arena, "Subject: =?utf-8?B?%s?=\r\n =?utf-8?B?%s?=\r\nMessage-ID", one, two);
    cr_assert_not_null(strstr(formatted(&mail), expected), "%s", out.data);
}

Test(mail, encodes_what_could_be_taken_for_an_encoded_word)
{
    struct sb_mail mail = ordinary();
    mail.subject = "=?utf-8?B?ZXZpbA==?=";
    cr_assert_null(strstr(formatted(&mail), "ZXZpbA=="));
}

Test(mail, that_could_forge_a_line_is_refused)
{
    static const char *const bad[] = {
        "a@b.c\r\nBcc: eve@b.c", "a@b.c\n", "a@b.c>\r\nRCPT TO:<e@b.c", "a b@b.c", "", "nobody"};
    struct sb_mail mail;
    for (size_t i = 0; i < SB_COUNT(bad); i++) {
        mail = ordinary();
        mail.from = bad[i];
        cr_expect_not(sb_mail_format(arena, &out, &mail), "from %s", bad[i]);
        mail = ordinary();
        mail.to = bad[i];
        cr_expect_not(sb_mail_format(arena, &out, &mail), "to %s", bad[i]);
        mail = ordinary();
        mail.reply_to = bad[i];
        cr_expect_not(sb_mail_format(arena, &out, &mail), "reply to %s", bad[i]);
    }
    static const char *const lines[] = {"a\r\nBcc: eve@b.c", "a\rb", "a\nb", "a\tb", "a\x7f"};
    for (size_t i = 0; i < SB_COUNT(lines); i++) {
        mail = ordinary();
        mail.subject = lines[i];
        cr_expect_not(sb_mail_format(arena, &out, &mail), "subject %s", lines[i]);
    }
    mail = ordinary();
    mail.id = "a>\r\nX: y";
    cr_expect_not(sb_mail_format(arena, &out, &mail));
    cr_assert_eq(out.length, 0);
}

Test(mail, is_set_up_by_three_variables)
{
    struct sb_config config = {
        .sales_email = "s@b.c", .smtp_host = "mail.b.c", .smtp_from = "f@b.c"};
    cr_assert(sb_mail_configured(&config));
    config.sales_email = NULL;
    cr_assert_not(sb_mail_configured(&config));
    config.sales_email = "s@b.c";
    config.smtp_host = NULL;
    cr_assert_not(sb_mail_configured(&config));
    config.smtp_host = "mail.b.c";
    config.smtp_from = NULL;
    cr_assert_not(sb_mail_configured(&config));
}

Test(mail, that_breaks_the_contract_reaches_no_server)
{
    const char *problem;
    struct sb_config config = {.sales_email = "s@b.c",
                               .smtp_host = "mail.invalid",
                               .smtp_port = 587,
                               .smtp_from = "f@b.c"};
    struct sb_mail mail = ordinary();
    mail.to = "a@b.c\r\nDATA";
    cr_assert_eq(sb_mail_send(&config, arena, &mail, &problem, NULL), SB_E_INTERNAL);
    cr_assert_str_eq(problem, "an address, the id or the subject cannot be sent");
}

Test(mail, to_nobody_is_an_error_with_a_reason)
{
    const char *problem = NULL;
    struct sb_config config = {
        .sales_email = "s@b.c", .smtp_host = "127.0.0.1", .smtp_port = 9, .smtp_from = "f@b.c"};
    struct sb_mail mail = ordinary();
    cr_assert_eq(sb_mail_send(&config, arena, &mail, &problem, NULL), SB_E_UPSTREAM_ERROR);
    cr_assert_not_null(problem);
}
