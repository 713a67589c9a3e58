/* What Piglet's timers and DPDK's are both measured with: how many, when due, in which order. */
#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include <stdint.h>
#include <time.h>

enum {
    TIMERS_SOME = 16384, /* of those pending, cancelled and armed again in a round */
    TIMERS_ROUNDS = 9,
    TIMERS_DUE_MIN_US = 1000,
    TIMERS_DUE_SPREAD_US = 60000000, /* while none is to fire */
    TIMERS_SOON_SPREAD_US = 100000,  /* while all are to */
};

static const uint32_t timers_pending[] = {100000, 1000000};

/* Scattered, and the same in each run: Knuth's multiplicative hashing. */
static inline uint32_t timers_mix(uint32_t number)
{
    number = (number ^ number >> 16) * 2654435761u;
    return (number ^ number >> 15) * 2246822519u;
}

static inline uint64_t timers_due_us(uint32_t number, uint32_t spread_us)
{
    return TIMERS_DUE_MIN_US + ((uint64_t)timers_mix(number) * spread_us >> 32);
}

/* The i-th of those that are cancelled: no two the same, and no two neighbours. */
static inline uint32_t timers_chosen(uint32_t i, uint32_t count)
{
    return (uint32_t)((uint64_t)i * 7919 % count); /* a prime that divides no count */
}

static inline uint64_t timers_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void timers_keep_less(double *best, uint64_t from_ns, uint32_t count)
{
    double ns = (double)(timers_now_ns() - from_ns) / count;
    if (*best == 0 || ns < *best)
        *best = ns;
}

#endif
