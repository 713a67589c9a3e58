/* Prints what DPDK's rte_timer costs where bench/timers.c measures Piglet's wheel, as lines "key value unit".
 * Its clock is the real one: what is to fire is waited for first. */
#include "bench/timers.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_timer.h>

#include <stdio.h>
#include <stdlib.h>

struct costs {
    double arm_ns, cancel_ns, fire_ns;
};

static uint32_t fired;

static void fire(struct rte_timer *timer, void *argument)
{
    (void)timer, (void)argument;
    fired++;
}

static void arm(struct rte_timer *timer, uint64_t delay_us)
{
    rte_timer_reset(timer, delay_us * (rte_get_timer_hz() / 1000000), SINGLE, rte_lcore_id(), fire,
                    NULL);
}

static void fill(struct rte_timer *timer, uint32_t count, uint32_t spread_us)
{
    for (uint32_t i = 0; i < count; i++) {
        rte_timer_init(&timer[i]);
        arm(&timer[i], timers_due_us(i, spread_us));
    }
}

static void change_some(struct rte_timer *timer, uint32_t count, struct costs *costs)
{
    uint64_t from = timers_now_ns();
    for (uint32_t i = 0; i < TIMERS_SOME; i++)
        rte_timer_stop(&timer[timers_chosen(i, count)]);
    timers_keep_less(&costs->cancel_ns, from, TIMERS_SOME);
    from = timers_now_ns();
    for (uint32_t i = 0; i < TIMERS_SOME; i++)
        arm(&timer[timers_chosen(i, count)], timers_due_us(count + i, TIMERS_DUE_SPREAD_US));
    timers_keep_less(&costs->arm_ns, from, TIMERS_SOME);
}

static void fire_all(uint32_t count, struct costs *costs)
{
    rte_delay_us_sleep(TIMERS_DUE_MIN_US + TIMERS_SOON_SPREAD_US + 1000);
    fired = 0;
    uint64_t from = timers_now_ns();
    rte_timer_manage();
    timers_keep_less(&costs->fire_ns, from, count);
    if (fired != count) {
        fprintf(stderr, "timers_rte: %u of %u fired\n", fired, count);
        exit(1);
    }
}

int main(void)
{
    char *arguments[] = {"timers", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
                         "-m",     "64",        "-l",       "0",           "--log-level=1"};
    if (rte_eal_init(sizeof arguments / sizeof arguments[0], arguments) < 0 ||
        rte_timer_subsystem_init() < 0) {
        printf("timer_arm - DPDK does not start here\n");
        return 0;
    }
    for (unsigned i = 0; i < sizeof timers_pending / sizeof timers_pending[0]; i++) {
        uint32_t count = timers_pending[i];
        struct rte_timer *timer = malloc(count * sizeof *timer);
        struct costs costs = {0};
        if (!timer)
            return 1;
        fill(timer, count, TIMERS_DUE_SPREAD_US);
        for (unsigned round = 0; round < TIMERS_ROUNDS; round++)
            change_some(timer, count, &costs);
        for (uint32_t j = 0; j < count; j++)
            rte_timer_stop(&timer[j]);
        fill(timer, count, TIMERS_SOON_SPREAD_US);
        fire_all(count, &costs);
        printf("timer_arm_%u %.1f ns\ntimer_cancel_%u %.1f ns\ntimer_fire_%u %.1f ns\n", count,
               costs.arm_ns, count, costs.cancel_ns, count, costs.fire_ns);
        free(timer);
    }
    return 0;
}
