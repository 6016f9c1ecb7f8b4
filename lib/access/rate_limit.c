#include "access/rate_limit.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/metrics.h"
#include "base/shared_file.h"

/* A counter is one 64-bit word, from the top: tag, number of the window modulo 2^16, calls in the
 * previous window, calls in the current one. 0 is a free way: a word in use has counted a call. */
enum { LAYOUT = 1, SETS = 8192, WAYS = 8, TAG_BITS = 20, WINDOW_BITS = 16, COUNT_BITS = 14 };
_Static_assert(TAG_BITS + WINDOW_BITS + 2 * COUNT_BITS == 64, "a counter is one word");
_Static_assert(SB_RATE_LIMIT_MAX == (1 << COUNT_BITS) - 1, "a count holds the highest limit");

enum { WINDOW_MAX_S = 86400, LATE_MAX_S = 10, KEY_MAX = 512 };

struct set {
    _Atomic uint64_t words[WAYS]; /* one cache line */
};

struct file {
    struct sb_shared_header header;
    struct set sets[SETS];
    /* When both counts of a way are out of their windows, in seconds since 1970. Only to choose
     * which way gives way: wrong values cost a counter its place, never its truth. */
    _Atomic uint32_t expires_s[SETS][WAYS];
};

static struct file *_Atomic file; /* may appear late, once RUN_DIR does */

bool sb_rate_limit_open(const char *run_dir)
{
    file = sb_shared_file_map(run_dir, "rate-limits", LAYOUT, sizeof *file);
    return file != NULL;
}

/* What the definition works on. */
struct counter {
    int64_t window, previous, current; /* window: whole, not modulo 2^16 */
};

struct terms {
    int64_t limit, window_ms, now_ms;
};

static struct terms terms_of(const struct sb_rate_policy *policy, int64_t now_ms)
{
    int64_t window_s = policy->window_s < 1 ? 1 : policy->window_s;
    return (struct terms){
        .limit = policy->limit < SB_RATE_LIMIT_MAX ? policy->limit : SB_RATE_LIMIT_MAX,
        .window_ms = (window_s < WINDOW_MAX_S ? window_s : WINDOW_MAX_S) * 1000,
        .now_ms = now_ms < 0 ? 0 : now_ms,
    };
}

/* The counter of word as it stands at terms->now_ms.
 *
 * A window ahead of ours means that another process read its clock later and charged sooner, or
 * that the clock was set back. Up to LATE_MAX_S, and always for one window, it is taken for the
 * first and the call is counted in the later window, where it was in fact decided: no process that
 * was held up can take counts back. Beyond, the clock was set back and the counts mean nothing: a
 * subject gets at most one limit too much, rather than being locked out until time catches up. */
static struct counter unpack(uint64_t word, const struct terms *terms)
{
    const uint64_t count_mask = (1u << COUNT_BITS) - 1;
    int64_t window = terms->now_ms / terms->window_ms;
    struct counter fresh = {.window = window};
    int64_t previous = (int64_t)(word >> COUNT_BITS & count_mask);
    int64_t current = (int64_t)(word & count_mask);
    int64_t age = (int16_t)(uint16_t)((uint64_t)window - (word >> 2 * COUNT_BITS));
    int64_t late_max = (int64_t)LATE_MAX_S * 1000 / terms->window_ms;
    if (word == 0 || age > 1 || age < -(late_max > 1 ? late_max : 1))
        return fresh;
    if (age == 1)
        return (struct counter){window, current, 0};
    return (struct counter){window - age, previous, current};
}

static uint64_t pack(uint64_t tag, const struct counter *counter)
{
    return tag << (64 - TAG_BITS) | (uint64_t)(uint16_t)counter->window << 2 * COUNT_BITS |
           (uint64_t)counter->previous << COUNT_BITS | (uint64_t)counter->current;
}

/* Milliseconds since the counter's window began; 0 for a call that comes late. */
static int64_t elapsed_ms(const struct counter *counter, const struct terms *terms)
{
    int64_t elapsed = terms->now_ms - counter->window * terms->window_ms;
    return elapsed < 0 ? 0 : elapsed;
}

static int64_t used(const struct counter *counter, const struct terms *terms)
{
    int64_t left_ms = terms->window_ms - elapsed_ms(counter, terms);
    return counter->previous * left_ms / terms->window_ms + counter->current;
}

/* The first ms of a window at which floor(previous * (W - e) / W) < room, room at least 1. */
static int64_t room_at_ms(int64_t previous, int64_t room, int64_t window_ms)
{
    if (previous < room)
        return 0;
    return window_ms - (room * window_ms - 1) / previous;
}

static int64_t seconds_up(int64_t span_ms)
{
    return span_ms <= 1000 ? 1 : (span_ms + 999) / 1000;
}

/* Whole seconds until the refused call would be allowed if nobody called meanwhile: in this window
 * as the previous one's weight falls, or in the next as this one's does. */
static int64_t retry_after_s(const struct counter *counter, const struct terms *terms)
{
    int64_t at_ms = counter->window * terms->window_ms;
    if (counter->current < terms->limit)
        at_ms += room_at_ms(counter->previous, terms->limit - counter->current, terms->window_ms);
    else
        at_ms += terms->window_ms + room_at_ms(counter->current, terms->limit, terms->window_ms);
    return seconds_up(at_ms - terms->now_ms);
}

static struct sb_rate_state state_of(const struct counter *counter, const struct terms *terms,
                                     bool allowed)
{
    int64_t remaining = terms->limit - used(counter, terms);
    struct sb_rate_state state = {.allowed = allowed};
    if (allowed) {
        state.remaining = remaining > 0 ? remaining : 0;
        state.reset_s = seconds_up((counter->window + 1) * terms->window_ms - terms->now_ms);
    } else {
        state.retry_after_s = state.reset_s = retry_after_s(counter, terms);
    }
    return state;
}

struct key {
    size_t set;
    uint64_t tag;
};

struct slot {
    size_t way;
    uint64_t word; /* what stood there; 0: free */
    bool found;    /* it is the subject's; else its place may be taken */
};

/* Two subjects of one set share a counter if their tags agree: 1 in 2^17 for a subject that meets a
 * full set. They are then limited together, which errs to the safe side. */
static struct key key_of(const struct sb_rate_policy *policy, const char *subject)
{
    char text[KEY_MAX];
    size_t name = strnlen(policy->name, KEY_MAX / 2 - 1);
    size_t rest = strnlen(subject, KEY_MAX / 2);
    memcpy(text, policy->name, name);
    text[name] = '\0';
    memcpy(text + name + 1, subject, rest);
    uint64_t hash = sb_siphash(file->header.key, text, name + 1 + rest);
    return (struct key){.set = hash % SETS, .tag = hash >> (64 - TAG_BITS)};
}

/* The subject's way, or the first free one. False: neither, every way is somebody else's.
 *
 * Ways are filled in order and never become free again, so behind a free way there is nothing, and
 * whoever looks for the same subject at the same time tries the same way: one compare-and-swap
 * wins, the other finds its subject there when it looks again. */
static bool scan(const struct key *key, struct slot *slot)
{
    struct set *set = &file->sets[key->set];
    for (size_t way = 0; way < WAYS; way++) {
        uint64_t word = atomic_load(&set->words[way]);
        bool found = word != 0 && word >> (64 - TAG_BITS) == key->tag;
        if (found || word == 0) {
            *slot = (struct slot){way, word, found};
            return true;
        }
    }
    return false;
}

/* The way that gives its place: the one that expires, or expired, first; of equals the first. Of
 * the expiries alone, not of the time, so that all who look at the same moment choose the same. */
static size_t choose_victim(const struct key *key)
{
    size_t victim = 0;
    uint32_t first = UINT32_MAX;
    for (size_t way = 0; way < WAYS; way++) {
        uint32_t expires = atomic_load(&file->expires_s[key->set][way]);
        if (expires < first) {
            first = expires;
            victim = way;
        }
    }
    return victim;
}

/* The subject's slot, or one to take.
 *
 * In a full set the victim and its word are read before the ways are looked at again. An inserter
 * swaps the word first and writes the expiry second; so if it is seen with its new expiry, its word
 * is seen too, and if not, both chose the same victim and one of the two swaps fails. Two slots for
 * one subject need a third process that touches the victim in the same instant; the second of them
 * is never found again and its one call is forgotten.
 *
 * What eviction costs otherwise: a live counter that gives way forgets its calls, so its subject
 * may make up to its limit again. It takes more than eight live subjects in one set; each such
 * eviction is counted in the metrics. */
static struct slot locate(const struct key *key)
{
    struct slot slot;
    if (scan(key, &slot))
        return slot;
    size_t victim = choose_victim(key);
    uint64_t word = atomic_load(&file->sets[key->set].words[victim]);
    return scan(key, &slot) ? slot : (struct slot){.way = victim, .word = word};
}

/* Puts word into the slot if nobody changed it since. */
static bool swap(const struct key *key, const struct slot *slot, uint64_t word, uint32_t expires_s,
                 int64_t now_s)
{
    uint64_t expected = slot->word;
    _Atomic uint32_t *expiry = &file->expires_s[key->set][slot->way];
    /* The owner's new expiry goes first, so that a slot is not chosen while it is being renewed. */
    if (slot->found && atomic_load(expiry) != expires_s)
        atomic_store(expiry, expires_s);
    if (!atomic_compare_exchange_strong(&file->sets[key->set].words[slot->way], &expected, word))
        return false;
    if (slot->found)
        return true;
    uint32_t evicted_s = atomic_exchange(expiry, expires_s);
    if (slot->word != 0 && evicted_s > now_s)
        sb_metrics_add(SB_METRIC_RATE_EVICTIONS, "", 1);
    return true;
}

static uint32_t expiry_of(const struct counter *counter, const struct terms *terms)
{
    int64_t at_s = (counter->window + 2) * (terms->window_ms / 1000);
    return at_s < UINT32_MAX ? (uint32_t)at_s : UINT32_MAX - 1;
}

static struct sb_rate_state not_counted(const struct terms *terms)
{
    return (struct sb_rate_state){.allowed = true,
                                  .remaining = terms->limit > 0 ? terms->limit : 0,
                                  .reset_s = terms->window_ms / 1000};
}

struct sb_rate_state sb_rate_limit_charge(const struct sb_rate_policy *policy, const char *subject,
                                          int64_t now_ms)
{
    struct terms terms = terms_of(policy, now_ms);
    if (file == NULL || terms.limit <= 0)
        return not_counted(&terms);
    struct key key = key_of(policy, subject);
    for (;;) {
        struct slot slot = locate(&key);
        struct counter counter = unpack(slot.found ? slot.word : 0, &terms);
        if (used(&counter, &terms) >= terms.limit)
            return state_of(&counter, &terms, false);
        counter.current++;
        if (swap(&key, &slot, pack(key.tag, &counter), expiry_of(&counter, &terms),
                 terms.now_ms / 1000))
            return state_of(&counter, &terms, true);
    }
}

struct sb_rate_state sb_rate_limit_peek(const struct sb_rate_policy *policy, const char *subject,
                                        int64_t now_ms)
{
    struct terms terms = terms_of(policy, now_ms);
    if (file == NULL || terms.limit <= 0)
        return not_counted(&terms);
    struct key key = key_of(policy, subject);
    struct slot slot;
    bool found = scan(&key, &slot) && slot.found;
    struct counter counter = unpack(found ? slot.word : 0, &terms);
    return state_of(&counter, &terms, used(&counter, &terms) < terms.limit);
}
