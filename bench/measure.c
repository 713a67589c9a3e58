/* Cores, a calibrated clock and samples for programs that measure. */
#define _GNU_SOURCE
#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CALIBRATE_NS = 50000000, /* an error of 100 ns at either end is then 4 in a million */
    READINGS = 64,           /* of which the least disturbed counts */
};

struct reading {
    uint64_t ticks;
    int64_t ns;
};

const char *bench_cores_find(struct bench_cores *cores)
{
    int *next[] = {&cores->own, &cores->other};
    unsigned found = 0;
    if (sched_getaffinity(0, sizeof cores->allowed, &cores->allowed) < 0)
        return "sched_getaffinity: no answer";
    for (int core = 0; core < CPU_SETSIZE && found < 2; core++)
        if (CPU_ISSET(core, &cores->allowed))
            *next[found++] = core;
    return found < 2 ? "only one core is available, two are needed" : NULL;
}

const char *bench_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof set, &set) < 0 ? "sched_setaffinity: not on this core"
                                                      : NULL;
}

void bench_unpin(const struct bench_cores *cores)
{
    sched_setaffinity(0, sizeof cores->allowed, &cores->allowed);
}

int64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Both clocks at one moment: the try with the fewest ticks around it was not interrupted. */
static struct reading read_both(void)
{
    struct reading best = {0};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < READINGS; i++) {
        uint64_t before = bench_ticks();
        int64_t ns = bench_now_ns();
        uint64_t after = bench_ticks();
        if (after - before < least) {
            least = after - before;
            best = (struct reading){before + least / 2, ns};
        }
    }
    return best;
}

/* The average is that of the least disturbed of several series: one reading shows only whole steps. */
static void clock_look_at_readings(struct bench_clock *clock)
{
    uint64_t step = UINT64_MAX, least = UINT64_MAX;
    for (int series = 0; series < READINGS; series++) {
        uint64_t first = bench_ticks(), last = first;
        for (int i = 0; i < READINGS; i++) {
            uint64_t now = bench_ticks();
            if (now != last && now - last < step)
                step = now - last;
            last = now;
        }
        if (last - first < least)
            least = last - first;
    }
    clock->step_ns = (double)step * clock->ns_per_tick;
    clock->read_ns = (double)least / READINGS * clock->ns_per_tick;
}

const char *bench_clock_calibrate(struct bench_clock *clock)
{
    const struct timespec pause = {.tv_nsec = CALIBRATE_NS};
    struct reading first = read_both();
    nanosleep(&pause, NULL);
    struct reading last = read_both();
    if (last.ticks <= first.ticks || last.ns <= first.ns)
        return "clock: the processor's ticks do not advance with CLOCK_MONOTONIC";
    clock->ns_per_tick = (double)(last.ns - first.ns) / (double)(last.ticks - first.ticks);

    clock_look_at_readings(clock);
    return NULL;
}

const char *bench_samples_open(struct bench_samples *samples, unsigned room,
                               const struct bench_clock *clock)
{
    *samples = (struct bench_samples){.clock = *clock, .room = room};
    samples->ticks = malloc(room * sizeof samples->ticks[0]);
    if (!samples->ticks)
        return "samples: no memory";
    /* Page faults now, not while measuring. Not zeros: the compiler would make that calloc, which touches nothing. */
    memset(samples->ticks, 0xff, room * sizeof samples->ticks[0]);
    return NULL;
}

void bench_samples_close(struct bench_samples *samples)
{
    free(samples->ticks);
    *samples = (struct bench_samples){0};
}

static int compare_ticks(const void *one, const void *two)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)two;
    return (a > b) - (a < b);
}

void bench_samples_sort(struct bench_samples *samples)
{
    qsort(samples->ticks, samples->count, sizeof samples->ticks[0], compare_ticks);
}

/* Nearest rank: the least sample that percent of all do not exceed. */
static unsigned samples_rank(const struct bench_samples *samples, double percent)
{
    double rank = percent / 100 * samples->count;
    unsigned at = (unsigned)rank;
    if (at == rank && at > 0)
        at--;
    return at < samples->count ? at : samples->count - 1;
}

double bench_samples_ns(const struct bench_samples *samples, double percent)
{
    if (samples->count == 0)
        return 0;
    return (double)samples->ticks[samples_rank(samples, percent)] * samples->clock.ns_per_tick;
}

double bench_samples_mean_ns(const struct bench_samples *samples, double from, double to)
{
    if (samples->count == 0)
        return 0;
    unsigned first = samples_rank(samples, from), last = samples_rank(samples, to);
    double sum = 0;
    for (unsigned i = first; i <= last; i++)
        sum += (double)samples->ticks[i];
    return sum / (last - first + 1) * samples->clock.ns_per_tick;
}
