/* A compiled configuration: what `pigctl compile` writes, and a kernel is given at its start as a boot
 * module (-initrd, hosted: --module). It is chains of requests and the data they speak of, run
 * through the same checks as a client's, in order, with all rights. All of it is done, or nothing:
 * each chain is ATOMIC, and when one fails those before it are undone.
 *
 *   0        +-----------------------------+
 *            | struct piglet_module        |
 *   64       +-----------------------------+
 *            | requests, 64 bytes each     |  in order; `next` of each is 1 when the next one belongs to
 *            |                             |  the same chain, else 0. cookie: line of the source file
 *   data     +-----------------------------+
 *            | data, whole pages           |  becomes the beginning of the window's data: an argument
 *            |                             |  PIGLET_TAG_OFFSET counts from here, and the first
 *            |                             |  Alloc_Mem gets these pages from the first one on, the
 *   bytes    +-----------------------------+  next those behind. A capability 0 is the system's
 *
 * Numbers of services are a kernel's own; a module finds them by name (Service_Find), so that it is
 * the same for every kernel. */
#ifndef PIGLET_MODULE_H
#define PIGLET_MODULE_H

#include "piglet/window.h"

#define PIGLET_MODULE_MAGIC 0x454c55444f4d4750ull /* "PGMODULE" */

enum {
    PIGLET_MODULE_MAJOR = 1,
    PIGLET_MODULE_MINOR = 0,
    PIGLET_MODULE_REQUESTS_MAX = 4096,
    PIGLET_MODULE_BYTES_MAX = 8 << 20,
};

struct piglet_module {
    uint64_t magic;      /* 0 */
    uint16_t major;      /* 8 */
    uint16_t minor;      /* 10 */
    uint32_t requests;   /* 12: how many */
    uint32_t data;       /* 16: offset of the data */
    uint32_t data_pages; /* 20 */
    uint32_t bytes;      /* 24: of all */
    uint32_t reserved;   /* 28 */
    char source[32];     /* 32: name of the file it was made from, for messages */
};

PIGLET_ASSERT(sizeof(struct piglet_module) == 64, "the module's header");

#endif
