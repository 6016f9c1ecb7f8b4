#include "base/mail_address.h"

#include <string.h>

#define LETTERS_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

enum { LOCAL_MAX = 64, LABEL_MAX = 63 };

/* RFC 5322 section 3.2.3: atoms with single dots between them. */
static bool local_valid(const char *text, size_t length)
{
    static const char chars[] = LETTERS_DIGITS "!#$%&'*+-/=?^_`{|}~.";
    if (length == 0 || length > LOCAL_MAX || strspn(text, chars) != length)
        return false;
    if (text[0] == '.' || text[length - 1] == '.')
        return false;
    return memmem(text, length, "..", 2) == NULL;
}

/* RFC 1123 section 2.1, of at least two labels. */
static bool domain_valid(const char *text)
{
    size_t labels = 0;
    for (;; text++) {
        size_t length = strspn(text, LETTERS_DIGITS "-");
        if (length == 0 || length > LABEL_MAX || text[0] == '-' || text[length - 1] == '-')
            return false;
        labels++;
        text += length;
        if (*text == '\0')
            return labels > 1;
        if (*text != '.')
            return false;
    }
}

bool sb_mail_address_valid(const char *text)
{
    if (text == NULL || strnlen(text, SB_MAIL_ADDRESS_MAX + 1) > SB_MAIL_ADDRESS_MAX)
        return false;
    const char *at = strchr(text, '@');
    return at != NULL && local_valid(text, (size_t)(at - text)) && domain_valid(at + 1);
}
