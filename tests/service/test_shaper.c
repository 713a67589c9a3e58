/* shaper: rates and buckets against their definition, and who goes first. */
#include "tests/service/shaping.h"

/* A source that always has frames waiting in a class, and what arrived of it. */
struct source {
    uint16_t port, flow;
    unsigned length, waiting, want; /* how many wait, and are to wait */
    uint64_t bytes, frames;
};

static struct source *source_of(struct source *source, unsigned count,
                                const struct sim_wire_frame *frame)
{
    for (unsigned i = 0; i < count; i++)
        if (source[i].port == shaping_port(frame) && source[i].flow == shaping_flow(frame))
            return &source[i];
    return NULL;
}

static void take(struct core *core, struct source *source, unsigned count, struct bucket *bucket)
{
    const struct sim_wire_frame *frame;
    while ((frame = sim_sent(core, 0))) {
        struct source *from = source_of(source, count, frame);
        if (bucket)
            bucket_check(bucket, frame->length);
        if (!from)
            continue;
        from->bytes += frame->length;
        from->frames++;
        from->waiting--;
    }
}

/* Keeps the sources' frames waiting for so long; the bucket, if any, checks what leaves. */
static void flood(struct core *core, struct source *source, unsigned count, uint64_t for_ns,
                  struct bucket *bucket)
{
    uint64_t end_ns = sim_now_ns + for_ns;
    for (unsigned i = 0; i < count; i++)
        source[i].bytes = source[i].frames = 0;
    while (sim_now_ns < end_ns) {
        for (unsigned i = 0; i < count; i++)
            while (source[i].waiting < source[i].want) {
                shaping_send(core, 0, source[i].port, source[i].flow, source[i].length);
                source[i].waiting++;
                take(core, source, count, bucket);
            }
        sim_step(core, end_ns);
        take(core, source, count, bucket);
    }
}

/* Within half a percent. */
static void assert_rate(uint64_t bytes, uint64_t over_ns, uint64_t rate_bps)
{
    double measured = (double)bytes * 8e9 / (double)over_ns, wanted = (double)rate_bps;
    if (measured < wanted * 0.995 || measured > wanted * 1.005)
        print_error("%.0f bit/s instead of %.0f\n", measured, wanted);
    assert_true(measured >= wanted * 0.995 && measured <= wanted * 1.005);
}

/* Floods a class of one rate with frames of one length, and checks rate and bursts. */
static void check_rate(uint64_t rate_bps, uint32_t burst_bytes, unsigned length, uint64_t for_ns)
{
    table_begin();
    table_class("only", NO_PARENT, rate_bps, rate_bps)->burst_bytes = burst_bytes;
    table_match(0, 0);
    struct core *core = shaping_start(1);
    struct source source = {.port = 9, .flow = 1, .length = length, .want = 200};
    struct bucket bucket = {.rate_bps = rate_bps, .burst_bytes = burst_bytes};
    bucket.at_ns = sim_now_ns;
    flood(core, &source, 1, for_ns / 10 + burst_bytes * 8 * SECOND_NS / rate_bps, &bucket);
    flood(core, &source, 1, for_ns, &bucket);
    assert_rate(source.bytes, for_ns, rate_bps);
    assert_int_equal(sim_drops(core), 0);
    test_stop(core);
}

static void shaper_01_rates_are_exact(void **state)
{
    (void)state;
    check_rate(64000, 4096, FULL, 1200 * SECOND_NS);
    check_rate(64000, 2049, 60, 60 * SECOND_NS);
    check_rate(1000000, 4096, FULL, 60 * SECOND_NS);
    check_rate(1000000, 15000, 333, 20 * SECOND_NS);
    check_rate(100000000, 20000, FULL, 2 * SECOND_NS);
    check_rate(100000000, 2174, 60, SECOND_NS / 10);
    check_rate(1000000000, 125000, FULL, SECOND_NS / 4);
    check_rate(1000000000, 3299, FULL, SECOND_NS / 4);
    check_rate(10000000000, 1250000, FULL, SECOND_NS / 20);
    check_rate(10000000000, 14549, FULL, SECOND_NS / 20);
    check_rate(10000000000, 14549, 60, SECOND_NS / 200);
}

static void shaper_02_an_idle_class_bursts_its_bucket_and_no_more(void **state)
{
    (void)state;
    table_begin();
    table_class("only", NO_PARENT, 1000000, 1000000)->burst_bytes = 20000;
    table_match(0, 9);
    struct core *core = shaping_start(1);
    struct source source = {.port = 9, .flow = 1, .length = 1000};
    struct bucket bucket = {.rate_bps = 1000000, .burst_bytes = 20000};
    for (unsigned i = 0; i < 5; i++) {
        for (; source.waiting < 30; source.waiting++)
            shaping_send(core, 0, 9, 1, 1000);
        source.frames = 0;
        take(core, &source, 1, &bucket);
        assert_int_equal(source.frames, 18); /* 20,000 bytes, until less than 2,048 are left */
        flood(core, &source, 1, 3 * SECOND_NS, &bucket);
        assert_int_equal(source.waiting, 0);
    }
    test_stop(core);
}

static void shaper_03_borrows_up_to_the_ceiling(void **state)
{
    (void)state;
    table_begin();
    table_class("link", NO_PARENT, 10000000, 10000000);
    table_class("one", 0, 2000000, 6000000);
    table_class("two", 0, 3000000, 10000000);
    table_match(1, 1);
    table_match(2, 2);
    struct core *core = shaping_start(1);
    struct source source[] = {{.port = 1, .flow = 1, .length = FULL, .want = 50},
                              {.port = 2, .flow = 1, .length = 700, .want = 50}};
    struct bucket bucket = {.rate_bps = 10000000, .burst_bytes = table.class[0].burst_bytes};
    bucket.at_ns = sim_now_ns;
    /* Alone: up to its ceiling, not the link's. */
    flood(core, source, 1, 2 * SECOND_NS, &bucket);
    flood(core, source, 1, 10 * SECOND_NS, &bucket);
    assert_rate(source[0].bytes, 10 * SECOND_NS, 6000000);
    /* Together: each its rate, and the five that are left in turns of a quantum. */
    flood(core, source, 2, 2 * SECOND_NS, &bucket);
    flood(core, source, 2, 20 * SECOND_NS, &bucket);
    assert_rate(source[0].bytes + source[1].bytes, 20 * SECOND_NS, 10000000);
    double one = (double)source[0].bytes * 8 / 20, two = (double)source[1].bytes * 8 / 20;
    assert_true(one > 2000000 * 0.995 && one < 6000000 * 1.005);
    assert_true(two > 3000000 * 0.995);
    assert_true(one > 4500000 * 0.9 && one < 4500000 * 1.1);
    test_stop(core);
}

static void shaper_04_rates_are_kept_against_higher_priorities(void **state)
{
    (void)state;
    table_begin();
    table_class("link", NO_PARENT, 10000000, 10000000);
    table_class("first", 0, 1000000, 10000000)->priority = 0;
    table_class("second", 0, 4000000, 10000000)->priority = 1;
    table_match(1, 1);
    table_match(2, 2);
    struct core *core = shaping_start(1);
    struct source source[] = {{.port = 1, .flow = 1, .length = 200, .want = 100},
                              {.port = 2, .flow = 1, .length = FULL, .want = 50}};
    flood(core, source, 2, 2 * SECOND_NS, NULL);
    flood(core, source, 2, 20 * SECOND_NS, NULL);
    /* All that is lent goes to the first. */
    assert_rate(source[0].bytes, 20 * SECOND_NS, 6000000);
    assert_rate(source[1].bytes, 20 * SECOND_NS, 4000000);
    test_stop(core);
}

static void shaper_05_a_higher_priority_waits_for_one_frame_at_most(void **state)
{
    (void)state;
    table_begin();
    table_class("link", NO_PARENT, 1000000, 1000000)->burst_bytes = 4096;
    table_class("bulk", 0, 500000, 1000000)->priority = 7;
    table_class("voice", 0, 100000, 1000000)->priority = 0;
    table_match(1, 1);
    table_match(2, 2);
    struct core *core = shaping_start(1);
    struct source bulk = {.port = 1, .flow = 1, .length = FULL, .want = 60};
    flood(core, &bulk, 1, 2 * SECOND_NS, NULL);
    for (unsigned i = 0; i < 50; i++) {
        uint64_t sent_ns = sim_now_ns;
        const struct sim_wire_frame *frame = NULL;
        shaping_send(core, 0, 2, 1, 200);
        for (bool came = false; !came; sim_step(core, UINT64_MAX))
            while ((frame = sim_sent(core, 0))) {
                came |= shaping_port(frame) == 2;
                bulk.waiting -= shaping_port(frame) == 1;
            }
        /* The time of the 2,048 bytes that the link's bucket must hold. */
        assert_true(sim_now_ns - sent_ns < 2048 * 8000 + MS_NS);
        flood(core, &bulk, 1, 37 * MS_NS, NULL);
    }
    test_stop(core);
}

static void shaper_06_lending_begins_with_the_nearest(void **state)
{
    (void)state;
    table_begin();
    table_class("link", NO_PARENT, 8000000, 8000000);
    table_class("house", 0, 4000000, 8000000);
    table_class("garden", 0, 4000000, 8000000);
    table_class("kitchen", 1, 1000000, 8000000)->priority = 7;
    table_class("bath", 2, 1000000, 8000000)->priority = 0;
    table_class("hall", 2, 1000000, 8000000)->priority = 3;
    table_match(3, 1);
    table_match(4, 2);
    table_match(5, 3);
    struct core *core = shaping_start(1);
    struct source source[] = {{.port = 1, .flow = 1, .length = FULL, .want = 50},
                              {.port = 2, .flow = 1, .length = FULL, .want = 50},
                              {.port = 3, .flow = 1, .length = FULL, .want = 50}};
    struct bucket bucket = {.rate_bps = 8000000, .burst_bytes = table.class[0].burst_bytes};
    bucket.at_ns = sim_now_ns;
    flood(core, source, 3, 2 * SECOND_NS, &bucket);
    flood(core, source, 3, 20 * SECOND_NS, &bucket);
    /* The house's 4 Mb/s are the kitchen's, though bath has the better priority. */
    assert_rate(source[0].bytes, 20 * SECOND_NS, 4000000);
    assert_rate(source[1].bytes, 20 * SECOND_NS, 3000000);
    assert_rate(source[2].bytes, 20 * SECOND_NS, 1000000);
    flood(core, source + 1, 2, SECOND_NS, &bucket); /* the kitchen sleeps */
    flood(core, source + 1, 2, 20 * SECOND_NS, &bucket);
    assert_rate(source[1].bytes, 20 * SECOND_NS, 7000000);
    assert_rate(source[2].bytes, 20 * SECOND_NS, 1000000);
    test_stop(core);
}

static void shaper_07_flows_share_a_class_by_bytes(void **state)
{
    (void)state;
    table_begin();
    table_class("only", NO_PARENT, 5000000, 5000000);
    table_match(0, 0);
    struct core *core = shaping_start(1);
    struct source source[] = {{.port = 1, .flow = 1, .length = FULL, .want = 400},
                              {.port = 1, .flow = 2, .length = 100, .want = 100},
                              {.port = 1, .flow = 3, .length = 600, .want = 20}};
    flood(core, source, 3, 5 * SECOND_NS, NULL);
    flood(core, source, 3, 30 * SECOND_NS, NULL);
    for (unsigned i = 0; i < 3; i++)
        assert_rate(source[i].bytes, 10 * SECOND_NS, 5000000);
    test_stop(core);
}

/* Classes of one priority share what is lent by bytes as well. */
static void shaper_08_classes_take_turns_by_their_quantum(void **state)
{
    (void)state;
    table_begin();
    table_class("link", NO_PARENT, 9000000, 9000000);
    table_class("one", 0, 8000, 9000000)->quantum = 3000;
    table_class("two", 0, 8000, 9000000)->quantum = 6000;
    table.class[1].burst_bytes = table.class[2].burst_bytes = 14000;
    table_match(1, 1);
    table_match(2, 2);
    struct core *core = shaping_start(1);
    struct source source[] = {{.port = 1, .flow = 1, .length = FULL, .want = 50},
                              {.port = 2, .flow = 1, .length = 100, .want = 300}};
    flood(core, source, 2, 20 * SECOND_NS, NULL);
    flood(core, source, 2, 30 * SECOND_NS, NULL);
    assert_rate(source[0].bytes, 30 * SECOND_NS, 3000000);
    assert_rate(source[1].bytes, 30 * SECOND_NS, 6000000);
    test_stop(core);
}

static void shaper_09_an_unshaped_frame_passes(void **state)
{
    (void)state;
    table_begin();
    table_class("slow", NO_PARENT, 8000, 8000)->burst_bytes = 2058;
    table_match(0, 9);
    struct core *core = shaping_start(2);
    for (unsigned i = 0; i < 100; i++) {
        shaping_send(core, 0, 9, 1, FULL);
        shaping_send(core, 0, 8, 1, FULL);
        shaping_send(core, 1, 9, 1, FULL); /* the class is of nic0 */
    }
    unsigned sent[2] = {0};
    const struct sim_wire_frame *frame;
    while ((frame = sim_sent(core, 0)))
        sent[shaping_port(frame) == 8]++;
    assert_int_equal(sent[0], 1);
    assert_int_equal(sent[1], 100);
    for (unsigned i = 0; i < 100; i++)
        assert_non_null(sim_sent(core, 1));
    assert_int_equal(sim_counter(core, "shaper.passed"), 1);
    assert_int_equal(sim_counter(core, "shaper.held"), 99);
    assert_int_equal(sim_counter(core, "shaper.delayed"), 0);
    test_stop(core);
}

/* One tree's flood takes nothing from another's, on the same nic or not. */
static void shaper_10_trees_do_not_know_each_other(void **state)
{
    (void)state;
    table_begin();
    table_class("fast", NO_PARENT, 2000000000, 2000000000);
    table_class("slow", NO_PARENT, 1000000, 1000000)->priority = 7;
    table_class("other", NO_PARENT, 1000000, 1000000)->nic = 1;
    table_match(0, 1);
    table_match(1, 2);
    table_match(2, 2);
    struct core *core = shaping_start(2);
    struct source source[] = {{.port = 1, .flow = 1, .length = FULL, .want = 600},
                              {.port = 2, .flow = 1, .length = 500, .want = 20}};
    flood(core, source, 2, SECOND_NS / 5, NULL);
    for (unsigned i = 0; i < 100; i++)
        shaping_send(core, 1, 2, 1, 500);
    while (sim_sent(core, 1))
        ;
    flood(core, source, 2, SECOND_NS / 5, NULL);
    assert_rate(source[0].bytes, SECOND_NS / 5, 2000000000);
    assert_true(source[1].bytes >= 25000 - 500 && source[1].bytes <= 25000 + 500);
    unsigned other = 0;
    while (sim_sent(core, 1))
        other++;
    assert_true(other >= 49 && other <= 51);
    test_stop(core);
}

/* Filters see a frame once, though it is held between two of them and the nic. */
static void shaper_11_what_was_held_goes_past_the_filters(void **state)
{
    (void)state;
    table_begin();
    table_class("slow", NO_PARENT, 1000000, 1000000)->burst_bytes = 2058;
    table_match(0, 0);
    struct core *core = shaping_start(1);
    for (unsigned i = 0; i < 50; i++)
        shaping_send(core, 0, 9, 1, 1000);
    sim_advance_us(core, 1000000);
    unsigned sent = 0;
    for (const struct sim_wire_frame *frame; (frame = sim_sent(core, 0)); sent++)
        assert_int_equal(frame->length, 1000);
    assert_int_equal(sent, 50);
    assert_int_equal(sim_counter(core, "shaper.frames"), 50);
    assert_int_equal(sim_counter(core, "shaper.delayed"), 49);
    test_stop(core);
}

/* What a class shows of itself. */
static void shaper_12_shows_its_classes(void **state)
{
    (void)state;
    table_begin();
    table_class("link", NO_PARENT, 1000000, 1000000)->burst_bytes = 4096;
    table_class("only", 0, 1000000, 1000000)->burst_bytes = 4096;
    table_match(1, 0);
    struct core *core = shaping_start(1);
    assert_string_equal(shaping_line(core, "link"),
                        "link sent 0 queued 0/0 dropped 0 rate 0 kbit/s");
    for (unsigned i = 0; i < 10; i++)
        shaping_send(core, 0, 9, 1, 1000);
    assert_string_equal(shaping_line(core, "only"),
                        "only sent 3 queued 7/7000 dropped 0 rate 0 kbit/s");
    struct source source = {.port = 9, .flow = 1, .length = 1000, .want = 20, .waiting = 10};
    flood(core, &source, 1, 4 * SECOND_NS, NULL);
    unsigned rate = 0;
    assert_int_equal(sscanf(strstr(shaping_line(core, "link"), "rate"), "rate %u", &rate), 1);
    assert_true(rate >= 990 && rate <= 1010);
    sim_advance_us(core, 30 * 1000000);
    flood(core, &source, 0, 1, NULL);
    assert_non_null(strstr(shaping_line(core, "only"), "queued 0/0 dropped 0"));
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shaper_01_rates_are_exact),
        cmocka_unit_test(shaper_02_an_idle_class_bursts_its_bucket_and_no_more),
        cmocka_unit_test(shaper_03_borrows_up_to_the_ceiling),
        cmocka_unit_test(shaper_04_rates_are_kept_against_higher_priorities),
        cmocka_unit_test(shaper_05_a_higher_priority_waits_for_one_frame_at_most),
        cmocka_unit_test(shaper_06_lending_begins_with_the_nearest),
        cmocka_unit_test(shaper_07_flows_share_a_class_by_bytes),
        cmocka_unit_test(shaper_08_classes_take_turns_by_their_quantum),
        cmocka_unit_test(shaper_09_an_unshaped_frame_passes),
        cmocka_unit_test(shaper_10_trees_do_not_know_each_other),
        cmocka_unit_test(shaper_11_what_was_held_goes_past_the_filters),
        cmocka_unit_test(shaper_12_shows_its_classes),
    };
    return cmocka_run_group_tests_name("shaper", tests, NULL, NULL);
}
