/* What a PVH loader hands over. */
#include "start_info.h"

#include <string.h>

#include "multiboot.h"
#include "pvh.h"

enum { START_PAGE = 4096 };

#define START_ACPI_MAX (1ull << 32)

void start_command_line(uint64_t address, start_map *map, char *line)
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

/* ACPI's tables may lie behind all RAM, and are to be read too. (They lie below 4 GiB, where 32-bit
 * systems find them; page tables for more than that would cost memory.) */
static void start_acpi(const struct pvh_range *one, struct start_info *info)
{
    uint64_t end = one->address + one->bytes;
    if (end > one->address && end <= START_ACPI_MAX && end > info->acpi_end)
        info->acpi_end = end;
}

void start_add_range(struct start_info *info, const struct pvh_range *one)
{
    if (one->type == PVH_RAM && info->range_count < START_RANGES_MAX &&
        start_whole_pages(one->address, one->bytes, &info->ram[info->range_count]))
        info->range_count++;
    else if (one->type == PVH_ACPI || one->type == PVH_ACPI_NVS)
        start_acpi(one, info);
}

static bool start_ranges(const struct pvh_info *raw, start_map *map, struct start_info *info)
{
    if (raw->version < PVH_WITH_MAP || !raw->map || raw->map_entries > START_RANGES_MAX)
        return false;
    const struct pvh_range *entry = map(raw->map, raw->map_entries * sizeof *entry);
    for (unsigned i = 0; entry && i < raw->map_entries; i++) {
        struct pvh_range one;
        memcpy(&one, &entry[i], sizeof one);
        start_add_range(info, &one);
    }
    return info->range_count != 0;
}

/* What a loader of ours tells: kept, and no module for the kernel. */
static bool start_note(const struct pvh_module *module, start_map *map, struct start_info *info)
{
    struct loader_note note;
    const void *found = module->bytes == sizeof note ? map(module->address, sizeof note) : NULL;
    if (!found)
        return false;
    memcpy(&note, found, sizeof note);
    if (note.magic != LOADER_NOTE_MAGIC)
        return false;
    note.loader[sizeof note.loader - 1] = 0;
    info->note = note;
    return true;
}

static void start_modules(const struct pvh_info *raw, start_map *map, struct start_info *info)
{
    unsigned count = raw->module_count < ARCH_MODULES_MAX ? raw->module_count : ARCH_MODULES_MAX;
    const struct pvh_module *module = map(raw->modules, count * sizeof *module);
    for (unsigned i = 0; raw->modules && module && i < count; i++) {
        struct pvh_module one;
        memcpy(&one, &module[i], sizeof one);
        if (start_note(&one, map, info))
            continue;
        if (one.address && one.bytes && one.address + one.bytes > one.address)
            info->module[info->module_count++] =
                (struct start_range){one.address, one.address + one.bytes};
    }
}

const char *start_info_read(uint64_t at, start_map *map, struct start_info *info)
{
    struct pvh_info raw;
    memset(info, 0, sizeof *info);
    const void *found = map(at, sizeof raw);
    if (!found)
        return "it lies outside of memory";
    memcpy(&raw, found, sizeof raw);
    if (raw.magic == MULTIBOOT_LOADED)
        return multiboot_read(at, map, info);
    if (raw.magic != PVH_MAGIC)
        return "wrong magic number";
    if (!start_ranges(&raw, map, info))
        return "no memory map";
    start_command_line(raw.command_line, map, info->command_line);
    start_modules(&raw, map, info);
    info->rsdp = raw.rsdp;
    return NULL;
}
