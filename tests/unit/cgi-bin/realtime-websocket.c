#include <criterion/criterion.h>
#include <string.h>

#include "../support/call.h"

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    call_site_open(&site, &sb_endpoint);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(realtime_websocket, .init = setup, .fini = teardown);

Test(realtime_websocket, is_gone_for_every_method_and_points_to_its_successor)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    static const char *const targets[] = {"/api/realtime-websocket", "/api/realtime-websocket.php",
                                          "/api/realtime-websocket?model=x"};
    for (size_t i = 0; i < SB_COUNT(methods) * SB_COUNT(targets); i++) {
        const struct call_answer *answer =
            call_send(&site, &(struct call){.method = methods[i % SB_COUNT(methods)],
                                            .target = targets[i / SB_COUNT(methods)]});
        cr_expect_eq(answer->status, 410, "row %zu: %d", i, answer->status);
        cr_expect_str_eq(call_text(answer, "error.code"), "gone");
        cr_expect_not_null(strstr(call_text(answer, "error.message"), "/api/realtime/token"));
    }
}

Test(realtime_websocket, does_not_read_what_is_sent)
{
    const struct call_answer *answer = call_send(
        &site, &(struct call){.target = "/api/realtime-websocket",
                              .body = "not json",
                              .params = CALL_PARAMS("CONTENT_TYPE=application/octet-stream")});
    cr_assert_eq(answer->status, 410);
    cr_assert_eq(answer->body_read, 0);
    answer = call_send(&site, &(struct call){.target = "/api/realtime-websocket",
                                             .body = "x",
                                             .params = CALL_PARAMS("CONTENT_LENGTH=99999999999")});
    cr_assert_eq(answer->status, 410);
}

Test(realtime_websocket, is_not_its_neighbour)
{
    cr_assert_eq(call_send(&site, &(struct call){.target = "/api/realtime-websocket/x"})->status,
                 404);
    cr_assert_eq(call_send(&site, &(struct call){.target = "/api/realtime"})->status, 404);
}
