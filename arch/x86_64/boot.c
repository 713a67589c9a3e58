/* What the PVH loader handed over, checked; and the machine brought up in order.
 * Source: Xen's xen/include/public/arch-x86/hvm/start_info.h. Everything in it is foreign. */
#include <stdio.h>
#include <string.h>

#include "acpi.h"
#include "x86.h"

#define START_INFO_MAGIC 0x336ec578

enum {
    START_INFO_WITH_MAP = 1, /* the version that brought the memory map */
    MAP_ENTRIES_MAX = 128,
    MAP_RAM = 1,
    COMMAND_LINE_MAX = 2048 + 1,
    LOW_REACH = 1 << 30, /* boot.S mapped this much */
};

struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp, map;
    uint32_t map_entries, reserved;
};

struct start_module {
    uint64_t address, bytes, command_line, reserved;
};

struct map_entry {
    uint64_t address, bytes;
    uint32_t type, reserved;
};

void boot_main(uint64_t start_info);

static char command_line[COMMAND_LINE_MAX];
static char machine_name[80];
static struct arch_boot handed;

static _Noreturn void boot_refuse(const char *why)
{
    report_line("PANIC: the boot loader's start info is unusable: %s", why);
    report_stop();
}

/* Copied at once: the loader's memory is given away later. */
static void boot_command_line(uint64_t address)
{
    for (unsigned i = 0; address && i < COMMAND_LINE_MAX - 1; i++) {
        const char *at = paging_direct(address + i, 1);
        if (!at || !*at)
            return;
        command_line[i] = *at;
    }
}

static void boot_map(const struct start_info *info)
{
    uint64_t bytes = info->map_entries * sizeof(struct map_entry);
    const struct map_entry *entry = paging_direct(info->map, bytes);
    if (info->version < START_INFO_WITH_MAP || !info->map || !entry || info->map_entries == 0 ||
        info->map_entries > MAP_ENTRIES_MAX)
        boot_refuse("no memory map");
    for (unsigned i = 0; i < info->map_entries; i++)
        if (entry[i].type == MAP_RAM && entry[i].address + entry[i].bytes > entry[i].address)
            memory_add((entry[i].address + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1ull),
                       (entry[i].address + entry[i].bytes) & ~(PAGE_BYTES - 1ull));
    memory_reserve(image_physical(image_start),
                   (image_physical(image_end) + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1ull));
}

static void boot_modules(const struct start_info *info)
{
    unsigned count = info->module_count;
    const struct start_module *module =
        paging_direct(info->modules, count * sizeof(struct start_module));
    if (!module || count > ARCH_MODULES_MAX)
        count = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t end = module[i].address + module[i].bytes;
        if (end < module[i].address || !module[i].bytes)
            continue;
        memory_reserve(module[i].address & ~(PAGE_BYTES - 1ull),
                       (end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1ull));
        handed.module[handed.module_count].data = (const void *)module[i].address; /* until paged */
        handed.module[handed.module_count].name = "module";
        handed.module[handed.module_count++].bytes = module[i].bytes;
    }
}

/* Physical to usable, once the direct map is there. */
static void boot_modules_map(void)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < handed.module_count; i++) {
        const void *data = paging_direct((uint64_t)handed.module[i].data, handed.module[i].bytes);
        if (data) {
            handed.module[kept] = handed.module[i];
            handed.module[kept++].data = data;
        }
    }
    handed.module_count = kept;
}

static void boot_name(void)
{
    static const struct {
        const char *signature, *name;
    } hypervisor[] = {{"TCGTCGTCGTCG", "QEMU TCG"}, {"KVMKVMKVM", "KVM"}, {"XenVMMXenVMM", "Xen"}};
    char signature[13] = "";
    if (cpuid(1).c & 1u << 31) {
        struct cpuid leaf = cpuid(0x40000000);
        memcpy(signature, &leaf.b, 4);
        memcpy(signature + 4, &leaf.c, 4);
        memcpy(signature + 8, &leaf.d, 4);
    }
    const char *name = *signature ? signature : "no hypervisor";
    for (unsigned i = 0; i < sizeof hypervisor / sizeof hypervisor[0]; i++)
        if (strcmp(signature, hypervisor[i].signature) == 0)
            name = hypervisor[i].name;
    snprintf(machine_name, sizeof machine_name, "x86_64 by PVH, %s, %lu MiB", name,
             (unsigned long)((memory_total() + (1 << 20) - 1) >> 20));
    handed.machine = machine_name;
}

void boot_main(uint64_t address)
{
    serial_start();
    traps_start();
    const struct start_info *info = paging_direct(address, sizeof *info);
    if (!info || info->magic != START_INFO_MAGIC)
        boot_refuse("wrong magic number");
    uint64_t rsdp = info->rsdp;
    boot_command_line(info->command_line);
    handed.command_line = command_line;
    boot_map(info);
    boot_modules(info);
    if (!paging_start())
        boot_refuse("too little memory for page tables");
    boot_modules_map();
    apic_start();
    if (!clock_start())
        report_stop();
    interrupts_start();
    struct acpi_ecam ecam = acpi_find_ecam(rsdp, paging_direct);
    pci_start(ecam.address, ecam.first_bus, ecam.last_bus);
    boot_name();
    arch_power_off(kernel_main(&handed));
}
