/* The machine interface: everything the kernel asks of the machine it runs on, and all of it.
 *
 * Three implementations keep it honest: arch/x86_64 (bare metal), arch/hosted (a Linux process on a
 * core of its own) and tests/sim (simulated time, for tests and fuzzers). Nothing above this line
 * knows which one it is built for.
 *
 * Each machine's folder is on the include path and supplies machine.h, with the calls that must be
 * inline: arch_clock_ns, arch_pause, arch_read_barrier, arch_write_barrier, arch_mmio_read32,
 * arch_mmio_write32. Each has one of the prototypes below.
 *
 * Interrupts are off whenever kernel code runs; they are taken inside arch_idle and nowhere else.
 * So the kernel is never preempted, and an interrupt handler can be no more than a posted event. */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "piglet/error.h"

/* ---- start and end ------------------------------------------------------------------------ */

enum { ARCH_MODULES_MAX = 4 };

/* What the boot loader or the shell handed over. Foreign bytes: checked by whoever reads them. */
struct arch_boot {
    const char *command_line; /* NUL-terminated; "" where there is none */
    const char *machine;      /* for people: "x86_64, PVH, QEMU TCG" */
    const char *processor;    /* for people: its name, clock and features; NULL: it is the host's */
    unsigned module_count;
    struct {
        const void *data;
        size_t bytes;
        const char *name;
    } module[ARCH_MODULES_MAX];
};

/* The kernel's entry, called once by the machine with its clock, console and memory working.
 * What it returns is the exit status of the machine (hosted: of the process). */
int kernel_main(const struct arch_boot *boot);

/* Someone asked the machine to stop (hosted: SIGINT, SIGTERM). Cheap enough for once a millisecond.
 */
bool arch_stop_wanted(void);

_Noreturn void arch_power_off(int status);
_Noreturn void arch_reboot(void);

/* For broken invariants of our own only, never for foreign input. Prints `why`, a backtrace and the
 * name last given to arch_watch, then stops the machine so that it is seen to have failed. */
_Noreturn void arch_panic(const char *why);

/* Fault reports print the string that *running points at when the fault strikes (NULL: none).
 * The kernel keeps the name of the running phase or service there. */
void arch_watch(const char *const *running);

/* ---- time --------------------------------------------------------------------------------- */

/* Nanoseconds since the machine started; monotonic; about ten instructions on bare metal. */
static inline uint64_t arch_clock_ns(void);

/* Busy-waits; for device initialisation, never for the loop. */
void arch_delay_us(unsigned delay_us);

/* Tells the processor that this is a polling loop. */
static inline void arch_pause(void);

/* Sleeps until an interrupt, a ready file descriptor or `until_ns`, whichever is first. Takes
 * interrupts, which call their `post` functions, and returns with interrupts off again.
 *
 * Contract against the lost wake-up: whatever becomes pending between the caller's last look and
 * the halt must end the halt at once. (On x86_64: interrupts are off from the look to `sti; hlt`,
 * and `sti` takes effect only after `hlt` has begun. Hosted: the descriptors are level-triggered.)
 */
void arch_idle(uint64_t until_ns);

/* ---- console ------------------------------------------------------------------------------ */

/* Never waits for a reader; a byte that the device does not take within a bounded time is lost. */
void arch_console_write(const char *text, size_t bytes);

/* The value of a `console=` word, Linux's syntax: "ttyS0", "ttyS1,115200n8", "none".
 * ERR_INVALID: not understood, nothing changed. ERR_UNSUPPORTED: no such device here. */
int arch_console_select(const char *value);

/* ---- memory ------------------------------------------------------------------------------- */

/* Zeroed memory that devices can reach: pinned, physically contiguous, never given back. `align`
 * is a power of two. NULL: not enough left. For start-up and configuration, not for the loop. */
void *arch_memory_take(size_t bytes, size_t align);

/* What arch_memory_take could still give (hosted: a configured size, so that limits scale alike).
 */
size_t arch_memory_left(void);

/* The address a device uses for memory from arch_memory_take. */
uint64_t arch_dma_address(const void *memory);

/* Order loads (stores) before this point against loads (stores) behind it, as devices see them. */
static inline void arch_read_barrier(void);
static inline void arch_write_barrier(void);

/* ---- devices ------------------------------------------------------------------------------ */

enum arch_bus {
    ARCH_BUS_PCI,  /* vendor, device and regions are valid */
    ARCH_BUS_HOST, /* host is valid: "tap:NAME", "packet:IFNAME", "pair:PATH" */
};

enum { ARCH_REGIONS_MAX = 6 };

struct arch_device {
    enum arch_bus bus;
    char name[24]; /* for people: "pci 00:03.0", "tap:pig0" */
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t class_code, subclass, revision;
    uint16_t address; /* PCI: bus << 8 | device << 3 | function */
    struct {
        uint64_t address; /* on the bus; 0: absent */
        uint64_t bytes;
        bool io; /* I/O ports, not memory */
    } region[ARCH_REGIONS_MAX];
    const char *host;
    void *machine; /* the machine's own, e.g. a device model's */
};

/* Fills `table` with the devices present, in PCI order (bus, device, function); hosted: with those
 * that were named, in the order given. Returns how many; devices beyond `max` are left out. */
unsigned arch_devices(struct arch_device *table, unsigned max);

/* PCI configuration space; `offset` is a multiple of 4 below 256 (4,096 where ECAM is there).
 * A read of what is absent gives all ones. */
uint32_t arch_device_config_read(const struct arch_device *device, unsigned offset);
void arch_device_config_write(const struct arch_device *device, unsigned offset, uint32_t value);

/* Turns memory decoding and bus mastering on. */
void arch_device_enable(const struct arch_device *device);

/* A mapped register region. What is in it is the machine's business. */
struct arch_mmio {
    volatile uint8_t *base;
    void *model; /* a device model instead of memory; NULL on bare metal */
};

/* Maps region `index` uncached. ERR_NOT_FOUND: absent or not memory. */
int arch_device_map(const struct arch_device *device, unsigned index, struct arch_mmio *mmio);

static inline uint32_t arch_mmio_read32(struct arch_mmio mmio, uint32_t offset);
static inline void arch_mmio_write32(struct arch_mmio mmio, uint32_t offset, uint32_t value);

/* Maps region `index` as ordinary cached memory, for memory behind a PCI BAR that is shared with
 * others; the same address every time. Sets *bytes to its size. NULL: absent or not memory (hosted:
 * always), beyond what the processor can address, no memory for page tables, or mapped uncached by
 * arch_device_map: no page is ever mapped both ways, and arch_device_map refuses likewise. */
void *arch_device_memory(const struct arch_device *device, unsigned index, size_t *bytes);

/* From now on an interrupt of the device, taken inside arch_idle, calls post(argument), which may
 * do no more than note that it happened. A level-triggered line then stays masked until the next
 * arch_idle, so the device is served from the loop with nothing to acknowledge in between.
 * ERR_UNSUPPORTED: no line; the device is then looked at by polling alone, and the idle loop
 * must not sleep long. */
int arch_interrupt_attach(const struct arch_device *device, void (*post)(void *argument),
                          void *argument);

/* Hosted devices: arch_idle also wakes when descriptor `fd` is readable. Bare metal:
 * ERR_UNSUPPORTED. */
int arch_idle_watch(int fd);

#include "machine.h"

#endif
