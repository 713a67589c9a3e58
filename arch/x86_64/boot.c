/* The machine brought up, in order, from what the loader handed over. */
#include <stdio.h>
#include <string.h>

#include "acpi.h"
#include "screen.h"
#include "start_info.h"
#include "x86.h"

void boot_main(uint64_t start_info);

enum {
    BRAND_BYTES = 48,
    CPUID_X2APIC = 1 << 21,   /* leaf 1, ecx */
    CPUID_PAGES_1G = 1 << 26, /* leaf 80000001H, edx */
};

#define LEAF_BRAND 0x80000002

static struct start_info start;
static char machine_name[80];
static char processor_name[128];
static struct arch_boot handed;

static _Noreturn void boot_refuse(const char *why)
{
    report_line("PANIC: the boot loader's start info is unusable: %s", why);
    report_stop();
}

static uint64_t page_up(uint64_t address)
{
    return (address + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1ull);
}

/* What may be given out: RAM, but for the image and the modules. */
static void boot_memory(void)
{
    for (unsigned i = 0; i < start.range_count; i++)
        memory_add(start.ram[i].start, start.ram[i].end);
    memory_reach(start.acpi_end);
    memory_reserve(image_physical(image_start), page_up(image_physical(image_end)));
    for (unsigned i = 0; i < start.module_count; i++)
        memory_reserve(start.module[i].start & ~(PAGE_BYTES - 1ull), page_up(start.module[i].end));
}

/* What the kernel is told, once the direct map is there. */
static void boot_hand_over(void)
{
    handed.command_line = start.command_line;
    for (unsigned i = 0; i < start.module_count; i++) {
        uint64_t bytes = start.module[i].end - start.module[i].start;
        const void *data = paging_direct(start.module[i].start, bytes);
        if (!data)
            continue;
        handed.module[handed.module_count].data = data;
        handed.module[handed.module_count].bytes = bytes;
        handed.module[handed.module_count++].name = "module";
    }
}

/* The loader may say anything: RAM is not written to, whatever it calls a screen. */
static void boot_screen(void)
{
    const struct loader_screen *screen = &start.note.screen;
    if (!screen_good(screen))
        return;
    uint64_t end = screen->address + screen_bytes(screen);
    for (unsigned i = 0; i < start.range_count; i++)
        if (screen->address < start.ram[i].end && end > start.ram[i].start)
            return;
    screen_start(screen, paging_map_device(screen->address, screen_bytes(screen)));
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
    snprintf(machine_name, sizeof machine_name, "x86_64 by %s, %s, %lu MiB",
             *start.note.loader ? start.note.loader : "PVH", name,
             (unsigned long)((memory_total() + (1 << 20) - 1) >> 20));
    handed.machine = machine_name;
}

/* What the processor calls itself (SDM vol. 2, CPUID 80000002H to 80000004H), without the blanks around. */
static void boot_processor_name(char name[BRAND_BYTES + 1])
{
    char brand[BRAND_BYTES + 1] = "unknown";
    if (cpuid(0x80000000).a >= LEAF_BRAND + 2) {
        memset(brand, 0, sizeof brand);
        for (unsigned i = 0; i < 3; i++) {
            struct cpuid part = cpuid(LEAF_BRAND + i);
            memcpy(brand + i * sizeof part, &part, sizeof part);
        }
    }
    const char *from = brand;
    while (*from == ' ')
        from++;
    size_t length = strlen(from);
    while (length && from[length - 1] == ' ')
        length--;
    memcpy(name, from, length);
    name[length] = 0;
}

static void boot_processor(void)
{
    char name[BRAND_BYTES + 1];
    boot_processor_name(name);
    snprintf(processor_name, sizeof processor_name, "%s, clock %lu MHz%s%s%s", name,
             clock_hz() / 1000000, clock_steady() ? "" : ", not promised to be steady",
             cpuid(1).c & CPUID_X2APIC ? ", x2APIC" : "",
             cpuid(0x80000001).d & CPUID_PAGES_1G ? ", pages of 1 GiB" : "");
    handed.processor = processor_name;
}

void boot_main(uint64_t address)
{
    serial_start();
    traps_start();
    const char *wrong = start_info_read(address, paging_direct, &start);
    if (wrong)
        boot_refuse(wrong);
    boot_memory();
    if (!paging_start())
        boot_refuse("too little memory for page tables");
    boot_screen();
    boot_hand_over();
    if (!apic_start() || !clock_start())
        report_stop();
    interrupts_start();
    struct acpi_ecam ecam = acpi_find_ecam(start.rsdp, paging_direct);
    pci_start(ecam.address, ecam.first_bus, ecam.last_bus);
    power_start(start.rsdp);
    boot_name();
    boot_processor();
    arch_power_off(kernel_main(&handed));
}
