/* Capabilities: who may do what, for how long, and that nobody can guess one. */
#include "tests/psr/client.h"

enum {
    MODEL_STEPS = 3000,
    GENERATION_MAX = (1u << (32 - PIGLET_CAPABILITY_SLOT_BITS)) - 1,
    SLOTS = 1 << PIGLET_CAPABILITY_SLOT_BITS,
    PORT = 5000,
};

#define CAPABILITY(slot, generation)                                                               \
    ((uint64_t)(generation) << PIGLET_CAPABILITY_SLOT_BITS | (slot))

static struct test_client client, other;

#define REQUEST_OF(...) ((struct test_request)REQUEST(__VA_ARGS__))
#define MUST(of, ...)   piglet_result_capability(test_client_must(of, REQUEST_OF(__VA_ARGS__)))
#define TRY(of, ...)    test_client_do(of, REQUEST_OF(__VA_ARGS__), NULL)

static struct core *start_with(const char *line)
{
    struct core *core = sim_start(2, line);
    test_client_start(&client, core);
    test_client_start(&other, core);
    return core;
}

static struct core *start(void)
{
    return start_with(TEST_CLIENTS "ip=10.0.0.2/24");
}

static void stop(struct core *core)
{
    test_stop(core);
    test_client_free(&client);
    test_client_free(&other);
}

/* ---- rights ------------------------------------------------------------------------------------ */

/* A copy carries any of the original's rights, and none that it lacks. */
static void capability_01_copies_have_fewer_rights(void **state)
{
    const unsigned all = PIGLET_RIGHT_USE | PIGLET_RIGHT_COPY | PIGLET_RIGHT_FREE;
    struct core *core = start();
    (void)state;
    uint32_t memory = MUST(&client, ALLOC_MEM, FRESH, NUM(1));
    for (unsigned rights = 0; rights <= PIGLET_RIGHT_ALL; rights++) {
        bool has = (rights & all) == rights;
        assert_int_equal(TRY(&client, CAP_COPY, FRESH, CAP(memory), NUM(rights)),
                         has ? 0 : ERR_DENIED);
        if (!has)
            continue;
        uint32_t copy = (uint32_t)test_client_result(&client, 1);
        for (unsigned of = 0; of <= all; of++) {
            int want = !(rights & PIGLET_RIGHT_COPY) || (of & rights) != of ? ERR_DENIED : 0;
            assert_int_equal(TRY(&client, CAP_COPY, FRESH, CAP(copy), NUM(of)), want);
            if (want == 0)
                MUST(&client, CAP_DROP, CAP((uint32_t)test_client_result(&client, 1)));
        }
        if (!(rights & PIGLET_RIGHT_FREE))
            assert_int_equal(TRY(&client, FREE_MEM, CAP(copy)), ERR_DENIED);
        MUST(&client, CAP_DROP, CAP(copy)); /* needs no right */
    }
    static const uint64_t wrong[] = {PIGLET_RIGHT_ALL + 1, 1ull << 32 | 1, UINT64_MAX};
    for (unsigned i = 0; i < COUNT_OF(wrong); i++)
        assert_int_equal(TRY(&client, CAP_COPY, FRESH, CAP(memory), NUM(wrong[i])), ERR_RANGE);
    stop(core);
}

/* What the command line withholds no client has. */
static void capability_02_rights_of_the_window(void **state)
{
    struct core *core = start_with(TEST_CLIENTS "window.rights=none");
    (void)state;
    uint32_t sys = client.header->system;
    assert_int_equal(client.header->rights, 0);
    uint32_t memory = MUST(&client, ALLOC_MEM, FRESH, NUM(2));
    uint32_t second = MUST(&client, ALLOC_MEM, FRESH, NUM(2));
    uint32_t frameset = MUST(&client, MAKE_FRAMESET, FRESH, CAP(memory), CAP(second));
    assert_int_equal(TRY(&client, NIC_LIST, CAP(sys), CAP(memory)), ERR_DENIED);
    assert_int_equal(TRY(&client, ADDRESS_DELETE, CAP(sys), NUM(1)), ERR_DENIED);
    assert_int_equal(TRY(&client, JOIN, CAP(sys), CAP(frameset), NUM(0)), ERR_DENIED);
    assert_int_equal(TRY(&client, CAP_COPY, FRESH, CAP(sys), NUM(0)), ERR_DENIED);
    assert_int_equal(TRY(&client, SET_PEER, CAP(frameset), NUM(0)), ERR_DENIED);
    assert_int_equal(TRY(&client, BIND_PORT, CAP(frameset), NUM(PORT)), ERR_DENIED);
    stop(core);

    core = start_with(TEST_CLIENTS "window.rights=read+copy");
    sys = client.header->system;
    memory = MUST(&client, ALLOC_MEM, FRESH, NUM(2));
    assert_int_equal(TRY(&client, NIC_LIST, CAP(sys), CAP(memory)), 0);
    assert_int_equal(TRY(&client, ADDRESS_DELETE, CAP(sys), NUM(1)), ERR_DENIED);
    assert_int_equal(TRY(&client, CAP_COPY, FRESH, CAP(sys), NUM(PIGLET_RIGHT_READ)), 0);
    assert_int_equal(TRY(&client, CAP_COPY, FRESH, CAP(sys), NUM(PIGLET_RIGHT_CONFIG)), ERR_DENIED);
    stop(core);
}

/* ---- their end --------------------------------------------------------------------------------- */

static void capability_03_object_goes_with_its_last(void **state)
{
    struct core *core = start();
    (void)state;
    uint32_t name[4] = {MUST(&client, ALLOC_MEM, FRESH, NUM(5))};
    for (unsigned i = 1; i < 4; i++)
        name[i] = MUST(&client, CAP_COPY, FRESH, CAP(name[0]), NUM(PIGLET_RIGHT_FREE));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(client.kernel->pages, 5);
        MUST(&client, CAP_DROP, CAP(name[i]));
        assert_int_equal(TRY(&client, CAP_DROP, CAP(name[i])), ERR_CAPABILITY);
    }
    assert_int_equal(client.kernel->pages, 0);

    name[0] = MUST(&client, ALLOC_MEM, FRESH, NUM(5)); /* and Free_Mem ends all of them */
    name[1] = MUST(&client, CAP_COPY, FRESH, CAP(name[0]), NUM(PIGLET_RIGHT_FREE));
    MUST(&client, FREE_MEM, CAP(name[1]));
    assert_int_equal(TRY(&client, FREE_MEM, CAP(name[0])), ERR_CAPABILITY);
    assert_int_equal(client.kernel->pages, 0);
    stop(core);
}

/* Memory in a ring is not given back by any way. */
static void capability_04_memory_in_use_stays(void **state)
{
    struct core *core = start();
    (void)state;
    uint32_t memory[2], frameset;
    for (unsigned i = 0; i < 2; i++)
        memory[i] = MUST(&client, ALLOC_MEM, FRESH, NUM(2));
    frameset = MUST(&client, MAKE_FRAMESET, FRESH, CAP(memory[0]), CAP(memory[1]));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(TRY(&client, FREE_MEM, CAP(memory[i])), ERR_BUSY);
        assert_int_equal(TRY(&client, CAP_DROP, CAP(memory[i])), ERR_BUSY);
        uint32_t copy = MUST(&client, CAP_COPY, FRESH, CAP(memory[i]), NUM(PIGLET_RIGHT_FREE));
        const struct test_request both[] = {REQUEST(CAP_DROP, CAP(memory[i])),
                                            REQUEST(CAP_DROP, CAP(copy))};
        assert_int_equal(test_client_run(&client, both, 2, PIGLET_ATOMIC).error, ERR_BUSY);
        MUST(&client, CAP_DROP, CAP(memory[i])); /* one of two may go */
        assert_int_equal(TRY(&client, CAP_DROP, CAP(copy)), ERR_BUSY);
        memory[i] = copy;
    }
    MUST(&client, CAP_DROP, CAP(frameset));
    MUST(&client, CAP_DROP, CAP(memory[0]));
    MUST(&client, FREE_MEM, CAP(memory[1]));
    assert_int_equal(client.kernel->pages, 0);
    stop(core);
}

static void capability_05_revoke_ends_descendants(void **state)
{
    struct core *core = start();
    (void)state;
    uint32_t root = MUST(&client, ALLOC_MEM, FRESH, NUM(1)), name[5];
    static const unsigned of[5] = {0, 1, 2, 2, 0}; /* 1 and 5 of the root, 2 of 1, 3 and 4 of 2 */
    for (unsigned i = 0; i < 5; i++)
        name[i] = MUST(&client, CAP_COPY, FRESH, CAP(of[i] ? name[of[i] - 1] : root),
                       NUM(PIGLET_RIGHT_COPY));
    assert_int_equal(test_client_must(&client, REQUEST_OF(CAP_REVOKE, CAP(name[1]))), 2);
    assert_int_equal(TRY(&client, CAP_REVOKE, CAP(name[2])), ERR_CAPABILITY);
    assert_int_equal(test_client_must(&client, REQUEST_OF(CAP_REVOKE, CAP(name[1]))), 0);
    MUST(&client, CAP_DROP, CAP(name[0])); /* in the middle: 2 is a copy of the root's now */
    assert_int_equal(test_client_must(&client, REQUEST_OF(CAP_REVOKE, CAP(root))), 2);
    assert_int_equal(TRY(&client, CAP_DROP, CAP(name[1])), ERR_CAPABILITY);
    assert_int_equal(TRY(&client, CAP_DROP, CAP(name[4])), ERR_CAPABILITY);
    assert_int_equal(client.kernel->pages, 1);
    MUST(&client, FREE_MEM, CAP(root));
    stop(core);
}

/* ---- against a model --------------------------------------------------------------------------- */

enum { MODEL_MAX = 200 };

static struct model {
    bool live;
    uint32_t name;
    int parent;
    unsigned depth;
} model[MODEL_MAX];

static bool model_descends(int node, int from)
{
    for (node = model[node].parent; node >= 0; node = model[node].parent)
        if (node == from)
            return true;
    return false;
}

static void model_drop(int node)
{
    for (int i = 0; i < MODEL_MAX; i++)
        if (model[i].live && model[i].parent == node)
            model[i].parent = model[node].parent;
    model[node].live = false;
}

static void model_copy(int node)
{
    int free = 0;
    uint64_t result;
    while (free < MODEL_MAX && model[free].live)
        free++;
    if (free == MODEL_MAX)
        return;
    int error = test_client_do(
        &client, REQUEST_OF(CAP_COPY, FRESH, CAP(model[node].name), NUM(PIGLET_RIGHT_COPY)),
        &result);
    bool deep = model[node].depth == COPY_DEPTH_MAX;
    assert_int_equal(error, deep ? ERR_LIMIT : 0);
    if (!deep)
        model[free] = (struct model){true, (uint32_t)result, node, model[node].depth + 1};
}

static void model_revoke(int node)
{
    bool ends[MODEL_MAX];
    unsigned count = 0;
    for (int i = 0; i < MODEL_MAX; i++)
        count += ends[i] = model[i].live && model_descends(i, node);
    assert_int_equal(test_client_must(&client, REQUEST_OF(CAP_REVOKE, CAP(model[node].name))),
                     count);
    for (int i = 0; i < MODEL_MAX; i++)
        if (ends[i])
            model[i].live = false;
}

static void capability_06_trees_like_the_model(void **state)
{
    uint32_t random = 3;
    struct core *core = start();
    (void)state;
    memset(model, 0, sizeof model);
    model[0] = (struct model){true, MUST(&client, ALLOC_MEM, FRESH, NUM(1)), -1, 0};
    for (unsigned step = 0; step < MODEL_STEPS; step++) {
        random = random * 1664525 + 1013904223; /* Numerical Recipes */
        int node = (int)(random >> 8) % MODEL_MAX;
        while (!model[node].live)
            node = (node + 1) % MODEL_MAX;
        unsigned what = random >> 28;
        if (what < 12)
            model_copy(node);
        else if (what == 12)
            model_revoke(node);
        else if (node != 0) {
            MUST(&client, CAP_DROP, CAP(model[node].name));
            model_drop(node);
        }
        unsigned live = 1; /* the system's */
        for (unsigned i = 0; i < MODEL_MAX; i++)
            live += model[i].live;
        assert_int_equal(client.kernel->capabilities, live);
        assert_int_equal(client.kernel->memory[0].object.names, live - 1);
    }
    for (unsigned i = 0; i < MODEL_MAX; i++) /* each is what it is taken for */
        if (model[i].live && i)
            MUST(&client, CAP_DROP, CAP(model[i].name));
    assert_int_equal(client.kernel->capabilities, 2);
    stop(core);
}

/* ---- generations ------------------------------------------------------------------------------- */

static void capability_07_a_slot_used_again(void **state)
{
    struct core *core = start();
    (void)state;
    uint32_t first = MUST(&client, ALLOC_MEM, FRESH, NUM(1)), before = first;
    for (unsigned i = 0; i < 100; i++) {
        MUST(&client, FREE_MEM, CAP(before));
        uint32_t now = MUST(&client, ALLOC_MEM, FRESH, NUM(1));
        assert_int_equal(now % SLOTS, first % SLOTS); /* the same place */
        assert_int_not_equal(now, before);
        assert_int_equal(TRY(&client, FREE_MEM, CAP(before)), ERR_CAPABILITY);
        assert_int_equal(TRY(&client, FREE_MEM, CAP(first)), ERR_CAPABILITY);
        before = now;
    }
    /* The last generation is followed by the first, never by 0. */
    MUST(&client, FREE_MEM, CAP(before));
    client.kernel->capability[first % SLOTS].generation = GENERATION_MAX;
    uint32_t last = MUST(&client, ALLOC_MEM, FRESH, NUM(1));
    assert_int_equal(last, CAPABILITY(first % SLOTS, GENERATION_MAX));
    MUST(&client, FREE_MEM, CAP(last));
    assert_int_equal(MUST(&client, ALLOC_MEM, FRESH, NUM(1)), CAPABILITY(first % SLOTS, 1));
    stop(core);
}

/* Undone or attached anew, a number does not come back. */
static void capability_08_numbers_do_not_come_back(void **state)
{
    const struct test_request request[] = {REQUEST(ALLOC_MEM, FRESH, NUM(1)),
                                           REQUEST_WITH(CAP_DROP, 0, 0, CAP(0))};
    struct core *core = start();
    (void)state;
    uint32_t slot = 1, generation = client.kernel->capability[slot].generation;
    test_client_run(&client, request, 2, PIGLET_ATOMIC);
    assert_int_not_equal(client.kernel->capability[slot].generation, generation);
    assert_int_equal(TRY(&client, FREE_MEM, CAP(CAPABILITY(slot, generation))), ERR_CAPABILITY);
    uint32_t memory = MUST(&client, ALLOC_MEM, FRESH, NUM(1)), sys = client.header->system;
    test_client_detach(&client);
    test_client_attach(&client);
    assert_int_not_equal(client.header->system, sys);
    MUST(&client, ALLOC_MEM, FRESH, NUM(1));
    assert_int_equal(TRY(&client, FREE_MEM, CAP(memory)), ERR_CAPABILITY);
    assert_int_equal(TRY(&client, CAP_COPY, FRESH, CAP(sys), NUM(0)), ERR_CAPABILITY);
    stop(core);
}

/* One client has all sorts of things; the other tries every number that could name them. */
static void capability_09_nobody_guesses(void **state)
{
    static const uint64_t generations[] = {0, 1, 2, 3, GENERATION_MAX, GENERATION_MAX + 1ull};
    struct test_request request[PIGLET_CHAIN_MAX];
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < 40; i++)
        MUST(&client, ALLOC_MEM, FRESH, NUM(1));
    MUST(&client, TIMER_START, FRESH, NUM(1000000));
    struct test_digest before = test_digest(core);
    uint32_t sys = other.header->system;
    for (unsigned i = 0; i < COUNT_OF(generations); i++)
        for (unsigned slot = 0; slot < SLOTS; slot += PIGLET_CHAIN_MAX) {
            for (unsigned j = 0; j < PIGLET_CHAIN_MAX; j++)
                request[j] = REQUEST_OF(FREE_MEM, CAP(CAPABILITY(slot + j, generations[i])));
            test_client_run(&other, request, PIGLET_CHAIN_MAX, 0);
            for (unsigned j = 0; j < PIGLET_CHAIN_MAX; j++)
                assert_int_equal(test_client_error(&other, j + 1),
                                 request[j].argument[0].value == sys ? ERR_TYPE : ERR_CAPABILITY);
        }
    /* Higher bits than a capability has. */
    assert_int_equal(TRY(&other, FREE_MEM, CAP(1ull << 32 | sys)), ERR_CAPABILITY);
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "guessing");
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capability_01_copies_have_fewer_rights),
        cmocka_unit_test(capability_02_rights_of_the_window),
        cmocka_unit_test(capability_03_object_goes_with_its_last),
        cmocka_unit_test(capability_04_memory_in_use_stays),
        cmocka_unit_test(capability_05_revoke_ends_descendants),
        cmocka_unit_test(capability_06_trees_like_the_model),
        cmocka_unit_test(capability_07_a_slot_used_again),
        cmocka_unit_test(capability_08_numbers_do_not_come_back),
        cmocka_unit_test(capability_09_nobody_guesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
