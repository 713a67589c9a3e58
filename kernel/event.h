/* Events: units of work that the loop runs. An interrupt handler, wherever it comes from, does no
 * more than post one; posting twice before it ran runs it once. */
#ifndef KERNEL_EVENT_H
#define KERNEL_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { EVENTS_MAX = 64 }; /* one bit each in one word */

struct events;

struct event {
    const char *name; /* for fault reports and accounts */
    void (*run)(void *argument);
    void *argument;
    struct events *of;
    uint64_t *runs; /* counter; may be NULL */
};

struct events {
    _Atomic uint64_t pending;
    unsigned count;
    struct event event[EVENTS_MAX];
};

/* The event, or NULL when all are taken. */
struct event *event_new(struct events *events, const char *name, void (*run)(void *argument),
                        void *argument);

/* From anywhere, interrupt context and other threads included. Wait-free. The argument is a
 * struct event *, typed so that it can be given to arch_interrupt_attach. */
void event_post(void *event);

/* Runs what was pending on entry, lowest first; returns how many. What they post runs next turn. */
unsigned events_run(struct events *events, const char **running);

static inline bool events_pending(const struct events *events)
{
    return atomic_load_explicit(&events->pending, memory_order_relaxed) != 0;
}

#endif
