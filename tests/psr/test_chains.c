/* Chains: their order, what a failure cancels, their events, and how long each may take. */
#include "tests/psr/client.h"

static struct test_client client;

static struct core *start(void)
{
    struct core *core = sim_start(1, TEST_CLIENTS "ip=10.0.0.2/24");
    test_client_start(&client, core);
    return core;
}

static void stop(struct core *core)
{
    test_stop(core);
    test_client_free(&client);
}

/* ---- the original example ---------------------------------------------------------------------- */

static void chain_01_original_example(void **state)
{
    const struct test_request request[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(12)),
        REQUEST(ALLOC_MEM, FRESH, NUM(12)),
        REQUEST(MAKE_FRAMESET, FRESH, REF(1), REF(2)),
        REQUEST(SET_PEER, REF(3), NUM(0xc0a80001)),
    };
    struct core *core = start();
    (void)state;
    struct piglet_event event = test_client_run(&client, request, COUNT_OF(request), 0);
    assert_int_equal(event.error, 0);
    assert_int_equal(event.root, 0);
    assert_int_equal(event.at, 4);
    assert_int_equal(event.count, 4);
    assert_int_equal(event.result, 0);
    for (unsigned i = 1; i <= 4; i++)
        assert_int_equal(test_client_state(&client, i), PIGLET_STATE_DONE);
    const struct frameset *frameset = &client.kernel->frameset[0];
    assert_true(frameset->peer.set);
    assert_int_equal(frameset->peer.address, 0xc0a80001);
    assert_ptr_equal(frameset->transmit.shared,
                     test_client_at(&client, test_client_result(&client, 1)));
    assert_ptr_equal(frameset->receive.shared,
                     test_client_at(&client, test_client_result(&client, 2)));
    assert_int_equal(frameset->transmit.shared->slots, 22);
    stop(core);
}

/* ---- failure ----------------------------------------------------------------------------------- */

enum { SHAPE_MAX = 4 };

/* A chain in which request i refers to request parent[i] (0: to none), some of which fail and one may
 * be a barrier. */
struct shape {
    unsigned count, failing, barrier; /* failing: bit i for request i + 1 */
    unsigned parent[SHAPE_MAX];
};

struct fate {
    unsigned state, root;
    int error;
};

/* What must become of it: the specification, written down once more. */
static unsigned shape_fates(const struct shape *shape, bool atomic, struct fate fate[SHAPE_MAX])
{
    unsigned first = 0;
    bool broken = false;
    for (unsigned i = 0; i < shape->count; i++) {
        unsigned parent = shape->parent[i];
        fate[i] = (struct fate){PIGLET_STATE_DONE, 0, 0};
        broken |= shape->barrier == i + 1 && first;
        if (broken)
            fate[i] = (struct fate){PIGLET_STATE_CANCELLED, first, ERR_UNSUPPORTED};
        else if (parent && fate[parent - 1].state != PIGLET_STATE_DONE)
            fate[i] = (struct fate){PIGLET_STATE_CANCELLED, fate[parent - 1].root, ERR_UNSUPPORTED};
        else if (shape->failing & 1u << i)
            fate[i] = (struct fate){PIGLET_STATE_FAILED, i + 1, ERR_UNSUPPORTED};
        if (fate[i].state == PIGLET_STATE_FAILED && !first)
            first = i + 1;
    }
    for (unsigned i = 0; atomic && first && i < shape->count; i++)
        if (fate[i].state == PIGLET_STATE_DONE)
            fate[i] = (struct fate){PIGLET_STATE_UNDONE, first, ERR_UNSUPPORTED};
    return first;
}

static void shape_check(const struct shape *shape, bool atomic)
{
    struct test_request request[SHAPE_MAX];
    struct fate fate[SHAPE_MAX];
    unsigned first = shape_fates(shape, atomic, fate), done = 0;
    for (unsigned i = 0; i < shape->count; i++) {
        request[i] = (struct test_request)REQUEST(ECHO, NUM(100 + i));
        if (shape->parent[i])
            request[i].argument[0] = (struct test_argument)REF(shape->parent[i]);
        if (shape->barrier == i + 1)
            request[i] = (struct test_request)REQUEST(BARRIER);
        if (shape->failing & 1u << i)
            request[i].opcode = PIGLET_OP_COUNT;
    }
    struct piglet_event event =
        test_client_run(&client, request, shape->count, atomic ? PIGLET_ATOMIC : 0);
    for (unsigned i = 0; i < shape->count; i++) {
        assert_int_equal(test_client_state(&client, i + 1), fate[i].state);
        assert_int_equal(test_client_error(&client, i + 1), fate[i].error);
        assert_int_equal(test_client_root(&client, i + 1), fate[i].root);
        done += fate[i].state == PIGLET_STATE_DONE;
    }
    assert_int_equal(event.error, first ? ERR_UNSUPPORTED : 0);
    assert_int_equal(event.root, first);
    assert_int_equal(event.at, shape->count);
    assert_int_equal(event.count, done);
    assert_int_equal(event.result, test_client_result(&client, shape->count));
}

/* All parents, all failures, all places of a barrier, of up to four requests. */
static void chain_02_failure_cancels_what_depends(void **state)
{
    struct core *core = start();
    (void)state;
    for (unsigned count = 1; count <= SHAPE_MAX; count++) {
        static const unsigned parents[SHAPE_MAX + 1] = {1, 1, 2, 6, 24};
        for (unsigned code = 0; code < parents[count] << count; code++)
            for (unsigned barrier = 0; barrier <= count; barrier++) {
                struct shape shape = {.count = count, .failing = code & ((1u << count) - 1)};
                shape.parent[1] = code >> count & 1;
                shape.parent[2] = (code >> count) / 2 % 3;
                shape.parent[3] = (code >> count) / 6;
                shape.barrier = barrier;
                if (barrier) { /* takes no argument */
                    shape.failing &= ~(1u << (barrier - 1));
                    shape.parent[barrier - 1] = 0;
                }
                shape_check(&shape, false);
                shape_check(&shape, true);
            }
    }
    stop(core);
}

/* Of two that failed, the one that the first argument names. */
static void chain_03_root_of_two_failures(void **state)
{
    struct test_request request[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(0)),
        REQUEST(FREE_MEM, CAP(0)),
        REQUEST(ECHO, NUM(1000)),
        REQUEST(TIMER_START, FRESH, REF(2), REF(1)),
        REQUEST(ECHO, REF(4)),
        REQUEST(TIMER_START, FRESH, REF(3), REF(1)),
        REQUEST(TIMER_START, FRESH, REF(3), REF(3)),
    };
    struct core *core = start();
    (void)state;
    struct piglet_event event = test_client_run(&client, request, COUNT_OF(request), 0);
    assert_int_equal(event.root, 1);
    assert_int_equal(event.error, ERR_RANGE);
    assert_int_equal(event.count, 2);
    assert_int_equal(test_client_root(&client, 4), 2);
    assert_int_equal(test_client_error(&client, 4), ERR_CAPABILITY);
    assert_int_equal(test_client_root(&client, 5), 2);
    assert_int_equal(test_client_root(&client, 6), 1);
    assert_int_equal(test_client_error(&client, 6), ERR_RANGE);
    assert_int_equal(test_client_state(&client, 7), PIGLET_STATE_DONE);
    stop(core);
}

static void chain_04_references_that_cannot_be(void **state)
{
    static const uint64_t bad[] = {0, 2, 3, 64, 65, 256 + 1, 1ull << 32 | 1, UINT64_MAX};
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        struct test_request request[] = {
            REQUEST(ECHO, NUM(7)),
            REQUEST(ECHO, REF(bad[i])),
            REQUEST(ALLOC_MEM, FRESH, REF(bad[i])),
            REQUEST(FREE_MEM, REF(bad[i])),
        };
        unsigned wrong = bad[i] == 2 ? 1 : 3; /* request 3 may refer to 2, which failed */
        if (bad[i] == 3)
            wrong = 2;
        test_client_run(&client, request, COUNT_OF(request), 0);
        assert_int_equal(test_client_state(&client, 1), PIGLET_STATE_DONE);
        for (unsigned at = 2; at <= 1 + wrong; at++) {
            assert_int_equal(test_client_state(&client, at), PIGLET_STATE_FAILED);
            assert_int_equal(test_client_error(&client, at), ERR_ARGUMENT);
            assert_int_equal(test_client_root(&client, at), at);
        }
        for (unsigned at = 2 + wrong; at <= 4; at++)
            assert_int_equal(test_client_state(&client, at), PIGLET_STATE_CANCELLED);
    }
    stop(core);
}

/* An earlier chain's results are nothing to this one. */
static void chain_05_references_stay_in_the_chain(void **state)
{
    struct test_request request[PIGLET_CHAIN_MAX] = {REQUEST(ECHO, NUM(7))};
    struct core *core = start();
    (void)state;
    for (unsigned i = 1; i < PIGLET_CHAIN_MAX; i++)
        request[i] = request[0];
    assert_int_equal(test_client_run(&client, request, PIGLET_CHAIN_MAX, 0).error, 0);
    struct test_request late[] = {REQUEST(ECHO, REF(1)), REQUEST(ECHO, REF(30))};
    test_client_run(&client, late, 2, 0);
    assert_int_equal(test_client_error(&client, 1), ERR_ARGUMENT);
    assert_int_equal(test_client_error(&client, 2), ERR_ARGUMENT);
    stop(core);
}

/* What a reference gives depends on what is wanted. */
static void chain_06_references_give_what_is_wanted(void **state)
{
    struct test_request request[] = {
        REQUEST(ALLOC_MEM, FRESH, NUM(1)),
        REQUEST(ECHO, REF(1)),
        REQUEST(CAP_COPY, FRESH, REF(2), NUM(PIGLET_RIGHT_FREE)),
        REQUEST(ECHO, NUM(2)),
        REQUEST(ALLOC_MEM, FRESH, REF(4)),
        REQUEST(FREE_MEM, REF(3)),
        REQUEST(ECHO, OFF(12)),
        REQUEST(ECHO, CAP(0xffffffffffull)),
    };
    struct core *core = start();
    (void)state;
    assert_int_equal(test_client_run(&client, request, COUNT_OF(request), 0).error, 0);
    assert_int_equal(test_client_result(&client, 2), test_client_result(&client, 1));
    assert_int_equal(client.kernel->pages, 2);
    assert_int_equal(test_client_result(&client, 7), 12);
    assert_true(test_client_result(&client, 8) == 0xffffffffffull);
    stop(core);
}

/* ---- shapes that cannot be --------------------------------------------------------------------- */

static void chain_07_next_out_of_range(void **state)
{
    struct test_request request[] = {REQUEST(ALLOC_MEM, FRESH, NUM(1)), REQUEST(ECHO, NUM(2)),
                                     REQUEST(NOP)};
    struct core *core = start();
    struct test_digest before = test_digest(core);
    (void)state;
    for (unsigned atomic = 0; atomic <= 1; atomic++)
        for (unsigned at = 1; at <= 2; at++)
            for (unsigned i = 0; i < 2; i++) {
                struct piglet_event event;
                test_client_write(&client, request, 3, atomic ? PIGLET_ATOMIC : 0);
                test_client_request(&client, client.next_chain, at)->next =
                    i ? PIGLET_NEXT_NONE - 1 : (uint16_t)client.header->request_count;
                test_client_publish(&client);
                sim_run(core);
                assert_true(test_client_take(&client, &event));
                assert_int_equal(event.error, ERR_RANGE);
                assert_int_equal(event.root, at);
                assert_int_equal(event.at, at);
                assert_int_equal(event.count, atomic ? 0 : at);
                assert_int_equal(test_client_state(&client, at),
                                 atomic ? PIGLET_STATE_UNDONE : PIGLET_STATE_DONE);
                assert_int_equal(test_client_state(&client, at + 1), PIGLET_STATE_NONE);
                uint64_t memory = test_client_result(&client, 1);
                if (!atomic)
                    test_client_must(&client, (struct test_request)REQUEST(
                                                  FREE_MEM, CAP(piglet_result_capability(memory))));
                struct test_digest after = test_digest(core);
                test_digest_same(&before, &after, "next out of range");
            }
    stop(core);
}

static void chain_08_circle_ends(void **state)
{
    struct test_request request[] = {REQUEST(NOP), REQUEST(ECHO, NUM(2)),
                                     REQUEST(ALLOC_MEM, FRESH, NUM(1))};
    struct core *core = start();
    struct test_digest before = test_digest(core);
    struct piglet_event event;
    (void)state;
    test_client_write(&client, request, 3, PIGLET_ATOMIC);
    uint16_t second = test_client_request(&client, 1, 1)->next;
    test_client_request(&client, 1, 3)->next = second;
    test_client_publish(&client);
    sim_run(core);
    assert_true(test_client_take(&client, &event));
    assert_int_equal(event.error, ERR_LIMIT);
    assert_int_equal(event.at, PIGLET_CHAIN_MAX);
    assert_int_equal(event.root, PIGLET_CHAIN_MAX);
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "circle");

    /* One that names itself, not ATOMIC. */
    test_client_write(&client, request, 2, 0);
    second = test_client_request(&client, 2, 1)->next;
    test_client_request(&client, 2, 2)->next = second;
    test_client_publish(&client);
    sim_run(core);
    assert_true(test_client_take(&client, &event));
    assert_int_equal(event.error, ERR_LIMIT);
    assert_int_equal(event.count, PIGLET_CHAIN_MAX);
    assert_int_equal(client.header->waiting, 0);
    assert_int_equal(test_client_do(&client, request[0], NULL), 0); /* and goes on */
    stop(core);
}

static void chain_09_longest_and_too_long(void **state)
{
    struct test_request request[PIGLET_CHAIN_MAX + 1];
    struct core *core = start();
    (void)state;
    request[0] = (struct test_request)REQUEST(ECHO, NUM(7));
    for (unsigned i = 1; i <= PIGLET_CHAIN_MAX; i++)
        request[i] = (struct test_request)REQUEST(ECHO, REF(i));
    for (unsigned flags = 0; flags <= PIGLET_ATOMIC; flags += PIGLET_ATOMIC) {
        struct piglet_event event = test_client_run(&client, request, PIGLET_CHAIN_MAX, flags);
        assert_int_equal(event.error, 0);
        assert_int_equal(event.count, PIGLET_CHAIN_MAX);
        assert_int_equal(event.result, 7);
        event = test_client_run(&client, request, PIGLET_CHAIN_MAX + 1, flags);
        assert_int_equal(event.error, ERR_LIMIT);
        assert_int_equal(event.root, PIGLET_CHAIN_MAX);
        assert_int_equal(event.at, PIGLET_CHAIN_MAX);
        assert_int_equal(event.count, flags ? 0 : PIGLET_CHAIN_MAX);
        assert_int_equal(test_client_state(&client, PIGLET_CHAIN_MAX + 1), PIGLET_STATE_NONE);
        assert_int_equal(test_client_state(&client, PIGLET_CHAIN_MAX),
                         flags ? PIGLET_STATE_UNDONE : PIGLET_STATE_DONE);
    }
    stop(core);
}

/* A post that names another number than the next is not there. */
static void chain_10_only_the_next_number_counts(void **state)
{
    struct test_request request = REQUEST(NOP);
    struct piglet_event event;
    struct core *core = start();
    (void)state;
    static const uint32_t bad[] = {0, 2, 65, UINT32_MAX};
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        test_client_write(&client, &request, 1, 0);
        test_client_request(&client, 1, 1)->post = bad[i];
        test_client_ring(&client);
        sim_run(core);
        assert_false(test_client_take(&client, &event));
    }
    assert_int_equal(test_client_do(&client, request, NULL), 0);
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain_01_original_example),
        cmocka_unit_test(chain_02_failure_cancels_what_depends),
        cmocka_unit_test(chain_03_root_of_two_failures),
        cmocka_unit_test(chain_04_references_that_cannot_be),
        cmocka_unit_test(chain_05_references_stay_in_the_chain),
        cmocka_unit_test(chain_06_references_give_what_is_wanted),
        cmocka_unit_test(chain_07_next_out_of_range),
        cmocka_unit_test(chain_08_circle_ends),
        cmocka_unit_test(chain_09_longest_and_too_long),
        cmocka_unit_test(chain_10_only_the_next_number_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
