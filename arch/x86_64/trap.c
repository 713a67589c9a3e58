/* Exceptions end in a report that a person can read; interrupts are counted and posted (irq.c).
 *
 * Compiled without vector registers: whatever was interrupted may be using them. */
#include <string.h>

#include "x86.h"

struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

void trap_taken(const struct trap_frame *frame);

extern const uint8_t trap_entries[];

enum {
    TRAP_ENTRY_BYTES = 16,
    TRAP_EXCEPTIONS = 32,
    TRAP_NMI = 2,
    TRAP_DOUBLE_FAULT = 8,
    TRAP_PAGE_FAULT = 14,
    TRAP_MACHINE_CHECK = 18,
    IDT_INTERRUPT_GATE = 0x8e00, /* present, ring 0, interrupts off */
    GDT_TSS_ENTRY = 3,
    GDT_ENTRIES = 5,
};

/* SDM vol. 3, 6.14.1 */
struct idt_gate {
    uint16_t offset_low, selector, flags, offset_mid;
    uint32_t offset_high, reserved;
};

/* SDM vol. 3, 7.7 */
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));

struct table_pointer {
    uint16_t limit;
    const void *base;
} __attribute__((packed));

static struct idt_gate idt[256];
static struct tss tss;
static uint64_t gdt[GDT_ENTRIES] = {0, 0x00af9a000000ffff, 0x00cf92000000ffff};

static const char *const exception_name[TRAP_EXCEPTIONS] = {
    [0] = "divide error",        [1] = "debug",           [2] = "NMI",
    [3] = "breakpoint",          [4] = "overflow",        [5] = "bound range",
    [6] = "invalid instruction", [7] = "no coprocessor",  [8] = "double fault",
    [10] = "invalid TSS",        [11] = "segment absent", [12] = "stack segment fault",
    [13] = "general protection", [14] = "page fault",     [16] = "x87 error",
    [17] = "alignment check",    [18] = "machine check",  [19] = "SIMD error",
    [21] = "control protection",
};

static void trap_gate(unsigned vector, uint8_t ist)
{
    uint64_t entry = (uint64_t)trap_entries + vector * TRAP_ENTRY_BYTES;
    idt[vector] = (struct idt_gate){
        .offset_low = (uint16_t)entry,
        .selector = SEGMENT_CODE,
        .flags = (uint16_t)(IDT_INTERRUPT_GATE | ist),
        .offset_mid = (uint16_t)(entry >> 16),
        .offset_high = (uint32_t)(entry >> 32),
    };
}

void traps_start(void)
{
    static const uint8_t own_stack[] = {TRAP_DOUBLE_FAULT, TRAP_NMI, TRAP_MACHINE_CHECK};
    for (unsigned vector = 0; vector < 256; vector++)
        trap_gate(vector, 0);
    for (unsigned i = 0; i < sizeof own_stack; i++) {
        tss.ist[i] = (uint64_t)ist_guards + (i + 1) * (PAGE_BYTES + IST_BYTES);
        trap_gate(own_stack[i], (uint8_t)(i + 1));
    }
    tss.io_map = sizeof tss;
    uint64_t base = (uint64_t)&tss;
    gdt[GDT_TSS_ENTRY] =
        (sizeof tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    gdt[GDT_TSS_ENTRY + 1] = base >> 32;
    struct table_pointer pointer = {sizeof gdt - 1, gdt};
    __asm__ volatile("lgdt %0" : : "m"(pointer));
    __asm__ volatile("ltr %w0" : : "r"(SEGMENT_TSS));
    pointer = (struct table_pointer){sizeof idt - 1, idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

static void trap_page_fault(const struct trap_frame *frame, uint64_t address)
{
    const char *why = frame->error & 8   ? "the page tables are broken"
                      : frame->error & 1 ? "not allowed"
                                         : "nothing is there";
    const char *what = frame->error & 16 ? "execute" : frame->error & 2 ? "write" : "read";
    report_line("could not %s at %016lx: %s%s", what, address, why,
                address < PAGE_BYTES ? " (a null pointer)" : "");
}

static __attribute__((noinline)) void trap_report(const struct trap_frame *frame)
{
    uint64_t cr2, cr3;
    report_begin();
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    const char *name = frame->vector < TRAP_EXCEPTIONS ? exception_name[frame->vector] : NULL;
    report_line("PANIC: %s (exception %lu, error code %lx)", name ? name : "unknown exception",
                frame->vector, frame->error);
    if (frame->vector == TRAP_PAGE_FAULT)
        trap_page_fault(frame, cr2);
    if (frame->vector == TRAP_DOUBLE_FAULT && cr2 - (uint64_t)boot_stack_guard < PAGE_BYTES)
        report_line("the stack overflowed into its guard page");
    report_line("rip %016lx rsp %016lx flags %08lx", frame->rip, frame->rsp, frame->rflags);
    report_line("rax %016lx rbx %016lx rcx %016lx", frame->rax, frame->rbx, frame->rcx);
    report_line("rdx %016lx rsi %016lx rdi %016lx", frame->rdx, frame->rsi, frame->rdi);
    report_line("rbp %016lx r8  %016lx r9  %016lx", frame->rbp, frame->r8, frame->r9);
    report_line("r10 %016lx r11 %016lx r12 %016lx", frame->r10, frame->r11, frame->r12);
    report_line("r13 %016lx r14 %016lx r15 %016lx", frame->r13, frame->r14, frame->r15);
    report_line("cr2 %016lx cr3 %016lx", cr2, cr3);
    report_backtrace(frame->rip, frame->rsp, frame->rbp);
    report_stop();
}

void trap_taken(const struct trap_frame *frame)
{
    if (frame->vector < TRAP_EXCEPTIONS)
        trap_report(frame);
    interrupt_taken((unsigned)frame->vector);
}
