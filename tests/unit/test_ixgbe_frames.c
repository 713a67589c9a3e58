/* The ixgbe driver against a strict model of the 82599: frames, rings, queues, and what goes wrong. */
#include "tests/unit/ixgbe.h"

/* ---- frames ---- */

static void ixgbe_30_every_length(void **state)
{
    (void)state;
    struct core *core = start();
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(inject_ping(i));
        sim_run(core);
        expect_reply(i);
    }
    assert_int_equal(sim_counter(core, "nic0.rx_frames"), 1000);
    test_stop(core);
}

/* Round the rings many times, in batches that do not divide them. */
static void ixgbe_31_rings_wrap(void **state)
{
    (void)state;
    struct core *core = start();
    for (unsigned round = 0; round < 200; round++) {
        unsigned batch = 1 + round * 7 % 61;
        for (unsigned i = 0; i < batch; i++)
            assert_true(inject_ping(1000 * round + i));
        sim_run(core);
        for (unsigned i = 0; i < batch; i++)
            expect_reply(1000 * round + i);
    }
    assert_null(ixgbe_sim_sent(&sim[0]));
    test_stop(core);
}

/* One turn of the loop with a batch: one write of each tail, and nothing else. */
static void ixgbe_32_two_doorbells_a_batch(void **state)
{
    (void)state;
    struct core *core = start();
    for (unsigned count = 1; count <= BATCH_MAX; count++) {
        for (unsigned i = 0; i < count; i++)
            assert_true(inject_ping(i));
        unsigned reads = reads_of_all(), writes = writes_of_all();
        unsigned receive = writes_of(IXGBE_RDT), transmit = writes_of(IXGBE_TDT);
        uint64_t batches = sim_counter(core, "nic0.rx_batches");
        assert_true(loop_turn(core));
        assert_int_equal(sim_counter(core, "nic0.rx_batches"), batches + 1);
        assert_int_equal(writes_of(IXGBE_RDT), receive + 1);
        assert_int_equal(writes_of(IXGBE_TDT), transmit + 1);
        assert_int_equal(writes_of_all(), writes + 2);
        assert_int_equal(reads_of_all(), reads);
        for (unsigned i = 0; i < count; i++)
            expect_reply(i);
    }
    test_stop(core);
}

static void ixgbe_33_receive_gives_no_more_than_asked(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic *nic = &core->nic[0];
    struct frame *frame[BATCH_MAX];
    unsigned got = 0;
    for (unsigned i = 0; i < 200; i++)
        assert_true(inject_ping(i));
    while (got < 200) {
        unsigned max = got % 7 + 1;
        unsigned count = ixgbe_driver.receive(nic, frame, max);
        assert_in_range(count, 1, max);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(frame[i]->owner, FRAME_OF_LOOP);
            assert_int_equal(frame[i]->nic, 0);
            assert_int_equal(frame[i]->length, 62 + got + i);
            frame_free(nic->pool, frame[i]);
        }
        got += count;
    }
    assert_int_equal(ixgbe_driver.receive(nic, frame, BATCH_MAX), 0);
    test_stop(core);
}

static void ixgbe_34_ring_full(void **state)
{
    (void)state;
    struct core *core = start();
    ixgbe_model_fault(model, IXGBE_FAULT_LATE, IXGBE_ALWAYS);
    unsigned sent = 0;
    for (unsigned i = 0; i < 4; i++)
        sent += transmit_some(core, 64);
    assert_int_equal(sent, INTEL_RING - 1);
    assert_int_equal(transmit_some(core, 1), 0);
    ixgbe_model_write_back(model);
    assert_int_equal(transmit_some(core, 64), 64);
    ixgbe_model_fault(model, IXGBE_FAULT_LATE, 0);
    ixgbe_model_write_back(model);
    test_stop(core);
}

/* Frames that find no descriptor wait in the packet buffer, and come when there are some. */
static void ixgbe_35_more_than_the_ring_holds(void **state)
{
    (void)state;
    struct core *core = start();
    for (unsigned i = 0; i < INTEL_RING + 100; i++)
        assert_true(inject_ping(i));
    sim_run(core);
    assert_int_equal(sim_counter(core, "nic0.rx_frames"), INTEL_RING + 100);
    for (unsigned i = 0; i < INTEL_RING + 100; i++)
        expect_reply(i);
    test_stop(core);
}

static void ixgbe_36_pool_runs_out(void **state)
{
    (void)state;
    struct core *core = start();
    struct frame *frame[BATCH_MAX];
    unsigned whole = core->frames.free_count;
    for (unsigned i = 0; i < 10; i++)
        assert_true(inject_ping(i));
    core->frames.free_count = 4;
    assert_int_equal(ixgbe_driver.receive(&core->nic[0], frame, BATCH_MAX), 4);
    assert_int_equal(sim_counter(core, "drop.no-frame"), 6);
    core->frames.free_count = whole - 4;
    for (unsigned i = 0; i < 4; i++)
        frame_free(&core->frames, frame[i]);
    expect_works(core);
    test_stop(core);
}

/* ---- offloads ---- */

/* The device's word for a checksum spares the kernel the sum, and takes nothing away. */
static void ixgbe_37_checksums(void **state)
{
    (void)state;
    struct core *core = start();
    struct frame *frame[1];
    struct packet udp = packet_udp_to(PEER, 4000, OURS, 7, 100);
    for (unsigned bad = 0; bad < 2; bad++) {
        udp.data[60] ^= (uint8_t)bad;
        assert_true(ixgbe_sim_inject(&sim[0], udp.data, udp.length));
        assert_int_equal(ixgbe_driver.receive(&core->nic[0], frame, 1), 1);
        assert_int_equal(frame[0]->flags & FRAME_CHECKED, bad ? 0 : FRAME_CHECKED);
        frame_free(&core->frames, frame[0]);
    }
    assert_true(ixgbe_sim_inject(&sim[0], udp.data, udp.length));
    sim_run(core);
    assert_int_equal(sim_counter(core, "drop.udp-checksum"), 1);
    sim_advance_us(core, 300000);
    assert_int_equal(sim_counter(core, "nic0.rx_checksum_bad"), 2);
    udp.data[60] ^= 1;
    packet_ip(&udp)->checksum.raw ^= 1;
    assert_true(ixgbe_sim_inject(&sim[0], udp.data, udp.length));
    sim_run(core);
    assert_int_equal(sim_counter(core, "drop.ip-checksum"), 1);
    test_stop(core);
}

/* A device that calls all checksums wrong makes the kernel sum for itself, and that is all. */
static void ixgbe_38_checksums_called_wrong(void **state)
{
    (void)state;
    struct core *core = start();
    ixgbe_model_fault(model, IXGBE_FAULT_BAD_CHECKSUM, IXGBE_ALWAYS);
    for (unsigned i = 0; i < 300; i++) {
        assert_true(inject_ping(i));
        sim_run(core);
        expect_reply(i);
    }
    test_stop(core);
}

static void ixgbe_39_tags_stay_in_frames(void **state)
{
    (void)state;
    struct core *core = start();
    struct frame *frame[1];
    struct packet tagged = packet_echo(PEER, OURS, 40);
    memmove(tagged.data + 16, tagged.data + 12, tagged.length - 12);
    memcpy(tagged.data + 12, "\x81\x00\x00\x05", 4);
    tagged.length += 4;
    assert_true(ixgbe_sim_inject(&sim[0], tagged.data, tagged.length));
    assert_int_equal(ixgbe_driver.receive(&core->nic[0], frame, 1), 1);
    assert_int_equal(frame[0]->length, tagged.length);
    assert_memory_equal(frame[0]->data, tagged.data, tagged.length);
    frame_free(&core->frames, frame[0]);
    test_stop(core);
}

/* ---- queues ---- */

/* Microsoft's vectors ("Verifying the RSS Hash Calculation"): the device, with what the driver wrote
 * into it, puts each flow where its published hash says, again and again. */
static void ixgbe_40_flows_keep_to_their_queue(void **state)
{
    (void)state;
    static const struct {
        uint32_t from;
        uint16_t from_port;
        uint32_t to;
        uint16_t to_port;
        uint32_t hash;
    } flow[] = {
        {IP(66, 9, 149, 187), 2794, IP(161, 142, 100, 80), 1766, 0x51ccc178},
        {IP(199, 92, 111, 2), 14230, IP(65, 69, 140, 83), 4739, 0xc626b0ea},
        {IP(24, 19, 198, 95), 12898, IP(12, 22, 207, 184), 38024, 0x5c2b394a},
        {IP(38, 27, 205, 30), 48228, IP(209, 142, 163, 6), 2217, 0xafc7327f},
        {IP(153, 39, 163, 191), 44251, IP(202, 188, 127, 2), 1303, 0x10e828a2},
    };
    powered(0x10fb);
    struct core *core = probe(LINE " nic.queues=4");
    struct frame *frame[BATCH_MAX];
    uint64_t expected[4] = {0};
    for (unsigned i = 0; i < 20; i++) {
        unsigned n = i % COUNT_OF(flow), queue = flow[n].hash % 128 % 4;
        struct packet tcp =
            packet_tcp_to(flow[n].from, flow[n].from_port, flow[n].to, flow[n].to_port, 2);
        assert_true(ixgbe_sim_inject(&sim[0], tcp.data, tcp.length));
        assert_int_equal(ixgbe_driver.receive(&core->nic[0], frame, BATCH_MAX), 1);
        frame_free(&core->frames, frame[0]);
        expected[queue]++;
    }
    sim_advance_us(core, 300000);
    assert_int_equal(sim_counter(core, "nic0.rx_queue0_frames"), expected[0]);
    assert_int_equal(sim_counter(core, "nic0.rx_queue1_frames"), expected[1]);
    assert_int_equal(sim_counter(core, "nic0.rx_queue2_frames"), expected[2]);
    assert_int_equal(sim_counter(core, "nic0.rx_queue3_frames"), expected[3]);
    assert_true(expected[0] + expected[1] + expected[2] + expected[3] == 20);
    test_stop(core);
}

/* All queues are served, in turn; one that overflows does not stand in the others' way. */
static void ixgbe_41_queues_are_served_in_turn(void **state)
{
    (void)state;
    for (unsigned queues = 1; queues <= NIC_QUEUES_MAX; queues++) {
        char line[80];
        snprintf(line, sizeof line, LINE " nic.queues=%u", queues);
        powered(0x10fb);
        struct core *core = probe(line);
        for (unsigned i = 0; i < 300; i++) {
            struct packet echo = packet_echo(IP(10, 0, 0, 10 + i % 200), OURS, 20);
            assert_true(ixgbe_sim_inject(&sim[0], echo.data, echo.length));
        }
        sim_run(core);
        assert_int_equal(sim_counter(core, "nic0.rx_frames"), 300);
        for (unsigned i = 0; i < 300; i++)
            assert_non_null(ixgbe_sim_sent(&sim[0]));
        test_stop(core);
    }
}

static void ixgbe_42_a_full_queue_drops_its_own(void **state)
{
    (void)state;
    powered(0x10fb);
    struct core *core = probe(LINE " nic.queues=2");
    for (unsigned i = 0; i < INTEL_RING + 50; i++)
        inject_ping(i); /* one pair of addresses: one queue */
    unsigned taken = 0;
    for (unsigned host = 10; host < 40; host++) {
        struct packet echo = packet_echo(IP(10, 0, 0, host), OURS, 20);
        taken += ixgbe_sim_inject(&sim[0], echo.data, echo.length);
    }
    assert_true(taken > 5);
    sim_run(core);
    sim_advance_us(core, 300000);
    assert_int_equal(sim_counter(core, "nic0.rx_frames") + sim_counter(core, "nic0.rx_missed"),
                     INTEL_RING + 50 + 30);
    assert_true(sim_counter(core, "nic0.rx_missed") >= 51);
    test_stop(core);
}

/* ---- what goes wrong ---- */

static void expect_unusable(enum ixgbe_fault fault)
{
    struct core *core = start();
    ixgbe_model_fault(model, fault, INTEL_RING + 10);
    for (unsigned i = 0; i < INTEL_RING + 10; i++) {
        inject_ping(i);
        if (i % 50 == 49)
            sim_run(core);
    }
    sim_run(core);
    assert_null(ixgbe_sim_sent(&sim[0]));
    assert_int_equal(sim_counter(core, "nic0.rx_unusable"), INTEL_RING + 10);
    expect_works(core);
    test_stop(core);
}

static void ixgbe_43_broken_descriptors(void **state)
{
    (void)state;
    expect_unusable(IXGBE_FAULT_RECEIVE_ERROR);
    expect_unusable(IXGBE_FAULT_NO_END);
    expect_unusable(IXGBE_FAULT_BAD_LENGTH);
}

static void ixgbe_44_late_write_back(void **state)
{
    (void)state;
    struct core *core = start();
    ixgbe_model_fault(model, IXGBE_FAULT_LATE, IXGBE_ALWAYS);
    for (unsigned i = 0; i < 20; i++)
        assert_true(inject_ping(i));
    sim_run(core);
    assert_null(ixgbe_sim_sent(&sim[0]));
    sim_advance_us(core, 200000);
    for (unsigned i = 0; i < 20; i++)
        expect_reply(i);
    ixgbe_model_fault(model, IXGBE_FAULT_LATE, 0);
    sim_advance_us(core, 200000);
    expect_works(core);
    test_stop(core);
}

/* A tail that the device never saw is written again. */
static void ixgbe_45_lost_doorbells(void **state)
{
    (void)state;
    struct core *core = start();
    ixgbe_model_fault(model, IXGBE_FAULT_LOST_DOORBELL, 2);
    assert_true(inject_ping(1));
    sim_run(core);
    assert_null(ixgbe_sim_sent(&sim[0]));
    sim_advance_us(core, 300000);
    expect_reply(1);
    expect_works(core);
    test_stop(core);
}

/* A device that stops sending is reset, and goes on; what was set stays set. */
static void ixgbe_46_transmit_stands_still(void **state)
{
    (void)state;
    struct core *core = start();
    struct nic_filter filter = {
        .stations = 1, .promiscuous = true, .station = {{2, 9, 9, 9, 9, 9}}};
    assert_int_equal(nic_filter(&core->nic[0], &filter), 0);
    ixgbe_model_fault(model, IXGBE_FAULT_NO_DMA, IXGBE_ALWAYS);
    assert_int_equal(transmit_some(core, 5), 5);
    sim_advance_us(core, 1500000);
    assert_true(core->nic[0].link_up);
    sim_advance_us(core, 1000000);
    assert_true(
        said("82599 SFP+ at pci 00:03.0 sends nothing: TDH[0] is 00000000, TDT[0] 00000005"));
    ixgbe_model_fault(model, IXGBE_FAULT_NO_DMA, 0);
    sim_advance_us(core, 500000);
    assert_true(core->nic[0].link_up);
    expect_works(core);
    assert_int_not_equal(model->reg[IXGBE_FCTRL / 4] & IXGBE_FCTRL_UPE, 0);
    assert_int_equal(model->reg[(IXGBE_RAL + 8) / 4], 0x09090902);
    test_stop(core);
}

static void ixgbe_47_pulled_out(void **state)
{
    (void)state;
    struct core *core = start();
    transmit_some(core, 5);
    ixgbe_model_fault(model, IXGBE_FAULT_GONE, IXGBE_ALWAYS);
    sim_advance_us(core, 300000);
    assert_true(said("82599 SFP+ at pci 00:03.0 is gone: STATUS is ffffffff"));
    assert_false(core->nic[0].link_up);
    uint32_t value;
    assert_int_equal(ixgbe_driver.register_read(&core->nic[0], IXGBE_STATUS, &value), ERR_DEVICE);
    test_stop(core);
}

static void ixgbe_48_pulled_out_before_probe(void **state)
{
    (void)state;
    ixgbe_model_fault(powered(0x10fb), IXGBE_FAULT_GONE, IXGBE_ALWAYS);
    struct core *core = probe(LINE);
    assert_false(nic_present(&core->nic[0]));
    test_stop(core);
}

/* The device writes anything anywhere in its rings. No frame may be lost, freed twice or overrun. */
static void ixgbe_49_garbage_in_the_rings(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (unsigned round = 0; round < 20; round++) {
        struct core *core = start();
        sim[0].strict = false;
        uint64_t bytes = (uint64_t)model->reg[IXGBE_RDBAH / 4] << 32 | model->reg[IXGBE_RDBAL / 4];
        struct intel_descriptor *ring = (struct intel_descriptor *)(uintptr_t)bytes;
        ixgbe_model_fault(model, IXGBE_FAULT_NO_DMA, IXGBE_ALWAYS);
        for (unsigned i = 0; i < 300; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            ring[random >> 8 & INTEL_MASK].address = random * 77;
            ring[random >> 8 & INTEL_MASK].word = random >> 1;
            struct frame *frame[BATCH_MAX];
            unsigned count = ixgbe_driver.receive(&core->nic[0], frame, BATCH_MAX);
            for (unsigned f = 0; f < count; f++) {
                assert_true(frame[f]->length < FRAME_ROOM);
                frame_free(&core->frames, frame[f]);
            }
        }
        test_stop(core);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ixgbe_30_every_length),
        cmocka_unit_test(ixgbe_31_rings_wrap),
        cmocka_unit_test(ixgbe_32_two_doorbells_a_batch),
        cmocka_unit_test(ixgbe_33_receive_gives_no_more_than_asked),
        cmocka_unit_test(ixgbe_34_ring_full),
        cmocka_unit_test(ixgbe_35_more_than_the_ring_holds),
        cmocka_unit_test(ixgbe_36_pool_runs_out),
        cmocka_unit_test(ixgbe_37_checksums),
        cmocka_unit_test(ixgbe_38_checksums_called_wrong),
        cmocka_unit_test(ixgbe_39_tags_stay_in_frames),
        cmocka_unit_test(ixgbe_40_flows_keep_to_their_queue),
        cmocka_unit_test(ixgbe_41_queues_are_served_in_turn),
        cmocka_unit_test(ixgbe_42_a_full_queue_drops_its_own),
        cmocka_unit_test(ixgbe_43_broken_descriptors),
        cmocka_unit_test(ixgbe_44_late_write_back),
        cmocka_unit_test(ixgbe_45_lost_doorbells),
        cmocka_unit_test(ixgbe_46_transmit_stands_still),
        cmocka_unit_test(ixgbe_47_pulled_out),
        cmocka_unit_test(ixgbe_48_pulled_out_before_probe),
        cmocka_unit_test(ixgbe_49_garbage_in_the_rings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
