/* Every order of two and three requests, with a failure at each place, plain and ATOMIC. */
#include "tests/client/live.h"

#include <stdio.h>
#include <string.h>

/* A reference to the newest result of a kind stands for itself until the chain is put together. */
enum { MEMORY = 1000, FRAMESET, TIMER, NUMBER, KINDS_END, KINDS = KINDS_END - MEMORY };

enum { PLACES_MAX = 3, NO_FAILURE = 99 };

/* What each chain begins with, for the others to refer to. */
static const struct live_row base[] = {
    ROW(ALLOC_MEM, FRESH, NUM(2)),
    ROW(ALLOC_MEM, FRESH, NUM(2)),
    ROW(ALLOC_MEM, FRESH, NUM(2)),
    ROW(ALLOC_MEM, FRESH, NUM(2)),
    ROW(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
    ROW(TIMER_START, FRESH, NUM(60000000)),
    ROW(ECHO, NUM(PREFIX(LIVE_ADDRESS, 24))),
};

struct block {
    struct live_row row;
    uint16_t makes; /* a kind, or 0 */
    bool often;     /* in threes, too */
};

static const struct block blocks[] = {
    {ROW(ALLOC_MEM, FRESH, NUM(3)), MEMORY, true},
    {ROW(CAP_COPY, FRESH, REF(MEMORY), NUM(PIGLET_RIGHT_USE | PIGLET_RIGHT_COPY)), MEMORY, true},
    {ROW(CAP_DROP, REF(MEMORY)), 0, true},
    {ROW(MAKE_FRAMESET, FRESH, REF(MEMORY), REF(3)), FRAMESET, true},
    {ROW(BIND_PORT, REF(FRAMESET), NUM(LIVE_PORT)), 0, true},
    {ROW(FRAMESET_START, REF(FRAMESET)), 0, true},
    {ROW(ADDRESS_ADD, SYS, REF(NUMBER), NUM(0)), 0, true},
    {ROW(ROUTE_ADD, SYS, NUM(PREFIX(LIVE_ROUTE, 16)), NUM(0), NUM(0)), 0, true},
    {ROW(SERVICE_STOP, SYS, NUM(LIVE_ECHO)), 0, true},
    {ROW(TIMER_STOP, REF(TIMER)), 0, true},
    {ROW(CAP_COPY, FRESH, REF(FRAMESET), NUM(PIGLET_RIGHT_USE)), FRAMESET, false},
    {ROW(CAP_DROP, REF(FRAMESET)), 0, false},
    {ROW(CAP_REVOKE, REF(MEMORY)), 0, false},
    {ROW(FREE_MEM, REF(MEMORY)), 0, false},
    {ROW(SET_PEER, REF(FRAMESET), NUM(LIVE_HOST)), 0, false},
    {ROW(FRAMESET_STOP, REF(FRAMESET)), 0, false},
    {ROW(JOIN, SYS, REF(FRAMESET), NUM(0)), 0, false},
    {ROW(ECHO, REF(NUMBER)), NUMBER, false},
    {ROW(ADDRESS_DELETE, SYS, NUM(LIVE_ADDRESS)), 0, false},
    {ROW(ROUTE_DELETE, SYS, NUM(PREFIX(LIVE_ROUTE, 16))), 0, false},
    {ROW(SERVICE_START, SYS, NUM(LIVE_ECHO)), 0, false},
    {ROW(SERVICE_CONFIGURE, SYS, NUM(LIVE_ECHO), OFF(TEXT_OTHER), NUM(TEXT_OTHER_BYTES)), 0, false},
    {ROW(TIMER_START, FRESH, NUM(70000000)), TIMER, false},
    {ROW(BARRIER), 0, false},
};

/* The base, and behind it the blocks; one of them has an argument that none takes there. */
static unsigned put_together(struct live_row *rows, const unsigned *order, unsigned places,
                             unsigned bad)
{
    unsigned newest[KINDS] = {4, 5, 6, 7}, count = COUNT_OF(base);
    memcpy(rows, base, sizeof base);
    for (unsigned i = 0; i < places; i++) {
        struct live_row *row = &rows[count++];
        *row = blocks[order[i]].row;
        for (unsigned j = 0; j < 4; j++)
            if (row->argument[j].tag == PIGLET_TAG_REFERENCE && row->argument[j].value >= MEMORY)
                row->argument[j].value = newest[row->argument[j].value - MEMORY];
        if (i == bad)
            row->argument[3] = (struct piglet_argument)OFF(PIGLET_PAGE * 1ull << 20);
        if (blocks[order[i]].makes)
            newest[blocks[order[i]].makes - MEMORY] = count;
    }
    return count;
}

/* ---- what must have become of it ----------------------------------------------------------------- */

/* Whether a request was done, be it undone later. */
static bool was_done(const struct live_ran *ran, unsigned at)
{
    unsigned state = ran->status[at].state;
    return state == PIGLET_STATE_DONE || state == PIGLET_STATE_UNDONE;
}

/* The number of the failure that cancels request `at`, or 0. */
static unsigned root_of(const struct live_row *rows, const struct live_ran *ran, unsigned at,
                        unsigned first)
{
    for (unsigned i = 0; i < at && first; i++)
        if (rows[i].opcode == PIGLET_OP_BARRIER && ran->status[i].state == PIGLET_STATE_CANCELLED)
            return first; /* behind a barrier that was cancelled */
    if (rows[at].opcode == PIGLET_OP_BARRIER && first && first <= at)
        return first;
    for (unsigned i = 0; i < 4; i++) {
        const struct piglet_argument *argument = &rows[at].argument[i];
        if (argument->tag == PIGLET_TAG_REFERENCE && !was_done(ran, (unsigned)argument->value - 1))
            return ran->status[argument->value - 1].root;
    }
    return 0;
}

static void check(const struct live_row *rows, const struct live_ran *ran, unsigned flags,
                  unsigned bad, const char *where)
{
    unsigned first = ran->event.root, done = 0;
    for (unsigned i = 0; i < ran->count; i++) {
        const struct piglet_status *status = &ran->status[i];
        unsigned root = root_of(rows, ran, i, first);
        if (root) {
            CHECK(status->state == PIGLET_STATE_CANCELLED && status->root == root &&
                      status->error == ran->status[root - 1].error,
                  "%s: request %u has state %u, root %u, not cancelled by %u", where, i + 1,
                  status->state, status->root, root);
        } else if (status->state == PIGLET_STATE_FAILED) {
            CHECK(status->root == i + 1 && first && first <= i + 1,
                  "%s: request %u fails, with root %u; the event names %u", where, i + 1,
                  status->root, first);
        } else if (flags && first) {
            CHECK(status->state == PIGLET_STATE_UNDONE && status->root == first &&
                      status->error == ran->event.error && ran->result[i] == 0,
                  "%s: request %u has state %u, root %u: not undone", where, i + 1, status->state,
                  status->root);
        } else {
            CHECK(status->state == PIGLET_STATE_DONE, "%s: request %u has state %u", where, i + 1,
                  status->state);
        }
        done += status->state == PIGLET_STATE_DONE;
    }
    CHECK(bad == NO_FAILURE || !was_done(ran, (unsigned)COUNT_OF(base) + bad),
          "%s: the bad request is done", where);
    CHECK(!first == !ran->event.error && ran->event.count == done &&
              (!first || ran->status[first - 1].error == ran->event.error),
          "%s: the event says %s by %u, %u done of %u", where, piglet_error_text(ran->event.error),
          first, ran->event.count, done);
}

/* ---- all orders ------------------------------------------------------------------------------------ */

static void try_order(const struct live_tables *before, const unsigned *order, unsigned places)
{
    struct live_row rows[COUNT_OF(base) + PLACES_MAX];
    char where[128];
    for (unsigned bad = 0; bad <= places; bad++) {
        unsigned at = bad == places ? NO_FAILURE : bad;
        unsigned count = put_together(rows, order, places, at);
        for (unsigned flags = 0; flags <= PIGLET_ATOMIC; flags += PIGLET_ATOMIC) {
            size_t length = (size_t)snprintf(where, sizeof where, "%s", flags ? "ATOMIC" : "plain");
            for (unsigned i = 0; i < places; i++)
                length += (size_t)snprintf(where + length, sizeof where - length, "%s %s",
                                           i == at ? " bad" : "",
                                           piglet_opcode(rows[COUNT_OF(base) + i].opcode)->name);
            struct live_ran ran = live_run(live.one, rows, count, flags);
            check(rows, &ran, flags, at, where);
            if (!flags || !ran.event.error)
                live_clear(rows, &ran);
            live_same(before, where);
        }
    }
}

static void orders_of_two(void)
{
    struct live_tables before;
    live_tables(&before);
    for (unsigned i = 0; i < COUNT_OF(blocks) * COUNT_OF(blocks); i++)
        try_order(&before, (unsigned[]){i / COUNT_OF(blocks), i % COUNT_OF(blocks)}, 2);
}

static void orders_of_three(void)
{
    struct live_tables before;
    live_tables(&before);
    for (unsigned i = 0; i < COUNT_OF(blocks) && blocks[i].often; i++)
        for (unsigned j = 0; j < COUNT_OF(blocks) && blocks[j].often; j++)
            for (unsigned k = 0; k < COUNT_OF(blocks) && blocks[k].often; k++)
                try_order(&before, (unsigned[]){i, j, k}, 3);
}

const struct live_case live_order_cases[] = {
    {"order-of-two", orders_of_two, false},
    {"order-of-three", orders_of_three, false},
    {NULL, NULL, false},
};
