#include "base/metrics.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/base.h"

static char directory[BASE_DIR_SIZE];

static void setup(void)
{
    base_dir_make(directory);
    cr_assert(sb_metrics_open(directory));
}

static void teardown(void)
{
    base_dir_remove(directory);
}

TestSuite(metrics, .init = setup, .fini = teardown);
TestSuite(metrics_closed);

static char *written(void)
{
    struct sb_buf out;
    sb_buf_init(&out, NULL, 4 * 1024 * 1024);
    sb_buf_add_text(&out, "");
    sb_metrics_write(&out);
    cr_assert(sb_buf_ok(&out));
    return out.data;
}

/* What follows, up to assert_line(), is a strict reader of the text exposition format 0.0.4. */

struct exposition {
    const char *at;
    char family[128];
    bool histogram, gauge;
    size_t families, samples;
    /* the histogram series being read */
    char series[256];
    double last_bound;
    unsigned long long last_count;
    bool infinite, has_sum;
};

static void word(const char **at, const char *alphabet, char *out, size_t size)
{
    size_t length = strspn(*at, alphabet);
    cr_assert(length > 0 && length < size, "no word at: %.60s", *at);
    memcpy(out, *at, length);
    out[length] = '\0';
    *at += length;
}

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

static void literal(const char **at, const char *text)
{
    cr_assert_eq(strncmp(*at, text, strlen(text)), 0, "\"%s\" expected at: %.60s", text, *at);
    *at += strlen(text);
}

static void read_header(struct exposition *e)
{
    char name[128], type[32];
    literal(&e->at, "# HELP ");
    word(&e->at, NAME_CHARS, e->family, sizeof e->family);
    literal(&e->at, " ");
    size_t help = strcspn(e->at, "\n\\");
    cr_assert(help > 0 && e->at[help] == '\n');
    e->at += help + 1;
    literal(&e->at, "# TYPE ");
    word(&e->at, NAME_CHARS, name, sizeof name);
    cr_assert_str_eq(name, e->family);
    literal(&e->at, " ");
    word(&e->at, NAME_CHARS, type, sizeof type);
    e->histogram = strcmp(type, "histogram") == 0;
    e->gauge = strcmp(type, "gauge") == 0;
    cr_assert(e->histogram || e->gauge || strcmp(type, "counter") == 0, "%s", type);
    size_t length = strlen(e->family);
    bool total = length > 6 && strcmp(e->family + length - 6, "_total") == 0;
    cr_assert_eq(total, !e->histogram && !e->gauge, "%s: counters alone end in _total", e->family);
    literal(&e->at, "\n");
    e->families++;
}

/* Reads {name="value",...}; the labels but le go to others, le to bound. */
static void read_labels(const char **at, char *others, size_t size, char *bound)
{
    others[0] = bound[0] = '\0';
    if (**at != '{')
        return;
    (*at)++;
    while (**at != '}') {
        char name[64], value[128];
        word(at, NAME_CHARS, name, sizeof name);
        cr_assert_not(isdigit((unsigned char)name[0]));
        literal(at, "=\"");
        size_t length = strcspn(*at, "\"\\\n");
        cr_assert(length < sizeof value && (*at)[length] == '"');
        memcpy(value, *at, length);
        value[length] = '\0';
        *at += length + 1;
        if (strcmp(name, "le") == 0)
            snprintf(bound, 32, "%.31s", value);
        else
            snprintf(others + strlen(others), size - strlen(others), "%s=%s;", name, value);
        if (**at == ',') {
            (*at)++;
            cr_assert_neq(**at, '}', "no label after a comma");
        } else {
            cr_assert_eq(**at, '}', "%.40s", *at);
        }
    }
    (*at)++;
}

static void read_bucket(struct exposition *e, const char *series, const char *bound_text,
                        const char *value)
{
    char *end;
    double bound = strtod(bound_text, &end);
    cr_assert(*bound_text != '\0' && *end == '\0', "le=\"%s\"", bound_text);
    unsigned long long count = strtoull(value, NULL, 10);
    if (e->infinite || e->has_sum || strcmp(series, e->series) != 0) { /* a new series begins */
        snprintf(e->series, sizeof e->series, "%s", series);
        e->last_bound = -1;
        e->last_count = 0;
        e->infinite = e->has_sum = false;
    }
    cr_assert_gt(bound, e->last_bound, "bounds rise");
    cr_assert_geq(count, e->last_count, "buckets are cumulative");
    e->last_bound = bound;
    e->last_count = count;
    e->infinite = strcmp(bound_text, "+Inf") == 0;
}

static void read_sample(struct exposition *e)
{
    char name[128], labels[256], bound[32], value[64];
    word(&e->at, NAME_CHARS, name, sizeof name);
    read_labels(&e->at, labels, sizeof labels, bound);
    literal(&e->at, " ");
    word(&e->at, "0123456789.", value, sizeof value);
    literal(&e->at, "\n");
    e->samples++;
    cr_assert_eq(strncmp(name, e->family, strlen(e->family)), 0, "%s in %s", name, e->family);
    const char *suffix = name + strlen(e->family);
    if (!e->histogram) {
        cr_assert_str_empty(suffix);
        cr_assert(e->gauge || strchr(value, '.') == NULL, "counters are whole: %s", value);
        return;
    }
    if (strcmp(suffix, "_bucket") == 0) {
        read_bucket(e, labels, bound, value);
        return;
    }
    cr_assert_str_eq(labels, e->series, "sum and count follow their buckets");
    cr_assert(e->infinite, "+Inf is the last bucket");
    if (strcmp(suffix, "_sum") == 0) {
        e->has_sum = true;
        return;
    }
    cr_assert_str_eq(suffix, "_count");
    cr_assert(e->has_sum);
    cr_assert_eq(strtoull(value, NULL, 10), e->last_count, "the count is the last bucket's");
}

static void assert_series_distinct(const char *text)
{
    char **names = calloc(base_count(text, "\n") + 1, sizeof *names);
    size_t count = 0;
    for (const char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
        if (*at != '#')
            names[count++] = strndup(at, strcspn(at, " "));
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            cr_assert_str_neq(names[i], names[j], "a series comes twice");
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static struct exposition check(const char *text)
{
    struct exposition e = {.at = text};
    while (*e.at != '\0') {
        if (*e.at == '#')
            read_header(&e);
        else
            read_sample(&e);
    }
    for (const char *at = strstr(text, "# TYPE "); at != NULL; at = strstr(at + 1, "# TYPE ")) {
        char line[200];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        cr_assert_eq(base_count(text, line), 1, "%s comes twice", line);
    }
    assert_series_distinct(text);
    return e;
}

static void assert_line(const char *text, const char *line)
{
    char needle[300];
    snprintf(needle, sizeof needle, "\n%s\n", line);
    cr_assert_not_null(strstr(text, needle), "no line %s in:\n%s", line, text);
}

Test(metrics_closed, without_a_file_every_call_does_nothing)
{
    sb_metrics_add(SB_METRIC_REQUESTS, "", 1);
    sb_metrics_observe(SB_METRIC_REQUEST_DURATION, "", 1);
    cr_assert_eq(sb_metrics_value(SB_METRIC_REQUESTS, ""), 0);
    char *text = written();
    cr_assert_str_empty(text);
    free(text);
}

Test(metrics_closed, a_missing_directory_is_reported)
{
    cr_assert_not(sb_metrics_open("/nonexistent/switchboard"));
    sb_metrics_add(SB_METRIC_REQUESTS, "", 1);
    cr_assert_eq(sb_metrics_value(SB_METRIC_REQUESTS, ""), 0);
}

Test(metrics, counters_add_up_by_metric_and_labels)
{
    sb_metrics_add(SB_METRIC_REQUESTS, "endpoint=\"health\",status=\"200\"", 1);
    sb_metrics_add(SB_METRIC_REQUESTS, "endpoint=\"health\",status=\"200\"", 41);
    sb_metrics_add(SB_METRIC_REQUESTS, "endpoint=\"health\",status=\"404\"", 7);
    sb_metrics_add(SB_METRIC_WRITES, "endpoint=\"health\",status=\"200\"", 5);
    sb_metrics_add(SB_METRIC_CHECKPOINTS, "", 3);
    cr_assert_eq(sb_metrics_value(SB_METRIC_REQUESTS, "endpoint=\"health\",status=\"200\""), 42);
    cr_assert_eq(sb_metrics_value(SB_METRIC_REQUESTS, "endpoint=\"health\",status=\"404\""), 7);
    cr_assert_eq(sb_metrics_value(SB_METRIC_WRITES, "endpoint=\"health\",status=\"200\""), 5);
    cr_assert_eq(sb_metrics_value(SB_METRIC_CHECKPOINTS, ""), 3);
    cr_assert_eq(sb_metrics_value(SB_METRIC_REQUESTS, ""), 0);
}

Test(metrics, asking_for_a_value_makes_no_series)
{
    cr_assert_eq(sb_metrics_value(SB_METRIC_REQUESTS, "endpoint=\"x\""), 0);
    char *text = written();
    cr_assert_null(strstr(text, "endpoint=\"x\""));
    free(text);
}

Test(metrics, a_counter_holds_64_bits)
{
    sb_metrics_add(SB_METRIC_REQUESTS, "", UINT64_MAX);
    char *text = written();
    assert_line(text, "switchboard_http_requests_total 18446744073709551615");
    free(text);
}

enum { STANDING = 9, FACTS = 2 }; /* series at 0 from the start; what is no series */

Test(metrics, every_family_is_described_and_standing_series_are_at_0_before_anything_is_counted)
{
    char *text = written();
    struct exposition e = check(text);
    cr_assert_eq(e.families, SB_METRIC__MAX + FACTS);
    cr_assert_eq(e.samples, STANDING + FACTS, "%zu", e.samples);
    assert_line(text, "switchboard_db_writes_total{outcome=\"failed\"} 0");
    assert_line(text, "switchboard_metrics_dropped_total 0");
    free(text);
}

Test(metrics, tell_the_version_and_when_counting_began)
{
    char *text = written();
    cr_assert_not_null(strstr(text, "\nswitchboard_build_info{version=\"" SB_VERSION "\"} 1\n"));
    const char *name = "\nswitchboard_metrics_start_time_seconds ";
    const char *line = strstr(text, name);
    cr_assert_not_null(line);
    double began_s = strtod(line + strlen(name), NULL), now_s = (double)time(NULL);
    cr_assert(began_s > now_s - 60 && began_s < now_s + 2, "%f", began_s);
    free(text);
}

Test(metrics, a_gauge_is_what_it_was_set_to_last)
{
    sb_metrics_set(SB_METRIC_START_TIME, "endpoint=\"a\"", 1800000000);
    sb_metrics_set(SB_METRIC_START_TIME, "endpoint=\"a\"", 5);
    char *text = written();
    check(text);
    assert_line(text, "switchboard_process_start_time_seconds{endpoint=\"a\"} 5");
    free(text);
}

Test(metrics, label_values_are_escaped)
{
    char text[SB_METRICS_LABELS_SIZE];
    const struct sb_metrics_label labels[] = {{"a", "x\"y\\z\n"}, {"b", ""}, {NULL, NULL}};
    cr_assert_str_eq(sb_metrics_labels(text, labels), "a=\"x\\\"y\\\\z\\n\",b=\"\"");
    cr_assert_str_eq(SB_LABELS({"a", "1"}), "a=\"1\"");
}

Test(metrics, labels_that_do_not_fit_become_one_well_formed_overflow)
{
    char value[SB_METRICS_LABELS_SIZE];
    memset(value, 'x', sizeof value);
    value[SB_METRICS_LABELS_SIZE - 1 - 4] = '\0'; /* a="" */
    cr_assert_eq(strlen(SB_LABELS({"a", value})), SB_METRICS_LABELS_SIZE - 1);
    cr_assert_str_eq(SB_LABELS({"ab", value}), "overflow=\"true\"");
    cr_assert_str_eq(SB_LABELS({"a", value}, {"b", "1"}), "overflow=\"true\"");
}

static bool is_histogram(enum sb_metric metric)
{
    return metric == SB_METRIC_REQUEST_DURATION || metric == SB_METRIC_UPSTREAM_DURATION;
}

Test(metrics, every_family_is_written_in_the_exposition_format)
{
    char *fresh = written();
    size_t before = check(fresh).samples, histograms = 0;
    free(fresh);
    for (int metric = 0; metric < SB_METRIC__MAX; metric++) {
        if (is_histogram((enum sb_metric)metric)) {
            histograms++;
            sb_metrics_observe((enum sb_metric)metric, "endpoint=\"c\"", 1);
            sb_metrics_observe((enum sb_metric)metric, "endpoint=\"a\"", 700);
            sb_metrics_observe((enum sb_metric)metric, "endpoint=\"b\",kind=\"x\"", 99999999);
        } else {
            sb_metrics_add((enum sb_metric)metric, "endpoint=\"b\"", 1);
            sb_metrics_add((enum sb_metric)metric, "endpoint=\"a\"", 2);
            sb_metrics_add((enum sb_metric)metric, "endpoint=\"a\",status=\"200\"", 3);
        }
    }
    char *text = written();
    struct exposition e = check(text);
    cr_assert_eq(e.families, SB_METRIC__MAX + FACTS);
    size_t values = SB_METRIC__MAX - histograms;
    cr_assert_eq(e.samples, before + 3 * values + 3 * 16 * histograms, "%zu", e.samples);
    assert_line(text, "switchboard_http_requests_total{endpoint=\"b\"} 1");
    assert_line(text, "switchboard_http_requests_total{endpoint=\"a\",status=\"200\"} 3");
    free(text);
}

Test(metrics, a_histogram_is_cumulative_and_its_bounds_are_inclusive)
{
    static const uint64_t observed_us[] = {0,       500,      501,      1000,      2500000,
                                           2500001, 10000000, 10000001, 3600000000};
    for (size_t i = 0; i < SB_COUNT(observed_us); i++)
        sb_metrics_observe(SB_METRIC_REQUEST_DURATION, "endpoint=\"a\"", observed_us[i]);
    char *text = written();
    check(text);
#define LINE(suffix, value)                                                                        \
    assert_line(text, "switchboard_http_request_duration_seconds" suffix " " value)
    LINE("_bucket{endpoint=\"a\",le=\"0.0005\"}", "2");
    LINE("_bucket{endpoint=\"a\",le=\"0.001\"}", "4");
    LINE("_bucket{endpoint=\"a\",le=\"0.0025\"}", "4");
    LINE("_bucket{endpoint=\"a\",le=\"1\"}", "4");
    LINE("_bucket{endpoint=\"a\",le=\"2.5\"}", "5");
    LINE("_bucket{endpoint=\"a\",le=\"10\"}", "7");
    LINE("_bucket{endpoint=\"a\",le=\"+Inf\"}", "9");
    LINE("_sum{endpoint=\"a\"}", "3625.002003");
    LINE("_count{endpoint=\"a\"}", "9");
#undef LINE
    free(text);
}

static const char *const race_labels[] = {"policy=\"a\"", "policy=\"b\"", "policy=\"c\"",
                                          "policy=\"d\"", "policy=\"e\""};
enum { RACERS = 8, ADDITIONS = 5000 };

static bool count_many(int index, void *context)
{
    (void)index, (void)context;
    for (size_t i = 0; i < ADDITIONS; i++) {
        sb_metrics_add(SB_METRIC_RATE_LIMITED, race_labels[i % SB_COUNT(race_labels)], i % 3);
        sb_metrics_observe(SB_METRIC_REQUEST_DURATION, "endpoint=\"race\"", i);
    }
    return true;
}

static void assert_race_sums(uint64_t racers)
{
    uint64_t expected[SB_COUNT(race_labels)] = {0};
    for (size_t i = 0; i < ADDITIONS; i++)
        expected[i % SB_COUNT(race_labels)] += racers * (i % 3);
    for (size_t i = 0; i < SB_COUNT(race_labels); i++)
        cr_assert_eq(sb_metrics_value(SB_METRIC_RATE_LIMITED, race_labels[i]), expected[i], "%s",
                     race_labels[i]);
    char *text = written(), line[200];
    check(text);
    snprintf(line, sizeof line,
             "switchboard_http_request_duration_seconds_count{endpoint=\"race\"} %llu",
             (unsigned long long)racers * ADDITIONS);
    assert_line(text, line);
    uint64_t sum_us = racers * ADDITIONS * (ADDITIONS - 1) / 2;
    snprintf(line, sizeof line,
             "switchboard_http_request_duration_seconds_sum{endpoint=\"race\"} %llu.%06llu",
             (unsigned long long)sum_us / 1000000, (unsigned long long)sum_us % 1000000);
    assert_line(text, line);
    free(text);
}

Test(metrics, sums_over_processes_are_exact)
{
    cr_assert(base_race(RACERS, count_many, NULL));
    assert_race_sums(RACERS);
}

static void *count_many_thread(void *context)
{
    count_many(0, context);
    return NULL;
}

Test(metrics, sums_over_threads_are_exact)
{
    pthread_t threads[RACERS];
    for (int i = 0; i < RACERS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count_many_thread, NULL), 0);
    for (int i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    assert_race_sums(RACERS);
}

static bool open_and_name_all(int index, void *context)
{
    (void)index;
    if (!sb_metrics_open(context))
        return false;
    for (int i = 0; i < 200; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "policy=\"%d\"", i);
        sb_metrics_add(SB_METRIC_RATE_LIMITED, labels, 1);
    }
    return true;
}

Test(metrics, processes_that_start_at_once_make_each_series_once)
{
    for (int round = 0; round < 10; round++) {
        char fresh[BASE_DIR_SIZE];
        base_dir_make(fresh);
        cr_assert(base_race(RACERS, open_and_name_all, fresh));
        cr_assert(sb_metrics_open(fresh));
        char *text = written();
        cr_assert_eq(base_count(text, "\"} 8\n"), 200, "%s", text);
        check(text);
        free(text);
        base_dir_remove(fresh);
    }
}

Test(metrics, labels_of_95_bytes_are_kept_and_longer_ones_counted_as_dropped)
{
    char labels[SB_METRICS_LABELS_SIZE + 1];
    snprintf(labels, sizeof labels, "a=\"%0*d\"", SB_METRICS_LABELS_SIZE - 1 - 4, 1);
    cr_assert_eq(strlen(labels), SB_METRICS_LABELS_SIZE - 1);
    sb_metrics_add(SB_METRIC_REQUESTS, labels, 1);
    cr_assert_eq(sb_metrics_value(SB_METRIC_REQUESTS, labels), 1);
    cr_assert_eq(sb_metrics_value(SB_METRIC_DROPPED, ""), 0);
    snprintf(labels, sizeof labels, "a=\"%0*d\"", SB_METRICS_LABELS_SIZE - 4, 1);
    sb_metrics_add(SB_METRIC_REQUESTS, labels, 1);
    sb_metrics_observe(SB_METRIC_REQUEST_DURATION, labels, 1);
    cr_assert_eq(sb_metrics_value(SB_METRIC_REQUESTS, labels), 0);
    cr_assert_eq(sb_metrics_value(SB_METRIC_DROPPED, ""), 2);
}

Test(metrics, when_the_file_is_full_counts_are_dropped_and_that_is_counted)
{
    enum { SERIES = 1100 };
    size_t kept = 0;
    for (int i = 0; i < SERIES; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "policy=\"%d\"", i);
        sb_metrics_add(SB_METRIC_RATE_LIMITED, labels, 1);
        kept += sb_metrics_value(SB_METRIC_RATE_LIMITED, labels);
    }
    cr_assert_eq(kept, 1024 - STANDING, "%zu", kept);
    cr_assert_eq(sb_metrics_value(SB_METRIC_DROPPED, ""), SERIES - kept);
    sb_metrics_add(SB_METRIC_RATE_LIMITED, "policy=\"0\"", 1);
    cr_assert_eq(sb_metrics_value(SB_METRIC_RATE_LIMITED, "policy=\"0\""), 2,
                 "what has a place goes on counting");
    char *text = written();
    check(text);
    free(text);
}

Test(metrics, an_output_over_its_cap_fails_the_buffer)
{
    char storage[64];
    struct sb_buf out;
    sb_buf_init_fixed(&out, storage, sizeof storage);
    sb_metrics_add(SB_METRIC_REQUESTS, "", 1);
    sb_metrics_write(&out);
    cr_assert_not(sb_buf_ok(&out));
}
