/* How to power off and to reset, as far as that can be read without ACPI's interpreter. */
#include <string.h>

#include "acpi.h"

enum {
    /* Offsets in the FADT (table 5.9), and in a generic address (5.2.3.2). */
    FADT_DSDT = 40,
    FADT_SMI_COMMAND = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_PM1A_EVENT = 56,
    FADT_PM1A_CONTROL = 64,
    FADT_PM1B_CONTROL = 68,
    FADT_EVENT_BYTES = 88,
    FADT_FLAGS = 112,
    FADT_RESET = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_EVENT = 148,
    FADT_X_PM1A_CONTROL = 172,
    FADT_X_PM1B_CONTROL = 184,
    FLAG_NO_BUTTON = 1 << 4,
    FLAG_RESET = 1 << 10,
    EVENT_BYTES_MIN = 4,
    ADDRESS_AT = 4,
    SPACE_MEMORY = 0,
    SPACE_PORTS = 1,
    PORT_MAX = 0xffff,
    /* AML (20.2): a package and small numbers in it. */
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_BYTE = 0x0a,
    AML_PACKAGE = 0x12,
    SLEEP_TYPE_MAX = 7,
};

struct fadt {
    const uint8_t *at;
    uint32_t bytes;
};

/* 0: the table is too short to have it. */
static uint64_t fadt_number(const struct fadt *fadt, unsigned offset, unsigned bytes)
{
    return offset + bytes <= fadt->bytes ? acpi_number(fadt->at + offset, bytes) : 0;
}

/* The wide address where there is one, and it is a port; else the old one. */
static uint16_t fadt_port(const struct fadt *fadt, unsigned wide, unsigned old)
{
    uint64_t port = fadt_number(fadt, wide + ADDRESS_AT, 8);
    if (!port || fadt_number(fadt, wide, 1) != SPACE_PORTS)
        port = fadt_number(fadt, old, 4);
    return port <= PORT_MAX ? (uint16_t)port : 0;
}

/* The next number of a package; *at moves behind it. False: none that is plain and small. */
static bool aml_number(const uint8_t **at, const uint8_t *end, uint8_t *value)
{
    if (*at < end && (**at == AML_ZERO || **at == AML_ONE)) {
        *value = *(*at)++;
        return true;
    }
    if (end - *at < 2 || **at != AML_BYTE || (*at)[1] > SLEEP_TYPE_MAX)
        return false;
    *value = (*at)[1];
    *at += 2;
    return true;
}

/* Name (_S5_, Package () { SLP_TYPa, SLP_TYPb, ... }): found by its bytes. */
static bool aml_sleep_types(const uint8_t *aml, uint32_t bytes, uint8_t type[ACPI_CONTROLS])
{
    const uint8_t *end = aml + bytes;
    for (const uint8_t *at = aml; end - at >= 8; at++) {
        if (memcmp(at, "_S5_", 4) != 0 || at[4] != AML_PACKAGE)
            continue;
        at += 5;
        at += 1 + (*at >> 6); /* the length: its first byte says how many more it has */
        if (at >= end || *at++ < ACPI_CONTROLS)
            return false;
        return aml_number(&at, end, &type[0]) && aml_number(&at, end, &type[1]);
    }
    return false;
}

static void power_off(const struct fadt *fadt, acpi_map *map, struct acpi_power *power)
{
    uint32_t bytes;
    uint8_t type[ACPI_CONTROLS];
    uint64_t address = fadt_number(fadt, FADT_X_DSDT, 8);
    const uint8_t *dsdt =
        acpi_table(address ? address : fadt_number(fadt, FADT_DSDT, 4), map, &bytes);
    if (!dsdt || !aml_sleep_types(dsdt, bytes, type))
        return;
    power->control[0].port = fadt_port(fadt, FADT_X_PM1A_CONTROL, FADT_PM1A_CONTROL);
    power->control[1].port = fadt_port(fadt, FADT_X_PM1B_CONTROL, FADT_PM1B_CONTROL);
    power->control[0].asleep = type[0];
    power->control[1].asleep = type[1];
    uint64_t port = fadt_number(fadt, FADT_SMI_COMMAND, 4);
    power->enable_value = (uint8_t)fadt_number(fadt, FADT_ACPI_ENABLE, 1);
    power->enable_port = port <= PORT_MAX && power->enable_value ? (uint16_t)port : 0;
}

/* The button, but where it is told about in another way (4.8.3.1.1). */
static void power_button(const struct fadt *fadt, struct acpi_power *power)
{
    uint16_t port = fadt_port(fadt, FADT_X_PM1A_EVENT, FADT_PM1A_EVENT);
    uint64_t bytes = fadt_number(fadt, FADT_EVENT_BYTES, 1);
    if (!port || bytes < EVENT_BYTES_MIN || fadt_number(fadt, FADT_FLAGS, 4) & FLAG_NO_BUTTON)
        return;
    power->status_port = port;
    power->wanted_port = (uint16_t)(port + bytes / 2);
}

static void power_reset(const struct fadt *fadt, struct acpi_power *power)
{
    uint64_t space = fadt_number(fadt, FADT_RESET, 1);
    uint64_t address = fadt_number(fadt, FADT_RESET + ADDRESS_AT, 8);
    bool port = space == SPACE_PORTS && address <= PORT_MAX;
    if (!(fadt_number(fadt, FADT_FLAGS, 4) & FLAG_RESET) || !(port || space == SPACE_MEMORY))
        return;
    power->reset_by_port = port;
    power->reset_address = address;
    power->reset_value = (uint8_t)fadt_number(fadt, FADT_RESET_VALUE, 1);
}

struct acpi_power acpi_find_power(uint64_t rsdp, acpi_map *map)
{
    struct acpi_power power = {0};
    struct fadt fadt = {NULL, 0};
    fadt.at = acpi_find(rsdp, map, "FACP", &fadt.bytes);
    if (fadt.at) {
        power_off(&fadt, map, &power);
        power_button(&fadt, &power);
        power_reset(&fadt, &power);
    }
    return power;
}
