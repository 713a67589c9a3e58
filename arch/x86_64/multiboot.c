/* What a Multiboot loader hands over (a BIOS's iPXE, GRUB), brought into PVH's shape. */
#include "multiboot.h"

#include <string.h>

#include "acpi.h"
#include "pvh.h"

enum { /* which of the fields are there */
       WITH_LINE = 1 << 2,
       WITH_MODULES = 1 << 3,
       WITH_MAP = 1 << 6,
};

struct multiboot_info {
    uint32_t flags, lower, upper, device, line, module_count, modules, symbols[4], map_bytes, map;
};

struct multiboot_module {
    uint32_t start, end, line, reserved;
};

struct multiboot_range {
    uint32_t bytes_behind; /* of this entry, after this word */
    uint32_t address[2], bytes[2], type;
};

static uint64_t multiboot_wide(const uint32_t word[2])
{
    return word[0] | (uint64_t)word[1] << 32;
}

static bool multiboot_ranges(const struct multiboot_info *raw, start_map *map,
                             struct start_info *info)
{
    if (!(raw->flags & WITH_MAP))
        return false;
    uint64_t at = raw->map, end = at + raw->map_bytes;
    for (unsigned i = 0; i < START_RANGES_MAX && at + sizeof(struct multiboot_range) <= end; i++) {
        struct multiboot_range one;
        const void *found = map(at, sizeof one);
        if (!found)
            break;
        memcpy(&one, found, sizeof one);
        start_add_range(info, &(struct pvh_range){.address = multiboot_wide(one.address),
                                                  .bytes = multiboot_wide(one.bytes),
                                                  .type = one.type});
        at += sizeof one.bytes_behind + (uint64_t)one.bytes_behind;
    }
    return info->range_count != 0;
}

/* iPXE and QEMU put the kernel's file name first, GRUB does not. Our words have a "=", and names
 * have none. */
static void multiboot_leave_name(char *line)
{
    size_t first = strcspn(line, " ");
    if (!memchr(line, '=', first))
        memmove(line, line + first, strlen(line + first) + 1);
}

const char *multiboot_read(uint64_t at, start_map *map, struct start_info *info)
{
    struct multiboot_info raw;
    const uint32_t *words = map(at, 2 * sizeof *words);
    const void *found = words ? map(words[1], sizeof raw) : NULL;
    if (!found)
        return "it lies outside of memory";
    memcpy(&raw, found, sizeof raw);
    if (!multiboot_ranges(&raw, map, info))
        return "no memory map";
    if (raw.flags & WITH_LINE)
        start_command_line(raw.line, map, info->command_line);
    multiboot_leave_name(info->command_line);
    info->rsdp = acpi_search(map);
    memcpy(info->note.loader, "Multiboot", sizeof "Multiboot");
    for (unsigned i = 0; (raw.flags & WITH_MODULES) && i < raw.module_count && i < ARCH_MODULES_MAX;
         i++) {
        struct multiboot_module one;
        found = map(raw.modules + (uint64_t)i * sizeof one, sizeof one);
        if (!found)
            break;
        memcpy(&one, found, sizeof one);
        if (one.start && one.start < one.end)
            info->module[info->module_count++] = (struct start_range){one.start, one.end};
    }
    return NULL;
}
