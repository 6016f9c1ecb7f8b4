/* What fails for want of memory in libcurl and OpenSSL: their functions of the same names are found
 * behind these. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <openssl/x509_vfy.h>

#include "../support/fetching.h"

static bool no_share, no_store, no_mime, no_part;

typedef void *make_fn(void *of);
typedef int load_path_fn(X509_STORE *store, const char *path);
void *curl_share_init(void);
void *curl_mime_init(void *easy);
void *curl_mime_addpart(void *mime);

static void *make(const char *name, void *of, bool fails)
{
    make_fn *real = (make_fn *)dlsym(RTLD_NEXT, name);
    return fails ? NULL : real(of);
}

void *curl_share_init(void)
{
    return make("curl_share_init", NULL, no_share);
}

void *curl_mime_init(void *easy)
{
    return make("curl_mime_init", easy, no_mime);
}

void *curl_mime_addpart(void *mime)
{
    return make("curl_mime_addpart", mime, no_part);
}

int X509_STORE_load_path(X509_STORE *store, const char *path)
{
    load_path_fn *real = (load_path_fn *)dlsym(RTLD_NEXT, "X509_STORE_load_path");
    return no_store ? 0 : real(store, path);
}

TestSuite(fetch_memory, .init = fetching_setup, .fini = fetching_teardown);

Test(fetch_memory, what_the_process_shares_is_made_at_the_next_try)
{
    no_share = true;
    cr_expect_eq(sb_fetch_prepare(&fetching_config), SB_E_UNAVAILABLE);
    no_share = false;
    no_store = true;
    cr_expect_eq(sb_fetch_prepare(&fetching_config), SB_E_UNAVAILABLE);
    no_store = false;
    cr_expect_eq(sb_fetch_prepare(&fetching_config), SB_OK);
    no_share = no_store = true;
    cr_expect_eq(sb_fetch_prepare(&fetching_config), SB_OK, "once it is there, it stays");
}

static bool answer(struct peer_exchange *exchange, void *context)
{
    (void)context;
    return peer_reply(exchange, 200, "", "good");
}

static struct sb_fetch_result post(void)
{
    static const struct sb_fetch_part part = {.name = "a", .text = "b"};
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.parts = &part;
    request.part_count = 1;
    return fetching_send(&request);
}

Test(fetch_memory, a_form_that_cannot_be_made_is_not_sent)
{
    fetching_serve(answer, NULL);
    no_mime = true;
    cr_expect_eq(post().error, SB_E_UNAVAILABLE);
    no_mime = false;
    no_part = true;
    cr_expect_eq(post().error, SB_E_UNAVAILABLE);
    no_part = false;
    cr_expect_eq(peer_requests(fetching_peer), 0);
    cr_expect_eq(post().error, SB_OK);
}
