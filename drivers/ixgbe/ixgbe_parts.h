/* What the files of the ixgbe driver share.
 *
 * "DS" and a section number: the Intel 82599 datasheet (331520, revision 3.4). */
#ifndef DRIVERS_IXGBE_IXGBE_PARTS_H
#define DRIVERS_IXGBE_IXGBE_PARTS_H

#include "drivers/intel/device.h"
#include "drivers/intel/ring.h"
#include "drivers/ixgbe/registers.h"

enum { IXGBE_COUNTS = 5 }; /* counters of the driver's own */

/* How a port reaches its wire. */
enum ixgbe_media {
    IXGBE_SFP,       /* an SFP+ cage, whose module says what it is */
    IXGBE_BACKPLANE, /* KX4, KX, KR, CX4, XAUI: as the EEPROM says */
    IXGBE_COPPER,    /* X540: a PHY of its own, which firmware runs */
    IXGBE_UNKNOWN,   /* named, so that it can be said why it is left out */
};

struct ixgbe_chip {
    uint16_t device;
    uint8_t media; /* enum ixgbe_media */
    const char *name;
};

struct ixgbe {
    struct intel_device device; /* first, for intel_register_read */
    const struct ixgbe_chip *chip;
    unsigned lan; /* which of the chip's ports */
    unsigned pairs;
    unsigned turn;            /* the pair to be looked at next */
    struct nic_filter filter; /* as set */
    bool module_known;
    uint64_t statistics_due_ns, module_due_ns;
    uint64_t *count[IXGBE_COUNTS];
    uint64_t *queue_frames[NIC_QUEUES_MAX]; /* meant when there are several */
    struct intel_pair pair[];
};

static inline uint32_t ixgbe_read(const struct ixgbe *self, uint32_t offset)
{
    return intel_read(&self->device, offset);
}

static inline void ixgbe_write(const struct ixgbe *self, uint32_t offset, uint32_t value)
{
    intel_write(&self->device, offset, value);
}

/* ---- ixgbe_reset.c ---- */

/* DS 4.6.3: a device that is as after power-on, its EEPROM's settings loaded, no interrupts. */
int ixgbe_reset(struct ixgbe *self);

/* Warns about an EEPROM whose checksum is wrong; nothing is taken from it but by the device. */
void ixgbe_check_eeprom(struct ixgbe *self);

/* Takes what `sync` says (IXGBE_SYNC_) from firmware and other drivers; gives it back. */
int ixgbe_hold(struct ixgbe *self, uint32_t sync);
void ixgbe_release(struct ixgbe *self, uint32_t sync);

/* ---- ixgbe_link.c ---- */

/* Brings the link up; it comes later. */
void ixgbe_link_start(struct ixgbe *self);

/* Tells the nic about the link; looks for a module where none was. */
void ixgbe_link_follow(struct ixgbe *self);

/* ---- ixgbe_start.c ---- */

int ixgbe_start(struct ixgbe *self);
void ixgbe_set_address(const struct ixgbe *self, unsigned index, const uint8_t *mac);
void ixgbe_set_multicast(const struct ixgbe *self, bool all);
int ixgbe_set_promiscuous(struct ixgbe *self, bool promiscuous);

#endif
