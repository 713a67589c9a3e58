/* A kernel core on the simulated machine, its nics being wires that a test holds the other end of.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/loop.h"
#include "kernel/start.h"
#include "tests/sim/sim.h"

enum { SIM_TURNS_MAX = 1000 };

struct wire_queue {
    unsigned first, count;
    struct sim_wire_frame frame[SIM_WIRE_FRAMES];
};

static struct wire {
    struct nic *nic;
    struct nic_filter filter;
    bool full, filter_fails;
    struct wire_queue in, out;
} wire[NICS_MAX];

static struct sim_wire_frame *queue_push(struct wire_queue *queue)
{
    if (queue->count == SIM_WIRE_FRAMES)
        return NULL;
    return &queue->frame[(queue->first + queue->count++) % SIM_WIRE_FRAMES];
}

static struct sim_wire_frame *queue_pop(struct wire_queue *queue)
{
    if (queue->count == 0)
        return NULL;
    struct sim_wire_frame *frame = &queue->frame[queue->first];
    queue->first = (queue->first + 1) % SIM_WIRE_FRAMES;
    queue->count--;
    return frame;
}

/* ---- the wire as a nic driver ---- */

static bool wire_match(const struct arch_device *device)
{
    return device->bus == ARCH_BUS_HOST && strncmp(device->host, "wire:", 5) == 0;
}

static int wire_probe(struct nic *nic, const struct arch_device *device)
{
    struct wire *mine = &wire[atoi(device->host + 5)];
    mine->nic = nic;
    nic->driver_state = mine;
    nic->mac[0] = 2;
    nic->mac[5] = (uint8_t)(nic->index + 1);
    nic->speed_mbps = 1000;
    nic->link_up = true;
    nic->interrupts_work = true; /* so that sim time is not stepped by blind polling */
    return 0;
}

static unsigned wire_receive(struct nic *nic, struct frame **frames, unsigned max)
{
    struct wire *mine = nic->driver_state;
    unsigned count = 0;
    while (count < max && mine->in.count) {
        struct frame *frame = frame_alloc(nic->pool);
        const struct sim_wire_frame *from = queue_pop(&mine->in);
        if (!frame)
            continue;
        memcpy(frame->data, from->data, from->length);
        frame->length = from->length;
        frame->nic = nic->index;
        frame->flags = 0;
        frames[count++] = frame;
    }
    return count;
}

static unsigned wire_transmit(struct nic *nic, struct frame **frames, unsigned count)
{
    struct wire *mine = nic->driver_state;
    for (unsigned i = 0; i < count; i++) {
        struct sim_wire_frame *to = mine->full ? NULL : queue_push(&mine->out);
        if (!to)
            return i;
        to->length = frames[i]->length;
        memcpy(to->data, frames[i]->data, frames[i]->length);
        *nic->count.tx_bytes += frames[i]->length;
        frame_free(nic->pool, frames[i]);
    }
    return count;
}

static void wire_nothing(struct nic *nic)
{
    (void)nic;
}

static void wire_interrupts(struct nic *nic, bool on)
{
    (void)nic, (void)on;
}

/* Whatever is put on the wire comes in already: what is wanted is kept for the test to look at. */
static int wire_filter(struct nic *nic, const struct nic_filter *filter)
{
    struct wire *mine = nic->driver_state;
    if (mine->filter_fails)
        return ERR_TIMEOUT;
    mine->filter = *filter;
    return 0;
}

/* A register reads as its offset; those of CLEARS may not be read. */
static const struct nic_register wire_registers[] = {
    {"ONE", 0, 1, 0, true},
    {"CLEARS", 0x10, 4, 4, false},
    {"MANY", 0x100, 60, 8, true},
};

static int wire_register_read(struct nic *nic, uint32_t offset, uint32_t *value)
{
    (void)nic;
    *value = offset;
    return offset == 0 || offset >= 0x100 ? 0 : ERR_DEVICE;
}

const struct nic_driver sim_wire_driver = {
    .name = "wire",
    .match = wire_match,
    .probe = wire_probe,
    .receive = wire_receive,
    .transmit = wire_transmit,
    .attend = wire_nothing,
    .interrupts = wire_interrupts,
    .filter = wire_filter,
    .stop = wire_nothing,
    .registers = wire_registers,
    .register_count = sizeof wire_registers / sizeof wire_registers[0],
    .register_read = wire_register_read,
};

/* ---- the core ---- */

static void sim_wires(unsigned nics)
{
    static char spec[NICS_MAX][16];
    sim_reset();
    for (unsigned i = 0; i < NICS_MAX; i++) {
        wire[i].in.count = wire[i].out.count = 0;
        wire[i].full = wire[i].filter_fails = false;
        wire[i].filter = (struct nic_filter){.promiscuous = false};
    }
    for (unsigned i = 0; i < nics; i++) {
        struct arch_device device = {.bus = ARCH_BUS_HOST, .host = spec[i]};
        snprintf(spec[i], sizeof spec[i], "wire:%u", i);
        snprintf(device.name, sizeof device.name, "%s", spec[i]);
        sim_add_device(&device);
    }
}

struct core *sim_start(unsigned nics, const char *line)
{
    sim_wires(nics);
    return sim_start_core(line);
}

struct core *sim_start_module(unsigned nics, const char *line, const void *module, size_t bytes)
{
    struct arch_boot boot = {.command_line = line, .machine = "simulated", .module_count = 1};
    boot.module[0].data = module;
    boot.module[0].bytes = bytes;
    boot.module[0].name = "module";
    sim_wires(nics);
    return core_start(&boot);
}

struct core *sim_start_core(const char *line)
{
    struct arch_boot boot = {.command_line = line, .machine = "simulated"};
    return core_start(&boot);
}

unsigned sim_stop(struct core *core)
{
    return core_stop(core);
}

bool sim_inject(struct core *core, unsigned nic, const void *data, size_t length)
{
    (void)core;
    struct sim_wire_frame *frame = length <= sizeof frame->data ? queue_push(&wire[nic].in) : NULL;
    if (!frame)
        return false;
    frame->length = (uint16_t)length;
    memcpy(frame->data, data, length);
    return true;
}

const struct sim_wire_frame *sim_sent(struct core *core, unsigned nic)
{
    (void)core;
    return queue_pop(&wire[nic].out);
}

void sim_run(struct core *core)
{
    for (unsigned i = 0; i < SIM_TURNS_MAX && loop_turn(core); i++)
        ;
}

void sim_step(struct core *core, uint64_t end_ns)
{
    uint64_t next_ns = core->timers_due_ns;
    if (core->housekeeping_due_ns < next_ns)
        next_ns = core->housekeeping_due_ns;
    if (next_ns <= sim_now_ns)
        next_ns = sim_now_ns + 1;
    sim_now_ns = next_ns < end_ns ? next_ns : end_ns;
    sim_run(core);
}

void sim_advance_us(struct core *core, uint64_t delay_us)
{
    uint64_t end_ns = sim_now_ns + delay_us * 1000;
    sim_run(core);
    while (sim_now_ns < end_ns)
        sim_step(core, end_ns);
}

void sim_wire_full(struct core *core, unsigned nic, bool full)
{
    (void)core;
    wire[nic].full = full;
}

const struct nic_filter *sim_filter(const struct core *core, unsigned nic)
{
    (void)core;
    return &wire[nic].filter;
}

void sim_filter_fails(struct core *core, unsigned nic, bool fails)
{
    (void)core;
    wire[nic].filter_fails = fails;
}

void sim_link(struct core *core, unsigned nic, bool up)
{
    nic_link(&core->nic[nic], up, 1000);
}

uint64_t sim_counter(const struct core *core, const char *name)
{
    const uint64_t *value = counter_find(&core->counters, name);
    if (!value) {
        fprintf(stderr, "no counter %s\n", name);
        abort();
    }
    return *value;
}

uint64_t sim_drops(const struct core *core)
{
    uint64_t sum = 0;
    for (unsigned i = 1; i < DROP_REASON_COUNT; i++)
        sum += core->drop[i];
    return sum;
}
