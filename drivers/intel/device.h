/* What the Intel controllers have in common beside their rings: registers, the EEPROM, addresses. */
#ifndef DRIVERS_INTEL_DEVICE_H
#define DRIVERS_INTEL_DEVICE_H

#include "drivers/nic.h"

struct intel_device {
    struct nic *nic;
    struct arch_mmio mmio;
    const char *chip; /* for people: "82574L" */
    bool gone;        /* pulled out; registers read as all ones */
};

static inline uint32_t intel_read(const struct intel_device *device, uint32_t offset)
{
    return arch_mmio_read32(device->mmio, offset);
}

static inline void intel_write(const struct intel_device *device, uint32_t offset, uint32_t value)
{
    arch_mmio_write32(device->mmio, offset, value);
}

/* Read, the bits of `clear` cleared, those of `set` set, written. */
static inline void intel_change(const struct intel_device *device, uint32_t offset, uint32_t clear,
                                uint32_t set)
{
    intel_write(device, offset, (intel_read(device, offset) & ~clear) | set);
}

/* The row of a driver's table for this device, or NULL. Rows begin with the PCI device id. */
const void *intel_chip(const struct arch_device *device, const void *rows, size_t count,
                       size_t row_bytes);

/* Maps region 0, the registers, and lets the device reach memory. Errors are logged. */
int intel_open(struct intel_device *device, struct nic *nic, const char *chip);

/* Waits until the bits of `mask` are as wanted. ERR_TIMEOUT, which is logged with the register's
 * name and value. */
int intel_wait(struct intel_device *device, uint32_t offset, uint32_t mask, uint32_t wanted,
               unsigned limit_us);

/* How the EEPROM is read, and what its checksum covers: words 0 to 0x3f, and the sections that some
 * of these point to, each beginning with the number of its words. */
struct intel_eeprom {
    uint32_t eerd; /* the register */
    uint32_t done; /* its bit that tells that a word was read */
    unsigned address_shift;
    unsigned sections, sections_end; /* words that are pointers; both 0: none */
};

enum { INTEL_EEPROM_WORDS = 64, INTEL_EEPROM_SUM = 0xbaba }; /* 8254x 5.6, 82599 6.2 */

/* Reads all that the checksum covers; words 0 to 2 go to `first`. A wrong sum is only warned about:
 * boards that work in spite of one are common. False: it cannot be read, which is logged. */
bool intel_eeprom_check(struct intel_device *device, const struct intel_eeprom *eeprom,
                        uint16_t first[3]);

/* The address in a pair of receive address registers. False: not one that a station may have. */
bool intel_address_get(const struct intel_device *device, uint32_t ral, uint8_t mac[6]);
bool intel_mac_valid(const uint8_t mac[6]);

/* Sets one. NULL: none. An entry that stays as it was goes on matching meanwhile; one that changes
 * is for a moment half the old address, half the new: no station's, or else the kernel drops what
 * came. */
void intel_address_set(const struct intel_device *device, uint32_t ral, const uint8_t *mac);

/* Whether the device is there, by a status register that was read; if not, says so once, with the
 * link down. Absent devices read as all ones (PCI 3.0, 6.1). */
bool intel_present(struct intel_device *device, uint32_t status, uint32_t causes);

/* For the tables of struct nic_driver: whether a register of this access mode may be looked at by
 * anyone. Those that clear when read may not, and those for writing say nothing. */
#define INTEL_READABLE_RW  true
#define INTEL_READABLE_RO  true
#define INTEL_READABLE_SC  true
#define INTEL_READABLE_S   true
#define INTEL_READABLE_RC  false
#define INTEL_READABLE_W1C false
#define INTEL_READABLE_WO  false
#define INTEL_READABLE_C   false

/* A driver's state begins with its struct intel_device. */
int intel_register_read(struct nic *nic, uint32_t offset, uint32_t *value);

#endif
