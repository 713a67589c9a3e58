/* shaper: tables that follow tables while frames wait. */
#include "tests/service/shaping.h"

static void three(void)
{
    table_begin();
    table_class("top", NO_PARENT, 1000000, 1000000);
    table_class("keep", 0, 500000, 1000000);
    table_class("go", 0, 500000, 1000000);
    table_class("there", NO_PARENT, 1000000, 1000000)->nic = 1;
    for (unsigned i = 0; i < 4; i++)
        table.class[i].burst_bytes = 4096;
    table_match(1, 1);
    table_match(2, 2);
    table_match(3, 0);
}

static void fill(struct core *core)
{
    for (uint16_t i = 0; i < 100; i++) {
        shaping_send(core, 0, 1, i % 5, 1000);
        shaping_send(core, 0, 2, i % 5, 1000);
        shaping_send(core, 1, 3, i % 5, 1000);
    }
    shaping_sent(core, 0);
    shaping_sent(core, 1);
}

static void shaper_60_swap_keeps_what_waits(void **state)
{
    (void)state;
    three();
    struct core *core = shaping_start(2);
    fill(core);
    uint64_t keep = shaping_number(core, "keep", "queued"),
             go = shaping_number(core, "go", "queued");
    uint64_t there = shaping_number(core, "there", "queued");
    /* "keep" has another place and rate, "go" is gone, "there" has become another's parent. */
    table_begin();
    table_class("keep", NO_PARENT, 2000000, 2000000)->burst_bytes = 8192;
    table_class("there", NO_PARENT, 1000000, 1000000)->nic = 1;
    table_class("below", 1, 1000000, 1000000)->nic = 1;
    table_match(0, 1);
    assert_int_equal(table_load(core), 0);
    sim_run(core);
    assert_true(shaping_number(core, "keep", "queued") >= keep - 1); /* no fresh bucket */
    assert_int_equal(shaping_number(core, "there", "queued"), 0);
    assert_string_equal(shaping_line(core, "go"), "");
    sim_advance_us(core, 100);
    unsigned unshaped = 0, shaped = 0;
    for (const struct sim_wire_frame *frame; (frame = sim_sent(core, 0));)
        *(shaping_port(frame) == 2 ? &unshaped : &shaped) += 1;
    assert_int_equal(unshaped, go);
    assert_int_equal(shaping_sent(core, 1), there);
    assert_true(shaped <= 1);
    sim_advance_us(core, 100000);
    shaped += shaping_sent(core, 0);
    assert_true(shaped >= 24 && shaped <= 26); /* of the new rate */
    sim_advance_us(core, 1000000);
    assert_int_equal(shaped + shaping_sent(core, 0), keep);
    assert_int_equal(sim_counter(core, "shaper.held"), 0);
    assert_int_equal(sim_drops(core), 0);
    test_stop(core);
}

/* Frames of a flow do not overtake those that go out unshaped. */
static void shaper_61_loose_frames_stay_in_order(void **state)
{
    (void)state;
    three();
    struct core *core = shaping_start(2);
    for (uint16_t i = 0; i < 400; i++)
        shaping_send(core, 0, 2, 1, (unsigned)(100 + i));
    shaping_sent(core, 0);
    table_begin();
    struct service_self *self = chain_find(core, "shaper");
    int load = chain_service_load(self, table.bytes, table_pack());
    assert_true(load > 0);
    assert_int_equal(chain_service_swap(self, (uint64_t)load), 0);
    unsigned last = 0;
    for (unsigned i = 0; i < 20; i++) {
        shaping_send(core, 0, 2, 1, 500 + i);
        for (const struct sim_wire_frame *frame; (frame = sim_sent(core, 0));) {
            assert_true(frame->length > last);
            last = frame->length;
        }
        sim_advance_us(core, 1);
    }
    assert_int_equal(last, 519);
    assert_int_equal(sim_drops(core), 0);
    test_stop(core);
}

static void shaper_62_swap_and_back(void **state)
{
    (void)state;
    three();
    struct core *core = shaping_start(2);
    struct service_self *self = chain_find(core, "shaper");
    fill(core);
    uint64_t keep = shaping_number(core, "keep", "queued"),
             before = shaping_number(core, "keep", "sent");
    three();
    table.class[2].rate_bps = 8000;
    assert_int_equal(table_load(core), 0);
    chain_service_swap_back(self);
    assert_int_equal(shaping_number(core, "keep", "queued"), keep);
    assert_int_equal(shaping_number(core, "keep", "sent"), before);
    /* Nothing, and back: the classes are there again, as new. */
    table_begin();
    assert_int_equal(table_load(core), 0);
    sim_advance_us(core, 1000);
    assert_int_equal(sim_counter(core, "shaper.held"), 0);
    chain_service_swap_back(self);
    assert_int_equal(shaping_number(core, "keep", "sent"), 0);
    fill(core);
    assert_true(shaping_number(core, "keep", "queued") > 90);
    sim_advance_us(core, 10000000);
    assert_int_equal(shaping_number(core, "keep", "sent"), 100);
    assert_int_equal(sim_drops(core), 0);
    test_stop(core);
}

/* Reloading over and over neither loses frames nor lets more of them go. */
static void shaper_63_reloads_under_load(void **state)
{
    (void)state;
    three();
    struct core *core = shaping_start(2);
    struct bucket bucket = {.rate_bps = 1000000, .burst_bytes = 4096};
    uint64_t in = 0, out = 0;
    bucket.at_ns = sim_now_ns;
    for (unsigned i = 0; i < 2000; i++) {
        three();
        table.class[1].priority = i & 7;
        table.class[1].rate_bps = 8000 + i * 100;
        table.class[2].quantum = 300 + i;
        assert_int_equal(table_load(core), 0);
        shaping_send(core, 0, 1 + i % 2, (uint16_t)(i % 7), 60 + i % 900);
        in++;
        for (uint64_t end_ns = sim_now_ns + 4 * MS_NS; sim_now_ns < end_ns;) {
            sim_step(core, end_ns);
            for (const struct sim_wire_frame *frame; (frame = sim_sent(core, 0)); out++)
                bucket_check(&bucket, frame->length);
        }
    }
    assert_true(sim_counter(core, "shaper.held") > 0);
    assert_int_equal(out + sim_counter(core, "shaper.held"), in);
    assert_int_equal(shaping_number(core, "top", "sent"), out);
    assert_int_equal(sim_drops(core), 0);
    test_stop(core);
}

static void shaper_64_loads_while_it_is_stopped(void **state)
{
    (void)state;
    struct core *core = sim_start(2, "");
    three();
    assert_int_equal(table_load(core), 0);
    fill(core);
    assert_int_equal(chain_service_start(core, chain_find(core, "shaper")), 0);
    fill(core);
    assert_true(shaping_number(core, "keep", "queued") > 90);
    chain_service_stop(core, chain_find(core, "shaper"));
    table_begin();
    assert_int_equal(table_load(core), 0);
    fill(core);
    assert_int_equal(sim_counter(core, "shaper.held"), 0);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shaper_60_swap_keeps_what_waits),
        cmocka_unit_test(shaper_61_loose_frames_stay_in_order),
        cmocka_unit_test(shaper_62_swap_and_back),
        cmocka_unit_test(shaper_63_reloads_under_load),
        cmocka_unit_test(shaper_64_loads_while_it_is_stopped),
    };
    return cmocka_run_group_tests_name("shaper_swap", tests, NULL, NULL);
}
