/* Events of chains: one each, none lost, whatever the client does about taking them; and cancelling. */
#include "kernel/loop.h"
#include "tests/psr/client.h"

enum { COOKIE = 0x1234, EVENTS = 128 /* in a small window */ };

static struct test_client client;

static const struct test_request nop = REQUEST(NOP);

static struct core *start(void)
{
    struct core *core = sim_start(1, TEST_CLIENTS "ip=10.0.0.2/24");
    test_client_start(&client, core);
    assert_int_equal(client.header->event_count, EVENTS);
    return core;
}

static void stop(struct core *core)
{
    assert_int_equal(client.kernel->lies, 0);
    test_stop(core);
    test_client_free(&client);
}

/* Chains whose events nobody takes, until there is room for `room` more. */
static void fill(unsigned room)
{
    test_client_take_all(&client);
    while (client.kernel->events_written - client.events_taken < EVENTS - room) {
        test_client_post(&client, &nop, 1, 0);
        sim_run(client.core);
    }
}

static void settle(struct core *core)
{
    sim_run(core);
    assert_false(loop_turn(core)); /* whoever waits costs nothing */
}

/* ---- which events there are -------------------------------------------------------------------- */

static void event_01_cookies_and_requests(void **state)
{
    const struct test_request request[] = {
        REQUEST_WITH(ECHO, 0, COOKIE, NUM(5)),
        REQUEST_WITH(ECHO, PIGLET_EVENT, COOKIE + 1, NUM(6)),
        REQUEST_WITH(FREE_MEM, PIGLET_EVENT, COOKIE + 2, CAP(0)),
        REQUEST_WITH(ECHO, PIGLET_EVENT, COOKIE + 3, REF(3)),
        REQUEST_WITH(ECHO, 0, COOKIE + 4, NUM(8)),
    };
    static const struct {
        int error;
        unsigned root;
    } want[2][3] = {{{0, 0}, {ERR_CAPABILITY, 3}, {ERR_CAPABILITY, 3}},
                    {{ERR_CAPABILITY, 3}, {ERR_CAPABILITY, 3}, {ERR_CAPABILITY, 3}}};
    struct core *core = start();
    (void)state;
    for (unsigned atomic = 0; atomic < 2; atomic++) {
        struct piglet_event chain =
            test_client_run(&client, request, COUNT_OF(request), atomic ? PIGLET_ATOMIC : 0);
        assert_int_equal(client.seen_count, 4);
        for (unsigned i = 0; i < 3; i++) {
            const struct piglet_event *event = &client.seen[i];
            assert_int_equal(event->type, PIGLET_EVENT_REQUEST);
            assert_int_equal(event->at, 2 + i);
            assert_true(event->cookie == COOKIE + 1 + i);
            assert_int_equal(event->chain, atomic + 1);
            assert_int_equal(event->error, want[atomic][i].error);
            assert_int_equal(event->root, want[atomic][i].root);
            assert_int_equal(event->result, i == 0 && !atomic ? 6 : 0);
        }
        assert_true(chain.cookie == COOKIE);
        assert_int_equal(chain.error, ERR_CAPABILITY);
        assert_int_equal(chain.root, 3);
        assert_int_equal(chain.count, atomic ? 0 : 3);
        assert_int_equal(chain.result, atomic ? 0 : 8);
    }
    stop(core);
}

static void event_02_of_the_first_and_of_all(void **state)
{
    struct test_request request[PIGLET_CHAIN_MAX];
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < PIGLET_CHAIN_MAX; i++)
        request[i] = (struct test_request)REQUEST_WITH(ECHO, PIGLET_EVENT, i, NUM(i));
    for (unsigned flags = 0; flags <= PIGLET_ATOMIC; flags += PIGLET_ATOMIC)
        for (unsigned count = 1; count <= PIGLET_CHAIN_MAX; count += 21) {
            test_client_run(&client, request, count, flags);
            assert_int_equal(test_client_seen(&client, PIGLET_EVENT_REQUEST), count);
            assert_int_equal(test_client_seen(&client, PIGLET_EVENT_CHAIN), 1);
            for (unsigned i = 0; i < count; i++)
                assert_int_equal(client.seen[i].result, i);
        }
    assert_int_equal(client.kernel->events_reserved, 0);
    stop(core);
}

/* ---- a full ring ------------------------------------------------------------------------------- */

static void event_03_full_ring_makes_chains_wait(void **state)
{
    struct piglet_event event;
    struct core *core = start();
    (void)state;
    fill(0);
    for (unsigned i = 0; i < 10; i++)
        test_client_post(&client, &nop, 1, 0);
    settle(core);
    assert_int_equal(client.kernel->chains, EVENTS);
    assert_int_equal(client.header->waiting, EVENTS + 1);
    for (unsigned i = 1; i <= 10; i++) {
        assert_true(test_client_take(&client, &event));
        assert_int_equal(event.chain, i);
        settle(core);
        assert_int_equal(client.kernel->chains, EVENTS + i);
        assert_int_equal(client.header->waiting, i == 10 ? 0 : EVENTS + 1 + i);
    }
    assert_int_equal(test_client_take_all(&client), EVENTS);
    stop(core);
}

/* One that waits long is no longer looked at in every turn; then it rings, or waits for the sweep. */
static void event_04_who_waits_long_must_ring(void **state)
{
    static struct piglet_bell bell;
    struct core *core = sim_start(1, TEST_CLIENTS "ip=10.0.0.2/24");
    (void)state;
    memset(&bell, 0, sizeof bell);
    window_bell(core, &bell);
    client = (struct test_client){.bell = &bell};
    test_client_start(&client, core);
    for (unsigned ring = 0; ring <= 1; ring++) {
        fill(0);
        test_client_post(&client, &nop, 1, 0);
        for (unsigned i = 0; i < 10 && client.header->polled; i++)
            sim_advance_us(core, ACTIVE_US + 100); /* the sweep may come in between */
        assert_int_not_equal(client.header->waiting, 0);
        assert_int_equal(client.header->polled, 0);
        test_client_take_all(&client);
        sim_run(core);
        assert_int_not_equal(client.header->waiting, 0); /* it does not know yet */
        if (ring)
            test_client_ring(&client);
        sim_advance_us(core, ring ? 0 : PIGLET_SWEEP_MS * 1000);
        assert_int_equal(client.header->waiting, 0);
        assert_int_equal(test_client_take_all(&client), 1);
    }
    stop(core);
}

/* In the middle of a chain that is not ATOMIC: what has been done stays done. */
static void event_05_waits_inside_a_chain(void **state)
{
    struct test_request request[8];
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(request); i++)
        request[i] = (struct test_request)REQUEST_WITH(ECHO, PIGLET_EVENT, i, NUM(i));
    fill(4); /* one for the chain itself */
    unsigned full = client.kernel->events_written;
    uint32_t number = test_client_post(&client, request, COUNT_OF(request), 0);
    settle(core);
    assert_int_equal(client.kernel->events_written, full + 3);
    assert_int_equal(client.header->waiting, number);
    assert_int_equal(test_client_state(&client, 3), PIGLET_STATE_DONE);
    assert_int_equal(test_client_state(&client, 4), PIGLET_STATE_NONE);
    test_client_take_all(&client);
    settle(core);
    test_client_take_all(&client);
    assert_int_equal(client.ended, number);
    assert_int_equal(client.kernel->requests, number - 1 + COUNT_OF(request));
    stop(core);
}

/* An ATOMIC chain that finds no room has not begun. */
static void event_06_atomic_waits_before_it_begins(void **state)
{
    struct test_request request[12] = {
        REQUEST_WITH(ALLOC_MEM, PIGLET_EVENT, 0, FRESH, NUM(3)),
        REQUEST_WITH(TIMER_START, PIGLET_EVENT, 1, FRESH, NUM(1000), NUM(1000)),
    };
    struct core *core = start();
    (void)state;
    for (unsigned i = 2; i < COUNT_OF(request); i++)
        request[i] = (struct test_request)REQUEST_WITH(ECHO, PIGLET_EVENT, i, NUM(i));
    for (unsigned room = 0; room <= COUNT_OF(request) + 2; room++) {
        fill(room);
        struct test_digest before = test_digest(core);
        uint64_t requests = client.kernel->requests;
        uint32_t number = test_client_post(&client, request, COUNT_OF(request), PIGLET_ATOMIC);
        settle(core);
        assert_int_equal(client.kernel->next_chain == number, room < COUNT_OF(request) + 2);
        if (room <= COUNT_OF(request) + 1) {
            struct test_digest after = test_digest(core);
            test_digest_same(&before, &after, "waiting");
            assert_int_equal(client.header->waiting, number);
            assert_true(client.kernel->requests == requests);
            test_client_take_all(&client);
            settle(core);
        }
        assert_true(client.kernel->requests == requests + COUNT_OF(request));
        test_client_take_all(&client);
        assert_int_equal(client.ended, number);
        assert_int_equal(client.header->waiting, 0);
        assert_int_equal(test_client_state(&client, 1), PIGLET_STATE_DONE);
        assert_int_equal(client.kernel->events_reserved, 1); /* the timer's */
        test_client_must(&client, (struct test_request)REQUEST(
                                      FREE_MEM, CAP((uint32_t)test_client_result(&client, 1))));
        for (unsigned i = 0; i < TIMERS_MAX; i++)
            if (client.kernel->timer[i].object.type)
                test_client_must(&client, (struct test_request)REQUEST(
                                              TIMER_STOP, CAP(client.kernel->timer[i].capability)));
    }
    stop(core);
}

/* Chains of all sorts, with events taken now and then: each has its own, in order (test_client_take
 * sees to that), and none is lost. */
static void event_07_many_laps(void **state)
{
    struct test_request request[7];
    uint32_t random = 1;
    unsigned requests = 0, seen = 0;
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < 4000; i++) {
        random = random * 1664525 + 1013904223; /* Numerical Recipes */
        unsigned count = 1 + (random >> 24) % COUNT_OF(request);
        for (unsigned j = 0; j < count; j++) {
            bool event = random >> (j + 3) & 1;
            request[j] =
                (struct test_request)REQUEST_WITH(ECHO, event ? PIGLET_EVENT : 0, i, NUM(j));
            requests += event;
        }
        test_client_post(&client, request, count, random >> 12 & 1 ? PIGLET_ATOMIC : 0);
        bool full = client.next_chain - 1 - client.ended == TEST_POSTS_MAX;
        if (random >> 28 == 0 || full) {
            do {
                test_client_forget(&client);
                sim_run(core);
                test_client_take_all(&client);
                seen += test_client_seen(&client, PIGLET_EVENT_REQUEST);
            } while (full && client.ended != client.next_chain - 1);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        test_client_forget(&client);
        sim_run(core);
        test_client_take_all(&client);
        seen += test_client_seen(&client, PIGLET_EVENT_REQUEST);
    }
    assert_int_equal(client.ended, 4000);
    assert_int_equal(seen, requests);
    assert_int_equal(client.kernel->events_reserved, 0);
    assert_int_equal(client.kernel->events_written, 4000 + requests);
    stop(core);
}

/* Numbers that cannot be: behind what was taken, or beyond what was written. */
static void event_08_lies_about_taking(void **state)
{
    struct core *core = start();
    (void)state;
    fill(0);
    test_client_post(&client, &nop, 1, 0);
    settle(core);
    uint64_t lies = client.kernel->lies;
    static const uint32_t lie[] = {EVENTS + 1, 2 * EVENTS, UINT32_MAX, 1u << 31};
    for (unsigned i = 0; i < COUNT_OF(lie); i++) {
        client.header->events_taken = lie[i];
        settle(core);
        assert_true(client.kernel->lies > lies);
        lies = client.kernel->lies;
        assert_int_equal(client.kernel->chains, EVENTS);
        assert_int_equal(client.header->waiting, EVENTS + 1);
    }
    assert_true(sim_counter(core, "clients.lies") == lies);
    client.header->events_taken = 2; /* the truth, or nearly */
    settle(core);
    assert_int_equal(client.kernel->chains, EVENTS + 1);
    test_client_post(&client, &nop, 1, 0);
    test_client_post(&client, &nop, 1, 0);
    settle(core);
    client.header->events_taken = 1; /* not again */
    settle(core);
    assert_true(client.kernel->lies > lies);
    assert_int_equal(client.kernel->chains, EVENTS + 2);
    client.kernel->lies = 0;
    client.events_taken = client.ended = 2; /* those two are written over */
    assert_int_equal(test_client_take_all(&client), EVENTS);
    settle(core);
    assert_int_equal(test_client_take_all(&client), 1);
    stop(core);
}

/* ---- cancelling -------------------------------------------------------------------------------- */

static void event_09_cancel_before_they_run(void **state)
{
    const struct test_request request[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(1)),
        REQUEST_WITH(ECHO, PIGLET_EVENT, 3, REF(1)),
    };
    struct core *core = start();
    struct test_digest before = test_digest(core);
    (void)state;
    for (unsigned i = 0; i < 6; i++)
        test_client_post(&client, request, 2, i & 1 ? PIGLET_ATOMIC : 0);
    client.header->cancel = 6;
    test_client_post(&client, &nop, 1, 0);
    sim_run(core);
    assert_int_equal(test_client_take_all(&client), 13);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(client.seen[i].error, ERR_CANCELLED);
        assert_int_equal(client.seen[i].root, 0);
        assert_int_equal(client.seen[i].count, 0);
        assert_int_equal(test_client_request(&client, 1 + i / 2, 1 + i % 2)->status.state,
                         PIGLET_STATE_CANCELLED);
    }
    assert_int_equal(client.seen[12].error, 0);
    assert_true(sim_counter(core, "clients.cancelled") == 6);
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "cancelled");
    stop(core);
}

static void event_10_cancel_what_waits(void **state)
{
    struct test_request request[8];
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(request); i++)
        request[i] = (struct test_request)REQUEST_WITH(ALLOC_MEM, PIGLET_EVENT, i, FRESH, NUM(1));
    fill(4);
    uint32_t number = test_client_post(&client, request, COUNT_OF(request), 0);
    settle(core);
    client.header->cancel = number;
    settle(core);
    test_client_take_all(&client);
    test_client_forget(&client);
    settle(core);
    assert_int_equal(test_client_take_all(&client), 6);
    assert_int_equal(client.seen[5].type, PIGLET_EVENT_CHAIN);
    assert_int_equal(client.seen[5].error, ERR_CANCELLED);
    assert_int_equal(client.seen[5].count, 3);
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(test_client_state(&client, i), PIGLET_STATE_DONE);
    for (unsigned i = 4; i <= 8; i++) {
        assert_int_equal(test_client_state(&client, i), PIGLET_STATE_CANCELLED);
        assert_int_equal(test_client_error(&client, i), ERR_CANCELLED);
    }
    assert_int_equal(client.kernel->pages, 3);
    assert_true(sim_counter(core, "clients.cancelled") == 1);
    stop(core);
}

/* A chain that has failed already keeps its cause. */
static void event_11_cancel_behind_a_failure(void **state)
{
    struct test_request request[8];
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(request); i++)
        request[i] = (struct test_request)REQUEST_WITH(ALLOC_MEM, PIGLET_EVENT, i, FRESH, NUM(0));
    fill(4);
    uint32_t number = test_client_post(&client, request, COUNT_OF(request), 0);
    settle(core);
    client.header->cancel = number;
    test_client_take_all(&client);
    settle(core);
    test_client_forget(&client);
    test_client_take_all(&client);
    assert_int_equal(client.seen[client.seen_count - 1].error, ERR_RANGE);
    assert_int_equal(client.seen[client.seen_count - 1].root, 1);
    assert_int_equal(test_client_error(&client, 8), ERR_CANCELLED);
    stop(core);
}

static void event_12_old_and_far_numbers_cancel_nothing(void **state)
{
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(test_client_do(&client, nop, NULL), 0);
    uint32_t next = client.next_chain;
    const uint32_t number[] = {0, 1, next - 1, next + 64, next + (1u << 31), UINT32_MAX};
    for (unsigned i = 0; i < COUNT_OF(number); i++) {
        client.header->cancel = number[i] + (i == 2 || i == 3 ? client.next_chain - next : 0);
        assert_int_equal(test_client_do(&client, nop, NULL), 0);
    }
    client.header->cancel = client.next_chain + 63; /* all that can be posted */
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(test_client_do(&client, nop, NULL), ERR_CANCELLED);
    assert_int_equal(test_client_do(&client, nop, NULL), 0);
    stop(core);
}

/* ---- numbers begin again ----------------------------------------------------------------------- */

/* The ring is full of old numbers, as after 2^32 chains. */
static void event_13_numbers_wrap(void **state)
{
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < 2 * TEST_POSTS_MAX; i++)
        test_client_must(&client, nop);
    uint32_t late = (uint32_t)-TEST_POSTS_MAX;
    for (unsigned i = 0; i < TEST_POSTS_MAX; i++)
        test_client_request(&client, 1 + i, 1)->post = late - TEST_POSTS_MAX + 1 + i;
    client.kernel->next_chain = client.next_chain = late + 1;
    client.ended = late;
    uint32_t event_late = (uint32_t)-EVENTS;
    struct piglet_event *ring = client.kernel->event;
    for (unsigned i = 0; i < EVENTS; i++)
        ring[i].number = event_late - EVENTS + 1 + i;
    client.kernel->events_written = client.kernel->events_taken = event_late;
    client.events_taken = client.header->events_taken = event_late;

    for (unsigned i = 0; i < 40; i++) { /* in batches, some of them across the end */
        for (unsigned j = 0; j < 10; j++)
            test_client_post(&client, &nop, 1, 0);
        settle(core);
        assert_int_equal(test_client_take_all(&client), 10);
    }
    assert_int_equal(client.ended, late + 400);
    fill(0);
    test_client_post(&client, &nop, 1, 0);
    settle(core);
    assert_int_equal(client.header->waiting, client.next_chain - 1);
    assert_int_equal(test_client_take_all(&client), EVENTS);
    settle(core);
    assert_int_equal(test_client_take_all(&client), 1);
    stop(core);
}

static void event_14_cancel_across_the_end(void **state)
{
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < 2 * TEST_POSTS_MAX; i++)
        test_client_must(&client, nop);
    client.kernel->next_chain = client.next_chain = UINT32_MAX - 2;
    client.ended = UINT32_MAX - 3;
    for (unsigned i = 0; i < 10; i++)
        test_client_post(&client, &nop, 1, 0);
    client.header->cancel = 4; /* ...fffd, ...fffe, ...ffff, 0, 1, 2, 3, 4 */
    settle(core);
    test_client_forget(&client);
    assert_int_equal(test_client_take_all(&client), 10);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(client.seen[i].error, i < 8 ? ERR_CANCELLED : 0);
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_01_cookies_and_requests),
        cmocka_unit_test(event_02_of_the_first_and_of_all),
        cmocka_unit_test(event_03_full_ring_makes_chains_wait),
        cmocka_unit_test(event_04_who_waits_long_must_ring),
        cmocka_unit_test(event_05_waits_inside_a_chain),
        cmocka_unit_test(event_06_atomic_waits_before_it_begins),
        cmocka_unit_test(event_07_many_laps),
        cmocka_unit_test(event_08_lies_about_taking),
        cmocka_unit_test(event_09_cancel_before_they_run),
        cmocka_unit_test(event_10_cancel_what_waits),
        cmocka_unit_test(event_11_cancel_behind_a_failure),
        cmocka_unit_test(event_12_old_and_far_numbers_cancel_nothing),
        cmocka_unit_test(event_13_numbers_wrap),
        cmocka_unit_test(event_14_cancel_across_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
