/* Physical memory: ranges from the loader's map, given out from their starts, never taken back. */
#include <string.h>

#include "x86.h"

static struct {
    unsigned count;
    struct memory_range range[MEMORY_RANGES_MAX];
    uint64_t top, total;
} memory;

#define ONE_MIB 0x100000ull

static void memory_insert(uint64_t start, uint64_t end)
{
    /* Below 1 MiB lie the firmware's things; and beyond the table's room memory is left unused. */
    if (start < ONE_MIB)
        start = ONE_MIB;
    if (start < end && memory.count < MEMORY_RANGES_MAX)
        memory.range[memory.count++] = (struct memory_range){start, end};
}

void memory_add(uint64_t start, uint64_t end)
{
    if (end > paging_reach())
        end = paging_reach();
    if (start >= end)
        return;
    memory_reserve(start, end); /* told of twice, it is still there once */
    if (end > memory.top)
        memory.top = end;
    memory.total += end - start;
    memory_insert(start, end);
}

void memory_reach(uint64_t end)
{
    if (end > memory.top && end <= paging_reach())
        memory.top = end;
}

void memory_reserve(uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < memory.count; i++) {
        struct memory_range *range = &memory.range[i];
        if (end <= range->start || start >= range->end)
            continue;
        struct memory_range behind = {end, range->end};
        range->end = start > range->start ? start : range->start;
        memory_insert(behind.start, behind.end);
    }
}

uint64_t memory_top(void)
{
    return memory.top;
}

uint64_t memory_total(void)
{
    return memory.total;
}

void *arch_memory_take(size_t bytes, size_t align)
{
    struct memory_range *best = NULL;
    uint64_t best_start = 0;
    for (unsigned i = 0; i < memory.count; i++) {
        struct memory_range *range = &memory.range[i];
        uint64_t start = (range->start + align - 1) & ~((uint64_t)align - 1);
        if (start > range->end || bytes > range->end - start || !paging_direct(start, bytes))
            continue;
        /* The smallest that is big enough keeps the large ones whole. */
        if (!best || range->end - range->start < best->end - best->start) {
            best = range;
            best_start = start;
        }
    }
    if (!best)
        return NULL;
    best->start = best_start + bytes;
    return memset(paging_direct(best_start, bytes), 0, bytes);
}

size_t arch_memory_left(void)
{
    uint64_t largest = 0;
    for (unsigned i = 0; i < memory.count; i++)
        if (memory.range[i].end - memory.range[i].start > largest)
            largest = memory.range[i].end - memory.range[i].start;
    return largest;
}

uint64_t arch_dma_address(const void *taken)
{
    uint64_t address = (uint64_t)taken;
    return address >= KERNEL_BASE ? address - KERNEL_BASE : address - DIRECT_BASE;
}
