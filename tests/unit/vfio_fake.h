/* VFIO as Linux would answer, with the 82599 model as the device: system calls of arch/hosted/vfio*.c
 * end here (the linker's --wrap), and so do the accesses to the region that arch_device_map gave. */
#ifndef TESTS_UNIT_VFIO_FAKE_H
#define TESTS_UNIT_VFIO_FAKE_H

#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "tests/model/ixgbe_model.h"

enum { FAKE_SENT = 64, FAKE_CONFIG = 4096, FAKE_RANGES = 3 };

#define FAKE_ADDRESS "0000:03:00.0"

/* What the computer is like; a test changes it. Errors are errnos; 0: none. */
struct fake_computer {
    bool absent, no_group, noiommu, not_viable, no_reset;
    const char *driver; /* NULL: none */
    int container_error, group_error, attach_error, iommu_error, map_error, device_error;
    int reset_error;
    bool no_line; /* no INTx: messages only */
    unsigned ranges;
    uint64_t first[FAKE_RANGES], last[FAKE_RANGES]; /* what the IOMMU translates */
};

/* What was asked of it. */
struct fake_vfio {
    struct fake_computer computer;
    unsigned group_opens, maps, resets, unmasks, fired;
    struct vfio_iommu_type1_dma_map map;
    uint32_t line; /* VFIO's index of the interrupt that was set up */
    uint8_t config[FAKE_CONFIG];
    uint32_t written;       /* of the last write to configuration space, and */
    unsigned written_bytes; /* how wide */
    const struct arch_model_ops *ops;
    struct ixgbe_model model;
    unsigned sent;
    struct {
        uint16_t length;
        uint8_t data[IXGBE_MODEL_FRAME];
    } frame[FAKE_SENT];
};

extern struct fake_vfio fake;

/* A device just powered on, in a computer where all is well, whose IOMMU translates 39 bits. */
void fake_start(const uint8_t mac[6]);

/* It is now; what the device's line does about it. */
void fake_tick(void);

#endif
