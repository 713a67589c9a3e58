/* Panics and fault reports: what happened, where, called from where, and what was being run. */
#include <stdarg.h>
#include <stdio.h>

#include "x86.h"

enum {
    REPORT_LINE_MAX = 160,
    BACKTRACE_MAX = 24,
};

/* tools/symbols makes these, in the order of their addresses. The last name is the image's end. */
struct symbol {
    uint32_t offset; /* from KERNEL_BASE */
    uint32_t name;   /* offset into symbol_names */
};
extern const struct symbol symbol_table[] __attribute__((weak));
extern const uint32_t symbol_count __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));

static const char *const *watched;
static bool reporting;

void arch_watch(const char *const *running)
{
    watched = running;
}

void report_line(const char *format, ...)
{
    char line[REPORT_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    arch_console_write(line, bytes < (int)sizeof line ? (size_t)bytes : sizeof line - 1);
    arch_console_write("\n", 1);
}

/* A fault while reporting another: what is known by now has been said, and more would go on for
 * ever. */
void report_begin(void)
{
    if (reporting) {
        report_line("PANIC: a fault in the report itself");
        report_stop();
    }
    reporting = true;
}

static bool report_in_text(uint64_t address)
{
    return address >= (uint64_t)image_start && address < (uint64_t)image_text_end;
}

/* `behind`: 1 for a return address; it may be past the end of the function that called. */
static void report_place(uint64_t address, unsigned behind)
{
    const struct symbol *found = NULL;
    uint32_t offset = (uint32_t)(address - behind - KERNEL_BASE);
    if (&symbol_count && report_in_text(address - behind))
        for (uint32_t i = 0; i < symbol_count && symbol_table[i].offset <= offset; i++)
            found = &symbol_table[i];
    if (found)
        report_line("  %016lx %s+0x%x", address, symbol_names + found->name,
                    offset + behind - found->offset);
    else
        report_line("  %016lx ?", address);
}

void report_backtrace(uint64_t rip, uint64_t rsp, uint64_t rbp)
{
    report_line("called from:");
    report_place(rip, 0);
    /* After a call to where no code is, who called is still on top of the stack. */
    if (!report_in_text(rip) && rsp && paging_readable(rsp) &&
        report_in_text(*(const uint64_t *)rsp))
        report_place(*(const uint64_t *)rsp, 1);
    /* A frame pointer points at the caller's, with the return address behind it. The stack may be
     * what is broken, so every step is checked, and the chain must go upwards. */
    for (unsigned i = 0; i < BACKTRACE_MAX; i++) {
        if (!rbp || !paging_readable(rbp) || !paging_readable(rbp + 8))
            break;
        const uint64_t *frame = (const uint64_t *)rbp;
        if (!frame[1])
            break;
        report_place(frame[1], 1);
        if (frame[0] <= rbp)
            break;
        rbp = frame[0];
    }
    if (watched && *watched)
        report_line("while running: %s", *watched);
}

_Noreturn void report_stop(void)
{
    report_line("stopped.");
    out8(DEBUG_EXIT_PORT, DEBUG_EXIT_FAILED);
    for (;;)
        __asm__ volatile("cli; hlt");
}

_Noreturn void arch_panic(const char *why)
{
    report_begin();
    report_line("PANIC: %s", why);
    const uint64_t *frame = __builtin_frame_address(0);
    report_backtrace(frame[1] - 1, 0, frame[0]);
    report_stop();
}
