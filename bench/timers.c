/* Prints what a timer of the kernel's wheel costs while many are pending, as lines "key value unit":
 * arming one, cancelling one, firing one (its moves down the levels included). The best of some
 * rounds; beside it, bench/timers_rte.c. */
#define _GNU_SOURCE
#include "bench/timers.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel/timer.h"

enum { BUDGET = 64 }; /* of a turn */

struct costs {
    double arm_ns, cancel_ns, fire_ns;
};

static uint32_t fired;

static uint64_t fire(struct timer *timer)
{
    (void)timer;
    fired++;
    return TIMER_NONE;
}

static void fill(struct timer_wheel *wheel, struct timer *timer, uint32_t count, uint32_t spread_us)
{
    timer_wheel_start(wheel, 0);
    for (uint32_t i = 0; i < count; i++) {
        timer[i] = (struct timer){.fire = fire};
        timer_arm(wheel, &timer[i], timers_due_us(i, spread_us) * 1000);
    }
}

static void change_some(struct timer_wheel *wheel, struct timer *timer, uint32_t count,
                        struct costs *costs)
{
    uint64_t from = timers_now_ns();
    for (uint32_t i = 0; i < TIMERS_SOME; i++)
        timer_cancel(wheel, &timer[timers_chosen(i, count)]);
    timers_keep_less(&costs->cancel_ns, from, TIMERS_SOME);
    from = timers_now_ns();
    for (uint32_t i = 0; i < TIMERS_SOME; i++)
        timer_arm(wheel, &timer[timers_chosen(i, count)],
                  timers_due_us(count + i, TIMERS_DUE_SPREAD_US) * 1000);
    timers_keep_less(&costs->arm_ns, from, TIMERS_SOME);
}

static void fire_all(struct timer_wheel *wheel, uint32_t count, struct costs *costs)
{
    uint64_t late_ns = (TIMERS_DUE_MIN_US + TIMERS_SOON_SPREAD_US + 1) * 1000ull;
    fired = 0;
    uint64_t from = timers_now_ns();
    while (timer_wheel_run(wheel, late_ns, BUDGET))
        ;
    timers_keep_less(&costs->fire_ns, from, count);
    if (fired != count) {
        fprintf(stderr, "timers: %u of %u fired\n", fired, count);
        exit(1);
    }
}

int main(void)
{
    for (unsigned i = 0; i < sizeof timers_pending / sizeof timers_pending[0]; i++) {
        uint32_t count = timers_pending[i];
        struct timer *timer = malloc(count * sizeof *timer);
        static struct timer_wheel wheel;
        struct costs costs = {0};
        if (!timer)
            return 1;
        fill(&wheel, timer, count, TIMERS_DUE_SPREAD_US);
        for (unsigned round = 0; round < TIMERS_ROUNDS; round++)
            change_some(&wheel, timer, count, &costs);
        for (unsigned round = 0; round < TIMERS_ROUNDS / 3; round++) {
            fill(&wheel, timer, count, TIMERS_SOON_SPREAD_US);
            fire_all(&wheel, count, &costs);
        }
        printf("timer_arm_%u %.1f ns\ntimer_cancel_%u %.1f ns\ntimer_fire_%u %.1f ns\n", count,
               costs.arm_ns, count, costs.cancel_ns, count, costs.fire_ns);
        free(timer);
    }
    return 0;
}
