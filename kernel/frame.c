/* The frame pool. */
#include "kernel/frame.h"

int frame_pool_start(struct frame_pool *pool, unsigned count)
{
    struct frame **free = arch_memory_take(count * sizeof(struct frame *), sizeof(void *));
    uint8_t *memory = arch_memory_take((size_t)count * FRAME_STRIDE, FRAME_POOL_ALIGN);
    if (!free || !memory)
        return ERR_NO_MEMORY;
    uint64_t dma = arch_dma_address(memory);
    pool->memory = memory;
    pool->free = free;
    pool->free_count = pool->total = count;
    for (unsigned i = 0; i < count; i++) {
        struct frame *frame = (struct frame *)(memory + (size_t)i * FRAME_STRIDE);
        frame->dma = dma + (uint64_t)i * FRAME_STRIDE;
        frame->owner = FRAME_OF_POOL;
        free[count - 1 - i] = frame; /* the lowest is used first: the fewest cache lines */
    }
    return 0;
}

_Noreturn void frame_double_free(const struct frame *frame)
{
    (void)frame;
    arch_panic("a frame was freed twice");
}
