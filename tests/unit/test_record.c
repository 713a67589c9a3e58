/* The flight recorder: what was dropped, when, where, why and by whom. */
#include "tests/unit/test.h"

#include "kernel/chain.h"
#include "piglet/shaper.h"
#include "tests/sim/packet.h"
#include "tests/sim/sim.h"

#define US   IP(10, 0, 0, 2)
#define PEER IP(10, 0, 0, 9)

static void record_01_says_why(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24");
    struct packet packet = packet_udp_to(PEER, 1, US, 9, 50);
    packet_ip(&packet)->checksum.raw ^= 1;
    sim_advance_us(core, 5000);
    uint64_t before = core->recorder.written;
    assert_true(sim_inject(core, 0, packet.data, packet.length));
    sim_run(core);
    assert_int_equal(core->recorder.written, before + 1);
    const struct record *record = recorder_find(&core->recorder, before);
    assert_non_null(record);
    assert_int_equal(record->reason, DROP_IP_CHECKSUM);
    assert_string_equal(record->who, "nic0");
    assert_int_equal(record->nic, 0);
    assert_int_equal(record->outgoing, 0);
    assert_int_equal(record->length, packet.length);
    assert_int_equal(record->kept, packet.length < RECORD_BYTES ? packet.length : RECORD_BYTES);
    assert_memory_equal(record->bytes, packet.data, record->kept);
    assert_true(record->time_ns >= 5000000);
    assert_null(recorder_find(&core->recorder, before + 1));
    test_stop(core);
}

/* The frame that became an ICMP error is recorded as it came. */
static void record_02_of_what_was_answered(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 arp.dad=off");
    struct packet packet = packet_udp_to(PEER, 1, US, 9, 50);
    assert_true(sim_inject(core, 0, packet.data, packet.length));
    sim_run(core);
    const struct record *record = recorder_find(&core->recorder, core->recorder.written - 1);
    assert_non_null(record);
    assert_int_equal(record->reason, DROP_UDP_NO_PORT);
    assert_string_equal(record->who, "icmp");
    assert_memory_equal(record->bytes, packet.data, record->kept);
    test_stop(core);
}

static void record_03_of_what_cannot_be_sent(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 arp.dad=off");
    sim_link(core, 0, false);
    struct packet packet = packet_echo(PEER, US, 20);
    assert_true(sim_inject(core, 0, packet.data, packet.length));
    sim_run(core);
    const struct record *record = recorder_find(&core->recorder, core->recorder.written - 1);
    assert_non_null(record);
    assert_int_equal(record->reason, DROP_NIC_DOWN);
    assert_int_equal(record->outgoing, 1);
    test_stop(core);
}

static void record_04_keeps_the_last_ones(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 arp.dad=off");
    uint8_t runt[10] = {0};
    for (unsigned i = 0; i < RECORDS + 10; i++) {
        runt[0] = (uint8_t)i;
        assert_true(sim_inject(core, 0, runt, sizeof runt));
        sim_run(core);
    }
    uint64_t written = core->recorder.written;
    assert_true(written >= RECORDS + 10);
    assert_null(recorder_find(&core->recorder, written - RECORDS - 1));
    const struct record *record = recorder_find(&core->recorder, written - RECORDS);
    assert_non_null(record);
    assert_int_equal(record->bytes[0], 10);
    assert_int_equal(record->kept, sizeof runt);
    test_stop(core);
}

/* Where memory is short the frames need it more. */
static void record_05_without_memory(void **state)
{
    (void)state;
    struct recorder recorder = {.written = 0};
    struct core *core = sim_start(1, "ip=10.0.0.2/24 arp.dad=off");
    sim_limit_memory(RECORDS * sizeof(struct record) * 2);
    recorder_start(&recorder);
    assert_null(recorder.record);
    struct frame *frame = frame_alloc(&core->frames);
    frame->length = 60;
    recorder_note(&recorder, frame, DROP_IP_TTL, "test", 1);
    assert_int_equal(recorder.written, 0);
    assert_null(recorder_find(&recorder, 0));
    frame_free(&core->frames, frame);
    test_stop(core);
}

/* While the service recorder runs: what came and what left, too, with the same bytes as on the wire. */
static void record_06_what_passes(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 arp.dad=off services=+recorder");
    struct service_self *self = chain_find(core, "recorder");
    struct packet ping = packet_echo(PEER, US, 20), lost = packet_udp_to(PEER, 1, US, 9, 50);
    packet_ip(&lost)->checksum.raw ^= 1;
    assert_true(sim_inject(core, 0, ping.data, ping.length)); /* arp has asked for the peer then */
    sim_run(core);
    while (sim_sent(core, 0))
        ;
    uint64_t before = core->recorder.written;
    assert_true(sim_inject(core, 0, ping.data, ping.length));
    assert_true(sim_inject(core, 0, lost.data, lost.length));
    sim_run(core);
    assert_int_equal(core->recorder.written, before + 3);
    static const struct {
        unsigned reason, outgoing;
    } expected[] = {{DROP_IP_CHECKSUM, 0}, {DROP_NONE, 0}, {DROP_NONE, 1}};
    for (unsigned i = 0; i < COUNT_OF(expected); i++) {
        const struct record *record = recorder_find(&core->recorder, before + i);
        assert_int_equal(record->reason, expected[i].reason);
        assert_int_equal(record->outgoing, expected[i].outgoing);
        assert_string_equal(record->who, "nic0");
    }
    const struct record *came = recorder_find(&core->recorder, before + 1);
    const struct record *left = recorder_find(&core->recorder, before + 2);
    const struct sim_wire_frame *sent = sim_sent(core, 0);
    assert_memory_equal(came->bytes, ping.data, came->kept);
    assert_memory_equal(left->bytes, sent->data, left->kept);
    chain_service_stop(core, self);
    assert_true(sim_inject(core, 0, ping.data, ping.length));
    sim_run(core);
    assert_int_equal(core->recorder.written, before + 3);
    test_stop(core);
}

/* A table's number in force: another one, the former one again, and one that was undone. */
static void record_07_tables_in_force(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 services=+shaper");
    struct service_self *self = chain_find(core, "shaper");
    struct piglet_shaper_table none = {
        .magic = PIGLET_SHAPER_MAGIC, .version = PIGLET_SHAPER_VERSION, .bytes = sizeof none};
    for (unsigned i = 1; i < 4; i++) {
        int load = chain_service_load(self, (const uint8_t *)&none, sizeof none);
        assert_int_equal(chain_service_swap(self, (uint64_t)load), 0);
        assert_int_equal(self->source[0].since, i);
        assert_int_equal(core->recorder.swaps, i);
    }
    chain_service_swap_back(self); /* as a chain that is undone does: it never was another one */
    chain_service_swap_back(self);
    assert_int_equal(self->source[0].since, 3);
    assert_int_equal(chain_service_swap(self, 0), 0); /* the former one, from now on */
    assert_int_equal(self->source[0].since, 4);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_01_says_why),
        cmocka_unit_test(record_02_of_what_was_answered),
        cmocka_unit_test(record_03_of_what_cannot_be_sent),
        cmocka_unit_test(record_04_keeps_the_last_ones),
        cmocka_unit_test(record_05_without_memory),
        cmocka_unit_test(record_06_what_passes),
        cmocka_unit_test(record_07_tables_in_force),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
