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

/* Maps one page of 4 KiB, 2 MiB or 1 GiB; a page that is there already is left as it is. */
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
    if (!(table[index] & PAGE_PRESENT))
        table[index] = physical | flags | PAGE_PRESENT | (bytes > PAGE_BYTES ? PAGE_BIG : 0);
    return true;
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

volatile void *paging_map_device(uint64_t address, uint64_t bytes)
{
    uint64_t reach = paging_reach() < DEVICE_MAX ? paging_reach() : DEVICE_MAX;
    if (address >= reach || bytes > reach - address)
        return NULL;
    uint64_t flags = PAGE_WRITE | PAGE_NO_EXECUTE | PAGE_UNCACHED | PAGE_WRITE_THROUGH;
    for (uint64_t at = address & ~(PAGE_2M - 1); at < address + bytes; at += PAGE_2M)
        if (!map_page(paging.top, DEVICE_BASE + at, at, PAGE_2M, flags))
            return NULL;
    return (volatile void *)(DEVICE_BASE + address);
}

bool paging_readable(uint64_t address)
{
    uint64_t *table = paging.top;
    if (!table || address % 8)
        return false;
    uint64_t sign = address >> 47;
    if (sign != 0 && sign != 0x1ffff)
        return false;
    for (unsigned shift = 39;; shift -= 9) {
        uint64_t entry = table[address >> shift & (PAGE_ENTRIES - 1)];
        if (!(entry & PAGE_PRESENT))
            return false;
        if (shift == 12 || entry & PAGE_BIG)
            return true;
        table = table_at(entry & PAGE_ADDRESS);
    }
}
