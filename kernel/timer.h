/* The timer wheel: add, cancel and re-arm in O(1), a million timers, a resolution of 1.024 us.
 *
 * Seven levels of 64 slots; a level's slot is as long as the whole level below it. A timer sits in
 * the level of the highest bit in which its tick differs from now, and moves down at most six
 * times. A timer never fires early; timers of different ticks fire in the order of their ticks.
 *
 * Timers are embedded in what they time; the wheel allocates nothing. Cf. Varghese and Lauck,
 * "Hashed and Hierarchical Timing Wheels", scheme 6. */
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TIMER_TICK_SHIFT = 10, /* a tick is 1,024 ns: no division, and close to a microsecond */
    TIMER_LEVEL_BITS = 6,
    TIMER_SLOTS = 1 << TIMER_LEVEL_BITS,
    TIMER_LEVELS = 7, /* 42 bits of ticks: 52 days. Longer delays go round the top again */
};

#define TIMER_NONE UINT64_MAX /* "do not call again", from a timeout callback */

struct timer {
    struct timer *next;
    struct timer **link; /* what points at us; NULL: not armed */
    uint64_t tick;       /* when to fire */
    uint8_t level, slot;
    uint64_t (*fire)(
        struct timer *timer); /* returns the next delay_us, 0 = next turn, or TIMER_NONE */
};

struct timer_wheel {
    uint64_t now;      /* ticks before this one have fired */
    uint64_t earliest; /* what is armed now fires in this tick or later */
    uint64_t armed;
    uint64_t occupied[TIMER_LEVELS]; /* a bit for each slot that is not empty */
    struct timer *slot[TIMER_LEVELS][TIMER_SLOTS];
};

void timer_wheel_start(struct timer_wheel *wheel, uint64_t now_ns);

/* Arms the timer, or moves it when it is armed already. `timer->fire` is set by its owner. */
void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t due_ns);

/* Nothing happens when it is not armed. */
void timer_cancel(struct timer_wheel *wheel, struct timer *timer);

static inline bool timer_armed(const struct timer *timer)
{
    return timer->link != 0;
}

/* Fires what is due, ticks in order; those of one tick in no particular order. A callback's delay
 * counts from now_ns, unless the callback armed its timer itself. What callbacks arm fires in a
 * later call. Spends at most `budget` firings and moves together, the rest is for the next call.
 * Returns what it spent. Firing may arm and cancel any timer. */
unsigned timer_wheel_run(struct timer_wheel *wheel, uint64_t now_ns, unsigned budget);

/* A time before which nothing is due: exact for the next 64 us, else a slot's start, which is never
 * later than the timer's. UINT64_MAX: nothing armed. O(levels). */
uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel);

#endif
