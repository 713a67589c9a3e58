/* What the tests of all opcodes begin with: a client that has one of everything, and one use of each
 * opcode that succeeds. Included by one file of each program. */
#ifndef TESTS_PSR_USES_H
#define TESTS_PSR_USES_H

#include "kernel/chain.h"
#include "tests/psr/client.h"

enum { PORT = 5000, LOADED = 8 /* bytes of a table */ };

#define PREFIX(ip, length) ((uint64_t)(ip) << 8 | (length))

static const struct piglet_opcode_info info[] = {PIGLET_OPCODES(PIGLET_OPCODE_INFO)};

/* What there is in each test. */
static struct test_client client;
static uint32_t sys, big, small, pair[2], used, fresh, peered, bound, joined, timer, echo, loader;
static uint64_t text; /* "port=9" */

#define REQUEST_OF(...) ((struct test_request)REQUEST(__VA_ARGS__))
#define MUST(...)       piglet_result_capability(test_client_must(&client, REQUEST_OF(__VA_ARGS__)))

static inline uint32_t make_frameset(void)
{
    uint32_t transmit = MUST(ALLOC_MEM, FRESH, NUM(2));
    used = MUST(ALLOC_MEM, FRESH, NUM(2));
    return MUST(MAKE_FRAMESET, FRESH, CAP(transmit), CAP(used));
}

static inline struct core *start(void)
{
    struct core *core = sim_start(2, TEST_CLIENTS "ip=10.0.0.2/24 services=+echo");
    test_client_start(&client, core);
    sys = client.header->system;
    big = MUST(ALLOC_MEM, FRESH, NUM(4));
    small = MUST(ALLOC_MEM, FRESH, NUM(1));
    for (unsigned i = 0; i < 2; i++)
        pair[i] = MUST(ALLOC_MEM, FRESH, NUM(2));
    fresh = make_frameset();
    peered = make_frameset();
    MUST(SET_PEER, CAP(peered), NUM(0), NIL, NUM(50));
    MUST(FRAMESET_START, CAP(peered));
    bound = make_frameset();
    MUST(BIND_PORT, CAP(bound), NUM(PORT));
    joined = make_frameset();
    MUST(JOIN, CAP(sys), CAP(joined), NUM(1), NUM(0x020000000070ull));
    timer = MUST(TIMER_START, FRESH, NUM(1000000), NUM(1000000));
    MUST(ROUTE_ADD, CAP(sys), NUM(PREFIX(IP(10, 7, 0, 0), 16)), NUM(IP(10, 0, 0, 9)));
    MUST(ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 1, 2), 24)), NUM(1));
    uint64_t page = test_client_must(&client, REQUEST_OF(ALLOC_MEM, FRESH, NUM(1)));
    text = piglet_result_offset(page);
    strcpy(test_client_at(&client, page), "port=9 noport=9 port=0 port=x port echo");
    echo = chain_find(core, "echo")->index;
    assert_int_equal(chain_add(core, &test_loader), 0);
    loader = chain_find(core, "loader")->index;
    memset(client.kernel->data + client.kernel->memory[0].page * PIGLET_PAGE, 1, LOADED); /* big */
    test_client_must(&client,
                     REQUEST_OF(SERVICE_LOAD, CAP(sys), NUM(loader), CAP(big), NUM(LOADED)));
    return core;
}

static inline void stop(struct core *core)
{
    test_stop(core);
    test_client_free(&client);
}

/* One use of each opcode that succeeds; which, by its number. */
static inline void uses(struct test_request use[PIGLET_OP_COUNT])
{
    const struct test_request all[] = {
        REQUEST(NOP),
        REQUEST(ECHO, NUM(77)),
        REQUEST(BARRIER),
        REQUEST(ALLOC_MEM, FRESH, NUM(3)),
        REQUEST(FREE_MEM, CAP(big)),
        REQUEST(CAP_COPY, FRESH, CAP(big), NUM(PIGLET_RIGHT_FREE)),
        REQUEST(CAP_DROP, CAP(big)),
        REQUEST(CAP_REVOKE, CAP(big)),
        REQUEST(MAKE_FRAMESET, FRESH, CAP(pair[0]), CAP(pair[1])),
        REQUEST(SET_PEER, CAP(fresh), NUM(IP(10, 0, 0, 9)), NUM(53), NUM(17)),
        REQUEST(FRAMESET_START, CAP(bound)),
        REQUEST(FRAMESET_STOP, CAP(peered)),
        REQUEST(BIND_PORT, CAP(fresh), NUM(PORT + 1)),
        REQUEST(JOIN, CAP(sys), CAP(fresh), NUM(0), NUM(0x020000000071ull)),
        REQUEST(ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 2, 2), 24)), NUM(1),
                NUM(IP(10, 0, 2, 1))),
        REQUEST(ADDRESS_DELETE, CAP(sys), NUM(IP(10, 0, 0, 2))),
        REQUEST(ROUTE_ADD, CAP(sys), NUM(PREFIX(IP(10, 8, 0, 0), 16)), NUM(IP(10, 0, 0, 9)),
                NUM(0)),
        REQUEST(ROUTE_DELETE, CAP(sys), NUM(PREFIX(IP(10, 7, 0, 0), 16))),
        REQUEST(SERVICE_START, CAP(sys), NUM(echo)),
        REQUEST(SERVICE_STOP, CAP(sys), NUM(echo)),
        REQUEST(SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(text), NUM(6)),
        REQUEST(SERVICE_LIST, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(SERVICE_SHOW, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(COUNTER_READ, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(LOG_READ, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(NIC_LIST, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(ADDRESS_LIST, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(ROUTE_LIST, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(CLIENT_LIST, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(STATUS_READ, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(TIMER_START, FRESH, NUM(1000), NUM(1000)),
        REQUEST(TIMER_STOP, CAP(timer)),
        REQUEST(SERVICE_LOAD, CAP(sys), NUM(loader), CAP(big), NUM(LOADED)),
        REQUEST(SERVICE_SWAP, CAP(sys), NUM(loader), NUM(client.core->service[loader].loads)),
        REQUEST(SERVICE_FIND, CAP(sys), OFF(text + 35), NUM(4)),
        REQUEST(SETTING_LIST, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(RECORD_READ, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(TABLE_READ, CAP(sys), CAP(big), NUM(loader), NUM(8)),
        REQUEST(REGISTER_READ, CAP(sys), CAP(big), NUM(0), NUM(8)),
        REQUEST(SYSTEM_STOP, CAP(sys), NUM(1)),
    };
    _Static_assert(COUNT_OF(all) == PIGLET_OP_COUNT, "one for each");
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++)
        assert_int_equal(all[i].opcode, i);
    memcpy(use, all, sizeof all);
}

#endif
