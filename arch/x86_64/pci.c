/* PCI: configuration space by ports and by ECAM, and the list of devices.
 * Sources: PCI Local Bus 3.0, 3.2.2.3.2 and 6.2.5; PCI Express Base 3.0, 7.2.2. */
#include <stdio.h>
#include <string.h>

#include "x86.h"

enum {
    PCI_ADDRESS_PORT = 0xcf8,
    PCI_DATA_PORT = 0xcfc,
    PCI_ID = 0x00,
    PCI_COMMAND = 0x04,
    PCI_COMMAND_IO = 1 << 0,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_MASTER = 1 << 2,
    PCI_CLASS = 0x08,
    PCI_HEADER = 0x0c,
    PCI_HEADER_TYPE = 0x7f, /* of bits 16 to 23 */
    PCI_HEADER_MULTI = 0x80,
    PCI_BAR = 0x10,
    PCI_BAR_IO = 1,
    PCI_BAR_64 = 4, /* of bits 1 and 2 */
    PCI_BUSES = 0x18,
    PCI_SUBSYSTEM = 0x2c,
    PCI_CLASS_BRIDGES = 0x06,  /* base class; of them, */
    PCI_CLASS_BRIDGE = 0x0604, /* to another PCI bus */
    PCI_DEVICES = 32,
    PCI_FUNCTIONS = 8,
};

static struct {
    uint64_t ecam; /* 0: by ports */
    uint8_t first_bus, last_bus;
    uint8_t seen[256 / 8]; /* buses looked at: bridges may lie and go round in circles */
} pci;

static volatile uint32_t *pci_ecam(unsigned address, unsigned offset)
{
    unsigned bus = address >> 8;
    if (!pci.ecam || bus < pci.first_bus || bus > pci.last_bus)
        return NULL;
    return paging_map_device(pci.ecam + ((uint64_t)address << 12) + offset, 4);
}

static uint32_t config_read(unsigned address, unsigned offset)
{
    volatile uint32_t *memory = pci_ecam(address, offset);
    if (memory)
        return *memory;
    if (offset > 0xff)
        return UINT32_MAX;
    out32(PCI_ADDRESS_PORT, 0x80000000u | address << 8 | (offset & 0xfc));
    return in32(PCI_DATA_PORT);
}

static void config_write(unsigned address, unsigned offset, uint32_t value)
{
    volatile uint32_t *memory = pci_ecam(address, offset);
    if (memory) {
        *memory = value;
    } else if (offset <= 0xff) {
        out32(PCI_ADDRESS_PORT, 0x80000000u | address << 8 | (offset & 0xfc));
        out32(PCI_DATA_PORT, value);
    }
}

/* Tables may lie: where both ways lead to the first bus, they must lead to the same device. */
void pci_start(uint64_t ecam, uint8_t first_bus, uint8_t last_bus)
{
    uint32_t by_ports = config_read(0, PCI_ID);
    pci.ecam = ecam;
    pci.first_bus = first_bus;
    pci.last_bus = last_bus;
    if (ecam && first_bus == 0 && by_ports != UINT32_MAX && config_read(0, PCI_ID) != by_ports) {
        report_line("pci: ECAM at %016lx shows another device than the ports: not used", ecam);
        pci.ecam = 0;
    }
}

uint32_t arch_device_config_read(const struct arch_device *device, unsigned offset)
{
    return config_read(device->address, offset);
}

void arch_device_config_write(const struct arch_device *device, unsigned offset, uint32_t value)
{
    config_write(device->address, offset, value);
}

/* Writes all ones to a BAR and reads which stick (PCI 3.0, 6.2.5.1 implementation note). */
static uint32_t bar_probe(unsigned address, unsigned offset, uint32_t *value)
{
    *value = config_read(address, offset);
    config_write(address, offset, UINT32_MAX);
    uint32_t mask = config_read(address, offset);
    config_write(address, offset, *value);
    return mask;
}

static void device_regions(struct arch_device *device)
{
    uint32_t command = config_read(device->address, PCI_COMMAND) & 0xffff;
    config_write(device->address, PCI_COMMAND,
                 command & ~(uint32_t)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
    for (unsigned i = 0; i < ARCH_REGIONS_MAX; i++) {
        uint32_t value, high = 0, mask = bar_probe(device->address, PCI_BAR + i * 4, &value);
        if (mask == 0 || mask == UINT32_MAX)
            continue;
        bool io = value & PCI_BAR_IO;
        bool wide = !io && (value & 6) == PCI_BAR_64 && i + 1 < ARCH_REGIONS_MAX;
        uint32_t low_bits = io ? 3 : 15;
        uint64_t size_mask = 0xffffffff00000000ull | (mask & ~low_bits);
        if (io)
            size_mask |= 0xffff0000u; /* devices may leave the upper half out */
        unsigned index = i;
        if (wide)
            size_mask = (uint64_t)bar_probe(device->address, PCI_BAR + ++i * 4, &high) << 32 |
                        (mask & ~low_bits);
        device->region[index].address = (uint64_t)high << 32 | (value & ~low_bits);
        device->region[index].bytes = ~size_mask + 1;
        device->region[index].io = io;
    }
    config_write(device->address, PCI_COMMAND, command);
}

static void device_read(struct arch_device *device, unsigned address)
{
    uint32_t id = config_read(address, PCI_ID), class = config_read(address, PCI_CLASS);
    uint32_t subsystem = config_read(address, PCI_SUBSYSTEM);
    *device = (struct arch_device){
        .bus = ARCH_BUS_PCI,
        .vendor = (uint16_t)id,
        .device = (uint16_t)(id >> 16),
        .subsystem_vendor = (uint16_t)subsystem,
        .subsystem = (uint16_t)(subsystem >> 16),
        .class_code = (uint8_t)(class >> 24),
        .subclass = (uint8_t)(class >> 16),
        .revision = (uint8_t) class,
        .address = (uint16_t)address,
    };
    snprintf(device->name, sizeof device->name, "pci %02x:%02x.%x", address >> 8, address >> 3 & 31,
             address & 7);
    /* Some host bridges answer for more than themselves: their decoding is never turned off. */
    if (device->class_code != PCI_CLASS_BRIDGES)
        device_regions(device);
}

static unsigned bus_devices(unsigned bus, struct arch_device *table, unsigned count, unsigned max);

/* A function: a device to be listed, or a bridge to look behind. */
static unsigned function_devices(unsigned address, struct arch_device *table, unsigned count,
                                 unsigned max)
{
    uint32_t type = config_read(address, PCI_HEADER) >> 16 & PCI_HEADER_TYPE;
    uint32_t class = config_read(address, PCI_CLASS) >> 16;
    if (type == 1 && class == PCI_CLASS_BRIDGE)
        return bus_devices(config_read(address, PCI_BUSES) >> 8 & 0xff, table, count, max);
    if (type == 0 && count < max)
        device_read(&table[count++], address);
    return count;
}

static unsigned bus_devices(unsigned bus, struct arch_device *table, unsigned count, unsigned max)
{
    if (pci.seen[bus / 8] & 1 << bus % 8)
        return count;
    pci.seen[bus / 8] |= (uint8_t)(1 << bus % 8);
    for (unsigned device = 0; device < PCI_DEVICES; device++) {
        unsigned address = bus << 8 | device << 3;
        if ((config_read(address, PCI_ID) & 0xffff) == 0xffff)
            continue;
        bool multi = config_read(address, PCI_HEADER) >> 16 & PCI_HEADER_MULTI;
        for (unsigned function = 0; function < (multi ? PCI_FUNCTIONS : 1); function++)
            if ((config_read(address | function, PCI_ID) & 0xffff) != 0xffff)
                count = function_devices(address | function, table, count, max);
    }
    return count;
}

unsigned arch_devices(struct arch_device *table, unsigned max)
{
    memset(pci.seen, 0, sizeof pci.seen);
    unsigned count = bus_devices(0, table, 0, max);
    /* What lies behind a bridge was found in the bridge's place; bus numbers come first in PCI's
     * order. */
    for (unsigned i = 1; i < count; i++)
        for (unsigned j = i; j > 0 && table[j].address < table[j - 1].address; j--) {
            struct arch_device swap = table[j];
            table[j] = table[j - 1];
            table[j - 1] = swap;
        }
    return count;
}

void arch_device_enable(const struct arch_device *device)
{
    uint32_t command = config_read(device->address, PCI_COMMAND) & 0xffff;
    config_write(device->address, PCI_COMMAND, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

int arch_device_map(const struct arch_device *device, unsigned index, struct arch_mmio *mmio)
{
    if (index >= ARCH_REGIONS_MAX || !device->region[index].address || device->region[index].io)
        return ERR_NOT_FOUND;
    volatile void *base =
        paging_map_device(device->region[index].address, device->region[index].bytes);
    if (!base)
        return ERR_NO_MEMORY;
    *mmio = (struct arch_mmio){.base = base};
    return 0;
}

void *arch_device_memory(const struct arch_device *device, unsigned index, size_t *bytes)
{
    if (index >= ARCH_REGIONS_MAX || !device->region[index].address || device->region[index].io)
        return NULL;
    *bytes = device->region[index].bytes;
    return paging_map_memory(device->region[index].address, *bytes);
}
