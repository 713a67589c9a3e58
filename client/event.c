/* Taking events, and waiting for them: first by looking often, then asleep. */
#define _GNU_SOURCE
#include "internal.h"

#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    EAGER_LOOKS = 2000, /* as fast as they go: a kernel on a core of its own answers meanwhile */
    PATIENT_LOOKS = 64, /* between looks at the clock, with a pause each */
    SPIN_US = 50,       /* then it sleeps: the answer takes longer than falling asleep */
    SLEEP_MS = 500,     /* at most, before it looks whether the kernel is there */
    DOZE_US = 50,       /* first sleep where nobody wakes us, twice as long each time, */
    DOZE_MAX_US = 1000, /* up to this */
};

uint64_t piglet_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline void look_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* ---- the ring ------------------------------------------------------------------------------- */

/* The chain has ended: its place, and those of the requests before the oldest that runs, are free. */
static void chain_ended(struct piglet *piglet, uint32_t number)
{
    uint32_t mask = piglet->post_count - 1;
    struct posted *posted = &piglet->chain[(number - 1) & mask];
    if (!posted->running || posted->number != number)
        return;
    posted->running = false;
    while (piglet->oldest != piglet->posted + 1) {
        posted = &piglet->chain[(piglet->oldest - 1) & mask];
        if (posted->running)
            break;
        piglet->tail = posted->end;
        piglet->oldest++;
    }
}

static bool event_take(struct piglet *piglet, struct piglet_event *event)
{
    const struct piglet_event *there = &piglet->event[piglet->taken & (piglet->event_count - 1)];
    if (__atomic_load_n(&there->number, __ATOMIC_ACQUIRE) != piglet->taken + 1)
        return false;
    *event = *there;
    piglet->taken++;
    __atomic_store_n(&piglet->window->events_taken, piglet->taken, __ATOMIC_RELEASE);
    /* The ring was full, and the kernel does not look by itself whether that has changed. */
    if (__atomic_load_n(&piglet->window->waiting, __ATOMIC_RELAXED))
        piglet_ring_if_needed(piglet);
    if (event->type == PIGLET_EVENT_CHAIN)
        chain_ended(piglet, event->chain);
    return true;
}

/* ---- the queue ------------------------------------------------------------------------------ */

static struct piglet_event *queue_at(struct piglet *piglet, uint32_t at)
{
    return &piglet->queue[at & (piglet->queue_room - 1)];
}

static bool queue_full(const struct piglet *piglet)
{
    return piglet->queue_head - piglet->queue_tail == piglet->queue_room;
}

void piglet_settle(struct piglet *piglet)
{
    while (!queue_full(piglet) && event_take(piglet, queue_at(piglet, piglet->queue_head)))
        piglet->queue_head++;
}

/* Takes the chain's event out of the queue; the others keep their order. */
static bool queue_find(struct piglet *piglet, uint32_t number, struct piglet_event *event)
{
    for (uint32_t at = piglet->queue_tail; at != piglet->queue_head; at++) {
        struct piglet_event *kept = queue_at(piglet, at);
        if (kept->type != PIGLET_EVENT_CHAIN || kept->chain != number)
            continue;
        *event = *kept;
        for (; at != piglet->queue_tail; at--)
            *queue_at(piglet, at) = *queue_at(piglet, at - 1);
        piglet->queue_tail++;
        return true;
    }
    return false;
}

/* ---- waiting -------------------------------------------------------------------------------- */

int piglet_fd(const struct piglet *piglet)
{
    bool wakes = piglet->window && piglet->window->features & PIGLET_FEATURE_WAKE;
    return wakes && piglet->wake_fd >= 0 ? piglet->wake_fd : ERR_UNSUPPORTED;
}

void piglet_sleep_begin(struct piglet *piglet)
{
    if (!piglet->window)
        return;
    __atomic_store_n(&piglet->window->sleeping, 1, __ATOMIC_RELAXED);
    /* Pairs with the kernel's fence between writing an event or frame and reading `sleeping`:
     * either it sees that we sleep, or we see what it wrote. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void piglet_sleep_end(struct piglet *piglet)
{
    char taken[256];
    if (!piglet->window)
        return;
    __atomic_store_n(&piglet->window->sleeping, 0, __ATOMIC_RELAXED);
    /* Empties it, whatever kind of descriptor it is; it does not block (connect.c). */
    while (piglet->wake_fd >= 0 && read(piglet->wake_fd, taken, sizeof taken) == sizeof taken)
        ;
}

/* Sleeps until woken, or for so long; 1: what it waits for is there. */
static int sleep_woken(struct piglet *piglet, piglet_ready_function *ready, void *what,
                       uint64_t sleep_us)
{
    struct timespec limit = {.tv_sec = (time_t)(sleep_us / 1000000),
                             .tv_nsec = (long)(sleep_us % 1000000) * 1000};
    struct pollfd fds[2] = {{.fd = piglet->wake_fd, .events = POLLIN},
                            {.fd = piglet->socket_fd, .events = POLLRDHUP}};
    piglet_sleep_begin(piglet);
    int done = ready(piglet, what);
    if (!done)
        ppoll(fds, 2, &limit, NULL);
    piglet_sleep_end(piglet);
    return done;
}

/* Asleep, with looks between; `left_us` below 0: for ever. */
static int wait_asleep(struct piglet *piglet, piglet_ready_function *ready, void *what,
                       int64_t timeout_us, uint64_t start_us)
{
    bool woken = piglet_fd(piglet) >= 0;
    uint64_t doze_us = DOZE_US;
    for (;;) {
        uint64_t spent_us = piglet_now_us() - start_us;
        if (timeout_us >= 0 && spent_us >= (uint64_t)timeout_us)
            return ERR_TIMEOUT;
        uint64_t sleep_us = woken ? SLEEP_MS * 1000ull : doze_us;
        if (timeout_us >= 0 && sleep_us > (uint64_t)timeout_us - spent_us)
            sleep_us = (uint64_t)timeout_us - spent_us;
        if (piglet->oldest != piglet->posted + 1)
            piglet_ring_if_needed(piglet); /* a bell that was lost is rung again */
        int done = 0;
        if (woken)
            done = sleep_woken(piglet, ready, what, sleep_us);
        else
            usleep((useconds_t)sleep_us);
        if (!done)
            done = ready(piglet, what);
        if (done)
            return done < 0 ? done : 0;
        if (!piglet_alive(piglet))
            return ERR_CANCELLED;
        doze_us = doze_us * 2 < DOZE_MAX_US ? doze_us * 2 : DOZE_MAX_US;
    }
}

int piglet_wait_until(struct piglet *piglet, piglet_ready_function *ready, void *what,
                      int64_t timeout_us)
{
    int done = ready(piglet, what);
    for (unsigned i = 0; !done && timeout_us && i < EAGER_LOOKS; i++)
        done = ready(piglet, what);
    if (!done && timeout_us == 0)
        return ERR_TIMEOUT;
    uint64_t start_us = done ? 0 : piglet_now_us(), spent_us = 0;
    while (!done && spent_us < SPIN_US && (timeout_us < 0 || spent_us < (uint64_t)timeout_us)) {
        for (unsigned i = 0; !done && i < PATIENT_LOOKS; i++) {
            look_pause();
            done = ready(piglet, what);
        }
        spent_us = piglet_now_us() - start_us;
    }
    if (done)
        return done < 0 ? done : 0;
    return wait_asleep(piglet, ready, what, timeout_us, start_us);
}

/* ---- what callers wait for ------------------------------------------------------------------ */

struct chain_wait {
    uint32_t number;
    struct piglet_event *event;
};

static int chain_ready(struct piglet *piglet, void *what)
{
    const struct chain_wait *wait = (const struct chain_wait *)what;
    struct piglet_event event;
    while (!queue_full(piglet)) {
        if (!event_take(piglet, &event))
            return 0;
        if (event.type == PIGLET_EVENT_CHAIN && event.chain == wait->number) {
            *wait->event = event;
            return 1;
        }
        *queue_at(piglet, piglet->queue_head++) = event;
    }
    return ERR_FULL;
}

int piglet_wait(struct piglet *piglet, int64_t number, int64_t timeout_us,
                struct piglet_event *event)
{
    struct piglet_event unwanted = {.number = 0};
    struct chain_wait wait = {.number = (uint32_t)number, .event = event ? event : &unwanted};
    memset(wait.event, 0, sizeof *wait.event);
    if (number < 0)
        return (int)number;
    if (!piglet->window)
        return ERR_CANCELLED;
    const struct posted *posted = &piglet->chain[(wait.number - 1) & (piglet->post_count - 1)];
    if (posted->number != wait.number || !posted->running) {
        if (!queue_find(piglet, wait.number, wait.event))
            return ERR_NOT_FOUND;
    } else {
        int error = piglet_wait_until(piglet, chain_ready, &wait, timeout_us);
        if (error)
            return error;
    }
    return wait.event->error;
}

static int event_ready(struct piglet *piglet, void *what)
{
    struct piglet_event *event = (struct piglet_event *)what;
    if (piglet->queue_tail == piglet->queue_head)
        return event_take(piglet, event);
    *event = *queue_at(piglet, piglet->queue_tail++);
    return 1;
}

int piglet_next_event(struct piglet *piglet, int64_t timeout_us, struct piglet_event *event)
{
    memset(event, 0, sizeof *event);
    if (!piglet->window)
        return ERR_CANCELLED;
    return piglet_wait_until(piglet, event_ready, event, timeout_us);
}
