/* Attaching and detaching: a client that goes leaves nothing, in whatever state it was. */
#include "tests/psr/client.h"

enum { ROUNDS = 1000, PORT = 5000 };

static struct test_client client, other;

#define REQUEST_OF(...) ((struct test_request)REQUEST(__VA_ARGS__))
#define MUST(of, ...)   piglet_result_capability(test_client_must(of, REQUEST_OF(__VA_ARGS__)))
#define TRY(of, ...)    test_client_do(of, REQUEST_OF(__VA_ARGS__), NULL)

static struct core *start(void)
{
    struct core *core = sim_start(2, TEST_CLIENTS "ip=10.0.0.2/24");
    test_client_start(&client, core);
    test_client_start(&other, core);
    return core;
}

static void stop(struct core *core)
{
    test_stop(core);
    test_client_free(&client);
    test_client_free(&other);
}

/* One of everything, and work under way. */
static void fill(struct test_client *of, unsigned port)
{
    uint32_t sys = of->header->system, frameset[3];
    for (unsigned i = 0; i < 3; i++) {
        uint32_t memory[2];
        for (unsigned j = 0; j < 2; j++)
            memory[j] = MUST(of, ALLOC_MEM, FRESH, NUM(2));
        frameset[i] = MUST(of, MAKE_FRAMESET, FRESH, CAP(memory[0]), CAP(memory[1]));
        MUST(of, CAP_COPY, FRESH, CAP(memory[0]), NUM(PIGLET_RIGHT_USE));
    }
    MUST(of, SET_PEER, CAP(frameset[0]), NUM(IP(10, 0, 0, 9)), NIL, NUM(50));
    MUST(of, BIND_PORT, CAP(frameset[1]), NUM(port));
    MUST(of, JOIN, CAP(sys), CAP(frameset[2]), NUM(1), NUM(0x020000000000ull + port));
    for (unsigned i = 0; i < 3; i++)
        MUST(of, FRAMESET_START, CAP(frameset[i]));
    MUST(of, TIMER_START, FRESH, NUM(1000), NUM(1000));
    MUST(of, TIMER_START, FRESH, NUM(1000));
}

static void attach_01_all_is_freed_at_detach(void **state)
{
    struct core *core = start();
    (void)state;
    test_client_detach(&client);
    struct test_digest before = test_digest(core);
    for (unsigned round = 0; round < 4; round++) {
        test_client_attach(&client);
        fill(&client, PORT);
        assert_int_equal(core->clients->framesets, 3);
        assert_int_equal(core->nic[1].joined, 1);
        if (round & 1)
            sim_advance_us(core, 5000);
        if (round & 2) {
            client.header->attach = ++client.attachment; /* goes and comes in one */
            test_client_ring(&client);
            sim_run(core);
            assert_int_equal(client.header->attached, client.attachment);
        }
        test_client_detach(&client);
        struct test_digest after = test_digest(core);
        test_digest_same(&before, &after, "detached");
    }
    assert_int_equal(core->nic[1].joined, 0);
    sim_advance_us(core, 5000); /* no timer of it is left */
    stop(core);
}

/* A chain that waits for room goes with its client; the next one begins with nothing. */
static void attach_02_detach_in_the_middle(void **state)
{
    struct test_request request[20];
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(request); i++)
        request[i] = (struct test_request)REQUEST_WITH(ALLOC_MEM, PIGLET_EVENT, i, FRESH, NUM(1));
    for (unsigned atomic = 0; atomic < 2; atomic++) {
        for (unsigned i = 0; i < 10; i++)
            test_client_post(&client, request, COUNT_OF(request), atomic ? PIGLET_ATOMIC : 0);
        sim_run(core);
        assert_int_not_equal(client.header->waiting, 0);
        test_client_detach(&client);
        assert_int_equal(client.kernel->pages, 0);
        test_client_attach(&client);
        assert_int_equal(client.header->waiting, 0);
        assert_int_equal(client.kernel->events_reserved, 0);
        sim_run(core);
        assert_int_equal(client.kernel->requests, 0); /* what was posted is not posted now */
        assert_int_equal(test_client_run(&client, request, COUNT_OF(request), 0).error, 0);
    }
    stop(core);
}

static void attach_03_window_closed(void **state)
{
    struct core *core = start();
    (void)state;
    struct test_digest before = test_digest(core);
    for (unsigned round = 0; round < 3; round++) {
        struct test_client third = {.bell = NULL};
        test_client_start(&third, core);
        fill(&third, PORT + 1);
        test_client_post(&third, (const struct test_request[]){REQUEST(NOP)}, 1, 0);
        test_client_close(&third);
        test_client_free(&third); /* nothing looks at it any more: the sanitizer would tell */
        sim_advance_us(core, 200000);
        struct test_digest after = test_digest(core);
        test_digest_same(&before, &after, "closed");
    }
    stop(core);
}

static void attach_04_a_thousand_attachments(void **state)
{
    struct core *core = start();
    (void)state;
    fill(&other, PORT + 1);
    test_client_detach(&client);
    struct test_digest before = test_digest(core);
    uint64_t attachments = sim_counter(core, "clients.attachments");
    for (unsigned round = 0; round < ROUNDS; round++) {
        test_client_attach(&client);
        if (round % 10 == 0)
            fill(&client, PORT);
        else
            MUST(&client, ALLOC_MEM, FRESH, NUM(1 + round % 50));
        test_client_detach(&client);
    }
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "a thousand times");
    assert_true(sim_counter(core, "clients.attachments") == attachments + ROUNDS);
    assert_int_equal(core->clients->attached, 1);
    assert_int_equal(client.kernel->lies + other.kernel->lies, 0);
    stop(core);
}

/* Without the system's capability a client still has its own things. */
static void attach_05_dropping_the_system(void **state)
{
    struct core *core = start();
    (void)state;
    uint32_t sys = client.header->system, memory = MUST(&client, ALLOC_MEM, FRESH, NUM(1));
    uint32_t reader = MUST(&client, CAP_COPY, FRESH, CAP(sys), NUM(PIGLET_RIGHT_READ));
    MUST(&client, CAP_DROP, CAP(sys));
    assert_int_equal(TRY(&client, ADDRESS_DELETE, CAP(sys), NUM(1)), ERR_CAPABILITY);
    assert_int_equal(TRY(&client, ADDRESS_DELETE, CAP(reader), NUM(1)), ERR_DENIED);
    assert_int_equal(TRY(&client, NIC_LIST, CAP(reader), CAP(memory)), 0);
    MUST(&client, CAP_DROP, CAP(reader));
    assert_int_equal(TRY(&client, NIC_LIST, CAP(reader), CAP(memory)), ERR_CAPABILITY);
    MUST(&client, FREE_MEM, CAP(memory));
    assert_int_equal(client.kernel->capabilities, 0);
    assert_int_equal(TRY(&other, NIC_LIST, CAP(other.header->system),
                         CAP(MUST(&other, ALLOC_MEM, FRESH, NUM(1)))),
                     0); /* others keep theirs */
    test_client_detach(&client);
    test_client_attach(&client);
    MUST(&client, CAP_COPY, FRESH, CAP(client.header->system), NUM(0));
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attach_01_all_is_freed_at_detach),
        cmocka_unit_test(attach_02_detach_in_the_middle),
        cmocka_unit_test(attach_03_window_closed),
        cmocka_unit_test(attach_04_a_thousand_attachments),
        cmocka_unit_test(attach_05_dropping_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
