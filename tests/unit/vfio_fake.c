/* VFIO as Linux would answer, with the 82599 model as the device. */
#define _GNU_SOURCE
#include "tests/unit/vfio_fake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    GROUP = 12,
    CONFIG_AT = 7 << 20, /* where configuration space lies in the device's descriptor */
    COMMAND_MASTER = 1 << 2,
};

struct fake_vfio fake;
static int container = -1, group = -1, device = -1, interrupt = -1;
static bool masked, attached;

int __real_open(const char *path, int flags, ...);
ssize_t __real_pread(int fd, void *data, size_t bytes, off_t at);
ssize_t __real_pwrite(int fd, const void *data, size_t bytes, off_t at);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_access(const char *path, int mode);
ssize_t __real_readlink(const char *path, char *target, size_t room);
int __real_arch_device_map(const struct arch_device *of, unsigned index, struct arch_mmio *mmio);

int __wrap_open(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
ssize_t __wrap_pread(int fd, void *data, size_t bytes, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t bytes, off_t at);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_access(const char *path, int mode);
ssize_t __wrap_readlink(const char *path, char *target, size_t room);
int __wrap_arch_device_map(const struct arch_device *of, unsigned index, struct arch_mmio *mmio);

static int failed(int error)
{
    if (!error)
        return 0;
    errno = error;
    return -1;
}

/* ---- sysfs and /dev ----------------------------------------------------------------------- */

int __wrap_access(const char *path, int mode)
{
    if (strncmp(path, "/sys/bus/pci/", 13) != 0)
        return __real_access(path, mode);
    bool there = strcmp(path, "/sys/bus/pci/devices/" FAKE_ADDRESS) == 0;
    return failed(there && !fake.computer.absent ? 0 : ENOENT);
}

ssize_t __wrap_readlink(const char *path, char *target, size_t room)
{
    const char *link = strrchr(path, '/');
    if (strncmp(path, "/sys/bus/pci/", 13) != 0)
        return __real_readlink(path, target, room);
    if (strcmp(link, "/iommu_group") == 0 && !fake.computer.no_group)
        return snprintf(target, room, "../../../kernel/iommu_groups/%d", GROUP);
    if (strcmp(link, "/driver") == 0 && fake.computer.driver)
        return snprintf(target, room, "../../../bus/pci/drivers/%s", fake.computer.driver);
    return failed(ENOENT);
}

static int opened(int *fd, int error)
{
    if (error)
        return failed(error);
    return *fd = __real_open("/dev/null", O_RDWR);
}

int __wrap_open(const char *path, int flags, ...)
{
    char text[64];
    if (strcmp(path, "/dev/vfio/vfio") == 0)
        return opened(&container, fake.computer.container_error);
    snprintf(text, sizeof(text), "/dev/vfio/%d", GROUP);
    if (strcmp(path, text) == 0) {
        fake.group_opens++;
        return opened(&group, fake.computer.group_error);
    }
    if (strncmp(path, "/sys/kernel/iommu_groups/", 25) != 0)
        return __real_open(path, flags);
    if (!fake.computer.noiommu)
        return failed(ENOENT);
    int fd = memfd_create("name", 0);
    if (write(fd, "vfio-noiommu\n", 13) != 13)
        abort();
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* ---- the container ------------------------------------------------------------------------ */

static int get_iommu_info(uint8_t *info)
{
    struct vfio_iommu_type1_info *head = (void *)info;
    struct vfio_iommu_type1_info_cap_iova_range *list = (void *)(info + sizeof(*head));
    uint32_t bytes = (uint32_t)(sizeof(*head) + sizeof(*list) +
                                fake.computer.ranges * sizeof(list->iova_ranges[0]));
    head->flags = 0;
    if (fake.computer.ranges == 0 || head->argsz < bytes)
        return 0;
    head->flags = VFIO_IOMMU_INFO_CAPS;
    head->cap_offset = sizeof(*head);
    list->header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
    list->header.version = 1;
    list->header.next = 0;
    list->nr_iovas = fake.computer.ranges;
    for (unsigned i = 0; i < fake.computer.ranges; i++) {
        list->iova_ranges[i].start = fake.computer.first[i];
        list->iova_ranges[i].end = fake.computer.last[i];
    }
    return 0;
}

/* As Linux does: whole pages, at addresses the IOMMU translates, to an IOMMU that is set. */
static int map_dma(const struct vfio_iommu_type1_dma_map *map)
{
    bool inside = fake.computer.ranges == 0;
    for (unsigned i = 0; i < fake.computer.ranges; i++)
        inside |= map->iova >= fake.computer.first[i] &&
                  map->iova + map->size - 1 <= fake.computer.last[i];
    if (fake.computer.map_error || !attached || !inside ||
        (map->iova | map->vaddr | map->size) % 4096)
        return failed(fake.computer.map_error ? fake.computer.map_error : EINVAL);
    fake.map = *map;
    fake.maps++;
    return 0;
}

static int container_call(unsigned long request, void *argument)
{
    switch (request) {
    case VFIO_GET_API_VERSION:
        return VFIO_API_VERSION;
    case VFIO_CHECK_EXTENSION:
        return (uintptr_t)argument == VFIO_TYPE1v2_IOMMU;
    case VFIO_SET_IOMMU:
        return failed(attached ? fake.computer.iommu_error : EINVAL);
    case VFIO_IOMMU_GET_INFO:
        return get_iommu_info(argument);
    case VFIO_IOMMU_MAP_DMA:
        return map_dma(argument);
    default:
        return failed(ENOTTY);
    }
}

static int group_call(unsigned long request, void *argument)
{
    switch (request) {
    case VFIO_GROUP_GET_STATUS:
        ((struct vfio_group_status *)argument)->flags =
            fake.computer.not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE;
        return 0;
    case VFIO_GROUP_SET_CONTAINER:
        attached = !fake.computer.attach_error;
        return failed(*(int *)argument == container ? fake.computer.attach_error : EINVAL);
    case VFIO_GROUP_GET_DEVICE_FD:
        if (fake.computer.device_error || strcmp(argument, FAKE_ADDRESS) != 0)
            return failed(fake.computer.device_error ? fake.computer.device_error : ENODEV);
        return device = __real_open("/dev/null", O_RDWR);
    default:
        return failed(ENOTTY);
    }
}

/* ---- the device --------------------------------------------------------------------------- */

static int region_info(struct vfio_region_info *info)
{
    bool registers = info->index == VFIO_PCI_BAR0_REGION_INDEX;
    bool ports = info->index == VFIO_PCI_BAR2_REGION_INDEX;
    if (info->index > VFIO_PCI_CONFIG_REGION_INDEX)
        return failed(EINVAL);
    info->flags = registers ? VFIO_REGION_INFO_FLAG_MMAP : 0;
    info->size = registers ? IXGBE_MODEL_BYTES : ports ? 32 : 0;
    info->offset = registers ? 1 << 20 : 2 << 20;
    if (info->index == VFIO_PCI_CONFIG_REGION_INDEX) {
        info->size = FAKE_CONFIG;
        info->offset = CONFIG_AT;
    }
    return 0;
}

static int set_irqs(const struct vfio_irq_set *set)
{
    if (set->count != 1 || set->start != 0 ||
        (set->index == VFIO_PCI_INTX_IRQ_INDEX && fake.computer.no_line))
        return failed(EINVAL);
    fake.line = set->index;
    if (set->flags == (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)) {
        if (set->argsz < sizeof(*set) + sizeof(interrupt))
            return failed(EINVAL);
        memcpy(&interrupt, set->data, sizeof(interrupt));
        return 0;
    }
    if (set->flags != (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK))
        return failed(EINVAL);
    fake.unmasks++;
    masked = false;
    fake_tick();
    return 0;
}

static int device_call(unsigned long request, void *argument)
{
    struct vfio_irq_info *irq = argument;
    switch (request) {
    case VFIO_DEVICE_GET_INFO:
        ((struct vfio_device_info *)argument)->flags =
            VFIO_DEVICE_FLAGS_PCI | (fake.computer.no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET);
        return 0;
    case VFIO_DEVICE_GET_REGION_INFO:
        return region_info(argument);
    case VFIO_DEVICE_GET_IRQ_INFO:
        irq->count = irq->index == VFIO_PCI_MSI_IRQ_INDEX || !fake.computer.no_line;
        return 0;
    case VFIO_DEVICE_SET_IRQS:
        return set_irqs(argument);
    case VFIO_DEVICE_RESET:
        fake.resets++;
        ixgbe_model_pci_reset(&fake.model);
        return failed(fake.computer.reset_error);
    default:
        return failed(ENOTTY);
    }
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (fd == container)
        return container_call(request, argument);
    return fd == group ? group_call(request, argument) : device_call(request, argument);
}

ssize_t __wrap_pread(int fd, void *data, size_t bytes, off_t at)
{
    if (fd != device || device < 0)
        return __real_pread(fd, data, bytes, at);
    if (at < CONFIG_AT || at + (off_t)bytes > CONFIG_AT + FAKE_CONFIG)
        return failed(EINVAL);
    memcpy(data, fake.config + (at - CONFIG_AT), bytes);
    return (ssize_t)bytes;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    if (fd != device || device < 0)
        return __real_pwrite(fd, data, bytes, at);
    if (at < CONFIG_AT || at + (off_t)bytes > CONFIG_AT + FAKE_CONFIG)
        return failed(EINVAL);
    memcpy(fake.config + (at - CONFIG_AT), data, bytes);
    memcpy(&fake.written, data, bytes < 4 ? bytes : 4);
    fake.written_bytes = (unsigned)bytes;
    fake.model.bus_master = fake.config[4] & COMMAND_MASTER;
    return (ssize_t)bytes;
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (fd < 0 || fd != device)
        return __real_mmap(at, bytes, protection, flags, fd, offset);
    if (bytes != IXGBE_MODEL_BYTES || offset != 1 << 20 || flags != MAP_SHARED) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    return __real_mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* ---- the model behind region 0 ------------------------------------------------------------ */

/* What the machine mapped is memory nobody may touch; its accesses go to the model instead. */
int __wrap_arch_device_map(const struct arch_device *of, unsigned index, struct arch_mmio *mmio)
{
    int error = __real_arch_device_map(of, index, mmio);
    if (error == 0)
        mmio->model = &fake.ops;
    return error;
}

void fake_tick(void)
{
    uint64_t one = 1;
    ixgbe_model_tick(&fake.model, arch_clock_ns());
    bool asserted = ixgbe_model_interrupt(&fake.model) != 0;
    if (!asserted && fake.line == VFIO_PCI_MSI_IRQ_INDEX)
        masked = false; /* the next cause is another message */
    if (!asserted || masked || interrupt < 0)
        return;
    masked = true;
    fake.fired++;
    if (write(interrupt, &one, sizeof(one)) != sizeof(one))
        abort();
}

static uint32_t fake_read32(void *door, uint32_t offset)
{
    (void)door;
    fake_tick();
    return ixgbe_model_read(&fake.model, offset);
}

static void fake_write32(void *door, uint32_t offset, uint32_t value)
{
    (void)door;
    ixgbe_model_write(&fake.model, offset, value);
    fake_tick();
}

/* The IOMMU: what was not mapped is not there. */
static void *fake_translate(void *argument, uint64_t address, size_t bytes)
{
    uint64_t into = address - fake.map.iova;
    (void)argument;
    if (!fake.maps || address < fake.map.iova || into > fake.map.size ||
        bytes > fake.map.size - into)
        return NULL;
    return (void *)(uintptr_t)(fake.map.vaddr + into);
}

static void fake_send(void *argument, const uint8_t *frame, size_t length)
{
    (void)argument;
    fake.frame[fake.sent % FAKE_SENT].length = (uint16_t)length;
    memcpy(fake.frame[fake.sent++ % FAKE_SENT].data, frame, length);
}

static void fake_violation(void *argument, const char *sentence)
{
    (void)argument;
    fprintf(stderr, "82599 model: %s\n", sentence);
    abort();
}

static const struct arch_model_ops fake_ops = {fake_read32, fake_write32};

void fake_start(const uint8_t mac[6])
{
    static const struct ixgbe_model_host host = {NULL, fake_translate, fake_send, fake_violation};
    static const uint8_t config[] = {
        [0] = 0x86, 0x80, 0xfb, 0x10, [8] = 1, 0,    0,    2,           [16] = 4, 0,    0,
        0xfe,       2,    0,    0,    0,       0x01, 0x30, [44] = 0x86, 0x80,     0x03, 0x00};
    memset(&fake, 0, sizeof(fake));
    memcpy(fake.config, config, sizeof(config));
    fake.computer = (struct fake_computer){.driver = "vfio-pci",
                                           .ranges = 2,
                                           .first = {0, 0xfef00000},
                                           .last = {0xfedfffff, (1ull << 39) - 1}};
    fake.ops = &fake_ops;
    ixgbe_model_start(&fake.model, 0x10fb, mac, &host);
}
