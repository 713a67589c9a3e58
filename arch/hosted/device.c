/* Devices: what --nic and --window named. There is no PCI bus and no interrupt line in a process. */
#include <stdio.h>
#include <string.h>

#include "arch/arch.h"
#include "hosted.h"

static struct {
    unsigned count;
    const char *host[HOSTED_DEVICES_MAX];
} devices;

bool hosted_device_add(const char *host)
{
    if (devices.count == HOSTED_DEVICES_MAX)
        return false;
    devices.host[devices.count++] = host;
    return true;
}

/* A name too long keeps its end, which tells paths apart. */
static void device_name(char *name, size_t room, const char *host)
{
    size_t length = strlen(host);
    if (length < room)
        memcpy(name, host, length + 1);
    else
        snprintf(name, room, "...%s", host + length + sizeof("...") - room);
}

unsigned arch_devices(struct arch_device *table, unsigned max)
{
    unsigned count = devices.count < max ? devices.count : max;
    for (unsigned i = 0; i < count; i++) {
        table[i] = (struct arch_device){.bus = ARCH_BUS_HOST, .host = devices.host[i]};
        device_name(table[i].name, sizeof(table[i].name), devices.host[i]);
    }
    return count;
}

uint32_t arch_device_config_read(const struct arch_device *device, unsigned offset)
{
    (void)device;
    (void)offset;
    return UINT32_MAX;
}

void arch_device_config_write(const struct arch_device *device, unsigned offset, uint32_t value)
{
    (void)device;
    (void)offset;
    (void)value;
}

void arch_device_enable(const struct arch_device *device)
{
    (void)device;
}

int arch_device_map(const struct arch_device *device, unsigned index, struct arch_mmio *mmio)
{
    (void)device;
    (void)index;
    (void)mmio;
    return ERR_NOT_FOUND;
}

void *arch_device_memory(const struct arch_device *device, unsigned index, size_t *bytes)
{
    (void)device;
    (void)index;
    (void)bytes;
    return NULL;
}

int arch_interrupt_attach(const struct arch_device *device, void (*post)(void *argument),
                          void *argument)
{
    (void)device;
    (void)post;
    (void)argument;
    return ERR_UNSUPPORTED;
}
