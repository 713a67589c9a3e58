/* What the tests of the shaper share: tables from a few words, frames to send, and a clock that
 * stops at every turn, so that each frame is seen to leave at its moment. */
#ifndef TESTS_SERVICE_SHAPING_H
#define TESTS_SERVICE_SHAPING_H

#include <stdio.h>

#include "kernel/chain.h"
#include "piglet/shaper.h"
#include "tests/unit/test.h"

#define US        IP(10, 0, 0, 2)
#define PEER      IP(10, 0, 0, 1)
#define SECOND_NS 1000000000ull
#define MS_NS     1000000ull
#define FULL      1514 /* bytes of a long frame */

struct shaping_table {
    struct piglet_shaper_table header;
    struct piglet_shaper_class class[PIGLET_SHAPER_CLASSES_MAX + 1];
    struct piglet_shaper_match match[PIGLET_SHAPER_MATCHES_MAX + 1];
    uint8_t bytes[64 << 10];
};

static struct shaping_table table;

static inline void table_begin(void)
{
    memset(&table, 0, sizeof table);
    table.header.magic = PIGLET_SHAPER_MAGIC;
    table.header.version = PIGLET_SHAPER_VERSION;
}

/* A class of nic0 without CoDel, whose bucket holds 10 ms of its ceiling, or four frames. */
static inline struct piglet_shaper_class *table_class(const char *name, unsigned parent,
                                                      uint64_t rate_bps, uint64_t ceiling_bps)
{
    struct piglet_shaper_class *class = &table.class[table.header.class_count++];
    *class = (struct piglet_shaper_class){
        .rate_bps = rate_bps,
        .ceiling_bps = ceiling_bps,
        .parent = (uint16_t)parent,
        .burst_bytes = 4 * PIGLET_SHAPER_FRAME_MAX + (uint32_t)(ceiling_bps / 800),
        .quantum = FULL,
        .limit_bytes = 4 << 20,
        .limit_frames = 1000,
    };
    snprintf(class->name, sizeof class->name, "%s", name);
    return class;
}

#define NO_PARENT PIGLET_SHAPER_NO_PARENT

/* Matches UDP port `port` of whom it is sent to; 0: everything. */
static inline struct piglet_shaper_match *table_match(unsigned class, uint16_t port)
{
    struct piglet_shaper_match *match = &table.match[table.header.match_count++];
    *match = (struct piglet_shaper_match){
        .from_port_last = 0xffff,
        .to_port_first = port,
        .to_port_last = port ? port : 0xffff,
        .class_index = (uint16_t) class,
    };
    return match;
}

/* Packs the table, and returns its size. */
static inline size_t table_pack(void)
{
    size_t classes = table.header.class_count * sizeof table.class[0];
    size_t matches = table.header.match_count * sizeof table.match[0];
    size_t bytes = sizeof table.header + classes + matches;
    assert_true(bytes <= sizeof table.bytes);
    table.header.bytes = (uint32_t)bytes;
    memcpy(table.bytes, &table.header, sizeof table.header);
    memcpy(table.bytes + sizeof table.header, table.class, classes);
    memcpy(table.bytes + sizeof table.header + classes, table.match, matches);
    return bytes;
}

/* Loads the table and puts it in force. */
static inline int table_load(struct core *core)
{
    struct service_self *self = chain_find(core, "shaper");
    size_t bytes = table_pack();
    int load = chain_service_load(self, table.bytes, bytes);
    return load < 0 ? load : chain_service_swap(self, (uint64_t)load);
}

/* A core with `nics` that shapes by the table. */
static inline struct core *shaping_start(unsigned nics)
{
    struct core *core = sim_start(nics, "services=+shaper");
    sim_run(core);
    assert_int_equal(table_load(core), 0);
    return core;
}

/* Sends a packet as it is by a nic. */
static inline void shaping_send_packet(struct core *core, unsigned nic, const struct packet *packet)
{
    struct frame *frame = frame_alloc(&core->frames);
    assert_non_null(frame);
    memcpy(frame->data, packet->data, packet->length);
    frame->length = (uint16_t)packet->length;
    frame->nic = (uint8_t)nic;
    frame->flags = 0;
    frame->kind = FRAME_READY;
    core_send(core, frame);
    sim_run(core);
}

/* Sends a UDP frame of `length` bytes by a nic: to port `port`, of flow `flow`. Long ones say when
 * they were sent. */
static inline void shaping_send(struct core *core, unsigned nic, uint16_t port, uint16_t flow,
                                unsigned length)
{
    struct packet packet = packet_udp_to(US, flow, PEER, port, length - 42);
    if (length >= 42 + sizeof sim_now_ns)
        memcpy(packet.data + 42, &sim_now_ns, sizeof sim_now_ns);
    shaping_send_packet(core, nic, &packet);
}

static inline uint16_t shaping_port(const struct sim_wire_frame *frame)
{
    return (uint16_t)(frame->data[36] << 8 | frame->data[37]);
}

static inline uint16_t shaping_flow(const struct sim_wire_frame *frame)
{
    return (uint16_t)(frame->data[34] << 8 | frame->data[35]);
}

/* How long it was on its way. */
static inline uint64_t shaping_delay_ns(const struct sim_wire_frame *frame)
{
    uint64_t sent_ns;
    memcpy(&sent_ns, frame->data + 42, sizeof sent_ns);
    return sim_now_ns - sent_ns;
}

/* The definition of a token bucket, to be held against what is sent: never above its depth. */
struct bucket {
    uint64_t rate_bps, burst_bytes, at_ns;
    unsigned __int128 level; /* bits * 10^9 */
};

static inline void bucket_check(struct bucket *bucket, unsigned length)
{
    unsigned __int128 left = (unsigned __int128)bucket->rate_bps * (sim_now_ns - bucket->at_ns);
    bucket->level = bucket->level > left ? bucket->level - left : 0;
    bucket->level += (unsigned __int128)length * 8 * SECOND_NS;
    bucket->at_ns = sim_now_ns;
    assert_true(bucket->level <= (unsigned __int128)bucket->burst_bytes * 8 * SECOND_NS);
}

/* The class's line from show. */
static inline const char *shaping_line(struct core *core, const char *name)
{
    static char text[SERVICE_SHOW_BUDGET + SERVICE_LINE_MAX];
    struct service_self *self = chain_find(core, "shaper");
    unsigned next = 0;
    while (self->service->show(self, &next, text, SERVICE_LINE_MAX))
        if (strncmp(text, name, strlen(name)) == 0 && text[strlen(name)] == ' ')
            return text;
    return "";
}

/* The number behind a word of that line. */
static inline uint64_t shaping_number(struct core *core, const char *class, const char *what)
{
    unsigned long long value = 0;
    const char *at = strstr(shaping_line(core, class), what);
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen(what), " %llu", &value), 1);
    return value;
}

/* How many frames left by a nic and were not looked at. */
static inline unsigned shaping_sent(struct core *core, unsigned nic)
{
    unsigned count = 0;
    while (sim_sent(core, nic))
        count++;
    return count;
}

#endif
