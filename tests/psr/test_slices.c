/* Slices: however much one client asks for, others have their turn, and so have frames. */
#include "kernel/loop.h"
#include "tests/psr/client.h"

enum {
    HOGS = 6,
    BACKLOG = 30, /* chains of 64 requests: as many as the window's requests can hold */
    HOG_WINDOW_BYTES = 2 << 20,
};

static struct test_client hog[HOGS], modest;

static struct core *start(unsigned hogs)
{
    struct core *core = sim_start(1, "clients=8 log=error ip=10.0.0.2/24");
    for (unsigned i = 0; i < hogs; i++) {
        test_client_open(&hog[i], core, HOG_WINDOW_BYTES);
        test_client_attach(&hog[i]);
    }
    test_client_start(&modest, core);
    return core;
}

static void stop(struct core *core)
{
    test_stop(core);
    for (unsigned i = 0; i < HOGS; i++)
        test_client_free(&hog[i]);
    test_client_free(&modest);
}

static void pile(struct test_client *client, struct test_request one, unsigned flags)
{
    struct test_request request[PIGLET_CHAIN_MAX];
    for (unsigned i = 0; i < PIGLET_CHAIN_MAX; i++)
        request[i] = one;
    for (unsigned i = 0; i < BACKLOG; i++)
        test_client_post(client, request, PIGLET_CHAIN_MAX, flags);
}

static const struct test_request nop = REQUEST(NOP);

static void slice_01_backlog_of_one_delays_nobody(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= PIGLET_ATOMIC; flags += PIGLET_ATOMIC) {
        struct core *core = start(1);
        pile(&hog[0], nop, flags);
        loop_turn(core);
        for (unsigned i = 0; i < 5; i++) {
            struct piglet_event event;
            test_client_post(&modest, &nop, 1, 0);
            uint64_t before = hog[0].kernel->requests;
            loop_turn(core);
            assert_true(test_client_take(&modest, &event)); /* in the next turn */
            assert_in_range(hog[0].kernel->requests - before, 1, SLICE_REQUESTS);
        }
        sim_run(core);
        assert_int_equal(test_client_take_all(&hog[0]), BACKLOG);
        stop(core);
    }
}

/* More than a turn has room for take turns. */
static void slice_02_round_robin(void **state)
{
    struct core *core = start(HOGS);
    (void)state;
    for (unsigned i = 0; i < HOGS; i++)
        pile(&hog[i], nop, 0);
    for (unsigned turn = 1; turn <= 30; turn++) {
        uint64_t least = UINT64_MAX, most = 0, sum = 0;
        loop_turn(core);
        for (unsigned i = 0; i < HOGS; i++) {
            uint64_t done = hog[i].kernel->requests;
            least = done < least ? done : least;
            most = done > most ? done : most;
            sum += done;
        }
        assert_true(most - least <= SLICE_REQUESTS);
        assert_true(sum <= (uint64_t)turn * TURN_REQUESTS);
        assert_true(sum >= (uint64_t)turn * (TURN_REQUESTS - SLICE_REQUESTS));
    }
    sim_run(core);
    for (unsigned i = 0; i < HOGS; i++)
        assert_int_equal(test_client_take_all(&hog[i]), BACKLOG);
    stop(core);
}

static void slice_03_frames_in_every_turn(void **state)
{
    struct core *core = start(HOGS);
    (void)state;
    for (unsigned i = 0; i < HOGS; i++)
        pile(&hog[i], nop, PIGLET_ATOMIC);
    while (sim_sent(core, 0)) /* what arp said at its start */
        ;
    for (unsigned turn = 0; turn < 20; turn++) {
        struct packet packet = packet_echo(IP(10, 0, 0, 9), IP(10, 0, 0, 2), 56);
        assert_true(sim_inject(core, 0, packet.data, packet.length));
        loop_turn(core);
        assert_non_null(sim_sent(core, 0));
    }
    assert_int_not_equal(hog[0].kernel->chain.active || chain_posted(hog[0].kernel), 0);
    stop(core);
}

/* What costs more than others counts for more. */
static void slice_04_heavy_requests_count_for_more(void **state)
{
    struct core *core = start(1);
    (void)state;
    uint64_t memory =
        test_client_must(&hog[0], (struct test_request)REQUEST(ALLOC_MEM, FRESH, NUM(4)));
    pile(&hog[0],
         (struct test_request)REQUEST(COUNTER_READ, CAP(hog[0].header->system),
                                      CAP(piglet_result_capability(memory))),
         0);
    for (unsigned turn = 0; turn < 10; turn++) {
        uint64_t before = hog[0].kernel->requests;
        loop_turn(core);
        assert_in_range(hog[0].kernel->requests - before, 1, SLICE_REQUESTS / TABLE_COST);
    }
    sim_run(core);
    assert_int_equal(test_client_take_all(&hog[0]), BACKLOG);
    assert_int_equal(hog[0].kernel->failed, 0);
    stop(core);
}

/* An ATOMIC chain is not interrupted, so there is a limit to what it may cost. */
static void slice_05_atomic_chains_are_bounded(void **state)
{
    struct test_request request[PIGLET_CHAIN_MAX] = {REQUEST(ALLOC_MEM, FRESH, NUM(4))};
    struct core *core = start(1);
    (void)state;
    unsigned fit = (ATOMIC_COST_MAX - 1) / TABLE_COST;
    for (unsigned i = 1; i < PIGLET_CHAIN_MAX; i++)
        request[i] = (struct test_request)REQUEST(STATUS_READ, CAP(hog[0].header->system), REF(1));
    assert_int_equal(test_client_run(&hog[0], request, 1 + fit, PIGLET_ATOMIC).error, 0);
    struct test_digest before = test_digest(core);
    struct piglet_event event = test_client_run(&hog[0], request, 2 + fit, PIGLET_ATOMIC);
    assert_int_equal(event.error, ERR_LIMIT);
    assert_int_equal(event.root, 2 + fit);
    event = test_client_run(&hog[0], request, PIGLET_CHAIN_MAX, PIGLET_ATOMIC);
    assert_int_equal(event.error, ERR_LIMIT);
    assert_int_equal(event.at, 2 + fit);
    assert_int_equal(event.count, 0);
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "too costly");
    assert_int_equal(test_client_run(&hog[0], request, PIGLET_CHAIN_MAX, 0).error, 0);
    stop(core);
}

/* One that is cut into slices goes on where it was, its references good. */
static void slice_06_chain_across_slices(void **state)
{
    struct test_request request[PIGLET_CHAIN_MAX] = {REQUEST(ALLOC_MEM, FRESH, NUM(4))};
    struct core *core = start(1);
    struct piglet_event event;
    unsigned turns = 0;
    (void)state;
    for (unsigned i = 1; i < PIGLET_CHAIN_MAX; i++)
        request[i] = (struct test_request)REQUEST(STATUS_READ, CAP(hog[0].header->system), REF(1));
    request[PIGLET_CHAIN_MAX - 1] = (struct test_request)REQUEST(FREE_MEM, REF(1));
    test_client_post(&hog[0], request, PIGLET_CHAIN_MAX, 0);
    for (; hog[0].kernel->next_chain == 1; turns++) {
        test_client_post(&modest, &nop, 1, 0);
        loop_turn(core);
        assert_true(test_client_take(&modest, &event)); /* between the slices */
    }
    assert_true(turns > PIGLET_CHAIN_MAX * TABLE_COST / SLICE_REQUESTS / 2);
    assert_true(test_client_take(&hog[0], &event));
    assert_int_equal(event.error, 0);
    assert_int_equal(event.count, PIGLET_CHAIN_MAX);
    assert_int_equal(hog[0].kernel->pages, 0);
    stop(core);
}

/* A client that waits for room, or posts nothing, takes no time from others. */
static void slice_07_who_waits_is_passed_by(void **state)
{
    struct core *core = start(2);
    (void)state;
    for (unsigned i = 0; i < 12; i++) { /* its events are never taken */
        pile(&hog[0], nop, 0);
        sim_run(core);
        struct piglet_event event;
        while (!hog[0].kernel->waiting && test_client_take_no_tell(&hog[0], &event))
            ;
    }
    pile(&hog[0], (struct test_request)REQUEST_WITH(NOP, PIGLET_EVENT, 0), 0);
    sim_run(core);
    assert_true(hog[0].kernel->waiting);
    pile(&hog[1], nop, 0);
    for (unsigned turn = 1; turn <= BACKLOG; turn++) {
        loop_turn(core);
        assert_int_equal(hog[1].kernel->requests, turn * SLICE_REQUESTS);
    }
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slice_01_backlog_of_one_delays_nobody),
        cmocka_unit_test(slice_02_round_robin),
        cmocka_unit_test(slice_03_frames_in_every_turn),
        cmocka_unit_test(slice_04_heavy_requests_count_for_more),
        cmocka_unit_test(slice_05_atomic_chains_are_bounded),
        cmocka_unit_test(slice_06_chain_across_slices),
        cmocka_unit_test(slice_07_who_waits_is_passed_by),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
