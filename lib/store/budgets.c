#include "store/budgets.h"

#include <string.h>

static const int64_t day_ms = 86400000;

const char *const sb_budget_names[] = {[SB_BUDGET_TURNS] = "turns",
                                       [SB_BUDGET_SECONDS] = "seconds",
                                       [SB_BUDGET_TOKENS] = "tokens",
                                       [SB_BUDGET_SITE_SECONDS] = "seconds of the whole site",
                                       [SB_BUDGET_SITE_TOKENS] = "tokens of the whole site",
                                       NULL};

int64_t sb_budget_day(int64_t now_ms)
{
    return now_ms / day_ms;
}

int64_t sb_budget_renewal_ms(int64_t now_ms)
{
    return (sb_budget_day(now_ms) + 1) * day_ms;
}

static enum sb_error read_spend(const struct sb_db_row *row, void *context)
{
    *(struct sb_spend *)context =
        (struct sb_spend){sb_db_row_int(row, 0), sb_db_row_int(row, 1), sb_db_row_int(row, 2)};
    return SB_OK;
}

/* What owner spent on the day, and what it has set aside. */
static enum sb_error owner_spend(struct sb_db_conn *tx, const struct sb_reservation *reservation,
                                 struct sb_spend *spend)
{
    return sb_db_query(tx,
                       "SELECT sum(turns), sum(seconds), sum(tokens) FROM ("
                       " SELECT turns, seconds, tokens FROM usage WHERE day = $2 AND owner = $1"
                       " UNION ALL SELECT turns, seconds, tokens FROM reservations"
                       " WHERE owner = $1 AND day = $2 AND deadline > $3)",
                       SB_DB_VALUES(SB_DB_TEXT(reservation->owner),
                                    SB_DB_INT(sb_budget_day(reservation->now_ms)),
                                    SB_DB_INT(reservation->now_ms)),
                       read_spend, spend);
}

/* The same of everybody. */
static enum sb_error site_spend(struct sb_db_conn *tx, const struct sb_reservation *reservation,
                                struct sb_spend *spend)
{
    return sb_db_query(
        tx,
        "SELECT sum(turns), sum(seconds), sum(tokens) FROM ("
        " SELECT turns, seconds, tokens FROM usage"
        " WHERE day = $1 AND owner = '" SB_BUDGET_SITE "'"
        " UNION ALL SELECT turns, seconds, tokens FROM reservations"
        " WHERE day = $1 AND deadline > $2)",
        SB_DB_VALUES(SB_DB_INT(sb_budget_day(reservation->now_ms)), SB_DB_INT(reservation->now_ms)),
        read_spend, spend);
}

/* Without overflow: all three are 0 or more. */
static bool exceeds(int64_t spent, int64_t more, int64_t limit)
{
    return limit > 0 && spent > limit - more;
}

/* The seconds that are set aside of those asked for, when spent are gone of limit. */
static int64_t seconds_for(const struct sb_reservation *reservation, int64_t spent, int64_t limit)
{
    int64_t asked = reservation->spend.seconds, least = reservation->seconds_least;
    bool fewer = least > 0 && exceeds(spent, asked, limit) && !exceeds(spent, least, limit);
    return fewer ? limit - spent : asked;
}

static enum sb_error check(struct sb_db_conn *tx, const struct sb_reservation *reservation,
                           const struct sb_spend *limit, const struct sb_spend *site_limit,
                           struct sb_reserved *reserved)
{
    struct sb_spend own = {0}, site = {0};
    const struct sb_spend *more = &reservation->spend;
    enum sb_error error = owner_spend(tx, reservation, &own);
    if (error == SB_OK && (site_limit->seconds > 0 || site_limit->tokens > 0))
        error = site_spend(tx, reservation, &site);
    if (error != SB_OK)
        return error;
    int64_t of_own = seconds_for(reservation, own.seconds, limit->seconds);
    int64_t of_site = seconds_for(reservation, site.seconds, site_limit->seconds);
    reserved->seconds = of_own < of_site ? of_own : of_site;
    const bool refusals[] = {
        [SB_BUDGET_TURNS] = exceeds(own.turns, more->turns, limit->turns),
        [SB_BUDGET_SECONDS] = exceeds(own.seconds, reserved->seconds, limit->seconds),
        [SB_BUDGET_TOKENS] = exceeds(own.tokens, more->tokens, limit->tokens),
        [SB_BUDGET_SITE_SECONDS] = exceeds(site.seconds, reserved->seconds, site_limit->seconds),
        [SB_BUDGET_SITE_TOKENS] = exceeds(site.tokens, more->tokens, site_limit->tokens),
    };
    for (size_t i = 0; i < SB_COUNT(refusals); i++) {
        if (!refusals[i])
            continue;
        reserved->exceeded = (enum sb_budget)i;
        return SB_E_BUDGET_EXCEEDED;
    }
    return SB_OK;
}

enum sb_error sb_budget_reserve(struct sb_db_conn *tx, const struct sb_reservation *reservation,
                                const struct sb_spend *limit, const struct sb_spend *site_limit,
                                struct sb_reserved *reserved)
{
    enum sb_error error = check(tx, reservation, limit, site_limit, reserved);
    if (error != SB_OK)
        return error;
    return sb_db_exec(
        tx,
        "INSERT INTO reservations (id, owner, day, deadline, turns, seconds, tokens)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        SB_DB_VALUES(SB_DB_TEXT(reservation->id), SB_DB_TEXT(reservation->owner),
                     SB_DB_INT(sb_budget_day(reservation->now_ms)),
                     SB_DB_INT(reservation->deadline_ms), SB_DB_INT(reservation->spend.turns),
                     SB_DB_INT(reserved->seconds), SB_DB_INT(reservation->spend.tokens)),
        NULL);
}

enum sb_error sb_budget_settle(struct sb_db_conn *tx, const char *reservation_id,
                               const struct sb_spend *real)
{
    /* Counted while the reservation's row is there, and in the transaction that deletes it. */
    enum sb_error error =
        sb_db_exec(tx,
                   "INSERT INTO usage (day, owner, turns, seconds, tokens)"
                   " SELECT r.day, o.owner, $2, $3, $4 FROM reservations r JOIN"
                   " (SELECT owner FROM reservations WHERE id = $1"
                   "  UNION ALL SELECT '" SB_BUDGET_SITE "') o"
                   " WHERE r.id = $1 AND ($2 > 0 OR $3 > 0 OR $4 > 0)"
                   " ON CONFLICT (day, owner) DO UPDATE SET turns = turns + excluded.turns,"
                   " seconds = seconds + excluded.seconds, tokens = tokens + excluded.tokens",
                   SB_DB_VALUES(SB_DB_TEXT(reservation_id), SB_DB_INT(real->turns),
                                SB_DB_INT(real->seconds), SB_DB_INT(real->tokens)),
                   NULL);
    if (error != SB_OK)
        return error;
    return sb_db_exec(tx, "DELETE FROM reservations WHERE id = $1",
                      SB_DB_VALUES(SB_DB_TEXT(reservation_id)), NULL);
}

enum sb_error sb_budget_pay(struct sb_db_conn *tx, const struct sb_reservation *reservation,
                            const struct sb_spend *limit, const struct sb_spend *site_limit,
                            struct sb_reserved *reserved)
{
    const struct sb_spend *spend = &reservation->spend;
    enum sb_error error = check(tx, reservation, limit, site_limit, reserved);
    if (error != SB_OK)
        return error;
    return sb_db_exec(tx,
                      "INSERT INTO usage (day, owner, turns, seconds, tokens)"
                      " VALUES ($1, $2, $3, $4, $5), ($1, '" SB_BUDGET_SITE "', $3, $4, $5)"
                      " ON CONFLICT (day, owner) DO UPDATE SET turns = turns + excluded.turns,"
                      " seconds = seconds + excluded.seconds, tokens = tokens + excluded.tokens",
                      SB_DB_VALUES(SB_DB_INT(sb_budget_day(reservation->now_ms)),
                                   SB_DB_TEXT(reservation->owner), SB_DB_INT(spend->turns),
                                   SB_DB_INT(reserved->seconds), SB_DB_INT(spend->tokens)),
                      NULL);
}

enum sb_error sb_budget_refund(struct sb_db_conn *tx, const struct sb_reservation *reservation)
{
    const struct sb_spend *spend = &reservation->spend;
    int64_t day = sb_budget_day(reservation->now_ms);
    enum sb_error error = sb_db_exec(
        tx,
        "UPDATE usage SET turns = max(turns - $3, 0), seconds = max(seconds - $4, 0),"
        " tokens = max(tokens - $5, 0) WHERE day = $1 AND owner IN ($2, '" SB_BUDGET_SITE "')",
        SB_DB_VALUES(SB_DB_INT(day), SB_DB_TEXT(reservation->owner), SB_DB_INT(spend->turns),
                     SB_DB_INT(spend->seconds), SB_DB_INT(spend->tokens)),
        NULL);
    if (error != SB_OK)
        return error;
    return sb_db_exec(tx,
                      "DELETE FROM usage WHERE day = $1 AND owner IN ($2, '" SB_BUDGET_SITE "')"
                      " AND turns = 0 AND seconds = 0 AND tokens = 0",
                      SB_DB_VALUES(SB_DB_INT(day), SB_DB_TEXT(reservation->owner)), NULL);
}

struct each {
    int64_t day;
    enum sb_error (*call)(const struct sb_usage *usage, void *context);
    void *context;
};

static enum sb_error each_usage(const struct sb_db_row *row, void *context)
{
    const struct each *each = context;
    const struct sb_usage usage = {
        .owner = sb_db_row_text(row, 0),
        .day = each->day,
        .spent = {sb_db_row_int(row, 1), sb_db_row_int(row, 2), sb_db_row_int(row, 3)},
        .reserved = {sb_db_row_int(row, 4), sb_db_row_int(row, 5), sb_db_row_int(row, 6)},
    };
    return each->call(&usage, each->context);
}

enum sb_error sb_usage_each(struct sb_db_conn *conn, int64_t day, int64_t now_ms,
                            enum sb_error (*each)(const struct sb_usage *usage, void *context),
                            void *context)
{
    struct each state = {day, each, context};
    return sb_db_query(conn,
                       "SELECT owner, sum(turns), sum(seconds), sum(tokens), sum(reserved_turns),"
                       " sum(reserved_seconds), sum(reserved_tokens) FROM ("
                       " SELECT owner, turns, seconds, tokens, 0 AS reserved_turns,"
                       "  0 AS reserved_seconds, 0 AS reserved_tokens FROM usage WHERE day = $1"
                       " UNION ALL SELECT owner, 0, 0, 0, turns, seconds, tokens"
                       "  FROM reservations WHERE day = $1 AND deadline > $2"
                       ") GROUP BY owner ORDER BY owner",
                       SB_DB_VALUES(SB_DB_INT(day), SB_DB_INT(now_ms)), each_usage, &state);
}

enum sb_error sb_usage_expire(struct sb_db_conn *tx, int64_t before_ms, int64_t limit,
                              int64_t *removed)
{
    return sb_db_exec(tx,
                      "DELETE FROM usage WHERE (day, owner) IN (SELECT day, owner FROM usage"
                      " WHERE day < $1 ORDER BY day LIMIT $2)",
                      SB_DB_VALUES(SB_DB_INT(sb_budget_day(before_ms)), SB_DB_INT(limit)), removed);
}

/* A day late: so that a call which is settled after its deadline is counted all the same. */
enum sb_error sb_budget_expire(struct sb_db_conn *tx, int64_t now_ms, int64_t limit,
                               int64_t *removed)
{
    return sb_db_exec(tx,
                      "DELETE FROM reservations WHERE id IN (SELECT id FROM reservations"
                      " WHERE deadline < $1 ORDER BY deadline LIMIT $2)",
                      SB_DB_VALUES(SB_DB_INT(now_ms - day_ms), SB_DB_INT(limit)), removed);
}
