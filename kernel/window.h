/* What a window driver implements: where the memory shared with a client comes from.
 *
 * A driver finds or makes windows and opens them; what is in them is psr/'s business. On a machine
 * with PCI a window is an ivshmem device; hosted, each client that connects to a socket gets one of
 * its own. Tests open windows in ordinary memory. */
#ifndef KERNEL_WINDOW_H
#define KERNEL_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arch_device;
struct client;
struct core;
struct window;

enum { WINDOW_DRIVERS_MAX = 4 };

struct window_driver {
    const char *name; /* "ivshmem" */

    /* Whether this driver is for the device; looks at ids only. */
    bool (*match)(const struct arch_device *device);

    /* Gets ready, and opens the windows that are there already. Negative: logged by the caller, and
     * the device is left out. */
    int (*probe)(struct core *core, const struct arch_device *device);

    /* From housekeeping and after each sleep: opens windows for clients that came, closes those of
     * clients that went. Bounded; never waits. May be NULL. */
    void (*attend)(struct core *core);

    /* Wakes a client that sleeps. Never waits. NULL: it cannot be woken. */
    void (*wake)(struct window *window);

    /* Gives up all windows (window_close) and what else it holds. May be NULL. */
    void (*stop)(struct core *core);
};

/* One window, embedded in whatever the driver keeps of it. Filled in by the driver before
 * window_open; the rest is psr/'s. */
struct window {
    const struct window_driver *driver;
    uint8_t *memory; /* page-aligned; hostile: the client may change any byte at any time */
    size_t bytes;    /* PIGLET_WINDOW_BYTES_MIN to _MAX are used; never shrinks while open */
    bool heartbeat;  /* nothing else would tell that the client is gone */
    bool belled;     /* the client can reach the bell page and wake this kernel */
    struct client *client;
};

/* A client slot for the window, free to be attached to; the header is laid out. ERR_FULL: as many
 * clients as there may be. ERR_RANGE: too small. Constant time but for zeroing the header. */
int window_open(struct core *core, struct window *window);

/* Frees all that the client held, in bounded time; afterwards nothing refers to the memory. */
void window_close(struct core *core, struct window *window);

/* Where a driver keeps what it has on this core; NULL at first. */
void **window_state(struct core *core, const struct window_driver *driver);

/* The number clients know the window's by, and their bit in the bell page. */
unsigned window_number(const struct window *window);

/* The page that all clients may ring (include/piglet/window.h). The driver that shares it says
 * where it is; without one every window is looked at in every turn. */
void window_bell(struct core *core, void *bell);

/* Rows of the machine's own list (drivers/drivers.c, drivers/linux/drivers.c), ended by NULL. */
extern const struct window_driver *const window_drivers[];

#endif
