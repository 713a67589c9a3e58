/* Shared memory between a virtual machine and its host: QEMU's ivshmem-plain, a window each.
 *
 * BAR 2 is the memory (QEMU, docs/specs/ivshmem-spec). Its registers (BAR 0) carry interrupts,
 * which the plain device has none of: neither end can wake the other, and nothing tells when the
 * client goes, so it is asked for its heartbeat. */
#include "drivers/ivshmem/ivshmem.h"

#include "arch/arch.h"
#include "kernel/core.h"
#include "piglet/window.h"

enum {
    VENDOR_QEMU = 0x1af4,
    DEVICE_IVSHMEM = 0x1110,
    REGION_MEMORY = 2,
};

/* One device; of a core, a list. */
struct ivshmem {
    struct window window;
    struct ivshmem *next;
};

static bool ivshmem_match(const struct arch_device *device)
{
    return device->bus == ARCH_BUS_PCI && device->vendor == VENDOR_QEMU &&
           device->device == DEVICE_IVSHMEM;
}

static int ivshmem_failed(struct core *core, const struct arch_device *device, int error,
                          const char *why)
{
    log_write(&core->log, LOG_ERROR, device->name, "ivshmem BAR 2, %lu bytes: %s",
              (unsigned long)device->region[REGION_MEMORY].bytes, why);
    return error;
}

static int ivshmem_probe(struct core *core, const struct arch_device *device)
{
    void **first = window_state(core, &ivshmem_driver);
    size_t bytes;
    arch_device_enable(device);
    void *memory = arch_device_memory(device, REGION_MEMORY, &bytes);
    if (!memory)
        return ivshmem_failed(core, device, ERR_DEVICE, "it cannot be mapped");
    if (bytes < PIGLET_WINDOW_BYTES_MIN)
        return ivshmem_failed(core, device, ERR_RANGE, "too small for a window; size=4M is good");
    struct ivshmem *self = arch_memory_take(sizeof(*self), sizeof(void *));
    if (!self)
        return ivshmem_failed(core, device, ERR_NO_MEMORY, "no memory to keep it in");
    self->window = (struct window){
        .driver = &ivshmem_driver, .memory = memory, .bytes = bytes, .heartbeat = true};
    int error = window_open(core, &self->window);
    if (error < 0)
        return ivshmem_failed(core, device, error, piglet_error_text(error));
    self->next = *first;
    *first = self;
    log_write(&core->log, LOG_INFO, device->name, "window %u, %lu KiB",
              window_number(&self->window), (unsigned long)(bytes >> 10));
    return 0;
}

static void ivshmem_stop(struct core *core)
{
    void **first = window_state(core, &ivshmem_driver);
    for (struct ivshmem *self = *first; self; self = self->next)
        window_close(core, &self->window);
    *first = NULL;
}

const struct window_driver ivshmem_driver = {
    .name = "ivshmem",
    .match = ivshmem_match,
    .probe = ivshmem_probe,
    .stop = ivshmem_stop,
};
