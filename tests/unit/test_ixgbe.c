/* The ixgbe driver against a strict model of the 82599: bring-up, link, interrupts, filters. */
#include "tests/unit/ixgbe.h"

/* ---- bring-up ---- */

static void ixgbe_01_probe_every_medium(void **state)
{
    (void)state;
    static const uint16_t chip[] = {0x10fb, 0x10f7};
    for (unsigned i = 0; i < COUNT_OF(chip); i++) {
        struct core *core = start_chip(chip[i]);
        assert_int_equal(core->nic_count, 1);
        assert_true(nic_present(&core->nic[0]));
        assert_memory_equal(core->nic[0].mac, NIC0_MAC, 6);
        assert_true(core->nic[0].link_up);
        assert_int_equal(core->nic[0].speed_mbps, 10000);
        assert_true(said("nic0: link up 10000 Mb/s"));
        assert_false(said("EEPROM"));
        expect_works(core);
        test_stop(core);
    }
}

static void ixgbe_02_matches_its_devices_only(void **state)
{
    (void)state;
    struct arch_device device = {.bus = ARCH_BUS_PCI, .vendor = 0x8086, .device = 0x10fb};
    assert_true(ixgbe_driver.match(&device));
    device.device = 0x1528;
    assert_true(ixgbe_driver.match(&device));
    device.device = 0x10d3;
    assert_false(ixgbe_driver.match(&device));
    device.device = 0x10fb;
    device.vendor = 0x10ec;
    assert_false(ixgbe_driver.match(&device));
    device.vendor = 0x8086;
    device.bus = ARCH_BUS_HOST;
    assert_false(ixgbe_driver.match(&device));
}

/* The probe fails, says `sentence`, and holds no frame. */
static void expect_left_out(enum ixgbe_fault fault, const char *sentence)
{
    ixgbe_model_fault(powered(0x10fb), fault, IXGBE_ALWAYS);
    struct core *core = probe(LINE);
    assert_false(nic_present(&core->nic[0]));
    if (!said(sentence))
        fail_msg("not said: %s\n%s", sentence, sim_console());
    assert_true(said("the device did not answer in time"));
    assert_true(sim_now_ns < 2000000000);
    test_stop(core);
}

static void ixgbe_03_stuck_reset(void **state)
{
    (void)state;
    expect_left_out(IXGBE_FAULT_STUCK_RESET, "82599 SFP+ at pci 00:03.0: CTRL is 04");
}

static void ixgbe_04_dma_never_ready(void **state)
{
    (void)state;
    expect_left_out(IXGBE_FAULT_STUCK_DMA, "82599 SFP+ at pci 00:03.0: RDRXCTL is ");
}

static void ixgbe_05_queue_never_enabled(void **state)
{
    (void)state;
    expect_left_out(IXGBE_FAULT_STUCK_ENABLE, "82599 SFP+ at pci 00:03.0: TXDCTL[0] is ");
}

/* The bus owes the device data for ever: it is flushed, and reset twice. */
static void ixgbe_06_bus_requests_that_never_end(void **state)
{
    (void)state;
    ixgbe_model_fault(powered(0x10fb), IXGBE_FAULT_STUCK_MASTER, IXGBE_ALWAYS);
    sim[0].strict = false; /* which resets it in spite of that */
    struct core *core = probe(LINE);
    assert_true(said("82599 SFP+ at pci 00:03.0: STATUS is "));
    expect_works(core);
    test_stop(core);
}

static void ixgbe_07_eeprom(void **state)
{
    (void)state;
    static const struct {
        enum ixgbe_fault fault;
        const char *sentence;
    } wrong[] = {
        {IXGBE_FAULT_EEPROM_SILENT, "82599 SFP+ at pci 00:03.0: EERD is "},
        {IXGBE_FAULT_EEPROM_CHECKSUM, "EEPROM checksum is "},
    };
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        ixgbe_model_fault(powered(0x10fb), wrong[i].fault, IXGBE_ALWAYS);
        struct core *core = probe(LINE);
        assert_true(said(wrong[i].sentence));
        assert_memory_equal(core->nic[0].mac, NIC0_MAC, 6);
        expect_works(core);
        test_stop(core);
    }
}

static void ixgbe_08_no_mac(void **state)
{
    (void)state;
    static const uint8_t bad[][6] = {{0}, {3, 1, 2, 3, 4, 5}, {255, 255, 255, 255, 255, 255}};
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        sim_reset();
        ixgbe_sim_start(&sim[0], 0x10fb, bad[i]);
        struct core *core = probe(LINE);
        assert_false(nic_present(&core->nic[0]));
        assert_true(said("no MAC address"));
        test_stop(core);
    }
}

static void ixgbe_09_named_but_unsupported(void **state)
{
    (void)state;
    powered(0x1563);
    struct core *core = probe(LINE);
    assert_false(nic_present(&core->nic[0]));
    assert_true(said("X550-AT2"));
    test_stop(core);
}

/* Whatever runs out, and whenever: the probe fails, and holds no frame. */
static void ixgbe_10_memory_and_frames_run_out(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic nic = {.name = "nic7", .index = 7, .core = core, .pool = &core->frames};
    nic.device = &core->device[0];
    nic.driver = &ixgbe_driver;
    nic.mtu = 1500;
    unsigned whole = core->frames.free_count, failures = 0;
    core->frames.free_count = INTEL_RING - 1;
    assert_int_equal(ixgbe_driver.probe(&nic, nic.device), ERR_NO_MEMORY);
    assert_int_equal(core->frames.free_count, INTEL_RING - 1);
    core->frames.free_count = whole;
    for (unsigned bytes = 0;; bytes += 1024) {
        sim_limit_memory(bytes);
        if (ixgbe_driver.probe(&nic, nic.device) == 0)
            break;
        failures++;
        assert_int_equal(core->frames.free_count, whole);
    }
    assert_true(failures > 8);
    assert_int_equal(core->frames.free_count, whole - INTEL_RING);
    ixgbe_driver.stop(&nic);
    assert_int_equal(core->frames.free_count, whole);
    test_stop(core);
}

/* ---- link ---- */

static void ixgbe_11_link_flaps(void **state)
{
    (void)state;
    struct core *core = start();
    ixgbe_model_fault(model, IXGBE_FAULT_LINK_FLAP, 1);
    sim_advance_us(core, 150000);
    assert_false(core->nic[0].link_up);
    sim_advance_us(core, 400000);
    assert_true(core->nic[0].link_up);
    expect_works(core);
    assert_int_equal(sim_counter(core, "nic0.link_changes"), 3); /* up, down, up */
    test_stop(core);
}

static void ixgbe_12_wire_cut_and_mended(void **state)
{
    (void)state;
    ixgbe_model_fault(powered(0x10fb), IXGBE_FAULT_LINK_DOWN, IXGBE_ALWAYS);
    struct core *core = probe(LINE);
    assert_true(nic_present(&core->nic[0]));
    assert_false(core->nic[0].link_up);
    ixgbe_model_fault(model, IXGBE_FAULT_LINK_DOWN, 0);
    sim_advance_us(core, 500000);
    assert_true(core->nic[0].link_up);
    expect_works(core);
    test_stop(core);
}

static void ixgbe_13_module_comes_late(void **state)
{
    (void)state;
    ixgbe_model_fault(powered(0x10fb), IXGBE_FAULT_NO_MODULE, IXGBE_ALWAYS);
    struct core *core = probe(LINE);
    assert_true(nic_present(&core->nic[0]));
    assert_false(core->nic[0].link_up);
    assert_true(said("82599 SFP+ at pci 00:03.0: no module answers: I2CCTL is "));
    ixgbe_model_fault(model, IXGBE_FAULT_NO_MODULE, 0);
    sim_advance_us(core, 3000000);
    assert_true(core->nic[0].link_up);
    expect_works(core);
    test_stop(core);
}

static void ixgbe_14_module_of_one_gigabit(void **state)
{
    (void)state;
    powered(0x10fb)->module[3] = 0;
    model->module[6] = 1; /* 1000BASE-SX */
    model->module[8] = 0;
    struct core *core = probe(LINE);
    assert_true(said("1000BASE-SX"));
    assert_int_equal(IXGBE_AUTOC_LMS(model->reg[IXGBE_AUTOC / 4]), IXGBE_LMS_1G_AN);
    test_stop(core);
}

/* ---- interrupts and counters ---- */

static void ixgbe_15_interrupts(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic *nic = &core->nic[0];
    assert_int_equal(ixgbe_model_interrupt(model), 0);
    expect_works(core);
    ixgbe_driver.interrupts(nic, true);
    assert_int_equal(ixgbe_model_interrupt(model), 0); /* what was served does not wake */
    assert_true(inject_ping(1));
    assert_int_not_equal(ixgbe_model_interrupt(model), 0);
    ixgbe_driver.attend(nic);
    assert_int_equal(ixgbe_model_interrupt(model), 0);
    ixgbe_driver.interrupts(nic, false);
    assert_true(inject_ping(2));
    assert_int_equal(ixgbe_model_interrupt(model), 0);
    ixgbe_driver.interrupts(nic, true);
    ixgbe_model_fault(model, IXGBE_FAULT_LINK_FLAP, 1);
    ixgbe_sim_tick(&sim[0]);
    assert_int_not_equal(ixgbe_model_interrupt(model), 0);
    test_stop(core);
}

static void ixgbe_16_device_counters(void **state)
{
    (void)state;
    struct core *core = start();
    sim_run(core);
    model->reg[IXGBE_CRCERRS / 4] = 1;
    model->reg[IXGBE_ILLERRC / 4] = 2;
    model->reg[IXGBE_RLEC / 4] = 4;
    model->reg[IXGBE_RXMPC / 4] = 8;
    model->reg[IXGBE_QPRDC / 4] = 16;
    expect_works(core);
    sim_advance_us(core, 500000);
    assert_int_equal(sim_counter(core, "nic0.rx_errors"), 7);
    assert_int_equal(sim_counter(core, "nic0.rx_missed"), 24);
    assert_int_equal(sim_counter(core, "nic0.rx_good_on_wire"), 1);
    assert_int_equal(sim_counter(core, "nic0.tx_good_on_wire"), 1);
    test_stop(core);
}

/* ---- receive filter ---- */

#define STATION(n) ((const uint8_t[6]){2, 0x50, 0, 0, 7, (n)})
#define GROUP      ((const uint8_t[6]){1, 0, 0x5e, 0, 0, 0xfb})

/* Whether the nic, and so the loop, gets a frame to `to`. */
static bool gets(struct core *core, const uint8_t to[6])
{
    struct packet frame = packet_arp_request(PEER, OURS);
    uint64_t before = sim_counter(core, "nic0.rx_frames");
    memcpy(frame.data, to, 6);
    bool received = ixgbe_sim_inject(&sim[0], frame.data, frame.length);
    sim_run(core);
    assert_int_equal(sim_counter(core, "nic0.rx_frames"), before + received);
    return received;
}

static unsigned gets_stations(struct core *core)
{
    unsigned count = 0;
    assert_true(gets(core, NIC0_MAC));
    assert_true(gets(core, BROADCAST));
    for (unsigned i = 0; i < NIC_STATIONS_MAX; i++)
        count += gets(core, STATION((uint8_t)i));
    return count;
}

static struct nic_filter all_stations(void)
{
    struct nic_filter filter = {.stations = NIC_STATIONS_MAX};
    for (unsigned i = 0; i < NIC_STATIONS_MAX; i++)
        memcpy(filter.station[i], STATION((uint8_t)i), 6);
    return filter;
}

static void ixgbe_17_filter(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic_filter filter = all_stations();
    unsigned controls = writes_of(IXGBE_RXCTRL);
    assert_int_equal(gets_stations(core), 0);
    assert_int_equal(nic_filter(&core->nic[0], &filter), 0);
    assert_int_equal(gets_stations(core), NIC_STATIONS_MAX);
    assert_false(gets(core, NIC1_MAC));
    assert_false(gets(core, GROUP));
    filter = (struct nic_filter){.all_multicast = true};
    assert_int_equal(nic_filter(&core->nic[0], &filter), 0);
    assert_int_equal(gets_stations(core), 0);
    uint8_t group[6] = {1, 0, 0x5e};
    for (unsigned hash = 0; hash < 32 * IXGBE_MTA_WORDS; hash++) {
        group[4] = (uint8_t)(hash << 4);
        group[5] = (uint8_t)(hash >> 4);
        assert_true(gets(core, group));
    }
    assert_int_equal(writes_of(IXGBE_RXCTRL), controls);
    filter = (struct nic_filter){.promiscuous = true};
    assert_int_equal(nic_filter(&core->nic[0], &filter), 0);
    assert_true(gets(core, NIC1_MAC));
    assert_true(gets(core, GROUP));
    filter.promiscuous = false;
    assert_int_equal(nic_filter(&core->nic[0], &filter), 0);
    assert_int_equal(gets_stations(core), 0);
    assert_false(gets(core, GROUP));
    test_stop(core);
}

/* ---- registers for people ---- */

/* Every register that may be looked at reads as it did, whoever looked, and the model has nothing to
 * object to. */
static void ixgbe_18_readable_registers_have_no_side_effects(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic *nic = &core->nic[0];
    expect_works(core);
    unsigned seen = 0;
    for (unsigned i = 0; i < ixgbe_driver.register_count; i++) {
        const struct nic_register *row = &ixgbe_driver.registers[i];
        assert_true(row->count == 1 || row->stride >= 4);
        for (unsigned n = 0; row->readable && n < row->count; n++) {
            uint32_t first, second;
            uint32_t offset = row->offset + n * row->stride;
            assert_int_equal(ixgbe_driver.register_read(nic, offset, &first), 0);
            assert_int_equal(ixgbe_driver.register_read(nic, offset, &second), 0);
            assert_int_equal(first, second);
            seen++;
        }
    }
    assert_true(seen > 500);
    assert_int_not_equal(model->reg[IXGBE_GPRC / 4], 0); /* not counted yet, not forgotten */
    expect_works(core);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ixgbe_01_probe_every_medium),
        cmocka_unit_test(ixgbe_02_matches_its_devices_only),
        cmocka_unit_test(ixgbe_03_stuck_reset),
        cmocka_unit_test(ixgbe_04_dma_never_ready),
        cmocka_unit_test(ixgbe_05_queue_never_enabled),
        cmocka_unit_test(ixgbe_06_bus_requests_that_never_end),
        cmocka_unit_test(ixgbe_07_eeprom),
        cmocka_unit_test(ixgbe_08_no_mac),
        cmocka_unit_test(ixgbe_09_named_but_unsupported),
        cmocka_unit_test(ixgbe_10_memory_and_frames_run_out),
        cmocka_unit_test(ixgbe_11_link_flaps),
        cmocka_unit_test(ixgbe_12_wire_cut_and_mended),
        cmocka_unit_test(ixgbe_13_module_comes_late),
        cmocka_unit_test(ixgbe_14_module_of_one_gigabit),
        cmocka_unit_test(ixgbe_15_interrupts),
        cmocka_unit_test(ixgbe_16_device_counters),
        cmocka_unit_test(ixgbe_17_filter),
        cmocka_unit_test(ixgbe_18_readable_registers_have_no_side_effects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
