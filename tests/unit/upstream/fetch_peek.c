/* What only those who look at a server need: all fields of a name, and another peer than the URL's.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/fetching.h"

TestSuite(fetch_peek, .init = fetching_setup, .fini = fetching_teardown);

static bool twice(struct peer_exchange *exchange, void *context)
{
    (void)context;
    return peer_reply(exchange, 200, "X-A: 1\r\nX-B: 3\r\nx-a: 22\r\nX-A:\r\n", "");
}

Test(fetch_peek, all_fields_of_a_name_are_given_in_order)
{
    fetching_serve(twice, NULL);
    struct sb_fetch_result result = fetching_get();
    const char *value = sb_fetch_header_next(&result, "X-A", NULL);
    cr_assert_str_eq(value, "1");
    cr_expect_eq(value, sb_fetch_header(&result, "X-A"));
    value = sb_fetch_header_next(&result, "X-A", value);
    cr_assert_str_eq(value, "22");
    value = sb_fetch_header_next(&result, "X-A", value);
    cr_assert_str_eq(value, "");
    cr_expect_null(sb_fetch_header_next(&result, "X-A", value));
    value = sb_fetch_header_next(&result, "X-B", NULL);
    cr_assert_str_eq(value, "3");
    cr_expect_null(sb_fetch_header_next(&result, "X-B", value));
}

Test(fetch_peek, where_no_answer_came_there_is_no_field)
{
    struct sb_fetch_result result = {.status = 0};
    cr_expect_null(sb_fetch_header_next(&result, "X-A", NULL));
}

static bool echo(struct peer_exchange *exchange, void *context)
{
    (void)context;
    return peer_reply(exchange, 200, "", exchange->head);
}

Test(fetch_peek, another_peer_hears_the_urls_host)
{
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/x");
    const char *place = strstr(request.url, "://") + 3;
    request.connect_to = sb_arena_strndup(fetching_arena, place, strcspn(place, "/"));
    request.url = "http://site.invalid/x";
    struct sb_fetch_result result = fetching_send(&request);
    cr_assert_eq(result.outcome, SB_FETCH_OK, "%s", sb_fetch_outcome_name(result.outcome));
    cr_expect_not_null(strstr(result.body, "\r\nHost: site.invalid\r\n"), "%s", result.body);
}

Test(fetch_peek, another_peer_is_held_to_the_same_rules)
{
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/x");
    request.connect_to = "192.0.2.1:80";
    cr_expect_eq(fetching_send(&request).outcome, SB_FETCH_FORBIDDEN);
}

Test(fetch_peek, a_peer_that_is_no_line_is_refused)
{
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/x");
    struct sb_fetch_result result;
    request.connect_to = "127.0.0.1\r\n";
    cr_expect_eq(sb_fetch(&fetching_config, &request, &result), SB_E_INTERNAL);
}
