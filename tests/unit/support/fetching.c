#include "fetching.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base.h"
#include "base/log.h"
#include "base/metrics.h"

struct sb_arena *fetching_arena;
struct sb_config fetching_config;
struct peer *fetching_peer;
char *fetching_key_log;

static char directory[BASE_DIR_SIZE];

void fetching_setup(void)
{
    static const char *const proxies[] = {"http_proxy",  "HTTP_PROXY", "https_proxy",
                                          "HTTPS_PROXY", "all_proxy",  "ALL_PROXY"};
    for (size_t i = 0; i < SB_COUNT(proxies); i++)
        setenv(proxies[i], "http://127.0.0.1:9", 1); /* nothing listens there */
    base_dir_make(directory);
    fetching_key_log = base_path(directory, "keys");
    setenv("SSLKEYLOGFILE", fetching_key_log, 1);
    sb_log_open(directory, "test", SB_LOG_DEBUG);
    cr_assert(sb_metrics_open(directory));
    fetching_arena = sb_arena_new((size_t)16 * 1024 * 1024);
    cr_assert_not_null(fetching_arena);
}

void fetching_teardown(void)
{
    if (fetching_peer != NULL)
        peer_stop(fetching_peer);
    sb_arena_free(fetching_arena);
    base_dir_remove(directory);
    free(fetching_key_log);
}

void fetching_serve(peer_answer *answer, void *context)
{
    fetching_peer = peer_start(answer, context, NULL);
}

void fetching_serve_tls(peer_answer *answer, void *context,
                        const struct peer_certificate *certificate)
{
    char *path = base_path(directory, "ca.pem");
    peer_authority_write(path);
    fetching_config.upstream_ca_file = sb_arena_strdup(fetching_arena, path);
    free(path);
    fetching_peer = peer_start(answer, context, certificate);
}

struct sb_fetch_request fetching_request(const char *scheme, const char *host, const char *path)
{
    char *url = sb_arena_printf(fetching_arena, "%s://%s:%d%s", scheme, host,
                                peer_port(fetching_peer), path);
    cr_assert_not_null(url);
    return (struct sb_fetch_request){
        .upstream = "test", .url = url, .peers = SB_FETCH_CONFIGURED, .arena = fetching_arena};
}

struct sb_fetch_result fetching_send(const struct sb_fetch_request *request)
{
    struct sb_fetch_result result;
    enum sb_error error = sb_fetch(&fetching_config, request, &result);
    cr_assert_eq(error, result.error);
    return result;
}

struct sb_fetch_result fetching_get(void)
{
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    return fetching_send(&request);
}

const struct sb_fetch_result *fetching_end(struct sb_fetch_session *session,
                                           struct sb_fetch_call *call)
{
    while (sb_fetch_result(call)->outcome == SB_FETCH_RUNNING)
        sb_fetch_step(session, -1, NULL, 0);
    return sb_fetch_result(call);
}

const char *fetching_log(void)
{
    char *path = base_path(directory, "switchboard.log");
    char *text = base_file_read(path);
    const char *kept = sb_arena_strdup(fetching_arena, text == NULL ? "" : text);
    free(text);
    free(path);
    return kept;
}

uint64_t fetching_counted(enum sb_fetch_outcome outcome)
{
    char labels[SB_METRICS_LABELS_SIZE];
    snprintf(labels, sizeof labels, "upstream=\"test\",outcome=\"%s\"",
             sb_fetch_outcome_name(outcome));
    return sb_metrics_value(SB_METRIC_UPSTREAM_REQUESTS, labels);
}
