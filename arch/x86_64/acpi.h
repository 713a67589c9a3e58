/* The little of ACPI that is read: where PCI's memory-mapped configuration space lies. */
#ifndef X86_64_ACPI_H
#define X86_64_ACPI_H

#include <stdint.h>

struct acpi_ecam {
    uint64_t address; /* of bus 0; 0: none found */
    uint8_t first_bus, last_bus;
};

/* Reads RSDP, XSDT or RSDT, and MCFG (ACPI 6.4 5.2.5, 5.2.7, 5.2.8; PCI Firmware 3.2 4.1.2), all of
 * it foreign: lengths, checksums and addresses are checked, and what is wrong is as good as absent.
 * `map` gives memory at a physical address, or NULL where there is not as much. */
struct acpi_ecam acpi_find_ecam(uint64_t rsdp, void *(*map)(uint64_t address, uint64_t bytes));

#endif
