/* Timers of clients: when they are due, and what becomes of them when nobody takes their events. */
#include "tests/psr/client.h"

enum { COOKIE = 0x77, EVENTS = 128 /* in a small window */ };

static struct test_client client;

#define REQUEST_OF(...) ((struct test_request)REQUEST(__VA_ARGS__))
#define MUST(...)       piglet_result_capability(test_client_must(&client, REQUEST_OF(__VA_ARGS__)))
#define TRY(...)        test_client_do(&client, REQUEST_OF(__VA_ARGS__), NULL)

static struct core *start(void)
{
    struct core *core = sim_start(0, TEST_CLIENTS);
    test_client_start(&client, core);
    return core;
}

static void stop(struct core *core)
{
    assert_int_equal(client.kernel->lies, 0);
    test_stop(core);
    test_client_free(&client);
}

static uint32_t timer_start(uint64_t delay_us, uint64_t period_us)
{
    uint32_t timer = piglet_result_capability(test_client_must(
        &client, (struct test_request)REQUEST_WITH(TIMER_START, 0, COOKIE, FRESH, NUM(delay_us),
                                                   NUM(period_us))));
    test_client_forget(&client);
    return timer;
}

static void timer_01_once(void **state)
{
    struct core *core = start();
    (void)state;
    static const uint64_t delay_us[] = {0, 1, 5, 1000, 1000000, 30000000};
    for (unsigned i = 0; i < COUNT_OF(delay_us); i++) {
        uint64_t begin_ns = sim_now_ns;
        uint32_t timer = timer_start(delay_us[i], 0);
        if (delay_us[i] > 1) {
            sim_advance_us(core, delay_us[i] - 1);
            assert_int_equal(test_client_take_all(&client), 0); /* never early */
        }
        while (test_client_take_all(&client) == 0)
            sim_advance_us(core, 1);
        assert_in_range(sim_now_ns - begin_ns, delay_us[i] * 1000,
                        delay_us[i] * 1000 + 3000); /* two ticks */
        assert_int_equal(client.seen[0].type, PIGLET_EVENT_TIMER);
        assert_int_equal(client.seen[0].result, timer);
        assert_int_equal(client.seen[0].cookie, COOKIE);
        assert_int_equal(client.seen[0].chain, client.ended);
        assert_int_equal(client.seen[0].count, 1);
        assert_int_equal(client.seen[0].error, 0);
        sim_advance_us(core, 100000);
        assert_int_equal(test_client_take_all(&client), 0); /* and never again */
        assert_int_equal(client.kernel->events_reserved, 0);
        MUST(TIMER_STOP, CAP(timer)); /* it stays until then */
    }
    stop(core);
}

static void timer_02_again_and_again(void **state)
{
    struct core *core = start();
    (void)state;
    uint32_t timer = timer_start(50, 100);
    for (unsigned i = 0; i < 500; i++) {
        sim_advance_us(core, 101);
        unsigned took = test_client_take_all(&client);
        assert_in_range(took, 0, 2);
    }
    assert_in_range(client.seen_count, 480, 506);
    MUST(TIMER_STOP, CAP(timer));
    test_client_forget(&client);
    sim_advance_us(core, 100000);
    assert_int_equal(test_client_take_all(&client), 0);
    assert_int_equal(client.kernel->events_reserved, 0);
    stop(core);
}

/* What is due while the ring is full is counted in the next event: the counts sum to all times. */
static void timer_03_full_ring(void **state)
{
    struct core *core = start();
    unsigned due = 0;
    (void)state;
    uint32_t timer = timer_start(1000, 1000);
    uint64_t begin_ns = sim_now_ns;
    sim_advance_us(core, 1000000);
    assert_int_equal(client.kernel->events_written - client.events_taken, EVENTS);
    assert_int_equal(client.header->waiting, 0);
    for (unsigned i = 0; i < 5; i++) {
        test_client_take_all(&client);
        sim_advance_us(core, 20000);
    }
    test_client_take_all(&client);
    bool many = false;
    for (unsigned i = 0; i < client.seen_count; i++) {
        assert_int_equal(client.seen[i].type, PIGLET_EVENT_TIMER);
        many |= client.seen[i].count > 100;
        due += client.seen[i].count;
    }
    assert_true(many);
    /* A period begins when the last one was noticed, so it is a little longer than it says. */
    unsigned periods = (unsigned)((sim_now_ns - begin_ns) / 1000000);
    assert_in_range(due + client.kernel->timer[0].due, periods - periods / 500, periods);
    MUST(TIMER_STOP, CAP(timer));
    stop(core);
}

/* Its room is its own: chains cannot take it, and wait. */
static void timer_04_room_of_its_own(void **state)
{
    const struct test_request nop = REQUEST(NOP);
    struct core *core = start();
    (void)state;
    uint32_t timer = timer_start(100, 0);
    while (client.kernel->events_written - client.events_taken < EVENTS - 1) {
        test_client_post(&client, &nop, 1, 0);
        sim_run(core);
    }
    test_client_post(&client, &nop, 1, 0);
    sim_run(core);
    assert_int_not_equal(client.header->waiting, 0);
    sim_advance_us(core, 200);
    assert_int_equal(test_client_take_all(&client), EVENTS);
    assert_int_equal(test_client_seen(&client, PIGLET_EVENT_TIMER), 1);
    assert_int_equal(client.seen[client.seen_count - 1].result, timer);
    stop(core);
}

static void timer_05_stopping(void **state)
{
    struct core *core = start();
    (void)state;
    uint32_t timer = timer_start(1000, 1000);
    uint32_t user = MUST(CAP_COPY, FRESH, CAP(timer), NUM(PIGLET_RIGHT_USE));
    uint32_t useless = MUST(CAP_COPY, FRESH, CAP(timer), NUM(0));
    assert_int_equal(TRY(TIMER_STOP, CAP(useless)), ERR_DENIED);
    MUST(CAP_DROP, CAP(timer)); /* others still name it: it goes on */
    test_client_forget(&client);
    sim_advance_us(core, 1500);
    assert_int_equal(test_client_take_all(&client), 1);
    MUST(TIMER_STOP, CAP(user));
    assert_int_equal(TRY(TIMER_STOP, CAP(user)), ERR_CAPABILITY);
    assert_int_equal(TRY(CAP_DROP, CAP(useless)), ERR_CAPABILITY);

    timer = timer_start(1000, 1000); /* it goes with its last name, too */
    MUST(CAP_DROP, CAP(timer));
    for (unsigned flags = 0; flags <= PIGLET_ATOMIC; flags += PIGLET_ATOMIC) {
        const struct test_request both[] = {
            REQUEST(TIMER_START, FRESH, NUM(100), NUM(100)),
            REQUEST(TIMER_STOP, REF(1)),
        };
        assert_int_equal(test_client_run(&client, both, 2, flags).error, 0);
    }
    test_client_forget(&client);
    sim_advance_us(core, 10000);
    assert_int_equal(test_client_take_all(&client), 0);
    assert_int_equal(client.kernel->events_reserved, 0);
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        assert_int_equal(client.kernel->timer[i].object.type, OBJECT_NONE);
    stop(core);
}

/* Stopping that is undone was no stopping. */
static void timer_06_stop_undone(void **state)
{
    struct core *core = start();
    (void)state;
    uint32_t timer = timer_start(1000, 1000);
    const struct test_request request[] = {REQUEST(TIMER_STOP, CAP(timer)),
                                           REQUEST(FREE_MEM, CAP(0))};
    test_client_run(&client, request, 2, PIGLET_ATOMIC);
    test_client_forget(&client);
    sim_advance_us(core, 5500);
    assert_int_equal(test_client_take_all(&client), 5);
    assert_int_equal(client.seen[4].result, timer);
    stop(core);
}

/* As many as there may be, on a client that sleeps: it is woken, and they come in order. */
static void timer_07_many(void **state)
{
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        timer_start(10000 + 1000 * (i * 7 % TIMERS_MAX), 0);
    client.header->sleeping = 1;
    unsigned woken = client.woken;
    sim_advance_us(core, 9000);
    assert_int_equal(client.woken, woken);
    sim_advance_us(core, 30000);
    assert_int_equal(client.woken, woken + TIMERS_MAX);
    test_client_forget(&client);
    assert_int_equal(test_client_take_all(&client), TIMERS_MAX);
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        for (unsigned j = 0; j < TIMERS_MAX; j++)
            if (client.kernel->timer[j].capability == client.seen[i].result)
                assert_int_equal(j * 7 % TIMERS_MAX, i);
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_01_once),      cmocka_unit_test(timer_02_again_and_again),
        cmocka_unit_test(timer_03_full_ring), cmocka_unit_test(timer_04_room_of_its_own),
        cmocka_unit_test(timer_05_stopping),  cmocka_unit_test(timer_06_stop_undone),
        cmocka_unit_test(timer_07_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
