/* One core's loop and everything it changes. All mutable state of the kernel hangs off this struct,
 * and it is reached in one way: the argument `core` (a service: self->core; a driver: nic->core).
 * A second core is a second one of these, with its own pools; the fast path shares nothing. */
#ifndef KERNEL_CORE_H
#define KERNEL_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/nic.h"
#include "kernel/counter.h"
#include "kernel/drop.h"
#include "kernel/event.h"
#include "kernel/frame.h"
#include "kernel/log.h"
#include "kernel/record.h"
#include "kernel/route.h"
#include "kernel/timer.h"

enum {
    SERVICES_MAX = 16,
    CLASSIFIED_PAIRS_BITS = 8,
    CLASSIFIED_PAIRS = 1 << CLASSIFIED_PAIRS_BITS, /* 4 KiB: stays in the nearest cache */
    YIELDED_MAX = 256,                             /* frames waiting for a service that yielded */
    TIMER_BUDGET = 256,                            /* timers fired or moved in one turn */
    YIELDED_BUDGET = 64,                           /* yielded frames taken up in one turn */
    DEVICES_MAX = 32,                              /* on the machine, nics or not */
    FRAMES_MIN = 512,  /* below this a nic's rings starve: refuse to start */
    FRAMES_MAX = 4096, /* 9 MiB; more only hides a sender that is too fast */
};

/* Where the time of a turn goes. The accounts of the phases and of the services sum to all time. */
enum phase {
    PHASE_EVENTS,
    PHASE_RECEIVE, /* nic receive and classifying */
    PHASE_TIMERS,
    PHASE_REQUESTS, /* those of clients, and their frames */
    PHASE_YIELDED,
    PHASE_TRANSMIT, /* nic transmit, from whichever phase */
    PHASE_HOUSEKEEPING,
    PHASE_POLLING, /* turns that found nothing */
    PHASE_IDLE,    /* asleep */
    PHASE_COUNT,
};

extern const char *const phase_name[PHASE_COUNT];

enum idle_mode {
    IDLE_ADAPTIVE, /* spin for IDLE_SPIN_US after work, then sleep */
    IDLE_POLL,     /* never sleep */
    IDLE_HALT,     /* sleep at once */
};

struct clients;
struct core;
struct service;

/* What a table was made from. */
struct service_source {
    char *text;
    size_t bytes;
    uint32_t since; /* recorder.swaps when it was put in force; swapping back leaves it */
};

/* One instance of a service. */
struct service_self {
    struct core *core;
    const struct service *service;
    void *state;
    uint8_t index; /* in core->service, which is the order of the chains */
    bool wanted;   /* by configuration: run it once everything is there */
    bool running;
    bool loaded;              /* a table is ready to be swapped in */
    bool former;              /* the former one is, that the one in force took the place of */
    uint32_t loads;           /* tables taken so far */
    uint32_t load_error_at;   /* byte of a table that load refused, */
    uint32_t load_error_line; /* and the line of its source that this is about; 0: not known */
    struct service_source source[2]; /* of the table in force, and of the spare one */
    struct {
        uint64_t *frames;  /* handed to receive and transmit; */
        uint64_t *passed;  /* of them, those it passed on, */
        uint64_t *dropped; /* and all it dropped, of its own and from timers too */
        uint64_t *time_ns;
    } count;
};

/* What the classifier found out about a pair of addresses. */
struct classified_pair {
    uint64_t key;      /* source and destination as they lie in the header */
    uint32_t next_hop; /* these two for frames that are passed on */
    uint8_t leaves_by;
    bool passed_on; /* rather than dropped, or for us */
    uint8_t to;     /* enum route_type of the destination */
    uint8_t reason; /* enum drop_reason, for the addresses alone */
};

/* What becomes of the machine when the loop has ended; the numbers are System_Stop's. */
enum core_stop { CORE_STOP_NONE, CORE_STOP_POWER_OFF, CORE_STOP_REBOOT };

struct core {
    uint64_t now_ns;     /* when this turn began: the loop's one reading of the clock */
    uint64_t account_ns; /* up to here time is accounted */
    uint64_t worked_ns;  /* the last turn that did work */
    uint64_t timers_due_ns;
    uint64_t housekeeping_due_ns;
    unsigned nic_count;
    unsigned nic_queues; /* receive queues of each nic that has several; 0: one */
    unsigned service_count;
    uint32_t unflushed; /* bit n: nic n has frames in out */
    enum idle_mode idle_mode;
    bool armed; /* nic interrupts are on; the next empty turn sleeps */
    enum core_stop stop;
    uint16_t ip_id;
    const char *running; /* phase or service; shown by fault reports */

    /* By place in the chain; 0 where the service does not run or has no handler. */
    uint16_t receive_kinds[SERVICES_MAX], transmit_kinds[SERVICES_MAX];

    uint64_t *drop;                 /* [DROP_REASON_COUNT] counters */
    uint64_t drops;                 /* all of them */
    uint64_t *time_ns[PHASE_COUNT]; /* counters */
    uint64_t *turns, *turns_worked, *sleeps;

    struct frame_pool frames;
    struct events events;
    struct timer_wheel timers;
    struct route_table routes;
    uint64_t pairs_of; /* routes.changes that the pairs are of */
    struct classified_pair pair[CLASSIFIED_PAIRS];
    struct counter_registry counters;
    struct nic nic[NICS_MAX + 1]; /* the last one is NIC_NOWHERE */
    struct service_self service[SERVICES_MAX];

    struct { /* a FIFO of frames to go on in the receive chain; ring of YIELDED_MAX */
        unsigned first, count;
        struct frame *frame[YIELDED_MAX];
    } yielded;

    struct report { /* lines for the console; 0: none wanted. kernel/report.c */
        uint64_t status_every_ns, status_due_ns;
        uint64_t dump_every_ns, dump_due_ns;
        uint64_t last_ns, last_busy_ns;
        unsigned dump_next; /* the counter to go on with */
        bool dumping;
    } report;
    unsigned device_count;
    struct arch_device device[DEVICES_MAX];
    struct recorder recorder;
    struct clients *clients; /* NULL: there can be none. psr/ */
    unsigned client_limit;
    size_t window_bytes;    /* of a window that is made for a client */
    unsigned window_rights; /* enum piglet_right: of the system's capability in a window */
    const char *machine;    /* for people */
    struct log log;
};

/* Charges the time since the last charge to an account. About twelve instructions. */
static inline void core_account(struct core *core, uint64_t *account)
{
    uint64_t now_ns = arch_clock_ns();
    *account += now_ns - core->account_ns;
    core->account_ns = now_ns;
}

/* Counts why a frame comes to nothing, whose buffer may live on, e.g. as the error that answers it. */
static inline void core_note_drop(struct core *core, const struct frame *frame, unsigned reason)
{
    ++core->drop[reason];
    ++core->drops;
    recorder_note(&core->recorder, frame, reason, core->running, core->now_ns);
}

/* Frees a frame of the caller's and counts why. */
static inline void core_drop(struct core *core, struct frame *frame, unsigned reason)
{
    core_note_drop(core, frame, reason);
    frame_free(&core->frames, frame);
}

/* Takes a frame (kind FRAME_READY or FRAME_RESOLVE) to be sent by a nic at the end of the batch. */
static inline void core_send_by(struct core *core, struct nic *nic, struct frame *frame)
{
    struct frame **place = nic->out.end;
    if (__builtin_expect(place == nic->out.limit, 0)) {
        core_drop(core, frame, DROP_SEND_BACKLOG);
        return;
    }
    *place = frame;
    nic->out.end = place + 1;
    nic->out.kinds |= frame->kind;
    core->unflushed |= nic->out.bit;
}

/* Likewise, by frame->nic. */
static inline void core_send(struct core *core, struct frame *frame)
{
    core_send_by(core, &core->nic[frame->nic], frame);
}

#endif
