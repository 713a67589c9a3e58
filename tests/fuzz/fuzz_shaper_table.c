/* Fuzzes the shaper's table: any bytes are refused, or shape; and frames through whatever comes of
 * it, with tables put in force and taken back between them.
 *
 * The input is a list of steps: a byte says what, with a word of numbers behind it. Tables are made
 * of the input's bytes laid over a good one, so that more than the first check is reached. */
#include <stdlib.h>
#include <string.h>

#include "kernel/chain.h"
#include "piglet/shaper.h"
#include "tests/sim/packet.h"
#include "tests/sim/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { CLASSES = 6, MATCHES = 4, STEPS_MAX = 400 };

struct fuzz_table {
    struct piglet_shaper_table header;
    struct piglet_shaper_class class[CLASSES];
    struct piglet_shaper_match match[MATCHES];
};

struct input {
    const uint8_t *data;
    size_t bytes;
};

static uint32_t take(struct input *input, unsigned bytes)
{
    uint32_t value = 0;
    while (bytes-- && input->bytes) {
        value = value << 8 | *input->data++;
        input->bytes--;
    }
    return value;
}

static struct fuzz_table good_table(void)
{
    static const uint16_t parent[CLASSES] = {0xffff, 0, 0, 1, 1, 0xffff};
    struct fuzz_table table = {.header = {.magic = PIGLET_SHAPER_MAGIC,
                                          .version = PIGLET_SHAPER_VERSION,
                                          .bytes = sizeof table,
                                          .class_count = CLASSES,
                                          .match_count = MATCHES}};
    for (unsigned i = 0; i < CLASSES; i++) {
        table.class[i] = (struct piglet_shaper_class){
            .rate_bps = 1000000,
            .ceiling_bps = 1000000,
            .parent = parent[i],
            .nic = i == CLASSES - 1,
            .flags = i == 2,
            .burst_bytes = 4096,
            .target_us = 5000,
            .interval_us = 100000,
            .quantum = 300,
            .limit_bytes = 20000,
            .limit_frames = 20,
        };
        table.class[i].name[0] = (char)('a' + i);
    }
    static const uint16_t class[MATCHES] = {3, 4, 2, 5};
    for (unsigned i = 0; i < MATCHES; i++)
        table.match[i] = (struct piglet_shaper_match){.from_port_last = 0xffff,
                                                      .to_port_first = (uint16_t)i,
                                                      .to_port_last = (uint16_t)(i + 1),
                                                      .class_index = class[i]};
    return table;
}

/* A good table with some of its bytes changed, put in force if it is taken. */
static void load(struct service_self *self, struct input *input)
{
    struct fuzz_table table = good_table();
    uint8_t *bytes = (uint8_t *)&table;
    for (unsigned changes = take(input, 1) % 8; changes; changes--) {
        unsigned at = take(input, 2) % sizeof table, value = take(input, 1);
        bytes[at] = (uint8_t)value;
    }
    size_t length = sizeof table;
    if (take(input, 1) % 16 == 0)
        length = take(input, 2) % sizeof table;
    int number = chain_service_load(self, bytes, length);
    if (number < 0 && self->load_error_at > length)
        abort();
    if (number > 0)
        chain_service_swap(self, (uint64_t)number);
}

static void send(struct core *core, struct input *input)
{
    unsigned what = take(input, 1), nic = take(input, 1) & 1, length = take(input, 2) % 1400;
    struct packet packet = packet_udp_to(IP(10, 0, 0, 2), (uint16_t)(what >> 2 & 7),
                                         IP(10, 0, 0, 1) + (what >> 5), what & 3, length);
    struct frame *frame = frame_alloc(&core->frames);
    if (!frame)
        return;
    memcpy(frame->data, packet.data, packet.length);
    frame->data[12 + length % 26] ^= (uint8_t)(length % 7 == 0 ? what : 0);
    frame->length = (uint16_t)packet.length;
    frame->nic = (uint8_t)nic;
    frame->flags = 0;
    frame->kind = FRAME_READY;
    core_send(core, frame);
}

static void show(struct service_self *self)
{
    char text[SERVICE_LINE_MAX];
    unsigned next = 0;
    while (self->service->show(self, &next, text, sizeof text))
        if (strlen(text) >= sizeof text)
            abort();
}

static void step(struct core *core, struct service_self *self, struct input *input)
{
    unsigned what = take(input, 1);
    switch (what % 8) {
    case 0:
        load(self, input);
        break;
    case 1: { /* bytes as they are */
        size_t bytes = take(input, 2) % 512;
        if (bytes > input->bytes)
            bytes = input->bytes;
        chain_service_load(self, input->data, bytes);
        input->data += bytes;
        input->bytes -= bytes;
        break;
    }
    case 2:
        sim_advance_us(core, take(input, 2));
        break;
    case 3:
        if (what & 0x80)
            chain_service_stop(core, self);
        else if (what & 0x40)
            chain_service_swap_back(self);
        else
            chain_service_start(core, self);
        show(self);
        break;
    case 4:
        sim_link(core, what >> 7, what >> 3 & 1);
        break;
    default:
        for (unsigned count = what >> 3; count; count--)
            send(core, input);
    }
    sim_run(core);
    for (unsigned nic = 0; nic < 2; nic++)
        while (sim_sent(core, nic))
            ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input input = {data, bytes};
    struct core *core = sim_start(2, "services=+shaper");
    struct service_self *self = chain_find(core, "shaper");
    load(self, &(struct input){0});
    for (unsigned i = 0; i < STEPS_MAX && input.bytes; i++)
        step(core, self, &input);
    if (sim_counter(core, "shaper.held") != core->frames.total - core->frames.free_count)
        abort();
    if (sim_stop(core) != 0)
        abort();
    return 0;
}
