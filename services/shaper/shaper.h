/* The shaper's parts: classes and their buckets, queues and flows, and the calls between its files.
 *
 *   shaper.c  the service: what is held, released, shown
 *   table.c   from the table to a half: a tree of classes, and matches
 *   match.c   from a frame to its class
 *   tree.c    which class sends next, and when the others may
 *   flows.c   which frame of a class: FQ-CoDel */
#ifndef SHAPER_H
#define SHAPER_H

#include "kernel/service.h"
#include "piglet/shaper.h"

enum {
    SHAPER_FLOWS = 2048, /* a power of two: twice the frames that are held where there are most */
    SHAPER_FLOWS_BITS = 11,
    SHAPER_WAYS = 8, /* a flow is at most this far from where its hash points */
    SHAPER_CACHE = 1024,
    SHAPER_CACHE_BITS = 10,
    SHAPER_RELEASE_MAX = 64, /* frames of a tree in a turn */
    SHAPER_SHARE = 4,        /* at most a quarter of all frames is held, */
    SHAPER_RESERVE = 8,      /* and none more while an eighth or less is free */
    SHAPER_QUEUES = 2 * PIGLET_SHAPER_CLASSES_MAX,
    SHAPER_RATE_FRACTION = 24, /* bits: 1.5e-8 of the time of a byte at 10 Gb/s */
    /* A row is a level of lending and a priority; in the last ones, nobody lends yet. */
    SHAPER_UNLENT = PIGLET_SHAPER_DEPTH_MAX * PIGLET_SHAPER_PRIORITIES,
    SHAPER_ROWS = SHAPER_UNLENT + PIGLET_SHAPER_PRIORITIES,
};

#define SHAPER_LENT   ((1ull << SHAPER_UNLENT) - 1)
#define NS_PER_US     1000ull
#define NS_PER_SECOND 1000000000ull

/* How fast a bucket fills, and how deep it is; times of the fixed point are 2^-24 ns. */
struct shaper_rate {
    uint64_t byte_time; /* fixed point: of one byte, rounded up */
    uint64_t burst_ns;  /* of the whole bucket */
    uint32_t burst_bytes;
    uint64_t slack_ns; /* of the bucket without room for one frame */
};

/* A token bucket, as the time at which it will be full: it fills by itself. */
struct shaper_bucket {
    uint64_t full_ns;
    uint32_t rest; /* fixed point: what full_ns leaves out */
};

/* One flow of a queue, while it is listed; behind that, what CoDel remembers of it. */
struct shaper_flow {
    uint64_t key; /* hash; 0: nothing is known about anybody */
    struct frame *head, *last;
    struct shaper_flow *next;
    struct shaper_queue *queue;
    uint32_t bytes;
    int32_t deficit;
    bool listed;
    bool dropping;
    uint32_t count, count_then;
    uint64_t above_since_ns; /* when it will have been above target for an interval; 0: it is not */
    uint64_t drop_next_ns;
};

struct shaper_flow_list {
    struct shaper_flow *first, *last;
};

/* What of a class outlives its table: tokens, frames, numbers. */
struct shaper_queue {
    struct shaper_bucket rate, ceiling;
    struct shaper_class *class; /* in the half in force */
    struct shaper_flow_list fresh, old;
    struct shaper_flow *longest; /* as far as the last look at each flow says; may be NULL */
    uint32_t bytes, frames;      /* queued */
    int32_t deficit;
    uint64_t sent_frames, sent_bytes, dropped;
    uint64_t measured_bytes;  /* sent_bytes when it was measured last */
    uint64_t last_bytes;      /* and what it had sent then since the time before */
    struct shaper_flow spill; /* for flows that found no place of their own */
};

/* A class as its table says it is, and what it has to offer to the class above. */
struct shaper_class {
    struct service_timer timer; /* when a bucket opens */
    struct shaper_class *parent, *top;
    struct shaper_queue *queue;
    uint64_t wake_ns; /* what the timer is armed for */
    struct shaper_rate rate, ceiling;
    uint64_t gather_ns; /* a shut bucket is looked at this much later than it opens */
    uint64_t target_ns, interval_ns;
    uint64_t rows;   /* of those below, or of its queue, regardless of its own ceiling */
    uint64_t offers; /* and with regard to it: what the class above sees */
    uint32_t quantum, turn;
    uint32_t limit_bytes, limit_frames;
    uint32_t line; /* in the table's source */
    uint32_t held; /* of a tree's top: frames in the whole tree */
    uint8_t nic, priority;
    uint8_t level; /* 0: has a queue; else above the highest of those below */
    uint8_t place; /* among the children of the class above, or among the trees */
    uint8_t children;
    bool one_bucket; /* rate and ceiling are the same */
    bool lends;      /* its ceiling's bucket is open, and its rate's, as last looked at */
    uint16_t other;  /* the other half's class of this name, and 1; 0: none */
    char name[PIGLET_SHAPER_NAME_MAX];
    uint8_t cursor[SHAPER_ROWS]; /* whose turn it is, by place */
    uint64_t who[SHAPER_ROWS];   /* children that offer something in a row, by place */
    uint8_t child[PIGLET_SHAPER_CHILDREN_MAX]; /* indexes in the half, by place */
};

/* What a frame is known by: as it lies in the header, so that a flow's look is a few loads. */
struct shaper_key {
    uint64_t addresses;
    uint64_t rest; /* ports, protocol << 32, TOS but for ECN << 40, nic << 48, SHAPER_KEY_... */
};

enum { SHAPER_TOS_DSCP = 0xfc }; /* RFC 2474 3: the upper six bits of the TOS byte */

#define SHAPER_KEY_NO_PORTS (1ull << 56)
#define SHAPER_KEY_NO_IPV4  (1ull << 57)
#define SHAPER_KEY_USED     (1ull << 63) /* in every key: an empty place of the cache has none */

struct shaper_match {
    struct shaper_key value, mask;
    uint16_t from_first, from_width, to_first, to_width; /* ports */
    struct shaper_class *class;
};

struct shaper_cached {
    struct shaper_key key;
    uint64_t hash;              /* of the flow, never 0 */
    struct shaper_class *class; /* NULL: not shaped */
};

/* All that a table says. One half is in force, one is the spare, and in the third the next table is
 * read, so that one that is refused leaves the spare as it was. */
struct shaper_half {
    unsigned class_count, match_count, top_count;
    uint64_t ready;                          /* trees that can send now */
    struct shaper_class *fallback[NICS_MAX]; /* by nic; NULL: none */
    struct shaper_class *top[PIGLET_SHAPER_CHILDREN_MAX];
    struct shaper_class class[PIGLET_SHAPER_CLASSES_MAX];
    struct shaper_match match[PIGLET_SHAPER_MATCHES_MAX];
};

struct shaper_memory {
    struct shaper_half half[3];
    struct shaper_queue queue[SHAPER_QUEUES];
    struct shaper_flow flow[SHAPER_FLOWS + SHAPER_WAYS];
    struct shaper_cached cached[SHAPER_CACHE];
};

struct shaper {
    struct shaper_half *half; /* in force; NULL: there never was a table */
    struct shaper_half *spare, *draft;
    struct shaper_memory *memory;
    struct service_timer again;   /* more can be sent, in the next turn */
    struct service_timer measure; /* every second */
    uint64_t measured_ns;         /* when it was measured last */
    uint64_t last_ns;             /* and how long that was since the time before */
    struct shaper_queue *longest; /* of all, as far as the last look at each says; may be NULL */
    struct frame *loose, *loose_last; /* of classes that are gone: to be sent unshaped */
    unsigned first_tree;              /* whose turn it is */
    uint32_t frames_held, frames_max, frames_reserve;
    uint64_t seed; /* so that flows' places are not known outside */
    uint64_t *held, *passed, *delayed;
};

/* ---- match.c ---- */

/* What is known of the frame's flow; valid until the next call. */
const struct shaper_cached *shaper_classify(const struct shaper *shaper, const struct frame *frame);

/* Forgets the classes of flows. */
void shaper_match_changed(struct shaper *shaper);

/* ---- tree.c ---- */

/* Whether a frame may go past the queues: nothing waits in its tree, and all buckets allow it. It
 * is charged then. */
bool shaper_pass(struct shaper_class *class, uint32_t length, uint64_t now_ns);

/* The class that sends next, of a tree that has one; and how it was found, for shaper_sent. */
struct shaper_path {
    unsigned depth;
    unsigned level; /* of the class that lends */
    uint8_t row[PIGLET_SHAPER_DEPTH_MAX];
};
struct shaper_class *shaper_next(struct shaper_half *half, struct shaper_class *top,
                                 struct shaper_path *path);

/* Charges what the class sent. */
void shaper_sent(struct service_self *self, struct shaper_class *class,
                 const struct shaper_path *path, uint32_t length);

/* Looks at a class again whose queue filled or emptied, or whose timer fired, and at those above as
 * far as it concerns them. */
void shaper_refresh(struct service_self *self, struct shaper_class *class);

/* The bucket's tokens stay as many bytes when its rate changes. */
void shaper_bucket_convert(struct shaper_bucket *bucket, const struct shaper_rate *from,
                           const struct shaper_rate *to, uint64_t now_ns);

/* ---- flows.c ---- */

/* Queues a frame of the service's. What is over a limit then is dropped. */
void shaper_put(struct service_self *self, struct shaper_queue *queue, uint64_t hash,
                struct frame *frame);

/* The frame to send next, or NULL: CoDel left none. */
struct frame *shaper_take(struct service_self *self, struct shaper_queue *queue);

/* Empties a queue from its oldest flow on: any frame, or NULL. */
struct frame *shaper_take_any(struct shaper *shaper, struct shaper_queue *queue);

/* 2^31 / sqrt(n), for n from 1 on. */
uint64_t shaper_inverse_sqrt(uint32_t n);

/* ---- table.c ---- */

int shaper_load(struct service_self *self, const uint8_t *table, size_t bytes);

#endif
