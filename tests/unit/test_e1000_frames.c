/* The e1000 driver against a strict model of its devices: frames, and faults on the way. */
#include "tests/unit/e1000.h"

/* ---- frames ---- */

static void e1000_15_ten_thousand_frames(void **state)
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

static void e1000_16_a_batch_rings_one_doorbell(void **state)
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

static void e1000_17_receive_gives_no_more_than_asked(void **state)
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
    const struct intel_pair *rings = rings_of(core);
    for (unsigned i = 0; i < INTEL_RING; i++)
        assert_int_equal(rings->receive.frame[i]->owner, FRAME_OF_RECEIVE_RING);
    test_stop(core);
}

static void e1000_18_more_than_the_ring_holds_is_missed(void **state)
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

static void e1000_19_short_frames_are_padded(void **state)
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

static void e1000_20_no_frame_left(void **state)
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

static void e1000_21_late_receive_write_back(void **state)
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
static void e1000_22_late_transmit_write_back(void **state)
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

static void e1000_23_stop_gives_frames_back(void **state)
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

static void e1000_24_link_flap(void **state)
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

static void e1000_25_length_lies(void **state)
{
    (void)state;
    expect_unusable(0xffff, 0);
    expect_unusable(0x0801, 0);
}

static void e1000_26_missing_end(void **state)
{
    (void)state;
    expect_unusable(0, 1ull << 33);
}

static void e1000_27_error_bits(void **state)
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
static void e1000_28_garbage_in_the_rings(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (unsigned round = 0; round < 50; round++) {
        struct core *core = start();
        struct intel_pair *rings = rings_of(core);
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
            intel_transmit_reclaim(&core->frames, &rings->transmit);
        }
        test_stop(core);
    }
}

static void e1000_29_pulled_out(void **state)
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
    assert_false(events_pending(&core->events)); /* or the loop would never sleep again */
    e1000_driver.interrupts(&core->nic[0], false);
    test_stop(core);
}

static void e1000_30_pulled_out_before_probe(void **state)
{
    (void)state;
    struct e1000_model *gone = powered(0x10d3);
    gone->fault.gone = true;
    struct core *core = probe(gone);
    assert_false(nic_present(&core->nic[0]));
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(e1000_15_ten_thousand_frames),
        cmocka_unit_test(e1000_16_a_batch_rings_one_doorbell),
        cmocka_unit_test(e1000_17_receive_gives_no_more_than_asked),
        cmocka_unit_test(e1000_18_more_than_the_ring_holds_is_missed),
        cmocka_unit_test(e1000_19_short_frames_are_padded),
        cmocka_unit_test(e1000_20_no_frame_left),
        cmocka_unit_test(e1000_21_late_receive_write_back),
        cmocka_unit_test(e1000_22_late_transmit_write_back),
        cmocka_unit_test(e1000_23_stop_gives_frames_back),
        cmocka_unit_test(e1000_24_link_flap),
        cmocka_unit_test(e1000_25_length_lies),
        cmocka_unit_test(e1000_26_missing_end),
        cmocka_unit_test(e1000_27_error_bits),
        cmocka_unit_test(e1000_28_garbage_in_the_rings),
        cmocka_unit_test(e1000_29_pulled_out),
        cmocka_unit_test(e1000_30_pulled_out_before_probe),
    };
    return cmocka_run_group_tests_name("e1000 frames", tests, NULL, NULL);
}
