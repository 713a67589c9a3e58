/* Multiboot 1's information as it lies in memory (Multiboot Specification 0.6.96, 3.3), what the kernel makes of it,
 * and what multiboot_stub.S puts before it. For assembly too. */
#ifndef X86_64_MULTIBOOT_H
#define X86_64_MULTIBOOT_H

#define MULTIBOOT_LOADED                                                                           \
    0x2badb002 /* in eax on entry, and the first word of what the stub hands over */

#ifndef __ASSEMBLER__
#include "start_info.h"

/* As start_info_read, from the stub's words at `at`: MULTIBOOT_LOADED, and where the information is. */
const char *multiboot_read(uint64_t at, start_map *map, struct start_info *info);
#endif
#endif
