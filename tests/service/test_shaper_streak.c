/* shaper: frames of a class one behind the other, which are charged together, go or wait, and leave
 * the buckets, exactly as when each is charged by itself. */
#include "services/shaper/shaper.h"
#include "tests/model/rulegen.h"
#include "tests/service/shaping.h"

enum { CLASSES = 6, STEPS = 400, QUEUES = 3, BETWEEN_PORT = 9 };

/* What is left of a run's step. */
struct after {
    uint64_t sent, delayed;
    struct shaper_bucket rate[CLASSES], ceiling[CLASSES];
    uint64_t sent_bytes[CLASSES], sent_frames[CLASSES];
};

static struct after after[2][STEPS];

/* Three classes with queues at three depths, in two trees; their rates and ceilings shut in turn. */
static void tree(uint64_t unit_bps)
{
    table_begin();
    table_class("top", NO_PARENT, 10 * unit_bps, 10 * unit_bps);
    table_class("middle", 0, 4 * unit_bps, 9 * unit_bps);
    table_class("deep", 1, unit_bps, 8 * unit_bps);
    table_class("side", 0, 5 * unit_bps, 5 * unit_bps);
    table_class("other", NO_PARENT, 3 * unit_bps, 3 * unit_bps);
    table_class("unused", 1, unit_bps / 2, unit_bps);
    for (unsigned i = 0; i < CLASSES; i++)
        table.class[i].burst_bytes =
            2 * PIGLET_SHAPER_FRAME_MAX + (uint32_t)(unit_bps / 80000) + (i + 1) * 777;
    table_class("between", NO_PARENT, PIGLET_SHAPER_RATE_MAX, PIGLET_SHAPER_RATE_MAX)->burst_bytes =
        1 << 24;
    table_match(CLASSES, BETWEEN_PORT);
    static const uint8_t class[QUEUES] = {2, 3, 4};
    for (unsigned i = 0; i < QUEUES; i++)
        table_match(class[i], (uint16_t)(1 + i));
}

static void send_one(struct core *core, uint16_t port, unsigned length)
{
    struct packet packet = packet_udp_to(US, 9, PEER, port, length - 42);
    struct frame *frame = frame_alloc(&core->frames);
    assert_non_null(frame);
    memcpy(frame->data, packet.data, packet.length);
    frame->length = (uint16_t)packet.length;
    frame->nic = 0;
    frame->flags = 0;
    frame->kind = FRAME_READY;
    core_send(core, frame);
}

static void note(struct core *core, struct after *to)
{
    const struct shaper *shaper = chain_find(core, "shaper")->state;
    to->delayed = sim_counter(core, "shaper.delayed");
    for (unsigned i = 0; i < CLASSES; i++) {
        const struct shaper_queue *queue = shaper->half->class[i].queue;
        to->rate[i] = queue->rate;
        to->ceiling[i] = queue->ceiling;
        to->sent_bytes[i] = queue->sent_bytes;
        to->sent_frames[i] = queue->sent_frames;
        to->sent += i >= 2 && i <= 4 ? queue->sent_frames : 0;
    }
    while (sim_sent(core, 0))
        ;
}

/* The same frames at the same times; `apart`: another one, of a tree of its own, behind each. */
static void run(uint64_t unit_bps, bool apart, struct after *to)
{
    memset(to, 0, STEPS * sizeof *to);
    struct rulegen random = {unit_bps};
    tree(unit_bps);
    struct core *core = shaping_start(1);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned frames = 1 + rulegen_number(&random, BATCH_MAX / 2);
        unsigned change = 1 + rulegen_number(&random, 20); /* frames until another class's turn */
        uint16_t port = 1;
        for (unsigned i = 0; i < frames; i++) {
            if (rulegen_number(&random, change) == 0)
                port = (uint16_t)(1 + rulegen_number(&random, QUEUES));
            send_one(core, port, 60 + rulegen_number(&random, FULL - 60));
            if (apart)
                send_one(core, BETWEEN_PORT, 60);
        }
        sim_run(core);
        /* From a part of what these bytes take to much more. */
        sim_advance_us(core, rulegen_number(&random, (uint32_t)(30000000000 / unit_bps)));
        note(core, &to[step]);
    }
    test_stop(core);
}

static void streak_01_together_as_apart(void **state)
{
    (void)state;
    static const uint64_t unit_bps[] = {1000000, 33333333, 1000000000};
    for (unsigned i = 0; i < COUNT_OF(unit_bps); i++) {
        run(unit_bps[i], true, after[0]);
        run(unit_bps[i], false, after[1]);
        const struct after *last = &after[0][STEPS - 1];
        assert_true(last->delayed > STEPS && last->sent - last->delayed > STEPS); /* both happen */
        for (unsigned step = 0; step < STEPS; step++)
            assert_memory_equal(&after[0][step], &after[1][step], sizeof after[0][step]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(streak_01_together_as_apart)};
    return cmocka_run_group_tests_name("shaper_streak", tests, NULL, NULL);
}
