/* Page tables: the image with its rights, all RAM, device registers; nothing at 0, no page both
 * writable and executable, and a hole under every stack. */
#include <string.h>

#include "x86.h"

enum {
    PAGE_PRESENT = 1 << 0,
    PAGE_WRITE = 1 << 1,
    PAGE_WRITE_THROUGH = 1 << 3,
    PAGE_UNCACHED = 1 << 4,
    PAGE_BIG = 1 << 7,
    PAGE_ENTRIES = 512,
    CPUID_PAGES_1G = 1 << 26, /* leaf 0x80000001, edx */
    DEVICE_MEMORIES_MAX = 64,
    PHYSICAL_BITS_LEAST = 36,
    PHYSICAL_BITS_MOST = 46, /* from DIRECT_BASE to DEVICE_BASE */
};

#define PAGE_NO_EXECUTE   (1ull << 63)
#define PAGE_ADDRESS      0x000ffffffffff000ull
#define PAGE_2M           (1ull << 21)
#define PAGE_1G           (1ull << 30)
#define BOOT_TABLES_REACH PAGE_1G /* what entry.S mapped */
#define CPUID_LEAF_SIZES  0x80000008
#define DEVICE_MAX        (KERNEL_BASE - DEVICE_BASE)

static struct {
    uint64_t *top;   /* the PML4; NULL while entry.S's tables are in use */
    uint64_t direct; /* end of the direct map */
    uint64_t reach;
    unsigned memory_count;
    struct memory_range memory[DEVICE_MEMORIES_MAX]; /* mapped by paging_map_memory */
} paging;

/* Tables are reached through the direct map, or, while there is none, through entry.S's. */
static uint64_t *table_at(uint64_t physical)
{
    return (uint64_t *)(physical + (paging.direct ? DIRECT_BASE : KERNEL_BASE));
}

void *paging_direct(uint64_t address, uint64_t bytes)
{
    uint64_t end = paging.direct ? paging.direct : BOOT_TABLES_REACH;
    if (address > end || bytes > end - address)
        return NULL;
    return (void *)table_at(address);
}

uint64_t paging_reach(void)
{
    if (!paging.reach) {
        unsigned bits = PHYSICAL_BITS_LEAST;
        if (cpuid(0x80000000).a >= CPUID_LEAF_SIZES)
            bits = cpuid(CPUID_LEAF_SIZES).a & 0xff;
        paging.reach = 1ull << (bits < PHYSICAL_BITS_MOST ? bits : PHYSICAL_BITS_MOST);
    }
    return paging.reach;
}

/* The table below entry `index`, made if it is not there. NULL: no memory. */
static uint64_t *table_below(uint64_t *table, unsigned index)
{
    if (!(table[index] & PAGE_PRESENT)) {
        uint64_t *made = arch_memory_take(PAGE_BYTES, PAGE_BYTES);
        if (!made)
            return NULL;
        table[index] = arch_dma_address(made) | PAGE_PRESENT | PAGE_WRITE;
    }
    return table_at(table[index] & PAGE_ADDRESS);
}

/* Maps one page of 4 KiB, 2 MiB or 1 GiB; what is there already, in a page as large or larger, is
 * left as it is. False: no memory for tables, or there are smaller pages. */
static bool map_page(uint64_t *top, uint64_t virtual, uint64_t physical, uint64_t bytes,
                     uint64_t flags)
{
    uint64_t *table = top;
    unsigned shift = 39;
    for (; bytes != 1ull << shift; shift -= 9) {
        unsigned index = virtual >> shift & (PAGE_ENTRIES - 1);
        if (table[index] & PAGE_BIG)
            return true;
        table = table_below(table, index);
        if (!table)
            return false;
    }
    unsigned index = virtual >> shift & (PAGE_ENTRIES - 1);
    uint64_t big = bytes > PAGE_BYTES ? PAGE_BIG : 0;
    if (!(table[index] & PAGE_PRESENT))
        table[index] = physical | flags | PAGE_PRESENT | big;
    return (table[index] & big) == big;
}

static bool is_guard(uint64_t page)
{
    if (page == (uint64_t)boot_stack_guard)
        return true;
    for (uint64_t guard = (uint64_t)ist_guards; guard < (uint64_t)ist_end;
         guard += PAGE_BYTES + IST_BYTES)
        if (page == guard)
            return true;
    return false;
}

static bool map_image(uint64_t *top)
{
    for (uint64_t page = (uint64_t)image_start; page < (uint64_t)image_end; page += PAGE_BYTES) {
        uint64_t flags = PAGE_NO_EXECUTE | PAGE_WRITE;
        if (page < (uint64_t)image_text_end)
            flags = 0;
        else if (page < (uint64_t)image_rodata_end)
            flags = PAGE_NO_EXECUTE;
        if (!is_guard(page) && !map_page(top, page, page - KERNEL_BASE, PAGE_BYTES, flags))
            return false;
    }
    return true;
}

static bool map_ram(uint64_t *top, uint64_t end)
{
    bool big = cpuid(0x80000001).d & CPUID_PAGES_1G;
    uint64_t step = big ? PAGE_1G : PAGE_2M;
    for (uint64_t at = 0; at < end; at += step)
        if (!map_page(top, DIRECT_BASE + at, at, step, PAGE_WRITE | PAGE_NO_EXECUTE))
            return false;
    return true;
}

bool paging_start(void)
{
    uint64_t *top = arch_memory_take(PAGE_BYTES, PAGE_BYTES);
    uint64_t end = (memory_top() + PAGE_2M - 1) & ~(PAGE_2M - 1);
    if (!top || !map_image(top) || !map_ram(top, end))
        return false;
    __asm__ volatile("mov %0, %%cr3" : : "r"(arch_dma_address(top)) : "memory");
    paging.direct = end;
    paging.top = table_at(arch_dma_address(top));
    return true;
}

static bool is_mapped(uint64_t virtual)
{
    uint64_t *table = paging.top;
    for (unsigned shift = 39;; shift -= 9) {
        uint64_t entry = table[virtual >> shift & (PAGE_ENTRIES - 1)];
        if (!(entry & PAGE_PRESENT))
            return false;
        if (shift == 12 || entry & PAGE_BIG)
            return true;
        table = table_at(entry & PAGE_ADDRESS);
    }
}

/* In small pages: registers may lie beside a device's memory. The direct map, which spans the hole
 * for devices under 4 GiB when RAM goes on above it, is no second mapping that counts: nothing reads
 * the hole through it, and firmware makes the hole uncached by MTRRs, which win over page tables
 * (SDM vol. 3, 11.5.2.2). */
volatile void *paging_map_device(uint64_t address, uint64_t bytes)
{
    uint64_t reach = paging_reach() < DEVICE_MAX ? paging_reach() : DEVICE_MAX;
    if (address >= reach || bytes > reach - address)
        return NULL;
    uint64_t first = address & ~(PAGE_BYTES - 1ull), end = address + bytes;
    for (unsigned i = 0; i < paging.memory_count; i++)
        if (first < paging.memory[i].end && end > paging.memory[i].start)
            return NULL;
    uint64_t flags = PAGE_WRITE | PAGE_NO_EXECUTE | PAGE_UNCACHED | PAGE_WRITE_THROUGH;
    for (uint64_t at = first; at < end; at += PAGE_BYTES)
        if (!map_page(paging.top, DEVICE_BASE + at, at, PAGE_BYTES, flags))
            return NULL;
    return (volatile void *)(DEVICE_BASE + address);
}

/* Whether it may be mapped cached from now on. */
static bool memory_claim(uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < paging.memory_count; i++)
        if (paging.memory[i].start == start && paging.memory[i].end == end)
            return true;
    for (uint64_t at = start; at < end; at += PAGE_BYTES)
        if (is_mapped(DEVICE_BASE + at))
            return false;
    if (paging.memory_count == DEVICE_MEMORIES_MAX)
        return false;
    paging.memory[paging.memory_count++] = (struct memory_range){start, end};
    return true;
}

/* Where the direct map would have it if it were RAM: there is room for any address. */
void *paging_map_memory(uint64_t address, uint64_t bytes)
{
    if (address >= paging_reach() || bytes > paging_reach() - address)
        return NULL;
    uint64_t start = address & ~(PAGE_BYTES - 1ull);
    uint64_t end = (address + bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1ull);
    if (!memory_claim(start, end))
        return NULL;
    for (uint64_t at = start, step; at < end; at += step) {
        step = at % PAGE_2M == 0 && end - at >= PAGE_2M ? PAGE_2M : PAGE_BYTES;
        if (!map_page(paging.top, DIRECT_BASE + at, at, step, PAGE_WRITE | PAGE_NO_EXECUTE))
            return NULL;
    }
    return (void *)(DIRECT_BASE + address);
}

bool paging_readable(uint64_t address)
{
    uint64_t sign = address >> 47;
    return paging.top && address % 8 == 0 && (sign == 0 || sign == 0x1ffff) && is_mapped(address);
}
