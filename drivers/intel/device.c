/* Registers, EEPROM and addresses of the Intel controllers. */
#include "drivers/intel/device.h"

#include <stdio.h>
#include <string.h>

enum {
    INTEL_POLL_US = 10,
    INTEL_EEPROM_US = 10000,         /* one word; Microwire needs about 100 us */
    INTEL_EEPROM_SECTION_MAX = 2048, /* words */
};

#define INTEL_RAH_AV (1u << 31) /* address valid; 8254x 13.5.3, 82599 8.2.3.7.9 */

const void *intel_chip(const struct arch_device *device, const void *rows, size_t count,
                       size_t row_bytes)
{
    if (device->bus != ARCH_BUS_PCI || device->vendor != 0x8086)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *row = (const uint8_t *)rows + i * row_bytes;
        uint16_t id;
        memcpy(&id, row, sizeof id);
        if (id == device->device)
            return row;
    }
    return NULL;
}

int intel_open(struct intel_device *device, struct nic *nic, const char *chip)
{
    const struct arch_device *at = nic->device;
    device->nic = nic;
    device->chip = chip;
    int error = arch_device_map(at, 0, &device->mmio);
    if (error < 0) {
        nic_log(nic, LOG_ERROR, "%s at %s: region 0, its registers, is at %llx with %llu bytes",
                chip, at->name, (unsigned long long)at->region[0].address,
                (unsigned long long)at->region[0].bytes);
        return error;
    }
    arch_device_enable(at);
    return 0;
}

/* "RXDCTL[3]" */
static const char *intel_register_name(const struct intel_device *device, uint32_t offset,
                                       char text[24])
{
    const struct nic_driver *driver = device->nic->driver;
    for (unsigned i = 0; i < driver->register_count; i++) {
        const struct nic_register *row = &driver->registers[i];
        uint32_t from = offset - row->offset, stride = row->stride ? row->stride : 4;
        if (offset < row->offset || from % stride || from / stride >= row->count)
            continue;
        if (row->count == 1)
            return row->name;
        snprintf(text, 24, "%.16s[%lu]", row->name, (unsigned long)(from / stride));
        return text;
    }
    return "a register";
}

int intel_wait(struct intel_device *device, uint32_t offset, uint32_t mask, uint32_t wanted,
               unsigned limit_us)
{
    char name[24];
    uint32_t value = intel_read(device, offset);
    for (unsigned spent_us = 0; (value & mask) != wanted; spent_us += INTEL_POLL_US) {
        if (spent_us >= limit_us) {
            nic_log(device->nic, LOG_WARNING,
                    "%s at %s: %s is %08lx after %u us, wanted %08lx in %08lx", device->chip,
                    device->nic->device->name, intel_register_name(device, offset, name),
                    (unsigned long)value, limit_us, (unsigned long)wanted, (unsigned long)mask);
            return ERR_TIMEOUT;
        }
        arch_delay_us(INTEL_POLL_US);
        value = intel_read(device, offset);
    }
    return 0;
}

static int intel_eeprom_read(struct intel_device *device, const struct intel_eeprom *eeprom,
                             unsigned index, uint16_t *word)
{
    intel_write(device, eeprom->eerd, index << eeprom->address_shift | 1 /* start */);
    int error = intel_wait(device, eeprom->eerd, eeprom->done, eeprom->done, INTEL_EEPROM_US);
    if (error == 0)
        *word = (uint16_t)(intel_read(device, eeprom->eerd) >> 16);
    return error;
}

static int intel_eeprom_section(struct intel_device *device, const struct intel_eeprom *eeprom,
                                uint16_t pointer, uint16_t *sum)
{
    uint16_t count = 0, word = 0;
    if (pointer == 0 || pointer == UINT16_MAX)
        return 0; /* there is none */
    int error = intel_eeprom_read(device, eeprom, pointer, &count);
    if (count == UINT16_MAX || count > INTEL_EEPROM_SECTION_MAX)
        return error; /* nonsense, which the sum will show */
    for (unsigned i = 1; i <= count && error == 0; i++) {
        error = intel_eeprom_read(device, eeprom, pointer + i, &word);
        *sum = (uint16_t)(*sum + word);
    }
    return error;
}

bool intel_eeprom_check(struct intel_device *device, const struct intel_eeprom *eeprom,
                        uint16_t first[3])
{
    uint16_t sum = 0, word = 0;
    for (unsigned i = 0; i < INTEL_EEPROM_WORDS; i++) {
        int error = intel_eeprom_read(device, eeprom, i, &word);
        sum = (uint16_t)(sum + word);
        if (i < 3)
            first[i] = word;
        if (error == 0 && i >= eeprom->sections && i < eeprom->sections_end)
            error = intel_eeprom_section(device, eeprom, word, &sum);
        if (error < 0)
            return false;
    }
    if (sum != INTEL_EEPROM_SUM)
        nic_log(device->nic, LOG_WARNING,
                "EEPROM checksum is %04x, not %04x: its settings may be wrong", sum,
                INTEL_EEPROM_SUM);
    return true;
}

bool intel_mac_valid(const uint8_t mac[6])
{
    static const uint8_t zero[6];
    return !(mac[0] & 1) && memcmp(mac, zero, 6) != 0;
}

bool intel_address_get(const struct intel_device *device, uint32_t ral, uint8_t mac[6])
{
    uint32_t low = intel_read(device, ral), high = intel_read(device, ral + 4);
    for (unsigned i = 0; i < 4; i++)
        mac[i] = (uint8_t)(low >> 8 * i);
    mac[4] = (uint8_t)high;
    mac[5] = (uint8_t)(high >> 8);
    if (intel_mac_valid(mac) && low != UINT32_MAX)
        return true;
    nic_log(device->nic, LOG_ERROR,
            "%s at %s: no MAC address: none in the EEPROM, RAL is %08lx, RAH %08lx", device->chip,
            device->nic->device->name, (unsigned long)low, (unsigned long)high);
    return false;
}

void intel_address_set(const struct intel_device *device, uint32_t ral, const uint8_t *mac)
{
    uint32_t low = 0, high = 0;
    if (mac) {
        low = mac[0] | mac[1] << 8 | mac[2] << 16 | (uint32_t)mac[3] << 24;
        high = mac[4] | mac[5] << 8 | INTEL_RAH_AV;
    }
    intel_write(device, ral, low);
    intel_write(device, ral + 4, high);
}

bool intel_present(struct intel_device *device, uint32_t status, uint32_t causes)
{
    if (status != UINT32_MAX)
        return true;
    device->gone = true;
    nic_log(device->nic, LOG_ERROR, "%s at %s is gone: STATUS is %08lx, causes %08lx", device->chip,
            device->nic->device->name, (unsigned long)status, (unsigned long)causes);
    nic_link(device->nic, false, 0);
    return false;
}

int intel_register_read(struct nic *nic, uint32_t offset, uint32_t *value)
{
    const struct intel_device *device = nic->driver_state;
    if (device->gone)
        return ERR_DEVICE;
    *value = intel_read(device, offset);
    return 0;
}
