/* The inline part of the machine interface, on bare metal. */
#ifndef X86_64_MACHINE_H
#define X86_64_MACHINE_H

/* ns = (tsc - base) * multiplier >> CLOCK_SHIFT; set once by clock.c. */
enum { CLOCK_SHIFT = 32 };
struct clock_scale {
    uint64_t base, multiplier;
};
extern struct clock_scale clock_scale;

static inline uint64_t arch_clock_ns(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    uint64_t ticks = ((uint64_t)high << 32 | low) - clock_scale.base;
    return (uint64_t)((unsigned __int128)ticks * clock_scale.multiplier >> CLOCK_SHIFT);
}

static inline void arch_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* x86 keeps loads in order among themselves, and stores (SDM vol. 3, 8.2.2), to memory and to
 * uncached registers; only the compiler must be told. */
static inline void arch_read_barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

static inline void arch_write_barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

static inline uint32_t arch_mmio_read32(struct arch_mmio mmio, uint32_t offset)
{
    return *(volatile uint32_t *)(mmio.base + offset);
}

static inline void arch_mmio_write32(struct arch_mmio mmio, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(mmio.base + offset) = value;
}

#endif
