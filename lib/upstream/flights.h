/* Work that several requests of this process ask for at once, done by the first of them: it leads,
 * the others follow and get what it lands with. */
#ifndef SB_UPSTREAM_FLIGHTS_H
#define SB_UPSTREAM_FLIGHTS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/crypto.h"

enum {
    SB_FLIGHTS_MAX = 64,      /* at once; more work is done alone */
    SB_FLIGHT_TEXT_MAX = 4096 /* bytes of what is landed with */
};

enum sb_flight_seat {
    SB_FLIGHT_LEADS,   /* to do the work, then sb_flight_land() or sb_flight_abandon() */
    SB_FLIGHT_FOLLOWS, /* to sb_flight_wait() until it is over, or sb_flight_leave() */
    SB_FLIGHT_ALONE    /* no place: to do the work by itself; there is no flight */
};

enum sb_flight_state { SB_FLIGHT_FLYING, SB_FLIGHT_LANDED, SB_FLIGHT_ABANDONED };

struct sb_flight;

/* Takes a seat in the flight with this key (of less than SB_SHA256_HEX_SIZE bytes), a new one if
 * none is flying. Any thread. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_flight_seat sb_flight_board(const char *key,
                                                                 struct sb_flight **flight);

/* The leader's end: all who follow get error and text (up to SB_FLIGHT_TEXT_MAX bytes; "" with an
 * error). */
SB_NONNULL_ALL void sb_flight_land(struct sb_flight *flight, enum sb_error error, const char *text);

/* The leader gives up for a reason of its own; who follows boards anew. */
SB_NONNULL_ALL void sb_flight_abandon(struct sb_flight *flight);

/* Waits up to wait_ms for the end of the flight. Once it is not SB_FLIGHT_FLYING any more, the
 * caller is out of it. SB_FLIGHT_LANDED: *error, and *text in arena (NULL: out of memory). */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_flight_state
sb_flight_wait(struct sb_flight *flight, int64_t wait_ms, struct sb_arena *arena,
               enum sb_error *error, const char **text);

/* A follower goes before the end. */
SB_NONNULL_ALL void sb_flight_leave(struct sb_flight *flight);

#endif
