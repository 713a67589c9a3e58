/* The e1000 driver against a strict model of its devices: bring-up, interrupts and counters. */
#include "drivers/e1000/registers.h"
#include "tests/unit/e1000.h"

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

/* ---- interrupts and counters ---- */

static void e1000_11_interrupts(void **state)
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
static void e1000_12_link_change_while_masked(void **state)
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

static void e1000_13_device_counters(void **state)
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

static void e1000_14_address_filter(void **state)
{
    (void)state;
    struct core *core = start();
    struct packet request = packet_arp_request(PEER, OURS);
    assert_true(e1000_model_inject(&model[0], request.data, request.length));
    memcpy(request.data, NIC1_MAC, 6);
    assert_false(e1000_model_inject(&model[0], request.data, request.length));
    request.data[0] |= 1;
    assert_false(e1000_model_inject(&model[0], request.data, request.length));
    sim_run(core);
    assert_int_equal(sim_counter(core, "nic0.rx_frames"), 1);
    test_stop(core);
}

/* ---- receive filter ---- */

#define STATION(n)  ((const uint8_t[6]){2, 0x50, 0, 0, 7, (n)})
#define GROUP       ((const uint8_t[6]){1, 0, 0x5e, 0, 0, 0xfb})
#define OTHER_GROUP ((const uint8_t[6]){0x33, 0x33, 0, 0, 0, 1})
#define ALL_STATIONS                                                                               \
    {2, 0x50, 0, 0, 7, 0}, {2, 0x50, 0, 0, 7, 1}, {2, 0x50, 0, 0, 7, 2}, {2, 0x50, 0, 0, 7, 3},    \
        {2, 0x50, 0, 0, 7, 4}, {2, 0x50, 0, 0, 7, 5}, {2, 0x50, 0, 0, 7, 6},                       \
    {                                                                                              \
        2, 0x50, 0, 0, 7, 7                                                                        \
    }

/* Whether the nic, and so the loop, gets a frame to `to`. */
static bool gets(struct core *core, const uint8_t to[6])
{
    struct packet frame = packet_arp_request(PEER, OURS);
    uint64_t before = sim_counter(core, "nic0.rx_frames");
    memcpy(frame.data, to, 6);
    bool received = e1000_model_inject(&model[0], frame.data, frame.length);
    sim_run(core);
    assert_int_equal(sim_counter(core, "nic0.rx_frames"), before + received);
    return received;
}

/* Our own address and broadcasts, whatever the filter, and how many of NIC_STATIONS_MAX stations. */
static unsigned gets_stations(struct core *core)
{
    unsigned count = 0;
    assert_true(gets(core, NIC0_MAC));
    assert_true(gets(core, BROADCAST));
    for (unsigned i = 0; i < NIC_STATIONS_MAX; i++)
        count += gets(core, STATION((uint8_t)i));
    return count;
}

static void e1000_15_filter_stations(void **state)
{
    (void)state;
    static const uint16_t chip[] = {0x100e, 0x100f, 0x10d3};
    for (unsigned i = 0; i < COUNT_OF(chip); i++) {
        struct core *core = start_chip(chip[i]);
        struct nic_filter filter = {.stations = NIC_STATIONS_MAX, .station = {ALL_STATIONS}};
        unsigned controls = model[0].receive_controls;
        assert_int_equal(gets_stations(core), 0);
        assert_int_equal(nic_filter(&core->nic[0], &filter), 0);
        assert_int_equal(gets_stations(core), NIC_STATIONS_MAX);
        assert_false(gets(core, STATION(NIC_STATIONS_MAX)));
        assert_false(gets(core, NIC1_MAC));
        assert_false(gets(core, GROUP));
        filter = (struct nic_filter){.stations = 2, .station = {{2, 0x50, 0, 0, 7, 5}, {0}}};
        memcpy(filter.station[1], NIC1_MAC, 6);
        assert_int_equal(nic_filter(&core->nic[0], &filter), 0);
        assert_int_equal(gets_stations(core), 1);
        assert_true(gets(core, STATION(5)));
        assert_true(gets(core, NIC1_MAC));
        filter.stations = 0;
        assert_int_equal(nic_filter(&core->nic[0], &filter), 0);
        assert_int_equal(gets_stations(core), 0);
        assert_false(gets(core, NIC1_MAC));
        assert_int_equal(model[0].receive_controls, controls);
        test_stop(core);
    }
}

static void e1000_16_filter_multicast(void **state)
{
    (void)state;
    struct core *core = start();
    unsigned controls = model[0].receive_controls;
    assert_false(gets(core, GROUP));
    assert_int_equal(nic_filter(&core->nic[0], &(struct nic_filter){.all_multicast = true}), 0);
    assert_int_equal(gets_stations(core), 0);
    uint8_t group[6] = {1, 0, 0x5e};
    for (unsigned hash = 0; hash < 32 * E1000_MTA_WORDS; hash++) {
        group[4] = (uint8_t)(hash << 4);
        group[5] = (uint8_t)(hash >> 4);
        assert_true(gets(core, group));
    }
    assert_true(gets(core, OTHER_GROUP));
    assert_int_equal(nic_filter(&core->nic[0], &(struct nic_filter){.stations = 0}), 0);
    assert_int_equal(gets_stations(core), 0);
    assert_false(gets(core, GROUP));
    assert_false(gets(core, OTHER_GROUP));
    assert_int_equal(model[0].receive_controls, controls);
    test_stop(core);
}

/* RCTL is written when promiscuous comes or goes, and only then: QEMU's e1000 is deaf after it. */
static void e1000_17_filter_promiscuous(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic_filter filter = {.promiscuous = true};
    unsigned controls = model[0].receive_controls;
    assert_int_equal(controls, 2); /* off at the reset, on */
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(nic_filter(&core->nic[0], &filter), 0);
        assert_int_equal(model[0].receive_controls, controls + 1);
        assert_int_equal(gets_stations(core), NIC_STATIONS_MAX);
        assert_true(gets(core, NIC1_MAC));
        assert_true(gets(core, GROUP));
        filter.all_multicast = true;
    }
    filter.promiscuous = false;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(nic_filter(&core->nic[0], &filter), 0);
        assert_int_equal(model[0].receive_controls, controls + 2);
        assert_int_equal(gets_stations(core), 0);
        assert_int_equal(gets(core, GROUP), filter.all_multicast);
        filter.all_multicast = false;
    }
    expect_works(core);
    test_stop(core);
}

/* A filter that is refused changes nothing. */
static void e1000_18_filter_refused(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic *nic = &core->nic[0];
    struct nic_driver without = e1000_driver;
    struct nic_filter filter = {.stations = 1, .station = {ALL_STATIONS}};
    assert_int_equal(nic_filter(nic, &filter), 0);
    filter.stations = NIC_STATIONS_MAX + 1;
    assert_int_equal(nic_filter(nic, &filter), ERR_RANGE);
    assert_true(said("nic0: receive filter with 9 stations not set: outside the allowed range"));
    filter.stations = 3;
    memcpy(filter.station[2], GROUP, 6);
    filter.promiscuous = true;
    assert_int_equal(nic_filter(nic, &filter), ERR_INVALID);
    assert_true(said("3 stations, promiscuous not set: malformed"));
    without.filter = NULL;
    nic->driver = &without;
    filter.stations = 2;
    assert_int_equal(nic_filter(nic, &filter), ERR_UNSUPPORTED);
    nic->driver = &e1000_driver;
    assert_int_equal(gets_stations(core), 1);
    model[0].fault.gone = true;
    e1000_driver.attend(nic);
    assert_int_equal(nic_filter(nic, &filter), ERR_DEVICE);
    test_stop(core);
}

static void e1000_19_filter_of_an_absent_nic(void **state)
{
    (void)state;
    struct e1000_model *stuck = powered(0x100e);
    stuck->fault.stuck_reset = true;
    struct core *core = probe(stuck);
    struct nic_filter filter = {.promiscuous = true};
    assert_int_equal(nic_filter(&core->nic[0], &filter), ERR_UNSUPPORTED);
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
        cmocka_unit_test(e1000_11_interrupts),
        cmocka_unit_test(e1000_12_link_change_while_masked),
        cmocka_unit_test(e1000_13_device_counters),
        cmocka_unit_test(e1000_14_address_filter),
        cmocka_unit_test(e1000_15_filter_stations),
        cmocka_unit_test(e1000_16_filter_multicast),
        cmocka_unit_test(e1000_17_filter_promiscuous),
        cmocka_unit_test(e1000_18_filter_refused),
        cmocka_unit_test(e1000_19_filter_of_an_absent_nic),
    };
    return cmocka_run_group_tests_name("e1000", tests, NULL, NULL);
}
