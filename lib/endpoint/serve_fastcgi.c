/* The accept loop: a leader waits for a connection, hands the lead on, and only then reads from
 * the peer, so that a silent or slow peer holds one worker and never the process. Workers are made
 * when a connection comes and none is idle. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "endpoint/gateway_fcgi.h"
#include "endpoint/runtime.h"

enum {
    LISTEN_FD = 0,
    PEER_TIMEOUT_S = 30,
    STACK_SIZE = 256 * 1024,
    DRAIN_MAX = 1024,      /* connections taken from the backlog after a stop */
    PRESSURE_PAUSE_MS = 50 /* out of descriptors: wait for some to come back */
};

struct pool {
    struct sb_runtime *runtime;
    pthread_mutex_t lock;
    pthread_cond_t lead_free, ended;
    int cap, threads, idle;
    bool led;      /* somebody leads */
    bool stopping; /* a signal came */
    bool finished; /* the backlog is drained: nobody leads any more */
    bool deaf;     /* all workers ended though nobody asked for it */
    int stop_fd, drained;
    pthread_t last_ended; /* where any_ended */
    bool any_ended;
};

static void *work(void *context);

/* Under the lock. The first worker must come into being, a later one may fail: the others go on. */
static bool add_worker(struct pool *pool)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    bool made = pthread_create(&thread, &attributes, work, pool) == 0;
    pthread_attr_destroy(&attributes);
    pool->threads += made;
    return made;
}

static bool stopping(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool stop = pool->stopping;
    pthread_mutex_unlock(&pool->lock);
    return stop;
}

static bool failed(const char *event, const char *reason)
{
    SB_LOG(SB_LOG_ERROR, event, NULL, SB_LOG_TEXT("reason", reason));
    return false;
}

static bool accept_failed(const char *reason)
{
    return failed("fastcgi.accept", reason);
}

/* Waits for a connection or a stop. False: whoever shares the socket has shut it down, and accept()
 * would say "again" for ever. */
static bool wait_for_peer(struct pool *pool)
{
    struct pollfd wait[2] = {{.fd = LISTEN_FD, .events = POLLIN},
                             {.fd = pool->stop_fd, .events = POLLIN}};
    poll(wait, 2, -1);
    return (wait[0].revents & (POLLHUP | POLLERR | POLLNVAL)) == 0 ||
           accept_failed("the listening socket was shut down");
}

/* After a failed accept(): whether to try again. */
static bool worth_another_try(struct pool *pool, int error, bool stop)
{
    struct pollfd wait = {.fd = pool->stop_fd, .events = POLLIN};
    switch (error) {
    case EAGAIN:
        return !stop && wait_for_peer(pool);
    case EINTR:
    case ECONNABORTED:
        return true;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        poll(&wait, 1, PRESSURE_PAUSE_MS);
        return true;
    default:
        return accept_failed(strerror(error));
    }
}

/* The next connection; -1 once a stop was asked for and the backlog is empty, or if none can come
 * any more. Only the leader is here. */
static int next_connection(struct pool *pool)
{
    for (;;) {
        bool stop = stopping(pool);
        if (stop && pool->drained++ >= DRAIN_MAX)
            return -1;
        int fd = accept4(LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (!worth_another_try(pool, errno, stop))
            return -1;
    }
}

/* Waits for the lead; false once there is nothing more to lead. Under the lock. */
static bool take_lead(struct pool *pool)
{
    pool->idle++;
    while (pool->led && !pool->finished)
        pthread_cond_wait(&pool->lead_free, &pool->lock);
    pool->idle--;
    if (pool->finished)
        return false;
    pool->led = true;
    return true;
}

/* Under the lock. */
static void hand_lead_on(struct pool *pool, bool finished)
{
    pool->led = false;
    if (finished) {
        pool->finished = true;
        pthread_cond_broadcast(&pool->lead_free);
    } else if (pool->idle > 0) {
        pthread_cond_signal(&pool->lead_free);
    } else if (pool->threads < pool->cap) {
        add_worker(pool);
    } /* else the first worker that comes back leads; until then the kernel queues */
}

static int lead(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool leader = take_lead(pool);
    pthread_mutex_unlock(&pool->lock);
    if (!leader)
        return -1;
    int fd = next_connection(pool);
    pthread_mutex_lock(&pool->lock);
    hand_lead_on(pool, fd < 0);
    pthread_mutex_unlock(&pool->lock);
    return fd;
}

static void serve(struct sb_worker *worker, struct sb_fcgi *fcgi, int fd)
{
    struct sb_gateway gateway;
    if (!sb_fcgi_begin(fcgi, fd, PEER_TIMEOUT_S, &gateway)) {
        sb_metrics_add(SB_METRIC_CONNECTIONS_BAD, "", 1);
        return;
    }
    sb_pipeline_run(worker, &gateway);
    sb_fcgi_end(fcgi);
}

/* The worker's last act. Each joins the one that ended before it and the main thread the last, so
 * that none is still inside a library's clean-up when the process exits. */
static void leave(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pthread_t before = pool->last_ended;
    bool any = pool->any_ended;
    pool->last_ended = pthread_self();
    pool->any_ended = true;
    pool->threads--;
    if (pool->threads == 0 && !pool->stopping) {
        pool->deaf = true;
        kill(getpid(), SIGTERM); /* the server starts another that may do better */
    }
    pthread_cond_signal(&pool->ended);
    pthread_mutex_unlock(&pool->lock);
    if (any)
        pthread_join(before, NULL);
}

static void *work(void *context)
{
    struct pool *pool = context;
    struct sb_worker worker = {0};
    struct sb_fcgi *fcgi = sb_fcgi_new();
    if (fcgi != NULL && sb_worker_open(&worker, pool->runtime)) {
        for (int fd = lead(pool); fd >= 0; fd = lead(pool))
            serve(&worker, fcgi, fd);
        sb_worker_close(&worker);
    } else {
        failed("fastcgi.worker", strerror(ENOMEM));
    }
    sb_fcgi_free(fcgi);
    leave(pool);
    return NULL;
}

static void ask_to_stop(struct pool *pool)
{
    uint64_t one = 1;
    atomic_store(&pool->runtime->stop_asked_us, sb_clock_mono_us());
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_mutex_unlock(&pool->lock);
    (void)!write(pool->stop_fd, &one, sizeof one);
}

/* Whether all workers ended in time. */
static bool wait_for_workers(struct pool *pool)
{
    struct timespec deadline = sb_clock_deadline(SB_STOP_DEADLINE_MS);
    int waited = 0;
    pthread_mutex_lock(&pool->lock);
    while (pool->threads > 0 && waited == 0)
        waited = pthread_cond_clockwait(&pool->ended, &pool->lock, CLOCK_MONOTONIC, &deadline);
    bool all = pool->threads == 0;
    pthread_mutex_unlock(&pool->lock);
    return all;
}

/* How many requests this process may answer at once. */
static int worker_cap(const struct sb_runtime *runtime)
{
    if (runtime->config->workers > 0)
        return (int)runtime->config->workers;
    return runtime->endpoint->workers > 0 ? runtime->endpoint->workers : SB_WORKERS_DEFAULT;
}

bool sb_serve_fastcgi(struct sb_runtime *runtime)
{
    struct pool pool = {.runtime = runtime,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .lead_free = PTHREAD_COND_INITIALIZER,
                        .ended = PTHREAD_COND_INITIALIZER,
                        .cap = worker_cap(runtime),
                        .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    sigset_t signals;
    int taken;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    /* Blocked before any thread is made, so in all of them: a signal never cuts a read short. */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (pool.stop_fd < 0 || fcntl(LISTEN_FD, F_SETFL, O_NONBLOCK) != 0 || !sb_fcgi_init())
        return failed("fastcgi.start", strerror(errno));
    pthread_mutex_lock(&pool.lock);
    bool started = add_worker(&pool);
    pthread_mutex_unlock(&pool.lock);
    if (!started)
        return failed("fastcgi.start", "no thread could be made");
    sigwait(&signals, &taken);
    ask_to_stop(&pool);
    if (!wait_for_workers(&pool)) {
        SB_LOG(SB_LOG_WARN, "stop.forced", NULL, SB_LOG_INT("requests", pool.threads));
        _exit(EXIT_SUCCESS); /* threads still use what an orderly exit would free */
    }
    if (pool.any_ended)
        pthread_join(pool.last_ended, NULL);
    sb_runtime_close(runtime);
    return !pool.deaf;
}
