/* Fuzzes what a PVH or Multiboot loader hands over: the input is physical memory from 0x1000 on, start info first. */
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/start_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { BASE = 0x1000 };

static const uint8_t *memory;
static size_t memory_bytes;

static void *map(uint64_t address, uint64_t bytes)
{
    if (address < BASE || address - BASE > memory_bytes || bytes > memory_bytes - (address - BASE))
        return NULL;
    return (void *)(uintptr_t)(memory + (address - BASE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct start_info info;
    uint8_t *copy = malloc(bytes + 1);
    memcpy(copy, data, bytes);
    if (bytes > 8 && bytes % 2) /* otherwise the magic number is seldom right */
        memcpy(copy, (const uint8_t[]){0x78, 0xc5, 0x6e, 0x33, 1, 0, 0, 0}, 8);
    else if (bytes > 8 && data[0] % 4 == 0) /* Multiboot, its information behind the stub's words */
        memcpy(copy, (const uint8_t[]){0x02, 0xb0, 0xad, 0x2b, 8, 0x10, 0, 0}, 8);
    memory = copy;
    memory_bytes = bytes;
    if (start_info_read(BASE, map, &info) == NULL) {
        if (info.range_count == 0 || info.range_count > START_RANGES_MAX ||
            info.module_count > ARCH_MODULES_MAX || strlen(info.command_line) >= START_LINE_MAX)
            abort();
        for (unsigned i = 0; i < info.range_count; i++)
            if (info.ram[i].start >= info.ram[i].end || info.ram[i].start % 4096)
                abort();
    }
    free(copy);
    return 0;
}
