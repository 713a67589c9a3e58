/* What a PVH loader hands over (pvh.h), or one of ours in the same shape. */
#ifndef X86_64_START_INFO_H
#define X86_64_START_INFO_H

#include "arch/arch.h"
#include "loader_note.h"

enum {
    START_RANGES_MAX = 128,
    START_LINE_MAX = 2048 + 1, /* with its NUL; Linux's limit */
};

struct start_range {
    uint64_t start, end; /* physical; start < end */
};

struct start_info {
    uint64_t rsdp;     /* 0: not given */
    uint64_t acpi_end; /* behind the last range of ACPI's tables; 0: none told */
    unsigned range_count, module_count;
    struct start_range ram[START_RANGES_MAX]; /* whole pages of usable memory */
    struct start_range module[ARCH_MODULES_MAX];
    struct loader_note note; /* zeroes: a loader of others */
    char command_line[START_LINE_MAX];
};

/* Memory at a physical address, or NULL where there is not as much. */
typedef void *start_map(uint64_t address, uint64_t bytes);
struct pvh_range;

/* Copies what lies at the physical address `at`, all of it foreign: counts, addresses and lengths are
 * checked, modules that cannot be are left out. NULL, or why it is unusable. */
const char *start_info_read(uint64_t at, start_map *map, struct start_info *info);

/* What readers of it share: a range of the memory map, and a line that ends in NUL. */
void start_add_range(struct start_info *info, const struct pvh_range *one);
void start_command_line(uint64_t address, start_map *map, char *line);

#endif
