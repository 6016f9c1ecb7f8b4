#include "upstream/flights.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

struct sb_flight {
    char key[SB_SHA256_HEX_SIZE];
    size_t seats; /* taken; 0: the place is free */
    enum sb_flight_state state;
    enum sb_error error;
    char text[SB_FLIGHT_TEXT_MAX + 1];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t over; /* some flight is */
    struct sb_flight flights[SB_FLIGHTS_MAX];
} sky = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};

static enum sb_flight_seat board_locked(const char *key, struct sb_flight **flight)
{
    struct sb_flight *free_place = NULL;
    for (size_t i = 0; i < SB_FLIGHTS_MAX; i++) {
        struct sb_flight *at = &sky.flights[i];
        if (at->seats == 0) {
            free_place = free_place == NULL ? at : free_place;
        } else if (at->state == SB_FLIGHT_FLYING && strcmp(at->key, key) == 0) {
            at->seats++;
            *flight = at;
            return SB_FLIGHT_FOLLOWS;
        }
    }
    if (free_place == NULL || strlen(key) >= sizeof free_place->key)
        return SB_FLIGHT_ALONE;
    free_place->seats = 1;
    free_place->state = SB_FLIGHT_FLYING;
    snprintf(free_place->key, sizeof free_place->key, "%s", key);
    *flight = free_place;
    return SB_FLIGHT_LEADS;
}

enum sb_flight_seat sb_flight_board(const char *key, struct sb_flight **flight)
{
    pthread_mutex_lock(&sky.lock);
    enum sb_flight_seat seat = board_locked(key, flight);
    pthread_mutex_unlock(&sky.lock);
    return seat;
}

static void end(struct sb_flight *flight, enum sb_flight_state state, enum sb_error error,
                const char *text)
{
    pthread_mutex_lock(&sky.lock);
    flight->state = state;
    flight->error = error;
    snprintf(flight->text, sizeof flight->text, "%s", text);
    flight->seats--;
    pthread_cond_broadcast(&sky.over);
    pthread_mutex_unlock(&sky.lock);
}

void sb_flight_land(struct sb_flight *flight, enum sb_error error, const char *text)
{
    end(flight, SB_FLIGHT_LANDED, error, text);
}

void sb_flight_abandon(struct sb_flight *flight)
{
    end(flight, SB_FLIGHT_ABANDONED, SB_E_UNAVAILABLE, "");
}

enum sb_flight_state sb_flight_wait(struct sb_flight *flight, int64_t wait_ms,
                                    struct sb_arena *arena, enum sb_error *error, const char **text)
{
    struct timespec until = sb_clock_deadline(wait_ms);
    int waited = 0;
    pthread_mutex_lock(&sky.lock);
    while (flight->state == SB_FLIGHT_FLYING && waited == 0)
        waited = pthread_cond_clockwait(&sky.over, &sky.lock, CLOCK_MONOTONIC, &until);
    enum sb_flight_state state = flight->state;
    if (state != SB_FLIGHT_FLYING) {
        *error = flight->error;
        *text = sb_arena_strdup(arena, flight->text);
        flight->seats--;
    }
    pthread_mutex_unlock(&sky.lock);
    return state;
}

void sb_flight_leave(struct sb_flight *flight)
{
    pthread_mutex_lock(&sky.lock);
    flight->seats--;
    pthread_mutex_unlock(&sky.lock);
}
