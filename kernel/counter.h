/* The counter registry: every number the kernel keeps has a name, a sentence and one place.
 *
 * Values lie in one array, so that they can be shown to clients as one read-only piece of memory.
 * Registering is for start-up and configuration; counting is an increment through the pointer. */
#ifndef KERNEL_COUNTER_H
#define KERNEL_COUNTER_H

#include <stddef.h>
#include <stdint.h>

enum {
    COUNTERS_MAX = 1024,
    COUNTER_NAME_MAX = 40, /* with the closing NUL: "nic0.rx_frames" */
};

struct counter {
    char name[COUNTER_NAME_MAX];
    const char *help; /* one sentence, static */
};

struct counter_registry {
    unsigned count;
    uint64_t *value; /* COUNTERS_MAX of them, page-aligned */
    struct counter *counter;
    uint64_t overflow; /* where counters go that found no room */
};

/* ERR_NO_MEMORY. */
int counter_registry_start(struct counter_registry *registry);

/* Where to count for "who.what". The same name gives the same place again. A full registry (logged
 * by the caller's caller through counter_registry.count) gives a shared spill place, never NULL. */
uint64_t *counter_new(struct counter_registry *registry, const char *who, const char *what,
                      const char *help);

/* The value's place, or NULL. For tools and tests: a linear search. */
const uint64_t *counter_find(const struct counter_registry *registry, const char *name);

#endif
