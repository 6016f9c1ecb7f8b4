/* The fixture of the tests of upstream/fetch: a peer, a request to it, log and metrics of their
 * own. */
#ifndef TESTS_UNIT_SUPPORT_FETCHING_H
#define TESTS_UNIT_SUPPORT_FETCHING_H

#include "peer.h"
#include "upstream/fetch.h"

extern struct sb_arena *fetching_arena;
extern struct sb_config fetching_config;
extern struct peer *fetching_peer;
extern char *fetching_key_log; /* path of SSLKEYLOGFILE */

/* Directories, log and metrics, and an environment in which every proxy and key log is set. */
void fetching_setup(void);
void fetching_teardown(void);

/* Starts fetching_peer in clear text. */
void fetching_serve(peer_answer *answer, void *context);

/* Starts fetching_peer with a certificate of the authority that fetching_config trusts. */
void fetching_serve_tls(peer_answer *answer, void *context,
                        const struct peer_certificate *certificate);

/* A request to fetching_peer: path below scheme://host:port. */
struct sb_fetch_request fetching_request(const char *scheme, const char *host, const char *path);

/* GET http://127.0.0.1:port/, sent and ended. */
struct sb_fetch_result fetching_get(void);
struct sb_fetch_result fetching_send(const struct sb_fetch_request *request);

/* Steps until call ended. */
const struct sb_fetch_result *fetching_end(struct sb_fetch_session *session,
                                           struct sb_fetch_call *call);

/* switchboard.log, in the arena; "" if there is none. */
const char *fetching_log(void);

/* How many requests to upstream "test" ended so, by the metrics. */
uint64_t fetching_counted(enum sb_fetch_outcome outcome);

#endif
