/* Chains: services as instances, and how batches travel through them. */
#include "kernel/chain.h"

#include "kernel/clients.h"

/* What becomes of a frame that no service took, by kind. */
static enum drop_reason chain_unclaimed(const struct frame *frame)
{
    switch (frame->kind) {
    case FRAME_UDP:
        return DROP_UDP_NO_PORT;
    case FRAME_TCP:
        return DROP_TCP_NO_PORT;
    case FRAME_ICMP:
    case FRAME_IP_OTHER:
        return DROP_IP_PROTOCOL;
    case FRAME_FORWARD:
        return frame->leaves_by == NIC_NOWHERE ? DROP_IP_NO_ROUTE : DROP_IP_NOT_FOR_US;
    case FRAME_REJECTED:
        return frame->reason;
    default:
        return DROP_ETH_UNKNOWN_TYPE;
    }
}

int chain_add(struct core *core, const struct service *service)
{
    if (core->service_count == SERVICES_MAX)
        return ERR_FULL;
    struct service_self *self = &core->service[core->service_count];
    self->core = core;
    self->service = service;
    self->index = (uint8_t)core->service_count++;
    self->state = arch_memory_take(service->state_bytes, FRAME_METADATA);
    if (!self->state)
        return ERR_NO_MEMORY;
    chain_setting_defaults(self);
    self->wanted = service->on_by_default;
    self->count.frames = service_counter(self, "frames", "frames handed to the service");
    self->count.passed = service_counter(self, "passed_on", "frames the service passed on");
    self->count.dropped = service_counter(self, "drops", "frames the service dropped");
    self->count.time_ns = service_counter(self, "time_ns", "time spent in the service");
    return 0;
}

int chain_start(struct core *core)
{
    int error = 0;
    for (const struct service *const *row = services; *row && error == 0; row++)
        error = chain_add(core, *row);
    return error;
}

struct service_self *chain_find(struct core *core, const char *name)
{
    for (unsigned i = 0; i < core->service_count; i++)
        if (strcmp(core->service[i].service->name, name) == 0)
            return &core->service[i];
    return NULL;
}

int chain_service_start(struct core *core, struct service_self *self)
{
    if (self->running)
        return 0;
    int error = self->service->start ? self->service->start(self) : 0;
    if (error < 0) {
        log_write(&core->log, LOG_ERROR, self->service->name, "does not start: %s",
                  piglet_error_text(error));
        return error;
    }
    self->running = true;
    core->receive_kinds[self->index] = self->service->receive ? self->service->receive_kinds : 0;
    core->transmit_kinds[self->index] = self->service->transmit ? self->service->transmit_kinds : 0;
    return 0;
}

void chain_service_stop(struct core *core, struct service_self *self)
{
    if (!self->running)
        return;
    self->running = false;
    core->receive_kinds[self->index] = core->transmit_kinds[self->index] = 0;
    if (self->service->stop)
        self->service->stop(self);
}

int chain_service_load(struct service_self *self, const uint8_t *table, size_t bytes)
{
    if (!self->service->load)
        return ERR_UNSUPPORTED;
    if (bytes > self->service->table_max)
        return ERR_RANGE;
    self->load_error_at = self->load_error_line = 0;
    self->loaded = self->former = false; /* whatever was in the spare half is gone */
    self->source[1].bytes = 0;
    int error = self->service->load(self, table, bytes);
    if (error < 0)
        return error;
    self->loaded = true;
    self->loads = self->loads == INT32_MAX ? 1 : self->loads + 1;
    return (int)self->loads;
}

void chain_service_swap_back(struct service_self *self)
{
    struct service_source former = self->source[0];
    self->service->swap(self);
    self->source[0] = self->source[1];
    self->source[1] = former;
    self->loaded = !self->loaded;
    self->former = !self->former;
}

int chain_service_swap(struct service_self *self, uint64_t load)
{
    if (load ? !self->loaded || load != self->loads : !self->former)
        return ERR_INVALID;
    chain_service_swap_back(self);
    self->source[0].since = ++self->core->recorder.swaps;
    return 0;
}

/* Moves the frames of the wanted kinds from `batch` to `wanted`, in order. */
static void chain_split(struct batch *batch, struct batch *wanted, unsigned kinds)
{
    unsigned kept = 0;
    wanted->count = wanted->kinds = batch->kinds = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        struct frame *frame = batch->frame[i];
        if (frame->kind & kinds) {
            batch_add(wanted, frame);
        } else {
            batch->frame[kept++] = frame;
            batch->kinds |= frame->kind;
        }
    }
    batch->count = kept;
}

typedef void chain_handler(struct service_self *self, struct batch *batch);

/* Runs the handler on the frames of the kinds it wants; what it passes is in the batch afterwards.
 */
static void chain_call(struct service_self *self, chain_handler *handler, unsigned kinds,
                       struct batch *batch)
{
    struct core *core = self->core;
    uint64_t drops = core->drops;
    core->running = self->service->name;
    if ((batch->kinds & ~kinds) == 0) {
        *self->count.frames += batch->count;
        handler(self, batch);
        *self->count.passed += batch->count;
    } else {
        struct frame *store[BATCH_MAX];
        struct batch wanted = {.frame = store};
        chain_split(batch, &wanted, kinds);
        *self->count.frames += wanted.count;
        handler(self, &wanted);
        *self->count.passed += wanted.count;
        for (unsigned i = 0; i < wanted.count; i++)
            batch_add(batch, wanted.frame[i]);
    }
    *self->count.dropped += core->drops - drops;
    core_account(core, self->count.time_ns);
}

void chain_receive(struct core *core, struct batch *batch, unsigned first)
{
    for (unsigned i = first; i < core->service_count && batch->count; i++)
        if (batch->kinds & core->receive_kinds[i])
            chain_call(&core->service[i], core->service[i].service->receive, core->receive_kinds[i],
                       batch);
    for (unsigned i = 0; i < batch->count; i++)
        core_drop(core, batch->frame[i], chain_unclaimed(batch->frame[i]));
    batch->count = 0;
}

static void nic_send(struct core *core, struct nic *nic, struct batch *batch)
{
    unsigned taken = 0;
    enum drop_reason reason = DROP_NIC_DOWN;
    if (nic->link_up) {
        taken = nic->driver->transmit(nic, batch->frame, batch->count);
        *nic->count.tx_frames += taken;
        ++*nic->count.tx_batches;
        reason = DROP_NIC_RING_FULL;
    }
    for (unsigned i = taken; i < batch->count; i++)
        core_drop(core, batch->frame[i], reason);
}

/* The oldest frames of the nic's backlog, as a batch that lies in it. */
static struct batch chain_take_out(struct nic *nic)
{
    unsigned count = (unsigned)(nic->out.end - nic->out.first);
    struct batch batch = {.count = count < BATCH_MAX ? count : BATCH_MAX,
                          .kinds = nic->out.kinds,
                          .frame = nic->out.first};
    nic->out.first += batch.count;
    return batch;
}

/* After a batch: the backlog begins anew when it is empty. */
static void chain_out_done(struct core *core, struct nic *nic)
{
    if (nic->out.first != nic->out.end)
        return;
    nic_out_start(nic);
    core->unflushed &= ~nic->out.bit;
}

void chain_flush(struct core *core)
{
    /* A filter may send frames of its own (ARP: a request), to any nic. They come next, and end: a
     * filter answers at most once to each frame, and what it sends is FRAME_READY, or FRAME_SHAPED,
     * which no filter takes. */
    while (core->unflushed) {
        struct nic *nic = &core->nic[__builtin_ctz(core->unflushed)];
        struct batch batch = chain_take_out(nic);
        for (unsigned i = 0; i < core->service_count && batch.count; i++)
            if (batch.kinds & core->transmit_kinds[i])
                chain_call(&core->service[i], core->service[i].service->transmit,
                           core->transmit_kinds[i], &batch);
        if (batch.count) {
            core->running = nic->name;
            if (__builtin_expect(nic->joined, 0))
                clients_sent(core, nic, &batch);
            if (__builtin_expect(core->recorder.all, 0))
                recorder_note_all(&core->recorder, &batch, nic->name, core->now_ns);
            nic_send(core, nic, &batch);
            core_account(core, core->time_ns[PHASE_TRANSMIT]);
        }
        chain_out_done(core, nic);
    }
}

void chain_notice(struct core *core, enum service_notice what, uint32_t about)
{
    for (unsigned i = 0; i < core->service_count; i++) {
        struct service_self *self = &core->service[i];
        if (self->running && self->service->notice)
            self->service->notice(self, what, about);
    }
}

static void chain_queue(struct service_self *self, struct frame *frame, unsigned from)
{
    struct core *core = self->core;
    if (core->yielded.count == YIELDED_MAX) {
        core_drop(core, frame, DROP_YIELD_BACKLOG);
        return;
    }
    frame->service = (uint8_t)from;
    frame->owner = FRAME_OF_SERVICE;
    core->yielded.frame[(core->yielded.first + core->yielded.count++) % YIELDED_MAX] = frame;
}

void service_yield_frame(struct service_self *self, struct frame *frame)
{
    chain_queue(self, frame, self->index);
}

void service_requeue(struct service_self *self, struct frame *frame)
{
    chain_queue(self, frame, self->index + 1u);
}

unsigned chain_yielded(struct core *core)
{
    /* Only what is there now: frames that yield again wait for the next turn. */
    unsigned todo = core->yielded.count < YIELDED_BUDGET ? core->yielded.count : YIELDED_BUDGET;
    for (unsigned done = 0; done < todo;) {
        struct frame *store[BATCH_MAX];
        struct batch batch = {.frame = store};
        unsigned from = core->yielded.frame[core->yielded.first]->service;
        do {
            struct frame *frame = core->yielded.frame[core->yielded.first];
            if (frame->service != from)
                break;
            frame->owner = FRAME_OF_LOOP;
            batch_add(&batch, frame);
            core->yielded.first = (core->yielded.first + 1) % YIELDED_MAX;
            core->yielded.count--;
        } while (++done < todo);
        chain_receive(core, &batch, from);
        chain_flush(core);
    }
    return todo;
}

uint64_t *service_counter(struct service_self *self, const char *what, const char *help)
{
    return counter_new(&self->core->counters, self->service->name, what, help);
}

static uint64_t service_timer_fire(struct timer *timer)
{
    struct service_timer *service_timer =
        (struct service_timer *)((char *)timer - offsetof(struct service_timer, timer));
    struct service_self *self = service_timer->self;
    if (!self->running)
        return TIMER_NONE;
    uint64_t drops = self->core->drops;
    self->core->running = self->service->name;
    uint64_t delay_us = self->service->timeout(self, service_timer);
    *self->count.dropped += self->core->drops - drops;
    core_account(self->core, self->count.time_ns);
    return delay_us;
}

void service_timer_arm(struct service_self *self, struct service_timer *timer, uint64_t delay_us)
{
    struct core *core = self->core;
    uint64_t due_ns = core->now_ns + delay_us * 1000;
    timer->self = self;
    timer->timer.fire = service_timer_fire;
    timer_arm(&core->timers, &timer->timer, due_ns);
    if (due_ns < core->timers_due_ns)
        core->timers_due_ns = due_ns;
}

void *service_memory(struct service_self *self, size_t bytes)
{
    (void)self;
    return arch_memory_take(bytes, FRAME_METADATA);
}

int service_address_add(struct service_self *self, unsigned nic, uint32_t ip, uint8_t length,
                        uint32_t gateway)
{
    int error = address_add(&self->core->routes, (uint8_t)nic, ip, length, gateway);
    if (error < 0)
        return error;
    address_find(&self->core->routes, ip)->service = (uint8_t)(self->index + 1);
    chain_notice(self->core, SERVICE_ADDRESS_ADDED, ip);
    return 0;
}

int service_address_delete(struct service_self *self, uint32_t ip)
{
    int error = address_delete(&self->core->routes, ip);
    if (error == 0)
        chain_notice(self->core, SERVICE_ADDRESS_REMOVED, ip);
    return error;
}

void service_address_state(struct service_self *self, uint32_t ip, enum address_state state)
{
    struct address *address = address_find(&self->core->routes, ip);
    if (address)
        address_set_state(&self->core->routes, address, state);
}
