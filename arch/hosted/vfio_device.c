/* A PCI device of this process: configuration space, regions, its interrupt. arch.h's calls. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hosted.h"
#include "vfio.h"

enum { /* PCI 3.0, 6.1 and 6.2.5 */
       PCI_ID = 0x00,
       PCI_COMMAND = 0x04,
       PCI_COMMAND_MEMORY = 1 << 1,
       PCI_COMMAND_MASTER = 1 << 2,
       PCI_CLASS = 0x08,
       PCI_BAR = 0x10,
       PCI_BAR_IO = 1,
       PCI_BAR_64 = 4, /* of bits 1 and 2 */
       PCI_SUBSYSTEM = 0x2c,
       PCI_CONFIG_BYTES = 4096,
};

_Static_assert(VFIO_PCI_BAR0_REGION_INDEX == 0, "regions have BARs' numbers");

/* ---- configuration space ------------------------------------------------------------------ */

uint32_t arch_device_config_read(const struct arch_device *device, unsigned offset)
{
    const struct vfio_device *self = device->machine;
    uint32_t value;
    if (!self || offset > PCI_CONFIG_BYTES - sizeof(value) ||
        pread(self->fd, &value, sizeof(value), (off_t)(self->config + offset)) != sizeof(value))
        return UINT32_MAX;
    return value;
}

void arch_device_config_write(const struct arch_device *device, unsigned offset, uint32_t value)
{
    const struct vfio_device *self = device->machine;
    if (!self || offset > PCI_CONFIG_BYTES - sizeof(value))
        return;
    if (pwrite(self->fd, &value, sizeof(value), (off_t)(self->config + offset)) < 0) {
        /* As on a bus: nobody hears of a write that nothing took. */
    }
}

void arch_device_enable(const struct arch_device *device)
{
    uint32_t command = arch_device_config_read(device, PCI_COMMAND) & 0xffff;
    arch_device_config_write(device, PCI_COMMAND,
                             command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* ---- what it is --------------------------------------------------------------------------- */

static void describe_regions(struct vfio_device *self, struct arch_device *device)
{
    for (unsigned i = 0; i < ARCH_REGIONS_MAX; i++) {
        struct vfio_region_info info = {.argsz = sizeof(info), .index = i};
        uint32_t low = arch_device_config_read(device, PCI_BAR + 4 * i), high = 0;
        if (ioctl(self->fd, VFIO_DEVICE_GET_REGION_INFO, &info) != 0 || info.size == 0)
            continue; /* absent, or the upper half of the one before */
        bool io = low & PCI_BAR_IO;
        if (!io && (low & 6) == PCI_BAR_64 && i + 1 < ARCH_REGIONS_MAX)
            high = arch_device_config_read(device, PCI_BAR + 4 * (i + 1));
        device->region[i].address = (uint64_t)high << 32 | (low & ~(io ? 3u : 15u));
        device->region[i].bytes = info.size;
        device->region[i].io = io;
        self->region[i].offset = info.offset;
        self->region[i].bytes = info.size;
        self->region[i].maps = info.flags & VFIO_REGION_INFO_FLAG_MMAP;
    }
}

/* The bus part only: two domains may have the same. */
static uint16_t bus_address(const char *address)
{
    unsigned bus = 0, slot = 0, function = 0;
    sscanf(address, "%*x:%x:%x.%x", &bus, &slot, &function);
    return (uint16_t)(bus << 8 | slot << 3 | function);
}

bool vfio_describe(struct vfio_device *self, struct arch_device *device, char why[VFIO_WHY_MAX])
{
    struct vfio_device_info info = {.argsz = sizeof(info)};
    struct vfio_region_info config = {.argsz = sizeof(config),
                                      .index = VFIO_PCI_CONFIG_REGION_INDEX};
    self->interrupt = -1;
    if (ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info) != 0 ||
        !(info.flags & VFIO_DEVICE_FLAGS_PCI) ||
        ioctl(self->fd, VFIO_DEVICE_GET_REGION_INFO, &config) != 0)
        return vfio_refuse(why, "VFIO does not know it as a PCI device: %s; see dmesg",
                           strerror(errno));
    /* Whatever it did for its last owner ends here. One that cannot be reset alone is left to its
     * driver, which resets it too. */
    if (info.flags & VFIO_DEVICE_FLAGS_RESET && ioctl(self->fd, VFIO_DEVICE_RESET) != 0)
        return vfio_refuse(why, "it does not come out of its reset: %s; see dmesg",
                           strerror(errno));
    self->config = config.offset;
    uint32_t id = arch_device_config_read(device, PCI_ID);
    uint32_t class = arch_device_config_read(device, PCI_CLASS);
    uint32_t subsystem = arch_device_config_read(device, PCI_SUBSYSTEM);
    if (id == UINT32_MAX)
        return vfio_refuse(why, "its configuration space reads as all ones; is it still there?");
    device->vendor = (uint16_t)id;
    device->device = (uint16_t)(id >> 16);
    device->subsystem_vendor = (uint16_t)subsystem;
    device->subsystem = (uint16_t)(subsystem >> 16);
    device->class_code = (uint8_t)(class >> 24);
    device->subclass = (uint8_t)(class >> 16);
    device->revision = (uint8_t) class;
    device->address = bus_address(self->address);
    describe_regions(self, device);
    return true;
}

/* ---- regions ------------------------------------------------------------------------------ */

int arch_device_map(const struct arch_device *device, unsigned index, struct arch_mmio *mmio)
{
    struct vfio_device *self = device->machine;
    if (!self || index >= ARCH_REGIONS_MAX || device->region[index].io || !self->region[index].maps)
        return ERR_NOT_FOUND;
    if (!self->region[index].base) {
        /* Linux maps it uncached. */
        void *base = mmap(NULL, self->region[index].bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                          self->fd, (off_t)self->region[index].offset);
        if (base == MAP_FAILED)
            return ERR_NO_MEMORY;
        self->region[index].base = base;
    }
    *mmio = (struct arch_mmio){.base = self->region[index].base};
    return 0;
}

void *arch_device_memory(const struct arch_device *device, unsigned index, size_t *bytes)
{
    (void)device;
    (void)index;
    (void)bytes;
    return NULL; /* shared memory comes to a process by --window */
}

/* ---- the interrupt ------------------------------------------------------------------------ */

/* One of VFIO's requests about the line: `data` is an eventfd, or nothing. */
static int line_set(const struct vfio_device *self, uint32_t flags, const int *data)
{
    union {
        struct vfio_irq_set set;
        uint8_t byte[sizeof(struct vfio_irq_set) + sizeof(*data)];
    } request = {
        .set = {.argsz = sizeof(request), .flags = flags, .index = self->line, .count = 1}};
    if (data)
        memcpy(request.set.data, data, sizeof(*data));
    return ioctl(self->fd, VFIO_DEVICE_SET_IRQS, &request);
}

/* VFIO masks the line when it fires. It stays so until the next sleep, as arch.h promises. */
static void line_fired(void *argument)
{
    struct vfio_device *self = argument;
    uint64_t count;
    if (read(self->interrupt, &count, sizeof(count)) != sizeof(count))
        return;
    self->masked = self->line == VFIO_PCI_INTX_IRQ_INDEX;
    self->post(self->argument);
}

/* If the line is still, or again, asserted, unmasking it makes the eventfd readable at once: what
 * came between the loop's last look and the sleep ends the sleep. */
static void line_before_sleep(void *argument)
{
    struct vfio_device *self = argument;
    if (!self->masked)
        return;
    self->masked = false;
    line_set(self, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, NULL);
}

/* The line before the message: it is level-triggered, so that a cause that was pending when the
 * driver let it through interrupts for certain. */
static bool line_connect(struct vfio_device *self)
{
    static const unsigned lines[] = {VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX};
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct vfio_irq_info info = {.argsz = sizeof(info), .index = lines[i]};
        if (ioctl(self->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) != 0 || info.count == 0)
            continue;
        self->line = lines[i];
        if (line_set(self, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                     &self->interrupt) == 0)
            return true;
    }
    return false;
}

int arch_interrupt_attach(const struct arch_device *device, void (*post)(void *argument),
                          void *argument)
{
    struct vfio_device *self = device->machine;
    if (!self || self->interrupt >= 0)
        return ERR_UNSUPPORTED;
    self->interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->interrupt < 0)
        return ERR_UNSUPPORTED;
    self->post = post;
    self->argument = argument;
    if (line_connect(self) &&
        hosted_idle_call(self->interrupt, line_fired, line_before_sleep, self) == 0)
        return 0;
    close(self->interrupt);
    self->interrupt = -1;
    return ERR_UNSUPPORTED;
}
