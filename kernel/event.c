/* Events. */
#include "kernel/event.h"

#include <stddef.h>

struct event *event_new(struct events *events, const char *name, void (*run)(void *argument),
                        void *argument)
{
    if (events->count == EVENTS_MAX)
        return NULL;
    struct event *event = &events->event[events->count++];
    event->name = name;
    event->run = run;
    event->argument = argument;
    event->of = events;
    return event;
}

void event_post(void *posted)
{
    struct event *event = posted;
    uint64_t bit = 1ull << (event - event->of->event);
    /* Release: what the poster wrote before is seen by the handler. */
    atomic_fetch_or_explicit(&event->of->pending, bit, memory_order_release);
}

unsigned events_run(struct events *events, const char **running)
{
    uint64_t pending = atomic_exchange_explicit(&events->pending, 0, memory_order_acquire);
    unsigned ran = 0;
    for (; pending; pending &= pending - 1, ran++) {
        struct event *event = &events->event[__builtin_ctzll(pending)];
        *running = event->name;
        event->run(event->argument);
        if (event->runs)
            ++*event->runs;
    }
    return ran;
}
