#include "upstream/flights.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static struct sb_arena *arena;

static void set_up(void)
{
    arena = sb_arena_new(1024 * 1024);
}

static void tear_down(void)
{
    sb_arena_free(arena);
}

TestSuite(flights, .init = set_up, .fini = tear_down);

static struct sb_flight *lead(const char *key)
{
    struct sb_flight *flight = NULL;
    cr_assert_eq(sb_flight_board(key, &flight), SB_FLIGHT_LEADS);
    return flight;
}

static struct sb_flight *follow(const char *key)
{
    struct sb_flight *flight = NULL;
    cr_assert_eq(sb_flight_board(key, &flight), SB_FLIGHT_FOLLOWS);
    return flight;
}

Test(flights, the_first_leads_and_all_others_get_what_it_lands_with)
{
    enum sb_error error;
    const char *text;
    struct sb_flight *one = lead("a"), *two = follow("a"), *three = follow("a");
    cr_assert_eq(sb_flight_wait(two, 0, arena, &error, &text), SB_FLIGHT_FLYING);
    sb_flight_land(one, SB_OK, "hello");
    cr_assert_eq(sb_flight_wait(two, 0, arena, &error, &text), SB_FLIGHT_LANDED);
    cr_assert_eq(error, SB_OK);
    cr_assert_str_eq(text, "hello");
    cr_assert_eq(sb_flight_wait(three, 0, arena, &error, &text), SB_FLIGHT_LANDED);
    cr_assert_str_eq(text, "hello");
}

Test(flights, another_key_is_another_flight)
{
    struct sb_flight *one = lead("a"), *two = lead("b");
    cr_assert_neq(one, two);
    sb_flight_land(one, SB_OK, "");
    sb_flight_land(two, SB_OK, "");
}

Test(flights, an_error_is_shared)
{
    enum sb_error error;
    const char *text;
    struct sb_flight *one = lead("a"), *two = follow("a");
    sb_flight_land(one, SB_E_UPSTREAM_ERROR, "");
    cr_assert_eq(sb_flight_wait(two, 0, arena, &error, &text), SB_FLIGHT_LANDED);
    cr_assert_eq(error, SB_E_UPSTREAM_ERROR);
}

Test(flights, who_comes_after_the_landing_leads_anew_while_others_still_read)
{
    enum sb_error error;
    const char *text;
    struct sb_flight *one = lead("a"), *two = follow("a");
    sb_flight_land(one, SB_OK, "first");
    struct sb_flight *next = lead("a");
    cr_assert_eq(sb_flight_wait(two, 0, arena, &error, &text), SB_FLIGHT_LANDED);
    cr_assert_str_eq(text, "first");
    sb_flight_land(next, SB_OK, "second");
}

Test(flights, an_abandoned_flight_is_led_by_one_who_followed)
{
    enum sb_error error;
    const char *text;
    struct sb_flight *one = lead("a"), *two = follow("a"), *three = follow("a");
    sb_flight_abandon(one);
    cr_assert_eq(sb_flight_wait(two, 0, arena, &error, &text), SB_FLIGHT_ABANDONED);
    cr_assert_eq(sb_flight_wait(three, 0, arena, &error, &text), SB_FLIGHT_ABANDONED);
    struct sb_flight *again = lead("a");
    follow("a");
    sb_flight_land(again, SB_OK, "");
}

Test(flights, places_are_limited_and_come_back)
{
    struct sb_flight *flights[SB_FLIGHTS_MAX], *more;
    char key[16];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SB_FLIGHTS_MAX; i++) {
            snprintf(key, sizeof key, "%d", i);
            flights[i] = lead(key);
        }
        cr_assert_eq(sb_flight_board("more", &more), SB_FLIGHT_ALONE);
        sb_flight_leave(follow("0"));
        for (int i = 0; i < SB_FLIGHTS_MAX; i++)
            sb_flight_land(flights[i], SB_OK, "");
    }
}

Test(flights, a_place_is_kept_until_the_last_has_read)
{
    enum sb_error error;
    const char *text;
    struct sb_flight *one = lead("a"), *two = follow("a"), *more;
    sb_flight_land(one, SB_OK, "kept");
    char key[16];
    for (int i = 0; i < SB_FLIGHTS_MAX - 1; i++) {
        snprintf(key, sizeof key, "%d", i);
        sb_flight_land(lead(key), SB_OK, "other");
        cr_assert_eq(sb_flight_board(key, &more), SB_FLIGHT_LEADS);
    }
    cr_assert_eq(sb_flight_board("more", &more), SB_FLIGHT_ALONE);
    cr_assert_eq(sb_flight_wait(two, 0, arena, &error, &text), SB_FLIGHT_LANDED);
    cr_assert_str_eq(text, "kept");
    lead("more");
}

Test(flights, who_waits_sleeps_until_its_time_is_over)
{
    enum sb_error error;
    const char *text;
    lead("a");
    struct sb_flight *two = follow("a");
    int64_t began_us = sb_clock_mono_us();
    cr_assert_eq(sb_flight_wait(two, 30, arena, &error, &text), SB_FLIGHT_FLYING);
    cr_assert_geq(sb_clock_mono_us() - began_us, 30000);
}

Test(flights, a_key_that_is_too_long_flies_alone)
{
    struct sb_flight *flight;
    char key[SB_SHA256_HEX_SIZE + 1];
    memset(key, 'a', sizeof key);
    key[SB_SHA256_HEX_SIZE] = '\0';
    cr_assert_eq(sb_flight_board(key, &flight), SB_FLIGHT_ALONE);
    key[SB_SHA256_HEX_SIZE - 1] = '\0';
    cr_assert_eq(sb_flight_board(key, &flight), SB_FLIGHT_LEADS);
}

static atomic_int led, followed;

static void *request(void *unused)
{
    (void)unused;
    struct sb_arena *own = sb_arena_new(64 * 1024);
    struct sb_flight *flight;
    enum sb_error error = SB_E_INTERNAL;
    const char *text = "";
    if (sb_flight_board("k", &flight) == SB_FLIGHT_LEADS) {
        atomic_fetch_add(&led, 1);
        sb_flight_land(flight, SB_OK, "reply");
    } else if (sb_flight_wait(flight, 10000, own, &error, &text) == SB_FLIGHT_LANDED &&
               error == SB_OK && strcmp(text, "reply") == 0) {
        atomic_fetch_add(&followed, 1);
    }
    sb_arena_free(own);
    return NULL;
}

Test(flights, threads_lead_or_follow_and_none_is_lost)
{
    enum { THREADS = 32 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, request, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(led + followed, THREADS);
    cr_assert_geq(led, 1);
}
