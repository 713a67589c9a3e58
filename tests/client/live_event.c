/* Events: one for each chain, over laps of the ring, with a full ring, after cancelling; and timers. */
#include "tests/client/live.h"

#include <inttypes.h>
#include <unistd.h>

enum { LAPS = 3, LENGTH = 7 };

static struct piglet_event take(struct piglet *piglet, const char *what)
{
    struct piglet_event event;
    live_error(piglet_next_event(piglet, LIVE_WAIT_US, &event), 0, what);
    return event;
}

/* Nothing else comes. */
static void check_quiet(struct piglet *piglet)
{
    struct piglet_event event;
    int error = piglet_next_event(piglet, 20000, &event);
    CHECK(error == ERR_TIMEOUT, "an event too many: type %u of chain %u", event.type, event.chain);
}

/* ---- laps -------------------------------------------------------------------------------------- */

/* The events of one chain of LENGTH requests, of which each second one wants its own, in order. */
static void take_chain(struct piglet *piglet, int64_t number, uint64_t cookie, unsigned bad)
{
    for (unsigned at = 1; at <= LENGTH; at += 2) {
        struct piglet_event event = take(piglet, "an event of a request");
        CHECK(event.type == PIGLET_EVENT_REQUEST && event.chain == number && event.at == at &&
                  event.cookie == cookie + at,
              "chain %" PRId64 ": type %u of chain %u, at %u", number, event.type, event.chain,
              event.at);
        CHECK((event.error != 0) == (at == bad), "request %u of %" PRId64 ": %s", at, number,
              piglet_error_text(event.error));
    }
    struct piglet_event event = take(piglet, "a chain's event");
    CHECK(event.type == PIGLET_EVENT_CHAIN && event.chain == number && event.at == LENGTH &&
              event.cookie == cookie + 1,
          "chain %" PRId64 ": type %u of chain %u instead", number, event.type, event.chain);
    CHECK(event.root == bad && event.count == LENGTH - (bad != 0), "chain %" PRId64 ": root %u",
          number, event.root);
}

static int64_t post_chain(struct piglet *piglet, uint64_t cookie, unsigned bad, unsigned flags)
{
    struct live_row rows[LENGTH];
    for (unsigned i = 0; i < LENGTH; i++) {
        rows[i] = (struct live_row)ROW(ECHO, NUM(i));
        if (i + 1 == bad)
            rows[i] = (struct live_row)ROW(FREE_MEM, CAP(0));
        rows[i].flags = i % 2 ? 0 : PIGLET_EVENT;
        rows[i].cookie = cookie + i + 1;
    }
    return live_post(piglet, rows, LENGTH, flags);
}

static void laps(void)
{
    enum { AHEAD = 8 };
    unsigned chains = LAPS * piglet_window(live.one)->event_count;
    for (unsigned first = 0; first < chains; first += AHEAD) {
        int64_t number[AHEAD];
        for (unsigned i = 0; i < AHEAD; i++)
            number[i] = post_chain(live.one, (first + i) * 100ull, i % 3 == 0 ? 3 : 0, 0);
        for (unsigned i = 0; i < AHEAD; i++)
            take_chain(live.one, number[i], (first + i) * 100ull, i % 3 == 0 ? 3 : 0);
    }
    check_quiet(live.one);
}

/* Both clients: each gets its own, and nothing of the other's. */
static void laps_both(void)
{
    unsigned chains = 2 * piglet_window(live.two)->event_count;
    for (unsigned i = 0; i < chains; i++) {
        int64_t one = post_chain(live.one, i * 100ull, 0, 0);
        int64_t two = post_chain(live.two, 1000000 + i * 100ull, 5, 0);
        take_chain(live.one, one, i * 100ull, 0);
        take_chain(live.two, two, 1000000 + i * 100ull, 5);
    }
    check_quiet(live.one);
    check_quiet(live.two);
}

/* ---- a full ring ----------------------------------------------------------------------------------- */

static uint32_t waiting(struct piglet *piglet)
{
    return __atomic_load_n(&piglet_window(piglet)->waiting, __ATOMIC_RELAXED);
}

static uint32_t wait_until_full(struct piglet *piglet)
{
    uint64_t start_us = live_now_us();
    while (!waiting(piglet))
        CHECK(live_now_us() - start_us < LIVE_WAIT_US, "`waiting` shows nothing");
    return waiting(piglet);
}

/* More chains than the ring has events for, and nobody takes one. */
static unsigned overfill(struct piglet *piglet, unsigned flags, int64_t *first)
{
    unsigned each = PIGLET_CHAIN_MAX + 1, count = 0;
    while (count * each < 2 * piglet_window(piglet)->event_count) {
        struct live_row rows[PIGLET_CHAIN_MAX];
        for (unsigned i = 0; i < PIGLET_CHAIN_MAX; i++)
            rows[i] =
                (struct live_row){.opcode = PIGLET_OP_NOP, .flags = PIGLET_EVENT, .cookie = i};
        int64_t number = live_post(piglet, rows, PIGLET_CHAIN_MAX, flags);
        if (count++ == 0)
            *first = number;
    }
    return count;
}

/* Returns how many of the chains were cancelled. */
static unsigned take_all(struct piglet *piglet, int64_t first, unsigned count)
{
    unsigned cancelled = 0;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned at = 1; at <= PIGLET_CHAIN_MAX + 1; at++) {
            struct piglet_event event = take(piglet, "an event of a full ring");
            bool chain = at > PIGLET_CHAIN_MAX;
            CHECK(event.chain == first + i &&
                      event.type == (chain ? PIGLET_EVENT_CHAIN : PIGLET_EVENT_REQUEST) &&
                      event.at == (chain ? PIGLET_CHAIN_MAX : at),
                  "event %u of chain %" PRId64 ": type %u, chain %u, at %u", at, first + i,
                  event.type, event.chain, event.at);
            cancelled += chain && event.error == ERR_CANCELLED;
        }
    }
    check_quiet(piglet);
    return cancelled;
}

static void full(unsigned flags)
{
    int64_t first;
    struct piglet_client_entry entry;
    unsigned count = overfill(live.one, flags, &first);
    uint32_t stuck = wait_until_full(live.one);
    CHECK(stuck > first && stuck < first + count, "chain %u waits", stuck);
    usleep(2 * PIGLET_SWEEP_MS * 1000);
    CHECK(waiting(live.one) == stuck, "chain %u waits, though nobody has taken an event",
          waiting(live.one));
    CHECK(live_client(live.two, live_number(live.one), &entry) && entry.waiting,
          "Client_List does not say that it waits");
    CHECK(take_all(live.one, first, count) == 0, "something was cancelled");
    CHECK(waiting(live.one) == 0, "it waits, though all is taken");
}

static void full_plain(void)
{
    full(0);
}

static void full_atomic(void)
{
    full(PIGLET_ATOMIC);
}

/* ---- cancelling ------------------------------------------------------------------------------------- */

/* The last ones have not begun, because the ring is full: they are cancelled, and say so. */
static void cancel(void)
{
    int64_t first;
    struct piglet_status status;
    unsigned count = overfill(live.one, 0, &first);
    uint32_t stuck = wait_until_full(live.one);
    uint32_t last = (uint32_t)first + count - 1, up_to = last - 2;
    CHECK(stuck < up_to, "too few chains behind the one that waits");
    piglet_cancel(live.one, up_to);
    unsigned cancelled = take_all(live.one, first, count);
    CHECK(cancelled == up_to - stuck + 1, "%u chains cancelled, not %u", cancelled,
          up_to - stuck + 1);
    live_error(piglet_result(live.one, up_to, 1, NULL, &status), 0, "looking at it");
    CHECK(status.state == PIGLET_STATE_CANCELLED && status.root == 0 &&
              status.error == ERR_CANCELLED,
          "a cancelled request: state %u, root %u", status.state, status.root);
    live_error(piglet_result(live.one, last, 1, NULL, &status), 0, "looking at the last");
    CHECK(status.state == PIGLET_STATE_DONE, "the last chain's first request: state %u",
          status.state);
    live_error(CALL(live.one, NOP), 0, "a request after cancelling");
}

/* What ran before is not cancelled by a number that it has passed. */
static void cancel_late(void)
{
    for (unsigned i = 0; i < 10; i++) {
        struct live_ran ran = live_run(live.one, &(struct live_row)ROW(NOP), 1, 0);
        piglet_cancel(live.one, (uint32_t)ran.number);
        live_error(CALL(live.one, NOP), 0, "a request behind a late cancel");
    }
}

/* ---- timers ------------------------------------------------------------------------------------------ */

enum { ONCE_US = 50000, PERIOD_US = 10000, PERIODS = 30, COOKIE = 4242 };

static uint32_t start_timer(uint64_t delay_us, uint64_t period_us)
{
    struct live_row row = ROW(TIMER_START, FRESH, NUM(delay_us), NUM(period_us));
    row.cookie = COOKIE;
    if (!period_us)
        row.argument[2] = (struct piglet_argument)NIL;
    return piglet_result_capability(live_must(live.one, row));
}

static void timer_once(void)
{
    uint64_t before_us = live_now_us();
    uint32_t timer = start_timer(ONCE_US, 0);
    struct piglet_event event = take(live.one, "the timer's event");
    uint64_t took_us = live_now_us() - before_us;
    CHECK(event.type == PIGLET_EVENT_TIMER && event.result == timer && event.cookie == COOKIE &&
              event.count == 1,
          "type %u, count %u", event.type, event.count);
    CHECK(took_us >= ONCE_US, "after %" PRIu64 " us", took_us);
    check_quiet(live.one);
    live_error(CALL(live.one, TIMER_STOP, CAP(timer)), 0, "stopping it");
}

static void timer_stopped(void)
{
    uint32_t timer = start_timer(ONCE_US, 0);
    live_error(CALL(live.one, TIMER_STOP, CAP(timer)), 0, "stopping it");
    usleep(2 * ONCE_US);
    check_quiet(live.one);
}

/* Times due, as the events count them, beside the clock. */
static void timer_periodic(void)
{
    uint64_t before_us = live_now_us();
    unsigned due = 0;
    uint32_t timer = start_timer(PERIOD_US, PERIOD_US);
    while (due < PERIODS) {
        struct piglet_event event = take(live.one, "a periodic event");
        CHECK(event.type == PIGLET_EVENT_TIMER && event.result == timer && event.count > 0,
              "type %u, count %u", event.type, event.count);
        due += event.count;
    }
    uint64_t took_us = live_now_us() - before_us;
    CHECK(took_us >= PERIODS * PERIOD_US, "%u times in %" PRIu64 " us", due, took_us);
    live_error(CALL(live.one, TIMER_STOP, CAP(timer)), 0, "stopping it");
    struct piglet_event event;
    while (piglet_next_event(live.one, 0, &event) == 0)
        due += event.count;
    took_us = live_now_us() - before_us;
    CHECK(due <= took_us / PERIOD_US, "%u times in %" PRIu64 " us", due, took_us);
    usleep(3 * PERIOD_US);
    check_quiet(live.one);
}

/* With a full ring it counts, and nothing of what it counted is lost. */
static void timer_uncollected(void)
{
    int64_t first;
    unsigned due = 0, chains = 0, count = overfill(live.one, 0, &first);
    struct piglet_event event;
    wait_until_full(live.one);
    for (unsigned i = 0; i < count * (PIGLET_CHAIN_MAX + 1); i++)
        take(live.one, "an event");
    uint64_t before_us = live_now_us();
    uint32_t timer = start_timer(1000, 1000);
    /* As many chains as fill the ring again while the timer runs. */
    count = overfill(live.one, 0, &first);
    wait_until_full(live.one);
    usleep(100000);
    uint64_t full_us = live_now_us() - before_us;
    while (chains < count || due < full_us / 1000 / 2) {
        event = take(live.one, "an event behind a full ring");
        due += event.type == PIGLET_EVENT_TIMER ? event.count : 0;
        chains += event.type == PIGLET_EVENT_CHAIN;
    }
    CHECK(due >= 50, "only %u of 100 ms are accounted for", due);
    live_error(CALL(live.one, TIMER_STOP, CAP(timer)), 0, "stopping it");
}

const struct live_case live_event_cases[] = {
    {"event-laps", laps, false},
    {"event-laps-both", laps_both, false},
    {"event-full-ring", full_plain, false},
    {"event-full-ring-atomic", full_atomic, false},
    {"event-cancel", cancel, false},
    {"event-cancel-late", cancel_late, false},
    {"event-timer-once", timer_once, false},
    {"event-timer-stopped", timer_stopped, false},
    {"event-timer-periodic", timer_periodic, false},
    {"event-timer-uncollected", timer_uncollected, false},
    {NULL, NULL, false},
};
