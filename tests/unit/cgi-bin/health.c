#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/call.h"
#include "base/clock.h"
#include "base/metrics.h"

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(health, .init = setup, .fini = teardown);

#define GET(target_) call_send(&site, &(struct call){.target = (target_)})

Test(health, says_that_the_site_is_up)
{
    call_site_open(&site, &sb_endpoint);
    char before[SB_CLOCK_TEXT_SIZE], after[SB_CLOCK_TEXT_SIZE];
    sb_clock_format(sb_clock_now_ms(), before);
    const struct call_answer *answer = GET("/api/health");
    sb_clock_format(sb_clock_now_ms(), after);
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(call_text(answer, "status"), "ok");
    cr_assert_str_eq(call_text(answer, "version"), SB_VERSION);
    cr_assert_geq(strcmp(call_text(answer, "time"), before), 0);
    cr_assert_leq(strcmp(call_text(answer, "time"), after), 0);
    int64_t uptime_s = call_number(answer, "uptimeSeconds");
    cr_assert(uptime_s >= 0 && uptime_s < 60);
}

Test(health, is_there_under_its_old_name)
{
    call_site_open(&site, &sb_endpoint);
    cr_assert_str_eq(call_text(GET("/api/health.php"), "status"), "ok");
    cr_assert_eq(GET("/api/health.php/live")->status, 404);
}

Test(health, live_is_the_process_alone)
{
    call_site_open(&site, &sb_endpoint);
    unlink(call_path(&site, "state/switchboard.db"));
    const struct call_answer *answer = GET("/api/health/live");
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(call_text(answer, "status"), "live");
}

static void expect_checks(const struct call_answer *answer, const char *configuration,
                          const char *database, const char *disk)
{
    cr_expect_str_eq(call_text(answer, "checks.configuration.status"), configuration);
    cr_expect_str_eq(call_text(answer, "checks.database.status"), database);
    cr_expect_str_eq(call_text(answer, "checks.disk.status"), disk);
    cr_expect_geq(call_number(answer, "checks.configuration.durationMs"), 0);
    cr_expect_geq(call_number(answer, "checks.database.durationMs"), 0);
    cr_expect_geq(call_number(answer, "checks.disk.durationMs"), 0);
}

Test(health, ready_when_configuration_database_and_disk_are)
{
    call_site_open(&site, &sb_endpoint);
    const struct call_answer *answer = GET("/api/health/ready");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "status"), "ready");
    expect_checks(answer, "ok", "ok", "ok");
}

Test(health, ready_writes_to_the_database)
{
    call_site_open(&site, &sb_endpoint);
    GET("/api/health/ready");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM probe WHERE id = 1"), 1);
}

Test(health, not_ready_reports_what_failed_and_is_a_whole_error)
{
    call_site_open(&site, &sb_endpoint);
    unlink(call_path(&site, "state/switchboard.db"));
    const struct call_answer *answer = GET("/api/health/ready");
    cr_assert_eq(answer->status, 503);
    cr_assert_not_null(answer->json, "two members of one name: %s", answer->body);
    cr_assert_str_eq(call_text(answer, "error.code"), "unavailable");
    cr_assert_eq(call_number(answer, "status"), 503);
    expect_checks(answer, "ok", "fail", "ok");
}

Test(health, not_ready_when_another_endpoints_configuration_is_broken)
{
    setenv("TURN_PORT", "99999", 1);
    call_site_open(&site, &sb_endpoint);
    cr_assert_eq(GET("/api/health")->status, 200);
    const struct call_answer *answer = GET("/api/health/ready");
    cr_assert_eq(answer->status, 503);
    expect_checks(answer, "fail", "ok", "ok");
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"variable\":\"TURN_PORT\""));
    cr_assert_null(strstr(answer->body, "TURN"));
}

Test(health, a_report_is_shared_for_a_second)
{
    call_site_open(&site, &sb_endpoint);
    cr_assert_eq(GET("/api/health/ready")->status, 200);
    int64_t start_us = sb_clock_mono_us();
    unlink(call_path(&site, "state/switchboard.db"));
    const struct call_answer *answer = GET("/api/health/ready");
    if (sb_clock_mono_us() - start_us < 900000)
        cr_assert_eq(answer->status, 200);
}

static uint64_t checked(const char *labels)
{
    return sb_metrics_value(SB_METRIC_READY_CHECKS, labels);
}

Test(health, the_outcome_of_each_check_is_counted)
{
    call_site_open(&site, &sb_endpoint);
    unlink(call_path(&site, "state/switchboard.db"));
    GET("/api/health/ready");
    cr_assert_eq(checked("check=\"database\",outcome=\"fail\""), 1);
    cr_assert_eq(checked("check=\"database\",outcome=\"ok\""), 0);
    cr_assert_eq(checked("check=\"disk\",outcome=\"ok\""), 1);
    cr_assert_eq(checked("check=\"disk\",outcome=\"fail\""), 0);
    cr_assert_eq(checked("check=\"configuration\",outcome=\"ok\""), 1);
    cr_assert_eq(checked("check=\"counters\",outcome=\"ok\""), 1);
}

Test(health, a_first_failure_is_seen_as_an_increase)
{
    call_site_open(&site, &sb_endpoint);
    GET("/api/health/ready");
    struct sb_buf text;
    sb_buf_init(&text, NULL, 1024 * 1024);
    sb_metrics_write(&text);
    cr_assert_not_null(strstr(
        text.data, "switchboard_ready_checks_total{check=\"database\",outcome=\"fail\"} 0\n"));
    sb_buf_free(&text);
}

Test(health, answers_without_the_limiter)
{
    setenv("RUN_DIR", call_path(&site, "nowhere"), 1);
    call_site_open(&site, &sb_endpoint);
    cr_assert_eq(GET("/api/health")->status, 200);
    cr_assert_eq(GET("/api/health/live")->status, 200);
    cr_assert_eq(GET("/api/health/ready")->status, 503, "its counters are part of being ready");
}

Test(health, has_its_own_limit)
{
    call_site_open(&site, &sb_endpoint);
    cr_assert_str_eq(call_header(GET("/api/health"), "RateLimit-Policy"), "\"health\";q=300;w=60");
}

/* The milliseconds within its minute of the time in an event: "...T02:12:32.696Z". */
static int ms_of_minute(const char *event)
{
    const char *point = strchr(event, '.');
    cr_assert_not_null(point);
    return (int)(strtol(point - 2, NULL, 10) * 1000 + strtol(point + 1, NULL, 10));
}

Test(health, stream_sends_two_events_with_a_pause_between_their_times)
{
    call_site_open(&site, &sb_endpoint);
    const struct call_answer *answer = GET("/api/health/stream");
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(call_header(answer, "Content-Type"), "text/event-stream");
    cr_assert_str_eq(call_header(answer, "X-Accel-Buffering"), "no");
    const char *first = strstr(answer->body, "event: first\ndata: {\"time\":\"");
    const char *second = strstr(answer->body, "\"}\n\nevent: second\ndata: {\"time\":\"");
    cr_assert(first == answer->body && second != NULL, "%s", answer->body);
    cr_assert_geq((ms_of_minute(second) - ms_of_minute(first) + 60000) % 60000, 300);
}

Test(health, stream_ends_early_for_a_client_that_has_gone)
{
    call_site_open(&site, &sb_endpoint);
    int64_t start_us = sb_clock_mono_us();
    call_send(&site, &(struct call){.target = "/api/health/stream", .hang_up = true});
    cr_assert_lt(sb_clock_mono_us() - start_us, 300000);
}

Test(health, stream_has_a_limit_of_its_own_and_a_lower_one)
{
    call_site_open(&site, &sb_endpoint);
    cr_assert_str_eq(call_header(GET("/api/health/stream"), "RateLimit-Policy"),
                     "\"health-stream\";q=10;w=60");
}
