/* E-mail addresses, as narrow as they are in practice: a dot-atom of RFC 5322 at a host name with a
 * dot. No quotes, comments, address literals or UTF-8, so that nothing in one means anything to a
 * header line or an SMTP command. */
#ifndef SB_BASE_MAIL_ADDRESS_H
#define SB_BASE_MAIL_ADDRESS_H

#include <stdbool.h>

enum { SB_MAIL_ADDRESS_MAX = 254 }; /* bytes, RFC 5321 section 4.5.3.1 with its erratum 1690 */

/* Whether text is one. NULL is none. */
bool sb_mail_address_valid(const char *text);

#endif
