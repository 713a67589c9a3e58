/* PCI devices that Linux hands to this process through VFIO.
 *
 *   vfio.c         how one is reached: its IOMMU group, the container, the arena mapped for DMA
 *   vfio_device.c  what it is then: configuration space, regions, interrupt; arch.h's calls
 *
 * Nothing is given back in the end. When the last descriptor closes, by exit, exec or death, Linux
 * takes bus mastering away and resets the function before it unpins the memory. */
#ifndef HOSTED_VFIO_H
#define HOSTED_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"

enum {
    VFIO_WHY_MAX = 512,    /* bytes of a sentence that says why not, with its cure and NUL */
    VFIO_ADDRESS_MAX = 16, /* of "0000:03:00.0" */
};

/* A PCI device, as arch_device.machine points to it. */
struct vfio_device {
    char address[VFIO_ADDRESS_MAX];
    int fd;
    uint64_t config; /* where configuration space lies in the descriptor */
    struct {
        uint64_t offset, bytes; /* in the descriptor */
        bool maps;              /* memory, all of which mmap gives */
        void *base;             /* once mapped */
    } region[ARCH_REGIONS_MAX];
    int interrupt; /* eventfd, or -1 */
    unsigned line; /* VFIO's index of what feeds it: INTx or MSI */
    bool masked;   /* VFIO masked the line when it fired; the next sleep unmasks it */
    void (*post)(void *argument);
    void *argument;
};

/* Where the arena of arch_memory_take lies, and what is added to its addresses for devices. */
struct hosted_arena {
    uintptr_t start;
    size_t bytes;
};
struct hosted_arena hosted_memory_arena(void);
void hosted_memory_shift(uint64_t dma_offset);

/* Opens the device at "0000:03:00.0" (or "03:00.0"), maps the arena for it if it is the first, and
 * describes it as a PCI device called `name`. Pins the arena: all of it becomes resident.
 * False: `why` says why and what to do. */
bool vfio_open(const char *name, const char *address, struct arch_device *device,
               char why[VFIO_WHY_MAX]);

/* vfio_device.c: resets the function and fills in `device` and what `self` knows, its `fd` being
 * open. False, `why`: likewise. */
bool vfio_describe(struct vfio_device *self, struct arch_device *device, char why[VFIO_WHY_MAX]);

/* Writes a sentence; always false, for return. */
bool vfio_refuse(char why[VFIO_WHY_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
