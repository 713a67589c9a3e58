/* The little of ACPI that is read. */
#include "acpi.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum {
    ACPI_TABLES_MAX = 64,
    ACPI_TABLE_BYTES_MAX = 1 << 20, /* DSDTs of hundreds of KiB exist */
    RSDP_BYTES_1 = 20,              /* revision 0 */
    RSDP_BYTES_2 = 36,
    RSDP_ALIGN = 16,
    BIOS_FIRST =
        0xe0000, /* where a BIOS has it (5.2.5.1); one that has it in its EBDA is not known */
    BIOS_END = 0x100000,
    RSDP_RSDT = 16, /* offsets (5.2.5.3) */
    RSDP_REVISION = 15,
    RSDP_XSDT = 24,
    HEADER_BYTES = 36, /* of every other table (5.2.6) */
    HEADER_LENGTH = 4,
    MCFG_FIRST = 44, /* offset of the first allocation */
    MCFG_EACH = 16,
};

uint64_t acpi_number(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    while (bytes--)
        value = value << 8 | at[bytes];
    return value;
}

static bool acpi_sum_good(const uint8_t *table, uint64_t bytes)
{
    uint8_t sum = 0;
    while (bytes--)
        sum = (uint8_t)(sum + *table++);
    return sum == 0;
}

/* A whole table with a good checksum, or NULL. */
const uint8_t *acpi_table(uint64_t address, acpi_map *map, uint32_t *bytes)
{
    const uint8_t *header = address ? map(address, HEADER_BYTES) : NULL;
    if (!header)
        return NULL;
    *bytes = (uint32_t)acpi_number(header + HEADER_LENGTH, 4);
    if (*bytes < HEADER_BYTES || *bytes > ACPI_TABLE_BYTES_MAX)
        return NULL;
    const uint8_t *table = map(address, *bytes);
    return table && acpi_sum_good(table, *bytes) ? table : NULL;
}

uint64_t acpi_search(acpi_map *map)
{
    for (uint64_t at = BIOS_FIRST; at < BIOS_END; at += RSDP_ALIGN) {
        const uint8_t *rsdp = map(at, RSDP_BYTES_1);
        if (rsdp && memcmp(rsdp, "RSD PTR ", 8) == 0 && acpi_sum_good(rsdp, RSDP_BYTES_1))
            return at;
    }
    return 0;
}

/* The address of the table that lists the others, and how wide its entries are. */
static uint64_t acpi_root(uint64_t address, acpi_map *map, unsigned *width)
{
    const uint8_t *rsdp = address ? map(address, RSDP_BYTES_1) : NULL;
    if (!rsdp || memcmp(rsdp, "RSD PTR ", 8) != 0 || !acpi_sum_good(rsdp, RSDP_BYTES_1))
        return 0;

    uint64_t root = acpi_number(rsdp + RSDP_RSDT, 4);
    if (rsdp[RSDP_REVISION] >= 2) {
        rsdp = map(address, RSDP_BYTES_2);
        if (rsdp && acpi_sum_good(rsdp, RSDP_BYTES_2) && acpi_number(rsdp + RSDP_XSDT, 8)) {
            *width = 8;
            root = acpi_number(rsdp + RSDP_XSDT, 8);
        }
    }
    return root;
}

static struct acpi_ecam acpi_mcfg(const uint8_t *mcfg, uint32_t bytes)
{
    for (uint32_t at = MCFG_FIRST; at + MCFG_EACH <= bytes; at += MCFG_EACH) {
        uint64_t address = acpi_number(mcfg + at, 8);
        uint8_t first = mcfg[at + 10], last = mcfg[at + 11];
        if (acpi_number(mcfg + at + 8, 2) == 0 && address && (address & 0xfffff) == 0 &&
            first <= last)
            return (struct acpi_ecam){address, first, last};
    }
    return (struct acpi_ecam){0, 0, 0};
}

const uint8_t *acpi_find(uint64_t rsdp, acpi_map *map, const char *signature, uint32_t *bytes)
{
    unsigned width = 4;
    uint32_t root_bytes;
    const uint8_t *root = acpi_table(acpi_root(rsdp, map, &width), map, &root_bytes);
    for (uint32_t i = 0;
         root && i < ACPI_TABLES_MAX && HEADER_BYTES + (i + 1) * width <= root_bytes; i++) {
        const uint8_t *table =
            acpi_table(acpi_number(root + HEADER_BYTES + i * width, width), map, bytes);
        if (table && memcmp(table, signature, 4) == 0)
            return table;
    }
    return NULL;
}

struct acpi_ecam acpi_find_ecam(uint64_t rsdp, acpi_map *map)
{
    uint32_t bytes;
    const uint8_t *mcfg = acpi_find(rsdp, map, "MCFG", &bytes);
    return mcfg ? acpi_mcfg(mcfg, bytes) : (struct acpi_ecam){0, 0, 0};
}
