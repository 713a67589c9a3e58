/* The simulated machine's inline part: time stands still until a test moves it. */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include <stdatomic.h>

/* What arch_mmio.model points at begins with this. */
struct arch_model_ops {
    uint32_t (*read32)(void *model, uint32_t offset);
    void (*write32)(void *model, uint32_t offset, uint32_t value);
};

extern uint64_t sim_now_ns;

static inline uint64_t arch_clock_ns(void)
{
    return sim_now_ns;
}

static inline void arch_pause(void)
{
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
    return (*(const struct arch_model_ops *const *)mmio.model)->read32(mmio.model, offset);
}

static inline void arch_mmio_write32(struct arch_mmio mmio, uint32_t offset, uint32_t value)
{
    (*(const struct arch_model_ops *const *)mmio.model)->write32(mmio.model, offset, value);
}

#endif
