#include "upstream/fetch.h"

#include <pthread.h>

#include "base/clock.h"
#include "upstream/fetch_internal.h"

enum { IDLE_MAX = 32 };
static const int64_t IDLE_US = (int64_t)60 * 1000000;

/* The sessions nobody uses. The last one given back is the first to go out, so that few connections
 * serve much and the others grow old and are closed. */
static struct {
    pthread_mutex_t lock;
    struct sb_fetch_session *newest;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct sb_fetch_session *pool_take(void)
{
    pthread_mutex_lock(&pool.lock);
    struct sb_fetch_session *session = pool.newest;
    if (session != NULL)
        pool.newest = session->next;
    pthread_mutex_unlock(&pool.lock);
    return session;
}

/* Puts session in and takes out those that are too many or too old. */
static struct sb_fetch_session *pool_put(struct sb_fetch_session *session)
{
    pthread_mutex_lock(&pool.lock);
    session->next = pool.newest;
    pool.newest = session;
    struct sb_fetch_session **at = &session->next;
    for (size_t i = 1; i < IDLE_MAX && *at != NULL; i++) {
        if (session->idle_since_us - (*at)->idle_since_us > IDLE_US)
            break; /* those below are older */
        at = &(*at)->next;
    }
    struct sb_fetch_session *surplus = *at;
    *at = NULL;
    pthread_mutex_unlock(&pool.lock);
    return surplus;
}

static void free_all(struct sb_fetch_session *session)
{
    while (session != NULL) {
        struct sb_fetch_session *next = session->next;
        sb_fetch_session_free(session);
        session = next;
    }
}

void sb_fetch_pool_clear(void)
{
    pthread_mutex_lock(&pool.lock);
    struct sb_fetch_session *all = pool.newest;
    pool.newest = NULL;
    pthread_mutex_unlock(&pool.lock);
    free_all(all);
}

enum sb_error sb_fetch_borrow(const struct sb_config *config, struct sb_fetch_session **session)
{
    enum sb_error error = sb_fetch_prepare(config);
    if (error != SB_OK)
        return error;
    struct sb_fetch_session *found = pool_take();
    if (found == NULL)
        found = sb_fetch_session_new();
    if (found == NULL)
        return SB_E_UNAVAILABLE;
    *session = found;
    return SB_OK;
}

void sb_fetch_return(struct sb_fetch_session *session)
{
    if (session == NULL)
        return;
    sb_fetch_session_clear(session);
    session->idle_since_us = sb_clock_mono_us();
    session->next = NULL;
    free_all(session->broken ? session : pool_put(session));
}

enum sb_error sb_fetch(const struct sb_config *config, const struct sb_fetch_request *request,
                       struct sb_fetch_result *result)
{
    struct sb_fetch_session *session = NULL;
    struct sb_fetch_call *call;
    enum sb_error error = sb_fetch_borrow(config, &session);
    if (error == SB_OK)
        error = sb_fetch_start(session, request, &call);
    if (error != SB_OK) {
        *result = (struct sb_fetch_result){.outcome = SB_FETCH_CANCELLED, .error = error};
        sb_fetch_return(session);
        return error;
    }
    while (sb_fetch_step(session, -1, NULL, 0) > 0)
        ;
    *result = *sb_fetch_result(call);
    sb_fetch_return(session);
    return result->error;
}
