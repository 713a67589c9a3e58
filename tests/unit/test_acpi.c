/* ACPI's tables: how to power off and to reset; what is wrong is as good as absent. */
#include "arch/x86_64/acpi.h"
#include "tests/unit/test.h"

enum {
    BASE = 0x1000,
    MEMORY = 4096,
    RSDT = 0x100,
    FADT = 0x200,
    DSDT = 0x400,
    DSDT_BYTES = 36 + 16
};

static uint8_t memory[MEMORY];
static uint32_t fadt_bytes;

static void *map(uint64_t address, uint64_t bytes)
{
    if (address < BASE || address - BASE > MEMORY || bytes > MEMORY - (address - BASE))
        return NULL;
    return memory + (address - BASE);
}

static void put(unsigned at, uint64_t value, unsigned bytes)
{
    memcpy(memory + at, &value, bytes);
}

static void right(unsigned at, unsigned bytes, unsigned checksum)
{
    uint8_t sum = 0;
    memory[at + checksum] = 0;
    for (unsigned i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + memory[at + i]);
    memory[at + checksum] = (uint8_t)-sum;
}

static struct acpi_power read_power(void)
{
    put(FADT + 4, fadt_bytes, 4);
    right(0, 20, 8);
    right(RSDT, 40, 9);
    right(FADT, fadt_bytes, 9);
    right(DSDT, DSDT_BYTES, 9);
    return acpi_find_power(BASE, map);
}

/* As QEMU's q35 has it. */
static void make_good(void)
{
    memset(memory, 0, sizeof memory);
    memcpy(memory, "RSD PTR ", 8);
    put(16, BASE + RSDT, 4);
    memcpy(memory + RSDT, "RSDT", 4);
    put(RSDT + 4, 40, 4);
    put(RSDT + 36, BASE + FADT, 4);
    memcpy(memory + FADT, "FACP", 4);
    fadt_bytes = 244;
    put(FADT + 40, BASE + DSDT, 4);
    put(FADT + 48, 0xb2, 4);
    put(FADT + 52, 2, 1);
    put(FADT + 56, 0x600, 4);
    put(FADT + 64, 0x604, 4);
    put(FADT + 88, 4, 1);
    put(FADT + 112, 1 << 10, 4);
    put(FADT + 116, 1, 1);
    put(FADT + 120, 0xcf9, 8);
    put(FADT + 128, 15, 1);
    memcpy(memory + DSDT, "DSDT", 4);
    put(DSDT + 4, DSDT_BYTES, 4);
    memcpy(memory + DSDT + 36, "\x08_S5_\x12\x06\x04\x0a\x05\x01\x00\x00", 13);
}

static void acpi_01_power(void **state)
{
    (void)state;
    make_good();
    struct acpi_power power = read_power();
    assert_int_equal(power.control[0].port, 0x604);
    assert_int_equal(power.control[0].asleep, 5);
    assert_int_equal(power.control[1].port, 0);
    assert_int_equal(power.control[1].asleep, 1);
    assert_int_equal(power.enable_port, 0xb2);
    assert_int_equal(power.enable_value, 2);
    assert_int_equal(power.status_port, 0x600);
    assert_int_equal(power.wanted_port, 0x602);
    assert_true(power.reset_by_port);
    assert_int_equal(power.reset_address, 0xcf9);
    assert_int_equal(power.reset_value, 15);
}

/* Newer tables have wide addresses, which win. */
static void acpi_02_wide(void **state)
{
    (void)state;
    make_good();
    put(FADT + 140, BASE + DSDT, 8);
    put(FADT + 40, 0, 4);
    put(FADT + 172, 1, 1);
    put(FADT + 176, 0x1804, 8);
    put(FADT + 184, 1, 1);
    put(FADT + 188, 0x1904, 8);
    put(FADT + 116, 0, 1);
    put(FADT + 120, 0xfed00000, 8);
    struct acpi_power power = read_power();
    assert_int_equal(power.control[0].port, 0x1804);
    assert_int_equal(power.control[1].port, 0x1904);
    assert_false(power.reset_by_port);
    assert_int_equal(power.reset_address, 0xfed00000);
}

static void acpi_03_wrong(void **state)
{
    (void)state;
    static const struct {
        unsigned at, value, bytes;
        bool reset; /* is still known */
    } wrong[] = {
        {FADT + 40, 0x9000, 4, true},    /* the DSDT is nowhere */
        {FADT + 64, 0x10604, 4, true},   /* no port */
        {DSDT + 36 + 5, 0x11, 1, true},  /* \\_S5 is no package */
        {DSDT + 36 + 7, 1, 1, true},     /* one number only */
        {DSDT + 36 + 8, 0x0b, 1, true},  /* a number that is not small */
        {DSDT + 36 + 9, 8, 1, true},     /* no sleep type */
        {DSDT + 36 + 6, 0xc6, 1, true},  /* its length goes beyond the table */
        {DSDT + 4, 0xffffffff, 4, true}, /* so does the table */
        {FADT, 0x12345678, 4, false},    {RSDT + 36, 0, 4, false},
    };
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        make_good();
        put(wrong[i].at, wrong[i].value, wrong[i].bytes);
        struct acpi_power power = read_power();
        assert_int_equal(power.control[0].port, 0);
        assert_int_equal(power.reset_address, wrong[i].reset ? 0xcf9 : 0);
    }
    make_good();
    put(FADT + 112, 1 << 4, 4); /* the button is not there */
    assert_int_equal(read_power().status_port, 0);
    make_good();
    fadt_bytes = 60; /* of ACPI's first days, and shorter */
    struct acpi_power power = read_power();
    assert_int_equal(power.control[0].port, 0);
    assert_int_equal(power.reset_address, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acpi_01_power),
        cmocka_unit_test(acpi_02_wide),
        cmocka_unit_test(acpi_03_wrong),
    };
    return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
