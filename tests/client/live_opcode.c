/* Each opcode, succeeding and failing: a table, and a case for every row of PIGLET_OPCODES, so that one
 * that is not in the table fails. */
#include "tests/client/live.h"

#include <piglet/shaper.h>
#include <string.h>

enum { SOME = 0x7fffffff, ANY = SOME - 1 }; /* as a result: anything but 0; how much there is */

enum { TABLE_BYTES = sizeof(struct piglet_shaper_table) };

struct rows {
    const struct live_row *row;
    unsigned count;
};

#define ROWS(...)                                                                                  \
    {                                                                                              \
        (const struct live_row[]){__VA_ARGS__}, COUNT_OF(((const struct live_row[]){__VA_ARGS__})) \
    }

#define MAKE_ONE                                                                                   \
    ROW(ALLOC_MEM, FRESH, NUM(2)), ROW(ALLOC_MEM, FRESH, NUM(2)),                                  \
        ROW(MAKE_FRAMESET, FRESH, REF(1), REF(2))
#define PAGE              ROW(ALLOC_MEM, FRESH, NUM(1))
#define LIVE_PREFIX       PREFIX(LIVE_ADDRESS, 24)
#define LIVE_ROUTE_PREFIX PREFIX(LIVE_ROUTE, 16)

static const struct opcode_try {
    struct rows good; /* all succeed, and leave the configuration as it was */
    unsigned at;      /* the one that is meant, */
    uint64_t result;  /* and what it gives */
    struct rows bad;  /* the last one fails */
    int error;
} tries[PIGLET_OP_COUNT] = {
    [PIGLET_OP_NOP] = {ROWS(ROW(NOP)), 1, 0, ROWS(ROW(NOP, NUM(1))), ERR_ARGUMENT},
    [PIGLET_OP_ECHO] = {ROWS(ROW(ECHO, NUM(42)), ROW(ECHO, REF(1))), 2, 42, ROWS(ROW(ECHO)),
                        ERR_ARGUMENT},
    [PIGLET_OP_BARRIER] = {ROWS(ROW(NOP), ROW(BARRIER)), 2, 0, ROWS(ROW(BARRIER, FRESH)),
                           ERR_ARGUMENT},
    [PIGLET_OP_ALLOC_MEM] = {ROWS(ROW(ALLOC_MEM, FRESH, NUM(12))), 1, SOME,
                             ROWS(ROW(ALLOC_MEM, FRESH, NUM(0))), ERR_RANGE},
    [PIGLET_OP_FREE_MEM] = {ROWS(PAGE, ROW(FREE_MEM, REF(1))), 2, 0,
                            ROWS(MAKE_ONE, ROW(FREE_MEM, REF(1))), ERR_BUSY},
    [PIGLET_OP_CAP_COPY] = {ROWS(PAGE, ROW(CAP_COPY, FRESH, REF(1), NUM(PIGLET_RIGHT_USE))), 2,
                            SOME, ROWS(PAGE, ROW(CAP_COPY, FRESH, REF(1), NUM(PIGLET_RIGHT_BIND))),
                            ERR_DENIED},
    [PIGLET_OP_CAP_DROP] = {ROWS(PAGE, ROW(CAP_DROP, REF(1))), 2, 0,
                            ROWS(MAKE_ONE, ROW(CAP_DROP, REF(2))), ERR_BUSY},
    [PIGLET_OP_CAP_REVOKE] = {ROWS(PAGE, ROW(CAP_COPY, FRESH, REF(1), NUM(PIGLET_RIGHT_COPY)),
                                   ROW(CAP_COPY, FRESH, REF(2), NUM(0)), ROW(CAP_REVOKE, REF(1))),
                              4, 2, ROWS(ROW(CAP_REVOKE, CAP(0))), ERR_CAPABILITY},
    [PIGLET_OP_MAKE_FRAMESET] = {ROWS(MAKE_ONE), 3, SOME,
                                 ROWS(MAKE_ONE, ROW(MAKE_FRAMESET, FRESH, REF(1), REF(2))),
                                 ERR_BUSY},
    [PIGLET_OP_SET_PEER] = {ROWS(MAKE_ONE, ROW(SET_PEER, REF(3), NUM(LIVE_HOST))), 4, 0,
                            ROWS(MAKE_ONE, ROW(SET_PEER, REF(3), NUM(0), NUM(0), NUM(0x800))),
                            ERR_DENIED},
    [PIGLET_OP_FRAMESET_START] = {ROWS(MAKE_ONE, ROW(SET_PEER, REF(3), NUM(LIVE_HOST)),
                                       ROW(FRAMESET_START, REF(3))),
                                  5, 0, ROWS(MAKE_ONE, ROW(FRAMESET_START, REF(3))), ERR_INVALID},
    [PIGLET_OP_FRAMESET_STOP] = {ROWS(MAKE_ONE, ROW(SET_PEER, REF(3), NUM(LIVE_HOST)),
                                      ROW(FRAMESET_START, REF(3)), ROW(FRAMESET_STOP, REF(3))),
                                 6, 0, ROWS(PAGE, ROW(FRAMESET_STOP, REF(1))), ERR_TYPE},
    [PIGLET_OP_BIND_PORT] = {ROWS(MAKE_ONE, ROW(BIND_PORT, REF(3), NUM(LIVE_PORT))), 4, LIVE_PORT,
                             ROWS(MAKE_ONE, ROW(BIND_PORT, REF(3), NUM(1 << 16))), ERR_RANGE},
    [PIGLET_OP_JOIN] = {ROWS(MAKE_ONE, ROW(JOIN, SYS, REF(3), NUM(0), NUM(0x025047000001))), 4, 0,
                        ROWS(MAKE_ONE, ROW(JOIN, SYS, REF(3), NUM(99))), ERR_NOT_FOUND},
    [PIGLET_OP_ADDRESS_ADD] = {ROWS(ROW(ADDRESS_ADD, SYS, NUM(LIVE_PREFIX), NUM(0)),
                                    ROW(ADDRESS_DELETE, SYS, NUM(LIVE_ADDRESS))),
                               1, 0,
                               ROWS(ROW(ADDRESS_ADD, SYS, NUM(LIVE_PREFIX), NUM(0)),
                                    ROW(ADDRESS_ADD, SYS, NUM(LIVE_PREFIX), NUM(0))),
                               ERR_EXISTS},
    [PIGLET_OP_ADDRESS_DELETE] = {ROWS(ROW(ADDRESS_ADD, SYS, NUM(LIVE_PREFIX), NUM(0)),
                                       ROW(ADDRESS_DELETE, SYS, NUM(LIVE_ADDRESS))),
                                  2, 0, ROWS(ROW(ADDRESS_DELETE, SYS, NUM(LIVE_ADDRESS))),
                                  ERR_NOT_FOUND},
    [PIGLET_OP_ROUTE_ADD] = {ROWS(ROW(ROUTE_ADD, SYS, NUM(LIVE_ROUTE_PREFIX), NUM(0), NUM(0)),
                                  ROW(ROUTE_DELETE, SYS, NUM(LIVE_ROUTE_PREFIX))),
                             1, 0,
                             ROWS(ROW(ROUTE_ADD, SYS, NUM(LIVE_ROUTE_PREFIX), NUM(LIVE_ROUTE))),
                             ERR_RANGE},
    [PIGLET_OP_ROUTE_DELETE] = {ROWS(ROW(ROUTE_ADD, SYS, NUM(LIVE_ROUTE_PREFIX), NUM(0), NUM(0)),
                                     ROW(ROUTE_DELETE, SYS, NUM(LIVE_ROUTE_PREFIX))),
                                2, 0, ROWS(ROW(ROUTE_DELETE, SYS, NUM(LIVE_ROUTE_PREFIX))),
                                ERR_NOT_FOUND},
    [PIGLET_OP_SERVICE_START] = {ROWS(ROW(SERVICE_STOP, SYS, NUM(LIVE_ECHO)),
                                      ROW(SERVICE_START, SYS, NUM(LIVE_ECHO)),
                                      ROW(SERVICE_START, SYS, NUM(LIVE_ECHO))),
                                 3, 1, ROWS(ROW(SERVICE_START, SYS, NUM(99))), ERR_NOT_FOUND},
    [PIGLET_OP_SERVICE_STOP] = {ROWS(ROW(SERVICE_STOP, SYS, NUM(LIVE_ECHO)),
                                     ROW(SERVICE_STOP, SYS, NUM(LIVE_ECHO)),
                                     ROW(SERVICE_START, SYS, NUM(LIVE_ECHO))),
                                2, 1, ROWS(ROW(SERVICE_STOP, SYS, NUM(99))), ERR_NOT_FOUND},
    [PIGLET_OP_SERVICE_CONFIGURE] =
        {ROWS(ROW(SERVICE_CONFIGURE, SYS, NUM(LIVE_ECHO), OFF(TEXT_OTHER), NUM(TEXT_OTHER_BYTES)),
              ROW(SERVICE_CONFIGURE, SYS, NUM(LIVE_ECHO), OFF(TEXT_USUAL), NUM(TEXT_USUAL_BYTES))),
         1, 0, ROWS(ROW(SERVICE_CONFIGURE, SYS, NUM(LIVE_ECHO), OFF(TEXT_OTHER), NUM(97))),
         ERR_RANGE},
    [PIGLET_OP_SERVICE_LIST] = {ROWS(PAGE, ROW(SERVICE_LIST, SYS, REF(1))), 2, SOME,
                                ROWS(PAGE, ROW(SERVICE_LIST, SYS, REF(1), NUM(0), NUM(4))),
                                ERR_RANGE},
    [PIGLET_OP_SERVICE_SHOW] = {ROWS(PAGE, ROW(SERVICE_SHOW, SYS, REF(1), NUM(0))), 2, SOME,
                                ROWS(PAGE, ROW(SERVICE_SHOW, SYS, REF(1), NUM(99ull << 32))),
                                ERR_NOT_FOUND},
    [PIGLET_OP_COUNTER_READ] = {ROWS(PAGE, ROW(COUNTER_READ, SYS, REF(1))), 2, 30,
                                ROWS(MAKE_ONE, ROW(COUNTER_READ, SYS, REF(1))), ERR_BUSY},
    [PIGLET_OP_LOG_READ] = {ROWS(PAGE, ROW(LOG_READ, SYS, REF(1))), 2, SOME,
                            ROWS(PAGE, ROW(LOG_READ, SYS, REF(1), NUM(0), NUM(4000))), ERR_RANGE},
    [PIGLET_OP_NIC_LIST] = {ROWS(PAGE, ROW(NIC_LIST, SYS, REF(1), NUM(0), NUM(64))), 2, 1,
                            ROWS(PAGE, ROW(NIC_LIST, REF(1), REF(1))), ERR_TYPE},
    [PIGLET_OP_ADDRESS_LIST] = {ROWS(PAGE, ROW(ADDRESS_LIST, SYS, REF(1))), 2, 1,
                                ROWS(ROW(ADDRESS_LIST, SYS, SYS)), ERR_TYPE},
    [PIGLET_OP_ROUTE_LIST] = {ROWS(PAGE, ROW(ROUTE_LIST, SYS, REF(1))), 2, SOME,
                              ROWS(ROW(ROUTE_LIST, SYS, CAP(0))), ERR_CAPABILITY},
    [PIGLET_OP_CLIENT_LIST] = {ROWS(PAGE, ROW(CLIENT_LIST, SYS, REF(1))), 2, 2,
                               ROWS(PAGE, ROW(CAP_COPY, FRESH, SYS, NUM(PIGLET_RIGHT_CONFIG)),
                                    ROW(CLIENT_LIST, REF(2), REF(1))),
                               ERR_DENIED},
    [PIGLET_OP_STATUS_READ] = {ROWS(PAGE, ROW(STATUS_READ, SYS, REF(1))), 2, 1,
                               ROWS(PAGE, ROW(STATUS_READ, SYS, REF(1), NUM(0), NUM(PIGLET_PAGE))),
                               ERR_RANGE},
    [PIGLET_OP_SERVICE_LOAD] =
        {ROWS(ROW(SERVICE_LOAD, SYS, NUM(LIVE_SHAPER), CAP(LIVE_TABLE), NUM(TABLE_BYTES))), 1, SOME,
         ROWS(ROW(SERVICE_LOAD, SYS, NUM(LIVE_ECHO), CAP(LIVE_TABLE), NUM(TABLE_BYTES))),
         ERR_UNSUPPORTED},
    [PIGLET_OP_SERVICE_SWAP] = {ROWS(ROW(SERVICE_LOAD, SYS, NUM(LIVE_SHAPER), CAP(LIVE_TABLE),
                                         NUM(TABLE_BYTES)),
                                     ROW(SERVICE_SWAP, SYS, NUM(LIVE_SHAPER), REF(1))),
                                2, 0, ROWS(ROW(SERVICE_SWAP, SYS, NUM(LIVE_ECHO), NUM(1))),
                                ERR_INVALID},
    [PIGLET_OP_SERVICE_FIND] = {ROWS(ROW(SERVICE_FIND, SYS, OFF(TEXT_ECHO), NUM(TEXT_ECHO_BYTES)),
                                     ROW(SERVICE_START, SYS, REF(1))),
                                1, LIVE_ECHO,
                                ROWS(ROW(SERVICE_FIND, SYS, OFF(TEXT_ECHO),
                                         NUM(TEXT_ECHO_BYTES - 1))),
                                ERR_NOT_FOUND},
    [PIGLET_OP_SETTING_LIST] = {ROWS(PAGE, ROW(SETTING_LIST, SYS, REF(1))), 2, SOME,
                                ROWS(PAGE, ROW(SETTING_LIST, SYS, REF(1), NUM(0), NUM(12))),
                                ERR_RANGE},
    [PIGLET_OP_RECORD_READ] = {ROWS(PAGE, ROW(RECORD_READ, SYS, REF(1))), 2, ANY,
                               ROWS(PAGE, ROW(RECORD_READ, SYS, REF(1), NUM(0), NUM(20))),
                               ERR_RANGE},
    [PIGLET_OP_TABLE_READ] = {ROWS(PAGE, ROW(TABLE_READ, SYS, REF(1), NUM(LIVE_SHAPER))), 2, ANY,
                              ROWS(PAGE, ROW(TABLE_READ, SYS, REF(1), NUM(LIVE_ECHO))),
                              ERR_UNSUPPORTED},
    /* What really stops it is tried by test_power.py. */
    [PIGLET_OP_SYSTEM_STOP] = {ROWS(ROW(SYSTEM_STOP, SYS, NUM(0))), 1, 0,
                               ROWS(ROW(SYSTEM_STOP, SYS, NUM(3))), ERR_RANGE},
    [PIGLET_OP_REGISTER_READ] = {ROWS(PAGE, ROW(REGISTER_READ, SYS, REF(1), NUM(0))), 2, ANY,
                                 ROWS(PAGE, ROW(REGISTER_READ, SYS, REF(1), NUM(99ull << 32))),
                                 ERR_NOT_FOUND},
    [PIGLET_OP_TIMER_START] = {ROWS(ROW(TIMER_START, FRESH, NUM(60000000), NUM(100))), 1, SOME,
                               ROWS(ROW(TIMER_START, FRESH, NUM(0), NUM(99))), ERR_RANGE},
    [PIGLET_OP_TIMER_STOP] = {ROWS(ROW(TIMER_START, FRESH, NUM(60000000)), ROW(TIMER_STOP, REF(1))),
                              2, 0,
                              ROWS(ROW(TIMER_START, FRESH, NUM(60000000)), ROW(TIMER_STOP, REF(1)),
                                   ROW(TIMER_STOP, REF(1))),
                              ERR_CAPABILITY},
};

/* All succeeds, alone and as one; then, behind it, a request that takes it all back. */
static void try_good(const struct opcode_try *try, const struct live_tables *before)
{
    struct live_row rows[PIGLET_CHAIN_MAX];
    for (unsigned flags = 0; flags <= PIGLET_ATOMIC; flags += PIGLET_ATOMIC) {
        struct live_ran ran = live_run(live.one, try->good.row, try->good.count, flags);
        CHECK(ran.event.error == 0, "request %u: %s", ran.event.root,
              piglet_error_text(ran.event.error));
        uint64_t result = ran.result[try->at - 1];
        uint64_t expected = try->result == LIVE_ECHO ? live.echo : try->result;
        CHECK(expected == ANY || (expected == SOME ? result != 0 : result == expected),
              "the result is %#llx", (unsigned long long)result);
        live_clear(try->good.row, &ran);
        live_same(before, flags ? "after success, ATOMIC" : "after success");
    }
    memcpy(rows, try->good.row, try->good.count * sizeof *rows);
    rows[try->good.count] = (struct live_row)ROW(FREE_MEM, CAP(0));
    struct live_ran ran = live_run(live.one, rows, try->good.count + 1, PIGLET_ATOMIC);
    for (unsigned i = 0; i < try->good.count; i++)
        CHECK(ran.status[i].state == PIGLET_STATE_UNDONE, "request %u is not undone", i + 1);
    live_same(before, "undone");
}

static void try_bad(const struct opcode_try *try, const struct live_tables *before)
{
    for (unsigned flags = 0; flags <= PIGLET_ATOMIC; flags += PIGLET_ATOMIC) {
        struct live_ran ran = live_run(live.one, try->bad.row, try->bad.count, flags);
        const struct piglet_status *last = &ran.status[try->bad.count - 1];
        CHECK(last->state == PIGLET_STATE_FAILED, "what must fail has state %u", last->state);
        live_error(last->error, try->error, "what must fail");
        CHECK(ran.event.root == try->bad.count, "request %u fails", ran.event.root);
        if (!flags)
            live_clear(try->bad.row, &ran);
        live_same(before, "after a failure");
    }
}

void live_opcode_run(unsigned opcode)
{
    const struct opcode_try *try = &tries[opcode];
    struct live_tables before;
    CHECK(try->good.count && try->bad.count, "no case for it: give it a row in live_opcode.c");
    CHECK(try->good.row[try->at - 1].opcode == opcode &&
              try->bad.row[try->bad.count - 1].opcode == opcode,
          "its row tries something else");
    live_tables(&before);
    try_good(try, &before);
    try_bad(try, &before);
}
