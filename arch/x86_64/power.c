/* The end: power off and reboot, as far as they go without ACPI's interpreter. */
#include "x86.h"

enum {
    /* Where QEMU's q35 and pc have the ACPI power management control, and the value that is S5
       there. */
    PM_CONTROL_Q35 = 0x604,
    PM_CONTROL_PC = 0xb004,
    PM_SLEEP_S5 = 0x2000,
    RESET_PORT = 0xcf9,
    RESET_FULL = 0x06,
    KEYBOARD_PORT = 0x64,
    KEYBOARD_RESET = 0xfe,
};

_Noreturn void arch_power_off(int status)
{
    report_line("power off, status %d", status);
    if (status)
        out8(DEBUG_EXIT_PORT, (uint8_t)status);
    out16(PM_CONTROL_Q35, PM_SLEEP_S5);
    out16(PM_CONTROL_PC, PM_SLEEP_S5);
    for (;;)
        __asm__ volatile("cli; hlt");
}

_Noreturn void arch_reboot(void)
{
    out8(RESET_PORT, RESET_FULL);
    out8(KEYBOARD_PORT, KEYBOARD_RESET);
    for (;;)
        __asm__ volatile("cli; hlt");
}

bool arch_stop_wanted(void)
{
    return false;
}
