/* The e1000 driver against a model of its devices that obeys, is strict, and breaks on command. */
#include "drivers/e1000/e1000.h"
#include "drivers/intel/ring.h"
#include "kernel/loop.h"
#include "tests/model/e1000_model.h"
#include "tests/unit/test.h"

#define OURS IP(10, 0, 0, 2)
#define PEER IP(10, 0, 0, 1)
#define LINE "ip=10.0.0.2/24 services=-arp"

static struct e1000_model model[2];

static struct core *start_chip(uint16_t device)
{
    sim_reset();
    e1000_model_start(&model[0], device, NIC0_MAC);
    e1000_model_add(&model[0], 3);
    return sim_start_core(LINE);
}

static struct core *start(void)
{
    return start_chip(0x100e);
}

/* One that is changed between power-on and probe. */
static struct e1000_model *powered(uint16_t device)
{
    sim_reset();
    e1000_model_start(&model[0], device, NIC0_MAC);
    return &model[0];
}

static struct core *probe(struct e1000_model *changed)
{
    e1000_model_add(changed, 3);
    return sim_start_core(LINE);
}

static bool said(const char *text)
{
    return strstr(sim_console(), text) != NULL;
}

static unsigned said_times(const char *text)
{
    unsigned times = 0;
    for (const char *at = sim_console(); (at = strstr(at, text)); at++)
        times++;
    return times;
}

static void inject_ping(unsigned number)
{
    struct packet ping = packet_echo(PEER, OURS, 20 + number % 1000);
    packet_icmp(&ping)->sequence = be16((uint16_t)number);
    packet_fix_icmp(&ping);
    assert_true(e1000_model_inject(&model[0], ping.data, ping.length));
}

/* A whole reply to ping `number` was sent. */
static void expect_reply(unsigned number)
{
    const struct e1000_model_frame *sent = e1000_model_sent(&model[0]);
    assert_non_null(sent);
    struct packet reply = {.length = sent->length};
    memcpy(reply.data, sent->data, sent->length);
    unsigned length = 14 + 20 + 8 + 20 + number % 1000;
    assert_int_equal(sent->length, length < 60 ? 60 : length);
    assert_memory_equal(packet_eth(&reply)->to, PEER_MAC, 6);
    assert_memory_equal(packet_eth(&reply)->from, NIC0_MAC, 6);
    assert_int_equal(packet_icmp(&reply)->type, 0);
    assert_int_equal(be16_get(packet_icmp(&reply)->sequence), number & 0xffff);
}

static void expect_works(struct core *core)
{
    inject_ping(7);
    sim_run(core);
    expect_reply(7);
}

/* ---- bring-up ---- */

static void e1000_01_probe_every_chip(void **state)
{
    (void)state;
    static const uint16_t chip[] = {0x100e, 0x100f, 0x10d3};
    for (unsigned i = 0; i < COUNT_OF(chip); i++) {
        struct core *core = start_chip(chip[i]);
        assert_int_equal(core->nic_count, 1);
        assert_true(nic_present(&core->nic[0]));
        assert_memory_equal(core->nic[0].mac, NIC0_MAC, 6);
        assert_true(core->nic[0].link_up);
        assert_int_equal(core->nic[0].speed_mbps, 1000);
        assert_true(said("nic0: link up 1000 Mb/s"));
        assert_false(said("EEPROM"));
        expect_works(core);
        test_stop(core);
    }
}

static void e1000_02_matches_its_devices_only(void **state)
{
    (void)state;
    struct arch_device device = {.bus = ARCH_BUS_PCI, .vendor = 0x8086, .device = 0x10d3};
    assert_true(e1000_driver.match(&device));
    device.device = 0x10fb;
    assert_false(e1000_driver.match(&device));
    device.device = 0x100e;
    device.vendor = 0x10ec;
    assert_false(e1000_driver.match(&device));
    device.vendor = 0x8086;
    device.bus = ARCH_BUS_HOST;
    assert_false(e1000_driver.match(&device));
}

static void e1000_03_stuck_reset(void **state)
{
    (void)state;
    struct e1000_model *stuck = powered(0x100e);
    stuck->fault.stuck_reset = true;
    struct core *core = probe(stuck);
    assert_false(nic_present(&core->nic[0]));
    assert_true(said("82540EM at pci 00:03.0: CTRL is 44000080 after 20000 us"));
    assert_true(said("the device did not answer in time"));
    assert_true(sim_now_ns < 1000000000);
    test_stop(core);
}

static void e1000_04_silent_eeprom(void **state)
{
    (void)state;
    struct e1000_model *silent = powered(0x10d3);
    silent->fault.eeprom_silent = true;
    struct core *core = probe(silent);
    assert_true(said("82574L at pci 00:03.0: EERD is "));
    assert_memory_equal(core->nic[0].mac, NIC0_MAC, 6);
    expect_works(core);
    test_stop(core);
}

static void e1000_05_wrong_checksum_is_only_warned_about(void **state)
{
    (void)state;
    struct e1000_model *wrong = powered(0x100e);
    wrong->eeprom[63]++;
    struct core *core = probe(wrong);
    assert_true(said("EEPROM checksum is babb, not baba"));
    expect_works(core);
    test_stop(core);
}

static void e1000_06_no_mac(void **state)
{
    (void)state;
    static const uint8_t bad[][6] = {{0}, {3, 1, 2, 3, 4, 5}, {255, 255, 255, 255, 255, 255}};
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        sim_reset();
        e1000_model_start(&model[0], 0x100e, bad[i]);
        struct core *core = probe(&model[0]);
        assert_false(nic_present(&core->nic[0]));
        assert_true(said("no MAC address"));
        assert_true(said("the device answered nonsense"));
        test_stop(core);
    }
}

static void e1000_07_no_registers(void **state)
{
    (void)state;
    sim_reset();
    struct arch_device device = {.bus = ARCH_BUS_PCI, .vendor = 0x8086, .device = 0x100e};
    sim_add_device(&device);
    struct core *core = sim_start_core(LINE);
    assert_false(nic_present(&core->nic[0]));
    assert_true(said("no such thing"));
    test_stop(core);
}

/* Whatever runs out, and whenever: the probe fails, and holds no frame. */
static void e1000_08_memory_and_frames_run_out(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic nic = {.name = "nic7", .index = 7, .core = core, .pool = &core->frames};
    nic.device = &core->device[0];
    unsigned whole = core->frames.free_count, failures = 0;
    core->frames.free_count = INTEL_RING - 1;
    assert_int_equal(e1000_driver.probe(&nic, nic.device), ERR_NO_MEMORY);
    assert_int_equal(core->frames.free_count, INTEL_RING - 1);
    core->frames.free_count = whole;
    for (unsigned bytes = 0;; bytes += 1024) {
        sim_limit_memory(bytes);
        if (e1000_driver.probe(&nic, nic.device) == 0)
            break;
        failures++;
        assert_int_equal(core->frames.free_count, whole);
    }
    assert_true(failures > 8);
    assert_int_equal(core->frames.free_count, whole - INTEL_RING);
    e1000_driver.stop(&nic);
    assert_int_equal(core->frames.free_count, whole);
    test_stop(core);
}

static void e1000_09_one_of_two_fails_and_names_stay(void **state)
{
    (void)state;
    sim_reset();
    e1000_model_start(&model[1], 0x10d3, NIC1_MAC);
    model[1].fault.stuck_reset = true;
    e1000_model_add(&model[1], 2);
    e1000_model_start(&model[0], 0x100e, NIC0_MAC);
    e1000_model_add(&model[0], 3);
    struct core *core = sim_start_core("ip=10.0.0.2/24@nic1 services=-arp");
    assert_int_equal(core->nic_count, 2);
    assert_false(nic_present(&core->nic[0]));
    assert_true(said("nic0: e1000 at pci 00:02.0 left out"));
    assert_string_equal(core->nic[1].name, "nic1");
    assert_memory_equal(core->nic[1].mac, NIC0_MAC, 6);
    expect_works(core);
    test_stop(core);
}

/* The model checks that no reset happens while the bus owes the device data; this one never stops.
 */
static void e1000_10_bus_requests_that_never_end(void **state)
{
    (void)state;
    struct e1000_model *busy = powered(0x10d3);
    busy->fault.stuck_master = true;
    struct core *core = probe(busy);
    assert_true(said("82574L at pci 00:03.0: STATUS is "));
    expect_works(core);
    test_stop(core);
}

/* ---- frames ---- */

static void e1000_11_ten_thousand_frames(void **state)
{
    (void)state;
    static const uint16_t chip[] = {0x100e, 0x10d3};
    for (unsigned i = 0; i < COUNT_OF(chip); i++) {
        struct core *core = start_chip(chip[i]);
        unsigned in = 0, out = 0;
        while (out < 10000) {
            for (unsigned burst = 1 + in % 67; burst && in < 10000; burst--)
                inject_ping(in++);
            sim_run(core);
            while (out < in)
                expect_reply(out++);
        }
        assert_null(e1000_model_sent(&model[0]));
        assert_int_equal(model[0].missed, 0);
        assert_int_equal(sim_drops(core), 0);
        test_stop(core);
    }
}

static void e1000_12_a_batch_rings_one_doorbell(void **state)
{
    (void)state;
    struct core *core = start();
    sim_run(core);
    for (unsigned i = 0; i < 40; i++)
        inject_ping(i);
    unsigned receive_tails = model[0].receive_tails, transmit_tails = model[0].transmit_tails;
    unsigned reads = model[0].register_reads;
    loop_turn(core);
    for (unsigned i = 0; i < 40; i++)
        expect_reply(i);
    assert_int_equal(model[0].receive_tails, receive_tails + 1);
    assert_int_equal(model[0].transmit_tails, transmit_tails + 1);
    loop_turn(core); /* nothing to do: nothing is written */
    assert_int_equal(model[0].receive_tails, receive_tails + 1);
    assert_int_equal(model[0].register_reads, reads);
    test_stop(core);
}

static void e1000_13_receive_gives_no_more_than_asked(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic *nic = &core->nic[0];
    struct frame *frame[BATCH_MAX];
    unsigned got = 0;
    for (unsigned i = 0; i < 200; i++)
        inject_ping(i);
    for (unsigned n; (n = nic->driver->receive(nic, frame, 3)); got += n) {
        assert_true(n <= 3);
        for (unsigned i = 0; i < n; i++) {
            assert_int_equal(frame[i]->owner, FRAME_OF_LOOP);
            assert_int_equal(frame[i]->nic, 0);
            assert_int_equal(frame[i]->length, 14 + 20 + 8 + 20 + got + i < 60 ? 60 : 62 + got + i);
            frame_free(nic->pool, frame[i]);
        }
    }
    assert_int_equal(got, 200);
    test_stop(core);
}

static void e1000_14_more_than_the_ring_holds_is_missed(void **state)
{
    (void)state;
    struct core *core = start();
    struct packet ping = packet_echo(PEER, OURS, 20);
    for (unsigned i = 0; i < INTEL_RING - 1; i++)
        inject_ping(i);
    assert_false(e1000_model_inject(&model[0], ping.data, ping.length));
    sim_advance_us(core, 200000);
    assert_int_equal(sim_counter(core, "nic0.rx_missed"), 1);
    assert_int_equal(model[0].sent, INTEL_RING - 1);
    test_stop(core);
}

static void e1000_15_short_frames_are_padded(void **state)
{
    (void)state;
    struct core *core = start();
    struct frame *frame = frame_alloc(&core->frames);
    frame->length = 42;
    memset(frame->data, 0xab, 60);
    assert_int_equal(e1000_driver.transmit(&core->nic[0], &frame, 1), 1);
    assert_int_equal(e1000_model_sent(&model[0])->length, 60);
    test_stop(core);
}

static void e1000_16_no_frame_left(void **state)
{
    (void)state;
    struct core *core = start();
    unsigned left = core->frames.free_count;
    core->frames.free_count = 2;
    for (unsigned i = 0; i < 5; i++)
        inject_ping(i);
    struct frame *frame[BATCH_MAX];
    assert_int_equal(e1000_driver.receive(&core->nic[0], frame, BATCH_MAX), 2);
    assert_int_equal(core->drop[DROP_NO_FRAME], 3);
    core->frames.free_count = left - 2; /* those above the two were never touched */
    memmove(core->frames.free, core->frames.free + 2, (left - 2) * sizeof frame[0]);
    frame_free(&core->frames, frame[0]);
    frame_free(&core->frames, frame[1]);
    expect_works(core);
    test_stop(core);
}

/* ---- faults while it runs ---- */

static unsigned transmit_some(struct core *core, unsigned count)
{
    struct frame *frame[BATCH_MAX];
    for (unsigned i = 0; i < count; i++) {
        frame[i] = frame_alloc(&core->frames);
        frame[i]->length = 60;
        memset(frame[i]->data, (int)i, 60);
    }
    unsigned taken = e1000_driver.transmit(&core->nic[0], frame, count);
    for (unsigned i = 0; i < count; i++)
        if (i < taken)
            assert_int_equal(frame[i]->owner, FRAME_OF_TRANSMIT_RING);
        else
            frame_free(&core->frames, frame[i]);
    return taken;
}

static void e1000_17_late_receive_write_back(void **state)
{
    (void)state;
    struct core *core = start();
    model[0].fault.late = true;
    for (unsigned i = 0; i < 10; i++)
        inject_ping(i);
    sim_run(core);
    assert_int_equal(sim_counter(core, "nic0.rx_frames"), 0);
    e1000_model_write_back(&model[0]);
    sim_run(core);
    for (unsigned i = 0; i < 10; i++)
        expect_reply(i);
    test_stop(core);
}

/* The head has passed them, but a frame is only free once its report is in memory. */
static void e1000_18_late_transmit_write_back(void **state)
{
    (void)state;
    struct core *core = start();
    unsigned before = core->frames.free_count;
    model[0].fault.late = true;
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(transmit_some(core, 36), 36);
    assert_int_equal(transmit_some(core, 10), 3);
    assert_int_equal(transmit_some(core, 10), 0);
    e1000_driver.attend(&core->nic[0]);
    assert_int_equal(core->frames.free_count, before - (INTEL_RING - 1));
    e1000_model_write_back(&model[0]);
    assert_int_equal(transmit_some(core, 10), 10);
    e1000_model_write_back(&model[0]);
    e1000_driver.attend(&core->nic[0]);
    assert_int_equal(core->frames.free_count, before);
    assert_int_equal(model[0].sent, INTEL_RING - 1 + 10);
    test_stop(core);
}

static void e1000_19_stop_gives_frames_back(void **state)
{
    (void)state;
    struct core *core = start();
    model[0].fault.late = true;
    for (unsigned i = 0; i < 100; i++)
        inject_ping(i);
    assert_int_equal(transmit_some(core, 50), 50);
    test_stop(core);
    struct packet ping = packet_echo(PEER, OURS, 20);
    assert_false(e1000_model_inject(&model[0], ping.data, ping.length));
}

static void e1000_20_link_flap(void **state)
{
    (void)state;
    struct core *core = start();
    e1000_model_link(&model[0], false);
    sim_advance_us(core, 2 * NIC_ATTEND_MS * 1000);
    assert_false(core->nic[0].link_up);
    assert_true(said("nic0: link down"));
    model[0].speed = 1;
    e1000_model_link(&model[0], true);
    sim_advance_us(core, 2 * NIC_ATTEND_MS * 1000);
    assert_true(core->nic[0].link_up);
    assert_int_equal(core->nic[0].speed_mbps, 100);
    assert_int_equal(sim_counter(core, "nic0.link_changes"), 2);
    expect_works(core);
    test_stop(core);
}

/* A frame whose descriptor is spoiled goes back to the ring, is counted, and costs nothing else. */
static void expect_unusable(uint64_t set, uint64_t clear)
{
    struct core *core = start();
    unsigned before = core->frames.free_count;
    model[0].fault.receive_or = set;
    model[0].fault.receive_clear = clear;
    for (unsigned i = 0; i < INTEL_RING - 1; i++)
        inject_ping(i);
    sim_run(core);
    assert_int_equal(sim_counter(core, "nic0.rx_unusable"), INTEL_RING - 1);
    assert_int_equal(sim_counter(core, "nic0.rx_frames"), 0);
    assert_int_equal(core->frames.free_count, before);
    model[0].fault.receive_or = model[0].fault.receive_clear = 0;
    expect_works(core);
    test_stop(core);
}

static void e1000_21_length_lies(void **state)
{
    (void)state;
    expect_unusable(0xffff, 0);
    expect_unusable(0x0801, 0);
}

static void e1000_22_missing_end(void **state)
{
    (void)state;
    expect_unusable(0, INTEL_RX_EOP);
}

static void e1000_23_error_bits(void **state)
{
    (void)state;
    static const unsigned spoils[] = {0, 1, 2, 4, 7}; /* CE, SE, SEQ, CXE, RXE */
    for (unsigned i = 0; i < COUNT_OF(spoils); i++)
        expect_unusable(1ull << (40 + spoils[i]), 0);
    struct core *core = start();
    model[0].fault.receive_or = 3ull << 45; /* TCPE, IPE: the kernel checks for itself */
    expect_works(core);
    assert_int_equal(sim_counter(core, "nic0.rx_unusable"), 0);
    test_stop(core);
}

/* The device writes anything anywhere in its rings. No frame may be lost, freed twice or overrun.
 */
static void e1000_24_garbage_in_the_rings(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (unsigned round = 0; round < 50; round++) {
        struct core *core = start();
        struct intel_rings *rings = core->nic[0].driver_state;
        transmit_some(core, 64);
        model[0].fault.gone = true; /* it minds tails that its heads do not explain */
        for (unsigned i = 0; i < 200; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            struct intel_ring *ring = random & 1 ? &rings->receive : &rings->transmit;
            ring->descriptor[random >> 8 & (INTEL_RING - 1)].word = random;
            struct frame *frame[BATCH_MAX];
            unsigned count = e1000_driver.receive(&core->nic[0], frame, BATCH_MAX);
            for (unsigned f = 0; f < count; f++) {
                assert_true(frame[f]->length <= FRAME_ROOM);
                frame_free(&core->frames, frame[f]);
            }
            intel_transmit_reclaim(&core->nic[0]);
        }
        test_stop(core);
    }
}

static void e1000_25_pulled_out(void **state)
{
    (void)state;
    struct core *core = start();
    expect_works(core);
    model[0].fault.gone = true;
    sim_advance_us(core, 1000000);
    assert_false(core->nic[0].link_up);
    assert_int_equal(said_times("82540EM at pci 00:03.0 is gone: STATUS is ffffffff"), 1);
    assert_int_equal(sim_counter(core, "nic0.link_changes"), 1);
    assert_int_equal(sim_counter(core, "nic0.rx_missed"), 0);
    while (transmit_some(core, 64))
        ;
    e1000_driver.interrupts(&core->nic[0], true);
    e1000_driver.interrupts(&core->nic[0], false);
    test_stop(core);
}

static void e1000_26_pulled_out_before_probe(void **state)
{
    (void)state;
    struct e1000_model *gone = powered(0x10d3);
    gone->fault.gone = true;
    struct core *core = probe(gone);
    assert_false(nic_present(&core->nic[0]));
    test_stop(core);
}

/* ---- interrupts and counters ---- */

static void e1000_27_interrupts(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic *nic = &core->nic[0];
    assert_int_equal(e1000_model_interrupt(&model[0]), 0);
    expect_works(core);
    e1000_driver.interrupts(nic, true);
    assert_int_equal(e1000_model_interrupt(&model[0]), 0); /* what was served does not wake */
    inject_ping(1);
    assert_int_not_equal(e1000_model_interrupt(&model[0]), 0);
    e1000_driver.attend(nic);
    assert_int_equal(e1000_model_interrupt(&model[0]), 0);
    e1000_driver.interrupts(nic, false);
    inject_ping(2);
    assert_int_equal(e1000_model_interrupt(&model[0]), 0);
    e1000_driver.interrupts(nic, true);
    e1000_model_link(&model[0], false);
    assert_int_not_equal(e1000_model_interrupt(&model[0]), 0);
    test_stop(core);
}

/* A link change while masked is not forgotten by the read that clears stale causes. */
static void e1000_28_link_change_while_masked(void **state)
{
    (void)state;
    struct core *core = start();
    sim_run(core);
    assert_false(loop_turn(core));
    e1000_model_link(&model[0], false);
    e1000_driver.interrupts(&core->nic[0], true);
    assert_true(loop_turn(core));
    assert_false(core->nic[0].link_up);
    test_stop(core);
}

static void e1000_29_device_counters(void **state)
{
    (void)state;
    struct core *core = start();
    sim_run(core);
    model[0].reg[0x4000 / 4] = 1;  /* CRCERRS */
    model[0].reg[0x400c / 4] = 2;  /* RXERRC */
    model[0].reg[0x4040 / 4] = 4;  /* RLEC */
    model[0].reg[0x4010 / 4] = 8;  /* MPC */
    model[0].reg[0x4018 / 4] = 16; /* ECOL */
    sim_advance_us(core, 500000);
    assert_int_equal(sim_counter(core, "nic0.rx_errors"), 7);
    assert_int_equal(sim_counter(core, "nic0.rx_missed"), 8);
    assert_int_equal(sim_counter(core, "nic0.tx_errors"), 16);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(e1000_01_probe_every_chip),
        cmocka_unit_test(e1000_02_matches_its_devices_only),
        cmocka_unit_test(e1000_03_stuck_reset),
        cmocka_unit_test(e1000_04_silent_eeprom),
        cmocka_unit_test(e1000_05_wrong_checksum_is_only_warned_about),
        cmocka_unit_test(e1000_06_no_mac),
        cmocka_unit_test(e1000_07_no_registers),
        cmocka_unit_test(e1000_08_memory_and_frames_run_out),
        cmocka_unit_test(e1000_09_one_of_two_fails_and_names_stay),
        cmocka_unit_test(e1000_10_bus_requests_that_never_end),
        cmocka_unit_test(e1000_11_ten_thousand_frames),
        cmocka_unit_test(e1000_12_a_batch_rings_one_doorbell),
        cmocka_unit_test(e1000_13_receive_gives_no_more_than_asked),
        cmocka_unit_test(e1000_14_more_than_the_ring_holds_is_missed),
        cmocka_unit_test(e1000_15_short_frames_are_padded),
        cmocka_unit_test(e1000_16_no_frame_left),
        cmocka_unit_test(e1000_17_late_receive_write_back),
        cmocka_unit_test(e1000_18_late_transmit_write_back),
        cmocka_unit_test(e1000_19_stop_gives_frames_back),
        cmocka_unit_test(e1000_20_link_flap),
        cmocka_unit_test(e1000_21_length_lies),
        cmocka_unit_test(e1000_22_missing_end),
        cmocka_unit_test(e1000_23_error_bits),
        cmocka_unit_test(e1000_24_garbage_in_the_rings),
        cmocka_unit_test(e1000_25_pulled_out),
        cmocka_unit_test(e1000_26_pulled_out_before_probe),
        cmocka_unit_test(e1000_27_interrupts),
        cmocka_unit_test(e1000_28_link_change_while_masked),
        cmocka_unit_test(e1000_29_device_counters),
    };
    return cmocka_run_group_tests_name("e1000", tests, NULL, NULL);
}
