/* The accept loop. Idle workers wait in accept(): the kernel wakes one for a connection, and no
 * other. That worker reads from the peer itself, so that a silent or slow peer holds one worker and
 * never the process. A worker is made when the last idle one takes a connection, and ends when it
 * has been idle for long. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "endpoint/gateway_fcgi.h"
#include "endpoint/runtime.h"
#include "store/db.h"

enum {
    LISTEN_FD = 0,
#ifdef __SANITIZE_THREAD__ /* which keeps its own on it */
    STACK_SIZE = 2 * 1024 * 1024,
#else
    STACK_SIZE = 256 * 1024,
#endif
    GUARD_SIZE = 4096,
    ACCEPT_WAIT_MS = 250,  /* then an idle worker looks whether it is to stop */
    IDLE_WAITS = 20,       /* so many of these, and it is one too many */
    DRAIN_MAX = 1024,      /* connections taken from the backlog after a stop */
    PRESSURE_PAUSE_MS = 50 /* out of descriptors: wait for some to come back */
};

struct thread {
    struct pool *pool;
    pthread_t id;
    void *stack;
};

struct pool {
    struct sb_runtime *runtime;
    int cap;
    atomic_bool stopping; /* a signal came */
    atomic_int idle;      /* workers that wait for a connection or are about to */
    atomic_int drained;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t ended;
    int threads;
    bool deaf;                 /* all workers ended though nobody asked for it */
    struct thread *last_ended; /* NULL: none has */
};

/* --- Threads --- */

/* Stacks are our own: the C library keeps those of ended threads, with the memory they used. */
static struct thread *thread_new(struct pool *pool)
{
    struct thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->pool = pool;
    thread->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (thread->stack != MAP_FAILED && mprotect(thread->stack, GUARD_SIZE, PROT_NONE) == 0)
        return thread;
    if (thread->stack != MAP_FAILED)
        munmap(thread->stack, STACK_SIZE);
    free(thread);
    return NULL;
}

static void thread_free(struct thread *thread)
{
    munmap(thread->stack, STACK_SIZE);
    free(thread);
}

static void thread_join(struct thread *thread)
{
    if (thread == NULL)
        return;
    pthread_join(thread->id, NULL);
    thread_free(thread);
}

static void *work(void *context);

/* Under the lock. The first worker must come into being, a later one may fail: the others go on. */
static bool add_worker(struct pool *pool)
{
    pthread_attr_t attributes;
    struct thread *thread = thread_new(pool);
    if (thread == NULL)
        return false;
    atomic_fetch_add(&pool->idle, 1); /* from now on, so that no other is made in its place */
    pthread_attr_init(&attributes);
    bool made = pthread_attr_setstack(&attributes, thread->stack, STACK_SIZE) == 0 &&
                pthread_create(&thread->id, &attributes, work, thread) == 0;
    pthread_attr_destroy(&attributes);
    if (!made) {
        atomic_fetch_sub(&pool->idle, 1);
        thread_free(thread);
    }
    pool->threads += made;
    return made;
}

/* The worker's last act. Each joins the one that ended before it and the main thread the last, so
 * that none is still inside a library's clean-up when the process exits. */
static void leave(struct thread *self)
{
    struct pool *pool = self->pool;
    pthread_mutex_lock(&pool->lock);
    struct thread *before = pool->last_ended;
    pool->last_ended = self;
    pool->threads--;
    if (pool->threads == 0 && !atomic_load(&pool->stopping)) {
        pool->deaf = true;
        kill(getpid(), SIGTERM); /* the server starts another that may do better */
    }
    pthread_cond_signal(&pool->ended);
    pthread_mutex_unlock(&pool->lock);
    thread_join(before);
}

/* --- Connections --- */

static bool failed(const char *event, const char *reason)
{
    SB_LOG(SB_LOG_ERROR, event, NULL, SB_LOG_TEXT("reason", reason));
    return false;
}

/* The socket is shared with the server and perhaps with other processes, and so are its flags: said
 * again from time to time. */
static bool make_accept_wait(void)
{
    const struct timeval wait = {.tv_usec = ACCEPT_WAIT_MS * 1000L};
    int flags = fcntl(LISTEN_FD, F_GETFL);
    return flags >= 0 && fcntl(LISTEN_FD, F_SETFL, flags & ~O_NONBLOCK) == 0 &&
           setsockopt(LISTEN_FD, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0;
}

/* After a stop: whether a connection still waits. Another process may be faster to take it. */
static bool backlog_left(struct pool *pool)
{
    struct pollfd wait = {.fd = LISTEN_FD, .events = POLLIN};
    return poll(&wait, 1, 0) > 0 && atomic_fetch_add(&pool->drained, 1) < DRAIN_MAX;
}

static void give_back(struct pool *pool)
{
    if (pool->runtime->db != NULL)
        sb_db_give_back(pool->runtime->db);
    sb_memory_give_back();
}

/* An idle worker has waited for nothing `waits` times. Whether it is to go on: one always does. */
static bool stay(struct pool *pool, int waits)
{
    if (waits % IDLE_WAITS != 0)
        return make_accept_wait();
    if (atomic_fetch_sub(&pool->idle, 1) > 1)
        return false;
    atomic_fetch_add(&pool->idle, 1);
    if (waits == IDLE_WAITS)
        give_back(pool);
    return true;
}

/* After a failed accept(): whether to try again. */
static bool worth_another_try(struct pool *pool, int error, int *waits)
{
    switch (error) {
    case EAGAIN:
        return stay(pool, ++*waits);
    case EINTR:
    case ECONNABORTED:
        return true;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        poll(NULL, 0, PRESSURE_PAUSE_MS);
        return true;
    default: /* EINVAL: whoever shares the socket has shut it down */
        atomic_fetch_sub(&pool->idle, 1);
        return failed("fastcgi.accept", strerror(error));
    }
}

/* The next connection; -1: the worker is to end. */
static int next_connection(struct pool *pool)
{
    int waits = 0;
    for (;;) {
        if (atomic_load(&pool->stopping) && !backlog_left(pool))
            return -1;
        int fd = accept4(LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (!worth_another_try(pool, errno, &waits))
            return -1;
    }
}

static void serve(struct sb_worker *worker, struct sb_fcgi *fcgi, int fd)
{
    struct sb_gateway gateway;
    if (!sb_fcgi_begin(fcgi, fd, SB_GATEWAY_TIMEOUT_S, &gateway)) {
        sb_metrics_add(SB_METRIC_CONNECTIONS_BAD, "", 1);
        return;
    }
    sb_pipeline_run(worker, &gateway);
    sb_fcgi_end(fcgi);
}

/* This worker has taken a connection: another takes the next one. At the cap the first that comes
 * back does; until then the kernel queues. */
static void make_way(struct pool *pool)
{
    if (atomic_fetch_sub(&pool->idle, 1) > 1)
        return;
    pthread_mutex_lock(&pool->lock);
    if (pool->threads < pool->cap)
        add_worker(pool);
    pthread_mutex_unlock(&pool->lock);
}

static void *work(void *context)
{
    struct thread *self = context;
    struct pool *pool = self->pool;
    struct sb_worker worker = {0};
    struct sb_fcgi *fcgi = sb_fcgi_new();
    if (fcgi != NULL && sb_worker_open(&worker, pool->runtime)) {
        for (int fd = next_connection(pool); fd >= 0; fd = next_connection(pool)) {
            make_way(pool);
            serve(&worker, fcgi, fd);
            atomic_fetch_add(&pool->idle, 1);
        }
        sb_worker_close(&worker);
    } else {
        atomic_fetch_sub(&pool->idle, 1);
        failed("fastcgi.worker", strerror(ENOMEM));
    }
    sb_fcgi_free(fcgi);
    if (!atomic_load(&pool->stopping))
        give_back(pool);
    leave(self);
    return NULL;
}

/* --- The process --- */

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
                        .cap = worker_cap(runtime),
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .ended = PTHREAD_COND_INITIALIZER};
    sigset_t signals;
    int taken;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    /* Blocked before any thread is made, so in all of them: a signal never cuts a read short. */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (!make_accept_wait() || !sb_fcgi_init())
        return failed("fastcgi.start", strerror(errno));
    pthread_mutex_lock(&pool.lock);
    bool started = add_worker(&pool);
    pthread_mutex_unlock(&pool.lock);
    if (!started)
        return failed("fastcgi.start", "no thread could be made");
    sigwait(&signals, &taken);
    atomic_store(&runtime->stop_asked_us, sb_clock_mono_us());
    atomic_store(&pool.stopping, true);
    if (!wait_for_workers(&pool)) {
        SB_LOG(SB_LOG_WARN, "stop.forced", NULL, SB_LOG_INT("requests", pool.threads));
        _exit(EXIT_SUCCESS); /* threads still use what an orderly exit would free */
    }
    thread_join(pool.last_ended);
    sb_runtime_close(runtime);
    return !pool.deaf;
}
