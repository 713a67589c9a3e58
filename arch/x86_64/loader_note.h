/* What loaders of ours tell beyond what PVH's start info has room for: a module in its list, which the
 * kernel knows by its magic number and does not take for a configuration. */
#ifndef X86_64_LOADER_NOTE_H
#define X86_64_LOADER_NOTE_H

#include <stdint.h>

#define LOADER_NOTE_MAGIC 0x45544f4e50474950ull /* "PIGPNOTE" */

struct loader_screen {
    uint64_t address; /* physical, of the first pixel; 0: there is none */
    uint32_t width, height;
    uint32_t stride; /* bytes from a row to the next; a pixel has 4: three colours and one unused */
    uint32_t reserved;
};

struct loader_note {
    uint64_t magic;
    char loader[16]; /* "UEFI": for people */
    struct loader_screen screen;
};

#endif
