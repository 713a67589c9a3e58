/* The hosted machine's inline part: the clock, the barriers and the door to device models. */
#ifndef HOSTED_MACHINE_H
#define HOSTED_MACHINE_H

#include <stdatomic.h>

/* What arch_mmio.model points at begins with a pointer to this. */
struct arch_model_ops {
    uint32_t (*read32)(void *model, uint32_t offset);
    void (*write32)(void *model, uint32_t offset, uint32_t value);
};

/* Filled in by hosted_clock_start; all zero it means clock_gettime, so that nothing must be started
 * before the first reading. */
struct hosted_clock {
    uint64_t ns_per_tick_q32; /* nanoseconds a TSC tick, 32 fraction bits; 0: the TSC is not used */
    uint64_t start_tick;
    uint64_t start_ns; /* of CLOCK_MONOTONIC */
};

extern struct hosted_clock hosted_clock;

#if defined(__x86_64__)
/* The fence keeps two readings in program order, as Linux' own does; without it time could seem to
 * run backwards by some cycles (Intel SDM volume 2, RDTSC: not a serialising instruction). */
static inline uint64_t hosted_tick(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}
#else
static inline uint64_t hosted_tick(void)
{
    return 0;
}
#endif

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t hosted_monotonic_ns(void);

static inline uint64_t arch_clock_ns(void)
{
    __extension__ typedef unsigned __int128 wide;
    if (__builtin_expect(hosted_clock.ns_per_tick_q32 != 0, 1))
        return (uint64_t)((wide)(hosted_tick() - hosted_clock.start_tick) *
                              hosted_clock.ns_per_tick_q32 >>
                          32);
    return hosted_monotonic_ns() - hosted_clock.start_ns;
}

static inline void arch_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static inline void arch_read_barrier(void)
{
    atomic_thread_fence(memory_order_acquire);
}

static inline void arch_write_barrier(void)
{
    atomic_thread_fence(memory_order_release);
}

static inline uint32_t arch_mmio_read32(struct arch_mmio mmio, uint32_t offset)
{
    if (mmio.model)
        return (*(const struct arch_model_ops *const *)mmio.model)->read32(mmio.model, offset);
    return *(const volatile uint32_t *)(mmio.base + offset);
}

static inline void arch_mmio_write32(struct arch_mmio mmio, uint32_t offset, uint32_t value)
{
    if (mmio.model)
        (*(const struct arch_model_ops *const *)mmio.model)->write32(mmio.model, offset, value);
    else
        *(volatile uint32_t *)(mmio.base + offset) = value;
}

#endif
