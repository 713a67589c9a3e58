/* The ivshmem driver: which devices become windows, and what is said of those that cannot. */
#include <stdio.h>

#include "drivers/ivshmem/ivshmem.h"
#include "piglet/window.h"
#include "tests/unit/test.h"

enum {
    DEVICES = 3,
    BYTES = 256 << 10,
    VENDOR = 0x1af4, /* QEMU, docs/specs/ivshmem-spec */
    DEVICE = 0x1110,
};

static _Alignas(PIGLET_PAGE) uint8_t memory[DEVICES][BYTES];

static void add(unsigned at, uint64_t bytes)
{
    struct arch_device device = {.bus = ARCH_BUS_PCI,
                                 .vendor = VENDOR,
                                 .device = DEVICE,
                                 .class_code = 5,
                                 .address = (uint16_t)(at << 3),
                                 .machine = memory[at]};
    snprintf(device.name, sizeof(device.name), "pci 00:%02x.0", at);
    device.region[2].address = (uintptr_t)memory[at];
    device.region[2].bytes = bytes;
    memset(memory[at], 0xee, BYTES);
    sim_add_device(&device);
}

static const struct piglet_window *header(unsigned at)
{
    return (const struct piglet_window *)(const void *)memory[at];
}

static bool said(const char *text)
{
    return strstr(sim_console(), text) != NULL;
}

static void ivshmem_01_matches_its_device_only(void **state)
{
    (void)state;
    struct arch_device device = {.bus = ARCH_BUS_PCI, .vendor = VENDOR, .device = DEVICE};
    assert_true(ivshmem_driver.match(&device));
    device.device = 0x1000; /* virtio-net */
    assert_false(ivshmem_driver.match(&device));
    device.device = DEVICE;
    device.vendor = 0x8086;
    assert_false(ivshmem_driver.match(&device));
    device.vendor = VENDOR;
    device.bus = ARCH_BUS_HOST;
    assert_false(ivshmem_driver.match(&device));
}

/* Nothing tells when the client has gone, nor can either side wake the other. */
static void ivshmem_02_each_device_is_a_window(void **state)
{
    (void)state;
    sim_reset();
    for (unsigned i = 0; i < DEVICES; i++)
        add(i, BYTES);
    struct core *core = sim_start_core("");
    for (unsigned i = 0; i < DEVICES; i++) {
        assert_true(header(i)->magic == PIGLET_MAGIC);
        assert_int_equal(header(i)->bytes, BYTES);
        assert_int_equal(header(i)->features, PIGLET_FEATURE_HEARTBEAT);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(header(i)->client, header(j)->client);
    }
    assert_true(said("pci 00:02.0: window "));
    test_stop(core);
}

static void ivshmem_03_unusable_is_left_out(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } row[] = {
        {0, "pci 00:01.0: ivshmem BAR 2, 0 bytes: it cannot be mapped"},
        {4096, "pci 00:01.0: ivshmem BAR 2, 4096 bytes: too small"},
    };
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(row); i++) {
        sim_reset();
        add(0, BYTES);
        add(1, row[i].bytes);
        add(2, BYTES);
        struct core *core = sim_start_core("");
        assert_true(said(row[i].text));
        assert_int_equal(memory[1][0], 0xee); /* not touched */
        assert_true(header(0)->magic == PIGLET_MAGIC);
        assert_true(header(2)->magic == PIGLET_MAGIC);
        test_stop(core);
    }
}

static void ivshmem_04_more_windows_than_clients(void **state)
{
    (void)state;
    sim_reset();
    for (unsigned i = 0; i < DEVICES; i++)
        add(i, BYTES);
    struct core *core = sim_start_core("clients=2");
    assert_true(header(1)->magic == PIGLET_MAGIC);
    assert_int_equal(memory[2][0], 0xee);
    assert_true(said("pci 00:02.0: ivshmem BAR 2, 262144 bytes: the table is full"));
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ivshmem_01_matches_its_device_only),
        cmocka_unit_test(ivshmem_02_each_device_is_a_window),
        cmocka_unit_test(ivshmem_03_unusable_is_left_out),
        cmocka_unit_test(ivshmem_04_more_windows_than_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
