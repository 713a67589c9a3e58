/* Each failure that the table of opcodes names is tried, and leaves nothing. */
#include "tests/psr/uses.h"

static uint8_t failed[PIGLET_OP_COUNT][32]; /* by opcode and -error: tried */

static void fails(int error, struct test_request request)
{
    int got = test_client_do(&client, request, NULL);
    if (got != error)
        fail_msg("%s: %s, not %s", info[request.opcode].name, piglet_error_text(got),
                 piglet_error_text(error));
    failed[request.opcode][-error] = 1;
}

#define FAILS(error, ...) fails(ERR_##error, REQUEST_OF(__VA_ARGS__))

static void fail_memory(void)
{
    FAILS(RANGE, ALLOC_MEM, FRESH, NUM(0));
    FAILS(RANGE, ALLOC_MEM, FRESH, NUM(client.header->data_pages + 1));
    FAILS(RANGE, ALLOC_MEM, FRESH, NUM(1ull << 32 | 1));
    FAILS(NO_MEMORY, ALLOC_MEM, FRESH, NUM(client.header->data_pages));
    FAILS(BUSY, FREE_MEM, CAP(used));
    FAILS(BUSY, CAP_DROP, CAP(used));
    FAILS(RANGE, CAP_COPY, FRESH, CAP(big), NUM(128));
    FAILS(DENIED, CAP_COPY, FRESH, CAP(big), NUM(PIGLET_RIGHT_READ));
    FAILS(RANGE, TIMER_START, FRESH, NUM(30ull * 86400 * 1000000 + 1));
    FAILS(RANGE, TIMER_START, FRESH, NUM(1), NUM(99));
    FAILS(RANGE, TIMER_START, FRESH, NUM(1), NUM(30ull * 86400 * 1000000 + 1));
}

static void fail_framesets(void)
{
    FAILS(ARGUMENT, MAKE_FRAMESET, FRESH, CAP(big), CAP(big));
    FAILS(RANGE, MAKE_FRAMESET, FRESH, CAP(big), CAP(small));
    FAILS(RANGE, MAKE_FRAMESET, FRESH, CAP(small), CAP(big));
    FAILS(BUSY, MAKE_FRAMESET, FRESH, CAP(big), CAP(used));
    FAILS(BUSY, MAKE_FRAMESET, FRESH, CAP(used), CAP(big));
    FAILS(RANGE, SET_PEER, CAP(fresh), NUM(1ull << 32));
    FAILS(RANGE, SET_PEER, CAP(fresh), NUM(1), NUM(65536), NUM(17));
    FAILS(RANGE, SET_PEER, CAP(fresh), NUM(1), NUM(1), NUM(65536));
    FAILS(RANGE, SET_PEER, CAP(fresh), NUM(0), NUM(0), NUM(256));
    FAILS(RANGE, SET_PEER, CAP(fresh), NUM(0), NUM(0), NUM(0x5ff));
    FAILS(RANGE, SET_PEER, CAP(fresh), NUM(1), NUM(0), NUM(0x600));
    FAILS(RANGE, SET_PEER, CAP(fresh), NUM(1), NUM(1), NUM(6));
    FAILS(INVALID, SET_PEER, CAP(joined), NUM(1));
    FAILS(INVALID, SET_PEER, CAP(bound), NUM(1));
    FAILS(INVALID, SET_PEER, CAP(peered), NUM(1), NUM(1), NUM(17));
    FAILS(NOT_FOUND, SET_PEER, CAP(fresh), NUM(0), NUM(2), NUM(0x600));
    FAILS(DENIED, SET_PEER, CAP(fresh), NUM(0), NUM(0), NUM(0x800));
    FAILS(DENIED, SET_PEER, CAP(fresh), NUM(0), NUM(0), NUM(0x806));
    FAILS(INVALID, FRAMESET_START, CAP(fresh));
    FAILS(RANGE, BIND_PORT, CAP(fresh), NUM(65536));
    FAILS(INVALID, BIND_PORT, CAP(bound), NUM(1));
    FAILS(INVALID, BIND_PORT, CAP(joined), NUM(1));
    FAILS(INVALID, BIND_PORT, CAP(peered), NUM(1));
    FAILS(EXISTS, BIND_PORT, CAP(fresh), NUM(PORT));
    FAILS(NOT_FOUND, JOIN, CAP(sys), CAP(fresh), NUM(2));
    FAILS(INVALID, JOIN, CAP(sys), CAP(joined), NUM(0));
    FAILS(INVALID, JOIN, CAP(sys), CAP(bound), NUM(0));
    FAILS(INVALID, JOIN, CAP(sys), CAP(peered), NUM(0));
    FAILS(INVALID, JOIN, CAP(sys), CAP(fresh), NUM(0), NUM(0));
    FAILS(INVALID, JOIN, CAP(sys), CAP(fresh), NUM(0), NUM(0x010000000000ull));
    FAILS(RANGE, JOIN, CAP(sys), CAP(fresh), NUM(0), NUM(1ull << 48));
    FAILS(EXISTS, JOIN, CAP(sys), CAP(fresh), NUM(0), NUM(0x020000000001ull));
    FAILS(EXISTS, JOIN, CAP(sys), CAP(fresh), NUM(1), NUM(0x020000000070ull));
}

static int register_gone(struct nic *nic, uint32_t offset, uint32_t *value)
{
    (void)nic, (void)offset, (void)value;
    return ERR_DEVICE;
}

/* By a nic that cannot receive what it takes, or fails to; or has no registers to look at. */
static void fail_nics(struct core *core)
{
    const struct nic_driver *driver = core->nic[0].driver;
    struct nic_driver deaf = *driver;
    deaf.filter = NULL;
    core->nic[0].driver = &deaf;
    FAILS(UNSUPPORTED, JOIN, CAP(sys), CAP(fresh), NUM(0));
    deaf.register_read = register_gone;
    FAILS(DEVICE, REGISTER_READ, CAP(sys), CAP(big), NUM(0));
    FAILS(NOT_FOUND, REGISTER_READ, CAP(sys), CAP(big), NUM(9ull << 32));
    core->nic[0].driver = driver;
    sim_filter_fails(core, 0, true);
    FAILS(TIMEOUT, JOIN, CAP(sys), CAP(fresh), NUM(0));
    sim_filter_fails(core, 0, false);
}

static void fail_configuration(void)
{
    const uint64_t host = PREFIX(IP(10, 0, 9, 2), 24), net = PREFIX(IP(10, 9, 0, 0), 16);
    FAILS(RANGE, ADDRESS_ADD, CAP(sys), NUM(1ull << 40), NUM(0));
    FAILS(RANGE, ADDRESS_ADD, CAP(sys), NUM(host), NUM(0), NUM(1ull << 32));
    FAILS(NOT_FOUND, ADDRESS_ADD, CAP(sys), NUM(host), NUM(2));
    FAILS(INVALID, ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 9, 0), 24)), NUM(0));
    FAILS(INVALID, ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 9, 2), 33)), NUM(0));
    FAILS(INVALID, ADDRESS_ADD, CAP(sys), NUM(host), NUM(0), NUM(IP(10, 1, 0, 1)));
    FAILS(EXISTS, ADDRESS_ADD, CAP(sys), NUM(PREFIX(IP(10, 0, 0, 2), 24)), NUM(0));
    FAILS(RANGE, ADDRESS_DELETE, CAP(sys), NUM(1ull << 32));
    FAILS(NOT_FOUND, ADDRESS_DELETE, CAP(sys), NUM(IP(10, 0, 0, 3)));
    FAILS(RANGE, ROUTE_ADD, CAP(sys), NUM(1ull << 40), NUM(IP(10, 0, 0, 9)));
    FAILS(RANGE, ROUTE_ADD, CAP(sys), NUM(net), NUM(1ull << 32));
    FAILS(RANGE, ROUTE_ADD, CAP(sys), NUM(net), NUM(IP(11, 0, 0, 9)));
    FAILS(RANGE, ROUTE_ADD, CAP(sys), NUM(net), NUM(IP(10, 7, 0, 1))); /* behind a gateway */
    FAILS(RANGE, ROUTE_ADD, CAP(sys), NUM(net), NUM(IP(10, 0, 0, 9)), NUM(1));
    FAILS(ARGUMENT, ROUTE_ADD, CAP(sys), NUM(net), NUM(0));
    FAILS(NOT_FOUND, ROUTE_ADD, CAP(sys), NUM(net), NUM(0), NUM(2));
    FAILS(INVALID, ROUTE_ADD, CAP(sys), NUM(PREFIX(IP(10, 9, 0, 0), 33)), NUM(0), NUM(0));
    FAILS(INVALID, ROUTE_ADD, CAP(sys), NUM(PREFIX(IP(10, 9, 0, 1), 16)), NUM(0), NUM(0));
    FAILS(EXISTS, ROUTE_ADD, CAP(sys), NUM(PREFIX(IP(10, 7, 0, 0), 16)), NUM(0), NUM(0));
    FAILS(RANGE, ROUTE_DELETE, CAP(sys), NUM(1ull << 40));
    FAILS(NOT_FOUND, ROUTE_DELETE, CAP(sys), NUM(net));
    FAILS(NOT_FOUND, ROUTE_DELETE, CAP(sys), NUM(PREFIX(IP(10, 7, 0, 0), 33)));
    FAILS(DENIED, ROUTE_DELETE, CAP(sys), NUM(PREFIX(IP(10, 0, 0, 2), 32)));
    FAILS(DENIED, ROUTE_DELETE, CAP(sys), NUM(PREFIX(IP(127, 0, 0, 0), 8)));
    FAILS(BUSY, ROUTE_DELETE, CAP(sys), NUM(PREFIX(IP(10, 0, 0, 0), 24)));
}

/* The failed ones leave what was loaded, but for those that a service itself refuses. */
static void fail_loads(struct core *core)
{
    const uint32_t load = core->service[loader].loads;
    uint8_t *table = client.kernel->data + client.kernel->memory[0].page * PIGLET_PAGE;
    FAILS(NOT_FOUND, SERVICE_LOAD, CAP(sys), NUM(core->service_count), CAP(big), NUM(LOADED));
    FAILS(UNSUPPORTED, SERVICE_LOAD, CAP(sys), NUM(echo), CAP(big), NUM(LOADED));
    FAILS(RANGE, SERVICE_LOAD, CAP(sys), NUM(loader), CAP(big), NUM(TEST_TABLE_MAX + 1));
    FAILS(RANGE, SERVICE_LOAD, CAP(sys), NUM(loader), CAP(small), NUM(PIGLET_PAGE + 1));
    FAILS(RANGE, SERVICE_LOAD, CAP(sys), NUM(loader), CAP(big), NUM(UINT64_MAX));
    FAILS(BUSY, SERVICE_LOAD, CAP(sys), NUM(loader), CAP(used), NUM(LOADED));
    FAILS(NOT_FOUND, SERVICE_SWAP, CAP(sys), NUM(core->service_count), NUM(load));
    FAILS(INVALID, SERVICE_SWAP, CAP(sys), NUM(loader), NUM(load - 1));
    FAILS(INVALID, SERVICE_SWAP, CAP(sys), NUM(loader), NUM(load + 1));
    FAILS(INVALID, SERVICE_SWAP, CAP(sys), NUM(echo), NUM(0));
    FAILS(INVALID, SERVICE_SWAP, CAP(sys), NUM(loader), NUM(0));
    FAILS(RANGE, SERVICE_LOAD, CAP(sys), NUM(loader), CAP(big),
          NUM((4ull * PIGLET_PAGE) << 32 | LOADED));
    FAILS(NOT_FOUND, TABLE_READ, CAP(sys), CAP(big), NUM(core->service_count));
    FAILS(UNSUPPORTED, TABLE_READ, CAP(sys), CAP(big), NUM(echo));
    FAILS(BUSY, TABLE_READ, CAP(sys), CAP(used), NUM(loader));
    FAILS(RANGE, SYSTEM_STOP, CAP(sys), NUM(3));
    assert_true(core->service[loader].loaded);
    table[5] = 0;
    FAILS(INVALID, SERVICE_LOAD, CAP(sys), NUM(loader), CAP(big), NUM(LOADED));
    assert_int_equal(core->service[loader].load_error_at, 5);
    FAILS(INVALID, SERVICE_SWAP, CAP(sys), NUM(loader), NUM(load)); /* its place is gone */
}

static void fail_services(struct core *core)
{
    const uint64_t end = client.header->data_offset + client.header->data_pages * PIGLET_PAGE;
    FAILS(NOT_FOUND, SERVICE_START, CAP(sys), NUM(core->service_count));
    FAILS(NOT_FOUND, SERVICE_STOP, CAP(sys), NUM(1ull << 32));
    FAILS(NOT_FOUND, SERVICE_CONFIGURE, CAP(sys), NUM(UINT64_MAX), OFF(text), NUM(6));
    FAILS(NOT_FOUND, SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(text + 7), NUM(8));
    FAILS(RANGE, SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(text), NUM(0));
    FAILS(RANGE, SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(text), NUM(97));
    FAILS(RANGE, SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(0), NUM(6));
    FAILS(RANGE, SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(client.header->data_offset - 1),
          NUM(6));
    FAILS(RANGE, SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(end - 5), NUM(6));
    FAILS(RANGE, SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(UINT64_MAX - 3), NUM(6));
    FAILS(RANGE, SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(text + 16), NUM(6));   /* port=0 */
    FAILS(INVALID, SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(text + 23), NUM(6)); /* port=x */
    FAILS(INVALID, SERVICE_CONFIGURE, CAP(sys), NUM(echo), OFF(text + 30), NUM(4)); /* port */
    FAILS(NOT_FOUND, SERVICE_FIND, CAP(sys), OFF(text), NUM(3));
    FAILS(RANGE, SERVICE_FIND, CAP(sys), OFF(text), NUM(0));
    FAILS(RANGE, SERVICE_FIND, CAP(sys), OFF(text), NUM(24));
    FAILS(RANGE, SERVICE_FIND, CAP(sys), OFF(1), NUM(4));
    fail_loads(core);
    FAILS(NOT_FOUND, SERVICE_SHOW, CAP(sys), CAP(big), NUM((uint64_t)core->service_count << 32));
    FAILS(UNSUPPORTED, SERVICE_SHOW, CAP(sys), CAP(big), NUM((uint64_t)echo << 32));
}

/* The readers all fail in the same ways. */
static void fail_tables(void)
{
    struct test_request use[PIGLET_OP_COUNT];
    uses(use);
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++) {
        if ((info[i].right != PIGLET_RIGHT_READ && i != PIGLET_OP_REGISTER_READ) ||
            info[i].want[1] != PIGLET_WANT_MEMORY ||
            i == PIGLET_OP_TABLE_READ) /* bytes, not entries */
            continue;
        static const uint64_t offset[] = {
            1, 4, 4 * PIGLET_PAGE, 12, 1ull << 32, 4 * PIGLET_PAGE - 8, UINT64_MAX};
        struct test_request request = use[i];
        for (unsigned j = 0; j < COUNT_OF(offset); j++) {
            request.argument[3].value = offset[j];
            fails(ERR_RANGE, request);
        }
        request = use[i];
        request.argument[1].value = used;
        fails(ERR_BUSY, request);
    }
}

/* Whether each error that the table names was tried; those of a limit are in test_limits.c, and of
 * no memory below. */
static void check_all_tried(void)
{
    static const struct {
        const char *name;
        int error;
    } row[] = {
#define ERROR_ROW(name, number, text) {#name ":", number},
        PIGLET_ERRORS(ERROR_ROW)
#undef ERROR_ROW
    };
    for (unsigned i = 0; i < PIGLET_OP_COUNT; i++)
        for (unsigned j = 0; j < COUNT_OF(row); j++) {
            if (!strstr(info[i].errors, row[j].name) || failed[i][-row[j].error] ||
                row[j].error == ERR_LIMIT || row[j].error == ERR_FULL ||
                row[j].error == ERR_NO_MEMORY)
                continue;
            fail_msg("%s: %s is not tried", info[i].name, row[j].name);
        }
}

static void failure_01_each_that_the_table_names(void **state)
{
    struct core *core = start();
    (void)state;
    struct test_digest before = test_digest(core);
    fail_memory();
    fail_framesets();
    fail_nics(core);
    fail_configuration();
    fail_services(core);
    fail_tables();
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "failures");
    check_all_tried();
    stop(core);
}

/* A table needs a copy of the kernel's own, which the first one makes. */
static void failure_02_no_memory_for_a_table(void **state)
{
    struct core *core = sim_start(0, TEST_CLIENTS);
    (void)state;
    assert_int_equal(chain_add(core, &test_loader), 0);
    test_client_start(&client, core);
    sys = client.header->system;
    big = MUST(ALLOC_MEM, FRESH, NUM(1));
    const uint32_t number = core->service_count - 1;
    sim_limit_memory(0);
    FAILS(NO_MEMORY, SERVICE_LOAD, CAP(sys), NUM(number), CAP(big), NUM(0));
    sim_limit_memory(SIM_MEMORY_BYTES);
    MUST(SERVICE_LOAD, CAP(sys), NUM(number), CAP(big), NUM(0));
    stop(core);
}

/* The text of a table goes with it: in force, and back. */
static void failure_04_texts_of_tables(void **state)
{
    struct core *core = start();
    (void)state;
    uint8_t *memory = client.kernel->data + client.kernel->memory[0].page * PIGLET_PAGE; /* big */
    static const char *const source[] = {"one", "the other", ""};
    for (unsigned i = 0; i < 3; i++) {
        memset(memory, 1, LOADED + i);
        memcpy(memory + LOADED + i, source[i], strlen(source[i]));
        MUST(SERVICE_LOAD, CAP(sys), NUM(loader), CAP(big),
             NUM((uint64_t)strlen(source[i]) << 32 | (LOADED + i)));
        MUST(SERVICE_SWAP, CAP(sys), NUM(loader), NUM(core->service[loader].loads));
        memset(memory, 0, PIGLET_PAGE);
        assert_int_equal(MUST(TABLE_READ, CAP(sys), CAP(big), NUM(loader)), strlen(source[i]));
        assert_string_equal((char *)memory, source[i]);
    }
    for (unsigned i = 0; i < 3; i++) { /* back, and forth: 0 is always the other one */
        memset(memory, 0, PIGLET_PAGE);
        MUST(SERVICE_SWAP, CAP(sys), NUM(loader), NUM(i == 1 ? core->service[loader].loads : 0));
        MUST(TABLE_READ, CAP(sys), CAP(big), NUM(loader), NUM(4));
        assert_string_equal((char *)memory, i == 1 ? "" : "other");
    }
    FAILS(INVALID, SERVICE_SWAP, CAP(sys), NUM(loader), NUM(0));
    stop(core);
}

/* Loading and swapping in one: and only the table that was meant. */
static void failure_03_tables_are_swapped_whole(void **state)
{
    struct core *core = start();
    const struct service_self *self = &core->service[loader];
    char text_of[SETTING_TEXT_MAX];
    (void)state;
    const struct test_request both[] = {
        REQUEST(SERVICE_LOAD, CAP(sys), NUM(loader), CAP(big), NUM(4)),
        REQUEST(SERVICE_SWAP, CAP(sys), NUM(loader), REF(1)),
        REQUEST(SERVICE_LOAD, CAP(sys), NUM(loader), CAP(big), NUM(6)),
    };
    struct test_digest before = test_digest(core);
    /* The former table must stay where it was until the chain is certain. */
    assert_int_equal(test_client_run(&client, both, 3, PIGLET_ATOMIC).error, ERR_BUSY);
    struct test_digest after = test_digest(core);
    test_digest_same(&before, &after, "swapped and loaded");
    assert_int_equal(test_client_run(&client, both, 2, PIGLET_ATOMIC).error, 0);
    assert_int_equal(chain_setting_get(self, "table", text_of, sizeof text_of), 0);
    assert_string_equal(text_of, "4");
    assert_int_equal(test_client_run(&client, both, 3, 0).error, 0);
    FAILS(INVALID, SERVICE_SWAP, CAP(sys), NUM(loader), NUM(self->loads - 1));
    MUST(SERVICE_SWAP, CAP(sys), NUM(loader), NUM(self->loads));
    FAILS(INVALID, SERVICE_SWAP, CAP(sys), NUM(loader), NUM(self->loads)); /* it is in force */
    assert_int_equal(chain_setting_get(self, "table", text_of, sizeof text_of), 0);
    assert_string_equal(text_of, "6");
    stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure_01_each_that_the_table_names),
        cmocka_unit_test(failure_02_no_memory_for_a_table),
        cmocka_unit_test(failure_03_tables_are_swapped_whole),
        cmocka_unit_test(failure_04_texts_of_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
