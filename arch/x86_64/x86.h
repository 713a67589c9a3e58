/* What the files of this machine share: processor instructions, and who offers what to whom. */
#ifndef X86_64_X86_H
#define X86_64_X86_H

#include "arch/arch.h"
#include "layout.h"

/* ---- instructions ---------------------------------------------------------------------------- */

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t read_msr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr));
}

struct cpuid {
    uint32_t a, b, c, d;
};

static inline struct cpuid cpuid(uint32_t leaf)
{
    struct cpuid id;
    __asm__ volatile("cpuid" : "=a"(id.a), "=b"(id.b), "=c"(id.c), "=d"(id.d) : "a"(leaf), "c"(0));
    return id;
}

static inline uint64_t read_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* ---- the image (link.ld) -----------------------------------------------------------------------
 */

extern const uint8_t image_start[], image_text_end[], image_rodata_end[], image_end[];
extern uint8_t boot_stack_guard[], boot_stack_top[], ist_guards[], ist_end[];

static inline uint64_t image_physical(const void *symbol)
{
    return (uint64_t)symbol - KERNEL_BASE;
}

/* ---- memory.c ----------------------------------------------------------------------------------
 */

enum { MEMORY_RANGES_MAX = 32 };

struct memory_range {
    uint64_t start, end; /* physical */
};

/* RAM that may be used, and then parts of it that may not: the image, what the loader left. */
void memory_add(uint64_t start, uint64_t end);
void memory_reserve(uint64_t start, uint64_t end);

/* There is something to read, if not to use, up to there. */
void memory_reach(uint64_t end);

/* One past the last byte of RAM or of what memory_reach told, and how much RAM there is. */
uint64_t memory_top(void);
uint64_t memory_total(void);

/* ---- paging.c ----------------------------------------------------------------------------------
 */

/* The final tables. False: not enough memory for them. */
bool paging_start(void);

/* One past the highest physical address that this processor has and the direct map has room for. */
uint64_t paging_reach(void);

/* Maps device registers, uncached, or a device's memory, cached; never a page both ways. NULL: it
 * would be, or no memory for tables, or no such address. */
volatile void *paging_map_device(uint64_t address, uint64_t bytes);
void *paging_map_memory(uint64_t address, uint64_t bytes);

/* Where RAM (or ACPI's tables between it) can be read; NULL unless all of it is below the direct
 * map's end. */
void *paging_direct(uint64_t address, uint64_t bytes);

/* Whether 8 bytes can be read there: for backtraces over stacks that may be broken. */
bool paging_readable(uint64_t address);

/* ---- the others --------------------------------------------------------------------------------
 */

void serial_start(void);
void traps_start(void);
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_begin(void); /* before the first line: ends a report of a report */
void report_backtrace(uint64_t rip, uint64_t rsp, uint64_t rbp);
_Noreturn void report_stop(void);

/* Calibrates TSC and APIC timer; on failure says why. */
bool clock_start(void);
extern uint32_t apic_ticks_per_ms;

/* What it was calibrated to; whether the processor, or a hypervisor, keeps it even. */
uint64_t clock_hz(void);
bool clock_steady(void);

/* False: there is none that works, and it was said. */
bool apic_start(void);
void apic_timer_arm(uint32_t ticks);
uint32_t apic_timer_count(void);
void apic_end_of_interrupt(void);
uint8_t apic_id(void);

void interrupts_start(void);
void interrupt_taken(unsigned vector); /* from trap.c, interrupts off */

/* Finds out how this machine is powered off and reset, and takes the power button over. */
void power_start(uint64_t rsdp);

/* Before a sleep that has an end in the future: the end it may have, so that the button is looked at. */
uint64_t power_idle(uint64_t now_ns, uint64_t until_ns);

/* ECAM of segment 0 from ACPI; 0: none. */
void pci_start(uint64_t ecam, uint8_t first_bus, uint8_t last_bus);

#endif
