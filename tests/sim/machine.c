/* The simulated machine: arch.h over ordinary memory, with time that a test moves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN
#endif

#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)   ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)0)
#endif

uint64_t sim_now_ns;

static struct {
    uint8_t *memory;
    size_t taken, limit;
    char console[SIM_CONSOLE_BYTES];
    size_t console_bytes;
    unsigned device_count;
    struct arch_device device[32];
    const char *const *running;
} sim;

void sim_reset(void)
{
    if (!sim.memory)
        sim.memory = aligned_alloc(4096, SIM_MEMORY_BYTES);
    ASAN_POISON_MEMORY_REGION(sim.memory, SIM_MEMORY_BYTES);
    sim.taken = 0;
    sim.limit = SIM_MEMORY_BYTES;
    sim.console_bytes = 0;
    sim.console[0] = 0;
    sim.device_count = 0;
    sim_now_ns = 0;
}

const char *sim_console(void)
{
    return sim.console;
}

void sim_add_device(const struct arch_device *device)
{
    if (sim.device_count < sizeof sim.device / sizeof sim.device[0])
        sim.device[sim.device_count++] = *device;
}

void sim_limit_memory(size_t bytes)
{
    sim.limit = sim.taken + bytes < SIM_MEMORY_BYTES ? sim.taken + bytes : SIM_MEMORY_BYTES;
}

bool arch_stop_wanted(void)
{
    return false;
}

_Noreturn void arch_power_off(int status)
{
    exit(status);
}

_Noreturn void arch_reboot(void)
{
    exit(0);
}

_Noreturn void arch_panic(const char *why)
{
    fprintf(stderr, "PANIC: %s (while running: %s)\n%s", why,
            sim.running && *sim.running ? *sim.running : "nothing", sim.console);
    abort();
}

void arch_watch(const char *const *running)
{
    sim.running = running;
}

void arch_delay_us(unsigned delay_us)
{
    sim_now_ns += delay_us * 1000ull;
}

void arch_idle(uint64_t until_ns)
{
    if (until_ns > sim_now_ns && until_ns != UINT64_MAX)
        sim_now_ns = until_ns;
}

void arch_console_write(const char *text, size_t bytes)
{
    size_t room = SIM_CONSOLE_BYTES - 1 - sim.console_bytes;
    if (bytes > room)
        bytes = room;
    memcpy(sim.console + sim.console_bytes, text, bytes);
    sim.console_bytes += bytes;
    sim.console[sim.console_bytes] = 0;
}

int arch_console_select(const char *value)
{
    if (strcmp(value, "none") == 0 || strcmp(value, "ttyS0") == 0)
        return 0;
    return ERR_INVALID;
}

void *arch_memory_take(size_t bytes, size_t align)
{
    size_t start = (sim.taken + align - 1) & ~(align - 1);
    if (!sim.memory || start > sim.limit || bytes > sim.limit - start)
        return NULL;
    sim.taken = start + bytes;
    ASAN_UNPOISON_MEMORY_REGION(sim.memory + start, bytes);
    return memset(sim.memory + start, 0, bytes);
}

size_t arch_memory_left(void)
{
    return sim.limit - sim.taken;
}

void *sim_dma(uint64_t address, size_t bytes)
{
    uint64_t into = address - (uintptr_t)sim.memory;
    if (address < (uintptr_t)sim.memory || into > sim.taken || bytes > sim.taken - into)
        return NULL;
    return sim.memory + into;
}

uint64_t arch_dma_address(const void *memory)
{
    return (uintptr_t)memory;
}

unsigned arch_devices(struct arch_device *table, unsigned max)
{
    unsigned count = sim.device_count < max ? sim.device_count : max;
    memcpy(table, sim.device, count * sizeof table[0]);
    return count;
}

uint32_t arch_device_config_read(const struct arch_device *device, unsigned offset)
{
    if (offset == 0)
        return (uint32_t)device->device << 16 | device->vendor;
    return UINT32_MAX;
}

void arch_device_config_write(const struct arch_device *device, unsigned offset, uint32_t value)
{
    (void)device, (void)offset, (void)value;
}

void arch_device_enable(const struct arch_device *device)
{
    (void)device;
}

/* PCI class 5, subclass 0: RAM (PCI Code and ID Assignment 1.11, 1.6). */
static bool is_memory(const struct arch_device *device)
{
    return device->class_code == 5 && device->subclass == 0;
}

int arch_device_map(const struct arch_device *device, unsigned index, struct arch_mmio *mmio)
{
    if (index >= ARCH_REGIONS_MAX || !device->region[index].bytes || device->region[index].io ||
        !device->machine || is_memory(device))
        return ERR_NOT_FOUND;
    *mmio = (struct arch_mmio){.model = device->machine};
    return 0;
}

void *arch_device_memory(const struct arch_device *device, unsigned index, size_t *bytes)
{
    if (index >= ARCH_REGIONS_MAX || !device->region[index].bytes || device->region[index].io ||
        !is_memory(device))
        return NULL;
    *bytes = device->region[index].bytes;
    return device->machine;
}

int arch_interrupt_attach(const struct arch_device *device, void (*post)(void *argument),
                          void *argument)
{
    (void)device, (void)post, (void)argument;
    return ERR_UNSUPPORTED;
}

int arch_idle_watch(int fd)
{
    (void)fd;
    return ERR_UNSUPPORTED;
}
