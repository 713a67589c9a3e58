/* Memory: one mapping, given out from its start and never taken back.
 *
 * Under AddressSanitizer what was not given out is poisoned, with a gap behind each piece, so that
 * running over a kernel table is seen like running over a heap block. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, madvise */
#include <sys/mman.h>

#include "arch/arch.h"
#include "hosted.h"
#include "vfio.h"

#ifdef HOSTED_SANITIZED
#include <sanitizer/asan_interface.h>
enum { GAP_BYTES = 64 };
#else
#define ASAN_POISON_MEMORY_REGION(memory, bytes)   ((void)(memory), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
enum { GAP_BYTES = 0 };
#endif

enum { HUGE_PAGE_BYTES = 2 << 20 };

static struct {
    uintptr_t start, at, end;
    uint64_t dma_offset; /* from a pointer to what devices call it */
} arena;

int hosted_memory_start(size_t bytes)
{
    /* Aligned to a huge page, or madvise would leave the first and the last megabyte in small ones.
     */
    uint8_t *map = mmap(NULL, bytes + HUGE_PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return ERR_NO_MEMORY;
    arena.start = ((uintptr_t)map + HUGE_PAGE_BYTES - 1) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
    arena.at = arena.start;
    arena.end = arena.at + bytes;
    /* A wish: without huge pages all works, with more TLB misses. */
    (void)madvise((void *)arena.at, bytes, MADV_HUGEPAGE);
    ASAN_POISON_MEMORY_REGION((void *)arena.at, bytes);
    return 0;
}

void *arch_memory_take(size_t bytes, size_t align)
{
    if (align == 0 || (align & (align - 1)) || align > HUGE_PAGE_BYTES)
        arch_panic("arch_memory_take: align is not a power of two up to 2 MiB");
    uintptr_t start = (arena.at + align - 1) & ~(uintptr_t)(align - 1);
    if (start > arena.end || bytes > arena.end - start)
        return NULL;
    size_t left = arena.end - start - bytes;
    arena.at = arena.end - (left > GAP_BYTES ? left - GAP_BYTES : 0);
    ASAN_UNPOISON_MEMORY_REGION((void *)start, bytes);
    return (void *)start; /* zeroed by mmap */
}

size_t arch_memory_left(void)
{
    return arena.end - arena.at;
}

struct hosted_arena hosted_memory_arena(void)
{
    return (struct hosted_arena){arena.start, arena.end - arena.start};
}

void hosted_memory_shift(uint64_t dma_offset)
{
    arena.dma_offset = dma_offset;
}

uint64_t arch_dma_address(const void *memory)
{
    return (uintptr_t)memory + arena.dma_offset;
}
