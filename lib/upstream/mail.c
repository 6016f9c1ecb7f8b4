#include "upstream/mail.h"

#include <string.h>
#include <time.h>

#include "base/crypto.h"
#include "base/ids.h"
#include "base/mail_address.h"

enum {
    WORD_BYTES = 42, /* of text in an encoded word: 56 characters of base64, below 75 with frame */
    PLAIN_MAX = 64,  /* characters of a subject that goes as it is */
    LINE_BYTES = 57  /* of text in a line of 76 characters of base64 */
};

bool sb_mail_configured(const struct sb_config *config)
{
    return config->sales_email != NULL && config->smtp_host != NULL && config->smtp_from != NULL;
}

static bool is_line(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    }
    return true;
}

/* A line that needs no encoding, and could not be taken for an encoded word. */
static bool is_plain(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0x7f)
            return false;
    }
    return length <= PLAIN_MAX && strstr(text, "=?") == NULL;
}

static void add_base64(struct sb_arena *arena, struct sb_buf *out, const char *text, size_t length)
{
    char *encoded = sb_base64(arena, text, length);
    if (encoded == NULL)
        out->failed = true;
    else
        sb_buf_add_text(out, encoded);
}

/* RFC 2047 section 5: no word splits a character, and lines are folded between words. */
static void add_encoded(struct sb_arena *arena, struct sb_buf *out, const char *text)
{
    size_t left = strlen(text);
    for (const char *fold = ""; left > 0; fold = "\r\n ") {
        size_t length = 0;
        for (size_t next = 0; length < left; length += next) {
            next = sb_utf8_sequence(text + length, left - length);
            next = next == 0 ? 1 : next;
            if (length + next > WORD_BYTES)
                break;
        }
        sb_buf_add_format(out, "%s=?utf-8?B?", fold);
        add_base64(arena, out, text, length);
        sb_buf_add_text(out, "?=");
        text += length;
        left -= length;
    }
}

/* RFC 5322 section 3.3, whatever the locale. */
static void add_date(struct sb_buf *out, int64_t time_ms)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    time_t time = time_ms / 1000;
    if (gmtime_r(&time, &tm) == NULL) {
        out->failed = true;
        return;
    }
    sb_buf_add_format(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday],
                      tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                      tm.tm_sec);
}

/* RFC 2045 section 6.8: the lines of a text end with CRLF before it is encoded. */
static void add_body(struct sb_arena *arena, struct sb_buf *out, const char *text)
{
    struct sb_buf lines;
    sb_buf_init(&lines, arena, SB_MAIL_MAX);
    while (*text != '\0') {
        size_t length = strcspn(text, "\r\n");
        sb_buf_add(&lines, text, length);
        sb_buf_add_text(&lines, "\r\n");
        text += length;
        text += strncmp(text, "\r\n", 2) == 0 ? 2 : *text != '\0';
    }
    if (!sb_buf_ok(&lines))
        out->failed = true;
    for (size_t at = 0; sb_buf_ok(out) && at < lines.length; at += LINE_BYTES) {
        size_t length = lines.length - at < LINE_BYTES ? lines.length - at : LINE_BYTES;
        add_base64(arena, out, lines.data + at, length);
        sb_buf_add_text(out, "\r\n");
    }
}

bool sb_mail_format(struct sb_arena *arena, struct sb_buf *out, const struct sb_mail *mail)
{
    if (!sb_id_valid(mail->id) || !sb_mail_address_valid(mail->from) ||
        !sb_mail_address_valid(mail->to) || !is_line(mail->subject) ||
        (mail->reply_to != NULL && !sb_mail_address_valid(mail->reply_to)))
        return false;
    add_date(out, mail->date_ms);
    sb_buf_add_format(out, "From: <%s>\r\nTo: <%s>\r\n", mail->from, mail->to);
    if (mail->reply_to != NULL)
        sb_buf_add_format(out, "Reply-To: <%s>\r\n", mail->reply_to);
    sb_buf_add_text(out, "Subject: ");
    if (is_plain(mail->subject))
        sb_buf_add_text(out, mail->subject);
    else
        add_encoded(arena, out, mail->subject);
    sb_buf_add_format(out,
                      "\r\nMessage-ID: <%s@%s>\r\nMIME-Version: 1.0\r\n"
                      "Content-Type: text/plain; charset=utf-8\r\n"
                      "Content-Transfer-Encoding: base64\r\nAuto-Submitted: auto-generated\r\n\r\n",
                      mail->id, strchr(mail->from, '@') + 1);
    add_body(arena, out, mail->text);
    return true;
}
