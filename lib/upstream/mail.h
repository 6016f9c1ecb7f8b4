/* Mail: a message of plain text (RFC 5322), and its way to the server of SMTP_HOST. */
#ifndef SB_UPSTREAM_MAIL_H
#define SB_UPSTREAM_MAIL_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/config.h"

enum {
    SB_MAIL_MAX = 256 * 1024,   /* bytes of a finished message */
    SB_MAIL_CONNECT_MS = 10000, /* resolving, connecting and the TLS handshake */
    SB_MAIL_TOTAL_MS = 60000    /* of a whole attempt */
};

struct sb_mail {
    const char *id;        /* [A-Za-z0-9_-], for the Message-ID: the same for each attempt */
    const char *from, *to; /* addresses, see base/mail_address.h */
    const char *reply_to;  /* an address; NULL: none */
    const char *subject;   /* one line of UTF-8 */
    const char *text;      /* UTF-8, lines ended by LF, CRLF or CR */
    int64_t date_ms;
};

/* Whether SALES_EMAIL, SMTP_HOST and SMTP_FROM say where mail goes and how. */
SB_NONNULL_ALL bool sb_mail_configured(const struct sb_config *config);

/* Adds the message as it goes over the wire to out: US-ASCII in lines of at most 78 characters with
 * CRLF, the subject in encoded words (RFC 2047) where need be, the text in base64. False, and
 * nothing is added: id or an address is none, or the subject is not one line. arena is for the
 * work; without memory out has failed. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_mail_format(struct sb_arena *arena, struct sb_buf *out,
                                                 const struct sb_mail *mail);

/* Makes one attempt (arena is for the work) to hand mail to the server, over TLS with a verified
 * certificate or not at all. SB_OK: the server has it. Else *problem says why not (in arena; also
 * logged; nothing of the mail or of the server's words is in it), and SB_E_INTERNAL: mail breaks
 * its contract; SB_E_MISCONFIGURED: see sb_fetch_borrow(); SB_E_UPSTREAM_TIMEOUT,
 * SB_E_UPSTREAM_ERROR: the server; SB_E_UNAVAILABLE: out of memory. */
SB_NONNULL(1, 2, 3, 4)
SB_MUST_CHECK enum sb_error sb_mail_send(const struct sb_config *config, struct sb_arena *arena,
                                         const struct sb_mail *mail, const char **problem,
                                         const char *trace_id);

#endif
