/* shaper: what waits in its classes, for how long, and what becomes of it. */
#include "services/shaper/shaper.h"
#include "tests/service/shaping.h"

/* One class for everything, with a bucket of four frames. */
static struct piglet_shaper_class *only(uint64_t rate_bps)
{
    table_begin();
    table_match(0, 0);
    struct piglet_shaper_class *class = table_class("only", NO_PARENT, rate_bps, rate_bps);
    class->burst_bytes = 4 * PIGLET_SHAPER_FRAME_MAX;
    return class;
}

/* Fills the bucket's frames away, so that what comes next waits. */
static void empty_bucket(struct core *core, uint16_t port)
{
    uint64_t held = sim_counter(core, "shaper.held");
    for (unsigned i = 0; i < 1000 && sim_counter(core, "shaper.held") == held; i++)
        shaping_send(core, 0, port, 999, 200);
    assert_int_equal(sim_counter(core, "shaper.held"), held + 1);
    shaping_sent(core, 0);
}

static void shaper_20_inverse_square_roots(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= UINT32_MAX; n += n / 1000 + 1) {
        unsigned __int128 x = shaper_inverse_sqrt((uint32_t)n), one = x * x * n >> 31;
        assert_true(one <= 1ull << 31);
        /* Within 2^-15 even where only 15 bits of the result are left. */
        assert_true(one >= (1ull << 31) - (1 << 17));
    }
    assert_true(shaper_inverse_sqrt(1) >= (1ull << 31) - 2);
    assert_true(shaper_inverse_sqrt(4) >= (1ull << 30) - 2);
}

/* Sends a frame of 1,000 bytes every `every_ns`, whatever becomes of them. */
static void stream(struct core *core, uint64_t every_ns, uint64_t for_ns)
{
    uint64_t next_ns = sim_now_ns, end_ns = sim_now_ns + for_ns;
    while (sim_now_ns < end_ns) {
        if (sim_now_ns >= next_ns) {
            shaping_send(core, 0, 9, 1, 1000);
            next_ns += every_ns;
        }
        shaping_sent(core, 0);
        sim_step(core, next_ns < end_ns ? next_ns : end_ns);
    }
}

/* A sender that minds losses as TCP does: its window grows by a frame a round trip, and is halved
 * for a gap in what arrives. */
struct sender {
    double window;
    unsigned flying;
    uint32_t next, expected; /* numbers of frames */
    uint64_t halved_ns;
    unsigned first, count;
    struct {
        uint64_t at_ns;
        unsigned lost;
    } ack[1024];
};

enum { ROUND_TRIP_NS = 20000000, SENDER_FRAME = 1000, SENDER_NUMBER_AT = 60 };

static void sender_acks(struct sender *sender)
{
    while (sender->count && sender->ack[sender->first].at_ns <= sim_now_ns) {
        unsigned lost = sender->ack[sender->first].lost;
        sender->flying -= 1 + lost;
        if (lost && sim_now_ns - sender->halved_ns > ROUND_TRIP_NS) {
            sender->window = sender->window > 4 ? sender->window / 2 : 2;
            sender->halved_ns = sim_now_ns;
        } else if (!lost) {
            sender->window += 1 / sender->window;
        }
        sender->first = (sender->first + 1) % COUNT_OF(sender->ack);
        sender->count--;
    }
}

static void sender_sends(struct core *core, struct sender *sender)
{
    while (sender->flying + 1 <= sender->window) {
        struct packet packet = packet_udp_to(US, 1, PEER, 9, SENDER_FRAME - 42);
        memcpy(packet.data + 42, &sim_now_ns, sizeof sim_now_ns);
        memcpy(packet.data + SENDER_NUMBER_AT, &sender->next, sizeof sender->next);
        shaping_send_packet(core, 0, &packet);
        sender->next++;
        sender->flying++;
    }
}

static void sender_receives(struct sender *sender, const struct sim_wire_frame *frame)
{
    uint32_t number;
    unsigned place = (sender->first + sender->count++) % COUNT_OF(sender->ack);
    assert_true(sender->count <= COUNT_OF(sender->ack));
    memcpy(&number, frame->data + SENDER_NUMBER_AT, sizeof number);
    sender->ack[place].at_ns = sim_now_ns + ROUND_TRIP_NS;
    sender->ack[place].lost = number - sender->expected;
    sender->expected = number + 1;
}

/* Lets it send for so long. Returns how many arrived, and their mean delay. */
static unsigned sender_runs(struct core *core, struct sender *sender, uint64_t for_ns,
                            uint64_t *mean_ns)
{
    uint64_t end_ns = sim_now_ns + for_ns, sum_ns = 0;
    unsigned count = 0;
    while (sim_now_ns < end_ns) {
        sender_acks(sender);
        sender_sends(core, sender);
        for (const struct sim_wire_frame *frame; (frame = sim_sent(core, 0)); count++) {
            sum_ns += shaping_delay_ns(frame);
            sender_receives(sender, frame);
        }
        uint64_t next_ns = sender->count ? sender->ack[sender->first].at_ns : end_ns;
        sim_step(core, next_ns < end_ns ? next_ns : end_ns);
    }
    *mean_ns = sum_ns / count;
    return count;
}

static void shaper_21_codel_keeps_the_delay_at_its_target(void **state)
{
    (void)state;
    uint64_t mean_ns;
    static struct sender sender;
    sender = (struct sender){.window = 10};
    only(10000000)->limit_frames = 200;
    struct core *core = shaping_start(1);
    sender_runs(core, &sender, 20 * SECOND_NS, &mean_ns);
    sender_runs(core, &sender, 20 * SECOND_NS, &mean_ns);
    assert_true(mean_ns > 80 * MS_NS); /* it fills what there is: 200 frames of 0.8 ms */
    assert_int_equal(sim_counter(core, "drop.shaper-codel"), 0);
    assert_true(sim_counter(core, "drop.shaper-limit") > 0);
    test_stop(core);

    sender = (struct sender){.window = 10};
    struct piglet_shaper_class *class = only(10000000);
    class->target_us = 5000;
    class->interval_us = 100000;
    core = shaping_start(1);
    sender_runs(core, &sender, 10 * SECOND_NS, &mean_ns);
    unsigned count = sender_runs(core, &sender, 20 * SECOND_NS, &mean_ns);
    assert_true(mean_ns < 5 * MS_NS * 3 / 2);
    assert_true(count > 25000 * 0.9); /* and the link is used */
    assert_int_equal(sim_counter(core, "drop.shaper-limit"), 0);
    assert_true(sim_counter(core, "drop.shaper-codel") > 0);
    test_stop(core);
}

/* RFC 8289 5: drop n comes 1/sqrt(n) of the interval behind the one before it, so that after a
 * time of t intervals there were (t/2)^2. */
static void shaper_22_codel_drops_by_its_law(void **state)
{
    (void)state;
    struct piglet_shaper_class *class = only(10000000);
    class->target_us = 5000;
    class->interval_us = 100000;
    struct core *core = shaping_start(1);
    /* Twice the rate: at 1,250 frames a second too many, it never catches up in this time. */
    stream(core, 400000, 110 * MS_NS);
    assert_int_equal(sim_counter(core, "drop.shaper-codel"), 0);
    stream(core, 400000, 10 * MS_NS);
    assert_int_equal(sim_counter(core, "drop.shaper-codel"), 1);
    stream(core, 400000, 88 * MS_NS);
    assert_int_equal(sim_counter(core, "drop.shaper-codel"), 1);
    stream(core, 400000, 10 * MS_NS);
    assert_int_equal(sim_counter(core, "drop.shaper-codel"), 2);
    stream(core, 400000, 5 * SECOND_NS - 218 * MS_NS);
    uint64_t drops = sim_counter(core, "drop.shaper-codel");
    assert_true(drops > 620 * 0.9 && drops < 620 * 1.1);
    test_stop(core);
}

/* CoDel is the flow's own matter: one that keeps below its share loses nothing and waits little. */
static void shaper_23_a_sparse_flow_is_not_delayed_by_a_flood(void **state)
{
    (void)state;
    struct piglet_shaper_class *class = only(2000000);
    class->target_us = 5000;
    class->interval_us = 100000;
    struct core *core = shaping_start(1);
    unsigned came = 0;
    for (unsigned i = 0; i < 500; i++) {
        for (unsigned n = 0; n < 10; n++)
            shaping_send(core, 0, 9, 1, FULL); /* 12 Mb/s */
        shaping_send(core, 0, 9, 2, 200);
        for (uint64_t end_ns = sim_now_ns + 10 * MS_NS; sim_now_ns < end_ns;) {
            sim_step(core, end_ns);
            for (const struct sim_wire_frame *frame; (frame = sim_sent(core, 0));) {
                if (shaping_flow(frame) != 2)
                    continue;
                came++;
                assert_true(shaping_delay_ns(frame) <
                            2 * FULL * 4000 + MS_NS); /* two frames' time */
            }
        }
    }
    assert_true(came >= 499);
    test_stop(core);
}

static void shaper_24_limits(void **state)
{
    (void)state;
    only(8000)->limit_frames = 10;
    struct core *core = shaping_start(1);
    empty_bucket(core, 9);
    for (unsigned i = 0; i < 30; i++)
        shaping_send(core, 0, 9, 1, 500);
    assert_int_equal(sim_counter(core, "shaper.held"), 10);
    assert_int_equal(sim_counter(core, "drop.shaper-limit"), 21);
    test_stop(core);

    only(8000)->limit_bytes = 5000;
    core = shaping_start(1);
    empty_bucket(core, 9);
    for (unsigned i = 0; i < 30; i++)
        shaping_send(core, 0, 9, 1, 500);
    assert_int_equal(sim_counter(core, "shaper.held"), 10);
    /* A long frame takes the place of three. */
    shaping_send(core, 0, 9, 1, 1500);
    assert_int_equal(sim_counter(core, "shaper.held"), 8);
    assert_int_equal(sim_counter(core, "drop.shaper-limit"), 21 + 3);
    test_stop(core);
}

/* The one who fills the queue pays, from the head on. */
static void shaper_25_the_longest_flow_loses(void **state)
{
    (void)state;
    only(1000000)->limit_frames = 20;
    struct core *core = shaping_start(1);
    empty_bucket(core, 9);
    for (unsigned i = 0; i < 200; i++) {
        shaping_send(core, 0, 9, 1, 700);
        if (i % 50 == 0)
            shaping_send(core, 0, 9, 2, 700);
    }
    sim_advance_us(core, 1000000);
    unsigned from[3] = {0};
    for (const struct sim_wire_frame *frame; (frame = sim_sent(core, 0));)
        from[shaping_flow(frame) < 3 ? shaping_flow(frame) : 0]++;
    assert_int_equal(from[2], 4);
    assert_int_equal(from[1] + from[0], 16);
    test_stop(core);
}

/* However many classes wait, a quarter of the frames is all they hold; and who has little waiting
 * still gets in. */
static void shaper_26_holds_a_quarter_of_the_frames(void **state)
{
    (void)state;
    table_begin();
    table_class("one", NO_PARENT, 8000, 8000)->limit_frames = 60000;
    table_class("two", NO_PARENT, 8000, 8000)->limit_frames = 60000;
    table_class("three", NO_PARENT, 8000, 8000)->limit_frames = 60000;
    for (uint16_t i = 0; i < 3; i++)
        table_match(i, (uint16_t)(i + 1));
    struct core *core = shaping_start(1);
    unsigned quarter = core->frames.total / 4;
    empty_bucket(core, 3);
    for (uint16_t i = 0; i < 2 * quarter; i++) {
        shaping_send(core, 0, 1, i % 400, 100);
        shaping_send(core, 0, 2, 1, 100);
        assert_true(core->frames.total - core->frames.free_count <= quarter);
    }
    assert_int_equal(sim_counter(core, "shaper.held"), quarter);
    uint64_t drops = sim_counter(core, "drop.shaper-limit");
    for (unsigned i = 0; i < 10; i++)
        shaping_send(core, 0, 3, 1, 100);
    assert_non_null(strstr(shaping_line(core, "three"), "queued 11/1200 dropped 0"));
    assert_int_equal(sim_counter(core, "shaper.held"), quarter);
    assert_true(sim_counter(core, "drop.shaper-limit") >= drops + 10);
    test_stop(core);
}

static void shaper_27_holds_nothing_more_when_frames_are_scarce(void **state)
{
    (void)state;
    only(8000);
    struct core *core = shaping_start(1);
    static struct frame *taken[FRAMES_MAX];
    unsigned count = 0;
    empty_bucket(core, 9);
    while (core->frames.free_count > core->frames.total / 8)
        taken[count++] = frame_alloc(&core->frames);
    for (unsigned i = 0; i < 50; i++)
        shaping_send(core, 0, 9, 1, 100);
    assert_true(sim_counter(core, "shaper.held") <= 1);
    assert_true(core->frames.free_count >= core->frames.total / 8 - 1);
    while (count)
        frame_free(&core->frames, taken[--count]);
    shaping_sent(core, 0);
    for (unsigned i = 0; i < 50; i++)
        shaping_send(core, 0, 9, 1, 100);
    assert_true(sim_counter(core, "shaper.held") >= 50);
    test_stop(core);
}

/* More flows than have a place of their own: none is lost. */
static void shaper_28_many_flows(void **state)
{
    (void)state;
    only(100000000)->limit_frames = 60000;
    struct core *core = shaping_start(1);
    const struct shaper *shaper = chain_find(core, "shaper")->state;
    bool shared = false;
    for (unsigned round = 0; round < 5; round++) {
        for (uint16_t i = 0; i < 1000; i++)
            shaping_send(core, 0, (uint16_t)(9 + round), i, 100);
        shared |= shaper->memory->queue[0].spill.listed;
        sim_advance_us(core, 1000000);
        assert_int_equal(shaping_sent(core, 0), 1000);
    }
    assert_true(shared); /* some found no place of their own */
    assert_int_equal(sim_counter(core, "shaper.held"), 0);
    assert_int_equal(sim_drops(core), 0);
    test_stop(core);
}

static void shaper_29_frames_of_a_flow_stay_in_order(void **state)
{
    (void)state;
    only(3000000)->limit_frames = 60000;
    struct core *core = shaping_start(1);
    uint64_t last_ns[8] = {0};
    unsigned count = 0;
    for (unsigned i = 0; i < 1500; i++) {
        shaping_send(core, 0, 9, (uint16_t)(i * 7 % 8), 100 + i * 31 % 600);
        sim_advance_us(core, i % 3 * 500);
        for (const struct sim_wire_frame *frame; (frame = sim_sent(core, 0)); count++) {
            uint64_t sent_ns = sim_now_ns - shaping_delay_ns(frame);
            assert_true(sent_ns >= last_ns[shaping_flow(frame)]);
            last_ns[shaping_flow(frame)] = sent_ns;
        }
    }
    sim_advance_us(core, 10000000);
    assert_int_equal(count + shaping_sent(core, 0), 1500);
    test_stop(core);
}

static void shaper_30_stopping_gives_back_what_waits(void **state)
{
    (void)state;
    only(8000);
    struct core *core = shaping_start(1);
    empty_bucket(core, 9);
    for (uint16_t i = 0; i < 100; i++)
        shaping_send(core, 0, 9, i, 100);
    struct service_self *self = chain_find(core, "shaper");
    chain_service_stop(core, self);
    assert_int_equal(sim_counter(core, "drop.service-stopped"), 101);
    assert_int_equal(sim_counter(core, "shaper.held"), 0);
    shaping_sent(core, 0);
    shaping_send(core, 0, 9, 1, 100); /* nobody holds it */
    assert_int_equal(shaping_sent(core, 0), 1);
    assert_int_equal(chain_service_start(core, self), 0);
    sim_advance_us(core, 100 * 1000000);
    assert_int_equal(shaping_sent(core, 0), 0);
    empty_bucket(core, 9);
    sim_advance_us(core, 10 * 1000000);
    assert_int_equal(shaping_sent(core, 0), 1);
    test_stop(core);
}

static void shaper_31_a_link_that_goes_takes_what_waits(void **state)
{
    (void)state;
    table_begin();
    table_class("here", NO_PARENT, 8000, 8000);
    table_class("there", NO_PARENT, 8000, 8000)->nic = 1;
    table_match(0, 0);
    table_match(1, 0);
    struct core *core = shaping_start(2);
    for (uint16_t i = 0; i < 100; i++) {
        shaping_send(core, 0, 9, i, 1000);
        shaping_send(core, 1, 9, i, 1000);
    }
    unsigned here = 100 - shaping_sent(core, 0), there = 100 - shaping_sent(core, 1);
    assert_true(here > 80 && there > 80);
    sim_link(core, 0, false);
    assert_int_equal(sim_counter(core, "drop.nic-down"), here);
    assert_int_equal(sim_counter(core, "shaper.held"), there);
    shaping_send(core, 0, 9, 1, 1000);
    assert_int_equal(sim_counter(core, "drop.nic-down"), here + 1);
    assert_int_equal(sim_counter(core, "shaper.held"), there);
    sim_link(core, 0, true);
    sim_advance_us(core, 10 * 1000000);
    assert_int_equal(shaping_sent(core, 0), 0); /* nothing stale */
    assert_int_equal(shaping_sent(core, 1), 10);
    sim_advance_us(core, 200 * 1000000);
    assert_int_equal(shaping_sent(core, 1), there - 10);
    test_stop(core);
}

/* A nic that takes no frames loses them there, and the shaper goes on. */
static void shaper_32_a_full_ring(void **state)
{
    (void)state;
    only(1000000);
    struct core *core = shaping_start(1);
    for (uint16_t i = 0; i < 100; i++)
        shaping_send(core, 0, 9, i, 1000);
    unsigned at_once = shaping_sent(core, 0);
    sim_wire_full(core, 0, true);
    sim_advance_us(core, 400000);
    sim_wire_full(core, 0, false);
    sim_advance_us(core, 2000000);
    assert_int_equal(at_once + shaping_sent(core, 0) + sim_counter(core, "drop.nic-ring-full"),
                     100);
    assert_true(sim_counter(core, "drop.nic-ring-full") >= 49);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shaper_20_inverse_square_roots),
        cmocka_unit_test(shaper_21_codel_keeps_the_delay_at_its_target),
        cmocka_unit_test(shaper_22_codel_drops_by_its_law),
        cmocka_unit_test(shaper_23_a_sparse_flow_is_not_delayed_by_a_flood),
        cmocka_unit_test(shaper_24_limits),
        cmocka_unit_test(shaper_25_the_longest_flow_loses),
        cmocka_unit_test(shaper_26_holds_a_quarter_of_the_frames),
        cmocka_unit_test(shaper_27_holds_nothing_more_when_frames_are_scarce),
        cmocka_unit_test(shaper_28_many_flows),
        cmocka_unit_test(shaper_29_frames_of_a_flow_stay_in_order),
        cmocka_unit_test(shaper_30_stopping_gives_back_what_waits),
        cmocka_unit_test(shaper_31_a_link_that_goes_takes_what_waits),
        cmocka_unit_test(shaper_32_a_full_ring),
    };
    return cmocka_run_group_tests_name("shaper_queue", tests, NULL, NULL);
}
