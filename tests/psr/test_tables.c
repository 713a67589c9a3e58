/* Opcodes that write tables: what is in them, a page at a time, and where they must not write. */
#include <stdio.h>

#include "kernel/chain.h"
#include "piglet/table.h"
#include "tests/psr/client.h"

enum { MARK = 0xa5, PAGES = 4 };

static struct test_client client, other;
static uint32_t sys, memory;
static uint8_t *data; /* of the memory */

#define REQUEST_OF(...) ((struct test_request)REQUEST(__VA_ARGS__))
#define MUST(...)       test_client_must(&client, REQUEST_OF(__VA_ARGS__))

static struct core *start(void)
{
    struct core *core = sim_start(2, TEST_CLIENTS "ip=10.0.0.2/24 services=+echo");
    test_client_start(&client, core);
    test_client_start(&other, core);
    sys = client.header->system;
    uint64_t result = MUST(ALLOC_MEM, FRESH, NUM(PAGES));
    memory = piglet_result_capability(result);
    data = test_client_at(&client, result);
    return core;
}

static void stop(struct core *core)
{
    test_stop(core);
    test_client_free(&client);
    test_client_free(&other);
}

static unsigned table_read(unsigned opcode, uint64_t first, uint64_t offset)
{
    struct test_request request = REQUEST_OF(NOP, CAP(sys), CAP(memory), NUM(first), NUM(offset));
    request.opcode = (uint8_t)opcode;
    memset(data, MARK, PAGES * PIGLET_PAGE);
    return (unsigned)test_client_must(&client, request);
}

/* Entries of so many bytes were written, and nothing else. */
static void check_bounds(unsigned offset, unsigned entries, size_t bytes)
{
    for (unsigned i = 0; i < PAGES * PIGLET_PAGE; i++)
        if (i < offset || i >= offset + entries * bytes)
            assert_int_equal(data[i], MARK);
}

static const struct {
    unsigned opcode;
    size_t bytes, next; /* of an entry; where in it `next` is */
} row[] = {
    {PIGLET_OP_SERVICE_LIST, sizeof(struct piglet_service_entry),
     offsetof(struct piglet_service_entry, next)},
    {PIGLET_OP_COUNTER_READ, sizeof(struct piglet_counter_entry),
     offsetof(struct piglet_counter_entry, next)},
    {PIGLET_OP_LOG_READ, sizeof(struct piglet_log_entry), offsetof(struct piglet_log_entry, next)},
    {PIGLET_OP_RECORD_READ, sizeof(struct piglet_record_entry),
     offsetof(struct piglet_record_entry, next)},
    {PIGLET_OP_NIC_LIST, sizeof(struct piglet_nic_entry), offsetof(struct piglet_nic_entry, next)},
    {PIGLET_OP_ADDRESS_LIST, sizeof(struct piglet_address_entry),
     offsetof(struct piglet_address_entry, next)},
    {PIGLET_OP_ROUTE_LIST, sizeof(struct piglet_route_entry),
     offsetof(struct piglet_route_entry, next)},
    {PIGLET_OP_CLIENT_LIST, sizeof(struct piglet_client_entry),
     offsetof(struct piglet_client_entry, next)},
};

/* From the first to the last, as many at a time as there is room for: the same, whatever the steps. */
static void table_01_a_page_at_a_time(void **state)
{
    struct core *core = start();
    (void)state;
    log_write(&core->log, LOG_ERROR, "test", "a line");
    log_write(&core->log, LOG_ERROR, "test", "another");
    for (unsigned i = 0; i < 3; i++)
        assert_true(sim_inject(core, 0, "runt", 4));
    sim_run(core);
    for (unsigned i = 0; i < COUNT_OF(row); i++) {
        unsigned total[3];
        uint64_t mixed[3];
        for (unsigned j = 0; j < 3; j++) {
            /* room for all there may be, for one, and for two and a bit */
            uint64_t offset = j == 0 ? 0 : PAGES * PIGLET_PAGE - j * row[i].bytes - (j - 1) * 16;
            unsigned count;
            uint32_t first = 0;
            total[j] = 0;
            mixed[j] = 0;
            while ((count = table_read(row[i].opcode, first, offset)) != 0) {
                check_bounds((unsigned)offset, count, row[i].bytes);
                for (unsigned k = 0; k < count; k++) {
                    uint32_t next;
                    memcpy(&next, data + offset + k * row[i].bytes + row[i].next, sizeof next);
                    assert_true(next > first);
                    first = next;
                    mixed[j] = mixed[j] * 31 + next;
                }
                total[j] += count;
                assert_true(count <= PIGLET_TABLE_ENTRIES);
                if (j)
                    assert_true(count <= j);
            }
            check_bounds(0, 0, 0);
        }
        assert_true(total[0] > 0);
        assert_int_equal(total[0], total[1]);
        assert_int_equal(total[0], total[2]);
        assert_true(mixed[0] == mixed[1] && mixed[0] == mixed[2]);
        assert_int_equal(table_read(row[i].opcode, UINT64_MAX, 0), 0);
    }
    stop(core);
}

static void table_02_nics_and_addresses(void **state)
{
    struct core *core = start();
    (void)state;
    assert_int_equal(table_read(PIGLET_OP_NIC_LIST, 0, 0), 2);
    const struct piglet_nic_entry *nic = (const void *)data;
    assert_string_equal(nic[1].name, "nic1");
    assert_string_equal(nic[1].driver, "wire");
    assert_string_equal(nic[1].device, "wire:1");
    assert_memory_equal(nic[1].mac, NIC1_MAC, 6);
    assert_true(nic[1].present && nic[1].link_up);
    assert_int_equal(nic[1].speed_mbps, 1000);
    assert_int_equal(nic[1].mtu, 1500);

    assert_int_equal(table_read(PIGLET_OP_ADDRESS_LIST, 0, 0), 1);
    const struct piglet_address_entry *address = (const void *)data;
    assert_int_equal(address->address, IP(10, 0, 0, 2));
    assert_int_equal(address->length, 24);
    assert_int_equal(address->nic, 0);
    MUST(ADDRESS_ADD, CAP(sys), NUM((uint64_t)IP(10, 0, 1, 2) << 8 | 24), NUM(1),
         NUM(IP(10, 0, 1, 1)));
    assert_int_equal(table_read(PIGLET_OP_ADDRESS_LIST, address->next, 0), 1);
    assert_int_equal(table_read(PIGLET_OP_ADDRESS_LIST, 0, 0), 2);
    assert_int_equal(address[1].gateway, IP(10, 0, 1, 1));
    assert_int_equal(address[1].nic, 1);

    unsigned count = table_read(PIGLET_OP_ROUTE_LIST, 0, 0), found = 0;
    assert_int_equal(count, core->routes.routes + 1); /* and the one that is always there */
    const struct piglet_route_entry *route = (const void *)data;
    for (unsigned i = 0; i < count; i++)
        found += (route[i].prefix == 0 && route[i].gateway == IP(10, 0, 1, 1)) ||
                 (route[i].prefix == IP(10, 0, 0, 2) && route[i].type == ROUTE_LOCAL) ||
                 (route[i].prefix == IP(10, 0, 1, 0) && route[i].length == 24 &&
                  route[i].type == ROUTE_UNICAST && route[i].nic == 1);
    assert_int_equal(found, 3);
    stop(core);
}

static void table_03_services_and_counters(void **state)
{
    struct core *core = start();
    (void)state;
    const struct piglet_service_entry *service = (const void *)data;
    uint32_t echo = chain_find(core, "echo")->index;
    for (unsigned running = 0; running < 2; running++) {
        if (!running)
            MUST(SERVICE_STOP, CAP(sys), NUM(echo));
        else
            MUST(SERVICE_START, CAP(sys), NUM(echo));
        assert_int_equal(table_read(PIGLET_OP_SERVICE_LIST, 0, 0), core->service_count);
        assert_string_equal(service[echo].name, "echo");
        assert_int_equal(service[echo].number, echo);
        assert_int_equal(service[echo].running, running);
        assert_true(strstr(service[echo].help, "port") != NULL);
    }
    uint64_t seen = 0;
    const struct piglet_counter_entry *counter = (const void *)data;
    for (uint32_t first = 0, count = 1; count; first = counter[count - 1].next) {
        count = table_read(PIGLET_OP_COUNTER_READ, first, 0);
        for (unsigned i = 0; i < count; i++) {
            if (strcmp(counter[i].name, "clients.attachments") == 0)
                assert_int_equal(counter[i].value, 2);
            assert_true(counter[i].help[0] != 0);
            seen++;
        }
        if (count == 0)
            break;
    }
    assert_int_equal(seen, core->counters.count);
    stop(core);
}

static void table_04_log_from_where_it_is_kept(void **state)
{
    struct core *core = start();
    (void)state;
    for (unsigned i = 0; i < 2 * LOG_LINES; i++)
        log_write(&core->log, LOG_ERROR, "test", "line %u", i);
    const struct piglet_log_entry *line = (const void *)data;
    uint64_t oldest = core->log.written - LOG_LINES, number = oldest;
    char text[sizeof line->text];
    for (unsigned count; (count = table_read(PIGLET_OP_LOG_READ, number, 0)) != 0;)
        for (unsigned i = 0; i < count; i++, number++) {
            assert_true(line[i].number == number);
            assert_int_equal(line[i].next, number + 1);
            snprintf(text, sizeof text, "line %u",
                     (unsigned)(2 * LOG_LINES - (core->log.written - number)));
            assert_true(strstr(line[i].text, text) != NULL);
        }
    assert_true(number == core->log.written);
    assert_int_not_equal(table_read(PIGLET_OP_LOG_READ, 0, 0), 0);
    assert_true(line->number == oldest);
    stop(core);
}

static void table_05_clients_and_status(void **state)
{
    struct core *core = start();
    (void)state;
    memcpy(other.header->name, "\033[31mred\177", 10); /* nothing a terminal would obey */
    other.header->pid = 4711;
    test_client_detach(&other);
    memcpy(other.header->name, "\033[31mred\177", 10);
    other.header->attach = ++other.attachment;
    test_client_ring(&other);
    sim_run(core);
    const struct piglet_client_entry *entry = (const void *)data;
    assert_int_equal(table_read(PIGLET_OP_CLIENT_LIST, 0, 0), 2);
    assert_int_equal(entry[0].client, client.header->client);
    assert_string_equal(entry[0].name, "test 0");
    assert_int_equal(entry[0].capabilities, 2);
    assert_int_equal(entry[0].pages, PAGES);
    assert_int_equal(entry[0].pages_total, client.header->data_pages);
    assert_string_equal(entry[1].name, "?[31mred?");
    assert_int_equal(entry[1].pid, 4711);
    test_client_detach(&other);
    assert_int_equal(table_read(PIGLET_OP_CLIENT_LIST, 0, 0), 1);
    assert_int_equal(table_read(PIGLET_OP_CLIENT_LIST, 1, 0), 0);

    const struct piglet_status_entry *status = (const void *)data;
    assert_int_equal(table_read(PIGLET_OP_STATUS_READ, 0, 0), 1);
    check_bounds(0, 1, sizeof *status);
    assert_int_equal(status->nics, 2);
    assert_int_equal(status->clients, 1);
    assert_int_equal(status->services, core->service_count);
    assert_string_equal(status->machine, "simulated");
    assert_int_equal(status->phases, PHASE_COUNT);
    assert_string_equal(status->phase[PHASE_REQUESTS].name, "requests");
    stop(core);
}

/* arp's neighbours, a line each; of a service that is stopped there is nothing to show. */
static void table_06_what_a_service_shows(void **state)
{
    struct core *core = start();
    (void)state;
    uint64_t arp = chain_find(core, "arp")->index;
    for (unsigned i = 0; i < 5; i++) {
        struct packet packet = packet_arp_request(IP(10, 0, 0, 10 + i), IP(10, 0, 0, 2));
        assert_true(sim_inject(core, 0, packet.data, packet.length));
    }
    sim_run(core);
    unsigned count = table_read(PIGLET_OP_SERVICE_SHOW, arp << 32, 0);
    const struct piglet_text_entry *line = (const void *)data;
    assert_in_range(count, 5, PIGLET_TABLE_ENTRIES);
    check_bounds(0, count, sizeof *line);
    bool found = false;
    for (unsigned i = 0; i < count; i++)
        found |= strstr(line[i].text, "10.0.0.14") != NULL;
    assert_true(found);
    MUST(SERVICE_STOP, CAP(sys), NUM(arp));
    assert_int_equal(table_read(PIGLET_OP_SERVICE_SHOW, arp << 32, 0), 0);
    stop(core);
}

static void table_09_records_say_why(void **state)
{
    struct core *core = start();
    (void)state;
    uint8_t runt[10] = {1, 2, 3};
    uint64_t before = core->recorder.written;
    assert_true(sim_inject(core, 0, runt, sizeof runt));
    sim_run(core);
    const struct piglet_record_entry *record = (const void *)data;
    assert_int_equal(table_read(PIGLET_OP_RECORD_READ, before, 0), 1);
    assert_true(record->number == before);
    assert_int_equal(record->next, before + 1);
    assert_string_equal(record->reason, "eth-too-short");
    assert_string_equal(record->sentence, "shorter than an Ethernet header");
    assert_string_equal(record->who, "nic0");
    assert_int_equal(record->length, sizeof runt);
    assert_int_equal(record->kept, sizeof runt);
    assert_memory_equal(record->bytes, runt, sizeof runt);
    assert_int_equal(table_read(PIGLET_OP_RECORD_READ, before + 1, 0), 0);
    stop(core);
}

/* Only what may be read is, whatever is asked for. */
static void table_10_registers(void **state)
{
    (void)state;
    start();
    const struct piglet_register_entry *entry = (const void *)data;
    assert_int_equal(table_read(PIGLET_OP_REGISTER_READ, 0, 0), PIGLET_TABLE_ENTRIES);
    assert_string_equal(entry[0].name, "ONE");
    assert_int_equal(entry[0].count, 1);
    for (unsigned i = 1; i < PIGLET_TABLE_ENTRIES; i++) {
        assert_string_equal(entry[i].name, "MANY");
        assert_int_equal(entry[i].index, i - 1);
        assert_int_equal(entry[i].count, 60);
        assert_int_equal(entry[i].value, 0x100 + 8 * (i - 1));
        assert_int_equal(entry[i].next, i + 1);
    }
    assert_int_equal(table_read(PIGLET_OP_REGISTER_READ, 32, 0), 29);
    assert_int_equal(entry[28].index, 59);
    assert_int_equal(table_read(PIGLET_OP_REGISTER_READ, 61, 0), 0);
    assert_int_equal(table_read(PIGLET_OP_REGISTER_READ, UINT32_MAX, 0), 0);
    struct test_request request = REQUEST_OF(REGISTER_READ, CAP(sys), CAP(memory), NUM(9ull << 32));
    assert_int_equal(test_client_do(&client, request, NULL), ERR_NOT_FOUND);
    stop(client.core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_01_a_page_at_a_time),
        cmocka_unit_test(table_02_nics_and_addresses),
        cmocka_unit_test(table_03_services_and_counters),
        cmocka_unit_test(table_04_log_from_where_it_is_kept),
        cmocka_unit_test(table_05_clients_and_status),
        cmocka_unit_test(table_06_what_a_service_shows),
        cmocka_unit_test(table_09_records_say_why),
        cmocka_unit_test(table_10_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
