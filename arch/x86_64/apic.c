/* The local APIC: its timer, and the end of interrupts. Source: SDM vol. 3, chapter 11. */
#include "x86.h"

enum {
    APIC_ID = 0x20,
    APIC_TASK_PRIORITY = 0x80,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
    APIC_ENABLE = 0x100,
    APIC_DELIVER_EXTINT = 0x700, /* LINT0: the 8259's interrupts ("virtual wire") */
    APIC_DELIVER_NMI = 0x400,
    APIC_DIVIDE_BY_16 = 3,
    MSR_APIC_BASE = 0x1b,
    MSR_X2APIC = 0x800,
    BASE_X2APIC = 1 << 10,
    BASE_ENABLE = 1 << 11,
    CPUID_APIC = 1 << 9,
};

#define BASE_ADDRESS 0x000ffffffffff000ull

static volatile uint8_t *registers; /* NULL: x2APIC, by MSR */

static uint32_t apic_read(unsigned offset)
{
    if (registers)
        return *(volatile uint32_t *)(registers + offset);
    return (uint32_t)read_msr(MSR_X2APIC + offset / 16);
}

static void apic_write(unsigned offset, uint32_t value)
{
    if (registers)
        *(volatile uint32_t *)(registers + offset) = value;
    else
        write_msr(MSR_X2APIC + offset / 16, value);
}

bool apic_start(void)
{
    if (!(cpuid(1).d & CPUID_APIC)) {
        report_line("PANIC: this processor has no local APIC, or firmware turned it off for good");
        return false;
    }
    uint64_t base = read_msr(MSR_APIC_BASE);
    if (!(base & BASE_X2APIC)) {
        write_msr(MSR_APIC_BASE, base | BASE_ENABLE);
        registers = paging_map_device(base & BASE_ADDRESS, PAGE_BYTES);
        if (!registers) {
            report_line("PANIC: the local APIC cannot be mapped (APIC base %016lx)", base);
            return false;
        }
    }
    apic_write(APIC_SPURIOUS, APIC_ENABLE | VECTOR_SPURIOUS);
    apic_write(APIC_TASK_PRIORITY, 0);
    apic_write(APIC_LVT_LINT0, APIC_DELIVER_EXTINT);
    apic_write(APIC_LVT_LINT1, APIC_DELIVER_NMI);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_16);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    return true;
}

void apic_timer_arm(uint32_t ticks)
{
    apic_write(APIC_TIMER_INITIAL, ticks);
}

uint32_t apic_timer_count(void)
{
    return apic_read(APIC_TIMER_CURRENT);
}

void apic_end_of_interrupt(void)
{
    apic_write(APIC_EOI, 0);
}

uint8_t apic_id(void)
{
    return registers ? (uint8_t)(apic_read(APIC_ID) >> 24) : (uint8_t)apic_read(APIC_ID);
}
