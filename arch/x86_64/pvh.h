/* PVH's start info as it lies in memory. Source: Xen's xen/include/public/arch-x86/hvm/start_info.h. */
#ifndef X86_64_PVH_H
#define X86_64_PVH_H

#include <stdint.h>

#define PVH_MAGIC 0x336ec578

enum {
    PVH_WITH_MAP = 1, /* the version that brought the memory map */
    PVH_RAM = 1,      /* types of ranges: as of ACPI's E820 */
    PVH_RESERVED = 2,
    PVH_ACPI = 3,
    PVH_ACPI_NVS = 4,
};

struct pvh_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp, map; /* physical addresses; 0: none */
    uint32_t map_entries, reserved;
};

struct pvh_module {
    uint64_t address, bytes, command_line, reserved;
};

struct pvh_range {
    uint64_t address, bytes;
    uint32_t type, reserved;
};

#endif
