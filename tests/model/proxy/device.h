/* One 82599 model behind QEMU's x-pci-proxy-dev: QEMU's messages in, the model's calls out.
 *
 * QEMU 7.2 sends, over a unix stream socket, what a guest does to a PCI function of another
 * process: accesses to configuration space and to memory regions, a map of the guest's memory as
 * descriptors, and resets. See qemu 7.2, hw/remote/mpqemu-link.c and hw/remote/proxy.c; host byte
 * order. Each device has its own socket. */
#ifndef TESTS_MODEL_PROXY_DEVICE_H
#define TESTS_MODEL_PROXY_DEVICE_H

#include "tests/model/ixgbe_model.h"

enum {
    PROXY_REGIONS = 8, /* of guest memory in one message; QEMU sends no more */
    PROXY_MAPS = 4,    /* files they are in, in practice one */
    PROXY_FDS = 16,
    PROXY_INPUT = 4096,
    PROXY_CONFIG = 256,
};

struct proxy_device {
    int socket;
    unsigned index;
    uint16_t id; /* PCI device id */
    struct ixgbe_model *model;
    bool was_reset; /* QEMU has probed the memory regions */
    uint8_t config[PROXY_CONFIG], writable[PROXY_CONFIG];

    struct {
        uint64_t device, inode, bytes;
        uint8_t *base;
    } map[PROXY_MAPS];
    unsigned maps;
    struct {
        uint64_t address, bytes;
        uint8_t *memory;
    } region[PROXY_REGIONS];
    unsigned regions;

    uint8_t input[PROXY_INPUT];
    size_t input_bytes;
    int fd[PROXY_FDS]; /* received and not yet asked for */
    unsigned fds;
};

/* Takes a connected socket and a model that is not started; host: whose violation and send are
 * used, and whose argument they get. */
void proxy_device_start(struct proxy_device *device, int socket, struct ixgbe_model *model,
                        uint16_t id, const uint8_t mac[6], const struct ixgbe_model_host *host);

enum proxy_result { PROXY_MORE, PROXY_CLOSED, PROXY_BROKEN };

/* Reads what QEMU sent, without waiting, and answers it. PROXY_CLOSED: QEMU is gone.
 * PROXY_BROKEN: what it sent makes no sense, as was said on stderr. */
enum proxy_result proxy_device_serve(struct proxy_device *device);

/* Memory of the guest, or NULL; `argument` is the device. */
void *proxy_device_translate(void *argument, uint64_t address, size_t bytes);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t proxy_now_ns(void);

#endif
