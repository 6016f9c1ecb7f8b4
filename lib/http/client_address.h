/* Whose request this is, behind proxies. */
#ifndef SB_HTTP_CLIENT_ADDRESS_H
#define SB_HTTP_CLIENT_ADDRESS_H

#include "base/cidr.h"
#include "base/config.h"

/* The client's address. X-Forwarded-For (forwarded_for, NULL: absent) is read from the right, and
 * only as far as TRUST_PROXY believes the hop before: the first address that is no trusted proxy
 * is the client. An element that is no address ends the walk: what stood to its right is the
 * client. remote_addr that is no address (a unix socket) gives ::. */
SB_NONNULL(1)
struct sb_address sb_client_address(const struct sb_cidrs *trusted, const char *remote_addr,
                                    const char *forwarded_for);

#endif
