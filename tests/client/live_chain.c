/* Chains: the original one, what a failure does to those that depend on it and to others, barriers. */
#include "tests/client/live.h"

#include <stdio.h>
#include <string.h>

/* The reference example. Nothing of it has run when the last of its requests is posted: there is one
 * store, after all four. */
static const struct live_row original[] = {
    ROW(ALLOC_MEM, FRESH, NUM(12)),
    ROW(ALLOC_MEM, FRESH, NUM(12)),
    ROW(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
    ROW(SET_PEER, REF(3), NUM(PIGLET_IPV4(192, 168, 0, 1))),
};

static void check_original(struct piglet *piglet, const struct live_ran *ran)
{
    struct piglet_frameset frameset;
    live_error(ran->event.error, 0, "the original chain");
    CHECK(ran->event.count == 4 && ran->event.at == 4, "%u of %u done", ran->event.count,
          ran->event.at);
    for (unsigned i = 0; i < 4; i++)
        CHECK(ran->status[i].state == PIGLET_STATE_DONE, "request %u is not done", i + 1);
    live_error(
        piglet_frameset_use(piglet, ran->result[0], ran->result[1], ran->result[2], &frameset), 0,
        "using the frameset");
    CHECK(frameset.tx_slots == 22 && frameset.rx_slots == 22, "%u and %u slots", frameset.tx_slots,
          frameset.rx_slots);
}

static void original_chain(void)
{
    struct piglet_client_entry before, after;
    CHECK(live_client(live.two, live_number(live.one), &before), "client one is not listed");
    struct live_ran ran = live_run(live.one, original, 4, 0);
    check_original(live.one, &ran);
    live_client(live.two, live_number(live.one), &after);
    CHECK(after.capabilities == before.capabilities + 3 && after.framesets == 1 &&
              after.pages == before.pages + 24,
          "%u capabilities, %u framesets, %u pages", after.capabilities, after.framesets,
          after.pages);
}

static void original_atomic(void)
{
    struct live_ran ran = live_run(live.one, original, 4, PIGLET_ATOMIC);
    check_original(live.one, &ran);
}

/* Both clients, posted before either has been waited for. */
static void original_both(void)
{
    int64_t one = live_post(live.one, original, 4, 0), two = live_post(live.two, original, 4, 0);
    struct live_ran first = live_ended(live.one, one, 4), second = live_ended(live.two, two, 4);
    check_original(live.one, &first);
    check_original(live.two, &second);
    live_error(piglet_reopen(live.two), 0, "reopening client two");
}

/* What cannot be had in the first line: the third and fourth fall with it, the second stands. */
static void original_failing(void)
{
    struct live_row rows[4];
    struct live_tables before;
    memcpy(rows, original, sizeof rows);
    rows[0].argument[1].value = 1u << 20;
    struct live_ran ran = live_run(live.one, rows, 4, 0);
    static const uint8_t expected[] = {PIGLET_STATE_FAILED, PIGLET_STATE_DONE,
                                       PIGLET_STATE_CANCELLED, PIGLET_STATE_CANCELLED};
    for (unsigned i = 0; i < 4; i++) {
        CHECK(ran.status[i].state == expected[i], "request %u: state %u", i + 1,
              ran.status[i].state);
        CHECK(i == 1 || (ran.status[i].root == 1 && ran.status[i].error == ERR_RANGE),
              "request %u: root %u", i + 1, ran.status[i].root);
    }
    CHECK(ran.event.error == ERR_RANGE && ran.event.root == 1 && ran.event.count == 1,
          "the event: %s, root %u", piglet_error_text(ran.event.error), ran.event.root);
    live_tables(&before);
    ran = live_run(live.one, rows, 4, PIGLET_ATOMIC);
    CHECK(ran.status[1].state == PIGLET_STATE_UNDONE && ran.status[1].root == 1,
          "ATOMIC: the second is not undone");
    live_same(&before, "ATOMIC");
}

/* ---- barriers ---------------------------------------------------------------------------------- */

static void barrier_passes(void)
{
    static const struct live_row rows[] = {ROW(ECHO, NUM(1)), ROW(BARRIER), ROW(ECHO, NUM(2)),
                                           ROW(BARRIER), ROW(ECHO, NUM(3))};
    struct live_ran ran = live_run(live.one, rows, COUNT_OF(rows), 0);
    CHECK(ran.event.error == 0 && ran.event.count == 5 && ran.event.result == 3,
          "%u requests done, result %llu", ran.event.count, (unsigned long long)ran.event.result);
}

/* With a failure at each place: what is behind the next barrier does not run, what is before does. */
static void barrier_stops(void)
{
    enum { LENGTH = 9, EVERY = 3 }; /* each third request is a barrier */
    for (unsigned bad = 0; bad < LENGTH; bad++) {
        struct live_row rows[LENGTH];
        unsigned barrier = bad + EVERY - bad % EVERY - 1;
        if (bad % EVERY == EVERY - 1)
            continue;
        for (unsigned i = 0; i < LENGTH; i++)
            rows[i] = i % EVERY == EVERY - 1 ? (struct live_row)ROW(BARRIER)
                                             : (struct live_row)ROW(ECHO, NUM(i));
        rows[bad] = (struct live_row)ROW(FREE_MEM, CAP(0));
        struct live_ran ran = live_run(live.one, rows, LENGTH, 0);
        for (unsigned i = 0; i < LENGTH; i++) {
            unsigned expected = i == bad      ? PIGLET_STATE_FAILED
                                : i < barrier ? PIGLET_STATE_DONE
                                              : PIGLET_STATE_CANCELLED;
            CHECK(ran.status[i].state == expected, "failure at %u: request %u has state %u",
                  bad + 1, i + 1, ran.status[i].state);
            CHECK(expected == PIGLET_STATE_DONE || ran.status[i].root == bad + 1,
                  "failure at %u: request %u names %u", bad + 1, i + 1, ran.status[i].root);
        }
    }
}

/* ---- length and speed ---------------------------------------------------------------------------- */

static void longest(void)
{
    struct live_row rows[PIGLET_CHAIN_MAX];
    rows[0] = (struct live_row)ROW(ECHO, NUM(99));
    for (unsigned i = 1; i < PIGLET_CHAIN_MAX; i++)
        rows[i] = (struct live_row)ROW(ECHO, REF(i));
    for (unsigned flags = 0; flags <= PIGLET_ATOMIC; flags += PIGLET_ATOMIC) {
        struct live_ran ran = live_run(live.one, rows, PIGLET_CHAIN_MAX, flags);
        CHECK(ran.event.count == PIGLET_CHAIN_MAX && ran.event.result == 99, "%u done, result %llu",
              ran.event.count, (unsigned long long)ran.event.result);
    }
    rows[0] = (struct live_row)ROW(FREE_MEM, CAP(0));
    struct live_ran ran = live_run(live.one, rows, PIGLET_CHAIN_MAX, 0);
    for (unsigned i = 1; i < PIGLET_CHAIN_MAX; i++)
        CHECK(ran.status[i].state == PIGLET_STATE_CANCELLED && ran.status[i].root == 1,
              "request %u does not fall with the first", i + 1);
}

/* Chains of a client end in the order of their numbers, many under way at once. */
static void order_of_chains(void)
{
    enum { CHAINS = 2000, AHEAD = 32 };
    int64_t number[AHEAD];
    for (unsigned i = 0; i < CHAINS + AHEAD; i++) {
        int64_t *place = &number[i % AHEAD];
        if (i >= AHEAD) {
            struct piglet_event event;
            live_error(piglet_wait(live.one, *place, LIVE_WAIT_US, &event), 0, "a chain");
            CHECK(event.cookie == i - AHEAD && event.result == i - AHEAD, "chain %u gave %llu",
                  i - AHEAD, (unsigned long long)event.result);
        }
        struct live_row row = ROW(ECHO, NUM(i));
        row.cookie = i;
        if (i < CHAINS)
            *place = live_post(live.one, &row, 1, 0);
        else if (i + 1 == CHAINS + AHEAD)
            break;
    }
}

const struct live_case live_chain_cases[] = {
    {"chain-original", original_chain, false},
    {"chain-original-atomic", original_atomic, false},
    {"chain-original-both", original_both, false},
    {"chain-original-failing", original_failing, false},
    {"chain-barrier-passes", barrier_passes, false},
    {"chain-barrier-stops", barrier_stops, false},
    {"chain-longest", longest, false},
    {"chain-order", order_of_chains, false},
    {NULL, NULL, false},
};
