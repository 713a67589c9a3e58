/* Fuzzes the ACPI tables: the input is a piece of physical memory at address 0x1000 with an RSDP at
 * its start. */
#include <string.h>

#include "arch/x86_64/acpi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { BASE = 0x1000, MEMORY = 8192 };

static uint8_t memory[MEMORY];
static size_t memory_bytes;

static void *map(uint64_t address, uint64_t bytes)
{
    if (address < BASE || address - BASE > memory_bytes || bytes > memory_bytes - (address - BASE))
        return NULL;
    return memory + (address - BASE);
}

/* Makes the checksum of a table right, so that what is behind it is reached. */
static void right(size_t start, size_t length)
{
    uint8_t sum = 0;
    if (start + length > memory_bytes || length < 10)
        return;
    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + memory[start + i]);
    memory[start + 9] = (uint8_t)(memory[start + 9] - sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    memory_bytes = bytes < MEMORY ? bytes : MEMORY;
    memcpy(memory, data, memory_bytes);
    if (memory_bytes > 200 && data[bytes - 1] & 1) {
        memcpy(memory, "RSD PTR ", 8);
        memory[15] = data[bytes - 1] & 2 ? 2 : 0;
        memcpy(memory + 16, (const uint8_t[]){0x40, 0x10, 0, 0}, 4); /* RSDT at 0x1040 */
        right(0, 20);
        right(0x40, memory[0x44]);
        memcpy(memory + 0x40 + 36, (const uint8_t[]){0x80, 0x10, 0, 0}, 4); /* a table at 0x1080 */
        memcpy(memory + 0x80, "MCFG", 4);
        if (data[bytes - 1] & 4 && memory_bytes > 0x180) {
            memcpy(memory + 0x80, "FACP", 4);
            memcpy(memory + 0x80 + 40, (const uint8_t[]){0x20, 0x11, 0, 0},
                   4); /* its DSDT at 0x1120 */
            memory[0x80 + 140] = 0;
            memcpy(memory + 0x144, "_S5_\x12", 5);
            right(0x120, memory[0x124]);
        }
        right(0x80, memory[0x84]);
        right(0x40, memory[0x44]);
    }
    acpi_find_ecam(BASE, map);
    acpi_find_power(BASE, map);
    return 0;
}
