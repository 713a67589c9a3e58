/* The clock: the TSC where it can be trusted, else clock_gettime. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <stdio.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "arch/arch.h"
#include "hosted.h"

enum {
    SAMPLE_NS = 2000000,    /* one of two samples; reading error over both is below 20 ppm */
    SAMPLE_ERROR_PPM = 200, /* further apart, and something else than time is in the samples */
    BRACKETS = 8,           /* tries for an undisturbed pair of readings */
};

struct hosted_clock hosted_clock;

struct moment {
    uint64_t tick, ns;
};

uint64_t hosted_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)
/* CPUID 8000_0007h, EDX bit 8: the TSC runs at one rate in all power states (Intel SDM volume 3,
 * "Invariant TSC"; AMD APM volume 3, E.4.6). */
static bool tsc_is_invariant(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8);
}
#else
static bool tsc_is_invariant(void)
{
    return false;
}
#endif

/* Linux watches the TSCs of all cores against each other and falls back to another clock source
 * when they drift. */
static bool linux_uses_tsc(void)
{
    char name[16] = "";
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (!file)
        return false;
    if (!fgets(name, sizeof(name), file))
        name[0] = '\0';
    fclose(file);
    return strcmp(name, "tsc\n") == 0;
}

/* Both clocks at one moment: of several tries the one with the least time between the readings. */
static struct moment moment_now(void)
{
    struct moment best = {0, 0};
    uint64_t best_width = UINT64_MAX;
    for (unsigned i = 0; i < BRACKETS; i++) {
        uint64_t before = hosted_tick();
        uint64_t ns = hosted_monotonic_ns();
        uint64_t width = hosted_tick() - before;
        if (width < best_width) {
            best_width = width;
            best = (struct moment){before + width / 2, ns};
        }
    }
    return best;
}

static struct moment moment_after(uint64_t ns)
{
    while (hosted_monotonic_ns() < ns)
        arch_pause();
    return moment_now();
}

/* Nanoseconds a tick, 32 fraction bits; 0 when no tick passed. */
static uint64_t rate_q32(struct moment from, struct moment to)
{
    __extension__ typedef unsigned __int128 wide;
    if (to.tick <= from.tick)
        return 0;
    return (uint64_t)(((wide)(to.ns - from.ns) << 32) / (to.tick - from.tick));
}

void hosted_clock_start(bool pinned)
{
    hosted_clock = (struct hosted_clock){.start_ns = hosted_monotonic_ns()};
    if (!tsc_is_invariant() || !(pinned || linux_uses_tsc()))
        return;
    struct moment a = moment_now();
    struct moment b = moment_after(a.ns + SAMPLE_NS);
    struct moment c = moment_after(b.ns + SAMPLE_NS);
    uint64_t first = rate_q32(a, b), second = rate_q32(b, c);
    uint64_t apart = first > second ? first - second : second - first;
    if (first == 0 || second == 0 || apart > first / 1000000 * SAMPLE_ERROR_PPM)
        return;
    hosted_clock.start_tick = a.tick;
    hosted_clock.ns_per_tick_q32 = rate_q32(a, c);
}

void arch_delay_us(unsigned delay_us)
{
    uint64_t until_ns = arch_clock_ns() + (uint64_t)delay_us * 1000;
    while (arch_clock_ns() < until_ns)
        arch_pause();
}
