/* One 82599 model behind QEMU's x-pci-proxy-dev. */
#define _GNU_SOURCE
#include "tests/model/proxy/device.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/model/ixgbe_parts.h"

/* Messages, as enum MPQemuCmd of QEMU 7.2 numbers them. */
enum { SYNC_SYSMEM, RET, CONFIG_WRITE, CONFIG_READ, BAR_WRITE, BAR_READ, SET_IRQFD, DEVICE_RESET };

struct header {
    int32_t command, padding;
    uint64_t bytes;
};

struct sync_sysmem {
    uint64_t address[PROXY_REGIONS], bytes[PROXY_REGIONS];
    int64_t offset[PROXY_REGIONS];
};

struct config_access {
    uint32_t offset, value;
    int32_t bytes;
};

struct bar_access {
    uint64_t address, value;
    uint32_t bytes;
    uint8_t is_memory, padding[3];
};

_Static_assert(sizeof(struct header) == 16, "as QEMU sends it");
_Static_assert(sizeof(struct sync_sysmem) == 192, "as QEMU sends it");
_Static_assert(sizeof(struct config_access) == 12, "as QEMU sends it");
_Static_assert(sizeof(struct bar_access) == 24, "as QEMU sends it");

uint64_t proxy_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- configuration space ------------------------------------------------------------------ */

enum {
    CONFIG_COMMAND = 0x04,
    CONFIG_STATUS = 0x06,
    CONFIG_CLASS = 0x08,
    CONFIG_BAR0 = 0x10,
    CONFIG_BAR1 = 0x14,
    CONFIG_SUBSYSTEM = 0x2c,
    CONFIG_CAPABILITIES = 0x34,
    CONFIG_LINE = 0x3c,
    CONFIG_PM = 0x40,   /* 82599 9.3.10.1 */
    CONFIG_PCIE = 0xa0, /* 82599 9.3.10.6 */
    COMMAND_MASTER = 1 << 2,
};

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value);
    put16(at + 2, value >> 16);
}

/* QEMU keeps a copy of command and regions, made from what it sees written; so they must have the
 * masks it believes in. No pin: nobody would hear it. */
static void config_reset(struct proxy_device *device)
{
    uint8_t *config = device->config, *writable = device->writable;
    memset(config, 0, PROXY_CONFIG);
    memset(writable, 0, PROXY_CONFIG);
    put16(config, 0x8086);
    put16(config + 2, device->id);
    put16(writable + CONFIG_COMMAND, 0x0547);
    put16(config + CONFIG_STATUS, 0x0010); /* there are capabilities */
    put32(config + CONFIG_CLASS, 0x02000001);
    put32(config + CONFIG_BAR0, 4); /* 64 bits */
    put32(writable + CONFIG_BAR0, ~(uint32_t)(IXGBE_MODEL_BYTES - 1));
    /* QEMU takes each half for a region of its own when it probes, before the first reset. */
    if (device->was_reset)
        put32(writable + CONFIG_BAR1, UINT32_MAX);
    put16(config + CONFIG_SUBSYSTEM, 0x8086);
    put16(config + CONFIG_SUBSYSTEM + 2, 0x0003);
    config[CONFIG_CAPABILITIES] = CONFIG_PM;
    writable[CONFIG_LINE] = 0xff;
    put32(config + CONFIG_PM, 0x00030001 | CONFIG_PCIE << 8);
    put32(config + CONFIG_PCIE, 0x00020010);
    put32(config + CONFIG_PCIE + 4, 0x00008002); /* 512 bytes a packet, function-level reset off */
    put32(config + CONFIG_PCIE + 12, 0x00000082);
    put32(config + CONFIG_PCIE + 16, 0x10820000); /* 8 lanes of 5 GT/s */
    put16(writable + CONFIG_PCIE + 8, 0xffff);
}

static bool config_ok(const struct config_access *access)
{
    return (access->bytes == 1 || access->bytes == 2 || access->bytes == 4) &&
           access->offset <= PROXY_CONFIG - (uint32_t)access->bytes;
}

static uint64_t config_read(const struct proxy_device *device, const struct config_access *access)
{
    uint64_t value = 0;
    for (int i = access->bytes; i-- > 0;)
        value = value << 8 | device->config[access->offset + (uint32_t)i];
    return value;
}

static void config_write(struct proxy_device *device, const struct config_access *access)
{
    for (uint32_t i = 0; i < (uint32_t)access->bytes; i++) {
        uint8_t *at = &device->config[access->offset + i];
        uint8_t mask = device->writable[access->offset + i];
        *at = (uint8_t)((*at & ~mask) | (access->value >> 8 * i & mask));
    }
    device->model->bus_master = device->config[CONFIG_COMMAND] & COMMAND_MASTER;
}

/* ---- memory ------------------------------------------------------------------------------- */

static void *map_file(struct proxy_device *device, int fd, uint64_t *bytes)
{
    struct stat about;
    if (fstat(fd, &about) < 0)
        return NULL;
    for (unsigned i = 0; i < device->maps; i++)
        if (device->map[i].device == about.st_dev && device->map[i].inode == about.st_ino) {
            *bytes = device->map[i].bytes;
            return device->map[i].base;
        }
    if (device->maps == PROXY_MAPS)
        return NULL;
    uint8_t *base = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return NULL;
    device->map[device->maps].device = about.st_dev;
    device->map[device->maps].inode = about.st_ino;
    device->map[device->maps].bytes = *bytes = (uint64_t)about.st_size;
    device->map[device->maps++].base = base;
    return base;
}

/* Replaces the whole map; there are as many descriptors as regions. False: too few came. */
static bool sync_sysmem(struct proxy_device *device, const struct sync_sysmem *sync)
{
    unsigned count = 0;
    while (count < PROXY_REGIONS && sync->bytes[count])
        count++;
    if (count > device->fds)
        return false;
    device->regions = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t bytes = 0, offset = (uint64_t)sync->offset[i];
        uint8_t *base = map_file(device, device->fd[i], &bytes);
        close(device->fd[i]);
        if (!base || offset > bytes || sync->bytes[i] > bytes - offset)
            continue; /* DMA there will be told of */
        device->region[device->regions].address = sync->address[i];
        device->region[device->regions].bytes = sync->bytes[i];
        device->region[device->regions++].memory = base + offset;
    }
    device->fds -= count;
    memmove(device->fd, device->fd + count, device->fds * sizeof device->fd[0]);
    return true;
}

void *proxy_device_translate(void *argument, uint64_t address, size_t bytes)
{
    const struct proxy_device *device = argument;
    for (unsigned i = 0; i < device->regions; i++) {
        uint64_t into = address - device->region[i].address;
        if (address >= device->region[i].address && into <= device->region[i].bytes &&
            bytes <= device->region[i].bytes - into)
            return device->region[i].memory + into;
    }
    return NULL;
}

/* ---- registers ---------------------------------------------------------------------------- */

/* 8.1: registers are accessed by 32 bits; 64 bits are two accesses. */
static uint64_t bar_read(struct proxy_device *device, const struct bar_access *access)
{
    uint32_t offset = access->address & (IXGBE_MODEL_BYTES - 1);
    model_forbid(device->model, access->bytes < 4, "8.1", "read of %u bytes at %05x", access->bytes,
                 offset);
    if (access->bytes < 4)
        return ixgbe_model_read(device->model, offset & ~3u) >> offset % 4 * 8 &
               ((1u << access->bytes * 8) - 1);
    uint64_t value = ixgbe_model_read(device->model, offset);
    if (access->bytes == 8)
        value |= (uint64_t)ixgbe_model_read(device->model, offset + 4) << 32;
    return value;
}

static void bar_write(struct proxy_device *device, const struct bar_access *access)
{
    uint32_t offset = access->address & (IXGBE_MODEL_BYTES - 1);
    if (model_forbid(device->model, access->bytes < 4, "8.1", "write of %u bytes at %05x",
                     access->bytes, offset))
        return;
    ixgbe_model_write(device->model, offset, (uint32_t)access->value);
    if (access->bytes == 8)
        ixgbe_model_write(device->model, offset + 4, (uint32_t)(access->value >> 32));
}

static bool bar_ok(const struct bar_access *access)
{
    return access->bytes == 1 || access->bytes == 2 || access->bytes == 4 || access->bytes == 8;
}

/* ---- messages ----------------------------------------------------------------------------- */

static bool reply(struct proxy_device *device, uint64_t value)
{
    struct {
        struct header header;
        uint64_t value;
    } message = {{RET, 0, sizeof value}, value};
    return send(device->socket, &message, sizeof message, MSG_NOSIGNAL) == sizeof message;
}

static void device_reset(struct proxy_device *device)
{
    device->was_reset = true;
    config_reset(device);
    ixgbe_model_pci_reset(device->model);
}

static bool drop_fds(struct proxy_device *device, unsigned count)
{
    if (count > device->fds)
        return false;
    for (unsigned i = 0; i < count; i++)
        close(device->fd[i]);
    device->fds -= count;
    memmove(device->fd, device->fd + count, device->fds * sizeof device->fd[0]);
    return true;
}

/* One message whose payload is complete. False: it makes no sense, or QEMU is gone. */
static bool take_message(struct proxy_device *device, const struct header *header,
                         const uint8_t *payload)
{
    union {
        struct sync_sysmem sync;
        struct config_access config;
        struct bar_access bar;
    } of;
    static const uint16_t bytes[] = {[SYNC_SYSMEM] = sizeof of.sync,
                                     [CONFIG_WRITE] = sizeof of.config,
                                     [CONFIG_READ] = sizeof of.config,
                                     [BAR_WRITE] = sizeof of.bar,
                                     [BAR_READ] = sizeof of.bar,
                                     [SET_IRQFD] = 0,
                                     [DEVICE_RESET] = 0};
    if (header->bytes != bytes[header->command])
        return false;
    memcpy(&of, payload, header->bytes);
    ixgbe_model_tick(device->model, proxy_now_ns());
    switch (header->command) {
    case SYNC_SYSMEM:
        return sync_sysmem(device, &of.sync);
    case SET_IRQFD:
        return drop_fds(device, 2);
    case CONFIG_WRITE:
        if (config_ok(&of.config))
            config_write(device, &of.config);
        return reply(device, 0);
    case CONFIG_READ:
        return reply(device, config_ok(&of.config) ? config_read(device, &of.config) : 0);
    case BAR_WRITE:
        if (bar_ok(&of.bar))
            bar_write(device, &of.bar);
        return reply(device, 0);
    case BAR_READ:
        return reply(device, bar_ok(&of.bar) ? bar_read(device, &of.bar) : 0);
    case DEVICE_RESET:
        device_reset(device);
        return reply(device, 0);
    default:
        return false;
    }
}

static bool take_messages(struct proxy_device *device)
{
    size_t at = 0;
    struct header header;
    while (device->input_bytes - at >= sizeof header) {
        memcpy(&header, device->input + at, sizeof header);
        if (header.command < 0 || header.command > DEVICE_RESET || header.command == RET ||
            header.bytes > sizeof(struct sync_sysmem))
            return false;
        if (device->input_bytes - at - sizeof header < header.bytes)
            break;
        if (!take_message(device, &header, device->input + at + sizeof header))
            return false;
        at += sizeof header + header.bytes;
    }
    device->input_bytes -= at;
    memmove(device->input, device->input + at, device->input_bytes);
    return true;
}

static void take_fds(struct proxy_device *device, struct msghdr *message)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control;
         control = CMSG_NXTHDR(message, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
            if (device->fds < PROXY_FDS)
                device->fd[device->fds++] = fd;
            else
                close(fd);
        }
    }
}

enum proxy_result proxy_device_serve(struct proxy_device *device)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(PROXY_FDS * sizeof(int))];
    } control;
    struct iovec part = {device->input + device->input_bytes, PROXY_INPUT - device->input_bytes};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got = recvmsg(device->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return PROXY_MORE;
    if (got <= 0)
        return PROXY_CLOSED;
    take_fds(device, &message);
    device->input_bytes += (size_t)got;
    if (take_messages(device))
        return PROXY_MORE;
    fprintf(stderr,
            "ixgbe-model: nic%u: QEMU's message is none of its proxy device's, or QEMU is gone\n",
            device->index);
    return PROXY_BROKEN;
}

void proxy_device_start(struct proxy_device *device, int socket, struct ixgbe_model *model,
                        uint16_t id, const uint8_t mac[6], const struct ixgbe_model_host *host)
{
    memset(device, 0, sizeof *device);
    device->socket = socket;
    device->model = model;
    device->id = id;
    config_reset(device);
    ixgbe_model_start(model, id, mac, host);
    ixgbe_model_tick(model, proxy_now_ns());
}
