/* What programs that measure have in common: cores, a calibrated clock, samples. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE before the first include: cpu_set_t"
#endif

#include <sched.h>
#include <stdint.h>
#include <x86intrin.h>

/* Functions that can fail return a text that says why, or NULL. Texts are constant: nobody frees them. */

/* ---- cores: one for who asks, one for who answers ---- */

struct bench_cores {
    cpu_set_t allowed; /* before anything was pinned */
    int own, other;    /* the first two allowed */
};

const char *bench_cores_find(struct bench_cores *cores);

/* Pin the calling thread; unpin gives it back all that were allowed. */
const char *bench_pin(int core);
void bench_unpin(const struct bench_cores *cores);

/* ---- clock ---- */

struct bench_clock {
    double ns_per_tick;
    double step_ns; /* ticks advance by this much at once: single samples are no finer */
    double
        read_ns; /* what two readings with nothing between differ by, on average: part of every sample */
};

/* Against CLOCK_MONOTONIC; sleeps for 50 ms. Fails where ticks do not advance. */
const char *bench_clock_calibrate(struct bench_clock *clock);

/* CLOCK_MONOTONIC. */
int64_t bench_now_ns(void);

/* Read after all loads before it are done, and before stores after it are seen. Compare readings of one core. */
static inline uint64_t bench_ticks(void)
{
    _mm_lfence();
    return __rdtsc();
}

static inline uint64_t bench_ticks_of(const struct bench_clock *clock, double seconds)
{
    return (uint64_t)(seconds * 1e9 / clock->ns_per_tick);
}

/* ---- samples ---- */

struct bench_samples {
    struct bench_clock clock;
    uint64_t *ticks; /* owned; from open to close */
    unsigned count, room;
};

const char *bench_samples_open(struct bench_samples *samples, unsigned room,
                               const struct bench_clock *clock);
void bench_samples_close(struct bench_samples *samples);

/* Beyond room: not kept. */
static inline void bench_samples_add(struct bench_samples *samples, uint64_t ticks)
{
    if (samples->count < samples->room)
        samples->ticks[samples->count++] = ticks;
}

/* Sort once, then ask; percent 0 is the least, 100 the greatest. No samples: 0. */
void bench_samples_sort(struct bench_samples *samples);
double bench_samples_ns(const struct bench_samples *samples, double percent);

/* Mean of the sorted samples between two percents: finer than a step of the clock, and (above 0, below
 * 100) untouched by interrupts. */
double bench_samples_mean_ns(const struct bench_samples *samples, double from, double to);

#endif
