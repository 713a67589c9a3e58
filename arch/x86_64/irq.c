/* Interrupts of devices, and sleeping. An interrupt does no more than post.
 *
 * Devices with MSI have a vector each. The others share the 8259's level-triggered lines: a line
 * that struck stays masked until the core next sleeps, by when the loop has served its devices.
 * Sources: Intel 8259A datasheet; PCI Local Bus 3.0, 6.8.1 (MSI). */
#include "x86.h"

enum {
    PIC_MASTER = 0x20,
    PIC_SLAVE = 0xa0,
    PIC_DATA = 1, /* offset */
    PIC_ICW1_INIT = 0x11,
    PIC_ICW4_8086 = 0x01,
    PIC_EOI = 0x20,
    PIC_READ_ISR = 0x0b,
    PIC_CASCADE = 2,          /* the slave's line at the master */
    PIC_LEVEL = 0x4d0,        /* edge or level, a bit a line (Intel PIIX, ELCR) */
    PIC_LEVEL_NEVER = 0x2107, /* timer, keyboard, cascade, clock, coprocessor: always edges */
    PIC_LINES = 16,
    PIC_SPURIOUS_MASTER = 7,
    PIC_SPURIOUS_SLAVE = 15,
    ATTACHED_MAX = 16, /* = the MSI vectors */
    PCI_COMMAND = 0x04,
    PCI_COMMAND_NO_INTX = 1 << 10,
    PCI_STATUS_CAPABILITIES = 1 << 20, /* of the dword at PCI_COMMAND */
    PCI_CAPABILITIES = 0x34,
    PCI_CAPABILITY_MSI = 5,
    PCI_INTERRUPT_LINE = 0x3c,
    MSI_ENABLE = 1 << 16, /* of the capability's first dword */
    MSI_64 = 1 << 23,
    MSI_COUNT_MASK = 7 << 20,
};

#define MSI_ADDRESS 0xfee00000u

struct attached {
    void (*post)(void *argument);
    void *argument;
    uint8_t line; /* PIC_LINES: MSI */
};

static struct attached attached[ATTACHED_MAX];
static unsigned attached_count;
static uint16_t lines_wanted;          /* bit n: a device is attached to line n */
static uint16_t lines_masked = 0xffff; /* what the 8259s' mask registers hold */

static void pic_mask(uint16_t mask)
{
    if ((uint8_t)mask != (uint8_t)lines_masked)
        out8(PIC_MASTER + PIC_DATA, (uint8_t)mask);
    if (mask >> 8 != lines_masked >> 8)
        out8(PIC_SLAVE + PIC_DATA, (uint8_t)(mask >> 8));
    lines_masked = mask;
}

static void pic_start(uint16_t port, uint8_t vector, uint8_t cascade)
{
    out8(port, PIC_ICW1_INIT);
    out8(port + PIC_DATA, vector);
    out8(port + PIC_DATA, cascade);
    out8(port + PIC_DATA, PIC_ICW4_8086);
    out8(port + PIC_DATA, 0xff);
}

/* Firmware should have done this for PCI's lines: an edge that strikes while its line is masked and
 * is not served then would not come again. */
static void pic_level(unsigned line)
{
    uint16_t port = (uint16_t)(PIC_LEVEL + line / 8);
    if (!(PIC_LEVEL_NEVER >> line & 1))
        out8(port, in8(port) | (uint8_t)(1 << line % 8));
}

void interrupts_start(void)
{
    pic_start(PIC_MASTER, VECTOR_PIC, 1 << PIC_CASCADE);
    pic_start(PIC_SLAVE, VECTOR_PIC + 8, PIC_CASCADE);
}

/* A line that went away before it was acknowledged comes as line 7 or 15 with nothing in service
 * (8259A, "Default IR7"). */
static bool pic_spurious(unsigned line)
{
    if (line != PIC_SPURIOUS_MASTER && line != PIC_SPURIOUS_SLAVE)
        return false;
    uint16_t port = line < 8 ? PIC_MASTER : PIC_SLAVE;
    out8(port, PIC_READ_ISR);
    if (in8(port) & 1 << (line & 7))
        return false;
    if (line >= 8)
        out8(PIC_MASTER, PIC_EOI); /* the cascade was real */
    return true;
}

static void pic_taken(unsigned line)
{
    if (pic_spurious(line))
        return;
    pic_mask(lines_masked | (uint16_t)(1u << line));
    if (line >= 8)
        out8(PIC_SLAVE, PIC_EOI);
    out8(PIC_MASTER, PIC_EOI);
    for (unsigned i = 0; i < attached_count; i++)
        if (attached[i].line == line)
            attached[i].post(attached[i].argument);
}

void interrupt_taken(unsigned vector)
{
    if (vector - VECTOR_PIC < PIC_LINES) {
        pic_taken(vector - VECTOR_PIC);
        return;
    }
    if (vector == VECTOR_SPURIOUS)
        return; /* the APIC wants no end of it (SDM vol. 3, 11.9) */
    if (vector - VECTOR_MSI < attached_count && attached[vector - VECTOR_MSI].line == PIC_LINES)
        attached[vector - VECTOR_MSI].post(attached[vector - VECTOR_MSI].argument);
    apic_end_of_interrupt();
}

/* Offset of the device's MSI capability; 0: none. */
static unsigned msi_find(const struct arch_device *device)
{
    if (!(arch_device_config_read(device, PCI_COMMAND) & PCI_STATUS_CAPABILITIES))
        return 0;
    unsigned at = arch_device_config_read(device, PCI_CAPABILITIES) & 0xfc;
    /* The list is the device's: it may go round in circles, but not for longer than it has room. */
    for (unsigned steps = 0; at >= 0x40 && steps < 48; steps++) {
        uint32_t capability = arch_device_config_read(device, at);
        if ((capability & 0xff) == PCI_CAPABILITY_MSI)
            return at;
        at = capability >> 8 & 0xfc;
    }
    return 0;
}

static void msi_enable(const struct arch_device *device, unsigned at, uint8_t vector)
{
    uint32_t control = arch_device_config_read(device, at);
    arch_device_config_write(device, at + 4, MSI_ADDRESS | (uint32_t)apic_id() << 12);
    if (control & MSI_64)
        arch_device_config_write(device, at + 8, 0);
    arch_device_config_write(device, at + (control & MSI_64 ? 12 : 8), vector);
    arch_device_config_write(device, at, (control & ~(uint32_t)MSI_COUNT_MASK) | MSI_ENABLE);
}

int arch_interrupt_attach(const struct arch_device *device, void (*post)(void *argument),
                          void *argument)
{
    if (attached_count == ATTACHED_MAX || device->bus != ARCH_BUS_PCI)
        return ERR_UNSUPPORTED;
    struct attached *new = &attached[attached_count];
    *new = (struct attached){post, argument, PIC_LINES};
    uint32_t command = arch_device_config_read(device, PCI_COMMAND) & 0xffff;
    unsigned msi = msi_find(device);
    if (msi) {
        msi_enable(device, msi, (uint8_t)(VECTOR_MSI + attached_count));
        arch_device_config_write(device, PCI_COMMAND, command | PCI_COMMAND_NO_INTX);
    } else {
        uint32_t line = arch_device_config_read(device, PCI_INTERRUPT_LINE);
        bool has_pin = line >> 8 & 0xff;
        line &= 0xff;
        if (!has_pin || line == 0 || line == PIC_CASCADE || line >= PIC_LINES)
            return ERR_UNSUPPORTED;
        new->line = (uint8_t)line;
        lines_wanted |= (uint16_t)(1u << line | 1u << PIC_CASCADE);
        pic_level(line);
        arch_device_config_write(device, PCI_COMMAND, command & ~(uint32_t)PCI_COMMAND_NO_INTX);
    }
    attached_count++;
    return 0;
}

int arch_idle_watch(int fd)
{
    (void)fd;
    return ERR_UNSUPPORTED;
}

/* No wake-up is lost: interrupts have been off since before the caller's last look, so whatever
 * struck since is pending in the 8259 or the APIC. `sti` lets it in only behind the next
 * instruction, which is `hlt` (SDM vol. 2, STI): the halt begins before the interrupt is taken, and
 * the interrupt ends it. The same goes for the timer, should its time be over before the halt. A
 * line that struck in an earlier sleep is unmasked here; if its device is not served yet, it
 * strikes at once.
 *
 * `post` functions may use vector registers, which no trap saves: interrupts are taken here alone,
 * and by the calling convention nobody keeps anything in a vector register over a call of
 * arch_idle. */
void arch_idle(uint64_t until_ns)
{
    uint64_t now_ns = arch_clock_ns();
    pic_mask((uint16_t)~lines_wanted);
    if (until_ns <= now_ns) { /* no sleep; but what is pending is taken */
        __asm__ volatile("sti; nop; cli" : : : "memory");
        return;
    }
    uint64_t delay_ns = power_idle(now_ns, until_ns) - now_ns;
    uint64_t delay_max_ns = (uint64_t)UINT32_MAX / (apic_ticks_per_ms + 1) * 1000000;
    if (delay_ns > delay_max_ns)
        delay_ns = delay_max_ns; /* the caller looks at its clock, and sleeps again */
    apic_timer_arm((uint32_t)(delay_ns * apic_ticks_per_ms / 1000000) + 1); /* never early */
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    apic_timer_arm(0);
}
