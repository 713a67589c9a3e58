/* The timer wheel, against the definition: a list of what is armed, and when. */
#include <stdlib.h>

#include "kernel/timer.h"
#include "tests/unit/test.h"

#define TICK_NS (1ull << TIMER_TICK_SHIFT)

static uint64_t random_state;

static uint64_t random_number(void) /* xorshift64*: the same run for the same seed */
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 2685821657736338717ull;
}

struct item {
    struct timer timer;
    bool armed;
    uint64_t due_ns;
    unsigned fired;
    uint64_t next_us;
};

static struct timer_wheel wheel;
static uint64_t now_ns, last_fired_tick;
static bool order_broken, early;

static uint64_t due_tick(uint64_t due_ns)
{
    return (due_ns + TICK_NS - 1) >> TIMER_TICK_SHIFT;
}

static uint64_t fire(struct timer *timer)
{
    struct item *item = (struct item *)timer;
    if (item->due_ns > now_ns)
        early = true;
    if (due_tick(item->due_ns) < last_fired_tick)
        order_broken = true;
    last_fired_tick = due_tick(item->due_ns);
    item->fired++;
    item->armed = false;
    return item->next_us;
}

static void start(uint64_t at_ns)
{
    now_ns = at_ns;
    early = order_broken = false;
    timer_wheel_start(&wheel, at_ns);
}

static void arm(struct item *item, uint64_t due_ns)
{
    item->timer.fire = fire;
    item->next_us = TIMER_NONE;
    item->armed = true;
    item->due_ns = due_ns;
    timer_arm(&wheel, &item->timer, due_ns);
}

/* Random delays of every magnitude, cancels, re-arms and steps; after each step exactly what is due
 * has fired. */
static void random_run(uint64_t seed, unsigned items, unsigned steps, unsigned budget)
{
    random_state = seed * 0x9e3779b97f4a7c15ull + 1;
    struct item *item = calloc(items, sizeof *item);
    start(random_number() >> (random_number() % 40 + 8));
    for (unsigned step = 0; step < steps; step++) {
        for (unsigned i = 0; i < items / 4 + 1; i++) {
            struct item *one = &item[random_number() % items];
            if (random_number() % 4 == 0) {
                timer_cancel(&wheel, &one->timer);
                one->armed = false;
            } else {
                arm(one, now_ns + 1 + (random_number() >> (random_number() % 44 + 16)));
            }
        }
        uint64_t next_ns = timer_wheel_next_ns(&wheel), first_ns = UINT64_MAX;
        for (unsigned i = 0; i < items; i++)
            if (item[i].armed && due_tick(item[i].due_ns) * TICK_NS < first_ns)
                first_ns = due_tick(item[i].due_ns) * TICK_NS;
        assert_true(next_ns <= first_ns || next_ns - first_ns < TICK_NS * 2);
        now_ns += random_number() % 3 ? random_number() >> (random_number() % 44 + 20) : 0;
        last_fired_tick = 0;
        while (timer_wheel_run(&wheel, now_ns, budget) == budget)
            ;
        uint64_t armed = 0;
        for (unsigned i = 0; i < items; i++) {
            bool due = due_tick(item[i].due_ns) <= now_ns >> TIMER_TICK_SHIFT;
            assert_false(item[i].armed && due && item[i].due_ns + 2 * TICK_NS < now_ns);
            assert_int_equal(item[i].armed, timer_armed(&item[i].timer));
            armed += item[i].armed;
        }
        assert_int_equal(wheel.armed, armed);
        assert_false(early);
        assert_false(order_broken);
    }
    free(item);
}

static void timer_01_like_a_sorted_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        random_run(seed, 1 + seed % 50, 60, 1000);
}

static void timer_02_any_budget_gives_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++)
        random_run(seed, 40, 40, 1 + seed % 3);
}

static void timer_03_a_million(void **state)
{
    (void)state;
    enum { MANY = 1000000 };
    struct item *item = calloc(MANY, sizeof *item);
    random_state = 42;
    start(5000);
    for (unsigned i = 0; i < MANY; i++)
        arm(&item[i], now_ns + random_number() % 3600000000000ull);
    assert_int_equal(wheel.armed, MANY);
    /* A call never spends more than its budget, though a slot far up holds tens of thousands. */
    unsigned fired = 0;
    for (now_ns = 5000; wheel.armed; now_ns += 7000000000ull) {
        unsigned spent;
        last_fired_tick = 0;
        while ((spent = timer_wheel_run(&wheel, now_ns, 500)) == 500)
            assert_true(spent <= 500);
    }
    for (unsigned i = 0; i < MANY; i++)
        fired += item[i].fired;
    assert_int_equal(fired, MANY);
    assert_false(early);
    free(item);
}

static struct item self;

static uint64_t fire_and_rearm(struct timer *timer)
{
    self.fired++;
    timer_arm(&wheel, timer, now_ns); /* due at once: but in the next call */
    return 77;                        /* armed by itself: the returned delay does not count */
}

static void timer_04_rearming_itself_cannot_keep_the_loop(void **state)
{
    (void)state;
    memset(&self, 0, sizeof self);
    start(0);
    arm(&self, 0);
    self.next_us = 0;
    for (unsigned i = 1; i <= 5; i++) {
        now_ns += 10000;
        assert_int_equal(timer_wheel_run(&wheel, now_ns, 100), 1);
        assert_int_equal(self.fired, i);
    }
    timer_cancel(&wheel, &self.timer);
    arm(&self, now_ns);
    self.timer.fire = fire_and_rearm;
    now_ns += 10000;
    assert_int_equal(timer_wheel_run(&wheel, now_ns, 100), 1);
    assert_true(timer_armed(&self.timer));
    assert_int_equal(wheel.armed, 1);
    timer_cancel(&wheel, &self.timer);
    timer_cancel(&wheel, &self.timer);
    assert_int_equal(wheel.armed, 0);
    assert_true(timer_wheel_next_ns(&wheel) == UINT64_MAX);
}

static struct item other;

static uint64_t fire_and_cancel_other(struct timer *timer)
{
    (void)timer;
    self.fired++;
    timer_cancel(&wheel, &other.timer);
    return TIMER_NONE;
}

static void timer_05_a_callback_may_cancel_its_neighbour(void **state)
{
    (void)state;
    memset(&self, 0, sizeof self);
    memset(&other, 0, sizeof other);
    start(0);
    arm(&other, 50000);
    arm(&self, 50000); /* the same tick, in front of it or behind */
    self.timer.fire = fire_and_cancel_other;
    now_ns = 100000;
    timer_wheel_run(&wheel, now_ns, 100);
    assert_int_equal(self.fired, 1);
    assert_true(other.fired == 0 || other.armed == false);
    assert_int_equal(wheel.armed, 0);
}

static void timer_06_far_and_never(void **state)
{
    (void)state;
    memset(&self, 0, sizeof self);
    start(1000);
    arm(&self, UINT64_MAX);
    now_ns = 400ull * 86400 * 1000000000;
    while (timer_wheel_run(&wheel, now_ns, 100))
        ;
    assert_int_equal(self.fired, 0);
    arm(&self, now_ns + 100ull * 86400 * 1000000000); /* beyond the top level */
    now_ns += 99ull * 86400 * 1000000000;
    while (timer_wheel_run(&wheel, now_ns, 100))
        ;
    assert_int_equal(self.fired, 0);
    now_ns += 2ull * 86400 * 1000000000;
    while (timer_wheel_run(&wheel, now_ns, 100))
        ;
    assert_int_equal(self.fired, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_01_like_a_sorted_list),
        cmocka_unit_test(timer_02_any_budget_gives_the_same),
        cmocka_unit_test(timer_03_a_million),
        cmocka_unit_test(timer_04_rearming_itself_cannot_keep_the_loop),
        cmocka_unit_test(timer_05_a_callback_may_cancel_its_neighbour),
        cmocka_unit_test(timer_06_far_and_never),
    };
    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
