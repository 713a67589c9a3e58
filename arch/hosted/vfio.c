/* How a PCI device is reached through VFIO: its IOMMU group, the container, the arena mapped for DMA.
 * Source: Linux, Documentation/driver-api/vfio.rst and include/uapi/linux/vfio.h. */
#define _GNU_SOURCE
#include "vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hosted.h"

enum {
    PATH_ROOM = 128,
    IOMMU_INFO_BYTES = 4096, /* Linux' answer with its list of address ranges, and room */
    IOVA_ALIGN = 2 << 20,    /* the IOMMU can then use large pages where the arena does */
};

static struct {
    int container;
    unsigned groups, devices;
    struct {
        unsigned long number;
        int fd;
    } group[HOSTED_DEVICES_MAX];
    struct vfio_device device[HOSTED_DEVICES_MAX];
} vfio = {.container = -1};

bool vfio_refuse(char why[VFIO_WHY_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, VFIO_WHY_MAX, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- what sysfs says ---------------------------------------------------------------------- */

/* The last part of what a link of the device points to. False: there is no such link. */
static bool device_link(const char *address, const char *link, char name[PATH_ROOM])
{
    char path[PATH_ROOM], target[PATH_ROOM * 2];
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, link);
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    if (length < 0)
        return false;
    target[length] = '\0';
    const char *slash = strrchr(target, '/');
    snprintf(name, PATH_ROOM, "%.100s", slash ? slash + 1 : target);
    return true;
}

/* "03:00.0" or "0000:03:00.0" */
static bool address_read(const char *text, char address[VFIO_ADDRESS_MAX])
{
    unsigned domain = 0, bus, slot, function;
    int end = -1;
    if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4) {
        domain = 0;
        sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &end);
    }
    if (end < 0 || text[end] || slot > 31 || function > 7)
        return false;
    snprintf(address, VFIO_ADDRESS_MAX, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff, slot,
             function);
    return true;
}

static bool group_is_noiommu(const char *group)
{
    char path[PATH_ROOM], name[32] = "";
    snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%.20s/name", group);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool noiommu = read(fd, name, sizeof(name) - 1) > 0 && strncmp(name, "vfio-noiommu", 12) == 0;
    close(fd);
    return noiommu;
}

/* The device's IOMMU group, when it is there and bound to vfio-pci. */
static bool group_find(const char *address, unsigned long *number, char why[VFIO_WHY_MAX])
{
    char name[PATH_ROOM], driver[PATH_ROOM], path[PATH_ROOM];
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
    if (access(path, F_OK) != 0)
        return vfio_refuse(why, "no PCI device has this address; lspci -D lists them");
    bool grouped = device_link(address, "iommu_group", name);
    if (grouped && group_is_noiommu(name))
        return vfio_refuse(why, "VFIO's no-IOMMU mode is not used: the device could then write to "
                                "any memory of this computer; turn the IOMMU on instead: the "
                                "firmware's VT-d or AMD-Vi, and intel_iommu=on for Linux");
    if (!grouped)
        return vfio_refuse(why, "no IOMMU stands between it and memory; turn VT-d or AMD-Vi on in "
                                "the firmware's settings, and boot Linux with intel_iommu=on (AMD "
                                "needs no word)");
    bool bound = device_link(address, "driver", driver);
    if (!bound || strcmp(driver, "vfio-pci") != 0)
        return vfio_refuse(why,
                           "%s drives it; give it to vfio-pci, as root: modprobe vfio-pci; cd "
                           "/sys/bus/pci/devices/%s; echo vfio-pci >driver_override; "
                           "%s%s%secho %s >/sys/bus/pci/drivers_probe",
                           bound ? driver : "nothing", address, bound ? "echo " : "",
                           bound ? address : "", bound ? " >driver/unbind; " : "", address);
    *number = strtoul(name, NULL, 10);
    return true;
}

/* ---- the container ------------------------------------------------------------------------ */

static bool container_open(char why[VFIO_WHY_MAX])
{
    if (vfio.container >= 0)
        return true;
    int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return vfio_refuse(why,
                           "/dev/vfio/vfio: %s; as root: modprobe vfio-pci, and chmod 666 "
                           "/dev/vfio/vfio if need be (it gives no rights by itself)",
                           strerror(errno));
    if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
        ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1) {
        close(fd);
        return vfio_refuse(why, "this Linux has no type 1 IOMMU; as root: modprobe "
                                "vfio_iommu_type1");
    }
    vfio.container = fd;
    return true;
}

/* Where the arena goes among the addresses the IOMMU translates: where it is for us, or else into
 * the first range with room. Many an IOMMU translates 39 bits, and Linux puts mappings at 47. The
 * ranges leave out what is not memory to a device, such as the interrupts at 0xfee00000. */
static bool iova_choose(struct hosted_arena arena, uint64_t *iova)
{
    static union {
        struct vfio_iommu_type1_info info;
        uint8_t byte[IOMMU_INFO_BYTES];
    } answer;
    const struct vfio_iommu_type1_info_cap_iova_range *list = NULL;
    bool found = false;
    answer.info = (struct vfio_iommu_type1_info){.argsz = sizeof(answer)};
    *iova = arena.start;
    if (ioctl(vfio.container, VFIO_IOMMU_GET_INFO, &answer) == 0 &&
        answer.info.flags & VFIO_IOMMU_INFO_CAPS)
        for (uint32_t at = answer.info.cap_offset; at && at <= sizeof(answer) - sizeof(*list);) {
            const struct vfio_info_cap_header *header = (const void *)(answer.byte + at);
            if (header->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
                list = (const void *)header;
            at = header->next > at ? header->next : 0;
        }
    if (!list) /* Linux before 5.4 does not tell, and then refuses what does not fit */
        return true;
    for (uint32_t i = 0; i < list->nr_iovas; i++) {
        uint64_t first = list->iova_ranges[i].start, last = list->iova_ranges[i].end;
        if ((const uint8_t *)&list->iova_ranges[i + 1] > answer.byte + sizeof(answer))
            break;
        if (first <= arena.start && arena.start + arena.bytes - 1 <= last) {
            *iova = arena.start;
            return true;
        }
        /* Never at 0, which descriptors and people take for none. */
        first = first ? (first + IOVA_ALIGN - 1) & ~(uint64_t)(IOVA_ALIGN - 1) : IOVA_ALIGN;
        if (!found && first <= last && last - first >= arena.bytes - 1) {
            *iova = first;
            found = true;
        }
    }
    return found;
}

static bool arena_map(char why[VFIO_WHY_MAX])
{
    struct hosted_arena arena = hosted_memory_arena();
    struct rlimit limit = {0, 0};
    struct vfio_iommu_type1_dma_map map = {
        .argsz = sizeof(map),
        .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        .vaddr = arena.start,
        .size = arena.bytes,
    };
    unsigned mib = (unsigned)(arena.bytes >> 20);
    uint64_t iova;
    if (!iova_choose(arena, &iova))
        return vfio_refuse(why,
                           "the IOMMU has no %u MiB of addresses in one piece; give --memory "
                           "less",
                           mib);
    map.iova = iova;
    if (ioctl(vfio.container, VFIO_IOMMU_MAP_DMA, &map) == 0) {
        hosted_memory_shift(iova - arena.start);
        return true;
    }
    int error_number = errno;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (error_number == ENOMEM)
        return vfio_refuse(why,
                           "the %u MiB of --memory cannot be locked, %llu KiB may be; run as "
                           "root, or first: sudo prlimit --pid $$ --memlock=%llu",
                           mib, (unsigned long long)limit.rlim_cur >> 10,
                           (unsigned long long)arena.bytes * 2);
    return vfio_refuse(why, "its IOMMU does not map %u MiB at %llx: %s; see dmesg", mib,
                       (unsigned long long)iova, strerror(error_number));
}

/* ---- groups ------------------------------------------------------------------------------- */

static bool group_refused(unsigned long number, char why[VFIO_WHY_MAX])
{
    switch (errno) {
    case EACCES:
    case EPERM:
        return vfio_refuse(why,
                           "/dev/vfio/%lu is not yours to open; sudo chown $USER "
                           "/dev/vfio/%lu",
                           number, number);
    case EBUSY:
        return vfio_refuse(why,
                           "another process has its IOMMU group, %lu; end that: sudo fuser "
                           "/dev/vfio/%lu",
                           number, number);
    default:
        return vfio_refuse(why, "/dev/vfio/%lu: %s", number, strerror(errno));
    }
}

/* Puts the group into the container; the first one gives the container its IOMMU. */
static bool group_attach(int fd, unsigned long number, char why[VFIO_WHY_MAX])
{
    struct vfio_group_status status = {.argsz = sizeof(status)};
    if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status) != 0 || !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
        return vfio_refuse(why,
                           "Linux drivers have other devices of its IOMMU group; give these "
                           "to vfio-pci too: ls /sys/kernel/iommu_groups/%lu/devices",
                           number);
    if (ioctl(fd, VFIO_GROUP_SET_CONTAINER, &vfio.container) != 0)
        return vfio_refuse(why,
                           "its IOMMU group %lu does not go with the other devices': %s; run "
                           "one Piglet for each",
                           number, strerror(errno));
    if (vfio.groups > 0)
        return true;
    if (ioctl(vfio.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0)
        return arena_map(why);
    if (errno == EPERM)
        return vfio_refuse(why, "the IOMMU does not guard interrupts; turn interrupt remapping on "
                                "in the firmware (x2APIC), or trust the device, as root: echo 1 "
                                ">/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
    return vfio_refuse(why, "no type 1 IOMMU for its group %lu: %s; see dmesg", number,
                       strerror(errno));
}

/* The group's descriptor, opened once however many of its devices are ours; -1 and `why`. */
static int group_open(unsigned long number, char why[VFIO_WHY_MAX])
{
    char path[PATH_ROOM];
    for (unsigned i = 0; i < vfio.groups; i++)
        if (vfio.group[i].number == number)
            return vfio.group[i].fd;
    snprintf(path, sizeof(path), "/dev/vfio/%lu", number);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        group_refused(number, why);
    } else if (!group_attach(fd, number, why)) {
        close(fd);
        fd = -1;
    } else {
        vfio.group[vfio.groups].number = number;
        vfio.group[vfio.groups++].fd = fd;
    }
    return fd;
}

bool vfio_open(const char *name, const char *address, struct arch_device *device,
               char why[VFIO_WHY_MAX])
{
    struct vfio_device *self = &vfio.device[vfio.devices];
    unsigned long number = 0;
    if (!address_read(address, self->address))
        return vfio_refuse(why, "give a PCI address, as in vfio:0000:03:00.0; lspci -D lists them");
    if (vfio.devices == HOSTED_DEVICES_MAX)
        return vfio_refuse(why, "at most %d devices", HOSTED_DEVICES_MAX);
    if (!group_find(self->address, &number, why) || !container_open(why))
        return false;
    int group = group_open(number, why);
    if (group < 0)
        return false;
    self->fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, self->address);
    if (self->fd < 0)
        return vfio_refuse(why,
                           "its IOMMU group %lu does not give it: %s; give it once, and see "
                           "dmesg",
                           number, strerror(errno));
    struct arch_device found = {.bus = ARCH_BUS_PCI, .machine = self};
    snprintf(found.name, sizeof(found.name), "%s", name);
    if (!vfio_describe(self, &found, why)) {
        close(self->fd);
        return false;
    }
    *device = found;
    vfio.devices++;
    return true;
}
