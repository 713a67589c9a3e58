/* Limits: each is reached in the midst of an ATOMIC chain, at every step, and nothing is left of it. */
#include <stdio.h>

#include "kernel/chain.h"
#include "tests/psr/client.h"

enum { CLIENTS = 6, RIGHTS = PIGLET_RIGHT_USE | PIGLET_RIGHT_COPY };

#define STATION            0x020000000070ull
#define PREFIX(ip, length) ((uint64_t)(ip) << 8 | (length))

static struct test_client client[CLIENTS];
static uint32_t sys;

#define MUST(of, ...)                                                                              \
    piglet_result_capability(test_client_must(of, (struct test_request)REQUEST(__VA_ARGS__)))

static struct core *start(unsigned clients)
{
    struct core *core = sim_start(2, "clients=6 log=error services=+echo");
    for (unsigned i = 0; i < clients; i++)
        test_client_start(&client[i], core);
    sys = client[0].header->system;
    return core;
}

static void stop(struct core *core)
{
    test_stop(core);
    for (unsigned i = 0; i < CLIENTS; i++)
        test_client_free(&client[i]);
}

static uint32_t make_frameset(struct test_client *of)
{
    uint32_t transmit = MUST(of, ALLOC_MEM, FRESH, NUM(2));
    uint32_t receive = MUST(of, ALLOC_MEM, FRESH, NUM(2));
    return MUST(of, MAKE_FRAMESET, FRESH, CAP(transmit), CAP(receive));
}

/* The chain, ATOMIC, must fail at request `at` with this error, and leave nothing. `at` 0: succeeds. */
static void check(const struct test_request *request, unsigned count, unsigned at, int error,
                  unsigned step)
{
    char where[48];
    struct core *core = client[0].core;
    struct test_digest before = test_digest(core);
    struct piglet_event event = test_client_run(&client[0], request, count, PIGLET_ATOMIC);
    snprintf(where, sizeof where, "step %u, failure at %u", step, at);
    if (event.root != at || event.error != error)
        fail_msg("%s: failed at %u: %s", where, event.root, piglet_error_text(event.error));
    struct test_digest after = test_digest(core);
    if (at)
        test_digest_same(&before, &after, where);
}

/* ---- places of a client ------------------------------------------------------------------------ */

static void limit_01_capabilities(void **state)
{
    const struct test_request request[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
        REQUEST(CAP_COPY, FRESH, REF(3), NUM(PIGLET_RIGHT_USE)),
        REQUEST(TIMER_START, FRESH, NUM(1000), NUM(1000)),
        REQUEST(CAP_COPY, FRESH, REF(1), NUM(0)),
    };
    struct core *core = start(1);
    (void)state;
    uint32_t memory = MUST(&client[0], ALLOC_MEM, FRESH, NUM(1)), last = 0;
    while (client[0].kernel->capabilities < PIGLET_CAPABILITIES_MAX)
        last = MUST(&client[0], CAP_COPY, FRESH, CAP(memory), NUM(0));
    assert_int_equal(
        test_client_do(&client[0],
                       (struct test_request)REQUEST(CAP_COPY, FRESH, CAP(memory), NUM(0)), NULL),
        ERR_LIMIT);
    for (unsigned room = 0; room < COUNT_OF(request); room++) {
        check(request, COUNT_OF(request), room + 1, ERR_LIMIT, room);
        MUST(&client[0], CAP_DROP, CAP(last));
        last--; /* copies were made one after the other, in slots that follow each other */
    }
    check(request, COUNT_OF(request), 0, 0, COUNT_OF(request));
    stop(core);
}

static void limit_02_memories_and_pages(void **state)
{
    struct test_request request[PIGLET_CHAIN_MAX];
    struct core *core = start(1);
    (void)state;
    for (unsigned i = 0; i < PIGLET_CHAIN_MAX; i++)
        request[i] = (struct test_request)REQUEST(ALLOC_MEM, FRESH, NUM(1));
    for (unsigned there = 1; there <= MEMORIES_MAX; there++) {
        MUST(&client[0], ALLOC_MEM, FRESH, NUM(1));
        if (there % 9 == 1)
            check(request, PIGLET_CHAIN_MAX, MEMORIES_MAX + 1 - there, ERR_LIMIT, there);
    }
    test_client_detach(&client[0]);
    test_client_attach(&client[0]);
    unsigned pages = client[0].header->data_pages;
    for (unsigned each = pages / 10; each <= pages; each += 7) {
        for (unsigned i = 0; i < PIGLET_CHAIN_MAX; i++)
            request[i].argument[1].value = each;
        check(request, PIGLET_CHAIN_MAX, pages / each + 1, ERR_NO_MEMORY, each);
    }
    stop(core);
}

static void limit_03_framesets(void **state)
{
    struct test_request request[3 * (FRAMESETS_MAX + 1)];
    struct core *core = start(1);
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(request); i += 3) {
        request[i] = request[i + 1] = (struct test_request)REQUEST(ALLOC_MEM, FRESH, NUM(2));
        request[i + 2] = (struct test_request)REQUEST(MAKE_FRAMESET, FRESH, REF(i + 1), REF(i + 2));
    }
    for (unsigned there = 0; there <= FRAMESETS_MAX; there++) {
        check(request, COUNT_OF(request), 3 * (FRAMESETS_MAX + 1 - there), ERR_LIMIT, there);
        if (there < FRAMESETS_MAX)
            make_frameset(&client[0]);
    }
    stop(core);
}

static void limit_04_timers(void **state)
{
    struct test_request request[TIMERS_MAX + 1];
    struct core *core = start(1);
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(request); i++)
        request[i] = (struct test_request)REQUEST(TIMER_START, FRESH, NUM(100), NUM(100 + i));
    for (unsigned there = 0; there <= TIMERS_MAX; there++) {
        check(request, COUNT_OF(request), TIMERS_MAX + 1 - there, ERR_LIMIT, there);
        if (there < TIMERS_MAX)
            MUST(&client[0], TIMER_START, FRESH, NUM(1000000000));
    }
    sim_advance_us(core, 1000); /* none of those that were undone fires */
    assert_int_equal(test_client_take_all(&client[0]), 0);
    stop(core);
}

/* A timer's events have their room from the start. */
static void limit_05_room_for_timer_events(void **state)
{
    const struct test_request nop = REQUEST(NOP), request[] = {
                                                      REQUEST(TIMER_START, FRESH, NUM(100)),
                                                      REQUEST(TIMER_START, FRESH, NUM(100)),
                                                      REQUEST(TIMER_START, FRESH, NUM(100)),
                                                  };
    struct core *core = start(1);
    (void)state;
    for (unsigned room = 1; room <= 3; room++) {
        test_client_take_all(&client[0]);
        while (client[0].kernel->events_written - client[0].events_taken <
               client[0].header->event_count - room) {
            test_client_post(&client[0], &nop, 1, 0);
            sim_run(core);
        }
        struct test_digest before = test_digest(core);
        uint32_t number = test_client_post(&client[0], request, 3, PIGLET_ATOMIC);
        sim_run(core);
        test_client_take_all(&client[0]);
        assert_int_equal(client[0].ended, number);
        assert_int_equal(test_client_error(&client[0], room), ERR_FULL);
        struct test_digest after = test_digest(core);
        test_digest_same(&before, &after, "no room for a timer's event");
    }
    stop(core);
}

static void limit_06_copies_of_copies(void **state)
{
    struct test_request request[COPY_DEPTH_MAX + 2] = {REQUEST(ALLOC_MEM, FRESH, NUM(1))};
    struct core *core = start(1);
    (void)state;
    for (unsigned i = 1; i < COUNT_OF(request); i++)
        request[i] = (struct test_request)REQUEST(CAP_COPY, FRESH, REF(i), NUM(PIGLET_RIGHT_COPY));
    check(request, COUNT_OF(request), COPY_DEPTH_MAX + 2, ERR_LIMIT, 0);
    check(request, COUNT_OF(request) - 1, 0, 0, 1);
    stop(core);
}

/* The longest chain of what needs most to be undone: the list holds it. */
static void limit_07_undo_list(void **state)
{
    struct test_request request[PIGLET_CHAIN_MAX];
    struct core *core = start(1);
    (void)state;
    _Static_assert((int)MEMORIES_MAX == (int)PIGLET_CHAIN_MAX, "the longest can succeed");
    for (unsigned i = 0; i < PIGLET_CHAIN_MAX; i++)
        request[i] = (struct test_request)REQUEST(ALLOC_MEM, FRESH, NUM(1));
    request[PIGLET_CHAIN_MAX - 1].argument[1].value = 0;
    check(request, PIGLET_CHAIN_MAX, PIGLET_CHAIN_MAX, ERR_RANGE, 0);
    request[PIGLET_CHAIN_MAX - 1].argument[1].value = 1;
    check(request, PIGLET_CHAIN_MAX, 0, 0, 1);
    assert_int_equal(client[0].kernel->pages, PIGLET_CHAIN_MAX);
    stop(core);
}

/* ---- places of all ----------------------------------------------------------------------------- */

static void limit_08_listed_framesets(void **state)
{
    const struct test_request request[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
        REQUEST(SET_PEER, REF(3), NUM(0), NIL, NUM(6)),
        REQUEST(FRAMESET_START, REF(3)),
    };
    struct core *core = start(5);
    uint32_t last = 0;
    (void)state;
    for (unsigned i = 0; i < LISTED_MAX; i++) {
        struct test_client *of = &client[1 + i / FRAMESETS_MAX];
        last = make_frameset(of);
        MUST(of, SET_PEER, CAP(last), NUM(0), NIL, NUM(6));
        MUST(of, FRAMESET_START, CAP(last));
    }
    check(request, COUNT_OF(request), COUNT_OF(request), ERR_FULL, 0);
    MUST(&client[4], FRAMESET_STOP, CAP(last));
    check(request, COUNT_OF(request), 0, 0, 1);
    stop(core);
}

static void limit_09_joined_framesets(void **state)
{
    struct test_request request[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
        REQUEST(JOIN, CAP(sys), REF(3), NUM(0), NUM(STATION + 100)),
    };
    struct core *core = start(3);
    (void)state;
    request[3].argument[0].value = sys;
    for (unsigned i = 0; i < JOINED_MAX; i++) {
        struct test_client *of = &client[1 + i % 2];
        uint32_t frameset = make_frameset(of);
        MUST(of, JOIN, CAP(of->header->system), CAP(frameset), NUM(0), NUM(STATION + i));
    }
    assert_int_equal(sim_filter(core, 0)->stations, JOINED_MAX);
    check(request, 4, 4, ERR_FULL, 0);
    request[3].argument[2].value = 1; /* by the other nic there is room */
    check(request, 4, 0, 0, 1);
    stop(core);
}

/* A nic that does not do what it is told. */
static void limit_10_filter_fails(void **state)
{
    struct test_request request[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
        REQUEST(JOIN, CAP(0), REF(3), NUM(0), NUM(STATION)),
    };
    struct core *core = start(1);
    (void)state;
    request[3].argument[0].value = sys;
    for (unsigned i = 0; i < 2; i++) {
        sim_filter_fails(core, 0, true);
        check(request, 4, 4, ERR_TIMEOUT, i);
        assert_int_equal(core->nic[0].joined, 0);
        request[3].argument[3].tag = PIGLET_TAG_NONE; /* a capture likewise */
        request[3].argument[3].value = 0;
    }
    sim_filter_fails(core, 0, false);
    check(request, 4, 0, 0, 2);
    assert_true(sim_filter(core, 0)->promiscuous);
    stop(core);
}

static void limit_11_ports(void **state)
{
    const struct test_request request[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
        REQUEST(BIND_PORT, REF(3), NUM(0)),
    };
    struct core *core = start(2);
    (void)state;
    uint32_t frameset = make_frameset(&client[1]);
    MUST(&client[1], BIND_PORT, CAP(frameset), NUM(1));
    uint16_t *port = core->clients->port;
    for (unsigned i = PORT_EPHEMERAL; i < PORT_EPHEMERAL + PORT_TRIES; i++)
        port[i] = port[1];
    check(request, 4, 4, ERR_FULL, 0);
    for (unsigned i = PORT_EPHEMERAL; i < PORT_EPHEMERAL + PORT_TRIES; i++)
        port[i] = 0;
    check(request, 4, 0, 0, 1); /* behind those */
    assert_int_equal(test_client_result(&client[0], 4), PORT_EPHEMERAL + PORT_TRIES);
    stop(core);
}

/* ---- the configuration ------------------------------------------------------------------------- */

static void limit_12_addresses(void **state)
{
    struct test_request request[ADDRESSES_MAX + 1];
    struct core *core = start(1);
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(request); i++)
        request[i] = (struct test_request)REQUEST(ADDRESS_ADD, CAP(sys),
                                                  NUM(PREFIX(IP(10, 0, i, 1), 24)), NUM(i % 2));
    check(request, COUNT_OF(request), ADDRESSES_MAX + 1, ERR_FULL, 0);
    check(request, ADDRESSES_MAX, 0, 0, 1);
    stop(core);
}

/* An address needs up to four routes: any of them may be the one too many. */
static void limit_13_routes(void **state)
{
    struct core *core = start(1);
    struct route_table *routes = &core->routes;
    (void)state;
    int error = 0;
    for (unsigned i = 0; error == 0; i++) {
        struct route route = {.type = ROUTE_UNICAST, .prefix = IP(20, i >> 8, i, 0), .length = 24};
        error = route_add(routes, &route);
    }
    assert_int_equal(error, ERR_FULL);
    for (unsigned room = 0; room <= 5; room++) {
        const struct test_request request[] = {
            REQUEST(ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 0, 2), 24)), NUM(0),
                    NUM(IP(10, 0, 0, 1))),
            REQUEST(ROUTE_ADD, CAP(sys), NUM(PREFIX(IP(10, 1, 0, 0), 16)), NUM(IP(10, 0, 0, 9))),
            REQUEST(ROUTE_ADD, CAP(sys), NUM(PREFIX(IP(10, 2, 0, 0), 16)), NUM(0), NUM(1)),
        };
        check(request, 3, room < 4 ? 1 : room == 4 ? 2 : 3, ERR_FULL, room);
        assert_int_equal(route_delete(routes, IP(20, room >> 8, room, 0), 24), 0);
    }
    stop(core);
}

/* Two addresses share the routes of their subnet, which one of two nics has. */
static void limit_14_subnet_of_two_nics(void **state)
{
    struct core *core = start(1);
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        const struct test_request request[] = {
            REQUEST(ADDRESS_DELETE, CAP(sys), NUM(IP(10, 0, 0, 2 + first))),
            REQUEST(ADDRESS_DELETE, CAP(sys), NUM(IP(10, 0, 0, 3 - first))),
            REQUEST(ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 0, 2), 24)), NUM(first)),
            REQUEST(ADDRESS_DELETE, CAP(sys), NUM(IP(10, 0, 0, 7))),
        };
        if (first == 0) {
            MUST(&client[0], ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 0, 2), 24)), NUM(0));
            MUST(&client[0], ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 0, 3), 24)), NUM(1));
        }
        check(request, 4, 4, ERR_NOT_FOUND, first);
    }
    stop(core);
}

/* With no frameset in use the receive handler is not called: nor after it was stopped and started. */
static void limit_15_service_of_the_clients(void **state)
{
    struct core *core = start(1);
    uint32_t number = chain_find(core, "clients")->index;
    const struct test_request request[] = {
        REQUEST(SERVICE_STOP, CAP(sys), NUM(number)),
        REQUEST(SERVICE_STOP, CAP(0), NUM(number)),
    };
    (void)state;
    check(request, 2, 2, ERR_CAPABILITY, 0);
    struct test_digest before = test_digest(core);
    MUST(&client[0], SERVICE_STOP, CAP(sys), NUM(number));
    MUST(&client[0], SERVICE_START, CAP(sys), NUM(number));
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "stopped and started");
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_01_capabilities),
        cmocka_unit_test(limit_02_memories_and_pages),
        cmocka_unit_test(limit_03_framesets),
        cmocka_unit_test(limit_04_timers),
        cmocka_unit_test(limit_05_room_for_timer_events),
        cmocka_unit_test(limit_06_copies_of_copies),
        cmocka_unit_test(limit_07_undo_list),
        cmocka_unit_test(limit_08_listed_framesets),
        cmocka_unit_test(limit_09_joined_framesets),
        cmocka_unit_test(limit_10_filter_fails),
        cmocka_unit_test(limit_11_ports),
        cmocka_unit_test(limit_12_addresses),
        cmocka_unit_test(limit_13_routes),
        cmocka_unit_test(limit_14_subnet_of_two_nics),
        cmocka_unit_test(limit_15_service_of_the_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
