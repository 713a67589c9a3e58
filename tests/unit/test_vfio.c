/* The hosted machine's PCI devices, against a VFIO that a test holds; and on them the real ixgbe driver,
 * its DMA through that IOMMU, its interrupt through that eventfd. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/hosted/hosted.h"
#include "arch/hosted/vfio.h"
#include "kernel/loop.h"
#include "kernel/start.h"
#include "tests/sim/packet.h"
#include "tests/unit/vfio_fake.h"

enum {
    MS = 1000000,
    ARENA_BYTES = 32 << 20,
    LINK_MS = 5000, /* the model's link needs 300 ms; a busy computer more */
};

static char why[VFIO_WHY_MAX];
static struct arch_device found;

static int setup(void **state)
{
    (void)state;
    fake_start(NIC0_MAC);
    why[0] = '\0';
    return hosted_memory_start(ARENA_BYTES);
}

static bool open_at(const char *address)
{
    return vfio_open("vfio:x", address, &found, why);
}

static void expect_refused(const char *sentence)
{
    assert_false(open_at(FAKE_ADDRESS));
    if (!strstr(why, sentence))
        fail_msg("said \"%s\", not \"%s\"", why, sentence);
    assert_true(strlen(why) < VFIO_WHY_MAX - 1); /* whole */
    assert_int_equal(fake.maps, 0);
    fake_start(NIC0_MAC);
}

static void vfio_01_addresses(void **state)
{
    static const char *const wrong[] = {"",           "03",       "03:00",       "03:20.0",
                                        "03:00.8",    "03:00.0x", "0000:03:00",  "g3:00.0",
                                        "0:03:00.0:", "03:00.0 ", "0000:103:0.0"};
    (void)state;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(open_at(wrong[i]));
        assert_string_equal(why,
                            "give a PCI address, as in vfio:0000:03:00.0; lspci -D lists them");
    }
    assert_false(open_at("0000:03:00.1"));
    assert_string_equal(why, "no PCI device has this address; lspci -D lists them");
}

static void vfio_02_what_sysfs_says(void **state)
{
    (void)state;
    fake.computer.absent = true;
    expect_refused("no PCI device has this address");
    fake.computer.no_group = true;
    expect_refused("intel_iommu=on");
    fake.computer.noiommu = true;
    expect_refused("no-IOMMU mode is not used: the device could then write to any memory");
    fake.computer.driver = NULL;
    expect_refused("nothing drives it; give it to vfio-pci, as root: modprobe vfio-pci; cd "
                   "/sys/bus/pci/devices/0000:03:00.0; echo vfio-pci >driver_override; echo "
                   "0000:03:00.0 >/sys/bus/pci/drivers_probe");
    fake.computer.driver = "ixgbe";
    expect_refused("ixgbe drives it; give it to vfio-pci, as root: modprobe vfio-pci; cd "
                   "/sys/bus/pci/devices/0000:03:00.0; echo vfio-pci >driver_override; echo "
                   "0000:03:00.0 >driver/unbind; echo 0000:03:00.0 >/sys/bus/pci/drivers_probe");
}

static void vfio_03_what_vfio_says(void **state)
{
    (void)state;
    fake.computer.container_error = ENOENT;
    expect_refused("/dev/vfio/vfio: No such file or directory; as root: modprobe vfio-pci");
    fake.computer.group_error = EACCES;
    expect_refused("sudo chown $USER /dev/vfio/12");
    fake.computer.group_error = EBUSY;
    expect_refused("another process has its IOMMU group, 12");
    fake.computer.group_error = EIO;
    expect_refused("/dev/vfio/12: Input/output error");
    fake.computer.not_viable = true;
    expect_refused("ls /sys/kernel/iommu_groups/12/devices");
    fake.computer.attach_error = EINVAL;
    expect_refused("group 12 does not go with the other devices'");
    fake.computer.iommu_error = EPERM;
    expect_refused("allow_unsafe_interrupts");
    fake.computer.iommu_error = ENODEV;
    expect_refused("no type 1 IOMMU for its group 12: No such device");
    fake.computer.map_error = ENOMEM;
    expect_refused("the 32 MiB of --memory cannot be locked");
    fake.computer.map_error = EEXIST;
    expect_refused("does not map 32 MiB at 200000: File exists");
    fake.computer.ranges = 1; /* and that ends below 32 MiB */
    fake.computer.last[0] = (32 << 20) - 1;
    expect_refused("no 32 MiB of addresses in one piece; give --memory less");
}

/* Where the arena is for devices when the IOMMU translates this range; in a process of its own, as
 * a container lasts as long as its process. 1: where it is for us, 2: shifted, as is right. */
static int placed(unsigned ranges, uint64_t first, uint64_t last)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        fake.computer.ranges = ranges;
        fake.computer.first[0] = first;
        fake.computer.last[0] = last;
        uint8_t *memory = arch_memory_take(64, 64);
        uintptr_t at = (uintptr_t)memory;
        if (!open_at("03:00.0") || fake.maps != 1 || fake.map.size != ARENA_BYTES ||
            fake.map.flags != (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE) ||
            at < fake.map.vaddr || at >= fake.map.vaddr + fake.map.size ||
            arch_dma_address(memory) != at - fake.map.vaddr + fake.map.iova)
            _exit(99);
        _exit(fake.map.iova == fake.map.vaddr ? 1 : fake.map.iova == 2 << 20 ? 2 : 98);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void vfio_04_whole_arena_is_mapped(void **state)
{
    (void)state;
    assert_int_equal(placed(1, 0, UINT64_MAX), 1);
    assert_int_equal(placed(0, 0, 0), 1); /* an old Linux, which does not tell */
    assert_int_equal(placed(1, 0, (1ull << 39) - 1), 2);
    assert_int_equal(placed(1, 1, (34 << 20) - 1), 2); /* just enough behind 2 MiB */
    assert_int_equal(placed(1, 1, (34 << 20) - 2), 99);
}

/* ---- from here on the device is there, as in a process that was started with it ----------- */

static void vfio_05_device_as_it_is(void **state)
{
    (void)state;
    assert_true(hosted_device_add("vfio:03:00.0"));
    fake.config[4] = 7; /* as its last owner left it */
    assert_null(hosted_devices_open());
    assert_int_equal(arch_devices(&found, 1), 1);
    assert_int_equal(fake.resets, 1);
    assert_int_equal(found.bus, ARCH_BUS_PCI);
    assert_string_equal(found.name, "vfio:03:00.0");
    assert_int_equal(found.vendor, 0x8086);
    assert_int_equal(found.device, 0x10fb);
    assert_int_equal(found.class_code, 2);
    assert_int_equal(found.revision, 1);
    assert_int_equal(found.subsystem, 3);
    assert_int_equal(found.address, 0x300);
    assert_int_equal(found.region[0].address, 0x2fe000000);
    assert_int_equal(found.region[0].bytes, IXGBE_MODEL_BYTES);
    assert_false(found.region[0].io);
    assert_int_equal(found.region[1].bytes, 0);
    assert_int_equal(found.region[2].address, 0x3000);
    assert_true(found.region[2].io);
}

static void vfio_06_configuration_space(void **state)
{
    (void)state;
    memcpy(fake.config + 0xffc, "\1\2\3\4", 4);
    fake.config[6] = 0x10;
    assert_int_equal(arch_device_config_read(&found, 0), 0x10fb8086);
    assert_int_equal(arch_device_config_read(&found, 0xffc), 0x04030201);
    assert_int_equal(arch_device_config_read(&found, 0x1000), UINT32_MAX);
    arch_device_config_write(&found, 0x1000, 1);
    assert_int_equal(fake.written_bytes, 0);
    arch_device_config_write(&found, 0x3c, 0xa1b2c3d4);
    assert_memory_equal(fake.config + 0x3c, "\xd4\xc3\xb2\xa1", 4);
    fake.config[4] = 0;
    arch_device_enable(&found);
    assert_int_equal(fake.written,
                     6); /* memory and master; status bits clear when written as one */
    assert_int_equal(fake.written_bytes, 4);
    assert_true(fake.model.bus_master);
}

static void vfio_07_regions(void **state)
{
    (void)state;
    struct arch_mmio first, second;
    for (unsigned i = 1; i <= ARCH_REGIONS_MAX; i++)
        assert_int_equal(arch_device_map(&found, i, &first), ERR_NOT_FOUND);
    assert_int_equal(arch_device_map(&found, 0, &first), 0);
    assert_int_equal(arch_device_map(&found, 0, &second), 0);
    assert_non_null((const void *)first.base);
    assert_ptr_equal((const void *)first.base, (const void *)second.base);
}

static void reply_expected(unsigned number, unsigned bytes)
{
    struct packet reply = {.length = fake.frame[number % FAKE_SENT].length};
    memcpy(reply.data, fake.frame[number % FAKE_SENT].data, reply.length);
    assert_int_equal(reply.length, 14 + 20 + 8 + bytes);
    assert_memory_equal(packet_eth(&reply)->to, PEER_MAC, 6);
    assert_int_equal(packet_icmp(&reply)->type, 0);
    assert_int_equal(be16_get(packet_icmp(&reply)->sequence), number);
}

static void inject(unsigned number, unsigned bytes)
{
    struct packet ping = packet_echo(IP(10, 0, 0, 1), IP(10, 0, 0, 2), bytes);
    packet_icmp(&ping)->sequence = be16((uint16_t)number);
    packet_fix_icmp(&ping);
    fake_tick();
    assert_true(ixgbe_model_receive(&fake.model, ping.data, ping.length));
    fake_tick();
}

static struct core *core_up(void)
{
    static const struct arch_boot boot = {
        .command_line = "ip=10.0.0.2/24 services=-arp console=none", .machine = "a test"};
    struct core *core = core_start(&boot);
    for (uint64_t end_ns = arch_clock_ns() + (uint64_t)LINK_MS * MS;
         core && !core->nic[0].link_up && arch_clock_ns() < end_ns;)
        loop_turn(core);
    return core;
}

/* A long sleep ends early. */
static bool sleep_ends(void)
{
    uint64_t begin_ns = arch_clock_ns();
    arch_idle(begin_ns + 10000ull * MS);
    return arch_clock_ns() - begin_ns < 5000ull * MS;
}

/* A frame ends a sleep and is answered; whether the interrupt came as `line`. Before it was looked
 * at, a line that is level-triggered and still asserted ends the next sleep too. */
static bool line_works(struct core *core, uint32_t line)
{
    struct nic *nic = &core->nic[0];
    unsigned fired = fake.fired, unmasks = fake.unmasks, sent = fake.sent;
    nic->driver->attend(nic);
    arch_idle(0);
    nic->driver->interrupts(nic, true);
    inject(sent, 60);
    bool works = fake.fired > fired && sleep_ends() && fake.line == line;
    if (line == VFIO_PCI_INTX_IRQ_INDEX)
        works &= fake.unmasks == unmasks && sleep_ends() && fake.unmasks == unmasks + 1;
    else
        works &= fake.unmasks == 0;
    while (fake.sent == sent)
        loop_turn(core);
    reply_expected(sent, 60);
    return works;
}

/* Where there is no line. Likewise in a process of its own. */
static void vfio_08_messages(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        fake.computer.no_line = true;
        struct core *core = core_up();
        _exit(core && line_works(core, VFIO_PCI_MSI_IRQ_INDEX) && core_stop(core) == 0 ? 7 : 1);
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void vfio_09_ixgbe_drives_it(void **state)
{
    (void)state;
    struct core *core = core_up();
    assert_non_null(core);
    assert_int_equal(core->nic_count, 1);
    assert_string_equal(core->nic[0].driver->name, "ixgbe");
    assert_true(core->nic[0].interrupts_work && core->nic[0].link_up);
    assert_memory_equal(core->nic[0].mac, NIC0_MAC, 6);
    assert_true(fake.maps == 1 && fake.map.iova != fake.map.vaddr);
    for (unsigned i = 0; i < 1000; i++) {
        unsigned sent = fake.sent;
        inject(sent, 20 + i);
        while (fake.sent == sent)
            loop_turn(core);
        reply_expected(sent, 20 + i);
    }
    assert_true(line_works(core, VFIO_PCI_INTX_IRQ_INDEX));
    assert_int_equal(core_stop(core), 0);
    assert_int_equal(fake.model.violations, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(vfio_01_addresses, setup),
        cmocka_unit_test_setup(vfio_02_what_sysfs_says, setup),
        cmocka_unit_test_setup(vfio_03_what_vfio_says, setup),
        cmocka_unit_test_setup(vfio_04_whole_arena_is_mapped, setup),
        cmocka_unit_test_setup(vfio_05_device_as_it_is, setup),
        cmocka_unit_test(vfio_06_configuration_space),
        cmocka_unit_test(vfio_07_regions),
        cmocka_unit_test(vfio_08_messages),
        cmocka_unit_test(vfio_09_ixgbe_drives_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
