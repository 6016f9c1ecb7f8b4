/* FastCGI over libfcgi. The only files that include fcgiapp.h are gateway_fcgi*. */
#ifndef SB_ENDPOINT_GATEWAY_FCGI_H
#define SB_ENDPOINT_GATEWAY_FCGI_H

#include "endpoint/gateway.h"

struct sb_fcgi; /* one a worker */

/* Prepares libfcgi; once a process, before any thread. */
SB_MUST_CHECK bool sb_fcgi_init(void);

SB_MUST_CHECK struct sb_fcgi *sb_fcgi_new(void);
void sb_fcgi_free(struct sb_fcgi *fcgi);

/* Takes connection fd (accepted, ours from now on, closed on failure) and reads one request's
 * parameters from it. False: the peer sent none for 5 s, or nonsense. Later reads and writes fail
 * after timeout_s without progress, writes also once all of them together have waited for
 * SB_GATEWAY_WAITS times that. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_fcgi_begin(struct sb_fcgi *fcgi, int fd, int timeout_s,
                                                struct sb_gateway *gateway);

/* Ends the request and closes the connection, which is never kept (an unread body would be parsed
 * as records of its own). */
SB_NONNULL_ALL void sb_fcgi_end(struct sb_fcgi *fcgi);

#endif
