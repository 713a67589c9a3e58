/* shaper: sends frames no faster than their class may, and shares what there is (include/piglet/
 * shaper.h says how classes are meant).
 *
 * The last filter of the transmit chain. A frame without a class passes. One with a class passes
 * too while nothing waits in its tree and the buckets allow it; else it is held, and sent when its
 * turn comes: in the same turn, or from a timer that is armed for when a bucket opens. What was
 * held goes out as FRAME_SHAPED, which no filter sees again.
 *
 * At most a quarter of all frames is held, and none more while an eighth of all or less is free, so
 * that nics find frames to receive into: then the class that holds the most loses one, of its
 * longest flow, for each that comes. What waits for a nic whose link goes down is dropped.
 *
 * Another table: classes that both name keep their frames and tokens; what others held goes out
 * unshaped, in order, in the next turns.
 *
 * Table     struct piglet_shaper_table. No settings
 * Shows     a class a line: name, frames sent, frames and bytes queued, frames dropped, and the
 *           rate of the last second
 * Counters  shaper.held, passed, delayed
 * Drops     shaper-limit, shaper-codel, nic-down, service-stopped
 * Cost      a frame that passes: 100 instructions in a batch of its class; alone 210, and 50 more
 *           for each class above each other. One that is held: 400 and 80, and its share of a timer.
 *           The same for any number of classes; but for a flow not seen lately, each match is looked
 *           at. At most 64 frames of a tree are released in a turn. Once a second, a look at each
 *           class. 830 KiB of memory, from the first table on */
#include <stdio.h>

#include "services/shaper/shaper.h"

extern const struct service service_shaper;

enum { SHAPER_MEASURE_US = 1000000 }; /* what a rate is shown of */

/* ---- sending --------------------------------------------------------------------------------- */

static void shaper_send(struct service_self *self, struct frame *frame)
{
    frame->kind = FRAME_SHAPED;
    service_send(self, frame);
}

/* Sends what a tree may send now. */
static void shaper_release(struct service_self *self, struct shaper_class *top)
{
    struct shaper *shaper = self->state;
    unsigned room = service_room(self, top->nic);
    if (room > SHAPER_RELEASE_MAX)
        room = SHAPER_RELEASE_MAX;
    while (room && top->offers & SHAPER_LENT) {
        struct shaper_path path;
        struct shaper_class *class = shaper_next(shaper->half, top, &path);
        struct frame *frame = shaper_take(self, class->queue);
        if (class->queue->frames == 0)
            class->rows = 0;
        if (!frame) {
            shaper_refresh(self, class);
            continue;
        }
        shaper_sent(self, class, &path, frame->length);
        ++*shaper->delayed;
        shaper_send(self, frame);
        room--;
    }
}

/* Frames whose class is gone. */
static void shaper_release_loose(struct service_self *self)
{
    struct shaper *shaper = self->state;
    for (unsigned i = 0; i < SHAPER_RELEASE_MAX && shaper->loose; i++) {
        struct frame *frame = shaper->loose;
        if (service_room(self, frame->nic) == 0)
            break;
        shaper->loose = frame->next;
        *shaper->held = --shaper->frames_held;
        shaper_send(self, frame);
    }
}

/* Sends what may be sent now. Trees that share a nic share its room: each is the first in turn. */
static void shaper_run(struct service_self *self)
{
    struct shaper *shaper = self->state;
    struct shaper_half *half = shaper->half;
    shaper_release_loose(self);
    uint64_t behind = half->ready & (~0ull << shaper->first_tree), before = half->ready ^ behind;
    shaper->first_tree = (shaper->first_tree + 1) % PIGLET_SHAPER_CHILDREN_MAX;
    for (; behind; behind &= behind - 1)
        shaper_release(self, half->top[__builtin_ctzll(behind)]);
    for (; before; before &= before - 1)
        shaper_release(self, half->top[__builtin_ctzll(before)]);
    if ((half->ready || shaper->loose) && !timer_armed(&shaper->again.timer))
        service_timer_arm(self, &shaper->again, 0);
}

/* ---- the filter ------------------------------------------------------------------------------ */

static void shaper_put_loose(struct shaper *shaper, struct frame *frame)
{
    frame->next = NULL;
    frame->owner = FRAME_OF_SERVICE;
    if (shaper->loose)
        shaper->loose_last->next = frame;
    else
        shaper->loose = frame;
    shaper->loose_last = frame;
    *shaper->held = ++shaper->frames_held;
}

static inline enum verdict shaper_judge(struct service_self *self, struct frame *frame)
{
    struct shaper *shaper = self->state;
    const struct shaper_cached *flow = shaper_classify(shaper, frame);
    struct shaper_class *class = flow->class;
    if (!class) {
        if (__builtin_expect(!shaper->loose || shaper->frames_held >= shaper->frames_max, 1))
            return VERDICT_PASS;
        shaper_put_loose(shaper, frame); /* behind those of its flow that may be in there */
        return VERDICT_CONSUMED;
    }
    if (shaper_pass(shaper, class, frame->length, service_now_ns(self)))
        return VERDICT_PASS;
    if (!service_nic(self, frame->nic)->link_up)
        return service_drop_for(frame, DROP_NIC_DOWN);
    shaper_put(self, class->queue, flow->hash, frame);
    return VERDICT_CONSUMED;
}

static void shaper_transmit(struct service_self *self, struct batch *batch)
{
    struct shaper *shaper = self->state;
    if (!shaper->half || (!shaper->half->class_count && !shaper->loose))
        return;
    service_each(self, batch, shaper_judge);
    shaper_settle(shaper, service_now_ns(self));
    if (shaper->half->ready)
        shaper_run(self);
}

/* What each class sent since the last time. */
static uint64_t shaper_measure(struct service_self *self)
{
    struct shaper *shaper = self->state;
    shaper->last_ns = service_now_ns(self) - shaper->measured_ns;
    shaper->measured_ns = service_now_ns(self);
    for (unsigned i = 0; shaper->half && i < shaper->half->class_count; i++) {
        struct shaper_queue *queue = shaper->half->class[i].queue;
        queue->last_bytes = queue->sent_bytes - queue->measured_bytes;
        queue->measured_bytes = queue->sent_bytes;
    }
    return SHAPER_MEASURE_US;
}

static uint64_t shaper_timeout(struct service_self *self, struct service_timer *timer)
{
    struct shaper *shaper = self->state;
    if (timer == &shaper->measure)
        return shaper_measure(self);
    if (timer != &shaper->again)
        shaper_refresh(self, (struct shaper_class *)timer); /* its first member */
    shaper_run(self);
    return TIMER_NONE;
}
_Static_assert(offsetof(struct shaper_class, timer) == 0, "shaper_timeout finds the class by it");

/* ---- other tables ---------------------------------------------------------------------------- */

/* Cancels timers and offers: nothing of the half will be sent. Frames stay in the queues. */
static void shaper_halt(struct service_self *self, struct shaper_half *half)
{
    half->ready = 0;
    for (unsigned i = 0; i < half->class_count; i++) {
        struct shaper_class *class = &half->class[i];
        service_timer_cancel(self, &class->timer);
        class->rows = class->offers = 0;
        memset(class->who, 0, sizeof class->who);
    }
}

/* The frames of a class that is gone. */
static void shaper_let_go(struct shaper *shaper, struct shaper_queue *queue)
{
    for (struct frame *frame; (frame = shaper_take_any(shaper, queue));)
        shaper_put_loose(shaper, frame);
}

/* Gives the class's queue to it: as the one in force before left it, or new. */
static void shaper_take_over(struct service_self *self, struct shaper_class *class,
                             struct shaper_class *before)
{
    struct shaper_queue *queue = class->queue;
    uint64_t now_ns = service_now_ns(self);
    if (!before) {
        *queue = (struct shaper_queue){.class = class};
        return;
    }
    if (before->one_bucket)
        queue->rate = queue->ceiling;
    shaper_bucket_convert(&queue->rate, &before->rate, &class->rate, now_ns);
    shaper_bucket_convert(&queue->ceiling, &before->ceiling, &class->ceiling, now_ns);
    queue->class = class;
    class->top->held += queue->frames;
    if (queue->frames) {
        class->rows = 1ull << (SHAPER_UNLENT + class->priority);
        shaper_refresh(self, class);
    }
}

static void shaper_swap(struct service_self *self)
{
    struct shaper *shaper = self->state;
    struct shaper_half *old = shaper->half, *half = shaper->spare;
    if (!half)
        return;
    shaper_halt(self, old);
    for (unsigned i = 0; i < old->class_count; i++) {
        struct shaper_class *class = &old->class[i];
        const struct shaper_class *now = class->other ? &half->class[class->other - 1] : NULL;
        if (!now || now->level || now->nic != class->nic)
            shaper_let_go(shaper, class->queue);
    }
    for (unsigned i = 0; i < old->class_count; i++)
        old->class[i].held = 0;
    shaper->half = half;
    shaper->spare = old;
    shaper->longest = NULL;
    shaper_match_changed(shaper);
    for (unsigned i = 0; i < half->class_count; i++) {
        struct shaper_class *class = &half->class[i];
        shaper_take_over(self, class, class->other ? &old->class[class->other - 1] : NULL);
    }
    if (self->running)
        shaper_run(self);
}

/* ---- the service ----------------------------------------------------------------------------- */

static int shaper_start(struct service_self *self)
{
    struct shaper *shaper = self->state;
    shaper->frames_max = service_frames_total(self) / SHAPER_SHARE;
    shaper->frames_reserve = service_frames_total(self) / SHAPER_RESERVE;
    shaper->seed = service_now_ns(self);
    shaper->held = service_counter(self, "held", "frames held now");
    shaper->passed = service_counter(self, "passed", "frames of a class that went at once");
    shaper->delayed = service_counter(self, "delayed", "frames that were held, and sent");
    shaper->measured_ns = service_now_ns(self);
    service_timer_arm(self, &shaper->measure, SHAPER_MEASURE_US);
    return 0;
}

/* Drops what classes hold: those of a nic, or of all. */
static void shaper_drop_queued(struct service_self *self, unsigned nic, enum drop_reason reason)
{
    struct shaper *shaper = self->state;
    for (unsigned i = 0; shaper->half && i < shaper->half->class_count; i++) {
        struct shaper_class *class = &shaper->half->class[i];
        if (nic != NICS_MAX && class->nic != nic)
            continue;
        for (struct frame *frame; (frame = shaper_take_any(shaper, class->queue));) {
            class->queue->dropped++;
            service_drop(self, frame, reason);
        }
        if (class->level == 0 && class->rows) {
            class->rows = 0;
            shaper_refresh(self, class);
        }
    }
}

static void shaper_notice(struct service_self *self, enum service_notice what, uint32_t about)
{
    if (what == SERVICE_NIC_DOWN)
        shaper_drop_queued(self, about, DROP_NIC_DOWN);
}

static void shaper_stop(struct service_self *self)
{
    struct shaper *shaper = self->state;
    shaper_drop_queued(self, NICS_MAX, DROP_SERVICE_STOPPED);
    for (struct frame *frame; (frame = shaper->loose);) {
        shaper->loose = frame->next;
        *shaper->held = --shaper->frames_held;
        service_drop(self, frame, DROP_SERVICE_STOPPED);
    }
    service_timer_cancel(self, &shaper->again);
    service_timer_cancel(self, &shaper->measure);
    if (shaper->half)
        shaper_halt(self, shaper->half);
}

/* "voice sent 1042 queued 3/4542 dropped 17 rate 998 kbit/s". */
static bool shaper_show(struct service_self *self, unsigned *next, char *text, size_t room)
{
    const struct shaper *shaper = self->state;
    if (!shaper->half || *next >= shaper->half->class_count)
        return false;
    const struct shaper_class *class = &shaper->half->class[(*next)++];
    const struct shaper_queue *queue = class->queue;
    uint64_t ns = shaper->last_ns;
    snprintf(text, room, "%s sent %llu queued %lu/%lu dropped %llu rate %llu kbit/s", class->name,
             (unsigned long long)queue->sent_frames, (unsigned long)queue->frames,
             (unsigned long)queue->bytes, (unsigned long long)queue->dropped,
             (unsigned long long)(ns ? queue->last_bytes * (8 * NS_PER_SECOND / 1000) / ns : 0));
    return true;
}

const struct service service_shaper = {
    .name = "shaper",
    .help = "classes and matches: a table",
    .transmit_kinds = FRAME_READY,
    .state_bytes = sizeof(struct shaper),
    .table_max = sizeof(struct piglet_shaper_table) +
                 PIGLET_SHAPER_CLASSES_MAX * sizeof(struct piglet_shaper_class) +
                 PIGLET_SHAPER_MATCHES_MAX * sizeof(struct piglet_shaper_match),
    .start = shaper_start,
    .stop = shaper_stop,
    .transmit = shaper_transmit,
    .timeout = shaper_timeout,
    .notice = shaper_notice,
    .show = shaper_show,
    .load = shaper_load,
    .swap = shaper_swap,
};
