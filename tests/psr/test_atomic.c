/* ATOMIC chains: whatever fails wherever, nothing is left of them. */
#include <stdio.h>

#include "kernel/chain.h"
#include "tests/psr/client.h"

enum {
    NIC0_ADDRESS = IP(10, 0, 0, 2),
    NIC1_ADDRESS = IP(10, 0, 1, 2),
    GATEWAY = IP(10, 0, 0, 9),
    RANDOM_CHAINS = 400,
    PORT = 5000,
    FURNITURE = 5, /* framesets that are there before */
};

#define STATION            0x020000000077ull
#define PREFIX(ip, length) ((uint64_t)(ip) << 8 | (length))

/* What is there before: things that a chain can change, not only make. */
static struct test_client client, other;
static uint32_t memory, copy, copy_of_copy, timer, text_memory, frameset[FURNITURE], sys;
static uint64_t text;

static uint32_t must(struct test_client *of, struct test_request request)
{
    return piglet_result_capability(test_client_must(of, request));
}

#define MUST(of, ...) must(of, (struct test_request)REQUEST(__VA_ARGS__))

static uint32_t make_frameset(struct test_client *of)
{
    uint32_t transmit = MUST(of, ALLOC_MEM, FRESH, NUM(2));
    uint32_t receive = MUST(of, ALLOC_MEM, FRESH, NUM(2));
    return MUST(of, MAKE_FRAMESET, FRESH, CAP(transmit), CAP(receive));
}

static uint32_t service(struct core *core, const char *name)
{
    return chain_find(core, name)->index;
}

/* Started ones with peers, in an order of two clients; one with a port; one that captures. */
static void furnish_framesets(void)
{
    for (unsigned i = 0; i < 3; i++) {
        struct test_client *of = i == 1 ? &other : &client;
        uint32_t made = frameset[i] = make_frameset(of);
        MUST(of, SET_PEER, CAP(made), NUM(0), NIL, NUM(6));
        MUST(of, FRAMESET_START, CAP(made));
    }
    frameset[1] = make_frameset(&client);
    MUST(&client, SET_PEER, CAP(frameset[1]), NUM(0), NUM(1), NUM(0x88b5));
    MUST(&client, FRAMESET_START, CAP(frameset[1]));
    frameset[3] = make_frameset(&client);
    MUST(&client, BIND_PORT, CAP(frameset[3]), NUM(PORT));
    MUST(&client, FRAMESET_START, CAP(frameset[3]));
    frameset[4] = make_frameset(&client);
    MUST(&client, JOIN, CAP(sys), CAP(frameset[4]), NUM(0));
    /* Not started: it would see what arp sends when it starts again. */
}

static struct core *start(void)
{
    struct core *core =
        sim_start(2, TEST_CLIENTS "ip=10.0.0.2::10.0.0.1:255.255.255.0::nic0:off services=+echo");
    test_client_start(&client, core);
    test_client_start(&other, core);
    sys = client.header->system;
    assert_int_equal(chain_add(core, &test_loader), 0);
    memory = MUST(&client, ALLOC_MEM, FRESH, NUM(3));
    copy = MUST(&client, CAP_COPY, FRESH, CAP(memory), NUM(PIGLET_RIGHT_COPY | PIGLET_RIGHT_USE));
    copy_of_copy = MUST(&client, CAP_COPY, FRESH, CAP(copy), NUM(PIGLET_RIGHT_USE));
    timer = MUST(&client, TIMER_START, FRESH, NUM(1000000), NUM(1000000));
    furnish_framesets();
    MUST(&client, ADDRESS_ADD, CAP(sys), NUM(PREFIX(NIC1_ADDRESS, 24)), NUM(1));
    MUST(&client, ROUTE_ADD, CAP(sys), NUM(PREFIX(IP(10, 7, 0, 0), 16)), NUM(IP(10, 0, 1, 9)));
    uint64_t page =
        test_client_must(&client, (struct test_request)REQUEST(ALLOC_MEM, FRESH, NUM(1)));
    text = piglet_result_offset(page);
    text_memory = piglet_result_capability(page);
    strcpy(test_client_at(&client, page), "port=9port=77");
    sim_advance_us(core, 500000); /* addresses are no longer tentative */
    return core;
}

static void stop(struct core *core)
{
    test_stop(core);
    test_client_free(&client);
    test_client_free(&other);
}

/* ---- one chain with all that has an effect ----------------------------------------------------- */

enum { CHAIN_MAX = PIGLET_CHAIN_MAX - 1 };

static unsigned everything(struct core *core, struct test_request chain[CHAIN_MAX])
{
    const uint32_t echo = service(core, "echo"), forward = service(core, "forward");
    const struct test_request all[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
        REQUEST(SET_PEER, REF(3), NUM(GATEWAY)),
        REQUEST(FRAMESET_START, REF(3)),
        REQUEST(SET_PEER, REF(3), NUM(0), NUM(1), NUM(0x88b6)),
        REQUEST(FRAMESET_STOP, REF(3)),
        REQUEST(FRAMESET_START, REF(3)),
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(ALLOC_MEM, FRESH, NUM(2)),
        REQUEST(MAKE_FRAMESET, FRESH, REF(9), REF(10)),
        REQUEST(BIND_PORT, REF(11), NUM(0)),
        REQUEST(FRAMESET_START, REF(11)),
        REQUEST(ALLOC_MEM, FRESH, NUM(3)),
        REQUEST(ALLOC_MEM, FRESH, NUM(4)),
        REQUEST(MAKE_FRAMESET, FRESH, REF(14), REF(15)),
        REQUEST(JOIN, CAP(sys), REF(16), NUM(1), NUM(STATION)),
        REQUEST(FRAMESET_START, REF(16)),
        /* names: of what the chain made, and of what was there */
        REQUEST(CAP_COPY, FRESH, REF(1), NUM(PIGLET_RIGHT_COPY)),
        REQUEST(CAP_COPY, FRESH, REF(19), NUM(PIGLET_RIGHT_COPY)),
        REQUEST(CAP_DROP, REF(19)),
        REQUEST(CAP_REVOKE, REF(1)),
        REQUEST(CAP_COPY, FRESH, CAP(copy), NUM(PIGLET_RIGHT_USE)),
        REQUEST(CAP_DROP, CAP(copy)),
        REQUEST(CAP_REVOKE, CAP(memory)),
        REQUEST(FREE_MEM, CAP(memory)),
        REQUEST(SET_PEER, CAP(frameset[1]), NUM(0), NUM(0), NUM(0x88b7)),
        REQUEST(CAP_DROP, CAP(frameset[1])),
        REQUEST(FRAMESET_STOP, CAP(frameset[0])),
        REQUEST(SET_PEER, CAP(frameset[0]), NUM(GATEWAY), NIL, NUM(50)),
        REQUEST(FRAMESET_START, CAP(frameset[0])),
        REQUEST(CAP_DROP, CAP(frameset[4])),
        REQUEST(ALLOC_MEM, FRESH, NUM(1)),
        REQUEST(FREE_MEM, REF(33)),
        /* the configuration */
        REQUEST(ADDRESS_DELETE, CAP(sys), NUM(NIC0_ADDRESS)),
        REQUEST(ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 0, 3), 24)), NUM(0), NUM(GATEWAY)),
        REQUEST(ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 0, 4), 24)), NUM(0)),
        REQUEST(ADDRESS_DELETE, CAP(sys), NUM(IP(10, 0, 0, 3))),
        REQUEST(ROUTE_ADD, CAP(sys), NUM(PREFIX(IP(10, 9, 8, 16), 28)), NUM(0), NUM(1)),
        REQUEST(ROUTE_ADD, CAP(sys), NUM(PREFIX(IP(10, 9, 8, 0), 24)), NUM(IP(10, 0, 1, 7))),
        REQUEST(ROUTE_DELETE, CAP(sys), NUM(PREFIX(IP(10, 9, 8, 16), 28))),
        REQUEST(ROUTE_DELETE, CAP(sys), NUM(PREFIX(IP(10, 7, 0, 0), 16))),
        REQUEST(SERVICE_STOP, CAP(sys), NUM(echo)),
        REQUEST(SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(text), NUM(6)),
        REQUEST(SERVICE_START, CAP(sys), NUM(echo)),
        REQUEST(SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(text + 6), NUM(7)),
        REQUEST(SERVICE_START, CAP(sys), NUM(forward)),
        REQUEST(SERVICE_STOP, CAP(sys), NUM(service(core, "clients"))),
        REQUEST(SERVICE_STOP, CAP(sys), NUM(service(core, "arp"))),
        REQUEST(TIMER_START, FRESH, NUM(1000), NUM(200)),
        REQUEST(TIMER_START, FRESH, NUM(1), NIL),
        REQUEST(TIMER_STOP, REF(50)),
        REQUEST(TIMER_STOP, CAP(timer)),
        REQUEST(CAP_DROP, REF(51)),
        REQUEST(SERVICE_LOAD, CAP(sys), NUM(service(core, "loader")), CAP(text_memory), NUM(13)),
        REQUEST(SERVICE_SWAP, CAP(sys), NUM(service(core, "loader")), REF(55)),
        REQUEST(SYSTEM_STOP, CAP(sys), NUM(2)),
        REQUEST(CAP_DROP, CAP(sys)),
    };
    _Static_assert(COUNT_OF(all) <= CHAIN_MAX, "one chain");
    memcpy(chain, all, sizeof all);
    return COUNT_OF(all);
}

/* Puts a request in front of number `at`; references to what comes behind it move on. */
static void insert(struct test_request *chain, unsigned count, unsigned at,
                   struct test_request request)
{
    for (unsigned i = count; i > at - 1; i--)
        chain[i] = chain[i - 1];
    chain[at - 1] = request;
    for (unsigned i = at; i <= count; i++)
        for (unsigned j = 0; j < 4; j++)
            if (chain[i].argument[j].tag == PIGLET_TAG_REFERENCE &&
                chain[i].argument[j].value >= at)
                chain[i].argument[j].value++;
}

/* Every opcode that has something to undo is in it, and all of it succeeds. */
static void atomic_01_everything_succeeds(void **state)
{
    static const struct piglet_opcode_info info[] = {PIGLET_OPCODES(PIGLET_OPCODE_INFO)};
    struct test_request chain[PIGLET_CHAIN_MAX];
    struct core *core = start();
    (void)state;
    unsigned count = everything(core, chain);
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++) {
        bool there = strcmp(info[i].undo, "nothing to undo") == 0;
        for (unsigned j = 0; j < count; j++)
            there |= chain[j].opcode == i;
        if (!there)
            fail_msg("%s is not tried", info[i].name);
    }
    struct test_digest before = test_digest(core);
    struct piglet_event event = test_client_run(&client, chain, count, PIGLET_ATOMIC);
    for (unsigned i = 1; i <= count; i++)
        if (test_client_state(&client, i) != PIGLET_STATE_DONE)
            fail_msg("request %u: %s", event.root, piglet_error_text(event.error));
    assert_int_equal(event.error, 0);
    assert_int_equal(event.count, count);
    struct test_digest after = test_digest(core);
    for (unsigned i = 0; i < PART_COUNT; i++)
        if (i != PART_PORTS) /* the same two are bound, one of them new */
            assert_true(before.part[i] != after.part[i] || i == PART_EVENTS);
    stop(core);
}

static void check_undone(struct test_client *of, const struct piglet_event *event, unsigned at,
                         unsigned count, int error)
{
    assert_int_equal(event->error, error);
    assert_int_equal(event->root, at);
    assert_int_equal(event->count, 0);
    assert_int_equal(event->at, count);
    assert_int_equal(event->result, 0);
    for (unsigned i = 1; i <= count; i++) {
        unsigned done = test_client_state(of, i);
        if (i == at)
            assert_int_equal(done, PIGLET_STATE_FAILED);
        else if (i < at)
            assert_int_equal(done, PIGLET_STATE_UNDONE);
        if (done == PIGLET_STATE_UNDONE) {
            assert_int_equal(test_client_error(of, i), error);
            assert_int_equal(test_client_root(of, i), at);
        }
        assert_int_not_equal(done, PIGLET_STATE_DONE);
    }
}

static void atomic_02_failure_at_every_place(void **state)
{
    struct test_request chain[PIGLET_CHAIN_MAX];
    char where[32];
    struct core *core = start();
    (void)state;
    unsigned count = everything(core, chain);
    struct test_digest before = test_digest(core);
    for (unsigned at = 1; at <= count + 1; at++) {
        everything(core, chain);
        insert(chain, count, at, (struct test_request)REQUEST(FREE_MEM, CAP(0)));
        for (unsigned i = 0; i <= count; i += 3)
            chain[i].flags = PIGLET_EVENT;
        struct piglet_event event = test_client_run(&client, chain, count + 1, PIGLET_ATOMIC);
        check_undone(&client, &event, at, count + 1, ERR_CAPABILITY);
        assert_int_equal(test_client_seen(&client, PIGLET_EVENT_CHAIN), 1);
        assert_int_equal(test_client_seen(&client, PIGLET_EVENT_REQUEST), count / 3 + 1);
        for (unsigned i = 0; i + 1 < client.seen_count; i++) {
            assert_int_equal(client.seen[i].error, ERR_CAPABILITY);
            assert_int_equal(client.seen[i].root, at);
            assert_int_equal(client.seen[i].result, 0);
        }
        struct test_digest after = test_digest(core);
        snprintf(where, sizeof where, "failure at %u", at);
        test_digest_same(&before, &after, where);
    }
    assert_int_equal(client.kernel->undone, count + 1);
    /* Nor did it leave anything that stands in the way of doing it after all. */
    everything(core, chain);
    assert_int_equal(test_client_run(&client, chain, count, PIGLET_ATOMIC).error, 0);
    stop(core);
}

/* The same, cut off behind each place and done in any order: many requests fail by themselves. */
static void atomic_03_any_order(void **state)
{
    struct test_request all[PIGLET_CHAIN_MAX], chain[PIGLET_CHAIN_MAX];
    uint32_t random = 7;
    char where[32];
    struct core *core = start();
    (void)state;
    unsigned count = everything(core, all), done = 0;
    struct test_digest before = test_digest(core);
    for (unsigned round = 0; round < RANDOM_CHAINS; round++) {
        unsigned length = 1 + (random >> 20) % 40;
        for (unsigned i = 0; i < length; i++) {
            random = random * 1664525 + 1013904223;             /* Numerical Recipes */
            chain[i] = all[18 + (random >> 16) % (count - 19)]; /* those about what was there */
            for (unsigned j = 0; j < 4; j++)
                if (chain[i].argument[j].tag == PIGLET_TAG_REFERENCE)
                    chain[i].argument[j].value = i ? 1 + (random >> 8) % i : 0;
        }
        chain[length] = (struct test_request)REQUEST(FREE_MEM, CAP(0));
        test_client_run(&client, chain, length + 1, PIGLET_ATOMIC);
        for (unsigned i = 1; i <= length; i++)
            done += test_client_state(&client, i) == PIGLET_STATE_UNDONE;
        struct test_digest after = test_digest(core);
        snprintf(where, sizeof where, "round %u", round);
        test_digest_same(&before, &after, where);
    }
    assert_true(done > 5 * RANDOM_CHAINS);
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(atomic_01_everything_succeeds),
        cmocka_unit_test(atomic_02_failure_at_every_place),
        cmocka_unit_test(atomic_03_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
