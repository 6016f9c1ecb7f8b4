#include "endpoint/runtime.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/call.h"
#include "base/clock.h"
#include "base/metrics.h"

struct thing {
    const char *name;
};

static const struct sb_field fields[] = {SB_STRING(struct thing, name, "name", 0, 9, 0),
                                         SB_FIELDS_END};

static enum sb_error handler(struct sb_request *request, const void *in, void *out)
{
    (void)request, (void)in, (void)out;
    return SB_OK;
}

#define SOUND .methods = SB_POST, .path = "", .handler = handler, .access = SB_ACCESS_PUBLIC

static const char *flaw_of(struct sb_route route, unsigned needs)
{
    const struct sb_route routes[] = {{SOUND}, route, {.handler = NULL}};
    const struct sb_endpoint endpoint = {.name = "x", .routes = routes, .needs = needs};
    int row;
    const char *flaw = sb_endpoint_flaw(&endpoint, &row);
    cr_assert_eq(row, 2, "%d", row); /* the flawed one, or the last */
    return flaw;
}

static void expect_flaw(struct sb_route route, const char *flaw)
{
    const char *found = flaw_of(route, SB_NEEDS_DB);
    cr_assert_not_null(found, "%s", flaw);
    cr_expect_str_eq(found, flaw);
}

#define ROUTE(...) ((struct sb_route){__VA_ARGS__})

Test(runtime, sound_tables_have_no_flaw)
{
    cr_assert_null(flaw_of(ROUTE(SOUND), 0));
    cr_assert_null(flaw_of(ROUTE(SOUND, .body = SB_BODY_JSON, SB_INPUT(struct thing, fields),
                                 SB_OUTPUT(struct thing, fields), .idempotent = true),
                           SB_NEEDS_DB));
    cr_assert_null(flaw_of(ROUTE(SOUND, .reply = SB_REPLY_STREAM, .content_type = "audio/ogg"), 0));
    cr_assert_null(flaw_of(ROUTE(SOUND, .limit = {"x", SB_RATE_LIMIT_MAX, 60}), 0));
}

Test(runtime, a_route_must_say_who_may_call_it)
{
    expect_flaw(ROUTE(.methods = SB_GET, .path = "", .handler = handler),
                "a route says nothing of access");
    expect_flaw(ROUTE(.methods = SB_GET, .path = "", .handler = handler, .access = SB_ACCESS__MAX),
                "a route says nothing of access");
}

Test(runtime, a_route_must_have_method_and_path)
{
    expect_flaw(ROUTE(.path = "", .handler = handler, .access = SB_ACCESS_PUBLIC),
                "a route has no method or path");
    expect_flaw(ROUTE(.methods = SB_GET, .handler = handler, .access = SB_ACCESS_PUBLIC),
                "a route has no method or path");
    struct sb_route route = ROUTE(SOUND);
    route.path = "live";
    expect_flaw(route, "a path is neither empty nor begins with a slash");
}

Test(runtime, field_tables_and_sizes_go_together)
{
    static const char flaw[] = "a route has a field table without a size";
    expect_flaw(ROUTE(SOUND, .input = fields), flaw);
    expect_flaw(ROUTE(SOUND, .output = fields), flaw);
    expect_flaw(ROUTE(SOUND, .input_size = 8), flaw);
    expect_flaw(ROUTE(SOUND, .output_size = 8), flaw);
}

Test(runtime, a_streaming_route_must_name_its_type)
{
    expect_flaw(ROUTE(SOUND, .reply = SB_REPLY_STREAM), "a streaming route has no content type");
}

Test(runtime, an_idempotent_route_takes_json_gives_output_and_has_a_database)
{
    static const char flaw[] = "an idempotent route must take JSON and have an output table";
    expect_flaw(ROUTE(SOUND, SB_OUTPUT(struct thing, fields), .idempotent = true), flaw);
    expect_flaw(
        ROUTE(SOUND, .body = SB_BODY_JSON, SB_INPUT(struct thing, fields), .idempotent = true),
        flaw);
    cr_assert_str_eq(flaw_of(ROUTE(SOUND, .body = SB_BODY_JSON, SB_INPUT(struct thing, fields),
                                   SB_OUTPUT(struct thing, fields), .idempotent = true),
                             SB_NEEDS_TURN),
                     "an idempotent route needs SB_NEEDS_DB");
}

Test(runtime, a_json_body_must_be_held_against_a_table)
{
    expect_flaw(ROUTE(SOUND, .body = SB_BODY_JSON),
                "a JSON body has no input table to be held against");
}

Test(runtime, an_id_of_the_path_must_have_a_field)
{
    struct sb_route route = ROUTE(SOUND, SB_INPUT(struct thing, fields));
    route.path = "/{nothing}/end";
    expect_flaw(route, "an {id} of a path has no field in the input table");
}

Test(runtime, an_output_field_must_not_hide_a_member_of_every_answer)
{
    static const char flaw[] = "an output field has the name of a member that every answer has";
    static const struct sb_field trace[] = {
        SB_STRING(struct thing, name, "traceId", 1, 9, SB_REQUIRED), SB_FIELDS_END};
    static const struct sb_field title[] = {
        SB_STRING(struct thing, name, "title", 1, 9, SB_REQUIRED), SB_FIELDS_END};
    expect_flaw(ROUTE(SOUND, SB_OUTPUT(struct thing, trace)), flaw);
    expect_flaw(ROUTE(SOUND, SB_OUTPUT(struct thing, title), .report_errors = true), flaw);
    cr_assert_null(flaw_of(ROUTE(SOUND, SB_OUTPUT(struct thing, title)), 0));
}

Test(runtime, a_status_is_fixed_or_told_by_the_output)
{
    static const char flaw[] =
        "a route that may create says its status, or has no output to tell by";
    expect_flaw(ROUTE(SOUND, .created = 1), flaw);
    expect_flaw(ROUTE(SOUND, SB_OUTPUT(struct thing, fields), .created = 1, .status = 201), flaw);
    cr_assert_null(flaw_of(ROUTE(SOUND, .status = 201), 0));
    expect_flaw(ROUTE(SOUND, .reply = SB_REPLY_STREAM, .content_type = "audio/ogg", .status = 201),
                "a stream is 200 and nothing else");
}

Test(runtime, a_limit_must_fit_the_counters)
{
    expect_flaw(ROUTE(SOUND, .limit = {"x", SB_RATE_LIMIT_MAX + 1, 60}),
                "a rate limit is higher than counters can hold");
}

Test(runtime, needs_are_those_declared_and_those_of_the_routes)
{
    static const struct {
        enum sb_access access;
        unsigned needs;
    } rows[] = {
        {SB_ACCESS_PUBLIC, SB_NEEDS_JITSI},
        {SB_ACCESS_USER, SB_NEEDS_JITSI | SB_NEEDS_USERS | SB_NEEDS_DB},
        {SB_ACCESS_PARTICIPANT, SB_NEEDS_TICKETS | SB_NEEDS_JITSI | SB_NEEDS_USERS | SB_NEEDS_DB},
        {SB_ACCESS_VISITOR, SB_NEEDS_TICKETS | SB_NEEDS_JITSI | SB_NEEDS_USERS | SB_NEEDS_DB},
        {SB_ACCESS_STAFF, SB_NEEDS_JITSI | SB_NEEDS_USERS | SB_NEEDS_DB},
        {SB_ACCESS_SERVICE, SB_NEEDS_JITSI | SB_NEEDS_USERS | SB_NEEDS_DB},
        {SB_ACCESS_METRICS, SB_NEEDS_JITSI | SB_NEEDS_METRICS}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const struct sb_route routes[] = {
            {SOUND},
            {.methods = SB_GET, .path = "/x", .handler = handler, .access = rows[i].access},
            {.handler = NULL}};
        const struct sb_endpoint endpoint = {
            .name = "x", .routes = routes, .needs = SB_NEEDS_JITSI};
        cr_expect_eq(sb_endpoint_needs(&endpoint), rows[i].needs, "row %zu", i);
    }
}

/* Opening */

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(runtime_open, .init = setup, .fini = teardown);

static const struct sb_route public_routes[] = {{SOUND}, {.handler = NULL}};
static const struct sb_route user_routes[] = {
    {.methods = SB_GET, .path = "", .handler = handler, .access = SB_ACCESS_USER},
    {.handler = NULL}};
static const struct sb_endpoint public_endpoint = {.name = "public", .routes = public_routes};
static const struct sb_endpoint user_endpoint = {.name = "user", .routes = user_routes};
static const struct sb_endpoint db_endpoint = {
    .name = "db", .routes = public_routes, .needs = SB_NEEDS_DB};

Test(runtime_open, a_whole_configuration_is_fine)
{
    call_site_open(&site, &public_endpoint);
    cr_assert_not(site.runtime.misconfigured);
    cr_assert(site.runtime.counters_ok);
    cr_assert_null(site.runtime.db, "it did not ask for one");
}

Test(runtime_open, a_route_for_users_has_the_database_that_tells_who_is_disabled)
{
    call_site_open(&site, &user_endpoint);
    cr_assert_not_null(site.runtime.db);
}

Test(runtime_open, counters_are_found_once_their_directory_appears)
{
    const char *run_dir = call_path(&site, "late");
    setenv("RUN_DIR", run_dir, 1);
    call_site_open(&site, &public_endpoint);
    cr_assert_not(site.runtime.counters_ok);
    cr_assert_eq(mkdir(run_dir, 0700), 0);
    sb_runtime_map_counters(&site.runtime);
    cr_assert_not(site.runtime.counters_ok, "at most one try a second");
    site.runtime.counters_tried_us -= 1000000;
    sb_runtime_map_counters(&site.runtime);
    cr_assert(site.runtime.counters_ok);
}

static size_t mappings_of(const char *name)
{
    char *maps = base_file_read("/proc/self/maps");
    cr_assert_not_null(maps);
    size_t count = base_count(maps, name);
    free(maps);
    return count;
}

Test(runtime_open, counters_that_are_mapped_are_not_mapped_again_for_those_that_cannot_be)
{
    const char *limits = call_path(&site, "run/rate-limits");
    cr_assert_eq(mkdir(limits, 0700), 0); /* in the way */
    call_site_open(&site, &public_endpoint);
    cr_assert_not(site.runtime.counters_ok);
    for (int i = 0; i < 3; i++) {
        site.runtime.counters_tried_us -= 1000000;
        sb_runtime_map_counters(&site.runtime);
    }
    cr_expect_eq(mappings_of("/run/metrics\n"), 1);
    cr_assert_eq(rmdir(limits), 0);
    site.runtime.counters_tried_us -= 1000000;
    sb_runtime_map_counters(&site.runtime);
    cr_assert(site.runtime.counters_ok);
    cr_expect_eq(mappings_of("/run/metrics\n"), 1);
    cr_expect_eq(mappings_of("/run/rate-limits\n"), 1);
}

Test(runtime_open, a_start_is_counted_once_even_if_the_counters_come_late)
{
    const char *run_dir = call_path(&site, "late");
    setenv("RUN_DIR", run_dir, 1);
    call_site_open(&site, &public_endpoint);
    cr_assert_eq(mkdir(run_dir, 0700), 0);
    for (int i = 0; i < 3; i++) {
        site.runtime.counters_tried_us -= 1000000;
        sb_runtime_map_counters(&site.runtime);
    }
    cr_assert_eq(sb_metrics_value(SB_METRIC_STARTS, "endpoint=\"public\""), 1);
    uint64_t started_s = sb_metrics_value(SB_METRIC_START_TIME, "endpoint=\"public\"");
    uint64_t now_s = (uint64_t)sb_clock_now_ms() / 1000;
    cr_assert(started_s <= now_s && started_s > now_s - 60, "%" PRIu64, started_s);
}

Test(runtime_open, the_database_is_there_for_those_who_need_it)
{
    call_site_open(&site, &db_endpoint);
    cr_assert_not_null(site.runtime.db);
}

Test(runtime_open, a_variable_is_demanded_of_those_who_need_it_alone)
{
    unsetenv("JWT_SECRET");
    call_site_open(&site, &public_endpoint);
    cr_assert_not(site.runtime.misconfigured);
    sb_worker_close(&site.worker);
    sb_runtime_close(&site.runtime);
    call_site_open(&site, &user_endpoint);
    cr_assert(site.runtime.misconfigured);
    cr_assert(call_file_has(
        &site, "log/switchboard.log",
        "\"event\":\"misconfigured\",\"endpoint\":\"user\",\"variable\":\"JWT_SECRET\""));
}

Test(runtime_open, a_state_dir_that_is_missing_is_a_misconfiguration)
{
    setenv("STATE_DIR", call_path(&site, "nowhere"), 1);
    call_site_open(&site, &public_endpoint);
    cr_assert(site.runtime.misconfigured);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"variable\":\"STATE_DIR\""));
}

Test(runtime_open, a_run_dir_that_is_missing_is_logged_and_served_without)
{
    setenv("RUN_DIR", call_path(&site, "nowhere"), 1);
    call_site_open(&site, &public_endpoint);
    cr_assert_not(site.runtime.misconfigured);
    cr_assert_not(site.runtime.counters_ok);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"event\":\"rate_limit.unavailable\""));
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"event\":\"metrics.unavailable\""));
}
