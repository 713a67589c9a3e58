/* Shared memory between a virtual machine and its host: QEMU's ivshmem-plain, a window each. */
#ifndef DRIVERS_IVSHMEM_IVSHMEM_H
#define DRIVERS_IVSHMEM_IVSHMEM_H

#include "kernel/window.h"

extern const struct window_driver ivshmem_driver;

#endif
