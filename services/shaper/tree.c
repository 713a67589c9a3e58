/* Which class sends next, and when the others may: hierarchical token buckets.
 *
 * Each class tells the one above what it offers: a set of rows, a row being a level of lending and
 * a priority. A class whose ceiling's bucket is shut offers nothing. One that may send by its own
 * rate lends to those below that nobody has lent to yet; else it passes their offers on as they
 * are. So a tree's lowest lent row is what goes first, and the way down to its queue is a look at
 * one set of children a level. A charge, or a timer, changes what one class offers, and at most
 * those above. Cost: a few instructions a level, whatever the number of classes.
 *
 * Buckets are times (the generic cell rate algorithm's): one number each, that is only written when
 * something is sent. */
#include "services/shaper/shaper.h"

/* ---- buckets --------------------------------------------------------------------------------- */

/* Whether the bucket has room for any frame. */
static inline bool shaper_open(const struct shaper_bucket *bucket, const struct shaper_rate *rate,
                               uint64_t now_ns)
{
    return bucket->full_ns <= now_ns + rate->slack_ns;
}

/* Several frames at once come to the same as one after the other. */
static inline void shaper_charge(struct shaper_bucket *bucket, const struct shaper_rate *rate,
                                 uint32_t length, uint64_t now_ns)
{
    uint64_t cost = length * rate->byte_time + bucket->rest;
    uint64_t from_ns = bucket->full_ns > now_ns ? bucket->full_ns : now_ns;
    bucket->full_ns = from_ns + (cost >> SHAPER_RATE_FRACTION);
    bucket->rest = cost & ((1u << SHAPER_RATE_FRACTION) - 1);
}

void shaper_bucket_convert(struct shaper_bucket *bucket, const struct shaper_rate *from,
                           const struct shaper_rate *to, uint64_t now_ns)
{
    if (from->byte_time == to->byte_time && from->burst_bytes == to->burst_bytes)
        return;
    /* What is missing is not above 2^37 ns: twice PIGLET_SHAPER_BURST_MAX_S. Half of the fraction's
     * bits are enough here. */
    enum { HALF = SHAPER_RATE_FRACTION / 2 };
    uint64_t missing_ns = bucket->full_ns > now_ns ? bucket->full_ns - now_ns : 0;
    uint64_t missing = (missing_ns << HALF) / (from->byte_time >> HALF);
    int64_t tokens = (int64_t)from->burst_bytes - (int64_t)missing;
    if (tokens > (int64_t)to->burst_bytes)
        tokens = to->burst_bytes;
    if (tokens < -(int64_t)to->burst_bytes)
        tokens = -(int64_t)to->burst_bytes;
    missing = (uint64_t)((int64_t)to->burst_bytes - tokens);
    bucket->full_ns = now_ns + (missing * to->byte_time >> SHAPER_RATE_FRACTION);
}

/* Whether the class may send by its own rate, its ceiling's bucket being open. Where both are the
 * same, so are their buckets, but that what others lend is charged to the ceiling's only: it alone
 * is kept. */
static inline bool shaper_lends(const struct shaper_class *class, uint64_t now_ns)
{
    return class->one_bucket || shaper_open(&class->queue->rate, &class->rate, now_ns);
}

/* Charges a class for what it, or one below, sends: the ceiling's bucket, and from the lender on
 * the rate's. Above the lender that may be shut, as those below are served by their own rates
 * before it lends: then it owes, which keeps it from lending; at most another bucket, or classes
 * below whose rates are more than its own would keep it from that for ever. */
static inline void shaper_charge_class(struct shaper_class *class, unsigned level, uint32_t frames,
                                       uint32_t length, uint64_t now_ns)
{
    struct shaper_queue *queue = class->queue;
    shaper_charge(&queue->ceiling, &class->ceiling, length, now_ns);
    if (!class->one_bucket && class->level >= level) {
        uint64_t owes_most_ns = now_ns + 2 * class->rate.burst_ns;
        shaper_charge(&queue->rate, &class->rate, length, now_ns);
        if (queue->rate.full_ns > owes_most_ns)
            queue->rate.full_ns = owes_most_ns;
    }
    queue->sent_frames += frames;
    queue->sent_bytes += length;
}

/* ---- passing --------------------------------------------------------------------------------- */

static inline void shaper_charge_all(struct shaper *shaper, struct shaper_class *class,
                                     unsigned level, uint32_t frames, uint32_t bytes,
                                     uint64_t now_ns)
{
    for (; class; class = class->parent)
        shaper_charge_class(class, level, frames, bytes, now_ns);
    *shaper->passed += frames;
}

void shaper_charge_streak(struct shaper *shaper, uint64_t now_ns)
{
    struct shaper_streak *streak = &shaper->streak;
    shaper_charge_all(shaper, streak->class, streak->level, streak->frames, streak->bytes, now_ns);
    streak->frames = 0;
}

/* The level of the class that lends to this one so that a frame may pass; SHAPER_SHUT: it may not. */
enum { SHAPER_SHUT = PIGLET_SHAPER_DEPTH_MAX };

static inline unsigned shaper_lender(const struct shaper_class *class, uint64_t now_ns)
{
    unsigned level = SHAPER_SHUT;
    for (const struct shaper_class *above = class; above; above = above->parent) {
        if (!shaper_open(&above->queue->ceiling, &above->ceiling, now_ns))
            return SHAPER_SHUT;
        if (level == SHAPER_SHUT && shaper_lends(above, now_ns))
            level = above->level;
    }
    return level;
}

/* Bytes that leave an open bucket open. */
static inline uint32_t shaper_room(const struct shaper_bucket *bucket,
                                   const struct shaper_rate *rate, uint64_t now_ns)
{
    const uint64_t most_ns = 1 << 26; /* 12 bytes in each come to below 2^30, and products fit */
    uint64_t from_ns = bucket->full_ns > now_ns ? bucket->full_ns : now_ns;
    uint64_t room_ns = now_ns + rate->slack_ns - from_ns;
    return (uint32_t)((room_ns < most_ns ? room_ns : most_ns) * rate->bytes_ns >> 32);
}

/* How many bytes may pass before a bucket shuts that decides about it: the ceilings', and the one of
 * the lender, behind which another may come. */
static uint32_t shaper_streak_room(const struct shaper_class *class, unsigned level,
                                   uint64_t now_ns)
{
    uint32_t least = UINT32_MAX;
    for (; class; class = class->parent) {
        uint32_t room = shaper_room(&class->queue->ceiling, &class->ceiling, now_ns);
        least = room < least ? room : least;
        if (class->level != level || class->one_bucket)
            continue;
        room = shaper_room(&class->queue->rate, &class->rate, now_ns);
        least = room < least ? room : least;
    }
    return least;
}

bool shaper_pass_first(struct shaper *shaper, struct shaper_class *class, uint32_t length,
                       uint64_t now_ns)
{
    struct shaper_streak *streak = &shaper->streak;
    bool again = class == streak->class;
    shaper_settle(shaper, now_ns);
    if (class->top->held)
        return false;
    unsigned level = shaper_lender(class, now_ns);
    if (level == SHAPER_SHUT)
        return false;
    streak->class = class;
    streak->bytes = length;
    streak->room = 0;
    if (!again) { /* perhaps the only one */
        shaper_charge_all(shaper, class, level, 1, length, now_ns);
        return true;
    }
    streak->level = level;
    streak->frames = 1;
    streak->room = shaper_streak_room(class, level, now_ns);
    return true;
}

/* ---- offers ---------------------------------------------------------------------------------- */

static void shaper_wake(struct service_self *self, struct shaper_class *class,
                        const struct shaper_bucket *bucket, const struct shaper_rate *rate)
{
    uint64_t wake_ns = bucket->full_ns - rate->slack_ns + class->gather_ns;
    if (timer_armed(&class->timer.timer) && class->wake_ns <= wake_ns)
        return;
    class->wake_ns = wake_ns;
    service_timer_arm(self, &class->timer,
                      (wake_ns - service_now_ns(self) + NS_PER_US - 1) / NS_PER_US);
}

/* What the class offers now. What is shut has its timer armed. */
static inline uint64_t shaper_offers(struct service_self *self, struct shaper_class *class)
{
    const struct shaper_queue *queue = class->queue;
    uint64_t now_ns = service_now_ns(self), rows = class->rows, unlent = rows >> SHAPER_UNLENT;
    class->lends = false;
    if (!rows)
        return 0;
    if (!shaper_open(&queue->ceiling, &class->ceiling, now_ns)) {
        shaper_wake(self, class, &queue->ceiling, &class->ceiling);
        return 0;
    }
    class->lends = shaper_lends(class, now_ns);
    if (!unlent)
        return rows;
    if (!class->lends) {
        shaper_wake(self, class, &queue->rate, &class->rate);
        return rows;
    }
    return (rows & SHAPER_LENT) | unlent << (class->level * PIGLET_SHAPER_PRIORITIES);
}

/* Tells the class above; whether anything is new. */
static inline bool shaper_offer(struct service_self *self, struct shaper_class *class)
{
    uint64_t offers = shaper_offers(self, class), changed = offers ^ class->offers;
    uint64_t bit = 1ull << class->place;
    struct shaper_class *above = class->parent;
    class->offers = offers;
    if (!above) {
        struct shaper_half *half = ((struct shaper *)self->state)->half;
        half->ready = offers & SHAPER_LENT ? half->ready | bit : half->ready & ~bit;
        return false;
    }
    for (uint64_t left = changed; left; left &= left - 1) {
        unsigned row = (unsigned)__builtin_ctzll(left);
        above->who[row] ^= bit;
        uint64_t rest = above->rows & ~(1ull << row);
        above->rows = rest | (uint64_t)(above->who[row] != 0) << row;
    }
    return changed != 0;
}

void shaper_refresh(struct service_self *self, struct shaper_class *class)
{
    while (class && shaper_offer(self, class))
        class = class->parent;
}

/* ---- the next -------------------------------------------------------------------------------- */

/* The first in `who` from place `first` on, going round. */
static inline unsigned shaper_turn(uint64_t who, unsigned first)
{
    uint64_t turned = who >> first | who << (-first & 63);
    return ((unsigned)__builtin_ctzll(turned) + first) & 63;
}

struct shaper_class *shaper_next(struct shaper_half *half, struct shaper_class *top,
                                 struct shaper_path *path)
{
    unsigned row = (unsigned)__builtin_ctzll(top->offers);
    struct shaper_class *class = top;
    path->level = row / PIGLET_SHAPER_PRIORITIES;
    for (path->depth = 0; class->level; path->depth++) {
        if (path->level == class->level && row < SHAPER_UNLENT)
            row += SHAPER_UNLENT - class->level * PIGLET_SHAPER_PRIORITIES;
        unsigned place = shaper_turn(class->who[row], class->cursor[row]);
        class->cursor[row] = (uint8_t)place;
        path->row[path->depth] = (uint8_t)row;
        class = &half->class[class->child[place]];
    }
    return class;
}

void shaper_sent(struct service_self *self, struct shaper_class *class,
                 const struct shaper_path *path, uint32_t length)
{
    uint64_t now_ns = service_now_ns(self);
    struct shaper_queue *queue = class->queue;
    unsigned depth = path->depth;
    queue->deficit -= (int32_t)length;
    bool next = queue->deficit <= 0; /* its turn is over: the next one's, on all levels */
    if (next)
        queue->deficit += (int32_t) class->turn;
    bool changed = queue->frames == 0;
    for (struct shaper_class *below = NULL; class; below = class, class = class->parent) {
        if (below && next)
            class->cursor[path->row[--depth]] = (uint8_t)((below->place + 1) & 63);
        shaper_charge_class(class, path->level, 1, length, now_ns);
        if (changed || !shaper_open(&class->queue->ceiling, &class->ceiling, now_ns) ||
            class->lends != shaper_lends(class, now_ns))
            changed = shaper_offer(self, class);
    }
}
