/* Which frame of a class is sent: fair between flows, and none waits for long (RFC 8290, 8289).
 *
 * Unlike in RFC 8290 4.1, flows have places of their own, found by their hash among SHAPER_WAYS,
 * out of one pool for all classes; the few that find none share one in their class. A place is
 * another flow's only after its own was through, so that CoDel's memory of it lasts as in the RFC.
 * The longest flow is known approximately: each flow is compared with it whenever it grows; and so
 * is the class that holds the most. */
#include "services/shaper/shaper.h"

enum {
    SHAPER_NEWTON_STEPS = 6,   /* from half the result to 31 bits of it */
    SHAPER_CODEL_MEMORY = 16,  /* intervals (RFC 8289 5) */
    SHAPER_CODEL_LEAST = 1514, /* bytes: CoDel leaves so much in a queue (RFC 8289 5) */
};

/* Newton's for 1/x^2 - n, from below; no division. All values are below 1, in 31 bits. */
uint64_t shaper_inverse_sqrt(uint32_t n)
{
    unsigned bits = 32 - (unsigned)__builtin_clz(n);
    uint64_t x = 1ull << (31 - (bits + 1) / 2);
    for (unsigned i = 0; i < SHAPER_NEWTON_STEPS; i++)
        x = x * ((3ull << 31) - (x * x * n >> 31)) >> 32;
    return x;
}

/* ---- flows ----------------------------------------------------------------------------------- */

static void shaper_list(struct shaper_flow_list *list, struct shaper_flow *flow)
{
    flow->next = NULL;
    if (list->first)
        list->last->next = flow;
    else
        list->first = flow;
    list->last = flow;
}

/* Takes the first flow off its list. */
static struct shaper_flow *shaper_unlist(struct shaper_flow_list *list)
{
    struct shaper_flow *flow = list->first;
    list->first = flow->next;
    return flow;
}

/* Its place may be another's now. */
static void shaper_through(struct shaper_flow *flow)
{
    flow->listed = false;
    if (flow->queue->longest == flow)
        flow->queue->longest = NULL;
}

static struct shaper_flow *shaper_flow(struct shaper *shaper, struct shaper_queue *queue,
                                       uint64_t hash)
{
    struct shaper_flow *flow = &shaper->memory->flow[hash >> (64 - SHAPER_FLOWS_BITS)];
    struct shaper_flow *unlisted = NULL;
    for (unsigned i = 0; i < SHAPER_WAYS; i++, flow++) {
        if (flow->key == hash && flow->queue == queue)
            return flow;
        if (!flow->listed && !unlisted)
            unlisted = flow;
    }
    flow = unlisted;
    if (!flow) {
        flow = &queue->spill;
        if (flow->queue)
            return flow;
    }
    *flow = (struct shaper_flow){.key = hash, .queue = queue};
    return flow;
}

/* Its oldest frame, or NULL. */
static struct frame *shaper_flow_pop(struct shaper *shaper, struct shaper_flow *flow)
{
    struct frame *frame = flow->head;
    if (!frame)
        return NULL;
    struct shaper_queue *queue = flow->queue;
    flow->head = frame->next;
    flow->bytes -= frame->length;
    queue->bytes -= frame->length;
    queue->frames--;
    queue->class->top->held--;
    *shaper->held = --shaper->frames_held;
    return frame;
}

static void shaper_drop(struct service_self *self, struct shaper_queue *queue, struct frame *frame,
                        enum drop_reason reason)
{
    queue->dropped++;
    frame->line = queue->class->line;
    service_drop(self, frame, reason);
}

/* ---- in -------------------------------------------------------------------------------------- */

/* RFC 8290 4.1, but one frame at a time. */
static void shaper_drop_longest(struct service_self *self, struct shaper_queue *queue)
{
    struct shaper_flow *longest = queue->longest;
    struct frame *frame = longest && longest->head ? shaper_flow_pop(self->state, longest)
                                                   : shaper_take_any(self->state, queue);
    shaper_drop(self, queue, frame, DROP_SHAPER_LIMIT);
    if (queue->frames)
        return;
    shaper_take_any(self->state, queue);
    queue->class->rows = 0;
    shaper_refresh(self, queue->class);
}

/* Of the class, a frame too many goes for one that came: 34 of 60 bytes for one of 2,048 are the
 * most, but for the first time after a table with smaller limits came. Of all, one goes. */
static void shaper_limit(struct service_self *self, struct shaper_queue *queue)
{
    struct shaper *shaper = self->state;
    const struct shaper_class *class = queue->class;
    while (queue->bytes > class->limit_bytes || queue->frames > class->limit_frames)
        shaper_drop_longest(self, queue);
    if (!shaper->longest || queue->frames > shaper->longest->frames)
        shaper->longest = queue;
    if ((shaper->frames_held > shaper->frames_max ||
         service_frames_free(self) <= shaper->frames_reserve) &&
        shaper->longest->frames)
        shaper_drop_longest(self, shaper->longest);
}

void shaper_put(struct service_self *self, struct shaper_queue *queue, uint64_t hash,
                struct frame *frame)
{
    struct shaper *shaper = self->state;
    struct shaper_class *class = queue->class;
    struct shaper_flow *flow = shaper_flow(shaper, queue, hash);
    frame->next = NULL;
    frame->owner = FRAME_OF_SERVICE;
    frame->since_ns = service_now_ns(self);
    if (flow->head)
        flow->last->next = frame;
    else
        flow->head = frame;
    flow->last = frame;
    flow->bytes += frame->length;
    queue->bytes += frame->length;
    class->top->held++;
    *shaper->held = ++shaper->frames_held;
    if (!flow->listed) {
        flow->listed = true;
        flow->deficit = (int32_t) class->quantum;
        shaper_list(&queue->fresh, flow);
    }
    if (!queue->longest || flow->bytes > queue->longest->bytes)
        queue->longest = flow;
    if (queue->frames++ == 0) {
        class->rows = 1ull << (SHAPER_UNLENT + class->priority);
        shaper_refresh(self, class);
    }
    shaper_limit(self, queue);
}

/* ---- out ------------------------------------------------------------------------------------- */

/* RFC 8289 5: the flow's next frame, and whether it has been above the target for too long. */
static struct frame *shaper_codel_pop(struct service_self *self, struct shaper_flow *flow,
                                      bool *late)
{
    const struct shaper_class *class = flow->queue->class;
    uint64_t now_ns = service_now_ns(self);
    struct frame *frame = shaper_flow_pop(self->state, flow);
    *late = false;
    if (!frame || now_ns - frame->since_ns < class->target_ns || flow->bytes <= SHAPER_CODEL_LEAST)
        flow->above_since_ns = 0;
    else if (flow->above_since_ns == 0)
        flow->above_since_ns = now_ns + class->interval_ns;
    else
        *late = now_ns >= flow->above_since_ns;
    return frame;
}

static uint64_t shaper_codel_next(const struct shaper_flow *flow, uint64_t from_ns)
{
    return from_ns + (flow->queue->class->interval_ns * shaper_inverse_sqrt(flow->count) >> 31);
}

/* RFC 8289 5. Each drop leaves a frame less, so this ends. */
static __attribute__((noinline)) struct frame *shaper_codel_drop(struct service_self *self,
                                                                 struct shaper_flow *flow,
                                                                 struct frame *frame, bool late)
{
    uint64_t now_ns = service_now_ns(self);
    struct shaper_queue *queue = flow->queue;
    if (flow->dropping) {
        flow->dropping = late;
        while (flow->dropping && now_ns >= flow->drop_next_ns) {
            shaper_drop(self, queue, frame, DROP_SHAPER_CODEL);
            flow->count++;
            frame = shaper_codel_pop(self, flow, &flow->dropping);
            if (flow->dropping)
                flow->drop_next_ns = shaper_codel_next(flow, flow->drop_next_ns);
        }
        return frame;
    }
    shaper_drop(self, queue, frame, DROP_SHAPER_CODEL);
    frame = shaper_codel_pop(self, flow, &late);
    flow->dropping = true;
    /* Not long after the last time, the rate of drops that was right then is begun with. */
    uint64_t memory_ns = SHAPER_CODEL_MEMORY * queue->class->interval_ns;
    uint32_t then = flow->count - flow->count_then;
    flow->count = then > 1 && now_ns - flow->drop_next_ns < memory_ns ? then : 1;
    flow->count_then = flow->count;
    flow->drop_next_ns = shaper_codel_next(flow, now_ns);
    return frame;
}

static struct frame *shaper_codel(struct service_self *self, struct shaper_flow *flow)
{
    bool late;
    if (flow->queue->class->target_ns == 0)
        return shaper_flow_pop(self->state, flow);
    struct frame *frame = shaper_codel_pop(self, flow, &late);
    if (__builtin_expect(frame && (late || flow->dropping), 0))
        return shaper_codel_drop(self, flow, frame, late);
    if (!frame)
        flow->dropping = false;
    return frame;
}

/* RFC 8290 4.2. A turn of the loop gives a flow a quantum, or takes one off that is through. */
struct frame *shaper_take(struct service_self *self, struct shaper_queue *queue)
{
    struct shaper *shaper = self->state;
    struct frame *frame = NULL;
    while (!frame && (queue->fresh.first || queue->old.first)) {
        struct shaper_flow_list *list = queue->fresh.first ? &queue->fresh : &queue->old;
        struct shaper_flow *flow = list->first;
        if (flow->deficit <= 0) {
            flow->deficit += (int32_t)queue->class->quantum;
            shaper_list(&queue->old, shaper_unlist(list));
            continue;
        }
        frame = shaper_codel(self, flow);
        if (frame)
            flow->deficit -= frame->length;
        else if (list == &queue->fresh && queue->old.first)
            shaper_list(&queue->old, shaper_unlist(list)); /* or it would be new again at once */
        else
            shaper_through(shaper_unlist(list));
    }
    if (queue->frames == 0)
        shaper_take_any(shaper, queue);
    return frame;
}

struct frame *shaper_take_any(struct shaper *shaper, struct shaper_queue *queue)
{
    while (queue->fresh.first || queue->old.first) {
        struct shaper_flow_list *list = queue->old.first ? &queue->old : &queue->fresh;
        struct frame *frame = shaper_flow_pop(shaper, list->first);
        if (frame)
            return frame;
        shaper_through(shaper_unlist(list));
    }
    return NULL;
}
