/* Timers that clients start: each expiry is an event. */
#include <stddef.h>

#include "psr/client.h"

enum {
    TIMER_PERIOD_MIN_US = 100, /* shorter ones would be the loop's main work */
};

#define TIMER_MAX_US (30ull * 86400 * 1000000) /* a month */

void client_timer_end(struct client *client, struct client_timer *timer)
{
    timer_cancel(&client->core->timers, &timer->timer);
    if (timer->reserved)
        client->events_reserved--;
    *timer = (struct client_timer){.object.type = OBJECT_NONE};
}

/* An event that finds no room is counted into the next one. */
static uint64_t client_timer_fire(struct timer *fired)
{
    struct client_timer *timer =
        (struct client_timer *)((char *)fired - offsetof(struct client_timer, timer));
    struct client *client = timer->client;
    /* From when it was due, not from when that was noticed: no period gets longer. */
    uint64_t late_ns = client->core->now_ns - timer->due_ns, period_ns = timer->period_us * 1000;
    uint32_t times = period_ns ? (uint32_t)(late_ns / period_ns) + 1 : 1;
    timer->due += times;
    if (timer->reserved || event_reserve(client)) {
        struct piglet_event event = {.type = PIGLET_EVENT_TIMER,
                                     .cookie = timer->cookie,
                                     .result = timer->capability,
                                     .chain = timer->chain,
                                     .count = timer->due};
        event_write(client, &event);
        timer->due = 0;
        timer->reserved = timer->period_us && event_reserve(client);
    }
    if (period_ns) {
        timer->due_ns += times * period_ns;
        timer_arm(&client->core->timers, &timer->timer, timer->due_ns);
    }
    return TIMER_NONE;
}

static void client_timer_undo(struct client *client, struct undo *undo)
{
    client_timer_end(client, undo->object);
}

/* Armed only now: before, an ATOMIC chain could still take it back. */
static void client_timer_commit(struct client *client, struct undo *undo)
{
    struct client_timer *timer = undo->object;
    struct core *core = client->core;
    if (timer->object.type != OBJECT_TIMER || timer->object.names == 0)
        return; /* stopped by the same chain */
    /* Not from the turn's beginning, which may be long past: it would come early. */
    uint64_t due_ns = arch_clock_ns() + undo->value[0] * 1000;
    timer->due_ns = due_ns;
    timer_arm(&core->timers, &timer->timer, due_ns);
    if (due_ns < core->timers_due_ns)
        core->timers_due_ns = due_ns;
}

int op_timer_start(struct client *client, struct call *call)
{
    struct client_timer *timer = NULL;
    uint64_t delay_us = call->value[1], period_us = call->value[2];
    if (delay_us > TIMER_MAX_US || period_us > TIMER_MAX_US ||
        (period_us && period_us < TIMER_PERIOD_MIN_US))
        return ERR_RANGE;
    for (unsigned i = 0; i < TIMERS_MAX && !timer; i++)
        if (!client->timer[i].object.type)
            timer = &client->timer[i];
    if (!timer)
        return ERR_LIMIT;
    if (!event_reserve(client))
        return ERR_FULL;
    *timer = (struct client_timer){.object.type = OBJECT_TIMER,
                                   .timer.fire = client_timer_fire,
                                   .client = client,
                                   .chain = call->chain,
                                   .cookie = call->request->cookie,
                                   .period_us = period_us,
                                   .reserved = true};
    struct undo *undo = undo_add(client);
    undo->undo = client_timer_undo;
    undo->commit = client_timer_commit;
    undo->object = timer;
    undo->value[0] = delay_us;
    int error = capability_new(client, &timer->object, PIGLET_RIGHT_USE | PIGLET_RIGHT_COPY,
                               NO_PARENT, &timer->capability);
    call->result = timer->capability;
    return error;
}

int op_timer_stop(struct client *client, struct call *call)
{
    call->cost = MARKS_COST;
    return object_end_names(client, call->object[0]);
}
