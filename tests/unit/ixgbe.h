/* A core with one ixgbe on a model, and pings through it: what the ixgbe tests share. */
#ifndef TESTS_UNIT_IXGBE_H
#define TESTS_UNIT_IXGBE_H

#include "drivers/intel/device.h"
#include "drivers/intel/ring.h"
#include "drivers/ixgbe/ixgbe.h"
#include "drivers/ixgbe/registers.h"
#include "kernel/loop.h"
#include "tests/model/ixgbe_sim.h"
#include "tests/unit/test.h"

#define OURS IP(10, 0, 0, 2)
#define PEER IP(10, 0, 0, 1)
#define LINE "ip=10.0.0.2/24 services=-arp"

static struct ixgbe_sim sim[2];
static struct ixgbe_model *const model = &sim[0].model;

enum { UP_US = 300000 }; /* until the link is up and seen, on any medium */

/* One that is changed between power-on and probe. */
static inline struct ixgbe_model *powered(uint16_t device)
{
    sim_reset();
    ixgbe_sim_start(&sim[0], device, NIC0_MAC);
    return model;
}

static inline struct core *probe(const char *line)
{
    ixgbe_sim_add(&sim[0], 3);
    struct core *core = sim_start_core(line);
    sim_advance_us(core, UP_US);
    return core;
}

static inline struct core *start_chip(uint16_t device)
{
    powered(device);
    return probe(LINE);
}

static inline struct core *start(void)
{
    return start_chip(0x10fb);
}

static inline bool said(const char *text)
{
    return strstr(sim_console(), text) != NULL;
}

static inline bool inject_ping(unsigned number)
{
    struct packet ping = packet_echo(PEER, OURS, 20 + number % 1000);
    packet_icmp(&ping)->sequence = be16((uint16_t)number);
    packet_fix_icmp(&ping);
    return ixgbe_sim_inject(&sim[0], ping.data, ping.length);
}

/* A whole reply to ping `number` was sent. */
static inline void expect_reply(unsigned number)
{
    const struct ixgbe_sim_frame *sent = ixgbe_sim_sent(&sim[0]);
    assert_non_null(sent);
    struct packet reply = {.length = sent->length};
    memcpy(reply.data, sent->data, sent->length);
    unsigned length = 14 + 20 + 8 + 20 + number % 1000;
    assert_int_equal(sent->length, length < 60 ? 60 : length);
    assert_memory_equal(packet_eth(&reply)->to, PEER_MAC, 6);
    assert_memory_equal(packet_eth(&reply)->from, NIC0_MAC, 6);
    assert_int_equal(packet_icmp(&reply)->type, 0);
    assert_int_equal(be16_get(packet_icmp(&reply)->sequence), number & 0xffff);
}

static inline void expect_works(struct core *core)
{
    assert_true(inject_ping(7));
    sim_run(core);
    expect_reply(7);
}

/* How often a register was written, and all were read. */
static inline unsigned writes_of(uint32_t offset)
{
    return model->writes[offset / 4];
}

static inline unsigned reads_of_all(void)
{
    unsigned reads = 0;
    for (unsigned i = 0; i < IXGBE_MODEL_BYTES / 4; i++)
        reads += model->reads[i];
    return reads;
}

static inline unsigned writes_of_all(void)
{
    unsigned writes = 0;
    for (unsigned i = 0; i < IXGBE_MODEL_BYTES / 4; i++)
        writes += model->writes[i];
    return writes;
}

static inline unsigned transmit_some(struct core *core, unsigned count)
{
    struct frame *frame[BATCH_MAX];
    for (unsigned i = 0; i < count; i++) {
        frame[i] = frame_alloc(&core->frames);
        frame[i]->length = 60;
        memset(frame[i]->data, (int)i, 60);
    }
    unsigned taken = ixgbe_driver.transmit(&core->nic[0], frame, count);
    for (unsigned i = 0; i < count; i++)
        if (i < taken)
            assert_int_equal(frame[i]->owner, FRAME_OF_TRANSMIT_RING);
        else
            frame_free(&core->frames, frame[i]);
    return taken;
}

#endif
