/* Devices: what --nic and --window named. There is no PCI bus to look for more on. */
#include <stdio.h>
#include <string.h>

#include "arch/arch.h"
#include "hosted.h"
#include "vfio.h"

static struct {
    unsigned count;
    struct arch_device device[HOSTED_DEVICES_MAX];
} devices;

/* A name too long keeps its end, which tells paths apart. */
static void device_name(char *name, size_t room, const char *host)
{
    size_t length = strlen(host);
    if (length < room)
        memcpy(name, host, length + 1);
    else
        snprintf(name, room, "...%s", host + length + sizeof("...") - room);
}

bool hosted_device_add(const char *host)
{
    if (devices.count == HOSTED_DEVICES_MAX)
        return false;
    struct arch_device *device = &devices.device[devices.count++];
    *device = (struct arch_device){.bus = ARCH_BUS_HOST, .host = host};
    device_name(device->name, sizeof(device->name), host);
    return true;
}

const char *hosted_devices_open(void)
{
    static const char kind[] = "vfio:";
    static char why[VFIO_WHY_MAX + 64];
    char sentence[VFIO_WHY_MAX];
    for (unsigned i = 0; i < devices.count; i++) {
        const char *host = devices.device[i].host;
        if (!host || strncmp(host, kind, sizeof(kind) - 1) != 0 ||
            vfio_open(host, host + sizeof(kind) - 1, &devices.device[i], sentence))
            continue;
        snprintf(why, sizeof(why), "--nic %.40s: %s", host, sentence);
        return why;
    }
    return NULL;
}

unsigned arch_devices(struct arch_device *table, unsigned max)
{
    unsigned count = devices.count < max ? devices.count : max;
    memcpy(table, devices.device, count * sizeof(table[0]));
    return count;
}
