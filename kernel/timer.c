/* The timer wheel.
 *
 * A tick's number, in digits of six bits, names a slot on each level. A timer sits on the level of
 * the highest digit in which its tick differs from `now`, in the slot of its own digit there; so
 * level 0 holds the ticks that share all higher digits with now, one tick a slot. When now reaches
 * the first tick of a slot on a higher level, that slot's timers move to the levels below. */
#include "kernel/timer.h"

#include <stddef.h>

/* No further ahead than the top level's slots reach without meeting now's own. */
#define TIMER_AHEAD_MAX ((TIMER_SLOTS - 1ull) << ((TIMER_LEVELS - 1) * TIMER_LEVEL_BITS))
#define TIMER_TICK_NS   (1ull << TIMER_TICK_SHIFT)

void timer_wheel_start(struct timer_wheel *wheel, uint64_t now_ns)
{
    uint64_t now = (now_ns >> TIMER_TICK_SHIFT) + 1;
    *wheel = (struct timer_wheel){.now = now, .earliest = now};
}

static unsigned timer_digit(uint64_t tick, unsigned level)
{
    return tick >> (level * TIMER_LEVEL_BITS) & (TIMER_SLOTS - 1);
}

static void timer_unlink(struct timer_wheel *wheel, struct timer *timer)
{
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    if (!wheel->slot[timer->level][timer->slot])
        wheel->occupied[timer->level] &= ~(1ull << timer->slot);
    timer->link = NULL;
}

/* timer->tick is not before now. */
static void timer_place(struct timer_wheel *wheel, struct timer *timer)
{
    uint64_t at = timer->tick;
    if (at - wheel->now > TIMER_AHEAD_MAX)
        at = wheel->now + TIMER_AHEAD_MAX; /* placed again when that comes */
    uint64_t differs = at ^ wheel->now;
    unsigned level = differs ? (63 - (unsigned)__builtin_clzll(differs)) / TIMER_LEVEL_BITS : 0;
    if (level >= TIMER_LEVELS)
        level = TIMER_LEVELS - 1; /* the digits above roll over; the top level's slots go round */
    unsigned slot = timer_digit(at, level);
    struct timer **head = &wheel->slot[level][slot];
    timer->level = (uint8_t)level;
    timer->slot = (uint8_t)slot;
    timer->next = *head;
    timer->link = head;
    if (*head)
        (*head)->link = &timer->next;
    *head = timer;
    wheel->occupied[level] |= 1ull << slot;
}

void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t due_ns)
{
    if (timer->link)
        timer_unlink(wheel, timer);
    else
        wheel->armed++;
    /* Rounded up: never early. */
    timer->tick = (due_ns >> TIMER_TICK_SHIFT) + ((due_ns & (TIMER_TICK_NS - 1)) != 0);
    if (timer->tick < wheel->earliest)
        timer->tick = wheel->earliest;
    timer_place(wheel, timer);
}

void timer_cancel(struct timer_wheel *wheel, struct timer *timer)
{
    if (!timer->link)
        return;
    timer_unlink(wheel, timer);
    wheel->armed--;
}

/* The first tick, not before now, at which a slot must be fired (level 0) or emptied downwards
 * (`*which`, the highest of those that begin together). UINT64_MAX: nothing armed. */
static uint64_t timer_next_tick(const struct timer_wheel *wheel, unsigned *which)
{
    uint64_t best = UINT64_MAX;
    *which = 0;
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        uint64_t occupied = wheel->occupied[level];
        if (!occupied)
            continue;
        unsigned shift = level * TIMER_LEVEL_BITS;
        unsigned digit = timer_digit(wheel->now, level);
        /* Turn the bitmap so that bit 0 is now's own slot: found there, it has begun already. */
        uint64_t turned = digit ? occupied >> digit | occupied << (TIMER_SLOTS - digit) : occupied;
        uint64_t ahead = (uint64_t)__builtin_ctzll(turned);
        uint64_t start = ahead ? ((wheel->now >> shift) + ahead) << shift : wheel->now;
        if (start <= best) {
            best = start;
            *which = level;
        }
    }
    return best;
}

static void timer_fire(struct timer_wheel *wheel, struct timer *timer, uint64_t now_ns)
{
    timer_cancel(wheel, timer);
    uint64_t delay_us = timer->fire(timer);
    if (delay_us == TIMER_NONE || timer->link)
        return; /* ended, or armed by its own callback */
    uint64_t delay_ns =
        delay_us > (UINT64_MAX - now_ns) / 1000 ? UINT64_MAX - now_ns : delay_us * 1000;
    timer_arm(wheel, timer, now_ns + delay_ns);
}

unsigned timer_wheel_run(struct timer_wheel *wheel, uint64_t now_ns, unsigned budget)
{
    uint64_t until = now_ns >> TIMER_TICK_SHIFT;
    unsigned spent = 0;
    /* What is armed from here on fires in a later call: a timer that re-arms itself for at once
     * cannot keep us. */
    if (wheel->earliest <= until)
        wheel->earliest = until + 1;
    while (wheel->now <= until) {
        unsigned level;
        uint64_t tick = timer_next_tick(wheel, &level);
        if (tick > until) {
            wheel->now = until + 1;
            break;
        }
        wheel->now = tick;
        struct timer **head = &wheel->slot[level][timer_digit(tick, level)];
        for (; *head && spent < budget; spent++) {
            struct timer *timer = *head;
            if (level == 0) {
                timer_fire(wheel, timer, now_ns);
            } else {
                timer_unlink(wheel, timer);
                timer_place(wheel, timer);
            }
        }
        if (*head)
            break;
    }
    return spent;
}

uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel)
{
    unsigned level;
    uint64_t tick = timer_next_tick(wheel, &level);
    return tick > UINT64_MAX >> TIMER_TICK_SHIFT ? UINT64_MAX : tick << TIMER_TICK_SHIFT;
}
