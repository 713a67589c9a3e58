/* Every opcode of the table: that it works, and each way in which it can be used wrongly. */
#include <stdio.h>

#include "tests/psr/uses.h"

enum { TAGS_TRIED = PIGLET_TAG_COUNT + 2, OPCODES_ALL = 256 };

/* ---- the table --------------------------------------------------------------------------------- */

static void opcode_01_each_has_a_function(void **state)
{
    (void)state;
    assert_int_equal(COUNT_OF(info), PIGLET_OP_COUNT);
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++) {
        assert_non_null(opcode_runs[i]);
        for (unsigned j = 0; j < i; j++) {
            assert_true(opcode_runs[i] != opcode_runs[j]);
            assert_string_not_equal(info[i].name, info[j].name);
        }
        for (unsigned j = 0; j < 4; j++) /* an argument has a name, and only an argument */
            assert_int_equal(info[i].want[j] != PIGLET_WANT_NONE, info[i].argument[j][0] != 0);
    }
}

static void opcode_02_unknown_ones(void **state)
{
    struct core *core = start();
    (void)state;
    struct test_digest before = test_digest(core);
    for (unsigned opcode = PIGLET_OP_COUNT; opcode < OPCODES_ALL; opcode++)
        for (unsigned tag = 0; tag < PIGLET_TAG_COUNT; tag++) {
            struct test_request request = {.opcode = (uint8_t)opcode, .argument = {{tag, 0}}};
            assert_int_equal(test_client_do(&client, request, NULL), ERR_UNSUPPORTED);
        }
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "unknown opcodes");
    stop(core);
}

/* Alone it succeeds; in an ATOMIC chain that fails it leaves nothing. */
static void opcode_03_each_succeeds_and_can_be_undone(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++) {
        struct test_request use[PIGLET_OP_COUNT];
        struct core *core = start();
        uses(use);
        const struct test_request chain[] = {use[i], REQUEST(FREE_MEM, CAP(0))};
        struct test_digest before = test_digest(core);
        assert_int_equal(test_client_run(&client, chain, 2, PIGLET_ATOMIC).root, 2);
        assert_int_equal(test_client_state(&client, 1), PIGLET_STATE_UNDONE);
        struct test_digest after = test_digest(core);
        test_digest_same(&before, &after, info[i].name);

        int error = test_client_do(&client, use[i], NULL);
        if (error)
            fail_msg("%s: %s", info[i].name, piglet_error_text(error));
        bool changes = strcmp(info[i].undo, "nothing to undo") != 0 && i != PIGLET_OP_CAP_REVOKE &&
                       i != PIGLET_OP_SERVICE_START;
        after = test_digest(core);
        if (test_digest_equal(&before, &after) == changes)
            fail_msg("%s: %s", info[i].name, changes ? "nothing has changed" : "something changed");
        stop(core);
    }
}

/* ---- arguments --------------------------------------------------------------------------------- */

static bool tag_fits(unsigned want, unsigned tag)
{
    switch (want) {
    case PIGLET_WANT_NONE:
        return tag == PIGLET_TAG_NONE;
    case PIGLET_WANT_NEW:
        return tag == PIGLET_TAG_NEW;
    case PIGLET_WANT_NUMBER:
        return tag == PIGLET_TAG_NUMBER;
    case PIGLET_WANT_OPTION:
        return tag == PIGLET_TAG_NUMBER || tag == PIGLET_TAG_NONE;
    case PIGLET_WANT_OFFSET:
        return tag == PIGLET_TAG_OFFSET;
    case PIGLET_WANT_VALUE:
        return tag == PIGLET_TAG_NUMBER || tag == PIGLET_TAG_CAPABILITY || tag == PIGLET_TAG_OFFSET;
    default:
        return tag == PIGLET_TAG_CAPABILITY;
    }
}

/* In every place, every tag that does not belong there; references are to what does not exist. */
static void opcode_04_wrong_tags(void **state)
{
    struct test_request use[PIGLET_OP_COUNT];
    struct core *core = start();
    unsigned tried = 0;
    (void)state;
    uses(use);
    struct test_digest before = test_digest(core);
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++)
        for (unsigned at = 0; at < 4; at++)
            for (unsigned tag = 0; tag < TAGS_TRIED; tag++) {
                struct test_request request = use[i];
                if (tag_fits(info[i].want[at], tag))
                    continue;
                request.argument[at].tag = (uint8_t)(tag == TAGS_TRIED - 1 ? UINT8_MAX : tag);
                if (tag == PIGLET_TAG_REFERENCE)
                    request.argument[at].value = 1; /* itself */
                int error = test_client_do(&client, request, NULL);
                if (error != ERR_ARGUMENT)
                    fail_msg("%s, argument %u, tag %u: %s", info[i].name, at + 1, tag,
                             piglet_error_text(error));
                tried++;
            }
    assert_true(tried > PIGLET_OP_COUNT * 4 * 5);
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "wrong tags");
    stop(core);
}

static bool wants_capability(unsigned want)
{
    return want >= PIGLET_WANT_ANY;
}

/* Where a capability is wanted: one that never was, that has ended, or of something else. */
static void opcode_05_wrong_capabilities(void **state)
{
    struct test_request use[PIGLET_OP_COUNT];
    struct core *core = start();
    (void)state;
    uint32_t ended = MUST(ALLOC_MEM, FRESH, NUM(1));
    MUST(FREE_MEM, CAP(ended));
    const uint64_t none[] = {0, ended, 1023, UINT32_MAX, UINT64_MAX, 1ull << 32 | sys};
    const struct {
        unsigned want;
        uint32_t name;
    } of[] = {{PIGLET_WANT_MEMORY, small},
              {PIGLET_WANT_FRAMESET, fresh},
              {PIGLET_WANT_TIMER, timer},
              {PIGLET_WANT_SYSTEM, sys}};
    uses(use);
    struct test_digest before = test_digest(core);
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++)
        for (unsigned at = 0; at < 4; at++) {
            unsigned want = info[i].want[at];
            struct test_request request = use[i];
            for (unsigned j = 0; wants_capability(want) && j < COUNT_OF(none); j++) {
                request.argument[at].value = none[j];
                assert_int_equal(test_client_do(&client, request, NULL), ERR_CAPABILITY);
            }
            for (unsigned j = 0; want > PIGLET_WANT_ANY && j < COUNT_OF(of); j++) {
                request.argument[at].value = of[j].name;
                if (of[j].want != want)
                    assert_int_equal(test_client_do(&client, request, NULL), ERR_TYPE);
            }
        }
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "wrong capabilities");
    stop(core);
}

/* With a copy that lacks the right it is refused; with one that has no other, it is not. */
static void opcode_06_rights(void **state)
{
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++) {
        bool named = false;
        for (unsigned at = 0; at < 4; at++) {
            struct test_request use[PIGLET_OP_COUNT];
            if (!wants_capability(info[i].want[at]))
                continue;
            unsigned right = named ? (unsigned)PIGLET_RIGHT_USE : info[i].right;
            named = true;
            uses(use);
            uint64_t original = use[i].argument[at].value;
            unsigned all = client.kernel->capability[original & 1023].rights;
            for (unsigned enough = 0; enough <= 1; enough++) {
                const struct test_request chain[] = {
                    REQUEST(CAP_COPY, FRESH, CAP(original), NUM(enough ? right : all & ~right)),
                    use[i],
                    REQUEST(FREE_MEM, CAP(0)),
                };
                struct test_request tried[3];
                memcpy(tried, chain, sizeof tried);
                tried[1].argument[at] = (struct test_argument)REF(1);
                test_client_run(&client, tried, 3, PIGLET_ATOMIC);
                int error = test_client_error(&client, 2);
                bool denied = test_client_state(&client, 2) == PIGLET_STATE_FAILED;
                if (right && !enough)
                    assert_true(denied && error == ERR_DENIED);
                else if (denied && !(i == PIGLET_OP_CAP_COPY && error == ERR_DENIED))
                    fail_msg("%s: %s", info[i].name, piglet_error_text(error));
            }
        }
    }
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opcode_01_each_has_a_function),
        cmocka_unit_test(opcode_02_unknown_ones),
        cmocka_unit_test(opcode_03_each_succeeds_and_can_be_undone),
        cmocka_unit_test(opcode_04_wrong_tags),
        cmocka_unit_test(opcode_05_wrong_capabilities),
        cmocka_unit_test(opcode_06_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
