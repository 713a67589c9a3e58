/* The little of ACPI that is read: where PCI's memory-mapped configuration space lies, how to power off and
 * to reset. All of it is foreign: lengths, checksums and addresses are checked, and what is wrong is as good as
 * absent. */
#ifndef X86_64_ACPI_H
#define X86_64_ACPI_H

#include <stdbool.h>
#include <stdint.h>

struct acpi_ecam {
    uint64_t address; /* of bus 0; 0: none found */
    uint8_t first_bus, last_bus;
};

enum { ACPI_CONTROLS = 2 };

/* What is not there is 0. */
struct acpi_power {
    struct {
        uint16_t port;  /* PM1a_CNT, PM1b_CNT */
        uint8_t asleep; /* SLP_TYP for S5 */
    } control[ACPI_CONTROLS];
    uint16_t status_port; /* PM1a_STS: what happened; PM1a_EN: what may be noted there */
    uint16_t wanted_port;
    uint16_t enable_port; /* SMI_CMD, where the firmware has the power button until it is asked */
    uint8_t enable_value;
    bool reset_by_port; /* else in memory */
    uint8_t reset_value;
    uint64_t reset_address;
};

/* Gives memory at a physical address, or NULL where there is not as much. */
typedef void *acpi_map(uint64_t address, uint64_t bytes);

/* The root's address, as a BIOS without a loader that tells has it; 0: none found. */
uint64_t acpi_search(acpi_map *map);

/* By MCFG (ACPI 6.4 5.2.5, 5.2.7, 5.2.8; PCI Firmware 3.2 4.1.2). */
struct acpi_ecam acpi_find_ecam(uint64_t rsdp, acpi_map *map);

/* By FADT, and \_S5_ in the DSDT (ACPI 6.4 5.2.9, 7.4.2.6, 20.2). */
struct acpi_power acpi_find_power(uint64_t rsdp, acpi_map *map);

/* For the files of this: a number of so many bytes; a whole table with a good checksum at an address, or by its
 * signature, or NULL. */
uint64_t acpi_number(const uint8_t *at, unsigned bytes);
const uint8_t *acpi_table(uint64_t address, acpi_map *map, uint32_t *bytes);
const uint8_t *acpi_find(uint64_t rsdp, acpi_map *map, const char *signature, uint32_t *bytes);

#endif
