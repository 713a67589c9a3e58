/* The end: power off and reboot: as ACPI's tables say, and where they do not, as machines usually have it. */
#include "acpi.h"
#include "x86.h"

enum {
    /* Where QEMU's q35 and pc have the ACPI power management control, and the value that is S5
       there. */
    PM_CONTROL_Q35 = 0x604,
    PM_CONTROL_PC = 0xb004,
    PM_SLEEP_S5 = 0x2000,
    /* The control register (ACPI 6.4, 4.8.3.2.1). */
    PM_SCI_ENABLED = 1 << 0,
    PM_TYPE_SHIFT = 10,
    PM_TYPE_MASK = 7 << PM_TYPE_SHIFT,
    PM_SLEEP = 1 << 13,
    PM_BUTTON = 1 << 8, /* in both event registers (4.8.3.1) */
    /* A look at the button is a slow read of a port, so it is one for many turns; and one in a while for
       a core that mostly sleeps. */
    BUTTON_TURNS = 1 << 16,
    BUTTON_NS = 500000000,
    ENABLE_US_MAX = 3000000, /* what operating systems give the firmware to hand over */
    ENABLE_POLL_US = 1000,
    RESET_US = 100000, /* it may take effect late */
    RESET_PORT = 0xcf9,
    RESET_FULL = 0x06,
    KEYBOARD_PORT = 0x64,
    KEYBOARD_RESET = 0xfe,
};

static struct acpi_power power;
static unsigned turns_left; /* until the button is looked at */
static uint64_t looked_ns;

/* Until ACPI is on, the control registers may be the firmware's. */
static void power_enable(void)
{
    uint16_t port = power.control[0].port;
    if (!power.enable_port || in16(port) & PM_SCI_ENABLED)
        return;
    out8(power.enable_port, power.enable_value);
    for (unsigned us = 0; us < ENABLE_US_MAX && !(in16(port) & PM_SCI_ENABLED);
         us += ENABLE_POLL_US)
        arch_delay_us(ENABLE_POLL_US);
}

/* The button is ours from now on: pressed, it does not end the machine but the loop. */
void power_start(uint64_t rsdp)
{
    power = acpi_find_power(rsdp, paging_direct);
    if (!power.status_port || !power.control[0].port)
        return;
    power_enable();
    out16(power.status_port, PM_BUTTON); /* written ones are cleared */
    out16(power.wanted_port, (uint16_t)(in16(power.wanted_port) | PM_BUTTON));
}

uint64_t power_idle(uint64_t now_ns, uint64_t until_ns)
{
    if (!power.status_port)
        return until_ns;
    if (now_ns - looked_ns >= BUTTON_NS)
        turns_left = 0;
    return until_ns - now_ns > BUTTON_NS ? now_ns + BUTTON_NS : until_ns;
}

bool arch_stop_wanted(void)
{
    static bool wanted;
    if (turns_left) {
        turns_left--;
        return wanted;
    }
    turns_left = BUTTON_TURNS;
    looked_ns = arch_clock_ns();
    if (power.status_port && in16(power.status_port) & PM_BUTTON && !wanted) {
        report_line("power button");
        wanted = true;
    }
    return wanted;
}

static void power_sleep(void)
{
    uint16_t value[ACPI_CONTROLS] = {0};
    for (unsigned i = 0; i < ACPI_CONTROLS && power.control[i].port; i++) {
        value[i] = (uint16_t)(in16(power.control[i].port) & ~(PM_TYPE_MASK | PM_SLEEP));
        value[i] = (uint16_t)(value[i] | power.control[i].asleep << PM_TYPE_SHIFT);
        out16(power.control[i].port, value[i]);
    }
    for (unsigned i = 0; i < ACPI_CONTROLS && power.control[i].port; i++)
        out16(power.control[i].port, value[i] | PM_SLEEP);
}

_Noreturn void arch_power_off(int status)
{
    report_line("power off, status %d", status);
    if (status)
        out8(DEBUG_EXIT_PORT, (uint8_t)status);
    if (power.control[0].port) {
        power_enable();
        power_sleep();
    } else {
        out16(PM_CONTROL_Q35, PM_SLEEP_S5);
        out16(PM_CONTROL_PC, PM_SLEEP_S5);
    }
    for (;;)
        __asm__ volatile("cli; hlt");
}

_Noreturn void arch_reboot(void)
{
    volatile uint8_t *memory = NULL;
    if (power.reset_address && !power.reset_by_port)
        memory = paging_map_device(power.reset_address, 1);
    if (memory)
        *memory = power.reset_value;
    if (power.reset_address && power.reset_by_port)
        out8((uint16_t)power.reset_address, power.reset_value);
    arch_delay_us(RESET_US);
    out8(RESET_PORT, RESET_FULL);
    arch_delay_us(RESET_US);
    out8(KEYBOARD_PORT, KEYBOARD_RESET);
    for (;;)
        __asm__ volatile("cli; hlt");
}
