/* What a service is, and all that it may do.
 *
 * A service is one file: a descriptor, a receive handler, a transmit filter, a timeout callback, a
 * table of settings. It includes this header and include/wire/ and nothing else of ours. It touches
 * its own state, the frames of its batch, and the calls below. The descriptor is a type: nothing in
 * the file is static and mutable; configuration makes instances. Everything runs to completion in
 * the loop.
 *
 * A handler gives each frame of its batch a verdict; service_each turns a function that judges one
 * frame into a handler of batches, without a call per frame. */
#ifndef KERNEL_SERVICE_H
#define KERNEL_SERVICE_H

#include <string.h>

#include "kernel/core.h"

enum verdict {
    VERDICT_PASS,     /* on to the next service; the frame may have been changed */
    VERDICT_DROP,     /* frame->reason says why: return service_drop_for(frame, DROP_...) */
    VERDICT_CONSUMED, /* the service owns the frame now: sent, freed, or kept for later */
    VERDICT_YIELD,    /* enough for now: the loop calls again with this frame, in a later turn */
};

enum service_notice {
    SERVICE_NIC_UP,          /* about: the nic's index */
    SERVICE_NIC_DOWN,        /* about: the nic's index */
    SERVICE_ADDRESS_ADDED,   /* about: the address, host order */
    SERVICE_ADDRESS_REMOVED, /* about: the address, host order */
};

/* One delayed callback of a service. Embedded in its state; as many as it likes. */
struct service_timer {
    struct timer timer;
    struct service_self *self;
};

enum service_setting_kind {
    SETTING_NUMBER, /* a whole decimal number */
    SETTING_SWITCH, /* on or off */
};

/* A word "name.key=value": a field of the state that the configuration, and whoever asks while the
 * service runs, may set and read. The field has its default when the instance is made, and keeps
 * its value while the service is stopped. */
struct service_setting {
    const char *name; /* the key: "port" */
    const char *help; /* one line, with the unit */
    uint16_t offset;  /* of the field in the state */
    uint8_t bytes;    /* its width: 1, 2, 4 or 8, unsigned; a switch is a bool */
    uint8_t kind;     /* enum service_setting_kind */
    uint64_t min, max, initial;
};

/* Rows of a settings table, which ends with {0}. */
#define SERVICE_FIELD(state, field)                                                                \
    .offset = offsetof(struct state, field), .bytes = sizeof((struct state *)0)->field
#define SERVICE_NUMBER(key, state, field, least, most, value, text)                                \
    {                                                                                              \
        .name = (key), .help = (text), SERVICE_FIELD(state, field), .kind = SETTING_NUMBER,        \
        .min = (least), .max = (most), .initial = (value)                                          \
    }
#define SERVICE_SWITCH(key, state, field, value, text)                                             \
    {                                                                                              \
        .name = (key), .help = (text), SERVICE_FIELD(state, field), .kind = SETTING_SWITCH,        \
        .max = 1, .initial = (value)                                                               \
    }

enum {
    SERVICE_LINE_MAX = 152,  /* bytes of a line from show, its end included */
    SERVICE_SHOW_BUDGET = 64 /* entries that one call of show may look at */
};

struct service {
    const char *name; /* "arp" */
    const char *help; /* one line */
    bool on_by_default;
    unsigned receive_kinds;  /* of enum frame_kind: what receive is called with */
    unsigned transmit_kinds; /* likewise for transmit */
    size_t state_bytes;      /* zeroed memory at self->state */

    /* Any of these may be NULL. */

    const struct service_setting *settings; /* ended by a NULL name */
    /* Checks the state's configuration and gets ready. Negative: the service stays off. */
    int (*start)(struct service_self *self);
    /* Frees every frame it holds (service_drop, DROP_SERVICE_STOPPED), and cancels its timers. */
    void (*stop)(struct service_self *self);
    /* The service runs, and a setting has another value now: in force at once, so what was derived
     * from the old one is corrected here. */
    void (*changed)(struct service_self *self);
    void (*receive)(struct service_self *self, struct batch *batch);
    void (*transmit)(struct service_self *self, struct batch *batch);
    /* Returns the timer's next delay_us, 0 for the next turn (that is how a long job yields), or
     * TIMER_NONE. */
    uint64_t (*timeout)(struct service_self *self, struct service_timer *timer);
    void (*notice)(struct service_self *self, enum service_notice what, uint32_t about);
    /* Writes a line (SERVICE_LINE_MAX, no newline) about the next item of the service's table from
     * place *next on, which moves behind it; 0 is the first. False: there are no more. An empty line
     * says "nothing among the SERVICE_SHOW_BUDGET I looked at, ask again". */
    bool (*show)(struct service_self *self, unsigned *next, char *text, size_t room);

    /* A table from outside, such as a firewall's rules: at most table_max bytes of a form that the
     * service's header in include/piglet/ defines. load checks all of it (the bytes are the kernel's
     * own copy, and stay as they are until load returns) and builds what is needed in the spare
     * half of its memory; on an error nothing has changed, and self->load_error_at says which byte
     * was wrong, and load_error_line whose line in the source that is, where the table says so. swap puts the spare half in force and makes the former one the spare, so that
     * swapping again takes it back. Running or not. */
    size_t table_max; /* 0: the service takes none */
    int (*load)(struct service_self *self, const uint8_t *table, size_t bytes);
    void (*swap)(struct service_self *self);
};

/* ---- frames ------------------------------------------------------------------------------- */

static inline enum verdict service_drop_for(struct frame *frame, enum drop_reason reason)
{
    frame->reason = (uint8_t)reason;
    return VERDICT_DROP;
}

/* Passes the frame on, marked to be answered by an ICMP error: the icmp service, behind in the
 * chain, does that and drops it for `reason`. `value` goes into the error's second word (next-hop
 * MTU). */
static inline enum verdict service_reject(struct frame *frame, enum drop_reason reason,
                                          uint8_t icmp_type, uint8_t icmp_code, uint16_t value)
{
    frame->kind = FRAME_REJECTED;
    frame->reason = (uint8_t)reason;
    frame->icmp_type = icmp_type;
    frame->icmp_code = icmp_code;
    frame->icmp_value = value;
    return VERDICT_PASS;
}

enum { SERVICE_RESET = 0xff }; /* in icmp_type of a FRAME_REJECTED: answer by a TCP reset */

/* Likewise, for a TCP packet whose header is whole: answered by a reset. */
static inline enum verdict service_reject_reset(struct frame *frame, enum drop_reason reason)
{
    return service_reject(frame, reason, SERVICE_RESET, 0, 0);
}

void service_yield_frame(struct service_self *self, struct frame *frame); /* service_each's */

/* Judges every frame of a batch; what passes stays in the batch. Always inlined, so `judge` is no
 * call. */
static inline __attribute__((always_inline)) void
service_each(struct service_self *self, struct batch *batch,
             enum verdict (*judge)(struct service_self *self, struct frame *frame))
{
    struct frame **kept = batch->frame, *const *end = kept + batch->count;
    unsigned kinds = 0;
    for (struct frame *const *at = kept; at < end; at++) {
        struct frame *frame = *at;
        switch (judge(self, frame)) {
        case VERDICT_PASS:
            *kept++ = frame;
            kinds |= frame->kind;
            break;
        case VERDICT_DROP:
            core_drop(self->core, frame, frame->reason);
            break;
        case VERDICT_CONSUMED:
            break;
        case VERDICT_YIELD:
            service_yield_frame(self, frame);
            break;
        }
    }
    batch->count = (unsigned)(kept - batch->frame);
    batch->kinds = kinds;
}

/* A frame of the service's own, to be filled in from data on and sent. NULL: none left (counted).
 */
static inline struct frame *service_frame(struct service_self *self)
{
    struct frame *frame = frame_alloc(&self->core->frames);
    if (frame)
        frame->flags = 0;
    return frame;
}

/* Sends a consumed frame by nic frame->nic: data and length say what; kind is FRAME_READY, or
 * FRAME_RESOLVE with next_hop set when the destination MAC address is still to be found. Goes
 * through the transmit chain at the end of the batch; as FRAME_SHAPED, which is for the last filter
 * of the chain, past it. Never fails: what cannot be sent is dropped and counted. */
static inline void service_send(struct service_self *self, struct frame *frame)
{
    core_send(self->core, frame);
}

/* The same for a frame that leaves by another nic than it came from. */
static inline void service_pass_on(struct service_self *self, struct frame *frame, unsigned nic)
{
    frame->received_on = frame->nic;
    frame->nic = (uint8_t)nic;
    frame->flags |= FRAME_FORWARDED;
    core_send_by(self->core, &self->core->nic[nic], frame);
}

/* How many more frames service_send takes for a nic in this turn. */
static inline unsigned service_room(const struct service_self *self, unsigned nic)
{
    return NIC_OUT_MAX - nic_out_count(&self->core->nic[nic]);
}

/* For those who hold many: how many frames there are, and how many nobody has. */
static inline unsigned service_frames_total(const struct service_self *self)
{
    return self->core->frames.total;
}

static inline unsigned service_frames_free(const struct service_self *self)
{
    return self->core->frames.free_count;
}

/* Frees a consumed frame that did its duty. */
static inline void service_free(struct service_self *self, struct frame *frame)
{
    frame_free(&self->core->frames, frame);
}

/* Frees a consumed frame that did not. */
static inline void service_drop(struct service_self *self, struct frame *frame,
                                enum drop_reason reason)
{
    core_drop(self->core, frame, reason);
}

/* Counts a drop for a frame whose buffer lives on, e.g. turned into the error that answers it. */
static inline void service_count_drop(struct service_self *self, const struct frame *frame,
                                      enum drop_reason reason)
{
    core_note_drop(self->core, frame, reason);
}

/* Gives a consumed frame back to the receive chain, behind this service, in the next turn. */
void service_requeue(struct service_self *self, struct frame *frame);

/* ---- time --------------------------------------------------------------------------------- */

/* The time this turn began. */
static inline uint64_t service_now_ns(const struct service_self *self)
{
    return self->core->now_ns;
}

/* (Re-)arms a timer: `timeout` is called with it after delay_us. */
void service_timer_arm(struct service_self *self, struct service_timer *timer, uint64_t delay_us);

static inline void service_timer_cancel(struct service_self *self, struct service_timer *timer)
{
    timer_cancel(&self->core->timers, &timer->timer);
}

/* ---- memory -------------------------------------------------------------------------------- */

/* Zeroed memory for good: for start and load, the first time they need it. NULL: not enough. */
void *service_memory(struct service_self *self, size_t bytes);

/* ---- the network as configured -------------------------------------------------------------- */

static inline unsigned service_nic_count(const struct service_self *self)
{
    return self->core->nic_count;
}

static inline const struct nic *service_nic(const struct service_self *self, unsigned index)
{
    return &self->core->nic[index];
}

static inline const struct route *service_route(const struct service_self *self, uint16_t index)
{
    return &self->core->routes.route[index];
}

static inline const struct route *service_route_to(const struct service_self *self, uint32_t ip)
{
    return service_route(self, route_lookup(&self->core->routes, ip));
}

/* Entry `index` (below ADDRESSES_MAX) of our addresses; ip is 0 where it is free. */
static inline const struct address *service_address(const struct service_self *self, unsigned index)
{
    return &self->core->routes.address[index];
}

/* Our address to speak from by nic to peer; 0: none. */
static inline uint32_t service_source(const struct service_self *self, unsigned nic, uint32_t peer)
{
    return address_source(&self->core->routes, (uint8_t)nic, peer);
}

/* Gives a nic an address, or takes one away, and tells all services (this one too). Errors: those of
 * address_add and address_delete. Only from timeout and stop: frames in the chains carry routes that
 * were looked up already, and a notice has not reached everybody yet. */
int service_address_add(struct service_self *self, unsigned nic, uint32_t ip, uint8_t length,
                        uint32_t gateway);
int service_address_delete(struct service_self *self, uint32_t ip);

/* Duplicate address detection speaks here. */
void service_address_state(struct service_self *self, uint32_t ip, enum address_state state);

/* A fresh IPv4 identification (RFC 6864: unique only for what may be fragmented). */
static inline uint16_t service_ip_id(struct service_self *self)
{
    return self->core->ip_id++;
}

/* Whether the flight recorder keeps what passes, too. */
static inline void service_record_all(struct service_self *self, bool all)
{
    self->core->recorder.all = all;
}

/* ---- telling ------------------------------------------------------------------------------- */

/* A counter "name.what" for this instance, to be incremented through the pointer. For start. */
uint64_t *service_counter(struct service_self *self, const char *what, const char *help);

/* Rate-limited; still, never per frame. */
#define service_log(self, level, ...)                                                              \
    log_write(&(self)->core->log, (level), (self)->service->name, __VA_ARGS__)

/* A whole decimal number within bounds. ERR_INVALID, ERR_RANGE. */
int service_number(const char *text, uint64_t min, uint64_t max, uint64_t *number);

/* "10.0.0.1" for an address in host order. */
struct ip_text {
    char text[16];
};
struct ip_text ip_text(uint32_t ip);

/* "52:54:00:12:34:56". */
struct mac_text {
    char text[18];
};
struct mac_text mac_text(const uint8_t mac[6]);

#endif
