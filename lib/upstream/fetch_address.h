/* Which addresses a request may reach. */
#ifndef SB_UPSTREAM_FETCH_ADDRESS_H
#define SB_UPSTREAM_FETCH_ADDRESS_H

#include "base/cidr.h"
#include "upstream/fetch.h"

/* Whether a request of peers, over TLS or in clear text, may reach address. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_fetch_address_allowed(enum sb_fetch_peers peers, bool tls,
                                                           const struct sb_address *address);

/* Whether any address at all is allowed so. */
SB_MUST_CHECK bool sb_fetch_scheme_allowed(enum sb_fetch_peers peers, bool tls);

#endif
