/* The flight recorder: what was dropped, when, where, why and by whom. */
#include "tests/unit/test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_01_says_why),
        cmocka_unit_test(record_02_of_what_was_answered),
        cmocka_unit_test(record_03_of_what_cannot_be_sent),
        cmocka_unit_test(record_04_keeps_the_last_ones),
        cmocka_unit_test(record_05_without_memory),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
