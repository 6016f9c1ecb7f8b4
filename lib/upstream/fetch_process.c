#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>

#include "base/log.h"
#include "base/memory.h"
#include "upstream/fetch_internal.h"

/* Made once and kept: every connection of the process uses them. Loading the system's bundle would
 * take 17 ms and 1 MB for each handle; the store reads a certificate of the hash directory when it
 * is first asked for, and keeps it. It has locks of its own. */
static struct {
    pthread_mutex_t lock;
    bool open;
    CURLSH *share;
    X509_STORE *store;
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];

static void lock_shared(CURL *easy, curl_lock_data data, curl_lock_access access, void *unused)
{
    (void)easy, (void)access, (void)unused;
    pthread_mutex_lock(&share_locks[data]);
}

static void unlock_shared(CURL *easy, curl_lock_data data, void *unused)
{
    (void)easy, (void)unused;
    pthread_mutex_unlock(&share_locks[data]);
}

/* The store, or NULL with *error set. */
static X509_STORE *store_new(const char *ca_file, enum sb_error *error)
{
    X509_STORE *store = X509_STORE_new();
    *error = SB_E_UNAVAILABLE;
    if (store == NULL || X509_STORE_load_path(store, X509_get_default_cert_dir()) != 1) {
        X509_STORE_free(store);
        return NULL;
    }
    if (ca_file == NULL || X509_STORE_load_file(store, ca_file) == 1)
        return store;
    SB_LOG(SB_LOG_ERROR, "misconfigured", NULL, SB_LOG_TEXT("variable", "UPSTREAM_CA_FILE"),
           SB_LOG_TEXT("reason", "cannot be read or holds no certificate in PEM; see that the "
                                 "user of the service may read it"));
    *error = SB_E_MISCONFIGURED;
    X509_STORE_free(store);
    return NULL;
}

static CURLSH *share_new(void)
{
    CURLSH *share = curl_share_init();
    if (share == NULL)
        return NULL;
    for (size_t i = 0; i < SB_COUNT(share_locks); i++)
        pthread_mutex_init(&share_locks[i], NULL);
    if (curl_share_setopt(share, CURLSHOPT_LOCKFUNC, lock_shared) == CURLSHE_OK &&
        curl_share_setopt(share, CURLSHOPT_UNLOCKFUNC, unlock_shared) == CURLSHE_OK &&
        curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_OK &&
        curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK)
        return share;
    curl_share_cleanup(share);
    return NULL;
}

static enum sb_error open_locked(const struct sb_config *config)
{
    enum sb_error error;
    if (process.open)
        return SB_OK;
    if (process.share == NULL && (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
                                  (process.share = share_new()) == NULL))
        return SB_E_UNAVAILABLE;
    process.store = store_new(config->upstream_ca_file, &error);
    process.open = process.store != NULL;
    if (process.open)
        sb_memory_add_spare(sb_fetch_pool_clear);
    return process.open ? SB_OK : error;
}

enum sb_error sb_fetch_prepare(const struct sb_config *config)
{
    pthread_mutex_lock(&process.lock);
    enum sb_error error = open_locked(config);
    pthread_mutex_unlock(&process.lock);
    return error;
}

static CURLcode use_store(CURL *easy, void *ssl_ctx, void *unused)
{
    (void)easy, (void)unused;
    SSL_CTX_set1_cert_store(ssl_ctx, process.store);
    SSL_CTX_set_keylog_callback(ssl_ctx, NULL);          /* libcurl would obey SSLKEYLOGFILE */
    SSL_CTX_set_mode(ssl_ctx, SSL_MODE_RELEASE_BUFFERS); /* 34 KB for each idle connection */
    return CURLE_OK;
}

bool sb_fetch_process_share(CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_SHARE, process.share) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_store) == CURLE_OK;
}

const char *sb_fetch_process_verify_text(long result)
{
    /* libcurl compares the host's name before it asks for the result. */
    return result == X509_V_ERR_UNSPECIFIED ? "certificate of another host"
                                            : X509_verify_cert_error_string(result);
}
