/* A core with one ixgbe on a model, and pings through it: what the ixgbe tests share. */
#ifndef TESTS_UNIT_IXGBE_H
#define TESTS_UNIT_IXGBE_H

#include "drivers/ixgbe/ixgbe.h"
#include "drivers/ixgbe/registers.h"
#include "tests/model/ixgbe_sim.h"
#include "tests/unit/intel.h"

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

static inline bool inject_ping(unsigned number)
{
    struct packet ping = ping_packet(number);
    return ixgbe_sim_inject(&sim[0], ping.data, ping.length);
}

/* A whole reply to ping `number` was sent. */
static inline void expect_reply(unsigned number)
{
    const struct ixgbe_sim_frame *sent = ixgbe_sim_sent(&sim[0]);
    assert_non_null(sent);
    expect_reply_is(sent->data, sent->length, number);
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

#endif
