/* What a PVH loader hands over. */
#include "start_info.h"

#include <string.h>

#define START_MAGIC 0x336ec578

enum {
    START_WITH_MAP = 1, /* the version that brought the memory map */
    START_RAM = 1,
    START_PAGE = 4096,
};

struct raw_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp, map;
    uint32_t map_entries, reserved;
};

struct raw_module {
    uint64_t address, bytes, command_line, reserved;
};

struct raw_range {
    uint64_t address, bytes;
    uint32_t type, reserved;
};

typedef void *start_map(uint64_t address, uint64_t bytes);

static void start_command_line(uint64_t address, start_map *map, char *line)
{
    unsigned length = 0;
    for (; address && length < START_LINE_MAX - 1; length++) {
        const char *at = map(address + length, 1);
        if (!at || !*at)
            break;
        line[length] = *at;
    }
    line[length] = 0;
}

/* Inwards to whole pages; false: nothing is left, or it ends beyond all addresses. */
static bool start_whole_pages(uint64_t address, uint64_t bytes, struct start_range *range)
{
    uint64_t end = address + bytes;
    if (end < address || address > UINT64_MAX - START_PAGE)
        return false;
    range->start = (address + START_PAGE - 1) & ~(START_PAGE - 1ull);
    range->end = end & ~(START_PAGE - 1ull);
    return range->start < range->end;
}

static bool start_ranges(const struct raw_info *raw, start_map *map, struct start_info *info)
{
    if (raw->version < START_WITH_MAP || !raw->map || raw->map_entries > START_RANGES_MAX)
        return false;
    const struct raw_range *entry = map(raw->map, raw->map_entries * sizeof *entry);
    for (unsigned i = 0; entry && i < raw->map_entries; i++) {
        struct raw_range one;
        memcpy(&one, &entry[i], sizeof one);
        struct start_range *ram = &info->ram[info->range_count];
        if (one.type == START_RAM && start_whole_pages(one.address, one.bytes, ram))
            info->range_count++;
    }
    return info->range_count != 0;
}

static void start_modules(const struct raw_info *raw, start_map *map, struct start_info *info)
{
    unsigned count = raw->module_count < ARCH_MODULES_MAX ? raw->module_count : ARCH_MODULES_MAX;
    const struct raw_module *module = map(raw->modules, count * sizeof *module);
    for (unsigned i = 0; raw->modules && module && i < count; i++) {
        struct raw_module one;
        memcpy(&one, &module[i], sizeof one);
        if (one.address && one.bytes && one.address + one.bytes > one.address)
            info->module[info->module_count++] =
                (struct start_range){one.address, one.address + one.bytes};
    }
}

const char *start_info_read(uint64_t at, start_map *map, struct start_info *info)
{
    struct raw_info raw;
    memset(info, 0, sizeof *info);
    const void *found = map(at, sizeof raw);
    if (!found)
        return "it lies outside of memory";
    memcpy(&raw, found, sizeof raw);
    if (raw.magic != START_MAGIC)
        return "wrong magic number";
    if (!start_ranges(&raw, map, info))
        return "no memory map";
    start_command_line(raw.command_line, map, info->command_line);
    start_modules(&raw, map, info);
    info->rsdp = raw.rsdp;
    return NULL;
}
