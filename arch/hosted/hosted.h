/* What main.c and the tests start of the hosted machine, part by part. */
#ifndef HOSTED_HOSTED_H
#define HOSTED_HOSTED_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOSTED_SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HOSTED_SANITIZED 1
#endif

enum {
    HOSTED_DEVICES_MAX = 16,
    HOSTED_MEMORY_MIB = 64, /* without --memory: all frames the kernel wants, and room */
    HOSTED_MEMORY_MIB_MAX = 65536,
};

/* Calibrates the TSC when there is reason to trust it; takes some milliseconds. `pinned`: this
 * process stays on one core, so that only that core's TSC counts. */
void hosted_clock_start(bool pinned);

/* Maps the arena that arch_memory_take gives from. 0, or ERR_NO_MEMORY. */
int hosted_memory_start(size_t bytes);

/* Opens the console on stderr. arch_console_write before this is lost. */
void hosted_console_start(void);

/* SIGINT and SIGTERM ask the machine to stop; the second of a kind kills. */
void hosted_stop_start(void);

/* arch_idle_watch for a device's interrupt: `before` is called before each sleep, `ready` behind one
 * that found the descriptor readable. ERR_FULL. */
int hosted_idle_call(int fd, void (*ready)(void *argument), void (*before)(void *argument),
                     void *argument);

/* Fault reports for SIGSEGV and its like. Nothing under sanitizers, which bring their own. */
void hosted_fault_start(void);

/* Adds what --nic or --window named to what arch_devices lists; the string is kept. False: no room.
 */
bool hosted_device_add(const char *host);

/* Opens the PCI devices among them; the arena must be there, and nobody may have asked for a DMA
 * address yet. NULL, or why one cannot be opened, with its name and a cure. */
const char *hosted_devices_open(void);

/* Keeps the arguments for arch_reboot. */
void hosted_reboot_keep(char **arguments);

#endif
