#include <criterion/criterion.h>
#include <dlfcn.h>
#include <openssl/x509_vfy.h>

#include "../support/fetching.h"

/* Both are found before the libraries' own, and fail as they do without memory. */
static bool no_share, no_store;

typedef void *share_init_fn(void);
typedef int load_path_fn(X509_STORE *store, const char *path);
void *curl_share_init(void);

void *curl_share_init(void)
{
    share_init_fn *real = (share_init_fn *)dlsym(RTLD_NEXT, "curl_share_init");
    return no_share ? NULL : real();
}

int X509_STORE_load_path(X509_STORE *store, const char *path)
{
    load_path_fn *real = (load_path_fn *)dlsym(RTLD_NEXT, "X509_STORE_load_path");
    return no_store ? 0 : real(store, path);
}

TestSuite(fetch_process, .init = fetching_setup, .fini = fetching_teardown);

Test(fetch_process, what_fails_for_want_of_memory_is_tried_again)
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
